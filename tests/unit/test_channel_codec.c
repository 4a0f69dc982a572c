/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and hashes of channels, and the messages about them: vectors, round trips, and every
 * malformed case with its own error. */
#include "support.h"

#include <channel/channel_codec.h>
#include <channel/guard.h>
#include <channel/membership_codec.h>
#include <stdio.h>

#define NONCE UINT64_C(0x1122334455667788)

/* ---- names ---- */

static rove_span many(char room[300], size_t count)
{
    memset(room, 'a', count);
    return (rove_span){room, count};
}

static void test_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t hash, stream;
    } known[] = {
        {"sensors/lidar", 0xec20e8ac7fa5e5d8, 0xec21e8ac7fa5e5d8},
        {"sensors/temp", 0xe477434ef307172d, 0xe477434ef307172d},
        {"control/estop", 0x9b78a700f00364f9, 0x9b79a700f00364f9},
        {"a", 0xe6c632b61e964e1f, 0xe6c732b61e964e1f},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint64_t hash = rovei_channel_hash(span_of(known[i].name));
        assert_true(hash == known[i].hash);
        assert_true(rovei_channel_stream(hash) == known[i].stream);
        assert_int_equal(rovei_channel_hash16(hash), known[i].hash & 0xffff);
    }
    static const struct {
        size_t count;
        uint64_t hash;
    } longer[] = {{128, 0x7a22200aadc3d36c},
                  {240, 0x993c46d96a01b5c6},
                  {241, 0xf6cfef5c5aca1930},
                  {255, 0xa582b761e1e78c49}};
    char room[300];
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++)
        assert_true(rovei_channel_hash(many(room, longer[i].count)) == longer[i].hash);
    assert_true(rovei_channel_group_hash(span_of("sensors/lidar"), span_of("workers")) ==
                0x81d74b02f3cea203);
    assert_true(rovei_channel_hash(span_of("sensors/lidar#workers")) == 0x81d74b02f3cea203);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        rove_err err;
    } cases[] = {{"a-b_c.d/0", ROVE_OK},
                 {"a.b", ROVE_OK},
                 {"...", ROVE_OK},
                 {".hidden", ROVE_OK},
                 {"", ROVE_E_CHANNEL_EMPTY},
                 {"/a", ROVE_E_CHANNEL_FORMAT},
                 {"a/", ROVE_E_CHANNEL_FORMAT},
                 {"a//b", ROVE_E_CHANNEL_FORMAT},
                 {"UPPER", ROVE_E_CHANNEL_FORMAT},
                 {"a b", ROVE_E_CHANNEL_CHAR},
                 {"a#b", ROVE_E_CHANNEL_CHAR},
                 {"\xc3\xbcn\xc3\xaf", ROVE_E_CHANNEL_CHAR},
                 {"a/../b", ROVE_E_CHANNEL_FORMAT},
                 {"a/./b", ROVE_E_CHANNEL_FORMAT},
                 {"..", ROVE_E_CHANNEL_FORMAT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rovei_channel_name_check(span_of(cases[i].name)), cases[i].err);
    char room[300];
    assert_ok(rovei_channel_name_check(many(room, 255)));
    assert_int_equal(rovei_channel_name_check(many(room, 256)), ROVE_E_CHANNEL_LONG);
    assert_int_equal(rovei_channel_name_depth(span_of("a/b/c")), 3);
    assert_true(rovei_channel_name_under(span_of("a/b"), span_of("a/b/c")));
    assert_true(rovei_channel_name_under(span_of("a/b"), span_of("a/b")));
    assert_false(rovei_channel_name_under(span_of("a/b"), span_of("a/bc")));
    assert_false(rovei_channel_name_under(span_of("a/b"), span_of("a")));
}

static void test_guard_key(void **state)
{
    (void)state;
    uint64_t key = rovei_guard_key((rovei_principal){ROVEI_PRINCIPAL_NODE, 0xc211b9fddfaef86d},
                                   rovei_channel_hash(span_of("sensors/lidar")));
    assert_true(key == 0x46c4a88ccb1e4afe);
    assert_int_equal(key & 0x7fff, 19198);
    assert_int_equal(key >> 15 & 0x7fff, 5692);
}

