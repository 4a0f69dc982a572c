/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net, one object against another and against peers whose every packet the test makes: how
 * sessions come to stand, are replaced and are lost, and who is not served. */
#include "netkit.h"

#define HANDSHAKE ROVEI_NET_FLAG_HANDSHAKE
#define HEARTBEAT ROVEI_NET_FLAG_HEARTBEAT

static const rovei_addr elsewhere = {.family = 4, .ip = {10, 9, 9, 9}, .port = 999};

static rove_err say(kit *k, size_t from, size_t to, size_t size)
{
    static const uint8_t bytes[ROVEI_NET_MESSAGE_MAX + 1];
    return rovei_net_send(k->nodes[from].net, k->now, k->nodes[to].node_id, 0x0500,
                          (rove_span){bytes, size});
}

static uint64_t drops(const kit *k, size_t i, rovei_net_drop reason)
{
    return rovei_net_stats_get(k->nodes[i].net).drops[reason];
}

/* Where node 0 sends what is for node 1. */
static bool is_sent_to(const kit *k, const rovei_addr *addr)
{
    rovei_net_info info = kit_info(k, 0, 1);
    return rovei_addr_equal(&info.addr, addr);
}

/* ---- a puppet's side of a session ---- */

typedef struct side {
    size_t self, peer;
    rovei_net_handshake h;
    rovei_net_session s;
    uint8_t first[ROVEI_NET_HANDSHAKE_MAX]; /* message 1 that it sent */
    size_t first_size;
} side;

static void side_dial(kit *k, side *d, size_t self, size_t peer, bool routed)
{
    *d = (side){.self = self, .peer = peer};
    assert_ok(rovei_net_dial(&d->h, &k->nodes[self].self, k->nodes[peer].node_id,
                             k->nodes[peer].public_key, routed, d->first, &d->first_size));
    kit_inject(k, peer, &k->nodes[self].addr, d->first, d->first_size);
}

/* Takes the newest handshake packet that it got as message 2. */
static void side_finish(kit *k, side *d)
{
    rovei_net_packet p;
    kit_packet *got = NULL, *last = NULL;
    for (size_t i = 0; (got = kit_got(k, d->self, HANDSHAKE, i, &p)) != NULL; i++)
        last = got;
    assert_non_null(last);
    assert_ok(rovei_net_packet_read(&p, (rove_span){last->bytes, last->size}));
    assert_true(rovei_net_dial_fits(&d->h, &p));
    assert_ok(rovei_net_dial_end(&d->h, &p, last->bytes));
    assert_ok(rovei_net_handshake_session(&d->h, &d->s));
    rovei_net_handshake_fini(&d->h);
}

/* Answers message 1 that the puppet got, the nth of its handshake packets. */
static void side_answer(kit *k, side *d, size_t self, size_t peer, size_t nth)
{
    rovei_net_packet p;
    *d = (side){.self = self, .peer = peer};
    kit_packet *got = kit_got(k, self, HANDSHAKE, nth, &p);
    assert_non_null(got);
    if (p.routed) {
        assert_ok(rovei_net_answer_routed(&d->h, &k->nodes[self].self, &p, got->bytes));
    } else {
        assert_ok(rovei_net_answer_direct(&d->h, &k->nodes[self].self, &p, got->bytes));
        assert_ok(rovei_net_answer_try(&d->h, k->nodes[peer].node_id));
    }
    assert_int_equal(d->h.peer, k->nodes[peer].node_id);
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    assert_ok(rovei_net_answer_write(&d->h, bytes, &size));
    assert_ok(rovei_net_handshake_session(&d->h, &d->s));
    rovei_net_handshake_fini(&d->h);
    kit_inject(k, peer, &k->nodes[self].addr, bytes, size);
}

static size_t side_seal(side *d, uint8_t *ret, uint16_t subprotocol, const char *event)
{
    rovei_writer w = rovei_writer_of(ret + ROVEI_NET_HEADER_SIZE, ROVEI_NET_PLAIN_MAX);
    assert_true(rovei_net_frame_write(&w, span_of(event)));
    const rovei_net_header h = {.subprotocol = subprotocol, .stream = subprotocol, .events = 1};
    return rovei_net_session_seal(&d->s, &h, ret, rovei_writer_size(&w));
}

static void side_say(kit *k, side *d, uint16_t subprotocol, const char *event)
{
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(d, bytes, subprotocol, event);
    kit_inject(k, d->peer, &k->nodes[d->self].addr, bytes, size);
}

