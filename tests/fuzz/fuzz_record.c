/* SPDX-License-Identifier: Apache-2.0
 *
 * Location records: what decodes encodes to the same bytes, verification takes anything, and the
 * order is one. */
#include "support.h"

#include <compute/location.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[ROVEI_RECORD_SIZE_MAX];
    rovei_record a, b;
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    rovei_record_read(&r, &a);
    if (!rovei_reader_ok(&r))
        return 0;
    size_t used = size - rovei_reader_left(&r);
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_record_write(&w, &a);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == used);
    ROVEI_CHECK(memcmp(out, data, used) == 0);
    (void)!rovei_record_verify(&a);
    rovei_record_read(&r, &b);
    if (rovei_reader_ok(&r)) {
        int order = rovei_record_compare(&a, &b), back = rovei_record_compare(&b, &a);
        ROVEI_CHECK((order < 0) == (back > 0) && (order == 0) == (back == 0));
    }
    return 0;
}
