/* SPDX-License-Identifier: Apache-2.0
 *
 * Announcements as objects: making one, its canonical text, its signature. */
#include <base/alloc.h>
#include <capability/announcement.h>
#include <capability/json.h>
#include <capability/reflex.h>
#include <capability/tag.h>
#include <crypto/crypto.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_TEXT (sizeof ",\"signature\":\"\"" - 1 + 128)
#define HEAT_BLOBS_MAX 256

/* One allocation: this, then what the announcement points to. */
typedef struct block {
    const rove_alloc *alloc;
    size_t size;
    uint32_t refs;
    rovei_announcement a;
} block;

static block *block_of(rovei_announcement *a)
{
    return (block *)(void *)((char *)a - offsetof(block, a));
}

rovei_announcement *rovei_announcement_ref(rovei_announcement *a)
{
    if (a)
        block_of(a)->refs++;
    return a;
}

void rovei_announcement_unref(rovei_announcement *a)
{
    if (a && --block_of(a)->refs == 0)
        rovei_free(block_of(a)->alloc, block_of(a), block_of(a)->size);
}

/* ---- making ---- */

static int tag_order(const void *a, const void *b)
{
    return rovei_span_order(*(const rove_span *)a, *(const rove_span *)b);
}

/* Of equal keys the one that stands later in memory comes later: it was read later. */
static int pair_order(const void *a, const void *b)
{
    const rovei_caps_pair *x = a, *y = b;
    int order = rovei_span_order(x->key, y->key);
    uintptr_t p = (uintptr_t)x->key.data, q = (uintptr_t)y->key.data;
    return order ? order : (p > q) - (p < q);
}

typedef struct filler {
    char *chars;
} filler;

static rove_span keep(filler *f, rove_span s)
{
    char *at = f->chars;
    if (s.size)
        memcpy(at, s.data, s.size);
    f->chars += s.size;
    return (rove_span){at, s.size};
}

static void *keep_bytes(filler *f, const void *bytes, size_t size)
{
    char *at = f->chars;
    (void)keep(f, (rove_span){bytes, size});
    return at;
}

static size_t keep_tags(filler *f, rove_span *ret, const rovei_caps *from)
{
    size_t n = 0;
    if (from->tag_count)
        memcpy(ret, from->tags, from->tag_count * sizeof *ret);
    qsort(ret, from->tag_count, sizeof *ret, tag_order);
    for (size_t i = 0; i < from->tag_count; i++)
        if (!n || !rovei_span_equal(ret[n - 1], ret[i]))
            ret[n++] = keep(f, ret[i]);
    return n;
}

static size_t keep_pairs(filler *f, rovei_caps_pair *ret, const rovei_caps *from)
{
    size_t n = 0, count = from->metadata_count;
    if (count)
        memcpy(ret, from->metadata, count * sizeof *ret);
    qsort(ret, count, sizeof *ret, pair_order);
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || !rovei_span_equal(ret[i].key, ret[i + 1].key))
            ret[n++] = (rovei_caps_pair){keep(f, ret[i].key), keep(f, ret[i].value)};
    return n;
}

static size_t chars_of(const rovei_announcement *from)
{
    size_t size = (from->owner_cert ? ROVEI_OWNER_CERT_SIZE : 0) + from->allow.subnet_count * 16 +
                  from->allow.group_count * 32;
    for (size_t i = 0; i < from->set.tag_count; i++)
        size += from->set.tags[i].size;
    for (size_t i = 0; i < from->set.metadata_count; i++)
        size += from->set.metadata[i].key.size + from->set.metadata[i].value.size;
    return size;
}

static rove_err sizes_ok(const rovei_announcement *from)
{
    size_t most = ROVEI_ALLOW_LIST_MAX;
    if (from->allow.node_count > most || from->allow.subnet_count > most ||
        from->allow.group_count > most)
        return ROVE_E_FORMAT;
    if (from->set.tag_count > ROVEI_ANNOUNCEMENT_MAX ||
        from->set.metadata_count > ROVEI_ANNOUNCEMENT_MAX)
        return ROVE_E_TOO_LARGE;
    for (size_t i = 0; i < from->set.tag_count; i++)
        if (!from->set.tags[i].size)
            return ROVE_E_FORMAT;
    return chars_of(from) > 2 * ROVEI_ANNOUNCEMENT_MAX ? ROVE_E_TOO_LARGE : ROVE_OK;
}

