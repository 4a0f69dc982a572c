/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of a node from inside of a daemon: refused and without effect, whoever runs the daemon and
 * whoever drives the node; what is marked as allowed works. */
#include "driven.h"
#include <rove/async.h>

typedef struct calls {
    place *p;
    rove_sender *sender;
    rove_err err[10];
    uint64_t deadline;
    int fd;
    rove_err send, next;
    rove_node_info info;
} calls;

static void never_done(void *user, rove_err err)
{
    (void)user;
    (void)err;
    fail();
}

static void never_dumped(void *user, rove_err err, rove_buf *text)
{
    (void)text;
    never_done(user, err);
}

static rove_err call_the_node(probe_control *c, rove_ctx *ctx, const rove_event *event)
{
    calls *k = c->arg;
    rove_node *node = k->p->node, *made;
    const rove_entity *peer = &k->p->info.entity;
    rove_node_config cfg;
    rove_buf *text;
    rove_runtime *rt;
    rove_sent sent;
    (void)ctx;
    (void)event;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    k->err[0] = rove_node_new(&made, &cfg);
    k->err[1] = rove_node_process(node);
    k->err[2] = rove_node_connect(node, peer, "127.0.0.1:1");
    k->err[3] = rove_node_connect_async(node, peer, "127.0.0.1:1", never_done, NULL);
    k->err[4] = rove_node_wait_peer(node, peer, 0);
    k->err[5] = rove_node_wait_peer(node, peer, 1);
    k->err[6] = rove_node_wait_peer_async(node, peer, 1, never_done, NULL);
    k->err[7] = rove_node_dump(node, &text);
    k->err[8] = rove_node_dump_async(node, never_dumped, NULL);
    k->err[9] = rove_runtime_new(&rt, node, NULL);
    k->deadline = rove_node_deadline(node);
    k->fd = rove_node_fd(node);
    rove_node_get_info(node, &k->info);
    k->send = rove_sender_send(k->sender, span_of("x"), false, NULL);
    k->next = rove_sender_next(k->sender, 1, &sent);
    return ROVE_OK;
}

static void call_from_inside(place *p, uint64_t want_deadline, int want_fd)
{
    calls k = {.p = p};
    rove_entity away = {{9}};
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p->rt, "probe", NULL, NULL, &d));
    assert_ok(rove_sender_open(&k.sender, p->node, &away, NULL));
    p->control.arg = &k;
    p->control.during = call_the_node;
    deliver_expecting(p, d, "1");
    p->control.during = NULL;
    for (size_t i = 0; i < sizeof k.err / sizeof k.err[0]; i++)
        assert_int_equal(k.err[i], ROVE_E_REENTRANT);
    assert_true(k.deadline == want_deadline);
    assert_int_equal(k.fd, want_fd);
    assert_memory_equal(&k.info.entity, &p->info.entity, sizeof k.info.entity);
    assert_ok(k.send);
    assert_int_equal(k.next, ROVE_E_WOULD_BLOCK);
    rove_sender_free(k.sender);
    place_close(p);
}

static void test_with_a_loop_thread(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    call_from_inside(&p, ROVE_TIME_NEVER, -1);
}

static void test_driven(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 0);
    call_from_inside(&p, 0, rove_node_fd(p.node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_a_loop_thread),
        cmocka_unit_test(test_driven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
