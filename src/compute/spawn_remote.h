/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning on another node: requests of this node, and those that others make here. A request is
 * known by who asks and its number; one that comes again gets the same answer, and nothing is
 * spawned twice. (docs/protocol/placement.md, "Spawning elsewhere") */
#ifndef ROVEI_COMPUTE_SPAWN_REMOTE_H
#define ROVEI_COMPUTE_SPAWN_REMOTE_H

#include <node/node.h>

struct rovei_spawns;
ROVE_MUST_USE rove_err rovei_spawns_new(struct rovei_spawns **ret, rovei_node *n);
void rovei_spawns_free(struct rovei_spawns *s); /* NULL is fine */

/* What another node is asked for. */
typedef struct rovei_spawn_order {
    rove_entity peer; /* of class rove */
    const char *kind;
    rovei_keypair *key;  /* of the daemon, with its secret; NULL: the peer draws one */
    bool force;          /* of a given key: whatever is known of it */
    const char *channel; /* for its outputs; NULL or empty: none */
} rovei_spawn_order;
/* The note SPAWNED_THERE says with *ret_request how it ended: what the peer answered, or
 * E_SPAWN_UNKNOWN when `spawn_wait` is over, or the peer has restarted, before it did.
 * E_UNREACHABLE, E_SAME_NODE, E_FULL (spawns_max), E_USAGE (the kind's name),
 * E_IDENTITY_TRANSPORT, E_NOMEM: nothing was asked. */
ROVE_MUST_USE rove_err rovei_node_spawn_there(rovei_node *n, rovei_now now,
                                              const rovei_spawn_order *o, uint64_t *ret_request);
/* How what EFFECT_SPAWN asked for has ended; `daemon` and `epoch` without an error. */
void rovei_node_spawned_here(rovei_node *n, rovei_now now, uint64_t ticket, rove_err err,
                             const rove_entity *daemon, uint64_t epoch);

void rovei_spawns_receive(rovei_node *n, rovei_now now, const rove_entity *from, rove_buf *message);
void rovei_spawns_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
/* Invariants: aborts when one is broken. */
void rovei_spawns_check(const rovei_node *n);

#endif
