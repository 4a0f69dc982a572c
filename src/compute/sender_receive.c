/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sender hears. Only the holder of the highest record known is believed about lanes;
 * anybody's record is believed as far as its signatures and its order go. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/sender_inside.h>
#include <string.h>

/* Unconfirmed outputs at which a confirmation does not wait. */
#define CONFIRM_BYTES ((size_t)256 << 10)

static rovei_sender *sender_of(const rovei_route *r, uint64_t lane)
{
    ROVEI_LIST_EACH (it, next, &r->senders) {
        rovei_sender *s = ROVEI_CONTAINER(it, rovei_sender, in_route);
        if (s->lane == lane)
            return s;
    }
    return NULL;
}

static rovei_old_lane *old_of(const rovei_route *r, uint64_t lane, rovei_sender **ret_sender)
{
    ROVEI_LIST_EACH (it, next, &r->senders) {
        rovei_sender *s = ROVEI_CONTAINER(it, rovei_sender, in_route);
        for (size_t i = 0; i < s->old_count; i++)
            if (s->old[i].number == lane) {
                *ret_sender = s;
                return &s->old[i];
            }
    }
    return NULL;
}

static bool checks_old(const rovei_sender *s)
{
    for (size_t i = 0; i < s->old_count; i++)
        if (s->old[i].checking)
            return true;
    return false;
}

/* Progress in the present lane is no answer about an older one, whose question may be lost. */
static void retry_from(rovei_sender *s, uint64_t at)
{
    s->retry_at = checks_old(s) ? rovei_time_min(s->retry_at, at) : at;
}

static void progress(rovei_sender *s)
{
    s->pause = ROVEI_SENDER_PAUSE;
    s->hold = 0;
    s->hold_until = 0; /* the holder speaks: there is nothing to wait for */
    retry_from(s, ROVE_TIME_NEVER);
    rovei_sender_busy(s);
}

/* Waits before it says anything in the lane again; each time longer, until there is progress. */
static void hold_back(rovei_sender *s, rovei_now now, uint64_t most)
{
    s->hold = s->hold ? rovei_time_min(s->hold * 2, most) : ROVEI_SENDER_HOLD;
    s->hold_until = rovei_time_add(now.mono, s->hold);
    s->retry_at = ROVE_TIME_NEVER;
    s->said = false;
    for (size_t i = 0; i < s->old_count; i++)
        s->old[i].asked = false;
    if (s->state == ROVEI_SENDER_OPEN) {
        s->state = ROVEI_SENDER_SYNC;
        s->sent = s->acked;
    }
    rovei_sender_busy(s);
}

/* An older lane's question had no answer but this. One wait is enough for all that were asked at
 * the same time. */
static void hold_old(rovei_sender *s, rovei_old_lane *o, rovei_now now, uint64_t most)
{
    o->asked = false;
    if (o->checking && now.mono >= s->hold_until)
        hold_back(s, now, most);
}

/* ---- outcomes ---- */

/* Events that left nothing but their having been applied share a note. */
static bool note_applied(rovei_sender *s, uint64_t first, uint64_t last)
{
    rovei_note *note = rovei_node_note(s->node, ROVEI_NOTE_APPLIED);
    if (!note)
        return false;
    note->sender = s->number;
    note->number = s->base + first;
    note->value = s->base + last;
    return true;
}

static bool note_outcome(rovei_sender *s, uint64_t sequence, const rovei_lane_outcome *o,
                         rove_buf *message)
{
    bool refused = o->kind == ROVEI_OUTCOME_REFUSED;
    rovei_note *note = rovei_node_note(s->node, refused ? ROVEI_NOTE_REFUSED : ROVEI_NOTE_APPLIED);
    if (!note)
        return false;
    note->sender = s->number;
    note->number = note->value = s->base + sequence;
    note->err = o->err;
    note->outputs = o->outputs;
    note->output_count = o->output_count;
    note->text = o->text;
    if (o->outputs.size || o->text.size)
        note->owner = rove_buf_ref(message);
    if (refused) {
        s->node->stats.events_refused++;
        rovei_applied_hole(&s->applied, sequence, sequence);
    }
    return true;
}

