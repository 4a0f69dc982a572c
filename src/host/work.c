/* SPDX-License-Identifier: Apache-2.0
 *
 * Core work: an effect becomes a job in the daemon's mailbox; what its runner made of it comes back
 * to the loop thread in order, and goes to the core as a completion. When memory for a job is
 * refused the loop thread waits for its turn and does the work itself: no effect is ever lost. */
#include <host/host.h>

/* ---- the way back ---- */

void rovei_work_done(rovei_work *w)
{
    struct rovei_host *h = w->resident->host;
    struct rovei_work *head = atomic_load_explicit(&h->done, memory_order_relaxed);
    do {
        w->done_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&h->done, &head, w, memory_order_release,
                                                    memory_order_relaxed));
    /* The work may be finished and gone from here on. */
    if (!head && !(rovei_node_in_turn(h->node) && h->turning) &&
        !atomic_exchange(&h->done_posted, true)) /* a turn may have emptied what it stands for */
        rovei_postbox_post(rovei_node_postbox(h->node), &h->done_task);
}

bool rovei_work_finish(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    struct rovei_work *w = atomic_exchange_explicit(&h->done, NULL, memory_order_acquire);
    struct rovei_work *first = NULL;
    while (w) {
        struct rovei_work *next = w->done_next;
        w->done_next = first;
        first = w;
        w = next;
    }
    bool any = first != NULL;
    while (first) {
        struct rovei_work *next = first->done_next;
        rovei_resident *r = first->resident;
        first->finish(first, core, now);
        rovei_resident_drop(r);
        first = next;
    }
    return any;
}

/* ---- the way there ---- */

/* A job that the loop thread runs in its turn, without memory of its own. */
struct by_hand {
    rovei_ticket ticket;
    rovei_work *work;
};

static bool by_hand_run(rovei_job *job, rovei_mailbox *m)
{
    struct by_hand *b = ROVEI_CONTAINER(job, struct by_hand, ticket.job);
    return b->work->job.run(&b->work->job, m);
}

void rovei_work_by_hand(rovei_work *w, rovei_node *core, rovei_now now)
{
    rovei_resident *r = w->resident;
    struct rovei_host *h = r->host;
    if (r->held) { /* the role is this thread's own already */
        while (!w->job.run(&w->job, &r->mailbox))
            ;
    } else {
        struct by_hand b = {.ticket.job.run = by_hand_run, .work = w};
        rovei_mailbox_wait(&r->mailbox, &b.ticket.job);
    }
    h->answered |= rovei_work_finish(h, core, now);
}

void rovei_work_put(rovei_work *w)
{
    rovei_resident *r = w->resident;
    if (rovei_mailbox_put(&r->mailbox, &w->job))
        rovei_host_schedule(r->host, &r->mailbox);
}

/* ---- what the core orders of one cell, but for events ---- */

struct control {
    rovei_work work;
    rovei_effect_kind kind;
    bool by_hand, thawing, answer, key_is_ours;
    rove_err err;
    rovei_attempt_id attempt;
    uint64_t number;
    rovei_applied result; /* RESULT */
    rovei_image image;    /* RESTORE */
    rovei_keypair *key;   /* RESTORE of a cell that was opened; one reference */
    uint64_t ticket, size;
    bool quiesce;    /* FREEZE */
    rove_span bytes; /* WRITE_STATE, inside of owner */
    rove_buf *owner;
    rovei_completion c;
};

static void end_waiters(rovei_resident *r, rove_err err)
{
    void *waiter;
    while (rovei_cell_take_waiter(r->cell, &waiter))
        rovei_deliver_end(r, waiter, err, NULL, NULL, 0);
}

static void run_freeze(struct control *k, rovei_resident *r)
{
    k->c.kind = ROVEI_DONE_FROZEN;
    k->answer = true;
    uint64_t wall = rovei_clock_now().wall;
    if (!r->cell)
        k->c.err = ROVE_E_STALE;
    else if (k->quiesce)
        k->c.err = rovei_cell_quiesce(r->cell, wall, &k->attempt, k->size, &k->c.image, &k->c.text);
    else
        k->c.err = rovei_cell_freeze(r->cell, wall, &k->attempt, &k->c.image, &k->c.text);
}

