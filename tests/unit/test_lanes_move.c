/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes over moves: what is held back, where senders look, and what travels. */
#include "lanes_kit.h"

#include <limits.h>
#include <stdio.h>

#define SOON (5 * ROVE_SECOND)

static void finish_move(kit *k, size_t from, const rovei_attempt_id *id)
{
    world_until(&k->w, 10 * ROVE_SECOND, world_ended(&k->w, from, id) != NULL);
    assert_int_equal(world_ended(&k->w, from, id)->outcome, ROVEI_OUTCOME_COMPLETED);
}

/* Traffic from three nodes over five moves: once each, in order, outputs too. */
static void traffic_over_moves(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s[3];
    unsigned sent = 0;
    uint64_t held_back = 0;
    for (size_t i = 0; i < 3; i++)
        s[i] = kit_open(k, i, &d);
    for (size_t move = 0; move < 5; move++) {
        size_t from = move % 3, to = (move + 1) % 3;
        rovei_attempt_id id = world_move(&k->w, from, to, &d, 0);
        while (!world_ended(&k->w, from, &id)) {
            sent++;
            for (size_t i = 0; i < 3; i++) {
                char prefix[2] = {(char)('a' + i), 0};
                kit_stream(k, i, s[i], prefix, sent, sent);
            }
            if (sent % 4 == 0)
                world_run(&k->w, ROVE_MILLISECOND);
        }
        finish_move(k, from, &id);
        rovei_move_info info = world_info(&k->w, from, &id);
        held_back += info.held_back;
        assert_int_equal(info.applied_frozen, 0);
        world_run(&k->w, 100 * ROVE_MILLISECOND);
    }
    assert_true(sent > 50);
    assert_true(held_back > 0);
    world_cell *c = world_cell_of(&k->w, 5 % 3, &d);
    for (size_t i = 0; i < 3; i++) {
        char prefix[2] = {(char)('a' + i), 0};
        world_until(&k->w, SOON, kit_count(k, i, s[i], ROVEI_NOTE_APPLIED) == sent);
        kit_assert_applied(k, i, s[i], 1, sent);
        kit_assert_log(c, prefix, 1, sent);
        assert_int_equal(kit_lost(k, i, s[i]), 0);
    }
    assert_int_equal(c->applied, 3 * sent);
    kit_free(k);
}

/* Cancelled before the commit: senders wait, then go on where they were. */
static void moving_is_no_outcome(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_stream(k, 1, s, "x", 1, 10);
    world_run(&k->w, ROVE_SECOND);
    k->w.nodes[2].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id id = world_move(&k->w, 0, 2, &d, 0);
    world_until(&k->w, SOON, k->w.nodes[2].held_count == 1);
    kit_stream(k, 1, s, "x", 11, 20);
    uint64_t late = kit_open(k, 1, &d); /* opens while it is frozen */
    kit_send(k, 1, late, "late");
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 10);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_APPLIED), 10);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_REFUSED), 0);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 0);
    assert_true(k->taps[0].seen[ROVEI_LANE_MOVING] >= 2);
    assert_true(k->taps[0].seen[ROVEI_LANE_MOVING] <= 30);
    assert_ok(rovei_node_cancel(k->w.nodes[0].node, k->w.now, &id, ROVE_E_CANCELLED));
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 20);
    world_until(&k->w, SOON, kit_count(k, 1, late, ROVEI_NOTE_APPLIED) == 1);
    rovei_move_info info = world_info(&k->w, 0, &id);
    assert_int_equal(info.held_back, 10);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 21);
    world_release(&k->w, 2);
    kit_free(k);
}

/* The redirect is lost in every way at once, or the old holder dies: the sender still finds it. */
static void redirects_may_be_lost(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        kit *k = kit_new(3);
        rove_entity d = world_spawn(&k->w, 0, 1);
        uint64_t s = kit_open(k, 1, &d);
        kit_stream(k, 1, s, "x", 1, 10);
        world_run(&k->w, ROVE_SECOND);
        for (size_t i = 0; i < 3; i++) {
            k->taps[i].swallow[ROVEI_LANE_RECORD] = UINT_MAX;
            k->taps[i].swallow[ROVEI_LANE_NOT_HERE] = dies ? UINT_MAX : 1;
            k->taps[i].swallow[ROVEI_LANE_POSITION] = 1;
        }
        rovei_attempt_id id = world_move(&k->w, 0, 2, &d, 0);
        finish_move(k, 0, &id);
        if (dies)
            world_stop(&k->w, 0);
        kit_stream(k, 1, s, "x", 11, 20);
        world_until(&k->w, 60 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 20);
        kit_assert_log(world_cell_of(&k->w, 2, &d), "x", 1, 20);
        assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).redirects, 1);
        kit_free(k);
    }
}

/* Outputs that were not confirmed are given again by the new host, the same. */
static void outputs_travel(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "first");
    world_run(&k->w, ROVE_SECOND);
    k->taps[0].swallow[ROVEI_LANE_OUTCOMES] = UINT_MAX;
    kit_stream(k, 1, s, "x", 2, 9);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_APPLIED), 1);
    rovei_attempt_id id = world_move(&k->w, 0, 2, &d, 0);
    finish_move(k, 0, &id);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 9);
    for (uint64_t i = 2; i <= 9; i++) {
        char text[8];
        snprintf(text, sizeof text, "%u", (unsigned)i);
        kit_assert_output(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, i), text);
    }
    assert_int_equal(world_cell_of(&k->w, 2, &d)->applied, 9);
    kit_free(k);
}

