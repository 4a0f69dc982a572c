/* SPDX-License-Identifier: Apache-2.0
 *
 * Senders: events to a daemon wherever it lives, in order, each with an outcome. A sender belongs
 * to a node and needs no runtime; it finds the daemon, follows it when it moves, and sends again
 * what was not acknowledged (docs/guarantees.md, "Events"). */
#ifndef ROVE_SENDER_H
#define ROVE_SENDER_H

#include <rove/node.h>

ROVE_BEGIN_DECLS

typedef struct rove_sender rove_sender;

typedef enum rove_outcome_kind {
    ROVE_SENT_APPLIED = 1, /* it was applied; err is ROVE_E_PROCESS when process refused it */
    ROVE_SENT_REFUSED,     /* it was certainly not applied; err says why */
    ROVE_SENT_UNKNOWN,     /* nobody knows whether it was applied; it is not sent again */
    ROVE_SENT_LOST,        /* after APPLIED: a crash took back `number` to `last` */
    ROVE_SENT_UNREACHABLE, /* of the sender: nobody who knows the daemon answers; it goes on trying
                            */
    ROVE_SENT_REACHED,     /* of the sender: after UNREACHABLE */
    ROVE_SENT_ENDED,       /* of the sender: closed, and everything has its outcome */
} rove_outcome_kind;

/* One outcome. What it holds is borrowed during the callback; one that was pulled is given back
 * with rove_sent_fini. */
typedef struct rove_sent {
    rove_outcome_kind kind;
    uint64_t number; /* of the event, from 1 in the order of sending */
    uint64_t last;   /* LOST: up to here */
    rove_err err;
    uint32_t output_count;
    rove_span outputs; /* APPLIED: framed; rove_sent_next */
    rove_span text;    /* the message of process or of a refusal; may be empty */
    rove_buf *owner;   /* holds both */
} rove_sent;
/* The next output: start with *it = 0; false at the end. */
ROVE_API bool rove_sent_next(const rove_sent *sent, size_t *it, rove_link *ret_link,
                             rove_span *ret_payload);
/* Gives back what a pulled outcome holds; harmless for one that is all zero. NULL is ignored. */
ROVE_API void rove_sent_fini(rove_sent *sent);

/* Called on the node's own thread, in the order of the outcomes: short, and without a call that
 * waits. */
typedef void rove_sent_fn(void *user, const rove_sent *sent);

#define ROVE_SENDER_CONFIG_VERSION 1

typedef struct rove_sender_config {
    uint32_t struct_version;
    rove_sent_fn *sent; /* NULL: outcomes are pulled with rove_sender_next */
    void *user;
} rove_sender_config;

static inline void rove_sender_config_init(rove_sender_config *cfg)
{
    cfg->struct_version = ROVE_SENDER_CONFIG_VERSION;
    cfg->sent = 0;
    cfg->user = 0;
}

/* Opens a lane to a daemon. `cfg` NULL: the defaults. Ownership: the caller closes and frees,
 * before the node. Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION, ROVE_E_FULL, ROVE_E_NOMEM,
 * ROVE_E_SHUTTING_DOWN (the node is being freed), ROVE_E_REENTRANT. Threads: any. Blocking: for a
 * turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_sender_open(rove_sender **ret, rove_node *node,
                                                 const rove_entity *daemon,
                                                 const rove_sender_config *cfg);

/* Queues one event, copied, and gives its number. With `wait` it waits while the window (limits
 * lane_events, lane_bytes) is full. Errors: ROVE_E_WINDOW (full, and not to wait), ROVE_E_TOO_LARGE
 * (event_max), ROVE_E_CLOSED, ROVE_E_WOULD_BLOCK (would wait, on the node's own thread or inside of
 * a daemon), ROVE_E_NOMEM. Threads: any, several at once; their order is that of the numbers.
 * Re-entry: allowed. `ret_number` may be NULL. */
ROVE_API ROVE_MUST_USE rove_err rove_sender_send(rove_sender *s, rove_span payload, bool wait,
                                                 uint64_t *ret_number);

/* The next outcome, for senders without a callback. Waits up to `timeout_ns` (0: not;
 * ROVE_TIME_NEVER: for ever). Outcomes that nobody pulls fill the window: at most so many are kept.
 * Errors: ROVE_E_TIMED_OUT, ROVE_E_CLOSED (ENDED was pulled: nothing follows), ROVE_E_USAGE (it has
 * a callback), ROVE_E_WOULD_BLOCK (would wait, on the node's own thread or inside of a daemon).
 * Threads: any. Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_sender_next(rove_sender *s, uint64_t timeout_ns,
                                                 rove_sent *ret);

/* No more events: ENDED comes when everything has its outcome. Again: nothing. NULL is
 * ignored. Threads: any. Re-entry: allowed. Blocking: never. */
ROVE_API void rove_sender_close(rove_sender *s);

/* Frees. What has no outcome yet is given up, without a further callback. NULL is ignored.
 * Threads: any, but not inside of a callback or a daemon (checked). Blocking: for a turn of the
 * node's thread. */
ROVE_API void rove_sender_free(rove_sender *s);

ROVE_END_DECLS

#endif
