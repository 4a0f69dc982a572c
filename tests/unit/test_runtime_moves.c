/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves through the runtime, between real nodes over loopback: what the caller sees, and what
 * becomes of local events meanwhile. */
#include "nodes.h"
#include <shell/call.h>

typedef struct pair {
    place a, b;
    rove_identity *id;
    rove_daemon d;
} pair;

static void pair_open(pair *p, unsigned workers, bool start_b)
{
    place_ready(&p->a, workers);
    place_open(&p->b, workers);
    if (start_b)
        assert_ok(rove_runtime_start(p->b.rt));
    connect_places(&p->a, &p->b);
    assert_ok(rove_identity_generate(&p->id, p->a.node));
    assert_ok(rove_runtime_spawn(p->a.rt, "probe", p->id, NULL, &p->d));
}

static void pair_close(pair *p)
{
    rove_identity_free(p->id);
    place_close(&p->a);
    place_close(&p->b);
    assert_int_equal(p->a.control.created, p->a.control.destroyed);
    assert_int_equal(p->b.control.created, p->b.control.destroyed);
}

static rove_err move(pair *p, const rove_migration_options *options, rove_migration_info *info)
{
    rove_migration m;
    rove_err err = rove_runtime_start_migration_with(p->a.rt, p->d, &p->b.info.entity, options, &m);
    return err ? err : rove_migration_wait_with_timeout(p->a.rt, m, 20 * ROVE_SECOND, info);
}

static void assert_lives_at_b(pair *p, const char *next)
{
    assert_int_equal(rove_runtime_daemon_count(p->a.rt), 0);
    assert_int_equal(rove_runtime_daemon_count(p->b.rt), 1);
    assert_int_equal(rove_runtime_migration_phase(p->a.rt, p->d), ROVE_PHASE_NONE);
    deliver_expecting(&p->b, p->d, next);
    rove_result result;
    assert_int_equal(deliver(&p->a, p->d, "x", &result), ROVE_E_MOVED);
}

static void assert_lives_at_a(pair *p, const char *next)
{
    assert_int_equal(rove_runtime_daemon_count(p->a.rt), 1);
    assert_int_equal(rove_runtime_daemon_count(p->b.rt), 0);
    deliver_expecting(&p->a, p->d, next);
}

/* Until the source has forgotten its copy: the move ends with Active, the copy with Closed. */
static void await_count(place *p, size_t count)
{
    while (rove_runtime_daemon_count(p->rt) != count)
        sched_yield();
}

static void test_move_and_back(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        pair p;
        pair_open(&p, workers, true);
        for (int i = 0; i < 3; i++)
            deliver_and_forget(&p.a, p.d);
        assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
        rove_migration_info info;
        assert_ok(move(&p, NULL, &info));
        assert_int_equal(info.outcome, ROVE_OUTCOME_COMPLETED);
        assert_int_equal(info.phase, ROVE_PHASE_COMPLETE);
        assert_true(info.outgoing);
        assert_true(info.blackout > 0);
        await_count(&p.a, 0);
        assert_lives_at_b(&p, "4");
        rove_daemon_stats stats;
        assert_ok(rove_runtime_stats(p.b.rt, p.d, &stats));
        assert_int_equal(stats.events_processed, 4); /* they travel */
        assert_int_equal(rove_runtime_stop(p.a.rt, p.d), ROVE_E_MOVED);

        /* A former host needs no expectation; and the key comes back with the daemon. */
        rove_migration m;
        rove_err err;
        while ((err = rove_runtime_start_migration(p.b.rt, p.d, &p.a.info.entity, &m)) ==
               ROVE_E_MOVE_NOT_CLOSED)
            sched_yield();
        assert_ok(err);
        assert_ok(rove_migration_wait_with_timeout(p.b.rt, m, 20 * ROVE_SECOND, &info));
        await_count(&p.b, 0);
        assert_lives_at_a(&p, "5");
        pair_close(&p);
    }
}

/* A spawn that was refused, because the daemon lives here, leaves nothing that stands in the way.
 */
static void test_after_a_refused_spawn(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    deliver_and_forget(&p.a, p.d);
    deliver_and_forget(&p.a, p.d);
    rove_daemon other;
    assert_int_equal(rove_runtime_spawn(p.a.rt, "probe", p.id, NULL, &other), ROVE_E_EXISTS);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    rove_migration_info info;
    assert_ok(move(&p, NULL, &info));
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "3");
    pair_close(&p);
}

