/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of a move between Rove nodes, subprotocol 0x5256 (docs/protocol/moves.md). Each
 * stands for itself: it names the attempt, the daemon with its epoch and state incarnation, and all
 * roles. */
#ifndef ROVEI_MIGRATION_MOVE_CODEC_H
#define ROVEI_MIGRATION_MOVE_CODEC_H

#include <compute/location.h>
#include <identity/envelope.h>

typedef enum rovei_move_type {
    ROVEI_MOVE_OFFER = 1,
    ROVEI_MOVE_ACCEPT,
    ROVEI_MOVE_REFUSE,
    ROVEI_MOVE_STATE,
    ROVEI_MOVE_EVENTS,
    ROVEI_MOVE_POSITIONS,
    ROVEI_MOVE_ENVELOPE,
    ROVEI_MOVE_SEALED,
    ROVEI_MOVE_PREPARED,
    ROVEI_MOVE_COMMIT,
    ROVEI_MOVE_ACTIVE,
    ROVEI_MOVE_CLOSED,
    ROVEI_MOVE_UNKNOWN,
    ROVEI_MOVE_RESULTS,
    ROVEI_MOVE_ABORT,
    ROVEI_MOVE_PROGRESS,
    ROVEI_MOVE_ORDER,
    ROVEI_MOVE_CANCEL,
    ROVEI_MOVE_OUTCOME,
} rovei_move_type;

#define ROVEI_MOVE_HEADER_SIZE (4 + 16 + 32 + 8 + 16 + 3 * 32)
#define ROVEI_MOVE_CHUNK       65536 /* most bytes of one State, Positions or Results message */
#define ROVEI_MOVE_TEXT_MAX    4096  /* most bytes of an error's text in Results */
/* Header and fixed fields of every message; only Events and the tails of chunks come on top. */
#define ROVEI_MOVE_HEAD_MAX 1024
/* Before the bytes of an event in Events: link and length. */
#define ROVEI_MOVE_EVENT_HEAD (ROVEI_LINK_SIZE + 8)

typedef struct rovei_move_header {
    rovei_move_type type;
    rovei_level level;
    rovei_attempt_id attempt;
    rove_entity daemon;
    uint64_t epoch; /* that the target gets; 0 in the orchestrator's messages: not known there */
    rovei_sinc sinc;
    rove_entity source, target, orchestrator;
} rovei_move_header;

enum {                                /* Offer */
       ROVEI_OFFER_IDENTITY = 1,      /* an envelope with the daemon's key will come */
       ROVEI_OFFER_LEVEL_MAY_FALL = 2 /* the target need not keep the daemon's level */
};
enum {                       /* Order: as in Offer, and */
       ROVEI_ORDER_KNOWN = 4 /* the source has answered it: one that it does not know is over */
};
enum { /* Sealed */
       ROVEI_SEALED_STATE = 1,
       ROVEI_SEALED_ENVELOPE = 2
};

typedef struct rovei_move_offer {
    uint32_t round; /* of this attempt: grows with every Offer that is not a repetition */
    uint32_t flags;
    uint64_t size_hint;
    char kind[64];
    char channel[256];  /* where its outputs are published; empty: nowhere */
    rovei_record right; /* under which the source holds what it offers: of the epoch before */
} rovei_move_offer;

typedef struct rovei_move_chunk {
    uint32_t round;
    uint64_t total, offset;
    rove_span bytes; /* 1 to ROVEI_MOVE_CHUNK, within total */
} rovei_move_chunk;

typedef struct rovei_move_sealed {
    uint32_t round;
    uint32_t flags;
    uint64_t state_size, positions_size;
    rove_link link; /* head of the daemon's chain at the freeze */
    uint64_t created_at;
    uint8_t digest[32];
} rovei_move_sealed;

typedef struct rovei_move_events {
    uint64_t done;  /* the source has the results up to this number */
    uint64_t first; /* number of the first event; 0 when there is none */
    uint32_t count;
    rove_span items; /* count x (link, u64 length, payload): checked */
} rovei_move_events;

typedef struct rovei_move_prepared {
    uint32_t unbound; /* subscriptions that were not taken over, or not wholly */
    uint8_t digest[32];
    uint64_t ticket;
    uint8_t addr_count;
    rovei_addr addrs[ROVEI_RECORD_ADDRS];
} rovei_move_prepared;

