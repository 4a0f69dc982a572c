/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves through the runtime, between nodes over real sockets: what they bring along, how they fail,
 * how they are cancelled, and that traffic neither loses nor doubles an event meanwhile. */
#include "kit.h"
#include <signal.h>
#include <sched.h>

typedef struct pair {
    tally_control control;
    spot a, b;
    subject x;
} pair;

/* Two nodes; the daemon is on `a` and has counted three events of source 1. */
static void pair_open_with(pair *p, const spot_config *of_b)
{
    tally_control_init(&p->control);
    spot_with(&p->a, &p->control);
    spot_config cfg = *of_b;
    cfg.control = &p->control;
    spot_open(&p->b, &cfg);
    spot_meet(&p->a, &p->b);
    subject_spawn(&p->x, &p->a);
    for (uint32_t i = 1; i <= 3; i++)
        assert_ok(subject_deliver(&p->x, &p->a, 1, i, NULL));
}

static void pair_open(pair *p)
{
    pair_open_with(p, &(spot_config){0});
}

static void pair_close(pair *p)
{
    subject_fini(&p->x);
    spot_close(&p->b);
    spot_close(&p->a);
    tally_control_fini(&p->control);
}

static void assert_counts(pair *p, size_t at_a, size_t at_b)
{
    assert_int_equal(rove_runtime_daemon_count(p->a.rt), at_a);
    assert_int_equal(rove_runtime_daemon_count(p->b.rt), at_b);
}

static rove_err move_with(pair *p, bool identity, uint64_t retry, rove_migration_info *ret)
{
    rove_migration_options options;
    rove_migration_options_init(&options);
    options.transport_identity = identity;
    options.retry_not_ready = retry;
    rove_migration m;
    rove_err err = rove_runtime_start_migration_with(p->a.rt, p->x.d, &p->b.info.entity, &options,
                                                     &m);
    return err ? err : rove_migration_wait_with_timeout(p->a.rt, m, PATIENCE, ret);
}

/* The daemon is still where it was, and goes on. */
static void assert_stayed(pair *p)
{
    tally_output out;
    tally_state s;
    subject_ask(&p->x, &p->a, &s);
    assert_ok(subject_deliver(&p->x, &p->a, 1, s.last[1] + 1, &out));
    assert_int_equal(out.count, s.count + 1);
    assert_int_equal(s.faults, 0);
    assert_counts(p, 1, 0);
}

/* ---- what a move brings along ---- */

static void test_state_goes_on(void **state)
{
    (void)state;
    for (int identity = 0; identity < 2; identity++) {
        pair p;
        pair_open(&p);
        if (identity)
            subject_expect(&p.x, &p.b);
        else
            assert_ok(
                rove_runtime_register_migration_target_identity(p.b.rt, "tally", p.x.id));
        rove_migration_info info;
        assert_ok(move_with(&p, identity, ROVE_TIME_NEVER, &info));
        assert_int_equal(info.epoch, 2);
        assert_true(info.outgoing);
        assert_memory_equal(&info.target, &p.b.info.entity, sizeof info.target);
        assert_counts(&p, 0, 1);
        assert_int_equal(rove_runtime_migration_phase(p.a.rt, p.x.d), ROVE_PHASE_NONE);
        tally_output out;
        assert_ok(subject_deliver(&p.x, &p.b, 1, 4, &out));
        assert_int_equal(out.count, 4);
        assert_int_equal(subject_deliver(&p.x, &p.a, 1, 5, &out), ROVE_E_MOVED);
        rove_daemon_stats stats;
        assert_ok(rove_runtime_stats(p.b.rt, p.x.d, &stats));
        assert_int_equal(stats.events_processed, 4);
        rove_migration m;
        assert_int_equal(subject_order(&p.x, &p.a, &p.b, &m), ROVE_E_MOVED);
        assert_int_equal(rove_runtime_stop(p.a.rt, p.x.d), ROVE_E_MOVED);
        pair_close(&p);
    }
}

