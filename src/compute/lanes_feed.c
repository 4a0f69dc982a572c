/* SPDX-License-Identifier: Apache-2.0
 *
 * What flows through a host's lanes: events in order into the cell, round robin and a bounded
 * number at a time; outcomes and outputs back, kept until they are confirmed. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_inside.h>
#include <string.h>

/* Given to the cell and not applied, per daemon; one event always. */
#define IN_CELL_EVENTS 64
#define IN_CELL_BYTES  ((size_t)256 << 10)
#define RETRY_MEMORY   (10 * ROVE_MILLISECOND)
/* A small event does not hold on to a message that is larger than this and mostly something
 * else. */
#define SHARED_MESSAGE_MAX ((size_t)2 * ROVEI_LANE_BATCH)

/* ---- rings ---- */

bool rovei_ring_grow(const rove_alloc *a, void **items, size_t *room, size_t *first, size_t count,
                     size_t need, size_t size)
{
    if (need < *room)
        return true;
    size_t more = *room ? *room * 2 : 8;
    while (more <= need && more <= SIZE_MAX / 2)
        more *= 2;
    if (more > SIZE_MAX / 2 / size)
        return false;
    uint8_t *wider = rovei_alloc(a, more * size);
    if (!wider)
        return false;
    size_t head = *room - *first < count ? *room - *first : count;
    if (count) {
        memcpy(wider, (uint8_t *)*items + *first * size, head * size);
        memcpy(wider + head * size, *items, (count - head) * size);
    }
    rovei_free(a, *items, *room * size);
    *items = wider;
    *room = more;
    *first = 0;
    return true;
}

rovei_waiting *rovei_lane_waiting(const rovei_lane *lane, size_t i)
{
    return &lane->waiting[(lane->waiting_first + i) & (lane->waiting_room - 1)];
}

rovei_kept *rovei_lane_kept(const rovei_lane *lane, size_t i)
{
    return &lane->kept[(lane->kept_first + i) & (lane->kept_room - 1)];
}

/* ---- outcomes ---- */

/* Room for the outcomes of all that is with the cell and one more, so that keeping cannot fail. */
bool rovei_lane_reserve(rovei_lane *lane)
{
    void *items = lane->kept;
    bool room = rovei_ring_grow(lane->set->node->alloc, &items, &lane->kept_room, &lane->kept_first,
                                lane->kept_count, lane->kept_count + lane->fed, sizeof *lane->kept);
    lane->kept = items;
    return room;
}

void rovei_lane_keep(rovei_lane *lane, const rovei_kept *k)
{
    ROVEI_CHECK(lane->kept_count < lane->kept_room);
    size_t bytes = ROVEI_KEPT_CHARGE + rovei_buf_size(k->text) + rovei_buf_size(k->outputs);
    *rovei_lane_kept(lane, lane->kept_count) = *k;
    lane->kept_count++;
    lane->kept_bytes += bytes;
    lane->set->kept_bytes += bytes;
}

static void unblock(rovei_lane *lane)
{
    lane->blocked = false;
    if (lane->waiting_count > lane->fed && rovei_list_empty(&lane->ready)) {
        rovei_list_add_tail(&lane->set->ready, &lane->ready);
        rovei_lanes_busy(lane->set);
    }
}

