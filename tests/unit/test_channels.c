/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher's half: who is let in and in which order that is judged, what each subscriber is
 * sent, and what the report says. */
#include "caps_kit.h"
#include "channels_kit.h"

#include <capability/index.h>
#include <channel/inside.h>

static kit k;
static uint64_t got[KIT_SAID];

static int setup(void **state)
{
    (void)state;
    kit_init(&k);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_fini(&k);
    return 0;
}

static rovei_publish_report publish(const char *channel, size_t count)
{
    rovei_publish_report r = {0};
    assert_ok(kit_publish(&k, channel, count, ROVEI_PUBLISH_BEST_EFFORT, &r));
    return r;
}

static void assert_numbers(size_t node, uint64_t first, size_t count)
{
    assert_int_equal(kit_events(&k, node, got), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[i], first + i);
}

/* ---- joining and leaving ---- */

static void test_join(void **state)
{
    (void)state;
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNKNOWN_CHANNEL);
    kit_open(&k, "c");
    publish("c", 2);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    rovei_channel_frame f;
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.number, 3); /* what comes from now on */
    assert_int_equal(f.incarnation, kit_info(&k, "c").incarnation);
    rovei_publish_report r = publish("c", 5);
    assert_int_equal(r.attempted, 1);
    assert_int_equal(r.delivered, 1);
    assert_int_equal(r.first, 3);
    assert_numbers(1, 3, 5);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 7);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE); /* once more: still one */
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_int_equal(kit_leave(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_int_equal(kit_leave(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_int_equal(kit_leave(&k, 1, "nowhere"), ROVEI_REASON_NONE);
    assert_int_equal(publish("c", 1).attempted, 0);
    assert_numbers(1, 3, 5);
}

/* A member that asks again lets go of what it has not taken: that comes again. Begin is said before
 * the Ack: who hears that it is a member knows its place. */
static void test_join_again(void **state)
{
    (void)state;
    rovei_channel_frame f;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", 5);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 2);
    kit_clear(&k);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.number, 3);
    assert_numbers(1, 3, 3);
    assert_int_equal(k.said[0].bytes[0], ROVEI_CHANNEL_BEGIN);
    assert_int_equal(k.said[1].bytes[0], ROVEI_CHANNEL_MEMBERSHIP);
}

/* Took gives credit for whole messages: several fit into the window. */
static void test_messages_of_a_window(void **state)
{
    (void)state;
    uint64_t window = k.node->env->limits.channel_window;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", window);
    assert_int_equal(kit_events(&k, 1, got), window);
    assert_true(kit_count(&k, 1, ROVEI_CHANNEL_EVENTS, NULL) >= 4);
}

static void test_own_node(void **state)
{
    (void)state;
    kit_open(&k, "c");
    assert_int_equal(kit_join(&k, 0, "c"), ROVEI_REASON_NONE);
    publish("c", 3);
    assert_numbers(0, 1, 3);
    /* It is neither counted nor slowed down. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(kit_join(&k, 0, "nothing"), ROVEI_REASON_UNKNOWN_CHANNEL);
    assert_int_equal(kit_join(&k, 0, "c"), ROVEI_REASON_NONE);
}

static void test_throttled(void **state)
{
    (void)state;
    kit_open(&k, "c");
    for (int i = 0; i < 16; i++)
        assert_int_equal(kit_join(&k, 1, "nothing"), ROVEI_REASON_UNKNOWN_CHANNEL);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_RATE_LIMITED);
    assert_int_equal(kit_join(&k, 2, "c"), ROVEI_REASON_NONE); /* others are not */
    world_run(&k.w, 31 * ROVE_SECOND);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    for (int i = 0; i < 15; i++)
        assert_int_equal(kit_join(&k, 1, "nothing"), ROVEI_REASON_UNKNOWN_CHANNEL);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE); /* a success clears the count */
    assert_int_equal(kit_join(&k, 1, "nothing"), ROVEI_REASON_UNKNOWN_CHANNEL);
    rovei_channels_stats s = rovei_channels_stats_get(k.node);
    assert_int_equal(s.throttled, 1);
    assert_int_equal(s.unknown, 32);
}

static void test_too_many(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channels_per_peer = 2;
    kit_open(&k, "a");
    kit_open(&k, "b");
    kit_open(&k, "c");
    assert_int_equal(kit_join(&k, 1, "a"), ROVEI_REASON_NONE);
    assert_int_equal(kit_subscribe(&k, 1, "b", (rove_span){0}, "g"), ROVEI_REASON_NONE);
    for (int i = 0; i < 20; i++) /* no failure in the throttle's sense */
        assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_TOO_MANY_CHANNELS);
    assert_int_equal(kit_join(&k, 1, "a"), ROVEI_REASON_NONE); /* it is there already */
    kit_leave(&k, 1, "a");
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
}

