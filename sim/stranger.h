/* SPDX-License-Identifier: Apache-2.0
 *
 * A peer of class net that has a session with every node, has no part in any move, and says
 * everything that those who have a part would say, at any time: who believes it is no Rove node. */
#ifndef SIM_STRANGER_H
#define SIM_STRANGER_H

#include "world.h"

/* In every failure that it reports; no outcome of a move may have these words. */
#define SIM_STRANGER_WORDS "says the stranger"

typedef struct sim_stranger sim_stranger;
void sim_stranger_new(sim_world *w);
void sim_stranger_free(sim_world *w);
/* The node lists it, and it dials the node from now on. */
void sim_stranger_list(sim_stranger *s, sim_node *n);
rovei_addr sim_stranger_addr(void);
void sim_stranger_receive(sim_world *w, sim_datagram *d);
bool sim_stranger_is(const sim_world *w, const rove_entity *peer);
/* It lies until then. */
void sim_stranger_begin(sim_world *w, uint64_t until);

#endif
