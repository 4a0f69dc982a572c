/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime on real nodes over loopback: lifecycle, spawning and its races, delivery, snapshots,
 * observers, re-entry. Moves are in test_runtime_moves.c. */
#include "nodes.h"

/* ---- lifecycle ---- */

static void test_gate(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_daemon d;
    assert_false(rove_runtime_is_ready(p.rt));
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d), ROVE_E_NOT_READY);
    assert_int_equal(rove_runtime_stop(p.rt, (rove_daemon){1}), ROVE_E_NOT_READY);
    rove_snapshot *snapshot;
    assert_int_equal(rove_runtime_snapshot(p.rt, (rove_daemon){1}, &snapshot, NULL),
                     ROVE_E_NOT_READY);
    rove_migration m;
    assert_int_equal(rove_runtime_start_migration(p.rt, (rove_daemon){1}, &p.info.entity, &m),
                     ROVE_E_NOT_READY);
    assert_ok(rove_runtime_start(p.rt));
    assert_ok(rove_runtime_start(p.rt));
    assert_true(rove_runtime_is_ready(p.rt));
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_false(rove_runtime_is_ready(p.rt));
    assert_int_equal(rove_runtime_start(p.rt), ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d), ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_runtime_register_kind(p.rt, "other", &probe_kind, &p.control),
                     ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_runtime_expect_migration(p.rt, "probe", 7, NULL), ROVE_E_SHUTTING_DOWN);
    assert_ok(rove_runtime_stop(p.rt, (rove_daemon){1}));
    place_close(&p);
}

static void test_one_runtime_per_node(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    rove_runtime *second;
    assert_int_equal(rove_runtime_new(&second, p.node, NULL), ROVE_E_RUNTIME_EXISTS);
    rove_runtime_unref(p.rt); /* without shutdown */
    assert_ok(rove_runtime_new(&p.rt, p.node, NULL));
    place_close(&p);
}

static void test_kinds(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    assert_int_equal(rove_runtime_register_kind(p.rt, NULL, &probe_kind, &p.control),
                     ROVE_E_KIND_EXISTS);
    rove_kind bad = probe_kind;
    bad.abi++;
    assert_int_equal(rove_runtime_register_kind(p.rt, "bad", &bad, NULL), ROVE_E_ABI);
    assert_ok(rove_runtime_start(p.rt));
    assert_ok(rove_runtime_register_kind(p.rt, "late", &probe_kind, &p.control));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "late", NULL, NULL, &d));
    assert_int_equal(rove_runtime_spawn(p.rt, "nobody", NULL, NULL, &d), ROVE_E_KIND_UNKNOWN);
    assert_int_equal(rove_runtime_spawn(p.rt, NULL, NULL, NULL, &d), ROVE_E_USAGE);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 1);
    place_close(&p);
}

static void *register_same(void *arg)
{
    place *p = arg;
    rove_err err = rove_runtime_register_kind(p->rt, "same", &probe_kind, &p->control);
    return (void *)(intptr_t)err;
}

static void *start_too(void *arg)
{
    return (void *)(intptr_t)rove_runtime_start(((place *)arg)->rt);
}

/* All of those who start it at once have started it. */
static void test_concurrent_starts(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_too, &p), 0);
    for (int i = 0; i < 16; i++) {
        void *ret;
        pthread_join(threads[i], &ret);
        assert_int_equal((intptr_t)ret, ROVE_OK);
    }
    assert_true(rove_runtime_is_ready(p.rt));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    place_close(&p);
}

static void test_concurrent_registration(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    pthread_t threads[32];
    int ok = 0, exists = 0;
    for (int i = 0; i < 32; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, register_same, &p), 0);
    for (int i = 0; i < 32; i++) {
        void *ret;
        pthread_join(threads[i], &ret);
        ok += (intptr_t)ret == ROVE_OK;
        exists += (intptr_t)ret == ROVE_E_KIND_EXISTS;
    }
    assert_int_equal(ok, 1);
    assert_int_equal(exists, 31);
    place_close(&p);
}

/* ---- daemons ---- */

