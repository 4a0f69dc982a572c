/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's side of gossip: what it announces of itself, and the pipes over which announcements
 * go to peers of both classes. */
#ifndef ROVEI_NODE_ANNOUNCE_H
#define ROVEI_NODE_ANNOUNCE_H

#include <capability/gossip.h>
#include <node/node.h>

struct rovei_announcer;

ROVE_MUST_USE rove_err rovei_announcer_new(struct rovei_announcer **ret, rovei_node *n,
                                           rovei_now now);
void rovei_announcer_free(struct rovei_announcer *a); /* NULL is fine */
/* A session with the peer stands, or has failed or gone. */
void rovei_announcer_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_announcer_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_announcer_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                             rove_buf *message);
/* Sends what waits. */
void rovei_announcer_turn(rovei_node *n, rovei_now now);
uint64_t rovei_announcer_deadline(const rovei_node *n);
void rovei_announcer_expire(rovei_node *n, rovei_now now);

#endif
