/* SPDX-License-Identifier: Apache-2.0
 *
 * Local delivery. The common case runs the daemon on the caller's thread: one lookup, one atomic
 * step in, the event, one step out. Else the caller takes a ticket in the mailbox; and an event
 * that meets a frozen daemon is diverted, with somebody or something waiting for its outcome. */
#include <base/buf.h>
#include <host/deliver.h>
#include <host/runtime.h>
#include <host/thread.h>

/* A caller of deliver, on his stack. */
struct deliver {
    rovei_ticket ticket;
    rovei_waiter waiter;
    rovei_delivery one;
    rove_deliver_fn *done; /* NOWAIT */
    void *user;
    bool queued, may_wait; /* the caller's thread, when another one may run this */
    bool diverted, settled;
    pthread_cond_t outcome;
    rove_err err;
};

/* ---- results ---- */

bool rovei_frames_next(rove_span frames, size_t *it, rove_link *ret_link, rove_span *ret_payload)
{
    if (*it >= frames.size)
        return false;
    rove_span rest = {(const uint8_t *)frames.data + *it, frames.size - *it};
    rovei_reader r = rovei_reader_of(rest);
    if (!rovei_event_frame_read(&r, ret_link, ret_payload))
        return false;
    *it = frames.size - rovei_reader_left(&r);
    return true;
}

bool rove_result_next(const rove_result *result, size_t *it, rove_link *ret_link,
                      rove_span *ret_payload)
{
    return rovei_frames_next(rove_buf_span(result->outputs), it, ret_link, ret_payload);
}

void rove_detail_fini(rove_detail *detail)
{
    if (!detail)
        return;
    rove_buf_unref(detail->text);
    *detail = (rove_detail){0};
}

void rove_result_fini(rove_result *result)
{
    if (!result)
        return;
    if (result->outputs)
        rove_buf_unref(result->outputs);
    if (result->detail.text)
        rove_buf_unref(result->detail.text);
    *result = (rove_result){0};
}

static void fill_result(rove_result *ret, const rovei_applied *applied)
{
    ret->outputs = applied->outputs;
    ret->output_count = applied->output_count;
    ret->index = applied->index;
    ret->detail.text = applied->text;
}

void rovei_deliver_result(rovei_delivery *d, rove_result *ret)
{
    fill_result(ret, &d->applied);
    ret->number = d->number;
    ret->detail.events = d->full_events;
    ret->detail.bytes = d->full_bytes;
}

static void tell_observers(struct rovei_host *h, uint64_t origin, const rove_event *event,
                           uint64_t wall, const rove_result *result)
{
    if (!result->index || !rovei_observers_any(&h->observers))
        return;
    rove_observed seen = {.daemon = {origin},
                          .index = result->index,
                          .event = {event->link, event->payload, wall},
                          .output_count = result->output_count,
                          .outputs = result->outputs};
    rovei_observers_fire(&h->observers, &seen);
}

void rovei_deliver_observed(const rovei_delivery *d, const rove_result *result)
{
    rove_event event = {.link = d->event.link, .payload = d->event.payload};
    tell_observers(d->resident->host, d->resident->entry.node.key, &event, d->wall, result);
}

/* ---- the end of a diverted event ---- */

void rovei_deliver_end(rovei_resident *r, void *waiter, rove_err err, rovei_applied *applied,
                       const rovei_cell_event *event, uint64_t wall)
{
    rovei_waiter *w = waiter;
    rovei_applied taken = applied ? *applied : (rovei_applied){0};
    if (applied)
        *applied = (rovei_applied){0};
    rovei_emission_end(w->emission, event ? &taken : NULL);
    w->emission = NULL;
    if (w->later) {
        rovei_later_end(w, err, taken, event, wall);
        return;
    }
    struct deliver *d = ROVEI_CONTAINER(w, struct deliver, waiter);
    pthread_mutex_lock(&r->mailbox.shared->lock);
    d->err = err;
    d->one.applied = taken;
    d->one.here = event != NULL;
    d->one.wall = wall;
    d->settled = true;
    pthread_cond_signal(&d->outcome);
    pthread_mutex_unlock(&r->mailbox.shared->lock);
}

/* ---- one event, by the runner ---- */

rove_err rovei_deliver_apply(rovei_delivery *d, rovei_waiter *waiter)
{
    rovei_cell *cell = d->resident->cell;
    rovei_emission *out;
    rove_err err = rovei_emission_new(&out, d->resident);
    if (err)
        return err;
    d->wall = rovei_clock_tick();
    err = rovei_cell_deliver(cell, d->wall, &d->event, waiter, &d->applied, &d->number);
    d->here = err == ROVE_OK;
    rovei_emission_end(out, d->here ? &d->applied : NULL);
    return err;
}

