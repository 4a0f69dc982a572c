/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with a completion while memory is refused now and then: whatever began is told exactly
 * once, nothing else is told, and in the end all memory is given back. One thread drives both
 * nodes, and a seed decides what is called and what is refused. */
#include "driven.h"
#include <rove/async.h>

#define TOKENS 4096

typedef struct shortage {
    test_alloc alloc;
    uint64_t random;
    uint64_t one_in; /* of so many requests one is refused, */
    bool on;         /* from here on */
} shortage;

static bool refused(shortage *s)
{
    return s->on && below(&s->random, s->one_in) == 0;
}

static void *get(void *user, size_t size)
{
    return refused(user) ? NULL : test_alloc_get(&((shortage *)user)->alloc, size);
}

static void *move(void *user, void *block, size_t old_size, size_t size)
{
    return refused(user) ? NULL
                         : test_alloc_move(&((shortage *)user)->alloc, block, old_size, size);
}

static void put(void *user, void *block, size_t size)
{
    test_alloc_put(&((shortage *)user)->alloc, block, size);
}

/* ---- completions ---- */

typedef struct token {
    struct world *world;
    bool begun;
    int told;
} token;

typedef struct world {
    shortage memory;
    place places[2];
    rove_sender *sender;
    rove_sender *opened[TOKENS];
    size_t open_count;
    rove_daemon daemon;
    rove_entity entity;
    rove_migration migration;
    rove_observer observer;
    token tokens[TOKENS];
    size_t count;
} world;

static token *token_new(world *w)
{
    assert_true(w->count < TOKENS);
    w->tokens[w->count].world = w;
    return &w->tokens[w->count++];
}

static void done(void *user, rove_err err)
{
    (void)err;
    ((token *)user)->told++;
}

static void on_dump(void *user, rove_err err, rove_buf *text)
{
    assert_true((err == ROVE_OK) == (text != NULL));
    done(user, err);
}

static void on_spawn(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    (void)daemon;
    (void)detail;
    done(user, err);
}

static void on_stats(void *user, rove_err err, const rove_daemon_stats *stats)
{
    (void)stats;
    done(user, err);
}

static void on_snapshot(void *user, rove_err err, rove_snapshot *s, const rove_detail *detail)
{
    (void)detail;
    assert_true((err == ROVE_OK) == (s != NULL));
    done(user, err);
}

static void on_result(void *user, rove_err err, const rove_result *result)
{
    (void)result;
    done(user, err);
}

static void on_migration(void *user, rove_err err, rove_migration m)
{
    if (err == ROVE_OK)
        ((token *)user)->world->migration = m;
    done(user, err);
}

static void on_info(void *user, rove_err err, const rove_migration_info *info)
{
    (void)info;
    done(user, err);
}

static void on_moves(void *user, rove_err err, const rove_migration_info *moves, size_t count)
{
    (void)moves;
    (void)count;
    done(user, err);
}

static void on_sent(void *user, rove_err err, const rove_sent *sent)
{
    (void)sent;
    done(user, err);
}

static void on_sender(void *user, rove_err err, rove_sender *sender)
{
    world *w = ((token *)user)->world;
    assert_true((err == ROVE_OK) == (sender != NULL));
    if (sender)
        w->opened[w->open_count++] = sender;
    done(user, err);
}

static void ignore_observed(void *user, const rove_observed *o)
{
    (void)user;
    (void)o;
}

/* ---- calls ---- */

static rove_err deliver_one(world *w, token *t, rove_runtime *rt)
{
    rove_event event = {.link = {.origin = 1, .sequence = w->count}, .payload = span_of("x")};
    return rove_runtime_deliver_async(rt, w->daemon, &event, on_result, t);
}

static rove_err observe(world *w, token *t, rove_runtime *rt)
{
    if (rove_runtime_observe(rt, w->daemon, ignore_observed, NULL, &w->observer))
        return ROVE_E_NOMEM;
    return rove_runtime_unobserve_async(rt, w->observer, done, t);
}

static rove_err send_one(world *w, token *t)
{
    (void)!rove_sender_send(w->sender, span_of("x"), false, NULL);
    return rove_sender_next_async(w->sender, ROVE_MILLISECOND, on_sent, t);
}

static rove_err call(world *w, token *t, uint64_t which, place *at)
{
    rove_node *node = at->node;
    rove_runtime *rt = at->rt;
    const rove_entity *other = &w->places[at == w->places].info.entity;
    switch (which) {
    case 0:
        return rove_node_dump_async(node, on_dump, t);
    case 1:
        return rove_node_wait_peer_async(node, other, ROVE_MILLISECOND, done, t);
    case 2:
        return rove_runtime_spawn_async(rt, "probe", NULL, NULL, on_spawn, t);
    case 3:
        return rove_runtime_stats_async(rt, w->daemon, on_stats, t);
    case 4:
        return rove_runtime_snapshot_async(rt, w->daemon, on_snapshot, t);
    case 5:
        return rove_runtime_start_migration_async(rt, w->daemon, other, NULL, on_migration, t);
    case 6:
        return rove_migration_wait_async(rt, w->migration, on_info, t);
    case 7:
        return rove_runtime_moves_async(rt, on_moves, t);
    case 8:
        return observe(w, t, rt);
    case 9:
        return rove_sender_open_async(node, &w->entity, NULL, on_sender, t);
    case 10:
        return rove_sender_room_async(w->sender, 1, done, t);
    case 11:
    case 12:
        return send_one(w, t);
    case 13:
        return rove_runtime_backup_async(rt, w->daemon, on_snapshot, t);
    default:
        return deliver_one(w, t, rt);
    }
}

static void open_place(world *w, place *p)
{
    rove_alloc alloc = {get, move, put, &w->memory};
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.driven = true;
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.alloc = alloc;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = 0;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    assert_ok(rove_runtime_start(p->rt));
}

static void one_seed(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    w->memory.random = seed;
    w->memory.one_in = 2 + seed % 20 * 4;
    test_alloc_init(&w->memory.alloc);
    open_place(w, &w->places[0]);
    open_place(w, &w->places[1]);
    loop l = {.places = w->places, .count = 2, .busy = true};
    meet(&l);
    w->daemon = spawn_here(&w->places[0], &w->entity);
    assert_ok(rove_sender_open(&w->sender, w->places[1].node, &w->entity, NULL));
    w->memory.on = true;
    for (int i = 0; i < 400; i++) {
        token *t = token_new(w);
        uint64_t which = below(&w->memory.random, 20);
        t->begun = call(w, t, which, &w->places[below(&w->memory.random, 2)]) == ROVE_OK;
        if (below(&w->memory.random, 3) == 0)
            loop_step(&l);
    }
    rove_sender_free(w->sender);
    while (w->open_count)
        rove_sender_free(w->opened[--w->open_count]);
    token *down = token_new(w);
    down->begun = rove_runtime_shutdown_async(w->places[0].rt, done, down) == ROVE_OK;
    for (int i = 0; i < 2; i++)
        rove_runtime_unref(w->places[i].rt);
    while (w->open_count) /* opened since */
        rove_sender_free(w->opened[--w->open_count]);
    w->memory.on = false;
    for (int i = 0; i < 2; i++)
        rove_node_free(w->places[i].node);
    for (size_t i = 0; i < w->count; i++)
        assert_int_equal(w->tokens[i].told, w->tokens[i].begun);
    for (int i = 0; i < 2; i++)
        assert_int_equal(w->places[i].control.created, w->places[i].control.destroyed);
    assert_int_equal(w->memory.alloc.live, 0);
    free(w);
}

static void test_shortage(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        one_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shortage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
