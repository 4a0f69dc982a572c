/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sender writes: the one frame that its state asks for, or the events of its window, small
 * ones many to a frame. */
#include <base/check.h>
#include <base/mutant.h>
#include <compute/location_table.h>
#include <compute/sender_inside.h>
#include <string.h>

#define RETRY_FULL (20 * ROVE_MILLISECOND) /* after a send that was refused */

static void head_of(const rovei_sender *s, rovei_lane_frame *f, rovei_lane_type type, uint64_t lane)
{
    memset(f, 0, offsetof(rovei_lane_frame, record));
    f->type = type;
    f->level = ROVEI_LEVEL_MEMORY;
    f->daemon = s->route->daemon;
    f->lane = lane;
    if (type != ROVEI_LANE_OPEN)
        f->sinc = s->route->sinc;
}

/* False: not written; then a timer or an event of the peer comes back to it. */
static bool put(rovei_sender *s, rovei_now now, rove_span head, rove_buf *body)
{
    rove_err err =
        rovei_pipe_send(s->node, &s->pipe, &s->route->holder, ROVEI_TAG_LANE, head, body);
    if (!err)
        return true;
    if (err == ROVE_E_UNREACHABLE)
        rovei_route_trouble(s->route, now);
    s->hold_until = rovei_time_add(now.mono, RETRY_FULL);
    return false;
}

static bool put_frame(rovei_sender *s, rovei_now now, const rovei_lane_frame *f)
{
    uint8_t bytes[ROVEI_LANE_FRAME_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, f);
    ROVEI_CHECK(w.err == ROVE_OK);
    return put(s, now, (rove_span){bytes, rovei_writer_size(&w)}, NULL);
}

static void await(rovei_sender *s, rovei_now now)
{
    if (s->retry_at == ROVE_TIME_NEVER)
        s->retry_at = rovei_time_add(now.mono, s->pause);
}

static void confirmed(rovei_sender *s)
{
    s->confirmed = s->acked;
    s->confirm_at = ROVE_TIME_NEVER;
    s->unconfirmed_bytes = 0;
}

/* The question of the present state, once until it is answered or a timer runs out. */
static void say(rovei_sender *s, rovei_now now, rovei_lane_type type)
{
    rovei_lane_frame f;
    if (s->said)
        return;
    head_of(s, &f, type, s->lane);
    if (type == ROVEI_LANE_ASK_POSITION)
        f.upto = s->acked;
    if (!put_frame(s, now, &f))
        return;
    s->said = true;
    if (type == ROVEI_LANE_OPEN)
        s->opened = true;
    if (type == ROVEI_LANE_ASK_POSITION)
        confirmed(s);
    await(s, now);
}

/* ---- events ---- */

static bool put_large(rovei_sender *s, rovei_now now, const rovei_queued *q)
{
    uint8_t bytes[ROVEI_LANE_EVENTS_SIZE + ROVEI_EVENT_FRAME_OVERHEAD];
    rovei_lane_frame f;
    head_of(s, &f, ROVEI_LANE_EVENTS, s->lane);
    f.first = s->sent + 1;
    f.upto = s->acked;
    f.count = 1;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, &f);
    rovei_write_u32(&w, (uint32_t)(ROVEI_LINK_SIZE + q->payload.size));
    rovei_write_link(&w, &q->link);
    ROVEI_CHECK(w.err == ROVE_OK && q->payload.size == rovei_buf_size(q->owner));
    return put(s, now, (rove_span){bytes, rovei_writer_size(&w)}, q->owner);
}

static bool put_batch(rovei_sender *s, rovei_now now, uint32_t *ret_count)
{
    uint8_t bytes[ROVEI_LANE_EVENTS_SIZE + ROVEI_LANE_BATCH];
    rovei_lane_frame f;
    size_t size = 0;
    head_of(s, &f, ROVEI_LANE_EVENTS, s->lane);
    f.first = s->sent + 1;
    f.upto = s->acked;
    for (uint64_t i = s->sent; i < s->next; i++, f.count++) {
        const rovei_queued *q = rovei_sender_queued(s, (size_t)(i - s->acked));
        size_t more = q->payload.size + ROVEI_EVENT_FRAME_OVERHEAD;
        if (q->payload.size > ROVEI_LANE_ALONE || more > ROVEI_LANE_BATCH - size)
            break;
        size += more;
    }
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, &f);
    for (uint32_t i = 0; i < f.count; i++) {
        const rovei_queued *q = rovei_sender_queued(s, (size_t)(s->sent + i - s->acked));
        rovei_event_frame_write(&w, &q->link, q->payload);
    }
    ROVEI_CHECK(w.err == ROVE_OK && f.count);
    *ret_count = f.count;
    return put(s, now, (rove_span){bytes, rovei_writer_size(&w)}, NULL);
}

static void write_events(rovei_sender *s, rovei_now now)
{
    while (s->sent < s->next) {
        const rovei_queued *q = rovei_sender_queued(s, (size_t)(s->sent - s->acked));
        uint32_t count = 1;
        bool large = q->payload.size > ROVEI_LANE_ALONE;
        if (!(large ? put_large(s, now, q) : put_batch(s, now, &count)))
            return;
        uint64_t again = s->high > s->sent ? s->high - s->sent : 0;
        s->node->stats.events_resent += again < count ? again : count;
        s->sent += count;
        if (s->high < s->sent)
            s->high = s->sent;
        confirmed(s);
        await(s, now);
    }
}

