/* SPDX-License-Identifier: Apache-2.0
 *
 * The state snapshot: known bytes, every refusal, and the envelope inside of it. */
#include "support.h"

#include <state/snapshot.h>

/* The daemon of 32 x 42 after one output: state "state", no bindings, no envelope. */
#define KNOWN_HEX                                                                                  \
    "43445331022152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12"                   \
    "0100000000000000"                                                                             \
    "e43dbea60dc862c10000000000000000010000000000000074cf42a5a33f459b"                             \
    "00002a36fe9c9717"                                                                             \
    "050000007374617465"                                                                           \
    "00000000"                                                                                     \
    "00"

#define GENESIS_HEX                                                                                \
    "43445331022152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12"                   \
    "0000000000000000"                                                                             \
    "e43dbea60dc862c1000000000000000000000000000000000000000000000000"                             \
    "0000000000000000"                                                                             \
    "0100000073"                                                                                   \
    "00000000"                                                                                     \
    "00"

#define BINDINGS_HEX                                                                               \
    "02000000ddddccccbbbbaaaa0d0073656e736f72732f6c69646172"                                       \
    "0044443333222211110d00636f6e74726f6c2f6573746f70010400deadbeef"

/* Places in the first of them. */
#define AT_VERSION     4
#define AT_ENTITY      5
#define AT_THROUGH     37
#define AT_LINK        45
#define AT_CREATED     77
#define AT_STATE_LEN   85
#define AT_BINDING_LEN 94
#define AT_FLAG        98
#define KNOWN_SIZE     99

static rove_buf *encode(const rovei_snapshot *s)
{
    size_t size;
    assert_ok(rovei_snapshot_size(s, &size));
    rove_buf *buf = rovei_buf_alloc(&rovei_alloc_libc, size);
    assert_non_null(buf);
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), size);
    rovei_snapshot_encode(s, &w);
    assert_int_equal(w.err, ROVE_OK);
    assert_int_equal(rovei_writer_size(&w), size);
    return buf;
}

static void fill_22(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 0x22, size);
}

struct fixture {
    test_env t;
    rovei_keypair *daemon;
    uint8_t secret[32], target[32];
    uint8_t known[KNOWN_SIZE];
    rovei_snapshot s;
};

static void setup(struct fixture *f)
{
    uint8_t seed[32];
    test_env_init(&f->t, 1);
    f->t.env.rng = (rovei_rng){fill_22, NULL};
    memset(seed, 0x42, sizeof seed);
    memset(f->secret, 0x11, sizeof f->secret);
    rovei_x25519_public(f->target, f->secret);
    assert_ok(rovei_keypair_from_seed(&f->daemon, &f->t.env, seed));
    assert_int_equal(hex_to(f->known, KNOWN_SIZE, KNOWN_HEX), KNOWN_SIZE);
    assert_ok(rovei_snapshot_decode(&f->s, (rove_span){f->known, KNOWN_SIZE}));
}

static void done(struct fixture *f)
{
    rovei_keypair_unref(f->daemon);
    test_env_fini(&f->t);
}

static void test_known(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    assert_true(rovei_entity_equal(&f.s.entity, rovei_keypair_entity(f.daemon)));
    assert_int_equal(f.s.through_seq, 1);
    assert_int_equal(f.s.link.sequence, 1);
    assert_int_equal(f.s.link.origin, rovei_keypair_origin(f.daemon));
    assert_int_equal(f.s.created_at, UINT64_C(1700000000000000000));
    assert_span(f.s.state, "state", 5);
    assert_int_equal(f.s.bindings.size, 0);
    assert_false(f.s.has_envelope);
    rove_buf *buf = encode(&f.s);
    assert_hex(rovei_buf_data(buf), rovei_buf_size(buf), KNOWN_HEX);
    rove_buf_unref(buf);

    rovei_snapshot genesis = {
        .entity = f.s.entity,
        .link = rovei_link_genesis(f.s.link.origin, 0),
        .state = span_of("s"),
    };
    buf = encode(&genesis);
    assert_hex(rovei_buf_data(buf), rovei_buf_size(buf), GENESIS_HEX);
    rove_buf_unref(buf);
    done(&f);
}

