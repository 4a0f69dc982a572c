/* SPDX-License-Identifier: Apache-2.0
 *
 * Feed lanes: the events of a channel on their way into a daemon (docs/protocol/lanes.md, "Feed
 * lanes"). Such a lane is (publisher's entity, incarnation of the channel); its sequence is the
 * publisher's number. It travels like others, so that its position says what the daemon has had. It
 * has no sender that is told anything: outcomes are counted, and nothing is kept. */
#ifndef ROVEI_COMPUTE_LANES_CHANNEL_H
#define ROVEI_COMPUTE_LANES_CHANNEL_H

#include <compute/lanes.h>

struct rovei_lane;

/* The lane, which begins behind `position` when it is not there yet: one that is goes on where it
 * stands. It does not expire until rovei_feed_end. E_LANE_LIMIT (twice daemon_subscriptions, and in
 * all something waits or is to come), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_feed_begin(struct rovei_lane **ret, struct rovei_lanes *l,
                                        rovei_now now, const rove_entity *publisher,
                                        uint64_t incarnation, uint64_t position);
/* The number that comes next: all before it are applied, or wait in order. */
uint64_t rovei_feed_next(const struct rovei_lane *lane);
uint64_t rovei_feed_position(const struct rovei_lane *lane);
/* Whether the daemon is in a role in which it may be given events: also while it is prepared; then
 * they wait until it serves. */
bool rovei_feed_takes(const rovei_daemon *d);
/* One event. OK, also for one that it has had; E_SEQUENCE_GAP beyond the next; E_WINDOW: no room,
 * or no memory, and n->feeds_room says when there may be. `share`: as rovei_feed_may_share said of
 * this message, whose last event is followed by rovei_feed_end_message. */
ROVE_MUST_USE rove_err rovei_feed_event(struct rovei_lane *lane, uint64_t number, rove_span payload,
                                        rove_buf *message, bool share);
bool rovei_feed_may_share(const struct rovei_lane *lane, const rove_buf *message);
void rovei_feed_end_message(struct rovei_lane *lane, rovei_now now, const rove_buf *message);
/* Events up to this number are gone for good: how many of them it has not had. */
uint64_t rovei_feed_gap(struct rovei_lane *lane, uint64_t upto);
/* The daemon is not subscribed any more. With `forget` its place in the channel is forgotten, and
 * what only waits is dropped. */
void rovei_feed_end(struct rovei_lane *lane, rovei_now now, bool forget);

#endif
