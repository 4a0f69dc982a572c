/* SPDX-License-Identifier: Apache-2.0
 *
 * The observers of a runtime's daemons (rove/observer.h). Lists are copied when they change, so
 * that they are called without a lock; an observer counts the calls that are running, so that its
 * end can be told. */
#ifndef ROVEI_HOST_OBSERVERS_H
#define ROVEI_HOST_OBSERVERS_H

#include <base/map.h>
#include <pthread.h>
#include <rove/observer.h>
#include <stdatomic.h>

/* Somebody who waits for the end of an observer. */
typedef struct rovei_unobserve {
    void (*ended)(struct rovei_unobserve *u); /* on any thread, with no lock held */
} rovei_unobserve;

typedef struct rovei_observers {
    const rove_alloc *alloc;
    size_t most; /* per daemon */
    pthread_mutex_t lock;
    rovei_map lists; /* origin -> an immutable, counted list */
    uint64_t next_id;
    atomic_size_t count; /* of all; 0 keeps the hot path short */
} rovei_observers;

void rovei_observers_init(rovei_observers *o, const rove_alloc *a, size_t most, uint64_t seed);
/* Nobody fires any more. */
void rovei_observers_fini(rovei_observers *o);
/* E_FULL, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_observers_add(rovei_observers *o, uint64_t origin, rove_observe_fn *fn,
                                           void *user, rove_observer *ret);
/* No call begins from here on; `u` is told when none is running, maybe at once. E_NOMEM: nothing
 * changed; E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_observers_remove(rovei_observers *o, rove_observer observer,
                                              rovei_unobserve *u);
static inline bool rovei_observers_any(const rovei_observers *o)
{
    return atomic_load_explicit(&o->count, memory_order_relaxed) > 0;
}
void rovei_observers_fire(rovei_observers *o, const rove_observed *observed);

#endif
