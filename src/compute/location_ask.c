/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about places: inquiries under a nonce, answers to those of others, and searches on
 * behalf of senders. At most one question a second goes out per daemon, and none is passed on more
 * than once. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/location_table.h>
#include <string.h>

#define INQUIRIES_MAX       1024
#define SEEK_PEERS_MAX      64 /* nodes asked in one round of a search, or when passing on */
#define FORWARDS_PER_SECOND 32 /* questions of one peer that are passed on */

rove_err rovei_locate_send(rovei_node *n, const rove_entity *peer, const rovei_locate *m)
{
    uint8_t bytes[ROVEI_LOCATE_SIZE_MAX];
    rovei_correspondent *c = rovei_correspondent_get(n, peer);
    if (!c)
        return ROVE_E_UNREACHABLE;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_locate_write(&w, m);
    ROVEI_CHECK(w.err == ROVE_OK);
    rove_span head = {bytes, rovei_writer_size(&w)};
    return rovei_pipe_send(n, &c->locate, peer, ROVEI_TAG_LOCATE, head, NULL);
}

/* A copy that this node does not serve, and may serve one day without another question. */
static bool is_coming(const rovei_daemon *d)
{
    return d->role == ROVEI_ROLE_CLAIMING ||
           (d->role >= ROVEI_ROLE_RECEIVING && d->role <= ROVEI_ROLE_ACTIVATING);
}

static void answer(rovei_node *n, const rove_entity *to, uint64_t nonce, const rove_entity *daemon,
                   uint8_t flags)
{
    rovei_locate m;
    memset(&m, 0, sizeof m);
    m.type = ROVEI_LOCATE_ANSWER;
    m.nonce = nonce;
    m.daemon = *daemon;
    m.flags = flags;
    const rovei_location *at = rovei_location_get(n, daemon);
    if (at) {
        m.flags |= ROVEI_LOCATE_RECORD;
        m.record = at->record;
        if (at->stopped)
            m.flags |= ROVEI_LOCATE_STOPPED;
    }
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (d && is_coming(d))
        m.flags |= ROVEI_LOCATE_CLAIMED;
    (void)!rovei_locate_send(n, to, &m); /* lost: the asker's own time runs out */
}

/* ---- inquiries ---- */

rovei_inquiry *rovei_inquiry_find(const rovei_node *n, uint64_t nonce)
{
    return nonce ? rovei_map_get(&n->locations->inquiries, &nonce) : NULL;
}

void rovei_inquiry_free(rovei_inquiry *q)
{
    rovei_node *n = q->node;
    rovei_map_remove(&n->locations->inquiries, &q->nonce);
    if (rovei_map_get(&n->locations->forwarding, q->daemon.bytes) == q)
        rovei_map_remove(&n->locations->forwarding, q->daemon.bytes);
    rovei_timers_release(&n->timers, &q->limit);
    rovei_free(n->alloc, q->asked, q->room * sizeof *q->asked);
    ROVEI_DELETE(n->alloc, q);
}

/* What the others have said to one of those that asked. Who asked later and was not told by all
 * gets no answer that lets it spawn: it was given less time. */
static void answer_asker(const rovei_inquiry *q, size_t i, bool complete)
{
    const struct rovei_asker *to = &q->askers[i];
    uint8_t flags = i && !complete ? ROVEI_LOCATE_CLAIMED : 0;
    for (size_t k = 0; k < q->count; k++) {
        const struct rovei_asked *a = &q->asked[k];
        if (rovei_entity_equal(&a->peer, &to->peer))
            continue;
        flags |= (uint8_t)((a->claimed ? ROVEI_LOCATE_CLAIMED : 0) |
                           (a->heard ? ROVEI_LOCATE_HEARD : 0));
    }
    answer(q->node, &to->peer, to->nonce, &q->daemon, flags);
}

/* All have answered, or the time is over. SPAWN, ARRIVAL: its owner frees it. */
static void inquiry_end(rovei_inquiry *q, rovei_now now)
{
    rovei_node *n = q->node;
    rove_entity daemon = q->daemon;
    rovei_inquiry_purpose purpose = q->purpose;
    bool complete = rovei_inquiry_done(q);
    rovei_timer_set(&n->timers, &q->limit, ROVE_TIME_NEVER);
    if (purpose == ROVEI_INQUIRY_SPAWN) {
        q->count = q->answered;
        q->patient = false;
        rovei_spawn_answer(n, now, &daemon);
        return;
    }
    if (purpose == ROVEI_INQUIRY_ARRIVAL) {
        rovei_net_target_asked(n, now, &daemon);
        return;
    }
    for (size_t i = 0; i < q->asker_count; i++)
        answer_asker(q, i, complete);
    rovei_inquiry_free(q);
    if (purpose == ROVEI_INQUIRY_SEEK)
        rovei_senders_unreachable(n, now, &daemon);
}

