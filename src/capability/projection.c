/* SPDX-License-Identifier: Apache-2.0
 *
 * Hardware, limits and software as tags. */
#include <base/alloc.h>
#include <base/text.h>
#include <capability/projection_inside.h>
#include <capability/tag.h>
#include <string.h>

#define HARDWARE "hardware."
#define GPU      "hardware.gpu."
#define LIMITS   "hardware.limits."
#define SOFTWARE "software."

rove_err rovei_caps_add_value(rovei_caps_draft *d, const char *head, const char *field,
                              rove_span value)
{
    rovei_text key;
    if (value.size == 0)
        return ROVE_OK;
    if (value.size > ROVEI_CAPSET_BYTES)
        return ROVE_E_FULL;
    rovei_text_set(&key, head);
    rovei_text_add(&key, field);
    rovei_text_add(&key, "=");
    size_t size = key.size + value.size;
    char *tag = rovei_alloc(d->alloc, size);
    if (!tag)
        return ROVE_E_NOMEM;
    memcpy(tag, key.chars, key.size);
    memcpy(tag + key.size, value.data, value.size);
    rove_err err = rovei_caps_add(d, (rove_span){tag, size});
    rovei_free(d->alloc, tag, size);
    return err;
}

rove_err rovei_caps_add_number(rovei_caps_draft *d, const char *head, const char *field,
                               uint64_t value)
{
    rovei_text text;
    rovei_text_set(&text, "");
    if (value)
        rovei_text_add_number(&text, value);
    return rovei_caps_add_value(d, head, field, rovei_text_span(&text));
}

/* ---- fields that are numbers, as tables: written and read by the same line ---- */

typedef struct number_field {
    const char *field;
    size_t offset, size;
} number_field;

#define FIELD(type, member, field)                                                                 \
    {                                                                                              \
        field, offsetof(type, member), sizeof(((type *)0)->member)                                 \
    }
#define MACHINE(member) FIELD(rovei_machine, member, #member)
#define OF_GPU(member)  FIELD(rovei_gpu, member, #member)
#define LIMIT(member)   FIELD(rovei_resource_limits, member, #member)

static const number_field machine_fields[] = {MACHINE(cpu_cores), MACHINE(cpu_threads),
                                              MACHINE(memory_gb), MACHINE(storage_gb),
                                              MACHINE(network_gbps)};
static const number_field gpu_fields[] = {OF_GPU(vram_gb), OF_GPU(compute_units),
                                          OF_GPU(tensor_cores), OF_GPU(fp16_tflops_x10)};
static const number_field limit_fields[] = {
    LIMIT(max_concurrent_requests), LIMIT(max_tokens_per_request), LIMIT(rate_limit_rpm),
    LIMIT(max_batch_size),          LIMIT(max_input_bytes),        LIMIT(max_output_bytes)};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static uint64_t get(const void *object, const number_field *f)
{
    const char *at = (const char *)object + f->offset;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (f->size) {
    case sizeof two:
        memcpy(&two, at, sizeof two);
        return two;
    case sizeof four:
        memcpy(&four, at, sizeof four);
        return four;
    default:
        memcpy(&eight, at, sizeof eight);
        return eight;
    }
}

static void set(void *object, const number_field *f, uint64_t value)
{
    char *at = (char *)object + f->offset;
    uint16_t two = value > UINT16_MAX ? 0 : (uint16_t)value;
    uint32_t four = value > UINT32_MAX ? 0 : (uint32_t)value;
    switch (f->size) {
    case sizeof two:
        memcpy(at, &two, sizeof two);
        break;
    case sizeof four:
        memcpy(at, &four, sizeof four);
        break;
    default:
        memcpy(at, &value, sizeof value);
    }
}

static rove_err add_numbers(rovei_caps_draft *d, const char *head, const number_field *fields,
                            size_t count, const void *object)
{
    rove_err err = ROVE_OK;
    for (size_t i = 0; i < count && !err; i++)
        err = rovei_caps_add_number(d, head, fields[i].field, get(object, &fields[i]));
    return err;
}

static bool value_of(const rovei_caps *c, const char *head, const char *field, rove_span *ret)
{
    rovei_text key;
    rovei_text_set(&key, head);
    rovei_text_add(&key, field);
    return rovei_caps_value(c, rovei_text_span(&key), ret);
}

static rove_span text_of(const rovei_caps *c, const char *head, const char *field)
{
    rove_span value = {"", 0};
    (void)value_of(c, head, field, &value); /* else it stays empty */
    return value;
}

static void read_numbers(const rovei_caps *c, const char *head, const number_field *fields,
                         size_t count, void *object)
{
    rove_span value;
    for (size_t i = 0; i < count; i++)
        if (value_of(c, head, fields[i].field, &value))
            set(object, &fields[i], rovei_caps_u64(value));
}

