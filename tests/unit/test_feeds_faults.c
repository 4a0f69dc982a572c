/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions when something goes wrong: publishers that begin anew, channels that go and come,
 * events that are not kept any more, and targets that die. Queue groups of listeners. */
#include <channel/inside.h>

#include "feeds_kit.h"

static rovei_feed_info info_of(world *w, size_t node, const rove_entity *d)
{
    rovei_feed_info info;
    assert_int_equal(subscriptions(w, node, d, &info), 1);
    return info;
}

/* The publisher comes back and knows nothing: its channel numbers from 1 under another
 * incarnation. */
static void the_publisher_begins_anew(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_ok(subscribe(w, 0, &d, 1, 1));
    assert_ok(subscribe(w, 0, NULL, 1, 2));
    publish(w, 1, 1, 10);
    world_until(w, SOON, applied(w, 0, &d) == 10);
    uint64_t before = info_of(w, 0, &d).incarnation;
    world_restart(w, 1);
    open_channel(w, 1);
    world_until(w, 60 * ROVE_SECOND, is_member(w, 1, 0));
    publish(w, 1, 11, 20);
    world_until(w, SOON, applied(w, 0, &d) == 20);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 20);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 20);
    assert_int_not_equal(info_of(w, 0, &d).incarnation, before);
    assert_int_equal(info_of(w, 0, &d).position, 10);
    assert_int_equal(info_of(w, 0, &d).lost, 0);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_FEED_GAP), 0);
    rovei_node_check(w->nodes[0].node);
    kit_free(k);
}

/* Each event to one member of a group, and in order there; numbers that are another's are no gap.
 */
static void a_group_shares(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    bool seen[201] = {0};
    open_channel(w, 2);
    for (size_t i = 0; i < 2; i++) {
        rovei_feed_order o = order_of(w, NULL, 2, 1);
        o.group = (rove_span){"g", 1};
        assert_ok(rovei_feeds_subscribe(w->nodes[i].node, w->now, &o));
        world_until(w, SOON, answered(w, i, ROVEI_NOTE_SUBSCRIBED, 1));
        assert_ok(answered(w, i, ROVEI_NOTE_SUBSCRIBED, 1)->err);
    }
    assert_int_equal(subscribe(w, 0, NULL, 2, 2), ROVE_E_CHANNEL_SEAT); /* a seat in one way only */
    publish(w, 2, 1, 100);
    world_until(w, SOON,
                world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) +
                        world_notes_of(w, 1, ROVEI_NOTE_PUBLISHED) ==
                    100);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED), 50);
    assert_ok(unsubscribe(w, 1, NULL, 2, 1));
    publish(w, 2, 101, 200);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 150);
    for (size_t i = 0; i < 2; i++) {
        uint64_t last = 0;
        for (size_t n = 0; n < w->nodes[i].note_count; n++) {
            const rovei_note *note = &w->nodes[i].notes[n];
            if (note->kind != ROVEI_NOTE_PUBLISHED)
                continue;
            assert_in_range(note->number, last + 1, 200);
            last = note->number;
            assert_false(seen[last]);
            seen[last] = true;
        }
        assert_int_equal(world_notes_of(w, i, ROVEI_NOTE_FEED_GAP), 0);
        assert_int_equal(rovei_node_stats_get(w->nodes[i].node).feed_lost, 0);
    }
    kit_free(k);
}

/* A daemon comes to a node whose listeners are in a queue group of its channel: nothing feeds it
 * there, which can be seen, and it misses nothing where it goes next, or when they have left. */
