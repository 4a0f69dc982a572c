/* SPDX-License-Identifier: Apache-2.0
 *
 * Drains over the control socket. The drain is the node's: it goes on when the client is gone. */
#include <base/alloc.h>
#include <identity/entity.h>
#include <rove/drain.h>
#include <shell/control_job.h>

typedef struct control_draining {
    job *job;
    rove_drain_options options;
    rove_entity to;
    rove_drain_report report;
    rove_err err;
    bool ended; /* under the lock of the control object */
} control_draining;

static void add_counts(json_object *o, const rove_drain_report *r)
{
    control_add(o, "daemons", control_u64(r->daemons));
    control_add(o, "moved", control_u64(r->moved));
    control_add(o, "failed", control_u64(r->failed));
    control_add(o, "still_moving", control_u64(r->still_moving));
}

static void tell(void *user, rove_drain_event event, const rove_drain_progress *p)
{
    static const char *const names[] = {"?", "ordered", "retry", "moved", "failed", "still_moving"};
    connection *c = ((control_draining *)user)->job->connection;
    if (c->closing)
        return;
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text(names[event]));
    control_add(o, "origin", control_id(p->daemon.origin));
    control_add(o, "to",
                rovei_entity_is_zero(&p->target) ? NULL
                                                 : control_id(rovei_entity_node_id(&p->target)));
    control_add(o, "ms", control_ms(p->elapsed));
    control_add(o, "reason", control_reason(p->reason));
    add_counts(o, &p->so_far);
    control_say(c, o);
    control_flush(c);
}

static void on_end(void *user, rove_err err, const rove_drain_report *report)
{
    control_draining *d = user;
    rovei_control *control = d->job->control;
    pthread_mutex_lock(&control->lock);
    d->err = err;
    d->report = *report;
    d->ended = true;
    pthread_cond_broadcast(&control->moved);
    pthread_mutex_unlock(&control->lock);
}

static void drain_work(job *j)
{
    control_draining *d = j->draining;
    rovei_control *control = j->control;
    j->err = rove_runtime_drain_async(j->runtime, &d->options, on_end, d);
    if (j->err)
        return;
    pthread_mutex_lock(&control->lock);
    while (!d->ended && !control->ending)
        pthread_cond_wait(&control->moved, &control->lock);
    bool cut = !d->ended;
    pthread_mutex_unlock(&control->lock);
    if (cut) { /* the node stops; after shutdown the drain has ended by itself */
        rove_err err = rove_runtime_cordon(j->runtime, false);
        (void)err;
    }
    pthread_mutex_lock(&control->lock);
    while (!d->ended)
        pthread_cond_wait(&control->moved, &control->lock);
    pthread_mutex_unlock(&control->lock);
    j->err = d->err;
}

static void drain_finish(job *j, rovei_node *core, rovei_now now)
{
    connection *c = j->connection;
    const control_draining *d = j->draining;
    (void)core;
    (void)now;
    if (j->err == ROVE_E_BUSY) {
        control_end(c, j->err, "the node is being drained already: rove drain --undo ends that");
        return;
    }
    if (j->err == ROVE_E_SAME_NODE) {
        control_end(c, j->err, "that is the node itself: name another one with --to");
        return;
    }
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("drained"));
    add_counts(o, &d->report);
    control_add(o, "total_ms", control_ms(d->report.elapsed));
    control_add(o, "reason", control_reason(j->err));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, j->err);
}

static void drain_drop(job *j)
{
    ROVEI_DELETE(j->control->alloc, j->draining);
}

static uint64_t number(json_object *request, const char *name, uint64_t otherwise)
{
    json_object *value = NULL;
    return json_object_object_get_ex(request, name, &value) ? json_object_get_uint64(value)
                                                            : otherwise;
}

void control_drain(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rove_entity to;
    (void)now;
    bool one = control_field(request, "to") != NULL;
    if (one && !control_to(c, core, request, &to))
        return;
    control_draining *d = ROVEI_NEW(c->control->alloc, control_draining);
    job *j = d ? control_job_new(c) : NULL;
    if (!j) {
        if (d)
            ROVEI_DELETE(c->control->alloc, d);
        else
            control_end_err(c, ROVE_E_NOMEM);
        return;
    }
    rove_drain_options_init(&d->options);
    d->job = j;
    d->options.timeout = number(request, "timeout_ns", ROVE_TIME_NEVER);
    d->options.grace_ms = (uint32_t)(number(request, "grace_ns", 0) / ROVE_MILLISECOND);
    d->options.told = tell;
    d->options.told_user = d;
    if (one) {
        d->to = to;
        d->options.target = &d->to;
    }
    j->draining = d;
    j->work = drain_work;
    j->finish = drain_finish;
    j->drop = drain_drop;
    control_job_start(j);
}

void control_undrain(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    (void)request;
    rove_err err = rove_runtime_cordon(c->control->runtime, false);
    if (err) {
        control_end_err(c, err);
        return;
    }
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("uncordoned"));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
