/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: their bytes, what is refused and with which error, and what a transport says to frames
 * that do not fit its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/buf.h>
#include <cmocka.h>
#include <mesh/frames.h>

#include "pair.h"

#define SPAN(...)                                                                                  \
    (rove_span)                                                                                    \
    {                                                                                              \
        (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})                     \
    }
#define U16(v) (v) & 0xff, (v) >> 8
#define U32(v) U16((v)&0xffff), U16((v) >> 16)
#define U64(v) U32((v)&0xffffffff), U32((uint64_t)(v) >> 32)

/* ---- bytes ---- */

static void expect_bytes(const rovei_frame *f, rove_span bytes)
{
    uint8_t out[1200];
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_frame_write(&w, f);
    assert_int_equal(w.err, ROVE_OK);
    assert_int_equal(rovei_writer_size(&w), bytes.size);
    assert_memory_equal(out, bytes.data, bytes.size);
    rovei_reader r = rovei_reader_of(bytes);
    rovei_frame back;
    assert_int_equal(rovei_frame_read(&r, &back), ROVE_OK);
    assert_int_equal(rovei_reader_left(&r), 0);
    assert_int_equal(back.type, f->type);
    /* Every shorter input is short, except that padding ends anywhere. */
    for (size_t n = 0; n < bytes.size && f->type != ROVEI_FRAME_PADDING; n++) {
        r = rovei_reader_of((rove_span){bytes.data, n});
        assert_int_equal(rovei_frame_read(&r, &back), ROVE_E_SHORT);
    }
}

static void golden_bytes(void **state)
{
    (void)state;
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_PADDING, .padding = 3}, SPAN(0, 0, 0));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_PING}, SPAN(1));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_LIMITS,
                                .limits = {0x0102030405060708, 0x1112131415161718, 0x21222324}},
                 SPAN(3, 8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
                      0x24, 0x23, 0x22, 0x21));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_MAX_DATA, .max_data = 0x010203},
                 SPAN(4, 3, 2, 1, 0, 0, 0, 0, 0));
    expect_bytes(
        &(rovei_frame){.type = ROVEI_FRAME_MAX_STREAM_DATA, .max_stream_data = {5, 0x0102}},
        SPAN(5, 5, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_RESET,
                                .reset = {.stream = 9, .tag = 0x0a0b, .final = 7}},
                 SPAN(6, 9, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x0a, 7, 0, 0, 0, 0, 0, 0, 0));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_REFUSED, .refused = 0xffff},
                 SPAN(7, 0xff, 0xff, 0, 0, 0, 0, 0, 0));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_STREAM,
                                .stream = {.stream = 1, .offset = 2, .tag = 3, .data = {"ab", 2}}},
                 SPAN(8, U64(1), U64(2), U16(3), U16(2), 'a', 'b'));
    expect_bytes(&(rovei_frame){.type = ROVEI_FRAME_STREAM_FIN,
                                .stream = {.stream = 1, .offset = 2, .tag = 3, .fin = true}},
                 SPAN(9, U64(1), U64(2), U16(3), U16(0)));
    /* 90 to 100, 80 to 84, and 1. */
    rovei_frame ack = {
        .type = ROVEI_FRAME_ACK,
        .ack = {.delay = 0x01020304, .count = 3, .ranges = {{90, 100}, {80, 84}, {1, 1}}}};
    expect_bytes(&ack, SPAN(2, 3, 4, 3, 2, 1, U64(100), U32(10), U32(4), U32(4), U32(77), U32(0)));
}

static void put_stream_agrees(void **state)
{
    (void)state;
    uint8_t head[ROVEI_FRAME_STREAM_SIZE];
    for (int fin = 0; fin < 2; fin++) {
        rovei_frame_put_stream(head, 0x0102030405060708, 0x11, 0x2122, 0, fin != 0);
        expect_bytes(&(rovei_frame){.type = fin ? ROVEI_FRAME_STREAM_FIN : ROVEI_FRAME_STREAM,
                                    .stream = {.stream = 0x0102030405060708,
                                               .offset = 0x11,
                                               .tag = 0x2122,
                                               .fin = fin != 0}},
                     (rove_span){head, sizeof head});
    }
}

