/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of configurations: one sorted array, exact names first, then prefixes. Look-ups by
 * hash walk it, so there is no second index that could disagree with it. */
#include <base/alloc.h>
#include <base/cursor.h>
#include <channel/config.h>
#include <string.h>

/* One block: the lists and texts of `config` lie behind it. */
typedef struct entry {
    rovei_channel_config config;
    uint64_t hash;
    size_t size;
    max_align_t room[];
} entry;

struct rovei_channel_registry {
    const rove_alloc *alloc;
    entry **entries;
    size_t count, room, most;
};

rove_err rovei_channel_registry_new(rovei_channel_registry **ret, const rovei_env *env, size_t most)
{
    rovei_channel_registry *r = ROVEI_NEW(&env->alloc, rovei_channel_registry);
    if (!r)
        return ROVE_E_NOMEM;
    r->alloc = &env->alloc;
    r->most = most;
    *ret = r;
    return ROVE_OK;
}

static void entry_free(rovei_channel_registry *r, entry *e)
{
    rovei_free(r->alloc, e, e->size);
}

void rovei_channel_registry_free(rovei_channel_registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        entry_free(r, r->entries[i]);
    rovei_free(r->alloc, r->entries, r->room * sizeof *r->entries);
    ROVEI_DELETE(r->alloc, r);
}

/* ---- copies ---- */

/* Cuts `size` bytes off the front of what is left of a block, filled from `from`. */
static void *cut(uint8_t **at, const void *from, size_t size)
{
    void *place = *at;
    if (size)
        memcpy(place, from, size);
    *at += size;
    return place;
}

static size_t need_bytes(const rovei_need *n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n->count; i++)
        bytes += n->tags[i].size;
    return bytes;
}

static void copy_texts(uint8_t **at, rove_span *tags, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tags[i].data = cut(at, tags[i].data, tags[i].size);
}

static entry *entry_new(rovei_channel_registry *r, const rovei_channel_config *c)
{
    size_t spans = (c->publish_caps.count + c->subscribe_caps.count) * sizeof(rove_span);
    size_t size = sizeof(entry) + spans + c->export_count * sizeof(uint32_t) +
                  c->root_count * sizeof(rove_entity) + c->name.size +
                  need_bytes(&c->publish_caps) + need_bytes(&c->subscribe_caps);
    entry *e = rovei_alloc(r->alloc, size);
    if (!e)
        return NULL;
    e->config = *c;
    e->size = size;
    e->hash = rovei_channel_hash(c->name);
    uint8_t *at = (uint8_t *)e->room;
    rove_span *publish = cut(&at, c->publish_caps.tags, c->publish_caps.count * sizeof(rove_span));
    rove_span *subscribe =
        cut(&at, c->subscribe_caps.tags, c->subscribe_caps.count * sizeof(rove_span));
    e->config.exports = cut(&at, c->exports, c->export_count * sizeof(uint32_t));
    e->config.roots = cut(&at, c->roots, c->root_count * sizeof(rove_entity));
    e->config.name.data = cut(&at, c->name.data, c->name.size);
    copy_texts(&at, publish, c->publish_caps.count);
    copy_texts(&at, subscribe, c->subscribe_caps.count);
    e->config.publish_caps.tags = publish;
    e->config.subscribe_caps.tags = subscribe;
    return e;
}

/* ---- places ---- */

static int compare(const entry *e, rove_span name, bool prefix)
{
    if (e->config.prefix != prefix)
        return e->config.prefix ? 1 : -1;
    size_t size = e->config.name.size < name.size ? e->config.name.size : name.size;
    int by = size ? memcmp(e->config.name.data, name.data, size) : 0;
    if (by)
        return by;
    return (e->config.name.size > name.size) - (e->config.name.size < name.size);
}

/* Where it stands, or would stand. */
static size_t place_of(const rovei_channel_registry *r, rove_span name, bool prefix,
                       bool *ret_found)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(r->entries[middle], name, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < r->count && compare(r->entries[low], name, prefix) == 0;
    return low;
}

static const rovei_channel_config *find_one(const rovei_channel_registry *r, rove_span name,
                                            bool prefix)
{
    bool found;
    size_t at = place_of(r, name, prefix, &found);
    return found ? &r->entries[at]->config : NULL;
}

