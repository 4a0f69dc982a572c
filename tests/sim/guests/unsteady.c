/* SPDX-License-Identifier: Apache-2.0
 *
 * Faulty: its snapshot holds an address, so that two copies with one state give other bytes. */
#include "guest.h"

static rove_err snapshot(void *self, rove_ctx *ctx)
{
    rove_err err = guest_snapshot(self, ctx);
    return err ? err : rove_write(ctx, (rove_span){&self, sizeof self});
}

static rove_err restore(void *self, rove_ctx *ctx, rove_span state)
{
    if (state.size < sizeof self)
        return rove_fail(ctx, "the state is cut off");
    return guest_restore(self, ctx, (rove_span){state.data, state.size - sizeof self});
}

ROVE_KIND("unsteady", .create = guest_create, .destroy = guest_destroy, .process = guest_process,
          .snapshot = snapshot, .restore = restore, .is_stateful = true)
