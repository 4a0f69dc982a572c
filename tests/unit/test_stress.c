/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything at once, from many threads, on two nodes of which one shuts down in the middle: each
 * completion comes exactly once, and the counts of a daemon that stays add up. */
#include "nodes.h"
#include "told.h"

#define ROUNDS    60
#define TOKENS    40000
#define TRAVELLER 0
#define STAYING   1
#define DAEMONS   2

/* One call with a completion. */
typedef struct token {
    struct world *world;
    atomic_int told;
    bool begun, counts;
} token;

typedef struct world {
    place places[2];
    rove_identity *ids[DAEMONS];
    rove_entity entities[DAEMONS];
    rove_daemon daemons[DAEMONS];
    token *tokens;
    atomic_size_t next_token;
    atomic_uint rounds; /* of all threads */
    atomic_uint_fast64_t applied, observed;
} world;

static token *token_new(world *w)
{
    size_t at = atomic_fetch_add(&w->next_token, 1);
    assert_true(at < TOKENS);
    w->tokens[at].world = w;
    return &w->tokens[at];
}

static void token_begun(token *t, rove_err err)
{
    t->begun = err == ROVE_OK;
}
#define BEGIN(t, call)                                                                             \
    do {                                                                                           \
        token *t = token_new(w);                                                                   \
        token_begun(t, call);                                                                      \
    } while (0)

static void token_told(token *t)
{
    atomic_fetch_add(&t->told, 1);
}

/* ---- completions ---- */

static void on_done(void *user, rove_err err)
{
    (void)err;
    token_told(user);
}

static void on_result(void *user, rove_err err, const rove_result *result)
{
    token *t = user;
    (void)result;
    if (t->counts && err == ROVE_OK)
        atomic_fetch_add(&t->world->applied, 1);
    token_told(t);
}

static void on_spawn(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    token *t = user;
    (void)detail;
    if (err == ROVE_OK) {
        world *w = t->world;
        BEGIN(stop, rove_runtime_stop_async(w->places[0].rt, daemon, on_done, stop));
    }
    token_told(t);
}

static void on_stats(void *user, rove_err err, const rove_daemon_stats *stats)
{
    (void)err;
    (void)stats;
    token_told(user);
}

static void on_health(void *user, rove_err err, const rove_daemon_health *health)
{
    (void)err;
    (void)health;
    token_told(user);
}

static void on_snapshot(void *user, rove_err err, rove_snapshot *snapshot,
                        const rove_detail *detail)
{
    (void)err;
    (void)snapshot;
    (void)detail;
    token_told(user);
}

static void on_info(void *user, rove_err err, const rove_migration_info *info)
{
    (void)err;
    (void)info;
    token_told(user);
}

static void on_moves(void *user, rove_err err, const rove_migration_info *moves, size_t count)
{
    (void)err;
    (void)moves;
    (void)count;
    token_told(user);
}

static void on_phase(void *user, rove_err err, rove_phase phase)
{
    (void)err;
    (void)phase;
    token_told(user);
}

static void on_dump(void *user, rove_err err, rove_buf *text)
{
    (void)err;
    (void)text;
    token_told(user);
}

static void count_observed(void *user, const rove_observed *o)
{
    world *w = user;
    (void)o;
    atomic_fetch_add(&w->observed, 1);
}

static void ignore_observed(void *user, const rove_observed *o)
{
    (void)user;
    (void)o;
}

/* ---- threads ---- */

static rove_event event_of(uint64_t origin, uint64_t sequence)
{
    return (rove_event){.link = {.origin = origin, .sequence = sequence}, .payload = span_of("x")};
}

static void deliver_here(world *w, unsigned round)
{
    for (unsigned i = 0; i < 2; i++) {
        rove_event event = event_of((uint64_t)(uintptr_t)&event, round * 2 + i + 1);
        rove_result result;
        rove_err err = rove_runtime_deliver(w->places[0].rt, w->daemons[STAYING], &event, 0,
                                            &result, NULL, NULL);
        if (err == ROVE_OK)
            atomic_fetch_add(&w->applied, 1);
        rove_result_fini(&result);
    }
    token *t = token_new(w);
    rove_event event = event_of(7, round + 1);
    t->counts = true;
    token_begun(
        t, rove_runtime_deliver_async(w->places[0].rt, w->daemons[STAYING], &event, on_result, t));
}

