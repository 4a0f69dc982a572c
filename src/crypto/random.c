/* SPDX-License-Identifier: Apache-2.0
 *
 * Start of the libraries, randomness, wiping and comparing. */
#include <crypto/crypto.h>
#include <sodium.h>

rove_err rovei_crypto_init(void)
{
    return sodium_init() < 0 ? ROVE_E_INTERNAL : ROVE_OK;
}

/* libsodium ends the process itself when the system gives no randomness. */
static void system_fill(void *user, void *ret, size_t size)
{
    (void)user;
    randombytes_buf(ret, size);
}

const rovei_rng rovei_rng_system = {system_fill, NULL};

void rovei_wipe(void *p, size_t size)
{
    if (size)
        sodium_memzero(p, size);
}

bool rovei_equal(const void *a, const void *b, size_t size)
{
    return size == 0 || sodium_memcmp(a, b, size) == 0;
}
