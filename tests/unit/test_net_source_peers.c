/* SPDX-License-Identifier: Apache-2.0
 *
 * What others try while a daemon goes to a target of the reference; what an earlier attempt has
 * left; orders of other nodes; senders on lanes; and a daemon that comes back. */
#include "net_source_kit.h"

#include <compute/sender_inside.h>
#include <inttypes.h>
#include <limits.h>
#include <state/snapshot.h>
#include <stdio.h>

static rovei_net_move_stats stats_of(kit *k)
{
    return rovei_net_moves_stats(kit_node(k));
}

static size_t sum(const uint64_t *counts)
{
    size_t all = 0;
    for (size_t i = 0; i <= ROVEI_NETMOVE_TYPES; i++)
        all += counts[i];
    return all;
}

static rovei_netmove_message message(const kit *k, rovei_netmove_type type, const rove_link *head)
{
    rovei_netmove_message m = {.type = type, .origin = k->origin};
    if (type == ROVEI_NETMOVE_REPLAY_COMPLETE) {
        m.replayed.head = *head;
        m.replayed.sequence = head->sequence;
    } else if (type == ROVEI_NETMOVE_CUTOVER_NOTIFY) {
        m.node = k->o.peers[0].node_id;
    } else if (type == ROVEI_NETMOVE_MIGRATION_FAILED) {
        m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
        m.failed.text = span_of("says who");
    } else {
        m.sequence = head->sequence;
    }
    return m;
}

static const rovei_netmove_type to_a_source[] = {
    ROVEI_NETMOVE_RESTORE_COMPLETE, ROVEI_NETMOVE_REPLAY_COMPLETE,  ROVEI_NETMOVE_CUTOVER_NOTIFY,
    ROVEI_NETMOVE_CLEANUP_COMPLETE, ROVEI_NETMOVE_MIGRATION_FAILED, ROVEI_NETMOVE_ACTIVATE_ACK};
#define TO_A_SOURCE (sizeof to_a_source / sizeof *to_a_source)

/* Each message that could move it on or end it, from a peer that has no part in it, at each step.
 */
static void forgeries(void **state)
{
    (void)state;
    static const rovei_netmove_type steps[] = {
        ROVEI_NETMOVE_SNAPSHOT_READY, ROVEI_NETMOVE_BUFFERED_EVENTS, ROVEI_NETMOVE_ACTIVATE_TARGET};
    for (size_t i = 0; i < 3; i++) {
        kit *k = kit_new(1, 2);
        rove_link head = world_cell_of(&k->o.w, 0, &k->d)->chain.head;
        k->s.lose[false][steps[i]] = 1;
        rovei_attempt_id a = kit_move(k);
        world_run(&k->o.w, 50 * ROVE_MILLISECOND);
        rovei_move_info before = kit_info(k, &a);
        for (size_t j = 0; j < TO_A_SOURCE; j++) {
            rovei_netmove_message m = message(k, to_a_source[j], &head);
            outsider_say(&k->o, 1, 0, &m);
        }
        world_run(&k->o.w, 50 * ROVE_MILLISECOND);
        rovei_move_info after = kit_info(k, &a);
        assert_memory_equal(&before, &after, sizeof after);
        assert_int_equal(sum(stats_of(k).refused), TO_A_SOURCE);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        kit_free(k);
    }
}

/* The target's own words at a time where they mean nothing. */
static void out_of_phase(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rove_link head = world_cell_of(&k->o.w, 0, &k->d)->chain.head;
    kit_grow(k, 20000);
    k->s.deaf = true;
    rovei_attempt_id a = kit_move(k);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    rovei_netmove_message m = message(k, ROVEI_NETMOVE_REPLAY_COMPLETE, &head);
    outsider_say(&k->o, 0, 0, &m);
    m = message(k, ROVEI_NETMOVE_ACTIVATE_ACK, &head);
    outsider_say(&k->o, 0, 0, &m);
    /* Of another snapshot than the one that was sent. */
    kit_say(k, 0, ROVEI_NETMOVE_RESTORE_COMPLETE, head.sequence);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(sum(stats_of(k).out_of_phase), 3);
    assert_int_equal(kit_info(k, &a).phase, ROVEI_PHASE_TRANSFER);
    k->s.deaf = false;
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    /* And when all is over. */
    size_t refused = sum(stats_of(k).refused);
    for (size_t j = 0; j < TO_A_SOURCE; j++) {
        m = message(k, to_a_source[j], &head);
        outsider_say(&k->o, 0, 0, &m);
    }
    assert_int_equal(sum(stats_of(k).refused), refused + TO_A_SOURCE);
    kit_free(k);
}

