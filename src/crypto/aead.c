/* SPDX-License-Identifier: Apache-2.0
 *
 * The AEADs. Packets use libcrypto with a context that keeps its key; the handshake and the
 * identity envelope use libsodium's one-shot forms, which allocate nothing. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#define NONCE_SIZE 12
#define AAD_SIZE   13 /* nonce, mark, length: as TLS has it */

/* The form that the library has for TLS records: nonce, associated data and length are set in one
 * call, the text passes in another. A context used in the usual way takes four, each with lookups
 * by name, which for small packets cost three times as much as the cipher. */
struct rovei_aead {
    const rove_alloc *alloc;
    EVP_CIPHER_CTX *ctx;
    uint8_t aad[AAD_SIZE];
    OSSL_PARAM set_aad[2]; /* points to aad */
};

/* The nonce is what is fixed, zeros, combined with the first eight bytes of the associated data. */
static bool fix_nonce(EVP_CIPHER_CTX *ctx)
{
    uint8_t zeros[NONCE_SIZE] = {0};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, zeros,
                                          sizeof zeros),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CIPHER_CTX_set_params(ctx, params) == 1;
}

struct rovei_aead *rovei_aead_new(const rove_alloc *a, const uint8_t key[32], bool seals)
{
    static const uint8_t zeros[NONCE_SIZE];
    struct rovei_aead *c = ROVEI_NEW(a, struct rovei_aead);
    if (!c)
        return NULL;
    c->alloc = a;
    c->ctx = EVP_CIPHER_CTX_new();
    c->set_aad[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, c->aad, sizeof c->aad);
    c->set_aad[1] = OSSL_PARAM_construct_end();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    bool ok = c->ctx && cipher &&
              EVP_CipherInit_ex2(c->ctx, cipher, key, zeros, seals, NULL) == 1 && fix_nonce(c->ctx);
    EVP_CIPHER_free(cipher);
    if (!ok) {
        rovei_aead_free(c);
        return NULL;
    }
    return c;
}

void rovei_aead_free(struct rovei_aead *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->ctx);
    ROVEI_DELETE(c->alloc, c);
}

static void nonce_bytes(uint8_t ret[NONCE_SIZE], uint64_t nonce)
{
    memset(ret, 0, 4);
    rovei_store64(ret + 4, nonce);
}

/* Nonce, mark and length of what comes in. */
static void set_aad(struct rovei_aead *c, uint64_t nonce, const uint8_t mark[ROVEI_AEAD_MARK],
                    size_t size)
{
    ROVEI_CHECK(size <= UINT16_MAX);
    rovei_store64(c->aad, nonce);
    memcpy(c->aad + 8, mark, ROVEI_AEAD_MARK);
    c->aad[11] = (uint8_t)(size >> 8);
    c->aad[12] = (uint8_t)size;
    ROVEI_CHECK(EVP_CIPHER_CTX_set_params(c->ctx, c->set_aad) == 1);
}

void rovei_aead_seal(struct rovei_aead *c, uint64_t nonce, const uint8_t mark[ROVEI_AEAD_MARK],
                     const uint8_t *in, size_t size, uint8_t *ret)
{
    set_aad(c, nonce, mark, size);
    int sealed = EVP_Cipher(c->ctx, ret, in, (unsigned)(size + ROVEI_TAG_SIZE));
    ROVEI_CHECK(sealed == (int)(size + ROVEI_TAG_SIZE));
}

rove_err rovei_aead_open(struct rovei_aead *c, uint64_t nonce, const uint8_t mark[ROVEI_AEAD_MARK],
                         const uint8_t *in, size_t size, uint8_t *ret)
{
    if (size < ROVEI_TAG_SIZE || size > UINT16_MAX)
        return ROVE_E_AUTH;
    set_aad(c, nonce, mark, size); /* of these it takes the tag off itself */
    if (EVP_Cipher(c->ctx, ret, in, (unsigned)size) >= 0)
        return ROVE_OK;
    /* What was decrypted is somebody else's choice of bytes. */
    rovei_wipe(ret, size - ROVEI_TAG_SIZE);
    return ROVE_E_AUTH;
}

void rovei_chachapoly_seal_nonce(const uint8_t key[32], const uint8_t nonce[NONCE_SIZE],
                                 rove_span aad, const uint8_t *in, size_t size, uint8_t *ret)
{
    crypto_aead_chacha20poly1305_ietf_encrypt(ret, NULL, in, size, aad.data, aad.size, NULL, nonce,
                                              key);
}

rove_err rovei_chachapoly_open_nonce(const uint8_t key[32], const uint8_t nonce[NONCE_SIZE],
                                     rove_span aad, const uint8_t *in, size_t size, uint8_t *ret)
{
    return crypto_aead_chacha20poly1305_ietf_decrypt(ret, NULL, NULL, in, size, aad.data, aad.size,
                                                     nonce, key)
               ? ROVE_E_AUTH
               : ROVE_OK;
}

void rovei_chachapoly_seal(const uint8_t key[32], uint64_t nonce, rove_span aad, const uint8_t *in,
                           size_t size, uint8_t *ret)
{
    uint8_t iv[NONCE_SIZE];
    nonce_bytes(iv, nonce);
    rovei_chachapoly_seal_nonce(key, iv, aad, in, size, ret);
}

rove_err rovei_chachapoly_open(const uint8_t key[32], uint64_t nonce, rove_span aad,
                               const uint8_t *in, size_t size, uint8_t *ret)
{
    uint8_t iv[NONCE_SIZE];
    nonce_bytes(iv, nonce);
    return rovei_chachapoly_open_nonce(key, iv, aad, in, size, ret);
}

void rovei_xchacha_seal(const uint8_t key[32], const uint8_t nonce[24], rove_span aad,
                        const uint8_t *in, size_t size, uint8_t *ret)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(ret, NULL, in, size, aad.data, aad.size, NULL, nonce,
                                               key);
}

rove_err rovei_xchacha_open(const uint8_t key[32], const uint8_t nonce[24], rove_span aad,
                            const uint8_t *in, size_t size, uint8_t *ret)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, in, size, aad.data, aad.size,
                                                      nonce, key)
               ? ROVE_E_AUTH
               : ROVE_OK;
}
