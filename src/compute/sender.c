/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender half of lanes: handles, the route that those of one daemon share, and what becomes of
 * events that have no outcome. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/location_table.h>
#include <compute/sender_inside.h>
#include <string.h>

/* ---- routes ---- */

rovei_route *rovei_route_get(const rovei_node *n, const rove_entity *daemon)
{
    return rovei_map_get(&n->locations->routes, daemon->bytes);
}

static void follow(rovei_route *r, const rovei_record *record)
{
    r->ended = rovei_entity_is_net(&record->holder);
    r->holder = r->ended ? record->giver : record->holder;
}

static rovei_route *route_make(rovei_node *n, const rove_entity *daemon)
{
    rovei_route *r = rovei_route_get(n, daemon);
    if (r)
        return r;
    r = ROVEI_NEW(n->alloc, rovei_route);
    if (!r)
        return NULL;
    r->node = n;
    r->daemon = *daemon;
    rovei_list_init(&r->senders);
    if (rovei_map_put(&n->locations->routes, daemon->bytes, r)) {
        ROVEI_DELETE(n->alloc, r);
        return NULL;
    }
    const rovei_location *at = rovei_location_get(n, daemon);
    if (at)
        follow(r, &at->record);
    return r;
}

static void route_release(rovei_route *r)
{
    rovei_node *n = r->node;
    if (!rovei_list_empty(&r->senders))
        return;
    rovei_location_unseek(n, &r->daemon);
    rovei_map_remove(&n->locations->routes, r->daemon.bytes);
    ROVEI_DELETE(n->alloc, r);
}

void rovei_route_trouble(rovei_route *r, rovei_now now)
{
    if (!r->troubled)
        r->trouble_since = now.mono;
    r->troubled = true;
    rovei_location_seek(r->node, now, &r->daemon);
}

static void note_all(rovei_route *r, rovei_note_kind kind)
{
    ROVEI_LIST_EACH (it, next, &r->senders) {
        rovei_note *note = rovei_node_note(r->node, kind);
        if (!note)
            return;
        note->sender = ROVEI_CONTAINER(it, rovei_sender, in_route)->number;
        note->daemon = r->daemon;
    }
}

void rovei_route_reached(rovei_route *r)
{
    r->hops = 0;
    if (r->troubled)
        rovei_location_unseek(r->node, &r->daemon);
    r->troubled = false;
    if (r->told_unreachable)
        note_all(r, ROVEI_NOTE_REACHED);
    r->told_unreachable = false;
}

void rovei_route_raise(rovei_route *r, rovei_sinc sinc)
{
    r->sinc = sinc;
    ROVEI_LIST_EACH (it, next, &r->senders) {
        rovei_sender *s = ROVEI_CONTAINER(it, rovei_sender, in_route);
        for (size_t i = 0; i < s->old_count; i++) {
            s->old[i].checking = true;
            s->old[i].asked = false;
        }
        if (s->state == ROVEI_SENDER_OPEN || s->state == ROVEI_SENDER_SYNC) {
            s->checking = true;
            s->state = ROVEI_SENDER_SYNC;
            s->said = false;
            s->sent = s->acked;
        }
        rovei_sender_busy(s);
    }
}

void rovei_senders_located(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_route *r = rovei_route_get(n, daemon);
    const rovei_location *at = rovei_location_get(n, daemon);
    if (!r || !at)
        return;
    rove_entity before = r->holder;
    follow(r, &at->record);
    bool moved = !rovei_entity_equal(&r->holder, &before);
    if (moved && !rovei_entity_is_zero(&before)) {
        n->stats.redirects++;
        r->hops++;
    }
    if (r->hops > ROVEI_SENDER_HOPS)
        rovei_route_trouble(r, now);
    ROVEI_LIST_EACH (it, next, &r->senders) {
        rovei_sender *s = ROVEI_CONTAINER(it, rovei_sender, in_route);
        rovei_sender_restart(s, now, moved);
        if (r->hops > ROVEI_SENDER_HOPS)
            s->hold_until = rovei_time_add(now.mono, ROVE_SECOND);
    }
}

void rovei_senders_unreachable(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_route *r = rovei_route_get(n, daemon);
    if (!r || !r->troubled || r->told_unreachable ||
        now.mono - r->trouble_since < n->env->limits.locate_wait)
        return;
    r->told_unreachable = true;
    note_all(r, ROVEI_NOTE_UNREACHABLE);
}

