/* SPDX-License-Identifier: Apache-2.0
 *
 * Predicates, and conditions as people write them. */
#include "caps_kit.h"
#include "support.h"
#include <capability/where.h>

static const char *const tags = "devices.lidar\nhardware.gpu\nhardware.gpu.vendor=nvidia\n"
                                "hardware.memory_gb=64\nhardware.odd=x\nsoftware.os=linux\n"
                                "software.os_version=6.1.4-arch\nsubprotocol:0x0500\nzone=a";
static const char *const metadata = "rack=12.5\nsite=lab A";

static int clear(void **state)
{
    (void)state;
    caps_kit_clear();
    return 0;
}

/* 1 or 0, or -1 when it does not read. */
static int holds(const char *text)
{
    rovei_where w;
    rovei_where_error error;
    rovei_caps c = caps_of(tags, metadata);
    if (rovei_where_read(&w, &rovei_alloc_libc, span_of(text), &error))
        return -1;
    if (w.has_predicate)
        assert_int_equal(rovei_predicate_check(&w.predicate), ROVEI_PRED_FINE);
    int result = rovei_where_selects(&w, &c, NULL);
    rovei_where_fini(&w);
    return result;
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int holds;
    } rows[] = {
        {"", 1},
        {"  ", 1},
        {"hardware.gpu", 1},
        {"hardware.memory_gb", 1},
        {"hardware.npu", 0},
        {"hardware.gpu.vendor=nvidia", 1},
        {"hardware.gpu.vendor = nvidia", 1},
        {"hardware.gpu.vendor=amd", 0},
        {"hardware.memory_gb>=64", 1},
        {"hardware.memory_gb>=64.5", 0},
        {"hardware.memory_gb<=64", 1},
        {"hardware.memory_gb in 64..70", 1},
        {"hardware.memory_gb in 65..70", 0},
        {"hardware.odd>=0", 0},
        {"software.os_version>=v6.1", 1},
        {"software.os_version>=v6.2", 0},
        {"software.os_version<=v6.1.4", 1},
        {"software.os_version^v6.0", 1},
        {"software.os_version^v5.0", 0},
        {"software.os^=lin", 1},
        {"software.os~inu", 1},
        {"software.os~win", 0},
        {"meta.site", 1},
        {"meta.site=\"lab A\"", 1},
        {"meta.site~lab", 1},
        {"meta.rack>=12.5", 1},
        {"meta.rack>=13", 0},
        {"meta.none", 0},
        {"subprotocol:0x0500", 1},
        {"subprotocol:0x0400", 0},
        {"zone=a", 1},
        {"zone:a", 0},
        {"\"zone=a\"", 1},
        {"gpu memory>=64 vendor=nvidia", 1},
        {"memory>=65", 0},
        {"model=x", 0},
        {"zone=a, hardware.gpu", 1},
        {"zone=a and zone=b", 0},
        {"zone=b or zone=a", 1},
        {"zone=b or zone=c or meta.site", 1},
        {"not zone=b", 1},
        {"not (zone=a or zone=b)", 0},
        {"(zone=b or zone=a) hardware.gpu", 1},
        {"zone=b zone=a or zone=a", 1},
        {"zone=b (zone=a or zone=a)", 0},
        {"hardware.gpu not devices.lidar", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (holds(rows[i].text) != rows[i].holds)
            fail_msg("%s", rows[i].text);
}

static void test_errors_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } rows[] = {
        {"zone=", 5},
        {"zone=a (zone=b", 7},
        {"zone=a)", 6},
        {"zone=a or", 9},
        {"a \"b", 2},
        {"a hardware.x>=big", 2},
        {"hardware.x in 1", 0},
        {"hardware.x^1", 0},
        {"a zone>=4", 2},
        {"a or gpu", 5},
        {"meta.x^=1", 0},
        {"memory>=0", 0},
        {"vendor=bmw", 0},
        {"=a", 0},
        {",", 0},
        {"\"a\"or b", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rovei_where w;
        rovei_where_error error = {99, NULL};
        assert_int_equal(rovei_where_read(&w, &rovei_alloc_libc, span_of(rows[i].text), &error),
                         ROVE_E_WHERE);
        if (error.at != rows[i].at)
            fail_msg("%s: at %zu: %s", rows[i].text, error.at, error.what);
        assert_non_null(error.what);
    }
}

