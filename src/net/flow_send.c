/* SPDX-License-Identifier: Apache-2.0
 *
 * One stream that this node sends on: credit, acknowledgements, resends, congestion. */
#include <base/check.h>
#include <net/flow_send.h>
#include <net/wire.h>
#include <string.h>

#define ONE 1000u /* a packet, in units of the congestion window */

/* ---- credit ---- */

void rovei_flow_credit_init(rovei_flow_credit *c, uint64_t window)
{
    *c = (rovei_flow_credit){.window = window, .remaining = window};
}

bool rovei_flow_credit_take(rovei_flow_credit *c, uint64_t cost)
{
    if (!c->window)
        return true;
    if (c->remaining < cost)
        return false;
    c->remaining -= cost;
    c->sent += cost;
    return true;
}

void rovei_flow_credit_grant(rovei_flow_credit *c, uint64_t total)
{
    total = total < c->sent ? total : c->sent;
    if (total <= c->seen)
        return;
    c->remaining += total - c->seen;
    if (c->remaining > c->window)
        c->remaining = c->window;
    c->seen = total;
}

/* ---- one stream ---- */

uint32_t rovei_flow_pending_max(uint64_t window)
{
    uint64_t packets = window / ROVEI_FLOW_TRACKED;
    if (packets < ROVEI_FLOW_PENDING_MIN)
        return ROVEI_FLOW_PENDING_MIN;
    return packets > ROVEI_FLOW_PENDING_MAX ? ROVEI_FLOW_PENDING_MAX : (uint32_t)packets;
}

void rovei_flow_send_init(rovei_flow_send *s, const rove_alloc *a, rovei_list *queue,
                          uint64_t stream, bool reliable, uint64_t window)
{
    *s = (rovei_flow_send){.alloc = a,
                           .queue = queue,
                           .stream = stream,
                           .reliable = reliable,
                           .rto = ROVEI_FLOW_RTO,
                           .cwnd = ROVEI_FLOW_CWND,
                           .threshold = UINT32_MAX,
                           .pending_max = rovei_flow_pending_max(window)};
    rovei_flow_credit_init(&s->credit, window);
    rovei_list_init(&s->pending);
}

static rovei_flow_packet *pending_of(rovei_list *link)
{
    return ROVEI_CONTAINER(link, rovei_flow_packet, pending);
}

/* Every packet of a stream is in its list, also one that only waits to leave once. */
static void packet_free(rovei_flow_packet *p)
{
    rovei_flow_send *s = p->owner;
    rovei_list_remove(&p->queue);
    rovei_list_remove(&p->pending);
    s->pending_count--;
    rovei_free(s->alloc, p, sizeof *p + p->size);
}

void rovei_flow_send_fini(rovei_flow_send *s)
{
    ROVEI_LIST_EACH (it, nxt, &s->pending)
        packet_free(pending_of(it));
}

rove_err rovei_flow_send_put(rovei_flow_send *s, const rovei_flow_frames *frames, bool marked)
{
    size_t size = frames->bytes.size;
    if (s->failed)
        return ROVE_E_CLOSED;
    uint64_t cost = size + ROVEI_NET_OVERHEAD;
    if (size > ROVEI_NET_PLAIN_MAX || (s->credit.window && cost > s->credit.window))
        return ROVE_E_TOO_LARGE;
    if (s->pending_count >= s->pending_max ||
        (s->reliable && (uint64_t)s->pending_count * ONE >= s->cwnd))
        return ROVE_E_FULL;
    if (s->credit.window && s->credit.remaining < cost)
        return ROVE_E_FULL;
    rovei_flow_packet *p = rovei_alloc(s->alloc, sizeof *p + size);
    if (!p)
        return ROVE_E_NOMEM;
    (void)rovei_flow_credit_take(&s->credit, cost);
    *p = (rovei_flow_packet){.owner = s,
                             .sequence = s->next++,
                             .size = (uint16_t)size,
                             .events = frames->count,
                             .marked = marked};
    if (size)
        memcpy(p->bytes, frames->bytes.data, size);
    rovei_list_add_tail(s->queue, &p->queue);
    rovei_list_add_tail(&s->pending, &p->pending);
    s->pending_count++;
    return ROVE_OK;
}

void rovei_flow_send_left(rovei_flow_packet *p, uint64_t now)
{
    p->owner->alive = now;
    if (!p->owner->reliable) {
        packet_free(p);
        return;
    }
    rovei_list_remove(&p->queue);
    p->sent_at = now;
}

/* ---- what the peer says ---- */

static void measured(rovei_flow_send *s, uint64_t sample)
{
    if (!s->measured) {
        s->measured = true;
        s->smoothed = sample;
        s->variance = sample / 2;
    } else {
        uint64_t off = s->smoothed > sample ? s->smoothed - sample : sample - s->smoothed;
        s->variance = s->variance - s->variance / 4 + off / 4;
        s->smoothed = s->smoothed - s->smoothed / 8 + sample / 8;
    }
    uint64_t rto = s->smoothed + 4 * s->variance;
    rto = rto < ROVEI_FLOW_RTO_MIN ? ROVEI_FLOW_RTO_MIN : rto;
    s->rto = rto > ROVEI_FLOW_RTO_MAX ? ROVEI_FLOW_RTO_MAX : rto;
}

static void grow(rovei_flow_send *s)
{
    s->cwnd += s->cwnd < s->threshold ? ONE : ONE * ONE / s->cwnd;
    if (s->cwnd > s->pending_max * ONE)
        s->cwnd = s->pending_max * ONE;
}

static void shrink(rovei_flow_send *s, bool to_least)
{
    s->threshold = s->cwnd / 2 < ROVEI_FLOW_CWND_MIN ? ROVEI_FLOW_CWND_MIN : s->cwnd / 2;
    s->cwnd = to_least ? ROVEI_FLOW_CWND_MIN : s->threshold;
}