void rovei_lane_confirm(rovei_lane *lane, uint64_t upto)
{
    struct rovei_lanes *l = lane->set;
    bool was_full = l->kept_bytes >= l->node->env->limits.outputs_max;
    if (upto > lane->position)
        upto = lane->position;
    while (lane->kept_count && rovei_lane_confirmed(lane) < upto) {
        rovei_kept *k = rovei_lane_kept(lane, 0);
        size_t bytes = ROVEI_KEPT_CHARGE + rovei_buf_size(k->text) + rovei_buf_size(k->outputs);
        rove_buf_unref(k->text);
        rove_buf_unref(k->outputs);
        lane->kept_first = (lane->kept_first + 1) & (lane->kept_room - 1);
        lane->kept_count--;
        lane->kept_bytes -= bytes;
        l->kept_bytes -= bytes;
    }
    if (lane->told < rovei_lane_confirmed(lane))
        lane->told = rovei_lane_confirmed(lane);
    if (lane->blocked && !lane->kept_count)
        unblock(lane);
    if (was_full && l->kept_bytes < l->node->env->limits.outputs_max)
        ROVEI_LIST_EACH (it, next, &l->all) {
            rovei_lane *other = ROVEI_CONTAINER(it, rovei_lane, all);
            if (other->blocked)
                unblock(other);
        }
}

/* The position moves to `sequence`, with its outcome. */
static void settle(rovei_lane *lane, uint64_t sequence, rovei_kept *k)
{
    bool closed = lane->state == ROVEI_LANE_IS_CLOSED;
    /* Events between were given up, and their sender needs no outcome of what was before them. */
    if (sequence != lane->position + 1)
        rovei_lane_confirm(lane, lane->position);
    if (closed) {
        rove_buf_unref(k->text);
        rove_buf_unref(k->outputs);
    } else {
        rovei_lane_keep(lane, k);
    }
    lane->position = sequence;
    if (lane->told < rovei_lane_confirmed(lane))
        lane->told = rovei_lane_confirmed(lane);
    if (closed)
        lane->told = sequence;
    else
        rovei_lane_owe(lane);
}

/* ---- the queue ---- */

static void pop_front(rovei_lane *lane)
{
    rovei_waiting *w = rovei_lane_waiting(lane, 0);
    rove_buf_unref(w->owner);
    lane->waiting_bytes -= w->payload.size;
    lane->set->mailbox_bytes -= w->charge;
    lane->waiting_first = (lane->waiting_first + 1) & (lane->waiting_room - 1);
    lane->waiting_count--;
    if (lane->fed) {
        lane->fed--;
        lane->set->in_cell--;
        lane->set->in_cell_bytes -= w->payload.size;
    }
}

static void pop_back(rovei_lane *lane)
{
    rovei_waiting *w = rovei_lane_waiting(lane, lane->waiting_count - 1);
    rove_buf_unref(w->owner);
    lane->waiting_bytes -= w->payload.size;
    lane->set->mailbox_bytes -= w->charge;
    lane->waiting_count--;
}

void rovei_lane_forget(rovei_lane *lane, bool all)
{
    while (lane->waiting_count > lane->fed)
        pop_back(lane);
    while (all && lane->waiting_count)
        pop_front(lane);
    lane->gap = 0;
    lane->accepted = lane->position;
    if (lane->waiting_count)
        lane->accepted = rovei_lane_waiting(lane, lane->waiting_count - 1)->sequence;
    rovei_list_remove(&lane->ready);
}

/* When nothing of the lane is with the cell, the position moves over what is gone. */
static void close_gap(rovei_lane *lane)
{
    if (lane->fed || lane->gap <= lane->position)
        return;
    rovei_lane_confirm(lane, lane->position);
    lane->position = lane->told = lane->gap;
    if (lane->accepted < lane->position)
        lane->accepted = lane->position;
}

void rovei_lane_gone(rovei_lane *lane, uint64_t upto)
{
    if (upto <= lane->position)
        return;
    /* Those with the cell will be applied, before any later one: their sender calls them unknown.
     * The others that are gone are taken out of the middle of the queue. */
    size_t keep = lane->fed;
    for (size_t i = lane->fed; i < lane->waiting_count; i++) {
        rovei_waiting *w = rovei_lane_waiting(lane, i);
        if (w->sequence > upto) {
            *rovei_lane_waiting(lane, keep++) = *w;
            continue;
        }
        rove_buf_unref(w->owner);
        lane->waiting_bytes -= w->payload.size;
        lane->set->mailbox_bytes -= w->charge;
    }
    lane->waiting_count = keep;
    if (keep == lane->fed)
        rovei_list_remove(&lane->ready);
    if (lane->gap < upto)
        lane->gap = upto;
    if (lane->accepted < upto)
        lane->accepted = upto;
    lane->told_gap = false;
    close_gap(lane);
}

