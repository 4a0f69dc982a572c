/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders from afar: a node that is not the source has a daemon moved. It decides nothing. It says
 * its order until the source answers, asks how it stands until the source says how it ended, and
 * when it is gone the move goes on without it. The source asks policy, begins the move under the
 * order's number, and tells. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/net_machine.h>
#include <string.h>

/* ---- both ---- */

static void say(rovei_node *n, const rove_entity *to, const rovei_move_message *m)
{
    uint8_t bytes[ROVEI_MOVE_HEAD_MAX + ROVEI_MOVE_TEXT_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_pipe pipe = {0};
    rovei_move_encode(m, true, &w);
    ROVEI_CHECK(w.err == ROVE_OK);
    (void)!rovei_pipe_send(n, &pipe, to, ROVEI_TAG_MOVE, (rove_span){bytes, rovei_writer_size(&w)},
                           NULL); /* the orchestrator asks again */
    rovei_pipe_finish(n, &pipe);
}

static size_t count_running(const rovei_node *n, bool ordered)
{
    size_t count = 0;
    ROVEI_LIST_EACH (it, next, &n->moves->running) {
        const rovei_attempt *a = ROVEI_CONTAINER(it, rovei_attempt, running);
        count +=
            ordered ? a->info.ordered : (a->source || a->net_source) && rovei_attempt_is_foreign(a);
    }
    return count;
}

/* ---- the orchestrator ---- */

static void say_order(rovei_attempt *a)
{
    const struct rovei_order *o = a->order;
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_ORDER,
        .order = {.flags = (o->keep_identity ? 0 : ROVEI_OFFER_IDENTITY) |
                           (o->known ? ROVEI_ORDER_KNOWN : 0),
                  .deadline = o->deadline,
                  .retry_not_ready = o->retry_not_ready,
                  .origin = a->info.origin},
    };
    (void)!rovei_attempt_send(a, &m, NULL);
}

/* One that the source may not have yet is not said any more: a cancelled one is not to begin. */
static void say_all(rovei_attempt *a)
{
    if (!a->order->cancel) {
        say_order(a);
        return;
    }
    rovei_move_message m = {.head.type = ROVEI_MOVE_CANCEL, .ended.reason = a->order->cancel};
    (void)!rovei_attempt_send(a, &m, NULL);
}

static bool is_ordered(const rovei_node *n, uint64_t origin)
{
    const struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->count; i++)
        if ((m->all[i]->order || m->all[i]->net_order) && m->all[i]->info.origin == origin)
            return true;
    return false;
}

static rove_err may_order(const rovei_node *n, const rovei_move_order *o, uint64_t origin)
{
    if (rovei_entity_equal(&o->source, &o->target))
        return ROVE_E_SAME_NODE;
    if (is_ordered(n, origin))
        return ROVE_E_ALREADY_MIGRATING;
    if (!rovei_node_reaches(n, &o->source))
        return ROVE_E_UNREACHABLE;
    if (count_running(n, true) >= n->env->limits.orders_max)
        return ROVE_E_FULL;
    return rovei_entity_is_net(&o->source) ? rovei_net_order_may(n, o, origin) : ROVE_OK;
}

static rove_err begin_order(rovei_attempt *a, rovei_now now, const rovei_move_order *o)
{
    a->order = ROVEI_NEW(a->node->alloc, struct rovei_order);
    if (!a->order)
        return ROVE_E_NOMEM;
    *a->order = (struct rovei_order){.a = a,
                                     .keep_identity = o->keep_identity,
                                     .retry_not_ready = o->retry_not_ready,
                                     .deadline = o->deadline};
    rovei_attempt_repeat(a, now);
    rovei_attempt_progress(a, now);
    say_order(a);
    return ROVE_OK;
}

rove_err rovei_order_start(rovei_node *n, rovei_now now, const rovei_move_order *o,
                           rovei_attempt_id *ret)
{
    rovei_move_info info = {.daemon = o->daemon,
                            .source = o->source,
                            .target = o->target,
                            .orchestrator = n->self,
                            .origin = o->origin,
                            .phase = ROVEI_PHASE_SNAPSHOT,
                            .ordered = true};
    if (!rovei_entity_is_zero(&o->daemon))
        info.origin = rovei_entity_origin(&o->daemon);
    rove_err err = may_order(n, o, info.origin);
    if (err)
        return err;
    rovei_rng_fill(&n->env->rng, info.attempt.bytes, sizeof info.attempt.bytes);
    rovei_attempt *a;
    err = rovei_attempt_new(&a, n, now, &info);
    if (err)
        return err;
    err =
        rovei_entity_is_net(&o->source) ? rovei_net_order_begin(a, now, o) : begin_order(a, now, o);
    if (err) {
        rovei_attempt_drop(a);
        return err;
    }
    if (o->deadline)
        rovei_timer_set(&n->timers, &a->due, rovei_time_add(now.mono, o->deadline));
    *ret = info.attempt;
    return ROVE_OK;
}

