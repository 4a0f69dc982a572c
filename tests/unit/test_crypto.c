/* SPDX-License-Identifier: Apache-2.0
 *
 * The wrappers over the libraries, against published values, and the slab for secrets. */
#include "support.h"

#include <base/cursor.h>
#include <pthread.h>

static int start(void **state)
{
    (void)state;
    return rovei_crypto_init() == ROVE_OK ? 0 : -1;
}

static void test_xxh3(void **state)
{
    (void)state;
    assert_int_equal(rovei_xxh3(NULL, 0), UINT64_C(0x2d06800538d394c2));
    assert_int_equal(rovei_xxh3("sensors/temp", 12), UINT64_C(0xe477434ef307172d));
    assert_int_equal(rovei_xxh3_2("sensors", 7, "/temp", 5), UINT64_C(0xe477434ef307172d));
    assert_int_equal(rovei_xxh3_2(NULL, 0, NULL, 0), UINT64_C(0x2d06800538d394c2));
}

/* Joined on the stack, streamed and in one go: the same number around every boundary. */
static void test_xxh3_pieces(void **state)
{
    (void)state;
    uint64_t seed = 1;
    uint8_t bytes[2048];
    random_bytes(&seed, bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size += size < 520 ? 1 : 61) {
        size_t cut = below(&seed, size + 1);
        uint64_t whole = rovei_xxh3(bytes, size);
        assert_int_equal(rovei_xxh3_2(bytes, cut, bytes + cut, size - cut), whole);
        assert_int_equal(rovei_xxh3_2(bytes, size, NULL, 0), whole);
    }
}

