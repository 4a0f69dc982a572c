/* SPDX-License-Identifier: Apache-2.0
 *
 * Helpers over rove_alloc. */
#ifndef ROVEI_BASE_ALLOC_H
#define ROVEI_BASE_ALLOC_H

#include <rove/types.h>

/* The C library's allocator; static, never freed. */
extern const rove_alloc rovei_alloc_libc;

void *rovei_alloc(const rove_alloc *a, size_t size);
/* Zeroed memory for `count` objects of `size`; NULL also when the product overflows. */
void *rovei_calloc(const rove_alloc *a, size_t count, size_t size);
void *rovei_realloc(const rove_alloc *a, void *block, size_t old_size, size_t size);
void rovei_free(const rove_alloc *a, void *block, size_t size);

#define ROVEI_NEW(a, type) ((type *)rovei_calloc((a), 1, sizeof(type)))
#define ROVEI_DELETE(a, p) rovei_free((a), (p), sizeof *(p))

/* Makes room for one more element in a growing array: doubles `*items` when `count` reaches
 * `*room`, never above `limit` elements. E_FULL at the limit, E_NOMEM; nothing changes then. */
rove_err rovei_grow(const rove_alloc *a, void **items, size_t *room, size_t count, size_t item_size,
                    size_t limit);

#endif
