/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks in any order, of a few daemons, with any numbers: the books agree, the bounds hold, and
 * what comes out whole has the promised number of bytes. */
#include "support.h"

#include <base/buf.h>
#include <migration/net_chunks.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(rovei_chunks *c, rovei_now now, const uint8_t step[8])
{
    static const uint8_t bytes[ROVEI_NETMOVE_CHUNK_MAX + 1];
    rove_buf *whole = NULL;
    rovei_text why;
    rovei_netmove_chunk k = {.seq_through = step[1] & 3,
                             .index = step[2],
                             .total = step[3],
                             .bytes = {bytes, (size_t)(step[4] << 5 | step[5])}};
    if (k.bytes.size > sizeof bytes)
        k.bytes.size = sizeof bytes;
    uint64_t have = rovei_chunks_have(c, step[0] & 7);
    rove_err err = rovei_chunks_feed(c, now, step[0] & 7, &k, &whole, &why);
    ROVEI_CHECK(!err || !whole);
    if (whole && k.total > 1)
        ROVEI_CHECK(rovei_buf_size(whole) <= have + k.bytes.size);
    if (whole && k.total == 1)
        ROVEI_CHECK(rovei_buf_size(whole) == k.bytes.size);
    rove_buf_unref(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_alloc alloc;
    rovei_chunks c;
    rovei_now now = {ROVE_SECOND, 0};
    fuzz_alloc_init(&alloc, size ? (size_t)data[0] * 4 : SIZE_MAX);
    rovei_chunks_init(&c, &alloc.alloc, 1);
    c.bytes_max = 40000;
    c.entries_max = 5;
    for (size_t i = 1; i + 8 <= size; i += 8) {
        const uint8_t *step = data + i;
        now.mono += step[6] * ROVE_SECOND;
        if (step[7] == 1)
            rovei_chunks_cancel(&c, step[0] & 7);
        else if (step[7] == 2)
            rovei_chunks_forget(&c, step[0] & 7);
        else
            feed(&c, now, step);
        rovei_chunks_check(&c);
    }
    rovei_chunks_fini(&c);
    ROVEI_CHECK(alloc.live == 0);
    return 0;
}
