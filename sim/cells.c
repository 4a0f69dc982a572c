/* SPDX-License-Identifier: Apache-2.0
 *
 * Cells and their mailboxes. */
#include "cells.h"
#include "check.h"
#include "history.h"
#include "stranger.h"
#include <base/alloc.h>
#include <inttypes.h>
#include <node/core.h>
#include <stdlib.h>
#include <string.h>

/* ---- mailboxes ---- */
struct sim_work {
    sim_work *next;
    sim_event *deliver; /* a local deliver, */
    sim_backup *backup; /* a backup, or else */
    rovei_effect effect;
};

typedef struct mailbox_thing {
    sim_thing thing;
    sim_node *node;
    uint32_t life;
    uint64_t cell;
} mailbox_thing;

typedef struct done_thing {
    sim_thing thing;
    sim_node *node;
    uint32_t life;
    rovei_completion completion;
    sim_backup *backup; /* it is the end of this, and no completion */
} done_thing;

static uint64_t worker_delay(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_CELLS];
    if (w->scripted)
        return 10000;
    uint64_t scale = sim_rng_chance(r, 200) ? 15 * ROVE_MILLISECOND : 150000;
    return 1000 + sim_rng_below(r, scale);
}

static sim_cell *cell_by_id(sim_node *n, uint64_t id)
{
    for (sim_cell *c = n->cells; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

sim_cell *sim_cell_find(sim_node *n, const sim_daemon *d)
{
    for (sim_cell *c = n->cells; c; c = c->next)
        if (c->daemon == d)
            return c;
    return NULL;
}

bool sim_cell_serves(const sim_cell *c)
{
    return c->cell && (rovei_cell_state_of(c->cell) == ROVEI_CELL_SERVING ||
                       rovei_cell_state_of(c->cell) == ROVEI_CELL_THAWING);
}

static void completion_fini(rovei_completion *c)
{
    for (uint32_t i = 0; c->results && i < c->events; i++) {
        rove_buf_unref(c->results[i].text);
        rove_buf_unref(c->results[i].outputs);
    }
    free(c->results);
    rove_buf_unref(c->text);
    rove_buf_unref(c->owner);
    rovei_keypair_unref(c->key);
    rovei_image_fini(&c->image);
}

static void end_backup(sim_backup *b, rove_err err)
{
    b->err = err;
    b->done = true;
}

static void done_drop(sim_world *w, sim_thing *t)
{
    (void)w;
    done_thing *d = (done_thing *)t;
    if (d->backup)
        end_backup(d->backup, ROVE_E_GONE);
    completion_fini(&d->completion);
    free(d);
}

static void done_run(sim_world *w, sim_thing *t)
{
    done_thing *d = (done_thing *)t;
    sim_node *n = d->node;
    if (!n->up || n->life != d->life) {
        done_drop(w, t);
        return;
    }
    rovei_result *results = d->completion.results;
    sim_backup *b = d->backup;
    sim_core_enter(w);
    if (!b)
        rovei_node_complete(n->core, sim_now(n), &d->completion);
    else if (!b->err)
        b->err = rovei_node_backup(n->core, sim_now(n), d->completion.cell, &b->positions);
    sim_core_leave(w);
    free(results);
    if (b)
        end_backup(b, b->err);
    free(d);
    sim_pump(n);
}

/* Gives a completion back after a while, its results with it; `c` keeps the order, and may be NULL.
 */
static done_thing *give_back(sim_node *n, sim_cell *c, const rovei_completion *completion)
{
    sim_world *w = n->world;
    done_thing *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->thing.run = done_run;
    d->thing.drop = done_drop;
    d->node = n;
    d->life = n->life;
    d->completion = *completion;
    uint64_t at = w->now + worker_delay(w);
    if (c) {
        if (at < c->last_done)
            at = c->last_done;
        c->last_done = at;
    }
    sim_plan(w, at, &d->thing);
    return d;
}

static void mailbox_run(sim_world *w, sim_thing *t);

static void plan_work(sim_cell *c)
{
    if (c->busy || !c->first)
        return;
    mailbox_thing *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->thing.run = mailbox_run;
    m->node = c->node;
    m->life = c->life;
    m->cell = c->id;
    c->busy = true;
    sim_plan(c->node->world, c->node->world->now + worker_delay(c->node->world), &m->thing);
}

static void push_work(sim_cell *c, const sim_work *work)
{
    sim_work *k = malloc(sizeof *k);
    if (!k)
        abort();
    *k = *work;
    k->next = NULL;
    *c->last = k;
    c->last = &k->next;
    plan_work(c);
}

static sim_cell *cell_new(sim_node *n, sim_daemon *d)
{
    sim_cell *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->node = n;
    c->life = n->life;
    c->id = ++n->world->next_cell;
    c->daemon = d;
    c->last = &c->first;
    c->next = n->cells;
    n->cells = c;
    return c;
}

/* ---- waiters of local delivers ---- */
static void told(sim_cell *c, sim_event *e, sim_fate fate, rove_err err, rove_span framed,
                 uint32_t count)
{
    if (e)
        sim_truth_fate(c->node->world, c->node->name, e, fate, err, framed, count);
}

static void take_waiters(sim_cell *c, sim_fate fate, rove_err err)
{
    void *waiter;
    while (rovei_cell_take_waiter(c->cell, &waiter))
        told(c, waiter, fate, err, (rove_span){0}, 0);
}

static void cell_free(sim_cell *c)
{
    for (sim_cell **at = &c->node->cells; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    while (c->first) {
        sim_work *k = c->first;
        c->first = k->next;
        if (k->deliver)
            told(c, k->deliver, SIM_FATE_ORPHANED, ROVE_OK, (rove_span){0}, 0);
        else if (k->backup)
            end_backup(k->backup, ROVE_E_GONE);
        else
            rovei_effect_fini(&k->effect);
        free(k);
    }
    rovei_cell_free(c->cell);
    free(c);
}

void sim_cells_drop(sim_node *n)
{
    while (n->cells) {
        sim_cell *c = n->cells;
        if (c->cell)
            take_waiters(c, SIM_FATE_ORPHANED, ROVE_OK);
        cell_free(c);
    }
}

/* ---- work ---- */
/* What was applied is true from here on, whoever hears of it. */
static void record_outputs(sim_cell *c, uint64_t id, const rovei_applied *a)
{
    sim_world *w = c->node->world;
    sim_event *e = sim_event_by_id(w, id);
    if (a->err == ROVE_E_HORIZON_FULL && e)
        e->outside = true;
    else if (a->err && a->err != ROVE_E_PROCESS)
        sim_fail(w, "event %" PRIu64 " fails with %s", id, rove_err_name(a->err));
    if (e && !w->failed)
        sim_truth_outputs(w, c->daemon, e, rove_buf_span(a->outputs), a->output_count);
}

static void do_apply(sim_cell *c, rovei_effect *e)
{
    rovei_result *results = calloc(e->events, sizeof *results);
    rovei_cell_event ev = {.owner = e->owner};
    uint32_t done = 0;
    if (!results)
        abort();
    for (size_t it = 0; rovei_effect_event(e, &it, &ev.link, &ev.payload); done++) {
        rovei_applied a = {0};
        uint64_t wall = sim_now(c->node).wall;
        if (!(e->replay ? rovei_cell_replay : rovei_cell_apply)(c->cell, wall, &ev, &a))
            break;
        record_outputs(c, ev.payload.size >= 8 ? rovei_load64(ev.payload.data) : 0, &a);
        results[done] =
            (rovei_result){a.err, a.output_count, a.text, a.outputs, sim_now(c->node).mono};
    }
    if (done)
        give_back(c->node, c,
                  &(rovei_completion){.kind = ROVEI_DONE_APPLIED,
                                      .cell = c->id,
                                      .attempt = e->attempt,
                                      .ticket = e->ticket,
                                      .number = e->number,
                                      .results = results,
                                      .events = done});
    else
        free(results);
}

static void do_deliver(sim_cell *c, sim_event *e)
{
    sim_world *w = c->node->world;
    size_t size = sim_event_size(e);
    rove_buf *payload = rovei_buf_alloc(&w->alloc, size);
    if (!payload)
        abort();
    sim_event_payload(e, rovei_buf_data(payload));
    rovei_cell_event ev = {.payload = rove_buf_span(payload), .owner = payload};
    ev.link = (rove_link){.origin = rovei_entity_origin(&c->node->entity), .sequence = e->number};
    rovei_applied a = {0};
    uint64_t number = 0;
    rove_err err = c->cell ? rovei_cell_deliver(c->cell, sim_now(c->node).wall, &ev, e, &a, &number)
                           : ROVE_E_NOT_READY;
    if (!err) {
        record_outputs(c, e->id, &a);
        told(c, e, SIM_FATE_APPLIED, a.err, rove_buf_span(a.outputs), a.output_count);
        rovei_applied_fini(&a);
    } else if (err == ROVE_E_DIVERTED) {
        sim_say(w, c->node->name, "event %" PRIu64 " for %s is diverted as number %" PRIu64, e->id,
                c->daemon->name, number);
        e->diverted = true;
        w->totals.local_diverted++;
        give_back(c->node, c,
                  &(rovei_completion){.kind = ROVEI_DONE_DIVERTED,
                                      .cell = c->id,
                                      .attempt = rovei_cell_attempt(c->cell),
                                      .number = number,
                                      .link = ev.link,
                                      .payload = ev.payload,
                                      .owner = rove_buf_ref(payload)});
    } else {
        told(c, e, SIM_FATE_REFUSED, err, (rove_span){0}, 0);
    }
    rove_buf_unref(payload);
}

static void do_backup(sim_cell *c, sim_backup *b)
{
    rove_buf *text = NULL;
    b->err = sim_cell_serves(c) ? rovei_cell_image(c->cell, sim_now(c->node).wall, &b->image, &text)
                                : ROVE_E_ALREADY_MIGRATING;
    rove_buf_unref(text);
    sim_say(c->node->world, c->node->name, "%s is kept with %" PRIu64 " events: %s",
            c->daemon->name, sim_cell_belief(c).count, rove_err_name(b->err));
    give_back(c->node, c, &(rovei_completion){.cell = c->id})->backup = b;
}

static void do_freeze(sim_cell *c, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_FROZEN, .cell = c->id, .attempt = e->attempt};
    uint64_t wall = sim_now(c->node).wall;
    done.err = e->quiesce ? rovei_cell_quiesce(c->cell, wall, &e->attempt, e->size, &done.image,
                                               &done.text)
                          : rovei_cell_freeze(c->cell, wall, &e->attempt, &done.image, &done.text);
    sim_say(c->node->world, c->node->name, "%s is frozen with %" PRIu64 " events%s%s",
            c->daemon->name, sim_cell_belief(c).count, done.err ? ": " : "",
            done.err ? rove_err_name(done.err) : "");
    give_back(c->node, c, &done);
}

static void do_thaw(sim_cell *c, rovei_effect *e)
{
    rove_err err = rovei_cell_thaw(c->cell, &e->attempt);
    if (err) {
        sim_fail(c->node->world, "%s cannot thaw %s: %s", c->node->name, c->daemon->name,
                 rove_err_name(err));
        return;
    }
    sim_say(c->node->world, c->node->name, "%s goes on here", c->daemon->name);
    void *waiter;
    rovei_cell_event ev;
    rovei_applied a = {0};
    while (rovei_cell_thaw_next(c->cell, sim_now(c->node).wall, &waiter, &ev, &a)) {
        sim_event *event = waiter;
        record_outputs(c, event->id, &a);
        told(c, event, SIM_FATE_APPLIED, a.err, rove_buf_span(a.outputs), a.output_count);
        rovei_applied_fini(&a);
    }
}

static void do_commit(sim_cell *c, rovei_effect *e)
{
    uint64_t diverted = 0;
    rove_err err = rovei_cell_commit(c->cell, &e->attempt, &diverted);
    if (err) {
        sim_fail(c->node->world, "%s cannot commit %s: %s", c->node->name, c->daemon->name,
                 rove_err_name(err));
        return;
    }
    sim_say(c->node->world, c->node->name, "%s is given away, %" PRIu64 " diverted",
            c->daemon->name, diverted);
    give_back(c->node, c,
              &(rovei_completion){.kind = ROVEI_DONE_COMMITTED,
                                  .cell = c->id,
                                  .attempt = e->attempt,
                                  .number = diverted});
}

static void do_result(sim_cell *c, rovei_effect *e)
{
    void *waiter;
    if (!rovei_cell_take_result(c->cell, e->number, &waiter))
        return;
    rove_span framed = rove_buf_span(e->owner);
    if (e->err == ROVE_E_UNKNOWN_OUTCOME)
        told(c, waiter, SIM_FATE_UNKNOWN, e->err, (rove_span){0}, 0);
    else if (e->err && e->err != ROVE_E_PROCESS && e->err != ROVE_E_HORIZON_FULL)
        told(c, waiter, SIM_FATE_REFUSED, e->err, (rove_span){0}, 0);
    else
        told(c, waiter, SIM_FATE_APPLIED, e->err, framed, e->output_count);
}

static uint64_t sinc_of(sim_cell *c)
{
    const rovei_daemon *d = rovei_daemon_find(c->node->core, &c->daemon->entity);
    return d ? d->sinc.number : 0;
}

static void do_activate(sim_cell *c, rovei_effect *e)
{
    sim_belief b = sim_cell_belief(c);
    rove_err err = rovei_cell_activate(c->cell);
    if (err) {
        sim_fail(c->node->world, "%s cannot activate %s: %s", c->node->name, c->daemon->name,
                 rove_err_name(err));
        return;
    }
    sim_say(c->node->world, c->node->name, "%s serves here with %" PRIu64 " events",
            c->daemon->name, b.count);
    const rovei_daemon *d = rovei_daemon_find(c->node->core, &c->daemon->entity);
    if (d && d->net_target)
        sim_truth_hop(c->daemon, c->forward);
    sim_truth_serve(c->node->world, c->node, c->daemon, &b, sinc_of(c));
    give_back(
        c->node, c,
        &(rovei_completion){.kind = ROVEI_DONE_ACTIVATED, .cell = c->id, .attempt = e->attempt});
}

static rove_err new_cell(sim_cell *c, rovei_keypair *key)
{
    rovei_cell_config cfg = {
        .env = &c->node->env, .kind = sim_kind_draw(c->node->world), .kind_user = c, .key = key};
    return rovei_cell_new(&c->cell, &cfg);
}

/* A cell that could not take its state, or did not want to. */
static void give_up(sim_cell *c, const rovei_effect *e)
{
    rovei_cell_free(c->cell);
    c->cell = NULL;
    sim_check_veto(c->node->world, &e->attempt);
}

static bool veto(sim_cell *c, uint64_t odds)
{
    sim_world *w = c->node->world;
    return !w->scripted && !w->calm && sim_rng_chance(&w->rng[SIM_FOR_CELLS], odds);
}

static void do_restore(sim_cell *c, rovei_effect *e)
{
    c->forward = rovei_link_forward(&e->image.head, rove_buf_span(e->image.head_payload));
    rovei_completion done = {.kind = ROVEI_DONE_RESTORED, .attempt = e->attempt};
    rovei_keypair *key = e->key ? rovei_keypair_ref(e->key) : NULL;
    if (!key) {
        if (rovei_keypair_from_seed(&key, &c->node->env, c->daemon->seed))
            abort();
        done.key = rovei_keypair_ref(key);
    }
    if (veto(c, 60))
        done.err = ROVE_E_RESTORE_FAILED;
    else
        done.err = e->cell ? rovei_cell_set_key(c->cell, key) : new_cell(c, key);
    if (!done.err)
        done.err = rovei_cell_restore_image(c->cell, &e->image, &done.text);
    rovei_keypair_unref(key);
    sim_say(c->node->world, c->node->name, "restores %s: %s", c->daemon->name,
            rove_err_name(done.err));
    if (done.err)
        give_up(c, e);
    else
        done.cell = c->id;
    give_back(c->node, c, &done);
}

static void do_open_state(sim_cell *c, rovei_effect *e)
{
    rovei_completion done = {
        .kind = ROVEI_DONE_STATE_OPENED, .attempt = e->attempt, .ticket = e->ticket};
    rovei_keypair *key;
    if (rovei_keypair_public_only(&key, &c->node->env, &c->daemon->entity))
        abort();
    done.err = veto(c, 60) ? ROVE_E_RESTORE_FAILED : new_cell(c, key);
    if (!done.err)
        done.err = rovei_cell_restore_begin(c->cell, e->size, &done.text);
    rovei_keypair_unref(key);
    sim_say(c->node->world, c->node->name, "takes %s in pieces, %" PRIu64 " bytes: %s",
            c->daemon->name, e->size, rove_err_name(done.err));
    if (done.err)
        give_up(c, e);
    else
        done.cell = c->id;
    give_back(c->node, c, &done);
}

static void do_write_state(sim_cell *c, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_STATE_WRITTEN,
                             .cell = c->id,
                             .attempt = e->attempt,
                             .number = e->payload.size};
    done.err = veto(c, 2) ? ROVE_E_RESTORE_FAILED : rovei_cell_restore_write(c->cell, e->payload);
    if (done.err)
        sim_check_veto(c->node->world, &e->attempt);
    give_back(c->node, c, &done);
}

static void do_read_state(sim_cell *c, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_STATE_READ,
                             .cell = c->id,
                             .attempt = e->attempt,
                             .ticket = e->ticket,
                             .number = e->number};
    rove_buf *buf = rovei_buf_alloc(&c->node->world->alloc, (size_t)e->size);
    if (!buf)
        abort();
    done.err = rovei_cell_read_frozen(c->cell, &e->attempt, e->number, rovei_buf_data(buf),
                                      (size_t)e->size);
    if (done.err && done.err != ROVE_E_WRONG_PHASE)
        sim_fail(c->node->world, "%s cannot read the frozen state of %s: %s", c->node->name,
                 c->daemon->name, rove_err_name(done.err));
    if (done.err)
        rove_buf_unref(buf);
    else
        done.owner = buf;
    give_back(c->node, c, &done);
}

