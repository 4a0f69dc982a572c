/* SPDX-License-Identifier: Apache-2.0
 *
 * The transport as an object: life, outgoing streams as their owner sees them, statistics, and the
 * walk over its invariants. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/transport_inner.h>

rove_err rovei_transport_new(rovei_transport **ret, const rovei_env *env, rovei_now now)
{
    rovei_transport *t = ROVEI_NEW(&env->alloc, rovei_transport);
    if (!t)
        return ROVE_E_NOMEM;
    t->env = env;
    t->alloc = &env->alloc;
    t->seen_now = now.mono;
    rovei_sent_init(&t->sent, t->alloc);
    rovei_rtt_init(&t->rtt);
    rovei_congestion_init(&t->congestion);
    rovei_pacer_init(&t->pacer);
    t->loss_time = t->probe_time = t->retry_time = t->ack_time = ROVE_TIME_NEVER;
    rovei_sendshare_init(&t->send, t->alloc);
    rovei_map_init(&t->out, t->alloc, sizeof(uint64_t), rovei_rng_u64(&env->rng));
    rovei_list_init(&t->active);
    rovei_list_init(&t->blocked);
    rovei_list_init(&t->resets);
    t->next_id = 1;
    t->peer_streams = ROVEI_STREAMS_ASSUMED;
    rovei_ranges_init(&t->received);
    rovei_recvshare_init(&t->recv, t->alloc, env->limits.stream_window, env->limits.peer_window);
    rovei_map_init(&t->in, t->alloc, sizeof(uint64_t), rovei_rng_u64(&env->rng));
    rovei_list_init(&t->controls);
    rovei_spans_init(&t->unseen);
    t->in_next = 1;
    t->say_limits = true;
    *ret = t;
    return ROVE_OK;
}

void rovei_transport_free(rovei_transport *t)
{
    if (!t)
        return;
    for (rovei_queued_event e; rovei_events_pop(&t->recv, &e);)
        rove_buf_unref(e.message);
    /* Records hold the streams that are in no map any more. */
    for (uint64_t n = t->sent.first; n < t->sent.next; n++) {
        rovei_sent_packet *p = rovei_sent_at(&t->sent, n);
        for (size_t i = 0; p->outstanding && i < p->count; i++) {
            rovei_sent_frame *f = rovei_sent_frame_at(&t->sent, p, i);
            if (f->type == ROVEI_FRAME_STREAM || f->type == ROVEI_FRAME_RESET)
                rovei_transport_settled(t, f->stream);
        }
    }
    size_t it = 0;
    for (rovei_sendstream *s; (s = rovei_map_next(&t->out, &it));)
        rovei_sendstream_free(&t->send, s);
    it = 0;
    for (rovei_recvstream *s; (s = rovei_map_next(&t->in, &it));)
        rovei_recvstream_free(&t->recv, s);
    rovei_map_fini(&t->out);
    rovei_map_fini(&t->in);
    rovei_spans_fini(&t->unseen, t->alloc);
    rovei_sent_fini(&t->sent);
    rovei_sendshare_fini(&t->send);
    rovei_recvshare_fini(&t->recv);
    ROVEI_DELETE(t->alloc, t);
}

/* ---- streams ---- */

rovei_sendstream *rovei_transport_out(rovei_transport *t, uint64_t id)
{
    if (t->out_last && t->out_last->id == id)
        return t->out_last;
    rovei_sendstream *s = rovei_map_get(&t->out, &id);
    if (s)
        t->out_last = s;
    return s;
}

rovei_recvstream *rovei_transport_in(rovei_transport *t, uint64_t id)
{
    if (t->in_last && t->in_last->id == id)
        return t->in_last;
    rovei_recvstream *s = rovei_map_get(&t->in, &id);
    if (s)
        t->in_last = s;
    return s;
}

void rovei_transport_place(rovei_transport *t, rovei_sendstream *s, rovei_send_place where)
{
    if (s->place == where)
        return;
    rovei_list_remove(&s->node);
    s->place = (uint8_t)where;
    if (where == ROVEI_PLACE_ACTIVE)
        rovei_list_add_tail(&t->active, &s->node);
    else if (where == ROVEI_PLACE_BLOCKED)
        rovei_list_add_tail(&t->blocked, &s->node);
}

