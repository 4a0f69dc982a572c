/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes in one place: order, outcomes and outputs, windows and bounds, opening, refusing and
 * closing. */
#include "lanes_kit.h"

#include <limits.h>
#include <stdio.h>

#define SOON (5 * ROVE_SECOND)

static void order_and_outputs(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t far = kit_open(k, 1, &d);
    kit_stream(k, 1, far, "far", 1, 1000);
    world_until(&k->w, SOON, kit_count(k, 1, far, ROVEI_NOTE_APPLIED) == 1000);
    kit_assert_applied(k, 1, far, 1, 1000);
    kit_assert_log(world_cell_of(&k->w, 0, &d), "far", 1, 1000);
    for (uint64_t i = 1; i <= 1000; i += 111) {
        char text[16];
        snprintf(text, sizeof text, "%u", (unsigned)i);
        kit_assert_output(kit_note(k, 1, far, ROVEI_NOTE_APPLIED, i), text);
    }
    /* The daemon's own node takes the same way. */
    uint64_t near = kit_open(k, 0, &d);
    kit_stream(k, 0, near, "near", 1, 300);
    world_until(&k->w, SOON, kit_count(k, 0, near, ROVEI_NOTE_APPLIED) == 300);
    kit_assert_log(world_cell_of(&k->w, 0, &d), "near", 1, 300);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[0].node).events_repeated, 0);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).events_resent, 0);
    /* All is confirmed soon, so nothing is kept. */
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes->kept_bytes, 0);
    kit_free(k);
}

/* Each lane has a chain of its own, from 1. */
static void links(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    for (int lane = 0; lane < 2; lane++) {
        uint64_t s = kit_open(k, 1, &d);
        rove_link before = rovei_link_genesis(rovei_entity_origin(&k->w.nodes[1].entity), 0);
        const char *texts[] = {"", "a", "b", "c"};
        k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
        for (int i = 1; i < 4; i++)
            kit_send(k, 1, s, texts[i]);
        world_run(&k->w, ROVE_SECOND);
        assert_int_equal(k->w.nodes[0].held_count, 1);
        const rovei_effect *e = &k->w.nodes[0].held[0];
        assert_int_equal(e->events, 3);
        size_t it = 0;
        for (int i = 1; i < 4; i++) {
            rove_link link;
            rove_span payload;
            assert_true(rovei_effect_event(e, &it, &link, &payload));
            assert_ok(rovei_link_validate(&before, span_of(texts[i - 1]), &link, NULL));
            assert_int_equal(link.sequence, i);
            assert_span(payload, texts[i], strlen(texts[i]));
            before = link;
        }
        world_release(&k->w, 0);
        world_run(&k->w, ROVE_SECOND);
    }
    kit_free(k);
}

static void errors_are_outcomes(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_send(k, 1, s, "a");
    kit_send(k, 1, s, "b");
    kit_send(k, 1, s, "c");
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(k->w.nodes[0].held_count, 1);
    rove_err errs[] = {ROVE_E_PROCESS, ROVE_OK, ROVE_E_HORIZON_FULL};
    rovei_effect *e = &k->w.nodes[0].held[0];
    assert_int_equal(e->events, 3);
    for (size_t i = 0; i < 3; i++) {
        rovei_completion c = {.kind = ROVEI_DONE_APPLIED,
                              .cell = e->cell,
                              .ticket = e->ticket,
                              .number = e->number + i,
                              .err = errs[i],
                              .at = k->w.now.mono};
        if (errs[i])
            c.text = rovei_buf_copy(NULL, "no good", 7);
        rovei_node_complete(k->w.nodes[0].node, k->w.now, &c);
    }
    rovei_effect_fini(e);
    k->w.nodes[0].held_count = 0;
    k->w.nodes[0].hold = 0;
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_REFUSED) == 1);
    const rovei_note *a = kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 1);
    assert_int_equal(a->err, ROVE_E_PROCESS);
    assert_span(a->text, "no good", 7);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 2)->err, ROVE_OK);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_REFUSED, 3)->err, ROVE_E_HORIZON_FULL);
    /* The lane goes on behind them. */
    kit_send(k, 1, s, "d");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 4) != NULL);
    kit_free(k);
}

