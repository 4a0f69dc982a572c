/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of senders, as the node that they reach answers them: the serving holder by the lane's
 * state, a frozen one with Moving, a former one with the record, everybody else with what it knows.
 */
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_inside.h>
#include <compute/location_table.h>
#include <string.h>

/* ---- answers to lanes that are not kept here ---- */

static void say_loose(rovei_node *n, const rove_entity *to, const rovei_lane_frame *f)
{
    rovei_correspondent *c = rovei_correspondent_get(n, to);
    if (c)
        rovei_lane_send(n, &c->outcome, to, ROVEI_TAG_OUTCOME, f);
}

static void say_not_here(rovei_node *n, const rove_entity *to, const rovei_lane_frame *asked)
{
    rovei_lane_frame f;
    memset(&f, 0, offsetof(rovei_lane_frame, record));
    f.type = ROVEI_LANE_NOT_HERE;
    f.daemon = asked->daemon;
    f.lane = asked->lane;
    const rovei_location *at = rovei_location_get(n, &asked->daemon);
    if (at) {
        f.flags = ROVEI_NOT_HERE_RECORD;
        f.record = at->record;
        if (at->stopped)
            f.flags |= ROVEI_NOT_HERE_STOPPED;
    }
    say_loose(n, to, &f);
}

/* Through the lane's own stream where there is a lane, so that the order of answers stands. */
static void say(struct rovei_lanes *l, const rove_entity *to, rovei_lane *lane, uint64_t number,
                rovei_lane_type type, rove_err err)
{
    rovei_lane_frame f;
    if (lane) {
        rovei_lane_say(lane, type);
        return;
    }
    rovei_lane_head(l, &f, type, number);
    f.err = err;
    say_loose(l->node, to, &f);
}

/* ---- not serving ---- */

static void count_held_back(struct rovei_lanes *l, rovei_lane *lane, const rovei_lane_frame *f)
{
    if (f->type != ROVEI_LANE_EVENTS || !lane || lane->state != ROVEI_LANE_IS_OPEN || !l->held_back)
        return;
    uint64_t last = f->first + (f->count - 1);
    uint64_t from = f->first > lane->seen ? f->first : lane->seen + 1;
    if (last < from)
        return;
    *l->held_back += last - from + 1;
    lane->seen = last;
}

static void answer_moving(struct rovei_lanes *l, const rove_entity *from, const rovei_lane_frame *f)
{
    rovei_lane *lane = rovei_lane_find(l, from, f->lane);
    count_held_back(l, lane, f);
    say(l, from, lane, f->lane, ROVEI_LANE_MOVING, ROVE_OK);
}

/* No lane goes where the daemon went; what became of its events is known here as long as the frozen
 * copy is. */
static void answer_ended(struct rovei_lanes *l, const rove_entity *from, rovei_lane *lane,
                         const rovei_lane_frame *f, const rovei_record *record)
{
    if (!lane || lane->state != ROVEI_LANE_IS_OPEN) {
        say(l, from, lane, f->lane, lane ? ROVEI_LANE_CLOSE_DONE : ROVEI_LANE_NO_LANE, ROVE_OK);
        return;
    }
    if (f->type == ROVEI_LANE_ASK_POSITION) {
        rovei_lane_confirm(lane, f->upto);
        lane->told = rovei_lane_confirmed(lane);
    }
    rovei_lane_end(lane, record);
}

static void answer_record(struct rovei_lanes *l, const rove_entity *from, const rovei_lane_frame *f)
{
    rovei_lane *lane = rovei_lane_find(l, from, f->lane);
    const rovei_location *at = rovei_location_get(l->node, &f->daemon);
    rovei_lane_frame a;
    count_held_back(l, lane, f);
    if (!at)
        return;
    if (rovei_entity_is_net(&at->record.holder) && f->type != ROVEI_LANE_OPEN) {
        answer_ended(l, from, lane, f, &at->record);
        return;
    }
    rovei_lane_head(l, &a, ROVEI_LANE_RECORD, f->lane);
    a.record = at->record;
    if (lane)
        rovei_lane_send(l->node, &lane->reply, from, ROVEI_TAG_OUTCOME, &a);
    else
        say_loose(l->node, from, &a);
}

