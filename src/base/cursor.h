/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way that bytes are read and written. Both cursors are sticky: after the first error every
 * further read gives zero, every further write does nothing, and the first error stays; a codec
 * checks once at its end. Loops over counted items test rovei_reader_ok in their condition.
 * Integers are little-endian and of fixed width. */
#ifndef ROVEI_BASE_CURSOR_H
#define ROVEI_BASE_CURSOR_H

#include <rove/types.h>

typedef struct rovei_reader {
    const uint8_t *at;
    const uint8_t *end;
    rove_err err;
} rovei_reader;

rovei_reader rovei_reader_of(rove_span bytes);
static inline bool rovei_reader_ok(const rovei_reader *r)
{
    return r->err == ROVE_OK;
}
static inline size_t rovei_reader_left(const rovei_reader *r)
{
    return (size_t)(r->end - r->at);
}
/* Keeps `err` unless an earlier one is kept. */
void rovei_reader_fail(rovei_reader *r, rove_err err);

uint8_t rovei_read_u8(rovei_reader *r);
uint16_t rovei_read_u16(rovei_reader *r);
uint32_t rovei_read_u32(rovei_reader *r);
uint64_t rovei_read_u64(rovei_reader *r);
/* Copies `size` bytes out; zeroes on error. */
void rovei_read_bytes(rovei_reader *r, void *ret, size_t size);
/* A view of the next `size` bytes, borrowed from the input; empty on error. */
rove_span rovei_read_span(rovei_reader *r, uint64_t size);
rove_entity rovei_read_entity(rovei_reader *r);
rove_link rovei_read_link(rovei_reader *r);
/* A count of items of at least `item_size` bytes each: E_SHORT when the rest cannot hold them,
 * E_BOUND above `limit`; 0 on error. */
uint32_t rovei_read_count32(rovei_reader *r, size_t item_size, uint32_t limit);
/* E_TRAILING when bytes are left; then the sticky error. */
ROVE_MUST_USE rove_err rovei_reader_end(rovei_reader *r);

typedef struct rovei_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    rove_err err; /* E_FULL when something did not fit */
} rovei_writer;

rovei_writer rovei_writer_of(void *bytes, size_t size);
static inline size_t rovei_writer_size(const rovei_writer *w)
{
    return (size_t)(w->at - w->start);
}
static inline size_t rovei_writer_room(const rovei_writer *w)
{
    return (size_t)(w->end - w->at);
}

void rovei_write_u8(rovei_writer *w, uint8_t v);
void rovei_write_u16(rovei_writer *w, uint16_t v);
void rovei_write_u32(rovei_writer *w, uint32_t v);
void rovei_write_u64(rovei_writer *w, uint64_t v);
void rovei_write_bytes(rovei_writer *w, const void *bytes, size_t size);
void rovei_write_span(rovei_writer *w, rove_span bytes);
void rovei_write_entity(rovei_writer *w, const rove_entity *e);
void rovei_write_link(rovei_writer *w, const rove_link *link);

/* Loads and stores at a place that is known to be long enough: here, so that each becomes one
 * instruction. */
static inline uint16_t rovei_load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t rovei_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t rovei_load64(const uint8_t *p)
{
    return (uint64_t)rovei_load32(p) | (uint64_t)rovei_load32(p + 4) << 32;
}

static inline void rovei_store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void rovei_store32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void rovei_store64(uint8_t *p, uint64_t v)
{
    rovei_store32(p, (uint32_t)v);
    rovei_store32(p + 4, (uint32_t)(v >> 32));
}

static inline void rovei_store_link(uint8_t *p, const rove_link *link)
{
    rovei_store64(p, link->origin);
    rovei_store64(p + 8, link->horizon);
    rovei_store64(p + 16, link->sequence);
    rovei_store64(p + 24, link->parent);
}

static inline rove_link rovei_load_link(const uint8_t *p)
{
    return (rove_link){rovei_load64(p), rovei_load64(p + 8), rovei_load64(p + 16),
                       rovei_load64(p + 24)};
}

#endif
