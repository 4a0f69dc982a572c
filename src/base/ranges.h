/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted set of 64-bit numbers as disjoint closed ranges, bounded: at the bound the lowest range
 * is forgotten (acknowledgements only ever lose the oldest). */
#ifndef ROVEI_BASE_RANGES_H
#define ROVEI_BASE_RANGES_H

#include <rove/types.h>

#define ROVEI_RANGES_MAX 64

typedef struct rovei_range {
    uint64_t first, last;
} rovei_range;

typedef struct rovei_ranges {
    uint32_t count;
    rovei_range r[ROVEI_RANGES_MAX]; /* descending: r[0] holds the largest numbers */
} rovei_ranges;

void rovei_ranges_init(rovei_ranges *s);
/* True when `v` was not in the set, also when it is too low to be kept in a full one. */
bool rovei_ranges_add(rovei_ranges *s, uint64_t v);
bool rovei_ranges_has(const rovei_ranges *s, uint64_t v);
/* Forgets everything up to and including `v`. */
void rovei_ranges_drop_through(rovei_ranges *s, uint64_t v);

#endif
