/* SPDX-License-Identifier: Apache-2.0
 *
 * Outgoing stream content: the queue of chunks, the frames cut out of it, and what became of them.
 * For each frame under way, `acked` and `lost` have room for one extent more, so that settling a
 * frame never fails. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/sendstream.h>
#include <string.h>

#define BLOCK_FIRST    512u  /* a stream's first block; each next one is twice as large */
#define BODY_COPIED    2048u /* larger bodies are shared instead of copied */
#define CHUNKS_KEPT    256u  /* free chunks kept */
#define FRAME_LEAST    16u   /* fewer bytes at a packet's end are not worth a frame's head */
#define LENGTH_SIZE    4u
#define WINDOW_ASSUMED 65536u /* what each peer grants before its LIMITS are known */

void rovei_sendshare_init(rovei_sendshare *share, const rove_alloc *a)
{
    *share =
        (rovei_sendshare){.alloc = a, .limit = WINDOW_ASSUMED, .stream_window = WINDOW_ASSUMED};
}

void rovei_sendshare_fini(rovei_sendshare *share)
{
    while (share->free_chunks) {
        rovei_chunk *c = share->free_chunks;
        share->free_chunks = c->next;
        ROVEI_DELETE(share->alloc, c);
    }
    while (share->spare_count > 0)
        rove_buf_unref(share->spares[--share->spare_count]);
}

/* ---- chunks and blocks ---- */

static rovei_chunk *chunk_new(rovei_sendshare *share)
{
    rovei_chunk *c = share->free_chunks;
    if (!c)
        return ROVEI_NEW(share->alloc, rovei_chunk);
    share->free_chunks = c->next;
    share->free_count--;
    return c;
}

static void chunk_recycle(rovei_sendshare *share, rovei_chunk *c)
{
    if (share->free_count >= CHUNKS_KEPT) {
        ROVEI_DELETE(share->alloc, c);
        return;
    }
    c->next = share->free_chunks;
    share->free_chunks = c;
    share->free_count++;
}

static bool held_once(rove_buf *buf)
{
    return atomic_load_explicit(&buf->refs, memory_order_acquire) == 1;
}

/* Gives back one reference; a full-size block that nobody else holds is kept for later. */
static void buf_release(rovei_sendshare *share, rove_buf *buf)
{
    if (rovei_buf_size(buf) == ROVEI_SEND_BLOCK && share->spare_count < ROVEI_SEND_SPARES &&
        held_once(buf)) {
        share->spares[share->spare_count++] = buf;
        return;
    }
    rove_buf_unref(buf);
}

static rove_buf *block_new(rovei_sendshare *share, size_t size)
{
    if (size == ROVEI_SEND_BLOCK && share->spare_count > 0)
        return share->spares[--share->spare_count];
    return rovei_buf_alloc(share->alloc, size);
}

/* Makes sure that `size` bytes fit into the stream's block. */
static rove_err block_reserve(rovei_sendshare *share, rovei_sendstream *s, size_t size)
{
    if (s->block && s->block_used > 0 && !s->head && held_once(s->block))
        s->block_used = 0;
    if (s->block && rovei_buf_size(s->block) - s->block_used >= size)
        return ROVE_OK;
    size_t room = s->block_size;
    while (room < size && room < ROVEI_SEND_BLOCK)
        room *= 2;
    if (room < size)
        room = size;
    rove_buf *block = block_new(share, room);
    if (!block)
        return ROVE_E_NOMEM;
    if (s->block)
        buf_release(share, s->block);
    s->block = block;
    s->block_used = 0;
    s->block_size = room < ROVEI_SEND_BLOCK ? room * 2 : ROVEI_SEND_BLOCK;
    return ROVE_OK;
}

static void append_chunk(rovei_sendstream *s, rovei_chunk *c, rove_buf *buf, const uint8_t *data,
                         size_t size)
{
    *c = (rovei_chunk){.buf = buf, .data = data, .offset = s->end, .size = size};
    if (s->tail)
        s->tail->next = c;
    else
        s->head = c;
    s->tail = c;
    if (!s->send_at)
        s->send_at = c;
}

/* ---- life ---- */

/* Bytes of a begun unit were sent or dropped. */
static void give_back(rovei_sendshare *share, uint64_t size)
{
    share->promised -= size;
    if (size > 0 && share->promised == 0)
        share->unblocked = true;
}

static void stop_waiting(rovei_sendshare *share, const rovei_sendstream *s)
{
    if (share->waiting != s)
        return;
    share->waiting = NULL;
    share->unblocked = true;
}

