/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal links, the chain builder, the framing of events, and the horizon. */
#include "support.h"

#include <state/chain.h>
#include <state/horizon.h>

#define S42_ORIGIN UINT64_C(0xc162c80da6be3de4)

static const rove_span no_payload = {NULL, 0};

static rove_buf *buf_of(const char *text)
{
    rove_buf *buf = NULL;
    assert_ok(rove_buf_new(&buf, span_of(text), NULL));
    return buf;
}

static void assert_link_hex(const rove_link *link, const char *hex)
{
    uint8_t bytes[ROVEI_LINK_SIZE];
    rovei_link_encode(link, bytes);
    assert_hex(bytes, sizeof bytes, hex);
    rove_link back = rovei_link_decode(bytes);
    assert_true(rovei_link_equal(link, &back));
}

/* ---- links ---- */

static void test_genesis(void **state)
{
    (void)state;
    rove_link g = rovei_link_genesis(S42_ORIGIN, 0);
    assert_link_hex(&g, "e43dbea60dc862c1000000000000000000000000000000000000000000000000");
    assert_true(rovei_link_is_genesis(&g));
    assert_int_equal(rovei_link_forward(&g, no_payload), UINT64_C(0x9b453fa3a542cf74));
    g = rovei_link_genesis(1, 42);
    assert_true(rovei_link_is_genesis(&g));
    assert_int_equal(g.horizon, 42);
    /* The first link of a fork is none. */
    g.parent = 1;
    assert_false(rovei_link_is_genesis(&g));
    g.parent = 0;
    g.sequence = 1;
    assert_false(rovei_link_is_genesis(&g));
}

static void test_forward_lengths(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t hash;
    } known[] = {
        {0, UINT64_C(0x75f558efecf82a99)},    {1, UINT64_C(0x3f44ea7e9f8b99fd)},
        {31, UINT64_C(0x507393bb66a68b89)},   {32, UINT64_C(0x42b6f55d0c88ff36)},
        {33, UINT64_C(0x824f567a2a9d54df)},   {63, UINT64_C(0xdfbd7f90a4f992bf)},
        {64, UINT64_C(0x686367142831c369)},   {65, UINT64_C(0x7e34853e98a3ffe1)},
        {1024, UINT64_C(0x7c2bb8e64cf13113)}, {8192, UINT64_C(0x1f2481f378ade1b5)},
    };
    uint8_t payload[8192];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(31 * i);
    rove_link g = rovei_link_genesis(0xDEADBEEF, 42);
    assert_link_hex(&g, "efbeadde000000002a0000000000000000000000000000000000000000000000");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(rovei_link_forward(&g, (rove_span){payload, known[i].size}),
                         known[i].hash);
}

static void test_next(void **state)
{
    (void)state;
    rove_link g = rovei_link_genesis(0xABCD, 0), next;
    assert_ok(rovei_link_next(&next, &g, span_of("hello"), 7));
    assert_int_equal(next.origin, 0xABCD);
    assert_int_equal(next.sequence, 1);
    assert_int_equal(next.horizon, 7);
    assert_int_equal(next.parent, UINT64_C(0x61555bdd9c8c9000));
    rove_link end = {1, 2, UINT64_MAX, 4}, kept = next;
    assert_int_equal(rovei_link_next(&next, &end, no_payload, 0), ROVE_E_SEQUENCE_END);
    assert_true(rovei_link_equal(&next, &kept));
}

