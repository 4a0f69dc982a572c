/* SPDX-License-Identifier: Apache-2.0
 *
 * What groups take from a runtime, and the recovery registry. */
#include "nodes.h"
#include <host/groups.h>
#include <node/placing.h>
#include <rove/drain.h>
#include <shell/call.h>

/* ---- the accessors ---- */

static void test_accessors(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    uint8_t seed[32] = {7, 1, 3};
    rove_daemon d, again;
    rovei_made_of made_of;
    assert_int_equal(rovei_groups_ready(p.rt), ROVE_E_NOT_READY);
    assert_int_equal(rovei_groups_spawn(p.rt, "probe", seed, true, &d), ROVE_E_NOT_READY);
    assert_ok(rove_runtime_start(p.rt));
    assert_ok(rovei_groups_ready(p.rt));
    assert_int_equal(rovei_groups_kind(p.rt, "none", &made_of), ROVE_E_KIND_UNKNOWN);
    assert_ok(rovei_groups_kind(p.rt, "probe", &made_of));
    assert_ptr_equal(made_of.kind, &probe_kind);
    assert_ptr_equal(made_of.user, &p.control);
    assert_int_equal(rovei_groups_spawn(p.rt, "none", seed, true, &d), ROVE_E_KIND_UNKNOWN);
    assert_ok(rovei_groups_spawn(p.rt, "probe", seed, true, &d));
    /* The identity is the seed's, and the registry is the one of all daemons. */
    rove_identity *identity;
    assert_ok(rove_identity_from_seed(&identity, p.node, seed));
    assert_int_equal(d.origin, rove_identity_origin(identity));
    rove_identity_free(identity);
    rovei_registry *registry = rovei_groups_registry(p.rt);
    assert_int_equal(rovei_registry_count(registry), 1);
    assert_int_equal(rove_runtime_daemon_count(p.rt), 1);
    rovei_entry *e = rovei_registry_get(registry, d.origin);
    assert_non_null(e);
    rovei_resident_drop_entry(e);
    deliver_expecting(&p, d, "1");
    assert_int_equal(rovei_groups_spawn(p.rt, "probe", seed, true, &again), ROVE_E_EXISTS);
    assert_ok(rove_runtime_cordon(p.rt, true));
    assert_int_equal(rovei_groups_ready(p.rt), ROVE_E_CORDONED);
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_int_equal(rovei_groups_ready(p.rt), ROVE_E_SHUTTING_DOWN);
    place_close(&p);
}

static void look_at_scheduler(void *arg, rovei_node *core, rovei_now now)
{
    place *p = arg;
    rovei_scheduler s = rovei_groups_scheduler(p->rt);
    rovei_filter any = {0};
    rovei_placement placed;
    (void)now;
    assert_ptr_equal(s.index, rovei_node_index(core)); /* the node's own, not a copy */
    assert_int_equal(s.local, p->info.node_id);
    assert_ok(rovei_place_with_spread(&s, &any, (rovei_node_set){0}, &placed));
    assert_int_equal(placed.node, p->info.node_id);
    rovei_node_set without = {&p->info.node_id, 1};
    assert_int_equal(rovei_place_with_spread(&s, &any, without, &placed), ROVE_E_NO_CANDIDATE);
}

static void test_scheduler(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rovei_node_call(p.node, look_at_scheduler, &p);
    place_close(&p);
}

/* ---- observers: order, re-entry, index ---- */

typedef struct witness {
    place *p;
    rove_observer self, other;
    char log[64];
    uint64_t last;
    bool nest;
} witness;

static void note_second(void *user, const rove_observed *o)
{
    witness *w = user;
    (void)o;
    strcat(w->log, "b");
}

static void note_first(void *user, const rove_observed *o)
{
    witness *w = user;
    strcat(w->log, "a");
    assert_true(o->index > w->last || w->nest);
    w->last = o->index;
    if (!w->nest)
        return;
    w->nest = false; /* from inside: another event, and one more observer */
    rove_observer third;
    assert_ok(rove_runtime_observe(w->p->rt, o->daemon, note_second, w, &third));
    deliver_and_forget(w->p, o->daemon);
}

static void test_observers(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    uint8_t seed[32] = {9};
    rove_daemon d;
    witness w = {.p = &p};
    assert_ok(rovei_groups_spawn(p.rt, "probe", seed, true, &d));
    assert_ok(rove_runtime_observe(p.rt, d, note_first, &w, &w.self));
    assert_ok(rove_runtime_observe(p.rt, d, note_second, &w, &w.other));
    deliver_and_forget(&p, d);
    assert_string_equal(w.log, "ab");
    w.nest = true;
    deliver_and_forget(&p, d);
    /* The nested event is seen by three; the outer one by the two that were there when it came. */
    assert_string_equal(w.log, "aba"
                               "abb"
                               "b");
    assert_int_equal(w.last, 3);
    p.control.fail_process = true;
    deliver_and_forget(&p, d);
    assert_string_equal(w.log, "abaabbb");
    p.control.fail_process = false;
    assert_ok(rove_runtime_unobserve(p.rt, w.self));
    assert_int_equal(rove_runtime_unobserve(p.rt, w.self), ROVE_E_NOT_FOUND);
    deliver_and_forget(&p, d);
    assert_string_equal(w.log, "abaabbbbb");
    place_close(&p);
}