static void test_deliver_and_stats(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    assert_int_equal(d.origin, rove_identity_origin(id));
    for (int i = 1; i <= 5; i++) {
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        deliver_expecting(&p, d, want);
    }
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(p.rt, d, &stats));
    assert_int_equal(stats.events_processed, 5);
    assert_int_equal(stats.events_emitted, 5);
    rove_entity entity = rove_identity_entity(id), there;
    rove_daemon found;
    assert_ok(rove_runtime_find(p.rt, &entity, &found));
    assert_int_equal(found.origin, d.origin);
    assert_ok(rove_runtime_entity(p.rt, d, &there));
    assert_memory_equal(&there, &entity, sizeof there);
    rove_daemon_health health;
    assert_ok(rove_runtime_health(p.rt, d, &health));
    assert_int_equal(health.health, ROVE_HEALTHY);
    rove_daemon all[2];
    assert_int_equal(rove_runtime_daemons(p.rt, all, 2), 1);
    assert_int_equal(all[0].origin, d.origin);
    rove_identity_free(id);
    place_close(&p);
}

static void test_process_error(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    p.control.fail_process = true;
    rove_result result;
    assert_int_equal(deliver(&p, d, "x", &result), ROVE_E_PROCESS);
    assert_span(rove_buf_span(result.detail.text), "no: told to", 11);
    rove_result_fini(&result);
    p.control.fail_process = false;
    deliver_expecting(&p, d, "1");
    place_close(&p);
}

static void test_bad_delivers(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    rove_result result;
    rove_event event = {.payload = {NULL, 5}};
    assert_int_equal(rove_runtime_deliver(p.rt, d, &event, 0, &result, NULL, NULL), ROVE_E_USAGE);
    event.payload = span_of("x");
    assert_int_equal(
        rove_runtime_deliver(p.rt, d, &event, ROVE_DELIVER_NOWAIT, &result, NULL, NULL),
        ROVE_E_USAGE);
    assert_int_equal(rove_runtime_deliver(p.rt, d, &event, 8, &result, NULL, NULL), ROVE_E_USAGE);
    uint8_t *large = calloc(1, (1 << 20) + 1);
    event.payload = (rove_span){large, (1 << 20) + 1};
    assert_int_equal(rove_runtime_deliver(p.rt, d, &event, 0, &result, NULL, NULL),
                     ROVE_E_TOO_LARGE);
    assert_int_equal(result.detail.size, (1 << 20) + 1);
    assert_int_equal(result.detail.most, 1 << 20);
    event.payload.size = 1 << 20;
    assert_ok(rove_runtime_deliver(p.rt, d, &event, 0, &result, NULL, NULL));
    rove_result_fini(&result);
    free(large);
    assert_int_equal(deliver(&p, (rove_daemon){d.origin + 1}, "x", &result), ROVE_E_NOT_FOUND);
    place_close(&p);
}

static void test_duplicate_spawn(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    rove_daemon d, other;
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    deliver_expecting(&p, d, "1");
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", id, NULL, &other), ROVE_E_EXISTS);
    rove_spawn_options force;
    rove_spawn_options_init(&force);
    force.force = true;
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", id, &force, &other), ROVE_E_EXISTS);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 1);
    deliver_expecting(&p, d, "2"); /* the incumbent goes on, and its entry is still there */
    rove_snapshot *snapshot;
    assert_ok(rove_runtime_snapshot(p.rt, d, &snapshot, NULL));
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(p.rt, "probe", id, snapshot, NULL, &other, NULL),
        ROVE_E_EXISTS);
    deliver_expecting(&p, d, "3");
    rove_snapshot_unref(snapshot);
    rove_identity_free(id);
    place_close(&p);
}

static void test_stop(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    assert_ok(rove_runtime_stop(p.rt, d));
    assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
    rove_result result;
    assert_int_equal(deliver(&p, d, "x", &result), ROVE_E_NOT_FOUND);
    assert_int_equal(rove_runtime_stop(p.rt, d), ROVE_E_NOT_FOUND);
    /* The place that its spawn kept is free: it can be kept anew. */
    uint64_t origin = rove_identity_origin(id);
    assert_ok(rove_runtime_expect_migration(p.rt, "probe", origin, NULL));
    assert_ok(rove_runtime_withdraw_expectation(p.rt, origin));
    /* Who ended it himself may begin it anew. */
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    deliver_expecting(&p, d, "1");
    rove_identity_free(id);
    place_close(&p);
    assert_int_equal(p.control.created, p.control.destroyed);
}