static void test_identity_rules(void **state)
{
    (void)state;
    rove_migration_options keep;
    rove_migration_options_init(&keep);
    keep.transport_identity = false;
    rove_migration_info info;
    pair p;
    /* Nobody has the key for the target. */
    pair_open(&p, 1, true);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    assert_int_equal(move(&p, &keep, &info), ROVE_E_IDENTITY_MISSING);
    assert_lives_at_a(&p, "1");
    pair_close(&p);
    /* It may come without a private key. */
    pair_open(&p, 1, true);
    rove_expect_options options;
    rove_expect_options_init(&options);
    options.public_only_ok = true;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, &options));
    assert_ok(move(&p, &keep, &info));
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "1");
    pair_close(&p);
    /* The target has it. */
    pair_open(&p, 1, true);
    assert_ok(rove_runtime_register_migration_target_identity(p.b.rt, "probe", p.id));
    assert_ok(move(&p, &keep, &info));
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "1");
    pair_close(&p);
}

static bool refuse_all(void *user, const rove_policy_request *request)
{
    (void)user;
    (void)request;
    return false;
}

static void test_refusals(void **state)
{
    (void)state;
    rove_migration_options once;
    rove_migration_options_init(&once);
    once.retry_not_ready = 0;
    rove_migration_info info;
    pair p;
    pair_open(&p, 1, true);
    deliver_expecting(&p.a, p.d, "1");
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(info.outcome, ROVE_OUTCOME_FAILED);
    /* Expected as another kind. */
    assert_ok(rove_runtime_register_kind(p.b.rt, "other", &probe_kind, &p.b.control));
    assert_ok(rove_runtime_expect_migration(p.b.rt, "other", p.d.origin, NULL));
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_FACTORY);
    assert_ok(rove_runtime_withdraw_expectation(p.b.rt, p.d.origin));
    /* Expected from another node. */
    rove_expect_options options;
    rove_expect_options_init(&options);
    options.source = &p.b.info.entity;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, &options));
    assert_int_equal(move(&p, NULL, &info), ROVE_E_REFUSED);
    assert_ok(rove_runtime_withdraw_expectation(p.b.rt, p.d.origin));
    /* It cannot be restored. */
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    p.b.control.fail_restore = true;
    assert_int_not_equal(move(&p, NULL, &info), ROVE_OK);
    assert_int_equal(info.outcome, ROVE_OUTCOME_FAILED);
    p.b.control.fail_restore = false;
    /* It cannot be taken. */
    p.a.control.fail_snapshot = true;
    assert_int_not_equal(move(&p, NULL, &info), ROVE_OK);
    p.a.control.fail_snapshot = false;
    p.b.rt->host.policy.allow = refuse_all; /* before anything of the next move gets there */
    assert_int_equal(move(&p, NULL, &info), ROVE_E_REFUSED);
    p.b.rt->host.policy.allow = NULL;
    assert_lives_at_a(&p, "2");
    assert_ok(rove_runtime_shutdown(p.b.rt));
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_RUNTIME);
    assert_lives_at_a(&p, "3");
    pair_close(&p);

    pair_open(&p, 1, false);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    assert_int_equal(move(&p, &once, &info), ROVE_E_TARGET_NOT_READY);
    once.retry_not_ready = ROVE_SECOND;
    assert_int_equal(move(&p, &once, &info), ROVE_E_NOT_READY_TIMEOUT);
    assert_true(info.attempts >= 2);
    assert_lives_at_a(&p, "1");
    pair_close(&p);
}

static bool note_kind(void *user, const rove_policy_request *request)
{
    char *seen = user;
    if (request->question == ROVE_ASK_PLACE)
        snprintf(seen, 16, "%s", request->kind);
    return request->question != ROVE_ASK_PLACE;
}

