/* SPDX-License-Identifier: Apache-2.0
 *
 * The target's half of a transfer: what comes is put together in order, under one digest. A small
 * state waits in a buffer until the digest agrees; a large one goes to a provisional cell piece by
 * piece, and the peer's stream gets credit for a piece once the cell has it. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/machine.h>
#include <string.h>

/* A piece on its way to the cell: inside of the message that it came with. */
typedef struct piece {
    rove_span bytes;
    rove_buf *owner;
} piece;

rove_err rovei_incoming_begin(rovei_incoming *i, rovei_node *n)
{
    struct rovei_digest *digest = rovei_digest_new(n->alloc);
    if (!digest)
        return ROVE_E_NOMEM;
    rovei_incoming_stop(i, n);
    i->digest = digest;
    rovei_queue_init(&i->pieces, n->alloc, sizeof(piece));
    return ROVE_OK;
}

void rovei_incoming_stop(rovei_incoming *i, rovei_node *n)
{
    rove_buf_unref(i->state);
    rove_buf_unref(i->positions);
    if (i->pieces.alloc) {
        for (piece p; rovei_queue_pop(&i->pieces, &p);)
            rove_buf_unref(p.owner);
        rovei_queue_fini(&i->pieces);
    }
    rovei_pipe_release(n, &i->via, i->held);
    rovei_digest_free(i->digest);
    rovei_wipe(i->envelope, sizeof i->envelope);
    *i = (rovei_incoming){0};
}

/* Positions hold the unconfirmed outputs and lanes, each bounded, and some room for what goes with
 * every one of them. */
static uint64_t positions_max(const rovei_node *n)
{
    const rove_limits *l = &n->env->limits;
    uint64_t lanes = l->lanes_per_daemon * (256 + l->lane_events * 128);
    return rovei_time_add(rovei_time_add(2 * l->outputs_max, lanes),
                          l->event_max + l->horizon_origins * 16 + (UINT64_C(128) << 20));
}

/* One section: the first chunk makes the room that it promises, within `most`. */
static rove_err take(rove_buf **buf, uint64_t *size, uint64_t *have, uint64_t most,
                     const rovei_node *n, const rovei_move_chunk *c)
{
    if (c->offset != *have || (*buf && c->total != *size))
        return ROVE_E_SEQUENCE_GAP;
    if (c->total > most || c->total > SIZE_MAX / 2)
        return ROVE_E_TOO_LARGE;
    if (!*buf) {
        rove_buf *fresh = rovei_buf_alloc(n->alloc, (size_t)c->total);
        if (!fresh)
            return ROVE_E_NOMEM;
        *buf = fresh;
        *size = c->total;
    }
    memcpy(rovei_buf_data(*buf) + *have, c->bytes.data, c->bytes.size);
    *have += c->bytes.size;
    return ROVE_OK;
}

/* ---- a state in pieces ---- */

static rove_err open_cell(rovei_incoming *i, const rovei_attempt *a, const rovei_move_chunk *c)
{
    rovei_node *n = a->node;
    const char *name = a->target->d->kind;
    rove_buf *kind = rovei_buf_copy(n->alloc, name, strlen(name));
    rovei_effect *e = kind ? rovei_node_effect(n, ROVEI_EFFECT_OPEN_STATE) : NULL;
    if (!e) {
        rove_buf_unref(kind);
        return ROVE_E_NOMEM;
    }
    e->daemon = a->info.daemon;
    e->attempt = a->info.attempt;
    e->peer = a->info.source;
    e->ticket = c->round;
    e->size = c->total;
    e->daemon_kind = kind;
    i->in_pieces = i->opening = true;
    i->state_size = c->total;
    return ROVE_OK;
}

void rovei_incoming_write(rovei_incoming *i, const rovei_attempt *a)
{
    while (i->pieces.count && !i->opening && a->target->d->cell) {
        rovei_effect *e = rovei_node_effect(a->node, ROVEI_EFFECT_WRITE_STATE);
        piece p;
        if (!e)
            return; /* at a later turn */
        (void)rovei_queue_pop(&i->pieces, &p);
        e->cell = a->target->d->cell;
        e->daemon = a->info.daemon;
        e->attempt = a->info.attempt;
        e->payload = p.bytes;
        e->owner = p.owner;
    }
}

void rovei_incoming_written(rovei_incoming *i, rovei_node *n, uint64_t size)
{
    size = rovei_time_min(size, i->held);
    i->held -= size;
    rovei_pipe_release(n, &i->via, size);
}

