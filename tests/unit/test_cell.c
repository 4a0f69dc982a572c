/* SPDX-License-Identifier: Apache-2.0
 *
 * One daemon instance: events, chain, horizon, freeze and what follows, images and snapshots. */
#include "kinds.h"
#include "support.h"
#include <host/cell.h>
#include <state/horizon.h>

typedef struct world {
    test_env t;
    probe_control control;
    rovei_keypair *key;
    rovei_cell *cell;
} world;

static rovei_cell *make(world *w, const rove_kind *kind)
{
    rovei_cell_config cfg = {
        .env = &w->t.env, .kind = kind, .kind_user = &w->control, .key = w->key};
    rovei_cell *cell = NULL;
    assert_ok(rovei_cell_new(&cell, &cfg));
    return cell;
}

static void open_world(world *w, const rove_kind *kind)
{
    *w = (world){.control.outputs = 1};
    test_env_init(&w->t, 7);
    assert_ok(rovei_keypair_generate(&w->key, &w->t.env));
    w->cell = make(w, kind);
}

static void close_world(world *w)
{
    rovei_cell_check(w->cell);
    rovei_cell_free(w->cell);
    rovei_keypair_unref(w->key);
    assert_int_equal(w->control.created, w->control.destroyed);
    test_env_fini(&w->t);
}

static rovei_cell_event event_of(uint64_t origin, uint64_t sequence, const char *text)
{
    return (rovei_cell_event){{origin, 0, sequence, 0}, span_of(text), NULL};
}

static rovei_applied apply(world *w, uint64_t origin, uint64_t sequence, const char *text)
{
    rovei_cell_event ev = event_of(origin, sequence, text);
    rovei_applied a;
    assert_true(rovei_cell_apply(w->cell, 1000, &ev, &a));
    return a;
}

/* The only output of an applied event. */
static rove_link only_output(const rovei_applied *a, const char *want)
{
    assert_int_equal(a->err, ROVE_OK);
    assert_int_equal(a->output_count, 1);
    rovei_reader r = rovei_reader_of(rove_buf_span(a->outputs));
    rove_link link;
    rove_span payload;
    assert_true(rovei_event_frame_read(&r, &link, &payload));
    assert_int_equal(rovei_reader_left(&r), 0);
    assert_span(payload, want, strlen(want));
    return link;
}

/* One subscription; what does not parse changes nothing. */
static void set_ledger(rovei_cell *c)
{
    uint8_t bytes[64];
    rovei_ledger *l;
    rovei_subscription sub = {.publisher = 5, .channel = span_of("a/b")};
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    assert_ok(rovei_ledger_new(&l, &rovei_alloc_libc));
    assert_ok(rovei_ledger_record(l, &sub));
    rovei_ledger_encode(l, &w);
    rovei_ledger_free(l);
    assert_ok(rovei_cell_set_ledger(c, (rove_span){bytes, rovei_writer_size(&w)}));
    assert_int_equal(rovei_cell_set_ledger(c, (rove_span){bytes, 3}), ROVE_E_BINDINGS);
    assert_int_equal(rovei_cell_stats(c).subscriptions, 1);
}

static const rovei_attempt_id attempt_1 = {{1}}, attempt_2 = {{2}};

static void test_outputs_form_a_chain(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    rove_link prev = rovei_link_genesis(rovei_keypair_origin(w.key), 0);
    char before[8] = "";
    for (uint64_t i = 1; i <= 5; i++) {
        char want[8];
        snprintf(want, sizeof want, "%d", (int)i);
        rovei_applied a = apply(&w, 42, i, "x");
        rove_link link = only_output(&a, want);
        assert_int_equal(link.sequence, i);
        assert_int_equal(link.horizon, rovei_sketch_of(42));
        assert_ok(rovei_link_validate(&prev, span_of(before), &link, NULL));
        assert_int_equal(a.index, i);
        prev = link;
        memcpy(before, want, sizeof want);
        rovei_applied_fini(&a);
    }
    rove_daemon_stats stats = rovei_cell_stats(w.cell);
    assert_int_equal(stats.events_processed, 5);
    assert_int_equal(stats.events_emitted, 5);
    assert_int_equal(stats.errors, 0);
    close_world(&w);
}

