/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of events of one channel. */
#include <base/alloc.h>
#include <channel/history.h>
#include <string.h>

void rovei_history_init(rovei_history *h, const rove_alloc *a)
{
    *h = (rovei_history){.alloc = a, .first = 1};
}

static rovei_history_item *item(const rovei_history *h, size_t index)
{
    return &h->items[(h->at + index) & (h->room - 1)];
}

void rovei_history_fini(rovei_history *h)
{
    while (h->count)
        rovei_history_drop(h);
    rovei_free(h->alloc, h->items, h->room * sizeof *h->items);
    memset(h, 0, sizeof *h);
}

rove_err rovei_history_reserve(rovei_history *h, size_t count)
{
    size_t room = h->room ? h->room : 16;
    while (room - h->count < count) {
        if (room > SIZE_MAX / 2 / sizeof *h->items)
            return ROVE_E_NOMEM;
        room *= 2;
    }
    if (room == h->room)
        return ROVE_OK;
    rovei_history_item *items = rovei_calloc(h->alloc, room, sizeof *items);
    if (!items)
        return ROVE_E_NOMEM;
    for (size_t i = 0; i < h->count; i++)
        items[i] = *item(h, i);
    rovei_free(h->alloc, h->items, h->room * sizeof *h->items);
    h->items = items;
    h->room = room;
    h->at = 0;
    return ROVE_OK;
}

void rovei_history_push(rovei_history *h, rove_buf *owner, rove_span payload)
{
    *item(h, h->count++) = (rovei_history_item){rove_buf_ref(owner), payload};
    h->bytes += ROVEI_HISTORY_ITEM + payload.size;
}

void rovei_history_drop(rovei_history *h)
{
    rovei_history_item *old = item(h, 0);
    h->bytes -= ROVEI_HISTORY_ITEM + old->payload.size;
    rove_buf_unref(old->owner);
    h->at = (h->at + 1) & (h->room - 1);
    h->count--;
    h->first++;
}

rove_span rovei_history_get(const rovei_history *h, uint64_t number)
{
    return item(h, (size_t)(number - h->first))->payload;
}

size_t rovei_history_displaced(const rovei_history *h, size_t count, uint64_t bytes, uint64_t most,
                               uint64_t most_bytes)
{
    size_t gone = 0;
    uint64_t left = h->bytes;
    while (gone < h->count &&
           (h->count - gone + count > most || bytes > most_bytes || left > most_bytes - bytes))
        left -= ROVEI_HISTORY_ITEM + item(h, gone++)->payload.size;
    return gone;
}
