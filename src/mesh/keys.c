/* SPDX-License-Identifier: Apache-2.0
 *
 * The three places for sessions, and when sessions are replaced.
 *
 * A session that this node began is complete with message 2 and is used at once; its first packet
 * follows immediately and confirms it to the peer. A session that the peer began waits as `next`
 * until such a packet comes. The one it replaces still receives, as `previous`. */
#include <base/mutant.h>
#include <mesh/peer.h>

static const rove_limits *limits_of(const rovei_peer *p)
{
    return &p->mesh->env->limits;
}

static bool is_expired(const rovei_peer *p, const rovei_session *s)
{
    return p->mesh->now.mono >= rovei_time_add(s->created, limits_of(p)->reject_time);
}

void rovei_keys_drop(rovei_peer *p, rovei_session **slot)
{
    if (!*slot)
        return;
    rovei_map_remove(&p->mesh->sessions, &(*slot)->index);
    rovei_session_free(*slot, p->mesh->env);
    *slot = NULL;
}

bool rovei_keys_can_send(const rovei_peer *p)
{
    const rovei_session *s = p->current;
    return s && !is_expired(p, s) && s->sent < limits_of(p)->reject_packets;
}

/* The side that did not begin the session waits somewhat longer before it replaces it. */
static uint64_t worn_at(const rovei_session *s, uint64_t rekey, uint64_t reject)
{
    if (s->own || reject < rekey)
        return rekey;
    return rekey + (reject - rekey) / 4;
}

/* When its age asks for a successor. */
static uint64_t worn_time(const rovei_peer *p, const rovei_session *s)
{
    const rove_limits *l = limits_of(p);
    uint64_t at = rovei_time_add(s->created, worn_at(s, l->rekey_time, l->reject_time));
    /* Without a sign of life under these keys the peer may have dropped them unconfirmed. */
    if (s->own && !s->heard)
        at = rovei_time_min(at, rovei_time_add(s->created, l->unconfirmed_life));
    return at;
}

bool rovei_keys_are_worn(const rovei_peer *p)
{
    const rovei_session *s = p->current;
    const rove_limits *l = limits_of(p);
    if (!s)
        return false;
    uint64_t packets = worn_at(s, l->rekey_packets, l->reject_packets);
    if (s->sent >= packets || (s->own && s->window.next >= packets))
        return true;
    return p->mesh->now.mono >= worn_time(p, s);
}

void rovei_keys_schedule(rovei_peer *p)
{
    const rove_limits *l = limits_of(p);
    uint64_t at = ROVE_TIME_NEVER;
    if (p->next)
        at = rovei_time_add(p->next->created, l->unconfirmed_life);
    if (p->previous)
        at = rovei_time_min(at, rovei_time_add(p->previous->created, l->reject_time));
    if (p->current) {
        at = rovei_time_min(at, rovei_time_add(p->current->created, l->reject_time));
        if (!rovei_opening_is_active(p))
            at = rovei_time_min(at, worn_time(p, p->current));
    }
    rovei_timer_set(&p->mesh->timers, &p->wear, at);
}

void rovei_keys_wear(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_peer *p = user;
    if (p->next && now.mono >= rovei_time_add(p->next->created, limits_of(p)->unconfirmed_life))
        rovei_keys_drop(p, &p->next);
    if (p->previous && is_expired(p, p->previous))
        rovei_keys_drop(p, &p->previous);
    if (p->current && is_expired(p, p->current))
        rovei_association_end(p, ROVE_E_PEER_LOST, true);
    rovei_opening_consider(p);
    rovei_keys_schedule(p);
    rovei_peer_settle(p);
}

/* Puts a session of the standing association into its place; true when it is the current one now.
 * It may be freed otherwise. */
static bool place(rovei_peer *p, rovei_session *s)
{
    const rovei_mesh *m = p->mesh;
    bool lower = rovei_entity_compare(&m->entity, &p->entity) < 0;
    if (p->current && !ROVEI_MUTANT(REPLAY_ACCEPTED) &&
        !rovei_session_beats(s, p->current, lower)) {
        /* It crossed a better one. The peer has sent under it already if it began it; if not, it
         * sends nothing before it hears from us, which it never will. */
        if (s->own) {
            rovei_keys_drop(p, &s);
        } else {
            rovei_keys_drop(p, &p->previous);
            p->previous = s;
        }
        return false;
    }
    rovei_keys_drop(p, &p->previous);
    p->previous = p->current;
    p->current = s;
    return true;
}

/* The association to which `s` belongs: the standing one, or a new one in its place. */
static rove_err associate(rovei_peer *p, const rovei_session *s)
{
    rovei_association *a = p->assoc;
    uint64_t peer_time = rovei_session_peer_time(s);
    bool same = a && a->number == s->number && a->incarnation == s->incarnation;
    if (!same) {
        /* The peer's clock says which of its numbers is the later one. */
        if (a && peer_time <= a->peer_time && !ROVEI_MUTANT(REPLAY_ACCEPTED))
            return ROVE_E_GONE;
        rovei_association *fresh;
        rove_err err = rovei_association_new(&fresh, p, s);
        if (err)
            return err;
        if (a)
            rovei_association_end(
                p, a->incarnation == s->incarnation ? ROVE_E_PEER_LOST : ROVE_E_INCARNATION, false);
        p->assoc = a = fresh;
    } else {
        p->mesh->stats.rekeys++;
    }
    if (peer_time > a->peer_time)
        a->peer_time = peer_time;
    rovei_association_tell(a);
    return ROVE_OK;
}

rove_err rovei_keys_install(rovei_peer *p, rovei_session *s)
{
    /* The peer has received at this address: our message 1, or our message 2. */
    const rovei_addr addr = s->addr;
    if (s == p->next)
        p->next = NULL;
    rove_err err = associate(p, s);
    if (err) {
        rovei_keys_drop(p, &s);
        rovei_keys_schedule(p);
        return err;
    }
    bool own = s->own;
    uint64_t round_trip = p->mesh->now.mono - s->asked;
    p->mesh->stats.handshakes_completed++;
    bool in_use = place(p, s);
    rovei_path_use(p, &addr);
    rovei_transport_first_guess(p->assoc->transport, round_trip);
    if (in_use && own)
        rovei_transport_ping(p->assoc->transport);
    rovei_liveness_heard(p);
    rovei_liveness_start(p);
    rovei_keys_schedule(p);
    rovei_peer_touch(p);
    return ROVE_OK;
}
