/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of class net: the control messages, one direction at a time, and two ends together. */
#include "support.h"

#include <net/flow.h>
#include <net/wire.h>

#define MS ROVE_MILLISECOND

/* ---- control messages ---- */

static rovei_flow_message example(uint16_t id)
{
    rovei_flow_message m = {.id = id, .stream = UINT64_C(0x1122334455667788), .ack = 5};
    if (id == ROVEI_FLOW_WINDOW_ID)
        m.consumed = 1000;
    else if (id == ROVEI_FLOW_NACK_ID)
        m.missing = 3;
    else if (id == ROVEI_FLOW_RANGES_ID)
        m.ranges = (rovei_flow_ranges){.count = 2, .r = {{20, 30}, {7, 9}}};
    else
        m.ack = 0;
    return m;
}

static void test_codec(void **state)
{
    (void)state;
    static const struct {
        uint16_t id;
        const char *hex;
    } rows[] = {
        {0x0B00, "8877665544332211"
                 "e803000000000000"
                 "0500000000000000"},
        {0x0B01, "8877665544332211"
                 "0500000000000000"
                 "0300000000000000"},
        {0x0B02, "8877665544332211"},
        {0x0B03, "8877665544332211"
                 "0500000000000000"
                 "1400000000000000"
                 "1e00000000000000"
                 "0700000000000000"
                 "0900000000000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[300] = {0};
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_flow_message m = example(rows[i].id), got = {0};
        rovei_flow_write(&w, &m);
        size_t size = rovei_writer_size(&w);
        assert_hex(bytes, size, rows[i].hex);
        assert_ok(rovei_flow_read(m.id, (rove_span){bytes, size}, &got));
        assert_int_equal(got.id, m.id);
        assert_int_equal(got.stream, m.stream);
        assert_int_equal(got.ack, m.ack);
        /* Any other length is refused: one byte less, one more, none. */
        assert_int_not_equal(rovei_flow_read(m.id, (rove_span){bytes, size - 1}, &got), ROVE_OK);
        assert_int_not_equal(rovei_flow_read(m.id, (rove_span){bytes, size + 1}, &got), ROVE_OK);
        assert_int_not_equal(rovei_flow_read(m.id, (rove_span){bytes, 0}, &got), ROVE_OK);
    }
    rovei_flow_message got;
    uint8_t bytes[24] = {0};
    assert_int_equal(rovei_flow_read(0x0B04, (rove_span){bytes, 24}, &got), ROVE_E_FLAG);
}

static rove_err read_ranges(uint64_t ack, const rovei_flow_range *r, uint32_t count, size_t cut)
{
    uint8_t bytes[16 + 17 * 16];
    rovei_store64(bytes, 1);
    rovei_store64(bytes + 8, ack);
    for (uint32_t i = 0; i < count; i++) {
        rovei_store64(bytes + 16 + 16 * i, r[i].start);
        rovei_store64(bytes + 24 + 16 * i, r[i].end);
    }
    rovei_flow_message m;
    return rovei_flow_read(ROVEI_FLOW_RANGES_ID, (rove_span){bytes, 16 + 16 * count - cut}, &m);
}

static void test_ranges(void **state)
{
    (void)state;
    rovei_flow_range r[17];
    for (uint32_t i = 0; i < 17; i++)
        r[i] = (rovei_flow_range){1000 - 10 * i, 1005 - 10 * i};
    assert_ok(read_ranges(5, r, 1, 0));
    assert_ok(read_ranges(5, r, 16, 0));
    assert_int_equal(read_ranges(5, r, 17, 0), ROVE_E_BOUND);
    assert_int_equal(read_ranges(5, r, 0, 0), ROVE_E_BOUND);
    assert_int_equal(read_ranges(5, r, 2, 8), ROVE_E_SHORT);
    assert_int_equal(read_ranges(1000, r, 1, 0), ROVE_E_FORMAT); /* touches what is acknowledged */
    assert_int_equal(read_ranges(5, (rovei_flow_range[]){{9, 9}}, 1, 0), ROVE_E_FORMAT);
    assert_int_equal(read_ranges(5, (rovei_flow_range[]){{9, 8}}, 1, 0), ROVE_E_FORMAT);
    assert_int_equal(read_ranges(5, (rovei_flow_range[]){{7, 9}, {20, 30}}, 2, 0), ROVE_E_FORMAT);
    assert_int_equal(read_ranges(5, (rovei_flow_range[]){{9, 20}, {7, 9}}, 2, 0), ROVE_E_FORMAT);
    assert_ok(read_ranges(5, (rovei_flow_range[]){{10, 20}, {7, 9}}, 2, 0));
}

/* ---- what one stream receives ---- */

#define COST 100u

static rovei_flow_verdict take(rovei_flow_receive *s, uint64_t sequence)
{
    rovei_flow_verdict v = rovei_flow_receive_take(s, ROVE_SECOND, sequence, COST);
    rovei_flow_receive_check(s);
    return v;
}

static void test_in_order(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(take(&s, i), ROVEI_FLOW_NEW);
    assert_int_equal(s.next, 5);
    assert_int_equal(s.consumed, 5 * COST);
    for (uint64_t i = 0; i < 5; i++) /* the first number included */
        assert_int_equal(take(&s, i), ROVEI_FLOW_DUPLICATE);
    assert_int_equal(s.consumed, 5 * COST);
    assert_false(rovei_flow_receive_waits(&s));
}

static void test_holes(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    /* the first packet does not say where the stream begins */
    assert_int_equal(take(&s, 3), ROVEI_FLOW_NEW);
    assert_int_equal(s.next, 0);
    assert_true(s.fresh_hole);
    assert_int_equal(rovei_flow_receive_missing(&s), 3); /* 1 and 2, beside 0 */
    assert_int_equal(take(&s, 3), ROVEI_FLOW_DUPLICATE);
    assert_int_equal(take(&s, 6), ROVEI_FLOW_NEW);
    assert_int_equal(rovei_flow_receive_missing(&s), 0x1B); /* 1 2 4 5 */
    assert_int_equal(take(&s, 4), ROVEI_FLOW_NEW);
    assert_int_equal(take(&s, 5), ROVEI_FLOW_NEW); /* joins two runs */
    assert_int_equal(s.count, 1);
    assert_int_equal(take(&s, 0), ROVEI_FLOW_NEW);
    assert_int_equal(rovei_flow_receive_missing(&s), 1); /* 2, beside 1 */
    assert_int_equal(take(&s, 2), ROVEI_FLOW_NEW);
    assert_int_equal(take(&s, 1), ROVEI_FLOW_NEW); /* fills the last hole */
    assert_int_equal(s.next, 7);
    assert_int_equal(s.consumed, 7 * COST);
    assert_false(rovei_flow_receive_waits(&s));
}

static void test_missing_far(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    (void)take(&s, 500); /* beyond the bits: all of them are missing */
    assert_int_equal(rovei_flow_receive_missing(&s), UINT64_MAX);
    (void)take(&s, 64); /* bit 63 */
    assert_int_equal(rovei_flow_receive_missing(&s), UINT64_MAX >> 1);
    (void)take(&s, 1);
    assert_int_equal(rovei_flow_receive_missing(&s), (UINT64_MAX >> 1) & ~UINT64_C(1));
}

static void test_bounds(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    assert_int_equal(take(&s, ROVEI_FLOW_HORIZON), ROVEI_FLOW_NEW);
    assert_int_equal(take(&s, ROVEI_FLOW_HORIZON + 1), ROVEI_FLOW_REFUSED);
    assert_int_equal(take(&s, UINT64_MAX), ROVEI_FLOW_REFUSED);
    rovei_flow_receive_init(&s, true);
    for (uint64_t i = 0; i < ROVEI_FLOW_RUNS; i++)
        assert_int_equal(take(&s, 2 + 3 * i), ROVEI_FLOW_NEW);
    assert_int_equal(take(&s, 2 + 3 * ROVEI_FLOW_RUNS), ROVEI_FLOW_REFUSED);
    assert_int_equal(take(&s, 3), ROVEI_FLOW_NEW); /* makes a run longer */
    assert_int_equal(take(&s, 4), ROVEI_FLOW_NEW); /* joins two: there is room again */
    assert_int_equal(take(&s, 2 + 3 * ROVEI_FLOW_RUNS), ROVEI_FLOW_NEW);
    assert_int_equal(s.consumed, (ROVEI_FLOW_RUNS + 3) * COST);
}

/* 300 packets in any order, each twice: all are taken once. */
static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        uint64_t order[600];
        for (uint64_t i = 0; i < 600; i++)
            order[i] = i % 300;
        for (uint64_t i = 599; i > 0; i--) { /* no further than 20 places */
            uint64_t j = i - below(&random, i < 20 ? i + 1 : 20), swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        rovei_flow_receive s;
        rovei_flow_receive_init(&s, true);
        bool had[300] = {false};
        for (size_t i = 0; i < 600; i++) {
            rovei_flow_verdict v = take(&s, order[i]);
            if (v == ROVEI_FLOW_REFUSED)
                continue; /* too many holes at once; it comes a second time */
            assert_int_equal(v == ROVEI_FLOW_DUPLICATE, had[order[i]]);
            had[order[i]] = true;
        }
        uint64_t count = 0;
        for (size_t i = 0; i < 300; i++)
            count += had[i];
        assert_int_equal(s.consumed, count * COST);
    }
}

