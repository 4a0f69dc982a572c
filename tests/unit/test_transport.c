/* SPDX-License-Identifier: Apache-2.0
 *
 * Two transports over a bad link: every message arrives once, in its stream's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/buf.h>
#include <base/cursor.h>
#include <cmocka.h>

#include "pair.h"

#define STREAMS_MOST 64

/* What one direction carries. */
typedef struct traffic {
    uint64_t streams, each; /* streams, and messages on each */
    size_t size_most;
    uint64_t sent[STREAMS_MOST + 1], got[STREAMS_MOST + 1];
    uint64_t finished;
    uint64_t seed;
} traffic;

static size_t size_of(const traffic *x, uint64_t stream, uint64_t number)
{
    pair_rng r = {x->seed + stream * 1000003 + number};
    uint64_t v = pair_random(&r);
    /* Small ones are more frequent than large ones. */
    return v % 4 == 0 ? (v >> 8) % (x->size_most + 1) : (v >> 8) % (x->size_most / 16 + 1);
}

static void on_traffic(pair *p, size_t side, rovei_transport_event *e)
{
    traffic *x = &((traffic *)p->user)[1 - side];
    assert_in_range(e->stream, 1, x->streams);
    assert_int_equal(e->tag, 7 + e->stream);
    if (e->kind == ROVEI_TRANSPORT_FINISHED) {
        assert_int_equal(x->got[e->stream], x->each);
        x->finished++;
        return;
    }
    assert_int_equal(e->kind, ROVEI_TRANSPORT_MESSAGE);
    uint64_t number = x->got[e->stream]++;
    size_t size = size_of(x, e->stream, number);
    rove_span bytes = rove_buf_span(e->message);
    assert_int_equal(bytes.size, size);
    uint8_t *expect = malloc(size + 1);
    pair_fill(expect, size, e->stream, number);
    assert_memory_equal(bytes.data, expect, size);
    free(expect);
}

static void send_number(pair *p, size_t side, traffic *x, uint64_t stream)
{
    uint64_t number = x->sent[stream];
    size_t size = size_of(x, stream, number), head = size < 11 ? size : 11;
    uint8_t *bytes = malloc(size + 1);
    pair_fill(bytes, size, stream, number);
    rove_buf *body = NULL;
    if (size > head)
        assert_int_equal(rove_buf_new(&body, (rove_span){bytes + head, size - head}, NULL), 0);
    assert_int_equal(rovei_transport_send(p->t[side], stream, (rove_span){bytes, head}, body), 0);
    x->sent[stream]++;
    rove_buf_unref(body);
    free(bytes);
}

static void open_all(pair *p, size_t side, traffic *x)
{
    for (uint64_t s = 1; s <= x->streams; s++) {
        uint64_t id;
        assert_int_equal(rovei_transport_open(p->t[side], (uint16_t)(7 + s), &id), 0);
        assert_int_equal(id, s);
    }
}

static bool all_finished(pair *p)
{
    traffic *x = p->user;
    return x[0].finished == x[0].streams && x[1].finished == x[1].streams && pair_quiet(p);
}

static void run_traffic(uint64_t seed, uint32_t loss, uint32_t twice, uint64_t jitter,
                        uint64_t streams, uint64_t each, size_t size_most)
{
    pair *p = malloc(sizeof *p);
    traffic x[2] = {{.streams = streams, .each = each, .size_most = size_most, .seed = seed},
                    {.streams = streams, .each = each, .size_most = size_most, .seed = seed + 1}};
    pair_init(p, seed);
    p->loss = loss;
    p->twice = twice;
    p->jitter = jitter;
    p->on_event = on_traffic;
    p->user = x;
    pair_start(p);
    for (size_t side = 0; side < 2; side++) {
        open_all(p, side, &x[side]);
        for (uint64_t n = 0; n < each; n++) {
            for (uint64_t s = 1; s <= streams; s++)
                send_number(p, side, &x[side], s);
        }
        for (uint64_t s = 1; s <= streams; s++)
            rovei_transport_finish(p->t[side], s);
    }
    assert_true(pair_run(p, 600 * ROVE_SECOND, all_finished));
    assert_int_equal(p->error[0], 0);
    assert_int_equal(p->error[1], 0);
    rovei_transport_check(p->t[0]);
    rovei_transport_check(p->t[1]);
    pair_fini(p);
    free(p);
}

static void clean_link(void **state)
{
    (void)state;
    run_traffic(1, 0, 0, 0, 3, 50, 5000);
}

static void five_percent(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 20; seed++)
        run_traffic(seed, 50, 20, 3 * ROVE_MILLISECOND, 8, 60, 4000);
}

static void thirty_percent(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 36; seed++)
        run_traffic(seed, 300, 100, 10 * ROVE_MILLISECOND, 8, 40, 4000);
}

/* ---- everything at random ---- */

#define SOAK_STREAMS 400

typedef struct soak_stream {
    uint64_t sent, got;
    bool finished, reset, refused; /* said by the sender, or to it */
    bool saw_finished, saw_reset;
    bool gone; /* a send was told so */
} soak_stream;

typedef struct soak {
    uint64_t opened[2];
    soak_stream streams[2][SOAK_STREAMS + 1]; /* by opener */
} soak;