static bool has_room(const rovei_lane *lane, size_t size, size_t charge)
{
    const struct rovei_lanes *l = lane->set;
    const rove_limits *limits = &l->node->env->limits;
    if (lane->waiting_count &&
        (lane->waiting_count >= limits->lane_events || lane->waiting_bytes >= limits->lane_bytes ||
         size > limits->lane_bytes - lane->waiting_bytes))
        return false;
    return !l->mailbox_bytes || (l->mailbox_bytes < limits->mailbox_bytes &&
                                 charge <= limits->mailbox_bytes - l->mailbox_bytes);
}

static rove_err refusal(const rovei_lane *lane, const rove_link *link, size_t size)
{
    if (link->origin != lane->owner->origin)
        return ROVE_E_ORIGIN_MISMATCH;
    return size > lane->set->node->env->limits.event_max ? ROVE_E_TOO_LARGE : ROVE_OK;
}

bool rovei_lane_accept(rovei_lane *lane, uint64_t sequence, const rove_link *link,
                       rove_span payload, rove_buf *message)
{
    struct rovei_lanes *l = lane->set;
    size_t charge = payload.size + ROVEI_EVENT_FRAME_OVERHEAD;
    rove_err refuse = refusal(lane, link, payload.size);
    if (refuse) /* only its place in the order is kept */
        payload = (rove_span){NULL, 0};
    if (!has_room(lane, payload.size, charge)) {
        lane->wanted = payload.size;
        rovei_lane_want_room(lane, true);
        return false;
    }
    void *items = lane->waiting;
    bool room = rovei_ring_grow(l->node->alloc, &items, &lane->waiting_room, &lane->waiting_first,
                                lane->waiting_count, lane->waiting_count, sizeof *lane->waiting);
    lane->waiting = items;
    if (!room)
        return false;
    rove_buf *owner = NULL;
    if (!refuse) {
        bool share = message->size <= SHARED_MESSAGE_MAX || message->size / 2 <= payload.size;
        owner = share ? rove_buf_ref(message)
                      : rovei_buf_copy(l->node->alloc, payload.data, payload.size);
        if (!owner)
            return false;
        if (!share)
            payload = rove_buf_span(owner);
    }
    *rovei_lane_waiting(lane, lane->waiting_count) =
        (rovei_waiting){.sequence = sequence,
                        .link = *link,
                        .payload = payload,
                        .owner = owner,
                        .charge = charge,
                        .refuse = refuse,
                        .late = l->daemon->role == ROVEI_ROLE_FREEZING};
    lane->waiting_count++;
    lane->waiting_bytes += payload.size;
    l->mailbox_bytes += charge;
    lane->accepted = sequence;
    lane->told_gap = false;
    if (!lane->blocked && rovei_list_empty(&lane->ready))
        rovei_list_add_tail(&l->ready, &lane->ready);
    return true;
}

/* ---- into the cell ---- */

static bool give(rovei_lane *lane, rovei_waiting *w)
{
    struct rovei_lanes *l = lane->set;
    rovei_effect *e = rovei_node_effect(l->node, ROVEI_EFFECT_APPLY);
    if (!e)
        return false;
    e->cell = l->daemon->cell;
    e->daemon = l->daemon->entity;
    e->ticket = lane->ticket;
    e->number = w->sequence;
    e->link = w->link;
    e->payload = w->payload;
    e->owner = w->owner;
    w->owner = NULL;
    lane->fed++;
    l->in_cell++;
    l->in_cell_bytes += w->payload.size;
    return true;
}

