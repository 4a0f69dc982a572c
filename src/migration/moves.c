/* SPDX-License-Identifier: Apache-2.0
 *
 * The entrance of the move machine: orders, messages, completions and peers, handed to the half
 * that they concern; and what a node says about an attempt that it does not run. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <migration/net_machine.h>
#include <string.h>

/* ---- orders ---- */

static uint64_t count_leaving(const rovei_node *n)
{
    uint64_t count = 0;
    ROVEI_LIST_EACH (it, next, &n->moves->running) {
        const rovei_attempt *a = ROVEI_CONTAINER(it, rovei_attempt, running);
        count += a->source || a->net_source;
    }
    return count;
}

uint64_t rovei_moves_arriving(const rovei_node *n)
{
    uint64_t count = 0;
    ROVEI_LIST_EACH (it, next, &n->moves->running) {
        const rovei_attempt *a = ROVEI_CONTAINER(it, rovei_attempt, running);
        count += a->target && a->target->step != ROVEI_TARGET_ACTIVE;
    }
    return count;
}

rove_err rovei_moves_may_leave(const rovei_daemon *d)
{
    switch (d->role) {
    case ROVEI_ROLE_SERVING:
        break;
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
    case ROVEI_ROLE_COMMITTED:
        return ROVE_E_ALREADY_MIGRATING;
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
    case ROVEI_ROLE_PREPARED:
    case ROVEI_ROLE_ACTIVATING:
    case ROVEI_ROLE_ASIDE:
        return ROVE_E_NOT_FOUND;
    }
    if (d->source || d->net_source)
        return ROVE_E_ALREADY_MIGRATING;
    if (d->shutting_down)
        return ROVE_E_SHUTTING_DOWN;
    if (d->epoch >= ROVEI_EPOCH_MAX)
        return ROVE_E_BOUND;
    return count_leaving(d->node) < d->node->env->limits.moves_max ? ROVE_OK : ROVE_E_MOVE_LIMIT;
}

static rove_err may_order(const rovei_node *n, const rovei_move_order *o, rovei_daemon **ret)
{
    rovei_daemon *d = rovei_daemon_find(n, &o->daemon);
    rove_err err = d ? rovei_moves_may_leave(d) : ROVE_E_NOT_FOUND;
    if (err)
        return err;
    if (rovei_entity_equal(&o->target, &n->self))
        return ROVE_E_SAME_NODE;
    if (!rovei_node_reaches(n, &o->target))
        return ROVE_E_TARGET_UNAVAILABLE;
    if (!o->keep_identity && (!d->key || rovei_keypair_is_read_only(d->key)))
        return ROVE_E_IDENTITY_TRANSPORT;
    *ret = d;
    return ROVE_OK;
}

rovei_move_info rovei_moves_info(const rovei_daemon *d, const rove_entity *target,
                                 const rove_entity *orchestrator, const rovei_attempt_id *attempt)
{
    const rovei_node *n = d->node;
    rovei_move_info info = {.daemon = d->entity,
                            .source = n->self,
                            .target = *target,
                            .orchestrator = *orchestrator,
                            .epoch = d->epoch + 1,
                            .phase = ROVEI_PHASE_SNAPSHOT,
                            .attempts = 0,
                            .local_source = true};
    if (attempt)
        info.attempt = *attempt;
    else
        rovei_rng_fill(&n->env->rng, info.attempt.bytes, sizeof info.attempt.bytes);
    return info;
}

rove_err rovei_moves_begin(rovei_node *n, rovei_now now, const rovei_move_order *o,
                           const rove_entity *orchestrator, const rovei_attempt_id *attempt,
                           rovei_attempt_id *ret)
{
    rovei_daemon *d;
    rove_err err = may_order(n, o, &d);
    if (err)
        return err;
    rovei_move_info info = rovei_moves_info(d, &o->target, orchestrator, attempt);
    if (rovei_entity_is_net(&o->target))
        return rovei_net_source_order(n, now, d, o, &info, ret);
    err = rovei_lanes_make(n, d);
    if (err)
        return err;
    struct rovei_source *s = ROVEI_NEW(n->alloc, struct rovei_source);
    if (!s)
        return ROVE_E_NOMEM;
    rovei_attempt *a;
    err = rovei_attempt_new(&a, n, now, &info);
    if (err) {
        ROVEI_DELETE(n->alloc, s);
        return err;
    }
    a->level = ROVEI_LEVEL_MEMORY;
    a->sinc = d->sinc;
    a->source = s;
    s->a = a;
    s->d = d;
    s->keep_identity = o->keep_identity;
    s->retry_not_ready = o->retry_not_ready;
    d->source = s;
    rovei_lanes_forget_gap(d->lanes);
    if (o->deadline)
        rovei_timer_set(&n->timers, &a->due, rovei_time_add(now.mono, o->deadline));
    *ret = info.attempt;
    rovei_source_start(s, now);
    return ROVE_OK;
}

