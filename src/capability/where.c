/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading conditions: one pass, by descent. All that it makes lies in one allocation whose size
 * follows from the length of the text. */
#include <base/alloc.h>
#include <capability/where.h>
#include <string.h>

#define DEPTH 32

typedef struct reader {
    const char *text;
    size_t size, at;
    rovei_pred_node *nodes;
    uint32_t node_count, room;
    uint32_t *children;
    uint32_t child_count;
    rove_span *tags, *models, *tools;
    rovei_filter *filter;
    rovei_where_error *error;
    unsigned depth;
} reader;

static bool fail_at(reader *r, size_t at, const char *what)
{
    *r->error = (rovei_where_error){at, what};
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static void skip(reader *r)
{
    while (r->at < r->size && is_blank(r->text[r->at]))
        r->at++;
}

/* Ends a word; what may stand in a key. */
static bool ends_key(char c)
{
    return is_blank(c) || strchr(",()\"=<>~^!", c) != NULL;
}

static rove_span read_key(reader *r)
{
    size_t begin = r->at;
    while (r->at < r->size && r->text[r->at] && !ends_key(r->text[r->at]))
        r->at++;
    return (rove_span){r->text + begin, r->at - begin};
}

/* A value: in quotes, or up to what separates terms. */
static bool read_value(reader *r, rove_span *ret)
{
    skip(r);
    size_t begin = r->at;
    if (r->at < r->size && r->text[r->at] == '"') {
        const char *end = memchr(r->text + begin + 1, '"', r->size - begin - 1);
        if (!end)
            return fail_at(r, begin, "the quotes are not closed");
        r->at = (size_t)(end - r->text) + 1;
        *ret = (rove_span){r->text + begin + 1, (size_t)(end - r->text) - begin - 1};
        return true;
    }
    while (r->at < r->size && !is_blank(r->text[r->at]) && r->text[r->at] != ',' &&
           r->text[r->at] != ')' && r->text[r->at] != '(' && r->text[r->at] != '"')
        r->at++;
    *ret = (rove_span){r->text + begin, r->at - begin};
    return ret->size ? true : fail_at(r, begin, "a value is expected");
}

static bool at_word(reader *r, const char *word, bool take)
{
    size_t size = strlen(word), left = r->size - r->at;
    if (left < size || memcmp(r->text + r->at, word, size) != 0)
        return false;
    if (left > size && !is_blank(r->text[r->at + size]) && r->text[r->at + size] != '(')
        return false;
    r->at += take ? size : 0;
    return true;
}

static bool add(reader *r, rovei_pred_node node, uint32_t *ret)
{
    if (r->node_count == r->room)
        return fail_at(r, r->at, "the condition has too many parts");
    *ret = r->node_count;
    r->nodes[r->node_count++] = node;
    return true;
}

static bool join(reader *r, rovei_pred_kind kind, uint32_t left, uint32_t right, uint32_t *ret)
{
    rovei_pred_node node = {.kind = kind, .first = r->child_count, .count = 1};
    r->children[r->child_count++] = left;
    if (kind != ROVEI_PRED_NOT) {
        r->children[r->child_count++] = right;
        node.count = 2;
    }
    return add(r, node, ret);
}

/* ---- a term ---- */
typedef enum operator{
    OP_NONE,
    OP_EQUALS,
    OP_LEAST,
    OP_MOST,
    OP_PREFIX,
    OP_MATCHES,
    OP_COMPATIBLE,
    OP_RANGE
}
operator;

static operator read_operator(reader *r)
{
    static const struct {
        const char *text;
        operator op;
    } list[] = {{">=", OP_LEAST},     {"<=", OP_MOST},   {"^=", OP_PREFIX},
                {"^", OP_COMPATIBLE}, {"~", OP_MATCHES}, {"=", OP_EQUALS}};
    size_t begin = r->at;
    skip(r);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        size_t size = strlen(list[i].text);
        if (r->size - r->at >= size && memcmp(r->text + r->at, list[i].text, size) == 0) {
            r->at += size;
            return list[i].op;
        }
    }
    if (r->at > begin && at_word(r, "in", true))
        return OP_RANGE;
    r->at = begin;
    return OP_NONE;
}

static bool is_version(rove_span value)
{
    const char *at = value.data;
    return value.size > 1 && at[0] == 'v' && at[1] >= '0' && at[1] <= '9';
}

