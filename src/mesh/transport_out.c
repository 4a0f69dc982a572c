/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets to send: what goes into the next one, what became of those before, and the timers that
 * find out. */
#include <base/check.h>
#include <mesh/transport_inner.h>

#define LOSS_PACKETS 3u                      /* so many later ones acknowledged: lost */
#define KEPT_PACKETS 65536u                  /* numbers from the oldest record to the newest */
#define PROBES       2u                      /* packets of one probe */
#define RETRY_NOMEM  (10 * ROVE_MILLISECOND) /* pause after a refused allocation */
#define ACK_RANGES   32u                     /* of one ACK */
#define ACK_LONG     4u                      /* with more ranges than that, an ACK asks for one */

/* ---- what became of sent frames ---- */

static void frame_acked(rovei_transport *t, const rovei_sent_frame *f)
{
    if (f->type == ROVEI_FRAME_STREAM) {
        rovei_sendstream_acked(&t->send, f->stream, f->value, f->size, f->fin);
        rovei_transport_settled(t, f->stream);
    } else if (f->type == ROVEI_FRAME_RESET) {
        f->stream->reset_acked = true;
        rovei_transport_settled(t, f->stream);
    } else if (f->type == ROVEI_FRAME_ACK && t->ack_count == 0) {
        /* The peer knows of all up to there; while one of them waits to be told, it is kept. */
        rovei_ranges_drop_through(&t->received, f->value);
        if (f->value > t->received_floor)
            t->received_floor = f->value;
    }
}

/* Has the frame's meaning sent again, unless it was overtaken. */
static void frame_again(rovei_transport *t, const rovei_sent_frame *f)
{
    rovei_recvstream *s;
    switch ((rovei_frame_type)f->type) {
    case ROVEI_FRAME_STREAM:
        rovei_sendstream_lost(f->stream, f->value, f->size, f->fin);
        rovei_transport_schedule(t, f->stream);
        return;
    case ROVEI_FRAME_RESET:
        if (!f->stream->reset_acked && rovei_list_empty(&f->stream->reset))
            rovei_list_add_tail(&t->resets, &f->stream->reset);
        return;
    case ROVEI_FRAME_LIMITS:
        t->say_limits = true;
        return;
    case ROVEI_FRAME_MAX_DATA:
        if (f->value == t->recv.announced)
            t->say_max_data = true;
        return;
    case ROVEI_FRAME_MAX_STREAM_DATA:
    case ROVEI_FRAME_REFUSED:
        s = rovei_transport_in(t, f->id);
        if (s && rovei_list_empty(&s->control) &&
            (f->type == ROVEI_FRAME_REFUSED ? s->state == ROVEI_RECV_REFUSED
                                            : f->value == s->announced))
            rovei_list_add_tail(&t->controls, &s->control);
        return;
    case ROVEI_FRAME_PADDING:
    case ROVEI_FRAME_PING:
    case ROVEI_FRAME_ACK:
    case ROVEI_FRAME_STREAM_FIN:
        return;
    }
}

static void packet_acked(rovei_transport *t, rovei_sent_packet *p)
{
    rovei_sent_settle(&t->sent, p);
    p->acked = true;
    for (size_t i = 0; i < p->count; i++)
        frame_acked(t, rovei_sent_frame_at(&t->sent, p, i));
}

static void packet_lost(rovei_transport *t, rovei_sent_packet *p)
{
    rovei_sent_settle(&t->sent, p);
    t->packets_lost++;
    for (size_t i = 0; i < p->count; i++) {
        const rovei_sent_frame *f = rovei_sent_frame_at(&t->sent, p, i);
        if (!p->probed)
            frame_again(t, f);
        if (f->type == ROVEI_FRAME_STREAM || f->type == ROVEI_FRAME_RESET)
            rovei_transport_settled(t, f->stream);
    }
}

/* ---- timers ---- */

static void set_probe(rovei_transport *t, uint64_t from)
{
    t->probe_time = t->sent.outstanding == 0
                        ? ROVE_TIME_NEVER
                        : rovei_time_add(from, rovei_rtt_probe_delay(&t->rtt, t->probe_tries));
}

