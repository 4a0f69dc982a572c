/* SPDX-License-Identifier: Apache-2.0
 *
 * The Noise engine. */
#include <base/check.h>
#include <crypto/slab.h>
#include <mesh/noise.h>
#include <string.h>

enum { END, E, S, EE, ES, SE, SS, PSK };

/*   <- s
 *   ...
 *   -> e, es, s, ss
 *   <- e, ee, se, psk */
const rovei_noise_pattern rovei_noise_ikpsk2 = {
    "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", true, {{E, ES, S, SS, END}, {E, EE, SE, PSK, END}}};

/*   <- s
 *   ...
 *   -> psk, e, es
 *   <- e, ee */
const rovei_noise_pattern rovei_noise_nkpsk0 = {
    "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s", true, {{PSK, E, ES, END}, {E, EE, END}}};

static uint8_t *chaining_key(const rovei_noise *n)
{
    return n->chain;
}

static uint8_t *cipher_key(const rovei_noise *n)
{
    return n->chain + 32;
}

/* Noise's HKDF: the first `count` (2 or 3) outputs. */
static void hkdf(const uint8_t chain[32], rove_span input, uint8_t ret[3][32], unsigned count)
{
    static const uint8_t number[3] = {1, 2, 3};
    const rove_span none = {NULL, 0};
    uint8_t extract[32];
    rovei_hmac_blake2s(extract, chain, input, none);
    rovei_hmac_blake2s(ret[0], extract, (rove_span){&number[0], 1}, none);
    for (unsigned i = 1; i < count; i++)
        rovei_hmac_blake2s(ret[i], extract, (rove_span){ret[i - 1], 32},
                           (rove_span){&number[i], 1});
    rovei_wipe(extract, sizeof extract);
}

static void mix_hash(rovei_noise *n, const void *bytes, size_t size)
{
    if (n->trial) {
        ROVEI_CHECK(size == 32 && n->trial->count < ROVEI_NOISE_TOKENS_MAX);
        memcpy(n->trial->mixed[n->trial->count++], bytes, size);
        return;
    }
    uint8_t joined[32 + ROVEI_NOISE_MAX];
    ROVEI_CHECK(size <= sizeof joined - 32);
    memcpy(joined, n->hash, 32);
    if (size)
        memcpy(joined + 32, bytes, size);
    rovei_blake2s(n->hash, joined, 32 + size);
}

static void set_key(rovei_noise *n, const uint8_t key[32])
{
    memcpy(cipher_key(n), key, 32);
    n->has_key = true;
    n->nonce = 0;
}

static void mix_key(rovei_noise *n, const uint8_t input[32])
{
    uint8_t out[3][32];
    hkdf(chaining_key(n), (rove_span){input, 32}, out, 2);
    memcpy(chaining_key(n), out[0], 32);
    set_key(n, out[1]);
    rovei_wipe(out, sizeof out);
}

static void mix_psk(rovei_noise *n)
{
    uint8_t out[3][32];
    hkdf(chaining_key(n), (rove_span){n->keys.psk, 32}, out, 3);
    memcpy(chaining_key(n), out[0], 32);
    mix_hash(n, out[1], 32);
    set_key(n, out[2]);
    rovei_wipe(out, sizeof out);
}

static void mix_ephemeral(rovei_noise *n, const uint8_t public_key[32])
{
    mix_hash(n, public_key, 32);
    if (n->pattern->psk)
        mix_key(n, public_key);
}

static rove_err mix_dh(rovei_noise *n, uint8_t token)
{
    /* The first letter names the initiator's key, the second the responder's. */
    bool own_static = n->initiator ? token == SE || token == SS : token == ES || token == SS;
    bool remote_static = n->initiator ? token == ES || token == SS : token == SE || token == SS;
    uint8_t shared[32];
    rove_err err = rovei_x25519(shared, own_static ? n->keys.static_secret : n->ephemeral,
                                remote_static ? n->remote_static : n->remote_ephemeral);
    if (err)
        return err;
    mix_key(n, shared);
    rovei_wipe(shared, sizeof shared);
    return ROVE_OK;
}

