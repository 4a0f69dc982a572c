/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves of daemons: the handle, the phases, how one ended. A move belongs to the node, not to the
 * handle: it goes on when nobody waits, and its outcome is kept for a while (limit outcome_life),
 * so that every waiter sees the same one, now and later. */
#ifndef ROVE_MIGRATION_H
#define ROVE_MIGRATION_H

#include <rove/daemon.h>

ROVE_BEGIN_DECLS

/* One order to move one daemon, by value. */
typedef struct rove_migration {
    uint8_t attempt[16];
} rove_migration;

typedef enum rove_phase {
    ROVE_PHASE_NONE = 0,
    ROVE_PHASE_SNAPSHOT, /* frozen, or about to be: the offer is under way */
    ROVE_PHASE_TRANSFER, /* the state is being sent */
    ROVE_PHASE_RESTORE,  /* the target has it */
    ROVE_PHASE_REPLAY,   /* the target is prepared */
    ROVE_PHASE_CUTOVER,  /* committed: from here it only goes forward */
    ROVE_PHASE_COMPLETE, /* the target serves */
} rove_phase;
/* "Snapshot", "Transfer", ...; "None" for anything else. Static. Threads: any. */
ROVE_API const char *rove_phase_name(rove_phase phase);

typedef enum rove_outcome {
    ROVE_OUTCOME_RUNNING = 0,
    ROVE_OUTCOME_COMPLETED,
    ROVE_OUTCOME_FAILED,
    ROVE_OUTCOME_CANCELLED,
    ROVE_OUTCOME_TIMED_OUT,
} rove_outcome;

#define ROVE_MIGRATION_TEXT_MAX 256

typedef struct rove_migration_info {
    rove_migration migration;
    rove_daemon daemon;
    rove_entity entity; /* zero while it is not known: of a daemon that was ordered by its hash */
    rove_entity source, target;
    rove_entity orchestrator; /* who ordered it: the source, or another node */
    uint64_t epoch;           /* that the target gets; 0 while it is not known */
    rove_phase phase;
    rove_outcome outcome;
    rove_err reason;                    /* FAILED: why */
    char text[ROVE_MIGRATION_TEXT_MAX]; /* what a target of class net said of it: UTF-8, maybe cut,
                                           without control characters; else empty */
    uint32_t attempts;                  /* offers made, those answered "not ready" included */
    uint32_t unbound;  /* subscriptions to channels that the target could not take over, or not
                          wholly, before the commit (ReplayPartial): it goes on asking for them */
    uint64_t bytes;    /* of state, so far: handed to the session (outgoing), or arrived */
    uint64_t elapsed;  /* nanoseconds from the order to the end, or to now */
    uint64_t blackout; /* nanoseconds from the freeze to the word that the target serves; 0 while
                          that is not known */
    bool outgoing;     /* this node gives the daemon away; else it receives it, */
    bool ordered;      /* or has ordered another node to give it away: then all of this is what that
                          node has said last */
} rove_migration_info;

/* What is told of a move while it goes on. For each move, in this order:
 *   PHASE    `info->phase` has begun: each phase that is reached, once
 *   RETRY    the target was not ready and is asked again; `info->attempts` says how often so far
 *   BYTES    `info->bytes` of state have passed: told when ROVE_MOVE_BYTES_STEP or more have come
 *            since it was told last, several steps at once where the node's thread found them so,
 *            and once when all have. At the source it counts what was handed to the session, at
 *            the target what has come; it goes back when the transfer begins anew
 *   CLOSED   completed, and both nodes are done with it
 *   ENDED    `info->outcome` and `info->reason`: the last; once for every move that was told of
 * RETRY and BYTES come between phases. A wait for the move ends with its outcome, that is before
 * CLOSED, which may take as long as the other node cannot be reached. */
typedef enum rove_move_event {
    ROVE_MOVE_PHASE = 1,
    ROVE_MOVE_RETRY,
    ROVE_MOVE_BYTES,
    ROVE_MOVE_CLOSED,
    ROVE_MOVE_ENDED,
} rove_move_event;
#define ROVE_MOVE_BYTES_STEP 1048576

/* Called on the node's own thread, in order, never two at once: short, and without a call that
 * waits. `info` is borrowed. Nothing is told any more when rove_runtime_shutdown has returned: what
 * runs then has ENDED before. */
typedef void rove_move_fn(void *user, rove_move_event event, const rove_migration_info *info);

#define ROVE_MIGRATION_OPTIONS_VERSION 1

typedef struct rove_migration_options {
    uint32_t struct_version;
    bool transport_identity; /* send the daemon's key along, sealed to the target; else the target
                                has to have it. Default true */
    uint64_t
        retry_not_ready; /* nanoseconds for which a target that is not ready is asked again;
                            0 = not; ROVE_TIME_NEVER = as the node's limit says. Default that */
    uint64_t deadline;   /* nanoseconds from the order within which the move has to be committed;
                            past it it ends as TIMED_OUT. ROVE_TIME_NEVER = none. Default that */
    rove_move_fn *told;  /* of this move, maybe before the call that starts it has returned; NULL:
                            nobody. Default that */
    void *told_user;
} rove_migration_options;

static inline void rove_migration_options_init(rove_migration_options *options)
{
    options->struct_version = ROVE_MIGRATION_OPTIONS_VERSION;
    options->transport_identity = true;
    options->retry_not_ready = ROVE_TIME_NEVER;
    options->deadline = ROVE_TIME_NEVER;
    options->told = 0;
    options->told_user = 0;
}

ROVE_END_DECLS

#endif
