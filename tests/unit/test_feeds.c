/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons and listeners on channels: subscribing, being fed, sharing a membership, and moves of a
 * subscribed daemon, with a publisher of class rove. */
#include <state/ledger.h>

#include "feeds_kit.h"

/* ---- one node ---- */

static void a_daemon_is_fed(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rovei_feed_info info;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    publish(w, 1, 1001, 1005); /* before it is there: not for it */
    assert_int_equal(subscribe(w, 0, &d, 1, 7), ROVE_OK);
    assert_int_equal(subscriptions(w, 0, &d, &info), 1);
    assert_false(info.has_token);
    publish(w, 1, 1, 3000); /* more than what may be under way, and than the lane takes */
    world_until(w, SOON, applied(w, 0, &d) == 3000);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 3000);
    assert_int_equal(unsubscribe(w, 0, &d, 1, 8), ROVE_OK);
    assert_int_equal(subscriptions(w, 0, &d, &info), 0);
    assert_false(is_member(w, 1, 0));
    publish(w, 1, 3001, 3010);
    world_run(w, ROVE_SECOND);
    assert_int_equal(applied(w, 0, &d), 3000);
    rovei_node_check(w->nodes[0].node);
    kit_free(k);
}

/* Credit is given back by bytes as well: nothing waits for the time after which it is said anyway.
 */
static void large_events(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    enum { SIZE = 60000, COUNT = 160 };
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 0);
    assert_int_equal(subscribe(w, 0, &d, 0, 1), ROVE_OK);
    rove_buf *owner = rovei_buf_alloc(NULL, SIZE);
    memset(rovei_buf_data(owner), 'x', SIZE);
    rove_span event = rove_buf_span(owner);
    uint64_t begun = w->now.mono;
    for (size_t i = 0; i < COUNT; i++) {
        rovei_publish p = {.channel = channel(), .events = &event, .count = 1, .owner = owner};
        assert_ok(rovei_channels_publish(w->nodes[0].node, w->now, &p, NULL));
    }
    rove_buf_unref(owner);
    while (applied(w, 0, &d) < COUNT && w->now.mono < begun + SOON)
        world_run(w, ROVE_MILLISECOND);
    assert_int_equal(applied(w, 0, &d), COUNT);
    /* A window holds a tenth of it; by time alone each would take 20 ms. */
    assert_true(w->now.mono - begun < 100 * ROVE_MILLISECOND);
    kit_free(k);
}

/* The publisher is on the daemon's own node. */
static void its_own_node_publishes(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 0);
    assert_int_equal(subscribe(w, 0, &d, 0, 1), ROVE_OK);
    publish(w, 0, 1, 2000);
    world_until(w, SOON, applied(w, 0, &d) == 2000);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 2000);
    kit_free(k);
}

static void one_membership_for_all(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity a = world_spawn(w, 0, 1), b = world_spawn(w, 0, 2);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &a, 1, 1), ROVE_OK);
    assert_int_equal(subscribe(w, 0, &b, 1, 2), ROVE_OK);
    assert_int_equal(subscribe(w, 0, NULL, 1, 3), ROVE_OK);
    rovei_channel_info info;
    assert_ok(rovei_channels_get(w->nodes[1].node, channel(), &info));
    assert_int_equal(info.members, 1);
    publish(w, 1, 1, 100);
    world_until(w, SOON,
                applied(w, 0, &a) == 100 && applied(w, 0, &b) == 100 &&
                    world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 100);
    /* Two leave: the third is still fed. */
    assert_int_equal(unsubscribe(w, 0, &a, 1, 4), ROVE_OK);
    assert_int_equal(unsubscribe(w, 0, NULL, 1, 3), ROVE_OK);
    publish(w, 1, 101, 200);
    world_until(w, SOON, applied(w, 0, &b) == 200);
    assert_int_equal(applied(w, 0, &a), 100);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED), 100);
    /* The last one is a daemon that stops. */
    assert_true(is_member(w, 1, 0));
    assert_ok(rovei_node_stop(w->nodes[0].node, w->now, &b));
    world_until(w, SOON, !is_member(w, 1, 0));
    kit_free(k);
}

