/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts: the table of those that run and of the outcomes that are kept, their notes and timers,
 * and how they speak. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/locate_codec.h>
#include <migration/net_machine.h>
#include <string.h>

/* First pause after NotReady; doubles up to the longest. */
#define NOT_READY_PAUSE   (ROVE_SECOND / 2)
#define NOT_READY_DOUBLES 5

/* ---- the table ---- */

rove_err rovei_moves_new(struct rovei_moves **ret, rovei_node *n)
{
    struct rovei_moves *m = ROVEI_NEW(n->alloc, struct rovei_moves);
    if (!m)
        return ROVE_E_NOMEM;
    m->node = n;
    rovei_map_init(&m->by_id, n->alloc, sizeof(rovei_attempt_id), rovei_rng_u64(&n->env->rng));
    rovei_map_init(&m->orders, n->alloc, sizeof(rovei_attempt_id), rovei_rng_u64(&n->env->rng));
    rovei_list_init(&m->running);
    *ret = m;
    return ROVE_OK;
}

static void attempt_free(rovei_attempt *a)
{
    rovei_node *n = a->node;
    rovei_timers_release(&n->timers, &a->repeat);
    rovei_timers_release(&n->timers, &a->limit);
    rove_buf_unref(a->text);
    rovei_timers_release(&n->timers, &a->due);
    if (a->order)
        ROVEI_DELETE(n->alloc, a->order);
    ROVEI_DELETE(n->alloc, a);
}

void rovei_moves_free(struct rovei_moves *m)
{
    if (!m)
        return;
    const rove_alloc *alloc = m->node->alloc;
    for (size_t i = 0; i < m->count; i++) {
        rovei_source_free(m->all[i]->source);
        rovei_target_free(m->all[i]->target);
        rovei_net_source_free(m->all[i]->net_source);
        rovei_net_target_free(m->all[i]->net_target);
        rovei_net_order_free(m->all[i]->net_order);
        attempt_free(m->all[i]);
    }
    rovei_map_fini(&m->by_id);
    rovei_map_fini(&m->orders);
    rovei_free(alloc, m->all, m->room * sizeof *m->all);
    rovei_free(alloc, m->places, m->place_room * sizeof *m->places);
    rovei_free(alloc, m->asked, m->asked_room * sizeof *m->asked);
    ROVEI_DELETE(alloc, m);
}

rovei_attempt *rovei_attempt_find(const rovei_node *n, const rovei_attempt_id *id)
{
    return rovei_map_get(&n->moves->by_id, id->bytes);
}

rovei_attempt *rovei_order_find(const rovei_node *n, const rovei_attempt_id *id)
{
    return rovei_map_get(&n->moves->orders, id->bytes);
}

static rovei_map *table_of(struct rovei_moves *m, const rovei_move_info *info)
{
    return info->ordered ? &m->orders : &m->by_id;
}

static bool running(const rovei_attempt *a)
{
    return a->source || a->target || a->order || a->net_source || a->net_target || a->net_order;
}

static void drop(rovei_attempt *a)
{
    struct rovei_moves *m = a->node->moves;
    ROVEI_CHECK(!running(a));
    for (size_t i = 0; i < m->count; i++) {
        if (m->all[i] != a)
            continue;
        memmove(&m->all[i], &m->all[i + 1], (m->count - i - 1) * sizeof *m->all);
        m->count--;
        break;
    }
    rovei_map_remove(table_of(m, &a->info), a->info.attempt.bytes);
    rovei_pipe_finish(a->node, &a->pipe);
    attempt_free(a);
}

void rovei_attempt_drop(rovei_attempt *a)
{
    rovei_list_remove(&a->running);
    drop(a);
}

/* Keeps at most outcomes_kept per daemon. Those whose Abort is answered go first; where one without
 * an answer has to go, the holder's record still proves what it said. */
static void make_room(rovei_node *n, const rove_entity *daemon)
{
    struct rovei_moves *m = n->moves;
    for (;;) {
        rovei_attempt *oldest = NULL, *answered = NULL;
        uint64_t kept = 0;
        for (size_t i = 0; i < m->count; i++) {
            rovei_attempt *a = m->all[i];
            if (running(a) || !rovei_entity_equal(&a->info.daemon, daemon))
                continue;
            kept++;
            if (!oldest)
                oldest = a;
            if (!answered && !a->unanswered)
                answered = a;
        }
        if (!oldest || kept < n->env->limits.outcomes_kept)
            return;
        drop(answered ? answered : oldest);
    }
}