void rovei_transport_schedule(rovei_transport *t, rovei_sendstream *s)
{
    /* One that is blocked by the peer's credit still repeats what was lost, and says its end. */
    bool again = s->lost.count > 0 || s->fin == ROVEI_FIN_PENDING;
    if (s->place == ROVEI_PLACE_BLOCKED && !again)
        return;
    if (rovei_sendstream_ready(&t->send, s))
        rovei_transport_place(t, s, ROVEI_PLACE_ACTIVE);
}

void rovei_transport_unblock(rovei_transport *t)
{
    t->send.unblocked = false;
    ROVEI_LIST_EACH (it, next, &t->blocked)
        rovei_transport_place(t, ROVEI_CONTAINER(it, rovei_sendstream, node), ROVEI_PLACE_ACTIVE);
}

/* Takes a stream that needs nothing more out of the map; records may still point to it. */
static void close_if_done(rovei_transport *t, rovei_sendstream *s)
{
    if (!s->listed || !rovei_sendstream_done(s))
        return;
    rovei_transport_place(t, s, ROVEI_PLACE_NONE);
    rovei_list_remove(&s->reset);
    rovei_map_remove(&t->out, &s->id);
    if (t->out_last == s)
        t->out_last = NULL;
    s->listed = false;
}

void rovei_transport_settled(rovei_transport *t, rovei_sendstream *s)
{
    ROVEI_CHECK(s->refs > 0);
    s->refs--;
    close_if_done(t, s);
    if (!s->listed && s->refs == 0)
        rovei_sendstream_free(&t->send, s);
}

void rovei_transport_drop(rovei_transport *t, rovei_sendstream *s)
{
    rovei_sendstream_reset(&t->send, s);
    rovei_transport_place(t, s, ROVEI_PLACE_NONE);
    rovei_list_remove(&s->reset);
    rovei_list_add_tail(&t->resets, &s->reset);
    if (t->send.unblocked)
        rovei_transport_unblock(t);
}

rove_err rovei_transport_open(rovei_transport *t, uint16_t tag, uint64_t *ret_id)
{
    if (t->out.count >= t->peer_streams)
        return ROVE_E_STREAM_LIMIT;
    rovei_sendstream *s = rovei_sendstream_new(&t->send, t->next_id, tag);
    if (!s)
        return ROVE_E_NOMEM;
    if (rovei_map_put(&t->out, &s->id, s)) {
        rovei_sendstream_free(&t->send, s);
        return ROVE_E_NOMEM;
    }
    s->listed = true;
    t->out_last = s;
    *ret_id = t->next_id++;
    return ROVE_OK;
}

rove_err rovei_transport_send(rovei_transport *t, uint64_t id, rove_span head, rove_buf *body)
{
    rovei_sendstream *s = rovei_transport_out(t, id);
    if (!s || s->is_reset)
        return ROVE_E_GONE;
    if (s->fin != ROVEI_FIN_NONE)
        return ROVE_E_CLOSED;
    size_t rest = rovei_buf_size(body);
    if (head.size > ROVEI_MESSAGE_MAX || rest > ROVEI_MESSAGE_MAX - head.size)
        return ROVE_E_TOO_LARGE;
    /* One message is always taken, or the largest could never be sent with a small buffer. */
    uint64_t most = t->env->limits.send_buffer, queued = t->send.queued;
    if (queued > 0 && (queued >= most || most - queued < head.size + rest))
        return ROVE_E_FULL;
    rove_err err = rovei_sendstream_queue(&t->send, s, head, body);
    if (!err && s->place == ROVEI_PLACE_NONE)
        rovei_transport_schedule(t, s);
    return err;
}

void rovei_transport_finish(rovei_transport *t, uint64_t id)
{
    rovei_sendstream *s = rovei_transport_out(t, id);
    if (!s || s->is_reset || s->fin != ROVEI_FIN_NONE)
        return;
    s->fin = ROVEI_FIN_PENDING;
    rovei_transport_schedule(t, s);
}

void rovei_transport_reset(rovei_transport *t, uint64_t id)
{
    rovei_sendstream *s = rovei_transport_out(t, id);
    if (s && !s->is_reset)
        rovei_transport_drop(t, s);
}

