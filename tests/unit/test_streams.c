/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams between two transports: messages of every size, ends, resets, refusals, many streams,
 * flow control, and how much memory it may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/buf.h>
#include <base/cursor.h>
#include <cmocka.h>
#include <mesh/frames.h>

#include "pair.h"

/* ---- what came, by kind ---- */

typedef struct tally {
    uint64_t messages, finished, reset, refused;
    uint64_t bytes, last_stream, last_size;
    uint16_t last_tag;
    uint64_t want; /* for the until functions */
} tally;

static void on_tally(pair *p, size_t side, rovei_transport_event *e)
{
    tally *x = &((tally *)p->user)[side];
    x->last_stream = e->stream;
    x->last_tag = e->tag;
    switch (e->kind) {
    case ROVEI_TRANSPORT_MESSAGE:
        x->messages++;
        x->last_size = rove_buf_span(e->message).size;
        x->bytes += x->last_size;
        return;
    case ROVEI_TRANSPORT_FINISHED:
        x->finished++;
        return;
    case ROVEI_TRANSPORT_RESET:
        x->reset++;
        return;
    case ROVEI_TRANSPORT_REFUSED:
        x->refused++;
        return;
    }
}

static pair *start(uint64_t seed, tally x[2], void (*change)(pair *p))
{
    pair *p = malloc(sizeof *p);
    assert_non_null(p);
    pair_init(p, seed);
    memset(x, 0, 2 * sizeof *x);
    p->user = x;
    p->on_event = on_tally;
    if (change)
        change(p);
    pair_start(p);
    return p;
}

static void stop(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(p->error[i], 0);
        rovei_transport_check(p->t[i]);
    }
    pair_fini(p);
    free(p);
}

static uint64_t open_one(pair *p, size_t side, uint16_t tag)
{
    uint64_t id = 0;
    assert_int_equal(rovei_transport_open(p->t[side], tag, &id), ROVE_OK);
    return id;
}

static rove_err send_bytes(pair *p, size_t side, uint64_t id, size_t size)
{
    uint8_t *bytes = calloc(1, size + 1);
    rove_buf *body = NULL;
    assert_int_equal(rove_buf_new(&body, (rove_span){bytes, size}, NULL), ROVE_OK);
    rove_err err = rovei_transport_send(p->t[side], id, (rove_span){0}, body);
    rove_buf_unref(body);
    free(bytes);
    return err;
}

static bool messages_wanted(pair *p)
{
    tally *x = p->user;
    return x[1].messages >= x[1].want;
}

/* ---- sizes ---- */

static void every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0,    1,    2,     3,     4,     100,   1100,  1125,    1126,    2048,
        2049, 4096, 16380, 16384, 65535, 65536, 65537, 1 << 20, 5 << 20, ROVEI_MESSAGE_MAX};
    tally x[2];
    pair *p = start(1, x, NULL);
    uint64_t id = open_one(p, 0, 3), total = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        x[1].want = i + 1;
        total += sizes[i];
        assert_int_equal(send_bytes(p, 0, id, sizes[i]), ROVE_OK);
        assert_true(pair_run(p, 600 * ROVE_SECOND, messages_wanted));
        assert_int_equal(x[1].last_size, sizes[i]);
    }
    assert_int_equal(x[1].bytes, total);
    assert_int_equal(x[1].last_tag, 3);
    assert_int_equal(send_bytes(p, 0, id, ROVEI_MESSAGE_MAX + 1), ROVE_E_TOO_LARGE);
    rove_span head = {x, ROVEI_MESSAGE_MAX};
    rove_buf *one = NULL;
    assert_int_equal(rove_buf_new(&one, (rove_span){"x", 1}, NULL), ROVE_OK);
    assert_int_equal(rovei_transport_send(p->t[0], id, head, one), ROVE_E_TOO_LARGE);
    rove_buf_unref(one);
    stop(p);
}