static void deliver_there(world *w, unsigned round)
{
    rove_event event = event_of(8, round + 1);
    for (int i = 0; i < 2; i++)
        BEGIN(t, rove_runtime_deliver_async(w->places[i].rt, w->daemons[TRAVELLER], &event,
                                            on_result, t));
}

static void spawn_and_stop(world *w, unsigned round)
{
    (void)round;
    rove_daemon d;
    BEGIN(t, rove_runtime_spawn_async(w->places[0].rt, "probe", NULL, NULL, on_spawn, t));
    if (rove_runtime_spawn(w->places[1].rt, "probe", NULL, NULL, &d) == ROVE_OK) {
        rove_err err = rove_runtime_stop(w->places[1].rt, d);
        assert_true(err == ROVE_OK || err == ROVE_E_SHUTTING_DOWN);
    }
}

static void look(world *w, unsigned round)
{
    place *p = &w->places[round % 2];
    rove_daemon d = w->daemons[round % DAEMONS], found;
    rove_daemon_stats stats;
    rove_control control = {.kind = ROVE_CONTROL_DRAIN_START};
    rove_err err = rove_runtime_stats(p->rt, d, &stats);
    err = rove_runtime_find(p->rt, &w->entities[TRAVELLER], &found);
    rove_snapshot *snapshot;
    if (rove_runtime_snapshot(p->rt, d, &snapshot, NULL) == ROVE_OK)
        rove_snapshot_unref(snapshot);
    BEGIN(t, rove_runtime_stats_async(p->rt, d, on_stats, t));
    BEGIN(t, rove_runtime_health_async(p->rt, d, on_health, t));
    BEGIN(t, rove_runtime_control_async(p->rt, d, &control, on_done, t));
    BEGIN(t, rove_runtime_snapshot_async(p->rt, d, on_snapshot, t));
    BEGIN(t, rove_runtime_backup_async(p->rt, d, on_snapshot, t));
    (void)err;
}

static void move(world *w, unsigned round)
{
    place *from = &w->places[round % 2], *to = &w->places[!(round % 2)];
    rove_migration m;
    rove_migration_info info;
    rove_err err =
        rove_runtime_start_migration(from->rt, w->daemons[TRAVELLER], &to->info.entity, &m);
    if (err == ROVE_OK) {
        BEGIN(t, rove_migration_wait_async(from->rt, m, on_info, t));
        BEGIN(t, rove_migration_get_async(from->rt, m, on_info, t));
        if (round % 5 == 0)
            BEGIN(t, rove_migration_cancel_async(from->rt, m, on_done, t));
        err = rove_migration_wait_with_timeout(from->rt, m, ROVE_SECOND / 4, &info);
    }
    BEGIN(t, rove_runtime_moves_async(from->rt, on_moves, t));
    BEGIN(t, rove_runtime_migration_phase_async(to->rt, w->daemons[TRAVELLER], on_phase, t));
}

static void watch(world *w, unsigned round)
{
    place *p = &w->places[round % 2];
    rove_observer o;
    if (rove_runtime_observe(p->rt, w->daemons[round / 2 % DAEMONS], ignore_observed, w, &o))
        return;
    if (round % 3) {
        BEGIN(t, rove_runtime_unobserve_async(p->rt, o, on_done, t));
    } else {
        assert_ok(rove_runtime_unobserve(p->rt, o));
    }
}

static void survey(world *w, unsigned round)
{
    char name[32];
    rove_buf *text;
    rove_daemon all[4];
    rove_migration_info moves[2];
    place *p = &w->places[round % 2], *other = &w->places[!(round % 2)];
    snprintf(name, sizeof name, "kind%u", round);
    rove_err err = rove_runtime_register_kind(p->rt, name, &probe_kind, &p->control);
    assert_true(err == ROVE_OK || err == ROVE_E_SHUTTING_DOWN || err == ROVE_E_KIND_EXISTS);
    err = rove_runtime_expect_migration(p->rt, "probe", 1000 + round, NULL);
    assert_ok(rove_node_dump(p->node, &text));
    rove_buf_unref(text);
    (void)rove_runtime_daemons(p->rt, all, 4);
    (void)rove_runtime_moves(p->rt, moves, 2);
    BEGIN(t, rove_node_dump_async(p->node, on_dump, t));
    BEGIN(t, rove_node_wait_peer_async(p->node, &other->info.entity, ROVE_SECOND, on_done, t));
    BEGIN(t,
          rove_node_connect_async(p->node, &other->info.entity, other->info.address, on_done, t));
}