static void test_several_outputs_and_none(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    w.control.outputs = 0;
    rovei_applied a = apply(&w, 42, 1, "x");
    assert_int_equal(a.err, ROVE_OK);
    assert_int_equal(a.output_count, 0);
    assert_null(a.outputs);
    assert_int_equal(rovei_cell_head(w.cell).sequence, 0);
    w.control.outputs = 40;
    w.control.output_bytes = 1000;
    a = apply(&w, 42, 2, "x");
    assert_int_equal(a.output_count, 40);
    rovei_reader r = rovei_reader_of(rove_buf_span(a.outputs));
    rove_link prev = rovei_link_genesis(rovei_keypair_origin(w.key), 0), link;
    rove_span before = {NULL, 0}, payload;
    for (int i = 0; i < 40; i++) {
        assert_true(rovei_event_frame_read(&r, &link, &payload));
        assert_ok(rovei_link_validate(&prev, before, &link, NULL));
        prev = link;
        before = payload;
    }
    rovei_applied_fini(&a);
    /* The chain goes on from the last of them although the outputs were given back. */
    w.control.outputs = 1;
    a = apply(&w, 42, 3, "x");
    uint8_t zeros[1000] = {0};
    link = only_output(&a, "3");
    assert_ok(rovei_link_validate(&prev, (rove_span){zeros, sizeof zeros}, &link, NULL));
    rovei_applied_fini(&a);
    close_world(&w);
}

static void test_process_error_is_an_outcome(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    w.control.fail_process = true;
    rovei_applied a = apply(&w, 42, 1, "x");
    assert_int_equal(a.err, ROVE_E_PROCESS);
    assert_span(rove_buf_span(a.text), "no: told to", 11);
    assert_int_equal(a.index, 0);
    rovei_applied_fini(&a);
    assert_int_equal(rovei_cell_head(w.cell).sequence, 0);
    assert_int_equal(rovei_cell_stats(w.cell).errors, 1);
    assert_int_equal(rovei_cell_stats(w.cell).events_processed, 0);
    /* Its origin was observed all the same. */
    w.control.fail_process = false;
    a = apply(&w, 43, 1, "x");
    assert_int_equal(only_output(&a, "1").horizon, rovei_sketch_of(42) | rovei_sketch_of(43));
    rovei_applied_fini(&a);
    close_world(&w);
}

static void test_output_limits(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    w.t.env.limits.event_max = 999;
    assert_ok(rovei_cell_activate(w.cell));
    w.control.outputs = 2;
    w.control.output_bytes = 1000;
    rovei_applied a = apply(&w, 42, 1, "x");
    assert_int_equal(a.err, ROVE_E_TOO_LARGE);
    assert_null(a.outputs);
    w.t.env.limits.event_max = 1000;
    a = apply(&w, 42, 2, "x");
    assert_int_equal(a.err, ROVE_OK);
    rovei_applied_fini(&a);
    w.t.env.limits.outputs_max = 4096;
    w.control.outputs = 5;
    a = apply(&w, 42, 3, "x");
    assert_int_equal(a.err, ROVE_E_TOO_LARGE);
    assert_int_equal(rovei_cell_head(w.cell).sequence, 2);
    close_world(&w);
}

