/* SPDX-License-Identifier: Apache-2.0
 *
 * Incoming stream content. A frame's bytes are used once: what lies below `next` was used before,
 * what lies on it goes into messages, what lies above a gap is kept until the gap closes. Every
 * step may be cut short by a refused allocation and is gone through again when the bytes come
 * again. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/recvstream.h>
#include <string.h>

#define LENGTH_SIZE  4u
#define ADVANCE_EACH 131072u             /* largest message that gets its size at once */
#define ADVANCE_ALL  (UINT64_C(4) << 20) /* and only while all advances stay below this */
#define ROOM_LEAST   4096u
#define EVENTS_FIRST 64u
#define EVENTS_KEPT  4096u /* a larger empty queue is given back */
#define PIECES_FIRST 8u

void rovei_recvshare_init(rovei_recvshare *share, const rove_alloc *a, uint64_t stream_window,
                          uint64_t peer_window)
{
    *share = (rovei_recvshare){.alloc = a,
                               .stream_window = stream_window,
                               .peer_window = peer_window,
                               .announced = peer_window};
    rovei_list_init(&share->stalled);
}

void rovei_recvshare_fini(rovei_recvshare *share)
{
    ROVEI_CHECK(share->events_count == 0);
    if (share->events)
        rovei_free(share->alloc, share->events, share->events_room * sizeof *share->events);
    share->events = NULL;
}

uint64_t rovei_recvshare_limit(const rovei_recvshare *share)
{
    uint64_t bonus = rovei_time_min(share->partial, ROVEI_MESSAGE_MAX + LENGTH_SIZE);
    return share->consumed + bonus + share->peer_window;
}

uint64_t rovei_recvstream_limit(const rovei_recvshare *share, const rovei_recvstream *s)
{
    return s->consumed + (s->next - s->delivered) + share->stream_window;
}

/* ---- events ---- */

rove_err rovei_events_reserve(rovei_recvshare *share)
{
    if (share->events_count < share->events_room)
        return ROVE_OK;
    size_t room = share->events_room ? share->events_room * 2 : EVENTS_FIRST;
    rovei_queued_event *events = rovei_calloc(share->alloc, room, sizeof *events);
    if (!events)
        return ROVE_E_NOMEM;
    for (size_t i = 0; i < share->events_count; i++)
        events[i] = share->events[(share->events_first + i) & (share->events_room - 1)];
    if (share->events)
        rovei_free(share->alloc, share->events, share->events_room * sizeof *events);
    share->events = events;
    share->events_room = room;
    share->events_first = 0;
    return ROVE_OK;
}

void rovei_events_push(rovei_recvshare *share, rovei_queued_event event)
{
    ROVEI_CHECK(share->events_count < share->events_room);
    share->events[(share->events_first + share->events_count) & (share->events_room - 1)] = event;
    share->events_count++;
    if (event.from)
        event.from->events++;
}

bool rovei_events_pop(rovei_recvshare *share, rovei_queued_event *ret)
{
    if (share->events_count == 0) {
        if (share->events_room > EVENTS_KEPT) {
            rovei_free(share->alloc, share->events, share->events_room * sizeof *share->events);
            share->events = NULL;
            share->events_room = 0;
        }
        return false;
    }
    *ret = share->events[share->events_first];
    share->events_first = (share->events_first + 1) & (share->events_room - 1);
    share->events_count--;
    if (ret->from)
        ret->from->events--;
    return true;
}

/* ---- life ---- */

rovei_recvstream *rovei_recvstream_new(const rovei_recvshare *share, uint64_t id, uint16_t tag)
{
    rovei_recvstream *s = ROVEI_NEW(share->alloc, rovei_recvstream);
    if (!s)
        return NULL;
    s->id = id;
    s->tag = tag;
    s->announced = share->stream_window;
    rovei_list_init(&s->control);
    rovei_list_init(&s->stalled);
    return s;
}

static size_t message_advance(const rovei_recvstream *s)
{
    return rovei_buf_size(s->message) - s->message_have;
}