static void confirm_later(rovei_sender *s, rovei_now now)
{
    uint64_t wait = s->unconfirmed_bytes >= CONFIRM_BYTES ||
                            s->acked - s->confirmed >= s->node->env->limits.lane_events / 2
                        ? 0
                        : ROVEI_SENDER_CONFIRM;
    s->confirm_at = rovei_time_min(s->confirm_at, rovei_time_add(now.mono, wait));
}

/* Of the outcomes of `events` events from `first` on, those that come next. False: no more can be
 * taken of the frame. */
static bool take_plain(rovei_sender *s, uint64_t first, uint32_t events)
{
    uint64_t last = first + (events - 1), least = s->acked + 1;
    uint64_t most = s->acked + s->queue_count < s->high ? s->acked + s->queue_count : s->high;
    if (last < least)
        return true;
    if (first > least || least > most) /* one before it is missing: it will be asked for */
        return false;
    uint64_t upto = last < most ? last : most;
    if (!note_applied(s, least, upto))
        return false;
    while (s->acked < upto)
        rovei_sender_pop(s);
    return upto == last;
}

static bool take_outcome(rovei_sender *s, uint64_t sequence, const rovei_lane_outcome *o,
                         rove_buf *message)
{
    if (o->kind == ROVEI_OUTCOME_PLAIN)
        return take_plain(s, sequence, o->events);
    if (sequence <= s->acked)
        return true;
    if (sequence > s->acked + 1 || sequence > s->high || !s->queue_count)
        return false;
    if (!note_outcome(s, sequence, o, message))
        return false;
    s->unconfirmed_bytes += o->outputs.size + o->text.size;
    rovei_sender_pop(s);
    return true;
}

static void handle_outcomes(rovei_sender *s, rovei_now now, const rovei_lane_frame *f,
                            rove_buf *message)
{
    rovei_reader r = rovei_reader_of(f->run);
    rovei_lane_outcome o;
    uint64_t sequence = f->first, before = s->acked;
    if (s->state != ROVEI_SENDER_OPEN && s->state != ROVEI_SENDER_SYNC)
        return;
    while (sequence - f->first < f->count && rovei_lane_outcome_read(&r, &o) &&
           take_outcome(s, sequence, &o, message))
        sequence += o.events;
    if (s->acked != before) {
        confirm_later(s, now);
        progress(s);
        if (s->queue_count && s->sent > s->acked)
            retry_from(s, rovei_time_add(now.mono, s->pause));
        rovei_sender_room(s);
    }
}

/* ---- positions ---- */

static void handle_position(rovei_sender *s, rovei_now now, const rovei_lane_frame *f)
{
    uint64_t most = s->high > s->acked ? s->high : s->acked;
    if (s->state != ROVEI_SENDER_OPEN && s->state != ROVEI_SENDER_SYNC)
        return;
    if (f->position > most) {
        s->node->stats.frames_refused++;
        return;
    }
    if (s->checking)
        rovei_sender_lost(s, s->base, &s->applied, f->position);
    s->checking = false;
    /* What it no longer has will never come. */
    s->gap_due = f->position < s->acked && !ROVEI_MUTANT(GAP_IN_SILENCE);
    s->state = ROVEI_SENDER_OPEN;
    s->said = s->ask = false;
    progress(s);
    if (f->position > s->acked) {
        /* Outcomes are missing: the host says them again when it is asked. */
        retry_from(s, rovei_time_add(now.mono, s->pause));
        s->sent = f->held < most ? f->held : most;
        return;
    }
    uint64_t held = f->held < most ? f->held : most;
    s->sent = held > s->acked ? held : s->acked;
    if (s->sent > s->acked)
        retry_from(s, rovei_time_add(now.mono, s->pause));
}

static void handle_old_position(rovei_sender *s, rovei_old_lane *o, uint64_t position)
{
    rovei_sender_lost(s, o->base, &o->applied, position);
    o->checking = false;
}

/* ---- the end of a lane ---- */

static void drop_old(rovei_sender *s, rovei_old_lane *o)
{
    size_t i = (size_t)(o - s->old);
    memmove(o, o + 1, (s->old_count - i - 1) * sizeof *o);
    s->old_count--;
}

