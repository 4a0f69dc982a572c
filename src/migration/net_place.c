/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots that come in class net, until they are whole and may come: a place for each sender and
 * daemon. The outside is asked at the first chunk, whichever that is, whether a daemon of this
 * origin is expected here, and once more when chunk 0 has told whose it is; what is refused is let
 * go of at once, and its sender hears it once. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/net_machine.h>
#include <state/snapshot.h>
#include <string.h>

/* A set of chunks that was refused: the rest of it gets no further answer. One that does not go on
 * for so long is over. */
#define REFUSED_LIFE (250 * ROVE_MILLISECOND)

typedef enum grant { GRANT_NONE, GRANT_ORIGIN, GRANT_ENTITY } grant;

typedef struct rovei_net_place {
    uint64_t number; /* its key among the chunks */
    rovei_net_arrival arrival;
    bool has_entity;
    uint32_t total, seen; /* chunks of the present set */
    uint64_t ticket;      /* of the question that is under way; 0 = none */
    grant asked, granted;
    uint64_t progress_at;
} rovei_net_place;

/* ---- the table ---- */

static rovei_net_place *find(const rovei_node *n, uint64_t from, uint64_t origin)
{
    const struct rovei_net_moves *m = n->net_moves;
    for (size_t i = 0; i < m->place_count; i++)
        if (m->places[i]->arrival.origin == origin && m->places[i]->arrival.from == from)
            return m->places[i];
    return NULL;
}

static void drop(rovei_node *n, rovei_net_place *p)
{
    struct rovei_net_moves *m = n->net_moves;
    for (size_t i = 0; i < m->place_count; i++)
        if (m->places[i] == p)
            m->places[i] = m->places[--m->place_count];
    rovei_chunks_forget(&m->chunks, p->number);
    rove_buf_unref(p->arrival.whole);
    ROVEI_DELETE(n->alloc, p);
}

void rovei_net_places_free(struct rovei_net_moves *m)
{
    while (m->place_count)
        drop(m->node, m->places[m->place_count - 1]);
    rovei_free(m->node->alloc, m->places, m->place_room * sizeof *m->places);
}

/* One peer gets at most a quarter of all places. */
static bool has_room(const rovei_node *n, uint64_t from)
{
    const struct rovei_net_moves *m = n->net_moves;
    uint64_t most = n->env->limits.net_reassemblies, count = 0;
    for (size_t i = 0; i < m->place_count; i++)
        count += m->places[i]->arrival.from == from;
    return m->place_count < most && count < (most + 3) / 4;
}

static rove_err make(rovei_node *n, rovei_net_place **ret)
{
    struct rovei_net_moves *m = n->net_moves;
    void *items = m->places;
    rove_err err =
        rovei_grow(n->alloc, &items, &m->place_room, m->place_count, sizeof *m->places, SIZE_MAX);
    m->places = items;
    rovei_net_place *p = err ? NULL : ROVEI_NEW(n->alloc, rovei_net_place);
    if (!p)
        return ROVE_E_NOMEM;
    p->number = rovei_node_number(n);
    rovei_rng_fill(&n->env->rng, p->arrival.attempt.bytes, sizeof p->arrival.attempt.bytes);
    m->places[m->place_count++] = p;
    *ret = p;
    return ROVE_OK;
}

/* ---- refused sets ---- */

static void remember_refused(struct rovei_net_moves *m, rovei_now now, uint64_t from,
                             uint64_t origin, uint32_t total, uint32_t seen)
{
    if (seen >= total)
        return;
    m->refused[m->refused_next++ % ROVEI_NET_REFUSED_MAX] =
        (rovei_net_refused_set){.from = from,
                                .origin = origin,
                                .total = total,
                                .left = total - seen,
                                .until = rovei_time_add(now.mono, REFUSED_LIFE)};
}

/* More of a set that was refused already. */
static bool is_leftover(struct rovei_net_moves *m, rovei_now now, uint64_t from, uint64_t origin,
                        uint32_t total)
{
    for (size_t i = 0; i < ROVEI_NET_REFUSED_MAX; i++) {
        rovei_net_refused_set *r = &m->refused[i];
        if (!r->left || r->from != from || r->origin != origin || r->total != total ||
            now.mono >= r->until)
            continue;
        r->left--;
        r->until = rovei_time_add(now.mono, REFUSED_LIFE);
        return true;
    }
    return false;
}

/* ---- failing ---- */

/* This node orders the daemon's move to that one: of its words about the daemon the target could
 * not tell a refused set from the end of that move, and would throw its copy away. */
