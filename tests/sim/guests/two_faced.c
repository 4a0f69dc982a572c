/* SPDX-License-Identifier: Apache-2.0
 *
 * Faulty: its streamed snapshot leaves out what the whole one has. */
#include "guest.h"

static rove_err snapshot_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret_stream)
{
    (void)ctx;
    guest *g = self;
    guest *stream = g->alloc->alloc(g->alloc->user, sizeof *stream);
    if (!stream)
        return ROVE_E_NOMEM;
    *stream = *g;
    stream->count = 0; /* from here on: how much was read */
    *ret_size = 2 * sizeof(uint64_t);
    *ret_stream = stream;
    return ROVE_OK;
}

static rove_err snapshot_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    guest *s = stream;
    uint64_t state[2] = {s->sum, 0};
    size_t left = sizeof state - (size_t)s->count;
    size_t part = size < left ? size : left;
    memcpy(room, (const char *)state + s->count, part);
    s->count += part;
    *ret_size = part;
    return ROVE_OK;
}

static void snapshot_close(void *stream)
{
    guest_destroy(stream);
}

typedef struct taker {
    guest *self;
    uint8_t bytes[2 * sizeof(uint64_t)];
    size_t used;
} taker;

static rove_err restore_open(void *self, rove_ctx *ctx, uint64_t size, void **ret_stream)
{
    guest *g = self;
    if (size != sizeof((taker *)0)->bytes)
        return rove_fail(ctx, "a state has 16 bytes");
    taker *t = g->alloc->alloc(g->alloc->user, sizeof *t);
    if (!t)
        return ROVE_E_NOMEM;
    *t = (taker){.self = g};
    *ret_stream = t;
    return ROVE_OK;
}

static rove_err restore_write(void *stream, rove_span bytes)
{
    taker *t = stream;
    memcpy(t->bytes + t->used, bytes.data, bytes.size);
    t->used += bytes.size;
    return ROVE_OK;
}

static rove_err restore_close(void *stream, rove_ctx *ctx, bool complete)
{
    taker *t = stream;
    guest *g = t->self;
    rove_err err =
        complete ? guest_restore(g, ctx, (rove_span){t->bytes, sizeof t->bytes}) : ROVE_OK;
    g->alloc->free(g->alloc->user, t, sizeof *t);
    return err;
}

ROVE_KIND("two_faced", .create = guest_create, .destroy = guest_destroy, .process = guest_process,
          .snapshot = guest_snapshot, .snapshot_open = snapshot_open,
          .snapshot_read = snapshot_read, .snapshot_close = snapshot_close,
          .restore = guest_restore, .restore_open = restore_open, .restore_write = restore_write,
          .restore_close = restore_close, .is_stateful = true)