/* All that a diversion needs is had before the cell takes the event. */
rove_err rovei_deliver_divert(rovei_delivery *d, rovei_waiter *waiter)
{
    rovei_resident *r = d->resident;
    rovei_cell_event event = d->event;
    rovei_report *report = rovei_report_new(r);
    if (event.owner)
        (void)rove_buf_ref(event.owner);
    else
        event.owner = rovei_buf_copy(r->host->alloc, event.payload.data, event.payload.size);
    rove_err err = report && event.owner ? ROVE_OK : ROVE_E_NOMEM;
    if (err == ROVE_OK)
        err = rovei_emission_new(&waiter->emission, r);
    if (err == ROVE_OK) {
        event.payload = rove_buf_span(event.owner);
        d->wall = rovei_clock_tick();
        err = rovei_cell_deliver(r->cell, d->wall, &event, waiter, &d->applied, &d->number);
    }
    if (err == ROVE_E_BUFFER_FULL) {
        rovei_cell_diverted_totals(r->cell, &d->full_events, &d->full_bytes);
        d->full_events++;
        d->full_bytes += event.payload.size;
    }
    if (err != ROVE_E_DIVERTED) {
        rovei_emission_end(waiter->emission, NULL);
        waiter->emission = NULL;
        rove_buf_unref(event.owner);
        rovei_report_free(report);
        return err;
    }
    *rovei_report_completion(report) = (rovei_completion){
        .kind = ROVEI_DONE_DIVERTED,
        .attempt = rovei_cell_attempt(r->cell),
        .number = d->number,
        .link = event.link,
        .payload = event.payload,
        .owner = event.owner,
    };
    rovei_report_send(report);
    return err;
}

/* NOWAIT: somebody else is told. */
static rove_err divert_later(struct deliver *d)
{
    rovei_later *later;
    rove_err err =
        rovei_later_new(&later, d->one.resident, d->one.event.payload.size, d->done, d->user);
    if (err)
        return err;
    err = rovei_deliver_divert(&d->one, rovei_later_waiter(later));
    if (err != ROVE_E_DIVERTED)
        rovei_later_drop(later);
    return err;
}

static rove_err deliver_frozen(struct deliver *d)
{
    rovei_resident *r = d->one.resident;
    if (d->done)
        return divert_later(d);
    if (!d->queued)
        d->may_wait = !rovei_thread_is_worker() && !rovei_node_on_loop(r->host->node);
    if (!d->may_wait)
        return ROVE_E_WOULD_BLOCK;
    pthread_cond_init(&d->outcome, NULL);
    rove_err err = rovei_deliver_divert(&d->one, &d->waiter);
    d->diverted = err == ROVE_E_DIVERTED;
    if (d->diverted)
        (void)rovei_resident_hold(r); /* for the wait */
    else
        pthread_cond_destroy(&d->outcome);
    return err;
}

static void deliver_here(struct deliver *d)
{
    rovei_delivery *one = &d->one;
    rovei_resident *r = one->resident;
    if (!r->cell || !rovei_entry_is_listed(&r->entry)) {
        d->err = rovei_deliver_refusal(r);
    } else if (rovei_cell_state_of(r->cell) == ROVEI_CELL_FROZEN) {
        d->err = deliver_frozen(d);
    } else {
        d->err = rovei_deliver_apply(one, &d->waiter);
    }
    if (d->err == ROVE_OK)
        d->err = one->applied.err;
}

static bool deliver_run(rovei_job *job, rovei_mailbox *m)
{
    (void)m;
    deliver_here(ROVEI_CONTAINER(job, struct deliver, ticket.job));
    return true;
}

/* ---- the call ---- */

/* Somebody else has the daemon: wait for the turn. Called in a read section, which it leaves. */
static rove_err deliver_queued(struct deliver *d)
{
    rovei_resident *r = d->one.resident;
    struct rovei_host *h = r->host;
    bool alive = rovei_resident_hold_entry(&r->entry);
    rovei_rcu_leave();
    if (!alive)
        return ROVE_E_STALE;
    bool on_loop = rovei_node_on_loop(h->node), done = true;
    d->queued = true;
    d->may_wait = !on_loop && !rovei_thread_is_worker();
    d->ticket.job.run = deliver_run;
    if (on_loop)
        done = rovei_mailbox_try(&r->mailbox, &d->ticket.job);
    else
        rovei_mailbox_wait(&r->mailbox, &d->ticket.job);
    rovei_resident_drop(r);
    return done ? ROVE_OK : ROVE_E_WOULD_BLOCK;
}