static void test_shutdown_ends_daemons(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d[5];
    for (int i = 0; i < 5; i++)
        assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d[i]));
    assert_int_equal(p.control.created, 5);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 5);
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
    assert_int_equal(p.control.destroyed, 5);
    rove_result result;
    assert_int_equal(deliver(&p, d[0], "x", &result), ROVE_E_SHUTTING_DOWN);
    place_close(&p);
}

static void test_spawn_with_an_instance(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    void *instance = NULL;
    assert_ok(probe_create(&instance, &rovei_alloc_libc, &p.control));
    ((probe *)instance)->count = 41;
    rove_kind unregistered = probe_kind;
    unregistered.name = "unregistered";
    rove_daemon d, other;
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    assert_ok(rove_runtime_spawn_with(p.rt, &unregistered, &p.control, instance, id, NULL, &d));
    deliver_expecting(&p, d, "42");
    /* After an error the instance is still the caller's. */
    void *second = NULL;
    assert_ok(probe_create(&second, &rovei_alloc_libc, &p.control));
    assert_int_equal(
        rove_runtime_spawn_with(p.rt, &unregistered, &p.control, second, id, NULL, &other),
        ROVE_E_EXISTS);
    probe_destroy(second);
    rove_identity_free(id);
    place_close(&p);
    assert_int_equal(p.control.created, p.control.destroyed);
}

static void test_create_fails(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    p.control.fail_create = true;
    rove_daemon d;
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", id, NULL, &d), ROVE_E_IO);
    p.control.fail_create = false;
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d)); /* nothing was left behind */
    rove_identity_free(id);
    place_close(&p);
}

/* ---- snapshots ---- */

static void test_snapshot_and_spawn_from_it(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id, *foreign;
    assert_ok(rove_identity_generate(&id, p.node));
    assert_ok(rove_identity_generate(&foreign, p.node));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    rove_link head = {0};
    for (int i = 0; i < 5; i++) {
        rove_result result;
        assert_ok(deliver(&p, d, "x", &result));
        head = only_link(&result);
        rove_result_fini(&result);
    }
    rove_snapshot *snapshot;
    assert_ok(rove_runtime_snapshot(p.rt, d, &snapshot, NULL));
    rove_snapshot_info info = rove_snapshot_get_info(snapshot);
    assert_int_equal(info.through_seq, 5);
    assert_int_equal(info.state.size, 8);
    assert_ok(rove_runtime_stop(p.rt, d));
    rove_detail detail;
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(p.rt, "probe", foreign, snapshot, NULL, &d, &detail),
        ROVE_E_SNAPSHOT_IDENTITY);
    assert_int_equal(detail.expected, rove_identity_origin(id));
    assert_int_equal(detail.got, rove_identity_origin(foreign));
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, snapshot, NULL, &d, &detail));
    rove_result result;
    assert_ok(deliver(&p, d, "x", &result));
    assert_output(&result, "6");
    rove_link link = only_link(&result);
    assert_ok(rovei_link_validate(&head, span_of("5"), &link, NULL)); /* one chain */
    rove_result_fini(&result);
    assert_ok(rove_runtime_stop(p.rt, d));

    rove_buf *bytes;
    rove_snapshot *decoded;
    assert_ok(rove_snapshot_encode(snapshot, &bytes));
    assert_ok(rove_snapshot_decode(&decoded, rove_buf_span(bytes), NULL));
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, decoded, NULL, &d, NULL));
    deliver_expecting(&p, d, "6");
    assert_ok(rove_runtime_stop(p.rt, d));
    p.control.fail_restore = true;
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(p.rt, "probe", id, decoded, NULL, &d, &detail),
        ROVE_E_RESTORE_FAILED);
    assert_non_null(detail.text);
    rove_detail_fini(&detail);
    /* Its registration is gone, and that of nobody else: an incumbent stays as it is. */
    assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
    p.control.fail_restore = false;
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, decoded, NULL, &d, NULL));
    p.control.fail_restore = true;
    rove_daemon again;
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(p.rt, "probe", id, decoded, NULL, &again, NULL),
        ROVE_E_EXISTS);
    p.control.fail_restore = false;
    deliver_expecting(&p, d, "6");
    rove_buf_unref(bytes);
    rove_snapshot_unref(decoded);
    rove_snapshot_unref(snapshot);
    rove_identity_free(id);
    rove_identity_free(foreign);
    place_close(&p);
    assert_int_equal(p.control.created, p.control.destroyed);
}