static void side_beat_from(kit *k, side *d, const rovei_addr *from)
{
    uint8_t bytes[ROVEI_NET_OVERHEAD];
    rovei_net_session_heartbeat(&d->s, bytes);
    kit_inject(k, d->peer, from, bytes, sizeof bytes);
}

/* Packets with that flag that came under the session and open. */
static size_t side_opened(kit *k, side *d, uint8_t flag)
{
    size_t count = 0;
    rovei_net_packet p;
    for (size_t i = 0;; i++) {
        kit_packet *got = kit_got(k, d->self, flag, i, &p);
        if (!got)
            return count;
        rove_span text;
        uint8_t copy[ROVEI_NET_DATAGRAM_MAX];
        memcpy(copy, got->bytes, got->size);
        if (p.header.session == d->s.id && !rovei_net_session_open(&d->s, &p, copy, &text))
            count++;
    }
}

static void side_fini(side *d)
{
    rovei_net_handshake_fini(&d->h);
    rovei_net_session_fini(&d->s);
}

/* A puppet 1 that is listed at node 0 and has a session that it began. */
static void begin_as_initiator(kit *k, side *d, bool routed)
{
    kit_init(k, 2);
    kit_make_puppet(k, 1);
    kit_list(k, 0, 1, false);
    side_dial(k, d, 1, 0, routed);
    kit_run(k, 10 * ROVE_MILLISECOND);
    side_finish(k, d);
}

/* ---- two objects ---- */

static void test_pair(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 1, 0, false);
    assert_int_equal(say(&k, 0, 1, 1), ROVE_E_UNREACHABLE);
    kit_run(&k, ROVE_SECOND);
    for (size_t i = 0; i < 2; i++) {
        rovei_net_info info = kit_info(&k, i, 1 - i);
        assert_int_equal(info.state, ROVEI_PEER_UP);
        assert_int_equal(info.initiator, i == 0);
        assert_true(rovei_addr_equal(&info.addr, &k.nodes[1 - i].addr));
        assert_int_equal(kit_told(&k, i, ROVEI_NET_UP), 1);
        assert_true(rovei_net_reaches(k.nodes[i].net, k.nodes[1 - i].node_id));
    }
    assert_int_equal(kit_info(&k, 0, 1).session, kit_info(&k, 1, 0).session);
    assert_int_equal(rovei_net_stats_get(k.nodes[0].net).handshakes_started, 1);
    assert_int_equal(say(&k, 0, 1, ROVEI_NET_MESSAGE_MAX + 1), ROVE_E_TOO_LARGE);
    assert_ok(say(&k, 0, 1, ROVEI_NET_MESSAGE_MAX));
    assert_ok(say(&k, 0, 1, 0));
    assert_ok(say(&k, 1, 0, 100));
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[1].messages, 2);
    assert_int_equal(k.nodes[0].messages, 1);
    uint8_t key[32];
    assert_ok(rovei_net_peer_key(k.nodes[0].net, k.nodes[1].node_id, key));
    assert_memory_equal(key, k.nodes[1].public_key, 32);
    assert_int_equal(rovei_net_peer_key(k.nodes[1].net, k.nodes[0].node_id, key), ROVE_E_NOT_FOUND);
    kit_fini(&k);
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 1, 0, false);
    kit_run(&k, ROVE_SECOND);
    uint64_t room = k.nodes[0].t.env.limits.net_queue;
    for (uint64_t i = 0; i < room; i++)
        assert_ok(say(&k, 0, 1, 10));
    assert_int_equal(say(&k, 0, 1, 10), ROVE_E_FULL);
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[1].node_id); /* frees them */
    kit_fini(&k);
}

/* Both dial at once, whoever is the lower one and whoever's message comes first. */
static void test_simultaneous(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        static kit k;
        kit_init(&k, 2);
        kit_list(&k, way, 1 - way, true);
        kit_list(&k, 1 - way, way, true);
        kit_run(&k, ROVE_SECOND);
        assert_int_equal(kit_info(&k, 0, 1).session, kit_info(&k, 1, 0).session);
        assert_true(kit_info(&k, 0, 1).initiator); /* the lower id */
        assert_false(kit_info(&k, 1, 0).initiator);
        assert_ok(say(&k, 0, 1, 5));
        assert_ok(say(&k, 1, 0, 5));
        kit_run(&k, 60 * ROVE_SECOND);
        assert_int_equal(k.nodes[0].messages, 1);
        assert_int_equal(k.nodes[1].messages, 1);
        assert_int_equal(rovei_net_stats_get(k.nodes[0].net).handshakes_started, 1);
        assert_int_equal(rovei_net_stats_get(k.nodes[1].net).handshakes_started, 1);
        kit_fini(&k);
    }
}