static void outcomes_come_until_confirmed(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    k->taps[0].swallow[ROVEI_LANE_OUTCOMES] = 2;
    kit_send(k, 1, s, "a");
    kit_send(k, 1, s, "b");
    world_until(&k->w, 10 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 2);
    kit_assert_output(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 1), "1");
    kit_assert_output(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 2), "2");
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 2);
    /* A frame of events that comes again is answered with the same, and applied no more. */
    k->taps[1].swallow[ROVEI_LANE_CONFIRM] = UINT_MAX;
    kit_forget(k);
    kit_send(k, 1, s, "c");
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 3);
    unsigned outcomes = k->taps[0].seen[ROVEI_LANE_OUTCOMES];
    assert_int_equal(kit_lane(k, 0, 1, s)->kept_count, 1);
    kit_replay(k, 1, 0, ROVEI_LANE_EVENTS);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(k->taps[0].seen[ROVEI_LANE_OUTCOMES], outcomes + 1);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 3);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_APPLIED), 3);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[0].node).events_repeated, 1);
    kit_free(k);
}

/* Whatever frame is lost on its way, everything is applied once and told once. */
static void every_frame_may_be_lost(void **state)
{
    static const uint8_t types[] = {ROVEI_LANE_OPEN,     ROVEI_LANE_EVENTS,    ROVEI_LANE_CONFIRM,
                                    ROVEI_LANE_CLOSE,    ROVEI_LANE_OPENED,    ROVEI_LANE_OUTCOMES,
                                    ROVEI_LANE_POSITION, ROVEI_LANE_CLOSE_DONE};
    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        kit *k = kit_new(2);
        rove_entity d = world_spawn(&k->w, 0, 1);
        uint64_t s = kit_open(k, 1, &d);
        k->taps[0].swallow[types[i]] = k->taps[1].swallow[types[i]] = 2;
        kit_stream(k, 1, s, "x", 1, 20);
        world_run(&k->w, 100 * ROVE_MILLISECOND);
        kit_stream(k, 1, s, "x", 21, 40);
        world_until(&k->w, 20 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 40);
        kit_assert_applied(k, 1, s, 1, 40);
        kit_assert_log(world_cell_of(&k->w, 0, &d), "x", 1, 40);
        rovei_node_sender_close(k->w.nodes[1].node, k->w.now, s, false);
        world_until(&k->w, 20 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_SENDER_ENDED) == 1);
        assert_null(kit_sender(k, 1, s));
        kit_free(k);
    }
}

/* ---- windows and bounds ---- */

static void window(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d), number;
    for (int i = 0; i < 256; i++)
        kit_send(k, 1, s, "x");
    assert_int_equal(kit_try(k, 1, s, "y", &number), ROVE_E_WINDOW);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_ROOM), 0);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_ROOM) == 1);
    assert_int_equal(kit_send(k, 1, s, "y"), 257);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 257);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_ROOM), 1);
    /* Bytes: one event always, however large. */
    size_t size = (size_t)1 << 20;
    char *large = calloc(1, size + 2);
    assert_non_null(large);
    memset(large, 'z', size);
    kit_send(k, 1, s, large);
    assert_int_equal(kit_try(k, 1, s, "y", &number), ROVE_E_WINDOW);
    large[size] = 'z';
    assert_int_equal(kit_try(k, 1, s, large, &number), ROVE_E_TOO_LARGE);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 258);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 258);
    free(large);
    assert_int_equal(kit_try(k, 1, 999999, "y", &number), ROVE_E_GONE);
    kit_free(k);
}

static size_t held_events(kit *k)
{
    size_t events = 0;
    for (size_t i = 0; i < k->w.nodes[0].held_count; i++)
        events += k->w.nodes[0].held[i].events;
    return events;
}

/* Two lanes with full queues are served in turn, some events at a time; what is with the cell is
 * bounded, the more so while nothing is known of its outcomes. */
