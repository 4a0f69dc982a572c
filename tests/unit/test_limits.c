/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of limits: defaults, text, and what does not fit together. */
#include "support.h"

#include <inttypes.h>
#include <rove/limits.h>
#include <stdio.h>

static void test_defaults(void **state)
{
    (void)state;
    rove_limits l;
    const char *name = "untouched";
    memset(&l, 0xEE, sizeof l);
    rove_limits_init(&l);
    assert_int_equal(l.struct_version, ROVE_LIMITS_VERSION);
    assert_int_equal(l.reserved, 0);
    assert_int_equal(l.heartbeat, ROVE_SECOND);
    assert_int_equal(l.event_max, 1048576);
    assert_ok(rove_limits_check(&l, &name, NULL));
    assert_string_equal(name, "untouched");
}

/* Sets a limit by name and sees that no other one changed. */
static void set_and_compare(const rove_limit_info *info, uint64_t value)
{
    char text[64];
    rove_limits l, before;
    rove_limits_init(&l);
    before = l;
    if (info->unit == 'T')
        snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, value / ROVE_SECOND,
                 value % ROVE_SECOND);
    else
        snprintf(text, sizeof text, "%" PRIu64, value);
    assert_ok(rove_limits_set(&l, info->name, text));
    size_t differing = 0;
    for (size_t at = 0; at < sizeof l; at += 8)
        differing += memcmp((char *)&l + at, (char *)&before + at, 8) != 0;
    assert_int_equal(differing, value != info->preset);
}

static void test_rows(void **state)
{
    (void)state;
    rove_limit_info info;
    rove_limits l;
    size_t i = 0;
    for (; rove_limits_info(i, &info); i++) {
        assert_true(info.unit == 'T' || info.unit == 'B' || info.unit == 'N');
        assert_true(info.least <= info.preset && info.preset <= info.most);
        assert_true(strlen(info.why) > 0);
        set_and_compare(&info, info.least);
        set_and_compare(&info, info.preset);
        set_and_compare(&info, info.most);
    }
    assert_int_equal(i, (sizeof l - 8) / 8);
    assert_false(rove_limits_info(SIZE_MAX, &info));
    assert_false(rove_limits_info(0, NULL));
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t nanos;
    } good[] = {
        {"2", 2 * ROVE_SECOND},
        {"0.25", ROVE_SECOND / 4},
        {"1.", ROVE_SECOND},
        {"0.001000001", ROVE_MILLISECOND + 1},
        {"59.999999999", 60 * ROVE_SECOND - 1},
        {"007", 7 * ROVE_SECOND},
    };
    static const char *const bad[] = {
        "",           " 1",           "1 ", "-1",   ".5", "1.2.3", "1s",
        "1e3",        "0.0000000001", "1K", "0x10", "+1", "nan",   "18446744073709551616",
        "18446744074"};
    rove_limits l;
    rove_limits_init(&l);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(rove_limits_set(&l, "heartbeat", good[i].text));
        assert_int_equal(l.heartbeat, good[i].nanos);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rove_limits_set(&l, "heartbeat", bad[i]), ROVE_E_USAGE);
        assert_int_equal(l.heartbeat, 7 * ROVE_SECOND);
    }
    assert_int_equal(rove_limits_set(&l, "heartbeat", "61"), ROVE_E_BOUND);
    assert_int_equal(rove_limits_set(&l, "heartbeat", "0"), ROVE_E_BOUND);
    assert_int_equal(l.heartbeat, 7 * ROVE_SECOND);
    assert_ok(rove_limits_set(&l, "retry_not_ready", "0"));
}

static void test_numbers(void **state)
{
    (void)state;
    rove_limits l;
    rove_limits_init(&l);
    assert_ok(rove_limits_set(&l, "state_max", "2G"));
    assert_int_equal(l.state_max, UINT64_C(2) << 30);
    assert_ok(rove_limits_set(&l, "state_max", "3M"));
    assert_int_equal(l.state_max, UINT64_C(3) << 20);
    assert_ok(rove_limits_set(&l, "lane_events", "1K"));
    assert_int_equal(l.lane_events, 1024);
    static const char *const bad[] = {"1k", "1KB", "K", "1.5", "17179869184G", "1T", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rove_limits_set(&l, "state_max", bad[i]), ROVE_E_USAGE);
    assert_int_equal(rove_limits_set(&l, "state_max", "17179869183G"), ROVE_E_BOUND);
    assert_int_equal(rove_limits_set(&l, "lane_events", "0"), ROVE_E_BOUND);
    assert_int_equal(rove_limits_set(&l, "nothing", "1"), ROVE_E_NOT_FOUND);
    assert_int_equal(rove_limits_set(&l, "", "1"), ROVE_E_NOT_FOUND);
    assert_int_equal(rove_limits_set(NULL, "lane_events", "1"), ROVE_E_USAGE);
    assert_int_equal(rove_limits_set(&l, NULL, "1"), ROVE_E_USAGE);
    assert_int_equal(rove_limits_set(&l, "lane_events", NULL), ROVE_E_USAGE);
    assert_int_equal(l.state_max, UINT64_C(3) << 20);
}

static void expect_misfit(const char *set, const char *value, const char *named, const char *said)
{
    rove_limits l;
    const char *name = NULL, *rule = NULL;
    rove_limits_init(&l);
    assert_ok(rove_limits_set(&l, set, value));
    assert_int_equal(rove_limits_check(&l, &name, &rule), ROVE_E_BOUND);
    assert_string_equal(name, named);
    assert_string_equal(rule, said);
    assert_int_equal(rove_limits_check(&l, NULL, NULL), ROVE_E_BOUND);
}

static void test_fit(void **state)
{
    (void)state;
    expect_misfit("suspect_after", "10", "fail_after", "must be above suspect_after");
    expect_misfit("suspect_after", "1", "suspect_after", "must be above heartbeat");
    expect_misfit("fail_after", "15", "move_stall", "must be above fail_after");
    expect_misfit("rekey_time", "180", "reject_time", "must be above rekey_time");
    expect_misfit("reject_packets", "32", "reject_packets", "must be above rekey_packets");
    static const char both[] = "must be above send_giveup and twice reject_time together";
    expect_misfit("lane_expiry", "960", "lane_expiry", both);
    expect_misfit("send_giveup", "3240", "lane_expiry", both);

    rove_limits l;
    const char *name = NULL;
    rove_limits_init(&l);
    assert_ok(rove_limits_set(&l, "lane_expiry", "960.000000001"));
    assert_ok(rove_limits_check(&l, &name, NULL));
    l.event_max = 0;
    assert_int_equal(rove_limits_check(&l, &name, NULL), ROVE_E_BOUND);
    assert_string_equal(name, "event_max");
    const char *rule = NULL;
    assert_int_equal(rove_limits_check(&l, NULL, &rule), ROVE_E_BOUND);
    assert_string_equal(rule, "is out of its bounds");
    rove_limits_init(&l);
    l.struct_version++;
    assert_int_equal(rove_limits_check(&l, &name, NULL), ROVE_E_STRUCT_VERSION);
    assert_int_equal(rove_limits_check(NULL, &name, NULL), ROVE_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_rows), cmocka_unit_test(test_times),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
