/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of lanes and questions about places: what decodes encodes to the same bytes, and the items
 * of a checked run are all read. */
#include "support.h"

#include <compute/lane_codec.h>
#include <compute/locate_codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const rovei_lane_frame *f)
{
    rovei_reader r = rovei_reader_of(f->run);
    rovei_lane_outcome o;
    rove_link link;
    rove_span payload;
    for (uint64_t i = 0; i < f->count; i += f->type == ROVEI_LANE_EVENTS ? 1 : o.events) {
        if (f->type == ROVEI_LANE_EVENTS)
            ROVEI_CHECK(rovei_event_frame_read(&r, &link, &payload));
        else
            ROVEI_CHECK(rovei_lane_outcome_read(&r, &o));
    }
    ROVEI_CHECK(!rovei_reader_left(&r));
}

static void frame(rove_span bytes)
{
    rovei_lane_frame f;
    if (rovei_lane_frame_read(bytes, &f))
        return;
    uint8_t *out = malloc(bytes.size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, bytes.size);
    rovei_lane_frame_write(&w, &f);
    ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w));
    ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
    free(out);
    walk(&f);
}

static void locate(rove_span bytes)
{
    uint8_t out[ROVEI_LOCATE_SIZE_MAX];
    rovei_locate m;
    if (rovei_locate_read(bytes, &m))
        return;
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_locate_write(&w, &m);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == bytes.size);
    ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
}

/* Each input also with headers that stand, so that the fields behind them are reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t types[16] = {1,    2,    3,    4,    5,    6,    0x21, 0x22,
                                      0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a};
    frame((rove_span){data, size});
    locate((rove_span){data, size});
    if (!size)
        return 0;
    size_t whole = ROVEI_LANE_HEADER_SIZE + size - 1;
    uint8_t *bytes = calloc(1, whole);
    ROVEI_CHECK(bytes);
    bytes[0] = types[data[0] % 16];
    bytes[36] = 1; /* lane */
    memcpy(bytes + ROVEI_LANE_HEADER_SIZE, data + 1, size - 1);
    frame((rove_span){bytes, whole});
    memset(bytes, 0, ROVEI_LANE_HEADER_SIZE);
    bytes[0] = data[0] % 4;
    bytes[1] = data[0] / 4 % 8;
    if (size - 1 <= whole - 44) {
        memcpy(bytes + 44, data + 1, size - 1);
        locate((rove_span){bytes, 44 + size - 1});
    }
    free(bytes);
    return 0;
}
