/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel names and the subscription ledger. */
#include "support.h"

#include <state/ledger.h>
#include <stdio.h>

#define TWO_HEX                                                                                    \
    "02000000ddddccccbbbbaaaa0d0073656e736f72732f6c69646172"                                       \
    "0044443333222211110d00636f6e74726f6c2f6573746f70010400deadbeef"

static rovei_subscription sub(uint64_t publisher, const char *channel)
{
    return (rovei_subscription){.publisher = publisher, .channel = span_of(channel)};
}

static rovei_subscription sub_with(uint64_t publisher, const char *channel, rove_span token)
{
    rovei_subscription s = sub(publisher, channel);
    s.has_token = true;
    s.token = token;
    return s;
}

static void assert_sub(const rovei_ledger *l, size_t i, uint64_t publisher, const char *channel,
                       const char *token)
{
    rovei_subscription s = rovei_ledger_at(l, i);
    assert_int_equal(s.publisher, publisher);
    assert_span(s.channel, channel, strlen(channel));
    assert_int_equal(s.has_token, token != NULL);
    if (token)
        assert_span(s.token, token, strlen(token));
}

/* ---- names ---- */

static void test_names(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, 'a', 256);
    longest[256] = '\0';
    static const char *const good[] = {"a",    "sensors/lidar", "a.b",   "...", ".hidden",
                                       "x..y", "a/.../b",       "0-9_z", "..a", "a/b."};
    static const struct {
        const char *name;
        rove_err err;
    } bad[] = {
        {"", ROVE_E_CHANNEL_EMPTY},        {"/", ROVE_E_CHANNEL_FORMAT},
        {"/a", ROVE_E_CHANNEL_FORMAT},     {"a/", ROVE_E_CHANNEL_FORMAT},
        {"a//b", ROVE_E_CHANNEL_FORMAT},   {"A", ROVE_E_CHANNEL_FORMAT},
        {"a Z", ROVE_E_CHANNEL_CHAR},      {"aZ ", ROVE_E_CHANNEL_FORMAT},
        {" /", ROVE_E_CHANNEL_FORMAT},     {"a#b", ROVE_E_CHANNEL_CHAR},
        {"a\x7f", ROVE_E_CHANNEL_CHAR},    {"\xc3\xbc", ROVE_E_CHANNEL_CHAR},
        {".", ROVE_E_CHANNEL_FORMAT},      {"..", ROVE_E_CHANNEL_FORMAT},
        {"../etc", ROVE_E_CHANNEL_FORMAT}, {"a/../b", ROVE_E_CHANNEL_FORMAT},
        {"a/./b", ROVE_E_CHANNEL_FORMAT},  {"a/..", ROVE_E_CHANNEL_FORMAT},
        {"../ ", ROVE_E_CHANNEL_CHAR},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_ok(rovei_channel_name_check(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rovei_channel_name_check(span_of(bad[i].name)), bad[i].err);
    assert_int_equal(rovei_channel_name_check((rove_span){"a\0b", 3}), ROVE_E_CHANNEL_CHAR);
    assert_int_equal(rovei_channel_name_check((rove_span){NULL, 0}), ROVE_E_CHANNEL_EMPTY);
    assert_int_equal(rovei_channel_name_check(span_of(longest)), ROVE_E_CHANNEL_LONG);
    longest[0] = '/'; /* the length is looked at first */
    assert_int_equal(rovei_channel_name_check(span_of(longest)), ROVE_E_CHANNEL_LONG);
    assert_ok(rovei_channel_name_check((rove_span){longest + 1, 255}));
}

/* ---- the ledger ---- */

static void test_record(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l;
    assert_ok(rovei_ledger_new(&l, &a.alloc));
    rovei_subscription one = sub(1, "x"), two = sub_with(2, "x", span_of("token"));
    assert_ok(rovei_ledger_record(l, &one));
    assert_ok(rovei_ledger_record(l, &two));
    assert_int_equal(rovei_ledger_count(l), 2);
    two = sub_with(2, "x", span_of("other token"));
    assert_ok(rovei_ledger_record(l, &two));
    one = sub_with(1, "x", (rove_span){NULL, 0});
    assert_ok(rovei_ledger_record(l, &one));
    assert_int_equal(rovei_ledger_count(l), 2);
    assert_sub(l, 0, 1, "x", "");
    assert_sub(l, 1, 2, "x", "other token");
    two = sub(2, "x");
    assert_ok(rovei_ledger_record(l, &two));
    assert_sub(l, 1, 2, "x", NULL);
    rovei_ledger_forget(l, 1, span_of("x"));
    rovei_ledger_forget(l, 1, span_of("x"));
    rovei_ledger_forget(l, 2, span_of("y"));
    rovei_ledger_forget(l, 2, (rove_span){NULL, 0});
    assert_int_equal(rovei_ledger_count(l), 1);
    assert_sub(l, 0, 2, "x", NULL);
    rovei_ledger_free(l);
    rovei_ledger_free(NULL);
    assert_int_equal(a.live, 0);
}

static void test_record_refused(void **state)
{
    (void)state;
    static uint8_t token[UINT16_MAX + 1];
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l;
    assert_ok(rovei_ledger_new(&l, &a.alloc));
    rovei_subscription s = sub(1, "A");
    assert_int_equal(rovei_ledger_record(l, &s), ROVE_E_CHANNEL_FORMAT);
    s = sub(1, "");
    assert_int_equal(rovei_ledger_record(l, &s), ROVE_E_CHANNEL_EMPTY);
    s = sub_with(1, "a", (rove_span){token, sizeof token});
    assert_int_equal(rovei_ledger_record(l, &s), ROVE_E_BOUND);
    assert_int_equal(rovei_ledger_count(l), 0);
    s.token.size--;
    assert_ok(rovei_ledger_record(l, &s));
    assert_int_equal(rovei_ledger_at(l, 0).token.size, UINT16_MAX);
    rovei_ledger_free(l);
    assert_int_equal(a.live, 0);
}

static void test_known_bytes(void **state)
{
    (void)state;
    uint8_t bytes[64], out[64];
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l, *made;
    size_t size = hex_to(bytes, sizeof bytes, TWO_HEX);
    assert_int_equal(size, 58);
    assert_ok(rovei_ledger_decode(&l, &a.alloc, (rove_span){bytes, size}));
    assert_int_equal(rovei_ledger_count(l), 2);
    assert_sub(l, 0, UINT64_C(0xAAAABBBBCCCCDDDD), "sensors/lidar", NULL);
    assert_sub(l, 1, UINT64_C(0x1111222233334444), "control/estop", "\xde\xad\xbe\xef");

    assert_ok(rovei_ledger_new(&made, &a.alloc));
    rovei_subscription s = sub(UINT64_C(0xAAAABBBBCCCCDDDD), "sensors/lidar");
    assert_ok(rovei_ledger_record(made, &s));
    s = sub_with(UINT64_C(0x1111222233334444), "control/estop", span_of("\xde\xad\xbe\xef"));
    assert_ok(rovei_ledger_record(made, &s));
    assert_int_equal(rovei_ledger_size(made), size);
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_ledger_encode(made, &w);
    assert_int_equal(rovei_writer_size(&w), size);
    assert_memory_equal(out, bytes, size);
    rovei_ledger_free(made);
    rovei_ledger_free(l);
    assert_int_equal(a.live, 0);
}

static void test_empty(void **state)
{
    (void)state;
    uint8_t zero[4] = {0}, out[4] = {9, 9, 9, 9};
    rovei_ledger *l;
    assert_ok(rovei_ledger_decode(&l, &rovei_alloc_libc, (rove_span){NULL, 0}));
    assert_int_equal(rovei_ledger_count(l), 0);
    assert_int_equal(rovei_ledger_size(l), 4);
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_ledger_encode(l, &w);
    assert_memory_equal(out, zero, 4);
    rovei_ledger_free(l);
    assert_ok(rovei_ledger_decode(&l, &rovei_alloc_libc, (rove_span){zero, 4}));
    assert_int_equal(rovei_ledger_count(l), 0);
    rovei_ledger_free(l);
}

static void expect(const void *bytes, size_t size, rove_err err)
{
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l = NULL;
    assert_int_equal(rovei_ledger_decode(&l, &a.alloc, (rove_span){bytes, size}), err);
    assert_null(l);
    assert_int_equal(a.live, 0);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t known[64], bytes[64];
    size_t size = hex_to(known, sizeof known, TWO_HEX);
    for (size_t cut = 1; cut < size; cut++) /* a short rest cannot hold two entries at all */
        expect(known, cut, cut >= 4 && cut < 4 + 22 ? ROVE_E_BOUND : ROVE_E_SHORT);
    memcpy(bytes, known, size);
    bytes[size] = 0;
    expect(bytes, size + 1, ROVE_E_TRAILING);
    bytes[0] = 1;
    expect(bytes, size, ROVE_E_TRAILING);
    rovei_store32(bytes, 1000000);
    expect(bytes, size, ROVE_E_BOUND);
    rovei_store32(bytes, UINT32_MAX);
    expect(bytes, size, ROVE_E_BOUND);
    rovei_store32(bytes, 5);
    expect(bytes, size, ROVE_E_BOUND);

    static const struct {
        size_t at;
        uint8_t value;
        rove_err err;
    } changes[] = {
        {27, 0x7F, ROVE_E_FLAG},
        {27, 2, ROVE_E_FLAG},
        {51, 0xFF, ROVE_E_FLAG},
        {14, 0xFF, ROVE_E_FORMAT},
        {14, 'S', ROVE_E_CHANNEL_FORMAT},
        {15, ' ', ROVE_E_CHANNEL_CHAR},
        {14, '/', ROVE_E_CHANNEL_FORMAT},
        {26, 0xC3, ROVE_E_FORMAT},
        {12, 0, ROVE_E_CHANNEL_EMPTY},
        {13, 1, ROVE_E_SHORT},
        {52, 5, ROVE_E_SHORT},
        {52, 3, ROVE_E_TRAILING},
        {53, 1, ROVE_E_SHORT},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        memcpy(bytes, known, size);
        bytes[changes[i].at] = changes[i].value;
        expect(bytes, size, changes[i].err);
    }
}

/* One entry with a name of the given bytes. */
static void expect_name(const void *name, size_t size, rove_err err)
{
    uint8_t bytes[400];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_write_u32(&w, 1);
    rovei_write_u64(&w, 7);
    rovei_write_u16(&w, (uint16_t)size);
    rovei_write_bytes(&w, name, size);
    rovei_write_u8(&w, 0);
    assert_int_equal(w.err, ROVE_OK);
    expect(bytes, rovei_writer_size(&w), err);
}

static void test_refused_names(void **state)
{
    (void)state;
    char longest[256];
    memset(longest, 'a', sizeof longest);
    expect_name(longest, 256, ROVE_E_CHANNEL_LONG);
    expect_name("../etc", 6, ROVE_E_CHANNEL_FORMAT);
    expect_name("", 0, ROVE_E_CHANNEL_EMPTY);
    /* Sound UTF-8 falls to the rule for names, everything else to the one for UTF-8. */
    static const char *const sound[] = {"\xc3\xbc",     "\xe2\x82\xac",     "\xf0\x9f\x9a\x80",
                                        "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbd"};
    static const char *const broken[] = {
        "\x80",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xc3",
        "\xc3\x28",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2\x28\xa1",
        "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x9f\x9a",
        "\xf0\x9f\x9a\x41",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "a\xfe",
    };
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++)
        expect_name(sound[i], strlen(sound[i]), ROVE_E_CHANNEL_CHAR);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        expect_name(broken[i], strlen(broken[i]), ROVE_E_FORMAT);
}

