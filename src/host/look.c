/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at daemons: names, numbers, health, snapshots. */
#include <base/check.h>
#include <host/runtime.h>

rove_err rove_runtime_find(const rove_runtime *rt, const rove_entity *entity, rove_daemon *ret)
{
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
    rovei_rcu_enter();
    const rovei_entry *e = rovei_registry_find(&rt->host.registry, daemon.origin);
    if (e)
        *ret = e->entity;
    rovei_rcu_leave();
    return e ? ROVE_OK : ROVE_E_NOT_FOUND;
}

size_t rove_runtime_daemon_count(const rove_runtime *rt)
{
    return rovei_registry_count(&rt->host.registry);
}

size_t rove_runtime_daemons(const rove_runtime *rt, rove_daemon *ret, size_t room)
{
    /* The lock is the registry's own business, not part of what const promises. */
    rovei_registry *r = (rovei_registry *)(uintptr_t)&rt->host.registry;
    size_t it = 0, count = 0;
    pthread_mutex_lock(&r->lock);
    for (const rovei_entry *e; (e = rovei_map_next(&r->entities, &it)); count++)
        if (count < room)
            ret[count] = (rove_daemon){e->node.key};
    pthread_mutex_unlock(&r->lock);
    return count;
}

static rove_err take_stats(void *arg, rovei_cell *cell)
{
    rove_daemon_stats *ret = arg;
    *ret = rovei_cell_stats(cell);
    return ROVE_OK;
}

rove_err rove_runtime_stats(rove_runtime *rt, rove_daemon daemon, rove_daemon_stats *ret)
{
    rove_err err = rovei_host_outside();
    return err ? err : rovei_host_with_cell(&rt->host, daemon.origin, take_stats, ret);
}

bool rovei_runtime_keeps_key(rove_runtime *rt, const rove_entity *entity)
{
    struct rovei_host *h = &rt->host;
    pthread_mutex_lock(&h->lock);
    const rovei_factory_entry *e = rovei_factory_find(&h->factory, rovei_entity_origin(entity));
    bool kept = e && e->left && e->key && rovei_entity_equal(&e->entity, entity);
    pthread_mutex_unlock(&h->lock);
    return kept;
}

static rove_err take_health(void *arg, rovei_cell *cell)
{
    rove_daemon_health *ret = arg;
    ret->health = rovei_cell_health(cell, &ret->reason);
    ret->saturation = rovei_cell_saturation(cell);
    return ROVE_OK;
}

rove_err rove_runtime_health(rove_runtime *rt, rove_daemon daemon, rove_daemon_health *ret)
{
    rove_daemon_health health = {0};
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_with_cell(&rt->host, daemon.origin, take_health, &health);
    if (err == ROVE_OK)
        *ret = health;
    return err;
}

struct control_call {
    const rove_control *control;
};

static rove_err give_control(void *arg, rovei_cell *cell)
{
    const struct control_call *c = arg;
    rovei_cell_control(cell, c->control);
    return ROVE_OK;
}

rove_err rove_runtime_control(rove_runtime *rt, rove_daemon daemon, const rove_control *control)
{
    struct control_call c = {control};
    rove_err err = rovei_host_outside();
    return err ? err : rovei_host_with_cell(&rt->host, daemon.origin, give_control, &c);
}

struct snapshot_call {
    rove_snapshot *snapshot;
    rove_buf *text;
};

static rove_err take_snapshot(void *arg, rovei_cell *cell)
{
    struct snapshot_call *c = arg;
    rovei_cell_state state = rovei_cell_state_of(cell);
    if (state == ROVEI_CELL_DEPARTED)
        return ROVE_E_MOVED;
    if (rovei_cell_is_stateless(cell))
        return ROVE_E_STATELESS;
    c->snapshot->entity = *rovei_cell_entity(cell);
    return rovei_cell_image(cell, rovei_clock_now().wall, &c->snapshot->image, &c->text);
}

rove_err rove_runtime_snapshot(rove_runtime *rt, rove_daemon daemon, rove_snapshot **ret,
                               rove_detail *ret_detail)
{
    struct rovei_host *h = &rt->host;
    if (ret_detail)
        *ret_detail = (rove_detail){0};
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err)
        return err;
    struct snapshot_call c = {.snapshot = rovei_snapshot_new(h->alloc)};
    if (!c.snapshot)
        return ROVE_E_NOMEM;
    err = rovei_host_with_cell(h, daemon.origin, take_snapshot, &c);
    if (ret_detail) {
        ret_detail->text = c.text;
        if (err == ROVE_E_TOO_LARGE)
            ret_detail->most = h->env->limits.state_max;
    } else {
        rove_buf_unref(c.text);
    }
    if (err)
        rove_snapshot_unref(c.snapshot);
    else
        *ret = c.snapshot;
    return err;
}