rovei_sendstream *rovei_sendstream_new(const rovei_sendshare *share, uint64_t id, uint16_t tag)
{
    rovei_sendstream *s = ROVEI_NEW(share->alloc, rovei_sendstream);
    if (!s)
        return NULL;
    s->id = id;
    s->tag = tag;
    s->block_size = BLOCK_FIRST;
    rovei_list_init(&s->node);
    rovei_list_init(&s->reset);
    rovei_spans_init(&s->acked);
    rovei_spans_init(&s->lost);
    return s;
}

static void drop_chunks(rovei_sendshare *share, rovei_sendstream *s)
{
    while (s->head) {
        rovei_chunk *c = s->head;
        s->head = c->next;
        buf_release(share, c->buf);
        chunk_recycle(share, c);
    }
    s->tail = s->send_at = s->again_at = NULL;
    if (s->block)
        buf_release(share, s->block);
    s->block = NULL;
    s->block_used = 0;
}

void rovei_sendstream_free(rovei_sendshare *share, rovei_sendstream *s)
{
    ROVEI_CHECK(s->refs == 0);
    rovei_sendstream_reset(share, s);
    ROVEI_DELETE(share->alloc, s);
}

void rovei_sendstream_reset(rovei_sendshare *share, rovei_sendstream *s)
{
    drop_chunks(share, s);
    share->queued -= s->end - s->base;
    give_back(share, s->unit_end - s->next);
    stop_waiting(share, s);
    s->base = s->end = s->unit_end = s->next;
    rovei_spans_fini(&s->acked, share->alloc);
    rovei_spans_fini(&s->lost, share->alloc);
    s->is_reset = true;
}

/* ---- queue ---- */

rove_err rovei_sendstream_queue(rovei_sendshare *share, rovei_sendstream *s, rove_span head,
                                rove_buf *body)
{
    rove_span rest = rove_buf_span(body);
    bool shared = rest.size > BODY_COPIED;
    size_t copied = LENGTH_SIZE + head.size + (shared ? 0 : rest.size);
    rove_err err = block_reserve(share, s, copied);
    if (err)
        return err;

    uint8_t *at = rovei_buf_data(s->block) + s->block_used;
    bool joined = s->tail && s->tail->buf == s->block && s->tail->data + s->tail->size == at;
    rovei_chunk *first = joined ? NULL : chunk_new(share);
    rovei_chunk *second = shared ? chunk_new(share) : NULL;
    if ((!joined && !first) || (shared && !second)) {
        if (first)
            chunk_recycle(share, first);
        if (second)
            chunk_recycle(share, second);
        return ROVE_E_NOMEM;
    }

    rovei_store32(at, (uint32_t)(head.size + rest.size));
    if (head.size > 0)
        memcpy(at + LENGTH_SIZE, head.data, head.size);
    if (!shared && rest.size > 0)
        memcpy(at + LENGTH_SIZE + head.size, rest.data, rest.size);
    s->block_used += copied;
    if (joined)
        s->tail->size += copied;
    else
        append_chunk(s, first, rove_buf_ref(s->block), at, copied);
    s->end += copied;
    if (shared) {
        s->tail->more = true;
        append_chunk(s, second, rove_buf_ref(body), rest.data, rest.size);
        s->end += rest.size;
    }
    share->queued += copied + (shared ? rest.size : 0);
    return ROVE_OK;
}

/* ---- frames ---- */

/* The chunk that holds `offset`, at or after `c`. */
static rovei_chunk *chunk_at(rovei_chunk *c, uint64_t offset)
{
    while (offset - c->offset >= c->size)
        c = c->next;
    return c;
}

/* Copies `size` bytes from `offset` on, and gives the chunk of the last of them. */
static rovei_chunk *copy_out(rovei_chunk *c, uint64_t offset, uint8_t *ret, size_t size)
{
    for (;;) {
        size_t skip = (size_t)(offset - c->offset);
        size_t n = c->size - skip < size ? c->size - skip : size;
        memcpy(ret, c->data + skip, n);
        size -= n;
        if (size == 0)
            return c;
        ret += n;
        offset += n;
        c = c->next;
    }
}

static bool fin_due(const rovei_sendstream *s)
{
    return s->fin == ROVEI_FIN_PENDING && s->next == s->end && s->lost.count == 0;
}

static uint64_t stream_credit(const rovei_sendshare *share, const rovei_sendstream *s)
{
    uint64_t limit = s->limit > share->stream_window ? s->limit : share->stream_window;
    return limit > s->next ? limit - s->next : 0;
}

