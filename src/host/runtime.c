/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a runtime, its kinds, and the daemons that it expects. */
#include <base/check.h>
#include <host/pause.h>
#include <host/runtime.h>
#include <host/thread.h>
#include <shell/call.h>

/* ---- life ---- */

struct attach {
    rove_runtime *rt;
    rove_err err;
};

static void attach(void *arg, rovei_node *core, rovei_now now)
{
    struct attach *a = arg;
    struct rovei_host *h = &a->rt->host;
    (void)now;
    a->err = rovei_node_attach(h->node, h, &rovei_host_ops_table);
    if (a->err == ROVE_OK)
        rovei_node_ask_policy(core, h->policy.allow != NULL);
}

rove_err rove_runtime_new(rove_runtime **ret, rove_node *node, const rove_runtime_config *cfg)
{
    rove_runtime_config defaults;
    rove_runtime_config_init(&defaults);
    if (!cfg)
        cfg = &defaults;
    if (!ret || !node || cfg->workers > ROVEI_WORKERS_MAX)
        return ROVE_E_USAGE;
    if (cfg->struct_version != ROVE_RUNTIME_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    const rove_alloc *a = &rovei_node_env(node)->alloc;
    rove_runtime *rt = ROVEI_NEW(a, rove_runtime);
    if (!rt)
        return ROVE_E_NOMEM;
    atomic_init(&rt->refs, 1);
    rove_err err = rovei_host_init(&rt->host, node, cfg);
    if (err) {
        ROVEI_DELETE(a, rt);
        return err;
    }
    struct attach call = {.rt = rt};
    rovei_node_call(node, attach, &call);
    if (call.err) {
        rovei_host_fini(&rt->host);
        ROVEI_DELETE(a, rt);
        return call.err;
    }
    *ret = rt;
    return ROVE_OK;
}

rove_runtime *rove_runtime_ref(rove_runtime *rt)
{
    if (rt)
        atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
    return rt;
}

/* The last thing that the loop does for a host: all that was posted before has been run. */
static void detach(void *arg, rovei_node *core, rovei_now now)
{
    rove_runtime *rt = arg;
    (void)rovei_work_finish(&rt->host, core, now);
    rove_err err = rovei_node_attach(rt->host.node, NULL, NULL);
    ROVEI_CHECK(err == ROVE_OK);
    rovei_node_ask_policy(core, false);
}

void rove_runtime_unref(rove_runtime *rt)
{
    if (!rt || atomic_fetch_sub_explicit(&rt->refs, 1, memory_order_acq_rel) != 1)
        return;
    rove_err err = rove_runtime_shutdown(rt); /* not from inside of what it would wait for */
    ROVEI_CHECK(err == ROVE_OK);
    rovei_workers_stop(&rt->host.workers);
    rovei_node_call_in_order(rt->host.node, detach, rt);
    rovei_host_fini(&rt->host);
    ROVEI_DELETE(&rovei_node_env(rt->host.node)->alloc, rt);
}

rove_err rove_runtime_start(rove_runtime *rt)
{
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    ROVEI_PAUSE(START);
    pthread_mutex_lock(&h->lock);
    int life = atomic_load(&h->life);
    if (life == ROVEI_LIFE_REGISTERING)
        atomic_store(&h->life, ROVEI_LIFE_READY);
    pthread_mutex_unlock(&h->lock);
    return life == ROVEI_LIFE_SHUTTING_DOWN ? ROVE_E_SHUTTING_DOWN : ROVE_OK;
}

static void shut_down(void *arg, rovei_node *core, rovei_now now)
{
    struct rovei_host *h = arg;
    rovei_host_end_spawns(h, core, now);
    rovei_node_shutdown(core, now);
    h->sweep = true;
}

static bool is_empty(void *arg)
{
    const struct rovei_host *h = arg;
    return h->alive == 0;
}

/* Outside of its turn the thread that drives a node may: it drives until all is done. */
static rove_err may_shut_down(const struct rovei_host *h)
{
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    return rovei_thread_is_worker() || rovei_node_in_turn(h->node) ? ROVE_E_WOULD_BLOCK : ROVE_OK;
}

rove_err rove_runtime_shutdown(rove_runtime *rt)
{
    struct rovei_host *h = &rt->host;
    rove_err err = may_shut_down(h);
    if (err)
        return err;
    pthread_mutex_lock(&h->lock);
    bool first = atomic_exchange(&h->life, ROVEI_LIFE_SHUTTING_DOWN) != ROVEI_LIFE_SHUTTING_DOWN;
    if (first)
        rovei_factory_clear(&h->factory);
    pthread_mutex_unlock(&h->lock);
    ROVEI_PAUSE(SHUTDOWN);
    if (first)
        rovei_node_call(h->node, shut_down, h);
    if (rovei_node_on_loop(h->node) && rovei_node_drive(h->node, is_empty, h))
        return ROVE_OK;
    pthread_mutex_lock(&h->lock);
    while (h->alive)
        pthread_cond_wait(&h->gone, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return ROVE_OK;
}

bool rove_runtime_is_ready(const rove_runtime *rt)
{
    return atomic_load_explicit(&rt->host.life, memory_order_acquire) == ROVEI_LIFE_READY;
}

/* ---- kinds and expectations ---- */

/* The gate of the calls that are allowed before start. Takes the lock on success. */
static rove_err open_tables(struct rovei_host *h)
{
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    pthread_mutex_lock(&h->lock);
    if (atomic_load(&h->life) != ROVEI_LIFE_SHUTTING_DOWN)
        return ROVE_OK;
    pthread_mutex_unlock(&h->lock);
    return ROVE_E_SHUTTING_DOWN;
}

rove_err rove_runtime_register_kind(rove_runtime *rt, const char *name, const rove_kind *kind,
                                    void *user)
{
    struct rovei_host *h = &rt->host;
    rove_err err = open_tables(h);
    if (err)
        return err;
    err = rovei_factory_add_kind(&h->factory, name, kind, user);
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_expect_migration(rove_runtime *rt, const char *kind, uint64_t origin,
                                       const rove_expect_options *options)
{
    struct rovei_host *h = &rt->host;
    ROVEI_PAUSE(EXPECT);
    rove_err err = open_tables(h);
    if (err)
        return err;
    const rovei_made_of *made_of = rovei_factory_kind(&h->factory, kind);
    if (options && options->struct_version != ROVE_EXPECT_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    else if (!made_of)
        err = ROVE_E_KIND_UNKNOWN;
    else
        err =
            rovei_factory_expect(&h->factory, origin, made_of, options && options->public_only_ok);
    if (err == ROVE_OK && options && options->source)
        (void)rovei_factory_bind(&h->factory, origin, options->source);
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_register_migration_target_identity(rove_runtime *rt, const char *kind,
                                                         const rove_identity *identity)
{
    struct rovei_host *h = &rt->host;
    if (!identity)
        return ROVE_E_USAGE;
    rove_err err = open_tables(h);
    if (err)
        return err;
    const rovei_made_of *made_of = rovei_factory_kind(&h->factory, kind);
    rovei_keypair *key = NULL;
    err = made_of ? rovei_keypair_dup(&key, h->env, identity->key) : ROVE_E_KIND_UNKNOWN;
    if (err == ROVE_OK) {
        err = rovei_factory_register(&h->factory, key, made_of);
        rovei_keypair_unref(key);
    }
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_withdraw_expectation(rove_runtime *rt, uint64_t origin)
{
    struct rovei_host *h = &rt->host;
    rove_err err = open_tables(h);
    if (err)
        return err;
    rovei_entry *here = rovei_registry_get(&h->registry, origin);
    const rovei_factory_entry *e = rovei_factory_find(&h->factory, origin);
    if (!e)
        err = ROVE_E_NOT_FOUND;
    else if (here || e->claimed)
        err = ROVE_E_EXISTS;
    else
        (void)rovei_factory_remove(&h->factory, origin);
    pthread_mutex_unlock(&h->lock);
    if (here)
        rovei_resident_drop_entry(here);
    return err;
}
