/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core wants done and has to tell, and the way back: effects, notes, questions of policy,
 * and the completions that answer them (docs/architecture.md, "Effects and completions"). */
#include <base/alloc.h>
#include <channel/outlet.h>
#include <durable/journal.h>
#include <node/core.h>
#include <string.h>

typedef struct question {
    rovei_question what;
    rove_entity daemon;
} question;

/* ---- effects and notes ---- */

rovei_effect *rovei_node_effect(rovei_node *n, rovei_effect_kind kind)
{
    rovei_effect *e = rovei_queue_push(&n->effects);
    if (e)
        e->kind = kind;
    return e;
}

rovei_note *rovei_node_note(rovei_node *n, rovei_note_kind kind)
{
    rovei_note *note = rovei_queue_push(&n->notes);
    if (note)
        note->kind = kind;
    return note;
}

bool rovei_node_poll_effect(rovei_node *n, rovei_effect *ret)
{
    return rovei_queue_pop(&n->effects, ret);
}

bool rovei_node_poll_note(rovei_node *n, rovei_note *ret)
{
    return rovei_queue_pop(&n->notes, ret);
}

bool rovei_effect_event(const rovei_effect *e, size_t *it, rove_link *ret_link,
                        rove_span *ret_payload)
{
    if (e->events > 1) {
        rovei_reader r = rovei_reader_of(
            (rove_span){(const uint8_t *)e->payload.data + *it, e->payload.size - *it});
        bool any = rovei_event_frame_read(&r, ret_link, ret_payload);
        *it = e->payload.size - rovei_reader_left(&r);
        return any;
    }
    if (*it)
        return false;
    *it = 1;
    *ret_link = e->link;
    *ret_payload = e->payload;
    return true;
}

void rovei_effect_fini(rovei_effect *e)
{
    rove_buf_unref(e->owner);
    rove_buf_unref(e->text);
    rove_buf_unref(e->daemon_kind);
    rovei_keypair_unref(e->key);
    rovei_image_fini(&e->image);
    memset(e, 0, sizeof *e);
}

void rovei_note_fini(rovei_note *note)
{
    rove_buf_unref(note->owner);
    memset(note, 0, sizeof *note);
}

/* ---- questions ---- */

void rovei_node_ask_policy(rovei_node *n, bool ask)
{
    n->ask_policy = ask;
}

uint64_t rovei_node_ask(rovei_node *n, rovei_question what, const rove_entity *daemon,
                        const rove_entity *peer, const rovei_attempt_id *attempt, const char *kind)
{
    if (what != ROVEI_ASK_PLACE && !n->ask_policy)
        return 0;
    rove_buf *name = kind ? rovei_buf_copy(n->alloc, kind, strlen(kind)) : NULL;
    question *q = ROVEI_NEW(n->alloc, question);
    uint64_t ticket = rovei_node_number(n);
    if ((kind && !name) || !q || rovei_map_put(&n->questions, &ticket, q))
        goto fail;
    rovei_effect *e =
        rovei_node_effect(n, what == ROVEI_ASK_PLACE ? ROVEI_EFFECT_ASK_PLACE : ROVEI_EFFECT_ASK);
    if (!e) {
        rovei_map_remove(&n->questions, &ticket);
        goto fail;
    }
    q->what = what;
    q->daemon = *daemon;
    e->ticket = ticket;
    e->question = what;
    e->daemon = *daemon;
    e->peer = *peer;
    e->daemon_kind = name;
    if (attempt)
        e->attempt = *attempt;
    return ticket;
fail:
    rove_buf_unref(name);
    if (q)
        ROVEI_DELETE(n->alloc, q);
    return UINT64_MAX;
}

