/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes over time: states that go back, events that are given up, gaps, and holders that stop or
 * vanish. */
#include "lanes_kit.h"

#include <limits.h>
#include <stdio.h>

#define SOON (5 * ROVE_SECOND)

/* The state goes back to before the last ten events: they are reported lost, in the lane that sends
 * and in the one that is idle, and both lanes go on. */
static void losses_are_told(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t busy = kit_open(k, 1, &d), idle = kit_open(k, 1, &d), near = kit_open(k, 0, &d);
    kit_stream(k, 1, busy, "b", 1, 20);
    kit_stream(k, 1, idle, "i", 1, 5);
    world_run(&k->w, ROVE_SECOND);
    rove_buf *image = kit_save(k, 0, &d);
    kit_stream(k, 1, busy, "b", 21, 30);
    kit_stream(k, 1, idle, "i", 6, 8);
    kit_stream(k, 0, near, "n", 1, 4);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, busy, ROVEI_NOTE_APPLIED), 30);
    kit_go_back(k, 0, &d, image);
    kit_stream(k, 1, busy, "b", 31, 40);
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 1, busy), 10);
    assert_int_equal(kit_lost(k, 1, idle), 3);
    const rovei_note *lost = kit_note(k, 1, busy, ROVEI_NOTE_LOST, 21);
    assert_int_equal(lost->value, 30);
    kit_assert_applied(k, 1, busy, 31, 40);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).events_lost, 13);
    /* The local one had heard nothing yet; its lane is not known to the older state. */
    kit_send(k, 0, near, "n");
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 0, near), 4);
    kit_send(k, 1, idle, "i");
    world_run(&k->w, ROVE_SECOND);
    assert_non_null(kit_note(k, 1, idle, ROVEI_NOTE_APPLIED, 9));
    assert_int_equal(kit_lane(k, 0, 1, busy)->position, 40);
    kit_free(k);
}

/* Nothing of the lane is in the new state: all of it is lost, what was under way is unknown, and
 * the handle goes on. */
static void lane_unknown_to_a_new_state(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_stream(k, 1, s, "x", 1, 10);
    world_run(&k->w, ROVE_SECOND);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_stream(k, 1, s, "x", 11, 13);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    k->w.nodes[0].hold = 0;
    kit_go_back(k, 0, &d, NULL);
    kit_stream(k, 1, s, "x", 14, 16);
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 1, s), 10);
    uint64_t unknown = kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN);
    assert_true(unknown >= 3 && unknown <= 6);
    kit_send(k, 1, s, "y");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 17) != NULL);
    /* Old lanes are asked about as well. */
    rove_buf *image = kit_save(k, 0, &d);
    (void)image;
    rovei_lane_free(kit_lane(k, 0, 1, s));
    kit_send(k, 1, s, "z"); /* NoLane of the same state: nothing is lost yet */
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 1, s), 10);
    assert_int_equal(kit_sender(k, 1, s)->old_count, 1);
    kit_send(k, 1, s, "a");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 19) != NULL);
    rove_buf_unref(image);
    kit_go_back(k, 0, &d, NULL);
    kit_send(k, 1, s, "b");
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 1, s), 12);
    assert_int_equal(kit_sender(k, 1, s)->old_count, 0);
    kit_free(k);
}

/* The question about an older lane is asked again when its answer was none, or was lost, also while
 * the present lane makes progress. */
static void older_lanes_are_asked_again(void **state)
{
    (void)state;
    static const rovei_lane_type answers[] = {ROVEI_LANE_MOVING, ROVEI_LANE_NOT_HERE, 0};
    for (size_t i = 0; i < 3; i++) {
        kit *k = kit_new(2);
        rove_entity d = world_spawn(&k->w, 0, 1);
        uint64_t s = kit_open(k, 1, &d);
        kit_stream(k, 1, s, "x", 1, 10);
        world_run(&k->w, ROVE_SECOND);
        uint64_t old = kit_sender(k, 1, s)->lane;
        rovei_lane_free(kit_lane(k, 0, 1, s));
        kit_send(k, 1, s, "y"); /* NoLane */
        world_run(&k->w, 2 * ROVE_SECOND);
        kit_send(k, 1, s, "z");
        world_run(&k->w, 2 * ROVE_SECOND);
        assert_int_equal(kit_sender(k, 1, s)->old_count, 1);
        kit_go_back(k, 0, &d, kit_save(k, 0, &d));
        /* What answers the question about the older lane is lost. */
        k->taps[0].swallow[ROVEI_LANE_NO_LANE] = answers[i] ? UINT_MAX : 1;
        kit_send(k, 1, s, "a");
        world_run(&k->w, 200 * ROVE_MILLISECOND);
        rovei_sender *sender = kit_sender(k, 1, s);
        assert_int_equal(sender->old_count, 1);
        assert_true(sender->old[0].checking && sender->old[0].asked);
        if (answers[i]) {
            rovei_lane_frame f;
            rovei_lane_head(world_daemon(&k->w, 0, &d)->lanes, &f, answers[i], old);
            kit_inject(k, 0, 1, &f);
            world_run(&k->w, ROVE_MILLISECOND);
            assert_false(sender->old[0].asked);
        }
        k->taps[0].swallow[ROVEI_LANE_NO_LANE] =
            answers[i] ? 0 : k->taps[0].swallow[ROVEI_LANE_NO_LANE];
        for (int n = 0; n < 100; n++) {
            kit_send(k, 1, s, "b");
            world_run(&k->w, 50 * ROVE_MILLISECOND);
        }
        assert_int_equal(kit_sender(k, 1, s)->old_count, 0);
        assert_int_equal(kit_lost(k, 1, s), 10);
        kit_free(k);
    }
}

