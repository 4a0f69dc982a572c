/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves between Rove nodes (docs/protocol.md, "Moves"): one machine with a source half and a target
 * half, and orders of other nodes to the source; its messages are behind migration/move_codec.h.
 * The reference's messages have their place beside it. */
#ifndef ROVEI_MIGRATION_MOVES_H
#define ROVEI_MIGRATION_MOVES_H

#include <compute/daemon.h>

struct rovei_pipe;  /* node/core.h */
struct rovei_moves; /* attempts that run and outcomes that are kept */
ROVE_MUST_USE rove_err rovei_moves_new(struct rovei_moves **ret, rovei_node *n);
void rovei_moves_free(struct rovei_moves *m);

/* A message with the tag MOVE. */
/* ... that came through the peer's stream `via`. */
void rovei_moves_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                         const struct rovei_pipe *via, rove_buf *message);
void rovei_moves_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_moves_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_moves_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer);
/* Completions FROZEN, DIVERTED, COMMITTED, RESTORED, ACTIVATED, STATE_..., APPLIED of a diverted
 * event (ticket 0), and ANSWER to a question of a move. They take what they need out of `c`. */
void rovei_moves_complete(rovei_node *n, rovei_now now, rovei_completion *c);
/* The transport towards a peer has room again: State chunks go on. Once per turn. */
void rovei_moves_turn(rovei_node *n, rovei_now now);
/* A record with a higher right names this holder. True: it is where this node's committed move in
 * class net went; the move is complete, and the daemon's record here is gone. */
bool rovei_moves_arrived(rovei_now now, rovei_daemon *d, const rove_entity *holder);
/* The daemon was superseded or is being removed: its attempts end with `err`, without touching the
 * daemon. */
void rovei_moves_detach(rovei_node *n, rovei_now now, rovei_daemon *d, rove_err err);
/* What this node ordered elsewhere ends here with E_SHUTTING_DOWN; the sources go on. */
void rovei_orders_shutdown(rovei_node *n, rovei_now now);
/* This node has accepted an attempt of `from` to give it the daemon with this epoch, or the one
 * after it: what that source says of its right is believed. */
bool rovei_moves_accepted(const rovei_node *n, const rove_entity *daemon, const rove_entity *from,
                          uint64_t epoch);
void rovei_moves_check(const rovei_node *n);

#endif
