/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tags, the filter's two evaluators, scopes and permissions. */
#include "caps_kit.h"
#include "support.h"
#include <capability/filter.h>

static int clear(void **state)
{
    (void)state;
    caps_kit_clear();
    return 0;
}

static bool matches(rovei_filter f, const char *tags)
{
    rovei_caps c = caps_of(tags, NULL);
    return rovei_filter_matches(&f, &c);
}

static bool selects(rovei_filter f, const char *tags)
{
    rovei_caps c = caps_of(tags, NULL);
    return rovei_filter_selects(&f, &c, NULL);
}

static void test_tags_are_taken_apart(void **state)
{
    (void)state;
    rovei_tag_parts p = rovei_tag_split(span_of("hardware.gpu.vendor=a:b"));
    assert_int_equal(p.axis, 'h');
    assert_int_equal(p.separator, '=');
    assert_true(rovei_span_is(p.key, "hardware.gpu.vendor"));
    assert_true(rovei_span_is(p.value, "a:b"));
    assert_int_equal(rovei_tag_split(span_of("hardware.gpu")).separator, 0);
    assert_int_equal(rovei_tag_split(span_of("subprotocol:0x0500")).axis, 0);
    assert_int_equal(rovei_tag_split(span_of("dataforts:x")).axis, 0);
    assert_int_equal(rovei_tag_split(span_of("dataforts.x")).axis, 'f');
}

static void test_values(void **state)
{
    (void)state;
    rovei_caps c = caps_of("hardware.a:9\nhardware.a=1\nhardware.a=2\nhardware.a\nhardware.ab=7\n"
                           "hardware.bad=x1\nhardware.big=4294967296",
                           NULL);
    rove_span value;
    assert_true(rovei_caps_value(&c, span_of("hardware.a"), &value));
    assert_true(rovei_span_is(value, "2")); /* the last in order */
    assert_false(rovei_caps_value(&c, span_of("hardware."), &value));
    assert_false(rovei_caps_value(&c, span_of("hardware.a=1"), &value));
    assert_int_equal(rovei_caps_number(&c, "hardware.bad"), 0);
    assert_int_equal(rovei_caps_number(&c, "hardware.big"), 0);
    assert_true(rovei_caps_key(&c, span_of("hardware.a")));
    assert_false(rovei_caps_key(&c, span_of("hardware.c")));
}

static void test_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},  {"64", 64},    {"-1.5", -1.5},  {"+2", 2},   {".5", 0.5},
                {"5.", 5}, {"1e3", 1000}, {"25e-2", 0.25}, {"0.1", 0.1}};
    static const char *const bad[] = {"", "-", ".", "1e", "0x10", "1_0", "nan", "inf", " 1", "1 "};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(rovei_decimal(span_of(good[i].text), &v));
        assert_true(v >= good[i].value && v <= good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(rovei_decimal(span_of(bad[i]), &v));
    assert_true(rovei_decimal(span_of("1e99999"), &v));
    assert_true(v > 1e308);
}

static void test_tags_differ_by_evaluator(void **state)
{
    (void)state;
    rove_span tag = span_of("hardware.site=lab");
    rovei_filter f = {.tags = &tag, .tag_count = 1};
    assert_true(matches(f, "hardware.site=lab") && selects(f, "hardware.site=lab"));
    assert_true(matches(f, "hardware.site:lab"));
    assert_false(selects(f, "hardware.site:lab"));
    assert_false(matches(f, "hardware.site:lab2"));
    assert_false(matches(f, "hardware.site"));
    tag = span_of("subprotocol:0x0500");
    assert_false(matches(f, "subprotocol=0x0500")); /* no axis tag: no other form */
    assert_true(matches((rovei_filter){0}, "") && selects((rovei_filter){0}, ""));
    assert_true(rovei_filter_is_empty(&(rovei_filter){0}));
    assert_false(rovei_filter_is_empty(&f));
}

static void test_gpu_differs_by_evaluator(void **state)
{
    (void)state;
    rovei_filter gpu = {.gpu = true}, amd = {.vendor = ROVEI_VENDOR_AMD},
                 vram = {.min_vram_gb = 24};
    assert_true(matches(gpu, "hardware.gpu") && selects(gpu, "hardware.gpu"));
    assert_false(matches(gpu, "hardware.gpu.vram_gb=24"));
    assert_true(selects(gpu, "hardware.gpu.vram_gb=24"));
    assert_false(matches(gpu, "hardware.gpux") || selects(gpu, "hardware.gpux"));
    assert_true(matches(amd, "hardware.gpu\nhardware.gpu.vendor=amd"));
    assert_false(matches(amd, "hardware.gpu\nhardware.gpu.vendor:amd"));
    assert_true(selects(amd, "hardware.gpu.vendor:amd"));
    assert_false(selects(amd, "hardware.gpu.vendor=nvidia") || selects(amd, "hardware.gpu"));
    assert_true(matches(vram, "hardware.gpu\nhardware.gpu.vram_gb=24"));
    assert_false(matches(vram, "hardware.gpu\nhardware.gpu.vram_gb=23"));
    assert_true(selects(vram, "hardware.gpu.vram_gb=24"));
    assert_false(selects(vram, "hardware.gpu\nhardware.gpu.vram_gb=23"));
}

