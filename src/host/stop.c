/* SPDX-License-Identifier: Apache-2.0
 *
 * Stopping daemons. */
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/call.h>

struct stop_call {
    struct rovei_host *host;
    uint64_t origin;
    rove_err err;
};

static rove_err stop_resident(struct rovei_host *h, uint64_t origin, rovei_node *core,
                              rovei_now now)
{
    rovei_resident *r = NULL;
    rove_err err = rovei_host_resident(h, origin, &r);
    if (err)
        return err;
    err = rovei_node_stop(core, now, &r->entry.entity);
    if (err == ROVE_OK) {
        (void)rovei_registry_remove(&h->registry, &r->entry);
        pthread_mutex_lock(&h->lock);
        (void)rovei_factory_remove(&h->factory, origin);
        pthread_mutex_unlock(&h->lock);
    }
    rovei_resident_drop(r);
    return err;
}

static void stop(void *arg, rovei_node *core, rovei_now now)
{
    struct stop_call *c = arg;
    c->err = stop_resident(c->host, c->origin, core, now);
    /* A shutdown ends daemons in the core first, and here a little later. */
    bool swept = rovei_host_gate(c->host) == ROVE_E_SHUTTING_DOWN;
    if (swept && (c->err == ROVE_E_NOT_FOUND || c->err == ROVE_E_MOVED))
        c->err = ROVE_OK;
}

static rove_err may_stop(const struct rovei_host *h)
{
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    return rovei_host_gate(h) == ROVE_E_NOT_READY ? ROVE_E_NOT_READY : ROVE_OK;
}

rove_err rove_runtime_stop(rove_runtime *rt, rove_daemon daemon)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = may_stop(h);
    if (err)
        return err;
    struct stop_call c = {.host = h, .origin = daemon.origin};
    rovei_node_call(h->node, stop, &c);
    return c.err;
}

struct stopping {
    rovei_pending pending;
    struct stop_call call;
    rove_done_fn *done;
    void *user;
};

static void stop_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct stopping *s = ROVEI_CONTAINER(task, struct stopping, pending.task);
    stop(&s->call, core, now);
    s->done(s->user, s->call.err);
    rovei_pending_end(&s->pending);
}

rove_err rove_runtime_stop_async(rove_runtime *rt, rove_daemon daemon, rove_done_fn *done,
                                 void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    struct stopping *s;
    rove_err err = may_stop(h);
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&s, &h->pendings);
    if (err)
        return err;
    s->call = (struct stop_call){.host = h, .origin = daemon.origin};
    s->done = done;
    s->user = user;
    rovei_pending_post(&s->pending, stop_run);
    return ROVE_OK;
}
