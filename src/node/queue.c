/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing first-in-first-out queue behind effects, notes and loopback. */
#include <base/alloc.h>
#include <node/core.h>
#include <string.h>

void rovei_queue_init(rovei_queue *q, const rove_alloc *a, size_t item_size)
{
    memset(q, 0, sizeof *q);
    q->alloc = a;
    q->item_size = item_size;
}

void rovei_queue_fini(rovei_queue *q)
{
    rovei_free(q->alloc, q->items, q->room * q->item_size);
    memset(q, 0, sizeof *q);
}

static bool queue_grow(rovei_queue *q)
{
    size_t room = q->room ? q->room * 2 : 16;
    if (room > SIZE_MAX / 2 / q->item_size)
        return false;
    uint8_t *items = rovei_alloc(q->alloc, room * q->item_size);
    if (!items)
        return false;
    size_t tail = q->room - q->first; /* items up to the end of the old ring */
    size_t straight = q->count < tail ? q->count : tail;
    if (straight)
        memcpy(items, q->items + q->first * q->item_size, straight * q->item_size);
    if (q->count > straight)
        memcpy(items + straight * q->item_size, q->items, (q->count - straight) * q->item_size);
    rovei_free(q->alloc, q->items, q->room * q->item_size);
    q->items = items;
    q->room = room;
    q->first = 0;
    return true;
}

void *rovei_queue_push(rovei_queue *q)
{
    if (q->count == q->room && !queue_grow(q))
        return NULL;
    size_t at = (q->first + q->count++) & (q->room - 1);
    return memset(q->items + at * q->item_size, 0, q->item_size);
}

bool rovei_queue_pop(rovei_queue *q, void *ret)
{
    if (!q->count)
        return false;
    memcpy(ret, q->items + q->first * q->item_size, q->item_size);
    q->first = (q->first + 1) & (q->room - 1);
    q->count--;
    return true;
}
