/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's state in pieces: read while the daemon stands still and while it goes on, read again
 * from the start, written to another cell, in every mixture of the two forms, and given up. */
#include "support.h"
#include <host/cell.h>

/* ---- a daemon whose state is all that it was ever sent ---- */

typedef struct faults {
    rove_err open, read, write, close; /* what the kind answers */
    bool more, less;                   /* than was said is read */
    unsigned opened, closed;           /* readers */
    unsigned completed, given_up;      /* writers */
    unsigned writes;                   /* pieces that were given */
    size_t live;                       /* instances */
} faults;

typedef struct tape {
    faults *f;
    const rove_alloc *alloc;
    uint8_t *bytes;
    size_t size, room;
    unsigned streams; /* open ones */
} tape;

typedef struct reading {
    tape *t;
    size_t size, at;
} reading;

static rove_err tape_create(void **ret, const rove_alloc *alloc, void *user)
{
    tape *t = ROVEI_NEW(alloc, tape);
    if (!t)
        return ROVE_E_NOMEM;
    *t = (tape){.f = user, .alloc = alloc};
    t->f->live++;
    *ret = t;
    return ROVE_OK;
}

static void tape_destroy(void *self)
{
    tape *t = self;
    t->f->live--;
    assert_int_equal(t->streams, 0); /* they end before their instance */
    rovei_free(t->alloc, t->bytes, t->room);
    ROVEI_DELETE(t->alloc, t);
}

static rove_err append(tape *t, rove_span bytes)
{
    void *items = t->bytes;
    while (t->room < t->size + bytes.size) {
        rove_err err = rovei_grow(t->alloc, &items, &t->room, t->room, 1, SIZE_MAX);
        t->bytes = items;
        if (err)
            return err;
    }
    if (bytes.size)
        memcpy(t->bytes + t->size, bytes.data, bytes.size);
    t->size += bytes.size;
    return ROVE_OK;
}

static rove_err tape_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    (void)ctx;
    return append(self, event->payload);
}

static rove_err tape_snapshot(void *self, rove_ctx *ctx)
{
    tape *t = self;
    if (t->f->open)
        return rove_fail(ctx, "not now");
    return rove_write(ctx, (rove_span){t->bytes, t->size});
}

static rove_err tape_restore(void *self, rove_ctx *ctx, rove_span state)
{
    tape *t = self;
    if (t->f->close)
        return rove_fail(ctx, "not wanted");
    return append(t, state);
}

static rove_err read_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    tape *t = self;
    if (t->f->open)
        return rove_fail(ctx, "not now");
    reading *r = ROVEI_NEW(t->alloc, reading);
    if (!r)
        return ROVE_E_NOMEM;
    *r = (reading){.t = t, .size = t->size};
    *ret_size = t->size;
    *ret = r;
    t->f->opened++;
    t->streams++;
    return ROVE_OK;
}

static rove_err read_some(void *stream, void *room, size_t size, size_t *ret_size)
{
    reading *r = stream;
    const faults *f = r->t->f;
    size_t left = r->size - r->at;
    if (f->read)
        return f->read;
    size_t part = left < size ? left : size;
    part = part > 3 ? 3 : part; /* never as much as was asked for */
    if (f->less && r->at + part == r->size)
        part = 0;
    memcpy(room, r->t->bytes + r->at, part);
    r->at += part;
    *ret_size = part ? part : f->more;
    return ROVE_OK;
}

static void read_close(void *stream)
{
    reading *r = stream;
    r->t->f->closed++;
    r->t->streams--;
    ROVEI_DELETE(r->t->alloc, r);
}

static rove_err take_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    tape *t = self;
    uint8_t signature[64];
    (void)size;
    (void)rove_sign(ctx, span_of("x"), signature);
    if (t->f->open)
        return rove_fail(ctx, "not now");
    t->streams++;
    *ret = t;
    return ROVE_OK;
}

static rove_err take_write(void *stream, rove_span bytes)
{
    tape *t = stream;
    t->f->writes++;
    return t->f->write ? t->f->write : append(t, bytes);
}

static rove_err take_close(void *stream, rove_ctx *ctx, bool complete)
{
    tape *t = stream;
    t->streams--;
    if (!complete) {
        t->f->given_up++;
        return ROVE_OK;
    }
    t->f->completed++;
    return t->f->close ? rove_fail(ctx, "not wanted") : ROVE_OK;
}

