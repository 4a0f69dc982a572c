/* SPDX-License-Identifier: Apache-2.0
 *
 * A drain. Each daemon is an item that goes from QUEUED to RUNNING (its move is under way) and to
 * its end; PAUSED is one that cannot be ordered just now: it is on its way here, moves already, or
 * its target said "later". When all have ended the node is looked over again, for what arrived
 * meanwhile. */
#include <base/alloc.h>
#include <host/drain.h>

#define PAUSE     (250 * ROVE_MILLISECOND)
#define FAREWELL  ROVE_SECOND /* for the last word of a move to be acknowledged */
#define TRIES_MAX 5           /* orders of one daemon; of one to the same node as well */

typedef struct item {
    rovei_list in;
    rove_entity entity;
    rovei_attempt_id attempt;
    uint64_t tried; /* a bit for each target that refused it for good */
    size_t target;
    unsigned tries;
    uint64_t ordered, again; /* monotonic */
    uint64_t closed;         /* monotonic: first seen so */
    bool told;               /* of the start */
    rove_err reason;
} item;

rove_err rovei_drain_init(rovei_drain *d, struct rovei_host *h, const rove_drain_options *options)
{
    rove_drain_options defaults;
    rove_drain_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (options->struct_version != ROVE_DRAIN_OPTIONS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    d->host = h;
    d->options = *options;
    if (options->target) {
        d->to = *options->target;
        d->options.target = &d->to;
    }
    return ROVE_OK;
}

/* ---- telling ---- */

static void tell(rovei_drain *d, rove_drain_event event, const item *i, uint64_t now)
{
    d->report.elapsed = now - d->begun;
    if (!d->options.told)
        return;
    rove_drain_progress p = {.daemon = {rovei_entity_origin(&i->entity)},
                             .entity = i->entity,
                             .reason = i->reason,
                             .elapsed = i->ordered ? now - i->ordered : 0,
                             .so_far = d->report};
    if (i->tries)
        p.target = d->targets[i->target].node;
    d->options.told(d->options.told_user, event, &p);
}

/* The daemon hears of it at this point of its order. */
static void tell_daemon(const rovei_drain *d, const item *i, rove_control_kind kind)
{
    rovei_resident *r = NULL;
    rove_control control = {.kind = kind};
    if (kind == ROVE_CONTROL_DRAIN_START)
        control.grace_ms = d->options.grace_ms;
    if (rovei_host_resident(d->host, rovei_entity_origin(&i->entity), &r) != ROVE_OK)
        return;
    rovei_work_tell(r, &control);
    rovei_resident_drop(r);
}

static void turn_to(item *i, rovei_list *list)
{
    rovei_list_remove(&i->in);
    rovei_list_add_tail(list, &i->in);
}

static void fail(rovei_drain *d, item *i, rove_err reason, uint64_t now)
{
    i->reason = reason;
    turn_to(i, &d->over);
    d->report.failed++;
    if (d->err == ROVE_OK)
        d->err = reason;
    if (i->told)
        tell_daemon(d, i, ROVE_CONTROL_DRAIN_FINISH);
    tell(d, ROVE_DRAIN_FAILED, i, now);
}

static void pause_item(rovei_drain *d, item *i, uint64_t now)
{
    i->again = rovei_time_add(now, PAUSE);
    turn_to(i, &d->paused);
    if (i->again < d->timer.deadline)
        rovei_timer_set(rovei_node_timers(d->host->node), &d->timer, i->again);
}

/* It is not here any more, by somebody else's doing. */
static void dismiss(rovei_drain *d, item *i)
{
    turn_to(i, &d->over);
    d->report.daemons--;
}

/* ---- ordering ---- */

/* A try has come to nothing. With one target only the moment can be wrong. */
static void again(rovei_drain *d, item *i, rove_err reason, uint64_t now)
{
    bool later = rove_err_class_of(reason) == ROVE_CLASS_RETRY;
    i->reason = reason;
    d->targets[i->target].refusals++;
    if (!later || !d->options.target)
        i->tried |= UINT64_C(1) << i->target;
    if (i->tries >= TRIES_MAX || (d->options.target && !later)) {
        fail(d, i, reason, now);
        return;
    }
    tell(d, ROVE_DRAIN_RETRY, i, now);
    if (d->options.target)
        pause_item(d, i, now);
    else
        turn_to(i, &d->queued);
}

static void order_refused(rovei_drain *d, item *i, const rovei_node *core, rove_err err,
                          uint64_t now)
{
    rovei_daemon_info info;
    if (rovei_node_daemon_get(core, &i->entity, &info) || info.state == ROVEI_DAEMON_MOVED ||
        info.state == ROVEI_DAEMON_ASIDE)
        dismiss(d, i);
    else if (err == ROVE_E_ALREADY_MIGRATING || err == ROVE_E_NOT_FOUND ||
             err == ROVE_E_MOVE_LIMIT || err == ROVE_E_NOMEM) {
        i->tries--; /* that was none */
        pause_item(d, i, now);
    } else
        again(d, i, err, now);
}

/* True when the core was given an order. */
static bool order(rovei_drain *d, item *i, rovei_node *core, rovei_now now)
{
    rove_err err = rovei_drain_choose(d, core, &i->entity, i->tried, &i->target);
    if (err == ROVE_E_NOMEM) {
        pause_item(d, i, now.mono);
        return false;
    }
    if (err) {
        fail(d, i, i->reason ? i->reason : err, now.mono);
        return false;
    }
    rovei_drain_target *t = &d->targets[i->target];
    rovei_move_order o = {.daemon = i->entity,
                          .target = t->node,
                          .retry_not_ready = d->host->env->limits.retry_not_ready};
    if (!i->told)
        tell_daemon(d, i, ROVE_CONTROL_DRAIN_START);
    i->told = true;
    i->ordered = now.mono;
    i->tries++;
    err = rovei_node_move(core, now, &o, &i->attempt);
    if (err) {
        order_refused(d, i, core, err, now.mono);
        return false;
    }
    t->orders++;
    turn_to(i, &d->running);
    d->running_count++;
    tell(d, ROVE_DRAIN_ORDERED, i, now.mono);
    return true;
}

/* ---- looking ---- */

static void moved(rovei_drain *d, item *i, uint64_t now)
{
    i->reason = ROVE_OK;
    turn_to(i, &d->over);
    d->report.moved++;
    tell(d, ROVE_DRAIN_MOVED, i, now);
}

/* The target must not wait for a word that dies with this node: without it, it may not give the
 * daemon away. */
static bool is_told(item *i, const rovei_move_info *info, uint64_t now)
{
    if (info->outcome != ROVEI_OUTCOME_COMPLETED || info->heard)
        return true;
    if (info->closed && !i->closed)
        i->closed = now;
    return i->closed && now - i->closed > FAREWELL;
}

static void look(rovei_drain *d, item *i, const rovei_node *core, uint64_t now)
{
    rovei_move_info info;
    rovei_daemon_info daemon;
    if (rovei_node_move_get(core, &i->attempt, &info)) { /* forgotten: what is here says it */
        bool left =
            rovei_node_daemon_get(core, &i->entity, &daemon) || daemon.state == ROVEI_DAEMON_MOVED;
        info.outcome = left ? ROVEI_OUTCOME_COMPLETED : ROVEI_OUTCOME_FAILED;
        info.reason = ROVE_E_GONE;
        info.heard = true;
    }
    if (info.outcome == ROVEI_OUTCOME_RUNNING || !is_told(i, &info, now))
        return;
    d->running_count--;
    if (info.outcome == ROVEI_OUTCOME_COMPLETED)
        moved(d, i, now);
    else if (info.outcome == ROVEI_OUTCOME_CANCELLED) /* somebody wants it to stay */
        fail(d, i, ROVE_E_CANCELLED, now);
    else
        again(d, i, info.reason ? info.reason : ROVE_E_STATE_FAILED, now);
}

static bool concerns(const rovei_daemon_info *info)
{
    return info->state != ROVEI_DAEMON_MOVED && info->state != ROVEI_DAEMON_ASIDE;
}

/* Items for the daemons that have none. E_NOMEM. */
static rove_err scan(rovei_drain *d, const rovei_node *core)
{
    const rove_alloc *a = d->host->alloc;
    rovei_daemon_info info;
    for (size_t it = 0; rovei_node_daemon_next(core, &it, &info);) {
        if (!concerns(&info) || rovei_map_get(&d->items, &info.entity))
            continue;
        item *i = ROVEI_NEW(a, item);
        if (!i || rovei_map_put(&d->items, &info.entity, i)) {
            if (i)
                ROVEI_DELETE(a, i);
            return ROVE_E_NOMEM;
        }
        i->entity = info.entity;
        rovei_list_init(&i->in);
        rovei_list_add_tail(&d->queued, &i->in);
        d->report.daemons++;
    }
    return ROVE_OK;
}

static bool is_over(const rovei_drain *d)
{
    return rovei_list_empty(&d->queued) && rovei_list_empty(&d->paused) && d->running_count == 0 &&
           rovei_list_empty(&d->host->spawns);
}

bool rovei_drain_turn(rovei_drain *d, rovei_node *core, rovei_now now)
{
    bool ordered = false;
    ROVEI_LIST_EACH (it, next, &d->running)
        look(d, ROVEI_CONTAINER(it, item, in), core, now.mono);
    while (d->running_count < d->host->env->limits.drain_parallel && !rovei_list_empty(&d->queued))
        ordered |= order(d, ROVEI_CONTAINER(d->queued.next, item, in), core, now);
    rove_err err = d->cancelled ? ROVE_E_CANCELLED : ROVE_OK;
    bool over = d->cancelled;
    if (!over && is_over(d)) {
        err = scan(d, core);
        over = err != ROVE_OK || is_over(d);
    }
    bool more = ordered || (!over && !rovei_list_empty(&d->queued));
    if (over) {
        d->report.elapsed = now.mono - d->begun;
        rovei_drain_end(d, err ? err : d->err);
    }
    return more;
}

/* ---- the time ---- */

/* What is not committed ends; what is goes on by itself. */
static void time_up(rovei_drain *d, rovei_node *core, rovei_now now)
{
    d->err = ROVE_E_TIMED_OUT;
    while (!rovei_list_empty(&d->queued))
        fail(d, ROVEI_CONTAINER(d->queued.next, item, in), ROVE_E_TIMED_OUT, now.mono);
    while (!rovei_list_empty(&d->paused))
        fail(d, ROVEI_CONTAINER(d->paused.next, item, in), ROVE_E_TIMED_OUT, now.mono);
    ROVEI_LIST_EACH (it, next, &d->running) {
        item *i = ROVEI_CONTAINER(it, item, in);
        rovei_move_info info;
        rove_err err = rovei_node_cancel(core, now, &i->attempt, ROVE_E_TIMED_OUT);
        bool known = rovei_node_move_get(core, &i->attempt, &info) == ROVE_OK;
        d->running_count--;
        if (err == ROVE_OK) {
            fail(d, i, ROVE_E_TIMED_OUT, now.mono);
        } else if (known && info.outcome == ROVEI_OUTCOME_COMPLETED) {
            moved(d, i, now.mono);
        } else {
            turn_to(i, &d->over);
            d->report.still_moving++;
            tell(d, ROVE_DRAIN_STILL_MOVING, i, now.mono);
        }
    }
    rovei_drain_end(d, ROVE_E_TIMED_OUT);
}

static void on_timer(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_drain *d = user;
    rovei_node *core = rovei_node_core(d->host->node);
    uint64_t next_at = d->deadline;
    if (now.mono >= d->deadline) {
        time_up(d, core, now);
        return;
    }
    ROVEI_LIST_EACH (it, next, &d->paused) {
        item *i = ROVEI_CONTAINER(it, item, in);
        if (i->again <= now.mono)
            turn_to(i, &d->queued);
        else if (i->again < next_at)
            next_at = i->again;
    }
    rovei_timer_set(rovei_node_timers(d->host->node), timer, next_at);
    rovei_host_kick(d->host);
}

/* ---- beginning and end ---- */

static rove_err may_begin(const rovei_drain *d, const rovei_node *core)
{
    rove_err err = rovei_host_gate(d->host);
    if (err == ROVE_OK && d->host->drain)
        err = ROVE_E_BUSY;
    if (err == ROVE_OK && d->options.target && rovei_entity_equal(&d->to, rovei_node_entity(core)))
        err = ROVE_E_SAME_NODE;
    return err;
}

void rovei_drain_begin(rovei_drain *d, rovei_node *core, rovei_now now)
{
    struct rovei_host *h = d->host;
    rovei_timers *timers = rovei_node_timers(h->node);
    d->err = may_begin(d, core);
    if (d->err == ROVE_OK)
        d->err = rovei_timers_reserve(timers, &d->timer, on_timer, d);
    if (d->err) {
        d->ended(d);
        return;
    }
    d->begun = now.mono;
    d->deadline = rovei_time_add(now.mono, d->options.timeout);
    rovei_map_init(&d->items, h->alloc, sizeof(rove_entity), rovei_rng_u64(&h->env->rng));
    rovei_list_init(&d->queued);
    rovei_list_init(&d->running);
    rovei_list_init(&d->paused);
    rovei_list_init(&d->over);
    rovei_timer_set(timers, &d->timer, d->deadline);
    atomic_store(&h->cordoned, true);
    atomic_store(&h->announce, true);
    h->drain = d;
    rovei_host_kick(h); /* the turn begins with a look over the node */
}

/* Whoever was told of the start and may stay hears that it is over; an instance whose state leaves
 * after all takes nothing of that along. */
static void end_item(const rovei_drain *d, const item *i)
{
    rovei_move_info info;
    bool leaves =
        i->tries &&
        rovei_node_move_get(rovei_node_core(d->host->node), &i->attempt, &info) == ROVE_OK &&
        info.phase >= ROVEI_PHASE_CUTOVER;
    if (i->told && !leaves)
        tell_daemon(d, i, ROVE_CONTROL_DRAIN_FINISH);
}

void rovei_drain_end(rovei_drain *d, rove_err err)
{
    struct rovei_host *h = d->host;
    rovei_list *open[] = {&d->queued, &d->running, &d->paused};
    h->drain = NULL;
    rovei_timers_release(rovei_node_timers(h->node), &d->timer);
    for (size_t k = 0; k < sizeof open / sizeof open[0]; k++)
        ROVEI_LIST_EACH (it, next, open[k])
            end_item(d, ROVEI_CONTAINER(it, item, in));
    size_t it = 0;
    for (item *i; (i = rovei_map_next(&d->items, &it));)
        ROVEI_DELETE(h->alloc, i);
    rovei_map_fini(&d->items);
    rovei_free(h->alloc, d->targets, d->target_room * sizeof *d->targets);
    d->err = err;
    d->ended(d);
}
