/* SPDX-License-Identifier: Apache-2.0
 *
 * One runner at a time, without a thread per daemon and without a poll. */
#include <base/check.h>
#include <base/list.h>
#include <host/mailbox.h>

#define RUNNING   (unsigned)ROVEI_MAILBOX_RUNNING
#define PENDING   (unsigned)ROVEI_MAILBOX_PENDING
#define SCHEDULED (unsigned)ROVEI_MAILBOX_SCHEDULED

void rovei_mailbox_shared_init(rovei_mailbox_shared *s, const rovei_mailbox_ops *ops)
{
    s->ops = ops;
    pthread_mutex_init(&s->lock, NULL);
}

void rovei_mailbox_shared_fini(rovei_mailbox_shared *s)
{
    pthread_mutex_destroy(&s->lock);
}

void rovei_mailbox_init(rovei_mailbox *m, rovei_mailbox_shared *shared)
{
    *m = (rovei_mailbox){.shared = shared};
    m->inbox_end = &m->inbox;
}

void rovei_mailbox_fini(rovei_mailbox *m)
{
    ROVEI_CHECK(!(atomic_load(&m->state) & (RUNNING | PENDING)));
    ROVEI_CHECK(!m->inbox && !m->batch && !m->after && !m->tickets);
}

/* Gives the role up while nothing is pending. */
static bool leave_fast(rovei_mailbox *m)
{
    unsigned s = atomic_load_explicit(&m->state, memory_order_relaxed);
    while (!(s & PENDING))
        if (atomic_compare_exchange_weak_explicit(&m->state, &s, s & ~RUNNING, memory_order_release,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static rovei_ticket *first_ticket(const rovei_mailbox *m)
{
    const rovei_job *lists[] = {m->batch, m->inbox};
    for (int i = 0; i < 2; i++)
        for (const rovei_job *job = lists[i]; job; job = job->next)
            if (job->ticket)
                return job->ticket;
    return NULL;
}

/* Passes the role on. Under the lock, since what is scheduled or woken may run at once. */
static void leave_slow(rovei_mailbox *m)
{
    pthread_mutex_lock(&m->shared->lock);
    rovei_ticket *next = m->tickets ? first_ticket(m) : NULL;
    if (!m->batch && !m->inbox) {
        atomic_fetch_and(&m->state, ~(RUNNING | PENDING));
    } else if (next) {
        next->lead = true; /* RUNNING stays: it is his now */
        pthread_cond_signal(&next->turn);
    } else {
        if (!(atomic_fetch_or(&m->state, SCHEDULED) & SCHEDULED))
            m->shared->ops->schedule(m);
        atomic_fetch_and(&m->state, ~RUNNING);
    }
    pthread_mutex_unlock(&m->shared->lock);
}

void rovei_mailbox_leave(rovei_mailbox *m)
{
    rovei_after *after = m->after;
    if (after) { /* the last one leads to the first */
        rovei_after *last = after;
        after = last->next;
        last->next = NULL;
        m->after = NULL;
    }
    if (!leave_fast(m))
        leave_slow(m);
    while (after) {
        rovei_after *next = after->next;
        after->fire(after);
        after = next;
    }
}

static void append(rovei_mailbox *m, rovei_job *job)
{
    job->next = NULL;
    *m->inbox_end = job;
    m->inbox_end = &job->next;
}

bool rovei_mailbox_put(rovei_mailbox *m, rovei_job *job)
{
    job->ticket = NULL;
    pthread_mutex_lock(&m->shared->lock);
    append(m, job);
    bool schedule = !(atomic_fetch_or(&m->state, PENDING) & (RUNNING | SCHEDULED));
    if (schedule)
        atomic_fetch_or(&m->state, SCHEDULED);
    pthread_mutex_unlock(&m->shared->lock);
    return schedule;
}

/* The next job, or NULL. For the runner. */
static rovei_job *next_job(rovei_mailbox *m)
{
    if (!m->batch) {
        pthread_mutex_lock(&m->shared->lock);
        m->batch = m->inbox;
        m->inbox = NULL;
        m->inbox_end = &m->inbox;
        pthread_mutex_unlock(&m->shared->lock);
    }
    return m->batch;
}

/* Runs one job to its end, or one step of it. `own` is the ticket of this thread, or NULL. */
static void step(rovei_mailbox *m, rovei_job *job, rovei_ticket *own)
{
    rovei_job *next = job->next;
    rovei_ticket *ticket = job->ticket;
    if (!job->run(job, m))
        return;
    m->batch = next;
    if (!ticket)
        return;
    pthread_mutex_lock(&m->shared->lock);
    m->tickets--;
    ticket->done = true;
    if (ticket != own) /* signalled under the lock: his stack must not go before the last touch */
        pthread_cond_signal(&ticket->turn);
    pthread_mutex_unlock(&m->shared->lock);
}

/* Takes the role if nobody has it. Under the lock: with PENDING set nobody takes it without. */
static bool take_role(rovei_mailbox *m)
{
    if (atomic_fetch_or(&m->state, PENDING) & RUNNING)
        return false;
    atomic_fetch_or(&m->state, RUNNING);
    return true;
}

static void add_ticket(rovei_mailbox *m, rovei_ticket *t)
{
    t->lead = t->done = false;
    t->job.ticket = t;
    append(m, &t->job);
    m->tickets++;
}

/* For whoever has the role: runs all up to his own job, and gives the role up. */
static void run_up_to(rovei_mailbox *m, rovei_ticket *t)
{
    m->shared->ops->entered(m);
    while (!t->done) {
        rovei_job *next = next_job(m);
        ROVEI_CHECK(next);
        step(m, next, t);
    }
    m->shared->ops->leaving(m);
    rovei_mailbox_leave(m);
}

void rovei_mailbox_wait(rovei_mailbox *m, rovei_job *job)
{
    rovei_ticket *t = ROVEI_CONTAINER(job, rovei_ticket, job);
    pthread_cond_init(&t->turn, NULL);
    pthread_mutex_lock(&m->shared->lock);
    add_ticket(m, t);
    t->lead = take_role(m);
    while (!t->lead && !t->done)
        pthread_cond_wait(&t->turn, &m->shared->lock);
    pthread_mutex_unlock(&m->shared->lock);
    if (t->lead)
        run_up_to(m, t);
    pthread_cond_destroy(&t->turn);
}

bool rovei_mailbox_try(rovei_mailbox *m, rovei_job *job)
{
    rovei_ticket *t = ROVEI_CONTAINER(job, rovei_ticket, job);
    pthread_mutex_lock(&m->shared->lock);
    /* PENDING with nothing behind it is taken back by the runner that leaves. */
    bool mine = take_role(m);
    if (mine)
        add_ticket(m, t);
    pthread_mutex_unlock(&m->shared->lock);
    if (mine)
        run_up_to(m, t);
    return mine;
}

void rovei_mailbox_run(rovei_mailbox *m, unsigned budget)
{
    pthread_mutex_lock(&m->shared->lock);
    unsigned s = atomic_fetch_and(&m->state, ~SCHEDULED);
    /* A runner that leaves sees to it that what is pending is scheduled again. */
    bool mine = (s & PENDING) && !(s & RUNNING);
    if (mine)
        atomic_fetch_or(&m->state, RUNNING);
    pthread_mutex_unlock(&m->shared->lock);
    if (!mine)
        return;
    m->shared->ops->entered(m);
    for (unsigned used = 0; used < budget; used += m->charged) {
        rovei_job *job = next_job(m);
        if (!job)
            break;
        m->charged = 1;
        step(m, job, NULL);
    }
    m->shared->ops->leaving(m);
    rovei_mailbox_leave(m);
}

void rovei_mailbox_charge(rovei_mailbox *m, unsigned jobs)
{
    m->charged = jobs ? jobs : 1;
}

void rovei_mailbox_after(rovei_mailbox *m, rovei_after *after)
{
    after->next = m->after ? m->after->next : after;
    if (m->after)
        m->after->next = after;
    m->after = after;
}
