/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of the messages between a publisher and its subscribers in class rove. */
#include <channel/channel_codec.h>
#include <channel/membership_codec.h>

void rovei_channel_frame_write(rovei_writer *w, const rovei_channel_frame *f)
{
    rovei_write_u8(w, (uint8_t)f->type);
    rovei_write_u64(w, f->channel);
    rovei_write_u64(w, f->incarnation);
    switch (f->type) {
    case ROVEI_CHANNEL_MEMBERSHIP: /* never written here */
        break;
    case ROVEI_CHANNEL_BEGIN:
        rovei_write_u64(w, f->number);
        rovei_write_u64(w, f->oldest);
        rovei_write_u8(w, f->flags);
        rovei_write_u8(w, (uint8_t)f->name.size);
        rovei_write_span(w, f->name);
        break;
    case ROVEI_CHANNEL_EVENTS:
        rovei_write_u64(w, f->number);
        rovei_write_u32(w, f->count);
        rovei_write_span(w, f->run);
        break;
    case ROVEI_CHANNEL_ENDED:
        rovei_write_u8(w, (uint8_t)f->reason);
        break;
    case ROVEI_CHANNEL_TOOK:
    case ROVEI_CHANNEL_RESUME:
        rovei_write_u64(w, f->number);
        break;
    }
}

void rovei_channel_event_write(rovei_writer *w, uint32_t left_out, rove_span payload)
{
    if (rovei_writer_room(w) < ROVEI_CHANNEL_ITEM_SIZE + payload.size) {
        w->err = w->err ? w->err : ROVE_E_FULL;
        return;
    }
    rovei_write_u32(w, left_out);
    rovei_write_u32(w, (uint32_t)payload.size);
    rovei_write_span(w, payload);
}

bool rovei_channel_event_read(rovei_reader *r, uint64_t *number, rove_span *ret_payload)
{
    if (!rovei_reader_left(r))
        return false;
    uint32_t left_out = rovei_read_u32(r);
    rove_span payload = rovei_read_span(r, rovei_read_u32(r));
    if (*number > ROVEI_CHANNEL_NUMBER_MAX - left_out)
        rovei_reader_fail(r, ROVE_E_BOUND);
    if (!rovei_reader_ok(r))
        return false;
    *number += left_out;
    *ret_payload = payload;
    return true;
}

/* ---- reading ---- */

static uint64_t read_number(rovei_reader *r)
{
    uint64_t v = rovei_read_u64(r);
    if (v > ROVEI_CHANNEL_NUMBER_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    return v;
}

static void read_begin(rovei_reader *r, rovei_channel_frame *f)
{
    f->number = read_number(r);
    f->oldest = read_number(r);
    f->flags = rovei_read_u8(r);
    f->name = rovei_read_span(r, rovei_read_u8(r));
    if (f->flags & ~ROVEI_BEGIN_GROUP)
        rovei_reader_fail(r, ROVE_E_FLAG);
    if (!f->oldest || f->oldest > f->number)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    rove_err err = rovei_reader_ok(r) ? rovei_channel_name_check(f->name) : ROVE_OK;
    if (err)
        rovei_reader_fail(r, err);
    else if (rovei_reader_ok(r) && rovei_channel_hash(f->name) != f->channel)
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

/* What is left are `count` items, exactly, and the first is of the number that the frame names. */
static void read_events(rovei_reader *r, rovei_channel_frame *f)
{
    f->number = read_number(r);
    f->count = rovei_read_u32(r);
    if (!f->number || !f->count)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    if (!rovei_reader_ok(r))
        return;
    f->run = (rove_span){r->at, rovei_reader_left(r)};
    uint64_t number = f->number;
    rove_span payload;
    for (uint32_t i = 0; i < f->count; i++, number++) {
        if (!rovei_channel_event_read(r, &number, &payload)) {
            rovei_reader_fail(r, ROVE_E_SHORT);
            return;
        }
        if (i == 0 && number != f->number)
            rovei_reader_fail(r, ROVE_E_FORMAT);
    }
}

static void read_fields(rovei_reader *r, rovei_channel_frame *f)
{
    switch ((unsigned)f->type) {
    case ROVEI_CHANNEL_BEGIN:
        read_begin(r, f);
        break;
    case ROVEI_CHANNEL_EVENTS:
        read_events(r, f);
        break;
    case ROVEI_CHANNEL_ENDED:
        f->reason = (rovei_ended_reason)rovei_read_u8(r);
        if (f->reason != ROVEI_ENDED_UNAUTHORIZED && f->reason != ROVEI_ENDED_REMOVED)
            rovei_reader_fail(r, ROVE_E_FLAG);
        break;
    case ROVEI_CHANNEL_TOOK:
    case ROVEI_CHANNEL_RESUME:
        f->number = read_number(r);
        break;
    default:
        rovei_reader_fail(r, ROVE_E_FLAG);
        break;
    }
}

rove_err rovei_channel_frame_read(rove_span bytes, rovei_channel_frame *ret)
{
    rovei_reader r = rovei_reader_of(bytes);
    uint8_t type = rovei_read_u8(&r);
    *ret = (rovei_channel_frame){.type = (rovei_channel_type)type,
                                 .channel = rovei_read_u64(&r),
                                 .incarnation = rovei_read_u64(&r)};
    read_fields(&r, ret);
    if (!ret->incarnation)
        rovei_reader_fail(&r, ROVE_E_FORMAT);
    return rovei_reader_end(&r);
}

bool rovei_channel_is_to_publisher(rove_span bytes)
{
    const uint8_t *p = bytes.data;
    if (bytes.size >= 2 && p[0] == ROVEI_CHANNEL_MEMBERSHIP)
        return p[1] != ROVEI_MEMBERSHIP_ACK;
    return !bytes.size || p[0] < ROVEI_CHANNEL_BEGIN || p[0] > ROVEI_CHANNEL_ENDED;
}
