/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of subscriptions, shared by its files: who subscribed (feeds.c), what is asked of
 * publishers (member.c), and what comes from them (feeds_flow.c). */
#ifndef ROVEI_CHANNEL_FEEDS_INSIDE_H
#define ROVEI_CHANNEL_FEEDS_INSIDE_H

#include <channel/channel_codec.h>
#include <channel/feeds.h>
#include <channel/membership_codec.h>
#include <compute/lanes_channel.h>
#include <node/core.h>

typedef enum rovei_feed_ask {
    ROVEI_FEED_ASK_NONE,
    ROVEI_FEED_ASK_JOIN,
    ROVEI_FEED_ASK_LEAVE,
} rovei_feed_ask;

/* What waits for room: the events of one message that were not given yet. */
typedef struct rovei_feed_message {
    rove_buf *owner;
    size_t at;       /* of the next event in it */
    uint64_t number; /* that it has, what is left out before it not counted */
} rovei_feed_message;

/* One membership of this node at a publisher, for all that share it. */
typedef struct rovei_wire {
    struct rovei_feeds *f;
    uint8_t key[16];
    uint64_t node_id, hash;
    rove_entity publisher; /* zero: not known yet, no session has shown it */
    rove_buf *name, *group;
    bool net;
    uint64_t incarnation; /* 0: nothing has begun */
    uint64_t next;        /* the highest number that came, and one */
    uint64_t taken, told; /* everything up to here needs no place at the publisher; as it knows */
    uint64_t untold;      /* bytes of the events between them */
    uint64_t asked_from;  /* RESUME was said of this number; 0: none is under way */
    bool member;          /* the publisher accepted it, and nothing has ended it */
    bool stalled;
    rovei_queue waiting; /* rovei_feed_message */
    size_t waiting_bytes;
    rovei_timer timer; /* says Took, and tries what was put off */
    rovei_list feeds, busy;
    rovei_list seatless; /* daemons that came while the membership was one of a queue group */
} rovei_wire;

/* One subscriber: a daemon or a listener. */
typedef struct rovei_feed {
    rovei_wire *wire;
    rovei_daemon *d;  /* NULL: a listener */
    uint64_t request; /* its name */
    rove_buf *token;
    bool first;     /* of an order that was never accepted */
    bool brought;   /* in a ledger: `token` may be for another node, and one held here goes first */
    bool other;     /* what went first was refused */
    bool shows_own; /* the token of the last request was one that is held here */
    bool useless;   /* `token` is no good here, and no other is held */
    bool bound;     /* the publisher has accepted it, and has not taken that back */
    bool seatless; /* in that list of its wire: nothing is asked for it before that group is left */
    bool held;     /* a listener that takes nothing */
    bool behind;   /* older events have to come again */
    bool full;     /* a daemon that does not serve yet: nothing more has room before it does */
    rove_err err;
    rovei_feed_ask ask; /* under way */
    uint64_t nonce;
    rove_buf *offered;   /* the token of that request */
    rovei_feed_ask late; /* it was answered when the ledger had been taken: see rovei_feed_settle */
    bool told;           /* a note is owed to `order` */
    uint64_t order;
    rovei_timer timer; /* the answer is late, or it is asked again */
    uint64_t pause;
    struct rovei_lane *lane; /* NULL: nothing has begun, or a listener */
    uint64_t incarnation;    /* that `lane` or `position` is of */
    uint64_t position;       /* of a listener; of a daemon where its lane is to begin */
    uint64_t lost;
    rovei_list on_wire, own; /* own: in the daemon's, or among the listeners */
} rovei_feed;

struct rovei_feeds {
    rovei_node *node;
    rovei_map wires;     /* (node id, hash) -> rovei_wire */
    rovei_map asked;     /* nonce -> rovei_feed */
    rovei_map listeners; /* request -> rovei_feed */
    rovei_map pipes;     /* publisher -> rovei_pipe */
    rovei_list listening, busy;
};

/* ---- feeds.c ---- */
rovei_wire *rovei_wire_find(const rovei_node *n, const rove_entity *from, uint64_t hash);
/* Frees it; a membership that nobody shares any more is given up, unless there is none. */
void rovei_feed_free(rovei_feed *s, rovei_now now, bool membership);
void rovei_feed_note(const rovei_feed *s, rovei_note_kind kind, rove_err err);

/* ---- member.c ---- */
/* Asks; what cannot be sent counts as refused with E_UNREACHABLE. */
void rovei_feed_join(rovei_feed *s, rovei_now now);
void rovei_feed_depart(rovei_feed *s, rovei_now now);
/* An order of a daemon that was answered while it was frozen is not in the ledger that goes with
 * it: it ends when the daemon goes on here. When it leaves, the order has come to nothing. */
void rovei_feed_settle(rovei_feed *s, rovei_now now);
/* The membership has ended meanwhile: the order to join is asked once more. True: an order is late.
 */
bool rovei_feed_unsettle(rovei_feed *s, rovei_now now, rove_err err);
/* No answer is waited for any more. */
void rovei_feed_unask(rovei_feed *s);
/* Without waiting for an answer. */
void rovei_wire_leave(rovei_wire *w, rovei_now now);
/* The same, of a membership that no subscription here is about. */
void rovei_feeds_decline(struct rovei_feeds *f, rovei_now now, const rove_entity *publisher,
                         rove_span channel);
/* Of events that nobody here wants: Begin will say which channel they are of. */
void rovei_feeds_ask_name(struct rovei_feeds *f, const rove_entity *publisher,
                          const rovei_channel_frame *events);
void rovei_feed_fire(rovei_timer *timer, void *user, rovei_now now);
/* It is no member any more: is asked for again. */
void rovei_feed_lost(rovei_feed *s, rovei_now now, rove_err err);
rove_err rovei_wire_say(rovei_wire *w, rove_span bytes);

/* ---- feeds_flow.c ---- */
void rovei_wire_busy(rovei_wire *w);
/* A daemon's place is that of its lane, with which it travels. */
ROVE_MUST_USE rove_err rovei_feed_keep_place(rovei_feed *s, rovei_now now);
/* It is a member now: it takes its place in what comes. */
void rovei_feed_attach(rovei_feed *s, rovei_now now);
/* Its daemon serves: what came while it froze was let go of, and comes again. */
void rovei_feed_serves(rovei_feed *s);
void rovei_wire_forget_waiting(rovei_wire *w);
void rovei_wire_fire(rovei_timer *timer, void *user, rovei_now now);

#endif
