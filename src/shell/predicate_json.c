/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading predicates from JSON. The nodes go into one allocation; their texts stay in the parsed
 * JSON, keys are put together with their axis. */
#include <base/alloc.h>
#include <json-c/json.h>
#include <math.h>
#include <shell/predicate_json.h>
#include <string.h>

/* Which fields a kind has. */
static const struct {
    const char *name, *text; /* the field with its text, or NULL */
    const char *least, *most;
    rovei_pred_kind kind;
} kinds[] = {
    {"exists", NULL, NULL, NULL, ROVEI_PRED_EXISTS},
    {"equals", "value", NULL, NULL, ROVEI_PRED_EQUALS},
    {"numeric_at_least", NULL, "threshold", NULL, ROVEI_PRED_AT_LEAST},
    {"numeric_at_most", NULL, NULL, "threshold", ROVEI_PRED_AT_MOST},
    {"numeric_in_range", NULL, "min", "max", ROVEI_PRED_IN_RANGE},
    {"semver_at_least", "version", NULL, NULL, ROVEI_PRED_SEMVER_AT_LEAST},
    {"semver_at_most", "version", NULL, NULL, ROVEI_PRED_SEMVER_AT_MOST},
    {"semver_compatible", "version", NULL, NULL, ROVEI_PRED_SEMVER_COMPATIBLE},
    {"string_prefix", "prefix", NULL, NULL, ROVEI_PRED_PREFIX},
    {"string_matches", "pattern", NULL, NULL, ROVEI_PRED_MATCHES},
    {"metadata_exists", NULL, NULL, NULL, ROVEI_PRED_META_EXISTS},
    {"metadata_equals", "value", NULL, NULL, ROVEI_PRED_META_EQUALS},
    {"metadata_matches", "pattern", NULL, NULL, ROVEI_PRED_META_MATCHES},
    {"metadata_numeric_at_least", NULL, "threshold", NULL, ROVEI_PRED_META_AT_LEAST},
    {"and", NULL, NULL, NULL, ROVEI_PRED_AND},
    {"or", NULL, NULL, NULL, ROVEI_PRED_OR},
    {"not", NULL, NULL, NULL, ROVEI_PRED_NOT},
};

typedef struct reader {
    rovei_pred_node *nodes;
    uint32_t *children;
    uint32_t child_count;
    char *keys; /* where the next one goes */
} reader;

static bool text_of(json_object *o, const char *name, rove_span *ret)
{
    json_object *field = NULL;
    if (!json_object_object_get_ex(o, name, &field) ||
        !json_object_is_type(field, json_type_string))
        return false;
    *ret = (rove_span){json_object_get_string(field), (size_t)json_object_get_string_len(field)};
    return true;
}

static bool number_of(json_object *o, const char *name, double *ret)
{
    json_object *field = NULL;
    if (!json_object_object_get_ex(o, name, &field) ||
        (!json_object_is_type(field, json_type_double) &&
         !json_object_is_type(field, json_type_int)))
        return false;
    *ret = json_object_get_double(field);
    return isfinite(*ret);
}

/* A number of a node; one that fits nothing is out of bounds for the check, not malformed. */
static bool place_of(json_object *value, uint32_t *ret)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return false;
    int64_t place = json_object_get_int64(value);
    *ret = place < UINT32_MAX ? (uint32_t)place : UINT32_MAX;
    return true;
}

static bool read_children(reader *r, json_object *o, rovei_pred_node *n)
{
    json_object *list = NULL;
    n->first = r->child_count;
    if (n->kind == ROVEI_PRED_NOT) {
        n->count = 1;
        return json_object_object_get_ex(o, "child", &list) &&
               place_of(list, &r->children[r->child_count++]);
    }
    if (!json_object_object_get_ex(o, "children", &list) ||
        !json_object_is_type(list, json_type_array))
        return false;
    n->count = (uint32_t)json_object_array_length(list);
    for (uint32_t i = 0; i < n->count; i++)
        if (!place_of(json_object_array_get_idx(list, i), &r->children[r->child_count++]))
            return false;
    return true;
}

