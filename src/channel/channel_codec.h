/* SPDX-License-Identifier: Apache-2.0
 *
 * What a publisher and its subscribers say to each other in class rove, beside membership: messages
 * of the tag CHANNEL, of which the first byte is the type (docs/protocol/channels.md, "Legs"). */
#ifndef ROVEI_CHANNEL_CHANNEL_CODEC_H
#define ROVEI_CHANNEL_CHANNEL_CODEC_H

#include <base/cursor.h>
#include <channel/name.h>

typedef enum rovei_channel_type {
    ROVEI_CHANNEL_MEMBERSHIP = 0, /* the rest is a membership message */
    /* publisher to subscriber */
    ROVEI_CHANNEL_BEGIN = 1, /* the leg begins, or begins again: `number` comes next */
    ROVEI_CHANNEL_EVENTS,
    ROVEI_CHANNEL_ENDED, /* nothing more comes: the subscription is gone */
    /* subscriber to publisher */
    ROVEI_CHANNEL_TOOK = 0x21, /* credit: everything up to `number` needs no place any more */
    ROVEI_CHANNEL_RESUME,      /* once more from `number` on, as far as it is kept */
} rovei_channel_type;

enum {
    ROVEI_BEGIN_GROUP = 1, /* BEGIN: in a queue group; numbers that are left out are another's */
};

typedef enum rovei_ended_reason {
    ROVEI_ENDED_UNAUTHORIZED = 1, /* its token expired or was revoked, or a gate closed */
    ROVEI_ENDED_REMOVED = 2,      /* the channel is no more */
} rovei_ended_reason;

#define ROVEI_CHANNEL_NUMBER_MAX  (UINT64_C(1) << 62)
#define ROVEI_CHANNEL_EVENTS_SIZE (1 + 8 + 8 + 8 + 4) /* before the items */
#define ROVEI_CHANNEL_ITEM_SIZE   (4 + 4)             /* before the payload of each */
#define ROVEI_CHANNEL_FRAME_MAX   (1 + 4 * 8 + 1 + 1 + ROVEI_CHANNEL_NAME_MAX) /* but EVENTS */

typedef struct rovei_channel_frame {
    rovei_channel_type type;
    uint64_t channel;          /* hash */
    uint64_t incarnation;      /* of the channel at its publisher, not 0 */
    uint64_t number;           /* BEGIN: next; EVENTS: of the first; TOOK: up to; RESUME: from */
    uint64_t oldest;           /* BEGIN: that is kept; what was before it is gone for good */
    uint32_t count;            /* EVENTS */
    uint8_t flags;             /* BEGIN */
    rovei_ended_reason reason; /* ENDED */
    rove_span name;            /* BEGIN: borrowed */
    rove_span run;             /* EVENTS: the items, borrowed */
} rovei_channel_frame;

/* Not for MEMBERSHIP. Of EVENTS the fixed part and then `run`, which may be empty when the items
 * come behind it. */
void rovei_channel_frame_write(rovei_writer *w, const rovei_channel_frame *f);
/* Any type but MEMBERSHIP. Checks everything, the items too; on an error `ret` is undefined.
 * E_SHORT, E_TRAILING, E_FLAG, E_BOUND, E_FORMAT, the errors of names. */
ROVE_MUST_USE rove_err rovei_channel_frame_read(rove_span bytes, rovei_channel_frame *ret);
/* Whether a message of the tag is for the publisher's half: a request to join or leave, TOOK or
 * RESUME. What is malformed goes to the publisher's half, which counts it. */
bool rovei_channel_is_to_publisher(rove_span bytes);

/* One event of EVENTS: u32 how many numbers before it are left out, u32 length, payload. */
void rovei_channel_event_write(rovei_writer *w, uint32_t left_out, rove_span payload);
/* The next event: `*number` is the number expected, from the frame's on, and becomes that of the
 * event; the caller adds one for the next. False at the end. */
bool rovei_channel_event_read(rovei_reader *r, uint64_t *number, rove_span *ret_payload);

#endif
