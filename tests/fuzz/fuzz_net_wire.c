/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams of class net as they come: their kind, headers, event frames and pingwaves. What is
 * read is written to the same bytes. */
#include "support.h"

#include <net/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(const rovei_net_header *h, const uint8_t *at)
{
    uint8_t back[ROVEI_NET_HEADER_SIZE], aad[ROVEI_NET_AAD_SIZE], other[ROVEI_NET_AAD_SIZE];
    rovei_net_header_write(back, h);
    ROVEI_CHECK(memcmp(back, at, sizeof back) == 0);
    ROVEI_CHECK(h->plain_size <= ROVEI_NET_PLAIN_MAX && h->events <= ROVEI_NET_EVENTS_MAX);
    rovei_net_header other_way = *h;
    other_way.hop_count++;
    other_way.counter++;
    other_way.nonce_prefix++;
    rovei_net_aad(aad, back);
    rovei_net_header_write(back, &other_way);
    rovei_net_aad(other, back);
    ROVEI_CHECK(memcmp(aad, other, sizeof aad) == 0);
}

static void check_frames(rove_span plain, uint16_t count)
{
    static uint8_t back[ROVEI_NET_DATAGRAM_MAX];
    rovei_writer w = rovei_writer_of(back, sizeof back);
    rovei_net_frames f = rovei_net_frames_of(plain, count);
    rove_span event;
    size_t events = 0;
    for (; rovei_net_frames_next(&f, &event); events++) {
        const uint8_t *start = plain.data, *at = event.data;
        ROVEI_CHECK(at >= start && event.size <= plain.size - (size_t)(at - start));
        ROVEI_CHECK(rovei_net_frame_write(&w, event));
    }
    ROVEI_CHECK(events <= count && rovei_writer_size(&w) <= plain.size);
    if (rovei_writer_size(&w))
        ROVEI_CHECK(memcmp(back, plain.data, rovei_writer_size(&w)) == 0);
}

static void check_packet(const uint8_t *data, size_t size)
{
    rovei_net_packet p;
    rove_err err = rovei_net_packet_read(&p, (rove_span){data, size});
    rovei_net_kind kind = rovei_net_kind_of((rove_span){data, size});
    if (err) {
        ROVEI_CHECK(rove_err_class_of(err) == ROVE_CLASS_PEER);
        return;
    }
    ROVEI_CHECK(kind == ROVEI_NET_KIND_DIRECT || kind == ROVEI_NET_KIND_ROUTED);
    ROVEI_CHECK(p.routed == (kind == ROVEI_NET_KIND_ROUTED));
    if (p.routed) {
        uint8_t back[ROVEI_NET_ROUTE_SIZE];
        rovei_net_route_write(back, &p.route);
        ROVEI_CHECK(memcmp(back, data, sizeof back) == 0);
    }
    check_header(&p.header, data + p.start);
    rove_span body = rovei_net_packet_body(&p, data);
    ROVEI_CHECK(p.start + ROVEI_NET_HEADER_SIZE + body.size == size);
    if (p.type != ROVEI_NET_PACKET_HANDSHAKE)
        ROVEI_CHECK(body.size >= ROVEI_TAG_SIZE);
    if (size <= ROVEI_NET_DATAGRAM_MAX)
        check_frames(body, p.header.events);
}

static void check_pingwave(const uint8_t *data, size_t size)
{
    rovei_net_pingwave p;
    if (rovei_net_pingwave_read(&p, (rove_span){data, size}))
        return;
    uint8_t back[ROVEI_NET_PINGWAVE_SIZE];
    rovei_net_pingwave_write(back, &p);
    /* Of the origin's 32 bytes only the node id is anything. */
    ROVEI_CHECK(memcmp(back, data, 8) == 0);
    ROVEI_CHECK(memcmp(back + 32, data + 32, sizeof back - 32) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_packet(data, size);
    check_pingwave(data, size);
    if (size >= 2 && size <= ROVEI_NET_DATAGRAM_MAX)
        check_frames((rove_span){data + 2, size - 2}, rovei_load16(data));
    return 0;
}