static void test_models_tools_memory(void **state)
{
    (void)state;
    rove_span names[] = {span_of("x"), span_of("llama")}, tool = span_of("grep");
    rovei_filter model = {.models = names, .model_count = 2}, memory = {.min_memory_gb = 64};
    rovei_filter tools = {.tools = &tool, .tool_count = 1};
    const char *has = "software.model.3.id=llama";
    assert_true(matches(model, has) && selects(model, has));
    assert_false(selects(model, "software.model.3.family=llama"));
    /* What only looks like a model, or like a key inside of some index, is none. */
    assert_false(selects(model, "software.model.x.id=llama\nmodel:llama\nsoftware.model.id=llama"));
    assert_false(selects(model, "software.model.4294967296.id=llama"));
    assert_true(matches(tools, "software.tool.0.tool_id=grep"));
    assert_false(selects(tools, "software.tool.0.name=grep\nai-tool:grep"));
    assert_true(matches(memory, "hardware.memory_gb=64") &&
                selects(memory, "hardware.memory_gb:64"));
    assert_false(selects(memory, "hardware.memory_gb=63") || matches(memory, ""));
}

/* Fields alone and together: what both evaluators look at alike they judge alike, a range alone is
 * no empty filter, and all fields have to hold. */
static void test_evaluators_agree(void **state)
{
    static const char *const nodes[] = {
        "",
        "hardware.memory_gb=32",
        "hardware.memory_gb=64\nhardware.gpu",
        "hardware.gpu\nhardware.gpu.vendor=amd\nhardware.gpu.vram_gb=24",
        ("hardware.gpu\nhardware.gpu.vendor=nvidia\nhardware.gpu.vram_gb=80\n"
         "hardware.memory_gb=512\nsoftware.model.0.id=llama\nzone-a"),
    };
    rove_span tag = span_of("zone-a"), model = span_of("llama");
    (void)state;
    for (unsigned fields = 0; fields < 64; fields++) {
        rovei_filter f = {.min_memory_gb = fields & 1 ? 64 : 0,
                          .gpu = fields & 2,
                          .vendor = fields & 4 ? ROVEI_VENDOR_NVIDIA : 0,
                          .min_vram_gb = fields & 8 ? 24 : 0};
        if (fields & 16)
            f.tags = &tag, f.tag_count = 1;
        if (fields & 32)
            f.models = &model, f.model_count = 1;
        assert_int_equal(rovei_filter_is_empty(&f), fields == 0);
        for (unsigned n = 0; n < 5; n++) {
            bool want = (!(fields & 1) || n == 2 || n == 4) && (!(fields & 2) || n >= 2) &&
                        (!(fields & 4) || n == 4) && (!(fields & 8) || n >= 3) &&
                        (!(fields & 48) || n == 4);
            assert_int_equal(selects(f, nodes[n]), want);
            assert_int_equal(matches(f, nodes[n]), want);
        }
    }
}

static void test_context_and_modalities_are_local_only(void **state)
{
    (void)state;
    rovei_filter f = {.min_context_length = 1000,
                      .modalities = ROVEI_MODAL_IMAGE | ROVEI_MODAL_TEXT};
    const char *two = "software.model.0.context_length=1000\nsoftware.model.0.modalities=text\n"
                      "software.model.1.modalities=image,audio";
    assert_true(matches(f, two));
    assert_false(matches(f, "software.model.0.context_length=999\n"
                            "software.model.0.modalities=text,image"));
    assert_false(matches(f, "software.model.0.context_length=1000\n"
                            "software.model.0.modalities=image"));
    assert_true(selects(f, "")); /* the index does not look at them */
    assert_int_equal(rovei_modalities_of(span_of("new")), ROVEI_MODAL_TEXT);
}

static void test_says_why(void **state)
{
    (void)state;
    rove_span tag = span_of("b");
    rovei_caps c = caps_of("a\nhardware.memory_gb=8", NULL);
    rovei_text why;
    assert_false(rovei_filter_selects(&(rovei_filter){.tags = &tag, .tag_count = 1}, &c, &why));
    assert_string_equal(why.chars, "lacks the tag b");
    assert_false(rovei_filter_selects(&(rovei_filter){.min_memory_gb = 16}, &c, &why));
    assert_string_equal(why.chars, "memory in GB 8 is less than 16");
}

static void test_requirement_score(void **state)
{
    (void)state;
    rovei_caps c = caps_of("hardware.memory_gb=128\nhardware.gpu\nhardware.gpu.vram_gb=160\n"
                           "software.model.0.id=a\nsoftware.model.0.loaded=true\n"
                           "software.model.1.id=b\nsoftware.model.1.tokens_per_sec=500",
                           NULL);
    rovei_requirement r = {.memory = 1, .vram = 2, .speed = 1, .loaded = 1};
    double score = rovei_requirement_score(&r, &c); /* 1 + 0.5 + 1 + 0.5 + 0.5 */
    assert_true(score > 3.499999 && score < 3.500001);
    r.filter.min_memory_gb = 256;
    assert_true(rovei_requirement_score(&r, &c) <= 0);
}