/* False: the cell is gone. */
static bool do_effect(sim_cell *c, rovei_effect *e)
{
    if (e->kind == ROVEI_EFFECT_RESTORE || e->kind == ROVEI_EFFECT_OPEN_STATE) {
        if (e->kind == ROVEI_EFFECT_RESTORE)
            do_restore(c, e);
        else
            do_open_state(c, e);
        if (c->cell)
            return true;
        cell_free(c);
        return false;
    }
    switch (e->kind) {
    case ROVEI_EFFECT_APPLY:
        do_apply(c, e);
        break;
    case ROVEI_EFFECT_FREEZE:
        do_freeze(c, e);
        break;
    case ROVEI_EFFECT_THAW:
        do_thaw(c, e);
        break;
    case ROVEI_EFFECT_COMMIT:
        do_commit(c, e);
        break;
    case ROVEI_EFFECT_RESULT:
        do_result(c, e);
        break;
    case ROVEI_EFFECT_ACTIVATE:
        do_activate(c, e);
        break;
    case ROVEI_EFFECT_FORGET:
        sim_say(c->node->world, c->node->name, "%s is forgotten (%s)", c->daemon->name,
                rove_err_name(e->err));
        sim_check_forget(c, e->err);
        take_waiters(c, SIM_FATE_UNKNOWN, e->err);
        cell_free(c);
        return false;
    case ROVEI_EFFECT_ASIDE:
        sim_say(c->node->world, c->node->name, "%s is kept aside (%s)", c->daemon->name,
                rove_err_name(e->err));
        rovei_cell_aside(c->cell, e->err);
        take_waiters(c, SIM_FATE_UNKNOWN, e->err);
        break;
    case ROVEI_EFFECT_READ_STATE:
        do_read_state(c, e);
        break;
    case ROVEI_EFFECT_WRITE_STATE:
        do_write_state(c, e);
        break;
    case ROVEI_EFFECT_ASK:
    case ROVEI_EFFECT_ASK_PLACE:
    case ROVEI_EFFECT_SPAWN:
    case ROVEI_EFFECT_STORE:
    case ROVEI_EFFECT_OPEN_STATE:
    case ROVEI_EFFECT_RESTORE:
        break;
    }
    return true;
}

