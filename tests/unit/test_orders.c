/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves that a node orders which is not the source: a third one, or the target. Node 0 has the
 * daemon, node 1 is to get it, node 2 orders, unless a test says otherwise. */
#include "moves_world.h"

#include <stdio.h>

static void open_world(world *w, rove_entity *ret)
{
    world_init(w, 3);
    w->nodes[0].node->ask_policy = true; /* and it allows */
    *ret = world_spawn(w, 0, 1);
    assert_ok(world_deliver(w, 0, ret, "one"));
}

static rovei_move_order order_of(const world *w, const rove_entity *d, size_t source, size_t target)
{
    return (rovei_move_order){
        .daemon = *d, .source = w->nodes[source].entity, .target = w->nodes[target].entity};
}

static rovei_attempt_id order(world *w, size_t from, const rovei_move_order *o)
{
    rovei_attempt_id id;
    assert_ok(rovei_node_move(w->nodes[from].node, w->now, o, &id));
    return id;
}

static rovei_attempt_id order_simply(world *w, const rove_entity *d)
{
    rovei_move_order o = order_of(w, d, 0, 1);
    return order(w, 2, &o);
}

static void assert_stays(world *w, const rove_entity *d)
{
    world_until(w, WORLD_LONG, !world_daemon(w, 0, d)->source && !world_daemon(w, 1, d));
    assert_int_equal(world_serving(w, d), 1);
    assert_int_equal(world_role_of(w, 0, d), ROVEI_ROLE_SERVING);
    assert_ok(world_deliver(w, 0, d, "after"));
}

static rove_err ended_with(world *w, size_t i, const rovei_attempt_id *a,
                           rovei_move_outcome outcome)
{
    world_until(w, WORLD_LONG, world_ended(w, i, a));
    assert_int_equal(world_ended(w, i, a)->outcome, outcome);
    assert_int_equal(world_info(w, i, a).outcome, outcome);
    assert_int_equal(world_info(w, i, a).reason, world_ended(w, i, a)->err);
    return world_ended(w, i, a)->err;
}

static rovei_node_stats stats_of(const world *w, size_t i)
{
    return rovei_node_stats_get(w->nodes[i].node);
}

/* ---- the way it should be ---- */

static void a_third_node_orders(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        rovei_move_order o = order_of(&w, &d, 0, 1);
        if (!named) { /* it knows the hash only */
            o.origin = rovei_entity_origin(&d);
            memset(&o.daemon, 0, sizeof o.daemon);
        }
        rovei_attempt_id a = order(&w, 2, &o);
        world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
        world_assert_moved(&w, 0, 1, &d);
        rovei_move_info at_source = world_info(&w, 0, &a), at_target = world_info(&w, 1, &a);
        rovei_move_info info = world_info(&w, 2, &a);
        assert_true(info.ordered && !info.local_source && at_source.local_source);
        assert_true(rovei_entity_equal(&info.daemon, &d));
        assert_true(rovei_entity_equal(&at_source.orchestrator, &w.nodes[2].entity));
        assert_true(rovei_entity_equal(&at_target.orchestrator, &w.nodes[2].entity));
        assert_int_equal(info.origin, rovei_entity_origin(&d));
        assert_int_equal(info.phase, ROVEI_PHASE_COMPLETE);
        assert_int_equal(info.epoch, 2);
        assert_int_equal(info.attempts, 1);
        assert_int_equal(info.bytes, at_source.bytes);
        assert_int_equal(info.active_at - info.frozen_at,
                         at_source.active_at - at_source.frozen_at);
        assert_int_equal(stats_of(&w, 0).orders_taken, 1);
        assert_int_equal(stats_of(&w, 0).moves_completed, 1);
        assert_int_equal(stats_of(&w, 2).moves_completed, 0);
        /* Each phase was seen there, in order. */
        rovei_phase last = ROVEI_PHASE_SNAPSHOT;
        for (size_t i = 0; i < w.nodes[2].note_count; i++)
            if (w.nodes[2].notes[i].kind == ROVEI_NOTE_MOVE) {
                assert_true(w.nodes[2].notes[i].phase > last);
                last = w.nodes[2].notes[i].phase;
            }
        assert_int_equal(last, ROVEI_PHASE_COMPLETE);
        world_fini(&w);
    }
}