static void test_validate(void **state)
{
    (void)state;
    rove_link g = rovei_link_genesis(0xABCD, 0), good, bad;
    rovei_chain_detail d = {7, 7};
    assert_ok(rovei_link_next(&good, &g, no_payload, 99));
    assert_ok(rovei_link_validate(&g, no_payload, &good, &d));
    assert_int_equal(d.expected, 7);

    bad = good;
    bad.origin = 0xFFFF;
    bad.sequence = 5; /* the first rule that fails decides */
    assert_int_equal(rovei_link_validate(&g, no_payload, &bad, &d), ROVE_E_ORIGIN_MISMATCH);
    assert_int_equal(d.expected, 0xABCD);
    assert_int_equal(d.got, 0xFFFF);

    bad = good;
    bad.sequence = 5;
    bad.parent ^= 1;
    assert_int_equal(rovei_link_validate(&g, no_payload, &bad, &d), ROVE_E_SEQUENCE_GAP);
    assert_int_equal(d.expected, 1);
    assert_int_equal(d.got, 5);
    bad.sequence = 0;
    assert_int_equal(rovei_link_validate(&g, no_payload, &bad, NULL), ROVE_E_SEQUENCE_GAP);

    bad = good;
    bad.parent ^= 1;
    assert_int_equal(rovei_link_validate(&g, no_payload, &bad, &d), ROVE_E_PARENT_MISMATCH);
    assert_int_equal(d.expected, good.parent);
    assert_int_equal(d.got, bad.parent);
    assert_int_equal(rovei_link_validate(&g, span_of("x"), &good, NULL), ROVE_E_PARENT_MISMATCH);

    rove_link end = {0xABCD, 0, UINT64_MAX, 0};
    bad = (rove_link){0xABCD, 0, 0, 0};
    assert_int_equal(rovei_link_validate(&end, no_payload, &bad, &d), ROVE_E_SEQUENCE_GAP);
    assert_int_equal(d.expected, UINT64_MAX);
    assert_int_equal(d.got, 0);
}

/* ---- chains ---- */

static void test_chain_known(void **state)
{
    (void)state;
    rovei_chain c;
    rove_link one, two;
    rove_buf *p1 = buf_of("event1"), *p2 = buf_of("event2");
    rovei_chain_init(&c, 0xABCD);
    assert_ok(rovei_chain_append(&c, p1, 0, &one));
    assert_ok(rovei_chain_append(&c, p2, 0, &two));
    assert_link_hex(&one, "cdab000000000000000000000000000001000000000000007bcac5c43f1f4883");
    assert_link_hex(&two, "cdab0000000000000000000000000000020000000000000093bba137ea7fe852");
    assert_int_equal(two.parent, rovei_link_forward(&one, span_of("event1")));
    assert_int_equal(rovei_link_forward(&two, span_of("event2")), UINT64_C(0x6087dac2a7046da9));
    rove_buf_unref(p1);
    rove_buf_unref(p2);
    rovei_chain_fini(&c);
}

static void test_chain_of_a_host(void **state)
{
    (void)state;
    rovei_horizon *h;
    rovei_chain c;
    rove_link link;
    rove_buf *payload = buf_of("test");
    assert_ok(rovei_horizon_new(&h, &rovei_alloc_libc, 1, 10));
    assert_ok(rovei_horizon_observe(h, 0xEEEE, 42));
    rovei_chain_init(&c, S42_ORIGIN);
    assert_ok(rovei_chain_append(&c, payload, rovei_horizon_sketch(h), &link));
    assert_link_hex(&link, "e43dbea60dc862c10004800010000000010000000000000074cf42a5a33f459b");
    assert_ok(rovei_chain_append(&c, payload, rovei_horizon_sketch(h), &link));
    assert_link_hex(&link, "e43dbea60dc862c10004800010000000020000000000000028e0a8aa2a46a72a");
    rovei_chain_fini(&c);
    rove_buf_unref(payload);
    rovei_horizon_free(h);
}

static void test_chain_end(void **state)
{
    (void)state;
    rove_link head = {1, 2, UINT64_MAX - 1, 4}, link = {0}, zero = {0};
    rove_buf *payload = buf_of("last");
    rovei_chain c;
    rovei_chain_from_head(&c, &head, NULL);
    assert_ok(rovei_chain_append(&c, payload, 0, &link));
    assert_int_equal(link.sequence, UINT64_MAX);
    head = c.head;
    link = zero;
    assert_int_equal(rovei_chain_append(&c, NULL, 0, &link), ROVE_E_SEQUENCE_END);
    assert_true(rovei_link_equal(&link, &zero));
    assert_true(rovei_link_equal(&c.head, &head));
    assert_ptr_equal(c.payload, payload);
    rovei_chain_fini(&c);
    rovei_chain_fini(&c);
    rove_buf_unref(payload);
}