/* ---- timers ---- */

static void set_pause(rovei_attempt *a, rovei_now now)
{
    rovei_timer_set(&a->node->timers, &a->repeat, rovei_time_add(now.mono, a->pause));
}

void rovei_attempt_repeat(rovei_attempt *a, rovei_now now)
{
    a->pause = a->node->env->limits.move_repeat;
    set_pause(a, now);
}

void rovei_attempt_back_off(rovei_attempt *a, rovei_now now)
{
    uint64_t shortest = a->node->env->limits.move_repeat;
    a->pause = rovei_time_min(a->pause * 2, shortest * 10);
    set_pause(a, now);
}

uint64_t rovei_attempt_retry(const rovei_attempt *a, rovei_now now, uint64_t budget)
{
    uint64_t spent = now.mono - a->info.begun;
    uint32_t doubles = a->info.attempts - 1;
    if (budget == 0 || spent >= budget)
        return 0;
    uint64_t pause = NOT_READY_PAUSE << (doubles < NOT_READY_DOUBLES ? doubles : NOT_READY_DOUBLES);
    return rovei_time_min(pause, budget - spent);
}

void rovei_attempt_stop(rovei_attempt *a)
{
    rovei_timer_set(&a->node->timers, &a->repeat, ROVE_TIME_NEVER);
    rovei_timer_set(&a->node->timers, &a->limit, ROVE_TIME_NEVER);
}

static void due_fired(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_attempt *a = user;
    (void)timer;
    (void)!rovei_node_cancel(a->node, now, &a->info.attempt, ROVE_E_TIMED_OUT); /* or it is late */
}

void rovei_attempt_progress(rovei_attempt *a, rovei_now now)
{
    rovei_timer_set(&a->node->timers, &a->limit,
                    rovei_time_add(now.mono, a->node->env->limits.move_stall));
}

static void tell_ended(rovei_attempt *a)
{
    rovei_note *note = rovei_node_note(a->node, ROVEI_NOTE_MOVE_ENDED);
    a->owes_note = !note;
    if (!note)
        return;
    note->attempt = a->info.attempt;
    note->daemon = a->info.daemon;
    note->peer = *rovei_attempt_peer(a);
    note->phase = a->info.phase;
    note->outcome = a->info.outcome;
    note->err = a->info.reason;
}

/* An outcome that is kept: what it still has to say. */
static void say_owed(rovei_attempt *a, rovei_now now)
{
    if (a->owes_note)
        tell_ended(a);
    if (a->unanswered && rovei_node_reaches(a->node, &a->info.target)) {
        rovei_move_header h = rovei_attempt_header(a, ROVEI_MOVE_ABORT);
        rovei_move_say_abort(a->node, &h, a->info.reason);
    }
    if (a->farewells && a->info.ordered)
        rovei_net_order_farewell(a, now);
    else if (a->farewells)
        rovei_net_source_farewell(a, now);
    if (a->owes_note || a->unanswered || a->farewells)
        rovei_attempt_back_off(a, now);
}

static void repeat_fired(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_attempt *a = user;
    (void)timer;
    if (a->owes_note && running(a))
        tell_ended(a);
    if (a->source)
        rovei_source_repeat(a->source, now);
    else if (a->target)
        rovei_target_repeat(a->target, now);
    else if (a->net_source)
        rovei_net_source_repeat(a->net_source, now);
    else if (a->net_target)
        rovei_net_target_repeat(a->net_target, now);
    else if (a->net_order)
        rovei_net_order_repeat(a->net_order, now);
    else if (a->order)
        rovei_order_repeat(a, now);
    else
        say_owed(a, now);
}

/* The record that this node knows says enough about the attempt without its outcome. */
static bool record_proves(const rovei_node *n, const rove_entity *daemon, uint64_t epoch,
                          const rove_entity *target)
{
    const rovei_location *l = rovei_location_get(n, daemon);
    return l && (l->record.epoch > epoch ||
                 (l->record.epoch == epoch && !rovei_entity_equal(&l->record.holder, target)));
}

