/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of the daemons here: the tables that find them, the role that this node has for each
 * and who may follow whom, and what happens when somebody else turns out to hold the right. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <channel/outlet.h>
#include <node/core.h>
#include <string.h>

/* Keys in the table of cells for daemons that have no cell: apart from all numbers of cells. */
#define NO_CELL      (UINT64_C(1) << 63)
#define RETRY_MEMORY (10 * ROVE_MILLISECOND)

#define BIT(role) (1u << ROVEI_ROLE_##role)
/* Row: present role; bits: those that may follow. A record goes away from any of them. */
static const unsigned follows[] = {
    [ROVEI_ROLE_CLAIMING] = BIT(SERVING),
    [ROVEI_ROLE_SERVING] = BIT(FREEZING) | BIT(ASIDE),
    [ROVEI_ROLE_FREEZING] = BIT(FROZEN) | BIT(SERVING) | BIT(ASIDE),
    [ROVEI_ROLE_FROZEN] = BIT(SERVING) | BIT(COMMITTING) | BIT(ASIDE),
    [ROVEI_ROLE_COMMITTING] = BIT(COMMITTED) | BIT(ASIDE),
    [ROVEI_ROLE_COMMITTED] = BIT(ASIDE),
    [ROVEI_ROLE_RECEIVING] = BIT(RESTORING),
    [ROVEI_ROLE_RESTORING] = BIT(PREPARED) | BIT(RECEIVING),
    [ROVEI_ROLE_PREPARED] = BIT(ACTIVATING) | BIT(RECEIVING),
    [ROVEI_ROLE_ACTIVATING] = BIT(SERVING) | BIT(ASIDE),
    [ROVEI_ROLE_ASIDE] = 0,
};

static bool may_follow(rovei_role from, rovei_role to)
{
    if (follows[from] & (1u << to))
        return true;
    if (ROVEI_MUTANT(SERVE_BEFORE_COMMIT))
        return from >= ROVEI_ROLE_RECEIVING && from < ROVEI_ROLE_ASIDE;
    if (ROVEI_MUTANT(RESUME_AFTER_COMMIT))
        return from == ROVEI_ROLE_COMMITTING || from == ROVEI_ROLE_COMMITTED;
    return false;
}

/* ---- tables ---- */

rovei_daemon *rovei_daemon_find(const rovei_node *n, const rove_entity *entity)
{
    return rovei_map_get(&n->daemons, entity->bytes);
}

rovei_daemon *rovei_daemon_by_origin(const rovei_node *n, uint64_t origin)
{
    return rovei_map_get(&n->origins, &origin);
}

rovei_daemon *rovei_daemon_by_cell(const rovei_node *n, uint64_t cell)
{
    return cell && cell < NO_CELL ? rovei_map_get(&n->cells, &cell) : NULL;
}

static void fire(rovei_timer *timer, void *user, rovei_now now);

static rove_err add_to_tables(rovei_node *n, rovei_daemon *d)
{
    uint64_t origin = rovei_entity_origin(&d->entity);
    rove_err err = rovei_map_put(&n->daemons, d->entity.bytes, d);
    if (err)
        return err;
    err = rovei_map_put(&n->origins, &origin, d);
    if (!err) {
        err = rovei_map_put(&n->cells, &d->cell_key, d);
        if (!err)
            return ROVE_OK;
        rovei_map_remove(&n->origins, &origin);
    }
    rovei_map_remove(&n->daemons, d->entity.bytes);
    return err;
}

static void daemon_free(rovei_node *n, rovei_daemon *d)
{
    rovei_feeds_leave(d, (rovei_now){0});
    rovei_outlet_free(d);
    rovei_spawn_free(n, d->claim);
    rovei_lanes_free(d->lanes);
    rovei_timers_release(&n->timers, &d->renew);
    rovei_keypair_unref(d->key);
    rovei_free(n->alloc, d->kind, strlen(d->kind) + 1);
    ROVEI_DELETE(n->alloc, d);
}

