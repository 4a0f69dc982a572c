/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry: a map by entity under the writers' lock, a lock-free table by origin hash for
 * everybody else. */
#include <base/check.h>
#include <base/list.h>
#include <host/registry.h>
#include <identity/entity.h>

rove_err rovei_registry_init(rovei_registry *r, const rove_alloc *a, uint64_t seed,
                             bool (*hold)(rovei_entry *), void (*drop)(rovei_entry *))
{
    *r = (rovei_registry){.hold = hold, .drop = drop};
    rove_err err = rovei_rcu_table_new(&r->origins, a, seed);
    if (err)
        return err;
    rovei_map_init_inside(&r->entities, a, sizeof(rove_entity), offsetof(rovei_entry, entity),
                          seed);
    pthread_mutex_init(&r->lock, NULL);
    return ROVE_OK;
}

void rovei_registry_fini(rovei_registry *r)
{
    if (!r->origins)
        return;
    ROVEI_CHECK(r->entities.count == 0);
    rovei_rcu_table_free(r->origins);
    r->origins = NULL;
    rovei_map_fini(&r->entities);
    pthread_mutex_destroy(&r->lock);
}

void rovei_entry_init(rovei_entry *e, const rove_entity *entity)
{
    *e = (rovei_entry){.node.key = rovei_entity_origin(entity), .entity = *entity};
}

static rovei_entry *entry_of(rovei_rcu_node *node)
{
    return node ? ROVEI_CONTAINER(node, rovei_entry, node) : NULL;
}

static void set_listed(rovei_entry *e, bool listed)
{
    atomic_store_explicit(&e->listed, listed, memory_order_release);
}

/* Who stands at this origin. For writers: under the lock, where nobody else changes it. */
static rovei_entry *at_origin(rovei_registry *r, uint64_t origin)
{
    rovei_rcu_enter();
    rovei_entry *e = rovei_registry_find(r, origin);
    rovei_rcu_leave();
    return e;
}

static rove_err add_locked(rovei_registry *r, rovei_entry *e)
{
    if (rovei_map_get(&r->entities, &e->entity))
        return ROVE_E_EXISTS;
    if (at_origin(r, e->node.key))
        return ROVE_E_ORIGIN_TAKEN;
    rove_err err = rovei_map_put(&r->entities, &e->entity, e);
    if (err)
        return err;
    bool held = r->hold(e);
    ROVEI_CHECK(held);
    set_listed(e, true);
    rovei_rcu_table_add(r->origins, &e->node);
    atomic_fetch_add(&r->count, 1);
    return ROVE_OK;
}

rove_err rovei_registry_add(rovei_registry *r, rovei_entry *e)
{
    pthread_mutex_lock(&r->lock);
    rove_err err = add_locked(r, e);
    pthread_mutex_unlock(&r->lock);
    return err;
}

rove_err rovei_registry_replace(rovei_registry *r, rovei_entry *e)
{
    pthread_mutex_lock(&r->lock);
    rovei_entry *old = rovei_map_get(&r->entities, &e->entity);
    rove_err err = ROVE_OK;
    if (old) {
        ROVEI_CHECK(old != e);
        bool held = r->hold(e);
        ROVEI_CHECK(held);
        /* The key is there already, so putting takes no memory. */
        err = rovei_map_put(&r->entities, &e->entity, e);
        ROVEI_CHECK(err == ROVE_OK);
        set_listed(e, true);
        rovei_rcu_table_replace(r->origins, &old->node, &e->node);
        set_listed(old, false);
    } else {
        err = add_locked(r, e);
    }
    pthread_mutex_unlock(&r->lock);
    if (old)
        r->drop(old);
    return err;
}

bool rovei_registry_remove(rovei_registry *r, rovei_entry *e)
{
    pthread_mutex_lock(&r->lock);
    bool mine = rovei_map_get(&r->entities, &e->entity) == e;
    if (mine) {
        set_listed(e, false);
        (void)rovei_map_remove(&r->entities, &e->entity);
        rovei_rcu_table_remove(r->origins, &e->node);
        atomic_fetch_sub(&r->count, 1);
    }
    pthread_mutex_unlock(&r->lock);
    if (mine)
        r->drop(e);
    return mine;
}

rovei_entry *rovei_registry_find(const rovei_registry *r, uint64_t origin)
{
    return entry_of(rovei_rcu_table_find(r->origins, origin));
}

rovei_entry *rovei_registry_get(rovei_registry *r, uint64_t origin)
{
    rovei_rcu_enter();
    rovei_entry *e = rovei_registry_find(r, origin);
    if (e && !r->hold(e))
        e = NULL;
    rovei_rcu_leave();
    return e;
}

rovei_entry *rovei_registry_get_entity(rovei_registry *r, const rove_entity *entity)
{
    pthread_mutex_lock(&r->lock);
    rovei_entry *e = rovei_map_get(&r->entities, entity);
    if (e && !r->hold(e))
        e = NULL;
    pthread_mutex_unlock(&r->lock);
    return e;
}

size_t rovei_registry_count(const rovei_registry *r)
{
    return atomic_load(&r->count);
}

rove_err rovei_registry_list(rovei_registry *r, rovei_entry ***ret, size_t *ret_count)
{
    const rove_alloc *a = r->entities.alloc;
    pthread_mutex_lock(&r->lock);
    size_t room = r->entities.count, count = 0, it = 0;
    rovei_entry **list = rovei_calloc(a, room, sizeof(void *));
    if (list)
        for (rovei_entry *e; (e = rovei_map_next(&r->entities, &it));)
            if (r->hold(e))
                list[count++] = e;
    pthread_mutex_unlock(&r->lock);
    if (!list)
        return ROVE_E_NOMEM;
    /* What is listed can be held, so the array is full; should it ever not be, cut it to size. */
    ROVEI_CHECK(count == room);
    *ret = list;
    *ret_count = count;
    return ROVE_OK;
}
