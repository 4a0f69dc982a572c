/* SPDX-License-Identifier: Apache-2.0
 *
 * What is believed of announcements that come, honest and hostile: for each rule what is dropped
 * and how it is counted, what stays as it was, and what is sent on. */
#include "gossip_kit.h"
#include <stdio.h>

/* Sessions of the node in these tests. */
enum { A, B, C, OTHER };

/* ---- signatures and identities ---- */

static void flip(kit_text *t, const char *at, const char *to)
{
    char *p = strstr(t->bytes, at);
    assert_non_null(p);
    memcpy(p, to, strlen(to));
}

static void test_forged(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    for (uint8_t hops = 0; hops < 2; hops++) {
        int of = hops ? OTHER : A;
        const said true_one = {.of = of, .version = 1700, .hops = hops, .tags = "tag-a\ntag-b"};
        static const struct {
            const char *from, *to;
        } change[] = {{"tag-a", "tag-A"}, {"\"version\":17", "\"version\":18"}, {":300,", ":301,"}};
        for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
            kit_text t = kit_say(k, true_one);
            flip(&t, change[i].from, change[i].to);
            kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_SIGNATURE);
        }
        kit_text t = kit_say(k, true_one);
        char *digit = strstr(t.bytes, "\"signature\":\"") + 13;
        *digit = *digit == '0' ? '1' : '0';
        kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_SIGNATURE);
        t = kit_say(k, (said){.of = of, .version = 1700, .hops = hops, .signer = k->of[B].key});
        kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_SIGNATURE);
        assert_silent(k);
        assert_false(kit_pinned(k, A));
        assert_int_equal(kit_version(k, of), 0);
        /* Nothing of it was remembered: the true one is not taken for a repeated one. */
        t = kit_say(k, true_one);
        kit_taken(k, A, &t);
        assert_int_equal(kit_version(k, of), 1700);
        assert_int_equal(kit_sent(k, NULL), B);
        assert_silent(k);
        assert_int_equal(kit_pinned(k, A), !hops);
        if (!hops) {
            rovei_gossip_peer_gone(k->g, k->now, k->of[A].id);
            kit_up(k, A, false);
        }
    }
}

static void test_unsigned(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = A, .version = 1, .no_signature = true});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_UNSIGNED);
    t = kit_say(k, (said){.of = OTHER, .version = 1, .hops = 1, .no_signature = true});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_UNSIGNED);
    assert_silent(k);
    assert_false(kit_pinned(k, A));
}

static void test_unsigned_may_be_taken(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = A, .version = 1, .no_signature = true});
    kit_taken(k, A, &t);
    assert_int_equal(kit_version(k, A), 1);
    assert_false(kit_pinned(k, A));
    t = kit_say(k,
                (said){.of = A, .version = 2, .no_signature = true, .entity = k->of[OTHER].entity});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NODE_ID);
    /* A signature that is there has to be right all the same. */
    t = kit_say(k, (said){.of = A, .version = 3, .signer = k->of[B].key});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_SIGNATURE);
    t = kit_say(k, (said){.of = A, .version = 3});
    kit_taken(k, A, &t);
    assert_true(kit_pinned(k, A));
}

/* The key of one, the number of another: signed well, and by the wrong one. */
static void test_wrong_node_id(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    const party *other = &k->of[OTHER];
    said s = {.of = A, .version = 1, .entity = other->entity, .signer = other->key};
    kit_text t = kit_say(k, s);
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NODE_ID);
    s.hops = 3;
    t = kit_say(k, s);
    kit_dropped(k, B, &t, ROVEI_GOSSIP_DROP_NODE_ID);
    assert_silent(k);
    assert_false(kit_pinned(k, A) || kit_pinned(k, B));
    t = kit_say(k, (said){.of = A, .version = 1});
    kit_taken(k, A, &t);
    assert_true(kit_pinned(k, A));
}