/* The node that was dialled gives the daemon away, sealed to the other one. */
static void test_from_the_answering_side(void **state)
{
    (void)state;
    for (int identity = 0; identity < 2; identity++) {
        pair p;
        tally_control_init(&p.control);
        spot_with(&p.a, &p.control);
        spot_with(&p.b, &p.control);
        spot_meet(&p.b, &p.a);
        subject_spawn(&p.x, &p.a);
        if (identity)
            subject_expect(&p.x, &p.b);
        else
            assert_ok(
                rove_runtime_register_migration_target_identity(p.b.rt, "tally", p.x.id));
        assert_ok(move_with(&p, identity, ROVE_TIME_NEVER, NULL));
        assert_ok(subject_deliver(&p.x, &p.b, 1, 1, NULL));
        assert_counts(&p, 0, 1);
        pair_close(&p);
    }
}

static int32_t try_to_sign(const subject *x, spot *at)
{
    const uint32_t head[2] = {TALLY_SIGN, 0};
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = {head, sizeof head}};
    rove_result result;
    size_t it = 0;
    rove_link link;
    rove_span out;
    int32_t err;
    must_ok(rove_runtime_deliver(at->rt, x->d, &event, 0, &result, NULL, NULL));
    must(rove_result_next(&result, &it, &link, &out) && out.size == sizeof err);
    memcpy(&err, out.data, sizeof err);
    rove_result_fini(&result);
    return err;
}

static void test_identity_of_the_target(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    subject_expect(&p.x, &p.b);
    /* No key comes, and none is there. */
    rove_migration_info info;
    assert_int_equal(move_with(&p, false, ROVE_TIME_NEVER, &info), ROVE_E_IDENTITY_MISSING);
    assert_int_equal(info.outcome, ROVE_OUTCOME_FAILED);
    assert_stayed(&p);
    /* That is enough for the target when it says so. */
    assert_ok(rove_runtime_withdraw_expectation(p.b.rt, p.x.d.origin));
    rove_expect_options options;
    rove_expect_options_init(&options);
    options.public_only_ok = true;
    options.source = &p.a.info.entity;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "tally", p.x.d.origin, &options));
    assert_ok(move_with(&p, false, ROVE_TIME_NEVER, NULL));
    assert_ok(subject_deliver(&p.x, &p.b, 1, 5, NULL));
    assert_int_equal(try_to_sign(&p.x, &p.b), ROVE_E_READ_ONLY);
    pair_close(&p);

    pair_open(&p);
    subject_expect(&p.x, &p.b);
    assert_int_equal(try_to_sign(&p.x, &p.a), ROVE_OK);
    assert_ok(move_with(&p, true, ROVE_TIME_NEVER, NULL));
    assert_int_equal(try_to_sign(&p.x, &p.b), ROVE_OK);
    pair_close(&p);
}

/* A daemon whose duplicate was refused is the one that moves. */
static void test_incumbent_after_duplicate(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    rove_daemon d;
    assert_int_equal(rove_runtime_spawn(p.a.rt, "tally", p.x.id, NULL, &d), ROVE_E_EXISTS);
    subject_expect(&p.x, &p.b);
    assert_int_equal(rove_runtime_expect_migration(p.b.rt, "tally", p.x.d.origin, NULL),
                     ROVE_E_EXISTS);
    subject_move(&p.x, &p.a, &p.b);
    tally_output out;
    assert_ok(subject_deliver(&p.x, &p.b, 1, 4, &out));
    assert_int_equal(out.count, 4);
    pair_close(&p);
}

/* 100 MiB, or less where memory is watched. */
#ifndef KIT_LARGE_STATE
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KIT_LARGE_STATE ((size_t)4 << 20)
#else
#define KIT_LARGE_STATE ((size_t)100 << 20)
#endif
#endif

static void test_large_state(void **state)
{
    (void)state;
    pair p;
    tally_control_init(&p.control);
    p.control.pad = KIT_LARGE_STATE;
    spot_with(&p.a, &p.control);
    p.control.pad = 0;
    spot_with(&p.b, &p.control);
    spot_meet(&p.a, &p.b);
    p.control.pad = KIT_LARGE_STATE;
    subject_spawn(&p.x, &p.a);
    p.control.pad = 0;
    subject_expect(&p.x, &p.b);
    pump traffic;
    pump_open(&traffic, &p.b, &p.x.entity, 2, 2000, 100);
    pump_run(&traffic, 100);
    rove_migration m;
    rove_migration_info info;
    assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
    pump_finish(&traffic);
    assert_ok(rove_migration_wait_with_timeout(p.a.rt, m, PATIENCE, &info));
    assert_int_equal(info.bytes, KIT_LARGE_STATE + sizeof(tally_state));
    tally_state s;
    subject_ask(&p.x, &p.b, &s); /* restore has compared the sum */
    assert_int_equal(s.pad_size, KIT_LARGE_STATE);
    assert_int_equal(s.faults, 0);
    assert_int_equal(s.last[2], 2000);
    pair_close(&p);
}

