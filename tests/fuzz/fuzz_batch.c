/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of records: what decodes encodes to the same bytes. */
#include "support.h"

#include <durable/batch.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void batch(rove_span bytes)
{
    uint8_t *out = malloc(bytes.size + 1);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, bytes.size);
    rovei_reader r = rovei_batch_reader(bytes);
    rovei_batch_op op;
    rovei_batch_write_head(&w);
    while (rovei_batch_read_op(&r, &op)) {
        size_t before = rovei_writer_size(&w);
        rovei_batch_write_op(&w, &op);
        ROVEI_CHECK(rovei_writer_size(&w) - before == rovei_batch_op_size(&op));
        ROVEI_CHECK(rovei_batch_op_check(&op) == ROVE_OK);
    }
    if (rovei_reader_end(&r) == ROVE_OK) {
        ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w));
        ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
    }
    free(out);
}

/* Each input also behind a head that stands. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    batch((rove_span){data, size});
    uint8_t *bytes = malloc(size + 1);
    ROVEI_CHECK(bytes);
    bytes[0] = ROVEI_BATCH_VERSION;
    if (size)
        memcpy(bytes + 1, data, size);
    batch((rove_span){bytes, size + 1});
    free(bytes);
    return 0;
}
