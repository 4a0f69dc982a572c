/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions of daemons to channels: orders to the core, which wait in a list of the loop
 * thread's until it says how they ended. One that succeeded leaves what the core now says of the
 * daemon's subscriptions in its cell, where snapshots take it from, before its caller is told. */
#include <channel/feeds.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <rove/channel.h>
#include <shell/call.h>
#include <shell/latch.h>
#include <string.h>

_Static_assert((int)ROVE_FEED_ASKING == (int)ROVEI_FEED_ASKING &&
                   (int)ROVE_FEED_UNBOUND == (int)ROVEI_FEED_UNBOUND,
               "the public states are the core's");

typedef struct subscribing {
    rovei_visit visit; /* of the cell, at the end */
    rovei_list all;    /* in host->subscribing from the order to its note */
    struct rovei_host *host;
    uint64_t origin, publisher, request;
    char channel[ROVE_CHANNEL_NAME_MAX + 2];
    rove_buf *token;
    rove_buf *ledger;
    bool leave;
    rove_done_fn *done;
    void *user;
} subscribing;

static void tell(subscribing *s, rove_err err)
{
    s->done(s->user, err);
    rove_buf_unref(s->token);
    rove_buf_unref(s->ledger);
}

static void end(subscribing *s, rove_err err)
{
    rovei_list_remove(&s->all);
    tell(s, err);
    rovei_pending_end(&s->visit.pending);
}

static rove_err keep_ledger(void *arg, rovei_cell *cell)
{
    return rovei_cell_set_ledger(cell, rove_buf_span(arg));
}

/* The order is carried out, whatever became of the copy: a daemon that has gone needs none. */
static void kept(rovei_visit *v)
{
    tell(ROVEI_CONTAINER(v, subscribing, visit), ROVE_OK);
}

static void carried_out(subscribing *s, rovei_node *core, rovei_now now, const rove_entity *daemon)
{
    rove_err err = rovei_feeds_ledger_of(core, now, daemon, &s->ledger);
    s->visit.fn = keep_ledger;
    s->visit.arg = s->ledger;
    s->visit.tell = kept;
    rovei_list_remove(&s->all);
    if (!err)
        err = rovei_host_visit(s->host, s->origin, &s->visit);
    if (err)
        end(s, ROVE_OK);
}

void rovei_host_subscribed(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note)
{
    ROVEI_LIST_EACH (it, next, &h->subscribing) {
        subscribing *s = ROVEI_CONTAINER(it, subscribing, all);
        if (s->request != note->request)
            continue;
        if (note->err)
            end(s, note->err);
        else
            carried_out(s, core, now, &note->daemon);
        return;
    }
}

void rovei_host_end_subscribing(struct rovei_host *h)
{
    while (!rovei_list_empty(&h->subscribing))
        end(ROVEI_CONTAINER(h->subscribing.next, subscribing, all), ROVE_E_SHUTTING_DOWN);
}

static void order_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    subscribing *s = ROVEI_CONTAINER(task, subscribing, visit.pending.task);
    rovei_resident *r = NULL;
    rove_err err = rovei_host_gate(s->host);
    if (!err)
        err = rovei_host_resident(s->host, s->origin, &r);
    if (!err) {
        s->request = ++s->host->next_request;
        const rovei_feed_order order = {.daemon = &r->entry.entity,
                                        .publisher = s->publisher,
                                        .channel = {s->channel, strlen(s->channel)},
                                        .token = rove_buf_span(s->token),
                                        .request = s->request};
        rovei_list_add_tail(&s->host->subscribing, &s->all);
        err = s->leave ? rovei_feeds_unsubscribe(core, now, &order)
                       : rovei_feeds_subscribe(core, now, &order);
        rovei_resident_drop(r);
    }
    if (err)
        end(s, err);
}

