/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node announces of itself: when, to whom, how often, and with which version. */
#include "gossip_kit.h"

enum { A, B };

static void set(kit *k, const char *tags)
{
    rovei_caps caps = caps_of(tags, NULL);
    assert_ok(rovei_gossip_set(k->g, k->now, &caps));
}

static void sends(kit *k, int to, const char *tag)
{
    kit_text t;
    assert_int_equal(kit_sent(k, &t), to);
    if (!strstr(t.bytes, tag))
        fail_msg("no %s in %s", tag, t.bytes);
    assert_null(strstr(t.bytes, "hop_count"));
}

static void test_changes_are_gathered(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    kit_up(k, B, false);
    assert_silent(k); /* there is nothing to say yet */
    set(k, "one");
    set(k, "two");
    kit_pass(k, 90 * ROVE_MILLISECOND);
    set(k, "three");
    assert_silent(k);
    assert_int_equal(kit_version(k, SELF), 0);
    kit_pass(k, 10 * ROVE_MILLISECOND);
    sends(k, A, "\"three\"");
    sends(k, B, "\"three\"");
    assert_silent(k);
    assert_true(kit_has_tag(k, SELF, "three"));
    /* To say the same again is no change. */
    set(k, "three");
    kit_pass(k, 20 * ROVE_SECOND);
    assert_silent(k);
    assert_int_equal(rovei_gossip_stats_get(k->g).announced, 1);
}

static void test_window(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    set(k, "first");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    sends(k, A, "\"first\"");
    /* Within 10 s: in the own index at once, to the peers once, the newest. */
    for (int i = 0; i < 20; i++) {
        set(k, i % 2 ? "odd" : "even");
        kit_pass(k, 200 * ROVE_MILLISECOND);
        assert_true(kit_has_tag(k, SELF, i % 2 ? "odd" : "even"));
        assert_ok(rovei_gossip_announce(k->g, k->now, false));
        assert_silent(k);
    }
    kit_pass(k, 5900 * ROVE_MILLISECOND);
    assert_silent(k);
    kit_pass(k, 100 * ROVE_MILLISECOND);
    sends(k, A, "\"odd\"");
    assert_silent(k);
    assert_int_equal(rovei_gossip_stats_get(k->g).announced, 41);
    assert_int_equal(rovei_gossip_stats_get(k->g).sent, 2);
    /* That was a send: the next window is from then. What corrects a refusal does not wait. */
    set(k, "late");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    assert_silent(k);
    assert_ok(rovei_gossip_announce(k->g, k->now, true));
    sends(k, A, "\"late\"");
    kit_pass(k, 11 * ROVE_SECOND);
    assert_silent(k);
}

static void test_again_and_again(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    set(k, "x");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    sends(k, A, "\"x\"");
    uint64_t version = kit_version(k, SELF);
    for (int i = 0; i < 4; i++) {
        kit_pass(k, 149900 * ROVE_MILLISECOND);
        assert_silent(k);
        kit_pass(k, 100 * ROVE_MILLISECOND);
        sends(k, A, "\"x\"");
        assert_true(kit_version(k, SELF) > version);
        version = kit_version(k, SELF);
    }
}

/* A new session gets the last one, and what follows; one that is gone gets nothing. */
static void test_new_session(void **state)
{
    kit *k = *state;
    set(k, "x");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    kit_pass(k, 30 * ROVE_SECOND);
    kit_up(k, A, false);
    sends(k, A, "\"x\"");
    assert_silent(k);
    set(k, "y");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    kit_up(k, B, true);
    rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
    sends(k, B, "\"y\"");
    assert_silent(k);
}

