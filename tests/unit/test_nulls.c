/* SPDX-License-Identifier: Apache-2.0
 *
 * NULL where no comment allows it, in every public call: ROVE_E_USAGE and nothing done (the rule of
 * rove/types.h); what frees ignores it. */
#include "nodes.h"
#include <rove/async.h>
#include <rove/placement.h>

#define assert_usage(call) assert_int_equal((call), ROVE_E_USAGE)

/* A completion that must not come. One function for all of them would need casts: the calls look
 * at no completion but for NULL, so each has its own. */
static void no_done(void *user, rove_err err)
{
    (void)user;
    (void)err;
    fail();
}
static void no_spawn(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    (void)daemon;
    (void)detail;
    no_done(user, err);
}
static void no_spawned(void *user, rove_err err, const rove_spawned *spawned)
{
    (void)spawned;
    no_done(user, err);
}
static void no_snapshot(void *user, rove_err err, rove_snapshot *snapshot,
                        const rove_detail *detail)
{
    (void)snapshot;
    (void)detail;
    no_done(user, err);
}
static void no_stats(void *user, rove_err err, const rove_daemon_stats *stats)
{
    (void)stats;
    no_done(user, err);
}
static void no_health(void *user, rove_err err, const rove_daemon_health *health)
{
    (void)health;
    no_done(user, err);
}
static void no_result(void *user, rove_err err, const rove_result *result)
{
    (void)result;
    no_done(user, err);
}
static void no_move(void *user, rove_err err, rove_migration migration)
{
    (void)migration;
    no_done(user, err);
}
static void no_info(void *user, rove_err err, const rove_migration_info *info)
{
    (void)info;
    no_done(user, err);
}
static void no_moves(void *user, rove_err err, const rove_migration_info *moves, size_t count)
{
    (void)moves;
    (void)count;
    no_done(user, err);
}
static void no_phase(void *user, rove_err err, rove_phase phase)
{
    (void)phase;
    no_done(user, err);
}
static void no_sender(void *user, rove_err err, rove_sender *sender)
{
    (void)sender;
    no_done(user, err);
}
static void no_sent(void *user, rove_err err, const rove_sent *sent)
{
    (void)sent;
    no_done(user, err);
}
static void no_dump(void *user, rove_err err, rove_buf *text)
{
    (void)text;
    no_done(user, err);
}
static void no_event(void *user, const rove_observed *observed)
{
    (void)user;
    (void)observed;
    fail();
}

static const rove_span broken = {NULL, 1};
static const rove_daemon nobody = {1};
static const rove_migration nothing = {{0}};

/* ---- what ignores NULL, and what has an answer to it ---- */

static void test_ignored(void **state)
{
    (void)state;
    rove_node_free(NULL);
    rove_runtime_unref(NULL);
    rove_snapshot_unref(NULL);
    rove_buf_unref(NULL);
    rove_identity_free(NULL);
    rove_detail_fini(NULL);
    rove_result_fini(NULL);
    rove_sent_fini(NULL);
    rove_sender_close(NULL);
    rove_sender_free(NULL);
    assert_null(rove_runtime_ref(NULL));
    assert_null(rove_snapshot_ref(NULL));
    assert_null(rove_buf_ref(NULL));
    assert_int_equal(rove_buf_span(NULL).size, 0);
    assert_int_equal(rove_node_fd(NULL), -1);
    assert_true(rove_node_deadline(NULL) == ROVE_TIME_NEVER);
    assert_false(rove_runtime_is_ready(NULL));
    assert_int_equal(rove_runtime_daemon_count(NULL), 0);
    assert_int_equal(rove_runtime_daemons(NULL, NULL, 1), 0);
    assert_int_equal(rove_runtime_moves(NULL, NULL, 1), 0);
    assert_int_equal(rove_runtime_migration_phase(NULL, nobody), ROVE_PHASE_NONE);
    assert_int_equal(rove_migration_phase(NULL, nothing), ROVE_PHASE_NONE);
    assert_false(rove_limits_info(0, NULL));
}

/* ---- bytes, limits, snapshots, identities ---- */

