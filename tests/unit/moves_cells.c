/* SPDX-License-Identifier: Apache-2.0
 *
 * The cells of the tests of moves. */
#include "moves_world.h"

#include <compute/spawn_remote.h>

#include <stdio.h>

/* ---- cells: their memory is the test's own, never refused ---- */

world_cell *world_cell_new(world_node *n)
{
    for (size_t i = 0; i < WORLD_CELLS; i++)
        if (n->cells[i].state == CELL_NONE) {
            n->cells[i].number = n->next_cell++;
            return &n->cells[i];
        }
    fail_msg("no cell left");
    return NULL;
}

static world_cell *cell_find(world_node *n, uint64_t number)
{
    for (size_t i = 0; i < WORLD_CELLS; i++)
        if (n->cells[i].state != CELL_NONE && n->cells[i].number == number)
            return &n->cells[i];
    return NULL;
}

static void log_append(world_cell *c, const void *data, size_t size)
{
    if (c->log_size + size > c->log_room) {
        c->log_room = (c->log_size + size) * 2;
        c->log = realloc(c->log, c->log_room);
        assert_non_null(c->log);
    }
    if (size)
        memcpy(c->log + c->log_size, data, size);
    c->log_size += size;
}

/* Gives the framed output. */
static rove_buf *cell_apply(world_cell *c, rove_span payload)
{
    uint32_t size = (uint32_t)payload.size;
    char text[32];
    log_append(c, &size, sizeof size);
    log_append(c, payload.data, payload.size);
    c->applied++;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)c->applied);
    rove_buf *out = rovei_buf_copy(NULL, text, (size_t)length);
    rove_link link;
    assert_non_null(out);
    assert_ok(rovei_chain_append(&c->chain, out, 0, &link));
    rove_buf *framed = rovei_buf_alloc(NULL, ROVEI_EVENT_FRAME_OVERHEAD + (size_t)length);
    assert_non_null(framed);
    rovei_writer w = rovei_writer_of(rovei_buf_data(framed), rovei_buf_size(framed));
    rovei_event_frame_write(&w, &link, rove_buf_span(out));
    assert_int_equal(w.err, ROVE_OK);
    rove_buf_unref(out);
    return framed;
}

/* With the state in it when that has at most `whole` bytes. */
static void fill_image(const world_cell *c, uint64_t whole, rovei_image *image)
{
    image->state_size = c->log_size;
    if (c->log_size <= whole) {
        image->state = rovei_buf_copy(NULL, c->log, c->log_size);
        assert_non_null(image->state);
    }
    image->head = c->chain.head;
    image->head_payload = rove_buf_ref(c->chain.payload);
    image->events_processed = c->applied;
    image->created_at = 42;
}

static void restore(world_cell *c, const rovei_image *image)
{
    rove_span state = rove_buf_span(image->state);
    if (c->in_pieces)
        assert_int_equal(c->log_size, image->state_size); /* all of it was written */
    log_append(c, state.data, state.size);
    rovei_chain_from_head(&c->chain, &image->head, image->head_payload);
    c->applied = image->events_processed;
    assert_int_equal(image->created_at, 42);
}

void world_backup_take(world *w, size_t i, const rove_entity *daemon, world_backup *ret)
{
    const world_cell *c = world_cell_of(w, i, daemon);
    assert_non_null(c);
    memset(ret, 0, sizeof *ret);
    fill_image(c, UINT64_MAX, &ret->image);
    assert_ok(rovei_node_backup(w->nodes[i].node, w->now, c->number, &ret->positions));
    ret->key = rovei_keypair_ref(c->key);
}

void world_backup_fini(world_backup *b)
{
    rovei_image_fini(&b->image);
    rovei_backup_fini(&b->positions);
    rovei_keypair_unref(b->key);
}

rove_err world_spawn_from(world *w, size_t i, const world_backup *b, bool force,
                          uint64_t *ret_request)
{
    world_node *n = &w->nodes[i];
    world_cell *c = world_cell_new(n);
    c->key = rovei_keypair_ref(b->key);
    c->daemon = b->positions.daemon;
    c->state = CELL_SERVING; /* and asked for nothing before the claim is granted */
    restore(c, &b->image);
    *ret_request = c->number;
    rovei_spawn s = {.key = b->key,
                     .kind = b->positions.kind,
                     .cell = c->number,
                     .given = true,
                     .force = force,
                     .request = c->number,
                     .from = &b->positions};
    rove_err err = rovei_node_spawn(n->node, w->now, &s);
    if (err)
        world_cell_fini(c);
    return err;
}