/* Frames of the state before: acknowledgements are not believed, events not applied, gap statements
 * not obeyed. */
static void frames_of_an_older_state(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, ROVE_SECOND);
    rove_buf *image = kit_save(k, 0, &d);
    kit_forget(k);
    k->taps[0].swallow[ROVEI_LANE_OUTCOMES] = UINT_MAX;
    kit_send(k, 1, s, "b");
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    k->taps[0].swallow[ROVEI_LANE_OUTCOMES] = 0;
    rovei_sinc before = rovei_daemon_find(k->w.nodes[0].node, &d)->sinc;
    kit_go_back(k, 0, &d, image);
    uint64_t applied = world_cell_of(&k->w, 0, &d)->applied;
    kit_replay(k, 1, 0, ROVEI_LANE_EVENTS); /* names the state before */
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    /* Its answer was a position of the new state, and so the event came again under it. */
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 2) != NULL);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, applied + 1);
    assert_int_equal(kit_lost(k, 1, s), 0);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_send(k, 1, s, "c");
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    kit_replay(k, 0, 1, ROVEI_LANE_OUTCOMES); /* an acknowledgement of the state before */
    rovei_lane_frame f;
    rovei_lane_head(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes, &f, ROVEI_LANE_GAP,
                    kit_sender(k, 1, s)->lane);
    f.sinc = before;
    f.upto = 1000;
    kit_inject(k, 1, 0, &f);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_lane(k, 0, 1, s)->gap, 0);
    assert_null(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 3));
    world_release(&k->w, 0);
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 3) != NULL);
    kit_free(k);
}

/* ---- giving up ---- */

static void given_up_events_never_come(void **state)
{
    (void)state;
    for (int lost_gaps = 0; lost_gaps < 3; lost_gaps++) {
        kit *k = kit_new(2);
        rove_entity d = world_spawn(&k->w, 0, 1);
        k->w.nodes[1].t.env.limits.send_giveup = 5 * ROVE_SECOND;
        uint64_t s = kit_open(k, 1, &d);
        kit_stream(k, 1, s, "x", 1, 3);
        world_run(&k->w, ROVE_SECOND);
        kit_forget(k);
        k->taps[1].swallow[ROVEI_LANE_EVENTS] = 1;
        k->taps[1].swallow[ROVEI_LANE_ASK_POSITION] = UINT_MAX;
        k->taps[1].swallow[ROVEI_LANE_GAP] = (unsigned)lost_gaps;
        kit_stream(k, 1, s, "x", 4, 5);
        world_run(&k->w, 4 * ROVE_SECOND);
        kit_stream(k, 1, s, "x", 6, 7); /* comes to the host, beyond its next */
        world_run(&k->w, 3 * ROVE_SECOND);
        k->taps[1].swallow[ROVEI_LANE_ASK_POSITION] = 0;
        world_until(&k->w, 20 * ROVE_SECOND, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 7) != NULL);
        size_t unknown = kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN);
        assert_true(k->taps[1].seen[ROVEI_LANE_GAP] > (unsigned)lost_gaps || !unknown);
        /* A late copy of what was given up is not applied after a later one. */
        uint64_t applied = world_cell_of(&k->w, 0, &d)->applied;
        kit_replay(k, 1, 0, ROVEI_LANE_EVENTS);
        world_run(&k->w, ROVE_SECOND);
        assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, applied);
        assert_int_equal(applied + unknown, 7);
        kit_free(k);
    }
}

static void cut_off_sender_gives_up(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[1].t.env.limits.send_giveup = 20 * ROVE_SECOND;
    uint64_t s = kit_open(k, 1, &d);
    kit_stream(k, 1, s, "x", 1, 3);
    world_run(&k->w, ROVE_SECOND);
    world_cut(&k->w, 0, 1, true);
    kit_stream(k, 1, s, "x", 4, 6);
    world_run(&k->w, 15 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN), 0);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 1);
    kit_stream(k, 1, s, "x", 7, 9);
    world_run(&k->w, 10 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN), 3);
    world_cut(&k->w, 0, 1, false);
    world_until(&k->w, 60 * ROVE_SECOND, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 9) != NULL);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_REACHED), 1);
    kit_assert_applied(k, 1, s, 7, 9);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 6);
    kit_free(k);
}

