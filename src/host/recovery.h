/* SPDX-License-Identifier: Apache-2.0
 *
 * The recovery registry: what a tick gives groups a chance to replace members that are gone. Each
 * group registers one function, which says whether it has slots to recover, recovers some of them
 * (bounded work for each call), and gives their indices. */
#ifndef ROVEI_HOST_RECOVERY_H
#define ROVEI_HOST_RECOVERY_H

#include <base/alloc.h>
#include <pthread.h>

#define ROVEI_RECOVERED_MAX  256   /* slots of one group: their index is one byte */
#define ROVEI_RECOVERIES_MAX 65536 /* functions registered at once */

/* Puts the indices of the slots that it recovered into `ret`, and their number into *ret_count. Any
 * error takes the function out of the registry; what it has given counts all the same. */
typedef rove_err rovei_recover_fn(void *user, uint8_t ret[ROVEI_RECOVERED_MAX], size_t *ret_count);

typedef struct rovei_recovery_item {
    rovei_recover_fn *fn;
    void (*drop)(void *user); /* or NULL; called once, when the function will not be called again */
    void *user;
} rovei_recovery_item;

typedef struct rovei_recovery {
    const rove_alloc *alloc;
    pthread_mutex_t lock;
    rovei_recovery_item *items;
    size_t count, room;
    size_t running; /* of a run: those that are out of the list and may come back */
} rovei_recovery;

void rovei_recovery_init(rovei_recovery *r, const rove_alloc *a);
/* Nobody runs it any more. */
void rovei_recovery_fini(rovei_recovery *r);
/* Adds a function; *ret_count, unless NULL, says how many there are now. Never waits for functions
 * that run: one that is added meanwhile, maybe by one of them, is called from the next run on.
 * E_FULL, E_NOMEM. Threads: any. */
ROVE_MUST_USE rove_err rovei_recovery_register(rovei_recovery *r, const rovei_recovery_item *item,
                                               size_t *ret_count);
/* How many there are, those counted in that are being run. Threads: any. */
size_t rovei_recovery_count(rovei_recovery *r);
/* Calls each function once, in order, with no lock held, and gives all indices one behind the other
 * (rovei_free with *ret_room bytes; NULL when there are none). Those that did well stand before
 * those that came meanwhile. E_BUSY: it is being run; E_NOMEM: indices are missing, the functions
 * were called all the same. Threads: any. */
ROVE_MUST_USE rove_err rovei_recovery_run(rovei_recovery *r, uint8_t **ret, size_t *ret_count,
                                          size_t *ret_room);

#endif
