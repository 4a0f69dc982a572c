/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed capabilities as tags, both ways. */
#include "caps_kit.h"
#include "support.h"
#include <base/alloc.h>
#include <capability/projection.h>
#include <capability/tag.h>

#define S(text) rovei_span_of(text)

static rovei_caps_draft draft;

static int setup(void **state)
{
    (void)state;
    rovei_caps_draft_init(&draft, &rovei_alloc_libc);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rovei_caps_draft_fini(&draft);
    caps_kit_clear();
    return 0;
}

static void assert_text(rove_span got, const char *want)
{
    assert_span(got, want, strlen(want));
}

static void assert_tags(const char *want)
{
    rovei_caps expected = caps_of(want, NULL);
    assert_int_equal(draft.set.tag_count, expected.tag_count);
    for (size_t i = 0; i < expected.tag_count; i++)
        assert_text(draft.set.tags[i], expected.tags[i].data);
}

static void test_machine(void **state)
{
    (void)state;
    rovei_machine m = {.cpu_cores = 16,
                       .cpu_threads = 32,
                       .memory_gb = 256,
                       .storage_gb = UINT64_C(18446744073709551615),
                       .network_gbps = 100,
                       .has_gpu = true,
                       .gpu = {ROVEI_VENDOR_NVIDIA, S("h100"), 80, 132, 528, 9890}};
    assert_ok(rovei_caps_add_machine(&draft, &m));
    assert_tags("hardware.cpu_cores=16\nhardware.cpu_threads=32\nhardware.memory_gb=256\n"
                "hardware.storage_gb=18446744073709551615\nhardware.network_gbps=100\n"
                "hardware.gpu\nhardware.gpu.vendor=nvidia\nhardware.gpu.model=h100\n"
                "hardware.gpu.vram_gb=80\nhardware.gpu.compute_units=132\n"
                "hardware.gpu.tensor_cores=528\nhardware.gpu.fp16_tflops_x10=9890");
    rovei_machine r = rovei_caps_machine(&draft.set);
    assert_int_equal(r.cpu_cores, 16);
    assert_int_equal(r.cpu_threads, 32);
    assert_int_equal(r.memory_gb, 256);
    assert_true(r.storage_gb == UINT64_MAX);
    assert_int_equal(r.network_gbps, 100);
    assert_true(r.has_gpu);
    assert_int_equal(r.gpu.vendor, ROVEI_VENDOR_NVIDIA);
    assert_text(r.gpu.model, "h100");
    assert_int_equal(r.gpu.vram_gb, 80);
    assert_int_equal(r.gpu.compute_units, 132);
    assert_int_equal(r.gpu.tensor_cores, 528);
    assert_int_equal(r.gpu.fp16_tflops_x10, 9890);
}

/* Nothing is said of what is 0, and a GPU of which nothing is known is still one. */
static void test_empty_values(void **state)
{
    (void)state;
    rovei_machine m = {.has_gpu = true};
    assert_ok(rovei_caps_add_machine(&draft, &m));
    assert_ok(rovei_caps_add_limits(&draft, &(rovei_resource_limits){0}));
    assert_ok(rovei_caps_add_system(&draft, &(rovei_system){.os = S("linux")}));
    assert_tags("hardware.gpu\nsoftware.os=linux");
    rovei_machine r = rovei_caps_machine(&draft.set);
    assert_true(r.has_gpu);
    assert_int_equal(r.gpu.vendor, ROVEI_VENDOR_UNKNOWN);
    assert_int_equal(r.gpu.model.size, 0);
    assert_int_equal(rovei_caps_system(&draft.set).os_version.size, 0);
}

/* What others write: numbers that are none or too large for their field, either separator, several
 * tags with one key, a GPU without the tag that says so. */
static void test_odd_machines(void **state)
{
    (void)state;
    rovei_caps c = caps_of("hardware.cpu_cores=65536\nhardware.cpu_threads=NaN\n"
                           "hardware.memory_gb=-1\nhardware.storage_gb=18446744073709551616\n"
                           "hardware.network_gbps:10\nhardware.network_gbps=25\n"
                           "hardware.gpu.vendor=unheard\nhardware.gpu.vram_gb=8\nhardware.other=1",
                           NULL);
    rovei_machine r = rovei_caps_machine(&c);
    assert_int_equal(r.cpu_cores, 0);
    assert_int_equal(r.cpu_threads, 0);
    assert_int_equal(r.memory_gb, 0);
    assert_true(r.storage_gb == 0);
    assert_int_equal(r.network_gbps, 25);
    assert_true(r.has_gpu);
    assert_int_equal(r.gpu.vendor, ROVEI_VENDOR_UNKNOWN);
    assert_int_equal(r.gpu.vram_gb, 8);
    assert_false(rovei_caps_machine(&(rovei_caps){0}).has_gpu);
}

