/* SPDX-License-Identifier: Apache-2.0
 *
 * Thin wrappers over libcrypto and libsodium: fixed sizes, our errors, nothing kept. The library
 * behind each primitive, and why it, is named in docs/architecture.md. */
#ifndef ROVEI_CRYPTO_CRYPTO_H
#define ROVEI_CRYPTO_CRYPTO_H

#include <base/rng.h>

#define ROVEI_KEY_SIZE  32
#define ROVEI_TAG_SIZE  16
#define ROVEI_HASH_SIZE 32
#define ROVEI_SIG_SIZE  64

/* Once per process before anything else here; later calls do nothing. Threads: any. */
ROVE_MUST_USE rove_err rovei_crypto_init(void);
/* The system's generator. */
extern const rovei_rng rovei_rng_system;
void rovei_wipe(void *p, size_t size);
/* Equal in constant time. */
bool rovei_equal(const void *a, const void *b, size_t size);

/* ---- hashes ---- */
uint64_t rovei_xxh3(const void *data, size_t size);
/* XXH3 of two pieces as if they were one. */
uint64_t rovei_xxh3_2(const void *a, size_t a_size, const void *b, size_t b_size);
void rovei_blake2s(uint8_t ret[32], const void *data, size_t size);
/* RFC 7693 keyed BLAKE2s, 32-byte digest; key of 1..32 bytes. */
void rovei_blake2s_mac(uint8_t ret[32], const void *key, size_t key_size, const void *data,
                       size_t size);
/* HMAC-BLAKE2s over up to two pieces, as Noise's HKDF needs it. */
void rovei_hmac_blake2s(uint8_t ret[32], const uint8_t key[32], rove_span a, rove_span b);

/* A running SHA-256, for digests over states of any size. */
struct rovei_digest;
struct rovei_digest *rovei_digest_new(const rove_alloc *a); /* NULL: out of memory */
void rovei_digest_add(struct rovei_digest *d, const void *data, size_t size);
/* Gives the digest of what was added; the object can then only be freed. */
void rovei_digest_end(struct rovei_digest *d, uint8_t ret[32]);
void rovei_digest_free(struct rovei_digest *d); /* NULL is fine */

/* ---- ChaCha20-Poly1305 with a kept key, for packets, one direction each. The nonce is 4 zero
 * bytes and a u64 LE; the associated data are that u64 LE, a mark of 3 bytes, and the length of the
 * text as u16, the more significant byte first ---- */
#define ROVEI_AEAD_MARK 3
struct rovei_aead;
/* NULL: no memory. */
struct rovei_aead *rovei_aead_new(const rove_alloc *a, const uint8_t key[32], bool seals);
void rovei_aead_free(struct rovei_aead *c); /* wipes; NULL is fine */
/* `ret` gets size + 16 bytes; may be `in` itself. At most 65,535 bytes (checked). */
void rovei_aead_seal(struct rovei_aead *c, uint64_t nonce, const uint8_t mark[ROVEI_AEAD_MARK],
                     const uint8_t *in, size_t size, uint8_t *ret);
/* `in` has size bytes with the tag last; `ret` gets size - 16 and may be `in` itself. E_AUTH: the
 * first size - 16 bytes of `ret` are then zero. This holds for all opening functions. */
ROVE_MUST_USE rove_err rovei_aead_open(struct rovei_aead *c, uint64_t nonce,
                                       const uint8_t mark[ROVEI_AEAD_MARK], const uint8_t *in,
                                       size_t size, uint8_t *ret);
/* One-shot forms, for the handshake. */
void rovei_chachapoly_seal(const uint8_t key[32], uint64_t nonce, rove_span aad, const uint8_t *in,
                           size_t size, uint8_t *ret);
ROVE_MUST_USE rove_err rovei_chachapoly_open(const uint8_t key[32], uint64_t nonce, rove_span aad,
                                             const uint8_t *in, size_t size, uint8_t *ret);
/* The same with all 12 bytes of the nonce given; they allocate nothing, so they do for packets of
 * class net as well, whose nonces and associated data the form for packets does not have. */
void rovei_chachapoly_seal_nonce(const uint8_t key[32], const uint8_t nonce[12], rove_span aad,
                                 const uint8_t *in, size_t size, uint8_t *ret);
ROVE_MUST_USE rove_err rovei_chachapoly_open_nonce(const uint8_t key[32], const uint8_t nonce[12],
                                                   rove_span aad, const uint8_t *in, size_t size,
                                                   uint8_t *ret);
/* XChaCha20-Poly1305 with a 24-byte nonce, for the identity envelope. */
void rovei_xchacha_seal(const uint8_t key[32], const uint8_t nonce[24], rove_span aad,
                        const uint8_t *in, size_t size, uint8_t *ret);
ROVE_MUST_USE rove_err rovei_xchacha_open(const uint8_t key[32], const uint8_t nonce[24],
                                          rove_span aad, const uint8_t *in, size_t size,
                                          uint8_t *ret);

/* ---- curves ---- */
void rovei_x25519_public(uint8_t ret[32], const uint8_t secret[32]);
/* E_WEAK_SECRET when the shared secret is all zero. */
ROVE_MUST_USE rove_err rovei_x25519(uint8_t ret[32], const uint8_t secret[32],
                                    const uint8_t peer[32]);
/* ed25519: `secret` is libsodium's 64 bytes, seed and public key. */
void rovei_ed25519_from_seed(const uint8_t seed[32], uint8_t ret_secret[64], rove_entity *ret);
void rovei_ed25519_sign(uint8_t ret[64], const uint8_t secret[64], const void *msg, size_t size);
/* Strict: E_PUBLIC_KEY when the key is not a point, E_SIGNATURE for every other failure. */
ROVE_MUST_USE rove_err rovei_ed25519_verify(const rove_entity *key, const uint8_t sig[64],
                                            const void *msg, size_t size);
/* The X25519 images under the standard map. E_NO_IMAGE for points of mixed or small order,
 * E_PUBLIC_KEY for what is no point. */
ROVE_MUST_USE rove_err rovei_ed25519_image(uint8_t ret_x25519[32], const rove_entity *key);
void rovei_ed25519_image_secret(uint8_t ret_x25519[32], const uint8_t secret[64]);

#endif