static void the_target_pulls(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    rovei_move_order o = order_of(&w, &d, 0, 1);
    rovei_attempt_id a = order(&w, 1, &o);
    world_until(&w, WORLD_LONG, world_completed(&w, 1, &a));
    world_assert_moved(&w, 0, 1, &d);
    rovei_move_info info;
    size_t it = 0, count = 0;
    while (rovei_node_move_next(w.nodes[1].node, &it, &info))
        count++;
    assert_int_equal(count, 1); /* one move, though it is ordered and received here */
    assert_true(world_info(&w, 1, &a).ordered);
    /* And back, by the other. */
    w.nodes[1].node->ask_policy = true;
    o = order_of(&w, &d, 1, 0);
    a = order(&w, 0, &o);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 1, 0, &d);
    world_fini(&w);
}

/* The source retries, whoever ordered. */
static void not_ready_is_retried_at_the_source(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].place = ROVE_E_NOT_READY;
    rovei_move_order o = order_of(&w, &d, 0, 1);
    o.retry_not_ready = 10 * ROVE_SECOND;
    rovei_attempt_id a = order(&w, 2, &o);
    world_run(&w, 2 * ROVE_SECOND);
    assert_true(world_info(&w, 2, &a).attempts >= 2);
    w.nodes[1].place = ROVE_OK;
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    assert_true(world_info(&w, 2, &a).attempts >= 3);
    world_assert_moved(&w, 0, 1, &d);
    world_fini(&w);
}

/* ---- who may ---- */

static void policy_decides(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[0].node->ask_policy = asked;
        w.nodes[0].policy = ROVE_E_REFUSED;
        rovei_attempt_id a = order_simply(&w, &d);
        assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_REFUSED);
        assert_stays(&w, &d);
        assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_OFFER], 0);
        assert_int_equal(stats_of(&w, 0).orders_refused, 1);
        /* Nothing is said of what is not here either. */
        rove_entity none = world_spawn(&w, 1, 2);
        rovei_move_order o = order_of(&w, &none, 0, 1);
        a = order(&w, 2, &o);
        assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_REFUSED);
        world_fini(&w);
    }
}

static void fails_as_a_local_one_does(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].place = ROVE_E_TARGET_NO_FACTORY;
    rovei_attempt_id a = order_simply(&w, &d);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_TARGET_NO_FACTORY);
    assert_stays(&w, &d);
    rove_entity elsewhere = world_spawn(&w, 1, 2);
    rovei_move_order o = order_of(&w, &elsewhere, 0, 1);
    a = order(&w, 2, &o);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_NOT_FOUND);
    world_cut(&w, 0, 1, true);
    world_run(&w, 20 * ROVE_SECOND);
    a = order_simply(&w, &d);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_TARGET_UNAVAILABLE);
    world_cut(&w, 0, 1, false);
    world_run(&w, 20 * ROVE_SECOND);
    w.nodes[1].place = ROVE_OK;
    a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    a = order_simply(&w, &d);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_MOVED);
    world_fini(&w);
}

static void what_cannot_begin(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    rovei_attempt_id a;
    rovei_move_order o = order_of(&w, &d, 0, 0);
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &a), ROVE_E_SAME_NODE);
    o = order_of(&w, &d, 0, 1);
    world_cut(&w, 0, 2, true);
    world_run(&w, 20 * ROVE_SECOND);
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &a), ROVE_E_UNREACHABLE);
    world_cut(&w, 0, 2, false);
    world_run(&w, 20 * ROVE_SECOND);
    w.nodes[0].hold = 1u << ROVEI_EFFECT_ASK;
    a = order(&w, 2, &o);
    rovei_attempt_id b;
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &b), ROVE_E_ALREADY_MIGRATING);
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    world_fini(&w);
}

