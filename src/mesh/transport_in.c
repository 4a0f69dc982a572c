/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets that came: numbers seen, frames applied, streams of the peer, and the events that come of
 * it. A packet is read through once before any of it is applied. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/transport_inner.h>

/* ---- ids of the peer's streams ---- */

/* Ids that may be unseen, or refused, at once. An honest peer has no more open. */
static uint64_t ids_most(const rovei_transport *t)
{
    uint64_t own = t->env->limits.streams_max;
    return own > ROVEI_STREAMS_ASSUMED ? own : ROVEI_STREAMS_ASSUMED;
}

/* A stream that ended, or was refused and reset: late frames of it mean nothing. */
static bool is_closed(const rovei_transport *t, uint64_t id)
{
    return id < t->in_next && !rovei_spans_has(&t->unseen, id);
}

/* Makes sure that `id` can be marked as seen. E_STREAM_STATE, E_NOMEM. */
static rove_err prepare_seen(rovei_transport *t, uint64_t id)
{
    if (id >= t->in_next && id - t->in_next > ids_most(t) - t->unseen.total)
        return ROVE_E_STREAM_STATE;
    return rovei_spans_reserve(&t->unseen, t->alloc, 1);
}

static void mark_seen(rovei_transport *t, uint64_t id)
{
    if (id < t->in_next) {
        rovei_spans_remove(&t->unseen, id, id + 1);
        return;
    }
    rovei_spans_add(&t->unseen, t->in_next, id);
    t->in_next = id + 1;
}

static bool at_limit(const rovei_transport *t)
{
    return t->in_live >= t->env->limits.streams_max;
}

/* The stream of a first frame; refused at the limit. */
static rove_err accept_stream(rovei_transport *t, uint64_t id, uint16_t tag, rovei_recvstream **ret)
{
    rove_err err = prepare_seen(t, id);
    if (err)
        return err;
    bool refused = at_limit(t);
    if (refused && t->in_refused >= ids_most(t))
        return ROVE_E_STREAM_STATE;
    rovei_recvstream *s = rovei_recvstream_new(&t->recv, id, tag);
    if (!s)
        return ROVE_E_NOMEM;
    if (rovei_map_put(&t->in, &s->id, s)) {
        rovei_recvstream_free(&t->recv, s);
        return ROVE_E_NOMEM;
    }
    mark_seen(t, id);
    if (refused) {
        s->state = ROVEI_RECV_REFUSED;
        t->in_refused++;
        rovei_list_add_tail(&t->controls, &s->control);
    } else {
        t->in_live++;
    }
    t->in_last = s;
    *ret = s;
    return ROVE_OK;
}

static void remove_stream(rovei_transport *t, rovei_recvstream *s)
{
    if (s->state == ROVEI_RECV_REFUSED)
        t->in_refused--;
    else
        t->in_live--;
    if (t->in_last == s)
        t->in_last = NULL;
    t->recv.consumed += s->held;
    rovei_map_remove(&t->in, &s->id);
    rovei_recvstream_free(&t->recv, s);
}

void rovei_transport_credit(rovei_transport *t, rovei_recvstream *s)
{
    uint64_t all = rovei_recvshare_limit(&t->recv);
    if (all >= t->recv.announced + t->recv.peer_window / 2)
        t->say_max_data = true;
    if (s->state != ROVEI_RECV_OPEN || s->final_known || !rovei_list_empty(&s->control))
        return;
    if (rovei_recvstream_limit(&t->recv, s) >= s->announced + t->recv.stream_window / 2)
        rovei_list_add_tail(&t->controls, &s->control);
}

/* ---- frames ---- */

/* *ret_keep turns false when the packet must not be acknowledged: the sender of a refused stream
 * must not take its bytes for arrived before it knows. */
static rove_err on_stream(rovei_transport *t, const rovei_frame_stream *f, bool *ret_keep)
{
    rovei_recvstream *s = rovei_transport_in(t, f->stream);
    if (!s) {
        if (is_closed(t, f->stream))
            return ROVE_OK;
        rove_err err = accept_stream(t, f->stream, f->tag, &s);
        if (err)
            return err;
    }
    if (s->state == ROVEI_RECV_REFUSED) {
        *ret_keep = false;
        return ROVE_OK;
    }
    rove_err err = rovei_recvstream_data(&t->recv, s, f);
    rovei_transport_credit(t, s);
    return err;
}