static void refused(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rovei_feed_info info;
    rove_entity d = world_spawn(w, 0, 1), nobody = {{1}};
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_E_CHANNEL_UNKNOWN);
    assert_int_equal(subscribe(w, 0, &nobody, 1, 2), ROVE_E_NOT_FOUND);
    rovei_feed_order o = order_of(w, &d, 1, 3);
    o.channel.size = 0;
    assert_int_equal(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o), ROVE_E_CHANNEL_EMPTY);
    o = order_of(w, &d, 1, 3);
    o.publisher ^= 1;
    assert_ok(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o));
    world_until(w, SOON, answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 3));
    assert_int_equal(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 3)->err, ROVE_E_UNREACHABLE);
    assert_int_equal(subscriptions(w, 0, &d, &info), 0);
    kit_free(k);
}

/* An answer counts only when it comes from the publisher that was asked. */
static void answers_of_others(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    world_cut(w, 0, 1, true);
    rovei_feed_order o = order_of(w, &d, 1, 1);
    assert_ok(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o));
    world_run(w, ROVE_SECOND);
    assert_null(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 1));
    for (uint64_t nonce = 0; nonce < 100; nonce++)
        rovei_feeds_ack(w->nodes[0].node, w->now, &w->nodes[2].entity, nonce, true, 0);
    world_until(w, 6 * ROVE_SECOND, answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 1));
    assert_int_equal(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 1)->err, ROVE_E_ACK_TIMEOUT);
    kit_free(k);
}

/* ---- moves ---- */

/* #43, #44: what it is subscribed to goes with it, and so does the place in the roster. */
static void the_roster_follows(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rovei_feed_info info;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_int_equal(subscribe(w, 0, &d, 2, 1), ROVE_OK);
    rove_buf *before, *after;
    assert_ok(rovei_feeds_ledger(world_daemon(w, 0, &d), w->now, &before));
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    assert_int_equal(world_info(w, 0, &id).unbound, 0);
    world_until(w, 2 * ROVE_SECOND, is_member(w, 2, 1) && !is_member(w, 2, 0));
    assert_ok(rovei_feeds_ledger(world_daemon(w, 1, &d), w->now, &after));
    assert_span(rove_buf_span(after), rovei_buf_data(before), rovei_buf_size(before));
    rove_buf_unref(before);
    rove_buf_unref(after);
    assert_int_equal(subscriptions(w, 1, &d, &info), 1);
    assert_int_equal(info.publisher, rovei_entity_node_id(&w->nodes[2].entity));
    assert_int_equal(info.state, ROVEI_FEED_BOUND);
    kit_free(k);
}

static void over_moves(unsigned lose, size_t publisher)
{
    kit *k = kit_new(3);
    world *w = &k->w;
    unsigned sent = 0;
    size_t at = 0;
    w->lose = lose;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, publisher);
    assert_int_equal(subscribe(w, 0, &d, publisher, 1), ROVE_OK);
    for (size_t move = 0; move < 10; move++) {
        size_t to = (at + 1 + move % 2) % 3;
        rovei_attempt_id id = world_move(w, at, to, &d, 0);
        while (!world_ended(w, at, &id)) {
            publish(w, publisher, sent + 1, sent + 5);
            sent += 5;
            world_run(w, ROVE_MILLISECOND);
        }
        finish_move(w, at, &id);
        world_until(w, 20 * ROVE_SECOND, !world_daemon(w, to, &d)->target);
        at = to;
    }
    world_until(w, 30 * ROVE_SECOND, applied(w, at, &d) >= sent);
    assert_int_equal(applied(w, at, &d), sent);
    kit_assert_log(world_cell_of(w, at, &d), "e", 1, sent);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rovei_node_stats_get(w->nodes[i].node).feed_lost, 0);
        world_until(w, 5 * ROVE_SECOND, is_member(w, publisher, i) == (i == at));
        rovei_node_check(w->nodes[i].node);
    }
    kit_free(k);
}

/* A publisher that goes on while the daemon moves, also to and from its own node and back. */
static void each_once_over_moves(void **state)
{
    (void)state;
    over_moves(0, 2);
}

