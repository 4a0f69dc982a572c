/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry: its rules, and its readers while it changes. */
#include "support.h"
#include <host/registry.h>
#include <identity/entity.h>
#include <pthread.h>

/* What lives here, in a test. */
typedef struct thing {
    rovei_entry entry;
    rovei_rcu_retired retired;
    atomic_uint refs;
    uint64_t value; /* 42 as long as it lives */
} thing;

static rovei_rcu_bin bin;
static atomic_size_t freed;

static void free_thing(rovei_rcu_retired *item)
{
    thing *t = ROVEI_CONTAINER(item, thing, retired);
    t->value = 0;
    free(t);
    atomic_fetch_add(&freed, 1);
}

static bool hold(rovei_entry *e)
{
    thing *t = ROVEI_CONTAINER(e, thing, entry);
    unsigned refs = atomic_load(&t->refs);
    while (refs)
        if (atomic_compare_exchange_weak(&t->refs, &refs, refs + 1))
            return true;
    return false;
}

static void drop(rovei_entry *e)
{
    thing *t = ROVEI_CONTAINER(e, thing, entry);
    if (atomic_fetch_sub(&t->refs, 1) == 1)
        (void)rovei_rcu_retire(&bin, &t->retired);
}

static thing *thing_new(const rove_entity *entity)
{
    thing *t = calloc(1, sizeof *t);
    assert_non_null(t);
    rovei_entry_init(&t->entry, entity);
    t->retired.free = free_thing;
    atomic_init(&t->refs, 1);
    t->value = 42;
    return t;
}

static rove_entity entity_of(uint64_t n)
{
    rove_entity e = {{0}};
    memcpy(e.bytes, &n, sizeof n);
    return e;
}

typedef struct world {
    test_env t;
    rovei_registry r;
} world;

static void open_world(world *w)
{
    test_env_init(&w->t, 3);
    atomic_store(&freed, 0);
    assert_ok(rovei_registry_init(&w->r, &w->t.env.alloc, 5, hold, drop));
}

static void close_world(world *w)
{
    rovei_registry_fini(&w->r);
    rovei_rcu_reclaim(&bin);
    test_env_fini(&w->t);
}

static void test_rules(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    rove_entity e1 = entity_of(1), e2 = entity_of(2);
    thing *a = thing_new(&e1), *b = thing_new(&e2), *again = thing_new(&e1);
    assert_ok(rovei_registry_add(&w.r, &a->entry));
    assert_ok(rovei_registry_add(&w.r, &b->entry));
    assert_int_equal(rovei_registry_add(&w.r, &again->entry), ROVE_E_EXISTS);
    assert_int_equal(rovei_registry_count(&w.r), 2);
    assert_ptr_equal(rovei_registry_get(&w.r, rovei_entity_origin(&e1)), &a->entry);
    drop(&a->entry);
    assert_ptr_equal(rovei_registry_get_entity(&w.r, &e2), &b->entry);
    drop(&b->entry);
    assert_null(rovei_registry_get(&w.r, 12345));
    rove_daemon list[3] = {{0}, {0}, {7}};
    assert_int_equal(rovei_registry_daemons(&w.r, list, 3), 2);
    assert_int_equal(list[0].origin ^ list[1].origin,
                     rovei_entity_origin(&e1) ^ rovei_entity_origin(&e2));
    assert_int_equal(list[2].origin, 7);
    assert_int_equal(rovei_registry_daemons(&w.r, list, 1), 2);
    assert_false(rovei_registry_remove(&w.r, &again->entry)); /* exactly this one, or nothing */
    assert_true(rovei_registry_remove(&w.r, &a->entry));
    assert_false(rovei_registry_remove(&w.r, &a->entry));
    assert_true(rovei_registry_remove(&w.r, &b->entry));
    assert_int_equal(rovei_registry_count(&w.r), 0);
    drop(&a->entry);
    drop(&b->entry);
    drop(&again->entry);
    close_world(&w);
    assert_int_equal(freed, 3);
}

static void test_taken_origin(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    rove_entity e1 = entity_of(1), e2 = entity_of(2);
    thing *a = thing_new(&e1), *b = thing_new(&e2);
    b->entry.node.key = a->entry.node.key; /* as if their hashes agreed */
    assert_ok(rovei_registry_add(&w.r, &a->entry));
    assert_int_equal(rovei_registry_add(&w.r, &b->entry), ROVE_E_ORIGIN_TAKEN);
    assert_int_equal(rovei_registry_replace(&w.r, &b->entry), ROVE_E_ORIGIN_TAKEN);
    assert_null(rovei_registry_get_entity(&w.r, &e2));
    assert_true(rovei_registry_remove(&w.r, &a->entry));
    drop(&a->entry);
    drop(&b->entry);
    close_world(&w);
}

