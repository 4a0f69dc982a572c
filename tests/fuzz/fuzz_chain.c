/* SPDX-License-Identifier: Apache-2.0
 *
 * Event frames: whatever is read is written again to the same bytes, and a chain appended from the
 * same payloads is valid link by link. */
#include "support.h"

#include <state/chain.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append(rovei_chain *c, rove_span payload, uint64_t horizon)
{
    rove_buf *buf = rovei_buf_copy(&rovei_alloc_libc, payload.data, payload.size);
    rove_link before = c->head, link;
    ROVEI_CHECK(buf);
    rove_buf *before_payload = rove_buf_ref(c->payload);
    rove_err err = rovei_chain_append(c, buf, horizon, &link);
    if (err == ROVE_OK)
        ROVEI_CHECK(rovei_link_validate(&before, rove_buf_span(before_payload), &link, NULL) ==
                    ROVE_OK);
    else
        ROVEI_CHECK(err == ROVE_E_SEQUENCE_END && before.sequence == UINT64_MAX);
    rove_buf_unref(before_payload);
    rove_buf_unref(buf);
}

/* The link alone, and a frame of it with one byte of room too few. */
static void check_link(const rove_link *link, rove_span payload)
{
    uint8_t bytes[ROVEI_LINK_SIZE];
    rovei_link_encode(link, bytes);
    rove_link back = rovei_link_decode(bytes);
    ROVEI_CHECK(rovei_link_equal(link, &back));
    if (rovei_link_is_genesis(link)) {
        back = rovei_link_genesis(link->origin, link->horizon);
        ROVEI_CHECK(rovei_link_equal(link, &back));
    }
    size_t room = ROVEI_EVENT_FRAME_OVERHEAD + payload.size - 1;
    uint8_t *out = malloc(room);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, room);
    rovei_event_frame_write(&w, link, payload);
    ROVEI_CHECK(w.err == ROVE_E_FULL && rovei_writer_size(&w) == 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    uint8_t *out = malloc(size + 1);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, size);
    rovei_chain c = {{0}, NULL};
    rove_link link, before = {0};
    rove_span payload, before_payload = {NULL, 0};
    for (size_t count = 0; rovei_event_frame_read(&r, &link, &payload); count++) {
        rovei_event_frame_write(&w, &link, payload);
        check_link(&link, payload);
        if (count == 0 && link.parent & 1)
            rovei_chain_init(&c, link.origin);
        else if (count == 0)
            rovei_chain_from_head(&c, &link, NULL);
        append(&c, payload, link.horizon);
        rovei_chain_detail detail = {0, 0};
        rove_err err = rovei_link_validate(&before, before_payload, &link, &detail);
        ROVEI_CHECK(err != ROVE_OK || detail.expected == detail.got);
        before = link;
        before_payload = payload;
    }
    ROVEI_CHECK(w.err == ROVE_OK);
    ROVEI_CHECK(rovei_writer_size(&w) == size - rovei_reader_left(&r));
    ROVEI_CHECK(size == 0 || memcmp(out, data, rovei_writer_size(&w)) == 0);
    rovei_chain_fini(&c);
    free(out);
    return 0;
}
