/* SPDX-License-Identifier: Apache-2.0
 *
 * Both halves of a move in class net against each other: to and fro, with packets lost, cancelled,
 * and cut off. At no time two copies serve. */
#include "moves_world.h"

#include <migration/net_machine.h>
#include <stdio.h>

static rove_err order(world *w, size_t from, size_t to, const rove_entity *daemon,
                      rovei_attempt_id *ret)
{
    rovei_move_order o = {.daemon = *daemon,
                          .target =
                              rovei_entity_of_net(rovei_entity_node_id(&w->nodes[to].entity))};
    return rovei_node_move(w->nodes[from].node, w->now, &o, ret);
}

static bool over(world *w, size_t i, const rovei_attempt_id *attempt)
{
    rovei_move_info info = world_info(w, i, attempt);
    return info.outcome != ROVEI_OUTCOME_RUNNING && info.closed;
}

/* Until the condition holds, and no two copies that serve on the way. */
#define watch_until(w, daemon, time, cond)                                                         \
    do {                                                                                           \
        uint64_t end_ = (w)->now.mono + (time);                                                    \
        while (!(cond)) {                                                                          \
            assert_true((w)->now.mono < end_);                                                     \
            world_run((w), 2 * ROVE_MILLISECOND);                                                  \
            assert_true(world_serving((w), (daemon)) <= 1);                                        \
        }                                                                                          \
    } while (0)

/* A state of about so many bytes, on node 0. */
static rove_entity spawn(world *w, size_t size)
{
    static char text[60001];
    rove_entity d = world_spawn(w, 0, 1);
    memset(text, 'x', size);
    text[size] = '\0';
    assert_ok(world_deliver(w, 0, &d, text));
    return d;
}

static void to_and_fro(void **state)
{
    (void)state;
    world w;
    world_init_apart(&w, 2);
    rove_entity d = spawn(&w, 50000);
    uint64_t epoch = world_daemon(&w, 0, &d)->epoch;
    for (size_t hop = 0; hop < 6; hop++) {
        size_t from = hop % 2, to = 1 - from;
        char text[16];
        rovei_attempt_id id;
        snprintf(text, sizeof text, "hop%zu", hop);
        assert_ok(world_deliver(&w, from, &d, text));
        assert_ok(order(&w, from, to, &d, &id));
        watch_until(&w, &d, 60 * ROVE_SECOND, over(&w, from, &id));
        assert_int_equal(world_info(&w, from, &id).outcome, ROVEI_OUTCOME_COMPLETED);
        watch_until(&w, &d, ROVE_SECOND, world_serving(&w, &d) == 1);
        assert_int_equal(world_times(world_cell_of(&w, to, &d), text), 1);
        assert_true(world_daemon(&w, to, &d)->epoch > epoch);
        epoch = world_daemon(&w, to, &d)->epoch;
        assert_int_equal(world_deliver(&w, from, &d, "late"), ROVE_E_MOVED);
    }
    const world_cell *c = world_cell_of(&w, 0, &d);
    assert_int_equal(c->log_size, 50004 + 6 * 8);
    world_fini(&w);
}

/* Each packet may be lost: a move ends, either way, and the daemon is where that says. */
static void lossy(uint64_t seed, size_t size, unsigned lose)
{
    world w;
    rovei_attempt_id id;
    world_init_apart(&w, 2);
    w.chance = seed;
    rove_entity d = spawn(&w, size);
    w.lose = lose;
    assert_ok(order(&w, 0, 1, &d, &id));
    watch_until(&w, &d, 600 * ROVE_SECOND, over(&w, 0, &id));
    w.lose = 0;
    watch_until(&w, &d, 200 * ROVE_SECOND, world_serving(&w, &d) == 1);
    bool moved = world_info(&w, 0, &id).outcome == ROVEI_OUTCOME_COMPLETED;
    world_run(&w, 100 * ROVE_SECOND);
    assert_int_equal(rovei_daemon_serves(world_daemon(&w, moved ? 1 : 0, &d)), true);
    assert_int_equal(world_cell_of(&w, moved ? 1 : 0, &d)->log_size, size + 4);
    assert_null(world_daemon(&w, moved ? 0 : 1, &d));
    world_fini(&w);
}