/* The head and the body of a message may be cut anywhere and come out as one. */
static void heads_and_bodies(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(2, x, NULL);
    uint64_t id = open_one(p, 0, 1);
    uint8_t bytes[6000];
    pair_fill(bytes, sizeof bytes, 1, 1);
    for (size_t head = 0; head <= sizeof bytes; head += 1000) {
        rove_buf *body = NULL;
        rove_span rest = {bytes + head, sizeof bytes - head};
        assert_int_equal(rove_buf_new(&body, rest, NULL), ROVE_OK);
        assert_int_equal(rovei_transport_send(p->t[0], id, (rove_span){bytes, head}, body),
                         ROVE_OK);
        rove_buf_unref(body);
    }
    x[1].want = 7;
    assert_true(pair_run(p, 10 * ROVE_SECOND, messages_wanted));
    assert_int_equal(x[1].bytes, 7 * sizeof bytes);
    stop(p);
}

/* ---- ends ---- */

static void finish_ends_both_sides(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(3, x, NULL);
    uint64_t with = open_one(p, 0, 1), without = open_one(p, 0, 2);
    assert_int_equal(send_bytes(p, 0, with, 10), ROVE_OK);
    rovei_transport_finish(p->t[0], with);
    rovei_transport_finish(p->t[0], without);
    assert_int_equal(send_bytes(p, 0, with, 10), ROVE_E_CLOSED);
    assert_true(pair_run(p, 10 * ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].messages, 1);
    assert_int_equal(x[1].finished, 2);
    assert_int_equal(send_bytes(p, 0, with, 10), ROVE_E_GONE);
    assert_int_equal(send_bytes(p, 0, 99, 10), ROVE_E_GONE);
    assert_int_equal(rovei_transport_queued(p->t[0], with), 0);
    stop(p);
}

/* An end that is told only after all data was acknowledged. */
static void late_finish(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(4, x, NULL);
    uint64_t id = open_one(p, 0, 1);
    assert_int_equal(send_bytes(p, 0, id, 100), ROVE_OK);
    assert_int_equal(rovei_transport_queued(p->t[0], id), 104);
    pair_run(p, ROVE_SECOND, NULL);
    assert_int_equal(rovei_transport_queued(p->t[0], id), 0);
    assert_int_equal(x[1].finished, 0);
    rovei_transport_finish(p->t[0], id);
    assert_true(pair_run(p, ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].finished, 1);
    stop(p);
}

/* What was delivered stays; what was not polled when the reset came is not delivered. */
static void reset_drops(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(5, x, NULL);
    uint64_t id = open_one(p, 0, 9);
    assert_int_equal(send_bytes(p, 0, id, 100), ROVE_OK);
    pair_run(p, ROVE_SECOND, NULL);
    assert_int_equal(x[1].messages, 1);
    p->no_poll[1] = true;
    assert_int_equal(send_bytes(p, 0, id, 100), ROVE_OK);
    pair_run(p, ROVE_SECOND, NULL);
    assert_int_equal(send_bytes(p, 0, id, 3 << 20), ROVE_OK);
    pair_run(p, 20 * ROVE_MILLISECOND, NULL);
    rovei_transport_reset(p->t[0], id);
    assert_int_equal(rovei_transport_queued(p->t[0], id), 0);
    assert_int_equal(rovei_transport_stats_get(p->t[0]).bytes_queued, 0);
    assert_int_equal(send_bytes(p, 0, id, 1), ROVE_E_GONE);
    pair_run(p, ROVE_SECOND, NULL);
    p->no_poll[1] = false;
    assert_true(pair_run(p, ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].messages, 1);
    assert_int_equal(x[1].reset, 1);
    assert_int_equal(x[1].last_tag, 9);
    stop(p);
}

/* Resets in the middle of everything, over a bad link: all ends, nothing leaks, credit comes back.
 */
static void resets_under_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) {
        tally x[2];
        pair *p = start(seed, x, NULL);
        p->loss = 100;
        p->twice = 50;
        p->jitter = 8 * ROVE_MILLISECOND;
        for (int round = 0; round < 30; round++) {
            uint64_t id = open_one(p, 0, 1);
            assert_int_equal(send_bytes(p, 0, id, pair_random(&p->random) % 100000), ROVE_OK);
            pair_run(p, pair_random(&p->random) % (50 * ROVE_MILLISECOND), NULL);
            if (round % 2)
                rovei_transport_reset(p->t[0], id);
            else
                rovei_transport_finish(p->t[0], id);
        }
        assert_true(pair_run(p, 60 * ROVE_SECOND, pair_quiet));
        assert_int_equal(x[1].finished + x[1].reset, 30);
        assert_true(x[1].finished >= 15);
        stop(p);
    }
}

