/* SPDX-License-Identifier: Apache-2.0
 *
 * The horizon, as a table of small records by origin, and its sketch. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/crypto.h>
#include <state/horizon.h>
#include <stdlib.h>

#define RECORD_SIZE 16
#define HEAD_SIZE   12

struct record {
    uint64_t origin, sequence;
};

struct rovei_horizon {
    rove_alloc alloc;
    rovei_map records; /* 8 bytes of origin -> struct record */
    uint64_t logical, sketch, origins_max;
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
    h->alloc = *a;
    h->origins_max = origins_max < UINT32_MAX ? origins_max : UINT32_MAX;
    rovei_map_init(&h->records, &h->alloc, sizeof(uint64_t), seed);
    *ret = h;
    return ROVE_OK;
}

void rovei_horizon_free(rovei_horizon *h)
{
    if (!h)
        return;
    size_t it = 0;
    for (struct record *r; (r = rovei_map_next(&h->records, &it));)
        ROVEI_DELETE(&h->alloc, r);
    rovei_map_fini(&h->records);
    rove_alloc alloc = h->alloc;
    ROVEI_DELETE(&alloc, h);
}

/* Adds an origin that is not there yet. */
static rove_err add(rovei_horizon *h, uint64_t origin, uint64_t sequence)
{
    if (h->records.count >= h->origins_max)
        return ROVE_E_HORIZON_FULL;
    struct record *r = ROVEI_NEW(&h->alloc, struct record);
    if (!r)
        return ROVE_E_NOMEM;
    *r = (struct record){origin, sequence};
    rove_err err = rovei_map_put(&h->records, &origin, r);
    if (err) {
        ROVEI_DELETE(&h->alloc, r);
        return err;
    }
    h->sketch |= rovei_sketch_of(origin);
    return ROVE_OK;
}

static uint64_t one_more(uint64_t v)
{
    return v == UINT64_MAX ? v : v + 1;
}

rove_err rovei_horizon_observe(rovei_horizon *h, uint64_t origin, uint64_t sequence)
{
    struct record *r = rovei_map_get(&h->records, &origin);
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
    return ROVE_OK;
}

bool rovei_horizon_get(const rovei_horizon *h, uint64_t origin, uint64_t *ret_sequence)
{
    const struct record *r = rovei_map_get(&h->records, &origin);
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
    return h->records.count;
}

uint64_t rovei_horizon_sketch(const rovei_horizon *h)
{
    return h->sketch;
}

/* Takes over the highest sequences of `from`; the logical time is the caller's. */
static rove_err take_over(rovei_horizon *h, const rovei_horizon *from)
{
    size_t it = 0;
    for (const struct record *r; (r = rovei_map_next(&from->records, &it));) {
        rove_err err = rovei_horizon_observe(h, r->origin, r->sequence);
        if (err)
            return err;
    }
    return ROVE_OK;
}

rove_err rovei_horizon_merge(rovei_horizon *h, const rovei_horizon *other)
{
    /* Built aside, so that running out of memory or room half-way changes nothing. */
    rovei_horizon *merged;
    rove_err err = rovei_horizon_new(&merged, &h->alloc, h->records.seed, h->origins_max);
    if (err)
        return err;
    err = take_over(merged, h);
    if (err == ROVE_OK)
        err = take_over(merged, other);
    if (err == ROVE_OK) {
        rovei_map before = h->records;
        h->records = merged->records;
        h->records.alloc = &h->alloc;
        merged->records = before;
        merged->records.alloc = &merged->alloc;
        h->sketch |= merged->sketch;
        h->logical = one_more(h->logical > other->logical ? h->logical : other->logical);
    }
    rovei_horizon_free(merged);
    return err;
}

size_t rovei_horizon_size(const rovei_horizon *h)
{
    return HEAD_SIZE + h->records.count * RECORD_SIZE;
}

static int compare_records(const void *a, const void *b)
{
    uint64_t x = rovei_load64(a), y = rovei_load64(b);
    return (x > y) - (x < y);
}

void rovei_horizon_encode(const rovei_horizon *h, rovei_writer *w)
{
    rovei_write_u64(w, h->logical);
    rovei_write_u32(w, (uint32_t)h->records.count);
    uint8_t *records = w->at;
    size_t it = 0;
    for (const struct record *r; (r = rovei_map_next(&h->records, &it));) {
        rovei_write_u64(w, r->origin);
        rovei_write_u64(w, r->sequence);
    }
    /* Sorted where they lie: the bytes do not show the order of the table. */
    if (w->err == ROVE_OK && h->records.count)
        qsort(records, h->records.count, RECORD_SIZE, compare_records);
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
    uint32_t count = rovei_read_count32(r, RECORD_SIZE, (uint32_t)h->origins_max);
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
