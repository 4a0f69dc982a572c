/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults: cuts in one direction or both, bad stretches of the network, crashes and returns, old
 * datagrams that come again. Drawn at random until the calm. */
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "world.h"

void sim_nemesis_begin(sim_world *w, uint64_t until);
/* A move has come to its next phase: sometimes one of its two nodes crashes just then, or they are
 * cut off from each other. */
void sim_nemesis_phase(sim_world *w, sim_node *from, sim_node *to);
/* Ends all faults: the network is whole and clean, every node that can return is back. */
void sim_nemesis_end(sim_world *w);

#endif
