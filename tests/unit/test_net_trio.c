/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves between nodes of ours that are joined by class net alone: a third one orders, or the target
 * does. Node 0 has the daemon, node 1 is to get it, node 2 orders, unless a test says otherwise. */
#include "moves_world.h"

#include <migration/net_machine.h>

static rove_entity net_entity(const world *w, size_t i)
{
    return rovei_entity_of_net(rovei_entity_node_id(&w->nodes[i].entity));
}

static void open_world(world *w, rove_entity *ret)
{
    world_init_apart(w, 3);
    w->nodes[0].node->ask_policy = true; /* and it allows */
    *ret = world_spawn(w, 0, 1);
    assert_ok(world_deliver(w, 0, ret, "one"));
    assert_ok(world_deliver(w, 0, ret, "two"));
}

static rovei_move_order order_of(const world *w, const rove_entity *d, size_t by, size_t target)
{
    rovei_move_order o = {.origin = rovei_entity_origin(d), .source = net_entity(w, 0)};
    o.target = by == target ? w->nodes[target].entity : net_entity(w, target);
    return o;
}

static rovei_attempt_id order(world *w, size_t by, const rovei_move_order *o)
{
    rovei_attempt_id id;
    assert_ok(rovei_node_move(w->nodes[by].node, w->now, o, &id));
    return id;
}

static rovei_attempt_id order_simply(world *w, const rove_entity *d)
{
    rovei_move_order o = order_of(w, d, 2, 1);
    return order(w, 2, &o);
}

static rove_err ended_with(world *w, size_t i, const rovei_attempt_id *a,
                           rovei_move_outcome outcome)
{
    world_until(w, 4 * WORLD_LONG, world_ended(w, i, a));
    assert_int_equal(world_ended(w, i, a)->outcome, outcome);
    return world_ended(w, i, a)->err;
}

static void assert_moved(world *w, const rove_entity *d)
{
    world_until(w, WORLD_LONG, world_serving(w, d) == 1 && !world_daemon(w, 0, d));
    assert_int_equal(world_role_of(w, 1, d), ROVEI_ROLE_SERVING);
    const world_cell *c = world_cell_of(w, 1, d);
    assert_int_equal(world_times(c, "one"), 1);
    assert_int_equal(world_times(c, "two"), 1);
    assert_true(c->chain.head.sequence >= 2);
    assert_false(rovei_keypair_is_read_only(c->key));
    assert_ok(world_deliver(w, 1, d, "after"));
}

static void assert_stays(world *w, const rove_entity *d)
{
    world_until(w, WORLD_LONG,
                !world_daemon(w, 0, d)->net_source && !world_daemon(w, 1, d) &&
                    world_role_of(w, 0, d) == ROVEI_ROLE_SERVING);
    assert_int_equal(world_serving(w, d), 1);
    world_until(w, ROVE_SECOND, world_cell_of(w, 0, d)->state == CELL_SERVING);
    assert_ok(world_deliver(w, 0, d, "after"));
}

/* ---- the way it goes ---- */

static void a_third_node_orders(void **state)
{
    (void)state;
    for (unsigned lose = 0; lose <= 30; lose += 10) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.lose = lose;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, 2 * WORLD_LONG, world_completed(&w, 2, &a));
        w.lose = 0;
        assert_moved(&w, &d);
        rovei_move_info info = world_info(&w, 2, &a);
        assert_true(info.ordered && !info.local_source);
        assert_true(rovei_entity_equal(&info.daemon, &d)); /* the snapshot has said it */
        assert_int_equal(info.phase, ROVEI_PHASE_COMPLETE);
        assert_true(info.bytes > 0);
        rovei_phase last = ROVEI_PHASE_SNAPSHOT;
        for (size_t i = 0; i < w.nodes[2].note_count; i++)
            if (w.nodes[2].notes[i].kind == ROVEI_NOTE_MOVE) {
                assert_int_equal(w.nodes[2].notes[i].phase, last + 1);
                last++;
            }
        assert_int_equal(last, ROVEI_PHASE_COMPLETE);
        assert_int_equal(rovei_node_cancel(w.nodes[2].node, w.now, &a, ROVE_E_CANCELLED),
                         ROVE_E_TOO_LATE);
        world_fini(&w);
    }
}

static void the_target_pulls(void **state)
{
    (void)state;
    for (unsigned lose = 0; lose <= 30; lose += 10) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.lose = lose;
        rovei_move_order o = order_of(&w, &d, 1, 1);
        rovei_attempt_id a = order(&w, 1, &o);
        world_until(&w, 2 * WORLD_LONG, world_completed(&w, 1, &a));
        w.lose = 0;
        assert_moved(&w, &d);
        world_fini(&w);
    }
}

