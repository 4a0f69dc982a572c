/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends that come at a bad time: while something begins, without memory, from the wrong place, and
 * of moves that are forgotten as soon as they have ended. */
#include "driven.h"
#include "told.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const rove_entity nobody = {{9}};

/* A driven node by itself, or one with a loop thread. */
static rove_node *node_new(bool driven, const rove_alloc *alloc)
{
    rove_node *node;
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.driven = driven;
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    if (alloc)
        cfg.alloc = *alloc;
    assert_ok(rove_node_new(&node, &cfg));
    return node;
}

/* ---- opening a sender while the node ends ---- */

static void no_sender(void *user, rove_err err, rove_sender *sender)
{
    assert_null(sender);
    tell(user, err);
}

static void test_open_at_the_end(void **state)
{
    (void)state;
    told t = TOLD_INIT;
    rove_node *node = node_new(true, NULL);
    assert_ok(rove_sender_open_async(node, &nobody, NULL, no_sender, &t));
    rove_node_free(node);
    assert_int_equal(told_times(&t), 1);
    assert_int_equal(t.err, ROVE_E_SHUTTING_DOWN);
}

/* ---- freeing the node in one of its callbacks ---- */

static void free_here(void *user, rove_err err)
{
    (void)err;
    rove_node_free(user);
}

static void die(bool driven)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        rove_node *node = node_new(driven, NULL);
        if (rove_node_wait_peer_async(node, &nobody, 0, free_here, node))
            _exit(1);
        for (;;) {
            if (driven)
                (void)!rove_node_process(node);
            else
                pause();
        }
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_free_in_a_callback(void **state)
{
    (void)state;
    die(true);
    die(false);
}

/* ---- freeing a sender while there is no memory ---- */

static void *refuse_all(void *user, size_t size)
{
    test_alloc *t = user;
    if (t->fail_at == 0)
        t->calls = 0;
    return test_alloc_get(user, size);
}

static void *refuse_move(void *user, void *block, size_t old_size, size_t size)
{
    test_alloc *t = user;
    if (t->fail_at == 0)
        t->calls = 0;
    return test_alloc_move(user, block, old_size, size);
}

static void test_sender_free_without_memory(void **state)
{
    (void)state;
    test_alloc t;
    test_alloc_init(&t);
    rove_alloc alloc = {refuse_all, refuse_move, test_alloc_put, &t};
    rove_node *node = node_new(true, &alloc);
    rove_sender *s;
    assert_ok(rove_sender_open(&s, node, &nobody, NULL));
    for (int i = 0; i < 100; i++)
        assert_ok(rove_sender_send(s, span_of("x"), false, NULL));
    t.fail_at = 0; /* from here on, each */
    assert_ok(rove_node_process(node));
    rove_sender_free(s);
    t.fail_at = SIZE_MAX;
    rove_node_free(node);
    assert_int_equal(t.live, 0);
}

/* ---- moves that are forgotten at once ---- */

typedef struct end {
    unsigned ended;
    rove_migration_info info;
    rove_err err;
    unsigned told;
} end;

static void on_move(void *user, rove_move_event event, const rove_migration_info *info)
{
    end *e = user;
    e->ended += event == ROVE_MOVE_ENDED;
    if (event == ROVE_MOVE_ENDED)
        e->info = *info;
}

static void on_wait(void *user, rove_err err, const rove_migration_info *info)
{
    end *e = user;
    e->told++;
    e->err = err;
    assert_int_equal(info->outcome, ROVE_OUTCOME_CANCELLED);
}

static void keeps_one(place *p, bool ready)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.driven = true;
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.limits.outcomes_kept = 1;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = 0;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    if (ready)
        assert_ok(rove_runtime_start(p->rt));
}

static void cancel_and_order_again(loop *l, bool seen)
{
    place *a = &l->places[0], *b = &l->places[1];
    end e = {.ended = 0};
    rove_entity entity;
    rove_migration m, next;
    rove_migration_options options;
    rove_migration_options_init(&options);
    rove_daemon d = spawn_here(a, &entity);
    options.told = on_move;
    options.told_user = &e;
    assert_ok(rove_runtime_start_migration_with(a->rt, d, &b->info.entity, &options, &m));
    if (seen) {
        assert_ok(rove_migration_wait_async(a->rt, m, on_wait, &e));
        for (int i = 0; i < 3; i++)
            assert_ok(rove_node_process(a->node));
    }
    /* In place, without a turn between the two. */
    assert_ok(rove_migration_cancel(a->rt, m));
    options.told = NULL;
    assert_ok(rove_runtime_start_migration_with(a->rt, d, &b->info.entity, &options, &next));
    rove_migration_info info;
    assert_int_equal(rove_migration_get(a->rt, m, &info), ROVE_E_GONE);
    LOOP_UNTIL(l, e.ended && (!seen || e.told));
    assert_int_equal(e.ended, 1);
    assert_int_equal(e.info.outcome, ROVE_OUTCOME_CANCELLED);
    assert_memory_equal(&e.info.migration, &m, sizeof m);
    if (seen) {
        assert_int_equal(e.told, 1);
        assert_int_equal(e.err, ROVE_E_CANCELLED);
    }
    assert_ok(rove_migration_cancel(a->rt, next));
}

static void test_forgotten_at_once(void **state)
{
    (void)state;
    place places[2];
    loop l = {.places = places, .count = 2};
    keeps_one(&places[0], true);
    keeps_one(&places[1], false); /* so that moves go on for a while */
    meet(&l);
    cancel_and_order_again(&l, true);
    cancel_and_order_again(&l, false);
    two_close(places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_at_the_end),
        cmocka_unit_test(test_free_in_a_callback),
        cmocka_unit_test(test_sender_free_without_memory),
        cmocka_unit_test(test_forgotten_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