/* Of an earlier move, and kept back by the network: the target has not said that it serves. */
static void a_late_ack(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    rove_link head = world_cell_of(&k->o.w, 0, &k->d)->chain.head;
    outsider_packet *late = calloc(1, sizeof *late);
    assert_non_null(late);
    rovei_netmove_message m = message(k, ROVEI_NETMOVE_ACTIVATE_ACK, &head);
    m.sequence = head.sequence;
    outsider_say_late(&k->o, 0, 0, &m, late);
    k->s.lose[false][ROVEI_NETMOVE_ACTIVATE_TARGET] = 1;
    rovei_attempt_id a = kit_move(k);
    world_until(&k->o.w, LONG_TIME, kit_info(k, &a).committed_at);
    outsider_let_go(&k->o, late);
    assert_int_equal(kit_info(k, &a).outcome, ROVEI_OUTCOME_RUNNING);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_COMMITTED);
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    free(late);
    kit_free(k);
}

/* A target whose chain stands elsewhere has restored something else. */
static void another_head(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    k->s.wrong_head = true;
    rovei_attempt_id a = kit_move(k);
    rovei_move_info info = kit_end(k, &a);
    kit_assert_failed(&info, ROVE_E_STATE_FAILED, NULL);
    kit_assert_stayed(k);
    assert_int_equal(stock_find(&k->s, k->origin)->step, STOCK_NONE); /* it was told */
    kit_free(k);
}

/* What lies half put together at the target has the same numbers as what is sent now. */
static void an_earlier_attempt(void **state)
{
    (void)state;
    kit *k = kit_new(1, 1);
    kit_grow(k, 30000);
    k->s.lose[false][ROVEI_NETMOVE_SNAPSHOT_READY] = 2;
    k->s.lose[false][ROVEI_NETMOVE_MIGRATION_FAILED] = 1;
    rovei_attempt_id a = kit_move(k);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(stock_find(&k->s, k->origin)->count, 3);
    assert_ok(rovei_node_cancel(kit_node(k), k->o.w.now, &a, ROVE_E_CANCELLED));
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(stock_find(&k->s, k->origin)->count, 3); /* it has not heard of the end */
    k->s.lose[false][ROVEI_NETMOVE_SNAPSHOT_READY] = 3;
    a = kit_move(k);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(stock_find(&k->s, k->origin)->count, 2); /* only of this one */
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 2);
    assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
    kit_assert_gone(k);
    world_run(&k->o.w, 60 * ROVE_SECOND); /* the earlier one says nothing more */
    assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 2);
    kit_free(k);
}

/* What the target once sent itself comes late, and is refused: of this node's words about the
 * daemon the target could not tell that from the end of the move, after the commit too. */
static void its_own_set_comes_late(void **state)
{
    (void)state;
    static const rovei_netmove_type steps[] = {
        ROVEI_NETMOVE_SNAPSHOT_READY, ROVEI_NETMOVE_BUFFERED_EVENTS, ROVEI_NETMOVE_ACTIVATE_TARGET};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        kit *k = kit_new(1, 1);
        rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY, .origin = k->origin};
        m.chunk = (rovei_netmove_chunk){.bytes = span_of("no snapshot"), .total = 1};
        k->s.lose[false][steps[i]] = UINT_MAX;
        rovei_attempt_id a = kit_move(k);
        world_run(&k->o.w, 50 * ROVE_MILLISECOND);
        stock_say(&k->s, &m);
        world_run(&k->o.w, 50 * ROVE_MILLISECOND);
        assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 0);
        assert_int_equal(stats_of(k).out_of_phase[ROVEI_NETMOVE_SNAPSHOT_READY], 1);
        k->s.lose[false][steps[i]] = 0;
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        kit_free(k);
    }
}

