/* SPDX-License-Identifier: Apache-2.0
 *
 * The container: known bytes, the way out and in, and every kind of damage. */
#include "support.h"

#include <identity/entity.h>
#include <state/container.h>

/* A counter of the daemon of 32 x 42 after seven events, epoch 3. The bytes were put together by
 * another program. */
#define KNOWN_HEX                                                                                  \
    "524f5645534e415001000000000000002152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e06"     \
    "9881db1200002a36fe9c971703000000000000000200000000000000edfe000000000000e43dbea60dc862c1"     \
    "221100000000000007000000000000000174cf42a33f459b0700000000000000070000000000000001000000"     \
    "0000000004000000000000000700000000000000010000000000000005000000000000000000000000000000"     \
    "05000000000000000800000000000000636f756e7465723701020304056c616e65730700000000000000de5c"     \
    "cd0b2ffad1385be550d6f6e8cfe21569ed646935fe6d8722ebc88fdf81b3"
#define KNOWN_SIZE 250
#define KNOWN_HEAD 210
#define AT_VERSION 8
#define AT_FLAGS   12
#define AT_EPOCH   56
#define AT_SINC    64
#define AT_ORIGIN  80
#define AT_SIZES   144
#define AT_STATE   184 /* its size */
#define AT_KIND    192

static void known_bytes(uint8_t ret[KNOWN_SIZE])
{
    assert_int_equal(hex_to(ret, KNOWN_SIZE, KNOWN_HEX), KNOWN_SIZE);
}

