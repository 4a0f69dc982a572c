/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels: what a node publishes under a name, for whoever subscribes. A channel belongs to the
 * node that publishes on it; it says who may subscribe. docs/protocol/channels.md and
 * docs/guarantees.md, "Channels".
 *
 * Threads: any, and none from inside of a daemon (ROVE_E_REENTRANT). Calls without a completion
 * wait for a turn of the node's thread, and for what is said there. */
#ifndef ROVE_CHANNEL_H
#define ROVE_CHANNEL_H

#include <rove/runtime.h>

ROVE_BEGIN_DECLS

#define ROVE_CHANNEL_NAME_MAX 255 /* bytes, without the end */

/* ---- which channels there are ---- */

/* Who sees a channel, by the subnet of its node. */
typedef enum rove_visibility {
    ROVE_VISIBLE_GLOBAL = 0, /* everybody */
    ROVE_VISIBLE_SUBNET,     /* the same subnet */
    ROVE_VISIBLE_PARENT,     /* the same subnet and those above it */
} rove_visibility;

/* Who may subscribe as a worker of a queue group, of which each event goes to one. */
typedef enum rove_group_policy {
    ROVE_GROUPS_ANY = 0, /* whoever may subscribe */
    ROVE_GROUPS_DENY,    /* nobody */
    ROVE_GROUPS_TOKEN,   /* whose token names the group */
} rove_group_policy;

#define ROVE_CHANNEL_CONFIG_VERSION 1

typedef struct rove_channel_config {
    uint32_t struct_version;
    rove_visibility visibility;
    rove_group_policy groups;
    /* The name is a prefix: this holds for all channels whose name begins with it and that have no
     * configuration of their own. Default false. */
    bool prefix;
    /* Subscribers need a token (rove/token.h) whose first issuer is one of `roots`, at most 64;
     * with no roots nobody may subscribe. Roots alone ask for a token too. Default: none. */
    bool require_token;
    const rove_entity *roots;
    size_t root_count;
    /* Tags that a subscriber's node has to have announced, all of them, at most 64. */
    const char *const *subscribe_tags;
    size_t subscribe_tag_count;
} rove_channel_config;

static inline void rove_channel_config_init(rove_channel_config *config)
{
    config->struct_version = ROVE_CHANNEL_CONFIG_VERSION;
    config->visibility = ROVE_VISIBLE_GLOBAL;
    config->groups = ROVE_GROUPS_ANY;
    config->prefix = false;
    config->require_token = false;
    config->roots = 0;
    config->root_count = 0;
    config->subscribe_tags = 0;
    config->subscribe_tag_count = 0;
}

/* Makes a channel; with `replace` one that is there gets this configuration, and each subscriber is
 * judged anew. `config` NULL: the defaults, which let everybody subscribe. Everything is copied.
 * Errors: ROVE_E_CHANNEL_EXISTS (without `replace`), ROVE_E_CHANNEL_EMPTY, _LONG, _FORMAT, _CHAR
 * (the name), ROVE_E_BOUND (a list is too long), ROVE_E_STRUCT_VERSION, ROVE_E_FULL (channels_max),
 * ROVE_E_NOMEM. After an error all is as it was. */
ROVE_API ROVE_MUST_USE rove_err rove_channel_create(rove_node *node, const char *name,
                                                    const rove_channel_config *config,
                                                    bool replace);
/* Ends a channel: its subscribers are told, and what it kept for them is gone. Of a prefix: all
 * channels that exist by it. Errors: ROVE_E_NOT_FOUND, ROVE_E_NOMEM. */
ROVE_API ROVE_MUST_USE rove_err rove_channel_remove(rove_node *node, const char *name, bool prefix);

typedef struct rove_channel_info {
    char name[ROVE_CHANNEL_NAME_MAX + 1];
    bool prefix;      /* of a prefix only these two are set, and the next four */
    bool needs_token; /* to subscribe */
    size_t roots;     /* entities whose tokens open it */
    rove_visibility visibility;
    rove_group_policy groups;
    size_t members;       /* subscribers */
    uint64_t published;   /* events, since it was made */
    uint64_t first, next; /* numbers of the oldest event that is kept, and of the next one */
    uint64_t bytes;       /* of events that are kept */
} rove_channel_info;
/* The first `room` channels and prefixes of the node; gives how many there are, 0 from inside of a
 * daemon. `ret` may be NULL: none. */
ROVE_API size_t rove_channel_list(rove_node *node, rove_channel_info *ret, size_t room);

/* ---- publishing ---- */

/* What happens when a subscriber cannot be given an event. */
typedef enum rove_publish_policy {
    ROVE_PUBLISH_BEST_EFFORT = 0, /* an error only when nobody could be given it */
    ROVE_PUBLISH_FAIL_FAST,       /* stops at the first one */
    ROVE_PUBLISH_COLLECT,         /* all are tried, the report says how it went */
    /* Nothing is published as long as it would push out what a Rove node that subscribes has not
     * taken yet. Such a node gets every event, in order. */
    ROVE_PUBLISH_HOLD,
} rove_publish_policy;