static bool is_ordered_to(const rovei_node *n, uint64_t node_id, uint64_t origin)
{
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    const rovei_net_roles *r = d && d->net_source ? rovei_net_source_roles(d->net_source) : NULL;
    return r && r->orchestrator == n->net_moves->self && r->target == node_id;
}

static void say_refused(rovei_node *n, rovei_now now, uint64_t orchestrator, uint64_t origin,
                        rove_err err, const char *text)
{
    if (is_ordered_to(n, orchestrator, origin))
        rovei_netmove_out_of_phase(n, ROVEI_NETMOVE_SNAPSHOT_READY);
    else
        rovei_netmove_say_failed(n, now, orchestrator, origin, err, text);
}

/* It may not come, or cannot: whoever drives the move hears why. Not who is no part of it, and not
 * when memory was out, as if the chunk was lost. */
static void fail(rovei_node *n, rovei_now now, rovei_net_place *p, rove_err err, const char *text)
{
    if (err == ROVE_E_NOMEM) {
        drop(n, p);
        return;
    }
    rovei_netmove_refused(n, ROVEI_NETMOVE_SNAPSHOT_READY);
    if (err != ROVE_E_WRONG_PEER)
        say_refused(n, now, p->arrival.orchestrator, p->arrival.origin, err, text);
    remember_refused(n->net_moves, now, p->arrival.from, p->arrival.origin, p->total, p->seen);
    drop(n, p);
}

void rovei_net_not_restored(rovei_text *text)
{
    const rovei_text why = *text;
    rovei_text_set(text, "restore_snapshot failed: StateFailed(");
    rovei_text_add_quoted(text, rovei_text_span(&why));
    rovei_text_add(text, ")");
}

/* What the outside said, or the core, as the reference would put it. */
static void fail_place(rovei_node *n, rovei_now now, rovei_net_place *p, rove_err err)
{
    rovei_text text;
    rovei_text_set(&text, "");
    if (err == ROVE_E_EXISTS && rovei_net_done_find(n, now, p->arrival.origin)) {
        err = ROVE_E_TARGET_NO_FACTORY; /* it has come already, and nothing else is expected */
    } else if (err == ROVE_E_EXISTS) {
        rovei_text_add(&text, "daemon process failed: daemon ");
        rovei_text_add_hex(&text, p->arrival.origin);
        rovei_text_add(&text, " already registered");
    } else {
        rovei_text_add(&text, rove_strerror(err));
    }
    rovei_net_not_restored(&text);
    fail(n, now, p, err, text.chars);
}

/* ---- asking ---- */

/* Against what is here of it, before the outside is asked. */
static rove_err beside(rovei_node *n, rovei_now now, const rovei_net_place *p)
{
    rovei_daemon *d = rovei_daemon_by_origin(n, p->arrival.origin);
    if (d && d->net_source && d->role == ROVEI_ROLE_COMMITTED &&
        rovei_net_source_roles(d->net_source)->target == p->arrival.from &&
        !rovei_net_stamp_before(p->arrival.stamp, rovei_net_source_mark(d->net_source))) {
        /* Who gives it back has served it. */
        rovei_net_source_proved(d->net_source, now);
        d = rovei_daemon_by_origin(n, p->arrival.origin);
    }
    if (!d)
        return ROVE_OK;
    if (p->has_entity && !rovei_entity_equal(&d->entity, &p->arrival.entity))
        return ROVE_E_ORIGIN_TAKEN;
    switch (d->role) {
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
    case ROVEI_ROLE_PREPARED:
        /* Another snapshot of the same sender takes its place once it is whole. */
        return d->net_target ? ROVE_OK : ROVE_E_TARGET_NOT_READY;
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_ACTIVATING:
    case ROVEI_ROLE_COMMITTING:
    case ROVEI_ROLE_COMMITTED:
        return ROVE_E_TARGET_NOT_READY;
    case ROVEI_ROLE_SERVING:
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_ASIDE:
        break;
    }
    return ROVE_E_EXISTS;
}

static void ask(rovei_node *n, rovei_now now, rovei_net_place *p, grant what)
{
    rovei_net_arrival *a = &p->arrival;
    rove_entity peer = rovei_entity_of_net(a->from);
    rove_err err = beside(n, now, p);
    if (err) {
        fail_place(n, now, p, err);
        return;
    }
    uint64_t ticket = rovei_node_ask_place(n, a->origin, what == GRANT_ENTITY ? &a->entity : NULL,
                                           &peer, &a->attempt);
    if (ticket == UINT64_MAX) {
        fail(n, now, p, ROVE_E_NOMEM, NULL);
        return;
    }
    p->ticket = ticket;
    p->asked = what;
}

/* ---- going on ---- */