static void a_seat_that_is_taken(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_ok(subscribe(w, 0, &d, 2, 1));
    publish(w, 2, 1, 10);
    world_until(w, SOON, applied(w, 0, &d) == 10);
    rovei_feed_order o = order_of(w, NULL, 2, 5);
    o.group = (rove_span){"g", 1};
    assert_ok(rovei_feeds_subscribe(w->nodes[1].node, w->now, &o));
    world_until(w, SOON, answered(w, 1, ROVEI_NOTE_SUBSCRIBED, 5));
    for (unsigned round = 0; round < 2; round++) {
        unsigned sent = 10 + 10 * round;
        rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
        finish_move(w, 0, &id);
        assert_int_equal(world_info(w, 0, &id).unbound, 1);
        assert_int_equal(info_of(w, 1, &d).state, ROVEI_FEED_UNBOUND);
        assert_int_equal(info_of(w, 1, &d).err, ROVE_E_CHANNEL_SEAT);
        assert_int_equal(subscribe(w, 1, &d, 2, 2), ROVE_E_CHANNEL_SEAT);
        world_until(w, SOON, !is_member(w, 2, 0));
        publish(w, 2, sent + 1, sent + 10);
        world_run(w, 40 * ROVE_SECOND);
        assert_int_equal(world_notes_of(w, 1, ROVEI_NOTE_PUBLISHED), sent);
        assert_int_equal(applied(w, 1, &d), sent);
        rovei_node_check(w->nodes[1].node);
        if (round == 1)
            break;
        id = world_move(w, 1, 0, &d, 0);
        finish_move(w, 1, &id);
        assert_int_equal(world_info(w, 1, &id).unbound, 0);
        world_until(w, SOON, applied(w, 0, &d) == sent + 10);
    }
    assert_ok(unsubscribe(w, 1, NULL, 2, 5));
    world_until(w, SOON, info_of(w, 1, &d).state == ROVEI_FEED_BOUND);
    world_until(w, SOON, applied(w, 1, &d) == 30);
    publish(w, 2, 31, 40);
    world_until(w, SOON, applied(w, 1, &d) == 40);
    kit_assert_log(world_cell_of(w, 1, &d), "e", 1, 40);
    assert_int_equal(info_of(w, 1, &d).lost, 0);
    rovei_node_check(w->nodes[1].node);
    kit_free(k);
}

/* One that waits for a seat can be given up, ends with its daemon, and with the node. */
static void a_wait_for_a_seat_ends(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d[3];
    open_channel(w, 2);
    rovei_feed_order o = order_of(w, NULL, 2, 5);
    o.group = (rove_span){"g", 1};
    assert_ok(rovei_feeds_subscribe(w->nodes[1].node, w->now, &o));
    world_until(w, SOON, answered(w, 1, ROVEI_NOTE_SUBSCRIBED, 5));
    for (size_t i = 0; i < 3; i++) {
        d[i] = world_spawn(w, 0, i + 1);
        assert_ok(subscribe(w, 0, &d[i], 2, i + 1));
        rovei_attempt_id id = world_move(w, 0, 1, &d[i], 0);
        finish_move(w, 0, &id);
        assert_int_equal(info_of(w, 1, &d[i]).err, ROVE_E_CHANNEL_SEAT);
    }
    rovei_feed_info info;
    assert_ok(unsubscribe(w, 1, &d[0], 2, 7));
    assert_int_equal(subscriptions(w, 1, &d[0], &info), 0);
    assert_ok(rovei_node_stop(w->nodes[1].node, w->now, &d[1]));
    assert_true(is_member(w, 2, 1)); /* the listener */
    rovei_node_check(w->nodes[1].node);
    kit_free(k);
}

/* A channel that is removed ends its memberships; they are asked for again, more and more rarely,
 * until there is one. */
