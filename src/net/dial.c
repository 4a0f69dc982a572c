/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes that this node begins. A started node of the reference answers the routed framing
 * alone, one that is not started yet the direct framing alone, so both are tried: the routed one
 * first, and a while later, if nothing came, the other. Each attempt has a fresh key. They go on
 * for ever: a peer that still holds a session of ours for busy refuses for as long. */
#include <base/alloc.h>
#include <net/peer.h>
#include <string.h>

/* So often in a row without the interval growing; then it doubles, up to INTERVAL_MAX. */
#define STEADY_TIME  (120 * ROVE_SECOND)
#define INTERVAL_MAX (60 * ROVE_SECOND)
/* The share of the interval after which the other framing follows. */
#define SECOND_PART 5
/* Handshake messages that may wait for the socket. */
#define PARCELS_MAX 256

rove_err rovei_net_post(rovei_net *t, const rovei_addr *to, const uint8_t *bytes, size_t size)
{
    if (t->parcel_count >= PARCELS_MAX)
        return ROVE_E_FULL;
    rovei_net_parcel *parcel = ROVEI_NEW(&t->env->alloc, rovei_net_parcel);
    if (!parcel)
        return ROVE_E_NOMEM;
    parcel->to = *to;
    parcel->size = size;
    memcpy(parcel->bytes, bytes, size);
    rovei_list_add_tail(&t->parcels, &parcel->list);
    t->parcel_count++;
    return ROVE_OK;
}

static bool is_wanted(const rovei_net_link *l)
{
    if (l->fenced || !l->has_key || !l->has_addr)
        return false;
    const rovei_net_held *s = l->current;
    if (!s || l->state == ROVEI_PEER_FAILED)
        return true;
    /* This node dialled as well when it answered: perhaps the peer has taken neither. */
    return s->doubtful && !s->heard &&
           l->net->now.mono >= rovei_time_add(s->since, 2 * l->net->env->limits.net_heartbeat);
}

bool rovei_net_dial_is_open(const rovei_net_link *l)
{
    return l->attempts[0].running || l->attempts[1].running;
}

void rovei_net_dial_drop(rovei_net_attempt *a)
{
    if (a->running)
        rovei_net_handshake_fini(&a->handshake);
    a->running = false;
}

void rovei_net_dial_stop(rovei_net_link *l)
{
    rovei_net_dial_drop(&l->attempts[0]);
    rovei_net_dial_drop(&l->attempts[1]);
    l->dialled_since = 0;
    l->tries = 0;
    l->second_due = l->silence_untold = false;
    rovei_timer_set(&l->net->timers, &l->dial, ROVE_TIME_NEVER);
}

/* One message 1 with a fresh key; out of memory it is as if it were lost. */
static void begin(rovei_net_link *l, bool routed)
{
    rovei_net *t = l->net;
    rovei_net_attempt *a = &l->attempts[routed ? 0 : 1];
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    rovei_net_dial_drop(a);
    if (rovei_net_dial(&a->handshake, &t->self, l->node_id, l->key, routed, bytes, &size))
        return;
    a->running = true;
    a->to = l->addr;
    a->until = rovei_time_add(t->now.mono, l->interval);
    t->stats.handshakes_started++;
    if (rovei_net_post(t, &a->to, bytes, size))
        rovei_net_dial_drop(a);
}

static void next_try(rovei_net_link *l)
{
    rovei_net *t = l->net;
    if (l->second_due) {
        begin(l, false);
        l->second_due = false;
        rovei_timer_set(&t->timers, &l->dial,
                        rovei_time_add(t->now.mono, l->interval - l->interval / SECOND_PART));
        return;
    }
    if (t->now.mono - l->dialled_since >= STEADY_TIME && l->interval < INTERVAL_MAX)
        l->interval = rovei_time_min(2 * l->interval, INTERVAL_MAX);
    begin(l, true);
    if (l->tries <= ROVEI_TRIES_UNANSWERED && ++l->tries == ROVEI_TRIES_UNANSWERED && !l->current) {
        l->silence_untold = true;
        rovei_net_tell(l);
    }
    l->second_due = true;
    rovei_timer_set(&t->timers, &l->dial, rovei_time_add(t->now.mono, l->interval / SECOND_PART));
}

void rovei_net_dial_consider(rovei_net_link *l)
{
    if (l->dialled_since || !is_wanted(l))
        return;
    l->dialled_since = l->net->now.mono ? l->net->now.mono : 1;
    l->interval = l->net->env->limits.net_retry;
    next_try(l);
}

void rovei_net_dial_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_net_link *l = user;
    if (is_wanted(l)) {
        next_try(l);
        return;
    }
    /* The peer was answered meanwhile; it may still take what it was sent before. */
    uint64_t at = ROVE_TIME_NEVER;
    for (size_t i = 0; i < 2; i++) {
        if (now.mono >= l->attempts[i].until)
            rovei_net_dial_drop(&l->attempts[i]);
        if (l->attempts[i].running)
            at = rovei_time_min(at, l->attempts[i].until);
    }
    if (at == ROVE_TIME_NEVER)
        rovei_net_dial_stop(l);
    else
        rovei_timer_set(&l->net->timers, &l->dial, at);
}