static void orders_are_bounded(void **state)
{
    (void)state;
    world w;
    rove_entity d[3], first;
    open_world(&w, &first);
    for (unsigned i = 0; i < 3; i++)
        d[i] = world_spawn(&w, 0, 10 + i);
    w.nodes[0].hold = 1u << ROVEI_EFFECT_ASK;
    w.nodes[0].t.env.limits.orders_max = 2;
    rovei_attempt_id a[3], none;
    for (unsigned i = 0; i < 3; i++) {
        rovei_move_order o = order_of(&w, &d[i], 0, 1);
        a[i] = order(&w, 2, &o);
    }
    assert_int_equal(ended_with(&w, 2, &a[2], ROVEI_OUTCOME_FAILED), ROVE_E_FULL);
    w.nodes[2].t.env.limits.orders_max = 2;
    rovei_move_order o = order_of(&w, &first, 0, 1);
    assert_int_equal(rovei_node_move(w.nodes[2].node, w.now, &o, &none), ROVE_E_FULL);
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a[0]) && world_completed(&w, 2, &a[1]));
    a[2] = order(&w, 2, &o); /* there is room again */
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a[2]));
    world_fini(&w);
}

/* So many at once away from a node, whoever ordered them; a daemon that leaves already is said to
 * be leaving. */
static void moves_are_bounded(void **state)
{
    (void)state;
    world w;
    rove_entity d[4];
    open_world(&w, &d[0]);
    for (unsigned i = 1; i < 4; i++)
        d[i] = world_spawn(&w, 0, 10 + i);
    w.nodes[0].t.env.limits.moves_max = 2;
    w.nodes[1].hold = 1u << ROVEI_EFFECT_ASK_PLACE;
    rovei_attempt_id a[4], none;
    for (unsigned i = 0; i < 2; i++) {
        rovei_move_order o = order_of(&w, &d[i], 0, 1);
        a[i] = order(&w, 0, &o);
    }
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 2);
    rovei_move_order third = order_of(&w, &d[2], 0, 1), second = order_of(&w, &d[1], 0, 1);
    assert_int_equal(rovei_node_move(w.nodes[0].node, w.now, &third, &none), ROVE_E_MOVE_LIMIT);
    assert_int_equal(rovei_node_move(w.nodes[0].node, w.now, &second, &none),
                     ROVE_E_ALREADY_MIGRATING);
    a[2] = order(&w, 2, &third);
    assert_int_equal(ended_with(&w, 2, &a[2], ROVEI_OUTCOME_FAILED), ROVE_E_MOVE_LIMIT);
    assert_ok(world_deliver(&w, 0, &d[2], "it serves"));
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a[0]) && world_completed(&w, 0, &a[1]));
    a[2] = order(&w, 0, &third); /* there is room again */
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a[2]));
    world_fini(&w);
}

/* And towards one: the others are asked to come later, and do. */
static void arrivals_are_bounded(void **state)
{
    (void)state;
    world w;
    rove_entity d[3];
    open_world(&w, &d[0]);
    d[1] = world_spawn(&w, 0, 11);
    d[2] = world_spawn(&w, 0, 12);
    w.nodes[1].t.env.limits.moves_max = 1;
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a[3];
    for (unsigned i = 0; i < 3; i++) {
        rovei_move_order o = order_of(&w, &d[i], 0, 1);
        o.retry_not_ready = i < 2 ? 60 * ROVE_SECOND : 0;
        a[i] = order(&w, 0, &o);
        if (i == 0)
            world_until(&w, WORLD_LONG, w.nodes[1].held_count);
    }
    assert_int_equal(ended_with(&w, 0, &a[2], ROVEI_OUTCOME_FAILED), ROVE_E_TARGET_NOT_READY);
    assert_int_equal(w.nodes[1].held_count, 1);
    assert_int_equal(world_role_of(&w, 0, &d[1]), ROVEI_ROLE_SERVING);
    world_release(&w, 1);
    w.nodes[1].hold = 0;
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a[0]) && world_completed(&w, 0, &a[1]));
    world_fini(&w);
}

/* ---- cancelled from afar ---- */

