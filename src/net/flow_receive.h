/* SPDX-License-Identifier: Apache-2.0
 *
 * What one stream of class net has brought so far: which sequences came, what is missing, and how
 * much the sender may count as taken in (docs/protocol/net.md, "Streams"). Nothing of it allocates.
 */
#ifndef ROVEI_NET_FLOW_RECEIVE_H
#define ROVEI_NET_FLOW_RECEIVE_H

#include <base/now.h>

/* Runs of sequences kept above the first hole; a packet that would begin another is not taken. */
#define ROVEI_FLOW_RUNS 32u
/* How far above the first hole a sequence may lie. */
#define ROVEI_FLOW_HORIZON 16384u
/* A hole of this age is given up: many senders never repair one. */
#define ROVEI_FLOW_HOLE_LIFE ROVE_SECOND
/* A number that came before and comes again after this silence is a stream that was begun anew: the
 * reference repeats a packet for less. A sender that waits for longer, on a very slow way, has one
 * packet delivered twice. */
#define ROVEI_FLOW_NEW_LIFE (10 * ROVE_SECOND)

typedef enum rovei_flow_verdict {
    ROVEI_FLOW_NEW = 1,   /* counted; its events are for the application */
    ROVEI_FLOW_DUPLICATE, /* was here before; to be acknowledged again */
    ROVEI_FLOW_REFUSED,   /* too far ahead or too many holes; as if it had been lost */
} rovei_flow_verdict;

typedef struct rovei_flow_run {
    uint64_t first, end; /* received: first to end - 1 */
    uint64_t since;      /* when the hole below it was seen */
} rovei_flow_run;

typedef struct rovei_flow_receive {
    uint64_t next;         /* all below was received or given up */
    uint64_t consumed;     /* bytes on the wire, with an estimate for what was given up */
    uint64_t heard;        /* when the last packet came */
    uint64_t beyond;       /* lowest sequence refused as too far ahead ... */
    uint64_t beyond_since; /* ... and when that began; 0: none */
    uint32_t largest;      /* cost of the largest packet so far */
    uint32_t count;        /* of runs */
    bool reliable;         /* the sender repairs holes, or says so */
    bool fresh_hole;       /* a hole that was not told yet */
    rovei_flow_run runs[ROVEI_FLOW_RUNS]; /* ascending, with holes between them */
} rovei_flow_receive;

void rovei_flow_receive_init(rovei_flow_receive *s, bool reliable);
/* A packet of `cost` bytes on the wire. */
rovei_flow_verdict rovei_flow_receive_take(rovei_flow_receive *s, uint64_t now, uint64_t sequence,
                                           uint32_t cost);
/* Whether a hole stands that time may end. */
static inline bool rovei_flow_receive_waits(const rovei_flow_receive *s)
{
    return s->count > 0 || s->beyond_since > 0;
}
/* Gives up holes that are old enough; the number of sequences given up. */
uint64_t rovei_flow_receive_expire(rovei_flow_receive *s, uint64_t now);
/* For a NACK: bit i is set when next + 1 + i is missing below something that was received. */
uint64_t rovei_flow_receive_missing(const rovei_flow_receive *s);
void rovei_flow_receive_check(const rovei_flow_receive *s);

#endif
