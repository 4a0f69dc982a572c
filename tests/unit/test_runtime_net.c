/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves in class net through the runtime, between real nodes over loopback that know each other by
 * nothing else: an expectation is found by the origin alone, and each reason to refuse arrives. */
#include "nodes.h"

typedef struct pair {
    place a, b;
    rove_identity *id;
    rove_daemon d;
} pair;

static void open_place(place *p, bool start)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.compat_net = true;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    if (start)
        assert_ok(rove_runtime_start(p->rt));
}

static void pair_open(pair *p, bool start_b)
{
    open_place(&p->a, true);
    open_place(&p->b, start_b);
    const rove_node_info *a = &p->a.info, *b = &p->b.info;
    assert_ok(rove_node_list_net(p->b.node, a->node_id, a->x25519, NULL));
    assert_ok(rove_node_list_net(p->a.node, b->node_id, b->x25519, b->address));
    rove_entity peer = rove_entity_of_net(b->node_id);
    assert_ok(rove_node_wait_peer(p->a.node, &peer, 10 * ROVE_SECOND));
    assert_ok(rove_identity_generate(&p->id, p->a.node));
    assert_ok(rove_runtime_spawn(p->a.rt, "probe", p->id, NULL, &p->d));
}

static void pair_close(pair *p)
{
    rove_identity_free(p->id);
    place_close(&p->a);
    place_close(&p->b);
    assert_int_equal(p->a.control.created, p->a.control.destroyed);
    assert_int_equal(p->b.control.created, p->b.control.destroyed);
}

static rove_err move(place *from, const place *to, rove_daemon d,
                     const rove_migration_options *options, rove_migration_info *info)
{
    rove_migration m;
    rove_entity target = rove_entity_of_net(to->info.node_id);
    rove_err err = rove_runtime_start_migration_with(from->rt, d, &target, options, &m);
    return err ? err : rove_migration_wait_with_timeout(from->rt, m, 20 * ROVE_SECOND, info);
}

static rove_err move_there(pair *p, const rove_migration_options *options)
{
    rove_migration_info info;
    return move(&p->a, &p->b, p->d, options, &info);
}

static void await_count(place *p, size_t count)
{
    while (rove_runtime_daemon_count(p->rt) != count)
        sched_yield();
}

static void to_and_fro(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, true);
    deliver_expecting(&p.a, p.d, "1");
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    place *at = &p.a, *other = &p.b;
    for (int i = 2; i < 8; i++) {
        char want[8];
        rove_migration_info info;
        snprintf(want, sizeof want, "%d", i);
        assert_ok(move(at, other, p.d, NULL, &info));
        assert_int_equal(info.outcome, ROVE_OUTCOME_COMPLETED);
        await_count(at, 0);
        await_count(other, 1);
        deliver_expecting(other, p.d, want);
        rove_result result;
        assert_int_equal(deliver(at, p.d, "x", &result), ROVE_E_MOVED);
        place *swap = at;
        at = other;
        other = swap;
    }
    pair_close(&p);
}

static void assert_stays(pair *p)
{
    assert_int_equal(rove_runtime_daemon_count(p->a.rt), 1);
    assert_int_equal(rove_runtime_daemon_count(p->b.rt), 0);
    deliver_expecting(&p->a, p->d, "1");
}

static void refused(void **state)
{
    (void)state;
    pair p;
    rove_migration_options once;
    rove_migration_options_init(&once);
    once.retry_not_ready = 0;
    pair_open(&p, true);
    assert_int_equal(move_there(&p, &once), ROVE_E_TARGET_NO_FACTORY);
    assert_stays(&p);
    pair_close(&p);
    pair_open(&p, false);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    assert_int_equal(move_there(&p, &once), ROVE_E_TARGET_NOT_READY);
    assert_stays(&p);
    pair_close(&p);
    pair_open(&p, true);
    assert_ok(rove_runtime_shutdown(p.b.rt));
    assert_int_equal(move_there(&p, &once), ROVE_E_TARGET_NO_RUNTIME);
    pair_close(&p);
    /* Under the same key another daemon lives there. */
    pair_open(&p, true);
    rove_daemon twin;
    assert_ok(rove_runtime_spawn(p.b.rt, "probe", p.id, NULL, &twin));
    assert_int_equal(move_there(&p, &once), ROVE_E_STATE_FAILED);
    assert_int_equal(rove_runtime_daemon_count(p.a.rt), 1);
    deliver_expecting(&p.a, p.d, "1");
    deliver_expecting(&p.b, twin, "1");
    pair_close(&p);
}

static void identities(void **state)
{
    (void)state;
    rove_migration_options keep;
    rove_migration_options_init(&keep);
    keep.transport_identity = false;
    pair p;
    /* Nobody has the key for the target. */
    pair_open(&p, true);
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, NULL));
    assert_int_equal(move_there(&p, &keep), ROVE_E_IDENTITY_MISSING);
    assert_stays(&p);
    pair_close(&p);
    /* It may come without a private key. */
    pair_open(&p, true);
    rove_expect_options options;
    rove_expect_options_init(&options);
    options.public_only_ok = true;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, &options));
    assert_ok(move_there(&p, &keep));
    await_count(&p.b, 1);
    deliver_expecting(&p.b, p.d, "1");
    pair_close(&p);
    /* The target has it. */
    pair_open(&p, true);
    assert_ok(rove_runtime_register_migration_target_identity(p.b.rt, "probe", p.id));
    assert_ok(move_there(&p, &keep));
    await_count(&p.b, 1);
    deliver_expecting(&p.b, p.d, "1");
    pair_close(&p);
}

/* A binding to the peer that brings it, by which nobody else may. */
static void bound(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, true);
    rove_expect_options options;
    rove_expect_options_init(&options);
    rove_entity source = rove_entity_of_net(p.a.info.node_id);
    options.source = &source;
    assert_ok(rove_runtime_expect_migration(p.b.rt, "probe", p.d.origin, &options));
    assert_ok(move_there(&p, NULL));
    await_count(&p.b, 1);
    deliver_expecting(&p.b, p.d, "1");
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_and_fro),
        cmocka_unit_test(refused),
        cmocka_unit_test(identities),
        cmocka_unit_test(bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