/* One event at a time, so that a long list does not hold up a worker beyond its budget. */
static bool run_thaw(struct control *k, rovei_resident *r)
{
    if (!r->cell || (!k->thawing && rovei_cell_thaw(r->cell, &k->attempt) != ROVE_OK))
        return true;
    k->thawing = true;
    void *waiter;
    rovei_cell_event event;
    rovei_applied applied;
    uint64_t wall = rovei_clock_now().wall;
    if (!rovei_cell_thaw_next(r->cell, wall, &waiter, &event, &applied))
        return true;
    rovei_deliver_end(r, waiter, applied.err, &applied, &event, wall);
    return false;
}

static void run_commit(struct control *k, rovei_resident *r)
{
    k->c.kind = ROVEI_DONE_COMMITTED;
    k->answer = true;
    k->c.err = r->cell ? rovei_cell_commit(r->cell, &k->attempt, &k->c.number) : ROVE_E_STALE;
}

static void run_result(struct control *k, rovei_resident *r)
{
    void *waiter;
    rovei_attempt_id frozen = r->cell ? rovei_cell_attempt(r->cell) : (rovei_attempt_id){{0}};
    bool fits = r->cell && memcmp(&frozen, &k->attempt, sizeof frozen) == 0;
    if (fits && rovei_cell_take_result(r->cell, k->number, &waiter))
        rovei_deliver_end(r, waiter, k->err, &k->result, NULL, 0);
    rovei_applied_fini(&k->result);
}

static void run_forget(struct control *k, rovei_resident *r)
{
    static const rove_control over = {.kind = ROVE_CONTROL_SHUTDOWN};
    rove_err err = k->err ? k->err : ROVE_E_STALE;
    if (r->cell) {
        if (err == ROVE_E_STOPPED || err == ROVE_E_SHUTTING_DOWN)
            rovei_cell_control(r->cell, &over);
        end_waiters(r, err);
        rovei_cell_free(r->cell);
        r->cell = NULL;
    }
    r->ended = err;
}

static rove_err make_cell(rovei_resident *r)
{
    rovei_cell_config cfg = {
        .env = r->host->env, .kind = r->made_of.kind, .kind_user = r->made_of.user, .key = r->key};
    return rovei_cell_new(&r->cell, &cfg);
}

static void drop_cell(rovei_resident *r)
{
    rovei_cell_free(r->cell);
    r->cell = NULL;
    r->ended = ROVE_E_STALE;
}

static void run_restore(struct control *k, rovei_resident *r)
{
    rove_err err = ROVE_OK;
    k->c.kind = ROVEI_DONE_RESTORED;
    k->answer = true;
    if (!k->key) /* all of it at once */
        err = make_cell(r);
    else
        err = r->cell ? rovei_cell_set_key(r->cell, k->key) : ROVE_E_STALE;
    if (err == ROVE_OK)
        err = rovei_cell_restore_image(r->cell, &k->image, &k->c.text);
    rovei_image_fini(&k->image);
    if (err)
        drop_cell(r);
    else if (k->key_is_ours)
        k->c.key = rovei_keypair_ref(rovei_cell_key(r->cell));
    rovei_keypair_unref(k->key);
    k->key = NULL;
    k->c.err = err;
}

/* ---- states in pieces ---- */

static void run_read_state(struct control *k, rovei_resident *r)
{
    k->c.kind = ROVEI_DONE_STATE_READ;
    k->answer = true;
    k->c.ticket = k->ticket;
    k->c.number = k->number;
    rove_buf *buf = rovei_buf_alloc(r->host->alloc, (size_t)k->size);
    rove_err err = buf ? ROVE_OK : ROVE_E_NOMEM;
    if (err == ROVE_OK)
        err = r->cell ? rovei_cell_read_frozen(r->cell, &k->attempt, k->number, rovei_buf_data(buf),
                                               (size_t)k->size)
                      : ROVE_E_STALE;
    if (err) {
        rove_buf_unref(buf);
        buf = NULL;
    }
    k->c.owner = buf;
    k->c.err = err;
}

static void run_open_state(struct control *k, rovei_resident *r)
{
    k->c.kind = ROVEI_DONE_STATE_OPENED;
    k->answer = true;
    k->c.ticket = k->ticket;
    k->c.err = make_cell(r);
    if (k->c.err == ROVE_OK)
        k->c.err = rovei_cell_restore_begin(r->cell, k->size, &k->c.text);
    if (k->c.err)
        drop_cell(r);
}