rove_err rovei_daemon_add(rovei_node *n, rovei_now now, const rove_entity *entity, const char *kind,
                          rovei_keypair *key, rovei_role role, rovei_daemon **ret)
{
    uint64_t origin = rovei_entity_origin(entity);
    if (rovei_daemon_find(n, entity))
        return ROVE_E_EXISTS;
    if (rovei_map_get(&n->origins, &origin))
        return ROVE_E_ORIGIN_TAKEN;
    if (n->daemons.count >= n->env->limits.daemons_max)
        return ROVE_E_FULL;
    size_t size = strlen(kind) + 1;
    if (size > ROVEI_KIND_ROOM)
        return ROVE_E_USAGE;
    rovei_daemon *d = ROVEI_NEW(n->alloc, rovei_daemon);
    if (!d)
        return ROVE_E_NOMEM;
    d->kind = rovei_alloc(n->alloc, size);
    if (!d->kind) {
        ROVEI_DELETE(n->alloc, d);
        return ROVE_E_NOMEM;
    }
    memcpy(d->kind, kind, size);
    d->entity = *entity;
    d->key = key ? rovei_keypair_ref(key) : NULL;
    d->role = role;
    d->role_since = now.mono;
    d->cell_key = NO_CELL | rovei_node_number(n);
    d->node = n;
    rovei_list_init(&d->feeds);
    /* One that comes from elsewhere brings lanes. */
    rove_err err = role == ROVEI_ROLE_CLAIMING ? ROVE_OK : rovei_lanes_make(n, d);
    if (!err)
        err = rovei_timers_reserve(&n->timers, &d->renew, fire, d);
    if (!err)
        err = add_to_tables(n, d);
    if (err) {
        daemon_free(n, d);
        return err;
    }
    *ret = d;
    return ROVE_OK;
}

void rovei_daemon_remove(rovei_node *n, rovei_daemon *d, rove_err err)
{
    if (rovei_daemon_moves(d))
        rovei_moves_detach(n, (rovei_now){0}, d, err);
    if (d->claim)
        rovei_spawn_note(n, d, err);
    if (d->cell) {
        /* Out of memory: the outside keeps a cell that nothing leads to any more. */
        rovei_effect *e = rovei_node_effect(n, ROVEI_EFFECT_FORGET);
        if (e) {
            e->cell = d->cell;
            e->daemon = d->entity;
            e->err = err;
        }
    }
    uint64_t origin = rovei_entity_origin(&d->entity);
    rovei_map_remove(&n->daemons, d->entity.bytes);
    rovei_map_remove(&n->origins, &origin);
    rovei_map_remove(&n->cells, &d->cell_key);
    daemon_free(n, d);
}

void rovei_daemon_set_cell(rovei_node *n, rovei_daemon *d, uint64_t cell)
{
    ROVEI_CHECK(cell < NO_CELL);
    uint64_t key = cell ? cell : NO_CELL | rovei_node_number(n);
    rovei_map_remove(&n->cells, &d->cell_key);
    /* The place just given up is free, so this cannot need memory. */
    rove_err err = rovei_map_put(&n->cells, &key, d);
    ROVEI_CHECK(err == ROVE_OK);
    d->cell = cell;
    d->cell_key = key;
}

void rovei_daemons_free_all(rovei_node *n)
{
    size_t it = 0;
    for (rovei_daemon *d; (d = rovei_map_next(&n->daemons, &it)); it = 0) {
        d->cell = 0;
        rovei_daemon_remove(n, d, ROVE_E_SHUTTING_DOWN);
    }
}

/* ---- roles ---- */

void rovei_daemon_set_role(rovei_node *n, rovei_now now, rovei_daemon *d, rovei_role role)
{
    (void)n;
    if (d->role == role)
        return;
    ROVEI_CHECK(may_follow(d->role, role));
    d->role = role;
    d->role_since = now.mono;
}