/* ---- lanes ---- */

static uint64_t sender_open(kit *k, size_t node)
{
    uint64_t sender;
    assert_ok(rovei_node_sender_open(k->o.w.nodes[node].node, k->o.w.now, &k->d, &sender));
    return sender;
}

static size_t told(kit *k, size_t node, uint64_t sender, rovei_note_kind kind, rove_err err)
{
    const world_node *n = &k->o.w.nodes[node];
    size_t count = 0;
    for (size_t i = 0; i < n->note_count; i++)
        if (n->notes[i].kind == kind && n->notes[i].sender == sender && n->notes[i].err == err)
            count += kind == ROVEI_NOTE_APPLIED ? n->notes[i].value - n->notes[i].number + 1 : 1;
    return count;
}

/* Every event of every sender ends as applied or as refused, and none as unknown. */
static void lanes_end_for_certain(void **state)
{
    (void)state;
    for (uint64_t when = 0; when < 40; when += 3) {
        kit *k = kit_new(2, 1);
        rove_buf *text = rovei_buf_copy(NULL, "lane", 4);
        uint64_t senders[2] = {sender_open(k, 0), sender_open(k, 1)}, number;
        size_t sent[2] = {0, 0};
        assert_non_null(text);
        k->s.lose[true][ROVEI_NETMOVE_RESTORE_COMPLETE] = 1;
        rovei_attempt_id a;
        for (uint64_t i = 0; i < 60; i++) {
            for (size_t j = 0; j < 2; j++)
                sent[j] += rovei_node_sender_send(k->o.w.nodes[j].node, k->o.w.now, senders[j],
                                                  text, &number) == ROVE_OK;
            world_run(&k->o.w, ROVE_MILLISECOND);
            if (i == when)
                a = kit_move(k);
        }
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        world_run(&k->o.w, 30 * ROVE_SECOND);
        for (size_t j = 0; j < 2; j++) {
            size_t applied = told(k, j, senders[j], ROVEI_NOTE_APPLIED, ROVE_OK);
            size_t refused = told(k, j, senders[j], ROVEI_NOTE_REFUSED, ROVE_E_NO_LANES);
            assert_int_equal(applied + refused, sent[j]);
            assert_true(refused > 0);
            rovei_sender *s = rovei_map_get(&k->o.w.nodes[j].node->senders, &senders[j]);
            assert_true(s->route->ended && s->state == ROVEI_SENDER_NONE);
            /* And so for each later one, at once. */
            assert_ok(rovei_node_sender_send(k->o.w.nodes[j].node, k->o.w.now, senders[j], text,
                                             &number));
            world_run(&k->o.w, 50 * ROVE_MILLISECOND);
            assert_int_equal(told(k, j, senders[j], ROVEI_NOTE_REFUSED, ROVE_E_NO_LANES),
                             refused + 1);
        }
        /* What was applied is in the state that left: three local events before. */
        size_t all = told(k, 0, senders[0], ROVEI_NOTE_APPLIED, ROVE_OK) +
                     told(k, 1, senders[1], ROVEI_NOTE_APPLIED, ROVE_OK);
        assert_int_equal(stock_find(&k->s, k->origin)->head.sequence, 3 + all);
        rove_buf_unref(text);
        kit_free(k);
    }
}

/* A sender that could not be reached at the commit asks later: as long as the frozen copy is there,
 * all is certain; then what it had under way is unknown, and the rest refused. */