static void test_horizon_bound(void **state)
{
    (void)state;
    world w;
    *(&w) = (world){.control.outputs = 1};
    test_env_init(&w.t, 7);
    w.t.env.limits.horizon_origins = 3;
    assert_ok(rovei_keypair_generate(&w.key, &w.t.env));
    w.cell = make(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (uint64_t origin = 1; origin <= 3; origin++) {
        rovei_applied a = apply(&w, origin, 1, "x");
        assert_int_equal(a.err, ROVE_OK);
        rovei_applied_fini(&a);
    }
    rovei_applied a = apply(&w, 4, 1, "x");
    assert_int_equal(a.err, ROVE_E_HORIZON_FULL);
    assert_int_equal(w.control.processed, 3); /* process was not called */
    a = apply(&w, 3, 2, "x");
    assert_int_equal(a.err, ROVE_OK);
    rovei_applied_fini(&a);
    close_world(&w);
}

static void test_states_refuse(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    rovei_cell_event ev = event_of(1, 1, "x");
    rovei_applied a;
    rovei_image image;
    rove_buf *text;
    uint64_t n;
    assert_false(rovei_cell_apply(w.cell, 0, &ev, &a));
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &n), ROVE_E_NOT_READY);
    assert_int_equal(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text), ROVE_E_WRONG_PHASE);
    assert_int_equal(rovei_cell_thaw(w.cell, &attempt_1), ROVE_E_WRONG_PHASE);
    assert_int_equal(rovei_cell_commit(w.cell, &attempt_1, &n), ROVE_E_WRONG_PHASE);
    assert_ok(rovei_cell_activate(w.cell));
    assert_int_equal(rovei_cell_activate(w.cell), ROVE_E_WRONG_PHASE);
    assert_int_equal(rovei_cell_commit(w.cell, &attempt_1, &n), ROVE_E_WRONG_PHASE);
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    rovei_image_fini(&image);
    assert_int_equal(rovei_cell_thaw(w.cell, &attempt_2), ROVE_E_WRONG_PHASE);
    assert_int_equal(rovei_cell_commit(w.cell, &attempt_2, &n), ROVE_E_WRONG_PHASE);
    assert_ok(rovei_cell_commit(w.cell, &attempt_1, &n));
    assert_int_equal(n, 0);
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &n), ROVE_E_MOVED);
    rovei_cell_aside(w.cell, ROVE_E_SUPERSEDED);
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &n), ROVE_E_SUPERSEDED);
    rovei_cell_close(w.cell);
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &n), ROVE_E_STALE);
    assert_int_equal(w.control.processed, 0);
    close_world(&w);
}

/* Diverts events of the numbers from `first`; the waiter of number n is &waiters[n]. */
static int waiters[16];
static void divert(world *w, uint64_t first, uint64_t count)
{
    for (uint64_t n = first; n < first + count; n++) {
        rovei_cell_event ev = event_of(9, n, "diverted");
        rovei_applied a;
        uint64_t number = 0;
        assert_int_equal(rovei_cell_deliver(w->cell, 5, &ev, &waiters[n], &a, &number),
                         ROVE_E_DIVERTED);
        assert_int_equal(number, n);
        const rovei_cell_event *kept = rovei_cell_diverted(w->cell, n);
        assert_non_null(kept);
        assert_span(kept->payload, "diverted", 8);
        assert_ptr_not_equal(kept->payload.data, ev.payload.data);
    }
}

static void test_freeze_and_thaw(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (int round = 0; round < 2; round++) {
        const rovei_attempt_id *attempt = round ? &attempt_2 : &attempt_1;
        rovei_image image;
        rove_buf *text;
        uint64_t count = rovei_cell_stats(w.cell).events_processed;
        assert_ok(rovei_cell_freeze(w.cell, 99, attempt, &image, &text));
        assert_int_equal(image.created_at, 99);
        assert_int_equal(image.events_processed, count);
        rovei_image_fini(&image);
        divert(&w, 1, 3);
        rovei_cell_check(w.cell);
        rovei_cell_event ev = event_of(9, 9, "lane");
        rovei_applied a;
        assert_false(rovei_cell_apply(w.cell, 5, &ev, &a)); /* lanes are held back */
        assert_int_equal(rovei_cell_stats(w.cell).events_processed, count);
        assert_ok(rovei_cell_thaw(w.cell, attempt));
        uint64_t number;
        assert_int_equal(rovei_cell_deliver(w.cell, 5, &ev, NULL, &a, &number), ROVE_E_BUSY);
        void *waiter;
        for (int n = 1; n <= 3; n++) {
            assert_true(rovei_cell_thaw_next(w.cell, 6, &waiter, &ev, &a));
            assert_ptr_equal(waiter, &waiters[n]);
            assert_int_equal(ev.link.sequence, n);
            assert_int_equal(a.index, count + (uint64_t)n);
            rovei_applied_fini(&a);
        }
        assert_false(rovei_cell_thaw_next(w.cell, 6, &waiter, &ev, &a));
        assert_int_equal(rovei_cell_state_of(w.cell), ROVEI_CELL_SERVING);
        a = apply(&w, 9, 10, "x");
        rovei_applied_fini(&a);
    }
    close_world(&w);
}