/* An event at the cell when its sender gives it up: applied once, before what follows. */
static void gap_over_an_event_at_the_cell(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[1].t.env.limits.send_giveup = 3 * ROVE_SECOND;
    uint64_t s = kit_open(k, 1, &d);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_stream(k, 1, s, "x", 1, 100); /* 64 of them at the cell, the rest waits */
    world_run(&k->w, 2 * ROVE_SECOND);
    kit_stream(k, 1, s, "x", 101, 110);
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN), 100);
    world_release(&k->w, 0);
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 110) != NULL);
    kit_assert_applied(k, 1, s, 101, 110);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 74);
    assert_int_equal(kit_lane(k, 0, 1, s)->position, 110);
    kit_free(k);
}

/* ---- holders ---- */

static void stopped_daemon(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d), other = kit_open(k, 1, &d);
    kit_send(k, 1, other, "o");
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_stream(k, 1, s, "x", 1, 5);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    assert_ok(rovei_node_stop(k->w.nodes[0].node, k->w.now, &d));
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN), 5);
    /* What never left this node was certainly not applied. */
    kit_send(k, 1, s, "y");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_REFUSED, 6) != NULL);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_REFUSED, 6)->err, ROVE_E_STOPPED);
    rovei_node_sender_close(k->w.nodes[1].node, k->w.now, s, false);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_SENDER_ENDED) == 1);
    kit_free(k);
}

/* Nobody knows the daemon yet: the sender says so, goes on looking, and finds it. */
static void unknown_daemon_is_found_later(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    uint8_t seed[32];
    uint64_t random = 5;
    random_bytes(&random, seed, sizeof seed);
    rovei_keypair *key;
    assert_ok(rovei_keypair_from_seed(&key, &k->w.nodes[1].t.env, seed));
    rove_entity d = *rovei_keypair_entity(key);
    rovei_keypair_unref(key);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, 10 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 1);
    assert_true(k->taps[1].asked <= 2 * 5); /* two peers, at 0, 1, 3, 7 s */
    rove_entity made = world_spawn(&k->w, 0, 5);
    assert_true(rovei_entity_equal(&made, &d));
    world_until(&k->w, 60 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_REACHED), 1);
    kit_free(k);
}

/* The holder comes back knowing nothing: never silence, never a storm. */
static void holder_that_forgot(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, ROVE_SECOND);
    world_stop(&k->w, 0);
    world_start(&k->w, 0);
    kit_tap_on(k, 0);
    kit_send(k, 1, s, "b");
    world_run(&k->w, 5 * ROVE_SECOND);
    kit_forget(k);
    world_run(&k->w, 60 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 1);
    assert_true(k->taps[1].seen[ROVEI_LANE_ASK_POSITION] >= 5);
    assert_true(k->taps[1].seen[ROVEI_LANE_ASK_POSITION] <= 30);
    assert_true(k->taps[1].asked <= 10);
    kit_free(k);
}

static void sender_restarts(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_stream(k, 1, s, "x", 1, 50);
    world_run(&k->w, ROVE_SECOND);
    world_stop(&k->w, 1);
    world_start(&k->w, 1);
    kit_tap_on(k, 1);
    s = kit_open(k, 1, &d);
    kit_stream(k, 1, s, "y", 1, 50);
    world_until(&k->w, 10 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 50);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 100);
    assert_int_equal(rovei_lanes_count(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes), 2);
    kit_free(k);
}

/* ---- memory ---- */

/* Whatever allocation fails on either side, everything is applied once and told once. */
static void memory_runs_out(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d), number;
    kit_send(k, 1, s, "x0");
    world_run(&k->w, ROVE_SECOND);
    unsigned sent = 0;
    char text[16];
    for (unsigned i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "x%u", sent + 1);
        rove_buf *payload = rovei_buf_copy(NULL, text, strlen(text));
        test_alloc *t = &k->w.nodes[1].t.alloc;
        t->calls = 0;
        t->fail_at = i % 8;
        rove_err err = rovei_node_sender_send(k->w.nodes[1].node, k->w.now, s, payload, &number);
        assert_true(err == ROVE_OK || err == ROVE_E_NOMEM);
        sent += err == ROVE_OK;
        rovei_node_turn(k->w.nodes[1].node, k->w.now);
        t->fail_at = SIZE_MAX;
        rove_buf_unref(payload);
        world_run(&k->w, 50 * ROVE_MILLISECOND);
    }
    world_until(&k->w, 60 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == sent + 1);
    kit_assert_log(world_cell_of(&k->w, 0, &d), "x", 0, sent);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_told),
        cmocka_unit_test(lane_unknown_to_a_new_state),
        cmocka_unit_test(older_lanes_are_asked_again),
        cmocka_unit_test(frames_of_an_older_state),
        cmocka_unit_test(given_up_events_never_come),
        cmocka_unit_test(cut_off_sender_gives_up),
        cmocka_unit_test(gap_over_an_event_at_the_cell),
        cmocka_unit_test(stopped_daemon),
        cmocka_unit_test(unknown_daemon_is_found_later),
        cmocka_unit_test(holder_that_forgot),
        cmocka_unit_test(sender_restarts),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
