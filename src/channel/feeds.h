/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions of this node: of the daemons here and of local listeners, to channels of other
 * nodes and of this one (docs/protocol/channels.md, "Subscriber"; docs/protocol/lanes.md, "Feed
 * lanes"). All of one (publisher, channel) share one membership at the publisher, the *wire
 * subscription*: it is asked for with the first and given up with the last of them.
 *
 * A daemon's events come to it by a feed lane, so the position of that lane, which travels with the
 * daemon, says what it has had. A listener's come as notes. */
#ifndef ROVEI_CHANNEL_FEEDS_H
#define ROVEI_CHANNEL_FEEDS_H

#include <node/node.h>

struct rovei_feeds;
struct rovei_daemon;

ROVE_MUST_USE rove_err rovei_feeds_new(struct rovei_feeds **ret, rovei_node *n);
void rovei_feeds_free(struct rovei_feeds *f); /* NULL is fine */

/* ---- commands ---- */
typedef struct rovei_feed_order {
    const rove_entity *daemon; /* NULL: a local listener, which `request` names */
    uint64_t publisher;        /* node id; this node's own as well */
    rove_span channel;
    rove_span token; /* a permission token or a chain of them; empty: none */
    rove_span group; /* name of a queue group, for listeners only; empty: every event */
    uint64_t request;
} rovei_feed_order;

/* Asks the publisher for the membership. The answer is the note SUBSCRIBED {request, err}; with an
 * err nothing has changed. Errors of the answer: E_CHANNEL_UNAUTHORIZED, E_CHANNEL_UNKNOWN,
 * E_CHANNEL_THROTTLED, E_CHANNELS_FULL (the publisher's), E_ACK_TIMEOUT (nothing for
 * membership_ack_wait), E_UNREACHABLE (the session with the publisher ended), E_NOT_FOUND (the
 * daemon stopped or left meanwhile: the membership is given up again), E_NOMEM. At once, without a
 * note: E_NOT_FOUND (no such daemon that serves here), E_ALREADY_MIGRATING (it is being moved
 * away), errors of the channel's name, E_BOUND (token above 65,535 bytes, group above 255), E_USAGE
 * (a group for a daemon, request 0 or taken for a listener), E_CHANNEL_SEAT (the node is a member
 * of this channel in another group), E_EXISTS (of another channel of the same hash, or the same
 * order waits for its answer), E_FULL (daemon_subscriptions, listeners_max), E_UNREACHABLE,
 * E_NOMEM. A daemon that has the subscription already gets the token replaced once the publisher
 * has accepted it. */
ROVE_MUST_USE rove_err rovei_feeds_subscribe(rovei_node *n, rovei_now now,
                                             const rovei_feed_order *o);
/* The end of a subscription; `token` and `group` do not count. The note UNSUBSCRIBED {request, err}
 * follows: at once for one of several that share the membership, else when the publisher has
 * answered; then with E_ACK_TIMEOUT or E_UNREACHABLE the subscription stays as it was. One that is
 * not there: OK, and the note at once. Of a listener `request` names it and comes back; no event
 * comes after the call, and it is gone whatever the publisher says. Errors at once as above. */
ROVE_MUST_USE rove_err rovei_feeds_unsubscribe(rovei_node *n, rovei_now now,
                                               const rovei_feed_order *o);
/* A listener that is held gets no event until it is let go; the publisher is held back as well, up
 * to what it keeps, and what is lost then comes as a note GAP. A publisher of class net is not held
 * back: then at most channel_window events wait. */
void rovei_feeds_hold(rovei_node *n, rovei_now now, uint64_t request, bool held);

/* ---- what there is ---- */
typedef enum rovei_feed_state {
    ROVEI_FEED_ASKING = 1, /* the publisher has not answered yet */
    ROVEI_FEED_BOUND,      /* it is a member, and is fed */
    ROVEI_FEED_BEHIND,     /* it is a member, and older events are on their way again */
    ROVEI_FEED_UNBOUND,    /* not a member now; asked again after a while, or with E_CHANNEL_SEAT as
                              soon as listeners here leave their queue group. `err` says why */
} rovei_feed_state;

typedef struct rovei_feed_info {
    uint64_t publisher;
    rove_span channel; /* borrowed until the next call on the node */
    bool has_token;
    rovei_feed_state state;
    rove_err err;         /* UNBOUND */
    uint64_t incarnation; /* of the channel; 0: not known yet */
    uint64_t position;    /* the last event that was applied, or given to the listener */
    uint64_t lost;        /* events that the publisher did not have any more */
    uint64_t request;     /* of a listener */
} rovei_feed_info;
/* The subscriptions of a daemon here, those of an order that waits for its first answer not among
 * them; of all listeners with a NULL. Start with *it = 0. */
bool rovei_feeds_next(const rovei_node *n, const rove_entity *daemon, size_t *it,
                      rovei_feed_info *ret);

/* ---- from the wire ---- */
/* An Ack (0x0A00), of class rove (a message of type membership) or of class net: `from` is the
 * session's entity. Only the node that was asked is heard. */
void rovei_feeds_ack(rovei_node *n, rovei_now now, const rove_entity *from, uint64_t nonce,
                     bool accepted, uint8_t reason);
/* Begin, Events and Ended, with the tag CHANNEL (channel/channel_codec.h); `message` is kept as
 * long as its events wait. */
void rovei_feeds_receive(rovei_node *n, rovei_now now, const rove_entity *from, rove_buf *message);
/* A packet of a stream of class net: its events, if it is the stream of a channel of this peer that
 * something here is subscribed to. False: it is not. `frames` lies in `owner`: `count` times u32
 * length and bytes; one that is not so is counted as malformed, and none of it is taken. */
bool rovei_feeds_net_data(rovei_node *n, rovei_now now, uint64_t node_id, uint64_t stream,
                          uint64_t sequence, uint16_t count, rove_span frames, rove_buf *owner);
void rovei_feeds_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_feeds_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_feeds_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer);
/* Once per turn: events that waited for room, and what is to be said to publishers. */
void rovei_feeds_turn(rovei_node *n, rovei_now now);