/* However deep, long or odd: an answer within bounds. */
static void test_bounds(void **state)
{
    (void)state;
    static char text[ROVEI_PREDICATE_BYTES + 1];
    rovei_where w;
    rovei_where_error error;
    memset(text, '(', sizeof text);
    rove_span all = {text, sizeof text};
    assert_int_equal(rovei_where_read(&w, &rovei_alloc_libc, all, &error), ROVE_E_TOO_LARGE);
    all.size--;
    assert_int_equal(rovei_where_read(&w, &rovei_alloc_libc, all, &error), ROVE_E_WHERE);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? ' ' : 'a';
    assert_ok(rovei_where_read(&w, &rovei_alloc_libc, all, &error));
    assert_int_equal(w.filter.tag_count, ROVEI_PREDICATE_BYTES / 2);
    rovei_where_fini(&w);
    text[0] = '(';
    text[sizeof text - 2] = ')';
    assert_int_equal(rovei_where_read(&w, &rovei_alloc_libc, all, &error), ROVE_E_WHERE);
    memset(text, 0, sizeof text);
    assert_int_equal(rovei_where_read(&w, &rovei_alloc_libc, all, &error), ROVE_E_WHERE);
}

static void test_predicates_are_checked(void **state)
{
    (void)state;
    rovei_pred_node nodes[2] = {{.kind = ROVEI_PRED_AND}, {.kind = ROVEI_PRED_AND, .count = 1}};
    uint32_t child = 0;
    rovei_predicate p = {nodes, 2, 1, &child, 1};
    rovei_caps none = {0};
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_FINE);
    assert_true(rovei_predicate_holds(&p, &none)); /* an empty `and` holds */
    nodes[0].kind = ROVEI_PRED_OR;
    assert_false(rovei_predicate_holds(&p, &none));
    child = 1;
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_CYCLE);
    child = 2;
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_CHILD);
    child = 0;
    nodes[1].first = 1;
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_CHILD);
    p.root = 2;
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_ROOT);
    p.count = 0;
    assert_int_equal(rovei_predicate_check(&p), ROVEI_PRED_EMPTY);
    assert_string_equal(rovei_pred_error_name(ROVEI_PRED_CYCLE), "CycleDetected");
}

static bool compatible(const char *have, const char *want)
{
    rovei_pred_node node = {.kind = ROVEI_PRED_META_EXISTS};
    char text[64] = "hardware.v=";
    strcat(text, have);
    rovei_caps c = caps_of(text, NULL);
    node = (rovei_pred_node){
        .kind = ROVEI_PRED_SEMVER_COMPATIBLE, .key = span_of("hardware.v"), .text = span_of(want)};
    rovei_predicate p = {&node, 1, 0, NULL, 0};
    return rovei_predicate_holds(&p, &c);
}

static void test_versions(void **state)
{
    (void)state;
    assert_true(compatible("1.9", "1.2.3"));
    assert_false(compatible("2.0", "1.2.3"));
    assert_false(compatible("1.2.2", "1.2.3"));
    assert_true(compatible("0.2.9", "0.2.3"));
    assert_false(compatible("0.3.0", "0.2.3"));
    assert_true(compatible("0.0.3", "0.0.3"));
    assert_false(compatible("0.0.4", "0.0.3"));
    assert_true(compatible("1.2.3-rc1+b", "1.2.3"));
    assert_false(compatible("1.2.3.4", "1"));
    assert_false(compatible("1..2", "1"));
    assert_false(compatible("", "1"));
    assert_false(compatible("1.x", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_conditions, clear),
        cmocka_unit_test_teardown(test_errors_say_where, clear),
        cmocka_unit_test_teardown(test_bounds, clear),
        cmocka_unit_test_teardown(test_predicates_are_checked, clear),
        cmocka_unit_test_teardown(test_versions, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
