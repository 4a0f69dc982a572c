/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves as applications see them: beginning, looking, cancelling. The core runs and remembers them;
 * each call is one turn on the loop thread. */
#include <base/alloc.h>
#include <host/moves.h>
#include <host/placing.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <shell/call.h>

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

rove_migration_info rovei_migration_info(const rovei_move_info *i, rovei_now now)
{
    rove_migration_info info = {
        .daemon = {i->origin},
        .entity = i->daemon,
        .source = i->source,
        .target = i->target,
        .orchestrator = i->orchestrator,
        .epoch = i->epoch,
        .phase = (rove_phase)i->phase,
        .outcome = (rove_outcome)i->outcome,
        .reason = i->reason,
        .attempts = i->attempts,
        .unbound = i->unbound,
        .bytes = i->bytes,
        .outgoing = i->local_source,
        .ordered = i->ordered,
    };
    if (i->text.size)
        memcpy(info.text, i->text.data, i->text.size); /* one byte shorter than the room */
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
    rove_move_fn *told;
    void *told_user;
    rove_migration migration;
    bool choose; /* the target, by placement */
    rove_err err;
};

/* Of one that lives elsewhere the hash is enough. */
static rove_err name_daemon(struct start_call *c, rovei_node *core)
{
    const rove_entity *source = &c->order.source;
    rovei_resident *r = NULL;
    c->order.origin = c->origin;
    if (!rovei_entity_is_zero(source) && !rovei_entity_equal(source, rovei_node_entity(core))) {
        if (rovei_node_find_origin(core, c->origin, &c->order.daemon) != ROVE_OK)
            memset(&c->order.daemon, 0, sizeof c->order.daemon);
        return ROVE_OK;
    }
    rove_err err = rovei_host_resident(c->host, c->origin, &r);
    if (err)
        return err;
    c->order.daemon = r->entry.entity;
    rovei_resident_drop(r);
    return ROVE_OK;
}

static rove_err choose_target(struct start_call *c, const rovei_node *core)
{
    rove_placement p;
    rove_err err = rovei_host_choose_target(c->host, core, &c->order.daemon, &p);
    if (err == ROVE_OK)
        c->order.target = p.node;
    return err;
}

static void start(void *arg, rovei_node *core, rovei_now now)
{
    struct start_call *c = arg;
    c->err = rovei_host_gate(c->host);
    if (c->err == ROVE_OK)
        c->err = name_daemon(c, core);
    if (c->err == ROVE_OK && c->choose)
        c->err = choose_target(c, core);
    if (c->err)
        return;
    rovei_attempt_id attempt;
    rovei_move_watch *watch = NULL;
    bool watched = c->told || c->host->told;
    if (watched && !(watch = rovei_move_watch_new(c->host)))
        c->err = ROVE_E_NOMEM;
    if (c->err == ROVE_OK)
        c->err = rovei_node_move(core, now, &c->order, &attempt);
    if (c->err) {
        rovei_move_watch_free(c->host, watch);
        return;
    }
    memcpy(c->migration.attempt, attempt.bytes, sizeof c->migration.attempt);
    if (watch)
        rovei_move_watch_begin(c->host, watch, now, &attempt, c->told, c->told_user);
}

static rove_err prepare_start(struct rovei_host *h, rove_daemon daemon, const rove_entity *source,
                              const rove_entity *target, const rove_migration_options *options,
                              struct start_call *ret)
{
    rove_migration_options defaults;
    rove_migration_options_init(&defaults);
    if (!options)
        options = &defaults;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err == ROVE_OK && options->struct_version != ROVE_MIGRATION_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    if (err)
        return err;
    uint64_t retry = options->retry_not_ready == ROVE_TIME_NEVER ? h->env->limits.retry_not_ready
                                                                 : options->retry_not_ready;
    *ret = (struct start_call){
        .host = h,
        .origin = daemon.origin,
        .told = options->told,
        .told_user = options->told_user,
        .choose = !target,
        .order = {.keep_identity = !options->transport_identity, .retry_not_ready = retry}};
    if (target)
        ret->order.target = *target;
    if (source)
        ret->order.source = *source;
    if (options->deadline != ROVE_TIME_NEVER)
        ret->order.deadline = options->deadline ? options->deadline : 1; /* 0: at once */
    return ROVE_OK;
}

