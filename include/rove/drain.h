/* SPDX-License-Identifier: Apache-2.0
 *
 * Draining a node: it takes no daemons in any more, and those that it has move to other nodes.
 *
 * A cordoned node refuses every spawn and every Offer of another node with ROVE_E_CORDONED; what it
 * has goes on, and what is on its way here may still arrive. A drain cordons the node, orders each
 * daemon away, several at once (limit drain_parallel), tries another target when one refuses, and
 * ends when nothing is left to be tried. The node stays cordoned afterwards.
 *
 * Each daemon whose kind has `control` is told ROVE_CONTROL_DRAIN_START before its move is ordered,
 * at a point of its own order, and ROVE_CONTROL_DRAIN_FINISH when it stays after all. The instance
 * at the target is told nothing. docs/guarantees.md, "Draining". */
#ifndef ROVE_DRAIN_H
#define ROVE_DRAIN_H

#include <rove/runtime.h>

ROVE_BEGIN_DECLS

typedef enum rove_drain_event {
    ROVE_DRAIN_ORDERED = 1, /* `daemon` is ordered to `target` */
    ROVE_DRAIN_RETRY,       /* `target` did not take it, for `reason`; another try follows */
    ROVE_DRAIN_MOVED,       /* it serves at `target`, `elapsed` after the order */
    ROVE_DRAIN_FAILED,      /* it stays here, for `reason` */
    ROVE_DRAIN_STILL_MOVING /* the time is up; its move is committed and goes on */
} rove_drain_event;

typedef struct rove_drain_report {
    uint64_t daemons; /* that were to be moved: so far, since more may be on their way here */
    uint64_t moved, failed, still_moving;
    uint64_t elapsed; /* nanoseconds */
} rove_drain_report;

typedef struct rove_drain_progress {
    rove_daemon daemon;
    rove_entity entity, target;
    rove_err reason;
    uint64_t elapsed;         /* nanoseconds, of this daemon's last order */
    rove_drain_report so_far; /* this event counted in */
} rove_drain_progress;

/* Called on the node's own thread: short, and without a call that waits. `p` is borrowed. */
typedef void rove_drain_told_fn(void *user, rove_drain_event event, const rove_drain_progress *p);

#define ROVE_DRAIN_OPTIONS_VERSION 1

typedef struct rove_drain_options {
    uint32_t struct_version;
    uint32_t grace_ms; /* what DRAIN_START says. Default 0 */
    const rove_entity
        *target;      /* all to this node; NULL: to any peer of class rove that takes them by
                         its announcement and its word, spread evenly. Copied. Default NULL */
    uint64_t timeout; /* nanoseconds; past them moves that are not committed are ended, and nothing
                         is tried any more. ROVE_TIME_NEVER: none. Default that */
    rove_drain_told_fn *told; /* or NULL */
    void *told_user;
} rove_drain_options;

static inline void rove_drain_options_init(rove_drain_options *options)
{
    options->struct_version = ROVE_DRAIN_OPTIONS_VERSION;
    options->grace_ms = 0;
    options->target = 0;
    options->timeout = ROVE_TIME_NEVER;
    options->told = 0;
    options->told_user = 0;
}

/* Moves every daemon away; `options` NULL: the defaults. ROVE_OK: none is left here. When it has
 * returned, each target has heard that the move is closed, or the time was up. Errors, with
 * a report: ROVE_E_TIMED_OUT (the time was up), ROVE_E_CANCELLED (uncordoned meanwhile),
 * ROVE_E_SHUTTING_DOWN, ROVE_E_NOMEM; else the reason of the first daemon that stays. Without one:
 * ROVE_E_BUSY (another drain is under way), ROVE_E_SAME_NODE, ROVE_E_NOT_READY,
 * ROVE_E_SHUTTING_DOWN, ROVE_E_WOULD_BLOCK, ROVE_E_REENTRANT, ROVE_E_STRUCT_VERSION, ROVE_E_USAGE.
 * `ret` may be NULL. Blocking: until it has ended. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_drain(rove_runtime *rt,
                                                   const rove_drain_options *options,
                                                   rove_drain_report *ret);

/* The form with a completion (rove/async.h). All errors but those of the arguments, the gate and
 * the thread are told. */
typedef void rove_drain_fn(void *user, rove_err err, const rove_drain_report *report);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_drain_async(rove_runtime *rt,
                                                         const rove_drain_options *options,
                                                         rove_drain_fn *done, void *user);

/* Takes no daemons in any more, or takes them in again, which ends a drain that is under way: moves
 * that have begun go on. In READY. Errors: ROVE_E_NOT_READY, ROVE_E_SHUTTING_DOWN,
 * ROVE_E_REENTRANT, ROVE_E_USAGE. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_cordon(rove_runtime *rt, bool cordoned);
/* False for NULL. In any state. Re-entry: allowed. Blocking: never. */
ROVE_API bool rove_runtime_is_cordoned(const rove_runtime *rt);

ROVE_END_DECLS

#endif