static void end_order(rovei_attempt *a, rovei_now now, rovei_move_outcome outcome, rove_err err)
{
    rovei_node *n = a->node;
    rovei_pipe_reset(n, &a->pipe); /* what has not come there yet is not to begin anything */
    ROVEI_DELETE(n->alloc, a->order);
    a->order = NULL;
    rovei_attempt_conclude(a, now, outcome, err);
    rovei_attempt_retire(a, now);
}

rove_err rovei_order_cancel(rovei_attempt *a, rovei_now now, rove_err why)
{
    if (a->net_order)
        return rovei_net_order_cancel(a->net_order, now, why);
    if (a->info.outcome == ROVEI_OUTCOME_COMPLETED ||
        (a->order && a->info.phase >= ROVEI_PHASE_CUTOVER))
        return ROVE_E_TOO_LATE;
    if (!a->order)
        return ROVE_E_NOT_FOUND;
    if (!a->order->cancel)
        a->order->cancel = why;
    rovei_attempt_repeat(a, now);
    say_all(a);
    return ROVE_OK;
}

void rovei_order_repeat(rovei_attempt *a, rovei_now now)
{
    if (a->order->known)
        rovei_attempt_repeat(a, now); /* how does it stand? */
    else
        rovei_attempt_back_off(a, now);
    say_all(a);
}

void rovei_order_peer_up(rovei_attempt *a, rovei_now now)
{
    rovei_attempt_repeat(a, now);
    say_all(a);
}

void rovei_order_peer_failed(rovei_attempt *a, rovei_now now)
{
    end_order(a, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST);
}

/* No word from the source. */
void rovei_order_limit(rovei_attempt *a, rovei_now now)
{
    end_order(a, now, ROVEI_OUTCOME_FAILED,
              rovei_node_reaches(a->node, &a->info.source) ? ROVE_E_TIMED_OUT : ROVE_E_PEER_LOST);
}

static void take_numbers(rovei_attempt *a, rovei_now now, const rovei_move_message *m)
{
    const rovei_move_outcome_body *o = &m->outcome;
    if (rovei_entity_is_zero(&a->info.daemon))
        a->info.daemon = m->head.daemon;
    if (m->head.epoch)
        a->info.epoch = m->head.epoch;
    if (o->attempts >= a->info.attempts) {
        a->info.attempts = o->attempts;
        a->info.bytes = o->bytes;
    }
    if (o->blackout && !a->info.active_at) { /* only their difference is known */
        a->info.active_at = now.mono;
        a->info.frozen_at = now.mono > o->blackout ? now.mono - o->blackout : 0;
    }
    rovei_attempt_phase(a, o->phase);
}

/* The source knows nothing of the order. What it never answered is certainly not begun; what it did
 * answer it has lost, in a crash. */
static void forgotten(rovei_attempt *a, rovei_now now)
{
    rove_err why = a->order->cancel;
    if (a->order->known || !why)
        end_order(a, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST);
    else
        end_order(a, now,
                  why == ROVE_E_TIMED_OUT ? ROVEI_OUTCOME_TIMED_OUT : ROVEI_OUTCOME_CANCELLED, why);
}

static void outcome(rovei_attempt *a, rovei_now now, const rovei_move_message *m)
{
    const rovei_move_outcome_body *o = &m->outcome;
    if (!a->order) {
        a->node->stats.orders_repeated++;
        return;
    }
    if (o->outcome == ROVEI_OUTCOME_FAILED && o->reason == ROVE_E_GONE) {
        forgotten(a, now);
        return;
    }
    a->order->known = true;
    take_numbers(a, now, m);
    rovei_attempt_progress(a, now);
    if (o->text.size)
        rovei_attempt_text(a, o->text);
    if (o->outcome == ROVEI_OUTCOME_RUNNING)
        a->info.reason = o->reason; /* why it stands */
    else
        end_order(a, now, o->outcome, o->reason);
}

/* ---- the source ---- */

static rovei_move_message report_of(const rovei_move_header *head, rovei_move_outcome outcome,
                                    rove_err reason)
{
    rovei_move_message m = {.head = *head, .outcome = {.outcome = outcome, .reason = reason}};
    m.head.type = ROVEI_MOVE_OUTCOME;
    return m;
}