void rovei_daemon_raise_sinc(const rovei_node *n, rovei_daemon *d, uint64_t forced_number)
{
    d->sinc.number = forced_number ? forced_number : d->sinc.number + 1;
    do
        d->sinc.random = rovei_rng_u64(&n->env->rng);
    while (!d->sinc.random);
}

static void renew_later(rovei_node *n, rovei_now now, rovei_daemon *d, uint64_t wait)
{
    rovei_timer_set(&n->timers, &d->renew, rovei_time_add(now.mono, wait));
}

static rove_err publish(rovei_node *n, rovei_now now, rovei_daemon *d)
{
    rovei_record record;
    rove_err err = rovei_record_own(n, now, d->key, d->epoch, d->forced, &record);
    if (!err)
        err = rovei_location_learn(n, now, &record, &n->self);
    return err;
}

rove_err rovei_daemon_serve(rovei_node *n, rovei_now now, rovei_daemon *d)
{
    rove_err err = publish(n, now, d);
    if (err)
        return err;
    rovei_daemon_set_role(n, now, d, ROVEI_ROLE_SERVING);
    renew_later(n, now, d, n->env->limits.record_life / 2);
    rovei_outlet_open(d, now);
    rovei_lanes_serve(d->lanes, now);
    rovei_feeds_serve(d, now);
    return ROVE_OK;
}

rove_err rovei_daemon_outbid(rovei_node *n, rovei_now now, rovei_daemon *d, uint64_t epoch)
{
    const uint64_t before = d->epoch;
    const bool forced = d->forced;
    if (epoch > ROVEI_EPOCH_MAX - ROVEI_EPOCH_FORCED)
        return ROVE_E_BOUND;
    d->epoch = epoch + ROVEI_EPOCH_FORCED;
    d->forced = true;
    rove_err err = publish(n, now, d);
    if (err) {
        d->epoch = before;
        d->forced = forced;
    }
    return err;
}

static void tell_aside(rovei_node *n, rovei_now now, rovei_daemon *d)
{
    rovei_effect *e = d->cell ? rovei_node_effect(n, ROVEI_EFFECT_ASIDE) : NULL;
    d->aside_owed = d->cell && !e;
    if (e) {
        e->cell = d->cell;
        e->daemon = d->entity;
        e->err = ROVE_E_SUPERSEDED;
    }
    rovei_timer_set(&n->timers, &d->renew,
                    d->aside_owed ? rovei_time_add(now.mono, RETRY_MEMORY) : ROVE_TIME_NEVER);
}

static void fire(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_daemon *d = user;
    rovei_node *n = d->node;
    (void)timer;
    if (d->aside_owed) {
        tell_aside(n, now, d);
        return;
    }
    /* While it is on its way to somebody else the record stays as it is; an abort goes on here. */
    bool later = rovei_daemon_serves(d) && publish(n, now, d) != ROVE_OK;
    if (d->role <= ROVEI_ROLE_FROZEN)
        renew_later(n, now, d, later ? ROVE_SECOND : n->env->limits.record_life / 2);
}

void rovei_daemon_superseded(rovei_node *n, rovei_now now, rovei_daemon *d,
                             const rovei_record *higher)
{
    if (d->role == ROVEI_ROLE_ASIDE || rovei_moves_arrived(now, d, &higher->holder))
        return;
    if (rovei_daemon_moves(d))
        rovei_moves_detach(n, now, d, ROVE_E_SUPERSEDED);
    if (d->role == ROVEI_ROLE_RECEIVING || d->role == ROVEI_ROLE_RESTORING ||
        d->role == ROVEI_ROLE_PREPARED) {
        rovei_daemon_remove(n, d, ROVE_E_SUPERSEDED);
        return;
    }
    rovei_lanes_depart(d->lanes, now, higher);
    rovei_feeds_leave(d, now);
    rovei_daemon_set_role(n, now, d, ROVEI_ROLE_ASIDE);
    d->note = "superseded: another node has a higher right; this copy is kept aside";
    tell_aside(n, now, d);
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_ASIDE);
    if (note) {
        note->daemon = d->entity;
        note->peer = higher->holder;
        note->value = higher->epoch;
    }
}