static void test_versions(void **state)
{
    kit *k = *state;
    assert_null(rovei_gossip_own(k->g));
    uint64_t ms = k->now.wall / ROVE_MILLISECOND;
    for (uint64_t i = 0; i < 3; i++) { /* several in a millisecond */
        assert_ok(rovei_gossip_announce(k->g, k->now, false));
        assert_int_equal(rovei_gossip_own(k->g)->version, ms + i);
    }
    k->now.mono += ROVE_SECOND;
    k->now.wall -= 100 * ROVE_SECOND; /* the clock is set back */
    assert_ok(rovei_gossip_announce(k->g, k->now, false));
    assert_int_equal(rovei_gossip_own(k->g)->version, ms + 3);
    k->now.wall += 200 * ROVE_SECOND;
    assert_ok(rovei_gossip_announce(k->g, k->now, false));
    assert_int_equal(rovei_gossip_own(k->g)->version, ms + 100000);
    /* After a restart it goes on above what was. */
    rovei_gossip *g;
    rovei_index *index;
    assert_ok(rovei_index_new(&index, &k->env.env));
    rovei_gossip_config cfg = {
        .env = &k->env.env, .identity = k->self, .index = index, .last_version = ms + 999999};
    assert_ok(rovei_gossip_new(&g, &cfg, k->now));
    assert_ok(rovei_gossip_announce(g, k->now, false));
    assert_int_equal(rovei_gossip_own(g)->version, ms + 1000000);
    rovei_gossip_free(g);
    rovei_index_free(index);
}

static void test_own_life(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    rovei_gossip_set_ttl(k->g, 1);
    set(k, "short");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    sends(k, A, "\"ttl_secs\":1,");
    assert_true(kit_has_tag(k, SELF, "short"));
    kit_pass(k, 1500 * ROVE_MILLISECOND);
    assert_int_equal(kit_version(k, SELF), 0);
}

static void test_too_large(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    set(k, "small");
    kit_pass(k, 100 * ROVE_MILLISECOND);
    sends(k, A, "\"small\"");
    static char tag[8000];
    memset(tag, '\n' + 1, sizeof tag - 1); /* each is written as six bytes */
    rovei_caps caps = caps_of(tag, NULL);
    assert_int_equal(rovei_gossip_set(k->g, k->now, &caps), ROVE_E_TOO_LARGE);
    kit_pass(k, 160 * ROVE_SECOND);
    sends(k, A, "\"small\"");
    /* The largest that fits does so with every version. */
    memset(tag, 'x', sizeof tag);
    size_t size = sizeof tag;
    do
        tag[--size] = 0;
    while (caps = caps_of(tag, NULL), rovei_gossip_set(k->g, k->now, &caps) != ROVE_OK);
    kit_pass(k, 11 * ROVE_SECOND);
    kit_text t;
    assert_int_equal(kit_sent(k, &t), A);
    assert_in_range(t.size, ROVEI_ANNOUNCEMENT_MAX - 10, ROVEI_ANNOUNCEMENT_MAX);
}

static void test_out_of_memory(void **state)
{
    kit *k = *state;
    rovei_caps one = caps_of("one\ntwo", "a=b"), other = caps_of("three", NULL);
    SWEEP_NOMEM(&k->env.alloc, rovei_gossip_set(k->g, k->now, &one));
    kit_pass(k, 100 * ROVE_MILLISECOND);
    uint64_t version = kit_version(k, SELF);
    SWEEP_NOMEM(&k->env.alloc, rovei_gossip_announce(k->g, k->now, false));
    assert_int_equal(kit_version(k, SELF), version + 1);
    /* When it is due, and there is no memory, it is tried later. */
    assert_ok(rovei_gossip_set(k->g, k->now, &other));
    k->env.alloc.calls = 0;
    k->env.alloc.fail_at = 0;
    kit_pass(k, 100 * ROVE_MILLISECOND);
    k->env.alloc.fail_at = SIZE_MAX;
    assert_true(kit_has_tag(k, SELF, "two"));
    kit_pass(k, 10 * ROVE_SECOND);
    assert_true(kit_has_tag(k, SELF, "three"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_gathered),
        TEST(test_window),
        TEST(test_again_and_again),
        TEST(test_new_session),
        TEST(test_versions),
        TEST(test_own_life),
        TEST(test_too_large),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
