/* SPDX-License-Identifier: Apache-2.0
 *
 * One Noise engine (25519, ChaChaPoly, BLAKE2s; revision 34) for two-message patterns. A pattern is
 * data: its name and the tokens of its messages. What is secret in a running handshake lives in
 * slots of the slab. */
#ifndef ROVEI_MESH_NOISE_H
#define ROVEI_MESH_NOISE_H

#include <base/cursor.h>
#include <base/env.h>
#include <crypto/crypto.h>

#define ROVEI_NOISE_MESSAGES   2
#define ROVEI_NOISE_TOKENS_MAX 6
#define ROVEI_NOISE_MAX        512 /* largest message, prologue or payload; longer is E_BOUND */

typedef struct rovei_noise_pattern {
    const char *name;
    bool psk; /* has a psk token, so ephemeral keys are mixed into the key as well */
    uint8_t tokens[ROVEI_NOISE_MESSAGES][ROVEI_NOISE_TOKENS_MAX]; /* ended by 0 */
} rovei_noise_pattern;

/* Both know the responder's static key beforehand ("<- s"). */
extern const rovei_noise_pattern rovei_noise_ikpsk2; /* class rove */
extern const rovei_noise_pattern rovei_noise_nkpsk0; /* class net */

/* Borrowed as long as the handshake runs. What a pattern does not use may be NULL. */
typedef struct rovei_noise_keys {
    const uint8_t *static_secret;
    const uint8_t *static_public;
    const uint8_t *remote_static; /* the initiator's knowledge of the responder */
    const uint8_t *psk;
} rovei_noise_keys;

struct rovei_noise_trial;

typedef struct rovei_noise {
    const rovei_env *env;
    const rovei_noise_pattern *pattern; /* NULL when not running */
    rovei_noise_keys keys;
    bool initiator, has_key;
    unsigned step; /* messages done */
    uint64_t nonce;
    uint8_t hash[32];
    uint8_t ephemeral_public[32];
    uint8_t remote_ephemeral[32];
    uint8_t remote_static[32];       /* as proved, once known */
    uint8_t *chain;                  /* slot: chaining key, cipher key */
    uint8_t *ephemeral;              /* slot: ephemeral secret */
    struct rovei_noise_trial *trial; /* collects what is mixed instead of the hash; else NULL */
} rovei_noise;

/* E_NOMEM. */
ROVE_MUST_USE rove_err rovei_noise_init(rovei_noise *n, const rovei_env *env,
                                        const rovei_noise_pattern *pattern, bool initiator,
                                        rove_span prologue, const rovei_noise_keys *keys);
/* Wipes; harmless on one that is all zero or was ended before. */
void rovei_noise_fini(rovei_noise *n);
/* Mixes bytes that both sides see into the hash, before the message to which they belong. */
void rovei_noise_bind(rovei_noise *n, rove_span bytes);
/* What message `index` is longer than its payload. */
size_t rovei_noise_overhead(const rovei_noise_pattern *pattern, unsigned index);
/* Writes the next message to `ret`, which has room for payload and overhead. E_WEAK_SECRET: the
 * other side's key is of small order; the handshake is then of no use. */
ROVE_MUST_USE rove_err rovei_noise_write(rovei_noise *n, rove_span payload, uint8_t *ret);
/* Reads the next message; `ret` gets size - overhead bytes. E_SHORT, E_BOUND, E_AUTH,
 * E_WEAK_SECRET: the handshake stands as it was, so a forged message does not end it. */
ROVE_MUST_USE rove_err rovei_noise_read(rovei_noise *n, rove_span message, uint8_t *ret);

/* A first message whose sender can be any of many, who differ in the prologue alone: what it mixes
 * into the hash, and its payload, which stays in the message. */
typedef struct rovei_noise_trial {
    uint8_t mixed[ROVEI_NOISE_TOKENS_MAX][32];
    unsigned count;
    rove_span sealed;
} rovei_noise_trial;

/* Does all of the work on message 1 that no prologue has a part in, curves above all; whatever
 * prologue `n` was given does not count. For patterns without a static key in message 1. E_SHORT,
 * E_BOUND, E_WEAK_SECRET. */
ROVE_MUST_USE rove_err rovei_noise_read_blind(rovei_noise *n, rove_span message,
                                              rovei_noise_trial *ret);
/* Reads the payload as from the sender with this prologue. E_AUTH: it is another; the next may be
 * tried. */
ROVE_MUST_USE rove_err rovei_noise_try(rovei_noise *n, const rovei_noise_trial *t,
                                       rove_span prologue, uint8_t *ret);

static inline bool rovei_noise_is_done(const rovei_noise *n)
{
    return n->step == ROVEI_NOISE_MESSAGES;
}
/* The keys of both directions, once both messages are done. */
void rovei_noise_split(const rovei_noise *n, uint8_t ret_send[32], uint8_t ret_receive[32]);

#endif
