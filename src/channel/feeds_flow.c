/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes from publishers: each event to every subscriber that is at its place in the channel.
 * One that serves and has no room makes all wait, the publisher too; one that cannot take anything
 * just now is left behind, and what it missed is asked for again when it can. */
#include <base/check.h>
#include <base/mutant.h>
#include <channel/feeds_inside.h>
#include <net/wire.h>

#define TOOK_SOON  (20 * ROVE_MILLISECOND)
#define TOOK_SHARE 4 /* of channel_window, or its bytes, after which Took is said at once */

void rovei_wire_busy(rovei_wire *w)
{
    if (rovei_list_empty(&w->busy))
        rovei_list_add_tail(&w->f->busy, &w->busy);
}

static void later(rovei_wire *w, rovei_now now)
{
    if (!rovei_timer_is_set(&w->timer))
        rovei_timer_set(&w->f->node->timers, &w->timer, rovei_time_add(now.mono, TOOK_SOON));
}

static bool any_waits(const rovei_wire *w)
{
    return w->waiting.count > 0;
}

void rovei_wire_forget_waiting(rovei_wire *w)
{
    rovei_feed_message m;
    while (rovei_queue_pop(&w->waiting, &m))
        rove_buf_unref(m.owner);
    w->waiting_bytes = 0;
    w->stalled = false;
}

/* ---- places ---- */

static uint64_t next_of(const rovei_feed *s)
{
    return s->lane ? rovei_feed_next(s->lane) : s->position + 1;
}

/* Its place in the present incarnation is known. */
static bool has_place(const rovei_feed *s)
{
    return s->bound && s->incarnation && s->incarnation == s->wire->incarnation;
}

static bool takes(const rovei_feed *s)
{
    return has_place(s) && (s->d ? rovei_feed_takes(s->d) : !s->held);
}

rove_err rovei_feed_keep_place(rovei_feed *s, rovei_now now)
{
    if (!s->d || s->lane || !s->incarnation)
        return ROVE_OK;
    rove_err err = rovei_lanes_make(s->wire->f->node, s->d);
    if (!err)
        err = rovei_feed_begin(&s->lane, s->d->lanes, now, &s->wire->publisher, s->incarnation,
                               s->position);
    return err;
}

void rovei_feed_attach(rovei_feed *s, rovei_now now)
{
    rovei_wire *w = s->wire;
    rovei_node *n = w->f->node;
    if (w->net && !w->incarnation) { /* this node numbers what such a publisher says */
        do
            w->incarnation = rovei_rng_u64(&n->env->rng);
        while (!w->incarnation);
        w->next = 1;
    }
    if (!s->bound || !w->incarnation)
        return;
    if (s->incarnation != w->incarnation) {
        if (s->lane)
            rovei_feed_end(s->lane, now, false);
        s->lane = NULL;
        s->position = w->next - 1;
        s->incarnation = w->incarnation;
    }
    rove_err err = rovei_feed_keep_place(s, now);
    if (err) { /* it is tried again, and has its place meanwhile */
        rovei_feed_lost(s, now, err);
        return;
    }
    s->behind = next_of(s) < w->next;
    if (s->behind)
        rovei_wire_busy(w);
}

void rovei_feed_serves(rovei_feed *s)
{
    s->full = false;
    s->behind |= has_place(s) && next_of(s) < s->wire->next;
    rovei_wire_busy(s->wire);
}

static void lose(rovei_feed *s, uint64_t upto)
{
    rovei_node *n = s->wire->f->node;
    uint64_t from = next_of(s);
    if (from > upto)
        return;
    s->lost += upto - from + 1;
    n->stats.feed_lost += upto - from + 1;
    if (s->lane) {
        (void)rovei_feed_gap(s->lane, upto);
        return;
    }
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_FEED_GAP);
    if (note) {
        note->request = s->request;
        note->number = from;
        note->value = upto;
    }
    s->position = upto;
}

/* ---- one event ---- */

typedef enum given { GIVEN_NOBODY, GIVEN_SOMEBODY, GIVEN_STALLED } given;

