/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits in a host's lanes for the cell: events in their order, within the bounds of the lane,
 * of its sender and of the daemon's mailbox; what is given up, and what room there is. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/lanes_inside.h>
#include <string.h>

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

/* ---- the queue ---- */

/* The event does not wait any more; its place in the ring is the caller's matter. */
static void release(rovei_lane *lane, rovei_waiting *w)
{
    if (w->holds)
        rove_buf_unref(w->owner);
    lane->waiting_bytes -= w->payload.size;
    lane->set->mailbox_bytes -= w->charge;
    lane->owner->charge -= w->charge;
}

void rovei_lane_pop(rovei_lane *lane)
{
    rovei_waiting *w = rovei_lane_waiting(lane, 0);
    release(lane, w);
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
    release(lane, rovei_lane_waiting(lane, lane->waiting_count - 1));
    lane->waiting_count--;
}

static void forget_unfed(rovei_lane *lane)
{
    while (lane->waiting_count > lane->fed)
        pop_back(lane);
    rovei_list_remove(&lane->ready);
}

void rovei_lane_forget(rovei_lane *lane, bool all)
{
    forget_unfed(lane);
    while (all && lane->waiting_count)
        rovei_lane_pop(lane);
    lane->gap = 0;
    lane->accepted = lane->position;
    if (lane->waiting_count)
        lane->accepted = rovei_lane_waiting(lane, lane->waiting_count - 1)->sequence;
}

void rovei_lane_close_gap(rovei_lane *lane)
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
        release(lane, w);
    }
    lane->waiting_count = keep;
    if (keep == lane->fed)
        rovei_list_remove(&lane->ready);
    if (lane->gap < upto)
        lane->gap = upto;
    if (lane->accepted < upto)
        lane->accepted = upto;
    lane->told_gap = false;
    rovei_lane_close_gap(lane);
}

/* Within the mailbox's bound, and the part of it that one sender may take; one event always. */
static bool in_mailbox(const rovei_lane *lane, size_t charge)
{
    const struct rovei_lanes *l = lane->set;
    uint64_t most = l->node->env->limits.mailbox_bytes;
    uint64_t share = most / ROVEI_LANE_SENDER_SHARE, own = lane->owner->charge;
    if (own && (own >= share || charge > share - own))
        return false;
    return !l->mailbox_bytes || (l->mailbox_bytes < most && charge <= most - l->mailbox_bytes);
}

bool rovei_lane_has_room(const rovei_lane *lane, size_t size, size_t charge)
{
    const rove_limits *limits = &lane->set->node->env->limits;
    if (lane->waiting_count &&
        (lane->waiting_count >= limits->lane_events || lane->waiting_bytes >= limits->lane_bytes ||
         size > limits->lane_bytes - lane->waiting_bytes))
        return false;
    return in_mailbox(lane, charge);
}

/* Forgets what waits in blocked lanes, all of it unacknowledged. Their senders are told where they
 * stand when the lanes are fed again. False: there was nothing. */
static bool make_room(struct rovei_lanes *l)
{
    bool made = !rovei_list_empty(&l->blocked);
    while (!rovei_list_empty(&l->blocked)) {
        rovei_lane *lane = ROVEI_CONTAINER(l->blocked.next, rovei_lane, ready);
        forget_unfed(lane);
        lane->accepted = lane->position;
        if (lane->fed)
            lane->accepted = rovei_lane_waiting(lane, lane->fed - 1)->sequence;
        if (lane->accepted < lane->gap)
            lane->accepted = lane->gap;
        lane->wanted = lane->wanted_charge = 0;
        rovei_lane_want_room(lane, true);
    }
    return made;
}

bool rovei_lane_may_share(const rovei_lane *lane, const rove_buf *message)
{
    return message->size <= SHARED_MESSAGE_MAX && in_mailbox(lane, message->size);
}

static rove_err refusal(const rovei_lane *lane, const rove_link *link, size_t size)
{
    if (link->origin != lane->owner->origin)
        return ROVE_E_ORIGIN_MISMATCH;
    return size > lane->set->node->env->limits.event_max ? ROVE_E_TOO_LARGE : ROVE_OK;
}

void rovei_lane_charge_rest(rovei_lane *lane, const rove_buf *message)
{
    rovei_waiting *last = NULL;
    size_t counted = 0;
    for (size_t i = lane->waiting_count; i > lane->fed; i--) {
        rovei_waiting *w = rovei_lane_waiting(lane, i - 1);
        if (w->owner != message)
            continue;
        last = last ? last : w;
        counted += w->charge;
    }
    if (!last || message->size <= counted)
        return;
    last->charge += message->size - counted;
    lane->set->mailbox_bytes += message->size - counted;
    lane->owner->charge += message->size - counted;
}

/* The last event of a message that waits is the one that holds it: a later one never leaves before
 * an earlier one. */
static void hold_message(rovei_lane *lane, rove_buf *message)
{
    rovei_waiting *before =
        lane->waiting_count ? rovei_lane_waiting(lane, lane->waiting_count - 1) : NULL;
    if (before && before->owner == message && before->holds)
        before->holds = false;
    else
        (void)rove_buf_ref(message);
}

bool rovei_lane_accept(rovei_lane *lane, uint64_t sequence, const rove_link *link,
                       rove_span payload, rove_buf *message, bool share)
{
    struct rovei_lanes *l = lane->set;
    size_t charge = payload.size + ROVEI_EVENT_FRAME_OVERHEAD;
    rove_err refuse = refusal(lane, link, payload.size);
    bool large = payload.size >= message->size / 2;
    if (refuse) { /* only its place in the order is kept */
        payload = (rove_span){NULL, 0};
        charge = ROVEI_EVENT_FRAME_OVERHEAD;
    } else if (large && charge < message->size) {
        charge = message->size;
    }
    if (lane->blocked || (!rovei_lane_has_room(lane, payload.size, charge) &&
                          !(make_room(l) && rovei_lane_has_room(lane, payload.size, charge)))) {
        lane->wanted = payload.size;
        lane->wanted_charge = charge;
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
    bool inside = share || large;
    if (!refuse && inside) {
        owner = message;
        hold_message(lane, message);
    } else if (!refuse) {
        owner = rovei_buf_copy(l->node->alloc, payload.data, payload.size);
        if (!owner)
            return false;
        payload = rove_buf_span(owner);
    }
    *rovei_lane_waiting(lane, lane->waiting_count) =
        (rovei_waiting){.sequence = sequence,
                        .link = *link,
                        .payload = payload,
                        .owner = owner,
                        .holds = owner != NULL,
                        .charge = charge,
                        .refuse = refuse,
                        .late = l->daemon->role == ROVEI_ROLE_FREEZING};
    lane->waiting_count++;
    lane->waiting_bytes += payload.size;
    l->mailbox_bytes += charge;
    lane->owner->charge += charge;
    lane->accepted = sequence;
    lane->told_gap = false;
    if (rovei_list_empty(&lane->ready))
        rovei_list_add_tail(&l->ready, &lane->ready);
    return true;
}
