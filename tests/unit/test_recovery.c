/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times, congestion control, pacing, loss recovery: each by itself and over a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/alloc.h>
#include <base/buf.h>
#include <base/cursor.h>
#include <cmocka.h>
#include <mesh/congestion.h>
#include <mesh/frames.h>
#include <mesh/sent.h>
#include <mesh/spans.h>
#include <mesh/transport_inner.h>

#include "pair.h"

#define MS ROVE_MILLISECOND

/* ---- round-trip times ---- */

static void rtt_estimates(void **state)
{
    (void)state;
    rovei_rtt r;
    rovei_rtt_init(&r);
    assert_int_equal(rovei_rtt_probe_delay(&r, 0), 100 * MS + 200 * MS + 5 * MS);
    rovei_rtt_sample(&r, 40 * MS, 4 * MS); /* the first one counts whole */
    assert_int_equal(r.smoothed, 40 * MS);
    assert_int_equal(r.variance, 20 * MS);
    assert_int_equal(r.min, 40 * MS);
    rovei_rtt_sample(&r, 48 * MS, 4 * MS); /* 44 net */
    assert_int_equal(r.smoothed, 35 * MS + 44 * MS / 8);
    assert_int_equal(r.variance, 15 * MS + MS);
    rovei_rtt_sample(&r, 41 * MS, 3 * MS); /* net of it would be below the least */
    assert_int_equal(r.min, 40 * MS);
    assert_true(r.smoothed > 40 * MS);
    assert_int_equal(rovei_rtt_loss_delay(&r),
                     r.latest > r.smoothed ? r.latest + r.latest / 8 : r.smoothed + r.smoothed / 8);
    rovei_rtt tiny;
    rovei_rtt_init(&tiny);
    for (int i = 0; i < 100; i++)
        rovei_rtt_sample(&tiny, 50000, 0);
    assert_int_equal(rovei_rtt_loss_delay(&tiny), MS);
    assert_int_equal(rovei_rtt_probe_delay(&tiny, 0), tiny.smoothed + MS + 5 * MS);
    assert_int_equal(rovei_rtt_probe_delay(&tiny, 63), ROVE_SECOND);
    assert_int_equal(rovei_rtt_probe_delay(&tiny, 1), 2 * rovei_rtt_probe_delay(&tiny, 0));
}

/* ---- congestion ---- */

static void window_grows_and_shrinks(void **state)
{
    (void)state;
    rovei_congestion c;
    rovei_congestion_init(&c);
    uint64_t w = c.window;
    rovei_congestion_acked(&c, 1200, 10, w / 4); /* hardly used */
    assert_int_equal(c.window, w);
    rovei_congestion_acked(&c, 1200, 10, w);
    assert_int_equal(c.window, w + 1200);
    rovei_congestion_lost(&c, 20, 15);
    uint64_t reduced = c.window;
    assert_true(reduced < w + 1200 && reduced >= (w + 1200) / 2);
    rovei_congestion_lost(&c, 21, 18); /* the same round trip */
    assert_int_equal(c.window, reduced);
    rovei_congestion_acked(&c, 1200, 19, reduced); /* sent before the reduction */
    assert_int_equal(c.window, reduced);
    for (uint64_t acked = 0; acked < reduced; acked += 1200)
        rovei_congestion_acked(&c, 1200, 30, c.window);
    assert_int_equal(c.window, reduced + 1200);
    for (uint64_t i = 0; i < 50; i++)
        rovei_congestion_lost(&c, 100 + i, 100 + i);
    assert_int_equal(c.window, ROVEI_CWND_MIN);
    rovei_congestion_init(&c);
    for (int i = 0; i < 100000; i++)
        rovei_congestion_acked(&c, 1200, 10, c.window);
    assert_int_equal(c.window, ROVEI_CWND_MAX);
    rovei_congestion_collapse(&c);
    assert_int_equal(c.window, ROVEI_CWND_MIN);
}

