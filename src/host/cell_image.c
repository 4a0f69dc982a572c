/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cell is made of, taken out of one and put into another. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <host/cell_impl.h>

/* One step of a restore in pieces: big enough to be worth a call, small against a state. */
#define PIECE 65536

static rove_err take_horizon(const rovei_cell *c, rove_buf **ret)
{
    rove_buf *buf = rovei_buf_alloc(&c->env->alloc, rovei_horizon_size(c->horizon));
    if (!buf)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), rovei_buf_size(buf));
    rovei_horizon_encode(c->horizon, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    *ret = buf;
    return ROVE_OK;
}

static rove_err take_ledger(const rovei_cell *c, rove_buf **ret)
{
    *ret = NULL;
    if (!c->ledger || rovei_ledger_count(c->ledger) == 0)
        return ROVE_OK;
    rove_buf *buf = rovei_buf_alloc(&c->env->alloc, rovei_ledger_size(c->ledger));
    if (!buf)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), rovei_buf_size(buf));
    rovei_ledger_encode(c->ledger, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    *ret = buf;
    return ROVE_OK;
}

static rove_err take_head_payload(const rovei_cell *c, rove_buf **ret)
{
    *ret = NULL;
    if (c->head_payload.size == 0)
        return ROVE_OK;
    *ret = rovei_buf_copy(&c->env->alloc, c->head_payload.data, c->head_payload.size);
    return *ret ? ROVE_OK : ROVE_E_NOMEM;
}

/* All of the image but its state. */
static rove_err take_parts(const rovei_cell *c, rovei_image *image)
{
    rove_err err = take_head_payload(c, &image->head_payload);
    if (err == ROVE_OK)
        err = take_horizon(c, &image->horizon);
    if (err == ROVE_OK)
        err = take_ledger(c, &image->ledger);
    return err;
}

rove_err rovei_cell_image_open(rovei_cell *c, uint64_t wall, rovei_image *ret,
                               rovei_state_reader **ret_reader, rove_buf **ret_text)
{
    rovei_image image = {.head = c->head, .created_at = wall};
    rovei_state_reader *reader = NULL;
    rove_err err = rovei_state_open(c, &reader, ret_text);
    if (err == ROVE_OK)
        err = take_parts(c, &image);
    if (err) {
        rovei_state_close(reader);
        rovei_image_fini(&image);
        return err;
    }
    c->stats.snapshots_taken += reader != NULL;
    image.state_size = rovei_state_size(reader);
    image.events_processed = c->stats.events_processed;
    image.events_emitted = c->stats.events_emitted;
    image.errors = c->stats.errors;
    image.snapshots_taken = c->stats.snapshots_taken;
    *ret = image;
    *ret_reader = reader;
    return ROVE_OK;
}

rove_err rovei_cell_image(rovei_cell *c, uint64_t wall, rovei_image *ret, rove_buf **ret_text)
{
    rovei_image image;
    rovei_state_reader *reader;
    rove_err err = rovei_cell_image_open(c, wall, &image, &reader, ret_text);
    if (err)
        return err;
    err = rovei_state_take(reader, &image.state);
    rovei_state_close(reader);
    if (err) {
        c->stats.snapshots_taken--;
        rovei_image_fini(&image);
    } else {
        *ret = image;
    }
    return err;
}

bool rovei_cell_is_stateless(const rovei_cell *c)
{
    return !c->kind->snapshot && !c->kind->snapshot_open;
}

/* Feeds a whole state to a kind that only takes streams. */
static rove_err write_stream(rovei_cell *c, rove_span state, rove_buf **ret_text)
{
    rove_err err = rovei_cell_restore_begin(c, state.size, ret_text);
    const uint8_t *at = state.data;
    for (size_t left = state.size; left && err == ROVE_OK;) {
        size_t piece = left < PIECE ? left : PIECE;
        err = rovei_cell_restore_write(c, (rove_span){at, piece});
        at += piece;
        left -= piece;
    }
    return err ? err : rovei_cell_restore_end(c, state.size, ret_text);
}

rove_err rovei_cell_give_state(rovei_cell *c, rove_span state, rove_buf **ret_text)
{
    if (!c->kind->restore && c->kind->restore_open)
        return write_stream(c, state, ret_text);
    rovei_frame f = rovei_frame_of(c, ROVEI_DOING_RESTORE);
    rove_err returned = ROVE_OK;
    if (c->kind->restore)
        returned = c->kind->restore(c->instance, &f.ctx, state);
    else if (state.size && !c->kind->is_stateful)
        /* To pass over it in silence would lose all of the state without a sign. */
        returned =
            rove_fail(&f.ctx, "a stateless daemon cannot take a state of %zu bytes", state.size);
    if (returned)
        *ret_text = rovei_frame_take_text(&f, returned);
    rovei_frame_fini(&f);
    return returned ? ROVE_E_RESTORE_FAILED : ROVE_OK;
}

