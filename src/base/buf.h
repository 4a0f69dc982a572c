/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rove_buf: one allocation that holds the count and the bytes. The filler of a fresh
 * buf writes through rovei_buf_data before the first share; afterwards the bytes never change. */
#ifndef ROVEI_BASE_BUF_H
#define ROVEI_BASE_BUF_H

#include <rove/types.h>
#include <stdatomic.h>

struct rove_buf {
    atomic_uint refs;
    size_t size;
    size_t room; /* bytes allocated behind the header; size never exceeds it */
    rove_alloc alloc;
    uint8_t data[];
};

/* A buf of `size` bytes, not yet filled. `a` NULL: the C library's. NULL: out of memory. */
rove_buf *rovei_buf_alloc(const rove_alloc *a, size_t size);
rove_buf *rovei_buf_copy(const rove_alloc *a, const void *bytes, size_t size);

/* Shortens a buf that nobody else holds yet. */
void rovei_buf_truncate(rove_buf *buf, size_t size);

static inline uint8_t *rovei_buf_data(rove_buf *buf)
{
    return buf->data;
}
static inline size_t rovei_buf_size(const rove_buf *buf)
{
    return buf ? buf->size : 0;
}

#endif