const rovei_note *world_spawned(const world *w, size_t i, uint64_t request)
{
    const world_node *n = &w->nodes[i];
    for (size_t k = 0; k < n->note_count; k++)
        if (n->notes[k].kind == ROVEI_NOTE_SPAWNED && n->notes[k].request == request)
            return &n->notes[k];
    return NULL;
}

static void give_back(world *w, world_node *n, rovei_completion *c)
{
    if (n->node)
        rovei_node_complete(n->node, w->now, c);
}

static void apply(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    if (!c || c->state != (e->replay ? CELL_RESTORED : CELL_SERVING))
        return;
    rovei_result *results = calloc(e->events, sizeof *results);
    rovei_completion done = {.kind = ROVEI_DONE_APPLIED,
                             .cell = e->cell,
                             .attempt = e->attempt,
                             .ticket = e->ticket,
                             .number = e->number,
                             .results = results};
    rove_link link;
    rove_span payload;
    assert_non_null(results);
    for (size_t it = 0; rovei_effect_event(e, &it, &link, &payload);)
        if (e->replay && payload.size && *(const char *)payload.data == '!') /* it is refused */
            results[done.events++] = (rovei_result){.err = ROVE_E_PROCESS, .at = w->now.mono};
        else
            results[done.events++] = (rovei_result){
                .output_count = 1, .outputs = cell_apply(c, payload), .at = w->now.mono};
    assert_int_equal(done.events, e->events);
    give_back(w, n, &done);
    free(results);
}

static void freeze(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    assert_non_null(c);
    assert_int_equal(c->state, CELL_SERVING);
    rovei_completion done = {
        .kind = ROVEI_DONE_FROZEN, .cell = e->cell, .attempt = e->attempt, .err = n->freeze};
    if (!done.err && e->quiesce && c->log_size > e->size)
        done.err = ROVE_E_TOO_LARGE;
    if (!done.err) {
        c->state = e->quiesce ? CELL_QUIET : CELL_FROZEN;
        c->attempt = e->attempt;
        fill_image(c, e->quiesce ? e->size : n->t.env.limits.state_whole, &done.image);
    }
    give_back(w, n, &done);
}

static void drop_diverted(world_cell *c)
{
    for (size_t i = 0; i < c->diverted_count; i++) {
        rove_buf_unref(c->diverted[i].payload);
        rove_buf_unref(c->diverted[i].outputs);
    }
    free(c->diverted);
    c->diverted = NULL;
    c->diverted_count = 0;
}

static void thaw(world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    assert_non_null(c);
    assert_true(c->state == CELL_FROZEN || c->state == CELL_QUIET);
    c->state = CELL_SERVING;
    for (size_t i = 0; i < c->diverted_count; i++)
        rove_buf_unref(cell_apply(c, rove_buf_span(c->diverted[i].payload)));
    drop_diverted(c);
}

static void commit(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    assert_non_null(c);
    assert_true(c->state == CELL_FROZEN || c->state == CELL_QUIET);
    c->state = CELL_COMMITTED;
    rovei_completion done = {.kind = ROVEI_DONE_COMMITTED,
                             .cell = e->cell,
                             .attempt = e->attempt,
                             .number = c->diverted_count};
    give_back(w, n, &done);
}

static void result(world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    assert_non_null(c);
    assert_true(e->number >= 1 && e->number <= c->diverted_count);
    world_diverted *d = &c->diverted[e->number - 1];
    assert_false(d->has_result); /* outcomes come once */
    d->has_result = true;
    d->err = e->err;
    d->outputs = rove_buf_ref(e->owner);
}

static void forget(world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    if (!c)
        return;
    c->state = CELL_FORGOTTEN;
    c->forgotten = e->err;
}