/* Of entries for one pair the last one counts, in the place of the first. */
static void test_duplicates(void **state)
{
    (void)state;
    static const struct {
        uint64_t publisher;
        const char *channel, *token;
    } list[] = {{2, "b", NULL}, {1, "a", "1"},   {2, "b", "2"}, {3, "c", NULL},
                {1, "a", NULL}, {2, "bb", NULL}, {2, "b", "3"}};
    uint8_t bytes[256];
    test_alloc a;
    test_alloc_init(&a);
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_write_u32(&w, 7);
    for (size_t i = 0; i < 7; i++) {
        rovei_write_u64(&w, list[i].publisher);
        rovei_write_u16(&w, (uint16_t)strlen(list[i].channel));
        rovei_write_span(&w, span_of(list[i].channel));
        rovei_write_u8(&w, list[i].token != NULL);
        if (list[i].token) {
            rovei_write_u16(&w, (uint16_t)strlen(list[i].token));
            rovei_write_span(&w, span_of(list[i].token));
        }
    }
    rovei_ledger *l;
    SWEEP_NOMEM(&a, rovei_ledger_decode(&l, &a.alloc, (rove_span){bytes, rovei_writer_size(&w)}));
    assert_int_equal(rovei_ledger_count(l), 4);
    assert_sub(l, 0, 2, "b", "3");
    assert_sub(l, 1, 1, "a", NULL);
    assert_sub(l, 2, 3, "c", NULL);
    assert_sub(l, 3, 2, "bb", NULL);
    rovei_ledger_forget(l, 2, span_of("b"));
    assert_sub(l, 0, 1, "a", NULL);
    rovei_ledger_free(l);
    assert_int_equal(a.live, 0);
}

