/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshake packets that come in. What can be message 2 to a handshake of ours is tried as that
 * first, then as a message 1; one that does not authenticate changes nothing. Whatever is wrong is
 * answered by silence.
 *
 * Both sides may dial at once. Each answers the other; the one with the higher node id gives its
 * own handshake up, so that the other's session is the one that both have in the end. */
#include <net/peer.h>
#include <string.h>

/* ---- what strangers may cost ---- */

static bool is_known(const rovei_net *t, const rovei_addr *from)
{
    size_t it = 0;
    for (const rovei_net_link *l; (l = rovei_map_next(&t->links, &it));)
        if ((l->has_addr && rovei_addr_equal(&l->addr, from)) ||
            (l->current && rovei_addr_equal(&l->current->addr, from)))
            return true;
    return false;
}

/* Curve work for so many messages a second: known addresses and others have a share each, so that a
 * flood of strangers shuts nobody out. A share is kept as the time at which it is worked off. */
static bool may_work(rovei_net *t, const rovei_addr *from)
{
    uint64_t rate = t->env->limits.net_handshakes, now = t->now.mono;
    uint64_t share = ROVE_SECOND / rate ? ROVE_SECOND / rate : 1;
    uint64_t *full = &t->budget[is_known(t, from)];
    uint64_t at = *full > now ? *full : now;
    if (at - now + share > share * rate)
        return false;
    *full = at + share;
    return true;
}

/* Who is not served says so himself with the routed framing: that costs nobody's share. */
static rovei_net_drop judge_source(const rovei_net *t, uint32_t low)
{
    const rovei_net_link *l = rovei_net_link_of_low(t, low);
    if (!l)
        return ROVEI_NET_DROP_UNLISTED;
    return l->fenced ? ROVEI_NET_DROP_FENCED : ROVEI_NET_DROP_COUNT;
}

static rovei_net_drop drop_of(rove_err err)
{
    return err == ROVE_E_NOMEM || err == ROVE_E_FULL ? ROVEI_NET_DROP_MEMORY
                                                     : ROVEI_NET_DROP_HANDSHAKE;
}

/* ---- message 2 ---- */

static rovei_net_drop end_attempt(rovei_net_link *l, rovei_net_attempt *a,
                                  const rovei_net_packet *p, const uint8_t *dgram)
{
    rove_err err = rovei_net_dial_end(&a->handshake, p, dgram);
    if (err)
        return ROVEI_NET_DROP_HANDSHAKE;
    err = rovei_net_take_session(l, &a->handshake, &a->to, false);
    if (err) {
        rovei_net_dial_drop(a); /* it is used up; the next one comes at its time */
        return drop_of(err);
    }
    rovei_net_dial_stop(l);
    return ROVEI_NET_DROP_COUNT;
}

/* Tries the packet as message 2. A direct one names nobody, but has to come from where its message
 * 1 went to. */
static rovei_net_drop as_second(rovei_net *t, const rovei_addr *from, const rovei_net_packet *p,
                                const uint8_t *dgram)
{
    if (p->routed) {
        rovei_net_link *l = rovei_net_link_of_low(t, p->route.source);
        rovei_net_attempt *a = l ? &l->attempts[0] : NULL;
        bool fits = a && a->running && rovei_net_dial_fits(&a->handshake, p);
        return fits ? end_attempt(l, a, p, dgram) : ROVEI_NET_DROP_HANDSHAKE;
    }
    size_t it = 0;
    for (rovei_net_link *l; (l = rovei_map_next(&t->links, &it));) {
        rovei_net_attempt *a = &l->attempts[1];
        if (!a->running || !rovei_addr_equal(&a->to, from) ||
            !rovei_net_dial_fits(&a->handshake, p))
            continue;
        rovei_net_drop drop = end_attempt(l, a, p, dgram);
        if (drop != ROVEI_NET_DROP_HANDSHAKE)
            return drop;
    }
    return ROVEI_NET_DROP_HANDSHAKE;
}

/* ---- message 1 ---- */

static const rovei_net_answer *answer_in(const rovei_net_link *l, const uint8_t ephemeral[32])
{
    for (size_t i = 0; i < ROVEI_NET_ANSWERS; i++)
        if (l->answers[i].size && memcmp(l->answers[i].ephemeral, ephemeral, 32) == 0)
            return &l->answers[i];
    return NULL;
}

/* The answer that a repeated message 1 got before, or NULL. */
static const rovei_net_answer *answer_before(const rovei_net *t, const rovei_net_packet *p,
                                             const uint8_t *ephemeral)
{
    if (p->routed) {
        const rovei_net_link *l = rovei_net_link_of_low(t, p->route.source);
        return l ? answer_in(l, ephemeral) : NULL;
    }
    const rovei_net_answer *a = NULL;
    size_t it = 0;
    for (const rovei_net_link *l; !a && (l = rovei_map_next(&t->links, &it));)
        a = answer_in(l, ephemeral);
    return a;
}

