/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's messages in words. */
#include "words.h"
#include "truth.h"
#include <channel/channel_codec.h>
#include <channel/membership_codec.h>
#include <compute/lane_codec.h>
#include <compute/locate_codec.h>
#include <migration/move_codec.h>

static const char *move_name(rovei_move_type type)
{
    static const char *const names[] = {
        [ROVEI_MOVE_OFFER] = "Offer",       [ROVEI_MOVE_ACCEPT] = "Accept",
        [ROVEI_MOVE_REFUSE] = "Refuse",     [ROVEI_MOVE_STATE] = "State",
        [ROVEI_MOVE_EVENTS] = "Events",     [ROVEI_MOVE_POSITIONS] = "Positions",
        [ROVEI_MOVE_ENVELOPE] = "Envelope", [ROVEI_MOVE_SEALED] = "Sealed",
        [ROVEI_MOVE_PREPARED] = "Prepared", [ROVEI_MOVE_COMMIT] = "Commit",
        [ROVEI_MOVE_ACTIVE] = "Active",     [ROVEI_MOVE_CLOSED] = "Closed",
        [ROVEI_MOVE_UNKNOWN] = "Unknown",   [ROVEI_MOVE_RESULTS] = "Results",
        [ROVEI_MOVE_ABORT] = "Abort",       [ROVEI_MOVE_PROGRESS] = "Progress",
        [ROVEI_MOVE_ORDER] = "Order",       [ROVEI_MOVE_CANCEL] = "Cancel",
        [ROVEI_MOVE_OUTCOME] = "Outcome"};
    return names[type];
}

static const char *lane_name(rovei_lane_type type)
{
    switch (type) {
    case ROVEI_LANE_OPEN:
        return "Open";
    case ROVEI_LANE_EVENTS:
        return "Event";
    case ROVEI_LANE_CONFIRM:
        return "Confirm";
    case ROVEI_LANE_ASK_POSITION:
        return "AskPosition";
    case ROVEI_LANE_GAP:
        return "Gap";
    case ROVEI_LANE_CLOSE:
        return "Close";
    case ROVEI_LANE_OPENED:
        return "Opened";
    case ROVEI_LANE_REFUSED:
        return "Refused";
    case ROVEI_LANE_OUTCOMES:
        return "Outcomes";
    case ROVEI_LANE_POSITION:
        return "Position";
    case ROVEI_LANE_NO_LANE:
        return "NoLane";
    case ROVEI_LANE_MOVING:
        return "Moving";
    case ROVEI_LANE_NOT_HERE:
        return "NotHere";
    case ROVEI_LANE_RECORD:
        return "Record";
    case ROVEI_LANE_CLOSE_DONE:
        return "CloseDone";
    case ROVEI_LANE_ENDED:
        return "Ended";
    }
    return "?";
}

static bool read_move(sim_world *w, rove_span bytes, sim_message *ret)
{
    rovei_move_message m;
    if (rovei_move_decode(&m, bytes))
        return false;
    ret->type = (unsigned)m.head.type;
    ret->name = move_name(m.head.type);
    ret->daemon = sim_daemon_of(w, &m.head.daemon);
    ret->attempt = m.head.attempt;
    ret->sinc = m.head.sinc.number;
    if (m.head.type == ROVEI_MOVE_PREPARED)
        ret->number = m.prepared.ticket;
    if (m.head.type == ROVEI_MOVE_COMMIT)
        ret->number = m.commit.ticket;
    return true;
}

static bool read_lane(sim_world *w, rove_span bytes, sim_message *ret)
{
    rovei_lane_frame f;
    if (rovei_lane_frame_read(bytes, &f))
        return false;
    ret->type = (unsigned)f.type;
    ret->name = lane_name(f.type);
    ret->daemon = sim_daemon_of(w, &f.daemon);
    ret->sinc = f.sinc.number;
    ret->number = f.lane;
    ret->answer_of_holder = f.type == ROVEI_LANE_OPENED || f.type == ROVEI_LANE_REFUSED ||
                            f.type == ROVEI_LANE_OUTCOMES || f.type == ROVEI_LANE_POSITION ||
                            f.type == ROVEI_LANE_NO_LANE;
    if (f.type == ROVEI_LANE_EVENTS || f.type == ROVEI_LANE_OUTCOMES) {
        ret->number = f.first;
        ret->count = f.count;
    }
    return true;
}

static bool read_locate(sim_world *w, rove_span bytes, sim_message *ret)
{
    rovei_locate m;
    if (rovei_locate_read(bytes, &m))
        return false;
    ret->type = (unsigned)m.type;
    ret->name = m.type == ROVEI_LOCATE_ASK      ? "Where"
                : m.type == ROVEI_LOCATE_ANSWER ? "There"
                                                : "Tell";
    ret->daemon = sim_daemon_of(w, &m.daemon);
    if (m.type == ROVEI_LOCATE_ASK)
        ret->number = m.known;
    else if (m.flags & ROVEI_LOCATE_RECORD)
        ret->number = m.record.epoch;
    return true;
}

static const char *channel_name(rovei_channel_type type)
{
    switch (type) {
    case ROVEI_CHANNEL_MEMBERSHIP:
        break;
    case ROVEI_CHANNEL_BEGIN:
        return "Begin";
    case ROVEI_CHANNEL_EVENTS:
        return "Publications";
    case ROVEI_CHANNEL_ENDED:
        return "Ended";
    case ROVEI_CHANNEL_TOOK:
        return "Took";
    case ROVEI_CHANNEL_RESUME:
        return "Resume";
    }
    return "?";
}

static const char *membership_name(const rovei_membership *m)
{
    if (m->type == ROVEI_MEMBERSHIP_SUBSCRIBE)
        return "Subscribe";
    if (m->type == ROVEI_MEMBERSHIP_UNSUBSCRIBE)
        return "Unsubscribe";
    return m->accepted ? "Ack" : "Ack (refused)";
}

static bool read_membership(rove_span bytes, sim_message *ret)
{
    rovei_membership m;
    if (rovei_membership_read(bytes, &m))
        return false;
    ret->type = ROVEI_CHANNEL_MEMBERSHIP;
    ret->name = membership_name(&m);
    ret->number = m.nonce & 0xffff;
    return true;
}

static bool read_channel(rove_span bytes, sim_message *ret)
{
    rovei_channel_frame f;
    const uint8_t *p = bytes.data;
    if (bytes.size && p[0] == ROVEI_CHANNEL_MEMBERSHIP)
        return read_membership((rove_span){p + 1, bytes.size - 1}, ret);
    if (rovei_channel_frame_read(bytes, &f))
        return false;
    ret->type = (unsigned)f.type;
    ret->name = channel_name(f.type);
    ret->number = f.number;
    ret->count = f.count;
    ret->channel = f.channel;
    return true;
}

bool sim_message_read(sim_world *w, uint16_t tag, rove_span bytes, sim_message *ret)
{
    *ret = (sim_message){.tag = tag};
    if (tag == ROVEI_TAG_MOVE)
        return read_move(w, bytes, ret);
    if (tag == ROVEI_TAG_LANE || tag == ROVEI_TAG_OUTCOME)
        return read_lane(w, bytes, ret);
    if (tag == ROVEI_TAG_CHANNEL)
        return read_channel(bytes, ret);
    return tag == ROVEI_TAG_LOCATE && read_locate(w, bytes, ret);
}
