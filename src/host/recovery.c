/* SPDX-License-Identifier: Apache-2.0
 *
 * The recovery registry. A run takes the list out under the lock and calls without it, so a
 * function may register others and nobody waits for a slow one. */
#include <host/recovery.h>
#include <string.h>

void rovei_recovery_init(rovei_recovery *r, const rove_alloc *a)
{
    *r = (rovei_recovery){.alloc = a};
    pthread_mutex_init(&r->lock, NULL);
}

static void drop(const rovei_recovery_item *item)
{
    if (item->drop)
        item->drop(item->user);
}

void rovei_recovery_fini(rovei_recovery *r)
{
    if (!r->alloc)
        return;
    for (size_t i = 0; i < r->count; i++)
        drop(&r->items[i]);
    rovei_free(r->alloc, r->items, r->room * sizeof *r->items);
    pthread_mutex_destroy(&r->lock);
}

rove_err rovei_recovery_register(rovei_recovery *r, const rovei_recovery_item *item,
                                 size_t *ret_count)
{
    pthread_mutex_lock(&r->lock);
    void *items = r->items;
    /* Room also for those that come back from a run, so that their return cannot fail. */
    rove_err err = rovei_grow(r->alloc, &items, &r->room, r->count + r->running, sizeof *r->items,
                              ROVEI_RECOVERIES_MAX);
    r->items = items;
    if (err == ROVE_OK) {
        r->items[r->count++] = *item;
        if (ret_count)
            *ret_count = r->count + r->running;
    }
    pthread_mutex_unlock(&r->lock);
    return err;
}

size_t rovei_recovery_count(rovei_recovery *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count + r->running;
    pthread_mutex_unlock(&r->lock);
    return count;
}

struct out {
    uint8_t *bytes;
    size_t count, room;
};

static rove_err add(const rove_alloc *a, struct out *out, const uint8_t *indices, size_t count)
{
    if (out->count + count > out->room) {
        size_t room = 2 * (out->count + count);
        uint8_t *bytes = rovei_alloc(a, room);
        if (!bytes)
            return ROVE_E_NOMEM;
        if (out->count)
            memcpy(bytes, out->bytes, out->count);
        rovei_free(a, out->bytes, out->room);
        out->bytes = bytes;
        out->room = room;
    }
    if (count)
        memcpy(out->bytes + out->count, indices, count);
    out->count += count;
    return ROVE_OK;
}

/* Calls all; those that are to stay are moved together. Gives how many. */
static size_t call(const rove_alloc *a, rovei_recovery_item *items, size_t count, struct out *out,
                   rove_err *ret_err)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t indices[ROVEI_RECOVERED_MAX];
        size_t recovered = 0;
        rovei_recovery_item item = items[i];
        rove_err err = item.fn(item.user, indices, &recovered);
        if (recovered > ROVEI_RECOVERED_MAX)
            recovered = ROVEI_RECOVERED_MAX;
        if (add(a, out, indices, recovered))
            *ret_err = ROVE_E_NOMEM;
        if (err)
            drop(&item);
        else
            items[kept++] = item;
    }
    return kept;
}

rove_err rovei_recovery_run(rovei_recovery *r, uint8_t **ret, size_t *ret_count, size_t *ret_room)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count, room = r->room;
    rovei_recovery_item *items = r->items, *fresh = NULL;
    bool busy = r->running > 0;
    if (!busy && count) {
        fresh = rovei_calloc(r->alloc, room, sizeof *fresh);
        if (fresh) {
            r->items = fresh;
            r->count = 0;
            r->running = count;
        }
    }
    pthread_mutex_unlock(&r->lock);
    if (busy || (count && !fresh))
        return busy ? ROVE_E_BUSY : ROVE_E_NOMEM;

    struct out out = {0};
    rove_err err = ROVE_OK;
    size_t kept = call(r->alloc, items, count, &out, &err);
    if (count) {
        pthread_mutex_lock(&r->lock);
        memmove(r->items + kept, r->items, r->count * sizeof *r->items);
        memcpy(r->items, items, kept * sizeof *items);
        r->count += kept;
        r->running = 0;
        pthread_mutex_unlock(&r->lock);
        rovei_free(r->alloc, items, room * sizeof *items);
    }
    *ret = out.bytes;
    *ret_count = out.count;
    *ret_room = out.room;
    return err;
}
