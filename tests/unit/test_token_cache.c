/* SPDX-License-Identifier: Apache-2.0
 *
 * The credentials that a node holds: what is kept, what takes whose place, what is found. */
#include "token_kit.h"

#include <identity/token_cache.h>
#include <identity/token_floors.h>

#define NOW (EPOCH + 200)

typedef struct cache_kit {
    token_kit k;
    rovei_token_cache c;
    rovei_token_floors f;
} cache_kit;

static void cache_kit_init(cache_kit *s, size_t most, uint64_t skew)
{
    token_kit_init(&s->k);
    rovei_token_cache_init(&s->c, &s->k.t.env, most, skew);
    rovei_token_floors_init(&s->f, &s->k.t.env, 16);
}

static void cache_kit_fini(cache_kit *s)
{
    rovei_token_cache_fini(&s->c);
    rovei_token_floors_fini(&s->f);
    token_kit_fini(&s->k);
}

static rove_err insert(cache_kit *s, rove_token t)
{
    rove_token_chain c = {.count = 1, .links = {t}};
    return rovei_token_cache_insert(&s->c, &c);
}

static rove_err insert_new(cache_kit *s, size_t issuer, size_t subject, uint32_t scope,
                           uint64_t channel)
{
    return insert(s, token_of(&s->k, issuer, subject, scope, channel, 0));
}

static rove_err check_at(const cache_kit *s, size_t subject, uint32_t action, uint64_t channel,
                         uint64_t now)
{
    return rovei_token_cache_find(&s->c, entity_at(&s->k, subject), action, channel, now, &s->f,
                                  NULL);
}

static rove_err check(const cache_kit *s, size_t subject, uint32_t action, uint64_t channel)
{
    return check_at(s, subject, action, channel, NOW);
}