/* ---- how moves fail ---- */

static void test_failures(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    rove_migration m;
    rove_migration_info info;
    /* Nobody there: twice, since the first leaves nothing behind. */
    rove_entity stranger = rove_identity_entity(p.x.id);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rove_runtime_start_migration(p.a.rt, p.x.d, &stranger, &m),
                         ROVE_E_TARGET_UNAVAILABLE);
    assert_int_equal(subject_order(&p.x, &p.a, &p.a, &m), ROVE_E_SAME_NODE);
    assert_int_equal(rove_runtime_start_migration(p.a.rt, (rove_daemon){p.x.d.origin + 1},
                                                  &p.b.info.entity, &m),
                     ROVE_E_NOT_FOUND);
    /* The kind is known there, the daemon is not expected; with and without retries. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(move_with(&p, true, i ? 0 : 30 * ROVE_SECOND, &info),
                         ROVE_E_TARGET_NO_FACTORY);
        assert_int_equal(info.reason, ROVE_E_TARGET_NO_FACTORY);
        assert_int_equal(info.attempts, 1);
        assert_true(info.elapsed < 2 * ROVE_SECOND);
    }
    /* Expected from somebody else only. */
    rove_expect_options options;
    rove_expect_options_init(&options);
    options.source = &stranger;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "tally", p.x.d.origin, &options));
    assert_int_equal(move_with(&p, true, 0, &info), ROVE_E_REFUSED);
    assert_stayed(&p);
    pair_close(&p);
}

static void test_target_without_runtime(void **state)
{
    (void)state;
    pair p;
    tally_control_init(&p.control);
    spot_with(&p.a, &p.control);
    spot_open(&p.b, &(spot_config){0});
    spot_meet(&p.a, &p.b);
    subject_spawn(&p.x, &p.a);
    rove_migration_info info;
    assert_int_equal(move_with(&p, true, ROVE_TIME_NEVER, &info), ROVE_E_TARGET_NO_RUNTIME);
    assert_true(info.elapsed < 2 * ROVE_SECOND);
    assert_ok(subject_deliver(&p.x, &p.a, 1, 1, NULL));
    pair_close(&p);
}

static void test_not_ready(void **state)
{
    (void)state;
    pair p;
    pair_open_with(&p, &(spot_config){.registering = true});
    subject_expect(&p.x, &p.b);
    rove_migration_info info;
    rove_migration m, other;
    /* Without retries: that reason, and no other. */
    assert_int_equal(move_with(&p, true, 0, &info), ROVE_E_TARGET_NOT_READY);
    assert_int_equal(info.attempts, 1);
    rove_migration failed = info.migration;
    /* A budget that runs out. */
    assert_int_equal(move_with(&p, true, 700 * ROVE_MILLISECOND, &info),
                     ROVE_E_NOT_READY_TIMEOUT);
    assert_true(info.attempts >= 2);
    assert_true(info.elapsed >= 700 * ROVE_MILLISECOND);
    assert_stayed(&p);
    /* One that does not: nobody waits for it, and it goes on all the same. */
    assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
    assert_int_equal(subject_order(&p.x, &p.a, &p.b, &other), ROVE_E_ALREADY_MIGRATING);
    assert_int_equal(rove_runtime_stop(p.a.rt, p.x.d), ROVE_E_ALREADY_MIGRATING);
    do {
        assert_ok(rove_migration_get(p.a.rt, m, &info));
        sched_yield();
    } while (info.attempts < 2);
    assert_ok(subject_deliver(&p.x, &p.a, 1, 5, NULL)); /* not ready costs the daemon nothing */
    assert_ok(rove_runtime_start(p.b.rt));
    assert_ok(rove_migration_wait_with_timeout(p.a.rt, m, PATIENCE, &info));
    assert_true(info.attempts >= 3);
    assert_counts(&p, 0, 1);
    /* Each attempt has its own outcome, now and later. */
    assert_int_equal(rove_migration_wait(p.a.rt, failed, NULL), ROVE_E_TARGET_NOT_READY);
    assert_ok(rove_migration_wait(p.a.rt, m, NULL));
    assert_ok(subject_deliver(&p.x, &p.b, 1, 6, NULL));
    pair_close(&p);
}