/* Finds what is lost below the largest acknowledged number. */
static void detect_loss(rovei_transport *t, uint64_t now)
{
    uint64_t delay = rovei_rtt_loss_delay(&t->rtt);
    uint64_t run_from = 0, newest = 0;
    bool in_run = false, lost = false, collapse = false;
    t->loss_time = ROVE_TIME_NEVER;
    for (uint64_t n = t->sent.first; n < t->sent.next && n < t->largest_acked; n++) {
        rovei_sent_packet *p = rovei_sent_at(&t->sent, n);
        if (!p->outstanding) {
            in_run = in_run && !p->acked;
            continue;
        }
        uint64_t due = rovei_time_add(p->sent_at, delay);
        if (n + LOSS_PACKETS > t->largest_acked && due > now) {
            t->loss_time = rovei_time_min(t->loss_time, due);
            in_run = false;
            continue;
        }
        if (!in_run)
            run_from = p->sent_at;
        in_run = lost = true;
        newest = p->sent_at;
        if (t->rtt.measured && newest - run_from > rovei_rtt_persistent(&t->rtt))
            collapse = true;
        packet_lost(t, p);
    }
    if (lost)
        rovei_congestion_lost(&t->congestion, now, newest);
    if (collapse)
        rovei_congestion_collapse(&t->congestion);
    rovei_sent_trim(&t->sent);
}

rove_err rovei_transport_acknowledged(rovei_transport *t, uint64_t now, const rovei_frame_ack *ack)
{
    uint64_t largest = ack->ranges[0].last;
    if (largest >= t->sent.next)
        return ROVE_E_BOUND;
    uint64_t in_flight = t->sent.in_flight;
    bool any = false;
    for (uint32_t i = ack->count; i-- > 0;) {
        uint64_t n = ack->ranges[i].first;
        for (n = n > t->sent.first ? n : t->sent.first; n <= ack->ranges[i].last; n++) {
            rovei_sent_packet *p = rovei_sent_at(&t->sent, n);
            if (!p->outstanding)
                continue;
            any = true;
            packet_acked(t, p);
            rovei_congestion_acked(&t->congestion, p->size, p->sent_at, in_flight);
            if (n == largest && now >= p->sent_at)
                rovei_rtt_sample(&t->rtt, now - p->sent_at, (uint64_t)ack->delay * 1000);
        }
    }
    if (!any)
        return ROVE_OK;
    if (largest > t->largest_acked)
        t->largest_acked = largest;
    t->probe_tries = 0;
    t->probes = 0;
    detect_loss(t, now);
    set_probe(t, t->last_sent);
    return ROVE_OK;
}

/* Sends again what waits longest for an answer, past window and pacing. */
static void probe(rovei_transport *t, uint64_t now)
{
    uint32_t again = 0;
    for (uint64_t n = t->sent.first; n < t->sent.next && again < PROBES; n++) {
        rovei_sent_packet *p = rovei_sent_at(&t->sent, n);
        if (!p->outstanding || p->probed || p->count == 0)
            continue;
        p->probed = true;
        again++;
        for (size_t i = 0; i < p->count; i++)
            frame_again(t, rovei_sent_frame_at(&t->sent, p, i));
    }
    t->probes = PROBES;
    t->ping = true; /* in case that nothing of it needs to be said any more */
    if (t->probe_tries < UINT32_MAX)
        t->probe_tries++;
    set_probe(t, now);
}

static void ack_at_once(rovei_transport *t)
{
    t->ack_now = true;
    t->ack_time = ROVE_TIME_NEVER;
}

void rovei_transport_expire(rovei_transport *t, rovei_now now)
{
    rovei_transport_seen(t, now.mono);
    if (t->ack_time <= now.mono)
        ack_at_once(t);
    if (t->retry_time <= now.mono)
        t->retry_time = ROVE_TIME_NEVER;
    if (t->loss_time <= now.mono) {
        detect_loss(t, now.mono);
        set_probe(t, now.mono); /* what was lost is sent first */
    } else if (t->probe_time <= now.mono) {
        probe(t, now.mono);
    }
}

void rovei_transport_wake(rovei_transport *t, rovei_now now)
{
    rovei_transport_seen(t, now.mono);
    for (uint64_t n = t->sent.first; n < t->sent.next; n++) {
        rovei_sent_packet *p = rovei_sent_at(&t->sent, n);
        if (p->outstanding)
            packet_lost(t, p);
    }
    rovei_sent_trim(&t->sent);
    rovei_congestion_init(&t->congestion);
    rovei_pacer_init(&t->pacer);
    rovei_rtt_init(&t->rtt);
    t->loss_time = t->probe_time = t->retry_time = ROVE_TIME_NEVER;
    t->probe_tries = 0;
}

void rovei_transport_first_guess(rovei_transport *t, uint64_t round_trip)
{
    /* A longer one has mostly waited for a repetition. */
    if (!t->rtt.measured && round_trip < ROVEI_RTT_INITIAL)
        rovei_rtt_sample(&t->rtt, round_trip, 0);
}

/* ---- the next packet ---- */