static void with_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        lossy(seed, 100, 30);
        lossy(seed, 40000, 10);
    }
}

static void cancelled(void **state)
{
    (void)state;
    /* After so many milliseconds: in one phase after the other. */
    for (uint64_t after = 0; after < 30; after++) {
        world w;
        rovei_attempt_id id;
        world_init_apart(&w, 2);
        w.delay = 3 * ROVE_MILLISECOND;
        rove_entity d = spawn(&w, 20000);
        assert_ok(order(&w, 0, 1, &d, &id));
        world_run(&w, after * ROVE_MILLISECOND);
        rove_err err = over(&w, 0, &id)
                           ? ROVE_E_TOO_LATE
                           : rovei_node_cancel(w.nodes[0].node, w.now, &id, ROVE_E_CANCELLED);
        watch_until(&w, &d, 60 * ROVE_SECOND, over(&w, 0, &id));
        watch_until(&w, &d, 60 * ROVE_SECOND, world_serving(&w, &d) == 1);
        bool moved = world_info(&w, 0, &id).outcome == ROVEI_OUTCOME_COMPLETED;
        assert_int_equal(moved, err == ROVE_E_TOO_LATE);
        world_run(&w, 60 * ROVE_SECOND);
        assert_null(world_daemon(&w, moved ? 0 : 1, &d)); /* nothing is left behind */
        assert_int_equal(world_serving(&w, &d), 1);
        world_fini(&w);
    }
}

/* Cut off at any time for any time: never two copies, and one in the end. */
static void cut_off(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 24; after++) {
        world w;
        rovei_attempt_id id;
        world_init_apart(&w, 2);
        w.delay = 2 * ROVE_MILLISECOND;
        rove_entity d = spawn(&w, 20000);
        assert_ok(order(&w, 0, 1, &d, &id));
        world_run(&w, after * ROVE_MILLISECOND);
        world_cut(&w, 0, 1, true);
        for (int i = 0; i < 200; i++) {
            world_run(&w, ROVE_SECOND);
            assert_true(world_serving(&w, &d) <= 1);
        }
        world_cut(&w, 0, 1, false);
        watch_until(&w, &d, 600 * ROVE_SECOND, over(&w, 0, &id) && world_serving(&w, &d) == 1);
        world_run(&w, 60 * ROVE_SECOND);
        assert_int_equal(world_serving(&w, &d), 1);
        assert_true(!world_daemon(&w, 0, &d) || !world_daemon(&w, 1, &d)); /* nor anything else */
        world_fini(&w);
    }
}

/* The target's record goes round by others before its own word comes: that is proof as well. */
static void record_before_word(void **state)
{
    (void)state;
    world w;
    rovei_attempt_id id;
    world_init_apart(&w, 2);
    w.delay = 5 * ROVE_MILLISECOND;
    rove_entity d = spawn(&w, 100);
    assert_ok(order(&w, 0, 1, &d, &id));
    uint64_t end = w.now.mono + ROVE_SECOND;
    while (!world_daemon(&w, 1, &d) || !rovei_daemon_serves(world_daemon(&w, 1, &d))) {
        assert_true(w.now.mono < end);
        world_run(&w, ROVE_MILLISECOND);
    }
    world_cut(&w, 0, 1, true);
    assert_false(over(&w, 0, &id));
    rovei_record record = rovei_location_get(w.nodes[1].node, &d)->record;
    rove_entity third = {{3}};
    assert_ok(rovei_location_learn(w.nodes[0].node, w.now, &record, &third));
    world_run(&w, ROVE_MILLISECOND);
    assert_int_equal(world_info(&w, 0, &id).outcome, ROVEI_OUTCOME_COMPLETED);
    assert_null(world_daemon(&w, 0, &d));
    assert_int_equal(world_deliver(&w, 0, &d, "late"), ROVE_E_MOVED);
    world_cut(&w, 0, 1, false);
    watch_until(&w, &d, 60 * ROVE_SECOND, over(&w, 0, &id));
    assert_int_equal(world_serving(&w, &d), 1);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_and_fro),         cmocka_unit_test(with_loss),
        cmocka_unit_test(cancelled),          cmocka_unit_test(cut_off),
        cmocka_unit_test(record_before_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
