/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of tokens share: three known identities and tokens signed as a test likes them. */
#ifndef ROVE_TESTS_TOKEN_KIT_H
#define ROVE_TESTS_TOKEN_KIT_H

#include "support.h"

#include <identity/token.h>

#define SENSORS_TEMP  UINT64_C(0xe477434ef307172d)
#define SENSORS_LIDAR UINT64_C(0xec20e8ac7fa5e5d8)
#define EPOCH         UINT64_C(1700000000)

#define PUB   ROVE_SCOPE_PUBLISH
#define SUB   ROVE_SCOPE_SUBSCRIBE
#define ADMIN ROVE_SCOPE_ADMIN
#define DELEG ROVE_SCOPE_DELEGATE
#define WILD  ROVE_SCOPE_WILDCARD

/* Seeds of 32 x 1, 2, 3, ... */
#define TOKEN_KEYS 12
typedef struct token_kit {
    test_env t;
    rovei_keypair *key[TOKEN_KEYS + 1]; /* from 1 */
} token_kit;

static inline void token_kit_init(token_kit *k)
{
    test_env_init(&k->t, 1);
    for (size_t i = 1; i <= TOKEN_KEYS; i++) {
        uint8_t seed[32];
        memset(seed, (int)i, sizeof seed);
        assert_ok(rovei_keypair_from_seed(&k->key[i], &k->t.env, seed));
    }
}

static inline void token_kit_fini(token_kit *k)
{
    for (size_t i = 1; i <= TOKEN_KEYS; i++)
        rovei_keypair_unref(k->key[i]);
    test_env_fini(&k->t);
}

static inline const rove_entity *entity_at(const token_kit *k, size_t i)
{
    return rovei_keypair_entity(k->key[i]);
}

/* A token for an hour from EPOCH on. */
static inline rove_token token_of(const token_kit *k, size_t issuer, size_t subject, uint32_t scope,
                                  uint64_t channel, uint8_t depth)
{
    rovei_token_grant g = {*entity_at(k, subject), channel, EPOCH, 3600, scope, 0, depth};
    rove_token t;
    assert_ok(rovei_token_issue(&t, &k->t.env.rng, k->key[issuer], &g));
    return t;
}

/* Signs again what a test has changed. */
static inline void resign(const token_kit *k, size_t issuer, rove_token *t)
{
    assert_ok(rovei_token_sign(t, k->key[issuer]));
}

static inline void assert_token_equal(const rove_token *a, const rove_token *b)
{
    uint8_t x[ROVE_TOKEN_SIZE], y[ROVE_TOKEN_SIZE];
    rovei_token_encode(a, x);
    rovei_token_encode(b, y);
    assert_memory_equal(x, y, sizeof x);
}

#endif
