/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames, read and written. A type byte first, then fields of fixed width, little-endian:
 *
 *   PADDING           any number of zero bytes
 *   PING              -
 *   ACK               u8 count, u32 delay, u64 largest, u32 more, then count - 1 times (u32 gap,
 *                     u32 more): `more` numbers below the top of a range belong to it, and
 *                     gap + 1 numbers are missing between two ranges
 *   LIMITS            u64 stream window, u64 peer window, u32 streams
 *   MAX_DATA          u64 limit
 *   MAX_STREAM_DATA   u64 stream, u64 limit
 *   RESET             u64 stream, u16 tag, u64 final offset
 *   REFUSED           u64 stream
 *   STREAM, with FIN  u64 stream, u64 offset, u16 tag, u16 size, the bytes */
#include <base/check.h>
#include <mesh/frames.h>

/* ---- ACK ---- */

static void read_ack(rovei_reader *r, rovei_frame_ack *ret)
{
    uint8_t count = rovei_read_u8(r);
    ret->delay = rovei_read_u32(r);
    uint64_t top = rovei_read_u64(r);
    if (!rovei_reader_ok(r))
        return;
    if (count == 0) {
        rovei_reader_fail(r, ROVE_E_FORMAT);
        return;
    }
    if (count > ROVEI_RANGES_MAX) {
        rovei_reader_fail(r, ROVE_E_BOUND);
        return;
    }
    ret->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            uint64_t step = (uint64_t)rovei_read_u32(r) + 2; /* from a bottom to the next top */
            if (rovei_reader_ok(r) && top <= step)
                rovei_reader_fail(r, ROVE_E_BOUND);
            top -= step;
        }
        uint32_t more = rovei_read_u32(r);
        if (rovei_reader_ok(r) && top <= more)
            rovei_reader_fail(r, ROVE_E_BOUND);
        if (!rovei_reader_ok(r))
            return;
        ret->ranges[i] = (rovei_range){.first = top - more, .last = top};
        top -= more;
    }
}

uint32_t rovei_frame_write_ack(rovei_writer *w, const rovei_range *ranges, uint32_t count,
                               uint32_t delay)
{
    size_t room = rovei_writer_room(w);
    if (count == 0 || room < ROVEI_FRAME_ACK_SIZE)
        return 0;
    size_t fit = 1 + (room - ROVEI_FRAME_ACK_SIZE) / ROVEI_FRAME_ACK_RANGE;
    uint32_t n = count < fit ? count : (uint32_t)fit;
    n = n < ROVEI_RANGES_MAX ? n : ROVEI_RANGES_MAX;
    uint8_t *at = w->at;
    rovei_write_u8(w, ROVEI_FRAME_ACK);
    rovei_write_u8(w, 0);
    rovei_write_u32(w, delay);
    rovei_write_u64(w, ranges[0].last);
    uint32_t written = 0;
    for (; written < n; written++) {
        const rovei_range *range = &ranges[written];
        uint64_t more = range->last - range->first;
        if (written > 0) {
            uint64_t gap = ranges[written - 1].first - range->last - 2;
            if (gap > UINT32_MAX)
                break;
            rovei_write_u32(w, (uint32_t)gap);
        }
        rovei_write_u32(w, more > UINT32_MAX ? UINT32_MAX : (uint32_t)more);
        if (more > UINT32_MAX) {
            written++;
            break;
        }
    }
    at[1] = (uint8_t)written;
    return written;
}

/* ---- STREAM ---- */

static void read_stream(rovei_reader *r, bool fin, rovei_frame_stream *ret)
{
    if (rovei_reader_left(r) < ROVEI_FRAME_STREAM_SIZE - 1) {
        rovei_reader_fail(r, ROVE_E_SHORT);
        return;
    }
    const uint8_t *at = r->at;
    ret->stream = rovei_load64(at);
    ret->offset = rovei_load64(at + 8);
    ret->tag = rovei_load16(at + 16);
    ret->fin = fin;
    uint16_t size = rovei_load16(at + 18);
    r->at += ROVEI_FRAME_STREAM_SIZE - 1;
    if (ret->stream == 0)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    else if (ret->offset > ROVEI_OFFSET_MAX - size)
        rovei_reader_fail(r, ROVE_E_BOUND);
    ret->data = rovei_read_span(r, size);
}

void rovei_frame_put_stream(uint8_t *at, uint64_t stream, uint64_t offset, uint16_t tag,
                            uint16_t size, bool fin)
{
    at[0] = fin ? ROVEI_FRAME_STREAM_FIN : ROVEI_FRAME_STREAM;
    rovei_store64(at + 1, stream);
    rovei_store64(at + 9, offset);
    rovei_store16(at + 17, tag);
    rovei_store16(at + 19, size);
}