/* ---- opening and closing ---- */

static void refuse_open(rovei_lane *lane, rove_err err)
{
    struct rovei_lanes *l = lane->set;
    rove_entity sender = lane->owner->entity;
    uint64_t number = lane->number;
    rovei_lane_free(lane);
    say(l, &sender, NULL, number, ROVEI_LANE_REFUSED, err);
}

/* Asks policy from `state` on, as far as somebody is to be asked; then the lane is open. */
static void open_on(rovei_lane *lane, rovei_lane_state state)
{
    static const rovei_question what[] = {ROVEI_ASK_SEND, ROVEI_ASK_READ};
    struct rovei_lanes *l = lane->set;
    for (; state <= ROVEI_LANE_ASKING_READ; state++) {
        uint64_t ticket = rovei_node_ask(l->node, what[state], &l->daemon->entity,
                                         &lane->owner->entity, NULL, l->daemon->kind);
        if (ticket == UINT64_MAX) {
            rovei_lane_free(lane); /* as if the Open had been lost */
            return;
        }
        if (ticket) {
            lane->state = state;
            lane->asked = ticket;
            return;
        }
    }
    lane->state = ROVEI_LANE_IS_OPEN;
    lane->asked = 0;
    rovei_lane_say(lane, ROVEI_LANE_OPENED);
}

void rovei_lanes_answer(struct rovei_lanes *l, rovei_now now, uint64_t ticket, rove_err verdict)
{
    rovei_lane *lane = NULL;
    (void)now;
    ROVEI_LIST_EACH (it, next, &l->all) {
        rovei_lane *one = ROVEI_CONTAINER(it, rovei_lane, all);
        if (one->asked == ticket && one->state <= ROVEI_LANE_ASKING_READ)
            lane = one;
    }
    if (!lane || !ticket || !rovei_lanes_serving(l))
        return;
    if (lane->state == ROVEI_LANE_ASKING_READ)
        lane->may_read = verdict == ROVE_OK;
    else if (verdict) {
        refuse_open(lane, verdict);
        return;
    }
    open_on(lane, lane->state + 1);
}

static void handle_open(struct rovei_lanes *l, rovei_now now, const rove_entity *from,
                        const rovei_lane_frame *f)
{
    rovei_lane *lane = rovei_lane_find(l, from, f->lane);
    if (lane && lane->state == ROVEI_LANE_IS_CLOSED) {
        rovei_lane_say(lane, ROVEI_LANE_CLOSE_DONE);
        return;
    }
    if (lane) {
        if (lane->state == ROVEI_LANE_IS_OPEN)
            rovei_lane_say(lane, ROVEI_LANE_OPENED);
        return;
    }
    rove_err err = ROVE_E_NOT_DURABLE; /* no other level is offered */
    if (f->level == ROVEI_LEVEL_MEMORY && rovei_lanes_closed_full(l, from))
        err = ROVE_E_LANE_LIMIT; /* it would be one more closed lane one day */
    else if (f->level == ROVEI_LEVEL_MEMORY)
        err = rovei_lane_new(&lane, l, now, from, f->lane, false);
    if (!err)
        open_on(lane, ROVEI_LANE_ASKING_SEND);
    else if (err != ROVE_E_NOMEM)
        say(l, from, NULL, f->lane, ROVEI_LANE_REFUSED, err);
}

