/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves to and from peers of class net (docs/protocol/net-moves.md): what the node hands to them.
 */
#ifndef ROVEI_MIGRATION_NET_MOVES_H
#define ROVEI_MIGRATION_NET_MOVES_H

#include <migration/net_codec.h>
#include <node/node.h>

struct rovei_net_moves; /* records and what is half there */
ROVE_MUST_USE rove_err rovei_net_moves_new(struct rovei_net_moves **ret, rovei_node *n);
void rovei_net_moves_free(struct rovei_net_moves *m);

/* One message of subprotocol 0x0500 from a peer that has a session; the reference stays the
 * caller's. */
void rovei_net_moves_receive(rovei_node *n, rovei_now now, uint64_t node_id, rovei_net_stamp stamp,
                             rove_buf *message);
/* A session came to stand, or a peer that had failed is heard again. */
void rovei_net_moves_peer_up(rovei_node *n, rovei_now now, uint64_t node_id);
void rovei_net_moves_peer_failed(rovei_node *n, rovei_now now, uint64_t node_id);
/* Once per turn: what this node has said to itself. */
void rovei_net_moves_turn(rovei_node *n, rovei_now now);
void rovei_net_moves_check(const rovei_node *n);

/* All that could be asked about a daemon that arrives was answered, or the time for it is over. */
void rovei_net_target_asked(rovei_node *n, rovei_now now, const rove_entity *daemon);

/* Messages by type (rovei_netmove_type_name); ROVEI_NETMOVE_TYPES: of no type. */
typedef struct rovei_net_move_stats {
    uint64_t received[ROVEI_NETMOVE_TYPES + 1];
    uint64_t sent[ROVEI_NETMOVE_TYPES + 1];
    uint64_t malformed[ROVEI_NETMOVE_TYPES + 1]; /* bytes wrong */
    uint64_t refused[ROVEI_NETMOVE_TYPES + 1];   /* sender not entitled, or nothing known of it */
    uint64_t out_of_phase[ROVEI_NETMOVE_TYPES + 1]; /* entitled, at a time where it means nothing */
    uint64_t unsent;                                /* no session, or no room */
    uint64_t to_self_dropped;                       /* beyond the bound of one turn */
} rovei_net_move_stats;
rovei_net_move_stats rovei_net_moves_stats(const rovei_node *n);

#endif