/* A prefix may end in the middle of a segment, or with a slash: it is legal when one more character
 * makes a name of it. */
static rove_err check_name(const rovei_channel_config *c)
{
    if (!c->prefix)
        return rovei_channel_name_check(c->name);
    char text[ROVEI_CHANNEL_NAME_MAX + 1];
    if (!c->name.size)
        return ROVE_E_CHANNEL_EMPTY;
    if (c->name.size >= ROVEI_CHANNEL_NAME_MAX)
        return ROVE_E_CHANNEL_LONG;
    memcpy(text, c->name.data, c->name.size);
    text[c->name.size] = 'x';
    return rovei_channel_name_check((rove_span){text, c->name.size + 1});
}

static rove_err check(const rovei_channel_config *c)
{
    rove_err err = check_name(c);
    if (err)
        return err;
    if (c->root_count > ROVEI_CHANNEL_ROOTS_MAX || c->export_count > ROVEI_CHANNEL_EXPORTS_MAX ||
        c->publish_caps.count > ROVEI_CHANNEL_TAGS_MAX ||
        c->subscribe_caps.count > ROVEI_CHANNEL_TAGS_MAX)
        return ROVE_E_BOUND;
    if (need_bytes(&c->publish_caps) > UINT16_MAX || need_bytes(&c->subscribe_caps) > UINT16_MAX)
        return ROVE_E_BOUND;
    return ROVE_OK;
}

rove_err rovei_channel_registry_put(rovei_channel_registry *r, const rovei_channel_config *c,
                                    bool if_absent)
{
    rove_err err = check(c);
    if (err)
        return err;
    bool found;
    size_t at = place_of(r, c->name, c->prefix, &found);
    if (found && if_absent)
        return ROVE_E_CHANNEL_EXISTS;
    if (!found) {
        err = rovei_grow(r->alloc, (void **)&r->entries, &r->room, r->count, sizeof *r->entries,
                         r->most);
        if (err)
            return err;
    }
    entry *e = entry_new(r, c);
    if (!e)
        return ROVE_E_NOMEM;
    if (found) {
        entry_free(r, r->entries[at]);
    } else {
        memmove(r->entries + at + 1, r->entries + at, (r->count - at) * sizeof *r->entries);
        r->count++;
    }
    r->entries[at] = e;
    return ROVE_OK;
}

static void remove_at(rovei_channel_registry *r, size_t at)
{
    entry_free(r, r->entries[at]);
    r->count--;
    memmove(r->entries + at, r->entries + at + 1, (r->count - at) * sizeof *r->entries);
}

rove_err rovei_channel_registry_remove(rovei_channel_registry *r, rove_span name, bool prefix)
{
    bool found;
    size_t at = place_of(r, name, prefix, &found);
    if (!found)
        return ROVE_E_NOT_FOUND;
    remove_at(r, at);
    return ROVE_OK;
}

const rovei_channel_config *rovei_channel_registry_find(const rovei_channel_registry *r,
                                                        rove_span name, rove_span *ret_prefix)
{
    rove_span prefix = {0};
    const rovei_channel_config *c = find_one(r, name, false);
    for (size_t size = name.size; !c && size; size--) {
        prefix = (rove_span){name.data, size};
        c = find_one(r, prefix, true);
    }
    if (ret_prefix)
        *ret_prefix = c ? (c->prefix ? c->name : (rove_span){0}) : (rove_span){0};
    return c;
}

/* SIZE_MAX unless it is exactly one. */
static size_t only_one(const rovei_channel_registry *r, uint64_t hash, uint64_t mask)
{
    size_t one = SIZE_MAX;
    for (size_t i = 0; i < r->count && !r->entries[i]->config.prefix; i++) {
        if ((r->entries[i]->hash & mask) != hash)
            continue;
        if (one != SIZE_MAX)
            return SIZE_MAX;
        one = i;
    }
    return one;
}

const rovei_channel_config *rovei_channel_registry_by_hash(const rovei_channel_registry *r,
                                                           uint64_t hash)
{
    size_t at = only_one(r, hash, UINT64_MAX);
    return at == SIZE_MAX ? NULL : &r->entries[at]->config;
}

