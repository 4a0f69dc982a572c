/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing: every node has two channels, one that is open and one that demands a token, and
 * daemons are subscribed to some of them. What was published is numbered, so that what a daemon
 * applies can be compared with what it should. A publication is an event without a sender; its
 * payload names the channel, the life of its node (which makes its channels anew at each start),
 * and the number there. */
#ifndef SIM_PUBLISHING_H
#define SIM_PUBLISHING_H

#include "truth.h"

/* ---- what is done: publishing.c ---- */
void sim_publishing_limits(sim_world *w);
/* In a world of one class whose nodes all have the same limits, and with its own kind. */
void sim_publishing_begin(sim_world *w, uint64_t until);
/* A node has started; is about to lose what it counted. */
void sim_publishing_start(sim_node *n);
void sim_publishing_drop(sim_node *n);
void sim_publishing_note(sim_node *n, const rovei_note *note);

/* A channel is named by its seat: publisher x 2, + 1 for the one with the gate. */
rove_span sim_channel_name(unsigned seat);
uint64_t sim_channel_hash(unsigned seat);

/* ---- what has to come of it: publications.c ---- */
/* The number that begins a payload: whether it is a publication's, and its parts. */
uint64_t sim_publication(const sim_node *n, unsigned seat, uint64_t number);
bool sim_is_publication(uint64_t id);
unsigned sim_publication_seat(uint64_t id);
uint64_t sim_publication_number(uint64_t id);
size_t sim_publication_size(uint64_t id);

/* An instance applies one: numbers of a channel grow, and are only left out where the nodes have
 * counted them as lost. True: it fails on purpose. */
bool sim_publishing_apply(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                          rove_span payload);
/* A node says something: what comes through a gate goes to those alone who have a right. */
void sim_publishing_tap(const sim_node *n, const rove_entity *to, const sim_message *m);
/* The line of a daemon goes back to its first `keep` events. */
void sim_publishing_cut(sim_daemon *d, size_t keep);

/* After the faults: every subscription of a daemon that is served is where its publisher is, or is
 * refused with reason; and nobody is fed who has no use for it. */
bool sim_publishing_rest(sim_world *w);
void sim_publishing_unrest(sim_world *w);
/* No daemon has lost a subscription on its way, and none lacks the end of what was published. */
void sim_publishing_check(sim_world *w);

#endif
