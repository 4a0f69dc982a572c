/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of a move in class net, byte for byte, and the sentences of what is refused. */
#include "support.h"

#include <identity/entity.h>
#include <migration/net_codec.h>

#define ORIGIN UINT64_C(0x1122334455667788)

static rove_err decode(const uint8_t *bytes, size_t size, rovei_netmove_message *ret,
                       rovei_text *why)
{
    /* On the heap and of exact size, so that a read too far shows. */
    uint8_t *copy = malloc(size ? size : 1);
    rovei_netmove_message m;
    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    rove_err err = rovei_netmove_decode(&m, (rove_span){copy, size}, why);
    free(copy);
    if (!err && ret)
        *ret = m;
    return err;
}

static void assert_bytes(const rovei_netmove_message *m, const char *hex)
{
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX], again[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_netmove_encode(m, &w);
    assert_ok(w.err);
    assert_hex(bytes, rovei_writer_size(&w), hex);
    /* There and back, also with bytes behind it that nobody reads. */
    rovei_netmove_message back;
    bytes[rovei_writer_size(&w)] = 0x5A;
    assert_ok(rovei_netmove_decode(&back, (rove_span){bytes, rovei_writer_size(&w) + 1}, NULL));
    rovei_writer x = rovei_writer_of(again, sizeof again);
    rovei_netmove_encode(&back, &x);
    assert_hex(again, rovei_writer_size(&x), hex);
    /* And nothing shorter is a message. */
    for (size_t size = 0; size < rovei_writer_size(&w); size++)
        assert_int_not_equal(decode(bytes, size, NULL, NULL), ROVE_OK);
}

static void vectors(void **state)
{
    (void)state;
    static const uint8_t five[] = {1, 2, 3, 4, 5};
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_TAKE_SNAPSHOT, .origin = ORIGIN};
    m.node = UINT64_C(0x0102030405060708);
    assert_bytes(&m, "0088776655443322110807060504030201");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_SNAPSHOT_READY,
                                .origin = ORIGIN,
                                .chunk = {42, 0, 1, {five, sizeof five}}};
    assert_bytes(&m, "0188776655443322112a000000000000000000000001000000050000000102030405");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_REPLAY_COMPLETE,
                                .origin = ORIGIN,
                                .replayed = {42, {ORIGIN, 0, 42, 0xdeadbeef}}};
    assert_bytes(&m, "0388776655443322112a000000000000008877665544332211"
                     "00000000000000002a00000000000000efbeadde00000000");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = ORIGIN};
    assert_bytes(&m, "0688776655443322110000");
    m.failed = (rovei_netmove_reason){.code = ROVEI_NETMOVE_STATE_FAILED, .text = span_of("boom")};
    assert_bytes(&m, "06887766554433221103000400626f6f6d");
    m.failed = (rovei_netmove_reason){.code = ROVEI_NETMOVE_NOT_READY_TIMEOUT, .attempts = 7};
    assert_bytes(&m, "068877665544332211060007");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_BUFFERED_EVENTS, .origin = ORIGIN};
    assert_bytes(&m, "07887766554433221100000000");
    uint8_t items[64];
    rovei_writer w = rovei_writer_of(items, sizeof items);
    rovei_netmove_event e = {{0xbbbb, 0, 1, 0}, span_of("hi"), 100};
    rovei_netmove_event_write(&w, &e);
    m.events.count = 1;
    m.events.items = (rove_span){items, rovei_writer_size(&w)};
    assert_bytes(&m, "07887766554433221101000000bbbb000000000000000000000000000001000000000000"
                     "0000000000000000000200000068696400000000000000");
}

