/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds of gossip: who gives way at each, what is left when a peer dies, and when memory is
 * out. */
#include "gossip_kit.h"

enum { A, B, C, FIRST }; /* peers; of FIRST and those behind it announcements are relayed */

static void relayed(kit *k, int from, int of, uint64_t version, rovei_gossip_drop what)
{
    kit_text t = kit_say(k, (said){.of = of, .version = version, .hops = 1});
    if (what == ROVEI_GOSSIP_DROP_COUNT)
        kit_taken(k, from, &t);
    else
        kit_dropped(k, from, &t, what);
}
#define TAKEN ROVEI_GOSSIP_DROP_COUNT

static void test_rate(void **state)
{
    kit *k = *state;
    k->env.env.limits.capability_rate = 10;
    kit_up(k, A, true);
    kit_up(k, B, true);
    uint64_t v = 1;
    for (; v <= 41; v++) /* four seconds' worth, and the one of now */
        relayed(k, A, FIRST, v, TAKEN);
    relayed(k, A, FIRST, v, ROVEI_GOSSIP_DROP_RATE);
    /* What costs no look at a signature is not counted: repeated, its own, no announcement. */
    relayed(k, A, FIRST, 1, ROVEI_GOSSIP_DROP_REPEATED);
    kit_text t = {"x", 1};
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_MALFORMED);
    /* A forged one is: it has to be looked at. */
    t = kit_say(k, (said){.of = FIRST, .version = v, .hops = 1, .signer = k->of[C].key});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_RATE);
    kit_dropped(k, B, &t, ROVEI_GOSSIP_DROP_SIGNATURE);
    /* Another peer has its own rate; what was dropped is not remembered. */
    relayed(k, B, FIRST, v, TAKEN);
    for (int i = 0; i < 3; i++) {
        kit_pass(k, 100 * ROVE_MILLISECOND);
        relayed(k, A, FIRST, ++v, TAKEN);
        relayed(k, A, FIRST, v + 1, ROVEI_GOSSIP_DROP_RATE);
    }
    /* However long it says nothing, four seconds are all that it saves up. */
    kit_pass(k, 60 * ROVE_SECOND);
    for (int i = 0; i < 41; i++)
        relayed(k, A, FIRST, ++v, TAKEN);
    relayed(k, A, FIRST, v + 1, ROVEI_GOSSIP_DROP_RATE);
}

/* A flood of one peer takes its own place in what is remembered, not that of others. */
static void test_seen(void **state)
{
    kit *k = *state;
    k->env.env.limits.capability_seen = 64;
    kit_up(k, A, true);
    kit_up(k, B, true);
    for (uint64_t v = 1; v <= 10; v++)
        relayed(k, B, FIRST, v, TAKEN);
    for (uint64_t v = 1; v <= 200; v++)
        relayed(k, A, FIRST + 1, v, TAKEN);
    assert_int_equal(rovei_gossip_stats_get(k->g).seen, 64);
    kit_flush(k);
    for (uint64_t v = 1; v <= 10; v++)
        relayed(k, A, FIRST, v, ROVEI_GOSSIP_DROP_REPEATED);
    /* The newest 54 of the flood are remembered. What is forgotten is old all the same, and is not
     * sent on again. */
    for (uint64_t v = 147; v <= 200; v++)
        relayed(k, B, FIRST + 1, v, ROVEI_GOSSIP_DROP_REPEATED);
    relayed(k, A, FIRST + 1, 146, ROVEI_GOSSIP_DROP_STALE);
    assert_silent(k);
    assert_int_equal(rovei_gossip_stats_get(k->g).seen, 64);
}

