/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds and factory entries: nothing occupied is ever overwritten, and a rollback takes back only
 * what its own spawn has put there. */
#include "kinds.h"
#include "support.h"
#include <host/factory.h>

typedef struct world {
    test_env t;
    rovei_factory f;
    rovei_keypair *key, *other;
    uint64_t origin;
    const rovei_made_of *probe, *second;
} world;

static void open_world(world *w)
{
    test_env_init(&w->t, 11);
    rovei_factory_init(&w->f, &w->t.env.alloc, 2, 1);
    assert_ok(rovei_keypair_generate(&w->key, &w->t.env));
    assert_ok(rovei_keypair_generate(&w->other, &w->t.env));
    w->origin = rovei_keypair_origin(w->key);
    assert_ok(rovei_factory_add_kind(&w->f, NULL, &probe_kind, w));
    assert_ok(rovei_factory_add_kind(&w->f, "second", &probe_kind, NULL));
    w->probe = rovei_factory_kind(&w->f, "probe");
    w->second = rovei_factory_kind(&w->f, "second");
}

static void close_world(world *w)
{
    rovei_factory_fini(&w->f);
    rovei_keypair_unref(w->key);
    rovei_keypair_unref(w->other);
    test_env_fini(&w->t);
}

static void test_kinds(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_ptr_equal(w.probe->user, &w);
    assert_string_equal(w.second->name, "second");
    assert_int_equal(rovei_factory_add_kind(&w.f, NULL, &probe_kind, NULL), ROVE_E_KIND_EXISTS);
    assert_int_equal(rovei_factory_add_kind(&w.f, "no good", &probe_kind, NULL), ROVE_E_USAGE);
    assert_int_equal(rovei_factory_add_kind(&w.f, "x", NULL, NULL), ROVE_E_ABI);
    assert_null(rovei_factory_kind(&w.f, "prob"));
    assert_null(rovei_factory_kind(&w.f, "probes"));
    assert_null(rovei_factory_kind(&w.f, NULL));
    char name[ROVE_KIND_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[ROVE_KIND_NAME_MAX + 1] = '\0';
    assert_null(rovei_factory_kind(&w.f, name));
    name[ROVE_KIND_NAME_MAX] = '\0';
    assert_ok(rovei_factory_add_kind(&w.f, name, &probe_kind, NULL));
    assert_string_equal(rovei_factory_kind(&w.f, name)->name, name);
    assert_int_equal(rovei_factory_kind_count(&w.f), 3);
    close_world(&w);
}

static void test_take_remove_empty(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_true(rovei_factory_is_empty(&w.f));
    assert_null(rovei_factory_take(&w.f, w.origin));
    assert_false(rovei_factory_remove(&w.f, w.origin));
    assert_ok(rovei_factory_register(&w.f, w.key, w.probe));
    assert_false(rovei_factory_is_empty(&w.f));
    const rovei_factory_entry *e = rovei_factory_find(&w.f, w.origin); /* keyed by the key */
    assert_ptr_equal(rovei_factory_key(e), w.key);
    assert_ptr_equal(rovei_factory_find(&w.f, w.origin), e); /* looking does not take */
    rovei_factory_entry *taken = rovei_factory_take(&w.f, w.origin);
    assert_ptr_equal(taken, e);
    assert_null(rovei_factory_take(&w.f, w.origin));
    rovei_factory_entry_free(&w.f, taken);
    close_world(&w);
}

static void test_collisions_keep_the_incumbent(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_ok(rovei_factory_register(&w.f, w.key, w.probe));
    assert_int_equal(rovei_factory_register(&w.f, w.key, w.second), ROVE_E_EXISTS);
    assert_int_equal(rovei_factory_expect(&w.f, w.origin, w.second, true), ROVE_E_EXISTS);
    assert_int_equal(rovei_factory_claim(&w.f, w.key, w.second), ROVE_E_EXISTS);
    const rovei_factory_entry *e = rovei_factory_find(&w.f, w.origin);
    assert_string_equal(e->made_of.name, "probe");
    assert_ptr_equal(rovei_factory_key(e), w.key); /* never downgraded */
    assert_false(e->public_only_ok);
    rovei_factory_rollback(&w.f, w.origin); /* of a spawn that claimed nothing: nothing */
    assert_non_null(rovei_factory_find(&w.f, w.origin));
    uint64_t other = rovei_keypair_origin(w.other);
    assert_ok(rovei_factory_expect(&w.f, other, w.probe, true));
    assert_int_equal(rovei_factory_register(&w.f, w.other, w.probe), ROVE_E_EXISTS);
    assert_int_equal(rovei_factory_claim(&w.f, w.other, w.probe), ROVE_E_EXISTS);
    assert_null(rovei_factory_key(rovei_factory_find(&w.f, other)));
    close_world(&w);
}

static void test_claim(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_ok(rovei_factory_claim(&w.f, w.key, w.probe));
    assert_true(rovei_factory_find(&w.f, w.origin)->claimed);
    assert_int_equal(rovei_factory_claim(&w.f, w.key, w.probe), ROVE_E_EXISTS);
    rovei_factory_rollback(&w.f, w.origin);
    assert_null(rovei_factory_find(&w.f, w.origin));
    assert_ok(rovei_factory_claim(&w.f, w.key, w.probe));
    rovei_factory_settle(&w.f, w.origin);
    assert_false(rovei_factory_find(&w.f, w.origin)->claimed);
    /* It leaves: the entry stays, without the key that was wiped. */
    rovei_keypair_wipe(w.key);
    rovei_factory_departed(&w.f, w.origin);
    const rovei_factory_entry *left = rovei_factory_find(&w.f, w.origin);
    assert_true(left->left);
    assert_null(rovei_factory_key(left));
    assert_true(rovei_entity_equal(rovei_factory_entity(left), rovei_keypair_entity(w.key)));
    /* A spawn may stand in for it, and gives it back when it fails. */
    assert_ok(rovei_factory_claim(&w.f, w.key, w.second));
    assert_string_equal(rovei_factory_find(&w.f, w.origin)->made_of.name, "second");
    rovei_factory_rollback(&w.f, w.origin);
    assert_ptr_equal(rovei_factory_find(&w.f, w.origin), left);
    assert_ok(rovei_factory_claim(&w.f, w.key, w.second));
    rovei_factory_settle(&w.f, w.origin);
    assert_string_equal(rovei_factory_find(&w.f, w.origin)->made_of.name, "second");
    assert_null(rovei_factory_find(&w.f, w.origin)->before);
    close_world(&w);
}

static void test_arrival(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_ok(rovei_factory_expect(&w.f, w.origin, w.probe, false));
    assert_null(rovei_factory_entity(rovei_factory_find(&w.f, w.origin)));
    assert_ok(rovei_factory_arrived(&w.f, w.key, w.probe));
    const rovei_factory_entry *e = rovei_factory_find(&w.f, w.origin);
    assert_ptr_equal(rovei_factory_key(e), w.key);
    assert_true(rovei_entity_equal(rovei_factory_entity(e), rovei_keypair_entity(w.key)));
    /* A key that was kept stays for the return. */
    rovei_factory_departed(&w.f, w.origin);
    assert_ptr_equal(rovei_factory_key(rovei_factory_find(&w.f, w.origin)), w.key);
    assert_ok(rovei_factory_arrived(&w.f, w.key, w.probe));
    assert_false(rovei_factory_find(&w.f, w.origin)->left);
    /* The expectation was withdrawn while it was on its way. */
    assert_ok(rovei_factory_arrived(&w.f, w.other, w.probe));
    assert_non_null(rovei_factory_find(&w.f, rovei_keypair_origin(w.other)));
    close_world(&w);
}

static void test_bind(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    rove_entity a = {{1}}, b = {{2}};
    assert_int_equal(rovei_factory_bind(&w.f, w.origin, &a), ROVE_E_NOT_FOUND);
    assert_ok(rovei_factory_expect(&w.f, w.origin, w.probe, false));
    assert_ok(rovei_factory_bind(&w.f, w.origin, &a));
    assert_ok(rovei_factory_bind(&w.f, w.origin, &a));
    assert_int_equal(rovei_factory_bind(&w.f, w.origin, &b), ROVE_E_EXISTS);
    assert_true(rovei_entity_equal(rovei_factory_find(&w.f, w.origin)->source, &a));
    close_world(&w);
}

static void test_clear(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_ok(rovei_factory_claim(&w.f, w.key, w.probe));
    assert_ok(rovei_factory_expect(&w.f, 77, w.probe, false));
    rovei_factory_clear(&w.f);
    assert_true(rovei_factory_is_empty(&w.f));
    assert_int_equal(rovei_factory_kind_count(&w.f), 0);
    rovei_factory_rollback(&w.f, w.origin); /* of the spawn that shutdown overtook */
    rovei_factory_settle(&w.f, w.origin);
    rovei_factory_departed(&w.f, w.origin);
    close_world(&w);
}

/* What comes unexpected, of an accepted kind, is a guest; of those that have left two are kept. */
static void test_guests(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    assert_false(rovei_factory_accepts(&w.f, "probe"));
    assert_false(rovei_factory_accepts(&w.f, "none"));
    assert_false(rovei_factory_accepts(&w.f, NULL));
    assert_int_equal(rovei_factory_accept(&w.f, "none", true), ROVE_E_KIND_UNKNOWN);
    assert_ok(rovei_factory_accept(&w.f, "probe", true));
    assert_true(rovei_factory_accepts(&w.f, "probe"));
    assert_false(rovei_factory_accepts(&w.f, "second"));
    assert_ok(rovei_factory_accept(&w.f, NULL, true));
    assert_true(rovei_factory_accepts(&w.f, "second"));
    assert_ok(rovei_factory_accept(&w.f, NULL, false));
    assert_false(rovei_factory_accepts(&w.f, "probe"));
    size_t it = 0, kinds = 0;
    while (rovei_factory_kind_next(&w.f, &it))
        kinds++;
    assert_int_equal(kinds, 2);

    rovei_keypair *key[4];
    for (int i = 0; i < 4; i++) {
        assert_ok(rovei_keypair_generate(&key[i], &w.t.env));
        assert_ok(rovei_factory_arrived(&w.f, key[i], w.probe));
    }
    for (int i = 0; i < 2; i++) {
        rovei_factory_departed(&w.f, rovei_keypair_origin(key[i]));
        rovei_factory_departed(&w.f, rovei_keypair_origin(key[i])); /* again: nothing */
    }
    /* The one that left first is being spawned: it is not the one that is forgotten. */
    assert_ok(rovei_factory_claim(&w.f, key[0], w.second));
    rovei_factory_departed(&w.f, rovei_keypair_origin(key[2]));
    rovei_factory_rollback(&w.f, rovei_keypair_origin(key[0])); /* it left last, now */
    rovei_factory_departed(&w.f, rovei_keypair_origin(key[3]));
    assert_null(rovei_factory_find(&w.f, rovei_keypair_origin(key[1])));
    assert_int_equal(w.f.guest_count, 2);
    /* One that comes back is no longer among them, and counts as expected from then on. */
    assert_ok(rovei_factory_arrived(&w.f, key[3], w.probe));
    assert_int_equal(w.f.guest_count, 1);
    /* Who was expected or spawned here is not one of them. */
    assert_ok(rovei_factory_register(&w.f, w.key, w.probe));
    for (int i = 0; i < 3; i++)
        rovei_factory_departed(&w.f, w.origin);
    assert_int_equal(w.f.guest_count, 1);
    assert_non_null(rovei_factory_find(&w.f, w.origin));
    for (int i = 0; i < 4; i++)
        rovei_keypair_unref(key[i]);
    close_world(&w);
}

static rove_err fill(world *w)
{
    rovei_factory f;
    rovei_factory_init(&f, &w->t.env.alloc, 2, 1);
    rove_err err = rovei_factory_add_kind(&f, NULL, &probe_kind, NULL);
    const rovei_made_of *made_of = rovei_factory_kind(&f, "probe");
    assert_int_equal(made_of != NULL, err == ROVE_OK);
    if (err == ROVE_OK)
        err = rovei_factory_claim(&f, w->key, made_of);
    if (err == ROVE_OK)
        err = rovei_factory_expect(&f, 1, made_of, false);
    rovei_factory_fini(&f);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    world w;
    open_world(&w);
    SWEEP_NOMEM(&w.t.alloc, fill(&w));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_take_remove_empty),
        cmocka_unit_test(test_collisions_keep_the_incumbent),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_arrival),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
