/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves as applications see them. The core runs and remembers them; a waiter only leaves his name
 * on the loop thread and sleeps until the note of the end comes. */
#include <base/check.h>
#include <errno.h>
#include <host/runtime.h>
#include <host/thread.h>
#include <shell/call.h>
#include <time.h>

_Static_assert((int)ROVE_PHASE_SNAPSHOT == (int)ROVEI_PHASE_SNAPSHOT &&
                   (int)ROVE_PHASE_COMPLETE == (int)ROVEI_PHASE_COMPLETE,
               "the public phases are the core's");
_Static_assert((int)ROVE_OUTCOME_COMPLETED == (int)ROVEI_OUTCOME_COMPLETED &&
                   (int)ROVE_OUTCOME_TIMED_OUT == (int)ROVEI_OUTCOME_TIMED_OUT,
               "the public outcomes are the core's");

const char *rove_phase_name(rove_phase phase)
{
    static const char *const names[] = {"None",   "Snapshot", "Transfer", "Restore",
                                        "Replay", "Cutover",  "Complete"};
    return phase >= ROVE_PHASE_NONE && phase <= ROVE_PHASE_COMPLETE ? names[phase] : names[0];
}

static rovei_attempt_id attempt_of(rove_migration m)
{
    rovei_attempt_id a;
    memcpy(a.bytes, m.attempt, sizeof a.bytes);
    return a;
}

static rove_migration_info public_info(const rovei_move_info *i, rovei_now now)
{
    rove_migration_info info = {
        .daemon = {rovei_entity_origin(&i->daemon)},
        .entity = i->daemon,
        .source = i->source,
        .target = i->target,
        .epoch = i->epoch,
        .phase = (rove_phase)i->phase,
        .outcome = (rove_outcome)i->outcome,
        .reason = i->reason,
        .attempts = i->attempts,
        .bytes = i->bytes,
        .outgoing = i->local_source,
    };
    uint64_t end = i->outcome == ROVEI_OUTCOME_RUNNING ? now.mono : i->ended;
    memcpy(info.migration.attempt, i->attempt.bytes, sizeof info.migration.attempt);
    info.elapsed = end > i->begun ? end - i->begun : 0;
    if (i->frozen_at && i->active_at > i->frozen_at)
        info.blackout = i->active_at - i->frozen_at;
    return info;
}

/* ---- starting ---- */

struct start_call {
    struct rovei_host *host;
    uint64_t origin;
    rovei_move_order order;
    rovei_attempt_id attempt;
    rove_err err;
};

static void start(void *arg, rovei_node *core, rovei_now now)
{
    struct start_call *c = arg;
    rovei_resident *r = NULL;
    c->err = rovei_host_gate(c->host);
    if (c->err == ROVE_OK)
        c->err = rovei_host_resident(c->host, c->origin, &r);
    if (c->err)
        return;
    c->order.daemon = r->entry.entity;
    rovei_resident_drop(r);
    c->err = rovei_node_move(core, now, &c->order, &c->attempt);
}

rove_err rove_runtime_start_migration_with(rove_runtime *rt, rove_daemon daemon,
                                           const rove_entity *target,
                                           const rove_migration_options *options,
                                           rove_migration *ret)
{
    struct rovei_host *h = &rt->host;
    rove_migration_options defaults;
    rove_migration_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (!target || !ret)
        return ROVE_E_USAGE;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err == ROVE_OK && options->struct_version != ROVE_MIGRATION_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    if (err)
        return err;
    uint64_t retry = options->retry_not_ready == ROVE_TIME_NEVER ? h->env->limits.retry_not_ready
                                                                 : options->retry_not_ready;
    struct start_call c = {.host = h,
                           .origin = daemon.origin,
                           .order = {.target = *target,
                                     .keep_identity = !options->transport_identity,
                                     .retry_not_ready = retry}};
    rovei_node_call(h->node, start, &c);
    if (c.err == ROVE_OK)
        memcpy(ret->attempt, c.attempt.bytes, sizeof ret->attempt);
    return c.err;
}

