/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of senders with a completion, and the end of a sender. What waits for an outcome or for
 * room stands in a list of the loop thread, which the sender's own task looks at. */
#include <base/check.h>
#include <host/sender_impl.h>
#include <host/thread.h>
#include <rove/async.h>
#include <shell/call.h>
#include <shell/latch.h>

/* ---- waiting ---- */

struct wait {
    rovei_pending pending;
    rovei_list all; /* s->waits */
    rovei_timer timer;
    rove_sender *sender;
    uint64_t timeout;
    size_t size;             /* of the event that wants room */
    rove_sent_done_fn *sent; /* or NULL: it waits for room */
    rove_done_fn *room;
    void *user;
};

static void end_wait(struct wait *w, rove_err err, rove_sent *sent)
{
    rove_sender *s = w->sender;
    rovei_list_remove(&w->all);
    rovei_timers_release(rovei_node_timers(s->node), &w->timer);
    pthread_mutex_lock(&s->lock);
    s->later--;
    pthread_mutex_unlock(&s->lock);
    if (w->sent)
        w->sent(w->user, err, sent);
    else
        w->room(w->user, err);
    rove_sent_fini(sent);
    rovei_pending_end(&w->pending);
}

/* What the wait gets now: E_WINDOW as long as it has to go on. */
static rove_err look(const struct wait *w, rove_sent *ret)
{
    rove_sender *s = w->sender;
    rove_err err = ROVE_E_WINDOW;
    pthread_mutex_lock(&s->lock);
    if (!w->sent && (s->closing || rovei_sender_has_room(s, w->size))) {
        err = s->closing ? ROVE_E_CLOSED : ROVE_OK;
    } else if (w->sent && s->entry_count) {
        err = ROVE_OK;
        rovei_sender_pull(s, ret);
    } else if (w->sent && s->pulled_end) {
        err = ROVE_E_CLOSED;
    }
    if (w->sent && err == ROVE_OK)
        rovei_sender_unlock(s); /* there may be room again */
    else
        pthread_mutex_unlock(&s->lock);
    return err;
}

void rovei_sender_serve(rove_sender *s)
{
    ROVEI_LIST_EACH (it, next, &s->waits) {
        struct wait *w = ROVEI_CONTAINER(it, struct wait, all);
        rove_sent sent = {0};
        rove_err err = look(w, &sent);
        if (err != ROVE_E_WINDOW)
            end_wait(w, err, &sent);
    }
}

static void time_out(rovei_timer *timer, void *user, rovei_now now)
{
    rove_sent none = {0};
    (void)timer;
    (void)now;
    end_wait(user, ROVE_E_TIMED_OUT, &none);
}

static void wait_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct wait *w = ROVEI_CONTAINER(task, struct wait, pending.task);
    rove_sender *s = w->sender;
    rovei_timers *timers = rovei_node_timers(s->node);
    (void)core;
    rovei_list_add_tail(&s->waits, &w->all);
    pthread_mutex_lock(&s->lock);
    s->later++;
    pthread_mutex_unlock(&s->lock);
    rove_sent none = {0};
    rove_err err = rovei_timers_reserve(timers, &w->timer, time_out, w);
    if (err) {
        end_wait(w, err, &none);
        return;
    }
    rovei_timer_set(timers, &w->timer, rovei_time_add(now.mono, w->timeout));
    rovei_sender_serve(s);
}

static rove_err wait_begin(rove_sender *s, struct wait fields)
{
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    struct wait *w;
    rove_err err = ROVEI_PENDING_NEW(&w, rovei_node_pendings(s->node));
    if (err)
        return err;
    fields.pending = w->pending;
    fields.sender = s;
    *w = fields;
    rovei_list_init(&w->all);
    rovei_pending_post(&w->pending, wait_run);
    return ROVE_OK;
}

rove_err rove_sender_next_async(rove_sender *s, uint64_t timeout_ns, rove_sent_done_fn *done,
                                void *user)
{
    if (!s || !done || s->sent)
        return ROVE_E_USAGE;
    return wait_begin(s, (struct wait){.sent = done, .timeout = timeout_ns, .user = user});
}