static void test_stateless_snapshot(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d;
    assert_ok(rove_runtime_register_kind(p.rt, NULL, &stateless_kind, &p.control));
    assert_ok(rove_runtime_spawn(p.rt, "stateless", NULL, NULL, &d));
    rove_snapshot *snapshot;
    assert_int_equal(rove_runtime_snapshot(p.rt, d, &snapshot, NULL), ROVE_E_STATELESS);
    p.control.fail_snapshot = true;
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    rove_detail detail;
    assert_int_equal(rove_runtime_snapshot(p.rt, d, &snapshot, &detail), ROVE_E_SNAPSHOT_FAILED);
    assert_span(rove_buf_span(detail.text), "not now", 7);
    rove_detail_fini(&detail);
    place_close(&p);
}

/* ---- expectations ---- */

static void test_expectations(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_identity *id;
    rove_daemon d;
    assert_ok(rove_identity_generate(&id, p.node));
    uint64_t origin = rove_identity_origin(id);
    assert_int_equal(rove_runtime_expect_migration(p.rt, "nobody", 7, NULL), ROVE_E_KIND_UNKNOWN);
    assert_ok(rove_runtime_expect_migration(p.rt, "probe", origin, NULL));
    assert_int_equal(rove_runtime_expect_migration(p.rt, "probe", origin, NULL), ROVE_E_EXISTS);
    assert_int_equal(rove_runtime_register_migration_target_identity(p.rt, "probe", id),
                     ROVE_E_EXISTS);
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", id, NULL, &d), ROVE_E_EXISTS);
    assert_ok(rove_runtime_withdraw_expectation(p.rt, origin));
    assert_int_equal(rove_runtime_withdraw_expectation(p.rt, origin), ROVE_E_NOT_FOUND);
    assert_ok(rove_runtime_register_migration_target_identity(p.rt, "probe", id));
    assert_ok(rove_runtime_withdraw_expectation(p.rt, origin));
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    assert_int_equal(rove_runtime_withdraw_expectation(p.rt, origin), ROVE_E_EXISTS);
    rove_identity_free(id);
    place_close(&p);
}

/* ---- races, held still at pause points ---- */

typedef struct job {
    pthread_t thread;
    place *p;
    rove_identity *id;
    rove_daemon d;
    rove_err err;
} job;

static void *run_spawn(void *arg)
{
    job *j = arg;
    j->err = rove_runtime_spawn(j->p->rt, "probe", j->id, NULL, &j->d);
    return NULL;
}

static void *run_start(void *arg)
{
    job *j = arg;
    j->err = rove_runtime_start(j->p->rt);
    return NULL;
}

static void *run_expect(void *arg)
{
    job *j = arg;
    j->err = rove_runtime_expect_migration(j->p->rt, "probe", 77, NULL);
    return NULL;
}

static void begin(job *j, place *p, rovei_pause point, void *(*run)(void *))
{
    *j = (job){.p = p, .id = j->id};
    rovei_pause_arm(point);
    assert_int_equal(pthread_create(&j->thread, NULL, run, j), 0);
    rovei_pause_await(point);
}

static rove_err finish(job *j, rovei_pause point)
{
    rovei_pause_release(point);
    pthread_join(j->thread, NULL);
    return j->err;
}

static void test_spawn_against_shutdown(void **state)
{
    (void)state;
    const rovei_pause points[] = {ROVEI_PAUSE_SPAWN, ROVEI_PAUSE_SPAWN_CLAIM};
    for (int i = 0; i < 2; i++) {
        place p;
        place_ready(&p, 1);
        job j = {0};
        begin(&j, &p, points[i], run_spawn);
        assert_ok(rove_runtime_shutdown(p.rt));
        assert_int_equal(finish(&j, points[i]), ROVE_E_SHUTTING_DOWN);
        assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
        place_close(&p);
        assert_int_equal(p.control.created, p.control.destroyed);
    }
}

static void test_start_and_expect_against_shutdown(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    job start = {0}, expect = {0};
    begin(&start, &p, ROVEI_PAUSE_START, run_start);
    begin(&expect, &p, ROVEI_PAUSE_EXPECT, run_expect);
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_int_equal(finish(&start, ROVEI_PAUSE_START), ROVE_E_SHUTTING_DOWN);
    assert_int_equal(finish(&expect, ROVEI_PAUSE_EXPECT), ROVE_E_SHUTTING_DOWN);
    assert_false(rove_runtime_is_ready(p.rt));
    place_close(&p);
}

