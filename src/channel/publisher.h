/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher's half of channels: who is subscribed to the channels of this node, and what is
 * published on them (docs/protocol/channels.md). Subscribers of class rove, this node's own daemons
 * and listeners among them, are *legs*: cursors into the channel's history, from which each is sent
 * what its credit allows. Those of class net are sent each publish at once, or not at all. */
#ifndef ROVEI_CHANNEL_PUBLISHER_H
#define ROVEI_CHANNEL_PUBLISHER_H

#include <channel/config.h>
#include <node/node.h>

struct rovei_channels;
ROVE_MUST_USE rove_err rovei_channels_new(struct rovei_channels **ret, rovei_node *n);
void rovei_channels_free(struct rovei_channels *c); /* NULL is fine */

/* ---- which channels there are ---- */
/* Creates a channel, or, without `if_absent`, gives one that exists this configuration: then every
 * subscriber is judged anew. Errors of rovei_channel_registry_put. */
ROVE_MUST_USE rove_err rovei_channels_create(rovei_node *n, rovei_now now,
                                             const rovei_channel_config *c, bool if_absent);
/* Its subscribers are told and forgotten, its history is gone. Of a prefix all channels that it has
 * led to. E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_channels_remove(rovei_node *n, rovei_now now, rove_span name,
                                             bool prefix);

/* What holds for all of them. A zeroed one is the default. */
typedef struct rovei_channels_options {
    /* A channel that is not configured: refused as unknown (default), or taken as open with
     * `visibility`. */
    bool open;
    rovei_visibility visibility;
    uint32_t subnet; /* this node's own; 0: the whole */
    /* What nodes announce; outlives its use. NULL: what this node has heard itself. */
    const struct rovei_index *index;
} rovei_channels_options;
void rovei_channels_set_options(rovei_node *n, rovei_now now, const rovei_channels_options *o);

typedef struct rovei_channel_info {
    const rovei_channel_config *config; /* NULL: taken as open. Borrowed until the next call */
    rove_span name;                     /* borrowed likewise */
    bool prefix;                        /* a configuration for names; the rest is zero then */
    uint64_t hash, incarnation;
    uint64_t first, next; /* numbers: oldest event kept, next to be published */
    uint64_t bytes;       /* of events kept */
    uint64_t published;   /* events, since it was created */
    size_t members, groups;
} rovei_channel_info;
/* Channels, then prefixes: start with *it = 0, false at the end. Nothing changes meanwhile. */
bool rovei_channels_next(const rovei_node *n, size_t *it, rovei_channel_info *ret);
ROVE_MUST_USE rove_err rovei_channels_get(const rovei_node *n, rove_span name,
                                          rovei_channel_info *ret); /* E_NOT_FOUND */

typedef struct rovei_member_info {
    uint64_t node_id;
    rove_entity peer; /* rovei_entity_of_net for class net */
    rove_span group;  /* empty: none; borrowed until the next call */
    bool gated;       /* a token was needed */
    uint64_t took;    /* class rove: everything up to here */
    uint64_t next;    /* class rove: number that is sent next */
    uint64_t gaps;    /* events that were overwritten before they were sent */
} rovei_member_info;
/* The subscribers of a channel, as above. */
bool rovei_channels_member_next(const rovei_node *n, rove_span name, size_t *it,
                                rovei_member_info *ret);

/* ---- publishing ---- */
typedef enum rovei_publish_policy {
    ROVEI_PUBLISH_BEST_EFFORT = 0, /* an error only when nobody could be given it */
    ROVEI_PUBLISH_FAIL_FAST,       /* stops at the first subscriber that cannot be given it */
    ROVEI_PUBLISH_COLLECT,         /* all are tried, the report says how it went */
    ROVEI_PUBLISH_HOLD, /* nothing is published while it would push out what a subscriber of class
                           rove has not taken, or while much waits for the credit of one of class
                           net: E_WINDOW, and the note CHANNEL_ROOM follows */
} rovei_publish_policy;