static void test_found(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, 0);
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    SWEEP_NOMEM(&s.k.t.alloc, insert_new(&s, 1, 2, SUB, SENSORS_TEMP));
    assert_int_equal(s.c.count, 1);
    assert_ok(check(&s, 2, SUB, SENSORS_TEMP));
    assert_int_equal(check(&s, 2, SUB, SENSORS_LIDAR), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(check(&s, 2, PUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(check(&s, 2, 0, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(check(&s, 3, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP ^ UINT64_C(1) << 40),
                     ROVE_E_TOKEN_NOT_AUTHORIZED);
    /* a second scope, a second channel, a second subject */
    SWEEP_NOMEM(&s.k.t.alloc, insert_new(&s, 1, 2, PUB, SENSORS_TEMP));
    assert_int_equal(s.c.count, 2);
    assert_ok(check(&s, 2, SUB, SENSORS_TEMP));
    assert_ok(check(&s, 2, PUB, SENSORS_TEMP));
    assert_int_equal(check(&s, 2, PUB | SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(insert_new(&s, 1, 2, SUB, SENSORS_LIDAR));
    assert_ok(insert_new(&s, 1, 3, SUB, SENSORS_LIDAR));
    assert_int_equal(s.c.count, 4);
    cache_kit_fini(&s);
}

/* The chain that does is given, not just any of the slot. */
static void test_by_action(void **state)
{
    (void)state;
    cache_kit s;
    rove_token_chain got = {0};
    cache_kit_init(&s, 100, 0);
    rove_token pub = token_of(&s.k, 1, 2, PUB, SENSORS_TEMP, 0),
               sub = token_of(&s.k, 1, 2, SUB, SENSORS_TEMP, 0);
    assert_ok(insert(&s, sub));
    assert_ok(insert(&s, pub));
    const rove_entity *e = entity_at(&s.k, 2);
    assert_ok(rovei_token_cache_find(&s.c, e, PUB, SENSORS_TEMP, NOW, NULL, &got));
    assert_int_equal(got.count, 1);
    assert_token_equal(&got.links[0], &pub);
    assert_ok(rovei_token_cache_find(&s.c, e, SUB, SENSORS_TEMP, NOW, NULL, &got));
    assert_token_equal(&got.links[0], &sub);
    assert_int_equal(rovei_token_cache_find(&s.c, e, ADMIN, SENSORS_TEMP, NOW, NULL, &got),
                     ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_token_equal(&got.links[0], &sub);
    cache_kit_fini(&s);
}

static void test_replaced(void **state)
{
    (void)state;
    cache_kit s;
    rove_token_chain got;
    cache_kit_init(&s, 100, 0);
    rove_token last;
    for (size_t i = 0; i < 10; i++) {
        last = token_of(&s.k, 1 + i % 2 * 4, 2, SUB, SENSORS_TEMP, 0); /* whoever issued it */
        SWEEP_NOMEM(&s.k.t.alloc, insert(&s, last));
        assert_int_equal(s.c.count, 1);
    }
    assert_true(rovei_token_cache_get(&s.c, entity_at(&s.k, 2), SENSORS_TEMP, NOW, &got));
    assert_token_equal(&got.links[0], &last);
    /* wildcards of one scope share a place, whatever their channel field says */
    assert_ok(insert_new(&s, 1, 2, SUB | WILD, 5));
    assert_ok(insert_new(&s, 1, 2, SUB | WILD, 6));
    assert_int_equal(s.c.count, 2);
    cache_kit_fini(&s);
}

static void test_wildcards(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, 0);
    /* channel 0 shares the slot and is no wildcard */
    assert_ok(insert_new(&s, 1, 2, SUB, 0));
    assert_false(s.c.wildcards);
    assert_ok(check(&s, 2, SUB, 0));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(insert_new(&s, 1, 2, PUB | WILD, SENSORS_LIDAR));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(check(&s, 2, PUB, SENSORS_TEMP));
    assert_ok(check(&s, 2, PUB, 0));
    assert_int_equal(check(&s, 3, PUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    /* an expired one of the channel does not stand in the way */
    rove_token old = token_of(&s.k, 1, 2, PUB, SENSORS_TEMP, 0);
    old.not_after = EPOCH + 1;
    resign(&s.k, 1, &old);
    assert_ok(insert(&s, old));
    assert_ok(check(&s, 2, PUB, SENSORS_TEMP));
    cache_kit_fini(&s);
}

static void test_refused(void **state)
{
    (void)state;
    cache_kit s;
    rove_token_chain c = {0};
    cache_kit_init(&s, 100, 0);
    rove_token t = token_of(&s.k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1);
    t.scope |= PUB;
    assert_int_equal(insert(&s, t), ROVE_E_TOKEN_SIGNATURE);
    assert_int_equal(rovei_token_cache_insert(&s.c, &c), ROVE_E_TOKEN_FORMAT);
    c.count = ROVE_TOKEN_LINKS + 1;
    assert_int_equal(rovei_token_cache_insert(&s.c, &c), ROVE_E_TOKEN_FORMAT);
    c = (rove_token_chain){.count = 2,
                           .links = {token_of(&s.k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1),
                                     token_of(&s.k, 3, 4, SUB, SENSORS_TEMP, 0)}};
    assert_int_equal(rovei_token_cache_insert(&s.c, &c), ROVE_E_TOKEN_NOT_AUTHORIZED);
    c.links[1] = token_of(&s.k, 2, 4, SUB, SENSORS_TEMP, 0);
    c.links[0] = token_of(&s.k, 1, 2, SUB, SENSORS_TEMP, 1);
    assert_int_equal(rovei_token_cache_insert(&s.c, &c), ROVE_E_TOKEN_NO_DELEGATE);
    c.links[0] = token_of(&s.k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1);
    c.links[0].nonce++;
    assert_int_equal(rovei_token_cache_insert(&s.c, &c), ROVE_E_TOKEN_SIGNATURE);
    assert_int_equal(s.c.count, 0);
    assert_int_equal(s.c.slots.count, 0);
    cache_kit_fini(&s);
}

/* A chain is found by its last link and does what all of its links allow. */
static void test_chains(void **state)
{
    (void)state;
    cache_kit s;
    rove_token_chain got;
    cache_kit_init(&s, 100, 0);
    rove_token_chain c = {.count = 1,
                          .links = {token_of(&s.k, 1, 2, SUB | DELEG, SENSORS_TEMP, 3)}};
    assert_ok(rovei_token_chain_extend(&c, &s.k.t.env.rng, s.k.key[2], entity_at(&s.k, 3), SUB,
                                       EPOCH + 10));
    SWEEP_NOMEM(&s.k.t.alloc, rovei_token_cache_insert(&s.c, &c));
    assert_ok(check(&s, 3, SUB, SENSORS_TEMP));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(rovei_token_cache_find(&s.c, entity_at(&s.k, 3), SUB, SENSORS_TEMP, NOW, &s.f, &got));
    assert_int_equal(got.count, 2);
    assert_token_equal(&got.links[0], &c.links[0]);
    assert_token_equal(&got.links[1], &c.links[1]);
    assert_ok(rovei_token_floors_raise(&s.f, entity_at(&s.k, 1), 1));
    assert_int_equal(check(&s, 3, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    cache_kit_fini(&s);
}

static void test_revoked(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, 0);
    assert_ok(insert_new(&s, 1, 2, SUB, SENSORS_TEMP));
    assert_ok(check(&s, 2, SUB, SENSORS_TEMP));
    assert_ok(rovei_token_floors_raise(&s.f, entity_at(&s.k, 1), 2));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(rovei_token_floors_raise(&s.f, entity_at(&s.k, 1), 1));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    /* for looking it is still there */
    assert_true(rovei_token_cache_get(&s.c, entity_at(&s.k, 2), SENSORS_TEMP, NOW, NULL));
    cache_kit_fini(&s);
}

static void test_skew(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, UINT64_MAX);
    assert_int_equal(s.c.skew, 300);
    rovei_token_cache_set_skew(&s.c, 60);
    assert_int_equal(s.c.skew, 60);
    rovei_token_cache_set_skew(&s.c, 301);
    assert_int_equal(s.c.skew, 300);
    rovei_token_cache_set_skew(&s.c, 60);
    assert_ok(insert_new(&s, 1, 2, SUB, SENSORS_TEMP));
    assert_ok(check_at(&s, 2, SUB, SENSORS_TEMP, EPOCH + 3605));
    assert_int_equal(check_at(&s, 2, SUB, SENSORS_TEMP, EPOCH + 3660), ROVE_E_TOKEN_NOT_AUTHORIZED);
    rovei_token_cache_set_skew(&s.c, 0);
    assert_int_equal(check_at(&s, 2, SUB, SENSORS_TEMP, EPOCH + 3605), ROVE_E_TOKEN_NOT_AUTHORIZED);
    /* the sweep knows no skew */
    rovei_token_cache_set_skew(&s.c, 60);
    assert_int_equal(rovei_token_cache_sweep(&s.c, EPOCH + 3599), 0);
    assert_int_equal(rovei_token_cache_sweep(&s.c, EPOCH + 3600), 1);
    assert_int_equal(s.c.count, 0);
    assert_int_equal(s.c.slots.count, 0);
    cache_kit_fini(&s);
}

static void test_get(void **state)
{
    (void)state;
    cache_kit s;
    rove_token_chain got;
    cache_kit_init(&s, 100, 0);
    const rove_entity *e = entity_at(&s.k, 2);
    assert_ok(insert_new(&s, 1, 2, SUB | WILD, 0));
    assert_false(rovei_token_cache_get(&s.c, e, SENSORS_TEMP, NOW, &got)); /* its own slot alone */
    rove_token old = token_of(&s.k, 1, 2, PUB, SENSORS_TEMP, 0);
    old.not_after = EPOCH + 1;
    resign(&s.k, 1, &old);
    rove_token valid = token_of(&s.k, 1, 2, SUB, SENSORS_TEMP, 0);
    assert_ok(insert(&s, old));
    assert_true(rovei_token_cache_get(&s.c, e, SENSORS_TEMP, NOW, &got));
    assert_token_equal(&got.links[0], &old);
    assert_ok(insert(&s, valid));
    assert_true(rovei_token_cache_get(&s.c, e, SENSORS_TEMP, NOW, &got));
    assert_token_equal(&got.links[0], &valid);
    cache_kit_fini(&s);
}

/* Neither time nor width is asked when one is put in; none of them is found. */
static void test_unfit(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, 60);
    rove_token t = token_of(&s.k, 1, 2, SUB, SENSORS_TEMP, 0);
    t.not_after = EPOCH + 100 * ROVE_TOKEN_LIFE_MAX;
    resign(&s.k, 1, &t);
    assert_ok(insert(&s, t));
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    t.not_after = NOW;
    resign(&s.k, 1, &t);
    assert_ok(insert(&s, t));
    assert_ok(check(&s, 2, SUB, SENSORS_TEMP)); /* by the skew */
    assert_int_equal(rovei_token_cache_sweep(&s.c, NOW), 1);
    assert_int_equal(check(&s, 2, SUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    cache_kit_fini(&s);
}

static void test_slot_full(void **state)
{
    (void)state;
    cache_kit s;
    cache_kit_init(&s, 100, 0);
    for (uint32_t i = 0; i < ROVEI_TOKENS_PER_SLOT; i++)
        assert_ok(insert_new(&s, 1, 2, SUB | i << 8, SENSORS_TEMP));
    assert_int_equal(s.c.count, 32);
    assert_int_equal(insert_new(&s, 1, 2, PUB, SENSORS_TEMP), ROVE_E_FULL);
    assert_int_equal(s.c.count, 32);
    assert_int_equal(check(&s, 2, PUB, SENSORS_TEMP), ROVE_E_TOKEN_NOT_AUTHORIZED);
    rove_token fresh = token_of(&s.k, 1, 2, SUB, SENSORS_TEMP, 0);
    rove_token_chain got;
    assert_ok(insert(&s, fresh));
    assert_int_equal(s.c.count, 32);
    assert_ok(rovei_token_cache_find(&s.c, entity_at(&s.k, 2), SUB, SENSORS_TEMP, NOW, NULL, &got));
    assert_token_equal(&got.links[0], &fresh);
    cache_kit_fini(&s);
}

static void test_slots_full(void **state)
{
    (void)state;
    enum { MOST = 300 };
    cache_kit s;
    cache_kit_init(&s, MOST, 0);
    for (uint64_t i = 1; i <= MOST; i++)
        assert_ok(insert_new(&s, 1, 2, SUB, i));
    assert_int_equal(insert_new(&s, 1, 2, SUB, MOST + 1), ROVE_E_FULL);
    assert_int_equal(insert_new(&s, 1, 3, SUB | WILD, 1), ROVE_E_FULL);
    assert_false(s.c.wildcards);
    assert_int_equal(s.c.count, MOST);
    for (uint64_t i = 1; i <= MOST; i++)
        assert_ok(check(&s, 2, SUB, i));
    /* what is there is made new, and takes a second scope */
    assert_ok(insert_new(&s, 1, 2, SUB, 7));
    assert_ok(insert_new(&s, 1, 2, PUB, 7));
    assert_int_equal(s.c.count, MOST + 1);
    cache_kit_fini(&s);
}

/* The sweep takes what has expired and nothing else, wherever it lies in the table. */
static void test_sweep(void **state)
{
    (void)state;
    enum { CHANNELS = 200 };
    cache_kit s;
    uint64_t random = 3;
    cache_kit_init(&s, 1000, 0);
    for (size_t round = 0; round < 3; round++) {
        bool lives[CHANNELS];
        size_t dead = 0;
        for (uint64_t i = 0; i < CHANNELS; i++) {
            rove_token t = token_of(&s.k, 1, 2, SUB, i, 0);
            lives[i] = below(&random, 2);
            dead += !lives[i];
            t.not_after = lives[i] ? t.not_after : NOW;
            resign(&s.k, 1, &t);
            assert_ok(insert(&s, t));
        }
        assert_int_equal(rovei_token_cache_sweep(&s.c, NOW), dead);
        assert_int_equal(s.c.count, CHANNELS - dead);
        assert_int_equal(s.c.slots.count, CHANNELS - dead);
        for (uint64_t i = 0; i < CHANNELS; i++)
            assert_int_equal(check(&s, 2, SUB, i) == ROVE_OK, lives[i]);
        rovei_token_cache_place place = {0};
        rove_token_chain got;
        size_t seen = 0;
        for (; rovei_token_cache_next(&s.c, &place, &got); seen++)
            assert_true(lives[got.links[0].channel]);
        assert_int_equal(seen, CHANNELS - dead);
    }
    cache_kit_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),     cmocka_unit_test(test_by_action),
        cmocka_unit_test(test_replaced),  cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_chains),
        cmocka_unit_test(test_revoked),   cmocka_unit_test(test_skew),
        cmocka_unit_test(test_get),       cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_slot_full), cmocka_unit_test(test_slots_full),
        cmocka_unit_test(test_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