static void test_duplicate_spawn_in_flight(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    job j = {0};
    assert_ok(rove_identity_generate(&j.id, p.node));
    begin(&j, &p, ROVEI_PAUSE_SPAWN_CLAIM, run_spawn);
    rove_daemon d;
    /* The slot is claimed before the daemon can be seen. */
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", j.id, NULL, &d), ROVE_E_EXISTS);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
    assert_int_equal(rove_runtime_withdraw_expectation(p.rt, rove_identity_origin(j.id)),
                     ROVE_E_EXISTS);
    assert_ok(finish(&j, ROVEI_PAUSE_SPAWN_CLAIM));
    deliver_expecting(&p, j.d, "1");
    rove_identity_free(j.id);
    place_close(&p);
}

/* ---- re-entry ---- */

typedef struct reentry {
    place *p;
    rove_daemon self, other;
    rove_err deliver_self, deliver_other, nowait, spawn, stop, snapshot, shutdown, wait, stats;
    bool ready;
    size_t count;
} reentry;

static void never(void *user, rove_err err, const rove_result *result)
{
    (void)user;
    (void)err;
    (void)result;
    fail();
}

static rove_err call_the_runtime(probe_control *c, rove_ctx *ctx, const rove_event *event)
{
    reentry *r = c->arg;
    (void)ctx;
    rove_runtime *rt = r->p->rt;
    rove_result result;
    rove_daemon d;
    rove_snapshot *snapshot;
    rove_daemon_stats stats;
    r->deliver_self = rove_runtime_deliver(rt, r->self, event, 0, &result, NULL, NULL);
    r->deliver_other = rove_runtime_deliver(rt, r->other, event, 0, &result, NULL, NULL);
    r->nowait = rove_runtime_deliver(rt, r->self, event, ROVE_DELIVER_NOWAIT, &result, never, NULL);
    r->spawn = rove_runtime_spawn(rt, "probe", NULL, NULL, &d);
    r->stop = rove_runtime_stop(rt, r->other);
    r->snapshot = rove_runtime_snapshot(rt, r->self, &snapshot, NULL);
    r->shutdown = rove_runtime_shutdown(rt);
    r->wait = rove_migration_wait(rt, (rove_migration){{0}}, NULL);
    r->stats = rove_runtime_stats(rt, r->self, &stats);
    r->ready = rove_runtime_is_ready(rt);
    r->count = rove_runtime_daemon_count(rt);
    return ROVE_OK;
}

static void test_reentry(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    reentry r = {.p = &p};
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &r.self));
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &r.other));
    p.control.arg = &r;
    p.control.during = call_the_runtime;
    deliver_expecting(&p, r.self, "1");
    p.control.during = NULL;
    const rove_err all[] = {r.deliver_self, r.deliver_other, r.nowait, r.spawn, r.stop,
                            r.snapshot,     r.shutdown,      r.wait,   r.stats};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(all[i], ROVE_E_REENTRANT);
    assert_true(r.ready);
    assert_int_equal(r.count, 2);
    deliver_expecting(&p, r.other, "1"); /* nothing was done to it */
    place_close(&p);
}

/* ---- a daemon that takes its time ---- */

static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slow_moved = PTHREAD_COND_INITIALIZER;
static bool slow_inside, slow_go;

static rove_err take_time(probe_control *c, rove_ctx *ctx, const rove_event *event)
{
    (void)c;
    (void)ctx;
    if (event->payload.size != 4) /* "slow" */
        return ROVE_OK;
    pthread_mutex_lock(&slow_lock);
    slow_inside = true;
    pthread_cond_broadcast(&slow_moved);
    while (!slow_go)
        pthread_cond_wait(&slow_moved, &slow_lock);
    pthread_mutex_unlock(&slow_lock);
    return ROVE_OK;
}

typedef struct one_deliver {
    pthread_t thread;
    place *p;
    rove_daemon d;
    const char *text;
    rove_err err;
} one_deliver;

static void *run_deliver(void *arg)
{
    one_deliver *c = arg;
    rove_result result;
    c->err = deliver(c->p, c->d, c->text, &result);
    rove_result_fini(&result);
    return NULL;
}

