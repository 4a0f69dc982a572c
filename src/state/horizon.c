/* SPDX-License-Identifier: Apache-2.0
 *
 * The horizon. The records lie one behind the other in the order in which their origins were first
 * seen. Few are looked through; above that an index of places stands beside them. The record that
 * was hit last is tried first, since an origin's events come in runs. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/crypto.h>
#include <state/horizon.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE 16
#define HEAD_SIZE   12
#define FEW         8u /* records that are looked through without an index */
#define ROOM_LEAST  2u

struct record {
    uint64_t origin, sequence;
};

struct rovei_horizon {
    const rove_alloc *alloc;
    uint64_t seed, logical, sketch;
    uint32_t origins_max, count, room, last;
    struct record *records; /* `room` of them */
    uint32_t *index;        /* above FEW: 2 * room places plus one, by hash; 0 is free */
};

uint64_t rovei_sketch_of(uint64_t origin)
{
    uint8_t bytes[8];
    rovei_store64(bytes, origin);
    uint64_t hash = rovei_xxh3(bytes, sizeof bytes);
    /* An odd step keeps the three positions apart. */
    uint64_t start = hash, step = hash >> 32 | 1;
    return UINT64_C(1) << (start & 63) | UINT64_C(1) << ((start + step) & 63) |
           UINT64_C(1) << ((start + 2 * step) & 63);
}

bool rovei_sketch_might_contain(uint64_t sketch, uint64_t origin)
{
    uint64_t bits = rovei_sketch_of(origin);
    return (sketch & bits) == bits;
}

rove_err rovei_horizon_new(rovei_horizon **ret, const rove_alloc *a, uint64_t seed,
                           uint64_t origins_max)
{
    rovei_horizon *h = ROVEI_NEW(a, rovei_horizon);
    if (!h)
        return ROVE_E_NOMEM;
    h->alloc = a;
    h->seed = seed;
    h->origins_max = origins_max < UINT32_MAX / 4 ? (uint32_t)origins_max : UINT32_MAX / 4;
    *ret = h;
    return ROVE_OK;
}

static size_t index_size(uint32_t room)
{
    return room > FEW ? 2 * (size_t)room * sizeof(uint32_t) : 0;
}

static void release(const rove_alloc *a, struct record *records, uint32_t *index, uint32_t room)
{
    rovei_free(a, records, room * sizeof *records);
    rovei_free(a, index, index_size(room));
}

void rovei_horizon_free(rovei_horizon *h)
{
    if (!h)
        return;
    release(h->alloc, h->records, h->index, h->room);
    ROVEI_DELETE(h->alloc, h);
}

/* ---- records ---- */

/* The place in the index of `origin`, or the free one where it belongs. */
static uint32_t *slot_of(const rovei_horizon *h, uint64_t origin)
{
    const uint64_t keyed[2] = {origin, h->seed};
    uint32_t mask = 2 * h->room - 1;
    uint32_t at = (uint32_t)rovei_xxh3(keyed, sizeof keyed) & mask;
    while (h->index[at] && h->records[h->index[at] - 1].origin != origin)
        at = (at + 1) & mask;
    return &h->index[at];
}

static struct record *find(const rovei_horizon *h, uint64_t origin)
{
    if (h->last < h->count && h->records[h->last].origin == origin)
        return &h->records[h->last];
    if (h->index) {
        uint32_t place = *slot_of(h, origin);
        return place ? &h->records[place - 1] : NULL;
    }
    for (uint32_t i = 0; i < h->count; i++)
        if (h->records[i].origin == origin)
            return &h->records[i];
    return NULL;
}

/* Twice the room; nothing changes when there is no memory. */
static rove_err grow(rovei_horizon *h)
{
    uint32_t room = h->room ? h->room * 2 : ROOM_LEAST;
    struct record *records = rovei_calloc(h->alloc, room, sizeof *records);
    uint32_t *index = index_size(room) ? rovei_calloc(h->alloc, index_size(room), 1) : NULL;
    if (!records || (index_size(room) && !index)) {
        release(h->alloc, records, index, room);
        return ROVE_E_NOMEM;
    }
    if (h->count)
        memcpy(records, h->records, h->count * sizeof *records);
    release(h->alloc, h->records, h->index, h->room);
    h->records = records;
    h->index = index;
    h->room = room;
    for (uint32_t i = 0; index && i < h->count; i++)
        *slot_of(h, records[i].origin) = i + 1;
    return ROVE_OK;
}

