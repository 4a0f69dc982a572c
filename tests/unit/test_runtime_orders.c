/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves that a runtime orders from another node, over loopback: what the caller sees of it, how he
 * waits for it and cancels it. `a` has the daemon, `b` is to get it, `c` orders. */
#include "nodes.h"
#include <rove/async.h>

typedef struct trio {
    place a, b, c;
    rove_daemon d;
    atomic_bool allows;
    atomic_uint asked;
} trio;

static bool allow(void *user, const rove_policy_request *request)
{
    trio *t = user;
    if (request->question != ROVE_ASK_ORDER)
        return request->preset;
    assert_false(request->preset);
    assert_string_equal(request->kind, "probe");
    atomic_fetch_add(&t->asked, 1);
    return atomic_load(&t->allows);
}

static void trio_open(trio *t)
{
    memset(t, 0, sizeof *t);
    atomic_init(&t->allows, true);
    place_open(&t->a, 1);
    rove_runtime_unref(t->a.rt);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.policy = (rove_policy){allow, t};
    assert_ok(rove_runtime_new(&t->a.rt, t->a.node, &rc));
    assert_ok(rove_runtime_register_kind(t->a.rt, NULL, &probe_kind, &t->a.control));
    assert_ok(rove_runtime_start(t->a.rt));
    place_ready(&t->b, 1);
    place_ready(&t->c, 1);
    connect_places(&t->a, &t->b);
    connect_places(&t->c, &t->a);
    connect_places(&t->c, &t->b);
    assert_ok(rove_runtime_spawn(t->a.rt, "probe", NULL, NULL, &t->d));
}

static void trio_close(trio *t)
{
    place_close(&t->a);
    place_close(&t->b);
    place_close(&t->c);
}

static rove_migration order(trio *t, place *by, const rove_migration_options *options)
{
    rove_migration m;
    assert_ok(rove_runtime_start_migration_from(by->rt, t->d, &t->a.info.entity, &t->b.info.entity,
                                                options, &m));
    return m;
}

typedef struct told {
    rove_phase phases[16];
    size_t count;
    unsigned ended;
} telling;

static void tell(void *user, rove_move_event event, const rove_migration_info *info)
{
    telling *t = user;
    assert_true(info->ordered);
    if (event == ROVE_MOVE_PHASE && t->count < 16)
        t->phases[t->count++] = info->phase;
    t->ended += event == ROVE_MOVE_ENDED;
}

static void test_ordered_and_told(void **state)
{
    (void)state;
    for (int pull = 0; pull < 2; pull++) {
        trio t;
        trio_open(&t);
        place *by = pull ? &t.b : &t.c;
        assert_ok(rove_runtime_expect_migration(t.b.rt, "probe", t.d.origin, NULL));
        deliver_and_forget(&t.a, t.d);
        telling told = {.count = 0};
        rove_migration_options options;
        rove_migration_options_init(&options);
        options.told = tell;
        options.told_user = &told;
        rove_migration m = order(&t, by, &options);
        rove_migration_info info;
        assert_ok(rove_migration_wait(by->rt, m, &info));
        assert_true(info.ordered && !info.outgoing);
        assert_int_equal(info.daemon.origin, t.d.origin);
        assert_memory_equal(&info.orchestrator, &by->info.entity, sizeof info.orchestrator);
        assert_memory_equal(&info.source, &t.a.info.entity, sizeof info.source);
        assert_int_equal(info.phase, ROVE_PHASE_COMPLETE);
        assert_int_equal(info.outcome, ROVE_OUTCOME_COMPLETED);
        assert_true(info.bytes > 0 && info.epoch == 2);
        /* Who waits later sees the same. */
        assert_ok(rove_migration_wait(by->rt, m, &info));
        assert_ok(rove_migration_wait(t.a.rt, m, &info));
        assert_true(info.outgoing && !info.ordered);
        assert_int_equal(rove_migration_cancel(by->rt, m), ROVE_E_TOO_LATE);
        deliver_expecting(&t.b, t.d, "2");
        assert_int_equal(t.asked, 1);
        trio_close(&t);
        assert_int_equal(told.ended, 1);
        assert_int_equal(told.count, 6);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(told.phases[i], ROVE_PHASE_SNAPSHOT + (int)i);
    }
}

static void test_refused_and_failed(void **state)
{
    (void)state;
    trio t;
    trio_open(&t);
    rove_migration_info info;
    atomic_store(&t.allows, false);
    assert_int_equal(rove_migration_wait(t.c.rt, order(&t, &t.c, NULL), &info), ROVE_E_REFUSED);
    atomic_store(&t.allows, true);
    /* Nobody expects it there. */
    assert_int_equal(rove_migration_wait(t.c.rt, order(&t, &t.c, NULL), &info),
                     ROVE_E_TARGET_NO_FACTORY);
    deliver_expecting(&t.a, t.d, "1");
    /* Without a hook it is refused. */
    rove_daemon d;
    rove_migration m;
    assert_ok(rove_runtime_spawn(t.b.rt, "probe", NULL, NULL, &d));
    assert_ok(
        rove_runtime_start_migration_from(t.c.rt, d, &t.b.info.entity, &t.a.info.entity, NULL, &m));
    assert_int_equal(rove_migration_wait(t.c.rt, m, NULL), ROVE_E_REFUSED);
    /* What cannot begin at all. */
    const rove_entity *a = &t.a.info.entity, *c = &t.c.info.entity;
    rove_entity nobody = {{1}};
    assert_int_equal(rove_runtime_start_migration_from(t.c.rt, t.d, a, a, NULL, &m),
                     ROVE_E_SAME_NODE);
    assert_int_equal(rove_runtime_start_migration_from(t.c.rt, t.d, &nobody, c, NULL, &m),
                     ROVE_E_UNREACHABLE);
    assert_int_equal(rove_runtime_start_migration_from(t.c.rt, t.d, c, a, NULL, &m),
                     ROVE_E_NOT_FOUND); /* of its own, which it has not */
    trio_close(&t);
}

