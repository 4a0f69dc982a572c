/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation of predicates. What does not parse makes its leaf false. */
#include <capability/predicate.h>
#include <string.h>

const char *rovei_pred_error_name(rovei_pred_error e)
{
    static const char *const names[] = {"None", "Empty", "RootOutOfBounds", "ChildOutOfBounds",
                                        "CycleDetected"};
    return (size_t)e < sizeof names / sizeof names[0] ? names[e] : "None";
}

rovei_pred_error rovei_predicate_check(const rovei_predicate *p)
{
    if (p->count == 0 || p->count > ROVEI_PREDICATE_NODES)
        return ROVEI_PRED_EMPTY;
    if (p->root >= p->count)
        return ROVEI_PRED_ROOT;
    for (uint32_t i = 0; i < p->count; i++) {
        const rovei_pred_node *n = &p->nodes[i];
        if (n->count > p->child_count || n->first > p->child_count - n->count)
            return ROVEI_PRED_CHILD;
        for (uint32_t c = 0; c < n->count; c++) {
            uint32_t child = p->children[n->first + c];
            if (child >= p->count)
                return ROVEI_PRED_CHILD;
            if (child >= i)
                return ROVEI_PRED_CYCLE;
        }
    }
    return ROVEI_PRED_FINE;
}

typedef struct version {
    uint64_t part[3];
} version;

static bool read_version(rove_span text, version *ret)
{
    const char *at = text.data;
    version v = {{0}};
    size_t part = 0, digits = 0;
    for (size_t i = 0; i < text.size && at[i] != '-' && at[i] != '+'; i++) {
        if (at[i] == '.') {
            if (!digits || ++part > 2)
                return false;
            digits = 0;
        } else if (at[i] < '0' || at[i] > '9' || v.part[part] > (UINT64_MAX - 9) / 10) {
            return false;
        } else {
            v.part[part] = v.part[part] * 10 + (uint64_t)(at[i] - '0');
            digits++;
        }
    }
    *ret = v;
    return digits > 0;
}

static int order_versions(const version *a, const version *b)
{
    for (size_t i = 0; i < 3; i++)
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    return 0;
}

static bool is_compatible(const version *have, const version *want)
{
    if (order_versions(have, want) < 0)
        return false;
    /* All up to the first part that is not zero has to be the same. */
    for (size_t i = 0; i < 3; i++) {
        if (have->part[i] != want->part[i])
            return false;
        if (want->part[i])
            return true;
    }
    return true;
}

static bool semver_holds(rovei_pred_kind kind, rove_span value, rove_span wanted)
{
    version have, want;
    if (!read_version(value, &have) || !read_version(wanted, &want))
        return false;
    if (kind == ROVEI_PRED_SEMVER_COMPATIBLE)
        return is_compatible(&have, &want);
    int order = order_versions(&have, &want);
    return kind == ROVEI_PRED_SEMVER_AT_LEAST ? order >= 0 : order <= 0;
}

static bool contains(rove_span text, rove_span pattern)
{
    for (size_t i = 0; pattern.size <= text.size && i <= text.size - pattern.size; i++)
        if (!pattern.size || !memcmp((const char *)text.data + i, pattern.data, pattern.size))
            return true;
    return false;
}

/* A leaf that has a value. */
static bool value_holds(const rovei_pred_node *n, rove_span value)
{
    double number;
    switch (n->kind) {
    case ROVEI_PRED_EQUALS:
    case ROVEI_PRED_META_EQUALS:
        return rovei_span_order(value, n->text) == 0;
    case ROVEI_PRED_AT_LEAST:
    case ROVEI_PRED_META_AT_LEAST:
        return rovei_decimal(value, &number) && number >= n->least;
    case ROVEI_PRED_AT_MOST:
        return rovei_decimal(value, &number) && number <= n->most;
    case ROVEI_PRED_IN_RANGE:
        return rovei_decimal(value, &number) && number >= n->least && number <= n->most;
    case ROVEI_PRED_SEMVER_AT_LEAST:
    case ROVEI_PRED_SEMVER_AT_MOST:
    case ROVEI_PRED_SEMVER_COMPATIBLE:
        return semver_holds(n->kind, value, n->text);
    case ROVEI_PRED_PREFIX:
        return rovei_span_starts(value, n->text);
    case ROVEI_PRED_MATCHES:
    case ROVEI_PRED_META_MATCHES:
        return contains(value, n->text);
    case ROVEI_PRED_META_EXISTS:
        return true;
    case ROVEI_PRED_EXISTS:
    case ROVEI_PRED_AND:
    case ROVEI_PRED_OR:
    case ROVEI_PRED_NOT:
    case ROVEI_PRED_TAG:
    default:
        return false;
    }
}

static bool node_holds(const rovei_predicate *p, const rovei_pred_node *n, const rovei_caps *caps,
                       const bool *held)
{
    const uint32_t *child = p->children + n->first;
    rove_span value;
    size_t holding = 0;
    if (n->kind >= ROVEI_PRED_META_EXISTS && n->kind <= ROVEI_PRED_META_AT_LEAST)
        return rovei_caps_meta(caps, n->key, &value) && value_holds(n, value);
    if (n->kind == ROVEI_PRED_EXISTS)
        return rovei_caps_key(caps, n->key);
    if (n->kind == ROVEI_PRED_TAG)
        return rovei_caps_has(caps, n->key);
    if (n->kind < ROVEI_PRED_AND)
        return rovei_caps_value(caps, n->key, &value) && value_holds(n, value);
    for (uint32_t i = 0; i < n->count; i++)
        holding += held[child[i]];
    if (n->kind == ROVEI_PRED_OR)
        return holding > 0;
    return n->kind == ROVEI_PRED_AND ? holding == n->count : holding == 0;
}

bool rovei_predicate_holds(const rovei_predicate *p, const rovei_caps *caps)
{
    bool held[ROVEI_PREDICATE_NODES];
    for (uint32_t i = 0; i <= p->root; i++)
        held[i] = node_holds(p, &p->nodes[i], caps, held);
    return held[p->root];
}
