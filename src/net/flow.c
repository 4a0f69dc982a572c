/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of a session's streams, and the packets that it makes of what they have to tell.
 *
 * A stream that this node sends on stays in the table for the session's life, so its counters are
 * never begun anew, and no late acknowledgement can meet another life of it. Those that are only
 * received come and go. */
#include <base/check.h>
#include <net/flow.h>
#include <net/wire.h>
#include <string.h>

typedef enum due_kind { DUE_GRANT, DUE_NACK, DUE_RESET, DUE_KINDS } due_kind;

typedef struct flow_stream {
    uint64_t id;
    rovei_list heard, due, ticking, told;
    bool is_due[DUE_KINDS];
    bool ended, starved; /* to be told to the owner; has met E_FULL */
    bool sending, receiving;
    bool failure_seen, failure_told;
    rovei_flow_receive in;
    rovei_flow_send out;
    rovei_list waiting; /* flow_waiting: published, and without credit yet */
    size_t waiting_bytes;
} flow_stream;

typedef struct flow_waiting {
    rovei_list list;
    rovei_flow_frames frames; /* in `bytes` */
    bool marked;
    uint8_t bytes[];
} flow_waiting;

#define STREAM(link, member) ROVEI_CONTAINER(link, flow_stream, member)
#define STREAM_WAITING(link) ROVEI_CONTAINER(link, flow_waiting, list)

void rovei_flow_init(rovei_flow *f, const rovei_env *env, rovei_flow_stats *stats)
{
    *f = (rovei_flow){.env = env, .stats = stats, .tick_at = UINT64_MAX};
    rovei_map_init_inside(&f->streams, &env->alloc, sizeof(uint64_t), offsetof(flow_stream, id),
                          rovei_rng_u64(&env->rng));
    rovei_list_init(&f->heard);
    rovei_list_init(&f->due);
    rovei_list_init(&f->ticking);
    rovei_list_init(&f->told);
    rovei_list_init(&f->queue);
}

static void stop_ticking(rovei_flow *f, flow_stream *s)
{
    rovei_list_remove(&s->ticking);
    if (rovei_list_empty(&f->ticking))
        f->tick_at = UINT64_MAX;
}

static void waiting_free(rovei_flow *f, flow_stream *s, flow_waiting *w)
{
    rovei_list_remove(&w->list);
    s->waiting_bytes -= w->frames.bytes.size;
    rovei_free(&f->env->alloc, w, sizeof *w + w->frames.bytes.size);
}

static void stream_free(rovei_flow *f, flow_stream *s)
{
    ROVEI_LIST_EACH (it, nxt, &s->waiting)
        waiting_free(f, s, STREAM_WAITING(it));
    if (s->sending)
        rovei_flow_send_fini(&s->out);
    for (int kind = 0; kind < DUE_KINDS; kind++)
        f->due_counts[kind] -= s->is_due[kind];
    rovei_list_remove(&s->heard);
    rovei_list_remove(&s->due);
    rovei_list_remove(&s->told);
    stop_ticking(f, s);
    ROVEI_DELETE(&f->env->alloc, s);
}

void rovei_flow_fini(rovei_flow *f)
{
    flow_stream *s;
    for (size_t it = 0; (s = rovei_map_next(&f->streams, &it));)
        stream_free(f, s);
    rovei_map_fini(&f->streams);
}

static void stream_drop(rovei_flow *f, flow_stream *s)
{
    (void)rovei_map_remove(&f->streams, &s->id);
    stream_free(f, s);
}

static flow_stream *stream_find(const rovei_flow *f, uint64_t id)
{
    return rovei_map_get(&f->streams, &id);
}

/* A place for one more stream: that of the one which was silent for longest. */
static bool make_room(rovei_flow *f)
{
    if (f->streams.count < f->env->limits.net_streams)
        return true;
    if (rovei_list_empty(&f->heard))
        return false;
    stream_drop(f, STREAM(f->heard.next, heard));
    f->stats->evicted++;
    return true;
}

static rove_err stream_new(rovei_flow *f, uint64_t id, flow_stream **ret)
{
    if (!make_room(f))
        return ROVE_E_STREAM_LIMIT;
    flow_stream *s = ROVEI_NEW(&f->env->alloc, flow_stream);
    if (!s)
        return ROVE_E_NOMEM;
    s->id = id;
    rove_err err = rovei_map_put(&f->streams, &s->id, s);
    if (err) {
        ROVEI_DELETE(&f->env->alloc, s);
        return err;
    }
    rovei_list_init(&s->heard);
    rovei_list_init(&s->due);
    rovei_list_init(&s->ticking);
    rovei_list_init(&s->told);
    rovei_list_init(&s->waiting);
    *ret = s;
    return ROVE_OK;
}

