/* SPDX-License-Identifier: Apache-2.0
 *
 * Permission tokens: what an owner of channels signs so that somebody else may publish on them or
 * subscribe to them, and hand that right on. A token names its issuer, its subject, what is allowed
 * (scope), one channel or all of them, and a window of time. A chain shows how a right came from an
 * owner to the one who presents it. docs/protocol/tokens.md. */
#ifndef ROVE_TOKEN_H
#define ROVE_TOKEN_H

#include <rove/identity.h>

ROVE_BEGIN_DECLS

/* Scope bits. Bits without a name are kept and signed, and mean nothing. */
#define ROVE_SCOPE_PUBLISH   UINT32_C(0x01)
#define ROVE_SCOPE_SUBSCRIBE UINT32_C(0x02)
#define ROVE_SCOPE_ADMIN     UINT32_C(0x04)
#define ROVE_SCOPE_DELEGATE  UINT32_C(0x08) /* the subject may hand the right on */
#define ROVE_SCOPE_WILDCARD  UINT32_C(0x10) /* what is allowed is allowed on every channel */
#define ROVE_SCOPE_ALL       UINT32_C(0x0F) /* the first four: not WILDCARD */

/* Sizes of the format. */
#define ROVE_TOKEN_SIZE      169
#define ROVE_TOKEN_LINKS     8 /* of one chain */
#define ROVE_TOKEN_CHAIN_MAX (1 + ROVE_TOKEN_LINKS * ROVE_TOKEN_SIZE)

/* Seconds. The longest life of a token, and the largest skew of clocks that a node grants. */
#define ROVE_TOKEN_LIFE_MAX UINT64_C(31536000)
#define ROVE_TOKEN_SKEW_MAX UINT64_C(300)

/* One token, read. Times are seconds since 1970. */
typedef struct rove_token {
    rove_entity issuer;  /* who signed */
    rove_entity subject; /* who is allowed */
    uint64_t channel;    /* hash of the channel's name; without WILDCARD exactly this one, 0 too */
    uint64_t not_before; /* the first second in which it holds */
    uint64_t not_after;  /* the first in which it holds no more */
    uint64_t nonce;      /* random, tells two alike apart; nothing remembers it */
    uint32_t scope;
    uint32_t generation; /* of its issuer; below the issuer's floor the token is revoked */
    uint8_t depth;       /* how often the right may be handed on from here */
    uint8_t signature[64];
} rove_token;

/* The way of a right, the owner's token first. */
typedef struct rove_token_chain {
    uint32_t count; /* 1 to ROVE_TOKEN_LINKS */
    rove_token links[ROVE_TOKEN_LINKS];
} rove_token_chain;

/* ---- bytes ---- */

/* Writes a chain as it is presented; *ret_size, unless NULL, gets the number of bytes. Errors:
 * ROVE_E_USAGE, ROVE_E_TOKEN_FORMAT (no link, or more than ROVE_TOKEN_LINKS). Threads: any.
 * Blocking: never. Re-entry: allowed. docs/protocol/tokens.md, "Chain". */
ROVE_API ROVE_MUST_USE rove_err rove_token_chain_encode(const rove_token_chain *chain,
                                                        uint8_t ret[ROVE_TOKEN_CHAIN_MAX],
                                                        size_t *ret_size);

/* Reads a chain, or one token of ROVE_TOKEN_SIZE bytes as a chain of its own. Nothing is judged.
 * Errors: ROVE_E_USAGE, ROVE_E_TOKEN_FORMAT; `ret` is untouched then. Threads, blocking, re-entry
 * as above. */
ROVE_API ROVE_MUST_USE rove_err rove_token_chain_decode(rove_token_chain *ret, rove_span bytes);

/* The hash by which tokens name a channel, or with a `group` that is not empty a queue group of it.
 * Errors: ROVE_E_USAGE, ROVE_E_CHANNEL_EMPTY, ROVE_E_CHANNEL_LONG (also of the group),
 * ROVE_E_CHANNEL_FORMAT, ROVE_E_CHANNEL_CHAR. Threads, blocking, re-entry as above. */
ROVE_API ROVE_MUST_USE rove_err rove_token_channel(rove_span channel, rove_span group,
                                                   uint64_t *ret);

/* ---- making ---- */

typedef struct rove_token_options {
    uint32_t struct_version;
    uint32_t scope; /* ROVE_SCOPE_... */
    rove_entity subject;
    uint64_t channel;    /* rove_token_channel; with ROVE_SCOPE_WILDCARD it may stay 0 */
    uint64_t not_before; /* seconds since 1970; 0 = this machine's clock */
    uint64_t life;       /* seconds, 1 to ROVE_TOKEN_LIFE_MAX */
    uint32_t generation;
    uint8_t depth;
} rove_token_options;
#define ROVE_TOKEN_OPTIONS_VERSION 1

/* No scope, no subject, an hour. Threads: any. */
ROVE_API void rove_token_options_init(rove_token_options *options);

