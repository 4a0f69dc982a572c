/* SPDX-License-Identifier: Apache-2.0
 *
 * The source's half of a transfer: state and positions, cut into chunks as the pipe has room, under
 * one digest. A state that the cell keeps is read from it in pieces, a little ahead of what is
 * sent, and nothing of it is kept. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/machine.h>
#include <string.h>

rove_err rovei_outgoing_begin(rovei_outgoing *o, const rovei_node *n, const rovei_image *image,
                              rove_buf *positions, bool digest)
{
    struct rovei_digest *fresh = digest ? rovei_digest_new(n->alloc) : NULL;
    if (digest && !fresh)
        return ROVE_E_NOMEM;
    rovei_outgoing_stop(o);
    o->digest = fresh;
    o->state = image->state;
    o->state_size = image->state_size;
    o->positions = positions;
    rovei_queue_init(&o->ready, n->alloc, sizeof(rove_buf *));
    return ROVE_OK;
}

void rovei_outgoing_stop(rovei_outgoing *o)
{
    rovei_digest_free(o->digest);
    if (o->ready.alloc) {
        for (rove_buf *piece; rovei_queue_pop(&o->ready, &piece);)
            rove_buf_unref(piece);
        rovei_queue_fini(&o->ready);
    }
    *o = (rovei_outgoing){0};
}

/* ---- reading ahead ---- */

static bool in_pieces(const rovei_outgoing *o)
{
    return o->state_size && !o->state;
}

static uint64_t piece_size(const rovei_outgoing *o, uint64_t at)
{
    return rovei_time_min(o->state_size - at, ROVEI_MOVE_CHUNK);
}

/* Asks for as much as the pipe will have room for. What memory refuses is asked for at a later
 * turn. */
static void read_ahead(rovei_outgoing *o, const rovei_attempt *a, uint32_t round)
{
    rovei_node *n = a->node;
    uint64_t queued = rovei_pipe_queued(n, &a->pipe);
    while (in_pieces(o) && o->asked < o->state_size &&
           queued + (o->asked - o->offset) < ROVEI_MOVE_QUEUED_MAX) {
        rovei_effect *e = rovei_node_effect(n, ROVEI_EFFECT_READ_STATE);
        if (!e)
            return;
        e->cell = a->source->d->cell;
        e->daemon = a->info.daemon;
        e->attempt = a->info.attempt;
        e->ticket = round;
        e->number = o->asked;
        e->size = piece_size(o, o->asked);
        o->asked += e->size;
    }
}

rove_err rovei_outgoing_read(rovei_outgoing *o, rovei_completion *c)
{
    if (c->err)
        return c->err;
    if (c->number != o->read || c->number >= o->asked ||
        rovei_buf_size(c->owner) != piece_size(o, o->read))
        return ROVE_E_SNAPSHOT_FAILED;
    rove_buf **place = rovei_queue_push(&o->ready);
    if (!place)
        return ROVE_E_NOMEM;
    o->read += rovei_buf_size(c->owner);
    *place = c->owner;
    c->owner = NULL;
    return ROVE_OK;
}

/* ---- sending ---- */

static rove_err send_chunk(rovei_outgoing *o, rovei_attempt *a, uint32_t round, uint64_t at,
                           uint64_t total, rove_buf *body)
{
    rovei_move_message m = {
        .head.type = o->offset < o->state_size ? ROVEI_MOVE_STATE : ROVEI_MOVE_POSITIONS,
        .chunk = {.round = round, .total = total, .offset = at, .bytes = rove_buf_span(body)},
    };
    rove_err err = rovei_attempt_send(a, &m, body);
    if (err)
        return err;
    if (o->digest)
        rovei_digest_add(o->digest, m.chunk.bytes.data, m.chunk.bytes.size);
    o->offset += m.chunk.bytes.size;
    a->info.bytes = rovei_time_min(o->offset, o->state_size);
    return ROVE_OK;
}

/* The next chunk of a section that lies in a buffer. */
static rove_err send_copy(rovei_outgoing *o, rovei_attempt *a, uint32_t round, rove_buf *section,
                          uint64_t at)
{
    rove_span all = rove_buf_span(section);
    size_t size = (size_t)rovei_time_min(all.size - at, ROVEI_MOVE_CHUNK);
    rove_buf *body = rovei_buf_copy(a->node->alloc, (const uint8_t *)all.data + at, size);
    if (!body)
        return ROVE_E_NOMEM;
    rove_err err = send_chunk(o, a, round, at, all.size, body);
    rove_buf_unref(body);
    return err;
}

static rove_err send_piece(rovei_outgoing *o, rovei_attempt *a, uint32_t round)
{
    rove_buf *piece = *(rove_buf **)rovei_queue_first(&o->ready);
    rove_err err = send_chunk(o, a, round, o->offset, o->state_size, piece);
    if (err)
        return err;
    (void)rovei_queue_pop(&o->ready, &piece);
    rove_buf_unref(piece);
    return ROVE_OK;
}

rove_err rovei_outgoing_pump(rovei_outgoing *o, rovei_attempt *a, uint32_t round)
{
    rove_err err = ROVE_OK;
    while (!err && !rovei_outgoing_done(o) &&
           rovei_pipe_queued(a->node, &a->pipe) < ROVEI_MOVE_QUEUED_MAX) {
        if (o->offset >= o->state_size)
            err = send_copy(o, a, round, o->positions, o->offset - o->state_size);
        else if (o->state)
            err = send_copy(o, a, round, o->state, o->offset);
        else if (o->ready.count)
            err = send_piece(o, a, round);
        else
            break;
    }
    read_ahead(o, a, round);
    return err;
}

/* ---- what was read ---- */

/* Before the commit the daemon goes on here; after it, it is tried again after a while. */
static void read_failed(struct rovei_source *s, rovei_now now, rove_err err)
{
    if (!s->committed) {
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
        return;
    }
    rovei_source_refused(s, now, err);
}

void rovei_source_state_read(struct rovei_source *s, rovei_now now, rovei_completion *c)
{
    if (s->step != ROVEI_SOURCE_SEND || c->ticket != s->round)
        return;
    rove_err err = rovei_outgoing_read(&s->out, c);
    if (err)
        read_failed(s, now, err);
    else
        rovei_source_turn(s, now);
}
