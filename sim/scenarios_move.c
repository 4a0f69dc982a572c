/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of moves: late and lost messages of an attempt, nodes that forgot it. */
#include "cast.h"
#include "scenarios.h"

/* A has given the daemon to B and does not know that B serves; B must not pass it on, since A,
 * when B has forgotten everything, would send it to B once more. */
void sim_play_f1(sim_world *w)
{
    cast_begin(w);
    cast_open_move(w);
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_cut_pair(w, cast.a, cast.c, true);
    sim_rules_clear(w);
    (void)sim_move(cast.b, cast.d, cast.c, &cast.attempt);
    sim_pump(cast.b);
    sim_pass(w, 2 * ROVE_SECOND);
    sim_cut_pair(w, cast.b, cast.c, true);
    sim_node_crash(cast.b);
    sim_pass(w, 100 * MS);
    sim_return(cast.b);
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_until(w, 60 * ROVE_SECOND, cast_b_serves, "B serves again");
    sim_cut_pair(w, cast.a, cast.c, false);
    sim_cut_pair(w, cast.b, cast.c, false);
    sim_until(w, 60 * ROVE_SECOND, cast_b_closed, "the move is closed");
}

/* There and back again; then B forgets, and everything that A once said to B comes again. */
void sim_play_f1b(sim_world *w)
{
    cast_begin(w);
    sim_rule(w, cast.a, cast.b, ROVEI_TAG_MOVE, 0, SIM_KEEP);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_b_closed, "B serves and the move is closed");
    sim_rules_clear(w);
    cast_move(w, cast.b, cast.a);
    sim_until(w, 5 * ROVE_SECOND, cast_a_serves, "A serves again");
    sim_pass(w, 500 * MS);
    sim_node_crash(cast.b);
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_return(cast.b);
    sim_inject(w, cast.a, cast.b, ROVEI_TAG_MOVE, 0);
    sim_pass(w, 100 * MS);
    if (!cast_b_prepared(w))
        sim_fail(w, "the old transfer did not even prepare B: the scenario shows nothing");
    /* The old Commit once more, now that B is prepared under a ticket of its own. */
    sim_inject(w, cast.a, cast.b, ROVEI_TAG_MOVE, ROVEI_MOVE_COMMIT);
    sim_pass(w, ROVE_SECOND);
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_pass(w, 20 * ROVE_SECOND);
    if (cast_b_prepared(w))
        sim_fail(w, "A serves and B still waits for a commit");
    if (!cast_a_serves(w))
        sim_fail(w, "A does not serve any more");
}

/* B serves, acknowledges, crashes; A, who does not know, sends the older state again: that must be
 * a new incarnation of the state, and the sender must hear what it lost. */
void sim_play_f2(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_open_move(w);
    cast_apply(w, cast.client);
    const sim_event *lost = cast.event;
    cast_b_forgets(w);
    cast_apply(w, cast.client);
    sim_pass(w, ROVE_SECOND);
    if (lost->fate != SIM_FATE_LOST)
        sim_fail(w, "nobody was told of the loss");
}

static void forgetful_source(sim_world *w)
{
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_PREPARED, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_b_prepared, "B is prepared");
    sim_node_crash(cast.a);
    sim_pass(w, 100 * MS);
    sim_rules_clear(w);
    sim_return(cast.a);
    sim_pass(w, 30 * ROVE_SECOND);
    if (!cast_b_prepared(w))
        sim_fail(w, "B has thrown the only copy away");
}

/* A returns and knows nothing; B, prepared, asks. Ignorance is no proof. */
void sim_play_f3(sim_world *w)
{
    cast_begin(w);
    forgetful_source(w);
}

/* The same, and A hears from C that it is the holder of the epoch before. No proof either. */
void sim_play_f3b(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_PREPARED, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_b_prepared, "B is prepared");
    sim_node_crash(cast.a);
    sim_pass(w, 100 * MS);
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_return(cast.a);
    cast.other = sim_client_open(cast.a, cast.d);
    cast_send(cast.other);
    sim_pass(w, 5 * ROVE_SECOND);
    sim_rules_clear(w);
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_pass(w, 30 * ROVE_SECOND);
    if (!cast_b_prepared(w))
        sim_fail(w, "B has thrown the only copy away");
}

/* A has committed and never returns: B keeps its copy for the operator. */
void sim_play_f3c(sim_world *w)
{
    cast_begin(w);
    sim_rule(w, cast.a, cast.b, ROVEI_TAG_MOVE, ROVEI_MOVE_COMMIT, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_a_committed, "A has committed");
    sim_node_crash(cast.a);
    cast.a->gone = true;
    sim_pass(w, 100 * ROVE_SECOND);
    if (!cast_b_prepared(w))
        sim_fail(w, "B has thrown the only copy away");
}