static void test_prefix(void **state)
{
    (void)state;
    assert_ok(rovei_channels_create(
        k.node, k.w.now, &(rovei_channel_config){.name = span_of("p/"), .prefix = true}, false));
    k.w.nodes[0].t.env.limits.channels_max = 2;
    assert_int_equal(kit_join(&k, 1, "p/1"), ROVEI_REASON_NONE);
    assert_int_equal(kit_join(&k, 1, "p/2"), ROVEI_REASON_NONE);
    assert_int_equal(kit_join(&k, 1, "p/3"), ROVEI_REASON_TOO_MANY_CHANNELS);
    kit_leave(&k, 1, "p/1"); /* gives way now */
    assert_int_equal(kit_join(&k, 1, "p/3"), ROVEI_REASON_NONE);
    rovei_channel_info info;
    assert_int_equal(rovei_channels_get(k.node, span_of("p/1"), &info), ROVE_E_NOT_FOUND);
    size_t it = 0, channels = 0, prefixes = 0;
    while (rovei_channels_next(k.node, &it, &info))
        *(info.prefix ? &prefixes : &channels) += 1;
    assert_int_equal(channels, 2);
    assert_int_equal(prefixes, 1);
    assert_ok(rovei_channels_remove(k.node, k.w.now, span_of("p/"), true));
    kit_turn(&k);
    rovei_channel_frame f;
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_ENDED, &f), 2);
    assert_int_equal(f.reason, ROVEI_ENDED_REMOVED);
}

static void test_open_node(void **state)
{
    (void)state;
    k.options.open = true;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_join(&k, 1, "anything"), ROVEI_REASON_NONE);
    assert_int_equal(publish("anything", 1).delivered, 1);
}

static void test_origin_bound(void **state)
{
    (void)state;
    rovei_channel_config c = {.name = span_of("r."), .prefix = true, .origin_bound = true};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    static const char digits[] = "0123456789abcdef";
    for (size_t node = 1; node < 3; node++) {
        char name[] = "r.0123456789abcdef";
        uint64_t origin = rovei_entity_origin(&k.w.nodes[node].entity);
        for (unsigned i = 0; i < 16; i++)
            name[2 + i] = digits[origin >> (60 - 4 * i) & 15];
        assert_int_equal(kit_join(&k, node, name), ROVEI_REASON_NONE);
        assert_int_equal(kit_join(&k, 3 - node, name), ROVEI_REASON_UNAUTHORIZED);
        name[17] = 0;
        assert_int_equal(kit_join(&k, node, name), ROVEI_REASON_UNAUTHORIZED);
    }
    c = (rovei_channel_config){.name = span_of("exact"), .origin_bound = true};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_join(&k, 1, "exact"), ROVEI_REASON_UNAUTHORIZED);
}

static void test_visibility(void **state)
{
    (void)state;
    rovei_channel_config c = {.name = span_of("c"), .visibility = ROVEI_VISIBLE_SUBNET};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE); /* nobody knows of subnets */
    k.options.subnet = 0x01000000;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_join(&k, 0, "c"), ROVEI_REASON_NONE);
    /* Channels that nobody configured follow the node's own word, the others do not. */
    k.options.open = true;
    k.options.visibility = ROVEI_VISIBLE_SUBNET;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_join(&k, 1, "other"), ROVEI_REASON_NONE); /* and yet: */
    assert_int_equal(publish("other", 1).attempted, 0);
    kit_open(&k, "global");
    assert_int_equal(kit_join(&k, 1, "global"), ROVEI_REASON_NONE);
    assert_int_equal(publish("global", 1).delivered, 1);
    k.options.visibility = ROVEI_VISIBLE_GLOBAL;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_join(&k, 1, "other"), ROVEI_REASON_NONE);
    assert_int_equal(publish("other", 1).delivered, 1);
}