/* Finds out whose message 1 it is. DROP_COUNT: `h` runs, h->peer is its sender. */
static rovei_net_drop read_first(rovei_net *t, rovei_net_handshake *h, const rovei_net_packet *p,
                                 const uint8_t *dgram)
{
    if (p->routed) {
        rove_err err = rovei_net_answer_routed(h, &t->self, p, dgram);
        return err ? drop_of(err) : ROVEI_NET_DROP_COUNT;
    }
    rove_err err = rovei_net_answer_direct(h, &t->self, p, dgram);
    if (err)
        return drop_of(err);
    size_t it = 0;
    for (const rovei_net_link *l; (l = rovei_map_next(&t->links, &it));)
        if (!rovei_net_answer_try(h, l->node_id))
            return ROVEI_NET_DROP_COUNT;
    return ROVEI_NET_DROP_HANDSHAKE;
}

/* Whether it was answered before, and so is played again by somebody. */
static bool was_seen(const rovei_net_link *l, const uint8_t ephemeral[32])
{
    uint64_t start = rovei_load64(ephemeral);
    for (size_t i = 0; i < ROVEI_NET_SEEN; i++)
        if (l->seen[i] == start)
            return true;
    return false;
}

/* Answers a good message 1: the session first, so that what follows message 2 finds it. */
static rovei_net_drop answer(rovei_net_link *l, rovei_net_handshake *h, const rovei_addr *from,
                             const uint8_t *ephemeral)
{
    rovei_net *t = l->net;
    rovei_net_answer *a = &l->answers[l->next_answer];
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    rove_err err = rovei_net_answer_write(h, bytes, &size);
    if (err)
        return drop_of(err);
    bool both = rovei_net_dial_is_open(l);
    err = rovei_net_take_session(l, h, from, both);
    if (err)
        return drop_of(err);
    l->next_answer = (l->next_answer + 1) % ROVEI_NET_ANSWERS;
    memcpy(a->ephemeral, ephemeral, sizeof a->ephemeral);
    memcpy(a->bytes, bytes, size);
    a->size = size;
    l->seen[l->next_seen] = rovei_load64(ephemeral);
    l->next_seen = (l->next_seen + 1) % ROVEI_NET_SEEN;
    t->stats.handshakes_answered++;
    if (both && t->self.node_id > l->node_id)
        rovei_net_dial_stop(l);
    /* When it does not get out the peer repeats its message, and gets the same answer. */
    err = rovei_net_post(t, from, bytes, size);
    return err ? drop_of(err) : ROVEI_NET_DROP_COUNT;
}

static rovei_net_drop as_first(rovei_net *t, const rovei_addr *from, const rovei_net_packet *p,
                               const uint8_t *dgram)
{
    rovei_net_handshake h = {0};
    rovei_net_drop drop = read_first(t, &h, p, dgram);
    if (drop == ROVEI_NET_DROP_COUNT) {
        rovei_net_link *l = rovei_net_link_of(t, h.peer);
        if (!l)
            drop = ROVEI_NET_DROP_UNLISTED;
        else if (l->fenced)
            drop = ROVEI_NET_DROP_FENCED;
        else if (was_seen(l, rovei_net_ephemeral(p, dgram)))
            drop = ROVEI_NET_DROP_REPLAY;
        else
            drop = answer(l, &h, from, rovei_net_ephemeral(p, dgram));
    }
    rovei_net_handshake_fini(&h);
    return drop;
}

rovei_net_drop rovei_net_receive_handshake(rovei_net *t, const rovei_addr *from,
                                           const rovei_net_packet *p, const uint8_t *dgram)
{
    const uint8_t *ephemeral = rovei_net_ephemeral(p, dgram);
    if (!ephemeral || p->body_size < ROVEI_NET_NOISE || p->body_size > ROVEI_NOISE_MAX)
        return ROVEI_NET_DROP_FORMAT;
    rovei_net_drop unserved = p->routed ? judge_source(t, p->route.source) : ROVEI_NET_DROP_COUNT;
    if (unserved != ROVEI_NET_DROP_COUNT)
        return unserved;
    if (!may_work(t, from))
        return ROVEI_NET_DROP_RATE;
    const rovei_net_answer *before = answer_before(t, p, ephemeral);
    if (before) {
        rove_err err = rovei_net_post(t, from, before->bytes, before->size);
        return err ? drop_of(err) : ROVEI_NET_DROP_COUNT;
    }
    rovei_net_drop drop = as_second(t, from, p, dgram);
    return drop == ROVEI_NET_DROP_HANDSHAKE ? as_first(t, from, p, dgram) : drop;
}