static void handle_close(struct rovei_lanes *l, rovei_now now, const rove_entity *from,
                         const rovei_lane_frame *f)
{
    rovei_lane *lane = rovei_lane_find(l, from, f->lane);
    /* A sender that has not heard of this state first has to learn what was lost with the former
     * one. */
    if (f->sinc.number && !rovei_sinc_equal(f->sinc, l->daemon->sinc) &&
        (!lane || lane->state != ROVEI_LANE_IS_CLOSED)) {
        say(l, from, lane, f->lane, lane ? ROVEI_LANE_POSITION : ROVEI_LANE_NO_LANE, ROVE_OK);
        return;
    }
    if (!lane) {
        /* Kept as closed, so that no late Open makes a lane of this number again. At the bound of
         * those no Open does either. */
        rove_err err = ROVE_E_LANE_LIMIT;
        if (!rovei_lanes_closed_full(l, from))
            err = rovei_lane_new(&lane, l, now, from, f->lane, true);
        if (err == ROVE_E_NOMEM)
            return;
        if (err) {
            say(l, from, NULL, f->lane, ROVEI_LANE_NO_LANE, ROVE_OK);
            return;
        }
    }
    if (lane->state != ROVEI_LANE_IS_CLOSED) {
        rovei_lane_close(lane);
        rovei_lane_touch(lane, now);
    }
    rovei_lane_say(lane, ROVEI_LANE_CLOSE_DONE);
}

/* ---- an open lane ---- */

static void owe_position(rovei_lane *lane)
{
    lane->owes_position = true;
    rovei_lane_owe(lane);
}

/* An event that has come before: its outcome goes out again where it is still kept. */
static void repeat(rovei_lane *lane, uint64_t sequence, const rove_link *link, rove_span payload,
                   rove_buf *message)
{
    struct rovei_lanes *l = lane->set;
    l->node->stats.events_repeated++;
    if (ROVEI_MUTANT(NO_DEDUP) && sequence <= lane->position) {
        rovei_effect *e = rovei_node_effect(l->node, ROVEI_EFFECT_APPLY);
        if (e)
            *e = (rovei_effect){.kind = ROVEI_EFFECT_APPLY,
                                .cell = l->daemon->cell,
                                .daemon = l->daemon->entity,
                                .ticket = lane->ticket,
                                .number = sequence,
                                .events = 1,
                                .link = *link,
                                .payload = payload,
                                .owner = rove_buf_ref(message)};
    }
    if (sequence > lane->position || sequence <= rovei_lane_confirmed(lane))
        return;
    if (lane->told >= sequence)
        lane->told = sequence - 1;
    rovei_lane_owe(lane);
}

/* Mutant: says "applied" of an event that only waits. */
static void acknowledge_early(rovei_lane *lane, uint64_t sequence)
{
    uint8_t item[ROVEI_LANE_OUTCOME_SIZE];
    uint8_t bytes[ROVEI_LANE_EVENTS_SIZE + sizeof item];
    rovei_lane_outcome o = {.kind = ROVEI_OUTCOME_APPLIED};
    rovei_lane_frame f;
    rovei_lane_head(lane->set, &f, ROVEI_LANE_OUTCOMES, lane->number);
    f.first = f.position = sequence;
    f.count = 1;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, &f);
    rovei_lane_outcome_write(&w, &o, true);
    rove_span head = {bytes, rovei_writer_size(&w)};
    (void)!rovei_pipe_send(lane->set->node, &lane->reply, &lane->owner->entity, ROVEI_TAG_OUTCOME,
                           head, NULL);
}

static void take_events(rovei_lane *lane, const rovei_lane_frame *f, rove_buf *message)
{
    rovei_reader r = rovei_reader_of(f->run);
    rove_link link;
    rove_span payload;
    uint64_t sequence = f->first;
    bool share = rovei_lane_may_share(lane, message);
    for (; rovei_event_frame_read(&r, &link, &payload); sequence++) {
        if (sequence <= lane->accepted) {
            repeat(lane, sequence, &link, payload, message);
            continue;
        }
        if (sequence > lane->accepted + 1 && !ROVEI_MUTANT(GAP_IN_SILENCE)) {
            /* Once for all the frames that are under way behind the missing one. */
            if (!lane->told_gap)
                owe_position(lane);
            lane->told_gap = true;
            break;
        }
        if (!rovei_lane_accept(lane, sequence, &link, payload, message, share)) {
            lane->told_gap = true;
            break;
        }
        if (ROVEI_MUTANT(ACK_ON_RECEIVE))
            acknowledge_early(lane, sequence);
    }
    rovei_lane_charge_rest(lane, message);
    rovei_lanes_busy(lane->set);
}