/* For a next host that takes no diverted events: nothing is accepted, so nothing can be lost. */
static void test_quiesce(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (int round = 0; round < 2; round++) {
        const rovei_attempt_id *attempt = round ? &attempt_2 : &attempt_1;
        rovei_image image;
        rove_buf *text;
        rovei_cell_event ev = event_of(9, 9, "x");
        rovei_applied a;
        void *waiter;
        uint64_t number, count = rovei_cell_stats(w.cell).events_processed;
        assert_ok(rovei_cell_quiesce(w.cell, 99, attempt, UINT64_MAX, &image, &text));
        assert_int_equal(image.events_processed, count);
        assert_int_equal(rovei_buf_size(image.state), image.state_size);
        rovei_image_fini(&image);
        rovei_cell_check(w.cell);
        assert_int_equal(rovei_cell_quiesce(w.cell, 99, attempt, 99, &image, &text),
                         ROVE_E_WRONG_PHASE);
        assert_int_equal(rovei_cell_deliver(w.cell, 5, &ev, &waiters[1], &a, &number),
                         ROVE_E_MOVING);
        assert_false(rovei_cell_apply(w.cell, 5, &ev, &a));
        assert_int_equal(rovei_cell_stats(w.cell).events_processed, count);
        if (round) {
            assert_ok(rovei_cell_commit(w.cell, attempt, &number));
            assert_int_equal(number, 0);
            assert_int_equal(rovei_cell_deliver(w.cell, 5, &ev, NULL, &a, &number), ROVE_E_MOVED);
            break;
        }
        assert_int_equal(rovei_cell_thaw(w.cell, &attempt_2), ROVE_E_WRONG_PHASE);
        assert_ok(rovei_cell_thaw(w.cell, attempt));
        assert_false(rovei_cell_thaw_next(w.cell, 6, &waiter, &ev, &a));
        a = apply(&w, 9, 10, "x");
        rovei_applied_fini(&a);
    }
    close_world(&w);
}

static void test_commit_and_results(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    rovei_image_fini(&image);
    divert(&w, 1, 4);
    uint64_t n;
    assert_ok(rovei_cell_commit(w.cell, &attempt_1, &n));
    assert_int_equal(n, 4);
    void *waiter;
    assert_true(rovei_cell_take_result(w.cell, 2, &waiter));
    assert_ptr_equal(waiter, &waiters[2]);
    assert_false(rovei_cell_take_result(w.cell, 2, &waiter)); /* a repeated one */
    assert_false(rovei_cell_take_result(w.cell, 0, &waiter));
    assert_false(rovei_cell_take_result(w.cell, 5, &waiter));
    int left[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        assert_true(rovei_cell_take_waiter(w.cell, &waiter));
        assert_ptr_equal(waiter, &waiters[left[i]]);
    }
    assert_false(rovei_cell_take_waiter(w.cell, &waiter));
    assert_int_equal(w.control.processed, 0);
    close_world(&w);
}

static void test_divert_bounds(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    w.t.env.limits.divert_events = 3;
    w.t.env.limits.divert_bytes = 64;
    assert_ok(rovei_cell_activate(w.cell));
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    rovei_image_fini(&image);
    divert(&w, 1, 2);
    rovei_cell_event ev = event_of(
        9, 3, "0123456789012345678901234567890123456789012345678"); /* 49: one byte above 64 */
    rovei_applied a;
    uint64_t number, events, bytes;
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &number), ROVE_E_BUFFER_FULL);
    divert(&w, 3, 1);
    ev = event_of(9, 4, "");
    assert_int_equal(rovei_cell_deliver(w.cell, 0, &ev, NULL, &a, &number), ROVE_E_BUFFER_FULL);
    rovei_cell_diverted_totals(w.cell, &events, &bytes);
    assert_int_equal(events, 3);
    assert_int_equal(bytes, 24);
    void *waiter;
    rovei_cell_aside(w.cell, ROVE_E_SUPERSEDED);
    while (rovei_cell_take_waiter(w.cell, &waiter))
        ;
    close_world(&w);
}