/* As many ranges as fit, cut where a number does not fit its field. */
static void acks_are_cut(void **state)
{
    (void)state;
    rovei_range ranges[40];
    for (uint32_t i = 0; i < 40; i++)
        ranges[i] = (rovei_range){1000 - 10 * i, 1005 - 10 * i};
    uint8_t out[1200];
    rovei_writer w = rovei_writer_of(out, ROVEI_FRAME_ACK_SIZE - 1);
    assert_int_equal(rovei_frame_write_ack(&w, ranges, 40, 0), 0);
    assert_int_equal(rovei_writer_size(&w), 0);
    w = rovei_writer_of(out, ROVEI_FRAME_ACK_SIZE + 5 * ROVEI_FRAME_ACK_RANGE + 7);
    assert_int_equal(rovei_frame_write_ack(&w, ranges, 40, 0), 6);
    assert_int_equal(w.err, ROVE_OK);
    rovei_range far[3] = {{UINT64_C(1) << 40, UINT64_C(1) << 40}, {5, 9}, {1, 1}};
    w = rovei_writer_of(out, sizeof out);
    assert_int_equal(rovei_frame_write_ack(&w, far, 3, 0), 1);
    rovei_range wide[2] = {{UINT64_C(1) << 40, UINT64_C(1) << 41}, {5, 9}};
    w = rovei_writer_of(out, sizeof out);
    assert_int_equal(rovei_frame_write_ack(&w, wide, 2, 0), 1);
    rovei_reader r = rovei_reader_of((rove_span){out, rovei_writer_size(&w)});
    rovei_frame f;
    assert_int_equal(rovei_frame_read(&r, &f), ROVE_OK);
    assert_int_equal(f.ack.count, 1);
    assert_int_equal(f.ack.ranges[0].last - f.ack.ranges[0].first, UINT32_MAX);
}

static void expect_error(rove_span bytes, rove_err err)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_frame f;
    assert_int_equal(rovei_frame_read(&r, &f), err);
}