/* ---- a daemon that comes, serves and goes ---- */
/* Whether a subscription of it at this publisher has no place yet, which may be that of any lane
 * that came with it. */
bool rovei_feeds_await(const struct rovei_daemon *d, const rove_entity *publisher);
/* The ledger of its subscriptions, encoded; *ret is NULL when there are none. Taken before the
 * lanes, which have the places of all in the ledger afterwards. E_LANE_LIMIT, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_feeds_ledger(struct rovei_daemon *d, rovei_now now, rove_buf **ret);
/* The same, of a daemon that is here: also E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_feeds_ledger_of(const rovei_node *n, rovei_now now,
                                             const rove_entity *daemon, rove_buf **ret);
/* A daemon with this ledger is prepared or restored here: every entry is asked for, and again with
 * backoff as long as it is there; one whose channel is that of a queue group here waits until its
 * listeners have left. Errors of the ledger's format, E_FULL, E_EXISTS (as above), E_NOMEM: nothing
 * is done. */
ROVE_MUST_USE rove_err rovei_feeds_bind(struct rovei_daemon *d, rovei_now now, rove_span ledger);
/* Entries of it that no publisher has accepted yet, and whether one of them waits for an answer. */
size_t rovei_feeds_unbound(const struct rovei_daemon *d, bool *ret_asking);
/* It serves from now on, or again: what it missed is asked for. */
void rovei_feeds_serve(struct rovei_daemon *d, rovei_now now);
/* It is not here any more: memberships that nobody shares are given up. */
void rovei_feeds_leave(struct rovei_daemon *d, rovei_now now);

void rovei_feeds_check(const rovei_node *n);

#endif
