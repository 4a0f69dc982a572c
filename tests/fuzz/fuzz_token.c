/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens and chains from outside: what decodes encodes to the same bytes and is judged without
 * harm; a sound chain that was changed in one place no longer holds; what a node holds stays
 * within its bounds. */
#include "support.h"

#include <base/cursor.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <identity/token_cache.h>
#include <identity/token_floors.h>
#include <shell/token_text.h>

#define EPOCH UINT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, void *ret, size_t size)
{
    memset(ret, *(const uint8_t *)user, size);
}

static void judge(const rove_token_chain *c, rovei_reader *r)
{
    rove_entity presenter = c->links[c->count - 1].subject, root = c->links[0].issuer;
    rovei_token_demand d = {.action = rovei_read_u32(r),
                            .channel = c->links[0].channel,
                            .presenter = &presenter,
                            .roots = &root,
                            .root_count = 1,
                            .now = rovei_read_u64(r),
                            .skew = rovei_read_u64(r)};
    rove_err with = rovei_token_chain_verify(c, &d);
    d.presigned = true;
    rove_err without = rovei_token_chain_verify(c, &d);
    ROVEI_CHECK(with == without || with == ROVE_E_TOKEN_SIGNATURE);
}

static void round_trip(const uint8_t *data, size_t size)
{
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    char text[ROVEI_TOKEN_TEXT_MAX];
    rove_token_chain c, again;
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    if (rovei_token_chain_decode(&c, (rove_span){data, size}) == ROVE_OK) {
        ROVEI_CHECK(rovei_token_chain_encode(&c, bytes) == size && !memcmp(bytes, data, size));
        judge(&c, &r);
    }
    if (rovei_token_read(&c, (rove_span){data, size}))
        return;
    rovei_token_write(&c, text);
    ROVEI_CHECK(rovei_token_read(&again, (rove_span){text, strlen(text)}) == ROVE_OK);
    size_t first = rovei_token_chain_encode(&c, bytes);
    uint8_t other[ROVE_TOKEN_CHAIN_MAX];
    ROVEI_CHECK(rovei_token_chain_encode(&again, other) == first && !memcmp(bytes, other, first));
    json_object_put(rovei_token_chain_json(&c));
}

/* Two links, one bit of which may be changed. */
static void change_one(const rovei_env *env, rovei_reader *r)
{
    static const uint8_t seeds[3][32] = {{1}, {2}, {3}};
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rovei_keypair *key[3];
    rove_token_chain c = {.count = 1};
    for (size_t i = 0; i < 3; i++)
        ROVEI_CHECK(rovei_keypair_from_seed(&key[i], env, seeds[i]) == ROVE_OK);
    rovei_token_grant g = {
        *rovei_keypair_entity(key[1]), rovei_read_u64(r), EPOCH, 60, ROVE_SCOPE_ALL, 0, 3};
    ROVEI_CHECK(rovei_token_issue(&c.links[0], &env->rng, key[0], &g) == ROVE_OK);
    ROVEI_CHECK(rovei_token_chain_extend(&c, &env->rng, key[1], rovei_keypair_entity(key[2]),
                                         ROVE_SCOPE_SUBSCRIBE, EPOCH) == ROVE_OK);
    size_t size = rovei_token_chain_encode(&c, bytes);
    uint16_t at = rovei_read_u16(r);
    uint8_t change = rovei_read_u8(r);
    bytes[at % size] ^= change;
    rovei_token_demand d = {.action = ROVE_SCOPE_SUBSCRIBE,
                            .channel = g.channel,
                            .presenter = rovei_keypair_entity(key[2]),
                            .roots = rovei_keypair_entity(key[0]),
                            .root_count = 1,
                            .now = EPOCH};
    rove_err err = rovei_token_chain_decode(&c, (rove_span){bytes, size});
    if (!err)
        err = rovei_token_chain_verify(&c, &d);
    ROVEI_CHECK((err == ROVE_OK) == !change);
    for (size_t i = 0; i < 3; i++)
        rovei_keypair_unref(key[i]);
}

/* A few tokens of which the input says scope, channel and end, into a small cache. */
static void hold(const rovei_env *env, rovei_reader *r)
{
    static const uint8_t seed[32] = {1};
    rovei_keypair *key;
    rovei_token_cache cache;
    ROVEI_CHECK(rovei_keypair_from_seed(&key, env, seed) == ROVE_OK);
    rovei_token_cache_init(&cache, env, 3, 0);
    for (size_t i = 0; i < 12 && rovei_reader_left(r); i++) {
        rovei_token_grant g = {.subject = *rovei_keypair_entity(key),
                               .scope = rovei_read_u8(r),
                               .channel = rovei_read_u8(r) & 3,
                               .not_before = EPOCH,
                               .life = 1 + (uint64_t)rovei_read_u8(r)};
        rove_token_chain c = {.count = 1};
        ROVEI_CHECK(rovei_token_issue(&c.links[0], &env->rng, key, &g) == ROVE_OK);
        rove_err err = rovei_token_cache_insert(&cache, &c);
        ROVEI_CHECK(!err || err == ROVE_E_FULL);
        rove_err found =
            rovei_token_cache_find(&cache, &g.subject, g.scope, g.channel, EPOCH, NULL, NULL);
        ROVEI_CHECK(err || !g.scope || found == ROVE_OK);
        ROVEI_CHECK(cache.slots.count <= 3 && cache.count <= 3 * ROVEI_TOKENS_PER_SLOT);
    }
    rovei_token_cache_sweep(&cache, EPOCH + 100);
    rovei_token_cache_place place = {0};
    rove_token_chain left;
    size_t seen = 0;
    for (; rovei_token_cache_next(&cache, &place, &left); seen++)
        ROVEI_CHECK(left.links[0].not_after > EPOCH + 100);
    ROVEI_CHECK(seen == cache.count);
    rovei_token_cache_fini(&cache);
    rovei_keypair_unref(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t first = size ? data[0] : 0;
    fuzz_alloc f;
    fuzz_alloc_init(&f, SIZE_MAX);
    rovei_env env = {.alloc = f.alloc, .rng = {fill, &first}};
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    round_trip(data, size);
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    change_one(&env, &r);
    hold(&env, &r);
    rovei_slab_free(env.slab);
    ROVEI_CHECK(f.live == 0);
    return 0;
}