/* ---- limits of streams ---- */

static void four_streams(pair *p)
{
    p->env[1].limits.streams_max = 4;
}

/* Ten streams are opened before the peer's limit is known: six are refused, with an event each, and
 * once it is known an open fails at once. */
static void refused_at_the_limit(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        tally x[2];
        pair *p = start(200 + seed, x, four_streams);
        p->loss = seed < 2 ? 0 : 150;
        for (int i = 0; i < 10; i++) {
            uint64_t id = open_one(p, 0, 1);
            assert_int_equal(send_bytes(p, 0, id, 5000), ROVE_OK);
            if (i % 3 == 0)
                rovei_transport_finish(p->t[0], id);
        }
        p->no_poll[1] = true;
        pair_run(p, 20 * ROVE_SECOND, NULL);
        assert_int_equal(x[0].refused, 6);
        p->no_poll[1] = false;
        pair_run(p, 20 * ROVE_SECOND, NULL);
        assert_int_equal(x[0].refused, 6);
        assert_int_equal(x[1].messages, 4);
        assert_int_equal(x[1].reset, 0);
        rovei_transport_stats s = rovei_transport_stats_get(p->t[0]);
        assert_int_equal(s.streams_out, 4 - x[1].finished);
        for (uint64_t i = s.streams_out; i < 4; i++)
            open_one(p, 0, 2);
        uint64_t id = 0;
        assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_E_STREAM_LIMIT);
        assert_int_equal(id, 0);
        stop(p);
    }
}

static void small_windows(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        p->env[i].limits.stream_window = 65536;
        p->env[i].limits.peer_window = 65536;
    }
}

static void small_and_few(pair *p)
{
    small_windows(p);
    p->env[1].limits.streams_max = 4;
}

/* Bytes of refused and of reset streams do not eat the window for good. */
static void credit_survives_refusals(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(6, x, small_and_few);
    p->loss = 50;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 8; i++) {
            uint64_t id;
            if (rovei_transport_open(p->t[0], 1, &id))
                continue;
            (void)!send_bytes(p, 0, id, 9000);
            if (i % 4 == 0)
                rovei_transport_reset(p->t[0], id);
            else
                rovei_transport_finish(p->t[0], id);
        }
        assert_true(pair_run(p, 30 * ROVE_SECOND, pair_quiet));
    }
    assert_true(x[1].messages > 40);
    stop(p);
}

static void five_thousand(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(7, x, NULL);
    p->check_every = 500;
    p->loss = 20;
    uint64_t ids[5000];
    for (size_t i = 0; i < 5000; i++)
        ids[i] = open_one(p, 0, 1);
    for (size_t i = 5000; i-- > 0;)
        assert_int_equal(send_bytes(p, 0, ids[i], 32), ROVE_OK);
    x[1].want = 5000;
    assert_true(pair_run(p, 60 * ROVE_SECOND, messages_wanted));
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(send_bytes(p, 0, ids[i], 32), ROVE_OK);
    x[1].want = 10000;
    assert_true(pair_run(p, 60 * ROVE_SECOND, messages_wanted));
    pair_run(p, 10 * ROVE_SECOND, NULL);
    /* An idle stream is small. */
    assert_true(p->memory[0].bytes < 5000 * 1500);
    assert_true(p->memory[1].bytes < 5000 * 600);
    for (size_t i = 0; i < 5000; i++)
        rovei_transport_finish(p->t[0], ids[i]);
    assert_true(pair_run(p, 60 * ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].finished, 5000);
    stop(p);
}

/* ---- flow control ---- */

