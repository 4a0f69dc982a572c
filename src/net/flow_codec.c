/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of the messages about streams, both ways. */
#include <net/flow_codec.h>

static void read_ranges(rovei_reader *r, rovei_flow_message *m)
{
    size_t size = rovei_reader_left(r);
    if (size % ROVEI_FLOW_RANGE_SIZE)
        rovei_reader_fail(r, ROVE_E_SHORT);
    else if (size == 0 || size > ROVEI_FLOW_RANGES_MAX * ROVEI_FLOW_RANGE_SIZE)
        rovei_reader_fail(r, ROVE_E_BOUND);
    uint32_t count = (uint32_t)(size / ROVEI_FLOW_RANGE_SIZE);
    for (uint32_t i = 0; i < count && rovei_reader_ok(r); i++) {
        rovei_flow_range *range = &m->ranges.r[i];
        range->start = rovei_read_u64(r);
        range->end = rovei_read_u64(r);
        bool apart = i == 0 || range->end < m->ranges.r[i - 1].start;
        if (range->start >= range->end || range->start <= m->ack || !apart)
            rovei_reader_fail(r, ROVE_E_FORMAT);
    }
    m->ranges.count = count;
}

rove_err rovei_flow_read(uint16_t id, rove_span event, rovei_flow_message *ret)
{
    rovei_reader r = rovei_reader_of(event);
    rovei_flow_message m = {.id = id};
    m.stream = rovei_read_u64(&r);
    switch (id) {
    case ROVEI_FLOW_WINDOW_ID:
        m.consumed = rovei_read_u64(&r);
        m.ack = rovei_read_u64(&r);
        break;
    case ROVEI_FLOW_NACK_ID:
        m.ack = rovei_read_u64(&r);
        m.missing = rovei_read_u64(&r);
        break;
    case ROVEI_FLOW_RESET_ID:
        break;
    case ROVEI_FLOW_RANGES_ID:
        m.ack = rovei_read_u64(&r);
        if (rovei_reader_ok(&r))
            read_ranges(&r, &m);
        break;
    default:
        return ROVE_E_FLAG;
    }
    rove_err err = rovei_reader_end(&r);
    if (!err)
        *ret = m;
    return err;
}

void rovei_flow_write(rovei_writer *w, const rovei_flow_message *m)
{
    rovei_write_u64(w, m->stream);
    if (m->id == ROVEI_FLOW_WINDOW_ID)
        rovei_write_u64(w, m->consumed);
    if (m->id != ROVEI_FLOW_RESET_ID)
        rovei_write_u64(w, m->ack);
    if (m->id == ROVEI_FLOW_NACK_ID)
        rovei_write_u64(w, m->missing);
    if (m->id != ROVEI_FLOW_RANGES_ID)
        return;
    for (uint32_t i = 0; i < m->ranges.count; i++) {
        rovei_write_u64(w, m->ranges.r[i].start);
        rovei_write_u64(w, m->ranges.r[i].end);
    }
}
