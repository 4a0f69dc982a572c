/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo's node processes: this program again, as `rove node`, on loopback ports of its own. They
 * end with the demo, however that ends, and leave nothing behind. */
#ifndef ROVEI_CLI_DEMO_NODES_H
#define ROVEI_CLI_DEMO_NODES_H

#include "../client.h"

#include <sys/types.h>

typedef struct demo_node {
    size_t number; /* from 1 */
    pid_t pid;
    int pid_fd; /* readable when the process has ended */
    int log_fd; /* what it wrote to standard error */
    char entity[65], node_id[24], addr[64];
    bool killed;
    cli_client client; /* one request at a time */
} demo_node;

typedef struct demo_nodes {
    char folder[64]; /* gone once all nodes serve */
    size_t count;
    demo_node *at;
    cli_client events; /* a further connection to node 1 */
} demo_nodes;

/* Starts `count` nodes, each connected to all others. CLI_DONE, or a status after saying why. */
int demo_nodes_start(demo_nodes *ret, size_t count, uint64_t longest_line);
/* Ends all of them and removes what is left; true when all that still ran ended as they should. */
bool demo_nodes_stop(demo_nodes *n, bool kindly);
/* Says that a node is gone, with the last line of its log. Gives CLI_FAILED. */
int demo_node_lost(const demo_node *n);
/* `closed`: its sockets are, so that its end is waited for a little. */
bool demo_node_ended(const demo_node *n, bool closed);

/* One request to a node and its answer: the last object, or the one whose "event" is `wanted`; NULL
 * when there is none. *ret_err: how the request ended; E_CANCELLED when interrupted. */
json_object *demo_node_ask(demo_node *n, json_object *request, const char *wanted,
                           rove_err *ret_err);
/* The state of a daemon on the node: free() it. */
ROVE_MUST_USE rove_err demo_node_state(demo_node *n, const char *origin, void **ret,
                                       size_t *ret_size);

#endif
