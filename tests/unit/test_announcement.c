/* SPDX-License-Identifier: Apache-2.0
 *
 * Announcements: the reference's bytes, and what is done with everything else. */
#include "support.h"
#include <base/alloc.h>
#include <capability/announcement.h>
#include <capability/reflex.h>
#include <capability/tag.h>
#include <crypto/crypto.h>
#include <stdio.h>

#define BODY                                                                                       \
    "{\"node_id\":13984162817992751213,\"entity_id\":"                                             \
    "\"2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12\",\"version\":"            \
    "1700000000000,\"timestamp_ns\":1700000000000000000,\"ttl_secs\":300,\"capabilities\":{"       \
    "\"tags\":[\"hardware.gpu\",\"hardware.memory_gb=64\",\"subprotocol:0x0500\"],\"metadata\":{"  \
    "\"site\":\"lab \\\"A\\\"\"}}"
#define SIGNATURE                                                                                  \
    "0bda0c304bca3723ef6f9dbfc1817cedb0bf2f679dd464dd390a317fd6e934ca"                             \
    "16f069ea0f6e365d47806ce46fb5c38014c364226787686aaeb1c6c0422f630d"

static rove_err read_text(const char *text, rovei_announcement **ret)
{
    return rovei_announcement_read(ret, &rovei_alloc_libc, rovei_span_of(text));
}

static rove_err verdict(const char *text)
{
    rovei_announcement *a = NULL;
    rove_err err = read_text(text, &a);
    if (!err)
        err = rovei_announcement_verify(a);
    rovei_announcement_unref(a);
    return err;
}

static void writes(const char *text, uint8_t hops, const char *expected)
{
    rovei_announcement *a;
    char out[ROVEI_ANNOUNCEMENT_MAX];
    assert_int_equal(read_text(text, &a), ROVE_OK);
    size_t size = rovei_announcement_write(a, hops, out, sizeof out);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(out, expected, size);
    rovei_announcement_unref(a);
}

static void test_the_vector(void **state)
{
    (void)state;
    const char *wire = BODY ",\"signature\":\"" SIGNATURE "\"}";
    const char *forwarded = BODY ",\"signature\":\"" SIGNATURE "\",\"hop_count\":1}";
    assert_int_equal(strlen(BODY "}"), 303);
    assert_int_equal(strlen(wire), 446);
    assert_int_equal(strlen(forwarded), 460);
    assert_int_equal(verdict(wire), ROVE_OK);
    assert_int_equal(verdict(forwarded), ROVE_OK);
    assert_int_equal(verdict(BODY "}"), ROVE_E_SIGNATURE);
    writes(wire, 0, wire);
    writes(wire, 1, forwarded);
    writes(forwarded, 0, wire);
    rovei_announcement *a;
    char out[400];
    assert_int_equal(read_text(forwarded, &a), ROVE_OK);
    assert_int_equal(a->node_id, UINT64_C(13984162817992751213));
    assert_int_equal(a->node_id, rovei_entity_node_id(&a->entity));
    assert_int_equal(a->hop_count, 1);
    assert_int_equal(rovei_announcement_write_signed(a, out, sizeof out), 303);
    assert_memory_equal(out, BODY "}", 303);
    rovei_announcement_unref(a);
}

static void test_other_spellings_of_the_same(void **state)
{
    (void)state;
    /* Another order, spaces, escapes, upper-case hex, unknown keys, a tag twice, nulls. */
    const char *odd =
        " { \"signature\" : \"" SIGNATURE
        "\", \"unknown\":[{\"a\":[[],{},-1.5e+3,\"\\ud800\",null]}],"
        "\"ttl_secs\":300 ,\"owner_cert\":null,\"reflex_addr\":null,\"capabilities\":{\"metadata\":"
        "{\"site\":\"other\",\"site\":\"lab \\u0022A\\\"\"},\"tags\":[\"subprotocol:0x0500\","
        "\"hardware.gpu\",\"hardware.memory_gb=64\",\"hardware.gpu\"]},\"timestamp_ns\":"
        "1700000000000000000,\"version\":1700000000000,\"unknown\":1,\"entity_id\":"
        "\"2152F8D19B791D24453242E15F2EAB6CB7CFFA7B6A5ED30097960E069881DB12\",\"node_id\":"
        "13984162817992751213,\"allowed_nodes\":[]}\n\t ";
    assert_int_equal(verdict(odd), ROVE_OK);
    writes(odd, 0, BODY ",\"signature\":\"" SIGNATURE "\"}");
}

