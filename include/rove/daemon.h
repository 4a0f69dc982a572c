/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and numbers of daemons. */
#ifndef ROVE_DAEMON_H
#define ROVE_DAEMON_H

#include <rove/types.h>

ROVE_BEGIN_DECLS

/* A daemon of a runtime, by value: its origin hash. It names the daemon and not one copy of it, so
 * it stays good while the daemon is away and after it came back; a runtime never has two entities
 * with one origin hash. One that names nothing here is ROVE_E_NOT_FOUND, never a dangling
 * pointer. */
typedef struct rove_daemon {
    uint64_t origin;
} rove_daemon;

/* Counters, from 0 at the first spawn; they travel with the daemon. */
typedef struct rove_daemon_stats {
    uint64_t events_processed; /* events that process took without an error */
    uint64_t events_emitted;   /* outputs */
    uint64_t errors;           /* events that process answered with an error */
    uint64_t snapshots_taken;
    uint64_t sequence;      /* of the last link of its chain; 0: no output yet */
    uint64_t subscriptions; /* channels that it is subscribed to */
} rove_daemon_stats;

ROVE_END_DECLS

#endif
