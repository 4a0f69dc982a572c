/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon that goes to a target of the reference: the way it goes, what is lost and said again,
 * large states, and how it ends otherwise, with each failure's code and text. */
#include "net_source_kit.h"

#include <limits.h>

/* ---- the way it goes ---- */

static void goes(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    world_cell *c = world_cell_of(&k->o.w, 0, &k->d);
    uint8_t log[64];
    size_t size = c->log_size;
    uint64_t epoch = world_daemon(&k->o.w, 0, &k->d)->epoch;
    rovei_keypair *key = rovei_keypair_ref(c->key);
    memcpy(log, c->log, size);
    k->o.w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    rovei_attempt_id a = kit_move(k);
    world_until(&k->o.w, ROVE_SECOND, k->o.w.nodes[0].held_count);
    assert_int_equal(c->state, CELL_QUIET);
    assert_int_equal(world_deliver(&k->o.w, 0, &k->d, "not now"), ROVE_E_MOVING);
    world_release(&k->o.w, 0);
    rovei_move_info info = kit_end(k, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_int_equal(info.phase, ROVEI_PHASE_COMPLETE);
    assert_int_equal(info.bytes, size);
    assert_int_equal(info.attempts, 1);
    assert_int_equal(info.epoch, epoch + 1);
    assert_true(info.frozen_at && info.active_at >= info.committed_at && info.closed);
    kit_assert_gone(k);
    stock_daemon *d = stock_find(&k->s, k->origin);
    assert_span((rove_span){d->state, d->state_size}, log, size);
    assert_int_equal(d->head.sequence, 3);
    assert_true(d->has_key);
    assert_true(rovei_keypair_is_read_only(key)); /* and it has left this node */
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_SNAPSHOT_READY], 1);
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_BUFFERED_EVENTS], 1);
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_ACTIVATE_TARGET], 1);
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 0);
    assert_int_equal(rovei_node_cancel(kit_node(k), k->o.w.now, &a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    rovei_keypair_unref(key);
    kit_free(k);
}

static void leaves_the_key_here(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rovei_keypair *key = rovei_keypair_ref(world_cell_of(&k->o.w, 0, &k->d)->key);
    rovei_move_order o = kit_order(k);
    rovei_attempt_id a;
    o.keep_identity = true;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &a));
    rovei_move_info info = kit_end(k, &a);
    kit_assert_failed(&info, ROVE_E_IDENTITY_MISSING, ROVEI_NETMOVE_NO_KEY);
    kit_assert_stayed(k);
    k->s.own_key = true;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &a));
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    assert_false(stock_find(&k->s, k->origin)->has_key);
    assert_false(rovei_keypair_is_read_only(key));
    rovei_keypair_unref(key);
    kit_free(k);
}

/* The order is refused before anything has happened. */
static void wants_the_target_s_key(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rovei_net_listing l = {.node_id = k->o.peers[0].node_id};
    assert_ok(rovei_net_list(rovei_node_net(kit_node(k)), k->o.w.now, &l));
    rovei_move_order o = kit_order(k);
    rovei_attempt_id a;
    assert_int_equal(rovei_node_move(kit_node(k), k->o.w.now, &o, &a), ROVE_E_TARGET_KEY);
    kit_assert_stayed(k);
    world_run(&k->o.w, ROVE_SECOND);
    for (size_t i = 0; i < ROVEI_NETMOVE_TYPES; i++)
        assert_int_equal(k->s.seen[i], 0);
    o.keep_identity = k->s.own_key = true;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &a));
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    kit_free(k);
}

static void nobody_to_go_to(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rovei_move_order o = kit_order(k);
    rovei_attempt_id a, b;
    o.target = rovei_entity_of_net(77);
    assert_int_equal(rovei_node_move(kit_node(k), k->o.w.now, &o, &a), ROVE_E_TARGET_UNAVAILABLE);
    a = kit_move(k);
    o = kit_order(k);
    assert_int_equal(rovei_node_move(kit_node(k), k->o.w.now, &o, &b), ROVE_E_ALREADY_MIGRATING);
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_free(k);
}

/* ---- what is lost ---- */