bool rovei_sendstream_ready(const rovei_sendshare *share, const rovei_sendstream *s)
{
    if (s->is_reset)
        return false;
    return s->lost.count > 0 || fin_due(s) || (s->next < s->end && stream_credit(share, s) > 0);
}

/* Puts one frame of [offset, offset + size) whose bytes lie from chunk `c` on. */
static rovei_chunk *put_frame(rovei_sendstream *s, rovei_writer *w, rovei_sent *sent,
                              rovei_chunk *c, uint64_t offset, size_t size)
{
    bool fin = offset + size == s->end && (s->fin == ROVEI_FIN_PENDING || s->fin == ROVEI_FIN_SENT);
    rovei_frame_put_stream(w->at, s->id, offset, s->tag, (uint16_t)size, fin);
    if (size > 0)
        c = copy_out(c, offset, w->at + ROVEI_FRAME_STREAM_SIZE, size);
    w->at += ROVEI_FRAME_STREAM_SIZE + size;
    if (fin)
        s->fin = ROVEI_FIN_SENT;
    rovei_sent_note(sent, (rovei_sent_frame){.type = ROVEI_FRAME_STREAM,
                                             .fin = fin,
                                             .size = (uint16_t)size,
                                             .stream = s,
                                             .value = offset});
    s->refs++;
    return c;
}

static bool has_room(const rovei_writer *w, const rovei_sent *sent, size_t bytes)
{
    return rovei_writer_room(w) >= ROVEI_FRAME_STREAM_SIZE + bytes && !rovei_sent_full(sent);
}

static rove_err reserve_settling(const rovei_sendshare *share, rovei_sendstream *s)
{
    rove_err err = rovei_spans_reserve(&s->acked, share->alloc, (size_t)s->refs + 1);
    return err ? err : rovei_spans_reserve(&s->lost, share->alloc, (size_t)s->refs + 1);
}

/* Drops from the front of `lost` what was acknowledged meanwhile; gives how much of the rest may
 * be sent in one piece. */
static uint64_t lost_front(rovei_sendstream *s)
{
    while (s->lost.count > 0) {
        rovei_extent e = *rovei_spans_at(&s->lost, 0);
        if (e.from < s->base) {
            rovei_spans_remove(&s->lost, e.from, s->base);
            continue;
        }
        size_t i = rovei_spans_find(&s->acked, e.from);
        if (i == s->acked.count)
            return e.to - e.from;
        const rovei_extent *have = rovei_spans_at(&s->acked, i);
        if (have->from > e.from)
            return (have->from < e.to ? have->from : e.to) - e.from;
        rovei_spans_remove(&s->lost, e.from, have->to);
    }
    return 0;
}

/* Whether the unit at `next` may be begun; begins it. */
static bool begin_unit(rovei_sendshare *share, rovei_sendstream *s)
{
    const rovei_chunk *c = chunk_at(s->send_at, s->next);
    uint64_t end = c->offset + c->size;
    if (c->more)
        end += c->next->size;
    uint64_t size = end - s->next;
    uint64_t taken = share->sent + share->promised;
    bool covered = share->limit > taken && share->limit - taken >= size;
    bool alone = share->promised == 0 && share->limit > share->sent;
    if ((share->waiting && share->waiting != s) || !(covered || alone)) {
        if (!share->waiting)
            share->waiting = s;
        return false;
    }
    stop_waiting(share, s);
    share->promised += size;
    s->unit_end = end;
    return true;
}

