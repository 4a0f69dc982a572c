/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of the frames of lanes. */
#include <compute/lane_codec.h>
#include <string.h>

static void write_header(rovei_writer *w, const rovei_lane_frame *f)
{
    rovei_write_u8(w, (uint8_t)f->type);
    rovei_write_u8(w, (uint8_t)f->level);
    rovei_write_u16(w, 0);
    rovei_write_entity(w, &f->daemon);
    rovei_write_u64(w, f->lane);
    rovei_sinc_write(w, f->sinc);
}

void rovei_lane_frame_write(rovei_writer *w, const rovei_lane_frame *f)
{
    write_header(w, f);
    switch (f->type) {
    case ROVEI_LANE_OPEN:
    case ROVEI_LANE_CLOSE:
    case ROVEI_LANE_NO_LANE:
    case ROVEI_LANE_MOVING:
    case ROVEI_LANE_CLOSE_DONE:
        break;
    case ROVEI_LANE_EVENTS:
        rovei_write_u64(w, f->first);
        rovei_write_u64(w, f->upto);
        rovei_write_u32(w, f->count);
        rovei_write_span(w, f->run);
        break;
    case ROVEI_LANE_CONFIRM:
    case ROVEI_LANE_ASK_POSITION:
    case ROVEI_LANE_GAP:
        rovei_write_u64(w, f->upto);
        break;
    case ROVEI_LANE_OPENED:
        rovei_write_u64(w, f->position);
        break;
    case ROVEI_LANE_REFUSED:
        rovei_write_u16(w, (uint16_t)-f->err);
        break;
    case ROVEI_LANE_OUTCOMES:
        rovei_write_u64(w, f->position);
        rovei_write_u64(w, f->first);
        rovei_write_u32(w, f->count);
        rovei_write_span(w, f->run);
        break;
    case ROVEI_LANE_POSITION:
        rovei_write_u64(w, f->position);
        rovei_write_u64(w, f->held);
        break;
    case ROVEI_LANE_NOT_HERE:
        rovei_write_u8(w, f->flags);
        if (f->flags & ROVEI_NOT_HERE_RECORD)
            rovei_record_write(w, &f->record);
        break;
    case ROVEI_LANE_RECORD:
        rovei_record_write(w, &f->record);
        break;
    case ROVEI_LANE_ENDED:
        rovei_write_u64(w, f->position);
        rovei_record_write(w, &f->record);
        break;
    }
}

/* ---- reading ---- */