static void test_give_up(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    uint64_t now = ROVE_SECOND;
    (void)rovei_flow_receive_take(&s, now, 2, COST);           /* misses 0 1 */
    (void)rovei_flow_receive_take(&s, now + 500 * MS, 5, 200); /* misses 3 4 */
    assert_int_equal(rovei_flow_receive_expire(&s, now + 999 * MS), 0);
    assert_int_equal(rovei_flow_receive_expire(&s, now + 1000 * MS), 2);
    assert_int_equal(s.next, 3);
    assert_int_equal(s.consumed, COST + 200 + 2 * 200); /* as large as the largest so far */
    assert_int_equal(rovei_flow_receive_expire(&s, now + 1500 * MS), 2);
    assert_int_equal(s.next, 6);
    assert_false(rovei_flow_receive_waits(&s));
    /* far ahead of everything: nothing to be repaired there either */
    assert_int_equal(rovei_flow_receive_take(&s, now, 100000, COST), ROVEI_FLOW_REFUSED);
    assert_true(rovei_flow_receive_waits(&s));
    assert_true(rovei_flow_receive_expire(&s, now + ROVE_SECOND) > 0);
    assert_int_equal(rovei_flow_receive_take(&s, now, 100000, COST), ROVEI_FLOW_NEW);
    rovei_flow_receive_check(&s);
}

