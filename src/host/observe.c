/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls about observers. */
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/latch.h>

bool rove_observed_next(const rove_observed *observed, size_t *it, rove_link *ret_link,
                        rove_span *ret_payload)
{
    return rovei_frames_next(rove_buf_span(observed->outputs), it, ret_link, ret_payload);
}

rove_err rove_runtime_observe(rove_runtime *rt, rove_daemon daemon, rove_observe_fn *fn, void *user,
                              rove_observer *ret)
{
    if (!rt || !fn || !ret)
        return ROVE_E_USAGE;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK && rovei_host_gate(&rt->host) == ROVE_E_SHUTTING_DOWN)
        err = ROVE_E_SHUTTING_DOWN;
    return err ? err : rovei_observers_add(&rt->host.observers, daemon.origin, fn, user, ret);
}

struct unobserve_wait {
    rovei_unobserve unobserve;
    rove_node *node;
    rovei_task task;
    rovei_latch latch;
};

static void open_latch(rovei_task *task, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    rovei_latch_open(&ROVEI_CONTAINER(task, struct unobserve_wait, task)->latch);
}

/* By way of the node's thread, as whoever waits may be the one who drives it. */
static void wake(rovei_unobserve *u)
{
    struct unobserve_wait *w = ROVEI_CONTAINER(u, struct unobserve_wait, unobserve);
    rovei_postbox_post(rovei_node_postbox(w->node), &w->task);
}

rove_err rove_runtime_unobserve(rove_runtime *rt, rove_observer observer)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_may_drive(h);
    if (err == ROVE_OK && rovei_thread_is_observing())
        err = ROVE_E_WOULD_BLOCK;
    if (err)
        return err;
    struct unobserve_wait w = {.unobserve.ended = wake, .node = h->node, .task.run = open_latch};
    rovei_latch_init(&w.latch);
    err = rovei_observers_remove(&h->observers, observer, &w.unobserve);
    if (err)
        rovei_latch_open(&w.latch);
    rovei_latch_wait(&w.latch, h->node);
    return err;
}

struct unobserving {
    rovei_pending pending;
    rovei_unobserve unobserve;
    rove_done_fn *done;
    void *user;
};

static void unobserved(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct unobserving *u = ROVEI_CONTAINER(task, struct unobserving, pending.task);
    (void)core;
    (void)now;
    u->done(u->user, ROVE_OK);
    rovei_pending_end(&u->pending);
}

static void post(rovei_unobserve *unobserve)
{
    struct unobserving *u = ROVEI_CONTAINER(unobserve, struct unobserving, unobserve);
    rovei_pending_post(&u->pending, unobserved);
}

rove_err rove_runtime_unobserve_async(rove_runtime *rt, rove_observer observer, rove_done_fn *done,
                                      void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct unobserving *u;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&u, &rt->host.pendings);
    if (err)
        return err;
    u->unobserve.ended = post;
    u->done = done;
    u->user = user;
    err = rovei_observers_remove(&rt->host.observers, observer, &u->unobserve);
    if (err)
        rovei_pending_drop(&u->pending);
    return err;
}