static void any_message_may_be_lost(void **state)
{
    (void)state;
    static const struct {
        bool leaving;
        rovei_netmove_type type;
    } steps[] = {{false, ROVEI_NETMOVE_SNAPSHOT_READY},  {true, ROVEI_NETMOVE_RESTORE_COMPLETE},
                 {false, ROVEI_NETMOVE_BUFFERED_EVENTS}, {true, ROVEI_NETMOVE_REPLAY_COMPLETE},
                 {false, ROVEI_NETMOVE_ACTIVATE_TARGET}, {true, ROVEI_NETMOVE_ACTIVATE_ACK}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (unsigned times = 1; times <= 3; times++) {
            kit *k = kit_new(1, 1);
            if (times == 2)
                kit_grow(k, 30000);
            k->s.lose[steps[i].leaving][steps[i].type] = times;
            rovei_attempt_id a = kit_move(k);
            assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
            kit_assert_gone(k);
            kit_free(k);
        }
}

static void a_bad_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        kit *k = kit_new(1, 1);
        kit_grow(k, 50000);
        k->s.loss = 200;
        k->s.random = seed;
        k->s.twice = seed % 2;
        rovei_attempt_id a = kit_move(k);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        kit_free(k);
    }
}

static void what_comes_twice_counts_once(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    k->s.twice = true;
    rovei_attempt_id a = kit_move(k);
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    kit_free(k);
}

static void a_large_state(size_t size, unsigned loss)
{
    kit *k = kit_new(1, 1);
    kit_grow(k, size);
    size_t all = world_cell_of(&k->o.w, 0, &k->d)->log_size;
    k->s.loss = loss;
    rovei_attempt_id a = kit_move(k);
    rovei_move_info info = kit_end(k, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_int_equal(info.bytes, all);
    kit_assert_gone(k);
    stock_daemon *d = stock_find(&k->s, k->origin);
    assert_int_equal(d->state_size, all);
    assert_int_equal(d->state[all - 1], (uint8_t)('a' + (size - 1) * 31 % 26));
    assert_true(k->s.widest <= 131072);
    kit_free(k);
}

static void a_mebibyte(void **state)
{
    (void)state;
    a_large_state((size_t)1 << 20, 0);
    a_large_state((size_t)1 << 20, 100);
}

static void sixteen_mebibytes(void **state)
{
    (void)state;
    a_large_state((size_t)16 << 20, 20);
}

/* Nothing of it leaves, and the daemon goes on. */
static void more_than_it_takes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        kit *k = kit_new(1, 1);
        size_t state_size = ROVEI_NETMOVE_SNAPSHOT_MAX + 1;
        if (i) /* only head and envelope make it too large */
            state_size = ROVEI_NETMOVE_SNAPSHOT_MAX - 100;
        kit_grow(k, state_size - world_cell_of(&k->o.w, 0, &k->d)->log_size - 4);
        rovei_attempt_id a = kit_move(k);
        rovei_move_info info = kit_end(k, &a);
        kit_assert_failed(&info, ROVE_E_TOO_LARGE, NULL);
        kit_assert_stayed(k);
        world_run(&k->o.w, 5 * ROVE_SECOND);
        for (size_t j = 0; j < ROVEI_NETMOVE_TYPES; j++)
            assert_int_equal(k->s.seen[j], 0);
        kit_free(k);
    }
}

static void two_at_once(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rove_entity other = world_spawn(&k->o.w, 0, 6);
    kit_grow(k, 400000);
    rovei_attempt_id a = kit_move(k), b;
    rovei_move_order o = kit_order(k);
    o.daemon = other;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &b));
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    assert_int_equal(kit_end(k, &b).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    stock_daemon *d = stock_find(&k->s, rovei_entity_origin(&other));
    assert_int_equal(d->step, STOCK_COMPLETED);
    assert_int_equal(d->state_size, 0);
    assert_true(k->s.widest <= 131072 + 2 * 7100);
    kit_free(k);
}

/* ---- how it ends otherwise ---- */