static void malformed(void **state)
{
    (void)state;
    for (int type = 10; type < 256; type++)
        expect_error(SPAN((uint8_t)type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                     ROVE_E_FORMAT);
    expect_error(SPAN(2, 0, U32(0), U64(1), U32(0)), ROVE_E_FORMAT); /* no range */
    expect_error(SPAN(2, 65, U32(0), U64(9), U32(0)), ROVE_E_BOUND); /* too many */
    expect_error(SPAN(2, 1, U32(0), U64(0), U32(0)), ROVE_E_BOUND);  /* packet 0 */
    expect_error(SPAN(2, 1, U32(0), U64(5), U32(5)), ROVE_E_BOUND);  /* down to 0 */
    expect_error(SPAN(2, 2, U32(0), U64(5), U32(0), U32(3), U32(0)), ROVE_E_BOUND);
    expect_error(SPAN(2, 2, U32(0), U64(5), U32(0), U32(1), U32(2)), ROVE_E_BOUND);
    expect_error(SPAN(5, U64(0), U64(1)), ROVE_E_FORMAT); /* stream 0 */
    expect_error(SPAN(6, U64(0), U16(1), U64(1)), ROVE_E_FORMAT);
    expect_error(SPAN(7, U64(0)), ROVE_E_FORMAT);
    expect_error(SPAN(8, U64(0), U64(0), U16(0), U16(0)), ROVE_E_FORMAT);
    expect_error(SPAN(6, U64(1), U16(1), U64((UINT64_C(1) << 62) + 1)), ROVE_E_BOUND);
    expect_error(SPAN(8, U64(1), U64(UINT64_C(1) << 62), U16(1), U16(1), 0), ROVE_E_BOUND);
    expect_error(SPAN(8, U64(1), U64(0), U16(1), U16(2), 0), ROVE_E_SHORT);
}

/* ---- frames that do not fit the state ---- */

static pair *victim(void)
{
    pair *p = malloc(sizeof *p);
    assert_non_null(p);
    pair_init(p, 1);
    p->env[1].limits.stream_window = 65536;
    p->env[1].limits.peer_window = 100000;
    pair_start(p);
    return p;
}

/* Side 1 receives one packet of these frames. */
static rove_err feed(pair *p, uint64_t number, rove_span frames)
{
    uint8_t packet[PAIR_ROOM];
    rovei_store64(packet, number);
    memcpy(packet + 8, frames.data, frames.size);
    rove_err err = rovei_transport_receive(p->t[1], p->now, packet, 8 + frames.size);
    rovei_transport_check(p->t[1]);
    return err;
}

static void done(pair *p)
{
    pair_fini(p);
    free(p);
}

static void packets_need_frames(void **state)
{
    (void)state;
    pair *p = victim();
    uint8_t packet[9] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(rovei_transport_receive(p->t[1], p->now, packet, n), ROVE_E_SHORT);
    assert_int_equal(rovei_transport_receive(p->t[1], p->now, packet, 8), ROVE_E_FORMAT);
    assert_int_equal(rovei_transport_receive(p->t[1], p->now, packet, 9), ROVE_E_FORMAT);
    packet[0] = 1;
    assert_int_equal(rovei_transport_receive(p->t[1], p->now, packet, 9), ROVE_OK);
    /* Nothing of a packet is applied when its end is malformed. */
    assert_int_equal(feed(p, 2, SPAN(8, U64(1), U64(0), U16(0), U16(4), 0, 0, 0, 0, 77)),
                     ROVE_E_FORMAT);
    rovei_transport_event e;
    assert_false(rovei_transport_poll(p->t[1], &e));
    done(p);
}

/* Well-formed frames that nobody may send as things stand. */
static const struct {
    rove_err first, second;
    uint8_t size[2];
    uint8_t frames[2][64];
} wrong[] = {
    /* an ACK of what was never sent */
    {ROVE_E_BOUND, 0, {18, 0}, {{2, 1, U32(0), U64(1), U32(0)}}},
    /* words about streams that we never opened */
    {ROVE_E_STREAM_STATE, 0, {17, 0}, {{5, U64(1), U64(1)}}},
    {ROVE_E_STREAM_STATE, 0, {9, 0}, {{7, U64(1)}}},
    /* an id far ahead of all others */
    {ROVE_E_STREAM_STATE, 0, {21, 0}, {{8, U64(20000), U64(0), U16(0), U16(0)}}},
    {ROVE_E_STREAM_STATE, 0, {21, 0}, {{8, U64(UINT64_MAX), U64(0), U16(0), U16(0)}}},
    {ROVE_E_STREAM_STATE, 0, {19, 0}, {{6, U64(20000), U16(0), U64(0)}}},
    /* beyond a stream's window, and beyond all windows together */
    {ROVE_E_FLOW, 0, {22, 0}, {{8, U64(1), U64(65536), U16(0), U16(1), 0}}},
    {0,
     ROVE_E_FLOW,
     {22, 22},
     {{8, U64(1), U64(65535), U16(0), U16(1), 0}, {8, U64(2), U64(34464), U16(0), U16(1), 0}}},
    {ROVE_E_FLOW, 0, {19, 0}, {{6, U64(1), U16(0), U64(65537)}}},
    /* another tag, data beyond the end, another end */
    {0,
     ROVE_E_STREAM_STATE,
     {21, 21},
     {{8, U64(1), U64(0), U16(1), U16(0)}, {8, U64(1), U64(0), U16(2), U16(0)}}},
    {0,
     ROVE_E_STREAM_STATE,
     {21, 22},
     {{9, U64(1), U64(8), U16(1), U16(0)}, {8, U64(1), U64(8), U16(1), U16(1), 0}}},
    {0,
     ROVE_E_STREAM_STATE,
     {21, 21},
     {{9, U64(1), U64(8), U16(1), U16(0)}, {9, U64(1), U64(9), U16(1), U16(0)}}},
    {0,
     ROVE_E_STREAM_STATE,
     {22, 21},
     {{8, U64(1), U64(8), U16(1), U16(1), 0}, {9, U64(1), U64(8), U16(1), U16(0)}}},
    {0,
     ROVE_E_STREAM_STATE,
     {22, 19},
     {{8, U64(1), U64(8), U16(1), U16(1), 0}, {6, U64(1), U16(1), U64(8)}}},
    {0,
     ROVE_E_STREAM_STATE,
     {21, 19},
     {{8, U64(1), U64(0), U16(1), U16(0)}, {6, U64(1), U16(2), U64(8)}}},
    /* the end inside of a message, and of its length */
    {ROVE_E_STREAM_STATE, 0, {26, 0}, {{9, U64(1), U64(0), U16(1), U16(5), U32(2), 0}}},
    {ROVE_E_STREAM_STATE, 0, {23, 0}, {{9, U64(1), U64(0), U16(1), U16(2), 0, 0}}},
    /* a message that is too large, its length whole or in two parts */
    {ROVE_E_BOUND, 0, {25, 0}, {{8, U64(1), U64(0), U16(1), U16(4), U32(ROVEI_MESSAGE_MAX + 1)}}},
    {0,
     ROVE_E_BOUND,
     {23, 23},
     {{8, U64(1), U64(0), U16(1), U16(2), 0xff, 0xff},
      {8, U64(1), U64(2), U16(1), U16(2), 0xff, 0xff}}},
};

static void wrong_for_the_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        pair *p = victim();
        assert_int_equal(feed(p, 1, (rove_span){wrong[i].frames[0], wrong[i].size[0]}),
                         wrong[i].first);
        if (wrong[i].second)
            assert_int_equal(feed(p, 2, (rove_span){wrong[i].frames[1], wrong[i].size[1]}),
                             wrong[i].second);
        done(p);
    }
}