static void make(world *w, world_node *n, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_RESTORED, .attempt = e->attempt, .err = n->restore};
    assert_span(rove_buf_span(e->daemon_kind), "log", 3);
    if (!e->key && !n->has_key)
        done.err = ROVE_E_IDENTITY_MISSING;
    if (!done.err) {
        world_cell *c = e->cell ? cell_find(n, e->cell) : world_cell_new(n);
        assert_non_null(c);
        assert_int_equal(c->in_pieces, e->cell != 0);
        c->state = CELL_RESTORED;
        c->daemon = e->daemon;
        c->key = rovei_keypair_ref(e->key ? e->key : n->has_key);
        restore(c, &e->image);
        done.cell = c->number;
        if (!e->key)
            done.key = rovei_keypair_ref(n->has_key);
    }
    give_back(w, n, &done);
}

/* ---- states in pieces ---- */

static void open_state(world *w, world_node *n, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_STATE_OPENED,
                             .attempt = e->attempt,
                             .ticket = e->ticket,
                             .err = n->restore};
    assert_span(rove_buf_span(e->daemon_kind), "log", 3);
    if (!done.err) {
        world_cell *c = world_cell_new(n);
        c->state = CELL_OPENED;
        c->daemon = e->daemon;
        c->in_pieces = true;
        c->promised = e->size;
        n->opened++;
        done.cell = c->number;
    }
    give_back(w, n, &done);
}

static void write_state(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    rovei_completion done = {.kind = ROVEI_DONE_STATE_WRITTEN,
                             .cell = e->cell,
                             .attempt = e->attempt,
                             .number = e->payload.size,
                             .err = n->write};
    assert_non_null(c);
    if (c->state == CELL_FORGOTTEN)
        return;
    assert_int_equal(c->state, CELL_OPENED);
    log_append(c, e->payload.data, e->payload.size);
    assert_true(c->log_size <= c->promised);
    give_back(w, n, &done);
}

static void read_state(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    rovei_completion done = {.kind = ROVEI_DONE_STATE_READ,
                             .cell = e->cell,
                             .attempt = e->attempt,
                             .ticket = e->ticket,
                             .number = e->number,
                             .err = n->read};
    assert_non_null(c);
    assert_true(e->number + e->size <= c->log_size);
    if (c->state != CELL_FROZEN && c->state != CELL_COMMITTED)
        done.err = ROVE_E_WRONG_PHASE;
    if (!done.err) {
        done.owner = rovei_buf_copy(NULL, c->log + e->number, (size_t)e->size);
        assert_non_null(done.owner);
    }
    give_back(w, n, &done);
}

static void activate(world *w, world_node *n, rovei_effect *e)
{
    world_cell *c = cell_find(n, e->cell);
    assert_non_null(c);
    assert_int_equal(c->state, CELL_RESTORED);
    c->state = CELL_SERVING;
    rovei_completion done = {.kind = ROVEI_DONE_ACTIVATED, .cell = e->cell, .attempt = e->attempt};
    give_back(w, n, &done);
}

/* Nothing is made: it is counted, and answered with the entity given or with a made up one. */
static void spawn(world *w, world_node *n, const rovei_effect *e)
{
    rove_entity daemon = e->daemon;
    n->spawns++;
    n->spawn_forced = e->force;
    n->spawn_kind_size = rovei_buf_size(e->daemon_kind);
    if (e->key)
        assert_true(rovei_entity_equal(rovei_keypair_entity(e->key), &daemon));
    else
        memset(daemon.bytes, (int)n->spawns + 1, sizeof daemon.bytes);
    rovei_node_spawned_here(n->node, w->now, e->ticket, n->spawn, &daemon, n->spawns);
}

