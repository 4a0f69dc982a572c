/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's part in a move: freeze, thaw, commit, and the diverted events with their waiters. */
#include <base/alloc.h>
#include <base/check.h>
#include <host/cell_impl.h>
#include <string.h>

static bool same_attempt(const rovei_cell *c, const rovei_attempt_id *attempt)
{
    return memcmp(&c->attempt, attempt, sizeof *attempt) == 0;
}

rove_err rovei_cell_activate(rovei_cell *c)
{
    if (c->state != ROVEI_CELL_NEW)
        return ROVE_E_WRONG_PHASE;
    c->state = ROVEI_CELL_SERVING;
    return ROVE_OK;
}

rove_err rovei_cell_freeze(rovei_cell *c, uint64_t wall, const rovei_attempt_id *attempt,
                           rovei_image *ret, rove_buf **ret_text)
{
    if (c->state != ROVEI_CELL_SERVING)
        return ROVE_E_WRONG_PHASE;
    rovei_image image;
    rovei_state_reader *reader;
    rove_err err = rovei_cell_image_open(c, wall, &image, &reader, ret_text);
    if (err)
        return err;
    /* A kind without the streamed form has made a buffer already. */
    bool whole = !c->kind->snapshot_open || image.state_size <= c->env->limits.state_whole;
    if (whole) {
        err = rovei_state_take(reader, &image.state);
        rovei_state_close(reader);
    }
    if (err) {
        c->stats.snapshots_taken--;
        rovei_image_fini(&image);
        return err;
    }
    ROVEI_CHECK(c->diverted_count == 0);
    *ret = image;
    c->frozen = whole ? NULL : reader;
    c->frozen_size = image.state_size;
    c->attempt = *attempt;
    c->state = ROVEI_CELL_FROZEN;
    return ROVE_OK;
}

rove_err rovei_cell_thaw(rovei_cell *c, const rovei_attempt_id *attempt)
{
    if (c->state != ROVEI_CELL_FROZEN || !same_attempt(c, attempt))
        return ROVE_E_WRONG_PHASE;
    rovei_state_close(c->frozen);
    c->frozen = NULL;
    c->state = ROVEI_CELL_THAWING;
    return ROVE_OK;
}

void rovei_cell_reset(rovei_cell *c)
{
    for (size_t i = 0; i < c->diverted_count; i++) {
        ROVEI_CHECK(!c->diverted[i].waiting);
        rove_buf_unref(c->diverted[i].event.owner);
    }
    rovei_free(&c->env->alloc, c->diverted, c->diverted_room * sizeof *c->diverted);
    c->diverted = NULL;
    c->diverted_count = c->diverted_room = c->next_thaw = c->next_waiter = 0;
    c->diverted_bytes = 0;
}

bool rovei_cell_thaw_next(rovei_cell *c, uint64_t wall, void **ret_waiter,
                          rovei_cell_event *ret_event, rovei_applied *ret)
{
    if (c->state != ROVEI_CELL_THAWING)
        return false;
    if (c->next_thaw == c->diverted_count) {
        rovei_cell_reset(c);
        c->state = ROVEI_CELL_SERVING;
        return false;
    }
    struct rovei_diverted *d = &c->diverted[c->next_thaw++];
    ROVEI_CHECK(d->waiting);
    rovei_cell_run(c, wall, &d->event, ret);
    d->waiting = false;
    *ret_waiter = d->waiter;
    *ret_event = d->event;
    return true;
}

rove_err rovei_cell_commit(rovei_cell *c, const rovei_attempt_id *attempt, uint64_t *ret_diverted)
{
    if (c->state != ROVEI_CELL_FROZEN || !same_attempt(c, attempt))
        return ROVE_E_WRONG_PHASE;
    /* The payloads are the mover's now; only the waiters stay. */
    for (size_t i = 0; i < c->diverted_count; i++) {
        rove_buf_unref(c->diverted[i].event.owner);
        c->diverted[i].event.owner = NULL;
        c->diverted[i].event.payload = (rove_span){NULL, 0};
    }
    c->state = ROVEI_CELL_DEPARTED;
    *ret_diverted = c->diverted_count;
    return ROVE_OK;
}

void rovei_cell_aside(rovei_cell *c, rove_err err)
{
    if (c->state == ROVEI_CELL_GONE)
        return;
    rovei_state_close(c->frozen);
    c->frozen = NULL;
    c->aside = err ? err : ROVE_E_SUPERSEDED;
    c->state = ROVEI_CELL_ASIDE;
}

const rovei_cell_event *rovei_cell_diverted(const rovei_cell *c, uint64_t number)
{
    if (number == 0 || number > c->diverted_count)
        return NULL;
    return &c->diverted[number - 1].event;
}

void rovei_cell_diverted_totals(const rovei_cell *c, uint64_t *ret_events, uint64_t *ret_bytes)
{
    *ret_events = c->diverted_count;
    *ret_bytes = c->diverted_bytes;
}

bool rovei_cell_take_result(rovei_cell *c, uint64_t number, void **ret_waiter)
{
    if (number == 0 || number > c->diverted_count || !c->diverted[number - 1].waiting)
        return false;
    c->diverted[number - 1].waiting = false;
    *ret_waiter = c->diverted[number - 1].waiter;
    return true;
}

bool rovei_cell_take_waiter(rovei_cell *c, void **ret_waiter)
{
    for (; c->next_waiter < c->diverted_count; c->next_waiter++)
        if (rovei_cell_take_result(c, c->next_waiter + 1, ret_waiter))
            return true;
    return false;
}

void rovei_cell_check(const rovei_cell *c)
{
    ROVEI_CHECK(c->state >= ROVEI_CELL_NEW && c->state <= ROVEI_CELL_GONE);
    ROVEI_CHECK((c->instance == NULL) == (c->state == ROVEI_CELL_GONE));
    ROVEI_CHECK(c->head.origin == rovei_keypair_origin(c->key));
    ROVEI_CHECK(c->diverted_count <= c->diverted_room);
    ROVEI_CHECK(c->next_thaw <= c->diverted_count && c->next_waiter <= c->diverted_count);
    if (c->state == ROVEI_CELL_NEW || c->state == ROVEI_CELL_SERVING)
        ROVEI_CHECK(c->diverted_count == 0 && c->diverted_bytes == 0);
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->diverted_count; i++) {
        bytes += c->diverted[i].event.payload.size;
        if (i < c->next_waiter)
            ROVEI_CHECK(!c->diverted[i].waiting);
    }
    if (c->state == ROVEI_CELL_FROZEN)
        ROVEI_CHECK(bytes == c->diverted_bytes);
    ROVEI_CHECK(!c->writer || c->state == ROVEI_CELL_NEW);
    ROVEI_CHECK(!c->frozen || c->state == ROVEI_CELL_FROZEN || c->state == ROVEI_CELL_DEPARTED);
    ROVEI_CHECK(c->state != ROVEI_CELL_GONE || !c->readers);
}
