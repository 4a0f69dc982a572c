/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes that this node begins: when, how often, and what happens with the answer. Each attempt
 * is a handshake of its own, with fresh keys and a later time. */
#include <mesh/peer.h>

#define INTERVAL_MAX (4 * ROVE_SECOND)

static bool traffic_waits(const rovei_association *a)
{
    return rovei_transport_stats_get(a->transport).bytes_queued > 0;
}

static bool is_wanted(const rovei_peer *p)
{
    const rovei_association *a = p->assoc;
    if (!a)
        return p->dial;
    if (a->state == ROVEI_PEER_FAILED && (p->dial || traffic_waits(a)))
        return true;
    return rovei_keys_are_worn(p);
}

bool rovei_opening_is_active(const rovei_peer *p)
{
    return p->opening.due || rovei_timer_is_set(&p->retry);
}

static void make_due(rovei_peer *p)
{
    p->opening.due = true;
    if (rovei_list_empty(&p->urgent))
        rovei_list_add_tail(&p->mesh->urgent, &p->urgent);
}

void rovei_opening_start(rovei_peer *p, uint64_t delay)
{
    rovei_mesh *m = p->mesh;
    if (rovei_opening_is_active(p))
        return;
    p->opening.interval = m->env->limits.handshake_retry;
    if (delay)
        rovei_timer_set(&m->timers, &p->retry, rovei_time_add(m->now.mono, delay));
    else
        make_due(p);
}

void rovei_opening_consider(rovei_peer *p)
{
    if (is_wanted(p))
        rovei_opening_start(p, 0);
}

/* Forgets the message 1 that is out: its answer would not be understood any more. */
static void drop_attempt(rovei_peer *p)
{
    rovei_opening *o = &p->opening;
    if (!o->noise.pattern)
        return;
    rovei_map_remove(&p->mesh->openings, &o->index);
    rovei_noise_fini(&o->noise);
}

void rovei_opening_stop(rovei_peer *p)
{
    drop_attempt(p);
    p->opening.due = false;
    p->opening.tries = 0;
    p->mesh->unanswered -= p->opening.unanswered;
    p->opening.unanswered = false;
    rovei_timer_set(&p->mesh->timers, &p->retry, ROVE_TIME_NEVER);
}

/* One more message 1 goes out, and none of those before was answered. */
static void count_try(rovei_peer *p)
{
    rovei_opening *o = &p->opening;
    if (o->tries <= ROVEI_TRIES_UNANSWERED)
        o->tries++;
    if (o->tries != ROVEI_TRIES_UNANSWERED || p->assoc || o->unanswered)
        return;
    o->unanswered = true;
    p->mesh->unanswered++;
}

void rovei_opening_retry(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    rovei_peer *p = user;
    if (is_wanted(p)) {
        make_due(p);
        return;
    }
    rovei_opening_stop(p);
    rovei_keys_schedule(p);
    rovei_peer_settle(p);
}

/* A fresh attempt in the place of the last one. E_NOMEM. */
static rove_err begin_attempt(rovei_peer *p)
{
    rovei_mesh *m = p->mesh;
    rovei_opening *o = &p->opening;
    drop_attempt(p);
    const rovei_noise_keys keys = {
        .static_secret = m->secrets,
        .static_public = m->static_public,
        .remote_static = p->image,
        .psk = m->secrets + 32,
    };
    rove_err err = rovei_handshake_init(&o->noise, m->env, true, &keys);
    if (err)
        return err;
    o->index = rovei_mesh_index(m);
    err = rovei_map_put(&m->openings, &o->index, p);
    if (err)
        rovei_noise_fini(&o->noise);
    return err;
}