static void each_once_over_moves_at_loss(void **state)
{
    (void)state;
    over_moves(10, 2);
}

static void an_abort_leaves_nothing(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_int_equal(subscribe(w, 0, &d, 2, 1), ROVE_OK);
    never_prepared(w, 1);
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    world_until(w, SOON, is_member(w, 2, 1));
    publish(w, 2, 1, 10);
    world_until(w, SOON, world_role_of(w, 1, &d) == ROVEI_ROLE_PREPARED);
    assert_ok(rovei_node_cancel(w->nodes[0].node, w->now, &id, ROVE_E_CANCELLED));
    world_until(w, SOON, world_ended(w, 0, &id));
    world_until(w, SOON, !is_member(w, 2, 1));
    world_until(w, SOON, applied(w, 0, &d) == 10);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 10);
    assert_true(is_member(w, 2, 0));
    kit_free(k);
}

/* The target cannot reach the publisher: the move waits a bounded time and says so. */
static void what_is_not_bound_is_told(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rovei_feed_info info;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_int_equal(subscribe(w, 0, &d, 2, 1), ROVE_OK);
    world_cut(w, 1, 2, true);
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    finish_move(w, 0, &id);
    assert_int_equal(world_info(w, 0, &id).unbound, 1);
    assert_int_equal(subscriptions(w, 1, &d, &info), 1);
    assert_int_equal(info.state == ROVEI_FEED_UNBOUND || info.state == ROVEI_FEED_ASKING, true);
    publish(w, 2, 1, 10);
    world_cut(w, 1, 2, false);
    /* It is asked again, and what came meanwhile is still there. */
    world_until(w, 40 * ROVE_SECOND, applied(w, 1, &d) == 10);
    kit_assert_log(world_cell_of(w, 1, &d), "e", 1, 10);
    kit_free(k);
}

/* #45, and what the image of the lanes says of a feed. */
static void the_ledger(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    rove_buf *ledger = NULL;
    rovei_ledger *l;
    assert_ok(rovei_feeds_ledger(world_daemon(w, 0, &d), w->now, &ledger));
    assert_null(ledger);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_OK);
    assert_ok(rovei_feeds_ledger(world_daemon(w, 0, &d), w->now, &ledger));
    assert_ok(rovei_ledger_decode(&l, w->nodes[0].node->alloc, rove_buf_span(ledger)));
    assert_int_equal(rovei_ledger_count(l), 1);
    rovei_subscription e = rovei_ledger_at(l, 0);
    assert_int_equal(e.publisher, rovei_entity_node_id(&w->nodes[1].entity));
    assert_span(e.channel, CHANNEL, sizeof CHANNEL - 1);
    assert_false(e.has_token);
    rovei_ledger_free(l);
    rove_buf_unref(ledger);
    assert_int_equal(unsubscribe(w, 0, &d, 1, 2), ROVE_OK);
    assert_ok(rovei_feeds_ledger(world_daemon(w, 0, &d), w->now, &ledger));
    assert_null(ledger);
    kit_free(k);
}

/* An image of one lane with these flags. */
static rove_err take_image(kit *k, const rove_entity *daemon, uint8_t flags, bool *ret_feed)
{
    rovei_daemon *d = world_daemon(&k->w, 0, daemon);
    uint8_t bytes[1 + 4 + 32 + 8 + 8 + 8 + 1 + 4];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    struct rovei_lanes *l;
    assert_ok(rovei_lanes_new(&l, k->w.nodes[0].node, d));
    rovei_write_u8(&out, 1);
    rovei_write_u32(&out, 1);
    rovei_write_entity(&out, &k->w.nodes[1].entity);
    rovei_write_u64(&out, 77);
    rovei_write_u64(&out, 1000);
    rovei_write_u64(&out, 0);
    rovei_write_u8(&out, flags);
    rovei_write_u32(&out, 0);
    rove_err err = rovei_lanes_import(l, k->w.now, (rove_span){bytes, sizeof bytes});
    rovei_lane *feed = rovei_lane_find_feed(l, &k->w.nodes[1].entity, 77);
    *ret_feed = feed != NULL;
    if (feed)
        assert_int_equal(rovei_feed_next(feed), 1001);
    assert_int_equal(rovei_lane_find(l, &k->w.nodes[1].entity, 77) != NULL, !err && !feed);
    rovei_lanes_check_set(l);
    rovei_lanes_free(l);
    return err;
}