static void handle_ask(rovei_lane *lane)
{
    lane->told = rovei_lane_confirmed(lane);
    lane->told_gap = false;
    owe_position(lane);
}

static void handle_open_lane(rovei_lane *lane, rovei_now now, const rovei_lane_frame *f,
                             rove_buf *message)
{
    bool same = rovei_sinc_equal(f->sinc, lane->set->daemon->sinc);
    rovei_lane_touch(lane, now);
    if (same && f->type != ROVEI_LANE_GAP)
        rovei_lane_confirm(lane, f->upto);
    switch ((unsigned)f->type) {
    case ROVEI_LANE_EVENTS:
        if (same)
            take_events(lane, f, message);
        else
            owe_position(lane);
        break;
    case ROVEI_LANE_CONFIRM:
        if (!same)
            owe_position(lane);
        break;
    case ROVEI_LANE_ASK_POSITION:
        handle_ask(lane);
        break;
    case ROVEI_LANE_GAP:
        if (same)
            rovei_lane_gone(lane, f->upto);
        break;
    default:
        break;
    }
}

static void serve(struct rovei_lanes *l, rovei_now now, const rove_entity *from,
                  const rovei_lane_frame *f, rove_buf *message)
{
    if (f->type == ROVEI_LANE_OPEN) {
        handle_open(l, now, from, f);
        return;
    }
    if (f->type == ROVEI_LANE_CLOSE) {
        handle_close(l, now, from, f);
        return;
    }
    rovei_lane *lane = rovei_lane_find(l, from, f->lane);
    if (ROVEI_MUTANT(EVENT_OPENS_A_LANE) && !lane && f->type == ROVEI_LANE_EVENTS &&
        f->first == 1 && rovei_lane_new(&lane, l, now, from, f->lane, false))
        return;
    if (!lane || (lane->state == ROVEI_LANE_IS_CLOSED && f->type == ROVEI_LANE_EVENTS))
        say(l, from, lane, f->lane, ROVEI_LANE_NO_LANE, ROVE_OK);
    else if (lane->state == ROVEI_LANE_IS_CLOSED)
        rovei_lane_say(lane, ROVEI_LANE_CLOSE_DONE);
    else if (lane->state == ROVEI_LANE_IS_OPEN)
        handle_open_lane(lane, now, f, message);
}

/* ---- all frames ---- */

static void host_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_lane_frame *f, rove_buf *message)
{
    rovei_daemon *d = rovei_daemon_find(n, &f->daemon);
    if (!d) {
        say_not_here(n, from, f);
        return;
    }
    switch (d->role) {
    case ROVEI_ROLE_SERVING:
    case ROVEI_ROLE_FREEZING:
        if (rovei_lanes_make(n, d) == ROVE_OK) /* else as if it had been lost */
            serve(d->lanes, now, from, f, message);
        break;
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
        answer_moving(d->lanes, from, f);
        break;
    case ROVEI_ROLE_COMMITTED:
        answer_record(d->lanes, from, f);
        break;
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
    case ROVEI_ROLE_PREPARED:
    case ROVEI_ROLE_ACTIVATING:
    case ROVEI_ROLE_ASIDE:
        say_not_here(n, from, f);
        break;
    }
}

void rovei_lanes_receive(rovei_node *n, rovei_now now, const rove_entity *from, uint16_t tag,
                         rove_buf *message)
{
    rovei_lane_frame f;
    if (rovei_lane_frame_read(rove_buf_span(message), &f) ||
        rovei_lane_is_to_host(f.type) != (tag == ROVEI_TAG_LANE)) {
        n->stats.frames_malformed++;
        return;
    }
    if (tag == ROVEI_TAG_LANE)
        host_receive(n, now, from, &f, message);
    else
        rovei_senders_receive(n, now, from, &f, message);
}