/* Of an accepted kind a daemon comes unexpected; what does not come leaves nothing behind. */
static void test_accepted_kinds(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_migration_info info;
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(rove_runtime_accept_kind(p.b.rt, "other", true), ROVE_E_KIND_UNKNOWN);
    assert_ok(rove_runtime_register_kind(p.b.rt, "other", &probe_kind, &p.b.control));
    assert_ok(rove_runtime_accept_kind(p.b.rt, "other", true));
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_FACTORY);
    assert_ok(rove_runtime_accept_kind(p.b.rt, "probe", true));
    /* Policy is asked as always. */
    char seen[16] = "";
    p.b.rt->host.policy = (rove_policy){note_kind, seen};
    assert_int_equal(move(&p, NULL, &info), ROVE_E_REFUSED);
    assert_string_equal(seen, "probe");
    p.b.rt->host.policy = (rove_policy){NULL, NULL};
    /* It cannot be restored, or comes without its key. */
    p.b.control.fail_restore = true;
    assert_int_not_equal(move(&p, NULL, &info), ROVE_OK);
    p.b.control.fail_restore = false;
    rove_migration_options keep;
    rove_migration_options_init(&keep);
    keep.transport_identity = false;
    assert_int_equal(move(&p, &keep, &info), ROVE_E_IDENTITY_MISSING);
    assert_true(rovei_factory_is_empty(&p.b.rt->host.factory));
    assert_lives_at_a(&p, "1");
    assert_ok(rove_runtime_accept_kind(p.b.rt, NULL, false));
    assert_int_equal(move(&p, NULL, &info), ROVE_E_TARGET_NO_FACTORY);
    assert_ok(rove_runtime_accept_kind(p.b.rt, NULL, true));
    assert_ok(move(&p, NULL, &info));
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "2");
    assert_ok(rove_runtime_shutdown(p.b.rt));
    assert_int_equal(rove_runtime_accept_kind(p.b.rt, NULL, true), ROVE_E_SHUTTING_DOWN);
    pair_close(&p);
}

static void test_bad_orders(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_migration m;
    rove_entity nobody = rove_identity_entity(p.id);
    assert_int_equal(rove_runtime_start_migration(p.a.rt, p.d, &nobody, &m),
                     ROVE_E_TARGET_UNAVAILABLE);
    assert_int_equal(rove_runtime_start_migration(p.a.rt, p.d, &nobody, &m),
                     ROVE_E_TARGET_UNAVAILABLE); /* and not ALREADY_MIGRATING */
    assert_int_equal(rove_runtime_start_migration(p.a.rt, p.d, &p.a.info.entity, &m),
                     ROVE_E_SAME_NODE);
    rove_daemon none = {p.d.origin + 1};
    assert_int_equal(rove_runtime_start_migration(p.a.rt, none, &p.b.info.entity, &m),
                     ROVE_E_NOT_FOUND);
    rove_migration unknown = {{1, 2, 3}};
    assert_int_equal(rove_migration_wait(p.a.rt, unknown, NULL), ROVE_E_GONE);
    assert_int_equal(rove_migration_cancel(p.a.rt, unknown), ROVE_E_GONE);
    assert_int_equal(rove_migration_phase(p.a.rt, unknown), ROVE_PHASE_NONE);
    assert_lives_at_a(&p, "1");
    pair_close(&p);
}

static void test_not_ready_then_ready(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, false);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    rove_migration m;
    assert_ok(rove_runtime_start_migration(p.a.rt, p.d, &p.b.info.entity, &m));
    rove_migration_info info;
    do
        assert_ok(rove_migration_get(p.a.rt, m, &info));
    while (info.attempts < 1);
    deliver_expecting(&p.a, p.d, "1"); /* NotReady costs the daemon nothing */
    assert_int_equal(rove_runtime_start_migration(p.a.rt, p.d, &p.b.info.entity, &m),
                     ROVE_E_ALREADY_MIGRATING);
    assert_ok(rove_runtime_start(p.b.rt));
    assert_ok(rove_migration_wait(p.a.rt, m, &info));
    assert_ok(rove_migration_wait(p.a.rt, m, &info)); /* the same outcome later */
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "2");
    pair_close(&p);
}

/* ---- events while the daemon moves ---- */

