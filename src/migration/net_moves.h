/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves to and from peers of class net (docs/protocol/net-moves.md): what the node hands to them.
 */
#ifndef ROVEI_MIGRATION_NET_MOVES_H
#define ROVEI_MIGRATION_NET_MOVES_H

#include <node/node.h>

/* One message of subprotocol 0x0500 from a peer that has a session; the reference stays the
 * caller's. */
void rovei_net_moves_receive(rovei_node *n, rovei_now now, uint64_t node_id, rove_buf *message);
/* A session came to stand, or a peer that had failed is heard again. */
void rovei_net_moves_peer_up(rovei_node *n, rovei_now now, uint64_t node_id);
void rovei_net_moves_peer_failed(rovei_node *n, rovei_now now, uint64_t node_id);

#endif
