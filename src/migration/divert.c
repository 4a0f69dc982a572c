/* SPDX-License-Identifier: Apache-2.0
 *
 * Diverted local events on their way to the new host, and their results on the way back. Numbered
 * from 1 within the attempt; applied once each, in order; results are kept until Closed. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/machine.h>
#include <string.h>

/* Bytes of events that share one message; a larger event has one of its own. */
#define EVENTS_BATCH 65536

void rovei_diverted_free(rovei_diverted_list *l, const rove_alloc *a)
{
    for (size_t i = 0; i < l->count; i++)
        rove_buf_unref(l->items[i].owner);
    rovei_free(a, l->items, l->room * sizeof *l->items);
    *l = (rovei_diverted_list){0};
}

rove_err rovei_diverted_add(rovei_diverted_list *l, const rove_alloc *a, const rove_link *link,
                            rove_span payload, rove_buf *owner)
{
    void *items = l->items;
    rove_err err = rovei_grow(a, &items, &l->room, l->count, sizeof *l->items, SIZE_MAX / 2);
    l->items = items;
    if (err)
        return err;
    l->items[l->count++] =
        (rovei_diverted){.link = *link, .payload = payload, .owner = rove_buf_ref(owner)};
    return ROVE_OK;
}

/* ---- source: events out ---- */

void rovei_source_diverted(struct rovei_source *s, rovei_now now, rovei_completion *c)
{
    rovei_attempt *a = s->a;
    if (s->committed || s->ending != ROVEI_OUTCOME_RUNNING || s->step < ROVEI_SOURCE_REJOIN)
        return; /* thawed, or about to be: the cell applies it */
    if (c->number != s->diverted.count + 1)
        return;
    if (s->divert_failed ||
        rovei_diverted_add(&s->diverted, a->node->alloc, &c->link, c->payload, c->owner)) {
        s->divert_failed = true;
        if (!a->committed)
            rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_NOMEM);
        return;
    }
    a->info.held_back++;
    if (s->step == ROVEI_SOURCE_SEALED)
        rovei_source_pump_events(s);
}

/* How many of the next events fit one message, and their bytes. */
static uint32_t batch(const struct rovei_source *s, size_t *ret_size)
{
    uint32_t count = 0;
    size_t size = 0;
    for (uint64_t i = s->events_sent; i < s->diverted.count; i++) {
        size_t more = ROVEI_MOVE_EVENT_HEAD + s->diverted.items[i].payload.size;
        if (count && size + more > EVENTS_BATCH)
            break;
        size += more;
        count++;
    }
    *ret_size = size;
    return count;
}

static rove_err send_batch(struct rovei_source *s)
{
    size_t size;
    uint32_t count = batch(s, &size);
    rove_buf *body = rovei_buf_alloc(s->a->node->alloc, size);
    if (!body)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(body), size);
    for (uint32_t i = 0; i < count; i++) {
        const rovei_diverted *d = &s->diverted.items[s->events_sent + i];
        rovei_move_event_write(&w, &d->link, d->payload.size);
        rovei_write_span(&w, d->payload);
    }
    ROVEI_CHECK(w.err == ROVE_OK);
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_EVENTS,
        .events = {.done = s->results, .first = s->events_sent + 1, .count = count},
    };
    rove_err err = rovei_attempt_send(s->a, &m, body);
    rove_buf_unref(body);
    if (!err)
        s->events_sent += count;
    return err;
}

void rovei_source_pump_events(struct rovei_source *s)
{
    while (s->events_sent < s->diverted.count &&
           rovei_pipe_queued(s->a->node, &s->a->pipe) < ROVEI_MOVE_QUEUED_MAX)
        if (send_batch(s))
            return; /* goes on at a later turn */
}

void rovei_source_say_events(struct rovei_source *s)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_EVENTS, .events.done = s->results};
    (void)!rovei_attempt_send(s->a, &m, NULL);
}

/* ---- source: results in ---- */

