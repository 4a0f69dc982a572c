/* SPDX-License-Identifier: Apache-2.0
 *
 * What is inside of packets: messages of subprotocols in and out, heartbeats and pingwaves out. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <net/peer.h>
#include <string.h>

#define REFLEX 0x0D00

/* ---- in ---- */

bool rovei_net_keep(rovei_net_link *l, const rovei_net_event *e, rove_span bytes)
{
    rovei_net *t = l->net;
    if (t->inbox_count >= ROVEI_NET_INBOX || l->inbox_count >= ROVEI_NET_INBOX_SHARE)
        return false;
    rovei_net_incoming *in = ROVEI_NEW(&t->env->alloc, rovei_net_incoming);
    if (!in)
        return false;
    in->link = l;
    in->event = *e;
    in->event.node_id = l->node_id;
    in->event.message = rovei_buf_copy(&t->env->alloc, bytes.data, bytes.size);
    if (!in->event.message) {
        ROVEI_DELETE(&t->env->alloc, in);
        return false;
    }
    rovei_list_add_tail(&t->inbox, &in->list);
    t->inbox_count++;
    l->inbox_count++;
    return true;
}

void rovei_net_unkeep(rovei_net *t, rovei_net_incoming *in)
{
    rovei_list_remove(&in->list);
    t->inbox_count--;
    in->link->inbox_count--;
    rove_buf_unref(in->event.message);
    ROVEI_DELETE(&t->env->alloc, in);
}

/* A peer asks how it looks from here: under which address it is sent to. */
static bool reflect(rovei_net_held *s)
{
    uint8_t reply[19] = {s->addr.family};
    memcpy(reply + 1, s->addr.ip, s->addr.family == 4 ? 4 : 16);
    reply[17] = (uint8_t)(s->addr.port >> 8);
    reply[18] = (uint8_t)s->addr.port;
    rovei_net *t = s->link->net;
    return !rovei_net_send(t, t->now, s->link->node_id, REFLEX, (rove_span){reply, sizeof reply});
}

static bool is_handed_on(uint16_t subprotocol)
{
    return subprotocol == ROVEI_NET_MIGRATION || subprotocol == ROVEI_NET_MEMBERSHIP ||
           subprotocol == ROVEI_NET_CAPABILITY;
}

/* A packet is asked for one reply, so that what comes back is hardly more than what came: who has
 * the psk can have a session with somebody else's address. */
static bool take_event(rovei_net_held *s, const rovei_net_header *h, rove_span event, bool first)
{
    uint16_t subprotocol = h->subprotocol;
    rovei_net_stats *stats = &s->link->net->stats;
    if (rovei_flow_is_control(subprotocol)) {
        if (!rovei_net_receive_control(s, subprotocol, event))
            stats->dropped_messages[ROVEI_NET_SUBPROTOCOL_STREAM]++;
        return true;
    }
    bool handed_on = is_handed_on(subprotocol);
    if (!handed_on && (subprotocol != REFLEX || event.size || !first)) {
        stats->dropped_messages[rovei_net_subprotocol_of(subprotocol)]++;
        return true;
    }
    const rovei_net_event told = {
        .kind = ROVEI_NET_MESSAGE, .subprotocol = subprotocol, .stamp = {s->serial, h->counter}};
    bool taken = handed_on ? rovei_net_keep(s->link, &told, event) : reflect(s);
    stats->messages_taken += taken;
    return taken;
}

rovei_net_drop rovei_net_receive_text(rovei_net_held *s, const rovei_net_packet *p, rove_span text)
{
    if (p->header.subprotocol == 0)
        return rovei_net_receive_data(s, p, text);
    rovei_net_frames frames = rovei_net_frames_of(text, p->header.events);
    rove_span event;
    bool any = false, kept = true;
    while (rovei_net_frames_next(&frames, &event)) {
        kept = take_event(s, &p->header, event, !any) && kept;
        any = true;
    }
    if (p->header.events && !any)
        return ROVEI_NET_DROP_EVENTS;
    return kept ? ROVEI_NET_DROP_COUNT : ROVEI_NET_DROP_MEMORY;
}

/* ---- out ---- */

