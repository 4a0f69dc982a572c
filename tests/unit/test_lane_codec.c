/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of lanes: exact bytes, a round trip of each, and every malformed case with its own
 * error. */
#include "support.h"

#include <compute/lane_codec.h>

static const rovei_lane_type types[] = {
    ROVEI_LANE_OPEN,     ROVEI_LANE_EVENTS,   ROVEI_LANE_CONFIRM,    ROVEI_LANE_ASK_POSITION,
    ROVEI_LANE_GAP,      ROVEI_LANE_CLOSE,    ROVEI_LANE_OPENED,     ROVEI_LANE_REFUSED,
    ROVEI_LANE_OUTCOMES, ROVEI_LANE_POSITION, ROVEI_LANE_NO_LANE,    ROVEI_LANE_MOVING,
    ROVEI_LANE_NOT_HERE, ROVEI_LANE_RECORD,   ROVEI_LANE_CLOSE_DONE, ROVEI_LANE_ENDED};

static void make_record(const rove_entity *daemon, rovei_record *r)
{
    memset(r, 0, sizeof *r);
    r->daemon = *daemon;
    r->epoch = 3;
    memset(r->holder.bytes, 7, 32);
    r->addr_count = 2;
    r->addrs[0] = (rovei_addr){.family = 4, .ip = {10, 0, 0, 1}, .port = 4000};
    r->addrs[1] = (rovei_addr){.family = 6, .ip = {1, 2, 3}, .port = 1};
    r->not_after = 99;
    memset(r->giver.bytes, 8, 32);
    memset(r->giver_signature, 9, 64);
    memset(r->signature, 10, 64);
}

static size_t make_run(rovei_lane_type type, uint8_t *ret, size_t room, uint32_t count)
{
    rovei_writer w = rovei_writer_of(ret, room);
    for (uint32_t i = 0; i < count; i++) {
        rove_link link = {1, 2, i + 1, 4};
        rove_span text = {"a payload", i % 9};
        if (type == ROVEI_LANE_EVENTS) {
            rovei_event_frame_write(&w, &link, text);
            continue;
        }
        uint8_t framed[64];
        rovei_writer o = rovei_writer_of(framed, sizeof framed);
        rovei_event_frame_write(&o, &link, text);
        rovei_lane_outcome item = {.kind = (rovei_outcome_kind)(i % 3), .events = 1};
        if (item.kind == ROVEI_OUTCOME_APPLIED) {
            item.output_count = 1;
            item.outputs = (rove_span){framed, rovei_writer_size(&o)};
        } else {
            item.err = item.kind == ROVEI_OUTCOME_ERROR ? ROVE_E_PROCESS : ROVE_E_TOO_LARGE;
            item.text = text;
        }
        rovei_lane_outcome_write(&w, &item, true);
    }
    assert_int_equal(w.err, ROVE_OK);
    return rovei_writer_size(&w);
}

/* A frame with something in each of its fields; `run` keeps the items. */
static void make(rovei_lane_type type, rovei_lane_frame *f, uint8_t run[1024])
{
    memset(f, 0, sizeof *f);
    f->type = type;
    f->level = ROVEI_LEVEL_MEMORY;
    memset(f->daemon.bytes, 5, 32);
    f->lane = 0x1122334455667788;
    f->sinc = (rovei_sinc){3, 0xabcdef};
    f->first = 10;
    f->upto = 9;
    f->position = 20;
    f->held = 30;
    f->count = 5;
    f->err = ROVE_E_LANE_LIMIT;
    f->flags = ROVEI_NOT_HERE_RECORD | ROVEI_NOT_HERE_STOPPED;
    if (type == ROVEI_LANE_EVENTS || type == ROVEI_LANE_OUTCOMES)
        f->run = (rove_span){run, make_run(type, run, 1024, f->count)};
    make_record(&f->daemon, &f->record);
}

static size_t write(const rovei_lane_frame *f, uint8_t *ret, size_t room)
{
    rovei_writer w = rovei_writer_of(ret, room);
    rovei_lane_frame_write(&w, f);
    assert_int_equal(w.err, ROVE_OK);
    return rovei_writer_size(&w);
}

static void round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        rovei_lane_frame f, back;
        uint8_t run[1024], bytes[2048], again[2048];
        make(types[i], &f, run);
        size_t size = write(&f, bytes, sizeof bytes);
        assert_ok(rovei_lane_frame_read((rove_span){bytes, size}, &back));
        assert_int_equal(back.type, types[i]);
        assert_span((rove_span){again, write(&back, again, sizeof again)}, bytes, size);
        /* Exact length: no byte less, none more. */
        for (size_t cut = 0; cut < size; cut++)
            assert_true(rovei_lane_frame_read((rove_span){bytes, cut}, &back) < 0);
        bytes[size] = 0;
        rove_err more = rovei_lane_frame_read((rove_span){bytes, size + 1}, &back);
        assert_int_equal(more, ROVE_E_TRAILING);
    }
}