static rove_err take_piece(rovei_incoming *i, const rovei_attempt *a, const rovei_move_chunk *c,
                           const rovei_pipe *via, rove_buf *message)
{
    const rove_limits *l = &a->node->env->limits;
    if (c->offset != i->state_have || (i->in_pieces && c->total != i->state_size))
        return ROVE_E_SEQUENCE_GAP;
    if (c->total > l->state_max)
        return ROVE_E_TOO_LARGE;
    /* The stream's credit bounds what waits; who evades that by new streams starts anew. */
    if (i->held > l->stream_window)
        return ROVE_E_SEQUENCE_GAP;
    rove_err err = i->in_pieces ? ROVE_OK : open_cell(i, a, c);
    piece *place = err ? NULL : rovei_queue_push(&i->pieces);
    if (!place)
        return ROVE_E_NOMEM;
    *place = (piece){c->bytes, rove_buf_ref(message)};
    i->state_have += c->bytes.size;
    i->held += c->bytes.size;
    i->via = *via;
    rovei_pipe_hold(a->node, via, c->bytes.size);
    rovei_incoming_write(i, a);
    return ROVE_OK;
}

/* ---- what comes, in this order ---- */

rove_err rovei_incoming_state(rovei_incoming *i, const rovei_attempt *a, const rovei_move_chunk *c,
                              const rovei_pipe *via, rove_buf *message)
{
    const rove_limits *l = &a->node->env->limits;
    if (!i->digest || i->positions_have || i->has_envelope)
        return ROVE_E_SEQUENCE_GAP;
    if (a->target->promised && c->total != a->target->promised)
        return ROVE_E_FORMAT;
    bool in_pieces = i->in_pieces || (!i->state && c->total > l->state_whole);
    rove_err err = in_pieces
                       ? take_piece(i, a, c, via, message)
                       : take(&i->state, &i->state_size, &i->state_have, l->state_max, a->node, c);
    if (err == ROVE_OK)
        rovei_digest_add(i->digest, c->bytes.data, c->bytes.size);
    return err;
}

rove_err rovei_incoming_positions(rovei_incoming *i, const rovei_node *n, const rovei_move_chunk *c)
{
    if (!i->digest || i->state_have != i->state_size || i->has_envelope)
        return ROVE_E_SEQUENCE_GAP;
    rove_err err =
        take(&i->positions, &i->positions_size, &i->positions_have, positions_max(n), n, c);
    if (err == ROVE_OK)
        rovei_digest_add(i->digest, c->bytes.data, c->bytes.size);
    return err;
}

rove_err rovei_incoming_envelope(rovei_incoming *i, const uint8_t *bytes)
{
    if (!i->digest || i->state_have != i->state_size || !i->positions_have ||
        i->positions_have != i->positions_size || i->has_envelope)
        return ROVE_E_SEQUENCE_GAP;
    memcpy(i->envelope, bytes, sizeof i->envelope);
    i->has_envelope = true;
    rovei_digest_add(i->digest, bytes, sizeof i->envelope);
    return ROVE_OK;
}

rove_err rovei_incoming_sealed(rovei_incoming *i, const rovei_move_sealed *s)
{
    bool envelope = s->flags & ROVEI_SEALED_ENVELOPE;
    if (!i->digest || i->state_have != s->state_size || i->positions_have != s->positions_size ||
        i->has_envelope != envelope)
        return ROVE_E_SEQUENCE_GAP;
    uint8_t fixed[ROVEI_SEALED_FIXED], digest[32];
    rovei_move_sealed_fixed(s, fixed);
    rovei_digest_add(i->digest, fixed, sizeof fixed);
    rovei_digest_end(i->digest, digest);
    rovei_digest_free(i->digest);
    i->digest = NULL;
    return memcmp(digest, s->digest, sizeof digest) == 0 ? ROVE_OK : ROVE_E_FORMAT;
}

/* ---- the provisional cell ---- */

rove_err rovei_target_forget_cell(struct rovei_target *t)
{
    rovei_daemon *d = t->d;
    if (!d->cell)
        return ROVE_OK;
    rovei_effect *e = rovei_node_effect(t->a->node, ROVEI_EFFECT_FORGET);
    if (!e)
        return ROVE_E_NOMEM;
    e->cell = d->cell;
    e->daemon = d->entity;
    e->err = ROVE_E_GONE;
    rovei_daemon_set_cell(t->a->node, d, 0);
    return ROVE_OK;
}

void rovei_target_write(struct rovei_target *t, rovei_now now)
{
    rovei_incoming_write(&t->in, t->a);
    if (!t->in.sealed_waits || !rovei_incoming_given(&t->in))
        return;
    rovei_move_sealed sealed = t->in.sealed;
    t->in.sealed_waits = false;
    rovei_target_sealed(t, now, &sealed);
}

void rovei_target_opened(struct rovei_target *t, rovei_now now, const rovei_completion *c)
{
    t->in.opening = false;
    if (c->err) {
        rovei_target_discard(t, now, c->err, true);
        return;
    }
    rovei_daemon_set_cell(t->a->node, t->d, c->cell);
    rovei_target_write(t, now);
}

void rovei_target_written(struct rovei_target *t, rovei_now now, const rovei_completion *c)
{
    rovei_incoming_written(&t->in, t->a->node, c->number);
    if (t->step != ROVEI_TARGET_RECEIVING)
        return; /* an error fails the restore as well */
    if (c->err)
        rovei_target_discard(t, now, c->err, true);
    else
        rovei_attempt_progress(t->a, now);
}
