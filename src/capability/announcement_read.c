/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an announcement that anybody may have written. */
#include <base/alloc.h>
#include <capability/announcement.h>
#include <capability/json.h>
#include <capability/tag.h>
#include <string.h>

typedef enum field {
    FIELD_NODE_ID,
    FIELD_ENTITY,
    FIELD_VERSION,
    FIELD_TIMESTAMP,
    FIELD_TTL,
    FIELD_SET,
    FIELD_SIGNATURE,
    FIELD_HOPS,
    FIELD_REFLEX,
    FIELD_NODES,
    FIELD_SUBNETS,
    FIELD_GROUPS,
    FIELD_CERT,
    FIELD_COUNT,
} field;
#define ALWAYS ((1U << FIELD_SIGNATURE) - 1) /* the six that must be there */

static const char *const names[FIELD_COUNT] = {
    "node_id",         "entity_id",      "version",   "timestamp_ns", "ttl_secs",
    "capabilities",    "signature",      "hop_count", "reflex_addr",  "allowed_nodes",
    "allowed_subnets", "allowed_groups", "owner_cert"};

/* What is read, before it is copied into an announcement. */
typedef struct reading {
    rovei_json j;
    rovei_announcement a;
    rove_span *tags;
    rovei_caps_pair *pairs;
    uint64_t nodes[ROVEI_ALLOW_LIST_MAX];
    uint8_t subnets[ROVEI_ALLOW_LIST_MAX][16];
    uint8_t groups[ROVEI_ALLOW_LIST_MAX][32];
    uint8_t cert[ROVEI_OWNER_CERT_SIZE];
} reading;

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void read_hex(rovei_json *j, uint8_t *ret, size_t size)
{
    rove_span s = rovei_json_string(j);
    const char *at = s.data;
    if (s.size != 2 * size) {
        j->bad = true;
        return;
    }
    for (size_t i = 0; i < size; i++) {
        int high = nibble(at[2 * i]), low = nibble(at[2 * i + 1]);
        if (high < 0 || low < 0) {
            j->bad = true;
            return;
        }
        ret[i] = (uint8_t)(high << 4 | low);
    }
}

static void read_tags(reading *r)
{
    for (size_t n = 0; rovei_json_next(&r->j, '[', ']', &n);) {
        rove_span tag = rovei_json_string(&r->j);
        r->j.bad |= !tag.size;
        r->tags[r->a.set.tag_count++] = tag;
    }
}

static void read_metadata(reading *r)
{
    for (size_t n = 0; rovei_json_next(&r->j, '{', '}', &n);) {
        rovei_caps_pair pair = {.key = rovei_json_key(&r->j)};
        pair.value = rovei_json_string(&r->j);
        r->pairs[r->a.set.metadata_count++] = pair;
    }
}

static void read_set(reading *r)
{
    bool tags = false, metadata = false;
    for (size_t n = 0; rovei_json_next(&r->j, '{', '}', &n);) {
        rove_span key = rovei_json_key(&r->j);
        if (rovei_span_is(key, "tags")) {
            r->j.bad |= tags;
            tags = true;
            read_tags(r);
        } else if (rovei_span_is(key, "metadata")) {
            r->j.bad |= metadata;
            metadata = true;
            read_metadata(r);
        } else {
            rovei_json_skip(&r->j);
        }
    }
}

static void read_nodes(reading *r)
{
    for (size_t n = 0; rovei_json_next(&r->j, '[', ']', &n);) {
        uint64_t v = rovei_json_u64(&r->j, UINT64_MAX);
        if (n > ROVEI_ALLOW_LIST_MAX)
            r->j.bad = true;
        else
            r->nodes[r->a.allow.node_count++] = v;
    }
}

/* A list of arrays of `size` bytes each. */
static size_t read_lists(rovei_json *j, uint8_t *ret, size_t size)
{
    size_t n = 0;
    while (rovei_json_next(j, '[', ']', &n)) {
        size_t k = 0;
        while (rovei_json_next(j, '[', ']', &k)) {
            uint8_t v = (uint8_t)rovei_json_u64(j, 255);
            if (k > size || n > ROVEI_ALLOW_LIST_MAX)
                j->bad = true;
            else
                ret[(n - 1) * size + k - 1] = v;
        }
        j->bad |= k != size;
    }
    return j->bad ? 0 : n;
}

