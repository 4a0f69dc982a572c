/* SPDX-License-Identifier: Apache-2.0
 *
 * Peer records, associations, and what is remembered of entities without a record. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/peer.h>

/* A transport that wanted to send and had nothing after all is asked again after this. */
#define IDLE_PAUSE ROVE_MILLISECOND

rovei_peer *rovei_peer_find(const rovei_mesh *m, const rove_entity *entity)
{
    return rovei_map_get(&m->peers, entity->bytes);
}

/* ---- memory of handshake times ---- */

void rovei_peer_memory(const rovei_mesh *m, const rove_entity *entity, uint64_t *ret_time,
                       uint64_t *ret_incarnation)
{
    const rovei_peer *p = rovei_peer_find(m, entity);
    const rovei_seen *s = p ? NULL : rovei_map_get(&m->seen, entity->bytes);
    *ret_time = p ? p->last_time : s ? s->last_time : 0;
    *ret_incarnation = p ? p->incarnation : s ? s->incarnation : 0;
}

static void seen_remove(rovei_mesh *m, rovei_seen *s)
{
    rovei_map_remove(&m->seen, s->entity.bytes);
    rovei_list_remove(&s->order);
    ROVEI_DELETE(&m->env->alloc, s);
}

/* Out of memory, or past the bound: an old time is forgotten. That costs one unconfirmed session
 * for each replay of that entity's message 1, and nothing else. */
static void seen_add(rovei_mesh *m, const rovei_peer *p)
{
    if (!p->last_time && !p->incarnation)
        return;
    while (m->seen.count && m->seen.count >= m->env->limits.peers_max)
        seen_remove(m, ROVEI_CONTAINER(m->seen_order.next, rovei_seen, order));
    rovei_seen *s = ROVEI_NEW(&m->env->alloc, rovei_seen);
    if (!s)
        return;
    s->entity = p->entity;
    s->last_time = p->last_time;
    s->incarnation = p->incarnation;
    if (rovei_map_put(&m->seen, s->entity.bytes, s)) {
        ROVEI_DELETE(&m->env->alloc, s);
        return;
    }
    rovei_list_add_tail(&m->seen_order, &s->order);
}

/* ---- records ---- */

static void pump_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_peer *p = user;
    if (!p->assoc)
        return;
    rovei_transport_expire(p->assoc->transport, now);
    rovei_association_tell(p->assoc);
    if (rovei_keys_can_send(p) && rovei_list_empty(&p->ready))
        rovei_list_add_tail(&p->mesh->ready, &p->ready);
}

static rove_err reserve_timers(rovei_peer *p)
{
    rovei_timers *t = &p->mesh->timers;
    rove_err err = rovei_timers_reserve(t, &p->retry, rovei_opening_retry, p);
    if (!err)
        err = rovei_timers_reserve(t, &p->wear, rovei_keys_wear, p);
    if (!err)
        err = rovei_timers_reserve(t, &p->live, rovei_liveness_check, p);
    if (!err)
        err = rovei_timers_reserve(t, &p->probe, rovei_path_repeat, p);
    if (!err)
        err = rovei_timers_reserve(t, &p->pump, pump_fire, p);
    return err;
}

static void release_timers(rovei_peer *p)
{
    rovei_timers *t = &p->mesh->timers;
    rovei_timers_release(t, &p->retry);
    rovei_timers_release(t, &p->wear);
    rovei_timers_release(t, &p->live);
    rovei_timers_release(t, &p->probe);
    rovei_timers_release(t, &p->pump);
}

rove_err rovei_peer_new(rovei_peer **ret, rovei_mesh *m, const rove_entity *entity,
                        const uint8_t image[32])
{
    if (m->peers.count >= m->env->limits.peers_max)
        return ROVE_E_FULL;
    rovei_peer *p = ROVEI_NEW(&m->env->alloc, rovei_peer);
    if (!p)
        return ROVE_E_NOMEM;
    p->mesh = m;
    p->entity = *entity;
    for (size_t i = 0; i < sizeof p->image; i++)
        p->image[i] = image[i];
    p->session_class = ROVEI_CLASS_ROVE;
    p->own_number = rovei_rng_u64(&m->env->rng);
    rovei_list_init(&p->urgent);
    rovei_list_init(&p->ready);
    rovei_peer_memory(m, entity, &p->last_time, &p->incarnation);
    rove_err err = reserve_timers(p);
    if (!err)
        err = rovei_map_put(&m->peers, entity->bytes, p);
    if (err) {
        release_timers(p);
        ROVEI_DELETE(&m->env->alloc, p);
        return err;
    }
    rovei_seen *seen = rovei_map_get(&m->seen, entity->bytes);
    if (seen)
        seen_remove(m, seen);
    *ret = p;
    return ROVE_OK;
}

