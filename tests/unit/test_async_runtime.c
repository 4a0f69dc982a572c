/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a runtime with a completion, with workers and without. */
#include "nodes.h"
#include "told.h"

/* A completion with all that any of them brings. */
typedef struct brought {
    told told;
    rove_daemon daemon;
    rove_daemon_stats stats;
    rove_daemon_health health;
    rove_snapshot *snapshot;
    rove_migration migration;
    rove_migration_info info;
    rove_phase phase;
    size_t count;
    char text[64];
    uint64_t number, last_index;
    bool in_order;
} brought;

#define BROUGHT_INIT                                                                               \
    {                                                                                              \
        .told = TOLD_INIT, .in_order = true                                                        \
    }

static void keep_text(brought *b, const rove_buf *text)
{
    rove_span span = rove_buf_span(text);
    size_t size = span.size < sizeof b->text - 1 ? span.size : sizeof b->text - 1;
    if (size)
        memcpy(b->text, span.data, size);
    b->text[size] = 0;
}

static void on_spawn(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    brought *b = user;
    b->daemon = daemon;
    keep_text(b, detail->text);
    tell(&b->told, err);
}

static void on_stats(void *user, rove_err err, const rove_daemon_stats *stats)
{
    brought *b = user;
    b->stats = *stats;
    tell(&b->told, err);
}

static void on_health(void *user, rove_err err, const rove_daemon_health *health)
{
    brought *b = user;
    b->health = *health;
    tell(&b->told, err);
}

static void on_snapshot(void *user, rove_err err, rove_snapshot *snapshot,
                        const rove_detail *detail)
{
    brought *b = user;
    rove_snapshot_unref(b->snapshot);
    b->snapshot = rove_snapshot_ref(snapshot);
    keep_text(b, detail->text);
    tell(&b->told, err);
}

static void on_result(void *user, rove_err err, const rove_result *result)
{
    brought *b = user;
    if (result->index) {
        b->in_order &= result->index == b->last_index + 1;
        b->last_index = result->index;
    }
    b->number = result->number;
    keep_text(b, result->detail.text);
    tell(&b->told, err);
}

static void on_migration(void *user, rove_err err, rove_migration migration)
{
    brought *b = user;
    b->migration = migration;
    tell(&b->told, err);
}

static void on_info(void *user, rove_err err, const rove_migration_info *info)
{
    brought *b = user;
    b->info = *info;
    tell(&b->told, err);
}

static void on_moves(void *user, rove_err err, const rove_migration_info *moves, size_t count)
{
    brought *b = user;
    b->count = count;
    if (count)
        b->info = moves[0];
    tell(&b->told, err);
}

static void on_phase(void *user, rove_err err, rove_phase phase)
{
    brought *b = user;
    b->phase = phase;
    tell(&b->told, err);
}

static rove_event event_of(const char *text, uint64_t sequence)
{
    return (rove_event){.link = {.origin = 4711, .sequence = sequence}, .payload = span_of(text)};
}

static rove_daemon spawn_later(place *p, const rove_identity *id)
{
    brought b = BROUGHT_INIT;
    assert_ok(rove_runtime_spawn_async(p->rt, "probe", id, NULL, on_spawn, &b));
    assert_told(&b.told, ROVE_OK);
    return b.daemon;
}

/* ---- daemons ---- */

