/* SPDX-License-Identifier: Apache-2.0
 *
 * The entrance of moves in class net: who may say what. A message is looked at in this order: its
 * bytes, whether a record here makes its sender one of the move, and only then by the half that
 * keeps the record. What is refused changes nothing, is counted by its type and gets no answer. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <migration/net_machine.h>
#include <string.h>

/* How long a completed move is remembered, for a repeated ActivateTarget. */
#define DONE_LIFE (300 * ROVE_SECOND)

/* ---- life ---- */

static void fire_sweep(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_net_places_sweep(user, now);
}

rove_err rovei_net_moves_new(struct rovei_net_moves **ret, rovei_node *n)
{
    struct rovei_net_moves *m = ROVEI_NEW(n->alloc, struct rovei_net_moves);
    if (!m)
        return ROVE_E_NOMEM;
    m->node = n;
    m->self = rovei_entity_node_id(&n->self);
    rovei_chunks_init(&m->chunks, n->alloc, rovei_rng_u64(&n->env->rng));
    const rove_limits *limits = &n->env->limits;
    m->chunks.bytes_max = limits->net_reassembly_bytes;
    m->chunks.entries_max = limits->net_reassemblies;
    m->chunks.age_max = limits->net_reassembly_age;
    rovei_queue_init(&m->to_self, n->alloc, sizeof(rovei_net_note_to_self));
    rove_err err = rovei_timers_reserve(&n->timers, &m->sweep, fire_sweep, n);
    if (err) {
        rovei_net_moves_free(m);
        return err;
    }
    *ret = m;
    return ROVE_OK;
}

void rovei_net_moves_free(struct rovei_net_moves *m)
{
    if (!m)
        return;
    const rove_alloc *alloc = m->node->alloc;
    rovei_net_places_free(m);
    rovei_timers_release(&m->node->timers, &m->sweep);
    rovei_chunks_fini(&m->chunks);
    rovei_queue_fini(&m->to_self);
    rovei_net_asked_free(m);
    rovei_free(alloc, m->done, m->done_room * sizeof *m->done);
    ROVEI_DELETE(alloc, m);
}

/* ---- out ---- */

static rove_err send_to_self(struct rovei_net_moves *m, rove_span bytes)
{
    if (m->self_sent >= ROVEI_NETMOVE_SELF_MAX) {
        m->stats.to_self_dropped++;
        return ROVE_E_FULL;
    }
    rovei_net_note_to_self *note = rovei_queue_push(&m->to_self);
    if (!note)
        return ROVE_E_NOMEM;
    m->self_sent++;
    note->size = bytes.size;
    memcpy(note->bytes, bytes.data, bytes.size);
    return ROVE_OK;
}

rove_err rovei_netmove_send(rovei_node *n, rovei_now now, uint64_t to,
                            const rovei_netmove_message *message)
{
    struct rovei_net_moves *m = n->net_moves;
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_netmove_encode(message, &w);
    ROVEI_CHECK(w.err == ROVE_OK);
    rove_span span = {bytes, rovei_writer_size(&w)};
    if (to == m->self)
        return send_to_self(m, span);
    rove_err err = n->net ? rovei_net_send(n->net, now, to, ROVEI_NETMOVE_SUBPROTOCOL, span)
                          : ROVE_E_UNREACHABLE;
    if (err)
        m->stats.unsent++;
    else
        m->stats.sent[message->type]++;
    return err;
}

void rovei_netmove_say_failed(rovei_node *n, rovei_now now, uint64_t to, uint64_t origin,
                              rove_err err, const char *text)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = origin};
    m.failed.code = rovei_netmove_code_of(err);
    if (rovei_netmove_reason_has_text(m.failed.code)) {
        const char *words = text ? text : rove_strerror(err);
        m.failed.text = rovei_utf8_cut((rove_span){words, strlen(words)}, ROVEI_NETMOVE_TEXT_MAX);
    }
    (void)!rovei_netmove_send(n, now, to, &m); /* lost: the other side's time runs out */
}

/* ---- counting ---- */

void rovei_netmove_refused(rovei_node *n, rovei_netmove_type type)
{
    n->net_moves->stats.refused[type]++;
}

void rovei_netmove_out_of_phase(rovei_node *n, rovei_netmove_type type)
{
    n->net_moves->stats.out_of_phase[type]++;
}