/* ---- membership ---- */

static size_t write(const rovei_membership *m, uint8_t *ret, size_t room)
{
    rovei_writer w = rovei_writer_of(ret, room);
    rovei_membership_write(&w, m);
    assert_ok(w.err);
    assert_int_equal(rovei_writer_size(&w), rovei_membership_size(m));
    return rovei_writer_size(&w);
}

static void test_vectors(void **state)
{
    (void)state;
    uint8_t bytes[512];
    rovei_membership m = {
        .type = ROVEI_MEMBERSHIP_SUBSCRIBE, .nonce = NONCE, .channel = span_of("sensors/lidar")};
    assert_hex(bytes, write(&m, bytes, sizeof bytes),
               "0088776655443322110d73656e736f72732f6c696461720000");
    m.group = span_of("workers");
    assert_hex(bytes, write(&m, bytes, sizeof bytes),
               "0088776655443322110d73656e736f72732f6c69646172000007776f726b657273");
    uint8_t token[170] = {1};
    m.group = (rove_span){0};
    m.token = (rove_span){token, sizeof token};
    assert_int_equal(write(&m, bytes, sizeof bytes), 195);
    m.type = ROVEI_MEMBERSHIP_UNSUBSCRIBE;
    assert_hex(bytes, write(&m, bytes, sizeof bytes),
               "0188776655443322110d73656e736f72732f6c69646172");
    m = (rovei_membership){.type = ROVEI_MEMBERSHIP_ACK, .nonce = NONCE, .accepted = true};
    assert_hex(bytes, write(&m, bytes, sizeof bytes), "0288776655443322110100");
    m.accepted = false;
    m.reason = ROVEI_REASON_UNAUTHORIZED;
    assert_hex(bytes, write(&m, bytes, sizeof bytes), "0288776655443322110001");
}

