/* SPDX-License-Identifier: Apache-2.0
 *
 * What a subscription needs to go on elsewhere: a right there, and its place in the channel. */
#include <identity/token.h>
#include <node/tokens.h>

#include "feeds_kit.h"

static rove_token_chain token_of(world *w, size_t root, size_t subject)
{
    rove_token_chain chain = {.count = 1};
    rovei_token_grant g = {.subject = w->nodes[subject].entity,
                           .channel = rovei_channel_hash(channel()),
                           .not_before = w->now.wall / ROVE_SECOND,
                           .life = 3600,
                           .scope = ROVE_SCOPE_SUBSCRIBE};
    assert_ok(rovei_token_issue(&chain.links[0], &w->nodes[root].t.env.rng, w->nodes[root].id, &g));
    return chain;
}

/* A ledger's token is for the node that the daemon comes from: the target offers one that it holds,
 * and the ledger keeps its own. Where there is none the move says so. */
static void a_target_offers_its_own_token(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    rovei_channel_config gate = {
        .name = channel(), .roots = &w->nodes[2].entity, .root_count = 1, .require_token = true};
    assert_ok(rovei_channels_create(w->nodes[2].node, w->now, &gate, false));
    rove_token_chain at_0 = token_of(w, 2, 0), at_1 = token_of(w, 2, 1);
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rovei_feed_order o = order_of(w, &d, 2, 1);
    o.token = (rove_span){bytes, rovei_token_chain_encode(&at_0, bytes)};
    assert_ok(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o));
    world_until(w, SOON, answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 1));
    assert_ok(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 1)->err);

    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    assert_int_equal(world_info(w, 0, &id).unbound, 1);
    assert_false(is_member(w, 2, 1));
    assert_ok(rovei_token_cache_insert(&rovei_node_tokens(w->nodes[1].node)->cache, &at_1));
    world_until(w, 40 * ROVE_SECOND, is_member(w, 2, 1));
    rove_span kept = rove_buf_span(feed_of(w, 1, &d)->token);
    assert_int_equal(kept.size, o.token.size);
    assert_memory_equal(kept.data, bytes, kept.size);

    id = world_move(w, 1, 0, &d, 0); /* there the ledger's is the right one */
    finish_move(w, 1, &id);
    world_until(w, 40 * ROVE_SECOND, is_member(w, 2, 0));
    id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    assert_int_equal(world_info(w, 0, &id).unbound, 0);
    kit_free(k);
}

static void subscribe_with(world *w, size_t node, const rove_entity *d, size_t publisher,
                           rove_span token)
{
    rovei_feed_order o = order_of(w, d, publisher, 1);
    o.token = token;
    assert_ok(rovei_feeds_subscribe(w->nodes[node].node, w->now, &o));
    world_until(w, SOON, answered(w, node, ROVEI_NOTE_SUBSCRIBED, 1));
    assert_ok(answered(w, node, ROVEI_NOTE_SUBSCRIBED, 1)->err);
}

/* One that the node holds and this publisher does not take hides no good one of the daemon's. */
static void of_two_tokens_the_good_one_counts(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    rovei_channel_config gate = {.name = channel(), .roots = &w->nodes[2].entity, .root_count = 1};
    assert_ok(rovei_channels_create(w->nodes[2].node, w->now, &gate, false));
    rove_token_chain good = token_of(w, 2, 0), good_at_1 = token_of(w, 2, 1);
    rove_token_chain of_another_root = token_of(w, 1, 0);
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    subscribe_with(w, 0, &d, 2, (rove_span){bytes, rovei_token_chain_encode(&good, bytes)});
    assert_ok(rovei_token_cache_insert(&rovei_node_tokens(w->nodes[1].node)->cache, &good_at_1));
    assert_ok(
        rovei_token_cache_insert(&rovei_node_tokens(w->nodes[0].node)->cache, &of_another_root));
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    id = world_move(w, 1, 0, &d, 0);
    finish_move(w, 1, &id);
    assert_int_equal(world_info(w, 1, &id).unbound, 0);
    assert_true(feed_of(w, 0, &d)->bound);
    kit_free(k);
}

/* What is no token, or another node's, is told of at a move even when the channel needs none. */
static void a_token_that_is_no_good_is_told_of(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    subscribe_with(w, 0, &d, 2, (rove_span){"rubbish", 7});
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    assert_int_equal(world_info(w, 0, &id).unbound, 1);
    assert_true(feed_of(w, 1, &d)->bound);
    publish(w, 2, 1, 10);
    world_until(w, SOON, world_cell_of(w, 1, &d)->applied == 10);
    kit_free(k);
}

/* Who hears that it is subscribed has its place in the channel, however soon it is frozen. */
static void a_place_comes_with_the_answer(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    publish(w, 2, 1, 3);
    assert_ok(subscribe(w, 0, &d, 2, 1));
    assert_non_null(feed_of(w, 0, &d)->lane);
    assert_int_equal(rovei_feed_position(feed_of(w, 0, &d)->lane), 3);
    kit_free(k);
}

/* As long as it is not a member it keeps its place, longer than a lane that nobody uses. */
static void a_place_does_not_expire(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    w->nodes[1].t.env.limits.lane_expiry = 5 * ROVE_SECOND;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_ok(subscribe(w, 0, &d, 2, 1));
    world_cut(w, 1, 2, true);
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    publish(w, 2, 1, 10);
    world_run(w, 20 * ROVE_SECOND);
    world_cut(w, 1, 2, false);
    world_until(w, 40 * ROVE_SECOND, applied(w, 1, &d) == 10);
    kit_assert_log(world_cell_of(w, 1, &d), "e", 1, 10);
    kit_free(k);
}

/* Lanes of senders leave room for feeds, and one that rests gives way. */
static void a_lane_for_each_channel(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    w->nodes[0].t.env.limits.lanes_per_daemon = 1;
    w->nodes[0].t.env.limits.daemon_subscriptions = 2;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    rovei_lane *lane, *first;
    assert_ok(rovei_lanes_make(w->nodes[0].node, world_daemon(w, 0, &d)));
    struct rovei_lanes *l = world_daemon(w, 0, &d)->lanes;
    for (uint64_t i = 1; i <= 4; i++)
        assert_ok(rovei_feed_begin(i == 1 ? &first : &lane, l, w->now, &w->nodes[1].entity, i, 0));
    assert_int_equal(rovei_feed_begin(&lane, l, w->now, &w->nodes[1].entity, 5, 0),
                     ROVE_E_LANE_LIMIT);
    rovei_feed_end(first, w->now, false);
    assert_ok(rovei_feed_begin(&lane, l, w->now, &w->nodes[1].entity, 5, 0));
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_offers_its_own_token),
        cmocka_unit_test(of_two_tokens_the_good_one_counts),
        cmocka_unit_test(a_token_that_is_no_good_is_told_of),
        cmocka_unit_test(a_place_comes_with_the_answer),
        cmocka_unit_test(a_place_does_not_expire),
        cmocka_unit_test(a_lane_for_each_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