static void test_nomem(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l = NULL;
    SWEEP_NOMEM(&a, rovei_ledger_new(&l, &a.alloc));
    rovei_subscription s = sub_with(1, "a", span_of("first")), again = s;
    assert_ok(rovei_ledger_record(l, &s));
    again.token = span_of("second");
    a.fail_at = a.calls;
    assert_int_equal(rovei_ledger_record(l, &again), ROVE_E_NOMEM);
    assert_sub(l, 0, 1, "a", "first");
    a.fail_at = SIZE_MAX;
    /* Filled while every other allocation is refused: nothing is lost or half there. */
    for (uint64_t p = 2; p < 60; p++) {
        s.publisher = p;
        for (rove_err err = ROVE_E_NOMEM; err;) {
            size_t count = rovei_ledger_count(l);
            a.fail_at = a.calls + p % 2;
            err = rovei_ledger_record(l, &s);
            a.fail_at = SIZE_MAX;
            if (err) {
                assert_int_equal(err, ROVE_E_NOMEM);
                assert_int_equal(rovei_ledger_count(l), count);
                err = rovei_ledger_record(l, &s);
            }
        }
        assert_int_equal(rovei_ledger_count(l), p);
    }
    rovei_ledger_free(l);
    assert_int_equal(a.live, 0);
}

