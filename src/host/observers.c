/* SPDX-License-Identifier: Apache-2.0
 *
 * Observer lists are copied when they change, so that they are called without a lock. */
#include <base/alloc.h>
#include <host/observers.h>

struct observer {
    uint64_t id;
    rovei_observe_fn *fn;
    void *user;
};

struct list {
    size_t refs; /* under the lock */
    size_t count;
    struct observer items[];
};

static size_t size_of(size_t count)
{
    return sizeof(struct list) + count * sizeof(struct observer);
}

void rovei_observers_init(rovei_observers *o, const rove_alloc *a, uint64_t seed)
{
    *o = (rovei_observers){.alloc = a};
    pthread_mutex_init(&o->lock, NULL);
    rovei_map_init(&o->lists, a, sizeof(uint64_t), seed);
}

void rovei_observers_fini(rovei_observers *o)
{
    if (!o->alloc)
        return;
    size_t it = 0;
    for (struct list *l; (l = rovei_map_next(&o->lists, &it));)
        rovei_free(o->alloc, l, size_of(l->count));
    rovei_map_fini(&o->lists);
    pthread_mutex_destroy(&o->lock);
}

static void unref(rovei_observers *o, struct list *l)
{
    if (l && --l->refs == 0)
        rovei_free(o->alloc, l, size_of(l->count));
}

static rove_err add_locked(rovei_observers *o, uint64_t origin, rovei_observe_fn *fn, void *user)
{
    struct list *old = rovei_map_get(&o->lists, &origin);
    size_t count = old ? old->count : 0;
    struct list *l = rovei_alloc(o->alloc, size_of(count + 1));
    if (!l)
        return ROVE_E_NOMEM;
    l->refs = 1;
    l->count = count + 1;
    for (size_t i = 0; i < count; i++)
        l->items[i] = old->items[i];
    l->items[count] = (struct observer){o->next_id + 1, fn, user};
    rove_err err = rovei_map_put(&o->lists, &origin, l);
    if (err) {
        rovei_free(o->alloc, l, size_of(l->count));
        return err;
    }
    o->next_id++;
    unref(o, old);
    atomic_fetch_add(&o->count, 1);
    return ROVE_OK;
}

rove_err rovei_observers_add(rovei_observers *o, uint64_t origin, rovei_observe_fn *fn, void *user,
                             uint64_t *ret_id)
{
    pthread_mutex_lock(&o->lock);
    rove_err err = add_locked(o, origin, fn, user);
    if (err == ROVE_OK)
        *ret_id = o->next_id;
    pthread_mutex_unlock(&o->lock);
    return err;
}

static rove_err remove_locked(rovei_observers *o, uint64_t origin, uint64_t id)
{
    struct list *old = rovei_map_get(&o->lists, &origin);
    size_t at = 0;
    while (old && at < old->count && old->items[at].id != id)
        at++;
    if (!old || at == old->count)
        return ROVE_E_NOT_FOUND;
    if (old->count == 1) {
        (void)rovei_map_remove(&o->lists, &origin);
    } else {
        struct list *l = rovei_alloc(o->alloc, size_of(old->count - 1));
        if (!l)
            return ROVE_E_NOMEM;
        l->refs = 1;
        l->count = 0;
        for (size_t i = 0; i < old->count; i++)
            if (i != at)
                l->items[l->count++] = old->items[i];
        rove_err err = rovei_map_put(&o->lists, &origin, l);
        if (err) {
            rovei_free(o->alloc, l, size_of(old->count - 1));
            return err;
        }
    }
    unref(o, old);
    atomic_fetch_sub(&o->count, 1);
    return ROVE_OK;
}

rove_err rovei_observers_remove(rovei_observers *o, uint64_t origin, uint64_t id)
{
    pthread_mutex_lock(&o->lock);
    rove_err err = remove_locked(o, origin, id);
    pthread_mutex_unlock(&o->lock);
    return err;
}

void rovei_observers_fire(rovei_observers *o, uint64_t origin, uint64_t index,
                          const rove_event *event)
{
    pthread_mutex_lock(&o->lock);
    struct list *l = rovei_map_get(&o->lists, &origin);
    if (l)
        l->refs++;
    pthread_mutex_unlock(&o->lock);
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        l->items[i].fn(l->items[i].user, (rove_daemon){origin}, index, event);
    pthread_mutex_lock(&o->lock);
    unref(o, l);
    pthread_mutex_unlock(&o->lock);
}