static bool has_content(const rovei_transport *t)
{
    return t->say_limits || t->say_max_data || !rovei_list_empty(&t->resets) ||
           !rovei_list_empty(&t->controls) || !rovei_list_empty(&t->active);
}

static bool window_open(const rovei_transport *t)
{
    return t->probes > 0 || t->sent.in_flight < t->congestion.window;
}

uint64_t rovei_transport_deadline(const rovei_transport *t)
{
    uint64_t at = rovei_time_min(t->ack_time, rovei_time_min(t->loss_time, t->probe_time));
    bool now = t->ack_now || t->ping;
    if (t->retry_time != ROVE_TIME_NEVER)
        at = rovei_time_min(at, t->retry_time);
    else if (now || (t->probes > 0 && has_content(t)))
        at = 0;
    else if (has_content(t) && window_open(t))
        at = rovei_time_min(at, rovei_pacer_when(&t->pacer, &t->rtt));
    return at <= t->seen_now ? 0 : at;
}

static bool fits(const rovei_transport *t, const rovei_writer *w, size_t size)
{
    return rovei_writer_room(w) >= size && !rovei_sent_full(&t->sent);
}

static void note(rovei_transport *t, rovei_frame_type type, uint64_t id, uint64_t value)
{
    rovei_sent_note(&t->sent, (rovei_sent_frame){.type = (uint8_t)type, .id = id, .value = value});
}

static bool write_acknowledgement(rovei_transport *t, uint64_t now, rovei_writer *w)
{
    uint64_t delay = (now - rovei_time_min(now, t->largest_at)) / 1000;
    uint32_t micros = delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
    rovei_writer half = rovei_writer_of(w->at, rovei_writer_room(w) / 2);
    uint32_t most = t->received.count < ACK_RANGES ? t->received.count : ACK_RANGES;
    if (rovei_frame_write_ack(&half, t->received.r, most, micros) == 0)
        return false;
    w->at = half.at;
    note(t, ROVEI_FRAME_ACK, 0, t->received.r[0].last);
    return true;
}

static void write_stream_control(rovei_transport *t, rovei_writer *w, rovei_recvstream *s)
{
    rovei_frame f;
    if (s->state == ROVEI_RECV_REFUSED) {
        f = (rovei_frame){.type = ROVEI_FRAME_REFUSED, .refused = s->id};
        note(t, f.type, s->id, 0);
    } else {
        uint64_t limit = rovei_recvstream_limit(&t->recv, s);
        if (s->state != ROVEI_RECV_OPEN || s->final_known)
            return;
        if (limit > s->announced)
            s->announced = limit;
        f = (rovei_frame){.type = ROVEI_FRAME_MAX_STREAM_DATA,
                          .max_stream_data = {s->id, s->announced}};
        note(t, f.type, s->id, s->announced);
    }
    rovei_frame_write(w, &f);
}

static void write_controls(rovei_transport *t, rovei_writer *w)
{
    if (t->say_limits && fits(t, w, ROVEI_FRAME_LIMITS_SIZE)) {
        const rove_limits *own = &t->env->limits;
        uint64_t streams = rovei_time_min(own->streams_max, UINT32_MAX);
        rovei_frame f = {.type = ROVEI_FRAME_LIMITS,
                         .limits = {own->stream_window, own->peer_window, (uint32_t)streams}};
        rovei_frame_write(w, &f);
        note(t, f.type, 0, 0);
        t->say_limits = false;
    }
    if (t->say_max_data && fits(t, w, ROVEI_FRAME_MAX_DATA_SIZE)) {
        uint64_t limit = rovei_recvshare_limit(&t->recv);
        if (limit > t->recv.announced)
            t->recv.announced = limit;
        rovei_frame f = {.type = ROVEI_FRAME_MAX_DATA, .max_data = t->recv.announced};
        rovei_frame_write(w, &f);
        note(t, f.type, 0, t->recv.announced);
        t->say_max_data = false;
    }
    while (!rovei_list_empty(&t->resets) && fits(t, w, ROVEI_FRAME_RESET_SIZE)) {
        rovei_sendstream *s = ROVEI_CONTAINER(t->resets.next, rovei_sendstream, reset);
        rovei_frame f = {.type = ROVEI_FRAME_RESET,
                         .reset = {.stream = s->id, .final = s->next, .tag = s->tag}};
        rovei_frame_write(w, &f);
        rovei_sent_note(&t->sent, (rovei_sent_frame){.type = ROVEI_FRAME_RESET, .stream = s});
        s->refs++;
        rovei_list_remove(&s->reset);
    }
    while (!rovei_list_empty(&t->controls) && fits(t, w, ROVEI_FRAME_MAX_STREAM_DATA_SIZE)) {
        rovei_recvstream *s = ROVEI_CONTAINER(t->controls.next, rovei_recvstream, control);
        rovei_list_remove(&s->control);
        write_stream_control(t, w, s);
    }
}

