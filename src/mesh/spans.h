/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted set of 64-bit numbers as disjoint half-open extents, which grows. Room is reserved ahead
 * of time, so that adding and removing cannot fail: each of them makes at most one extent more. */
#ifndef ROVEI_MESH_SPANS_H
#define ROVEI_MESH_SPANS_H

#include <rove/types.h>

typedef struct rovei_extent {
    uint64_t from, to; /* [from, to) */
} rovei_extent;

typedef struct rovei_spans {
    rovei_extent *items;
    size_t room;
    size_t first; /* index of the lowest extent */
    size_t count;
    uint64_t total; /* numbers in the set */
} rovei_spans;

static inline void rovei_spans_init(rovei_spans *s)
{
    *s = (rovei_spans){0};
}
void rovei_spans_fini(rovei_spans *s, const rove_alloc *a);
/* Room for `extra` extents beyond those that are there. E_NOMEM changes nothing. */
ROVE_MUST_USE rove_err rovei_spans_reserve(rovei_spans *s, const rove_alloc *a, size_t extra);
static inline const rovei_extent *rovei_spans_at(const rovei_spans *s, size_t i)
{
    return &s->items[s->first + i];
}
/* Index of the lowest extent that ends above `v`; count when there is none. */
size_t rovei_spans_find(const rovei_spans *s, uint64_t v);
bool rovei_spans_has(const rovei_spans *s, uint64_t v);
void rovei_spans_add(rovei_spans *s, uint64_t from, uint64_t to);
void rovei_spans_remove(rovei_spans *s, uint64_t from, uint64_t to);
void rovei_spans_check(const rovei_spans *s);

#endif
