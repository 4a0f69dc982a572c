/* SPDX-License-Identifier: Apache-2.0
 *
 * The mesh of one node, without I/O: peers, handshakes, session keys, failure detection, and one
 * transport per association. Datagrams, commands and the time go in; datagrams, events and one
 * deadline come out. One thread at a time.
 *
 * An association is (peer's entity, peer's incarnation, and a number that the peer draws afresh
 * when it has forgotten the association). Keys rotate inside of it. When it ends, its streams are
 * gone and its id is never used again. */
#ifndef ROVEI_MESH_MESH_H
#define ROVEI_MESH_MESH_H

#include <identity/entity.h>
#include <mesh/address.h>
#include <mesh/transport.h>

typedef struct rovei_mesh rovei_mesh;

typedef enum rovei_session_class {
    ROVEI_CLASS_ROVE = 1, /* our own sessions: IKpsk2, streams, lanes */
    ROVEI_CLASS_NET = 2,  /* the reference's sessions; no lanes, no moves of ours */
} rovei_session_class;

typedef struct rovei_mesh_config {
    const rovei_env *env;    /* outlives the mesh */
    rovei_keypair *identity; /* one reference is taken */
    uint8_t psk[32];
    uint64_t incarnation;    /* greater than at every earlier start of this identity */
    uint64_t handshake_time; /* greatest time ever put into a message 1; 0 when none is known */
} rovei_mesh_config;

/* E_RESERVED_ID for an identity whose node id looks like a packet; E_READ_ONLY for one without a
 * private half; E_NOMEM. */
ROVE_MUST_USE rove_err rovei_mesh_new(rovei_mesh **ret, const rovei_mesh_config *cfg,
                                      rovei_now now);
void rovei_mesh_free(rovei_mesh *m);

/* ---- data path ---- */
/* Why a datagram was dropped; each has a counter. X(identifier, name shown to people) */
#define ROVEI_DROP_LIST(X)                                                                         \
    X(SHORT, "short")                                                                              \
    X(MAGIC, "magic")                                                                              \
    X(VERSION, "version")                                                                          \
    X(TYPE, "type")                                                                                \
    X(MAC, "mac")                                                                                  \
    X(HANDSHAKE, "handshake")                                                                      \
    X(IDENTITY, "identity")                                                                        \
    X(NO_IMAGE, "no_image")                                                                        \
    X(INCARNATION, "incarnation")                                                                  \
    X(REPLAYED_HANDSHAKE, "replayed_handshake")                                                    \
    X(PROTOCOL_VERSION, "protocol_version")                                                        \
    X(SESSION, "session")                                                                          \
    X(AUTH, "auth")                                                                                \
    X(REPLAY, "replay")                                                                            \
    X(EXPIRED, "expired")                                                                          \
    X(PROTOCOL, "protocol")                                                                        \
    X(PEERS, "peers")                                                                              \
    X(UNPROVED, "unproved")                                                                        \
    X(RATE, "rate")                                                                                \
    X(MEMORY, "memory")                                                                            \
    X(SUBPROTOCOL, "subprotocol")                                                                  \
    X(UNREAD, "unread")
typedef enum rovei_drop {
#define ROVEI_DROP_ENUM(id, name) ROVEI_DROP_##id,
    ROVEI_DROP_LIST(ROVEI_DROP_ENUM)
#undef ROVEI_DROP_ENUM
        ROVEI_DROP_COUNT
} rovei_drop;
const char *rovei_drop_name(rovei_drop reason);

typedef struct rovei_mesh_stats {
    uint64_t datagrams_received, datagrams_sent, datagrams_accepted;
    uint64_t handshakes_started, handshakes_answered, handshakes_completed, rekeys;
    uint64_t paths; /* times that a peer was found to be at another address */
    uint64_t drops[ROVEI_DROP_COUNT];
} rovei_mesh_stats;

/* One datagram, decrypted in place. Never fails: what is bad is dropped and counted, so that
 * received = accepted + sum of drops (SUBPROTOCOL, which counts messages, and UNREAD, which the
 * shell knows, excepted). True when it was accepted. */
bool rovei_mesh_receive(rovei_mesh *m, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                        size_t size);
/* The next datagram to send: its size (at most `room`, which is at least datagram_max) and where
 * to; 0 when there is none now. Consecutive calls stay with one peer as long as it has more, so
 * that the shell can batch. */
size_t rovei_mesh_transmit(rovei_mesh *m, rovei_now now, uint8_t *ret, size_t room,
                           rovei_addr *ret_to);
uint64_t rovei_mesh_deadline(const rovei_mesh *m);
void rovei_mesh_expire(rovei_mesh *m, rovei_now now);

