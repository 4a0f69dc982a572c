/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the publisher's half, shared by its files and by nobody else. */
#ifndef ROVEI_CHANNEL_INSIDE_H
#define ROVEI_CHANNEL_INSIDE_H

#include <channel/channel_codec.h>
#include <channel/config.h>
#include <channel/guard.h>
#include <channel/history.h>
#include <channel/membership_codec.h>
#include <channel/publisher.h>
#include <channel/roster.h>
#include <channel/throttle.h>
#include <identity/token.h>
#include <identity/token_cache.h>
#include <node/core.h>

/* A node that has asked for something. */
typedef struct rovei_channel_peer {
    uint64_t node_id;
    rove_entity entity; /* rovei_entity_of_net for class net */
    rovei_pipe pipe;    /* class rove: all that is said to it, in order */
    rovei_throttle throttle;
    rovei_list members; /* by `of_peer` */
    size_t count;       /* of them */
    uint64_t lost_at;   /* monotonic: it cannot be reached since then; 0: it can */
} rovei_channel_peer;

typedef struct rovei_channel {
    uint64_t hash, incarnation;
    struct rovei_channel *same; /* another name of the same hash */
    rovei_list all;             /* in channels.all, in the order of creation */
    rovei_roster roster;
    rovei_history history;
    uint64_t published;
    bool wants_room; /* somebody waits for CHANNEL_ROOM */
    /* The items of the last message, which other legs at the same place share. */
    rove_buf *run;
    uint64_t run_first;
    uint32_t run_count;
    size_t size;
    char name[ROVEI_CHANNEL_NAME_MAX];
} rovei_channel;

/* Numbers that fell to one member of a group, and events of one message under way. */
typedef struct rovei_channel_run {
    uint64_t first;
    uint64_t count; /* of `first` and those after it */
} rovei_channel_run;
typedef struct rovei_channel_flight {
    uint64_t last; /* number */
    uint32_t events;
    uint64_t bytes;
} rovei_channel_flight;

/* A subscriber of one channel. */
typedef struct rovei_member {
    rovei_seat seat; /* first: the roster knows it by this */
    rovei_channel *channel;
    rovei_channel_peer *peer;
    rovei_list of_peer, busy;
    /* its right; with a token only */
    rove_token_chain *chain; /* NULL: none was needed */
    uint64_t grant;          /* hash that the chain has to allow */
    uint64_t from, until;    /* unix seconds: the chain holds in between */
    uint64_t judged;         /* channels.judgement at which it held */
    uint64_t pass;           /* channels.pass in which it was judged last */
    /* class rove: the leg */
    bool begin;          /* BEGIN is to be said before anything else */
    uint64_t next, took; /* number to be sent; everything up to here is taken */
    rovei_queue runs;    /* group: of rovei_channel_run, behind `took` */
    rovei_queue flights; /* of rovei_channel_flight */
    uint64_t flying, flying_bytes;
    uint64_t moved_at; /* monotonic: when it took something, or had nothing to take */
    uint64_t gaps;
    /* a membership that is over and whose end is still to be said; `of_peer` is then in ends */
    struct {
        uint64_t hash, incarnation;
        rovei_ended_reason reason;
    } end;
} rovei_member;

struct rovei_channels {
    rovei_node *node;
    rovei_channel_registry *registry;
    rovei_channels_options options;
    rovei_guard guard;
    rovei_map channels; /* hash -> rovei_channel, others of the hash behind it */
    rovei_list all;
    size_t count;
    uint64_t bytes;  /* of all histories */
    rovei_map peers; /* node id -> rovei_channel_peer */
    rovei_list busy; /* members that may have something to be sent */
    rovei_list ends; /* of memberships, to be said */
    size_t ends_count;
    rovei_seat **picked; /* those of one publish */
    size_t picked_room;
    uint64_t judgement; /* grows when a floor rises or a configuration changes */
    uint64_t pass;      /* grows with each walk over a channel's members that judges them */
    rovei_timer sweep, lost, retry;
    rovei_channels_stats stats;
};

