/* SPDX-License-Identifier: Apache-2.0
 *
 * Entities, the ids derived from them, and key pairs. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <identity/entity.h>
#include <stdatomic.h>
#include <string.h>

/* The low half of the packet magic, in which a pingwave shows the low bits of a node id. */
#define MAGIC_BITS 0x4E45u

struct rovei_keypair {
    atomic_uint refs;
    const rove_alloc *alloc;
    struct rovei_slab *slab;
    uint8_t *secret; /* a slot with seed and public key; NULL without a private half */
    rove_entity entity;
    uint64_t origin, node_id;
};

_Static_assert(ROVEI_SLOT_SIZE >= 64, "a slot holds the 64 bytes of an ed25519 secret");

/* The label is the key of the hash, at its own length. */
static uint64_t derived_id(const char *label, const rove_entity *e)
{
    uint8_t hash[ROVEI_HASH_SIZE];
    rovei_blake2s_mac(hash, label, strlen(label), e->bytes, sizeof e->bytes);
    return rovei_load64(hash);
}

uint64_t rovei_entity_origin(const rove_entity *e)
{
    return derived_id("net-origin-v1", e);
}

rove_entity rovei_entity_of_net(uint64_t node_id)
{
    ROVEI_CHECK(node_id);
    rove_entity e = {{0}};
    rovei_store64(e.bytes, node_id);
    return e;
}

bool rovei_entity_is_net(const rove_entity *e)
{
    uint8_t rest = 0;
    for (size_t i = 8; i < sizeof e->bytes; i++)
        rest |= e->bytes[i];
    return !rest && rovei_load64(e->bytes);
}

uint64_t rovei_entity_node_id(const rove_entity *e)
{
    if (rovei_entity_is_net(e))
        return rovei_load64(e->bytes);
    return derived_id("net-node-id-v1", e);
}

bool rovei_entity_equal(const rove_entity *a, const rove_entity *b)
{
    return rovei_entity_compare(a, b) == 0;
}

int rovei_entity_compare(const rove_entity *a, const rove_entity *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool rovei_node_id_is_reserved(uint64_t node_id)
{
    return (node_id & 0xFFFF) == MAGIC_BITS;
}

/* A key pair with no entity yet; with an empty slot when it is to have a private half. */
static rovei_keypair *keypair_new(const rovei_env *env, bool has_secret)
{
    rovei_keypair *k = ROVEI_NEW(&env->alloc, rovei_keypair);
    if (!k)
        return NULL;
    atomic_init(&k->refs, 1);
    k->alloc = &env->alloc;
    k->slab = env->slab;
    if (has_secret) {
        k->secret = rovei_slab_get(env->slab);
        if (!k->secret) {
            ROVEI_DELETE(&env->alloc, k);
            return NULL;
        }
    }
    return k;
}

static void derive_ids(rovei_keypair *k)
{
    k->origin = rovei_entity_origin(&k->entity);
    k->node_id = rovei_entity_node_id(&k->entity);
}

/* One draw in 65,536 is unusable; a source that gives only such is broken. */
#define DRAWS_MAX 16

rove_err rovei_keypair_generate(rovei_keypair **ret, const rovei_env *env)
{
    uint8_t seed[32];
    rovei_keypair *k = NULL;
    rove_err err = ROVE_E_RESERVED_ID;
    for (int i = 0; i < DRAWS_MAX && err == ROVE_E_RESERVED_ID; i++) {
        rovei_rng_fill(&env->rng, seed, sizeof seed);
        err = rovei_keypair_from_seed(&k, env, seed);
        if (err == ROVE_OK && rovei_node_id_is_reserved(k->node_id)) {
            rovei_keypair_unref(k);
            err = ROVE_E_RESERVED_ID;
        }
    }
    rovei_wipe(seed, sizeof seed);
    if (err == ROVE_OK)
        *ret = k;
    return err;
}

rove_err rovei_keypair_from_seed(rovei_keypair **ret, const rovei_env *env, const uint8_t seed[32])
{
    rovei_keypair *k = keypair_new(env, true);
    if (!k)
        return ROVE_E_NOMEM;
    rovei_ed25519_from_seed(seed, k->secret, &k->entity);
    derive_ids(k);
    *ret = k;
    return ROVE_OK;
}

rove_err rovei_keypair_public_only(rovei_keypair **ret, const rovei_env *env,
                                   const rove_entity *entity)
{
    rovei_keypair *k = keypair_new(env, false);
    if (!k)
        return ROVE_E_NOMEM;
    k->entity = *entity;
    derive_ids(k);
    *ret = k;
    return ROVE_OK;
}

rovei_keypair *rovei_keypair_ref(rovei_keypair *k)
{
    unsigned before = atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    ROVEI_CHECK(before && before < UINT32_MAX);
    return k;
}

void rovei_keypair_unref(rovei_keypair *k)
{
    if (!k)
        return;
    unsigned before = atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel);
    ROVEI_CHECK(before);
    if (before > 1)
        return;
    rovei_keypair_wipe(k);
    ROVEI_DELETE(k->alloc, k);
}

const rove_entity *rovei_keypair_entity(const rovei_keypair *k)
{
    return &k->entity;
}

uint64_t rovei_keypair_origin(const rovei_keypair *k)
{
    return k->origin;
}

uint64_t rovei_keypair_node_id(const rovei_keypair *k)
{
    return k->node_id;
}

bool rovei_keypair_is_read_only(const rovei_keypair *k)
{
    return !k->secret;
}

rove_err rovei_keypair_sign(const rovei_keypair *k, const void *msg, size_t size, uint8_t ret[64])
{
    if (!k->secret)
        return ROVE_E_READ_ONLY;
    rovei_ed25519_sign(ret, k->secret, msg, size);
    return ROVE_OK;
}

rove_err rovei_keypair_seed(const rovei_keypair *k, uint8_t ret[32])
{
    if (!k->secret)
        return ROVE_E_READ_ONLY;
    memcpy(ret, k->secret, 32);
    return ROVE_OK;
}

rove_err rovei_keypair_x25519(const rovei_keypair *k, uint8_t ret_secret[32])
{
    if (!k->secret)
        return ROVE_E_READ_ONLY;
    rovei_ed25519_image_secret(ret_secret, k->secret);
    return ROVE_OK;
}

void rovei_keypair_wipe(rovei_keypair *k)
{
    rovei_slab_put(k->slab, k->secret);
    k->secret = NULL;
}