/* A session whose number another entity has already proved. */
static void test_another_pin(void **state)
{
    kit *k = *state;
    assert_ok(rovei_gossip_peer_up(k->g, k->now, k->of[A].id, k->of[B].entity));
    kit_up(k, C, true);
    kit_text t = kit_say(k, (said){.of = A, .version = 1});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_PIN);
    assert_silent(k);
    rove_entity e;
    assert_true(rovei_gossip_pinned(k->g, k->of[A].id, &e));
    assert_true(rovei_entity_equal(&e, k->of[B].entity));
    /* Relayed it claims nothing about the session. */
    t = kit_say(k, (said){.of = A, .version = 1, .hops = 1});
    kit_taken(k, C, &t);
}

/* ---- who brings it ---- */

static void test_not_direct(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = OTHER, .version = 1});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NOT_DIRECT);
    t = kit_say(k, (said){.of = B, .version = 1});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NOT_DIRECT);
    assert_silent(k);
    assert_false(kit_pinned(k, A) || kit_pinned(k, B));
    t = kit_say(k, (said){.of = B, .version = 1});
    kit_taken(k, B, &t);
}

/* The signature does not cover it: a relay may say what it likes, and pins nobody by it. */
static void test_hops_are_not_signed(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = B, .version = 1, .hops = 9});
    kit_taken(k, A, &t);
    assert_int_equal(rovei_index_get(k->index, k->of[B].id)->hop_count, 9);
    assert_false(kit_pinned(k, A) || kit_pinned(k, B));
    assert_silent(k); /* not back, and not to the one that it is of */
    /* The same over more hops is the same; from the node itself it is not news, but a pin. */
    t = kit_say(k, (said){.of = B, .version = 1, .hops = 2});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_REPEATED);
    t = kit_say(k, (said){.of = B, .version = 1});
    kit_dropped(k, B, &t, ROVEI_GOSSIP_DROP_STALE);
    assert_true(kit_pinned(k, B));
    kit_dropped(k, B, &t, ROVEI_GOSSIP_DROP_REPEATED);
    /* One that says it has made hops, and comes from the node itself, is a relayed one. */
    t = kit_say(k, (said){.of = A, .version = 1, .hops = 1});
    kit_taken(k, A, &t);
    assert_false(kit_pinned(k, A));
}

static void test_own_comes_back(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    rovei_caps caps = caps_of("mine", NULL);
    assert_ok(rovei_gossip_set(k->g, k->now, &caps));
    kit_pass(k, 100 * ROVE_MILLISECOND);
    kit_text t;
    assert_int_equal(kit_sent(k, &t), A);
    uint64_t version = kit_version(k, SELF);
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NOT_DIRECT);
    for (uint64_t v = version; v < version + 3; v++) {
        t = kit_say(k, (said){.of = SELF, .version = v, .hops = 1, .tags = "not-mine"});
        kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_OWN);
    }
    /* Also when another entity has taken the number. */
    t = kit_say(k, (said){.of = SELF,
                          .version = 1,
                          .hops = 1,
                          .entity = k->of[A].entity,
                          .signer = k->of[A].key});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_OWN);
    assert_silent(k);
    assert_int_equal(kit_version(k, SELF), version);
    assert_true(kit_has_tag(k, SELF, "mine"));
    assert_int_equal(rovei_gossip_stats_get(k->g).announced, 1);
}

static void test_without_a_session(void **state)
{
    kit *k = *state;
    kit_text t = kit_say(k, (said){.of = A, .version = 1});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NO_PEER);
    t = kit_say(k, (said){.of = OTHER, .version = 1, .hops = 1});
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_NO_PEER);
}

/* ---- versions ---- */

static void test_repeated(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text t = kit_say(k, (said){.of = OTHER, .version = 5, .hops = 1});
    kit_taken(k, A, &t);
    assert_int_equal(kit_flush(k), 1);
    uint64_t ends = rovei_index_get(k->index, k->of[OTHER].id)->expires;
    kit_pass(k, 100 * ROVE_SECOND);
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_REPEATED);
    kit_dropped(k, B, &t, ROVEI_GOSSIP_DROP_REPEATED);
    assert_int_equal(rovei_index_get(k->index, k->of[OTHER].id)->expires, ends);
    /* Nor when its life is over. */
    kit_pass(k, 201 * ROVE_SECOND);
    assert_int_equal(kit_version(k, OTHER), 0);
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_REPEATED);
    assert_silent(k);
    /* After 600 s it is forgotten, and what comes then is as if it were new. */
    kit_pass(k, 360 * ROVE_SECOND);
    assert_int_equal(rovei_gossip_stats_get(k->g).seen, 0);
    kit_taken(k, A, &t);
}

