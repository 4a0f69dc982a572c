/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap of deadlines with its nodes inside of the objects that they wake. Equal deadlines fire in
 * the order in which they were set, which keeps a simulation stable. */
#ifndef ROVEI_BASE_TIMER_H
#define ROVEI_BASE_TIMER_H

#include <base/now.h>

struct rovei_timer;
typedef void rovei_timer_fn(struct rovei_timer *timer, void *user, rovei_now now);

typedef struct rovei_timer {
    uint64_t deadline; /* ROVE_TIME_NEVER when not set */
    uint64_t order;
    size_t index;         /* in the heap; SIZE_MAX when not set */
    rovei_timer_fn *fire; /* is called with the timer no longer set; may set it again */
    void *user;
} rovei_timer;

typedef struct rovei_timers {
    const rove_alloc *alloc;
    rovei_timer **heap;
    size_t count, room;
    size_t reserved; /* timers that may be set; room is never below it */
    uint64_t next_order;
    uint64_t earliest; /* while firing, the least deadline that can be set */
} rovei_timers;

void rovei_timers_init(rovei_timers *t, const rove_alloc *a);
void rovei_timers_fini(rovei_timers *t);
/* Room for one more timer, to be called when its owner is made, so that setting cannot fail. Give
 * it back with rovei_timers_release, which also stops the timer, and does nothing for a timer that
 * is all zero or was given back already. */
ROVE_MUST_USE rove_err rovei_timers_reserve(rovei_timers *t, rovei_timer *timer,
                                            rovei_timer_fn *fire, void *user);
void rovei_timers_release(rovei_timers *t, rovei_timer *timer);
/* Sets or moves; ROVE_TIME_NEVER stops. What is set from inside of a firing timer fires in a later
 * call: a deadline that has passed becomes one nanosecond after the present. */
void rovei_timer_set(rovei_timers *t, rovei_timer *timer, uint64_t deadline);
static inline bool rovei_timer_is_set(const rovei_timer *timer)
{
    return timer->index != SIZE_MAX;
}
/* Earliest deadline, or ROVE_TIME_NEVER. */
uint64_t rovei_timers_deadline(const rovei_timers *t);
/* Fires all that are due at `now`, each at most once per call. */
void rovei_timers_expire(rovei_timers *t, rovei_now now);

#endif