rovei_send_result rovei_sendstream_write(rovei_sendshare *share, rovei_sendstream *s,
                                         rovei_writer *w, rovei_sent *sent)
{
    for (;;) {
        uint64_t again = lost_front(s);
        bool fin = !again && fin_due(s);
        uint64_t fresh = again || fin ? 0 : s->end - s->next;
        uint64_t credit = stream_credit(share, s);
        fresh = fresh < credit ? fresh : credit;
        if (!again && !fin && !fresh)
            return ROVEI_SEND_IDLE;
        uint64_t least = again ? again : fresh;
        if (!has_room(w, sent, least < FRAME_LEAST ? (size_t)least : FRAME_LEAST))
            return ROVEI_SEND_MORE;
        if (reserve_settling(share, s))
            return ROVEI_SEND_NOMEM;
        uint64_t room = rovei_writer_room(w) - ROVEI_FRAME_STREAM_SIZE;
        if (again) {
            uint64_t from = rovei_spans_at(&s->lost, 0)->from;
            size_t size = (size_t)(again < room ? again : room);
            rovei_chunk *c = s->again_at && s->again_at->offset <= from ? s->again_at : s->head;
            rovei_spans_remove(&s->lost, from, from + size);
            s->again_at = put_frame(s, w, sent, chunk_at(c, from), from, size);
            continue;
        }
        if (fin) {
            put_frame(s, w, sent, NULL, s->end, 0);
            return ROVEI_SEND_IDLE;
        }
        if (s->next == s->unit_end && !begin_unit(share, s))
            return ROVEI_SEND_BLOCKED;
        uint64_t total = share->limit - share->sent;
        fresh = fresh < total ? fresh : total;
        uint64_t unit = s->unit_end - s->next;
        fresh = fresh < unit ? fresh : unit;
        if (fresh == 0)
            return ROVEI_SEND_BLOCKED;
        size_t size = (size_t)(fresh < room ? fresh : room);
        s->next += size;
        share->sent += size;
        give_back(share, size);
        uint64_t from = s->next - size;
        s->send_at = put_frame(s, w, sent, chunk_at(s->send_at, from), from, size);
    }
}

/* ---- settling ---- */

/* Lets go of the chunks that lie wholly below `base`. */
static void release_chunks(rovei_sendshare *share, rovei_sendstream *s)
{
    while (s->head && s->head->offset + s->head->size <= s->base) {
        rovei_chunk *c = s->head;
        s->head = c->next;
        if (s->send_at == c)
            s->send_at = c->next;
        if (s->again_at == c)
            s->again_at = NULL;
        if (s->tail == c)
            s->tail = NULL;
        buf_release(share, c->buf);
        chunk_recycle(share, c);
    }
}

void rovei_sendstream_acked(rovei_sendshare *share, rovei_sendstream *s, uint64_t offset,
                            uint64_t size, bool fin)
{
    if (s->is_reset)
        return;
    if (fin)
        s->fin = ROVEI_FIN_ACKED;
    uint64_t to = offset + size;
    if (to <= s->base)
        return;
    if (s->lost.count > 0)
        rovei_spans_remove(&s->lost, offset, to);
    if (offset > s->base) {
        rovei_spans_add(&s->acked, offset, to);
        return;
    }
    if (s->acked.count > 0) {
        size_t i = rovei_spans_find(&s->acked, to);
        if (i < s->acked.count && rovei_spans_at(&s->acked, i)->from <= to)
            to = rovei_spans_at(&s->acked, i)->to;
        rovei_spans_remove(&s->acked, 0, to);
    }
    share->queued -= to - s->base;
    s->base = to;
    release_chunks(share, s);
}

void rovei_sendstream_lost(rovei_sendstream *s, uint64_t offset, uint64_t size, bool fin)
{
    if (s->is_reset)
        return;
    if (fin && s->fin == ROVEI_FIN_SENT)
        s->fin = ROVEI_FIN_PENDING;
    uint64_t to = offset + size;
    if (offset < s->base)
        offset = s->base;
    if (offset < to)
        rovei_spans_add(&s->lost, offset, to);
}

bool rovei_sendstream_done(const rovei_sendstream *s)
{
    if (s->is_reset)
        return s->reset_acked;
    return s->fin == ROVEI_FIN_ACKED && s->base == s->end;
}

uint64_t rovei_sendstream_queued(const rovei_sendstream *s)
{
    return s->end - s->base - s->acked.total;
}

void rovei_sendstream_check(const rovei_sendstream *s)
{
    rovei_spans_check(&s->acked);
    rovei_spans_check(&s->lost);
    ROVEI_CHECK(s->base <= s->next && s->next <= s->end);
    ROVEI_CHECK(s->unit_end >= s->next && s->unit_end <= s->end);
    ROVEI_CHECK(s->acked.count == 0 || rovei_spans_at(&s->acked, 0)->from > s->base);
    ROVEI_CHECK(s->acked.total <= s->next - s->base);
    uint64_t at = s->head ? s->head->offset : s->end;
    ROVEI_CHECK(at <= s->base || !s->head);
    for (const rovei_chunk *c = s->head; c; c = c->next) {
        ROVEI_CHECK(c->offset == at && c->size > 0);
        ROVEI_CHECK(c->next || c == s->tail);
        ROVEI_CHECK(!c->more || c->next);
        at += c->size;
    }
    ROVEI_CHECK(at == s->end);
}