/* The target takes the session's packets and says nothing more. */
static void test_silent_target(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    subject_expect(&p.x, &p.b);
    spot_hold(&p.b, ROVEI_MOVE_ACCEPT);
    rove_migration m;
    rove_migration_info info;
    assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
    meter_await(&p.b.tap.seen[ROVEI_MOVE_ACCEPT], 2); /* asked again */
    assert_int_equal(rove_migration_phase(p.a.rt, m), ROVE_PHASE_SNAPSHOT);
    assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, 50 * ROVE_MILLISECOND, &info),
                     ROVE_E_TIMED_OUT);
    assert_int_equal(info.outcome, ROVE_OUTCOME_TIMED_OUT);
    assert_int_equal(rove_migration_wait(p.a.rt, m, NULL), ROVE_E_TIMED_OUT);
    assert_stayed(&p);
    spot_let(&p.b);
    subject_move(&p.x, &p.a, &p.b);
    subject_check(&p.x, &p.b, 1, 4);
    pair_close(&p);
}

/* A target that stands still is found out by the failure detector, and the daemon goes on. */
static void test_target_lost(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rove_limits limits;
    kit_limits(&limits);
    limits.heartbeat = 50 * ROVE_MILLISECOND;
    limits.suspect_after = 300 * ROVE_MILLISECOND;
    limits.fail_after = 600 * ROVE_MILLISECOND;
    child target;
    child_start(&target, NULL);
    spot a;
    spot_open(&a, &(spot_config){.control = &control, .limits = &limits});
    assert_ok(rove_node_connect(a.node, &target.entity, target.address));
    assert_ok(rove_node_wait_peer(a.node, &target.entity, PATIENCE));
    subject x;
    subject_spawn(&x, &a);
    assert_int_equal(child_say(&target, "expect %" PRIu64, x.d.origin), ROVE_OK);
    must(kill(target.pid, SIGSTOP) == 0);
    rove_migration m;
    rove_migration_info info;
    assert_ok(rove_runtime_start_migration(a.rt, x.d, &target.entity, &m));
    assert_int_equal(rove_migration_wait_with_timeout(a.rt, m, PATIENCE, &info),
                     ROVE_E_PEER_LOST);
    assert_int_equal(info.outcome, ROVE_OUTCOME_FAILED);
    assert_ok(subject_deliver(&x, &a, 1, 1, NULL));
    child_kill(&target);
    subject_fini(&x);
    spot_close(&a);
    tally_control_fini(&control);
}

typedef struct waiter {
    spot *at;
    rove_migration m;
    rove_err err;
    pthread_t thread;
} waiter;

static void *wait_for_move(void *arg)
{
    waiter *w = arg;
    w->err = rove_migration_wait(w->at->rt, w->m, NULL);
    return NULL;
}

static void test_shutdown_ends_waiters(void **state)
{
    (void)state;
    pair p;
    pair_open_with(&p, &(spot_config){.registering = true});
    p.control.many = true;
    enum { DAEMONS = 16 };
    subject x[DAEMONS];
    waiter w[DAEMONS];
    for (int i = 0; i < DAEMONS; i++) {
        subject_spawn(&x[i], &p.a);
        w[i] = (waiter){.at = &p.a};
        assert_ok(subject_order(&x[i], &p.a, &p.b, &w[i].m));
        assert_int_equal(pthread_create(&w[i].thread, NULL, wait_for_move, &w[i]), 0);
    }
    rove_migration_info moves[DAEMONS];
    assert_int_equal(rove_runtime_moves(p.a.rt, moves, DAEMONS), DAEMONS);
    assert_ok(rove_runtime_shutdown(p.a.rt));
    for (int i = 0; i < DAEMONS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].err, ROVE_E_SHUTTING_DOWN);
        subject_fini(&x[i]);
    }
    assert_int_equal(rove_runtime_moves(p.a.rt, moves, DAEMONS), 0);
    assert_counts(&p, 0, 0);
    pair_close(&p);
}

/* ---- cancelling under traffic ---- */

static void await_phase(spot *at, rove_migration m, rove_phase phase)
{
    while (rove_migration_phase(at->rt, m) < phase)
        sched_yield();
}

