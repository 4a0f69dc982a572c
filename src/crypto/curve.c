/* SPDX-License-Identifier: Apache-2.0
 *
 * X25519 and strict Ed25519, both libsodium's, whose verification refuses keys of small order. */
#include <crypto/crypto.h>
#include <sodium.h>
#include <string.h>

void rovei_x25519_public(uint8_t ret[32], const uint8_t secret[32])
{
    crypto_scalarmult_curve25519_base(ret, secret);
}

rove_err rovei_x25519(uint8_t ret[32], const uint8_t secret[32], const uint8_t peer[32])
{
    uint8_t shared[32];
    if (crypto_scalarmult_curve25519(shared, secret, peer) != 0)
        return ROVE_E_WEAK_SECRET;
    memcpy(ret, shared, sizeof shared);
    rovei_wipe(shared, sizeof shared);
    return ROVE_OK;
}

void rovei_ed25519_from_seed(const uint8_t seed[32], uint8_t ret_secret[64], rove_entity *ret)
{
    crypto_sign_ed25519_seed_keypair(ret->bytes, ret_secret, seed);
}

void rovei_ed25519_sign(uint8_t ret[64], const uint8_t secret[64], const void *msg, size_t size)
{
    crypto_sign_ed25519_detached(ret, NULL, msg, size, secret);
}

/* libsodium answers alike for what is no point and for what it does not like about a point;
 * adding the key to itself fails for the former only. */
static bool is_point(const rove_entity *key)
{
    uint8_t sum[32];
    return crypto_core_ed25519_add(sum, key->bytes, key->bytes) == 0;
}

rove_err rovei_ed25519_verify(const rove_entity *key, const uint8_t sig[64], const void *msg,
                              size_t size)
{
    if (crypto_sign_ed25519_verify_detached(sig, msg, size, key->bytes) == 0)
        return ROVE_OK;
    return is_point(key) ? ROVE_E_SIGNATURE : ROVE_E_PUBLIC_KEY;
}

rove_err rovei_ed25519_image(uint8_t ret_x25519[32], const rove_entity *key)
{
    uint8_t image[32];
    if (crypto_sign_ed25519_pk_to_curve25519(image, key->bytes) != 0)
        return is_point(key) ? ROVE_E_NO_IMAGE : ROVE_E_PUBLIC_KEY;
    memcpy(ret_x25519, image, sizeof image);
    return ROVE_OK;
}

void rovei_ed25519_image_secret(uint8_t ret_x25519[32], const uint8_t secret[64])
{
    crypto_sign_ed25519_sk_to_curve25519(ret_x25519, secret);
}