static rove_err on_reset(rovei_transport *t, uint64_t id, uint16_t tag, uint64_t final)
{
    rovei_recvstream *s = rovei_transport_in(t, id);
    if (!s && is_closed(t, id))
        return ROVE_OK;
    rove_err err;
    if (!s && at_limit(t)) {
        /* Never taken, so nobody is told; only the bytes count. */
        rovei_recvstream passing = {
            .id = id, .tag = tag, .state = ROVEI_RECV_REFUSED, .announced = t->recv.stream_window};
        rovei_list_init(&passing.stalled);
        err = prepare_seen(t, id);
        if (!err)
            err = rovei_recvstream_reset(&t->recv, &passing, tag, final);
        if (!err)
            mark_seen(t, id);
        return err;
    }
    if (!s) {
        err = accept_stream(t, id, tag, &s);
        if (err)
            return err;
    }
    err = rovei_recvstream_reset(&t->recv, s, tag, final);
    if (!err) {
        rovei_transport_credit(t, s);
        if (s->state == ROVEI_RECV_REFUSED)
            remove_stream(t, s);
    }
    return err;
}

static rove_err on_refused(rovei_transport *t, uint64_t id)
{
    if (id >= t->next_id)
        return ROVE_E_STREAM_STATE;
    rovei_sendstream *s = rovei_transport_out(t, id);
    if (!s || s->is_reset)
        return ROVE_OK;
    rove_err err = rovei_events_reserve(&t->recv);
    if (err)
        return err;
    rovei_events_push(
        &t->recv, (rovei_queued_event){.id = id, .tag = s->tag, .kind = ROVEI_TRANSPORT_REFUSED});
    rovei_transport_drop(t, s);
    return ROVE_OK;
}

static void on_limits(rovei_transport *t, const rovei_frame_limits *f)
{
    t->peer_streams = f->streams;
    if (f->peer_window > t->send.limit)
        t->send.limit = f->peer_window;
    rovei_transport_unblock(t);
    if (f->stream_window <= t->send.stream_window)
        return;
    t->send.stream_window = f->stream_window;
    size_t it = 0;
    for (rovei_sendstream *s; (s = rovei_map_next(&t->out, &it));)
        rovei_transport_schedule(t, s);
}

static rove_err on_max_stream_data(rovei_transport *t, uint64_t id, uint64_t limit)
{
    if (id >= t->next_id)
        return ROVE_E_STREAM_STATE;
    rovei_sendstream *s = rovei_transport_out(t, id);
    if (s && limit > s->limit) {
        s->limit = limit;
        rovei_transport_schedule(t, s);
    }
    return ROVE_OK;
}

static rove_err apply(rovei_transport *t, uint64_t now, const rovei_frame *f, bool *ret_keep)
{
    switch (f->type) {
    case ROVEI_FRAME_PADDING:
    case ROVEI_FRAME_PING:
        return ROVE_OK;
    case ROVEI_FRAME_STREAM:
    case ROVEI_FRAME_STREAM_FIN:
        return on_stream(t, &f->stream, ret_keep);
    case ROVEI_FRAME_ACK:
        return rovei_transport_acknowledged(t, now, &f->ack);
    case ROVEI_FRAME_LIMITS:
        on_limits(t, &f->limits);
        return ROVE_OK;
    case ROVEI_FRAME_MAX_DATA:
        if (f->max_data > t->send.limit) {
            t->send.limit = f->max_data;
            rovei_transport_unblock(t);
        }
        return ROVE_OK;
    case ROVEI_FRAME_MAX_STREAM_DATA:
        return on_max_stream_data(t, f->max_stream_data.stream, f->max_stream_data.limit);
    case ROVEI_FRAME_RESET:
        return on_reset(t, f->reset.stream, f->reset.tag, f->reset.final);
    case ROVEI_FRAME_REFUSED:
        return on_refused(t, f->refused);
    }
    return ROVE_E_FORMAT;
}

/* ---- packets ---- */

static bool seen_before(const rovei_transport *t, uint64_t number)
{
    return number <= t->received_floor || rovei_ranges_has(&t->received, number);
}

static void note_received(rovei_transport *t, uint64_t now, uint64_t number, bool eliciting)
{
    uint64_t largest = t->received.count > 0 ? t->received.r[0].last : t->received_floor;
    rovei_ranges_add(&t->received, number);
    if (t->received.count == ROVEI_RANGES_MAX) {
        uint64_t lowest = t->received.r[ROVEI_RANGES_MAX - 1].first;
        if (lowest - 1 > t->received_floor)
            t->received_floor = lowest - 1;
    }
    if (number > largest)
        t->largest_at = now;
    if (!eliciting)
        return;
    t->ack_count++;
    if (t->ack_count >= 2 || number != largest + 1)
        t->ack_now = true;
    if (t->ack_now)
        t->ack_time = ROVE_TIME_NEVER;
    else if (t->ack_time == ROVE_TIME_NEVER)
        t->ack_time = rovei_time_add(now, ROVEI_ACK_DELAY_MAX);
}