#define TAPE                                                                                       \
    .abi = ROVE_ABI, .size = sizeof(rove_kind), .name = "tape", .create = tape_create,             \
    .destroy = tape_destroy, .process = tape_process, .is_stateful = true
#define WHOLE .snapshot = tape_snapshot, .restore = tape_restore
#define STREAMED                                                                                   \
    .snapshot_open = read_open, .snapshot_read = read_some, .snapshot_close = read_close,          \
    .restore_open = take_open, .restore_write = take_write, .restore_close = take_close

static const rove_kind whole = {TAPE, WHOLE}, streamed = {TAPE, STREAMED},
                       both = {TAPE, WHOLE, STREAMED};

/* ---- the bench ---- */

typedef struct world {
    test_env t;
    faults f;
    rovei_keypair *key;
    rovei_cell *cell;
} world;

static const rovei_attempt_id attempt_1 = {{1}}, attempt_2 = {{2}};

static rovei_cell *make(world *w, const rove_kind *kind, rovei_keypair *key)
{
    rovei_cell_config cfg = {.env = &w->t.env, .kind = kind, .kind_user = &w->f, .key = key};
    rovei_cell *cell;
    assert_ok(rovei_cell_new(&cell, &cfg));
    return cell;
}

static void send(world *w, rove_span payload)
{
    rovei_cell_event ev = {{7, 0, 1, 0}, payload, NULL};
    rovei_applied a;
    assert_true(rovei_cell_apply(w->cell, 0, &ev, &a));
    assert_ok(a.err);
    rovei_applied_fini(&a);
}

#define SIZE 1000u

/* A serving cell with SIZE bytes, all different from their neighbours. */
static void open_world(world *w, const rove_kind *kind)
{
    uint8_t bytes[SIZE];
    *w = (world){0};
    test_env_init(&w->t, 11);
    w->t.env.limits.state_whole = 16;
    assert_ok(rovei_keypair_generate(&w->key, &w->t.env));
    w->cell = make(w, kind, w->key);
    assert_ok(rovei_cell_activate(w->cell));
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7);
    send(w, (rove_span){bytes, SIZE});
}

static void close_world(world *w)
{
    rovei_cell_free(w->cell);
    rovei_keypair_unref(w->key);
    assert_int_equal(w->f.live, 0);
    test_env_fini(&w->t);
}

static void freeze(world *w, rovei_image *ret)
{
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w->cell, 42, &attempt_1, ret, &text));
    rovei_cell_check(w->cell);
}

static void assert_tape(const uint8_t *bytes, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], (uint8_t)((from + i) * 7));
}

/* Reads all that is frozen in pieces of `step`. */
static void read_all(world *w, size_t step)
{
    uint8_t bytes[SIZE];
    for (size_t at = 0; at < SIZE; at += step) {
        size_t size = SIZE - at < step ? SIZE - at : step;
        assert_ok(rovei_cell_read_frozen(w->cell, &attempt_1, at, bytes, size));
        assert_tape(bytes, at, size);
        rovei_cell_check(w->cell);
    }
}

/* ---- reading ---- */

static void test_a_large_state_stays_in_the_cell(void **state)
{
    (void)state;
    world w;
    open_world(&w, &streamed);
    rovei_image image;
    freeze(&w, &image);
    assert_null(image.state);
    assert_int_equal(image.state_size, SIZE);
    assert_int_equal(image.created_at, 42);
    assert_int_equal(image.snapshots_taken, 1);
    read_all(&w, 64);
    assert_int_equal(w.f.opened, 1);
    uint8_t byte;
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, SIZE, &byte, 1), ROVE_E_USAGE);
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_2, 0, &byte, 1), ROVE_E_WRONG_PHASE);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_a_small_one_and_a_whole_one_come_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        world w;
        open_world(&w, i ? &whole : &streamed);
        if (!i)
            w.t.env.limits.state_whole = SIZE;
        rovei_image image;
        freeze(&w, &image);
        assert_int_equal(rovei_buf_size(image.state), SIZE);
        assert_int_equal(image.state_size, SIZE);
        assert_tape(rovei_buf_data(image.state), 0, SIZE);
        assert_int_equal(w.f.opened, w.f.closed);
        rovei_image_fini(&image);
        close_world(&w);
    }
}