/* With bindings and envelope: 366 bytes of a known digest. */
static void test_known_sealed(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bindings[58], hash[32];
    setup(&f);
    assert_int_equal(hex_to(bindings, sizeof bindings, BINDINGS_HEX), 58);
    f.s.bindings = (rove_span){bindings, sizeof bindings};
    assert_ok(rovei_snapshot_seal(&f.s, &f.t.env, f.daemon, f.target));
    assert_true(f.s.has_envelope);
    rove_buf *buf = encode(&f.s);
    assert_int_equal(rovei_buf_size(buf), 366);
    struct rovei_digest *d = rovei_digest_new(&rovei_alloc_libc);
    assert_non_null(d);
    rovei_digest_add(d, rovei_buf_data(buf), rovei_buf_size(buf));
    rovei_digest_end(d, hash);
    rovei_digest_free(d);
    assert_hex(hash, 32, "c86deb0e68ca90479f5e173dae225b4235600412fba89c442a5191f7c8cc7064");

    rovei_snapshot back;
    assert_ok(rovei_snapshot_decode(&back, rove_buf_span(buf)));
    assert_span(back.bindings, bindings, sizeof bindings);
    assert_true(back.has_envelope);
    assert_memory_equal(&back.envelope, &f.s.envelope, sizeof back.envelope);
    rove_buf_unref(buf);
    done(&f);
}

/* What the next output's parent is, for each payload that a restore may put behind the head. */
static void test_restored_heads(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t genesis[95];
    rovei_snapshot g;
    setup(&f);
    assert_int_equal(rovei_link_forward(&f.s.link, span_of("event")), UINT64_C(0x78ec827666258ae7));
    assert_int_equal(rovei_link_forward(&f.s.link, f.s.state), UINT64_C(0xa0e5f299bc54fa85));
    assert_int_equal(hex_to(genesis, sizeof genesis, GENESIS_HEX), sizeof genesis);
    assert_ok(rovei_snapshot_decode(&g, (rove_span){genesis, sizeof genesis}));
    rove_buf *payload = rovei_buf_copy(&rovei_alloc_libc, g.state.data, g.state.size);
    assert_non_null(payload);
    rove_buf *const heads[] = {NULL, payload};
    const uint64_t parents[] = {UINT64_C(0x9b453fa3a542cf74), UINT64_C(0x23553412f48a98d4)};
    for (size_t i = 0; i < 2; i++) {
        rovei_chain c;
        rove_link link;
        rovei_chain_from_head(&c, &g.link, heads[i]);
        assert_ok(rovei_chain_append(&c, NULL, 0, &link));
        assert_int_equal(link.parent, parents[i]);
        assert_int_equal(link.sequence, 1);
        rovei_chain_fini(&c);
    }
    rove_buf_unref(payload);
    done(&f);
}

static void expect(const void *bytes, size_t size, rove_err err)
{
    rovei_snapshot s, before;
    memset(&s, 0x5A, sizeof s);
    before = s;
    assert_int_equal(rovei_snapshot_decode(&s, (rove_span){bytes, size}), err);
    assert_memory_equal(&s, &before, sizeof s);
}

