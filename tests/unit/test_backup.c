/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's part of a backup: who may bring a daemon back, under which right, and what the senders
 * of its lanes hear. */
#include "lanes_kit.h"

#define SOON (5 * ROVE_SECOND)

static const rovei_note *restored(kit *k, size_t node, const world_backup *b, bool force)
{
    uint64_t request;
    assert_ok(world_spawn_from(&k->w, node, b, force, &request));
    world_until(&k->w, SOON, world_spawned(&k->w, node, request) != NULL);
    return world_spawned(&k->w, node, request);
}

static size_t forced_notes(kit *k, size_t node)
{
    return world_notes_of(&k->w, node, ROVEI_NOTE_FORCED);
}

/* Node 0 dies with the daemon; a backup that knows 20 of 33 events brings it back on node 2. */
static void back_on_another_node(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t busy = kit_open(k, 1, &d), idle = kit_open(k, 1, &d), there = kit_open(k, 2, &d);
    world_backup b;
    kit_stream(k, 1, busy, "b", 1, 20);
    kit_stream(k, 1, idle, "i", 1, 3);
    world_run(&k->w, ROVE_SECOND);
    world_backup_take(&k->w, 0, &d, &b);
    assert_int_equal(b.positions.epoch, 1);
    assert_string_equal(b.positions.kind, "log");
    kit_stream(k, 1, busy, "b", 21, 33);
    kit_stream(k, 1, idle, "i", 4, 5);
    kit_stream(k, 2, there, "t", 1, 4); /* a lane that the backup does not know */
    world_run(&k->w, ROVE_SECOND);
    world_stop(&k->w, 0);
    world_run(&k->w, ROVE_SECOND);

    /* The others know of its holder. */
    assert_int_equal(restored(k, 2, &b, false)->err, ROVE_E_LIVES_ELSEWHERE);
    assert_null(rovei_daemon_find(k->w.nodes[2].node, &d));
    const rovei_note *note = restored(k, 2, &b, true);
    assert_ok(note->err);
    assert_int_equal(note->value, 1 + ROVEI_EPOCH_FORCED);
    rovei_daemon_info info;
    assert_ok(rovei_node_daemon_get(k->w.nodes[2].node, &d, &info));
    assert_int_equal(info.epoch, 1 + ROVEI_EPOCH_FORCED);
    assert_int_equal(info.sinc.number, info.epoch);
    assert_non_null(info.note);

    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(forced_notes(k, 1), 1);
    assert_int_equal(forced_notes(k, 2), 1);
    assert_int_equal(kit_lost(k, 1, busy), 13);
    assert_int_equal(kit_note(k, 1, busy, ROVEI_NOTE_LOST, 21)->value, 33);
    assert_int_equal(kit_lost(k, 1, idle), 2);
    kit_stream(k, 1, busy, "c", 34, 40);
    kit_stream(k, 2, there, "t", 5, 8);
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 2, there), 4);
    kit_assert_applied(k, 1, busy, 34, 40);
    const world_cell *c = world_cell_of(&k->w, 2, &d);
    kit_assert_log(c, "b", 1, 20); /* none doubled, and none of those that are lost */
    kit_assert_log(c, "c", 34, 40);
    assert_int_equal(kit_lane(k, 2, 1, busy)->position, 40);
    world_backup_fini(&b);
    kit_free(k);
}

/* The old holder is alive and cut off: when it hears of the forced right it stops at once. */
static void the_old_copy_stops(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    world_backup b;
    world_backup_take(&k->w, 0, &d, &b);
    world_cut(&k->w, 0, 1, true);
    world_run(&k->w, 15 * ROVE_SECOND);
    assert_ok(restored(k, 1, &b, true)->err);
    assert_int_equal(world_serving(&k->w, &d), 2); /* by an operator's word */
    world_cut(&k->w, 0, 1, false);
    world_until(&k->w, 60 * ROVE_SECOND, world_serving(&k->w, &d) == 1);
    assert_int_equal(world_role_of(&k->w, 0, &d), ROVEI_ROLE_ASIDE);
    assert_true(forced_notes(k, 0) >= 1);
    rovei_backup none;
    assert_int_equal(
        rovei_node_backup(k->w.nodes[0].node, k->w.now, world_cell_of(&k->w, 0, &d)->number, &none),
        ROVE_E_SUPERSEDED);
    world_backup_fini(&b);
    kit_free(k);
}

