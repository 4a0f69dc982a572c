/* SPDX-License-Identifier: Apache-2.0
 *
 * Permission tokens and their chains: bytes, signing, delegation, and the rules by which a chain is
 * judged (docs/protocol/tokens.md). Times are seconds since 1970, given by the caller. */
#ifndef ROVEI_IDENTITY_TOKEN_H
#define ROVEI_IDENTITY_TOKEN_H

#include <identity/entity.h>
#include <rove/token.h>

struct rovei_token_floors; /* identity/token_floors.h */

/* ---- bytes ---- */
void rovei_token_encode(const rove_token *t, uint8_t ret[ROVE_TOKEN_SIZE]);
/* E_TOKEN_FORMAT for another length; nothing is judged. */
ROVE_MUST_USE rove_err rovei_token_decode(rove_token *ret, rove_span bytes);
/* Gives the number of bytes. The chain has 1 to ROVE_TOKEN_LINKS links. */
size_t rovei_token_chain_encode(const rove_token_chain *c, uint8_t ret[ROVE_TOKEN_CHAIN_MAX]);
/* E_TOKEN_FORMAT for a count outside of 1..8 and for a length that does not fit it. */
ROVE_MUST_USE rove_err rovei_token_chain_decode(rove_token_chain *ret, rove_span bytes);

/* ---- making ---- */
typedef struct rovei_token_grant {
    rove_entity subject;
    uint64_t channel;
    uint64_t not_before;
    uint64_t life; /* seconds */
    uint32_t scope, generation;
    uint8_t depth;
} rovei_token_grant;
/* E_TOKEN_NO_LIFE, E_TOKEN_LONG, E_READ_ONLY, in this order. */
ROVE_MUST_USE rove_err rovei_token_issue(rove_token *ret, const rovei_rng *rng,
                                         const rovei_keypair *issuer, const rovei_token_grant *g);
/* Sets issuer and signature of a token whose other fields stand. E_READ_ONLY. */
ROVE_MUST_USE rove_err rovei_token_sign(rove_token *t, const rovei_keypair *issuer);
/* The right of `parent`, or the part of it that `scope` leaves, for another subject. In this order:
 * the errors of _check without skew, E_TOKEN_EXHAUSTED, E_TOKEN_NO_DELEGATE,
 * E_TOKEN_NOT_AUTHORIZED (the signer is not the parent's subject), E_READ_ONLY. */
ROVE_MUST_USE rove_err rovei_token_delegate(rove_token *ret, const rovei_rng *rng,
                                            const rove_token *parent, const rovei_keypair *signer,
                                            const rove_entity *subject, uint32_t scope,
                                            uint64_t now);
/* Appends a delegation of the last link. Also E_TOKEN_FORMAT without a link, E_TOKEN_EXHAUSTED with
 * ROVE_TOKEN_LINKS of them. */
ROVE_MUST_USE rove_err rovei_token_chain_extend(rove_token_chain *c, const rovei_rng *rng,
                                                const rovei_keypair *signer,
                                                const rove_entity *subject, uint32_t scope,
                                                uint64_t now);

/* ---- judging ---- */
/* False for an empty action, whatever the scope. */
bool rovei_token_scope_has(uint32_t scope, uint32_t action);
bool rovei_token_authorizes(const rove_token *t, uint32_t action, uint64_t channel);
/* E_TOKEN_SIGNATURE for every reason. */
ROVE_MUST_USE rove_err rovei_token_verify(const rove_token *t);
/* The clock alone, without skew. */
bool rovei_token_is_expired(const rove_token *t, uint64_t now);
/* E_TOKEN_EARLY, E_TOKEN_EXPIRED, E_TOKEN_LONG, in this order. */
ROVE_MUST_USE rove_err rovei_token_check_window(const rove_token *t, uint64_t now, uint64_t skew);
/* E_TOKEN_SIGNATURE, then the window. */
ROVE_MUST_USE rove_err rovei_token_check(const rove_token *t, uint64_t now, uint64_t skew);

/* What a chain has to show. */
typedef struct rovei_token_demand {
    uint32_t action;
    uint64_t channel;             /* hash of the channel that was asked for */
    const rove_entity *presenter; /* who has to be the last link's subject */
    const rove_entity *roots;     /* one of them has to be the first link's issuer */
    size_t root_count;
    const struct rovei_token_floors *floors; /* NULL: nothing is revoked */
    uint64_t now, skew;                      /* seconds; the skew is not limited here */
    bool presigned; /* the signatures of this very chain were found valid: not again */
} rovei_token_demand;
/* The first that fails, in this order: E_TOKEN_FORMAT (no link, or more than there may be);
 * E_TOKEN_NOT_AUTHORIZED (root, presenter); for each link the errors of _check, E_TOKEN_REVOKED,
 * E_TOKEN_NOT_AUTHORIZED (action or channel); for each pair E_TOKEN_NOT_AUTHORIZED (not connected),
 * E_TOKEN_NO_DELEGATE, E_TOKEN_NOT_AUTHORIZED (depth, window). */
ROVE_MUST_USE rove_err rovei_token_chain_verify(const rove_token_chain *c,
                                                const rovei_token_demand *d);
/* The part of it that is about the links alone: that each pair is connected and may be. */
ROVE_MUST_USE rove_err rovei_token_chain_connected(const rove_token_chain *c);
/* When the first of the links expires. The chain has a link. */
uint64_t rovei_token_chain_expiry(const rove_token_chain *c);

#endif
