/* SPDX-License-Identifier: Apache-2.0
 *
 * Helpers over rove_alloc, and the C library's allocator as one. */
#include <base/alloc.h>
#include <stdlib.h>
#include <string.h>

static void *libc_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *libc_realloc(void *user, void *block, size_t old_size, size_t size)
{
    (void)user;
    (void)old_size;
    return realloc(block, size);
}

static void libc_free(void *user, void *block, size_t size)
{
    (void)user;
    (void)size;
    free(block);
}

const rove_alloc rovei_alloc_libc = {libc_alloc, libc_realloc, libc_free, NULL};

/* An allocator is never asked for zero bytes: it could answer NULL, which reads as a refusal. */
static size_t real_size(size_t size)
{
    return size ? size : 1;
}

void *rovei_alloc(const rove_alloc *a, size_t size)
{
    return a->alloc(a->user, real_size(size));
}

void *rovei_calloc(const rove_alloc *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *block = rovei_alloc(a, count * size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

void *rovei_realloc(const rove_alloc *a, void *block, size_t old_size, size_t size)
{
    if (!block)
        return rovei_alloc(a, size);
    return a->realloc(a->user, block, real_size(old_size), real_size(size));
}

void rovei_free(const rove_alloc *a, void *block, size_t size)
{
    if (block)
        a->free(a->user, block, real_size(size));
}

rove_err rovei_grow(const rove_alloc *a, void **items, size_t *room, size_t count, size_t item_size,
                    size_t limit)
{
    if (count < *room && count < limit)
        return ROVE_OK;
    if (count >= limit)
        return ROVE_E_FULL;
    size_t more = *room > SIZE_MAX / 2 ? SIZE_MAX : *room * 2;
    if (more < 8)
        more = 8;
    if (more > limit)
        more = limit;
    if (item_size && more > SIZE_MAX / item_size)
        return ROVE_E_NOMEM;
    void *block = rovei_realloc(a, *items, *room * item_size, more * item_size);
    if (!block)
        return ROVE_E_NOMEM;
    *items = block;
    *room = more;
    return ROVE_OK;
}
