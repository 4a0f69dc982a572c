/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends that come at a bad time: while something begins, without memory, from the wrong place. */
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
        while (driven)
            (void)!rove_node_process(node);
        for (;;)
            pause();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_at_the_end),
        cmocka_unit_test(test_free_in_a_callback),
        cmocka_unit_test(test_sender_free_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