static void test_needs(void **state)
{
    (void)state;
    rove_span tag = span_of("gpu");
    rovei_channel_config c = {.name = span_of("c"), .subscribe_caps = {&tag, 1}};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNAUTHORIZED);
    rovei_index *x;
    assert_ok(rovei_index_new(&x, &k.w.nodes[0].t.env));
    rovei_index_item item = {.node_id = rovei_entity_node_id(&k.w.nodes[1].entity),
                             .entity = k.w.nodes[1].entity,
                             .version = 1,
                             .ttl_secs = 300,
                             .caps = caps_of("cpu\ngpu", "")};
    assert_ok(rovei_index_put(x, k.w.now, &item));
    k.options.index = x;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_int_equal(kit_join(&k, 2, "c"), ROVEI_REASON_UNAUTHORIZED);
    c = (rovei_channel_config){.name = span_of("c"), .publish_caps = {&tag, 1}};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL),
                     ROVE_E_CHANNEL_DENIED);
    assert_int_equal(kit_events(&k, 1, got), 0);
    item.node_id = rovei_entity_node_id(&k.w.nodes[0].entity);
    item.entity = k.w.nodes[0].entity;
    assert_ok(rovei_index_put(x, k.w.now, &item));
    assert_int_equal(publish("c", 1).delivered, 1);
    k.options.index = NULL;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    rovei_index_free(x);
    caps_kit_clear();
}

/* The guard has a member exactly as long as it is one, of an open channel too; that it has nobody
 * else is checked after each turn. */
static void test_guard_follows(void **state)
{
    (void)state;
    rovei_guard *g = &k.node->channels->guard;
    rovei_principal who = {ROVEI_PRINCIPAL_NODE, rovei_entity_node_id(&k.w.nodes[1].entity)};
    uint64_t hash = rovei_channel_hash(span_of("c"));
    kit_open(&k, "c");
    assert_false(rovei_guard_admits(g, who, hash, span_of("c")));
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_true(rovei_guard_admits(g, who, hash, span_of("c")));
    assert_int_equal(kit_leave(&k, 1, "c"), ROVEI_REASON_NONE);
    assert_false(rovei_guard_admits(g, who, hash, span_of("c")));
    rovei_publish_report r = publish("c", 1);
    assert_int_equal(r.attempted, 0);
    assert_int_equal(r.failed, 0);
}

/* ---- tokens ---- */

static void gated(const char *name, bool prefix, rovei_group_policy groups)
{
    rovei_channel_config c = {.name = span_of(name),
                              .prefix = prefix,
                              .roots = &k.w.nodes[0].entity,
                              .root_count = 1,
                              .groups = groups};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    uint8_t room[ROVE_TOKEN_CHAIN_MAX];
    rove_span bytes =
        kit_token(&k, 0, 0, ROVE_SCOPE_PUBLISH | ROVE_SCOPE_WILDCARD, 0, 100000, room);
    rove_token_chain chain;
    assert_ok(rovei_token_chain_decode(&chain, bytes));
    assert_ok(rovei_token_cache_insert(&k.node->tokens.cache, &chain));
}

static int join_with(size_t node, const char *channel, size_t root, size_t subject, uint32_t scope,
                     uint64_t hash, uint64_t life)
{
    uint8_t room[ROVE_TOKEN_CHAIN_MAX];
    return kit_subscribe(&k, node, channel, kit_token(&k, root, subject, scope, hash, life, room),
                         "");
}