static void test_a_slow_daemon_delays_nobody(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        place p;
        place_ready(&p, workers);
        slow_inside = slow_go = false;
        p.control.during = take_time;
        rove_daemon slow, other;
        assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &slow));
        assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &other));
        one_deliver first = {.p = &p, .d = slow, .text = "slow"};
        one_deliver second = {.p = &p, .d = slow, .text = "x"};
        assert_int_equal(pthread_create(&first.thread, NULL, run_deliver, &first), 0);
        pthread_mutex_lock(&slow_lock);
        while (!slow_inside)
            pthread_cond_wait(&slow_moved, &slow_lock);
        pthread_mutex_unlock(&slow_lock);
        assert_int_equal(pthread_create(&second.thread, NULL, run_deliver, &second), 0);
        deliver_expecting(&p, other, "1");
        assert_ok(rove_runtime_stop(p.rt, slow)); /* does not wait for it either */
        assert_int_equal(rove_runtime_daemon_count(p.rt), 1);
        deliver_expecting(&p, other, "2");
        pthread_mutex_lock(&slow_lock);
        slow_go = true;
        pthread_cond_broadcast(&slow_moved);
        pthread_mutex_unlock(&slow_lock);
        pthread_join(first.thread, NULL);
        pthread_join(second.thread, NULL);
        assert_int_equal(first.err, ROVE_OK); /* it had begun */
        assert_true(second.err == ROVE_E_STALE || second.err == ROVE_E_STOPPED ||
                    second.err == ROVE_E_NOT_FOUND);
        place_close(&p);
        assert_int_equal(p.control.created, p.control.destroyed);
    }
}

static void test_nowait_on_a_free_daemon(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    rove_event event = {.payload = span_of("x")};
    rove_result result;
    assert_ok(rove_runtime_deliver(p.rt, d, &event, ROVE_DELIVER_NOWAIT, &result, never, NULL));
    assert_output(&result, "1");
    rove_result_fini(&result);
    place_close(&p);
}

/* ---- observers ---- */

typedef struct watching {
    place *p;
    rove_daemon d;
    int order[8];
    uint64_t index[8];
    atomic_int count;
    bool deliver_more;
    rove_observer self;
} watching;

static void observe(watching *w, int who, uint64_t index)
{
    int at = atomic_fetch_add(&w->count, 1);
    if (at < 8) {
        w->order[at] = who;
        w->index[at] = index;
    }
}

static void observe_1(void *user, const rove_observed *o)
{
    watching *w = user;
    char want[24];
    size_t it = 0;
    rove_link link;
    rove_span payload;
    assert_int_equal(o->daemon.origin, w->d.origin);
    assert_span(o->event.payload, "x", 1);
    assert_true(o->event.received_at > 0);
    snprintf(want, sizeof want, "%d", (int)o->index);
    assert_int_equal(o->output_count, 1);
    assert_true(rove_observed_next(o, &it, &link, &payload));
    assert_span(payload, want, strlen(want));
    assert_false(rove_observed_next(o, &it, &link, &payload));
    observe(w, 1, o->index);
    assert_int_equal(rove_runtime_unobserve(w->p->rt, w->self), ROVE_E_WOULD_BLOCK);
    if (w->deliver_more) { /* no lock is held, and the daemon is free */
        w->deliver_more = false;
        deliver_expecting(w->p, o->daemon, "2");
    }
}

static void observe_2(void *user, const rove_observed *o)
{
    observe(user, 2, o->index);
}

static void test_observers(void **state)
{
    (void)state;
    place p;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.observers_max = 2;
    place_open_with(&p, 1, &limits);
    assert_ok(rove_runtime_start(p.rt));
    watching w = {.p = &p};
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &w.d));
    rove_observer a, b, c;
    assert_ok(rove_runtime_observe(p.rt, w.d, observe_1, &w, &a));
    assert_ok(rove_runtime_observe(p.rt, w.d, observe_2, &w, &b));
    assert_int_equal(rove_runtime_observe(p.rt, w.d, observe_2, &w, &c), ROVE_E_FULL);
    w.self = a;
    w.deliver_more = true;
    deliver_expecting(&p, w.d, "1");
    const int order[] = {1, 1, 2, 2};
    const uint64_t index[] = {1, 2, 2, 1};
    assert_int_equal(w.count, 4);
    assert_memory_equal(w.order, order, sizeof order);
    assert_memory_equal(w.index, index, sizeof index);
    p.control.fail_process = true; /* only what was applied is told */
    rove_result result;
    assert_int_equal(deliver(&p, w.d, "x", &result), ROVE_E_PROCESS);
    rove_result_fini(&result);
    p.control.fail_process = false;
    assert_int_equal(w.count, 4);
    assert_ok(rove_runtime_unobserve(p.rt, a));
    assert_int_equal(rove_runtime_unobserve(p.rt, a), ROVE_E_NOT_FOUND);
    deliver_expecting(&p, w.d, "3");
    assert_int_equal(w.count, 5);
    assert_int_equal(w.order[4], 2);
    assert_ok(rove_runtime_unobserve(p.rt, b));
    assert_false(rovei_observers_any(&p.rt->host.observers));
    place_close(&p);
}