/* The parts of an image that are parsed, before anything of the cell is changed. */
struct parts {
    rovei_horizon *horizon;
    rovei_ledger *ledger;
};

static void parts_fini(struct parts *p)
{
    rovei_horizon_free(p->horizon);
    rovei_ledger_free(p->ledger);
}

static rove_err parse_horizon(const rovei_cell *c, rove_span bytes, rovei_horizon **ret)
{
    const rovei_env *env = c->env;
    if (bytes.size == 0)
        return ROVE_OK;
    rovei_reader r = rovei_reader_of(bytes);
    rove_err err = rovei_horizon_decode(ret, &env->alloc, rovei_rng_u64(&env->rng),
                                        env->limits.horizon_origins, &r);
    if (err == ROVE_E_NOMEM || err == ROVE_E_HORIZON_FULL)
        return err;
    if (err)
        return err == ROVE_E_BOUND ? ROVE_E_HORIZON_FULL : ROVE_E_FORMAT;
    return rovei_reader_end(&r) ? ROVE_E_FORMAT : ROVE_OK;
}

static rove_err parse_ledger(const rovei_cell *c, rove_span bytes, rovei_ledger **ret)
{
    if (bytes.size == 0)
        return ROVE_OK;
    rove_err err = rovei_ledger_decode(ret, &c->env->alloc, bytes);
    return err && err != ROVE_E_NOMEM ? ROVE_E_BINDINGS : err;
}

rove_err rovei_cell_set_ledger(rovei_cell *c, rove_span ledger)
{
    rovei_ledger *l = NULL;
    rove_err err = parse_ledger(c, ledger, &l);
    if (err)
        return err;
    rovei_ledger_free(c->ledger);
    c->ledger = l;
    return ROVE_OK;
}

/* Commits what was parsed. */
static void settle(rovei_cell *c, struct parts *p, const rove_link *head, rove_buf *head_payload)
{
    if (p->horizon) {
        rovei_horizon_free(c->horizon);
        c->horizon = p->horizon;
    }
    rovei_ledger_free(c->ledger);
    c->ledger = p->ledger;
    *p = (struct parts){0};
    c->head = *head;
    c->head_owner = rove_buf_ref(head_payload);
    c->head_payload = rove_buf_span(head_payload);
}

rove_err rovei_cell_restore_image(rovei_cell *c, const rovei_image *image, rove_buf **ret_text)
{
    *ret_text = NULL;
    bool in_pieces = image->state_size && !image->state;
    if (c->state != ROVEI_CELL_NEW || (c->writer != NULL) != in_pieces)
        return ROVE_E_USAGE;
    if (image->head.origin != rovei_keypair_origin(c->key))
        return ROVE_E_ORIGIN_MISMATCH;
    if (rovei_buf_size(image->state) > c->env->limits.state_max)
        return ROVE_E_TOO_LARGE;
    struct parts parts = {0};
    rove_err err = parse_horizon(c, rove_buf_span(image->horizon), &parts.horizon);
    if (err == ROVE_OK)
        err = parse_ledger(c, rove_buf_span(image->ledger), &parts.ledger);
    if (err == ROVE_OK && c->writer)
        err = rovei_cell_restore_end(c, image->state_size, ret_text);
    else if (err == ROVE_OK)
        err = rovei_cell_give_state(c, rove_buf_span(image->state), ret_text);
    if (err == ROVE_OK) {
        settle(c, &parts, &image->head, image->head_payload);
        c->stats = (rove_daemon_stats){
            .events_processed = image->events_processed,
            .events_emitted = image->events_emitted,
            .errors = image->errors,
            .snapshots_taken = image->snapshots_taken,
        };
    }
    parts_fini(&parts);
    return err;
}

rove_err rovei_cell_restore_snapshot(rovei_cell *c, const rovei_snapshot *s, rove_buf **ret_text)
{
    *ret_text = NULL;
    if (c->state != ROVEI_CELL_NEW)
        return ROVE_E_USAGE;
    if (!rovei_entity_equal(&s->entity, rovei_keypair_entity(c->key)))
        return ROVE_E_SNAPSHOT_IDENTITY;
    if (s->link.origin != rovei_keypair_origin(c->key))
        return ROVE_E_ORIGIN_MISMATCH;
    if (s->state.size > c->env->limits.state_max)
        return ROVE_E_TOO_LARGE;
    struct parts parts = {0};
    /* The format has no place for the head's payload: by its rule the state stands in for it. */
    rove_buf *head_payload = rovei_buf_copy(&c->env->alloc, s->state.data, s->state.size);
    rove_err err = head_payload ? ROVE_OK : ROVE_E_NOMEM;
    if (err == ROVE_OK)
        err = parse_ledger(c, s->bindings, &parts.ledger);
    if (err == ROVE_OK)
        err = rovei_cell_give_state(c, s->state, ret_text);
    if (err == ROVE_OK)
        settle(c, &parts, &s->link, head_payload);
    parts_fini(&parts);
    rove_buf_unref(head_payload);
    return err;
}
