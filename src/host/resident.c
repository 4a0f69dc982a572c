/* SPDX-License-Identifier: Apache-2.0
 *
 * Residents: how one is found, kept alive, and had to oneself. */
#include <base/check.h>
#include <host/host.h>
#include <host/thread.h>

static rovei_resident *of_mailbox(rovei_mailbox *m)
{
    return ROVEI_CONTAINER(m, rovei_resident, mailbox);
}

static void schedule(rovei_mailbox *m)
{
    rovei_resident *r = rovei_resident_hold(of_mailbox(m));
    m->ready_next = NULL;
    if (rovei_workers_push(&r->host->workers, m, 1))
        rovei_host_kick(r->host);
}

static void entered(rovei_mailbox *m)
{
    (void)m;
    rovei_thread_enter();
}

static void leaving(rovei_mailbox *m)
{
    (void)m;
    rovei_thread_leave();
}

const rovei_mailbox_ops rovei_resident_mailbox_ops = {schedule, entered, leaving};

static void free_retired(rovei_rcu_retired *item)
{
    rovei_resident *r = ROVEI_CONTAINER(item, rovei_resident, retired);
    rovei_cell_free(r->cell);
    rovei_mailbox_fini(&r->mailbox);
    rovei_keypair_unref(r->key);
    ROVEI_DELETE(r->host->alloc, r);
}

rove_err rovei_resident_new(rovei_resident **ret, struct rovei_host *h, const rove_entity *entity,
                            rovei_keypair *key, const rovei_made_of *made_of)
{
    rovei_resident *r = ROVEI_NEW(h->alloc, rovei_resident);
    if (!r)
        return ROVE_E_NOMEM;
    rovei_entry_init(&r->entry, entity);
    uint64_t turn = atomic_fetch_add_explicit(&h->next_mailbox, 1, memory_order_relaxed);
    rovei_mailbox_init(&r->mailbox, &h->mailboxes[turn % ROVEI_MAILBOX_LOCKS]);
    r->retired.free = free_retired;
    atomic_init(&r->refs, 1);
    r->host = h;
    r->key = rovei_keypair_ref(key);
    r->made_of = *made_of;
    *ret = r;
    return ROVE_OK;
}

rovei_resident *rovei_resident_hold(rovei_resident *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    ROVEI_CHECK(before);
    return r;
}

void rovei_resident_drop(rovei_resident *r)
{
    struct rovei_host *h = r->host;
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    /* A reader may have found it and not yet seen that it is over. */
    if (rovei_rcu_retire(&h->bin, &r->retired) && h->workers.count)
        rovei_workers_chore(&h->workers);
}

/* For readers: the last reference may be going just now. */
static bool hold_if_alive(rovei_resident *r)
{
    unsigned refs = atomic_load_explicit(&r->refs, memory_order_relaxed);
    while (refs)
        if (atomic_compare_exchange_weak_explicit(&r->refs, &refs, refs + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

bool rovei_resident_hold_entry(rovei_entry *e)
{
    return hold_if_alive(ROVEI_CONTAINER(e, rovei_resident, entry));
}

void rovei_resident_drop_entry(rovei_entry *e)
{
    rovei_resident_drop(ROVEI_CONTAINER(e, rovei_resident, entry));
}

rove_err rovei_host_missing(struct rovei_host *h, uint64_t origin)
{
    pthread_mutex_lock(&h->lock);
    const rovei_factory_entry *e = rovei_factory_find(&h->factory, origin);
    bool left = e && e->left;
    pthread_mutex_unlock(&h->lock);
    return left ? ROVE_E_MOVED : ROVE_E_NOT_FOUND;
}

rove_err rovei_host_resident(struct rovei_host *h, uint64_t origin, rovei_resident **ret)
{
    rovei_entry *e = rovei_registry_get(&h->registry, origin);
    if (!e)
        return rovei_host_missing(h, origin);
    *ret = ROVEI_CONTAINER(e, rovei_resident, entry);
    return ROVE_OK;
}

void rovei_resident_put(rovei_resident *r, rovei_job *job)
{
    if (rovei_mailbox_put(&r->mailbox, job))
        schedule(&r->mailbox);
}

static rove_err visit(rovei_resident *r, rovei_with_cell_fn *fn, void *arg)
{
    if (!r->cell)
        return r->ended ? r->ended : ROVE_E_STALE;
    return rovei_entry_is_listed(&r->entry) ? fn(arg, r->cell) : ROVE_E_STALE;
}

/* ---- by the caller, or while he waits ---- */

struct visit {
    rovei_ticket ticket;
    rovei_resident *resident;
    rovei_with_cell_fn *fn;
    void *arg;
    rove_err err;
};

static bool visit_run(rovei_job *job, rovei_mailbox *m)
{
    (void)m;
    struct visit *v = ROVEI_CONTAINER(job, struct visit, ticket.job);
    v->err = visit(v->resident, v->fn, v->arg);
    return true;
}

rove_err rovei_host_with_cell(struct rovei_host *h, uint64_t origin, rovei_with_cell_fn *fn,
                              void *arg)
{
    struct visit v = {.ticket.job.run = visit_run, .fn = fn, .arg = arg};
    rove_err err = rovei_host_resident(h, origin, &v.resident);
    if (err)
        return err;
    if (rovei_mailbox_try_enter(&v.resident->mailbox)) {
        rovei_thread_enter();
        v.err = visit(v.resident, fn, arg);
        rovei_thread_leave();
        rovei_mailbox_leave(&v.resident->mailbox);
    } else if (rovei_node_on_loop(h->node)) {
        if (!rovei_mailbox_try(&v.resident->mailbox, &v.ticket.job))
            v.err = ROVE_E_WOULD_BLOCK;
    } else {
        rovei_mailbox_wait(&v.resident->mailbox, &v.ticket.job);
    }
    rovei_resident_drop(v.resident);
    return v.err;
}

/* ---- with a completion ---- */

static void visit_told(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_visit *v = ROVEI_CONTAINER(task, rovei_visit, pending.task);
    (void)core;
    (void)now;
    v->tell(v);
    rovei_pending_end(&v->pending);
}

static bool visit_job(rovei_job *job, rovei_mailbox *m)
{
    rovei_visit *v = ROVEI_CONTAINER(job, rovei_visit, job);
    rovei_resident *r = v->resident;
    (void)m;
    v->err = visit(r, v->fn, v->arg);
    rovei_pending_post(&v->pending, visit_told);
    rovei_resident_drop(r); /* whoever runs the mailbox holds it too */
    return true;
}

rove_err rovei_host_visit(struct rovei_host *h, uint64_t origin, rovei_visit *v)
{
    rove_err err = rovei_host_resident(h, origin, &v->resident);
    if (err)
        return err;
    v->job.run = visit_job;
    rovei_resident_put(v->resident, &v->job);
    return ROVE_OK;
}