/* ---- the recovery registry ---- */

typedef struct handler {
    rovei_recovery *r;
    uint8_t first, count;
    rove_err err;
    struct handler *registers; /* while it runs */
    int calls, dropped;
    pthread_mutex_t *gate;
    atomic_bool *inside;
} handler;

static void drop_handler(void *user)
{
    ((handler *)user)->dropped++;
}

static rove_err recover(void *user, uint8_t ret[ROVEI_RECOVERED_MAX], size_t *ret_count);

static rove_err add(rovei_recovery *r, handler *h, size_t *ret_count)
{
    h->r = r;
    return rovei_recovery_register(r, &(rovei_recovery_item){recover, drop_handler, h}, ret_count);
}

static rove_err recover(void *user, uint8_t ret[ROVEI_RECOVERED_MAX], size_t *ret_count)
{
    handler *h = user;
    h->calls++;
    for (uint8_t i = 0; i < h->count; i++)
        ret[i] = (uint8_t)(h->first + i);
    *ret_count = h->count;
    if (h->registers) {
        assert_int_equal(rovei_recovery_count(h->r) > 0, 1);
        assert_ok(add(h->r, h->registers, NULL));
        h->registers = NULL;
    }
    if (h->gate) {
        atomic_store(h->inside, true);
        pthread_mutex_lock(h->gate);
        pthread_mutex_unlock(h->gate);
    }
    return h->err;
}

static void run_expecting(rovei_recovery *r, const char *want)
{
    uint8_t *got;
    size_t count, room;
    assert_ok(rovei_recovery_run(r, &got, &count, &room));
    assert_int_equal(count, strlen(want));
    assert_memory_equal(count ? got : (const uint8_t *)"", want, count);
    rovei_free(r->alloc, got, room);
}

static void test_recovery(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 3);
    rovei_recovery r;
    rovei_recovery_init(&r, &t.env.alloc);
    run_expecting(&r, "");
    handler late = {.first = 'x', .count = 1};
    handler a = {.first = 'a', .count = 2}, b = {.first = 'k', .count = 1, .err = ROVE_E_INTERNAL},
            c = {.first = 'p', .count = 3, .registers = &late};
    size_t count = 0;
    assert_ok(add(&r, &a, &count));
    assert_int_equal(count, 1);
    assert_ok(add(&r, &b, NULL));
    assert_ok(add(&r, &c, &count));
    assert_int_equal(count, 3);
    run_expecting(&r, "abkpqr"); /* one behind the other; the late one not yet */
    assert_int_equal(b.dropped, 1);
    assert_int_equal(late.calls, 0);
    assert_int_equal(rovei_recovery_count(&r), 3);
    run_expecting(&r, "abpqrx"); /* without the one that failed; the late one behind all */
    assert_int_equal(b.calls, 1);
    rovei_recovery_fini(&r);
    assert_int_equal(a.dropped + c.dropped + late.dropped, 3);
    assert_int_equal(b.dropped, 1);
    test_env_fini(&t);
}

static void *run_thread(void *arg)
{
    run_expecting(arg, "s");
    return NULL;
}

/* Nobody who registers waits for one that runs. */
static void test_register_during_a_run(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 4);
    rovei_recovery r;
    rovei_recovery_init(&r, &rovei_alloc_libc);
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    atomic_bool inside = false;
    handler slow = {.first = 's', .count = 1, .gate = &gate, .inside = &inside}, other = {0};
    assert_ok(add(&r, &slow, NULL));
    pthread_t thread;
    pthread_mutex_lock(&gate);
    assert_int_equal(pthread_create(&thread, NULL, run_thread, &r), 0);
    while (!atomic_load(&inside))
        sched_yield();
    size_t count;
    uint8_t *got;
    size_t got_count, room;
    assert_int_equal(rovei_recovery_run(&r, &got, &got_count, &room), ROVE_E_BUSY);
    assert_ok(add(&r, &other, &count)); /* returns, although the slow one stands still */
    assert_int_equal(count, 2);
    assert_int_equal(rovei_recovery_count(&r), 2);
    pthread_mutex_unlock(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(rovei_recovery_count(&r), 2);
    assert_int_equal(other.calls, 0);
    rovei_recovery_fini(&r);
    test_env_fini(&t);
}

static rove_err fill(test_env *t)
{
    rovei_recovery r;
    handler a = {.first = 'a', .count = 2};
    uint8_t *got = NULL;
    size_t count = 0, room = 0;
    rovei_recovery_init(&r, &t->env.alloc);
    rove_err err = add(&r, &a, NULL);
    if (err == ROVE_OK)
        err = rovei_recovery_run(&r, &got, &count, &room);
    rovei_free(r.alloc, got, room);
    if (err == ROVE_OK)
        assert_int_equal(count, 2);
    rovei_recovery_fini(&r);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 5);
    SWEEP_NOMEM(&t.alloc, fill(&t));
    test_env_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_scheduler),
        cmocka_unit_test(test_observers),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_register_during_a_run),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
