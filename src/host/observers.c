/* SPDX-License-Identifier: Apache-2.0
 *
 * Observers: lists that never change, replaced under the lock. */
#include <base/alloc.h>
#include <host/observers.h>
#include <host/runtime.h>
#include <host/thread.h>

struct observer {
    uint64_t id;
    rove_observe_fn *fn;
    void *user;
    /* Under the lock. */
    size_t refs;    /* lists that have it */
    size_t running; /* lists that are being called, and have it */
    bool removed;
    rovei_unobserve *ended; /* who waits for the last of them */
};

struct list {
    size_t refs; /* under the lock */
    size_t count;
    struct observer *items[];
};

static size_t size_of(size_t count)
{
    return sizeof(struct list) + count * sizeof(struct observer *);
}

static void list_unref(rovei_observers *o, struct list *l)
{
    if (!l || --l->refs)
        return;
    for (size_t i = 0; i < l->count; i++)
        if (--l->items[i]->refs == 0)
            ROVEI_DELETE(o->alloc, l->items[i]);
    rovei_free(o->alloc, l, size_of(l->count));
}

void rovei_observers_init(rovei_observers *o, const rove_alloc *a, size_t most, uint64_t seed)
{
    *o = (rovei_observers){.alloc = a, .most = most};
    pthread_mutex_init(&o->lock, NULL);
    rovei_map_init(&o->lists, a, sizeof(uint64_t), seed);
}

void rovei_observers_fini(rovei_observers *o)
{
    if (!o->alloc)
        return;
    size_t it = 0;
    for (struct list *l; (l = rovei_map_next(&o->lists, &it));)
        list_unref(o, l);
    rovei_map_fini(&o->lists);
    pthread_mutex_destroy(&o->lock);
}

/* A list with one reference, of those of `old` but `without`, and room for one more. */
static struct list *list_copy(rovei_observers *o, const struct list *old,
                              const struct observer *without, size_t count)
{
    struct list *l = rovei_alloc(o->alloc, size_of(count));
    if (!l)
        return NULL;
    l->refs = 1;
    l->count = 0;
    for (size_t i = 0; old && i < old->count; i++)
        if (old->items[i] != without)
            l->items[l->count++] = old->items[i];
    return l;
}

/* Puts `l` in the place of `old`; its observers are counted from here on. E_NOMEM: it is freed. */
static rove_err replace(rovei_observers *o, uint64_t origin, struct list *old, struct list *l,
                        size_t room)
{
    rove_err err = rovei_map_put(&o->lists, &origin, l);
    if (err) {
        rovei_free(o->alloc, l, size_of(room));
        return err;
    }
    for (size_t i = 0; i < l->count; i++)
        l->items[i]->refs++;
    list_unref(o, old);
    return ROVE_OK;
}

static rove_err add_locked(rovei_observers *o, uint64_t origin, struct observer *item)
{
    struct list *old = rovei_map_get(&o->lists, &origin);
    size_t count = (old ? old->count : 0) + 1;
    if (count > o->most)
        return ROVE_E_FULL;
    struct list *l = list_copy(o, old, NULL, count);
    if (!l)
        return ROVE_E_NOMEM;
    l->items[l->count++] = item;
    rove_err err = replace(o, origin, old, l, count);
    if (err)
        return err;
    item->id = ++o->next_id;
    atomic_fetch_add(&o->count, 1);
    return ROVE_OK;
}

rove_err rovei_observers_add(rovei_observers *o, uint64_t origin, rove_observe_fn *fn, void *user,
                             rove_observer *ret)
{
    struct observer *item = ROVEI_NEW(o->alloc, struct observer);
    if (!item)
        return ROVE_E_NOMEM;
    item->fn = fn;
    item->user = user;
    pthread_mutex_lock(&o->lock);
    rove_err err = add_locked(o, origin, item);
    if (err == ROVE_OK)
        *ret = (rove_observer){origin, item->id};
    pthread_mutex_unlock(&o->lock);
    if (err)
        ROVEI_DELETE(o->alloc, item);
    return err;
}

static struct observer *find(const struct list *l, uint64_t id)
{
    for (size_t i = 0; l && i < l->count; i++)
        if (l->items[i]->id == id)
            return l->items[i];
    return NULL;
}

/* *ret_now: nothing is running, and `u` is to be told by the caller. */
static rove_err remove_locked(rovei_observers *o, rove_observer observer, rovei_unobserve *u,
                              bool *ret_now)
{
    struct list *old = rovei_map_get(&o->lists, &observer.origin);
    struct observer *item = find(old, observer.id);
    if (!item)
        return ROVE_E_NOT_FOUND;
    struct list *l = NULL;
    if (old->count > 1 && !(l = list_copy(o, old, item, old->count - 1)))
        return ROVE_E_NOMEM;
    item->refs++; /* for the while */
    rove_err err = l ? replace(o, observer.origin, old, l, old->count - 1) : ROVE_OK;
    if (!l) {
        (void)rovei_map_remove(&o->lists, &observer.origin);
        list_unref(o, old);
    }
    if (err == ROVE_OK) {
        *ret_now = item->running == 0;
        item->removed = true;
        item->ended = *ret_now ? NULL : u;
        atomic_fetch_sub(&o->count, 1);
    }
    if (--item->refs == 0)
        ROVEI_DELETE(o->alloc, item);
    return err;
}

rove_err rovei_observers_remove(rovei_observers *o, rove_observer observer, rovei_unobserve *u)
{
    bool now = false;
    pthread_mutex_lock(&o->lock);
    rove_err err = remove_locked(o, observer, u, &now);
    pthread_mutex_unlock(&o->lock);
    if (err == ROVE_OK && now)
        u->ended(u);
    return err;
}

/* The list of a daemon, each of its observers running; NULL: there is none. */
static struct list *begin(rovei_observers *o, uint64_t origin)
{
    pthread_mutex_lock(&o->lock);
    struct list *l = rovei_map_get(&o->lists, &origin);
    if (l)
        l->refs++;
    for (size_t i = 0; l && i < l->count; i++)
        l->items[i]->running++;
    pthread_mutex_unlock(&o->lock);
    return l;
}

/* This thread is done with one of them. */
static void leave(rovei_observers *o, struct observer *item)
{
    rovei_unobserve *ended = NULL;
    pthread_mutex_lock(&o->lock);
    if (--item->running == 0 && item->removed) {
        ended = item->ended;
        item->ended = NULL;
    }
    pthread_mutex_unlock(&o->lock);
    if (ended)
        ended->ended(ended);
}

static bool is_removed(rovei_observers *o, const struct observer *item)
{
    pthread_mutex_lock(&o->lock);
    bool removed = item->removed;
    pthread_mutex_unlock(&o->lock);
    return removed;
}

void rovei_observers_fire(rovei_observers *o, const rove_observed *observed)
{
    struct list *l = begin(o, observed->daemon.origin);
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++) {
        if (!is_removed(o, l->items[i])) {
            rovei_thread_observe();
            l->items[i]->fn(l->items[i]->user, observed);
            rovei_thread_unobserve();
        }
        leave(o, l->items[i]);
    }
    pthread_mutex_lock(&o->lock);
    list_unref(o, l);
    pthread_mutex_unlock(&o->lock);
}
