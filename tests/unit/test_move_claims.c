/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody who holds no right can do to a move, what somebody who holds a higher one does, and
 * moves that wait for a slow or a lost target. */
#include "lanes_kit.h"

#define MINUTE (60 * ROVE_SECOND)

static rovei_node *node_of(kit *k, size_t i)
{
    return k->w.nodes[i].node;
}

/* With the eyes on moves, not on lanes. */
static kit *start(size_t nodes)
{
    kit *k = kit_new(nodes);
    for (size_t i = 0; i < nodes; i++)
        rovei_node_set_tap(node_of(k, i), &k->w.nodes[i].tap);
    return k;
}

static void inject(kit *k, size_t from, size_t to, uint16_t tag, const rovei_writer *w)
{
    assert_int_equal(w->err, ROVE_OK);
    rove_buf *m = rovei_buf_copy(NULL, w->start, rovei_writer_size(w));
    assert_non_null(m);
    rovei_node_inject(node_of(k, to), k->w.now, &k->w.nodes[from].entity, tag, m);
    rove_buf_unref(m);
    world_run(&k->w, 10 * ROVE_MILLISECOND);
}

static void tell(kit *k, size_t from, size_t to, const rovei_record *r)
{
    uint8_t bytes[ROVEI_LOCATE_SIZE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_locate m;
    memset(&m, 0, sizeof m);
    m.type = ROVEI_LOCATE_TELL;
    m.flags = ROVEI_LOCATE_RECORD;
    m.daemon = r->daemon;
    m.record = *r;
    rovei_locate_write(&w, &m);
    inject(k, from, to, ROVEI_TAG_LOCATE, &w);
}

/* An Offer that the test makes, with a record of its choice. */
static void offer(kit *k, size_t from, size_t to, const rove_entity *daemon, uint64_t epoch,
                  const rovei_record *right)
{
    static uint8_t number;
    uint8_t bytes[ROVEI_MOVE_HEAD_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_move_message m;
    memset(&m, 0, sizeof m);
    m.head.type = ROVEI_MOVE_OFFER;
    memset(m.head.attempt.bytes, ++number, sizeof m.head.attempt.bytes);
    m.head.daemon = *daemon;
    m.head.epoch = epoch;
    m.head.source = k->w.nodes[from].entity;
    m.head.target = k->w.nodes[to].entity;
    m.head.orchestrator = m.head.source;
    m.offer.round = 1;
    memcpy(m.offer.kind, "log", 4);
    if (right)
        m.offer.right = *right;
    rovei_move_encode(&m, true, &w);
    inject(k, from, to, ROVEI_TAG_MOVE, &w);
}

/* The reason of the last Refuse that the node said. */
static rove_err refusal(kit *k, size_t node)
{
    rovei_move_message m;
    assert_non_null(k->w.nodes[node].kept[ROVEI_MOVE_REFUSE]);
    assert_ok(rovei_move_decode(&m, rove_buf_span(k->w.nodes[node].kept[ROVEI_MOVE_REFUSE])));
    return m.answer.reason;
}

/* A record that a node makes without the daemon's private key. */
static rovei_record keyless(kit *k, size_t node, const rove_entity *daemon, uint64_t epoch,
                            bool forced)
{
    rovei_keypair *key;
    rovei_record r;
    assert_ok(rovei_keypair_public_only(&key, &k->w.nodes[node].t.env, daemon));
    assert_ok(rovei_record_own(node_of(k, node), k->w.now, key, epoch, forced, &r));
    assert_int_equal(r.flags & ROVEI_RECORD_BY_HOLDER, ROVEI_RECORD_BY_HOLDER);
    rovei_keypair_unref(key);
    return r;
}

/* The daemon of a seed once more, by force. */
static void force(kit *k, size_t i, uint64_t seed)
{
    world_node *n = &k->w.nodes[i];
    uint8_t bytes[32];
    random_bytes(&seed, bytes, sizeof bytes);
    world_cell *c = world_cell_new(n);
    assert_ok(rovei_keypair_from_seed(&c->key, &n->t.env, bytes));
    c->daemon = *rovei_keypair_entity(c->key);
    c->state = CELL_SERVING;
    rovei_chain_init(&c->chain, rovei_keypair_origin(c->key));
    rovei_spawn s = {.key = c->key, .kind = "log", .cell = c->number, .given = true, .force = true};
    assert_ok(rovei_node_spawn(n->node, k->w.now, &s));
    world_run(&k->w, 5 * ROVE_SECOND);
    assert_int_equal(world_role_of(&k->w, i, &c->daemon), ROVEI_ROLE_SERVING);
}

/* A move from 0 to 1 that stands before the commit, with the target prepared. */
static void stand_before_commit(kit *k, const rove_entity *d)
{
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    (void)world_move(&k->w, 0, 1, d, 0);
    world_until(&k->w, WORLD_LONG, k->w.nodes[0].held_count > 0);
    assert_int_equal(world_role_of(&k->w, 1, d), ROVEI_ROLE_PREPARED);
}

/* ---- Offers without a right ---- */

static void committed_source_yields_to_no_offer(void **state)
{
    (void)state;
    kit *k = start(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    assert_ok(world_deliver(&k->w, 0, &d, "precious"));
    stand_before_commit(k, &d);
    world_stop(&k->w, 1);
    world_release(&k->w, 0);
    world_run(&k->w, ROVE_SECOND);
    const world_cell *cell = world_cell_of(&k->w, 0, &d);
    offer(k, 2, 0, &d, 100, NULL);
    assert_int_equal(refusal(k, 0), ROVE_E_WRONG_PEER);
    assert_int_equal(world_role_of(&k->w, 0, &d), ROVEI_ROLE_COMMITTED);
    /* The very node that it was given to shows its right, and has to wait for Closed as well. */
    rovei_record given = rovei_location_get(node_of(k, 0), &d)->record;
    assert_int_equal(given.epoch, 2);
    offer(k, 1, 0, &d, 3, &given);
    assert_int_equal(refusal(k, 0), ROVE_E_TARGET_NOT_READY);
    assert_int_equal(world_role_of(&k->w, 0, &d), ROVEI_ROLE_COMMITTED);
    assert_int_equal(cell->state, CELL_COMMITTED);
    world_start(&k->w, 1);
    world_until(&k->w, 2 * MINUTE, world_serving(&k->w, &d) == 1);
    assert_int_equal(world_times(world_cell_of(&k->w, 1, &d), "precious"), 1);
    kit_free(k);
}

static void prepared_copy_yields_to_no_claim(void **state)
{
    (void)state;
    kit *k = start(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    stand_before_commit(k, &d);
    assert_int_equal(rovei_location_get(node_of(k, 1), &d)->record.epoch, 1);
    rovei_record claim = keyless(k, 2, &d, 1000, false);
    rovei_record high = keyless(k, 2, &d, ROVEI_EPOCH_MAX, true);
    rovei_record stolen = rovei_location_get(node_of(k, 0), &d)->record;
    uint64_t before = rovei_node_stats_get(node_of(k, 1)).frames_malformed;
    offer(k, 2, 1, &d, UINT64_MAX, NULL);
    assert_int_equal(rovei_node_stats_get(node_of(k, 1)).frames_malformed, before + 1);
    before = rovei_node_stats_get(node_of(k, 1)).frames_refused;
    offer(k, 2, 1, &d, 1001, NULL);
    assert_int_equal(refusal(k, 1), ROVE_E_WRONG_PEER);
    offer(k, 2, 1, &d, 1001, &claim);
    offer(k, 2, 1, &d, 2, &stolen);
    stolen.holder = k->w.nodes[2].entity;
    offer(k, 2, 1, &d, 2, &stolen);
    stolen.epoch = 7;
    offer(k, 2, 1, &d, 8, &stolen);
    assert_int_equal(refusal(k, 1), ROVE_E_WRONG_PEER);
    assert_int_equal(rovei_node_stats_get(node_of(k, 1)).frames_refused, before + 5);
    tell(k, 2, 1, &claim);
    tell(k, 2, 1, &high);
    assert_int_equal(world_role_of(&k->w, 1, &d), ROVEI_ROLE_PREPARED);
    assert_int_equal(world_daemon(&k->w, 1, &d)->epoch, 2);
    world_release(&k->w, 0);
    world_assert_moved(&k->w, 0, 1, &d);
    kit_free(k);
}

/* Who holds a higher right shows it, and what is prepared under a lower one goes. */
static void prepared_copy_yields_to_a_right(void **state)
{
    (void)state;
    kit *k = start(3);
    rove_entity d = world_spawn(&k->w, 0, 5);
    stand_before_commit(k, &d);
    world_cut(&k->w, 0, 2, true);
    world_cut(&k->w, 1, 2, true);
    world_run(&k->w, 20 * ROVE_SECOND);
    force(k, 2, 5);
    rovei_record right = rovei_location_get(node_of(k, 2), &d)->record;
    assert_int_equal(world_role_of(&k->w, 1, &d), ROVEI_ROLE_PREPARED);
    offer(k, 2, 1, &d, right.epoch + 1, &right);
    assert_int_equal(rovei_location_get(node_of(k, 1), &d)->record.epoch, right.epoch);
    assert_int_equal(world_role_of(&k->w, 1, &d), ROVEI_ROLE_RECEIVING);
    assert_int_equal(world_daemon(&k->w, 1, &d)->epoch, right.epoch + 1);
    kit_free(k);
}

/* The operator took the daemon elsewhere by force while the source had committed and the target had
 * not served: the source's copy is the last of that line, and is kept. */
static void superseded_source_is_kept_aside(void **state)
{
    (void)state;
    kit *k = start(3);
    rove_entity d = world_spawn(&k->w, 0, 5);
    assert_ok(world_deliver(&k->w, 0, &d, "precious"));
    stand_before_commit(k, &d);
    world_cut(&k->w, 0, 1, true);
    world_cut(&k->w, 0, 2, true);
    world_release(&k->w, 0);
    world_run(&k->w, 30 * ROVE_SECOND);
    force(k, 2, 5);
    assert_null(world_daemon(&k->w, 1, &d));
    world_cut(&k->w, 0, 1, false); /* it hears of it through the target alone */
    world_until(&k->w, MINUTE, world_role_of(&k->w, 0, &d) == ROVEI_ROLE_ASIDE);
    world_run(&k->w, MINUTE);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->state, CELL_ASIDE);
    assert_int_equal(world_times(world_cell_of(&k->w, 0, &d), "precious"), 1);
    assert_int_equal(world_serving(&k->w, &d), 1);
    kit_free(k);
}

/* The same with a right that is not announced to whoever comes: the target itself tells the source
 * of it, in answer to Commit. */
static void target_tells_of_a_higher_right(void **state)
{
    (void)state;
    kit *k = start(3);
    uint64_t seed = 5;
    uint8_t bytes[32];
    rovei_keypair *key;
    rovei_record higher;
    rove_entity d = world_spawn(&k->w, 0, seed);
    stand_before_commit(k, &d);
    world_cut(&k->w, 0, 1, true);
    world_cut(&k->w, 0, 2, true);
    world_release(&k->w, 0);
    world_run(&k->w, 30 * ROVE_SECOND);
    random_bytes(&seed, bytes, sizeof bytes);
    assert_ok(rovei_keypair_from_seed(&key, &k->w.nodes[2].t.env, bytes));
    assert_ok(rovei_record_give(node_of(k, 2), k->w.now, key, 3, &k->w.nodes[2].entity, NULL, 0,
                                &higher));
    rovei_keypair_unref(key);
    tell(k, 2, 1, &higher);
    assert_null(world_daemon(&k->w, 1, &d));
    assert_int_equal(world_role_of(&k->w, 0, &d), ROVEI_ROLE_COMMITTED);
    world_cut(&k->w, 0, 1, false);
    world_until(&k->w, MINUTE, world_role_of(&k->w, 0, &d) == ROVEI_ROLE_ASIDE);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->state, CELL_ASIDE);
    kit_free(k);
}

/* ---- daemons without their private key ---- */

static void move_keyless(kit *k, size_t from, size_t to, const rove_entity *d)
{
    if (!k->w.nodes[to].has_key)
        assert_ok(rovei_keypair_public_only(&k->w.nodes[to].has_key, &k->w.nodes[to].t.env, d));
    rovei_move_order o = {.daemon = *d, .target = k->w.nodes[to].entity, .keep_identity = true};
    rovei_attempt_id a;
    assert_ok(rovei_node_move(node_of(k, from), k->w.now, &o, &a));
    world_until(&k->w, MINUTE, world_completed(&k->w, from, &a));
    world_assert_moved(&k->w, from, to, d);
}

static void keyless_daemon_moves_on(void **state)
{
    (void)state;
    /* To a node that knows nothing of it, and to one that knows its first record. */
    for (int known = 0; known < 2; known++) {
        kit *k = start(3);
        rove_entity d = world_spawn(&k->w, 0, 5);
        if (known)
            tell(k, 0, 2, &rovei_location_get(node_of(k, 0), &d)->record);
        move_keyless(k, 0, 1, &d);
        move_keyless(k, 1, 2, &d);
        assert_int_equal(rovei_location_get(node_of(k, 2), &d)->record.epoch, 3);
        move_keyless(k, 2, 0, &d);
        move_keyless(k, 0, 2, &d);
        kit_free(k);
    }
}

/* A node that knows the daemon by its own key is not taken in by a record without it. */
static void keyless_record_captures_nothing(void **state)
{
    (void)state;
    kit *k = start(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    rovei_record claim = keyless(k, 2, &d, ROVEI_EPOCH_MAX, true);
    tell(k, 2, 1, &claim);
    assert_null(rovei_location_get(node_of(k, 1), &d));
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_until(&k->w, MINUTE, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    claim = keyless(k, 2, &d, 7, false);
    tell(k, 2, 1, &claim);
    offer(k, 2, 1, &d, 8, &claim);
    assert_int_equal(refusal(k, 1), ROVE_E_WRONG_PEER);
    assert_int_equal(rovei_location_get(node_of(k, 1), &d)->record.epoch, 1);
    kit_free(k);
}

/* ---- a full table of records ---- */

static void full_table_takes_what_comes_here(void **state)
{
    (void)state;
    kit *k = start(2);
    k->w.nodes[1].t.env.limits.records_max = 16;
    for (uint64_t i = 0; i < 16; i++)
        (void)world_spawn(&k->w, 1, 100 + i);
    rove_entity d = world_spawn(&k->w, 0, 1), e = world_spawn(&k->w, 0, 2);
    rove_entity f = world_spawn(&k->w, 0, 3);
    uint64_t s = kit_open(k, 1, &e);
    kit_send(k, 1, s, "a");
    world_until(&k->w, MINUTE, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    tell(k, 0, 1, &rovei_location_get(node_of(k, 0), &f)->record);
    assert_null(rovei_location_get(node_of(k, 1), &f)); /* nobody here wants to know */
    rovei_attempt_id a = world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, MINUTE, world_completed(&k->w, 0, &a));
    world_assert_moved(&k->w, 0, 1, &d);
    kit_free(k);
}

/* ---- slow and lost targets ---- */

static void restore_may_take_long(void **state)
{
    (void)state;
    kit *k = start(2);
    uint64_t stall = k->w.nodes[0].t.env.limits.move_stall;
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = world_move(&k->w, 0, 1, &d, 0);
    world_run(&k->w, 5 * stall);
    assert_int_equal(world_info(&k->w, 0, &a).outcome, ROVEI_OUTCOME_RUNNING);
    world_release(&k->w, 1);
    world_until(&k->w, MINUTE, world_completed(&k->w, 0, &a));
    world_assert_moved(&k->w, 0, 1, &d);
    /* But not for ever. */
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_RESTORE;
    a = world_move(&k->w, 1, 0, &d, 0);
    world_run(&k->w, 39 * stall);
    assert_int_equal(world_info(&k->w, 1, &a).outcome, ROVEI_OUTCOME_RUNNING);
    world_run(&k->w, 3 * stall);
    assert_int_equal(world_ended(&k->w, 1, &a)->err, ROVE_E_TIMED_OUT);
    assert_int_equal(world_role_of(&k->w, 1, &d), ROVEI_ROLE_SERVING);
    kit_free(k);
}

/* A small event does not keep the large message alive in which it came, nor is it counted as less
 * than it keeps. */
static void diverted_events_are_charged(void **state)
{
    (void)state;
    kit *k = start(2);
    static char large[60001];
    memset(large, 'x', sizeof large - 1);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[1].hold = 1u << ROVEI_EFFECT_ACTIVATE;
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    (void)world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, WORLD_LONG, world_cell_of(&k->w, 0, &d)->state == CELL_FROZEN);
    assert_int_equal(world_deliver(&k->w, 0, &d, large), ROVE_E_DIVERTED);
    assert_int_equal(world_deliver(&k->w, 0, &d, "small"), ROVE_E_DIVERTED);
    world_until(&k->w, WORLD_LONG, k->w.nodes[0].held_count > 0);
    world_release(&k->w, 0);
    world_until(&k->w, WORLD_LONG,
                k->w.nodes[1].held_count > 0 &&
                    world_daemon(&k->w, 1, &d)->target->diverted.count == 2);
    const struct rovei_target *t = world_daemon(&k->w, 1, &d)->target;
    assert_int_equal(rovei_buf_size(t->diverted.items[1].owner), 5);
    assert_int_equal(t->diverted_bytes, 5 + rovei_buf_size(t->diverted.items[0].owner));
    assert_true(t->diverted_bytes >= 60005);
    world_release(&k->w, 1);
    world_assert_moved(&k->w, 0, 1, &d);
    assert_int_equal(world_times(world_cell_of(&k->w, 1, &d), "small"), 1);
    kit_free(k);
}

/* The target serves and is lost before the results have come: their callers are told so after a
 * bound. When it is back, it hears Closed and may give the daemon away. */
static void results_of_a_lost_target_end(void **state)
{
    (void)state;
    for (int back = 0; back < 2; back++) {
        kit *k = start(3);
        const rove_limits *l = &k->w.nodes[0].t.env.limits;
        rove_entity d = world_spawn(&k->w, 0, 1);
        k->w.nodes[1].hold = 1u << ROVEI_EFFECT_APPLY;
        rovei_attempt_id a = world_divert_some(&k->w, &d, 2);
        world_release(&k->w, 0);
        world_until(&k->w, WORLD_LONG, world_completed(&k->w, 0, &a));
        world_run(&k->w, 2 * MINUTE); /* it is there, so they are waited for */
        const world_cell *cell = &k->w.nodes[0].cells[0];
        assert_false(cell->diverted[0].has_result);
        if (back)
            world_cut(&k->w, 0, 1, true);
        else
            world_stop(&k->w, 1);
        world_run(&k->w, l->fail_after);
        assert_false(cell->diverted[0].has_result);
        world_until(&k->w, 2 * l->move_stall, !world_daemon(&k->w, 0, &d));
        for (size_t i = 0; i < 2; i++) {
            assert_true(cell->diverted[i].has_result);
            assert_int_equal(cell->diverted[i].err, ROVE_E_UNKNOWN_OUTCOME);
        }
        if (back) {
            assert_non_null(world_daemon(&k->w, 1, &d)->target);
            world_release(&k->w, 1);
            world_cut(&k->w, 0, 1, false);
            world_until(&k->w, MINUTE, !world_daemon(&k->w, 1, &d)->target);
            world_assert_diverted_once(&k->w, 1, &d, 2);
            a = world_move(&k->w, 1, 2, &d, 0);
            world_until(&k->w, MINUTE, world_completed(&k->w, 1, &a));
        }
        kit_free(k);
    }
}

/* A cut that heals in time costs nothing. */
static void results_come_after_a_short_cut(void **state)
{
    (void)state;
    kit *k = start(2);
    const rove_limits *l = &k->w.nodes[0].t.env.limits;
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[1].hold = 1u << ROVEI_EFFECT_APPLY;
    rovei_attempt_id a = world_divert_some(&k->w, &d, 2);
    world_release(&k->w, 0);
    world_until(&k->w, WORLD_LONG, world_completed(&k->w, 0, &a));
    world_cut(&k->w, 0, 1, true);
    world_run(&k->w, l->fail_after + l->move_stall / 2);
    world_cut(&k->w, 0, 1, false);
    world_run(&k->w, MINUTE);
    assert_non_null(world_daemon(&k->w, 0, &d));
    world_release(&k->w, 1);
    world_assert_moved(&k->w, 0, 1, &d);
    world_assert_results(&k->w.nodes[0].cells[0], 2);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_source_yields_to_no_offer),
        cmocka_unit_test(prepared_copy_yields_to_no_claim),
        cmocka_unit_test(prepared_copy_yields_to_a_right),
        cmocka_unit_test(superseded_source_is_kept_aside),
        cmocka_unit_test(target_tells_of_a_higher_right),
        cmocka_unit_test(keyless_daemon_moves_on),
        cmocka_unit_test(keyless_record_captures_nothing),
        cmocka_unit_test(full_table_takes_what_comes_here),
        cmocka_unit_test(restore_may_take_long),
        cmocka_unit_test(diverted_events_are_charged),
        cmocka_unit_test(results_of_a_lost_target_end),
        cmocka_unit_test(results_come_after_a_short_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