static void mailbox_run(sim_world *w, sim_thing *t)
{
    (void)w;
    mailbox_thing *m = (mailbox_thing *)t;
    sim_cell *c = m->node->up && m->node->life == m->life ? cell_by_id(m->node, m->cell) : NULL;
    free(m);
    if (!c || !c->first)
        return;
    c->busy = false;
    sim_work *k = c->first;
    c->first = k->next;
    if (!c->first)
        c->last = &c->first;
    bool stays = true;
    if (k->deliver)
        do_deliver(c, k->deliver);
    else if (k->backup)
        do_backup(c, k->backup);
    else
        stays = do_effect(c, &k->effect);
    if (!k->deliver && !k->backup)
        rovei_effect_fini(&k->effect);
    free(k);
    if (stays) {
        if (c->cell)
            rovei_cell_check(c->cell);
        plan_work(c);
    }
}

void sim_cell_deliver(sim_cell *c, sim_event *e)
{
    push_work(c, &(sim_work){.deliver = e});
}

void sim_cell_backup(sim_cell *c, sim_backup *b)
{
    *b = (sim_backup){0};
    push_work(c, &(sim_work){.backup = b});
}

void sim_backup_fini(sim_backup *b)
{
    rovei_image_fini(&b->image);
    rovei_backup_fini(&b->positions);
}

