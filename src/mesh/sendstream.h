/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of a stream: queued bytes until they are acknowledged, what of them was lost,
 * and the STREAM frames made of them.
 *
 * A message is its length in four bytes and its bytes. Small ones are copied into blocks, large
 * bodies are shared. The queue's end is always the end of a message.
 *
 * So that two half-sent messages never wait for each other's credit, new bytes leave in units: a
 * unit ends where a message ends, and it is begun only when the peer's credit covers it and all
 * that was begun before, or when nothing else is begun. */
#ifndef ROVEI_MESH_SENDSTREAM_H
#define ROVEI_MESH_SENDSTREAM_H

#include <base/buf.h>
#include <base/list.h>
#include <mesh/sent.h>
#include <mesh/spans.h>

#define ROVEI_SEND_BLOCK  16384u /* largest block that small messages are gathered in */
#define ROVEI_SEND_SPARES 16     /* empty blocks kept for the next stream that needs one */

typedef struct rovei_chunk {
    struct rovei_chunk *next;
    rove_buf *buf; /* one reference */
    const uint8_t *data;
    uint64_t offset;
    size_t size;
    bool more; /* the message goes on in the next chunk */
} rovei_chunk;

/* What all outgoing streams of one transport share. */
typedef struct rovei_sendshare {
    const rove_alloc *alloc;
    rovei_chunk *free_chunks;
    size_t free_count;
    rove_buf *spares[ROVEI_SEND_SPARES];
    size_t spare_count;
    uint64_t queued;        /* bytes kept: sum of end - base */
    uint64_t limit;         /* the peer takes so many bytes of all streams together */
    uint64_t sent;          /* new bytes sent: sum of next */
    uint64_t promised;      /* bytes of begun units still to send: sum of unit_end - next */
    uint64_t stream_window; /* the peer takes so many bytes of each stream unasked */
    /* The first that could not begin its unit; nobody begins one before it, so none starves. */
    const struct rovei_sendstream *waiting;
    bool unblocked; /* those that were blocked may try again */
} rovei_sendshare;

void rovei_sendshare_init(rovei_sendshare *share, const rove_alloc *a);
void rovei_sendshare_fini(rovei_sendshare *share);

typedef enum rovei_fin_state {
    ROVEI_FIN_NONE,    /* not finished */
    ROVEI_FIN_PENDING, /* to be said */
    ROVEI_FIN_SENT,
    ROVEI_FIN_ACKED,
} rovei_fin_state;

typedef enum rovei_send_place {
    ROVEI_PLACE_NONE,    /* nothing to send, or waits for credit of its own */
    ROVEI_PLACE_ACTIVE,  /* has something to send */
    ROVEI_PLACE_BLOCKED, /* waits for the peer's credit */
} rovei_send_place;

typedef struct rovei_sendstream {
    rovei_list node;  /* in the list of its place */
    rovei_list reset; /* in the list of those whose RESET is to be said */
    uint64_t id;
    uint16_t tag;
    uint8_t place; /* rovei_send_place */
    uint8_t fin;   /* rovei_fin_state */
    bool is_reset, reset_acked;
    bool listed;   /* in the map of streams */
    uint32_t refs; /* records of sent frames that point here */

    uint64_t base; /* all below is acknowledged */
    uint64_t next; /* first byte never sent */
    uint64_t end;  /* of what is queued */
    uint64_t unit_end;
    uint64_t limit;    /* MAX_STREAM_DATA */
    rovei_spans acked; /* above base */
    rovei_spans lost;  /* to be sent again */

    rovei_chunk *head, *tail;
    rovei_chunk *send_at;  /* a chunk at or before `next` */
    rovei_chunk *again_at; /* a chunk at which a retransmission stood last */
    rove_buf *block;       /* where small messages are gathered; one reference */
    size_t block_used;
    size_t block_size; /* of the next block */
} rovei_sendstream;

rovei_sendstream *rovei_sendstream_new(const rovei_sendshare *share, uint64_t id, uint16_t tag);
/* No record may point to it any more. */
void rovei_sendstream_free(rovei_sendshare *share, rovei_sendstream *s);

/* Queues one message. E_NOMEM: nothing is queued. */
ROVE_MUST_USE rove_err rovei_sendstream_queue(rovei_sendshare *share, rovei_sendstream *s,
                                              rove_span head, rove_buf *body);
/* Drops all that is queued. */
void rovei_sendstream_reset(rovei_sendshare *share, rovei_sendstream *s);

typedef enum rovei_send_result {
    ROVEI_SEND_IDLE,    /* nothing more to send now */
    ROVEI_SEND_MORE,    /* the packet is full, there is more */
    ROVEI_SEND_BLOCKED, /* waits for the peer's credit */
    ROVEI_SEND_NOMEM,
} rovei_send_result;

/* Whether a frame could be made, credit of all streams together aside. */
bool rovei_sendstream_ready(const rovei_sendshare *share, const rovei_sendstream *s);
/* Writes frames of `s` into the packet as far as they fit. */
rovei_send_result rovei_sendstream_write(rovei_sendshare *share, rovei_sendstream *s,
                                         rovei_writer *w, rovei_sent *sent);

/* A frame of [offset, offset + size) was acknowledged, or lost. */
void rovei_sendstream_acked(rovei_sendshare *share, rovei_sendstream *s, uint64_t offset,
                            uint64_t size, bool fin);
void rovei_sendstream_lost(rovei_sendstream *s, uint64_t offset, uint64_t size, bool fin);
/* All is acknowledged, the end or the reset too. */
bool rovei_sendstream_done(const rovei_sendstream *s);
/* Bytes queued and not acknowledged. */
uint64_t rovei_sendstream_queued(const rovei_sendstream *s);
void rovei_sendstream_check(const rovei_sendstream *s);

#endif
