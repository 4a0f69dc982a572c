/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a daemon is to be: choices over the index. Pure: they look and answer, and nothing is
 * reserved or remembered. (docs/protocol/placement.md, "The scheduler") */
#ifndef ROVEI_CAPABILITY_SCHEDULER_H
#define ROVEI_CAPABILITY_SCHEDULER_H

#include <capability/index.h>

typedef enum rovei_place_reason {
    ROVEI_PLACE_LOCAL_PREFERRED = 1, /* this node can, and is taken before others */
    ROVEI_PLACE_ONLY_CANDIDATE,
    ROVEI_PLACE_FIRST_MATCH, /* of several the lowest node id */
    ROVEI_PLACE_PINNED,      /* as asked for, unchecked */
    ROVEI_PLACE_BEST_SCORE,
} rovei_place_reason;
const char *rovei_place_reason_name(rovei_place_reason r); /* "LocalPreferred", ... */

typedef struct rovei_placement {
    uint64_t node;
    rovei_place_reason reason;
} rovei_placement;

/* What the choices are made over; borrows. `local_caps` NULL: an empty set. */
typedef struct rovei_scheduler {
    const rovei_index *index;
    uint64_t local;
    const rovei_caps *local_caps;
} rovei_scheduler;

/* How good a candidate is, when it is none at all: false. Not a number, or infinite, is none
 * either. */
typedef bool rovei_score_fn(const void *user, const rovei_index_entry *candidate, double *ret);
typedef struct rovei_scorer {
    rovei_score_fn *score; /* NULL: 1.0 for every one */
    const void *user;
} rovei_scorer;
/* What decides among equal scores, in this order; then the lower node id. Members may be NULL. */
typedef struct rovei_tie_break {
    /* Round trip time in nanoseconds; false: not known, which comes behind every known one. */
    bool (*rtt)(const void *user, uint64_t node, uint64_t *ret);
    /* How much of what a daemon needs is free there: more is better. */
    double (*free_resource)(const void *user, uint64_t node);
    const void *user;
} rovei_tie_break;

/* Nodes left out of a choice. */
typedef struct rovei_node_set {
    const uint64_t *nodes;
    size_t count;
} rovei_node_set;

/* All: E_NO_CANDIDATE when no node fits. */
ROVE_MUST_USE rove_err rovei_place(const rovei_scheduler *s, const rovei_filter *f,
                                   rovei_placement *ret);
/* `drained`: this node is no candidate. */
ROVE_MUST_USE rove_err rovei_place_with_locality(const rovei_scheduler *s, const rovei_filter *f,
                                                 bool drained, rovei_placement *ret);
/* The first choice that is not excluded, this node before others. */
ROVE_MUST_USE rove_err rovei_place_with_spread(const rovei_scheduler *s, const rovei_filter *f,
                                               rovei_node_set exclude, rovei_placement *ret);
rovei_placement rovei_pin(uint64_t node);
bool rovei_can_run_locally(const rovei_scheduler *s, const rovei_filter *f);
/* Nodes with the tag subprotocol:0x<id>, ascending: *it begins as 0. */
const rovei_index_entry *rovei_next_subprotocol_node(const rovei_scheduler *s, uint16_t id,
                                                     size_t *it);
/* Nodes that take a daemon from `source`: selected by the filter, tagged subprotocol:0x0500. */
const rovei_index_entry *rovei_next_migration_target(const rovei_scheduler *s,
                                                     const rovei_filter *f, uint64_t source,
                                                     size_t *it);
ROVE_MUST_USE rove_err rovei_place_migration(const rovei_scheduler *s, const rovei_filter *f,
                                             uint64_t source, rovei_placement *ret);
ROVE_MUST_USE rove_err rovei_select_migration_target(const rovei_scheduler *s,
                                                     const rovei_filter *f, uint64_t source,
                                                     const rovei_scorer *scorer,
                                                     const rovei_tie_break *tie,
                                                     rovei_placement *ret);
ROVE_MUST_USE rove_err rovei_place_migration_v2(const rovei_scheduler *s, const rovei_filter *f,
                                                uint64_t source, rovei_placement *ret);
ROVE_MUST_USE rove_err rovei_select_member_node(const rovei_scheduler *s, const rovei_filter *f,
                                                rovei_node_set exclude, const rovei_scorer *scorer,
                                                const rovei_tie_break *tie, rovei_placement *ret);
/* Among the given nodes; those that are not in the index are none. */
ROVE_MUST_USE rove_err rovei_select_promotion_target(const rovei_scheduler *s,
                                                     rovei_node_set roster,
                                                     const rovei_scorer *scorer,
                                                     const rovei_tie_break *tie,
                                                     rovei_placement *ret);

#endif
