/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting and putting together. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <migration/net_chunks.h>
#include <string.h>

/* Memory that a chunk takes beside its bytes, counted so that tiny chunks cannot evade a bound. */
#define CHUNK_COST (sizeof(rove_buf) + 64)

struct entry {
    uint64_t origin;
    uint64_t latest; /* highest sequence that has been seen */
    bool pending;
    uint32_t total;
    uint64_t bytes; /* payload */
    uint64_t progress_at;
    rovei_map chunks; /* index -> rove_buf */
};

/* ---- cutting ---- */

uint32_t rovei_netmove_chunk_count(uint64_t size)
{
    ROVEI_CHECK(size <= ROVEI_NETMOVE_SNAPSHOT_MAX);
    return size ? (uint32_t)((size + ROVEI_NETMOVE_CHUNK_MAX - 1) / ROVEI_NETMOVE_CHUNK_MAX) : 1;
}

rove_span rovei_netmove_chunk_at(rove_span bytes, uint32_t index)
{
    size_t at = (size_t)index * ROVEI_NETMOVE_CHUNK_MAX;
    ROVEI_CHECK(at < bytes.size || (index == 0 && bytes.size == 0));
    size_t size = bytes.size - at;
    return (rove_span){(const uint8_t *)bytes.data + at,
                       size < ROVEI_NETMOVE_CHUNK_MAX ? size : ROVEI_NETMOVE_CHUNK_MAX};
}

/* ---- entries ---- */

void rovei_chunks_init(rovei_chunks *c, const rove_alloc *a, uint64_t seed)
{
    *c = (rovei_chunks){.alloc = a,
                        .bytes_max = 4 * ROVEI_NETMOVE_SNAPSHOT_MAX,
                        .entries_max = 64,
                        .age_max = 300 * ROVE_SECOND};
    rovei_map_init(&c->entries, a, sizeof(uint64_t), seed);
}

static uint64_t cost(const struct entry *e)
{
    return e->bytes + e->chunks.count * CHUNK_COST;
}

static void drop_chunks(rovei_chunks *c, struct entry *e)
{
    size_t it = 0;
    c->bytes -= cost(e);
    for (rove_buf *buf; (buf = rovei_map_next(&e->chunks, &it));)
        rove_buf_unref(buf);
    rovei_map_fini(&e->chunks);
    rovei_map_init(&e->chunks, c->alloc, sizeof(uint32_t), c->entries.seed);
    e->pending = false;
    e->bytes = 0;
}

static void entry_free(rovei_chunks *c, struct entry *e)
{
    drop_chunks(c, e);
    rovei_map_fini(&e->chunks);
    ROVEI_DELETE(c->alloc, e);
}

static struct entry *find(const rovei_chunks *c, uint64_t origin)
{
    return rovei_map_get(&c->entries, &origin);
}

static rove_err entry_new(rovei_chunks *c, uint64_t origin, struct entry **ret)
{
    if (c->entries.count >= c->entries_max)
        return ROVE_E_FULL;
    struct entry *e = ROVEI_NEW(c->alloc, struct entry);
    if (!e || rovei_map_put(&c->entries, &origin, e)) {
        if (e)
            ROVEI_DELETE(c->alloc, e);
        return ROVE_E_NOMEM;
    }
    e->origin = origin;
    rovei_map_init(&e->chunks, c->alloc, sizeof(uint32_t), c->entries.seed);
    *ret = e;
    return ROVE_OK;
}

void rovei_chunks_fini(rovei_chunks *c)
{
    size_t it = 0;
    for (struct entry *e; (e = rovei_map_next(&c->entries, &it));)
        entry_free(c, e);
    rovei_map_fini(&c->entries);
}

void rovei_chunks_cancel(rovei_chunks *c, uint64_t origin)
{
    struct entry *e = find(c, origin);
    if (e)
        drop_chunks(c, e);
}

void rovei_chunks_forget(rovei_chunks *c, uint64_t origin)
{
    struct entry *e = rovei_map_remove(&c->entries, &origin);
    if (e)
        entry_free(c, e);
}