static void on_sent(void *user, rove_err err, const rove_sent *sent)
{
    (void)err;
    (void)sent;
    token_told(user);
}

static void send(world *w, unsigned round)
{
    rove_sender *s;
    assert_ok(rove_sender_open(&s, w->places[round % 2].node, &w->entities[TRAVELLER], NULL));
    for (int i = 0; i < 4; i++)
        assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
    rove_sent sent;
    if (rove_sender_next(s, ROVE_MILLISECOND, &sent) == ROVE_OK)
        rove_sent_fini(&sent);
    for (int i = 0; i < 3; i++)
        BEGIN(t, rove_sender_next_async(s, ROVE_MILLISECOND, on_sent, t));
    BEGIN(t, rove_sender_room_async(s, 1, on_done, t));
    rove_sender_close(s);
    if (round % 3)
        BEGIN(t, rove_sender_free_async(s, on_done, t));
    else
        rove_sender_free(s);
}

static void shut_down(world *w, unsigned round)
{
    (void)round;
    rove_runtime *rt = w->places[1].rt;
    BEGIN(t, rove_runtime_shutdown_async(rt, on_done, t));
    assert_ok(rove_runtime_shutdown(rt));
}

typedef struct actor {
    world *w;
    void (*act)(world *w, unsigned round);
    unsigned rounds, after; /* of all threads, before it begins */
    pthread_t thread;
} actor;

static void *act(void *arg)
{
    actor *a = arg;
    while (atomic_load(&a->w->rounds) < a->after)
        sched_yield();
    for (unsigned i = 0; i < a->rounds; i++) {
        a->act(a->w, i);
        atomic_fetch_add(&a->w->rounds, 1);
    }
    return NULL;
}

/* ---- the whole ---- */

static void world_open(world *w)
{
    w->tokens = calloc(TOKENS, sizeof *w->tokens);
    assert_non_null(w->tokens);
    place_ready(&w->places[0], 2);
    place_ready(&w->places[1], 1);
    connect_places(&w->places[0], &w->places[1]);
    for (int i = 0; i < DAEMONS; i++) {
        assert_ok(rove_identity_generate(&w->ids[i], w->places[0].node));
        w->entities[i] = rove_identity_entity(w->ids[i]);
        assert_ok(rove_runtime_spawn(w->places[0].rt, "probe", w->ids[i], NULL, &w->daemons[i]));
    }
    assert_ok(rove_runtime_expect_migration(w->places[1].rt, "probe", w->daemons[TRAVELLER].origin,
                                            NULL));
}

static void check_tokens(const world *w)
{
    size_t count = atomic_load(&w->next_token), begun = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(w->tokens[i].told, w->tokens[i].begun);
        begun += w->tokens[i].begun;
    }
    assert_true(begun > 10 * ROUNDS);
}

static void test_everything(void **state)
{
    (void)state;
    static void (*const acts[])(world *, unsigned) = {
        deliver_here, deliver_here, deliver_there, spawn_and_stop, look, move, watch, survey, send};
    enum { ACTS = sizeof acts / sizeof acts[0] };
    static world w;
    world_open(&w);
    rove_observer counting;
    assert_ok(
        rove_runtime_observe(w.places[0].rt, w.daemons[STAYING], count_observed, &w, &counting));
    actor actors[ACTS + 1];
    for (int i = 0; i < ACTS; i++)
        actors[i] = (actor){.w = &w, .act = acts[i], .rounds = ROUNDS};
    actors[ACTS] = (actor){.w = &w, .act = shut_down, .rounds = 1, .after = ACTS * ROUNDS * 2 / 3};
    for (int i = 0; i <= ACTS; i++)
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    for (int i = 0; i <= ACTS; i++)
        pthread_join(actors[i].thread, NULL);
    /* What was begun for the one that stays stands before this in its order. */
    rove_daemon_stats stats;
    assert_ok(rove_runtime_stats(w.places[0].rt, w.daemons[STAYING], &stats));
    assert_ok(rove_runtime_unobserve(w.places[0].rt, counting));
    for (int i = 0; i < DAEMONS; i++)
        rove_identity_free(w.ids[i]);
    for (int i = 0; i < 2; i++)
        place_close(&w.places[i]);
    check_tokens(&w);
    assert_int_equal(stats.events_processed, w.applied);
    assert_int_equal(w.observed, w.applied);
    assert_int_equal(w.applied, 2 * ROUNDS * 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(w.places[i].control.created, w.places[i].control.destroyed);
    free(w.tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