static void test_token(void **state)
{
    (void)state;
    uint64_t hash = rovei_channel_hash(span_of("c"));
    gated("c", false, ROVEI_GROUPS_ANY);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_subscribe(&k, 1, "c", span_of("rubbish"), ""), ROVEI_REASON_UNAUTHORIZED);
    /* by itself; for another; for another channel; for another action */
    assert_int_equal(join_with(1, "c", 1, 1, ROVE_SCOPE_SUBSCRIBE, hash, 60),
                     ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(join_with(1, "c", 0, 2, ROVE_SCOPE_SUBSCRIBE, hash, 60),
                     ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, hash + 1, 60),
                     ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_PUBLISH, hash, 60),
                     ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, hash, 60), ROVEI_REASON_NONE);
    assert_true(kit_member(&k, 1, "c").gated);
    assert_int_equal(publish("c", 2).delivered, 1);
    assert_numbers(1, 1, 2);
    /* What was shown once does not stand for a second request, but that does not end the first. */
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_int_equal(publish("c", 1).delivered, 1);
}

/* Where both a tag and a token are asked for, one of them is not enough. */
static void test_needs_and_token(void **state)
{
    (void)state;
    rove_span tag = span_of("gpu");
    uint64_t hash = rovei_channel_hash(span_of("c"));
    rovei_channel_config c = {.name = span_of("c"),
                              .subscribe_caps = {&tag, 1},
                              .roots = &k.w.nodes[0].entity,
                              .root_count = 1};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    rovei_index *x;
    assert_ok(rovei_index_new(&x, &k.w.nodes[0].t.env));
    rovei_index_item item = {.node_id = rovei_entity_node_id(&k.w.nodes[1].entity),
                             .entity = k.w.nodes[1].entity,
                             .version = 1,
                             .ttl_secs = 300,
                             .caps = caps_of("gpu", "")};
    assert_ok(rovei_index_put(x, k.w.now, &item));
    k.options.index = x;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(join_with(2, "c", 0, 2, ROVE_SCOPE_SUBSCRIBE, hash, 60),
                     ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, hash, 60), ROVEI_REASON_NONE);
    k.options.index = NULL;
    rovei_channels_set_options(k.node, k.w.now, &k.options);
    rovei_index_free(x);
    caps_kit_clear();
}

/* The publisher's own right is to the channel as well, and not to the prefix. */
static void test_prefix_token_to_publish(void **state)
{
    (void)state;
    rovei_channel_config c = {
        .name = span_of("p/"), .prefix = true, .roots = &k.w.nodes[1].entity, .root_count = 1};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    static const char *const names[] = {"p/", "p/y", "p/x"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kit_publish(&k, "p/x", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL),
                         ROVE_E_CHANNEL_DENIED);
        uint8_t room[ROVE_TOKEN_CHAIN_MAX];
        rove_token_chain chain;
        assert_ok(rovei_token_chain_decode(&chain, kit_token(&k, 1, 0, ROVE_SCOPE_PUBLISH,
                                                             rovei_channel_hash(span_of(names[i])),
                                                             600, room)));
        assert_ok(rovei_token_cache_insert(&k.node->tokens.cache, &chain));
    }
    assert_ok(kit_publish(&k, "p/x", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL));
}

static void test_prefix_token(void **state)
{
    (void)state;
    gated("p/", true, ROVEI_GROUPS_ANY);
    assert_int_equal(
        join_with(1, "p/x", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("p/")), 60),
        ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(
        join_with(1, "p/x", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("p/y")), 60),
        ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(
        join_with(1, "p/x", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("p/x")), 60),
        ROVEI_REASON_NONE);
    assert_int_equal(publish("p/x", 1).delivered, 1);
    assert_numbers(1, 1, 1);
    world_run(&k.w, 31 * ROVE_SECOND); /* a sweep judges it by the channel's name as well */
    assert_int_equal(kit_info(&k, "p/x").members, 1);
    assert_int_equal(publish("p/x", 1).delivered, 1);
}

static void test_expiry_by_sweep(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 2),
        ROVEI_REASON_NONE);
    world_run(&k.w, 34 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, "c").members, 0);
    rovei_channel_frame f;
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_ENDED, &f), 1);
    assert_int_equal(f.reason, ROVEI_ENDED_UNAUTHORIZED);
    assert_int_equal(rovei_channels_stats_get(k.node).evicted, 1);
}

