/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads that run mailboxes: a queue of those that have jobs, first come first served, each
 * for a budget and then at the end again. With no threads the queue is there all the same, and the
 * loop thread drains it. */
#ifndef ROVEI_HOST_WORKERS_H
#define ROVEI_HOST_WORKERS_H

#include <host/mailbox.h>
#include <host/rcu.h>

/* Jobs of one mailbox before the next one gets its turn: enough to make up for the change, few
 * enough that none waits long. */
#define ROVEI_TURN_BUDGET 64
#define ROVEI_WORKERS_MAX 256

typedef struct rovei_workers {
    const rove_alloc *alloc;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    rovei_mailbox *ready, **ready_end;
    unsigned idle;    /* threads that sleep */
    unsigned count;   /* of threads wanted; never changes */
    unsigned running; /* threads that were not joined */
    bool stop, chore;
    pthread_t *threads;
    void (*ran)(rovei_mailbox *m);          /* gives back what schedule kept alive */
    void (*ended)(struct rovei_workers *w); /* by the last thread that ends: rovei_workers_end */
    unsigned working;
    rovei_rcu_bin *bin; /* emptied by workers */
} rovei_workers;

/* Starts `count` threads. E_NOMEM, E_IO. */
ROVE_MUST_USE rove_err rovei_workers_init(rovei_workers *w, const rove_alloc *a, unsigned count,
                                          rovei_rcu_bin *bin, void (*ran)(rovei_mailbox *m));
/* Lets the threads end when they have run what is queued; `ended` is called by the last one, or
 * here when there are none. What comes later waits for drain, or for fini. */
void rovei_workers_end(rovei_workers *w, void (*ended)(rovei_workers *w));
/* The same, and waits for it. */
void rovei_workers_stop(rovei_workers *w);
/* Nobody may push any more. */
void rovei_workers_fini(rovei_workers *w);
/* A chain of mailboxes linked by ready_next; wakes as many threads as there is need for. True when
 * there are no threads, or not any more, and the queue was empty: the loop has to be told. Threads:
 * any. */
bool rovei_workers_push(rovei_workers *w, rovei_mailbox *first, size_t count);
/* Something is in the bin. Threads: any. */
void rovei_workers_chore(rovei_workers *w);
/* Without threads: runs up to `turns` mailboxes; true when more are there. */
bool rovei_workers_drain(rovei_workers *w, unsigned turns);

#endif