static void cancelled_before_the_commit(void **state)
{
    (void)state;
    static const struct {
        size_t node;
        rovei_effect_kind held;
    } places[] = {{0, ROVEI_EFFECT_ASK},
                  {1, ROVEI_EFFECT_ASK_PLACE},
                  {0, ROVEI_EFFECT_FREEZE},
                  {1, ROVEI_EFFECT_RESTORE}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int late = 0; late < 2; late++) {
            world w;
            rove_entity d;
            rove_err why = late ? ROVE_E_TIMED_OUT : ROVE_E_CANCELLED;
            open_world(&w, &d);
            w.nodes[places[i].node].hold = 1u << places[i].held;
            rovei_attempt_id a = order_simply(&w, &d);
            world_until(&w, WORLD_LONG, w.nodes[places[i].node].held_count);
            assert_ok(rovei_node_cancel(w.nodes[2].node, w.now, &a, why));
            world_run(&w, 100 * ROVE_MILLISECOND);
            world_release(&w, places[i].node);
            assert_int_equal(
                ended_with(&w, 2, &a, late ? ROVEI_OUTCOME_TIMED_OUT : ROVEI_OUTCOME_CANCELLED),
                why);
            assert_stays(&w, &d);
            assert_int_equal(rovei_node_cancel(w.nodes[2].node, w.now, &a, ROVE_E_CANCELLED),
                             ROVE_E_NOT_FOUND);
            world_fini(&w);
        }
}

static void too_late_to_cancel(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    rovei_attempt_id a = order_simply(&w, &d);
    world_until(&w, WORLD_LONG, w.nodes[0].held_count);
    world_run(&w, 100 * ROVE_MILLISECOND);
    /* The source has asked for the commit, and its orchestrator does not know yet. */
    assert_ok(rovei_node_cancel(w.nodes[2].node, w.now, &a, ROVE_E_CANCELLED));
    world_run(&w, 5 * ROVE_SECOND);
    assert_null(world_ended(&w, 2, &a));
    w.nodes[1].hold = 1u << ROVEI_EFFECT_ACTIVATE;
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_info(&w, 2, &a).phase == ROVEI_PHASE_CUTOVER);
    assert_int_equal(rovei_node_cancel(w.nodes[2].node, w.now, &a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    world_assert_moved(&w, 0, 1, &d);
    assert_int_equal(rovei_node_cancel(w.nodes[2].node, w.now, &a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    world_fini(&w);
}

static void a_deadline_is_kept_at_the_source(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_move_order o = order_of(&w, &d, 0, 1);
    o.deadline = 3 * ROVE_SECOND;
    uint64_t begun = w.now.mono;
    rovei_attempt_id a = order(&w, 2, &o);
    world_run(&w, ROVE_SECOND);
    world_stop(&w, 2); /* and also without who set it */
    world_until(&w, WORLD_LONG, world_ended(&w, 0, &a));
    assert_int_equal(world_ended(&w, 0, &a)->outcome, ROVEI_OUTCOME_TIMED_OUT);
    assert_true(w.now.mono - begun >= o.deadline);
    assert_true(w.now.mono - begun < o.deadline + ROVE_SECOND);
    world_release(&w, 1);
    assert_stays(&w, &d);
    world_fini(&w);
}

/* ---- who is lost ---- */

static void the_orchestrator_dies(void **state)
{
    (void)state;
    static const struct {
        size_t node;
        rovei_effect_kind held;
    } places[] = {{0, ROVEI_EFFECT_ASK},
                  {0, ROVEI_EFFECT_FREEZE},
                  {1, ROVEI_EFFECT_RESTORE},
                  {0, ROVEI_EFFECT_COMMIT}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int back = 0; back < 2; back++) {
            world w;
            rove_entity d;
            open_world(&w, &d);
            w.nodes[places[i].node].hold = 1u << places[i].held;
            rovei_attempt_id a = order_simply(&w, &d);
            world_until(&w, WORLD_LONG, w.nodes[places[i].node].held_count);
            if (back)
                world_restart(&w, 2);
            else
                world_stop(&w, 2);
            world_run(&w, 20 * ROVE_SECOND / (back ? 10 : 1000));
            world_release(&w, places[i].node);
            world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
            world_assert_moved(&w, 0, 1, &d);
            world_fini(&w);
        }
}

static void the_source_is_lost(void **state)
{
    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, WORLD_LONG, world_info(&w, 2, &a).phase == ROVEI_PHASE_TRANSFER);
        uint64_t then = w.now.mono;
        if (restart)
            world_restart(&w, 0);
        else
            world_stop(&w, 0);
        assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_PEER_LOST);
        if (!restart) /* by the verdict, and not before */
            assert_true(w.now.mono - then >= w.nodes[2].t.env.limits.fail_after - ROVE_SECOND);
        world_release(&w, 1);
        world_fini(&w);
    }
}