/* Each way of being before the commit: what holds the move there, and how to know it is there. */
enum { OFFERED, FREEZING, SENDING, RESTORING, PREPARED, WAYS };

static void hold_at(pair *p, int way)
{
    static const rovei_move_type types[] = {
        [OFFERED] = ROVEI_MOVE_ACCEPT, [SENDING] = ROVEI_MOVE_STATE, [PREPARED] = ROVEI_MOVE_PREPARED};
    if (way == FREEZING) {
        tally_shut(&p->control);
        tally_await(&p->control);
    } else if (way == RESTORING) {
        pthread_mutex_lock(&p->control.lock);
        p->control.shut_restore = true;
        pthread_mutex_unlock(&p->control.lock);
    } else {
        spot_hold(way == SENDING ? &p->a : &p->b, types[way]);
    }
}

static void await_at(pair *p, int way, rove_migration m)
{
    if (way == OFFERED)
        meter_await(&p->b.tap.seen[ROVEI_MOVE_ACCEPT], 1);
    else if (way == FREEZING)
        while (spot_daemon_state(&p->a, &p->x.entity) != ROVEI_DAEMON_MOVING)
            sched_yield();
    else if (way == SENDING)
        await_phase(&p->a, m, ROVE_PHASE_TRANSFER);
    else if (way == RESTORING)
        await_phase(&p->a, m, ROVE_PHASE_RESTORE);
    else
        await_phase(&p->b, m, ROVE_PHASE_REPLAY);
}

static void let_go(pair *p)
{
    spot_let(&p->a);
    spot_let(&p->b);
    tally_open(&p->control);
}

static void test_cancel_in_each_phase(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    spot c;
    spot_open(&c, &(spot_config){0});
    spot_meet(&c, &p.a);
    subject_expect(&p.x, &p.b);
    pump remote;
    local here[2];
    pump_open(&remote, &c, &p.x.entity, 4, 20000, 32);
    pump_start(&remote);
    for (uint32_t i = 0; i < 2; i++)
        local_start(&here[i], &p.x, &p.a, 1, 5 + i);
    for (int way = 0; way < WAYS; way++) {
        rove_migration m;
        rove_migration_info info;
        meter_await(&here[0].progress, meter_get(&here[0].progress) + 50);
        hold_at(&p, way);
        assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
        await_at(&p, way, m);
        assert_ok(rove_migration_cancel(p.a.rt, m));
        let_go(&p);
        assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, PATIENCE, &info),
                         ROVE_E_CANCELLED);
        assert_int_equal(info.outcome, ROVE_OUTCOME_CANCELLED);
        assert_int_equal(rove_migration_cancel(p.a.rt, m), ROVE_E_GONE);
        assert_counts(&p, 1, 0);
    }
    meter_await(&here[1].progress, meter_get(&here[1].progress) + 50);
    local_stop(&here[0]);
    local_stop(&here[1]);
    pump_join(&remote);
    for (uint32_t i = 0; i < 2; i++)
        subject_check(&p.x, &p.a, here[i].who, here[i].applied);
    subject_check(&p.x, &p.a, 4, 20000);
    subject_move(&p.x, &p.a, &p.b); /* and it can still move */
    subject_check(&p.x, &p.b, 4, 20000);
    spot_close(&c);
    pair_close(&p);
}

static void test_too_late(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    spot c;
    spot_open(&c, &(spot_config){0});
    spot_meet(&c, &p.a);
    subject_expect(&p.x, &p.b);
    pump remote;
    pump_open(&remote, &c, &p.x.entity, 4, 10000, 32);
    pump_start(&remote);
    spot_hold(&p.a, ROVEI_MOVE_COMMIT);
    rove_migration m;
    rove_migration_info info;
    assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
    meter_await(&p.a.tap.seen[ROVEI_MOVE_COMMIT], 2);
    assert_int_equal(rove_migration_cancel(p.a.rt, m), ROVE_E_TOO_LATE);
    assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, 20 * ROVE_MILLISECOND, &info),
                     ROVE_E_STILL_MOVING);
    assert_int_equal(rove_migration_phase(p.a.rt, m), ROVE_PHASE_CUTOVER);
    assert_int_equal(subject_deliver(&p.x, &p.a, 1, 4, NULL), ROVE_E_MOVED);
    spot_let(&p.a);
    assert_ok(rove_migration_wait_with_timeout(p.a.rt, m, PATIENCE, &info));
    assert_int_equal(rove_migration_cancel(p.a.rt, m), ROVE_E_TOO_LATE);
    assert_ok(subject_deliver(&p.x, &p.b, 1, 4, NULL));
    pump_join(&remote);
    subject_check(&p.x, &p.b, 4, 10000);
    spot_close(&c);
    pair_close(&p);
}