static void refusals(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        kit *k = kit_new(1, 1);
        k->s.no_factory = i == 0;
        k->s.no_runtime = i == 1;
        if (i == 2)
            k->s.refuse = "restore_snapshot failed: restore failed: no \x1b[31mcolours\n please";
        if (i == 3)
            k->s.refuse = "identity envelope open failed: identity envelope: attestation signature "
                          "invalid";
        rovei_attempt_id a = kit_move(k);
        rovei_move_info info = kit_end(k, &a);
        kit_assert_failed(
            &info,
            (rove_err[]){ROVE_E_TARGET_NO_FACTORY, ROVE_E_TARGET_NO_RUNTIME, ROVE_E_STATE_FAILED,
                         ROVE_E_IDENTITY_TRANSPORT}[i],
            (const char *[]){NULL, NULL,
                             "restore_snapshot failed: restore failed: no ?[31mcolours? please",
                             k->s.refuse}[i]);
        kit_assert_stayed(k);
        /* It knows that nothing came of it. */
        assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 0);
        k->s.no_factory = k->s.no_runtime = false;
        k->s.refuse = NULL;
        a = kit_move(k);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        kit_free(k);
    }
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    char text[1001] = "";
    for (int i = 0; i < 500; i++)
        memcpy(text + 2 * i, "\xc3\xa4", 3);
    k->s.refuse = text;
    rovei_attempt_id a = kit_move(k);
    rovei_move_info info = kit_end(k, &a);
    assert_int_equal(info.text.size, ROVE_MIGRATION_TEXT_MAX - 2); /* no half character */
    assert_memory_equal(info.text.data, text, info.text.size);
    kit_free(k);
}

static void not_ready_is_asked_again(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rovei_move_order o = kit_order(k);
    rovei_attempt_id a;
    o.retry_not_ready = 10 * ROVE_SECOND;
    k->s.not_ready = true;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &a));
    world_run(&k->o.w, 200 * ROVE_MILLISECOND);
    kit_assert_stayed(k); /* meanwhile it serves, and what it applies goes along */
    world_run(&k->o.w, ROVE_SECOND);
    k->s.not_ready = false;
    rovei_move_info info = kit_end(k, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_true(info.attempts >= 2);
    kit_assert_gone(k);
    assert_int_equal(stock_find(&k->s, k->origin)->head.sequence, 4);
    kit_free(k);
}

static void never_ready(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        kit *k = kit_new(1, 1);
        rovei_move_order o = kit_order(k);
        rovei_attempt_id a;
        o.retry_not_ready = i ? 1500 * ROVE_MILLISECOND : 0;
        k->s.not_ready = true;
        assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &a));
        rovei_move_info info = kit_end(k, &a);
        kit_assert_failed(&info, i ? ROVE_E_NOT_READY_TIMEOUT : ROVE_E_TARGET_NOT_READY, NULL);
        assert_true(i ? info.attempts >= 2 : info.attempts == 1);
        kit_assert_stayed(k);
        kit_free(k);
    }
}

static void a_cancel_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        kit *k = kit_new(1, 1);
        /* The first words of it are lost. */
        k->s.lose[false][ROVEI_NETMOVE_MIGRATION_FAILED] = 2;
        k->s.lose[true][ROVEI_NETMOVE_RESTORE_COMPLETE] = UINT_MAX;
        rovei_attempt_id a = kit_move(k);
        world_until(&k->o.w, ROVE_SECOND, stock_find(&k->s, k->origin));
        stock_daemon *d = stock_find(&k->s, k->origin);
        assert_int_equal(d->step, STOCK_RESTORED);
        rove_err why = (rove_err[]){ROVE_E_CANCELLED, ROVE_E_TIMED_OUT, ROVE_E_SHUTTING_DOWN}[i];
        if (i == 2)
            rovei_node_shutdown(kit_node(k), k->o.w.now);
        else
            assert_ok(rovei_node_cancel(kit_node(k), k->o.w.now, &a, why));
        rovei_move_info info = kit_end(k, &a);
        assert_int_equal(info.reason, why);
        assert_int_equal(info.outcome,
                         ((rovei_move_outcome[]){ROVEI_OUTCOME_CANCELLED, ROVEI_OUTCOME_TIMED_OUT,
                                                 ROVEI_OUTCOME_FAILED})[i]);
        if (i < 2)
            kit_assert_stayed(k);
        world_until(&k->o.w, LONG_TIME, d->step == STOCK_NONE); /* the copy there is gone */
        if (i < 2)
            assert_string_equal(k->s.last_text, i ? "timeout" : "cancel requested");
        world_run(&k->o.w, LONG_TIME);
        assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 3);
        kit_free(k);
    }
}

