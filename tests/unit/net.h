/* SPDX-License-Identifier: Apache-2.0
 *
 * A few meshes joined by a link in memory, in virtual time. The link delays every datagram by the
 * same time and asks a filter about each; it can keep what passed, so that a test can play it
 * again. */
#ifndef ROVE_TESTS_NET_H
#define ROVE_TESTS_NET_H

#include "support.h"

#include <mesh/mesh.h>
#include <mesh/packet.h>
#include <mesh/peer.h>

#define NET_NODES    4
#define NET_EVENTS   256
#define NET_DATAGRAM 1500

typedef struct net_packet {
    rovei_list list;
    uint64_t at;
    size_t from, to;
    rovei_addr from_addr;
    size_t size;
    uint8_t bytes[NET_DATAGRAM];
} net_packet;

typedef struct net_node {
    test_env t;
    rovei_keypair *id;
    rove_entity entity;
    uint8_t psk[32];
    rovei_mesh *mesh; /* NULL while it is down */
    rovei_addr addr;  /* where it is now */
    uint64_t incarnation, time;
    /* what it reported; messages are counted and compared, not kept */
    rovei_mesh_event events[NET_EVENTS];
    size_t event_count;
    uint64_t messages, bytes;
    uint64_t next_value; /* what the next message should hold, see net_send */
    bool count_only;     /* messages are not in the form of net_send */
} net_node;

typedef struct net net;
/* True: the datagram gets through. */
typedef bool net_filter(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size);

struct net {
    net_node nodes[NET_NODES];
    size_t count;
    rovei_now now;
    uint64_t delay;
    /* trouble, all from one seed */
    uint64_t random, jitter; /* up to so much more delay, so that datagrams overtake each other */
    unsigned loss, twice;    /* per mille */
    net_filter *filter;
    unsigned blocked; /* bit 4*from+to */
    rovei_list packets;
    net_packet *kept[512];
    size_t kept_count;
    bool keep;
    bool strays_allowed; /* datagrams to an address where nobody is */
    uint64_t strays, stray_bytes;
    uint64_t checks;
    bool forget_events; /* events are not kept, only counted */
    uint64_t told;
};

void net_init(net *n, size_t count);
/* Also proves that every node gave everything back. */
void net_fini(net *n);
/* Starts a mesh, also again: with a greater incarnation and the time that was reported last. */
void net_start(net *n, size_t i);
void net_stop(net *n, size_t i);
void net_connect(net *n, size_t from, size_t to);
rovei_addr net_addr(size_t i); /* where it is at first */
/* The node has another address from now on; what is under way to the old one goes astray. */
void net_move(net *n, size_t i, const rovei_addr *addr);
/* Lets everything happen that is due up to `time` from now. */
void net_run(net *n, uint64_t time);
void net_block(net *n, size_t from, size_t to, bool block);
/* Hands a datagram to node `to` as if it came from `from`, now, and polls. The bytes are copied. */
void net_inject(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size);
void net_inject_from(net *n, const rovei_addr *from, size_t to, const uint8_t *bytes, size_t size);
/* The kept datagram of this type, counted from 0; NULL when there is none. */
const net_packet *net_kept(const net *n, size_t from, uint8_t type, size_t index);
void net_forget(net *n); /* drops what was kept */
/* Events of this kind that node `i` reported; *ret the last one, unless NULL. */
size_t net_events(const net *n, size_t i, rovei_mesh_event_kind kind, rovei_mesh_event *ret);
rovei_peer *net_peer(net *n, size_t i, size_t other);
uint64_t net_association(net *n, size_t i, size_t other); /* 0 when there is none */
uint64_t net_drops(const net *n, size_t i, rovei_drop reason);
uint64_t net_drops_all(const net *n, size_t i);
/* Queues `count` numbered messages of `size` bytes (at least 8); the receiver checks the order. */
void net_send(net *n, size_t from, size_t to, uint64_t *stream, uint64_t *value, size_t count,
              size_t size);

/* ---- what the tests say often ---- */
void net_two(net *n);
/* Two nodes with an association that the first one began; what passed is kept. */
void net_up(net *n);
/* Both sides send under the same session, and nothing is half done. */
void net_assert_one_session(net *n);
/* The same, both were told of one association that never ended, and messages pass. */
void net_assert_one_association(net *n);
/* Twenty messages each way on a stream of their own. */
void net_exchange(net *n);
void net_assert_gone(const net *n, size_t i, size_t count, rove_err reason);
/* Which of the first two has the lower entity. */
size_t net_lower(const net *n);
/* Makes the current session of `i` with `other` as old as its limit. */
void net_wear_out(net *n, size_t i, size_t other);
net_filter net_nothing;

/* What must be the same before and after something that must change nothing. */
typedef struct net_picture {
    uint64_t association, state, events, sent, completed;
    uint32_t current, previous;
} net_picture;
net_picture net_picture_of(net *n, size_t i, size_t other);

#define ASSERT_SAME(a, b)                                                                          \
    do {                                                                                           \
        net_picture b_ = (b);                                                                      \
        assert_memory_equal(&(a), &b_, sizeof b_);                                                 \
    } while (0)

/* A message 1 as a member would write it who says what he likes. */
typedef struct net_forgery {
    uint8_t secret[64]; /* libsodium's: of the static key that is used */
    rove_entity entity; /* of that key */
    rovei_hello hello;
    uint8_t psk[32];
    uint32_t index;
} net_forgery;
void net_forge_init(net_forgery *f, net *n, uint8_t seed_byte);
void net_forge(const net_forgery *f, net *n, size_t to, uint8_t ret[ROVEI_INITIATION_SIZE]);
void net_inject_forged(const net_forgery *f, net *n, size_t from, size_t to);

#endif