/* Signs a token: a chain of one. Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION,
 * ROVE_E_TOKEN_NO_LIFE, ROVE_E_TOKEN_LONG, ROVE_E_READ_ONLY; `ret` is untouched then. Threads: any.
 * Blocking: never. Re-entry: allowed. docs/protocol/tokens.md, "One token". */
ROVE_API ROVE_MUST_USE rove_err rove_token_issue(rove_token_chain *ret, const rove_identity *issuer,
                                                 const rove_token_options *options);

/* Appends a link: the right of the last one, or what `scope` leaves of it, for another subject.
 * `now`: seconds since 1970, 0 = this machine's clock. Errors, in this order: ROVE_E_USAGE,
 * ROVE_E_TOKEN_FORMAT, ROVE_E_TOKEN_EXHAUSTED (the chain is full), ROVE_E_TOKEN_SIGNATURE,
 * ROVE_E_TOKEN_EARLY, ROVE_E_TOKEN_EXPIRED, ROVE_E_TOKEN_LONG, ROVE_E_TOKEN_EXHAUSTED (no depth is
 * left), ROVE_E_TOKEN_NO_DELEGATE, ROVE_E_TOKEN_NOT_AUTHORIZED (the signer is not the last link's
 * subject), ROVE_E_READ_ONLY; nothing changes then. Threads, blocking, re-entry as above. */
ROVE_API ROVE_MUST_USE rove_err rove_token_delegate(rove_token_chain *chain,
                                                    const rove_identity *signer,
                                                    const rove_entity *subject, uint32_t scope,
                                                    uint64_t now);

/* ---- judging ---- */

typedef struct rove_token_floor {
    rove_entity issuer;
    uint32_t generation; /* what the issuer signed with a lower one is revoked */
} rove_token_floor;

/* What a chain has to show. Arrays are only read during the call; NULL with a count of 0. */
typedef struct rove_token_demand {
    uint32_t struct_version;
    uint32_t action;          /* ROVE_SCOPE_PUBLISH, _SUBSCRIBE or _ADMIN */
    uint64_t channel;         /* hash of the channel that was asked for */
    rove_entity presenter;    /* has to be the last link's subject */
    const rove_entity *roots; /* one of them has to be the first link's issuer */
    size_t root_count;
    const rove_token_floor *floors;
    size_t floor_count;
    uint64_t now;  /* seconds since 1970; 0 = this machine's clock */
    uint64_t skew; /* seconds; more than ROVE_TOKEN_SKEW_MAX counts as that */
} rove_token_demand;
#define ROVE_TOKEN_DEMAND_VERSION 1

/* Zeroes, with the version. Threads: any. */
ROVE_API void rove_token_demand_init(rove_token_demand *demand);

/* ROVE_OK when the chain authorizes it. Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION, ROVE_E_NOMEM,
 * ROVE_E_TOKEN_FORMAT, ROVE_E_TOKEN_NOT_AUTHORIZED, ROVE_E_TOKEN_SIGNATURE, ROVE_E_TOKEN_EARLY,
 * ROVE_E_TOKEN_EXPIRED, ROVE_E_TOKEN_LONG, ROVE_E_TOKEN_REVOKED, ROVE_E_TOKEN_NO_DELEGATE: the
 * first that holds in the order of docs/protocol/tokens.md, "Chain". Threads, blocking, re-entry as
 * above. */
ROVE_API ROVE_MUST_USE rove_err rove_token_chain_verify(const rove_token_chain *chain,
                                                        const rove_token_demand *demand);

/* ---- a node's own ---- */

/* Gives a node a chain that it presents from then on to publishers; one with the same last subject,
 * channel and scope is replaced. Errors: ROVE_E_USAGE, ROVE_E_REENTRANT, ROVE_E_TOKEN_FORMAT,
 * ROVE_E_TOKEN_SIGNATURE, ROVE_E_TOKEN_NOT_AUTHORIZED, ROVE_E_TOKEN_NO_DELEGATE (links that are not
 * connected), ROVE_E_FULL (token_slots; 32 scopes of one subject and channel), ROVE_E_NOMEM;
 * nothing changes then. Threads: any. Blocking: until the loop gets to it. Re-entry: refused.
 * docs/protocol/tokens.md, "What a node holds". */
ROVE_API ROVE_MUST_USE rove_err rove_node_add_token(rove_node *node, const rove_token_chain *chain);

/* Makes a node take what the issuer signed with a generation below this one as revoked: who was
 * let in with such a token is put out at once. The floor never falls: a lower one changes nothing.
 * With an identity file it is on disk, in FILE.floors, when this returns; else it lasts as long as
 * the node. Errors: ROVE_E_USAGE, ROVE_E_REENTRANT, ROVE_E_FULL (token_floors), ROVE_E_NOMEM;
 * ROVE_E_FILE, ROVE_E_PERMISSION, ROVE_E_IO: it holds, but was not written; call again. Threads:
 * any. Blocking: until the loop gets to it, and for file access. Re-entry: refused.
 * docs/protocol/tokens.md, "Revocation". */
ROVE_API ROVE_MUST_USE rove_err rove_node_revoke(rove_node *node, const rove_entity *issuer,
                                                 uint32_t generation);

ROVE_END_DECLS

#endif