/* ---- many threads ---- */

typedef struct hammer {
    place *p;
    rove_daemon d[3];
    atomic_uint failed;
} hammer;

#define HAMMER_EVENTS 2000

static void *hammer_run(void *arg)
{
    hammer *h = arg;
    for (int i = 0; i < HAMMER_EVENTS; i++) {
        rove_result result;
        if (deliver(h->p, h->d[i % 3], "x", &result))
            atomic_fetch_add(&h->failed, 1);
        rove_result_fini(&result);
    }
    return NULL;
}

static void hammer_with(unsigned workers)
{
    place p;
    place_ready(&p, workers);
    hammer h = {.p = &p};
    for (int i = 0; i < 3; i++)
        assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &h.d[i]));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_run, &h), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(h.failed, 0);
    uint64_t total = 0;
    for (int i = 0; i < 3; i++) {
        rove_daemon_stats stats;
        assert_ok(rove_runtime_stats(p.rt, h.d[i], &stats));
        assert_int_equal(stats.events_emitted, stats.events_processed);
        total += stats.events_processed;
    }
    assert_int_equal(total, 4 * HAMMER_EVENTS);
    place_close(&p);
}

static void test_many_threads(void **state)
{
    (void)state;
    hammer_with(0);
    hammer_with(1);
    hammer_with(3);
}

/* Delivers until the daemon is gone: every answer is one of those that say so. */
static void *deliver_until_gone(void *arg)
{
    hammer *h = arg;
    for (;;) {
        rove_result result;
        rove_err err = deliver(h->p, h->d[0], "x", &result);
        rove_result_fini(&result);
        if (err == ROVE_OK || err == ROVE_E_STALE)
            continue;
        if (err != ROVE_E_NOT_FOUND && err != ROVE_E_STOPPED && err != ROVE_E_SHUTTING_DOWN)
            atomic_fetch_add(&h->failed, 1);
        if (err == ROVE_E_NOT_FOUND || err == ROVE_E_SHUTTING_DOWN)
            return NULL;
    }
}

static void test_stop_under_fire(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        place p;
        place_ready(&p, (unsigned)round % 2);
        hammer h = {.p = &p};
        assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &h.d[0]));
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, deliver_until_gone, &h), 0);
        for (int i = 0; i < 20; i++)
            deliver_and_forget(&p, h.d[0]);
        if (round < 3)
            assert_ok(rove_runtime_stop(p.rt, h.d[0]));
        else
            assert_ok(rove_runtime_shutdown(p.rt));
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(h.failed, 0);
        place_close(&p);
        assert_int_equal(p.control.created, p.control.destroyed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_one_runtime_per_node),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_concurrent_starts),
        cmocka_unit_test(test_concurrent_registration),
        cmocka_unit_test(test_deliver_and_stats),
        cmocka_unit_test(test_process_error),
        cmocka_unit_test(test_bad_delivers),
        cmocka_unit_test(test_duplicate_spawn),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_shutdown_ends_daemons),
        cmocka_unit_test(test_spawn_with_an_instance),
        cmocka_unit_test(test_create_fails),
        cmocka_unit_test(test_snapshot_and_spawn_from_it),
        cmocka_unit_test(test_stateless_snapshot),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_spawn_against_shutdown),
        cmocka_unit_test(test_start_and_expect_against_shutdown),
        cmocka_unit_test(test_duplicate_spawn_in_flight),
        cmocka_unit_test(test_reentry),
        cmocka_unit_test(test_a_slow_daemon_delays_nobody),
        cmocka_unit_test(test_nowait_on_a_free_daemon),
        cmocka_unit_test(test_observers),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_stop_under_fire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
