/* SPDX-License-Identifier: Apache-2.0
 *
 * Class `net`: sessions with nodes of the reference, without I/O (docs/protocol/net.md). It shares
 * the node's key, psk and socket with the mesh, and nothing else. Datagrams, messages and the time
 * go in; datagrams, events and one deadline come out. One thread at a time.
 *
 * Only node ids that the operator listed are served, and never one that was configured or seen as a
 * node of class rove: in this class whoever has the psk can claim any id. */
#ifndef ROVEI_NET_NET_H
#define ROVEI_NET_NET_H

#include <identity/entity.h>
#include <mesh/mesh.h>
#include <net/flow.h>
#include <net/wire.h>

typedef struct rovei_net rovei_net;

/* Largest message: a packet's text without the length in front of its one event. */
#define ROVEI_NET_MESSAGE_MAX ROVEI_NET_EVENT_MAX

typedef struct rovei_net_config {
    const rovei_env *env;    /* outlives the object */
    rovei_keypair *identity; /* one reference is taken */
    uint8_t psk[32];
} rovei_net_config;

/* E_RESERVED_ID, E_READ_ONLY, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_new(rovei_net **ret, const rovei_net_config *cfg, rovei_now now);
void rovei_net_free(rovei_net *t); /* NULL is fine */

/* ---- who is served ---- */
/* A listed peer may connect. With a key and an address it is dialled as well, for ever. */
typedef struct rovei_net_listing {
    uint64_t node_id;
    bool has_key;
    uint8_t key[32]; /* its static X25519 key */
    bool has_addr;
    rovei_addr addr;
} rovei_net_listing;
/* The same id again replaces key and address. E_EXISTS: another listed id has the same low half,
 * which is all that a handshake shows. E_SAME_NODE: so has this node. E_RESERVED_ID: 0, or an id
 * that looks like a packet. E_REFUSED: the id is fenced. E_WEAK_SECRET: the key is of small order.
 * E_USAGE: an address without a key. E_FULL (net_peers), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_list(rovei_net *t, rovei_now now, const rovei_net_listing *l);
/* The id was configured or seen as one of class rove: from now on it is not served here, and what
 * there is ends (FAILED is told). */
void rovei_net_fence(rovei_net *t, rovei_now now, uint64_t node_id);

/* ---- data path ---- */
/* One datagram, decrypted in place. Never fails: what is bad is dropped and counted. */
bool rovei_net_receive(rovei_net *t, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                       size_t size);
/* The next datagram: its size and where to; 0 when there is none. `room` is at least
 * ROVEI_NET_DATAGRAM_MAX. */
size_t rovei_net_transmit(rovei_net *t, rovei_now now, uint8_t *ret, size_t room,
                          rovei_addr *ret_to);
uint64_t rovei_net_deadline(const rovei_net *t);
void rovei_net_expire(rovei_net *t, rovei_now now);

/* ---- messages ---- */
/* One message of a subprotocol: one packet, which nobody acknowledges. E_UNREACHABLE (no session,
 * or the peer has failed), E_TOO_LARGE (above ROVEI_NET_MESSAGE_MAX), E_FULL (net_queue packets
 * wait), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_send(rovei_net *t, rovei_now now, uint64_t node_id,
                                      uint16_t subprotocol, rove_span message);
/* A session stands that has not failed. */
bool rovei_net_reaches(const rovei_net *t, uint64_t node_id);
/* Its static X25519 key as it is listed; a peer that answered this node under it has proved it.
 * E_NOT_FOUND when it is not known. For sealing envelopes. */
ROVE_MUST_USE rove_err rovei_net_peer_key(const rovei_net *t, uint64_t node_id, uint8_t ret[32]);
/* This node's own static secret, in the slab; for opening envelopes. */
const uint8_t *rovei_net_secret(const rovei_net *t);

/* ---- streams ---- */
/* A stream lives in one session and ends with it. */
typedef struct rovei_net_stream {
    uint64_t node_id, session, id;
} rovei_net_stream;
/* Opens a stream in the present session; rovei_flow_open says which ids. A reliable one is repaired
 * until it has failed (STREAM is told), one that is not is sent once. E_UNREACHABLE, E_USAGE,
 * E_EXISTS, E_STREAM_LIMIT, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_stream_open(rovei_net *t, rovei_now now, uint64_t node_id,
                                             uint64_t stream, bool reliable, rovei_net_stream *ret);
/* One event, one packet, at most ROVEI_NET_MESSAGE_MAX bytes. E_GONE: the session has ended.
 * E_FULL: STREAM with ROOM is told when to try again. E_TOO_LARGE, E_CLOSED, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_stream_send(rovei_net *t, rovei_now now,
                                             const rovei_net_stream *stream, rove_span event);

/* One leg of a publish: these events, in one packet, on the channel's stream in the present session
 * with the peer; rovei_flow_publish says how. A reliable one is repaired as long as the session
 * lasts. `channel` is the channel's hash. E_UNREACHABLE, E_USAGE (a hash that makes no stream),
 * E_TOO_LARGE (frames above ROVEI_NET_PLAIN_MAX, or more than ROVEI_NET_EVENTS_MAX), E_FULL (the
 * peer gives no credit: backpressured), E_CLOSED (not acknowledged; later again), E_STREAM_LIMIT,
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_publish(rovei_net *t, rovei_now now, uint64_t node_id,
                                         uint64_t channel, bool reliable,
                                         const rovei_flow_frames *events);
/* The same; what there is no credit for waits, as rovei_flow_publish_waiting says. */
ROVE_MUST_USE rove_err rovei_net_publish_waiting(rovei_net *t, rovei_now now, uint64_t node_id,
                                                 uint64_t channel, bool reliable,
                                                 const rovei_flow_frames *events);