static bool read_range(rove_span value, double *least, double *most)
{
    const char *at = value.data;
    for (size_t i = 0; i + 1 < value.size; i++)
        if (at[i] == '.' && at[i + 1] == '.')
            return rovei_decimal((rove_span){at, i}, least) &&
                   rovei_decimal((rove_span){at + i + 2, value.size - i - 2}, most);
    return false;
}

/* The leaf over an axis tag. */
static bool axis_leaf(reader *r, size_t begin, rovei_pred_node *n, operator op)
{
    if (op != OP_NONE && !read_value(r, &n->text))
        return false;
    bool version = op != OP_EQUALS && is_version(n->text);
    if (version)
        n->text = (rove_span){(const char *)n->text.data + 1, n->text.size - 1};
    switch (op) {
    case OP_NONE:
        n->kind = ROVEI_PRED_EXISTS;
        return true;
    case OP_EQUALS:
        n->kind = ROVEI_PRED_EQUALS;
        return true;
    case OP_LEAST:
        n->kind = version ? ROVEI_PRED_SEMVER_AT_LEAST : ROVEI_PRED_AT_LEAST;
        return version || rovei_decimal(n->text, &n->least) ||
               fail_at(r, begin, "a number or a version is expected behind >=");
    case OP_MOST:
        n->kind = version ? ROVEI_PRED_SEMVER_AT_MOST : ROVEI_PRED_AT_MOST;
        return version || rovei_decimal(n->text, &n->most) ||
               fail_at(r, begin, "a number or a version is expected behind <=");
    case OP_PREFIX:
        n->kind = ROVEI_PRED_PREFIX;
        return true;
    case OP_MATCHES:
        n->kind = ROVEI_PRED_MATCHES;
        return true;
    case OP_COMPATIBLE:
        n->kind = ROVEI_PRED_SEMVER_COMPATIBLE;
        return version || fail_at(r, begin, "a version like v1.2 is expected behind ^");
    case OP_RANGE:
        n->kind = ROVEI_PRED_IN_RANGE;
        return read_range(n->text, &n->least, &n->most) ||
               fail_at(r, begin, "two numbers like 16..64 are expected behind in");
    default:
        return fail_at(r, begin, "this is no condition");
    }
}

static bool meta_leaf(reader *r, size_t begin, rovei_pred_node *n, operator op)
{
    n->kind = op == OP_NONE      ? ROVEI_PRED_META_EXISTS
              : op == OP_EQUALS  ? ROVEI_PRED_META_EQUALS
              : op == OP_MATCHES ? ROVEI_PRED_META_MATCHES
                                 : ROVEI_PRED_META_AT_LEAST;
    if (op != OP_NONE && op != OP_EQUALS && op != OP_MATCHES && op != OP_LEAST)
        return fail_at(r, begin, "metadata knows =, ~ and >= only");
    if (op != OP_NONE && !read_value(r, &n->text))
        return false;
    return op != OP_LEAST || rovei_decimal(n->text, &n->least) ||
           fail_at(r, begin, "a number is expected behind >=");
}

/* 1: it is one of the filter's own and was taken; 0: it is not; -1: it is wrong. */
static int filter_term(reader *r, rove_span key, operator op, bool top)
{
    rovei_filter *f = r->filter;
    size_t begin = (size_t)((const char *)key.data - r->text);
    bool gpu = rovei_span_is(key, "gpu") && op == OP_NONE;
    bool vendor = rovei_span_is(key, "vendor") && op == OP_EQUALS;
    bool memory = rovei_span_is(key, "memory") && op == OP_LEAST;
    bool vram = rovei_span_is(key, "vram") && op == OP_LEAST;
    bool model = rovei_span_is(key, "model") && op == OP_EQUALS;
    bool tool = rovei_span_is(key, "tool") && op == OP_EQUALS;
    rove_span value = {0};
    if (!gpu && !vendor && !memory && !vram && !model && !tool)
        return 0;
    if (!top) {
        fail_at(r, begin, "this stands only outside of or, not and brackets");
        return -1;
    }
    if (!gpu && !read_value(r, &value))
        return -1;
    f->gpu |= gpu || vendor || vram;
    if (vendor && !(f->vendor = rovei_vendor_of(value))) {
        fail_at(r, begin, "the vendors are nvidia, amd, intel, apple and qualcomm");
        return -1;
    }
    uint32_t number = rovei_caps_u32(value);
    if ((memory || vram) && number == 0) {
        fail_at(r, begin, "a whole number of GB is expected behind >=");
        return -1;
    }
    if (memory && number > f->min_memory_gb)
        f->min_memory_gb = number;
    if (vram && number > f->min_vram_gb)
        f->min_vram_gb = number;
    if (model)
        r->models[f->model_count++] = value;
    if (tool)
        r->tools[f->tool_count++] = value;
    return 1;
}

