/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests about daemons that the runtime answers: spawn, stop, expect. */
#include <base/text.h>
#include <channel/name.h>
#include <crypto/crypto.h>
#include <errno.h>
#include <identity/entity.h>
#include <shell/control_load.h>
#include <shell/files.h>
#include <string.h>
#include <time.h>

#define NO_KIND                                                                                    \
    "this node has no such kind: rove kinds lists those that it has, rove node --load KIND.so "    \
    "adds one"

/* ---- spawn ---- */

static void spawn_work(job *j)
{
    rove_identity *identity = NULL;
    rove_spawn_options options;
    rove_spawn_options_init(&options);
    options.force = j->force;
    options.output_channel = *j->channel ? j->channel : NULL;
    if (j->has_seed)
        j->err = rove_identity_from_seed(&identity, j->node, j->seed);
    rovei_wipe(j->seed, sizeof j->seed);
    if (!j->err && j->load)
        j->err = control_load_snapshot(j->load, &j->snapshot);
    if (!j->err && j->snapshot && !identity)
        j->err = rove_identity_unseal(&identity, j->node, j->snapshot);
    if (!j->err && j->snapshot)
        j->err = rove_runtime_spawn_from_snapshot(j->runtime, j->kind, identity, j->snapshot,
                                                  &options, &j->daemon, &j->failure);
    else if (!j->err && j->anywhere)
        j->err = rove_runtime_spawn_anywhere(j->runtime, j->kind, identity, &options, &j->spawned);
    else if (!j->err)
        j->err = rove_runtime_spawn(j->runtime, j->kind, identity, &options, &j->daemon);
    rove_identity_free(identity);
    if (!j->err && !j->anywhere)
        j->err = rove_runtime_entity(j->runtime, j->daemon, &j->entity);
}

static void spawn_drop(job *j)
{
    control_load_free(j->load);
    rove_snapshot_unref(j->snapshot);
    rove_detail_fini(&j->failure);
}

/* What the node that was chosen said, or that there is none. */
static const char *anywhere_trouble(rove_err err)
{
    switch ((int)err) {
    case ROVE_E_NO_CANDIDATE:
        return "no node that can be reached has what the kind requires and takes it in: rove nodes "
               "--where rove:kind:KIND lists those that do";
    case ROVE_E_SPAWN_UNKNOWN:
        return "the other node has not answered: whether the daemon was spawned there is not known "
               "(see rove ps there)";
    case ROVE_E_LIVES_ELSEWHERE:
    case ROVE_E_EXISTS:
        return "this identity is known to live, or to have lived, on a node already: use that one, "
               "or --force when it is gone for good";
    case ROVE_E_KIND_UNKNOWN:
        return "the node that was chosen does not have the kind any more: again in a moment";
    case ROVE_E_REFUSED:
        return "the node that was chosen refuses to spawn for this one";
    default:
        return rove_strerror(err);
    }
}

