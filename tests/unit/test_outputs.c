/* SPDX-License-Identifier: Apache-2.0
 *
 * What a daemon publishes: its outputs on the channel that its configuration names, in the order in
 * which it made them, whoever sent the events and wherever it lives. The probe puts out how many
 * events it has had. */
#include "driven.h"

#include <pthread.h>
#include <rove/channel.h>
#include <rove/placement.h>
#include <sched.h>

/* ---- what is heard ---- */

typedef struct ear {
    rove_listener *listener;
    atomic_bool subscribed;
    atomic_uint_fast64_t events, wrong;
    uint64_t next; /* what the next one should say */
} ear;

static void hear(void *user, const rove_heard *h)
{
    ear *e = user;
    char want[24];
    if (h->kind == ROVE_HEARD_SUBSCRIBED)
        atomic_store(&e->subscribed, h->err == ROVE_OK);
    if (h->kind == ROVE_HEARD_SUBSCRIBED && !h->err)
        return;
    int size = snprintf(want, sizeof want, "%" PRIu64, e->next++);
    if (h->kind != ROVE_HEARD_EVENT || h->payload.size != (size_t)size ||
        memcmp(h->payload.data, want, h->payload.size) != 0)
        atomic_fetch_add(&e->wrong, 1);
    atomic_fetch_add(&e->events, 1);
}

static void ear_open(ear *e, place *p, uint64_t next)
{
    *e = (ear){.next = next};
    rove_listen_options o;
    rove_listen_options_init(&o);
    o.heard = hear;
    o.user = e;
    assert_ok(rove_channel_listen(&e->listener, p->node, "out/puts", &o));
    while (!atomic_load(&e->subscribed))
        sched_yield();
}

static void ear_close(ear *e, uint64_t events)
{
    while (atomic_load(&e->events) < events)
        sched_yield();
    assert_int_equal(atomic_load(&e->wrong), 0);
    assert_int_equal(atomic_load(&e->events), events);
    rove_listener_free(e->listener);
}

static rove_daemon spawn_loud(place *p, const char *kind, const rove_identity *id)
{
    rove_daemon d;
    rove_spawn_options o;
    rove_spawn_options_init(&o);
    char channel[] = "out/puts";
    o.output_channel = channel;
    assert_ok(rove_runtime_spawn(p->rt, kind, id, &o, &d));
    memset(channel, 'x', sizeof channel - 1); /* it was copied */
    return d;
}

/* ---- one order ---- */

#define EACH 2000

typedef struct local {
    pthread_t thread;
    place *at;
    rove_daemon d;
} local;

static void *deliver_many(void *arg)
{
    local *l = arg;
    rove_result result;
    for (int i = 0; i < EACH; i++) {
        assert_ok(deliver(l->at, l->d, "x", &result));
        assert_int_equal(result.output_count, 1);
        rove_result_fini(&result);
    }
    return NULL;
}

static void ignore(void *user, const rove_sent *sent)
{
    (void)user;
    (void)sent;
}

/* Two threads of this node and a sender of another one: one order, and nothing is left out. */
static void in_one_order(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        place a, b;
        place_ready(&a, workers);
        place_ready(&b, workers);
        connect_places(&a, &b);
        local threads[2];
        rove_daemon d = spawn_loud(&a, "probe", NULL);
        rove_entity entity;
        assert_ok(rove_runtime_entity(a.rt, d, &entity));
        ear e;
        ear_open(&e, &a, 1); /* the channel is there before the first output */
        for (int i = 0; i < 2; i++) {
            threads[i] = (local){.at = &a, .d = d};
            assert_int_equal(pthread_create(&threads[i].thread, NULL, deliver_many, &threads[i]),
                             0);
        }
        rove_sender *s;
        rove_sender_config cfg;
        rove_sender_config_init(&cfg);
        cfg.sent = ignore;
        assert_ok(rove_sender_open(&s, b.node, &entity, &cfg));
        for (int i = 0; i < EACH; i++)
            assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i].thread, NULL);
        ear_close(&e, 3 * EACH);
        rove_sender_close(s);
        rove_sender_free(s);
        place_close(&a);
        place_close(&b);
    }
}

/* ---- moves ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed, gate_reached, gate_refuses;

/* Holds the target's restore, so that the source stays frozen, and may refuse it in the end. */
static rove_err gated_restore(void *self, rove_ctx *ctx, rove_span state)
{
    pthread_mutex_lock(&gate);
    gate_reached = true;
    pthread_cond_broadcast(&gate_moved);
    while (gate_closed)
        pthread_cond_wait(&gate_moved, &gate);
    bool refuses = gate_refuses;
    pthread_mutex_unlock(&gate);
    return refuses ? rove_fail(ctx, "this state is not wanted") : probe_restore(self, ctx, state);
}