/* Any other tag: all of it as it stands there. */
static bool tag_term(reader *r, size_t begin, operator op, bool top, rove_span tag, bool *ret_taken,
                     uint32_t *ret)
{
    rove_span value;
    if (op != OP_NONE) {
        if (op != OP_EQUALS)
            return fail_at(r, begin,
                           "only tags of hardware, software, devices and dataforts can "
                           "be compared");
        if (!read_value(r, &value))
            return false;
        tag.size = (size_t)((const char *)value.data + value.size - (const char *)tag.data);
        if (memchr(tag.data, '"', tag.size) || memchr(tag.data, ' ', tag.size))
            return fail_at(r, begin, "a tag with such a value is written in quotes as a whole");
    }
    if (top) {
        r->tags[r->filter->tag_count++] = tag;
        *ret_taken = true;
        return true;
    }
    return add(r, (rovei_pred_node){.kind = ROVEI_PRED_TAG, .key = tag}, ret);
}

/* `top`: all that holds the term together is "and", so the filter can have it; *ret_taken: it has
 * taken it, and there is no node. */
static bool read_term(reader *r, bool top, bool *ret_taken, uint32_t *ret)
{
    static const char meta[] = "meta.";
    size_t begin = r->at;
    rovei_pred_node node = {0};
    rove_span quoted;
    if (r->text[r->at] == '"')
        return read_value(r, &quoted) && tag_term(r, begin, OP_NONE, top, quoted, ret_taken, ret);
    node.key = read_key(r);
    if (node.key.size == 0)
        return fail_at(r, begin, "a tag or a key is expected");
    operator op = read_operator(r);
    int taken = filter_term(r, node.key, op, top);
    if (taken) {
        *ret_taken = true;
        return taken > 0;
    }
    if (rovei_span_starts(node.key, (rove_span){meta, 5}) && node.key.size > 5) {
        node.key = (rove_span){(const char *)node.key.data + 5, node.key.size - 5};
        return meta_leaf(r, begin, &node, op) && add(r, node, ret);
    }
    rovei_tag_parts parts = rovei_tag_split(node.key);
    if (!parts.axis || parts.separator)
        return tag_term(r, begin, op, top, node.key, ret_taken, ret);
    return axis_leaf(r, begin, &node, op) && add(r, node, ret);
}

/* ---- terms together ---- */
static bool read_or(reader *r, bool top, bool *ret_taken, uint32_t *ret);

static bool read_one(reader *r, bool top, bool *ret_taken, uint32_t *ret)
{
    *ret_taken = false;
    skip(r);
    if (r->at == r->size)
        return fail_at(r, r->at, "a condition is expected");
    if (r->depth == DEPTH)
        return fail_at(r, r->at, "the condition is nested too deeply");
    r->depth++;
    bool fine, none;
    uint32_t child;
    if (at_word(r, "not", true)) {
        fine = read_one(r, false, &none, &child) && join(r, ROVEI_PRED_NOT, child, 0, ret);
    } else if (r->text[r->at] == '(') {
        size_t begin = r->at++;
        fine = read_or(r, false, &none, ret);
        skip(r);
        if (fine && (r->at == r->size || r->text[r->at] != ')'))
            fine = fail_at(r, begin, "the bracket is not closed");
        r->at++;
    } else {
        fine = read_term(r, top, ret_taken, ret);
    }
    r->depth--;
    return fine;
}

/* Whether another term follows with "and" or with nothing between. */
static bool more_terms(reader *r)
{
    skip(r);
    if (r->at < r->size && r->text[r->at] == ',') {
        r->at++;
        return true;
    }
    if (at_word(r, "and", true))
        return true;
    return r->at < r->size && r->text[r->at] != ')' && !at_word(r, "or", false);
}

