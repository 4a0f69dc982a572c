/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon's outputs on a channel. The channel's history is the only buffer: a daemon never waits
 * for who subscribes, and who is too slow sees a gap, as with every other publisher. */
#include <channel/name.h>
#include <channel/outlet.h>
#include <channel/publisher.h>
#include <node/core.h>
#include <state/chain.h>
#include <string.h>

/* Outputs that are published at once. */
#define AT_ONCE 64

struct rovei_outlet {
    uint64_t published, unpublished;
    rove_err last; /* why the last ones were not published */
    size_t size;
    char channel[ROVEI_CHANNEL_NAME_MAX + 1];
};

rove_err rovei_outlet_set(rovei_daemon *d, rove_span channel)
{
    if (!channel.size)
        return ROVE_OK;
    rove_err err = rovei_channel_name_check(channel);
    if (err)
        return err;
    struct rovei_outlet *o = ROVEI_NEW(d->node->alloc, struct rovei_outlet);
    if (!o)
        return ROVE_E_NOMEM;
    memset(o, 0, sizeof *o);
    o->size = channel.size;
    memcpy(o->channel, channel.data, channel.size);
    rovei_outlet_free(d);
    d->outlet = o;
    return ROVE_OK;
}

void rovei_outlet_free(rovei_daemon *d)
{
    if (d->outlet)
        ROVEI_DELETE(d->node->alloc, d->outlet);
    d->outlet = NULL;
}

rove_span rovei_outlet_channel(const rovei_daemon *d)
{
    return d->outlet ? (rove_span){d->outlet->channel, d->outlet->size} : (rove_span){NULL, 0};
}

/* Without it nobody could subscribe before the first output. */
void rovei_outlet_open(rovei_daemon *d, rovei_now now)
{
    if (!d->outlet)
        return;
    rovei_channel_config open = {.name = rovei_outlet_channel(d)};
    rove_err err = rovei_channels_create(d->node, now, &open, true);
    d->outlet->last = err == ROVE_E_CHANNEL_EXISTS ? ROVE_OK : err;
}

static void publish(rovei_daemon *d, rovei_now now, rove_buf *owner, const rove_span *events,
                    size_t count)
{
    struct rovei_outlet *o = d->outlet;
    rovei_publish p = {.channel = rovei_outlet_channel(d),
                       .events = events,
                       .count = count,
                       .owner = owner,
                       .policy = ROVEI_PUBLISH_COLLECT,
                       .reliable = true,
                       .waits = true};
    o->last = rovei_channels_publish(d->node, now, &p, NULL);
    if (o->last)
        o->unpublished += count;
    else
        o->published += count;
}

void rovei_outlet_publish(rovei_daemon *d, rovei_now now, rove_buf *outputs, uint32_t count)
{
    if (!d->outlet || !outputs || !count)
        return;
    rovei_reader r = rovei_reader_of(rove_buf_span(outputs));
    rove_span events[AT_ONCE];
    rove_link link;
    size_t have = 0;
    while (rovei_reader_left(&r) && rovei_event_frame_read(&r, &link, &events[have]))
        if (++have == AT_ONCE) {
            publish(d, now, outputs, events, have);
            have = 0;
        }
    if (have)
        publish(d, now, outputs, events, have);
}

bool rovei_node_outlet(const rovei_node *n, const rove_entity *daemon, rovei_outlet_info *ret)
{
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (!d || !d->outlet)
        return false;
    *ret = (rovei_outlet_info){.channel = d->outlet->channel,
                               .published = d->outlet->published,
                               .unpublished = d->outlet->unpublished,
                               .reason = d->outlet->last};
    return true;
}
