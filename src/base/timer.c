/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary heap of deadlines; each timer knows its place, so moving one is logarithmic too. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/timer.h>

static bool before(const rovei_timer *a, const rovei_timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void place(rovei_timers *t, size_t i, rovei_timer *timer)
{
    t->heap[i] = timer;
    timer->index = i;
}

/* Puts `timer` where it belongs, starting from the free place `i`. */
static void settle(rovei_timers *t, size_t i, rovei_timer *timer)
{
    while (i && before(timer, t->heap[(i - 1) / 2])) {
        place(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (size_t child; (child = 2 * i + 1) < t->count; i = child) {
        if (child + 1 < t->count && before(t->heap[child + 1], t->heap[child]))
            child++;
        if (!before(t->heap[child], timer))
            break;
        place(t, i, t->heap[child]);
    }
    place(t, i, timer);
}

static void take_out(rovei_timers *t, rovei_timer *timer)
{
    size_t i = timer->index;
    ROVEI_CHECK(i < t->count && t->heap[i] == timer);
    rovei_timer *last = t->heap[--t->count];
    if (last != timer)
        settle(t, i, last);
    timer->index = SIZE_MAX;
    timer->deadline = ROVE_TIME_NEVER;
}

void rovei_timers_init(rovei_timers *t, const rove_alloc *a)
{
    *t = (rovei_timers){.alloc = a};
}

void rovei_timers_fini(rovei_timers *t)
{
    rovei_free(t->alloc, t->heap, t->room * sizeof(rovei_timer *));
    *t = (rovei_timers){.alloc = t->alloc};
}

rove_err rovei_timers_reserve(rovei_timers *t, rovei_timer *timer, rovei_timer_fn *fire, void *user)
{
    void *heap = t->heap;
    rove_err err = rovei_grow(t->alloc, &heap, &t->room, t->reserved, sizeof(rovei_timer *),
                              SIZE_MAX / sizeof(rovei_timer *));
    if (err)
        return err;
    t->heap = heap;
    t->reserved++;
    *timer = (rovei_timer){ROVE_TIME_NEVER, 0, SIZE_MAX, fire, user};
    return ROVE_OK;
}

void rovei_timers_release(rovei_timers *t, rovei_timer *timer)
{
    if (!timer->fire)
        return;
    if (rovei_timer_is_set(timer))
        take_out(t, timer);
    timer->fire = NULL;
    ROVEI_CHECK(t->reserved);
    t->reserved--;
}

void rovei_timer_set(rovei_timers *t, rovei_timer *timer, uint64_t deadline)
{
    ROVEI_CHECK(timer->fire);
    if (rovei_timer_is_set(timer))
        take_out(t, timer);
    if (deadline == ROVE_TIME_NEVER)
        return;
    timer->deadline = deadline < t->earliest ? t->earliest : deadline;
    timer->order = t->next_order++;
    ROVEI_CHECK(t->count < t->room);
    t->count++;
    settle(t, t->count - 1, timer);
}

uint64_t rovei_timers_deadline(const rovei_timers *t)
{
    return t->count ? t->heap[0]->deadline : ROVE_TIME_NEVER;
}

void rovei_timers_expire(rovei_timers *t, rovei_now now)
{
    t->earliest = rovei_time_add(now.mono, 1);
    while (t->count && t->heap[0]->deadline <= now.mono) {
        rovei_timer *timer = t->heap[0];
        take_out(t, timer);
        timer->fire(timer, timer->user, now);
    }
    t->earliest = 0;
}