/* An idle sender is told where the daemon went, and an old acknowledgement from where it was is not
 * believed any more. */
static void old_holder_is_not_heard(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, ROVE_SECOND);
    kit_forget(k);
    kit_send(k, 1, s, "b");
    world_run(&k->w, ROVE_SECOND);
    rovei_attempt_id id = world_move(&k->w, 0, 2, &d, 0);
    finish_move(k, 0, &id);
    world_run(&k->w, ROVE_SECOND);
    assert_true(rovei_entity_equal(&kit_sender(k, 1, s)->route->holder, &k->w.nodes[2].entity));
    uint64_t refused = rovei_node_stats_get(k->w.nodes[1].node).frames_refused;
    kit_replay(k, 0, 1, ROVEI_LANE_OUTCOMES);
    kit_replay(k, 0, 1, ROVEI_LANE_RECORD); /* an equal or lower record changes nothing */
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).frames_refused, refused + 1);
    assert_true(rovei_entity_equal(&kit_sender(k, 1, s)->route->holder, &k->w.nodes[2].entity));
    assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).redirects, 1);
    kit_free(k);
}

/* Closed lanes travel closed, ages go on, and a late Open finds them. */
static void closed_lanes_and_ages_travel(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    for (size_t i = 0; i < 3; i++)
        k->w.nodes[i].t.env.limits.lane_expiry = 1000 * ROVE_SECOND;
    uint64_t closed = kit_open(k, 1, &d);
    kit_send(k, 1, closed, "a");
    world_run(&k->w, ROVE_SECOND);
    rovei_node_sender_close(k->w.nodes[1].node, k->w.now, closed, false);
    world_run(&k->w, 500 * ROVE_SECOND);
    rovei_attempt_id id = world_move(&k->w, 0, 2, &d, 0);
    finish_move(k, 0, &id);
    struct rovei_lanes *l = rovei_daemon_find(k->w.nodes[2].node, &d)->lanes;
    assert_int_equal(rovei_lanes_count(l), 1);
    const rovei_lane *lane = ROVEI_CONTAINER(l->all.next, rovei_lane, all);
    assert_int_equal(lane->state, ROVEI_LANE_IS_CLOSED);
    assert_true(lane->expires <= k->w.now.mono + 500 * ROVE_SECOND);
    assert_true(lane->expires >= k->w.now.mono + 490 * ROVE_SECOND);
    kit_replay(k, 1, 2, ROVEI_LANE_OPEN);
    kit_replay(k, 1, 2, ROVEI_LANE_EVENTS);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(world_cell_of(&k->w, 2, &d)->applied, 1);
    assert_int_equal(k->taps[2].seen[ROVEI_LANE_OPENED], 0);
    world_run(&k->w, 700 * ROVE_SECOND);
    assert_int_equal(rovei_lanes_count(l), 0);
    kit_free(k);
}

/* What travels is read back as it was written, and every cut or changed image is refused or read
 * whole, without a trace. */
static void images(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d), t = kit_open(k, 1, &d), u = kit_open(k, 0, &d);
    k->taps[0].swallow[ROVEI_LANE_OUTCOMES] = UINT_MAX;
    kit_stream(k, 1, s, "x", 1, 5);
    kit_stream(k, 1, t, "y", 1, 2);
    kit_stream(k, 0, u, "z", 1, 1);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    rove_buf *image = kit_save(k, 0, &d);
    rove_span all = rove_buf_span(image);
    rovei_node *n = k->w.nodes[0].node;
    struct rovei_lanes *l;
    for (size_t cut = 0; cut < all.size; cut++) {
        assert_ok(rovei_lanes_new(&l, n, rovei_daemon_find(n, &d)));
        assert_true(rovei_lanes_import(l, k->w.now, (rove_span){all.data, cut}) < 0);
        assert_int_equal(rovei_lanes_count(l), 0);
        rovei_lanes_free(l);
    }
    uint8_t *bytes = malloc(all.size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < all.size; i++) {
        memcpy(bytes, all.data, all.size);
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        assert_ok(rovei_lanes_new(&l, n, rovei_daemon_find(n, &d)));
        rove_err err = rovei_lanes_import(l, k->w.now, (rove_span){bytes, all.size});
        assert_int_equal(rovei_lanes_count(l), err ? 0 : 3);
        rovei_lanes_check_set(l);
        rovei_lanes_free(l);
    }
    memcpy(bytes, all.data, all.size);
    bytes[all.size] = 0;
    assert_ok(rovei_lanes_new(&l, n, rovei_daemon_find(n, &d)));
    assert_int_equal(rovei_lanes_import(l, k->w.now, (rove_span){bytes, all.size + 1}),
                     ROVE_E_TRAILING);
    assert_ok(rovei_lanes_import(l, k->w.now, all));
    rove_buf *again;
    assert_ok(rovei_lanes_export(l, k->w.now, &again));
    assert_span(rove_buf_span(again), all.data, all.size);
    rove_buf_unref(again);
    rovei_lanes_free(l);
    free(bytes);
    rove_buf_unref(image);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traffic_over_moves),
        cmocka_unit_test(moving_is_no_outcome),
        cmocka_unit_test(redirects_may_be_lost),
        cmocka_unit_test(outputs_travel),
        cmocka_unit_test(old_holder_is_not_heard),
        cmocka_unit_test(closed_lanes_and_ages_travel),
        cmocka_unit_test(images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
