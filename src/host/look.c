/* SPDX-License-Identifier: Apache-2.0
 *
 * Which daemons are here. */
#include <base/check.h>
#include <host/runtime.h>

rove_err rove_runtime_find(const rove_runtime *rt, const rove_entity *entity, rove_daemon *ret)
{
    if (!rt || !entity || !ret)
        return ROVE_E_USAGE;
    rove_daemon daemon = {rovei_entity_origin(entity)};
    rove_entity there;
    rove_err err = rove_runtime_entity(rt, daemon, &there);
    if (err || !rovei_entity_equal(&there, entity))
        return ROVE_E_NOT_FOUND;
    *ret = daemon;
    return ROVE_OK;
}

rove_err rove_runtime_entity(const rove_runtime *rt, rove_daemon daemon, rove_entity *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    rovei_rcu_enter();
    const rovei_entry *e = rovei_registry_find(&rt->host.registry, daemon.origin);
    if (e)
        *ret = e->entity;
    rovei_rcu_leave();
    return e ? ROVE_OK : ROVE_E_NOT_FOUND;
}

size_t rove_runtime_daemon_count(const rove_runtime *rt)
{
    return rt ? rovei_registry_count(&rt->host.registry) : 0;
}

size_t rove_runtime_daemons(const rove_runtime *rt, rove_daemon *ret, size_t room)
{
    return rt ? rovei_registry_daemons(&rt->host.registry, ret, ret ? room : 0) : 0;
}

bool rovei_runtime_keeps_key(rove_runtime *rt, const rove_entity *entity)
{
    struct rovei_host *h = &rt->host;
    pthread_mutex_lock(&h->lock);
    const rovei_factory_entry *e = rovei_factory_find(&h->factory, rovei_entity_origin(entity));
    bool kept =
        e && e->left && rovei_factory_key(e) && rovei_entity_equal(rovei_factory_entity(e), entity);
    pthread_mutex_unlock(&h->lock);
    return kept;
}