static void read_field(reading *r, field f)
{
    rovei_announcement *a = &r->a;
    bool optional = f == FIELD_SIGNATURE || f == FIELD_REFLEX || f == FIELD_CERT;
    if (optional && rovei_json_null(&r->j))
        return;
    if (f == FIELD_NODE_ID)
        a->node_id = rovei_json_u64(&r->j, UINT64_MAX);
    else if (f == FIELD_ENTITY)
        read_hex(&r->j, a->entity.bytes, sizeof a->entity.bytes);
    else if (f == FIELD_VERSION)
        a->version = rovei_json_u64(&r->j, UINT64_MAX);
    else if (f == FIELD_TIMESTAMP)
        a->timestamp = rovei_json_u64(&r->j, UINT64_MAX);
    else if (f == FIELD_TTL)
        a->ttl = (uint32_t)rovei_json_u64(&r->j, UINT32_MAX);
    else if (f == FIELD_SET)
        read_set(r);
    else if (f == FIELD_HOPS)
        a->hop_count = (uint8_t)rovei_json_u64(&r->j, UINT8_MAX);
    else if (f == FIELD_NODES)
        read_nodes(r);
    else if (f == FIELD_SUBNETS)
        a->allow.subnet_count = read_lists(&r->j, *r->subnets, 16);
    else if (f == FIELD_GROUPS)
        a->allow.group_count = read_lists(&r->j, *r->groups, 32);
    else if (f == FIELD_SIGNATURE) {
        read_hex(&r->j, a->signature, sizeof a->signature);
        a->has_signature = true;
    } else if (f == FIELD_CERT) {
        read_hex(&r->j, r->cert, sizeof r->cert);
        a->owner_cert = r->cert;
    } else if (f == FIELD_REFLEX) {
        a->reflex.size = rovei_reflex_canonical(a->reflex.text, rovei_json_string(&r->j));
        r->j.bad |= !a->reflex.size;
    }
}

static bool read_all(reading *r)
{
    uint32_t seen = 0;
    for (size_t n = 0; rovei_json_next(&r->j, '{', '}', &n);) {
        rove_span key = rovei_json_key(&r->j);
        unsigned f = 0;
        while (f < FIELD_COUNT && !rovei_span_is(key, names[f]))
            f++;
        if (f == FIELD_COUNT) {
            rovei_json_skip(&r->j);
            continue;
        }
        r->j.bad |= seen >> f & 1;
        seen |= 1U << f;
        if (!r->j.bad)
            read_field(r, (field)f);
    }
    return rovei_json_end(&r->j) && (seen & ALWAYS) == ALWAYS;
}

rove_err rovei_announcement_read(rovei_announcement **ret, const rove_alloc *alloc, rove_span text)
{
    if (text.size > ROVEI_ANNOUNCEMENT_MAX)
        return ROVE_E_TOO_LARGE;
    /* A tag has at least four bytes of text, a pair of metadata six, but for the first. */
    size_t tags = text.size / 4 + 1, pairs = text.size / 6 + 1;
    size_t pair_bytes = pairs * sizeof(rovei_caps_pair), tag_bytes = tags * sizeof(rove_span);
    size_t room = pair_bytes + tag_bytes + text.size;
    char *scratch = rovei_alloc(alloc, room);
    if (!scratch)
        return ROVE_E_NOMEM;
    reading r;
    memset(&r.a, 0, sizeof r.a);
    r.pairs = (rovei_caps_pair *)(void *)scratch;
    r.tags = (rove_span *)(void *)(scratch + pair_bytes);
    rovei_json_init(&r.j, text, scratch + pair_bytes + tag_bytes, text.size);
    rove_err err = ROVE_E_FORMAT;
    if (read_all(&r)) {
        r.a.set.tags = r.tags;
        r.a.set.metadata = r.pairs;
        r.a.allow.nodes = r.nodes;
        r.a.allow.subnets = (const uint8_t(*)[16])r.subnets;
        r.a.allow.groups = (const uint8_t(*)[32])r.groups;
        err = rovei_announcement_new(ret, alloc, &r.a);
    }
    rovei_free(alloc, scratch, room);
    return err;
}
