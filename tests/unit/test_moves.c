/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves between whole nodes: what travels, what is refused, what is undone. */
#include "moves_world.h"

#include <stdio.h>

/* ---- the way it should be ---- */

static void moves(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    assert_ok(world_deliver(&w, 0, &d, "one"));
    assert_ok(world_deliver(&w, 0, &d, "two"));
    rovei_keypair *key = rovei_keypair_ref(world_cell_of(&w, 0, &d)->key);
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);

    const world_cell *c = world_cell_of(&w, 1, &d);
    assert_int_equal(c->applied, 2);
    assert_int_equal(world_times(c, "one") + world_times(c, "two"), 2);
    assert_int_equal(c->chain.head.sequence, 2);
    assert_span(rove_buf_span(c->chain.payload), "2", 1);
    assert_false(rovei_keypair_is_read_only(c->key));
    assert_true(rovei_keypair_is_read_only(key)); /* wiped where it was */
    rovei_keypair_unref(key);
    assert_int_equal(w.nodes[0].cells[0].forgotten, ROVE_E_MOVED);

    rovei_move_info info = world_info(&w, 0, &a);
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_int_equal(info.phase, ROVEI_PHASE_COMPLETE);
    assert_int_equal(info.attempts, 1);
    assert_int_equal(info.epoch, 2);
    assert_int_equal(info.applied_frozen, 0);
    assert_true(info.frozen_at && info.frozen_at <= info.committed_at &&
                info.committed_at <= info.active_at);
    assert_int_equal(info.bytes, 14);
    const rovei_location *l = rovei_location_get(w.nodes[0].node, &d);
    assert_true(l->tombstone && l->record.epoch == 2);
    assert_true(rovei_entity_equal(&l->record.holder, &w.nodes[1].entity));
    world_fini(&w);
}

static void phases_are_noted_in_order(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    rovei_phase next = ROVEI_PHASE_SNAPSHOT;
    for (size_t i = 0; i < w.nodes[0].note_count; i++)
        if (w.nodes[0].notes[i].kind == ROVEI_NOTE_MOVE)
            assert_int_equal(w.nodes[0].notes[i].phase, next++);
    assert_int_equal(next, ROVEI_PHASE_COMPLETE + 1);
    world_fini(&w);
}

static void moves_round_and_back(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    for (size_t i = 0; i < 9; i++) {
        assert_ok(world_deliver(&w, i % 3, &d, "x"));
        rovei_attempt_id a = world_move(&w, i % 3, (i + 1) % 3, &d, 0);
        world_until(&w, WORLD_LONG, world_completed(&w, i % 3, &a));
    }
    world_assert_moved(&w, 2, 0, &d);
    assert_int_equal(world_cell_of(&w, 0, &d)->applied, 9);
    assert_int_equal(world_daemon(&w, 0, &d)->epoch, 10);
    assert_int_equal(world_daemon(&w, 0, &d)->sinc.number, 1);
    world_fini(&w);
}

static void large_state(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    char *text = malloc(1 << 20);
    assert_non_null(text);
    for (size_t i = 0; i < 12; i++) {
        memset(text, (int)('a' + i), (1 << 20) - 1);
        text[(1 << 20) - 1] = 0;
        assert_ok(world_deliver(&w, 0, &d, text));
    }
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    const world_cell *from = &w.nodes[0].cells[0], *to = world_cell_of(&w, 1, &d);
    assert_int_equal(from->log_size, to->log_size);
    assert_memory_equal(from->log, to->log, to->log_size);
    assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_OFFER], 1);
    assert_true(w.nodes[1].seen[ROVEI_MOVE_PROGRESS] >= 12);
    free(text);
    world_fini(&w);
}

/* Each attempt of a move is made as the first one was ordered. */
static void retries_keep_the_options(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    uint8_t seed[32];
    assert_ok(rovei_keypair_seed(world_cell_of(&w, 0, &d)->key, seed));
    assert_ok(rovei_keypair_from_seed(&w.nodes[1].has_key, &w.nodes[1].t.env, seed));
    w.nodes[1].place = ROVE_E_NOT_READY;
    rovei_move_order o = {.daemon = d,
                          .target = w.nodes[1].entity,
                          .keep_identity = true,
                          .retry_not_ready = 10 * ROVE_SECOND};
    rovei_attempt_id a;
    assert_ok(rovei_node_move(w.nodes[0].node, w.now, &o, &a));
    world_run(&w, 700 * ROVE_MILLISECOND);
    w.nodes[1].place = ROVE_OK;
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_int_equal(world_info(&w, 0, &a).attempts, 3);
    assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_ENVELOPE], 0);
    world_assert_moved(&w, 0, 1, &d);
    world_fini(&w);
}