/* The host has forgotten the lane, but the state is the same: what it applied may still be lost
 * later. */
static void keep_old(rovei_sender *s)
{
    void *items = s->old;
    if (!s->applied.upto || s->closing)
        return;
    if (s->old_count == ROVEI_OLD_LANES_MAX)
        drop_old(s, s->old);
    if (rovei_grow(s->node->alloc, &items, &s->old_room, s->old_count, sizeof *s->old,
                   ROVEI_OLD_LANES_MAX))
        return; /* a loss in it will only be seen by who counts */
    s->old = items;
    s->old[s->old_count++] =
        (rovei_old_lane){.number = s->lane, .base = s->base, .applied = s->applied};
}

static void handle_no_lane(rovei_sender *s, bool raised)
{
    if (s->state != ROVEI_SENDER_OPEN && s->state != ROVEI_SENDER_SYNC &&
        !(s->closing && s->state == ROVEI_SENDER_OPENING))
        return;
    if (raised || s->checking)
        rovei_sender_lost(s, s->base, &s->applied, 0);
    else
        keep_old(s);
    s->abandon = s->high > s->abandon ? s->high : s->abandon;
    s->checking = false;
    s->replace = true;
    (void)rovei_sender_drain(s);
    progress(s);
}

/* The lane will never be: what it had not been given is refused. */
void rovei_sender_refuse_all(rovei_sender *s, rove_err err)
{
    s->refuse = s->next;
    s->refuse_err = err;
    s->replace = true;
    (void)rovei_sender_drain(s);
    progress(s);
}

static void handle_refused(rovei_sender *s, rove_err err)
{
    if (s->state == ROVEI_SENDER_OPENING)
        rovei_sender_refuse_all(s, err);
}

static void handle_opened(rovei_sender *s)
{
    if (s->state != ROVEI_SENDER_OPENING)
        return;
    s->state = ROVEI_SENDER_OPEN;
    s->said = false;
    s->sent = s->acked;
    s->gap_due = s->acked > 0 && !ROVEI_MUTANT(GAP_IN_SILENCE);
    progress(s);
}

static void handle_moving(rovei_sender *s, rovei_now now)
{
    if (ROVEI_MUTANT(MOVING_IS_AN_OUTCOME) && s->state == ROVEI_SENDER_OPEN) {
        s->refuse = s->high;
        s->refuse_err = ROVE_E_MOVING;
        (void)rovei_sender_drain(s);
    }
    hold_back(s, now, ROVEI_SENDER_HOLD_MAX);
}

/* All outcomes that there are were said before this. */
static void handle_ended(rovei_sender *s, rovei_now now, uint64_t position)
{
    if (s->state == ROVEI_SENDER_SYNC && position > s->acked && position <= s->high)
        retry_from(s, rovei_time_add(now.mono, s->pause)); /* some were lost on the way */
    else
        rovei_sender_refuse_all(s, ROVE_E_NO_LANES);
}

static void handle_close_done(rovei_sender *s, rovei_now now)
{
    if (!s->closing || s->queue_count) {
        s->node->stats.frames_refused++;
        return;
    }
    /* Its turn ends it. */
    s->close_until = now.mono;
    rovei_sender_busy(s);
}

/* ---- where it is not ---- */

/* Nobody knows any more what the holder did: what was sent may have been applied, the rest was not.
 */
static void give_up(rovei_sender *s, rove_err err)
{
    if (s->high > s->abandon)
        s->abandon = s->high;
    rovei_sender_refuse_all(s, err);
}

