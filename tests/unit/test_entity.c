/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities and the identity envelope. */
#include "support.h"

#include <base/cursor.h>
#include <identity/envelope.h>

static const struct {
    const char *seed, *entity;
    uint64_t origin, node_id;
} known[] = {
    {"4242424242424242424242424242424242424242424242424242424242424242",
     "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12",
     UINT64_C(0xc162c80da6be3de4), UINT64_C(0xc211b9fddfaef86d)},
    {"0101010101010101010101010101010101010101010101010101010101010101",
     "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
     UINT64_C(0x673db0e87049ae61), UINT64_C(0x8edf34ef4ac5d453)},
    {"0202020202020202020202020202020202020202020202020202020202020202",
     "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
     UINT64_C(0x9bb5af0a3b00cde1), UINT64_C(0x2199586daf8408bf)},
    {"0303030303030303030303030303030303030303030303030303030303030303",
     "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
     UINT64_C(0x266b6cb0d434119e), UINT64_C(0x60269137ebfedc42)},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
     UINT64_C(0x782a3238801976bf), UINT64_C(0xbd826a5d0a6394f5)},
};

#define ENVELOPE_HEX                                                                               \
    "017b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"                           \
    "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"                             \
    "7f62bae6762e13c28c55a71b8e9e42198bce979edab3161b02535401124b8a8b"                             \
    "2c5d7ba4a9b3d084e388fab110aef05f"                                                             \
    "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12"                             \
    "9d451ef90714c1077385f1dd5a34232133928572dd5389b6ff514ed228593496"                             \
    "0011d6436ddc72a27eb3247bf3e3da38ddd8b27ee9f63da00b87c833fe356106"

static void test_known(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 1);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t seed[32], back[32];
        rovei_keypair *k, *again;
        hex_to(seed, sizeof seed, known[i].seed);
        assert_ok(rovei_keypair_from_seed(&k, &t.env, seed));
        assert_ok(rovei_keypair_from_seed(&again, &t.env, seed));
        assert_hex(rovei_keypair_entity(k)->bytes, 32, known[i].entity);
        assert_int_equal(rovei_keypair_origin(k), known[i].origin);
        assert_int_equal(rovei_keypair_node_id(k), known[i].node_id);
        assert_int_equal(rovei_entity_origin(rovei_keypair_entity(k)), known[i].origin);
        assert_int_equal(rovei_entity_node_id(rovei_keypair_entity(k)), known[i].node_id);
        assert_true(rovei_entity_equal(rovei_keypair_entity(k), rovei_keypair_entity(again)));
        assert_ok(rovei_keypair_seed(k, back));
        assert_memory_equal(seed, back, 32);
        rovei_keypair_unref(k);
        rovei_keypair_unref(again);
    }
    test_env_fini(&t);
}

static void test_signing(void **state)
{
    (void)state;
    test_env t;
    uint8_t seed[32], sig[64], again[64];
    rovei_keypair *k, *other;
    test_env_init(&t, 2);
    memset(seed, 0x42, sizeof seed);
    assert_ok(rovei_keypair_from_seed(&k, &t.env, seed));
    assert_ok(rovei_keypair_generate(&other, &t.env));
    assert_ok(rovei_keypair_sign(k, "hello, mesh", 11, sig));
    assert_ok(rovei_keypair_sign(k, "hello, mesh", 11, again));
    assert_memory_equal(sig, again, sizeof sig);
    assert_hex(sig, 64,
               "7ddaf92daa663ed4384bf25cb122b7a8f695ec74d5e96210726b775f0dc38eb0"
               "b1c2cb242ec774565dff664c45469e4d711fa11b4087d00d3af19485bbc91b06");
    assert_ok(rovei_ed25519_verify(rovei_keypair_entity(k), sig, "hello, mesh", 11));
    assert_int_equal(rovei_ed25519_verify(rovei_keypair_entity(k), sig, "hello", 5),
                     ROVE_E_SIGNATURE);
    assert_int_equal(rovei_ed25519_verify(rovei_keypair_entity(other), sig, "hello, mesh", 11),
                     ROVE_E_SIGNATURE);
    rovei_keypair_unref(k);
    rovei_keypair_unref(other);
    rovei_keypair_unref(NULL);
    test_env_fini(&t);
}