/* ---- what was applied, and may be lost ---- */

void rovei_applied_hole(rovei_applied *a, uint64_t first, uint64_t last)
{
    /* Holes are made in ascending order, but for a loss, which takes in all after a position. */
    while (a->count && a->holes[a->count - 1].last + 1 >= first) {
        a->count--;
        if (a->holes[a->count].first < first)
            first = a->holes[a->count].first;
    }
    if (a->count == ROVEI_HOLES_MAX) {
        a->from = a->holes[0].last;
        memmove(a->holes, a->holes + 1, (ROVEI_HOLES_MAX - 1) * sizeof a->holes[0]);
        a->count--;
    }
    a->holes[a->count++] = (struct rovei_hole){first, last};
}

static void note_lost(rovei_sender *s, uint64_t base, uint64_t first, uint64_t last)
{
    if (first > last)
        return;
    s->node->stats.events_lost += last - first + 1;
    rovei_note *note = rovei_node_note(s->node, ROVEI_NOTE_LOST);
    if (!note)
        return; /* the counter has it */
    note->sender = s->number;
    note->number = base + first;
    note->value = base + last;
    note->err = ROVE_E_LOST;
}

void rovei_sender_lost(rovei_sender *s, uint64_t base, rovei_applied *a, uint64_t position)
{
    uint64_t at = position > a->from ? position : a->from;
    if (at >= a->upto)
        return;
    for (size_t i = 0; i < a->count; i++) {
        if (a->holes[i].last <= at)
            continue;
        if (a->holes[i].first > at)
            note_lost(s, base, at + 1, a->holes[i].first - 1);
        at = a->holes[i].last;
    }
    if (at < a->upto)
        note_lost(s, base, at + 1, a->upto);
    rovei_applied_hole(a, position + 1, a->upto);
}

/* ---- the queue ---- */

void rovei_sender_busy(rovei_sender *s)
{
    if (rovei_list_empty(&s->busy))
        rovei_list_add_tail(&s->node->busy_senders, &s->busy);
}

void rovei_sender_pop(rovei_sender *s)
{
    rovei_queued *q = rovei_sender_queued(s, 0);
    s->queue_bytes -= q->payload.size;
    if (q->holds)
        rove_buf_unref(q->owner);
    s->queue_first = (s->queue_first + 1) & (s->queue_room - 1);
    s->queue_count--;
    s->acked++;
    s->applied.upto = s->acked;
    if (s->sent < s->acked)
        s->sent = s->acked;
}

void rovei_sender_room(rovei_sender *s)
{
    const rove_limits *limits = &s->node->env->limits;
    if (!s->want_room || s->closing || s->queue_count > limits->lane_events * 3 / 4 ||
        (s->queue_count &&
         (s->queue_bytes > limits->lane_bytes * 3 / 4 || s->queue_count >= limits->lane_events)))
        return;
    rovei_note *note = rovei_node_note(s->node, ROVEI_NOTE_ROOM);
    if (!note)
        return; /* with the next outcome, then */
    note->sender = s->number;
    s->want_room = false;
}

static bool tell_front(rovei_sender *s, rovei_note_kind kind, rove_err err)
{
    rovei_note *note = rovei_node_note(s->node, kind);
    if (!note)
        return false;
    note->sender = s->number;
    note->number = s->base + s->acked + 1;
    note->err = err;
    rovei_applied_hole(&s->applied, s->acked + 1, s->acked + 1);
    if (kind == ROVEI_NOTE_UNKNOWN)
        s->node->stats.events_unknown++;
    else
        s->node->stats.events_refused++;
    rovei_sender_pop(s);
    return true;
}

bool rovei_sender_drain(rovei_sender *s)
{
    while (s->acked < s->abandon)
        if (!tell_front(s, ROVEI_NOTE_UNKNOWN, ROVE_E_UNKNOWN_OUTCOME))
            return false;
    while (s->acked < s->refuse)
        if (!tell_front(s, ROVEI_NOTE_REFUSED, s->refuse_err))
            return false;
    if (s->replace)
        rovei_sender_new_lane(s);
    rovei_sender_room(s);
    return true;
}

/* The link of an event, and then of the one behind it: so no payload is kept for the chain. A lane
 * ends long before its sequences do. */