/* A chain of random payloads is valid link by link, and goes on from any head. */
static void test_chain_property(void **state)
{
    (void)state;
    enum { LENGTH = 150 };
    uint64_t seed = 1;
    test_alloc a;
    test_alloc_init(&a);
    rovei_chain c;
    rovei_chain_init(&c, next_random(&seed));
    for (int i = 0; i < LENGTH; i++) {
        uint8_t bytes[700];
        rove_buf *payload = NULL;
        rove_link before = c.head, link;
        size_t size = below(&seed, sizeof bytes);
        random_bytes(&seed, bytes, size);
        assert_ok(rove_buf_new(&payload, (rove_span){bytes, size}, &a.alloc));
        rove_buf *before_payload = rove_buf_ref(c.payload);
        assert_ok(rovei_chain_append(&c, payload, next_random(&seed), &link));
        assert_ok(rovei_link_validate(&before, rove_buf_span(before_payload), &link, NULL));
        assert_int_equal(link.sequence, i + 1);
        if (below(&seed, 10) == 0) {
            rovei_chain again;
            rovei_chain_from_head(&again, &c.head, c.payload);
            rovei_chain_fini(&c);
            c = again;
        }
        rove_buf_unref(before_payload);
        rove_buf_unref(payload);
    }
    rovei_chain_fini(&c);
    assert_int_equal(a.live, 0);
}

/* ---- framing ---- */

static void test_frames_known(void **state)
{
    (void)state;
    uint8_t bytes[100];
    rove_link one = {0xABCD, 0, 1, UINT64_C(0x83481f3fc4c5ca7b)},
              two = {0xABCD, 0, 2, UINT64_C(0x52e87fea37a1bb93)}, link;
    rove_span payload;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_event_frame_write(&w, &one, span_of("event1"));
    rovei_event_frame_write(&w, &two, span_of("event2"));
    assert_int_equal(w.err, ROVE_OK);
    assert_hex(bytes, rovei_writer_size(&w),
               "26000000cdab000000000000000000000000000001000000000000007bcac5c43f1f4883"
               "6576656e7431"
               "26000000cdab0000000000000000000000000000020000000000000093bba137ea7fe852"
               "6576656e7432");
    rovei_reader r = rovei_reader_of((rove_span){bytes, 84});
    assert_true(rovei_event_frame_read(&r, &link, &payload));
    assert_true(rovei_link_equal(&link, &one));
    assert_span(payload, "event1", 6);
    assert_true(rovei_event_frame_read(&r, &link, &payload));
    assert_true(rovei_link_equal(&link, &two));
    assert_span(payload, "event2", 6);
    assert_false(rovei_event_frame_read(&r, &link, &payload));
    assert_ok(rovei_reader_end(&r));
}

/* The well-formed prefix comes out, and what stops it leaves no trace. */
static void test_frames_cut(void **state)
{
    (void)state;
    uint8_t bytes[84];
    rove_link link = {1, 2, 3, 4}, got, kept = {9, 9, 9, 9};
    rove_span payload;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_event_frame_write(&w, &link, span_of("event1"));
    rovei_event_frame_write(&w, &link, span_of("event2"));
    for (size_t size = 0; size <= sizeof bytes; size++) {
        rovei_reader r = rovei_reader_of((rove_span){bytes, size});
        size_t count = 0;
        while (rovei_event_frame_read(&r, &got, &payload))
            count++;
        assert_int_equal(count, size / 42);
        assert_int_equal(rovei_reader_left(&r), size % 42);
        assert_true(rovei_reader_ok(&r));
    }
    static const uint32_t lengths[] = {0, 31, 81, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        rovei_store32(bytes, lengths[i]);
        rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
        got = kept;
        assert_false(rovei_event_frame_read(&r, &got, &payload));
        assert_true(rovei_link_equal(&got, &kept));
        assert_int_equal(rovei_reader_left(&r), sizeof bytes);
    }
}

