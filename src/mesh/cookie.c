/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies and their proofs. */
#include <base/check.h>
#include <mesh/cookie.h>
#include <string.h>

static const char label[] = "rove cookie key";

void rovei_cookie_key(uint8_t ret[32], const uint8_t psk[32], const rove_entity *giver)
{
    uint8_t input[sizeof label - 1 + 64];
    memcpy(input, label, sizeof label - 1);
    memcpy(input + sizeof label - 1, psk, 32);
    memcpy(input + sizeof label - 1 + 32, giver->bytes, 32);
    rovei_blake2s(ret, input, sizeof input);
    rovei_wipe(input, sizeof input);
}

void rovei_cookie_of(uint8_t ret[ROVEI_COOKIE_BYTES], const uint8_t secret[32],
                     const rovei_addr *addr)
{
    uint8_t bytes[ROVEI_ADDR_SIZE], digest[32];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_addr_write(&w, addr);
    rovei_blake2s_mac(digest, secret, 32, bytes, sizeof bytes);
    memcpy(ret, digest, ROVEI_COOKIE_BYTES);
}

void rovei_cookie_write(uint8_t ret[ROVEI_COOKIE_SIZE], uint32_t receiver, const uint8_t key[32],
                        const uint8_t nonce[ROVEI_COOKIE_NONCE], const uint8_t mac1[ROVEI_MAC_SIZE],
                        const uint8_t cookie[ROVEI_COOKIE_BYTES])
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_COOKIE_SIZE);
    rovei_packet_write_cookie(&w, receiver);
    rovei_write_bytes(&w, nonce, ROVEI_COOKIE_NONCE);
    ROVEI_CHECK(rovei_writer_room(&w) == ROVEI_COOKIE_BYTES + ROVEI_TAG_SIZE);
    rovei_xchacha_seal(key, nonce, (rove_span){mac1, ROVEI_MAC_SIZE}, cookie, ROVEI_COOKIE_BYTES,
                       w.at);
}

rove_err rovei_cookie_read(const rovei_packet *p, const uint8_t key[32],
                           const uint8_t mac1[ROVEI_MAC_SIZE], uint8_t ret[ROVEI_COOKIE_BYTES])
{
    uint8_t cookie[ROVEI_COOKIE_BYTES];
    ROVEI_CHECK(p->sealed.size == sizeof cookie + ROVEI_TAG_SIZE);
    rove_err err = rovei_xchacha_open(key, p->nonce, (rove_span){mac1, ROVEI_MAC_SIZE},
                                      p->sealed.data, p->sealed.size, cookie);
    if (err)
        return err;
    memcpy(ret, cookie, sizeof cookie);
    return ROVE_OK;
}

static void proof_of(uint8_t ret[ROVEI_MAC_SIZE], const uint8_t cookie[ROVEI_COOKIE_BYTES],
                     rove_span covered)
{
    uint8_t digest[32];
    rovei_blake2s_mac(digest, cookie, ROVEI_COOKIE_BYTES, covered.data, covered.size);
    memcpy(ret, digest, ROVEI_MAC_SIZE);
}

void rovei_cookie_prove(uint8_t message[ROVEI_INITIATION_SIZE],
                        const uint8_t cookie[ROVEI_COOKIE_BYTES])
{
    const size_t covered = ROVEI_INITIATION_SIZE - ROVEI_MAC_SIZE;
    proof_of(message + covered, cookie, (rove_span){message, covered});
}

bool rovei_cookie_is_proved(const rovei_packet *p, const uint8_t cookie[ROVEI_COOKIE_BYTES])
{
    uint8_t proof[ROVEI_MAC_SIZE];
    proof_of(proof, cookie, (rove_span){p->maced.data, p->maced.size + ROVEI_MAC_SIZE});
    return rovei_equal(proof, p->mac2, sizeof proof);
}
