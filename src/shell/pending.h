/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with a completion (rove/async.h): begun on any thread, told on the node's own, exactly once
 * and never inside of the call that began them. Each is one object that begins with a
 * rovei_pending; its owner, a node or a runtime, counts those that are under way and ends only when
 * none is left. */
#ifndef ROVEI_SHELL_PENDING_H
#define ROVEI_SHELL_PENDING_H

#include <shell/postbox.h>

typedef struct rove_node rove_node;

/* The pending calls of one owner. */
typedef struct rovei_pendings {
    rove_node *node;
    atomic_size_t count;    /* of all */
    atomic_size_t calls;    /* of those without an event */
    atomic_size_t events;   /* of those with one */
    _Atomic uint64_t bytes; /* of these events */
    atomic_bool closing;    /* no call begins any more */
    /* The loop thread's: what is to be done when the last one has ended; NULL: nothing. */
    rovei_task *idle;
} rovei_pendings;

typedef struct rovei_pending {
    rovei_task task;
    rovei_pendings *owner;
    size_t size;    /* of the whole object */
    uint64_t bytes; /* of its event, and one more for itself; 0: it has none */
} rovei_pending;

void rovei_pendings_init(rovei_pendings *p, rove_node *node);
/* No call begins from now on; `idle` is posted when none is left. Loop thread, once. */
void rovei_pendings_close(rovei_pendings *p, rovei_task *idle);

/* No call begins any more. Threads: any. */
bool rovei_pendings_closed(const rovei_pendings *p);

/* An object of `size` bytes, all zero behind the rovei_pending. `event`: it holds one of so many
 * bytes; else NULL. E_SHUTTING_DOWN, E_FULL (limits pending_calls, or pending_events and
 * pending_bytes), E_NOMEM. Threads: any. */
ROVE_MUST_USE rove_err rovei_pending_new(void *ret, rovei_pendings *owner, size_t size,
                                         const size_t *event);
#define ROVEI_PENDING_NEW(ret, owner) rovei_pending_new((ret), (owner), sizeof **(ret), NULL)
/* `run` is called with its task on the loop thread, later. Threads: any. */
void rovei_pending_post(rovei_pending *p,
                        void (*run)(rovei_task *task, rovei_node *core, rovei_now now));
/* Frees one that was told. Loop thread. */
void rovei_pending_end(rovei_pending *p);
/* Frees one that was never begun. Threads: any. */
void rovei_pending_drop(rovei_pending *p);

#endif
