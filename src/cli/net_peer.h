/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of class net as people write them: NODE_ID[:X25519[@HOST:PORT]]. */
#ifndef ROVEI_CLI_NET_PEER_H
#define ROVEI_CLI_NET_PEER_H

#include "cli.h"

typedef struct net_peer {
    uint64_t node_id;
    bool has_key;
    uint8_t key[32];
    const char *address; /* inside of the text, or NULL */
} net_peer;

/* CLI_DONE, or a usage error that says what is wrong with it. */
int net_peer_parse(const char *text, net_peer *ret);

#endif
