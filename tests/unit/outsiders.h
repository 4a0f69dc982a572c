/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of class net beside the nodes of a world: each is a session and nothing behind it, so that
 * the test says every message itself and sees every one that comes. */
#ifndef ROVE_TESTS_OUTSIDERS_H
#define ROVE_TESTS_OUTSIDERS_H

#include "moves_world.h"

#include <migration/net_machine.h>

#define OUTSIDERS_MAX 3
#define OUTSIDER_KEPT 1024

typedef struct outsider {
    test_env t;
    rovei_keypair *id;
    uint64_t node_id;
    uint8_t public_key[32];
    rovei_net *net;
    rove_buf *got[OUTSIDER_KEPT]; /* messages, in the order in which they came */
    size_t got_count;
} outsider;

typedef struct outsiders {
    world w; /* the first member */
    /* Takes each message that comes to an outsider instead of its list; NULL: nobody. */
    void (*heard)(struct outsiders *o, size_t who, rove_span message);
    void *user;
    outsider peers[OUTSIDERS_MAX];
    size_t count;
} outsiders;

/* A world of `nodes` nodes that serve class net and `count` outsiders that have dialled each. */
void outsiders_init(outsiders *o, size_t nodes, size_t count);
void outsiders_fini(outsiders *o);
/* A message to a node, carried at once; also bytes that are none. */
void outsider_say(outsiders *o, size_t who, size_t node, const rovei_netmove_message *m);
void outsider_say_bytes(outsiders *o, size_t who, size_t node, rove_span bytes);
/* A message that the network keeps back, until it is let go. */
typedef struct outsider_packet {
    size_t who, node, size;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
} outsider_packet;
void outsider_say_late(outsiders *o, size_t who, size_t node, const rovei_netmove_message *m,
                       outsider_packet *ret);
void outsider_let_go(outsiders *o, const outsider_packet *p);
/* The last message of that type which came since the last _clear, or false. */
bool outsider_heard(const outsiders *o, size_t who, rovei_netmove_type type,
                    rovei_netmove_message *ret);
size_t outsider_count(const outsiders *o, size_t who, rovei_netmove_type type);
void outsider_clear(outsiders *o, size_t who);
/* Its session ends for good. */
void outsider_leave(outsiders *o, size_t who);

#endif
