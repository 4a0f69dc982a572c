/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold, looked at after every step and at the end. A broken rule ends the seed with
 * sim_fail. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "truth.h"

/* One order to move, as the simulator gave it. */
typedef struct sim_attempt {
    rovei_attempt_id id;
    sim_daemon *daemon;
    sim_node *source, *target;
    uint32_t source_life, target_life;
    rovei_move_outcome outcome; /* as the source said */
    rove_err reason;
    bool committed;
    bool vetoed; /* the target could not restore */
} sim_attempt;

void sim_check_node(sim_node *n);
void sim_check_world(sim_world *w);
/* Around each arriving datagram: one that came before changes nothing. */
void sim_check_before_datagram(sim_node *n, const sim_datagram *d);
void sim_check_after_datagram(sim_node *n, const sim_datagram *d);
/* Before a crash: what may be lost with this node. */
void sim_check_crash(sim_node *n, bool in_order);
/* Datagrams given to a core against what it counted. */
void sim_check_packets(sim_node *n);
/* The target of an attempt said no. */
void sim_check_veto(sim_world *w, const rovei_attempt_id *id);
void sim_check_forget(sim_cell *c, rove_err err);
/* The tap of every node; `user` is the node. */
bool sim_check_tap(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body);

/* After the faults: true when everything has come to rest. */
bool sim_check_rest(sim_world *w);
/* What keeps it from resting, in words. */
void sim_check_unrest(sim_world *w);
/* Every daemon serves at one node, or stands in a cell of the table that names an operator, or is
 * gone by a crash that the table names. */
void sim_check_places(sim_world *w);
/* The node that serves a daemon, or NULL. */
sim_node *sim_check_host(sim_world *w, const sim_daemon *d);
/* All that was acknowledged is in the line or was reported lost. */
void sim_check_fates(sim_world *w);

void sim_attempt_add(sim_world *w, const sim_attempt *a);
/* The last one that was to bring the daemon to that node. */
sim_attempt *sim_attempt_towards(sim_world *w, const sim_daemon *d, const sim_node *target);
sim_attempt *sim_attempt_find(sim_world *w, const rovei_attempt_id *id);

#endif