static void a_sender_that_was_away(void **state)
{
    (void)state;
    for (int copy_is_gone = 0; copy_is_gone < 2; copy_is_gone++) {
        kit *k = kit_new(2, 1);
        rove_buf *text = rovei_buf_copy(NULL, "lane", 4);
        uint64_t sender = sender_open(k, 1), number;
        size_t sent = 0;
        assert_non_null(text);
        if (!copy_is_gone)
            k->s.lose[false][ROVEI_NETMOVE_ACTIVATE_TARGET] = UINT_MAX;
        for (int i = 0; i < 100; i++) {
            if (i == 60) /* some are under way, and some outcomes */
                world_cut(&k->o.w, 0, 1, true);
            sent += rovei_node_sender_send(k->o.w.nodes[1].node, k->o.w.now, sender, text,
                                           &number) == ROVE_OK;
            world_run(&k->o.w, ROVE_MILLISECOND);
        }
        rovei_attempt_id a = kit_move(k);
        world_run(&k->o.w, 20 * ROVE_SECOND);
        assert_int_equal(kit_info(k, &a).phase,
                         copy_is_gone ? ROVEI_PHASE_COMPLETE : ROVEI_PHASE_CUTOVER);
        world_cut(&k->o.w, 0, 1, false);
        world_run(&k->o.w, 60 * ROVE_SECOND);
        size_t applied = told(k, 1, sender, ROVEI_NOTE_APPLIED, ROVE_OK);
        size_t refused = told(k, 1, sender, ROVEI_NOTE_REFUSED, ROVE_E_NO_LANES);
        size_t unknown = told(k, 1, sender, ROVEI_NOTE_UNKNOWN, ROVE_E_UNKNOWN_OUTCOME);
        assert_int_equal(applied + refused + unknown, sent);
        assert_true(applied && refused + unknown && (copy_is_gone || !unknown));
        if (!copy_is_gone) /* three local ones came before */
            assert_int_equal(stock_find(&k->s, k->origin)->head.sequence, 3 + applied);
        rove_buf_unref(text);
        kit_free(k);
    }
}

/* ---- and back ---- */

/* The target gives it away again, `outputs` further on. */
static void give_back(kit *k, const uint8_t seed[32], uint64_t outputs)
{
    uint8_t secret[32], public_key[32], bytes[2048];
    rovei_keypair *copy;
    stock_daemon *d = stock_find(&k->s, k->origin);
    assert_ok(rovei_keypair_from_seed(&copy, &k->o.peers[0].t.env, seed));
    assert_ok(rovei_keypair_x25519(k->o.w.nodes[0].id, secret));
    rovei_x25519_public(public_key, secret);
    rovei_snapshot s = {.entity = k->d,
                        .through_seq = d->head.sequence + outputs,
                        .link = {k->origin, 0, d->head.sequence + outputs, 5},
                        .created_at = 42,
                        .state = {d->state, d->state_size}};
    assert_ok(rovei_snapshot_seal(&s, &k->o.peers[0].t.env, copy, public_key));
    rovei_keypair_unref(copy);
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_snapshot_encode(&s, &w);
    assert_ok(w.err);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY, .origin = k->origin};
    m.chunk = (rovei_netmove_chunk){s.through_seq, 0, 1, {bytes, rovei_writer_size(&w)}};
    outsider_say(&k->o, 0, 0, &m);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    kit_say(k, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, 0);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    kit_say(k, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, 0);
    world_run(&k->o.w, ROVE_SECOND);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_SERVING);
    d->step = STOCK_NONE;
    d->restores = 0;
    assert_false(rovei_keypair_is_read_only(world_daemon(&k->o.w, 0, &k->d)->key));
}

static void comes_back(void **state)
{
    (void)state;
    kit *k = kit_new(2, 1);
    uint64_t sender = sender_open(k, 1), number;
    rove_buf *text = rovei_buf_copy(NULL, "lane", 4);
    uint8_t seed[32];
    assert_ok(rovei_keypair_seed(world_cell_of(&k->o.w, 0, &k->d)->key, seed));
    for (int round = 0; round < 2; round++) {
        rovei_attempt_id a = kit_move(k);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        give_back(k, seed, 1);
        /* Senders find it, and begin anew. */
        size_t before = told(k, 1, sender, ROVEI_NOTE_APPLIED, ROVE_OK);
        assert_ok(rovei_node_sender_send(k->o.w.nodes[1].node, k->o.w.now, sender, text, &number));
        world_run(&k->o.w, 5 * ROVE_SECOND);
        assert_int_equal(told(k, 1, sender, ROVEI_NOTE_APPLIED, ROVE_OK), before + 1);
        assert_int_equal(told(k, 1, sender, ROVEI_NOTE_LOST, ROVE_E_LOST), 0);
    }
    rove_buf_unref(text);
    kit_free(k);
}