static void other_types(void **state)
{
    (void)state;
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_RESTORE_COMPLETE, .origin = ORIGIN};
    m.sequence = 3;
    assert_bytes(&m, "0288776655443322110300000000000000");
    m.type = ROVEI_NETMOVE_ACTIVATE_ACK;
    assert_bytes(&m, "0988776655443322110300000000000000");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_CUTOVER_NOTIFY, .origin = ORIGIN};
    m.node = 9;
    assert_bytes(&m, "0488776655443322110900000000000000");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_CLEANUP_COMPLETE, .origin = ORIGIN};
    assert_bytes(&m, "058877665544332211");
    m.type = ROVEI_NETMOVE_ACTIVATE_TARGET;
    assert_bytes(&m, "088877665544332211");
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = ORIGIN};
    for (int code = 0; code <= ROVEI_NETMOVE_NOT_READY_TIMEOUT; code++) {
        m.failed = (rovei_netmove_reason){.code = (rovei_netmove_code)code};
        if (rovei_netmove_reason_has_text(m.failed.code))
            m.failed.text = span_of("\xC3\xA4");
        uint8_t bytes[64];
        rovei_netmove_message back;
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_netmove_encode(&m, &w);
        assert_ok(rovei_netmove_decode(&back, (rove_span){bytes, rovei_writer_size(&w)}, NULL));
        assert_int_equal(back.failed.code, code);
        assert_int_equal(back.failed.text.size, m.failed.text.size);
    }
}

static void assert_refused(const char *hex, rove_err want, const char *text)
{
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_text why;
    size_t size = hex_to(bytes, sizeof bytes, hex);
    assert_int_equal(decode(bytes, size, NULL, &why), want);
    assert_string_equal(why.chars, text);
}

#define ID "8877665544332211"
static void refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "TakeSnapshot",   "SnapshotReady",   "RestoreComplete",        "ReplayComplete",
        "CutoverNotify",  "CleanupComplete", "MigrationFailed header", "BufferedEvents",
        "ActivateTarget", "ActivateAck"};
    assert_refused("", ROVE_E_SHORT, "empty message");
    assert_refused("0a" ID, ROVE_E_FLAG, "unknown message type: 10");
    assert_refused("ff", ROVE_E_FLAG, "unknown message type: 255");
    for (unsigned type = 0; type < ROVEI_NETMOVE_TYPES; type++) {
        uint8_t byte = (uint8_t)type;
        rovei_text why, want;
        assert_int_equal(decode(&byte, 1, NULL, &why), ROVE_E_SHORT);
        rovei_text_set(&want, "truncated ");
        rovei_text_add(&want, names[type]);
        assert_string_equal(why.chars, want.chars);
    }
    assert_refused("01" ID "0000000000000000000000000000000000000000", ROVE_E_BOUND,
                   "SnapshotReady: total_chunks must be >= 1");
    assert_refused("01" ID "000000000000000000000000ffffffff00000000", ROVE_E_BOUND,
                   "SnapshotReady: total_chunks 4294967295 exceeds MAX_TOTAL_CHUNKS (700000)");
    assert_refused("01" ID "0000000000000000050000000300000000000000", ROVE_E_BOUND,
                   "SnapshotReady: chunk_index 5 out of range for total_chunks 3");
    assert_refused("01" ID "00000000000000000000000001000000591b0000", ROVE_E_BOUND,
                   "SnapshotReady: snapshot payload length 7001 exceeds MAX_SNAPSHOT_CHUNK_SIZE "
                   "(7000)");
    assert_refused("01" ID "000000000000000000000000010000000200000000", ROVE_E_SHORT,
                   "truncated snapshot payload");
    assert_refused("06" ID "ffff", ROVE_E_FLAG, "unknown MigrationFailureReason code 65535");
    assert_refused("06" ID "0300", ROVE_E_SHORT, "truncated StateFailed length prefix");
    assert_refused("06" ID "0500020061", ROVE_E_SHORT, "truncated IdentityTransportFailed body");
    assert_refused("06" ID "03000100c3", ROVE_E_FORMAT, "StateFailed is not valid UTF-8");
    assert_refused("06" ID "0600", ROVE_E_SHORT, "truncated NotReadyTimeout attempts field");
    assert_refused("07" ID "ffffffff", ROVE_E_BOUND,
                   "BufferedEvents: count 4294967295 exceeds bound (0)");
}

