/* SPDX-License-Identifier: Apache-2.0
 *
 * Driven nodes: whole lives in one thread, what is told when, and the threads that share a node. */
#include "driven.h"

/* ---- everything in one thread ---- */

static void whole_life(bool busy)
{
    place places[2], *a = &places[0], *b = &places[1];
    loop l;
    two_open(&l, places, 0);
    l.busy = busy;
    rove_entity entity;
    rove_daemon d = spawn_here(a, &entity);
    deliver_expecting(a, d, "1");
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(a->rt, d, &stats));
    assert_int_equal(stats.events_processed, 1);

    tally near, far;
    tally_open(&near, a, &entity);
    near.applied = 1;
    tally_send(&near, 20);
    LOOP_UNTIL(&l, near.applied == 21);

    tally_open(&far, b, &entity);
    far.applied = 21;
    tally_send(&far, 10);
    LOOP_UNTIL(&l, far.applied == 31);

    assert_ok(rove_runtime_expect_migration(b->rt, "probe", d.origin, NULL));
    rove_migration m;
    assert_ok(rove_runtime_start_migration(a->rt, d, &b->info.entity, &m));
    near.applied = 31; /* they meet it wherever it is by then */
    tally_send(&near, 50);
    LOOP_UNTIL(&l, has_moved(a, m) && near.applied == 81);
    deliver_expecting(b, d, "82");
    rove_result result;
    assert_int_equal(deliver(a, d, "x", &result), ROVE_E_MOVED);

    tally_close(&near, &l);
    tally_close(&far, &l);
    assert_ok(rove_runtime_stop(b->rt, d));
    LOOP_UNTIL(&l, rove_runtime_daemon_count(b->rt) == 0);
    two_close(places);
}

static void test_one_thread(void **state)
{
    (void)state;
    whole_life(false);
}

static void test_busy(void **state)
{
    (void)state;
    whole_life(true);
}

/* Each event is sent out of the outcome of the former: nothing is left to do but what comes from
 * the other node, and each wake that is missing would stop it. */
static void test_chain_of_callbacks(void **state)
{
    (void)state;
    place places[2];
    loop l;
    two_open(&l, places, 0);
    rove_entity entity;
    (void)spawn_here(&places[0], &entity);
    tally t;
    tally_open(&t, &places[1], &entity);
    t.more = 300;
    tally_send(&t, 1);
    LOOP_UNTIL(&l, t.applied == 301);
    tally_close(&t, &l);
    two_close(places);
}

/* A node that sends to its own daemon does it all within itself. */
static void test_alone(void **state)
{
    (void)state;
    place p;
    loop l = {.places = &p, .count = 1};
    driven_open(&p, 0);
    rove_entity entity;
    (void)spawn_here(&p, &entity);
    tally t;
    tally_open(&t, &p, &entity);
    t.more = 1000;
    tally_send(&t, 100);
    LOOP_UNTIL(&l, t.applied == 1100);
    tally_close(&t, &l);
    place_close(&p);
}

/* ---- what is told when ---- */

static void test_order_after_the_deadline(void **state)
{
    (void)state;
    place p;
    loop l = {.places = &p, .count = 1};
    driven_open(&p, 0);
    rove_entity entity;
    (void)spawn_here(&p, &entity);
    tally t;
    tally_open(&t, &p, &entity);
    settle(&l);
    assert_true(rove_node_deadline(p.node) > clock_now());
    assert_false(readable(&p));
    tally_send(&t, 1); /* posted */
    assert_true(readable(&p));
    LOOP_UNTIL(&l, t.applied == 1);
    settle(&l);
    assert_true(rove_node_deadline(p.node) > clock_now());
    assert_false(readable(&p));
    rove_migration_info info;
    assert_int_equal(rove_migration_get(p.rt, (rove_migration){{1}}, &info), ROVE_E_GONE);
    assert_true(readable(&p)); /* done in place: what follows is due */
    assert_int_equal(rove_node_deadline(p.node), 0);
    settle(&l);
    tally_send(&t, 1);
    assert_int_equal(rove_node_deadline(p.node), 0);
    tally_close(&t, &l);
    place_close(&p);
}

static void test_goodbye(void **state)
{
    (void)state;
    place places[2];
    loop l;
    two_open(&l, places, 0);
    settle(&l);
    place_close(&places[0]);
    loop rest = {.places = &places[1], .count = 1};
    LOOP_UNTIL(&rest, !knows(&places[1], &places[0])); /* all timers are far away */
    place_close(&places[1]);
}

/* ---- several threads ---- */

static void test_not_driven(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 0);
    assert_int_equal(rove_node_fd(p.node), -1);
    assert_true(rove_node_deadline(p.node) == ROVE_TIME_NEVER);
    assert_int_equal(rove_node_process(p.node), ROVE_E_USAGE);
    place_close(&p);
}