static void on_soak(pair *p, size_t side, rovei_transport_event *e)
{
    soak *x = p->user;
    if (e->kind == ROVEI_TRANSPORT_REFUSED) {
        soak_stream *own = &x->streams[side][e->stream];
        assert_false(own->refused);
        assert_int_equal(own->got, 0);
        own->refused = true;
        return;
    }
    assert_in_range(e->stream, 1, x->opened[1 - side]);
    soak_stream *s = &x->streams[1 - side][e->stream];
    assert_int_equal(e->tag, e->stream * 3);
    assert_false(s->saw_finished || s->saw_reset || s->refused);
    if (e->kind == ROVEI_TRANSPORT_FINISHED) {
        assert_true(s->finished);
        assert_int_equal(s->got, s->sent);
        s->saw_finished = true;
        return;
    }
    if (e->kind == ROVEI_TRANSPORT_RESET) {
        assert_true(s->reset);
        s->saw_reset = true;
        return;
    }
    rove_span bytes = rove_buf_span(e->message);
    assert_true(bytes.size >= 8 && s->got < s->sent);
    uint8_t *expect = malloc(bytes.size);
    pair_fill(expect, bytes.size, e->stream, s->got);
    rovei_store64(expect, s->got++);
    assert_memory_equal(bytes.data, expect, bytes.size);
    free(expect);
}

static void soak_send(pair *p, size_t side, uint64_t id, size_t size)
{
    soak_stream *s = &((soak *)p->user)->streams[side][id];
    uint8_t *bytes = malloc(size);
    pair_fill(bytes, size, id, s->sent);
    rovei_store64(bytes, s->sent);
    rove_buf *body = NULL;
    assert_int_equal(rove_buf_new(&body, (rove_span){bytes + 8, size - 8}, NULL), ROVE_OK);
    rove_err err = rovei_transport_send(p->t[side], id, (rove_span){bytes, 8}, body);
    if (err == ROVE_OK)
        s->sent++;
    else if (err == ROVE_E_GONE)
        s->gone = true;
    else
        assert_true(err == ROVE_E_FULL || s->finished);
    rove_buf_unref(body);
    free(bytes);
}

static void soak_step(pair *p)
{
    soak *x = p->user;
    size_t side = pair_random(&p->random) % 2;
    uint64_t what = pair_random(&p->random) % 100, id = 0;
    if (x->opened[side] > 0)
        id = 1 + pair_random(&p->random) % x->opened[side];
    if (what < 10 && x->opened[side] < SOAK_STREAMS) {
        uint16_t tag = (uint16_t)((x->opened[side] + 1) * 3);
        if (rovei_transport_open(p->t[side], tag, &id) == ROVE_OK)
            assert_int_equal(id, ++x->opened[side]);
    } else if (what < 60 && id) {
        uint64_t size = pair_random(&p->random);
        soak_send(p, side, id, 8 + size % (size % 50 == 0 ? 200000 : size % 5 == 0 ? 9000 : 200));
    } else if (what < 64 && id) {
        soak_stream *s = &x->streams[side][id];
        s->finished = s->finished || !s->reset;
        rovei_transport_finish(p->t[side], id);
    } else if (what < 67 && id) {
        x->streams[side][id].reset = true;
        rovei_transport_reset(p->t[side], id);
    } else if (what < 68) {
        p->no_poll[side] = !p->no_poll[side];
    } else if (what < 69) {
        p->cut = pair_random(&p->random) % 4 == 0;
    } else if (what < 70) {
        rovei_transport_wake(p->t[side], p->now);
    } else if (what < 72) {
        rovei_transport_ping(p->t[side]);
    } else if (what < 90) {
        pair_run(p, pair_random(&p->random) % (4 * ROVE_MILLISECOND), NULL);
    } else if (what < 91) {
        pair_run(p, pair_random(&p->random) % (400 * ROVE_MILLISECOND), NULL);
    }
}

static void everything_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        pair *p = malloc(sizeof *p);
        soak *x = calloc(1, sizeof *x);
        pair_init(p, seed);
        p->user = x;
        p->on_event = on_soak;
        p->loss = (uint32_t)(seed % 4) * 60;
        p->twice = (uint32_t)(seed % 3) * 40;
        p->jitter = seed % 5 * 2 * ROVE_MILLISECOND;
        p->delay = seed % 7 == 0 ? 20000 : 3 * ROVE_MILLISECOND;
        for (size_t i = 0; i < 2; i++) {
            p->env[i].limits.stream_window = seed % 2 ? 65536 : 1 << 20;
            p->env[i].limits.peer_window = seed % 6 < 3 ? 65536 : 300000;
            p->env[i].limits.streams_max = seed % 5 == 0 ? 8 : 1000;
            p->env[i].limits.send_buffer = seed % 8 == 0 ? 65536 : 1 << 28;
        }
        pair_start(p);
        for (int i = 0; i < 3000; i++)
            soak_step(p);
        p->cut = p->no_poll[0] = p->no_poll[1] = false;
        for (size_t side = 0; side < 2; side++) {
            for (uint64_t id = 1; id <= x->opened[side]; id++) {
                soak_stream *s = &x->streams[side][id];
                s->finished = s->finished || !s->reset;
                rovei_transport_finish(p->t[side], id);
            }
        }
        assert_true(pair_run(p, 600 * ROVE_SECOND, pair_quiet));
        for (size_t side = 0; side < 2; side++) {
            for (uint64_t id = 1; id <= x->opened[side]; id++) {
                const soak_stream *s = &x->streams[side][id];
                assert_true(s->saw_finished || s->saw_reset || s->refused || s->reset);
                assert_true(!s->gone || s->refused || s->reset || s->saw_finished);
            }
        }
        assert_int_equal(p->error[0], 0);
        assert_int_equal(p->error[1], 0);
        rovei_transport_check(p->t[0]);
        rovei_transport_check(p->t[1]);
        pair_fini(p);
        free(p);
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_link),
        cmocka_unit_test(five_percent),
        cmocka_unit_test(thirty_percent),
        cmocka_unit_test(everything_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