/* B forgot that it served, and learns from the record that it is the holder: what A sends again
 * must not be refused for that. */
void sim_play_f5(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_open_move(w);
    cast_apply(w, cast.client);
    sim_node_crash(cast.b);
    sim_pass(w, 100 * MS);
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_return(cast.b);
    cast.other = sim_client_open(cast.b, cast.d);
    cast_send(cast.other);
    sim_pass(w, 4 * ROVE_SECOND);
    sim_rules_clear(w);
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_until(w, 60 * ROVE_SECOND, cast_b_serves, "B serves again");
    cast_send(cast.client);
    sim_until(w, 30 * ROVE_SECOND, cast_all_told, "every event has an outcome");
}

/* Two local events are diverted; the results do not come back; B may not pass the daemon on. */
void sim_play_f13(sim_world *w)
{
    sim_event *first = NULL, *second = NULL;
    cast_begin(w);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_PREPARED, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_a_frozen, "A has frozen the daemon");
    if (!sim_deliver(cast.a, cast.d, &first) || !sim_deliver(cast.a, cast.d, &second)) {
        sim_fail(w, "A has no cell");
        return;
    }
    sim_pass(w, 50 * MS);
    if (!first->diverted || !second->diverted)
        sim_fail(w, "local events are not diverted");
    sim_rules_clear(w);
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_RESULTS, SIM_SWALLOW);
    sim_until(w, 5 * ROVE_SECOND, cast_b_serves, "B serves");
    (void)sim_move(cast.b, cast.d, cast.c, &cast.attempt);
    sim_pump(cast.b);
    sim_pass(w, 2 * ROVE_SECOND);
    if (cast_c_serves(w))
        sim_fail(w, "B has given the daemon away before A had all results");
    sim_rules_clear(w);
    sim_pass(w, 5 * ROVE_SECOND);
    if (first->fate != SIM_FATE_APPLIED || second->fate != SIM_FATE_APPLIED)
        sim_fail(w, "a diverted event has no outcome");
}

static rove_err refuses(sim_node *n, const rovei_effect *question)
{
    bool place = question->kind == ROVEI_EFFECT_ASK_PLACE;
    return place && n == cast.b ? ROVE_E_TARGET_NO_FACTORY : ROVE_OK;
}

/* The target returns without the kind: the move goes on for ever, says why, and nobody serves. */
void sim_play_f14(sim_world *w)
{
    cast_begin(w);
    sim_rule(w, cast.a, cast.b, ROVEI_TAG_MOVE, ROVEI_MOVE_COMMIT, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_a_committed, "A has committed");
    sim_node_crash(cast.b);
    sim_pass(w, 100 * MS);
    sim_rules_clear(w);
    sim_cells_policy(w, refuses);
    sim_return(cast.b);
    sim_pass(w, 20 * ROVE_SECOND);
    rovei_move_info info;
    if (rovei_node_move_get(cast.a->core, &cast.attempt, &info) ||
        info.outcome != ROVEI_OUTCOME_RUNNING || info.reason != ROVE_E_TARGET_NO_FACTORY)
        sim_fail(w, "the move does not say that the target refuses");
    if (!cast_a_committed(w))
        sim_fail(w, "A does not keep what it has given away");
}

static bool a_stood_aside(sim_world *w)
{
    (void)w;
    return cast_has_role(cast.a, ROVEI_ROLE_ASIDE);
}

/* An operator forces a second copy while A is cut off. When A hears of the higher record it stops
 * at once, keeps what it has aside, and its senders hear what the other copy does not have. */
void sim_play_f4b(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.client);
    const sim_event *lost = cast.event;
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_cut_pair(w, cast.a, cast.c, true);
    sim_pass(w, 5 * ROVE_SECOND);
    w->forced = true;
    cast.d->crashed = true; /* what follows is the operator's doing */
    if (!sim_cell_spawn_forced(cast.c, cast.d))
        sim_fail(w, "the forced spawn is not taken");
    sim_pump(cast.c);
    sim_until(w, 5 * ROVE_SECOND, cast_c_serves, "C serves on an operator's word");
    const rovei_daemon *r = rovei_daemon_find(cast.c->core, &cast.d->entity);
    if (r->epoch != ROVEI_EPOCH_FORCED + 1 || r->sinc.number != r->epoch)
        sim_fail(w, "the forced epoch is not the highest known plus 2^32");
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_cut_pair(w, cast.a, cast.c, false);
    sim_until(w, 60 * ROVE_SECOND, a_stood_aside, "A stands aside");
    cast_apply(w, cast.client);
    sim_pass(w, 2 * ROVE_SECOND);
    if (lost->fate != SIM_FATE_LOST)
        sim_fail(w, "nobody was told what the new copy does not have");
}
