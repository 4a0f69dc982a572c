/* SPDX-License-Identifier: Apache-2.0
 *
 * Core work when memory for its jobs is refused: the loop thread does it by hand, in order, and
 * nothing is lost. This program has the files that do it inside, so that only their own requests
 * are refused. */
#include "nodes.h"

static atomic_bool refusing;
static atomic_uint refused;

static void *job_memory(const rove_alloc *a, size_t size)
{
    if (!atomic_load(&refusing))
        return rovei_calloc(a, 1, size);
    atomic_fetch_add(&refused, 1);
    return NULL;
}

#undef ROVEI_NEW
#define ROVEI_NEW(a, type)   ((type *)job_memory((a), sizeof(type)))
#define rovei_alloc(a, size) job_memory((a), (size))
#include <host/apply.c>
#include <host/work.c>

static void count_observed(void *user, const rove_observed *o)
{
    atomic_uint_fast64_t *last = user;
    assert_true(o->index > atomic_load(last));
    assert_int_equal(o->output_count, 1);
    assert_non_null(o->outputs);
    atomic_store(last, o->index);
}

static void send_and_check(rove_sender *s, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
    for (uint64_t i = first; i < first + count; i++) {
        rove_sent sent;
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
        assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
        assert_int_equal(sent.number, i);
        char want[16];
        size_t it = 0;
        rove_link link;
        rove_span payload;
        snprintf(want, sizeof want, "%d", (int)i);
        assert_true(rove_sent_next(&sent, &it, &link, &payload));
        assert_span(payload, want, strlen(want));
        rove_sent_fini(&sent);
    }
}

static void test_everything_by_hand(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers < 2; workers++) {
        place a, b;
        place_ready(&a, workers);
        place_ready(&b, workers);
        connect_places(&a, &b);
        atomic_store(&refused, 0);
        atomic_store(&refusing, true);
        rove_daemon d;
        rove_entity entity;
        rove_sender *s;
        assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
        assert_ok(rove_runtime_entity(a.rt, d, &entity));
        assert_ok(rove_runtime_expect_migration(b.rt, "probe", d.origin, NULL));
        assert_ok(rove_sender_open(&s, b.node, &entity, NULL));
        atomic_uint_fast64_t last = 0;
        rove_observer id;
        assert_ok(rove_runtime_observe(a.rt, d, count_observed, &last, &id));
        send_and_check(s, 1, 40);
        assert_int_equal(last, 40);
        rove_migration m;
        assert_ok(rove_runtime_start_migration(a.rt, d, &b.info.entity, &m));
        send_and_check(s, 41, 40);
        assert_ok(rove_migration_wait(a.rt, m, NULL));
        send_and_check(s, 81, 40);
        rove_sender_free(s);
        rove_err err;
        while ((err = rove_runtime_stop(b.rt, d)) == ROVE_E_MOVE_NOT_CLOSED)
            sched_yield();
        assert_ok(err);
        assert_true(atomic_load(&refused) >= 6);
        rove_runtime_unref(a.rt);
        rove_runtime_unref(b.rt);
        atomic_store(&refusing, false);
        rove_node_free(a.node);
        rove_node_free(b.node);
        assert_int_equal(a.control.created, a.control.destroyed);
        assert_int_equal(b.control.created, b.control.destroyed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