static bool lose_some(kit *k, const kit_packet *p)
{
    (void)p;
    return below(&k->nodes[0].t.random, 100) >= 40;
}

static void test_simultaneous_with_loss(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 40; seed++) {
        static kit k;
        kit_init(&k, 2);
        k.nodes[0].t.random = seed;
        k.filter = lose_some;
        kit_list(&k, 0, 1, true);
        kit_list(&k, 1, 0, true);
        kit_run(&k, 40 * ROVE_SECOND);
        k.filter = NULL;
        kit_run(&k, 40 * ROVE_SECOND);
        for (size_t i = 0; i < 2; i++)
            assert_ok(say(&k, i, 1 - i, 5));
        kit_run(&k, ROVE_SECOND);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(kit_info(&k, i, 1 - i).state, ROVEI_PEER_UP);
            assert_int_equal(k.nodes[i].messages, 1);
        }
        assert_int_equal(kit_info(&k, 0, 1).session, kit_info(&k, 1, 0).session);
        kit_fini(&k);
    }
}

/* ---- as responder ---- */

static void test_answers(void **state)
{
    (void)state;
    for (unsigned routed = 0; routed < 2; routed++) {
        static kit k;
        side d;
        begin_as_initiator(&k, &d, routed);
        rovei_net_packet p;
        kit_packet *second = kit_got(&k, 1, HANDSHAKE, 0, &p);
        assert_int_equal(p.routed, routed); /* the framing of message 1 */
        assert_int_equal(second->bytes[p.start + 64], 48);
        /* Heartbeats at once, then every five seconds, and pingwaves behind them. */
        assert_int_equal(side_opened(&k, &d, HEARTBEAT), 1);
        side_say(&k, &d, 0x0500, "hello");
        kit_run(&k, ROVE_SECOND);
        assert_int_equal(k.nodes[0].messages, 1);
        rovei_net_session_fini(&d.s);
        kit_fini(&k);
    }
}

/* A repeated message 1 gets the same message 2, byte for byte, and no new session. */
static void test_repeated_first(void **state)
{
    (void)state;
    for (unsigned routed = 0; routed < 2; routed++) {
        static kit k;
        side d;
        begin_as_initiator(&k, &d, routed);
        kit_inject(&k, 0, &elsewhere, d.first, d.first_size);
        kit_inject(&k, 0, &k.nodes[1].addr, d.first, d.first_size);
        kit_run(&k, ROVE_SECOND);
        rovei_net_packet p;
        kit_packet *one = kit_got(&k, 1, HANDSHAKE, 0, &p), *two = kit_got(&k, 1, HANDSHAKE, 1, &p);
        assert_non_null(two);
        assert_int_equal(one->size, two->size);
        assert_memory_equal(one->bytes, two->bytes, one->size);
        assert_int_equal(kit_told(&k, 0, ROVEI_NET_UP), 1);
        assert_int_equal(rovei_net_stats_get(k.nodes[0].net).handshakes_answered, 1);
        side_fini(&d);
        kit_fini(&k);
    }
}

/* A fresh message 1 replaces the session at once; the old one still receives for a while. */
static void test_rotation(void **state)
{
    (void)state;
    static kit k;
    side old, new;
    begin_as_initiator(&k, &old, true);
    side_beat_from(&k, &old, &k.nodes[1].addr);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    side_dial(&k, &new, 1, 0, false);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    side_finish(&k, &new);
    assert_int_equal(kit_info(&k, 0, 1).session, new.s.id);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_UP), 2);
    assert_ok(say(&k, 0, 1, 3));
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(side_opened(&k, &new, 0), 1);
    side_say(&k, &old, 0x0500, "under way since before");
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    assert_int_equal(kit_info(&k, 0, 1).session, new.s.id);
    /* Once the new one was heard nothing goes out under the old one any more. */
    side_beat_from(&k, &new, &k.nodes[1].addr);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    (void)side_opened(&k, &old, 0);
    assert_ok(say(&k, 0, 1, 3));
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(side_opened(&k, &old, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        side_beat_from(&k, &new, &k.nodes[1].addr);
        kit_run(&k, 5 * ROVE_SECOND);
    }
    uint64_t before = drops(&k, 0, ROVEI_NET_DROP_SESSION);
    side_say(&k, &old, 0x0500, "too late");
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    assert_int_equal(drops(&k, 0, ROVEI_NET_DROP_SESSION), before + 1);
    side_fini(&old);
    side_fini(&new);
    kit_fini(&k);
}