/* Nothing polls: no more than the window arrives, and all of it once polling begins. */
static void window_bounds_the_unread(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(8, x, small_windows);
    uint64_t id = open_one(p, 0, 1);
    for (int i = 0; i < 400; i++)
        assert_int_equal(send_bytes(p, 0, id, 1000), ROVE_OK);
    p->no_poll[1] = true;
    pair_run(p, 30 * ROVE_SECOND, NULL);
    assert_true(rovei_transport_queued(p->t[0], id) >= 400 * 1004 - 65536);
    assert_true(p->memory[1].most < 65536 * 2);
    p->no_poll[1] = false;
    x[1].want = 400;
    assert_true(pair_run(p, 30 * ROVE_SECOND, messages_wanted));
    stop(p);
}

/* A reader that is not through with what it polled: its stream waits, the others do not. */

static void small_streams(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        p->env[i].limits.stream_window = 65536;
        p->env[i].limits.peer_window = 1 << 20;
    }
}

static void on_held(pair *p, size_t side, rovei_transport_event *e)
{
    if (e->kind == ROVEI_TRANSPORT_MESSAGE && e->tag == 7)
        rovei_transport_hold(p->t[side], e->stream, rove_buf_span(e->message).size);
    on_tally(p, side, e);
}

static void held_credit(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(12, x, small_streams);
    p->on_event = on_held;
    uint64_t slow = open_one(p, 0, 7), quick = open_one(p, 0, 1);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(send_bytes(p, 0, slow, 1000), ROVE_OK);
        assert_int_equal(send_bytes(p, 0, quick, 1000), ROVE_OK);
    }
    pair_run(p, 30 * ROVE_SECOND, NULL);
    assert_int_equal(rovei_transport_queued(p->t[0], quick), 0);
    uint64_t waits = rovei_transport_queued(p->t[0], slow), got = x[1].messages - 400;
    assert_true(waits >= 400 * 1004 - 65536 - 400 * 4 && got >= 60 && got <= 67);
    /* Credit for a part of it lets as much more come. */
    rovei_transport_release(p->t[1], slow, 40000);
    pair_run(p, 30 * ROVE_SECOND, NULL);
    uint64_t now = x[1].messages - 400;
    assert_true(now >= got + 35 && now <= got + 45);
    /* More than is held, or of a stream that is unknown, is nothing. */
    rovei_transport_release(p->t[1], 4711, 1000);
    p->on_event = on_tally;
    rovei_transport_release(p->t[1], slow, UINT64_MAX);
    x[1].want = 800;
    assert_true(pair_run(p, 30 * ROVE_SECOND, messages_wanted));
    stop(p);
}

/* What an ended stream held comes back to all. */
static void held_credit_of_ended_streams(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(13, x, small_streams);
    p->on_event = on_held;
    for (int i = 0; i < 60; i++) {
        uint64_t id = open_one(p, 0, 7);
        for (int j = 0; j < 60; j++)
            assert_int_equal(send_bytes(p, 0, id, 1000), ROVE_OK);
        x[1].want += 60;
        assert_true(pair_run(p, 30 * ROVE_SECOND, messages_wanted));
        if (i % 2)
            rovei_transport_reset(p->t[0], id);
        else
            rovei_transport_finish(p->t[0], id);
        assert_true(pair_run(p, 30 * ROVE_SECOND, pair_quiet));
        rovei_transport_release(p->t[1], id, 60000); /* too late, and without harm */
    }
    stop(p);
}

/* Messages larger than the whole window, on several streams at once: none waits for another. */
static void messages_above_the_window(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(9, x, small_windows);
    p->loss = 10;
    p->delay = ROVE_MILLISECOND;
    for (int i = 0; i < 12; i++) {
        uint64_t id = open_one(p, 0, 1);
        assert_int_equal(send_bytes(p, 0, id, 60000), ROVE_OK);
        assert_int_equal(send_bytes(p, 0, id, i == 5 ? 2 << 20 : 300000), ROVE_OK);
        assert_int_equal(send_bytes(p, 0, id, 10), ROVE_OK);
        rovei_transport_finish(p->t[0], id);
    }
    assert_true(pair_run(p, 300 * ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].messages, 36);
    assert_int_equal(x[1].finished, 12);
    stop(p);
}