size_t rovei_opening_write(rovei_peer *p, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_mesh *m = p->mesh;
    rovei_opening *o = &p->opening;
    o->due = false;
    if (!is_wanted(p)) {
        rovei_opening_stop(p);
        rovei_keys_schedule(p);
        return 0;
    }
    rovei_timer_set(&m->timers, &p->retry, rovei_time_add(m->now.mono, o->interval));
    uint64_t most = m->env->limits.handshake_retry;
    if (most < INTERVAL_MAX)
        most = INTERVAL_MAX;
    o->interval = o->interval < most / 2 ? o->interval * 2 : most;
    count_try(p);
    if (begin_attempt(p))
        return 0;
    uint8_t mac_key[32];
    rovei_mac_key(mac_key, m->secrets + 32, &p->entity);
    rovei_hello hello = rovei_peer_hello(p);
    rove_err err = rovei_initiation_write(&o->noise, o->index, &hello, mac_key, ret);
    rovei_wipe(mac_key, sizeof mac_key);
    if (err) {
        drop_attempt(p);
        return 0;
    }
    for (size_t i = 0; i < sizeof o->mac1; i++)
        o->mac1[i] = ret[ROVEI_INITIATION_SIZE - 2 * ROVEI_MAC_SIZE + i];
    o->proved = m->now.mono < o->cookie_until;
    if (o->proved)
        rovei_cookie_prove(ret, o->cookie);
    o->wrong = 0;
    o->time = hello.time;
    o->asked = m->now.mono;
    bool lost = !p->assoc || p->assoc->state == ROVEI_PEER_FAILED;
    /* A peer that was lost may be where it was last, or where it is dialled: in turn. */
    o->elsewhere = lost && p->dial && (!p->assoc || !o->elsewhere);
    o->to = o->elsewhere ? p->dial_addr : p->addr;
    *ret_to = o->to;
    m->stats.handshakes_started++;
    return ROVEI_INITIATION_SIZE;
}

rovei_drop rovei_opening_answered(rovei_mesh *m, const rovei_packet *packet)
{
    rovei_peer *p = rovei_map_get(&m->openings, &packet->receiver);
    if (!p)
        return ROVEI_DROP_SESSION;
    if (rovei_mac_check(packet, m->mac_key))
        return ROVEI_DROP_MAC;
    rovei_opening *o = &p->opening;
    /* Only a member that sees our message 1 can make this node do curve work here: not without
     * end. The next attempt has another index. */
    if (o->wrong >= m->env->limits.handshake_load)
        return ROVEI_DROP_RATE;
    rovei_hello hello;
    rove_err err = rovei_response_read(&o->noise, packet, &p->entity, &hello);
    if (err) {
        o->wrong++;
        /* What opened and is wrong inside has used the handshake up; the next attempt follows. */
        if (rovei_noise_is_done(&o->noise))
            drop_attempt(p);
        return rovei_drop_of(err);
    }
    rovei_session *s = NULL;
    rovei_drop drop = ROVEI_DROP_COUNT;
    if (hello.version != rovei_hello_choose(&hello))
        drop = ROVEI_DROP_PROTOCOL_VERSION;
    else if (hello.incarnation < p->incarnation)
        drop = ROVEI_DROP_INCARNATION;
    else if (rovei_session_new(&s, m->env, &o->noise, &hello, o->time, m->now.mono))
        drop = ROVEI_DROP_MEMORY;
    uint32_t index = o->index;
    uint64_t asked = o->asked;
    const rovei_addr to = o->to;
    drop_attempt(p);
    if (drop != ROVEI_DROP_COUNT)
        return drop;
    s->peer = p;
    s->index = index;
    s->addr = to;
    s->asked = asked;
    s->remote_index = packet->sender;
    if (rovei_map_put(&m->sessions, &s->index, s)) {
        rovei_session_free(s, m->env);
        return ROVEI_DROP_MEMORY;
    }
    p->incarnation = hello.incarnation;
    rovei_opening_stop(p);
    err = rovei_keys_install(p, s);
    rovei_opening_consider(p);
    return err ? rovei_drop_of(err) : ROVEI_DROP_COUNT;
}

rovei_drop rovei_opening_cookie(rovei_mesh *m, const rovei_packet *packet)
{
    rovei_peer *p = rovei_map_get(&m->openings, &packet->receiver);
    if (!p)
        return ROVEI_DROP_SESSION;
    rovei_opening *o = &p->opening;
    uint8_t key[32];
    rovei_cookie_key(key, m->secrets + 32, &p->entity);
    rove_err err = rovei_cookie_read(packet, key, o->mac1, o->cookie);
    rovei_wipe(key, sizeof key);
    if (err)
        return ROVEI_DROP_AUTH;
    /* The giver's secret may be drawn anew at any time; then there is another cookie. */
    o->cookie_until = rovei_time_add(m->now.mono, m->env->limits.cookie_life);
    /* At once, but only after a message without proof: who is asked again and again by a node
     * that never has enough keeps to its intervals. */
    if (!o->proved && !o->due)
        make_due(p);
    o->proved = true;
    o->tries = 0; /* it is there, and busy */
    return ROVEI_DROP_COUNT;
}