static void pacer_spaces(void **state)
{
    (void)state;
    rovei_congestion c;
    rovei_pacer p;
    rovei_rtt r;
    rovei_congestion_init(&c);
    rovei_pacer_init(&p);
    rovei_rtt_init(&r);
    assert_true(rovei_pacer_ready(&p, &c, &r, 0)); /* nothing measured yet */
    rovei_rtt_sample(&r, 100 * MS, 0);
    c.window = 100 * 1200;
    c.threshold = c.window;
    /* Paced at 125 packets per 100 ms: after the first burst one packet per 0.8 ms. */
    uint64_t now = 10 * ROVE_SECOND, sent = 0, first = 0;
    for (; now < 11 * ROVE_SECOND;) {
        if (rovei_pacer_ready(&p, &c, &r, now)) {
            rovei_pacer_sent(&p, &c, &r, now, 1200);
            sent++;
        } else {
            if (!first)
                first = sent;
            uint64_t when = rovei_pacer_when(&p, &r);
            assert_true(when > now);
            now = when;
        }
    }
    assert_in_range(first, 32, 33);
    assert_in_range(sent, 1250, 1300);
    rovei_rtt fast;
    rovei_rtt_init(&fast);
    rovei_rtt_sample(&fast, MS / 2, 0);
    assert_int_equal(rovei_pacer_when(&p, &fast), 0);
    assert_true(rovei_pacer_ready(&p, &c, &fast, 0));
}

/* Woken a millisecond late each time, a quick sender still keeps its rate. */
static void pacer_makes_up(void **state)
{
    (void)state;
    rovei_congestion c;
    rovei_pacer p;
    rovei_rtt r;
    rovei_congestion_init(&c);
    rovei_pacer_init(&p);
    rovei_rtt_init(&r);
    rovei_rtt_sample(&r, 20 * MS, 0);
    c.window = 4000 * 1200;
    c.threshold = c.window;
    /* 5,000 packets per 20 ms. */
    uint64_t sent = 0;
    for (uint64_t now = 10 * ROVE_SECOND; now < 11 * ROVE_SECOND; now += MS)
        while (rovei_pacer_ready(&p, &c, &r, now)) {
            rovei_pacer_sent(&p, &c, &r, now, 1200);
            sent++;
        }
    assert_in_range(sent, 240000, 251000);
}

/* ---- spans against a plain array ---- */

static void spans_agree_with_a_model(void **state)
{
    (void)state;
    pair_rng r = {77};
    for (int round = 0; round < 300; round++) {
        bool model[128] = {false};
        rovei_spans s;
        rovei_spans_init(&s);
        for (int step = 0; step < 60; step++) {
            uint64_t from = pair_random(&r) % 128, to = from + pair_random(&r) % 20;
            to = to > 128 ? 128 : to;
            bool add = pair_random(&r) % 5 < 3;
            assert_int_equal(rovei_spans_reserve(&s, &rovei_alloc_libc, 1), ROVE_OK);
            if (add)
                rovei_spans_add(&s, from, to);
            else
                rovei_spans_remove(&s, from, to);
            for (uint64_t v = from; v < to; v++)
                model[v] = add;
            rovei_spans_check(&s);
            uint64_t total = 0;
            for (uint64_t v = 0; v < 128; v++) {
                assert_int_equal(rovei_spans_has(&s, v), model[v]);
                total += model[v];
            }
            assert_int_equal(s.total, total);
        }
        rovei_spans_fini(&s, &rovei_alloc_libc);
    }
}

/* ---- records ---- */

static void records_in_rings(void **state)
{
    (void)state;
    rovei_sent s;
    rovei_sent_init(&s, &rovei_alloc_libc);
    pair_rng r = {5};
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(rovei_sent_reserve(&s), ROVE_OK);
        uint64_t frames = pair_random(&r) % 5;
        for (uint64_t f = 0; f < frames; f++)
            rovei_sent_note(
                &s, (rovei_sent_frame){.type = ROVEI_FRAME_MAX_DATA, .value = s.next * 10 + f});
        rovei_sent_commit(&s, (uint64_t)i, 100, pair_random(&r) % 4 != 0);
        if (s.next - s.first > 200) {
            for (int k = 0; k < 150; k++) {
                uint64_t n = s.first + pair_random(&r) % (s.next - s.first);
                rovei_sent_packet *p = rovei_sent_at(&s, n);
                if (!p->outstanding)
                    continue;
                for (size_t f = 0; f < p->count; f++)
                    assert_int_equal(rovei_sent_frame_at(&s, p, f)->value, n * 10 + f);
                rovei_sent_settle(&s, p);
            }
            rovei_sent_trim(&s);
        }
        rovei_sent_check(&s);
    }
    rovei_sent_fini(&s);
}