/* Replayed when it is no longer remembered, while there is a newer one. */
static void test_replayed_old(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text old = kit_say(k, (said){.of = OTHER, .version = 5, .hops = 1});
    kit_taken(k, A, &old);
    kit_text t = kit_say(k, (said){.of = OTHER, .version = 6, .hops = 1, .ttl = 1000});
    kit_taken(k, A, &t);
    assert_int_equal(kit_flush(k), 2);
    kit_pass(k, 661 * ROVE_SECOND);
    assert_int_equal(rovei_gossip_stats_get(k->g).seen, 0);
    kit_dropped(k, B, &old, ROVEI_GOSSIP_DROP_STALE);
    assert_silent(k);
    assert_int_equal(kit_version(k, OTHER), 6);
}

static void test_out_of_order(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    static const uint64_t order[] = {3, 1, 4, 2, 0, 9};
    uint64_t newest = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        kit_text t = kit_say(k, (said){.of = OTHER, .version = order[i], .hops = 1});
        if (order[i] > newest) {
            kit_taken(k, A, &t);
            newest = order[i];
            assert_int_equal(kit_flush(k), 1);
        } else
            kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_STALE);
        assert_silent(k); /* what is old is not sent on */
        assert_int_equal(kit_version(k, OTHER), newest);
    }
    assert_true(kit_has_tag(k, OTHER, "version:9"));
    assert_false(kit_has_tag(k, OTHER, "version:4"));
}

/* Two of one version, both signed: the first one wins, whoever brings the second. */
static void test_same_version(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    kit_text first = kit_say(k, (said){.of = B, .version = 5, .hops = 1, .tags = "first"});
    kit_text second = kit_say(k, (said){.of = B, .version = 5, .hops = 1, .tags = "second"});
    kit_taken(k, A, &first);
    kit_dropped(k, A, &second, ROVEI_GOSSIP_DROP_REPEATED);
    kit_dropped(k, B, &second, ROVEI_GOSSIP_DROP_REPEATED);
    second = kit_say(k, (said){.of = B, .version = 5, .tags = "second"});
    kit_dropped(k, B, &second, ROVEI_GOSSIP_DROP_STALE);
    assert_silent(k);
    assert_true(kit_has_tag(k, B, "first"));
    assert_false(kit_has_tag(k, B, "second"));
}

/* ---- life ---- */

static void test_life(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    /* What it says of the time is nobody's business. */
    kit_text t = kit_say(
        k, (said){.of = OTHER, .version = 1, .hops = 1, .ttl = 1, .timestamp = ROVE_SECOND});
    kit_taken(k, A, &t);
    t = kit_say(k, (said){.of = A, .version = 1, .ttl = 2, .timestamp = UINT64_MAX - ROVE_SECOND});
    kit_taken(k, A, &t);
    kit_pass(k, 900 * ROVE_MILLISECOND);
    assert_int_equal(kit_version(k, OTHER), 1);
    kit_pass(k, 600 * ROVE_MILLISECOND); /* looked at every 500 ms */
    assert_int_equal(kit_version(k, OTHER), 0);
    assert_int_equal(kit_version(k, A), 1);
    kit_pass(k, ROVE_SECOND);
    assert_int_equal(kit_version(k, A), 0);
    rovei_gossip_stats s = rovei_gossip_stats_get(k->g);
    assert_int_equal(s.expired, 2);
    assert_int_equal(s.nodes, 0);
    assert_true(kit_pinned(k, A)); /* that is of the session */
    /* A newer one is a new life. */
    t = kit_say(k, (said){.of = OTHER, .version = 2, .hops = 1});
    kit_taken(k, A, &t);
}