rovei_net_move_stats rovei_net_moves_stats(const rovei_node *n)
{
    return n->net_moves->stats;
}

/* ---- what was sent before ---- */

rovei_net_stamp rovei_net_moves_heard(const rovei_node *n, uint64_t node_id)
{
    return n->net ? rovei_net_last_heard(n->net, node_id) : (rovei_net_stamp){0};
}

bool rovei_net_moves_late(rovei_node *n, rovei_net_stamp mark, rovei_netmove_type type)
{
    rovei_net_stamp stamp = n->net_moves->stamp;
    /* Of two sessions the older one may be the one that holds, so that it says nothing. */
    bool late = stamp.session == mark.session && rovei_net_stamp_before(stamp, mark);
    if (late)
        rovei_netmove_out_of_phase(n, type);
    return late;
}

/* ---- completed moves ---- */

static void forget_old(struct rovei_net_moves *m, rovei_now now)
{
    size_t old = 0;
    while (old < m->done_count && m->done[old].until <= now.mono)
        old++;
    if (old)
        memmove(m->done, m->done + old, (m->done_count - old) * sizeof *m->done);
    m->done_count -= old;
}

rove_err rovei_net_done_add(rovei_node *n, rovei_now now, const rovei_net_done *done)
{
    struct rovei_net_moves *m = n->net_moves;
    void *items = m->done;
    rovei_net_done_forget(n, done->origin);
    forget_old(m, now);
    rove_err err = rovei_grow(n->alloc, &items, &m->done_room, m->done_count, sizeof *m->done,
                              ROVEI_NET_DONE_MAX);
    m->done = items;
    if (err == ROVE_E_FULL) {
        memmove(m->done, m->done + 1, (m->done_count - 1) * sizeof *m->done);
        m->done_count--;
    } else if (err) {
        return err;
    }
    m->done[m->done_count] = *done;
    m->done[m->done_count++].until = rovei_time_add(now.mono, DONE_LIFE);
    return ROVE_OK;
}

const rovei_net_done *rovei_net_done_find(rovei_node *n, rovei_now now, uint64_t origin)
{
    struct rovei_net_moves *m = n->net_moves;
    forget_old(m, now);
    for (size_t i = 0; i < m->done_count; i++)
        if (m->done[i].origin == origin)
            return &m->done[i];
    return NULL;
}

void rovei_net_done_forget(rovei_node *n, uint64_t origin)
{
    struct rovei_net_moves *m = n->net_moves;
    for (size_t i = 0; i < m->done_count; i++) {
        if (m->done[i].origin != origin)
            continue;
        memmove(&m->done[i], &m->done[i + 1], (m->done_count - i - 1) * sizeof *m->done);
        m->done_count--;
        return;
    }
}

/* ---- who is entitled ---- */

static struct rovei_net_source *source_of(const rovei_node *n, uint64_t origin)
{
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    return d ? d->net_source : NULL;
}

static struct rovei_net_target *target_of(const rovei_node *n, uint64_t origin)
{
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    return d ? d->net_target : NULL;
}

/* A chunk comes from the recorded source where this node ordered the move; else from the
 * orchestrator of the move that is under way; else from whoever it is expected of. */
static void on_chunk(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_order *o = rovei_net_order_find(n, m->origin);
    const struct rovei_net_target *t = target_of(n, m->origin);
    bool entitled = o   ? rovei_net_order_roles(o)->source == from
                    : t ? rovei_net_target_roles(t)->orchestrator == from
                        : true;
    if (!entitled)
        rovei_netmove_refused(n, m->type);
    else if (o)
        rovei_net_order_receive(o, now, from, m);
    else
        rovei_net_target_chunk(n, now, from, from, m->origin, &m->chunk);
}

/* A target that goes on with a move which this node has ended before its commit: it was not there
 * to hear of it, and holds a copy until it does. Of several moves to it the last one counts. */
static void say_it_failed(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin)
{
    const struct rovei_moves *m = n->moves;
    for (size_t i = m->count; i-- > 0;) {
        rovei_attempt *a = m->all[i];
        if (!a->info.local_source || a->net_told != from ||
            rovei_entity_origin(&a->info.daemon) != origin)
            continue;
        if (!a->committed && !a->net_source) {
            a->farewells++;
            rovei_net_source_farewell(a, now);
        }
        return;
    }
}

/* RestoreComplete, ReplayComplete, ActivateAck: the recorded target says them to whoever drives the
 * move. */