static void test_round_trips(void **state)
{
    (void)state;
    uint8_t bytes[1024], token[300];
    memset(token, 7, sizeof token);
    for (unsigned i = 0; i < 4; i++) {
        rovei_membership m = {.type = ROVEI_MEMBERSHIP_SUBSCRIBE,
                              .nonce = i,
                              .channel = span_of("a/b"),
                              .token = {token, i & 1 ? sizeof token : 0},
                              .group = {"gr\xc3\xbcn", i & 2 ? 5 : 0}};
        rovei_membership back;
        assert_ok(rovei_membership_read((rove_span){bytes, write(&m, bytes, sizeof bytes)}, &back));
        assert_int_equal(back.type, m.type);
        assert_int_equal(back.nonce, i);
        assert_span(back.channel, "a/b", 3);
        assert_span(back.token, token, m.token.size);
        assert_span(back.group, m.group.data, m.group.size);
    }
    rovei_membership leave = {
        .type = ROVEI_MEMBERSHIP_UNSUBSCRIBE, .nonce = 9, .channel = span_of("a/b")};
    rovei_membership left;
    assert_ok(rovei_membership_read((rove_span){bytes, write(&leave, bytes, sizeof bytes)}, &left));
    assert_int_equal(left.type, ROVEI_MEMBERSHIP_UNSUBSCRIBE);
    assert_int_equal(left.nonce, 9);
    assert_span(left.channel, "a/b", 3);
    for (unsigned reason = 0; reason <= 4; reason++) {
        rovei_membership m = {.type = ROVEI_MEMBERSHIP_ACK,
                              .nonce = NONCE,
                              .accepted = !reason,
                              .reason = (rovei_membership_reason)reason};
        rovei_membership back;
        assert_ok(rovei_membership_read((rove_span){bytes, write(&m, bytes, sizeof bytes)}, &back));
        assert_int_equal(back.accepted, !reason);
        assert_int_equal(back.reason, reason);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        rove_err err;
    } cases[] = {
        {"", ROVE_E_SHORT},
        {"03", ROVE_E_FLAG},
        {"ff0000000000000000", ROVE_E_FLAG},
        {"00", ROVE_E_SHORT},
        {"000102030405060708", ROVE_E_SHORT},           /* no length of the name */
        {"00010203040506070800", ROVE_E_CHANNEL_EMPTY}, /* N = 0 */
        {"0001020304050607080561", ROVE_E_BOUND},       /* N beyond the end */
        {"0001020304050607080141", ROVE_E_CHANNEL_FORMAT},
        {"00010203040506070801ff", ROVE_E_CHANNEL_CHAR},
        {"0001020304050607080161", ROVE_OK},          /* ends after the name */
        {"000102030405060708016100", ROVE_E_SHORT},   /* one byte after the name */
        {"00010203040506070801610100", ROVE_E_BOUND}, /* T beyond the end */
        {"00010203040506070801610000", ROVE_OK},      /* ends after the token */
        {"0001020304050607080161000000", ROVE_OK},    /* Q = 0 */
        {"000102030405060708016100000061", ROVE_E_TRAILING},
        {"000102030405060708016100000261", ROVE_E_BOUND}, /* Q beyond the end */
        {"0001020304050607080161000001ff", ROVE_E_FORMAT},
        {"00010203040506070801610000016162", ROVE_E_TRAILING},
        {"01010203040506070801610000", ROVE_E_TRAILING}, /* Unsubscribe with a token */
        {"0101020304050607080161", ROVE_OK},
        {"0201020304050607080100", ROVE_OK},
        {"02010203040506070801", ROVE_E_SHORT},
        {"0201020304050607080200", ROVE_E_FLAG}, /* accepted = 2 */
        {"0201020304050607080005", ROVE_E_FLAG}, /* reason = 5 */
        {"020102030405060708010000", ROVE_E_TRAILING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        rovei_membership m;
        size_t size = hex_to(bytes, sizeof bytes, cases[i].hex);
        rove_err err = rovei_membership_read((rove_span){bytes, size}, &m);
        if (err != cases[i].err)
            printf("%s: %s\n", cases[i].hex, rove_err_name(err));
        assert_int_equal(err, cases[i].err);
    }
}

/* What is left out at the end of a Subscribe, as older nodes do, is as if it were empty. */
static void test_left_out(void **state)
{
    (void)state;
    static const char *const cases[] = {"0001020304050607080161", "00010203040506070801610000",
                                        "0001020304050607080161000000"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        rovei_membership m = {.token = span_of("x"), .group = span_of("y")};
        size_t size = hex_to(bytes, sizeof bytes, cases[i]);
        assert_ok(rovei_membership_read((rove_span){bytes, size}, &m));
        assert_span(m.channel, "a", 1);
        assert_int_equal(m.token.size, 0);
        assert_int_equal(m.group.size, 0);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    assert_int_equal(rovei_membership_err(ROVEI_REASON_UNAUTHORIZED), ROVE_E_CHANNEL_UNAUTHORIZED);
    assert_int_equal(rovei_membership_err(ROVEI_REASON_UNKNOWN_CHANNEL), ROVE_E_CHANNEL_UNKNOWN);
    assert_int_equal(rovei_membership_err(ROVEI_REASON_RATE_LIMITED), ROVE_E_CHANNEL_THROTTLED);
    assert_int_equal(rovei_membership_err(ROVEI_REASON_TOO_MANY_CHANNELS), ROVE_E_CHANNELS_FULL);
    assert_string_equal(rovei_membership_reason_name(ROVEI_REASON_TOO_MANY_CHANNELS),
                        "TooManyChannels");
}

/* ---- frames of legs ---- */

static size_t make_frame(rovei_channel_type type, uint8_t *ret, size_t room)
{
    uint8_t items[128];
    rovei_writer w = rovei_writer_of(items, sizeof items);
    rovei_channel_event_write(&w, 0, span_of("one"));
    rovei_channel_event_write(&w, 0, span_of(""));
    rovei_channel_event_write(&w, 6, span_of("three"));
    rovei_channel_frame f = {.type = type,
                             .channel = rovei_channel_hash(span_of("a")),
                             .incarnation = 9,
                             .number = 20,
                             .oldest = 12,
                             .count = 3,
                             .flags = ROVEI_BEGIN_GROUP,
                             .reason = ROVEI_ENDED_REMOVED,
                             .name = span_of("a"),
                             .run = {items, rovei_writer_size(&w)}};
    w = rovei_writer_of(ret, room);
    rovei_channel_frame_write(&w, &f);
    assert_ok(w.err);
    return rovei_writer_size(&w);
}

static const rovei_channel_type types[] = {ROVEI_CHANNEL_BEGIN, ROVEI_CHANNEL_EVENTS,
                                           ROVEI_CHANNEL_ENDED, ROVEI_CHANNEL_TOOK,
                                           ROVEI_CHANNEL_RESUME};

static void test_frames(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        uint8_t bytes[512];
        size_t size = make_frame(types[t], bytes, sizeof bytes);
        rovei_channel_frame f;
        assert_ok(rovei_channel_frame_read((rove_span){bytes, size}, &f));
        assert_int_equal(f.type, types[t]);
        assert_int_equal(f.incarnation, 9);
        bool forth = types[t] < ROVEI_CHANNEL_TOOK;
        assert_int_equal(rovei_channel_is_to_publisher((rove_span){bytes, size}), !forth);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_not_equal(rovei_channel_frame_read((rove_span){bytes, cut}, &f), ROVE_OK);
        bytes[size] = 0;
        assert_int_not_equal(rovei_channel_frame_read((rove_span){bytes, size + 1}, &f), ROVE_OK);
        memset(bytes + 9, 0, 8); /* no incarnation */
        assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FORMAT);
    }
}