/* Half of the room for what waits is taken: STREAM with ROOM is told when there is more. */
bool rovei_net_publish_is_full(rovei_net *t, uint64_t node_id, uint64_t channel);
/* The id of the stream on which a channel is published. */
static inline uint64_t rovei_net_publish_stream(uint64_t channel)
{
    return channel | ROVEI_FLOW_PUBLISH_BIT;
}

/* ---- what happened ---- */
typedef enum rovei_net_event_kind {
    ROVEI_NET_UP = 1,     /* a session stands, the first one or a new one */
    ROVEI_NET_SUSPECT,    /* silent for net_suspect */
    ROVEI_NET_FAILED,     /* silent for net_fail, or fenced */
    ROVEI_NET_ALIVE,      /* heard again after SUSPECT or FAILED */
    ROVEI_NET_UNANSWERED, /* dialled ROVEI_TRIES_UNANSWERED times in vain; it is dialled again */
    ROVEI_NET_MESSAGE,    /* one message of 0x0500, 0x0A00 or 0x0C00 */
    ROVEI_NET_DATA,       /* a packet of a stream, once; in the order of arrival */
    ROVEI_NET_STREAM,     /* something happened to a stream */
} rovei_net_event_kind;

/* When a peer has sent something: of two packets of one peer, the one with the later stamp was sent
 * later, whatever the order in which they came. */
typedef struct rovei_net_stamp {
    uint64_t session; /* grows with each session */
    uint64_t counter;
} rovei_net_stamp;
static inline bool rovei_net_stamp_before(rovei_net_stamp a, rovei_net_stamp b)
{
    return a.session != b.session ? a.session < b.session : a.counter < b.counter;
}
/* The latest packet that came of a session with the peer; zero without one. */
rovei_net_stamp rovei_net_last_heard(const rovei_net *t, uint64_t node_id);

typedef struct rovei_net_event {
    rovei_net_event_kind kind;
    uint64_t node_id;
    uint16_t subprotocol;
    rovei_net_stamp stamp; /* MESSAGE */
    rove_buf *message; /* one reference, passed to the caller; MESSAGE, DATA (the event frames) */
    rovei_net_stream stream;        /* DATA, STREAM */
    uint64_t sequence;              /* DATA: in its stream, from 0 */
    uint16_t events;                /* DATA: how many frames, as the sender counts them */
    rovei_flow_event_kind happened; /* STREAM */
} rovei_net_event;
bool rovei_net_poll(rovei_net *t, rovei_net_event *ret);

typedef struct rovei_net_info {
    uint64_t node_id;
    rovei_peer_state state; /* CONNECTING: no session */
    uint64_t session;       /* its id; 0: none */
    bool dialled;           /* has a key and an address */
    bool initiator;         /* the session was begun by this node */
    bool unanswered;        /* as in rovei_peer_info */
    rovei_addr addr;        /* where it is sent to, or dialled; family 0: not known */
} rovei_net_info;
/* E_UNKNOWN_PEER: not listed. */
ROVE_MUST_USE rove_err rovei_net_peer(const rovei_net *t, uint64_t node_id, rovei_net_info *ret);
/* Grows whenever a peer comes to stand at an address or leaves it. */
uint64_t rovei_net_places(const rovei_net *t);
/* Walks the listed peers that are not fenced: start with *it = 0, false at the end. */
bool rovei_net_peer_next(const rovei_net *t, size_t *it, rovei_net_info *ret);

