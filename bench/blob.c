/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's daemon. Its state is the mode and then as many bytes as it was told. */
#define ROVE_KIND_MAIN bench_blob_kind
#include "blob.h"

#include "bench.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic uint64_t last, gap, applied;

void bench_blob_gap_reset(void)
{
    atomic_store(&gap, 0);
    atomic_store(&last, 0);
}

uint64_t bench_blob_gap(void)
{
    return atomic_load(&gap);
}

void bench_blob_wait_applied(uint64_t more)
{
    uint64_t until = atomic_load(&applied) + more;
    while (atomic_load(&applied) < until)
        sched_yield();
}

/* One daemon at a time is served, by one thread at a time, so the three need not change as one. */
static void note_time(void)
{
    uint64_t now = bench_now(), before = atomic_exchange(&last, now);
    if (before && now - before > atomic_load(&gap))
        atomic_store(&gap, now - before);
    atomic_fetch_add(&applied, 1);
}

typedef struct blob {
    const rove_alloc *alloc;
    uint8_t *bytes; /* the mode first */
    size_t size;
} blob;

/* Bytes that are the caller's to fill. */
static rove_err replace(blob *b, size_t size)
{
    uint8_t *bytes = b->alloc->alloc(b->alloc->user, size);
    if (!bytes)
        return ROVE_E_NOMEM;
    bytes[0] = b->bytes ? b->bytes[0] : BENCH_BLOB_SINK;
    if (b->bytes)
        b->alloc->free(b->alloc->user, b->bytes, b->size);
    b->bytes = bytes;
    b->size = size;
    return ROVE_OK;
}

static rove_err resize(blob *b, size_t size)
{
    rove_err err = replace(b, size);
    if (!err)
        memset(b->bytes + 1, 7, size - 1);
    return err;
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
    if (event->payload.size == 1 && p[0] >= BENCH_BLOB_SINK && p[0] <= BENCH_BLOB_CLOCK) {
        b->bytes[0] = p[0];
        return ROVE_OK;
    }
    if (event->payload.size == 5 && p[0] == BENCH_BLOB_RESIZE) {
        uint32_t size =
            (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
        return size ? resize(b, size) : rove_fail(ctx, "a blob has at least one byte");
    }
    if (b->bytes[0] == BENCH_BLOB_CLOCK)
        note_time();
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
    rove_err err = replace(b, state.size);
    if (!err)
        memcpy(b->bytes, state.data, state.size);
    return err;
}

ROVE_KIND("blob", .create = blob_create, .destroy = blob_destroy, .process = blob_process,
          .snapshot = blob_snapshot, .restore = blob_restore, .is_stateful = true)