static void run_write_state(struct control *k, rovei_resident *r)
{
    k->c.kind = ROVEI_DONE_STATE_WRITTEN;
    k->answer = true;
    k->c.number = k->bytes.size;
    k->c.err = r->cell ? rovei_cell_restore_write(r->cell, k->bytes) : ROVE_E_STALE;
    rove_buf_unref(k->owner);
    k->owner = NULL;
}

static bool control_run(rovei_job *job, rovei_mailbox *m)
{
    struct control *k = ROVEI_CONTAINER(job, struct control, work.job);
    rovei_resident *r = k->work.resident;
    (void)m;
    switch (k->kind) {
    case ROVEI_EFFECT_FREEZE:
        run_freeze(k, r);
        break;
    case ROVEI_EFFECT_THAW:
        if (!run_thaw(k, r))
            return false;
        break;
    case ROVEI_EFFECT_COMMIT:
        run_commit(k, r);
        break;
    case ROVEI_EFFECT_RESULT:
        run_result(k, r);
        break;
    case ROVEI_EFFECT_FORGET:
        run_forget(k, r);
        break;
    case ROVEI_EFFECT_ASIDE:
        if (r->cell) {
            rovei_cell_aside(r->cell, k->err);
            end_waiters(r, k->err ? k->err : ROVE_E_SUPERSEDED);
        }
        break;
    case ROVEI_EFFECT_RESTORE:
        run_restore(k, r);
        break;
    case ROVEI_EFFECT_ACTIVATE:
        k->c.kind = ROVEI_DONE_ACTIVATED;
        k->answer = true;
        k->c.err = r->cell ? rovei_cell_activate(r->cell) : ROVE_E_STALE;
        break;
    case ROVEI_EFFECT_READ_STATE:
        run_read_state(k, r);
        break;
    case ROVEI_EFFECT_OPEN_STATE:
        run_open_state(k, r);
        break;
    case ROVEI_EFFECT_WRITE_STATE:
        run_write_state(k, r);
        break;
    case ROVEI_EFFECT_APPLY:
    case ROVEI_EFFECT_ASK_PLACE:
    case ROVEI_EFFECT_ASK:
    case ROVEI_EFFECT_SPAWN:
    case ROVEI_EFFECT_STORE:
        break;
    }
    rovei_work_done(&k->work);
    return true;
}

static void control_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    struct control *k = ROVEI_CONTAINER(w, struct control, work);
    rovei_resident *r = w->resident;
    bool makes = k->kind == ROVEI_EFFECT_RESTORE || k->kind == ROVEI_EFFECT_OPEN_STATE;
    bool failed = makes && k->c.err;
    k->c.cell = r->number;
    k->c.attempt = k->attempt;
    if (k->answer)
        rovei_node_complete(core, now, &k->c);
    if (k->kind == ROVEI_EFFECT_FORGET || (failed && !r->forgotten))
        rovei_host_dismiss(r->host, r);
    if (!k->by_hand)
        ROVEI_DELETE(r->host->alloc, k);
}

static void begin_control(struct control *fields, rovei_resident *r, rovei_node *core,
                          rovei_now now)
{
    fields->work = (rovei_work){
        .job.run = control_run, .resident = rovei_resident_hold(r), .finish = control_finish};
    struct control *k = ROVEI_NEW(r->host->alloc, struct control);
    if (k) {
        *k = *fields;
        rovei_work_put(&k->work);
    } else {
        fields->by_hand = true;
        rovei_work_by_hand(&fields->work, core, now);
    }
}

void rovei_work_forget(rovei_resident *r, rovei_node *core, rovei_now now, rove_err err)
{
    if (r->forgotten)
        return;
    r->forgotten = true;
    rovei_host_unlist(r->host, r, err);
    struct control fields = {.kind = ROVEI_EFFECT_FORGET, .err = err};
    begin_control(&fields, r, core, now);
}

void rovei_work_restore(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e,
                        rovei_keypair *key, bool key_is_ours)
{
    struct control fields = {.kind = ROVEI_EFFECT_RESTORE,
                             .attempt = e->attempt,
                             .image = e->image,
                             .key = key ? rovei_keypair_ref(key) : NULL,
                             .key_is_ours = key_is_ours};
    e->image = (rovei_image){0};
    begin_control(&fields, r, core, now);
}

