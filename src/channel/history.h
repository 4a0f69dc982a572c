/* SPDX-License-Identifier: Apache-2.0
 *
 * The events that a channel keeps, numbered from 1: what legs are sent from. */
#ifndef ROVEI_CHANNEL_HISTORY_H
#define ROVEI_CHANNEL_HISTORY_H

#include <rove/types.h>

/* What an event counts for beside its payload. */
#define ROVEI_HISTORY_ITEM 32

typedef struct rovei_history_item {
    rove_buf *owner; /* one reference; the payload lies in it */
    rove_span payload;
} rovei_history_item;

typedef struct rovei_history {
    const rove_alloc *alloc;
    rovei_history_item *items; /* a ring; its room is a power of two, or 0 */
    size_t room, at, count;
    uint64_t first; /* number of the oldest one kept, or of the next one when there is none */
    uint64_t bytes;
} rovei_history;

void rovei_history_init(rovei_history *h, const rove_alloc *a);
void rovei_history_fini(rovei_history *h);
static inline uint64_t rovei_history_next(const rovei_history *h)
{
    return h->first + h->count;
}
/* Room for `count` more in one go. E_NOMEM: as it was. */
ROVE_MUST_USE rove_err rovei_history_reserve(rovei_history *h, size_t count);
/* There is room. Takes a reference of its own. */
void rovei_history_push(rovei_history *h, rove_buf *owner, rove_span payload);
/* There is one. */
void rovei_history_drop(rovei_history *h);
/* first <= number < next. */
rove_span rovei_history_get(const rovei_history *h, uint64_t number);
/* How many of the oldest go when `count` more of `bytes` in all come, within these bounds. */
size_t rovei_history_displaced(const rovei_history *h, size_t count, uint64_t bytes, uint64_t most,
                               uint64_t most_bytes);

#endif