/* A message 1 of the puppet that somebody has recorded and that never came. */
static void inject_recorded(kit *k)
{
    rovei_net_handshake h;
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    assert_ok(rovei_net_dial(&h, &k->nodes[1].self, k->nodes[0].node_id, k->nodes[0].public_key,
                             true, bytes, &size));
    kit_inject(k, 0, &elsewhere, bytes, size);
    rovei_net_handshake_fini(&h);
}

/* A puppet 1 that has sent six messages 1, and goes on with the session of a seventh. */
static void begin_with_recordings(kit *k, side old[6], side *now)
{
    kit_init(k, 2);
    kit_make_puppet(k, 1);
    kit_list(k, 0, 1, false);
    for (size_t i = 0; i < 6; i++) {
        side_dial(k, &old[i], 1, 0, i % 2);
        kit_run(k, 100 * ROVE_MILLISECOND);
        side_fini(&old[i]);
    }
    side_dial(k, now, 1, 0, true);
    kit_run(k, 100 * ROVE_MILLISECOND);
    side_finish(k, now);
    side_beat_from(k, now, &k->nodes[1].addr);
    kit_run(k, ROVE_SECOND);
}

/* Somebody plays old messages 1 that are new to this node: the session that the peer has goes on,
 * in both directions and without a break. */
static void test_replayed_first(void **state)
{
    (void)state;
    static kit k;
    side old[6], now;
    begin_with_recordings(&k, old, &now);
    for (unsigned round = 0; round < 30; round++) {
        for (size_t i = 0; i < 6; i++) {
            inject_recorded(&k);
            kit_run(&k, 200 * ROVE_MILLISECOND);
        }
        assert_ok(say(&k, 0, 1, 3));
        side_say(&k, &now, 0x0500, "still here");
        k.nodes[1].got_count = 0;
        kit_run(&k, ROVE_SECOND);
        assert_int_equal(side_opened(&k, &now, 0), 1);
        assert_int_equal(k.nodes[0].messages, round + 1);
        k.nodes[0].event_count = 0;
    }
    side_beat_from(&k, &now, &k.nodes[1].addr);
    kit_run(&k, 2 * ROVE_SECOND);
    side_beat_from(&k, &now, &k.nodes[1].addr);
    kit_run(&k, ROVE_SECOND);
    rovei_net_info info = kit_info(&k, 0, 1);
    assert_int_equal(info.session, now.s.id);
    assert_true(rovei_addr_equal(&info.addr, &k.nodes[1].addr));
    side_fini(&now);
    kit_fini(&k);
}

/* Those that this node has answered make no session any more, however many came after them; the
 * last few get the answer that they had. */
static void test_answered_first(void **state)
{
    (void)state;
    static kit k;
    side old[6], now;
    begin_with_recordings(&k, old, &now);
    rovei_net_stats before = rovei_net_stats_get(k.nodes[0].net);
    size_t events = k.nodes[0].event_count;
    for (size_t i = 0; i < 6; i++) {
        kit_inject(&k, 0, &elsewhere, old[i].first, old[i].first_size);
        kit_run(&k, ROVE_MILLISECOND);
        assert_int_equal(kit_info(&k, 0, 1).session, now.s.id);
    }
    rovei_net_stats after = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(after.handshakes_completed, before.handshakes_completed);
    assert_int_equal(after.drops[ROVEI_NET_DROP_REPLAY] - before.drops[ROVEI_NET_DROP_REPLAY],
                     6 - (ROVEI_NET_ANSWERS - 1));
    assert_int_equal(k.nodes[0].event_count, events);
    /* A fresh one is answered as ever. */
    inject_recorded(&k);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_not_equal(kit_info(&k, 0, 1).session, now.s.id);
    side_fini(&now);
    kit_fini(&k);
}

/* ---- as initiator ---- */

/* A peer that is started answers the routed framing, one that is not the direct one. */
static void test_dials(void **state)
{
    (void)state;
    for (size_t nth = 0; nth < 2; nth++) {
        static kit k;
        kit_init(&k, 2);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, true);
        kit_run(&k, 2 * ROVE_SECOND);
        rovei_net_packet p;
        kit_packet *first = kit_got(&k, 1, HANDSHAKE, nth, &p);
        assert_non_null(first);
        assert_int_equal(p.routed, nth == 0);
        if (p.routed) {
            assert_int_equal(p.route.dest, k.nodes[1].node_id);
            assert_int_equal(p.route.source, (uint32_t)k.nodes[0].node_id);
            assert_int_equal(p.route.ttl, 16);
        }
        side d;
        side_answer(&k, &d, 1, 0, nth);
        kit_run(&k, 100 * ROVE_MILLISECOND);
        rovei_net_info info = kit_info(&k, 0, 1);
        assert_int_equal(info.session, d.s.id);
        assert_true(info.initiator);
        assert_ok(say(&k, 0, 1, 7));
        kit_run(&k, 100 * ROVE_MILLISECOND);
        assert_int_equal(side_opened(&k, &d, 0), 1);
        size_t handshakes = nth + 1 + (nth == 0);
        assert_null(kit_got(&k, 1, HANDSHAKE, handshakes, &p)); /* it has stopped dialling */
        side_fini(&d);
        kit_fini(&k);
    }
}