static rove_err start_and_return(rove_runtime *rt, rove_daemon daemon, const rove_entity *source,
                                 const rove_entity *target, const rove_migration_options *options,
                                 rove_migration *ret)
{
    struct start_call c;
    rove_err err = prepare_start(&rt->host, daemon, source, target, options, &c);
    if (err)
        return err;
    rovei_node_call(rt->host.node, start, &c);
    if (c.err == ROVE_OK)
        *ret = c.migration;
    return c.err;
}

rove_err rove_runtime_start_migration_from(rove_runtime *rt, rove_daemon daemon,
                                           const rove_entity *source, const rove_entity *target,
                                           const rove_migration_options *options,
                                           rove_migration *ret)
{
    if (!rt || !source || !target || !ret)
        return ROVE_E_USAGE;
    return start_and_return(rt, daemon, source, target, options, ret);
}

rove_err rove_runtime_start_migration_with(rove_runtime *rt, rove_daemon daemon,
                                           const rove_entity *target,
                                           const rove_migration_options *options,
                                           rove_migration *ret)
{
    if (!rt || !target || !ret)
        return ROVE_E_USAGE;
    return start_and_return(rt, daemon, NULL, target, options, ret);
}

rove_err rove_runtime_start_migration_auto(rove_runtime *rt, rove_daemon daemon,
                                           const rove_migration_options *options,
                                           rove_migration *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    return start_and_return(rt, daemon, NULL, NULL, options, ret);
}

rove_err rove_runtime_start_migration(rove_runtime *rt, rove_daemon daemon,
                                      const rove_entity *target, rove_migration *ret)
{
    return rove_runtime_start_migration_with(rt, daemon, target, NULL, ret);
}

struct starting {
    rovei_pending pending;
    struct start_call call;
    rove_migration_fn *done;
    void *user;
};

static void start_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct starting *s = ROVEI_CONTAINER(task, struct starting, pending.task);
    start(&s->call, core, now);
    s->done(s->user, s->call.err, s->call.migration);
    rovei_pending_end(&s->pending);
}

static rove_err start_later(rove_runtime *rt, rove_daemon daemon, const rove_entity *source,
                            const rove_entity *target, const rove_migration_options *options,
                            rove_migration_fn *done, void *user)
{
    struct start_call call;
    struct starting *s;
    rove_err err = prepare_start(&rt->host, daemon, source, target, options, &call);
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&s, &rt->host.pendings);
    if (err)
        return err;
    s->call = call;
    s->done = done;
    s->user = user;
    rovei_pending_post(&s->pending, start_run);
    return ROVE_OK;
}

rove_err rove_runtime_start_migration_async(rove_runtime *rt, rove_daemon daemon,
                                            const rove_entity *target,
                                            const rove_migration_options *options,
                                            rove_migration_fn *done, void *user)
{
    if (!rt || !target || !done)
        return ROVE_E_USAGE;
    return start_later(rt, daemon, NULL, target, options, done, user);
}

rove_err rove_runtime_start_migration_auto_async(rove_runtime *rt, rove_daemon daemon,
                                                 const rove_migration_options *options,
                                                 rove_migration_fn *done, void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    return start_later(rt, daemon, NULL, NULL, options, done, user);
}

rove_err rove_runtime_start_migration_from_async(rove_runtime *rt, rove_daemon daemon,
                                                 const rove_entity *source,
                                                 const rove_entity *target,
                                                 const rove_migration_options *options,
                                                 rove_migration_fn *done, void *user)
{
    if (!rt || !source || !target || !done)
        return ROVE_E_USAGE;
    return start_later(rt, daemon, source, target, options, done, user);
}

/* ---- one move ---- */

rove_err rovei_migration_get(rovei_node *core, rovei_now now, const rove_migration *migration,
                             rove_migration_info *ret)
{
    rovei_attempt_id attempt = rovei_migration_attempt(*migration);
    rovei_move_info info;
    if (rovei_node_move_get(core, &attempt, &info) != ROVE_OK)
        return ROVE_E_GONE;
    *ret = rovei_migration_info(&info, now);
    return ROVE_OK;
}

struct move_call {
    rove_migration migration;
    rove_migration_info info;
    rove_err err;
};

static void get(void *arg, rovei_node *core, rovei_now now)
{
    struct move_call *c = arg;
    c->err = rovei_migration_get(core, now, &c->migration, &c->info);
}

