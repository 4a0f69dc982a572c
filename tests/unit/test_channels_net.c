/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribers of class net: their requests in packets of that class, the answers, and the packets
 * that carry what is published. */
#include "caps_kit.h"
#include "moves_world.h"

#include <capability/index.h>
#include <channel/feeds.h>
#include <channel/membership_codec.h>
#include <channel/publisher.h>
#include <identity/token.h>
#include <identity/token_cache.h>
#include <inttypes.h>
#include <net/wire.h>
#include <stdio.h>

static world w;

static int setup(void **state)
{
    (void)state;
    world_init_apart(&w, 2);
    world_run(&w, 12 * ROVE_SECOND);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rovei_node_check(w.nodes[0].node);
    world_fini(&w);
    return 0;
}

static void create(const char *name, const rove_entity *root)
{
    rovei_channel_config c = {.name = span_of(name), .roots = root, .root_count = root != NULL};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
}

static void say(rovei_membership m)
{
    uint8_t bytes[512];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    rovei_membership_write(&out, &m);
    assert_ok(out.err);
    assert_ok(rovei_net_send(w.nodes[1].node->net, w.now, rovei_entity_node_id(&w.nodes[0].entity),
                             ROVEI_NET_MEMBERSHIP, (rove_span){bytes, rovei_writer_size(&out)}));
    world_run(&w, 100 * ROVE_MILLISECOND);
}

static void join(const char *name)
{
    say((rovei_membership){
        .type = ROVEI_MEMBERSHIP_SUBSCRIBE, .nonce = 7, .channel = span_of(name)});
}

static rovei_publish_report publish(const char *name, size_t count, size_t size)
{
    rove_buf *owner = rovei_buf_alloc(NULL, size);
    rove_span *events = calloc(count, sizeof *events);
    assert_true(owner && events);
    memset(rovei_buf_data(owner), 'x', size);
    for (size_t i = 0; i < count; i++)
        events[i] = rove_buf_span(owner);
    rovei_publish_error errors[4] = {{0}};
    rovei_publish_report r = {.errors = errors, .room = 4};
    rovei_publish p = {.channel = span_of(name),
                       .events = events,
                       .count = count,
                       .owner = owner,
                       .policy = ROVEI_PUBLISH_COLLECT};
    assert_ok(rovei_channels_publish(w.nodes[0].node, w.now, &p, &r));
    if (r.failed)
        r.first = (uint64_t)-errors[0].err; /* what is wrong, in the place of a number */
    r.errors = NULL;
    rove_buf_unref(owner);
    free(events);
    world_run(&w, 200 * ROVE_MILLISECOND);
    return r;
}

static uint64_t packets(void)
{
    return rovei_node_stats_get(w.nodes[1].node).net_data_dropped;
}

static void test_join_and_publish(void **state)
{
    (void)state;
    create("c", NULL);
    join("c");
    rovei_channel_info info;
    assert_ok(rovei_channels_get(w.nodes[0].node, span_of("c"), &info));
    assert_int_equal(info.members, 1);
    rovei_member_info member;
    size_t it = 0;
    assert_true(rovei_channels_member_next(w.nodes[0].node, span_of("c"), &it, &member));
    assert_true(rovei_entity_is_net(&member.peer));
    rovei_publish_report r = publish("c", 5, 10);
    assert_int_equal(r.attempted, 1);
    assert_int_equal(r.delivered, 1);
    assert_int_equal(packets(), 1); /* five events, one packet */
    r = publish("c", 3, 4000);
    assert_int_equal(r.delivered, 1);
    assert_int_equal(packets(), 3); /* two of them fit into one */
    r = publish("c", 1, ROVEI_NET_EVENT_MAX + 1);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.first, -ROVE_E_TOO_LARGE);
    assert_int_equal(packets(), 3);
    say((rovei_membership){
        .type = ROVEI_MEMBERSHIP_UNSUBSCRIBE, .nonce = 8, .channel = span_of("c")});
    assert_int_equal(publish("c", 1, 1).attempted, 0);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).net_sent, 2);
}

