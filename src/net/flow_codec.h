/* SPDX-License-Identifier: Apache-2.0
 *
 * The four messages by which two nodes of class net steer the streams between them
 * (docs/protocol/net.md, "Streams"): one event each, of an exact length. */
#ifndef ROVEI_NET_FLOW_CODEC_H
#define ROVEI_NET_FLOW_CODEC_H

#include <base/cursor.h>

/* Their subprotocol ids. */
#define ROVEI_FLOW_WINDOW_ID 0x0B00u
#define ROVEI_FLOW_NACK_ID   0x0B01u
#define ROVEI_FLOW_RESET_ID  0x0B02u
#define ROVEI_FLOW_RANGES_ID 0x0B03u

#define ROVEI_FLOW_WINDOW_SIZE 24u
#define ROVEI_FLOW_NACK_SIZE   24u
#define ROVEI_FLOW_RESET_SIZE  8u
#define ROVEI_FLOW_RANGES_HEAD 16u
#define ROVEI_FLOW_RANGE_SIZE  16u
#define ROVEI_FLOW_RANGES_MAX  16u

/* Sequences from `start` up to, not including, `end`. */
typedef struct rovei_flow_range {
    uint64_t start, end;
} rovei_flow_range;

typedef struct rovei_flow_ranges {
    uint32_t count;                            /* 1 to 16 */
    rovei_flow_range r[ROVEI_FLOW_RANGES_MAX]; /* descending, with gaps between them */
} rovei_flow_ranges;

typedef struct rovei_flow_message {
    uint16_t id;
    uint64_t stream;
    uint64_t ack; /* WINDOW, RANGES: all below was received. NACK: the lowest that is missing */
    union {
        uint64_t consumed;        /* WINDOW: bytes on the wire taken in since the stream began */
        uint64_t missing;         /* NACK: bit i: ack + 1 + i is missing too */
        rovei_flow_ranges ranges; /* RANGES: received above `ack` */
    };
} rovei_flow_message;

static inline bool rovei_flow_is_control(uint16_t id)
{
    return id >= ROVEI_FLOW_WINDOW_ID && id <= ROVEI_FLOW_RANGES_ID;
}

/* One event of a control packet. E_FLAG: not an id of these. E_SHORT, E_TRAILING: not the exact
 * length. E_BOUND: no range, or too many. E_FORMAT: ranges that are empty, touch what is
 * acknowledged or each other, or are not descending. */
ROVE_MUST_USE rove_err rovei_flow_read(uint16_t id, rove_span event, rovei_flow_message *ret);
/* The writer's E_FULL says that there was no room. */
void rovei_flow_write(rovei_writer *w, const rovei_flow_message *m);

#endif
