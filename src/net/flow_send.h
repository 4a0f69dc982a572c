/* SPDX-License-Identifier: Apache-2.0
 *
 * What is under way on one stream of class net: credit in bytes on the wire, and for a reliable
 * stream the packets that were not acknowledged, with a round-trip time and a congestion window
 * (docs/protocol/net.md, "Streams"). */
#ifndef ROVEI_NET_FLOW_SEND_H
#define ROVEI_NET_FLOW_SEND_H

#include <base/alloc.h>
#include <base/list.h>
#include <base/now.h>
#include <net/flow_codec.h>

#define ROVEI_FLOW_RTO         (50 * ROVE_MILLISECOND) /* before a measurement */
#define ROVEI_FLOW_RTO_MIN     (10 * ROVE_MILLISECOND)
#define ROVEI_FLOW_RTO_MAX     (2 * ROVE_SECOND)
#define ROVEI_FLOW_RESENDS     8u     /* of one packet; then the stream has failed */
#define ROVEI_FLOW_CWND        32000u /* in thousandths of a packet, as below */
#define ROVEI_FLOW_CWND_MIN    2000u
#define ROVEI_FLOW_PENDING_MIN 32u
#define ROVEI_FLOW_PENDING_MAX 16384u
#define ROVEI_FLOW_TRACKED     512u /* bytes of window for each packet that may be pending */

/* Bytes that may be under way, by absolute totals: a lost grant is healed by the next one. */
typedef struct rovei_flow_credit {
    uint64_t window; /* 0: without a limit, nothing is counted */
    uint64_t remaining;
    uint64_t sent; /* since the stream began */
    uint64_t seen; /* the highest total granted, never above `sent` */
} rovei_flow_credit;

void rovei_flow_credit_init(rovei_flow_credit *c, uint64_t window);
bool rovei_flow_credit_take(rovei_flow_credit *c, uint64_t cost);
void rovei_flow_credit_grant(rovei_flow_credit *c, uint64_t total);

typedef struct rovei_flow_send rovei_flow_send;

/* One packet, from when it is handed over until it has left and, if reliable, was acknowledged. */
typedef struct rovei_flow_packet {
    rovei_list queue;   /* waits to leave */
    rovei_list pending; /* not acknowledged */
    rovei_flow_send *owner;
    uint64_t sequence, sent_at;
    uint16_t size, events;
    bool marked; /* goes with the flag of a reliable packet */
    uint8_t resends;
    uint8_t bytes[]; /* event frames */
} rovei_flow_packet;

struct rovei_flow_send {
    const rove_alloc *alloc;
    rovei_list *queue; /* where packets wait to leave, of all streams */
    uint64_t stream;
    uint64_t next;  /* sequence of the next packet */
    uint64_t alive; /* when a packet last left, or the peer last said something that counted */
    rovei_flow_credit credit;
    bool reliable;
    bool failed;     /* a packet was given up; the peer is told to forget the stream */
    bool recovering; /* holes up to `recover` were answered already */
    bool measured;   /* there was a round trip */
    uint64_t recover;
    uint64_t smoothed, variance, rto;
    uint32_t cwnd, threshold; /* thousandths of a packet */
    uint32_t pending_count, pending_max;
    rovei_list pending;         /* ascending by sequence */
    rovei_flow_ranges received; /* as the peer said last */
    /* Counted since the stream began. */
    uint64_t resent, contradicted; /* contradicted: asked for, and said to be received */
};

/* Packets that may be pending on a stream of that window. */
uint32_t rovei_flow_pending_max(uint64_t window);

void rovei_flow_send_init(rovei_flow_send *s, const rove_alloc *a, rovei_list *queue,
                          uint64_t stream, bool reliable, uint64_t window);
void rovei_flow_send_fini(rovei_flow_send *s);
/* Events in their frames, for one packet. */
typedef struct rovei_flow_frames {
    rove_span bytes;
    uint16_t count;
} rovei_flow_frames;
/* Queues a packet; `marked`: with the flag of a reliable one, whatever the stream is. E_FULL: no
 * credit, too much pending, or the congestion window is full; nothing was taken. E_TOO_LARGE: above
 * the window, never to be sent. E_CLOSED: failed. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_flow_send_put(rovei_flow_send *s, const rovei_flow_frames *frames,
                                           bool marked);
/* The packet, which was first in the queue, has left; one that nobody acknowledges is freed. */
void rovei_flow_send_left(rovei_flow_packet *p, uint64_t now);

void rovei_flow_send_window(rovei_flow_send *s, uint64_t now, const rovei_flow_message *m);
void rovei_flow_send_nack(rovei_flow_send *s, const rovei_flow_message *m);
void rovei_flow_send_ranges(rovei_flow_send *s, uint64_t now, const rovei_flow_message *m);
/* Queues again what was not acknowledged in time. When a packet was sent often enough, the stream
 * has failed and nothing of it is pending any more. */
void rovei_flow_send_expire(rovei_flow_send *s, uint64_t now);
void rovei_flow_send_check(const rovei_flow_send *s);

#endif