static void test_image_carries_everything(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (uint64_t i = 1; i <= 10; i++) {
        rovei_applied a = apply(&w, 40 + i % 3, i, "x");
        rovei_applied_fini(&a);
    }
    set_ledger(w.cell);
    rove_link head = rovei_cell_head(w.cell);
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    assert_int_equal(image.head.sequence, 10);
    assert_span(rove_buf_span(image.head_payload), "10", 2);

    rovei_cell *next = make(&w, &probe_kind);
    assert_ok(rovei_cell_restore_image(next, &image, &text));
    assert_int_equal(rovei_cell_state_of(next), ROVEI_CELL_NEW);
    assert_ok(rovei_cell_activate(next));
    assert_int_equal(rovei_cell_stats(next).subscriptions, 1);
    rovei_cell_event ev = event_of(99, 1, "x");
    rovei_applied a;
    assert_true(rovei_cell_apply(next, 0, &ev, &a));
    rove_link link = only_output(&a, "11");
    assert_ok(rovei_link_validate(&head, span_of("10"), &link, NULL));
    assert_int_equal(link.horizon, rovei_sketch_of(40) | rovei_sketch_of(41) | rovei_sketch_of(42) |
                                       rovei_sketch_of(99));
    assert_int_equal(a.index, 11);
    assert_int_equal(rovei_cell_stats(next).events_emitted, 11);
    assert_int_equal(rovei_cell_stats(next).snapshots_taken, 1);
    rovei_applied_fini(&a);
    rovei_image_fini(&image);
    rovei_cell_free(next);
    close_world(&w);
}

static void test_bad_images(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w.cell, 0, &image, &text));
    rove_buf *bad = NULL;
    assert_ok(rove_buf_new(&bad,
                           (rove_span){"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 13},
                           &w.t.env.alloc));
    rovei_image broken[4] = {image, image, image, image};
    broken[0].head.origin++;
    broken[1].ledger = bad;
    broken[2].horizon = bad;
    broken[3].state = bad;
    rove_err want[4] = {ROVE_E_ORIGIN_MISMATCH, ROVE_E_BINDINGS, ROVE_E_HORIZON_FULL,
                        ROVE_E_RESTORE_FAILED};
    for (int i = 0; i < 4; i++) {
        rovei_cell *next = make(&w, &probe_kind);
        assert_int_equal(rovei_cell_restore_image(next, &broken[i], &text), want[i]);
        if (i == 3)
            assert_span(rove_buf_span(text), "a count has 8 bytes, not 13", 27);
        rove_buf_unref(text);
        rovei_cell_free(next);
    }
    rove_buf_unref(bad);
    assert_int_equal(rovei_cell_restore_image(w.cell, &image, &text), ROVE_E_USAGE);
    rovei_image_fini(&image);
    close_world(&w);
}

/* A fork's chain begins where it is told, with the parent of the link behind it; it must be that of
 * the key. */
static void test_fork(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    rovei_cell_free(w.cell);
    rove_link begin = rovei_link_genesis(rovei_keypair_origin(w.key), 0);
    begin.parent = UINT64_C(0x41c3e2f0a26e1228);
    rove_link foreign = begin;
    foreign.origin++;
    rovei_cell_config cfg = {.env = &w.t.env,
                             .kind = &probe_kind,
                             .kind_user = &w.control,
                             .key = w.key,
                             .fork = &foreign};
    int created = w.control.created;
    rovei_cell *untouched = NULL;
    assert_int_equal(rovei_cell_new(&untouched, &cfg), ROVE_E_ORIGIN_MISMATCH);
    assert_null(untouched);
    assert_int_equal(w.control.created, created);
    cfg.fork = &begin;
    assert_ok(rovei_cell_new(&w.cell, &cfg));
    assert_ok(rovei_cell_activate(w.cell));
    rovei_applied a = apply(&w, 42, 1, "x");
    rove_link first = only_output(&a, "1");
    assert_int_equal(first.sequence, 1);
    assert_ok(rovei_link_validate(&begin, span_of(""), &first, NULL));
    rovei_applied_fini(&a);
    close_world(&w);
}

