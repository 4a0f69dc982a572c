/* SPDX-License-Identifier: Apache-2.0
 *
 * A few nodes of class net joined by a link in memory, in virtual time: objects of the library, and
 * puppets, whose packets the test makes one by one. */
#ifndef ROVE_TESTS_NETKIT_H
#define ROVE_TESTS_NETKIT_H

#include "support.h"

#include <net/handshake.h>
#include <net/peer.h>

#define KIT_NODES  4
#define KIT_EVENTS 256
#define KIT_KEPT   256
#define KIT_DATA   1024

typedef struct kit_packet {
    rovei_list list;
    uint64_t at;
    rovei_addr from, to;
    size_t size;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
} kit_packet;

typedef struct kit_node {
    test_env t;
    rovei_keypair *id;
    uint64_t node_id;
    uint8_t seed[32], psk[32], secret[32], public_key[32];
    rovei_addr addr;
    rovei_net *net; /* NULL: a puppet */
    /* of an object: what it told */
    rovei_net_event events[KIT_EVENTS];
    size_t event_count;
    uint64_t messages;
    uint64_t data[KIT_DATA]; /* sequences of packets of streams, as they came */
    size_t data_count;
    /* of a puppet: what it got */
    rovei_net_self self;
    kit_packet got[KIT_KEPT];
    size_t got_count;
} kit_node;

typedef struct kit kit;
/* True: the datagram gets through. */
typedef bool kit_filter(kit *k, const kit_packet *p);

struct kit {
    kit_node nodes[KIT_NODES];
    size_t count;
    rovei_now now;
    uint64_t delay;
    kit_filter *filter;
    rovei_list packets;
    uint64_t sent; /* datagrams by objects */
};

/* All are objects; the node with the lowest id comes first. */
void kit_init(kit *k, size_t count);
/* Also proves that all was given back. */
void kit_fini(kit *k);
void kit_make_puppet(kit *k, size_t i);
/* Lists `who` at `at`; with its key and address when it is to be dialled. */
void kit_list(kit *k, size_t at, size_t who, bool dial);
/* Lets everything happen that is due up to `time` from now. */
void kit_run(kit *k, uint64_t time);
/* A datagram from any address. */
void kit_inject(kit *k, size_t to, const rovei_addr *from, const uint8_t *bytes, size_t size);
/* How many events of that kind it told; of messages, `messages` counts. */
size_t kit_told(const kit *k, size_t i, rovei_net_event_kind kind);
rovei_net_info kit_info(const kit *k, size_t at, size_t of);
/* What a puppet got with that flag of its header (0: data), the n-th; NULL: there is none. Its
 * header is in *ret. */
kit_packet *kit_got(kit *k, size_t i, uint8_t flag, size_t nth, rovei_net_packet *ret);

/* ---- a puppet's side of a session ---- */

typedef struct side {
    size_t self, peer;
    rovei_net_handshake h;
    rovei_net_session s;
    uint8_t first[ROVEI_NET_HANDSHAKE_MAX]; /* message 1 that it sent */
    size_t first_size;
} side;

void side_dial(kit *k, side *d, size_t self, size_t peer, bool routed);
/* Takes the newest handshake packet that it got as message 2. */
void side_finish(kit *k, side *d);
/* Answers message 1 that the puppet got, the nth of its handshake packets. */
void side_answer(kit *k, side *d, size_t self, size_t peer, size_t nth);
size_t side_seal(side *d, uint8_t *ret, uint16_t subprotocol, const char *event);
void side_say(kit *k, side *d, uint16_t subprotocol, const char *event);
void side_beat_from(kit *k, side *d, const rovei_addr *from);
/* Packets with that flag that came under the session and open. */
size_t side_opened(kit *k, side *d, uint8_t flag);
void side_fini(side *d);
/* A puppet 1 that is listed at node 0 and has a session that it began. */
void side_begin(kit *k, side *d, bool routed);

/* ---- what tests ask ---- */
extern const rovei_addr kit_elsewhere; /* where nobody is */
rove_err kit_say(kit *k, size_t from, size_t to, size_t size);
uint64_t kit_drops(const kit *k, size_t i, rovei_net_drop reason);
/* Where node 0 sends what is for node 1. */
bool kit_is_sent_to(const kit *k, const rovei_addr *addr);

#define HANDSHAKE ROVEI_NET_FLAG_HANDSHAKE
#define HEARTBEAT ROVEI_NET_FLAG_HEARTBEAT

#endif
