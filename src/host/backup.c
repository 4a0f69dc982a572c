/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: the image of a daemon and what the core knows of it, of one point of its order. The
 * image is taken as a job in the daemon's mailbox; the core is asked in the place of that job's
 * completion, when it knows of all events before and of none after. */
#include <base/check.h>
#include <host/backup.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/call.h>
#include <shell/latch.h>

/* One backup under way; it lies in whatever waits for it. */
struct taking {
    rovei_work work;
    struct rovei_host *host;
    uint64_t origin;
    rovei_recipient recipient;
    rove_snapshot *snapshot;
    rove_detail detail;
    rove_err err;
    void (*tell)(struct taking *t); /* on the loop thread; it is its owner's again */
};

rove_err rovei_backup_may_take(const rovei_cell *cell)
{
    switch (rovei_cell_state_of(cell)) {
    case ROVEI_CELL_SERVING:
        return ROVE_OK;
    case ROVEI_CELL_NEW:
        return ROVE_E_NOT_READY;
    case ROVEI_CELL_FROZEN:
    case ROVEI_CELL_QUIET:
    case ROVEI_CELL_THAWING:
        return ROVE_E_ALREADY_MIGRATING;
    case ROVEI_CELL_DEPARTED:
        return ROVE_E_MOVED;
    case ROVEI_CELL_ASIDE:
        return ROVE_E_SUPERSEDED;
    case ROVEI_CELL_GONE:
        break;
    }
    return ROVE_E_STALE;
}

rove_err rovei_recipient_of(rovei_recipient *ret, const rove_entity *entity)
{
    *ret = (rovei_recipient){.any = entity != NULL};
    return entity ? rovei_ed25519_image(ret->key, entity) : ROVE_OK;
}

rove_err rovei_backup_label(rove_snapshot *s, const rovei_env *env, const rovei_cell *cell,
                            const rovei_recipient *recipient)
{
    s->entity = *rovei_cell_entity(cell);
    s->stateless = rovei_cell_is_stateless(cell);
    return recipient->any ? rovei_snapshot_put_key(s, env, rovei_cell_key(cell), recipient->key)
                          : ROVE_OK;
}

static bool take_run(rovei_job *job, rovei_mailbox *m)
{
    struct taking *t = ROVEI_CONTAINER(job, struct taking, work.job);
    rovei_resident *r = t->work.resident;
    (void)m;
    if (!r->cell)
        t->err = r->ended ? r->ended : ROVE_E_STALE;
    else
        t->err = rovei_backup_may_take(r->cell);
    if (t->err == ROVE_OK)
        t->err =
            rovei_cell_image(r->cell, rovei_clock_now().wall, &t->snapshot->image, &t->detail.text);
    if (t->err == ROVE_OK)
        t->err = rovei_backup_label(t->snapshot, t->host->env, r->cell, &t->recipient);
    rovei_work_done(&t->work);
    return true;
}

static void take_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    struct taking *t = ROVEI_CONTAINER(w, struct taking, work);
    if (t->err == ROVE_OK)
        t->err = rovei_node_backup(core, now, w->resident->number, &t->snapshot->positions);
    if (t->err == ROVE_OK)
        rovei_snapshot_put_ledger(t->snapshot);
    if (t->err == ROVE_E_TOO_LARGE)
        t->detail.most = t->host->env->limits.state_max;
    t->tell(t);
}

static void take_begin(void *arg, rovei_node *core, rovei_now now)
{
    struct taking *t = arg;
    (void)core;
    (void)now;
    rove_err err = rovei_host_resident(t->host, t->origin, &t->work.resident);
    if (err) {
        t->err = err;
        t->tell(t);
        return;
    }
    t->work.job.run = take_run;
    t->work.finish = take_finish;
    rovei_work_put(&t->work);
}

static rove_err prepare(struct taking *t, struct rovei_host *h, rove_daemon daemon,
                        const rove_entity *recipient)
{
    rove_err err = rovei_host_gate(h);
    *t = (struct taking){.host = h, .origin = daemon.origin};
    if (err == ROVE_OK)
        err = rovei_recipient_of(&t->recipient, recipient);
    if (err)
        return err;
    t->snapshot = rovei_snapshot_new(h->alloc);
    return t->snapshot ? ROVE_OK : ROVE_E_NOMEM;
}

/* ---- the call that waits ---- */

struct taking_wait {
    struct taking taking;
    rovei_latch latch;
};

static void wake(struct taking *t)
{
    rovei_latch_open(&ROVEI_CONTAINER(t, struct taking_wait, taking)->latch);
}

rove_err rove_runtime_backup_for(rove_runtime *rt, rove_daemon daemon, const rove_entity *recipient,
                                 rove_snapshot **ret, rove_detail *ret_detail)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    if (ret_detail)
        *ret_detail = (rove_detail){0};
    struct taking_wait w;
    struct taking *t = &w.taking;
    rove_err err = rovei_host_may_wait(h);
    if (err == ROVE_OK)
        err = prepare(t, h, daemon, recipient);
    if (err)
        return err;
    t->tell = wake;
    rovei_latch_init(&w.latch);
    rovei_node_call(h->node, take_begin, t);
    rovei_latch_wait(&w.latch, h->node);
    if (ret_detail)
        *ret_detail = t->detail;
    else
        rove_detail_fini(&t->detail);
    if (t->err)
        rove_snapshot_unref(t->snapshot);
    else
        *ret = t->snapshot;
    return t->err;
}

rove_err rove_runtime_backup(rove_runtime *rt, rove_daemon daemon, rove_snapshot **ret,
                             rove_detail *ret_detail)
{
    return rove_runtime_backup_for(rt, daemon, NULL, ret, ret_detail);
}

/* ---- the call with a completion ---- */

struct taking_later {
    rovei_pending pending;
    struct taking taking;
    rove_snapshot_fn *done;
    void *user;
};

static void tell_later(struct taking *t)
{
    struct taking_later *l = ROVEI_CONTAINER(t, struct taking_later, taking);
    l->done(l->user, t->err, t->err ? NULL : t->snapshot, &t->detail);
    rove_snapshot_unref(t->snapshot);
    rove_detail_fini(&t->detail);
    rovei_pending_end(&l->pending);
}

static void take_later(rovei_task *task, rovei_node *core, rovei_now now)
{
    take_begin(&ROVEI_CONTAINER(task, struct taking_later, pending.task)->taking, core, now);
}

rove_err rove_runtime_backup_for_async(rove_runtime *rt, rove_daemon daemon,
                                       const rove_entity *recipient, rove_snapshot_fn *done,
                                       void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct taking_later *l;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&l, &rt->host.pendings);
    if (err)
        return err;
    err = prepare(&l->taking, &rt->host, daemon, recipient);
    if (err) {
        rovei_pending_drop(&l->pending);
        return err;
    }
    l->taking.tell = tell_later;
    l->done = done;
    l->user = user;
    rovei_pending_post(&l->pending, take_later);
    return ROVE_OK;
}

rove_err rove_runtime_backup_async(rove_runtime *rt, rove_daemon daemon, rove_snapshot_fn *done,
                                   void *user)
{
    return rove_runtime_backup_for_async(rt, daemon, NULL, done, user);
}