/* Drops everything that has not become a message. */
static void drop_content(rovei_recvshare *share, rovei_recvstream *s)
{
    for (size_t i = 0; i < s->piece_count; i++) {
        rovei_piece *p = s->pieces[s->piece_first + i];
        rovei_free(share->alloc, p, sizeof *p + p->size);
    }
    share->pieces -= s->piece_count;
    if (s->pieces)
        rovei_free(share->alloc, s->pieces, s->piece_room * sizeof(rovei_piece *));
    s->pieces = NULL;
    s->piece_first = s->piece_count = s->piece_room = 0;
    if (s->message) {
        share->advance -= message_advance(s);
        rove_buf_unref(s->message);
    }
    s->message = NULL;
    s->message_have = 0;
    s->length_have = 0;
    share->partial -= s->next - s->delivered;
    rovei_list_remove(&s->stalled);
}

void rovei_recvstream_free(rovei_recvshare *share, rovei_recvstream *s)
{
    ROVEI_CHECK(s->events == 0);
    drop_content(share, s);
    rovei_list_remove(&s->control);
    ROVEI_DELETE(share->alloc, s);
}

/* ---- messages ---- */

/* Room for the message's first `want` bytes, of `s->message_size` in all. */
static rove_err message_room(rovei_recvshare *share, rovei_recvstream *s, size_t want)
{
    size_t room = rovei_buf_size(s->message), size = s->message_size;
    if (s->message && room >= want)
        return ROVE_OK;
    bool small = size <= ADVANCE_EACH && share->advance + (size - want) <= ADVANCE_ALL;
    if (small || size / 2 <= want)
        room = size;
    else
        room = want * 2 > ROOM_LEAST ? want * 2 : ROOM_LEAST < size ? ROOM_LEAST : size;
    rove_buf *message = rovei_buf_alloc(share->alloc, room);
    if (!message)
        return ROVE_E_NOMEM;
    if (s->message) {
        memcpy(rovei_buf_data(message), rovei_buf_data(s->message), s->message_have);
        share->advance -= message_advance(s);
        rove_buf_unref(s->message);
    }
    s->message = message;
    share->advance += message_advance(s);
    return ROVE_OK;
}

static void push_message(rovei_recvshare *share, rovei_recvstream *s, rove_buf *message)
{
    rovei_events_push(share, (rovei_queued_event){.from = s,
                                                  .message = message,
                                                  .id = s->id,
                                                  .tag = s->tag,
                                                  .kind = ROVEI_TRANSPORT_MESSAGE});
}

/* Takes bytes of the message whose length is known. *at moves by what was taken; nothing is when
 * the message would be whole and no event more may wait. */
static rove_err fill_message(rovei_recvshare *share, rovei_recvstream *s, const uint8_t *data,
                             size_t size, size_t *at)
{
    size_t need = s->message_size - s->message_have;
    size_t n = size - *at < need ? size - *at : need;
    if (n == need) {
        if (share->events_count >= ROVEI_EVENTS_MAX)
            return ROVE_OK;
        rove_err err = rovei_events_reserve(share);
        if (err)
            return err;
    }
    rove_err err = message_room(share, s, s->message_have + n);
    if (err)
        return err;
    if (n > 0)
        memcpy(rovei_buf_data(s->message) + s->message_have, data + *at, n);
    s->message_have += n;
    share->advance -= n;
    *at += n;
    if (s->message_have == s->message_size) {
        push_message(share, s, s->message);
        s->message = NULL;
        s->message_have = 0;
        s->length_have = 0;
    }
    return ROVE_OK;
}

/* A message that lies wholly in the bytes at hand, of `length` bytes. */
static rove_err take_whole(rovei_recvshare *share, rovei_recvstream *s, const uint8_t *data,
                           uint32_t length)
{
    rove_err err = rovei_events_reserve(share);
    if (err)
        return err;
    rove_buf *message = rovei_buf_alloc(share->alloc, length);
    if (!message)
        return ROVE_E_NOMEM;
    if (length > 0)
        memcpy(rovei_buf_data(message), data, length);
    push_message(share, s, message);
    return ROVE_OK;
}

