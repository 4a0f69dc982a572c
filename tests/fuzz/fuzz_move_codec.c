/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a move: what decodes encodes to the same bytes; the section Positions likewise. */
#include "support.h"

#include <base/buf.h>
#include <migration/move_codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every event of a checked run is read, and nothing else. */
static void walk_events(const rovei_move_events *e)
{
    rovei_reader r = rovei_reader_of(e->items);
    rove_link link;
    rove_span payload;
    uint32_t count = 0;
    while (rovei_move_event_read(&r, &link, &payload))
        count++;
    ROVEI_CHECK(count == e->count && rovei_reader_left(&r) == 0);
}

static void message(rove_span bytes)
{
    rovei_move_message m;
    if (rovei_move_decode(&m, bytes))
        return;
    uint8_t *out = malloc(bytes.size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, bytes.size);
    rovei_move_encode(&m, false, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
    free(out);
    if (m.head.type == ROVEI_MOVE_EVENTS)
        walk_events(&m.events);
}

static void positions(rove_span bytes)
{
    rovei_move_positions p;
    if (rovei_move_positions_decode(&p, bytes))
        return;
    rove_buf *buf = rovei_move_positions_encode(&p, NULL);
    ROVEI_CHECK(buf && rovei_buf_size(buf) == bytes.size);
    ROVEI_CHECK(memcmp(rove_buf_span(buf).data, bytes.data, bytes.size) == 0);
    rove_buf_unref(buf);
}

/* Half of the inputs get a header that stands, so that the fields behind it are reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    message((rove_span){data, size});
    positions((rove_span){data, size});
    if (size == 0)
        return 0;
    size_t whole = ROVEI_MOVE_HEADER_SIZE + size - 1;
    uint8_t *bytes = calloc(1, whole);
    ROVEI_CHECK(bytes);
    bytes[0] = (uint8_t)(data[0] % 20);
    bytes[52] = 2;                          /* epoch */
    bytes[ROVEI_MOVE_HEADER_SIZE - 64] = 1; /* target, apart from source */
    memcpy(bytes + ROVEI_MOVE_HEADER_SIZE, data + 1, size - 1);
    message((rove_span){bytes, whole});
    free(bytes);
    return 0;
}
