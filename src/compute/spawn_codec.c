/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of spawns on other nodes. */
#include <compute/spawn_codec.h>
#include <string.h>

void rovei_spawn_encode(rovei_writer *w, const rovei_spawn_message *m)
{
    size_t size = strlen(m->kind);
    rovei_write_u8(w, (uint8_t)m->type);
    if (m->type == ROVEI_SPAWN_ANSWER) {
        rovei_write_u8(w, 0);
        rovei_write_u16(w, (uint16_t)(-(int)m->err));
        rovei_write_u64(w, m->id);
        rovei_write_entity(w, &m->daemon);
        rovei_write_u64(w, m->epoch);
        return;
    }
    rovei_write_u8(w, m->flags);
    rovei_write_u16(w, (uint16_t)size);
    rovei_write_u64(w, m->id);
    rovei_write_bytes(w, m->kind, size);
    if (m->flags & ROVEI_SPAWN_IDENTITY)
        rovei_write_bytes(w, m->identity, sizeof m->identity);
    if (m->flags & ROVEI_SPAWN_CHANNEL) {
        size = strlen(m->channel);
        rovei_write_u8(w, (uint8_t)size);
        rovei_write_bytes(w, m->channel, size);
    }
}

static void read_channel(rovei_reader *r, rovei_spawn_message *m)
{
    rove_span name = rovei_read_span(r, rovei_read_u8(r));
    if (!rovei_reader_ok(r))
        return;
    if (rovei_channel_name_check(name))
        rovei_reader_fail(r, ROVE_E_FORMAT);
    else
        memcpy(m->channel, name.data, name.size);
}

static void read_request(rovei_reader *r, rovei_spawn_message *m, size_t size)
{
    if (m->flags & ~(ROVEI_SPAWN_IDENTITY | ROVEI_SPAWN_FORCE | ROVEI_SPAWN_CHANNEL) ||
        (m->flags & ROVEI_SPAWN_FORCE && !(m->flags & ROVEI_SPAWN_IDENTITY)))
        rovei_reader_fail(r, ROVE_E_FLAG);
    else if (!size || size >= sizeof m->kind)
        rovei_reader_fail(r, ROVE_E_BOUND);
    if (!rovei_reader_ok(r))
        return;
    rovei_read_bytes(r, m->kind, size);
    if (rovei_reader_ok(r) && memchr(m->kind, '\0', size))
        rovei_reader_fail(r, ROVE_E_FORMAT);
    if (m->flags & ROVEI_SPAWN_IDENTITY)
        rovei_read_bytes(r, m->identity, sizeof m->identity);
    if (m->flags & ROVEI_SPAWN_CHANNEL)
        read_channel(r, m);
}

static void read_answer(rovei_reader *r, rovei_spawn_message *m, uint16_t code)
{
    m->err = (rove_err)(-(int)code);
    m->daemon = rovei_read_entity(r);
    m->epoch = rovei_read_u64(r);
    bool is_there = !rovei_entity_is_zero(&m->daemon);
    if (m->flags)
        rovei_reader_fail(r, ROVE_E_FLAG);
    else if (m->err && m->err != ROVE_E_INTERNAL && rove_err_class_of(m->err) == ROVE_CLASS_FATAL)
        rovei_reader_fail(r, ROVE_E_BOUND);
    else if (is_there != (m->err == ROVE_OK) || is_there != (m->epoch != 0))
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

rove_err rovei_spawn_decode(rovei_spawn_message *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_spawn_message m;
    memset(&m, 0, sizeof m);
    uint8_t type = rovei_read_u8(&r);
    m.flags = rovei_read_u8(&r);
    uint16_t number = rovei_read_u16(&r);
    m.id = rovei_read_u64(&r);
    if (!rovei_reader_ok(&r))
        return r.err;
    if (type == ROVEI_SPAWN_REQUEST)
        read_request(&r, &m, number);
    else if (type == ROVEI_SPAWN_ANSWER)
        read_answer(&r, &m, number);
    else
        rovei_reader_fail(&r, ROVE_E_FLAG);
    if (!m.id)
        rovei_reader_fail(&r, ROVE_E_FORMAT);
    m.type = (rovei_spawn_type)type;
    if (!rovei_reader_ok(&r))
        return r.err;
    rove_err err = rovei_reader_end(&r);
    if (!err)
        *ret = m;
    return err;
}