/* Reads all frames without applying them. */
static rove_err look_through(const uint8_t *plain, size_t size, bool *ret_eliciting)
{
    rovei_reader r = rovei_reader_of((rove_span){plain, size});
    if (rovei_reader_left(&r) == 0)
        return ROVE_E_FORMAT;
    bool eliciting = false;
    rovei_frame f;
    while (rovei_reader_left(&r) > 0) {
        rove_err err = rovei_frame_read(&r, &f);
        if (err)
            return err;
        eliciting |= f.type != ROVEI_FRAME_ACK && f.type != ROVEI_FRAME_PADDING;
    }
    *ret_eliciting = eliciting;
    return ROVE_OK;
}

rove_err rovei_transport_receive(rovei_transport *t, rovei_now now, const uint8_t *plain,
                                 size_t size)
{
    rovei_transport_seen(t, now.mono);
    if (t->deferred)
        return t->deferred;
    if (size < ROVEI_PACKET_HEADER)
        return ROVE_E_SHORT;
    uint64_t number = rovei_load64(plain);
    bool eliciting;
    rove_err err =
        look_through(plain + ROVEI_PACKET_HEADER, size - ROVEI_PACKET_HEADER, &eliciting);
    if (err)
        return err;
    if (number == 0)
        return ROVE_E_FORMAT;
    t->packets_received++;
    if (seen_before(t, number)) {
        t->packets_duplicate++;
        return ROVE_OK;
    }
    bool keep = true;
    rovei_reader r =
        rovei_reader_of((rove_span){plain + ROVEI_PACKET_HEADER, size - ROVEI_PACKET_HEADER});
    rovei_frame f;
    while (rovei_reader_left(&r) > 0) {
        err = rovei_frame_read(&r, &f);
        if (!err)
            err = apply(t, now.mono, &f, &keep);
        if (err)
            return err;
    }
    if (keep)
        note_received(t, now.mono, number, eliciting);
    return ROVE_OK;
}

/* ---- events ---- */

/* Goes on with streams that waited for room in the queue of events. */
static void resume_stalled(rovei_transport *t)
{
    while (!rovei_list_empty(&t->recv.stalled) && t->recv.events_count < ROVEI_EVENTS_MAX / 2) {
        rovei_recvstream *s = ROVEI_CONTAINER(t->recv.stalled.next, rovei_recvstream, stalled);
        rove_err err = rovei_recvstream_resume(&t->recv, s);
        rovei_transport_credit(t, s);
        if (err && err != ROVE_E_NOMEM && !t->deferred)
            t->deferred = err;
        if (err)
            return;
    }
}

bool rovei_transport_poll(rovei_transport *t, rovei_transport_event *ret)
{
    if (!rovei_list_empty(&t->recv.stalled))
        resume_stalled(t);
    for (rovei_queued_event e; rovei_events_pop(&t->recv, &e);) {
        bool told = true;
        if (e.kind == ROVEI_TRANSPORT_MESSAGE) {
            uint64_t size = sizeof(uint32_t) + rovei_buf_size(e.message);
            t->recv.consumed += size;
            e.from->consumed += size;
            rovei_transport_credit(t, e.from);
            told = e.from->state != ROVEI_RECV_RESET;
        } else if (e.from) {
            remove_stream(t, e.from);
        }
        if (!told) {
            rove_buf_unref(e.message);
            continue;
        }
        *ret = (rovei_transport_event){.kind = (rovei_transport_event_kind)e.kind,
                                       .tag = e.tag,
                                       .stream = e.id,
                                       .message = e.message};
        return true;
    }
    return false;
}

void rovei_transport_hold(rovei_transport *t, uint64_t stream, uint64_t size)
{
    rovei_recvstream *s = rovei_transport_in(t, stream);
    if (!s || s->consumed < size)
        return;
    s->held += size;
    s->consumed -= size;
    t->recv.consumed -= size;
}

void rovei_transport_release(rovei_transport *t, uint64_t stream, uint64_t size)
{
    rovei_recvstream *s = rovei_transport_in(t, stream);
    if (!s)
        return;
    size = size < s->held ? size : s->held;
    s->held -= size;
    s->consumed += size;
    t->recv.consumed += size;
    rovei_transport_credit(t, s);
}