rove_err rovei_net_send(rovei_net *t, rovei_now now, uint64_t node_id, uint16_t subprotocol,
                        rove_span message)
{
    t->now = now;
    rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l || !l->current || l->state == ROVEI_PEER_FAILED)
        return ROVE_E_UNREACHABLE;
    if (message.size > ROVEI_NET_MESSAGE_MAX)
        return ROVE_E_TOO_LARGE;
    if (l->outgoing_count >= t->env->limits.net_queue)
        return ROVE_E_FULL;
    rovei_net_outgoing *o = rovei_alloc(&t->env->alloc, sizeof *o + message.size);
    if (!o)
        return ROVE_E_NOMEM;
    *o = (rovei_net_outgoing){.subprotocol = subprotocol, .size = message.size};
    if (message.size)
        memcpy(o->bytes, message.data, message.size);
    rovei_list_add_tail(&l->outgoing, &o->list);
    l->outgoing_count++;
    t->stats.messages_sent++;
    rovei_net_touch(l);
    return ROVE_OK;
}

/* The session of that number, if it still receives. */
static rovei_net_held *held_of(const rovei_net_link *l, uint64_t serial)
{
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        if (s->serial == serial)
            return s;
    }
    return NULL;
}

/* Under which session something goes out now. In *again: the number of the one under which it goes
 * out a second time, or 0; as it was set the last time. NULL: that one has ended meanwhile. */
static rovei_net_held *session_for(const rovei_net_link *l, uint64_t *again)
{
    uint64_t serial = *again;
    *again = 0;
    if (serial)
        return held_of(l, serial);
    const rovei_net_held *elder = rovei_net_elder(l);
    *again = elder ? elder->serial : 0;
    return l->current;
}

static size_t write_heartbeat(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_net_held *s = session_for(l, &l->beat_again);
    l->beat_due = l->beat_again != 0;
    if (!s)
        return 0;
    rovei_net_session_heartbeat(&s->session, ret);
    *ret_to = s->addr;
    return ROVEI_NET_OVERHEAD;
}

static size_t write_pingwave(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_net *t = l->net;
    uint64_t micros = t->now.wall / 1000;
    t->wave_seq = micros > t->wave_seq ? micros : t->wave_seq + 1;
    const rovei_net_pingwave wave = {
        .node_id = t->self.node_id,
        .seq = t->wave_seq,
        .ttl = ROVEI_NET_PINGWAVE_TTL,
        .time = micros,
        .health = ROVEI_NET_HEALTHY,
    };
    rovei_net_pingwave_write(ret, &wave);
    *ret_to = l->current->addr;
    l->wave_due = false;
    return ROVEI_NET_PINGWAVE_SIZE;
}

static size_t write_message(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_net_outgoing *o = ROVEI_CONTAINER(l->outgoing.next, rovei_net_outgoing, list);
    rovei_net_held *s = session_for(l, &o->again);
    size_t size = 0;
    if (s) {
        rovei_writer w = rovei_writer_of(ret + ROVEI_NET_HEADER_SIZE, ROVEI_NET_PLAIN_MAX);
        ROVEI_CHECK(rovei_net_frame_write(&w, (rove_span){o->bytes, o->size}));
        const rovei_net_header h = {
            .subprotocol = o->subprotocol,
            .stream = o->subprotocol,
            .sequence = s->sequences[rovei_net_subprotocol_of(o->subprotocol)]++,
            .events = 1,
        };
        size = rovei_net_session_seal(&s->session, &h, ret, rovei_writer_size(&w));
        *ret_to = s->addr;
    }
    if (!o->again) {
        rovei_list_remove(&o->list);
        rovei_free(&l->net->env->alloc, o, sizeof *o + o->size);
        l->outgoing_count--;
    }
    return size;
}

size_t rovei_net_write_next(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to)
{
    size_t size = 0;
    while (!size && l->current) {
        if (l->beat_due)
            size = write_heartbeat(l, ret, ret_to);
        else if (l->wave_due)
            size = write_pingwave(l, ret, ret_to);
        else if ((size = rovei_net_write_streams(l, ret, ret_to)))
            break;
        else if (!rovei_list_empty(&l->outgoing))
            size = write_message(l, ret, ret_to);
        else
            break;
    }
    return size;
}