static void ended_and_asked_again(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 1);
    assert_ok(subscribe(w, 0, &d, 1, 1));
    uint64_t begun = w->now.mono;
    assert_ok(rovei_channels_remove(w->nodes[1].node, w->now, channel(), false));
    world_until(w, SOON, info_of(w, 0, &d).state == ROVEI_FEED_UNBOUND);
    assert_int_equal(info_of(w, 0, &d).err, ROVE_E_CHANNEL_UNKNOWN);
    /* After 1, 3, 7, 15, 31, 61, 91 seconds. */
    const unsigned at[] = {1, 3, 7, 15, 31, 61, 91};
    for (unsigned i = 0; i < 7; i++) {
        world_run(w, begun + at[i] * ROVE_SECOND - ROVE_SECOND / 2 - w->now.mono);
        assert_int_equal(rovei_channels_stats_get(w->nodes[1].node).unknown, i);
        world_run(w, ROVE_SECOND);
        assert_int_equal(rovei_channels_stats_get(w->nodes[1].node).unknown, i + 1);
    }
    open_channel(w, 1);
    world_until(w, 31 * ROVE_SECOND, info_of(w, 0, &d).state == ROVEI_FEED_BOUND);
    publish(w, 1, 1, 10);
    world_until(w, SOON, applied(w, 0, &d) == 10);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 10);
    /* The pauses begin anew. */
    begun = w->now.mono;
    assert_ok(rovei_channels_remove(w->nodes[1].node, w->now, channel(), false));
    world_run(w, 2 * ROVE_SECOND);
    assert_int_equal(rovei_channels_stats_get(w->nodes[1].node).unknown, 8);
    kit_free(k);
}

/* An end that cannot be said, since too much waits to be sent, is said later; not any more when it
 * is a member again. */
static void an_end_that_could_not_be_said(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    uint64_t *most = &w->nodes[1].t.env.limits.send_buffer, before = *most;
    open_channel(w, 1);
    assert_ok(subscribe(w, 0, &d, 1, 1));
    world_cut(w, 0, 1, true);
    publish(w, 1, 1, 10);
    rovei_node_turn(w->nodes[1].node, w->now);
    *most = 1;
    assert_ok(rovei_channels_remove(w->nodes[1].node, w->now, channel(), false));
    assert_int_equal(w->nodes[1].node->channels->ends_count, 1);
    world_cut(w, 0, 1, false);
    world_until(w, 5 * ROVE_SECOND, info_of(w, 0, &d).state == ROVEI_FEED_UNBOUND);
    assert_int_equal(info_of(w, 0, &d).err, ROVE_E_CHANNEL_UNKNOWN);
    assert_int_equal(applied(w, 0, &d), 10);
    *most = before;
    open_channel(w, 1);
    world_until(w, 5 * ROVE_SECOND, info_of(w, 0, &d).state == ROVEI_FEED_BOUND);

    world_cut(w, 0, 1, true);
    publish(w, 1, 11, 20);
    rovei_node_turn(w->nodes[1].node, w->now);
    *most = 1;
    assert_ok(rovei_channels_remove(w->nodes[1].node, w->now, channel(), false));
    assert_int_equal(w->nodes[1].node->channels->ends_count, 1);
    open_channel(w, 1);
    uint8_t bytes[64] = {ROVEI_CHANNEL_MEMBERSHIP};
    rovei_writer out = rovei_writer_of(bytes + 1, sizeof bytes - 1);
    rovei_membership_write(
        &out, &(rovei_membership){.type = ROVEI_MEMBERSHIP_SUBSCRIBE, .channel = channel()});
    rove_buf *message = rovei_buf_copy(NULL, bytes, 1 + rovei_writer_size(&out));
    rovei_node_inject(w->nodes[1].node, w->now, &w->nodes[0].entity, ROVEI_TAG_CHANNEL, message);
    rove_buf_unref(message);
    rovei_node_turn(w->nodes[1].node, w->now);
    assert_true(is_member(w, 1, 0));
    assert_int_equal(w->nodes[1].node->channels->ends_count, 0);
    kit_free(k);
}

/* A listener hears that it ended, and why. */
static void a_listener_hears_of_the_end(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    open_channel(w, 1);
    assert_ok(subscribe(w, 0, NULL, 1, 5));
    assert_ok(rovei_channels_remove(w->nodes[1].node, w->now, channel(), false));
    world_until(w, SOON, answered(w, 0, ROVEI_NOTE_FEED_ENDED, 5));
    assert_int_equal(answered(w, 0, ROVEI_NOTE_FEED_ENDED, 5)->err, ROVE_E_CHANNEL_UNKNOWN);
    open_channel(w, 1);
    world_until(w, 5 * ROVE_SECOND, is_member(w, 1, 0));
    publish(w, 1, 1, 3);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 3);
    kit_free(k);
}