static void gate_set(bool closed)
{
    pthread_mutex_lock(&gate);
    gate_closed = closed;
    gate_reached = gate_refuses = false;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

/* What it holds now is refused. */
static void gate_refuse(void)
{
    pthread_mutex_lock(&gate);
    gate_refuses = true;
    gate_closed = false;
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

typedef struct pair {
    place a, b;
    rove_identity *id;
    rove_daemon d;
    rove_kind kind;
    ear at_a, at_b;
} pair;

static void pair_open(pair *p)
{
    place_ready(&p->a, 1);
    place_ready(&p->b, 1);
    connect_places(&p->a, &p->b);
    p->kind = probe_kind;
    p->kind.name = "gated";
    p->kind.restore = gated_restore;
    assert_ok(rove_runtime_register_kind(p->a.rt, NULL, &p->kind, &p->a.control));
    assert_ok(rove_runtime_register_kind(p->b.rt, NULL, &p->kind, &p->b.control));
    assert_ok(rove_identity_generate(&p->id, p->a.node));
    p->d = spawn_loud(&p->a, "gated", p->id);
    assert_ok(rove_runtime_expect_migration(p->b.rt, "gated", p->d.origin, NULL));
    assert_ok(rove_channel_create(p->b.node, "out/puts", NULL, false));
    ear_open(&p->at_a, &p->a, 1);
    ear_open(&p->at_b, &p->b, 4);
    for (int i = 0; i < 3; i++)
        deliver_and_forget(&p->a, p->d);
}

static void pair_close(pair *p)
{
    rove_identity_free(p->id);
    place_close(&p->a);
    place_close(&p->b);
}

static void told(void *user, rove_err err, const rove_result *result)
{
    (void)result;
    assert_ok(err);
    atomic_fetch_add((atomic_uint *)user, 1);
}

/* Two events that meet the frozen daemon. */
static void divert_two(pair *p, atomic_uint *done)
{
    rove_event event = {.payload = span_of("x")};
    for (int i = 0; i < 2; i++) {
        rove_result result;
        assert_int_equal(
            rove_runtime_deliver(p->a.rt, p->d, &event, ROVE_DELIVER_NOWAIT, &result, told, done),
            ROVE_E_DIVERTED);
        rove_result_fini(&result);
    }
}

static rove_migration start(pair *p, place *from, place *to)
{
    rove_migration m;
    rove_err err;
    while ((err = rove_runtime_start_migration(from->rt, p->d, &to->info.entity, &m)) ==
           ROVE_E_MOVE_NOT_CLOSED)
        sched_yield();
    assert_ok(err);
    return m;
}

/* Where an event is applied its outputs are published, those of diverted events too; the name goes
 * with the daemon, and back. */
static void over_a_move(void **state)
{
    (void)state;
    pair p;
    atomic_uint done = 0;
    pair_open(&p);
    gate_set(true);
    rove_migration m = start(&p, &p.a, &p.b);
    gate_await();
    divert_two(&p, &done);
    gate_set(false);
    rove_migration_info info;
    assert_ok(rove_migration_wait_with_timeout(p.a.rt, m, 20 * ROVE_SECOND, &info));
    while (atomic_load(&done) < 2)
        sched_yield();
    deliver_expecting(&p.b, p.d, "6");
    m = start(&p, &p.b, &p.a);
    assert_ok(rove_migration_wait_with_timeout(p.b.rt, m, 20 * ROVE_SECOND, &info));
    ear_close(&p.at_b, 3);
    while (atomic_load(&p.at_a.events) < 3)
        sched_yield();
    p.at_a.next = 7;
    deliver_expecting(&p.a, p.d, "7");
    ear_close(&p.at_a, 4);
    pair_close(&p);
}

/* After a move that failed, what was diverted is published here, and nothing there. */
static void over_a_failed_move(void **state)
{
    (void)state;
    pair p;
    atomic_uint done = 0;
    pair_open(&p);
    gate_set(true);
    rove_migration m = start(&p, &p.a, &p.b);
    gate_await();
    divert_two(&p, &done);
    gate_refuse();
    rove_migration_info info;
    assert_int_equal(rove_migration_wait_with_timeout(p.a.rt, m, 20 * ROVE_SECOND, &info),
                     ROVE_E_RESTORE_FAILED);
    while (atomic_load(&done) < 2)
        sched_yield();
    deliver_expecting(&p.a, p.d, "6");
    ear_close(&p.at_a, 6);
    ear_close(&p.at_b, 0);
    pair_close(&p);
}

/* ---- bounds and bad input ---- */

static void names_are_checked(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 0);
    rove_spawn_options o;
    rove_daemon d;
    rove_spawn_options_init(&o);
    o.output_channel = "";
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", NULL, &o, &d), ROVE_E_CHANNEL_EMPTY);
    o.output_channel = "Out";
    assert_int_equal(rove_runtime_spawn(p.rt, "probe", NULL, &o, &d), ROVE_E_CHANNEL_FORMAT);
    rove_spawned spawned;
    assert_int_equal(rove_runtime_spawn_anywhere(p.rt, "probe", NULL, &o, &spawned),
                     ROVE_E_CHANNEL_FORMAT);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 0);
    assert_int_equal(rove_channel_list(p.node, NULL, 0), 0);
    place_close(&p);
}

/* A node whose thread does not come round publishes nothing: at the bound events are refused, and
 * none that was applied is left out. */
static void at_the_bound(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 0);
    loop l = {.places = &p, .count = 1};
    rove_limits limits;
    rove_limits_init(&limits);
    rove_channel_info info;
    rove_daemon d = spawn_loud(&p, "probe", NULL);
    rove_result result;
    uint64_t applied = 0;
    rove_err err;
    while ((err = deliver(&p, d, "x", &result)) == ROVE_OK) {
        rove_result_fini(&result);
        applied++;
    }
    assert_int_equal(err, ROVE_E_FULL);
    assert_int_equal(applied, limits.pending_events);
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(p.rt, d, &stats));
    assert_int_equal(stats.events_processed, applied);
    do {
        loop_step(&l);
        assert_int_equal(rove_channel_list(p.node, &info, 1), 1);
    } while (info.published < applied);
    assert_ok(deliver(&p, d, "x", &result));
    rove_result_fini(&result);
    do {
        loop_step(&l);
        assert_int_equal(rove_channel_list(p.node, &info, 1), 1);
    } while (info.published < applied + 1);
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_one_order),       cmocka_unit_test(over_a_move),
        cmocka_unit_test(over_a_failed_move), cmocka_unit_test(names_are_checked),
        cmocka_unit_test(at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