static void a_large_state_passes(void **state)
{
    (void)state;
    for (int pull = 0; pull < 2; pull++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        size_t size = 1 << 20;
        char *text = malloc(size);
        assert_non_null(text);
        memset(text, 'x', size - 1);
        text[size - 1] = 0;
        assert_ok(world_deliver(&w, 0, &d, text));
        rovei_move_order o = order_of(&w, &d, pull ? 1 : 2, 1);
        rovei_attempt_id a = order(&w, pull ? 1 : 2, &o);
        world_until(&w, 2 * WORLD_LONG, world_completed(&w, pull ? 1 : 2, &a));
        assert_int_equal(world_times(world_cell_of(&w, 1, &d), text), 1);
        assert_true(world_info(&w, pull ? 1 : 2, &a).bytes >= size);
        free(text);
        world_fini(&w);
    }
}

/* A session between the source and the target is not needed. */
static void source_and_target_do_not_meet(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    world_cut(&w, 0, 1, true);
    rovei_attempt_id a = order_simply(&w, &d);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    assert_moved(&w, &d);
    world_fini(&w);
}

/* ---- how it ends otherwise ---- */

static void policy_decides(void **state)
{
    (void)state;
    for (int pull = 0; pull < 2; pull++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        size_t by = pull ? 1 : 2;
        w.nodes[0].node->ask_policy = pull;
        w.nodes[0].policy = ROVE_E_REFUSED;
        rovei_move_order o = order_of(&w, &d, by, 1);
        rovei_attempt_id a = order(&w, by, &o);
        assert_int_equal(ended_with(&w, by, &a, ROVEI_OUTCOME_FAILED), ROVE_E_REFUSED);
        rove_span text = world_info(&w, by, &a).text;
        static const char begins[] = "migration refused: node 0x";
        assert_true(text.size > sizeof begins);
        assert_memory_equal(text.data, begins, sizeof begins - 1);
        assert_stays(&w, &d);
        world_fini(&w);
    }
}

static void the_target_does_not_expect_it(void **state)
{
    (void)state;
    for (int pull = 0; pull < 2; pull++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        size_t by = pull ? 1 : 2;
        w.nodes[1].place = ROVE_E_TARGET_NO_FACTORY;
        rovei_move_order o = order_of(&w, &d, by, 1);
        rovei_attempt_id a = order(&w, by, &o);
        assert_int_equal(ended_with(&w, by, &a, ROVEI_OUTCOME_FAILED), ROVE_E_TARGET_NO_FACTORY);
        world_run(&w, 100 * ROVE_MILLISECOND); /* the source was told: it does not wait for time */
        assert_stays(&w, &d);
        w.nodes[1].place = ROVE_OK; /* and nothing is in the way of another */
        o = order_of(&w, &d, by, 1);
        a = order(&w, by, &o);
        world_until(&w, WORLD_LONG, world_completed(&w, by, &a));
        assert_moved(&w, &d);
        world_fini(&w);
    }
}

static void not_ready_is_retried(void **state)
{
    (void)state;
    for (int pull = 0; pull < 2; pull++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        size_t by = pull ? 1 : 2;
        w.nodes[1].place = ROVE_E_TARGET_NOT_READY;
        rovei_move_order o = order_of(&w, &d, by, 1);
        rovei_attempt_id a = order(&w, by, &o);
        assert_int_equal(ended_with(&w, by, &a, ROVEI_OUTCOME_FAILED), ROVE_E_TARGET_NOT_READY);
        assert_stays(&w, &d);
        o.retry_not_ready = 2 * ROVE_SECOND;
        a = order(&w, by, &o);
        assert_int_equal(ended_with(&w, by, &a, ROVEI_OUTCOME_FAILED), ROVE_E_NOT_READY_TIMEOUT);
        assert_true(world_info(&w, by, &a).attempts >= 3);
        assert_stays(&w, &d);
        o.retry_not_ready = 10 * ROVE_SECOND;
        a = order(&w, by, &o);
        world_run(&w, 700 * ROVE_MILLISECOND);
        w.nodes[1].place = ROVE_OK;
        world_until(&w, WORLD_LONG, world_completed(&w, by, &a));
        assert_moved(&w, &d);
        world_fini(&w);
    }
}

static void not_here(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    rovei_move_order o = order_of(&w, &d, 2, 1);
    o.origin ^= 1;
    rovei_attempt_id a = order(&w, 2, &o);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_STATE_FAILED);
    assert_true(world_info(&w, 2, &a).text.size > 0);
    o = order_of(&w, &d, 2, 1);
    o.target = rovei_entity_of_net(77);
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &a), ROVE_E_TARGET_UNAVAILABLE);
    o.target = o.source;
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &a), ROVE_E_SAME_NODE);
    o = order_of(&w, &d, 2, 1);
    o.source = rovei_entity_of_net(77);
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &a), ROVE_E_UNREACHABLE);
    a = order_simply(&w, &d);
    o = order_of(&w, &d, 2, 1);
    rovei_attempt_id b;
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &b), ROVE_E_ALREADY_MIGRATING);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    world_fini(&w);
}

