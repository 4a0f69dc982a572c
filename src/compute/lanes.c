/* SPDX-License-Identifier: Apache-2.0
 *
 * The host half of lanes: the set that belongs to a daemon, and what happens to it when the daemon
 * is frozen, served, given away or stopped. */
#include <base/alloc.h>
#include <base/check.h>
#include <channel/feeds.h>
#include <compute/lanes_inside.h>
#include <string.h>

/* An idle lane is forgotten at most this fraction of its expiry late. */
#define SWEEPS_PER_EXPIRY 8
/* The part of a daemon's lanes that may be closed ones of the same sender. */
#define CLOSED_SHARE 4

typedef struct lane_key {
    uint8_t bytes[41];
} lane_key;

static lane_key key_of(const rove_entity *sender, uint64_t number, bool feed)
{
    lane_key k;
    memcpy(k.bytes, sender->bytes, 32);
    rovei_store64(k.bytes + 32, number);
    k.bytes[40] = feed; /* nobody reaches a feed by a frame of a lane */
    return k;
}

/* ---- one lane ---- */

rovei_lane *rovei_lane_find(const struct rovei_lanes *l, const rove_entity *sender, uint64_t number)
{
    lane_key k = key_of(sender, number, false);
    return rovei_map_get(&l->by_key, k.bytes);
}

rovei_lane *rovei_lane_find_feed(const struct rovei_lanes *l, const rove_entity *publisher,
                                 uint64_t number)
{
    lane_key k = key_of(publisher, number, true);
    return rovei_map_get(&l->by_key, k.bytes);
}

static rovei_lane_owner *owner_get(struct rovei_lanes *l, const rove_entity *sender)
{
    rovei_lane_owner *o = rovei_map_get(&l->owners, sender->bytes);
    if (o)
        return o;
    o = ROVEI_NEW(l->node->alloc, rovei_lane_owner);
    if (!o)
        return NULL;
    o->entity = *sender;
    o->origin = rovei_entity_origin(sender);
    if (rovei_map_put(&l->owners, sender->bytes, o)) {
        ROVEI_DELETE(l->node->alloc, o);
        return NULL;
    }
    return o;
}

static void owner_release(struct rovei_lanes *l, rovei_lane_owner *o)
{
    if (o->lanes)
        return;
    rovei_map_remove(&l->owners, o->entity.bytes);
    ROVEI_DELETE(l->node->alloc, o);
}

static rove_err lane_index(struct rovei_lanes *l, rovei_lane *lane, const lane_key *k)
{
    rove_err err = rovei_map_put(&l->by_key, k->bytes, lane);
    if (err)
        return err;
    err = rovei_map_put(&l->by_ticket, &lane->ticket, lane);
    if (err)
        rovei_map_remove(&l->by_key, k->bytes);
    return err;
}

/* One that counts among its sender's. */
static bool counts_open(const rovei_lane *lane)
{
    return !lane->feed && lane->state != ROVEI_LANE_IS_CLOSED;
}

static rove_err lane_new(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                         const rove_entity *sender, uint64_t number, bool closed, bool feed)
{
    const rove_limits *limits = &l->node->env->limits;
    lane_key k = key_of(sender, number, feed);
    if (feed ? l->feeds >= 2 * limits->daemon_subscriptions
             : l->by_key.count - l->feeds >= limits->lanes_per_daemon)
        return ROVE_E_LANE_LIMIT;
    rovei_lane_owner *o = owner_get(l, sender);
    if (!o)
        return ROVE_E_NOMEM;
    rove_err err = ROVE_OK;
    rovei_lane *lane = NULL;
    if (!closed && !feed && o->open >= limits->lanes_per_sender)
        err = ROVE_E_LANE_LIMIT;
    else if (!(lane = ROVEI_NEW(l->node->alloc, rovei_lane)))
        err = ROVE_E_NOMEM;
    if (!err) {
        lane->ticket = rovei_node_number(l->node);
        err = lane_index(l, lane, &k);
    }
    if (err) {
        if (lane)
            ROVEI_DELETE(l->node->alloc, lane);
        owner_release(l, o);
        return err;
    }
    lane->set = l;
    lane->owner = o;
    lane->number = number;
    lane->state = closed ? ROVEI_LANE_IS_CLOSED : ROVEI_LANE_IS_OPEN;
    lane->may_read = !feed;
    lane->feed = feed;
    o->lanes++;
    o->open += counts_open(lane);
    o->feeds += feed;
    l->feeds += feed;
    rovei_list_add_tail(&l->all, &lane->all);
    rovei_list_init(&lane->ready);
    rovei_list_init(&lane->owing);
    rovei_lane_touch(lane, now);
    if (!rovei_timer_is_set(&l->sweep))
        rovei_timer_set(&l->node->timers, &l->sweep,
                        rovei_time_add(now.mono, limits->lane_expiry / SWEEPS_PER_EXPIRY));
    *ret = lane;
    return ROVE_OK;
}