/* ---- lists ---- */

static void set_due(rovei_flow *f, flow_stream *s, due_kind kind)
{
    if (s->is_due[kind])
        return;
    s->is_due[kind] = true;
    f->due_counts[kind]++;
    if (rovei_list_empty(&s->due))
        rovei_list_add_tail(&f->due, &s->due);
}

static void clear_due(rovei_flow *f, flow_stream *s, due_kind kind)
{
    if (!s->is_due[kind])
        return;
    s->is_due[kind] = false;
    f->due_counts[kind]--;
    if (!s->is_due[DUE_GRANT] && !s->is_due[DUE_NACK] && !s->is_due[DUE_RESET])
        rovei_list_remove(&s->due);
}

static void tell(rovei_flow *f, flow_stream *s)
{
    if (rovei_list_empty(&s->told))
        rovei_list_add_tail(&f->told, &s->told);
}

static bool wants_ticks(const flow_stream *s)
{
    return (s->receiving && rovei_flow_receive_waits(&s->in)) ||
           (s->sending && s->out.reliable && s->out.pending_count) || s->waiting_bytes;
}

static void update_ticking(rovei_flow *f, uint64_t now, flow_stream *s)
{
    if (!wants_ticks(s)) {
        stop_ticking(f, s);
        return;
    }
    if (rovei_list_empty(&s->ticking))
        rovei_list_add_tail(&f->ticking, &s->ticking);
    if (f->tick_at == UINT64_MAX)
        f->tick_at = rovei_time_add(now, ROVEI_FLOW_TICK);
}

/* ---- receiving ---- */

rovei_flow_verdict rovei_flow_receive_packet(rovei_flow *f, uint64_t now, uint64_t stream,
                                             uint64_t sequence, bool reliable, size_t plain_size)
{
    flow_stream *s = stream_find(f, stream);
    if (!s && stream_new(f, stream, &s)) {
        f->stats->refused++;
        return ROVEI_FLOW_REFUSED;
    }
    if (!s->receiving) {
        s->receiving = true;
        rovei_flow_receive_init(&s->in, reliable);
    }
    if (!s->sending) {
        rovei_list_remove(&s->heard);
        rovei_list_add_tail(&f->heard, &s->heard);
    }
    rovei_flow_verdict verdict =
        rovei_flow_receive_take(&s->in, now, sequence, (uint32_t)(plain_size + ROVEI_NET_OVERHEAD));
    switch (verdict) {
    case ROVEI_FLOW_NEW:
        f->stats->received++;
        break;
    case ROVEI_FLOW_DUPLICATE:
        f->stats->duplicates++;
        break;
    case ROVEI_FLOW_REFUSED:
        f->stats->refused++;
        break;
    }
    /* The sender of a duplicate has not heard of its arrival. */
    if (verdict != ROVEI_FLOW_REFUSED)
        set_due(f, s, DUE_GRANT);
    if (s->in.fresh_hole)
        set_due(f, s, DUE_NACK);
    s->in.fresh_hole = false;
    update_ticking(f, now, s);
    return verdict;
}

/* What was received of a stream is forgotten. */
static void receive_end(rovei_flow *f, uint64_t now, flow_stream *s)
{
    s->receiving = false;
    clear_due(f, s, DUE_GRANT);
    clear_due(f, s, DUE_NACK);
    update_ticking(f, now, s);
}

/* The peer forgets the stream, and its numbers begin at 0. It is long enough since anything of it
 * was under way that nothing late can be taken for a part of the new one. */
static void begin_anew(rovei_flow *f, uint64_t now, flow_stream *s, bool reliable)
{
    rovei_flow_send_fini(&s->out);
    rovei_flow_send_init(&s->out, &f->env->alloc, &f->queue, s->id, reliable, ROVEI_FLOW_WINDOW);
    s->out.alive = now;
    s->failure_seen = s->failure_told = false;
    set_due(f, s, DUE_RESET);
    receive_end(f, now, s);
    f->stats->renewed++;
}