#define ROVE_PUBLISH_OPTIONS_VERSION 1

typedef struct rove_publish_options {
    uint32_t struct_version;
    rove_publish_policy policy; /* default BEST_EFFORT */
    bool reliable; /* to subscribers of class net: sent again when lost; default false */
    bool wait;     /* HOLD: wait for room instead of ROVE_E_WINDOW; default true */
} rove_publish_options;

static inline void rove_publish_options_init(rove_publish_options *options)
{
    options->struct_version = ROVE_PUBLISH_OPTIONS_VERSION;
    options->policy = ROVE_PUBLISH_BEST_EFFORT;
    options->reliable = false;
    options->wait = true;
}

#define ROVE_PUBLISH_ERRORS 16

typedef struct rove_publish_report {
    uint32_t attempted; /* subscribers that it was for */
    uint32_t delivered; /* that were given it: sent, or kept to be sent */
    uint32_t failed;    /* the rest; the first ROVE_PUBLISH_ERRORS of them stand below */
    uint64_t first;     /* number of the first event in the channel; 0: none got one */
    struct {
        uint64_t node_id;
        rove_err err; /* ROVE_E_WINDOW: it is behind, and events are pushed out unseen, or it has no
                         credit; ROVE_E_GONE, ROVE_E_UNREACHABLE, ROVE_E_TOO_LARGE, ROVE_E_NOMEM */
    } errors[ROVE_PUBLISH_ERRORS];
} rove_publish_report;

/* Publishes events on a channel of this node, all of them or none, in their order. They are copied.
 * A channel that neither is configured nor has subscribers takes nothing, and nothing is attempted.
 * `options` and `ret` may be NULL. Errors: ROVE_E_WINDOW (HOLD without `wait`),
 * ROVE_E_NOT_DELIVERED (BEST_EFFORT: nobody got it; the report is set), ROVE_E_CHANNEL_DENIED (this
 * node may not publish on it), ROVE_E_TOO_LARGE (an event above event_max, or all of them above
 * what a channel keeps), errors of the name, ROVE_E_STRUCT_VERSION, ROVE_E_WOULD_BLOCK (it would
 * have to wait, and this is the node's own thread), ROVE_E_FULL (pending_events, pending_bytes),
 * ROVE_E_SHUTTING_DOWN, ROVE_E_NOMEM. Blocking: HOLD with `wait`: until there is room. */
ROVE_API ROVE_MUST_USE rove_err rove_channel_publish(rove_node *node, const char *name,
                                                     const rove_span *events, size_t count,
                                                     const rove_publish_options *options,
                                                     rove_publish_report *ret);

/* `report` is all zero after an error, but for ROVE_E_NOT_DELIVERED. */
typedef void rove_publish_fn(void *user, rove_err err, const rove_publish_report *report);
/* The same with a completion (rove/async.h): publishes of one thread are made in the order of its
 * calls, and one that waits for room keeps those behind it on the same channel waiting. */
ROVE_API ROVE_MUST_USE rove_err rove_channel_publish_async(rove_node *node, const char *name,
                                                           const rove_span *events, size_t count,
                                                           const rove_publish_options *options,
                                                           rove_publish_fn *done, void *user);

/* ---- listening ---- */

/* A listener hears what a node publishes on a channel, without a daemon. */
typedef struct rove_listener rove_listener;

typedef enum rove_heard_kind {
    ROVE_HEARD_SUBSCRIBED =
        1,            /* the publisher's first answer: err. After an error nothing follows */
    ROVE_HEARD_EVENT, /* number, payload */
    ROVE_HEARD_GAP,   /* `number` to `last` were published and cannot be had any more */
    ROVE_HEARD_ENDED, /* it was thrown out, or the publisher is gone: err. It is asked for
                         again by itself, and events then go on behind the last one */
} rove_heard_kind;

/* Borrowed during the callback. */
typedef struct rove_heard {
    rove_heard_kind kind;
    rove_err err;
    uint64_t number; /* of the event on the channel */
    uint64_t last;
    rove_span payload;
    rove_buf *owner; /* holds the payload: rove_buf_ref keeps it */
} rove_heard;

/* Called on the node's own thread, events in the order of their numbers: short, and without a call
 * that waits. */
typedef void rove_heard_fn(void *user, const rove_heard *heard);

#define ROVE_LISTEN_OPTIONS_VERSION 1

typedef struct rove_listen_options {
    uint32_t struct_version;
    uint64_t publisher; /* node id; 0: this node itself. Default 0 */
    const char *group;  /* a queue group, whose members share the events; NULL: none. Copied */
    rove_span token;    /* of a permission token or a chain; empty: none. Copied */
    rove_heard_fn *heard;
    void *user;
} rove_listen_options;

