/* SPDX-License-Identifier: Apache-2.0
 *
 * What a runtime knows: its kinds, and the daemons that it expects. */
#include <host/pause.h>
#include <host/runtime.h>

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
    if (!rt || !kind)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = open_tables(h);
    if (err)
        return err;
    err = rovei_factory_add_kind(&h->factory, name, kind, user);
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_accept_kind(rove_runtime *rt, const char *kind, bool accept)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = open_tables(h);
    if (err)
        return err;
    err = rovei_factory_accept(&h->factory, kind, accept);
    if (err == ROVE_OK)
        rovei_host_announce_later(h);
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_expect_migration(rove_runtime *rt, const char *kind, uint64_t origin,
                                       const rove_expect_options *options)
{
    if (!rt || !kind)
        return ROVE_E_USAGE;
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
    if (err == ROVE_OK && options && options->source) {
        err = rovei_factory_bind(&h->factory, origin, options->source);
        if (err)
            (void)rovei_factory_remove(&h->factory, origin);
    }
    pthread_mutex_unlock(&h->lock);
    return err;
}

rove_err rove_runtime_register_migration_target_identity(rove_runtime *rt, const char *kind,
                                                         const rove_identity *identity)
{
    if (!rt || !kind || !identity)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
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
    if (!rt)
        return ROVE_E_USAGE;
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
