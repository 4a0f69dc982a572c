/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's daemon. Its state is the mode and then as many bytes as it was told. */
#define ROVE_KIND_MAIN bench_blob_kind
#include "blob.h"

#include <string.h>

typedef struct blob {
    const rove_alloc *alloc;
    uint8_t *bytes; /* the mode first */
    size_t size;
} blob;

static rove_err resize(blob *b, size_t size)
{
    uint8_t *bytes = b->alloc->alloc(b->alloc->user, size);
    if (!bytes)
        return ROVE_E_NOMEM;
    memset(bytes, 7, size);
    bytes[0] = b->bytes ? b->bytes[0] : BENCH_BLOB_SINK;
    if (b->bytes)
        b->alloc->free(b->alloc->user, b->bytes, b->size);
    b->bytes = bytes;
    b->size = size;
    return ROVE_OK;
}

static rove_err blob_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    blob *b = alloc->alloc(alloc->user, sizeof *b);
    if (!b)
        return ROVE_E_NOMEM;
    *b = (blob){.alloc = alloc};
    if (resize(b, 8)) {
        alloc->free(alloc->user, b, sizeof *b);
        return ROVE_E_NOMEM;
    }
    *ret = b;
    return ROVE_OK;
}

static void blob_destroy(void *self)
{
    blob *b = self;
    b->alloc->free(b->alloc->user, b->bytes, b->size);
    b->alloc->free(b->alloc->user, b, sizeof *b);
}

static rove_err blob_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    blob *b = self;
    const uint8_t *p = event->payload.data;
    if (event->payload.size == 1 && (p[0] == BENCH_BLOB_SINK || p[0] == BENCH_BLOB_ECHO)) {
        b->bytes[0] = p[0];
        return ROVE_OK;
    }
    if (event->payload.size == 5 && p[0] == BENCH_BLOB_RESIZE) {
        uint32_t size =
            (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
        return size ? resize(b, size) : rove_fail(ctx, "a blob has at least one byte");
    }
    return b->bytes[0] == BENCH_BLOB_ECHO ? rove_emit(ctx, event->payload) : ROVE_OK;
}

static rove_err blob_snapshot(void *self, rove_ctx *ctx)
{
    blob *b = self;
    return rove_write(ctx, (rove_span){b->bytes, b->size});
}

static rove_err blob_restore(void *self, rove_ctx *ctx, rove_span state)
{
    blob *b = self;
    if (!state.size)
        return rove_fail(ctx, "a blob has at least one byte");
    rove_err err = resize(b, state.size);
    if (!err)
        memcpy(b->bytes, state.data, state.size);
    return err;
}

ROVE_KIND("blob", .create = blob_create, .destroy = blob_destroy, .process = blob_process,
          .snapshot = blob_snapshot, .restore = blob_restore, .is_stateful = true)
