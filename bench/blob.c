/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's daemon. Its state is the mode and then as many bytes as it was told: a block that
 * a stream shares with the daemon until one of them lets go. */
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

typedef struct block {
    size_t refs; /* all in the order of one daemon's calls */
    size_t size;
    uint8_t bytes[]; /* the mode first, but that lies in the blob */
} block;

typedef struct blob {
    const rove_alloc *alloc;
    uint8_t mode;
    block *block;
} blob;

static block *block_new(const rove_alloc *a, uint64_t size)
{
    if (size > SIZE_MAX - sizeof(block))
        return NULL;
    block *k = a->alloc(a->user, sizeof *k + (size_t)size);
    if (k)
        *k = (block){.refs = 1, .size = (size_t)size};
    return k;
}

static void block_unref(const rove_alloc *a, block *k)
{
    if (k && --k->refs == 0)
        a->free(a->user, k, sizeof *k + k->size);
}

static rove_err resize(blob *b, size_t size)
{
    block *k = block_new(b->alloc, size);
    if (!k)
        return ROVE_E_NOMEM;
    memset(k->bytes, 7, size);
    block_unref(b->alloc, b->block);
    b->block = k;
    return ROVE_OK;
}

static rove_err blob_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    blob *b = alloc->alloc(alloc->user, sizeof *b);
    if (!b)
        return ROVE_E_NOMEM;
    *b = (blob){.alloc = alloc, .mode = BENCH_BLOB_SINK};
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
    block_unref(b->alloc, b->block);
    b->alloc->free(b->alloc->user, b, sizeof *b);
}

static rove_err blob_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    blob *b = self;
    const uint8_t *p = event->payload.data;
    if (event->payload.size == 1 && p[0] >= BENCH_BLOB_SINK && p[0] <= BENCH_BLOB_CLOCK) {
        b->mode = p[0];
        return ROVE_OK;
    }
    if (event->payload.size == 5 && p[0] == BENCH_BLOB_RESIZE) {
        uint32_t size =
            (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
        return size ? resize(b, size) : rove_fail(ctx, "a blob has at least one byte");
    }
    if (b->mode == BENCH_BLOB_CLOCK)
        note_time();
    return b->mode == BENCH_BLOB_ECHO ? rove_emit(ctx, event->payload) : ROVE_OK;
}

/* ---- the state as a stream ---- */

typedef struct reading {
    const rove_alloc *alloc;
    block *block;
    size_t at;
    uint8_t mode;
} reading;

static rove_err blob_snapshot_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    blob *b = self;
    (void)ctx;
    reading *r = b->alloc->alloc(b->alloc->user, sizeof *r);
    if (!r)
        return ROVE_E_NOMEM;
    *r = (reading){.alloc = b->alloc, .block = b->block, .mode = b->mode};
    b->block->refs++;
    *ret_size = b->block->size;
    *ret = r;
    return ROVE_OK;
}

static rove_err blob_snapshot_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    reading *r = stream;
    size_t left = r->block->size - r->at;
    size_t part = left < size ? left : size;
    memcpy(room, r->block->bytes + r->at, part);
    if (part && r->at == 0)
        *(uint8_t *)room = r->mode;
    r->at += part;
    *ret_size = part;
    return ROVE_OK;
}

static void blob_snapshot_close(void *stream)
{
    reading *r = stream;
    block_unref(r->alloc, r->block);
    r->alloc->free(r->alloc->user, r, sizeof *r);
}

typedef struct writing {
    blob *b;
    block *block;
    size_t at;
} writing;

static rove_err blob_restore_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    blob *b = self;
    if (!size)
        return rove_fail(ctx, "a blob has at least one byte");
    writing *w = b->alloc->alloc(b->alloc->user, sizeof *w);
    block *k = block_new(b->alloc, size);
    if (!w || !k) {
        block_unref(b->alloc, k);
        if (w)
            b->alloc->free(b->alloc->user, w, sizeof *w);
        return ROVE_E_NOMEM;
    }
    *w = (writing){.b = b, .block = k};
    *ret = w;
    return ROVE_OK;
}

static rove_err blob_restore_write(void *stream, rove_span bytes)
{
    writing *w = stream;
    memcpy(w->block->bytes + w->at, bytes.data, bytes.size);
    w->at += bytes.size;
    return ROVE_OK;
}

static rove_err blob_restore_close(void *stream, rove_ctx *ctx, bool complete)
{
    writing *w = stream;
    blob *b = w->b;
    block *out = w->block;
    (void)ctx;
    if (complete) {
        b->mode = out->bytes[0];
        out = b->block;
        b->block = w->block;
    }
    block_unref(b->alloc, out);
    b->alloc->free(b->alloc->user, w, sizeof *w);
    return ROVE_OK;
}

ROVE_KIND("blob", .create = blob_create, .destroy = blob_destroy, .process = blob_process,
          .is_stateful = true, .is_prompt = true, .snapshot_open = blob_snapshot_open,
          .snapshot_read = blob_snapshot_read, .snapshot_close = blob_snapshot_close,
          .restore_open = blob_restore_open, .restore_write = blob_restore_write,
          .restore_close = blob_restore_close)