static void round_robin(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t a = kit_open(k, 1, &d), b = kit_open(k, 1, &d);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    for (int i = 0; i < 200; i++)
        kit_send(k, 1, a, "a");
    world_run(&k->w, ROVE_SECOND);
    for (int i = 0; i < 200; i++)
        kit_send(k, 1, b, "b");
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(held_events(k), 64);
    world_release(&k->w, 0);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    world_run(&k->w, ROVE_MILLISECOND);
    assert_int_equal(held_events(k), 128);
    assert_true(k->w.nodes[0].held_count >= 8);
    for (size_t i = 1; i < k->w.nodes[0].held_count; i++)
        assert_true(k->w.nodes[0].held[i].ticket != k->w.nodes[0].held[i - 1].ticket);
    world_release(&k->w, 0);
    world_until(&k->w, SOON, world_cell_of(&k->w, 0, &d)->applied == 400);
    kit_free(k);
}

static void mailbox_bound(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[0].t.env.limits.mailbox_bytes = 4096;
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    uint64_t s[4];
    for (size_t i = 0; i < 4; i++) {
        char prefix[2] = {(char)('a' + i), 0};
        s[i] = kit_open(k, 1, &d);
        kit_stream(k, 1, s[i], prefix, 1, 200);
    }
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_true(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes->mailbox_bytes <= 4096 + 16384);
    for (int round = 0; round < 40; round++) {
        world_release(&k->w, 0);
        k->w.nodes[0].hold = round < 30 ? 1u << ROVEI_EFFECT_APPLY : 0;
        world_run(&k->w, 100 * ROVE_MILLISECOND);
    }
    for (size_t i = 0; i < 4; i++) {
        char prefix[2] = {(char)('a' + i), 0};
        world_until(&k->w, 20 * ROVE_SECOND, kit_count(k, 1, s[i], ROVEI_NOTE_APPLIED) == 200);
        kit_assert_log(world_cell_of(&k->w, 0, &d), prefix, 1, 200);
    }
    kit_free(k);
}

/* At the bound of unconfirmed outputs a lane that does not confirm waits; another goes on. */
static void outputs_bound(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[0].t.env.limits.outputs_max = 4096;
    k->taps[1].swallow[ROVEI_LANE_CONFIRM] = UINT_MAX;
    uint64_t silent = kit_open(k, 1, &d), good = kit_open(k, 2, &d);
    for (int i = 0; i < 200; i++)
        kit_send(k, 1, silent, "s");
    world_run(&k->w, 300 * ROVE_MILLISECOND);
    uint64_t got = world_cell_of(&k->w, 0, &d)->applied;
    assert_true(got >= 30 && got < 200);
    assert_true(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes->kept_bytes < 2 * 4096 + 64 * 200);
    kit_stream(k, 2, good, "g", 1, 300);
    world_until(&k->w, SOON, kit_count(k, 2, good, ROVEI_NOTE_APPLIED) == 300);
    /* A question for the position confirms as well: the lane was never lost. */
    world_until(&k->w, 60 * ROVE_SECOND, kit_count(k, 1, silent, ROVEI_NOTE_APPLIED) == 200);
    kit_assert_applied(k, 1, silent, 1, 200);
    kit_free(k);
}

/* ---- opening, refusing, closing ---- */

static void lanes_are_bounded(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s[4];
    k->w.nodes[0].t.env.limits.lanes_per_sender = 2;
    for (size_t i = 0; i < 3; i++) {
        s[i] = kit_open(k, 1, &d);
        kit_send(k, 1, s[i], "x");
        world_run(&k->w, ROVE_SECOND);
    }
    assert_int_equal(kit_note(k, 1, s[2], ROVEI_NOTE_REFUSED, 1)->err, ROVE_E_LANE_LIMIT);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 2);
    /* A closed lane makes room for its sender, and is kept. */
    rovei_node_sender_close(k->w.nodes[1].node, k->w.now, s[0], false);
    world_until(&k->w, SOON, kit_count(k, 1, s[0], ROVEI_NOTE_SENDER_ENDED) == 1);
    kit_send(k, 1, s[2], "y");
    world_until(&k->w, SOON, kit_note(k, 1, s[2], ROVEI_NOTE_APPLIED, 2) != NULL);
    assert_int_equal(rovei_lanes_count(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes), 3);
    /* The bound over all senders. */
    k->w.nodes[0].t.env.limits.lanes_per_daemon = 3;
    s[3] = kit_open(k, 0, &d);
    kit_send(k, 0, s[3], "z");
    world_until(&k->w, SOON, kit_note(k, 0, s[3], ROVEI_NOTE_REFUSED, 1) != NULL);
    kit_free(k);
}

