/* SPDX-License-Identifier: Apache-2.0
 *
 * What `rove node` does at a signal when there is a node that its daemons may go to: a drain, whose
 * end wakes the main thread. */
#ifndef ROVEI_CLI_NODE_DRAIN_H
#define ROVEI_CLI_NODE_DRAIN_H

#include "cli.h"

#include <rove/drain.h>

typedef struct node_drain {
    const char *to;   /* an entity, a node id, "any" or "none" */
    uint64_t timeout; /* nanoseconds */
    int fd;           /* can be read when the drain has ended */
    bool running;     /* the main thread's */
    rove_err err;
    rove_drain_report report;
} node_drain;

/* False: no descriptor can be made. */
bool node_drain_init(node_drain *d);
void node_drain_fini(node_drain *d);
/* Whether `to` can name a node; says why not. */
bool node_drain_check(const node_drain *d, int *ret_status);
/* False when it cannot begin, after saying why; in silence when the daemons are to go nowhere, or
 * to any node and none is there. */
bool node_drain_begin(node_drain *d, rove_node *node, rove_runtime *rt);
/* To be called when `fd` can be read: says how it ended. True when nothing is left here. */
bool node_drain_take(node_drain *d);

#endif
