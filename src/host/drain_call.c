/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls about drains and cordons. */
#include <host/drain.h>
#include <host/runtime.h>
#include <shell/call.h>
#include <shell/latch.h>
#include <shell/pending.h>

static void begin_call(void *arg, rovei_node *core, rovei_now now)
{
    rovei_drain_begin(arg, core, now);
}

struct drain_wait {
    rovei_drain drain;
    rovei_latch latch;
};

static void wake(rovei_drain *d)
{
    rovei_latch_open(&ROVEI_CONTAINER(d, struct drain_wait, drain)->latch);
}

rove_err rove_runtime_drain(rove_runtime *rt, const rove_drain_options *options,
                            rove_drain_report *ret)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    struct drain_wait w = {.drain.ended = wake};
    rove_err err = rovei_host_may_drive(h);
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err == ROVE_OK)
        err = rovei_drain_init(&w.drain, h, options);
    if (err)
        return err;
    rovei_latch_init(&w.latch);
    rovei_node_call(h->node, begin_call, &w.drain);
    rovei_latch_wait(&w.latch, h->node);
    if (ret && w.drain.begun)
        *ret = w.drain.report;
    return w.drain.err;
}

typedef struct draining {
    rovei_pending pending;
    rovei_drain drain;
    rove_drain_fn *done;
    void *user;
} draining;

static void tell(rovei_drain *drain)
{
    draining *d = ROVEI_CONTAINER(drain, draining, drain);
    d->done(d->user, drain->err, &drain->report);
    rovei_pending_end(&d->pending);
}

static void begin_later(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_drain_begin(&ROVEI_CONTAINER(task, draining, pending.task)->drain, core, now);
}

rove_err rove_runtime_drain_async(rove_runtime *rt, const rove_drain_options *options,
                                  rove_drain_fn *done, void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    draining *d;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(&rt->host);
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&d, &rt->host.pendings);
    if (err)
        return err;
    d->done = done;
    d->user = user;
    d->drain.ended = tell;
    err = rovei_drain_init(&d->drain, &rt->host, options);
    if (err)
        rovei_pending_drop(&d->pending);
    else
        rovei_pending_post(&d->pending, begin_later);
    return err;
}

struct cordon_call {
    struct rovei_host *host;
    bool cordoned;
};

static void cordon(void *arg, rovei_node *core, rovei_now now)
{
    const struct cordon_call *c = arg;
    (void)core;
    (void)now;
    atomic_store(&c->host->cordoned, c->cordoned);
    rovei_host_announce_later(c->host);
    if (!c->cordoned && c->host->drain) {
        c->host->drain->cancelled = true; /* its next turn ends it */
        rovei_host_kick(c->host);
    }
}

rove_err rove_runtime_cordon(rove_runtime *rt, bool cordoned)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct cordon_call c = {&rt->host, cordoned};
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(&rt->host);
    if (err)
        return err;
    rovei_node_call(rt->host.node, cordon, &c);
    return ROVE_OK;
}

bool rove_runtime_is_cordoned(const rove_runtime *rt)
{
    return rt && atomic_load(&rt->host.cordoned);
}