/* ---- against an array as model, and through the bytes ---- */

#define PAIRS 60

struct model {
    bool there, has_token;
    uint8_t token[40];
    size_t token_size;
};

static void name_of(char ret[32], size_t pair)
{
    snprintf(ret, 32, "chan/%c%zu", (char)('a' + pair % 7), pair / 3);
}

static void check_model(const rovei_ledger *l, const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < PAIRS; i++)
        count += model[i].there;
    assert_int_equal(rovei_ledger_count(l), count);
    for (size_t i = 0; i < count; i++) {
        rovei_subscription s = rovei_ledger_at(l, i);
        char name[32];
        size_t pair = (size_t)s.publisher;
        assert_true(pair < PAIRS && model[pair].there);
        name_of(name, pair);
        assert_span(s.channel, name, strlen(name));
        assert_int_equal(s.has_token, model[pair].has_token);
        if (s.has_token)
            assert_span(s.token, model[pair].token, model[pair].token_size);
    }
}

static void test_property(void **state)
{
    (void)state;
    uint64_t seed = 1;
    struct model model[PAIRS] = {{0}};
    test_alloc a;
    test_alloc_init(&a);
    rovei_ledger *l;
    assert_ok(rovei_ledger_new(&l, &a.alloc));
    for (int step = 0; step < 3000; step++) {
        size_t pair = below(&seed, PAIRS);
        char name[32];
        name_of(name, pair);
        if (below(&seed, 3) == 0) {
            rovei_ledger_forget(l, pair, span_of(name));
            model[pair].there = false;
        } else {
            struct model *m = &model[pair];
            m->there = true;
            m->has_token = below(&seed, 2);
            m->token_size = below(&seed, sizeof m->token);
            random_bytes(&seed, m->token, m->token_size);
            rovei_subscription s = sub(pair, name);
            s.has_token = m->has_token;
            s.token = (rove_span){m->token, m->token_size};
            assert_ok(rovei_ledger_record(l, &s));
        }
        if (step % 20)
            continue;
        check_model(l, model);
        uint8_t bytes[8192], again[8192];
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_ledger_encode(l, &w);
        assert_int_equal(w.err, ROVE_OK);
        size_t size = rovei_writer_size(&w);
        assert_int_equal(size, rovei_ledger_size(l));
        rovei_ledger_free(l);
        assert_ok(rovei_ledger_decode(&l, &a.alloc, (rove_span){bytes, size}));
        w = rovei_writer_of(again, sizeof again);
        rovei_ledger_encode(l, &w);
        assert_int_equal(rovei_writer_size(&w), size);
        assert_memory_equal(again, bytes, size);
    }
    rovei_ledger_free(l);
    assert_int_equal(a.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),          cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_refused), cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_names),  cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_nomem),          cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