/* ---- peers ---- */
/* Keeps a session with `peer` from now on: dials `addr`, and again whenever the session is lost.
 * A second call for the same peer replaces the address to dial. E_NO_IMAGE, E_PUBLIC_KEY,
 * E_SAME_NODE (it is this node), E_RESERVED_ID, E_FULL (peers_max), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_mesh_connect(rovei_mesh *m, rovei_now now, const rove_entity *peer,
                                          const rovei_addr *addr);
/* Dials no longer; says goodbye (with the next _transmit) and ends the association, which is
 * reported as GONE with E_CLOSED. */
void rovei_mesh_disconnect(rovei_mesh *m, rovei_now now, const rove_entity *peer);

/* Grows whenever a peer comes to stand at an address or leaves it. */
uint64_t rovei_mesh_places(const rovei_mesh *m);

typedef enum rovei_peer_state {
    ROVEI_PEER_CONNECTING, /* no keys yet, or again */
    ROVEI_PEER_UP,
    ROVEI_PEER_SUSPECT, /* silent for suspect_after */
    ROVEI_PEER_FAILED,  /* silent for fail_after; the association still stands */
} rovei_peer_state;

/* Handshakes sent in a row without an answer, from which on that is worth telling: nobody is there,
 * or it has another psk or identity, and then says nothing either. */
#define ROVEI_TRIES_UNANSWERED 5

typedef struct rovei_peer_info {
    rove_entity entity;
    uint64_t node_id;
    rovei_session_class session_class;
    rovei_peer_state state;
    uint64_t association; /* 0 when there is none */
    uint64_t incarnation;
    rovei_addr addr;
    uint64_t rtt;    /* smoothed, nanoseconds, 0 when not measured */
    bool unanswered; /* CONNECTING: tried ROVEI_TRIES_UNANSWERED times and more */
} rovei_peer_info;

/* By entity: E_UNKNOWN_PEER. */
ROVE_MUST_USE rove_err rovei_mesh_peer(const rovei_mesh *m, const rove_entity *peer,
                                       rovei_peer_info *ret);
/* Walks all peers: start with *it = 0, false at the end. */
bool rovei_mesh_peer_next(const rovei_mesh *m, size_t *it, rovei_peer_info *ret);

/* ---- streams: as in transport.h, by association. E_GONE for one that has ended. ---- */
ROVE_MUST_USE rove_err rovei_mesh_open(rovei_mesh *m, uint64_t association, uint16_t tag,
                                       uint64_t *ret_stream);
ROVE_MUST_USE rove_err rovei_mesh_send(rovei_mesh *m, uint64_t association, uint64_t stream,
                                       rove_span head, rove_buf *body);
void rovei_mesh_finish(rovei_mesh *m, uint64_t association, uint64_t stream);
void rovei_mesh_reset(rovei_mesh *m, uint64_t association, uint64_t stream);
uint64_t rovei_mesh_queued(const rovei_mesh *m, uint64_t association, uint64_t stream);

/* ---- what happened ---- */
typedef enum rovei_mesh_event_kind {
    ROVEI_MESH_UP,      /* a new association stands; streams may be opened */
    ROVEI_MESH_SUSPECT, /* the peer is silent */
    ROVEI_MESH_FAILED,  /* the peer counts as failed; the association stands until it ends */
    ROVEI_MESH_ALIVE,   /* heard again after SUSPECT or FAILED */
    ROVEI_MESH_GONE,    /* the association ended (why: `reason`); all its streams with it */
    ROVEI_MESH_MESSAGE, /* one message of an incoming stream */
    ROVEI_MESH_FINISHED,
    ROVEI_MESH_RESET,
    ROVEI_MESH_REFUSED,    /* a stream of ours was refused at the peer's limit */
    ROVEI_MESH_UNANSWERED, /* peer: tried ROVEI_TRIES_UNANSWERED times; it is tried again */
    ROVEI_MESH_TIME,       /* the time in message 1 has grown to `value`: to be kept in the file */
} rovei_mesh_event_kind;

typedef struct rovei_mesh_event {
    rovei_mesh_event_kind kind;
    rove_entity peer;
    uint64_t association;
    uint64_t stream;
    uint16_t tag;
    rove_err reason; /* GONE: E_INCARNATION (peer restarted), E_CLOSED (goodbye), E_PEER_LOST
                        (keys ran out in silence, here or at the peer), or the protocol error */
    uint64_t value;
    rove_buf *message; /* one reference, passed to the caller; MESSAGE only */
} rovei_mesh_event;

bool rovei_mesh_poll(rovei_mesh *m, rovei_mesh_event *ret);
/* Credit of an incoming stream, as in transport.h. */
void rovei_mesh_hold(rovei_mesh *m, uint64_t association, uint64_t stream, uint64_t size);
void rovei_mesh_release(rovei_mesh *m, uint64_t association, uint64_t stream, uint64_t size);

rovei_mesh_stats rovei_mesh_stats_get(const rovei_mesh *m);
/* Counts a message of an unknown subprotocol. */
void rovei_mesh_drop_message(rovei_mesh *m);
void rovei_mesh_check(const rovei_mesh *m);

#endif