static void write_open_lane(rovei_sender *s, rovei_now now)
{
    rovei_lane_frame f;
    if (s->gap_due) {
        head_of(s, &f, ROVEI_LANE_GAP, s->lane);
        f.upto = s->acked;
        if (!put_frame(s, now, &f))
            return;
        s->gap_due = false;
    }
    if (s->ask) {
        head_of(s, &f, ROVEI_LANE_ASK_POSITION, s->lane);
        f.upto = s->acked;
        if (!put_frame(s, now, &f))
            return;
        s->ask = false;
        confirmed(s);
        await(s, now);
    }
    write_events(s, now);
    if (now.mono >= s->confirm_at) {
        head_of(s, &f, ROVEI_LANE_CONFIRM, s->lane);
        f.upto = s->acked;
        if (put_frame(s, now, &f))
            confirmed(s);
    }
    if (s->closing && !s->queue_count)
        say(s, now, ROVEI_LANE_CLOSE);
}

/* Lanes that the host had forgotten are asked about as well when the state has gone back. */
static void ask_old(rovei_sender *s, rovei_now now)
{
    rovei_lane_frame f;
    for (size_t i = 0; i < s->old_count; i++) {
        rovei_old_lane *o = &s->old[i];
        if (!o->checking || o->asked)
            continue;
        head_of(s, &f, ROVEI_LANE_ASK_POSITION, o->number);
        f.upto = o->applied.upto;
        if (!put_frame(s, now, &f))
            return;
        o->asked = true;
        await(s, now);
    }
}

/* ---- the sender's turn ---- */

static void begin_lane(rovei_sender *s)
{
    if (s->acked)
        rovei_sender_new_lane(s);
    do
        s->lane = rovei_rng_u64(&s->node->env->rng);
    while (!s->lane);
    s->state = ROVEI_SENDER_OPENING;
    s->said = false;
}

/* True when somebody waits for what only the holder can do. */
static bool needs_holder(const rovei_sender *s)
{
    if (s->queue_count || s->checking || s->closing)
        return true;
    for (size_t i = 0; i < s->old_count; i++)
        if (s->old[i].checking)
            return true;
    return false;
}

static void write_state(rovei_sender *s, rovei_now now)
{
    if (s->state == ROVEI_SENDER_NONE && s->queue_count)
        begin_lane(s);
    switch (s->state) {
    case ROVEI_SENDER_NONE:
        break;
    case ROVEI_SENDER_OPENING:
        say(s, now, s->closing && !s->queue_count ? ROVEI_LANE_CLOSE : ROVEI_LANE_OPEN);
        break;
    case ROVEI_SENDER_SYNC:
        say(s, now, ROVEI_LANE_ASK_POSITION);
        break;
    case ROVEI_SENDER_OPEN:
        write_open_lane(s, now);
        break;
    }
    ask_old(s, now);
}

/* Where no lane goes, what was never sent is certainly not applied; what was sent has to be asked
 * for. */
static bool settle_ended(rovei_sender *s)
{
    bool sent = s->state == ROVEI_SENDER_OPEN || s->state == ROVEI_SENDER_SYNC;
    if (!s->route->ended || (sent && s->high > s->acked))
        return false;
    s->old_count = 0;
    if (s->state != ROVEI_SENDER_NONE || s->queue_count)
        rovei_sender_refuse_all(s, ROVE_E_NO_LANES);
    return true;
}

/* A closing sender that owes and is owed nothing, or has tried for long enough, is over. */
static bool may_end(const rovei_sender *s, rovei_now now)
{
    if (!s->closing || s->queue_count)
        return false;
    if (s->state == ROVEI_SENDER_NONE || (s->state == ROVEI_SENDER_OPENING && !s->opened))
        return true;
    return now.mono >= s->close_until;
}

void rovei_sender_write(rovei_sender *s, rovei_now now)
{
    if (!rovei_sender_drain(s)) {
        s->hold_until = rovei_time_add(now.mono, RETRY_FULL);
    } else if (may_end(s, now)) {
        if (rovei_sender_end(s))
            return;
        s->hold_until = rovei_time_add(now.mono, RETRY_FULL);
    } else if (!settle_ended(s) && now.mono >= s->hold_until) {
        bool known = !rovei_entity_is_zero(&s->route->holder);
        if (known && rovei_node_reaches(s->node, &s->route->holder)) {
            write_state(s, now);
        } else if (needs_holder(s)) {
            rovei_route_trouble(s->route, now);
            await(s, now);
        }
    }
    rovei_sender_arm(s, now);
}

void rovei_senders_turn(rovei_node *n, rovei_now now)
{
    /* Round robin: who becomes busy meanwhile has its turn in the next round. */
    rovei_list turn;
    rovei_list_init(&turn);
    while (!rovei_list_empty(&n->busy_senders)) {
        rovei_list *it = n->busy_senders.next;
        rovei_list_remove(it);
        rovei_list_add_tail(&turn, it);
    }
    while (!rovei_list_empty(&turn)) {
        rovei_sender *s = ROVEI_CONTAINER(turn.next, rovei_sender, busy);
        rovei_list_remove(&s->busy);
        rovei_sender_write(s, now);
    }
}