static void seal_and_hash(rovei_noise *n, rove_span plain, uint8_t *ret)
{
    size_t size = plain.size;
    if (n->has_key) {
        rovei_chachapoly_seal(cipher_key(n), n->nonce++, (rove_span){n->hash, 32}, plain.data, size,
                              ret);
        size += ROVEI_TAG_SIZE;
    } else if (size) {
        memmove(ret, plain.data, size);
    }
    mix_hash(n, ret, size);
}

static rove_err open_and_hash(rovei_noise *n, rove_span sealed, uint8_t *ret)
{
    if (n->has_key) {
        rove_err err = rovei_chachapoly_open(cipher_key(n), n->nonce, (rove_span){n->hash, 32},
                                             sealed.data, sealed.size, ret);
        if (err)
            return err;
        n->nonce++;
    } else if (sealed.size) {
        memmove(ret, sealed.data, sealed.size);
    }
    mix_hash(n, sealed.data, sealed.size);
    return ROVE_OK;
}

static void hash_name(uint8_t ret[32], const rovei_noise_pattern *pattern)
{
    size_t size = strlen(pattern->name);
    memset(ret, 0, 32);
    if (size <= 32)
        memcpy(ret, pattern->name, size);
    else
        rovei_blake2s(ret, pattern->name, size);
}

/* The hash as it is before the first message. */
static void start_hash(rovei_noise *n, rove_span prologue)
{
    hash_name(n->hash, n->pattern);
    mix_hash(n, prologue.data, prologue.size);
    mix_hash(n, n->initiator ? n->remote_static : n->keys.static_public, 32);
}

rove_err rovei_noise_init(rovei_noise *n, const rovei_env *env, const rovei_noise_pattern *pattern,
                          bool initiator, rove_span prologue, const rovei_noise_keys *keys)
{
    uint8_t *chain = rovei_slab_get(env->slab);
    uint8_t *ephemeral = rovei_slab_get(env->slab);
    if (!chain || !ephemeral) {
        rovei_slab_put(env->slab, chain);
        rovei_slab_put(env->slab, ephemeral);
        return ROVE_E_NOMEM;
    }
    *n = (rovei_noise){.env = env, .pattern = pattern, .keys = *keys, .initiator = initiator};
    n->chain = chain;
    n->ephemeral = ephemeral;
    if (initiator)
        memcpy(n->remote_static, keys->remote_static, 32);
    hash_name(chaining_key(n), pattern);
    start_hash(n, prologue);
    return ROVE_OK;
}

void rovei_noise_fini(rovei_noise *n)
{
    if (!n->pattern)
        return;
    rovei_slab_put(n->env->slab, n->chain);
    rovei_slab_put(n->env->slab, n->ephemeral);
    rovei_wipe(n, sizeof *n);
}

void rovei_noise_bind(rovei_noise *n, rove_span bytes)
{
    mix_hash(n, bytes.data, bytes.size);
}

size_t rovei_noise_overhead(const rovei_noise_pattern *pattern, unsigned index)
{
    size_t size = 0;
    bool has_key = index > 0;
    for (const uint8_t *t = pattern->tokens[index]; *t != END; t++) {
        if (*t == E)
            size += 32;
        else if (*t == S)
            size += has_key ? 32 + ROVEI_TAG_SIZE : 32;
        has_key = has_key || *t != E || pattern->psk;
    }
    return size + (has_key ? ROVEI_TAG_SIZE : 0);
}

rove_err rovei_noise_write(rovei_noise *n, rove_span payload, uint8_t *ret)
{
    ROVEI_CHECK(n->step < ROVEI_NOISE_MESSAGES && (n->step == 0) == n->initiator);
    for (const uint8_t *t = n->pattern->tokens[n->step]; *t != END; t++) {
        if (*t == E) {
            rovei_rng_fill(&n->env->rng, n->ephemeral, 32);
            rovei_x25519_public(n->ephemeral_public, n->ephemeral);
            memcpy(ret, n->ephemeral_public, 32);
            mix_ephemeral(n, n->ephemeral_public);
            ret += 32;
        } else if (*t == S) {
            bool sealed = n->has_key;
            seal_and_hash(n, (rove_span){n->keys.static_public, 32}, ret);
            ret += sealed ? 32 + ROVEI_TAG_SIZE : 32;
        } else if (*t == PSK) {
            mix_psk(n);
        } else {
            rove_err err = mix_dh(n, *t);
            if (err)
                return err;
        }
    }
    seal_and_hash(n, payload, ret);
    n->step++;
    return ROVE_OK;
}