static void test_daemon(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 3; workers++) {
        place p;
        place_ready(&p, workers);
        rove_daemon d = spawn_later(&p, NULL);
        assert_int_equal(rove_runtime_daemon_count(p.rt), 1);
        brought all = BROUGHT_INIT;
        for (uint64_t i = 1; i <= 1000; i++) {
            rove_event event = event_of("x", i);
            assert_ok(rove_runtime_deliver_async(p.rt, d, &event, on_result, &all));
        }
        deliver_expecting(&p, d, "1001"); /* behind those before it */
        assert_ok(told_await(&all.told, 1000));
        assert_true(all.in_order);
        assert_int_equal(all.last_index, 1000);
        brought b = BROUGHT_INIT, h = BROUGHT_INIT, s = BROUGHT_INIT;
        assert_ok(rove_runtime_stats_async(p.rt, d, on_stats, &b));
        assert_told(&b.told, ROVE_OK);
        assert_int_equal(b.stats.events_processed, 1001);
        assert_ok(rove_runtime_health_async(p.rt, d, on_health, &h));
        assert_told(&h.told, ROVE_OK);
        assert_int_equal(h.health.health, ROVE_HEALTHY);
        assert_ok(rove_runtime_snapshot_async(p.rt, d, on_snapshot, &s));
        assert_told(&s.told, ROVE_OK);
        uint64_t count;
        rove_snapshot_info info = rove_snapshot_get_info(s.snapshot);
        assert_int_equal(info.state.size, sizeof count);
        memcpy(&count, info.state.data, sizeof count);
        assert_int_equal(count, 1001);
        rove_snapshot_unref(s.snapshot);
        told controlled = TOLD_INIT, stopped = TOLD_INIT;
        rove_control control = {.kind = ROVE_CONTROL_DRAIN_START};
        assert_ok(rove_runtime_control_async(p.rt, d, &control, tell, &controlled));
        assert_told(&controlled, ROVE_OK);
        assert_ok(rove_runtime_stop_async(p.rt, d, tell, &stopped));
        assert_told(&stopped, ROVE_OK);
        rove_event event = event_of("x", 1);
        assert_int_equal(rove_runtime_deliver_async(p.rt, d, &event, on_result, &all),
                         ROVE_E_NOT_FOUND);
        place_close(&p);
        assert_int_equal(p.control.created, p.control.destroyed);
    }
}

static void test_spawn_errors(void **state)
{
    (void)state;
    place p;
    brought b = BROUGHT_INIT;
    place_open(&p, 1);
    assert_int_equal(rove_runtime_spawn_async(p.rt, "probe", NULL, NULL, on_spawn, &b),
                     ROVE_E_NOT_READY);
    assert_ok(rove_runtime_start(p.rt));
    assert_int_equal(rove_runtime_spawn_async(p.rt, "nobody", NULL, NULL, on_spawn, &b),
                     ROVE_E_KIND_UNKNOWN);
    assert_int_equal(rove_runtime_spawn_async(p.rt, "probe", NULL, NULL, NULL, &b), ROVE_E_USAGE);
    assert_int_equal(told_times(&b.told), 0);
    p.control.fail_create = true; /* the kind's answer is told */
    assert_ok(rove_runtime_spawn_async(p.rt, "probe", NULL, NULL, on_spawn, &b));
    assert_told(&b.told, ROVE_E_IO);
    p.control.fail_create = false;
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    rove_daemon d = spawn_later(&p, id);
    brought twice = BROUGHT_INIT;
    assert_int_equal(rove_runtime_spawn_async(p.rt, "probe", id, NULL, on_spawn, &twice),
                     ROVE_E_EXISTS);
    rove_snapshot *snapshot;
    assert_ok(rove_runtime_snapshot(p.rt, d, &snapshot, NULL));
    assert_ok(rove_runtime_stop(p.rt, d));
    p.control.fail_restore = true;
    brought refused = BROUGHT_INIT, back = BROUGHT_INIT;
    assert_ok(rove_runtime_spawn_from_snapshot_async(p.rt, "probe", id, snapshot, NULL, on_spawn,
                                                     &refused));
    assert_told(&refused.told, ROVE_E_RESTORE_FAILED);
    assert_string_equal(refused.text, "a count has 8 bytes, not 8");
    p.control.fail_restore = false;
    assert_ok(
        rove_runtime_spawn_from_snapshot_async(p.rt, "probe", id, snapshot, NULL, on_spawn, &back));
    rove_snapshot_unref(snapshot); /* the call has its own reference */
    assert_told(&back.told, ROVE_OK);
    rove_identity_free(id);
    place_close(&p);
    assert_int_equal(p.control.created, p.control.destroyed);
}

