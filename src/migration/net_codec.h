/* SPDX-License-Identifier: Apache-2.0
 *
 * The ten messages of a move in class net, subprotocol 0x0500 (docs/protocol/net-moves.md): each is
 * one packet, none is acknowledged, none names an attempt. Errors have the texts of the reference,
 * for the log and for those that travel. */
#ifndef ROVEI_MIGRATION_NET_CODEC_H
#define ROVEI_MIGRATION_NET_CODEC_H

#include <base/cursor.h>
#include <base/text.h>

#define ROVEI_NETMOVE_SUBPROTOCOL 0x0500
#define ROVEI_NETMOVE_MESSAGE_MAX 8104   /* what one packet carries */
#define ROVEI_NETMOVE_CHUNK_MAX   7000   /* bytes of one chunk, and of one buffered event */
#define ROVEI_NETMOVE_CHUNKS_MAX  700000 /* of one snapshot */
/* What a target of the reference puts together, chunks or no chunks. */
#define ROVEI_NETMOVE_SNAPSHOT_MAX (UINT64_C(64) << 20)
#define ROVEI_NETMOVE_EVENTS_MAX   1000000 /* in one message, as far as the format goes */
#define ROVEI_NETMOVE_EVENT_LEAST  44      /* link, length, receive time */
#define ROVEI_NETMOVE_TEXT_MAX     8000    /* of a reason, so that its message fits a packet */

typedef enum rovei_netmove_type {
    ROVEI_NETMOVE_TAKE_SNAPSHOT = 0,
    ROVEI_NETMOVE_SNAPSHOT_READY = 1,
    ROVEI_NETMOVE_RESTORE_COMPLETE = 2,
    ROVEI_NETMOVE_REPLAY_COMPLETE = 3,
    ROVEI_NETMOVE_CUTOVER_NOTIFY = 4,
    ROVEI_NETMOVE_CLEANUP_COMPLETE = 5,
    ROVEI_NETMOVE_MIGRATION_FAILED = 6,
    ROVEI_NETMOVE_BUFFERED_EVENTS = 7,
    ROVEI_NETMOVE_ACTIVATE_TARGET = 8,
    ROVEI_NETMOVE_ACTIVATE_ACK = 9,
} rovei_netmove_type;
#define ROVEI_NETMOVE_TYPES 10

/* Why a move has failed. Only NOT_READY is worth a second try. */
typedef enum rovei_netmove_code {
    ROVEI_NETMOVE_NOT_READY = 0,
    ROVEI_NETMOVE_NO_FACTORY = 1,
    ROVEI_NETMOVE_NO_RUNTIME = 2,
    ROVEI_NETMOVE_STATE_FAILED = 3,
    ROVEI_NETMOVE_ALREADY = 4,
    ROVEI_NETMOVE_IDENTITY_FAILED = 5,
    ROVEI_NETMOVE_NOT_READY_TIMEOUT = 6,
} rovei_netmove_code;

typedef struct rovei_netmove_reason {
    rovei_netmove_code code;
    uint8_t attempts; /* NOT_READY_TIMEOUT */
    rove_span text;   /* STATE_FAILED, IDENTITY_FAILED: UTF-8 */
} rovei_netmove_reason;

typedef struct rovei_netmove_chunk {
    uint64_t seq_through;
    uint32_t index, total;
    rove_span bytes;
} rovei_netmove_chunk;

typedef struct rovei_netmove_event {
    rove_link link;
    rove_span payload;
    uint64_t received_at; /* wall clock, nanoseconds */
} rovei_netmove_event;

typedef struct rovei_netmove_message {
    rovei_netmove_type type;
    uint64_t origin; /* of the daemon */
    union {
        uint64_t node;             /* TAKE_SNAPSHOT, CUTOVER_NOTIFY: the target */
        rovei_netmove_chunk chunk; /* SNAPSHOT_READY */
        uint64_t sequence;         /* RESTORE_COMPLETE, ACTIVATE_ACK */
        struct {
            uint64_t sequence;
            rove_link head;          /* of the chain at the target */
        } replayed;                  /* REPLAY_COMPLETE */
        rovei_netmove_reason failed; /* MIGRATION_FAILED */
        struct {
            uint32_t count;
            rove_span items; /* count events, checked */
        } events;            /* BUFFERED_EVENTS */
    };
} rovei_netmove_message;

const char *rovei_netmove_type_name(rovei_netmove_type type); /* "TakeSnapshot"; "unknown" */

/* Writes the whole message. E_FULL when it does not fit; E_BOUND for a chunk above its most, or a
 * text above 65,535 bytes. */
void rovei_netmove_encode(const rovei_netmove_message *m, rovei_writer *w);
/* Borrows from `bytes`; what follows a complete message is ignored. E_SHORT, E_FLAG (type, code of
 * a reason), E_BOUND (counts and lengths), E_FORMAT (text that is not UTF-8); `why` then says it,
 * unless NULL. */
ROVE_MUST_USE rove_err rovei_netmove_decode(rovei_netmove_message *ret, rove_span bytes,
                                            rovei_text *why);

/* One event of BUFFERED_EVENTS. Reading checked items: false at their end. */
void rovei_netmove_event_write(rovei_writer *w, const rovei_netmove_event *e);
bool rovei_netmove_event_read(rovei_reader *items, rovei_netmove_event *ret);

/* The beginning of a snapshot, as chunk 0 has it: whose it is. E_SHORT, E_MAGIC, E_VERSION,
 * E_ORIGIN_MISMATCH. */
ROVE_MUST_USE rove_err rovei_netmove_check_head(uint64_t origin, rove_span chunk,
                                                rove_entity *ret_entity, rovei_text *why);

/* ---- reasons ---- */
/* The sentence of the reference. */
void rovei_netmove_reason_text(const rovei_netmove_reason *r, rovei_text *ret);
static inline bool rovei_netmove_reason_has_text(rovei_netmove_code code)
{
    return code == ROVEI_NETMOVE_STATE_FAILED || code == ROVEI_NETMOVE_IDENTITY_FAILED;
}
/* What it means here, and the other way round: STATE_FAILED for an error without a code of its own.
 * A text that names the missing key is E_IDENTITY_MISSING, one about the envelope
 * E_IDENTITY_TRANSPORT. */
rove_err rovei_netmove_err_of(const rovei_netmove_reason *r);
rovei_netmove_code rovei_netmove_code_of(rove_err err);

/* Texts that a target says and a source knows again. */
#define ROVEI_NETMOVE_NO_KEY                                                                       \
    "placeholder factory registered but snapshot has no identity envelope (and no local fallback " \
    "keypair available)"
#define ROVEI_NETMOVE_NOT_OPENED "identity envelope open failed: "

#endif
