/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer is told that comes late: which announcements of others, how many at a time, and that
 * those who cannot use it get none of it. */
#include "gossip_kit.h"

enum { A, B, LATE, FIRST };
#define OTHERS 40 /* relayed by A before anybody comes */
#define STEP   (100 * ROVE_MILLISECOND)

static void relayed(kit *k, int from, int of, uint64_t version, uint8_t hops)
{
    kit_text t = kit_say(k, (said){.of = of, .version = version, .hops = hops});
    kit_taken(k, from, &t);
}

static void others_speak(kit *k)
{
    kit_up(k, A, true);
    for (int i = 0; i < OTHERS; i++)
        relayed(k, A, FIRST + i, 1, 1);
    kit_pass(k, STEP);
    assert_silent(k); /* there is nobody else */
}

/* As many as come in one step; each is for the latecomer. */
static int step(kit *k, int told[PARTIES])
{
    kit_text t;
    int n = 0;
    kit_pass(k, STEP);
    for (int to; (to = kit_sent(k, &t)) >= 0; n++) {
        rovei_announcement *a;
        assert_int_equal(to, LATE);
        assert_ok(rovei_announcement_read(&a, &rovei_alloc_libc, (rove_span){t.bytes, t.size}));
        assert_ok(rovei_announcement_verify(a));
        assert_int_equal(a->hop_count, 2);
        for (int i = 0; i < PARTIES; i++)
            told[i] += k->of[i].id == a->node_id;
        rovei_announcement_unref(a);
    }
    return n;
}

static void test_told_bit_by_bit(void **state)
{
    kit *k = *state;
    others_speak(k);
    kit_pass(k, 20 * ROVE_SECOND);
    kit_up(k, LATE, true);
    assert_silent(k);
    int told[PARTIES] = {0};
    assert_int_equal(step(k, told), 16);
    assert_int_equal(step(k, told), 16);
    assert_int_equal(step(k, told), OTHERS - 32);
    for (int i = 0; i < 5; i++)
        assert_int_equal(step(k, told), 0);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(told[FIRST + i], 1);
    rovei_gossip_stats s = rovei_gossip_stats_get(k->g);
    assert_int_equal(s.late, OTHERS);
    assert_int_equal(s.forwarded, OTHERS);
    assert_int_equal(s.sent, OTHERS);
    assert_true(rovei_gossip_deadline(k->g) > k->now.mono + STEP);
}

/* A session that proves nobody is one of the reference's: it gets what the reference would send. */
static void test_not_to_class_net(void **state)
{
    kit *k = *state;
    others_speak(k);
    kit_up(k, LATE, false);
    kit_pass(k, 10 * ROVE_SECOND);
    assert_silent(k);
    relayed(k, A, FIRST, 2, 1);
    assert_int_equal(kit_sent(k, NULL), LATE); /* what is new it gets as ever */
}

static void test_what_is_left_out(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    relayed(k, A, FIRST, 1, 1); /* goes stale: who lives has spoken again by then */
    kit_pass(k, 140 * ROVE_SECOND);
    relayed(k, A, FIRST + 1, 1, 15); /* has come as far as it may */
    relayed(k, A, LATE, 1, 1);       /* the latecomer's own */
    relayed(k, A, FIRST + 2, 1, 1);  /* will be over */
    rovei_index_evict(k->index, k->of[FIRST + 2].id);
    relayed(k, A, FIRST + 3, 1, 1);
    kit_pass(k, 10 * ROVE_SECOND);
    kit_up(k, LATE, true);
    /* What comes from now on is sent on as it comes, once. */
    relayed(k, A, FIRST + 4, 1, 1);
    kit_pass(k, 1);
    assert_int_equal(kit_flush(k), 1);
    kit_text own = kit_say(k, (said){.of = LATE, .version = 2});
    kit_taken(k, LATE, &own);
    assert_int_equal(kit_sent(k, NULL), A);
    int told[PARTIES] = {0};
    kit_text t = kit_say(k, (said){.of = FIRST + 5, .version = 1, .hops = 1});
    kit_taken(k, LATE, &t); /* what it has brought itself */
    assert_int_equal(kit_sent(k, NULL), A);
    for (int i = 0; i < 3; i++)
        step(k, told);
    assert_int_equal(told[FIRST], 0);
    assert_int_equal(told[FIRST + 1], 0);
    assert_int_equal(told[LATE], 0);
    assert_int_equal(told[FIRST + 2], 0);
    assert_int_equal(told[FIRST + 3], 1);
    assert_int_equal(told[FIRST + 5], 0);
}