static void test_fire_and_forget(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, false);
    static const uint64_t order[] = {0, 5, 4, UINT64_MAX, 1u << 20, 3};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(take(&s, order[i]), ROVEI_FLOW_NEW);
        assert_false(s.fresh_hole);
    }
    /* Each lost packet gives its credit back, at once or after a while. */
    (void)rovei_flow_receive_expire(&s, 3 * ROVE_SECOND);
    assert_true(s.consumed >= ((1u << 20) + 1) * (uint64_t)COST);
    assert_false(rovei_flow_receive_waits(&s));
}

static void test_new_life(void **state)
{
    (void)state;
    rovei_flow_receive s;
    rovei_flow_receive_init(&s, true);
    for (uint64_t i = 0; i < 5; i++)
        (void)take(&s, i);
    uint64_t later = ROVE_SECOND + ROVEI_FLOW_NEW_LIFE;
    assert_int_equal(rovei_flow_receive_take(&s, later - 1, 1, COST), ROVEI_FLOW_DUPLICATE);
    later += ROVEI_FLOW_NEW_LIFE;
    assert_int_equal(rovei_flow_receive_take(&s, later, 1, COST), ROVEI_FLOW_NEW);
    assert_int_equal(s.next, 0);
    assert_int_equal(rovei_flow_receive_take(&s, later, 0, COST), ROVEI_FLOW_NEW);
    assert_int_equal(s.next, 2);
    assert_int_equal(s.consumed, 2 * COST);
}

/* ---- credit ---- */

static void test_credit(void **state)
{
    (void)state;
    rovei_flow_credit c;
    rovei_flow_credit_init(&c, 100);
    assert_true(rovei_flow_credit_take(&c, 60));
    assert_false(rovei_flow_credit_take(&c, 60));
    assert_true(rovei_flow_credit_take(&c, 40));
    /* the grant of 60 was lost, that of 80 says it too */
    rovei_flow_credit_grant(&c, 80);
    assert_int_equal(c.remaining, 80);
    rovei_flow_credit_grant(&c, 80);
    rovei_flow_credit_grant(&c, 60);
    assert_int_equal(c.remaining, 80);
    /* more than was sent counts as all that was sent, and later grants still count */
    rovei_flow_credit_grant(&c, UINT64_MAX);
    assert_int_equal(c.remaining, 100);
    assert_true(rovei_flow_credit_take(&c, 30));
    assert_int_equal(c.remaining, 70);
    rovei_flow_credit_grant(&c, 130);
    assert_int_equal(c.remaining, 100);
    rovei_flow_credit_init(&c, 0);
    for (int i = 0; i < 10; i++)
        assert_true(rovei_flow_credit_take(&c, UINT64_MAX / 2));
}

/* ---- what one stream sends ---- */

typedef struct sender {
    test_alloc a;
    rovei_list queue;
    rovei_flow_send s;
} sender;

