/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON form of predicates: every kind of node, and what is refused. */
#include "caps_kit.h"
#include "support.h"
#include <shell/predicate_json.h>

#define KEY(axis, key) "\"key\":{\"axis\":\"" axis "\",\"key\":\"" key "\"}"
#define ONE(node)      "{\"nodes\":[{" node "}],\"root_idx\":0}"

static int holds(const char *text)
{
    rovei_json_predicate p;
    rovei_pred_error error;
    rovei_caps c = caps_of("hardware.gpu\nhardware.gpu.vendor=nvidia\nhardware.memory_gb=64\n"
                           "software.os=linux\nsoftware.os_version=6.1.4",
                           "rack=12.5\nsite=lab");
    if (rovei_json_predicate_read(&p, &rovei_alloc_libc, span_of(text), &error))
        return -1;
    int result = rovei_predicate_holds(&p.predicate, &c);
    rovei_json_predicate_fini(&p);
    caps_kit_clear();
    return result;
}

static void test_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int holds;
    } rows[] = {
        {ONE("\"kind\":\"exists\"," KEY("hardware", "gpu")), 1},
        {ONE("\"kind\":\"exists\"," KEY("hardware", "npu")), 0},
        {ONE("\"kind\":\"equals\"," KEY("hardware", "gpu.vendor") ",\"value\":\"nvidia\""), 1},
        {ONE("\"kind\":\"numeric_at_least\"," KEY("hardware", "memory_gb") ",\"threshold\":64"), 1},
        {ONE("\"kind\":\"numeric_at_least\"," KEY("hardware", "memory_gb") ",\"threshold\":64.5"),
         0},
        {ONE("\"kind\":\"numeric_at_most\"," KEY("hardware", "memory_gb") ",\"threshold\":64.0"),
         1},
        {ONE("\"kind\":\"numeric_in_range\"," KEY("hardware",
                                                  "memory_gb") ",\"min\":64,\"max\":65"),
         1},
        {ONE("\"kind\":\"semver_at_least\"," KEY("software", "os_version") ",\"version\":\"6.1\""),
         1},
        {ONE("\"kind\":\"semver_at_most\"," KEY("software", "os_version") ",\"version\":\"6.1\""),
         0},
        {ONE("\"kind\":\"semver_compatible\"," KEY("software",
                                                   "os_version") ",\"version\":\"6.0\""),
         1},
        {ONE("\"kind\":\"string_prefix\"," KEY("software", "os") ",\"prefix\":\"li\""), 1},
        {ONE("\"kind\":\"string_matches\"," KEY("software", "os") ",\"pattern\":\"inu\""), 1},
        {ONE("\"kind\":\"metadata_exists\",\"key\":\"site\""), 1},
        {ONE("\"kind\":\"metadata_equals\",\"key\":\"site\",\"value\":\"la\""), 0},
        {ONE("\"kind\":\"metadata_matches\",\"key\":\"site\",\"pattern\":\"a\""), 1},
        {ONE("\"kind\":\"metadata_numeric_at_least\",\"key\":\"rack\",\"threshold\":12.5"), 1},
        {ONE("\"kind\":\"and\",\"children\":[]"), 1},
        {ONE("\"kind\":\"or\",\"children\":[]"), 0},
        {"{\"nodes\":[{\"kind\":\"or\",\"children\":[]},{\"kind\":\"not\",\"child\":0},"
         "{\"kind\":\"and\",\"children\":[1,1]}],\"root_idx\":2}",
         1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (holds(rows[i].text) != rows[i].holds)
            fail_msg("%s", rows[i].text);
}

static rovei_pred_error error_of(const char *text)
{
    rovei_json_predicate p;
    rovei_pred_error error;
    assert_int_equal(rovei_json_predicate_read(&p, &rovei_alloc_libc, span_of(text), &error),
                     ROVE_E_PREDICATE);
    return error;
}

static void test_refused(void **state)
{
    (void)state;
    static char large[ROVEI_PREDICATE_BYTES + 1];
    rovei_json_predicate p;
    rovei_pred_error error;
    assert_int_equal(error_of("{\"nodes\":[],\"root_idx\":0}"), ROVEI_PRED_EMPTY);
    assert_int_equal(error_of("{\"nodes\":[{\"kind\":\"and\",\"children\":[]}],\"root_idx\":1}"),
                     ROVEI_PRED_ROOT);
    assert_int_equal(error_of(ONE("\"kind\":\"and\",\"children\":[7]")), ROVEI_PRED_CHILD);
    assert_int_equal(error_of(ONE("\"kind\":\"not\",\"child\":0")), ROVEI_PRED_CYCLE);
    assert_int_equal(error_of(ONE("\"kind\":\"not\",\"child\":99999999999")), ROVEI_PRED_CHILD);
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"nodes\":[],\"root_idx\":-1}",
        "{\"nodes\":{},\"root_idx\":0}",
        "{\"nodes\":[],\"root_idx\":0}x",
        ONE("\"kind\":\"maybe\""),
        ONE("\"kind\":\"exists\""),
        ONE("\"kind\":\"exists\",\"key\":\"gpu\""),
        ONE("\"kind\":\"exists\"," KEY("soft", "os")),
        ONE("\"kind\":\"equals\"," KEY("software", "os")),
        ONE("\"kind\":\"numeric_at_least\"," KEY("software", "os") ",\"threshold\":\"1\""),
        ONE("\"kind\":\"and\",\"children\":[\"0\"]")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(error_of(bad[i]), ROVEI_PRED_FINE);
    rove_span all = {large, sizeof large};
    assert_int_equal(rovei_json_predicate_read(&p, &rovei_alloc_libc, all, &error),
                     ROVE_E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