/* Adds an origin that is not there yet. */
static rove_err add(rovei_horizon *h, uint64_t origin, uint64_t sequence)
{
    if (h->count >= h->origins_max)
        return ROVE_E_HORIZON_FULL;
    if (h->count == h->room) {
        rove_err err = grow(h);
        if (err)
            return err;
    }
    ROVEI_CHECK(h->records);
    if (h->index)
        *slot_of(h, origin) = h->count + 1;
    h->records[h->count++] = (struct record){origin, sequence};
    h->sketch |= rovei_sketch_of(origin);
    return ROVE_OK;
}

static uint64_t one_more(uint64_t v)
{
    return v == UINT64_MAX ? v : v + 1;
}

rove_err rovei_horizon_observe(rovei_horizon *h, uint64_t origin, uint64_t sequence)
{
    struct record *r = find(h, origin);
    if (!r) {
        rove_err err = add(h, origin, sequence);
        if (err)
            return err;
        /* Sequence 0 makes an origin known, but nothing of it has been seen. */
        if (sequence)
            h->logical = one_more(h->logical);
    } else if (sequence > r->sequence) {
        r->sequence = sequence;
        h->logical = one_more(h->logical);
    }
    h->last = r ? (uint32_t)(r - h->records) : h->count - 1;
    return ROVE_OK;
}

bool rovei_horizon_get(const rovei_horizon *h, uint64_t origin, uint64_t *ret_sequence)
{
    const struct record *r = find(h, origin);
    if (!r)
        return false;
    *ret_sequence = r->sequence;
    return true;
}

uint64_t rovei_horizon_logical(const rovei_horizon *h)
{
    return h->logical;
}

size_t rovei_horizon_count(const rovei_horizon *h)
{
    return h->count;
}

uint64_t rovei_horizon_sketch(const rovei_horizon *h)
{
    return h->sketch;
}

/* Takes over the highest sequences of `from`; the logical time is the caller's. */
static rove_err take_over(rovei_horizon *h, const rovei_horizon *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        rove_err err = rovei_horizon_observe(h, from->records[i].origin, from->records[i].sequence);
        if (err)
            return err;
    }
    return ROVE_OK;
}

rove_err rovei_horizon_merge(rovei_horizon *h, const rovei_horizon *other)
{
    /* Built aside, so that running out of memory or room half-way changes nothing. */
    rovei_horizon *merged;
    rove_err err = rovei_horizon_new(&merged, h->alloc, h->seed, h->origins_max);
    if (err)
        return err;
    err = take_over(merged, h);
    if (err == ROVE_OK)
        err = take_over(merged, other);
    if (err == ROVE_OK) {
        rovei_horizon before = *h;
        *h = *merged;
        *merged = before;
        h->logical = one_more(before.logical > other->logical ? before.logical : other->logical);
    }
    rovei_horizon_free(merged);
    return err;
}

size_t rovei_horizon_size(const rovei_horizon *h)
{
    return HEAD_SIZE + (h ? (size_t)h->count * RECORD_SIZE : 0);
}

static int compare_records(const void *a, const void *b)
{
    uint64_t x = rovei_load64(a), y = rovei_load64(b);
    return (x > y) - (x < y);
}

void rovei_horizon_encode(const rovei_horizon *h, rovei_writer *w)
{
    rovei_write_u64(w, h ? h->logical : 0);
    rovei_write_u32(w, h ? h->count : 0);
    if (!h)
        return;
    uint8_t *records = w->at;
    for (uint32_t i = 0; i < h->count; i++) {
        rovei_write_u64(w, h->records[i].origin);
        rovei_write_u64(w, h->records[i].sequence);
    }
    /* Sorted where they lie: the bytes do not show in which order the origins came. */
    if (w->err == ROVE_OK && h->count)
        qsort(records, h->count, RECORD_SIZE, compare_records);
}

rove_err rovei_horizon_decode(rovei_horizon **ret, const rove_alloc *a, uint64_t seed,
                              uint64_t origins_max, rovei_reader *r)
{
    rovei_horizon *h;
    rove_err err = rovei_horizon_new(&h, a, seed, origins_max);
    if (err) {
        rovei_reader_fail(r, err);
        return r->err;
    }
    h->logical = rovei_read_u64(r);
    uint32_t count = rovei_read_count32(r, RECORD_SIZE, h->origins_max);
    uint64_t before = 0;
    for (uint32_t i = 0; i < count && rovei_reader_ok(r); i++) {
        uint64_t origin = rovei_read_u64(r);
        uint64_t sequence = rovei_read_u64(r);
        if (i && origin <= before)
            rovei_reader_fail(r, ROVE_E_FORMAT);
        else
            rovei_reader_fail(r, add(h, origin, sequence));
        before = origin;
    }
    if (!rovei_reader_ok(r)) {
        rovei_horizon_free(h);
        return r->err;
    }
    *ret = h;
    return ROVE_OK;
}
