/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of questions about places. */
#include <compute/locate_codec.h>
#include <string.h>

void rovei_locate_write(rovei_writer *w, const rovei_locate *m)
{
    rovei_write_u8(w, (uint8_t)m->type);
    rovei_write_u8(w, m->type == ROVEI_LOCATE_ASK ? m->hops : m->flags);
    rovei_write_u16(w, 0);
    rovei_write_u64(w, m->nonce);
    rovei_write_entity(w, &m->daemon);
    if (m->type == ROVEI_LOCATE_ASK)
        rovei_write_u64(w, m->known);
    if (m->type != ROVEI_LOCATE_ASK && (m->flags & ROVEI_LOCATE_RECORD))
        rovei_record_write(w, &m->record);
}

static void read_flags(rovei_reader *r, rovei_locate *m, uint8_t byte)
{
    switch ((unsigned)m->type) {
    case ROVEI_LOCATE_ASK:
        m->hops = byte;
        if (byte > ROVEI_LOCATE_HOPS_MAX)
            rovei_reader_fail(r, ROVE_E_BOUND);
        break;
    case ROVEI_LOCATE_ANSWER:
        m->flags = byte;
        if (byte & ~(ROVEI_LOCATE_RECORD | ROVEI_LOCATE_STOPPED | ROVEI_LOCATE_CLAIMED |
                     ROVEI_LOCATE_HEARD) ||
            ((byte & ROVEI_LOCATE_STOPPED) && !(byte & ROVEI_LOCATE_RECORD)))
            rovei_reader_fail(r, ROVE_E_FLAG);
        break;
    case ROVEI_LOCATE_TELL:
        m->flags = byte;
        if (byte != ROVEI_LOCATE_RECORD)
            rovei_reader_fail(r, ROVE_E_FLAG);
        break;
    default:
        rovei_reader_fail(r, ROVE_E_FLAG);
    }
}

rove_err rovei_locate_read(rove_span bytes, rovei_locate *ret)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_locate m;
    memset(&m, 0, sizeof m);
    m.type = (rovei_locate_type)rovei_read_u8(&r);
    uint8_t byte = rovei_read_u8(&r);
    if (rovei_reader_ok(&r))
        read_flags(&r, &m, byte);
    if (rovei_read_u16(&r))
        rovei_reader_fail(&r, ROVE_E_FLAG);
    m.nonce = rovei_read_u64(&r);
    m.daemon = rovei_read_entity(&r);
    if (m.type == ROVEI_LOCATE_ASK)
        m.known = rovei_read_u64(&r);
    if (rovei_reader_ok(&r) && (m.flags & ROVEI_LOCATE_RECORD)) {
        rovei_record_read(&r, &m.record);
        if (rovei_reader_ok(&r) && memcmp(&m.record.daemon, &m.daemon, sizeof m.daemon) != 0)
            rovei_reader_fail(&r, ROVE_E_FORMAT);
    }
    rove_err err = rovei_reader_end(&r);
    if (!err)
        *ret = m;
    return err;
}