static void sender_init(sender *t, bool reliable, uint64_t window)
{
    test_alloc_init(&t->a);
    rovei_list_init(&t->queue);
    rovei_flow_send_init(&t->s, &t->a.alloc, &t->queue, 7, reliable, window);
}

static void sender_fini(sender *t)
{
    rovei_flow_send_check(&t->s);
    rovei_flow_send_fini(&t->s);
    assert_int_equal(t->a.live, 0);
}

/* A packet with a plaintext of `size` bytes. */
static rove_err put(sender *t, size_t size)
{
    static const uint8_t bytes[ROVEI_NET_PLAIN_MAX + 1];
    const rovei_flow_frames frames = {{bytes, size}, 1};
    return rovei_flow_send_put(&t->s, &frames, t->s.reliable);
}

/* Lets everything leave; the number of packets. */
static unsigned leave(sender *t, uint64_t now)
{
    unsigned count = 0;
    for (; !rovei_list_empty(&t->queue); count++)
        rovei_flow_send_left(ROVEI_CONTAINER(t->queue.next, rovei_flow_packet, queue), now);
    rovei_flow_send_check(&t->s);
    return count;
}

static void acked(sender *t, uint64_t now, uint64_t ack)
{
    rovei_flow_message m = {.id = ROVEI_FLOW_WINDOW_ID, .ack = ack, .consumed = UINT64_MAX};
    rovei_flow_send_window(&t->s, now, &m);
    rovei_flow_send_check(&t->s);
}

static void nacked(sender *t, uint64_t expected, uint64_t missing)
{
    rovei_flow_message m = {.id = ROVEI_FLOW_NACK_ID, .ack = expected, .missing = missing};
    rovei_flow_send_nack(&t->s, &m);
    rovei_flow_send_check(&t->s);
}

static void test_pending_max(void **state)
{
    (void)state;
    assert_int_equal(rovei_flow_pending_max(0), 32);
    assert_int_equal(rovei_flow_pending_max(1024), 32);
    assert_int_equal(rovei_flow_pending_max(65536), 128);
    assert_int_equal(rovei_flow_pending_max(UINT64_C(1) << 20), 2048);
    assert_int_equal(rovei_flow_pending_max(UINT64_C(1) << 32), 16384);
}

static void test_window(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, false, 1000);
    assert_int_equal(put(&t, ROVEI_NET_PLAIN_MAX + 1), ROVE_E_TOO_LARGE);
    assert_int_equal(put(&t, 1000), ROVE_E_TOO_LARGE); /* more than the window ever has */
    assert_ok(put(&t, 416));                           /* half of it */
    assert_ok(put(&t, 416));
    assert_int_equal(put(&t, 4), ROVE_E_FULL);
    assert_int_equal(t.s.next, 2); /* a refused one uses no number */
    assert_int_equal(leave(&t, 0), 2);
    assert_int_equal(t.a.live, 0); /* nobody acknowledges them */
    acked(&t, 0, 0);
    assert_ok(put(&t, 416));
    t.a.fail_at = t.a.calls;
    assert_int_equal(put(&t, 416), ROVE_E_NOMEM);
    assert_int_equal(t.s.next, 3);
    assert_int_equal(t.s.credit.remaining, 500);
    sender_fini(&t);
}

static void test_round_trip_time(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, true, ROVEI_FLOW_WINDOW);
    assert_int_equal(t.s.rto, 50 * MS);
    assert_ok(put(&t, 10));
    (void)leave(&t, ROVE_SECOND);
    acked(&t, ROVE_SECOND + 100 * MS, 1);
    assert_int_equal(t.s.smoothed, 100 * MS);
    assert_int_equal(t.s.rto, 300 * MS); /* 100 + 4 x 50 */
    assert_ok(put(&t, 10));
    (void)leave(&t, 2 * ROVE_SECOND);
    acked(&t, 2 * ROVE_SECOND + 20 * MS, 2);
    assert_int_equal(t.s.smoothed, 90 * MS);
    assert_int_equal(t.s.variance, 57 * MS + MS / 2);
    /* What was sent twice says nothing about the time. */
    assert_ok(put(&t, 10));
    (void)leave(&t, 3 * ROVE_SECOND);
    rovei_flow_send_expire(&t.s, 4 * ROVE_SECOND);
    assert_int_equal(leave(&t, 4 * ROVE_SECOND), 1);
    acked(&t, 4 * ROVE_SECOND + MS, 3);
    assert_int_equal(t.s.smoothed, 90 * MS);
    /* bounds */
    assert_ok(put(&t, 10));
    (void)leave(&t, 5 * ROVE_SECOND);
    acked(&t, 50 * ROVE_SECOND, 4);
    assert_int_equal(t.s.rto, ROVEI_FLOW_RTO_MAX);
    sender_fini(&t);
    sender_init(&t, true, ROVEI_FLOW_WINDOW);
    assert_ok(put(&t, 10));
    (void)leave(&t, 0);
    acked(&t, 1000, 1);
    assert_int_equal(t.s.rto, ROVEI_FLOW_RTO_MIN);
    sender_fini(&t);
}

