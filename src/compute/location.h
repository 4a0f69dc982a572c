/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a daemon lives: signed records, the table of the highest ones known, and the questions that
 * find them (docs/protocol.md, "Locations"). */
#ifndef ROVEI_COMPUTE_LOCATION_H
#define ROVEI_COMPUTE_LOCATION_H

#include <compute/ids.h>
#include <identity/entity.h>
#include <mesh/address.h>
#include <node/node.h>

#define ROVEI_RECORD_ADDRS 4
#define ROVEI_EPOCH_FORCED (UINT64_C(1) << 32) /* a forced epoch is the highest known plus this */
#define ROVEI_EPOCH_MAX    (UINT64_C(1) << 62) /* no record has a higher one */

typedef struct rovei_record {
    rove_entity daemon;
    uint64_t epoch;
    rove_entity holder;
    uint8_t flags; /* ROVEI_RECORD_... */
    uint8_t addr_count;
    rovei_addr addrs[ROVEI_RECORD_ADDRS];
    uint64_t not_after; /* wall clock; past it the addresses are not used, the epoch still counts */
    rove_entity giver;  /* node that gave the daemon away; zero for a first or a forced epoch */
    uint8_t giver_signature[64]; /* over daemon, epoch, holder, giver */
    uint8_t signature[64]; /* by the daemon's key over all before; when flagged by the holder's, or
                              by the giver's in the record of a commit */
} rovei_record;
enum {
    ROVEI_RECORD_FORCED = 1,    /* the epoch was forced */
    ROVEI_RECORD_BY_HOLDER = 2, /* the daemon has no private key: signed by its holder */
};

/* ---- codec ---- */
#define ROVEI_RECORD_SIZE_MAX                                                                      \
    (32 + 8 + 32 + 1 + 1 + ROVEI_RECORD_ADDRS * ROVEI_ADDR_SIZE + 8 + 32 + 64 + 64)
void rovei_record_write(rovei_writer *w, const rovei_record *r);
/* Everything before the signature: what is signed. */
void rovei_record_write_signed(rovei_writer *w, const rovei_record *r);
void rovei_record_read(rovei_reader *r, rovei_record *ret);

/* Order of W1: by epoch, then the lower holder is the higher record. <0, 0, >0. */
int rovei_record_compare(const rovei_record *a, const rovei_record *b);
/* Signatures and shape. E_SIGNATURE, E_PUBLIC_KEY, E_FORMAT. */
ROVE_MUST_USE rove_err rovei_record_verify(const rovei_record *r);

/* ---- making records ---- */
/* For a daemon of this node: first spawn, forced epoch, or a new signature. `key` may be read-only:
 * then the node signs. */
ROVE_MUST_USE rove_err rovei_record_own(const rovei_node *n, rovei_now now,
                                        const rovei_keypair *key, uint64_t epoch, bool forced,
                                        rovei_record *ret);
/* For the commit of a move: this node gives the daemon to `holder`. */
ROVE_MUST_USE rove_err rovei_record_give(const rovei_node *n, rovei_now now,
                                         const rovei_keypair *key, uint64_t epoch,
                                         const rove_entity *holder, const rovei_addr *addrs,
                                         size_t addr_count, rovei_record *ret);

/* ---- the table ---- */
struct rovei_locations;
ROVE_MUST_USE rove_err rovei_locations_new(struct rovei_locations **ret, rovei_node *n);
void rovei_locations_free(struct rovei_locations *l);

/* What this node knows of a daemon beyond the record. */
typedef struct rovei_location {
    rovei_record record;
    bool stopped;         /* this node held it and ended it by stop */
    bool tombstone;       /* this node gave it away: kept at least lane_expiry */
    const char *kind;     /* where known (a tombstone's), else empty; until the table changes */
    uint64_t since;       /* monotonic: when this record was learned */
    uint64_t sinc_number; /* where stopped or given away: of the state incarnation at that time */
} rovei_location;
/* The highest known, written to `room`, or NULL. */
const rovei_location *rovei_location_read(const rovei_node *n, const rove_entity *daemon,
                                          rovei_location *room);
/* As above, in the block of the caller. */
#define rovei_location_get(n, daemon)                                                              \
    rovei_location_read((n), (daemon), &(rovei_location){.kind = ""})
bool rovei_location_next(const rovei_node *n, size_t *it, rovei_location *ret);

/* A record came from `from` (this node's own included): compared, and when it is higher verified
 * and stored; then the daemon here, if any, learns that it is superseded, and senders look at the
 * new place. A record from this node itself is neither verified nor does it supersede. OK also for
 * one that is not higher. Errors of verify; E_NOMEM; E_FULL; E_REFUSED for a record signed by its
 * holder from a node that is not trusted for that. With a record from elsewhere the daemon's
 * record, when it is only prepared here, may be gone afterwards. */
ROVE_MUST_USE rove_err rovei_location_learn(rovei_node *n, rovei_now now, const rovei_record *r,
                                            const rove_entity *from);
/* Makes room for the next record of a daemon that has one, so that learning it needs no memory.
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_location_reserve(rovei_node *n, const rove_entity *daemon);
/* Whether `from` is believed about a record that only its holder or giver has signed; true for
 * every other one. The signatures are not looked at. */
bool rovei_location_trusts(const rovei_node *n, const rovei_record *r, const rove_entity *from);
/* Marks at stop, at giving away. */
void rovei_location_mark(rovei_node *n, rovei_now now, const rove_entity *daemon, bool stopped,
                         bool tombstone, const char *kind);

/* ---- questions (W4, W5) ---- */
/* A message with the tag LOCATE. */
void rovei_location_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                            rove_buf *message);
/* Wants to know where the daemon is: asks the last holder, then the record's addresses, then the
 * session peers, at most one question a second per daemon, backing off; what is learned reaches the
 * senders through _learn. Repeats until _forget. */
void rovei_location_seek(rovei_node *n, rovei_now now, const rove_entity *daemon);
void rovei_location_unseek(rovei_node *n, const rove_entity *daemon);
void rovei_location_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer);
/* The association is over (called by rovei_lanes_peer_gone). */
void rovei_location_peer_gone(rovei_node *n, const rove_entity *peer);

/* ---- spawn (compute/spawn.c): W5 and the registration of the right to run ---- */
/* Something was heard about a daemon that this node claims: decides when it can be decided. */
void rovei_spawn_answer(rovei_node *n, rovei_now now, const rove_entity *daemon);
struct rovei_claim;
void rovei_spawn_free(rovei_node *n, struct rovei_claim *c);
void rovei_locations_check(const rovei_node *n);

#endif