static void keeps_the_identity_when_asked(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_keypair *key = rovei_keypair_ref(world_cell_of(&w, 0, &d)->key);
    rovei_move_order o = {.daemon = d, .target = w.nodes[1].entity, .keep_identity = true};
    rovei_attempt_id a;
    assert_ok(rovei_node_move(w.nodes[0].node, w.now, &o, &a));
    world_until(&w, WORLD_LONG, world_ended(&w, 0, &a));
    /* The target has no key of its own. */
    assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_IDENTITY_MISSING);
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_SERVING);

    uint8_t seed[32];
    assert_ok(rovei_keypair_seed(key, seed));
    assert_ok(rovei_keypair_from_seed(&w.nodes[1].has_key, &w.nodes[1].t.env, seed));
    assert_ok(rovei_node_move(w.nodes[0].node, w.now, &o, &a));
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_ENVELOPE], 0);
    assert_false(rovei_keypair_is_read_only(key));
    rovei_keypair_unref(key);
    world_fini(&w);
}

/* ---- lanes and local events under a move ---- */

static void events_go_on_over_moves(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    uint64_t sender;
    char text[32];
    /* The sender learns of the daemon where it lives. */
    assert_ok(rovei_node_sender_open(w.nodes[0].node, w.now, &d, &sender));
    rovei_attempt_id a = {0};
    size_t at = 0, moves = 0;
    for (unsigned i = 0; i < 300; i++) {
        if (i % 50 == 25) {
            a = world_move(&w, at, (at + 1) % 3, &d, 0);
            moves++;
        }
        snprintf(text, sizeof text, "event %u", i);
        world_send_text(&w, 0, sender, text);
        world_run(&w, 700000);
        if (moves && world_completed(&w, at, &a)) {
            at = (at + 1) % 3;
            memset(&a, 0, sizeof a);
        }
    }
    world_until(&w, WORLD_LONG, world_notes_of(&w, 0, ROVEI_NOTE_APPLIED) == 300);
    assert_true(moves >= 3);
    world_run(&w, 20 * ROVE_SECOND);
    assert_int_equal(world_serving(&w, &d), 1);
    for (size_t i = 0; i < 3; i++) {
        const world_cell *c = world_cell_of(&w, i, &d);
        if (!c)
            continue;
        assert_int_equal(c->applied, 300);
        for (unsigned j = 0; j < 300; j++) {
            snprintf(text, sizeof text, "event %u", j);
            assert_int_equal(world_times(c, text), 1);
        }
    }
    /* The outputs came back in order, one each. */
    uint64_t next = 1;
    for (size_t j = 0; j < w.nodes[0].note_count; j++) {
        const rovei_note *note = &w.nodes[0].notes[j];
        if (note->kind != ROVEI_NOTE_APPLIED)
            continue;
        rovei_reader r = rovei_reader_of(note->outputs);
        rove_link link;
        rove_span payload;
        assert_int_equal(note->number, next);
        assert_true(rovei_event_frame_read(&r, &link, &payload));
        assert_int_equal(link.sequence, next++);
    }
    world_fini(&w);
}

/* Applied at the old host, the acknowledgement lost: the sender brings them to the new one, which
 * knows them, with their outputs. */
static void positions_are_those_of_the_freeze(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    uint64_t sender;
    assert_ok(rovei_node_sender_open(w.nodes[2].node, w.now, &d, &sender));
    world_send_text(&w, 2, sender, "a");
    world_until(&w, WORLD_LONG, world_notes_of(&w, 2, ROVEI_NOTE_APPLIED) == 1);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_ASK_PLACE;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 1);
    w.nodes[0].mute = true;
    world_send_text(&w, 2, sender, "b");
    world_send_text(&w, 2, sender, "c");
    world_until(&w, WORLD_LONG, world_cell_of(&w, 0, &d)->applied == 3);
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    w.nodes[0].mute = false;
    world_until(&w, WORLD_LONG, world_notes_of(&w, 2, ROVEI_NOTE_APPLIED) == 3);
    const world_cell *c = world_cell_of(&w, 1, &d);
    assert_int_equal(c->applied, 3);
    assert_int_equal(world_times(c, "b") + world_times(c, "c"), 2);
    world_fini(&w);
}

