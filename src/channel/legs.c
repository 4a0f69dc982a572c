/* SPDX-License-Identifier: Apache-2.0
 *
 * The legs: what a subscriber of class rove is sent of a channel's history, and what it says back.
 */
#include <base/buf.h>
#include <channel/inside.h>
#include <string.h>

#define RUN_BYTES 65536 /* items of one message; a larger event goes alone */
#define RUNS_OF_WINDOW                                                                             \
    4 /* Took gives credit for whole messages: some are taken while others go                      \
       */
#define RETRY_AFTER (10 * ROVE_MILLISECOND)

void rovei_leg_wake(struct rovei_channels *c, rovei_member *m)
{
    if (rovei_list_empty(&m->busy))
        rovei_list_add_tail(&c->busy, &m->busy);
}

void rovei_leg_begin(struct rovei_channels *c, rovei_now now, rovei_member *m, uint64_t next)
{
    (void)now;
    rovei_channel_flight f;
    while (rovei_queue_pop(&m->flights, &f))
        ;
    m->flying = m->flying_bytes = 0;
    m->next = next;
    m->begin = true;
    rovei_leg_settle(c, m);
    rovei_leg_wake(c, m);
}

/* ---- where it stands ---- */

static rovei_channel_run *run_at(const rovei_member *m, size_t index)
{
    const rovei_queue *q = &m->runs;
    return (rovei_channel_run *)(void *)(q->items +
                                         ((q->first + index) & (q->room - 1)) * q->item_size);
}

/* Runs up to `upto` are of no use any more; gives how many numbers that were. */
static uint64_t drop_runs(rovei_member *m, uint64_t upto)
{
    uint64_t gone = 0;
    rovei_channel_run old;
    while (m->runs.count && run_at(m, 0)->first <= upto) {
        rovei_channel_run *r = run_at(m, 0);
        uint64_t part = upto - r->first + 1 < r->count ? upto - r->first + 1 : r->count;
        gone += part;
        r->first += part;
        r->count -= part;
        if (!r->count)
            rovei_queue_pop(&m->runs, &old);
    }
    return gone;
}

/* The first number from `from` on that is for this leg and has been published; 0: none. */
static uint64_t number_from(const rovei_member *m, uint64_t from)
{
    uint64_t end = rovei_history_next(&m->channel->history);
    if (!m->seat.group)
        return from < end ? from : 0;
    for (size_t i = 0; i < m->runs.count; i++) {
        const rovei_channel_run *r = run_at(m, i);
        if (from < r->first + r->count)
            return from > r->first ? from : r->first;
    }
    return 0;
}

void rovei_leg_settle(struct rovei_channels *c, rovei_member *m)
{
    uint64_t first = m->channel->history.first;
    if (m->next >= first)
        return;
    uint64_t lost = first - m->next;
    if (m->seat.group) {
        uint64_t taken = drop_runs(m, m->next - 1);
        (void)taken; /* sent, and not to be asked for any more */
        lost = drop_runs(m, first - 1);
    }
    m->next = first;
    m->gaps += lost;
    c->stats.gaps += lost;
}

/* ---- out ---- */

