/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's state in pieces: read from an instance, and written to one. Kinds that know only whole
 * states take the same way, through one buffer of their own. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <host/cell_impl.h>
#include <string.h>

struct rovei_state_reader {
    rovei_state_reader *next; /* of the same cell */
    rovei_cell *cell;
    const rove_alloc *alloc;
    const rove_kind *kind;
    void *stream;    /* the kind's */
    rove_buf *whole; /* or all of it */
    uint64_t size, at;
    rove_err broken; /* no longer to be read, and why */
};

struct rovei_state_writer {
    void *stream;    /* the kind's */
    rove_buf *whole; /* or all of it, as far as it has come */
    uint64_t size, at;
    bool refused; /* by the kind, which is asked for no more then */
};

/* ---- reading ---- */

static rove_err open_whole(rovei_frame *f, rovei_state_reader *r)
{
    rove_err err = f->cell->kind->snapshot(f->cell->instance, &f->ctx);
    if (err || f->err)
        return err;
    f->err = rovei_frame_take(f, &r->whole);
    r->size = rovei_buf_size(r->whole);
    return ROVE_OK;
}

static rove_err open_stream(rovei_frame *f, rovei_state_reader *r)
{
    rove_err err = f->cell->kind->snapshot_open(f->cell->instance, &f->ctx, &r->size, &r->stream);
    if (err)
        return err;
    if (f->used) /* rove_write has no meaning here */
        f->err = ROVE_E_USAGE;
    return ROVE_OK;
}

/* Ends the kind's stream; what is in the reader's own hands stays. */
static void close_stream(rovei_state_reader *r, rove_err why)
{
    if (r->stream)
        r->kind->snapshot_close(r->stream);
    r->stream = NULL;
    if (!r->broken)
        r->broken = why;
}

static rove_err open_reader(rovei_cell *c, rovei_state_reader *r, rove_buf **ret_text)
{
    rovei_frame f = rovei_frame_of(c, ROVEI_DOING_SNAPSHOT);
    rove_err returned = c->kind->snapshot_open ? open_stream(&f, r) : open_whole(&f, r);
    rove_err err = f.err;
    if (err == ROVE_OK && returned) {
        err = ROVE_E_SNAPSHOT_FAILED;
        *ret_text = rovei_frame_take_text(&f, returned);
    }
    if (err == ROVE_OK && r->size > c->env->limits.state_max)
        err = ROVE_E_TOO_LARGE;
    rovei_frame_fini(&f);
    return err;
}

static bool has_instance(const rovei_cell *c)
{
    return c->state != ROVEI_CELL_NEW && c->state != ROVEI_CELL_THAWING &&
           c->state != ROVEI_CELL_GONE;
}

rove_err rovei_state_open(rovei_cell *c, rovei_state_reader **ret, rove_buf **ret_text)
{
    const rove_alloc *a = &c->env->alloc;
    *ret_text = NULL;
    if (!has_instance(c))
        return ROVE_E_WRONG_PHASE;
    if (rovei_cell_is_stateless(c)) {
        *ret = NULL;
        return ROVE_OK;
    }
    rovei_state_reader *r = ROVEI_NEW(a, rovei_state_reader);
    if (!r)
        return ROVE_E_NOMEM;
    r->alloc = a;
    r->kind = c->kind;
    rove_err err = open_reader(c, r, ret_text);
    if (err) {
        close_stream(r, err);
        rove_buf_unref(r->whole);
        ROVEI_DELETE(a, r);
        return err;
    }
    r->cell = c;
    r->next = c->readers;
    c->readers = r;
    *ret = r;
    return ROVE_OK;
}

uint64_t rovei_state_size(const rovei_state_reader *r)
{
    return r ? r->size : 0;
}

/* The kind's next bytes, exactly as many as are asked for. */
static rove_err read_exactly(rovei_state_reader *r, uint8_t *room, size_t size)
{
    for (size_t have = 0; have < size;) {
        size_t got = 0;
        rove_err err = r->kind->snapshot_read(r->stream, room + have, size - have, &got);
        if (err || got == 0 || got > size - have)
            return ROVE_E_SNAPSHOT_FAILED;
        have += got;
    }
    return ROVE_OK;
}

/* A state that goes on behind the size that it was opened with is none. */
static rove_err at_end(rovei_state_reader *r)
{
    uint8_t more;
    size_t got = 0;
    rove_err err = r->kind->snapshot_read(r->stream, &more, sizeof more, &got);
    return err || got ? ROVE_E_SNAPSHOT_FAILED : ROVE_OK;
}

rove_err rovei_state_read(rovei_state_reader *r, void *room, size_t size)
{
    if (r->broken)
        return r->broken;
    if (size > r->size - r->at)
        return ROVE_E_USAGE;
    if (r->whole) {
        if (size)
            memcpy(room, rovei_buf_data(r->whole) + r->at, size);
    } else {
        rove_err err = read_exactly(r, room, size);
        if (!err && r->at + size == r->size)
            err = at_end(r);
        if (err) {
            close_stream(r, err);
            return err;
        }
    }
    r->at += size;
    return ROVE_OK;
}

