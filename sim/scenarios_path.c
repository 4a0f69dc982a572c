/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of thieves: copies of datagrams that arrive before the real ones, from an address of
 * somebody else. */
#include "cast.h"
#include "scenarios.h"

static bool stolen(sim_world *w)
{
    return w->net.stolen > 0;
}

/* The daemon is on B and A sends to it; the answers go to A all the time. */
void sim_play_thief(sim_world *w)
{
    cast_begin(w);
    cast.other = sim_client_open(cast.b, cast.d);
    cast_apply(w, cast.other);
    sim_net_steal(w, cast.b->index, cast.a->index, 0, 5);
    cast_send(cast.other);
    sim_until(w, 5 * ROVE_SECOND, stolen, "the thief was quicker");
    rovei_peer_info b;
    for (int i = 0; i < 10; i++) {
        cast_apply(w, cast.other);
        if (rovei_mesh_peer(rovei_node_mesh(cast.a->core), &cast.b->entity, &b) ||
            !rovei_addr_equal(&b.addr, &cast.b->addr))
            sim_fail(w, "A sends to the thief");
    }
}

/* What is stolen is small, and the real peer is silent for a while afterwards: it is asked as often
 * as it can be, and no more. */
void sim_play_thief_in_silence(sim_world *w)
{
    cast_begin(w);
    sim_pass(w, 3 * ROVE_SECOND);
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
