/* SPDX-License-Identifier: Apache-2.0
 *
 * The codecs of class net. A header is read and written field by field at its place: no struct of a
 * compiler has its layout. */
#include <net/wire.h>
#include <string.h>

rovei_net_kind rovei_net_kind_of(rove_span dgram)
{
    if (dgram.size < 2)
        return ROVEI_NET_KIND_NONE;
    uint16_t magic = rovei_load16(dgram.data);
    rovei_net_pingwave wave;
    if (dgram.size == ROVEI_NET_KEEPALIVE_SIZE && magic == ROVEI_NET_KEEPALIVE_MAGIC)
        return ROVEI_NET_KIND_KEEPALIVE;
    /* A pingwave has no magic: it begins with a node id. */
    if (dgram.size == ROVEI_NET_PINGWAVE_SIZE && magic != ROVEI_NET_MAGIC &&
        rovei_net_pingwave_read(&wave, dgram) == ROVE_OK)
        return ROVEI_NET_KIND_PINGWAVE;
    if (magic == ROVEI_NET_HOP_MAGIC)
        return ROVEI_NET_KIND_HOP;
    if (magic == ROVEI_NET_ROUTE_MAGIC &&
        dgram.size >= ROVEI_NET_ROUTE_SIZE + ROVEI_NET_HEADER_SIZE)
        return ROVEI_NET_KIND_ROUTED;
    return magic == ROVEI_NET_MAGIC ? ROVEI_NET_KIND_DIRECT : ROVEI_NET_KIND_NONE;
}

void rovei_net_route_write(uint8_t ret[ROVEI_NET_ROUTE_SIZE], const rovei_net_route *route)
{
    rovei_store16(ret, ROVEI_NET_ROUTE_MAGIC);
    ret[2] = route->ttl;
    ret[3] = route->hops;
    ret[4] = route->flags;
    ret[5] = route->reserved;
    rovei_store32(ret + 6, route->source);
    rovei_store64(ret + 10, route->dest);
}

rove_err rovei_net_route_read(rovei_net_route *ret, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size < ROVEI_NET_ROUTE_SIZE)
        return ROVE_E_SHORT;
    if (rovei_load16(at) != ROVEI_NET_ROUTE_MAGIC)
        return ROVE_E_MAGIC;
    *ret = (rovei_net_route){
        .ttl = at[2],
        .hops = at[3],
        .flags = at[4],
        .reserved = at[5],
        .source = rovei_load32(at + 6),
        .dest = rovei_load64(at + 10),
    };
    return ROVE_OK;
}

void rovei_net_header_write(uint8_t ret[ROVEI_NET_HEADER_SIZE], const rovei_net_header *h)
{
    rovei_store16(ret, ROVEI_NET_MAGIC);
    ret[2] = ROVEI_NET_VERSION;
    ret[3] = h->flags;
    ret[4] = h->priority;
    ret[5] = h->hop_ttl;
    ret[6] = h->hop_count;
    ret[7] = h->frag_flags;
    rovei_store16(ret + 8, h->subprotocol);
    rovei_store16(ret + 10, h->channel);
    rovei_store32(ret + 12, h->nonce_prefix);
    rovei_store64(ret + 16, h->counter);
    rovei_store64(ret + 24, h->session);
    rovei_store64(ret + 32, h->stream);
    rovei_store64(ret + 40, h->sequence);
    rovei_store64(ret + 48, h->origin);
    rovei_store32(ret + 56, h->subnet);
    rovei_store16(ret + 60, h->fragment);
    rovei_store16(ret + 62, h->fragment_offset);
    rovei_store16(ret + 64, h->plain_size);
    rovei_store16(ret + 66, h->events);
}

rove_err rovei_net_header_read(rovei_net_header *ret, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size < ROVEI_NET_HEADER_SIZE)
        return ROVE_E_SHORT;
    if (rovei_load16(at) != ROVEI_NET_MAGIC)
        return ROVE_E_MAGIC;
    if (at[2] != ROVEI_NET_VERSION)
        return ROVE_E_VERSION;
    const rovei_net_header h = {
        .flags = at[3],
        .priority = at[4],
        .hop_ttl = at[5],
        .hop_count = at[6],
        .frag_flags = at[7],
        .subprotocol = rovei_load16(at + 8),
        .channel = rovei_load16(at + 10),
        .nonce_prefix = rovei_load32(at + 12),
        .counter = rovei_load64(at + 16),
        .session = rovei_load64(at + 24),
        .stream = rovei_load64(at + 32),
        .sequence = rovei_load64(at + 40),
        .origin = rovei_load64(at + 48),
        .subnet = rovei_load32(at + 56),
        .fragment = rovei_load16(at + 60),
        .fragment_offset = rovei_load16(at + 62),
        .plain_size = rovei_load16(at + 64),
        .events = rovei_load16(at + 66),
    };
    if (h.plain_size > ROVEI_NET_PLAIN_MAX || h.events > ROVEI_NET_EVENTS_MAX)
        return ROVE_E_BOUND;
    *ret = h;
    return ROVE_OK;
}

