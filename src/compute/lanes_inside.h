/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the host half of lanes, shared by its files. */
#ifndef ROVEI_COMPUTE_LANES_INSIDE_H
#define ROVEI_COMPUTE_LANES_INSIDE_H

#include <compute/lane_codec.h>
#include <node/core.h>

/* Bytes of small events or outcomes that share a frame, and the size from which one goes alone. */
#define ROVEI_LANE_BATCH 16384
#define ROVEI_LANE_ALONE 4096

/* An event accepted in order: in the lane's queue, or already given to the cell. */
typedef struct rovei_waiting {
    uint64_t sequence;
    rove_link link;
    rove_span payload; /* inside of owner */
    rove_buf *owner;   /* NULL once it is with the cell, or given up by its sender */
    bool holds;        /* has a reference to it; else one that waits behind it has */
    size_t charge;     /* bytes that it counts in the mailbox */
    rove_err refuse;   /* it will be refused when its turn comes */
    bool late;         /* came between the order to freeze and the freeze point */
} rovei_waiting;

/* An outcome that the sender has not confirmed. */
typedef struct rovei_kept {
    rovei_outcome_kind kind;
    rove_err err;
    uint32_t output_count;
    rove_buf *text, *outputs;
} rovei_kept;
#define ROVEI_KEPT_CHARGE 64 /* what an outcome counts besides its bytes */

/* What the lanes of one sender share. */
typedef struct rovei_lane_owner {
    rove_entity entity;
    uint64_t origin;
    size_t lanes, open; /* all, and those that are not closed; feeds do not count in `open` */
    size_t feeds;
    size_t charge; /* bytes that its waiting events count in the mailbox */
} rovei_lane_owner;

typedef enum rovei_lane_state {
    ROVEI_LANE_ASKING_SEND, /* policy has been asked whether it may send */
    ROVEI_LANE_ASKING_READ, /* and whether it may read outputs */
    ROVEI_LANE_IS_OPEN,
    ROVEI_LANE_IS_CLOSED,
} rovei_lane_state;

typedef struct rovei_lane {
    struct rovei_lanes *set;
    rovei_lane_owner *owner;
    uint64_t number; /* drawn by the sender */
    uint64_t ticket; /* ours, for APPLY */
    uint64_t asked;  /* ticket of the question to policy */
    rovei_lane_state state;
    bool may_read;
    bool feed;       /* of a channel (compute/lanes_channel.c): it has no sender that is told */
    bool subscribed; /* a feed that is fed: it does not expire */
    bool owes_position;
    bool told_gap;   /* a frame beyond the next was answered; again after progress or a question */
    bool wants_room; /* an event was not taken: say so when there is room */
    size_t wanted, wanted_charge; /* for its payload, and in the mailbox */
    bool blocked;                 /* not fed, and nothing taken: the bound of outputs is reached */

    uint64_t position; /* every event up to here has its outcome or is gone */
    uint64_t accepted; /* up to here applied, waiting in order, or gone */
    uint64_t gap;      /* gone up to here, once the events with the cell are applied */
    uint64_t told;     /* outcomes written to the sender up to here */
    uint64_t seen;     /* while frozen: events counted as held back up to here */
    uint64_t expires;  /* monotonic */

    rovei_waiting *waiting; /* ring; the first `fed` are with the cell */
    size_t waiting_room, waiting_first, waiting_count, fed;
    size_t waiting_bytes; /* payloads */
    rovei_kept *kept;     /* ring: outcomes of position - kept_count + 1 .. position */
    size_t kept_room, kept_first, kept_count, kept_bytes;

    rovei_pipe reply;
    rovei_list all, ready, owing; /* ready: in the set's list of that name, or in its blocked */
} rovei_lane;

struct rovei_lanes {
    rovei_node *node;
    rovei_daemon *daemon;
    rovei_map by_key;    /* (sender, number) -> rovei_lane */
    size_t feeds;        /* of them */
    rovei_map by_ticket; /* ticket -> rovei_lane */
    rovei_map owners;    /* sender -> rovei_lane_owner */
    rovei_list all;
    rovei_list ready;   /* lanes with events to feed, round robin */
    rovei_list blocked; /* blocked lanes in which events wait: they make room for others */
    rovei_list owing;   /* lanes with something to tell */
    rovei_list busy;    /* in node->busy_lanes */
    rovei_timer sweep;
    size_t in_cell, in_cell_bytes; /* events given to the cell and not applied */
    size_t mailbox_bytes;
    size_t kept_bytes;
    size_t outcome_bytes; /* what one more outcome is reckoned to count */
    size_t wanting;       /* lanes with wants_room */
    uint64_t *held_back;  /* while frozen: the attempt's count */
    rovei_pace pace;
};