static inline rove_span rovei_channel_name_of(const rovei_channel *ch)
{
    return (rove_span){ch->name, ch->size};
}
static inline bool rovei_member_is_leg(const rovei_member *m)
{
    return !rovei_entity_is_net(&m->peer->entity);
}
static inline uint64_t rovei_channel_seconds(rovei_now now)
{
    return now.wall / ROVE_SECOND;
}

/* ---- publisher.c ---- */
rovei_channel *rovei_channel_find(const struct rovei_channels *c, rove_span name);
/* Finds or makes; one that nobody configured and nobody uses gives way at the bound.
 * E_CHANNELS_FULL (channels_max, or the hash is another's), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_channel_make(struct rovei_channels *c, rove_span name,
                                          rovei_channel **ret);
rovei_channel_peer *rovei_channel_peer_of(struct rovei_channels *c, const rove_entity *entity,
                                          bool make);
/* Ends a membership; `tell`: the subscriber, with this reason; 0: it knows. */
void rovei_member_remove(struct rovei_channels *c, rovei_now now, rovei_member *m, unsigned tell);

/* ---- gates.c ---- */
typedef struct rovei_channel_grant {
    bool gated;             /* the chain decides, now and later */
    rove_token_chain chain; /* where gated */
    uint64_t hash;
} rovei_channel_grant;
/* Judges a request to subscribe, in the order of docs/protocol/channels.md, "Gates". `known`: it is
 * a member of this channel already. NONE: it may. */
rovei_membership_reason rovei_gates_subscribe(struct rovei_channels *c, rovei_now now,
                                              rovei_channel_peer *p, const rovei_membership *m,
                                              bool known, rovei_channel_grant *ret);
/* Whether a member may still be given events of the channel, with `full` signatures included. */
bool rovei_gates_hold(struct rovei_channels *c, rovei_now now, const rovei_channel_config *config,
                      rovei_member *m, bool full);
/* Whether this node itself may publish. */
bool rovei_gates_publish(struct rovei_channels *c, rovei_now now,
                         const rovei_channel_config *config, rove_span name);
const rovei_channel_config *rovei_gates_config(const struct rovei_channels *c, rove_span name);

/* ---- ends.c ---- */
/* Says that a membership is over, now or later, and frees it; a reason of 0 is not said. All that
 * it is in, and all that it has, is gone already. */
void rovei_ends_say(struct rovei_channels *c, rovei_member *m, unsigned reason);
/* Says what was left. False: again later. */
bool rovei_ends_turn(struct rovei_channels *c);
/* Of this channel it is a member again, or of all (0) it knows by itself. */
void rovei_ends_forget(struct rovei_channels *c, const rovei_channel_peer *p, uint64_t hash);

/* ---- legs.c ---- */
/* The leg stands at `next` and says so; what was under way is forgotten. */
void rovei_leg_begin(struct rovei_channels *c, rovei_now now, rovei_member *m, uint64_t next);
/* Unless it was said, or the subscriber cannot be told: the leg says it later then. */
ROVE_MUST_USE rove_err rovei_leg_say_begin(struct rovei_channels *c, rovei_member *m);
void rovei_leg_wake(struct rovei_channels *c, rovei_member *m);
/* Events that were pushed out before they were sent: they count as gaps. */
void rovei_leg_settle(struct rovei_channels *c, rovei_member *m);
void rovei_legs_turn(struct rovei_channels *c, rovei_now now);
void rovei_leg_frame(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                     const rovei_channel_frame *f);
/* There is, or is not, something that `m` has to take before `number` may be pushed out. */
bool rovei_leg_holds(const struct rovei_channels *c, rovei_now now, const rovei_member *m,
                     uint64_t number);
ROVE_MUST_USE rove_err rovei_leg_say(struct rovei_channels *c, rovei_channel_peer *p,
                                     const rovei_channel_frame *f);
/* So much waits for the credit of a subscriber of class net that a publisher has to wait too. */
bool rovei_channel_net_is_full(struct rovei_channels *c, rovei_channel *ch);
void rovei_channel_check_room(struct rovei_channels *c, rovei_now now, rovei_channel *ch);

#endif
