/* SPDX-License-Identifier: Apache-2.0
 *
 * The lanes by which a daemon is fed from channels. */
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_channel.h>
#include <compute/lanes_inside.h>

/* Of channels that have begun anew, and of those that were left, the one that has rested longest.
 */
static bool give_way(struct rovei_lanes *l)
{
    rovei_lane *old = NULL;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        if (lane->feed && !lane->subscribed && !lane->waiting_count &&
            (!old || lane->expires < old->expires))
            old = lane;
    }
    if (old)
        rovei_lane_free(old);
    return old != NULL;
}

rove_err rovei_feed_begin(rovei_lane **ret, struct rovei_lanes *l, rovei_now now,
                          const rove_entity *publisher, uint64_t incarnation, uint64_t position)
{
    rovei_lane *lane = rovei_lane_find_feed(l, publisher, incarnation);
    if (!lane) {
        rove_err err = rovei_lane_new_feed(&lane, l, now, publisher, incarnation);
        if (err == ROVE_E_LANE_LIMIT && give_way(l))
            err = rovei_lane_new_feed(&lane, l, now, publisher, incarnation);
        if (err)
            return err;
        lane->position = lane->accepted = lane->told = position;
    }
    lane->subscribed = true;
    *ret = lane;
    return ROVE_OK;
}

uint64_t rovei_feed_next(const rovei_lane *lane)
{
    return lane->accepted + 1;
}

uint64_t rovei_feed_position(const rovei_lane *lane)
{
    return lane->position;
}

bool rovei_feed_takes(const rovei_daemon *d)
{
    return rovei_daemon_serves(d) || d->role == ROVEI_ROLE_RESTORING ||
           d->role == ROVEI_ROLE_PREPARED || d->role == ROVEI_ROLE_ACTIVATING;
}

rove_err rovei_feed_event(rovei_lane *lane, uint64_t number, rove_span payload, rove_buf *message,
                          bool share)
{
    rove_link link = {.origin = lane->owner->origin, .sequence = number};
    if (number <= lane->accepted)
        return ROVE_OK;
    if (number > lane->accepted + 1)
        return ROVE_E_SEQUENCE_GAP;
    return rovei_lane_accept(lane, number, &link, payload, message, share) ? ROVE_OK
                                                                           : ROVE_E_WINDOW;
}

bool rovei_feed_may_share(const rovei_lane *lane, const rove_buf *message)
{
    return rovei_lane_may_share(lane, message);
}

void rovei_feed_end_message(rovei_lane *lane, rovei_now now, const rove_buf *message)
{
    rovei_lane_touch(lane, now);
    rovei_lane_charge_rest(lane, message);
    if (rovei_lanes_serving(lane->set) || ROVEI_MUTANT(TARGET_FEEDS_EARLY)) /* else at activation */
        rovei_lanes_busy(lane->set);
}

uint64_t rovei_feed_gap(rovei_lane *lane, uint64_t upto)
{
    uint64_t lost = upto > lane->accepted ? upto - lane->accepted : 0;
    if (!lost)
        return 0;
    if (lane->waiting_count == lane->fed) {
        rovei_lane_gone(lane, upto);
        return lost;
    }
    /* What waits is applied first: the place of the lost ones is taken by a jump behind it. */
    lane->accepted = upto;
    return lost;
}

void rovei_feed_end(rovei_lane *lane, rovei_now now, bool forget)
{
    lane->subscribed = false;
    rovei_lane_touch(lane, now);
    if (!forget)
        return;
    rovei_lane_forget(lane, false);
    if (!lane->fed)
        rovei_lane_free(lane);
    else
        lane->expires = now.mono; /* with the next sweep, when the cell is done with it */
}