rove_err rovei_lane_new(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                        const rove_entity *sender, uint64_t number, bool closed)
{
    return lane_new(ret, l, now, sender, number, closed, false);
}

rove_err rovei_lane_new_feed(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                             const rove_entity *publisher, uint64_t number)
{
    return lane_new(ret, l, now, publisher, number, false, true);
}

void rovei_lane_free(rovei_lane *lane)
{
    struct rovei_lanes *l = lane->set;
    const rove_alloc *a = l->node->alloc;
    lane_key k = key_of(&lane->owner->entity, lane->number, lane->feed);
    rovei_map_remove(&l->by_key, k.bytes);
    rovei_map_remove(&l->by_ticket, &lane->ticket);
    rovei_lane_forget(lane, true);
    rovei_lane_confirm(lane, lane->position);
    rovei_lane_want_room(lane, false);
    rovei_free(a, lane->waiting, lane->waiting_room * sizeof *lane->waiting);
    rovei_free(a, lane->kept, lane->kept_room * sizeof *lane->kept);
    rovei_pipe_finish(l->node, &lane->reply);
    rovei_list_remove(&lane->all);
    rovei_list_remove(&lane->ready);
    rovei_list_remove(&lane->owing);
    lane->owner->lanes--;
    lane->owner->open -= counts_open(lane);
    lane->owner->feeds -= lane->feed;
    l->feeds -= lane->feed;
    owner_release(l, lane->owner);
    ROVEI_DELETE(a, lane);
}

void rovei_lane_touch(rovei_lane *lane, rovei_now now)
{
    lane->expires = rovei_time_add(now.mono, lane->set->node->env->limits.lane_expiry);
}

void rovei_lane_close(rovei_lane *lane)
{
    if (lane->state == ROVEI_LANE_IS_CLOSED)
        return;
    lane->state = ROVEI_LANE_IS_CLOSED;
    lane->owner->open--;
    lane->asked = 0;
    lane->owes_position = false;
    rovei_lane_forget(lane, false);
    rovei_lane_confirm(lane, lane->position);
    rovei_lane_want_room(lane, false);
    rovei_list_remove(&lane->owing);
}

bool rovei_lanes_closed_full(const struct rovei_lanes *l, const rove_entity *sender)
{
    const rove_limits *limits = &l->node->env->limits;
    const rovei_lane_owner *o = rovei_map_get(&l->owners, sender->bytes);
    uint64_t most = limits->lanes_per_daemon / CLOSED_SHARE;
    if (most < limits->lanes_per_sender)
        most = limits->lanes_per_sender;
    return o && o->lanes - o->open - o->feeds >= most;
}

void rovei_lane_want_room(rovei_lane *lane, bool wants)
{
    if (lane->wants_room == wants)
        return;
    lane->wants_room = wants;
    if (wants)
        lane->set->wanting++;
    else
        lane->set->wanting--;
}

void rovei_lane_owe(rovei_lane *lane)
{
    if (rovei_list_empty(&lane->owing))
        rovei_list_add_tail(&lane->set->owing, &lane->owing);
    rovei_lanes_busy(lane->set);
}

/* ---- the set ---- */

void rovei_lanes_busy(struct rovei_lanes *l)
{
    if (rovei_list_empty(&l->busy))
        rovei_list_add_tail(&l->node->busy_lanes, &l->busy);
}

static void fire_sweep(rovei_timer *timer, void *user, rovei_now now)
{
    struct rovei_lanes *l = user;
    (void)timer;
    if (rovei_lanes_serving(l)) {
        ROVEI_LIST_EACH (it, next, &l->all) {
            rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
            /* What only waits is not acknowledged. */
            if (!lane->fed && !lane->subscribed && now.mono >= lane->expires &&
                !(lane->feed && rovei_feeds_await(l->daemon, &lane->owner->entity)))
                rovei_lane_free(lane);
        }
        rovei_lanes_busy(l); /* also what was put off for want of memory */
    }
    if (!rovei_list_empty(&l->all))
        rovei_timer_set(
            &l->node->timers, &l->sweep,
            rovei_time_add(now.mono, l->node->env->limits.lane_expiry / SWEEPS_PER_EXPIRY));
}