/* What the rounds of a completed move may have left at the target goes by itself when a later
 * sequence comes. Only before the same one the target is told, by what ends its earlier move. */
static void goes_again(void **state)
{
    (void)state;
    for (unsigned outputs = 0; outputs < 2; outputs++) {
        kit *k = kit_new(1, 1);
        uint8_t seed[32];
        assert_ok(rovei_keypair_seed(world_cell_of(&k->o.w, 0, &k->d)->key, seed));
        k->s.lose[true][ROVEI_NETMOVE_RESTORE_COMPLETE] = 1; /* so there is a second round */
        rovei_attempt_id a = kit_move(k);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        give_back(k, seed, outputs);
        assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], 0);
        a = kit_move(k);
        assert_int_equal(kit_end(k, &a).outcome, ROVEI_OUTCOME_COMPLETED);
        kit_assert_gone(k);
        assert_int_equal(k->s.seen[ROVEI_NETMOVE_MIGRATION_FAILED], outputs ? 0 : 1);
        kit_free(k);
    }
}

/* ---- orders of other nodes ---- */

static void take_snapshot(kit *k, size_t who, uint64_t origin, uint64_t target)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_TAKE_SNAPSHOT, .origin = origin};
    m.node = target;
    outsider_say(&k->o, who, 0, &m);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
}

static void assert_answer(kit *k, size_t who, rovei_netmove_code code, const char *text)
{
    rovei_netmove_message m;
    assert_true(outsider_heard(&k->o, who, ROVEI_NETMOVE_MIGRATION_FAILED, &m));
    assert_int_equal(m.failed.code, code);
    if (text)
        assert_span(m.failed.text, text, strlen(text));
    outsider_clear(&k->o, who);
}

/* A world in which outsiders are heard by the test alone. */
static kit *ordered_kit(size_t peers, rove_err policy)
{
    kit *k = kit_new(1, peers);
    k->o.heard = NULL;
    k->o.w.nodes[0].policy = policy;
    rovei_node_ask_policy(kit_node(k), true);
    return k;
}

static void strangers_order_nothing(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        kit *k = ordered_kit(2, ROVE_E_REFUSED);
        char text[256];
        rovei_node_ask_policy(kit_node(k), asked);
        snprintf(text, sizeof text,
                 "migration refused: node 0x%" PRIx64
                 " is not an authorized orchestrator for this node",
                 k->o.peers[1].node_id);
        take_snapshot(k, 1, k->origin, k->o.peers[0].node_id);
        assert_answer(k, 1, ROVEI_NETMOVE_STATE_FAILED, text);
        take_snapshot(k, 1, 4711, k->o.peers[1].node_id); /* whatever is here */
        assert_answer(k, 1, ROVEI_NETMOVE_STATE_FAILED, text);
        kit_assert_stayed(k);
        assert_int_equal(stats_of(k).refused[ROVEI_NETMOVE_TAKE_SNAPSHOT], 2);
        kit_free(k);
    }
}