/* ---- time ---- */

size_t rovei_chunks_sweep(rovei_chunks *c, rovei_now now, uint64_t age)
{
    size_t it = 0, count = 0;
    for (struct entry *e; (e = rovei_map_next(&c->entries, &it));) {
        if (!e->pending || now.mono - e->progress_at < age)
            continue;
        drop_chunks(c, e);
        count++;
    }
    return count;
}

uint64_t rovei_chunks_deadline(const rovei_chunks *c)
{
    uint64_t first = ROVE_TIME_NEVER;
    size_t it = 0;
    for (const struct entry *e; (e = rovei_map_next(&c->entries, &it));)
        if (e->pending)
            first = rovei_time_min(first, rovei_time_add(e->progress_at, c->age_max));
    return first;
}

/* ---- feeding ---- */

static rove_err numbers(const rovei_netmove_chunk *k, rovei_text *why)
{
    if (k->total == 0) {
        rovei_text_set(why, "total_chunks == 0");
        return ROVE_E_BOUND;
    }
    if (k->total > ROVEI_NETMOVE_CHUNKS_MAX) {
        rovei_text_set(why, "total_chunks ");
        rovei_text_add_number(why, k->total);
        rovei_text_add(why, " exceeds MAX_TOTAL_CHUNKS (700000)");
        return ROVE_E_BOUND;
    }
    if (k->index >= k->total) {
        rovei_text_set(why, "chunk_index ");
        rovei_text_add_number(why, k->index);
        rovei_text_add(why, " out of range for total_chunks ");
        rovei_text_add_number(why, k->total);
        return ROVE_E_BOUND;
    }
    return ROVE_OK;
}

static rove_err length(const rovei_netmove_chunk *k, rovei_text *why)
{
    if (k->bytes.size && k->bytes.size <= ROVEI_NETMOVE_CHUNK_MAX)
        return ROVE_OK;
    rovei_text_set(why, "chunk length ");
    rovei_text_add_number(why, k->bytes.size);
    rovei_text_add(why, " exceeds MAX_SNAPSHOT_CHUNK_SIZE (7000)");
    return ROVE_E_BOUND;
}

static rove_err other_total(const struct entry *e, const rovei_netmove_chunk *k, rovei_text *why)
{
    rovei_text_set(why, "total_chunks ");
    rovei_text_add_number(why, k->total);
    rovei_text_add(why, " does not match first chunk's declared ");
    rovei_text_add_number(why, e->total);
    return ROVE_E_FORMAT;
}

static rove_err room_for(const rovei_chunks *c, const struct entry *e, const rovei_netmove_chunk *k,
                         const rove_buf *old, rovei_text *why)
{
    uint64_t gone = rovei_buf_size(old);
    if (e->bytes - gone + k->bytes.size > ROVEI_NETMOVE_SNAPSHOT_MAX) {
        rovei_text_set(why, "buffered ");
        rovei_text_add_number(why, e->bytes);
        rovei_text_add(why, " + incoming ");
        rovei_text_add_number(why, k->bytes.size);
        rovei_text_add(why, " would exceed per-entry cap ");
        rovei_text_add_number(why, ROVEI_NETMOVE_SNAPSHOT_MAX);
        return ROVE_E_TOO_LARGE;
    }
    if (c->bytes - gone + k->bytes.size + (old ? 0 : CHUNK_COST) > c->bytes_max) {
        rovei_text_set(why, "no room for another chunk beside those of other daemons");
        return ROVE_E_FULL;
    }
    return ROVE_OK;
}

static rove_err store(rovei_chunks *c, rovei_now now, struct entry *e, const rovei_netmove_chunk *k,
                      rovei_text *why)
{
    rove_buf *old = rovei_map_get(&e->chunks, &k->index);
    rove_err err = room_for(c, e, k, old, why);
    if (err)
        return err;
    rove_buf *buf = rovei_buf_copy(c->alloc, k->bytes.data, k->bytes.size);
    if (!buf || rovei_map_put(&e->chunks, &k->index, buf)) {
        rove_buf_unref(buf);
        return ROVE_E_NOMEM;
    }
    e->bytes = e->bytes - rovei_buf_size(old) + k->bytes.size;
    c->bytes = c->bytes - rovei_buf_size(old) + k->bytes.size + (old ? 0 : CHUNK_COST);
    rove_buf_unref(old);
    e->pending = true;
    e->progress_at = now.mono;
    return ROVE_OK;
}

