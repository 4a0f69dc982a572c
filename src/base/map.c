/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash table. A slot is a pointer followed by the key, padded so that the next pointer is
 * aligned; or, where the key lies inside of what is pointed to, by the hash. About four fifths of
 * the slots are taken at most, so a probe always ends. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/map.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_MAX     64
#define KEY_IN_SLOT SIZE_MAX
#define ROOM_LEAST  8

static bool keys_inside(const rovei_map *m)
{
    return m->key_at != KEY_IN_SLOT;
}

static size_t stride_of(const rovei_map *m)
{
    size_t size = sizeof(void *) + (keys_inside(m) ? sizeof(uint64_t) : m->key_size);
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

static uint64_t hash_of(const rovei_map *m, const void *key)
{
    return XXH3_64bits_withSeed(key, m->key_size, m->seed);
}

static const uint8_t *slot_tail(const uint8_t *slot)
{
    return slot + sizeof(void *);
}

/* The hash of a slot that is taken. */
static uint64_t slot_hash(const rovei_map *m, const uint8_t *slot)
{
    if (!keys_inside(m))
        return hash_of(m, slot_tail(slot));
    uint64_t hash;
    memcpy(&hash, slot_tail(slot), sizeof hash);
    return hash;
}

static bool has_key(const rovei_map *m, const uint8_t *slot, uint64_t hash, const void *key)
{
    if (!keys_inside(m))
        return memcmp(slot_tail(slot), key, m->key_size) == 0;
    const uint8_t *value = slot_value(slot);
    return slot_hash(m, slot) == hash && memcmp(value + m->key_at, key, m->key_size) == 0;
}

/* The slot of `key`, or the free one where it belongs. The table has a free slot. */
static uint8_t *find(const rovei_map *m, uint64_t hash, const void *key)
{
    for (size_t i = (size_t)hash & (m->room - 1);; i = (i + 1) & (m->room - 1)) {
        uint8_t *slot = slot_at(m, i);
        if (!slot_value(slot) || has_key(m, slot, hash, key))
            return slot;
    }
}

static void fill(const rovei_map *m, uint8_t *slot, uint64_t hash, const void *key, void *value)
{
    memcpy(slot, &value, sizeof value);
    if (keys_inside(m))
        memcpy(slot + sizeof value, &hash, sizeof hash);
    else
        memmove(slot + sizeof value, key, m->key_size);
}

void rovei_map_init(rovei_map *m, const rove_alloc *a, size_t key_size, uint64_t seed)
{
    ROVEI_CHECK(key_size && key_size <= KEY_MAX);
    *m = (rovei_map){.alloc = a, .seed = seed, .key_size = key_size, .key_at = KEY_IN_SLOT};
}

void rovei_map_init_inside(rovei_map *m, const rove_alloc *a, size_t key_size, size_t key_at,
                           uint64_t seed)
{
    rovei_map_init(m, a, key_size, seed);
    m->key_at = key_at;
}

void rovei_map_fini(rovei_map *m)
{
    rovei_free(m->alloc, m->slots, m->room * stride_of(m));
    m->slots = NULL;
    m->room = m->count = 0;
}

void *rovei_map_get(const rovei_map *m, const void *key)
{
    return m->count ? slot_value(find(m, hash_of(m, key), key)) : NULL;
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
        if (!slot_value(slot))
            continue;
        /* No two slots have one key: the next free place will do. */
        size_t at = (size_t)slot_hash(m, slot) & (wider.room - 1);
        while (slot_value(slot_at(&wider, at)))
            at = (at + 1) & (wider.room - 1);
        memcpy(slot_at(&wider, at), slot, stride_of(m));
    }
    rovei_free(m->alloc, m->slots, m->room * stride_of(m));
    *m = wider;
    return ROVE_OK;
}

rove_err rovei_map_put(rovei_map *m, const void *key, void *value)
{
    ROVEI_CHECK(value);
    uint64_t hash = hash_of(m, key);
    if (m->count) {
        uint8_t *slot = find(m, hash, key);
        if (slot_value(slot)) {
            memcpy(slot, &value, sizeof value);
            return ROVE_OK;
        }
    }
    if (m->count >= m->room - (m->room + 4) / 5) {
        rove_err err = grow(m);
        if (err)
            return err;
    }
    fill(m, find(m, hash, key), hash, key, value);
    m->count++;
    return ROVE_OK;
}

void *rovei_map_remove(rovei_map *m, const void *key)
{
    if (!m->count)
        return NULL;
    uint8_t *slot = find(m, hash_of(m, key), key);
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
        size_t home = (size_t)slot_hash(m, next) & mask;
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