static void images_of_feeds(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    bool feed;
    rove_entity d = world_spawn(&k->w, 0, 1);
    assert_ok(take_image(k, &d, 4, &feed));
    assert_true(feed);
    assert_ok(take_image(k, &d, 0, &feed));
    assert_false(feed);
    assert_int_equal(take_image(k, &d, 5, &feed), ROVE_E_FLAG);
    assert_int_equal(take_image(k, &d, 6, &feed), ROVE_E_FLAG);
    assert_int_equal(take_image(k, &d, 8, &feed), ROVE_E_FLAG);
    kit_free(k);
}

/* ---- answers that cross, or that do not come ---- */

/* A frame that the publisher on `from` says about the channel. */
static void inject_frame(world *w, size_t from, size_t to, rovei_channel_frame f)
{
    uint8_t bytes[ROVEI_CHANNEL_FRAME_MAX];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    f.channel = rovei_channel_hash(channel());
    f.name = channel();
    rovei_channel_frame_write(&out, &f);
    rove_buf *message = rovei_buf_copy(NULL, bytes, rovei_writer_size(&out));
    rovei_node_inject(w->nodes[to].node, w->now, &w->nodes[from].entity, ROVEI_TAG_CHANNEL,
                      message);
    rove_buf_unref(message);
}

/* Begin that follows the Subscribe of another one here, while Resume is on its way: what was asked
 * for is not lost. */
static void begin_is_not_always_the_answer(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rovei_node *node = w->nodes[0].node;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_OK);
    assert_int_equal(subscribe(w, 0, NULL, 1, 2), ROVE_OK);
    rovei_feeds_hold(node, w->now, 2, true);
    publish(w, 1, 1, 50);
    world_until(w, SOON, applied(w, 0, &d) == 50);
    rovei_feeds_hold(node, w->now, 2, false);
    rovei_node_turn(node, w->now);
    assert_int_equal(feed_of(w, 0, &d)->wire->asked_from, 1);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED), 0);
    inject_frame(w, 1, 0,
                 (rovei_channel_frame){.type = ROVEI_CHANNEL_BEGIN,
                                       .incarnation = feed_of(w, 0, &d)->wire->incarnation,
                                       .number = 51,
                                       .oldest = 1});
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 50);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_FEED_GAP), 0);
    publish(w, 1, 51, 100);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 100);
    assert_int_equal(applied(w, 0, &d), 100);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 100);
    assert_int_equal(rovei_node_stats_get(node).feed_lost, 0);
    kit_free(k);
}

/* A publisher that takes this node for a member, of before it was started anew for instance. */
static void unwanted_memberships_end(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    uint8_t bytes[64] = {ROVEI_CHANNEL_MEMBERSHIP};
    rovei_writer out = rovei_writer_of(bytes + 1, sizeof bytes - 1);
    open_channel(w, 1);
    rovei_membership_write(
        &out,
        &(rovei_membership){.type = ROVEI_MEMBERSHIP_SUBSCRIBE, .nonce = 5, .channel = channel()});
    rove_buf *message = rovei_buf_copy(NULL, bytes, 1 + rovei_writer_size(&out));
    rovei_node_inject(w->nodes[1].node, w->now, &w->nodes[0].entity, ROVEI_TAG_CHANNEL, message);
    rove_buf_unref(message);
    world_run(w, ROVE_SECOND);
    assert_false(is_member(w, 1, 0));
    assert_int_equal(rovei_channels_stats_get(w->nodes[1].node).subscribed, 1);
    kit_free(k);
}

static bool swallow_answers(void *user, const rove_entity *to, uint16_t tag, rove_span head,
                            rove_buf *body)
{
    unsigned *left = user;
    (void)to;
    (void)body;
    if (tag != ROVEI_TAG_CHANNEL || *(const uint8_t *)head.data != ROVEI_CHANNEL_MEMBERSHIP ||
        !*left)
        return false;
    --*left;
    return true;
}