uint64_t rovei_node_ask_place(rovei_node *n, uint64_t origin, const rove_entity *daemon,
                              const rove_entity *peer, const rovei_attempt_id *attempt)
{
    static const rove_entity unknown;
    uint64_t ticket =
        rovei_node_ask(n, ROVEI_ASK_PLACE, daemon ? daemon : &unknown, peer, attempt, NULL);
    if (ticket == UINT64_MAX)
        return ticket;
    rovei_effect *e = rovei_queue_last(&n->effects);
    e->origin = origin;
    return ticket;
}

void rovei_questions_free(rovei_node *n)
{
    size_t it = 0;
    for (question *q; (q = rovei_map_next(&n->questions, &it));)
        ROVEI_DELETE(n->alloc, q);
    rovei_map_fini(&n->questions);
}

/* ---- completions ---- */

static void complete_answer(rovei_node *n, rovei_now now, rovei_completion *c)
{
    question *q = rovei_map_remove(&n->questions, &c->ticket);
    if (!q)
        return;
    rovei_daemon *d = rovei_daemon_find(n, &q->daemon);
    if (q->what == ROVEI_ASK_SEND || q->what == ROVEI_ASK_READ) {
        if (d && d->lanes)
            rovei_lanes_answer(d->lanes, now, c->ticket, c->err);
    } else {
        rovei_moves_complete(n, now, c);
    }
    ROVEI_DELETE(n->alloc, q);
}

static void complete_applied(rovei_node *n, rovei_now now, rovei_completion *c)
{
    rovei_daemon *d = rovei_daemon_by_cell(n, c->cell);
    if (!d)
        return;
    /* What is applied came over a lane, or in a move: both need the set. */
    for (uint32_t i = 0; d->lanes && i < c->events; i++)
        rovei_lanes_note_applied(d->lanes, c->results[i].at);
    n->stats.events_applied += c->events;
    for (uint32_t i = 0; d->outlet && i < c->events; i++)
        rovei_outlet_publish(d, now, c->results[i].outputs, c->results[i].output_count);
    if (c->ticket == 0 || !rovei_daemon_serves(d))
        rovei_moves_complete(n, now, c);
    else
        rovei_lanes_applied(d->lanes, now, c);
}

static void complete_emitted(rovei_node *n, rovei_now now, rovei_completion *c)
{
    rovei_daemon *d = rovei_daemon_by_cell(n, c->cell);
    if (d)
        rovei_outlet_publish(d, now, c->owner, c->output_count);
}

static void completion_fini(rovei_completion *c)
{
    for (uint32_t i = 0; c->results && i < c->events; i++) {
        rove_buf_unref(c->results[i].text);
        rove_buf_unref(c->results[i].outputs);
    }
    rove_buf_unref(c->text);
    rove_buf_unref(c->owner);
    rovei_keypair_unref(c->key);
    rovei_image_fini(&c->image);
    memset(c, 0, sizeof *c);
}

void rovei_node_complete(rovei_node *n, rovei_now now, rovei_completion *c)
{
    rovei_result one;
    switch (c->kind) {
    case ROVEI_DONE_ANSWER:
        complete_answer(n, now, c);
        break;
    case ROVEI_DONE_APPLIED:
        if (!c->results) {
            one = (rovei_result){c->err, c->output_count, c->text, c->owner, c->at};
            c->text = c->owner = NULL;
            c->results = &one;
            c->events = 1;
        }
        complete_applied(n, now, c);
        break;
    case ROVEI_DONE_FROZEN:
    case ROVEI_DONE_DIVERTED:
    case ROVEI_DONE_COMMITTED:
    case ROVEI_DONE_RESTORED:
    case ROVEI_DONE_ACTIVATED:
    case ROVEI_DONE_STATE_READ:
    case ROVEI_DONE_STATE_OPENED:
    case ROVEI_DONE_STATE_WRITTEN:
        rovei_moves_complete(n, now, c);
        break;
    case ROVEI_DONE_EMITTED:
        complete_emitted(n, now, c);
        break;
    case ROVEI_DONE_STORED:
        if (n->journal)
            rovei_journal_complete(n->journal, now, c);
        break;
    }
    completion_fini(c);
}