static void fire_limit(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    inquiry_end(user, now);
}

/* Puts the question to one more node. False: enough have been asked. */
static bool ask_one(rovei_inquiry *q, const rove_entity *peer, size_t most, uint8_t hops)
{
    rovei_node *n = q->node;
    rovei_locate m;
    void *asked = q->asked;
    if (rovei_grow(n->alloc, &asked, &q->room, q->count, sizeof *q->asked, most))
        return false;
    q->asked = asked;
    memset(&m, 0, sizeof m);
    m.type = ROVEI_LOCATE_ASK;
    m.hops = hops;
    m.nonce = q->nonce;
    m.daemon = q->daemon;
    m.known = q->known;
    if (rovei_locate_send(n, peer, &m) == ROVE_OK)
        q->asked[q->count++] = (struct rovei_asked){.peer = *peer};
    return true;
}

static void ask_all(rovei_inquiry *q, const rove_entity *except, size_t most, uint8_t hops)
{
    rovei_node *n = q->node;
    rovei_peer_info info;
    size_t it = 0;
    while (rovei_mesh_peer_next(n->mesh, &it, &info)) {
        if (except && rovei_entity_equal(except, &info.entity))
            continue;
        if (!rovei_node_reaches(n, &info.entity))
            q->patient |= q->purpose == ROVEI_INQUIRY_SPAWN;
        else if (!ask_one(q, &info.entity, most, hops))
            return;
    }
}

rove_err rovei_inquiry_new(rovei_inquiry **ret, rovei_node *n, rovei_now now,
                           const rove_entity *daemon, rovei_inquiry_purpose purpose,
                           const rove_entity *except, size_t most, uint8_t hops, uint64_t known,
                           uint64_t wait)
{
    struct rovei_locations *l = n->locations;
    if (l->inquiries.count >= INQUIRIES_MAX)
        return ROVE_E_FULL;
    rovei_inquiry *q = ROVEI_NEW(n->alloc, rovei_inquiry);
    if (!q)
        return ROVE_E_NOMEM;
    q->node = n;
    q->daemon = *daemon;
    q->purpose = purpose;
    q->known = known;
    do
        q->nonce = rovei_rng_u64(&n->env->rng);
    while (!q->nonce || rovei_inquiry_find(n, q->nonce));
    rove_err err = rovei_timers_reserve(&n->timers, &q->limit, fire_limit, q);
    if (!err)
        err = rovei_map_put(&l->inquiries, &q->nonce, q);
    if (err) {
        rovei_timers_release(&n->timers, &q->limit);
        ROVEI_DELETE(n->alloc, q);
        return err;
    }
    ask_all(q, except, most, hops);
    if (q->count || q->patient)
        rovei_timer_set(&n->timers, &q->limit, rovei_time_add(now.mono, wait));
    *ret = q;
    return ROVE_OK;
}

/* ---- what comes ---- */

static struct rovei_asked *asked_of(rovei_inquiry *q, const rove_entity *peer)
{
    for (size_t i = 0; i < q->count; i++)
        if (rovei_entity_equal(&q->asked[i].peer, peer))
            return &q->asked[i];
    return NULL;
}

/* False: the question is not passed on. */
static bool may_forward(rovei_node *n, rovei_now now, const rove_entity *from)
{
    rovei_correspondent *c = rovei_correspondent_get(n, from);
    if (!c)
        return false;
    if (now.mono - c->forward_window >= ROVE_SECOND) {
        c->forward_window = now.mono;
        c->forwards = 0;
    }
    return c->forwards++ < FORWARDS_PER_SECOND;
}

/* Waits for the answers to a question that is being passed on already. Those who asked it are asked
 * as well, unlike before. */
static bool join(rovei_inquiry *q, const rovei_locate *m, const rove_entity *from)
{
    if (q->asker_count == ROVEI_ASKERS_MAX)
        return false;
    for (size_t i = 0; i < q->asker_count; i++) {
        const rove_entity *other = &q->askers[i].peer;
        if (!rovei_entity_equal(other, from) && !asked_of(q, other) &&
            (!ask_one(q, other, SEEK_PEERS_MAX + ROVEI_ASKERS_MAX, (uint8_t)(m->hops - 1)) ||
             !asked_of(q, other)))
            return false;
    }
    q->askers[q->asker_count++] = (struct rovei_asker){*from, m->nonce};
    return true;
}