rove_err rovei_node_move(rovei_node *n, rovei_now now, const rovei_move_order *o,
                         rovei_attempt_id *ret)
{
    if (!rovei_entity_is_zero(&o->source) && !rovei_entity_equal(&o->source, &n->self))
        return rovei_order_start(n, now, o, ret);
    return rovei_moves_begin(n, now, o, &n->self, NULL, ret);
}

rove_err rovei_node_cancel(rovei_node *n, rovei_now now, const rovei_attempt_id *attempt,
                           rove_err why)
{
    rovei_attempt *a = rovei_order_find(n, attempt);
    if (a)
        return rovei_order_cancel(a, now, why);
    a = rovei_attempt_find(n, attempt);
    if (!a || !a->info.local_source)
        return ROVE_E_NOT_FOUND;
    if (a->committed || a->info.outcome == ROVEI_OUTCOME_COMPLETED)
        return ROVE_E_TOO_LATE;
    if (!a->source && !a->net_source)
        return ROVE_E_NOT_FOUND;
    rovei_move_outcome outcome = why == ROVE_E_CANCELLED   ? ROVEI_OUTCOME_CANCELLED
                                 : why == ROVE_E_TIMED_OUT ? ROVEI_OUTCOME_TIMED_OUT
                                                           : ROVEI_OUTCOME_FAILED;
    if (a->net_source) {
        rovei_net_source_cancel(a->net_source, now, outcome, why);
        return ROVE_OK;
    }
    /* Its own deadline ended an order that had to wait for the move before. */
    if (a->source->step == ROVEI_SOURCE_WAIT && why == ROVE_E_TIMED_OUT)
        why = ROVE_E_MOVE_NOT_CLOSED;
    rovei_source_abort(a->source, now, outcome, why);
    return ROVE_OK;
}

/* ---- what a node says about an attempt that it does not run ---- */

/* This node has the right to run the daemon now. */
static bool holds(const rovei_daemon *d)
{
    switch (d->role) {
    case ROVEI_ROLE_SERVING:
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
    case ROVEI_ROLE_COMMITTED:
        return true;
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
    case ROVEI_ROLE_PREPARED:
    case ROVEI_ROLE_ACTIVATING:
    case ROVEI_ROLE_ASIDE:
        return false;
    }
    return false;
}

/* Abort is proof and never ignorance: this node knows that the attempt was not committed. The
 * attempt is none that runs here. */
static bool knows_uncommitted(const rovei_node *n, const rovei_move_header *h,
                              const rovei_attempt *a)
{
    if (a && a->info.local_source && !a->committed && a->info.outcome != ROVEI_OUTCOME_RUNNING)
        return true;
    const rovei_daemon *d = rovei_daemon_find(n, &h->daemon);
    if (d && holds(d))
        return true;
    const rovei_location *l = rovei_location_get(n, &h->daemon);
    if (l && (l->record.epoch > h->epoch ||
              (l->record.epoch == h->epoch && !rovei_entity_equal(&l->record.holder, &h->target))))
        return true;
    return ROVEI_MUTANT(ABORT_FROM_IGNORANCE);
}

static rove_err abort_reason(const rovei_attempt *a)
{
    return a && a->info.reason ? a->info.reason : ROVE_E_STALE;
}

static void strange_to_source(rovei_node *n, const rovei_move_message *m, rovei_attempt *a)
{
    switch ((int)m->head.type) {
    case ROVEI_MOVE_PREPARED:
        if (knows_uncommitted(n, &m->head, a))
            rovei_move_say_abort(n, &m->head, abort_reason(a));
        else
            rovei_move_say_unknown(n, &m->head);
        break;
    case ROVEI_MOVE_ACTIVE: {
        rovei_move_message closed = {.head.type = ROVEI_MOVE_CLOSED};
        rovei_move_answer(n, &m->head, &closed);
        break;
    }
    case ROVEI_MOVE_ACCEPT:
        if (a && !a->committed)
            rovei_move_say_abort(n, &m->head, abort_reason(a));
        else
            rovei_move_say_unknown(n, &m->head);
        break;
    case ROVEI_MOVE_UNKNOWN:
    case ROVEI_MOVE_REFUSE:
        if (a && (m->head.type == ROVEI_MOVE_REFUSE || m->unknown.answers == ROVEI_MOVE_ABORT))
            a->unanswered = false;
        break;
    default:
        break;
    }
}