static void exact_bytes(void **state)
{
    (void)state;
    rovei_lane_frame f;
    uint8_t run[1024], bytes[2048];
    make(ROVEI_LANE_POSITION, &f, run);
    size_t size = write(&f, bytes, sizeof bytes);
    assert_hex(bytes, size,
               "24000000"
               "0505050505050505050505050505050505050505050505050505050505050505"
               "8877665544332211"
               "0300000000000000"
               "efcdab0000000000"
               "1400000000000000"
               "1e00000000000000");
    make(ROVEI_LANE_EVENTS, &f, run);
    f.run.size = make_run(ROVEI_LANE_EVENTS, run, sizeof run, 2);
    f.count = 2;
    size = write(&f, bytes, sizeof bytes);
    assert_hex(bytes + ROVEI_LANE_HEADER_SIZE, size - ROVEI_LANE_HEADER_SIZE,
               "0a00000000000000"
               "0900000000000000"
               "02000000"
               "20000000"
               "0100000000000000020000000000000001000000000000000400000000000000"
               "21000000"
               "0100000000000000020000000000000002000000000000000400000000000000"
               "61");
    make(ROVEI_LANE_REFUSED, &f, run);
    size = write(&f, bytes, sizeof bytes);
    assert_hex(bytes + ROVEI_LANE_HEADER_SIZE, size - ROVEI_LANE_HEADER_SIZE, "5900");
}

/* One byte of a good frame set to something else. */
static rove_err changed(rovei_lane_type type, size_t at, uint8_t value)
{
    rovei_lane_frame f, back;
    uint8_t run[1024], bytes[2048];
    make(type, &f, run);
    size_t size = write(&f, bytes, sizeof bytes);
    assert_true(at < size);
    bytes[at] = value;
    return rovei_lane_frame_read((rove_span){bytes, size}, &back);
}

#define BODY ROVEI_LANE_HEADER_SIZE

