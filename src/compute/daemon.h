/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's record of a daemon that is, or is about to be, on this node: who it is, in which role
 * this node holds it, its lanes, and the move that it is part of. The instance itself is a cell
 * outside. */
#ifndef ROVEI_COMPUTE_DAEMON_H
#define ROVEI_COMPUTE_DAEMON_H

#include <base/list.h>
#include <base/timer.h>
#include <compute/location.h>

/* Role of this node for the daemon. Lines: who may follow whom (compute/daemon.c has the table and
 * checks every change). */
typedef enum rovei_role {
    ROVEI_ROLE_CLAIMING, /* spawn has asked around and waits */
    ROVEI_ROLE_SERVING,
    ROVEI_ROLE_FREEZING,   /* FREEZE is under way; events before it still complete */
    ROVEI_ROLE_FROZEN,     /* source: state taken, not committed */
    ROVEI_ROLE_COMMITTING, /* source: COMMIT is under way; no way back */
    ROVEI_ROLE_COMMITTED,  /* source: given away, kept until Active */
    ROVEI_ROLE_RECEIVING,  /* target: Offer accepted, the transfer is coming */
    ROVEI_ROLE_RESTORING,  /* target: RESTORE is under way */
    ROVEI_ROLE_PREPARED,   /* target: could serve, waits for the commit */
    ROVEI_ROLE_ACTIVATING, /* target: ACTIVATE is under way */
    ROVEI_ROLE_ASIDE,      /* superseded: kept for the operator, serves nobody */
} rovei_role;

struct rovei_lanes;  /* compute/lanes.h: host side of the lanes */
struct rovei_source; /* migration/: what a source keeps of the running attempt */
struct rovei_target; /* migration/: what a target keeps until Closed */

typedef struct rovei_daemon {
    rovei_node *node;
    rove_entity entity;
    char *kind;
    rovei_keypair *key; /* one reference; NULL while receiving */
    uint64_t cell;      /* 0 while there is none */
    rovei_role role;
    bool shutting_down;
    bool forced;         /* this epoch was taken by force */
    bool given;          /* spawned here under an identity that was given, not drawn */
    bool aside_owed;     /* the effect ASIDE could not be queued yet */
    uint64_t role_since; /* monotonic */
    uint64_t epoch;      /* that this node holds, or that it would get */
    rovei_sinc sinc;
    struct rovei_lanes *lanes;           /* NULL before the first frame */
    rovei_list feeds;                    /* its subscriptions (channel/feeds.h) */
    struct rovei_outlet *outlet;         /* its channel (channel/outlet.h), or NULL */
    struct rovei_source *source;         /* while it gives the daemon away */
    struct rovei_target *target;         /* from an accepted Offer until Closed */
    struct rovei_net_source *net_source; /* the same with a peer of class net */
    struct rovei_net_target *net_target;
    rovei_timer renew;         /* signs the location record anew */
    const char *note;          /* static text for the operator, or NULL */
    uint64_t cell_key;         /* its key in the table of cells: the cell, or a number of its own */
    struct rovei_claim *claim; /* while CLAIMING */
} rovei_daemon;

rovei_daemon *rovei_daemon_find(const rovei_node *n, const rove_entity *entity);
/* By its origin hash, which at most one daemon here has. */
rovei_daemon *rovei_daemon_by_origin(const rovei_node *n, uint64_t origin);
rovei_daemon *rovei_daemon_by_cell(const rovei_node *n, uint64_t cell);
/* Adds a record; E_EXISTS, E_ORIGIN_TAKEN (another entity, same origin), E_FULL, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_daemon_add(rovei_node *n, rovei_now now, const rove_entity *entity,
                                        const char *kind, rovei_keypair *key, rovei_role role,
                                        rovei_daemon **ret);
/* Frees the record with its lanes; the cell, if any, is forgotten with `err`. */
void rovei_daemon_remove(rovei_node *n, rovei_daemon *d, rove_err err);
/* The table's check and the change. */
void rovei_daemon_set_role(rovei_node *n, rovei_now now, rovei_daemon *d, rovei_role role);
void rovei_daemon_set_cell(rovei_node *n, rovei_daemon *d, uint64_t cell);
/* It is part of a move. */
static inline bool rovei_daemon_moves(const rovei_daemon *d)
{
    return d->source || d->target || d->net_source || d->net_target;
}
/* Only this role applies events and answers lanes with more than Moving. */
static inline bool rovei_daemon_serves(const rovei_daemon *d)
{
    return d->role == ROVEI_ROLE_SERVING || d->role == ROVEI_ROLE_FREEZING;
}
/* Begins to serve: signs and publishes the record, wakes the lanes. */
ROVE_MUST_USE rove_err rovei_daemon_serve(rovei_node *n, rovei_now now, rovei_daemon *d);
/* A daemon that serves takes a forced right above `epoch` and publishes it. E_BOUND: there is none;
 * E_NOMEM. Its right is what it was then. */
ROVE_MUST_USE rove_err rovei_daemon_outbid(rovei_node *n, rovei_now now, rovei_daemon *d,
                                           uint64_t epoch);
/* A record above this node's right has been seen (W1): stops at once. */
void rovei_daemon_superseded(rovei_node *n, rovei_now now, rovei_daemon *d,
                             const rovei_record *higher);
/* A new incarnation of the state: number + 1, or `forced_number` unless that is 0. */
void rovei_daemon_raise_sinc(const rovei_node *n, rovei_daemon *d, uint64_t forced_number);
/* The note SPAWNED of a claim (compute/spawn.c); rovei_daemon_remove says it of one that is cut
 * short. */
void rovei_spawn_note(rovei_node *n, const rovei_daemon *d, rove_err err);
/* All records go, without effects: the node is being freed. */
void rovei_daemons_free_all(rovei_node *n);
void rovei_daemons_check(const rovei_node *n);

#endif
