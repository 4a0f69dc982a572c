/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the mesh: peers, associations, and the functions by which its files work together.
 *
 *   mesh.c      constructor, data path, commands
 *   events.c    what is reported, counters, self-check
 *   peer.c      peer records, associations, the memory of handshake times
 *   opening.c   handshakes that this node begins, and their answers
 *   answer.c    handshakes that others begin
 *   keys.c      which session is used: previous, current, next; rekeying and expiry
 *   path.c      which address a peer is sent to
 *   liveness.c  heartbeats, silence
 *
 * A peer record exists while one of these holds: it is dialled, it has an association, or it has
 * an unconfirmed session (rovei_peer_settle frees it otherwise). */
#ifndef ROVEI_MESH_PEER_H
#define ROVEI_MESH_PEER_H

#include <base/list.h>
#include <base/map.h>
#include <base/timer.h>
#include <mesh/gate.h>
#include <mesh/mesh.h>
#include <mesh/path.h>
#include <mesh/session.h>

typedef struct rovei_association {
    rovei_list pending;      /* in the mesh's list while it has something to tell */
    struct rovei_peer *peer; /* NULL once it has ended */
    rove_entity entity;
    uint64_t id;
    uint64_t number, incarnation; /* the peer's */
    uint64_t peer_time;           /* of its latest handshake, by the peer's clock */
    rovei_transport *transport;
    uint64_t heard;               /* last authentic packet, monotonic */
    uint64_t pinged;              /* last heartbeat asked for */
    rovei_peer_state state, told; /* UP, SUSPECT or FAILED; and what was reported */
    bool announced, ended;
    rove_err reason;
} rovei_association;

/* A handshake that this node began and that is not answered yet. */
typedef struct rovei_opening {
    rovei_noise noise; /* running while noise.pattern is set */
    uint32_t index;
    uint64_t time;                /* as written into message 1 */
    uint64_t asked;               /* monotonic: when that was */
    uint64_t interval;            /* until the next attempt */
    bool due;                     /* a message 1 is to be sent now */
    rovei_addr to;                /* where that was sent */
    bool elsewhere;               /* that is the address to dial, while the peer had another one */
    uint64_t wrong;               /* answers to it that were not right */
    uint8_t mac1[ROVEI_MAC_SIZE]; /* of that message 1 */
    bool proved;                  /* it carried the proof of a cookie */
    uint8_t cookie[ROVEI_COOKIE_BYTES];
    uint64_t cookie_until; /* monotonic; 0: there is none */
    uint32_t tries;        /* messages 1 in a row without an answer */
    bool unanswered;       /* to be reported */
} rovei_opening;

typedef struct rovei_peer {
    struct rovei_mesh *mesh;
    rove_entity entity;
    uint8_t image[32];
    rovei_session_class session_class;
    bool dial;
    rovei_addr dial_addr;
    rovei_addr addr;      /* where the current session sends to */
    uint64_t own_number;  /* ours for the association with this peer */
    uint64_t last_time;   /* greatest time of a message 1 that was accepted */
    uint64_t incarnation; /* greatest seen */
    rovei_association *assoc;
    rovei_session *previous; /* receives only */
    rovei_session *current;  /* sends and receives; set exactly while there is an association */
    rovei_session *next;     /* answered, not confirmed: sends nothing */
    rovei_opening opening;
    rovei_path path;      /* an address that is being asked */
    uint64_t path_rest;   /* until then no new one is asked */
    rovei_addr answer_to; /* whose challenge is to be answered, and with what */
    uint8_t answer_token[ROVEI_PATH_TOKEN];
    bool answer_due;
    rovei_list urgent; /* in the mesh's list while a message 1 or 2, or a packet about a path, is
                          to be sent */
    rovei_list ready;  /* in the mesh's list while the transport has something to send */
    rovei_timer retry; /* next message 1 */
    rovei_timer wear;  /* rekeying and expiry of keys */
    rovei_timer live;  /* heartbeat and silence */
    rovei_timer probe; /* next challenge of an address */
    rovei_timer pump;  /* the transport's own deadline */
} rovei_peer;

/* What is remembered of an entity that has no record. */
typedef struct rovei_seen {
    rovei_list order; /* oldest first */
    rove_entity entity;
    uint64_t last_time, incarnation;
} rovei_seen;

/* A datagram that stands for itself: a goodbye. */
typedef struct rovei_parcel {
    rovei_list list;
    rovei_addr to;
    size_t size;
    uint8_t bytes[ROVEI_DATA_OVERHEAD];
} rovei_parcel;

struct rovei_mesh {
    const rovei_env *env;
    rovei_keypair *identity;
    rove_entity entity;
    uint8_t static_public[32];
    uint8_t *secrets; /* slot: static secret, psk */
    uint8_t *mac_key; /* slot: key of the macs of messages to this node */
    uint64_t incarnation;
    uint64_t time; /* greatest written into a handshake message */
    bool time_grown;
    size_t unanswered; /* peers of which that is to be reported */
    rovei_now now;
    uint64_t associations_made;
    uint64_t places; /* see rovei_mesh_places */
    rovei_gate gate;
    rovei_map peers;        /* entity -> peer */
    rovei_map sessions;     /* our index -> session */
    rovei_map openings;     /* our index -> peer */
    rovei_map associations; /* id -> association */
    rovei_map seen;         /* entity -> seen */
    rovei_list seen_order;
    rovei_timers timers;
    rovei_list parcels, urgent, ready, pending;
    unsigned burst; /* datagrams given for the first of `ready` in a row */
    rovei_mesh_stats stats;
};