/* ---- over a link ---- */

static uint64_t come; /* bytes that came to side 1 */

static void on_bytes(pair *p, size_t side, rovei_transport_event *e)
{
    (void)p;
    if (side == 1 && e->kind == ROVEI_TRANSPORT_MESSAGE)
        come += rove_buf_span(e->message).size;
}

static pair *start(uint64_t seed)
{
    pair *p = malloc(sizeof *p);
    assert_non_null(p);
    pair_init(p, seed);
    p->on_event = on_bytes;
    come = 0;
    return p;
}

static void stop(pair *p)
{
    rovei_transport_check(p->t[0]);
    rovei_transport_check(p->t[1]);
    assert_int_equal(p->error[0], 0);
    assert_int_equal(p->error[1], 0);
    pair_fini(p);
    free(p);
}

static void queue_bytes(pair *p, uint64_t id, size_t size)
{
    uint8_t *bytes = calloc(1, size);
    assert_int_equal(rovei_transport_send(p->t[0], id, (rove_span){bytes, size}, NULL), ROVE_OK);
    free(bytes);
}

static bool nothing_queued(pair *p)
{
    return rovei_transport_stats_get(p->t[0]).bytes_queued == 0;
}

static void measures_the_round_trip(void **state)
{
    (void)state;
    pair *p = start(1);
    p->delay = 20 * MS;
    pair_start(p);
    rovei_transport_ping(p->t[0]);
    assert_int_equal(rovei_transport_deadline(p->t[0]), 0);
    assert_int_equal(rovei_transport_stats_get(p->t[0]).rtt_smoothed, 0);
    pair_run(p, ROVE_SECOND, NULL);
    rovei_transport_stats s = rovei_transport_stats_get(p->t[0]);
    assert_in_range(s.rtt_min, 40 * MS, 46 * MS);
    assert_in_range(s.rtt_smoothed, 40 * MS, 46 * MS);
    assert_int_equal(rovei_transport_last_sent(p->t[0]), ROVE_SECOND);
    assert_int_equal(rovei_transport_deadline(p->t[0]), ROVE_TIME_NEVER);
    stop(p);
}

/* One acknowledgement for a burst, one within 5 ms for a single packet, one at once for a gap. */
static void acknowledges_in_time(void **state)
{
    (void)state;
    pair *p = start(2);
    pair_start(p);
    pair_run(p, ROVE_SECOND, NULL);
    uint8_t packets[6][PAIR_ROOM], out[PAIR_ROOM];
    size_t sizes[6];
    for (int i = 0; i < 6; i++) {
        rovei_transport_ping(p->t[0]);
        sizes[i] = rovei_transport_build(p->t[0], p->now, packets[i], PAIR_ROOM);
        assert_int_equal(sizes[i], 9);
    }
    rovei_transport *t = p->t[1];
    assert_int_equal(rovei_transport_receive(t, p->now, packets[0], sizes[0]), ROVE_OK);
    assert_int_equal(rovei_transport_build(t, p->now, out, PAIR_ROOM), 0);
    assert_int_equal(rovei_transport_deadline(t), p->now.mono + 5 * MS);
    p->now.mono += 5 * MS;
    rovei_transport_expire(t, p->now);
    assert_int_equal(rovei_transport_deadline(t), 0);
    assert_int_equal(rovei_transport_build(t, p->now, out, PAIR_ROOM), 8 + ROVEI_FRAME_ACK_SIZE);
    assert_int_equal(rovei_transport_build(t, p->now, out, PAIR_ROOM), 0);
    for (int i = 1; i < 4; i++)
        assert_int_equal(rovei_transport_receive(t, p->now, packets[i], sizes[i]), ROVE_OK);
    assert_true(rovei_transport_build(t, p->now, out, PAIR_ROOM) > 0);
    assert_int_equal(rovei_transport_build(t, p->now, out, PAIR_ROOM), 0);
    assert_int_equal(rovei_transport_receive(t, p->now, packets[5], sizes[5]), ROVE_OK);
    assert_int_equal(rovei_transport_build(t, p->now, out, PAIR_ROOM),
                     8 + ROVEI_FRAME_ACK_SIZE + ROVEI_FRAME_ACK_RANGE);
    assert_int_equal(rovei_transport_receive(t, p->now, packets[5], sizes[5]), ROVE_OK);
    assert_int_equal(rovei_transport_stats_get(t).packets_duplicate, 1);
    stop(p);
}

