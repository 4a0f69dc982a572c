/* SPDX-License-Identifier: Apache-2.0
 *
 * Which thread runs an event that came through a lane: the node's own for a prompt kind that nobody
 * else has just then, else a worker; in order and observed all the same. */
#include "nodes.h"

#define EVENTS 500

static atomic_uint on_loop, elsewhere, observed;
static rove_node *node;

static rove_err note_thread(probe_control *p, rove_ctx *ctx, const rove_event *event)
{
    (void)p;
    (void)ctx;
    (void)event;
    atomic_fetch_add(rovei_node_on_loop(node) ? &on_loop : &elsewhere, 1);
    return ROVE_OK;
}

static void observe(void *user, const rove_observed *o)
{
    (void)user;
    assert_int_equal(o->index, atomic_fetch_add(&observed, 1) + 1);
    assert_true(o->event.received_at > 0);
}

/* Sends events and checks their outcomes: the daemon counts them. */
static void send_and_check(rove_sender *s, uint64_t first, uint64_t last)
{
    for (uint64_t i = first, done = first; done <= last;) {
        rove_sent sent;
        while (i <= last && rove_sender_send(s, span_of("x"), false, NULL) == ROVE_OK)
            i++;
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
        assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
        assert_int_equal(sent.number, done);
        char want[16];
        size_t it = 0;
        rove_link link;
        rove_span payload;
        snprintf(want, sizeof want, "%d", (int)done++);
        assert_true(rove_sent_next(&sent, &it, &link, &payload));
        assert_span(payload, want, strlen(want));
        rove_sent_fini(&sent);
    }
}

static void run(bool prompt)
{
    place a, b;
    rove_kind kind = probe_kind;
    rove_daemon d;
    rove_entity entity;
    rove_sender *s;
    rove_observer id;
    kind.name = "named";
    kind.is_prompt = prompt;
    place_open(&a, 1);
    assert_ok(rove_runtime_register_kind(a.rt, NULL, &kind, &a.control));
    assert_ok(rove_runtime_start(a.rt));
    place_ready(&b, 1);
    connect_places(&b, &a);
    atomic_store(&on_loop, 0);
    atomic_store(&elsewhere, 0);
    atomic_store(&observed, 0);
    node = a.node;
    assert_ok(rove_runtime_spawn(a.rt, "named", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(a.rt, d, &entity));
    assert_ok(rove_runtime_observe(a.rt, d, observe, NULL, &id));
    a.control.during = note_thread;
    assert_ok(rove_sender_open(&s, b.node, &entity, NULL));
    send_and_check(s, 1, EVENTS);
    assert_int_equal(atomic_load(&on_loop), prompt ? EVENTS : 0);
    assert_int_equal(atomic_load(&elsewhere), prompt ? 0 : EVENTS);
    rove_sender_free(s);
    assert_ok(rove_runtime_stop(a.rt, d));
    assert_int_equal(atomic_load(&observed), EVENTS);
    place_close(&a);
    place_close(&b);
}

static void test_prompt(void **state)
{
    (void)state;
    run(true);
}

static void test_others(void **state)
{
    (void)state;
    run(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
