/* SPDX-License-Identifier: Apache-2.0
 *
 * What scenarios share: who plays, and the usual first act. One scenario runs at a time. */
#ifndef SIM_CAST_H
#define SIM_CAST_H

#include "cells.h"
#include "check.h"
#include "scenario.h"
#include "workload.h"
#include <compute/lane_codec.h>
#include <migration/move_codec.h>
#include <node/core.h>

#define MS ROVE_MILLISECOND

typedef struct sim_cast {
    sim_node *a, *b, *c;
    sim_daemon *d;
    sim_client *client, *other;
    sim_event *event;
    rovei_attempt_id attempt;
} sim_cast;
extern sim_cast cast;

static inline bool cast_serves(const sim_node *n)
{
    const rovei_daemon *r = n->up ? rovei_daemon_find(n->core, &cast.d->entity) : NULL;
    return r && r->role == ROVEI_ROLE_SERVING;
}
static inline bool cast_has_role(const sim_node *n, rovei_role role)
{
    const rovei_daemon *r = n->up ? rovei_daemon_find(n->core, &cast.d->entity) : NULL;
    return r && r->role == role;
}
bool cast_a_serves(sim_world *w);
bool cast_b_serves(sim_world *w);
bool cast_c_serves(sim_world *w);
bool cast_b_prepared(sim_world *w);
bool cast_a_committed(sim_world *w);
bool cast_a_frozen(sim_world *w);
bool cast_b_closed(sim_world *w); /* serves, and the former host has said Closed */
bool cast_event_applied(sim_world *w);
bool cast_event_told(sim_world *w);
bool cast_all_told(sim_world *w);

/* Sessions between all, and A serves a daemon. */
void cast_begin(sim_world *w);
/* Moves the daemon; the order must be taken. */
void cast_move(sim_world *w, sim_node *from, sim_node *to);
/* B serves and Active never reaches A, so that the move stays open at A. */
void cast_open_move(sim_world *w);
/* B crashes and returns; A, who has never heard Active, sends everything again. */
void cast_b_forgets(sim_world *w);
void cast_send(sim_client *c); /* the event is cast.event */
/* Sends and waits for the outcome, which must be "applied". */
void cast_apply(sim_world *w, sim_client *c);

#endif