/* Holds the target's restore, so that the source stays frozen. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed, gate_reached;

static rove_err gated_restore(void *self, rove_ctx *ctx, rove_span state)
{
    pthread_mutex_lock(&gate);
    gate_reached = true;
    pthread_cond_broadcast(&gate_moved);
    while (gate_closed)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
    return probe_restore(self, ctx, state);
}

static void gate_set(bool closed)
{
    pthread_mutex_lock(&gate);
    gate_closed = closed;
    gate_reached = false;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

static void gate_await(void)
{
    pthread_mutex_lock(&gate);
    while (!gate_reached)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
}

static rove_kind gated_kind;

/* A daemon of node a that is frozen on its way to node b, three events counted. */
static rove_migration freeze(pair *p)
{
    gated_kind = probe_kind;
    gated_kind.name = "gated";
    gated_kind.restore = gated_restore;
    assert_ok(rove_runtime_stop(p->a.rt, p->d));
    assert_ok(rove_runtime_register_kind(p->a.rt, NULL, &gated_kind, &p->a.control));
    assert_ok(rove_runtime_register_kind(p->b.rt, NULL, &gated_kind, &p->b.control));
    assert_ok(rove_runtime_spawn(p->a.rt, "gated", p->id, NULL, &p->d));
    for (int i = 0; i < 3; i++)
        deliver_and_forget(&p->a, p->d);
    assert_ok(rove_runtime_expect_migration(p->b.rt, "gated", p->d.origin, NULL));
    gate_set(true);
    rove_migration m;
    assert_ok(rove_runtime_start_migration(p->a.rt, p->d, &p->b.info.entity, &m));
    gate_await();
    return m;
}

typedef struct caller {
    pthread_t thread;
    place *at;
    rove_daemon d;
    rove_err err;
    char output[16];
    rove_link link;
} caller;

static void *caller_run(void *arg)
{
    caller *c = arg;
    rove_result result;
    c->err = deliver(c->at, c->d, "x", &result);
    size_t it = 0;
    rove_span payload;
    if (c->err == ROVE_OK && rove_result_next(&result, &it, &c->link, &payload))
        memcpy(c->output, payload.data, payload.size < 15 ? payload.size : 15);
    rove_result_fini(&result);
    return NULL;
}

static rove_err diverted_events(void *arg, rovei_cell *cell)
{
    uint64_t bytes;
    rovei_cell_diverted_totals(cell, arg, &bytes);
    return ROVE_OK;
}

static void await_diverted(place *p, rove_daemon d, uint64_t want)
{
    uint64_t events = 0;
    while (events < want) {
        assert_ok(rovei_host_with_cell(&p->rt->host, d.origin, diverted_events, &events));
        sched_yield();
    }
}

static void call(caller *c, pair *p, uint64_t number)
{
    *c = (caller){.at = &p->a, .d = p->d};
    assert_int_equal(pthread_create(&c->thread, NULL, caller_run, c), 0);
    await_diverted(&p->a, p->d, number);
}

typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    rove_err err;
    char output[16];
} told;