static void link_event(rovei_sender *s, rovei_queued *q)
{
    q->link = s->tip;
    rove_err err = rovei_link_next(&s->tip, &q->link, q->payload, 0);
    ROVEI_CHECK(err == ROVE_OK);
}

static void begin_chain(rovei_sender *s)
{
    rove_link genesis = rovei_link_genesis(rovei_keypair_origin(s->node->identity), 0);
    rove_err err = rovei_link_next(&s->tip, &genesis, (rove_span){NULL, 0}, 0);
    ROVEI_CHECK(err == ROVE_OK);
}

/* Links of the new lane's chain for what is still queued. */
static void relink(rovei_sender *s)
{
    begin_chain(s);
    for (size_t i = 0; i < s->queue_count; i++)
        link_event(s, rovei_sender_queued(s, i));
}

void rovei_sender_new_lane(rovei_sender *s)
{
    rovei_pipe_reset(s->node, &s->pipe);
    s->base += s->acked;
    s->acked = s->sent = s->high = s->abandon = s->refuse = s->confirmed = 0;
    s->next = s->queue_count;
    s->lane = 0;
    s->state = ROVEI_SENDER_NONE;
    s->said = s->ask = s->checking = s->gap_due = s->replace = s->opened = false;
    s->confirm_at = s->retry_at = ROVE_TIME_NEVER;
    s->unconfirmed_bytes = 0;
    memset(&s->applied, 0, sizeof s->applied);
    relink(s);
    rovei_sender_busy(s);
}

/* ---- life ---- */

static void give_up_old(rovei_sender *s, rovei_now now)
{
    uint64_t upto = s->acked;
    for (size_t i = 0; i < s->queue_count; i++, upto++)
        if (now.mono <
            rovei_time_add(rovei_sender_queued(s, i)->queued_at, s->node->env->limits.send_giveup))
            break;
    if (upto == s->acked || upto <= s->abandon)
        return;
    /* Whatever carries them is thrown away, and the host is told that they never come. */
    if (upto > s->acked && s->high > s->acked)
        rovei_pipe_reset(s->node, &s->pipe);
    s->abandon = s->sent = upto;
    if (s->high < upto)
        s->high = upto;
    s->said = false;
    s->gap_due = !ROVEI_MUTANT(GAP_IN_SILENCE);
    (void)rovei_sender_drain(s);
}

static void fire(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_sender *s = user;
    (void)timer;
    give_up_old(s, now);
    if (now.mono >= s->retry_at) {
        s->retry_at = ROVE_TIME_NEVER;
        s->pause = rovei_time_min(s->pause * 2, ROVEI_SENDER_PAUSE_MAX);
        s->said = false;
        s->ask = s->state == ROVEI_SENDER_OPEN && s->queue_count;
        for (size_t i = 0; i < s->old_count; i++)
            s->old[i].asked = false;
    }
    rovei_sender_busy(s);
}

void rovei_sender_arm(rovei_sender *s, rovei_now now)
{
    uint64_t due = s->retry_at;
    if (s->confirm_at > now.mono) /* one that could not leave goes with what comes next */
        due = rovei_time_min(due, s->confirm_at);
    if (s->queue_count)
        due = rovei_time_min(due, rovei_time_add(rovei_sender_queued(s, 0)->queued_at,
                                                 s->node->env->limits.send_giveup));
    if (s->hold_until > now.mono)
        due = rovei_time_min(due, s->hold_until);
    if (s->closing)
        due = rovei_time_min(due, s->close_until);
    if (due <= now.mono) /* memory was out */
        due = rovei_time_add(now.mono, ROVEI_SENDER_HOLD);
    /* Set too early is fine: it is reckoned anew when it fires. */
    if (due != ROVE_TIME_NEVER && (!rovei_timer_is_set(&s->timer) || s->timer.deadline > due))
        rovei_timer_set(&s->node->timers, &s->timer, due);
}

void rovei_sender_restart(rovei_sender *s, rovei_now now, bool reset)
{
    if (reset)
        rovei_pipe_reset(s->node, &s->pipe);
    if (s->state == ROVEI_SENDER_OPEN) {
        s->state = ROVEI_SENDER_SYNC;
        s->sent = s->acked;
    }
    s->said = false;
    s->hold = 0;
    s->hold_until = now.mono;
    s->retry_at = ROVE_TIME_NEVER;
    s->pause = ROVEI_SENDER_PAUSE;
    for (size_t i = 0; i < s->old_count; i++)
        s->old[i].asked = false;
    rovei_sender_busy(s);
}