static void test_congestion(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, true, ROVEI_FLOW_WINDOW);
    for (int i = 0; i < 32; i++)
        assert_ok(put(&t, 10));
    assert_int_equal(put(&t, 10), ROVE_E_FULL); /* the congestion window */
    assert_int_equal(leave(&t, 0), 32);
    acked(&t, MS, 32);
    assert_int_equal(t.s.cwnd, 64000);
    for (int i = 0; i < 40; i++)
        assert_ok(put(&t, 10));
    (void)leave(&t, 2 * MS);
    nacked(&t, 32, 1); /* 32 and 33 */
    assert_int_equal(t.s.cwnd, 32000);
    assert_int_equal(leave(&t, 3 * MS), 2);
    nacked(&t, 32, 1); /* says nothing new */
    assert_int_equal(leave(&t, 3 * MS), 0);
    assert_int_equal(t.s.cwnd, 32000);
    acked(&t, 4 * MS, 34); /* by parts of a packet from here on: 2 x 1/32 */
    assert_int_equal(t.s.cwnd, 32062);
    rovei_flow_send_expire(&t.s, ROVE_SECOND);
    assert_int_equal(t.s.cwnd, 2000);
    assert_int_equal(t.s.threshold, 16031);
    assert_int_equal(leave(&t, ROVE_SECOND), 38);
    sender_fini(&t);
}

static void test_give_up_sending(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, true, ROVEI_FLOW_WINDOW);
    assert_ok(put(&t, 10));
    assert_ok(put(&t, 10));
    unsigned sent = leave(&t, 0);
    uint64_t now = 0;
    while (!t.s.failed && now < 60 * ROVE_SECOND) {
        now += ROVEI_FLOW_TICK;
        rovei_flow_send_expire(&t.s, now);
        sent += leave(&t, now);
    }
    assert_true(t.s.failed);
    assert_int_equal(sent, 2 * (1 + ROVEI_FLOW_RESENDS));
    assert_true(now > 2 * ROVE_SECOND); /* a path of 200 ms is not given up at once */
    assert_int_equal(t.s.pending_count, 0);
    assert_int_equal(put(&t, 10), ROVE_E_CLOSED);
    sender_fini(&t);
}

static void test_ack_ranges(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, true, UINT64_C(1) << 20);
    for (int i = 0; i < 32; i++)
        assert_ok(put(&t, 10));
    (void)leave(&t, 0);
    rovei_flow_message m = {.id = ROVEI_FLOW_RANGES_ID, .ack = 2};
    m.ranges = (rovei_flow_ranges){.count = 2, .r = {{20, 32}, {4, 10}}};
    rovei_flow_send_ranges(&t.s, MS, &m);
    assert_int_equal(t.s.pending_count, 12); /* 2 3, 10 to 19 */
    assert_true(t.s.cwnd <= 2 * 34000);
    rovei_flow_send_ranges(&t.s, MS, &m);
    assert_int_equal(t.s.pending_count, 12);
    nacked(&t, 2, 0x7); /* 2 3, and 4 5, which have arrived */
    assert_int_equal(leave(&t, 2 * MS), 2);
    sender_fini(&t);
}

/* A claim to have received what never left changes nothing. */
static void test_early_ack(void **state)
{
    (void)state;
    sender t;
    sender_init(&t, true, ROVEI_FLOW_WINDOW);
    assert_ok(put(&t, 10));
    acked(&t, 0, 100);
    nacked(&t, 0, UINT64_MAX);
    assert_int_equal(t.s.pending_count, 1);
    assert_int_equal(leave(&t, 0), 1);
    acked(&t, MS, UINT64_MAX);
    assert_int_equal(t.s.pending_count, 0);
    sender_fini(&t);
}

/* ---- two ends ---- */

typedef struct wire_packet {
    rovei_flow_out out;
    uint8_t plain[ROVEI_NET_PLAIN_MAX];
} wire_packet;

typedef struct end {
    test_alloc a;
    rovei_env env;
    rovei_flow_stats stats;
    rovei_flow f;
    bool got[4096]; /* sequences of stream 1 */
    unsigned events, twice;
} end;

static void fill(void *user, void *ret, size_t size)
{
    random_bytes(user, ret, size);
}