static void malformed(void **state)
{
    (void)state;
    static const struct {
        rovei_lane_type type;
        size_t at;
        uint8_t value;
        rove_err err;
    } bad[] = {
        {ROVEI_LANE_OPEN, 0, 0, ROVE_E_FLAG},
        {ROVEI_LANE_OPEN, 0, 7, ROVE_E_FLAG},
        {ROVEI_LANE_OPEN, 0, 0x2b, ROVE_E_FLAG},
        {ROVEI_LANE_OPEN, 1, 3, ROVE_E_FLAG},
        {ROVEI_LANE_OPEN, 2, 1, ROVE_E_FLAG},
        {ROVEI_LANE_OPEN, 3, 0x80, ROVE_E_FLAG},
        {ROVEI_LANE_EVENTS, BODY, 0, ROVE_E_FORMAT},        /* first = 0 */
        {ROVEI_LANE_EVENTS, BODY + 7, 0x40, ROVE_E_BOUND},  /* first beyond the last sequence */
        {ROVEI_LANE_EVENTS, BODY + 15, 0x80, ROVE_E_BOUND}, /* confirmed beyond it */
        {ROVEI_LANE_EVENTS, BODY + 16, 0, ROVE_E_FORMAT},   /* no events */
        {ROVEI_LANE_EVENTS, BODY + 16, 4, ROVE_E_TRAILING}, /* fewer than there are */
        {ROVEI_LANE_EVENTS, BODY + 16, 6, ROVE_E_SHORT},    /* more */
        {ROVEI_LANE_EVENTS, BODY + 19, 0xff, ROVE_E_SHORT}, /* far more */
        {ROVEI_LANE_EVENTS, BODY + 20, 31, ROVE_E_SHORT},   /* an event without its link */
        {ROVEI_LANE_EVENTS, BODY + 23, 0xff, ROVE_E_SHORT}, /* an event longer than the frame */
        {ROVEI_LANE_CONFIRM, BODY + 7, 0x41, ROVE_E_BOUND},
        {ROVEI_LANE_ASK_POSITION, BODY + 7, 0x41, ROVE_E_BOUND},
        {ROVEI_LANE_GAP, BODY + 7, 0x41, ROVE_E_BOUND},
        {ROVEI_LANE_OPENED, BODY + 7, 0x41, ROVE_E_BOUND},
        {ROVEI_LANE_REFUSED, BODY, 0, ROVE_E_FORMAT},       /* refused without a reason */
        {ROVEI_LANE_REFUSED, BODY + 1, 4, ROVE_E_BOUND},    /* no such error */
        {ROVEI_LANE_POSITION, BODY + 8, 19, ROVE_E_FORMAT}, /* held before the position */
        {ROVEI_LANE_OUTCOMES, BODY, 13, ROVE_E_FORMAT},     /* outcomes beyond the position */
        {ROVEI_LANE_OUTCOMES, BODY + 8, 0, ROVE_E_FORMAT},
        {ROVEI_LANE_OUTCOMES, BODY + 16, 0, ROVE_E_FORMAT},
        {ROVEI_LANE_OUTCOMES, BODY + 20, 4, ROVE_E_FLAG},   /* no such kind */
        {ROVEI_LANE_OUTCOMES, BODY + 20, 1, ROVE_E_FORMAT}, /* an error without its number */
        {ROVEI_LANE_OUTCOMES, BODY + 21, 1, ROVE_E_FORMAT}, /* applied with an error */
        {ROVEI_LANE_OUTCOMES, BODY + 22, 0x10, ROVE_E_BOUND},
        {ROVEI_LANE_OUTCOMES, BODY + 23, 0, ROVE_E_TRAILING}, /* fewer outputs than there are */
        {ROVEI_LANE_OUTCOMES, BODY + 23, 2, ROVE_E_SHORT},
        {ROVEI_LANE_OUTCOMES, BODY + 28, 0xff, ROVE_E_BOUND}, /* text too long */
        {ROVEI_LANE_OUTCOMES, BODY + 34, 0xff, ROVE_E_SHORT}, /* outputs longer than the frame */
        {ROVEI_LANE_NOT_HERE, BODY, 4, ROVE_E_FLAG},
        {ROVEI_LANE_NOT_HERE, BODY, 2, ROVE_E_FLAG},       /* stopped, without the record */
        {ROVEI_LANE_NOT_HERE, BODY, 0, ROVE_E_TRAILING},   /* no record, yet there is one */
        {ROVEI_LANE_NOT_HERE, BODY + 1, 6, ROVE_E_FORMAT}, /* of another daemon */
        {ROVEI_LANE_RECORD, BODY, 6, ROVE_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rove_err err = changed(bad[i].type, bad[i].at, bad[i].value);
        if (err != bad[i].err)
            fail_msg("case %zu: %s", i, rove_err_name(err));
    }
    rovei_lane_frame f, back;
    uint8_t run[1024], bytes[2048];
    make(ROVEI_LANE_OPEN, &f, run);
    f.lane = 0;
    size_t size = write(&f, bytes, sizeof bytes);
    assert_int_equal(rovei_lane_frame_read((rove_span){bytes, size}, &back), ROVE_E_FORMAT);
}

/* Events that left nothing share one item. */
static void plain_outcomes(void **state)
{
    (void)state;
    rovei_lane_frame f, back;
    rovei_lane_outcome o = {.kind = ROVEI_OUTCOME_PLAIN, .events = 7};
    uint8_t run[1024], other[1024], bytes[2048];
    rovei_writer w = rovei_writer_of(run, sizeof run);
    rovei_lane_outcome_write(&w, &o, true);
    o = (rovei_lane_outcome){.kind = ROVEI_OUTCOME_REFUSED, .events = 1, .err = ROVE_E_TOO_LARGE};
    rovei_lane_outcome_write(&w, &o, true);
    assert_hex(run, rovei_writer_size(&w), "0307000000022900000000000000000000000000");
    make(ROVEI_LANE_OUTCOMES, &f, other);
    f.run = (rove_span){run, rovei_writer_size(&w)};
    f.count = 8;
    size_t size = write(&f, bytes, sizeof bytes);
    assert_ok(rovei_lane_frame_read((rove_span){bytes, size}, &back));
    rovei_reader r = rovei_reader_of(back.run);
    assert_true(rovei_lane_outcome_read(&r, &o));
    assert_int_equal(o.kind, ROVEI_OUTCOME_PLAIN);
    assert_int_equal(o.events, 7);
    assert_true(rovei_lane_outcome_read(&r, &o));
    assert_int_equal(o.events, 1);
    /* Of more events than the frame has, or of none. */
    bytes[BODY + 21] = 9;
    assert_int_equal(rovei_lane_frame_read((rove_span){bytes, size}, &back), ROVE_E_FORMAT);
    bytes[BODY + 21] = 0;
    assert_int_equal(rovei_lane_frame_read((rove_span){bytes, size}, &back), ROVE_E_FORMAT);
}

static void outcomes_one_by_one(void **state)
{
    (void)state;
    uint8_t run[1024];
    size_t size = make_run(ROVEI_LANE_OUTCOMES, run, sizeof run, 6);
    rovei_reader r = rovei_reader_of((rove_span){run, size});
    rovei_lane_outcome o;
    for (unsigned i = 0; i < 6; i++) {
        assert_true(rovei_lane_outcome_read(&r, &o));
        assert_int_equal(o.kind, i % 3);
        assert_int_equal(o.output_count, i % 3 == 0);
        assert_int_equal(o.text.size, i % 3 == 0 ? 0 : i % 9);
    }
    assert_int_equal(rovei_reader_left(&r), 0);
    assert_false(rovei_lane_outcome_read(&r, &o));
    /* Without its outputs, which then follow in a body of their own. */
    rovei_writer w = rovei_writer_of(run, sizeof run);
    o = (rovei_lane_outcome){.output_count = 2, .outputs = {"xyz", 3}};
    rovei_lane_outcome_write(&w, &o, false);
    assert_int_equal(rovei_writer_size(&w), ROVEI_LANE_OUTCOME_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),         cmocka_unit_test(exact_bytes),
        cmocka_unit_test(malformed),           cmocka_unit_test(plain_outcomes),
        cmocka_unit_test(outcomes_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
