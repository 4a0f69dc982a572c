/* SPDX-License-Identifier: Apache-2.0
 *
 * The reading and the writing cursor. */
#include <base/cursor.h>
#include <string.h>

/* Where empty input points to, so that no arithmetic is done on NULL. */
static const uint8_t nothing[1];

rovei_reader rovei_reader_of(rove_span bytes)
{
    const uint8_t *at = bytes.size ? bytes.data : nothing;
    return (rovei_reader){at, at + bytes.size, ROVE_OK};
}

void rovei_reader_fail(rovei_reader *r, rove_err err)
{
    if (r->err == ROVE_OK)
        r->err = err;
}

/* The next `size` bytes, or NULL with the error kept. */
static const uint8_t *take(rovei_reader *r, uint64_t size)
{
    if (r->err != ROVE_OK)
        return NULL;
    if (size > rovei_reader_left(r)) {
        r->err = ROVE_E_SHORT;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += size;
    return at;
}

uint8_t rovei_read_u8(rovei_reader *r)
{
    const uint8_t *p = take(r, 1);
    return p ? *p : 0;
}

uint16_t rovei_read_u16(rovei_reader *r)
{
    const uint8_t *p = take(r, 2);
    return p ? rovei_load16(p) : 0;
}

uint32_t rovei_read_u32(rovei_reader *r)
{
    const uint8_t *p = take(r, 4);
    return p ? rovei_load32(p) : 0;
}

uint64_t rovei_read_u64(rovei_reader *r)
{
    const uint8_t *p = take(r, 8);
    return p ? rovei_load64(p) : 0;
}

void rovei_read_bytes(rovei_reader *r, void *ret, size_t size)
{
    if (!size)
        return;
    const uint8_t *p = take(r, size);
    if (p)
        memcpy(ret, p, size);
    else
        memset(ret, 0, size);
}

rove_span rovei_read_span(rovei_reader *r, uint64_t size)
{
    const uint8_t *p = take(r, size);
    return p ? (rove_span){p, (size_t)size} : (rove_span){NULL, 0};
}

rove_entity rovei_read_entity(rovei_reader *r)
{
    rove_entity e;
    rovei_read_bytes(r, e.bytes, sizeof e.bytes);
    return e;
}

rove_link rovei_read_link(rovei_reader *r)
{
    const uint8_t *p = take(r, 32);
    return p ? rovei_load_link(p) : (rove_link){0};
}

uint32_t rovei_read_count32(rovei_reader *r, size_t item_size, uint32_t limit)
{
    uint32_t count = rovei_read_u32(r);
    if (count > limit)
        rovei_reader_fail(r, ROVE_E_BOUND);
    else if (item_size && count > rovei_reader_left(r) / item_size)
        rovei_reader_fail(r, ROVE_E_SHORT);
    return rovei_reader_ok(r) ? count : 0;
}

rove_err rovei_reader_end(rovei_reader *r)
{
    if (r->at != r->end)
        rovei_reader_fail(r, ROVE_E_TRAILING);
    return r->err;
}

rovei_writer rovei_writer_of(void *bytes, size_t size)
{
    uint8_t *start = bytes;
    return (rovei_writer){start, start, size ? start + size : start, ROVE_OK};
}

/* The place for `size` bytes, or NULL with the error kept. */
static uint8_t *put(rovei_writer *w, size_t size)
{
    if (w->err != ROVE_OK || !size)
        return NULL;
    if (size > rovei_writer_room(w)) {
        w->err = ROVE_E_FULL;
        return NULL;
    }
    uint8_t *at = w->at;
    w->at += size;
    return at;
}

void rovei_write_u8(rovei_writer *w, uint8_t v)
{
    uint8_t *p = put(w, 1);
    if (p)
        *p = v;
}

void rovei_write_u16(rovei_writer *w, uint16_t v)
{
    uint8_t *p = put(w, 2);
    if (p)
        rovei_store16(p, v);
}

void rovei_write_u32(rovei_writer *w, uint32_t v)
{
    uint8_t *p = put(w, 4);
    if (p)
        rovei_store32(p, v);
}

void rovei_write_u64(rovei_writer *w, uint64_t v)
{
    uint8_t *p = put(w, 8);
    if (p)
        rovei_store64(p, v);
}

void rovei_write_bytes(rovei_writer *w, const void *bytes, size_t size)
{
    uint8_t *p = put(w, size);
    if (p)
        memcpy(p, bytes, size);
}

void rovei_write_span(rovei_writer *w, rove_span bytes)
{
    rovei_write_bytes(w, bytes.data, bytes.size);
}

void rovei_write_entity(rovei_writer *w, const rove_entity *e)
{
    rovei_write_bytes(w, e->bytes, sizeof e->bytes);
}

void rovei_write_link(rovei_writer *w, const rove_link *link)
{
    uint8_t *p = put(w, 32);
    if (p)
        rovei_store_link(p, link);
}