/* ---- questions ---- */
static rove_err drawn_answer(sim_world *w, const rovei_effect *e)
{
    sim_rng *r = &w->rng[SIM_FOR_CELLS];
    if (sim_stranger_is(w, &e->peer))
        return ROVE_E_WRONG_PEER;
    if (w->calm || w->scripted)
        return ROVE_OK;
    if (e->kind == ROVEI_EFFECT_ASK)
        return e->question == ROVEI_ASK_SEND && sim_rng_chance(r, 400) ? ROVE_E_REFUSED : ROVE_OK;
    if (sim_rng_chance(r, 1000))
        return ROVE_E_TARGET_NOT_READY;
    if (sim_rng_chance(r, 400))
        return sim_rng_chance(r, 5000) ? ROVE_E_REFUSED : ROVE_E_TARGET_NO_FACTORY;
    return ROVE_OK;
}

static sim_policy *scripted_policy; /* of the one scenario that runs */

static rove_buf *kind_name(void)
{
    rove_buf *name = rovei_buf_copy(NULL, SIM_KIND_NAME, strlen(SIM_KIND_NAME));
    if (!name)
        abort();
    return name;
}

void sim_cells_policy(sim_world *w, sim_policy *policy)
{
    (void)w;
    scripted_policy = policy;
}

