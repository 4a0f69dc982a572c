/* SPDX-License-Identifier: Apache-2.0
 *
 * The axes of the standard scorer. */
#include <capability/placement.h>
#include <string.h>

#define SPAN(literal) ((rove_span){(literal), sizeof(literal) - 1})

/* A number of a tag that can be reckoned with. */
static bool data_of(const rovei_caps *c, rove_span key, double *ret)
{
    rove_span value;
    return rovei_caps_value(c, key, &value) && rovei_decimal(value, ret) && *ret >= 0 &&
           *ret <= 1e15;
}

/* ---- hard checks ---- */
static const char *veto_of(const rovei_artifact *a, const rovei_caps *c)
{
    if (a->kind == ROVEI_ARTIFACT_DAEMON)
        for (size_t i = 0; i < a->required.tag_count; i++)
            if (!rovei_caps_has(c, a->required.tags[i]))
                return "lacks a required tag";
    if (a->kind != ROVEI_ARTIFACT_BLOB)
        return NULL;
    uint64_t gib = a->size / 1073741824 + (a->size % 1073741824 != 0);
    double room, needed = (double)gib;
    if (!rovei_caps_has(c, SPAN("dataforts.blob.storage")))
        return "does not store blobs";
    if (rovei_caps_has(c, SPAN("dataforts:blob-storage-unhealthy")))
        return "its blob storage is unhealthy";
    if (!data_of(c, SPAN("dataforts.blob.disk_free_gb"), &room) || room < needed)
        return "has no room for the blob";
    return NULL;
}

/* ---- axes ---- */
static double scope_axis(const rovei_standard *s, const rovei_caps *c)
{
    rove_span head = SPAN("scope:");
    if (s->scope_count == 0)
        return 1;
    for (size_t i = rovei_caps_from(c, head); i < c->tag_count; i++) {
        rove_span tag = c->tags[i];
        if (!rovei_span_starts(tag, head))
            break;
        rove_span body = {(const char *)tag.data + head.size, tag.size - head.size};
        for (size_t l = 0; l < s->scope_count; l++)
            if (!rovei_span_order(tag, s->scopes[l]) || !rovei_span_order(body, s->scopes[l]))
                return 1;
    }
    return 0;
}

static double proximity_axis(const rovei_standard *s, uint64_t node)
{
    uint64_t rtt;
    if (!s->max_rtt || !s->rtt || !s->rtt(s->user, node, &rtt))
        return 1;
    return rtt <= s->max_rtt ? 1 : 0;
}

/* Metadata of what is to be placed: the required set goes before the optional one. */
static bool wish_of(const rovei_artifact *a, rove_span key, rove_span *ret)
{
    return (a->kind == ROVEI_ARTIFACT_DAEMON && rovei_caps_meta(&a->required, key, ret)) ||
           rovei_caps_meta(&a->optional, key, ret);
}

static double intent_axis(const rovei_standard *s, const rovei_caps *c)
{
    rove_span wish;
    if (s->intent == ROVEI_INTENT_DISABLED || s->intent_count == 0)
        return 1;
    if (s->intent == ROVEI_INTENT_ANY_OF_LOCAL) {
        for (size_t i = 0; i < s->intent_count; i++)
            if (s->intents[i].holds(c))
                return 1;
        return 0;
    }
    if (!wish_of(&s->artifact, SPAN("intent"), &wish))
        return 1;
    for (size_t i = 0; i < s->intent_count; i++)
        if (rovei_span_is(wish, s->intents[i].name))
            return s->intents[i].holds(c) ? 1 : 0;
    return 1;
}

static bool holds_chain(const rovei_caps *c, rove_span chain)
{
    rove_span head = SPAN("causal:");
    for (size_t i = rovei_caps_from(c, head); i < c->tag_count; i++) {
        rove_span tag = c->tags[i];
        if (!rovei_span_starts(tag, head))
            break;
        rove_span body = {(const char *)tag.data + head.size, 0};
        const char *at = body.data;
        while (body.size < tag.size - head.size && at[body.size] != ':' && at[body.size] != '[')
            body.size++;
        if (rovei_span_order(body, chain) == 0)
            return true;
    }
    return false;
}