static void of_target(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_order *o = rovei_net_order_find(n, m->origin);
    struct rovei_net_source *s = source_of(n, m->origin);
    const rovei_net_roles *roles = s ? rovei_net_source_roles(s) : NULL;
    if (o && rovei_net_order_roles(o)->target == from)
        rovei_net_order_receive(o, now, from, m);
    else if (roles && roles->orchestrator == n->net_moves->self && roles->target == from)
        rovei_net_source_receive(s, now, m);
    else {
        rovei_netmove_refused(n, m->type);
        if (!s && m->type != ROVEI_NETMOVE_ACTIVATE_ACK)
            say_it_failed(n, now, from, m->origin);
    }
}

/* It takes a daemon's life here and says where its events go: from the recorded orchestrator, and
 * for the recorded target. */
static void on_cutover(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_source *s = source_of(n, m->origin);
    const rovei_net_roles *roles = s ? rovei_net_source_roles(s) : NULL;
    if (roles && ((roles->orchestrator == from && roles->target == m->node) ||
                  ROVEI_MUTANT(CUTOVER_FROM_ANYONE)))
        rovei_net_source_receive(s, now, m);
    else if (roles || !rovei_net_source_cutover_again(n, now, from, m))
        rovei_netmove_refused(n, m->type);
}

static void on_cleanup(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_order *o = rovei_net_order_find(n, m->origin);
    if (o && rovei_net_order_roles(o)->source == from)
        rovei_net_order_receive(o, now, from, m);
    else
        rovei_netmove_refused(n, m->type);
}

/* Each record that has the sender in one of the other roles hears of it. */
static void on_failed(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_order *o = rovei_net_order_find(n, m->origin);
    struct rovei_net_source *s = source_of(n, m->origin);
    struct rovei_net_target *t = target_of(n, m->origin);
    bool heard = rovei_net_place_drop(n, from, m->origin);
    const rovei_net_roles *roles = o ? rovei_net_order_roles(o) : NULL;
    if (roles && (roles->source == from || roles->target == from)) {
        rovei_net_order_receive(o, now, from, m);
        heard = true;
    }
    roles = s ? rovei_net_source_roles(s) : NULL;
    uint64_t self = n->net_moves->self;
    if (roles &&
        (roles->orchestrator == from || (roles->orchestrator == self && roles->target == from) ||
         ROVEI_MUTANT(FAILURE_FROM_ANYONE))) {
        rovei_net_source_receive(s, now, m);
        heard = true;
    }
    if (t &&
        (rovei_net_target_roles(t)->orchestrator == from || ROVEI_MUTANT(FAILURE_FROM_ANYONE))) {
        rovei_net_target_receive(t, now, from, m);
        heard = true;
    }
    if (!heard)
        rovei_netmove_refused(n, m->type);
}

/* BufferedEvents, ActivateTarget. The source of a move that a third node drives is not known here,
 * so events come from the orchestrator alone; of a pull, from the source that it recorded. */
static void to_target(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    struct rovei_net_target *t = target_of(n, m->origin);
    const rovei_net_roles *roles = t ? rovei_net_target_roles(t) : NULL;
    bool events = m->type == ROVEI_NETMOVE_BUFFERED_EVENTS;
    if (roles && (roles->orchestrator == from || (events && roles->source == from)))
        rovei_net_target_receive(t, now, from, m);
    else if (t || events || !rovei_net_target_activate_again(n, now, from, m->origin))
        rovei_netmove_refused(n, m->type);
}

static void dispatch(rovei_node *n, rovei_now now, uint64_t from, const rovei_netmove_message *m)
{
    switch (m->type) {
    case ROVEI_NETMOVE_TAKE_SNAPSHOT:
        rovei_net_source_ordered(n, now, from, m->origin, m->node);
        break;
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        on_chunk(n, now, from, m);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        of_target(n, now, from, m);
        break;
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        on_cutover(n, now, from, m);
        break;
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
        on_cleanup(n, now, from, m);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        on_failed(n, now, from, m);
        break;
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        to_target(n, now, from, m);
        break;
    }
}

/* ---- in ---- */