/* Nobody answers: it tries for ever, each time with a fresh key, and ever less often. */
static void test_dials_for_ever(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, true);
    kit_run(&k, 120 * ROVE_SECOND);
    uint64_t early = rovei_net_stats_get(k.nodes[0].net).handshakes_started;
    assert_in_range(early, 44, 52);
    assert_true(kit_info(&k, 0, 1).unanswered);
    rovei_net_packet p;
    uint8_t keys[16][32];
    for (size_t i = 0; i < 16; i++) {
        kit_packet *got = kit_got(&k, 1, HANDSHAKE, i, &p);
        memcpy(keys[i], rovei_net_ephemeral(&p, got->bytes), 32);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
    }
    kit_run(&k, 3600 * ROVE_SECOND);
    uint64_t late = rovei_net_stats_get(k.nodes[0].net).handshakes_started - early;
    assert_in_range(late, 110, 140);
    kit_fini(&k);
}

/* What does not authenticate does not use an attempt up: the answer behind it is taken. */
static void test_forged_second(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, true);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    side d;
    side_answer(&k, &d, 1, 0, 0);
    kit_packet *good = ROVEI_CONTAINER(k.packets.prev, kit_packet, list);
    kit_packet copy = *good;
    rovei_list_remove(&good->list);
    free(good);
    for (size_t i = 90; i < copy.size; i += 7) {
        copy.bytes[i] ^= 1;
        kit_inject(&k, 0, &k.nodes[1].addr, copy.bytes, copy.size);
        copy.bytes[i] ^= 1;
    }
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).session, 0);
    assert_true(drops(&k, 0, ROVEI_NET_DROP_HANDSHAKE) > 3);
    kit_inject(&k, 0, &elsewhere, copy.bytes, copy.size);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).session, d.s.id);
    assert_true(is_sent_to(&k, &k.nodes[1].addr));
    side_fini(&d);
    kit_fini(&k);
}

/* ---- liveness ---- */

static bool one_way_down;
static bool cut(kit *k, const kit_packet *p)
{
    return !one_way_down || !rovei_addr_equal(&p->from, &k->nodes[1].addr);
}

static void test_stays_up(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 1, 0, false);
    kit_run(&k, 6 * 3600 * ROVE_SECOND);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(k.nodes[i].event_count, 1);
        assert_int_equal(kit_info(&k, i, 1 - i).state, ROVEI_PEER_UP);
        rovei_net_stats st = rovei_net_stats_get(k.nodes[i].net);
        assert_int_equal(st.drops[ROVEI_NET_DROP_PINGWAVE] + st.datagrams_accepted,
                         st.datagrams_received);
        /* A heartbeat and a pingwave every five seconds. */
        assert_in_range(st.datagrams_sent, 2 * 6 * 720, 2 * 6 * 720 + 10);
    }
    kit_fini(&k);
}

static void test_silence(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 1, 0, false);
    k.filter = cut;
    kit_run(&k, ROVE_SECOND);
    one_way_down = true;
    kit_run(&k, 58 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    kit_run(&k, 10 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_SUSPECT);
    assert_ok(say(&k, 0, 1, 1));
    kit_run(&k, 30 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_FAILED);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_SUSPECT), 1);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_FAILED), 1);
    assert_false(rovei_net_reaches(k.nodes[0].net, k.nodes[1].node_id));
    assert_int_equal(say(&k, 0, 1, 1), ROVE_E_UNREACHABLE);
    one_way_down = false;
    kit_run(&k, 10 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    assert_true(kit_told(&k, 0, ROVEI_NET_ALIVE) + kit_told(&k, 0, ROVEI_NET_UP) > 1);
    assert_ok(say(&k, 0, 1, 1));
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[1].messages, 2);
    kit_fini(&k);
}

