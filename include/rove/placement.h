/* SPDX-License-Identifier: Apache-2.0
 *
 * Where daemons go: choices over what the nodes of the mesh have announced. A kind says what a node
 * must have (rove_kind.requirements) and should have (rove_kind.preferences), each a condition as
 * docs/protocol/placement.md, "Conditions", writes them; a plain tag is one. Only nodes that can be
 * reached are chosen. docs/protocol/placement.md, "Choosing". */
#ifndef ROVE_PLACEMENT_H
#define ROVE_PLACEMENT_H

#include <rove/runtime.h>

ROVE_BEGIN_DECLS

typedef enum rove_place_reason {
    ROVE_PLACE_LOCAL_PREFERRED = 1, /* this node can, and goes before others */
    ROVE_PLACE_ONLY_CANDIDATE,
    ROVE_PLACE_FIRST_MATCH,
    ROVE_PLACE_PINNED, /* as asked for, unchecked */
    ROVE_PLACE_BEST_SCORE,
} rove_place_reason;
/* "LocalPreferred", ...; "None" for anything else. Static. Threads: any. */
ROVE_API const char *rove_place_reason_name(rove_place_reason reason);

typedef struct rove_placement {
    rove_entity node;
    rove_place_reason reason;
} rove_placement;

#define ROVE_CANDIDATE_WHY_MAX 128

/* A node of the index, judged. */
typedef struct rove_candidate {
    uint64_t node_id;
    rove_entity entity; /* as calls take it: of class net when only that reaches it */
    bool eligible, chosen;
    double score;                     /* when eligible */
    uint64_t rtt;                     /* nanoseconds, 0: not measured */
    char why[ROVE_CANDIDATE_WHY_MAX]; /* what rejected it, or how the score came about; maybe cut */
} rove_candidate;

/* Where a new daemon of a kind should be, this node before others. Nothing is spawned or reserved.
 * Errors: ROVE_E_KIND_UNKNOWN, ROVE_E_NO_CANDIDATE, ROVE_E_WHERE (the kind's requirements do not
 * read), ROVE_E_NOT_READY, ROVE_E_SHUTTING_DOWN, ROVE_E_WOULD_BLOCK, ROVE_E_REENTRANT,
 * ROVE_E_NOMEM, ROVE_E_USAGE. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_place(rove_runtime *rt, const char *kind,
                                                   rove_placement *ret);
/* A choice that was made already. Threads: any. */
ROVE_API rove_placement rove_pin(const rove_entity *node);
/* Where a daemon of this runtime would go now. Errors: ROVE_E_NOT_FOUND, ROVE_E_NO_TARGET, and as
 * rove_runtime_place. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_select_migration_target(rove_runtime *rt,
                                                                     rove_daemon daemon,
                                                                     rove_placement *ret);
/* All nodes of the index in ascending node id, judged as targets for a daemon of this runtime: up
 * to `room` of them into `ret`, *ret_count is how many there are. Those that are eligible are its
 * migration targets. Errors and blocking as above, but for ROVE_E_NO_TARGET. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_find_migration_targets(rove_runtime *rt,
                                                                    rove_daemon daemon,
                                                                    rove_candidate *ret,
                                                                    size_t room, size_t *ret_count);
/* rove_runtime_start_migration_with to the node that select_migration_target would choose in the
 * same turn; `options` may be NULL. Errors: as both. */
ROVE_API ROVE_MUST_USE rove_err
rove_runtime_start_migration_auto(rove_runtime *rt, rove_daemon daemon,
                                  const rove_migration_options *options, rove_migration *ret);

ROVE_END_DECLS

#endif