static void limit_fired(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_attempt *a = user;
    const rovei_move_info *i = &a->info;
    if (a->source)
        rovei_source_limit(a->source, now);
    else if (a->target)
        rovei_target_limit(a->target, now);
    else if (a->net_source)
        rovei_net_source_limit(a->net_source, now);
    else if (a->net_target)
        rovei_net_target_limit(a->net_target, now);
    else if (a->net_order)
        rovei_net_order_limit(a->net_order, now);
    else if (a->order)
        rovei_order_limit(a, now);
    else if (a->owes_note ||
             (a->unanswered && !record_proves(a->node, &i->daemon, i->epoch, &i->target)))
        rovei_timer_set(&a->node->timers, timer,
                        rovei_time_add(now.mono, a->node->env->limits.outcome_life));
    else
        drop(a);
}

/* ---- life of an attempt ---- */

rove_err rovei_attempt_new(rovei_attempt **ret, rovei_node *n, rovei_now now,
                           const rovei_move_info *info)
{
    struct rovei_moves *m = n->moves;
    rovei_attempt *old = rovei_map_get(table_of(m, info), info->attempt.bytes);
    if (old && (running(old) || old->info.local_source || info->local_source || info->ordered))
        return ROVE_E_EXISTS;
    rovei_attempt *a = ROVEI_NEW(n->alloc, rovei_attempt);
    if (!a)
        return ROVE_E_NOMEM;
    void *items = m->all;
    rove_err err = rovei_timers_reserve(&n->timers, &a->repeat, repeat_fired, a);
    a->node = n;
    if (!err)
        err = rovei_timers_reserve(&n->timers, &a->limit, limit_fired, a);
    if (!err)
        err = rovei_timers_reserve(&n->timers, &a->due, due_fired, a);
    if (!err)
        err = rovei_grow(n->alloc, &items, &m->room, m->count, sizeof *m->all, SIZE_MAX);
    m->all = items;
    if (!err && old)
        drop(old);
    if (!err)
        err = rovei_map_put(table_of(m, info), info->attempt.bytes, a);
    if (err) {
        attempt_free(a);
        return err;
    }
    make_room(n, &info->daemon);
    a->info = *info;
    if (!info->ordered)
        a->info.origin = rovei_entity_origin(&info->daemon);
    a->info.begun = now.mono;
    a->pause = n->env->limits.move_repeat;
    rovei_list_add_tail(&m->running, &a->running);
    m->all[m->count++] = a;
    *ret = a;
    return ROVE_OK;
}

static void count_outcome(const rovei_attempt *a)
{
    rovei_node *n = a->node;
    switch (a->info.outcome) {
    case ROVEI_OUTCOME_COMPLETED:
        n->stats.moves_completed++;
        break;
    case ROVEI_OUTCOME_CANCELLED:
        n->stats.moves_cancelled++;
        break;
    case ROVEI_OUTCOME_FAILED:
    case ROVEI_OUTCOME_TIMED_OUT:
        if (a->refused)
            n->stats.moves_refused++;
        else
            n->stats.moves_aborted++;
        break;
    case ROVEI_OUTCOME_RUNNING:
        break;
    }
}

void rovei_attempt_conclude(rovei_attempt *a, rovei_now now, rovei_move_outcome outcome,
                            rove_err err)
{
    if (a->info.outcome != ROVEI_OUTCOME_RUNNING)
        return;
    a->info.outcome = outcome;
    a->info.reason = err;
    a->info.ended = now.mono;
    if (a->info.local_source)
        count_outcome(a);
    if (a->info.local_source || a->info.ordered)
        tell_ended(a);
    rovei_order_report(a);
}

/* It will be shown on a terminal: no control characters, of either set. */
static void plain(uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] < 0x20 || at[i] == 0x7f)
            at[i] = '?';
        else if (at[i] == 0xc2 && i + 1 < size && at[i + 1] < 0xa0)
            at[i] = at[i + 1] = '?';
    }
}

void rovei_attempt_text(rovei_attempt *a, rove_span text)
{
    text = rovei_utf8_cut(text, ROVE_MIGRATION_TEXT_MAX - 1);
    rove_buf *kept = text.size ? rovei_buf_copy(a->node->alloc, text.data, text.size) : NULL;
    if (kept)
        plain(rovei_buf_data(kept), text.size);
    rove_buf_unref(a->text);
    a->text = kept;
    a->info.text = rove_buf_span(kept);
}