/* A peer that only connects is heard again under the session that it has. */
static void test_alive_again(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    kit_run(&k, 100 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_FAILED);
    side_beat_from(&k, &d, &k.nodes[1].addr);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_ALIVE), 1);
    /* Heartbeats went on all the while, with ever new counters. */
    assert_in_range(side_opened(&k, &d, HEARTBEAT), 21, 23);
    side_fini(&d);
    kit_fini(&k);
}

static void test_pingwaves(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    kit_run(&k, 21 * ROVE_SECOND);
    uint64_t last = 0, count = 0;
    for (size_t i = 0; i < k.nodes[1].got_count; i++) {
        const kit_packet *g = &k.nodes[1].got[i];
        rovei_net_pingwave w;
        if (rovei_net_kind_of((rove_span){g->bytes, g->size}) != ROVEI_NET_KIND_PINGWAVE)
            continue;
        assert_ok(rovei_net_pingwave_read(&w, (rove_span){g->bytes, g->size}));
        assert_int_equal(w.node_id, k.nodes[0].node_id);
        assert_int_equal(w.ttl, 3);
        assert_true(w.seq > last && w.seq >= UINT64_C(1700000000) * 1000000);
        last = w.seq;
        count++;
    }
    assert_int_equal(count, 2 + 4); /* twice at the start, then behind each heartbeat */
    side_fini(&d);
    kit_fini(&k);
}

/* ---- who is not served ---- */

static void test_wrong_secrets(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 6; what++) {
        static kit k;
        kit_init(&k, 3);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, false);
        if (what < 2)
            k.nodes[1].psk[0] ^= 1;
        else if (what < 4)
            memcpy(k.nodes[0].public_key, k.nodes[2].public_key, 32);
        else
            k.nodes[1].self.node_id = k.nodes[2].node_id; /* which is not listed */
        side d;
        side_dial(&k, &d, 1, 0, what % 2);
        kit_run(&k, 10 * ROVE_SECOND);
        assert_int_equal(k.sent, 0); /* silence */
        assert_int_equal(k.nodes[0].event_count, 0);
        rovei_net_drop why = what == 5 ? ROVEI_NET_DROP_UNLISTED : ROVEI_NET_DROP_HANDSHAKE;
        assert_int_equal(drops(&k, 0, why), 1);
        side_fini(&d);
        kit_fini(&k);
    }
}

/* The low half is listed, the whole id is another one. */
static void test_id_with_listed_half(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, false);
    k.nodes[1].self.node_id ^= UINT64_C(1) << 63;
    side d;
    side_dial(&k, &d, 1, 0, true);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.sent, 0);
    assert_int_equal(drops(&k, 0, ROVEI_NET_DROP_UNLISTED), 1);
    side_fini(&d);
    kit_fini(&k);
}

static void test_listing(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 3);
    rovei_net *t = k.nodes[0].net;
    rovei_net_listing l = {.node_id = k.nodes[0].node_id ^ UINT64_C(1) << 40};
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_SAME_NODE);
    l.node_id = 0;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_RESERVED_ID);
    l.node_id = 0x1234567800004E45;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_RESERVED_ID);
    l.node_id = k.nodes[1].node_id;
    l.has_addr = true;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_USAGE);
    l.has_key = true; /* of small order */
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_WEAK_SECRET);
    l.has_key = l.has_addr = false;
    for (size_t at = 0, done = 0; !done; at++) {
        k.nodes[0].t.alloc.calls = 0;
        k.nodes[0].t.alloc.fail_at = at;
        rove_err err = rovei_net_list(t, k.now, &l);
        k.nodes[0].t.alloc.fail_at = SIZE_MAX;
        done = err == ROVE_OK;
        assert_true(done || err == ROVE_E_NOMEM);
        assert_true(!done || at >= 3);
    }
    assert_ok(rovei_net_list(t, k.now, &l)); /* again */
    l.node_id ^= UINT64_C(1) << 40;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_EXISTS);
    k.nodes[0].t.env.limits.net_peers = 1;
    l.node_id = k.nodes[2].node_id;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_FULL);
    rovei_net_info info;
    size_t it = 0;
    assert_true(rovei_net_peer_next(t, &it, &info));
    assert_int_equal(info.node_id, k.nodes[1].node_id);
    assert_int_equal(info.state, ROVEI_PEER_CONNECTING);
    assert_false(rovei_net_peer_next(t, &it, &info));
    assert_int_equal(rovei_net_peer(t, k.nodes[2].node_id, &info), ROVE_E_UNKNOWN_PEER);
    kit_fini(&k);
}