void rovei_work_open_state(rovei_resident *r, rovei_node *core, rovei_now now,
                           const rovei_effect *e)
{
    struct control fields = {.kind = ROVEI_EFFECT_OPEN_STATE,
                             .attempt = e->attempt,
                             .ticket = e->ticket,
                             .size = e->size};
    begin_control(&fields, r, core, now);
}

void rovei_work_begin(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e)
{
    if (e->kind == ROVEI_EFFECT_APPLY) {
        rovei_work_apply(r, core, now, e);
        return;
    }
    if (e->kind == ROVEI_EFFECT_FORGET) {
        rovei_work_forget(r, core, now, e->err);
        return;
    }
    struct control fields = {.kind = e->kind,
                             .attempt = e->attempt,
                             .number = e->number,
                             .err = e->err,
                             .ticket = e->ticket,
                             .size = e->size,
                             .quiesce = e->quiesce};
    if (e->kind == ROVEI_EFFECT_WRITE_STATE) {
        fields.bytes = e->payload;
        fields.owner = e->owner;
        e->owner = NULL;
    }
    if (e->kind == ROVEI_EFFECT_RESULT) {
        fields.result = (rovei_applied){
            .err = e->err, .text = e->text, .outputs = e->owner, .output_count = e->output_count};
        e->text = e->owner = NULL;
    }
    if (e->kind == ROVEI_EFFECT_COMMIT)
        r->committed = true;
    if (e->kind == ROVEI_EFFECT_ASIDE)
        r->aside = true;
    if (e->kind == ROVEI_EFFECT_ACTIVATE)
        r->publishes = e->publishes;
    begin_control(&fields, r, core, now);
    /* Who finds it from now on comes after that in its order, and never meets one not yet serving.
     */
    if (e->kind == ROVEI_EFFECT_ACTIVATE)
        rovei_host_activated(r->host, r);
}

/* ---- what its kind is told ---- */

struct telling {
    rovei_work work;
    rove_control control;
    bool by_hand;
};

static bool telling_run(rovei_job *job, rovei_mailbox *m)
{
    struct telling *t = ROVEI_CONTAINER(job, struct telling, work.job);
    rovei_resident *r = t->work.resident;
    (void)m;
    if (r->cell)
        rovei_cell_control(r->cell, &t->control);
    rovei_work_done(&t->work);
    return true;
}

static void telling_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    struct telling *t = ROVEI_CONTAINER(w, struct telling, work);
    (void)core;
    (void)now;
    if (!t->by_hand)
        ROVEI_DELETE(w->resident->host->alloc, t);
}

void rovei_work_tell(rovei_resident *r, const rove_control *control)
{
    if (!r->made_of.kind->control)
        return;
    struct telling fields = {.work = {.job.run = telling_run,
                                      .resident = rovei_resident_hold(r),
                                      .finish = telling_finish},
                             .control = *control};
    struct telling *t = ROVEI_NEW(r->host->alloc, struct telling);
    if (t) {
        *t = fields;
        rovei_work_put(&t->work);
    } else {
        fields.by_hand = true;
        rovei_work_by_hand(&fields.work, rovei_node_core(r->host->node), rovei_clock_now());
    }
}

/* ---- reports ---- */

struct rovei_report {
    rovei_work work;
    rovei_completion c;
};

static void report_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    rovei_report *report = ROVEI_CONTAINER(w, rovei_report, work);
    report->c.cell = w->resident->number;
    rovei_node_complete(core, now, &report->c);
    ROVEI_DELETE(w->resident->host->alloc, report);
}

rovei_report *rovei_report_new(rovei_resident *r)
{
    rovei_report *report = ROVEI_NEW(r->host->alloc, rovei_report);
    if (report)
        report->work = (rovei_work){.resident = rovei_resident_hold(r), .finish = report_finish};
    return report;
}

void rovei_report_free(rovei_report *report)
{
    if (!report)
        return;
    rovei_resident *r = report->work.resident;
    ROVEI_DELETE(r->host->alloc, report);
    rovei_resident_drop(r);
}

rovei_completion *rovei_report_completion(rovei_report *report)
{
    return &report->c;
}

void rovei_report_send(rovei_report *report)
{
    rovei_work_done(&report->work);
}