/* The outcome of what was diverted. */
static void await_outcome(struct deliver *d)
{
    rovei_resident *r = d->one.resident;
    pthread_mutex_lock(&r->mailbox.shared->lock);
    while (!d->settled)
        pthread_cond_wait(&d->outcome, &r->mailbox.shared->lock);
    pthread_mutex_unlock(&r->mailbox.shared->lock);
    pthread_cond_destroy(&d->outcome);
    rovei_resident_drop(r);
}

/* Everything but the ticket and the condition, which only a caller who waits needs. */
static void deliver_init(struct deliver *d, rovei_resident *r, const rove_event *event,
                         rove_deliver_fn *done, void *user)
{
    d->waiter = (rovei_waiter){0};
    d->one = (rovei_delivery){.resident = r, .event = {event->link, event->payload, NULL}};
    d->done = done;
    d->user = user;
    d->queued = d->may_wait = d->diverted = d->settled = false;
    d->err = ROVE_OK;
}

/* Ends a deliver that did not go the quick way. */
static rove_err finish(struct deliver *d, rove_err err, struct rovei_host *h, rove_daemon daemon,
                       const rove_event *event, rove_result *ret)
{
    if (err == ROVE_OK) {
        if (d->diverted)
            await_outcome(d);
        err = d->err;
    }
    rovei_deliver_result(&d->one, ret);
    if (d->one.here)
        tell_observers(h, daemon.origin, event, d->one.wall, ret);
    return err;
}

/* The quick way, of a caller who has the daemon. False, and nothing was done: it does not serve, or
 * publishes what it puts out. */
static inline bool apply_here(rovei_resident *r, const rove_event *event, uint64_t *ret_wall,
                              rovei_applied *ret)
{
    if (!r->cell || r->publishes || !rovei_entry_is_listed(&r->entry))
        return false;
    *ret_wall = rovei_clock_tick();
    rovei_cell_event ev = {event->link, event->payload, NULL};
    return rovei_cell_apply(r->cell, *ret_wall, &ev, ret);
}

static rove_err deliver(struct rovei_host *h, rove_daemon daemon, const rove_event *event,
                        rove_deliver_fn *done, void *user, rove_result *ret)
{
    struct deliver d;
    rovei_rcu_enter();
    rovei_entry *e = rovei_registry_find(&h->registry, daemon.origin);
    if (!e) {
        rovei_rcu_leave();
        rove_err gate = rovei_host_gate(h); /* shutdown may have begun meanwhile */
        return gate ? gate : rovei_host_missing(h, daemon.origin);
    }
    rovei_resident *r = ROVEI_CONTAINER(e, rovei_resident, entry);
    rovei_mailbox *m = &r->mailbox;
    if (!rovei_mailbox_try_enter(m)) {
        deliver_init(&d, r, event, done, user);
        return finish(&d, deliver_queued(&d), h, daemon, event, ret);
    }
    /* Whoever has the role keeps the resident alive: it ends by a job. */
    rovei_rcu_leave();
    rovei_thread_enter();
    uint64_t wall;
    rovei_applied applied;
    bool quick = apply_here(r, event, &wall, &applied);
    if (!quick) {
        deliver_init(&d, r, event, done, user);
        deliver_here(&d);
    }
    rovei_thread_leave();
    rovei_mailbox_leave(m);
    if (!quick)
        return finish(&d, ROVE_OK, h, daemon, event, ret);
    fill_result(ret, &applied);
    tell_observers(h, daemon.origin, event, wall, ret);
    return applied.err;
}

rove_err rove_runtime_deliver(rove_runtime *rt, rove_daemon daemon, const rove_event *event,
                              unsigned flags, rove_result *ret, rove_deliver_fn *done, void *user)
{
    if (!ret)
        return ROVE_E_USAGE;
    *ret = (rove_result){0};
    bool nowait = flags & ROVE_DELIVER_NOWAIT;
    if (!rt || !event || (event->payload.size && !event->payload.data) ||
        (flags & ~(unsigned)ROVE_DELIVER_NOWAIT) || (nowait && !done))
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err)
        return err;
    if (event->payload.size > h->env->limits.event_max) {
        ret->detail.size = event->payload.size;
        ret->detail.most = h->env->limits.event_max;
        return ROVE_E_TOO_LARGE;
    }
    return deliver(h, daemon, event, nowait ? done : NULL, user, ret);
}
