/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash table. A slot is a pointer followed by the key, padded so that the next pointer is
 * aligned; at most three quarters of the slots are taken, so a probe always ends. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/map.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_MAX    64
#define ROOM_LEAST 8

static size_t stride_of(const rovei_map *m)
{
    size_t size = sizeof(void *) + m->key_size;
    return (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

static uint8_t *slot_at(const rovei_map *m, size_t i)
{
    return m->slots + i * stride_of(m);
}

static void *slot_value(const uint8_t *slot)
{
    void *value;
    memcpy(&value, slot, sizeof value);
    return value;
}

static const uint8_t *slot_key(const uint8_t *slot)
{
    return slot + sizeof(void *);
}

static size_t home_of(const rovei_map *m, const void *key)
{
    return (size_t)XXH3_64bits_withSeed(key, m->key_size, m->seed) & (m->room - 1);
}

/* The slot of `key`, or the free one where it belongs. The table has a free slot. */
static uint8_t *find(const rovei_map *m, const void *key)
{
    for (size_t i = home_of(m, key);; i = (i + 1) & (m->room - 1)) {
        uint8_t *slot = slot_at(m, i);
        if (!slot_value(slot) || memcmp(slot_key(slot), key, m->key_size) == 0)
            return slot;
    }
}

static void fill(const rovei_map *m, uint8_t *slot, const void *key, void *value)
{
    memcpy(slot, &value, sizeof value);
    memmove(slot + sizeof value, key, m->key_size);
}

void rovei_map_init(rovei_map *m, const rove_alloc *a, size_t key_size, uint64_t seed)
{
    ROVEI_CHECK(key_size && key_size <= KEY_MAX);
    *m = (rovei_map){.alloc = a, .seed = seed, .key_size = key_size};
}

void rovei_map_fini(rovei_map *m)
{
    rovei_free(m->alloc, m->slots, m->room * stride_of(m));
    m->slots = NULL;
    m->room = m->count = 0;
}

void *rovei_map_get(const rovei_map *m, const void *key)
{
    return m->count ? slot_value(find(m, key)) : NULL;
}

static rove_err grow(rovei_map *m)
{
    if (m->room > SIZE_MAX / 2)
        return ROVE_E_NOMEM;
    rovei_map wider = *m;
    wider.room = m->room ? m->room * 2 : ROOM_LEAST;
    wider.slots = rovei_calloc(m->alloc, wider.room, stride_of(m));
    if (!wider.slots)
        return ROVE_E_NOMEM;
    for (size_t i = 0; i < m->room; i++) {
        const uint8_t *slot = slot_at(m, i);
        if (slot_value(slot))
            fill(&wider, find(&wider, slot_key(slot)), slot_key(slot), slot_value(slot));
    }
    rovei_free(m->alloc, m->slots, m->room * stride_of(m));
    *m = wider;
    return ROVE_OK;
}

rove_err rovei_map_put(rovei_map *m, const void *key, void *value)
{
    ROVEI_CHECK(value);
    if (m->count) {
        uint8_t *slot = find(m, key);
        if (slot_value(slot)) {
            memcpy(slot, &value, sizeof value);
            return ROVE_OK;
        }
    }
    if (m->count >= m->room / 4 * 3) {
        rove_err err = grow(m);
        if (err)
            return err;
    }
    fill(m, find(m, key), key, value);
    m->count++;
    return ROVE_OK;
}

void *rovei_map_remove(rovei_map *m, const void *key)
{
    if (!m->count)
        return NULL;
    uint8_t *slot = find(m, key);
    void *value = slot_value(slot);
    if (!value)
        return NULL;
    size_t mask = m->room - 1;
    size_t hole = (size_t)(slot - m->slots) / stride_of(m);
    /* Moves back each follower whose home does not lie behind the hole. */
    for (size_t i = (hole + 1) & mask;; i = (i + 1) & mask) {
        const uint8_t *next = slot_at(m, i);
        if (!slot_value(next))
            break;
        size_t home = home_of(m, slot_key(next));
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            memcpy(slot_at(m, hole), next, stride_of(m));
            hole = i;
        }
    }
    memset(slot_at(m, hole), 0, stride_of(m));
    m->count--;
    return value;
}

void *rovei_map_next(const rovei_map *m, size_t *it)
{
    while (*it < m->room) {
        void *value = slot_value(slot_at(m, (*it)++));
        if (value)
            return value;
    }
    return NULL;
}