/* It gets what there is when its turn comes: the newest, and nothing of those who are gone. */
static void test_changes_meanwhile(void **state)
{
    kit *k = *state;
    others_speak(k);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = B, .version = 1});
    kit_taken(k, B, &t);
    assert_int_equal(kit_sent(k, NULL), A);
    kit_pass(k, ROVE_SECOND);
    kit_up(k, LATE, true);
    rovei_gossip_peer_gone(k->g, k->now, k->of[B].id);
    kit_pass(k, 1);
    for (int i = 0; i < OTHERS; i++)
        relayed(k, A, FIRST + i, 2, 1);
    assert_int_equal(kit_flush(k), OTHERS); /* as they came, to the latecomer */
    int told[PARTIES] = {0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(step(k, told), 0);
    assert_int_equal(told[B], 0);
    /* One that goes before it was told all of it costs nothing any more. */
    rovei_gossip_peer_gone(k->g, k->now, k->of[LATE].id);
    kit_up(k, LATE, true);
    assert_int_equal(step(k, told), 16);
    rovei_gossip_peer_gone(k->g, k->now, k->of[LATE].id);
    kit_pass(k, ROVE_SECOND);
    assert_silent(k);
}

/* The texts have a bound: who brought most of them loses the oldest, others keep theirs. */
static void test_bound_of_texts(void **state)
{
    kit *k = *state;
    static char tag[1500];
    memset(tag, 'x', sizeof tag - 1);
    k->env.env.limits.capability_texts = 16384;
    kit_up(k, B, true);
    relayed(k, B, FIRST, 1, 1);
    kit_up(k, A, true);
    for (int i = 1; i <= 20; i++) {
        kit_text t = kit_say(k, (said){.of = FIRST + i, .version = 1, .hops = 1, .tags = tag});
        kit_taken(k, A, &t);
        assert_in_range(rovei_gossip_stats_get(k->g).text_bytes, 1, 16384);
    }
    for (int i = 0; i <= 20; i++) /* all are known here */
        assert_int_equal(kit_version(k, FIRST + i), 1);
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id); /* that changes nothing */
    rovei_gossip_peer_gone(k->g, k->now, k->of[B].id);
    kit_flush(k);
    kit_up(k, LATE, true);
    int told[PARTIES] = {0};
    int n = step(k, told) + step(k, told);
    assert_in_range(n, 8, 11);
    assert_int_equal(told[FIRST], 1);
    for (int i = 1; i <= 20; i++)
        assert_int_equal(told[FIRST + i], i > 21 - n);
    kit_pass(k, 301 * ROVE_SECOND); /* with the nodes their texts go */
    assert_int_equal(rovei_gossip_stats_get(k->g).text_bytes, 0);
}

/* Without memory for it the latecomer is told later, and misses nothing. */
static void test_out_of_memory(void **state)
{
    kit *k = *state;
    others_speak(k);
    kit_up(k, LATE, true);
    int told[PARTIES] = {0}, all = 0;
    for (size_t at = 0; at < 10; at++) {
        k->env.alloc.calls = 0;
        k->env.alloc.fail_at = at;
        kit_pass(k, STEP);
        k->env.alloc.fail_at = SIZE_MAX;
        all += (int)kit_flush(k);
    }
    while (all < OTHERS) {
        int n = step(k, told);
        assert_true(n > 0);
        all += n;
    }
    assert_int_equal(all, OTHERS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_told_bit_by_bit),   TEST(test_not_to_class_net), TEST(test_what_is_left_out),
        TEST(test_changes_meanwhile), TEST(test_bound_of_texts),   TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