/* Cut off for a while, then heard again: nothing is lost, and nothing begins twice. */
static void the_link_is_lost_for_a_while(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    rovei_attempt_id a = order_simply(&w, &d);
    world_cut(&w, 0, 2, true);
    world_run(&w, 5 * ROVE_SECOND);
    world_cut(&w, 0, 2, false);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    world_assert_moved(&w, 0, 1, &d);
    /* One that never got there ends, and begins nothing later. */
    w.nodes[1].node->ask_policy = true;
    rovei_move_order o = order_of(&w, &d, 1, 0);
    world_cut(&w, 1, 2, true);
    a = order(&w, 2, &o);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_PEER_LOST);
    world_cut(&w, 1, 2, false);
    world_run(&w, 30 * ROVE_SECOND);
    assert_int_equal(stats_of(&w, 1).orders_taken, 0);
    assert_int_equal(world_role_of(&w, 1, &d), ROVEI_ROLE_SERVING);
    world_fini(&w);
}

static void silence_ends_it(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[2].swallow = ROVEI_MOVE_ORDER;
    w.nodes[2].swallow_count = 1000;
    uint64_t begun = w.now.mono;
    rovei_attempt_id a = order_simply(&w, &d);
    assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_TIMED_OUT);
    assert_true(w.now.mono - begun >= w.nodes[2].t.env.limits.move_stall);
    assert_true(w.nodes[2].seen[ROVEI_MOVE_ORDER] > 2);
    assert_stays(&w, &d);
    world_fini(&w);
}

/* Every message of it lost once: said again. */
static void lost_messages(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        world_node *n = &w.nodes[lost ? 0 : 2];
        n->swallow = lost ? ROVEI_MOVE_OUTCOME : ROVEI_MOVE_ORDER;
        n->swallow_count = lost ? 8 : 1;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
        world_assert_moved(&w, 0, 1, &d);
        assert_int_equal(stats_of(&w, 0).orders_taken, 1);
        world_fini(&w);
    }
}

static void shut_down(void **state)
{
    (void)state;
    for (size_t who = 0; who < 3; who += 2) {
        world w;
        rove_entity d;
        open_world(&w, &d);
        w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
        rovei_attempt_id a = order_simply(&w, &d);
        world_until(&w, WORLD_LONG, w.nodes[1].held_count);
        rovei_node_shutdown(w.nodes[who].node, w.now);
        assert_int_equal(ended_with(&w, 2, &a, ROVEI_OUTCOME_FAILED), ROVE_E_SHUTTING_DOWN);
        world_release(&w, 1);
        if (who == 2) { /* the move goes on without it */
            world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
            world_assert_moved(&w, 0, 1, &d);
        }
        world_fini(&w);
    }
}

/* ---- messages that do not belong ---- */