static void fill(block *b, const rovei_announcement *from)
{
    rovei_announcement *a = &b->a;
    const rovei_allow *w = &from->allow;
    rovei_caps_pair *pairs = (rovei_caps_pair *)(void *)(b + 1);
    rove_span *tags = (rove_span *)(void *)(pairs + from->set.metadata_count);
    uint64_t *nodes = (uint64_t *)(void *)(tags + from->set.tag_count);
    filler f = {(char *)(nodes + w->node_count)};
    *a = *from;
    a->set.metadata_count = keep_pairs(&f, pairs, &from->set);
    a->set.metadata = pairs;
    a->set.tag_count = keep_tags(&f, tags, &from->set);
    a->set.tags = tags;
    if (w->node_count)
        memcpy(nodes, w->nodes, w->node_count * sizeof *nodes);
    a->allow.nodes = nodes;
    a->allow.subnets = (const uint8_t(*)[16])keep_bytes(&f, w->subnets, w->subnet_count * 16);
    a->allow.groups = (const uint8_t(*)[32])keep_bytes(&f, w->groups, w->group_count * 32);
    if (from->owner_cert)
        a->owner_cert = keep(&f, (rove_span){from->owner_cert, ROVEI_OWNER_CERT_SIZE}).data;
}

rove_err rovei_announcement_new(rovei_announcement **ret, const rove_alloc *alloc,
                                const rovei_announcement *from)
{
    rovei_announcement a = *from;
    if (from->reflex.size) {
        if (from->reflex.size > ROVEI_REFLEX_ROOM)
            return ROVE_E_FORMAT;
        a.reflex.size = rovei_reflex_canonical(a.reflex.text,
                                               (rove_span){from->reflex.text, from->reflex.size});
        if (!a.reflex.size)
            return ROVE_E_FORMAT;
    }
    rove_err err = sizes_ok(&a);
    if (err)
        return err;
    size_t size = sizeof(block) + a.set.metadata_count * sizeof(rovei_caps_pair) +
                  a.set.tag_count * sizeof(rove_span) + a.allow.node_count * sizeof(uint64_t) +
                  chars_of(&a);
    block *b = rovei_calloc(alloc, 1, size);
    if (!b)
        return ROVE_E_NOMEM;
    b->alloc = alloc;
    b->size = size;
    b->refs = 1;
    fill(b, &a);
    *ret = &b->a;
    return ROVE_OK;
}

/* ---- its text ---- */

static void put_set(rovei_json_out *o, const rovei_caps *s)
{
    rovei_json_put(o, ",\"capabilities\":{\"tags\":[");
    for (size_t i = 0; i < s->tag_count; i++) {
        rovei_json_put(o, i ? "," : "");
        rovei_json_put_string(o, s->tags[i]);
    }
    rovei_json_put(o, "],\"metadata\":{");
    for (size_t i = 0; i < s->metadata_count; i++) {
        rovei_json_put(o, i ? "," : "");
        rovei_json_put_string(o, s->metadata[i].key);
        rovei_json_put(o, ":");
        rovei_json_put_string(o, s->metadata[i].value);
    }
    rovei_json_put(o, "}}");
}

static void put_lists(rovei_json_out *o, const char *name, const uint8_t *bytes, size_t count,
                      size_t size)
{
    rovei_json_put(o, name);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size; k++) {
            rovei_json_put(o, k ? "," : i ? ",[" : "[");
            rovei_json_put_u64(o, bytes[i * size + k]);
        }
        rovei_json_put(o, "]");
    }
    rovei_json_put(o, "]");
}

static void put_options(rovei_json_out *o, const rovei_announcement *a)
{
    const rovei_allow *w = &a->allow;
    if (a->reflex.size) {
        rovei_json_put(o, ",\"reflex_addr\":");
        rovei_json_put_string(o, (rove_span){a->reflex.text, a->reflex.size});
    }
    if (w->node_count) {
        rovei_json_put(o, ",\"allowed_nodes\":[");
        for (size_t i = 0; i < w->node_count; i++) {
            rovei_json_put(o, i ? "," : "");
            rovei_json_put_u64(o, w->nodes[i]);
        }
        rovei_json_put(o, "]");
    }
    if (w->subnet_count)
        put_lists(o, ",\"allowed_subnets\":[", *w->subnets, w->subnet_count, 16);
    if (w->group_count)
        put_lists(o, ",\"allowed_groups\":[", *w->groups, w->group_count, 32);
    if (a->owner_cert) {
        rovei_json_put(o, ",\"owner_cert\":");
        rovei_json_put_hex(o, a->owner_cert, ROVEI_OWNER_CERT_SIZE);
    }
}