rove_err rove_sender_room_async(rove_sender *s, size_t size, rove_done_fn *done, void *user)
{
    if (!s || !done)
        return ROVE_E_USAGE;
    if (size > s->env->limits.event_max)
        return ROVE_E_TOO_LARGE;
    return wait_begin(
        s, (struct wait){.room = done, .size = size, .timeout = ROVE_TIME_NEVER, .user = user});
}

/* ---- opening ---- */

struct opening {
    rovei_pending pending;
    rove_sender *sender;
    rove_entity daemon;
    rove_sender_done_fn *done;
    void *user;
};

static void open_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct opening *o = ROVEI_CONTAINER(task, struct opening, pending.task);
    rove_err err = rovei_sender_join_core(o->sender, core, now, &o->daemon);
    if (err)
        rovei_sender_delete(o->sender);
    o->done(o->user, err, err ? NULL : o->sender);
    rovei_pending_end(&o->pending);
}

rove_err rove_sender_open_async(rove_node *node, const rove_entity *daemon,
                                const rove_sender_config *cfg, rove_sender_done_fn *done,
                                void *user)
{
    if (!node || !daemon || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (cfg && cfg->struct_version != ROVE_SENDER_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    struct opening *o;
    rove_err err = ROVEI_PENDING_NEW(&o, rovei_node_pendings(node));
    if (err)
        return err;
    o->sender = rovei_sender_new(node, cfg);
    if (!o->sender) {
        rovei_pending_drop(&o->pending);
        return ROVE_E_NOMEM;
    }
    o->daemon = *daemon;
    o->done = done;
    o->user = user;
    rovei_pending_post(&o->pending, open_run);
    return ROVE_OK;
}

/* ---- freeing ---- */

struct ending {
    rovei_task task;
    rove_sender *sender;
    void (*ended)(struct ending *e); /* the sender is no more; the ending is its owner's again */
};

static void end_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct ending *e = ROVEI_CONTAINER(task, struct ending, task);
    rove_sender *s = e->sender;
    s->leaving = true;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    bool posted = s->posted;
    pthread_mutex_unlock(&s->lock);
    if (posted) { /* behind its task */
        rovei_postbox_post(rovei_node_postbox(s->node), &e->task);
        return;
    }
    rovei_sender_leave_core(s, core, now);
    while (!rovei_list_empty(&s->waits)) {
        rove_sent none = {0};
        end_wait(ROVEI_CONTAINER(s->waits.next, struct wait, all), ROVE_E_CLOSED, &none);
    }
    rovei_sender_delete(s);
    e->ended(e);
}

struct ending_wait {
    struct ending ending;
    rovei_latch latch;
};

static void wake(struct ending *e)
{
    rovei_latch_open(&ROVEI_CONTAINER(e, struct ending_wait, ending)->latch);
}

void rove_sender_free(rove_sender *s)
{
    if (!s)
        return;
    rove_node *node = s->node;
    ROVEI_CHECK(!rovei_node_in_turn(node) && !rovei_thread_is_inside());
    struct ending_wait w = {.ending = {.task.run = end_run, .sender = s, .ended = wake}};
    rovei_latch_init(&w.latch);
    rovei_postbox_post(rovei_node_postbox(node), &w.ending.task);
    rovei_latch_wait(&w.latch, node);
}

struct freeing {
    rovei_pending pending;
    struct ending ending;
    rove_done_fn *done;
    void *user;
};

static void tell_freed(struct ending *e)
{
    struct freeing *f = ROVEI_CONTAINER(e, struct freeing, ending);
    f->done(f->user, ROVE_OK);
    rovei_pending_end(&f->pending);
}

rove_err rove_sender_free_async(rove_sender *s, rove_done_fn *done, void *user)
{
    if (!s || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    struct freeing *f;
    rove_err err = ROVEI_PENDING_NEW(&f, rovei_node_pendings(s->node));
    if (err)
        return err;
    f->ending = (struct ending){.task.run = end_run, .sender = s, .ended = tell_freed};
    f->done = done;
    f->user = user;
    rovei_postbox_post(rovei_node_postbox(s->node), &f->ending.task);
    return ROVE_OK;
}
