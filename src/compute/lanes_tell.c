/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host's lanes say to their senders once per turn: outcomes, many in a frame, and positions.
 */
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_inside.h>
#include <string.h>

/* ---- to the sender ---- */

static const rovei_kept *kept_at(const rovei_lane *lane, uint64_t sequence)
{
    return rovei_lane_kept(lane, (size_t)(sequence - rovei_lane_confirmed(lane) - 1));
}

static bool is_plain(const rovei_kept *k)
{
    return k->kind == ROVEI_OUTCOME_APPLIED && !k->output_count;
}

/* The item that begins with the outcome of `sequence`; plain ones make one item together. */
static rovei_lane_outcome item_at(const rovei_lane *lane, uint64_t sequence)
{
    const rovei_kept *k = kept_at(lane, sequence);
    rovei_lane_outcome o = {.kind = ROVEI_OUTCOME_PLAIN};
    for (uint64_t i = sequence; i <= lane->position && is_plain(kept_at(lane, i)); i++)
        o.events++;
    if (o.events)
        return o;
    o = (rovei_lane_outcome){
        k->kind, 1, k->err, k->output_count, rove_buf_span(k->text), rove_buf_span(k->outputs)};
    if (o.text.size > ROVEI_LANE_TEXT_MAX)
        o.text.size = ROVEI_LANE_TEXT_MAX;
    return o;
}

static size_t item_size(const rovei_lane_outcome *o)
{
    return o->kind == ROVEI_OUTCOME_PLAIN
               ? ROVEI_LANE_PLAIN_SIZE
               : ROVEI_LANE_OUTCOME_SIZE + o->text.size + o->outputs.size;
}

/* Writes the items after `told` that fit, and counts their events; large outputs of one that
 * stands alone are left to *ret_body. */
static uint32_t write_items(const rovei_lane *lane, rovei_writer *w, rove_buf **ret_body)
{
    uint32_t events = 0;
    while (lane->told + events < lane->position && !*ret_body) {
        rovei_lane_outcome o = item_at(lane, lane->told + events + 1);
        bool large = o.outputs.size > ROVEI_LANE_ALONE;
        if (large ? events > 0 : item_size(&o) > rovei_writer_room(w))
            break;
        if (large)
            *ret_body = kept_at(lane, lane->told + events + 1)->outputs;
        rovei_lane_outcome_write(w, &o, !large);
        events += o.events;
    }
    return events;
}

/* Writes the outcomes after `told` that fit one frame. False: it could not be sent. */
static bool tell_some(rovei_lane *lane)
{
    uint8_t bytes[ROVEI_LANE_EVENTS_SIZE + ROVEI_LANE_BATCH];
    struct rovei_lanes *l = lane->set;
    rovei_lane_frame f;
    rove_buf *body = NULL;
    rovei_writer items = rovei_writer_of(bytes + ROVEI_LANE_EVENTS_SIZE, ROVEI_LANE_BATCH);
    rovei_lane_head(l, &f, ROVEI_LANE_OUTCOMES, lane->number);
    f.position = lane->position;
    f.first = lane->told + 1;
    f.count = write_items(lane, &items, &body);
    rovei_writer w = rovei_writer_of(bytes, ROVEI_LANE_EVENTS_SIZE);
    rovei_lane_frame_write(&w, &f);
    ROVEI_CHECK(w.err == ROVE_OK && items.err == ROVE_OK && f.count && !rovei_writer_room(&w));
    rove_span head = {bytes, ROVEI_LANE_EVENTS_SIZE + rovei_writer_size(&items)};
    if (rovei_pipe_send(l->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME, head, body))
        return false;
    lane->told += f.count;
    return true;
}

void rovei_lane_end(rovei_lane *lane, const rovei_record *record)
{
    rovei_lane_frame f;
    /* What cannot be sent is asked for: the sender sees by the position what it lacks. */
    while (lane->told < lane->position && tell_some(lane)) {
    }
    rovei_lane_head(lane->set, &f, ROVEI_LANE_ENDED, lane->number);
    f.position = lane->position;
    f.record = *record;
    rovei_lane_send(lane->set->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME, &f);
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
        if (!rovei_lanes_serving(l) &&
            (l->daemon->role != ROVEI_ROLE_PREPARED || !ROVEI_MUTANT(TARGET_FEEDS_EARLY)))
            continue;
        rovei_lanes_feed(l, now);
        rovei_lanes_tell(l);
        rovei_list_remove(&l->busy); /* what it owed to itself meanwhile is done */
    }
    rovei_senders_turn(n, now);
}