static void test_generated(void **state)
{
    (void)state;
    test_env t;
    rovei_keypair *a, *b;
    test_env_init(&t, 3);
    assert_ok(rovei_keypair_generate(&a, &t.env));
    assert_ok(rovei_keypair_generate(&b, &t.env));
    assert_false(rovei_entity_equal(rovei_keypair_entity(a), rovei_keypair_entity(b)));
    assert_int_not_equal(rovei_keypair_origin(a), rovei_keypair_origin(b));
    assert_int_not_equal(rovei_keypair_node_id(a), rovei_keypair_node_id(b));
    assert_false(rovei_keypair_is_read_only(a));
    int order = rovei_entity_compare(rovei_keypair_entity(a), rovei_keypair_entity(b));
    int reverse = rovei_entity_compare(rovei_keypair_entity(b), rovei_keypair_entity(a));
    assert_true((order < 0) == (reverse > 0) && order != 0);
    rovei_keypair_unref(a);
    rovei_keypair_unref(b);
    rove_entity zero = {{0}}, last = {.bytes = {[31] = 1}};
    assert_true(rovei_entity_is_zero(&zero));
    assert_false(rovei_entity_is_zero(&last));
    assert_true(rovei_entity_compare(&zero, &last) < 0);
    test_env_fini(&t);
}

/* The seed 1791, of which the node id is reserved. */
static void reserved_seed(uint8_t ret[32])
{
    memset(ret, 0, 32);
    rovei_store64(ret, 1791);
}

struct draws {
    unsigned count, bad; /* the first `bad` draws are the reserved seed */
};

static void fill_draws(void *user, void *ret, size_t size)
{
    struct draws *d = user;
    assert_int_equal(size, 32);
    reserved_seed(ret);
    if (d->count++ >= d->bad)
        memset(ret, 0x42, 32);
}

static void test_reserved_not_generated(void **state)
{
    (void)state;
    test_env t;
    struct draws d = {0, 2};
    uint8_t seed[32];
    rovei_keypair *k;
    test_env_init(&t, 10);
    reserved_seed(seed);
    assert_ok(rovei_keypair_from_seed(&k, &t.env, seed));
    assert_true(rovei_node_id_is_reserved(rovei_keypair_node_id(k)));
    rovei_keypair_unref(k);
    t.env.rng = (rovei_rng){fill_draws, &d};
    assert_ok(rovei_keypair_generate(&k, &t.env));
    assert_int_equal(d.count, 3);
    assert_hex(rovei_keypair_entity(k)->bytes, 32, known[0].entity);
    d = (struct draws){0, UINT32_MAX};
    rovei_keypair *kept = k;
    assert_int_equal(rovei_keypair_generate(&k, &t.env), ROVE_E_RESERVED_ID);
    assert_ptr_equal(k, kept);
    rovei_keypair_unref(k);
    test_env_fini(&t);
}

/* The X25519 secret belongs to the image of the entity. */
static void test_keypair_x25519(void **state)
{
    (void)state;
    test_env t;
    uint8_t secret[32], public[32], image[32];
    rovei_keypair *k;
    test_env_init(&t, 4);
    assert_ok(rovei_keypair_generate(&k, &t.env));
    assert_ok(rovei_keypair_x25519(k, secret));
    rovei_x25519_public(public, secret);
    assert_ok(rovei_ed25519_image(image, rovei_keypair_entity(k)));
    assert_memory_equal(public, image, 32);
    rovei_keypair_unref(k);
    test_env_fini(&t);
}

static void expect_read_only(const rovei_keypair *k)
{
    uint8_t bytes[64], before[64];
    memset(bytes, 0x77, sizeof bytes);
    memcpy(before, bytes, sizeof bytes);
    assert_true(rovei_keypair_is_read_only(k));
    assert_int_equal(rovei_keypair_sign(k, "x", 1, bytes), ROVE_E_READ_ONLY);
    assert_int_equal(rovei_keypair_seed(k, bytes), ROVE_E_READ_ONLY);
    assert_int_equal(rovei_keypair_x25519(k, bytes), ROVE_E_READ_ONLY);
    assert_memory_equal(bytes, before, sizeof bytes);
}

static void test_read_only(void **state)
{
    (void)state;
    test_env t;
    rovei_keypair *full, *bare;
    test_env_init(&t, 5);
    assert_ok(rovei_keypair_generate(&full, &t.env));
    assert_ok(rovei_keypair_public_only(&bare, &t.env, rovei_keypair_entity(full)));
    assert_int_equal(rovei_slab_used(t.env.slab), 1);
    assert_true(rovei_entity_equal(rovei_keypair_entity(full), rovei_keypair_entity(bare)));
    assert_int_equal(rovei_keypair_origin(full), rovei_keypair_origin(bare));
    assert_int_equal(rovei_keypair_node_id(full), rovei_keypair_node_id(bare));
    expect_read_only(bare);
    rovei_keypair_unref(bare);
    rovei_keypair_unref(full);
    /* Any 32 bytes are an entity until somebody verifies against them. */
    rove_entity no_point = {{2}};
    assert_ok(rovei_keypair_public_only(&bare, &t.env, &no_point));
    rovei_keypair_unref(bare);
    test_env_fini(&t);
}