/* Nothing to live for: it is taken, sent on, and gone with the next look. */
static void test_no_life(void **state)
{
    kit *k = *state;
    kit_up(k, A, false);
    kit_up(k, B, false);
    rovei_announcement *a;
    rovei_announcement plain = {.node_id = k->of[A].id, .entity = *k->of[A].entity, .version = 1};
    assert_ok(rovei_announcement_new(&a, &rovei_alloc_libc, &plain));
    assert_ok(rovei_announcement_sign(a, k->of[A].key));
    kit_text t;
    t.size = rovei_announcement_write(a, 0, t.bytes, sizeof t.bytes);
    rovei_announcement_unref(a);
    kit_taken(k, A, &t);
    assert_int_equal(kit_sent(k, NULL), B);
    kit_pass(k, 500 * ROVE_MILLISECOND);
    assert_int_equal(kit_version(k, A), 0);
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_REPEATED);
}

/* Who says it would live for ever is believed for as long as the limit says; others are told what
 * it has signed. */
static void test_too_long_a_life(void **state)
{
    kit *k = *state;
    k->env.env.limits.capability_life = 400 * ROVE_SECOND;
    kit_up(k, A, true);
    kit_up(k, B, true);
    said s = {.of = OTHER, .version = 1, .hops = 1, .ttl = UINT32_MAX};
    kit_text got, want, t = kit_say(k, s);
    kit_taken(k, A, &t);
    s.hops = 2;
    want = kit_say(k, s);
    assert_int_equal(kit_sent(k, &got), B);
    assert_string_equal(got.bytes, want.bytes);
    t = kit_say(k, (said){.of = A, .version = 1, .ttl = 400});
    kit_taken(k, A, &t);
    assert_int_equal(rovei_gossip_stats_get(k->g).shortened, 1);
    kit_pass(k, 399 * ROVE_SECOND);
    assert_int_equal(kit_version(k, OTHER), 1);
    kit_pass(k, 2 * ROVE_SECOND);
    assert_int_equal(kit_version(k, OTHER), 0);
    assert_int_equal(kit_version(k, A), 0);
}

/* ---- sent on ---- */

