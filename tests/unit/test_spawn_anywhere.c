/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons spawned where placement or the caller says, through the runtimes of two nodes. What they
 * announce is what they tell each other. */
#include "nodes.h"
#include <rove/drain.h>
#include <rove/placement.h>
#include <sched.h>

typedef struct both {
    place a, b;
} both;

static rove_kind remote_kind; /* that only node b has */
static atomic_int gate;       /* 0: who makes one of the kind "slow" waits */

static rove_err slow_create(void **ret, const rove_alloc *alloc, void *user)
{
    while (!atomic_load(&gate))
        sched_yield();
    return probe_create(ret, alloc, user);
}

static int setup(void **state)
{
    both *t = calloc(1, sizeof *t);
    static rove_kind slow;
    remote_kind = slow = probe_kind;
    remote_kind.name = "remote";
    slow.name = "slow";
    slow.create = slow_create;
    atomic_store(&gate, 0);
    place_ready(&t->a, 1);
    place_ready(&t->b, 1);
    assert_ok(rove_runtime_register_kind(t->b.rt, NULL, &remote_kind, &t->b.control));
    assert_ok(rove_runtime_register_kind(t->b.rt, NULL, &slow, &t->b.control));
    connect_places(&t->a, &t->b);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    both *t = *state;
    atomic_store(&gate, 1);
    place_close(&t->a);
    place_close(&t->b);
    free(t);
    return 0;
}

/* Until placement says so. */
static void await_place(place *p, const char *kind, rove_err want, const place *where)
{
    uint64_t until = rovei_clock_now().mono + 20 * ROVE_SECOND;
    rove_placement got = {0};
    while (rove_runtime_place(p->rt, kind, &got) != want ||
           (where && !rovei_entity_equal(&got.node, &where->info.entity)))
        assert_true(rovei_clock_now().mono < until);
}

static rove_err spawn_at(both *t, const char *kind, const rove_identity *identity,
                         rove_spawned *ret)
{
    rove_placement where = rove_pin(&t->b.info.entity);
    return rove_runtime_spawn_at(t->a.rt, kind, &where, identity, NULL, ret);
}

static void test_here_before_others(void **state)
{
    both *t = *state;
    rove_spawned s;
    rove_daemon d;
    assert_ok(rove_runtime_accept_kind(t->b.rt, "probe", true));
    await_place(&t->a, "probe", ROVE_OK, &t->a); /* which accepts nothing, but has the kind */
    assert_ok(rove_runtime_spawn_anywhere(t->a.rt, "probe", NULL, NULL, &s));
    assert_int_equal(s.where.reason, ROVE_PLACE_LOCAL_PREFERRED);
    assert_true(rovei_entity_equal(&s.where.node, &t->a.info.entity));
    assert_int_equal(s.epoch, 1);
    assert_ok(rove_runtime_find(t->a.rt, &s.daemon, &d));
    deliver_expecting(&t->a, d, "1");
}

static void test_elsewhere(void **state)
{
    both *t = *state;
    rove_spawned s;
    rove_daemon d;
    await_place(&t->a, "probe", ROVE_OK, &t->a);
    assert_int_equal(rove_runtime_spawn_anywhere(t->a.rt, "remote", NULL, NULL, &s),
                     ROVE_E_NO_CANDIDATE); /* not accepted there */
    assert_true(rovei_entity_is_zero(&s.where.node));
    assert_ok(rove_runtime_accept_kind(t->b.rt, "remote", true));
    await_place(&t->a, "remote", ROVE_OK, &t->b);
    assert_ok(rove_runtime_spawn_anywhere(t->a.rt, "remote", NULL, NULL, &s));
    assert_int_equal(s.where.reason, ROVE_PLACE_BEST_SCORE);
    assert_true(rovei_entity_equal(&s.where.node, &t->b.info.entity));
    assert_ok(rove_runtime_find(t->b.rt, &s.daemon, &d));
    deliver_expecting(&t->b, d, "1");
    assert_int_equal(t->b.control.created, 1);
    assert_int_equal(t->a.control.created, 0);
    /* This node is cordoned, and others are not. */
    assert_ok(rove_runtime_accept_kind(t->b.rt, "probe", true));
    assert_ok(rove_runtime_cordon(t->a.rt, true));
    await_place(&t->a, "probe", ROVE_OK, &t->b);
    assert_ok(rove_runtime_spawn_anywhere(t->a.rt, "probe", NULL, NULL, &s));
    assert_true(rovei_entity_equal(&s.where.node, &t->b.info.entity));
}

