/* SPDX-License-Identifier: Apache-2.0
 *
 * A mailbox: jobs for one daemon, run one at a time and in order by whoever has the runner's role.
 * Two things want that role: a worker, to which the mailbox was given when a job came while nobody
 * ran it; and a caller that waits for a job of his own (a ticket), who runs what stands before it
 * instead of waiting for a thread to wake up. When the runner leaves and jobs are left, the first
 * waiting caller gets the role, else a worker: so a caller never waits for a worker to be free.
 *
 *  state bits     meaning
 *  RUNNING        somebody has the role
 *  PENDING        jobs may be there; the fast way in is closed
 *  SCHEDULED      the mailbox is on its way to a worker
 *
 * The fast way: a caller that finds neither RUNNING nor PENDING enters with one atomic step, does
 * his work without any job, and leaves with another. */
#ifndef ROVEI_HOST_MAILBOX_H
#define ROVEI_HOST_MAILBOX_H

#include <pthread.h>
#include <rove/types.h>
#include <stdatomic.h>

typedef struct rovei_mailbox rovei_mailbox;

/* One piece of work. `run` has the daemon to itself; true: finished, and the job belongs to itself
 * (it may be gone); false: call again, before anything else. */
typedef struct rovei_job {
    struct rovei_job *next;
    bool (*run)(struct rovei_job *job, rovei_mailbox *m);
    struct rovei_ticket *ticket; /* of the caller who waits for it; NULL: nobody */
} rovei_job;

/* A waiting caller, on his stack. */
typedef struct rovei_ticket {
    rovei_job job;
    pthread_cond_t turn;
    bool lead; /* the role was handed over */
    bool done;
} rovei_ticket;

/* Something to be done when the runner has left the role, on his thread and with no lock held. */
typedef struct rovei_after {
    struct rovei_after *next;
    void (*fire)(struct rovei_after *after);
} rovei_after;

typedef struct rovei_mailbox_ops {
    /* A worker should run it. Keeps the owner alive until then. Called with the lock held. */
    void (*schedule)(rovei_mailbox *m);
    /* Around each stretch of jobs that this thread runs. */
    void (*entered)(rovei_mailbox *m);
    void (*leaving)(rovei_mailbox *m);
} rovei_mailbox_ops;

/* What many mailboxes have in common: one has no lock of its own, since there is one for each
 * daemon and few are busy at a time. */
typedef struct rovei_mailbox_shared {
    pthread_mutex_t lock;
    const rovei_mailbox_ops *ops;
} rovei_mailbox_shared;

void rovei_mailbox_shared_init(rovei_mailbox_shared *s, const rovei_mailbox_ops *ops);
void rovei_mailbox_shared_fini(rovei_mailbox_shared *s);

enum {
    ROVEI_MAILBOX_RUNNING = 1,
    ROVEI_MAILBOX_PENDING = 2,
    ROVEI_MAILBOX_SCHEDULED = 4,
};

struct rovei_mailbox {
    atomic_uint state;
    /* Under the lock. */
    unsigned tickets; /* callers whose job has not been run */
    rovei_mailbox_shared *shared;
    rovei_job *inbox, **inbox_end;
    /* The runner's. */
    rovei_job *batch;
    unsigned charged;   /* of the budget, by the job that ran last */
    rovei_after *after; /* the last one, in a ring */
    /* The scheduler's. */
    rovei_mailbox *ready_next;
};

/* `shared` outlives it. */
void rovei_mailbox_init(rovei_mailbox *m, rovei_mailbox_shared *shared);
/* Must be empty and nobody's (checked). */
void rovei_mailbox_fini(rovei_mailbox *m);

/* The fast way in. True: this thread has the role and there is no job. The caller may also keep the
 * role for a while and pass it on: jobs that come meanwhile wait. */
static inline bool rovei_mailbox_try_enter(rovei_mailbox *m)
{
    unsigned s = atomic_load_explicit(&m->state, memory_order_relaxed);
    while (!(s & (ROVEI_MAILBOX_RUNNING | ROVEI_MAILBOX_PENDING)))
        if (atomic_compare_exchange_weak_explicit(&m->state, &s, s | ROVEI_MAILBOX_RUNNING,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}
/* Gives the role up, then does what was left to be done after it. The owner may be gone then. */
void rovei_mailbox_leave(rovei_mailbox *m);

/* Adds a job. True: the caller has to see to it that a worker runs the mailbox. Threads: any. */
ROVE_MUST_USE bool rovei_mailbox_put(rovei_mailbox *m, rovei_job *job);
/* Adds a job and returns when it has been run, here or elsewhere. The caller keeps the owner
 * alive. Threads: any but one that has the role. */
void rovei_mailbox_wait(rovei_mailbox *m, rovei_job *job);
/* As above where no other thread has to be waited for, which is as long as none has the role; else
 * false, and nothing is done. */
ROVE_MUST_USE bool rovei_mailbox_try(rovei_mailbox *m, rovei_job *job);
/* A worker's turn: runs at most `budget` jobs, unless somebody else has the role. */
void rovei_mailbox_run(rovei_mailbox *m, unsigned budget);
/* For a job: it did as much as so many do. */
void rovei_mailbox_charge(rovei_mailbox *m, unsigned jobs);

/* For the runner: to be done after the role is given up. */
void rovei_mailbox_after(rovei_mailbox *m, rovei_after *after);

#endif
