/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest kind: no state, and the event back in capitals. */
#include <ctype.h>
#include <rove/kind.h>

static rove_err create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)alloc, (void)user;
    *ret = NULL; /* no state: nothing to keep */
    return ROVE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static rove_err process(void *self, rove_ctx *ctx, const rove_event *event)
{
    (void)self;
    char text[256];
    if (event->payload.size > sizeof text)
        return rove_fail(ctx, "more than %zu bytes cannot be shouted", sizeof text);
    for (size_t i = 0; i < event->payload.size; i++)
        text[i] = (char)toupper(((const unsigned char *)event->payload.data)[i]);
    return rove_emit(ctx, (rove_span){text, event->payload.size});
}

ROVE_KIND("shout", .create = create, .destroy = destroy, .process = process)
