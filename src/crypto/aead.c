/* SPDX-License-Identifier: Apache-2.0
 *
 * The AEADs. Packets use libcrypto with a context that keeps its key; the handshake and the
 * identity envelope use libsodium's one-shot forms, which allocate nothing. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#define NONCE_SIZE 12

struct rovei_aead {
    const rove_alloc *alloc;
    EVP_CIPHER_CTX *ctx;
};

struct rovei_aead *rovei_aead_new(const rove_alloc *a, const uint8_t key[32])
{
    struct rovei_aead *c = ROVEI_NEW(a, struct rovei_aead);
    if (!c)
        return NULL;
    c->alloc = a;
    c->ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    bool ok = c->ctx && cipher && EVP_CipherInit_ex2(c->ctx, cipher, key, NULL, 1, NULL) == 1;
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

/* Sets direction and nonce and passes the associated data and the text through. */
static void run(struct rovei_aead *c, int encrypt, uint64_t nonce, rove_span aad, const uint8_t *in,
                size_t size, uint8_t *ret)
{
    ROVEI_CHECK(size <= INT_MAX && aad.size <= INT_MAX);
    uint8_t iv[NONCE_SIZE];
    nonce_bytes(iv, nonce);
    int done;
    ROVEI_CHECK(EVP_CipherInit_ex2(c->ctx, NULL, NULL, iv, encrypt, NULL) == 1);
    if (aad.size)
        ROVEI_CHECK(EVP_CipherUpdate(c->ctx, NULL, &done, aad.data, (int)aad.size) == 1);
    if (size)
        ROVEI_CHECK(EVP_CipherUpdate(c->ctx, ret, &done, in, (int)size) == 1);
}

/* The tag as a parameter: the ctrl call for it costs as much as a small packet. */
static void tag_param(OSSL_PARAM ret[2], uint8_t *tag)
{
    ret[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, ROVEI_TAG_SIZE);
    ret[1] = OSSL_PARAM_construct_end();
}

void rovei_aead_seal(struct rovei_aead *c, uint64_t nonce, rove_span aad, const uint8_t *in,
                     size_t size, uint8_t *ret)
{
    OSSL_PARAM params[2];
    int done;
    run(c, 1, nonce, aad, in, size, ret);
    ROVEI_CHECK(EVP_CipherFinal_ex(c->ctx, ret + size, &done) == 1);
    tag_param(params, ret + size);
    ROVEI_CHECK(EVP_CIPHER_CTX_get_params(c->ctx, params) == 1);
}

rove_err rovei_aead_open(struct rovei_aead *c, uint64_t nonce, rove_span aad, const uint8_t *in,
                         size_t size, uint8_t *ret)
{
    if (size < ROVEI_TAG_SIZE || size > INT_MAX)
        return ROVE_E_AUTH;
    size -= ROVEI_TAG_SIZE;
    OSSL_PARAM params[2];
    uint8_t tag[ROVEI_TAG_SIZE], none[1];
    int done;
    memcpy(tag, in + size, sizeof tag);
    run(c, 0, nonce, aad, in, size, ret);
    tag_param(params, tag);
    ROVEI_CHECK(EVP_CIPHER_CTX_set_params(c->ctx, params) == 1);
    if (EVP_CipherFinal_ex(c->ctx, none, &done) == 1)
        return ROVE_OK;
    /* What was decrypted is somebody else's choice of bytes. */
    rovei_wipe(ret, size);
    return ROVE_E_AUTH;
}

void rovei_chachapoly_seal(const uint8_t key[32], uint64_t nonce, rove_span aad, const uint8_t *in,
                           size_t size, uint8_t *ret)
{
    uint8_t iv[NONCE_SIZE];
    nonce_bytes(iv, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(ret, NULL, in, size, aad.data, aad.size, NULL, iv,
                                              key);
}

rove_err rovei_chachapoly_open(const uint8_t key[32], uint64_t nonce, rove_span aad,
                               const uint8_t *in, size_t size, uint8_t *ret)
{
    uint8_t iv[NONCE_SIZE];
    nonce_bytes(iv, nonce);
    return crypto_aead_chacha20poly1305_ietf_decrypt(ret, NULL, NULL, in, size, aad.data, aad.size,
                                                     iv, key)
               ? ROVE_E_AUTH
               : ROVE_OK;
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
