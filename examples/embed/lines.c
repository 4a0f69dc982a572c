/* SPDX-License-Identifier: Apache-2.0
 *
 * A kind of one's own: numbers the lines that it is sent, in the order in which they come. The
 * state is the count: 8 bytes, little-endian, so that it means the same on every machine.
 *
 * The same file becomes a shared object that `rove node --load` takes, or, compiled with
 * -DROVE_KIND_MAIN=lines_kind, a part of a program. */
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>

struct lines {
    const rove_alloc *alloc;
    uint64_t count;
};

static rove_err create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    struct lines *lines = alloc->alloc(alloc->user, sizeof *lines);
    if (!lines)
        return ROVE_E_NOMEM;
    *lines = (struct lines){.alloc = alloc};
    *ret = lines;
    return ROVE_OK;
}

static void destroy(void *self)
{
    struct lines *lines = self;
    lines->alloc->free(lines->alloc->user, lines, sizeof *lines);
}

static rove_err process(void *self, rove_ctx *ctx, const rove_event *event)
{
    struct lines *lines = self;
    char text[256];
    int shown = event->payload.size < 200 ? (int)event->payload.size : 200;
    int size = snprintf(text, sizeof text, "%" PRIu64 " %.*s", lines->count + 1, shown,
                        (const char *)event->payload.data);
    rove_err err = rove_emit(ctx, (rove_span){text, (size_t)size});
    if (err == ROVE_OK) /* a line that fails is not counted */
        lines->count++;
    return err;
}

static rove_err snapshot(void *self, rove_ctx *ctx)
{
    const struct lines *lines = self;
    uint8_t state[8];
    for (size_t i = 0; i < sizeof state; i++)
        state[i] = (uint8_t)(lines->count >> (8 * i));
    return rove_write(ctx, (rove_span){state, sizeof state});
}

static rove_err restore(void *self, rove_ctx *ctx, rove_span state)
{
    struct lines *lines = self;
    if (state.size != 8)
        return rove_fail(ctx, "a count has 8 bytes, not %zu", state.size);
    const uint8_t *bytes = state.data;
    for (size_t i = 0; i < 8; i++)
        lines->count |= (uint64_t)bytes[i] << (8 * i);
    return ROVE_OK;
}

ROVE_KIND("lines", .create = create, .destroy = destroy, .process = process, .snapshot = snapshot,
          .restore = restore, .is_stateful = true)