static void test_what_changes_it_breaks_the_signature(void **state)
{
    (void)state;
    char text[512];
    const char *wire = BODY ",\"signature\":\"" SIGNATURE "\"}";
    static const struct {
        const char *from, *to;
    } change[] = {{"=64", "=65"},
                  {":300,", ":301,"},
                  {"1700000000000,", "1700000000001,"},
                  {"memory_gb=", "memory_gb:"},
                  {"lab", "lac"}};
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        strcpy(text, wire);
        char *at = strstr(text, change[i].from);
        assert_non_null(at);
        memcpy(at, change[i].to, strlen(change[i].to));
        assert_int_equal(verdict(text), ROVE_E_SIGNATURE);
    }
}

#define ENTITY "\"2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12\""
#define HEAD   "{\"node_id\":1,\"entity_id\":" ENTITY ",\"version\":1,\"timestamp_ns\":1,"
#define SET    "\"ttl_secs\":1,\"capabilities\":{}"

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{",
        "x",
        HEAD SET,
        HEAD SET "}x",
        HEAD SET ",}",
        HEAD "\"capabilities\":{}}",
        HEAD "\"ttl_secs\":1}",
        HEAD SET ",\"version\":1}",
        HEAD SET ",\"hop_count\":256}",
        HEAD SET ",\"hop_count\":null}",
        HEAD SET ",\"hop_count\":1.0}",
        HEAD SET ",\"hop_count\":1e0}",
        HEAD SET ",\"hop_count\":-0}",
        HEAD SET ",\"hop_count\":01}",
        HEAD SET ",\"hop_count\":\"1\"}",
        HEAD "\"ttl_secs\":4294967296,\"capabilities\":{}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":null}",
        HEAD "\"ttl_secs\":1,\"capabilities\":[]}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[\"\"]}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[1]}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[\"a\",]}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[],\"tags\":[]}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":null}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"metadata\":{\"a\":1}}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"metadata\":{\"a\":\"\\ud800\"}}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"metadata\":{\"a\":\"\x01\"}}}",
        HEAD "\"ttl_secs\":1,\"capabilities\":{\"metadata\":{\"a\":\"\xff\"}}}",
        HEAD SET ",\"signature\":\"00\"}",
        HEAD SET ",\"owner_cert\":\"00\"}",
        HEAD SET ",\"reflex_addr\":\"localhost:1\"}",
        HEAD SET ",\"reflex_addr\":\"\"}",
        HEAD SET ",\"allowed_nodes\":[18446744073709551616]}",
        HEAD SET ",\"allowed_nodes\":null}",
        HEAD SET ",\"allowed_subnets\":[[1,2]]}",
        HEAD SET ",\"allowed_groups\":[[256]]}",
        HEAD SET ",\"x\":01}",
        HEAD SET ",\"x\":[}",
        HEAD SET ",\"x\":{\"a\"}}",
        HEAD SET ",\"x\":1.}",
        HEAD SET ",\"x\":nul}",
    };
    rovei_announcement *a = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_text(bad[i], &a) != ROVE_E_FORMAT)
            fail_msg("taken: %s", bad[i]);
    assert_null(a);
    assert_int_equal(read_text(HEAD SET ",\"hop_count\":0}", &a), ROVE_OK);
    assert_int_equal(a->version, 1);
    rovei_announcement_unref(a);
}

static void test_bounds(void **state)
{
    (void)state;
    char text[ROVEI_ANNOUNCEMENT_MAX + 2];
    rovei_announcement *a;
    for (int n = 64; n <= 65; n++) {
        strcpy(text, HEAD SET ",\"allowed_nodes\":[18446744073709551615");
        for (int i = 1; i < n; i++)
            strcat(text, ",7");
        strcat(text, "]}");
        assert_int_equal(read_text(text, &a), n == 64 ? ROVE_OK : ROVE_E_FORMAT);
        if (n == 64) {
            assert_int_equal(a->allow.node_count, 64);
            assert_true(a->allow.nodes[0] == UINT64_MAX);
            rovei_announcement_unref(a);
        }
    }
    /* Of as many bytes as fit, nested as deep as can be. */
    for (size_t size = ROVEI_ANNOUNCEMENT_MAX; size <= ROVEI_ANNOUNCEMENT_MAX + 1; size++) {
        const char *head = HEAD SET ",\"x\":";
        size_t from = strlen(head), depth = (size - from - 1) / 2;
        memcpy(text, head, from);
        memset(text + from, '[', depth);
        memset(text + from + depth, ']', depth);
        text[from + 2 * depth] = '}';
        memset(text + from + 2 * depth + 1, ' ', size - from - 2 * depth - 1);
        text[size] = 0;
        rove_err err = read_text(text, &a);
        assert_int_equal(err, size == ROVEI_ANNOUNCEMENT_MAX ? ROVE_OK : ROVE_E_TOO_LARGE);
        if (!err)
            rovei_announcement_unref(a);
    }
}

static void canonical(const char *from, const char *expected)
{
    char out[ROVEI_REFLEX_ROOM];
    size_t size = rovei_reflex_canonical(out, rovei_span_of(from));
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(out, expected, size);
}

