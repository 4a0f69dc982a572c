/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves when messages are lost, nodes crash and come back as another incarnation that knows
 * nothing, and the two sides are cut off. */
#include "moves_world.h"

/* ---- lost messages ---- */

static void every_message_may_be_lost(void **state)
{
    (void)state;
    for (uint8_t type = ROVEI_MOVE_OFFER; type <= ROVEI_MOVE_PROGRESS; type++)
        for (unsigned times = 1; times <= 3; times += 2) {
            world w;
            world_init(&w, 2);
            rove_entity d = world_spawn(&w, 0, 1);
            for (size_t i = 0; i < 2; i++) {
                w.nodes[i].swallow = type;
                w.nodes[i].swallow_count = times;
            }
            rovei_attempt_id a = world_divert_some(&w, &d, 3);
            world_release(&w, 0);
            world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
            world_assert_moved(&w, 0, 1, &d);
            world_assert_diverted_once(&w, 1, &d, 3);
            world_assert_results(&w.nodes[0].cells[0], 3);
            assert_int_equal(world_daemon(&w, 1, &d)->sinc.number, 1);
            world_fini(&w);
        }
}

static void lost_abort_and_refuse(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[0].swallow = ROVEI_MOVE_ABORT;
    w.nodes[0].swallow_count = 2;
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 1);
    assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED));
    world_release(&w, 1); /* prepared, and asks until it hears Abort */
    world_until(&w, WORLD_LONG, !world_daemon(&w, 1, &d));
    assert_int_equal(world_serving(&w, &d), 1);

    w.nodes[1].swallow = ROVEI_MOVE_REFUSE;
    w.nodes[1].swallow_count = 2;
    w.nodes[1].restore = ROVE_E_RESTORE_FAILED;
    a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_ended(&w, 0, &a));
    assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_RESTORE_FAILED);
    world_fini(&w);
}

/* ---- crashes and cuts ---- */

static void target_restarts_before_the_commit(void **state)
{
    (void)state;
    static const rovei_effect_kind places[] = {ROVEI_EFFECT_ASK_PLACE, ROVEI_EFFECT_RESTORE};
    for (size_t i = 0; i < 2; i++) {
        world w;
        world_init(&w, 2);
        rove_entity d = world_spawn(&w, 0, 1);
        rovei_attempt_id a = world_move_until(&w, &d, 1, places[i]);
        world_restart(&w, 1);
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        world_assert_moved(&w, 0, 1, &d);
        assert_int_equal(world_daemon(&w, 1, &d)->sinc.number, 1);
        world_fini(&w);
    }
}

static void target_never_returns_before_the_commit(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move_until(&w, &d, 1, ROVEI_EFFECT_RESTORE);
    uint64_t begun = w.now.mono;
    world_stop(&w, 1);
    world_until(&w, WORLD_LONG, world_ended(&w, 0, &a));
    assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_PEER_LOST);
    assert_true(w.now.mono - begun >= w.nodes[0].t.env.limits.fail_after - ROVE_SECOND);
    assert_ok(world_deliver(&w, 0, &d, "two"));
    world_fini(&w);
}

static void target_restarts_after_the_commit(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move_until(&w, &d, 1, ROVEI_EFFECT_ACTIVATE);
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_COMMITTED);
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    /* The source cannot know whether the first preparation had served. */
    assert_int_equal(world_daemon(&w, 1, &d)->sinc.number, 2);
    assert_int_equal(world_cell_of(&w, 1, &d)->applied, 1);
    world_fini(&w);
}

static void target_has_served_and_restarts(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].swallow = ROVEI_MOVE_ACTIVE;
    w.nodes[1].swallow_count = 1000;
    rovei_attempt_id a = world_divert_some(&w, &d, 2);
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_serving(&w, &d) == 1);
    assert_ok(world_deliver(&w, 1, &d, "lost in the crash"));
    w.nodes[1].swallow_count = 0;
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    assert_int_equal(world_daemon(&w, 1, &d)->sinc.number, 2);
    world_assert_diverted_once(&w, 1, &d, 2);
    world_assert_results(&w.nodes[0].cells[0], 2);
    world_fini(&w);
}

/* It was active, the results were on their way: nobody will know them. */
static void target_restarts_before_the_results(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].swallow = ROVEI_MOVE_RESULTS;
    w.nodes[1].swallow_count = 1000;
    rovei_attempt_id a = world_divert_some(&w, &d, 2);
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_COMMITTED);
    w.nodes[0].swallow = ROVEI_MOVE_EVENTS; /* also the question at the new session */
    w.nodes[0].swallow_count = 2;
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, !world_daemon(&w, 0, &d));
    const world_cell *c = &w.nodes[0].cells[0];
    assert_int_equal(c->state, CELL_FORGOTTEN);
    for (size_t i = 0; i < 2; i++) {
        assert_true(c->diverted[i].has_result);
        assert_int_equal(c->diverted[i].err, ROVE_E_UNKNOWN_OUTCOME);
    }
    world_fini(&w);
}