typedef struct rovei_publish {
    rove_span channel;
    const rove_span *events; /* each inside of `owner`; at most event_max bytes */
    size_t count;
    rove_buf *owner; /* the caller keeps its reference */
    rovei_publish_policy policy;
    bool reliable; /* to class net */
    bool waits;    /* there, for credit, as with HOLD; what there is no room for fails (E_WINDOW) */
} rovei_publish;

typedef struct rovei_publish_error {
    uint64_t node_id;
    rove_err err; /* E_WINDOW (it is behind: events are pushed out unseen; or it gives no credit),
                     else those of rovei_net_publish */
} rovei_publish_error;

typedef struct rovei_publish_report {
    uint32_t attempted;          /* subscribers that it was for */
    uint32_t delivered;          /* that were given it: sent, or kept to be sent */
    uint32_t failed;             /* the rest; the first of them stand in `errors` */
    uint64_t first;              /* number of the first event; 0: none got one */
    rovei_publish_error *errors; /* the caller's, may be NULL */
    size_t room;                 /* of them */
} rovei_publish_report;

/* Publishes events in one go: all or none are taken. A channel without configuration and without
 * subscribers takes nothing and reports nothing attempted. `ret` keeps its last two fields; it may
 * be NULL. E_CHANNEL_DENIED (this node itself may not), E_NOT_DELIVERED (BEST_EFFORT, see above),
 * E_WINDOW (HOLD), E_TOO_LARGE (an event above event_max, or all together above what a history may
 * hold), the errors of names, E_NOMEM; nothing is published then, but with E_NOT_DELIVERED. */
ROVE_MUST_USE rove_err rovei_channels_publish(rovei_node *n, rovei_now now, const rovei_publish *p,
                                              rovei_publish_report *ret);

/* A revocation floor was raised: everybody is judged anew. A token that the node holds changes
 * nobody's right; its own to publish is asked at each publish. */
void rovei_channels_judge(rovei_node *n, rovei_now now);

/* ---- called by the node ---- */
/* A message of the tag CHANNEL for this half (rovei_channel_is_to_publisher). */
void rovei_channels_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                            rove_buf *message);
/* A request of a peer of class net: one event of its membership packets. */
void rovei_channels_receive_net(rovei_node *n, rovei_now now, uint64_t node_id, rove_span message);
/* Both classes: `peer` may be rovei_entity_of_net. */
void rovei_channels_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_channels_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_channels_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer);
/* Once per turn: sends what was published and what credit allows. */
void rovei_channels_turn(rovei_node *n, rovei_now now);
/* A peer of class net may be sent more than before. */
void rovei_channels_net_room(rovei_node *n, rovei_now now);
void rovei_channels_check(const rovei_node *n);

/* channels, members, history_bytes: now. subscribed, unsubscribed: requests accepted; the next four
 * refused, by reason. malformed: messages that do not decode, or claim what cannot be. evicted:
 * members whose right ended, or that were lost. published, sent, resent, gaps: events; all but the
 * first for each leg. backpressured: publishes that a subscriber had no room for. net_sent:
 * publishes handed to class net. */
#define ROVEI_CHANNEL_STATS(X)                                                                     \
    X(channels)                                                                                    \
    X(members)                                                                                     \
    X(history_bytes)                                                                               \
    X(subscribed)                                                                                  \
    X(unsubscribed)                                                                                \
    X(unauthorized)                                                                                \
    X(unknown)                                                                                     \
    X(throttled)                                                                                   \
    X(too_many)                                                                                    \
    X(malformed)                                                                                   \
    X(evicted)                                                                                     \
    X(published)                                                                                   \
    X(sent)                                                                                        \
    X(resent)                                                                                      \
    X(gaps)                                                                                        \
    X(backpressured)                                                                               \
    X(net_sent)
typedef struct rovei_channels_stats {
#define ROVEI_CHANNEL_STAT(name) uint64_t name;
    ROVEI_CHANNEL_STATS(ROVEI_CHANNEL_STAT)
#undef ROVEI_CHANNEL_STAT
} rovei_channels_stats;
rovei_channels_stats rovei_channels_stats_get(const rovei_node *n);

#endif