rove_err rovei_leg_say(struct rovei_channels *c, rovei_channel_peer *p,
                       const rovei_channel_frame *f)
{
    uint8_t bytes[ROVEI_CHANNEL_FRAME_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_channel_frame_write(&w, f);
    return rovei_pipe_send(c->node, &p->pipe, &p->entity, ROVEI_TAG_CHANNEL,
                           (rove_span){bytes, rovei_writer_size(&w)}, NULL);
}

typedef struct plan {
    uint64_t first, last;
    uint32_t count;
    uint64_t bytes; /* of the items */
} plan;

/* What one message can take, within the credit. */
static bool make_plan(const struct rovei_channels *c, const rovei_member *m, plan *ret)
{
    const rove_limits *l = &c->node->env->limits;
    *ret = (plan){0};
    for (uint64_t number = number_from(m, m->next); number; number = number_from(m, number + 1)) {
        uint64_t size =
            ROVEI_CHANNEL_ITEM_SIZE + rovei_history_get(&m->channel->history, number).size;
        bool none = !ret->count && !m->flying;
        if (!none && (m->flying + ret->count >= l->channel_window ||
                      m->flying_bytes + ret->bytes + size > l->channel_window_bytes))
            break;
        if (ret->count && (ret->count >= l->channel_window / RUNS_OF_WINDOW ||
                           ret->bytes + size > RUN_BYTES || number - ret->last - 1 > UINT32_MAX))
            break;
        if (!ret->count++)
            ret->first = number;
        ret->last = number;
        ret->bytes += size;
    }
    return ret->count != 0;
}

static rove_buf *items_of(const struct rovei_channels *c, const rovei_member *m, const plan *p)
{
    rovei_channel *ch = m->channel;
    bool whole = p->last - p->first + 1 == p->count;
    if (whole && ch->run && ch->run_first == p->first && ch->run_count == p->count)
        return rove_buf_ref(ch->run);
    rove_buf *body = rovei_buf_alloc(c->node->alloc, (size_t)p->bytes);
    if (!body)
        return NULL;
    rovei_writer w = rovei_writer_of(rovei_buf_data(body), (size_t)p->bytes);
    uint64_t before = p->first - 1;
    for (uint64_t number = p->first; number && number <= p->last;
         number = number_from(m, number + 1)) {
        rovei_channel_event_write(&w, (uint32_t)(number - before - 1),
                                  rovei_history_get(&ch->history, number));
        before = number;
    }
    if (whole) {
        rove_buf_unref(ch->run);
        ch->run = rove_buf_ref(body);
        ch->run_first = p->first;
        ch->run_count = p->count;
    }
    return body;
}

static rove_err send_run(struct rovei_channels *c, rovei_member *m, const plan *p)
{
    rovei_channel_flight *flight = rovei_queue_push(&m->flights);
    rove_buf *body = flight ? items_of(c, m, p) : NULL;
    rove_err err = ROVE_E_NOMEM;
    if (body) {
        uint8_t head[ROVEI_CHANNEL_EVENTS_SIZE];
        rovei_writer w = rovei_writer_of(head, sizeof head);
        rovei_channel_frame_write(&w, &(rovei_channel_frame){.type = ROVEI_CHANNEL_EVENTS,
                                                             .channel = m->channel->hash,
                                                             .incarnation = m->channel->incarnation,
                                                             .number = p->first,
                                                             .count = p->count});
        err = rovei_pipe_send(c->node, &m->peer->pipe, &m->peer->entity, ROVEI_TAG_CHANNEL,
                              (rove_span){head, sizeof head}, body);
        rove_buf_unref(body);
    }
    if (err) {
        if (flight)
            m->flights.count--; /* the one that was just put in */
        return err;
    }
    *flight = (rovei_channel_flight){p->last, p->count, p->bytes};
    m->flying += p->count;
    m->flying_bytes += p->bytes;
    m->next = p->last + 1;
    c->stats.sent += p->count;
    return ROVE_OK;
}

rove_err rovei_leg_say_begin(struct rovei_channels *c, rovei_member *m)
{
    rovei_channel_frame f = {.type = ROVEI_CHANNEL_BEGIN,
                             .channel = m->channel->hash,
                             .incarnation = m->channel->incarnation,
                             .number = m->next,
                             .oldest = m->channel->history.first,
                             .flags = m->seat.group ? ROVEI_BEGIN_GROUP : 0,
                             .name = rovei_channel_name_of(m->channel)};
    rove_err err = m->begin ? rovei_leg_say(c, m->peer, &f) : ROVE_OK;
    if (!err)
        m->begin = false;
    return err;
}

/* Sends what may be sent. An error: it is to be tried again later. */
static rove_err write_leg(struct rovei_channels *c, rovei_now now, rovei_member *m)
{
    rovei_channel_peer *p = m->peer;
    const rove_limits *l = &c->node->env->limits;
    if (!rovei_node_reaches(c->node, &p->entity))
        return ROVE_OK; /* it goes on at peer_up */
    rovei_leg_settle(c, m);
    rove_err begun = rovei_leg_say_begin(c, m);
    if (begun)
        return begun;
    if (!m->flying)
        m->moved_at = now.mono;
    for (plan next; make_plan(c, m, &next);) {
        /* A peer that asks for everything again and again, and reads nothing, fills no memory. */
        if (rovei_pipe_queued(c->node, &p->pipe) > 4 * l->channel_window_bytes + RUN_BYTES)
            return ROVE_E_FULL;
        rove_err err = send_run(c, m, &next);
        if (err)
            return err;
    }
    return ROVE_OK;
}

void rovei_legs_turn(struct rovei_channels *c, rovei_now now)
{
    rovei_list again;
    rovei_list_init(&again);
    while (!rovei_list_empty(&c->busy)) {
        rovei_member *m = ROVEI_CONTAINER(c->busy.next, rovei_member, busy);
        rovei_list_remove(&m->busy);
        const rovei_channel_config *config =
            rovei_gates_config(c, rovei_channel_name_of(m->channel));
        if (!rovei_gates_hold(c, now, config, m, false)) {
            c->stats.evicted++;
            rovei_member_remove(c, now, m, ROVEI_ENDED_UNAUTHORIZED);
        } else if (write_leg(c, now, m)) {
            rovei_list_add_tail(&again, &m->busy);
        }
    }
    while (!rovei_list_empty(&again)) {
        rovei_list *l = again.next;
        rovei_list_remove(l);
        rovei_list_add_tail(&c->busy, l);
    }
    bool said = rovei_ends_turn(c);
    if ((!said || !rovei_list_empty(&c->busy)) && !rovei_timer_is_set(&c->retry))
        rovei_timer_set(&c->node->timers, &c->retry, rovei_time_add(now.mono, RETRY_AFTER));
}

/* ---- in ---- */

static void took(struct rovei_channels *c, rovei_now now, rovei_member *m, uint64_t upto)
{
    if (upto >= m->next) { /* it was never sent that */
        c->stats.malformed++;
        return;
    }
    if (upto <= m->took)
        return;
    m->took = upto;
    m->moved_at = now.mono;
    rovei_channel_flight old;
    while (m->flights.count &&
           ((rovei_channel_flight *)rovei_queue_first(&m->flights))->last <= upto) {
        rovei_queue_pop(&m->flights, &old);
        m->flying -= old.events;
        m->flying_bytes -= old.bytes;
    }
    if (m->seat.group)
        drop_runs(m, upto);
    rovei_leg_wake(c, m);
    rovei_channel_check_room(c, now, m->channel);
}

static void resume(struct rovei_channels *c, rovei_now now, rovei_member *m, uint64_t from)
{
    uint64_t end = rovei_history_next(&m->channel->history);
    uint64_t next = from < 1 ? 1 : from > end ? end : from;
    /* Of a group nobody keeps whose the numbers were that are taken. */
    if (m->seat.group && next <= m->took)
        next = m->took + 1;
    if (next < m->channel->history.first) {
        /* It asked for what is gone: BEGIN tells it where the rest begins. */
        next = m->channel->history.first;
    }
    if (next < m->next)
        c->stats.resent += m->next - next;
    m->took = next - 1;
    m->moved_at = now.mono;
    rovei_leg_begin(c, now, m, next);
}

void rovei_leg_frame(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                     const rovei_channel_frame *f)
{
    rovei_channel *ch = rovei_map_get(&c->channels, &f->channel);
    while (ch && ch->incarnation != f->incarnation)
        ch = ch->same;
    rovei_seat *seat = ch && p ? rovei_roster_find(&ch->roster, p->node_id) : NULL;
    if (!seat)
        return; /* of a subscription that has ended meanwhile */
    rovei_member *m = (rovei_member *)(void *)seat;
    if (f->type == ROVEI_CHANNEL_TOOK)
        took(c, now, m, f->number);
    else if (f->type == ROVEI_CHANNEL_RESUME)
        resume(c, now, m, f->number);
    else
        c->stats.malformed++;
}

/* ---- room ---- */

bool rovei_leg_holds(const struct rovei_channels *c, rovei_now now, const rovei_member *m,
                     uint64_t number)
{
    if (!rovei_member_is_leg(m) || m->took >= number)
        return false;
    if (m->seat.group) {
        uint64_t own = number_from(m, m->took + 1);
        if (!own || own > number)
            return false;
    }
    return now.mono < rovei_time_add(m->moved_at, c->node->env->limits.channel_keep);
}

bool rovei_channel_net_is_full(struct rovei_channels *c, rovei_channel *ch)
{
    size_t it = 0;
    for (rovei_seat *s; c->node->net && (s = rovei_roster_next(&ch->roster, &it));) {
        const rovei_member *m = (const rovei_member *)(const void *)s;
        if (!rovei_member_is_leg(m) &&
            rovei_net_publish_is_full(c->node->net, s->node_id, ch->hash))
            return true;
    }
    return false;
}

void rovei_channel_check_room(struct rovei_channels *c, rovei_now now, rovei_channel *ch)
{
    if (!ch->wants_room)
        return;
    /* Enough when the oldest quarter is free: a note for each event would be work for nothing. */
    uint64_t upto = ch->history.first + ch->history.count / 4;
    size_t it = 0;
    for (rovei_seat *s; (s = rovei_roster_next(&ch->roster, &it));)
        if (rovei_leg_holds(c, now, (const rovei_member *)(const void *)s, upto))
            return;
    if (rovei_channel_net_is_full(c, ch))
        return;
    rove_buf *name = rovei_buf_copy(c->node->alloc, ch->name, ch->size);
    rovei_note *note = name ? rovei_node_note(c->node, ROVEI_NOTE_CHANNEL_ROOM) : NULL;
    if (!note) {
        rove_buf_unref(name);
        return; /* it is told with the next that is taken */
    }
    note->owner = name;
    note->text = rove_buf_span(name);
    ch->wants_room = false;
}