rove_err rovei_node_sender_open(rovei_node *n, rovei_now now, const rove_entity *daemon,
                                uint64_t *ret_sender)
{
    (void)now;
    if (n->senders.count >= ROVEI_SENDERS_MAX)
        return ROVE_E_FULL;
    rovei_sender *s = ROVEI_NEW(n->alloc, rovei_sender);
    if (!s)
        return ROVE_E_NOMEM;
    s->node = n;
    s->number = rovei_node_number(n);
    rovei_list_init(&s->busy);
    rovei_list_init(&s->in_route);
    begin_chain(s);
    s->confirm_at = s->retry_at = s->close_until = ROVE_TIME_NEVER;
    s->pause = ROVEI_SENDER_PAUSE;
    s->route = route_make(n, daemon);
    rove_err err = s->route ? rovei_timers_reserve(&n->timers, &s->timer, fire, s) : ROVE_E_NOMEM;
    if (!err)
        err = rovei_map_put(&n->senders, &s->number, s);
    if (s->route)
        rovei_list_add_tail(&s->route->senders, &s->in_route);
    if (err) {
        rovei_sender_free(s);
        return err;
    }
    *ret_sender = s->number;
    return ROVE_OK;
}

void rovei_sender_free(rovei_sender *s)
{
    rovei_node *n = s->node;
    rovei_pipe_finish(n, &s->pipe);
    while (s->queue_count)
        rovei_sender_pop(s);
    rovei_free(n->alloc, s->queue, s->queue_room * sizeof *s->queue);
    rovei_free(n->alloc, s->old, s->old_room * sizeof *s->old);
    rovei_timers_release(&n->timers, &s->timer);
    rovei_list_remove(&s->busy);
    rovei_list_remove(&s->in_route);
    rovei_map_remove(&n->senders, &s->number);
    if (s->route)
        route_release(s->route);
    ROVEI_DELETE(n->alloc, s);
}

bool rovei_sender_end(rovei_sender *s)
{
    if (!s->dropped) {
        rovei_note *note = rovei_node_note(s->node, ROVEI_NOTE_SENDER_ENDED);
        if (!note)
            return false;
        note->sender = s->number;
    }
    rovei_sender_free(s);
    return true;
}

void rovei_senders_free_all(rovei_node *n)
{
    size_t it = 0;
    for (rovei_sender *s; (s = rovei_map_next(&n->senders, &it)); it = 0)
        rovei_sender_free(s);
}

/* ---- commands ---- */

static bool window_is_full(const rovei_sender *s, size_t size)
{
    const rove_limits *limits = &s->node->env->limits;
    if (!s->queue_count)
        return false;
    return s->queue_count >= limits->lane_events || s->queue_bytes >= limits->lane_bytes ||
           size > limits->lane_bytes - s->queue_bytes;
}

/* Whether the sender takes an event of this size now. */
static rove_err may_take(rovei_sender *s, size_t size)
{
    if (s->closing)
        return ROVE_E_CLOSED;
    if (size > s->node->env->limits.event_max)
        return ROVE_E_TOO_LARGE;
    if (window_is_full(s, size)) {
        s->want_room = true;
        return ROVE_E_WINDOW;
    }
    return ROVE_OK;
}

static rove_err take_event(rovei_sender *s, rovei_now now, rove_buf *owner, rove_span payload)
{
    rove_err err = may_take(s, payload.size);
    if (err)
        return err;
    void *items = s->queue;
    bool room = rovei_ring_grow(s->node->alloc, &items, &s->queue_room, &s->queue_first,
                                s->queue_count, s->queue_count, sizeof *s->queue);
    s->queue = items;
    if (!room)
        return ROVE_E_NOMEM;
    ROVEI_CHECK(s->queue);
    rovei_queued *before = s->queue_count ? rovei_sender_queued(s, s->queue_count - 1) : NULL;
    rovei_queued *q = rovei_sender_queued(s, s->queue_count);
    if (before && before->owner == owner && before->holds)
        before->holds = false;
    else
        (void)rove_buf_ref(owner);
    q->owner = owner;
    q->holds = true;
    q->payload = payload;
    q->queued_at = now.mono;
    link_event(s, q);
    s->queue_count++;
    s->queue_bytes += payload.size;
    s->next++;
    return ROVE_OK;
}