static void test_addresses(void **state)
{
    (void)state;
    canonical("10.0.0.1:0080", "10.0.0.1:80");
    canonical("[2001:DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1");
    canonical("[::]:0", "[::]:0");
    canonical("[1:0:0:2:0:0:0:3]:9", "[1:0:0:2::3]:9");
    canonical("[::ffff:10.1.2.3]:5", "[::ffff:10.1.2.3]:5");
    canonical("[fe80::1%3]:5", "[fe80::1%3]:5");
    static const char *const bad[] = {"10.0.0.01:1",   "256.0.0.1:1", "1.2.3:1", "1.2.3.4",
                                      "1.2.3.4:65536", "[::1]",       "::1:80",  "[1::2::3]:1",
                                      "[::1]:1 ",      "[12345::]:1", "[::1%]:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        canonical(bad[i], "");
}

static void test_strip(void **state)
{
    (void)state;
    rovei_announcement *a;
    assert_int_equal(
        read_text(HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[\"heat:ab=1\",\"heat:cd=2\","
                       "\"causal:cd:9\",\"x\"],\"metadata\":{\"intent\":\"a\",\"owner\":\"b\","
                       "\"site\":\"c\"}}}",
                  &a),
        ROVE_OK);
    rovei_announcement_strip(a);
    assert_int_equal(a->set.metadata_count, 1);
    assert_int_equal(a->set.tag_count, 3);
    assert_false(rovei_caps_has(&a->set, rovei_span_of("heat:ab=1")));
    assert_true(rovei_caps_has(&a->set, rovei_span_of("heat:cd=2")));
    rovei_announcement_unref(a);
}

/* Heat of blobs needs no claim, and there is only so much of it. */
static void test_blobs_are_cut(void **state)
{
    (void)state;
    for (int count = 256; count <= 258; count++) {
        static char text[ROVEI_ANNOUNCEMENT_MAX + 1];
        rovei_announcement *a;
        size_t at = (size_t)snprintf(
            text, sizeof text, HEAD "\"ttl_secs\":1,\"capabilities\":{\"tags\":[\"heat:zz=1\"");
        for (int i = 0; i < count; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, ",\"heat:blob:%03d\"", i);
        snprintf(text + at, sizeof text - at, ",\"x\"]}}");
        assert_ok(read_text(text, &a));
        assert_int_equal(a->set.tag_count, count + 2);
        rovei_announcement_strip(a);
        assert_int_equal(a->set.tag_count, 256 + 1);
        assert_true(rovei_caps_has(&a->set, rovei_span_of("heat:blob:255")));
        assert_false(rovei_caps_has(&a->set, rovei_span_of("heat:blob:256")));
        assert_true(rovei_caps_has(&a->set, rovei_span_of("x")));
        rovei_announcement_unref(a);
    }
}

/* Each part that is signed, also those that are seldom there. */
static void test_what_is_signed(void **state)
{
    (void)state;
    test_env t;
    rovei_keypair *key;
    const uint8_t seed[32] = {1}, cert[ROVEI_OWNER_CERT_SIZE] = {0};
    const uint64_t nodes[] = {1, 2};
    const uint8_t subnets[1][16] = {{1}}, groups[1][32] = {{2}};
    test_env_init(&t, 1);
    assert_ok(rovei_keypair_from_seed(&key, &t.env, seed));
    rovei_announcement plain = {.node_id = rovei_keypair_node_id(key),
                                .entity = *rovei_keypair_entity(key),
                                .version = 1,
                                .ttl = 300,
                                .owner_cert = cert,
                                .allow = {nodes, 2, subnets, 1, groups, 1}};
    plain.reflex.size = (uint8_t)rovei_reflex_canonical(plain.reflex.text, span_of("10.0.0.1:80"));
    for (int change = 0; change < 6; change++) {
        rovei_announcement *a;
        assert_ok(rovei_announcement_new(&a, &rovei_alloc_libc, &plain));
        assert_ok(rovei_announcement_sign(a, key));
        a->hop_count = 7;
        assert_ok(rovei_announcement_verify(a));
        if (change == 0)
            a->allow.node_count = 1;
        else if (change == 1)
            a->allow.subnet_count = 0;
        else if (change == 2)
            a->allow.group_count = 0;
        else if (change == 3)
            a->owner_cert = NULL;
        else if (change == 4)
            a->reflex.size = 0;
        else
            a->timestamp++;
        assert_int_equal(rovei_announcement_verify(a), ROVE_E_SIGNATURE);
        rovei_announcement_unref(a);
    }
    rovei_keypair_unref(key);
    test_env_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vector),
        cmocka_unit_test(test_other_spellings_of_the_same),
        cmocka_unit_test(test_what_changes_it_breaks_the_signature),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_strip),
        cmocka_unit_test(test_blobs_are_cut),
        cmocka_unit_test(test_what_is_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