/* The caller's instance: taken over on success only. */
static void test_instance(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    void *instance = NULL;
    assert_ok(probe_create(&instance, &rovei_alloc_libc, &p.control));
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, p.node));
    brought b = BROUGHT_INIT, other = BROUGHT_INIT;
    assert_ok(rove_runtime_spawn_with_async(p.rt, &probe_kind, &p.control, instance, id, NULL,
                                            on_spawn, &b));
    assert_told(&b.told, ROVE_OK);
    rove_snapshot *snapshot;
    assert_ok(rove_runtime_snapshot(p.rt, b.daemon, &snapshot, NULL));
    assert_ok(rove_runtime_stop(p.rt, b.daemon));
    assert_ok(probe_create(&instance, &rovei_alloc_libc, &p.control));
    p.control.fail_restore = true;
    assert_ok(rove_runtime_spawn_from_snapshot_with_async(p.rt, &probe_kind, &p.control, instance,
                                                          id, snapshot, NULL, on_spawn, &other));
    assert_told(&other.told, ROVE_E_RESTORE_FAILED);
    probe_destroy(instance);
    rove_snapshot_unref(snapshot);
    rove_identity_free(id);
    place_close(&p);
    assert_int_equal(p.control.created, p.control.destroyed);
}

/* ---- while somebody has the daemon ---- */

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
} gate;

static rove_err stand(probe_control *c, rove_ctx *ctx, const rove_event *event)
{
    gate *g = c->arg;
    (void)ctx;
    (void)event;
    pthread_mutex_lock(&g->lock);
    g->inside = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return ROVE_OK;
}

static void gate_await(gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->inside)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* No call waits for a daemon that stands; shutdown ends what stands behind it, and the last
 * reference is gone only when all were told. */
static void test_end_tells(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 2);
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    p.control.arg = &g;
    p.control.during = stand;
    rove_daemon d = spawn_later(&p, NULL);
    brought b = BROUGHT_INIT;
    rove_event event = event_of("x", 1);
    assert_ok(rove_runtime_deliver_async(p.rt, d, &event, on_result, &b));
    gate_await(&g);
    for (int i = 0; i < 4; i++) {
        assert_ok(rove_runtime_deliver_async(p.rt, d, &event, on_result, &b));
        assert_ok(rove_runtime_stats_async(p.rt, d, on_stats, &b));
        assert_ok(rove_runtime_snapshot_async(p.rt, d, on_snapshot, &b));
    }
    assert_int_equal(told_times(&b.told), 0);
    told down = TOLD_INIT, freed = TOLD_INIT, shared = TOLD_INIT;
    assert_ok(rove_runtime_shutdown_async(p.rt, tell, &down));
    assert_false(rove_runtime_is_ready(p.rt));
    assert_int_equal(rove_runtime_deliver_async(p.rt, d, &event, on_result, &b),
                     ROVE_E_SHUTTING_DOWN);
    (void)rove_runtime_ref(p.rt);
    assert_ok(rove_runtime_unref_async(p.rt, tell, &shared)); /* not the last */
    assert_told(&shared, ROVE_OK);
    assert_int_equal(told_times(&down), 0);
    gate_open(&g);
    assert_told(&down, ROVE_OK);
    assert_ok(rove_runtime_unref_async(p.rt, tell, &freed));
    assert_told(&freed, ROVE_OK);
    assert_int_equal(told_times(&b.told), 13);
    if (b.snapshot)
        rove_snapshot_unref(b.snapshot);
    rove_node_free(p.node);
    assert_int_equal(p.control.created, p.control.destroyed);
}