void rovei_peer_destroy(rovei_peer *p)
{
    rovei_mesh *m = p->mesh;
    rovei_opening_stop(p);
    if (p->assoc)
        rovei_association_end(p, ROVE_E_CLOSED, true);
    rovei_keys_drop(p, &p->next);
    release_timers(p);
    rovei_list_remove(&p->urgent);
    rovei_list_remove(&p->ready);
    ROVEI_DELETE(&m->env->alloc, p);
}

void rovei_peer_forget(rovei_peer *p)
{
    rovei_map_remove(&p->mesh->peers, p->entity.bytes);
    seen_add(p->mesh, p);
    rovei_peer_destroy(p);
}

void rovei_peer_settle(rovei_peer *p)
{
    if (!p->dial && !p->assoc && !p->next)
        rovei_peer_forget(p);
}

void rovei_peer_touch(rovei_peer *p)
{
    rovei_mesh *m = p->mesh;
    if (!p->assoc || !rovei_keys_can_send(p)) {
        rovei_list_remove(&p->ready);
        rovei_timer_set(&m->timers, &p->pump, ROVE_TIME_NEVER);
        return;
    }
    uint64_t at = rovei_transport_deadline(p->assoc->transport);
    if (at == 0) {
        if (rovei_list_empty(&p->ready))
            rovei_list_add_tail(&m->ready, &p->ready);
        return;
    }
    if (p->pump.deadline != at)
        rovei_timer_set(&m->timers, &p->pump, at);
}

void rovei_peer_rest(rovei_peer *p)
{
    rovei_mesh *m = p->mesh;
    rovei_list_remove(&p->ready);
    uint64_t at = ROVE_TIME_NEVER;
    if (p->assoc && rovei_keys_can_send(p)) {
        at = rovei_transport_deadline(p->assoc->transport);
        if (at <= m->now.mono)
            at = rovei_time_add(m->now.mono, IDLE_PAUSE);
    }
    rovei_timer_set(&m->timers, &p->pump, at);
}

uint64_t rovei_mesh_tick(rovei_mesh *m)
{
    m->time = m->now.wall > m->time ? m->now.wall : m->time + 1;
    m->time_grown = true;
    return m->time;
}

uint32_t rovei_mesh_index(rovei_mesh *m)
{
    uint32_t index;
    do
        index = rovei_rng_u32(&m->env->rng);
    while (rovei_map_get(&m->sessions, &index) || rovei_map_get(&m->openings, &index));
    return index;
}

rovei_hello rovei_peer_hello(rovei_peer *p)
{
    return (rovei_hello){
        .entity = p->mesh->entity,
        .incarnation = p->mesh->incarnation,
        .time = rovei_mesh_tick(p->mesh),
        .association = p->own_number,
        .version_min = ROVEI_PROTOCOL_MIN,
        .version_max = ROVEI_PROTOCOL_MAX,
    };
}

/* ---- associations ---- */

rove_err rovei_association_new(rovei_association **ret, rovei_peer *p, const rovei_session *s)
{
    rovei_mesh *m = p->mesh;
    rovei_association *a = ROVEI_NEW(&m->env->alloc, rovei_association);
    if (!a)
        return ROVE_E_NOMEM;
    rovei_list_init(&a->pending);
    a->entity = p->entity;
    a->id = m->associations_made + 1;
    a->number = s->number;
    a->incarnation = s->incarnation;
    a->state = a->told = ROVEI_PEER_UP;
    a->heard = a->pinged = m->now.mono;
    rove_err err = rovei_transport_new(&a->transport, m->env, m->now);
    if (!err)
        err = rovei_map_put(&m->associations, &a->id, a);
    if (err) {
        rovei_association_free(a, m->env);
        return err;
    }
    m->associations_made++;
    a->peer = p;
    *ret = a;
    return ROVE_OK;
}

void rovei_association_free(rovei_association *a, const rovei_env *env)
{
    rovei_list_remove(&a->pending);
    rovei_transport_free(a->transport);
    ROVEI_DELETE(&env->alloc, a);
}

void rovei_association_tell(rovei_association *a)
{
    if (a->peer && rovei_list_empty(&a->pending))
        rovei_list_add_tail(&a->peer->mesh->pending, &a->pending);
}

void rovei_association_end(rovei_peer *p, rove_err reason, bool forget)
{
    rovei_mesh *m = p->mesh;
    rovei_association *a = p->assoc;
    rovei_keys_drop(p, &p->previous);
    rovei_keys_drop(p, &p->current);
    if (forget) {
        rovei_keys_drop(p, &p->next);
        rovei_opening_stop(p);
        p->own_number = rovei_rng_u64(&m->env->rng);
    }
    rovei_timer_set(&m->timers, &p->live, ROVE_TIME_NEVER);
    rovei_path_stop(p);
    m->places++;
    rovei_map_remove(&m->associations, &a->id);
    a->ended = true;
    a->reason = reason;
    rovei_association_tell(a);
    p->assoc = NULL;
    a->peer = NULL;
    rovei_peer_touch(p);
    rovei_keys_schedule(p);
    /* Nobody has heard of it: there is nothing to tell. */
    if (!a->announced)
        rovei_association_free(a, m->env);
}