void sim_cells_effect(sim_node *n, rovei_effect *e)
{
    sim_world *w = n->world;
    if (e->kind == ROVEI_EFFECT_ASK || e->kind == ROVEI_EFFECT_ASK_PLACE) {
        rove_err verdict = scripted_policy ? scripted_policy(n, e) : drawn_answer(w, e);
        bool place = e->kind == ROVEI_EFFECT_ASK_PLACE;
        give_back(n, NULL,
                  &(rovei_completion){.kind = ROVEI_DONE_ANSWER,
                                      .ticket = e->ticket,
                                      .attempt = e->attempt,
                                      .err = verdict,
                                      .text = place && !verdict ? kind_name() : NULL});
        if (verdict && place)
            sim_check_veto(w, &e->attempt);
        rovei_effect_fini(e);
        return;
    }
    sim_cell *c;
    if ((e->kind == ROVEI_EFFECT_RESTORE || e->kind == ROVEI_EFFECT_OPEN_STATE) && !e->cell) {
        sim_daemon *d = sim_daemon_of(w, &e->daemon);
        c = d ? cell_new(n, d) : NULL;
    } else {
        c = cell_by_id(n, e->cell);
    }
    if (!c) {
        rovei_effect_fini(e);
        return;
    }
    push_work(c, &(sim_work){.effect = *e});
}