static void test_frames_full(void **state)
{
    (void)state;
    uint8_t bytes[42], zero[42] = {0};
    rove_link link = {1, 2, 3, 4};
    memset(bytes, 0, sizeof bytes);
    for (size_t room = 0; room < sizeof bytes; room++) {
        rovei_writer w = rovei_writer_of(bytes, room);
        rovei_event_frame_write(&w, &link, span_of("event1"));
        assert_int_equal(w.err, ROVE_E_FULL);
        assert_int_equal(rovei_writer_size(&w), 0);
        assert_memory_equal(bytes, zero, sizeof bytes);
    }
    /* A payload whose length does not fit the field; it is never touched. */
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_event_frame_write(&w, &link, (rove_span){zero, (size_t)UINT32_MAX - 31});
    assert_int_equal(w.err, ROVE_E_FULL);
}

static void test_frames_property(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 100; round++) {
        uint8_t bytes[4096], payloads[10][300];
        rove_link links[10];
        size_t sizes[10], count = below(&seed, 11);
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        for (size_t i = 0; i < count; i++) {
            links[i] = (rove_link){next_random(&seed), next_random(&seed), next_random(&seed),
                                   next_random(&seed)};
            sizes[i] = below(&seed, sizeof payloads[i]);
            random_bytes(&seed, payloads[i], sizes[i]);
            rovei_event_frame_write(&w, &links[i], (rove_span){payloads[i], sizes[i]});
        }
        assert_int_equal(w.err, ROVE_OK);
        rovei_reader r = rovei_reader_of((rove_span){bytes, rovei_writer_size(&w)});
        rove_link link;
        rove_span payload;
        for (size_t i = 0; i < count; i++) {
            assert_true(rovei_event_frame_read(&r, &link, &payload));
            assert_true(rovei_link_equal(&link, &links[i]));
            assert_span(payload, payloads[i], sizes[i]);
        }
        assert_false(rovei_event_frame_read(&r, &link, &payload));
        assert_ok(rovei_reader_end(&r));
    }
}

/* ---- horizon ---- */

static rovei_horizon *horizon(const test_alloc *a)
{
    rovei_horizon *h = NULL;
    assert_ok(rovei_horizon_new(&h, &a->alloc, 77, 65536));
    return h;
}

static void test_sketches(void **state)
{
    (void)state;
    static const struct {
        uint64_t origin, bits;
    } known[] = {
        {0xaaaa, UINT64_C(0x0020040080000000)},     {0xbbbb, UINT64_C(0x8001000000004000)},
        {0xcccc, UINT64_C(0x1000000000000042)},     {0xeeee, UINT64_C(0x0000001000800400)},
        {0x0, UINT64_C(0x0000000002108000)},        {0x1, UINT64_C(0x0000400801000000)},
        {S42_ORIGIN, UINT64_C(0x0000000000421000)},
    };
    test_alloc a;
    test_alloc_init(&a);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(rovei_sketch_of(known[i].origin), known[i].bits);
        assert_true(rovei_sketch_might_contain(known[i].bits, known[i].origin));
        assert_false(rovei_sketch_might_contain(0, known[i].origin));
    }
    for (uint64_t o = 0; o < 256; o++)
        assert_int_equal(__builtin_popcountll(rovei_sketch_of(o)), 3);
    rovei_horizon *h = horizon(&a);
    assert_int_equal(rovei_horizon_sketch(h), 0);
    assert_ok(rovei_horizon_observe(h, 0xbbbb, 1));
    assert_ok(rovei_horizon_observe(h, 0xaaaa, 1));
    assert_int_equal(rovei_horizon_sketch(h), UINT64_C(0x8021040080004000));
    rovei_horizon_free(h);
    h = horizon(&a);
    for (uint64_t i = 0; i < 8; i++)
        assert_ok(rovei_horizon_observe(h, 0x40000000 + i * 0xCAFEF00D, 1));
    assert_int_equal(rovei_horizon_sketch(h), UINT64_C(0x5403a0190ce02c88));
    rovei_horizon_free(h);
    rovei_horizon_free(NULL);
    assert_int_equal(a.live, 0);
}