uint64_t rovei_transport_queued(const rovei_transport *t, uint64_t id)
{
    const rovei_sendstream *s =
        t->out_last && t->out_last->id == id ? t->out_last : rovei_map_get(&t->out, &id);
    return s ? rovei_sendstream_queued(s) : 0;
}

/* ---- the rest ---- */

void rovei_transport_ping(rovei_transport *t)
{
    t->ping = true;
}

uint64_t rovei_transport_last_sent(const rovei_transport *t)
{
    return t->last_sent;
}

rovei_transport_stats rovei_transport_stats_get(const rovei_transport *t)
{
    return (rovei_transport_stats){
        .packets_sent = t->packets_sent,
        .packets_received = t->packets_received,
        .packets_lost = t->packets_lost,
        .packets_duplicate = t->packets_duplicate,
        .bytes_in_flight = t->sent.in_flight,
        .congestion_window = t->congestion.window,
        .rtt_smoothed = t->rtt.measured ? t->rtt.smoothed : 0,
        .rtt_min = t->rtt.min,
        .streams_out = t->out.count,
        .streams_in = t->in_live,
        .bytes_queued = t->send.queued,
    };
}

/* ---- invariants ---- */

static void check_sending(const rovei_transport *t)
{
    rovei_sent_check(&t->sent);
    uint64_t queued = 0, promised = 0, sent = 0;
    size_t it = 0;
    for (rovei_sendstream *s; (s = rovei_map_next(&t->out, &it));) {
        rovei_sendstream_check(s);
        ROVEI_CHECK(s->listed && s->id < t->next_id);
        ROVEI_CHECK(!rovei_sendstream_done(s));
        ROVEI_CHECK(s->place == ROVEI_PLACE_NONE || !rovei_list_empty(&s->node));
        ROVEI_CHECK(s->place != ROVEI_PLACE_NONE || !rovei_sendstream_ready(&t->send, s));
        queued += s->end - s->base;
        promised += s->unit_end - s->next;
        sent += s->next;
    }
    ROVEI_CHECK(queued == t->send.queued && promised == t->send.promised);
    ROVEI_CHECK(sent <= t->send.sent && t->send.sent <= t->send.limit);
    ROVEI_CHECK(!t->send.waiting || t->send.waiting->listed);
    ROVEI_CHECK(t->sent.outstanding == 0 || t->probe_time != ROVE_TIME_NEVER);
    ROVEI_CHECK(t->congestion.window >= ROVEI_CWND_MIN);
}

static void check_receiving(const rovei_transport *t)
{
    uint64_t partial = 0, live = 0, refused = 0, pieces = 0, events = 0, highest = 0;
    size_t it = 0;
    for (rovei_recvstream *s; (s = rovei_map_next(&t->in, &it));) {
        rovei_recvstream_check(s);
        partial += s->next - s->delivered;
        highest += s->highest;
        pieces += s->piece_count;
        events += s->events;
        if (s->state == ROVEI_RECV_REFUSED)
            refused++;
        else
            live++;
        ROVEI_CHECK(s->id < t->in_next && !rovei_spans_has(&t->unseen, s->id));
    }
    for (size_t i = 0; i < t->recv.events_count; i++) {
        const rovei_queued_event *e =
            &t->recv.events[(t->recv.events_first + i) & (t->recv.events_room - 1)];
        events -= e->from ? 1 : 0;
    }
    ROVEI_CHECK(events == 0);
    ROVEI_CHECK(partial == t->recv.partial && pieces == t->recv.pieces);
    ROVEI_CHECK(live == t->in_live && refused == t->in_refused);
    ROVEI_CHECK(highest <= t->recv.received && t->recv.received <= t->recv.announced);
    ROVEI_CHECK(t->recv.consumed <= t->recv.received);
    rovei_spans_check(&t->unseen);
    for (uint32_t i = 1; i < t->received.count; i++)
        ROVEI_CHECK(t->received.r[i].last + 1 < t->received.r[i - 1].first);
}

void rovei_transport_check(const rovei_transport *t)
{
    check_sending(t);
    check_receiving(t);
}
