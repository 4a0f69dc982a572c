/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiving half of a stream: bytes put in order, messages put together, credit for the peer;
 * and the queue of what happened, which all streams of a transport share.
 *
 * Bytes in order go straight into the message that they belong to; bytes ahead of a gap are kept in
 * pieces. Memory follows what has arrived: a message gets its full size at once only while the sum
 * of such advances is small, else its room doubles as it fills. */
#ifndef ROVEI_MESH_RECVSTREAM_H
#define ROVEI_MESH_RECVSTREAM_H

#include <base/buf.h>
#include <base/list.h>
#include <base/now.h>
#include <mesh/frames.h>
#include <mesh/transport.h>

/* Messages that wait to be polled; what follows stays bytes of its stream. */
#define ROVEI_EVENTS_MAX 65536u
/* Pieces of a transport that wait behind gaps; more are not taken. */
#define ROVEI_PIECES_MAX 65536u

typedef struct rovei_piece {
    uint64_t offset;
    size_t size;
    uint8_t data[];
} rovei_piece;

typedef enum rovei_recv_state {
    ROVEI_RECV_OPEN,
    ROVEI_RECV_FINISHED, /* all came; the end waits to be polled */
    ROVEI_RECV_RESET,    /* the reset waits to be polled */
    ROVEI_RECV_REFUSED,  /* not taken; its RESET is awaited */
} rovei_recv_state;

typedef struct rovei_recvstream {
    rovei_list control; /* in the list of those about which a frame is to be said */
    rovei_list stalled; /* in the list of those that wait for events to be polled */
    uint64_t id;
    uint16_t tag;
    uint8_t state; /* rovei_recv_state */
    bool final_known;
    uint64_t final;     /* where the stream ends */
    uint64_t next;      /* all below went into messages */
    uint64_t delivered; /* end of the last whole message */
    uint64_t highest;   /* end of what was seen */
    uint64_t consumed;  /* bytes of polled messages, without those held */
    uint64_t held;      /* of polled messages whose reader is not through with them */
    uint64_t announced; /* the limit that the peer was told */
    uint32_t events;    /* in the queue that point here */

    uint8_t length[4]; /* of the message under construction */
    uint8_t length_have;
    rove_buf *message; /* its bytes so far; its size is the room there is */
    uint32_t message_size;
    size_t message_have;

    rovei_piece **pieces; /* sorted, disjoint, above next */
    size_t piece_first, piece_count, piece_room;
} rovei_recvstream;

typedef struct rovei_queued_event {
    rovei_recvstream *from; /* NULL for REFUSED */
    rove_buf *message;
    uint64_t id;
    uint16_t tag;
    uint8_t kind;
} rovei_queued_event;

/* What all incoming streams of one transport share. */
typedef struct rovei_recvshare {
    const rove_alloc *alloc;
    uint64_t stream_window, peer_window;
    uint64_t received;  /* sum of highest, ended streams included */
    uint64_t consumed;  /* bytes given back by polling or dropped */
    uint64_t partial;   /* bytes of messages under construction: sum of next - delivered */
    uint64_t advance;   /* room that messages have and no bytes filled yet */
    uint64_t announced; /* the limit that the peer was told */
    size_t pieces;
    rovei_list stalled;
    rovei_queued_event *events; /* ring */
    size_t events_first, events_count, events_room;
} rovei_recvshare;

void rovei_recvshare_init(rovei_recvshare *share, const rove_alloc *a, uint64_t stream_window,
                          uint64_t peer_window);
void rovei_recvshare_fini(rovei_recvshare *share);
/* The limit for all streams that the peer may be told. */
uint64_t rovei_recvshare_limit(const rovei_recvshare *share);

/* Makes room for one more event. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_events_reserve(rovei_recvshare *share);
/* After _reserve. */
void rovei_events_push(rovei_recvshare *share, rovei_queued_event event);
bool rovei_events_pop(rovei_recvshare *share, rovei_queued_event *ret);

rovei_recvstream *rovei_recvstream_new(const rovei_recvshare *share, uint64_t id, uint16_t tag);
/* No event may point to it any more. */
void rovei_recvstream_free(rovei_recvshare *share, rovei_recvstream *s);

/* A STREAM frame. E_STREAM_STATE (other tag, beyond or against the final offset, the end inside of
 * a message), E_FLOW, E_BOUND (a message above ROVEI_MESSAGE_MAX), E_NOMEM, E_FULL: the last two
 * mean that the packet counts as lost; what was taken of it stays. */
ROVE_MUST_USE rove_err rovei_recvstream_data(rovei_recvshare *share, rovei_recvstream *s,
                                             const rovei_frame_stream *f);
/* A RESET frame. E_STREAM_STATE, E_FLOW, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_recvstream_reset(rovei_recvshare *share, rovei_recvstream *s,
                                              uint16_t tag, uint64_t final);
/* Goes on with pieces that waited for events to be polled. E_BOUND, E_NOMEM, E_STREAM_STATE. */
ROVE_MUST_USE rove_err rovei_recvstream_resume(rovei_recvshare *share, rovei_recvstream *s);
/* The limit of this stream that the peer may be told. */
uint64_t rovei_recvstream_limit(const rovei_recvshare *share, const rovei_recvstream *s);
void rovei_recvstream_check(const rovei_recvstream *s);

#endif
