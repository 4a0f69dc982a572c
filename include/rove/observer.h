/* SPDX-License-Identifier: Apache-2.0
 *
 * Observers: who wants to see every event that a daemon applies on this node, with its outputs.
 * Several may observe one daemon. Each is called once for each event that the daemon's process took
 * without an error, on the node where it was applied, whatever way it came: delivered here, over a
 * lane, or diverted during a move and applied at its target or, after an abort, at its source.
 *
 * An observer belongs to the name of a daemon, not to one copy: it stays while the daemon is away,
 * and may be there before it comes. It ends with rove_runtime_unobserve or with the runtime.
 *
 * It is called by the thread that brought the event, or by the one that ran the daemon then (a
 * worker, the node's own thread), when the daemon is released and no lock is held: so two calls may
 * come at once, and in another order than that of the events, which `index` shows. It may call the
 * runtime; on workers and on the node's own thread calls that would wait are ROVE_E_WOULD_BLOCK.
 * The event has been applied then, and neither its sender nor the chain waits for the observer.
 * docs/guarantees.md, "Observers". */
#ifndef ROVE_OBSERVER_H
#define ROVE_OBSERVER_H

#include <rove/runtime.h>

ROVE_BEGIN_DECLS

/* One applied event; everything is borrowed during the call. */
typedef struct rove_observed {
    rove_daemon daemon;
    uint64_t index; /* the how-manieth event of the daemon it was, from 1 */
    rove_event event;
    uint32_t output_count;
    rove_buf
        *outputs; /* framed: rove_observed_next; NULL when there are none; rove_buf_ref keeps */
} rove_observed;
/* The next output: start with *it = 0; false at the end. Threads: any. Re-entry: allowed. */
ROVE_API bool rove_observed_next(const rove_observed *observed, size_t *it, rove_link *ret_link,
                                 rove_span *ret_payload);

typedef void rove_observe_fn(void *user, const rove_observed *observed);

/* An observer of a runtime, by value; one that has ended is ROVE_E_NOT_FOUND. */
typedef struct rove_observer {
    uint64_t origin, id;
} rove_observer;

/* Observes a daemon from now on; an event that is just being applied may be the first. Observers
 * are called in the order in which they were added. In any state but SHUTTING DOWN. Errors:
 * ROVE_E_USAGE, ROVE_E_FULL (limit observers_max, per daemon), ROVE_E_SHUTTING_DOWN,
 * ROVE_E_REENTRANT, ROVE_E_NOMEM. Threads: any. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_observe(rove_runtime *rt, rove_daemon daemon,
                                                     rove_observe_fn *fn, void *user,
                                                     rove_observer *ret);

/* Ends an observer: no call begins any more, and those that are running have returned when this
 * does. The form with a completion is rove_runtime_unobserve_async (rove/async.h). Errors:
 * ROVE_E_NOT_FOUND, ROVE_E_REENTRANT; ROVE_E_WOULD_BLOCK (inside of an observer, on a worker, on
 * the node's own thread; nothing is changed); ROVE_E_NOMEM. Threads: any but those. Blocking: for
 * calls that are running. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_unobserve(rove_runtime *rt, rove_observer observer);

ROVE_END_DECLS

#endif