static void test_refused_lengths(void **state)
{
    (void)state;
    uint8_t known[KNOWN_SIZE + 1] = {0};
    hex_to(known, KNOWN_SIZE, KNOWN_HEX);
    for (size_t size = 0; size < KNOWN_SIZE; size++)
        expect(known, size, size < 4 ? ROVE_E_MAGIC : ROVE_E_SHORT);
    expect(NULL, 0, ROVE_E_MAGIC);
    expect(known, KNOWN_SIZE + 1, ROVE_E_TRAILING);
    static const uint32_t lengths[] = {15, 1000, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        rovei_store32(known + AT_STATE_LEN, lengths[i]);
        expect(known, KNOWN_SIZE, ROVE_E_SHORT);
    }
    rovei_store32(known + AT_STATE_LEN, 5);
    rovei_store32(known + AT_BINDING_LEN, 2);
    expect(known, KNOWN_SIZE, ROVE_E_SHORT);
    rovei_store32(known + AT_BINDING_LEN, 1); /* swallows the flag */
    expect(known, KNOWN_SIZE, ROVE_E_SHORT);
    rovei_store32(known + AT_BINDING_LEN, UINT32_MAX);
    expect(known, KNOWN_SIZE, ROVE_E_SHORT);
}

static void test_refused_values(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        rove_err err;
    } changes[] = {
        {0, 'c', ROVE_E_MAGIC},
        {3, '2', ROVE_E_MAGIC},
        {AT_VERSION, 0, ROVE_E_VERSION},
        {AT_VERSION, 1, ROVE_E_VERSION},
        {AT_VERSION, 3, ROVE_E_VERSION},
        {AT_VERSION, 0xFE, ROVE_E_VERSION},
        {AT_FLAG, 2, ROVE_E_FLAG},
        {AT_FLAG, 0xFF, ROVE_E_FLAG},
        {AT_FLAG, 1, ROVE_E_SNAPSHOT_ENVELOPE},
        {AT_THROUGH, 2, ROVE_E_SNAPSHOT_SEQUENCE},
        {AT_THROUGH + 7, 1, ROVE_E_SNAPSHOT_SEQUENCE},
        {AT_LINK + 16, 0, ROVE_E_SNAPSHOT_SEQUENCE},
        {AT_LINK, 0, ROVE_E_SNAPSHOT_ORIGIN},
        {AT_ENTITY, 0, ROVE_E_SNAPSHOT_ORIGIN},
        {AT_STATE_LEN, 4, ROVE_E_SHORT},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t bytes[KNOWN_SIZE];
        hex_to(bytes, KNOWN_SIZE, KNOWN_HEX);
        bytes[changes[i].at] = changes[i].value;
        expect(bytes, KNOWN_SIZE, changes[i].err);
    }
    /* A layout from before there was a magic. */
    uint8_t bytes[KNOWN_SIZE];
    hex_to(bytes, KNOWN_SIZE, KNOWN_HEX);
    expect(bytes + 5, KNOWN_SIZE - 5, ROVE_E_MAGIC);
}

static void test_refused_envelopes(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    assert_ok(rovei_snapshot_seal(&f.s, &f.t.env, f.daemon, f.target));
    rove_buf *buf = encode(&f.s);
    uint8_t *bytes = rovei_buf_data(buf);
    size_t size = rovei_buf_size(buf);
    assert_int_equal(size, KNOWN_SIZE + ROVEI_ENVELOPE_SIZE);
    for (size_t cut = KNOWN_SIZE; cut < size; cut++)
        expect(bytes, cut, ROVE_E_SNAPSHOT_ENVELOPE);
    bytes[AT_FLAG] = 0;
    expect(bytes, size, ROVE_E_TRAILING);
    bytes[AT_FLAG] = 1;
    static const uint8_t versions[] = {0, 2, 255};
    for (size_t i = 0; i < sizeof versions; i++) {
        bytes[KNOWN_SIZE] = versions[i];
        expect(bytes, size, ROVE_E_SNAPSHOT_ENVELOPE);
    }
    rove_buf_unref(buf);
    done(&f);
}