/* *ret_taken: the filter has taken all of it. */
static bool read_and(reader *r, bool top, bool *ret_taken, uint32_t *ret)
{
    *ret_taken = true;
    do {
        bool taken;
        uint32_t one;
        if (!read_one(r, top, &taken, &one))
            return false;
        if (taken)
            continue;
        if (*ret_taken)
            *ret = one;
        else if (!join(r, ROVEI_PRED_AND, *ret, one, ret))
            return false;
        *ret_taken = false;
    } while (more_terms(r));
    return true;
}

static bool read_or(reader *r, bool top, bool *ret_taken, uint32_t *ret)
{
    if (!read_and(r, top, ret_taken, ret))
        return false;
    for (skip(r); at_word(r, "or", true); skip(r)) {
        bool none;
        uint32_t right;
        if (*ret_taken)
            return fail_at(r, r->at - 2, "a blank is missing before or");
        if (!read_and(r, false, &none, &right) || !join(r, ROVEI_PRED_OR, *ret, right, ret))
            return false;
    }
    return true;
}

/* Whether an `or` stands outside of brackets and quotes: then nothing is the filter's. */
static bool has_or(const char *text, size_t size)
{
    reader r = {.text = text, .size = size};
    int depth = 0;
    bool quoted = false;
    for (; r.at < size; r.at++) {
        char c = text[r.at];
        quoted ^= c == '"';
        depth += quoted ? 0 : (c == '(') - (c == ')');
        bool begins = r.at == 0 || is_blank(text[r.at - 1]) || text[r.at - 1] == ')';
        if (!quoted && depth == 0 && begins && at_word(&r, "or", false))
            return true;
    }
    return false;
}

rove_err rovei_where_read(rovei_where *ret, const rove_alloc *a, rove_span text,
                          rovei_where_error *ret_error)
{
    rovei_where w = {.alloc = a};
    if (text.size > ROVEI_PREDICATE_BYTES)
        return ROVE_E_TOO_LARGE;
    /* A term takes two characters at least, and so does what joins it to another; brackets and
     * `not` are bounded by the text likewise. */
    uint32_t room = (uint32_t)text.size + 1;
    room = room < ROVEI_PREDICATE_NODES ? room : ROVEI_PREDICATE_NODES;
    size_t spans = 3 * (text.size + 1) * sizeof(rove_span);
    w.memory_size = room * (sizeof(rovei_pred_node) + 2 * sizeof(uint32_t)) + spans + text.size + 1;
    uint8_t *memory = rovei_calloc(a, 1, w.memory_size);
    if (!memory)
        return ROVE_E_NOMEM;
    w.memory = memory;
    reader r = {.size = text.size, .room = room, .filter = &w.filter, .error = ret_error};
    r.nodes = (void *)memory;
    r.tags = (void *)(r.nodes + room);
    r.models = r.tags + text.size + 1;
    r.tools = r.models + text.size + 1;
    r.children = (void *)(r.tools + text.size + 1);
    char *copy = (void *)(r.children + 2 * (size_t)room);
    if (text.size)
        memcpy(copy, text.data, text.size);
    r.text = copy;
    bool taken = true, fine = true;
    uint32_t root = 0;
    skip(&r);
    if (r.at < r.size)
        fine = read_or(&r, !has_or(copy, text.size), &taken, &root);
    if (fine && r.at < r.size)
        fine = fail_at(&r, r.at, "a bracket is closed that was not opened");
    if (!fine) {
        rovei_where_fini(&w);
        return ROVE_E_WHERE;
    }
    w.filter.tags = r.tags;
    w.filter.models = r.models;
    w.filter.tools = r.tools;
    w.has_predicate = !taken;
    w.predicate = (rovei_predicate){r.nodes, r.node_count, root, r.children, r.child_count};
    *ret = w;
    return ROVE_OK;
}

void rovei_where_fini(rovei_where *w)
{
    if (w->memory)
        rovei_free(w->alloc, w->memory, w->memory_size);
    w->memory = NULL;
}

bool rovei_where_selects(const rovei_where *w, const rovei_caps *caps, rovei_text *why)
{
    if (!rovei_filter_selects(&w->filter, caps, why))
        return false;
    if (!w->has_predicate || rovei_predicate_holds(&w->predicate, caps))
        return true;
    rovei_text_set(why, "the condition does not hold");
    return false;
}