/* ---- cancelled, and who is lost ---- */

static void cancelled_before_the_cutover(void **state)
{
    (void)state;
    static const struct {
        size_t node;
        rovei_effect_kind held;
    } places[] = {{0, ROVEI_EFFECT_ASK},
                  {0, ROVEI_EFFECT_FREEZE},
                  {1, ROVEI_EFFECT_ASK_PLACE},
                  {1, ROVEI_EFFECT_RESTORE}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t by = 1; by < 3; by++) {
            world w;
            rove_entity d;
            open_world(&w, &d);
            w.nodes[places[i].node].hold = 1u << places[i].held;
            rovei_move_order o = order_of(&w, &d, by, 1);
            rovei_attempt_id a = order(&w, by, &o);
            world_until(&w, WORLD_LONG, w.nodes[places[i].node].held_count);
            assert_ok(rovei_node_cancel(w.nodes[by].node, w.now, &a, ROVE_E_CANCELLED));
            world_run(&w, 100 * ROVE_MILLISECOND);
            w.nodes[places[i].node].hold = 0;
            world_release(&w, places[i].node);
            assert_int_equal(ended_with(&w, by, &a, ROVEI_OUTCOME_CANCELLED), ROVE_E_CANCELLED);
            assert_stays(&w, &d);
            world_fini(&w);
        }
}

/* From CutoverNotify on nothing undoes it; the source's end is asked for until it has come. */
static void too_late_to_cancel(void **state)
{
    (void)state;
    for (size_t by = 1; by < 3; by++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
        rovei_move_order o = order_of(&w, &d, by, 1);
        rovei_attempt_id a = order(&w, by, &o);
        world_until(&w, WORLD_LONG, w.nodes[0].held_count);
        assert_int_equal(rovei_node_cancel(w.nodes[by].node, w.now, &a, ROVE_E_CANCELLED),
                         ROVE_E_TOO_LATE);
        world_run(&w, 30 * ROVE_SECOND); /* nor does time */
        assert_int_equal(world_info(&w, by, &a).phase, ROVEI_PHASE_CUTOVER);
        assert_null(world_ended(&w, by, &a));
        w.nodes[0].hold = 0;
        world_release(&w, 0);
        world_until(&w, WORLD_LONG, world_completed(&w, by, &a));
        assert_moved(&w, &d);
        world_fini(&w);
    }
}

static void lost_before_the_cutover(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < 2; lost++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, WORLD_LONG, w.nodes[1].held_count);
        world_stop(&w, lost);
        rove_err err = ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED);
        assert_true(err == ROVE_E_PEER_LOST || err == ROVE_E_TIMED_OUT);
        if (lost == 1) /* the daemon goes on */
            world_until(&w, WORLD_LONG, world_role_of(&w, 0, &d) == ROVEI_ROLE_SERVING);
        world_fini(&w);
    }
}

/* Cut off after the cutover: it is pushed on when the link is back. */
static void cut_off_after_the_cutover(void **state)
{
    (void)state;
    for (size_t other = 0; other < 2; other++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, WORLD_LONG, w.nodes[0].held_count);
        world_cut(&w, other, 2, true);
        w.nodes[0].hold = 0;
        world_release(&w, 0);
        world_run(&w, 120 * ROVE_SECOND);
        assert_null(world_ended(&w, 2, &a));
        world_cut(&w, other, 2, false);
        world_until(&w, 2 * WORLD_LONG, world_completed(&w, 2, &a));
        assert_moved(&w, &d);
        world_fini(&w);
    }
}

static void the_orchestrator_dies(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    (void)order_simply(&w, &d);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count);
    world_stop(&w, 2);
    w.nodes[1].hold = 0;
    world_release(&w, 1);
    world_run(&w, 120 * ROVE_SECOND);
    assert_stays(&w, &d);
    world_fini(&w);
}

static void shut_down(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = order_simply(&w, &d);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count);
    rovei_node_shutdown(w.nodes[2].node, w.now);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_SHUTTING_DOWN);
    world_run(&w, 100 * ROVE_MILLISECOND);
    world_release(&w, 1);
    assert_stays(&w, &d);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_third_node_orders),
        cmocka_unit_test(the_target_pulls),
        cmocka_unit_test(a_large_state_passes),
        cmocka_unit_test(source_and_target_do_not_meet),
        cmocka_unit_test(policy_decides),
        cmocka_unit_test(the_target_does_not_expect_it),
        cmocka_unit_test(not_ready_is_retried),
        cmocka_unit_test(not_here),
        cmocka_unit_test(cancelled_before_the_cutover),
        cmocka_unit_test(too_late_to_cancel),
        cmocka_unit_test(lost_before_the_cutover),
        cmocka_unit_test(cut_off_after_the_cutover),
        cmocka_unit_test(the_orchestrator_dies),
        cmocka_unit_test(shut_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