rove_err rovei_lanes_new(struct rovei_lanes **ret, rovei_node *n, rovei_daemon *d)
{
    struct rovei_lanes *l = ROVEI_NEW(n->alloc, struct rovei_lanes);
    if (!l)
        return ROVE_E_NOMEM;
    if (rovei_timers_reserve(&n->timers, &l->sweep, fire_sweep, l)) {
        ROVEI_DELETE(n->alloc, l);
        return ROVE_E_NOMEM;
    }
    uint64_t seed = rovei_rng_u64(&n->env->rng);
    l->node = n;
    l->daemon = d;
    rovei_map_init(&l->by_key, n->alloc, sizeof(lane_key), seed);
    rovei_map_init(&l->by_ticket, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&l->owners, n->alloc, sizeof(rove_entity), seed);
    rovei_list_init(&l->all);
    rovei_list_init(&l->ready);
    rovei_list_init(&l->blocked);
    rovei_list_init(&l->owing);
    rovei_list_init(&l->busy);
    *ret = l;
    return ROVE_OK;
}

rove_err rovei_lanes_make(rovei_node *n, rovei_daemon *d)
{
    return d->lanes ? ROVE_OK : rovei_lanes_new(&d->lanes, n, d);
}

void rovei_lanes_free(struct rovei_lanes *l)
{
    if (!l)
        return;
    ROVEI_LIST_EACH (it, next, &l->all)
        rovei_lane_free(ROVEI_CONTAINER(it, rovei_lane, all));
    rovei_list_remove(&l->busy);
    rovei_timers_release(&l->node->timers, &l->sweep);
    rovei_map_fini(&l->by_key);
    rovei_map_fini(&l->by_ticket);
    rovei_map_fini(&l->owners);
    ROVEI_DELETE(l->node->alloc, l);
}

size_t rovei_lanes_count(const struct rovei_lanes *l)
{
    return l ? l->by_key.count : 0;
}

void rovei_lanes_note_applied(struct rovei_lanes *l, uint64_t at)
{
    rovei_pace *p = &l->pace;
    if (!p->first)
        p->first = at;
    else if (at > p->last && at - p->last > p->widest_gap)
        p->widest_gap = at - p->last;
    p->last = at;
}

rovei_pace rovei_lanes_pace(const struct rovei_lanes *l)
{
    return l ? l->pace : (rovei_pace){0};
}

void rovei_lanes_forget_gap(struct rovei_lanes *l)
{
    l->pace.widest_gap = 0;
}

/* ---- saying ---- */

void rovei_lane_head(const struct rovei_lanes *l, rovei_lane_frame *f, rovei_lane_type type,
                     uint64_t lane)
{
    f->type = type;
    f->level = ROVEI_LEVEL_MEMORY;
    f->daemon = l->daemon->entity;
    f->lane = lane;
    f->sinc = l->daemon->sinc;
    f->first = f->upto = f->position = f->held = 0;
    f->count = 0;
    f->err = ROVE_OK;
    f->flags = 0;
    f->run = (rove_span){NULL, 0};
}

void rovei_lane_send(rovei_node *n, rovei_pipe *pipe, const rove_entity *to, uint16_t tag,
                     const rovei_lane_frame *f)
{
    uint8_t bytes[ROVEI_LANE_FRAME_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, f);
    ROVEI_CHECK(w.err == ROVE_OK);
    rove_span head = {bytes, rovei_writer_size(&w)};
    (void)!rovei_pipe_send(n, pipe, to, tag, head, NULL);
}

void rovei_lane_say(rovei_lane *lane, rovei_lane_type type)
{
    rovei_lane_frame f;
    rovei_lane_head(lane->set, &f, type, lane->number);
    f.position = lane->position;
    f.held = lane->accepted;
    rovei_lane_send(lane->set->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME, &f);
}

/* To every open lane whose sender can be reached. */
static void say_record(struct rovei_lanes *l, rovei_lane_type type, uint8_t flags,
                       const rovei_record *record)
{
    rovei_lane_frame f;
    f.record = *record;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (lane->feed || lane->state != ROVEI_LANE_IS_OPEN)
            continue;
        rovei_lane_head(l, &f, type, lane->number);
        f.flags = flags;
        rovei_lane_send(l->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME, &f);
    }
}

/* ---- the daemon's life ---- */

static void count_late(const rovei_lane *lane, uint64_t *held_back, uint64_t *seen)
{
    for (size_t i = 0; i < lane->waiting_count; i++) {
        const rovei_waiting *w = rovei_lane_waiting(lane, i);
        if (w->late) {
            ++*held_back;
            *seen = w->sequence;
        }
    }
}

void rovei_lanes_freeze(struct rovei_lanes *l, rovei_now now, uint64_t *held_back)
{
    (void)now;
    l->held_back = held_back;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (lane->state <= ROVEI_LANE_ASKING_READ) {
            rovei_lane_free(lane); /* its sender asks again, here or there */
            continue;
        }
        lane->seen = lane->position;
        count_late(lane, held_back, &lane->seen);
        rovei_lane_forget(lane, true);
        rovei_lane_want_room(lane, false);
        lane->owes_position = false;
        rovei_list_remove(&lane->owing);
    }
    ROVEI_CHECK(!l->in_cell && !l->mailbox_bytes && rovei_list_empty(&l->ready) &&
                rovei_list_empty(&l->blocked));
}