static void orders(void **state)
{
    (void)state;
    kit *k = ordered_kit(3, ROVE_OK);
    uint64_t target = k->o.peers[1].node_id, origin = k->origin;
    rovei_netmove_message m;
    take_snapshot(k, 0, origin, target);
    assert_true(outsider_heard(&k->o, 0, ROVEI_NETMOVE_SNAPSHOT_READY, &m));
    assert_int_equal(m.chunk.seq_through, 3);
    rovei_snapshot s;
    rovei_keypair *key = NULL;
    uint8_t secret[32];
    assert_ok(rovei_snapshot_decode(&s, m.chunk.bytes));
    assert_ok(rovei_keypair_x25519(k->o.peers[1].id, secret)); /* sealed to the target */
    assert_ok(rovei_snapshot_open(&key, &k->o.peers[1].t.env, &s, secret));
    assert_non_null(key);
    rovei_keypair_unref(key);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_FROZEN);
    /* The same order again brings the same set; another node's is refused. */
    outsider_clear(&k->o, 0);
    take_snapshot(k, 0, origin, target);
    assert_int_equal(outsider_count(&k->o, 0, ROVEI_NETMOVE_SNAPSHOT_READY), 1);
    take_snapshot(k, 2, origin, target);
    assert_answer(k, 2, ROVEI_NETMOVE_ALREADY, NULL);
    /* A cutover of anybody else, or for another target. */
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_CUTOVER_NOTIFY, .origin = origin};
    m.node = target;
    outsider_say(&k->o, 1, 0, &m);
    outsider_say(&k->o, 2, 0, &m);
    m.node = k->o.peers[2].node_id;
    outsider_say(&k->o, 0, 0, &m);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(stats_of(k).refused[ROVEI_NETMOVE_CUTOVER_NOTIFY], 3);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_FROZEN);
    for (int i = 0; i < 2; i++) {
        outsider_clear(&k->o, 0);
        m.node = target;
        outsider_say(&k->o, 0, 0, &m);
        world_run(&k->o.w, 50 * ROVE_MILLISECOND);
        assert_int_equal(outsider_count(&k->o, 0, ROVEI_NETMOVE_CLEANUP_COMPLETE), 1);
        assert_null(world_daemon(&k->o.w, 0, &k->d));
    }
    rovei_daemon_info info;
    assert_ok(rovei_node_daemon_get(kit_node(k), &k->d, &info));
    assert_int_equal(rovei_entity_node_id(&info.holder), target);
    kit_free(k);
}

static void orders_that_come_to_nothing(void **state)
{
    (void)state;
    kit *k = ordered_kit(2, ROVE_OK);
    char text[256];
    take_snapshot(k, 0, 4711, k->o.peers[1].node_id);
    assert_answer(k, 0, ROVEI_NETMOVE_STATE_FAILED, "daemon 0x1267 not found");
    snprintf(text, sizeof text,
             "identity transport requested but peer X25519 static for 0x%x is unknown (e.g. "
             "NKpsk0-responder side) \xe2\x80\x94 cannot seal envelope; use `transport_identity: "
             "false` to proceed unsealed",
             77);
    take_snapshot(k, 0, k->origin, 77); /* never unsealed */
    assert_answer(k, 0, ROVEI_NETMOVE_STATE_FAILED, text);
    kit_assert_stayed(k);
    /* Given up by who ordered it. */
    take_snapshot(k, 0, k->origin, k->o.peers[1].node_id);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_FROZEN);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = k->origin};
    m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
    m.failed.text = span_of("cancel requested");
    outsider_say(&k->o, 1, 0, &m); /* the target is not the one to say so */
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_FROZEN);
    outsider_say(&k->o, 0, 0, &m);
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    kit_assert_stayed(k);
    /* Given up here: the orchestrator is told. */
    take_snapshot(k, 0, k->origin, k->o.peers[1].node_id);
    outsider_clear(&k->o, 0);
    rovei_daemon_info info;
    assert_ok(rovei_node_daemon_get(kit_node(k), &k->d, &info));
    assert_ok(rovei_node_cancel(kit_node(k), k->o.w.now, &info.attempt, ROVE_E_CANCELLED));
    world_run(&k->o.w, 50 * ROVE_MILLISECOND);
    assert_answer(k, 0, ROVEI_NETMOVE_STATE_FAILED, "cancel requested");
    kit_assert_stayed(k);
    /* And when it falls silent, the daemon does not wait for ever. */
    take_snapshot(k, 0, k->origin, k->o.peers[1].node_id);
    outsider_leave(&k->o, 0);
    world_until(&k->o.w, LONG_TIME, world_role_of(&k->o.w, 0, &k->d) == ROVEI_ROLE_SERVING);
    kit_assert_stayed(k);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgeries),
        cmocka_unit_test(out_of_phase),
        cmocka_unit_test(another_head),
        cmocka_unit_test(a_late_ack),
        cmocka_unit_test(an_earlier_attempt),
        cmocka_unit_test(its_own_set_comes_late),
        cmocka_unit_test(lanes_end_for_certain),
        cmocka_unit_test(a_sender_that_was_away),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(goes_again),
        cmocka_unit_test(strangers_order_nothing),
        cmocka_unit_test(orders),
        cmocka_unit_test(orders_that_come_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