static double colocation_axis(const rovei_standard *s, const rovei_caps *c)
{
    rove_span chain;
    if (s->colocation == ROVEI_COLOCATION_IGNORE)
        return 1;
    if (wish_of(&s->artifact, SPAN("colocate-with-strict"), &chain) && !holds_chain(c, chain))
        return 0;
    if (!wish_of(&s->artifact, SPAN("colocate-with"), &chain) || holds_chain(c, chain))
        return 1;
    return s->colocation == ROVEI_COLOCATION_SOFT ? 0.7 : 0;
}

typedef struct mean {
    double sum;
    unsigned count;
} mean;

static void weigh(mean *m, const rovei_caps *c, rove_span key, double reference)
{
    double value;
    if (!data_of(c, key, &value))
        return;
    m->sum += value / (value + reference);
    m->count++;
}

static double resource_axis(const rovei_standard *s, const rovei_caps *c)
{
    mean compute = {0}, storage = {0}, all = {0};
    if (s->resource == ROVEI_RESOURCE_COMPUTE || s->resource == ROVEI_RESOURCE_BOTH) {
        weigh(&compute, c, SPAN("hardware.cpu_cores"), 8);
        weigh(&compute, c, SPAN("hardware.memory_gb"), 16);
        weigh(&compute, c, SPAN("hardware.gpu.vram_gb"), 16);
    }
    if (s->resource == ROVEI_RESOURCE_STORAGE || s->resource == ROVEI_RESOURCE_BOTH)
        weigh(&storage, c, SPAN("dataforts.capacity_gb"), 1000);
    if (compute.count) {
        all.sum += compute.sum / compute.count;
        all.count++;
    }
    if (storage.count) {
        all.sum += storage.sum / storage.count;
        all.count++;
    }
    return all.count ? all.sum / all.count : 1;
}

static double anti_affinity_axis(const rovei_standard *s, uint64_t node)
{
    double share;
    if (!s->concentration || !s->concentration(s->user, node, &share))
        return 1;
    return share - share == 0 && share > 0.30 ? 0.4 : 1;
}

static double clamped(double v)
{
    return v > 0 ? v < 1 ? v : 1 : 0; /* what is no number becomes 0 */
}

rovei_axes rovei_standard_axes(const rovei_standard *s, const rovei_index_entry *e)
{
    rovei_axes x = {.custom = 1};
    if (s->custom_wanted && !s->custom.score)
        x.veto = "the custom filter is not registered";
    else if (s->custom_wanted && e && !s->custom.score(s->custom.user, e, &x.custom))
        x.veto = "the custom filter refuses";
    else if (!e)
        x.veto = "is not in the index";
    else
        x.veto = veto_of(&s->artifact, &e->caps);
    if (x.veto)
        return (rovei_axes){.veto = x.veto};
    x.custom = clamped(x.custom);
    x.scope = scope_axis(s, &e->caps);
    x.proximity = proximity_axis(s, e->node_id);
    x.intent = intent_axis(s, &e->caps);
    x.colocation = colocation_axis(s, &e->caps);
    x.resource = clamped(resource_axis(s, &e->caps));
    x.anti_affinity = anti_affinity_axis(s, e->node_id);
    x.score =
        x.custom * x.scope * x.proximity * x.intent * x.colocation * x.resource * x.anti_affinity;
    return x;
}

bool rovei_standard_score(const void *standard, const rovei_index_entry *candidate, double *ret)
{
    rovei_axes x = rovei_standard_axes(standard, candidate);
    if (!x.veto)
        *ret = x.score;
    return !x.veto;
}

/* ---- the uses that have a name ---- */
static bool is_training(const rovei_caps *c)
{
    double vram;
    return rovei_caps_has(c, SPAN("hardware.gpu")) &&
           data_of(c, SPAN("hardware.gpu.vram_gb"), &vram) && vram >= 24;
}

static bool is_inference(const rovei_caps *c)
{
    return rovei_caps_has(c, SPAN("hardware.gpu")) && rovei_caps_key(c, SPAN("software.model"));
}

static bool is_cpu_bound(const rovei_caps *c)
{
    double cores;
    return data_of(c, SPAN("hardware.cpu_cores"), &cores) && cores >= 4;
}

static bool is_telemetry(const rovei_caps *c)
{
    size_t at = rovei_caps_from(c, SPAN("devices."));
    return at < c->tag_count && rovei_span_starts(c->tags[at], SPAN("devices."));
}

const rovei_intent rovei_intents[4] = {
    {"ml-training", is_training},
    {"inference", is_inference},
    {"cpu-bound", is_cpu_bound},
    {"sensor-telemetry", is_telemetry},
};
