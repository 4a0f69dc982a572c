/* SPDX-License-Identifier: Apache-2.0
 *
 * What `rove node` says on standard error about its peers, and about daemons that were taken by
 * force or superseded. The node's loop must never wait for whoever reads that, so it puts what
 * happened into a pipe, and the main thread writes the sentences. */
#ifndef ROVEI_CLI_NODE_LOG_H
#define ROVEI_CLI_NODE_LOG_H

#include "cli.h"

#include <mesh/mesh.h>

typedef struct node_log {
    int read_fd, write_fd;
} node_log;

/* False: no pipe can be made. */
bool node_log_init(node_log *l);
void node_log_fini(node_log *l);
/* Hooks of the control socket: `user` is the node_log. What the pipe has no room for is left out.
 */
void node_log_peer(void *user, const rovei_peer_info *peer);
void node_log_forced(void *user, const rove_entity *daemon, const rove_entity *holder,
                     uint64_t epoch);
void node_log_aside(void *user, const rove_entity *daemon, const rove_entity *holder,
                    uint64_t epoch);
/* Writes the sentences for what is in the pipe; to be called when read_fd can be read. */
void node_log_write(node_log *l);

#endif
