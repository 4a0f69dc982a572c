/* SPDX-License-Identifier: Apache-2.0
 *
 * The index: an array sorted by node id of entries that are one allocation each, and a heap of
 * their ends. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/timer.h>
#include <capability/index.h>
#include <string.h>

typedef struct slot {
    rovei_index_entry entry; /* its parts lie behind the slot */
    rovei_index *index;
    rovei_timer end;
    size_t size; /* of the allocation */
} slot;

struct rovei_index {
    const rovei_env *env;
    const rove_alloc *alloc;
    slot **slots; /* ascending node id */
    size_t count, room;
    rovei_timers timers;
    rovei_index_stats stats;
};

rove_err rovei_index_new(rovei_index **ret, const rovei_env *env)
{
    rovei_index *x = ROVEI_NEW(&env->alloc, rovei_index);
    if (!x)
        return ROVE_E_NOMEM;
    x->env = env;
    x->alloc = &env->alloc;
    rovei_timers_init(&x->timers, x->alloc);
    *ret = x;
    return ROVE_OK;
}

/* Of the first entry whose node id is not below `node`. */
static size_t place_of(const rovei_index *x, uint64_t node)
{
    size_t low = 0, high = x->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (x->slots[mid]->entry.node_id < node)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static slot *find(const rovei_index *x, uint64_t node, size_t *ret_at)
{
    *ret_at = place_of(x, node);
    return *ret_at < x->count && x->slots[*ret_at]->entry.node_id == node ? x->slots[*ret_at]
                                                                          : NULL;
}

static void drop(rovei_index *x, slot *s)
{
    if (!s)
        return;
    rovei_timers_release(&x->timers, &s->end);
    rovei_free(x->alloc, s, s->size);
}

static void take_out(rovei_index *x, size_t at)
{
    slot *s = x->slots[at];
    memmove(&x->slots[at], &x->slots[at + 1], (x->count - at - 1) * sizeof *x->slots);
    x->count--;
    x->stats.bytes -= s->size;
    drop(x, s);
}

void rovei_index_free(rovei_index *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->count; i++)
        drop(x, x->slots[i]);
    rovei_free(x->alloc, x->slots, x->room * sizeof *x->slots);
    rovei_timers_fini(&x->timers);
    ROVEI_DELETE(x->alloc, x);
}

static void on_end(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    slot *s = user;
    rovei_index *x = s->index;
    size_t at;
    ROVEI_CHECK(find(x, s->entry.node_id, &at) == s);
    x->stats.expired++;
    take_out(x, at);
}

/* ---- an entry in one piece ---- */
/* Hands out parts of the allocation; without memory it only counts them. */
typedef struct layout {
    uint8_t *base;
    size_t size;
} layout;

static void *part(layout *l, const void *from, size_t size, size_t align)
{
    size_t at = (l->size + align - 1) & ~(align - 1);
    l->size = at + size;
    if (!l->base)
        return NULL;
    if (from && size)
        memcpy(l->base + at, from, size);
    return l->base + at;
}

static rove_span text_part(layout *l, rove_span from)
{
    void *bytes = part(l, from.data, from.size, 1);
    return (rove_span){bytes, from.size};
}

static void lay_out(layout *l, const rovei_index_item *item, slot *s)
{
    const rovei_caps *c = &item->caps;
    const rovei_allow *a = &item->allow;
    slot unused;
    if (!s)
        s = &unused; /* what is only counted goes nowhere */
    l->size = sizeof(slot);
    rove_span *tags = part(l, NULL, c->tag_count * sizeof *tags, _Alignof(rove_span));
    rovei_caps_pair *pairs =
        part(l, NULL, c->metadata_count * sizeof *pairs, _Alignof(rovei_caps_pair));
    s->entry.allow.nodes = part(l, a->nodes, a->node_count * sizeof *a->nodes, _Alignof(uint64_t));
    s->entry.allow.subnets = part(l, a->subnets, a->subnet_count * sizeof *a->subnets, 1);
    s->entry.allow.groups = part(l, a->groups, a->group_count * sizeof *a->groups, 1);
    for (size_t i = 0; i < c->tag_count; i++) {
        rove_span copy = text_part(l, c->tags[i]);
        if (tags)
            tags[i] = copy;
    }
    for (size_t i = 0; i < c->metadata_count; i++) {
        rovei_caps_pair copy = {text_part(l, c->metadata[i].key), {0}};
        copy.value = text_part(l, c->metadata[i].value);
        if (pairs)
            pairs[i] = copy;
    }
    s->entry.caps = (rovei_caps){tags, c->tag_count, pairs, c->metadata_count};
    s->entry.allow.node_count = a->node_count;
    s->entry.allow.subnet_count = a->subnet_count;
    s->entry.allow.group_count = a->group_count;
}

static void describe(rovei_index_entry *e)
{
    static const char head[] = "scope:region:";
    rove_span region = {head, sizeof head - 1};
    e->hardware = rovei_caps_hardware(&e->caps);
    size_t at = rovei_caps_from(&e->caps, region);
    if (at < e->caps.tag_count && rovei_span_starts(e->caps.tags[at], region))
        e->region = (rove_span){(const char *)e->caps.tags[at].data + region.size,
                                e->caps.tags[at].size - region.size};
}

static slot *make(rovei_index *x, rovei_now now, const rovei_index_item *item, size_t size)
{
    slot *s = rovei_calloc(x->alloc, 1, size);
    if (!s)
        return NULL;
    s->size = size;
    if (rovei_timers_reserve(&x->timers, &s->end, on_end, s)) {
        rovei_free(x->alloc, s, size);
        return NULL;
    }
    layout l = {(uint8_t *)s, 0};
    lay_out(&l, item, s);
    s->index = x;
    s->entry.node_id = item->node_id;
    s->entry.entity = item->entity;
    s->entry.generation = item->version ? item->version : 1;
    s->entry.hop_count = item->hop_count;
    s->entry.reflex = item->reflex;
    s->entry.arrived = now.mono;
    s->entry.expires = rovei_time_add(now.mono, item->ttl_secs * ROVE_SECOND);
    describe(&s->entry);
    return s;
}