/* What is quiesced leaves in one buffer, whatever its kind can do, or not at all. */
static void test_a_large_state_is_quiesced_whole(void **state)
{
    (void)state;
    world w;
    rovei_image image;
    rove_buf *text;
    open_world(&w, &streamed);
    w.t.env.limits.state_whole = SIZE - 1;
    assert_int_equal(rovei_cell_quiesce(w.cell, 42, &attempt_1, SIZE - 1, &image, &text),
                     ROVE_E_TOO_LARGE);
    assert_int_equal(rovei_cell_state_of(w.cell), ROVEI_CELL_SERVING);
    assert_int_equal(rovei_cell_stats(w.cell).snapshots_taken, 0);
    assert_int_equal(w.f.opened, w.f.closed);
    assert_ok(rovei_cell_quiesce(w.cell, 42, &attempt_1, SIZE, &image, &text));
    rovei_cell_check(w.cell);
    assert_int_equal(w.f.opened, w.f.closed);
    assert_int_equal(rovei_buf_size(image.state), SIZE);
    assert_tape(rovei_buf_data(image.state), 0, SIZE);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_a_frozen_state_is_read_again(void **state)
{
    (void)state;
    world w;
    open_world(&w, &streamed);
    rovei_image image;
    freeze(&w, &image);
    uint8_t bytes[100];
    assert_ok(rovei_cell_read_frozen(w.cell, &attempt_1, 0, bytes, 100));
    /* Only the next bytes, or all anew. */
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 200, bytes, 100), ROVE_E_USAGE);
    read_all(&w, 100);
    assert_int_equal(w.f.opened, 2);
    uint64_t diverted;
    assert_ok(rovei_cell_commit(w.cell, &attempt_1, &diverted));
    read_all(&w, 333); /* after the commit as well */
    rovei_cell_aside(w.cell, ROVE_E_SUPERSEDED);
    assert_int_equal(w.f.opened, w.f.closed);
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 0, bytes, 1), ROVE_E_WRONG_PHASE);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_a_thaw_ends_the_reading(void **state)
{
    (void)state;
    world w;
    open_world(&w, &streamed);
    rovei_image image;
    freeze(&w, &image);
    uint8_t byte;
    assert_ok(rovei_cell_read_frozen(w.cell, &attempt_1, 0, &byte, 1));
    assert_ok(rovei_cell_thaw(w.cell, &attempt_1));
    assert_int_equal(w.f.opened, w.f.closed);
    void *waiter;
    rovei_cell_event ev;
    rovei_applied a;
    assert_false(rovei_cell_thaw_next(w.cell, 0, &waiter, &ev, &a));
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 1, &byte, 1), ROVE_E_WRONG_PHASE);
    send(&w, span_of("and on it goes"));
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_later_events_do_not_change_what_is_read(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        world w;
        open_world(&w, i == 0 ? &whole : i == 1 ? &streamed : &both);
        rovei_image image;
        rovei_state_reader *one, *two;
        rove_buf *text;
        uint8_t bytes[SIZE + 4];
        assert_ok(rovei_cell_image_open(w.cell, 5, &image, &one, &text));
        assert_int_equal(image.state_size, SIZE);
        send(&w, span_of("more"));
        assert_ok(rovei_state_open(w.cell, &two, &text));
        assert_int_equal(rovei_state_size(one), SIZE);
        assert_int_equal(rovei_state_size(two), SIZE + 4);
        assert_ok(rovei_state_read(one, bytes, 10));
        send(&w, span_of("even more"));
        assert_ok(rovei_state_read(one, bytes + 10, SIZE - 10));
        assert_tape(bytes, 0, SIZE);
        assert_int_equal(rovei_state_read(one, bytes, 1), ROVE_E_USAGE);
        assert_ok(rovei_state_read(two, bytes, SIZE + 4));
        assert_memory_equal(bytes + SIZE, "more", 4);
        rovei_state_close(one);
        rovei_state_close(two);
        rovei_image_fini(&image);
        close_world(&w);
    }
}

