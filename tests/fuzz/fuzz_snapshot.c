/* SPDX-License-Identifier: Apache-2.0
 *
 * The state snapshot: what decodes encodes to the same bytes. Since chance never finds the hash of
 * an entity, the input is also tried with its head put right. */
#include "support.h"

#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <state/snapshot.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 3, size);
}

/* Whatever envelope there is opens or is refused; the same snapshot under a known key, sealed
 * anew, opens to that key. */
static void open_and_seal(rovei_snapshot s)
{
    uint8_t secret[32] = {1}, target[32];
    rovei_env env = {.alloc = rovei_alloc_libc, .rng = {fill, NULL}};
    rovei_keypair *k = NULL, *own;
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    rove_err err = rovei_snapshot_open(&k, &env, &s, secret);
    ROVEI_CHECK((err == ROVE_OK && s.has_envelope) == (k != NULL));
    rovei_keypair_unref(k);
    ROVEI_CHECK(rovei_keypair_generate(&own, &env) == ROVE_OK);
    s.entity = *rovei_keypair_entity(own);
    rovei_x25519_public(target, secret);
    ROVEI_CHECK(rovei_snapshot_seal(&s, &env, own, target) == ROVE_OK);
    ROVEI_CHECK(rovei_snapshot_open(&k, &env, &s, secret) == ROVE_OK);
    ROVEI_CHECK(rovei_entity_equal(rovei_keypair_entity(k), &s.entity));
    rovei_keypair_unref(k);
    rovei_keypair_unref(own);
    rovei_slab_free(env.slab);
}

static void round_trip(const uint8_t *data, size_t size)
{
    rovei_snapshot s;
    size_t out_size;
    if (rovei_snapshot_decode(&s, (rove_span){data, size}))
        return;
    ROVEI_CHECK(rovei_snapshot_size(&s, &out_size) == ROVE_OK && out_size == size);
    uint8_t *out = malloc(size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, size);
    rovei_snapshot_encode(&s, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    ROVEI_CHECK(memcmp(out, data, size) == 0);
    free(out);
    /* Curve work is slow, so it is not done for every input. */
    if (s.has_envelope || data[77] % 16 == 0)
        open_and_seal(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    round_trip(data, size);
    if (size < 94)
        return 0;
    uint8_t *fixed = malloc(size);
    ROVEI_CHECK(fixed);
    memcpy(fixed, data, size);
    static const uint8_t start[5] = {'C', 'D', 'S', '1', 2};
    memcpy(fixed, start, sizeof start);
    rove_entity entity;
    memcpy(entity.bytes, fixed + 5, sizeof entity.bytes);
    rovei_store64(fixed + 45, rovei_entity_origin(&entity));
    memcpy(fixed + 61, fixed + 37, 8);
    round_trip(fixed, size);
    free(fixed);
    return 0;
}