static void test_snapshot_bytes_restore(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (uint64_t i = 1; i <= 3; i++) {
        rovei_applied a = apply(&w, 40, i, "x");
        rovei_applied_fini(&a);
    }
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w.cell, 77, &image, &text));
    rovei_snapshot s = {.entity = *rovei_keypair_entity(w.key),
                        .through_seq = 3,
                        .link = image.head,
                        .created_at = 77,
                        .state = rove_buf_span(image.state)};
    rovei_cell *next = make(&w, &probe_kind);
    assert_ok(rovei_cell_restore_snapshot(next, &s, &text));
    assert_ok(rovei_cell_activate(next));
    assert_int_equal(rovei_cell_stats(next).events_processed, 0);
    rovei_cell_event ev = event_of(99, 1, "x");
    rovei_applied a;
    assert_true(rovei_cell_apply(next, 0, &ev, &a));
    rove_link link = only_output(&a, "4");
    /* The format has no head payload: the state stands in for it, and the real one does not fit. */
    assert_ok(rovei_link_validate(&s.link, s.state, &link, NULL));
    assert_int_equal(rovei_link_validate(&s.link, span_of("3"), &link, NULL),
                     ROVE_E_PARENT_MISMATCH);
    assert_int_equal(link.horizon, rovei_sketch_of(99));
    rovei_applied_fini(&a);
    rovei_cell_free(next);

    uint8_t junk[13];
    memset(junk, 0xFF, sizeof junk);
    rovei_snapshot bad = s;
    bad.bindings = (rove_span){junk, sizeof junk};
    next = make(&w, &probe_kind);
    assert_int_equal(rovei_cell_restore_snapshot(next, &bad, &text), ROVE_E_BINDINGS);
    rovei_cell_free(next);
    /* Another entity with the same origin hash is another entity. */
    bad = s;
    bad.entity.bytes[31] ^= 1;
    next = make(&w, &probe_kind);
    assert_int_equal(rovei_cell_restore_snapshot(next, &bad, &text), ROVE_E_SNAPSHOT_IDENTITY);
    rovei_cell_free(next);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_stateless(void **state)
{
    (void)state;
    world w;
    open_world(&w, &stateless_kind);
    assert_ok(rovei_cell_activate(w.cell));
    assert_true(rovei_cell_is_stateless(w.cell));
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    assert_null(image.state);
    assert_int_equal(rovei_cell_stats(w.cell).snapshots_taken, 0);
    rovei_cell *next = make(&w, &stateless_kind);
    assert_ok(rovei_cell_restore_image(next, &image, &text)); /* nothing is always accepted */
    rovei_cell_free(next);
    assert_ok(rove_buf_new(&image.state, span_of("twenty-three bytes long"), &w.t.env.alloc));
    next = make(&w, &stateless_kind);
    assert_int_equal(rovei_cell_restore_image(next, &image, &text), ROVE_E_RESTORE_FAILED);
    const char *want = "a stateless daemon cannot take a state of 23 bytes";
    assert_span(rove_buf_span(text), want, strlen(want));
    rove_buf_unref(text);
    rovei_cell_free(next);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_failing_snapshot_goes_on_serving(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    w.control.fail_snapshot = true;
    rovei_image image;
    rove_buf *text;
    assert_int_equal(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text),
                     ROVE_E_SNAPSHOT_FAILED);
    assert_span(rove_buf_span(text), "not now", 7);
    rove_buf_unref(text);
    w.control.fail_snapshot = false;
    w.t.env.limits.state_max = 7;
    assert_int_equal(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text), ROVE_E_TOO_LARGE);
    assert_int_equal(rovei_cell_state_of(w.cell), ROVEI_CELL_SERVING);
    rovei_applied a = apply(&w, 1, 1, "x");
    rovei_applied_fini(&a);
    close_world(&w);
}

/* ---- a kind that only has the streamed form ---- */

static rove_err stream_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    (void)ctx;
    *ret = self;
    *ret_size = sizeof(uint64_t);
    ((probe *)self)->control->arg = NULL;
    return ROVE_OK;
}

static rove_err stream_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    probe *p = stream;
    (void)size;
    size_t at = (size_t)(uintptr_t)p->control->arg;
    if (at < sizeof p->count)
        memcpy(room, (uint8_t *)&p->count + at, 1); /* a byte at a time */
    *ret_size = at < sizeof p->count;
    p->control->arg = (void *)(uintptr_t)(at + 1);
    return ROVE_OK;
}

static void stream_close(void *stream)
{
    ((probe *)stream)->control->arg = NULL;
}

static rove_err take_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    if (size != sizeof(uint64_t))
        return rove_fail(ctx, "wrong size");
    *ret = self;
    return ROVE_OK;
}

static rove_err take_write(void *stream, rove_span bytes)
{
    memcpy(&((probe *)stream)->count, bytes.data, bytes.size);
    return ROVE_OK;
}