/* A stranger to whom no entity is known: open channels only. */
static void test_unpinned(void **state)
{
    (void)state;
    create("gated", &w.nodes[0].entity);
    join("gated");
    join("nothing");
    rovei_channels_stats s = rovei_channels_stats_get(w.nodes[0].node);
    assert_int_equal(s.unauthorized, 1);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(s.members, 0);
    /* Its own origin, which nobody has vouched for. */
    char name[32];
    rovei_channel_config c = {.name = span_of("r."), .prefix = true, .origin_bound = true};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
    snprintf(name, sizeof name, "r.%016" PRIx64, rovei_entity_origin(&w.nodes[1].entity));
    join(name);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).unauthorized, 2);
    /* Groups are refused to it as to others, the channel itself is not. */
    c = (rovei_channel_config){.name = span_of("deny"), .groups = ROVEI_GROUPS_DENY};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
    say((rovei_membership){.type = ROVEI_MEMBERSHIP_SUBSCRIBE,
                           .nonce = 9,
                           .channel = span_of("deny"),
                           .group = span_of("g")});
    s = rovei_channels_stats_get(w.nodes[0].node);
    assert_int_equal(s.unauthorized, 3);
    assert_int_equal(s.members, 0);
    join("deny");
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).members, 1);
}

/* Node 0's word for a node on the channel "gated". */
static rove_token_chain grant(size_t subject, uint32_t scope)
{
    rove_token_chain chain = {.count = 1};
    assert_ok(
        rovei_token_issue(&chain.links[0], &w.nodes[0].t.env.rng, w.nodes[0].id,
                          &(rovei_token_grant){.subject = w.nodes[subject].entity,
                                               .channel = rovei_channel_hash(span_of("gated")),
                                               .not_before = w.now.wall / ROVE_SECOND,
                                               .life = 600,
                                               .scope = scope}));
    return chain;
}

/* Node 1 announces itself; then a token of the channel's root lets it in. */
static void test_pinned(void **state)
{
    (void)state;
    uint8_t room[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain own = grant(0, ROVE_SCOPE_PUBLISH), chain = grant(1, ROVE_SCOPE_SUBSCRIBE);
    create("gated", &w.nodes[0].entity);
    assert_ok(rovei_token_cache_insert(&w.nodes[0].node->tokens.cache, &own));
    rovei_membership m = {.type = ROVEI_MEMBERSHIP_SUBSCRIBE,
                          .nonce = 7,
                          .channel = span_of("gated"),
                          .token = {room, rovei_token_chain_encode(&chain, room)}};
    say(m);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).unauthorized, 1);
    rovei_caps caps = caps_of("gpu", "");
    assert_ok(rovei_node_announce(w.nodes[1].node, w.now, &caps));
    rove_entity pin;
    world_until(&w, 15 * ROVE_SECOND,
                rovei_gossip_pin(w.nodes[0].node, rovei_entity_node_id(&w.nodes[1].entity), &pin));
    assert_true(rovei_entity_equal(&pin, &w.nodes[1].entity));
    m.nonce = 8;
    say(m);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).members, 1);
    assert_int_equal(publish("gated", 1, 1).delivered, 1);
    /* With the node that has failed everything goes that was known of it. */
    uint64_t id = rovei_entity_node_id(&w.nodes[1].entity);
    assert_non_null(rovei_index_get(w.nodes[0].node->index, id));
    world_stop(&w, 1);
    world_run(&w, 150 * ROVE_SECOND);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).members, 0);
    assert_false(rovei_gossip_pin(w.nodes[0].node, id, &pin));
    assert_null(rovei_index_get(w.nodes[0].node->index, id));
    assert_int_equal(publish("gated", 1, 1).attempted, 0);
    caps_kit_clear();
}

/* ---- node 1 listens ---- */

#define REQUEST 5

static size_t told(rovei_note_kind kind, const rovei_note **ret)
{
    size_t count = 0;
    *ret = NULL;
    for (size_t i = 0; i < w.nodes[1].note_count; i++) {
        const rovei_note *note = &w.nodes[1].notes[i];
        if (note->kind != kind || note->request != REQUEST)
            continue;
        *ret = note;
        count++;
    }
    return count;
}

static void listen_to(const char *name)
{
    const rovei_note *note;
    rovei_feed_order o = {.publisher = rovei_entity_node_id(&w.nodes[0].entity),
                          .channel = span_of(name),
                          .request = REQUEST};
    create(name, NULL);
    assert_ok(rovei_feeds_subscribe(w.nodes[1].node, w.now, &o));
    world_run(&w, 200 * ROVE_MILLISECOND);
    assert_int_equal(told(ROVEI_NOTE_SUBSCRIBED, &note), 1);
    assert_ok(note->err);
}