static void test_fence(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, true);
    kit_run(&k, ROVE_SECOND);
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[1].node_id);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_FAILED), 1);
    assert_false(rovei_net_reaches(k.nodes[0].net, k.nodes[1].node_id));
    rovei_net_listing l = {.node_id = k.nodes[1].node_id};
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_REFUSED);
    /* One that is not listed yet, and more than are kept: then nobody is listed any more. */
    k.nodes[0].t.env.limits.peers_max = 2;
    l.node_id = 77;
    for (uint64_t id = 77; id < 80; id++)
        rovei_net_fence(k.nodes[0].net, k.now, id);
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_REFUSED);
    l.node_id = 1000;
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_FULL);
    uint64_t sent = k.sent;
    side_say(&k, &d, 0x0500, "anyone?");
    side again[2];
    for (unsigned routed = 0; routed < 2; routed++)
        side_dial(&k, &again[routed], 1, 0, routed);
    kit_run(&k, 10 * ROVE_SECOND);
    assert_int_equal(k.sent, sent);
    assert_int_equal(k.nodes[0].messages, 0);
    assert_int_equal(drops(&k, 0, ROVEI_NET_DROP_FENCED), 2);
    assert_int_equal(drops(&k, 0, ROVEI_NET_DROP_SESSION), 1);
    side_fini(&again[0]);
    side_fini(&again[1]);
    side_fini(&d);
    kit_fini(&k);
}

/* ---- packets ---- */

static void test_forged_packets(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(&d, bytes, 0x0500, "one");
    uint64_t tried = 0;
    for (size_t i = 0; i < size; i++) {
        if (i == 6 || (i >= 12 && i < 16))
            continue; /* the hop count and the prefix of the nonce are not covered */
        bytes[i] ^= 0x80;
        kit_inject(&k, 0, &k.nodes[1].addr, bytes, size);
        bytes[i] ^= 0x80;
        tried++;
    }
    kit_inject(&k, 0, &k.nodes[1].addr, bytes, size - 1);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 0);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(st.datagrams_received - st.datagrams_accepted, tried + 1);
    assert_true(st.drops[ROVEI_NET_DROP_AUTH] > 40 && st.drops[ROVEI_NET_DROP_SESSION] >= 8 &&
                st.drops[ROVEI_NET_DROP_FORMAT] >= 3);
    /* From anywhere, and once. */
    kit_inject(&k, 0, &elsewhere, bytes, size);
    kit_inject(&k, 0, &elsewhere, bytes, size);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    assert_int_equal(drops(&k, 0, ROVEI_NET_DROP_REPLAY), 1);
    assert_true(is_sent_to(&k, &k.nodes[1].addr));
    /* Only a heartbeat, and no old one, moves the peer. */
    uint8_t beat[ROVEI_NET_OVERHEAD];
    rovei_net_session_heartbeat(&d.s, beat);
    side_beat_from(&k, &d, &elsewhere);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_true(is_sent_to(&k, &elsewhere));
    kit_inject(&k, 0, &k.nodes[1].addr, beat, sizeof beat);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_true(is_sent_to(&k, &elsewhere));
    side_fini(&d);
    kit_fini(&k);
}

/* A loss of any length in the peer's counter is no reason to refuse. */
static void test_counter_jump(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    d.s.sent = UINT64_C(1) << 63;
    side_say(&k, &d, 0x0500, "far ahead");
    d.s.sent = UINT64_MAX - 1;
    side_say(&k, &d, 0x0500, "the last but one");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 2);
    side_fini(&d);
    kit_fini(&k);
}

static void test_subprotocols(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    static const uint16_t ids[] = {0x0400, 0x0A00, 0x0C00, 0x0C04, 0x0D01, 0x1100, 0xFFFF, 0x1234};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        side_say(&k, &d, ids[i], "x");
    side_say(&k, &d, 0x0D00, "a reply to nothing");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(k.nodes[0].messages, 0);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_OTHER], 2);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_CAPABILITY], 1);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_REFLEX], 1);
    assert_string_equal(rovei_net_subprotocol_name(rovei_net_subprotocol_of(0x0C04)),
                        "scoped_capability");
    /* A reflex request: where it is seen. */
    rovei_net_packet p;
    assert_null(kit_got(&k, 1, 0, 0, &p));
    side_say(&k, &d, 0x0D00, "");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    kit_packet *got = kit_got(&k, 1, 0, 0, &p);
    assert_non_null(got);
    assert_int_equal(p.header.subprotocol, 0x0D00);
    rove_span text, event;
    assert_ok(rovei_net_session_open(&d.s, &p, got->bytes, &text));
    rovei_net_frames f = rovei_net_frames_of(text, p.header.events);
    assert_true(rovei_net_frames_next(&f, &event));
    const rovei_addr *a = &k.nodes[1].addr;
    const uint8_t want[19] = {4,        a->ip[0],         a->ip[1],         a->ip[2],
                              a->ip[3], [17] = 7000 >> 8, [18] = 7000 & 255};
    assert_span(event, want, sizeof want);
    side_fini(&d);
    kit_fini(&k);
}

