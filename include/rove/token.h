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

ROVE_END_DECLS

#endif