rove_err rove_runtime_start_migration(rove_runtime *rt, rove_daemon daemon,
                                      const rove_entity *target, rove_migration *ret)
{
    return rove_runtime_start_migration_with(rt, daemon, target, NULL, ret);
}

/* ---- looking ---- */

struct get_call {
    rovei_attempt_id attempt;
    rove_migration_info info;
    rove_err err;
};

static rove_err get_info(rovei_node *core, rovei_now now, const rovei_attempt_id *attempt,
                         rove_migration_info *ret)
{
    rovei_move_info info;
    if (rovei_node_move_get(core, attempt, &info) != ROVE_OK)
        return ROVE_E_GONE;
    *ret = public_info(&info, now);
    return ROVE_OK;
}

static void get(void *arg, rovei_node *core, rovei_now now)
{
    struct get_call *c = arg;
    c->err = get_info(core, now, &c->attempt, &c->info);
}

rove_err rove_migration_get(rove_runtime *rt, rove_migration migration, rove_migration_info *ret)
{
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    struct get_call c = {.attempt = attempt_of(migration)};
    rovei_node_call(rt->host.node, get, &c);
    if (c.err == ROVE_OK)
        *ret = c.info;
    return c.err;
}

rove_phase rove_migration_phase(rove_runtime *rt, rove_migration migration)
{
    rove_migration_info info;
    return rove_migration_get(rt, migration, &info) == ROVE_OK ? info.phase : ROVE_PHASE_NONE;
}

struct moves_call {
    uint64_t origin;          /* with `phase` */
    rove_phase phase;         /* of the running move that this node drives for that origin */
    rove_migration_info *ret; /* or NULL */
    size_t room, count;
};

static void list_moves(void *arg, rovei_node *core, rovei_now now)
{
    struct moves_call *c = arg;
    size_t it = 0;
    for (rovei_move_info info; rovei_node_move_next(core, &it, &info);) {
        if (info.outcome != ROVEI_OUTCOME_RUNNING)
            continue;
        if (c->ret && c->count < c->room)
            c->ret[c->count] = public_info(&info, now);
        c->count++;
        if (!c->ret && info.local_source && rovei_entity_origin(&info.daemon) == c->origin)
            c->phase = (rove_phase)info.phase;
    }
}

size_t rove_runtime_moves(rove_runtime *rt, rove_migration_info *ret, size_t room)
{
    if (rovei_host_outside())
        return 0;
    rove_migration_info none;
    struct moves_call c = {.ret = ret ? ret : &none, .room = ret ? room : 0};
    rovei_node_call(rt->host.node, list_moves, &c);
    return c.count;
}

rove_phase rove_runtime_migration_phase(rove_runtime *rt, rove_daemon daemon)
{
    if (rovei_host_outside())
        return ROVE_PHASE_NONE;
    struct moves_call c = {.origin = daemon.origin};
    rovei_node_call(rt->host.node, list_moves, &c);
    return c.phase;
}

/* ---- waiting ---- */

/* A waiter, on his stack and in the list of the loop thread. */
typedef struct rovei_move_wait {
    rovei_list all;
    struct rovei_host *host;
    rovei_attempt_id attempt;
    pthread_cond_t ended;
    bool done; /* written by the loop thread, under the lock */
    rove_err err;
    rove_migration_info info;
} rovei_move_wait;

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

/* Ends a waiter on the loop thread; he may be gone when this returns. */
static void end_wait(rovei_move_wait *w, rove_err err)
{
    struct rovei_host *h = w->host;
    rovei_list_remove(&w->all);
    pthread_mutex_lock(&h->lock);
    w->err = err;
    w->done = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&h->lock);
}

static void end_with_outcome(rovei_move_wait *w, rovei_node *core, rovei_now now)
{
    rove_err err = get_info(core, now, &w->attempt, &w->info);
    end_wait(w, err ? err : outcome_error(&w->info));
}