static void receive(rovei_node *n, rovei_now now, uint64_t from, rove_span bytes)
{
    rovei_net_move_stats *stats = &n->net_moves->stats;
    rovei_netmove_message m;
    uint8_t type = bytes.size ? *(const uint8_t *)bytes.data : ROVEI_NETMOVE_TYPES;
    if (type > ROVEI_NETMOVE_TYPES)
        type = ROVEI_NETMOVE_TYPES;
    stats->received[type]++;
    if (bytes.size > ROVEI_NETMOVE_MESSAGE_MAX || rovei_netmove_decode(&m, bytes, NULL))
        stats->malformed[type]++;
    else
        dispatch(n, now, from, &m);
}

/* What this node says to itself, in order; what that causes joins the end. */
static void drain(rovei_node *n, rovei_now now)
{
    struct rovei_net_moves *m = n->net_moves;
    rovei_net_note_to_self note;
    if (m->draining)
        return;
    m->draining = true;
    m->stamp = (rovei_net_stamp){UINT64_MAX, UINT64_MAX}; /* these do not overtake each other */
    while (rovei_queue_pop(&m->to_self, &note))
        receive(n, now, m->self, (rove_span){note.bytes, note.size});
    m->draining = false;
    m->self_sent = 0;
}

void rovei_net_moves_receive(rovei_node *n, rovei_now now, uint64_t node_id, rovei_net_stamp stamp,
                             rove_buf *message)
{
    n->net_moves->stamp = stamp;
    receive(n, now, node_id, rove_buf_span(message));
    drain(n, now);
}

void rovei_net_moves_turn(rovei_node *n, rovei_now now)
{
    drain(n, now);
}

/* ---- completions ---- */

static bool complete_source(struct rovei_net_source *s, rovei_now now, rovei_completion *c)
{
    if (c->kind == ROVEI_DONE_FROZEN)
        rovei_net_source_frozen(s, now, c);
    else if (c->kind == ROVEI_DONE_COMMITTED)
        rovei_net_source_committed(s, now, c);
    else if (c->kind == ROVEI_DONE_DIVERTED)
        rovei_net_source_diverted(s, c);
    else
        return false;
    return true;
}

static bool complete_target(struct rovei_net_target *t, rovei_now now, rovei_completion *c)
{
    if (c->kind == ROVEI_DONE_RESTORED)
        rovei_net_target_restored(t, now, c);
    else if (c->kind == ROVEI_DONE_ACTIVATED)
        rovei_net_target_activated(t, now);
    else
        return false;
    return true;
}

bool rovei_net_moves_complete(rovei_node *n, rovei_now now, rovei_attempt *a, rovei_completion *c)
{
    if (c->kind == ROVEI_DONE_ANSWER)
        return rovei_net_place_answered(n, now, c->ticket, c) ||
               rovei_net_source_answered(n, now, c->ticket, c->err);
    if (c->kind == ROVEI_DONE_APPLIED) {
        rovei_daemon *d = rovei_daemon_by_cell(n, c->cell);
        if (!d || !d->net_target)
            return false;
        rovei_net_target_applied(d->net_target, now, c);
        return true;
    }
    if (a && a->net_source)
        return complete_source(a->net_source, now, c);
    return a && a->net_target && complete_target(a->net_target, now, c);
}

/* ---- peers ---- */

void rovei_net_moves_peer_up(rovei_node *n, rovei_now now, uint64_t node_id)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++) {
        const rovei_attempt *a = m->all[i];
        if (a->net_source)
            rovei_net_source_peer_up(a->net_source, now, node_id);
        else if (a->net_target)
            rovei_net_target_peer_up(a->net_target, now, node_id);
        else if (a->net_order)
            rovei_net_order_peer_up(a->net_order, now, node_id);
    }
}

void rovei_net_moves_peer_failed(rovei_node *n, rovei_now now, uint64_t node_id)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++) {
        const rovei_attempt *a = m->all[i];
        if (a->net_source)
            rovei_net_source_peer_failed(a->net_source, now, node_id);
        else if (a->net_target)
            rovei_net_target_peer_failed(a->net_target, now, node_id);
        else if (a->net_order)
            rovei_net_order_peer_failed(a->net_order, now, node_id);
    }
}

/* ---- invariants ---- */

void rovei_net_moves_check(const rovei_node *n)
{
    const struct rovei_net_moves *m = n->net_moves;
    rovei_chunks_check(&m->chunks);
    rovei_net_places_check(n);
    ROVEI_CHECK(m->done_count <= ROVEI_NET_DONE_MAX && m->self_sent <= ROVEI_NETMOVE_SELF_MAX);
}