/* ---- commands ---- */

rove_err rovei_node_stop(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (!d || d->role == ROVEI_ROLE_CLAIMING)
        return ROVE_E_NOT_FOUND;
    /* The source would take a target that forgot the attempt for one that lost the state. */
    if (d->role == ROVEI_ROLE_SERVING && !d->source && d->target)
        return ROVE_E_MOVE_NOT_CLOSED;
    if (d->role != ROVEI_ROLE_ASIDE && (d->role != ROVEI_ROLE_SERVING || rovei_daemon_moves(d)))
        return ROVE_E_ALREADY_MIGRATING;
    rovei_effect *e = rovei_node_effect(n, ROVEI_EFFECT_FORGET);
    if (!e)
        return ROVE_E_NOMEM;
    e->cell = d->cell;
    e->daemon = d->entity;
    e->err = ROVE_E_STOPPED;
    rovei_daemon_set_cell(n, d, 0);
    if (d->role == ROVEI_ROLE_SERVING) {
        rovei_location_mark(n, now, daemon, true, false, d->kind);
        rovei_lanes_stop(d->lanes, now);
    }
    rovei_feeds_leave(d, now);
    rovei_daemon_remove(n, d, ROVE_E_STOPPED);
    return ROVE_OK;
}

/* ---- questions about daemons ---- */

static rovei_daemon_state state_of(const rovei_daemon *d)
{
    switch (d->role) {
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_SERVING:
        return d->source || d->net_source ? ROVEI_DAEMON_MOVING : ROVEI_DAEMON_RUNNING;
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
        return ROVEI_DAEMON_MOVING;
    case ROVEI_ROLE_COMMITTED:
        return ROVEI_DAEMON_COMMITTED;
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
        return ROVEI_DAEMON_RECEIVING;
    case ROVEI_ROLE_PREPARED:
    case ROVEI_ROLE_ACTIVATING:
        return ROVEI_DAEMON_PREPARED;
    case ROVEI_ROLE_ASIDE:
        break;
    }
    return ROVEI_DAEMON_ASIDE;
}

/* The running attempt that a daemon is part of, found among all. */
static void fill_move(const rovei_node *n, const rovei_daemon *d, rovei_daemon_info *info)
{
    rovei_move_info move;
    size_t it = 0;
    while (rovei_node_move_next(n, &it, &move)) {
        bool running = move.outcome == ROVEI_OUTCOME_RUNNING;
        if (move.ordered && !rovei_entity_equal(&move.target, &n->self))
            continue;
        if (!rovei_entity_equal(&move.daemon, &d->entity) || (!running && info->in_move) ||
            (!running && move.local_source != (d->source || d->net_source)))
            continue;
        info->in_move = true;
        info->attempt = move.attempt;
        info->counterpart = move.local_source ? move.target : move.source;
        info->position = move.bytes;
        if (running && move.local_source && d->role == ROVEI_ROLE_SERVING)
            info->since = move.begun; /* not frozen yet, but moving */
        if (running)
            return;
    }
}

