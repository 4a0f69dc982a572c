/* SPDX-License-Identifier: Apache-2.0
 *
 * Faulty: an instance that was restored does not give its memory back. */
#include "guest.h"

static rove_err restore(void *self, rove_ctx *ctx, rove_span state)
{
    guest *g = self;
    if (!g->alloc->alloc(g->alloc->user, 32))
        return ROVE_E_NOMEM;
    return guest_restore(self, ctx, state);
}

ROVE_KIND("leaky", .create = guest_create, .destroy = guest_destroy, .process = guest_process,
          .snapshot = guest_snapshot, .restore = restore, .is_stateful = true)