static void test_expiry_by_publish(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 2),
        ROVEI_REASON_NONE);
    assert_int_equal(publish("c", 1).delivered, 1);
    world_run(&k.w, 3 * ROVE_SECOND);
    rovei_publish_report r = publish("c", 1);
    assert_int_equal(r.attempted, 0);
    assert_int_equal(r.failed, 0);
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_numbers(1, 1, 1);
}

/* What waits in a leg is not sent once the right to it has ended. */
static void test_expiry_of_a_leg(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_window = 1;
    gated("c", false, ROVEI_GROUPS_ANY);
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 2),
        ROVEI_REASON_NONE);
    publish("c", 3);
    assert_numbers(1, 1, 1);
    world_run(&k.w, 3 * ROVE_SECOND);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 1);
    assert_numbers(1, 1, 1);
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_ENDED, NULL), 1);
}

/* Without a sweep it is the next publish that ends it; the shortest interval is 1 ms. */
static void test_sweeps_at_the_bounds(void **state)
{
    (void)state;
    uint64_t *every = &k.w.nodes[0].t.env.limits.token_sweep_interval;
    uint64_t hash = rovei_channel_hash(span_of("c"));
    gated("c", false, ROVEI_GROUPS_ANY);
    *every = 31536000 * ROVE_SECOND;
    world_run(&k.w, 31 * ROVE_SECOND); /* the sweep that was due still comes */
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, hash, 2), ROVEI_REASON_NONE);
    world_run(&k.w, 100 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, "c").members, 1);
    rovei_publish_report r = publish("c", 1);
    assert_int_equal(r.attempted, 0);
    assert_int_equal(r.failed, 0);
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_int_equal(kit_events(&k, 1, got), 0);
    kit_fini(&k);
    kit_init(&k);
    *every = 0;
    gated("c", false, ROVEI_GROUPS_ANY);
    world_run(&k.w, 31 * ROVE_SECOND);
    assert_int_equal(join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, hash, 2), ROVEI_REASON_NONE);
    world_run(&k.w, 3 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, "c").members, 0);
}

static void test_revoked(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 600),
        ROVEI_REASON_NONE);
    assert_ok(rovei_token_floors_raise(&k.node->tokens.floors, &k.w.nodes[0].entity, 1));
    rovei_channels_judge(k.node, k.w.now);
    kit_turn(&k);
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_ENDED, NULL), 1);
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 600),
        ROVEI_REASON_UNAUTHORIZED);
}

static void test_no_roots(void **state)
{
    (void)state;
    rovei_channel_config c = {.name = span_of("c"), .require_token = true};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(
        join_with(1, "c", 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 600),
        ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL),
                     ROVE_E_CHANNEL_DENIED);
}

static void test_group_policies(void **state)
{
    (void)state;
    rovei_channel_config c = {.name = span_of("deny"), .groups = ROVEI_GROUPS_DENY};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_subscribe(&k, 1, "deny", (rove_span){0}, "g"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_join(&k, 1, "deny"), ROVEI_REASON_NONE);
    uint8_t room[ROVE_TOKEN_CHAIN_MAX];
    /* A chain that is good for the group changes nothing where groups are refused, or where nobody
     * is named who could grant it. */
    c = (rovei_channel_config){.name = span_of("both"),
                               .groups = ROVEI_GROUPS_DENY,
                               .roots = &k.w.nodes[0].entity,
                               .root_count = 1};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    rove_span all = kit_token(&k, 0, 1, ROVE_SCOPE_SUBSCRIBE | ROVE_SCOPE_WILDCARD, 0, 100, room);
    assert_int_equal(kit_subscribe(&k, 1, "both", all, "g"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_subscribe(&k, 1, "both", all, ""), ROVEI_REASON_NONE);
    c = (rovei_channel_config){.name = span_of("rootless"), .groups = ROVEI_GROUPS_TOKEN};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
    assert_int_equal(kit_subscribe(&k, 1, "rootless", all, "g"), ROVEI_REASON_UNAUTHORIZED);
    gated("c", false, ROVEI_GROUPS_TOKEN);
    rove_span chan =
        kit_token(&k, 0, 1, ROVE_SCOPE_SUBSCRIBE, rovei_channel_hash(span_of("c")), 100, room);
    assert_int_equal(kit_subscribe(&k, 1, "c", chan, "g"), ROVEI_REASON_UNAUTHORIZED);
    rove_span grant = kit_token(&k, 0, 1, ROVE_SCOPE_SUBSCRIBE,
                                rovei_channel_group_hash(span_of("c"), span_of("g")), 100, room);
    assert_int_equal(kit_subscribe(&k, 1, "c", grant, "h"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_subscribe(&k, 1, "c", (rove_span){0}, "g"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_subscribe(&k, 1, "c", grant, "g"), ROVEI_REASON_NONE);
    publish("c", 1);
    publish("c", 1);
    world_run(&k.w, 31 * ROVE_SECOND); /* a sweep */
    publish("c", 1);
    assert_numbers(1, 1, 3);
}

/* ---- legs ---- */

static void test_window(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_window = 10;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", 25);
    assert_numbers(1, 1, 10);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 10);
    assert_numbers(1, 1, 20);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 10); /* again: nothing new */
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 3);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 24); /* it was never sent that */
    assert_numbers(1, 1, 20);
    assert_int_equal(rovei_channels_stats_get(k.node).malformed, 1);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 20);
    assert_numbers(1, 1, 25);
    assert_int_equal(kit_member(&k, 1, "c").took, 20);
}

