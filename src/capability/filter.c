/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter, scopes and permissions. */
#include <capability/filter.h>
#include <string.h>

#define HEAD(literal) ((rove_span){(literal), sizeof(literal) - 1})

bool rovei_filter_is_empty(const rovei_filter *f)
{
    return !f->tag_count && !f->model_count && !f->tool_count && !f->min_memory_gb && !f->gpu &&
           !f->vendor && !f->min_vram_gb && !f->min_context_length && !f->modalities;
}

static bool is_one_of(rove_span text, const rove_span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rovei_span_order(text, list[i]) == 0)
            return true;
    return false;
}

/* Whether some model or tool has a field with one of these values. */
static bool some_has(const rovei_caps *c, const char *beginning, const char *name,
                     const rove_span *list, size_t count)
{
    size_t it = 0;
    uint32_t index;
    rove_span field, value;
    while (rovei_caps_indexed(c, beginning, &it, &index, &field, &value))
        if (rovei_span_is(field, name) && is_one_of(value, list, count))
            return true;
    return false;
}

/* Says which part failed, and that it did. */
static bool fail(rovei_text *why, const char *what)
{
    rovei_text_set(why, what);
    return false;
}

static bool fail_least(rovei_text *why, const char *what, uint64_t has, uint64_t least)
{
    rovei_text_set(why, what);
    rovei_text_add(why, " ");
    rovei_text_add_number(why, has);
    rovei_text_add(why, " is less than ");
    rovei_text_add_number(why, least);
    return false;
}

/* What both evaluators have in common. */
static bool has_parts(const rovei_filter *f, const rovei_caps *c, rovei_text *why)
{
    if (f->model_count && !some_has(c, "software.model.", "id", f->models, f->model_count))
        return fail(why, "has none of the models");
    if (f->tool_count && !some_has(c, "software.tool.", "tool_id", f->tools, f->tool_count))
        return fail(why, "has none of the tools");
    uint32_t memory = rovei_caps_number(c, "hardware.memory_gb");
    if (memory < f->min_memory_gb)
        return fail_least(why, "memory in GB", memory, f->min_memory_gb);
    return true;
}

bool rovei_filter_selects(const rovei_filter *f, const rovei_caps *c, rovei_text *why)
{
    for (size_t i = 0; i < f->tag_count; i++)
        if (!rovei_caps_has(c, f->tags[i])) {
            rovei_text_set(why, "lacks the tag ");
            rovei_text_add_span(why, f->tags[i]);
            return false;
        }
    if (!has_parts(f, c, why))
        return false;
    if (!f->gpu && !f->vendor && !f->min_vram_gb)
        return true;
    rovei_hardware h = rovei_caps_hardware(c);
    if (!h.gpu)
        return fail(why, "has no GPU");
    if (f->vendor && h.vendor != f->vendor)
        return fail(why, "has a GPU of another vendor");
    if (h.vram_gb < f->min_vram_gb)
        return fail_least(why, "memory of the GPU in GB", h.vram_gb, f->min_vram_gb);
    return true;
}

static bool matches_gpu(const rovei_filter *f, const rovei_caps *c)
{
    if (!f->gpu && !f->vendor && !f->min_vram_gb)
        return true;
    if (!rovei_caps_has(c, HEAD("hardware.gpu")))
        return false;
    if (f->vendor) {
        char tag[64] = "hardware.gpu.vendor=";
        const char *name = rovei_vendor_name(f->vendor);
        size_t head = strlen(tag), size = strlen(name);
        memcpy(tag + head, name, size); /* NOLINT(bugprone-not-null-terminated-result): a span */
        if (!rovei_caps_has(c, (rove_span){tag, head + size}))
            return false;
    }
    return rovei_caps_number(c, "hardware.gpu.vram_gb") >= f->min_vram_gb;
}

static bool matches_models(const rovei_filter *f, const rovei_caps *c)
{
    if (!f->min_context_length && !f->modalities)
        return true;
    size_t it = 0;
    uint32_t index, offered = 0;
    bool is_long = f->min_context_length == 0;
    rove_span field, value;
    while (rovei_caps_indexed(c, "software.model.", &it, &index, &field, &value)) {
        if (rovei_span_is(field, "modalities"))
            offered |= rovei_modalities_of(value);
        else if (rovei_span_is(field, "context_length"))
            is_long |= rovei_caps_u32(value) >= f->min_context_length;
    }
    return is_long && (offered & f->modalities) == f->modalities;
}

bool rovei_filter_matches(const rovei_filter *f, const rovei_caps *c)
{
    for (size_t i = 0; i < f->tag_count; i++)
        if (!rovei_caps_has_alike(c, f->tags[i]))
            return false;
    return has_parts(f, c, NULL) && matches_gpu(f, c) && matches_models(f, c);
}

static double inside(double v)
{
    return v > 0 ? v < 1 ? v : 1 : 0; /* what is no number becomes 0 */
}