/* Only what was served under this very attempt lets the source forget. A higher right of another
 * origin is no reason: the source hears of the record and keeps its copy aside. */
static void say_what_became(rovei_node *n, const rovei_move_header *h, const rovei_attempt *a)
{
    const rovei_location *l = rovei_location_get(n, &h->daemon);
    if (a && a->served) {
        rovei_move_say_active(n, h);
        return;
    }
    if (l && (l->record.epoch > h->epoch ||
              (l->record.epoch == h->epoch && !rovei_entity_equal(&l->record.holder, &n->self))))
        rovei_move_tell_record(n, &h->source, &l->record);
    rovei_move_say_unknown(n, h);
}

static void strange_to_target(rovei_node *n, const rovei_move_message *m, const rovei_attempt *a)
{
    switch ((int)m->head.type) {
    case ROVEI_MOVE_COMMIT:
    case ROVEI_MOVE_SEALED:
    case ROVEI_MOVE_EVENTS:
        say_what_became(n, &m->head, a);
        break;
    case ROVEI_MOVE_ABORT:
        rovei_target_unplace(n, &m->head.attempt);
        rovei_move_say_unknown(n, &m->head);
        break;
    default:
        break;
    }
}

/* ---- messages ---- */

typedef enum direction { TO_TARGET, TO_SOURCE, BOTH, OF_ORCHESTRATOR } direction;

static direction direction_of(rovei_move_type type)
{
    switch (type) {
    case ROVEI_MOVE_OFFER:
    case ROVEI_MOVE_STATE:
    case ROVEI_MOVE_EVENTS:
    case ROVEI_MOVE_POSITIONS:
    case ROVEI_MOVE_ENVELOPE:
    case ROVEI_MOVE_SEALED:
    case ROVEI_MOVE_COMMIT:
    case ROVEI_MOVE_CLOSED:
    case ROVEI_MOVE_ABORT:
        return TO_TARGET;
    case ROVEI_MOVE_ACCEPT:
    case ROVEI_MOVE_REFUSE:
    case ROVEI_MOVE_PREPARED:
    case ROVEI_MOVE_ACTIVE:
    case ROVEI_MOVE_RESULTS:
        return TO_SOURCE;
    case ROVEI_MOVE_UNKNOWN:
    case ROVEI_MOVE_PROGRESS:
        return BOTH;
    case ROVEI_MOVE_ORDER:
    case ROVEI_MOVE_CANCEL:
    case ROVEI_MOVE_OUTCOME:
        return OF_ORCHESTRATOR;
    }
    return OF_ORCHESTRATOR;
}

/* Each message comes from the one of source and target that it belongs to, and to the other. */
static bool entitled(const rovei_node *n, const rove_entity *from, const rovei_move_header *h,
                     bool *ret_to_source)
{
    direction way = direction_of(h->type);
    bool from_source = rovei_entity_equal(from, &h->source);
    bool from_target = rovei_entity_equal(from, &h->target);
    *ret_to_source = from_target && rovei_entity_equal(&n->self, &h->source);
    if (*ret_to_source)
        return way == TO_SOURCE || way == BOTH;
    return from_source && rovei_entity_equal(&n->self, &h->target) &&
           (way == TO_TARGET || way == BOTH);
}

static bool same_attempt(const rovei_attempt *a, const rovei_move_header *h)
{
    const rovei_move_info *i = &a->info;
    return i->epoch == h->epoch && rovei_entity_equal(&i->daemon, &h->daemon) &&
           rovei_entity_equal(&i->source, &h->source) && rovei_entity_equal(&i->target, &h->target);
}

static void to_source(rovei_node *n, rovei_now now, const rovei_move_message *m, rovei_attempt *a)
{
    if (a && a->source)
        rovei_source_receive(a->source, now, m);
    else
        strange_to_source(n, m, a);
}

static void to_target(rovei_node *n, rovei_now now, const rovei_move_message *m, rovei_attempt *a,
                      const rovei_pipe *via, rove_buf *message)
{
    if (m->head.type == ROVEI_MOVE_OFFER)
        rovei_target_offered(n, now, m);
    else if (!a || !a->target)
        strange_to_target(n, m, a);
    else if (m->head.type == ROVEI_MOVE_EVENTS)
        rovei_target_events(a->target, now, &m->events, message);
    else
        rovei_target_receive(a->target, now, m, via, message);
}