static void test_limits(void **state)
{
    (void)state;
    rovei_resource_limits l = {1, 2, 3, 4, 5, UINT32_MAX};
    assert_ok(rovei_caps_add_limits(&draft, &l));
    assert_tags("hardware.limits.max_concurrent_requests=1\n"
                "hardware.limits.max_tokens_per_request=2\nhardware.limits.rate_limit_rpm=3\n"
                "hardware.limits.max_batch_size=4\nhardware.limits.max_input_bytes=5\n"
                "hardware.limits.max_output_bytes=4294967295");
    rovei_resource_limits r = rovei_caps_limits(&draft.set);
    assert_memory_equal(&r, &l, sizeof l);
}

static void test_software(void **state)
{
    (void)state;
    const rovei_versioned runtimes[] = {
        {S("python"), S("3.12.1")}, {S("node"), S("22")}, {S(""), S("1")},
        {S("a.b"), S("1")},         {S("a=b"), S("1")},   {S("a:b"), S("1")},
        {S("unversioned"), S("")}};
    const rovei_versioned driver = {S("nvidia"), S("550=a:b.c")};
    assert_ok(rovei_caps_add_system(&draft, &(rovei_system){S("linux"), S("6.1"), S("12.4")}));
    assert_ok(rovei_caps_add_software(&draft, ROVEI_SOFTWARE_RUNTIME, runtimes, 7));
    assert_ok(rovei_caps_add_software(&draft, ROVEI_SOFTWARE_DRIVER, &driver, 1));
    assert_tags("software.os=linux\nsoftware.os_version=6.1\nsoftware.cuda_version=12.4\n"
                "software.runtime.python=3.12.1\nsoftware.runtime.node=22\n"
                "software.driver.nvidia=550=a:b.c");
    rovei_system s = rovei_caps_system(&draft.set);
    assert_text(s.os, "linux");
    assert_text(s.os_version, "6.1");
    assert_text(s.cuda_version, "12.4");
    rovei_versioned r[4];
    assert_int_equal(rovei_caps_software(&draft.set, ROVEI_SOFTWARE_RUNTIME, r, 4), 2);
    assert_text(r[0].name, "node");
    assert_text(r[1].name, "python");
    assert_text(r[1].version, "3.12.1");
    assert_int_equal(rovei_caps_software(&draft.set, ROVEI_SOFTWARE_RUNTIME, r, 1), 1);
    assert_int_equal(rovei_caps_software(&draft.set, ROVEI_SOFTWARE_FRAMEWORK, r, 4), 0);
    assert_int_equal(rovei_caps_software(&draft.set, ROVEI_SOFTWARE_DRIVER, r, 4), 1);
    assert_text(r[0].version, "550=a:b.c");
    rovei_caps odd = caps_of("software.runtime.x:1\nsoftware.runtime.x=2\nsoftware.runtime.y.z=3\n"
                             "software.runtime.=4\nsoftware.runtime.w",
                             NULL);
    assert_int_equal(rovei_caps_software(&odd, ROVEI_SOFTWARE_RUNTIME, r, 4), 1);
    assert_text(r[0].version, "2");
}

static void test_models(void **state)
{
    (void)state;
    const rovei_model models[] = {{S("llama-70b"), S("llama"), S("q4"), 700, 8192, 40,
                                   ROVEI_MODAL_TOOL_USE | ROVEI_MODAL_TEXT | ROVEI_MODAL_CODE,
                                   true},
                                  {.id = S("embed"), .modalities = ROVEI_MODAL_EMBEDDING}};
    assert_ok(rovei_caps_add_models(&draft, models, 2));
    assert_tags("software.model.0.id=llama-70b\nsoftware.model.0.family=llama\n"
                "software.model.0.parameters_b_x10=700\nsoftware.model.0.context_length=8192\n"
                "software.model.0.quantization=q4\nsoftware.model.0.modalities=text,code,tool_use\n"
                "software.model.0.tokens_per_sec=40\nsoftware.model.0.loaded=true\n"
                "software.model.1.id=embed\nsoftware.model.1.modalities=embedding");
    rovei_model r[3];
    assert_int_equal(rovei_caps_models(&draft.set, r, 3), 2);
    assert_text(r[0].id, "llama-70b");
    assert_text(r[0].family, "llama");
    assert_text(r[0].quantization, "q4");
    assert_int_equal(r[0].parameters_b_x10, 700);
    assert_int_equal(r[0].context_length, 8192);
    assert_int_equal(r[0].tokens_per_sec, 40);
    assert_int_equal(r[0].modalities, models[0].modalities);
    assert_true(r[0].loaded);
    assert_text(r[1].id, "embed");
    assert_false(r[1].loaded);
    assert_int_equal(r[1].quantization.size, 0);
}

