/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's part in a move: freeze, thaw, commit, and the diverted events with their waiters. */
#include <base/alloc.h>
#include <base/check.h>
#include <host/cell_impl.h>
#include <string.h>

const struct rovei_freeze *rovei_cell_freeze_of(const rovei_cell *c)
{
    static const struct rovei_freeze none;
    return c->freeze ? c->freeze : &none;
}

static bool same_attempt(const rovei_cell *c, const rovei_attempt_id *attempt)
{
    return memcmp(&rovei_cell_freeze_of(c)->attempt, attempt, sizeof *attempt) == 0;
}

void rovei_cell_close_frozen(rovei_cell *c)
{
    if (!c->freeze)
        return;
    rovei_state_close(c->freeze->reader);
    c->freeze->reader = NULL;
}

rove_err rovei_cell_activate(rovei_cell *c)
{
    if (c->state != ROVEI_CELL_NEW)
        return ROVE_E_WRONG_PHASE;
    c->state = ROVEI_CELL_SERVING;
    return ROVE_OK;
}

/* The image and what is kept beside it. A state of at most `whole` bytes is in the image; of a
 * larger one, where that may be, the reader stays open. */
static rove_err take_image(rovei_cell *c, uint64_t wall, uint64_t whole, bool only_whole,
                           struct rovei_freeze *f, rovei_image *ret, rove_buf **ret_text)
{
    rovei_image image;
    rovei_state_reader *reader;
    rove_err err = rovei_cell_image_open(c, wall, &image, &reader, ret_text);
    if (err)
        return err;
    f->state_size = image.state_size;
    if (image.state_size > whole && !only_whole) {
        f->reader = reader;
    } else {
        err = image.state_size > whole ? ROVE_E_TOO_LARGE : rovei_state_take(reader, &image.state);
        rovei_state_close(reader);
    }
    if (err) {
        c->stats.snapshots_taken--;
        rovei_image_fini(&image);
        return err;
    }
    *ret = image;
    return ROVE_OK;
}

static rove_err freeze(rovei_cell *c, uint64_t wall, const rovei_attempt_id *attempt,
                       rovei_cell_state state, uint64_t whole, rovei_image *ret,
                       rove_buf **ret_text)
{
    if (c->state != ROVEI_CELL_SERVING)
        return ROVE_E_WRONG_PHASE;
    struct rovei_freeze *f = ROVEI_NEW(&c->env->alloc, struct rovei_freeze);
    if (!f)
        return ROVE_E_NOMEM;
    rove_err err = take_image(c, wall, whole, state == ROVEI_CELL_QUIET, f, ret, ret_text);
    if (err) {
        ROVEI_DELETE(&c->env->alloc, f);
        return err;
    }
    ROVEI_CHECK(!c->freeze);
    f->attempt = *attempt;
    c->freeze = f;
    c->state = state;
    return ROVE_OK;
}

rove_err rovei_cell_freeze(rovei_cell *c, uint64_t wall, const rovei_attempt_id *attempt,
                           rovei_image *ret, rove_buf **ret_text)
{
    /* A kind without the streamed form has made a buffer already. */
    uint64_t whole = c->kind->snapshot_open ? c->env->limits.state_whole : UINT64_MAX;
    return freeze(c, wall, attempt, ROVEI_CELL_FROZEN, whole, ret, ret_text);
}

rove_err rovei_cell_quiesce(rovei_cell *c, uint64_t wall, const rovei_attempt_id *attempt,
                            uint64_t most, rovei_image *ret, rove_buf **ret_text)
{
    return freeze(c, wall, attempt, ROVEI_CELL_QUIET, most, ret, ret_text);
}

static bool is_frozen(const rovei_cell *c)
{
    return c->state == ROVEI_CELL_FROZEN || c->state == ROVEI_CELL_QUIET;
}

rove_err rovei_cell_thaw(rovei_cell *c, const rovei_attempt_id *attempt)
{
    if (!is_frozen(c) || !same_attempt(c, attempt))
        return ROVE_E_WRONG_PHASE;
    rovei_cell_close_frozen(c);
    c->state = ROVEI_CELL_THAWING;
    return ROVE_OK;
}

void rovei_cell_reset(rovei_cell *c)
{
    struct rovei_freeze *f = c->freeze;
    if (!f)
        return;
    rovei_cell_close_frozen(c);
    for (size_t i = 0; i < f->diverted_count; i++) {
        ROVEI_CHECK(!f->diverted[i].waiting);
        rove_buf_unref(f->diverted[i].event.owner);
    }
    rovei_free(&c->env->alloc, f->diverted, f->diverted_room * sizeof *f->diverted);
    ROVEI_DELETE(&c->env->alloc, f);
    c->freeze = NULL;
}

