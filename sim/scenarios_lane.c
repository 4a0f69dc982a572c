/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of lanes: giving up, refusals, closed lanes, states that went back. */
#include "cast.h"
#include "scenarios.h"

static bool event_unknown(sim_world *w)
{
    (void)w;
    return cast.event->fate == SIM_FATE_UNKNOWN;
}

static bool event_refused(sim_world *w)
{
    (void)w;
    return cast.event->fate == SIM_FATE_REFUSED;
}

/* B's client has one event applied at A, and gives the next one up since no frame arrives. */
static void give_up(sim_world *w)
{
    cast.client = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.client);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_SWALLOW);
    cast_send(cast.client);
    sim_until(w, 30 * ROVE_SECOND, event_unknown, "an event is given up");
}

void sim_play_f8(sim_world *w)
{
    cast_begin(w);
    give_up(w);
    sim_rules_clear(w);
    cast_apply(w, cast.client);
}

/* One frame never arrives; the next one does, and must not be applied in its place. */
void sim_play_f8b(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.client);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_SWALLOW);
    cast_send(cast.client);
    sim_pass(w, 20 * MS);
    sim_rules_clear(w);
    cast_send(cast.client);
    sim_until(w, 20 * ROVE_SECOND, cast_all_told, "every event has an outcome");
    for (size_t i = 0; i < cast.client->count; i++)
        if (cast.client->events[i]->fate != SIM_FATE_APPLIED)
            sim_fail(w, "event %zu of the client is not applied", i + 1);
}

void sim_play_f11f(sim_world *w)
{
    cast_begin(w);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_GAP, SIM_SWALLOW);
    give_up(w);
    sim_pass(w, 100 * MS);
    sim_rules_clear(w);
    cast_apply(w, cast.client);
}

void sim_play_f12(sim_world *w)
{
    cast_begin(w);
    give_up(w);
    sim_rules_clear(w);
    cast_apply(w, cast.client);
    sim_inject(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS);
    sim_pass(w, ROVE_SECOND);
}

static unsigned refusals;

static rove_err refuses_once(sim_node *n, const rovei_effect *question)
{
    (void)n;
    bool send = question->kind == ROVEI_EFFECT_ASK && question->question == ROVEI_ASK_SEND;
    return send && refusals++ == 0 ? ROVE_E_REFUSED : ROVE_OK;
}

/* The lane is refused; later there would be room, and copies of all frames come. */
void sim_play_f9a(sim_world *w)
{
    cast_begin(w);
    refusals = 0;
    sim_cells_policy(w, refuses_once);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_LANE, 0, SIM_KEEP);
    cast.client = sim_client_open(cast.b, cast.d);
    cast_send(cast.client);
    sim_until(w, 20 * ROVE_SECOND, event_refused, "the event is refused");
    sim_rules_clear(w);
    sim_inject(w, cast.b, cast.a, ROVEI_TAG_LANE, 0);
    sim_pass(w, ROVE_SECOND);
}

/* A is frozen and says Moving; the move is cancelled; copies of the event come late. */
void sim_play_f9b(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_PREPARED, SIM_SWALLOW);
    sim_rule(w, cast.c, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_KEEP);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_a_frozen, "A has frozen the daemon");
    cast_send(cast.client);
    sim_pass(w, 100 * MS);
    if (rovei_node_cancel(cast.a->core, sim_now(cast.a), &cast.attempt, ROVE_E_CANCELLED))
        sim_fail(w, "the move cannot be cancelled");
    sim_pump(cast.a);
    sim_until(w, 5 * ROVE_SECOND, cast_a_serves, "A serves again");
    sim_inject(w, cast.c, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS);
    sim_until(w, 5 * ROVE_SECOND, cast_event_applied, "the event is applied");
    sim_inject(w, cast.c, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS);
    sim_pass(w, ROVE_SECOND);
}

