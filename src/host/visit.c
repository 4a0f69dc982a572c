/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that have to have a daemon to themselves: its numbers, its health, its snapshot, a word to
 * its kind. What each does with the cell is said once, for the form that waits and for the one with
 * a completion. */
#include <host/runtime.h>
#include <rove/async.h>

/* What such a call brings and takes away. */
typedef struct look {
    rove_daemon_stats stats;
    rove_daemon_health health;
    rove_control control;
    rove_snapshot *snapshot;
    rove_detail detail;
} look;

static rove_err take_stats(void *arg, rovei_cell *cell)
{
    look *l = arg;
    l->stats = rovei_cell_stats(cell);
    return ROVE_OK;
}

static rove_err take_health(void *arg, rovei_cell *cell)
{
    look *l = arg;
    l->health.health = rovei_cell_health(cell, &l->health.reason);
    l->health.saturation = rovei_cell_saturation(cell);
    return ROVE_OK;
}

static rove_err give_control(void *arg, rovei_cell *cell)
{
    look *l = arg;
    rovei_cell_control(cell, &l->control);
    return ROVE_OK;
}

static rove_err take_snapshot(void *arg, rovei_cell *cell)
{
    look *l = arg;
    rovei_cell_state state = rovei_cell_state_of(cell);
    if (state == ROVEI_CELL_DEPARTED)
        return ROVE_E_MOVED;
    if (rovei_cell_is_stateless(cell))
        return ROVE_E_STATELESS;
    l->snapshot->entity = *rovei_cell_entity(cell);
    return rovei_cell_image(cell, rovei_clock_now().wall, &l->snapshot->image, &l->detail.text);
}

/* ---- the calls that wait ---- */

static rove_err have(rove_runtime *rt, rove_daemon daemon, rovei_with_cell_fn *fn, look *l)
{
    rove_err err = rovei_host_outside();
    return err ? err : rovei_host_with_cell(&rt->host, daemon.origin, fn, l);
}

rove_err rove_runtime_stats(rove_runtime *rt, rove_daemon daemon, rove_daemon_stats *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    look l = {0};
    rove_err err = have(rt, daemon, take_stats, &l);
    if (err == ROVE_OK)
        *ret = l.stats;
    return err;
}

rove_err rove_runtime_health(rove_runtime *rt, rove_daemon daemon, rove_daemon_health *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    look l = {0};
    rove_err err = have(rt, daemon, take_health, &l);
    if (err == ROVE_OK)
        *ret = l.health;
    return err;
}

rove_err rove_runtime_control(rove_runtime *rt, rove_daemon daemon, const rove_control *control)
{
    if (!rt || !control)
        return ROVE_E_USAGE;
    look l = {.control = *control};
    return have(rt, daemon, give_control, &l);
}

/* The gate of a snapshot, and the memory for it. */
static rove_err prepare_snapshot(struct rovei_host *h, look *ret)
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err == ROVE_OK && !(ret->snapshot = rovei_snapshot_new(h->alloc)))
        err = ROVE_E_NOMEM;
    return err;
}

static void say_most(const struct rovei_host *h, rove_err err, rove_detail *ret)
{
    if (err == ROVE_E_TOO_LARGE)
        ret->most = h->env->limits.state_max;
}

rove_err rove_runtime_snapshot(rove_runtime *rt, rove_daemon daemon, rove_snapshot **ret,
                               rove_detail *ret_detail)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    look l = {0};
    rove_err err = prepare_snapshot(h, &l);
    if (err == ROVE_OK)
        err = rovei_host_with_cell(h, daemon.origin, take_snapshot, &l);
    say_most(h, err, &l.detail);
    if (ret_detail)
        *ret_detail = l.detail;
    else
        rove_detail_fini(&l.detail);
    if (err)
        rove_snapshot_unref(l.snapshot);
    else
        *ret = l.snapshot;
    return err;
}

/* ---- the calls with a completion ---- */

typedef struct looking {
    rovei_visit visit;
    struct rovei_host *host;
    look look;
    union {
        rove_stats_fn *stats;
        rove_health_fn *health;
        rove_snapshot_fn *snapshot;
        rove_done_fn *control;
    } done;
    void *user;
} looking;

static looking *looking_of(rovei_visit *v)
{
    return ROVEI_CONTAINER(v, looking, visit);
}

static void tell_stats(rovei_visit *v)
{
    looking *l = looking_of(v);
    l->done.stats(l->user, v->err, &l->look.stats);
}

static void tell_health(rovei_visit *v)
{
    looking *l = looking_of(v);
    l->done.health(l->user, v->err, &l->look.health);
}

static void tell_control(rovei_visit *v)
{
    looking *l = looking_of(v);
    l->done.control(l->user, v->err);
}

static void tell_snapshot(rovei_visit *v)
{
    looking *l = looking_of(v);
    say_most(l->host, v->err, &l->look.detail);
    l->done.snapshot(l->user, v->err, v->err ? NULL : l->look.snapshot, &l->look.detail);
    rove_snapshot_unref(l->look.snapshot);
    rove_detail_fini(&l->look.detail);
}

static rove_err looking_new(looking **ret, rove_runtime *rt, void *user, rovei_with_cell_fn *fn,
                            void (*tell)(rovei_visit *v))
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(ret, &rt->host.pendings);
    if (err)
        return err;
    looking *l = *ret;
    l->host = &rt->host;
    l->user = user;
    l->visit.fn = fn;
    l->visit.arg = &l->look;
    l->visit.tell = tell;
    return ROVE_OK;
}

static rove_err begin(looking *l, rove_daemon daemon)
{
    rove_err err = rovei_host_visit(l->host, daemon.origin, &l->visit);
    if (err == ROVE_OK)
        return ROVE_OK;
    rove_snapshot_unref(l->look.snapshot);
    rovei_pending_drop(&l->visit.pending);
    return err;
}

rove_err rove_runtime_stats_async(rove_runtime *rt, rove_daemon daemon, rove_stats_fn *done,
                                  void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    looking *l;
    rove_err err = looking_new(&l, rt, user, take_stats, tell_stats);
    if (err)
        return err;
    l->done.stats = done;
    return begin(l, daemon);
}

rove_err rove_runtime_health_async(rove_runtime *rt, rove_daemon daemon, rove_health_fn *done,
                                   void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    looking *l;
    rove_err err = looking_new(&l, rt, user, take_health, tell_health);
    if (err)
        return err;
    l->done.health = done;
    return begin(l, daemon);
}

rove_err rove_runtime_control_async(rove_runtime *rt, rove_daemon daemon,
                                    const rove_control *control, rove_done_fn *done, void *user)
{
    if (!rt || !control || !done)
        return ROVE_E_USAGE;
    looking *l;
    rove_err err = looking_new(&l, rt, user, give_control, tell_control);
    if (err)
        return err;
    l->look.control = *control;
    l->done.control = done;
    return begin(l, daemon);
}

rove_err rove_runtime_snapshot_async(rove_runtime *rt, rove_daemon daemon, rove_snapshot_fn *done,
                                     void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    looking *l;
    rove_err err = looking_new(&l, rt, user, take_snapshot, tell_snapshot);
    if (err)
        return err;
    err = prepare_snapshot(l->host, &l->look);
    if (err) {
        rovei_pending_drop(&l->visit.pending);
        return err;
    }
    l->done.snapshot = done;
    return begin(l, daemon);
}