static void diverted_events_come_once(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_attempt_id a = world_divert_some(&w, &d, 700);
    world_release(&w, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    world_assert_diverted_once(&w, 1, &d, 700);
    world_assert_results(&w.nodes[0].cells[0], 700);
    assert_int_equal(world_info(&w, 0, &a).held_back, 700);
    world_fini(&w);
}

static void diverted_events_stay_after_an_abort(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_cell_of(&w, 0, &d)->state == CELL_FROZEN);
    assert_int_equal(world_deliver(&w, 0, &d, "mine"), ROVE_E_DIVERTED);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 1);
    assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED));
    world_run(&w, ROVE_SECOND);
    assert_int_equal(world_times(world_cell_of(&w, 0, &d), "mine"), 1);
    assert_ok(world_deliver(&w, 0, &d, "more"));
    world_release(&w, 1); /* a cell that nobody wants */
    world_run(&w, ROVE_SECOND);
    assert_null(world_cell_of(&w, 1, &d));
    assert_null(world_daemon(&w, 1, &d));
    world_fini(&w);
}

/* ---- not ready, refused ---- */

static void not_ready_is_retried(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].place = ROVE_E_NOT_READY;
    uint64_t begun = w.now.mono;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 10 * ROVE_SECOND);
    world_run(&w, 700 * ROVE_MILLISECOND);
    assert_ok(world_deliver(&w, 0, &d, "served meanwhile"));
    w.nodes[1].place = ROVE_OK;
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_true(w.now.mono - begun >= 500 * ROVE_MILLISECOND);
    assert_true(w.now.mono - begun < 10 * ROVE_SECOND);
    assert_int_equal(world_info(&w, 0, &a).attempts, 3);
    world_fini(&w);
}

/* The pause before each further attempt is twice the one before, up to 16 s. */
static void not_ready_pauses_grow(void **state)
{
    (void)state;
    static const unsigned pauses[] = {500, 1000, 2000, 4000, 8000, 16000, 16000};
    world w;
    world_init(&w, 2);
    assert_int_equal(w.nodes[0].t.env.limits.retry_not_ready, 30 * ROVE_SECOND);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].place = ROVE_E_NOT_READY;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 60 * ROVE_SECOND);
    uint64_t last = w.now.mono;
    for (unsigned i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        world_until(&w, 20 * ROVE_SECOND, world_info(&w, 0, &a).attempts == i + 2);
        uint64_t took = (w.now.mono - last) / ROVE_MILLISECOND;
        assert_in_range(took, pauses[i] - 1, pauses[i] + 100);
        last = w.now.mono;
    }
    world_fini(&w);
}

static void not_ready_ends_with_the_budget(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].place = ROVE_E_NOT_READY;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 1500 * ROVE_MILLISECOND);
    world_until(&w, 1600 * ROVE_MILLISECOND, world_ended(&w, 0, &a));
    assert_int_equal(world_ended(&w, 0, &a)->err, ROVE_E_NOT_READY_TIMEOUT);
    assert_true(world_info(&w, 0, &a).attempts >= 2);
    rovei_attempt_id b = world_move(&w, 0, 1, &d, 0);
    world_until(&w, ROVE_SECOND, world_ended(&w, 0, &b));
    assert_int_equal(world_ended(&w, 0, &b)->err, ROVE_E_TARGET_NOT_READY);
    assert_int_equal(world_info(&w, 0, &b).attempts, 1);
    /* The outcome of the first is its own, still. */
    assert_int_equal(world_info(&w, 0, &a).reason, ROVE_E_NOT_READY_TIMEOUT);
    world_fini(&w);
}