static void tell(void *user, rove_err err, const rove_result *result)
{
    told *t = user;
    size_t it = 0;
    rove_link link;
    rove_span payload;
    pthread_mutex_lock(&t->lock);
    t->calls++;
    t->err = err;
    if (rove_result_next(result, &it, &link, &payload))
        memcpy(t->output, payload.data, payload.size < 15 ? payload.size : 15);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void await_told(told *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->calls)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void nowait(pair *p, told *t, uint64_t number)
{
    *t = (told){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    rove_event event = {.payload = span_of("x")};
    rove_result result;
    assert_int_equal(
        rove_runtime_deliver(p->a.rt, p->d, &event, ROVE_DELIVER_NOWAIT, &result, tell, t),
        ROVE_E_DIVERTED);
    assert_int_equal(result.number, number);
    rove_result_fini(&result);
}

typedef struct index_seen {
    atomic_int count;
    atomic_uint_fast64_t last;
} index_seen;

static void see_index(void *user, const rove_observed *o)
{
    index_seen *s = user;
    uint64_t index = o->index;
    assert_span(o->event.payload, "x", 1);
    assert_int_equal(o->output_count, 1);
    /* Two threads may tell of their events in either order. */
    uint_fast64_t last = atomic_load(&s->last);
    while (index > last && !atomic_compare_exchange_weak(&s->last, &last, index))
        ;
    atomic_fetch_add(&s->count, 1);
}

static void test_diverted_then_moved(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_migration m = freeze(&p);
    index_seen at_a = {0}, at_b = {0};
    rove_observer id;
    assert_ok(rove_runtime_observe(p.a.rt, p.d, see_index, &at_a, &id));
    assert_ok(rove_runtime_observe(p.b.rt, p.d, see_index, &at_b, &id));
    int before = p.a.control.processed;
    caller first, third;
    told second;
    call(&first, &p, 1);
    nowait(&p, &second, 2);
    call(&third, &p, 3);
    assert_int_equal(p.a.control.processed, before);
    gate_set(false);
    rove_migration_info info;
    assert_ok(rove_migration_wait(p.a.rt, m, &info));
    pthread_join(first.thread, NULL);
    pthread_join(third.thread, NULL);
    await_told(&second);
    assert_int_equal(first.err, ROVE_OK);
    assert_string_equal(first.output, "4");
    assert_int_equal(first.link.sequence, 4);
    assert_int_equal(second.err, ROVE_OK);
    assert_int_equal(second.calls, 1);
    assert_string_equal(second.output, "5");
    assert_int_equal(third.err, ROVE_OK);
    assert_string_equal(third.output, "6");
    assert_int_equal(p.a.control.processed, before);
    await_count(&p.a, 0);
    assert_lives_at_b(&p, "7");
    assert_int_equal(at_a.count, 0); /* observers fire where an event is applied */
    while (atomic_load(&at_b.count) < 4)
        sched_yield();
    assert_int_equal(at_b.last, 7);
    pair_close(&p);
}

static void test_diverted_then_cancelled(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        pair p;
        pair_open(&p, 1, true);
        rove_migration m = freeze(&p);
        index_seen at_a = {0};
        rove_observer id;
        assert_ok(rove_runtime_observe(p.a.rt, p.d, see_index, &at_a, &id));
        caller first, third;
        told second;
        call(&first, &p, 1);
        nowait(&p, &second, 2);
        call(&third, &p, 3);
        assert_int_equal(rove_runtime_stop(p.a.rt, p.d), ROVE_E_ALREADY_MIGRATING);
        if (workers) {
            assert_ok(rove_migration_cancel(p.a.rt, m));
            assert_int_equal(rove_migration_wait(p.a.rt, m, NULL), ROVE_E_CANCELLED);
        } else {
            rove_migration_info info;
            assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, 1, &info),
                             ROVE_E_TIMED_OUT);
            assert_int_equal(info.outcome, ROVE_OUTCOME_TIMED_OUT);
        }
        pthread_join(first.thread, NULL);
        pthread_join(third.thread, NULL);
        await_told(&second);
        gate_set(false);
        assert_string_equal(first.output, "4");
        assert_string_equal(second.output, "5");
        assert_string_equal(third.output, "6");
        assert_lives_at_a(&p, "7");
        while (atomic_load(&at_a.count) < 4)
            sched_yield();
        pair_close(&p);
    }
}

static void test_snapshot_and_stats_while_frozen(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_migration m = freeze(&p);
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(p.a.rt, p.d, &stats));
    assert_int_equal(stats.events_processed, 3);
    rove_snapshot *snapshot;
    assert_ok(rove_runtime_snapshot(p.a.rt, p.d, &snapshot, NULL));
    assert_int_equal(rove_snapshot_get_info(snapshot).through_seq, 3);
    rove_snapshot_unref(snapshot);
    rove_migration_info moves[2];
    assert_int_equal(rove_runtime_moves(p.a.rt, moves, 2), 1);
    assert_memory_equal(&moves[0].migration, &m, sizeof m);
    assert_int_not_equal(rove_runtime_migration_phase(p.a.rt, p.d), ROVE_PHASE_NONE);
    assert_int_equal(rove_runtime_moves(p.b.rt, moves, 2), 1);
    assert_false(moves[0].outgoing);
    assert_int_equal(rove_runtime_migration_phase(p.b.rt, p.d), ROVE_PHASE_NONE);
    gate_set(false);
    assert_ok(rove_migration_wait(p.a.rt, m, NULL));
    pair_close(&p);
}

static void test_shutdown_while_frozen(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_migration m = freeze(&p);
    caller first;
    told second;
    call(&first, &p, 1);
    nowait(&p, &second, 2);
    assert_ok(rove_runtime_shutdown(p.a.rt));
    gate_set(false);
    pthread_join(first.thread, NULL);
    await_told(&second);
    assert_int_equal(first.err, ROVE_E_SHUTTING_DOWN);
    assert_int_equal(second.err, ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_migration_wait(p.a.rt, m, NULL), ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_runtime_daemon_count(p.a.rt), 0);
    pair_close(&p);
}

/* ---- threads that must not wait ---- */

struct on_loop {
    pair *p;
    rove_migration m;
    rove_err deliver, nowait, wait, spawn, shutdown;
    told told;
};

