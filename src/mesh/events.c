/* SPDX-License-Identifier: Apache-2.0
 *
 * What the mesh reports, its counters, and its self-check. Nothing is queued: each association
 * knows what it has not told yet, so reporting needs no memory and cannot fail. */
#include <base/check.h>
#include <base/mutant.h>
#include <mesh/peer.h>

static const char *const drop_names[ROVEI_DROP_COUNT] = {
#define DROP_NAME(id, name) [ROVEI_DROP_##id] = (name),
    ROVEI_DROP_LIST(DROP_NAME)
#undef DROP_NAME
};

const char *rovei_drop_name(rovei_drop reason)
{
    return (unsigned)reason < ROVEI_DROP_COUNT ? drop_names[reason] : "?";
}

static rovei_mesh_event event_of(const rovei_association *a, rovei_mesh_event_kind kind)
{
    return (rovei_mesh_event){.kind = kind, .peer = a->entity, .association = a->id};
}

/* The next step from what was told of the peer's liveness to what holds now. */
static rovei_mesh_event next_state(rovei_association *a)
{
    if (a->state == ROVEI_PEER_UP) {
        a->told = ROVEI_PEER_UP;
        return event_of(a, ROVEI_MESH_ALIVE);
    }
    if (a->told == ROVEI_PEER_UP) {
        a->told = ROVEI_PEER_SUSPECT;
        return event_of(a, ROVEI_MESH_SUSPECT);
    }
    a->told = a->state;
    return event_of(a, ROVEI_MESH_FAILED);
}

static bool next_of_transport(rovei_association *a, rovei_mesh_event *ret)
{
    rovei_transport_event e;
    if (!rovei_transport_poll(a->transport, &e))
        return false;
    rovei_mesh_event_kind kind = ROVEI_MESH_MESSAGE;
    switch (e.kind) {
    case ROVEI_TRANSPORT_MESSAGE:
        kind = ROVEI_MESH_MESSAGE;
        break;
    case ROVEI_TRANSPORT_FINISHED:
        kind = ROVEI_MESH_FINISHED;
        break;
    case ROVEI_TRANSPORT_RESET:
        kind = ROVEI_MESH_RESET;
        break;
    case ROVEI_TRANSPORT_REFUSED:
        kind = ROVEI_MESH_REFUSED;
        break;
    }
    *ret = event_of(a, kind);
    ret->stream = e.stream;
    ret->tag = e.tag;
    ret->message = e.kind == ROVEI_TRANSPORT_MESSAGE ? e.message : NULL;
    /* What was taken gives the peer room to send. */
    if (a->peer)
        rovei_peer_touch(a->peer);
    return true;
}

/* In this order: that it stands, how the peer does, what has come, that it has ended. */
static bool next_of_association(rovei_mesh *m, rovei_association *a, rovei_mesh_event *ret)
{
    if (!a->announced) {
        a->announced = true;
        *ret = event_of(a, ROVEI_MESH_UP);
        return true;
    }
    if (!a->ended && a->told != a->state) {
        *ret = next_state(a);
        return true;
    }
    if (next_of_transport(a, ret))
        return true;
    if (a->ended) {
        *ret = event_of(a, ROVEI_MESH_GONE);
        ret->reason = a->reason;
        rovei_association_free(a, m->env);
        return true;
    }
    rovei_list_remove(&a->pending);
    return false;
}

static bool next_unanswered(rovei_mesh *m, rovei_mesh_event *ret)
{
    size_t it = 0;
    for (rovei_peer *p; m->unanswered && (p = rovei_map_next(&m->peers, &it));) {
        if (!p->opening.unanswered)
            continue;
        p->opening.unanswered = false;
        m->unanswered--;
        *ret = (rovei_mesh_event){.kind = ROVEI_MESH_UNANSWERED, .peer = p->entity};
        return true;
    }
    return false;
}