void rovei_state_close(rovei_state_reader *r)
{
    if (!r)
        return;
    close_stream(r, ROVE_E_STALE);
    for (rovei_state_reader **at = r->cell ? &r->cell->readers : NULL; at && *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    rove_buf_unref(r->whole);
    ROVEI_DELETE(r->alloc, r);
}

rove_err rovei_state_take(rovei_state_reader *r, rove_buf **ret)
{
    if (!r) {
        *ret = NULL;
        return ROVE_OK;
    }
    if (r->whole && !r->broken) {
        *ret = rove_buf_ref(r->whole);
        return ROVE_OK;
    }
    rove_buf *buf = r->size <= SIZE_MAX ? rovei_buf_alloc(r->alloc, (size_t)r->size) : NULL;
    if (!buf)
        return ROVE_E_NOMEM;
    rove_err err = rovei_state_read(r, rovei_buf_data(buf), (size_t)r->size);
    if (err)
        rove_buf_unref(buf);
    else
        *ret = buf;
    return err;
}

void rovei_cell_close_readers(rovei_cell *c)
{
    rovei_cell_close_frozen(c);
    while (c->readers) {
        rovei_state_reader *r = c->readers;
        c->readers = r->next;
        close_stream(r, ROVE_E_STALE);
        r->cell = NULL;
    }
}

/* ---- reading what is frozen, from its start as often as is asked for ---- */

static rove_err open_again(rovei_cell *c)
{
    rove_buf *text = NULL;
    rovei_cell_close_frozen(c);
    struct rovei_freeze *f = c->freeze;
    rove_err err = rovei_state_open(c, &f->reader, &text);
    rove_buf_unref(text);
    if (err == ROVE_OK && rovei_state_size(f->reader) != f->state_size)
        err = ROVE_E_SNAPSHOT_FAILED; /* the kind broke its word: nothing has changed */
    return err;
}

rove_err rovei_cell_read_frozen(rovei_cell *c, const rovei_attempt_id *attempt, uint64_t offset,
                                void *room, size_t size)
{
    bool frozen = c->state == ROVEI_CELL_FROZEN || c->state == ROVEI_CELL_DEPARTED;
    struct rovei_freeze *f = c->freeze;
    if (!frozen || memcmp(&f->attempt, attempt, sizeof *attempt) != 0)
        return ROVE_E_WRONG_PHASE;
    rove_err err = ROVE_OK;
    if (offset == 0 && (!f->reader || f->reader->at || f->reader->broken))
        err = open_again(c);
    if (!err && (!f->reader || f->reader->at != offset))
        err = ROVE_E_USAGE;
    return err ? err : rovei_state_read(f->reader, room, size);
}

/* ---- writing ---- */

static void writer_free(rovei_cell *c, rovei_state_writer *w)
{
    rove_buf_unref(w->whole);
    ROVEI_DELETE(&c->env->alloc, w);
}

static rove_err open_writer(rovei_cell *c, rovei_state_writer *w, rove_buf **ret_text)
{
    const rove_kind *kind = c->kind;
    if (!kind->restore_open) {
        w->whole = w->size <= SIZE_MAX ? rovei_buf_alloc(&c->env->alloc, (size_t)w->size) : NULL;
        return w->whole ? ROVE_OK : ROVE_E_NOMEM;
    }
    rovei_frame f = rovei_frame_of(c, ROVEI_DOING_RESTORE);
    rove_err returned = kind->restore_open(c->instance, &f.ctx, w->size, &w->stream);
    if (returned)
        *ret_text = rovei_frame_take_text(&f, returned);
    rovei_frame_fini(&f);
    return returned ? ROVE_E_RESTORE_FAILED : ROVE_OK;
}

rove_err rovei_cell_restore_begin(rovei_cell *c, uint64_t size, rove_buf **ret_text)
{
    *ret_text = NULL;
    if (c->state != ROVEI_CELL_NEW || c->writer)
        return ROVE_E_USAGE;
    if (size > c->env->limits.state_max)
        return ROVE_E_TOO_LARGE;
    rovei_state_writer *w = ROVEI_NEW(&c->env->alloc, rovei_state_writer);
    if (!w)
        return ROVE_E_NOMEM;
    w->size = size;
    rove_err err = open_writer(c, w, ret_text);
    if (err)
        writer_free(c, w);
    else
        c->writer = w;
    return err;
}

rove_err rovei_cell_restore_write(rovei_cell *c, rove_span bytes)
{
    rovei_state_writer *w = c->writer;
    if (!w || bytes.size > w->size - w->at)
        return ROVE_E_USAGE;
    if (w->whole && bytes.size)
        memcpy(rovei_buf_data(w->whole) + w->at, bytes.data, bytes.size);
    else if (bytes.size && !w->refused && c->kind->restore_write(w->stream, bytes))
        w->refused = true;
    if (w->refused)
        return ROVE_E_RESTORE_FAILED;
    w->at += bytes.size;
    return ROVE_OK;
}

static rove_err close_kind_writer(rovei_cell *c, void *stream, bool complete, rove_buf **ret_text)
{
    rovei_frame f = rovei_frame_of(c, ROVEI_DOING_RESTORE);
    rove_err returned = c->kind->restore_close(stream, &f.ctx, complete);
    if (complete && returned)
        *ret_text = rovei_frame_take_text(&f, returned);
    rovei_frame_fini(&f);
    return complete && !returned ? ROVE_OK : ROVE_E_RESTORE_FAILED;
}

rove_err rovei_cell_restore_end(rovei_cell *c, uint64_t size, rove_buf **ret_text)
{
    rovei_state_writer *w = c->writer;
    bool complete = w->at == w->size && w->size == size;
    rove_err err = ROVE_E_RESTORE_FAILED;
    c->writer = NULL;
    if (!w->whole)
        err = close_kind_writer(c, w->stream, complete, ret_text);
    else if (complete)
        err = rovei_cell_give_state(c, rove_buf_span(w->whole), ret_text);
    writer_free(c, w);
    return err;
}

void rovei_cell_restore_abandon(rovei_cell *c)
{
    rove_buf *none = NULL;
    rovei_state_writer *w = c->writer;
    if (!w)
        return;
    c->writer = NULL;
    if (!w->whole)
        (void)close_kind_writer(c, w->stream, false, &none);
    writer_free(c, w);
}