static rove_err take_close(void *stream, rove_ctx *ctx, bool complete)
{
    (void)stream;
    (void)ctx;
    return complete ? ROVE_OK : ROVE_E_IO;
}

static void test_streamed_form(void **state)
{
    (void)state;
    rove_kind kind = probe_kind;
    kind.snapshot = NULL;
    kind.restore = NULL;
    kind.snapshot_open = stream_open;
    kind.snapshot_read = stream_read;
    kind.snapshot_close = stream_close;
    kind.restore_open = take_open;
    kind.restore_write = take_write;
    assert_int_equal(rovei_kind_check(&kind), ROVE_E_USAGE); /* half of it */
    kind.restore_close = take_close;
    assert_ok(rovei_kind_check(&kind));
    world w;
    open_world(&w, &kind);
    assert_ok(rovei_cell_activate(w.cell));
    for (uint64_t i = 1; i <= 3; i++) {
        rovei_applied a = apply(&w, 1, i, "x");
        rovei_applied_fini(&a);
    }
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_freeze(w.cell, 0, &attempt_1, &image, &text));
    uint64_t three = 3;
    assert_span(rove_buf_span(image.state), &three, sizeof three);
    rovei_cell *next = make(&w, &kind);
    assert_ok(rovei_cell_restore_image(next, &image, &text));
    assert_int_equal(((probe *)rovei_cell_instance(next))->count, 3);
    rovei_cell_free(next);
    rovei_image_fini(&image);
    close_world(&w);
}

/* ---- the context ---- */

static rove_err use_context(probe_control *c, rove_ctx *ctx, const rove_event *event)
{
    (void)event;
    uint8_t signature[64];
    assert_int_equal(rove_write(ctx, span_of("x")), ROVE_E_USAGE);
    assert_int_equal(rove_reserve(ctx, 1), ROVE_E_USAGE);
    c->sign_err = rove_sign(ctx, span_of("message"), signature);
    if (c->sign_err == ROVE_OK)
        assert_ok(rovei_ed25519_verify(rove_self(ctx), signature, "message", 7));
    return ROVE_OK;
}

static void test_context_and_public_only_key(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    w.control.during = use_context;
    rovei_applied a = apply(&w, 1, 1, "x");
    rovei_applied_fini(&a);
    assert_int_equal(w.control.sign_err, ROVE_OK);
    rovei_cell_free(w.cell);
    rove_entity entity = *rovei_keypair_entity(w.key);
    rovei_keypair_unref(w.key);
    assert_ok(rovei_keypair_public_only(&w.key, &w.t.env, &entity));
    w.cell = make(&w, &probe_kind);
    assert_ok(rovei_cell_activate(w.cell));
    a = apply(&w, 1, 1, "x");
    rovei_applied_fini(&a);
    assert_int_equal(w.control.sign_err, ROVE_E_READ_ONLY);
    close_world(&w);
}

static rove_health health_of(void *self, const char **ret_reason)
{
    (void)self;
    *ret_reason = "tired";
    return ROVE_DEGRADED;
}

static double saturation_of(void *self)
{
    (void)self;
    return 7.0;
}

static rove_control seen_control;
static void take_control(void *self, const rove_control *control)
{
    (void)self;
    seen_control = *control;
}

static void test_health_saturation_control(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    const char *reason;
    rove_control shutdown = {.kind = ROVE_CONTROL_SHUTDOWN, .grace_ms = 5000};
    assert_int_equal(rovei_cell_health(w.cell, &reason), ROVE_HEALTHY);
    assert_true(rovei_cell_saturation(w.cell) == 0.0);
    rovei_cell_control(w.cell, &shutdown); /* no function: nothing happens */
    close_world(&w);
    rove_kind kind = probe_kind;
    kind.health = health_of;
    kind.saturation = saturation_of;
    kind.control = take_control;
    open_world(&w, &kind);
    assert_int_equal(rovei_cell_health(w.cell, &reason), ROVE_DEGRADED);
    assert_string_equal(reason, "tired");
    assert_true(rovei_cell_saturation(w.cell) == 1.0);
    rovei_cell_control(w.cell, &shutdown);
    assert_int_equal(seen_control.grace_ms, 5000);
    close_world(&w);
}

