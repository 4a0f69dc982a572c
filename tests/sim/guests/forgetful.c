/* SPDX-License-Identifier: Apache-2.0
 *
 * Faulty: a part of its state is not in its snapshot, and shows only in a later output. */
#include "guest.h"

static rove_err process(void *self, rove_ctx *ctx, const rove_event *event)
{
    guest *g = self;
    return guest_add(g, ctx, event->payload.size + g->count);
}

static rove_err snapshot(void *self, rove_ctx *ctx)
{
    const guest *g = self;
    return rove_write(ctx, (rove_span){&g->sum, sizeof g->sum});
}

static rove_err restore(void *self, rove_ctx *ctx, rove_span state)
{
    guest *g = self;
    if (state.size != sizeof g->sum)
        return rove_fail(ctx, "a state has 8 bytes");
    memcpy(&g->sum, state.data, sizeof g->sum);
    return ROVE_OK;
}

ROVE_KIND("forgetful", .create = guest_create, .destroy = guest_destroy, .process = process,
          .snapshot = snapshot, .restore = restore, .is_stateful = true)