void rovei_attempt_retire(rovei_attempt *a, rovei_now now)
{
    ROVEI_CHECK(!running(a) && a->info.outcome != ROVEI_OUTCOME_RUNNING);
    a->info.closed = true;
    rovei_list_remove(&a->running);
    a->last_pipe = a->pipe;
    rovei_pipe_finish(a->node, &a->pipe);
    rovei_attempt_stop(a);
    rovei_timer_set(&a->node->timers, &a->due, ROVE_TIME_NEVER);
    rovei_timer_set(&a->node->timers, &a->limit,
                    rovei_time_add(now.mono, a->node->env->limits.outcome_life));
    if (a->owes_note || a->unanswered || a->farewells)
        rovei_attempt_repeat(a, now);
}

void rovei_attempt_tell_phase(rovei_attempt *a)
{
    rovei_order_report(a);
    rovei_note *note = rovei_node_note(a->node, ROVEI_NOTE_MOVE);
    if (!note)
        return; /* who missed it sees the phase in rovei_node_move_get */
    note->attempt = a->info.attempt;
    note->daemon = a->info.daemon;
    note->peer = *rovei_attempt_peer(a);
    note->phase = a->info.phase;
}

void rovei_attempt_phase(rovei_attempt *a, rovei_phase phase)
{
    if (phase <= a->info.phase)
        return;
    a->info.phase = phase;
    if (a->info.local_source || a->info.ordered)
        rovei_attempt_tell_phase(a);
}

/* ---- the source's cell ---- */

static rovei_effect *cell_effect(rovei_attempt *a, const rovei_daemon *d, rovei_effect_kind kind)
{
    rovei_effect *e = rovei_node_effect(a->node, kind);
    if (!e)
        return NULL;
    e->cell = d->cell;
    e->daemon = d->entity;
    e->attempt = a->info.attempt;
    return e;
}

bool rovei_attempt_thaw(rovei_attempt *a, rovei_now now, rovei_daemon *d)
{
    if (!cell_effect(a, d, ROVEI_EFFECT_THAW))
        return false;
    rovei_daemon_set_role(a->node, now, d, ROVEI_ROLE_SERVING);
    rovei_lanes_serve(d->lanes, now);
    rovei_feeds_serve(d, now);
    return true;
}

rove_err rovei_attempt_commit(rovei_attempt *a, rovei_now now, rovei_daemon *d,
                              const rovei_addr *addrs, size_t addr_count, rovei_record *ret)
{
    rovei_node *n = a->node;
    rovei_record record;
    rove_err err = rovei_record_give(n, now, d->key, a->info.epoch, &a->info.target, addrs,
                                     addr_count, &record);
    if (!err) /* from the commit on nothing that is said of it may be refused for want of memory */
        err = rovei_location_reserve(n, &d->entity);
    if (!err && !cell_effect(a, d, ROVEI_EFFECT_COMMIT))
        err = ROVE_E_NOMEM;
    if (err)
        return err;
    *ret = record;
    rovei_attempt_phase(a, ROVEI_PHASE_RESTORE);
    rovei_attempt_phase(a, ROVEI_PHASE_REPLAY);
    rovei_daemon_set_role(n, now, d, ROVEI_ROLE_COMMITTING);
    a->committed = true;
    rovei_attempt_stop(a);
    return ROVE_OK;
}

bool rovei_attempt_publish(rovei_attempt *a, rovei_now now, rovei_daemon *d,
                           const rovei_record *record)
{
    rovei_node *n = a->node;
    if (rovei_location_learn(n, now, record, &n->self))
        return false;
    rovei_location_mark(n, now, &d->entity, false, true, d->kind);
    rovei_lanes_depart(d->lanes, now, record);
    rovei_feeds_leave(d, now);
    return true;
}

rove_err rovei_attempt_ledger(rovei_daemon *d, rovei_now now, rovei_image *image)
{
    rove_buf *ledger;
    rove_err err = rovei_feeds_ledger(d, now, &ledger);
    if (err)
        return err;
    rove_buf_unref(image->ledger);
    image->ledger = ledger;
    return ROVE_OK;
}

/* ---- messages out ---- */

