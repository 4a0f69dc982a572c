/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves under traffic, over real sockets: cancelled in every phase, too late, with local delivers
 * diverted, to and fro. Nothing is lost, nothing doubled. */
#include "kit.h"
#include <sched.h>

/* ---- cancelling under traffic ---- */

/* Each way of being before the commit: what holds the move there, and how to know it is there. */
enum { OFFERED, FREEZING, SENDING, RESTORING, PREPARED, WAYS };

static void hold_at(pair *p, int way)
{
    static const rovei_move_type types[] = {[OFFERED] = ROVEI_MOVE_ACCEPT,
                                            [SENDING] = ROVEI_MOVE_STATE,
                                            [PREPARED] = ROVEI_MOVE_PREPARED};
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
        while (!spot_is_freezing(&p->a, &p->x.entity))
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
        pair_counts(&p, 1, 0);
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

/* ---- the end, in the middle of it ---- */

typedef struct caller {
    const pair *p;
    spot *at;
    uint32_t who;
    rove_err err;
    meter *progress;
    pthread_t thread;
} caller;

static void *deliver_until_refused(void *arg)
{
    caller *c = arg;
    for (uint32_t number = 1; c->err == ROVE_OK; number++) {
        c->err = subject_deliver(&c->p->x, c->at, c->who, number, NULL);
        meter_add(c->progress, 1);
    }
    return NULL;
}

/* The source, or the target, shuts down while callers stand in a move: each call ends, with an
 * outcome, and nothing is left behind. */
static void test_shutdown_in_a_move(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        pair p;
        pair_open(&p);
        subject_expect(&p.x, &p.b);
        enum { CALLERS = 6 };
        caller c[CALLERS];
        meter progress;
        meter_init(&progress);
        pump remote;
        pump_open(&remote, &p.b, &p.x.entity, 20, 1000000, 100);
        pump_run(&remote, 100);
        for (uint32_t i = 0; i < CALLERS; i++) {
            c[i] = (caller){.p = &p, .at = &p.a, .who = 10 + i, .progress = &progress};
            assert_int_equal(pthread_create(&c[i].thread, NULL, deliver_until_refused, &c[i]), 0);
        }
        meter_await(&progress, 100);
        /* Before the commit, after it, and with nothing under way. */
        if (way < 2) {
            rove_migration m;
            spot_hold(way ? &p.a : &p.b, way ? ROVEI_MOVE_COMMIT : ROVEI_MOVE_PREPARED);
            assert_ok(subject_order(&p.x, &p.a, &p.b, &m));
            if (way)
                await_phase(&p.a, m, ROVE_PHASE_CUTOVER);
            else
                await_phase(&p.b, m, ROVE_PHASE_REPLAY);
        }
        assert_ok(rove_runtime_shutdown(p.a.rt));
        for (uint32_t i = 0; i < CALLERS; i++) {
            pthread_join(c[i].thread, NULL);
            if (c[i].err != ROVE_E_SHUTTING_DOWN && c[i].err != ROVE_E_STALE &&
                c[i].err != ROVE_E_UNKNOWN_OUTCOME && !(way == 1 && c[i].err == ROVE_E_MOVED))
                must_ok(c[i].err);
        }
        assert_int_equal(subject_deliver(&p.x, &p.a, 1, 4, NULL), ROVE_E_SHUTTING_DOWN);
        pump_drop(&remote);
        meter_fini(&progress);
        pair_close(&p);
    }
}

/* What the former host has not confirmed is not given away again. */
static void test_not_closed(void **state)
{
    (void)state;
    pair p;
    pair_open(&p);
    subject_expect(&p.x, &p.b);
    spot_hold(&p.a, ROVEI_MOVE_CLOSED);
    subject_move(&p.x, &p.a, &p.b);
    rove_migration m;
    rove_migration_info info;
    assert_ok(subject_order(&p.x, &p.b, &p.a, &m)); /* it waits for that */
    assert_ok(subject_deliver(&p.x, &p.b, 1, 4, NULL));
    assert_int_equal(rove_migration_wait_with_timeout(p.b.rt, m, 50 * ROVE_MILLISECOND, &info),
                     ROVE_E_TIMED_OUT);
    assert_int_equal(info.attempts, 0);
    assert_int_equal(info.reason, ROVE_E_MOVE_NOT_CLOSED);
    assert_ok(subject_deliver(&p.x, &p.b, 1, 5, NULL));
    assert_ok(subject_order(&p.x, &p.b, &p.a, &m));
    spot_let(&p.a);
    assert_ok(rove_migration_wait_with_timeout(p.b.rt, m, PATIENCE, NULL));
    subject_check(&p.x, &p.a, 1, 5);
    pair_close(&p);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_in_each_phase),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_nowait),
        cmocka_unit_test(test_to_and_fro),
        cmocka_unit_test(test_without_workers),
        cmocka_unit_test(test_three_workers),
        cmocka_unit_test(test_shutdown_in_a_move),
        cmocka_unit_test(test_not_closed),
    };
    return cmocka_run_group_tests_name("traffic", tests, NULL, NULL);
}