/* Counts are looked at before anything is walked, and lengths before they are added. */
static void counts_and_lengths(void **state)
{
    (void)state;
    uint8_t bytes[200] = {ROVEI_NETMOVE_BUFFERED_EVENTS};
    rovei_text why;
    rovei_store32(bytes + 9, 2000000);
    assert_int_equal(decode(bytes, sizeof bytes, NULL, &why), ROVE_E_BOUND);
    rovei_store32(bytes + 9, 1);
    rovei_store32(bytes + 13 + 32, 7001);
    assert_int_equal(decode(bytes, sizeof bytes, NULL, &why), ROVE_E_BOUND);
    assert_string_equal(why.chars, "buffered event payload 7001 exceeds per-event cap 7000");
    rovei_store32(bytes + 13 + 32, 160);
    assert_int_equal(decode(bytes, sizeof bytes, NULL, &why), ROVE_E_SHORT);
    assert_string_equal(why.chars, "truncated event payload");
    rovei_store32(bytes + 9, 2);
    rovei_store32(bytes + 13 + 32, 110);
    assert_int_equal(decode(bytes, sizeof bytes, NULL, &why), ROVE_E_SHORT);
    assert_string_equal(why.chars, "truncated buffered event");
}

static void too_long_to_write(void **state)
{
    (void)state;
    static uint8_t big[70000], out[80000];
    memset(big, 'x', sizeof big);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED};
    m.failed = (rovei_netmove_reason){.code = ROVEI_NETMOVE_STATE_FAILED, .text = {big, 65535}};
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_netmove_encode(&m, &w);
    assert_ok(w.err);
    m.failed.text.size = 65536;
    w = rovei_writer_of(out, sizeof out);
    rovei_netmove_encode(&m, &w);
    assert_int_equal(w.err, ROVE_E_BOUND);
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_SNAPSHOT_READY};
    m.chunk = (rovei_netmove_chunk){0, 0, 1, {big, ROVEI_NETMOVE_CHUNK_MAX + 1}};
    w = rovei_writer_of(out, sizeof out);
    rovei_netmove_encode(&m, &w);
    assert_int_equal(w.err, ROVE_E_BOUND);
}

static void heads(void **state)
{
    (void)state;
    uint8_t head[37] = {'C', 'D', 'S', '1', 2, 7};
    rove_entity entity, want = {{7}};
    rovei_text why, text;
    uint64_t origin = rovei_entity_origin(&want);
    assert_ok(rovei_netmove_check_head(origin, (rove_span){head, 37}, &entity, &why));
    assert_true(rovei_entity_equal(&entity, &want));
    assert_int_equal(rovei_netmove_check_head(origin, (rove_span){head, 12}, &entity, &why),
                     ROVE_E_SHORT);
    assert_string_equal(why.chars, "SnapshotReady chunk 0 is 12 bytes \xE2\x80\x94 too short for "
                                   "snapshot envelope (need >= 37)");
    assert_int_equal(rovei_netmove_check_head(1, (rove_span){head, 37}, &entity, &why),
                     ROVE_E_ORIGIN_MISMATCH);
    rovei_text_set(&text, "SnapshotReady chunk 0 entity_id origin ");
    rovei_text_add_hex(&text, origin);
    rovei_text_add(&text, " does not match daemon_origin 0x1");
    assert_string_equal(why.chars, text.chars);
    head[4] = 0xFE;
    assert_int_equal(rovei_netmove_check_head(origin, (rove_span){head, 37}, &entity, &why),
                     ROVE_E_VERSION);
    assert_string_equal(why.chars, "SnapshotReady chunk 0 carries snapshot version 254 "
                                   "(expected 2)");
    head[0] = 'X';
    assert_int_equal(rovei_netmove_check_head(origin, (rove_span){head, 37}, &entity, &why),
                     ROVE_E_MAGIC);
}