static void test_nodes(void **state)
{
    kit *k = *state;
    k->env.env.limits.capability_nodes = 16;
    kit_up(k, A, true);
    kit_up(k, B, true);
    for (int i = 0; i < 16; i++)
        relayed(k, A, FIRST + i, 1, TAKEN);
    kit_flush(k);
    /* The one that holds most has no room for more; what it has may still change. */
    relayed(k, A, FIRST + 16, 1, ROVEI_GOSSIP_DROP_FULL);
    assert_silent(k);
    relayed(k, A, FIRST + 3, 2, TAKEN);
    /* Another peer takes of its share, the last that came first, until both have as many. */
    for (int i = 0; i < 8; i++) {
        relayed(k, B, FIRST + 16 + i, 1, TAKEN);
        assert_int_equal(kit_version(k, FIRST + 15 - i), 0);
        assert_int_equal(kit_version(k, FIRST + 16 + i), 1);
    }
    relayed(k, B, FIRST + 24, 1, ROVEI_GOSSIP_DROP_FULL);
    relayed(k, A, FIRST + 25, 1, ROVEI_GOSSIP_DROP_FULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(kit_version(k, FIRST + i), i == 3 ? 2 : 1);
    rovei_gossip_stats s = rovei_gossip_stats_get(k->g);
    assert_int_equal(s.nodes, 16);
    assert_int_equal(s.displaced, 8);
    assert_int_equal(rovei_index_count(k->index), 16);
    /* What found no room was not remembered: with room it is taken. */
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    kit_up(k, C, true);
    relayed(k, C, FIRST + 25, 1, TAKEN);
}

/* The index has bounds of its own: those that speak for themselves come before relayed ones. */
static void test_index(void **state)
{
    kit *k = *state;
    k->env.env.limits.index_nodes = 3;
    kit_up(k, A, true);
    kit_up(k, B, true);
    for (int i = 0; i < 3; i++) {
        relayed(k, A, FIRST + i, 1, TAKEN);
        kit_pass(k, ROVE_SECOND);
    }
    relayed(k, B, FIRST + 3, 1, ROVEI_GOSSIP_DROP_FULL);
    relayed(k, B, FIRST + 1, 2, TAKEN);
    kit_text t = kit_say(k, (said){.of = A, .version = 1});
    kit_taken(k, A, &t);
    assert_int_equal(kit_version(k, A), 1);
    assert_int_equal(kit_version(k, FIRST), 0);
    t = kit_say(k, (said){.of = B, .version = 1});
    kit_taken(k, B, &t);
    /* This node speaks for itself as well. */
    assert_ok(rovei_gossip_announce(k->g, k->now, true));
    assert_true(kit_version(k, SELF) > 0);
    assert_int_equal(rovei_index_count(k->index), 3);
    assert_int_equal(rovei_index_stats_get(k->index).displaced, 3);
    relayed(k, A, FIRST + 4, 1, ROVEI_GOSSIP_DROP_FULL);
    kit_up(k, C, true);
    t = kit_say(k, (said){.of = C, .version = 1});
    kit_dropped(k, C, &t, ROVEI_GOSSIP_DROP_FULL);
    assert_true(kit_pinned(k, C));
}

static void test_peers(void **state)
{
    kit *k = *state;
    k->env.env.limits.peers_max = 2;
    kit_up(k, A, true);
    kit_up(k, B, true);
    assert_int_equal(rovei_gossip_peer_up(k->g, k->now, k->of[C].id, k->of[C].entity), ROVE_E_FULL);
    assert_false(kit_pinned(k, C));
    kit_text t = kit_say(k, (said){.of = C, .version = 1});
    kit_dropped(k, C, &t, ROVEI_GOSSIP_DROP_NO_PEER);
    kit_up(k, A, true); /* once more is no second */
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    kit_up(k, C, true);
    kit_taken(k, C, &t);
}

static void test_peer_dies(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text direct = kit_say(k, (said){.of = A, .version = 7});
    kit_taken(k, A, &direct);
    relayed(k, A, FIRST, 1, TAKEN);
    relayed(k, B, FIRST + 1, 1, TAKEN);
    kit_flush(k);
    assert_true(kit_pinned(k, A));
    rovei_gossip_peer_gone(k->g, k->now, k->of[C].id); /* was never there */
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    /* Its own entry and its pin are gone at once; what it brought of others lives its life. */
    assert_false(kit_pinned(k, A));
    assert_int_equal(kit_version(k, A), 0);
    assert_int_equal(kit_version(k, FIRST), 1);
    assert_int_equal(kit_version(k, FIRST + 1), 1);
    assert_int_equal(rovei_index_stats_get(k->index).evicted, 1);
    kit_dropped(k, A, &direct, ROVEI_GOSSIP_DROP_NO_PEER);
    relayed(k, B, FIRST, 1, ROVEI_GOSSIP_DROP_REPEATED);
    /* It comes back and says the same: that is of the new session, and taken. Relayed it still is a
     * repeated one. */
    kit_up(k, A, false);
    kit_taken(k, A, &direct);
    assert_true(kit_pinned(k, A));
    assert_int_equal(kit_version(k, A), 7);
    assert_int_equal(kit_sent(k, NULL), B);
    kit_dropped(k, A, &direct, ROVEI_GOSSIP_DROP_REPEATED);
    /* Or it has lost its clock: what it was is forgotten. */
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    kit_up(k, A, false);
    kit_text t = kit_say(k, (said){.of = A, .version = 2});
    kit_taken(k, A, &t);
    assert_int_equal(kit_version(k, A), 2);
}

/* What waits for a peer that dies is not sent; what a relay brought stays though it dies. */
static void test_what_waits(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    kit_up(k, B, true);
    kit_up(k, C, true);
    relayed(k, A, FIRST, 1, TAKEN);
    rovei_gossip_peer_gone(k->g, k->now, k->of[B].id);
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    assert_int_equal(kit_sent(k, NULL), C);
    assert_silent(k);
    kit_pass(k, 299 * ROVE_SECOND);
    assert_int_equal(kit_version(k, FIRST), 1);
    kit_pass(k, 2 * ROVE_SECOND);
    assert_int_equal(kit_version(k, FIRST), 0);
}

/* Each allocation is refused in turn: the announcement is as if lost, or only not sent on. */
static void test_out_of_memory(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    bool done = false;
    size_t lost = 0;
    for (size_t at = 0; !done; at++) {
        kit_text t = kit_say(k, (said){.of = FIRST, .version = at + 1, .hops = 1});
        rovei_gossip_stats before = rovei_gossip_stats_get(k->g);
        k->env.alloc.calls = 0;
        k->env.alloc.fail_at = at;
        rovei_gossip_receive(k->g, k->now, k->of[A].id, (rove_span){t.bytes, t.size});
        k->env.alloc.fail_at = SIZE_MAX;
        rovei_gossip_stats after = rovei_gossip_stats_get(k->g);
        uint64_t dropped =
            after.drops[ROVEI_GOSSIP_DROP_MEMORY] - before.drops[ROVEI_GOSSIP_DROP_MEMORY];
        assert_int_equal(after.accepted - before.accepted + dropped, 1);
        if (!dropped)
            assert_int_equal(kit_version(k, FIRST), at + 1);
        lost += dropped;
        done = k->env.alloc.calls <= at;
        assert_true(kit_flush(k) <= 1);
        rovei_gossip_check(k->g);
        rovei_index_check(k->index);
    }
    assert_true(lost >= 3);
    relayed(k, A, FIRST, 1000, TAKEN);
    assert_int_equal(kit_flush(k), 1);
}

static void test_peer_without_memory(void **state)
{
    kit *k = *state;
    assert_ok(rovei_gossip_announce(k->g, k->now, false));
    k->env.alloc.calls = 0;
    k->env.alloc.fail_at = 0;
    assert_int_equal(rovei_gossip_peer_up(k->g, k->now, k->of[A].id, NULL), ROVE_E_NOMEM);
    k->env.alloc.fail_at = SIZE_MAX;
    relayed(k, A, FIRST, 1, ROVEI_GOSSIP_DROP_NO_PEER);
    kit_up(k, A, true);
    relayed(k, A, FIRST, 1, TAKEN);
    assert_int_equal(kit_sent(k, NULL), A);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rate),       TEST(test_seen),          TEST(test_nodes),
        TEST(test_index),      TEST(test_peers),         TEST(test_peer_dies),
        TEST(test_what_waits), TEST(test_out_of_memory), TEST(test_peer_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