bool rovei_cell_thaw_next(rovei_cell *c, uint64_t wall, void **ret_waiter,
                          rovei_cell_event *ret_event, rovei_applied *ret)
{
    if (c->state != ROVEI_CELL_THAWING)
        return false;
    struct rovei_freeze *f = c->freeze;
    if (f->next_thaw == f->diverted_count) {
        rovei_cell_reset(c);
        c->state = ROVEI_CELL_SERVING;
        return false;
    }
    struct rovei_diverted *d = &f->diverted[f->next_thaw++];
    ROVEI_CHECK(d->waiting);
    rovei_cell_run(c, wall, &d->event, ret);
    d->waiting = false;
    *ret_waiter = d->waiter;
    *ret_event = d->event;
    return true;
}

rove_err rovei_cell_commit(rovei_cell *c, const rovei_attempt_id *attempt, uint64_t *ret_diverted)
{
    if (!is_frozen(c) || !same_attempt(c, attempt))
        return ROVE_E_WRONG_PHASE;
    struct rovei_freeze *f = c->freeze;
    /* The payloads are the mover's now; only the waiters stay. */
    for (size_t i = 0; i < f->diverted_count; i++) {
        rove_buf_unref(f->diverted[i].event.owner);
        f->diverted[i].event.owner = NULL;
        f->diverted[i].event.payload = (rove_span){NULL, 0};
    }
    c->state = ROVEI_CELL_DEPARTED;
    *ret_diverted = f->diverted_count;
    return ROVE_OK;
}

void rovei_cell_aside(rovei_cell *c, rove_err err)
{
    if (c->state == ROVEI_CELL_GONE)
        return;
    rovei_cell_close_frozen(c);
    c->aside = err ? err : ROVE_E_SUPERSEDED;
    c->state = ROVEI_CELL_ASIDE;
}

const rovei_cell_event *rovei_cell_diverted(const rovei_cell *c, uint64_t number)
{
    const struct rovei_freeze *f = rovei_cell_freeze_of(c);
    if (number == 0 || number > f->diverted_count)
        return NULL;
    return &f->diverted[number - 1].event;
}

void rovei_cell_diverted_totals(const rovei_cell *c, uint64_t *ret_events, uint64_t *ret_bytes)
{
    *ret_events = rovei_cell_freeze_of(c)->diverted_count;
    *ret_bytes = rovei_cell_freeze_of(c)->diverted_bytes;
}

bool rovei_cell_take_result(rovei_cell *c, uint64_t number, void **ret_waiter)
{
    struct rovei_freeze *f = c->freeze;
    if (!f || number == 0 || number > f->diverted_count || !f->diverted[number - 1].waiting)
        return false;
    f->diverted[number - 1].waiting = false;
    *ret_waiter = f->diverted[number - 1].waiter;
    return true;
}

bool rovei_cell_take_waiter(rovei_cell *c, void **ret_waiter)
{
    struct rovei_freeze *f = c->freeze;
    for (; f && f->next_waiter < f->diverted_count; f->next_waiter++)
        if (rovei_cell_take_result(c, f->next_waiter + 1, ret_waiter))
            return true;
    return false;
}

void rovei_cell_check(const rovei_cell *c)
{
    const struct rovei_freeze *f = rovei_cell_freeze_of(c);
    ROVEI_CHECK(c->state >= ROVEI_CELL_NEW && c->state <= ROVEI_CELL_GONE);
    ROVEI_CHECK((c->instance == NULL) == (c->state == ROVEI_CELL_GONE));
    ROVEI_CHECK(c->head.origin == rovei_keypair_origin(c->key));
    ROVEI_CHECK(f->diverted_count <= f->diverted_room);
    ROVEI_CHECK(f->next_thaw <= f->diverted_count && f->next_waiter <= f->diverted_count);
    if (c->state == ROVEI_CELL_NEW || c->state == ROVEI_CELL_SERVING)
        ROVEI_CHECK(!c->freeze);
    uint64_t bytes = 0;
    for (size_t i = 0; i < f->diverted_count; i++) {
        bytes += f->diverted[i].event.payload.size;
        if (i < f->next_waiter)
            ROVEI_CHECK(!f->diverted[i].waiting);
    }
    if (is_frozen(c))
        ROVEI_CHECK(bytes == f->diverted_bytes);
    ROVEI_CHECK(c->state != ROVEI_CELL_QUIET || (!f->diverted_count && !f->reader));
    ROVEI_CHECK(!c->writer || c->state == ROVEI_CELL_NEW);
    ROVEI_CHECK(!f->reader || c->state == ROVEI_CELL_FROZEN || c->state == ROVEI_CELL_DEPARTED);
    ROVEI_CHECK(c->state != ROVEI_CELL_GONE || !c->readers);
}