void rovei_host_move_ended(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note)
{
    ROVEI_LIST_EACH (it, next, &h->waits) {
        rovei_move_wait *w = ROVEI_CONTAINER(it, rovei_move_wait, all);
        if (memcmp(&w->attempt, &note->attempt, sizeof w->attempt) == 0)
            end_with_outcome(w, core, now);
    }
}

void rovei_host_end_waits(struct rovei_host *h, rove_err err)
{
    while (!rovei_list_empty(&h->waits))
        end_wait(ROVEI_CONTAINER(h->waits.next, rovei_move_wait, all), err);
}

static void begin_wait(void *arg, rovei_node *core, rovei_now now)
{
    rovei_move_wait *w = arg;
    rovei_list_add_tail(&w->host->waits, &w->all);
    rove_err err = get_info(core, now, &w->attempt, &w->info);
    if (err)
        end_wait(w, err);
    else if (w->info.outcome != ROVE_OUTCOME_RUNNING)
        end_wait(w, outcome_error(&w->info));
}

/* The time is up: before the commit the move ends, and with it the wait; after it only the wait. */
static void time_out(void *arg, rovei_node *core, rovei_now now)
{
    rovei_move_wait *w = arg;
    if (w->done)
        return;
    rove_err err = rovei_node_cancel(core, now, &w->attempt, ROVE_E_TIMED_OUT);
    if (err == ROVE_OK)
        return;
    err = get_info(core, now, &w->attempt, &w->info);
    end_wait(w, err ? err : outcome_error(&w->info));
}

static void wait_until(rovei_move_wait *w, uint64_t deadline)
{
    struct rovei_host *h = w->host;
    struct timespec t = {.tv_sec = (time_t)(deadline / ROVE_SECOND),
                         .tv_nsec = (long)(deadline % ROVE_SECOND)};
    bool timed_out = false;
    pthread_mutex_lock(&h->lock);
    while (!w->done && !timed_out) {
        if (deadline == ROVE_TIME_NEVER)
            pthread_cond_wait(&w->ended, &h->lock);
        else
            timed_out = pthread_cond_timedwait(&w->ended, &h->lock, &t) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&h->lock);
}

static bool is_done(rovei_move_wait *w)
{
    pthread_mutex_lock(&w->host->lock);
    bool done = w->done;
    pthread_mutex_unlock(&w->host->lock);
    return done;
}

rove_err rove_migration_wait_with_timeout(rove_runtime *rt, rove_migration migration,
                                          uint64_t timeout_ns, rove_migration_info *ret)
{
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_may_wait(h);
    if (err)
        return err;
    uint64_t deadline = rovei_time_add(rovei_clock_now().mono, timeout_ns);
    rovei_move_wait w = {.host = h, .attempt = attempt_of(migration)};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w.ended, &attr);
    pthread_condattr_destroy(&attr);
    rovei_list_init(&w.all);
    rovei_node_call(h->node, begin_wait, &w);
    wait_until(&w, deadline);
    if (!is_done(&w)) {
        rovei_node_call(h->node, time_out, &w);
        wait_until(&w, ROVE_TIME_NEVER);
    }
    pthread_cond_destroy(&w.ended);
    if (ret && w.err != ROVE_E_GONE)
        *ret = w.info;
    return w.err;
}

rove_err rove_migration_wait(rove_runtime *rt, rove_migration migration, rove_migration_info *ret)
{
    return rove_migration_wait_with_timeout(rt, migration, ROVE_TIME_NEVER, ret);
}

/* ---- cancelling ---- */

static void cancel(void *arg, rovei_node *core, rovei_now now)
{
    struct get_call *c = arg;
    c->err = rovei_node_cancel(core, now, &c->attempt, ROVE_E_CANCELLED);
}

rove_err rove_migration_cancel(rove_runtime *rt, rove_migration migration)
{
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    struct get_call c = {.attempt = attempt_of(migration)};
    rovei_node_call(rt->host.node, cancel, &c);
    return c.err == ROVE_E_NOT_FOUND ? ROVE_E_GONE : c.err;
}