static void test_bounds(void **state)
{
    (void)state;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.pending_calls = 2;
    limits.pending_events = 2;
    limits.pending_bytes = 64;
    place p;
    place_open_with(&p, 1, &limits);
    assert_ok(rove_runtime_start(p.rt));
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    p.control.arg = &g;
    p.control.during = stand;
    rove_daemon d = spawn_later(&p, NULL);
    brought b = BROUGHT_INIT, more = BROUGHT_INIT;
    static const char large[100];
    rove_event event = {.link = {.origin = 1, .sequence = 1}, .payload = {large, 100}};
    rove_event small = event_of("", 2);
    while (atomic_load(&p.rt->host.pendings.count)) /* the spawn was told a little before it ends */
        sched_yield();
    assert_ok(rove_runtime_deliver_async(p.rt, d, &event, on_result, &b));
    assert_int_equal(rove_runtime_deliver_async(p.rt, d, &event, on_result, &more), ROVE_E_FULL);
    assert_int_equal(rove_runtime_deliver_async(p.rt, d, &small, on_result, &more), ROVE_E_FULL);
    for (int i = 0; i < 2; i++) /* events do not keep calls out */
        assert_ok(rove_runtime_stats_async(p.rt, d, on_stats, &b));
    assert_int_equal(rove_runtime_stats_async(p.rt, d, on_stats, &more), ROVE_E_FULL);
    gate_open(&g);
    assert_ok(told_await(&b.told, 3));
    assert_int_equal(told_times(&more.told), 0);
    place_close(&p);
}

/* ---- on the node's own thread ---- */

typedef struct chain {
    place *p;
    brought spawned, done;
    rove_err waits;
} chain;

static void then_deliver(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    chain *c = user;
    rove_event event = event_of("x", 1);
    rove_daemon_stats stats;
    (void)detail;
    c->waits = rove_migration_wait(c->p->rt, (rove_migration){{1}}, NULL);
    if (err == ROVE_OK)
        err = rove_runtime_deliver_async(c->p->rt, daemon, &event, on_result, &c->done);
    rove_err looked = rove_runtime_stats(c->p->rt, daemon, &stats);
    (void)looked; /* it may have to wait */
    tell(&c->spawned.told, err);
}

static void test_from_the_loop(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        place p;
        place_ready(&p, workers);
        chain c = {.p = &p, .spawned = BROUGHT_INIT, .done = BROUGHT_INIT};
        assert_ok(rove_runtime_spawn_async(p.rt, "probe", NULL, NULL, then_deliver, &c));
        assert_told(&c.spawned.told, ROVE_OK);
        assert_int_equal(c.waits, ROVE_E_WOULD_BLOCK);
        assert_told(&c.done.told, ROVE_OK);
        assert_true(pthread_equal(c.done.told.thread, c.spawned.told.thread));
        place_close(&p);
    }
}

/* ---- moves ---- */

static void test_move(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        place a, b;
        place_ready(&a, workers);
        place_ready(&b, workers);
        connect_places(&a, &b);
        rove_daemon d = spawn_later(&a, NULL);
        assert_ok(rove_runtime_expect_migration(b.rt, "probe", d.origin, NULL));
        brought refused = BROUGHT_INIT, m = BROUGHT_INIT, w = BROUGHT_INIT, got = BROUGHT_INIT;
        assert_ok(rove_runtime_start_migration_async(a.rt, d, &a.info.entity, NULL, on_migration,
                                                     &refused));
        assert_told(&refused.told, ROVE_E_SAME_NODE);
        assert_ok(
            rove_runtime_start_migration_async(a.rt, d, &b.info.entity, NULL, on_migration, &m));
        assert_told(&m.told, ROVE_OK);
        assert_ok(rove_migration_wait_async(a.rt, m.migration, on_info, &w));
        assert_told(&w.told, ROVE_OK);
        assert_int_equal(w.info.outcome, ROVE_OUTCOME_COMPLETED);
        assert_ok(rove_migration_get_async(a.rt, m.migration, on_info, &got));
        assert_told(&got.told, ROVE_OK);
        assert_int_equal(got.info.phase, ROVE_PHASE_COMPLETE);
        told late = TOLD_INIT;
        assert_ok(rove_migration_cancel_async(a.rt, m.migration, tell, &late));
        rove_err too_late = told_await(&late, 1); /* until the source has forgotten it */
        assert_true(too_late == ROVE_E_TOO_LATE || too_late == ROVE_E_GONE);
        brought unknown = BROUGHT_INIT, none = BROUGHT_INIT;
        assert_ok(rove_migration_wait_async(a.rt, (rove_migration){{1}}, on_info, &unknown));
        assert_told(&unknown.told, ROVE_E_GONE);
        assert_ok(rove_runtime_migration_phase_async(a.rt, d, on_phase, &none));
        assert_told(&none.told, ROVE_OK);
        assert_int_equal(none.phase, ROVE_PHASE_NONE);
        place_close(&a);
        place_close(&b);
    }
}