/* A flood of messages 1 costs no more than the budget, and shuts out nobody whose address is
 * known. */
static void test_flood(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 3);
    kit_make_puppet(&k, 1);
    kit_make_puppet(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 0, 2, false);
    k.nodes[2].psk[0] ^= 1;
    for (unsigned i = 0; i < 1000; i++) {
        side d;
        side_dial(&k, &d, 2, 0, i % 2);
        side_fini(&d);
    }
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_in_range(drops(&k, 0, ROVEI_NET_DROP_HANDSHAKE), 100, 101);
    assert_in_range(drops(&k, 0, ROVEI_NET_DROP_RATE), 899, 900);
    side good;
    side_dial(&k, &good, 1, 0, true);
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    side_fini(&good);
    kit_fini(&k);
}

static void test_garbage(void **state)
{
    (void)state;
    static kit k;
    side d;
    begin_as_initiator(&k, &d, false);
    uint64_t random = 5, sent = k.sent;
    static const uint8_t heads[][3] = {
        {0x45, 0x4E, 1}, {0x52, 0x54, 8}, {0x48, 0x50, 0}, {0x50, 0x48, 0}, {0x48, 0x52, 1}};
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[300];
        size_t size = below(&random, 5) ? below(&random, sizeof bytes + 1)
                                        : (size_t[]){14, 72, 84, 86, 116, 134}[below(&random, 6)];
        random_bytes(&random, bytes, size);
        if (size > 2 && below(&random, 8))
            memcpy(bytes, heads[below(&random, 5)], 3);
        if (size > 64 && below(&random, 2)) {
            rovei_store64(bytes + 24, d.s.id);
            bytes[65] = bytes[67] = 0;
        }
        if (size > 18 && below(&random, 2) && bytes[1] == 0x54)
            rovei_store64(bytes + 10, k.nodes[0].node_id);
        (void)rovei_net_receive(k.nodes[0].net, k.now, &elsewhere, bytes, size);
        rovei_net_check(k.nodes[0].net);
    }
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_in_range(k.sent - sent, 0, 1); /* the second pingwave of the session */
    side_say(&k, &d, 0x0500, "good");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    side_fini(&d);
    kit_fini(&k);
}

/* Memory is refused somewhere in the middle: a datagram is as if it were lost. */
static void test_shortage(void **state)
{
    (void)state;
    for (size_t at = 0; at < 12; at++) {
        static kit k;
        kit_init(&k, 2);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, false);
        side d;
        side_dial(&k, &d, 1, 0, true);
        k.nodes[0].t.alloc.calls = 0;
        k.nodes[0].t.alloc.fail_at = at;
        kit_run(&k, 100 * ROVE_MILLISECOND);
        k.nodes[0].t.alloc.fail_at = SIZE_MAX;
        kit_inject(&k, 0, &k.nodes[1].addr, d.first, d.first_size); /* it repeats */
        kit_run(&k, 100 * ROVE_MILLISECOND);
        side_finish(&k, &d);
        side_say(&k, &d, 0x0500, "once");
        kit_run(&k, 100 * ROVE_MILLISECOND);
        assert_int_equal(k.nodes[0].messages, 1);
        side_fini(&d);
        kit_fini(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair),           cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_simultaneous),   cmocka_unit_test(test_simultaneous_with_loss),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_repeated_first),
        cmocka_unit_test(test_rotation),       cmocka_unit_test(test_replayed_first),
        cmocka_unit_test(test_answered_first), cmocka_unit_test(test_dials),
        cmocka_unit_test(test_dials_for_ever), cmocka_unit_test(test_forged_second),
        cmocka_unit_test(test_stays_up),       cmocka_unit_test(test_silence),
        cmocka_unit_test(test_alive_again),    cmocka_unit_test(test_pingwaves),
        cmocka_unit_test(test_wrong_secrets),  cmocka_unit_test(test_id_with_listed_half),
        cmocka_unit_test(test_listing),        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_forged_packets), cmocka_unit_test(test_counter_jump),
        cmocka_unit_test(test_subprotocols),   cmocka_unit_test(test_flood),
        cmocka_unit_test(test_garbage),        cmocka_unit_test(test_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
