/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of class net share. */
#include "class_net.h"

#include <stdio.h>

json_object *vectors(const char *name)
{
    char path[512];
    assert_true(snprintf(path, sizeof path, "%s/tests/vectors/%s", ROVE_SOURCE_ROOT, name) <
                (int)sizeof path);
    json_object *root = json_object_from_file(path);
    assert_non_null(root);
    return root;
}

json_object *field(json_object *o, const char *name)
{
    json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v;
}

const char *text(json_object *o, const char *name)
{
    return json_object_get_string(field(o, name));
}

uint64_t number(json_object *o, const char *name)
{
    char *end;
    const char *digits = text(o, name);
    assert_non_null(digits);
    uint64_t v = strtoull(digits, &end, strncmp(digits, "0x", 2) == 0 ? 16 : 10);
    assert_true(*digits && !*end);
    return v;
}

json_object *item(json_object *o, const char *list, size_t i)
{
    json_object *v = json_object_array_get_idx(field(o, list), i);
    assert_non_null(v);
    return v;
}

size_t items(json_object *o, const char *list)
{
    return json_object_array_length(field(o, list));
}

bool key_of(json_object *o, const char *name, uint8_t ret[32])
{
    const char *hex = text(o, name);
    return hex && hex_to(ret, 32, hex) == 32;
}

static void give_next(void *user, void *ret, size_t size)
{
    fixed_env *f = user;
    assert_int_equal(size, sizeof f->next);
    memcpy(ret, f->next, size);
}

void fixed_env_init(fixed_env *f)
{
    test_env_init(&f->base, 1);
    f->env = f->base.env;
    f->env.rng = (rovei_rng){give_next, f};
}

void fixed_env_fini(fixed_env *f)
{
    test_env_fini(&f->base);
}

void party_init(party *p, const rovei_env *env, uint64_t node_id, const uint8_t psk[32],
                const uint8_t *secret)
{
    memcpy(p->psk, psk, 32);
    if (secret)
        memcpy(p->secret, secret, 32);
    else
        rovei_rng_fill(&env->rng, p->secret, 32);
    rovei_x25519_public(p->public_key, p->secret);
    p->self = (rovei_net_self){env, node_id, p->psk, p->secret, p->public_key};
}

/* h = HASH(h, bytes) */
static void mix(uint8_t ret[32], const uint8_t h[32], const void *bytes, size_t size)
{
    uint8_t joined[256];
    assert_true(size <= sizeof joined - 32);
    memcpy(joined, h, 32);
    memcpy(joined + 32, bytes, size);
    rovei_blake2s(ret, joined, 32 + size);
}

/* The second output of Noise's HKDF, which is what a psk adds to the hash. */
static void psk_output(uint8_t ret[32], const uint8_t chain[32], const uint8_t psk[32])
{
    const rove_span none = {NULL, 0};
    uint8_t extract[32], first[32];
    rovei_hmac_blake2s(extract, chain, (rove_span){psk, 32}, none);
    rovei_hmac_blake2s(first, extract, (rove_span){"\1", 1}, none);
    rovei_hmac_blake2s(ret, extract, (rove_span){first, 32}, (rove_span){"\2", 1});
}

void transcript_of(transcript *ret, const uint8_t psk[32], rove_span prologue,
                   const uint8_t responder[32], rove_span message1, rove_span message2)
{
    static const char name[] = "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s";
    const uint8_t *m1 = message1.data, *m2 = message2.data;
    uint8_t h[32], added[32];
    rovei_blake2s(ret->start, name, sizeof name - 1);
    mix(h, ret->start, prologue.data, prologue.size);
    mix(ret->keyed, h, responder, 32);
    psk_output(added, ret->start, psk);
    mix(h, ret->keyed, added, 32);
    mix(ret->before1, h, m1, 32);
    mix(ret->after1, ret->before1, m1 + 32, message1.size - 32);
    mix(ret->before2, ret->after1, m2, 32);
    mix(ret->end, ret->before2, m2 + 32, message2.size - 32);
}

void prologue_of_ids(uint8_t ret[32], uint64_t initiator, uint64_t responder)
{
    memcpy(ret, "net-handshake-v1", 16);
    rovei_store64(ret + 16, initiator & UINT32_MAX);
    rovei_store64(ret + 24, responder & UINT32_MAX);
}