/* One packet; on a stream of a channel that is stuck for long, as the first of a new beginning. */
static rove_err put_publish(rovei_flow *f, uint64_t now, flow_stream *s,
                            const rovei_flow_frames *frames, bool marked)
{
    rove_err err = rovei_flow_send_put(&s->out, frames, marked);
    bool stuck = err == ROVE_E_CLOSED || (err == ROVE_E_FULL && !s->out.reliable);
    if (!stuck || now - s->out.alive < ROVEI_FLOW_NEW_LIFE)
        return err;
    begin_anew(f, now, s, marked);
    return rovei_flow_send_put(&s->out, frames, marked);
}

/* What waits goes as far as there is credit. */
static void advance(rovei_flow *f, uint64_t now, flow_stream *s)
{
    ROVEI_LIST_EACH (it, nxt, &s->waiting) {
        flow_waiting *w = STREAM_WAITING(it);
        if (put_publish(f, now, s, &w->frames, w->marked))
            return;
        waiting_free(f, s, w);
    }
}

static void look_after_sending(rovei_flow *f, uint64_t now, flow_stream *s)
{
    if (s->out.failed && !s->failure_seen) {
        s->failure_seen = true;
        f->stats->failed++;
        set_due(f, s, DUE_RESET);
        tell(f, s);
        /* The peer forgets the stream in both directions. */
        receive_end(f, now, s);
    }
    advance(f, now, s);
    if (s->starved && !s->out.failed && s->waiting_bytes <= ROVEI_FLOW_WAITING / 4)
        tell(f, s);
    update_ticking(f, now, s);
}

bool rovei_flow_receive_control(rovei_flow *f, uint64_t now, uint16_t id, rove_span event)
{
    rovei_flow_message m;
    if (rovei_flow_read(id, event, &m)) {
        f->stats->malformed++;
        return false;
    }
    flow_stream *s = stream_find(f, m.stream);
    if (id == ROVEI_FLOW_RESET_ID) {
        if (s && s->receiving) {
            receive_end(f, now, s);
            s->ended = true;
            f->stats->ended++;
            tell(f, s);
        }
        return true;
    }
    if (!s || !s->sending) {
        f->stats->stray++;
        return true;
    }
    uint64_t resent = s->out.resent, contradicted = s->out.contradicted;
    if (id == ROVEI_FLOW_WINDOW_ID)
        rovei_flow_send_window(&s->out, now, &m);
    else if (id == ROVEI_FLOW_NACK_ID)
        rovei_flow_send_nack(&s->out, &m);
    else
        rovei_flow_send_ranges(&s->out, now, &m);
    f->stats->resent += s->out.resent - resent;
    f->stats->contradicted += s->out.contradicted - contradicted;
    look_after_sending(f, now, s);
    return true;
}

/* ---- sending ---- */

static rove_err open_stream(rovei_flow *f, uint64_t stream, bool reliable, uint64_t window)
{
    flow_stream *s = stream_find(f, stream);
    if (s && s->sending)
        return ROVE_E_EXISTS;
    if (!s) {
        rove_err err = stream_new(f, stream, &s);
        if (err)
            return err;
    }
    s->sending = true;
    rovei_list_remove(&s->heard);
    rovei_flow_send_init(&s->out, &f->env->alloc, &f->queue, stream, reliable, window);
    return ROVE_OK;
}

rove_err rovei_flow_open(rovei_flow *f, uint64_t stream, bool reliable, uint64_t window)
{
    return stream >> 48 ? ROVE_E_USAGE : open_stream(f, stream, reliable, window);
}

static rove_err refused(rovei_flow *f, flow_stream *s, rove_err err)
{
    if (err == ROVE_E_FULL) {
        s->starved = true;
        f->stats->backpressure++;
    }
    return err;
}