rovei_move_header rovei_attempt_header(const rovei_attempt *a, rovei_move_type type)
{
    return (rovei_move_header){
        .type = type,
        .level = a->level,
        .attempt = a->info.attempt,
        .daemon = a->info.daemon,
        .epoch = a->info.epoch,
        .sinc = a->sinc,
        .source = a->info.source,
        .target = a->info.target,
        .orchestrator = a->info.orchestrator,
    };
}

static rove_err send_on(rovei_node *n, rovei_pipe *pipe, const rove_entity *peer,
                        const rovei_move_message *m, rove_buf *body)
{
    uint8_t bytes[ROVEI_MOVE_HEAD_MAX + ROVEI_MOVE_TEXT_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_move_encode(m, true, &w);
    ROVEI_CHECK(w.err == ROVE_OK);
    return rovei_pipe_send(n, pipe, peer, ROVEI_TAG_MOVE, (rove_span){bytes, rovei_writer_size(&w)},
                           body);
}

rove_err rovei_attempt_send(rovei_attempt *a, rovei_move_message *m, rove_buf *body)
{
    m->head = rovei_attempt_header(a, m->head.type);
    return send_on(a->node, &a->pipe, rovei_attempt_peer(a), m, body);
}

void rovei_move_answer(rovei_node *n, const rovei_move_header *about, rovei_move_message *m)
{
    rovei_move_type type = m->head.type;
    const rove_entity *peer =
        rovei_entity_equal(&about->source, &n->self) ? &about->target : &about->source;
    rovei_pipe pipe = {0};
    m->head = *about;
    m->head.type = type;
    (void)!send_on(n, &pipe, peer, m, NULL); /* the other side asks again */
    rovei_pipe_finish(n, &pipe);
}

void rovei_move_say_unknown(rovei_node *n, const rovei_move_header *about)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_UNKNOWN, .unknown.answers = about->type};
    rovei_move_answer(n, about, &m);
}

void rovei_move_say_abort(rovei_node *n, const rovei_move_header *about, rove_err reason)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_ABORT, .ended.reason = reason};
    rovei_move_answer(n, about, &m);
}

void rovei_move_say_active(rovei_node *n, const rovei_move_header *about)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_ACTIVE, .active.serves = false};
    rovei_move_answer(n, about, &m);
}

void rovei_move_tell_record(rovei_node *n, const rove_entity *peer, const rovei_record *record)
{
    uint8_t bytes[ROVEI_LOCATE_SIZE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_pipe pipe = {0};
    rovei_locate m;
    memset(&m, 0, sizeof m);
    m.type = ROVEI_LOCATE_TELL;
    m.flags = ROVEI_LOCATE_RECORD;
    m.daemon = record->daemon;
    m.record = *record;
    rovei_locate_write(&w, &m);
    ROVEI_CHECK(w.err == ROVE_OK);
    (void)!rovei_pipe_send(n, &pipe, peer, ROVEI_TAG_LOCATE,
                           (rove_span){bytes, rovei_writer_size(&w)}, NULL); /* or next time */
    rovei_pipe_finish(n, &pipe);
}

/* ---- what others may look at ---- */

bool rovei_node_move_next(const rovei_node *n, size_t *it, rovei_move_info *ret)
{
    while (*it < n->moves->count) {
        const rovei_attempt *a = n->moves->all[(*it)++];
        /* Of one that this node ordered to itself the order tells. */
        if (!a->info.ordered && rovei_order_find(n, &a->info.attempt))
            continue;
        *ret = a->info;
        return true;
    }
    return false;
}

rove_err rovei_node_move_get(const rovei_node *n, const rovei_attempt_id *attempt,
                             rovei_move_info *ret)
{
    const rovei_attempt *a = rovei_order_find(n, attempt);
    if (!a)
        a = rovei_attempt_find(n, attempt);
    if (!a)
        return ROVE_E_NOT_FOUND;
    *ret = a->info;
    ret->heard = a->info.closed && rovei_pipe_queued(n, &a->last_pipe) == 0;
    return ROVE_OK;
}

void rovei_image_fini(rovei_image *image)
{
    rove_buf_unref(image->state);
    rove_buf_unref(image->head_payload);
    rove_buf_unref(image->horizon);
    rove_buf_unref(image->ledger);
    memset(image, 0, sizeof *image);
}