bool rovei_mesh_poll(rovei_mesh *m, rovei_mesh_event *ret)
{
    if (m->time_grown) {
        m->time_grown = false;
        *ret = (rovei_mesh_event){.kind = ROVEI_MESH_TIME, .value = m->time};
        return true;
    }
    while (!rovei_list_empty(&m->pending)) {
        rovei_association *a = ROVEI_CONTAINER(m->pending.next, rovei_association, pending);
        if (next_of_association(m, a, ret))
            return true;
    }
    return next_unanswered(m, ret);
}

rovei_mesh_stats rovei_mesh_stats_get(const rovei_mesh *m)
{
    return m->stats;
}

void rovei_mesh_drop_message(rovei_mesh *m)
{
    m->stats.drops[ROVEI_DROP_SUBPROTOCOL]++;
}

/* ---- self-check ---- */

static void check_session(const rovei_peer *p, const rovei_session *s, size_t *count)
{
    if (!s)
        return;
    ++*count;
    ROVEI_CHECK(s->peer == p);
    ROVEI_CHECK(rovei_map_get(&p->mesh->sessions, &s->index) == s);
    ROVEI_CHECK(s->sent <= p->mesh->env->limits.reject_packets + 1);
}

static void check_peer(const rovei_peer *p, size_t *sessions, size_t *openings)
{
    ROVEI_CHECK(!p->opening.unanswered || p->mesh->unanswered);
    ROVEI_CHECK(p->dial || p->assoc || p->next);
    ROVEI_CHECK((p->current != NULL) == (p->assoc != NULL));
    ROVEI_CHECK(p->current || !p->previous);
    check_session(p, p->previous, sessions);
    check_session(p, p->current, sessions);
    check_session(p, p->next, sessions);
    /* What is unconfirmed has sent nothing, and a peer is never waited for without a timer. */
    ROVEI_CHECK(!p->next || p->next->sent == 0);
    ROVEI_CHECK(!(p->current || p->next) || rovei_timer_is_set(&p->wear));
    ROVEI_CHECK(!p->dial || p->assoc || rovei_opening_is_active(p));
    /* An address that is asked is not asked for ever, and not for more than it gave. */
    ROVEI_CHECK(!p->path.addr.family || (p->assoc && rovei_timer_is_set(&p->probe)));
    ROVEI_CHECK(p->path.sent <= 3 * p->path.received || ROVEI_MUTANT(AMPLIFIES));
    ROVEI_CHECK(!(p->path.due || p->answer_due) || !rovei_list_empty(&p->urgent));
    ROVEI_CHECK(!p->opening.due || !rovei_list_empty(&p->urgent));
    if (p->opening.noise.pattern) {
        ++*openings;
        ROVEI_CHECK(rovei_map_get(&p->mesh->openings, &p->opening.index) == p);
    }
    if (p->assoc) {
        ROVEI_CHECK(p->assoc->peer == p && !p->assoc->ended);
        ROVEI_CHECK(rovei_map_get(&p->mesh->associations, &p->assoc->id) == p->assoc);
        ROVEI_CHECK(rovei_timer_is_set(&p->live));
        rovei_transport_check(p->assoc->transport);
    }
}

void rovei_mesh_check(const rovei_mesh *m)
{
    size_t it = 0, sessions = 0, openings = 0, associations = 0;
    for (const rovei_peer *p; (p = rovei_map_next(&m->peers, &it));) {
        check_peer(p, &sessions, &openings);
        associations += p->assoc != NULL;
    }
    ROVEI_CHECK(m->peers.count <= m->env->limits.peers_max);
    ROVEI_CHECK(m->seen.count <= m->env->limits.peers_max);
    ROVEI_CHECK(m->sessions.count == sessions);
    ROVEI_CHECK(m->openings.count == openings);
    ROVEI_CHECK(m->associations.count == associations);
    uint64_t sum = m->stats.datagrams_accepted;
    for (unsigned i = 0; i < ROVEI_DROP_COUNT; i++)
        if (i != ROVEI_DROP_SUBPROTOCOL)
            sum += m->stats.drops[i];
    ROVEI_CHECK(sum == m->stats.datagrams_received);
}