static void test_wipe(void **state)
{
    (void)state;
    test_env t;
    uint8_t sig[64];
    rovei_keypair *k, *shared;
    test_env_init(&t, 6);
    assert_ok(rovei_keypair_generate(&k, &t.env));
    shared = rovei_keypair_ref(k);
    rove_entity entity = *rovei_keypair_entity(k);
    uint64_t origin = rovei_keypair_origin(k);
    assert_ok(rovei_keypair_sign(k, "x", 1, sig));
    rovei_keypair_wipe(k);
    assert_int_equal(rovei_slab_used(t.env.slab), 0);
    expect_read_only(shared);
    rovei_keypair_wipe(k);
    expect_read_only(k);
    assert_true(rovei_entity_equal(rovei_keypair_entity(k), &entity));
    assert_int_equal(rovei_keypair_origin(k), origin);
    assert_ok(rovei_ed25519_verify(&entity, sig, "x", 1));
    rovei_keypair_unref(k);
    rovei_keypair_unref(shared);
    test_env_fini(&t);
}

static void test_reserved(void **state)
{
    (void)state;
    assert_true(rovei_node_id_is_reserved(0x4E45));
    assert_true(rovei_node_id_is_reserved(UINT64_C(0xFFFFFFFFFFFF4E45)));
    assert_false(rovei_node_id_is_reserved(0x454E));
    assert_false(rovei_node_id_is_reserved(UINT64_C(0x4E45000000000000)));
}

static void test_keypair_nomem(void **state)
{
    (void)state;
    test_env t;
    rovei_keypair *k, *keep;
    rove_entity e = {{9}};
    test_env_init(&t, 7);
    assert_ok(rovei_keypair_generate(&keep, &t.env));
    SWEEP_NOMEM(&t.alloc, rovei_keypair_generate(&k, &t.env));
    rovei_keypair_unref(k);
    SWEEP_NOMEM(&t.alloc, rovei_keypair_public_only(&k, &t.env, &e));
    rovei_keypair_unref(k);
    rovei_keypair_unref(keep);
    test_env_fini(&t);
}

/* ---- envelope ---- */

static void fill_22(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 0x22, size);
}

struct sealed {
    test_env t;
    rovei_keypair *daemon;
    rove_link link;
    uint8_t secret[32], target[32];
    rovei_envelope e;
};

/* The envelope whose bytes are known: seed 32 x 42, target's secret 32 x 11, ephemeral 32 x 22. */
static void seal_known(struct sealed *s)
{
    uint8_t seed[32], link[32];
    test_env_init(&s->t, 8);
    s->t.env.rng = (rovei_rng){fill_22, NULL};
    memset(seed, 0x42, sizeof seed);
    memset(s->secret, 0x11, sizeof s->secret);
    assert_ok(rovei_keypair_from_seed(&s->daemon, &s->t.env, seed));
    rovei_x25519_public(s->target, s->secret);
    hex_to(link, 32, "e43dbea60dc862c10000000000000000010000000000000074cf42a5a33f459b");
    rovei_reader r = rovei_reader_of((rove_span){link, 32});
    s->link = rovei_read_link(&r);
    assert_ok(rovei_envelope_seal(&s->e, &s->t.env, s->daemon, s->target, &s->link));
}

static void done(struct sealed *s)
{
    rovei_keypair_unref(s->daemon);
    test_env_fini(&s->t);
}

/* Opening has to fail with `err` and to leave neither a key nor memory behind. */
static void expect_open(struct sealed *s, const rovei_envelope *e, const rove_link *link,
                        const rove_entity *expected, rove_err err)
{
    rovei_keypair *k = s->daemon;
    size_t used = rovei_slab_used(s->t.env.slab), live = s->t.alloc.live;
    assert_int_equal(rovei_envelope_open(&k, &s->t.env, e, s->secret, link, expected), err);
    assert_ptr_equal(k, s->daemon);
    assert_int_equal(rovei_slab_used(s->t.env.slab), used);
    assert_int_equal(s->t.alloc.live, live);
}

