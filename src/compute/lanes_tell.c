/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host's lanes say to their senders once per turn: outcomes, many in a frame, and positions.
 */
#include <base/check.h>
#include <compute/lanes_inside.h>
#include <string.h>

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
