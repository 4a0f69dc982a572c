/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes without a loop thread: this file drives them, either sleeping exactly as long as it is told
 * or not at all. Timers that come round by themselves are set so far away that a wake which is
 * missing is not made up for by one of them. */
#include "nodes.h"
#include <poll.h>
#include <time.h>

#define FAR (50 * ROVE_SECOND)

static uint64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}

/* ---- a loop of one's own ---- */

typedef struct loop {
    place *places;
    size_t count;
    bool busy; /* never asks and never sleeps */
    size_t turns;
} loop;

static struct timespec until(uint64_t deadline)
{
    uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
    return (struct timespec){.tv_sec = (time_t)(left / ROVE_SECOND),
                             .tv_nsec = (long)(left % ROVE_SECOND)};
}

static void loop_step(loop *l)
{
    uint64_t deadlines[3], next = ROVE_TIME_NEVER;
    struct pollfd fds[3];
    for (size_t i = 0; i < l->count && !l->busy; i++) {
        deadlines[i] = rove_node_deadline(l->places[i].node);
        next = deadlines[i] < next ? deadlines[i] : next;
        fds[i] = (struct pollfd){.fd = rove_node_fd(l->places[i].node), .events = POLLIN};
    }
    if (!l->busy) {
        struct timespec t = until(next);
        int ready = ppoll(fds, l->count, next == ROVE_TIME_NEVER ? NULL : &t, NULL);
        assert_true(ready > 0 || t.tv_sec < 10); /* else nobody woke it, and a far timer did */
    }
    for (size_t i = 0; i < l->count; i++)
        if (l->busy || fds[i].revents || deadlines[i] <= clock_now())
            assert_ok(rove_node_process(l->places[i].node));
    l->turns++;
}

#define LOOP_UNTIL(l, condition)                                                                   \
    while (!(condition))                                                                           \
    loop_step(l)

static void driven_open(place *p, unsigned workers)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    assert_false(cfg.driven);
    cfg.driven = true;
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.limits.heartbeat = FAR;
    cfg.limits.suspect_after = 2 * FAR;
    cfg.limits.fail_after = 3 * FAR;
    cfg.limits.move_stall = 4 * FAR;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = workers;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    assert_ok(rove_runtime_start(p->rt));
}

static bool knows(place *a, place *b)
{
    rove_err err = rove_node_wait_peer(a->node, &b->info.entity, 0);
    assert_true(err == ROVE_OK || err == ROVE_E_TIMED_OUT);
    return err == ROVE_OK;
}

static void meet(loop *l)
{
    for (size_t i = 1; i < l->count; i++) {
        place *a = &l->places[0], *b = &l->places[i];
        assert_ok(rove_node_connect(a->node, &b->info.entity, b->info.address));
        LOOP_UNTIL(l, knows(a, b) && knows(b, a));
    }
}

static void two_open(loop *l, place places[2], unsigned workers)
{
    *l = (loop){.places = places, .count = 2};
    driven_open(&places[0], workers);
    driven_open(&places[1], workers);
    meet(l);
}

static void two_close(place places[2])
{
    for (size_t i = 0; i < 2; i++) {
        place_close(&places[i]);
        assert_int_equal(places[i].control.created, places[i].control.destroyed);
    }
}

/* ---- a sender whose outcomes are counted, and which may be told to go on by itself ---- */

typedef struct tally {
    rove_sender *sender;
    uint64_t applied, last;
    uint64_t more; /* events that each outcome sends after it */
    bool ended;
} tally;

static void count_outcome(void *user, const rove_sent *sent)
{
    tally *t = user;
    if (sent->kind == ROVE_SENT_ENDED) {
        t->ended = true;
        return;
    }
    assert_int_equal(sent->kind, ROVE_SENT_APPLIED);
    assert_ok(sent->err);
    assert_int_equal(sent->number, ++t->last);
    size_t it = 0;
    rove_link link;
    rove_span payload;
    char want[24];
    int size = snprintf(want, sizeof want, "%" PRIu64, ++t->applied);
    assert_true(rove_sent_next(sent, &it, &link, &payload));
    assert_span(payload, want, (size_t)size);
    if (t->more) {
        t->more--;
        assert_ok(rove_sender_send(t->sender, span_of("x"), false, NULL));
    }
}

static void tally_open(tally *t, place *at, const rove_entity *daemon)
{
    *t = (tally){0};
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = count_outcome;
    cfg.user = t;
    assert_ok(rove_sender_open(&t->sender, at->node, daemon, &cfg));
}

static void tally_send(tally *t, size_t count)
{
    while (count--)
        assert_ok(rove_sender_send(t->sender, span_of("x"), false, NULL));
}

static void tally_close(tally *t, loop *l)
{
    rove_sender_close(t->sender);
    LOOP_UNTIL(l, t->ended);
    rove_sender_free(t->sender);
}