static void test_envelope_bytes(void **state)
{
    (void)state;
    struct sealed s;
    uint8_t bytes[ROVEI_ENVELOPE_SIZE], longer[ROVEI_ENVELOPE_SIZE + 1];
    rovei_envelope e = {.box = {1, 2, 3}}, before = e;
    seal_known(&s);
    rovei_envelope_encode(&s.e, bytes);
    assert_hex(bytes, sizeof bytes, ENVELOPE_HEX);
    assert_ok(rovei_envelope_decode(&e, (rove_span){bytes, sizeof bytes}));
    assert_memory_equal(&e, &s.e, sizeof e);
    e = before;
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(rovei_envelope_decode(&e, (rove_span){bytes, size}), ROVE_E_SHORT);
    memcpy(longer, bytes, sizeof bytes);
    longer[sizeof bytes] = 0;
    assert_int_equal(rovei_envelope_decode(&e, (rove_span){longer, sizeof longer}),
                     ROVE_E_TRAILING);
    static const uint8_t versions[] = {0, 2, 255};
    for (size_t i = 0; i < sizeof versions; i++) {
        bytes[0] = versions[i];
        assert_int_equal(rovei_envelope_decode(&e, (rove_span){bytes, sizeof bytes}),
                         ROVE_E_VERSION);
    }
    assert_memory_equal(&e, &before, sizeof e);
    done(&s);
}

static void test_envelope_open(void **state)
{
    (void)state;
    struct sealed s;
    rovei_keypair *k;
    uint8_t sig[64];
    seal_known(&s);
    const rove_entity *entity = rovei_keypair_entity(s.daemon);
    assert_ok(rovei_envelope_open(&k, &s.t.env, &s.e, s.secret, &s.link, NULL));
    assert_true(rovei_entity_equal(rovei_keypair_entity(k), entity));
    assert_true(rovei_entity_equal(rovei_keypair_entity(k), &s.e.signer));
    assert_ok(rovei_keypair_sign(k, "x", 1, sig));
    assert_ok(rovei_ed25519_verify(entity, sig, "x", 1));
    rovei_keypair_unref(k);
    assert_ok(rovei_envelope_open(&k, &s.t.env, &s.e, s.secret, &s.link, entity));
    rovei_keypair_unref(k);
    done(&s);
}

/* Each way in which an envelope can be wrong, in the known bytes. */
static void test_envelope_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* byte that is flipped */
        rove_err err;
    } flips[] = {
        {1, ROVE_E_ENVELOPE_ATTEST},   {32, ROVE_E_ENVELOPE_ATTEST},  {40, ROVE_E_ENVELOPE_OPEN},
        {73, ROVE_E_ENVELOPE_OPEN},    {97, ROVE_E_ENVELOPE_OPEN},    {112, ROVE_E_ENVELOPE_OPEN},
        {145, ROVE_E_ENVELOPE_ATTEST}, {208, ROVE_E_ENVELOPE_ATTEST},
    };
    struct sealed s;
    uint8_t bytes[ROVEI_ENVELOPE_SIZE];
    rovei_envelope e;
    seal_known(&s);
    rovei_envelope_encode(&s.e, bytes);
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        bytes[flips[i].at] ^= 0x10;
        assert_ok(rovei_envelope_decode(&e, (rove_span){bytes, sizeof bytes}));
        expect_open(&s, &e, &s.link, NULL, flips[i].err);
        bytes[flips[i].at] ^= 0x10;
    }
    rove_link other = s.link;
    other.sequence = 2;
    expect_open(&s, &s.e, &other, NULL, ROVE_E_ENVELOPE_ATTEST);
    rove_entity stranger = entity_of_hex(known[1].entity);
    expect_open(&s, &s.e, &s.link, &stranger, ROVE_E_ENVELOPE_SIGNER);
    e = s.e;
    e.signer = (rove_entity){{2}};
    expect_open(&s, &e, &s.link, NULL, ROVE_E_ENVELOPE_SIGNER);
    /* With another recipient's key the seal fails; a bad signature is still seen first. */
    memset(s.secret, 0x22, sizeof s.secret);
    expect_open(&s, &s.e, &s.link, NULL, ROVE_E_ENVELOPE_OPEN);
    e = s.e;
    e.signature[9] ^= 1;
    expect_open(&s, &e, &s.link, NULL, ROVE_E_ENVELOPE_ATTEST);
    /* An expectation that fails is seen before all else. */
    expect_open(&s, &e, &other, &stranger, ROVE_E_ENVELOPE_SIGNER);
    done(&s);
}