/* A target that is not ready: the move is seen, a wait times out and takes the move with it. */
static void test_move_that_waits(void **state)
{
    (void)state;
    place a, b;
    place_ready(&a, 1);
    place_open(&b, 1);
    connect_places(&a, &b);
    rove_daemon d = spawn_later(&a, NULL);
    brought m = BROUGHT_INIT, all = BROUGHT_INIT, phase = BROUGHT_INIT, w = BROUGHT_INIT;
    assert_ok(rove_runtime_start_migration_async(a.rt, d, &b.info.entity, NULL, on_migration, &m));
    assert_told(&m.told, ROVE_OK);
    assert_ok(rove_runtime_moves_async(a.rt, on_moves, &all));
    assert_told(&all.told, ROVE_OK);
    assert_int_equal(all.count, 1);
    assert_memory_equal(&all.info.migration, &m.migration, sizeof m.migration);
    assert_ok(rove_runtime_migration_phase_async(a.rt, d, on_phase, &phase));
    assert_told(&phase.told, ROVE_OK);
    assert_int_equal(phase.phase, ROVE_PHASE_SNAPSHOT);
    assert_ok(
        rove_migration_wait_with_timeout_async(a.rt, m.migration, ROVE_MILLISECOND, on_info, &w));
    assert_told(&w.told, ROVE_E_TIMED_OUT);
    assert_int_equal(w.info.outcome, ROVE_OUTCOME_TIMED_OUT);
    /* One that waits for ever is ended by the shutdown. */
    brought again = BROUGHT_INIT, ended = BROUGHT_INIT;
    assert_ok(
        rove_runtime_start_migration_async(a.rt, d, &b.info.entity, NULL, on_migration, &again));
    assert_told(&again.told, ROVE_OK);
    assert_ok(rove_migration_wait_async(a.rt, again.migration, on_info, &ended));
    assert_ok(rove_runtime_shutdown(a.rt));
    assert_int_equal(told_await(&ended.told, 1), ROVE_E_SHUTTING_DOWN);
    place_close(&a);
    place_close(&b);
}

/* An event that meets the freeze is diverted and comes back from the target. */
static void test_diverted(void **state)
{
    (void)state;
    place a, b;
    place_ready(&a, 1);
    place_ready(&b, 1);
    connect_places(&a, &b);
    rove_daemon d = spawn_later(&a, NULL);
    assert_ok(rove_runtime_expect_migration(b.rt, "probe", d.origin, NULL));
    brought m = BROUGHT_INIT, all = BROUGHT_INIT, w = BROUGHT_INIT;
    unsigned sent = 0;
    assert_ok(rove_runtime_start_migration_async(a.rt, d, &b.info.entity, NULL, on_migration, &m));
    for (;;) { /* until it has left */
        rove_event event = event_of("x", sent + 1);
        rove_err err = rove_runtime_deliver_async(a.rt, d, &event, on_result, &all);
        if (err == ROVE_E_MOVED)
            break;
        if (err == ROVE_E_FULL) {
            sched_yield();
            continue;
        }
        assert_ok(err);
        sent++;
    }
    assert_ok(told_await(&m.told, 1));
    assert_ok(rove_migration_wait_async(a.rt, m.migration, on_info, &w));
    assert_told(&w.told, ROVE_OK);
    (void)told_await(&all.told, sent);
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(b.rt, d, &stats));
    place_close(&a);
    place_close(&b);
    /* Whatever was applied was applied once, in order, here or there. */
    assert_true(stats.events_processed <= sent);
    assert_int_equal(told_times(&all.told), sent);
}