static bool pass_on(rovei_node *n, rovei_now now, const rovei_locate *m, const rove_entity *from)
{
    rovei_inquiry *q;
    if (!may_forward(n, now, from))
        return false;
    q = rovei_map_get(&n->locations->forwarding, m->daemon.bytes);
    if (q)
        return join(q, m, from);
    uint64_t wait = n->env->limits.locate_wait / 2;
    if (rovei_inquiry_new(&q, n, now, &m->daemon, ROVEI_INQUIRY_FORWARD, from, SEEK_PEERS_MAX,
                          (uint8_t)(m->hops - 1), m->known, wait))
        return false;
    q->askers[q->asker_count++] = (struct rovei_asker){*from, m->nonce};
    if (rovei_map_put(&n->locations->forwarding, m->daemon.bytes, q)) {
        rovei_inquiry_free(q);
        return false;
    }
    if (rovei_inquiry_done(q))
        inquiry_end(q, now);
    return true;
}

/* A record is known that may help: above what the asker has, with addresses that may still be used.
 * Without such a one it is worth asking on. */
static bool can_help(const rovei_node *n, rovei_now now, const rove_entity *daemon, uint64_t known)
{
    const rovei_location *at = rovei_location_get(n, daemon);
    return at && at->record.epoch > known && now.wall <= at->record.not_after;
}

static void handle_ask(rovei_node *n, rovei_now now, const rove_entity *from, const rovei_locate *m)
{
    const rovei_daemon *d = rovei_daemon_find(n, &m->daemon);
    /* Where a copy arrives, its holder is still somebody else. */
    bool here = d && (d->role == ROVEI_ROLE_CLAIMING || !is_coming(d));
    if (here || !m->hops || can_help(n, now, &m->daemon, m->known))
        answer(n, from, m->nonce, &m->daemon, 0);
    else if (!pass_on(n, now, m, from))
        answer(n, from, m->nonce, &m->daemon, ROVEI_LOCATE_CLAIMED);
}

static void handle_answer(rovei_node *n, rovei_now now, const rove_entity *from,
                          const rovei_locate *m)
{
    rovei_inquiry *q = rovei_inquiry_find(n, m->nonce);
    if (!q || !rovei_entity_equal(&q->daemon, &m->daemon) || !asked_of(q, from))
        return; /* late: somebody else has answered meanwhile, or the time was over */
    bool heard = m->flags & ROVEI_LOCATE_HEARD, kept = false;
    if (m->flags & ROVEI_LOCATE_RECORD) {
        rove_err err = rovei_location_learn(n, now, &m->record, from);
        kept = !err;
        heard |= !err || err == ROVE_E_REFUSED || err == ROVE_E_FULL;
        q = rovei_inquiry_find(n, m->nonce); /* what was learned may have ended it */
        if (!q)
            return;
    }
    struct rovei_asked *a = asked_of(q, from);
    q->heard |= heard;
    q->claimed |= (m->flags & ROVEI_LOCATE_CLAIMED) != 0;
    if (a) {
        a->heard |= heard && !kept;
        a->claimed |= (m->flags & ROVEI_LOCATE_CLAIMED) != 0;
    }
    if (a && !a->answered) {
        a->answered = true;
        q->answered++;
    }
    if (rovei_inquiry_done(q) ||
        (q->purpose == ROVEI_INQUIRY_FORWARD && can_help(n, now, &m->daemon, q->known)))
        inquiry_end(q, now);
    else if (q->purpose == ROVEI_INQUIRY_SPAWN)
        rovei_spawn_answer(n, now, &m->daemon);
}

void rovei_location_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                            rove_buf *message)
{
    rovei_locate m;
    if (rovei_locate_read(rove_buf_span(message), &m)) {
        n->stats.frames_malformed++;
        return;
    }
    switch (m.type) {
    case ROVEI_LOCATE_ASK:
        handle_ask(n, now, from, &m);
        break;
    case ROVEI_LOCATE_ANSWER:
        handle_answer(n, now, from, &m);
        break;
    case ROVEI_LOCATE_TELL:
        rovei_location_told(n, now, from, &m.record);
        break;
    }
}

/* ---- searches ---- */

static rovei_seek *seek_get(const rovei_node *n, const rove_entity *daemon)
{
    return rovei_map_get(&n->locations->seeks, daemon->bytes);
}

static void seek_free(rovei_seek *s)
{
    rovei_node *n = s->node;
    rovei_map_remove(&n->locations->seeks, s->daemon.bytes);
    rovei_timers_release(&n->timers, &s->next);
    ROVEI_DELETE(n->alloc, s);
}