/* No false negative at all; false positives within what was promised for 8 and 16 origins. */
static void test_sketch_rates(void **state)
{
    (void)state;
    static const struct {
        unsigned origins, most_percent;
    } cases[] = {{8, 25}, {16, 60}};
    uint64_t seed = 3;
    for (size_t c = 0; c < 2; c++) {
        unsigned positive = 0;
        for (int round = 0; round < 1000; round++) {
            uint64_t sketch = 0, origins[16];
            for (unsigned i = 0; i < cases[c].origins; i++)
                sketch |= rovei_sketch_of(origins[i] = next_random(&seed));
            for (unsigned i = 0; i < cases[c].origins; i++)
                assert_true(rovei_sketch_might_contain(sketch, origins[i]));
            positive += rovei_sketch_might_contain(sketch, next_random(&seed));
        }
        assert_true(positive < cases[c].most_percent * 10);
    }
}

static void test_horizon_observe(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_horizon *h = horizon(&a);
    uint64_t seq = 99;
    assert_int_equal(rovei_horizon_count(h), 0);
    assert_false(rovei_horizon_get(h, 5, &seq));
    assert_int_equal(seq, 99);
    /* Sequence 0 makes known without counting as progress. */
    assert_ok(rovei_horizon_observe(h, 5, 0));
    assert_true(rovei_horizon_get(h, 5, &seq));
    assert_int_equal(seq, 0);
    assert_int_equal(rovei_horizon_logical(h), 0);
    assert_int_equal(rovei_horizon_sketch(h), rovei_sketch_of(5));
    assert_ok(rovei_horizon_observe(h, 5, 10));
    assert_int_equal(rovei_horizon_logical(h), 1);
    assert_ok(rovei_horizon_observe(h, 5, 10));
    assert_ok(rovei_horizon_observe(h, 5, 4));
    assert_int_equal(rovei_horizon_logical(h), 1);
    assert_true(rovei_horizon_get(h, 5, &seq));
    assert_int_equal(seq, 10);
    assert_ok(rovei_horizon_observe(h, 5, 11));
    assert_ok(rovei_horizon_observe(h, 6, 1));
    assert_int_equal(rovei_horizon_logical(h), 3);
    assert_int_equal(rovei_horizon_count(h), 2);
    rovei_horizon_free(h);
    assert_int_equal(a.live, 0);
}

/* The logical time stays at its end; what was seen is still recorded. */
static void test_horizon_time_ends(void **state)
{
    (void)state;
    uint8_t bytes[12];
    uint64_t seq = 0;
    rovei_horizon *h, *other;
    memset(bytes, 0xFF, 8);
    memset(bytes + 8, 0, 4);
    rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
    assert_ok(rovei_horizon_decode(&h, &rovei_alloc_libc, 1, 10, &r));
    assert_ok(rovei_horizon_observe(h, 1, 5));
    assert_true(rovei_horizon_get(h, 1, &seq) && seq == 5);
    assert_int_equal(rovei_horizon_logical(h), UINT64_MAX);
    assert_ok(rovei_horizon_new(&other, &rovei_alloc_libc, 1, 10));
    assert_ok(rovei_horizon_merge(other, h));
    assert_int_equal(rovei_horizon_logical(other), UINT64_MAX);
    rovei_horizon_free(h);
    rovei_horizon_free(other);
}