/* A packet has arrived. Only the first sending of one says how long the way takes. One that waits
 * to leave for the first time cannot have arrived. */
static bool settle(rovei_flow_packet *p, uint64_t now, uint64_t *sent_at)
{
    if (p->resends == 0 && !rovei_list_empty(&p->queue))
        return false;
    if (p->resends == 0 && p->sent_at <= now)
        *sent_at = p->sent_at;
    packet_free(p);
    return true;
}

/* Everything below `ack` has arrived. */
static void acknowledged(rovei_flow_send *s, uint64_t now, uint64_t ack)
{
    uint64_t sent_at = UINT64_MAX;
    ROVEI_LIST_EACH (it, nxt, &s->pending) {
        rovei_flow_packet *p = pending_of(it);
        if (p->sequence >= ack)
            break;
        if (settle(p, now, &sent_at))
            grow(s);
    }
    if (sent_at != UINT64_MAX)
        measured(s, now - sent_at);
    if (s->recovering && ack > s->recover)
        s->recovering = false;
}

void rovei_flow_send_window(rovei_flow_send *s, uint64_t now, const rovei_flow_message *m)
{
    uint64_t seen = s->credit.seen;
    rovei_flow_credit_grant(&s->credit, m->consumed);
    if (s->credit.seen > seen)
        s->alive = now;
    if (s->reliable)
        acknowledged(s, now, m->ack);
}

static bool in_ranges(const rovei_flow_ranges *r, uint64_t sequence)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (sequence >= r->r[i].start && sequence < r->r[i].end)
            return true;
    return false;
}

static void resend(rovei_flow_send *s, rovei_flow_packet *p)
{
    p->resends++;
    s->resent++;
    rovei_list_add_tail(s->queue, &p->queue);
}

void rovei_flow_send_nack(rovei_flow_send *s, const rovei_flow_message *m)
{
    if (!s->reliable || (s->recovering && m->ack <= s->recover))
        return;
    s->recovering = true;
    s->recover = m->ack;
    bool any = false;
    ROVEI_LIST_EACH (it, nxt, &s->pending) {
        rovei_flow_packet *p = pending_of(it);
        uint64_t above = p->sequence - m->ack; /* 0: the lowest that is missing */
        if (p->sequence < m->ack || above > 64 || (above && !(m->missing >> (above - 1) & 1)))
            continue;
        if (in_ranges(&s->received, p->sequence)) {
            s->contradicted++;
            continue;
        }
        /* What waits to leave needs no second request. */
        if (!rovei_list_empty(&p->queue) || p->resends >= ROVEI_FLOW_RESENDS)
            continue;
        resend(s, p);
        any = true;
    }
    if (any)
        shrink(s, false);
}

void rovei_flow_send_ranges(rovei_flow_send *s, uint64_t now, const rovei_flow_message *m)
{
    if (!s->reliable)
        return;
    bool recovering = s->recovering;
    acknowledged(s, now, m->ack);
    s->recovering = recovering;
    s->received = m->ranges;
    uint64_t sent_at = UINT64_MAX;
    uint32_t steps = (s->cwnd + ONE - 1) / ONE;
    ROVEI_LIST_EACH (it, nxt, &s->pending) {
        rovei_flow_packet *p = pending_of(it);
        if (in_ranges(&m->ranges, p->sequence) && settle(p, now, &sent_at) && steps) {
            grow(s);
            steps--;
        }
    }
    if (sent_at != UINT64_MAX)
        measured(s, now - sent_at);
}

/* ---- time ---- */

/* The pause doubles with each resend, so that a path slower than the first guess is not given up
 * before its first acknowledgement can come. */
static uint64_t patience(const rovei_flow_send *s, const rovei_flow_packet *p)
{
    uint64_t pause = s->rto << (p->resends < 8 ? p->resends : 8);
    return pause > ROVEI_FLOW_RTO_MAX ? ROVEI_FLOW_RTO_MAX : pause;
}

void rovei_flow_send_expire(rovei_flow_send *s, uint64_t now)
{
    if (!s->reliable)
        return;
    bool late = false;
    ROVEI_LIST_EACH (it, nxt, &s->pending) {
        rovei_flow_packet *p = pending_of(it);
        if (!rovei_list_empty(&p->queue) || now < rovei_time_add(p->sent_at, patience(s, p)))
            continue;
        if (p->resends >= ROVEI_FLOW_RESENDS) {
            s->failed = true;
            rovei_flow_send_fini(s);
            return;
        }
        resend(s, p);
        late = true;
    }
    if (late)
        shrink(s, true);
}

void rovei_flow_send_check(const rovei_flow_send *s)
{
    uint32_t count = 0;
    uint64_t least = 0;
    ROVEI_LIST_EACH (it, nxt, &s->pending) {
        const rovei_flow_packet *p = pending_of(it);
        ROVEI_CHECK(p->owner == s && p->sequence >= least && p->sequence < s->next);
        ROVEI_CHECK(s->reliable || !rovei_list_empty(&p->queue));
        ROVEI_CHECK(p->resends <= ROVEI_FLOW_RESENDS);
        least = p->sequence + 1;
        count++;
    }
    ROVEI_CHECK(count == s->pending_count && count <= s->pending_max);
    ROVEI_CHECK(s->cwnd >= ROVEI_FLOW_CWND_MIN && s->cwnd <= s->pending_max * ONE);
    const rovei_flow_credit *c = &s->credit;
    ROVEI_CHECK(!c->window ||
                (c->seen <= c->sent && c->remaining + (c->sent - c->seen) == c->window));
}