void rovei_moves_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_pipe *via, rove_buf *message)
{
    rovei_move_message m;
    bool for_source;
    if (rovei_move_decode(&m, rove_buf_span(message))) {
        n->stats.frames_malformed++;
        return;
    }
    if (direction_of(m.head.type) == OF_ORCHESTRATOR) {
        rovei_order_receive(n, now, from, &m);
        return;
    }
    rovei_attempt *a = rovei_attempt_find(n, &m.head.attempt);
    if (!entitled(n, from, &m.head, &for_source) || (a && !same_attempt(a, &m.head))) {
        n->stats.frames_refused++;
        return;
    }
    if (for_source)
        to_source(n, now, &m, a);
    else
        to_target(n, now, &m, a, via, message);
}

/* ---- completions ---- */

/* The cell is of no use: its attempt, or that round of it, has ended meanwhile. */
static void restored_for_nothing(rovei_node *n, const rovei_completion *c)
{
    if (c->err || !c->cell)
        return;
    rovei_effect *e = rovei_node_effect(n, ROVEI_EFFECT_FORGET);
    if (!e)
        return;
    e->cell = c->cell;
    e->attempt = c->attempt;
    e->err = ROVE_E_GONE;
}

static void applied(rovei_node *n, rovei_now now, rovei_completion *c)
{
    rovei_daemon *d = rovei_daemon_by_cell(n, c->cell);
    if (!d)
        return;
    if (d->source && !rovei_daemon_serves(d))
        d->source->a->info.applied_frozen += c->events;
    if (c->ticket == 0 && d->target)
        rovei_target_applied(d->target, now, c);
}

void rovei_moves_complete(rovei_node *n, rovei_now now, rovei_completion *c)
{
    rovei_attempt *a = rovei_attempt_find(n, &c->attempt);
    if (rovei_net_moves_complete(n, now, a, c))
        return;
    struct rovei_source *s = a ? a->source : NULL;
    struct rovei_target *t = a ? a->target : NULL;
    switch (c->kind) {
    case ROVEI_DONE_FROZEN:
        if (s)
            rovei_source_frozen(s, now, c);
        break;
    case ROVEI_DONE_DIVERTED:
        if (s)
            rovei_source_diverted(s, now, c);
        break;
    case ROVEI_DONE_COMMITTED:
        if (s)
            rovei_source_committed(s, now, c);
        break;
    case ROVEI_DONE_ANSWER:
        if (!rovei_order_answered(n, now, c->ticket, c->err))
            rovei_target_placed(n, now, c->ticket, c->err);
        break;
    case ROVEI_DONE_RESTORED:
        if (t && t->step == ROVEI_TARGET_RESTORING && !t->restored)
            rovei_target_restored(t, now, c);
        else
            restored_for_nothing(n, c);
        break;
    case ROVEI_DONE_ACTIVATED:
        if (t)
            rovei_target_activated(t, now);
        break;
    case ROVEI_DONE_STATE_READ:
        if (s)
            rovei_source_state_read(s, now, c);
        break;
    case ROVEI_DONE_STATE_OPENED:
        if (t && t->step == ROVEI_TARGET_RECEIVING && t->in.opening && c->ticket == t->round)
            rovei_target_opened(t, now, c);
        else
            restored_for_nothing(n, c);
        break;
    case ROVEI_DONE_STATE_WRITTEN:
        if (t && t->d->cell == c->cell)
            rovei_target_written(t, now, c);
        break;
    case ROVEI_DONE_APPLIED:
        applied(n, now, c);
        break;
    case ROVEI_DONE_EMITTED:
    case ROVEI_DONE_STORED:
        break;
    }
}

/* ---- peers ---- */

void rovei_moves_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++) {
        rovei_attempt *a = m->all[i];
        if (rovei_attempt_is_foreign(a) && rovei_entity_equal(&a->info.orchestrator, peer))
            rovei_order_report(a);
        if (!rovei_entity_equal(rovei_attempt_peer(a), peer))
            continue;
        if (a->source)
            rovei_source_peer_up(a->source, now);
        else if (a->target)
            rovei_target_peer_up(a->target, now);
        else if (a->order)
            rovei_order_peer_up(a, now);
        else if (a->unanswered)
            rovei_attempt_repeat(a, now);
    }
}