/* So large, and so many at once, that a receiver could not hold all of them half-done. */
static void largest_messages_together(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(15, x, small_windows);
    p->delay = ROVE_MILLISECOND / 10;
    p->check_every = 200;
    for (int i = 0; i < 4; i++) {
        uint64_t id = open_one(p, 0, 1);
        assert_int_equal(send_bytes(p, 0, id, 12 << 20), ROVE_OK);
        rovei_transport_finish(p->t[0], id);
    }
    assert_true(pair_run(p, 300 * ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].bytes, UINT64_C(4) * (12 << 20));
    assert_true(p->memory[1].most < 30 << 20);
    stop(p);
}

/* A message that the window covers only when nobody else sends still gets its turn. */
static void keep_others_busy(pair *p, size_t side, rovei_transport_event *e)
{
    on_tally(p, side, e);
    if (e->stream != 1)
        assert_int_equal(send_bytes(p, 0, e->stream, 3000), ROVE_OK);
    else
        ((tally *)p->user)[1].want = 1;
}

static bool large_came(pair *p)
{
    return ((tally *)p->user)[1].want == 1;
}

static void one_megabyte(pair *p)
{
    p->env[1].limits.stream_window = 1 << 20;
    p->env[1].limits.peer_window = 1 << 20;
}

static void none_starves(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(16, x, one_megabyte);
    p->rate = 20000000; /* so that the window is never used up */
    p->queue = 50000;
    p->delay = ROVE_MILLISECOND;
    p->on_event = keep_others_busy;
    for (int i = 0; i < 5; i++)
        open_one(p, 0, 1);
    for (uint64_t id = 2; id <= 5; id++) {
        for (int i = 0; i < 40; i++)
            assert_int_equal(send_bytes(p, 0, id, 3000), ROVE_OK);
    }
    pair_run(p, 100 * ROVE_MILLISECOND, NULL);
    assert_int_equal(send_bytes(p, 0, 1, 1040000), ROVE_OK);
    assert_true(pair_run(p, ROVE_SECOND, large_came));
    uint64_t before = x[1].messages;
    pair_run(p, 100 * ROVE_MILLISECOND, NULL);
    assert_true(x[1].messages > before + 100);
    stop(p);
}

static void small_buffer(pair *p)
{
    p->env[0].limits.send_buffer = 65536;
}

static void send_buffer_is_a_bound(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(10, x, small_buffer);
    p->cut = true;
    uint64_t id = open_one(p, 0, 1);
    int taken = 0;
    while (send_bytes(p, 0, id, 1000) == ROVE_OK)
        taken++;
    assert_in_range(taken, 60, 65);
    assert_int_equal(send_bytes(p, 0, id, 1000), ROVE_E_FULL);
    p->cut = false;
    x[1].want = (uint64_t)taken;
    assert_true(pair_run(p, 30 * ROVE_SECOND, messages_wanted));
    /* One message is taken whatever its size. */
    pair_run(p, ROVE_SECOND, NULL);
    assert_int_equal(send_bytes(p, 0, id, 1 << 20), ROVE_OK);
    x[1].want++;
    assert_true(pair_run(p, 30 * ROVE_SECOND, messages_wanted));
    stop(p);
}

/* A stream with much to send does not hold up the others. */
static void round_robin(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(11, x, NULL);
    p->rate = 2000000;
    p->queue = 50000;
    uint64_t bulk = open_one(p, 0, 1);
    assert_int_equal(send_bytes(p, 0, bulk, 8 << 20), ROVE_OK);
    pair_run(p, 500 * ROVE_MILLISECOND, NULL);
    uint64_t small = open_one(p, 0, 2);
    assert_int_equal(send_bytes(p, 0, small, 100), ROVE_OK);
    x[1].want = 1;
    assert_true(pair_run(p, 100 * ROVE_MILLISECOND, messages_wanted));
    assert_int_equal(x[1].last_stream, small);
    x[1].want = 2;
    assert_true(pair_run(p, 60 * ROVE_SECOND, messages_wanted));
    stop(p);
}

/* ---- memory ---- */

static void put_frame(uint8_t *packet, size_t *at, const rovei_frame *f)
{
    rovei_writer w = rovei_writer_of(packet + *at, PAIR_ROOM - *at);
    rovei_frame_write(&w, f);
    assert_int_equal(w.err, 0);
    *at += rovei_writer_size(&w);
}