static bool pass_on(struct rovei_source *s, const rovei_move_results *r, rove_buf *outputs)
{
    rove_buf *text =
        r->text.size ? rovei_buf_copy(s->a->node->alloc, r->text.data, r->text.size) : NULL;
    rovei_effect *e = NULL;
    if (text || !r->text.size)
        e = rovei_node_effect(s->a->node, ROVEI_EFFECT_RESULT);
    if (!e) {
        rove_buf_unref(text);
        return false;
    }
    e->cell = s->d->cell;
    e->daemon = s->d->entity;
    e->attempt = s->a->info.attempt;
    e->number = r->number;
    e->err = r->err;
    e->text = text;
    e->owner = outputs;
    e->output_count = r->output_count;
    return true;
}

static void drop_partial(struct rovei_source *s)
{
    rove_buf_unref(s->partial);
    s->partial = NULL;
    s->partial_have = 0;
}

/* One part of the outputs; false: not the next one, or out of memory. */
static bool take_part(struct rovei_source *s, const rovei_move_results *r)
{
    if (r->offset == 0)
        drop_partial(s);
    if (r->offset != s->partial_have || r->total > s->a->node->env->limits.state_max ||
        (s->partial && r->total != rovei_buf_size(s->partial)))
        return false;
    if (!s->partial && r->total) {
        s->partial = rovei_buf_alloc(s->a->node->alloc, (size_t)r->total);
        if (!s->partial)
            return false;
    }
    if (r->bytes.size)
        memcpy(rovei_buf_data(s->partial) + r->offset, r->bytes.data, r->bytes.size);
    s->partial_have += r->bytes.size;
    return true;
}

void rovei_source_results(struct rovei_source *s, rovei_now now, const rovei_move_results *r)
{
    /* Before Active the target may still have to start anew; then its results come again. */
    if (s->step != ROVEI_SOURCE_CLOSING || r->number != s->results + 1 ||
        r->number > s->diverted.count || !take_part(s, r) || s->partial_have < r->total)
        return;
    if (!pass_on(s, r, s->partial)) {
        drop_partial(s);
        return;
    }
    s->partial = NULL;
    s->partial_have = 0;
    s->results++;
    if (s->results == s->diverted.count)
        rovei_source_close(s, now, ROVE_E_UNKNOWN_OUTCOME);
}

/* ---- target: events in ---- */

/* A payload that is a large part of its message stays inside of it; another would keep much more
 * alive than it is, and is copied. NULL: out of memory. */
static rove_buf *keep(const rovei_node *n, rove_span *payload, rove_buf *message)
{
    if (payload->size >= rovei_buf_size(message) / 2)
        return rove_buf_ref(message);
    rove_buf *own = rovei_buf_copy(n->alloc, payload->data, payload->size);
    if (own)
        *payload = rove_buf_span(own);
    return own;
}

/* What is taken but not applied is bounded; the rest is asked for again. */
static bool has_room(const struct rovei_target *t, size_t size)
{
    const rove_limits *l = &t->a->node->env->limits;
    uint64_t waiting = t->diverted.count - t->applying;
    return waiting == 0 || (waiting < l->divert_events && t->diverted_bytes <= l->divert_bytes &&
                            size <= l->divert_bytes - t->diverted_bytes);
}

static bool take_event(struct rovei_target *t, const rove_link *link, rove_span payload,
                       rove_buf *message)
{
    const rovei_node *n = t->a->node;
    rove_buf *owner = keep(n, &payload, message);
    if (!owner)
        return false;
    bool taken = has_room(t, rovei_buf_size(owner)) &&
                 rovei_diverted_add(&t->diverted, n->alloc, link, payload, owner) == ROVE_OK;
    if (taken)
        t->diverted_bytes += rovei_buf_size(owner);
    rove_buf_unref(owner);
    return taken;
}