/* What the format does not look at. */
static void test_accepted(void **state)
{
    (void)state;
    uint8_t bytes[KNOWN_SIZE];
    rovei_snapshot s;
    hex_to(bytes, KNOWN_SIZE, KNOWN_HEX);
    bytes[AT_CREATED] ^= 0xFF;
    bytes[AT_LINK + 8] ^= 0xFF;
    bytes[AT_LINK + 24] ^= 0xFF;
    assert_ok(rovei_snapshot_decode(&s, (rove_span){bytes, KNOWN_SIZE}));
    /* An entity that is no point of the curve, its hash being right. */
    rove_entity no_point = {{2}};
    rovei_snapshot made = {
        .entity = no_point,
        .link = rovei_link_genesis(rovei_entity_origin(&no_point), 0),
        .bindings = span_of("not a ledger"),
    };
    rove_buf *buf = encode(&made);
    assert_ok(rovei_snapshot_decode(&s, rove_buf_span(buf)));
    assert_span(s.bindings, "not a ledger", 12);
    assert_int_equal(s.state.size, 0);
    rove_buf_unref(buf);
}

static void test_sizes(void **state)
{
    (void)state;
    rovei_snapshot s = {.through_seq = 0};
    size_t size = 7;
    uint8_t byte[1];
    s.state = (rove_span){byte, UINT32_MAX};
    assert_ok(rovei_snapshot_size(&s, &size));
    assert_int_equal(size, 94 + (size_t)UINT32_MAX);
    size = 7;
    s.state.size++;
    assert_int_equal(rovei_snapshot_size(&s, &size), ROVE_E_SNAPSHOT_SIZE);
    rovei_writer w = rovei_writer_of(byte, 1);
    rovei_snapshot_encode(&s, &w);
    assert_int_equal(w.err, ROVE_E_SNAPSHOT_SIZE);
    assert_int_equal(rovei_writer_size(&w), 0);
    s.state.size = 0;
    s.bindings = (rove_span){byte, (size_t)UINT32_MAX + 1};
    assert_int_equal(rovei_snapshot_size(&s, &size), ROVE_E_SNAPSHOT_SIZE);
    assert_int_equal(size, 7);
    s.bindings.size = 0;
    rovei_snapshot_encode(&s, &w);
    assert_int_equal(w.err, ROVE_E_SNAPSHOT_SIZE);
    w = rovei_writer_of(byte, 1);
    rovei_snapshot_encode(&s, &w);
    assert_int_equal(w.err, ROVE_E_FULL);
}

static void test_open(void **state)
{
    (void)state;
    struct fixture f;
    rovei_snapshot back;
    rovei_keypair *k = NULL;
    uint8_t sig[64];
    setup(&f);
    /* Without an envelope: nothing, and no error. */
    k = f.daemon;
    assert_ok(rovei_snapshot_open(&k, &f.t.env, &f.s, f.secret));
    assert_null(k);
    assert_ok(rovei_snapshot_seal(&f.s, &f.t.env, f.daemon, f.target));
    rove_buf *buf = encode(&f.s);
    assert_ok(rovei_snapshot_decode(&back, rove_buf_span(buf)));
    assert_ok(rovei_snapshot_open(&k, &f.t.env, &back, f.secret));
    assert_true(rovei_entity_equal(rovei_keypair_entity(k), &back.entity));
    assert_ok(rovei_keypair_sign(k, "x", 1, sig));
    rovei_keypair_unref(k);
    SWEEP_NOMEM(&f.t.alloc, rovei_snapshot_open(&k, &f.t.env, &back, f.secret));
    rovei_keypair_unref(k);
    rove_buf_unref(buf);

    /* The envelope holds at this link only, for this recipient only. */
    back = f.s;
    back.link.sequence++;
    assert_int_equal(rovei_snapshot_open(&k, &f.t.env, &back, f.secret), ROVE_E_ENVELOPE_ATTEST);
    memset(f.secret, 0x12, sizeof f.secret);
    assert_int_equal(rovei_snapshot_open(&k, &f.t.env, &f.s, f.secret), ROVE_E_ENVELOPE_OPEN);
    done(&f);
}