/* One packet's worth of one stream, or what is left of several. */
static void write_streams(rovei_transport *t, uint64_t now, rovei_writer *w)
{
    while (!rovei_list_empty(&t->active) && fits(t, w, ROVEI_FRAME_STREAM_SIZE)) {
        rovei_sendstream *s = ROVEI_CONTAINER(t->active.next, rovei_sendstream, node);
        rovei_send_result result = rovei_sendstream_write(&t->send, s, w, &t->sent);
        if (result == ROVEI_SEND_IDLE)
            rovei_transport_place(t, s, ROVEI_PLACE_NONE);
        else if (result == ROVEI_SEND_BLOCKED)
            rovei_transport_place(t, s, ROVEI_PLACE_BLOCKED);
        if (t->send.unblocked)
            rovei_transport_unblock(t);
        if (result == ROVEI_SEND_NOMEM)
            t->retry_time = rovei_time_add(now, RETRY_NOMEM);
        if (result == ROVEI_SEND_NOMEM || result == ROVEI_SEND_MORE) {
            rovei_list_remove(&s->node);
            rovei_list_add_tail(&t->active, &s->node);
            return;
        }
    }
}

/* Ends a packet of `size` bytes. */
static void commit(rovei_transport *t, uint64_t now, size_t size, bool acks, bool eliciting)
{
    rovei_sent_commit(&t->sent, now, size, eliciting);
    t->packets_sent++;
    if (acks) {
        t->ack_now = false;
        t->ack_count = 0;
        t->ack_time = ROVE_TIME_NEVER;
    }
    if (!eliciting)
        return;
    t->last_sent = now;
    t->ping = false;
    if (t->probes > 0)
        t->probes--;
    else
        rovei_pacer_sent(&t->pacer, &t->congestion, &t->rtt, now, size);
    set_probe(t, now);
}

size_t rovei_transport_build(rovei_transport *t, rovei_now now, uint8_t *ret, size_t room)
{
    rovei_transport_seen(t, now.mono);
    if (t->ack_time <= now.mono)
        ack_at_once(t);
    if (t->retry_time != ROVE_TIME_NEVER && t->retry_time > now.mono)
        return 0;
    t->retry_time = ROVE_TIME_NEVER;
    bool open = has_content(t) && window_open(t) &&
                (t->probes > 0 || rovei_pacer_ready(&t->pacer, &t->congestion, &t->rtt, now.mono));
    if (!open && !t->ack_now && !t->ping)
        return 0;
    /* A peer that never acknowledges one packet does not make the records grow without end. */
    if (t->sent.next - t->sent.first >= KEPT_PACKETS) {
        packet_lost(t, rovei_sent_at(&t->sent, t->sent.first));
        rovei_sent_trim(&t->sent);
    }
    if (rovei_sent_reserve(&t->sent)) {
        t->retry_time = rovei_time_add(now.mono, RETRY_NOMEM);
        return 0;
    }

    room = room < UINT16_MAX ? room : UINT16_MAX;
    rovei_writer w = rovei_writer_of(ret + ROVEI_PACKET_HEADER, room - ROVEI_PACKET_HEADER);
    bool acks = t->ack_count > 0 && write_acknowledgement(t, now.mono, &w);
    uint8_t noted = t->sent.open;
    if (open) {
        write_controls(t, &w);
        write_streams(t, now.mono, &w);
    }
    bool eliciting = t->sent.open > noted;
    bool ask = t->ping;
    if (!eliciting && !ask && acks && t->received.count > ACK_LONG &&
        now.mono - rovei_time_min(now.mono, t->ack_asked) >= t->rtt.smoothed) {
        t->ack_asked = now.mono;
        ask = true;
    }
    if (!eliciting && ask) {
        rovei_write_u8(&w, ROVEI_FRAME_PING);
        eliciting = true;
    }
    ROVEI_CHECK(w.err == ROVE_OK);
    if (!eliciting && !(acks && t->ack_now)) {
        rovei_sent_cancel(&t->sent);
        if (t->ack_count > 0 && !acks) {
            t->ack_now = false; /* what was to be acknowledged is known to the peer */
            t->ack_count = 0;
            t->ack_time = ROVE_TIME_NEVER;
        }
        return 0;
    }
    rovei_store64(ret, t->sent.next);
    size_t size = ROVEI_PACKET_HEADER + rovei_writer_size(&w);
    commit(t, now.mono, size, acks, eliciting);
    return size;
}