static void call_from_the_loop(void *arg, rovei_node *core, rovei_now now)
{
    struct on_loop *c = arg;
    rove_runtime *rt = c->p->a.rt;
    (void)core;
    (void)now;
    rove_event event = {.payload = span_of("x")};
    rove_result result;
    rove_daemon d;
    c->deliver = rove_runtime_deliver(rt, c->p->d, &event, 0, &result, NULL, NULL);
    rove_result_fini(&result);
    c->nowait =
        rove_runtime_deliver(rt, c->p->d, &event, ROVE_DELIVER_NOWAIT, &result, tell, &c->told);
    rove_result_fini(&result);
    c->wait = rove_migration_wait(rt, c->m, NULL);
    c->spawn = rove_runtime_spawn(rt, "probe", NULL, NULL, &d);
    c->shutdown = rove_runtime_shutdown(rt);
}

static void test_would_block(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    struct on_loop c = {
        .p = &p, .told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    c.m = freeze(&p);
    rovei_node_call(p.a.node, call_from_the_loop, &c);
    assert_int_equal(c.deliver, ROVE_E_WOULD_BLOCK);
    assert_int_equal(c.nowait, ROVE_E_DIVERTED);
    assert_int_equal(c.wait, ROVE_E_WOULD_BLOCK);
    assert_int_equal(c.spawn, ROVE_E_WOULD_BLOCK);
    assert_int_equal(c.shutdown, ROVE_E_WOULD_BLOCK);
    gate_set(false);
    assert_ok(rove_migration_wait(p.a.rt, c.m, NULL));
    await_told(&c.told);
    assert_string_equal(c.told.output, "4"); /* what would have blocked was not accepted */
    /* On a node that is free the loop may deliver. */
    await_count(&p.a, 0);
    pair_close(&p);
}

/* ---- traffic over moves ---- */

typedef struct traffic {
    pair *p;
    atomic_bool stop;
    atomic_uint sent, failed;
    uint64_t sequence;
} traffic;

static void *traffic_run(void *arg)
{
    traffic *t = arg;
    while (!atomic_load(&t->stop)) {
        place *at[2] = {&t->p->a, &t->p->b};
        bool done = false;
        for (int i = 0; i < 2 && !done; i++) {
            rove_result result;
            rove_err err = deliver(at[i], t->p->d, "x", &result);
            done = err == ROVE_OK;
            if (done)
                atomic_fetch_add(&t->sent, 1);
            else if (err != ROVE_E_MOVED && err != ROVE_E_NOT_FOUND && err != ROVE_E_STALE)
                atomic_fetch_add(&t->failed, 1);
            rove_result_fini(&result);
        }
    }
    return NULL;
}

static void test_traffic_over_moves(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    traffic t = {.p = &p};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, traffic_run, &t), 0);
    place *from = &p.a, *to = &p.b;
    for (int i = 0; i < 6; i++) {
        rove_migration m;
        rove_err err;
        while ((err = rove_runtime_start_migration(from->rt, p.d, &to->info.entity, &m)) ==
               ROVE_E_MOVE_NOT_CLOSED)
            sched_yield();
        assert_ok(err);
        assert_ok(rove_migration_wait(from->rt, m, NULL));
        place *next = from;
        from = to;
        to = next;
    }
    atomic_store(&t.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(t.failed, 0);
    char want[16];
    snprintf(want, sizeof want, "%u", t.sent + 1);
    deliver_expecting(from, p.d, want); /* none lost, none twice */
    pair_close(&p);
}

/* ---- senders ---- */

static void test_sender_follows(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_entity entity = rove_identity_entity(p.id);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    rove_sender *s;
    assert_ok(rove_sender_open(&s, p.b.node, &entity, NULL));
    uint64_t number;
    for (uint64_t i = 1; i <= 60; i++) {
        assert_ok(rove_sender_send(s, span_of("x"), true, &number));
        assert_int_equal(number, i);
        if (i == 30) {
            rove_migration_info info;
            assert_ok(move(&p, NULL, &info));
        }
    }
    for (uint64_t i = 1; i <= 60; i++) {
        rove_sent sent;
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
        assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
        assert_int_equal(sent.number, i);
        char want[16];
        size_t it = 0;
        rove_link link;
        rove_span payload;
        snprintf(want, sizeof want, "%d", (int)i);
        assert_true(rove_sent_next(&sent, &it, &link, &payload));
        assert_span(payload, want, strlen(want));
        assert_int_equal(link.sequence, i);
        rove_sent_fini(&sent);
    }
    rove_sent sent;
    assert_int_equal(rove_sender_next(s, 0, &sent), ROVE_E_TIMED_OUT);
    rove_sender_close(s);
    assert_int_equal(rove_sender_send(s, span_of("x"), true, NULL), ROVE_E_CLOSED);
    assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_ENDED);
    assert_int_equal(rove_sender_next(s, ROVE_TIME_NEVER, &sent), ROVE_E_CLOSED);
    rove_sender_free(s);
    pair_close(&p);
}