static void test_resume(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_history = 8;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", 6);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 6);
    kit_clear(&k);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_RESUME, 3);
    rovei_channel_frame f;
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.number, 3);
    assert_numbers(1, 3, 4);
    publish("c", 6); /* 1..4 are gone */
    kit_clear(&k);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_RESUME, 2);
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.number, 5); /* that is how the subscriber knows */
    assert_numbers(1, 5, 8);
    kit_clear(&k);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_RESUME, 1000);
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.number, 13);
    assert_int_equal(kit_events(&k, 1, got), 0);
}

static void test_overrun(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_window = 2;
    k.w.nodes[0].t.env.limits.channel_history = 4;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", 4);
    assert_numbers(1, 1, 2);
    assert_int_equal(publish("c", 2).delivered, 1); /* 1 and 2 were sent */
    rovei_publish_error errors[2];
    rovei_publish_report r = {.errors = errors, .room = 2};
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_FAIL_FAST, &r), ROVE_OK);
    assert_int_equal(r.failed, 1);
    assert_int_equal(errors[0].err, ROVE_E_WINDOW);
    assert_int_equal(r.first, 0); /* not published at all */
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_BEST_EFFORT, &r), ROVE_E_NOT_DELIVERED);
    assert_int_equal(errors[0].node_id, rovei_entity_node_id(&k.w.nodes[1].entity));
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_COLLECT, &r), ROVE_OK);
    assert_int_equal(r.attempted, 1);
    assert_int_equal(r.delivered, 0);
    assert_int_equal(kit_member(&k, 1, "c").gaps, 2);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 2);
    assert_int_equal(kit_events(&k, 1, got), 4);
    assert_int_equal(got[2], 5); /* the numbers show what is missing */
}

static void test_hold(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_history = 8;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    for (int i = 0; i < 4; i++)
        assert_ok(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL));
    assert_int_equal(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL), ROVE_E_WINDOW);
    assert_int_equal(world_notes_of(&k.w, 0, ROVEI_NOTE_CHANNEL_ROOM), 0);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 4);
    assert_int_equal(world_notes_of(&k.w, 0, ROVEI_NOTE_CHANNEL_ROOM), 1);
    assert_ok(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL));
    assert_ok(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL));
    assert_int_equal(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL), ROVE_E_WINDOW);
    assert_int_equal(kit_member(&k, 1, "c").gaps, 0);
    /* One that takes nothing for too long is not waited for. */
    world_run(&k.w, 120 * ROVE_SECOND);
    assert_int_equal(world_notes_of(&k.w, 0, ROVEI_NOTE_CHANNEL_ROOM), 2);
    assert_ok(kit_publish(&k, "c", 2, ROVEI_PUBLISH_HOLD, NULL));
}