/* A stream that ended is not made again by late frames; one that never began still can. */
static void late_frames(void **state)
{
    (void)state;
    pair *p = victim();
    rovei_transport_event e;
    rove_span whole = SPAN(9, U64(3), U64(0), U16(1), U16(4), U32(0));
    assert_int_equal(feed(p, 1, whole), ROVE_OK);
    assert_true(rovei_transport_poll(p->t[1], &e));
    assert_int_equal(e.kind, ROVEI_TRANSPORT_MESSAGE);
    rove_buf_unref(e.message);
    assert_true(rovei_transport_poll(p->t[1], &e));
    assert_int_equal(e.kind, ROVEI_TRANSPORT_FINISHED);
    assert_int_equal(rovei_transport_stats_get(p->t[1]).streams_in, 0);
    assert_int_equal(feed(p, 2, whole), ROVE_OK);
    assert_int_equal(feed(p, 3, SPAN(6, U64(3), U16(1), U64(4))), ROVE_OK);
    assert_false(rovei_transport_poll(p->t[1], &e));
    assert_int_equal(rovei_transport_stats_get(p->t[1]).streams_in, 0);
    assert_int_equal(feed(p, 4, SPAN(6, U64(2), U16(1), U64(0))), ROVE_OK);
    assert_true(rovei_transport_poll(p->t[1], &e));
    assert_int_equal(e.kind, ROVEI_TRANSPORT_RESET);
    assert_int_equal(e.stream, 2);
    assert_int_equal(feed(p, 5, SPAN(8, U64(1), U64(0), U16(1), U16(4), U32(0))), ROVE_OK);
    assert_true(rovei_transport_poll(p->t[1], &e));
    assert_int_equal(e.stream, 1);
    rove_buf_unref(e.message);
    done(p);
}

/* Below the lowest range that is still kept, a number counts as seen. */
static void forgotten_numbers(void **state)
{
    (void)state;
    pair *p = victim();
    for (uint64_t n = 1; n <= 2 * ROVEI_RANGES_MAX + 9; n += 2)
        assert_int_equal(feed(p, n, SPAN(1)), ROVE_OK);
    assert_int_equal(rovei_transport_stats_get(p->t[1]).packets_duplicate, 0);
    assert_int_equal(feed(p, 2, SPAN(1)), ROVE_OK);
    assert_int_equal(rovei_transport_stats_get(p->t[1]).packets_duplicate, 1);
    assert_int_equal(feed(p, 2 * ROVEI_RANGES_MAX, SPAN(1)), ROVE_OK);
    assert_int_equal(rovei_transport_stats_get(p->t[1]).packets_duplicate, 1);
    done(p);
}

/* The same bytes in other cuts and overlaps, in any order: one message each. */
static void overlaps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        pair *p = victim();
        pair_rng r = {seed};
        uint8_t stream[300];
        for (size_t i = 0; i < 3; i++) {
            rovei_store32(stream + 100 * i, 96);
            pair_fill(stream + 100 * i + 4, 96, 1, i);
        }
        for (uint64_t n = 1; n < 200; n++) {
            size_t from = pair_random(&r) % 300, size = 1 + pair_random(&r) % 40;
            size = n > 190 ? 300 : size;
            from = n > 190 ? 0 : from;
            size = size < 300 - from ? size : 300 - from;
            uint8_t frame[400];
            rovei_writer w = rovei_writer_of(frame, sizeof frame);
            rovei_frame f = {
                .type = ROVEI_FRAME_STREAM,
                .stream = {.stream = 1, .offset = from, .tag = 1, .data = {stream + from, size}}};
            rovei_frame_write(&w, &f);
            assert_int_equal(feed(p, n, (rove_span){frame, rovei_writer_size(&w)}), ROVE_OK);
        }
        rovei_transport_event e;
        for (size_t i = 0; i < 3; i++) {
            assert_true(rovei_transport_poll(p->t[1], &e));
            assert_int_equal(rove_buf_span(e.message).size, 96);
            assert_memory_equal(rove_buf_span(e.message).data, stream + 100 * i + 4, 96);
            rove_buf_unref(e.message);
        }
        assert_false(rovei_transport_poll(p->t[1], &e));
        done(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes),        cmocka_unit_test(put_stream_agrees),
        cmocka_unit_test(acks_are_cut),        cmocka_unit_test(malformed),
        cmocka_unit_test(packets_need_frames), cmocka_unit_test(wrong_for_the_state),
        cmocka_unit_test(late_frames),         cmocka_unit_test(overlaps),
        cmocka_unit_test(forgotten_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