static rovei_container known(void)
{
    rove_entity e =
        entity_of_hex("2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
    return (rovei_container){
        .entity = e,
        .created_at = UINT64_C(1700000000000000000),
        .epoch = 3,
        .sinc_number = 2,
        .sinc_random = 0xfeed,
        .head = {rovei_entity_origin(&e), 0x1122, 7, UINT64_C(0x9b453fa342cf7401)},
        .events_processed = 7,
        .events_emitted = 7,
        .errors = 1,
        .snapshots_taken = 4,
        .kind = span_of("counter"),
        .head_payload = span_of("7"),
        .horizon = span_of("\1\2\3\4\5"),
        .lanes = span_of("lanes"),
        .state_size = 8,
    };
}

static rove_limits limits(void)
{
    rove_limits l;
    rove_limits_init(&l);
    return l;
}

/* Takes in `bytes` in pieces of `piece`. */
static rove_err take(rovei_intake *in, const rove_alloc *a, const rove_limits *l, const void *bytes,
                     size_t size, size_t piece)
{
    rove_err err = ROVE_OK;
    rovei_intake_init(in, a, l);
    for (size_t at = 0; at < size && !err; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        err = rovei_intake_add(in, (rove_span){(const uint8_t *)bytes + at, n});
    }
    rove_err end = rovei_intake_end(in);
    if (err)
        assert_int_equal(end, err); /* the first one stays */
    return end;
}

static rove_err take_err(const void *bytes, size_t size)
{
    rove_limits l = limits();
    rovei_intake in;
    rove_err err = take(&in, &rovei_alloc_libc, &l, bytes, size, size ? size : 1);
    rovei_intake_fini(&in);
    return err;
}

static void test_known_bytes(void **state)
{
    (void)state;
    uint8_t want[KNOWN_SIZE], head[KNOWN_HEAD], digest[ROVEI_CONTAINER_DIGEST];
    known_bytes(want);
    rovei_container c = known();
    size_t size;
    assert_ok(rovei_container_head_size(&c, &size));
    assert_int_equal(size, KNOWN_HEAD);
    rovei_writer w = rovei_writer_of(head, sizeof head);
    rovei_container_write_head(&c, &w);
    assert_int_equal(w.err, ROVE_OK);
    assert_int_equal(rovei_writer_size(&w), KNOWN_HEAD);
    assert_memory_equal(head, want, KNOWN_HEAD);
    rove_span body = {want + KNOWN_HEAD, 8};
    assert_ok(
        rovei_container_digest(&rovei_alloc_libc, (rove_span){head, sizeof head}, body, digest));
    assert_memory_equal(digest, want + KNOWN_HEAD + 8, sizeof digest);
}

static void assert_known(const rovei_intake *in)
{
    const rovei_container *c = &in->container, want = known();
    assert_memory_equal(&c->entity, &want.entity, sizeof c->entity);
    assert_int_equal(c->created_at, want.created_at);
    assert_int_equal(c->epoch, 3);
    assert_int_equal(c->sinc_number, 2);
    assert_int_equal(c->sinc_random, 0xfeed);
    assert_memory_equal(&c->head, &want.head, sizeof c->head);
    assert_int_equal(c->events_processed, 7);
    assert_int_equal(c->events_emitted, 7);
    assert_int_equal(c->errors, 1);
    assert_int_equal(c->snapshots_taken, 4);
    assert_span(c->kind, "counter", 7);
    assert_span(c->head_payload, "7", 1);
    assert_span(c->horizon, "\1\2\3\4\5", 5);
    assert_span(c->ledger, "", 0);
    assert_span(c->lanes, "lanes", 5);
    assert_span(rove_buf_span(in->state), "\7\0\0\0\0\0\0\0", 8);
}

static void test_pieces(void **state)
{
    (void)state;
    uint8_t bytes[KNOWN_SIZE];
    rove_limits l = limits();
    known_bytes(bytes);
    for (size_t piece = 1; piece <= KNOWN_SIZE; piece++) {
        rovei_intake in;
        assert_ok(take(&in, &rovei_alloc_libc, &l, bytes, sizeof bytes, piece));
        assert_known(&in);
        rovei_intake_fini(&in);
    }
}

/* No byte can change and no end can be missing without its being noticed. */
static void test_damage(void **state)
{
    (void)state;
    uint8_t bytes[KNOWN_SIZE + 1] = {0};
    known_bytes(bytes);
    for (size_t at = 0; at < KNOWN_SIZE; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            rove_err err = take_err(bytes, KNOWN_SIZE);
            assert_int_not_equal(err, ROVE_OK);
            if (at >= AT_KIND)
                assert_int_equal(err, ROVE_E_SNAPSHOT_DIGEST);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    for (size_t size = 0; size < KNOWN_SIZE; size++)
        assert_int_equal(take_err(bytes, size), ROVE_E_SHORT);
    assert_int_equal(take_err(bytes, KNOWN_SIZE + 1), ROVE_E_TRAILING);
    assert_ok(take_err(bytes, KNOWN_SIZE));
}

/* Refused by what they say, before the digest is known. */
static void test_refusals(void **state)
{
    (void)state;
    const struct {
        size_t at;
        uint8_t value;
        rove_err want;
    } cases[] = {
        {0, 'C', ROVE_E_MAGIC},
        {AT_VERSION, 2, ROVE_E_VERSION},
        {AT_VERSION, 0, ROVE_E_VERSION},
        {AT_FLAGS + 3, 1, ROVE_E_FLAG},
        {AT_EPOCH, 0, ROVE_E_BOUND},
        {AT_EPOCH + 7, 0x40, ROVE_E_BOUND},
        {AT_SINC, 0, ROVE_E_BOUND},
        {AT_SINC + 7, 0x40, ROVE_E_BOUND},
        {AT_ORIGIN, 0, ROVE_E_SNAPSHOT_ORIGIN},
        {AT_SIZES, 0, ROVE_E_BOUND},            /* no kind */
        {AT_SIZES, 65, ROVE_E_BOUND},           /* too long a kind */
        {AT_SIZES + 8 + 7, 0xFF, ROVE_E_BOUND}, /* head payload, and all other parts: */
        {AT_SIZES + 16 + 5, 0x80, ROVE_E_BOUND},
        {AT_SIZES + 24 + 7, 0x80, ROVE_E_BOUND},
        {AT_SIZES + 32 + 7, 0x80, ROVE_E_BOUND},
        {AT_STATE + 4, 1, ROVE_E_TOO_LARGE},
        {AT_STATE + 7, 0xFF, ROVE_E_TOO_LARGE},
        {AT_STATE, 7, ROVE_E_TRAILING},
        {AT_STATE, 9, ROVE_E_SHORT},
        {AT_KIND + 2, 0, ROVE_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[KNOWN_SIZE];
        known_bytes(bytes);
        bytes[cases[i].at] = cases[i].value;
        assert_int_equal(take_err(bytes, sizeof bytes), cases[i].want);
    }
    assert_int_equal(take_err("COVE", 4), ROVE_E_MAGIC); /* not waited for */
}

static void test_limits_are_the_takers(void **state)
{
    (void)state;
    uint8_t bytes[KNOWN_SIZE];
    rove_limits l = limits();
    rovei_intake in;
    known_bytes(bytes);
    l.state_max = 8;
    assert_ok(take(&in, &rovei_alloc_libc, &l, bytes, sizeof bytes, 64));
    rovei_intake_fini(&in);
    l.state_max = 7;
    assert_int_equal(take(&in, &rovei_alloc_libc, &l, bytes, sizeof bytes, 64), ROVE_E_TOO_LARGE);
    rovei_intake_fini(&in);
}

static rove_err take_all(test_alloc *t, const uint8_t bytes[KNOWN_SIZE])
{
    rove_limits l = limits();
    rovei_intake in;
    rove_err err = take(&in, &t->alloc, &l, bytes, KNOWN_SIZE, 50);
    rovei_intake_fini(&in);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_alloc t;
    uint8_t bytes[KNOWN_SIZE];
    known_bytes(bytes);
    test_alloc_init(&t);
    SWEEP_NOMEM(&t, take_all(&t, bytes));
    assert_int_equal(t.live, 0);
}

/* Parts and states of any size come back as they went. */
static void test_round_trip(void **state)
{
    (void)state;
    uint64_t random = 17;
    rove_limits l = limits();
    for (int i = 0; i < 200; i++) {
        uint8_t noise[5][300];
        random_bytes(&random, noise, sizeof noise);
        for (size_t k = 0; k < sizeof noise[0]; k++)
            noise[0][k] |= 1;
        rovei_container c = known();
        c.kind = (rove_span){noise[0], 1 + below(&random, ROVEI_CONTAINER_KIND_MAX)};
        c.head_payload = (rove_span){noise[1], below(&random, 300)};
        c.horizon = (rove_span){noise[2], below(&random, 300)};
        c.ledger = (rove_span){noise[3], below(&random, 300)};
        c.lanes = (rove_span){noise[4], below(&random, 300)};
        c.state_size = below(&random, 5000);
        size_t head;
        assert_ok(rovei_container_head_size(&c, &head));
        size_t size = head + (size_t)c.state_size + ROVEI_CONTAINER_DIGEST;
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        rovei_writer w = rovei_writer_of(bytes, head);
        rovei_container_write_head(&c, &w);
        assert_int_equal(w.err, ROVE_OK);
        random_bytes(&random, bytes + head, (size_t)c.state_size);
        rove_span body = {bytes + head, (size_t)c.state_size};
        assert_ok(rovei_container_digest(&rovei_alloc_libc, (rove_span){bytes, head}, body,
                                         bytes + head + c.state_size));
        rovei_intake in;
        assert_ok(take(&in, &rovei_alloc_libc, &l, bytes, size, 1 + below(&random, 700)));
        assert_span(in.container.kind, c.kind.data, c.kind.size);
        assert_span(in.container.head_payload, c.head_payload.data, c.head_payload.size);
        assert_span(in.container.horizon, c.horizon.data, c.horizon.size);
        assert_span(in.container.ledger, c.ledger.data, c.ledger.size);
        assert_span(in.container.lanes, c.lanes.data, c.lanes.size);
        assert_span(rove_buf_span(in.state), body.data, body.size);
        rovei_intake_fini(&in);
        free(bytes);
    }
}

/* ---- flags ---- */

/* The known one with flags, without a state, and with the envelope that they promise. */
static size_t flagged(uint8_t *ret, size_t room, bool sealed, bool stateless)
{
    static const uint8_t envelope[ROVEI_ENVELOPE_SIZE] = {1, 2, 3};
    rovei_container c = known();
    size_t size;
    c.envelope = (rove_span){envelope, sealed ? sizeof envelope : 0};
    c.stateless = stateless;
    c.state_size = 0;
    assert_ok(rovei_container_head_size(&c, &size));
    assert_true(size + ROVEI_CONTAINER_DIGEST <= room);
    rovei_writer w = rovei_writer_of(ret, size);
    rovei_container_write_head(&c, &w);
    assert_ok(w.err);
    assert_ok(rovei_container_digest(&rovei_alloc_libc, (rove_span){ret, size},
                                     (rove_span){NULL, 0}, ret + size));
    return size + ROVEI_CONTAINER_DIGEST;
}

static void test_flags(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    rove_limits l = limits();
    for (unsigned flags = 0; flags < 4; flags++) {
        size_t size = flagged(bytes, sizeof bytes, flags & 1, flags & 2);
        assert_int_equal(bytes[AT_FLAGS], flags);
        rovei_intake in;
        assert_ok(take(&in, &rovei_alloc_libc, &l, bytes, size, 7));
        assert_int_equal(in.container.stateless, flags >> 1);
        assert_int_equal(in.container.envelope.size, flags & 1 ? ROVEI_ENVELOPE_SIZE : 0);
        if (flags & 1)
            assert_memory_equal(in.container.envelope.data, "\1\2\3", 3);
        rovei_intake_fini(&in);
        rovei_container fixed;
        uint64_t kind, whole;
        assert_ok(rovei_container_read_fixed(&fixed, &kind, &whole,
                                             (rove_span){bytes, ROVEI_CONTAINER_FIXED}));
        assert_int_equal(whole, size);
        assert_int_equal(kind, 7);
        assert_int_equal(rovei_container_read_fixed(&fixed, &kind, &whole,
                                                    (rove_span){bytes, ROVEI_CONTAINER_FIXED - 1}),
                         ROVE_E_SHORT);
    }
    size_t size = flagged(bytes, sizeof bytes, false, true);
    rovei_store64(bytes + AT_STATE, 1); /* none, of one byte */
    assert_int_equal(take_err(bytes, size), ROVE_E_BOUND);
    bytes[AT_FLAGS] = 4;
    assert_int_equal(take_err(bytes, size), ROVE_E_FLAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bytes),   cmocka_unit_test(test_flags),
        cmocka_unit_test(test_pieces),        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_limits_are_the_takers),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
