/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard. The key of a pair in the table is a digest of 32 bytes over the principal and the
 * whole name, so that names of the same 64-bit hash stay apart. */
#include <base/alloc.h>
#include <base/cursor.h>
#include <channel/guard.h>
#include <crypto/crypto.h>
#include <string.h>

typedef struct pair {
    uint8_t digest[32];
    uint64_t key; /* of the filter */
} pair;

void rovei_guard_init(rovei_guard *g, const rovei_env *env)
{
    memset(g, 0, sizeof *g);
    g->alloc = &env->alloc;
    rovei_map_init_inside(&g->pairs, g->alloc, 32, offsetof(pair, digest),
                          rovei_rng_u64(&env->rng));
}

void rovei_guard_fini(rovei_guard *g)
{
    size_t it = 0;
    for (pair *p; (p = rovei_map_next(&g->pairs, &it));)
        ROVEI_DELETE(g->alloc, p);
    rovei_map_fini(&g->pairs);
}

uint64_t rovei_guard_key(rovei_principal who, uint64_t channel)
{
    uint8_t bytes[17];
    rovei_store64(bytes, who.id);
    rovei_store64(bytes + 8, channel);
    bytes[16] = (uint8_t)who.kind;
    return rovei_xxh3(bytes, sizeof bytes);
}

static unsigned bit_of(uint64_t key, unsigned which)
{
    return (unsigned)(key >> 15 * which) & (ROVEI_GUARD_BITS - 1);
}

static void set_bits(rovei_guard *g, uint64_t key)
{
    for (unsigned which = 0; which < 2; which++)
        g->bits[bit_of(key, which) >> 3] |= (uint8_t)(1 << (bit_of(key, which) & 7));
}

static bool has_bits(const rovei_guard *g, uint64_t key)
{
    for (unsigned which = 0; which < 2; which++)
        if (!(g->bits[bit_of(key, which) >> 3] & 1 << (bit_of(key, which) & 7)))
            return false;
    return true;
}

static void digest_of(uint8_t ret[32], rovei_principal who, rove_span channel)
{
    uint8_t bytes[9 + ROVEI_CHANNEL_NAME_MAX];
    bytes[0] = (uint8_t)who.kind;
    rovei_store64(bytes + 1, who.id);
    size_t size = channel.size <= ROVEI_CHANNEL_NAME_MAX ? channel.size : 0;
    if (size)
        memcpy(bytes + 9, channel.data, size);
    rovei_blake2s(ret, bytes, 9 + size);
}

rove_err rovei_guard_admit(rovei_guard *g, rovei_principal who, rove_span channel)
{
    uint8_t digest[32];
    digest_of(digest, who, channel);
    if (rovei_map_get(&g->pairs, digest))
        return ROVE_OK;
    pair *p = ROVEI_NEW(g->alloc, pair);
    if (!p)
        return ROVE_E_NOMEM;
    memcpy(p->digest, digest, sizeof digest);
    p->key = rovei_guard_key(who, rovei_channel_hash(channel));
    if (rovei_map_put(&g->pairs, p->digest, p)) {
        ROVEI_DELETE(g->alloc, p);
        return ROVE_E_NOMEM;
    }
    set_bits(g, p->key);
    return ROVE_OK;
}

void rovei_guard_revoke(rovei_guard *g, rovei_principal who, rove_span channel)
{
    uint8_t digest[32];
    digest_of(digest, who, channel);
    pair *p = rovei_map_remove(&g->pairs, digest);
    if (p)
        ROVEI_DELETE(g->alloc, p);
}

bool rovei_guard_may(const rovei_guard *g, rovei_principal who, uint64_t hash)
{
    return has_bits(g, rovei_guard_key(who, hash));
}

bool rovei_guard_admits(const rovei_guard *g, rovei_principal who, uint64_t hash, rove_span channel)
{
    uint8_t digest[32];
    if (!rovei_guard_may(g, who, hash))
        return false;
    digest_of(digest, who, channel);
    return rovei_map_get(&g->pairs, digest) != NULL;
}

void rovei_guard_rebuild(rovei_guard *g)
{
    memset(g->bits, 0, sizeof g->bits);
    size_t it = 0;
    for (const pair *p; (p = rovei_map_next(&g->pairs, &it));)
        set_bits(g, p->key);
}