static void refusals_and_openings_that_come_late(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    /* A refusal after Opened is not believed. */
    rovei_lane_frame f;
    rovei_lane_head(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes, &f, ROVEI_LANE_REFUSED,
                    kit_sender(k, 1, s)->lane);
    f.err = ROVE_E_LANE_LIMIT;
    kit_inject(k, 0, 1, &f);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_send(k, 1, s, "b");
    kit_inject(k, 0, 1, &f);
    world_run(&k->w, ROVE_SECOND);
    world_release(&k->w, 0);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 2);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_REFUSED), 0);
    /* Closed: neither an old Open nor old events come through, and the lane stays. */
    rovei_node_sender_close(k->w.nodes[1].node, k->w.now, s, false);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_SENDER_ENDED) == 1);
    unsigned opened = k->taps[0].seen[ROVEI_LANE_OPENED];
    kit_replay(k, 1, 0, ROVEI_LANE_OPEN);
    kit_replay(k, 1, 0, ROVEI_LANE_EVENTS);
    kit_replay(k, 1, 0, ROVEI_LANE_CLOSE);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(k->taps[0].seen[ROVEI_LANE_OPENED], opened);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 2);
    assert_int_equal(k->taps[0].seen[ROVEI_LANE_NO_LANE], 1);
    kit_free(k);
}

/* No event opens a lane, and a Close of an unknown lane keeps its number from being opened. */
static void events_open_nothing(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    rovei_lane_free(kit_lane(k, 0, 1, s));
    kit_replay(k, 1, 0, ROVEI_LANE_EVENTS);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 1);
    assert_int_equal(rovei_lanes_count(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes), 0);
    rovei_lane_frame f;
    rovei_lane_head(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes, &f, ROVEI_LANE_CLOSE, 77);
    kit_inject(k, 1, 0, &f);
    f.type = ROVEI_LANE_OPEN;
    kit_inject(k, 1, 0, &f);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(k->taps[0].seen[ROVEI_LANE_OPENED], 1);
    assert_int_equal(k->taps[0].seen[ROVEI_LANE_CLOSE_DONE], 2);
    kit_free(k);
}

static void idle_lanes_expire(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[0].t.env.limits.lane_expiry = 100 * ROVE_SECOND;
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, 90 * ROVE_SECOND);
    kit_send(k, 1, s, "b");
    world_run(&k->w, 90 * ROVE_SECOND);
    assert_non_null(kit_lane(k, 0, 1, s));
    world_run(&k->w, 30 * ROVE_SECOND);
    assert_null(kit_lane(k, 0, 1, s));
    /* Whether this one came through nobody can say; the handle goes on with a new lane. */
    kit_send(k, 1, s, "c");
    world_run(&k->w, ROVE_SECOND);
    assert_non_null(kit_note(k, 1, s, ROVEI_NOTE_UNKNOWN, 3));
    kit_send(k, 1, s, "d");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 4) != NULL);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 3);
    assert_int_equal(kit_lost(k, 1, s), 0);
    kit_free(k);
}

static void answer_next(kit *k, rovei_question question, rove_err verdict)
{
    world_node *n = &k->w.nodes[0];
    assert_int_equal(n->held_count, 1);
    assert_int_equal(n->held[0].question, question);
    assert_true(rovei_entity_equal(&n->held[0].peer, &k->w.nodes[1].entity));
    rovei_completion c = {.kind = ROVEI_DONE_ANSWER, .ticket = n->held[0].ticket, .err = verdict};
    rovei_effect_fini(&n->held[0]);
    n->held_count = 0;
    rovei_node_complete(n->node, k->w.now, &c);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
}

