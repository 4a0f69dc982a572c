/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for the end of a move, or for the answer to a cancel: a name in a list of the loop
 * thread, and a timer. */
#include <host/moves.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/call.h>
#include <shell/latch.h>

typedef struct move_wait {
    rovei_list all;    /* h->waits */
    rovei_timer timer; /* of a wait */
    struct rovei_host *host;
    rove_migration migration;
    uint64_t timeout;
    bool cancels; /* the call is a cancel, not a wait */
    bool asked;   /* the move was asked to end: it ends, or it is too late */
    rove_err err;
    rove_migration_info info;
    void (*end)(struct move_wait *w); /* the wait is its owner's again */
} move_wait;

static rove_err outcome_error(const rove_migration_info *info)
{
    switch (info->outcome) {
    case ROVE_OUTCOME_COMPLETED:
        return ROVE_OK;
    case ROVE_OUTCOME_CANCELLED:
        return ROVE_E_CANCELLED;
    case ROVE_OUTCOME_TIMED_OUT:
        return ROVE_E_TIMED_OUT;
    case ROVE_OUTCOME_RUNNING:
        return ROVE_E_STILL_MOVING;
    case ROVE_OUTCOME_FAILED:
        break;
    }
    return info->reason ? info->reason : ROVE_E_STATE_FAILED;
}

static rove_err verdict(const move_wait *w)
{
    rove_err err = outcome_error(&w->info);
    if (!w->cancels)
        return err;
    if (w->info.outcome == ROVE_OUTCOME_CANCELLED)
        return ROVE_OK;
    return err && err != ROVE_E_STILL_MOVING ? err : ROVE_E_TOO_LATE;
}

/* ---- loop thread ---- */

static void end_wait(move_wait *w, rove_err err)
{
    rovei_list_remove(&w->all);
    if (!w->cancels)
        rovei_timers_release(rovei_node_timers(w->host->node), &w->timer);
    w->err = err;
    w->end(w);
}

static void end_as_it_stands(move_wait *w, rovei_node *core, rovei_now now)
{
    rove_err err = rovei_migration_get(core, now, &w->migration, &w->info);
    end_wait(w, err ? err : verdict(w));
}

void rovei_host_move_phase(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note)
{
    if (note->phase < ROVEI_PHASE_CUTOVER)
        return;
    ROVEI_LIST_EACH (it, next, &h->waits) {
        move_wait *w = ROVEI_CONTAINER(it, move_wait, all);
        if (w->asked && memcmp(&w->migration, &note->attempt, sizeof w->migration) == 0)
            end_as_it_stands(w, core, now);
    }
}

void rovei_host_move_ended(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note)
{
    rovei_host_watched_ended(h, core, note);
    ROVEI_LIST_EACH (it, next, &h->waits) {
        move_wait *w = ROVEI_CONTAINER(it, move_wait, all);
        if (memcmp(&w->migration, &note->attempt, sizeof w->migration) != 0)
            continue;
        if (rovei_migration_get(core, now, &w->migration, &w->info) != ROVE_OK)
            rovei_migration_ended(&w->info, note); /* another move has taken its place */
        end_wait(w, verdict(w));
    }
}

void rovei_host_end_waits(struct rovei_host *h, rove_err err)
{
    while (!rovei_list_empty(&h->waits))
        end_wait(ROVEI_CONTAINER(h->waits.next, move_wait, all), err);
}

/* The time is up: before the commit the move ends, and with it the wait; after it only the wait. */
static void time_out(rovei_timer *timer, void *user, rovei_now now)
{
    move_wait *w = user;
    rovei_node *core = rovei_node_core(w->host->node);
    rovei_attempt_id attempt = rovei_migration_attempt(w->migration);
    (void)timer;
    w->asked = true; /* the end comes as a note, or the phase from which on it is too late */
    if (rovei_node_cancel(core, now, &attempt, ROVE_E_TIMED_OUT) != ROVE_OK)
        end_as_it_stands(w, core, now);
}

static void begin_wait(void *arg, rovei_node *core, rovei_now now)
{
    move_wait *w = arg;
    rovei_timers *timers = rovei_node_timers(w->host->node);
    rovei_list_add_tail(&w->host->waits, &w->all);
    rove_err err = rovei_timers_reserve(timers, &w->timer, time_out, w);
    if (err == ROVE_OK)
        err = rovei_migration_get(core, now, &w->migration, &w->info);
    if (err)
        end_wait(w, err);
    else if (w->info.outcome != ROVE_OUTCOME_RUNNING)
        end_wait(w, outcome_error(&w->info));
    else
        rovei_timer_set(timers, &w->timer, rovei_time_add(now.mono, w->timeout));
}

/* Whether a move of this node ends is known at once; of one that it ordered elsewhere the source
 * says it. */
