/* SPDX-License-Identifier: Apache-2.0
 *
 * Where daemons go: choices over what the nodes of the mesh have announced. A kind says what a node
 * must have (rove_kind.requirements) and should have (rove_kind.preferences), each a condition as
 * docs/protocol/placement.md, "Conditions", writes them; a plain tag is one. Only nodes that can be
 * reached are chosen. docs/protocol/placement.md, "Choosing". */
#ifndef ROVE_PLACEMENT_H
#define ROVE_PLACEMENT_H

#include <rove/async.h>
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

/* Where a new daemon of a kind should be, this node before others. Another node has to announce
 * that it takes the kind in (rove_runtime_accept_kind); what a kind requires that this node does
 * not have is not known here. Nothing is spawned or reserved. Errors: ROVE_E_NO_CANDIDATE,
 * ROVE_E_WHERE (the kind's requirements do not read), ROVE_E_NOT_READY, ROVE_E_SHUTTING_DOWN,
 * ROVE_E_WOULD_BLOCK, ROVE_E_REENTRANT, ROVE_E_NOMEM, ROVE_E_USAGE. Blocking: for a turn of the
 * node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_place(rove_runtime *rt, const char *kind,
                                                   rove_placement *ret);
/* A choice that was made already. Threads: any. */
ROVE_API rove_placement rove_pin(const rove_entity *node);
/* A daemon that was spawned here or elsewhere. */
typedef struct rove_spawned {
    rove_placement where;
    rove_entity daemon;
    uint64_t epoch;
} rove_spawned;

/* Spawns a daemon of a kind where rove_runtime_place would have it. A given identity travels sealed
 * to that node alone, which asks around as rove_runtime_spawn does; without one that node draws
 * one, and the daemon's key is there only. Another node spawns it when its policy allows
 * ROVE_ASK_PLACE, by default when it accepts the kind. At most one daemon is spawned, however often
 * the request has to be repeated. `ret` is all that is known whatever the error: `where` from the
 * choice on, the rest on success. Errors: as rove_runtime_place and rove_runtime_spawn, of the node
 * that was chosen; and ROVE_E_UNREACHABLE, ROVE_E_FULL (spawns_max), ROVE_E_REFUSED,
 * ROVE_E_TARGET_NOT_READY, ROVE_E_TARGET_NO_RUNTIME, ROVE_E_IDENTITY_TRANSPORT: certainly not
 * spawned; ROVE_E_SPAWN_UNKNOWN: no answer within `spawn_wait`, or that node has started anew: it
 * may be there. ROVE_E_SHUTTING_DOWN leaves that open as well. Blocking: until that is known.
 * docs/protocol/placement.md, "Spawning elsewhere". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_anywhere(rove_runtime *rt, const char *kind,
                                                            const rove_identity *identity,
                                                            const rove_spawn_options *options,
                                                            rove_spawned *ret);
/* The same at a place that was chosen before, such as by rove_pin; ROVE_E_UNREACHABLE when there is
 * no session of class rove with it. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_at(rove_runtime *rt, const char *kind,
                                                      const rove_placement *where,
                                                      const rove_identity *identity,
                                                      const rove_spawn_options *options,
                                                      rove_spawned *ret);
/* rove/async.h. `spawned` is as after the waiting forms; borrowed. `where` NULL: anywhere. */
typedef void rove_spawned_fn(void *user, rove_err err, const rove_spawned *spawned);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_at_async(rove_runtime *rt, const char *kind,
                                                            const rove_placement *where,
                                                            const rove_identity *identity,
                                                            const rove_spawn_options *options,
                                                            rove_spawned_fn *done, void *user);

/* Where a daemon of this runtime would go now. Errors: ROVE_E_NOT_FOUND, ROVE_E_NO_TARGET, and as
 * rove_runtime_place. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_select_migration_target(rove_runtime *rt,
                                                                     rove_daemon daemon,
                                                                     rove_placement *ret);
/* The same without scores, as the reference once chose: of the nodes that could take the daemon the
 * one there is (ROVE_PLACE_ONLY_CANDIDATE), else the lowest node id (ROVE_PLACE_FIRST_MATCH).
 * Errors and blocking as above. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_place_migration(rove_runtime *rt, rove_daemon daemon,
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
/* rove/async.h; `migration` is told on success. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start_migration_auto_async(
    rove_runtime *rt, rove_daemon daemon, const rove_migration_options *options,
    rove_migration_fn *done, void *user);

ROVE_END_DECLS

#endif
