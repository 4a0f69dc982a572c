/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners: what is published on a channel, told to a callback. */
#include <base/alloc.h>
#include <channel/feeds.h>
#include <host/thread.h>
#include <identity/entity.h>
#include <shell/call.h>
#include <shell/listener.h>
#include <shell/node_inside.h>
#include <string.h>

/* Their numbers and those of senders share one table. */
#define LISTENER (UINT64_C(1) << 63)

static const rove_entity nobody;

uint64_t rovei_listener_of(const rovei_note *note)
{
    switch ((int)note->kind) {
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
        return rovei_entity_equal(&note->daemon, &nobody) ? note->request : 0;
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
        return note->request;
    default:
        return 0;
    }
}

rove_err rovei_listener_open(rovei_listener *l, rove_node *node, rovei_now now, const char *channel,
                             const rove_listen_options *options, rovei_sender_fn *fn, void *user)
{
    rove_node_info info;
    rove_node_get_info(node, &info);
    size_t size = strnlen(channel, sizeof l->channel);
    rovei_feed_order order = {.publisher = options->publisher ? options->publisher : info.node_id,
                              .channel = {channel, size},
                              .token = options->token,
                              .request = LISTENER | ++node->listeners};
    if (options->group)
        order.group = (rove_span){options->group, strlen(options->group)};
    rove_err err = rovei_node_route_sender(node, order.request, fn, user);
    if (err)
        return err;
    err = rovei_feeds_subscribe(node->core, now, &order);
    if (err) {
        rovei_node_unroute_sender(node, order.request);
        return err;
    }
    *l = (rovei_listener){.node = node, .number = order.request, .publisher = order.publisher};
    memcpy(l->channel, channel, size); /* the core has found that it is a name */
    return ROVE_OK;
}

void rovei_listener_close(rovei_listener *l, rovei_now now)
{
    if (!l->number)
        return;
    const rovei_feed_order order = {.publisher = l->publisher,
                                    .channel = {l->channel, strlen(l->channel)},
                                    .request = l->number};
    rovei_node_unroute_sender(l->node, l->number);
    (void)!rovei_feeds_unsubscribe(l->node->core, now, &order); /* it is gone in any case */
    l->number = 0;
}

void rovei_listener_hold(const rovei_listener *l, rovei_now now, bool held)
{
    if (l->number)
        rovei_feeds_hold(l->node->core, now, l->number, held);
}

/* ---- for embedders ---- */

struct rove_listener {
    rovei_listener inner;
    rove_heard_fn *heard;
    void *user;
};

static void tell(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    const rove_listener *l = user;
    rove_heard heard = {.err = note->err, .number = note->number};
    (void)core;
    (void)now;
    switch ((int)note->kind) {
    case ROVEI_NOTE_SUBSCRIBED:
        heard.kind = ROVE_HEARD_SUBSCRIBED;
        break;
    case ROVEI_NOTE_PUBLISHED:
        heard.kind = ROVE_HEARD_EVENT;
        heard.payload = note->text;
        heard.owner = note->owner;
        break;
    case ROVEI_NOTE_FEED_GAP:
        heard.kind = ROVE_HEARD_GAP;
        heard.last = note->value;
        break;
    case ROVEI_NOTE_FEED_ENDED:
        heard.kind = ROVE_HEARD_ENDED;
        break;
    default:
        return;
    }
    l->heard(l->user, &heard);
}

typedef struct listening {
    rove_listener *l;
    rove_node *node;
    const char *channel;
    const rove_listen_options *options;
    bool held;
    rove_err err;
} listening;

static void open_one(void *arg, rovei_node *core, rovei_now now)
{
    listening *o = arg;
    (void)core;
    o->err = rovei_listener_open(&o->l->inner, o->node, now, o->channel, o->options, tell, o->l);
}

static void close_one(void *arg, rovei_node *core, rovei_now now)
{
    (void)core;
    rovei_listener_close(&((rove_listener *)arg)->inner, now);
}

static void hold_one(void *arg, rovei_node *core, rovei_now now)
{
    const listening *o = arg;
    (void)core;
    rovei_listener_hold(&o->l->inner, now, o->held);
}

rove_err rove_channel_listen(rove_listener **ret, rove_node *node, const char *channel,
                             const rove_listen_options *options)
{
    if (!ret || !node || !channel || !options)
        return ROVE_E_USAGE;
    if (options->struct_version != ROVE_LISTEN_OPTIONS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (!options->heard || (!options->token.data && options->token.size))
        return ROVE_E_USAGE;
    listening o = {.node = node, .channel = channel, .options = options};
    o.l = ROVEI_NEW(&rovei_node_env(node)->alloc, rove_listener);
    if (!o.l)
        return ROVE_E_NOMEM;
    o.l->heard = options->heard;
    o.l->user = options->user;
    rovei_node_call(node, open_one, &o);
    if (o.err)
        ROVEI_DELETE(&rovei_node_env(node)->alloc, o.l);
    else
        *ret = o.l;
    return o.err;
}

void rove_listener_hold(rove_listener *l, bool held)
{
    if (l)
        rovei_node_call(l->inner.node, hold_one, &(listening){.l = l, .held = held});
}

void rove_listener_free(rove_listener *l)
{
    if (!l)
        return;
    rovei_node_call(l->inner.node, close_one, l);
    ROVEI_DELETE(&rovei_node_env(l->inner.node)->alloc, l);
}