static given give_lane(rovei_feed *s, uint64_t number, rove_span payload, rove_buf *owner)
{
    if (s->wire->net)
        lose(s, number - 1);
    rove_err err =
        rovei_feed_event(s->lane, number, payload, owner, rovei_feed_may_share(s->lane, owner));
    if (err == ROVE_OK)
        return GIVEN_SOMEBODY;
    if (err == ROVE_E_WINDOW && ROVEI_MUTANT(FEED_TOOK_UNSEEN) && rovei_feed_gap(s->lane, number))
        return GIVEN_SOMEBODY;
    if (err == ROVE_E_WINDOW && s->d->role == ROVEI_ROLE_SERVING && !s->wire->net)
        return GIVEN_STALLED;
    s->behind = true;
    s->full |= err == ROVE_E_WINDOW && s->d->role != ROVEI_ROLE_SERVING;
    return s->d->role == ROVEI_ROLE_SERVING ? GIVEN_SOMEBODY : GIVEN_NOBODY;
}

static given give_listener(rovei_feed *s, uint64_t number, rove_span payload, rove_buf *owner)
{
    rovei_wire *w = s->wire;
    if (number <= s->position)
        return GIVEN_SOMEBODY;
    if (w->net)
        lose(s, number - 1);
    if (number > s->position + 1 && !w->group) {
        s->behind = true;
        return GIVEN_SOMEBODY;
    }
    rovei_note *note = rovei_node_note(w->f->node, ROVEI_NOTE_PUBLISHED);
    if (!note)
        return GIVEN_STALLED;
    note->request = s->request;
    note->peer = w->publisher;
    note->number = number;
    note->text = payload;
    note->owner = rove_buf_ref(owner);
    s->position = number;
    return GIVEN_SOMEBODY;
}

static bool give(rovei_wire *w, uint64_t number, rove_span payload, rove_buf *owner)
{
    bool any = false, stalled = false;
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        if (!takes(s)) {
            s->behind |= has_place(s) && next_of(s) <= number;
            continue;
        }
        given g = s->lane ? give_lane(s, number, payload, owner)
                          : give_listener(s, number, payload, owner);
        any |= g == GIVEN_SOMEBODY;
        stalled |= g == GIVEN_STALLED;
    }
    if (stalled)
        return false;
    if (number >= w->next)
        w->next = number + 1;
    if (any && number > w->taken) {
        w->taken = number;
        w->untold += ROVEI_CHANNEL_ITEM_SIZE + payload.size;
    }
    return true;
}

static bool read_net(rovei_reader *r, rove_span *ret)
{
    if (!rovei_reader_left(r))
        return false;
    *ret = rovei_read_span(r, rovei_read_u32(r));
    return rovei_reader_ok(r);
}

/* All events of a message that can be given; false: it has to wait with the rest. */
static bool give_all(rovei_wire *w, rovei_now now, rovei_feed_message *m)
{
    rove_span all = rove_buf_span(m->owner);
    rovei_reader r =
        rovei_reader_of((rove_span){(const uint8_t *)all.data + m->at, all.size - m->at});
    bool done = true;
    for (;;) {
        uint64_t number = m->number;
        rove_span payload;
        if (w->net ? !read_net(&r, &payload) : !rovei_channel_event_read(&r, &number, &payload))
            break;
        done = give(w, number, payload, m->owner);
        if (!done)
            break;
        m->number = number + 1;
        m->at = all.size - rovei_reader_left(&r);
    }
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        if (s->lane)
            rovei_feed_end_message(s->lane, now, m->owner);
    }
    return done;
}

static void drain(rovei_wire *w, rovei_now now)
{
    w->stalled = false;
    while (w->waiting.count) {
        rovei_feed_message *m = rovei_queue_first(&w->waiting);
        if (!give_all(w, now, m)) {
            w->stalled = true;
            later(w, now);
            return;
        }
        rovei_feed_message done;
        (void)rovei_queue_pop(&w->waiting, &done);
        w->waiting_bytes -= rovei_buf_size(done.owner);
        rove_buf_unref(done.owner);
    }
}

/* Takes what came, in order; beyond what a publisher may have under way it is let go of, and comes
 * again. */