typedef struct rovei_move_results {
    uint64_t number;
    rove_err err;
    uint32_t output_count;
    rove_span text;
    uint64_t total, offset; /* of the framed outputs */
    rove_span bytes;        /* at most ROVEI_MOVE_CHUNK; none only when total is 0 */
} rovei_move_results;

typedef struct rovei_move_order_body {
    uint32_t flags;           /* as in Offer, and ROVEI_ORDER_... */
    uint64_t deadline;        /* nanoseconds from the order to the commit; 0 = none */
    uint64_t retry_not_ready; /* nanoseconds; 0 = off */
    uint64_t origin;          /* of the daemon; its entity in the header may be zero: not known */
} rovei_move_order_body;

/* How it stands with an order, or how it ended. */
typedef struct rovei_move_outcome_body {
    rovei_move_outcome outcome; /* RUNNING: it goes on */
    rove_err reason;            /* not OK when it failed */
    rovei_phase phase;
    uint32_t attempts;
    uint64_t bytes;
    uint64_t blackout; /* nanoseconds; 0 = not known */
    rove_span text;    /* what a stock peer said; at most ROVEI_MOVE_TEXT_MAX */
} rovei_move_outcome_body;

typedef struct rovei_move_message {
    rovei_move_header head;
    union {
        rovei_move_offer offer;
        struct {
            uint32_t round;
            rove_err reason;    /* Refuse only */
        } answer;               /* Accept, Refuse */
        rovei_move_chunk chunk; /* State, Positions */
        struct {
            uint32_t round;
            uint8_t bytes[ROVEI_ENVELOPE_SIZE];
        } envelope;
        rovei_move_sealed sealed;
        rovei_move_events events;
        rovei_move_prepared prepared;
        struct {
            uint64_t ticket, events;
            rovei_record record;
        } commit;
        struct {
            bool serves;   /* false: a higher epoch is known, there will be no results */
            uint64_t have; /* diverted events that have come */
        } active;
        struct {
            rovei_move_type answers;
        } unknown;
        rovei_move_results results;
        struct {
            rove_err reason;
        } ended; /* Abort, Cancel */
        struct {
            rovei_phase phase;
            uint64_t bytes;
        } progress;
        rovei_move_order_body order;
        rovei_move_outcome_body outcome;
    };
} rovei_move_message;

/* Writes the whole message. With `head_only` the bytes at the end of State, Positions, Results and
 * the items of Events are left out, for a sender that passes them on as a body of their own. */
void rovei_move_encode(const rovei_move_message *m, bool head_only, rovei_writer *w);
/* Borrows from `bytes`. E_SHORT, E_TRAILING, E_BOUND, E_FLAG (type, level, flags, phases, reasons),
 * E_FORMAT (name of the kind, numbers that contradict each other). Keys and signatures are not
 * looked at.
 */
ROVE_MUST_USE rove_err rovei_move_decode(rovei_move_message *ret, rove_span bytes);

/* One event of Events. */
void rovei_move_event_write(rovei_writer *w, const rove_link *link, uint64_t size);
/* The next of checked items: false at the end. */
bool rovei_move_event_read(rovei_reader *r, rove_link *ret_link, rove_span *ret_payload);

/* What of Sealed goes into the digest, after State, Positions and Envelope. */
#define ROVEI_SEALED_FIXED (4 + 8 + 8 + 32 + 8)
void rovei_move_sealed_fixed(const rovei_move_sealed *s, uint8_t ret[ROVEI_SEALED_FIXED]);

/* ---- the section Positions ---- */
typedef struct rovei_move_positions {
    rove_link head;
    uint64_t events_processed, events_emitted, errors, snapshots_taken, created_at;
    rove_span head_payload, horizon, ledger, lanes;
} rovei_move_positions;
/* One counted buffer; NULL: out of memory. */
rove_buf *rovei_move_positions_encode(const rovei_move_positions *p, const rove_alloc *a);
/* Borrows. E_SHORT, E_TRAILING, E_BOUND. */
ROVE_MUST_USE rove_err rovei_move_positions_decode(rovei_move_positions *ret, rove_span bytes);

#endif
