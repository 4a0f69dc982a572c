/* SPDX-License-Identifier: Apache-2.0
 *
 * Counted bytes: header and payload in one allocation that remembers its allocator. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <string.h>

rove_buf *rovei_buf_alloc(const rove_alloc *a, size_t size)
{
    if (!a)
        a = &rovei_alloc_libc;
    if (size > SIZE_MAX - sizeof(rove_buf))
        return NULL;
    rove_buf *buf = rovei_alloc(a, sizeof *buf + size);
    if (!buf)
        return NULL;
    atomic_init(&buf->refs, 1);
    buf->size = size;
    buf->room = size;
    buf->alloc = *a;
    return buf;
}

rove_buf *rovei_buf_copy(const rove_alloc *a, const void *bytes, size_t size)
{
    rove_buf *buf = rovei_buf_alloc(a, size);
    if (buf && size)
        memcpy(buf->data, bytes, size);
    return buf;
}

void rovei_buf_truncate(rove_buf *buf, size_t size)
{
    ROVEI_CHECK(size <= buf->size);
    ROVEI_CHECK(atomic_load_explicit(&buf->refs, memory_order_relaxed) == 1);
    buf->size = size;
}

rove_err rove_buf_new(rove_buf **ret, rove_span bytes, const rove_alloc *alloc)
{
    if (!ret || (bytes.size && !bytes.data))
        return ROVE_E_USAGE;
    rove_buf *buf = rovei_buf_copy(alloc, bytes.data, bytes.size);
    if (!buf)
        return ROVE_E_NOMEM;
    *ret = buf;
    return ROVE_OK;
}

rove_buf *rove_buf_ref(rove_buf *buf)
{
    if (buf) {
        unsigned before = atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
        ROVEI_CHECK(before && before < UINT32_MAX);
    }
    return buf;
}

void rove_buf_unref(rove_buf *buf)
{
    if (!buf)
        return;
    /* Every other holder's last use happens before the block is given back. */
    unsigned before = atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel);
    ROVEI_CHECK(before);
    if (before == 1) {
        rove_alloc alloc = buf->alloc;
        rovei_free(&alloc, buf, sizeof *buf + buf->room);
    }
}

rove_span rove_buf_span(const rove_buf *buf)
{
    return buf ? (rove_span){buf->data, buf->size} : (rove_span){NULL, 0};
}
