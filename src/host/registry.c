/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry: a lock-free table by origin hash, and a lock for those who change it. */
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
    pthread_mutex_init(&r->lock, NULL);
    return ROVE_OK;
}

void rovei_registry_fini(rovei_registry *r)
{
    if (!r->origins)
        return;
    ROVEI_CHECK(rovei_registry_count(r) == 0);
    rovei_rcu_table_free(r->origins);
    r->origins = NULL;
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

/* Likewise, and only for this entity. */
static rovei_entry *of_entity(rovei_registry *r, const rove_entity *entity, uint64_t origin)
{
    rovei_entry *e = at_origin(r, origin);
    return e && rovei_entity_equal(&e->entity, entity) ? e : NULL;
}

static rove_err add_locked(rovei_registry *r, rovei_entry *e)
{
    const rovei_entry *there = at_origin(r, e->node.key);
    if (there)
        return rovei_entity_equal(&there->entity, &e->entity) ? ROVE_E_EXISTS : ROVE_E_ORIGIN_TAKEN;
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
    rovei_entry *old = of_entity(r, &e->entity, e->node.key);
    rove_err err = ROVE_OK;
    if (old) {
        ROVEI_CHECK(old != e);
        bool held = r->hold(e);
        ROVEI_CHECK(held);
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
    bool mine = at_origin(r, e->node.key) == e;
    if (mine) {
        set_listed(e, false);
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
    rovei_entry *e = of_entity(r, entity, rovei_entity_origin(entity));
    if (e && !r->hold(e))
        e = NULL;
    pthread_mutex_unlock(&r->lock);
    return e;
}

size_t rovei_registry_count(const rovei_registry *r)
{
    return atomic_load(&r->count);
}

struct listing {
    rove_daemon *to;
    size_t room, count;
};

static void list_one(void *arg, const rovei_rcu_node *node)
{
    struct listing *l = arg;
    if (l->count < l->room)
        l->to[l->count] = (rove_daemon){node->key};
    l->count++;
}

size_t rovei_registry_daemons(const rovei_registry *r, rove_daemon *ret, size_t room)
{
    struct listing l = {ret, room, 0};
    rovei_rcu_enter();
    rovei_rcu_table_each(r->origins, list_one, &l);
    rovei_rcu_leave();
    return l.count;
}