/* As publish, whether or not somebody loses events by it. */
static void publish_all(world *w, size_t node, unsigned first, unsigned last)
{
    rove_span event = {"event", 5};
    rove_buf *owner = rovei_buf_copy(NULL, event.data, event.size);
    event = rove_buf_span(owner);
    rovei_publish p = {.channel = channel(), .events = &event, .count = 1, .owner = owner};
    for (unsigned i = first; i <= last; i++) {
        rove_err err = rovei_channels_publish(w->nodes[node].node, w->now, &p, NULL);
        assert_true(err == ROVE_OK || err == ROVE_E_NOT_DELIVERED);
    }
    rove_buf_unref(owner);
}

/* What the publisher has not any more is counted, exactly, and said. */
static void what_is_gone_is_counted(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    world *w = &k->w;
    w->nodes[1].t.env.limits.channel_history = 16;
    open_channel(w, 1);
    assert_ok(subscribe(w, 0, NULL, 1, 5));
    publish(w, 1, 1, 10);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 10);
    rovei_feeds_hold(w->nodes[0].node, w->now, 5, true);
    publish_all(w, 1, 11, 100);
    world_run(w, ROVE_SECOND);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED), 10);
    rovei_feeds_hold(w->nodes[0].node, w->now, 5, false);
    rovei_node_turn(w->nodes[0].node, w->now);
    world_until(w, SOON, world_notes_of(w, 0, ROVEI_NOTE_PUBLISHED) == 26);
    const rovei_note *gap = answered(w, 0, ROVEI_NOTE_FEED_GAP, 5);
    assert_non_null(gap);
    assert_int_equal(gap->number, 11);
    assert_int_equal(gap->value, 84);
    assert_int_equal(world_notes_of(w, 0, ROVEI_NOTE_FEED_GAP), 1);
    assert_int_equal(info_of(w, 0, NULL).lost, 74);
    assert_int_equal(info_of(w, 0, NULL).position, 100);
    assert_int_equal(rovei_node_stats_get(w->nodes[0].node).feed_lost, 74);
    kit_free(k);
}

/* The target has subscribed, and dies: the source goes on where it was, and its membership has
 * stayed. */
static void the_target_dies(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world *w = &k->w;
    rove_entity d = world_spawn(w, 0, 1);
    open_channel(w, 2);
    assert_ok(subscribe(w, 0, &d, 2, 1));
    never_prepared(w, 1);
    rovei_attempt_id id = world_move(w, 0, 1, &d, 0);
    publish(w, 2, 1, 10);
    world_until(w, SOON, is_member(w, 2, 1));
    publish(w, 2, 11, 20);
    world_stop(w, 1);
    publish(w, 2, 21, 30);
    world_until(w, 120 * ROVE_SECOND, world_ended(w, 0, &id));
    assert_int_not_equal(world_ended(w, 0, &id)->outcome, ROVEI_OUTCOME_COMPLETED);
    world_until(w, SOON, applied(w, 0, &d) == 30);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 30);
    assert_true(is_member(w, 2, 0));
    world_until(w, 200 * ROVE_SECOND, !is_member(w, 2, 1));
    publish(w, 2, 31, 40);
    world_until(w, SOON, applied(w, 0, &d) == 40);
    kit_assert_log(world_cell_of(w, 0, &d), "e", 1, 40);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_publisher_begins_anew),
        cmocka_unit_test(a_group_shares),
        cmocka_unit_test(a_seat_that_is_taken),
        cmocka_unit_test(a_wait_for_a_seat_ends),
        cmocka_unit_test(ended_and_asked_again),
        cmocka_unit_test(an_end_that_could_not_be_said),
        cmocka_unit_test(a_listener_hears_of_the_end),
        cmocka_unit_test(what_is_gone_is_counted),
        cmocka_unit_test(the_target_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