static void one_that_says_nothing(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    k->s.deaf = true;
    rovei_attempt_id a = kit_move(k);
    world_run(&k->o.w, 95 * ROVE_SECOND);
    assert_int_equal(kit_info(k, &a).outcome, ROVEI_OUTCOME_RUNNING);
    rovei_move_info info = kit_end(k, &a);
    kit_assert_failed(&info, ROVE_E_TIMED_OUT, NULL);
    kit_assert_stayed(k);
    assert_true(k->s.seen[ROVEI_NETMOVE_SNAPSHOT_READY] >= 8);
    kit_free(k);
}

static void one_that_dies(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    k->s.deaf = true;
    rovei_attempt_id a = kit_move(k);
    world_run(&k->o.w, ROVE_SECOND);
    outsider_leave(&k->o, 0);
    rovei_move_info info = kit_end(k, &a);
    kit_assert_failed(&info, ROVE_E_PEER_LOST, NULL);
    kit_assert_stayed(k);
    kit_free(k);
}

/* After the commit there is no way back, whatever is said and however long it takes. */
static void it_only_goes_forward(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    k->s.lose[false][ROVEI_NETMOVE_ACTIVATE_TARGET] = UINT_MAX;
    rovei_attempt_id a = kit_move(k);
    world_until(&k->o.w, LONG_TIME, kit_info(k, &a).phase == ROVEI_PHASE_CUTOVER);
    assert_int_equal(rovei_node_cancel(kit_node(k), k->o.w.now, &a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = k->origin};
    m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
    m.failed.text = span_of("no more");
    stock_say(&k->s, &m);
    world_run(&k->o.w, 1000 * ROVE_SECOND);
    rovei_move_info info = kit_info(k, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_RUNNING);
    assert_int_equal(info.reason, ROVE_E_STATE_FAILED);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_COMMITTED);
    assert_int_equal(world_deliver(&k->o.w, 0, &k->d, "late"), ROVE_E_MOVED);
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_SNAPSHOT_READY], 1);
    k->s.lose[false][ROVEI_NETMOVE_ACTIVATE_TARGET] = 0;
    info = kit_end(k, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_int_equal(info.reason, ROVE_OK);
    kit_assert_gone(k);
    kit_free(k);
}

static void memory_may_be_refused(void **state)
{
    (void)state;
    bool reached = true;
    for (size_t at = 0; reached; at++) {
        kit *k = kit_new(1, 1);
        rovei_move_order o = kit_order(k);
        rovei_attempt_id a;
        test_alloc *t = &k->o.w.nodes[0].t.alloc;
        kit_grow(k, 20000);
        t->calls = 0;
        t->fail_at = at;
        rove_err err = rovei_node_move(kit_node(k), k->o.w.now, &o, &a);
        rovei_move_info info = {0};
        if (!err)
            info = kit_end(k, &a);
        reached = t->calls > at;
        t->fail_at = SIZE_MAX;
        if (err)
            assert_int_equal(err, ROVE_E_NOMEM);
        if (info.outcome == ROVEI_OUTCOME_COMPLETED)
            kit_assert_gone(k);
        else
            kit_assert_stayed(k);
        kit_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes),
        cmocka_unit_test(leaves_the_key_here),
        cmocka_unit_test(wants_the_target_s_key),
        cmocka_unit_test(nobody_to_go_to),
        cmocka_unit_test(any_message_may_be_lost),
        cmocka_unit_test(a_bad_link),
        cmocka_unit_test(what_comes_twice_counts_once),
        cmocka_unit_test(a_mebibyte),
        cmocka_unit_test(sixteen_mebibytes),
        cmocka_unit_test(more_than_it_takes),
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(not_ready_is_asked_again),
        cmocka_unit_test(never_ready),
        cmocka_unit_test(a_cancel_is_told),
        cmocka_unit_test(one_that_says_nothing),
        cmocka_unit_test(one_that_dies),
        cmocka_unit_test(it_only_goes_forward),
        cmocka_unit_test(memory_may_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
