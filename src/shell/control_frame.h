/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames over the control socket, for both ends (docs/protocol.md, "Control socket"): u32 length of
 * what follows, u8 type, body. The descriptor is non-blocking; reading and writing are buffered,
 * and whoever uses it watches the fill of both buffers, which is what pushes back. */
#ifndef ROVEI_SHELL_CONTROL_FRAME_H
#define ROVEI_SHELL_CONTROL_FRAME_H

#include <base/alloc.h>
#include <base/cursor.h>

/* Both ways: */
#define ROVEI_FRAME_BYTES 'B' /* a piece of a state or snapshot */
/* Client to node: */
#define ROVEI_FRAME_SEED    'K' /* 32 bytes, before the request that uses them */
#define ROVEI_FRAME_REQUEST 'Q' /* a JSON object: what to do */
#define ROVEI_FRAME_EVENT   'E' /* one event to send: its bytes */
#define ROVEI_FRAME_FINISH  'F' /* no more events, no more pieces */
#define ROVEI_FRAME_DROP    'D' /* no more events, and what has no outcome is given up */
#define ROVEI_FRAME_CONFIRM 'C' /* u64: so many outcomes have come, and need not be kept */
#define ROVEI_FRAME_ABORT   'A' /* the time for a move is up: abort it if that is still possible */
/* Node to client: */
#define ROVEI_FRAME_JSON    'J' /* a JSON object: one line of the answer */
#define ROVEI_FRAME_TAKEN   'T' /* so many events went into the lane, see rovei_taken */
#define ROVEI_FRAME_OUTCOME 'O' /* what became of an event, see rovei_outcome_head */
#define ROVEI_FRAME_HEARD   'H' /* u64 number of an event on a channel, its bytes */
#define ROVEI_FRAME_END     'X' /* i32 error, then its text: the request has ended */

/* How a client that sends names itself, so that it can come back: drawn at random. */
#define ROVEI_CLIENT_SIZE 16

#define ROVEI_FRAME_HEAD  5
#define ROVEI_REQUEST_MAX 65536
#define ROVEI_OUTCOME_MAX (UINT32_C(1) << 30) /* what a client takes in one frame */

/* A client may have this many events, or bytes of events, on their way to the node that the node
 * has not said to have taken; one event it always may. */
#define ROVEI_CREDIT_EVENTS 512
#define ROVEI_CREDIT_BYTES  ((size_t)1 << 20)

/* Body of TAKEN. */
#define ROVEI_TAKEN_SIZE 24
typedef struct rovei_taken {
    uint64_t count; /* events taken so far */
    uint64_t at;    /* monotonic time of the last one */
    uint64_t
        stalled; /* nanoseconds: the longest that one waited to be taken since the last TAKEN */
} rovei_taken;
void rovei_taken_encode(const rovei_taken *t, uint8_t ret[ROVEI_TAKEN_SIZE]);
ROVE_MUST_USE rove_err rovei_taken_decode(rovei_taken *ret, rove_span body);

/* Body of OUTCOME: this, then the outputs in the framing of state/chain.h, or a text. */
#define ROVEI_OUTCOME_SIZE 25
typedef enum rovei_event_outcome {
    ROVEI_EVENT_APPLIED = 1, /* outputs follow; with an error of process its text does */
    ROVEI_EVENT_REFUSED,
    ROVEI_EVENT_UNKNOWN,
    ROVEI_EVENT_LOST, /* was applied, and is lost: from `number` to `last` */
} rovei_event_outcome;
typedef struct rovei_outcome_head {
    rovei_event_outcome kind;
    uint64_t number, last; /* of events, from 1 in the order in which they were sent */
    rove_err err;
    uint32_t outputs;
} rovei_outcome_head;
void rovei_outcome_encode(const rovei_outcome_head *h, uint8_t ret[ROVEI_OUTCOME_SIZE]);
/* *ret_rest: what follows the head. E_SHORT, E_FLAG. */
ROVE_MUST_USE rove_err rovei_outcome_decode(rovei_outcome_head *ret, rove_span body,
                                            rove_span *ret_rest);

typedef struct rovei_channel {
    int fd;
    const rove_alloc *alloc;
    size_t frame_max; /* longest frame body taken */
    bool secret;      /* a seed went through: the buffers are wiped at the end */
    uint8_t *in, *out;
    size_t in_at, in_size, in_room; /* unread bytes: in[in_at .. in_size) */
    size_t out_at, out_size, out_room;
} rovei_channel;

void rovei_channel_init(rovei_channel *c, int fd, const rove_alloc *alloc, size_t frame_max);
/* Frees the buffers and closes the descriptor. */
void rovei_channel_fini(rovei_channel *c);

/* Takes in what is there, up to a bound: OK, also when there was nothing; E_CLOSED at the end of
 * the stream, E_IO, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_channel_fill(rovei_channel *c);
/* The next whole frame, borrowed until the next fill: E_SHORT when there is none yet, E_BOUND for
 * one that is too long. */
ROVE_MUST_USE rove_err rovei_channel_next(rovei_channel *c, uint8_t *ret_type, rove_span *ret_body);
/* Appends a frame whose body is `head`, then `body`. E_NOMEM, E_TOO_LARGE. */
ROVE_MUST_USE rove_err rovei_channel_put(rovei_channel *c, uint8_t type, rove_span head,
                                         rove_span body);
/* Writes what it can: OK, also when something is left; E_CLOSED, E_IO. */
ROVE_MUST_USE rove_err rovei_channel_flush(rovei_channel *c);
static inline size_t rovei_channel_queued(const rovei_channel *c)
{
    return c->out_size - c->out_at;
}
/* True when `fill` would have nothing new to parse: a whole frame may still be in the buffer. */
static inline size_t rovei_channel_unread(const rovei_channel *c)
{
    return c->in_size - c->in_at;
}

#endif