/* The relayed entry that came longest ago; SIZE_MAX: there is none. */
static size_t oldest_relayed(const rovei_index *x)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < x->count; i++)
        if (x->slots[i]->entry.hop_count > 0 &&
            (found == SIZE_MAX || x->slots[i]->entry.arrived < x->slots[found]->entry.arrived))
            found = i;
    return found;
}

/* Room for a new node of this size, at the cost of relayed ones when it speaks for itself. */
static bool make_room(rovei_index *x, const rovei_index_item *item, size_t size)
{
    while (x->count >= x->env->limits.index_nodes ||
           x->stats.bytes + size > x->env->limits.index_bytes) {
        size_t at = item->hop_count == 0 ? oldest_relayed(x) : SIZE_MAX;
        if (at == SIZE_MAX)
            return false;
        take_out(x, at);
        x->stats.displaced++;
    }
    return true;
}

rove_err rovei_index_put(rovei_index *x, rovei_now now, const rovei_index_item *item)
{
    size_t at;
    slot *old = find(x, item->node_id, &at);
    uint64_t generation = item->version ? item->version : 1;
    if (old && generation <= old->entry.generation) {
        x->stats.stale++;
        return ROVE_E_STALE;
    }
    layout l = {NULL, 0};
    lay_out(&l, item, NULL);
    if (old && x->stats.bytes - old->size + l.size > x->env->limits.index_bytes) {
        x->stats.full++; /* what is known stays: it is better than nothing */
        return ROVE_E_FULL;
    }
    rove_err err =
        rovei_grow(x->alloc, (void **)&x->slots, &x->room, x->count, sizeof *x->slots, SIZE_MAX);
    if (err)
        return err;
    slot *s = make(x, now, item, l.size);
    if (!s)
        return ROVE_E_NOMEM;
    if (!old && !make_room(x, item, l.size)) {
        drop(x, s);
        x->stats.full++;
        return ROVE_E_FULL;
    }
    at = place_of(x, item->node_id); /* others may have gone */
    if (old) {
        x->stats.bytes -= old->size;
        drop(x, old);
    } else {
        memmove(&x->slots[at + 1], &x->slots[at], (x->count - at) * sizeof *x->slots);
        x->count++;
    }
    x->slots[at] = s;
    x->stats.bytes += s->size;
    x->stats.applied++;
    rovei_timer_set(&x->timers, &s->end, s->entry.expires);
    return ROVE_OK;
}

rove_err rovei_index_apply(rovei_index *x, rovei_now now, const rovei_announcement *a)
{
    rovei_index_item item = {
        .node_id = a->node_id,
        .entity = a->entity,
        .version = a->version,
        .ttl_secs = a->ttl,
        .hop_count = a->hop_count,
        .caps = a->set,
        .allow = a->allow,
        .reflex = a->reflex,
    };
    return rovei_index_put(x, now, &item);
}

bool rovei_index_evict(rovei_index *x, uint64_t node_id)
{
    size_t at;
    if (!find(x, node_id, &at))
        return false;
    x->stats.evicted++;
    take_out(x, at);
    return true;
}

uint64_t rovei_index_deadline(const rovei_index *x)
{
    return rovei_timers_deadline(&x->timers);
}

void rovei_index_expire(rovei_index *x, rovei_now now)
{
    rovei_timers_expire(&x->timers, now);
}

const rovei_index_entry *rovei_index_get(const rovei_index *x, uint64_t node_id)
{
    size_t at;
    slot *s = find(x, node_id, &at);
    return s ? &s->entry : NULL;
}

const rovei_index_entry *rovei_index_from(const rovei_index *x, uint64_t node_id)
{
    size_t at = place_of(x, node_id);
    return rovei_index_next(x, &at);
}

const rovei_index_entry *rovei_index_next(const rovei_index *x, size_t *it)
{
    return *it < x->count ? &x->slots[(*it)++]->entry : NULL;
}

const rovei_index_entry *rovei_index_query(const rovei_index *x, const rovei_filter *f, size_t *it)
{
    const rovei_index_entry *e;
    while ((e = rovei_index_next(x, it)) != NULL)
        if (!f || rovei_filter_selects(f, &e->caps, NULL))
            return e;
    return NULL;
}

size_t rovei_index_count(const rovei_index *x)
{
    return x->count;
}

rovei_index_stats rovei_index_stats_get(const rovei_index *x)
{
    rovei_index_stats stats = x->stats;
    stats.entries = x->count;
    return stats;
}

void rovei_index_check(const rovei_index *x)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < x->count; i++) {
        const slot *s = x->slots[i];
        bytes += s->size;
        ROVEI_CHECK(i == 0 || x->slots[i - 1]->entry.node_id < s->entry.node_id);
        ROVEI_CHECK(rovei_timer_is_set(&s->end) || s->entry.expires == ROVE_TIME_NEVER);
        for (size_t t = 1; t < s->entry.caps.tag_count; t++)
            ROVEI_CHECK(rovei_span_order(s->entry.caps.tags[t - 1], s->entry.caps.tags[t]) < 0);
    }
    ROVEI_CHECK(bytes == x->stats.bytes);
    ROVEI_CHECK(x->count <= x->env->limits.index_nodes);
    ROVEI_CHECK(x->stats.bytes <= x->env->limits.index_bytes);
}