static bool client_ended(sim_world *w)
{
    (void)w;
    return cast.client->ended;
}

void sim_play_f10(sim_world *w)
{
    cast_begin(w);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_KEEP);
    cast.client = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.client);
    cast_apply(w, cast.client);
    sim_rules_clear(w);
    sim_client_close(cast.client, false);
    sim_pump(cast.b);
    sim_until(w, 20 * ROVE_SECOND, client_ended, "the client has ended");
    sim_inject(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS);
    sim_pass(w, ROVE_SECOND);
    sim_pass(w, 2 * w->limits.lane_expiry);
    sim_inject(w, cast.b, cast.a, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS);
    sim_pass(w, ROVE_SECOND);
}

/* The lane began at B after the state that B gets back was taken. */
void sim_play_f11a(sim_world *w)
{
    cast_begin(w);
    cast_open_move(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    const sim_event *lost = cast.event;
    cast_b_forgets(w);
    cast_send(cast.client);
    sim_until(w, 30 * ROVE_SECOND, cast_event_told, "the next event has an outcome");
    sim_pass(w, 2 * ROVE_SECOND);
    if (lost->fate != SIM_FATE_LOST)
        sim_fail(w, "nobody was told of the loss");
    cast_apply(w, cast.client);
}

void sim_play_f11b(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_open_move(w);
    sim_rule(w, cast.b, cast.c, ROVEI_TAG_OUTCOME, ROVEI_LANE_OUTCOMES, SIM_SWALLOW);
    cast_send(cast.client);
    cast_send(cast.client);
    sim_pass(w, 500 * MS);
    if (!cast.event->applied)
        sim_fail(w, "B has not applied the event");
    cast_b_forgets(w);
    sim_rule(w, cast.c, cast.b, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_SWALLOW);
    sim_pass(w, 500 * MS);
    sim_inject(w, cast.b, cast.c, ROVEI_TAG_OUTCOME, ROVEI_LANE_OUTCOMES);
    sim_pass(w, 500 * MS);
    sim_rules_clear(w);
    sim_until(w, 30 * ROVE_SECOND, cast_all_told, "every event has an outcome");
}

void sim_play_f11d(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_open_move(w);
    cast_apply(w, cast.client);
    cast_apply(w, cast.client);
    const sim_event *lost = cast.event;
    sim_rule(w, cast.c, cast.b, ROVEI_TAG_LANE, ROVEI_LANE_EVENTS, SIM_SWALLOW);
    sim_rule(w, cast.c, cast.b, ROVEI_TAG_LANE, ROVEI_LANE_GAP, SIM_KEEP);
    cast_send(cast.client);
    sim_until(w, 30 * ROVE_SECOND, event_unknown, "an event is given up");
    sim_pass(w, 200 * MS);
    if (!sim_kept(w, cast.c, cast.b, ROVEI_TAG_LANE, ROVEI_LANE_GAP))
        sim_fail(w, "no gap was stated");
    sim_cut_pair(w, cast.b, cast.c, true);
    cast_b_forgets(w);
    sim_inject(w, cast.c, cast.b, ROVEI_TAG_LANE, ROVEI_LANE_GAP);
    sim_pass(w, 100 * MS);
    sim_cut_pair(w, cast.b, cast.c, false);
    cast_apply(w, cast.client);
    sim_pass(w, ROVE_SECOND);
    if (lost->fate != SIM_FATE_LOST)
        sim_fail(w, "nobody was told of the loss");
}

void sim_play_f11e(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast.other = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_apply(w, cast.other);
    cast_open_move(w);
    cast_apply(w, cast.client);
    cast_apply(w, cast.other);
    const sim_event *lost = cast.event;
    cast_b_forgets(w);
    cast_apply(w, cast.client);
    sim_pass(w, 2 * ROVE_SECOND);
    if (lost->fate != SIM_FATE_LOST)
        sim_fail(w, "the idle sender was not told of the loss");
}