static void test_a_reader_outlives_its_cell(void **state)
{
    (void)state;
    world w;
    open_world(&w, &streamed);
    rovei_state_reader *r;
    rove_buf *text;
    uint8_t byte;
    assert_ok(rovei_state_open(w.cell, &r, &text));
    rovei_cell_close(w.cell);
    assert_int_equal(w.f.closed, 1);
    assert_int_equal(rovei_state_read(r, &byte, 1), ROVE_E_STALE);
    rovei_cell_free(w.cell);
    assert_int_equal(rovei_state_read(r, &byte, 1), ROVE_E_STALE);
    rovei_state_close(r);
    w.cell = NULL;
    close_world(&w);
}

static void test_states_that_cannot_be_read(void **state)
{
    (void)state;
    world w;
    rovei_image image;
    rove_buf *text;
    uint8_t bytes[SIZE];
    open_world(&w, &streamed);
    w.f.open = ROVE_E_PROCESS;
    assert_int_equal(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text),
                     ROVE_E_SNAPSHOT_FAILED);
    assert_span(rove_buf_span(text), "not now", 7);
    rove_buf_unref(text);
    w.f.open = ROVE_OK;
    w.t.env.limits.state_max = SIZE - 1; /* found before a byte of it is read */
    w.f.read = ROVE_E_IO;
    assert_int_equal(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text), ROVE_E_TOO_LARGE);
    assert_int_equal(w.f.opened, w.f.closed);
    assert_int_equal(rovei_cell_state_of(w.cell), ROVEI_CELL_SERVING);
    w.t.env.limits.state_max = SIZE;
    freeze(&w, &image);
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 0, bytes, SIZE),
                     ROVE_E_SNAPSHOT_FAILED);
    assert_int_equal(w.f.opened, w.f.closed);
    w.f.read = ROVE_OK;
    w.f.more = true;
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 0, bytes, SIZE),
                     ROVE_E_SNAPSHOT_FAILED);
    w.f.more = false;
    w.f.less = true;
    assert_int_equal(rovei_cell_read_frozen(w.cell, &attempt_1, 0, bytes, SIZE),
                     ROVE_E_SNAPSHOT_FAILED);
    w.f.less = false;
    read_all(&w, SIZE); /* none of that was for good */
    rovei_image_fini(&image);
    close_world(&w);
}

/* ---- writing ---- */

/* Moves the frozen state of w->cell to a new cell in pieces of `step`. */
static rovei_cell *move(world *w, const rove_kind *to, rovei_image *image, size_t step)
{
    rovei_keypair *half;
    rove_buf *text;
    uint8_t bytes[SIZE];
    assert_ok(rovei_keypair_public_only(&half, &w->t.env, rovei_keypair_entity(w->key)));
    rovei_cell *next = make(w, to, half);
    rovei_keypair_unref(half);
    assert_ok(rovei_cell_restore_begin(next, SIZE, &text));
    assert_int_equal(rovei_cell_restore_begin(next, SIZE, &text), ROVE_E_USAGE);
    for (size_t at = 0; at < SIZE; at += step) {
        size_t size = SIZE - at < step ? SIZE - at : step;
        if (image->state)
            memcpy(bytes, rovei_buf_data(image->state) + at, size);
        else
            assert_ok(rovei_cell_read_frozen(w->cell, &attempt_1, at, bytes, size));
        assert_ok(rovei_cell_restore_write(next, (rove_span){bytes, size}));
        rovei_cell_check(next);
    }
    assert_int_equal(rovei_cell_restore_write(next, span_of("x")), ROVE_E_USAGE);
    return next;
}

static void test_forms_mix(void **state)
{
    (void)state;
    const rove_kind *forms[] = {&whole, &streamed, &both};
    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++) {
            world w;
            rovei_image image;
            rove_buf *text;
            open_world(&w, forms[from]);
            freeze(&w, &image);
            rovei_cell *next = move(&w, forms[to], &image, 77);
            rove_buf_unref(image.state);
            image.state = NULL;
            assert_ok(rovei_cell_set_key(next, w.key));
            assert_ok(rovei_cell_restore_image(next, &image, &text));
            const tape *t = rovei_cell_instance(next);
            assert_int_equal(t->size, SIZE);
            assert_tape(t->bytes, 0, SIZE);
            assert_int_equal(w.f.completed, to ? 1 : 0);
            assert_ok(rovei_cell_activate(next));
            assert_int_equal(rovei_cell_set_key(next, w.key), ROVE_E_USAGE);
            rovei_cell_free(next);
            rovei_image_fini(&image);
            close_world(&w);
        }
}

