/* SPDX-License-Identifier: Apache-2.0
 *
 * What fuzz targets share: an allocator that refuses one call and checks that all is given back. */
#ifndef ROVE_FUZZ_SUPPORT_H
#define ROVE_FUZZ_SUPPORT_H

#include <base/alloc.h>
#include <base/check.h>
#include <stdlib.h>
#include <string.h>

typedef struct fuzz_alloc {
    rove_alloc alloc;
    size_t live, calls, fail_at;
} fuzz_alloc;

static inline void *fuzz_alloc_get(void *user, size_t size)
{
    fuzz_alloc *f = user;
    void *block = f->calls++ == f->fail_at ? NULL : malloc(size);
    f->live += block != NULL;
    return block;
}

static inline void *fuzz_alloc_move(void *user, void *block, size_t old_size, size_t size)
{
    fuzz_alloc *f = user;
    (void)old_size;
    return f->calls++ == f->fail_at ? NULL : realloc(block, size);
}

static inline void fuzz_alloc_put(void *user, void *block, size_t size)
{
    (void)size;
    ((fuzz_alloc *)user)->live--;
    free(block);
}

/* `fail_at`: the number of the call that is refused, from 0. */
static inline void fuzz_alloc_init(fuzz_alloc *f, size_t fail_at)
{
    *f = (fuzz_alloc){.alloc = {fuzz_alloc_get, fuzz_alloc_move, fuzz_alloc_put, f},
                      .fail_at = fail_at};
}

#endif
