/* SPDX-License-Identifier: Apache-2.0
 *
 * A call into a node's loop thread that waits for its end. */
#ifndef ROVEI_SHELL_CALL_H
#define ROVEI_SHELL_CALL_H

#include <shell/node.h>

typedef void rovei_call_fn(void *arg, rovei_node *core, rovei_now now);

/* Runs `fn` on the loop thread and returns when it has ended; at once when this is that thread.
 * Threads: any. Blocking: until the loop gets to it. */
void rovei_node_call(rove_node *node, rovei_call_fn *fn, void *arg);

#endif
