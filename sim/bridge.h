/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net in a world: in some seeds the nodes live on two shores, in class rove among themselves
 * and in class net across, listed both ways. Lanes and records end at the water; daemons cross it
 * by moves alone. */
#ifndef SIM_BRIDGE_H
#define SIM_BRIDGE_H

#include "world.h"

/* Whether there are two shores, and who is where. */
void sim_bridge_draw(sim_world *w);
static inline bool sim_bridged(const sim_world *w)
{
    return w->shore != 0;
}
/* The two know each other in class net only. */
bool sim_bridge_between(const sim_node *a, const sim_node *b);
/* A node that has started lists the peers across. */
void sim_bridge_list(sim_node *n);
/* How `from` names `to` in an order. */
rove_entity sim_bridge_entity(const sim_node *from, const sim_node *to);
/* Every two across have a session. */
bool sim_bridge_rest(sim_world *w);
/* How many datagrams class net of a node has received; those that it neither took nor dropped for a
 * reason end the world. */
uint64_t sim_bridge_received(sim_node *n);

#endif