/* In the order of the numbers and not of the bytes, without the gaps; what has no number is not
 * looked at. */
static void test_odd_models(void **state)
{
    (void)state;
    rovei_caps c = caps_of("software.model.10.id=ten\nsoftware.model.2.id=two\n"
                           "software.model.2.modalities=smell,image\n"
                           "software.model.x.id=no\nsoftware.model.4294967296.id=no\n"
                           "software.model.-1.id=no\nsoftware.model.3=no\n"
                           "software.model.2.tokens_per_sec=fast",
                           NULL);
    rovei_model r[4];
    assert_int_equal(rovei_caps_models(&c, r, 4), 2);
    assert_text(r[0].id, "two");
    assert_int_equal(r[0].modalities, ROVEI_MODAL_TEXT | ROVEI_MODAL_IMAGE);
    assert_int_equal(r[0].tokens_per_sec, 0);
    assert_text(r[1].id, "ten");
    assert_int_equal(rovei_caps_models(&c, r, 1), 1);
    assert_int_equal(rovei_caps_models(&c, r, 0), 0);
}

static void test_tools(void **state)
{
    (void)state;
    const rovei_tool tools[] = {{.id = S("search"),
                                 .name = S("Search"),
                                 .version = S("2.1.0"),
                                 .requires = S("net,index"),
                                 .input_schema = S("{\"type\":\"object\"}"),
                                 .estimated_time_ms = 250},
                                {.id = S("add"), .stateless = true}};
    assert_ok(rovei_caps_add_tools(&draft, tools, 2));
    assert_tags("software.tool.0.tool_id=search\nsoftware.tool.0.name=Search\n"
                "software.tool.0.version=2.1.0\nsoftware.tool.0.requires=net,index\n"
                "software.tool.0.estimated_time_ms=250\nsoftware.tool.0.stateless=false\n"
                "software.tool.1.tool_id=add\nsoftware.tool.1.stateless=true");
    rovei_tool r[2];
    assert_int_equal(rovei_caps_tools(&draft.set, r, 2), 2);
    assert_text(r[0].id, "search");
    assert_text(r[0].name, "Search");
    assert_text(r[0].version, "2.1.0");
    assert_text(r[0].requires, "net,index");
    assert_text(r[0].input_schema, "{\"type\":\"object\"}");
    assert_int_equal(r[0].output_schema.size, 0);
    assert_int_equal(r[0].estimated_time_ms, 250);
    assert_false(r[0].stateless);
    assert_text(r[1].version, "1.0.0");
    assert_true(r[1].stateless);
    rovei_caps bare = caps_of("software.tool.7.tool_id=x", NULL);
    assert_int_equal(rovei_caps_tools(&bare, r, 2), 1);
    assert_true(r[0].stateless);
    assert_text(r[0].version, "1.0.0");
}

static void test_what_cannot_be_written(void **state)
{
    (void)state;
    static char big[ROVEI_CAPSET_BYTES + 1];
    memset(big, 'x', sizeof big);
    rovei_model model = {.id = {big, sizeof big}};
    assert_int_equal(rovei_caps_add_models(&draft, &model, 1), ROVE_E_FULL);
    model.id = S("\xff");
    assert_int_equal(rovei_caps_add_models(&draft, &model, 1), ROVE_E_FORMAT);
    rovei_tool tool = {.id = S("\xff"), .input_schema = S("{}")};
    assert_int_equal(rovei_caps_add_tools(&draft, &tool, 1), ROVE_E_FORMAT);
    assert_int_equal(draft.set.tag_count, 0);
    assert_int_equal(draft.set.metadata_count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_machine),    T(test_empty_values), T(test_odd_machines),
        T(test_limits),     T(test_software),     T(test_models),
        T(test_odd_models), T(test_tools),        T(test_what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