static void test_events(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t size = make_frame(ROVEI_CHANNEL_EVENTS, bytes, sizeof bytes);
    rovei_channel_frame f;
    assert_ok(rovei_channel_frame_read((rove_span){bytes, size}, &f));
    rovei_reader r = rovei_reader_of(f.run);
    uint64_t number = f.number;
    rove_span payload;
    assert_true(rovei_channel_event_read(&r, &number, &payload));
    assert_int_equal(number++, 20);
    assert_span(payload, "one", 3);
    assert_true(rovei_channel_event_read(&r, &number, &payload));
    assert_int_equal(number++, 21);
    assert_int_equal(payload.size, 0);
    assert_true(rovei_channel_event_read(&r, &number, &payload));
    assert_int_equal(number++, 28);
    assert_span(payload, "three", 5);
    assert_false(rovei_channel_event_read(&r, &number, &payload));
    rovei_store64(bytes + 17, ROVEI_CHANNEL_NUMBER_MAX - 1); /* the last would be beyond */
    assert_int_not_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_OK);
    rovei_store64(bytes + 17, 20);
    rovei_store32(bytes + 29, 1); /* the first is not of the number that the frame names */
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FORMAT);
    rovei_store32(bytes + 29, 0);
    rovei_store32(bytes + 25, 2); /* one too many */
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_TRAILING);
}

static void test_wrong_frames(void **state)
{
    (void)state;
    uint8_t bytes[512];
    rovei_channel_frame f;
    size_t size = make_frame(ROVEI_CHANNEL_BEGIN, bytes, sizeof bytes);
    bytes[1] ^= 1; /* the hash is not the name's */
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FORMAT);
    bytes[1] ^= 1;
    bytes[33] = 2; /* flags */
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FLAG);
    size = make_frame(ROVEI_CHANNEL_ENDED, bytes, sizeof bytes);
    bytes[size - 1] = 0;
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FLAG);
    size = make_frame(ROVEI_CHANNEL_TOOK, bytes, sizeof bytes);
    rovei_store64(bytes + 17, ROVEI_CHANNEL_NUMBER_MAX + 1);
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_BOUND);
    bytes[0] = 4;
    assert_int_equal(rovei_channel_frame_read((rove_span){bytes, size}, &f), ROVE_E_FLAG);
    assert_true(rovei_channel_is_to_publisher((rove_span){bytes, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_guard_key),    cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_round_trips),  cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_left_out),     cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_frames),       cmocka_unit_test(test_events),
        cmocka_unit_test(test_wrong_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