void rovei_lanes_serve(struct rovei_lanes *l, rovei_now now)
{
    if (!l)
        return;
    const rovei_location *at = rovei_location_get(l->node, &l->daemon->entity);
    l->held_back = NULL;
    if (at)
        say_record(l, ROVEI_LANE_RECORD, 0, &at->record);
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (lane->feed || lane->state != ROVEI_LANE_IS_OPEN)
            continue;
        lane->told = rovei_lane_confirmed(lane);
        lane->told_gap = false;
        lane->owes_position = true;
        rovei_lane_owe(lane);
    }
    if (!rovei_list_empty(&l->all) && !rovei_timer_is_set(&l->sweep))
        rovei_timer_set(&l->node->timers, &l->sweep, rovei_time_add(now.mono, ROVE_SECOND));
    if (!rovei_list_empty(&l->ready)) /* feeds have events that came before it served */
        rovei_lanes_busy(l);
}

void rovei_lanes_depart(struct rovei_lanes *l, rovei_now now, const rovei_record *record)
{
    (void)now;
    bool net = rovei_entity_is_net(&record->holder);
    if (!l)
        return;
    l->held_back = NULL;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        rovei_lane_forget(lane, true);
        rovei_list_remove(&lane->owing);
        if (net && !lane->feed && lane->state == ROVEI_LANE_IS_OPEN)
            rovei_lane_end(lane, record);
    }
    if (!net)
        say_record(l, ROVEI_LANE_RECORD, 0, record);
}

void rovei_lanes_stop(struct rovei_lanes *l, rovei_now now)
{
    (void)now;
    const rovei_location *at = l ? rovei_location_get(l->node, &l->daemon->entity) : NULL;
    if (at)
        say_record(l, ROVEI_LANE_NOT_HERE, ROVEI_NOT_HERE_RECORD | ROVEI_NOT_HERE_STOPPED,
                   &at->record);
}

/* ---- invariants ---- */

static void check_lane(const rovei_lane *lane)
{
    size_t bytes = 0, kept = 0;
    uint64_t before = lane->position;
    for (size_t i = 0; i < lane->waiting_count; i++) {
        const rovei_waiting *w = rovei_lane_waiting(lane, i);
        ROVEI_CHECK(w->sequence > before && w->sequence <= lane->accepted);
        before = w->sequence;
        bytes += w->payload.size;
    }
    for (size_t i = 0; i < lane->kept_count; i++) {
        const rovei_kept *k = rovei_lane_kept(lane, i);
        kept += ROVEI_KEPT_CHARGE + rovei_buf_size(k->text) + rovei_buf_size(k->outputs);
    }
    ROVEI_CHECK(bytes == lane->waiting_bytes && kept == lane->kept_bytes);
    ROVEI_CHECK(lane->fed <= lane->waiting_count && lane->position <= lane->accepted);
    ROVEI_CHECK(lane->kept_count <= lane->position);
    ROVEI_CHECK(lane->told >= rovei_lane_confirmed(lane) && lane->told <= lane->position);
    ROVEI_CHECK(lane->waiting_count > lane->fed || rovei_list_empty(&lane->ready));
}

void rovei_lanes_check_set(const struct rovei_lanes *l)
{
    size_t in_cell = 0, charge = 0, kept = 0, count = 0, wanting = 0;
    ROVEI_LIST_EACH (it, next, &l->all) {
        const rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        check_lane(lane);
        ROVEI_CHECK((lane->feed ? rovei_lane_find_feed : rovei_lane_find)(l, &lane->owner->entity,
                                                                          lane->number) == lane);
        for (size_t i = 0; i < lane->waiting_count; i++)
            charge += rovei_lane_waiting(lane, i)->charge;
        in_cell += lane->fed;
        kept += lane->kept_bytes;
        wanting += lane->wants_room;
        count++;
    }
    ROVEI_CHECK(count == l->by_key.count && count == l->by_ticket.count);
    ROVEI_CHECK(in_cell == l->in_cell && charge == l->mailbox_bytes && kept == l->kept_bytes);
    ROVEI_CHECK(wanting == l->wanting);
    size_t it = 0;
    for (const rovei_lane_owner *o; (o = rovei_map_next(&l->owners, &it));)
        charge -= o->charge;
    ROVEI_CHECK(!charge);
}

void rovei_lanes_check(const rovei_node *n)
{
    size_t it = 0;
    for (const rovei_daemon *d; (d = rovei_map_next(&n->daemons, &it));)
        if (d->lanes)
            rovei_lanes_check_set(d->lanes);
    rovei_daemons_check(n);
    rovei_locations_check(n);
    rovei_senders_check(n);
}
