/* SPDX-License-Identifier: Apache-2.0
 *
 * File descriptors that a node's loop watches for others: the control socket and its connections.
 * All calls on the loop thread, or before the loop runs. */
#ifndef ROVEI_SHELL_LOOP_H
#define ROVEI_SHELL_LOOP_H

#include <shell/node.h>

/* `events` are epoll's. May watch, modify and unwatch any descriptor, also its own. */
typedef void rovei_watch_fn(void *user, rovei_node *core, rovei_now now, uint32_t events);

/* E_NOMEM, E_IO. The descriptor stays the caller's; it is unwatched before it is closed. */
ROVE_MUST_USE rove_err rovei_loop_watch(rove_node *node, int fd, uint32_t events,
                                        rovei_watch_fn *fn, void *user);
ROVE_MUST_USE rove_err rovei_loop_modify(rove_node *node, int fd, uint32_t events);
void rovei_loop_unwatch(rove_node *node, int fd);

#endif
