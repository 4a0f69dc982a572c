/* SPDX-License-Identifier: Apache-2.0
 *
 * The outer codec. */
#include <mesh/packet.h>

static void write_start(rovei_writer *w, rovei_packet_type type)
{
    rovei_write_u8(w, ROVEI_PACKET_MAGIC0);
    rovei_write_u8(w, ROVEI_PACKET_MAGIC1);
    rovei_write_u8(w, ROVEI_PACKET_VERSION);
    rovei_write_u8(w, (uint8_t)type);
}

void rovei_packet_write_initiation(rovei_writer *w, uint32_t sender)
{
    write_start(w, ROVEI_PACKET_INITIATION);
    rovei_write_u32(w, sender);
}

void rovei_packet_write_response(rovei_writer *w, uint32_t sender, uint32_t receiver)
{
    write_start(w, ROVEI_PACKET_RESPONSE);
    rovei_write_u32(w, sender);
    rovei_write_u32(w, receiver);
}

void rovei_packet_write_cookie(rovei_writer *w, uint32_t receiver)
{
    write_start(w, ROVEI_PACKET_COOKIE);
    rovei_write_u32(w, receiver);
}

void rovei_packet_write_data(rovei_writer *w, uint32_t receiver, uint64_t counter)
{
    write_start(w, ROVEI_PACKET_DATA);
    rovei_write_u32(w, receiver);
    rovei_write_u64(w, counter);
}

/* The two macs at the end of a handshake message, and what the first one covers. */
static void read_macs(rovei_packet *p, rovei_reader *r, rove_span dgram)
{
    p->maced = (rove_span){dgram.data, dgram.size - rovei_reader_left(r)};
    rovei_read_bytes(r, p->mac1, sizeof p->mac1);
    rovei_read_bytes(r, p->mac2, sizeof p->mac2);
}

rove_err rovei_packet_read(rovei_packet *ret, rove_span dgram)
{
    rovei_packet p = {0};
    rovei_reader r = rovei_reader_of(dgram);
    uint8_t magic0 = rovei_read_u8(&r), magic1 = rovei_read_u8(&r);
    if (rovei_reader_ok(&r) && (magic0 != ROVEI_PACKET_MAGIC0 || magic1 != ROVEI_PACKET_MAGIC1))
        return ROVE_E_MAGIC;
    uint8_t version = rovei_read_u8(&r);
    if (rovei_reader_ok(&r) && version != ROVEI_PACKET_VERSION)
        return ROVE_E_VERSION;
    uint8_t type = rovei_read_u8(&r);
    if (!rovei_reader_ok(&r))
        return r.err;
    switch (type) {
    case ROVEI_PACKET_INITIATION:
        p.type = ROVEI_PACKET_INITIATION;
        p.sender = rovei_read_u32(&r);
        p.header = (rove_span){dgram.data, ROVEI_INITIATION_HEADER};
        p.noise = rovei_read_span(&r, ROVEI_INITIATION_NOISE);
        read_macs(&p, &r, dgram);
        break;
    case ROVEI_PACKET_RESPONSE:
        p.type = ROVEI_PACKET_RESPONSE;
        p.sender = rovei_read_u32(&r);
        p.receiver = rovei_read_u32(&r);
        p.header = (rove_span){dgram.data, ROVEI_RESPONSE_HEADER};
        p.noise = rovei_read_span(&r, ROVEI_RESPONSE_NOISE);
        read_macs(&p, &r, dgram);
        break;
    case ROVEI_PACKET_COOKIE:
        p.type = ROVEI_PACKET_COOKIE;
        p.receiver = rovei_read_u32(&r);
        p.header = (rove_span){dgram.data, ROVEI_COOKIE_HEADER};
        rovei_read_bytes(&r, p.nonce, sizeof p.nonce);
        p.sealed = rovei_read_span(&r, ROVEI_COOKIE_SIZE - ROVEI_COOKIE_HEADER - sizeof p.nonce);
        break;
    case ROVEI_PACKET_DATA:
        p.type = ROVEI_PACKET_DATA;
        p.receiver = rovei_read_u32(&r);
        p.counter = rovei_read_u64(&r);
        p.header = (rove_span){dgram.data, ROVEI_DATA_HEADER};
        if (rovei_reader_left(&r) < ROVEI_TAG_SIZE)
            rovei_reader_fail(&r, ROVE_E_SHORT);
        p.sealed = rovei_read_span(&r, rovei_reader_left(&r));
        break;
    default:
        return ROVE_E_FLAG;
    }
    rove_err err = rovei_reader_end(&r);
    if (err)
        return err;
    *ret = p;
    return ROVE_OK;
}
