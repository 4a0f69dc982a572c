/* SPDX-License-Identifier: Apache-2.0
 *
 * The extents lie in one array with free room at both ends, so that the usual changes, at the low
 * end as data is acknowledged and at the high end as data is sent, move nothing. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/spans.h>
#include <string.h>

#define SPANS_FIRST_ROOM 8

void rovei_spans_fini(rovei_spans *s, const rove_alloc *a)
{
    if (s->items)
        rovei_free(a, s->items, s->room * sizeof *s->items);
    rovei_spans_init(s);
}

rove_err rovei_spans_reserve(rovei_spans *s, const rove_alloc *a, size_t extra)
{
    size_t need = s->count + extra;
    if (need <= s->room)
        return ROVE_OK;
    size_t room = s->room ? s->room : SPANS_FIRST_ROOM;
    while (room < need) {
        if (room > SIZE_MAX / 2 / sizeof *s->items)
            return ROVE_E_NOMEM;
        room *= 2;
    }
    rovei_extent *items = rovei_alloc(a, room * sizeof *items);
    if (!items)
        return ROVE_E_NOMEM;
    if (s->count > 0)
        memcpy(items, s->items + s->first, s->count * sizeof *items);
    if (s->items)
        rovei_free(a, s->items, s->room * sizeof *s->items);
    s->items = items;
    s->room = room;
    s->first = 0;
    return ROVE_OK;
}

size_t rovei_spans_find(const rovei_spans *s, uint64_t v)
{
    if (s->count == 0 || rovei_spans_at(s, 0)->to > v)
        return 0;
    if (rovei_spans_at(s, s->count - 1)->to <= v)
        return s->count;
    size_t low = 0, high = s->count - 1; /* the answer is in (low, high] */
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (rovei_spans_at(s, mid)->to > v)
            high = mid;
        else
            low = mid;
    }
    return high;
}

bool rovei_spans_has(const rovei_spans *s, uint64_t v)
{
    size_t i = rovei_spans_find(s, v);
    return i < s->count && rovei_spans_at(s, i)->from <= v;
}

/* Opens a place at index `i`; the shorter side moves where both can. */
static void open_place(rovei_spans *s, size_t i)
{
    ROVEI_CHECK(s->count < s->room);
    bool left_free = s->first > 0;
    bool right_free = s->first + s->count < s->room;
    if (left_free && (!right_free || i < s->count / 2)) {
        memmove(s->items + s->first - 1, s->items + s->first, i * sizeof *s->items);
        s->first--;
    } else {
        rovei_extent *at = s->items + s->first + i;
        memmove(at + 1, at, (s->count - i) * sizeof *at);
    }
    s->count++;
}

/* Takes `n` places away from index `i` on. */
static void close_places(rovei_spans *s, size_t i, size_t n)
{
    if (n == 0)
        return;
    rovei_extent *at = s->items + s->first + i;
    if (i < s->count - i - n) {
        memmove(s->items + s->first + n, s->items + s->first, i * sizeof *at);
        s->first += n;
    } else {
        memmove(at, at + n, (s->count - i - n) * sizeof *at);
    }
    s->count -= n;
    if (s->count == 0)
        s->first = 0;
}

void rovei_spans_add(rovei_spans *s, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    /* An extent that only touches is joined, so look for one that ends at `from` too. */
    size_t i = from == 0 ? 0 : rovei_spans_find(s, from - 1);
    if (i == s->count || rovei_spans_at(s, i)->from > to) {
        open_place(s, i);
        s->items[s->first + i] = (rovei_extent){from, to};
        s->total += to - from;
        return;
    }
    size_t end = i;
    uint64_t low = from, high = to;
    while (end < s->count && rovei_spans_at(s, end)->from <= to) {
        const rovei_extent *e = rovei_spans_at(s, end);
        low = e->from < low ? e->from : low;
        high = e->to > high ? e->to : high;
        s->total -= e->to - e->from;
        end++;
    }
    s->items[s->first + i] = (rovei_extent){low, high};
    s->total += high - low;
    close_places(s, i + 1, end - i - 1);
}

void rovei_spans_remove(rovei_spans *s, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    size_t i = rovei_spans_find(s, from);
    if (i == s->count || rovei_spans_at(s, i)->from >= to)
        return;
    rovei_extent *e = &s->items[s->first + i];
    if (e->from < from && e->to > to) {
        uint64_t rest = e->to;
        e->to = from;
        open_place(s, i + 1);
        s->items[s->first + i + 1] = (rovei_extent){to, rest};
        s->total -= to - from;
        return;
    }
    if (e->from < from) {
        s->total -= e->to - from;
        e->to = from;
        i++;
    }
    size_t end = i;
    while (end < s->count && rovei_spans_at(s, end)->to <= to) {
        s->total -= rovei_spans_at(s, end)->to - rovei_spans_at(s, end)->from;
        end++;
    }
    if (end < s->count && rovei_spans_at(s, end)->from < to) {
        e = &s->items[s->first + end];
        s->total -= to - e->from;
        e->from = to;
    }
    close_places(s, i, end - i);
}

void rovei_spans_check(const rovei_spans *s)
{
    uint64_t total = 0;
    ROVEI_CHECK(s->first + s->count <= s->room);
    for (size_t i = 0; i < s->count; i++) {
        const rovei_extent *e = rovei_spans_at(s, i);
        ROVEI_CHECK(e->from < e->to);
        ROVEI_CHECK(i == 0 || rovei_spans_at(s, i - 1)->to < e->from);
        total += e->to - e->from;
    }
    ROVEI_CHECK(total == s->total);
}