/* One event of the lane goes on its way. False: out of memory. */
static bool feed_one(rovei_lane *lane)
{
    struct rovei_lanes *l = lane->set;
    rovei_waiting *w = rovei_lane_waiting(lane, lane->fed);
    rovei_list_remove(&lane->ready);
    if (lane->kept_count && l->kept_bytes >= l->node->env->limits.outputs_max) {
        lane->blocked = true;
        return true;
    }
    if (!rovei_lane_reserve(lane)) {
        rovei_list_add_head(&l->ready, &lane->ready);
        return false;
    }
    if (w->refuse) {
        rovei_kept k = {.kind = ROVEI_OUTCOME_REFUSED, .err = w->refuse};
        if (lane->fed)
            return true; /* its turn comes when those before it are applied */
        settle(lane, w->sequence, &k);
        pop_front(lane);
        close_gap(lane);
    } else if (!give(lane, w)) {
        rovei_list_add_head(&l->ready, &lane->ready);
        return false;
    }
    if (lane->waiting_count > lane->fed)
        rovei_list_add_tail(&l->ready, &lane->ready);
    return true;
}

static bool cell_has_room(const struct rovei_lanes *l)
{
    const rovei_lane *lane = ROVEI_CONTAINER(l->ready.next, rovei_lane, ready);
    size_t size = rovei_lane_waiting(lane, lane->fed)->payload.size;
    if (!l->in_cell)
        return true;
    return l->in_cell < IN_CELL_EVENTS && l->in_cell_bytes < IN_CELL_BYTES &&
           size <= IN_CELL_BYTES - l->in_cell_bytes;
}

static void offer_room(struct rovei_lanes *l)
{
    const rove_limits *limits = &l->node->env->limits;
    if (!l->wanting || l->mailbox_bytes > limits->mailbox_bytes / 2)
        return;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (!lane->wants_room || lane->waiting_count > limits->lane_events / 2 ||
            lane->waiting_bytes > limits->lane_bytes / 2 ||
            !has_room(lane, lane->wanted, lane->wanted + ROVEI_EVENT_FRAME_OVERHEAD))
            continue;
        rovei_lane_want_room(lane, false);
        lane->owes_position = true;
        rovei_lane_owe(lane);
    }
}

void rovei_lanes_feed(struct rovei_lanes *l, rovei_now now)
{
    while (!rovei_list_empty(&l->ready) && cell_has_room(l)) {
        if (!feed_one(ROVEI_CONTAINER(l->ready.next, rovei_lane, ready))) {
            rovei_timer_set(&l->node->timers, &l->sweep, rovei_time_add(now.mono, RETRY_MEMORY));
            break;
        }
    }
    offer_room(l);
}

/* ---- out of the cell ---- */

static rovei_kept outcome_of(const rovei_lane *lane, rovei_completion *c)
{
    rovei_kept k = {.kind = ROVEI_OUTCOME_APPLIED, .err = c->err};
    if (c->err) {
        /* Only what process itself reports has changed the daemon's position in its input. */
        k.kind = c->err == ROVE_E_PROCESS ? ROVEI_OUTCOME_ERROR : ROVEI_OUTCOME_REFUSED;
        k.text = c->text;
        c->text = NULL;
    } else if (rovei_buf_size(c->owner) > ROVEI_LANE_OUTPUTS_MAX) {
        k.kind = ROVEI_OUTCOME_ERROR;
        k.err = ROVE_E_TOO_LARGE;
    } else if (lane->may_read && c->output_count) {
        k.output_count = c->output_count;
        k.outputs = c->owner;
        c->owner = NULL;
    }
    return k;
}