static void end_init(end *e)
{
    static uint64_t random = 1;
    memset(e, 0, sizeof *e);
    test_alloc_init(&e->a);
    e->env = (rovei_env){.alloc = e->a.alloc, .rng = {fill, &random}};
    rove_limits_init(&e->env.limits);
    rovei_flow_init(&e->f, &e->env, &e->stats);
}

static void end_fini(end *e)
{
    rovei_flow_check(&e->f);
    rovei_flow_fini(&e->f);
    assert_int_equal(e->a.live, 0);
}

static void arrive(end *e, uint64_t now, const wire_packet *p)
{
    if (p->out.subprotocol) {
        assert_true(p->out.stream == ROVEI_NET_CONTROL_STREAM && !p->out.reliable);
        rovei_net_frames frames =
            rovei_net_frames_of((rove_span){p->plain, p->out.size}, p->out.events);
        rove_span event;
        while (rovei_net_frames_next(&frames, &event))
            rovei_flow_receive_control(&e->f, now, p->out.subprotocol, event);
    } else if (rovei_flow_receive_packet(&e->f, now, p->out.stream, p->out.sequence,
                                         p->out.reliable, p->out.size) == ROVEI_FLOW_NEW) {
        e->events++;
        if (p->out.stream == 1) {
            assert_true(p->out.sequence < 4096);
            e->twice += e->got[p->out.sequence];
            e->got[p->out.sequence] = true;
        }
    }
    rovei_flow_check(&e->f);
}

/* Sends what one end has to say to the other, of 100 packets `loss` are lost; the number sent. */
static unsigned carry(end *from, end *to, uint64_t now, uint64_t *random, unsigned loss)
{
    static wire_packet p;
    unsigned count = 0;
    for (; rovei_flow_transmit(&from->f, now, p.plain, &p.out); count++)
        if (below(random, 100) >= loss)
            arrive(to, now, &p);
    rovei_flow_check(&from->f);
    return count;
}

static rove_err put_event(end *e, uint64_t now, uint64_t stream, size_t size)
{
    static const uint8_t bytes[ROVEI_NET_PLAIN_MAX];
    return rovei_flow_put(&e->f, now, stream, (rove_span){bytes, size});
}

/* 2,000 packets of a kilobyte pass, each once, on a good path and on bad ones. */
static void transfer(unsigned loss, uint64_t seed)
{
    end *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    assert_true(a && b);
    end_init(a);
    end_init(b);
    assert_ok(rovei_flow_open(&a->f, 1, true, ROVEI_FLOW_WINDOW));
    uint64_t random = seed, now = ROVE_SECOND;
    unsigned put = 0;
    while ((put < 2000 || rovei_flow_deadline(&a->f) != UINT64_MAX) && now < 600 * ROVE_SECOND) {
        now += MS;
        rove_err err = ROVE_OK;
        while (put < 2000 && !(err = put_event(a, now, 1, 1000)))
            put++;
        assert_true(err == ROVE_OK || err == ROVE_E_FULL);
        (void)carry(a, b, now, &random, loss);
        (void)carry(b, a, now, &random, loss);
        rovei_flow_expire(&a->f, now);
        rovei_flow_expire(&b->f, now);
        rovei_flow_event e;
        while (rovei_flow_poll(&a->f, &e))
            assert_int_equal(e.kind, ROVEI_FLOW_ROOM);
    }
    assert_int_equal(put, 2000);
    assert_int_equal(b->events, 2000);
    assert_int_equal(b->twice, 0);
    assert_int_equal(a->stats.failed, 0);
    assert_int_equal(a->stats.sent, 2000 + a->stats.resent);
    assert_true(a->stats.backpressure > 0);
    assert_int_equal(a->stats.resent > 0, loss > 0);
    end_fini(a);
    end_fini(b);
    free(a);
    free(b);
}

static void test_transfer(void **state)
{
    (void)state;
    transfer(0, 1);
    for (uint64_t seed = 1; seed <= 5; seed++)
        transfer(10, seed);
}

static void test_one_packet_for_all(void **state)
{
    (void)state;
    end a, b;
    end_init(&a);
    end_init(&b);
    for (uint64_t stream = 0; stream < 290; stream++)
        assert_int_equal(rovei_flow_receive_packet(&a.f, 0, stream, 0, true, 10), ROVEI_FLOW_NEW);
    static wire_packet p;
    assert_true(rovei_flow_transmit(&a.f, 0, p.plain, &p.out));
    assert_int_equal(p.out.subprotocol, ROVEI_FLOW_WINDOW_ID);
    assert_int_equal(p.out.events, 289);
    assert_int_equal(p.out.size, 289 * 28);
    assert_int_equal(p.out.sequence, 0);
    assert_true(rovei_flow_transmit(&a.f, 0, p.plain, &p.out));
    assert_int_equal(p.out.events, 1);
    assert_int_equal(p.out.sequence, 1);
    assert_false(rovei_flow_transmit(&a.f, 0, p.plain, &p.out));
    assert_int_equal(a.stats.grants, 290);
    end_fini(&a);
    end_fini(&b);
}

