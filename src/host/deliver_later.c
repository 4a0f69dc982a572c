/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivery with a completion: the event goes into the mailbox, whoever runs that applies or diverts
 * it, and the node's thread tells what became of it. Completions of one daemon leave in the order
 * in which its events were applied. */
#include <base/buf.h>
#include <host/deliver.h>
#include <host/runtime.h>
#include <rove/async.h>

struct rovei_later {
    rovei_pending pending;
    rovei_waiter waiter;
    rovei_job job;
    rovei_after after;
    atomic_uint refs;   /* the one who tells, and the observers */
    rovei_delivery one; /* with a reference to the resident and to the event */
    rove_err err;
    rove_result result;
    rove_deliver_fn *done;
    void *user;
};

/* ---- the way back ---- */

static void later_end(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_later *l = ROVEI_CONTAINER(task, rovei_later, pending.task);
    rovei_resident *r = l->one.resident;
    (void)core;
    (void)now;
    rove_result_fini(&l->result);
    rove_buf_unref(l->one.event.owner);
    rovei_pending_end(&l->pending);
    rovei_resident_drop(r);
}

static bool later_release(rovei_later *l)
{
    return atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1;
}

static void later_told(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_later *l = ROVEI_CONTAINER(task, rovei_later, pending.task);
    l->done(l->user, l->err, &l->result);
    if (later_release(l))
        later_end(task, core, now);
}

static void later_observed(rovei_after *after)
{
    rovei_later *l = ROVEI_CONTAINER(after, rovei_later, after);
    rovei_deliver_observed(&l->one, &l->result);
    if (later_release(l))
        rovei_pending_post(&l->pending, later_end);
}

/* For the runner: it has its outcome. */
static void finish(rovei_later *l, rove_err err)
{
    struct rovei_host *h = l->one.resident->host;
    l->err = err;
    rovei_deliver_result(&l->one, &l->result);
    if (l->one.here && l->result.index && rovei_observers_any(&h->observers)) {
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
        l->after.fire = later_observed;
        rovei_mailbox_after(&l->one.resident->mailbox, &l->after);
    }
    rovei_pending_post(&l->pending, later_told);
}

void rovei_later_end(rovei_waiter *waiter, rove_err err, rovei_applied applied,
                     const rovei_cell_event *event, uint64_t wall)
{
    rovei_later *l = ROVEI_CONTAINER(waiter, rovei_later, waiter);
    l->one.applied = applied;
    l->one.here = event != NULL;
    l->one.wall = wall;
    if (event && !l->one.event.owner) {
        l->one.event = *event;
        (void)rove_buf_ref(event->owner);
    }
    finish(l, err);
}

/* ---- the way there ---- */

rove_err rovei_later_new(rovei_later **ret, rovei_resident *r, size_t bytes, rove_deliver_fn *done,
                         void *user)
{
    rove_err err = rovei_pending_new(ret, &r->host->pendings, sizeof **ret, &bytes);
    if (err)
        return err;
    rovei_later *l = *ret;
    l->waiter.later = true;
    atomic_init(&l->refs, 1);
    l->one.resident = rovei_resident_hold(r);
    l->done = done;
    l->user = user;
    return ROVE_OK;
}

void rovei_later_drop(rovei_later *l)
{
    rovei_resident *r = l->one.resident;
    rove_buf_unref(l->one.event.owner);
    rovei_pending_drop(&l->pending);
    rovei_resident_drop(r);
}

rovei_waiter *rovei_later_waiter(rovei_later *l)
{
    return &l->waiter;
}

static rove_err apply(rovei_later *l)
{
    rovei_delivery *d = &l->one;
    rovei_resident *r = d->resident;
    if (!r->cell || !rovei_entry_is_listed(&r->entry))
        return rovei_deliver_refusal(r);
    if (rovei_cell_state_of(r->cell) == ROVEI_CELL_FROZEN)
        return rovei_deliver_divert(d, &l->waiter);
    rove_err err = rovei_deliver_apply(d, &l->waiter);
    return err ? err : d->applied.err;
}

static bool later_run(rovei_job *job, rovei_mailbox *m)
{
    rovei_later *l = ROVEI_CONTAINER(job, rovei_later, job);
    (void)m;
    rove_err err = apply(l);
    if (err != ROVE_E_DIVERTED)
        finish(l, err);
    return true;
}

/* ---- the call ---- */

static rove_err check(const rove_runtime *rt, const rove_event *event, rove_deliver_fn *done)
{
    if (!rt || !event || !done || (event->payload.size && !event->payload.data))
        return ROVE_E_USAGE;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(&rt->host);
    if (err == ROVE_OK && event->payload.size > rt->host.env->limits.event_max)
        err = ROVE_E_TOO_LARGE;
    return err;
}

rove_err rove_runtime_deliver_async(rove_runtime *rt, rove_daemon daemon, const rove_event *event,
                                    rove_deliver_fn *done, void *user)
{
    rove_err err = check(rt, event, done);
    if (err)
        return err;
    struct rovei_host *h = &rt->host;
    rovei_resident *r;
    err = rovei_host_resident(h, daemon.origin, &r);
    if (err) {
        rove_err gate = rovei_host_gate(h); /* shutdown may have begun meanwhile */
        return gate ? gate : err;
    }
    rovei_later *l;
    err = rovei_later_new(&l, r, event->payload.size, done, user);
    rovei_resident_drop(r);
    if (err)
        return err;
    rove_buf *owner = rovei_buf_copy(h->alloc, event->payload.data, event->payload.size);
    if (!owner) {
        rovei_later_drop(l);
        return ROVE_E_NOMEM;
    }
    l->one.event = (rovei_cell_event){event->link, rove_buf_span(owner), owner};
    l->job.run = later_run;
    rovei_resident_put(l->one.resident, &l->job);
    return ROVE_OK;
}