static rove_err parse(rovei_net_place *p, rovei_text *why)
{
    rovei_net_arrival *a = &p->arrival;
    if (rovei_snapshot_decode(&a->snapshot, rove_buf_span(a->whole))) {
        rovei_text_set(why, "failed to parse snapshot bytes on target");
        return ROVE_E_STATE_FAILED;
    }
    if (rovei_entity_origin(&a->snapshot.entity) != a->origin) {
        rovei_text_set(why, "snapshot origin ");
        rovei_text_add_hex(why, rovei_entity_origin(&a->snapshot.entity));
        rovei_text_add(why, " does not match daemon ");
        rovei_text_add_hex(why, a->origin);
        rovei_net_not_restored(why);
        return ROVE_E_STATE_FAILED;
    }
    if (p->has_entity && !rovei_entity_equal(&a->entity, &a->snapshot.entity)) {
        /* Another one of the same origin: it has not been asked for, nor is it being asked for. */
        p->granted = GRANT_NONE;
        p->ticket = 0;
    }
    a->entity = a->snapshot.entity;
    p->has_entity = true;
    return ROVE_OK;
}

/* Asks what is not known yet, and begins once everything is. The place may be gone afterwards. */
static void advance(rovei_node *n, rovei_now now, rovei_net_place *p)
{
    grant needed = p->has_entity ? GRANT_ENTITY : GRANT_ORIGIN;
    if (p->ticket)
        return;
    if (p->granted < needed) {
        ask(n, now, p, needed);
    } else if (p->arrival.whole) {
        rovei_text why = {0};
        rove_err err = rovei_net_target_begin(n, now, &p->arrival, &why);
        if (err == ROVE_E_IDENTITY_TRANSPORT)
            fail(n, now, p, err, why.chars);
        else if (err)
            fail_place(n, now, p, err == ROVE_E_NOMEM ? ROVE_E_TARGET_NOT_READY : err);
        else
            drop(n, p);
    }
}

bool rovei_net_place_answered(rovei_node *n, rovei_now now, uint64_t ticket, rovei_completion *c)
{
    struct rovei_net_moves *m = n->net_moves;
    for (size_t i = 0; i < m->place_count; i++) {
        rovei_net_place *p = m->places[i];
        if (p->ticket != ticket)
            continue;
        rove_span kind = rove_buf_span(c->text);
        p->ticket = 0;
        if (c->err || kind.size >= ROVEI_KIND_ROOM) {
            fail_place(n, now, p, c->err ? c->err : ROVE_E_TARGET_NO_FACTORY);
            return true;
        }
        if (kind.size)
            memcpy(p->arrival.kind, kind.data, kind.size);
        p->arrival.kind[kind.size] = '\0';
        p->granted = p->asked;
        advance(n, now, p);
        return true;
    }
    return false;
}

/* ---- chunks ---- */

/* What can never become a snapshot ends it; the rest is as if it had not come. */
static void not_taken(rovei_node *n, rovei_now now, rovei_net_place *p, rove_err err,
                      const rovei_text *why)
{
    rovei_text text;
    rovei_text_set(&text, "snapshot reassembly failed: ");
    rovei_text_add(&text, why->chars);
    if (err == ROVE_E_STATE_FAILED) {
        fail(n, now, p, err, why->chars);
    } else if (err == ROVE_E_TOO_LARGE) {
        fail(n, now, p, ROVE_E_STATE_FAILED, text.chars);
    } else if (err == ROVE_E_FULL) {
        fail(n, now, p, ROVE_E_TARGET_NOT_READY, NULL);
    } else {
        if (err != ROVE_E_NOMEM)
            rovei_netmove_out_of_phase(n, ROVEI_NETMOVE_SNAPSHOT_READY);
        if (!p->ticket && !p->granted)
            drop(n, p);
    }
}

static rove_err take_chunk(rovei_node *n, rovei_now now, rovei_net_place *p,
                           const rovei_netmove_chunk *c, rovei_text *why)
{
    rovei_net_arrival *a = &p->arrival;
    if (c->total > 1 && c->index == 0 && !p->has_entity) {
        if (rovei_netmove_check_head(a->origin, c->bytes, &a->entity, why))
            return ROVE_E_STATE_FAILED;
        p->has_entity = true;
    }
    rove_buf *whole = NULL;
    rove_err err = rovei_chunks_feed(&n->net_moves->chunks, now, p->number, c, &whole, why);
    if (err)
        return err;
    p->progress_at = now.mono;
    if (!whole)
        return ROVE_OK;
    rovei_chunks_forget(&n->net_moves->chunks, p->number);
    rove_buf_unref(a->whole);
    a->whole = whole;
    a->seq_through = c->seq_through;
    return parse(p, why);
}