/* A peer that promises 16 MiB on each of 1,000 streams and sends four bytes more gets no memory for
 * it beyond a fixed sum. */
static void promises_cost_nothing(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(12, x, NULL);
    for (uint64_t n = 1; n <= 1000; n++) {
        uint8_t packet[PAIR_ROOM], data[8] = {0};
        size_t at = 8;
        rovei_store64(packet, n);
        rovei_store32(data, n % 2 ? 60000 : 16 << 20);
        rovei_frame f = {.type = ROVEI_FRAME_STREAM,
                         .stream = {.stream = n, .tag = 1, .data = {data, sizeof data}}};
        put_frame(packet, &at, &f);
        assert_int_equal(rovei_transport_receive(p->t[1], p->now, packet, at), ROVE_OK);
    }
    rovei_transport_check(p->t[1]);
    assert_true(p->memory[1].most < (4 << 20) + 1000 * (4096 + 1024));
    stop(p);
}

/* Empty messages cost their receiver more than they cost on the wire, so they wait as bytes. */
static void empty_messages_wait_as_bytes(void **state)
{
    (void)state;
    tally x[2];
    pair *p = start(13, x, NULL);
    uint64_t id = open_one(p, 0, 1);
    p->no_poll[1] = true;
    p->delay = ROVE_MILLISECOND;
    for (int i = 0; i < 500000; i++)
        assert_int_equal(rovei_transport_send(p->t[0], id, (rove_span){0}, NULL), ROVE_OK);
    rovei_transport_finish(p->t[0], id);
    pair_run(p, 20 * ROVE_SECOND, NULL);
    assert_int_equal(rovei_transport_queued(p->t[0], id), 0);
    assert_true(p->memory[1].most < 16 << 20);
    p->no_poll[1] = false;
    assert_true(pair_run(p, ROVE_SECOND, pair_quiet));
    assert_int_equal(x[1].messages, 500000);
    assert_int_equal(x[1].finished, 1);
    stop(p);
}

/* Each allocation in turn is refused, for a while: what was queued still arrives, once. */
static void refused_allocations(void **state)
{
    (void)state;
    uint64_t calls = 1;
    for (uint64_t at = 1; at <= calls; at += 1 + at / 40) {
        for (uint64_t side = 0; side < 2; side++) {
            tally x[2];
            pair *p = start(14, x, NULL);
            p->loss = 100;
            p->jitter = 5 * ROVE_MILLISECOND;
            p->memory[side].refuse_at = p->memory[side].calls + at;
            p->memory[side].refuse_for = 3;
            uint64_t sent = 0;
            for (int i = 0; i < 12; i++) {
                uint64_t id;
                if (rovei_transport_open(p->t[0], 1, &id))
                    continue;
                sent += send_bytes(p, 0, id, 20) == ROVE_OK;
                sent += send_bytes(p, 0, id, 7000) == ROVE_OK;
                sent += send_bytes(p, 0, id, 70000) == ROVE_OK;
                rovei_transport_finish(p->t[0], id);
            }
            assert_true(pair_run(p, 120 * ROVE_SECOND, pair_quiet));
            assert_int_equal(x[1].messages, sent);
            calls = p->memory[side].calls > calls ? p->memory[side].calls : calls;
            stop(p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size),
        cmocka_unit_test(heads_and_bodies),
        cmocka_unit_test(finish_ends_both_sides),
        cmocka_unit_test(late_finish),
        cmocka_unit_test(reset_drops),
        cmocka_unit_test(resets_under_loss),
        cmocka_unit_test(refused_at_the_limit),
        cmocka_unit_test(credit_survives_refusals),
        cmocka_unit_test(five_thousand),
        cmocka_unit_test(window_bounds_the_unread),
        cmocka_unit_test(held_credit),
        cmocka_unit_test(held_credit_of_ended_streams),
        cmocka_unit_test(messages_above_the_window),
        cmocka_unit_test(largest_messages_together),
        cmocka_unit_test(none_starves),
        cmocka_unit_test(send_buffer_is_a_bound),
        cmocka_unit_test(round_robin),
        cmocka_unit_test(promises_cost_nothing),
        cmocka_unit_test(empty_messages_wait_as_bytes),
        cmocka_unit_test(refused_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