static void write_stream(rovei_writer *w, const rovei_frame_stream *f)
{
    ROVEI_CHECK(f->data.size <= UINT16_MAX);
    rovei_write_u8(w, f->fin ? ROVEI_FRAME_STREAM_FIN : ROVEI_FRAME_STREAM);
    rovei_write_u64(w, f->stream);
    rovei_write_u64(w, f->offset);
    rovei_write_u16(w, f->tag);
    rovei_write_u16(w, (uint16_t)f->data.size);
    rovei_write_span(w, f->data);
}

/* ---- all ---- */

static uint64_t read_stream_id(rovei_reader *r)
{
    uint64_t id = rovei_read_u64(r);
    if (rovei_reader_ok(r) && id == 0)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    return id;
}

rove_err rovei_frame_read(rovei_reader *r, rovei_frame *ret)
{
    uint8_t type = rovei_read_u8(r);
    if (!rovei_reader_ok(r))
        return r->err;
    if (type > ROVEI_FRAME_STREAM_FIN) {
        rovei_reader_fail(r, ROVE_E_FORMAT);
        return r->err;
    }
    ret->type = (rovei_frame_type)type;
    switch (ret->type) {
    case ROVEI_FRAME_STREAM:
    case ROVEI_FRAME_STREAM_FIN:
        read_stream(r, type == ROVEI_FRAME_STREAM_FIN, &ret->stream);
        break;
    case ROVEI_FRAME_ACK:
        read_ack(r, &ret->ack);
        break;
    case ROVEI_FRAME_PADDING:
        for (ret->padding = 1; r->at < r->end && *r->at == 0; ret->padding++)
            r->at++;
        break;
    case ROVEI_FRAME_PING:
        break;
    case ROVEI_FRAME_LIMITS:
        ret->limits.stream_window = rovei_read_u64(r);
        ret->limits.peer_window = rovei_read_u64(r);
        ret->limits.streams = rovei_read_u32(r);
        break;
    case ROVEI_FRAME_MAX_DATA:
        ret->max_data = rovei_read_u64(r);
        break;
    case ROVEI_FRAME_MAX_STREAM_DATA:
        ret->max_stream_data.stream = read_stream_id(r);
        ret->max_stream_data.limit = rovei_read_u64(r);
        break;
    case ROVEI_FRAME_RESET:
        ret->reset.stream = read_stream_id(r);
        ret->reset.tag = rovei_read_u16(r);
        ret->reset.final = rovei_read_u64(r);
        if (rovei_reader_ok(r) && ret->reset.final > ROVEI_OFFSET_MAX)
            rovei_reader_fail(r, ROVE_E_BOUND);
        break;
    case ROVEI_FRAME_REFUSED:
        ret->refused = read_stream_id(r);
        break;
    }
    return r->err;
}

void rovei_frame_write(rovei_writer *w, const rovei_frame *f)
{
    switch (f->type) {
    case ROVEI_FRAME_STREAM:
    case ROVEI_FRAME_STREAM_FIN:
        write_stream(w, &f->stream);
        return;
    case ROVEI_FRAME_ACK:
        if (rovei_frame_write_ack(w, f->ack.ranges, f->ack.count, f->ack.delay) != f->ack.count)
            w->err = w->err ? w->err : ROVE_E_FULL;
        return;
    case ROVEI_FRAME_PADDING:
        for (size_t i = 0; i < f->padding; i++)
            rovei_write_u8(w, ROVEI_FRAME_PADDING);
        return;
    case ROVEI_FRAME_PING:
        rovei_write_u8(w, ROVEI_FRAME_PING);
        return;
    case ROVEI_FRAME_LIMITS:
        rovei_write_u8(w, ROVEI_FRAME_LIMITS);
        rovei_write_u64(w, f->limits.stream_window);
        rovei_write_u64(w, f->limits.peer_window);
        rovei_write_u32(w, f->limits.streams);
        return;
    case ROVEI_FRAME_MAX_DATA:
        rovei_write_u8(w, ROVEI_FRAME_MAX_DATA);
        rovei_write_u64(w, f->max_data);
        return;
    case ROVEI_FRAME_MAX_STREAM_DATA:
        rovei_write_u8(w, ROVEI_FRAME_MAX_STREAM_DATA);
        rovei_write_u64(w, f->max_stream_data.stream);
        rovei_write_u64(w, f->max_stream_data.limit);
        return;
    case ROVEI_FRAME_RESET:
        rovei_write_u8(w, ROVEI_FRAME_RESET);
        rovei_write_u64(w, f->reset.stream);
        rovei_write_u16(w, f->reset.tag);
        rovei_write_u64(w, f->reset.final);
        return;
    case ROVEI_FRAME_REFUSED:
        rovei_write_u8(w, ROVEI_FRAME_REFUSED);
        rovei_write_u64(w, f->refused);
        return;
    }
}