/* The target is never ready. */
static void await_begun(const trio *t)
{
    while (rove_runtime_migration_phase(t->a.rt, t->d) == ROVE_PHASE_NONE)
        sched_yield();
}

static void test_cancelled_and_timed_out(void **state)
{
    (void)state;
    trio t;
    trio_open(&t);
    rove_runtime_unref(t.b.rt);
    assert_ok(rove_runtime_new(&t.b.rt, t.b.node, NULL));
    rove_migration m = order(&t, &t.c, NULL);
    rove_migration_info info;
    rove_migration other;
    assert_int_equal(rove_runtime_start_migration_from(t.c.rt, t.d, &t.a.info.entity,
                                                       &t.b.info.entity, NULL, &other),
                     ROVE_E_ALREADY_MIGRATING);
    await_begun(&t);
    assert_ok(rove_migration_cancel(t.c.rt, m));
    assert_int_equal(rove_migration_wait(t.c.rt, m, &info), ROVE_E_CANCELLED);
    assert_int_equal(rove_migration_wait(t.a.rt, m, &info), ROVE_E_CANCELLED);
    assert_int_equal(rove_migration_cancel(t.c.rt, m), ROVE_E_GONE);
    m = order(&t, &t.c, NULL);
    assert_int_equal(rove_migration_wait_with_timeout(t.c.rt, m, ROVE_SECOND / 5, &info),
                     ROVE_E_TIMED_OUT);
    assert_int_equal(info.outcome, ROVE_OUTCOME_TIMED_OUT);
    assert_int_equal(rove_migration_wait(t.a.rt, m, &info), ROVE_E_TIMED_OUT);
    rove_migration_options options;
    rove_migration_options_init(&options);
    options.deadline = ROVE_SECOND / 5; /* which the source keeps, also of its own moves */
    m = order(&t, &t.c, &options);
    assert_int_equal(rove_migration_wait(t.c.rt, m, &info), ROVE_E_TIMED_OUT);
    assert_ok(rove_runtime_start_migration_with(t.a.rt, t.d, &t.b.info.entity, &options, &m));
    assert_int_equal(rove_migration_wait(t.a.rt, m, &info), ROVE_E_TIMED_OUT);
    /* Shut down here, the order goes on there. */
    m = order(&t, &t.c, NULL);
    await_begun(&t);
    assert_ok(rove_runtime_shutdown(t.c.rt));
    assert_int_equal(rove_migration_wait(t.c.rt, m, &info), ROVE_E_SHUTTING_DOWN);
    assert_int_not_equal(rove_runtime_migration_phase(t.a.rt, t.d), ROVE_PHASE_NONE);
    assert_ok(rove_migration_cancel(t.a.rt, m));
    deliver_expecting(&t.a, t.d, "1");
    trio_close(&t);
}

typedef struct later {
    atomic_int done;
    rove_err err, started;
    rove_migration migration;
} later;

static void started(void *user, rove_err err, rove_migration migration)
{
    later *l = user;
    l->started = err;
    l->migration = migration;
    atomic_fetch_add(&l->done, 1);
}

static void cancelled(void *user, rove_err err)
{
    later *l = user;
    l->err = err;
    atomic_fetch_add(&l->done, 1);
}

static void test_with_completions(void **state)
{
    (void)state;
    trio t;
    trio_open(&t);
    rove_runtime_unref(t.b.rt);
    assert_ok(rove_runtime_new(&t.b.rt, t.b.node, NULL));
    later l = {.err = ROVE_E_USAGE};
    assert_ok(rove_runtime_start_migration_from_async(t.c.rt, t.d, &t.a.info.entity,
                                                      &t.b.info.entity, NULL, started, &l));
    while (atomic_load(&l.done) < 1)
        sched_yield();
    assert_ok(l.started);
    assert_ok(rove_migration_cancel_async(t.c.rt, l.migration, cancelled, &l));
    while (atomic_load(&l.done) < 2)
        sched_yield();
    assert_ok(l.err);
    assert_int_equal(rove_migration_wait(t.c.rt, l.migration, NULL), ROVE_E_CANCELLED);
    trio_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordered_and_told),
        cmocka_unit_test(test_refused_and_failed),
        cmocka_unit_test(test_cancelled_and_timed_out),
        cmocka_unit_test(test_with_completions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
