/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of daemons: what the core knows, and what the runtime counts. */
#include <compute/location.h>
#include <host/names.h>
#include <host/runtime.h>
#include <identity/entity.h>
#include <shell/control_job.h>
#include <string.h>

#define KEY_KEPT "moved without its identity: the key is still here"

typedef struct ps_row {
    rovei_daemon_info info;
    char kind[ROVE_KIND_NAME_MAX + 1];
    bool counted;
    bool key_kept; /* it left, and its key stayed here */
    rove_daemon_stats stats;
    rove_daemon_health health; /* where it is counted */
} ps_row;

static void count_work(job *j)
{
    for (size_t i = 0; i < j->row_count; i++) {
        ps_row *row = &j->rows[i];
        rove_daemon daemon = {rovei_entity_origin(&row->info.entity)};
        row->key_kept = row->info.state == ROVEI_DAEMON_MOVED &&
                        rovei_runtime_keeps_key(j->runtime, &row->info.entity);
        row->counted =
            (row->info.state == ROVEI_DAEMON_RUNNING || row->info.state == ROVEI_DAEMON_MOVING) &&
            rove_runtime_stats(j->runtime, daemon, &row->stats) == ROVE_OK &&
            rove_runtime_health(j->runtime, daemon, &row->health) == ROVE_OK;
    }
}

static json_object *u64_or_null(bool known, uint64_t v)
{
    return known ? control_u64(v) : NULL;
}

static void add_health(json_object *o, const ps_row *row)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    size_t at = (size_t)row->health.health;
    bool known = row->counted && at < sizeof names / sizeof names[0];
    control_add(o, "health", known ? control_text(names[at]) : NULL);
    control_add(o, "health_reason", control_text(known ? row->health.reason : NULL));
    control_add(o, "saturation",
                row->counted ? json_object_new_double(row->health.saturation) : NULL);
}

static json_object *describe(const ps_row *row, rovei_now now)
{
    const rovei_daemon_info *d = &row->info;
    bool here = d->state != ROVEI_DAEMON_MOVED;
    json_object *o = json_object_new_object();
    control_add(o, "origin", control_id(rovei_entity_origin(&d->entity)));
    control_add(o, "entity", control_hex(d->entity.bytes, sizeof d->entity.bytes));
    control_add(o, "kind", control_text(*row->kind ? row->kind : NULL));
    control_add(o, "state", control_text(rovei_daemon_state_name(d->state)));
    control_add(o, "node_id", control_id(rovei_entity_node_id(&d->holder)));
    control_add(o, "epoch", control_u64(d->epoch));
    control_add(o, "sequence", u64_or_null(row->counted, row->stats.sequence));
    control_add(o, "events", u64_or_null(row->counted, row->stats.events_processed));
    control_add(o, "lanes", u64_or_null(here, d->lanes));
    control_add(o, "subscriptions", u64_or_null(row->counted, row->stats.subscriptions));
    control_add(o, "attempt", d->in_move ? control_attempt(&d->attempt) : NULL);
    control_add(o, "counterpart",
                d->in_move ? control_id(rovei_entity_node_id(&d->counterpart)) : NULL);
    control_add(o, "age_s",
                d->in_move || d->state == ROVEI_DAEMON_ASIDE ? control_s(now.mono - d->since)
                                                             : NULL);
    control_add(o, "position", u64_or_null(d->in_move, d->position));
    add_health(o, row);
    control_add(o, "note", control_text(row->key_kept ? KEY_KEPT : d->note));
    return o;
}

static json_object *describe_outlet(const rovei_node *core, const rove_entity *daemon)
{
    rovei_outlet_info info;
    if (!rovei_node_outlet(core, daemon, &info))
        return NULL;
    json_object *o = json_object_new_object();
    control_add(o, "channel", control_text(info.channel));
    control_add(o, "events", control_u64(info.published));
    control_add(o, "unpublished", control_u64(info.unpublished));
    control_add(o, "reason", info.reason ? control_text(rove_strerror(info.reason)) : NULL);
    return o;
}

static void ps_finish(job *j, rovei_node *core, rovei_now now)
{
    connection *c = j->connection;
    for (size_t i = 0; !c->closing && i < j->row_count; i++) {
        json_object *o = describe(&j->rows[i], now);
        control_add(o, "feeds", control_feeds(core, &j->rows[i].info.entity));
        control_add(o, "publishes", describe_outlet(core, &j->rows[i].info.entity));
        uint64_t first = j->rows[i].info.first_applied;
        if (j->detail) {
            control_add(o, "first_applied", u64_or_null(first != 0, first));
            control_add(o, "widest_gap", control_u64(j->rows[i].info.widest_gap));
        }
        control_say(c, o);
    }
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

static void ps_drop(job *j)
{
    rovei_free(j->control->alloc, j->rows, j->row_room * sizeof *j->rows);
}

/* All daemons, or the one that is asked for. */
static rove_err collect(job *j, rovei_node *core, const rove_entity *only)
{
    rovei_daemon_info info;
    for (size_t it = 0; rovei_node_daemon_next(core, &it, &info);) {
        if (only && !rovei_entity_equal(only, &info.entity))
            continue;
        void *rows = j->rows;
        rove_err err = rovei_grow(j->control->alloc, &rows, &j->row_room, j->row_count,
                                  sizeof *j->rows, SIZE_MAX / sizeof *j->rows);
        j->rows = rows;
        if (err)
            return err;
        ps_row *row = &j->rows[j->row_count++];
        memset(row, 0, sizeof *row);
        row->info = info;
        /* The names are the core's, and may be gone by the time they are printed. */
        size_t size = info.kind ? strnlen(info.kind, ROVE_KIND_NAME_MAX) : 0;
        memcpy(row->kind, info.kind ? info.kind : "", size);
    }
    return ROVE_OK;
}

void control_where(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rove_entity entity;
    (void)now;
    if (!control_daemon(c, core, request, &entity))
        return;
    const rovei_location *at = rovei_location_get(core, &entity);
    json_object *o = json_object_new_object();
    control_add(o, "entity", control_hex(entity.bytes, sizeof entity.bytes));
    control_add(o, "epoch", at ? control_u64(at->record.epoch) : NULL);
    control_add(o, "node_id", at ? control_id(rovei_entity_node_id(&at->record.holder)) : NULL);
    control_add(o, "stopped", json_object_new_boolean(at && at->stopped));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

void control_ps(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    rove_entity only;
    bool one = control_field(request, "daemon") != NULL;
    if (one && !control_daemon(c, core, request, &only))
        return;
    job *j = control_job_new(c);
    if (!j)
        return;
    j->work = count_work;
    j->finish = ps_finish;
    j->drop = ps_drop;
    j->detail = control_flag(request, "detail");
    rove_err err = collect(j, core, one ? &only : NULL);
    if (err) {
        control_job_free(j);
        control_end_err(c, err);
        return;
    }
    control_job_start(j);
}