/* A seal made properly, by a signer who puts somebody else's seed inside. */
static void test_envelope_foreign_seed(void **state)
{
    (void)state;
    struct sealed s;
    rovei_keypair *other;
    rovei_envelope e;
    uint8_t said[64];
    seal_known(&s);
    assert_ok(rovei_keypair_generate(&other, &s.t.env));
    memcpy(said, s.target, 32);
    rovei_writer w = rovei_writer_of(said + 32, 32);
    rovei_write_link(&w, &s.link);
    e = s.e;
    e.signer = *rovei_keypair_entity(other);
    assert_ok(rovei_keypair_sign(other, said, sizeof said, e.signature));
    expect_open(&s, &e, &s.link, NULL, ROVE_E_ENVELOPE_ATTEST);
    rovei_keypair_unref(other);
    done(&s);
}

static void test_envelope_weak(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    struct sealed s;
    rovei_envelope e, before;
    rovei_keypair *bare;
    seal_known(&s);
    memset(&e, 0x33, sizeof e);
    before = e;
    assert_int_equal(rovei_envelope_seal(&e, &s.t.env, s.daemon, zero, &s.link),
                     ROVE_E_WEAK_SECRET);
    assert_ok(rovei_keypair_public_only(&bare, &s.t.env, rovei_keypair_entity(s.daemon)));
    assert_int_equal(rovei_envelope_seal(&e, &s.t.env, bare, s.target, &s.link), ROVE_E_READ_ONLY);
    assert_int_equal(rovei_envelope_seal(&e, &s.t.env, bare, zero, &s.link), ROVE_E_READ_ONLY);
    assert_memory_equal(&e, &before, sizeof e);
    e = s.e;
    memset(e.ephemeral, 0, sizeof e.ephemeral);
    expect_open(&s, &e, &s.link, NULL, ROVE_E_ENVELOPE_OPEN);
    rovei_keypair_unref(bare);
    done(&s);
}

static void test_envelope_nomem(void **state)
{
    (void)state;
    struct sealed s;
    rovei_keypair *k;
    seal_known(&s);
    SWEEP_NOMEM(&s.t.alloc, rovei_envelope_open(&k, &s.t.env, &s.e, s.secret, &s.link, NULL));
    rovei_keypair_unref(k);
    done(&s);
}

/* Seal, encode, decode, open, for random keys and links. */
static void test_envelope_property(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 9);
    for (int round = 0; round < 25; round++) {
        uint8_t secret[32], target[32], bytes[ROVEI_ENVELOPE_SIZE], seed[32], back[32];
        rovei_keypair *daemon, *opened;
        rovei_envelope e, read;
        rove_link link = {next_random(&t.random), next_random(&t.random), next_random(&t.random),
                          next_random(&t.random)};
        random_bytes(&t.random, secret, sizeof secret);
        rovei_x25519_public(target, secret);
        assert_ok(rovei_keypair_generate(&daemon, &t.env));
        assert_ok(rovei_envelope_seal(&e, &t.env, daemon, target, &link));
        rovei_envelope_encode(&e, bytes);
        assert_ok(rovei_envelope_decode(&read, (rove_span){bytes, sizeof bytes}));
        assert_memory_equal(&e, &read, sizeof e);
        assert_ok(rovei_envelope_open(&opened, &t.env, &read, secret, &link,
                                      rovei_keypair_entity(daemon)));
        assert_ok(rovei_keypair_seed(daemon, seed));
        assert_ok(rovei_keypair_seed(opened, back));
        assert_memory_equal(seed, back, 32);
        rovei_keypair_unref(daemon);
        rovei_keypair_unref(opened);
    }
    test_env_fini(&t);
}

static void test_net_peers(void **state)
{
    (void)state;
    const uint64_t id = UINT64_C(0x8877665544332211);
    rove_entity e = rovei_entity_of_net(id);
    assert_hex(e.bytes, 32, "1122334455667788000000000000000000000000000000000000000000000000");
    assert_true(rovei_entity_is_net(&e));
    assert_int_equal(rovei_entity_node_id(&e), id);
    e.bytes[31] = 1; /* an entity like any other, with a node id that is derived */
    assert_false(rovei_entity_is_net(&e));
    assert_int_not_equal(rovei_entity_node_id(&e), id);
    rove_entity zero = {{0}};
    assert_false(rovei_entity_is_net(&zero));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_signing),
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_reserved_not_generated),
        cmocka_unit_test(test_keypair_x25519),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_net_peers),
        cmocka_unit_test(test_keypair_nomem),
        cmocka_unit_test(test_envelope_bytes),
        cmocka_unit_test(test_envelope_open),
        cmocka_unit_test(test_envelope_refused),
        cmocka_unit_test(test_envelope_foreign_seed),
        cmocka_unit_test(test_envelope_weak),
        cmocka_unit_test(test_envelope_nomem),
        cmocka_unit_test(test_envelope_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
