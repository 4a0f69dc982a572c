/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages about channels: what decodes encodes to something that decodes to the same, and the
 * items of a checked run are all read. */
#include "support.h"

#include <channel/channel_codec.h>
#include <channel/membership_codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(rove_span a, rove_span b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static void membership(rove_span bytes)
{
    rovei_membership m, back;
    if (rovei_membership_read(bytes, &m))
        return;
    /* The forms that older senders use are longer or shorter than ours. */
    size_t size = rovei_membership_size(&m);
    ROVEI_CHECK(size <= ROVEI_MEMBERSHIP_MAX && size <= bytes.size + 2);
    uint8_t *out = malloc(size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, size);
    rovei_membership_write(&w, &m);
    ROVEI_CHECK(!w.err && !rovei_writer_room(&w));
    ROVEI_CHECK(!rovei_membership_read((rove_span){out, size}, &back));
    ROVEI_CHECK(back.type == m.type && back.nonce == m.nonce && back.accepted == m.accepted);
    ROVEI_CHECK(back.reason == m.reason && same(back.channel, m.channel));
    ROVEI_CHECK(same(back.token, m.token) && same(back.group, m.group));
    free(out);
}

static void frame(rove_span bytes)
{
    rovei_channel_frame f;
    if (rovei_channel_frame_read(bytes, &f))
        return;
    uint8_t *out = malloc(bytes.size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, bytes.size);
    rovei_channel_frame_write(&w, &f);
    ROVEI_CHECK(!w.err && !rovei_writer_room(&w));
    ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
    free(out);
    if (f.type != ROVEI_CHANNEL_EVENTS)
        return;
    rovei_reader r = rovei_reader_of(f.run);
    rove_span payload;
    uint64_t number = f.number;
    for (uint32_t i = 0; i < f.count; i++, number++)
        ROVEI_CHECK(rovei_channel_event_read(&r, &number, &payload));
    ROVEI_CHECK(!rovei_reader_left(&r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rove_span bytes = {data, size};
    (void)rovei_channel_is_to_publisher(bytes);
    membership(bytes);
    frame(bytes);
    return 0;
}