/* ---- peer.c ---- */
rovei_peer *rovei_peer_find(const rovei_mesh *m, const rove_entity *entity);
/* What is known of an entity with or without a record: its last message 1 and its incarnation. */
void rovei_peer_memory(const rovei_mesh *m, const rove_entity *entity, uint64_t *ret_time,
                       uint64_t *ret_incarnation);
/* E_FULL, E_NOMEM. `entity` has no record yet. */
ROVE_MUST_USE rove_err rovei_peer_new(rovei_peer **ret, rovei_mesh *m, const rove_entity *entity,
                                      const uint8_t image[32]);
/* Frees the record, ending what is left of it, and remembers its times. */
void rovei_peer_forget(rovei_peer *p);
/* Forgets the record if nothing holds it. */
void rovei_peer_settle(rovei_peer *p);
/* For the end of the mesh: frees the record without touching the table of peers. */
void rovei_peer_destroy(rovei_peer *p);
/* Looks again when the transport wants to send. */
void rovei_peer_touch(rovei_peer *p);
/* The transport has nothing to send now: leaves it alone until its deadline. */
void rovei_peer_rest(rovei_peer *p);
/* Strictly growing; to be written into a handshake message. */
uint64_t rovei_mesh_tick(rovei_mesh *m);
/* A session index that is not in use. */
uint32_t rovei_mesh_index(rovei_mesh *m);
rovei_hello rovei_peer_hello(rovei_peer *p);

/* An association of its own, not yet of the peer. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_association_new(rovei_association **ret, rovei_peer *p,
                                             const rovei_session *s);
/* Ends the association of `p` with its keys. `forget`: this side gives it up by itself, so its
 * number is drawn anew and handshakes under way are dropped, as they carry the old one. */
void rovei_association_end(rovei_peer *p, rove_err reason, bool forget);
void rovei_association_free(rovei_association *a, const rovei_env *env);
/* Puts it where _poll looks. */
void rovei_association_tell(rovei_association *a);

/* ---- opening.c ---- */
/* Begins to repeat message 1 after `delay`, unless that is under way. */
void rovei_opening_start(rovei_peer *p, uint64_t delay);
/* The same at once, if a new session is wanted. */
void rovei_opening_consider(rovei_peer *p);
bool rovei_opening_is_active(const rovei_peer *p);
/* Drops the handshake that is under way and stops repeating. */
void rovei_opening_stop(rovei_peer *p);
/* Writes a new message 1 if one is still wanted; 0 otherwise. */
size_t rovei_opening_write(rovei_peer *p, uint8_t *ret, rovei_addr *ret_to);
/* ROVEI_DROP_COUNT: accepted. */
rovei_drop rovei_opening_answered(rovei_mesh *m, const rovei_packet *p);
/* A cookie: message 1 is said again with its proof. */
rovei_drop rovei_opening_cookie(rovei_mesh *m, const rovei_packet *p);
rovei_timer_fn rovei_opening_retry;

/* ---- answer.c ---- */
rovei_drop rovei_answer_initiation(rovei_mesh *m, const rovei_addr *from, const rovei_packet *p);
rovei_drop rovei_drop_of(rove_err err);

/* ---- keys.c ---- */
/* A session is complete: `s` becomes one of the sessions of `p`, or is freed. E_GONE: it belongs to
 * an association that has ended since. E_NOMEM: `s` is freed as well. */
ROVE_MUST_USE rove_err rovei_keys_install(rovei_peer *p, rovei_session *s);
void rovei_keys_drop(rovei_peer *p, rovei_session **slot);
bool rovei_keys_can_send(const rovei_peer *p);
/* The current session is to be replaced. */
bool rovei_keys_are_worn(const rovei_peer *p);
void rovei_keys_schedule(rovei_peer *p);
rovei_timer_fn rovei_keys_wear;

/* ---- path.c ---- */
/* An authentic packet of `size` bytes has come from there; `newest`: no later one came before it.
 */
void rovei_path_heard(rovei_peer *p, const rovei_addr *from, size_t size, bool newest);
/* A packet about a path. DROP_COUNT: accepted. DROP_PROTOCOL: it makes no sense. */
rovei_drop rovei_path_receive(rovei_peer *p, const rovei_addr *from, const uint8_t *plain,
                              size_t size);
/* The peer was shown to receive at this address: it is sent to there from now on. */
void rovei_path_use(rovei_peer *p, const rovei_addr *addr);
/* The next packet about a path; 0 when there is none. */
size_t rovei_path_send(rovei_peer *p, uint8_t *ret, rovei_addr *ret_to);
/* Asks no longer; _stop: the association has ended. */
void rovei_path_drop(rovei_peer *p);
void rovei_path_stop(rovei_peer *p);
rovei_timer_fn rovei_path_repeat;

/* ---- liveness.c ---- */
void rovei_liveness_start(rovei_peer *p);
/* Something authentic has come. */
void rovei_liveness_heard(rovei_peer *p);
rovei_timer_fn rovei_liveness_check;

#endif
