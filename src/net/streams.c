/* SPDX-License-Identifier: Apache-2.0
 *
 * The streams of the sessions with a peer: between packets as they are opened and sealed, and
 * flow.c, which knows what they mean. */
#include <net/peer.h>
#include <string.h>

/* ---- life ---- */

static void flow_fire(rovei_timer *timer, void *user, rovei_now now);

rove_err rovei_net_streams_init(rovei_net_held *s)
{
    rovei_net *t = s->link->net;
    rovei_flow_init(&s->flow, t->env, &t->stats.streams);
    return rovei_timers_reserve(&t->timers, &s->flow_timer, flow_fire, s);
}

void rovei_net_streams_fini(rovei_net_held *s)
{
    rovei_timers_release(&s->link->net->timers, &s->flow_timer);
    rovei_flow_fini(&s->flow);
}

/* After anything that the flow was told: what it wants next. */
static void follow(rovei_net_held *s)
{
    rovei_net_link *l = s->link;
    uint64_t deadline = rovei_flow_deadline(&s->flow);
    if (s->flow_timer.deadline != deadline)
        rovei_timer_set(&l->net->timers, &s->flow_timer, deadline);
    if (rovei_flow_ready(&s->flow))
        rovei_net_touch(l);
    if (rovei_flow_has_news(&s->flow))
        rovei_net_tell(l);
}

static void flow_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_net_held *s = user;
    rovei_flow_expire(&s->flow, now.mono);
    follow(s);
}

/* ---- in ---- */

/* What cannot be kept for the owner counts as lost: it is not acknowledged. */
rovei_net_drop rovei_net_receive_data(rovei_net_held *s, const rovei_net_packet *p, rove_span text)
{
    rovei_net *t = s->link->net;
    const rovei_net_header *h = &p->header;
    const rovei_net_event e = {.kind = ROVEI_NET_DATA,
                               .stream = {s->link->node_id, s->session.id, h->stream},
                               .sequence = h->sequence,
                               .events = h->events};
    bool reliable = h->flags & ROVEI_NET_FLAG_RELIABLE;
    uint64_t now = t->now.mono;
    if (!rovei_net_keep(s->link, &e, text))
        return ROVEI_NET_DROP_MEMORY;
    if (rovei_flow_receive_packet(&s->flow, now, h->stream, h->sequence, reliable, text.size) !=
        ROVEI_FLOW_NEW)
        rovei_net_unkeep(t, ROVEI_CONTAINER(t->inbox.prev, rovei_net_incoming, list));
    follow(s);
    return ROVEI_NET_DROP_COUNT;
}

bool rovei_net_receive_control(rovei_net_held *s, uint16_t subprotocol, rove_span event)
{
    bool good = rovei_flow_receive_control(&s->flow, s->link->net->now.mono, subprotocol, event);
    follow(s);
    return good;
}

/* ---- out ---- */

/* What a publish says beside its events. */
static void mark_publish(const rovei_net *t, rovei_net_header *h)
{
    h->channel = (uint16_t)h->stream; /* the low half of the hash's low half is the stream's too */
    h->origin = t->origin;
}

static size_t write_stream(rovei_net_held *s, uint8_t *ret)
{
    rovei_flow_out out;
    uint64_t now = s->link->net->now.mono;
    if (!rovei_flow_transmit(&s->flow, now, ret + ROVEI_NET_HEADER_SIZE, &out))
        return 0;
    rovei_net_header h = {
        .flags = out.reliable ? ROVEI_NET_FLAG_RELIABLE : 0,
        .subprotocol = out.subprotocol,
        .stream = out.stream,
        .sequence = out.sequence,
        .events = out.events,
    };
    if (!out.subprotocol && rovei_flow_is_publish(out.stream))
        mark_publish(s->link->net, &h);
    size_t size = rovei_net_session_seal(&s->session, &h, ret, out.size);
    follow(s);
    return size;
}

size_t rovei_net_write_streams(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to)
{
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        size_t size = write_stream(s, ret);
        if (size) {
            *ret_to = s->addr;
            return size;
        }
    }
    return 0;
}

rove_err rovei_net_stream_open(rovei_net *t, rovei_now now, uint64_t node_id, uint64_t stream,
                               bool reliable, rovei_net_stream *ret)
{
    t->now = now;
    rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l || !l->current || l->state == ROVEI_PEER_FAILED)
        return ROVE_E_UNREACHABLE;
    rove_err err = rovei_flow_open(&l->current->flow, stream, reliable, ROVEI_FLOW_WINDOW);
    if (!err)
        *ret = (rovei_net_stream){node_id, l->current->session.id, stream};
    return err;
}

rove_err rovei_net_stream_send(rovei_net *t, rovei_now now, const rovei_net_stream *stream,
                               rove_span event)
{
    t->now = now;
    rovei_net_held *s = rovei_map_get(&t->sessions, &stream->session);
    if (!s || now.mono >= s->until || s->link->node_id != stream->node_id)
        return ROVE_E_GONE;
    rove_err err = rovei_flow_put(&s->flow, now.mono, stream->id, event);
    follow(s);
    return err;
}

static rove_err publish(rovei_net *t, rovei_now now, uint64_t node_id, uint64_t channel,
                        bool reliable, const rovei_flow_frames *events, bool waiting)
{
    t->now = now;
    rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l || !l->current || l->state == ROVEI_PEER_FAILED)
        return ROVE_E_UNREACHABLE;
    if (events->count > ROVEI_NET_EVENTS_MAX)
        return ROVE_E_TOO_LARGE;
    rovei_net_held *s = l->current;
    uint64_t stream = rovei_net_publish_stream(channel);
    rove_err err = waiting
                       ? rovei_flow_publish_waiting(&s->flow, now.mono, stream, reliable, events)
                       : rovei_flow_publish(&s->flow, now.mono, stream, reliable, events);
    follow(s);
    return err;
}

rove_err rovei_net_publish(rovei_net *t, rovei_now now, uint64_t node_id, uint64_t channel,
                           bool reliable, const rovei_flow_frames *events)
{
    return publish(t, now, node_id, channel, reliable, events, false);
}

rove_err rovei_net_publish_waiting(rovei_net *t, rovei_now now, uint64_t node_id, uint64_t channel,
                                   bool reliable, const rovei_flow_frames *events)
{
    return publish(t, now, node_id, channel, reliable, events, true);
}

bool rovei_net_publish_is_full(rovei_net *t, uint64_t node_id, uint64_t channel)
{
    rovei_net_link *l = rovei_net_link_of(t, node_id);
    return l && l->current && l->state != ROVEI_PEER_FAILED &&
           rovei_flow_publish_is_full(&l->current->flow, rovei_net_publish_stream(channel));
}

/* ---- what happened ---- */

bool rovei_net_poll_streams(rovei_net_link *l, rovei_net_event *ret)
{
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        rovei_flow_event e;
        if (!rovei_flow_poll(&s->flow, &e))
            continue;
        *ret = (rovei_net_event){.kind = ROVEI_NET_STREAM,
                                 .node_id = l->node_id,
                                 .stream = {l->node_id, s->session.id, e.stream},
                                 .happened = e.kind};
        return true;
    }
    return false;
}
