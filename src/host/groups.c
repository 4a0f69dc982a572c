/* SPDX-License-Identifier: Apache-2.0
 *
 * A runtime as groups see it. */
#include <host/groups.h>
#include <node/placing.h>

rove_err rovei_groups_ready(rove_runtime *rt)
{
    rove_err err = rovei_host_gate(&rt->host);
    return err == ROVE_OK && atomic_load(&rt->host.cordoned) ? ROVE_E_CORDONED : err;
}

rovei_scheduler rovei_groups_scheduler(rove_runtime *rt)
{
    rovei_node *core = rovei_node_core(rt->host.node);
    return (rovei_scheduler){.index = rovei_node_index(core),
                             .local = rovei_entity_node_id(rovei_node_entity(core))};
}

rovei_registry *rovei_groups_registry(rove_runtime *rt)
{
    return &rt->host.registry;
}

rove_err rovei_groups_kind(rove_runtime *rt, const char *kind, rovei_made_of *ret)
{
    struct rovei_host *h = &rt->host;
    pthread_mutex_lock(&h->lock);
    const rovei_made_of *made_of = rovei_factory_kind(&h->factory, kind);
    if (made_of)
        *ret = *made_of;
    pthread_mutex_unlock(&h->lock);
    return made_of ? ROVE_OK : ROVE_E_KIND_UNKNOWN;
}

rove_err rovei_groups_spawn(rove_runtime *rt, const char *kind, const uint8_t seed[32], bool drawn,
                            rove_daemon *ret)
{
    rove_identity *identity;
    rove_err err = rovei_groups_ready(rt);
    if (err == ROVE_OK)
        err = rove_identity_from_seed(&identity, rt->host.node, seed);
    if (err)
        return err;
    atomic_store(&identity->fresh, drawn);
    err = rove_runtime_spawn(rt, kind, identity, NULL, ret);
    rove_identity_free(identity);
    return err;
}
