/* SPDX-License-Identifier: Apache-2.0
 *
 * What is under way: one record per packet with the meaning of its frames, not their bytes. When a
 * packet is acknowledged or lost, the meaning of its frames is settled with those who sent them;
 * bytes are made anew. Packets and frames lie in two rings that grow and are used again, so in the
 * steady state nothing is allocated. */
#ifndef ROVEI_MESH_SENT_H
#define ROVEI_MESH_SENT_H

#include <mesh/frames.h>

struct rovei_sendstream;

/* Frames that one packet may carry and that need a record. */
#define ROVEI_SENT_FRAMES 64

typedef struct rovei_sent_frame {
    uint8_t type; /* rovei_frame_type */
    bool fin;
    uint16_t size;
    union {
        struct rovei_sendstream *stream; /* STREAM, RESET: holds a reference */
        uint64_t id;                     /* MAX_STREAM_DATA, REFUSED */
    };
    uint64_t value; /* STREAM: offset; ACK: largest; MAX_...: the limit */
} rovei_sent_frame;

typedef struct rovei_sent_packet {
    uint64_t sent_at;
    uint64_t frames; /* position of its first frame record */
    uint16_t size;
    uint8_t count;    /* of its frames */
    bool outstanding; /* neither acknowledged nor lost, and asks for an acknowledgement */
    bool acked;
    bool probed; /* its frames were sent again by a probe */
} rovei_sent_packet;

typedef struct rovei_sent {
    const rove_alloc *alloc;
    rovei_sent_packet *packets; /* ring over packet numbers */
    size_t packets_room;        /* powers of two */
    rovei_sent_frame *frames;   /* ring over frame positions */
    size_t frames_room;
    uint64_t first;       /* lowest packet number kept; below it all is settled */
    uint64_t next;        /* number of the next packet */
    uint64_t first_frame; /* positions kept are [first_frame, next_frame) */
    uint64_t next_frame;
    uint64_t in_flight;   /* bytes of outstanding packets */
    uint64_t outstanding; /* their count */
    uint8_t open;         /* frames noted for the packet under construction */
} rovei_sent;

void rovei_sent_init(rovei_sent *s, const rove_alloc *a);
void rovei_sent_fini(rovei_sent *s);
/* Makes room for one packet with its frames. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_sent_reserve(rovei_sent *s);
/* Notes a frame of the packet under construction. */
void rovei_sent_note(rovei_sent *s, rovei_sent_frame frame);
static inline bool rovei_sent_full(const rovei_sent *s)
{
    return s->open == ROVEI_SENT_FRAMES;
}
/* Drops the notes of the packet under construction; they must not hold references. */
void rovei_sent_cancel(rovei_sent *s);
/* Ends the packet: it takes number `next`. One that asks for no acknowledgement is not kept. */
void rovei_sent_commit(rovei_sent *s, uint64_t now, size_t size, bool eliciting);
/* Packet `number`, which lies in [first, next). */
static inline rovei_sent_packet *rovei_sent_at(const rovei_sent *s, uint64_t number)
{
    return &s->packets[number & (s->packets_room - 1)];
}
static inline rovei_sent_frame *rovei_sent_frame_at(const rovei_sent *s, const rovei_sent_packet *p,
                                                    size_t i)
{
    return &s->frames[(p->frames + i) & (s->frames_room - 1)];
}
/* Takes a packet out of what is outstanding; the caller settles its frames before _trim. */
void rovei_sent_settle(rovei_sent *s, rovei_sent_packet *p);
/* Forgets settled packets at the low end. */
void rovei_sent_trim(rovei_sent *s);
void rovei_sent_check(const rovei_sent *s);

#endif
