/* SPDX-License-Identifier: Apache-2.0
 *
 * The credentials that a node holds. */
#include <base/alloc.h>
#include <base/cursor.h>
#include <identity/token_cache.h>
#include <identity/token_floors.h>
#include <string.h>

#define WILDCARD_SLOT 0

struct slot_key {
    rove_entity subject;
    uint8_t channel[8];
};

/* A chain as long as it is. */
struct held {
    uint32_t count;
    rove_token links[];
};

struct slot {
    struct slot_key key;
    size_t count;
    struct held *chains[ROVEI_TOKENS_PER_SLOT];
};

static struct slot_key key_of(const rove_entity *subject, uint64_t channel)
{
    struct slot_key key = {.subject = *subject};
    rovei_store64(key.channel, channel);
    return key;
}

static bool is_wildcard(const rove_token *t)
{
    return rovei_token_scope_has(t->scope, ROVE_SCOPE_WILDCARD);
}

/* ---- held chains ---- */

static size_t held_size(uint32_t count)
{
    return sizeof(struct held) + count * sizeof(rove_token);
}

static struct held *held_new(const rove_alloc *a, const rove_token_chain *chain)
{
    struct held *h = rovei_alloc(a, held_size(chain->count));
    if (!h)
        return NULL;
    h->count = chain->count;
    memcpy(h->links, chain->links, chain->count * sizeof(rove_token));
    return h;
}

static void held_free(const rove_alloc *a, struct held *h)
{
    rovei_free(a, h, held_size(h->count));
}

static const rove_token *held_leaf(const struct held *h)
{
    return &h->links[h->count - 1];
}

static void held_give(const struct held *h, rove_token_chain *ret)
{
    if (!ret)
        return;
    *ret = (rove_token_chain){.count = h->count};
    memcpy(ret->links, h->links, h->count * sizeof(rove_token));
}

/* ---- the cache ---- */

void rovei_token_cache_init(rovei_token_cache *c, const rovei_env *env, size_t most, uint64_t skew)
{
    *c = (rovei_token_cache){.alloc = &env->alloc, .most = most};
    rovei_token_cache_set_skew(c, skew);
    rovei_map_init_inside(&c->slots, c->alloc, sizeof(struct slot_key), offsetof(struct slot, key),
                          rovei_rng_u64(&env->rng));
}

void rovei_token_cache_set_skew(rovei_token_cache *c, uint64_t skew)
{
    c->skew = skew < ROVE_TOKEN_SKEW_MAX ? skew : ROVE_TOKEN_SKEW_MAX;
}

static void slot_free(const rove_alloc *a, struct slot *s)
{
    for (size_t i = 0; i < s->count; i++)
        held_free(a, s->chains[i]);
    ROVEI_DELETE(a, s);
}

void rovei_token_cache_fini(rovei_token_cache *c)
{
    size_t it = 0;
    for (struct slot *s; (s = rovei_map_next(&c->slots, &it));)
        slot_free(c->alloc, s);
    rovei_map_fini(&c->slots);
}

static rove_err check_chain(const rove_token_chain *chain)
{
    if (!chain->count || chain->count > ROVE_TOKEN_LINKS)
        return ROVE_E_TOKEN_FORMAT;
    for (size_t i = 0; i < chain->count; i++) {
        rove_err err = rovei_token_verify(&chain->links[i]);
        if (err)
            return err;
    }
    return rovei_token_chain_connected(chain);
}

/* Takes the chain over when it is put in. */
static rove_err put_in_slot(rovei_token_cache *c, struct slot *s, struct held *h)
{
    for (size_t i = 0; i < s->count; i++) {
        if (held_leaf(s->chains[i])->scope != held_leaf(h)->scope)
            continue;
        held_free(c->alloc, s->chains[i]);
        s->chains[i] = h;
        return ROVE_OK;
    }
    if (s->count == ROVEI_TOKENS_PER_SLOT)
        return ROVE_E_FULL;
    s->chains[s->count++] = h;
    c->count++;
    return ROVE_OK;
}

static rove_err put_in_new_slot(rovei_token_cache *c, const struct slot_key *key, struct held *h)
{
    if (c->slots.count >= c->most)
        return ROVE_E_FULL;
    struct slot *s = ROVEI_NEW(c->alloc, struct slot);
    if (!s)
        return ROVE_E_NOMEM;
    s->key = *key;
    rove_err err = rovei_map_put(&c->slots, &s->key, s);
    if (err) {
        ROVEI_DELETE(c->alloc, s);
        return err;
    }
    s->chains[s->count++] = h;
    c->count++;
    return ROVE_OK;
}

