/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves through the runtime, between nodes over real sockets: what they bring along, how they fail,
 * how they are cancelled, and that traffic neither loses nor doubles an event meanwhile. */
#include "kit.h"
#include <sched.h>
#include <signal.h>

static rove_err move_with(pair *p, bool identity, uint64_t retry, rove_migration_info *ret)
{
    rove_migration_options options;
    rove_migration_options_init(&options);
    options.transport_identity = identity;
    options.retry_not_ready = retry;
    rove_migration m;
    rove_err err =
        rove_runtime_start_migration_with(p->a.rt, p->x.d, &p->b.info.entity, &options, &m);
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
    pair_counts(p, 1, 0);
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
            assert_ok(rove_runtime_register_migration_target_identity(p.b.rt, "tally", p.x.id));
        rove_migration_info info;
        assert_ok(move_with(&p, identity, ROVE_TIME_NEVER, &info));
        assert_int_equal(info.epoch, 2);
        assert_true(info.outgoing);
        assert_memory_equal(&info.target, &p.b.info.entity, sizeof info.target);
        pair_counts(&p, 0, 1);
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
            assert_ok(rove_runtime_register_migration_target_identity(p.b.rt, "tally", p.x.id));
        assert_ok(move_with(&p, identity, ROVE_TIME_NEVER, NULL));
        assert_ok(subject_deliver(&p.x, &p.b, 1, 1, NULL));
        pair_counts(&p, 0, 1);
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

/* Less where every access is watched. */
#ifdef ROVEI_SANITIZED
#define LARGE_STATE ((size_t)4 << 20)
#else
#define LARGE_STATE ((size_t)100 << 20)
#endif

static void test_large_state(void **state)
{
    (void)state;
    pair p;
    tally_control_init(&p.control);
    p.control.pad = LARGE_STATE;
    spot_with(&p.a, &p.control);
    p.control.pad = 0;
    spot_with(&p.b, &p.control);
    spot_meet(&p.a, &p.b);
    p.control.pad = LARGE_STATE;
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
    assert_int_equal(info.bytes, LARGE_STATE + sizeof(tally_state));
    tally_state s;
    subject_ask(&p.x, &p.b, &s); /* restore has compared the sum */
    assert_int_equal(s.pad_size, LARGE_STATE);
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
    assert_int_equal(
        rove_runtime_start_migration(p.a.rt, (rove_daemon){p.x.d.origin + 1}, &p.b.info.entity, &m),
        ROVE_E_NOT_FOUND);
    /* The kind is known there, the daemon is not expected; with and without retries. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(move_with(&p, true, i ? 0 : 30 * ROVE_SECOND, &info),
                         ROVE_E_TARGET_NO_FACTORY);
        assert_int_equal(info.reason, ROVE_E_TARGET_NO_FACTORY);
        assert_int_equal(info.attempts, 1);
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
    assert_int_equal(info.attempts, 1);
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
    /* A budget that runs out: one that a busy machine leaves time for a second attempt. */
    uint64_t budget = 700 * ROVE_MILLISECOND;
    for (info.attempts = 0; info.attempts < 2; budget *= 2) {
        assert_int_equal(move_with(&p, true, budget, &info), ROVE_E_NOT_READY_TIMEOUT);
        assert_true(info.elapsed >= budget);
    }
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
    assert_true(info.attempts >= 2);
    pair_counts(&p, 0, 1);
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
    rove_migration m;
    rove_migration_info info;
    spot_hold(&a, ROVEI_MOVE_OFFER); /* so that it cannot end before the target stands */
    rove_err err;
    while ((err = rove_runtime_start_migration(a.rt, x.d, &target.entity, &m)) ==
           ROVE_E_TARGET_UNAVAILABLE)
        sched_yield(); /* a busy machine is silent for that long now and then */
    assert_ok(err);
    child_stop(&target);
    spot_let(&a);
    assert_int_equal(rove_migration_wait_with_timeout(a.rt, m, PATIENCE, &info), ROVE_E_PEER_LOST);
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
    pair_counts(&p, 0, 0);
    pair_close(&p);
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
    assert_int_equal(rove_runtime_spawn(p.b.rt, "tally", p.x.id, NULL, &d), ROVE_E_LIVES_ELSEWHERE);
    pair_counts(&p, 1, 0);
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

/* ---- ordered from elsewhere ---- */

static bool lets_order(void *user, const rove_policy_request *request)
{
    const rove_entity *who = user; /* the only one */
    return request->question == ROVE_ASK_ORDER ? memcmp(&request->peer, who, sizeof *who) == 0
                                               : request->preset;
}

/* Somebody else has the daemon moved round, under traffic; who may not is refused. */
static void test_ordered_from_elsewhere(void **state)
{
    (void)state;
    tally_control control;
    rove_entity boss;
    spot spots[3]; /* the last orders */
    tally_control_init(&control);
    spot_with(&spots[2], &control);
    boss = spots[2].info.entity;
    for (size_t i = 0; i < 2; i++)
        spot_open(&spots[i], &(spot_config){.control = &control, .policy = {lets_order, &boss}});
    spot_meet(&spots[0], &spots[1]);
    spot_meet(&spots[2], &spots[0]);
    spot_meet(&spots[2], &spots[1]);
    subject x;
    subject_spawn(&x, &spots[0]);
    subject_expect(&x, &spots[1]);
    rove_migration m;
    assert_ok(rove_runtime_start_migration_from(spots[1].rt, x.d, &spots[0].info.entity,
                                                &spots[1].info.entity, NULL, &m));
    assert_int_equal(rove_migration_wait_with_timeout(spots[1].rt, m, PATIENCE, NULL),
                     ROVE_E_REFUSED);
    local l;
    local_start(&l, &x, spots, 2, 7);
    for (size_t i = 0; i < 6; i++) {
        spot *from = &spots[i % 2], *to = &spots[(i + 1) % 2];
        rove_migration_info info;
        assert_ok(rove_runtime_start_migration_from(spots[2].rt, x.d, &from->info.entity,
                                                    &to->info.entity, NULL, &m));
        assert_ok(rove_migration_wait_with_timeout(spots[2].rt, m, PATIENCE, &info));
        assert_true(info.ordered);
        assert_int_equal(info.epoch, i + 2);
    }
    local_stop(&l);
    subject_check(&x, &spots[0], 7, l.applied);
    subject_fini(&x);
    for (size_t i = 0; i < 3; i++)
        spot_close(&spots[i]);
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
        cmocka_unit_test(test_lives_elsewhere),
        cmocka_unit_test(test_ordered_from_elsewhere),
    };
    return cmocka_run_group_tests_name("moves", tests, NULL, NULL);
}