/* ---- hardware ---- */

static rove_err add_gpu(rovei_caps_draft *d, const rovei_gpu *g)
{
    rove_err err = rovei_caps_add(d, rovei_span_of("hardware.gpu"));
    if (!err)
        err = rovei_caps_add_value(d, GPU, "vendor", rovei_span_of(rovei_vendor_name(g->vendor)));
    if (!err)
        err = rovei_caps_add_value(d, GPU, "model", g->model);
    return err ? err : add_numbers(d, GPU, gpu_fields, COUNT(gpu_fields), g);
}

rove_err rovei_caps_add_machine(rovei_caps_draft *d, const rovei_machine *m)
{
    rove_err err = add_numbers(d, HARDWARE, machine_fields, COUNT(machine_fields), m);
    return err || !m->has_gpu ? err : add_gpu(d, &m->gpu);
}

rovei_machine rovei_caps_machine(const rovei_caps *c)
{
    rovei_machine m = {.gpu.model = {"", 0}};
    read_numbers(c, HARDWARE, machine_fields, COUNT(machine_fields), &m);
    m.has_gpu = rovei_caps_hardware(c).gpu;
    if (!m.has_gpu)
        return m;
    m.gpu.vendor = rovei_caps_hardware(c).vendor;
    m.gpu.model = text_of(c, GPU, "model");
    read_numbers(c, GPU, gpu_fields, COUNT(gpu_fields), &m.gpu);
    return m;
}

rove_err rovei_caps_add_limits(rovei_caps_draft *d, const rovei_resource_limits *l)
{
    return add_numbers(d, LIMITS, limit_fields, COUNT(limit_fields), l);
}

rovei_resource_limits rovei_caps_limits(const rovei_caps *c)
{
    rovei_resource_limits l = {0};
    read_numbers(c, LIMITS, limit_fields, COUNT(limit_fields), &l);
    return l;
}

/* ---- software ---- */

rove_err rovei_caps_add_system(rovei_caps_draft *d, const rovei_system *s)
{
    rove_err err = rovei_caps_add_value(d, SOFTWARE, "os", s->os);
    if (!err)
        err = rovei_caps_add_value(d, SOFTWARE, "os_version", s->os_version);
    return err ? err : rovei_caps_add_value(d, SOFTWARE, "cuda_version", s->cuda_version);
}

rovei_system rovei_caps_system(const rovei_caps *c)
{
    return (rovei_system){.os = text_of(c, SOFTWARE, "os"),
                          .os_version = text_of(c, SOFTWARE, "os_version"),
                          .cuda_version = text_of(c, SOFTWARE, "cuda_version")};
}

static const char *const software_heads[] = {
    [ROVEI_SOFTWARE_RUNTIME] = "software.runtime.",
    [ROVEI_SOFTWARE_FRAMEWORK] = "software.framework.",
    [ROVEI_SOFTWARE_DRIVER] = "software.driver.",
};

/* One that a reader would take for the whole name. */
static bool is_name(rove_span name)
{
    const char *at = name.data;
    for (size_t i = 0; i < name.size; i++)
        if (at[i] == '=' || at[i] == ':' || at[i] == '.')
            return false;
    return name.size > 0 && name.size < ROVEI_TEXT_ROOM / 2 && rovei_is_utf8(name);
}

rove_err rovei_caps_add_software(rovei_caps_draft *d, rovei_software what,
                                 const rovei_versioned *items, size_t count)
{
    rove_err err = ROVE_OK;
    for (size_t i = 0; i < count && !err; i++) {
        rovei_text name;
        if (!is_name(items[i].name))
            continue;
        rovei_text_set(&name, "");
        rovei_text_add_span(&name, items[i].name);
        err = rovei_caps_add_value(d, software_heads[what], name.chars, items[i].version);
    }
    return err;
}

size_t rovei_caps_software(const rovei_caps *c, rovei_software what, rovei_versioned *ret,
                           size_t room)
{
    rove_span head = rovei_span_of(software_heads[what]);
    size_t count = 0;
    for (size_t i = rovei_caps_from(c, head);
         i < c->tag_count && rovei_span_starts(c->tags[i], head); i++) {
        rovei_tag_parts parts = rovei_tag_split(c->tags[i]);
        rove_span name = {(const char *)parts.key.data + head.size, parts.key.size - head.size};
        if (!parts.separator || !is_name(name))
            continue;
        size_t at = 0; /* a name with both separators does not come twice in a row */
        while (at < count && !rovei_span_equal(ret[at].name, name))
            at++;
        if (at == count && count == room)
            break;
        ret[at] = (rovei_versioned){name, parts.value};
        count += at == count;
    }
    return count;
}