void rovei_target_events(struct rovei_target *t, rovei_now now, const rovei_move_events *e,
                         rove_buf *message)
{
    rovei_reader r = rovei_reader_of(e->items);
    rove_link link;
    rove_span payload;
    for (uint64_t i = e->first; rovei_move_event_read(&r, &link, &payload); i++) {
        /* Once each, in order: one that was taken is not looked at, one beyond a gap waits for
         * the source to repeat what is between. */
        if (i != t->diverted.count + 1)
            continue;
        if (t->step >= ROVEI_TARGET_ACTIVATING && i > t->events_total)
            break; /* the Commit said how many there are */
        /* The source has accepted it: a smaller event_max here is no reason to leave its caller
         * without an outcome. */
        if (!take_event(t, &link, payload, message))
            break;
    }
    if (t->step == ROVEI_TARGET_ACTIVE)
        rovei_target_rewind(t, e->done);
    rovei_target_turn(t, now);
}

/* ---- target: applying ---- */

static bool apply_next(struct rovei_target *t)
{
    rovei_diverted *d = &t->diverted.items[t->applying];
    rovei_effect *e = rovei_node_effect(t->a->node, ROVEI_EFFECT_APPLY);
    if (!e)
        return false;
    e->cell = t->d->cell;
    e->daemon = t->d->entity;
    e->attempt = t->a->info.attempt;
    e->number = t->applying + 1;
    e->events = 1;
    e->link = d->link;
    e->payload = d->payload;
    e->owner = d->owner;
    t->diverted_bytes -= rovei_buf_size(d->owner);
    d->owner = NULL;
    d->payload = (rove_span){0};
    t->applying++;
    return true;
}

/* Room for the results of all that the cell has, so that none of them can be lost. */
static bool reserve_result(struct rovei_target *t)
{
    void *items = t->results;
    rove_err err = rovei_grow(t->a->node->alloc, &items, &t->result_room, (size_t)t->applying,
                              sizeof *t->results, SIZE_MAX / 2);
    t->results = items;
    return err == ROVE_OK;
}

void rovei_target_applied(struct rovei_target *t, rovei_now now, rovei_completion *c)
{
    if (c->number != t->result_count + 1 || c->number > t->applying)
        return;
    t->results[t->result_count++] = c->results[0];
    c->results[0].text = c->results[0].outputs = NULL; /* the rest may be looked at elsewhere */
    rovei_target_turn(t, now);
}

/* ---- target: results out ---- */

static rove_err send_part(struct rovei_target *t)
{
    const rovei_result *result = &t->results[t->results_sent];
    rove_span text = rove_buf_span(result->text), outputs = rove_buf_span(result->outputs);
    size_t size = outputs.size - (size_t)t->part;
    size = size < ROVEI_MOVE_CHUNK ? size : ROVEI_MOVE_CHUNK;
    rove_buf *body = NULL;
    if (size) {
        body = rovei_buf_copy(t->a->node->alloc, (const uint8_t *)outputs.data + t->part, size);
        if (!body)
            return ROVE_E_NOMEM;
    }
    if (text.size > ROVEI_MOVE_TEXT_MAX)
        text.size = ROVEI_MOVE_TEXT_MAX;
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_RESULTS,
        .results = {.number = t->results_sent + 1,
                    .err = result->err,
                    .output_count = result->output_count,
                    .text = text,
                    .total = outputs.size,
                    .offset = t->part,
                    .bytes = rove_buf_span(body)},
    };
    rove_err err = rovei_attempt_send(t->a, &m, body);
    rove_buf_unref(body);
    if (err)
        return err;
    t->part += size;
    if (t->part == outputs.size) {
        t->results_sent++;
        t->part = 0;
    }
    return ROVE_OK;
}

void rovei_target_pump(struct rovei_target *t)
{
    while (t->applying < t->diverted.count &&
           t->applying - t->result_count < ROVEI_MOVE_APPLYING_MAX)
        if (!reserve_result(t) || !apply_next(t))
            break;
    while (t->results_sent < t->result_count &&
           rovei_pipe_queued(t->a->node, &t->a->pipe) < ROVEI_MOVE_QUEUED_MAX)
        if (send_part(t))
            break;
}

void rovei_target_rewind(struct rovei_target *t, uint64_t done)
{
    if (done >= t->results_sent || rovei_pipe_queued(t->a->node, &t->a->pipe) != 0)
        return;
    t->results_sent = done;
    t->part = 0;
}