static void refusals_reach_the_order(void **state)
{
    (void)state;
    static const struct {
        rove_err place, restore, freeze, want;
    } cases[] = {
        {ROVE_E_TARGET_NO_FACTORY, 0, 0, ROVE_E_TARGET_NO_FACTORY},
        {ROVE_E_TARGET_NO_RUNTIME, 0, 0, ROVE_E_TARGET_NO_RUNTIME},
        {ROVE_E_SHUTTING_DOWN, 0, 0, ROVE_E_TARGET_NO_RUNTIME},
        {ROVE_E_REFUSED, 0, 0, ROVE_E_REFUSED},
        {0, ROVE_E_RESTORE_FAILED, 0, ROVE_E_RESTORE_FAILED},
        {0, 0, ROVE_E_STATELESS, ROVE_E_STATELESS},
    };
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w.nodes[1].place = cases[i].place;
        w.nodes[1].restore = cases[i].restore;
        w.nodes[0].freeze = cases[i].freeze;
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 10 * ROVE_SECOND);
        world_until(&w, 2 * ROVE_SECOND, world_ended(&w, 0, &a));
        assert_int_equal(world_ended(&w, 0, &a)->err, cases[i].want);
        assert_int_equal(world_ended(&w, 0, &a)->outcome, ROVEI_OUTCOME_FAILED);
        assert_ok(world_deliver(&w, 0, &d, "goes on"));
        world_run(&w, ROVE_SECOND);
        assert_null(world_daemon(&w, 1, &d));
    }
    world_fini(&w);
}

static void orders_that_cannot_be(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    rove_entity d = world_spawn(&w, 0, 1);
    rovei_move_order o = {.daemon = d, .target = w.nodes[0].entity};
    rovei_attempt_id a;
    assert_int_equal(rovei_node_move(w.nodes[0].node, w.now, &o, &a), ROVE_E_SAME_NODE);
    o.target = w.nodes[1].entity;
    assert_int_equal(rovei_node_move(w.nodes[1].node, w.now, &o, &a), ROVE_E_NOT_FOUND);
    memset(&o.target, 9, sizeof o.target);
    assert_int_equal(rovei_node_move(w.nodes[0].node, w.now, &o, &a), ROVE_E_TARGET_UNAVAILABLE);
    a = world_move(&w, 0, 1, &d, 0);
    o.target = w.nodes[2].entity;
    rovei_attempt_id b;
    assert_int_equal(rovei_node_move(w.nodes[0].node, w.now, &o, &b), ROVE_E_ALREADY_MIGRATING);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_fini(&w);
}

/* ---- cancel ---- */

static void cancel_before_the_commit(void **state)
{
    (void)state;
    /* Where the move stands when it is cancelled: a node's effect is held. */
    static const struct {
        size_t node;
        rovei_effect_kind held;
        bool late;
    } places[] = {
        {1, ROVEI_EFFECT_ASK_PLACE, false}, {0, ROVEI_EFFECT_FREEZE, false},
        {1, ROVEI_EFFECT_RESTORE, false},   {0, ROVEI_EFFECT_COMMIT, true},
        {1, ROVEI_EFFECT_ACTIVATE, true},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        world w;
        world_init(&w, 2);
        rove_entity d = world_spawn(&w, 0, 1);
        assert_ok(world_deliver(&w, 0, &d, "one"));
        w.nodes[places[i].node].hold = 1u << places[i].held;
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
        world_until(&w, WORLD_LONG, w.nodes[places[i].node].held_count == 1);
        rove_err err = rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED);
        assert_int_equal(err, places[i].late ? ROVE_E_TOO_LATE : ROVE_OK);
        world_run(&w, ROVE_SECOND);
        world_release(&w, places[i].node);
        world_run(&w, 30 * ROVE_SECOND);
        const rovei_note *ended = world_ended(&w, 0, &a);
        assert_non_null(ended);
        assert_int_equal(ended->outcome,
                         places[i].late ? ROVEI_OUTCOME_COMPLETED : ROVEI_OUTCOME_CANCELLED);
        size_t at = places[i].late ? 1 : 0;
        world_assert_moved(&w, 1 - at, at, &d);
        assert_int_equal(world_cell_of(&w, at, &d)->applied, 1);
        assert_int_equal(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED),
                         places[i].late ? ROVE_E_TOO_LATE : ROVE_E_NOT_FOUND);
        world_fini(&w);
    }
}

static void deadline_before_the_commit(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 1);
    assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_TIMED_OUT));
    world_run(&w, ROVE_SECOND);
    assert_int_equal(world_ended(&w, 0, &a)->outcome, ROVEI_OUTCOME_TIMED_OUT);
    world_fini(&w);
}

/* ---- outcomes ---- */