/* Reads into `n` itself; the caller undoes it on error. */
static rove_err read_tokens(rovei_noise *n, rovei_reader *r)
{
    for (const uint8_t *t = n->pattern->tokens[n->step]; *t != END; t++) {
        rove_err err = ROVE_OK;
        if (*t == E) {
            rovei_read_bytes(r, n->remote_ephemeral, 32);
            mix_ephemeral(n, n->remote_ephemeral);
        } else if (*t == S) {
            rove_span sealed = rovei_read_span(r, n->has_key ? 32 + ROVEI_TAG_SIZE : 32);
            err = open_and_hash(n, sealed, n->remote_static);
        } else if (*t == PSK) {
            mix_psk(n);
        } else {
            err = mix_dh(n, *t);
        }
        if (err)
            return err;
    }
    return ROVE_OK;
}

/* What a message has to be before anything is done with it. */
static rove_err check_message(const rovei_noise *n, rove_span message)
{
    ROVEI_CHECK(n->step < ROVEI_NOISE_MESSAGES && (n->step == 1) == n->initiator);
    if (message.size < rovei_noise_overhead(n->pattern, n->step))
        return ROVE_E_SHORT;
    return message.size > ROVEI_NOISE_MAX ? ROVE_E_BOUND : ROVE_OK;
}

rove_err rovei_noise_read(rovei_noise *n, rove_span message, uint8_t *ret)
{
    rove_err err = check_message(n, message);
    if (err)
        return err;
    rovei_noise before = *n;
    uint8_t chain[64];
    memcpy(chain, n->chain, sizeof chain);
    rovei_reader r = rovei_reader_of(message);
    err = read_tokens(n, &r);
    if (!err)
        err = open_and_hash(n, rovei_read_span(&r, rovei_reader_left(&r)), ret);
    if (err) {
        *n = before;
        memcpy(n->chain, chain, sizeof chain);
    } else {
        n->step++;
    }
    rovei_wipe(chain, sizeof chain);
    return err;
}

rove_err rovei_noise_read_blind(rovei_noise *n, rove_span message, rovei_noise_trial *ret)
{
    rove_err err = check_message(n, message);
    if (err)
        return err;
    rovei_noise_trial t = {.count = 0};
    rovei_reader r = rovei_reader_of(message);
    n->trial = &t;
    err = read_tokens(n, &r);
    n->trial = NULL;
    if (err)
        return err;
    t.sealed = rovei_read_span(&r, rovei_reader_left(&r));
    *ret = t;
    return ROVE_OK;
}

rove_err rovei_noise_try(rovei_noise *n, const rovei_noise_trial *t, rove_span prologue,
                         uint8_t *ret)
{
    ROVEI_CHECK(n->step == 0);
    start_hash(n, prologue);
    for (unsigned i = 0; i < t->count; i++)
        mix_hash(n, t->mixed[i], sizeof t->mixed[i]);
    rove_err err = open_and_hash(n, t->sealed, ret);
    if (!err)
        n->step++;
    return err;
}

void rovei_noise_split(const rovei_noise *n, uint8_t ret_send[32], uint8_t ret_receive[32])
{
    ROVEI_CHECK(rovei_noise_is_done(n));
    uint8_t out[3][32];
    hkdf(chaining_key(n), (rove_span){NULL, 0}, out, 2);
    memcpy(ret_send, out[n->initiator ? 0 : 1], 32);
    memcpy(ret_receive, out[n->initiator ? 1 : 0], 32);
    rovei_wipe(out, sizeof out);
}
