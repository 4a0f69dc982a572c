/* SPDX-License-Identifier: Apache-2.0
 *
 * What flows through a host's lanes: events in order into the cell, round robin and a bounded
 * number at a time; outcomes and outputs back, kept until they are confirmed. What waits for it is
 * lanes_queue.c's. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_inside.h>
#include <string.h>

/* Given to the cell and not applied, per daemon; one event always. */
#define IN_CELL_EVENTS  128
#define IN_CELL_UNKNOWN 64 /* as long as it has given no outcome */
#define IN_CELL_BYTES   ((size_t)256 << 10)
/* Events of one lane that go to the cell together, when other lanes wait for their turn as well and
 * when none does. */
#define RUN_SHARED   16
#define RUN_ALONE    64
#define RETRY_MEMORY (10 * ROVE_MILLISECOND)

/* ---- outcomes ---- */

/* Room for the outcomes of all that is with the cell and of `more`, so that keeping cannot fail. */
bool rovei_lane_reserve(rovei_lane *lane, size_t more)
{
    void *items = lane->kept;
    bool room = rovei_ring_grow(lane->set->node->alloc, &items, &lane->kept_room, &lane->kept_first,
                                lane->kept_count, lane->kept_count + lane->fed + more - 1,
                                sizeof *lane->kept);
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
    /* The next ones may be as large; a large one is forgotten slowly. */
    size_t expected = lane->set->outcome_bytes - lane->set->outcome_bytes / 256;
    lane->set->outcome_bytes = expected > bytes ? expected : bytes;
}

/* ---- the bound of outputs ---- */

static size_t outputs_max(const struct rovei_lanes *l)
{
    uint64_t most = l->node->env->limits.outputs_max;
    return most < SIZE_MAX / 4 ? (size_t)most : SIZE_MAX / 4;
}

static void block(rovei_lane *lane)
{
    lane->blocked = true;
    rovei_list_add_tail(&lane->set->blocked, &lane->ready);
}

/* What waits goes on, and what was not taken meanwhile is asked for. */
static void unblock(rovei_lane *lane)
{
    lane->blocked = false;
    rovei_list_remove(&lane->ready);
    if (lane->waiting_count > lane->fed)
        rovei_list_add_tail(&lane->set->ready, &lane->ready);
    rovei_lanes_busy(lane->set);
}

static void unblock_all(struct rovei_lanes *l)
{
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (lane->blocked)
            unblock(lane);
    }
}

/* At the bound only a lane that keeps nothing is fed, and at twice the bound none. */
static bool must_block(const rovei_lane *lane)
{
    const struct rovei_lanes *l = lane->set;
    if (lane->feed || l->kept_bytes < outputs_max(l))
        return false; /* of a feed nothing is kept */
    return lane->kept_count || lane->fed || l->kept_bytes / 2 >= outputs_max(l);
}

/* Near the bound, by what the events with the cell may give, one is fed at a time: how many more
 * may be with it. */
static size_t outcomes_room(const struct rovei_lanes *l)
{
    size_t most = outputs_max(l);
    size_t share = most / (l->outcome_bytes ? 2 * IN_CELL_EVENTS : IN_CELL_UNKNOWN);
    size_t expected = l->outcome_bytes > share ? l->outcome_bytes : share;
    size_t all = l->kept_bytes < most ? (most - l->kept_bytes) / expected : 0;
    return all > l->in_cell ? all - l->in_cell : 0;
}

static bool must_wait(const rovei_lane *lane)
{
    const struct rovei_lanes *l = lane->set;
    return !lane->feed && l->in_cell && !outcomes_room(l);
}

void rovei_lane_confirm(rovei_lane *lane, uint64_t upto)
{
    struct rovei_lanes *l = lane->set;
    size_t before = l->kept_bytes, most = outputs_max(l);
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
    if ((before >= most && l->kept_bytes < most) ||
        (before / 2 >= most && l->kept_bytes / 2 < most))
        unblock_all(l);
}

