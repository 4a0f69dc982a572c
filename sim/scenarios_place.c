/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of places and limits that random seeds have found: a sender that is not connected with
 * the holder has to get there through others, also through those whose knowledge is old. */
#include "cast.h"
#include "scenarios.h"

static bool line_up(sim_world *w)
{
    (void)w;
    rovei_peer_info ab, bc;
    return !rovei_mesh_peer(rovei_node_mesh(cast.a->core), &cast.b->entity, &ab) &&
           !rovei_mesh_peer(rovei_node_mesh(cast.c->core), &cast.b->entity, &bc) &&
           ab.state == ROVEI_PEER_UP && bc.state == ROVEI_PEER_UP;
}

/* A and C are connected with B and not with each other; `host` serves a daemon. */
static void begin_line(sim_world *w, sim_node *host, bool (*serves)(sim_world *w))
{
    cast = (sim_cast){.a = &w->nodes[0], .b = &w->nodes[1], .c = &w->nodes[2]};
    sim_node_connect(cast.a, cast.b);
    sim_node_connect(cast.c, cast.b);
    sim_until(w, 5 * ROVE_SECOND, line_up, "sessions along the line");
    cast.d = sim_daemon_new(w);
    if (!sim_cell_spawn(host, cast.d))
        sim_fail(w, "the daemon cannot be spawned");
    sim_pump(host);
    sim_until(w, 2 * ROVE_SECOND, serves, "the daemon is served");
}

/* C hears through B where the daemon is, and dials A at once, not at its next search. */
void sim_play_dials_at_once(sim_world *w)
{
    begin_line(w, &w->nodes[0], cast_a_serves);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_send(cast.client);
    sim_until(w, 500 * MS, cast_event_applied, "the event is applied");
}

/* B has known a record for so long that its addresses are not used any more: it asks on. */
void sim_play_old_record(sim_world *w)
{
    w->nodes[0].env.limits.record_life = 8 * ROVE_SECOND;
    begin_line(w, &w->nodes[0], cast_a_serves);
    cast.other = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.other);
    sim_client_close(cast.other, false);
    sim_pump(cast.b);
    sim_pass(w, 30 * ROVE_SECOND);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_send(cast.client);
    sim_until(w, 5 * ROVE_SECOND, cast_event_applied, "the event is applied");
}

/* The daemon has gone from B to A. B forgets, and hears again only that it was the holder once; C
 * has heard no more than that. Both have to ask on. */
void sim_play_both_behind(sim_world *w)
{
    begin_line(w, &w->nodes[1], cast_b_serves);
    cast.client = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    sim_client_close(cast.client, false);
    sim_pump(cast.c);
    sim_pass(w, ROVE_SECOND);
    sim_cut_pair(w, cast.b, cast.c, true);
    cast_move(w, cast.b, cast.a);
    sim_until(w, 5 * ROVE_SECOND, cast_a_serves, "A serves");
    sim_pass(w, ROVE_SECOND);
    sim_node_crash(cast.b);
    sim_cut_pair(w, cast.a, cast.b, true);
    sim_cut_pair(w, cast.b, cast.c, false);
    sim_node_start(cast.b);
    sim_node_connect(cast.b, cast.c);
    cast.other = sim_client_open(cast.b, cast.d);
    cast_send(cast.other);
    sim_pass(w, 3 * ROVE_SECOND);
    sim_client_close(cast.other, true);
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_node_connect(cast.b, cast.a);
    sim_until(w, 10 * ROVE_SECOND, line_up, "sessions along the line");
    cast.client = sim_client_open(cast.c, cast.d);
    cast_send(cast.client);
    sim_until(w, 500 * MS, cast_event_applied, "the event is applied");
}

/* The target takes smaller events than the source: what was diverted has its outcome all the same.
 */
void sim_play_large_diverted(sim_world *w)
{
    sim_event *events[24] = {NULL};
    cast_begin(w);
    cast.b->env.limits.event_max = 64;
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_PREPARED, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_a_frozen, "A has frozen the daemon");
    size_t largest = 0;
    for (size_t i = 0; i < 24; i++) {
        if (!sim_deliver(cast.a, cast.d, &events[i]))
            sim_fail(w, "A has no cell");
        else if (sim_event_size(events[i]) > largest)
            largest = sim_event_size(events[i]);
    }
    if (largest <= 64)
        sim_fail(w, "no event is large enough: the scenario shows nothing");
    sim_pass(w, 50 * MS);
    sim_rules_clear(w);
    sim_until(w, 10 * ROVE_SECOND, cast_b_closed, "the move is closed");
    for (size_t i = 0; i < 24; i++)
        if (events[i] && events[i]->fate != SIM_FATE_APPLIED)
            sim_fail(w, "a diverted event is not applied");
}