static void handle_not_here(rovei_route *r, rovei_now now, const rove_entity *from,
                            const rovei_lane_frame *f)
{
    rovei_node *n = r->node;
    if ((f->flags & ROVEI_NOT_HERE_RECORD) && rovei_location_learn(n, now, &f->record, from))
        n->stats.frames_refused++;
    rovei_sender *s = sender_of(r, f->lane);
    rovei_old_lane *o = s ? NULL : old_of(r, f->lane, &s);
    if (!rovei_entity_equal(&r->holder, from) || !s || (!o && s->state == ROVEI_SENDER_NONE))
        return; /* looked elsewhere meanwhile */
    const rovei_location *at = rovei_location_get(n, &r->daemon);
    if ((f->flags & ROVEI_NOT_HERE_STOPPED) && at &&
        rovei_record_compare(&f->record, &at->record) == 0) {
        if (o)
            o->checking = false; /* there is no state any more that could have lost something */
        else
            give_up(s, ROVE_E_STOPPED);
        return;
    }
    if (r->ended) { /* it had the frozen copy, and has forgotten it */
        if (o)
            o->checking = false;
        else
            give_up(s, ROVE_E_NO_LANES);
        return;
    }
    rovei_route_trouble(r, now);
    if (o) {
        hold_old(s, o, now, ROVEI_SENDER_LOST_MAX);
        return;
    }
    hold_back(s, now, ROVEI_SENDER_LOST_MAX);
}

/* ---- frames of the holder ---- */

/* False: the frame speaks of a state before the one that is known, or may not name a new one. */
static bool take_sinc(rovei_route *r, const rovei_lane_frame *f, bool *ret_raised)
{
    *ret_raised = false;
    if (rovei_sinc_equal(f->sinc, r->sinc))
        return true;
    if (f->sinc.number < r->sinc.number || !f->sinc.number)
        return false;
    if (f->type == ROVEI_LANE_MOVING || f->type == ROVEI_LANE_REFUSED ||
        f->type == ROVEI_LANE_CLOSE_DONE)
        return true; /* they say nothing of events */
    if (f->type != ROVEI_LANE_OPENED && f->type != ROVEI_LANE_POSITION &&
        f->type != ROVEI_LANE_NO_LANE)
        return false;
    *ret_raised = true;
    rovei_route_raise(r, f->sinc);
    return true;
}

static void holder_says(rovei_route *r, rovei_now now, const rovei_lane_frame *f, rove_buf *message)
{
    bool raised;
    if (!take_sinc(r, f, &raised))
        return;
    rovei_route_reached(r);
    rovei_sender *s = sender_of(r, f->lane);
    rovei_old_lane *o = s ? NULL : old_of(r, f->lane, &s);
    if (!s)
        return;
    if (o) {
        if (f->type == ROVEI_LANE_POSITION) {
            handle_old_position(s, o, f->position);
        } else if (f->type == ROVEI_LANE_NO_LANE && o->checking) {
            handle_old_position(s, o, 0);
            drop_old(s, o);
        } else if (f->type == ROVEI_LANE_MOVING || f->type == ROVEI_LANE_CLOSE_DONE) {
            hold_old(s, o, now, ROVEI_SENDER_HOLD_MAX);
        }
        return;
    }
    switch ((unsigned)f->type) {
    case ROVEI_LANE_OPENED:
        handle_opened(s);
        break;
    case ROVEI_LANE_REFUSED:
        handle_refused(s, f->err);
        break;
    case ROVEI_LANE_OUTCOMES:
        handle_outcomes(s, now, f, message);
        break;
    case ROVEI_LANE_POSITION:
        handle_position(s, now, f);
        break;
    case ROVEI_LANE_NO_LANE:
        handle_no_lane(s, raised);
        break;
    case ROVEI_LANE_MOVING:
        handle_moving(s, now);
        break;
    case ROVEI_LANE_CLOSE_DONE:
        handle_close_done(s, now);
        break;
    case ROVEI_LANE_ENDED:
        if (r->ended)
            handle_ended(s, now, f->position);
        break;
    default:
        break;
    }
}

void rovei_senders_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                           const rovei_lane_frame *f, rove_buf *message)
{
    rovei_route *r = rovei_route_get(n, &f->daemon);
    if (f->type == ROVEI_LANE_RECORD || f->type == ROVEI_LANE_ENDED) {
        if (rovei_location_learn(n, now, &f->record, from))
            n->stats.frames_refused++;
        r = rovei_route_get(n, &f->daemon);
    }
    if (!r || f->type == ROVEI_LANE_RECORD)
        return;
    if (f->type == ROVEI_LANE_NOT_HERE)
        handle_not_here(r, now, from, f);
    else if (rovei_entity_equal(&r->holder, from))
        holder_says(r, now, f, message);
    else
        n->stats.frames_refused++;
}