/* A minute of silence, then everything queued arrives within two seconds. */
static void partition_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        pair *p = start(10 + seed);
        p->jitter = seed * MS;
        p->loss = seed % 2 ? 50 : 0;
        pair_start(p);
        uint64_t id;
        assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
        queue_bytes(p, id, 100000);
        pair_run(p, ROVE_SECOND, NULL);
        assert_true(nothing_queued(p));
        queue_bytes(p, id, 30000);
        pair_run(p, seed * MS, NULL);
        p->cut = true;
        uint64_t sent = rovei_transport_stats_get(p->t[0]).packets_sent;
        queue_bytes(p, id, 30000);
        pair_run(p, 60 * ROVE_SECOND, NULL);
        /* Probes only, and no fewer than about one pair each second. */
        assert_in_range(rovei_transport_stats_get(p->t[0]).packets_sent - sent, 60, 260);
        p->cut = false;
        assert_true(pair_run(p, 2 * ROVE_SECOND, nothing_queued));
        assert_int_equal(come, 160000);
        stop(p);
    }
}

/* The owner knows that the peer is back before the next probe is due: it goes on at once. */
static void wake_sends_at_once(void **state)
{
    (void)state;
    pair *p = start(3);
    pair_start(p);
    uint64_t id;
    assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
    queue_bytes(p, id, 1000);
    pair_run(p, ROVE_SECOND, NULL);
    p->cut = true;
    queue_bytes(p, id, 3000);
    pair_run(p, 20 * ROVE_SECOND, NULL);
    p->cut = false;
    rovei_transport_wake(p->t[0], p->now);
    assert_int_equal(rovei_transport_deadline(p->t[0]), 0);
    assert_true(pair_run(p, 30 * MS, nothing_queued));
    assert_int_equal(come, 4000);
    stop(p);
}

/* The last packet of a burst is lost: nothing after it tells, a probe does. */
static void lost_tail(void **state)
{
    (void)state;
    pair *p = start(4);
    pair_start(p);
    uint64_t id;
    assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
    queue_bytes(p, id, 1000);
    pair_run(p, ROVE_SECOND, NULL);
    p->mute[0] = true;
    queue_bytes(p, id, 500);
    pair_run(p, MS, NULL);
    p->mute[0] = false;
    assert_true(pair_run(p, 100 * MS, nothing_queued));
    stop(p);
}

/* All acknowledgements are lost for a while: what arrived twice counts once. */
static void lost_acknowledgements(void **state)
{
    (void)state;
    pair *p = start(5);
    pair_start(p);
    uint64_t id;
    assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
    pair_run(p, ROVE_SECOND, NULL);
    p->mute[1] = true;
    for (int i = 0; i < 20; i++)
        queue_bytes(p, id, 1000);
    pair_run(p, 5 * ROVE_SECOND, NULL);
    p->mute[1] = false;
    assert_true(pair_run(p, 2 * ROVE_SECOND, nothing_queued));
    assert_int_equal(come, 20000);
    stop(p);
}

