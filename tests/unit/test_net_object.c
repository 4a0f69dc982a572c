/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net, one object against another and against peers whose every packet the test makes: how
 * sessions come to stand, are replaced and are lost. */
#include "netkit.h"

/* ---- two objects ---- */

static void test_pair(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 1, 0, false);
    assert_int_equal(kit_say(&k, 0, 1, 1), ROVE_E_UNREACHABLE);
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
    assert_int_equal(kit_say(&k, 0, 1, ROVEI_NET_MESSAGE_MAX + 1), ROVE_E_TOO_LARGE);
    assert_ok(kit_say(&k, 0, 1, ROVEI_NET_MESSAGE_MAX));
    assert_ok(kit_say(&k, 0, 1, 0));
    assert_ok(kit_say(&k, 1, 0, 100));
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
        assert_ok(kit_say(&k, 0, 1, 10));
    assert_int_equal(kit_say(&k, 0, 1, 10), ROVE_E_FULL);
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
        assert_ok(kit_say(&k, 0, 1, 5));
        assert_ok(kit_say(&k, 1, 0, 5));
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
            assert_ok(kit_say(&k, i, 1 - i, 5));
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
        side_begin(&k, &d, routed);
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
        side_begin(&k, &d, routed);
        kit_inject(&k, 0, &kit_elsewhere, d.first, d.first_size);
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
    side_begin(&k, &old, true);
    side_beat_from(&k, &old, &k.nodes[1].addr);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    side_dial(&k, &new, 1, 0, false);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    side_finish(&k, &new);
    assert_int_equal(kit_info(&k, 0, 1).session, new.s.id);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_UP), 2);
    assert_ok(kit_say(&k, 0, 1, 3));
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
    assert_ok(kit_say(&k, 0, 1, 3));
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(side_opened(&k, &old, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        side_beat_from(&k, &new, &k.nodes[1].addr);
        kit_run(&k, 5 * ROVE_SECOND);
    }
    uint64_t before = kit_drops(&k, 0, ROVEI_NET_DROP_SESSION);
    side_say(&k, &old, 0x0500, "too late");
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_SESSION), before + 1);
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
    kit_inject(k, 0, &kit_elsewhere, bytes, size);
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
        assert_ok(kit_say(&k, 0, 1, 3));
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
        kit_inject(&k, 0, &kit_elsewhere, old[i].first, old[i].first_size);
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

/* Several nodes dial each other, all at once: a session for each two, the same on both sides. */
static void test_all_at_once(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, KIT_NODES);
    for (size_t i = 0; i < KIT_NODES; i++)
        for (size_t other = 0; other < KIT_NODES; other++)
            if (i != other)
                kit_list(&k, i, other, true);
    kit_run(&k, ROVE_SECOND);
    for (size_t i = 0; i < KIT_NODES; i++)
        for (size_t other = 0; other < KIT_NODES; other++) {
            if (i == other)
                continue;
            rovei_net_info info = kit_info(&k, i, other);
            assert_int_equal(info.state, ROVEI_PEER_UP);
            assert_int_equal(info.session, kit_info(&k, other, i).session);
            assert_int_equal(info.initiator, i < other); /* the lower id goes on */
            assert_ok(kit_say(&k, i, other, 100));
        }
    kit_run(&k, ROVE_SECOND);
    for (size_t i = 0; i < KIT_NODES; i++)
        assert_int_equal(k.nodes[i].messages, KIT_NODES - 1);
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
        assert_ok(kit_say(&k, 0, 1, 7));
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
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_UNANSWERED), 1);
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
    assert_true(kit_drops(&k, 0, ROVEI_NET_DROP_HANDSHAKE) > 3);
    kit_inject(&k, 0, &kit_elsewhere, copy.bytes, copy.size);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).session, d.s.id);
    assert_true(kit_is_sent_to(&k, &k.nodes[1].addr));
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
    assert_ok(kit_say(&k, 0, 1, 1));
    kit_run(&k, 30 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_FAILED);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_SUSPECT), 1);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_FAILED), 1);
    assert_false(rovei_net_reaches(k.nodes[0].net, k.nodes[1].node_id));
    assert_int_equal(kit_say(&k, 0, 1, 1), ROVE_E_UNREACHABLE);
    one_way_down = false;
    kit_run(&k, 10 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    assert_true(kit_told(&k, 0, ROVEI_NET_ALIVE) + kit_told(&k, 0, ROVEI_NET_UP) > 1);
    assert_ok(kit_say(&k, 0, 1, 1));
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
    side_begin(&k, &d, false);
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
    side_begin(&k, &d, false);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_simultaneous),
        cmocka_unit_test(test_simultaneous_with_loss),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_repeated_first),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_replayed_first),
        cmocka_unit_test(test_answered_first),
        cmocka_unit_test(test_dials),
        cmocka_unit_test(test_dials_for_ever),
        cmocka_unit_test(test_forged_second),
        cmocka_unit_test(test_stays_up),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_alive_again),
        cmocka_unit_test(test_pingwaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
