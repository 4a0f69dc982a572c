/* SPDX-License-Identifier: Apache-2.0
 *
 * One permission token: its bytes, how it is issued and handed on, and the rules by which it is
 * judged. */
#include "token_kit.h"

#define T1_SIGNED                                                                                  \
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"                             \
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"                             \
    "0b0000002d1707f34e4377e40000000000f153650000000010ff5365000000000288776655443322"             \
    "11"
#define T1_SIGNATURE                                                                               \
    "e04bad90852259173d9d7e83f867fb52b90497df664f7d5666ef7a68da992687"                             \
    "ec8e76ffc77ba4d397aa43820be8bca9bfea067159592f0cfe63c091ef76da02"
#define T2_SIGNED                                                                                  \
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"                             \
    "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"                             \
    "020000002d1707f34e4377e40000000064f153650000000010ff5365000000000100ffeeddccbbaa"             \
    "99"
#define T2_SIGNATURE                                                                               \
    "858038ce91b4952bf850f5a13b867f5a3dcec6d2582f53c583fefbd75cb8f266"                             \
    "e5f51560075bb1e31a7cbb4f7cf9496a513be9d77631e2bd6e17295fc4a3960e"
#define TW_SIGNED                                                                                  \
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"                             \
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"                             \
    "1200000000000000000000000700000000f153650000000080243567000000000001000000000000"             \
    "00"
#define TW_SIGNATURE                                                                               \
    "b677eaad7a59b630441e9ebe378bbf5107809e7a4d95259cabc8ed217973e51a"                             \
    "0d1b11f4c176f0f48b6a9c1083f1e3d9d11406613b402309c2b36eb8b848c309"

static void check_bytes(const token_kit *k, size_t issuer, rove_token t, const char *hex)
{
    uint8_t bytes[ROVE_TOKEN_SIZE];
    rove_token back;
    resign(k, issuer, &t);
    rovei_token_encode(&t, bytes);
    assert_hex(bytes, sizeof bytes, hex);
    assert_ok(rovei_token_decode(&back, (rove_span){bytes, sizeof bytes}));
    assert_token_equal(&back, &t);
    assert_ok(rovei_token_verify(&back));
}

static void test_known_bytes(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rove_token t1 = {.subject = *entity_at(&k, 2),
                     .channel = SENSORS_TEMP,
                     .not_before = EPOCH,
                     .not_after = EPOCH + 3600,
                     .nonce = UINT64_C(0x1122334455667788),
                     .scope = PUB | SUB | DELEG,
                     .depth = 2};
    rove_token t2 = {.subject = *entity_at(&k, 3),
                     .channel = SENSORS_TEMP,
                     .not_before = EPOCH + 100,
                     .not_after = EPOCH + 3600,
                     .nonce = UINT64_C(0x99aabbccddeeff00),
                     .scope = SUB,
                     .depth = 1};
    rove_token wild = {.subject = *entity_at(&k, 2),
                       .not_before = EPOCH,
                       .not_after = EPOCH + ROVE_TOKEN_LIFE_MAX,
                       .nonce = 1,
                       .scope = SUB | WILD,
                       .generation = 7};
    check_bytes(&k, 1, t1, T1_SIGNED T1_SIGNATURE);
    check_bytes(&k, 2, t2, T2_SIGNED T2_SIGNATURE);
    check_bytes(&k, 1, wild, TW_SIGNED TW_SIGNATURE);
    token_kit_fini(&k);
}

static void test_other_lengths(void **state)
{
    (void)state;
    uint8_t bytes[2 * ROVE_TOKEN_SIZE] = {0};
    rove_token t, untouched;
    memset(&t, 0x5A, sizeof t);
    untouched = t;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        if (size == ROVE_TOKEN_SIZE)
            continue;
        assert_int_equal(rovei_token_decode(&t, (rove_span){bytes, size}), ROVE_E_TOKEN_FORMAT);
        assert_token_equal(&t, &untouched);
    }
    assert_ok(rovei_token_decode(&t, (rove_span){bytes, ROVE_TOKEN_SIZE})); /* judged later */
    assert_int_equal(rovei_token_verify(&t), ROVE_E_TOKEN_SIGNATURE);
}

/* The signature is strict: neither a second form of it, nor a key that is no point, nor one of
 * small order for which a signature holds for any message. */
