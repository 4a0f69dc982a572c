/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a runtime. Its end goes in steps on the loop thread, none of which waits: the daemons
 * end; the workers end; calls that are still under way are told; the node lets go. The calls that
 * wait only wait for those steps. */
#include <base/check.h>
#include <host/pause.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/call.h>
#include <shell/latch.h>

/* ---- the beginning ---- */

static void attach(rovei_task *task, rovei_node *core, rovei_now now)
{
    rove_runtime *rt = ROVEI_CONTAINER(task, rove_runtime, begin);
    (void)now;
    rovei_node_attach(rt->host.node, &rt->host, &rovei_host_ops_table);
    rovei_node_ask_policy(core, rt->host.policy.allow != NULL);
}

rove_err rove_runtime_new(rove_runtime **ret, rove_node *node, const rove_runtime_config *cfg)
{
    rove_runtime_config defaults;
    rove_runtime_config_init(&defaults);
    if (!cfg)
        cfg = &defaults;
    if (!ret || !node || cfg->workers > ROVEI_WORKERS_MAX)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (cfg->struct_version != ROVE_RUNTIME_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    const rove_alloc *a = &rovei_node_env(node)->alloc;
    rove_runtime *rt = ROVEI_NEW(a, rove_runtime);
    if (!rt)
        return ROVE_E_NOMEM;
    atomic_init(&rt->refs, 1);
    rove_err err = rovei_node_claim(node);
    if (err == ROVE_OK) {
        err = rovei_host_init(&rt->host, node, cfg);
        if (err)
            rovei_node_disclaim(node);
    }
    if (err) {
        ROVEI_DELETE(a, rt);
        return err;
    }
    rt->begin.run = attach; /* whatever follows comes after it */
    rovei_postbox_post(rovei_node_postbox(node), &rt->begin);
    *ret = rt;
    return ROVE_OK;
}

rove_runtime *rove_runtime_ref(rove_runtime *rt)
{
    if (rt)
        atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
    return rt;
}

rove_err rove_runtime_start(rove_runtime *rt)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    ROVEI_PAUSE(START);
    pthread_mutex_lock(&h->lock);
    int life = atomic_load(&h->life);
    if (life == ROVEI_LIFE_REGISTERING) {
        atomic_store(&h->life, ROVEI_LIFE_READY);
        rovei_host_announce_later(h);
    }
    pthread_mutex_unlock(&h->lock);
    return life == ROVEI_LIFE_SHUTTING_DOWN ? ROVE_E_SHUTTING_DOWN : ROVE_OK;
}

bool rove_runtime_is_ready(const rove_runtime *rt)
{
    return rt && atomic_load_explicit(&rt->host.life, memory_order_acquire) == ROVEI_LIFE_READY;
}

/* ---- the end of the daemons ---- */

/* From here on nothing begins. True for the first. */
static bool close_gate(struct rovei_host *h)
{
    pthread_mutex_lock(&h->lock);
    bool first = atomic_exchange(&h->life, ROVEI_LIFE_SHUTTING_DOWN) != ROVEI_LIFE_SHUTTING_DOWN;
    if (first)
        rovei_factory_clear(&h->factory);
    pthread_mutex_unlock(&h->lock);
    ROVEI_PAUSE(SHUTDOWN);
    return first;
}

static void shut_down(void *arg, rovei_node *core, rovei_now now)
{
    rovei_shutdown *c = arg;
    struct rovei_host *h = c->host;
    rovei_list_add_tail(&h->endings, &c->ending.all);
    if (!c->first)
        return;
    rovei_host_end_spawns(h, core, now);
    rovei_host_end_spawns_away(h);
    rovei_host_end_subscribing(h);
    rovei_node_shutdown(core, now);
    h->sweep = true;
    atomic_store(&h->announce, true);
}

void rovei_host_tell_endings(struct rovei_host *h)
{
    if (h->sweep || h->cells.count)
        return;
    while (!rovei_list_empty(&h->endings)) {
        rovei_ending *e = ROVEI_CONTAINER(h->endings.next, rovei_ending, all);
        rovei_list_remove(&e->all);
        e->gone(e);
    }
}

struct shutdown_wait {
    rovei_shutdown call;
    rovei_latch latch;
};

static void wake(rovei_ending *e)
{
    rovei_latch_open(&ROVEI_CONTAINER(e, struct shutdown_wait, call.ending)->latch);
}

rove_err rove_runtime_shutdown(rove_runtime *rt)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_may_drive(h);
    if (err)
        return err;
    struct shutdown_wait w = {.call = {.ending.gone = wake, .host = h, .first = close_gate(h)}};
    rovei_latch_init(&w.latch);
    rovei_node_call(h->node, shut_down, &w.call);
    rovei_latch_wait(&w.latch, h->node);
    return ROVE_OK;
}

typedef struct shutting_down {
    rovei_pending pending;
    rovei_shutdown call;
    rove_done_fn *done;
    void *user;
} shutting_down;