static void test_groups(void **state)
{
    (void)state;
    kit_open(&k, "c");
    kit_join(&k, 0, "c");
    assert_int_equal(kit_subscribe(&k, 1, "c", (rove_span){0}, "g"), ROVEI_REASON_NONE);
    assert_int_equal(kit_subscribe(&k, 2, "c", (rove_span){0}, "g"), ROVEI_REASON_NONE);
    rovei_channel_frame f;
    assert_int_equal(kit_count(&k, 1, ROVEI_CHANNEL_BEGIN, &f), 1);
    assert_int_equal(f.flags, ROVEI_BEGIN_GROUP);
    for (int i = 0; i < 100; i++)
        assert_int_equal(publish("c", 1).delivered, 2);
    assert_numbers(0, 1, 100);
    bool had[101] = {false};
    for (size_t node = 1; node < 3; node++) {
        assert_int_equal(kit_events(&k, node, got), 50);
        for (size_t i = 0; i < 50; i++) {
            assert_false(had[got[i]]);
            had[got[i]] = true;
        }
    }
    assert_int_equal(kit_join(&k, 1, "c"), ROVEI_REASON_NONE); /* another mode */
    kit_clear(&k);
    publish("c", 2);
    assert_numbers(1, 101, 2);
    assert_numbers(2, 101, 2);
}

/* A group's member is sent again what was its own, and no more. */
static void test_group_lost(void **state)
{
    (void)state;
    kit_open(&k, "c");
    kit_subscribe(&k, 1, "c", (rove_span){0}, "g");
    kit_subscribe(&k, 2, "c", (rove_span){0}, "g");
    for (int i = 0; i < 10; i++)
        publish("c", 1);
    size_t count = kit_events(&k, 1, got);
    assert_int_equal(count, 5);
    uint64_t second = got[1], last = got[4];
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, second);
    kit_clear(&k);
    rovei_channels_peer_up(k.node, k.w.now, &k.w.nodes[1].entity);
    kit_turn(&k);
    assert_int_equal(kit_events(&k, 1, got), 3);
    assert_true(got[0] > second && got[2] == last);
}

static void test_peer_lost(void **state)
{
    (void)state;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    publish("c", 4);
    kit_tell(&k, 1, "c", ROVEI_CHANNEL_TOOK, 1);
    kit_clear(&k);
    world_cut(&k.w, 0, 1, true);
    world_run(&k.w, 20 * ROVE_SECOND);
    publish("c", 2);
    assert_int_equal(kit_events(&k, 1, got), 0);
    world_cut(&k.w, 0, 1, false);
    world_run(&k.w, 20 * ROVE_SECOND);
    assert_int_equal(kit_events(&k, 1, got), 5);
    assert_int_equal(got[0], 2);
    assert_int_equal(got[4], 6);
    world_stop(&k.w, 1);
    world_run(&k.w, 200 * ROVE_SECOND);
    assert_int_equal(kit_info(&k, "c").members, 0);
}

static void test_total(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channels_history_bytes = 100 * 36;
    kit_open(&k, "a");
    kit_open(&k, "b");
    publish("a", 80);
    publish("b", 30);
    assert_true(kit_info(&k, "a").bytes + kit_info(&k, "b").bytes <= 100 * 36);
    assert_int_equal(kit_info(&k, "b").first, 1); /* the larger one gave way */
    assert_true(kit_info(&k, "a").first > 10);
}

/* ---- hostile ---- */

static void test_malformed(void **state)
{
    (void)state;
    kit_open(&k, "c");
    kit_join(&k, 1, "c");
    const rove_entity *from = &k.w.nodes[1].entity;
    kit_clear(&k);
    kit_put(&k, from, "", 0);
    kit_put(&k, from, "\0", 1);
    kit_put(&k, from, "\0\0\1\2", 4);
    kit_put(&k, from, "\x21zz", 3);
    kit_put(&k, from, "\x7f", 1);
    assert_int_equal(rovei_channels_stats_get(k.node).malformed, 5);
    assert_int_equal(k.count, 0); /* nothing is answered */
    /* Of another's leg, and of an incarnation that is not. */
    publish("c", 5);
    kit_tell(&k, 2, "c", ROVEI_CHANNEL_TOOK, 5);
    kit_tell(&k, 2, "c", ROVEI_CHANNEL_RESUME, 1);
    assert_int_equal(kit_member(&k, 1, "c").took, 0);
    assert_int_equal(kit_events(&k, 2, got), 0);
}