static void test_open_impostor(void **state)
{
    (void)state;
    struct fixture f;
    rovei_keypair *impostor, *bare, *k = NULL;
    setup(&f);
    assert_ok(rovei_keypair_generate(&impostor, &f.t.env));
    assert_ok(rovei_snapshot_seal(&f.s, &f.t.env, impostor, f.target));
    assert_int_equal(rovei_snapshot_open(&k, &f.t.env, &f.s, f.secret), ROVE_E_ENVELOPE_SIGNER);
    assert_null(k);
    f.s.has_envelope = false;
    assert_ok(rovei_keypair_public_only(&bare, &f.t.env, &f.s.entity));
    assert_int_equal(rovei_snapshot_seal(&f.s, &f.t.env, bare, f.target), ROVE_E_READ_ONLY);
    assert_false(f.s.has_envelope);
    rovei_keypair_unref(impostor);
    rovei_keypair_unref(bare);
    done(&f);
}

static void test_large_state(void **state)
{
    (void)state;
    enum { SIZE = 4 << 20 };
    struct fixture f;
    rovei_snapshot back;
    uint8_t *big = malloc(SIZE);
    assert_non_null(big);
    memset(big, 0xAB, SIZE);
    setup(&f);
    f.s.state = (rove_span){big, SIZE};
    rove_buf *buf = encode(&f.s);
    assert_ok(rovei_snapshot_decode(&back, rove_buf_span(buf)));
    assert_span(back.state, big, SIZE);
    rove_buf_unref(buf);
    free(big);
    done(&f);
}

static void test_property(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 2);
    for (int round = 0; round < 60; round++) {
        uint8_t bytes[600], target[32];
        rovei_keypair *k;
        rovei_snapshot back;
        assert_ok(rovei_keypair_generate(&k, &t.env));
        random_bytes(&t.random, bytes, sizeof bytes);
        random_bytes(&t.random, target, sizeof target);
        size_t cut = below(&t.random, sizeof bytes), end = below(&t.random, sizeof bytes - cut);
        uint64_t sequence = next_random(&t.random);
        rovei_snapshot s = {
            .entity = *rovei_keypair_entity(k),
            .through_seq = sequence,
            .link = {rovei_keypair_origin(k), next_random(&t.random), sequence,
                     next_random(&t.random)},
            .created_at = next_random(&t.random),
            .state = {bytes, cut},
            .bindings = {bytes + cut, end},
        };
        if (round % 2)
            assert_ok(rovei_snapshot_seal(&s, &t.env, k, target));
        rove_buf *buf = encode(&s);
        assert_ok(rovei_snapshot_decode(&back, rove_buf_span(buf)));
        assert_true(rovei_entity_equal(&back.entity, &s.entity));
        assert_true(rovei_link_equal(&back.link, &s.link));
        assert_int_equal(back.created_at, s.created_at);
        assert_span(back.state, bytes, cut);
        assert_span(back.bindings, bytes + cut, end);
        rove_buf *again = encode(&back);
        assert_span(rove_buf_span(again), rovei_buf_data(buf), rovei_buf_size(buf));
        /* Whatever byte is changed, decoding ends well or refuses; nothing else happens. */
        size_t at = below(&t.random, rovei_buf_size(buf));
        rovei_buf_data(buf)[at] ^= (uint8_t)(1 + below(&t.random, 255));
        rove_err err = rovei_snapshot_decode(&back, rove_buf_span(buf));
        assert_true(err == ROVE_OK || rove_err_class_of(err) == ROVE_CLASS_PEER);
        rove_buf_unref(again);
        rove_buf_unref(buf);
        rovei_keypair_unref(k);
    }
    test_env_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),          cmocka_unit_test(test_known_sealed),
        cmocka_unit_test(test_restored_heads), cmocka_unit_test(test_refused_lengths),
        cmocka_unit_test(test_refused_values), cmocka_unit_test(test_refused_envelopes),
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_open),           cmocka_unit_test(test_open_impostor),
        cmocka_unit_test(test_large_state),    cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
