/* SPDX-License-Identifier: Apache-2.0
 *
 * What calls do on the thread that drives: those that would wait say so, and their forms with a
 * completion do not wait. */
#include "driven.h"
#include <rove/async.h>

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
    LOOP_UNTIL(&l, rove_sender_next(slow, 0, &sent) == ROVE_OK);
    rove_sent_fini(&sent);
    assert_ok(rove_sender_next(slow, ROVE_SECOND, &sent)); /* there is one: nothing to wait for */
    rove_sent_fini(&sent);
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

/* ---- completions: what would wait, without waiting ---- */

/* A daemon's life as one chain, each step begun by the completion of the one before it. */
typedef struct chain {
    place *a, *b;
    rove_daemon daemon;
    bool over;
} chain;

static void chain_shut_down(void *user, rove_err err)
{
    chain *c = user;
    assert_ok(err);
    assert_int_equal(rove_runtime_daemon_count(c->b->rt), 0);
    c->over = true;
}

static void chain_delivered_there(void *user, rove_err err, const rove_result *result)
{
    chain *c = user;
    assert_ok(err);
    assert_output(result, "2");
    assert_ok(rove_runtime_shutdown_async(c->b->rt, chain_shut_down, c));
}

static void chain_moved(void *user, rove_err err, const rove_migration_info *info)
{
    chain *c = user;
    assert_ok(err);
    assert_int_equal(info->phase, ROVE_PHASE_COMPLETE);
    rove_event event = {.link = {.origin = 4711, .sequence = 2}, .payload = span_of("x")};
    assert_ok(rove_runtime_deliver_async(c->b->rt, c->daemon, &event, chain_delivered_there, c));
}

static void chain_moving(void *user, rove_err err, rove_migration migration)
{
    chain *c = user;
    assert_ok(err);
    assert_ok(rove_migration_wait_async(c->a->rt, migration, chain_moved, c));
}

static void chain_delivered_here(void *user, rove_err err, const rove_result *result)
{
    chain *c = user;
    assert_ok(err);
    assert_output(result, "1");
    assert_ok(rove_runtime_expect_migration(c->b->rt, "probe", c->daemon.origin, NULL));
    assert_ok(rove_runtime_start_migration_async(c->a->rt, c->daemon, &c->b->info.entity, NULL,
                                                 chain_moving, c));
}

static void chain_spawned(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    chain *c = user;
    (void)detail;
    assert_ok(err);
    c->daemon = daemon;
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = span_of("x")};
    assert_ok(rove_runtime_deliver_async(c->a->rt, daemon, &event, chain_delivered_here, c));
}

/* The other node is asked before the daemon may live. */
static void chain_of_completions(unsigned workers)
{
    place places[2];
    loop l;
    two_open(&l, places, workers);
    chain c = {.a = &places[0], .b = &places[1]};
    rove_identity *id;
    assert_ok(rove_identity_from_seed(&id, c.a->node, (const uint8_t[32]){9}));
    assert_ok(rove_runtime_spawn_async(c.a->rt, "probe", id, NULL, chain_spawned, &c));
    rove_identity_free(id);
    LOOP_UNTIL(&l, c.over);
    two_close(places);
}

static void test_completions(void **state)
{
    (void)state;
    chain_of_completions(0);
}

static void test_completions_of_workers(void **state)
{
    (void)state;
    chain_of_completions(2);
}

/* The end of a node tells what is still to be told, and lets nothing begin any more. */
typedef struct ending {
    place p;
    int told;
} ending;

static void told_of_the_end(void *user, rove_err err)
{
    ending *e = user;
    assert_int_equal(err, ROVE_E_SHUTTING_DOWN);
    assert_int_equal(rove_node_wait_peer_async(e->p.node, &e->p.info.entity, ROVE_TIME_NEVER,
                                               told_of_the_end, e),
                     ROVE_E_SHUTTING_DOWN);
    e->told++;
}

static void test_the_end_is_told(void **state)
{
    (void)state;
    ending e = {.told = 0};
    driven_open(&e.p, 0);
    rove_entity nobody = {{1}};
    assert_ok(rove_node_wait_peer_async(e.p.node, &nobody, ROVE_TIME_NEVER, told_of_the_end, &e));
    loop l = {.places = &e.p, .count = 1};
    settle(&l); /* the first waits; the second has not begun to when the node ends */
    assert_ok(rove_node_wait_peer_async(e.p.node, &nobody, ROVE_TIME_NEVER, told_of_the_end, &e));
    place_close(&e.p);
    assert_int_equal(e.told, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_would_block),     cmocka_unit_test(test_deliver_to_a_frozen_daemon),
        cmocka_unit_test(test_completions),     cmocka_unit_test(test_completions_of_workers),
        cmocka_unit_test(test_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
