/* SPDX-License-Identifier: Apache-2.0
 *
 * Which daemons live here, by the origin hash of their entity, of which no two have the same one.
 * Lookups take no lock; changes are rare and take one. The registry knows nothing of what it lists:
 * an entry is embedded in its owner, who says how a reference is taken and given back. */
#ifndef ROVEI_HOST_REGISTRY_H
#define ROVEI_HOST_REGISTRY_H

#include <host/rcu.h>
#include <pthread.h>
#include <rove/daemon.h>

typedef struct rovei_entry {
    rovei_rcu_node node; /* key: the origin hash */
    rove_entity entity;
    atomic_bool listed; /* false once it was removed or replaced: what is done then is stale */
} rovei_entry;

typedef struct rovei_registry {
    pthread_mutex_t lock; /* of writers; never held while anything of a daemon is called */
    rovei_rcu_table *origins;
    atomic_size_t count;
    /* References: `hold` may refuse (the owner is about to end). Called in a read section or under
     * the lock: both only count. */
    bool (*hold)(rovei_entry *e);
    void (*drop)(rovei_entry *e);
} rovei_registry;

ROVE_MUST_USE rove_err rovei_registry_init(rovei_registry *r, const rove_alloc *a, uint64_t seed,
                                           bool (*hold)(rovei_entry *),
                                           void (*drop)(rovei_entry *));
/* Must be empty (checked). */
void rovei_registry_fini(rovei_registry *r);

void rovei_entry_init(rovei_entry *e, const rove_entity *entity);

/* Lists the entry; the registry takes a reference. E_EXISTS (this entity is listed), E_ORIGIN_TAKEN
 * (another entity with this origin is), E_NOMEM; the incumbent is untouched. */
ROVE_MUST_USE rove_err rovei_registry_add(rovei_registry *r, rovei_entry *e);
/* Lists the entry in the place of whatever stands for its entity: the slot is never empty between.
 * Does not wait for the old one. E_ORIGIN_TAKEN, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_registry_replace(rovei_registry *r, rovei_entry *e);
/* Takes exactly this entry out: false when it is not listed (any more). Does not wait for it. */
bool rovei_registry_remove(rovei_registry *r, rovei_entry *e);

/* Inside of a read section (rovei_rcu_enter), without a reference. NULL: none. Whoever then has the
 * daemon to himself checks rovei_entry_is_listed: E_STALE when not. */
rovei_entry *rovei_registry_find(const rovei_registry *r, uint64_t origin);
static inline bool rovei_entry_is_listed(const rovei_entry *e)
{
    return atomic_load_explicit(&e->listed, memory_order_acquire);
}
/* With a reference, which the caller drops. NULL: none. */
rovei_entry *rovei_registry_get(rovei_registry *r, uint64_t origin);
rovei_entry *rovei_registry_get_entity(rovei_registry *r, const rove_entity *entity);

size_t rovei_registry_count(const rovei_registry *r);
/* The first `room` of those listed; gives how many there are. Without a lock: what is added or
 * removed meanwhile may be among them or not. */
size_t rovei_registry_daemons(const rovei_registry *r, rove_daemon *ret, size_t room);

#endif