/* ---- senders ---- */

typedef struct sending {
    brought opened, next;
    told room, freed;
    rove_sender *sender;
    rove_outcome_kind kind;
    uint64_t number;
} sending;

static void on_sender(void *user, rove_err err, rove_sender *sender)
{
    sending *s = user;
    s->sender = sender;
    tell(&s->opened.told, err);
}

static void on_sent(void *user, rove_err err, const rove_sent *sent)
{
    sending *s = user;
    if (err == ROVE_OK) {
        s->kind = sent->kind;
        s->number = sent->number;
    }
    tell(&s->next.told, err);
}

static void test_sender(void **state)
{
    (void)state;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.lane_events = 1;
    place a, b;
    place_ready(&a, 1);
    place_open_with(&b, 1, &limits);
    connect_places(&b, &a);
    rove_daemon d = spawn_later(&a, NULL);
    rove_entity entity;
    assert_ok(rove_runtime_entity(a.rt, d, &entity));
    sending s = {
        .opened = BROUGHT_INIT, .next = BROUGHT_INIT, .room = TOLD_INIT, .freed = TOLD_INIT};
    assert_ok(rove_sender_open_async(b.node, &entity, NULL, on_sender, &s));
    assert_told(&s.opened.told, ROVE_OK);
    assert_ok(rove_sender_next_async(s.sender, ROVE_MILLISECOND, on_sent, &s));
    assert_int_equal(told_await(&s.next.told, 1), ROVE_E_TIMED_OUT);
    assert_ok(rove_sender_next_async(s.sender, ROVE_TIME_NEVER, on_sent, &s));
    assert_ok(rove_sender_send(s.sender, span_of("x"), false, NULL));
    assert_ok(told_await(&s.next.told, 2));
    assert_int_equal(s.kind, ROVE_SENT_APPLIED);
    assert_int_equal(s.number, 1);
    /* One outcome that nobody pulls fills the window. */
    assert_ok(rove_sender_send(s.sender, span_of("x"), true, NULL));
    assert_int_equal(rove_sender_send(s.sender, span_of("x"), false, NULL), ROVE_E_WINDOW);
    assert_ok(rove_sender_room_async(s.sender, 1, tell, &s.room));
    assert_ok(rove_sender_next_async(s.sender, ROVE_TIME_NEVER, on_sent, &s));
    assert_told(&s.room, ROVE_OK);
    assert_ok(told_await(&s.next.told, 3));
    assert_int_equal(s.number, 2);
    rove_sender_close(s.sender);
    for (unsigned i = 4; i <= 5; i++)
        assert_ok(rove_sender_next_async(s.sender, ROVE_TIME_NEVER, on_sent, &s));
    assert_int_equal(told_await(&s.next.told, 5), ROVE_E_CLOSED);
    assert_int_equal(s.kind, ROVE_SENT_ENDED);
    assert_ok(rove_sender_free_async(s.sender, tell, &s.freed));
    assert_told(&s.freed, ROVE_OK);
    /* What waits when a sender is freed is told before that is over. */
    sending other = {.opened = BROUGHT_INIT, .next = BROUGHT_INIT};
    assert_ok(rove_sender_open_async(b.node, &entity, NULL, on_sender, &other));
    assert_told(&other.opened.told, ROVE_OK);
    assert_ok(rove_sender_next_async(other.sender, ROVE_TIME_NEVER, on_sent, &other));
    rove_sender_free(other.sender);
    assert_int_equal(told_times(&other.next.told), 1);
    assert_int_equal(other.next.told.err, ROVE_E_CLOSED);
    place_close(&a);
    place_close(&b);
}