/* A hole: grant and NACK at once, the NACK again each 25 ms, and after a second a grant instead. A
 * stream that its sender does not repair has no NACK. */
static void test_answers(void **state)
{
    (void)state;
    end a;
    end_init(&a);
    uint64_t now = ROVE_SECOND;
    static wire_packet p;
    (void)rovei_flow_receive_packet(&a.f, now, 9, 0, false, 16);
    (void)rovei_flow_receive_packet(&a.f, now, 9, 2, false, 16);
    (void)rovei_flow_receive_packet(&a.f, now, 5, 0, true, 16);
    (void)rovei_flow_receive_packet(&a.f, now, 5, 2, true, 16);
    assert_true(rovei_flow_transmit(&a.f, now, p.plain, &p.out));
    assert_hex(p.plain, p.out.size,
               "18000000"
               "0900000000000000"
               "c800000000000000"
               "0000000000000000"
               "18000000"
               "0500000000000000"
               "c800000000000000"
               "0100000000000000");
    assert_true(rovei_flow_transmit(&a.f, now, p.plain, &p.out));
    assert_int_equal(p.out.subprotocol, ROVEI_FLOW_NACK_ID);
    assert_hex(p.plain, p.out.size,
               "18000000"
               "0500000000000000"
               "0100000000000000"
               "0000000000000000");
    assert_false(rovei_flow_transmit(&a.f, now, p.plain, &p.out));
    assert_int_equal(rovei_flow_deadline(&a.f), now + 25 * MS);
    unsigned nacks = 0;
    while (rovei_flow_deadline(&a.f) != UINT64_MAX) {
        now = rovei_flow_deadline(&a.f);
        rovei_flow_expire(&a.f, now);
        while (rovei_flow_transmit(&a.f, now, p.plain, &p.out))
            nacks += p.out.subprotocol == ROVEI_FLOW_NACK_ID;
    }
    assert_int_equal(now, 2 * ROVE_SECOND);
    assert_int_equal(nacks, 39);
    assert_int_equal(a.stats.given_up, 2);
    assert_hex(p.plain, p.out.size, /* the last packet: the hole counts as taken in */
               "18000000"
               "0900000000000000"
               "2c01000000000000"
               "0000000000000000"
               "18000000"
               "0500000000000000"
               "2c01000000000000"
               "0300000000000000");
    /* a duplicate is answered again */
    (void)rovei_flow_receive_packet(&a.f, now, 5, 2, true, 16);
    assert_true(rovei_flow_transmit(&a.f, now, p.plain, &p.out));
    assert_hex(p.plain, p.out.size,
               "18000000"
               "0500000000000000"
               "2c01000000000000"
               "0300000000000000");
    end_fini(&a);
}

/* Without a word from the peer the stream fails once, the peer is told, both forget what they had
 * received on it, and its number is used up. */
static void test_reset(void **state)
{
    (void)state;
    end a, b;
    end_init(&a);
    end_init(&b);
    uint64_t random = 1, now = ROVE_SECOND;
    assert_int_equal(rovei_flow_open(&a.f, UINT64_C(1) << 48, true, 0), ROVE_E_USAGE);
    assert_int_equal(put_event(&a, now, 1, 10), ROVE_E_NOT_FOUND);
    assert_ok(rovei_flow_open(&a.f, 1, true, ROVEI_FLOW_WINDOW));
    assert_int_equal(rovei_flow_open(&a.f, 1, true, ROVEI_FLOW_WINDOW), ROVE_E_EXISTS);
    assert_ok(put_event(&a, now, 1, 10));
    (void)carry(&a, &b, now, &random, 0); /* arrives, and no answer ever comes */
    while (!a.stats.failed) {
        assert_true(rovei_flow_deadline(&a.f) != UINT64_MAX);
        now = rovei_flow_deadline(&a.f);
        rovei_flow_expire(&a.f, now);
        (void)carry(&a, &b, now, &random, 0);
    }
    (void)carry(&a, &b, now, &random, 0);
    assert_int_equal(b.stats.ended, 1);
    assert_int_equal(b.events, 1);
    assert_int_equal(b.stats.duplicates, ROVEI_FLOW_RESENDS);
    rovei_flow_event e;
    assert_true(rovei_flow_poll(&a.f, &e));
    assert_true(e.kind == ROVEI_FLOW_FAILED && e.stream == 1);
    assert_false(rovei_flow_poll(&a.f, &e));
    assert_true(rovei_flow_poll(&b.f, &e));
    assert_true(e.kind == ROVEI_FLOW_ENDED && e.stream == 1);
    assert_false(rovei_flow_poll(&b.f, &e));
    assert_int_equal(rovei_map_get(&b.f.streams, &e.stream) == NULL, true);
    assert_int_equal(put_event(&a, now, 1, 10), ROVE_E_CLOSED);
    assert_int_equal(rovei_flow_open(&a.f, 1, true, ROVEI_FLOW_WINDOW), ROVE_E_EXISTS);
    /* What comes on it later begins anew. */
    assert_int_equal(rovei_flow_receive_packet(&b.f, now, 1, 0, true, 16), ROVEI_FLOW_NEW);
    end_fini(&a);
    end_fini(&b);
}