static uint64_t read_sequence(rovei_reader *r)
{
    uint64_t v = rovei_read_u64(r);
    if (v > ROVEI_LANE_SEQUENCE_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    return v;
}

static rove_err read_error(rovei_reader *r)
{
    uint16_t number = rovei_read_u16(r);
    if (number > ROVEI_LANE_ERROR_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    return (rove_err)-number;
}

static void read_record(rovei_reader *r, rovei_lane_frame *f)
{
    rovei_record_read(r, &f->record);
    if (rovei_reader_ok(r) && memcmp(&f->record.daemon, &f->daemon, sizeof f->daemon) != 0)
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

/* What is left are `count` events or the outcomes of so many, exactly. */
static void read_run(rovei_reader *r, rovei_lane_frame *f)
{
    if (!rovei_reader_ok(r))
        return;
    if (!f->first || !f->count)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    if (f->count && f->first > ROVEI_LANE_SEQUENCE_MAX - (f->count - 1))
        rovei_reader_fail(r, ROVE_E_BOUND);
    f->run = (rove_span){r->at, rovei_reader_left(r)};
    for (uint32_t done = 0; done < f->count && rovei_reader_ok(r);) {
        rovei_lane_outcome o = {.events = 1};
        if (f->type == ROVEI_LANE_EVENTS) {
            if (!rovei_event_frame_skip(r))
                rovei_reader_fail(r, ROVE_E_SHORT);
        } else if (rovei_lane_outcome_read(r, &o) && o.events > f->count - done) {
            rovei_reader_fail(r, ROVE_E_FORMAT);
        }
        done += o.events;
    }
}

static void read_fields(rovei_reader *r, rovei_lane_frame *f)
{
    switch ((unsigned)f->type) {
    case ROVEI_LANE_OPEN:
    case ROVEI_LANE_CLOSE:
    case ROVEI_LANE_NO_LANE:
    case ROVEI_LANE_MOVING:
    case ROVEI_LANE_CLOSE_DONE:
        break;
    case ROVEI_LANE_EVENTS:
        f->first = read_sequence(r);
        f->upto = read_sequence(r);
        f->count = rovei_read_u32(r);
        read_run(r, f);
        break;
    case ROVEI_LANE_CONFIRM:
    case ROVEI_LANE_ASK_POSITION:
    case ROVEI_LANE_GAP:
        f->upto = read_sequence(r);
        break;
    case ROVEI_LANE_OPENED:
        f->position = read_sequence(r);
        break;
    case ROVEI_LANE_REFUSED:
        f->err = read_error(r);
        if (rovei_reader_ok(r) && !f->err)
            rovei_reader_fail(r, ROVE_E_FORMAT);
        break;
    case ROVEI_LANE_OUTCOMES:
        f->position = read_sequence(r);
        f->first = read_sequence(r);
        f->count = rovei_read_u32(r);
        read_run(r, f);
        if (rovei_reader_ok(r) && f->position < f->first + (f->count - 1))
            rovei_reader_fail(r, ROVE_E_FORMAT);
        break;
    case ROVEI_LANE_POSITION:
        f->position = read_sequence(r);
        f->held = read_sequence(r);
        if (f->held < f->position)
            rovei_reader_fail(r, ROVE_E_FORMAT);
        break;
    case ROVEI_LANE_NOT_HERE:
        f->flags = rovei_read_u8(r);
        if (f->flags & ~(ROVEI_NOT_HERE_RECORD | ROVEI_NOT_HERE_STOPPED) ||
            f->flags == ROVEI_NOT_HERE_STOPPED)
            rovei_reader_fail(r, ROVE_E_FLAG);
        if (f->flags & ROVEI_NOT_HERE_RECORD)
            read_record(r, f);
        break;
    case ROVEI_LANE_RECORD:
        read_record(r, f);
        break;
    case ROVEI_LANE_ENDED:
        f->position = read_sequence(r);
        read_record(r, f);
        break;
    default:
        rovei_reader_fail(r, ROVE_E_FLAG);
    }
}

rove_err rovei_lane_frame_read(rove_span bytes, rovei_lane_frame *ret)
{
    rovei_reader r = rovei_reader_of(bytes);
    ret->first = ret->upto = ret->position = ret->held = 0;
    ret->count = 0;
    ret->err = ROVE_OK;
    ret->flags = 0;
    ret->run = (rove_span){NULL, 0};
    ret->type = (rovei_lane_type)rovei_read_u8(&r);
    ret->level = (rovei_level)rovei_read_u8(&r);
    if ((unsigned)ret->level > ROVEI_LEVEL_STANDBY)
        rovei_reader_fail(&r, ROVE_E_FLAG);
    if (rovei_read_u16(&r)) /* reserved: a sender that is itself a daemon */
        rovei_reader_fail(&r, ROVE_E_FLAG);
    ret->daemon = rovei_read_entity(&r);
    ret->lane = rovei_read_u64(&r);
    ret->sinc = rovei_sinc_read(&r);
    if (rovei_reader_ok(&r) && !ret->lane)
        rovei_reader_fail(&r, ROVE_E_FORMAT);
    if (rovei_reader_ok(&r))
        read_fields(&r, ret);
    return rovei_reader_end(&r);
}

/* ---- outcomes ---- */

void rovei_lane_outcome_write(rovei_writer *w, const rovei_lane_outcome *o, bool outputs)
{
    rovei_write_u8(w, (uint8_t)o->kind);
    if (o->kind == ROVEI_OUTCOME_PLAIN) {
        rovei_write_u32(w, o->events);
        return;
    }
    rovei_write_u16(w, (uint16_t)-o->err);
    rovei_write_u32(w, o->output_count);
    rovei_write_u32(w, (uint32_t)o->text.size);
    rovei_write_u32(w, (uint32_t)o->outputs.size);
    rovei_write_span(w, o->text);
    if (outputs)
        rovei_write_span(w, o->outputs);
}

static void check_outputs(rovei_reader *r, const rovei_lane_outcome *o)
{
    rovei_reader in = rovei_reader_of(o->outputs);
    if (o->output_count > o->outputs.size / ROVEI_EVENT_FRAME_OVERHEAD) {
        rovei_reader_fail(r, ROVE_E_SHORT);
        return;
    }
    for (uint32_t i = 0; i < o->output_count; i++) {
        if (!rovei_event_frame_skip(&in)) {
            rovei_reader_fail(r, ROVE_E_SHORT);
            return;
        }
    }
    if (rovei_reader_left(&in))
        rovei_reader_fail(r, ROVE_E_TRAILING);
}

bool rovei_lane_outcome_read(rovei_reader *r, rovei_lane_outcome *ret)
{
    rovei_lane_outcome o;
    memset(&o, 0, sizeof o);
    uint8_t kind = rovei_read_u8(r);
    o.kind = (rovei_outcome_kind)kind;
    o.events = 1;
    if (kind == ROVEI_OUTCOME_PLAIN) {
        o.events = rovei_read_u32(r);
        if (rovei_reader_ok(r) && !o.events)
            rovei_reader_fail(r, ROVE_E_FORMAT);
        if (rovei_reader_ok(r))
            *ret = o;
        return rovei_reader_ok(r);
    }
    if (kind > ROVEI_OUTCOME_PLAIN)
        rovei_reader_fail(r, ROVE_E_FLAG);
    o.err = read_error(r);
    o.output_count = rovei_read_u32(r);
    uint32_t text = rovei_read_u32(r);
    uint32_t outputs = rovei_read_u32(r);
    if (text > ROVEI_LANE_TEXT_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    o.text = rovei_read_span(r, text);
    o.outputs = rovei_read_span(r, outputs);
    if (rovei_reader_ok(r)) {
        bool applied = o.kind == ROVEI_OUTCOME_APPLIED;
        if (applied ? o.err || text : !o.err || o.output_count || outputs)
            rovei_reader_fail(r, ROVE_E_FORMAT);
        check_outputs(r, &o);
    }
    if (!rovei_reader_ok(r))
        return false;
    *ret = o;
    return true;
}