static bool read_axis_key(reader *r, json_object *o, rove_span *ret)
{
    static const char *const axes[] = {"hardware", "software", "devices", "dataforts"};
    json_object *key = NULL;
    rove_span axis, name;
    if (!json_object_object_get_ex(o, "key", &key) || !json_object_is_type(key, json_type_object) ||
        !text_of(key, "axis", &axis) || !text_of(key, "key", &name))
        return false;
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++)
        if (rovei_span_is(axis, axes[i])) {
            *ret = (rove_span){r->keys, axis.size + 1 + name.size};
            memcpy(r->keys, axis.data, axis.size);
            r->keys[axis.size] = '.';
            memcpy(r->keys + axis.size + 1, name.data, name.size);
            r->keys += ret->size;
            return true;
        }
    return false;
}

static bool read_node(reader *r, json_object *o, rovei_pred_node *n)
{
    rove_span name;
    size_t k = 0;
    if (!json_object_is_type(o, json_type_object) || !text_of(o, "kind", &name))
        return false;
    while (k < sizeof kinds / sizeof kinds[0] && !rovei_span_is(name, kinds[k].name))
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        return false;
    *n = (rovei_pred_node){.kind = kinds[k].kind};
    if (n->kind >= ROVEI_PRED_AND)
        return read_children(r, o, n);
    bool metadata = n->kind >= ROVEI_PRED_META_EXISTS;
    if (metadata ? !text_of(o, "key", &n->key) : !read_axis_key(r, o, &n->key))
        return false;
    return (!kinds[k].text || text_of(o, kinds[k].text, &n->text)) &&
           (!kinds[k].least || number_of(o, kinds[k].least, &n->least)) &&
           (!kinds[k].most || number_of(o, kinds[k].most, &n->most));
}

static rove_err parse(rove_span text, json_object **ret)
{
    json_tokener *t = json_tokener_new_ex(16);
    if (!t)
        return ROVE_E_NOMEM;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    json_object *o = json_tokener_parse_ex(t, text.data, (int)text.size);
    bool whole = o && json_tokener_get_parse_end(t) == text.size;
    json_tokener_free(t);
    if (whole && json_object_is_type(o, json_type_object)) {
        *ret = o;
        return ROVE_OK;
    }
    json_object_put(o);
    return ROVE_E_PREDICATE;
}

rove_err rovei_json_predicate_read(rovei_json_predicate *ret, const rove_alloc *a, rove_span text,
                                   rovei_pred_error *ret_error)
{
    rovei_json_predicate p = {.alloc = a};
    json_object *list = NULL, *root = NULL;
    *ret_error = ROVEI_PRED_FINE;
    if (text.size > ROVEI_PREDICATE_BYTES)
        return ROVE_E_TOO_LARGE;
    rove_err err = parse(text, &p.json);
    if (err)
        return err;
    bool fine = json_object_object_get_ex(p.json, "nodes", &list) &&
                json_object_is_type(list, json_type_array) &&
                json_object_object_get_ex(p.json, "root_idx", &root) &&
                place_of(root, &p.predicate.root);
    size_t count = fine ? json_object_array_length(list) : 0;
    /* Children, and the bytes of keys with a dot for each, are fewer than the text has bytes. */
    p.memory_size =
        count * sizeof(rovei_pred_node) + (text.size + 1) * sizeof(uint32_t) + text.size + 1;
    p.memory = rovei_calloc(a, 1, p.memory_size);
    if (!p.memory) {
        rovei_json_predicate_fini(&p);
        return ROVE_E_NOMEM;
    }
    reader r = {.nodes = p.memory};
    r.children = (void *)(r.nodes + count);
    r.keys = (void *)(r.children + text.size + 1);
    for (size_t i = 0; fine && i < count; i++)
        fine = read_node(&r, json_object_array_get_idx(list, i), &r.nodes[i]);
    p.predicate.nodes = r.nodes;
    p.predicate.count = (uint32_t)count;
    p.predicate.children = r.children;
    p.predicate.child_count = r.child_count;
    if (fine)
        *ret_error = rovei_predicate_check(&p.predicate);
    if (!fine || *ret_error) {
        rovei_json_predicate_fini(&p);
        return ROVE_E_PREDICATE;
    }
    *ret = p;
    return ROVE_OK;
}

void rovei_json_predicate_fini(rovei_json_predicate *p)
{
    json_object_put(p->json);
    if (p->memory)
        rovei_free(p->alloc, p->memory, p->memory_size);
    p->json = NULL;
    p->memory = NULL;
}