static void policy_is_asked(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    k->w.nodes[0].node->ask_policy = true;
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_ASK;
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    answer_next(k, ROVEI_ASK_SEND, ROVE_E_REFUSED);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_REFUSED, 1)->err, ROVE_E_REFUSED);
    /* May send, may not read: applied, and no outputs come back. */
    kit_send(k, 1, s, "b");
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    answer_next(k, ROVEI_ASK_SEND, ROVE_OK);
    answer_next(k, ROVEI_ASK_READ, ROVE_E_REFUSED);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 2)->output_count, 0);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 1);
    kit_free(k);
}

/* The link has to be the sender's: the event is refused in its place, and the lane goes on. */
static void foreign_links_are_refused(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    kit_send(k, 1, s, "b");
    rovei_sender_queued(kit_sender(k, 1, s), 0)->link.origin ^= 1;
    kit_send(k, 1, s, "c");
    world_until(&k->w, SOON, kit_note(k, 1, s, ROVEI_NOTE_APPLIED, 3) != NULL);
    assert_int_equal(kit_note(k, 1, s, ROVEI_NOTE_REFUSED, 2)->err, ROVE_E_ORIGIN_MISMATCH);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 2);
    kit_free(k);
}

static void dropped_sender(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_stream(k, 1, s, "x", 1, 100);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    rovei_node_sender_close(k->w.nodes[1].node, k->w.now, s, true);
    uint64_t number;
    assert_int_equal(kit_try(k, 1, s, "y", &number), ROVE_E_CLOSED);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNKNOWN), 100);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_SENDER_ENDED), 0);
    assert_null(kit_sender(k, 1, s));
    /* What was with the cell is applied, what waited behind it is not. */
    world_release(&k->w, 0);
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->applied, 64);
    kit_free(k);
}

static void strangers_are_not_heard(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 1);
    uint64_t s = kit_open(k, 1, &d);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_APPLY;
    kit_send(k, 1, s, "a");
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    rovei_lane_frame f;
    rovei_lane_head(rovei_daemon_find(k->w.nodes[0].node, &d)->lanes, &f, ROVEI_LANE_NO_LANE,
                    kit_sender(k, 1, s)->lane);
    kit_inject(k, 2, 1, &f); /* not the holder */
    f.type = ROVEI_LANE_MOVING;
    f.sinc.number = 0;
    kit_inject(k, 2, 1, &f);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[1].node).frames_refused, 2);
    rove_buf *junk = rovei_buf_copy(NULL, "\x02junk", 5);
    rovei_node_inject(k->w.nodes[0].node, k->w.now, &k->w.nodes[2].entity, ROVEI_TAG_LANE, junk);
    rovei_node_inject(k->w.nodes[0].node, k->w.now, &k->w.nodes[2].entity, ROVEI_TAG_LOCATE, junk);
    rove_buf_unref(junk);
    world_run(&k->w, 100 * ROVE_MILLISECOND);
    assert_int_equal(rovei_node_stats_get(k->w.nodes[0].node).frames_malformed, 2);
    world_release(&k->w, 0);
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_outputs),
        cmocka_unit_test(links),
        cmocka_unit_test(errors_are_outcomes),
        cmocka_unit_test(outcomes_come_until_confirmed),
        cmocka_unit_test(every_frame_may_be_lost),
        cmocka_unit_test(window),
        cmocka_unit_test(round_robin),
        cmocka_unit_test(mailbox_bound),
        cmocka_unit_test(outputs_bound),
        cmocka_unit_test(lanes_are_bounded),
        cmocka_unit_test(refusals_and_openings_that_come_late),
        cmocka_unit_test(events_open_nothing),
        cmocka_unit_test(idle_lanes_expire),
        cmocka_unit_test(policy_is_asked),
        cmocka_unit_test(foreign_links_are_refused),
        cmocka_unit_test(dropped_sender),
        cmocka_unit_test(strangers_are_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