/* Of a set that has become the daemon which serves here: said again, or kept by the network. */
static bool is_of_completed(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin,
                            const rovei_netmove_chunk *c)
{
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    const rovei_net_done *done = rovei_net_done_find(n, now, origin);
    return d && d->role == ROVEI_ROLE_SERVING && !d->net_source && done && done->source == from &&
           c->seq_through <= done->seq_through;
}

void rovei_net_target_chunk(rovei_node *n, rovei_now now, uint64_t from, uint64_t orchestrator,
                            uint64_t origin, const rovei_netmove_chunk *c)
{
    rovei_text why = {0};
    rovei_net_place *p = find(n, from, origin);
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    if ((d && d->net_target && d->net_target->step == ROVEI_NET_TARGET_ACTIVATING) ||
        is_of_completed(n, now, from, origin, c)) {
        rovei_netmove_out_of_phase(n, ROVEI_NETMOVE_SNAPSHOT_READY);
        return;
    }
    /* It would put an older snapshot in the place of the present one. */
    if (d && d->net_target &&
        rovei_net_moves_late(n, d->net_target->stamp, ROVEI_NETMOVE_SNAPSHOT_READY))
        return;
    if (!p && is_leftover(n->net_moves, now, from, origin, c->total))
        return;
    if (!p && !has_room(n, from)) {
        rovei_netmove_refused(n, ROVEI_NETMOVE_SNAPSHOT_READY);
        say_refused(n, now, orchestrator, origin, ROVE_E_TARGET_NOT_READY, NULL);
        remember_refused(n->net_moves, now, from, origin, c->total, 1);
        return;
    }
    if (!p && make(n, &p))
        return; /* out of memory: as if lost */
    p->arrival.from = from;
    p->arrival.orchestrator = orchestrator;
    p->arrival.origin = origin;
    if (rovei_net_stamp_before(p->arrival.stamp, n->net_moves->stamp))
        p->arrival.stamp = n->net_moves->stamp;
    if (p->total != c->total) {
        p->total = c->total;
        p->seen = 0;
    }
    p->seen++;
    rove_err err = take_chunk(n, now, p, c, &why);
    if (err)
        not_taken(n, now, p, err, &why);
    else
        advance(n, now, p);
    rovei_net_places_watch(n);
}

bool rovei_net_place_drop(rovei_node *n, uint64_t from, uint64_t origin)
{
    struct rovei_net_moves *m = n->net_moves;
    bool any = false;
    for (size_t i = m->place_count; i-- > 0;) {
        rovei_net_place *p = m->places[i];
        if (p->arrival.origin != origin ||
            (p->arrival.from != from && p->arrival.orchestrator != from) ||
            rovei_net_stamp_before(m->stamp, p->arrival.stamp))
            continue;
        drop(n, p);
        any = true;
    }
    return any;
}

/* ---- time ---- */

/* When the next one has been without progress for too long. */
void rovei_net_places_watch(rovei_node *n)
{
    struct rovei_net_moves *m = n->net_moves;
    uint64_t first = ROVE_TIME_NEVER;
    for (size_t i = 0; i < m->place_count; i++)
        first = rovei_time_min(
            first, rovei_time_add(m->places[i]->progress_at, n->env->limits.net_reassembly_age));
    rovei_timer_set(&n->timers, &m->sweep, first);
}

void rovei_net_places_sweep(rovei_node *n, rovei_now now)
{
    struct rovei_net_moves *m = n->net_moves;
    for (size_t i = m->place_count; i-- > 0;) {
        rovei_net_place *p = m->places[i];
        if (now.mono - p->progress_at < n->env->limits.net_reassembly_age)
            continue;
        const rovei_daemon *d = rovei_daemon_by_origin(n, p->arrival.origin);
        if (d && d->net_target && d->net_target->roles.source == p->arrival.from)
            drop(n, p); /* the rest of a set that came again: the move goes on without it */
        else
            fail(n, now, p, ROVE_E_STATE_FAILED,
                 "snapshot reassembly failed: some of its chunks did not come");
    }
    rovei_net_places_watch(n);
}

void rovei_net_places_check(const rovei_node *n)
{
    const struct rovei_net_moves *m = n->net_moves;
    ROVEI_CHECK(m->place_count <= m->place_room);
    ROVEI_CHECK(m->place_count <= n->env->limits.net_reassemblies);
    for (size_t i = 0; i < m->place_count; i++) {
        const rovei_net_place *p = m->places[i];
        ROVEI_CHECK(find(n, p->arrival.from, p->arrival.origin) == p);
        ROVEI_CHECK(p->ticket || p->granted);
    }
}