static void outcomes_are_kept_and_bounded(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.nodes[0].t.env.limits.outcomes_kept = 4;
    rove_entity d = world_spawn(&w, 0, 1);
    w.nodes[1].place = ROVE_E_REFUSED;
    rovei_attempt_id ids[6];
    for (size_t i = 0; i < 6; i++) {
        ids[i] = world_move(&w, 0, 1, &d, 0);
        world_until(&w, ROVE_SECOND, world_ended(&w, 0, &ids[i]));
    }
    rovei_move_info info;
    size_t it = 0, count = 0;
    while (rovei_node_move_next(w.nodes[0].node, &it, &info))
        count++;
    assert_int_equal(count, 4);
    assert_int_equal(rovei_node_move_get(w.nodes[0].node, &ids[0], &info), ROVE_E_NOT_FOUND);
    assert_int_equal(world_info(&w, 0, &ids[5]).reason, ROVE_E_REFUSED);
    world_run(&w, 700 * ROVE_SECOND);
    it = 0;
    assert_false(rovei_node_move_next(w.nodes[0].node, &it, &info));
    world_fini(&w);
}

/* ---- memory ---- */

/* Moves a daemon with two events to be diverted, if it comes that far; the same as without trouble
 * has to come out, here or there. */
static void move_short_of_memory(world *w, const rove_entity *d)
{
    rovei_move_order o = {.daemon = *d, .target = w->nodes[1].entity};
    rovei_attempt_id a;
    size_t delivered = 1;
    rove_err err = rovei_node_move(w->nodes[0].node, w->now, &o, &a);
    if (err) {
        assert_int_equal(err, ROVE_E_NOMEM);
        assert_ok(rovei_node_move(w->nodes[0].node, w->now, &o, &a));
    }
    uint64_t end = w->now.mono + WORLD_LONG;
    while (!world_ended(w, 0, &a)) {
        assert_true(w->now.mono < end);
        world_run(w, ROVE_MILLISECOND);
        const world_cell *c = world_cell_of(w, 0, d);
        if (c && c->state == CELL_FROZEN && delivered < 3)
            delivered += world_deliver(w, 0, d, "diverted") == ROVE_E_DIVERTED;
    }
    size_t at = world_completed(w, 0, &a) ? 1 : 0;
    world_assert_moved(w, 1 - at, at, d);
    const world_cell *c = world_cell_of(w, at, d);
    assert_int_equal(c->applied, delivered);
    assert_int_equal(world_times(c, "diverted"), delivered - 1);
    if (at)
        for (size_t i = 0; i < w->nodes[0].cells[0].diverted_count; i++)
            assert_true(w->nodes[0].cells[0].diverted[i].has_result);
}

static void memory_may_be_refused(void **state)
{
    (void)state;
    for (size_t node = 0; node < 2; node++) {
        bool reached = true;
        for (size_t at = 0; reached; at++) {
            world w;
            world_init(&w, 2);
            rove_entity d = world_spawn(&w, 0, 1);
            assert_ok(world_deliver(&w, 0, &d, "first"));
            test_alloc *t = &w.nodes[node].t.alloc;
            t->calls = 0;
            t->fail_at = at;
            move_short_of_memory(&w, &d);
            reached = t->calls > at;
            t->fail_at = SIZE_MAX;
            world_fini(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves),
        cmocka_unit_test(phases_are_noted_in_order),
        cmocka_unit_test(moves_round_and_back),
        cmocka_unit_test(large_state),
        cmocka_unit_test(retries_keep_the_options),
        cmocka_unit_test(keeps_the_identity_when_asked),
        cmocka_unit_test(events_go_on_over_moves),
        cmocka_unit_test(positions_are_those_of_the_freeze),
        cmocka_unit_test(diverted_events_come_once),
        cmocka_unit_test(diverted_events_stay_after_an_abort),
        cmocka_unit_test(not_ready_is_retried),
        cmocka_unit_test(not_ready_pauses_grow),
        cmocka_unit_test(not_ready_ends_with_the_budget),
        cmocka_unit_test(refusals_reach_the_order),
        cmocka_unit_test(orders_that_cannot_be),
        cmocka_unit_test(cancel_before_the_commit),
        cmocka_unit_test(deadline_before_the_commit),
        cmocka_unit_test(outcomes_are_kept_and_bounded),
        cmocka_unit_test(memory_may_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