/* One-way traffic with loss: ranges of received numbers stay few, since they are asked about. */
static void one_way_ranges_stay_few(void **state)
{
    (void)state;
    pair *p = start(6);
    p->loss = 100;
    pair_start(p);
    uint64_t id;
    assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
    for (int i = 0; i < 40; i++) {
        queue_bytes(p, id, 50000);
        assert_true(pair_run(p, 30 * ROVE_SECOND, nothing_queued));
    }
    assert_int_equal(come, 40 * 50000);
    assert_true(rovei_transport_stats_get(p->t[0]).packets_lost > 100);
    assert_in_range(p->t[1]->received.count, 1, 16);
    stop(p);
}

/* A peer that sends much and never acknowledges: the records of what it leaves open stay bounded.
 */
static void records_are_bounded(void **state)
{
    (void)state;
    pair *p = start(7);
    pair_start(p);
    rovei_transport *t = p->t[1];
    uint8_t in[9] = {0}, out[PAIR_ROOM];
    in[8] = ROVEI_FRAME_PING;
    for (uint64_t n = 1; n <= 150000; n++) {
        rovei_store64(in, n);
        assert_int_equal(rovei_transport_receive(t, p->now, in, sizeof in), ROVE_OK);
        while (rovei_transport_build(t, p->now, out, sizeof out) > 0)
            continue;
        p->now.mono += 1000;
    }
    assert_true(t->sent.next > 70000);
    assert_true(t->sent.next - t->sent.first <= 65536);
    assert_true(p->memory[1].most < 8 << 20);
    stop(p);
}

/* Goodput in bytes per second of virtual time. */
static uint64_t goodput(uint64_t seed, uint64_t delay, uint64_t rate, uint64_t queue, uint32_t loss)
{
    pair *p = start(seed);
    p->delay = delay;
    p->rate = rate;
    p->queue = queue;
    p->loss = loss;
    p->check_every = 1000;
    pair_start(p);
    uint64_t id;
    assert_int_equal(rovei_transport_open(p->t[0], 1, &id), ROVE_OK);
    pair_run(p, ROVE_SECOND, NULL);
    for (int i = 0; i < 20; i++)
        queue_bytes(p, id, 1 << 20);
    uint64_t from = p->now.mono;
    assert_true(pair_run(p, 1200 * ROVE_SECOND, nothing_queued));
    uint64_t took = p->now.mono - from;
    stop(p);
    return (UINT64_C(20) << 20) * ROVE_SECOND / took;
}

static void uses_the_link(void **state)
{
    (void)state;
    /* 10 MB/s and 10 ms, a queue of one round trip; then a shallow one. */
    assert_true(goodput(1, 5 * MS, 10000000, 100000, 0) > 9000000);
    assert_true(goodput(2, 5 * MS, 10000000, 20000, 0) > 7000000);
    /* Like loopback, 200 MB/s and 50 us: 1, 5 and 10 of 100 packets lost. */
    assert_true(goodput(3, 25000, 200000000, 400000, 0) > 150000000);
    assert_true(goodput(4, 25000, 200000000, 400000, 10) > 100000000);
    assert_true(goodput(5, 25000, 200000000, 400000, 50) > 40000000);
    assert_true(goodput(6, 25000, 200000000, 400000, 100) > 12000000);
    /* A long way with some loss. */
    assert_true(goodput(7, 5 * MS, 20000000, 400000, 10) > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtt_estimates),
        cmocka_unit_test(window_grows_and_shrinks),
        cmocka_unit_test(pacer_spaces),
        cmocka_unit_test(pacer_makes_up),
        cmocka_unit_test(spans_agree_with_a_model),
        cmocka_unit_test(records_in_rings),
        cmocka_unit_test(measures_the_round_trip),
        cmocka_unit_test(acknowledges_in_time),
        cmocka_unit_test(partition_heals),
        cmocka_unit_test(wake_sends_at_once),
        cmocka_unit_test(lost_tail),
        cmocka_unit_test(lost_acknowledgements),
        cmocka_unit_test(one_way_ranges_stay_few),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test(uses_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