static void test_with_identity(void **state)
{
    both *t = *state;
    rove_identity *id;
    rove_entity entity;
    rove_spawned s;
    rove_daemon d;
    assert_ok(rove_runtime_accept_kind(t->b.rt, NULL, true));
    assert_ok(rove_identity_generate(&id, t->a.node));
    entity = rove_identity_entity(id);
    assert_ok(spawn_at(t, "probe", id, &s));
    assert_true(rovei_entity_equal(&s.daemon, &entity));
    assert_int_equal(s.where.reason, ROVE_PLACE_PINNED);
    assert_ok(rove_runtime_find(t->b.rt, &entity, &d));
    deliver_expecting(&t->b, d, "1");
    /* It lives: a second copy is refused, there and here. */
    assert_int_equal(spawn_at(t, "probe", id, &s), ROVE_E_EXISTS);
    assert_true(rovei_entity_equal(&s.where.node, &t->b.info.entity));
    await_place(&t->a, "probe", ROVE_OK, &t->a);
    assert_int_equal(rove_runtime_spawn_anywhere(t->a.rt, "probe", id, NULL, &s),
                     ROVE_E_LIVES_ELSEWHERE);
    deliver_expecting(&t->b, d, "2");
    rove_identity_free(id);
    /* One that lives here is not spawned there, but by force. */
    assert_ok(rove_identity_generate(&id, t->a.node));
    assert_ok(rove_runtime_spawn(t->a.rt, "probe", id, NULL, &d));
    assert_int_equal(spawn_at(t, "probe", id, &s), ROVE_E_LIVES_ELSEWHERE);
    rove_spawn_options options;
    rove_spawn_options_init(&options);
    options.force = true;
    rove_placement where = rove_pin(&t->b.info.entity);
    assert_ok(rove_runtime_spawn_at(t->a.rt, "probe", &where, id, &options, &s));
    assert_true(s.epoch > UINT64_C(1) << 31);
    rove_identity_free(id);
}

