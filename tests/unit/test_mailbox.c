/* SPDX-License-Identifier: Apache-2.0
 *
 * Mailboxes and workers: one runner at a time, order, tickets, what is done after. Run it under the
 * thread sanitizer as well. */
#include "support.h"
#include <host/workers.h>
#include <pthread.h>
#include <sched.h>

/* The owner of a mailbox. Everything but the counters is touched by its runner only: the thread
 * sanitizer proves that there is one at a time. */
typedef struct owner {
    rovei_mailbox_shared shared;
    rovei_mailbox mailbox;
    rovei_workers *workers;
    atomic_int queued; /* stays in the workers' queue */
    uint64_t ran;
    uint64_t last[8]; /* per poster: the last number that was run */
    bool disorder;
    atomic_uint done, after;
} owner;

static void schedule(rovei_mailbox *m)
{
    owner *o = ROVEI_CONTAINER(m, owner, mailbox);
    atomic_fetch_add(&o->queued, 1);
    m->ready_next = NULL;
    (void)rovei_workers_push(o->workers, m, 1);
}

static void nothing(rovei_mailbox *m)
{
    (void)m;
}

static void ran(rovei_mailbox *m)
{
    atomic_fetch_sub(&ROVEI_CONTAINER(m, owner, mailbox)->queued, 1);
}

static const rovei_mailbox_ops ops = {schedule, nothing, nothing};

typedef struct world {
    rovei_workers workers;
    rovei_rcu_bin bin;
} world;

static void open_world(world *w, unsigned threads)
{
    atomic_init(&w->bin, NULL);
    assert_ok(rovei_workers_init(&w->workers, &rovei_alloc_libc, threads, &w->bin, ran));
}

static void close_world(world *w)
{
    rovei_workers_stop(&w->workers);
    rovei_workers_fini(&w->workers);
}

static void owner_init(owner *o, world *w)
{
    memset(o, 0, sizeof *o);
    rovei_mailbox_shared_init(&o->shared, &ops);
    rovei_mailbox_init(&o->mailbox, &o->shared);
    o->workers = &w->workers;
}

/* Until no worker has it any more. */
static void owner_fini(owner *o)
{
    while (atomic_load(&o->queued))
        sched_yield();
    rovei_mailbox_fini(&o->mailbox);
    rovei_mailbox_shared_fini(&o->shared);
}

/* A job that a worker runs. */
typedef struct posted {
    rovei_job job;
    owner *o;
    unsigned who;
    uint64_t number;
    unsigned steps; /* how often it is to be called again */
    rovei_after after;
} posted;

static void note_run(owner *o, unsigned who, uint64_t number)
{
    o->ran++;
    if (o->last[who] + 1 != number)
        o->disorder = true;
    o->last[who] = number;
}

static void fire(rovei_after *after)
{
    posted *p = ROVEI_CONTAINER(after, posted, after);
    owner *o = p->o;
    free(p);
    atomic_fetch_add(&o->after, 1);
}

static bool run_posted(rovei_job *job, rovei_mailbox *m)
{
    posted *p = ROVEI_CONTAINER(job, posted, job);
    owner *o = p->o;
    if (p->steps) {
        p->steps--;
        return false;
    }
    note_run(o, p->who, p->number);
    p->after.fire = fire;
    rovei_mailbox_after(m, &p->after);
    atomic_fetch_add(&o->done, 1);
    return true;
}

static void post(owner *o, unsigned who, uint64_t number, unsigned steps)
{
    posted *p = malloc(sizeof *p);
    assert_non_null(p);
    *p = (posted){.job.run = run_posted, .o = o, .who = who, .number = number, .steps = steps};
    if (rovei_mailbox_put(&o->mailbox, &p->job))
        schedule(&o->mailbox);
}

/* A job that its caller waits for. */
typedef struct ticketed {
    rovei_ticket ticket;
    owner *o;
    unsigned who;
    uint64_t number;
} ticketed;

static bool run_ticketed(rovei_job *job, rovei_mailbox *m)
{
    (void)m;
    ticketed *t = ROVEI_CONTAINER(job, ticketed, ticket.job);
    note_run(t->o, t->who, t->number);
    atomic_fetch_add(&t->o->done, 1);
    return true;
}

static void wait_for(owner *o, unsigned who, uint64_t number)
{
    if (rovei_mailbox_try_enter(&o->mailbox)) {
        note_run(o, who, number);
        atomic_fetch_add(&o->done, 1);
        rovei_mailbox_leave(&o->mailbox);
    } else {
        ticketed t = {.ticket.job.run = run_ticketed, .o = o, .who = who, .number = number};
        rovei_mailbox_wait(&o->mailbox, &t.ticket.job);
    }
}

static void test_one_role(void **state)
{
    (void)state;
    world w;
    open_world(&w, 0);
    owner o;
    owner_init(&o, &w);
    assert_true(rovei_mailbox_try_enter(&o.mailbox));
    assert_false(rovei_mailbox_try_enter(&o.mailbox));
    post(&o, 0, 1, 0);
    assert_int_equal(o.queued, 0); /* the runner will see to it */
    assert_false(rovei_workers_drain(&w.workers, 1));
    rovei_mailbox_leave(&o.mailbox);
    assert_int_equal(o.queued, 1);
    assert_false(rovei_mailbox_try_enter(&o.mailbox)); /* what came first is run first */
    assert_int_equal(o.ran, 0);
    assert_true(rovei_workers_drain(&w.workers, 1));
    assert_int_equal(o.ran, 1);
    assert_int_equal(o.after, 1);
    assert_true(rovei_mailbox_try_enter(&o.mailbox));
    rovei_mailbox_leave(&o.mailbox);
    owner_fini(&o);
    close_world(&w);
}