/* Nobody knows of it: no force is needed, the epoch is a forced one all the same, and above the
 * backup's own. Here it was stopped; so it is here that it may come back. */
static void without_force(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    world_backup b;
    world_backup_take(&k->w, 0, &d, &b);
    assert_ok(rovei_node_stop(k->w.nodes[0].node, k->w.now, &d));
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(restored(k, 0, &b, false)->value, 1 + ROVEI_EPOCH_FORCED);
    assert_ok(rovei_node_stop(k->w.nodes[0].node, k->w.now, &d));
    world_run(&k->w, ROVE_SECOND);
    b.positions.epoch = 77 * ROVEI_EPOCH_FORCED;
    b.positions.sinc.number = 77 * ROVEI_EPOCH_FORCED + 5;
    assert_int_equal(restored(k, 0, &b, false)->value, 78 * ROVEI_EPOCH_FORCED);
    world_backup_fini(&b);
    kit_free(k);
}

/* Bytes from a file are checked before anything of them counts, and leave nothing. */
static void bad_backups(void **state)
{
    (void)state;
    kit *k = kit_new(1);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 0, &d), request;
    world_backup b, bad;
    kit_stream(k, 0, s, "x", 1, 3);
    world_run(&k->w, ROVE_SECOND);
    world_backup_take(&k->w, 0, &d, &b);
    assert_int_equal(world_spawn_from(&k->w, 0, &b, true, &request), ROVE_E_EXISTS);
    assert_ok(rovei_node_stop(k->w.nodes[0].node, k->w.now, &d));
    world_run(&k->w, ROVE_SECOND);
    rovei_node *n = k->w.nodes[0].node;
    size_t daemons = rovei_node_stats_get(n).daemons;
    rove_span lanes = rove_buf_span(b.positions.lanes);
    for (size_t size = 0; size < lanes.size; size++) {
        bad = b;
        bad.positions.lanes = rovei_buf_copy(NULL, lanes.data, size);
        assert_int_equal(world_spawn_from(&k->w, 0, &bad, true, &request), ROVE_E_SHORT);
        rove_buf_unref(bad.positions.lanes);
    }
    bad = b;
    bad.positions.epoch = ROVEI_EPOCH_MAX + 1;
    assert_int_equal(world_spawn_from(&k->w, 0, &bad, true, &request), ROVE_E_BOUND);
    bad = b;
    bad.positions.epoch = ROVEI_EPOCH_MAX; /* and nothing above it is left */
    const rovei_note *note = restored(k, 0, &bad, true);
    assert_int_equal(note->err, ROVE_E_BOUND);
    assert_int_equal(rovei_node_stats_get(n).daemons, daemons);
    assert_ok(restored(k, 0, &b, true)->err);
    world_backup_fini(&b);
    kit_free(k);
}

/* While it is frozen, or has gone, there is no point to take it at. */
static void not_while_it_moves(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    rovei_backup b;
    uint64_t cell = world_cell_of(&k->w, 0, &d)->number;
    assert_ok(rovei_node_backup(k->w.nodes[0].node, k->w.now, cell, &b));
    rovei_backup_fini(&b);
    rovei_attempt_id a = world_move_until(&k->w, &d, 0, ROVEI_EFFECT_COMMIT);
    assert_int_equal(rovei_node_backup(k->w.nodes[0].node, k->w.now, cell, &b),
                     ROVE_E_ALREADY_MIGRATING);
    world_release(&k->w, 0);
    world_until(&k->w, WORLD_LONG, world_completed(&k->w, 0, &a));
    world_run(&k->w, 5 * ROVE_SECOND);
    assert_int_equal(rovei_node_backup(k->w.nodes[0].node, k->w.now, cell, &b), ROVE_E_NOT_FOUND);
    cell = world_cell_of(&k->w, 1, &d)->number;
    assert_ok(rovei_node_backup(k->w.nodes[1].node, k->w.now, cell, &b));
    assert_int_equal(b.epoch, 2);
    rovei_backup_fini(&b);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_on_another_node), cmocka_unit_test(the_old_copy_stops),
        cmocka_unit_test(without_force),        cmocka_unit_test(bad_backups),
        cmocka_unit_test(not_while_it_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
