/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of a packet: what is read is written to the same bytes. */
#include "support.h"

#include <mesh/frames.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    while (rovei_reader_left(&r) > 0) {
        const uint8_t *from = r.at;
        rovei_frame f;
        rove_err err = rovei_frame_read(&r, &f);
        ROVEI_CHECK(err == r.err);
        if (err) {
            ROVEI_CHECK(err == ROVE_E_SHORT || err == ROVE_E_BOUND || err == ROVE_E_FORMAT);
            return 0;
        }
        size_t taken = (size_t)(r.at - from);
        uint8_t *out = malloc(taken);
        ROVEI_CHECK(out);
        rovei_writer w = rovei_writer_of(out, taken);
        rovei_frame_write(&w, &f);
        ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
        ROVEI_CHECK(memcmp(out, from, taken) == 0);
        free(out);
    }
    return 0;
}