/* ---- lanes.c ---- */
rovei_lane *rovei_lane_find(const struct rovei_lanes *l, const rove_entity *sender,
                            uint64_t number);
rovei_lane *rovei_lane_find_feed(const struct rovei_lanes *l, const rove_entity *publisher,
                                 uint64_t number);
/* E_LANE_LIMIT, E_NOMEM. A closed one does not count among its sender's. */
ROVE_MUST_USE rove_err rovei_lane_new(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                                      const rove_entity *sender, uint64_t number, bool closed);
/* Of a channel: E_LANE_LIMIT (lanes_per_daemon), E_NOMEM. It does not count among its sender's. */
ROVE_MUST_USE rove_err rovei_lane_new_feed(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                                           const rove_entity *publisher, uint64_t number);
void rovei_lane_free(rovei_lane *lane);
void rovei_lane_touch(rovei_lane *lane, rovei_now now);
void rovei_lane_close(rovei_lane *lane);
/* The sender has as many closed lanes here as it may have. */
bool rovei_lanes_closed_full(const struct rovei_lanes *l, const rove_entity *sender);
void rovei_lanes_busy(struct rovei_lanes *l);
void rovei_lane_owe(rovei_lane *lane);
void rovei_lane_want_room(rovei_lane *lane, bool wants);
static inline bool rovei_lanes_serving(const struct rovei_lanes *l)
{
    return rovei_daemon_serves(l->daemon);
}
static inline uint64_t rovei_lane_confirmed(const rovei_lane *lane)
{
    return lane->position - lane->kept_count;
}
/* The frame's common fields, as this host says them. */
void rovei_lane_head(const struct rovei_lanes *l, rovei_lane_frame *f, rovei_lane_type type,
                     uint64_t lane);
/* Frames without items. What cannot be sent is asked for again by the sender. */
void rovei_lane_send(rovei_node *n, rovei_pipe *pipe, const rove_entity *to, uint16_t tag,
                     const rovei_lane_frame *f);
void rovei_lane_say(rovei_lane *lane, rovei_lane_type type);

/* ---- lanes_queue.c ---- */
/* The part of the mailbox that the lanes of one sender may take together. */
#define ROVEI_LANE_SENDER_SHARE 4
/* Makes a ring of `count` items, whose length is a power of two, longer than `need`. False: out of
 * memory. */
bool rovei_ring_grow(const rove_alloc *a, void **items, size_t *room, size_t *first, size_t count,
                     size_t need, size_t size);
rovei_waiting *rovei_lane_waiting(const rovei_lane *lane, size_t i);
rovei_kept *rovei_lane_kept(const rovei_lane *lane, size_t i);
/* Whether an event of `size` bytes, which counts `charge` in the mailbox, may wait. */
bool rovei_lane_has_room(const rovei_lane *lane, size_t size, size_t charge);
/* Whether there is room for a whole message of small events: then they stay inside of it. */
bool rovei_lane_may_share(const rovei_lane *lane, const rove_buf *message);
/* An event in order. False: it was not taken. */
bool rovei_lane_accept(rovei_lane *lane, uint64_t sequence, const rove_link *link,
                       rove_span payload, rove_buf *message, bool share);
/* The last of the events that hold on to a message counts what of it none of them counts. */
void rovei_lane_charge_rest(rovei_lane *lane, const rove_buf *message);
/* The first event does not wait any more. */
void rovei_lane_pop(rovei_lane *lane);
void rovei_lane_gone(rovei_lane *lane, uint64_t upto);
/* When nothing of the lane is with the cell, the position moves over what is gone. */
void rovei_lane_close_gap(rovei_lane *lane);
/* Forgets what waits: all of it, or only what is not with the cell. */
void rovei_lane_forget(rovei_lane *lane, bool all);

/* ---- lanes_feed.c ---- */
/* Room for `more` outcomes besides those of what is with the cell; false: out of memory. */
bool rovei_lane_reserve(rovei_lane *lane, size_t more);
/* The outcome of the next event; takes its references. Room has been reserved. */
void rovei_lane_keep(rovei_lane *lane, const rovei_kept *k);
void rovei_lane_confirm(rovei_lane *lane, uint64_t upto);
void rovei_lanes_feed(struct rovei_lanes *l, rovei_now now);

/* ---- lanes_tell.c ---- */
/* Says all outcomes that were not said, and that none follows. */
void rovei_lane_end(rovei_lane *lane, const rovei_record *record);
void rovei_lanes_tell(struct rovei_lanes *l);

/* ---- lanes_receive.c ---- */
void rovei_lanes_check_set(const struct rovei_lanes *l);

/* ---- sender_receive.c ---- */
void rovei_senders_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                           const rovei_lane_frame *f, rove_buf *message);
void rovei_senders_turn(rovei_node *n, rovei_now now);
void rovei_senders_check(const rovei_node *n);

#endif