rove_err rovei_flow_put(rovei_flow *f, uint64_t now, uint64_t stream, rove_span event)
{
    flow_stream *s = stream_find(f, stream);
    if (!s || !s->sending)
        return ROVE_E_NOT_FOUND;
    uint8_t bytes[ROVEI_NET_PLAIN_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    if (!rovei_net_frame_write(&w, event))
        return s->out.failed ? ROVE_E_CLOSED : ROVE_E_TOO_LARGE;
    const rovei_flow_frames frames = {{bytes, rovei_writer_size(&w)}, 1};
    rove_err err = rovei_flow_send_put(&s->out, &frames, s->out.reliable);
    update_ticking(f, now, s);
    return refused(f, s, err);
}

/* ---- publishing ---- */

/* The stream of a channel, opened when it is not. */
static rove_err publish_stream(rovei_flow *f, uint64_t now, uint64_t stream, bool reliable,
                               const rovei_flow_frames *frames, flow_stream **ret)
{
    if (!rovei_flow_is_publish(stream))
        return ROVE_E_USAGE;
    if (frames->bytes.size > ROVEI_NET_PLAIN_MAX)
        return ROVE_E_TOO_LARGE;
    *ret = stream_find(f, stream);
    if (*ret && (*ret)->sending)
        return ROVE_OK;
    rove_err err = open_stream(f, stream, reliable, ROVEI_FLOW_WINDOW);
    if (err)
        return err;
    *ret = stream_find(f, stream);
    (*ret)->out.alive = now;
    return ROVE_OK;
}

rove_err rovei_flow_publish(rovei_flow *f, uint64_t now, uint64_t stream, bool reliable,
                            const rovei_flow_frames *frames)
{
    flow_stream *s;
    rove_err err = publish_stream(f, now, stream, reliable, frames, &s);
    if (err)
        return err;
    err = s->waiting_bytes ? ROVE_E_FULL : put_publish(f, now, s, frames, reliable);
    update_ticking(f, now, s);
    return refused(f, s, err);
}

static rove_err wait_for_credit(rovei_flow *f, flow_stream *s, const rovei_flow_frames *frames,
                                bool marked)
{
    size_t size = frames->bytes.size;
    flow_waiting *w = rovei_alloc(&f->env->alloc, sizeof *w + size);
    if (!w)
        return ROVE_E_NOMEM;
    *w = (flow_waiting){.frames = {{w->bytes, size}, frames->count}, .marked = marked};
    memcpy(w->bytes, frames->bytes.data, size);
    rovei_list_add_tail(&s->waiting, &w->list);
    s->waiting_bytes += size;
    return ROVE_OK;
}

rove_err rovei_flow_publish_waiting(rovei_flow *f, uint64_t now, uint64_t stream, bool reliable,
                                    const rovei_flow_frames *frames)
{
    flow_stream *s;
    rove_err err = publish_stream(f, now, stream, reliable, frames, &s);
    if (err || !frames->bytes.size)
        return err;
    err = ROVE_E_FULL;
    if (!s->waiting_bytes)
        err = put_publish(f, now, s, frames, reliable);
    if (err == ROVE_E_CLOSED || (err == ROVE_E_FULL && s->waiting_bytes < ROVEI_FLOW_WAITING))
        err = wait_for_credit(f, s, frames, reliable);
    update_ticking(f, now, s);
    return refused(f, s, err);
}

bool rovei_flow_publish_is_full(rovei_flow *f, uint64_t stream)
{
    flow_stream *s = stream_find(f, stream);
    if (!s || s->waiting_bytes < ROVEI_FLOW_WAITING / 2)
        return false;
    s->starved = true;
    return true;
}

/* ---- packets to seal ---- */

static rovei_flow_message message_of(const flow_stream *s, due_kind kind)
{
    rovei_flow_message m = {.stream = s->id, .ack = s->in.reliable ? s->in.next : 0};
    switch (kind) {
    case DUE_GRANT:
        m.id = ROVEI_FLOW_WINDOW_ID;
        m.consumed = s->in.consumed;
        break;
    case DUE_NACK:
        m.id = ROVEI_FLOW_NACK_ID;
        m.missing = rovei_flow_receive_missing(&s->in);
        break;
    case DUE_RESET:
    case DUE_KINDS:
        m.id = ROVEI_FLOW_RESET_ID;
        break;
    }
    return m;
}

/* One packet with what is due of one kind, of as many streams as it holds. */
static void write_control(rovei_flow *f, due_kind kind, uint8_t *ret, rovei_flow_out *out)
{
    size_t size = kind == DUE_RESET ? ROVEI_FLOW_RESET_SIZE : ROVEI_FLOW_WINDOW_SIZE;
    rovei_writer w = rovei_writer_of(ret, ROVEI_NET_PLAIN_MAX);
    *out = (rovei_flow_out){.stream = ROVEI_NET_CONTROL_STREAM, .sequence = f->control++};
    ROVEI_LIST_EACH (it, nxt, &f->due) {
        flow_stream *s = STREAM(it, due);
        if (!s->is_due[kind])
            continue;
        if (rovei_writer_room(&w) < ROVEI_NET_FRAME_HEAD + size)
            break;
        clear_due(f, s, kind);
        rovei_flow_message m = message_of(s, kind);
        rovei_write_u32(&w, (uint32_t)size);
        rovei_flow_write(&w, &m);
        out->subprotocol = m.id;
        out->events++;
    }
    out->size = rovei_writer_size(&w);
}

bool rovei_flow_transmit(rovei_flow *f, uint64_t now, uint8_t *ret, rovei_flow_out *ret_out)
{
    for (int kind = 0; kind < DUE_KINDS; kind++) {
        if (!f->due_counts[kind])
            continue;
        write_control(f, (due_kind)kind, ret, ret_out);
        f->stats->grants += kind == DUE_GRANT ? ret_out->events : 0;
        f->stats->nacks += kind == DUE_NACK ? ret_out->events : 0;
        return true;
    }
    if (rovei_list_empty(&f->queue))
        return false;
    rovei_flow_packet *p = ROVEI_CONTAINER(f->queue.next, rovei_flow_packet, queue);
    *ret_out = (rovei_flow_out){.reliable = p->marked,
                                .stream = p->owner->stream,
                                .sequence = p->sequence,
                                .events = p->events,
                                .size = p->size};
    if (p->size)
        memcpy(ret, p->bytes, p->size);
    f->stats->sent++;
    flow_stream *s = ROVEI_CONTAINER(p->owner, flow_stream, out);
    rovei_flow_send_left(p, now);
    if (!s->out.reliable)
        look_after_sending(f, now, s);
    return true;
}

/* ---- time ---- */

static void stream_tick(rovei_flow *f, uint64_t now, flow_stream *s)
{
    if (s->receiving) {
        uint64_t lost = rovei_flow_receive_expire(&s->in, now);
        f->stats->given_up += lost;
        if (lost)
            set_due(f, s, DUE_GRANT);
        if (s->in.reliable && s->in.count)
            set_due(f, s, DUE_NACK);
    }
    if (s->sending) {
        uint64_t resent = s->out.resent;
        rovei_flow_send_expire(&s->out, now);
        f->stats->resent += s->out.resent - resent;
        look_after_sending(f, now, s);
    }
}

void rovei_flow_expire(rovei_flow *f, uint64_t now)
{
    if (now < f->tick_at)
        return;
    ROVEI_LIST_EACH (it, nxt, &f->ticking) {
        flow_stream *s = STREAM(it, ticking);
        stream_tick(f, now, s);
        update_ticking(f, now, s);
    }
    if (!rovei_list_empty(&f->ticking))
        f->tick_at = rovei_time_add(now, ROVEI_FLOW_TICK);
}

/* ---- what happened ---- */

bool rovei_flow_poll(rovei_flow *f, rovei_flow_event *ret)
{
    while (!rovei_list_empty(&f->told)) {
        flow_stream *s = STREAM(f->told.next, told);
        ret->stream = s->id;
        if (s->failure_seen && !s->failure_told) {
            s->failure_told = true;
            ret->kind = ROVEI_FLOW_FAILED;
            return true;
        }
        if (s->ended) {
            s->ended = false;
            ret->kind = ROVEI_FLOW_ENDED;
            if (!s->sending && !s->receiving)
                stream_drop(f, s);
            return true;
        }
        rovei_list_remove(&s->told);
        if (s->starved) {
            s->starved = false;
            ret->kind = ROVEI_FLOW_ROOM;
            return true;
        }
    }
    return false;
}

void rovei_flow_check(const rovei_flow *f)
{
    uint32_t counts[DUE_KINDS] = {0};
    ROVEI_LIST_EACH (it, nxt, &f->due)
        for (int kind = 0; kind < DUE_KINDS; kind++)
            counts[kind] += STREAM(it, due)->is_due[kind];
    for (int kind = 0; kind < DUE_KINDS; kind++)
        ROVEI_CHECK(counts[kind] == f->due_counts[kind]);
    ROVEI_CHECK(rovei_list_empty(&f->ticking) == (f->tick_at == UINT64_MAX));
    const flow_stream *s;
    for (size_t it = 0; (s = rovei_map_next(&f->streams, &it));) {
        if (s->receiving)
            rovei_flow_receive_check(&s->in);
        if (s->sending)
            rovei_flow_send_check(&s->out);
        ROVEI_CHECK(rovei_list_empty(&s->heard) == s->sending);
        ROVEI_CHECK(!wants_ticks(s) || !rovei_list_empty(&s->ticking));
        ROVEI_CHECK(rovei_list_empty(&s->waiting) == (s->waiting_bytes == 0));
        ROVEI_CHECK(s->waiting_bytes < ROVEI_FLOW_WAITING + ROVEI_NET_PLAIN_MAX);
    }
}