static void test_values(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_buf *buf;
    assert_usage(rove_buf_new(NULL, span_of("x"), NULL));
    assert_usage(rove_buf_new(&buf, broken, NULL));
    rove_limits limits;
    rove_limits_init(&limits);
    assert_usage(rove_limits_set(NULL, "event_max", "1"));
    assert_usage(rove_limits_set(&limits, NULL, "1"));
    assert_usage(rove_limits_set(&limits, "event_max", NULL));
    assert_usage(rove_limits_check(NULL, NULL, NULL));
    rove_snapshot *s;
    assert_usage(rove_snapshot_decode(NULL, span_of("x"), NULL));
    assert_usage(rove_snapshot_decode(&s, broken, NULL));
    assert_usage(rove_snapshot_encode(NULL, &buf));
    assert_usage(rove_snapshot_write(NULL, NULL, NULL));
    assert_usage(rove_snapshot_write_fd(NULL, 1));
    assert_usage(rove_snapshot_read(NULL, NULL, NULL, NULL, NULL));
    assert_usage(rove_snapshot_read_fd(NULL, 0, NULL, NULL));
    rove_identity *id;
    uint8_t signature[64], seed[32] = {1};
    assert_usage(rove_identity_generate(NULL, p.node));
    assert_usage(rove_identity_generate(&id, NULL));
    assert_usage(rove_identity_from_seed(&id, p.node, NULL));
    assert_usage(rove_identity_from_seed(&id, NULL, seed));
    assert_usage(rove_identity_from_file_bytes(&id, p.node, broken));
    assert_usage(rove_identity_public_only(&id, p.node, NULL));
    assert_usage(rove_identity_sign(NULL, span_of("x"), signature));
    assert_ok(rove_identity_from_seed(&id, p.node, seed));
    assert_usage(rove_identity_sign(id, span_of("x"), NULL));
    assert_usage(rove_identity_sign(id, broken, signature));
    assert_ok(rove_identity_sign(id, (rove_span){NULL, 0}, signature));
    rove_identity_free(id);
    place_close(&p);
}

static void test_no_key(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_identity *id = NULL;
    rove_entity none = {{0}}, no_point = {{2}}; /* of small order; y = 2 lies on no point */
    assert_int_equal(rove_identity_public_only(&id, p.node, &none), ROVE_E_NO_IMAGE);
    assert_int_equal(rove_identity_public_only(&id, p.node, &no_point), ROVE_E_PUBLIC_KEY);
    assert_null(id);
    assert_ok(rove_identity_public_only(&id, p.node, &p.info.entity));
    rove_identity_free(id);
    place_close(&p);
}

/* ---- nodes and senders ---- */

static void test_node(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_node *node;
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    rove_buf *text;
    const rove_entity *peer = &p.info.entity;
    assert_usage(rove_node_new(NULL, &cfg));
    assert_usage(rove_node_new(&node, NULL));
    assert_usage(rove_node_new(&node, &cfg)); /* no psk */
    assert_usage(rove_node_process(NULL));
    assert_usage(rove_node_connect(NULL, peer, "127.0.0.1:1"));
    assert_usage(rove_node_connect(p.node, NULL, "127.0.0.1:1"));
    assert_usage(rove_node_connect(p.node, peer, NULL));
    assert_usage(rove_node_list_net(NULL, 1, NULL, NULL));
    assert_usage(rove_node_list_net(p.node, 1, NULL, NULL)); /* has no class net */
    assert_usage(rove_node_connect_async(NULL, peer, "127.0.0.1:1", no_done, NULL));
    assert_usage(rove_node_connect_async(p.node, peer, NULL, no_done, NULL));
    assert_usage(rove_node_connect_async(p.node, peer, "127.0.0.1:1", NULL, NULL));
    assert_usage(rove_node_wait_peer(NULL, peer, 0));
    assert_usage(rove_node_wait_peer(p.node, NULL, 0));
    assert_usage(rove_node_wait_peer_async(NULL, peer, 0, no_done, NULL));
    assert_usage(rove_node_wait_peer_async(p.node, peer, 0, NULL, NULL));
    assert_usage(rove_node_dump(NULL, &text));
    assert_usage(rove_node_dump(p.node, NULL));
    assert_usage(rove_node_dump_async(NULL, no_dump, NULL));
    assert_usage(rove_node_dump_async(p.node, NULL, NULL));
    place_close(&p);
}

static void test_sender(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_sender *s;
    rove_sent sent;
    const rove_entity *daemon = &p.info.entity;
    assert_usage(rove_sender_open(NULL, p.node, daemon, NULL));
    assert_usage(rove_sender_open(&s, NULL, daemon, NULL));
    assert_usage(rove_sender_open(&s, p.node, NULL, NULL));
    assert_usage(rove_sender_open_async(p.node, NULL, NULL, no_sender, NULL));
    assert_usage(rove_sender_open_async(p.node, daemon, NULL, NULL, NULL));
    assert_usage(rove_sender_send(NULL, span_of("x"), false, NULL));
    assert_usage(rove_sender_next(NULL, 0, &sent));
    assert_usage(rove_sender_next_async(NULL, 0, no_sent, NULL));
    assert_usage(rove_sender_room_async(NULL, 1, no_done, NULL));
    assert_usage(rove_sender_free_async(NULL, no_done, NULL));
    assert_ok(rove_sender_open(&s, p.node, daemon, NULL));
    assert_usage(rove_sender_send(s, broken, false, NULL));
    assert_usage(rove_sender_next(s, 0, NULL));
    assert_usage(rove_sender_next_async(s, 0, NULL, NULL));
    assert_usage(rove_sender_room_async(s, 1, NULL, NULL));
    assert_usage(rove_sender_free_async(s, NULL, NULL));
    rove_sender_free(s);
    place_close(&p);
}