/* ---- one thread for all: two driven nodes without workers ---- */

static void place_driven(place *p)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.driven = true;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = 0;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    assert_ok(rove_runtime_start(p->rt));
}

/* Drives both until it was told. */
static rove_err drive(place *a, place *b, told *t)
{
    while (!told_times(t)) {
        assert_ok(rove_node_process(a->node));
        assert_ok(rove_node_process(b->node));
    }
    assert_int_equal(told_times(t), 1);
    assert_true(pthread_equal(t->thread, pthread_self()));
    return t->err;
}

static void test_driven(void **state)
{
    (void)state;
    place a, b;
    place_driven(&a);
    place_driven(&b);
    told met = TOLD_INIT, connected = TOLD_INIT;
    assert_ok(rove_node_connect_async(a.node, &b.info.entity, b.info.address, tell, &connected));
    assert_ok(rove_node_wait_peer_async(a.node, &b.info.entity, ROVE_TIME_NEVER, tell, &met));
    assert_int_equal(told_times(&connected), 0); /* never inside of the call */
    assert_ok(drive(&a, &b, &met));
    assert_int_equal(told_times(&connected), 1);
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, a.node));
    brought spawned = BROUGHT_INIT, applied = BROUGHT_INIT, image = BROUGHT_INIT,
            started = BROUGHT_INIT, moved = BROUGHT_INIT, stats = BROUGHT_INIT;
    assert_ok(rove_runtime_spawn_async(a.rt, "probe", id, NULL, on_spawn, &spawned));
    assert_ok(drive(&a, &b, &spawned.told));
    rove_daemon d = spawned.daemon;
    rove_event event = event_of("x", 1);
    assert_ok(rove_runtime_deliver_async(a.rt, d, &event, on_result, &applied));
    assert_ok(drive(&a, &b, &applied.told));
    assert_int_equal(applied.last_index, 1);
    assert_ok(rove_runtime_snapshot_async(a.rt, d, on_snapshot, &image));
    assert_ok(drive(&a, &b, &image.told));
    rove_snapshot_unref(image.snapshot);
    assert_ok(rove_runtime_expect_migration(b.rt, "probe", d.origin, NULL));
    assert_ok(
        rove_runtime_start_migration_async(a.rt, d, &b.info.entity, NULL, on_migration, &started));
    assert_ok(drive(&a, &b, &started.told));
    assert_ok(rove_migration_wait_async(a.rt, started.migration, on_info, &moved));
    assert_ok(drive(&a, &b, &moved.told));
    assert_int_equal(moved.info.outcome, ROVE_OUTCOME_COMPLETED);
    assert_ok(rove_runtime_stats_async(b.rt, d, on_stats, &stats));
    assert_ok(drive(&a, &b, &stats.told));
    assert_int_equal(stats.stats.events_processed, 1);
    told freed = TOLD_INIT;
    rove_identity_free(id);
    assert_ok(rove_runtime_unref_async(b.rt, tell, &freed));
    assert_ok(drive(&a, &b, &freed));
    rove_runtime_unref(a.rt); /* it drives by itself */
    rove_node_free(a.node);
    rove_node_free(b.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon),   cmocka_unit_test(test_spawn_errors),
        cmocka_unit_test(test_instance), cmocka_unit_test(test_end_tells),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_from_the_loop),
        cmocka_unit_test(test_move),     cmocka_unit_test(test_move_that_waits),
        cmocka_unit_test(test_diverted), cmocka_unit_test(test_sender),
        cmocka_unit_test(test_driven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
