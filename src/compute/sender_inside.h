/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the sender half of lanes, shared by its files. */
#ifndef ROVEI_COMPUTE_SENDER_INSIDE_H
#define ROVEI_COMPUTE_SENDER_INSIDE_H

#include <compute/lanes_inside.h>

/* What the senders to one daemon share: where it is, and the state incarnation it was last in. */
typedef struct rovei_route {
    rovei_node *node;
    rove_entity daemon;
    rove_entity holder; /* of the record that is followed; zero: none known */
    bool ended;         /* the record's holder is of class net, where no lane goes: `holder` is then
                           who gave the daemon away, and knows what became of the events */
    rovei_sinc sinc;    /* (0, 0): not known yet */
    rovei_list senders;
    uint32_t hops; /* redirects since the last frame of a holder */
    bool troubled; /* nobody serves the daemon as far as is known */
    bool told_unreachable;
    uint64_t trouble_since; /* monotonic */
} rovei_route;

typedef struct rovei_queued {
    rove_buf *owner;
    rove_span payload; /* inside of it; all of it when it is large */
    bool holds;        /* has a reference to the owner; else one queued behind it has */
    rove_link link;
    uint64_t queued_at; /* monotonic */
} rovei_queued;

/* Which events of a lane were applied: all up to `upto`, but for those up to `from`, of which
 * nothing is known any more, and the holes. */
#define ROVEI_HOLES_MAX 32
typedef struct rovei_applied {
    uint64_t from, upto;
    size_t count;
    struct rovei_hole {
        uint64_t first, last;
    } holes[ROVEI_HOLES_MAX]; /* ascending, disjoint */
} rovei_applied;

/* A lane that its host has forgotten: kept so that a loss can still be told. */
typedef struct rovei_old_lane {
    uint64_t number, base;
    rovei_applied applied;
    bool checking; /* its position under a new state incarnation is not known yet */
    bool asked;
} rovei_old_lane;
#define ROVEI_OLD_LANES_MAX 15

typedef enum rovei_sender_state {
    ROVEI_SENDER_NONE,    /* has no lane */
    ROVEI_SENDER_OPENING, /* Open is to be answered */
    ROVEI_SENDER_SYNC,    /* knows a lane but not its position: AskPosition is to be answered */
    ROVEI_SENDER_OPEN,
} rovei_sender_state;

/* Sequences count within the lane; the handle's number of an event is base + sequence. */
struct rovei_sender {
    rovei_node *node;
    uint64_t number;
    rovei_route *route;
    rovei_list in_route, busy;
    rovei_timer timer;
    rovei_sender_state state;
    bool said;     /* the frame that the state asks for has been written */
    bool ask;      /* OPEN: wants to know the position */
    bool checking; /* a new state incarnation: what was lost is not known yet */
    bool gap_due;
    bool replace; /* when all abandoned and refused events are told, the lane is given up */
    bool want_room;
    bool closing, dropped;
    bool opened; /* Open was written for this lane */

    uint64_t lane, base;
    uint64_t acked;   /* has its outcome, or is given up, up to here */
    uint64_t sent;    /* written into the present stream up to here */
    uint64_t high;    /* ever written in this lane up to here */
    uint64_t next;    /* queued up to here */
    uint64_t abandon; /* to be told as unknown up to here */
    uint64_t refuse;  /* and then as refused up to here, with: */
    rove_err refuse_err;
    uint64_t confirmed; /* outcomes confirmed to the host up to here */
    size_t unconfirmed_bytes;

    uint64_t hold_until, hold; /* the host told it to wait: nothing is said before */
    uint64_t retry_at, pause;  /* when what had no answer is said again */
    uint64_t confirm_at, close_until;

    rovei_queued *queue; /* ring: acked + 1 .. next */
    size_t queue_room, queue_first, queue_count, queue_bytes;
    rove_link tip; /* of the event that comes next in the lane's chain */
    rovei_pipe pipe;
    rovei_applied applied;
    rovei_old_lane *old;
    size_t old_count, old_room;
};

/* ---- sender.c ---- */
rovei_route *rovei_route_get(const rovei_node *n, const rove_entity *daemon);
void rovei_route_trouble(rovei_route *r, rovei_now now);
/* A holder has answered. */
void rovei_route_reached(rovei_route *r);
/* A new state incarnation: every lane's position has to be asked for. */
void rovei_route_raise(rovei_route *r, rovei_sinc sinc);
static inline rovei_queued *rovei_sender_queued(const rovei_sender *s, size_t i)
{
    return &s->queue[(s->queue_first + i) & (s->queue_room - 1)];
}
void rovei_sender_busy(rovei_sender *s);
/* The first of the queue leaves it: it has its outcome. */
void rovei_sender_pop(rovei_sender *s);
void rovei_sender_room(rovei_sender *s);
/* The lane is over: what it has no outcome for is refused. */
void rovei_sender_refuse_all(rovei_sender *s, rove_err err);
/* Tells what is abandoned and refused. False: out of memory, not all could be told yet. */
bool rovei_sender_drain(rovei_sender *s);
/* The present lane is not used any more, and a new one begins with what was never sent. */
void rovei_sender_new_lane(rovei_sender *s);
/* Everything is said again to whoever holds the daemon now. */
void rovei_sender_restart(rovei_sender *s, rovei_now now, bool reset);
void rovei_sender_free(rovei_sender *s);
/* SENDER_ENDED, and the sender is gone. False: out of memory. */
bool rovei_sender_end(rovei_sender *s);
void rovei_sender_arm(rovei_sender *s, rovei_now now);

/* ---- what was applied ---- */
void rovei_applied_hole(rovei_applied *a, uint64_t first, uint64_t last);
/* Tells what was applied after `position` as lost, and forgets it. */
void rovei_sender_lost(rovei_sender *s, uint64_t base, rovei_applied *a, uint64_t position);

/* ---- sender_write.c ---- */
void rovei_sender_write(rovei_sender *s, rovei_now now);

#define ROVEI_SENDER_PAUSE     (500 * ROVE_MILLISECOND) /* first wait for an answer */
#define ROVEI_SENDER_PAUSE_MAX (8 * ROVE_SECOND)
#define ROVEI_SENDER_HOLD      (20 * ROVE_MILLISECOND) /* first wait after Moving or NotHere */
#define ROVEI_SENDER_HOLD_MAX  ROVE_SECOND
#define ROVEI_SENDER_LOST_MAX  (4 * ROVE_SECOND) /* after NotHere */
#define ROVEI_SENDER_CONFIRM   (25 * ROVE_MILLISECOND)
#define ROVEI_SENDER_HOPS      8
#define ROVEI_SENDERS_MAX      65536

#endif