/* ---- runtimes: before the lifecycle is looked at ---- */

static void test_life(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_runtime *rt;
    assert_usage(rove_runtime_new(NULL, p.node, NULL));
    assert_usage(rove_runtime_new(&rt, NULL, NULL));
    assert_usage(rove_runtime_start(NULL));
    assert_usage(rove_runtime_shutdown(NULL));
    assert_usage(rove_runtime_shutdown_async(NULL, no_done, NULL));
    assert_usage(rove_runtime_shutdown_async(p.rt, NULL, NULL));
    assert_usage(rove_runtime_unref_async(NULL, no_done, NULL));
    assert_usage(rove_runtime_unref_async(p.rt, NULL, NULL));
    assert_usage(rove_runtime_register_kind(NULL, "x", &probe_kind, NULL));
    assert_usage(rove_runtime_register_kind(p.rt, NULL, NULL, NULL));
    assert_usage(rove_runtime_expect_migration(NULL, "probe", 7, NULL));
    assert_usage(rove_runtime_expect_migration(p.rt, NULL, 7, NULL));
    assert_usage(rove_runtime_register_migration_target_identity(p.rt, "probe", NULL));
    assert_usage(rove_runtime_register_migration_target_identity(NULL, "probe", NULL));
    assert_usage(rove_runtime_withdraw_expectation(NULL, 7));
    assert_usage(rove_runtime_accept_kind(NULL, "probe", true));
    place_close(&p);
}

static void test_spawn(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_runtime *rt = p.rt;
    const rove_kind *kind = &probe_kind;
    rove_daemon d;
    assert_usage(rove_runtime_spawn(NULL, "probe", NULL, NULL, &d));
    assert_usage(rove_runtime_spawn(rt, NULL, NULL, NULL, &d));
    assert_usage(rove_runtime_spawn(rt, "probe", NULL, NULL, NULL));
    assert_usage(rove_runtime_spawn_with(rt, NULL, NULL, &p, NULL, NULL, &d));
    assert_usage(rove_runtime_spawn_with(rt, kind, NULL, NULL, NULL, NULL, &d));
    assert_usage(rove_runtime_spawn_with(NULL, kind, NULL, &p, NULL, NULL, &d));
    assert_usage(rove_runtime_spawn_from_snapshot(rt, "probe", NULL, NULL, NULL, &d, NULL));
    assert_usage(
        rove_runtime_spawn_from_snapshot_with(rt, kind, NULL, &p, NULL, NULL, NULL, &d, NULL));
    assert_usage(rove_runtime_spawn_async(NULL, "probe", NULL, NULL, no_spawn, NULL));
    assert_usage(rove_runtime_spawn_async(rt, NULL, NULL, NULL, no_spawn, NULL));
    assert_usage(rove_runtime_spawn_async(rt, "probe", NULL, NULL, NULL, NULL));
    rove_spawned there;
    rove_placement at = {0};
    assert_usage(rove_runtime_spawn_anywhere(NULL, "probe", NULL, NULL, &there));
    assert_usage(rove_runtime_spawn_anywhere(rt, NULL, NULL, NULL, &there));
    assert_usage(rove_runtime_spawn_anywhere(rt, "probe", NULL, NULL, NULL));
    assert_usage(rove_runtime_spawn_at(rt, "probe", NULL, NULL, NULL, &there));
    assert_usage(rove_runtime_spawn_at(rt, "probe", &at, NULL, NULL, NULL));
    assert_usage(rove_runtime_spawn_at_async(NULL, "probe", &at, NULL, NULL, no_spawned, NULL));
    assert_usage(rove_runtime_spawn_at_async(rt, NULL, &at, NULL, NULL, no_spawned, NULL));
    assert_usage(rove_runtime_spawn_at_async(rt, "probe", &at, NULL, NULL, NULL, NULL));
    assert_usage(rove_runtime_spawn_with_async(rt, NULL, NULL, &p, NULL, NULL, no_spawn, NULL));
    assert_usage(
        rove_runtime_spawn_from_snapshot_async(rt, "probe", NULL, NULL, NULL, no_spawn, NULL));
    assert_usage(rove_runtime_spawn_from_snapshot_with_async(rt, kind, NULL, &p, NULL, NULL, NULL,
                                                             no_spawn, NULL));
    assert_usage(rove_runtime_stop(NULL, nobody));
    assert_usage(rove_runtime_stop_async(NULL, nobody, no_done, NULL));
    assert_usage(rove_runtime_stop_async(rt, nobody, NULL, NULL));
    assert_int_equal(rove_runtime_daemon_count(rt), 0);
    place_close(&p);
}