static void take(rovei_wire *w, rovei_now now, rovei_feed_message m)
{
    const rove_limits *l = &w->f->node->env->limits;
    if (!any_waits(w) && give_all(w, now, &m)) {
        rovei_wire_busy(w);
        return;
    }
    bool room =
        w->waiting.count < 2 * l->channel_window && w->waiting_bytes < 4 * l->channel_window_bytes;
    rovei_feed_message *kept = room ? rovei_queue_push(&w->waiting) : NULL;
    if (kept) {
        *kept = m;
        kept->owner = rove_buf_ref(m.owner);
        w->waiting_bytes += rovei_buf_size(m.owner);
        w->stalled = true;
        later(w, now);
        return;
    }
    w->f->node->stats.feed_dropped++;
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        s->behind |= has_place(s);
    }
    rovei_wire_busy(w);
}

/* ---- messages ---- */

static void begin_anew(rovei_wire *w, rovei_now now, const rovei_channel_frame *f)
{
    w->incarnation = f->incarnation;
    w->next = f->number;
    w->asked_from = 0;
    ROVEI_LIST_EACH (it, next, &w->feeds)
        rovei_feed_attach(ROVEI_CONTAINER(it, rovei_feed, on_wire), now);
}

static void on_begin(rovei_wire *w, rovei_now now, const rovei_channel_frame *f)
{
    rovei_wire_forget_waiting(w); /* all of it that is not taken comes again */
    w->asked_from = 0;            /* it may be no answer to that: then it is asked once more */
    if (w->incarnation != f->incarnation)
        begin_anew(w, now, f);
    w->taken = w->told = f->number - 1;
    w->untold = 0;
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        if (!has_place(s))
            continue;
        if (f->number > next_of(s) && (f->flags & ROVEI_BEGIN_GROUP))
            s->position = f->number - 1;
        else if (takes(s))
            lose(s, (ROVEI_MUTANT(BEGIN_IS_A_GAP) ? f->number : f->oldest) -
                        1); /* not kept any more: asking for it would not help */
        s->behind = next_of(s) < f->number;
    }
    if (w->next < f->number)
        w->next = f->number;
    rovei_wire_busy(w);
}

static void on_ended(rovei_wire *w, rovei_now now, const rovei_channel_frame *f)
{
    rove_err err =
        f->reason == ROVEI_ENDED_REMOVED ? ROVE_E_CHANNEL_UNKNOWN : ROVE_E_CHANNEL_UNAUTHORIZED;
    w->member = false;
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        if (rovei_feed_unsettle(s, now, err))
            continue;
        if (s->bound && s->nonce)
            s->bound = false; /* the answer that is waited for says how it goes on */
        else if (s->bound)
            rovei_feed_lost(s, now, err);
    }
}

/* A membership that nothing here wants: of before this node started, one that was given up while it
 * was accepted, or whose end could not be said for want of memory. A publisher that does not read
 * what is said to it is not told again. */
static void decline(rovei_node *n, rovei_now now, const rove_entity *from,
                    const rovei_channel_frame *f)
{
    n->stats.feed_dropped++;
    if (f->type == ROVEI_CHANNEL_BEGIN)
        rovei_feeds_decline(n->feeds, now, from, f->name);
    else if (f->type == ROVEI_CHANNEL_EVENTS)
        rovei_feeds_ask_name(n->feeds, from, f);
}

void rovei_feeds_receive(rovei_node *n, rovei_now now, const rove_entity *from, rove_buf *message)
{
    rovei_channel_frame f;
    rove_span all = rove_buf_span(message);
    if (all.size && *(const uint8_t *)all.data == ROVEI_CHANNEL_MEMBERSHIP) {
        rovei_membership m;
        rove_span bytes = {(const uint8_t *)all.data + 1, all.size - 1};
        if (rovei_membership_read(bytes, &m) || m.type != ROVEI_MEMBERSHIP_ACK)
            n->stats.frames_malformed++;
        else
            rovei_feeds_ack(n, now, from, m.nonce, m.accepted, (uint8_t)m.reason);
        return;
    }
    if (rovei_channel_frame_read(all, &f)) {
        n->stats.frames_malformed++;
        return;
    }
    rovei_wire *w = rovei_wire_find(n, from, f.channel);
    if (!w || w->net) {
        decline(n, now, from, &f);
    } else if (f.type == ROVEI_CHANNEL_BEGIN) {
        on_begin(w, now, &f);
    } else if (f.type == ROVEI_CHANNEL_ENDED) {
        on_ended(w, now, &f); /* also of one that ended before it began */
    } else if (f.incarnation != w->incarnation) {
        n->stats.feed_dropped++;
    } else if (f.type == ROVEI_CHANNEL_EVENTS) {
        take(w, now,
             (rovei_feed_message){
                 .owner = message, .at = ROVEI_CHANNEL_EVENTS_SIZE, .number = f.number});
    } else {
        n->stats.frames_refused++;
    }
}