static void test_hops(void **state)
{
    kit *k = *state;
    for (int i = A; i <= OTHER; i++)
        kit_up(k, i, true);
    static const struct {
        uint8_t hops;
        bool on;
    } cases[] = {{0, true}, {1, true}, {14, true}, {15, false}, {16, false}, {255, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int from = cases[i].hops ? B : A;
        kit_text got, want,
            t = kit_say(k, (said){.of = A, .version = i + 1, .hops = cases[i].hops});
        kit_taken(k, from, &t);
        assert_int_equal(kit_version(k, A), i + 1);
        /* To all but the one that brought it and the one that it is of. */
        for (int to = A; cases[i].on && to <= OTHER; to++) {
            if (to == from || to == A)
                continue;
            want = kit_say(k, (said){.of = A, .version = i + 1, .hops = cases[i].hops + 1});
            assert_int_equal(kit_sent(k, &got), to);
            assert_string_equal(got.bytes, want.bytes);
        }
        assert_silent(k);
    }
    assert_int_equal(rovei_gossip_stats_get(k->g).forwarded, 3 + 2 + 2);
}

/* In whatever spelling it comes, what is sent on is canonical, and all that was signed. */
static void test_sent_on_as_it_was_signed(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    kit_up(k, B, true);
    const char *tags = "causal:ab\nheat:ab=1\nheat:cd=2\nx";
    const char *metadata = "colocate-with=9\ncolocate-with-strict=9\nintent=take\nowner=me\n"
                           "priority=9\nsite=lab";
    said s = {.of = A, .version = 1, .tags = tags, .metadata = metadata};
    kit_text t = kit_say(k, s), odd, got;
    s.hops = 1;
    kit_text want = kit_say(k, s);
    /* The version first, spaces, what nobody knows, upper case. */
    const char *signature = strstr(t.bytes, "\"signature\":\"");
    char *version = strstr(t.bytes, "\"version\":1,");
    assert_true(signature && version);
    size_t before = (size_t)(version - t.bytes), size = strlen("\"version\":1,");
    odd.size = (size_t)snprintf(
        odd.bytes, sizeof odd.bytes, "{ \"version\" : 1 ,\"nobody\":[{}], %.*s%.*s\"signature\":\"",
        (int)before - 1, t.bytes + 1, (int)(signature - version - (int)size), version + size);
    for (const char *c = signature + 13; *c; c++)
        odd.bytes[odd.size++] = (char)(*c >= 'a' && *c <= 'f' ? *c - 32 : *c);
    odd.bytes[odd.size] = 0;
    kit_taken(k, A, &odd);
    assert_int_equal(kit_sent(k, &got), B);
    assert_string_equal(got.bytes, want.bytes);
    assert_silent(k);
    /* Here it does not steer anything. */
    const rovei_index_entry *e = rovei_index_get(k->index, k->of[A].id);
    assert_int_equal(e->caps.metadata_count, 1);
    assert_true(rovei_span_is(e->caps.metadata[0].key, "site"));
    assert_int_equal(e->caps.tag_count, 3);
    assert_false(kit_has_tag(k, A, "heat:cd=2"));
}

/* ---- what is no announcement ---- */

static void test_cut_and_too_long(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    kit_up(k, B, true);
    kit_text whole = kit_say(k, (said){.of = A, .version = 1}), t;
    for (size_t size = 0; size < whole.size; size++) {
        t = whole;
        t.size = size;
        kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_MALFORMED);
    }
    t = whole; /* two in one */
    memcpy(t.bytes + t.size, whole.bytes, whole.size);
    t.size += whole.size;
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_MALFORMED);
    /* White space makes it as long as it may be, and one longer. */
    t = whole;
    memset(t.bytes + t.size, ' ', sizeof t.bytes - t.size);
    t.size = ROVEI_ANNOUNCEMENT_MAX + 1;
    kit_dropped(k, A, &t, ROVEI_GOSSIP_DROP_MALFORMED);
    assert_silent(k);
    t.size = ROVEI_ANNOUNCEMENT_MAX;
    kit_taken(k, A, &t);
    kit_text got;
    assert_int_equal(kit_sent(k, &got), B);
    assert_int_equal(got.size, whole.size + strlen(",\"hop_count\":1"));
}

/* As long as may be without the hops: it is believed, and not sent on. */
static void test_too_long_with_one_more_hop(void **state)
{
    kit *k = *state;
    kit_up(k, A, true);
    kit_up(k, B, true);
    static char tags[ROVEI_ANNOUNCEMENT_MAX];
    kit_text t = kit_say(k, (said){.of = A, .version = 1, .tags = "x"});
    for (size_t left = 0; left < 20; left += 10) {
        memset(tags, 'x', sizeof tags);
        tags[ROVEI_ANNOUNCEMENT_MAX - left - t.size + 1] = 0;
        kit_text large = kit_say(k, (said){.of = A, .version = 1 + left / 10, .tags = tags});
        assert_int_equal(large.size, ROVEI_ANNOUNCEMENT_MAX - left);
        kit_taken(k, A, &large);
        assert_silent(k);
    }
    tags[ROVEI_ANNOUNCEMENT_MAX - 20 - t.size + 1] = 0;
    kit_text fits = kit_say(k, (said){.of = A, .version = 5, .tags = tags});
    kit_taken(k, A, &fits);
    assert_int_equal(kit_flush(k), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_forged),
        TEST(test_unsigned),
        cmocka_unit_test_setup_teardown(test_unsigned_may_be_taken, kit_setup_unsigned,
                                        kit_teardown),
        TEST(test_wrong_node_id),
        TEST(test_another_pin),
        TEST(test_not_direct),
        TEST(test_hops_are_not_signed),
        TEST(test_own_comes_back),
        TEST(test_without_a_session),
        TEST(test_repeated),
        TEST(test_replayed_old),
        TEST(test_out_of_order),
        TEST(test_same_version),
        TEST(test_life),
        TEST(test_no_life),
        TEST(test_too_long_a_life),
        TEST(test_hops),
        TEST(test_sent_on_as_it_was_signed),
        TEST(test_cut_and_too_long),
        TEST(test_too_long_with_one_more_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