static void fill_info(const rovei_node *n, const rovei_daemon *d, rovei_daemon_info *ret)
{
    const rovei_location *at = rovei_location_get(n, &d->entity);
    bool gone = d->role == ROVEI_ROLE_COMMITTED || d->role == ROVEI_ROLE_ASIDE;
    memset(ret, 0, sizeof *ret);
    ret->entity = d->entity;
    ret->kind = d->kind;
    ret->state = state_of(d);
    ret->holder = gone && at ? at->record.holder : n->self;
    ret->cell = d->cell;
    ret->epoch = d->epoch;
    ret->sinc = d->sinc;
    ret->lanes = rovei_lanes_count(d->lanes);
    ret->since = d->role_since;
    ret->note = d->note;
    ret->first_applied = rovei_lanes_pace(d->lanes).first;
    ret->widest_gap = rovei_lanes_pace(d->lanes).widest_gap;
    if (rovei_daemon_moves(d))
        fill_move(n, d, ret);
}

static void fill_moved(const rovei_location *at, rovei_daemon_info *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->entity = at->record.daemon;
    ret->kind = at->kind;
    ret->state = ROVEI_DAEMON_MOVED;
    ret->holder = at->record.holder;
    ret->epoch = at->record.epoch;
    ret->since = at->since;
    if (rovei_entity_is_net(&at->record.holder))
        ret->note = "on a node of class net: no lane goes there";
}

#define IN_LOCATIONS (SIZE_MAX / 2 + 1)

bool rovei_node_daemon_next(const rovei_node *n, size_t *it, rovei_daemon_info *ret)
{
    while (!(*it & IN_LOCATIONS)) {
        const rovei_daemon *d = rovei_map_next(&n->daemons, it);
        if (d && d->role != ROVEI_ROLE_CLAIMING) {
            fill_info(n, d, ret);
            return true;
        }
        if (!d)
            *it = IN_LOCATIONS;
    }
    size_t place = *it & ~IN_LOCATIONS;
    rovei_location at;
    while (rovei_location_next(n, &place, &at)) {
        *it = place | IN_LOCATIONS;
        if (at.tombstone && !rovei_daemon_find(n, &at.record.daemon)) {
            fill_moved(&at, ret);
            return true;
        }
    }
    return false;
}

rove_err rovei_node_daemon_get(const rovei_node *n, const rove_entity *daemon,
                               rovei_daemon_info *ret)
{
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (d && d->role != ROVEI_ROLE_CLAIMING) {
        fill_info(n, d, ret);
        return ROVE_OK;
    }
    const rovei_location *at = rovei_location_get(n, daemon);
    if (d || !at || !at->tombstone)
        return ROVE_E_NOT_FOUND;
    fill_moved(at, ret);
    return ROVE_OK;
}

/* ---- invariants ---- */

static void check_one(const rovei_node *n, const rovei_daemon *d)
{
    uint64_t origin = rovei_entity_origin(&d->entity);
    ROVEI_CHECK(rovei_map_get(&n->origins, &origin) == d);
    ROVEI_CHECK(rovei_map_get(&n->cells, &d->cell_key) == d);
    ROVEI_CHECK(d->cell_key == d->cell || (!d->cell && d->cell_key >= NO_CELL));
    ROVEI_CHECK((d->role == ROVEI_ROLE_CLAIMING) == (d->claim != NULL));
    if (rovei_daemon_serves(d)) {
        const rovei_location *at = rovei_location_get(n, &d->entity);
        ROVEI_CHECK(d->cell && d->key && d->epoch && d->sinc.number);
        ROVEI_CHECK(at && !at->stopped);
        if (!ROVEI_MUTANT(SERVE_BEFORE_COMMIT) && !ROVEI_MUTANT(REDIRECT_IGNORES_EPOCH) &&
            !ROVEI_MUTANT(RESUME_AFTER_COMMIT))
            ROVEI_CHECK(at->record.epoch == d->epoch &&
                        rovei_entity_equal(&at->record.holder, &n->self));
    }
}

void rovei_daemons_check(const rovei_node *n)
{
    size_t it = 0, count = 0;
    for (const rovei_daemon *d; (d = rovei_map_next(&n->daemons, &it)); count++)
        check_one(n, d);
    ROVEI_CHECK(count == n->origins.count && count == n->cells.count);
}
