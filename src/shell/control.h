/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket of a node: a unix stream socket of mode 0600 over which a local program asks
 * for things and sends events (docs/protocol.md, "Control socket"). Served on the node's loop. */
#ifndef ROVEI_SHELL_CONTROL_H
#define ROVEI_SHELL_CONTROL_H

#include <rove/runtime.h>
#include <shell/node.h>

typedef struct rovei_control rovei_control;

/* A kind that the runtime has, as clients are told. */
typedef struct rovei_control_kind {
    const char *name;
    uint32_t abi;
    const char *file; /* NULL: built in */
} rovei_control_kind;

typedef struct rovei_control_config {
    rove_node *node;       /* outlives it */
    rove_runtime *runtime; /* outlives it */
    const char *path;
    const rovei_control_kind *kinds; /* outlive it */
    size_t kind_count;
    /* Told when the state of a peer has changed; on the loop thread, must not wait. May be NULL. */
    void (*peer_changed)(void *user, const rovei_peer_info *peer);
    /* Told when a forced epoch was taken here or heard of. As above. */
    void (*forced)(void *user, const rove_entity *daemon, const rove_entity *holder,
                   uint64_t epoch);
    /* Told when the copy of a daemon here was superseded and is kept aside. As above. */
    void (*aside)(void *user, const rove_entity *daemon, const rove_entity *holder, uint64_t epoch);
    void *user;
} rovei_control_config;

/* Listens. E_ADDRESS when another process listens there, E_EXISTS when something that is no socket
 * has that name, E_PERMISSION, E_FILE, E_TOO_LARGE (path), E_IO, E_NOMEM. Blocking: shortly. */
ROVE_MUST_USE rove_err rovei_control_new(rovei_control **ret, const rovei_control_config *cfg);
/* Closes all connections, ends what they wait for, removes the socket. Not on the loop thread.
 * NULL is fine. */
void rovei_control_free(rovei_control *c);

#endif