/* The frames are as many as the packet says, and nothing else. */
static bool frames_are(rove_span frames, uint16_t count)
{
    rovei_net_frames f = rovei_net_frames_of(frames, count);
    rove_span event;
    while (rovei_net_frames_next(&f, &event))
        continue;
    return !f.left && rovei_reader_ok(&f.r) && !rovei_reader_left(&f.r);
}

bool rovei_feeds_net_data(rovei_node *n, rovei_now now, uint64_t node_id, uint64_t stream,
                          uint64_t sequence, uint16_t count, rove_span frames, rove_buf *owner)
{
    const rove_entity from = rovei_entity_of_net(node_id);
    const uint64_t mark = rovei_channel_stream(0);
    (void)sequence; /* the session and its streams have dropped what came before */
    rovei_wire *w = rovei_wire_find(n, &from, stream);
    if (!w)
        w = rovei_wire_find(n, &from, stream & ~mark);
    if (!w || !w->net || !w->incarnation || !(stream & mark))
        return false;
    if (!frames_are(frames, count)) {
        n->stats.frames_malformed++;
        return true;
    }
    size_t at = (size_t)((const uint8_t *)frames.data - (const uint8_t *)rove_buf_span(owner).data);
    uint64_t number = w->next;
    take(w, now, (rovei_feed_message){.owner = owner, .at = at, .number = number});
    if (w->next < number + count) /* what was not kept has its numbers, so that it is missed */
        w->next = number + count;
    return true;
}

/* ---- once per turn ---- */

static void say(rovei_wire *w, rovei_now now, rovei_channel_type type, uint64_t number)
{
    uint8_t bytes[ROVEI_CHANNEL_FRAME_MAX];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    rovei_channel_frame f = {
        .type = type, .channel = w->hash, .incarnation = w->incarnation, .number = number};
    rovei_channel_frame_write(&out, &f);
    if (rovei_wire_say(w, (rove_span){bytes, rovei_writer_size(&out)})) {
        later(w, now);
        return;
    }
    if (type == ROVEI_CHANNEL_RESUME) {
        w->asked_from = number;
        return;
    }
    w->told = number;
    w->untold = 0;
}

static void resume(rovei_wire *w, rovei_now now)
{
    uint64_t from = UINT64_MAX;
    if (w->net || any_waits(w) || w->group || ROVEI_MUTANT(FEEDS_NO_RESUME))
        return;
    ROVEI_LIST_EACH (it, next, &w->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        if (takes(s) && s->behind && !s->full && next_of(s) < from)
            from = next_of(s);
    }
    if (from != UINT64_MAX && (!w->asked_from || from < w->asked_from))
        say(w, now, ROVEI_CHANNEL_RESUME, from);
}

static void work(rovei_wire *w, rovei_now now, bool timed)
{
    const rove_limits *l = &w->f->node->env->limits;
    drain(w, now);
    resume(w, now);
    if (w->net || w->asked_from || w->taken <= w->told)
        return;
    if (timed || w->taken - w->told >= l->channel_window / TOOK_SHARE ||
        w->untold >= l->channel_window_bytes / TOOK_SHARE || l->channel_window < TOOK_SHARE)
        say(w, now, ROVEI_CHANNEL_TOOK, w->taken);
    else
        later(w, now);
}

void rovei_wire_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    work(user, now, true);
}

void rovei_feeds_turn(rovei_node *n, rovei_now now)
{
    struct rovei_feeds *f = n->feeds;
    if (n->feeds_room) {
        n->feeds_room = false;
        size_t it = 0;
        for (rovei_wire *w; (w = rovei_map_next(&f->wires, &it));)
            if (w->stalled)
                rovei_wire_busy(w);
    }
    while (!rovei_list_empty(&f->busy)) {
        rovei_wire *w = ROVEI_CONTAINER(f->busy.next, rovei_wire, busy);
        rovei_list_remove(&w->busy);
        work(w, now, false);
    }
}
