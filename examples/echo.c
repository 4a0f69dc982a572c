/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest kind: every event comes back as it is. It has no state, so nothing has to be
 * snapshotted, and an instance needs no memory but an address of its own. */
#include <rove/kind.h>

struct echo {
    const rove_alloc *alloc;
};

static rove_err echo_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    struct echo *echo = alloc->alloc(alloc->user, sizeof *echo);
    if (!echo)
        return ROVE_E_NOMEM;
    echo->alloc = alloc;
    *ret = echo;
    return ROVE_OK;
}

static void echo_destroy(void *self)
{
    struct echo *echo = self;
    echo->alloc->free(echo->alloc->user, echo, sizeof *echo);
}

static rove_err echo_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    (void)self;
    return rove_emit(ctx, event->payload);
}

ROVE_KIND("echo", .create = echo_create, .destroy = echo_destroy, .process = echo_process)