static void test_daemons(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_runtime *rt = p.rt;
    rove_daemon d, found;
    rove_entity entity;
    rove_daemon_stats stats;
    rove_daemon_health health;
    const rove_control control = {.kind = ROVE_CONTROL_DRAIN_START};
    rove_snapshot *s;
    rove_buf *buf;
    assert_ok(rove_runtime_spawn(rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(rt, d, &entity));
    assert_usage(rove_runtime_find(NULL, &entity, &found));
    assert_usage(rove_runtime_find(rt, NULL, &found));
    assert_usage(rove_runtime_find(rt, &entity, NULL));
    assert_usage(rove_runtime_entity(NULL, d, &entity));
    assert_usage(rove_runtime_entity(rt, d, NULL));
    assert_int_equal(rove_runtime_daemons(rt, NULL, 5), 1);
    assert_usage(rove_runtime_stats(NULL, d, &stats));
    assert_usage(rove_runtime_stats(rt, d, NULL));
    assert_usage(rove_runtime_stats_async(NULL, d, no_stats, NULL));
    assert_usage(rove_runtime_stats_async(rt, d, NULL, NULL));
    assert_usage(rove_runtime_health(NULL, d, &health));
    assert_usage(rove_runtime_health(rt, d, NULL));
    assert_usage(rove_runtime_health_async(NULL, d, no_health, NULL));
    assert_usage(rove_runtime_health_async(rt, d, NULL, NULL));
    assert_usage(rove_runtime_control(NULL, d, &control));
    assert_usage(rove_runtime_control(rt, d, NULL));
    assert_usage(rove_runtime_control_async(rt, d, NULL, no_done, NULL));
    assert_usage(rove_runtime_control_async(rt, d, &control, NULL, NULL));
    assert_usage(rove_runtime_snapshot(NULL, d, &s, NULL));
    assert_usage(rove_runtime_snapshot(rt, d, NULL, NULL));
    assert_usage(rove_runtime_snapshot_async(NULL, d, no_snapshot, NULL));
    assert_usage(rove_runtime_snapshot_async(rt, d, NULL, NULL));
    assert_usage(rove_runtime_backup(NULL, d, &s, NULL));
    assert_usage(rove_runtime_backup(rt, d, NULL, NULL));
    assert_usage(rove_runtime_backup_async(NULL, d, no_snapshot, NULL));
    assert_usage(rove_runtime_backup_async(rt, d, NULL, NULL));
    assert_ok(rove_runtime_snapshot(rt, d, &s, NULL));
    assert_usage(rove_snapshot_encode(s, NULL));
    assert_ok(rove_snapshot_encode(s, &buf));
    rove_buf_unref(buf);
    rove_snapshot_unref(s);
    place_close(&p);
}

static void test_events(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_runtime *rt = p.rt;
    rove_event event = {.payload = span_of("x")}, bad = {.payload = broken};
    rove_result result;
    rove_observer observer;
    assert_usage(rove_runtime_deliver(NULL, nobody, &event, 0, &result, NULL, NULL));
    assert_usage(rove_runtime_deliver(rt, nobody, NULL, 0, &result, NULL, NULL));
    assert_usage(rove_runtime_deliver(rt, nobody, &bad, 0, &result, NULL, NULL));
    assert_usage(rove_runtime_deliver(rt, nobody, &event, 0, NULL, NULL, NULL));
    assert_usage(rove_runtime_deliver_async(NULL, nobody, &event, no_result, NULL));
    assert_usage(rove_runtime_deliver_async(rt, nobody, NULL, no_result, NULL));
    assert_usage(rove_runtime_deliver_async(rt, nobody, &event, NULL, NULL));
    assert_usage(rove_runtime_observe(NULL, nobody, no_event, NULL, &observer));
    assert_usage(rove_runtime_observe(rt, nobody, NULL, NULL, &observer));
    assert_usage(rove_runtime_observe(rt, nobody, no_event, NULL, NULL));
    assert_usage(rove_runtime_unobserve(NULL, (rove_observer){1, 1}));
    assert_usage(rove_runtime_unobserve_async(NULL, (rove_observer){1, 1}, no_done, NULL));
    assert_usage(rove_runtime_unobserve_async(rt, (rove_observer){1, 1}, NULL, NULL));
    place_close(&p);
}

static void test_moves(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_runtime *rt = p.rt;
    const rove_entity *target = &p.info.entity;
    rove_migration m;
    rove_migration_info info;
    assert_usage(rove_runtime_start_migration(NULL, nobody, target, &m));
    assert_usage(rove_runtime_start_migration(rt, nobody, NULL, &m));
    assert_usage(rove_runtime_start_migration(rt, nobody, target, NULL));
    assert_usage(rove_runtime_start_migration_async(NULL, nobody, target, NULL, no_move, NULL));
    assert_usage(rove_runtime_start_migration_async(rt, nobody, NULL, NULL, no_move, NULL));
    assert_usage(rove_runtime_start_migration_async(rt, nobody, target, NULL, NULL, NULL));
    rove_placement at;
    assert_usage(rove_runtime_place_migration(NULL, nobody, &at));
    assert_usage(rove_runtime_place_migration(rt, nobody, NULL));
    assert_usage(rove_runtime_select_migration_target(NULL, nobody, &at));
    assert_usage(rove_runtime_select_migration_target(rt, nobody, NULL));
    assert_usage(rove_runtime_place(NULL, "probe", &at));
    assert_usage(rove_runtime_place(rt, NULL, &at));
    assert_usage(rove_runtime_place(rt, "probe", NULL));
    assert_usage(rove_runtime_start_migration_auto(NULL, nobody, NULL, &m));
    assert_usage(rove_runtime_start_migration_auto(rt, nobody, NULL, NULL));
    assert_usage(rove_runtime_start_migration_auto_async(NULL, nobody, NULL, no_move, NULL));
    assert_usage(rove_runtime_start_migration_auto_async(rt, nobody, NULL, NULL, NULL));
    assert_usage(rove_runtime_start_migration_from(NULL, nobody, target, target, NULL, &m));
    assert_usage(rove_runtime_start_migration_from(rt, nobody, NULL, target, NULL, &m));
    assert_usage(rove_runtime_start_migration_from(rt, nobody, target, NULL, NULL, &m));
    assert_usage(rove_runtime_start_migration_from(rt, nobody, target, target, NULL, NULL));
    assert_usage(
        rove_runtime_start_migration_from_async(NULL, nobody, target, target, NULL, no_move, NULL));
    assert_usage(
        rove_runtime_start_migration_from_async(rt, nobody, NULL, target, NULL, no_move, NULL));
    assert_usage(
        rove_runtime_start_migration_from_async(rt, nobody, target, NULL, NULL, no_move, NULL));
    assert_usage(
        rove_runtime_start_migration_from_async(rt, nobody, target, target, NULL, NULL, NULL));
    assert_usage(rove_migration_get(NULL, nothing, &info));
    assert_usage(rove_migration_get(rt, nothing, NULL));
    assert_usage(rove_migration_get_async(NULL, nothing, no_info, NULL));
    assert_usage(rove_migration_get_async(rt, nothing, NULL, NULL));
    assert_usage(rove_migration_wait(NULL, nothing, NULL));
    assert_usage(rove_migration_wait_with_timeout(NULL, nothing, 1, NULL));
    assert_usage(rove_migration_wait_async(NULL, nothing, no_info, NULL));
    assert_usage(rove_migration_wait_with_timeout_async(rt, nothing, 1, NULL, NULL));
    assert_usage(rove_migration_cancel(NULL, nothing));
    assert_usage(rove_migration_cancel_async(NULL, nothing, no_done, NULL));
    assert_usage(rove_migration_cancel_async(rt, nothing, NULL, NULL));
    assert_int_equal(rove_runtime_moves(rt, NULL, 5), 0);
    assert_usage(rove_runtime_moves_async(NULL, no_moves, NULL));
    assert_usage(rove_runtime_moves_async(rt, NULL, NULL));
    assert_usage(rove_runtime_migration_phase_async(NULL, nobody, no_phase, NULL));
    assert_usage(rove_runtime_migration_phase_async(rt, nobody, NULL, NULL));
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ignored), cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_key),  cmocka_unit_test(test_node),
        cmocka_unit_test(test_sender),  cmocka_unit_test(test_life),
        cmocka_unit_test(test_spawn),   cmocka_unit_test(test_daemons),
        cmocka_unit_test(test_events),  cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