static void test_horizon_bound(void **state)
{
    (void)state;
    rovei_horizon *h;
    assert_ok(rovei_horizon_new(&h, &rovei_alloc_libc, 1, 3));
    for (uint64_t o = 0; o < 3; o++)
        assert_ok(rovei_horizon_observe(h, o, 1));
    uint64_t sketch = rovei_horizon_sketch(h);
    assert_int_equal(rovei_horizon_observe(h, 3, 1), ROVE_E_HORIZON_FULL);
    assert_int_equal(rovei_horizon_sketch(h), sketch);
    assert_int_equal(rovei_horizon_logical(h), 3);
    assert_ok(rovei_horizon_observe(h, 2, 7));
    rovei_horizon *wider;
    assert_ok(rovei_horizon_new(&wider, &rovei_alloc_libc, 1, 10));
    assert_ok(rovei_horizon_observe(wider, 2, 9));
    assert_ok(rovei_horizon_observe(wider, 8, 9));
    assert_int_equal(rovei_horizon_merge(h, wider), ROVE_E_HORIZON_FULL);
    uint64_t seq = 0;
    assert_true(rovei_horizon_get(h, 2, &seq));
    assert_int_equal(seq, 7);
    assert_int_equal(rovei_horizon_count(h), 3);
    assert_int_equal(rovei_horizon_logical(h), 4);
    rovei_horizon_free(h);
    rovei_horizon_free(wider);
}

static void test_horizon_merge(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_horizon *h = horizon(&a), *other = horizon(&a);
    uint64_t seq;
    assert_ok(rovei_horizon_observe(h, 1, 10));
    assert_ok(rovei_horizon_observe(h, 2, 20));
    assert_ok(rovei_horizon_observe(other, 2, 5));
    assert_ok(rovei_horizon_observe(other, 3, 30));
    assert_ok(rovei_horizon_observe(other, 3, 31));
    SWEEP_NOMEM(&a, rovei_horizon_merge(h, other));
    assert_true(rovei_horizon_get(h, 1, &seq) && seq == 10);
    assert_true(rovei_horizon_get(h, 2, &seq) && seq == 20);
    assert_true(rovei_horizon_get(h, 3, &seq) && seq == 31);
    assert_int_equal(rovei_horizon_logical(h), 4);
    assert_int_equal(rovei_horizon_sketch(h),
                     rovei_sketch_of(1) | rovei_sketch_of(2) | rovei_sketch_of(3));
    rovei_horizon_free(other);
    /* Also with nothing, the logical time moves on. */
    other = horizon(&a);
    assert_ok(rovei_horizon_merge(h, other));
    assert_int_equal(rovei_horizon_logical(h), 5);
    assert_ok(rovei_horizon_observe(h, 4, 1));
    rovei_horizon_free(h);
    rovei_horizon_free(other);
    assert_int_equal(a.live, 0);
}

static rove_err decode(rovei_horizon **ret, const test_alloc *a, const void *bytes, size_t size)
{
    rovei_reader r = rovei_reader_of((rove_span){bytes, size});
    rove_err err = rovei_horizon_decode(ret, &a->alloc, 5, 100, &r);
    assert_int_equal(r.err, err);
    return err;
}

static void test_horizon_bytes(void **state)
{
    (void)state;
    static const char *const hex = "0300000000000000"
                                   "02000000"
                                   "01000000000000000900000000000000"
                                   "ff000000000000000000000000000000";
    uint8_t bytes[44], out[44];
    test_alloc a;
    test_alloc_init(&a);
    rovei_horizon *h = NULL;
    uint64_t seq;
    assert_int_equal(hex_to(bytes, sizeof bytes, hex), 44);
    SWEEP_NOMEM(&a, decode(&h, &a, bytes, sizeof bytes));
    assert_int_equal(rovei_horizon_logical(h), 3);
    assert_int_equal(rovei_horizon_count(h), 2);
    assert_true(rovei_horizon_get(h, 1, &seq) && seq == 9);
    assert_true(rovei_horizon_get(h, 255, &seq) && seq == 0);
    assert_int_equal(rovei_horizon_sketch(h), rovei_sketch_of(1) | rovei_sketch_of(255));
    assert_int_equal(rovei_horizon_size(h), 44);
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_horizon_encode(h, &w);
    assert_memory_equal(out, bytes, sizeof out);
    w = rovei_writer_of(out, 43);
    rovei_horizon_encode(h, &w);
    assert_int_equal(w.err, ROVE_E_FULL);
    rovei_horizon_free(h);

    h = NULL;
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(decode(&h, &a, bytes, size), ROVE_E_SHORT);
    bytes[8] = 101;
    assert_int_equal(decode(&h, &a, bytes, sizeof bytes), ROVE_E_BOUND);
    memset(bytes + 8, 0xFF, 4);
    assert_int_equal(decode(&h, &a, bytes, sizeof bytes), ROVE_E_BOUND);
    rovei_store32(bytes + 8, 2);
    bytes[28] = 1; /* the same origin twice, then descending */
    assert_int_equal(decode(&h, &a, bytes, sizeof bytes), ROVE_E_FORMAT);
    bytes[28] = 0;
    assert_int_equal(decode(&h, &a, bytes, sizeof bytes), ROVE_E_FORMAT);
    assert_null(h);
    assert_int_equal(a.live, 0);
}

