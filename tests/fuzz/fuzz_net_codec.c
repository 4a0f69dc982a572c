/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a move in class net: what decodes encodes to the same bytes, but for what follows;
 * what does not has a reason in words. */
#include "support.h"

#include <migration/net_codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const rovei_netmove_message *m)
{
    rovei_reader r = rovei_reader_of(m->events.items);
    rovei_netmove_event e;
    uint32_t count = 0;
    while (rovei_netmove_event_read(&r, &e))
        count++;
    ROVEI_CHECK(count == m->events.count && rovei_reader_left(&r) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rovei_netmove_message m;
    rovei_text why;
    rovei_text_set(&why, "");
    if (rovei_netmove_decode(&m, (rove_span){data, size}, &why)) {
        ROVEI_CHECK(why.size && why.size == strlen(why.chars));
        return 0;
    }
    uint8_t *out = malloc(size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, size);
    rovei_netmove_encode(&m, &w);
    ROVEI_CHECK(w.err == ROVE_OK && memcmp(out, data, rovei_writer_size(&w)) == 0);
    free(out);
    if (m.type == ROVEI_NETMOVE_BUFFERED_EVENTS)
        walk(&m);
    if (m.type == ROVEI_NETMOVE_MIGRATION_FAILED) {
        rovei_netmove_reason_text(&m.failed, &why);
        ROVEI_CHECK(why.size && rovei_is_utf8(rovei_text_span(&why)));
        ROVEI_CHECK(rovei_netmove_err_of(&m.failed));
    }
    rove_entity entity;
    if (m.type == ROVEI_NETMOVE_SNAPSHOT_READY)
        (void)!rovei_netmove_check_head(m.origin, m.chunk.bytes, &entity, &why);
    return 0;
}