static void assert_reason(rovei_netmove_reason r, rove_err err, const char *text)
{
    rovei_text got;
    rovei_netmove_reason_text(&r, &got);
    assert_string_equal(got.chars, text);
    assert_int_equal(rovei_netmove_err_of(&r), err);
}

static void reasons(void **state)
{
    (void)state;
    assert_reason((rovei_netmove_reason){.code = 0}, ROVE_E_TARGET_NOT_READY,
                  "target runtime not ready yet");
    assert_reason((rovei_netmove_reason){.code = 1}, ROVE_E_TARGET_NO_FACTORY,
                  "no factory registered on target for this daemon");
    assert_reason((rovei_netmove_reason){.code = 2}, ROVE_E_TARGET_NO_RUNTIME,
                  "target does not run a compute runtime");
    assert_reason((rovei_netmove_reason){.code = 3, .text = span_of("boom")}, ROVE_E_STATE_FAILED,
                  "state failed: boom");
    assert_reason((rovei_netmove_reason){.code = 4}, ROVE_E_ALREADY_MIGRATING,
                  "daemon is already migrating");
    assert_reason((rovei_netmove_reason){.code = 5, .text = span_of("no")},
                  ROVE_E_IDENTITY_TRANSPORT, "identity envelope transport failed: no");
    assert_reason((rovei_netmove_reason){.code = 6, .attempts = 3}, ROVE_E_NOT_READY_TIMEOUT,
                  "source gave up after 3 NotReady retries");
    /* What a target of the reference says about keys comes under code 3. */
    rovei_netmove_reason r = {.code = 3,
                              .text = span_of(ROVEI_NETMOVE_NOT_OPENED ROVEI_NETMOVE_NO_KEY)};
    assert_int_equal(rovei_netmove_err_of(&r), ROVE_E_IDENTITY_MISSING);
    r.text = span_of(ROVEI_NETMOVE_NO_KEY);
    assert_int_equal(rovei_netmove_err_of(&r), ROVE_E_IDENTITY_MISSING);
    r.text = span_of(ROVEI_NETMOVE_NOT_OPENED "anything");
    assert_int_equal(rovei_netmove_err_of(&r), ROVE_E_IDENTITY_TRANSPORT);
    /* Only one of them is worth a second try. */
    for (int code = 0; code <= ROVEI_NETMOVE_NOT_READY_TIMEOUT; code++)
        assert_int_equal(rovei_netmove_err_of(&(rovei_netmove_reason){
                             .code = (rovei_netmove_code)code}) == ROVE_E_TARGET_NOT_READY,
                         code == 0);
}

static void texts(void **state)
{
    (void)state;
    rovei_text t;
    rovei_text_set(&t, "a ");
    rovei_text_add_number(&t, UINT64_MAX);
    rovei_text_add(&t, " ");
    rovei_text_add_hex(&t, 0);
    rovei_text_add_span(&t, (rove_span){"\xFF\0z", 3});
    assert_string_equal(t.chars, "a 18446744073709551615 0x0??z");
    rovei_text_set(&t, "<");
    rovei_text_add_quoted(&t, (rove_span){"a \"b\\\n\xFF!", 8});
    rovei_text_add_quoted(&t, (rove_span){NULL, 0});
    assert_string_equal(t.chars, "<\"a \\\"b\\\\\\n?!\"\"\"");
    /* Full: no half of a character is left at the end. */
    rovei_text_set(&t, "");
    for (int i = 0; i < 600; i++)
        rovei_text_add(&t, "\xC3\xA4");
    assert_int_equal(t.size, ROVEI_TEXT_ROOM - 2);
    assert_true(rovei_is_utf8(rovei_text_span(&t)));
    assert_int_equal(rovei_utf8_cut(rovei_text_span(&t), 7).size, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),           cmocka_unit_test(other_types),
        cmocka_unit_test(refused),           cmocka_unit_test(counts_and_lengths),
        cmocka_unit_test(too_long_to_write), cmocka_unit_test(heads),
        cmocka_unit_test(reasons),           cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