void rovei_net_aad(uint8_t ret[ROVEI_NET_AAD_SIZE], const uint8_t header[ROVEI_NET_HEADER_SIZE])
{
    memcpy(ret, header, 12);
    ret[6] = 0; /* the hop count changes on the way */
    memcpy(ret + 12, header + 24, ROVEI_NET_HEADER_SIZE - 24);
}

rove_err rovei_net_packet_read(rovei_net_packet *ret, rove_span dgram)
{
    rovei_net_packet p = {.routed = rovei_net_kind_of(dgram) == ROVEI_NET_KIND_ROUTED};
    if (p.routed) {
        rove_err err = rovei_net_route_read(&p.route, dgram);
        if (err)
            return err;
        p.start = ROVEI_NET_ROUTE_SIZE;
    }
    const rove_span packet = {(const uint8_t *)dgram.data + p.start, dgram.size - p.start};
    rove_err err = rovei_net_header_read(&p.header, packet);
    if (err)
        return err;
    p.body_size = packet.size - ROVEI_NET_HEADER_SIZE;
    if (p.header.flags & ROVEI_NET_FLAG_HANDSHAKE) {
        p.type = ROVEI_NET_PACKET_HANDSHAKE; /* its length is for Noise to judge */
    } else {
        bool heartbeat = p.header.flags & ROVEI_NET_FLAG_HEARTBEAT;
        size_t want = ROVEI_TAG_SIZE + (heartbeat ? 0 : (size_t)p.header.plain_size);
        if (p.body_size != want)
            return p.body_size < want ? ROVE_E_SHORT : ROVE_E_TRAILING;
        p.type = heartbeat ? ROVEI_NET_PACKET_HEARTBEAT : ROVEI_NET_PACKET_DATA;
    }
    *ret = p;
    return ROVE_OK;
}

rovei_net_frames rovei_net_frames_of(rove_span plain, uint16_t count)
{
    return (rovei_net_frames){rovei_reader_of(plain), count};
}

bool rovei_net_frames_next(rovei_net_frames *f, rove_span *ret)
{
    if (!f->left)
        return false;
    rove_span event = rovei_read_span(&f->r, rovei_read_u32(&f->r));
    if (!rovei_reader_ok(&f->r))
        return false;
    f->left--;
    *ret = event;
    return true;
}

bool rovei_net_frame_write(rovei_writer *w, rove_span event)
{
    size_t room = rovei_writer_room(w);
    if (room < ROVEI_NET_FRAME_HEAD || event.size > room - ROVEI_NET_FRAME_HEAD)
        return false;
    rovei_write_u32(w, (uint32_t)event.size);
    rovei_write_span(w, event);
    return true;
}

void rovei_net_pingwave_write(uint8_t ret[ROVEI_NET_PINGWAVE_SIZE], const rovei_net_pingwave *p)
{
    memset(ret, 0, ROVEI_NET_PINGWAVE_SIZE);
    rovei_store64(ret, p->node_id); /* in a field of 32 bytes */
    rovei_store64(ret + 32, p->seq);
    ret[40] = p->ttl;
    ret[41] = p->hops;
    rovei_store64(ret + 42, p->time);
    rovei_store64(ret + 50, p->capability_hash);
    rovei_store32(ret + 58, p->capability_version);
    ret[62] = p->load;
    ret[63] = p->health;
    ret[64] = p->gpu;
    ret[65] = p->models;
    ret[66] = p->memory;
    ret[67] = p->tools;
    rovei_store32(ret + 68, p->flags);
}

rove_err rovei_net_pingwave_read(rovei_net_pingwave *ret, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size != ROVEI_NET_PINGWAVE_SIZE)
        return bytes.size < ROVEI_NET_PINGWAVE_SIZE ? ROVE_E_SHORT : ROVE_E_TRAILING;
    if (at[63] > ROVEI_NET_HEALTH_UNKNOWN)
        return ROVE_E_FLAG;
    *ret = (rovei_net_pingwave){
        .node_id = rovei_load64(at),
        .seq = rovei_load64(at + 32),
        .ttl = at[40],
        .hops = at[41],
        .time = rovei_load64(at + 42),
        .capability_hash = rovei_load64(at + 50),
        .capability_version = rovei_load32(at + 58),
        .load = at[62],
        .health = at[63],
        .gpu = at[64],
        .models = at[65],
        .memory = at[66],
        .tools = at[67],
        .flags = rovei_load32(at + 68),
    };
    return ROVE_OK;
}