static void repeated_and_forged(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = order_simply(&w, &d);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count);
    world_run(&w, 100 * ROVE_MILLISECOND);
    uint64_t repeated = stats_of(&w, 0).orders_repeated;
    for (int i = 0; i < 3; i++)
        world_replay(&w, 2, 0, ROVEI_MOVE_ORDER);
    world_run(&w, 100 * ROVE_MILLISECOND);
    assert_true(stats_of(&w, 0).orders_repeated >= repeated + 3);
    assert_int_equal(stats_of(&w, 0).orders_taken, 1);

    /* The same bytes from the target and from the source itself. */
    uint64_t refused = stats_of(&w, 0).frames_refused;
    rove_buf *said = w.nodes[2].kept[ROVEI_MOVE_ORDER];
    rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[1].entity, ROVEI_TAG_MOVE, said);
    rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[0].entity, ROVEI_TAG_MOVE, said);
    /* A cancel of somebody who did not order, under his own name and under that of who did. */
    for (size_t i = 1; i < 3; i++) {
        uint8_t bytes[ROVEI_MOVE_HEAD_MAX];
        rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
        rovei_move_message m;
        assert_ok(rovei_move_decode(&m, rove_buf_span(said)));
        m.head.type = ROVEI_MOVE_CANCEL;
        m.head.orchestrator = w.nodes[i].entity;
        m.ended.reason = ROVE_E_CANCELLED;
        rovei_move_encode(&m, false, &out);
        rove_buf *forged = rovei_buf_copy(NULL, bytes, rovei_writer_size(&out));
        rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[1].entity, ROVEI_TAG_MOVE, forged);
        rove_buf_unref(forged);
    }
    world_run(&w, 100 * ROVE_MILLISECOND);
    assert_int_equal(stats_of(&w, 0).frames_refused, refused + 4);
    assert_null(world_ended(&w, 0, &a));

    /* An outcome that does not come from the source. */
    refused = stats_of(&w, 2).frames_refused;
    rovei_node_inject(w.nodes[2].node, w.now, &w.nodes[1].entity, ROVEI_TAG_MOVE,
                      w.nodes[0].kept[ROVEI_MOVE_OUTCOME]);
    world_run(&w, 10 * ROVE_MILLISECOND);
    assert_int_equal(stats_of(&w, 2).frames_refused, refused + 1);
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    repeated = stats_of(&w, 2).orders_repeated;
    world_replay(&w, 0, 2, ROVEI_MOVE_OUTCOME);
    world_run(&w, 10 * ROVE_MILLISECOND);
    assert_int_equal(stats_of(&w, 2).orders_repeated, repeated + 1);
    assert_true(world_completed(&w, 2, &a)); /* one note */
    /* An old order begins nothing again: its outcome is known. */
    world_replay(&w, 2, 0, ROVEI_MOVE_ORDER);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(stats_of(&w, 0).orders_taken, 1);
    world_fini(&w);
}

static void out_of_memory(void **state)
{
    (void)state;
    world w;
    rove_entity d;
    open_world(&w, &d);
    rovei_move_order o = order_of(&w, &d, 0, 1);
    rovei_attempt_id a;
    test_alloc *alloc = &w.nodes[2].t.alloc;
    for (size_t at = 0;; at++) {
        alloc->calls = 0;
        alloc->fail_at = at;
        rove_err err = rovei_node_move(w.nodes[2].node, w.now, &o, &a);
        alloc->fail_at = SIZE_MAX;
        rovei_node_check(w.nodes[2].node);
        if (err == ROVE_OK)
            break;
        assert_int_equal(err, ROVE_E_NOMEM);
    }
    world_until(&w, WORLD_LONG, world_completed(&w, 2, &a));
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_third_node_orders),
        cmocka_unit_test(the_target_pulls),
        cmocka_unit_test(not_ready_is_retried_at_the_source),
        cmocka_unit_test(policy_decides),
        cmocka_unit_test(fails_as_a_local_one_does),
        cmocka_unit_test(what_cannot_begin),
        cmocka_unit_test(orders_are_bounded),
        cmocka_unit_test(moves_are_bounded),
        cmocka_unit_test(arrivals_are_bounded),
        cmocka_unit_test(cancelled_before_the_commit),
        cmocka_unit_test(too_late_to_cancel),
        cmocka_unit_test(a_deadline_is_kept_at_the_source),
        cmocka_unit_test(the_orchestrator_dies),
        cmocka_unit_test(the_source_is_lost),
        cmocka_unit_test(the_link_is_lost_for_a_while),
        cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(lost_messages),
        cmocka_unit_test(shut_down),
        cmocka_unit_test(repeated_and_forged),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
