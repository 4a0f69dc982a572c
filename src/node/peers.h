/* SPDX-License-Identifier: Apache-2.0
 *
 * What the node keeps beside the mesh about each peer, and the messages that it sends to itself. */
#ifndef ROVEI_NODE_PEERS_H
#define ROVEI_NODE_PEERS_H

#include <node/core.h>

typedef struct rovei_peer_entry {
    rove_entity peer;
    uint64_t association; /* 0 when there is none */
    bool failed;
} rovei_peer_entry;

typedef struct rovei_loopback {
    rove_entity from; /* zero: this node; else injected by a test */
    uint16_t tag;
    rove_buf *message;
} rovei_loopback;

#endif
