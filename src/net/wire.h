/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of session class net (docs/protocol/net.md): kinds of datagrams, the routing header,
 * the packet header and what of it is authenticated, event frames and pingwaves. Nothing here has a
 * key or a state. */
#ifndef ROVEI_NET_WIRE_H
#define ROVEI_NET_WIRE_H

#include <base/cursor.h>
#include <crypto/crypto.h>

#define ROVEI_NET_MAGIC           0x4E45 /* the class rove has it too; versions differ */
#define ROVEI_NET_VERSION         1
#define ROVEI_NET_ROUTE_MAGIC     0x5452
#define ROVEI_NET_HOP_MAGIC       0x5248
#define ROVEI_NET_KEEPALIVE_MAGIC 0x4850

#define ROVEI_NET_DATAGRAM_MAX   8192u
#define ROVEI_NET_HEADER_SIZE    68
#define ROVEI_NET_OVERHEAD       (ROVEI_NET_HEADER_SIZE + ROVEI_TAG_SIZE)
#define ROVEI_NET_PLAIN_MAX      (ROVEI_NET_DATAGRAM_MAX - ROVEI_NET_OVERHEAD)
#define ROVEI_NET_FRAME_HEAD     4
#define ROVEI_NET_EVENT_MAX      (ROVEI_NET_PLAIN_MAX - ROVEI_NET_FRAME_HEAD)
#define ROVEI_NET_EVENTS_MAX     (ROVEI_NET_PLAIN_MAX / ROVEI_NET_FRAME_HEAD)
#define ROVEI_NET_ROUTE_SIZE     18
#define ROVEI_NET_PINGWAVE_SIZE  72
#define ROVEI_NET_KEEPALIVE_SIZE 14
#define ROVEI_NET_AAD_SIZE       56

#define ROVEI_NET_CONTROL_STREAM UINT64_MAX

/* Subprotocols of which messages are handed on. */
#define ROVEI_NET_MIGRATION  0x0500
#define ROVEI_NET_MEMBERSHIP 0x0A00
#define ROVEI_NET_CAPABILITY 0x0C00

/* ---- kinds of datagrams ---- */

typedef enum rovei_net_kind {
    ROVEI_NET_KIND_NONE, /* of no kind that is known: dropped */
    ROVEI_NET_KIND_KEEPALIVE,
    ROVEI_NET_KIND_PINGWAVE,
    ROVEI_NET_KIND_HOP,    /* a route-hop envelope */
    ROVEI_NET_KIND_ROUTED, /* a packet behind a routing header */
    ROVEI_NET_KIND_DIRECT, /* a packet */
} rovei_net_kind;

/* By the first bytes and the length, in the order that the reference has. */
rovei_net_kind rovei_net_kind_of(rove_span dgram);

/* ---- routing header ---- */

#define ROVEI_NET_HANDSHAKE_TTL 16

typedef struct rovei_net_route {
    uint8_t ttl, hops, flags, reserved;
    uint32_t source; /* the low half of the sender's node id; anybody can write it */
    uint64_t dest;   /* node id */
} rovei_net_route;

static inline uint32_t rovei_net_low(uint64_t node_id)
{
    return (uint32_t)node_id;
}
void rovei_net_route_write(uint8_t ret[ROVEI_NET_ROUTE_SIZE], const rovei_net_route *route);
/* E_SHORT, E_MAGIC. */
ROVE_MUST_USE rove_err rovei_net_route_read(rovei_net_route *ret, rove_span bytes);

/* ---- packet header ---- */

#define ROVEI_NET_FLAG_RELIABLE  0x01
#define ROVEI_NET_FLAG_HANDSHAKE 0x10
#define ROVEI_NET_FLAG_HEARTBEAT 0x20

typedef struct rovei_net_header {
    uint8_t flags, priority, hop_ttl, hop_count, frag_flags;
    uint16_t subprotocol, channel;
    uint32_t nonce_prefix; /* not authenticated, and of no use to the receiver */
    uint64_t counter;
    uint64_t session, stream, sequence, origin;
    uint32_t subnet;
    uint16_t fragment, fragment_offset;
    uint16_t plain_size; /* of a handshake: the size of the Noise message */
    uint16_t events;
} rovei_net_header;

void rovei_net_header_write(uint8_t ret[ROVEI_NET_HEADER_SIZE], const rovei_net_header *h);
/* E_SHORT, E_MAGIC, E_VERSION; E_BOUND for a length or a number of events that no packet has. */
ROVE_MUST_USE rove_err rovei_net_header_read(rovei_net_header *ret, rove_span bytes);
/* What the seal covers of a header: all but the hop count and the nonce. */
void rovei_net_aad(uint8_t ret[ROVEI_NET_AAD_SIZE], const uint8_t header[ROVEI_NET_HEADER_SIZE]);

/* ---- a datagram that carries a packet ---- */

typedef enum rovei_net_packet_type {
    ROVEI_NET_PACKET_HANDSHAKE,
    ROVEI_NET_PACKET_HEARTBEAT,
    ROVEI_NET_PACKET_DATA,
} rovei_net_packet_type;

typedef struct rovei_net_packet {
    rovei_net_packet_type type;
    bool routed;
    rovei_net_route route; /* when routed */
    rovei_net_header header;
    size_t start;     /* where the header begins in the datagram */
    size_t body_size; /* of what follows the header: a Noise message, or ciphertext and tag */
} rovei_net_packet;

/* Of a datagram of the kind routed or direct. Errors of the headers; E_SHORT or E_TRAILING when the
 * body is not as long as the header says. */
ROVE_MUST_USE rove_err rovei_net_packet_read(rovei_net_packet *ret, rove_span dgram);
/* A view of the body. */
static inline rove_span rovei_net_packet_body(const rovei_net_packet *p, const uint8_t *dgram)
{
    return (rove_span){dgram + p->start + ROVEI_NET_HEADER_SIZE, p->body_size};
}

/* ---- event frames: the plaintext of a packet ---- */

typedef struct rovei_net_frames {
    rovei_reader r;
    uint16_t left;
} rovei_net_frames;

rovei_net_frames rovei_net_frames_of(rove_span plain, uint16_t count);
/* The next event, as a view; false after the last one, or at the first that does not fit. */
bool rovei_net_frames_next(rovei_net_frames *f, rove_span *ret);
/* False, with nothing written, when there is no room for the event and its frame. */
bool rovei_net_frame_write(rovei_writer *w, rove_span event);

/* ---- pingwaves ---- */

typedef enum rovei_net_health {
    ROVEI_NET_HEALTHY,
    ROVEI_NET_DEGRADED,
    ROVEI_NET_UNHEALTHY,
    ROVEI_NET_HEALTH_UNKNOWN,
} rovei_net_health;

#define ROVEI_NET_PINGWAVE_TTL 3

typedef struct rovei_net_pingwave {
    uint64_t node_id;
    uint64_t seq; /* grows over restarts too */
    uint8_t ttl, hops;
    uint64_t time; /* microseconds since the epoch, of the origin's clock */
    uint64_t capability_hash;
    uint32_t capability_version;
    uint8_t load, health, gpu, models, memory, tools;
    uint32_t flags;
} rovei_net_pingwave;

void rovei_net_pingwave_write(uint8_t ret[ROVEI_NET_PINGWAVE_SIZE], const rovei_net_pingwave *p);
/* E_SHORT, E_TRAILING; E_FLAG for a health that there is not. */
ROVE_MUST_USE rove_err rovei_net_pingwave_read(rovei_net_pingwave *ret, rove_span bytes);

#endif
