/* SPDX-License-Identifier: Apache-2.0
 *
 * Faulty: what it answers depends on more than its events. */
#include "guest.h"

static uint64_t calls;

static rove_err process(void *self, rove_ctx *ctx, const rove_event *event)
{
    return guest_add(self, ctx, event->payload.size + (++calls % 1000 == 0));
}

ROVE_KIND("moody", .create = guest_create, .destroy = guest_destroy, .process = process,
          .snapshot = guest_snapshot, .restore = guest_restore, .is_stateful = true)
