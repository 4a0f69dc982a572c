/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners: local subscriptions that are no daemon's, on the loop thread. rove_listener and the
 * control socket are made of them. */
#ifndef ROVEI_SHELL_LISTENER_H
#define ROVEI_SHELL_LISTENER_H

#include <rove/channel.h>
#include <shell/node.h>

typedef struct rovei_listener {
    rove_node *node;
    uint64_t number; /* 0: it is not open */
    uint64_t publisher;
    char channel[ROVE_CHANNEL_NAME_MAX + 1];
} rovei_listener;

/* Opens one; `l` stays where it is until it is closed. Its notes are SUBSCRIBED, PUBLISHED,
 * FEED_GAP and FEED_ENDED. After SUBSCRIBED with an error it is still to be closed. Errors of
 * rovei_feeds_subscribe. */
ROVE_MUST_USE rove_err rovei_listener_open(rovei_listener *l, rove_node *node, rovei_now now,
                                           const char *channel, const rove_listen_options *options,
                                           rovei_sender_fn *fn, void *user);
/* One that is not open is fine. */
void rovei_listener_close(rovei_listener *l, rovei_now now);
void rovei_listener_hold(const rovei_listener *l, rovei_now now, bool held);
/* The number of the listener that a note is for; 0: it is for none. */
uint64_t rovei_listener_of(const rovei_note *note);

#endif