void world_carry_out(world *w, world_node *n, rovei_effect *e)
{
    rovei_completion done = {.kind = ROVEI_DONE_ANSWER, .ticket = e->ticket};
    world_cell *c;
    switch (e->kind) {
    case ROVEI_EFFECT_APPLY:
        apply(w, n, e);
        break;
    case ROVEI_EFFECT_FREEZE:
        freeze(w, n, e);
        break;
    case ROVEI_EFFECT_THAW:
        thaw(n, e);
        break;
    case ROVEI_EFFECT_COMMIT:
        commit(w, n, e);
        break;
    case ROVEI_EFFECT_RESULT:
        result(n, e);
        break;
    case ROVEI_EFFECT_FORGET:
        forget(n, e);
        break;
    case ROVEI_EFFECT_ASIDE:
        c = cell_find(n, e->cell);
        assert_non_null(c);
        c->state = CELL_ASIDE;
        break;
    case ROVEI_EFFECT_ASK_PLACE:
        done.err = n->place;
        if (!done.err)
            assert_non_null(done.text = rovei_buf_copy(NULL, "log", 3));
        give_back(w, n, &done);
        break;
    case ROVEI_EFFECT_ASK:
        done.err = n->policy;
        give_back(w, n, &done);
        break;
    case ROVEI_EFFECT_SPAWN:
        spawn(w, n, e);
        break;
    case ROVEI_EFFECT_STORE: /* these nodes have no journal */
        break;
    case ROVEI_EFFECT_RESTORE:
        make(w, n, e);
        break;
    case ROVEI_EFFECT_ACTIVATE:
        activate(w, n, e);
        break;
    case ROVEI_EFFECT_OPEN_STATE:
        open_state(w, n, e);
        break;
    case ROVEI_EFFECT_WRITE_STATE:
        write_state(w, n, e);
        break;
    case ROVEI_EFFECT_READ_STATE:
        read_state(w, n, e);
        break;
    }
}

void world_release(world *w, size_t i)
{
    world_node *n = &w->nodes[i];
    n->hold = 0;
    for (size_t j = 0; j < n->held_count; j++) {
        world_carry_out(w, n, &n->held[j]);
        rovei_effect_fini(&n->held[j]);
    }
    n->held_count = 0;
}

void world_cell_fini(world_cell *c)
{
    rovei_keypair_unref(c->key);
    rovei_chain_fini(&c->chain);
    free(c->log);
    for (size_t i = 0; i < c->diverted_count; i++) {
        rove_buf_unref(c->diverted[i].payload);
        rove_buf_unref(c->diverted[i].outputs);
    }
    free(c->diverted);
    memset(c, 0, sizeof *c);
}

/* ---- what tests do and see of a cell ---- */

world_cell *world_cell_of(world *w, size_t i, const rove_entity *daemon)
{
    world_node *n = &w->nodes[i];
    for (size_t j = 0; j < WORLD_CELLS; j++)
        if (n->cells[j].state != CELL_NONE && n->cells[j].state != CELL_FORGOTTEN &&
            rovei_entity_equal(&n->cells[j].daemon, daemon))
            return &n->cells[j];
    return NULL;
}

static rove_err divert(world *w, world_node *n, world_cell *c, const char *text)
{
    c->diverted = realloc(c->diverted, (c->diverted_count + 1) * sizeof *c->diverted);
    assert_non_null(c->diverted);
    rove_buf *payload = rovei_buf_copy(NULL, text, strlen(text));
    assert_non_null(payload);
    c->diverted[c->diverted_count++] = (world_diverted){.payload = payload};
    rovei_completion done = {.kind = ROVEI_DONE_DIVERTED,
                             .cell = c->number,
                             .attempt = c->attempt,
                             .number = c->diverted_count,
                             .payload = rove_buf_span(payload),
                             .owner = rove_buf_ref(payload)};
    give_back(w, n, &done);
    return ROVE_E_DIVERTED;
}

rove_err world_deliver(world *w, size_t i, const rove_entity *daemon, const char *text)
{
    world_node *n = &w->nodes[i];
    world_cell *c = world_cell_of(w, i, daemon);
    if (!c || c->state == CELL_COMMITTED)
        return ROVE_E_MOVED;
    if (c->state == CELL_QUIET)
        return ROVE_E_MOVING;
    if (c->state == CELL_FROZEN)
        return divert(w, n, c, text);
    assert_int_equal(c->state, CELL_SERVING);
    rove_buf_unref(cell_apply(c, span_of(text)));
    return ROVE_OK;
}

size_t world_times(const world_cell *c, const char *text)
{
    size_t times = 0, length = strlen(text);
    for (size_t at = 0; at < c->log_size;) {
        uint32_t size;
        memcpy(&size, c->log + at, sizeof size);
        at += sizeof size;
        times += size == length && memcmp(c->log + at, text, length) == 0;
        at += size;
    }
    return times;
}