/* The publisher has let it go, and its answer is lost: the subscription stays, so it is joined
 * again, and nothing is missed. */
static void leaving_without_an_answer(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    unsigned left = 1;
    rovei_node_tap tap = {swallow_answers, &left};
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_OK);
    rovei_node_set_tap(w->nodes[1].node, &tap);
    assert_int_equal(unsubscribe(w, 0, &d, 1, 2), ROVE_E_ACK_TIMEOUT);
    publish(w, 1, 1, 10);
    world_until(w, SOON, applied(w, 0, &d) == 10);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 10);
    assert_true(is_member(w, 1, 0));
    kit_free(k);
}

/* Whoever asks for nothing any more is not kept waiting by an answer. */
static void a_listener_leaves_while_it_is_asked(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    size_t it = 0;
    rovei_feed_info info;
    open_channel(w, 1);
    rovei_feed_order o = order_of(w, NULL, 1, 9);
    assert_ok(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o));
    assert_int_equal(unsubscribe(w, 0, NULL, 1, 9), ROVE_OK);
    world_until(w, SOON, answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 9));
    assert_int_equal(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 9)->err, ROVE_E_NOT_FOUND);
    assert_false(rovei_feeds_next(w->nodes[0].node, NULL, &it, &info));
    world_run(w, ROVE_SECOND);
    assert_false(is_member(w, 1, 0));
    rovei_node_check(w->nodes[0].node);
    kit_free(k);
}

/* A new token that the publisher refuses changes nothing: the membership goes on. */
static void a_refused_token_changes_nothing(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_OK);
    rovei_feed_order o = order_of(w, &d, 1, 2);
    o.token = (rove_span){"x", 1};
    assert_ok(rovei_feeds_subscribe(w->nodes[0].node, w->now, &o));
    rovei_feeds_ack(w->nodes[0].node, w->now, &w->nodes[1].entity, feed_of(w, 0, &d)->nonce, false,
                    ROVEI_REASON_UNAUTHORIZED);
    world_until(w, SOON, answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 2));
    assert_int_equal(answered(w, 0, ROVEI_NOTE_SUBSCRIBED, 2)->err, ROVE_E_CHANNEL_UNAUTHORIZED);
    assert_true(feed_of(w, 0, &d)->bound);
    assert_null(feed_of(w, 0, &d)->token);
    kit_free(k);
}

/* Ended of a membership whose Begin never came: it is not believed to go on. */
static void ended_before_it_began(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_int_equal(subscribe(w, 0, &d, 1, 1), ROVE_OK);
    inject_frame(w, 1, 0,
                 (rovei_channel_frame){.type = ROVEI_CHANNEL_ENDED,
                                       .incarnation = 4711,
                                       .reason = ROVEI_ENDED_REMOVED});
    world_until(w, SOON, !feed_of(w, 0, &d)->bound);
    world_until(w, SOON, feed_of(w, 0, &d)->bound);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_is_fed),
        cmocka_unit_test(large_events),
        cmocka_unit_test(its_own_node_publishes),
        cmocka_unit_test(one_membership_for_all),
        cmocka_unit_test(refused),
        cmocka_unit_test(answers_of_others),
        cmocka_unit_test(the_roster_follows),
        cmocka_unit_test(each_once_over_moves),
        cmocka_unit_test(each_once_over_moves_at_loss),
        cmocka_unit_test(an_abort_leaves_nothing),
        cmocka_unit_test(what_is_not_bound_is_told),
        cmocka_unit_test(the_ledger),
        cmocka_unit_test(images_of_feeds),
        cmocka_unit_test(begin_is_not_always_the_answer),
        cmocka_unit_test(unwanted_memberships_end),
        cmocka_unit_test(leaving_without_an_answer),
        cmocka_unit_test(a_listener_leaves_while_it_is_asked),
        cmocka_unit_test(a_refused_token_changes_nothing),
        cmocka_unit_test(ended_before_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