/* A copy whose state did not come, or is not believed. */
static void test_a_provisional_copy_is_given_up(void **state)
{
    (void)state;
    const rove_kind *forms[] = {&whole, &streamed};
    for (size_t i = 0; i < 2; i++) {
        world w;
        rovei_image image;
        open_world(&w, &streamed);
        freeze(&w, &image);
        rovei_cell *next = move(&w, forms[i], &image, 500);
        rovei_cell_free(next);
        assert_int_equal(w.f.given_up, i);
        assert_int_equal(w.f.completed, 0);
        assert_int_equal(w.f.live, 1);
        rovei_image_fini(&image);
        close_world(&w);
    }
}

/* The kind hears of the end also when the instance is its caller's, and of nothing after an error.
 */
static void test_a_refused_piece_is_the_last(void **state)
{
    (void)state;
    world w;
    rove_buf *text;
    void *instance = NULL;
    open_world(&w, &streamed);
    assert_ok(tape_create(&instance, &w.t.env.alloc, &w.f));
    rovei_cell_config cfg = {
        .env = &w.t.env, .kind = &streamed, .kind_user = &w.f, .key = w.key, .instance = instance};
    rovei_cell *cell;
    assert_ok(rovei_cell_new(&cell, &cfg));
    assert_ok(rovei_cell_restore_begin(cell, 9, &text));
    assert_ok(rovei_cell_restore_write(cell, span_of("abc")));
    w.f.write = ROVE_E_PROCESS;
    assert_int_equal(rovei_cell_restore_write(cell, span_of("def")), ROVE_E_RESTORE_FAILED);
    w.f.write = ROVE_OK;
    assert_int_equal(rovei_cell_restore_write(cell, span_of("ghi")), ROVE_E_RESTORE_FAILED);
    assert_int_equal(w.f.writes, 2);
    rovei_cell_disown(cell);
    rovei_cell_free(cell);
    assert_int_equal(w.f.given_up, 1);
    tape_destroy(instance);
    close_world(&w);
}

static rove_err restore_with(world *w, size_t bytes, uint64_t said, rovei_image *image,
                             rove_buf **ret_text)
{
    uint8_t zeros[SIZE] = {0};
    rovei_cell *next = make(w, &streamed, w->key);
    *ret_text = NULL;
    rove_err err = rovei_cell_restore_begin(next, said, ret_text);
    if (!err)
        err = rovei_cell_restore_write(next, (rove_span){zeros, bytes});
    if (!err)
        err = rovei_cell_restore_image(next, image, ret_text);
    rovei_cell_free(next);
    return err;
}

