/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: reliable, ordered, exactly-once-per-state events from a sender to a daemon wherever it
 * lives (docs/protocol.md, "Lanes"). Two halves: the host's (one rovei_lanes per daemon) and the
 * sender's (one rovei_sender per handle). Frames: compute/lane_codec.h. */
#ifndef ROVEI_COMPUTE_LANES_H
#define ROVEI_COMPUTE_LANES_H

#include <compute/daemon.h>

/* ---- host half ---- */
ROVE_MUST_USE rove_err rovei_lanes_new(struct rovei_lanes **ret, rovei_node *n, rovei_daemon *d);
/* The set of a daemon that may have none yet: it gets one with the first frame, or when it is about
 * to travel. Until then a NULL stands for it in _free, _count, _serve, _depart and _stop. E_NOMEM.
 */
ROVE_MUST_USE rove_err rovei_lanes_make(rovei_node *n, rovei_daemon *d);
void rovei_lanes_free(struct rovei_lanes *l);
size_t rovei_lanes_count(const struct rovei_lanes *l);
/* The freeze point has been reached: queues are forgotten, positions stand, every further frame is
 * answered with Moving (and counted in *held_back, which is the attempt's, once per event). */
void rovei_lanes_freeze(struct rovei_lanes *l, rovei_now now, uint64_t *held_back);
/* Serves again, or begins to serve (after an abort, at activation): tells every open lane's sender
 * where it stands. */
void rovei_lanes_serve(struct rovei_lanes *l, rovei_now now);
/* The daemon was given away: pushes the record to every open lane (W2). From now on frames are
 * answered with the record. To a holder of class net no lane goes: then each is ended, with all
 * outcomes and the position that they lead to, so that its sender knows of every event. */
void rovei_lanes_depart(struct rovei_lanes *l, rovei_now now, const rovei_record *record);
/* An event was applied (or reported an error): position, outcome and outputs move together. */
void rovei_lanes_applied(struct rovei_lanes *l, rovei_now now, rovei_completion *c);
/* When events of a daemon were applied here, under this epoch. */
typedef struct rovei_pace {
    uint64_t first, last; /* monotonic; 0 = none */
    uint64_t widest_gap;  /* between two, since it came or was ordered away */
} rovei_pace;
void rovei_lanes_note_applied(struct rovei_lanes *l, uint64_t at);
rovei_pace rovei_lanes_pace(const struct rovei_lanes *l);
void rovei_lanes_forget_gap(struct rovei_lanes *l);
/* Once per turn, for all that put themselves into n->busy_lanes and n->busy_senders: feeds
 * mailboxes round robin, writes pending answers and events. */
void rovei_lanes_turn(rovei_node *n, rovei_now now);
/* An answer to a question about a lane (policy). */
void rovei_lanes_answer(struct rovei_lanes *l, rovei_now now, uint64_t ticket, rove_err verdict);

/* The daemon is being stopped for good: tells every open lane's sender. */
void rovei_lanes_stop(struct rovei_lanes *l, rovei_now now);

/* What travels: lanes with position, closed flag, age, unconfirmed outcomes and outputs. Writes one
 * counted buffer; E_NOMEM. */
ROVE_MUST_USE rove_err rovei_lanes_export(const struct rovei_lanes *l, rovei_now now,
                                          rove_buf **ret);
/* Into an empty set; every bound checked. Errors of the codec. */
ROVE_MUST_USE rove_err rovei_lanes_import(struct rovei_lanes *l, rovei_now now, rove_span bytes);

/* ---- sender half ---- */
typedef struct rovei_sender rovei_sender;
/* A new record of a daemon is known: senders to it look there. */
void rovei_senders_located(rovei_node *n, rovei_now now, const rove_entity *daemon);
/* Nobody answers for a daemon, or somebody does again. */
void rovei_senders_unreachable(rovei_node *n, rovei_now now, const rove_entity *daemon);

/* ---- both ---- */
/* A message with the tag LANE (to the host half) or OUTCOME (to the sender half). */
void rovei_lanes_receive(rovei_node *n, rovei_now now, const rove_entity *from, uint16_t tag,
                         rove_buf *message);
void rovei_lanes_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_lanes_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_lanes_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_senders_free_all(rovei_node *n);
void rovei_lanes_check(const rovei_node *n);

#endif