/* ---- spawning ---- */
static void restore_from(sim_cell *c, const sim_backup *b)
{
    rove_buf *text = NULL;
    rove_err err = rovei_cell_restore_image(c->cell, &b->image, &text);
    if (err)
        sim_fail(c->node->world, "%s cannot be restored from a backup: %s", c->daemon->name,
                 rove_err_name(err));
    rove_buf_unref(text);
}

static sim_cell *spawn(sim_node *n, sim_daemon *d, bool given, bool force, const sim_backup *from)
{
    rovei_keypair *key;
    if (rovei_keypair_from_seed(&key, &n->env, d->seed))
        abort();
    sim_cell *c = cell_new(n, d);
    if (new_cell(c, key))
        abort();
    if (from)
        restore_from(c, from);
    c->spawning = true;
    rovei_spawn s = {.key = key,
                     .kind = SIM_KIND_NAME,
                     .cell = c->id,
                     .request = c->id,
                     .given = given,
                     .force = force,
                     .from = from ? &from->positions : NULL};
    rove_err err = rovei_node_spawn(n->core, sim_now(n), &s);
    rovei_keypair_unref(key);
    if (err) {
        sim_say(n->world, n->name, "cannot spawn %s: %s", d->name, rove_err_name(err));
        cell_free(c);
        return NULL;
    }
    sim_say(n->world, n->name, "spawns %s", d->name);
    return c;
}

sim_cell *sim_cell_spawn(sim_node *n, sim_daemon *d)
{
    return spawn(n, d, false, false, NULL);
}

sim_cell *sim_cell_spawn_given(sim_node *n, sim_daemon *d)
{
    return spawn(n, d, true, false, NULL);
}

sim_cell *sim_cell_spawn_forced(sim_node *n, sim_daemon *d)
{
    return spawn(n, d, true, true, NULL);
}

sim_cell *sim_cell_spawn_from(sim_node *n, sim_daemon *d, const sim_backup *b, bool force)
{
    return spawn(n, d, true, force, b);
}

void sim_cell_spawned(sim_cell *c, rove_err err)
{
    sim_world *w = c->node->world;
    c->spawning = false;
    if (err) {
        sim_say(w, c->node->name, "%s is not spawned: %s", c->daemon->name, rove_err_name(err));
        cell_free(c);
        return;
    }
    sim_belief b = sim_cell_belief(c);
    if (rovei_cell_activate(c->cell))
        abort();
    c->daemon->spawned = true;
    w->totals.spawns++;
    sim_truth_serve(w, c->node, c->daemon, &b, sinc_of(c));
}
