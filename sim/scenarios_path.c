/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of thieves: copies of datagrams that arrive before the real ones, from an address of
 * somebody else. */
#include "cast.h"
#include "scenarios.h"

static uint64_t already; /* stolen before */

static bool stolen(sim_world *w)
{
    return w->net.stolen > already;
}

static void check_place(sim_world *w)
{
    rovei_peer_info b;
    if (rovei_mesh_peer(rovei_node_mesh(cast.a->core), &cast.b->entity, &b) ||
        !rovei_addr_equal(&b.addr, &cast.b->addr))
        sim_fail(w, "A sends to the thief");
}

/* The daemon is on A and B sends to it; the answers go to B all the time. */
void sim_play_thief(sim_world *w)
{
    cast_begin(w);
    cast.other = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.other);
    for (unsigned i = 1; i <= 10; i++) {
        already = w->net.stolen;
        sim_net_steal(w, cast.b->index, cast.a->index, 0, i);
        cast_send(cast.other);
        sim_until(w, 5 * ROVE_SECOND, stolen, "the thief was quicker");
        for (int k = 0; k < 20; k++) {
            sim_pass(w, MS / 20);
            check_place(w);
        }
        sim_until(w, 5 * ROVE_SECOND, cast_event_applied, "the event is applied");
    }
}

/* What is stolen is small, and the real peer is silent for a while afterwards: it is asked as often
 * as it can be, and no more. */
void sim_play_thief_in_silence(sim_world *w)
{
    cast_begin(w);
    sim_pass(w, 3 * ROVE_SECOND);
    already = w->net.stolen;
    sim_net_steal(w, cast.b->index, cast.a->index, 0, 1);
    sim_until(w, 5 * ROVE_SECOND, stolen, "the thief was quicker");
    sim_cut_pair(w, cast.a, cast.b, true);
    uint64_t before = w->net.thieves[0].received;
    sim_pass(w, 8 * ROVE_SECOND);
    if (w->net.thieves[0].received == before)
        sim_fail(w, "nobody asked the thief: the scenario shows nothing");
    sim_cut_pair(w, cast.a, cast.b, false);
    sim_pass(w, 5 * ROVE_SECOND);
}
