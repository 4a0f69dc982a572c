/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing from outside of the core: what waits for room on a channel. */
#ifndef ROVEI_SHELL_CHANNELS_H
#define ROVEI_SHELL_CHANNELS_H

#include <shell/node.h>

/* A channel has room again: those who wait for it publish. Loop thread. */
void rovei_node_channel_room(rove_node *node, rovei_now now, rove_span name);
/* The node ends: nobody waits any more. Loop thread. */
void rovei_node_end_publishing(rove_node *node);

#endif