static void dial_holder(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    const rovei_location *at = rovei_location_get(n, daemon);
    if (!at || now.wall > at->record.not_after || rovei_node_reaches(n, &at->record.holder))
        return;
    for (size_t i = 0; i < at->record.addr_count; i++)
        rovei_node_dial(n, now, &at->record.holder, &at->record.addrs[i]);
}

void rovei_location_reach(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    const rovei_seek *s = seek_get(n, daemon);
    if (s && s->wanted)
        dial_holder(n, now, daemon);
}

static void fire_seek(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_seek *s = user;
    rovei_node *n = s->node;
    rove_entity daemon = s->daemon;
    (void)timer;
    if (!s->wanted) {
        seek_free(s);
        return;
    }
    dial_holder(n, now, &daemon);
    rovei_inquiry *q = rovei_inquiry_find(n, s->nonce);
    if (q)
        rovei_inquiry_free(q);
    s->nonce = 0;
    s->last = now.mono;
    s->pause = s->pause ? rovei_time_min(s->pause * 2, n->env->limits.locate_backoff) : ROVE_SECOND;
    if (s->pause < ROVE_SECOND)
        s->pause = ROVE_SECOND;
    rovei_timer_set(&n->timers, &s->next, rovei_time_add(now.mono, s->pause));
    const rovei_location *at = rovei_location_get(n, &daemon);
    if (rovei_inquiry_new(&q, n, now, &daemon, ROVEI_INQUIRY_SEEK, NULL, SEEK_PEERS_MAX,
                          ROVEI_LOCATE_HOPS_MAX, at ? at->record.epoch : 0,
                          n->env->limits.locate_wait))
        return;
    s->nonce = q->nonce;
    /* Nobody to ask is no answer either, but not before there was time for one. */
    if (rovei_inquiry_done(q))
        rovei_timer_set(&n->timers, &q->limit,
                        rovei_time_add(now.mono, n->env->limits.locate_wait));
}

static void seek_soon(rovei_seek *s, rovei_now now)
{
    uint64_t at = s->last ? rovei_time_add(s->last, ROVE_SECOND) : now.mono;
    if (!rovei_timer_is_set(&s->next) || s->next.deadline > at)
        rovei_timer_set(&s->node->timers, &s->next, at);
}

void rovei_location_seek(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_seek *s = seek_get(n, daemon);
    if (s) {
        if (!s->wanted) {
            s->wanted = true;
            s->pause = 0;
            seek_soon(s, now);
        }
        return;
    }
    s = ROVEI_NEW(n->alloc, rovei_seek);
    if (!s)
        return; /* the sender's own timer asks for it again */
    s->node = n;
    s->daemon = *daemon;
    s->wanted = true;
    if (rovei_timers_reserve(&n->timers, &s->next, fire_seek, s)) {
        ROVEI_DELETE(n->alloc, s);
        return;
    }
    if (rovei_map_put(&n->locations->seeks, daemon->bytes, s)) {
        rovei_timers_release(&n->timers, &s->next);
        ROVEI_DELETE(n->alloc, s);
        return;
    }
    seek_soon(s, now);
}

void rovei_location_unseek(rovei_node *n, const rove_entity *daemon)
{
    rovei_seek *s = seek_get(n, daemon);
    if (!s || !s->wanted)
        return;
    rovei_inquiry *q = rovei_inquiry_find(n, s->nonce);
    if (q)
        rovei_inquiry_free(q);
    s->nonce = 0;
    s->wanted = false;
    rovei_timer_set(&n->timers, &s->next, rovei_time_add(s->last, ROVE_SECOND));
}

void rovei_location_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    size_t it = 0;
    for (rovei_inquiry *q; (q = rovei_map_next(&n->locations->inquiries, &it));)
        if (q->purpose == ROVEI_INQUIRY_SPAWN && !asked_of(q, peer))
            (void)ask_one(q, peer, n->env->limits.peers_max, ROVEI_LOCATE_HOPS_MAX);
    rovei_location_tell_peer(n, now, peer);
    it = 0;
    for (rovei_seek *s; (s = rovei_map_next(&n->locations->seeks, &it));)
        if (s->wanted)
            seek_soon(s, now);
}

void rovei_location_seeks_free(struct rovei_locations *l)
{
    size_t it = 0;
    for (rovei_seek *s; (s = rovei_map_next(&l->seeks, &it)); it = 0)
        seek_free(s);
    it = 0;
    for (rovei_inquiry *q; (q = rovei_map_next(&l->inquiries, &it)); it = 0)
        rovei_inquiry_free(q);
}