static void tell_shut_down(rovei_ending *e)
{
    shutting_down *s = ROVEI_CONTAINER(e, shutting_down, call.ending);
    s->done(s->user, ROVE_OK);
    rovei_pending_end(&s->pending);
}

static void run_shut_down(rovei_task *task, rovei_node *core, rovei_now now)
{
    shut_down(&ROVEI_CONTAINER(task, shutting_down, pending.task)->call, core, now);
}

rove_err rove_runtime_shutdown_async(rove_runtime *rt, rove_done_fn *done, void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    shutting_down *s;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&s, &rt->host.pendings);
    if (err)
        return err;
    s->call = (rovei_shutdown){
        .ending.gone = tell_shut_down, .host = &rt->host, .first = close_gate(&rt->host)};
    s->done = done;
    s->user = user;
    rovei_pending_post(&s->pending, run_shut_down);
    return ROVE_OK;
}

/* ---- the end of the runtime ---- */

static void next_step(rove_runtime *rt,
                      void (*run)(rovei_task *task, rovei_node *core, rovei_now now))
{
    rt->step.run = run;
    rovei_postbox_post(rovei_node_postbox(rt->host.node), &rt->step);
}

static void drain(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    do
        while (rovei_workers_drain(&h->workers, ROVEI_TURN_BUDGET))
            ;
    while (rovei_work_finish(h, core, now));
}

/* Nothing is under way any more; only tasks of the host itself may still stand in the postbox. */
static void detach(rovei_task *task, rovei_node *core, rovei_now now)
{
    rove_runtime *rt = ROVEI_CONTAINER(task, rove_runtime, step);
    struct rovei_host *h = &rt->host;
    drain(h, core, now);
    if (atomic_load(&h->kicked) || atomic_load(&h->done_posted)) {
        next_step(rt, detach); /* behind them */
        return;
    }
    rovei_node_attach(h->node, NULL, NULL);
    rovei_node_ask_policy(core, false);
    rove_node *node = h->node;
    void (*freed)(void *) = rt->freed;
    void *user = rt->freed_user;
    rovei_host_fini(h);
    ROVEI_DELETE(&rovei_node_env(node)->alloc, rt);
    rovei_node_disclaim(node);
    freed(user);
}

static void settle(rovei_task *task, rovei_node *core, rovei_now now)
{
    rove_runtime *rt = ROVEI_CONTAINER(task, rove_runtime, step);
    rovei_workers_stop(&rt->host.workers); /* they have ended: nothing to wait for */
    drain(&rt->host, core, now);
    rt->step.run = detach;
    rovei_pendings_close(&rt->host.pendings, &rt->step);
}

static void workers_ended(rovei_workers *w)
{
    next_step(ROVEI_CONTAINER(w, rove_runtime, host.workers), settle);
}

static void daemons_ended(rovei_ending *e)
{
    rove_runtime *rt = ROVEI_CONTAINER(e, rove_runtime, last.ending);
    rovei_workers_end(&rt->host.workers, workers_ended);
}

static void end_runtime(rovei_task *task, rovei_node *core, rovei_now now)
{
    shut_down(&ROVEI_CONTAINER(task, rove_runtime, step)->last, core, now);
}

/* Gives a reference back; for the last one `freed` is called on the loop thread in the end. */
static bool give_back(rove_runtime *rt, void (*freed)(void *user), void *user)
{
    if (atomic_fetch_sub_explicit(&rt->refs, 1, memory_order_acq_rel) != 1)
        return false;
    rt->freed = freed;
    rt->freed_user = user;
    rt->last = (rovei_shutdown){
        .ending.gone = daemons_ended, .host = &rt->host, .first = close_gate(&rt->host)};
    next_step(rt, end_runtime);
    return true;
}

static void open_latch(void *user)
{
    rovei_latch_open(user);
}

void rove_runtime_unref(rove_runtime *rt)
{
    if (!rt)
        return;
    rove_node *node = rt->host.node;
    bool may_wait = rovei_host_may_drive(&rt->host) == ROVE_OK;
    rovei_latch latch;
    rovei_latch_init(&latch);
    bool last = give_back(rt, open_latch, &latch);
    ROVEI_CHECK(!last || may_wait);
    if (!last)
        rovei_latch_open(&latch);
    rovei_latch_wait(&latch, node);
}

typedef struct unreffing {
    rovei_pending pending;
    rove_done_fn *done;
    void *user;
} unreffing;

static void tell_unref(void *user)
{
    unreffing *u = user;
    u->done(u->user, ROVE_OK);
    rovei_pending_end(&u->pending);
}

static void run_unref(rovei_task *task, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    tell_unref(ROVEI_CONTAINER(task, unreffing, pending.task));
}

rove_err rove_runtime_unref_async(rove_runtime *rt, rove_done_fn *done, void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    unreffing *u;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK) /* the node's own: it is told when the runtime is no more */
        err = ROVEI_PENDING_NEW(&u, rovei_node_pendings(rt->host.node));
    if (err)
        return err;
    u->done = done;
    u->user = user;
    if (!give_back(rt, tell_unref, u))
        rovei_pending_post(&u->pending, run_unref);
    return ROVE_OK;
}