static void test_publish_bounds(void **state)
{
    (void)state;
    kit_open(&k, "c");
    assert_int_equal(kit_publish(&k, "C", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL),
                     ROVE_E_CHANNEL_FORMAT);
    k.w.nodes[0].t.env.limits.event_max = 3;
    assert_int_equal(kit_publish(&k, "c", 1, ROVEI_PUBLISH_BEST_EFFORT, NULL), ROVE_E_TOO_LARGE);
    k.w.nodes[0].t.env.limits.event_max = 4;
    k.w.nodes[0].t.env.limits.channel_history = 4;
    assert_int_equal(kit_publish(&k, "c", 5, ROVEI_PUBLISH_BEST_EFFORT, NULL), ROVE_E_TOO_LARGE);
    assert_int_equal(kit_info(&k, "c").next, 1);
    rovei_publish_report r = publish("nothing", 1);
    assert_int_equal(r.attempted, 0);
    assert_int_equal(r.first, 0);
}

/* Memory out: a request is as if lost, a publish is not made, and both work afterwards. */
static void test_shortage(void **state)
{
    (void)state;
    kit_open(&k, "c");
    test_alloc *a = &k.w.nodes[0].t.alloc;
    rovei_membership m = {.type = ROVEI_MEMBERSHIP_SUBSCRIBE, .channel = span_of("c")};
    uint8_t bytes[64] = {0};
    rovei_writer w = rovei_writer_of(bytes + 1, sizeof bytes - 1);
    rovei_membership_write(&w, &m);
    rove_buf *message = rovei_buf_copy(NULL, bytes, 1 + rovei_writer_size(&w));
    for (size_t at = 0; !kit_info(&k, "c").members; at++) {
        a->calls = 0;
        a->fail_at = at;
        rovei_channels_receive(k.node, k.w.now, &k.w.nodes[1].entity, message);
        a->fail_at = SIZE_MAX;
        rovei_channels_check(k.node);
        assert_true(at < 50);
    }
    rove_buf_unref(message);
    rove_buf *owner = rovei_buf_copy(NULL, "event", 5);
    rove_span event = rove_buf_span(owner);
    rovei_publish p = {.channel = span_of("c"), .events = &event, .count = 1, .owner = owner};
    rove_err err;
    size_t at = 0;
    do {
        a->calls = 0;
        a->fail_at = at++;
        err = rovei_channels_publish(k.node, k.w.now, &p, NULL);
        a->fail_at = SIZE_MAX;
        rovei_channels_check(k.node);
    } while (err == ROVE_E_NOMEM);
    assert_ok(err);
    assert_true(at > 1);
    assert_int_equal(kit_info(&k, "c").next, 2);
    rove_buf_unref(owner);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join),
        TEST(test_join_again),
        TEST(test_messages_of_a_window),
        TEST(test_own_node),
        TEST(test_throttled),
        TEST(test_too_many),
        TEST(test_prefix),
        TEST(test_open_node),
        TEST(test_origin_bound),
        TEST(test_visibility),
        TEST(test_needs),
        TEST(test_guard_follows),
        TEST(test_token),
        TEST(test_needs_and_token),
        TEST(test_prefix_token_to_publish),
        TEST(test_prefix_token),
        TEST(test_expiry_by_sweep),
        TEST(test_sweeps_at_the_bounds),
        TEST(test_revoked),
        TEST(test_expiry_by_publish),
        TEST(test_expiry_of_a_leg),
        TEST(test_no_roots),
        TEST(test_group_policies),
        TEST(test_window),
        TEST(test_resume),
        TEST(test_overrun),
        TEST(test_hold),
        TEST(test_groups),
        TEST(test_group_lost),
        TEST(test_peer_lost),
        TEST(test_total),
        TEST(test_malformed),
        TEST(test_publish_bounds),
        TEST(test_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
