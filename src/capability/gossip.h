/* SPDX-License-Identifier: Apache-2.0
 *
 * How announcements spread, as a pure object: what this node announces and when, what it believes
 * of what comes, what it sends on, and which nodes its index holds. Peers are node ids here; which
 * class of session they have does not matter, so a node with both carries announcements from one to
 * the other. docs/protocol/capabilities.md, "Spreading".
 *
 * Bounds: the nodes in the index (limit `capability_nodes`) and the announcements remembered as
 * seen
 * (`capability_seen`), and the texts kept for peers that come later (`capability_texts`) are shared
 * by the peers that they came from. At the bound the peer of whom most is held gives way, so that
 * no peer can take the room of others. `capability_rate` bounds how many signatures of one peer are
 * looked at. */
#ifndef ROVEI_CAPABILITY_GOSSIP_H
#define ROVEI_CAPABILITY_GOSSIP_H

#include <base/now.h>
#include <capability/announcement.h>

typedef struct rovei_gossip rovei_gossip;
struct rovei_index; /* capability/index.h */

typedef struct rovei_gossip_config {
    const rovei_env *env;      /* outlives it */
    rovei_keypair *identity;   /* one reference is taken */
    struct rovei_index *index; /* outlives it; it is told of every change */
    uint64_t last_version;     /* versions are above this one, and of the time in milliseconds */
    bool take_unsigned;        /* index what nobody signed; it never pins */
} rovei_gossip_config;

ROVE_MUST_USE rove_err rovei_gossip_new(rovei_gossip **ret, const rovei_gossip_config *cfg,
                                        rovei_now now);
void rovei_gossip_free(rovei_gossip *g); /* NULL is fine */

/* ---- what this node is ---- */
/* From now on this is announced, soon: several changes at once are one announcement. Nothing
 * happens when it is what was set before. E_TOO_LARGE: an announcement of it would be. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_gossip_set(rovei_gossip *g, rovei_now now, const rovei_caps *s);
/* How long others shall keep it, in seconds from its arrival; 300 unless said. At least 1. */
void rovei_gossip_set_ttl(rovei_gossip *g, uint32_t seconds);
/* Announces now: in the index at once, to the peers at once or, within 10 s after the last time, at
 * the end of these, once. `at_once`: also within them. E_NOMEM, errors of the index. */
ROVE_MUST_USE rove_err rovei_gossip_announce(rovei_gossip *g, rovei_now now, bool at_once);
/* The last announcement; NULL: there was none. */
const rovei_announcement *rovei_gossip_own(const rovei_gossip *g);

/* ---- peers ---- */
/* A session stands. `proved`: the entity that the session has proved, which is its pin; NULL where
 * it proves none. The last announcement goes to it; where the entity is proved (class rove) also
 * what others have announced before, a little at a time. E_NOMEM, E_FULL (peers_max): it is not
 * served.
 */
ROVE_MUST_USE rove_err rovei_gossip_peer_up(rovei_gossip *g, rovei_now now, uint64_t node_id,
                                            const rove_entity *proved);
/* It has failed or gone: what it announced of itself leaves the index, its pin is forgotten. */
void rovei_gossip_peer_gone(rovei_gossip *g, rovei_now now, uint64_t node_id);
/* The entity of a peer that is there; false when it is not known. */
bool rovei_gossip_pinned(const rovei_gossip *g, uint64_t node_id, rove_entity *ret);

/* ---- what comes and goes ---- */
void rovei_gossip_receive(rovei_gossip *g, rovei_now now, uint64_t from, rove_span text);
/* The next announcement to be sent: to whom, and its text, of which the caller gets a reference.
 * To be called until it is false after each call above and below. */
bool rovei_gossip_poll(rovei_gossip *g, uint64_t *ret_to, rove_buf **ret_text);
uint64_t rovei_gossip_deadline(const rovei_gossip *g);
void rovei_gossip_expire(rovei_gossip *g, rovei_now now);

/* What became of what came. received = accepted + sum of these. X(identifier, name) */
#define ROVEI_GOSSIP_DROP_LIST(X)                                                                  \
    X(MALFORMED, "malformed")   /* no announcement */                                              \
    X(NO_PEER, "no_peer")       /* of a session that is not known here */                          \
    X(NOT_DIRECT, "not_direct") /* says it comes from the peer itself, and is of another node */   \
    X(OWN, "own")               /* this node's own has come back */                                \
    X(REPEATED, "repeated")     /* seen before */                                                  \
    X(RATE, "rate")             /* above capability_rate; as if lost */                            \
    X(UNSIGNED, "unsigned")                                                                        \
    X(SIGNATURE, "signature")                                                                      \
    X(NODE_ID, "node_id") /* is not that of its entity */                                          \
    X(PIN, "pin")         /* the peer is known as another entity */                                \
    X(FULL, "full")       /* no room, and the peer holds most of it */                             \
    X(STALE, "stale")     /* not newer than what is known of the node */                           \
    X(MEMORY, "memory")
typedef enum rovei_gossip_drop {
#define ROVEI_GOSSIP_DROP_ENUM(id, name) ROVEI_GOSSIP_DROP_##id,
    ROVEI_GOSSIP_DROP_LIST(ROVEI_GOSSIP_DROP_ENUM)
#undef ROVEI_GOSSIP_DROP_ENUM
        ROVEI_GOSSIP_DROP_COUNT
} rovei_gossip_drop;
const char *rovei_gossip_drop_name(rovei_gossip_drop d);

typedef struct rovei_gossip_stats {
    uint64_t announced;          /* versions of this node */
    uint64_t received, accepted; /* texts; those that changed the index */
    uint64_t sent, forwarded;    /* texts to one peer each; of those, of other nodes */
    uint64_t shortened;          /* accepted whose life was too long */
    uint64_t late;               /* of those, what was known before the peer came */
    uint64_t expired, displaced; /* nodes that left the index: time; another peer's share */
    uint64_t nodes, seen, pins;  /* now */
    uint64_t text_bytes;         /* kept for peers that come later, now */
    uint64_t drops[ROVEI_GOSSIP_DROP_COUNT];
} rovei_gossip_stats;
rovei_gossip_stats rovei_gossip_stats_get(const rovei_gossip *g);
/* Invariants; aborts when one is broken. For tests. */
void rovei_gossip_check(const rovei_gossip *g);

#endif
