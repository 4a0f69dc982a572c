/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of tokens: one byte with their count, then the tokens, the owner's first. What a chain
 * allows is what every one of its links allows. */
#include <base/check.h>
#include <base/cursor.h>
#include <identity/token_floors.h>

size_t rovei_token_chain_encode(const rove_token_chain *c, uint8_t ret[ROVE_TOKEN_CHAIN_MAX])
{
    ROVEI_CHECK(c->count >= 1 && c->count <= ROVE_TOKEN_LINKS);
    ret[0] = (uint8_t)c->count;
    for (size_t i = 0; i < c->count; i++)
        rovei_token_encode(&c->links[i], ret + 1 + i * ROVE_TOKEN_SIZE);
    return 1 + c->count * ROVE_TOKEN_SIZE;
}

rove_err rovei_token_chain_decode(rove_token_chain *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rove_token_chain c = {.count = rovei_read_u8(&r)};
    if (!c.count || c.count > ROVE_TOKEN_LINKS)
        return ROVE_E_TOKEN_FORMAT;
    for (size_t i = 0; i < c.count; i++)
        if (rovei_token_decode(&c.links[i], rovei_read_span(&r, ROVE_TOKEN_SIZE)))
            return ROVE_E_TOKEN_FORMAT;
    if (rovei_reader_end(&r))
        return ROVE_E_TOKEN_FORMAT;
    *ret = c;
    return ROVE_OK;
}

rove_err rovei_token_chain_extend(rove_token_chain *c, const rovei_rng *rng,
                                  const rovei_keypair *signer, const rove_entity *subject,
                                  uint32_t scope, uint64_t now)
{
    if (!c->count || c->count > ROVE_TOKEN_LINKS)
        return ROVE_E_TOKEN_FORMAT;
    if (c->count == ROVE_TOKEN_LINKS)
        return ROVE_E_TOKEN_EXHAUSTED;
    rove_err err = rovei_token_delegate(&c->links[c->count], rng, &c->links[c->count - 1], signer,
                                        subject, scope, now);
    if (err == ROVE_OK)
        c->count++;
    return err;
}

static rove_err check_pair(const rove_token *parent, const rove_token *child)
{
    if (!rovei_entity_equal(&child->issuer, &parent->subject))
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    if (!rovei_token_scope_has(parent->scope, ROVE_SCOPE_DELEGATE))
        return ROVE_E_TOKEN_NO_DELEGATE;
    if (child->depth >= parent->depth)
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    if (child->not_before < parent->not_before || child->not_after > parent->not_after)
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    return ROVE_OK;
}

rove_err rovei_token_chain_connected(const rove_token_chain *c)
{
    rove_err err = ROVE_OK;
    for (size_t i = 1; err == ROVE_OK && i < c->count; i++)
        err = check_pair(&c->links[i - 1], &c->links[i]);
    return err;
}

static bool is_root(const rovei_token_demand *d, const rove_entity *issuer)
{
    for (size_t i = 0; i < d->root_count; i++)
        if (rovei_entity_equal(&d->roots[i], issuer))
            return true;
    return false;
}

static rove_err check_link(const rove_token *t, const rovei_token_demand *d)
{
    rove_err err = d->presigned ? rovei_token_check_window(t, d->now, d->skew)
                                : rovei_token_check(t, d->now, d->skew);
    if (err)
        return err;
    if (d->floors && rovei_token_floors_revoked(d->floors, t))
        return ROVE_E_TOKEN_REVOKED;
    return rovei_token_authorizes(t, d->action, d->channel) ? ROVE_OK : ROVE_E_TOKEN_NOT_AUTHORIZED;
}

rove_err rovei_token_chain_verify(const rove_token_chain *c, const rovei_token_demand *d)
{
    if (!c->count || c->count > ROVE_TOKEN_LINKS)
        return ROVE_E_TOKEN_FORMAT;
    if (!is_root(d, &c->links[0].issuer) ||
        !rovei_entity_equal(&c->links[c->count - 1].subject, d->presenter))
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    for (size_t i = 0; i < c->count; i++) {
        rove_err err = check_link(&c->links[i], d);
        if (err)
            return err;
    }
    return rovei_token_chain_connected(c);
}

uint64_t rovei_token_chain_expiry(const rove_token_chain *c)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < c->count; i++)
        if (c->links[i].not_after < first)
            first = c->links[i].not_after;
    return first;
}