/* The position moves to `sequence`, with its outcome. */
static void settle(rovei_lane *lane, uint64_t sequence, rovei_kept *k)
{
    bool closed = lane->feed || lane->state == ROVEI_LANE_IS_CLOSED;
    lane->set->node->stats.feed_errors += lane->feed && k->kind != ROVEI_OUTCOME_APPLIED;
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

/* ---- into the cell ---- */

/* How many events from the first that is not fed on lie side by side in one message, up to `most`
 * and to what else may be with the cell. */
static size_t run_length(const rovei_lane *lane, size_t most)
{
    const struct rovei_lanes *l = lane->set;
    const rovei_waiting *w = rovei_lane_waiting(lane, lane->fed);
    size_t count = 1, bytes = l->in_cell_bytes + w->payload.size;
    /* The events of a channel do not bring links, which have to lie between. */
    for (; !lane->feed && count < most && lane->fed + count < lane->waiting_count; count++) {
        const rovei_waiting *next = rovei_lane_waiting(lane, lane->fed + count);
        const uint8_t *end = (const uint8_t *)w->payload.data + w->payload.size;
        if (!w->owner || next->owner != w->owner || next->late != w->late ||
            next->payload.data != end + ROVEI_EVENT_FRAME_OVERHEAD ||
            next->sequence != w->sequence + 1 || bytes >= IN_CELL_BYTES ||
            next->payload.size > IN_CELL_BYTES - bytes)
            break;
        bytes += next->payload.size;
        w = next;
    }
    return count;
}

static bool give(rovei_lane *lane, size_t count)
{
    struct rovei_lanes *l = lane->set;
    rovei_effect *e = rovei_node_effect(l->node, ROVEI_EFFECT_APPLY);
    if (!e)
        return false;
    rovei_waiting *w = rovei_lane_waiting(lane, lane->fed);
    rovei_waiting *last = rovei_lane_waiting(lane, lane->fed + count - 1);
    e->cell = l->daemon->cell;
    e->daemon = l->daemon->entity;
    e->ticket = lane->ticket;
    e->number = w->sequence;
    e->events = (uint32_t)count;
    e->link = w->link;
    e->payload = w->payload;
    if (count > 1) {
        const uint8_t *from = (const uint8_t *)w->payload.data - ROVEI_EVENT_FRAME_OVERHEAD;
        const uint8_t *to = (const uint8_t *)last->payload.data + last->payload.size;
        e->payload = (rove_span){from, (size_t)(to - from)};
    }
    e->owner = last->holds ? last->owner : rove_buf_ref(last->owner);
    last->holds = false;
    for (size_t i = 0; i < count; i++) {
        w = rovei_lane_waiting(lane, lane->fed);
        w->owner = NULL;
        lane->fed++;
        l->in_cell_bytes += w->payload.size;
    }
    l->in_cell += count;
    return true;
}

/* How many events may go to the cell together: fewer near the bound of outputs, and none whose
 * outcome could not be kept. E_NOMEM. */
static rove_err run_of(rovei_lane *lane, size_t *ret)
{
    struct rovei_lanes *l = lane->set;
    size_t most = rovei_list_empty(&l->ready) ? RUN_ALONE : RUN_SHARED;
    size_t free_events = l->in_cell < IN_CELL_EVENTS ? IN_CELL_EVENTS - l->in_cell : 1;
    most = most < free_events ? most : free_events;
    size_t room = outcomes_room(l);
    most = most < room ? most : room;
    most = run_length(lane, most ? most : 1);
    *ret = most;
    return lane->feed || rovei_lane_reserve(lane, most) ? ROVE_OK : ROVE_E_NOMEM;
}

/* Events of the lane go on their way. E_NOMEM; E_WINDOW: when the cell is done with others. */
static rove_err feed_some(rovei_lane *lane)
{
    struct rovei_lanes *l = lane->set;
    rovei_waiting *w = rovei_lane_waiting(lane, lane->fed);
    rovei_list_remove(&lane->ready);
    if (must_block(lane)) {
        block(lane);
        return ROVE_OK;
    }
    if (must_wait(lane)) {
        rovei_list_add_head(&l->ready, &lane->ready);
        return ROVE_E_WINDOW;
    }
    size_t count;
    if (run_of(lane, &count)) {
        rovei_list_add_head(&l->ready, &lane->ready);
        return ROVE_E_NOMEM;
    }
    if (w->refuse) {
        rovei_kept k = {.kind = ROVEI_OUTCOME_REFUSED, .err = w->refuse};
        if (lane->fed)
            return ROVE_OK; /* its turn comes when those before it are applied */
        settle(lane, w->sequence, &k);
        rovei_lane_pop(lane);
        rovei_lane_close_gap(lane);
    } else if (!give(lane, count)) {
        rovei_list_add_head(&l->ready, &lane->ready);
        return ROVE_E_NOMEM;
    }
    if (lane->waiting_count > lane->fed)
        rovei_list_add_tail(&l->ready, &lane->ready);
    return ROVE_OK;
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
        if (!lane->wants_room || lane->blocked || lane->waiting_count > limits->lane_events / 2 ||
            lane->waiting_bytes > limits->lane_bytes / 2 ||
            lane->owner->charge > limits->mailbox_bytes / ROVEI_LANE_SENDER_SHARE / 2 ||
            !rovei_lane_has_room(lane, lane->wanted, lane->wanted_charge))
            continue;
        rovei_lane_want_room(lane, false);
        if (lane->feed) {
            l->node->feeds_room = true;
            continue;
        }
        lane->owes_position = true;
        rovei_lane_owe(lane);
    }
}

