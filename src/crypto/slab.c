/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded regions cut into slots. libsodium makes each region: a guard page on either side, a
 * canary, locked in memory where the limits allow. The books lie outside of the regions. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/list.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

/* With libsodium's canary just below four pages. */
#define REGION_SLOTS 255
#define REGION_WORDS 4
#define REGION_LIMIT (SIZE_MAX / REGION_SLOTS)

struct region {
    rovei_list node; /* in rovei_slab.open while a slot is free */
    uint8_t *slots;
    size_t used;
    uint64_t taken[REGION_WORDS];
};

struct rovei_slab {
    const rove_alloc *alloc;
    pthread_mutex_t *lock;   /* behind a pointer, so that a const slab can be locked too */
    struct region **regions; /* by address */
    size_t count, room;
    rovei_list open;
    size_t used;
};

static void lock(const struct rovei_slab *s)
{
    ROVEI_CHECK(pthread_mutex_lock(s->lock) == 0);
}

static void unlock(const struct rovei_slab *s)
{
    ROVEI_CHECK(pthread_mutex_unlock(s->lock) == 0);
}

rove_err rovei_slab_new(struct rovei_slab **ret, const rove_alloc *a)
{
    struct rovei_slab *s = ROVEI_NEW(a, struct rovei_slab);
    if (!s)
        return ROVE_E_NOMEM;
    s->alloc = a;
    s->lock = ROVEI_NEW(a, pthread_mutex_t);
    if (!s->lock || pthread_mutex_init(s->lock, NULL) != 0) {
        if (s->lock)
            ROVEI_DELETE(a, s->lock);
        ROVEI_DELETE(a, s);
        return ROVE_E_NOMEM;
    }
    rovei_list_init(&s->open);
    *ret = s;
    return ROVE_OK;
}

static void region_free(const struct rovei_slab *s, struct region *region)
{
    sodium_free(region->slots);
    ROVEI_DELETE(s->alloc, region);
}

void rovei_slab_free(struct rovei_slab *s)
{
    if (!s)
        return;
    ROVEI_CHECK(s->used == 0);
    for (size_t i = 0; i < s->count; i++)
        region_free(s, s->regions[i]);
    rovei_free(s->alloc, s->regions, s->room * sizeof(struct region *));
    pthread_mutex_destroy(s->lock);
    ROVEI_DELETE(s->alloc, s->lock);
    ROVEI_DELETE(s->alloc, s);
}

/* How many regions begin at or below `p`: the place of a new one, and one past that of a slot. */
static size_t rank_of(const struct rovei_slab *s, const uint8_t *p)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if ((uintptr_t)s->regions[mid]->slots <= (uintptr_t)p)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct region *region_new(struct rovei_slab *s)
{
    void *regions = s->regions;
    if (rovei_grow(s->alloc, &regions, &s->room, s->count, sizeof(struct region *), REGION_LIMIT))
        return NULL;
    s->regions = regions;
    struct region *region = ROVEI_NEW(s->alloc, struct region);
    if (!region)
        return NULL;
    region->slots = sodium_malloc((size_t)REGION_SLOTS * ROVEI_SLOT_SIZE);
    if (!region->slots) {
        ROVEI_DELETE(s->alloc, region);
        return NULL;
    }
    /* The last bit of the map stands for no slot. */
    region->taken[REGION_WORDS - 1] = UINT64_C(1) << 63;
    size_t at = rank_of(s, region->slots);
    memmove(&s->regions[at + 1], &s->regions[at], (s->count - at) * sizeof(struct region *));
    s->regions[at] = region;
    s->count++;
    rovei_list_add_head(&s->open, &region->node);
    return region;
}

static uint8_t *slot_take(struct rovei_slab *s, struct region *region)
{
    size_t word = 0;
    while (region->taken[word] == UINT64_MAX)
        word++;
    unsigned bit = 0;
    while (region->taken[word] >> bit & 1)
        bit++;
    region->taken[word] |= UINT64_C(1) << bit;
    if (++region->used == REGION_SLOTS)
        rovei_list_remove(&region->node);
    s->used++;
    return region->slots + (word * 64 + bit) * ROVEI_SLOT_SIZE;
}

void *rovei_slab_get(struct rovei_slab *s)
{
    uint8_t *slot = NULL;
    lock(s);
    struct region *region = rovei_list_empty(&s->open)
                                ? region_new(s)
                                : ROVEI_CONTAINER(s->open.next, struct region, node);
    if (region)
        slot = slot_take(s, region);
    unlock(s);
    if (slot)
        memset(slot, 0, ROVEI_SLOT_SIZE);
    return slot;
}

/* Gives an empty region back, unless it is the only one with free slots: a key that comes and goes
 * must not map and unmap pages each time. */
static void shrink(struct rovei_slab *s, size_t at)
{
    struct region *region = s->regions[at];
    if (region->used || (s->open.next == &region->node && s->open.prev == &region->node))
        return;
    rovei_list_remove(&region->node);
    memmove(&s->regions[at], &s->regions[at + 1], (s->count - at - 1) * sizeof(struct region *));
    s->count--;
    region_free(s, region);
}

void rovei_slab_put(struct rovei_slab *s, void *slot)
{
    if (!slot)
        return;
    rovei_wipe(slot, ROVEI_SLOT_SIZE);
    lock(s);
    size_t rank = rank_of(s, slot);
    ROVEI_CHECK(rank > 0);
    struct region *region = s->regions[rank - 1];
    size_t offset = (size_t)((uint8_t *)slot - region->slots);
    size_t i = offset / ROVEI_SLOT_SIZE;
    ROVEI_CHECK(offset % ROVEI_SLOT_SIZE == 0 && i < REGION_SLOTS);
    uint64_t bit = UINT64_C(1) << i % 64;
    ROVEI_CHECK(region->taken[i / 64] & bit);
    region->taken[i / 64] &= ~bit;
    if (region->used-- == REGION_SLOTS)
        rovei_list_add_head(&s->open, &region->node);
    s->used--;
    shrink(s, rank - 1);
    unlock(s);
}

size_t rovei_slab_used(const struct rovei_slab *s)
{
    lock(s);
    size_t used = s->used;
    unlock(s);
    return used;
}
