/* SPDX-License-Identifier: Apache-2.0
 *
 * One permission token: 169 bytes.
 *
 *   offset  size
 *        0    32  issuer
 *       32    32  subject
 *       64     4  scope
 *       68     8  hash of the channel's name
 *       76     4  generation of the issuer
 *       80     8  not before, seconds
 *       88     8  not after, seconds
 *       96     1  depth
 *       97     8  nonce
 *      105    64  the issuer's signature over all bytes before it */
#include <base/cursor.h>
#include <base/now.h>
#include <crypto/crypto.h>
#include <identity/token.h>

#define SIGNED_SIZE 105

static void write_signed(rovei_writer *w, const rove_token *t)
{
    rovei_write_entity(w, &t->issuer);
    rovei_write_entity(w, &t->subject);
    rovei_write_u32(w, t->scope);
    rovei_write_u64(w, t->channel);
    rovei_write_u32(w, t->generation);
    rovei_write_u64(w, t->not_before);
    rovei_write_u64(w, t->not_after);
    rovei_write_u8(w, t->depth);
    rovei_write_u64(w, t->nonce);
}

void rovei_token_encode(const rove_token *t, uint8_t ret[ROVE_TOKEN_SIZE])
{
    rovei_writer w = rovei_writer_of(ret, ROVE_TOKEN_SIZE);
    write_signed(&w, t);
    rovei_write_bytes(&w, t->signature, sizeof t->signature);
}

rove_err rovei_token_decode(rove_token *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rove_token t;
    t.issuer = rovei_read_entity(&r);
    t.subject = rovei_read_entity(&r);
    t.scope = rovei_read_u32(&r);
    t.channel = rovei_read_u64(&r);
    t.generation = rovei_read_u32(&r);
    t.not_before = rovei_read_u64(&r);
    t.not_after = rovei_read_u64(&r);
    t.depth = rovei_read_u8(&r);
    t.nonce = rovei_read_u64(&r);
    rovei_read_bytes(&r, t.signature, sizeof t.signature);
    if (rovei_reader_end(&r))
        return ROVE_E_TOKEN_FORMAT;
    *ret = t;
    return ROVE_OK;
}

rove_err rovei_token_sign(rove_token *t, const rovei_keypair *issuer)
{
    rove_token signed_one = *t;
    uint8_t bytes[SIGNED_SIZE];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    signed_one.issuer = *rovei_keypair_entity(issuer);
    write_signed(&w, &signed_one);
    rove_err err = rovei_keypair_sign(issuer, bytes, sizeof bytes, signed_one.signature);
    if (err == ROVE_OK)
        *t = signed_one;
    return err;
}

rove_err rovei_token_issue(rove_token *ret, const rovei_rng *rng, const rovei_keypair *issuer,
                           const rovei_token_grant *g)
{
    if (!g->life)
        return ROVE_E_TOKEN_NO_LIFE;
    if (g->life > ROVE_TOKEN_LIFE_MAX)
        return ROVE_E_TOKEN_LONG;
    rove_token t = {.subject = g->subject,
                    .channel = g->channel,
                    .not_before = g->not_before,
                    .not_after = rovei_time_add(g->not_before, g->life),
                    .nonce = rovei_rng_u64(rng),
                    .scope = g->scope,
                    .generation = g->generation,
                    .depth = g->depth};
    rove_err err = rovei_token_sign(&t, issuer);
    if (err == ROVE_OK)
        *ret = t;
    return err;
}

/* What was granted is the parent's: its end is not counted anew from the clock. */
rove_err rovei_token_delegate(rove_token *ret, const rovei_rng *rng, const rove_token *parent,
                              const rovei_keypair *signer, const rove_entity *subject,
                              uint32_t scope, uint64_t now)
{
    rove_err err = rovei_token_check(parent, now, 0);
    if (err)
        return err;
    if (!parent->depth)
        return ROVE_E_TOKEN_EXHAUSTED;
    if (!rovei_token_scope_has(parent->scope, ROVE_SCOPE_DELEGATE))
        return ROVE_E_TOKEN_NO_DELEGATE;
    if (!rovei_entity_equal(rovei_keypair_entity(signer), &parent->subject))
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    rove_token t = *parent;
    t.subject = *subject;
    t.scope &= scope;
    t.not_before = now;
    t.depth--;
    t.nonce = rovei_rng_u64(rng);
    err = rovei_token_sign(&t, signer);
    if (err == ROVE_OK)
        *ret = t;
    return err;
}

/* An action that a mask has emptied is not one that everybody may do. */
bool rovei_token_scope_has(uint32_t scope, uint32_t action)
{
    return action && (scope & action) == action;
}

bool rovei_token_authorizes(const rove_token *t, uint32_t action, uint64_t channel)
{
    return rovei_token_scope_has(t->scope, action) &&
           (rovei_token_scope_has(t->scope, ROVE_SCOPE_WILDCARD) || t->channel == channel);
}

rove_err rovei_token_verify(const rove_token *t)
{
    uint8_t bytes[SIGNED_SIZE];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    write_signed(&w, t);
    rove_err err = rovei_ed25519_verify(&t->issuer, t->signature, bytes, sizeof bytes);
    return err ? ROVE_E_TOKEN_SIGNATURE : ROVE_OK;
}

bool rovei_token_is_expired(const rove_token *t, uint64_t now)
{
    return now >= t->not_after;
}

/* The width is judged here too: whoever signed it may not have kept to what _issue allows. */
rove_err rovei_token_check_window(const rove_token *t, uint64_t now, uint64_t skew)
{
    uint64_t first = t->not_before > skew ? t->not_before - skew : 0;
    if (now < first)
        return ROVE_E_TOKEN_EARLY;
    if (now >= rovei_time_add(t->not_after, skew))
        return ROVE_E_TOKEN_EXPIRED;
    if (t->not_after > t->not_before && t->not_after - t->not_before > ROVE_TOKEN_LIFE_MAX)
        return ROVE_E_TOKEN_LONG;
    return ROVE_OK;
}

rove_err rovei_token_check(const rove_token *t, uint64_t now, uint64_t skew)
{
    rove_err err = rovei_token_verify(t);
    return err ? err : rovei_token_check_window(t, now, skew);
}