void rovei_order_report(rovei_attempt *a)
{
    const rovei_move_info *i = &a->info;
    if (!rovei_attempt_is_foreign(a))
        return;
    rovei_move_header head = rovei_attempt_header(a, ROVEI_MOVE_OUTCOME);
    rovei_move_message m = report_of(&head, i->outcome, i->reason);
    m.outcome.phase = i->phase;
    m.outcome.attempts = i->attempts;
    m.outcome.bytes = i->bytes;
    if (i->frozen_at && i->active_at > i->frozen_at)
        m.outcome.blackout = i->active_at - i->frozen_at;
    m.outcome.text = i->text;
    say(a->node, &i->orchestrator, &m);
}

static void say_failed(rovei_node *n, const rovei_move_header *head, rove_err reason)
{
    rovei_move_message m = report_of(head, ROVEI_OUTCOME_FAILED, reason);
    m.head.epoch = 0;
    say(n, &head->orchestrator, &m);
}

static void refuse(rovei_node *n, const rovei_move_header *head, rove_err reason)
{
    n->stats.orders_refused++;
    say_failed(n, head, reason);
}

static rovei_order_asked *asked_of(struct rovei_moves *m, const rovei_attempt_id *attempt)
{
    for (size_t i = 0; i < m->asked_count; i++)
        if (memcmp(&m->asked[i].head.attempt, attempt, sizeof *attempt) == 0)
            return &m->asked[i];
    return NULL;
}

static void asked_drop(struct rovei_moves *m, rovei_order_asked *asked)
{
    *asked = m->asked[--m->asked_count];
}

/* The daemon's entity, found by its origin where the orchestrator does not know it. */
static void name_daemon(const rovei_node *n, rovei_move_header *h, uint64_t origin)
{
    const rovei_daemon *d = NULL;
    if (rovei_entity_is_zero(&h->daemon))
        d = rovei_map_get(&n->origins, &origin);
    if (d)
        h->daemon = d->entity;
}

/* Policy is asked before anything else is looked at: who may not order learns nothing. */
static void ask(rovei_node *n, const rovei_order_asked *order)
{
    struct rovei_moves *m = n->moves;
    uint64_t most = n->env->limits.orders_max;
    void *items = m->asked;
    if (!n->ask_policy) {
        refuse(n, &order->head, ROVE_E_REFUSED); /* by default nobody but this node */
        return;
    }
    if (m->asked_count + count_running(n, false) >= most) {
        refuse(n, &order->head, ROVE_E_FULL);
        return;
    }
    rove_err err =
        rovei_grow(n->alloc, &items, &m->asked_room, m->asked_count, sizeof *m->asked, most);
    m->asked = items;
    if (err)
        return; /* as if it was lost */
    const rove_entity *daemon = &order->head.daemon;
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    uint64_t ticket = rovei_node_ask(n, ROVEI_ASK_ORDER, daemon, &order->head.orchestrator,
                                     &order->head.attempt, d ? d->kind : NULL);
    if (ticket == UINT64_MAX)
        return;
    m->asked[m->asked_count] = *order;
    m->asked[m->asked_count++].ticket = ticket;
}

static rove_err begin(rovei_node *n, rovei_now now, const rovei_order_asked *asked)
{
    const rovei_move_header *h = &asked->head;
    rovei_move_order o = {.daemon = h->daemon,
                          .target = h->target,
                          .keep_identity = !(asked->order.flags & ROVEI_OFFER_IDENTITY),
                          .retry_not_ready = asked->order.retry_not_ready,
                          .deadline = asked->order.deadline};
    rovei_attempt_id id;
    rove_err err = rovei_moves_begin(n, now, &o, &h->orchestrator, &h->attempt, &id);
    const rovei_location *l = rovei_location_get(n, &h->daemon);
    return err == ROVE_E_NOT_FOUND && l && l->tombstone ? ROVE_E_MOVED : err;
}

bool rovei_order_answered(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->asked_count; i++) {
        if (m->asked[i].ticket != ticket)
            continue;
        rovei_order_asked asked = m->asked[i];
        asked_drop(m, &m->asked[i]);
        name_daemon(n, &asked.head, asked.order.origin); /* it may have come meanwhile */
        rove_err err = verdict ? ROVE_E_REFUSED : begin(n, now, &asked);
        if (err == ROVE_E_NOMEM)
            return true; /* it comes again */
        if (err) {
            refuse(n, &asked.head, err);
            return true;
        }
        n->stats.orders_taken++;
        rovei_order_report(rovei_attempt_find(n, &asked.head.attempt));
        return true;
    }
    return false;
}