static rove_err begin(rove_runtime *rt, rove_daemon daemon, uint64_t publisher, const char *channel,
                      rove_span token, bool leave, rove_done_fn *done, void *user)
{
    if (!rt || !channel || !done || (!token.data && token.size))
        return ROVE_E_USAGE;
    size_t size = strnlen(channel, ROVE_CHANNEL_NAME_MAX + 1);
    subscribing *s;
    rove_err err = rovei_host_outside();
    if (!err)
        err = rovei_host_gate(&rt->host);
    if (!err)
        err = rovei_channel_name_check((rove_span){channel, size});
    if (!err && token.size > ROVE_SUBSCRIBE_TOKEN_MAX)
        err = ROVE_E_BOUND;
    if (!err)
        err = ROVEI_PENDING_NEW(&s, &rt->host.pendings);
    if (err)
        return err;
    rovei_list_init(&s->all);
    if (token.size && !(s->token = rovei_buf_copy(&rt->host.env->alloc, token.data, token.size))) {
        rovei_pending_drop(&s->visit.pending);
        return ROVE_E_NOMEM;
    }
    s->host = &rt->host;
    s->origin = daemon.origin;
    s->publisher = publisher;
    s->leave = leave;
    s->done = done;
    s->user = user;
    memcpy(s->channel, channel, size + 1);
    rovei_pending_post(&s->visit.pending, order_run);
    return ROVE_OK;
}

typedef struct order_wait {
    rovei_latch latch;
    rove_err err;
} order_wait;

static void ended(void *user, rove_err err)
{
    order_wait *w = user;
    w->err = err;
    rovei_latch_open(&w->latch);
}

static rove_err begin_and_wait(rove_runtime *rt, rove_daemon daemon, uint64_t publisher,
                               const char *channel, rove_span token, bool leave)
{
    order_wait w;
    if (!rt || !channel)
        return ROVE_E_USAGE;
    if (rovei_node_in_turn(rt->host.node))
        return ROVE_E_WOULD_BLOCK;
    rovei_latch_init(&w.latch);
    rove_err err = begin(rt, daemon, publisher, channel, token, leave, ended, &w);
    if (err)
        rovei_latch_open(&w.latch);
    rovei_latch_wait(&w.latch, rt->host.node);
    return err ? err : w.err;
}

rove_err rove_runtime_subscribe_channel(rove_runtime *rt, rove_daemon daemon, uint64_t publisher,
                                        const char *channel, rove_span token)
{
    return begin_and_wait(rt, daemon, publisher, channel, token, false);
}

rove_err rove_runtime_subscribe_channel_async(rove_runtime *rt, rove_daemon daemon,
                                              uint64_t publisher, const char *channel,
                                              rove_span token, rove_done_fn *done, void *user)
{
    return begin(rt, daemon, publisher, channel, token, false, done, user);
}

rove_err rove_runtime_unsubscribe_channel(rove_runtime *rt, rove_daemon daemon, uint64_t publisher,
                                          const char *channel)
{
    return begin_and_wait(rt, daemon, publisher, channel, (rove_span){NULL, 0}, true);
}

rove_err rove_runtime_unsubscribe_channel_async(rove_runtime *rt, rove_daemon daemon,
                                                uint64_t publisher, const char *channel,
                                                rove_done_fn *done, void *user)
{
    return begin(rt, daemon, publisher, channel, (rove_span){NULL, 0}, true, done, user);
}

/* ---- looking ---- */

typedef struct list_call {
    struct rovei_host *host;
    uint64_t origin;
    rove_subscription *ret;
    size_t room, count;
    rove_err err;
} list_call;

static void list(void *arg, rovei_node *core, rovei_now now)
{
    list_call *c = arg;
    rovei_resident *r = NULL;
    rovei_feed_info i;
    (void)now;
    c->err = rovei_host_resident(c->host, c->origin, &r);
    if (c->err)
        return;
    for (size_t it = 0; rovei_feeds_next(core, &r->entry.entity, &it, &i); c->count++) {
        if (c->count >= c->room)
            continue;
        rove_subscription *s = &c->ret[c->count];
        *s = (rove_subscription){.publisher = i.publisher,
                                 .has_token = i.has_token,
                                 .state = (rove_feed_state)i.state,
                                 .reason = i.err,
                                 .position = i.position,
                                 .lost = i.lost};
        memcpy(s->channel, i.channel.data, i.channel.size);
    }
    rovei_resident_drop(r);
}

rove_err rove_runtime_subscriptions(rove_runtime *rt, rove_daemon daemon, rove_subscription *ret,
                                    size_t room, size_t *ret_count)
{
    if (!rt || !ret_count || (room && !ret))
        return ROVE_E_USAGE;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    list_call c = {.host = &rt->host, .origin = daemon.origin, .ret = ret, .room = room};
    rovei_node_call(rt->host.node, list, &c);
    if (!c.err)
        *ret_count = c.count;
    return c.err;
}
