/* SPDX-License-Identifier: Apache-2.0
 *
 * Old words at any time, and the rules that close the counterexamples of the model. */
#include "moves_world.h"

static void order_waits_for_closed(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[0].swallow = ROVEI_MOVE_CLOSED;
    w.nodes[0].swallow_count = 4;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_until(&w, WORLD_LONG, world_serving(&w, &d) == 1);
    rovei_attempt_id b = world_move(&w, 1, 2, &d, 0);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(w.nodes[1].seen[ROVEI_MOVE_OFFER], 0);
    assert_ok(world_deliver(&w, 1, &d, "served meanwhile"));
    world_until(&w, WORLD_LONG, world_completed(&w, 1, &b));
    world_assert_moved(&w, 1, 2, &d);

    /* It never comes: the order ends by its own time, the daemon is served all along. */
    w.nodes[2].swallow = ROVEI_MOVE_CLOSED;
    w.nodes[2].swallow_count = 1000;
    a = world_move(&w, 2, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    b = world_move(&w, 1, 0, &d, 0);
    world_until(&w, WORLD_LONG, world_ended(&w, 1, &b));
    assert_int_equal(world_ended(&w, 1, &b)->err, ROVE_E_MOVE_NOT_CLOSED);
    b = world_move(&w, 1, 0, &d, 0);
    world_run(&w, ROVE_SECOND);
    assert_ok(rovei_node_cancel(w.nodes[1].node, w.now, &b, ROVE_E_TIMED_OUT));
    assert_int_equal(world_info(&w, 1, &b).reason, ROVE_E_MOVE_NOT_CLOSED);
    assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_SERVING);
    world_fini(&w);
}

/* The counterexample of an Active that is lost: the second move waits, so no copy is sent again
 * beside one that has gone on. */
static void no_copy_is_sent_again_beside_a_later_one(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].swallow = ROVEI_MOVE_ACTIVE;
    w.nodes[1].swallow_count = 1000;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG,
                world_serving(&w, &d) == 1 && world_daemon(&w, 1, &d) &&
                    world_role_of(&w, 1, &d) == ROVEI_ROLE_SERVING);
    rovei_attempt_id b = world_move(&w, 1, 2, &d, 0);
    world_run(&w, 5 * ROVE_SECOND);
    assert_null(world_daemon(&w, 2, &d));
    assert_null(world_ended(&w, 1, &b));
    w.nodes[1].swallow_count = 0;
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    assert_null(world_daemon(&w, 2, &d));
    world_fini(&w);
}

/* Everything of a finished attempt comes again to a target that has forgotten it. */
static void old_attempt_comes_again(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    assert_ok(world_deliver(&w, 0, &d, "one"));
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    rove_buf *old[32];
    for (size_t i = 0; i < 32; i++)
        old[i] = rove_buf_ref(w.nodes[0].kept[i]);
    a = world_move(&w, 1, 0, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 1, &a));
    world_assert_moved(&w, 1, 0, &d);
    world_cut(&w, 0, 1, true); /* nobody tells it of the later record */
    world_restart(&w, 1);
    world_run(&w, 2 * ROVE_SECOND);
    static const uint8_t order[] = {ROVEI_MOVE_COMMIT, ROVEI_MOVE_OFFER,     ROVEI_MOVE_COMMIT,
                                    ROVEI_MOVE_STATE,  ROVEI_MOVE_POSITIONS, ROVEI_MOVE_ENVELOPE,
                                    ROVEI_MOVE_SEALED, ROVEI_MOVE_COMMIT,    ROVEI_MOVE_COMMIT};
    for (size_t i = 0; i < sizeof order; i++) {
        assert_non_null(old[order[i]]);
        rovei_node_inject(w.nodes[1].node, w.now, &w.nodes[0].entity, ROVEI_TAG_MOVE,
                          old[order[i]]);
        world_run(&w, 10 * ROVE_MILLISECOND);
        assert_int_equal(world_serving(&w, &d), 1);
    }
    /* It got as far as prepared, under another ticket; the holder proves that it is over. */
    assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_PREPARED);
    world_cut(&w, 0, 1, false);
    world_until(&w, WORLD_LONG, !world_daemon(&w, 1, &d));
    assert_int_equal(world_serving(&w, &d), 1);
    for (size_t i = 0; i < 32; i++)
        rove_buf_unref(old[i]);
    world_fini(&w);
}

static void old_prepared_commits_nothing(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED));
    world_cut(&w, 0, 1, true);
    world_release(&w, 1);
    world_run(&w, ROVE_SECOND);
    world_cut(&w, 0, 1, false);
    world_run(&w, 20 * ROVE_SECOND);
    assert_non_null(w.nodes[1].kept[ROVEI_MOVE_PREPARED]);
    rovei_attempt_id b = world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    world_replay(&w, 1, 0, ROVEI_MOVE_PREPARED);
    world_run(&w, 100 * ROVE_MILLISECOND);
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_FROZEN);
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &b));
    world_fini(&w);
}

static void refused_after_the_commit(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move_until(&w, &d, 1, ROVEI_EFFECT_ACTIVATE);
    w.nodes[1].place = ROVE_E_TARGET_NO_FACTORY;
    world_restart(&w, 1);
    world_run(&w, 100 * ROVE_SECOND);
    assert_null(world_ended(&w, 0, &a));
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_COMMITTED);
    assert_non_null(world_daemon(&w, 0, &d)->note);
    assert_int_equal(world_info(&w, 0, &a).reason, ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    w.nodes[1].place = ROVE_OK; /* the operator has loaded the kind */
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    world_fini(&w);
}

static void shutdown_tells_the_other(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    rovei_node_shutdown(w.nodes[0].node, w.now);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_SHUTTING_DOWN);
    assert_null(world_daemon(&w, 1, &d));
    world_release(&w, 1);
    world_fini(&w);

    world_init(&w, 2);
    d = world_spawn(&w, 0, 1);
    a = world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    rovei_node_shutdown(w.nodes[1].node, w.now);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(world_ended(&w, 0, &a)->outcome, ROVEI_OUTCOME_FAILED);
    assert_ok(world_deliver(&w, 0, &d, "serves"));
    world_fini(&w);
}

static void strangers_are_not_heard(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    (void)world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    uint64_t before = rovei_node_stats_get(w.nodes[0].node).frames_refused;
    rove_buf *accept = w.nodes[1].kept[ROVEI_MOVE_ACCEPT];
    rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[2].entity, ROVEI_TAG_MOVE, accept);
    world_run(&w, ROVE_MILLISECOND);
    assert_int_equal(rovei_node_stats_get(w.nodes[0].node).frames_refused, before + 1);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_waits_for_closed),
        cmocka_unit_test(no_copy_is_sent_again_beside_a_later_one),
        cmocka_unit_test(old_attempt_comes_again),
        cmocka_unit_test(old_prepared_commits_nothing),
        cmocka_unit_test(refused_after_the_commit),
        cmocka_unit_test(shutdown_tells_the_other),
        cmocka_unit_test(strangers_are_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