static void test_budget_and_steps(void **state)
{
    (void)state;
    world w;
    open_world(&w, 0);
    owner a, b;
    owner_init(&a, &w);
    owner_init(&b, &w);
    for (uint64_t i = 1; i <= ROVEI_TURN_BUDGET + 1; i++)
        post(&a, 0, i, 0);
    post(&b, 0, 1, 5); /* six calls, one job */
    assert_true(rovei_workers_drain(&w.workers, 1));
    assert_int_equal(a.ran, ROVEI_TURN_BUDGET); /* and to the end of the queue */
    assert_true(rovei_workers_drain(&w.workers, 1));
    assert_int_equal(b.ran, 1);
    assert_true(rovei_workers_drain(&w.workers, 1));
    assert_int_equal(a.ran, ROVEI_TURN_BUDGET + 1);
    assert_false(rovei_workers_drain(&w.workers, 1));
    assert_false(a.disorder);
    owner_fini(&a);
    owner_fini(&b);
    close_world(&w);
}

static void test_caller_runs_what_stands_before_him(void **state)
{
    (void)state;
    world w;
    open_world(&w, 0); /* no worker at all */
    owner o;
    owner_init(&o, &w);
    for (uint64_t i = 1; i <= 5; i++)
        post(&o, 0, i, 0);
    wait_for(&o, 1, 1);
    assert_int_equal(o.ran, 6);
    assert_int_equal(o.after, 5);
    while (rovei_workers_drain(&w.workers, 8))
        ;
    assert_false(o.disorder);
    owner_fini(&o);
    close_world(&w);
}

/* Of two waiting callers and a runner that leaves, the first caller runs both jobs. */
static void *wait_thread(void *arg)
{
    wait_for(arg, 2, 1);
    return NULL;
}

static void test_role_is_handed_over(void **state)
{
    (void)state;
    world w;
    open_world(&w, 0);
    owner o;
    owner_init(&o, &w);
    assert_true(rovei_mailbox_try_enter(&o.mailbox));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_thread, &o), 0);
    size_t waiting = 0;
    while (!waiting) {
        pthread_mutex_lock(&o.shared.lock);
        waiting = o.mailbox.tickets;
        pthread_mutex_unlock(&o.shared.lock);
    }
    rovei_mailbox_leave(&o.mailbox);
    pthread_join(thread, NULL);
    assert_int_equal(o.ran, 1);
    assert_int_equal(o.queued, 0); /* no worker was asked */
    owner_fini(&o);
    close_world(&w);
}

/* ---- many of everything ---- */

#define OWNERS  3
#define POSTERS 3
#define EACH    3000

typedef struct storm {
    owner owners[OWNERS];
    atomic_uint next;
    bool tickets_only;
} storm;

static void *storm_thread(void *arg)
{
    storm *s = arg;
    unsigned who = atomic_fetch_add(&s->next, 1);
    uint64_t random = who + 1;
    for (uint64_t i = 1; i <= EACH; i++)
        for (int k = 0; k < OWNERS; k++) {
            owner *o = &s->owners[k];
            if (s->tickets_only || below(&random, 3) == 0)
                wait_for(o, who, i);
            else
                post(o, who, i, (unsigned)below(&random, 2));
        }
    return NULL;
}

static void storm_with(unsigned workers, bool tickets_only)
{
    world w;
    open_world(&w, workers);
    storm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->tickets_only = tickets_only;
    for (int k = 0; k < OWNERS; k++)
        owner_init(&s->owners[k], &w);
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm_thread, s), 0);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    for (int k = 0; k < OWNERS; k++) {
        owner *o = &s->owners[k];
        while (atomic_load(&o->done) < POSTERS * EACH) {
            if (workers == 0)
                (void)rovei_workers_drain(&w.workers, 4);
            else
                sched_yield();
        }
        while (workers == 0 && rovei_workers_drain(&w.workers, 64))
            ;
        owner_fini(o);
        assert_int_equal(o->ran, POSTERS * EACH);
        assert_false(o->disorder);
    }
    close_world(&w);
    free(s);
}

static void test_storm(void **state)
{
    (void)state;
    storm_with(0, true);
    storm_with(1, false);
    storm_with(3, false);
}

/* ---- the workers' chore ---- */

typedef struct rubbish {
    rovei_rcu_retired retired;
    atomic_int *count;
} rubbish;

static void free_rubbish(rovei_rcu_retired *item)
{
    rubbish *r = ROVEI_CONTAINER(item, rubbish, retired);
    atomic_int *count = r->count;
    free(r);
    atomic_fetch_add(count, 1);
}

static void test_chore(void **state)
{
    (void)state;
    world w;
    open_world(&w, 1);
    atomic_int count = 0;
    for (int i = 0; i < 50; i++) {
        rubbish *r = malloc(sizeof *r);
        assert_non_null(r);
        *r = (rubbish){.retired.free = free_rubbish, .count = &count};
        if (rovei_rcu_retire(&w.bin, &r->retired))
            rovei_workers_chore(&w.workers);
    }
    while (atomic_load(&count) < 50)
        sched_yield();
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_role),
        cmocka_unit_test(test_budget_and_steps),
        cmocka_unit_test(test_caller_runs_what_stands_before_him),
        cmocka_unit_test(test_role_is_handed_over),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_chore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
