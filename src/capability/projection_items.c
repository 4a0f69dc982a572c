/* SPDX-License-Identifier: Apache-2.0
 *
 * Models and tools as tags: each has a number, and a tag for each of its fields. The schemas of a
 * tool are too long for tags and stand in the metadata. */
#include <base/text.h>
#include <capability/projection_inside.h>
#include <capability/tag.h>
#include <string.h>

#define MODEL "software.model."
#define TOOL  "software.tool."

/* The beginning of the tags of one item. */
static void begin(rovei_text *t, const char *head, uint64_t number)
{
    rovei_text_set(t, head);
    rovei_text_add_number(t, number);
    rovei_text_add(t, ".");
}

static rove_err add_flag(rovei_caps_draft *d, const char *head, const char *field, bool yes)
{
    return rovei_caps_add_value(d, head, field, rovei_span_of(yes ? "true" : "false"));
}

/* ---- writing models ---- */

static rove_err add_modalities(rovei_caps_draft *d, const char *head, uint32_t bits)
{
    rovei_text list;
    rovei_text_set(&list, "");
    for (uint32_t bit = 1; bit <= ROVEI_MODAL_TOOL_USE; bit <<= 1)
        if (bits & bit) {
            rovei_text_add(&list, list.size ? "," : "");
            rovei_text_add(&list, rovei_modality_name(bit));
        }
    return rovei_caps_add_value(d, head, "modalities", rovei_text_span(&list));
}

static rove_err add_model(rovei_caps_draft *d, const char *head, const rovei_model *m)
{
    rove_err err = rovei_caps_add_value(d, head, "id", m->id);
    if (!err)
        err = rovei_caps_add_value(d, head, "family", m->family);
    if (!err)
        err = rovei_caps_add_number(d, head, "parameters_b_x10", m->parameters_b_x10);
    if (!err)
        err = rovei_caps_add_number(d, head, "context_length", m->context_length);
    if (!err)
        err = rovei_caps_add_value(d, head, "quantization", m->quantization);
    if (!err)
        err = add_modalities(d, head, m->modalities);
    if (!err)
        err = rovei_caps_add_number(d, head, "tokens_per_sec", m->tokens_per_sec);
    return err || !m->loaded ? err : add_flag(d, head, "loaded", true);
}

rove_err rovei_caps_add_models(rovei_caps_draft *d, const rovei_model *items, size_t count)
{
    rovei_text head;
    rove_err err = ROVE_OK;
    for (size_t i = 0; i < count && !err; i++) {
        begin(&head, MODEL, i);
        err = add_model(d, head.chars, &items[i]);
    }
    return err;
}

/* ---- writing tools ---- */

static void schema_key(rovei_text *t, rove_span id, const char *which)
{
    rovei_text_set(t, "tool::");
    rovei_text_add_span(t, id);
    rovei_text_add(t, which);
}

static rove_err add_schema(rovei_caps_draft *d, rove_span id, const char *which, rove_span schema)
{
    rovei_text key;
    if (!schema.size)
        return ROVE_OK;
    schema_key(&key, id, which);
    return rovei_caps_set(d, rovei_text_span(&key), schema);
}

static rove_err add_tool(rovei_caps_draft *d, const char *head, const rovei_tool *t)
{
    if (t->id.size > ROVEI_TEXT_ROOM / 2 || !rovei_is_utf8(t->id))
        return ROVE_E_FORMAT;
    rove_err err = rovei_caps_add_value(d, head, "tool_id", t->id);
    if (!err)
        err = rovei_caps_add_value(d, head, "name", t->name);
    if (!err)
        err = rovei_caps_add_value(d, head, "version", t->version);
    if (!err)
        err = rovei_caps_add_value(d, head, "requires", t->requires);
    if (!err)
        err = rovei_caps_add_number(d, head, "estimated_time_ms", t->estimated_time_ms);
    if (!err)
        err = add_flag(d, head, "stateless", t->stateless);
    if (!err)
        err = add_schema(d, t->id, "::input_schema", t->input_schema);
    return err ? err : add_schema(d, t->id, "::output_schema", t->output_schema);
}