/* ---- local delivers while a daemon moves ---- */

typedef struct diverted {
    meter count;
    rove_err err[8];
    uint32_t number[8];
} diverted;

static void on_done(void *user, rove_err err, const rove_result *result)
{
    diverted *d = user;
    uint64_t at = meter_get(&d->count);
    must(at < 8);
    size_t it = 0;
    rove_link link;
    rove_span span;
    tally_output out = {0};
    if (rove_result_next(result, &it, &link, &span) && span.size == sizeof out)
        memcpy(&out, span.data, sizeof out);
    d->err[at] = err;
    d->number[at] = out.number;
    meter_add(&d->count, 1);
}

static rove_err deliver_nowait(pair *p, uint32_t number, diverted *d, rove_result *ret)
{
    const uint32_t head[2] = {1, number};
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = {head, sizeof head}};
    return rove_runtime_deliver(p->a.rt, p->x.d, &event, ROVE_DELIVER_NOWAIT, ret, on_done, d);
}

/* Diverted events come back in order, from here after an abort and from there after the commit;
 * what the buffer does not hold is not accepted. */
static void test_nowait(void **state)
{
    (void)state;
    for (int commits = 0; commits < 2; commits++) {
        pair p;
        tally_control_init(&p.control);
        rove_limits limits;
        kit_limits(&limits);
        limits.divert_events = 4;
        spot_open(&p.a, &(spot_config){.control = &p.control, .limits = &limits});
        spot_with(&p.b, &p.control);
        spot_meet(&p.a, &p.b);
        subject_spawn(&p.x, &p.a);
        subject_expect(&p.x, &p.b);
        diverted d = {0};
        meter_init(&d.count);
        rove_result result;
        assert_ok(deliver_nowait(&p, 1, &d, &result)); /* nothing moves: applied at once */
        assert_int_equal(result.index, 1);
        rove_result_fini(&result);
        spot_hold(&p.b, ROVEI_MOVE_PREPARED);
        rove_migration m;
        assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
        await_phase(&p.b, m, ROVE_PHASE_REPLAY);
        for (uint32_t i = 2; i <= 5; i++) {
            assert_int_equal(deliver_nowait(&p, i, &d, &result), ROVE_E_DIVERTED);
            assert_int_equal(result.number, i - 1);
            rove_result_fini(&result);
        }
        assert_int_equal(deliver_nowait(&p, 6, &d, &result), ROVE_E_BUFFER_FULL);
        assert_int_equal(result.detail.events, 5);
        rove_result_fini(&result);
        assert_int_equal(meter_get(&d.count), 0);
        if (!commits)
            assert_ok(rove_migration_cancel(p.a.rt, m));
        spot_let(&p.b);
        assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, PATIENCE, NULL),
                         commits ? ROVE_OK : ROVE_E_CANCELLED);
        meter_await(&d.count, 4);
        for (uint32_t i = 0; i < 4; i++) {
            assert_ok(d.err[i]);
            assert_int_equal(d.number[i], i + 2);
        }
        subject_check(&p.x, commits ? &p.b : &p.a, 1, 5);
        assert_ok(subject_deliver(&p.x, commits ? &p.b : &p.a, 1, 6, NULL));
        assert_int_equal(meter_get(&d.count), 4);
        meter_fini(&d.count);
        pair_close(&p);
    }
}

/* Threads that deliver, threads that send, and a daemon that never stays; with the node's own
 * thread running it, and with several workers. */
