/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity envelope: 209 bytes, version 1.
 *
 *   offset  size
 *        0     1  version
 *        1    32  target: the recipient's X25519 public key
 *       33    32  ephemeral X25519 public key
 *       65    48  box: the seed under XChaCha20-Poly1305
 *      113    32  signer: the daemon's own entity
 *      145    64  signature over target and link
 *
 * The box is bound to the link as associated data, and to both public keys through its nonce; the
 * signature says that the daemon itself meant this target at this link. */
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <identity/envelope.h>
#include <string.h>

#define ENVELOPE_VERSION 1
#define LINK_SIZE        32

void rovei_envelope_encode(const rovei_envelope *e, uint8_t ret[ROVEI_ENVELOPE_SIZE])
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_ENVELOPE_SIZE);
    rovei_write_u8(&w, ENVELOPE_VERSION);
    rovei_write_bytes(&w, e->target, sizeof e->target);
    rovei_write_bytes(&w, e->ephemeral, sizeof e->ephemeral);
    rovei_write_bytes(&w, e->box, sizeof e->box);
    rovei_write_entity(&w, &e->signer);
    rovei_write_bytes(&w, e->signature, sizeof e->signature);
}

rove_err rovei_envelope_decode(rovei_envelope *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_envelope e;
    uint8_t version = rovei_read_u8(&r);
    if (rovei_reader_ok(&r) && version != ENVELOPE_VERSION)
        return ROVE_E_VERSION;
    rovei_read_bytes(&r, e.target, sizeof e.target);
    rovei_read_bytes(&r, e.ephemeral, sizeof e.ephemeral);
    rovei_read_bytes(&r, e.box, sizeof e.box);
    e.signer = rovei_read_entity(&r);
    rovei_read_bytes(&r, e.signature, sizeof e.signature);
    rove_err err = rovei_reader_end(&r);
    if (err == ROVE_OK)
        *ret = e;
    return err;
}

/* What seals one envelope. */
struct seal_keys {
    uint8_t key[32];
    uint8_t nonce[24];
};

/* `secret` and `peer` are the two sides of the key exchange; E_WEAK_SECRET. */
static rove_err derive_keys(struct seal_keys *ret, const uint8_t secret[32], const uint8_t peer[32],
                            const uint8_t ephemeral[32], const uint8_t target[32])
{
    static const char key_label[] = "net-identity-envelope";
    static const char nonce_label[] = "net-identity-nonce";
    uint8_t shared[32], publics[64], hash[ROVEI_HASH_SIZE];
    rove_err err = rovei_x25519(shared, secret, peer);
    if (err)
        return err;
    rovei_blake2s_mac(ret->key, key_label, sizeof key_label - 1, shared, sizeof shared);
    rovei_wipe(shared, sizeof shared);
    memcpy(publics, ephemeral, 32);
    memcpy(publics + 32, target, 32);
    rovei_blake2s_mac(hash, nonce_label, sizeof nonce_label - 1, publics, sizeof publics);
    memcpy(ret->nonce, hash, sizeof ret->nonce);
    return ROVE_OK;
}

static void link_bytes(uint8_t ret[LINK_SIZE], const rove_link *link)
{
    rovei_writer w = rovei_writer_of(ret, LINK_SIZE);
    rovei_write_link(&w, link);
}

static void transcript(uint8_t ret[32 + LINK_SIZE], const uint8_t target[32], const rove_link *link)
{
    memcpy(ret, target, 32);
    link_bytes(ret + 32, link);
}

static rove_err seal(rovei_envelope *ret, const rovei_env *env, const rovei_keypair *daemon,
                     const uint8_t target[32], const rove_link *link, const uint8_t seed[32])
{
    rovei_envelope e = {.signer = *rovei_keypair_entity(daemon)};
    struct seal_keys keys;
    uint8_t secret[32], aad[LINK_SIZE], said[32 + LINK_SIZE];
    memcpy(e.target, target, sizeof e.target);
    rovei_rng_fill(&env->rng, secret, sizeof secret);
    rovei_x25519_public(e.ephemeral, secret);
    rove_err err = derive_keys(&keys, secret, target, e.ephemeral, target);
    rovei_wipe(secret, sizeof secret);
    if (err)
        return err;
    link_bytes(aad, link);
    rovei_xchacha_seal(keys.key, keys.nonce, (rove_span){aad, sizeof aad}, seed, 32, e.box);
    rovei_wipe(&keys, sizeof keys);
    transcript(said, target, link);
    err = rovei_keypair_sign(daemon, said, sizeof said, e.signature);
    if (err == ROVE_OK)
        *ret = e;
    return err;
}

rove_err rovei_envelope_seal(rovei_envelope *ret, const rovei_env *env, const rovei_keypair *daemon,
                             const uint8_t target[32], const rove_link *link)
{
    uint8_t seed[32];
    rove_err err = rovei_keypair_seed(daemon, seed);
    if (err)
        return err;
    err = seal(ret, env, daemon, target, link, seed);
    rovei_wipe(seed, sizeof seed);
    return err;
}

/* The order is visible to the other side and fixed: the signature before anything secret. */
static rove_err check_attestation(const rovei_envelope *e, const rove_link *link,
                                  const rove_entity *expected)
{
    uint8_t said[32 + LINK_SIZE];
    if (expected && !rovei_entity_equal(expected, &e->signer))
        return ROVE_E_ENVELOPE_SIGNER;
    transcript(said, e->target, link);
    switch ((int)rovei_ed25519_verify(&e->signer, e->signature, said, sizeof said)) {
    case ROVE_OK:
        return ROVE_OK;
    case ROVE_E_PUBLIC_KEY:
        return ROVE_E_ENVELOPE_SIGNER;
    default:
        return ROVE_E_ENVELOPE_ATTEST;
    }
}

static rove_err unbox(uint8_t ret_seed[32], const rovei_envelope *e, const uint8_t secret[32],
                      const rove_link *link)
{
    uint8_t own[32], aad[LINK_SIZE];
    struct seal_keys keys;
    rovei_x25519_public(own, secret);
    if (!rovei_equal(own, e->target, sizeof own))
        return ROVE_E_ENVELOPE_OPEN;
    if (derive_keys(&keys, secret, e->ephemeral, e->ephemeral, e->target))
        return ROVE_E_ENVELOPE_OPEN;
    link_bytes(aad, link);
    rove_err err = rovei_xchacha_open(keys.key, keys.nonce, (rove_span){aad, sizeof aad}, e->box,
                                      sizeof e->box, ret_seed);
    rovei_wipe(&keys, sizeof keys);
    return err ? ROVE_E_ENVELOPE_OPEN : ROVE_OK;
}

rove_err rovei_envelope_open(rovei_keypair **ret, const rovei_env *env, const rovei_envelope *e,
                             const uint8_t secret[32], const rove_link *link,
                             const rove_entity *expected)
{
    rovei_keypair *k = NULL;
    uint8_t seed[32];
    rove_err err = check_attestation(e, link, expected);
    if (err == ROVE_OK)
        err = unbox(seed, e, secret, link);
    if (err == ROVE_OK)
        err = rovei_keypair_from_seed(&k, env, seed);
    rovei_wipe(seed, sizeof seed);
    if (err)
        return err;
    if (!rovei_entity_equal(rovei_keypair_entity(k), &e->signer)) {
        rovei_keypair_unref(k);
        return ROVE_E_ENVELOPE_ATTEST;
    }
    *ret = k;
    return ROVE_OK;
}