/* All indices are there: their bytes in order. Without memory the last chunk has to come again. */
static rove_err whole(rovei_chunks *c, struct entry *e, rove_buf **ret)
{
    rove_buf *all = rovei_buf_alloc(c->alloc, (size_t)e->bytes);
    if (!all)
        return ROVE_E_NOMEM;
    uint8_t *at = rovei_buf_data(all);
    for (uint32_t i = 0; i < e->total; i++) {
        rove_span piece = rove_buf_span(rovei_map_get(&e->chunks, &i));
        memcpy(at, piece.data, piece.size);
        at += piece.size;
    }
    drop_chunks(c, e);
    *ret = all;
    return ROVE_OK;
}

/* A snapshot that is one chunk is never stored: not beside one of several chunks either, which it
 * would replace. */
static rove_err single(rovei_chunks *c, struct entry *e, const rovei_netmove_chunk *k,
                       rove_buf **ret, rovei_text *why)
{
    if (e->pending && e->total != 1)
        return other_total(e, k, why);
    *ret = rovei_buf_copy(c->alloc, k->bytes.data, k->bytes.size);
    return *ret ? ROVE_OK : ROVE_E_NOMEM;
}

rove_err rovei_chunks_feed(rovei_chunks *c, rovei_now now, uint64_t origin,
                           const rovei_netmove_chunk *k, rove_buf **ret, rovei_text *why)
{
    *ret = NULL;
    rove_err err = numbers(k, why);
    if (err)
        return err;
    (void)rovei_chunks_sweep(c, now, c->age_max);
    err = length(k, why);
    if (err)
        return err;
    struct entry *e = find(c, origin);
    if (e && k->seq_through < e->latest) {
        rovei_text_set(why, "seq_through ");
        rovei_text_add_number(why, k->seq_through);
        rovei_text_add(why, " is older than latest accepted ");
        rovei_text_add_number(why, e->latest);
        rovei_text_add(why, " for this daemon");
        return ROVE_E_STALE;
    }
    if (!e)
        err = entry_new(c, origin, &e);
    if (err) {
        rovei_text_set(why, "too many snapshots are being put together");
        return err;
    }
    if (k->seq_through > e->latest) {
        drop_chunks(c, e);
        e->latest = k->seq_through;
    }
    if (k->total == 1)
        return single(c, e, k, ret, why);
    if (e->pending && e->total != k->total)
        return other_total(e, k, why);
    if (!e->pending)
        e->total = k->total;
    err = store(c, now, e, k, why);
    return err || e->chunks.count < e->total ? err : whole(c, e, ret);
}

/* ---- looking ---- */

size_t rovei_chunks_pending(const rovei_chunks *c)
{
    size_t it = 0, count = 0;
    for (const struct entry *e; (e = rovei_map_next(&c->entries, &it));)
        count += e->pending;
    return count;
}

uint64_t rovei_chunks_have(const rovei_chunks *c, uint64_t origin)
{
    const struct entry *e = find(c, origin);
    return e ? e->bytes : 0;
}

void rovei_chunks_check(const rovei_chunks *c)
{
    uint64_t bytes = 0;
    size_t it = 0;
    for (const struct entry *e; (e = rovei_map_next(&c->entries, &it));) {
        ROVEI_CHECK(e->pending == (e->chunks.count != 0));
        ROVEI_CHECK(!e->pending || e->chunks.count <= e->total);
        bytes += cost(e);
    }
    ROVEI_CHECK(bytes == c->bytes && bytes <= c->bytes_max);
    ROVEI_CHECK(c->entries.count <= c->entries_max);
}