void rovei_lanes_feed(struct rovei_lanes *l, rovei_now now)
{
    while (!rovei_list_empty(&l->ready) && cell_has_room(l)) {
        rove_err err = feed_some(ROVEI_CONTAINER(l->ready.next, rovei_lane, ready));
        if (err == ROVE_E_NOMEM)
            rovei_timer_set(&l->node->timers, &l->sweep, rovei_time_add(now.mono, RETRY_MEMORY));
        if (err)
            break;
    }
    offer_room(l);
}

/* ---- out of the cell ---- */

static rovei_kept outcome_of(const rovei_lane *lane, rovei_result *r)
{
    rovei_kept k = {.kind = ROVEI_OUTCOME_APPLIED, .err = r->err};
    if (r->err) {
        /* Only what process itself reports has changed the daemon's position in its input. */
        k.kind = r->err == ROVE_E_PROCESS ? ROVEI_OUTCOME_ERROR : ROVEI_OUTCOME_REFUSED;
        k.text = r->text;
        r->text = NULL;
    } else if (rovei_buf_size(r->outputs) > ROVEI_LANE_OUTPUTS_MAX) {
        k.kind = ROVEI_OUTCOME_ERROR;
        k.err = ROVE_E_TOO_LARGE;
    } else if (lane->may_read && r->output_count) {
        k.output_count = r->output_count;
        k.outputs = r->outputs;
        r->outputs = NULL;
    }
    return k;
}

void rovei_lanes_applied(struct rovei_lanes *l, rovei_now now, rovei_completion *c)
{
    rovei_lane *lane = rovei_map_get(&l->by_ticket, &c->ticket);
    if (!lane || !lane->fed || rovei_lane_waiting(lane, 0)->sequence != c->number)
        return; /* the lane has been forgotten meanwhile */
    rovei_lane_touch(lane, now);
    for (uint32_t i = 0; i < c->events && lane->fed; i++) {
        rovei_kept k = outcome_of(lane, &c->results[i]);
        settle(lane, c->number + i, &k);
        rovei_lane_pop(lane);
    }
    rovei_lane_close_gap(lane);
    if (lane->waiting_count > lane->fed && !lane->blocked && rovei_list_empty(&lane->ready))
        rovei_list_add_tail(&l->ready, &lane->ready);
    rovei_lanes_busy(l);
}
