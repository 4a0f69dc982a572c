/* SPDX-License-Identifier: Apache-2.0
 *
 * A running SHA-256. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/crypto.h>
#include <openssl/evp.h>

struct rovei_digest {
    const rove_alloc *alloc;
    EVP_MD_CTX *ctx;
};

struct rovei_digest *rovei_digest_new(const rove_alloc *a)
{
    struct rovei_digest *d = ROVEI_NEW(a, struct rovei_digest);
    if (!d)
        return NULL;
    d->alloc = a;
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1) {
        rovei_digest_free(d);
        return NULL;
    }
    return d;
}

void rovei_digest_add(struct rovei_digest *d, const void *data, size_t size)
{
    if (size)
        ROVEI_CHECK(EVP_DigestUpdate(d->ctx, data, size) == 1);
}

void rovei_digest_end(struct rovei_digest *d, uint8_t ret[32])
{
    ROVEI_CHECK(EVP_DigestFinal_ex(d->ctx, ret, NULL) == 1);
}

void rovei_digest_free(struct rovei_digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    ROVEI_DELETE(d->alloc, d);
}