/* Against an array as model, and through the bytes. */
static void test_horizon_property(void **state)
{
    (void)state;
    enum { ORIGINS = 90 };
    uint64_t seed = 4, model[ORIGINS] = {0}, logical = 0;
    bool known[ORIGINS] = {false};
    test_alloc a;
    test_alloc_init(&a);
    rovei_horizon *h = horizon(&a);
    for (int step = 0; step < 3000; step++) {
        uint64_t o = below(&seed, ORIGINS), s = below(&seed, 1000);
        assert_ok(rovei_horizon_observe(h, o << 56 | o, s));
        known[o] = true;
        if (s > model[o]) {
            model[o] = s;
            logical++;
        }
        if (step % 300)
            continue;
        uint8_t bytes[12 + 16 * ORIGINS];
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_horizon_encode(h, &w);
        assert_int_equal(rovei_writer_size(&w), rovei_horizon_size(h));
        uint64_t sketch = rovei_horizon_sketch(h);
        rovei_horizon_free(h);
        assert_ok(decode(&h, &a, bytes, rovei_writer_size(&w)));
        assert_int_equal(rovei_horizon_sketch(h), sketch);
        assert_int_equal(rovei_horizon_logical(h), logical);
        for (uint64_t i = 0; i < ORIGINS; i++) {
            uint64_t got = 0;
            assert_int_equal(rovei_horizon_get(h, i << 56 | i, &got), known[i]);
            assert_int_equal(got, model[i]);
        }
    }
    rovei_horizon_free(h);
    assert_int_equal(a.live, 0);
}

static rove_err observe_fresh(const test_alloc *a)
{
    rovei_horizon *h;
    rove_err err = rovei_horizon_new(&h, &a->alloc, 1, 10);
    if (err)
        return err;
    err = rovei_horizon_observe(h, 1, 1);
    if (err) {
        assert_int_equal(rovei_horizon_count(h), 0);
        assert_int_equal(rovei_horizon_sketch(h), 0);
        assert_int_equal(rovei_horizon_logical(h), 0);
    }
    rovei_horizon_free(h);
    return err;
}

static void test_horizon_nomem(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    SWEEP_NOMEM(&a, observe_fresh(&a));
    assert_int_equal(a.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genesis),
        cmocka_unit_test(test_forward_lengths),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_validate),
        cmocka_unit_test(test_chain_known),
        cmocka_unit_test(test_chain_of_a_host),
        cmocka_unit_test(test_chain_end),
        cmocka_unit_test(test_chain_property),
        cmocka_unit_test(test_frames_known),
        cmocka_unit_test(test_frames_cut),
        cmocka_unit_test(test_frames_full),
        cmocka_unit_test(test_frames_property),
        cmocka_unit_test(test_sketches),
        cmocka_unit_test(test_sketch_rates),
        cmocka_unit_test(test_horizon_observe),
        cmocka_unit_test(test_horizon_bound),
        cmocka_unit_test(test_horizon_time_ends),
        cmocka_unit_test(test_horizon_merge),
        cmocka_unit_test(test_horizon_bytes),
        cmocka_unit_test(test_horizon_property),
        cmocka_unit_test(test_horizon_nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