rove_err rove_migration_get(rove_runtime *rt, rove_migration migration, rove_migration_info *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    struct move_call c = {.migration = migration};
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

struct getting {
    rovei_pending pending;
    struct move_call call;
    rove_migration_info_fn *done;
    void *user;
};

static void get_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct getting *g = ROVEI_CONTAINER(task, struct getting, pending.task);
    get(&g->call, core, now);
    g->done(g->user, g->call.err, &g->call.info);
    rovei_pending_end(&g->pending);
}

rove_err rove_migration_get_async(rove_runtime *rt, rove_migration migration,
                                  rove_migration_info_fn *done, void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct getting *g;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&g, &rt->host.pendings);
    if (err)
        return err;
    g->call.migration = migration;
    g->done = done;
    g->user = user;
    rovei_pending_post(&g->pending, get_run);
    return ROVE_OK;
}

/* ---- all that run ---- */

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
    c->count = 0;
    for (rovei_move_info info; rovei_node_move_next(core, &it, &info);) {
        if (info.outcome != ROVEI_OUTCOME_RUNNING)
            continue;
        if (c->count < c->room)
            c->ret[c->count] = rovei_migration_info(&info, now);
        c->count++;
        if ((info.local_source || info.ordered) && info.origin == c->origin)
            c->phase = (rove_phase)info.phase;
    }
}

size_t rove_runtime_moves(rove_runtime *rt, rove_migration_info *ret, size_t room)
{
    if (!rt || rovei_host_outside())
        return 0;
    struct moves_call c = {.ret = ret, .room = ret ? room : 0};
    rovei_node_call(rt->host.node, list_moves, &c);
    return c.count;
}

rove_phase rove_runtime_migration_phase(rove_runtime *rt, rove_daemon daemon)
{
    if (!rt || rovei_host_outside())
        return ROVE_PHASE_NONE;
    struct moves_call c = {.origin = daemon.origin};
    rovei_node_call(rt->host.node, list_moves, &c);
    return c.phase;
}

/* Either of the two with a completion. */
struct listing {
    rovei_pending pending;
    struct moves_call call;
    struct rovei_host *host;
    rove_moves_fn *listed;
    rove_phase_fn *found;
    void *user;
};

static void moves_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct listing *l = ROVEI_CONTAINER(task, struct listing, pending.task);
    const rove_alloc *a = l->host->alloc;
    rove_err err = ROVE_OK;
    list_moves(&l->call, core, now);
    size_t room = l->call.count;
    if (room) {
        l->call.ret = rovei_calloc(a, room, sizeof *l->call.ret);
        l->call.room = l->call.ret ? room : 0;
        err = l->call.ret ? ROVE_OK : ROVE_E_NOMEM;
        list_moves(&l->call, core, now);
    }
    l->listed(l->user, err, l->call.ret, l->call.room);
    if (l->call.ret)
        rovei_free(a, l->call.ret, room * sizeof *l->call.ret);
    rovei_pending_end(&l->pending);
}

static void phase_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct listing *l = ROVEI_CONTAINER(task, struct listing, pending.task);
    list_moves(&l->call, core, now);
    l->found(l->user, ROVE_OK, l->call.phase);
    rovei_pending_end(&l->pending);
}

static rove_err begin_listing(rove_runtime *rt, struct listing fields,
                              void (*run)(rovei_task *task, rovei_node *core, rovei_now now))
{
    if (!rt || (!fields.listed && !fields.found))
        return ROVE_E_USAGE;
    struct listing *l;
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&l, &rt->host.pendings);
    if (err)
        return err;
    fields.pending = l->pending;
    fields.host = &rt->host;
    *l = fields;
    rovei_pending_post(&l->pending, run);
    return ROVE_OK;
}

rove_err rove_runtime_moves_async(rove_runtime *rt, rove_moves_fn *done, void *user)
{
    return begin_listing(rt, (struct listing){.listed = done, .user = user}, moves_run);
}

rove_err rove_runtime_migration_phase_async(rove_runtime *rt, rove_daemon daemon,
                                            rove_phase_fn *done, void *user)
{
    return begin_listing(
        rt, (struct listing){.call.origin = daemon.origin, .found = done, .user = user}, phase_run);
}