void rovei_lanes_applied(struct rovei_lanes *l, rovei_now now, rovei_completion *c)
{
    rovei_lane *lane = rovei_map_get(&l->by_ticket, &c->ticket);
    if (!lane || !lane->fed || rovei_lane_waiting(lane, 0)->sequence != c->number)
        return; /* the lane has been forgotten meanwhile */
    rovei_kept k = outcome_of(lane, c);
    rovei_lane_touch(lane, now);
    settle(lane, c->number, &k);
    pop_front(lane);
    close_gap(lane);
    if (lane->waiting_count > lane->fed && !lane->blocked && rovei_list_empty(&lane->ready))
        rovei_list_add_tail(&l->ready, &lane->ready);
    rovei_lanes_busy(l);
}

/* ---- to the sender ---- */

static rovei_lane_outcome outcome_at(const rovei_lane *lane, uint64_t sequence)
{
    const rovei_kept *k =
        rovei_lane_kept(lane, (size_t)(sequence - rovei_lane_confirmed(lane) - 1));
    rovei_lane_outcome o = {k->kind, k->err, k->output_count, rove_buf_span(k->text),
                            rove_buf_span(k->outputs)};
    if (o.text.size > ROVEI_LANE_TEXT_MAX)
        o.text.size = ROVEI_LANE_TEXT_MAX;
    return o;
}

/* Writes the outcomes after `told` that fit one frame. False: it could not be sent. */
static bool tell_some(rovei_lane *lane)
{
    uint8_t bytes[ROVEI_LANE_EVENTS_SIZE + ROVEI_LANE_BATCH];
    struct rovei_lanes *l = lane->set;
    rovei_lane_frame f;
    rovei_lane_head(l, &f, ROVEI_LANE_OUTCOMES, lane->number);
    f.position = lane->position;
    f.first = lane->told + 1;
    rove_buf *body = NULL;
    size_t size = 0;
    while (f.first + f.count <= lane->position) {
        rovei_lane_outcome o = outcome_at(lane, f.first + f.count);
        size_t more = ROVEI_LANE_OUTCOME_SIZE + o.text.size + o.outputs.size;
        if (o.outputs.size > ROVEI_LANE_ALONE && !f.count)
            body =
                rovei_lane_kept(lane, (size_t)(f.first - rovei_lane_confirmed(lane) - 1))->outputs;
        else if (o.outputs.size > ROVEI_LANE_ALONE || more > ROVEI_LANE_BATCH - size)
            break;
        size += more;
        f.count++;
        if (body)
            break;
    }
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, &f);
    for (uint32_t i = 0; i < f.count; i++) {
        rovei_lane_outcome o = outcome_at(lane, f.first + i);
        rovei_lane_outcome_write(&w, &o, !body);
    }
    ROVEI_CHECK(w.err == ROVE_OK && f.count);
    rove_span head = {bytes, rovei_writer_size(&w)};
    if (rovei_pipe_send(l->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME, head, body))
        return false;
    lane->told += f.count;
    return true;
}

void rovei_lanes_tell(struct rovei_lanes *l)
{
    while (!rovei_list_empty(&l->owing)) {
        rovei_lane *lane = ROVEI_CONTAINER(l->owing.next, rovei_lane, owing);
        rovei_list_remove(&lane->owing);
        /* What cannot be sent now is asked for by the sender, whose own timer runs. */
        while (lane->told < lane->position && tell_some(lane)) {
        }
        if (lane->owes_position) {
            lane->owes_position = false;
            rovei_lane_say(lane, ROVEI_LANE_POSITION);
        }
    }
}

void rovei_lanes_turn(rovei_node *n, rovei_now now)
{
    while (!rovei_list_empty(&n->busy_lanes)) {
        struct rovei_lanes *l = ROVEI_CONTAINER(n->busy_lanes.next, struct rovei_lanes, busy);
        rovei_list_remove(&l->busy);
        if (!rovei_lanes_serving(l))
            continue;
        rovei_lanes_feed(l, now);
        rovei_lanes_tell(l);
        rovei_list_remove(&l->busy); /* what it owed to itself meanwhile is done */
    }
    rovei_senders_turn(n, now);
}