static rove_err cancel_now(rovei_node *core, rovei_now now, const rove_migration *migration,
                           bool *ret_open)
{
    rovei_attempt_id attempt = rovei_migration_attempt(*migration);
    rove_migration_info info;
    rove_err err = rovei_node_cancel(core, now, &attempt, ROVE_E_CANCELLED);
    *ret_open = err == ROVE_OK && rovei_migration_get(core, now, migration, &info) == ROVE_OK &&
                info.ordered && info.outcome == ROVE_OUTCOME_RUNNING;
    return err == ROVE_E_NOT_FOUND ? ROVE_E_GONE : err;
}

static void begin_cancel(void *arg, rovei_node *core, rovei_now now)
{
    move_wait *w = arg;
    bool open;
    rovei_list_add_tail(&w->host->waits, &w->all);
    rove_err err = cancel_now(core, now, &w->migration, &open);
    if (err || !open)
        end_wait(w, err);
    else
        w->asked = true;
}

/* ---- the calls that wait ---- */

struct waiter {
    move_wait wait;
    rovei_latch latch;
};

static void wake(move_wait *w)
{
    rovei_latch_open(&ROVEI_CONTAINER(w, struct waiter, wait)->latch);
}

rove_err rove_migration_wait_with_timeout(rove_runtime *rt, rove_migration migration,
                                          uint64_t timeout_ns, rove_migration_info *ret)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_may_wait(h);
    if (err)
        return err;
    struct waiter w = {
        .wait = {.host = h, .migration = migration, .timeout = timeout_ns, .end = wake}};
    rovei_latch_init(&w.latch);
    rovei_node_call(h->node, begin_wait, &w.wait);
    rovei_latch_wait(&w.latch, h->node);
    if (ret && w.wait.err != ROVE_E_GONE)
        *ret = w.wait.info;
    return w.wait.err;
}

struct cancel_call {
    rove_migration migration;
    rove_err err;
};

static void cancel_without_waiting(void *arg, rovei_node *core, rovei_now now)
{
    struct cancel_call *c = arg;
    bool open;
    c->err = cancel_now(core, now, &c->migration, &open);
    if (open)
        c->err = ROVE_E_WOULD_BLOCK;
}

rove_err rove_migration_cancel(rove_runtime *rt, rove_migration migration)
{
    if (!rt)
        return ROVE_E_USAGE;
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    if (rovei_host_may_wait(h)) {
        struct cancel_call c = {.migration = migration};
        rovei_node_call(h->node, cancel_without_waiting, &c);
        return c.err;
    }
    struct waiter w = {.wait = {.host = h, .migration = migration, .cancels = true, .end = wake}};
    rovei_latch_init(&w.latch);
    rovei_node_call(h->node, begin_cancel, &w.wait);
    rovei_latch_wait(&w.latch, h->node);
    return w.wait.err;
}

rove_err rove_migration_wait(rove_runtime *rt, rove_migration migration, rove_migration_info *ret)
{
    return rove_migration_wait_with_timeout(rt, migration, ROVE_TIME_NEVER, ret);
}

/* ---- the calls with a completion ---- */

struct waiting {
    rovei_pending pending;
    move_wait wait;
    rove_migration_info_fn *done;
    rove_done_fn *cancelled; /* or this, of a cancel */
    void *user;
};

static void tell(move_wait *wait)
{
    struct waiting *w = ROVEI_CONTAINER(wait, struct waiting, wait);
    if (w->cancelled)
        w->cancelled(w->user, wait->err);
    else
        w->done(w->user, wait->err, &wait->info);
    rovei_pending_end(&w->pending);
}

static void wait_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    begin_wait(&ROVEI_CONTAINER(task, struct waiting, pending.task)->wait, core, now);
}

static void cancel_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    begin_cancel(&ROVEI_CONTAINER(task, struct waiting, pending.task)->wait, core, now);
}

static rove_err begin_waiting(rove_runtime *rt, const move_wait *wait, struct waiting **ret)
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(ret, &rt->host.pendings);
    if (err == ROVE_OK)
        (*ret)->wait = *wait;
    return err;
}

rove_err rove_migration_cancel_async(rove_runtime *rt, rove_migration migration, rove_done_fn *done,
                                     void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct waiting *w;
    rove_err err = begin_waiting(
        rt, &(move_wait){.host = &rt->host, .migration = migration, .cancels = true, .end = tell},
        &w);
    if (err)
        return err;
    w->cancelled = done;
    w->user = user;
    rovei_pending_post(&w->pending, cancel_run);
    return ROVE_OK;
}

rove_err rove_migration_wait_with_timeout_async(rove_runtime *rt, rove_migration migration,
                                                uint64_t timeout_ns, rove_migration_info_fn *done,
                                                void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct waiting *w;
    rove_err err = begin_waiting(
        rt,
        &(move_wait){.host = &rt->host, .migration = migration, .timeout = timeout_ns, .end = tell},
        &w);
    if (err)
        return err;
    w->done = done;
    w->user = user;
    rovei_pending_post(&w->pending, wait_run);
    return ROVE_OK;
}

rove_err rove_migration_wait_async(rove_runtime *rt, rove_migration migration,
                                   rove_migration_info_fn *done, void *user)
{
    return rove_migration_wait_with_timeout_async(rt, migration, ROVE_TIME_NEVER, done, user);
}