/* A daemon that waits inside of process, on the thread that drives. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool reached, open;
} gate;

static rove_err wait_at_gate(probe_control *control, rove_ctx *ctx, const rove_event *event)
{
    gate *g = control->arg;
    (void)ctx;
    (void)event;
    pthread_mutex_lock(&g->lock);
    g->reached = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return ROVE_OK;
}

typedef struct driver {
    loop loop;
    tally *t;
    uint64_t applied;
    pthread_t thread;
} driver;

static void *drive(void *arg)
{
    driver *d = arg;
    LOOP_UNTIL(&d->loop, d->t->applied == d->applied);
    return NULL;
}

static void test_two_drive_at_once(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 0);
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    p.control.during = wait_at_gate;
    p.control.arg = &g;
    rove_entity entity;
    (void)spawn_here(&p, &entity);
    tally t;
    tally_open(&t, &p, &entity);
    tally_send(&t, 1);
    driver other = {.loop = {.places = &p, .count = 1}, .t = &t, .applied = 1};
    assert_int_equal(pthread_create(&other.thread, NULL, drive, &other), 0);
    pthread_mutex_lock(&g.lock);
    while (!g.reached)
        pthread_cond_wait(&g.changed, &g.lock);
    pthread_mutex_unlock(&g.lock);
    assert_int_equal(rove_node_process(p.node), ROVE_E_BUSY);
    assert_int_equal(rove_node_deadline(p.node), 0);
    pthread_mutex_lock(&g.lock);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    pthread_join(other.thread, NULL);
    assert_ok(rove_node_process(p.node)); /* the node is this thread's again */
    loop l = {.places = &p, .count = 1};
    tally_close(&t, &l);
    place_close(&p);
}

/* The thread that made the node goes on using it while another one begins to drive it: its calls
 * are carried out in place at first and handed over later, and neither of the two stops the other.
 */
typedef struct successor {
    place *p;
    atomic_bool stop;
    atomic_int turns;
    pthread_t thread;
} successor;

static void *drive_on(void *arg)
{
    successor *s = arg;
    loop l = {.places = s->p, .count = 1};
    while (!atomic_load(&s->stop)) {
        rove_err err = rove_node_process(s->p->node);
        assert_true(err == ROVE_OK || err == ROVE_E_BUSY);
        atomic_fetch_add(&s->turns, 1);
    }
    settle(&l);
    return NULL;
}

static void use(place *p, const rove_entity *daemon)
{
    rove_migration_info info;
    assert_int_equal(rove_migration_get(p->rt, (rove_migration){{1}}, &info), ROVE_E_GONE);
    rove_sender *s;
    assert_ok(rove_sender_open(&s, p->node, daemon, NULL));
    assert_ok(rove_sender_send(s, span_of("x"), false, NULL));
    rove_sender_free(s);
}

static void test_handover(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 0);
    rove_entity entity;
    (void)spawn_here(&p, &entity);
    for (int round = 0; round < 20; round++) {
        successor s = {.p = &p};
        use(&p, &entity);
        assert_int_equal(pthread_create(&s.thread, NULL, drive_on, &s), 0);
        int turns = 0;
        while (turns < 20) {
            use(&p, &entity);
            turns = atomic_load(&s.turns);
        }
        atomic_store(&s.stop, true);
        pthread_join(s.thread, NULL);
        assert_ok(rove_node_process(p.node));
    }
    place_close(&p);
}

/* What a thread that does not drive does: all that waits, against nodes that somebody drives. */
typedef struct stranger {
    place *a, *b;
    rove_daemon d;
    rove_entity entity;
    atomic_int *running;
    pthread_t thread;
} stranger;

static void *use_from_outside(void *arg)
{
    stranger *s = arg;
    assert_ok(rove_node_wait_peer(s->a->node, &s->b->info.entity, ROVE_TIME_NEVER));
    rove_daemon own;
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, s->a->node));
    assert_ok(rove_runtime_spawn(s->a->rt, "probe", id, NULL, &own));
    rove_sender *sender;
    assert_ok(rove_sender_open(&sender, s->b->node, &s->entity, NULL));
    for (int i = 0; i < 100; i++) {
        rove_result result;
        assert_ok(deliver(s->a, own, "x", &result));
        rove_result_fini(&result);
        assert_ok(rove_sender_send(sender, span_of("x"), true, NULL));
    }
    rove_sent sent = {0};
    for (int i = 0; i < 100; i++) {
        assert_ok(rove_sender_next(sender, ROVE_TIME_NEVER, &sent));
        assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
        rove_sent_fini(&sent);
    }
    rove_sender_free(sender);
    assert_ok(rove_runtime_expect_migration(s->b->rt, "probe", own.origin, NULL));
    rove_migration m;
    assert_ok(rove_runtime_start_migration(s->a->rt, own, &s->b->info.entity, &m));
    assert_ok(rove_migration_wait(s->a->rt, m, NULL));
    deliver_expecting(s->b, own, "101");
    rove_identity_free(id);
    atomic_fetch_sub(s->running, 1);
    return NULL;
}

static void from_many_threads(unsigned workers)
{
    place places[2];
    loop l;
    two_open(&l, places, workers);
    rove_entity entity;
    rove_daemon d = spawn_here(&places[0], &entity);
    atomic_int running = 4;
    stranger strangers[4];
    for (size_t i = 0; i < 4; i++) {
        strangers[i] = (stranger){&places[0], &places[1], d, entity, &running, 0};
        assert_int_equal(
            pthread_create(&strangers[i].thread, NULL, use_from_outside, &strangers[i]), 0);
    }
    /* The last word of a thread is no task: what it frees last makes one turn more. */
    while (atomic_load(&running)) {
        loop_step(&l);
        if (l.turns % 64 == 0)
            l.busy = !l.busy;
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(strangers[i].thread, NULL);
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(places[0].rt, d, &stats));
    assert_int_equal(stats.events_processed, 400);
    two_close(places);
}

static void test_from_many_threads(void **state)
{
    (void)state;
    from_many_threads(0);
}

static void test_with_workers(void **state)
{
    (void)state;
    from_many_threads(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_chain_of_callbacks),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_order_after_the_deadline),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_not_driven),
        cmocka_unit_test(test_two_drive_at_once),
        cmocka_unit_test(test_handover),
        cmocka_unit_test(test_from_many_threads),
        cmocka_unit_test(test_with_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