static void source_restarts_before_the_commit(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    /* Receiving only: the target discards by its time. */
    w.nodes[0].swallow = ROVEI_MOVE_SEALED;
    w.nodes[0].swallow_count = 1000;
    (void)world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_daemon(&w, 1, &d));
    world_run(&w, ROVE_SECOND);
    assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_RECEIVING);
    world_restart(&w, 0);
    world_run(&w, 20 * ROVE_SECOND);
    assert_null(world_daemon(&w, 1, &d));
    world_fini(&w);
}

/* Nobody serves and the last copy stays: the source knows nothing, so it proves nothing. */
static void source_restarts_and_target_is_prepared(void **state)
{
    (void)state;
    static const rovei_effect_kind places[] = {ROVEI_EFFECT_COMMIT, ROVEI_EFFECT_FORGET};
    for (size_t i = 0; i < 2; i++) {
        world w;
        world_init(&w, 2);
        rove_entity d = world_spawn(&w, 0, 1);
        w.nodes[0].swallow = ROVEI_MOVE_COMMIT; /* the second time: committed, nobody hears it */
        w.nodes[0].swallow_count = 1000;
        w.nodes[0].hold = 1u << places[i];
        (void)world_move(&w, 0, 1, &d, 0);
        world_until(&w, WORLD_LONG,
                    world_daemon(&w, 1, &d) && world_role_of(&w, 1, &d) == ROVEI_ROLE_PREPARED);
        world_run(&w, ROVE_SECOND);
        world_restart(&w, 0);
        world_run(&w, 100 * ROVE_SECOND);
        assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_PREPARED);
        assert_int_equal(world_serving(&w, &d), 0);
        assert_true(w.nodes[0].seen[ROVEI_MOVE_UNKNOWN] > 0);
        assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_ABORT], 0);
        assert_non_null(world_daemon(&w, 1, &d)->note);
        world_fini(&w);
    }
}

static void source_restarts_and_target_is_active(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].swallow = ROVEI_MOVE_ACTIVE;
    w.nodes[1].swallow_count = 1000;
    (void)world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG,
                world_serving(&w, &d) == 1 && world_daemon(&w, 1, &d) &&
                    world_role_of(&w, 1, &d) == ROVEI_ROLE_SERVING);
    world_restart(&w, 0);
    w.nodes[1].swallow_count = 0;
    world_until(&w, WORLD_LONG, !world_daemon(&w, 1, &d)->target); /* Closed */
    assert_int_equal(world_serving(&w, &d), 1);
    world_fini(&w);
}

static void cut_off(void **state)
{
    (void)state;
    static const struct {
        size_t node;
        rovei_effect_kind held;
        bool committed;
    } places[] = {
        {1, ROVEI_EFFECT_RESTORE, false},
        {1, ROVEI_EFFECT_ACTIVATE, true},
    };
    for (size_t i = 0; i < 2; i++) {
        world w;
        world_init(&w, 2);
        rove_entity d = world_spawn(&w, 0, 1);
        rovei_attempt_id a = world_move_until(&w, &d, places[i].node, places[i].held);
        world_cut(&w, 0, 1, true);
        world_run(&w, 200 * ROVE_SECOND);
        world_release(&w, places[i].node);
        world_run(&w, 200 * ROVE_SECOND);
        if (places[i].committed) {
            assert_null(world_ended(&w, 0, &a));
            assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_COMMITTED);
        } else {
            assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_PEER_LOST);
            assert_ok(world_deliver(&w, 0, &d, "serves again"));
            assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_PREPARED); /* waits, and asks */
        }
        world_cut(&w, 0, 1, false);
        world_run(&w, 100 * ROVE_SECOND);
        size_t at = places[i].committed ? 1 : 0;
        world_assert_moved(&w, 1 - at, at, &d);
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_may_be_lost),
        cmocka_unit_test(lost_abort_and_refuse),
        cmocka_unit_test(target_restarts_before_the_commit),
        cmocka_unit_test(target_never_returns_before_the_commit),
        cmocka_unit_test(target_restarts_after_the_commit),
        cmocka_unit_test(target_has_served_and_restarts),
        cmocka_unit_test(target_restarts_before_the_results),
        cmocka_unit_test(source_restarts_before_the_commit),
        cmocka_unit_test(source_restarts_and_target_is_prepared),
        cmocka_unit_test(source_restarts_and_target_is_active),
        cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