const rovei_channel_config *rovei_channel_registry_by_hash16(const rovei_channel_registry *r,
                                                             uint16_t hash)
{
    size_t at = only_one(r, hash, UINT16_MAX);
    return at == SIZE_MAX ? NULL : &r->entries[at]->config;
}

rove_err rovei_channel_registry_remove_hash(rovei_channel_registry *r, uint64_t hash)
{
    size_t at = only_one(r, hash, UINT64_MAX);
    if (at == SIZE_MAX)
        return ROVE_E_NOT_FOUND;
    remove_at(r, at);
    return ROVE_OK;
}

const rovei_channel_config *rovei_channel_registry_next(const rovei_channel_registry *r, size_t *it)
{
    return *it < r->count ? &r->entries[(*it)++]->config : NULL;
}

size_t rovei_channel_registry_count(const rovei_channel_registry *r)
{
    return r->count;
}

/* ---- calls of a service ---- */

static rove_span joined(char room[ROVEI_CHANNEL_NAME_MAX * 2], rove_span service, const char *end)
{
    rovei_writer w = rovei_writer_of(room, ROVEI_CHANNEL_NAME_MAX * 2);
    rovei_write_span(&w, service);
    rovei_write_bytes(&w, end, strlen(end));
    return (rove_span){room, rovei_writer_size(&w)};
}

rove_err rovei_channel_registry_rpc(rovei_channel_registry *r, rove_span service)
{
    static const char *const ends[] = {".requests", ".replies.0123456789abcdef", ".replies.prefix"};
    char room[ROVEI_CHANNEL_NAME_MAX * 2], under[ROVEI_CHANNEL_NAME_MAX * 2];
    if (service.size > ROVEI_CHANNEL_NAME_MAX)
        return ROVE_E_CHANNEL_LONG;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        rove_err err = rovei_channel_name_check(joined(room, service, ends[i]));
        if (err)
            return err;
    }
    rovei_channel_config requests = {.name = joined(room, service, ends[0])};
    rovei_channel_config replies = {
        .name = joined(under, service, ".replies."), .prefix = true, .origin_bound = true};
    rove_err err = rovei_channel_registry_put(r, &requests, true);
    bool fresh = !err;
    if (err && err != ROVE_E_CHANNEL_EXISTS)
        return err;
    err = rovei_channel_registry_put(r, &replies, true);
    if (!err || err == ROVE_E_CHANNEL_EXISTS)
        return ROVE_OK;
    if (fresh)
        (void)!rovei_channel_registry_remove(r, requests.name, false);
    return err;
}

/* ---- who sees it ---- */

bool rovei_subnet_above(uint32_t above, uint32_t subnet)
{
    for (unsigned shift = 32; shift; shift -= 8) {
        uint8_t level = (uint8_t)(above >> (shift - 8));
        if (!level)
            return true;
        if (level != (uint8_t)(subnet >> (shift - 8)))
            return false;
    }
    return true;
}

static bool exported_to(const rovei_channel_config *c, uint32_t subnet)
{
    for (size_t i = 0; i < c->export_count; i++)
        if (rovei_subnet_above(c->exports[i], subnet))
            return true;
    return false;
}

bool rovei_channel_visible(const rovei_channel_config *c, uint32_t own, const uint32_t *subnet)
{
    switch (c->visibility) {
    case ROVEI_VISIBLE_GLOBAL:
        return true;
    case ROVEI_VISIBLE_SUBNET:
        return subnet ? *subnet == own : own == 0;
    case ROVEI_VISIBLE_PARENT:
        return subnet ? rovei_subnet_above(*subnet, own) : own == 0;
    case ROVEI_VISIBLE_EXPORTED:
        return subnet && exported_to(c, *subnet);
    }
    return false;
}

bool rovei_origin_bound(rove_span suffix, uint64_t origin)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = suffix.data;
    if (suffix.size != 16)
        return false;
    for (unsigned i = 0; i < 16; i++)
        if (p[i] != digits[origin >> (60 - 4 * i) & 15])
            return false;
    return true;
}