static bool same_order(const rovei_attempt *a, const rovei_move_header *h)
{
    const rovei_move_info *i = &a->info;
    return i->local_source && rovei_entity_equal(&i->orchestrator, &h->orchestrator) &&
           rovei_entity_equal(&i->target, &h->target) &&
           (rovei_entity_is_zero(&h->daemon) || rovei_entity_equal(&i->daemon, &h->daemon));
}

static void order(rovei_node *n, const rovei_move_message *m, rovei_attempt *a)
{
    rovei_order_asked asked = {.head = m->head, .order = m->order};
    if (a || asked_of(n->moves, &m->head.attempt))
        n->stats.orders_repeated++;
    if (a) {
        rovei_order_report(a);
    } else if (m->order.flags & ROVEI_ORDER_KNOWN) {
        say_failed(n, &m->head, ROVE_E_GONE);
    } else if (!asked_of(n->moves, &m->head.attempt)) {
        name_daemon(n, &asked.head, m->order.origin);
        ask(n, &asked);
    }
}

static void cancel(rovei_node *n, rovei_now now, const rovei_move_message *m, rovei_attempt *a)
{
    rovei_order_asked *waits = asked_of(n->moves, &m->head.attempt);
    if (waits)
        asked_drop(n->moves, waits);
    if (!a) {
        say_failed(n, &m->head, ROVE_E_GONE);
        return;
    }
    (void)!rovei_node_cancel(n, now, &m->head.attempt, m->ended.reason); /* what is, is told */
    rovei_order_report(rovei_attempt_find(n, &m->head.attempt));
}

/* ---- messages ---- */

/* What the source says of an order belongs to the node that gave it. */
static rovei_attempt *ours(const rovei_node *n, const rove_entity *from, const rovei_move_header *h)
{
    rovei_attempt *a = rovei_order_find(n, &h->attempt);
    if (!a || !rovei_entity_equal(&n->self, &h->orchestrator) ||
        !rovei_entity_equal(from, &a->info.source) || !rovei_entity_equal(from, &h->source) ||
        !rovei_entity_equal(&h->target, &a->info.target))
        return NULL;
    /* A source that does not know the daemon names it as it was named to it. */
    bool named = !rovei_entity_is_zero(&h->daemon);
    if (named && rovei_entity_origin(&h->daemon) != a->info.origin)
        return NULL;
    if (named && !rovei_entity_is_zero(&a->info.daemon) &&
        !rovei_entity_equal(&h->daemon, &a->info.daemon))
        return NULL;
    return a;
}

void rovei_order_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_move_message *m)
{
    const rovei_move_header *h = &m->head;
    if (h->type == ROVEI_MOVE_OUTCOME) {
        rovei_attempt *told = ours(n, from, h);
        if (told)
            outcome(told, now, m);
        else
            n->stats.frames_refused++;
        return;
    }
    rovei_attempt *a = rovei_attempt_find(n, &h->attempt);
    const rovei_order_asked *waits = asked_of(n->moves, &h->attempt);
    if (!rovei_entity_equal(from, &h->orchestrator) || !rovei_entity_equal(&n->self, &h->source) ||
        rovei_entity_equal(from, &n->self) || (a && !same_order(a, h)) ||
        (waits && !rovei_entity_equal(from, &waits->head.orchestrator)))
        n->stats.frames_refused++;
    else if (h->type == ROVEI_MOVE_ORDER)
        order(n, m, a);
    else
        cancel(n, now, m, a);
}

/* ---- the whole ---- */

void rovei_orders_shutdown(rovei_node *n, rovei_now now)
{
    struct rovei_moves *m = n->moves;
    m->asked_count = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->all[i]->order)
            end_order(m->all[i], now, ROVEI_OUTCOME_FAILED, ROVE_E_SHUTTING_DOWN);
        else if (m->all[i]->net_order)
            rovei_net_order_shutdown(m->all[i]->net_order, now);
}

void rovei_order_check(const rovei_attempt *a)
{
    ROVEI_CHECK(rovei_order_find(a->node, &a->info.attempt) == a);
    ROVEI_CHECK(!a->source && !a->target && !a->info.local_source);
    ROVEI_CHECK((a->order || a->net_order) == (a->info.outcome == ROVEI_OUTCOME_RUNNING));
    ROVEI_CHECK(!a->order || (a->order->a == a && !a->net_order));
    if (a->net_order)
        rovei_net_order_check(a->net_order);
}