static void anywhere_finish(job *j, rovei_node *core, rovei_now now)
{
    connection *c = j->connection;
    const rove_spawned *s = &j->spawned;
    (void)core;
    (void)now;
    if (j->err) {
        control_end(c, j->err, anywhere_trouble(j->err));
        return;
    }
    json_object *o = json_object_new_object();
    control_add(o, "origin", control_id(rovei_entity_origin(&s->daemon)));
    control_add(o, "entity", control_hex(s->daemon.bytes, sizeof s->daemon.bytes));
    control_add(o, "kind", control_text(j->kind));
    control_add(o, "epoch", control_u64(s->epoch));
    control_add(o, "node_id", control_id(rovei_entity_node_id(&s->where.node)));
    control_add(o, "reason", control_text(rove_place_reason_name(s->where.reason)));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

static void spawn_finish(job *j, rovei_node *core, rovei_now now)
{
    (void)now;
    connection *c = j->connection;
    rovei_daemon_info info = {0};
    if (j->err == ROVE_E_KIND_UNKNOWN)
        control_end(c, j->err, NO_KIND);
    else if (j->err == ROVE_E_LIVES_ELSEWHERE)
        control_end(c, j->err,
                    "this identity is known to live, or to have lived, on a node already: use "
                    "that one, or --force when it is gone for good");
    else if (j->err == ROVE_E_EXISTS)
        control_end(
            c, j->err,
            "the daemon of this identity is here already, or is expected here: see rove ps");
    else if (j->err)
        control_load_end(c, j->err, j);
    if (j->err)
        return;
    json_object *o = json_object_new_object();
    if (rovei_node_daemon_get(core, &j->entity, &info))
        info = (rovei_daemon_info){0};
    control_add(o, "origin", control_id(j->daemon.origin));
    control_add(o, "entity", control_hex(j->entity.bytes, sizeof j->entity.bytes));
    control_add(o, "kind", control_text(j->kind));
    control_add(o, "epoch", control_u64(info.epoch));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

/* The name of a kind that a request carries; ends the request when there is none. */
static const char *kind_of(connection *c, json_object *request)
{
    const char *kind = control_field(request, "kind");
    if (kind && *kind && strlen(kind) <= ROVE_KIND_NAME_MAX)
        return kind;
    control_end(c, ROVE_E_KIND_UNKNOWN, "a kind has a name of 1 to 64 characters");
    return NULL;
}

void control_spawn(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    const char *kind = kind_of(c, request);
    const char *channel = control_field(request, "publish");
    rove_err err = channel ? rovei_channel_name_check(rovei_span_of(channel)) : ROVE_OK;
    if (kind && err)
        control_end(c, err, "the outputs' channel: not a name that a channel can have");
    job *j = kind && !err ? control_job_new(c) : NULL;
    if (!j)
        return;
    memcpy(j->kind, kind, strlen(kind) + 1);
    if (channel)
        memcpy(j->channel, channel, strlen(channel) + 1);
    memcpy(j->seed, c->seed, sizeof j->seed);
    j->has_seed = c->has_seed;
    j->force = control_flag(request, "force");
    rovei_wipe(c->seed, sizeof c->seed);
    c->has_seed = false;
    j->work = spawn_work;
    j->anywhere = control_flag(request, "anywhere");
    j->finish = j->anywhere ? anywhere_finish : spawn_finish;
    j->drop = spawn_drop;
    const char *format = control_field(request, "from");
    if (format && j->anywhere) {
        control_end(c, ROVE_E_USAGE, "what is brought back from a snapshot is spawned here");
        control_job_free(j);
    } else if (!format)
        control_job_start(j);
    else if (!control_load_begin(c, request, format, j))
        control_job_free(j);
}

/* ---- stop ---- */

/* Waits until a move has gone on since `seen`. False at the deadline. */
static bool wait_move(rovei_control *control, uint64_t seen, uint64_t deadline)
{
    struct timespec t = {.tv_sec = (time_t)(deadline / ROVE_SECOND),
                         .tv_nsec = (long)(deadline % ROVE_SECOND)};
    bool timed_out = false;
    pthread_mutex_lock(&control->lock);
    while (control->moves == seen && !control->ending && !timed_out)
        timed_out = pthread_cond_timedwait(&control->moved, &control->lock, &t) == ETIMEDOUT;
    bool again = control->moves != seen && !control->ending;
    pthread_mutex_unlock(&control->lock);
    return again;
}

/* A daemon that has just come cannot be stopped before its former host has said Closed. */
static void stop_work(job *j)
{
    uint64_t deadline = rovei_time_add(rovei_clock_now().mono, j->timeout), seen;
    do {
        pthread_mutex_lock(&j->control->lock);
        seen = j->control->moves;
        pthread_mutex_unlock(&j->control->lock);
        j->err = rove_runtime_stop(j->runtime, j->daemon);
    } while (j->err == ROVE_E_MOVE_NOT_CLOSED && wait_move(j->control, seen, deadline));
}

/* Ends a request about a daemon well, with the daemon's origin and, where it has one, the kind. */
static void end_with_origin(connection *c, uint64_t origin, const char *kind)
{
    json_object *o = json_object_new_object();
    control_add(o, "origin", control_id(origin));
    if (kind)
        control_add(o, "kind", control_text(kind));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

static void stop_finish(job *j, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    if (j->err == ROVE_E_MOVED)
        control_end(j->connection, j->err,
                    "the daemon lives on another node: stop it there (see rove ps)");
    else if (j->err == ROVE_E_NOT_FOUND)
        control_end(j->connection, j->err, "this node has no such daemon: see rove ps");
    else if (j->err == ROVE_E_ALREADY_MIGRATING)
        control_end(j->connection, j->err,
                    "the daemon is moving: wait for its end (see rove moves), or rove cancel");
    else if (j->err)
        control_end_err(j->connection, j->err);
    else
        end_with_origin(j->connection, j->daemon.origin, NULL);
}

void control_stop(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    rove_entity entity;
    if (!control_daemon(c, core, request, &entity))
        return;
    job *j = control_job_new(c);
    if (!j)
        return;
    j->daemon.origin = rovei_entity_origin(&entity);
    j->timeout = rovei_node_env(c->control->node)->limits.move_stall;
    j->work = stop_work;
    j->finish = stop_finish;
    control_job_start(j);
}

/* ---- expect ---- */

/* The origin that a request names; the daemon need not be known here. */
static bool origin_of(connection *c, json_object *request, uint64_t *ret)
{
    const char *name = control_field(request, "daemon");
    rove_entity entity;
    if (name && rovei_hex_decode(name, strlen(name), entity.bytes, sizeof entity.bytes)) {
        *ret = rovei_entity_origin(&entity);
        return true;
    }
    if (name && control_parse_id(name, ret))
        return true;
    control_end(c, ROVE_E_USAGE, "the daemon is neither an entity nor an origin hash");
    return false;
}

/* With the key that this node is to have for a daemon that comes without it. */
static rove_err expect_with_key(connection *c, const char *kind, uint64_t origin)
{
    rove_identity *identity;
    rove_err err = rove_identity_from_seed(&identity, c->control->node, c->seed);
    rovei_wipe(c->seed, sizeof c->seed);
    c->has_seed = false;
    if (err)
        return err;
    err = rove_identity_origin(identity) == origin
              ? rove_runtime_register_migration_target_identity(c->control->runtime, kind, identity)
              : ROVE_E_ORIGIN_MISMATCH;
    rove_identity_free(identity);
    return err;
}

void control_expect(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    uint64_t origin;
    const char *kind = kind_of(c, request);
    if (!kind || !origin_of(c, request, &origin))
        return;
    rove_err err = c->has_seed
                       ? expect_with_key(c, kind, origin)
                       : rove_runtime_expect_migration(c->control->runtime, kind, origin, NULL);
    if (err == ROVE_E_KIND_UNKNOWN)
        control_end(c, err, NO_KIND);
    else if (err == ROVE_E_ORIGIN_MISMATCH)
        control_end(c, err, "that identity is another daemon's: rove id show prints its origin");
    else if (err == ROVE_E_EXISTS)
        control_end(c, err, "the daemon is here, or is expected already");
    else if (err)
        control_end_err(c, err);
    else
        end_with_origin(c, origin, kind);
}

void control_unexpect(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    uint64_t origin;
    if (!origin_of(c, request, &origin))
        return;
    rove_err err = rove_runtime_withdraw_expectation(c->control->runtime, origin);
    if (err == ROVE_E_NOT_FOUND)
        control_end(c, err, "this node does not expect that daemon");
    else if (err == ROVE_E_EXISTS)
        control_end(c, err, "the daemon is here: rove stop ends it");
    else if (err)
        control_end_err(c, err);
    else
        end_with_origin(c, origin, NULL);
}
