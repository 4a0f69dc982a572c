/* SPDX-License-Identifier: Apache-2.0
 *
 * A call into a node's loop thread that waits for its end. */
#ifndef ROVEI_SHELL_CALL_H
#define ROVEI_SHELL_CALL_H

#include <shell/node.h>

typedef void rovei_call_fn(void *arg, rovei_node *core, rovei_now now);

/* Runs `fn` on the node's own thread and returns when it has ended; in place when this is that
 * thread. Threads: any. Blocking: until the loop gets to it. */
void rovei_node_call(rove_node *node, rovei_call_fn *fn, void *arg);
/* The half of it that needs no other thread; false: it does. The node is due for a turn after it.
 */
bool rovei_node_call_in_place(rove_node *node, rovei_call_fn *fn, void *arg);

/* For a driven node: this thread drives it, and sleeps in between, until `done`, which only a turn
 * can change. False when that is up to another thread: the node's loop, or one that has the core.
 */
typedef bool rovei_done_fn(void *arg);
bool rovei_node_drive(rove_node *node, rovei_done_fn *done, void *arg);

#endif