static void to_and_fro(unsigned workers, uint32_t events, int moves)
{
    tally_control control;
    tally_control_init(&control);
    spot s[2];
    for (int i = 0; i < 2; i++)
        spot_open(&s[i], &(spot_config){.control = &control, .workers = workers + 1});
    spot_meet(&s[0], &s[1]);
    subject x;
    subject_spawn(&x, &s[0]);
    subject_expect(&x, &s[1]);
    enum { LOCALS = 6, REMOTES = 4 };
    local locals[LOCALS];
    pump pumps[REMOTES];
    for (uint32_t i = 0; i < LOCALS; i++)
        local_start(&locals[i], &x, s, 2, i);
    for (uint32_t i = 0; i < REMOTES; i++) {
        pump_open(&pumps[i], &s[i % 2], &x.entity, LOCALS + i, events, 24);
        pump_start(&pumps[i]);
    }
    for (int i = 0; i < moves; i++)
        subject_move(&x, &s[i % 2], &s[(i + 1) % 2]);
    spot *last = &s[moves % 2];
    uint64_t total = REMOTES * events;
    for (uint32_t i = 0; i < REMOTES; i++)
        pump_join(&pumps[i]);
    for (uint32_t i = 0; i < LOCALS; i++) {
        meter_await(&locals[i].progress, 20); /* nobody starves */
        local_stop(&locals[i]);
        subject_check(&x, last, i, locals[i].applied);
        total += locals[i].applied;
    }
    tally_state t;
    subject_ask(&x, last, &t);
    assert_int_equal(t.faults, 0);
    assert_int_equal(t.count, total);
    for (uint32_t i = 0; i < REMOTES; i++)
        assert_int_equal(t.last[LOCALS + i], events);
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(last->rt, x.d, &stats));
    assert_int_equal(stats.errors, 0);
    subject_fini(&x);
    for (int i = 0; i < 2; i++)
        spot_close(&s[i]);
    tally_control_fini(&control);
}

static void test_to_and_fro(void **state)
{
    (void)state;
    to_and_fro(1, 3000, 30);
}

static void test_without_workers(void **state)
{
    (void)state;
    to_and_fro(0, 1000, 10);
}

static void test_three_workers(void **state)
{
    (void)state;
    to_and_fro(3, 1000, 10);
}

/* ---- an identity that lives elsewhere ---- */

static void test_lives_elsewhere(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    p.control.many = true; /* a copy that was forced may overlap */
    rove_daemon d;
    rove_entity other = rove_identity_entity(p.x.id);
    assert_memory_equal(&other, &p.x.entity, sizeof other);
    assert_int_equal(rove_runtime_spawn(p.b.rt, "tally", p.x.id, NULL, &d),
                     ROVE_E_LIVES_ELSEWHERE);
    assert_counts(&p, 1, 0);
    rove_sender *s;
    rove_sent sent;
    const uint32_t event[2] = {2, 1};
    assert_ok(rove_sender_open(&s, p.b.node, &p.x.entity, NULL));
    assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, true, NULL));
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
    rove_sent_fini(&sent);

    rove_spawn_options force;
    rove_spawn_options_init(&force);
    force.force = true;
    assert_ok(rove_runtime_spawn(p.b.rt, "tally", p.x.id, &force, &d));
    while (spot_daemon_state(&p.a, &p.x.entity) != ROVEI_DAEMON_ASIDE)
        sched_yield();
    rove_err err;
    while ((err = subject_deliver(&p.x, &p.a, 1, 4, NULL)) != ROVE_E_SUPERSEDED) {
        assert_ok(err); /* it was told before the daemon was */
        sched_yield();
    }
    tally_output out;
    assert_ok(subject_deliver(&p.x, &p.b, 1, 1, &out));
    assert_int_equal(out.count, 1);
    /* The sender hears that what was applied is lost. */
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_LOST);
    assert_int_equal(sent.number, 1);
    assert_int_equal(sent.last, 1);
    rove_sent_fini(&sent);
    assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, true, NULL));
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
    assert_int_equal(sent.number, 2);
    rove_sent_fini(&sent);
    rove_sender_free(s);
    pair_close(&p);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_goes_on),
        cmocka_unit_test(test_from_the_answering_side),
        cmocka_unit_test(test_identity_of_the_target),
        cmocka_unit_test(test_incumbent_after_duplicate),
        cmocka_unit_test(test_large_state),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_target_without_runtime),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_silent_target),
        cmocka_unit_test(test_target_lost),
        cmocka_unit_test(test_shutdown_ends_waiters),
        cmocka_unit_test(test_cancel_in_each_phase),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_nowait),
        cmocka_unit_test(test_to_and_fro),
        cmocka_unit_test(test_without_workers),
        cmocka_unit_test(test_three_workers),
        cmocka_unit_test(test_lives_elsewhere),
    };
    return cmocka_run_group_tests_name("moves", tests, NULL, NULL);
}