/* The last byte of a length lies at *at. An empty message is whole with it, so the byte is only
 * taken together with the message. */
static rove_err begin_message(rovei_recvshare *share, rovei_recvstream *s, size_t *at)
{
    uint32_t length = rovei_load32(s->length);
    if (length > ROVEI_MESSAGE_MAX)
        return ROVE_E_BOUND;
    if (length == 0) {
        if (share->events_count >= ROVEI_EVENTS_MAX)
            return ROVE_OK;
        rove_err err = take_whole(share, s, NULL, 0);
        if (err)
            return err;
        s->length_have = 0;
    } else {
        s->length_have = LENGTH_SIZE;
        s->message_size = length;
    }
    (*at)++;
    return ROVE_OK;
}

/* Takes bytes in order; s->next moves by what was taken, which is less than `size` after an error
 * and when too many events wait. */
static rove_err take(rovei_recvshare *share, rovei_recvstream *s, const uint8_t *data, size_t size)
{
    rove_err err = ROVE_OK;
    size_t at = 0;
    uint64_t start = s->next, partial = s->next - s->delivered;
    while (at < size && !err) {
        size_t before = at;
        if (s->length_have == 0 && size - at >= LENGTH_SIZE) {
            uint32_t length = rovei_load32(data + at);
            if (length > ROVEI_MESSAGE_MAX) {
                err = ROVE_E_BOUND;
                break;
            }
            if (length <= size - at - LENGTH_SIZE) {
                if (share->events_count >= ROVEI_EVENTS_MAX)
                    break;
                err = take_whole(share, s, data + at + LENGTH_SIZE, length);
                if (!err) {
                    at += LENGTH_SIZE + length;
                    s->delivered = start + at;
                }
                continue;
            }
        }
        if (s->length_have < LENGTH_SIZE) {
            s->length[s->length_have] = data[at];
            if (s->length_have == LENGTH_SIZE - 1) {
                err = begin_message(share, s, &at);
                if (err || at == before)
                    break;
            } else {
                s->length_have++;
                at++;
            }
            if (s->length_have == 0)
                s->delivered = start + at;
            continue;
        }
        err = fill_message(share, s, data, size, &at);
        if (!err && s->length_have == 0)
            s->delivered = start + at;
        else if (at == before)
            break;
    }
    s->next = start + at;
    share->partial = share->partial - partial + (s->next - s->delivered);
    return err;
}

/* ---- pieces behind a gap ---- */

static rovei_piece *piece_at(const rovei_recvstream *s, size_t i)
{
    return s->pieces[s->piece_first + i];
}