static rove_daemon spawn_here(place *at, rove_entity *ret_entity)
{
    rove_daemon d;
    assert_ok(rove_runtime_spawn(at->rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(at->rt, d, ret_entity));
    return d;
}

static bool has_moved(place *from, rove_migration m)
{
    rove_migration_info info;
    assert_ok(rove_migration_get(from->rt, m, &info));
    assert_true(info.outcome == ROVE_OUTCOME_RUNNING || info.outcome == ROVE_OUTCOME_COMPLETED);
    return info.outcome == ROVE_OUTCOME_COMPLETED;
}

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

static bool readable(place *p)
{
    struct pollfd fd = {.fd = rove_node_fd(p->node), .events = POLLIN};
    assert_true(poll(&fd, 1, 0) >= 0);
    return fd.revents != 0;
}

static void settle(loop *l)
{
    for (size_t i = 0; i < l->count; i++)
        while (readable(&l->places[i]) || rove_node_deadline(l->places[i].node) <= clock_now())
            assert_ok(rove_node_process(l->places[i].node));
}

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

/* ---- what would wait ---- */

static void assert_would_block(place *p, rove_daemon d, const rove_entity *nobody)
{
    rove_migration m = {{1}};
    assert_int_equal(rove_node_wait_peer(p->node, nobody, ROVE_SECOND), ROVE_E_WOULD_BLOCK);
    assert_int_equal(rove_migration_wait(p->rt, m, NULL), ROVE_E_WOULD_BLOCK);
    assert_int_equal(rove_migration_wait_with_timeout(p->rt, m, 1, NULL), ROVE_E_WOULD_BLOCK);
    rove_identity *id;
    assert_ok(rove_identity_from_seed(&id, p->node, (const uint8_t[32]){7}));
    assert_int_equal(rove_runtime_spawn(p->rt, "probe", id, NULL, &d), ROVE_E_WOULD_BLOCK);
    rove_identity_free(id);
}

typedef struct inner {
    place *p;
    rove_daemon d;
    rove_entity daemon;
    bool tried;
} inner;

static void try_inside(void *user, const rove_sent *sent)
{
    inner *i = user;
    if (i->tried || sent->kind != ROVE_SENT_APPLIED)
        return;
    i->tried = true;
    assert_int_equal(rove_node_process(i->p->node), ROVE_E_REENTRANT);
    assert_int_equal(rove_node_deadline(i->p->node), 0);
    assert_int_equal(rove_runtime_shutdown(i->p->rt), ROVE_E_WOULD_BLOCK);
    rove_daemon made;
    assert_int_equal(rove_runtime_spawn(i->p->rt, "probe", NULL, NULL, &made), ROVE_E_WOULD_BLOCK);
    assert_would_block(i->p, i->d, &i->daemon);
    rove_migration_info info;
    assert_int_equal(rove_migration_get(i->p->rt, (rove_migration){{1}}, &info), ROVE_E_GONE);
    rove_result result;
    assert_ok(deliver(i->p, i->d, "x", &result));
    rove_result_fini(&result);
}

static void test_would_block(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 0);
    loop l = {.places = &p, .count = 1};
    inner i = {.p = &p};
    i.d = spawn_here(&p, &i.daemon);
    assert_would_block(&p, i.d, &i.daemon);

    rove_sender *s, *slow;
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = try_inside;
    cfg.user = &i;
    assert_ok(rove_sender_open(&s, p.node, &i.daemon, &cfg));
    assert_ok(rove_sender_open(&slow, p.node, &i.daemon, NULL));
    rove_err err = ROVE_OK;
    while (!err)
        err = rove_sender_send(slow, span_of("x"), true, NULL);
    assert_int_equal(err, ROVE_E_WOULD_BLOCK); /* the window is full */
    assert_int_equal(rove_sender_send(slow, span_of("x"), false, NULL), ROVE_E_WINDOW);
    rove_sent sent;
    assert_int_equal(rove_sender_next(slow, ROVE_SECOND, &sent), ROVE_E_WOULD_BLOCK);
    assert_ok(rove_sender_send(s, span_of("x"), false, NULL));
    LOOP_UNTIL(&l, i.tried);
    rove_sender_free(s);
    rove_sender_free(slow);
    place_close(&p);
}

/* One daemon, delivered to until it is frozen. */
typedef struct diverted {
    uint64_t applied; /* events so far, this one with it once it is told */
    bool told;
} diverted;

static void note_outcome(void *user, rove_err err, const rove_result *result)
{
    diverted *d = user;
    char want[24];
    (void)snprintf(want, sizeof want, "%" PRIu64, ++d->applied);
    assert_ok(err);
    assert_output(result, want);
    assert_false(d->told);
    d->told = true;
}

static rove_err deliver_until_frozen(loop *l, rove_daemon daemon, unsigned flags, diverted *d)
{
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = span_of("x")};
    for (;;) {
        rove_result result;
        rove_err err =
            rove_runtime_deliver(l->places[0].rt, daemon, &event, flags, &result, note_outcome, d);
        rove_result_fini(&result);
        if (err)
            return err;
        d->applied++;
        loop_step(l);
    }
}

static void test_deliver_to_a_frozen_daemon(void **state)
{
    (void)state;
    place places[2], *a = &places[0], *b = &places[1];
    loop l;
    two_open(&l, places, 0);
    rove_entity entity;
    rove_daemon daemon = spawn_here(a, &entity);
    assert_ok(rove_runtime_expect_migration(b->rt, "probe", daemon.origin, NULL));
    rove_migration m;
    assert_ok(rove_runtime_start_migration(a->rt, daemon, &b->info.entity, &m));
    diverted d = {0};
    assert_int_equal(deliver_until_frozen(&l, daemon, 0, &d), ROVE_E_WOULD_BLOCK);
    assert_int_equal(deliver_until_frozen(&l, daemon, ROVE_DELIVER_NOWAIT, &d), ROVE_E_DIVERTED);
    LOOP_UNTIL(&l, d.told && has_moved(a, m));
    two_close(places);
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
        cmocka_unit_test(test_would_block),
        cmocka_unit_test(test_deliver_to_a_frozen_daemon),
        cmocka_unit_test(test_not_driven),
        cmocka_unit_test(test_two_drive_at_once),
        cmocka_unit_test(test_from_many_threads),
        cmocka_unit_test(test_with_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