static void test_listener(void **state)
{
    (void)state;
    const rovei_note *note;
    listen_to("c");
    assert_int_equal(publish("c", 3, 10).delivered, 1);
    assert_int_equal(publish("c", 2, 4000).delivered, 1);
    assert_int_equal(told(ROVEI_NOTE_PUBLISHED, &note), 5);
    assert_int_equal(note->number, 5);
    assert_int_equal(note->text.size, 4000);
    assert_int_equal(told(ROVEI_NOTE_FEED_GAP, &note), 0);
    assert_int_equal(packets(), 0);
}

/* A packet of the channel with these frames, and so many events by its header. */
static uint64_t packet_with(rove_span frames, uint16_t count)
{
    rovei_node *n = w.nodes[1].node;
    uint64_t before = rovei_node_stats_get(n).frames_malformed;
    rove_buf *owner = rovei_buf_copy(NULL, frames.data, frames.size);
    assert_non_null(owner);
    assert_true(rovei_feeds_net_data(n, w.now, rovei_entity_node_id(&w.nodes[0].entity),
                                     rovei_channel_stream(rovei_channel_hash(span_of("c"))), 0,
                                     count, rove_buf_span(owner), owner));
    rove_buf_unref(owner);
    world_run(&w, 50 * ROVE_MILLISECOND);
    return rovei_node_stats_get(n).frames_malformed - before;
}

/* Events that a packet counts and does not have get no numbers. */
static void test_miscounted(void **state)
{
    (void)state;
    static const char two[] = "\1\0\0\0a\2\0\0\0bc";
    const rovei_note *note;
    const rove_span frames = {two, sizeof two - 1};
    listen_to("c");
    assert_int_equal(packet_with(frames, 3), 1);
    assert_int_equal(packet_with(frames, ROVEI_NET_EVENTS_MAX), 1);
    assert_int_equal(packet_with(frames, 1), 1);
    assert_int_equal(packet_with(frames, 0), 1);
    assert_int_equal(packet_with((rove_span){two, frames.size - 1}, 2), 1);
    assert_int_equal(packet_with((rove_span){two, 3}, 1), 1);
    assert_int_equal(packet_with((rove_span){"\377\377\377\377x", 5}, 1), 1);
    assert_int_equal(told(ROVEI_NOTE_PUBLISHED, &note), 0);
    assert_int_equal(packet_with(frames, 2), 0);
    assert_int_equal(told(ROVEI_NOTE_PUBLISHED, &note), 2);
    assert_int_equal(note->number, 2);
    assert_int_equal(publish("c", 1, 1).delivered, 1);
    assert_int_equal(told(ROVEI_NOTE_PUBLISHED, &note), 3);
    assert_int_equal(note->number, 3);
    assert_int_equal(told(ROVEI_NOTE_FEED_GAP, &note), 0);
    rovei_feeds_check(w.nodes[1].node);
}

static void test_malformed(void **state)
{
    (void)state;
    uint64_t to = rovei_entity_node_id(&w.nodes[0].entity);
    assert_ok(rovei_net_send(w.nodes[1].node->net, w.now, to, ROVEI_NET_MEMBERSHIP,
                             (rove_span){"\0\1", 2}));
    assert_ok(rovei_net_send(w.nodes[1].node->net, w.now, to, ROVEI_NET_MEMBERSHIP,
                             (rove_span){"\7", 1}));
    world_run(&w, 100 * ROVE_MILLISECOND);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).malformed, 2);
}

static void test_failed(void **state)
{
    (void)state;
    create("c", NULL);
    join("c");
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).members, 1);
    world_stop(&w, 1);
    world_run(&w, 150 * ROVE_SECOND);
    assert_int_equal(rovei_channels_stats_get(w.nodes[0].node).members, 0);
    assert_int_equal(publish("c", 1, 1).attempted, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join_and_publish), TEST(test_unpinned),  TEST(test_pinned), TEST(test_listener),
        TEST(test_miscounted),       TEST(test_malformed), TEST(test_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