static size_t write_text(const rovei_announcement *a, bool sent, uint8_t hops, void *ret,
                         size_t room)
{
    rovei_json_out o = {ret, ret, (uint8_t *)ret + room, false};
    rovei_json_put(&o, "{\"node_id\":");
    rovei_json_put_u64(&o, a->node_id);
    rovei_json_put(&o, ",\"entity_id\":");
    rovei_json_put_hex(&o, a->entity.bytes, sizeof a->entity.bytes);
    rovei_json_put(&o, ",\"version\":");
    rovei_json_put_u64(&o, a->version);
    rovei_json_put(&o, ",\"timestamp_ns\":");
    rovei_json_put_u64(&o, a->timestamp);
    rovei_json_put(&o, ",\"ttl_secs\":");
    rovei_json_put_u64(&o, a->ttl);
    put_set(&o, &a->set);
    if (sent && a->has_signature) {
        rovei_json_put(&o, ",\"signature\":");
        rovei_json_put_hex(&o, a->signature, sizeof a->signature);
    }
    if (sent && hops) {
        rovei_json_put(&o, ",\"hop_count\":");
        rovei_json_put_u64(&o, hops);
    }
    put_options(&o, a);
    rovei_json_put(&o, "}");
    return o.full ? 0 : (size_t)(o.at - o.start);
}

size_t rovei_announcement_write_signed(const rovei_announcement *a, void *ret, size_t room)
{
    return write_text(a, false, 0, ret, room);
}

size_t rovei_announcement_write(const rovei_announcement *a, uint8_t hop_count, void *ret,
                                size_t room)
{
    return write_text(a, true, hop_count, ret, room);
}

/* ---- its signature ---- */

rove_err rovei_announcement_sign(rovei_announcement *a, const rovei_keypair *key)
{
    uint8_t text[ROVEI_ANNOUNCEMENT_MAX - SIGNATURE_TEXT];
    size_t size = rovei_announcement_write_signed(a, text, sizeof text);
    if (!size)
        return ROVE_E_TOO_LARGE;
    rove_err err = rovei_keypair_sign(key, text, size, a->signature);
    a->has_signature |= !err;
    return err;
}

rove_err rovei_announcement_verify(const rovei_announcement *a)
{
    uint8_t text[ROVEI_JSON_MAX];
    if (!a->has_signature)
        return ROVE_E_SIGNATURE;
    size_t size = rovei_announcement_write_signed(a, text, sizeof text);
    return size ? rovei_ed25519_verify(&a->entity, a->signature, text, size) : ROVE_E_SIGNATURE;
}

/* ---- what others must not say ---- */

static bool steers(rove_span key)
{
    static const char *const keys[] = {"intent", "colocate-with", "colocate-with-strict",
                                       "priority", "owner"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (rovei_span_is(key, keys[i]))
            return true;
    return false;
}

/* A tag causal:<hex>, alone or with a suffix, for the chain of this heat:<hex>=<rate>. */
static bool claims(const rovei_caps *s, rove_span heat)
{
    const char *from = (const char *)heat.data + 5, *end = (const char *)heat.data + heat.size;
    const char *equals = memchr(from, '=', (size_t)(end - from));
    size_t size = equals ? (size_t)(equals - from) : (size_t)(end - from);
    for (size_t i = rovei_caps_from(s, rovei_span_of("causal:")); i < s->tag_count; i++) {
        const char *tag = s->tags[i].data;
        size_t left = s->tags[i].size;
        if (left < 7 || memcmp(tag, "causal:", 7) != 0)
            return false;
        if (left >= 7 + size && memcmp(tag + 7, from, size) == 0 &&
            (left == 7 + size || tag[7 + size] == ':' || tag[7 + size] == '['))
            return true;
    }
    return false;
}

void rovei_announcement_strip(rovei_announcement *a)
{
    rovei_caps_pair *pairs = (rovei_caps_pair *)(uintptr_t)a->set.metadata;
    rove_span *tags = (rove_span *)(uintptr_t)a->set.tags;
    size_t n = 0, blobs = 0;
    for (size_t i = 0; i < a->set.metadata_count; i++)
        if (!steers(pairs[i].key))
            pairs[n++] = pairs[i];
    a->set.metadata_count = n;
    n = 0;
    /* causal: comes before heat: in the order, so what is looked for has not been moved. */
    for (size_t i = 0; i < a->set.tag_count; i++) {
        bool blob = rovei_span_starts(tags[i], rovei_span_of("heat:blob:"));
        bool heat = rovei_span_starts(tags[i], rovei_span_of("heat:"));
        if (blob ? blobs++ < HEAT_BLOBS_MAX : !heat || claims(&a->set, tags[i]))
            tags[n++] = tags[i];
    }
    a->set.tag_count = n;
}