double rovei_requirement_score(const rovei_requirement *r, const rovei_caps *c)
{
    if (!rovei_filter_matches(&r->filter, c))
        return 0;
    rovei_hardware h = rovei_caps_hardware(c);
    size_t it = 0, models = 0, loaded = 0;
    uint32_t index, fastest = 0, last = 0;
    rove_span field, value;
    /* Tags of one model stand together, whatever their fields. */
    while (rovei_caps_indexed(c, "software.model.", &it, &index, &field, &value)) {
        if (models == 0 || index != last)
            models++;
        last = index;
        if (rovei_span_is(field, "loaded") && rovei_span_is(value, "true"))
            loaded++;
        else if (rovei_span_is(field, "tokens_per_sec") && rovei_caps_u32(value) > fastest)
            fastest = rovei_caps_u32(value);
    }
    return 1 + inside(r->memory) * inside(h.memory_gb / 256.0) +
           inside(r->vram) * inside(h.vram_gb / 80.0) +
           inside(r->speed) * inside(fastest / 1000.0) +
           inside(r->loaded) * (models ? inside((double)loaded / (double)models) : 0);
}

/* ---- scopes ---- */
bool rovei_scope_matches(const rovei_scope_query *q, const rovei_caps *c, bool own,
                         bool same_subnet)
{
    rove_span tenant = HEAD("scope:tenant:"), region = HEAD("scope:region:");
    bool local = rovei_caps_has(c, HEAD("scope:subnet-local")), scoped = false, named = false;
    rove_span sought = q->scope == ROVEI_SCOPE_TENANTS ? tenant : region;
    for (size_t i = rovei_caps_from(c, HEAD("scope:")); i < c->tag_count; i++) {
        rove_span tag = c->tags[i];
        if (!rovei_span_starts(tag, HEAD("scope:")))
            break;
        rove_span head = rovei_span_starts(tag, tenant) ? tenant : region;
        if (!rovei_span_starts(tag, head) || tag.size == head.size)
            continue;
        scoped = true;
        rove_span name = {(const char *)tag.data + head.size, tag.size - head.size};
        named |= head.data == sought.data && is_one_of(name, q->names, q->name_count);
    }
    switch (q->scope) {
    case ROVEI_SCOPE_ANY:
        return !local;
    case ROVEI_SCOPE_GLOBAL:
        return !local && !scoped;
    case ROVEI_SCOPE_SAME_SUBNET:
        return own || same_subnet;
    case ROVEI_SCOPE_TENANTS:
    case ROVEI_SCOPE_REGIONS:
        return !local && (!scoped || named);
    default:
        return false;
    }
}

/* ---- who may execute ---- */
static bool lists_node(const rovei_allow *a, uint64_t node)
{
    for (size_t i = 0; i < a->node_count; i++)
        if (a->nodes[i] == node)
            return true;
    return false;
}

/* Lowercase hex of exactly `size` bytes. */
static bool read_hex(rove_span text, uint8_t *ret, size_t size)
{
    const char *at = text.data;
    if (text.size != size * 2)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int digit = at[i] >= '0' && at[i] <= '9'   ? at[i] - '0'
                    : at[i] >= 'a' && at[i] <= 'f' ? at[i] - 'a' + 10
                                                   : -1;
        if (digit < 0)
            return false;
        ret[i / 2] = (uint8_t)(i % 2 ? ret[i / 2] | digit : digit << 4);
    }
    return true;
}

static bool claims_subnet(const rovei_caps *caller, const rovei_allow *a)
{
    rove_span head = HEAD("subnet:");
    uint8_t claimed[16];
    size_t claims = 0;
    for (size_t i = rovei_caps_from(caller, head);
         i < caller->tag_count && rovei_span_starts(caller->tags[i], head); i++) {
        rove_span tag = caller->tags[i];
        rove_span body = {(const char *)tag.data + head.size, tag.size - head.size};
        claims += read_hex(body, claimed, sizeof claimed);
    }
    if (claims != 1)
        return false; /* several contradict each other */
    for (size_t i = 0; i < a->subnet_count; i++)
        if (memcmp(a->subnets[i], claimed, sizeof claimed) == 0)
            return true;
    return false;
}

static bool claims_group(const rovei_caps *caller, const rovei_allow *a)
{
    rove_span head = HEAD("group:");
    for (size_t i = rovei_caps_from(caller, head);
         i < caller->tag_count && rovei_span_starts(caller->tags[i], head); i++) {
        rove_span tag = caller->tags[i];
        uint8_t claimed[32];
        if (!read_hex((rove_span){(const char *)tag.data + head.size, tag.size - head.size},
                      claimed, sizeof claimed))
            continue;
        for (size_t g = 0; g < a->group_count; g++)
            if (memcmp(a->groups[g], claimed, sizeof claimed) == 0)
                return true;
    }
    return false;
}

static bool is_open(const rovei_allow *a)
{
    return !a->node_count && !a->subnet_count && !a->group_count;
}

bool rovei_may_execute(const rovei_caps *target, const rovei_allow *allow, rove_span tag,
                       uint64_t caller_node, const rovei_caps *caller)
{
    if (!target || !rovei_caps_has(target, tag))
        return false;
    return is_open(allow) || lists_node(allow, caller_node) ||
           (caller && (claims_subnet(caller, allow) || claims_group(caller, allow)));
}

bool rovei_may_admit(const rovei_caps *own, const rovei_allow *allow, rove_span tag,
                     uint64_t caller_node)
{
    return rovei_caps_has(own, tag) && (is_open(allow) || lists_node(allow, caller_node));
}
