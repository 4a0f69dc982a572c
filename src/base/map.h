/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table from keys of one fixed size to pointers: open addressing, linear probing, deletion
 * by shifting back, so there are no tombstones. Hashes are keyed with a random seed, since keys
 * come from outside. Iteration order depends on the seed only. */
#ifndef ROVEI_BASE_MAP_H
#define ROVEI_BASE_MAP_H

#include <rove/types.h>

typedef struct rovei_map {
    const rove_alloc *alloc;
    uint64_t seed;
    size_t key_size; /* at most 64 */
    size_t key_at;   /* where in what is pointed to the key lies; SIZE_MAX: in the slot */
    size_t count;
    size_t room;    /* a power of two, or 0 */
    uint8_t *slots; /* room x (pointer, key or hash); a free slot has a NULL pointer */
} rovei_map;

void rovei_map_init(rovei_map *m, const rove_alloc *a, size_t key_size, uint64_t seed);
/* The key lies at `key_at` of each value and stays as it is while the value is in the table, which
 * then does not hold it a second time: for large keys of things of which there are many. */
void rovei_map_init_inside(rovei_map *m, const rove_alloc *a, size_t key_size, size_t key_at,
                           uint64_t seed);
/* Frees the table, not what it points to. */
void rovei_map_fini(rovei_map *m);
void *rovei_map_get(const rovei_map *m, const void *key);
/* Adds or replaces; `value` is not NULL. E_NOMEM leaves the table as it was. */
ROVE_MUST_USE rove_err rovei_map_put(rovei_map *m, const void *key, void *value);
/* Removes and returns the value, NULL if absent. */
void *rovei_map_remove(rovei_map *m, const void *key);
/* Walks all values: start with *it = 0; NULL at the end. The table must not change meanwhile. */
void *rovei_map_next(const rovei_map *m, size_t *it);

#endif