static inline void rove_listen_options_init(rove_listen_options *o)
{
    o->struct_version = ROVE_LISTEN_OPTIONS_VERSION;
    o->publisher = 0;
    o->group = 0;
    o->token.data = 0;
    o->token.size = 0;
    o->heard = 0;
    o->user = 0;
}

/* Listens to a channel from now on (docs/guarantees.md, "Channels"): from a Rove node each event
 * comes once and in order, and what is lost is told as a gap. Ownership: the caller frees, before
 * the node. Errors: ROVE_E_USAGE (no callback), ROVE_E_STRUCT_VERSION, errors of the name,
 * ROVE_E_BOUND (the token, the group's name), ROVE_E_CHANNEL_SEAT (this node is on the channel
 * in another group), ROVE_E_FULL (listeners_max), ROVE_E_UNREACHABLE, ROVE_E_REENTRANT (inside of a
 * daemon), ROVE_E_NOMEM; what the publisher answers comes as
 * SUBSCRIBED. Threads: any. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_channel_listen(rove_listener **ret, rove_node *node,
                                                    const char *channel,
                                                    const rove_listen_options *options);

/* A listener that is held hears no event until it is let go; those that it was about to be told may
 * still come during the call. The publisher keeps what it has room for and is not made to wait
 * longer than for any subscriber. Threads: any. Re-entry: allowed. Blocking: for a turn of the
 * node's thread. */
ROVE_API void rove_listener_hold(rove_listener *l, bool held);

/* Leaves the channel and frees; no callback comes after it. NULL is ignored. Threads: any, but not
 * inside of its own callback or of a daemon. Blocking: for a turn of the node's thread. */
ROVE_API void rove_listener_free(rove_listener *l);

/* ---- daemons on channels ---- */

#define ROVE_SUBSCRIBE_TOKEN_MAX 65535

/* Subscribes a daemon of this runtime to a channel of `publisher`, a node id, which may be this
 * node's own. What is published there is from then on applied by the daemon as events, in order;
 * the subscription travels with the daemon (docs/guarantees.md, "Channels"). `token`: the bytes of
 * a permission token or of a chain; empty for none. A subscription that is there gets the token
 * replaced. After an error the daemon's subscriptions are as they were. Errors:
 * ROVE_E_CHANNEL_UNAUTHORIZED, ROVE_E_CHANNEL_UNKNOWN, ROVE_E_CHANNEL_THROTTLED,
 * ROVE_E_CHANNELS_FULL (the publisher's answers), ROVE_E_ACK_TIMEOUT, ROVE_E_UNREACHABLE,
 * ROVE_E_NOT_FOUND, ROVE_E_MOVED, ROVE_E_ALREADY_MIGRATING, ROVE_E_NOT_READY, ROVE_E_BOUND (the
 * token), errors of the name, ROVE_E_FULL (daemon_subscriptions), ROVE_E_CHANNEL_SEAT (listeners of
 * this node are on that channel in a queue group), ROVE_E_EXISTS (the same is asked for already),
 * ROVE_E_WOULD_BLOCK,
 * ROVE_E_SHUTTING_DOWN, ROVE_E_NOMEM. Blocking: for the publisher's answer, at most
 * membership_ack_wait. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_subscribe_channel(rove_runtime *rt, rove_daemon daemon,
                                                               uint64_t publisher,
                                                               const char *channel,
                                                               rove_span token);
/* Ends one; one that is not there is ROVE_OK. Errors and blocking as above. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_unsubscribe_channel(rove_runtime *rt,
                                                                 rove_daemon daemon,
                                                                 uint64_t publisher,
                                                                 const char *channel);

typedef enum rove_feed_state {
    ROVE_FEED_ASKING = 1, /* the publisher has not answered yet */
    ROVE_FEED_BOUND,      /* it is fed */
    ROVE_FEED_BEHIND,     /* it is fed, and older events are on their way again */
    ROVE_FEED_UNBOUND,    /* it is not fed now, and asked for again after a while: see reason. With
                             ROVE_E_CHANNEL_SEAT: when listeners here have left their queue group */
} rove_feed_state;

typedef struct rove_subscription {
    uint64_t publisher;
    char channel[ROVE_CHANNEL_NAME_MAX + 1];
    bool has_token;
    rove_feed_state state;
    rove_err reason;   /* UNBOUND */
    uint64_t position; /* number of the last event that was applied */
    uint64_t lost;     /* events that the publisher did not have any more */
} rove_subscription;
/* The first `room` subscriptions of a daemon; `*ret_count` says how many there are. Errors:
 * ROVE_E_NOT_FOUND, ROVE_E_MOVED. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_subscriptions(rove_runtime *rt, rove_daemon daemon,
                                                           rove_subscription *ret, size_t room,
                                                           size_t *ret_count);

ROVE_END_DECLS

#endif
