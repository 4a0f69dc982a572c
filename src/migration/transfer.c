/* SPDX-License-Identifier: Apache-2.0
 *
 * State and positions on their way: cut into chunks as the pipe has room, put together in order,
 * under one digest on both sides. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/machine.h>
#include <string.h>

/* ---- source ---- */

rove_err rovei_outgoing_begin(rovei_outgoing *o, const rove_alloc *a, bool digest)
{
    struct rovei_digest *fresh = digest ? rovei_digest_new(a) : NULL;
    if (digest && !fresh)
        return ROVE_E_NOMEM;
    rovei_digest_free(o->digest);
    o->digest = fresh;
    o->offset = 0;
    return ROVE_OK;
}

void rovei_outgoing_stop(rovei_outgoing *o)
{
    rovei_digest_free(o->digest);
    *o = (rovei_outgoing){0};
}

static rove_err send_chunk(rovei_outgoing *o, rovei_attempt *a, uint32_t round)
{
    uint64_t state = rovei_buf_size(o->state);
    bool of_state = o->offset < state;
    rove_span section = rove_buf_span(of_state ? o->state : o->positions);
    uint64_t at = of_state ? o->offset : o->offset - state;
    size_t size = (size_t)rovei_time_min(section.size - at, ROVEI_MOVE_CHUNK);
    const uint8_t *from = (const uint8_t *)section.data + at;
    rove_buf *body = rovei_buf_copy(a->node->alloc, from, size);
    if (!body)
        return ROVE_E_NOMEM;
    rovei_move_message m = {
        .head.type = of_state ? ROVEI_MOVE_STATE : ROVEI_MOVE_POSITIONS,
        .chunk = {.round = round,
                  .total = section.size,
                  .offset = at,
                  .bytes = rove_buf_span(body)},
    };
    rove_err err = rovei_attempt_send(a, &m, body);
    rove_buf_unref(body);
    if (err)
        return err;
    if (o->digest)
        rovei_digest_add(o->digest, from, size);
    o->offset += size;
    a->info.bytes = rovei_time_min(o->offset, state);
    return ROVE_OK;
}

rove_err rovei_outgoing_pump(rovei_outgoing *o, rovei_attempt *a, uint32_t round)
{
    while (!rovei_outgoing_done(o) &&
           rovei_pipe_queued(a->node, &a->pipe) < ROVEI_MOVE_QUEUED_MAX) {
        rove_err err = send_chunk(o, a, round);
        if (err)
            return err;
    }
    return ROVE_OK;
}

/* ---- target ---- */

rove_err rovei_incoming_begin(rovei_incoming *i, const rove_alloc *a)
{
    struct rovei_digest *digest = rovei_digest_new(a);
    if (!digest)
        return ROVE_E_NOMEM;
    rovei_incoming_stop(i);
    i->digest = digest;
    return ROVE_OK;
}

void rovei_incoming_stop(rovei_incoming *i)
{
    rove_buf_unref(i->state);
    rove_buf_unref(i->positions);
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

rove_err rovei_incoming_state(rovei_incoming *i, const rovei_node *n, const rovei_move_chunk *c)
{
    if (!i->digest || i->positions_have || i->has_envelope)
        return ROVE_E_SEQUENCE_GAP;
    rove_err err = take(&i->state, &i->state_size, &i->state_have, n->env->limits.state_max, n, c);
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
