/* SPDX-License-Identifier: Apache-2.0
 *
 * How much may be under way (congestion window) and how fast it leaves (pacer). */
#ifndef ROVEI_MESH_CONGESTION_H
#define ROVEI_MESH_CONGESTION_H

#include <mesh/rtt.h>

#define ROVEI_CWND_PACKET  1200u /* what counts as one packet */
#define ROVEI_CWND_INITIAL (10u * ROVEI_CWND_PACKET)
#define ROVEI_CWND_MIN     (4u * ROVEI_CWND_PACKET)
#define ROVEI_CWND_MAX     (UINT64_C(32) << 20)
#define ROVEI_PACER_BURST  32u /* packets that may leave at once */

typedef struct rovei_congestion {
    uint64_t window;    /* bytes */
    uint64_t threshold; /* below it the window grows by what is acknowledged */
    uint64_t credit;    /* bytes acknowledged towards the next step of linear growth */
    uint64_t recovery;  /* packets sent until then belong to the last reduction */
    bool in_recovery;   /* there was a reduction */
} rovei_congestion;

void rovei_congestion_init(rovei_congestion *c);
/* `bytes` sent at `sent_at` were acknowledged while `in_flight` were under way before. */
void rovei_congestion_acked(rovei_congestion *c, uint64_t bytes, uint64_t sent_at,
                            uint64_t in_flight);
/* Packets were lost, the newest of them sent at `sent_at`: one reduction per round trip. */
void rovei_congestion_lost(rovei_congestion *c, uint64_t now, uint64_t sent_at);
/* Nothing came through for long. */
void rovei_congestion_collapse(rovei_congestion *c);

typedef struct rovei_pacer {
    uint64_t clear; /* when what was sent has left at the paced rate */
    uint64_t hold;  /* sending is held until then, so that several packets leave together */
} rovei_pacer;

void rovei_pacer_init(rovei_pacer *p);
/* Whether a packet may leave now; when not, `hold` is when to ask again. */
bool rovei_pacer_ready(rovei_pacer *p, const rovei_congestion *c, const rovei_rtt *r, uint64_t now);
/* The time from which on a packet may leave; 0 when that is always. */
uint64_t rovei_pacer_when(const rovei_pacer *p, const rovei_rtt *r);
void rovei_pacer_sent(rovei_pacer *p, const rovei_congestion *c, const rovei_rtt *r, uint64_t now,
                      uint64_t bytes);

#endif