static void test_too_many(void **state)
{
    (void)state;
    end a;
    end_init(&a);
    a.env.limits.net_streams = 4;
    assert_ok(rovei_flow_open(&a.f, 100, false, 0));
    for (uint64_t stream = 0; stream < 3; stream++)
        (void)rovei_flow_receive_packet(&a.f, 0, stream, 0, true, 10);
    (void)rovei_flow_receive_packet(&a.f, 0, 0, 1, true, 10); /* 1 is silent for longest now */
    (void)rovei_flow_receive_packet(&a.f, 0, 3, 0, true, 10);
    assert_int_equal(a.stats.evicted, 1);
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 0, 1, true, 10), ROVEI_FLOW_DUPLICATE);
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 1, 0, true, 10), ROVEI_FLOW_NEW);
    /* those that are sent on stay, whatever comes */
    for (uint64_t stream = 101; stream < 104; stream++)
        assert_ok(rovei_flow_open(&a.f, stream, true, 0));
    assert_int_equal(rovei_flow_open(&a.f, 104, true, 0), ROVE_E_STREAM_LIMIT);
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 1, 0, true, 10), ROVEI_FLOW_REFUSED);
    assert_int_equal(a.f.streams.count, 4);
    end_fini(&a);
}

static void test_garbage(void **state)
{
    (void)state;
    end a;
    end_init(&a);
    uint8_t bytes[24] = {0};
    assert_false(rovei_flow_receive_control(&a.f, 0, ROVEI_FLOW_WINDOW_ID, (rove_span){bytes, 23}));
    assert_false(rovei_flow_receive_control(&a.f, 0, ROVEI_FLOW_RANGES_ID, (rove_span){bytes, 16}));
    assert_int_equal(a.stats.malformed, 2);
    assert_true(rovei_flow_receive_control(&a.f, 0, ROVEI_FLOW_WINDOW_ID, (rove_span){bytes, 24}));
    assert_true(rovei_flow_receive_control(&a.f, 0, ROVEI_FLOW_NACK_ID, (rove_span){bytes, 24}));
    assert_int_equal(a.stats.stray, 2);
    assert_true(rovei_flow_receive_control(&a.f, 0, ROVEI_FLOW_RESET_ID, (rove_span){bytes, 8}));
    assert_int_equal(a.f.streams.count, 0); /* nothing is made by any of them */
    /* out of memory: as if the packet had been lost */
    a.a.fail_at = a.a.calls;
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 1, 0, true, 10), ROVEI_FLOW_REFUSED);
    a.a.fail_at = a.a.calls + 1;
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 1, 0, true, 10), ROVEI_FLOW_REFUSED);
    assert_int_equal(rovei_flow_receive_packet(&a.f, 0, 1, 0, true, 10), ROVEI_FLOW_NEW);
    end_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec),           cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_in_order),        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_missing_far),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_any_order),       cmocka_unit_test(test_give_up),
        cmocka_unit_test(test_fire_and_forget), cmocka_unit_test(test_new_life),
        cmocka_unit_test(test_credit),          cmocka_unit_test(test_pending_max),
        cmocka_unit_test(test_window),          cmocka_unit_test(test_round_trip_time),
        cmocka_unit_test(test_congestion),      cmocka_unit_test(test_give_up_sending),
        cmocka_unit_test(test_ack_ranges),      cmocka_unit_test(test_early_ack),
        cmocka_unit_test(test_transfer),        cmocka_unit_test(test_one_packet_for_all),
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_reset),
        cmocka_unit_test(test_too_many),        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