static void test_states_that_are_not_taken(void **state)
{
    (void)state;
    world w;
    rovei_image image;
    rove_buf *text;
    open_world(&w, &streamed);
    freeze(&w, &image);
    assert_ok(restore_with(&w, SIZE, SIZE, &image, &text));
    assert_int_equal(restore_with(&w, SIZE - 1, SIZE, &image, &text), ROVE_E_RESTORE_FAILED);
    assert_int_equal(restore_with(&w, SIZE, SIZE - 1, &image, &text), ROVE_E_USAGE);
    assert_int_equal(restore_with(&w, SIZE - 1, SIZE - 1, &image, &text), ROVE_E_RESTORE_FAILED);
    assert_int_equal(w.f.given_up, 3);
    w.t.env.limits.state_max = SIZE - 1;
    assert_int_equal(restore_with(&w, SIZE, SIZE, &image, &text), ROVE_E_TOO_LARGE);
    w.t.env.limits.state_max = SIZE;
    w.f.open = ROVE_E_PROCESS;
    assert_int_equal(restore_with(&w, SIZE, SIZE, &image, &text), ROVE_E_RESTORE_FAILED);
    assert_span(rove_buf_span(text), "not now", 7);
    rove_buf_unref(text);
    w.f.open = ROVE_OK;
    w.f.write = ROVE_E_NOMEM;
    assert_int_equal(restore_with(&w, SIZE, SIZE, &image, &text), ROVE_E_RESTORE_FAILED);
    w.f.write = ROVE_OK;
    w.f.close = ROVE_E_PROCESS;
    assert_int_equal(restore_with(&w, SIZE, SIZE, &image, &text), ROVE_E_RESTORE_FAILED);
    assert_span(rove_buf_span(text), "not wanted", 10);
    rove_buf_unref(text);
    /* An image whose state was never begun, and one that brings its own beside it. */
    rovei_cell *next = make(&w, &streamed, w.key);
    assert_int_equal(rovei_cell_restore_image(next, &image, &text), ROVE_E_USAGE);
    assert_int_equal(rovei_cell_restore_write(next, span_of("x")), ROVE_E_USAGE);
    rovei_cell_free(next);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_another_key_is_not_taken(void **state)
{
    (void)state;
    world w;
    rovei_keypair *other;
    open_world(&w, &streamed);
    assert_ok(rovei_keypair_generate(&other, &w.t.env));
    rovei_cell *next = make(&w, &streamed, w.key);
    assert_int_equal(rovei_cell_set_key(next, other), ROVE_E_ORIGIN_MISMATCH);
    rovei_cell_free(next);
    rovei_keypair_unref(other);
    close_world(&w);
}

/* ---- memory ---- */

static rove_err freeze_and_read(world *w)
{
    rovei_image image;
    rove_buf *text = NULL;
    uint8_t bytes[SIZE];
    rove_err err = rovei_cell_freeze(w->cell, 0, &attempt_1, &image, &text);
    rove_buf_unref(text);
    if (err) {
        assert_int_equal(rovei_cell_state_of(w->cell), ROVEI_CELL_SERVING);
        return err == ROVE_E_SNAPSHOT_FAILED ? ROVE_E_NOMEM : err; /* the kind had none */
    }
    rovei_image_fini(&image);
    err = rovei_cell_read_frozen(w->cell, &attempt_1, 0, bytes, SIZE);
    if (!err)
        err = rovei_cell_read_frozen(w->cell, &attempt_1, 0, bytes, SIZE);
    assert_ok(rovei_cell_thaw(w->cell, &attempt_1));
    void *waiter;
    rovei_cell_event ev;
    rovei_applied a;
    assert_false(rovei_cell_thaw_next(w->cell, 0, &waiter, &ev, &a));
    return err == ROVE_E_SNAPSHOT_FAILED ? ROVE_E_NOMEM : err;
}

static rove_err write_all(world *w)
{
    rove_buf *text = NULL;
    uint8_t zeros[SIZE] = {0};
    rovei_cell *next;
    rovei_cell_config cfg = {
        .env = &w->t.env, .kind = &streamed, .kind_user = &w->f, .key = w->key};
    rove_err err = rovei_cell_new(&next, &cfg);
    if (err)
        return err;
    rovei_image image = {.head = rovei_cell_head(next), .state_size = SIZE};
    err = rovei_cell_restore_begin(next, SIZE, &text);
    if (!err)
        err = rovei_cell_restore_write(next, (rove_span){zeros, SIZE});
    if (!err)
        err = rovei_cell_restore_image(next, &image, &text);
    rove_buf_unref(text);
    rovei_cell_free(next);
    return err == ROVE_E_RESTORE_FAILED ? ROVE_E_NOMEM : err;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    world w;
    open_world(&w, &streamed);
    SWEEP_NOMEM(&w.t.alloc, freeze_and_read(&w));
    SWEEP_NOMEM(&w.t.alloc, write_all(&w));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_large_state_stays_in_the_cell),
        cmocka_unit_test(test_a_small_one_and_a_whole_one_come_at_once),
        cmocka_unit_test(test_a_large_state_is_quiesced_whole),
        cmocka_unit_test(test_a_frozen_state_is_read_again),
        cmocka_unit_test(test_a_thaw_ends_the_reading),
        cmocka_unit_test(test_later_events_do_not_change_what_is_read),
        cmocka_unit_test(test_a_reader_outlives_its_cell),
        cmocka_unit_test(test_states_that_cannot_be_read),
        cmocka_unit_test(test_forms_mix),
        cmocka_unit_test(test_a_provisional_copy_is_given_up),
        cmocka_unit_test(test_a_refused_piece_is_the_last),
        cmocka_unit_test(test_states_that_are_not_taken),
        cmocka_unit_test(test_another_key_is_not_taken),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