rove_err rovei_caps_add_tools(rovei_caps_draft *d, const rovei_tool *items, size_t count)
{
    rovei_text head;
    rove_err err = ROVE_OK;
    for (size_t i = 0; i < count && !err; i++) {
        begin(&head, TOOL, i);
        err = add_tool(d, head.chars, &items[i]);
    }
    return err;
}

/* ---- reading ---- */

/* The smallest number above *last (or any, when *last is UINT64_MAX) of which there is a tag. */
static bool next_number(const rovei_caps *c, const char *head, uint64_t *last)
{
    uint32_t index;
    rove_span field, value;
    uint64_t best = UINT64_MAX;
    for (size_t it = 0; rovei_caps_indexed(c, head, &it, &index, &field, &value);)
        if ((*last == UINT64_MAX || index > *last) && index < best)
            best = index;
    *last = best;
    return best != UINT64_MAX;
}

static void read_model_field(rovei_model *m, rove_span field, rove_span value)
{
    if (rovei_span_is(field, "id"))
        m->id = value;
    else if (rovei_span_is(field, "family"))
        m->family = value;
    else if (rovei_span_is(field, "quantization"))
        m->quantization = value;
    else if (rovei_span_is(field, "parameters_b_x10"))
        m->parameters_b_x10 = rovei_caps_u32(value);
    else if (rovei_span_is(field, "context_length"))
        m->context_length = rovei_caps_u32(value);
    else if (rovei_span_is(field, "tokens_per_sec"))
        m->tokens_per_sec = rovei_caps_u32(value);
    else if (rovei_span_is(field, "modalities"))
        m->modalities = rovei_modalities_of(value);
    else if (rovei_span_is(field, "loaded"))
        m->loaded = rovei_span_is(value, "true");
}

static void read_tool_field(rovei_tool *t, rove_span field, rove_span value)
{
    if (rovei_span_is(field, "tool_id"))
        t->id = value;
    else if (rovei_span_is(field, "name"))
        t->name = value;
    else if (rovei_span_is(field, "version"))
        t->version = value;
    else if (rovei_span_is(field, "requires"))
    t->requires = value;
    else if (rovei_span_is(field, "estimated_time_ms")) t->estimated_time_ms =
        rovei_caps_u32(value);
    else if (rovei_span_is(field, "stateless")) t->stateless = !rovei_span_is(value, "false");
}

size_t rovei_caps_models(const rovei_caps *c, rovei_model *ret, size_t room)
{
    size_t count = 0;
    for (uint64_t number = UINT64_MAX; count < room && next_number(c, MODEL, &number); count++) {
        uint32_t index;
        rove_span field, value, none = {"", 0};
        ret[count] = (rovei_model){.id = none, .family = none, .quantization = none};
        for (size_t it = 0; rovei_caps_indexed(c, MODEL, &it, &index, &field, &value);)
            if (index == number)
                read_model_field(&ret[count], field, value);
    }
    return count;
}

static rove_span schema_of(const rovei_caps *c, rove_span id, const char *which)
{
    rovei_text key;
    rove_span value = {"", 0};
    if (id.size > ROVEI_TEXT_ROOM / 2)
        return value;
    schema_key(&key, id, which);
    (void)rovei_caps_meta(c, rovei_text_span(&key), &value); /* else it stays empty */
    return value;
}

size_t rovei_caps_tools(const rovei_caps *c, rovei_tool *ret, size_t room)
{
    size_t count = 0;
    for (uint64_t number = UINT64_MAX; count < room && next_number(c, TOOL, &number); count++) {
        uint32_t index;
        rove_span field, value, none = {"", 0};
        rovei_tool t = {.id = none, .name = none, .requires = none, .stateless = true};
        t.version = rovei_span_of("1.0.0");
        for (size_t it = 0; rovei_caps_indexed(c, TOOL, &it, &index, &field, &value);)
            if (index == number)
                read_tool_field(&t, field, value);
        t.input_schema = schema_of(c, t.id, "::input_schema");
        t.output_schema = schema_of(c, t.id, "::output_schema");
        ret[count] = t;
    }
    return count;
}
