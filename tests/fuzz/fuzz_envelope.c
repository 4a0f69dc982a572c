/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity envelope: what decodes encodes to the same bytes; what was sealed opens, and what
 * was changed after sealing does not. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <identity/envelope.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, void *ret, size_t size)
{
    memset(ret, *(const uint8_t *)user | 1, size);
}

/* Seals by what the input says, changes the bytes where it says, and opens. */
static void seal_and_open(const rovei_env *env, rovei_reader *r)
{
    uint8_t seed[32], secret[32], target[32], bytes[ROVEI_ENVELOPE_SIZE];
    rovei_keypair *daemon, *opened = NULL;
    rovei_envelope e;
    memset(seed, rovei_read_u8(r), sizeof seed);
    memset(secret, rovei_read_u8(r), sizeof secret);
    uint8_t at = rovei_read_u8(r), change = rovei_read_u8(r), expect = rovei_read_u8(r);
    rove_link link = rovei_read_link(r);
    ROVEI_CHECK(rovei_keypair_from_seed(&daemon, env, seed) == ROVE_OK);
    rovei_x25519_public(target, secret);
    ROVEI_CHECK(rovei_envelope_seal(&e, env, daemon, target, &link) == ROVE_OK);
    rovei_envelope_encode(&e, bytes);
    bytes[at % sizeof bytes] ^= change;
    rove_entity expected = *rovei_keypair_entity(daemon);
    expected.bytes[31] ^= expect & 1;
    rove_err err = rovei_envelope_decode(&e, (rove_span){bytes, sizeof bytes});
    if (err == ROVE_OK)
        err = rovei_envelope_open(&opened, env, &e, secret, &link, expect & 2 ? NULL : &expected);
    bool intact = !change && ((expect & 2) || !(expect & 1));
    ROVEI_CHECK((err == ROVE_OK) == intact);
    if (err == ROVE_OK)
        ROVEI_CHECK(rovei_entity_equal(rovei_keypair_entity(opened), rovei_keypair_entity(daemon)));
    rovei_keypair_unref(opened);
    rovei_keypair_unref(daemon);
}

static void round_trip(const rovei_env *env, const uint8_t *data, size_t size)
{
    static const uint8_t secret[32] = {1};
    uint8_t out[ROVEI_ENVELOPE_SIZE];
    rovei_envelope e;
    rovei_keypair *opened = NULL;
    rove_link link = {0};
    if (rovei_envelope_decode(&e, (rove_span){data, size}))
        return;
    rovei_envelope_encode(&e, out);
    ROVEI_CHECK(size == sizeof out && memcmp(out, data, size) == 0);
    (void)!rovei_envelope_open(&opened, env, &e, secret, &link, NULL);
    rovei_keypair_unref(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t first = size ? data[0] : 0;
    rovei_env env = {.alloc = rovei_alloc_libc, .rng = {fill, &first}};
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    round_trip(&env, data, size);
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    seal_and_open(&env, &r);
    ROVEI_CHECK(rovei_slab_used(env.slab) == 0);
    rovei_slab_free(env.slab);
    return 0;
}