rove_err rovei_node_sender_send(rovei_node *n, rovei_now now, uint64_t sender, rove_buf *payload,
                                uint64_t *ret_number)
{
    rovei_sender *s = rovei_map_get(&n->senders, &sender);
    if (!s)
        return ROVE_E_GONE;
    rove_err err = take_event(s, now, payload, rove_buf_span(payload));
    if (err)
        return err;
    *ret_number = s->base + s->next;
    rovei_sender_busy(s);
    return ROVE_OK;
}

rove_err rovei_node_sender_send_run(rovei_node *n, rovei_now now, uint64_t sender, rove_buf *owner,
                                    rove_span *run, uint64_t *ret_number)
{
    rovei_sender *s = rovei_map_get(&n->senders, &sender);
    rove_err err = s ? ROVE_OK : ROVE_E_GONE;
    while (!err && run->size) {
        const uint8_t *at = run->data;
        ROVEI_CHECK(run->size >= 4);
        size_t size = rovei_load32(at);
        ROVEI_CHECK(size <= run->size - 4 && size <= ROVEI_LANE_ALONE);
        err = take_event(s, now, owner, (rove_span){at + 4, size});
        if (!err)
            *run = (rove_span){at + 4 + size, run->size - 4 - size};
    }
    if (s) {
        *ret_number = s->base + s->next;
        rovei_sender_busy(s);
    }
    return err;
}

void rovei_node_sender_close(rovei_node *n, rovei_now now, uint64_t sender, bool drop)
{
    rovei_sender *s = rovei_map_get(&n->senders, &sender);
    if (!s)
        return;
    if (!s->closing)
        s->close_until = rovei_time_add(now.mono, n->env->limits.send_giveup);
    s->closing = true;
    if (drop && !s->dropped) {
        s->dropped = true;
        rovei_pipe_reset(n, &s->pipe);
        s->abandon = s->sent = s->next;
        if (s->high < s->next)
            s->high = s->next;
        s->said = false;
        (void)rovei_sender_drain(s);
    }
    rovei_sender_busy(s);
}

/* ---- peers ---- */

void rovei_lanes_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    size_t it = 0;
    for (rovei_route *r; (r = rovei_map_next(&n->locations->routes, &it));) {
        if (!rovei_entity_equal(&r->holder, peer))
            continue;
        ROVEI_LIST_EACH (at, next, &r->senders)
            rovei_sender_restart(ROVEI_CONTAINER(at, rovei_sender, in_route), now, false);
    }
}

/* Senders to what the peer held look for somebody else. */
static void wake_routes(rovei_node *n, const rove_entity *peer)
{
    size_t it = 0;
    for (rovei_route *r; (r = rovei_map_next(&n->locations->routes, &it));) {
        if (!rovei_entity_equal(&r->holder, peer))
            continue;
        ROVEI_LIST_EACH (at, next, &r->senders)
            rovei_sender_busy(ROVEI_CONTAINER(at, rovei_sender, in_route));
    }
}

void rovei_lanes_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    (void)now;
    wake_routes(n, peer);
}

void rovei_lanes_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    (void)now;
    wake_routes(n, peer);
    rovei_location_peer_gone(n, peer);
}

/* ---- invariants ---- */

void rovei_senders_check(const rovei_node *n)
{
    size_t it = 0, count = 0;
    for (const rovei_sender *s; (s = rovei_map_next(&n->senders, &it)); count++) {
        size_t bytes = 0;
        for (size_t i = 0; i < s->queue_count; i++)
            bytes += rovei_sender_queued(s, i)->payload.size;
        ROVEI_CHECK(bytes == s->queue_bytes && s->next - s->acked == s->queue_count);
        ROVEI_CHECK(s->acked <= s->sent && s->sent <= s->next && s->confirmed <= s->acked);
        ROVEI_CHECK(s->abandon <= s->next && s->refuse <= s->next);
        ROVEI_CHECK(rovei_route_get(n, &s->route->daemon) == s->route);
        ROVEI_CHECK((s->state == ROVEI_SENDER_NONE) == (s->lane == 0));
    }
    size_t in_routes = 0;
    it = 0;
    for (const rovei_route *r; (r = rovei_map_next(&n->locations->routes, &it));)
        ROVEI_LIST_EACH (at, next, &r->senders)
            in_routes++;
    ROVEI_CHECK(count == in_routes);
}
