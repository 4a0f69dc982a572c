/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a daemon's outputs go besides to who sent the events: the channel that its configuration
 * names. Of the node that hosts it, whichever that is: the name travels with the daemon
 * (docs/protocol/channels.md, "What daemons publish"). */
#ifndef ROVEI_CHANNEL_OUTLET_H
#define ROVEI_CHANNEL_OUTLET_H

#include <compute/daemon.h>
#include <node/node.h>

/* Before it serves; an empty name: none. The errors of names, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_outlet_set(rovei_daemon *d, rove_span channel);
void rovei_outlet_free(rovei_daemon *d);
/* Empty: none. Borrowed. */
rove_span rovei_outlet_channel(const rovei_daemon *d);
/* It begins to serve: makes the channel, with the default configuration, unless it is there. */
void rovei_outlet_open(rovei_daemon *d, rovei_now now);
/* Publishes outputs in the framing of chain.h, in their order. */
void rovei_outlet_publish(rovei_daemon *d, rovei_now now, rove_buf *outputs, uint32_t count);

#endif