static void test_sender_window(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_entity entity = rove_identity_entity(p.id);
    rove_sender *s;
    assert_ok(rove_sender_open(&s, p.a.node, &entity, NULL)); /* also a daemon of this node */
    rove_err err = ROVE_OK;
    unsigned taken = 0;
    while ((err = rove_sender_send(s, span_of("x"), false, NULL)) == ROVE_OK)
        taken++;
    assert_int_equal(err, ROVE_E_WINDOW);
    assert_int_equal(taken, 256); /* nobody pulls: so many are kept */
    rove_sent sent;
    for (unsigned i = 1; i <= taken; i++) {
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
        assert_int_equal(sent.number, i);
        assert_int_equal(sent.err, ROVE_OK);
        rove_sent_fini(&sent);
    }
    p.a.control.fail_process = true;
    assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
    assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
    assert_int_equal(sent.err, ROVE_E_PROCESS);
    assert_span(sent.text, "no: told to", 11);
    rove_sent_fini(&sent);
    static uint8_t large[(1 << 20) + 1];
    assert_int_equal(rove_sender_send(s, (rove_span){large, sizeof large}, true, NULL),
                     ROVE_E_TOO_LARGE);
    rove_sender_free(s); /* without close: what is open is given up */
    pair_close(&p);
}

/* ---- policy ---- */

typedef struct asked {
    atomic_int count[6];
    rove_entity peer, daemon;
    rove_question refused;
} asked;

static bool allow_but_one(void *user, const rove_policy_request *request)
{
    asked *a = user;
    atomic_fetch_add(&a->count[request->question], 1);
    if (!rovei_entity_equal(&request->peer, &a->peer) ||
        !rovei_entity_equal(&request->daemon, &a->daemon))
        return request->preset;
    return request->question != a->refused;
}

static void test_policy_of_lanes(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 1, true);
    rove_runtime_unref(p.b.rt);
    asked a = {.peer = p.a.info.entity, .refused = ROVE_ASK_SEND};
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.policy = (rove_policy){allow_but_one, &a};
    assert_ok(rove_runtime_new(&p.b.rt, p.b.node, &rc));
    assert_ok(rove_runtime_register_kind(p.b.rt, NULL, &probe_kind, &p.b.control));
    assert_ok(rove_runtime_start(p.b.rt));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.b.rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(p.b.rt, d, &a.daemon));
    for (int round = 0; round < 2; round++) {
        rove_sender *s;
        assert_ok(rove_sender_open(&s, p.a.node, &a.daemon, NULL));
        assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
        rove_sent sent;
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
        if (round == 0) {
            assert_int_equal(sent.kind, ROVE_SENT_REFUSED);
            assert_int_equal(sent.err, ROVE_E_REFUSED);
            assert_int_equal(a.count[ROVE_ASK_SEND], 1);
        } else { /* it may send, but not read what comes of it */
            assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
            assert_int_equal(sent.output_count, 0);
            assert_true(a.count[ROVE_ASK_READ] > 0);
        }
        rove_sent_fini(&sent);
        rove_sender_free(s);
        a.refused = ROVE_ASK_READ;
    }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move_and_back),
        cmocka_unit_test(test_identity_rules),
        cmocka_unit_test(test_after_a_refused_spawn),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted_kinds),
        cmocka_unit_test(test_bad_orders),
        cmocka_unit_test(test_not_ready_then_ready),
        cmocka_unit_test(test_diverted_then_moved),
        cmocka_unit_test(test_diverted_then_cancelled),
        cmocka_unit_test(test_snapshot_and_stats_while_frozen),
        cmocka_unit_test(test_shutdown_while_frozen),
        cmocka_unit_test(test_would_block),
        cmocka_unit_test(test_traffic_over_moves),
        cmocka_unit_test(test_sender_follows),
        cmocka_unit_test(test_sender_window),
        cmocka_unit_test(test_policy_of_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