/* Index of the first piece that ends above `offset`. */
static size_t piece_find(const rovei_recvstream *s, uint64_t offset)
{
    size_t low = 0, high = s->piece_count;
    if (high > 0 && piece_at(s, high - 1)->offset + piece_at(s, high - 1)->size <= offset)
        return high;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (piece_at(s, mid)->offset + piece_at(s, mid)->size > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static void piece_pop(rovei_recvshare *share, rovei_recvstream *s)
{
    rovei_piece *p = piece_at(s, 0);
    rovei_free(share->alloc, p, sizeof *p + p->size);
    s->piece_first++;
    s->piece_count--;
    share->pieces--;
    if (s->piece_count == 0)
        s->piece_first = 0;
}

static rove_err pieces_grow(rovei_recvshare *share, rovei_recvstream *s)
{
    size_t room = s->piece_room ? s->piece_room * 2 : PIECES_FIRST;
    rovei_piece **pieces = rovei_calloc(share->alloc, room, sizeof(rovei_piece *));
    if (!pieces)
        return ROVE_E_NOMEM;
    if (s->pieces) {
        memcpy(pieces, s->pieces + s->piece_first, s->piece_count * sizeof(rovei_piece *));
        rovei_free(share->alloc, s->pieces, s->piece_room * sizeof(rovei_piece *));
    }
    s->pieces = pieces;
    s->piece_room = room;
    s->piece_first = 0;
    return ROVE_OK;
}

static rove_err piece_insert(rovei_recvshare *share, rovei_recvstream *s, size_t i, uint64_t offset,
                             const uint8_t *data, size_t size)
{
    if (share->pieces >= ROVEI_PIECES_MAX)
        return ROVE_E_FULL;
    if (s->piece_count == s->piece_room) {
        rove_err err = pieces_grow(share, s);
        if (err)
            return err;
    }
    rovei_piece *p = rovei_alloc(share->alloc, sizeof *p + size);
    if (!p)
        return ROVE_E_NOMEM;
    p->offset = offset;
    p->size = size;
    memcpy(p->data, data, size);

    bool left_free = s->piece_first > 0;
    bool right_free = s->piece_first + s->piece_count < s->piece_room;
    rovei_piece **base = s->pieces + s->piece_first;
    if (left_free && (!right_free || i < s->piece_count / 2)) {
        memmove(base - 1, base, i * sizeof(rovei_piece *));
        s->piece_first--;
    } else {
        memmove(base + i + 1, base + i, (s->piece_count - i) * sizeof(rovei_piece *));
    }
    s->piece_count++;
    s->pieces[s->piece_first + i] = p;
    share->pieces++;
    return ROVE_OK;
}

/* Keeps what of the bytes is not kept yet. */
static rove_err store(rovei_recvshare *share, rovei_recvstream *s, uint64_t offset,
                      const uint8_t *data, size_t size)
{
    uint64_t end = offset + size;
    for (size_t i = piece_find(s, offset); offset < end; i++) {
        uint64_t to = end;
        if (i < s->piece_count) {
            const rovei_piece *p = piece_at(s, i);
            if (p->offset <= offset) {
                uint64_t past = p->offset + p->size;
                if (past >= end)
                    return ROVE_OK;
                data += past - offset;
                offset = past;
                continue;
            }
            to = p->offset < end ? p->offset : end;
        }
        rove_err err = piece_insert(share, s, i, offset, data, (size_t)(to - offset));
        if (err)
            return err;
        data += to - offset;
        offset = to;
    }
    return ROVE_OK;
}

/* Moves on through pieces that `next` has reached. */
static rove_err drain(rovei_recvshare *share, rovei_recvstream *s)
{
    while (s->piece_count > 0) {
        const rovei_piece *p = piece_at(s, 0);
        uint64_t end = p->offset + p->size;
        if (p->offset > s->next)
            return ROVE_OK;
        if (end > s->next) {
            size_t skip = (size_t)(s->next - p->offset);
            rove_err err = take(share, s, p->data + skip, p->size - skip);
            if (err)
                return err;
            if (s->next < end) {
                rovei_list_remove(&s->stalled);
                rovei_list_add_tail(&share->stalled, &s->stalled);
                return ROVE_OK;
            }
        }
        piece_pop(share, s);
    }
    return ROVE_OK;
}

/* ---- frames ---- */

/* Queues the end of the stream once all before it became messages. */
static rove_err reach_end(rovei_recvshare *share, rovei_recvstream *s)
{
    if (!s->final_known || s->next != s->final)
        return ROVE_OK;
    if (s->delivered != s->final)
        return ROVE_E_STREAM_STATE;
    rove_err err = rovei_events_reserve(share);
    if (err)
        return err;
    rovei_events_push(share,
                      (rovei_queued_event){
                          .from = s, .id = s->id, .tag = s->tag, .kind = ROVEI_TRANSPORT_FINISHED});
    s->state = ROVEI_RECV_FINISHED;
    drop_content(share, s);
    return ROVE_OK;
}

/* Counts bytes up to `end` against both limits. */
static rove_err count_flow(rovei_recvshare *share, rovei_recvstream *s, uint64_t end)
{
    if (end <= s->highest)
        return ROVE_OK;
    uint64_t more = end - s->highest;
    if (end > s->announced || more > share->announced - share->received)
        return ROVE_E_FLOW;
    share->received += more;
    s->highest = end;
    return ROVE_OK;
}

rove_err rovei_recvstream_data(rovei_recvshare *share, rovei_recvstream *s,
                               const rovei_frame_stream *f)
{
    const uint8_t *data = f->data.data;
    uint64_t offset = f->offset, end = f->offset + f->data.size;
    if (f->tag != s->tag)
        return ROVE_E_STREAM_STATE;
    if (s->final_known && (end > s->final || (f->fin && end != s->final)))
        return ROVE_E_STREAM_STATE;
    if (f->fin && end < s->highest)
        return ROVE_E_STREAM_STATE;
    if (s->state != ROVEI_RECV_OPEN)
        return ROVE_OK;
    rove_err err = count_flow(share, s, end);
    if (err)
        return err;
    if (f->fin) {
        s->final_known = true;
        s->final = end;
    }
    if (offset <= s->next && end > s->next) {
        size_t skip = (size_t)(s->next - offset);
        err = take(share, s, data + skip, f->data.size - skip);
        if (err)
            return err;
        data += s->next - offset;
        offset = s->next;
    }
    if (offset < end && end > s->next) {
        err = store(share, s, offset, data, (size_t)(end - offset));
        if (err)
            return err;
    }
    if (s->piece_count > 0)
        err = drain(share, s);
    return err ? err : reach_end(share, s);
}

rove_err rovei_recvstream_resume(rovei_recvshare *share, rovei_recvstream *s)
{
    rovei_list_remove(&s->stalled);
    if (s->state != ROVEI_RECV_OPEN)
        return ROVE_OK;
    rove_err err = drain(share, s);
    if (!err)
        err = reach_end(share, s);
    if (err == ROVE_E_NOMEM)
        rovei_list_add_tail(&share->stalled, &s->stalled);
    return err;
}

rove_err rovei_recvstream_reset(rovei_recvshare *share, rovei_recvstream *s, uint16_t tag,
                                uint64_t final)
{
    if (tag != s->tag || (s->final_known && final != s->final) || final < s->highest)
        return ROVE_E_STREAM_STATE;
    if (s->state == ROVEI_RECV_FINISHED || s->state == ROVEI_RECV_RESET)
        return ROVE_OK;
    if (s->state == ROVEI_RECV_OPEN) {
        rove_err err = rovei_events_reserve(share);
        if (err)
            return err;
    }
    rove_err err = count_flow(share, s, final);
    if (err)
        return err;
    share->consumed += final - s->delivered;
    drop_content(share, s);
    s->final_known = true;
    s->final = s->next = s->delivered = final;
    if (s->state == ROVEI_RECV_OPEN) {
        s->state = ROVEI_RECV_RESET;
        rovei_events_push(
            share, (rovei_queued_event){
                       .from = s, .id = s->id, .tag = s->tag, .kind = ROVEI_TRANSPORT_RESET});
    }
    return ROVE_OK;
}

void rovei_recvstream_check(const rovei_recvstream *s)
{
    ROVEI_CHECK(s->delivered <= s->next && s->next <= s->highest);
    ROVEI_CHECK(s->consumed + s->held <= s->delivered);
    ROVEI_CHECK(s->highest <= s->announced);
    ROVEI_CHECK(!s->final_known || s->highest <= s->final);
    ROVEI_CHECK(s->message_have <= rovei_buf_size(s->message));
    ROVEI_CHECK(s->piece_first + s->piece_count <= s->piece_room);
    uint64_t at = 0;
    for (size_t i = 0; i < s->piece_count; i++) {
        const rovei_piece *p = piece_at(s, i);
        ROVEI_CHECK(p->size > 0 && p->offset >= at && p->offset + p->size <= s->highest);
        at = p->offset + p->size;
    }
}