static void test_replace_makes_stale(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    rove_entity e1 = entity_of(1);
    uint64_t origin = rovei_entity_origin(&e1);
    thing *a = thing_new(&e1), *b = thing_new(&e1);
    assert_ok(rovei_registry_replace(&w.r, &a->entry)); /* nobody there: as add */
    rovei_entry *found = rovei_registry_get(&w.r, origin);
    assert_true(rovei_entry_is_listed(found));
    assert_ok(rovei_registry_replace(&w.r, &b->entry));
    assert_false(rovei_entry_is_listed(found)); /* who found it before does nothing with it */
    assert_int_equal(((thing *)(void *)found)->value, 42);
    drop(found);
    assert_int_equal(rovei_registry_count(&w.r), 1);
    found = rovei_registry_get(&w.r, origin);
    assert_ptr_equal(found, &b->entry);
    assert_true(rovei_entry_is_listed(found));
    drop(found);
    assert_false(rovei_registry_remove(&w.r, &a->entry));
    assert_true(rovei_registry_remove(&w.r, &b->entry));
    drop(&a->entry);
    drop(&b->entry);
    close_world(&w);
}

static void test_growth(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    thing *all[1000];
    for (uint64_t i = 0; i < 1000; i++) {
        rove_entity e = entity_of(i);
        all[i] = thing_new(&e);
        assert_ok(rovei_registry_add(&w.r, &all[i]->entry));
    }
    for (uint64_t i = 0; i < 1000; i++) {
        rovei_entry *e = rovei_registry_get(&w.r, all[i]->entry.node.key);
        assert_ptr_equal(e, &all[i]->entry);
        drop(e);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(rovei_registry_remove(&w.r, &all[i]->entry));
        drop(&all[i]->entry);
    }
    close_world(&w);
    assert_int_equal(freed, 1000);
}

/* ---- readers without a lock ---- */

#define SLOTS   8
#define CHANGES 4000

typedef struct race {
    rovei_registry *r;
    uint64_t origins[SLOTS];
    atomic_bool stop;
    atomic_uint wrong;
    atomic_ulong found;
} race;

static void *read_all(void *arg)
{
    race *c = arg;
    for (uint64_t i = 0; !atomic_load(&c->stop); i++) {
        uint64_t origin = c->origins[i % SLOTS];
        if (i % 2) { /* without a reference: alive as long as the section */
            rovei_rcu_enter();
            rovei_entry *e = rovei_registry_find(c->r, origin);
            if (e && (e->node.key != origin || ((thing *)(void *)e)->value != 42))
                atomic_fetch_add(&c->wrong, 1);
            rovei_rcu_leave();
        } else {
            rovei_entry *e = rovei_registry_get(c->r, origin);
            if (e) {
                atomic_fetch_add(&c->found, 1);
                if (((thing *)(void *)e)->value != 42)
                    atomic_fetch_add(&c->wrong, 1);
                drop(e);
            }
        }
    }
    return NULL;
}

static void test_readers_while_it_changes(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    race c = {.r = &w.r};
    thing *now[SLOTS] = {NULL};
    rove_entity entities[SLOTS];
    for (uint64_t i = 0; i < SLOTS; i++) {
        entities[i] = entity_of(i);
        c.origins[i] = rovei_entity_origin(&entities[i]);
    }
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &c), 0);
    uint64_t random = 9;
    size_t made = 0;
    for (int i = 0; i < CHANGES || atomic_load(&c.found) == 0; i++) {
        size_t at = below(&random, SLOTS);
        thing *old = now[at];
        if (old && below(&random, 2)) {
            assert_true(rovei_registry_remove(&w.r, &old->entry));
            now[at] = NULL;
        } else {
            now[at] = thing_new(&entities[at]);
            made++;
            assert_ok(rovei_registry_replace(&w.r, &now[at]->entry));
        }
        if (old)
            drop(&old->entry);
        if (i % 16 == 0)
            rovei_rcu_reclaim(&bin);
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c.wrong, 0);
    for (int i = 0; i < SLOTS; i++)
        if (now[i]) {
            assert_true(rovei_registry_remove(&w.r, &now[i]->entry));
            drop(&now[i]->entry);
        }
    close_world(&w);
    assert_int_equal(freed, made);
}

static rove_err init_and_add(world *w, thing *t)
{
    rove_err err = rovei_registry_init(&w->r, &w->t.env.alloc, 5, hold, drop);
    if (err)
        return err;
    err = rovei_registry_add(&w->r, &t->entry);
    if (err == ROVE_OK)
        rovei_registry_remove(&w->r, &t->entry);
    rovei_registry_fini(&w->r);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    world w;
    test_env_init(&w.t, 3);
    rove_entity e = entity_of(1);
    thing *t = thing_new(&e);
    SWEEP_NOMEM(&w.t.alloc, init_and_add(&w, t));
    drop(&t->entry);
    rovei_rcu_reclaim(&bin);
    test_env_fini(&w.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_taken_origin),
        cmocka_unit_test(test_replace_makes_stale),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_readers_while_it_changes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
