/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: the image of a daemon and what the core knows of it, of one point of its order. The
 * image is taken as a job in the daemon's mailbox; the core is asked in the place of that job's
 * completion, when it knows of all events before and of none after. */
#include <base/check.h>
#include <host/runtime.h>
#include <shell/call.h>
#include <shell/latch.h>

/* One backup under way: on the caller's stack. */
struct taking {
    rovei_work work;
    struct rovei_host *host;
    uint64_t origin;
    rove_snapshot *snapshot;
    rove_buf *text;
    rove_err err;
    rovei_latch done;
};

static rove_err may_take(const rovei_cell *cell)
{
    switch (rovei_cell_state_of(cell)) {
    case ROVEI_CELL_SERVING:
        return rovei_cell_is_stateless(cell) ? ROVE_E_STATELESS : ROVE_OK;
    case ROVEI_CELL_NEW:
        return ROVE_E_NOT_READY;
    case ROVEI_CELL_FROZEN:
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

static bool take_run(rovei_job *job, rovei_mailbox *m)
{
    struct taking *t = ROVEI_CONTAINER(job, struct taking, work.job);
    rovei_resident *r = t->work.resident;
    (void)m;
    if (!r->cell)
        t->err = r->ended ? r->ended : ROVE_E_STALE;
    else
        t->err = may_take(r->cell);
    if (t->err == ROVE_OK) {
        t->snapshot->entity = *rovei_cell_entity(r->cell);
        t->err = rovei_cell_image(r->cell, rovei_clock_now().wall, &t->snapshot->image, &t->text);
    }
    rovei_work_done(&t->work);
    return true;
}

static void take_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    struct taking *t = ROVEI_CONTAINER(w, struct taking, work);
    if (t->err == ROVE_OK)
        t->err = rovei_node_backup(core, now, w->resident->number, &t->snapshot->positions);
    rovei_latch_open(&t->done);
}

static void take_begin(void *arg, rovei_node *core, rovei_now now)
{
    struct taking *t = arg;
    (void)core;
    (void)now;
    rove_err err = rovei_host_resident(t->host, t->origin, &t->work.resident);
    if (err) {
        t->err = err;
        rovei_latch_open(&t->done);
        return;
    }
    t->work.job.run = take_run;
    t->work.finish = take_finish;
    rovei_work_put(&t->work);
}

rove_err rove_runtime_backup(rove_runtime *rt, rove_daemon daemon, rove_snapshot **ret,
                             rove_detail *ret_detail)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    if (ret_detail)
        *ret_detail = (rove_detail){0};
    rove_err err = rovei_host_may_wait(h);
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err)
        return err;
    struct taking t = {
        .host = h, .origin = daemon.origin, .snapshot = rovei_snapshot_new(h->alloc)};
    if (!t.snapshot)
        return ROVE_E_NOMEM;
    rovei_latch_init(&t.done);
    rovei_node_call(h->node, take_begin, &t);
    rovei_latch_wait(&t.done);
    if (ret_detail) {
        ret_detail->text = t.text;
        if (t.err == ROVE_E_TOO_LARGE)
            ret_detail->most = h->env->limits.state_max;
    } else {
        rove_buf_unref(t.text);
    }
    if (t.err)
        rove_snapshot_unref(t.snapshot);
    else
        *ret = t.snapshot;
    return t.err;
}