/* What was under way is lost; it goes on at peer_up, or the phase ends by its time. */
void rovei_moves_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++) {
        rovei_attempt *a = m->all[i];
        if (a->source && a->source->step == ROVEI_SOURCE_CLOSING &&
            rovei_entity_equal(rovei_attempt_peer(a), peer))
            rovei_source_peer_lost(a->source, now);
    }
}

void rovei_moves_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++) {
        rovei_attempt *a = m->all[i];
        if (!rovei_entity_equal(rovei_attempt_peer(a), peer))
            continue;
        if (a->source)
            rovei_source_peer_lost(a->source, now);
        else if (a->order)
            rovei_order_peer_failed(a, now);
    }
}

void rovei_moves_turn(rovei_node *n, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &n->moves->running) {
        rovei_attempt *a = ROVEI_CONTAINER(it, rovei_attempt, running);
        if (a->source)
            rovei_source_turn(a->source, now);
        else if (a->target)
            rovei_target_turn(a->target, now);
        else if (a->net_target)
            rovei_net_target_turn(a->net_target, now);
    }
}

/* ---- taken from outside ---- */

static void detach_source(rovei_node *n, rovei_now now, rovei_daemon *d, rove_err err)
{
    struct rovei_source *s = d->source;
    rovei_attempt *a = s->a;
    rovei_pipe_reset(n, &a->pipe);
    if (!a->committed && a->info.attempts) {
        rovei_move_header h = rovei_attempt_header(a, ROVEI_MOVE_ABORT);
        a->unanswered = true;
        rovei_move_say_abort(n, &h, err);
    }
    a->source = NULL;
    d->source = NULL;
    rovei_source_free(s);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_FAILED, err);
    rovei_attempt_retire(a, now);
}

static void detach_target(rovei_node *n, rovei_now now, rovei_daemon *d, rove_err err)
{
    struct rovei_target *t = d->target;
    rovei_attempt *a = t->a;
    rovei_pipe_reset(n, &a->pipe);
    if (t->step != ROVEI_TARGET_ACTIVE) {
        rovei_move_message m = {.head = rovei_attempt_header(a, ROVEI_MOVE_REFUSE),
                                .answer = {.round = t->round, .reason = err}};
        rovei_move_answer(n, &m.head, &m);
    }
    a->target = NULL;
    d->target = NULL;
    rovei_target_free(t);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_FAILED, err);
    rovei_attempt_retire(a, now);
}

bool rovei_moves_arrived(rovei_now now, rovei_daemon *d, const rove_entity *holder)
{
    return d->net_source && rovei_net_source_held_by(d->net_source, now, holder);
}

void rovei_moves_detach(rovei_node *n, rovei_now now, rovei_daemon *d, rove_err err)
{
    if (d->source)
        detach_source(n, now, d, err);
    if (d->target)
        detach_target(n, now, d, err);
    if (d->net_source)
        rovei_net_source_detach(d->net_source, now, err);
    if (d->net_target)
        rovei_net_target_detach(d->net_target, now, err);
}

/* ---- whose word is believed ---- */

bool rovei_moves_accepted(const rovei_node *n, const rove_entity *daemon, const rove_entity *from,
                          uint64_t epoch)
{
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (!d || !d->target || !rovei_entity_equal(&d->target->a->info.source, from))
        return false;
    uint64_t given = d->target->a->info.epoch;
    return epoch == given || epoch + 1 == given;
}

/* ---- invariants ---- */

void rovei_moves_check(const rovei_node *n)
{
    const struct rovei_moves *m = n->moves;
    ROVEI_CHECK(m->count == m->by_id.count + m->orders.count && m->count <= m->room);
    ROVEI_CHECK(m->place_count <= ROVEI_MOVE_QUESTIONS_MAX);
    ROVEI_CHECK(m->asked_count <= n->env->limits.orders_max);
    for (size_t i = 0; i < m->count; i++) {
        const rovei_attempt *a = m->all[i];
        if (a->info.ordered) {
            rovei_order_check(a);
            continue;
        }
        ROVEI_CHECK(rovei_attempt_find(n, &a->info.attempt) == a);
        ROVEI_CHECK((!a->source || !a->target) && !a->order);
        ROVEI_CHECK(a->source || a->target || a->net_source || a->net_target ||
                    a->info.outcome != ROVEI_OUTCOME_RUNNING);
        if (a->source)
            rovei_source_check(a->source);
        if (a->target)
            rovei_target_check(a->target);
        if (a->net_source)
            rovei_net_source_check(a->net_source);
        if (a->net_target)
            rovei_net_target_check(a->net_target);
    }
}
