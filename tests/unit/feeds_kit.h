/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of subscriptions share: a channel, what is published on it, and orders. */
#ifndef ROVE_TESTS_FEEDS_KIT_H
#define ROVE_TESTS_FEEDS_KIT_H

#include <channel/feeds_inside.h>
#include <channel/publisher.h>
#include <compute/lanes_channel.h>
#include <migration/move_codec.h>

#include "lanes_kit.h"

#include <stdio.h>

#define SOON    (8 * ROVE_SECOND)
#define CHANNEL "sensors/a"

static inline rove_span channel(void)
{
    return (rove_span){CHANNEL, sizeof CHANNEL - 1};
}

static inline void open_channel(world *w, size_t node)
{
    rovei_channel_config c = {.name = channel()};
    assert_ok(rovei_channels_create(w->nodes[node].node, w->now, &c, false));
}

/* "e<i>" for i from first to last; false: there was no room. */
static inline bool publish(world *w, size_t node, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "e%u", i);
        rove_buf *owner = rovei_buf_copy(NULL, text, (size_t)size);
        rove_span event = rove_buf_span(owner);
        rovei_publish p = {.channel = channel(), .events = &event, .count = 1, .owner = owner};
        rove_err err = rovei_channels_publish(w->nodes[node].node, w->now, &p, NULL);
        rove_buf_unref(owner);
        assert_int_equal(err, ROVE_OK);
    }
    return true;
}

static inline rovei_feed_order order_of(world *w, const rove_entity *d, size_t publisher,
                                        uint64_t request)
{
    return (rovei_feed_order){.daemon = d,
                              .publisher = rovei_entity_node_id(&w->nodes[publisher].entity),
                              .channel = channel(),
                              .request = request};
}

static inline const rovei_note *answered(const world *w, size_t node, rovei_note_kind kind,
                                         uint64_t request)
{
    const world_node *n = &w->nodes[node];
    for (size_t i = 0; i < n->note_count; i++)
        if (n->notes[i].kind == kind && n->notes[i].request == request)
            return &n->notes[i];
    return NULL;
}

static inline rove_err subscribe(world *w, size_t node, const rove_entity *d, size_t publisher,
                                 uint64_t request)
{
    rovei_feed_order o = order_of(w, d, publisher, request);
    rove_err err = rovei_feeds_subscribe(w->nodes[node].node, w->now, &o);
    if (err)
        return err;
    world_until(w, SOON, answered(w, node, ROVEI_NOTE_SUBSCRIBED, request));
    return answered(w, node, ROVEI_NOTE_SUBSCRIBED, request)->err;
}

static inline rove_err unsubscribe(world *w, size_t node, const rove_entity *d, size_t publisher,
                                   uint64_t request)
{
    rovei_feed_order o = order_of(w, d, publisher, request);
    rove_err err = rovei_feeds_unsubscribe(w->nodes[node].node, w->now, &o);
    if (err)
        return err;
    world_until(w, SOON, answered(w, node, ROVEI_NOTE_UNSUBSCRIBED, request));
    return answered(w, node, ROVEI_NOTE_UNSUBSCRIBED, request)->err;
}

static inline bool is_member(world *w, size_t publisher, size_t node)
{
    rovei_member_info m;
    size_t it = 0;
    while (rovei_channels_member_next(w->nodes[publisher].node, channel(), &it, &m))
        if (rovei_entity_equal(&m.peer, &w->nodes[node].entity))
            return true;
    return false;
}

static inline size_t subscriptions(world *w, size_t node, const rove_entity *d,
                                   rovei_feed_info *ret)
{
    size_t it = 0, count = 0;
    while (rovei_feeds_next(w->nodes[node].node, d, &it, ret))
        count++;
    return count;
}

static inline uint64_t applied(world *w, size_t node, const rove_entity *d)
{
    const world_cell *c = world_cell_of(w, node, d);
    return c ? c->applied : 0;
}

static inline rovei_feed *feed_of(world *w, size_t node, const rove_entity *d)
{
    return ROVEI_CONTAINER(world_daemon(w, node, d)->feeds.next, rovei_feed, own);
}

static inline bool drop_prepared(void *user, const rove_entity *to, uint16_t tag, rove_span head,
                                 rove_buf *body)
{
    (void)user;
    (void)to;
    (void)body;
    return tag == ROVEI_TAG_MOVE && *(const uint8_t *)head.data == ROVEI_MOVE_PREPARED;
}

/* Moves to this node stand before the commit: it cannot say that it is prepared. */
static inline void never_prepared(world *w, size_t node)
{
    static rovei_node_tap tap = {drop_prepared, NULL};
    rovei_node_set_tap(w->nodes[node].node, &tap);
}

static inline void finish_move(world *w, size_t from, const rovei_attempt_id *id)
{
    world_until(w, 10 * ROVE_SECOND, world_ended(w, from, id));
    assert_int_equal(world_ended(w, from, id)->outcome, ROVEI_OUTCOME_COMPLETED);
}

#endif