static bool in_scope(rovei_scope scope, const char *name, const char *tags, bool own)
{
    rove_span names = span_of(name);
    rovei_scope_query q = {scope, &names, 1};
    rovei_caps c = caps_of(tags, NULL);
    return rovei_scope_matches(&q, &c, own, false);
}

static void test_scopes(void **state)
{
    (void)state;
    const char *local = "scope:subnet-local\nscope:tenant:a", *a = "scope:tenant:a";
    const char *eu = "scope:region:eu", *empty = "scope:tenant:";
    assert_true(in_scope(ROVEI_SCOPE_ANY, "", a, false));
    assert_false(in_scope(ROVEI_SCOPE_ANY, "", local, false));
    assert_true(in_scope(ROVEI_SCOPE_GLOBAL, "", "x", false));
    assert_true(in_scope(ROVEI_SCOPE_GLOBAL, "", empty, false));
    assert_true(in_scope(ROVEI_SCOPE_GLOBAL, "", "scope:global", false));
    assert_false(in_scope(ROVEI_SCOPE_GLOBAL, "", eu, false));
    assert_true(in_scope(ROVEI_SCOPE_TENANTS, "a", a, false));
    assert_false(in_scope(ROVEI_SCOPE_TENANTS, "b", a, false));
    assert_false(in_scope(ROVEI_SCOPE_TENANTS, "eu", eu, false));
    assert_true(in_scope(ROVEI_SCOPE_TENANTS, "b", "x", false));
    assert_false(in_scope(ROVEI_SCOPE_TENANTS, "a", local, false));
    assert_true(in_scope(ROVEI_SCOPE_REGIONS, "eu", eu, false));
    assert_false(in_scope(ROVEI_SCOPE_REGIONS, "eu", a, false));
    assert_true(in_scope(ROVEI_SCOPE_REGIONS, "eu", "scope:region:us\nscope:region:eu", false));
    /* Without a policy nobody else is in the same subnet. */
    assert_true(in_scope(ROVEI_SCOPE_SAME_SUBNET, "", local, true));
    assert_false(in_scope(ROVEI_SCOPE_SAME_SUBNET, "", local, false));
}

#define SUBNET "subnet:01000000000000000000000000000000"
#define GROUP  "group:0200000000000000000000000000000000000000000000000000000000000000"

static void test_permissions(void **state)
{
    (void)state;
    static const uint64_t nodes[] = {5};
    static const uint8_t subnets[1][16] = {{1}}, groups[1][32] = {{2}};
    rovei_caps target = caps_of("nrpc:x", NULL), nobody = caps_of("", NULL);
    rove_span tag = span_of("nrpc:x");
    rovei_allow open = {0}, listed = {nodes, 1, NULL, 0, NULL, 0};
    rovei_allow claimed = {NULL, 0, subnets, 1, groups, 1};
    rovei_caps subnet = caps_of(SUBNET, NULL), group = caps_of(GROUP, NULL);
    rovei_caps two = caps_of(SUBNET "\nsubnet:02000000000000000000000000000000", NULL);
    assert_true(rovei_may_execute(&target, &open, tag, 9, &nobody));
    assert_false(rovei_may_execute(NULL, &open, tag, 9, &nobody));
    assert_false(rovei_may_execute(&target, &open, span_of("nrpc:y"), 9, &nobody));
    assert_true(rovei_may_execute(&target, &listed, tag, 5, NULL));
    assert_false(rovei_may_execute(&target, &listed, tag, 6, &subnet));
    assert_true(rovei_may_execute(&target, &claimed, tag, 6, &subnet));
    assert_true(rovei_may_execute(&target, &claimed, tag, 6, &group));
    assert_false(rovei_may_execute(&target, &claimed, tag, 6, &two));
    assert_false(rovei_may_execute(&target, &claimed, tag, 6, &nobody));
    assert_true(rovei_may_admit(&target, &open, tag, 6));
    assert_true(rovei_may_admit(&target, &listed, tag, 5));
    assert_false(rovei_may_admit(&target, &claimed, tag, 6)); /* claims do not gate */
    assert_false(rovei_may_admit(&target, &open, span_of("nrpc:y"), 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_tags_are_taken_apart, clear),
        cmocka_unit_test_teardown(test_values, clear),
        cmocka_unit_test_teardown(test_decimals, clear),
        cmocka_unit_test_teardown(test_tags_differ_by_evaluator, clear),
        cmocka_unit_test_teardown(test_gpu_differs_by_evaluator, clear),
        cmocka_unit_test_teardown(test_models_tools_memory, clear),
        cmocka_unit_test_teardown(test_evaluators_agree, clear),
        cmocka_unit_test_teardown(test_context_and_modalities_are_local_only, clear),
        cmocka_unit_test_teardown(test_says_why, clear),
        cmocka_unit_test_teardown(test_requirement_score, clear),
        cmocka_unit_test_teardown(test_scopes, clear),
        cmocka_unit_test_teardown(test_permissions, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