/* ---- statistics ---- */
/* Why a datagram was dropped. X(identifier, name shown to people) */
#define ROVEI_NET_DROP_LIST(X)                                                                     \
    X(KIND, "kind")           /* of no kind that this class has */                                 \
    X(FORMAT, "format")       /* its header or its length is not what it has to be */              \
    X(KEEPALIVE, "keepalive") /* of a peer that punches holes; of no use here */                   \
    X(PINGWAVE, "pingwave")   /* this node learns no routes */                                     \
    X(ROUTE_HOP, "route_hop") /* an envelope of protected subnets */                               \
    X(TRANSIT, "transit")     /* for another node: this one does not relay */                      \
    X(RATE, "rate")           /* handshakes beyond net_handshakes a second */                      \
    X(HANDSHAKE, "handshake") /* psk, key or ids are others, or nothing waits for it */            \
    X(UNLISTED, "unlisted")   /* a handshake of an id that is not listed */                        \
    X(FENCED, "fenced")       /* a handshake of an id that is of class rove */                     \
    X(SESSION, "session")     /* of no session here */                                             \
    X(AUTH, "auth")           /* does not authenticate */                                          \
    X(REPLAY, "replay")       /* seen before, or too old */                                        \
    X(EVENTS, "events")       /* the text is not the events that its header counts */              \
    X(MEMORY, "memory")       /* out of memory, or as many messages wait as can */
typedef enum rovei_net_drop {
#define ROVEI_NET_DROP_ENUM(id, name) ROVEI_NET_DROP_##id,
    ROVEI_NET_DROP_LIST(ROVEI_NET_DROP_ENUM)
#undef ROVEI_NET_DROP_ENUM
        ROVEI_NET_DROP_COUNT
} rovei_net_drop;
const char *rovei_net_drop_name(rovei_net_drop reason);

/* What a message can be about, by the subprotocols that the reference has; _OTHER for the rest.
 * X(identifier, first id, last id, name shown to people) */
#define ROVEI_NET_SUBPROTOCOL_LIST(X)                                                              \
    X(EVENT, 0x0000, 0x0000, "event")                                                              \
    X(CAUSAL, 0x0400, 0x0400, "causal")                                                            \
    X(SNAPSHOT, 0x0401, 0x0401, "snapshot")                                                        \
    X(MIGRATION, 0x0500, 0x0500, "migration")                                                      \
    X(NEGOTIATION, 0x0600, 0x0600, "negotiation")                                                  \
    X(CONTINUITY, 0x0700, 0x0702, "continuity")                                                    \
    X(PARTITION, 0x0800, 0x0801, "partition")                                                      \
    X(GROUP, 0x0900, 0x0900, "group")                                                              \
    X(MEMBERSHIP, 0x0A00, 0x0A00, "membership")                                                    \
    X(STREAM, 0x0B00, 0x0B03, "stream")                                                            \
    X(CAPABILITY, 0x0C00, 0x0C00, "capability")                                                    \
    X(WITHDRAWAL, 0x0C01, 0x0C01, "withdrawal")                                                    \
    X(SENSING, 0x0C02, 0x0C03, "sensing")                                                          \
    X(SCOPED, 0x0C04, 0x0C04, "scoped_capability")                                                 \
    X(REFLEX, 0x0D00, 0x0D00, "reflex")                                                            \
    X(RENDEZVOUS, 0x0D01, 0x0D01, "rendezvous")                                                    \
    X(REDEX, 0x0E00, 0x0E00, "redex")                                                              \
    X(MESHDB, 0x0F00, 0x0F00, "meshdb")                                                            \
    X(FOLD, 0x1000, 0x1000, "fold")                                                                \
    X(BLOB, 0x1100, 0x1100, "blob")
typedef enum rovei_net_subprotocol {
#define ROVEI_NET_SUBPROTOCOL_ENUM(id, first, last, name) ROVEI_NET_SUBPROTOCOL_##id,
    ROVEI_NET_SUBPROTOCOL_LIST(ROVEI_NET_SUBPROTOCOL_ENUM)
#undef ROVEI_NET_SUBPROTOCOL_ENUM
        ROVEI_NET_SUBPROTOCOL_OTHER,
    ROVEI_NET_SUBPROTOCOL_COUNT
} rovei_net_subprotocol;
rovei_net_subprotocol rovei_net_subprotocol_of(uint16_t id);
const char *rovei_net_subprotocol_name(rovei_net_subprotocol s);

typedef struct rovei_net_stats {
    uint64_t datagrams_received, datagrams_sent, datagrams_accepted;
    uint64_t handshakes_started, handshakes_answered, handshakes_completed;
    uint64_t messages_taken, messages_sent; /* of subprotocols that are served */
    uint64_t drops[ROVEI_NET_DROP_COUNT];   /* datagrams: received = accepted + all of these */
    uint64_t dropped_messages[ROVEI_NET_SUBPROTOCOL_COUNT];
    rovei_flow_stats streams;
} rovei_net_stats;
rovei_net_stats rovei_net_stats_get(const rovei_net *t);
/* Invariants; aborts when one is broken. For tests and the simulator. */
void rovei_net_check(const rovei_net *t);

#endif