static void test_malleable(void **state)
{
    (void)state;
    token_kit k;
    uint8_t bytes[ROVE_TOKEN_SIZE];
    rove_token t;
    token_kit_init(&k);
    hex_to(bytes, sizeof bytes, T1_SIGNED T1_SIGNATURE);
    hex_to(bytes + 137, 32, "d9626c5ce2deb62b6e473b25eae19bbebfea067159592f0cfe63c091ef76da12");
    assert_ok(rovei_token_decode(&t, (rove_span){bytes, sizeof bytes}));
    assert_int_equal(rovei_token_verify(&t), ROVE_E_TOKEN_SIGNATURE);
    t = token_of(&k, 1, 2, SUB, 1, 0);
    memset(&t.issuer, 0, sizeof t.issuer);
    t.issuer.bytes[0] = 2; /* no point */
    assert_int_equal(rovei_token_verify(&t), ROVE_E_TOKEN_SIGNATURE);
    t.issuer.bytes[0] = 1;
    memset(t.signature, 0, sizeof t.signature);
    t.signature[0] = 1;
    assert_int_equal(rovei_token_verify(&t), ROVE_E_TOKEN_SIGNATURE);
    token_kit_fini(&k);
}

/* Every bit of the signed part and of the signature matters. */
static void test_each_bit(void **state)
{
    (void)state;
    uint8_t bytes[ROVE_TOKEN_SIZE];
    rove_token t;
    assert_ok(rovei_crypto_init());
    hex_to(bytes, sizeof bytes, T1_SIGNED T1_SIGNATURE);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        assert_ok(rovei_token_decode(&t, (rove_span){bytes, sizeof bytes}));
        assert_int_equal(rovei_token_check(&t, EPOCH + 1, 0), ROVE_E_TOKEN_SIGNATURE);
        bytes[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_ok(rovei_token_decode(&t, (rove_span){bytes, sizeof bytes}));
    assert_ok(rovei_token_check(&t, EPOCH + 1, 0));
}

static void test_issue(void **state)
{
    (void)state;
    token_kit k;
    rove_token t, again;
    token_kit_init(&k);
    rovei_token_grant g = {*entity_at(&k, 2), SENSORS_TEMP, EPOCH, 1, SUB, 3, 9};
    const rovei_rng *rng = &k.t.env.rng;
    assert_ok(rovei_token_issue(&t, rng, k.key[1], &g));
    assert_ok(rovei_token_issue(&again, rng, k.key[1], &g));
    assert_true(rovei_entity_equal(&t.issuer, entity_at(&k, 1)));
    assert_true(rovei_entity_equal(&t.subject, entity_at(&k, 2)));
    assert_int_equal(t.channel, SENSORS_TEMP);
    assert_int_equal(t.scope, SUB);
    assert_int_equal(t.generation, 3);
    assert_int_equal(t.depth, 9);
    assert_int_equal(t.not_before, EPOCH);
    assert_int_equal(t.not_after, EPOCH + 1);
    assert_true(t.nonce != again.nonce);
    assert_ok(rovei_token_check(&t, EPOCH, 0));
    g.life = ROVE_TOKEN_LIFE_MAX;
    assert_ok(rovei_token_issue(&t, rng, k.key[1], &g));
    assert_int_equal(t.not_after, EPOCH + ROVE_TOKEN_LIFE_MAX);
    assert_ok(rovei_token_check(&t, EPOCH, 0));
    g.not_before = UINT64_MAX - 10;
    assert_ok(rovei_token_issue(&t, rng, k.key[1], &g));
    assert_int_equal(t.not_after, UINT64_MAX);
    token_kit_fini(&k);
}

/* The life decides before the key does. */
static void test_issue_refused(void **state)
{
    (void)state;
    token_kit k;
    rovei_keypair *public_half;
    rove_token t, untouched;
    token_kit_init(&k);
    memset(&t, 0x5A, sizeof t);
    untouched = t;
    assert_ok(rovei_keypair_public_only(&public_half, &k.t.env, entity_at(&k, 1)));
    rovei_token_grant g = {*entity_at(&k, 2), SENSORS_TEMP, EPOCH, 0, SUB, 0, 0};
    const rovei_rng *rng = &k.t.env.rng;
    assert_int_equal(rovei_token_issue(&t, rng, public_half, &g), ROVE_E_TOKEN_NO_LIFE);
    g.life = ROVE_TOKEN_LIFE_MAX + 1;
    assert_int_equal(rovei_token_issue(&t, rng, public_half, &g), ROVE_E_TOKEN_LONG);
    g.life = UINT64_MAX;
    assert_int_equal(rovei_token_issue(&t, rng, k.key[1], &g), ROVE_E_TOKEN_LONG);
    g.life = 60;
    assert_int_equal(rovei_token_issue(&t, rng, public_half, &g), ROVE_E_READ_ONLY);
    assert_int_equal(rovei_token_sign(&t, public_half), ROVE_E_READ_ONLY);
    assert_token_equal(&t, &untouched);
    rovei_keypair_unref(public_half);
    token_kit_fini(&k);
}

static void test_scope(void **state)
{
    (void)state;
    for (uint32_t scope = 0; scope < 64; scope++)
        assert_false(rovei_token_scope_has(scope, 0));
    assert_false(rovei_token_scope_has(ROVE_SCOPE_ALL, WILD));
    assert_true(rovei_token_scope_has(ROVE_SCOPE_ALL, PUB | ADMIN));
    assert_false(rovei_token_scope_has(PUB, PUB | SUB));
    assert_true(rovei_token_scope_has(UINT32_C(0x80000002), SUB));
}

static void test_authorizes(void **state)
{
    (void)state;
    rove_token t = {.scope = SUB, .channel = SENSORS_TEMP};
    assert_true(rovei_token_authorizes(&t, SUB, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&t, PUB, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&t, 0, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&t, SUB, SENSORS_LIDAR));
    /* alike in the low half */
    assert_false(rovei_token_authorizes(&t, SUB, SENSORS_TEMP ^ UINT64_C(1) << 40));
    t.channel = 0; /* a hash like any other */
    assert_true(rovei_token_authorizes(&t, SUB, 0));
    assert_false(rovei_token_authorizes(&t, SUB, SENSORS_TEMP));
    t.scope |= WILD;
    assert_true(rovei_token_authorizes(&t, SUB, 0));
    assert_true(rovei_token_authorizes(&t, SUB, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&t, PUB, SENSORS_TEMP));
}

static void test_window(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rove_token t = token_of(&k, 1, 2, SUB, SENSORS_TEMP, 0);
    assert_int_equal(rovei_token_check(&t, EPOCH - 1, 0), ROVE_E_TOKEN_EARLY);
    assert_ok(rovei_token_check(&t, EPOCH, 0));
    assert_ok(rovei_token_check(&t, EPOCH + 3599, 0));
    assert_int_equal(rovei_token_check(&t, EPOCH + 3600, 0), ROVE_E_TOKEN_EXPIRED);
    assert_false(rovei_token_is_expired(&t, EPOCH + 3599));
    assert_true(rovei_token_is_expired(&t, EPOCH + 3600));
    /* skew, to the second */
    assert_ok(rovei_token_check(&t, EPOCH - 30, 60));
    assert_ok(rovei_token_check(&t, EPOCH - 60, 60));
    assert_int_equal(rovei_token_check(&t, EPOCH - 61, 60), ROVE_E_TOKEN_EARLY);
    assert_ok(rovei_token_check(&t, EPOCH + 3630, 60));
    assert_ok(rovei_token_check(&t, EPOCH + 3659, 60));
    assert_int_equal(rovei_token_check(&t, EPOCH + 3660, 60), ROVE_E_TOKEN_EXPIRED);
    assert_int_equal(rovei_token_check(&t, EPOCH + 3665, 60), ROVE_E_TOKEN_EXPIRED);
    /* skew beyond what there is */
    assert_ok(rovei_token_check(&t, 0, UINT64_MAX));
    assert_ok(rovei_token_check(&t, UINT64_MAX - 1, UINT64_MAX));
    t.not_after = 0;
    resign(&k, 1, &t);
    assert_ok(rovei_token_verify(&t));
    assert_true(rovei_token_is_expired(&t, EPOCH));
    assert_int_equal(rovei_token_check(&t, EPOCH, 0), ROVE_E_TOKEN_EXPIRED);
    token_kit_fini(&k);
}

/* Signature before time, time before width. */
static void test_order(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rove_token t = token_of(&k, 1, 2, SUB, SENSORS_TEMP, 0);
    t.not_after = EPOCH + 1;
    assert_int_equal(rovei_token_check(&t, EPOCH + 9, 0), ROVE_E_TOKEN_SIGNATURE);
    assert_true(rovei_token_is_expired(&t, EPOCH + 9));
    t.not_after = EPOCH + 100 * ROVE_TOKEN_LIFE_MAX;
    resign(&k, 1, &t);
    assert_int_equal(rovei_token_check(&t, EPOCH + 9, 0), ROVE_E_TOKEN_LONG);
    assert_int_equal(rovei_token_check(&t, EPOCH + 9, 60), ROVE_E_TOKEN_LONG);
    assert_int_equal(rovei_token_check(&t, EPOCH - 1, 0), ROVE_E_TOKEN_EARLY);
    assert_int_equal(rovei_token_check(&t, t.not_after, 0), ROVE_E_TOKEN_EXPIRED);
    t.not_after = EPOCH + ROVE_TOKEN_LIFE_MAX;
    resign(&k, 1, &t);
    assert_ok(rovei_token_check(&t, EPOCH + 9, 0));
    t.not_after++;
    resign(&k, 1, &t);
    assert_int_equal(rovei_token_check(&t, EPOCH + 9, 0), ROVE_E_TOKEN_LONG);
    t.not_after = EPOCH - 5; /* upside down */
    resign(&k, 1, &t);
    assert_int_equal(rovei_token_check(&t, EPOCH - 9, 0), ROVE_E_TOKEN_EARLY);
    assert_int_equal(rovei_token_check(&t, EPOCH, 0), ROVE_E_TOKEN_EXPIRED);
    token_kit_fini(&k);
}

static void test_delegate(void **state)
{
    (void)state;
    token_kit k;
    rove_token child;
    token_kit_init(&k);
    const rovei_rng *rng = &k.t.env.rng;
    rove_token parent = token_of(&k, 1, 2, ROVE_SCOPE_ALL, SENSORS_TEMP, 2);
    parent.generation = 7;
    resign(&k, 1, &parent);
    assert_ok(rovei_token_delegate(&child, rng, &parent, k.key[2], entity_at(&k, 3), PUB | DELEG,
                                   EPOCH + 50));
    assert_ok(rovei_token_check(&child, EPOCH + 50, 0));
    assert_true(rovei_entity_equal(&child.issuer, entity_at(&k, 2)));
    assert_true(rovei_entity_equal(&child.subject, entity_at(&k, 3)));
    assert_int_equal(child.depth, 1);
    assert_int_equal(child.scope, PUB | DELEG);
    assert_true(rovei_token_authorizes(&child, PUB, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&child, ADMIN, SENSORS_TEMP));
    assert_int_equal(child.not_before, EPOCH + 50);
    assert_int_equal(child.not_after, parent.not_after);
    assert_int_equal(child.generation, 7);
    assert_true(child.nonce != parent.nonce);
    /* nothing more than the parent has, and nothing at all is fine too */
    assert_ok(rovei_token_delegate(&child, rng, &parent, k.key[2], entity_at(&k, 3), WILD, EPOCH));
    assert_int_equal(child.scope, 0);
    /* a wildcard that is not handed on leaves the channel of the field */
    parent.scope |= WILD;
    resign(&k, 1, &parent);
    assert_ok(rovei_token_delegate(&child, rng, &parent, k.key[2], entity_at(&k, 3), SUB, EPOCH));
    assert_true(rovei_token_authorizes(&child, SUB, SENSORS_TEMP));
    assert_false(rovei_token_authorizes(&child, SUB, SENSORS_LIDAR));
    token_kit_fini(&k);
}

/* Each check, with all later ones failing as well. */
static void test_delegate_refused(void **state)
{
    (void)state;
    token_kit k;
    rove_token t, untouched;
    rovei_keypair *public_half;
    token_kit_init(&k);
    memset(&t, 0x5A, sizeof t);
    untouched = t;
    const rovei_rng *rng = &k.t.env.rng;
    const rove_entity *to = entity_at(&k, 3);
    rove_token parent = token_of(&k, 1, 2, SUB, SENSORS_TEMP, 0);
    parent.nonce++;
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, 0),
                     ROVE_E_TOKEN_SIGNATURE);
    resign(&k, 1, &parent);
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, EPOCH - 1),
                     ROVE_E_TOKEN_EARLY);
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, EPOCH + 3600),
                     ROVE_E_TOKEN_EXPIRED);
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, EPOCH),
                     ROVE_E_TOKEN_EXHAUSTED);
    parent.not_after = EPOCH + ROVE_TOKEN_LIFE_MAX + 1;
    resign(&k, 1, &parent);
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, EPOCH),
                     ROVE_E_TOKEN_LONG);
    parent = token_of(&k, 1, 2, SUB, SENSORS_TEMP, 1);
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, k.key[4], to, SUB, EPOCH),
                     ROVE_E_TOKEN_NO_DELEGATE);
    parent = token_of(&k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1);
    assert_ok(rovei_keypair_public_only(&public_half, &k.t.env, entity_at(&k, 4)));
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, public_half, to, SUB, EPOCH),
                     ROVE_E_TOKEN_NOT_AUTHORIZED);
    rovei_keypair_unref(public_half);
    assert_ok(rovei_keypair_public_only(&public_half, &k.t.env, entity_at(&k, 2)));
    assert_int_equal(rovei_token_delegate(&t, rng, &parent, public_half, to, SUB, EPOCH),
                     ROVE_E_READ_ONLY);
    rovei_keypair_unref(public_half);
    assert_token_equal(&t, &untouched);
    token_kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bytes), cmocka_unit_test(test_other_lengths),
        cmocka_unit_test(test_malleable),   cmocka_unit_test(test_each_bit),
        cmocka_unit_test(test_issue),       cmocka_unit_test(test_issue_refused),
        cmocka_unit_test(test_scope),       cmocka_unit_test(test_authorizes),
        cmocka_unit_test(test_window),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_delegate),    cmocka_unit_test(test_delegate_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
