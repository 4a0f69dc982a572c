/* SPDX-License-Identifier: Apache-2.0
 *
 * Who wants to know of every event that a daemon applied here: for groups and for tests. Several
 * per daemon, called in the order of registration, once per applied event, by the thread that
 * brought the event (a lane's events: by the thread that ran them), when the daemon is released and
 * no lock is held. So a callback may call the runtime; and two events may be told in another order
 * than they were applied, which their index shows. */
#ifndef ROVEI_HOST_OBSERVERS_H
#define ROVEI_HOST_OBSERVERS_H

#include <base/map.h>
#include <pthread.h>
#include <rove/daemon.h>
#include <stdatomic.h>

/* `index`: the how-manieth event of the daemon it was. The event is borrowed. */
typedef void rovei_observe_fn(void *user, rove_daemon daemon, uint64_t index,
                              const rove_event *event);

typedef struct rovei_observers {
    const rove_alloc *alloc;
    pthread_mutex_t lock;
    rovei_map lists; /* origin -> an immutable, counted list */
    uint64_t next_id;
    atomic_size_t count; /* of all; 0 keeps the hot path short */
} rovei_observers;

void rovei_observers_init(rovei_observers *o, const rove_alloc *a, uint64_t seed);
void rovei_observers_fini(rovei_observers *o);
/* The id, from 1, is for unregister. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_observers_add(rovei_observers *o, uint64_t origin,
                                           rovei_observe_fn *fn, void *user, uint64_t *ret_id);
/* Not called for events that are applied later; a call that is running may still go on. E_NOMEM:
 * nothing changed; E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_observers_remove(rovei_observers *o, uint64_t origin, uint64_t id);
static inline bool rovei_observers_any(const rovei_observers *o)
{
    return atomic_load_explicit(&o->count, memory_order_relaxed) > 0;
}
void rovei_observers_fire(rovei_observers *o, uint64_t origin, uint64_t index,
                          const rove_event *event);

#endif