static void test_requirements(void **state)
{
    (void)state;
    static const char *const must[] = {"hardware.gpu", "rove:zone:a", NULL};
    static const char *const should[] = {"hardware.memory", NULL};
    rove_kind kind = probe_kind;
    assert_null(rovei_kind_requirements(&kind)[0]);
    assert_null(rovei_kind_preferences(&kind)[0]);
    kind.requirements = must;
    assert_ptr_equal(rovei_kind_requirements(&kind), must);
    assert_null(rovei_kind_preferences(&kind)[0]);
    kind.preferences = should;
    assert_string_equal(rovei_kind_preferences(&kind)[0], "hardware.memory");
}

static void test_kind_check(void **state)
{
    (void)state;
    assert_int_equal(rovei_kind_check(NULL), ROVE_E_ABI);
    rove_kind kind = probe_kind;
    assert_ok(rovei_kind_check(&kind));
    kind.abi++;
    assert_int_equal(rovei_kind_check(&kind), ROVE_E_ABI);
    kind = probe_kind;
    kind.size--;
    assert_int_equal(rovei_kind_check(&kind), ROVE_E_ABI);
    kind = probe_kind;
    kind.process = NULL;
    assert_int_equal(rovei_kind_check(&kind), ROVE_E_USAGE);
    const char *bad[] = {NULL, "", "a b", "a/b", "caf\xC3\xA9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kind = probe_kind;
        kind.name = bad[i];
        assert_int_equal(rovei_kind_check(&kind), ROVE_E_USAGE);
    }
    char name[ROVE_KIND_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[ROVE_KIND_NAME_MAX + 1] = '\0';
    assert_false(rovei_kind_name_check(name));
    name[ROVE_KIND_NAME_MAX] = '\0';
    assert_true(rovei_kind_name_check(name));
}

/* ---- out of memory ---- */

static rove_err whole_life(world *w)
{
    rovei_cell_config cfg = {
        .env = &w->t.env, .kind = &probe_kind, .kind_user = &w->control, .key = w->key};
    rovei_cell *cell;
    rove_err err = rovei_cell_new(&cell, &cfg);
    if (err)
        return err;
    assert_ok(rovei_cell_activate(cell));
    rovei_cell_event ev = event_of(1, 1, "x");
    rovei_applied a;
    assert_true(rovei_cell_apply(cell, 0, &ev, &a));
    err = a.err;
    rovei_applied_fini(&a);
    rovei_image image = {0};
    rove_buf *text = NULL;
    if (err == ROVE_OK)
        err = rovei_cell_freeze(cell, 0, &attempt_1, &image, &text);
    uint64_t number;
    if (err == ROVE_OK) {
        err = rovei_cell_deliver(cell, 0, &ev, NULL, &a, &number);
        err = err == ROVE_E_DIVERTED ? ROVE_OK : err;
    }
    rovei_cell *next = NULL;
    if (err == ROVE_OK)
        err = rovei_cell_new(&next, &cfg);
    if (err == ROVE_OK)
        err = rovei_cell_restore_image(next, &image, &text);
    rove_buf_unref(text);
    rovei_image_fini(&image);
    rovei_cell_free(next);
    void *waiter;
    while (rovei_cell_take_waiter(cell, &waiter))
        ;
    rovei_cell_check(cell);
    rovei_cell_free(cell);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    world w;
    open_world(&w, &probe_kind);
    SWEEP_NOMEM(&w.t.alloc, whole_life(&w));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_form_a_chain),
        cmocka_unit_test(test_several_outputs_and_none),
        cmocka_unit_test(test_process_error_is_an_outcome),
        cmocka_unit_test(test_output_limits),
        cmocka_unit_test(test_horizon_bound),
        cmocka_unit_test(test_states_refuse),
        cmocka_unit_test(test_freeze_and_thaw),
        cmocka_unit_test(test_quiesce),
        cmocka_unit_test(test_commit_and_results),
        cmocka_unit_test(test_divert_bounds),
        cmocka_unit_test(test_image_carries_everything),
        cmocka_unit_test(test_bad_images),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_snapshot_bytes_restore),
        cmocka_unit_test(test_stateless),
        cmocka_unit_test(test_failing_snapshot_goes_on_serving),
        cmocka_unit_test(test_streamed_form),
        cmocka_unit_test(test_context_and_public_only_key),
        cmocka_unit_test(test_health_saturation_control),
        cmocka_unit_test(test_kind_check),
        cmocka_unit_test(test_requirements),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