static void test_refused(void **state)
{
    both *t = *state;
    rove_spawned s;
    rove_entity nobody = {{1}};
    rove_placement where = rove_pin(&nobody), none = {0};
    rove_spawn_options options;
    char name[ROVE_KIND_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(spawn_at(t, "probe", NULL, &s), ROVE_E_REFUSED);
    assert_int_equal(spawn_at(t, "unheard", NULL, &s), ROVE_E_KIND_UNKNOWN);
    assert_int_equal(spawn_at(t, name, NULL, &s), ROVE_E_USAGE);
    assert_int_equal(spawn_at(t, "", NULL, &s), ROVE_E_USAGE);
    assert_int_equal(rove_runtime_spawn_at(t->a.rt, "probe", &where, NULL, NULL, &s),
                     ROVE_E_UNREACHABLE);
    assert_int_equal(rove_runtime_spawn_at(t->a.rt, "probe", &none, NULL, NULL, &s), ROVE_E_USAGE);
    rove_spawn_options_init(&options);
    options.struct_version++;
    assert_int_equal(rove_runtime_spawn_anywhere(t->a.rt, "probe", NULL, &options, &s),
                     ROVE_E_STRUCT_VERSION);
    assert_ok(rove_runtime_accept_kind(t->b.rt, NULL, true));
    t->b.control.fail_create = true;
    assert_int_equal(spawn_at(t, "probe", NULL, &s), ROVE_E_IO); /* what the kind's create says */
    t->b.control.fail_create = false;
    assert_ok(rove_runtime_cordon(t->b.rt, true));
    assert_int_equal(spawn_at(t, "probe", NULL, &s), ROVE_E_CORDONED);
    assert_ok(rove_runtime_cordon(t->b.rt, false));
    assert_ok(spawn_at(t, "probe", NULL, &s));
    assert_ok(rove_runtime_shutdown(t->b.rt));
    assert_int_equal(spawn_at(t, "probe", NULL, &s), ROVE_E_TARGET_NO_RUNTIME);
    assert_int_equal(t->b.control.created, 1);
}

/* Policy has the last word, in both directions. */
typedef struct asked {
    atomic_int count;
    bool say;
    rove_policy_request last;
} asked;

static bool allow(void *user, const rove_policy_request *request)
{
    asked *p = user;
    if (request->question != ROVE_ASK_PLACE)
        return request->preset;
    p->last = *request;
    p->last.kind = NULL;
    atomic_fetch_add(&p->count, 1);
    return p->say;
}

static void test_policy(void **state)
{
    both *t = *state;
    asked p = {0};
    rove_spawned s;
    rove_node_config cfg;
    rove_runtime_config rc;
    place c = {.control.outputs = 1};
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    assert_ok(rove_node_new(&c.node, &cfg));
    rove_node_get_info(c.node, &c.info);
    connect_places(&t->a, &c);
    rove_placement where = rove_pin(&c.info.entity);
    assert_int_equal(rove_runtime_spawn_at(t->a.rt, "probe", &where, NULL, NULL, &s),
                     ROVE_E_TARGET_NO_RUNTIME);
    rove_runtime_config_init(&rc);
    rc.policy = (rove_policy){allow, &p};
    assert_ok(rove_runtime_new(&c.rt, c.node, &rc));
    assert_ok(rove_runtime_register_kind(c.rt, NULL, &probe_kind, &c.control));
    assert_int_equal(rove_runtime_spawn_at(t->a.rt, "probe", &where, NULL, NULL, &s),
                     ROVE_E_TARGET_NOT_READY);
    assert_ok(rove_runtime_start(c.rt));
    p.say = true; /* though it is not accepted */
    assert_ok(rove_runtime_spawn_at(t->a.rt, "probe", &where, NULL, NULL, &s));
    assert_int_equal(p.count, 1);
    assert_false(p.last.preset);
    assert_true(rovei_entity_equal(&p.last.peer, &t->a.info.entity));
    assert_true(rovei_entity_is_zero(&p.last.daemon));
    assert_ok(rove_runtime_accept_kind(c.rt, "probe", true));
    p.say = false;
    assert_int_equal(rove_runtime_spawn_at(t->a.rt, "probe", &where, NULL, NULL, &s),
                     ROVE_E_REFUSED);
    assert_true(p.last.preset);
    place_close(&c);
}

typedef struct told_spawn {
    atomic_int count;
    rove_err err;
    rove_spawned spawned;
    rove_migration migration;
} told_spawn;

static void on_spawned(void *user, rove_err err, const rove_spawned *spawned)
{
    told_spawn *t = user;
    t->err = err;
    t->spawned = *spawned;
    atomic_fetch_add(&t->count, 1);
}

static void on_migration(void *user, rove_err err, rove_migration migration)
{
    told_spawn *t = user;
    t->err = err;
    t->migration = migration;
    atomic_fetch_add(&t->count, 1);
}

static void await_told(told_spawn *t, int count)
{
    while (atomic_load(&t->count) < count)
        sched_yield();
}

/* And a move whose target placement finds, with a completion. */
static void test_later(void **state)
{
    both *t = *state;
    told_spawn told = {0};
    rove_placement where = rove_pin(&t->b.info.entity);
    rove_daemon d;
    assert_ok(rove_runtime_accept_kind(t->b.rt, "probe", true));
    assert_ok(rove_runtime_spawn_at_async(t->a.rt, "probe", &where, NULL, NULL, on_spawned, &told));
    await_told(&told, 1);
    assert_ok(told.err);
    assert_ok(rove_runtime_find(t->b.rt, &told.spawned.daemon, &d));
    await_place(&t->a, "probe", ROVE_OK, &t->a);
    assert_ok(rove_runtime_spawn_at_async(t->a.rt, "probe", NULL, NULL, NULL, on_spawned, &told));
    await_told(&told, 2);
    assert_ok(told.err);
    assert_ok(rove_runtime_find(t->a.rt, &told.spawned.daemon, &d));
    assert_ok(rove_runtime_cordon(t->a.rt, true));
    await_place(&t->a, "probe", ROVE_OK, &t->b); /* so that it is known what b takes */
    assert_ok(rove_runtime_start_migration_auto_async(t->a.rt, d, NULL, on_migration, &told));
    await_told(&told, 3);
    assert_ok(told.err);
    assert_ok(rove_migration_wait(t->a.rt, told.migration, NULL));
    assert_ok(rove_runtime_find(t->b.rt, &told.spawned.daemon, &d));
}

static void test_shutdown_while_it_is_asked(void **state)
{
    both *t = *state;
    told_spawn told = {0};
    rove_placement where = rove_pin(&t->b.info.entity);
    assert_ok(rove_runtime_accept_kind(t->b.rt, NULL, true));
    assert_ok(rove_runtime_spawn_at_async(t->a.rt, "slow", &where, NULL, NULL, on_spawned, &told));
    rove_spawned s;
    assert_int_equal(spawn_at(t, "unheard", NULL, &s), ROVE_E_KIND_UNKNOWN); /* it came after it */
    assert_int_equal(told.count, 0);
    assert_ok(rove_runtime_shutdown(t->a.rt));
    await_told(&told, 1);
    assert_int_equal(told.err, ROVE_E_SHUTTING_DOWN);
    assert_true(rovei_entity_equal(&told.spawned.where.node, &t->b.info.entity));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_here_before_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown_while_it_is_asked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
