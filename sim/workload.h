/* SPDX-License-Identifier: Apache-2.0
 *
 * What the users of the nodes do: clients with lanes, local delivers, spawns, moves, cancels,
 * stops; drawn at random, or called by a scenario. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "truth.h"

struct sim_client {
    sim_client *next;
    char name[12]; /* "s1@A" */
    sim_node *node;
    uint32_t life;
    uint64_t sender; /* the core's number */
    sim_daemon *daemon;
    uint64_t source;
    sim_event **events; /* by number - 1 */
    size_t count, room;
    bool wants_room, closed, dropped, ended, dead, unreachable;
};

/* Limits scaled so that everything that a timer does happens within a seed. */
void sim_limits(sim_world *w);
/* A node with smaller limits than the others, the same at each of its starts. */
void sim_limits_of_node(sim_node *n);
void sim_work_note(sim_node *n, const rovei_note *note);

/* ---- single deeds ---- */
sim_client *sim_client_open(sim_node *n, sim_daemon *d);
/* OK, E_WINDOW and the other answers of the core; the event, when there is one, in *ret. */
rove_err sim_client_send(sim_client *c, sim_event **ret);
void sim_client_close(sim_client *c, bool drop);
/* False when the node has no cell of the daemon. */
bool sim_deliver(sim_node *n, sim_daemon *d, sim_event **ret);
rove_err sim_move(sim_node *from, sim_daemon *d, sim_node *to, rovei_attempt_id *ret);

/* ---- the random workload ---- */
void sim_work_begin(sim_world *w, uint64_t until);
/* Node `n` crashes: its clients hear nothing any more. */
void sim_clients_node_gone(sim_node *n);
/* Every event of every client that lives has its outcome. */
bool sim_clients_rest(sim_world *w);
void sim_clients_close_all(sim_world *w);
bool sim_clients_ended(sim_world *w);
void sim_clients_free(sim_world *w);

#endif
