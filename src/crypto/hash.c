/* SPDX-License-Identifier: Apache-2.0
 *
 * XXH3 and the BLAKE2s family. libcrypto's functions fail only when memory for a small context is
 * refused; a hash that cannot be computed must never be taken for one, so that ends the process. */
#include <base/check.h>
#include <crypto/crypto.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the state lives on the stack */
#include <xxhash.h>

/* Up to here two pieces are put side by side on the stack: cheaper than the streaming state. */
#define JOIN_MAX 512

uint64_t rovei_xxh3(const void *data, size_t size)
{
    return XXH3_64bits(size ? data : "", size);
}

uint64_t rovei_xxh3_2(const void *a, size_t a_size, const void *b, size_t b_size)
{
    if (a_size <= JOIN_MAX && b_size <= JOIN_MAX - a_size) {
        uint8_t joined[JOIN_MAX];
        if (a_size)
            memcpy(joined, a, a_size);
        if (b_size)
            memcpy(joined + a_size, b, b_size);
        return XXH3_64bits(joined, a_size + b_size);
    }
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    if (a_size)
        XXH3_64bits_update(&state, a, a_size);
    if (b_size)
        XXH3_64bits_update(&state, b, b_size);
    return XXH3_64bits_digest(&state);
}

void rovei_blake2s(uint8_t ret[32], const void *data, size_t size)
{
    EVP_MD *md = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
    ROVEI_CHECK(md);
    ROVEI_CHECK(EVP_Digest(data, size, ret, NULL, md, NULL) == 1);
    EVP_MD_free(md);
}

/* One MAC of libcrypto over two pieces. */
static void mac(uint8_t ret[32], const char *name, const OSSL_PARAM *params, const void *key,
                size_t key_size, rove_span a, rove_span b)
{
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, name, NULL);
    ROVEI_CHECK(algorithm);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(algorithm);
    ROVEI_CHECK(ctx);
    ROVEI_CHECK(EVP_MAC_init(ctx, key, key_size, params) == 1);
    if (a.size)
        ROVEI_CHECK(EVP_MAC_update(ctx, a.data, a.size) == 1);
    if (b.size)
        ROVEI_CHECK(EVP_MAC_update(ctx, b.data, b.size) == 1);
    size_t size;
    ROVEI_CHECK(EVP_MAC_final(ctx, ret, &size, 32) == 1 && size == 32);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(algorithm);
}

void rovei_blake2s_mac(uint8_t ret[32], const void *key, size_t key_size, const void *data,
                       size_t size)
{
    ROVEI_CHECK(key_size && key_size <= 32);
    size_t digest_size = 32;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &digest_size),
        OSSL_PARAM_construct_end(),
    };
    mac(ret, "BLAKE2SMAC", params, key, key_size, (rove_span){data, size}, (rove_span){NULL, 0});
}

void rovei_hmac_blake2s(uint8_t ret[32], const uint8_t key[32], rove_span a, rove_span b)
{
    char digest[] = "BLAKE2S-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    mac(ret, "HMAC", params, key, 32, a, b);
}