rove_err rovei_token_cache_insert(rovei_token_cache *c, const rove_token_chain *chain)
{
    rove_err err = check_chain(chain);
    if (err)
        return err;
    const rove_token *leaf = &chain->links[chain->count - 1];
    struct slot_key key = key_of(&leaf->subject, is_wildcard(leaf) ? WILDCARD_SLOT : leaf->channel);
    struct slot *s = rovei_map_get(&c->slots, &key);
    struct held *h = held_new(c->alloc, chain);
    if (!h)
        return ROVE_E_NOMEM;
    err = s ? put_in_slot(c, s, h) : put_in_new_slot(c, &key, h);
    if (err)
        held_free(c->alloc, h);
    else if (is_wildcard(leaf))
        c->wildcards = true;
    return err;
}

/* What is asked of every link of a held chain; signatures were verified when it was put in. */
struct question {
    uint32_t action;
    uint64_t channel, now, skew;
    const struct rovei_token_floors *floors;
};

static bool held_does(const struct held *h, const struct question *q)
{
    for (size_t i = 0; i < h->count; i++) {
        const rove_token *t = &h->links[i];
        if (rovei_token_check_window(t, q->now, q->skew) ||
            (q->floors && rovei_token_floors_revoked(q->floors, t)) ||
            !rovei_token_authorizes(t, q->action, q->channel))
            return false;
    }
    return true;
}

static const struct held *find_in_slot(const rovei_token_cache *c, const rove_entity *subject,
                                       uint64_t channel, const struct question *q)
{
    struct slot_key key = key_of(subject, channel);
    const struct slot *s = rovei_map_get(&c->slots, &key);
    for (size_t i = 0; s && i < s->count; i++)
        if (held_does(s->chains[i], q))
            return s->chains[i];
    return NULL;
}

rove_err rovei_token_cache_find(const rovei_token_cache *c, const rove_entity *subject,
                                uint32_t action, uint64_t channel, uint64_t now,
                                const struct rovei_token_floors *floors, rove_token_chain *ret)
{
    struct question q = {action, channel, now, c->skew, floors};
    const struct held *h = find_in_slot(c, subject, channel, &q);
    if (!h && c->wildcards)
        h = find_in_slot(c, subject, WILDCARD_SLOT, &q);
    if (!h)
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    held_give(h, ret);
    return ROVE_OK;
}

bool rovei_token_cache_get(const rovei_token_cache *c, const rove_entity *subject, uint64_t channel,
                           uint64_t now, rove_token_chain *ret)
{
    struct slot_key key = key_of(subject, channel);
    const struct slot *s = rovei_map_get(&c->slots, &key);
    if (!s)
        return false;
    const struct held *best = s->chains[0];
    for (size_t i = 0; i < s->count; i++) {
        if (rovei_token_check_window(held_leaf(s->chains[i]), now, 0))
            continue;
        best = s->chains[i];
        break;
    }
    held_give(best, ret);
    return true;
}

/* The order of those that stay is kept. */
static size_t sweep_slot(rovei_token_cache *c, struct slot *s, uint64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (rovei_token_is_expired(held_leaf(s->chains[i]), now))
            held_free(c->alloc, s->chains[i]);
        else
            s->chains[kept++] = s->chains[i];
    }
    size_t gone = s->count - kept;
    s->count = kept;
    return gone;
}

/* A slot that has gone leaves its place to one of those behind it: that place is looked at again.
 */
size_t rovei_token_cache_sweep(rovei_token_cache *c, uint64_t now)
{
    size_t gone = 0, it = 0;
    for (struct slot *s; (s = rovei_map_next(&c->slots, &it));) {
        gone += sweep_slot(c, s, now);
        if (s->count)
            continue;
        rovei_map_remove(&c->slots, &s->key);
        slot_free(c->alloc, s);
        it--;
    }
    c->count -= gone;
    return gone;
}

bool rovei_token_cache_next(const rovei_token_cache *c, rovei_token_cache_place *place,
                            rove_token_chain *ret)
{
    const struct slot *s = place->at;
    while (!s || place->chain >= s->count) {
        s = place->at = rovei_map_next(&c->slots, &place->slot);
        place->chain = 0;
        if (!s)
            return false;
    }
    held_give(s->chains[place->chain++], ret);
    return true;
}