static void test_blake2s(void **state)
{
    (void)state;
    uint8_t hash[32];
    rovei_blake2s(hash, "abc", 3);
    assert_hex(hash, 32, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    rovei_blake2s(hash, NULL, 0);
    assert_hex(hash, 32, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

static void test_blake2s_mac(void **state)
{
    (void)state;
    uint8_t hash[32], key[32];
    rove_entity e =
        entity_of_hex("2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
    rovei_blake2s_mac(hash, "net-origin-v1", 13, e.bytes, 32);
    assert_hex(hash, 32, "e43dbea60dc862c1220255baeda98941dbaccbec64b68b9ed33107c4c68c5bcd");
    rovei_blake2s_mac(hash, "net-node-id-v1", 14, e.bytes, 32);
    assert_hex(hash, 32, "6df8aedffdb911c26d9885060f29bc835d87c79320a542ab4e8363a6f4c5250c");
    /* The first of the published keyed vectors: key 00..1f, no message. */
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    rovei_blake2s_mac(hash, key, 32, NULL, 0);
    assert_hex(hash, 32, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49");
    rovei_blake2s_mac(hash, key, 32, "\0", 1);
    assert_hex(hash, 32, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1");
}

static void test_hmac_blake2s(void **state)
{
    (void)state;
    uint8_t key[32], whole[32], pieces[32], by_hand[32];
    uint8_t inner[64 + 5], outer[64 + 32];
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(i * 7);
    rovei_hmac_blake2s(whole, key, span_of("hello"), (rove_span){NULL, 0});
    rovei_hmac_blake2s(pieces, key, span_of("he"), span_of("llo"));
    assert_memory_equal(whole, pieces, 32);
    for (size_t i = 0; i < 64; i++) {
        inner[i] = (uint8_t)((i < 32 ? key[i] : 0) ^ 0x36);
        outer[i] = (uint8_t)((i < 32 ? key[i] : 0) ^ 0x5c);
    }
    const char text[5] = {'h', 'e', 'l', 'l', 'o'};
    memcpy(inner + 64, text, sizeof text);
    rovei_blake2s(outer + 64, inner, sizeof inner);
    rovei_blake2s(by_hand, outer, sizeof outer);
    assert_memory_equal(whole, by_hand, 32);
}

static void test_digest(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    uint8_t hash[32];
    struct rovei_digest *d = rovei_digest_new(&a.alloc);
    assert_non_null(d);
    rovei_digest_add(d, "a", 1);
    rovei_digest_add(d, NULL, 0);
    rovei_digest_add(d, "bc", 2);
    rovei_digest_end(d, hash);
    assert_hex(hash, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rovei_digest_free(d);
    rovei_digest_free(NULL);
    a.fail_at = a.calls;
    assert_null(rovei_digest_new(&a.alloc));
    assert_int_equal(a.live, 0);
}

/* Published vectors of this AEAD use nonces that the wrappers cannot form, so the two libraries
 * check each other; the Noise vectors check both against the world. */
static void test_aead_both_libraries(void **state)
{
    (void)state;
    uint64_t seed = 2;
    uint8_t key[32], text[3000], sealed[3016], other[3016], opened[3000], aad[13], mark[3];
    random_bytes(&seed, key, sizeof key);
    random_bytes(&seed, text, sizeof text);
    random_bytes(&seed, mark, sizeof mark);
    struct rovei_aead *c = rovei_aead_new(&rovei_alloc_libc, key, true);
    struct rovei_aead *o = rovei_aead_new(&rovei_alloc_libc, key, false);
    assert_true(c && o);
    for (size_t size = 0; size <= sizeof text; size += size < 130 ? 1 : 287) {
        uint64_t nonce = next_random(&seed);
        rove_span with = {aad, sizeof aad};
        rovei_store64(aad, nonce);
        memcpy(aad + 8, mark, sizeof mark);
        aad[11] = (uint8_t)(size >> 8);
        aad[12] = (uint8_t)size;
        rovei_aead_seal(c, nonce, mark, text, size, sealed);
        rovei_chachapoly_seal(key, nonce, with, text, size, other);
        assert_memory_equal(sealed, other, size + 16);
        assert_ok(rovei_aead_open(o, nonce, mark, sealed, size + 16, opened));
        assert_memory_equal(opened, text, size);
        assert_ok(rovei_chachapoly_open(key, nonce, with, other, size + 16, other));
        assert_memory_equal(other, text, size);
        memcpy(other, text, size);
        rovei_aead_seal(c, nonce, mark, other, size, other);
        assert_memory_equal(other, sealed, size + 16);
        assert_ok(rovei_aead_open(o, nonce, mark, other, size + 16, other));
        assert_memory_equal(other, text, size);
    }
    rovei_aead_free(c);
    rovei_aead_free(o);
    rovei_aead_free(NULL);
}

static void test_aead_refuses(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, sealed[48], opened[32], text[32] = "what nobody else may read";
    static const uint8_t zero[32];
    static const uint8_t mark[3] = "abc", another[3] = "abd";
    uint8_t aad_bytes[13] = {7, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 0, 32};
    rove_span aad = {aad_bytes, sizeof aad_bytes};
    struct rovei_aead *s = rovei_aead_new(&rovei_alloc_libc, key, true);
    struct rovei_aead *c = rovei_aead_new(&rovei_alloc_libc, key, false);
    assert_true(s && c);
    rovei_aead_seal(s, 7, mark, text, 32, sealed);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(opened, 0xEE, sizeof opened);
        assert_int_equal(rovei_aead_open(c, 7, mark, sealed, 48, opened), ROVE_E_AUTH);
        assert_memory_equal(opened, zero, 32);
        assert_int_equal(rovei_chachapoly_open(key, 7, aad, sealed, 48, opened), ROVE_E_AUTH);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(rovei_aead_open(c, 8, mark, sealed, 48, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_aead_open(c, 7, another, sealed, 48, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_aead_open(c, 7, mark, sealed, 47, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_aead_open(c, 7, mark, sealed, 15, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_aead_open(c, 7, mark, sealed, 0, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_chachapoly_open(key, 7, aad, sealed, 15, opened), ROVE_E_AUTH);
    /* A refusal spoils nothing: the next packet opens. */
    assert_ok(rovei_aead_open(c, 7, mark, sealed, 48, opened));
    assert_memory_equal(opened, text, 32);
    rovei_aead_free(c);
    rovei_aead_free(s);
}

/* draft-irtf-cfrg-xchacha-03, A.3.1. */
static void test_xchacha(void **state)
{
    (void)state;
    const char *text = "Ladies and Gentlemen of the class of '99: If I could offer you only one "
                       "tip for the future, sunscreen would be it.";
    uint8_t key[32], nonce[24], aad[12], sealed[114 + 16], opened[114];
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(0x80 + i);
    for (size_t i = 0; i < 24; i++)
        nonce[i] = (uint8_t)(0x40 + i);
    hex_to(aad, sizeof aad, "50515253c0c1c2c3c4c5c6c7");
    rove_span with = {aad, sizeof aad};
    rovei_xchacha_seal(key, nonce, with, (const uint8_t *)text, 114, sealed);
    assert_hex(sealed + 114, 16, "c0875924c1c7987947deafd8780acf49");
    assert_hex(sealed, 16, "bd6d179d3e83d43b9576579493c0e939");
    assert_ok(rovei_xchacha_open(key, nonce, with, sealed, 130, opened));
    assert_memory_equal(opened, text, 114);
    sealed[3] ^= 1;
    assert_int_equal(rovei_xchacha_open(key, nonce, with, sealed, 130, opened), ROVE_E_AUTH);
    assert_int_equal(rovei_xchacha_open(key, nonce, with, sealed, 15, opened), ROVE_E_AUTH);
}

/* RFC 7748, 6.1. */
static void test_x25519(void **state)
{
    (void)state;
    uint8_t secret[32], public[32], peer[32], shared[32];
    hex_to(secret, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    hex_to(peer, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    rovei_x25519_public(public, secret);
    assert_hex(public, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_ok(rovei_x25519(shared, secret, peer));
    assert_hex(shared, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* Points whose product with every scalar is the neutral one. */
static void test_x25519_weak(void **state)
{
    (void)state;
    static const char *const weak[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t secret[32] = {9}, peer[32], shared[32];
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        hex_to(peer, 32, weak[i]);
        memset(shared, 0xEE, 32);
        assert_int_equal(rovei_x25519(shared, secret, peer), ROVE_E_WEAK_SECRET);
        assert_int_equal(shared[0], 0xEE);
    }
}

static void test_ed25519(void **state)
{
    (void)state;
    uint8_t seed[32], secret[64], sig[64];
    rove_entity e;
    memset(seed, 0x42, sizeof seed);
    rovei_ed25519_from_seed(seed, secret, &e);
    assert_hex(e.bytes, 32, "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
    rovei_ed25519_sign(sig, secret, "hello, mesh", 11);
    assert_hex(sig, 64,
               "7ddaf92daa663ed4384bf25cb122b7a8f695ec74d5e96210726b775f0dc38eb0"
               "b1c2cb242ec774565dff664c45469e4d711fa11b4087d00d3af19485bbc91b06");
    assert_ok(rovei_ed25519_verify(&e, sig, "hello, mesh", 11));
    assert_int_equal(rovei_ed25519_verify(&e, sig, "hello, mess", 11), ROVE_E_SIGNATURE);
    for (size_t i = 0; i < 64; i++) {
        sig[i] ^= 0x40;
        assert_int_equal(rovei_ed25519_verify(&e, sig, "hello, mesh", 11), ROVE_E_SIGNATURE);
        sig[i] ^= 0x40;
    }
}

/* S + L is the same scalar in a second spelling. */
static void test_ed25519_second_spelling(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    uint8_t seed[32] = {5}, secret[64], sig[64];
    rove_entity e;
    rovei_ed25519_from_seed(seed, secret, &e);
    rovei_ed25519_sign(sig, secret, "x", 1);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(rovei_ed25519_verify(&e, sig, "x", 1), ROVE_E_SIGNATURE);
}

static void test_ed25519_bad_keys(void **state)
{
    (void)state;
    rove_entity no_point = {{2}}, neutral = {{1}};
    uint8_t sig[64] = {1};
    assert_int_equal(rovei_ed25519_verify(&no_point, sig, "x", 1), ROVE_E_PUBLIC_KEY);
    memset(sig, 0x5A, sizeof sig);
    assert_int_equal(rovei_ed25519_verify(&no_point, sig, "x", 1), ROVE_E_PUBLIC_KEY);
    /* The neutral point as key and R signs everything under a lax check. */
    memset(sig, 0, sizeof sig);
    sig[0] = 1;
    assert_int_equal(rovei_ed25519_verify(&neutral, sig, "x", 1), ROVE_E_SIGNATURE);
}

static void test_images(void **state)
{
    (void)state;
    uint64_t seed = 3;
    uint8_t bytes[32], secret[64], image[32], image_secret[32], public[32], other[32];
    rove_entity e;
    for (int i = 0; i < 20; i++) {
        random_bytes(&seed, bytes, sizeof bytes);
        rovei_ed25519_from_seed(bytes, secret, &e);
        assert_ok(rovei_ed25519_image(image, &e));
        rovei_ed25519_image_secret(image_secret, secret);
        rovei_x25519_public(public, image_secret);
        assert_memory_equal(image, public, 32);
        /* The negative of the point has the same image, so an image does not name an entity. */
        e.bytes[31] ^= 0x80;
        assert_ok(rovei_ed25519_image(other, &e));
        assert_memory_equal(image, other, 32);
    }
}

static void test_images_refused(void **state)
{
    (void)state;
    static const char *const small[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    };
    uint8_t image[32] = {0xEE}, seed[32] = {7}, secret[64];
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        rove_entity e = entity_of_hex(small[i]);
        assert_int_equal(rovei_ed25519_image(image, &e), ROVE_E_NO_IMAGE);
    }
    rove_entity no_point = {{2}};
    assert_int_equal(rovei_ed25519_image(image, &no_point), ROVE_E_PUBLIC_KEY);
    /* A point of mixed order: an honest key plus the point of order two, (0, -1). Adding it
     * negates both coordinates. */
    rove_entity honest, mixed;
    rovei_ed25519_from_seed(seed, secret, &honest);
    unsigned borrow = 0;
    for (size_t i = 0; i < 32; i++) {
        unsigned p = i == 0 ? 0xed : i == 31 ? 0x7f : 0xff;
        unsigned y = honest.bytes[i] & (i == 31 ? 0x7fu : 0xffu);
        unsigned v = p + 0x100 - y - borrow;
        mixed.bytes[i] = (uint8_t)v;
        borrow = v < 0x100;
    }
    mixed.bytes[31] |= (uint8_t)(~honest.bytes[31] & 0x80);
    assert_int_equal(rovei_ed25519_image(image, &mixed), ROVE_E_NO_IMAGE);
    assert_int_equal(image[0], 0xEE);
}

static void test_small_things(void **state)
{
    (void)state;
    uint8_t a[16], b[16] = {0};
    assert_ok(rovei_crypto_init());
    rovei_rng_fill(&rovei_rng_system, a, sizeof a);
    rovei_rng_fill(&rovei_rng_system, b, sizeof b);
    assert_false(rovei_equal(a, b, sizeof a));
    assert_true(rovei_equal(a, a, sizeof a));
    assert_true(rovei_equal(a, b, 0));
    rovei_wipe(a, sizeof a);
    memset(b, 0, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    rovei_wipe(NULL, 0);
}

/* ---- the slab ---- */

static void test_slab_slots(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    test_alloc a;
    test_alloc_init(&a);
    struct rovei_slab *s;
    uint8_t *slots[COUNT];
    assert_ok(rovei_slab_new(&s, &a.alloc));
    for (size_t i = 0; i < COUNT; i++) {
        static const uint8_t zero[ROVEI_SLOT_SIZE];
        slots[i] = rovei_slab_get(s);
        assert_non_null(slots[i]);
        assert_int_equal((uintptr_t)slots[i] % 16, 0);
        assert_memory_equal(slots[i], zero, ROVEI_SLOT_SIZE);
        memset(slots[i], (int)i, ROVEI_SLOT_SIZE);
    }
    assert_int_equal(rovei_slab_used(s), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < ROVEI_SLOT_SIZE; j++)
            assert_int_equal(slots[i][j], (uint8_t)i);
    for (size_t i = 0; i < COUNT; i++)
        rovei_slab_put(s, slots[i * 7 % COUNT]);
    rovei_slab_put(s, NULL);
    assert_int_equal(rovei_slab_used(s), 0);
    rovei_slab_free(s);
    rovei_slab_free(NULL);
    assert_int_equal(a.live, 0);
}

/* A slot that is given back is wiped and used again; others keep what they hold. */
static void test_slab_random(void **state)
{
    (void)state;
    enum { COUNT = 700 };
    uint64_t seed = 4;
    struct rovei_slab *s;
    uint8_t *slots[COUNT] = {0}, marks[COUNT] = {0};
    assert_ok(rovei_slab_new(&s, &rovei_alloc_libc));
    size_t used = 0;
    for (int step = 0; step < 20000; step++) {
        size_t i = below(&seed, COUNT);
        if (slots[i]) {
            assert_int_equal(slots[i][0], marks[i]);
            assert_int_equal(slots[i][63], marks[i]);
            rovei_slab_put(s, slots[i]);
            slots[i] = NULL;
            used--;
        } else if (below(&seed, 3) || step % 5000 < 2500) {
            slots[i] = rovei_slab_get(s);
            assert_non_null(slots[i]);
            assert_int_equal(slots[i][0] | slots[i][63], 0);
            marks[i] = (uint8_t)next_random(&seed);
            slots[i][0] = slots[i][63] = marks[i];
            used++;
        }
        assert_int_equal(rovei_slab_used(s), used);
    }
    for (size_t i = 0; i < COUNT; i++)
        rovei_slab_put(s, slots[i]);
    rovei_slab_free(s);
}

static rove_err slab_attempt(test_alloc *a)
{
    struct rovei_slab *s;
    rove_err err = rovei_slab_new(&s, &a->alloc);
    if (err)
        return err;
    void *slot = rovei_slab_get(s);
    rovei_slab_put(s, slot);
    rovei_slab_free(s);
    return slot ? ROVE_OK : ROVE_E_NOMEM;
}

static void test_slab_nomem(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    SWEEP_NOMEM(&a, slab_attempt(&a));
    struct rovei_digest *d = NULL;
    struct rovei_aead *c = NULL;
    uint8_t key[32] = {0};
    SWEEP_NOMEM(&a, (c = rovei_aead_new(&a.alloc, key, true)) ? ROVE_OK : ROVE_E_NOMEM);
    SWEEP_NOMEM(&a, (d = rovei_digest_new(&a.alloc)) ? ROVE_OK : ROVE_E_NOMEM);
    rovei_aead_free(c);
    rovei_digest_free(d);
    assert_int_equal(a.live, 0);
}

static void *hammer(void *user)
{
    struct rovei_slab *s = user;
    uint8_t *held[40];
    uintptr_t sum = 0;
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < 40; i++) {
            held[i] = rovei_slab_get(s);
            if (!held[i])
                return NULL;
            memset(held[i], (int)i, ROVEI_SLOT_SIZE);
        }
        for (size_t i = 0; i < 40; i++) {
            sum += held[i][5] == i;
            rovei_slab_put(s, held[i]);
        }
    }
    return (void *)sum;
}

static void test_slab_threads(void **state)
{
    (void)state;
    struct rovei_slab *s;
    pthread_t threads[4];
    assert_ok(rovei_slab_new(&s, &rovei_alloc_libc));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, s), 0);
    for (size_t i = 0; i < 4; i++) {
        void *sum;
        assert_int_equal(pthread_join(threads[i], &sum), 0);
        assert_int_equal((uintptr_t)sum, 4000);
    }
    assert_int_equal(rovei_slab_used(s), 0);
    rovei_slab_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xxh3),
        cmocka_unit_test(test_xxh3_pieces),
        cmocka_unit_test(test_blake2s),
        cmocka_unit_test(test_blake2s_mac),
        cmocka_unit_test(test_hmac_blake2s),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_aead_both_libraries),
        cmocka_unit_test(test_aead_refuses),
        cmocka_unit_test(test_xchacha),
        cmocka_unit_test(test_x25519),
        cmocka_unit_test(test_x25519_weak),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_ed25519_second_spelling),
        cmocka_unit_test(test_ed25519_bad_keys),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_images_refused),
        cmocka_unit_test(test_small_things),
        cmocka_unit_test(test_slab_slots),
        cmocka_unit_test(test_slab_random),
        cmocka_unit_test(test_slab_nomem),
        cmocka_unit_test(test_slab_threads),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
