/* SPDX-License-Identifier: Apache-2.0
 *
 * The example kinds, each run in a cell as a node runs it. */
#include "support.h"
#include <host/cell.h>
#include <stdio.h>

#undef ROVE_KIND_MAIN
#define ROVE_KIND_MAIN echo_kind
#include "echo.c"
#undef ROVE_KIND_MAIN
#define ROVE_KIND_MAIN counter_kind
#include "counter.c"
#undef ROVE_KIND_MAIN
#define ROVE_KIND_MAIN wordcount_kind
#include "wordcount.c"

typedef struct world {
    test_env t;
    rovei_keypair *key;
    rovei_cell *cell;
    uint64_t sequence;
} world;

static rovei_cell *make(world *w, const rove_kind *kind)
{
    rovei_cell_config cfg = {.env = &w->t.env, .kind = kind, .key = w->key};
    rovei_cell *cell = NULL;
    assert_ok(rovei_kind_check(kind));
    assert_ok(rovei_cell_new(&cell, &cfg));
    return cell;
}

static void open_world(world *w, const rove_kind *kind)
{
    *w = (world){0};
    test_env_init(&w->t, 5);
    assert_ok(rovei_keypair_generate(&w->key, &w->t.env));
    w->cell = make(w, kind);
    assert_ok(rovei_cell_activate(w->cell));
}

static void close_world(world *w)
{
    rovei_cell_free(w->cell);
    rovei_keypair_unref(w->key);
    test_env_fini(&w->t);
}

/* One event with exactly one output, which has to be `want`. */
static void expect(world *w, rove_span event, rove_span want)
{
    rovei_cell_event ev = {{1, 0, ++w->sequence, 0}, event, NULL};
    rovei_applied a;
    assert_true(rovei_cell_apply(w->cell, 0, &ev, &a));
    assert_int_equal(a.err, ROVE_OK);
    assert_int_equal(a.output_count, 1);
    rovei_reader r = rovei_reader_of(rove_buf_span(a.outputs));
    rove_link link;
    rove_span payload;
    assert_true(rovei_event_frame_read(&r, &link, &payload));
    assert_span(payload, want.data, want.size);
    rovei_applied_fini(&a);
}

static void expect_words(world *w, rove_span line, uint64_t words)
{
    char want[64];
    snprintf(want, sizeof want, "%" PRIu64 " %" PRIu64, w->sequence + 1, words);
    expect(w, line, span_of(want));
}

/* Puts the cell's state into a fresh one, which takes its place. */
static void carry_over(world *w)
{
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w->cell, 0, &image, &text));
    rovei_cell *next = make(w, rovei_cell_kind(w->cell));
    assert_ok(rovei_cell_restore_image(next, &image, &text));
    assert_ok(rovei_cell_activate(next));
    rovei_image again;
    assert_ok(rovei_cell_image(next, 0, &again, &text));
    assert_span(rove_buf_span(again.state), rove_buf_span(image.state).data,
                rove_buf_span(image.state).size);
    rovei_image_fini(&again);
    rovei_image_fini(&image);
    rovei_cell_free(w->cell);
    w->cell = next;
}

static rove_err restore_bytes(world *w, const rove_kind *kind, rove_span state)
{
    rovei_cell *cell = make(w, kind);
    rovei_image image = {.head = rovei_cell_head(cell)};
    assert_ok(rove_buf_new(&image.state, state, &w->t.env.alloc));
    rove_buf *text;
    rove_err err = rovei_cell_restore_image(cell, &image, &text);
    assert_int_equal(text != NULL, err == ROVE_E_RESTORE_FAILED);
    rove_buf_unref(text);
    rovei_image_fini(&image);
    rovei_cell_free(cell);
    return err;
}

static void test_echo(void **state)
{
    (void)state;
    world w;
    open_world(&w, echo_kind());
    expect(&w, span_of("hello"), span_of("hello"));
    expect(&w, (rove_span){NULL, 0}, (rove_span){NULL, 0});
    expect(&w, (rove_span){"\0\xFF", 2}, (rove_span){"\0\xFF", 2});
    assert_true(rovei_cell_is_stateless(w.cell));
    close_world(&w);
}

static void test_counter(void **state)
{
    (void)state;
    world w;
    open_world(&w, counter_kind());
    for (int i = 1; i <= 300; i++) {
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        expect(&w, span_of("anything"), span_of(want));
        if (i % 100 == 0)
            carry_over(&w);
    }
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w.cell, 0, &image, &text));
    assert_span(rove_buf_span(image.state), "\x2C\x01\0\0\0\0\0\0", 8);
    rovei_image_fini(&image);
    assert_int_equal(restore_bytes(&w, counter_kind(), span_of("1234567")), ROVE_E_RESTORE_FAILED);
    assert_int_equal(restore_bytes(&w, counter_kind(), span_of("")), ROVE_E_RESTORE_FAILED);
    close_world(&w);
}

static uint64_t count_of(world *w, const char *word)
{
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w->cell, 0, &image, &text));
    rove_span rest = rove_buf_span(image.state), at;
    uint64_t count, found = 0;
    while (wordcount_next(&rest, &at, &count))
        if (at.size == strlen(word) && memcmp(at.data, word, at.size) == 0)
            found += count;
    assert_int_equal(rest.size, 0);
    rovei_image_fini(&image);
    return found;
}

static void test_wordcount(void **state)
{
    (void)state;
    world w;
    open_world(&w, wordcount_kind());
    expect_words(&w, span_of("The quick brown fox; the QUICK one."), 7);
    expect_words(&w, span_of(""), 0);
    expect_words(&w, span_of("  12 345 -- \xC3\xA9 \xFF"), 0);
    expect_words(&w, (rove_span){"a\0b", 3}, 2);
    expect_words(&w, span_of("caf\xC3\xA9s"), 2); /* letters of other alphabets divide */
    assert_int_equal(count_of(&w, "the"), 2);
    assert_int_equal(count_of(&w, "quick"), 2);
    assert_int_equal(count_of(&w, "caf"), 1);
    assert_int_equal(count_of(&w, "s"), 1);
    assert_int_equal(count_of(&w, "The"), 0);
    carry_over(&w);
    expect_words(&w, span_of("the"), 1);
    assert_int_equal(count_of(&w, "the"), 3);
    /* One word as long as an event may be. */
    size_t size = 1 << 20;
    char *line = malloc(size + 1);
    assert_non_null(line);
    memset(line, 'Z', size);
    expect_words(&w, (rove_span){line, size}, 1);
    memset(line, 'z', size);
    line[size] = '\0';
    assert_int_equal(count_of(&w, line), 1);
    free(line);
    close_world(&w);
}

static bool letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void test_wordcount_any_bytes(void **state)
{
    (void)state;
    world w;
    open_world(&w, wordcount_kind());
    uint64_t random = 1, total = 0;
    static uint8_t line[6000];
    for (int round = 0; round < 400; round++) {
        size_t size = (size_t)below(&random, round % 50 ? 200 : sizeof line);
        random_bytes(&random, line, size);
        if (round % 3 == 0) /* mostly letters */
            for (size_t i = 0; i < size; i++)
                line[i] = (uint8_t)("abcABC "[line[i] % 7]);
        uint64_t words = 0;
        for (size_t i = 0; i < size; i++)
            words += letter(line[i]) && (i == 0 || !letter(line[i - 1]));
        expect_words(&w, (rove_span){line, size}, words);
        total += words;
        if (round % 100 == 0)
            carry_over(&w);
    }
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(w.cell, 0, &image, &text));
    rove_span rest = rove_buf_span(image.state), word;
    uint64_t count, sum = 0;
    while (wordcount_next(&rest, &word, &count))
        sum += count;
    assert_int_equal(sum, total);
    rovei_image_fini(&image);
    close_world(&w);
}

static void test_wordcount_bad_states(void **state)
{
    (void)state;
    world w;
    open_world(&w, wordcount_kind());
    const uint8_t whole[] = {5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'h', 'i'};
    assert_ok(restore_bytes(&w, wordcount_kind(), (rove_span){whole, sizeof whole}));
    assert_ok(restore_bytes(&w, wordcount_kind(), (rove_span){NULL, 0}));
    for (size_t size = 1; size < sizeof whole; size++)
        assert_int_equal(restore_bytes(&w, wordcount_kind(), (rove_span){whole, size}),
                         ROVE_E_RESTORE_FAILED);
    uint8_t bad[sizeof whole];
    memcpy(bad, whole, sizeof bad);
    bad[8] = 0; /* an empty word */
    assert_int_equal(restore_bytes(&w, wordcount_kind(), (rove_span){bad, sizeof bad}),
                     ROVE_E_RESTORE_FAILED);
    memset(bad + 8, 0xFF, 4);
    assert_int_equal(restore_bytes(&w, wordcount_kind(), (rove_span){bad, sizeof bad}),
                     ROVE_E_RESTORE_FAILED);
    close_world(&w);
}

/* ---- wordcount's state as a stream ---- */

static rove_kind wordcount_form(bool streamed)
{
    rove_kind kind = *wordcount_kind();
    if (streamed) {
        kind.snapshot = NULL;
        kind.restore = NULL;
    } else {
        kind.snapshot_open = NULL;
        kind.snapshot_read = NULL;
        kind.snapshot_close = NULL;
        kind.restore_open = NULL;
        kind.restore_write = NULL;
        kind.restore_close = NULL;
    }
    return kind;
}

static void count_line_of(world *w, uint64_t *random)
{
    char line[64];
    size_t size = 0;
    for (int i = 0; i < 8; i++) {
        for (uint64_t n = 1 + below(random, 3); n; n--)
            line[size++] = (char)('a' + below(random, 26));
        line[size++] = ' ';
    }
    rovei_cell_event ev = {{1, 0, ++w->sequence, 0}, {line, size}, NULL};
    rovei_applied a;
    assert_true(rovei_cell_apply(w->cell, 0, &ev, &a));
    assert_int_equal(a.err, ROVE_OK);
    rovei_applied_fini(&a);
}

static rove_buf *state_of(rovei_cell *cell)
{
    rovei_image image;
    rove_buf *text;
    assert_ok(rovei_cell_image(cell, 0, &image, &text));
    rove_buf *state = rove_buf_ref(image.state);
    rovei_image_fini(&image);
    return state;
}

/* Both forms have the same bytes; and what a stream reads is what was when it was opened, however
 * much is counted in between. */
static void test_wordcount_stream_is_fixed(void **state)
{
    (void)state;
    world w;
    rove_kind whole = wordcount_form(false), streamed = wordcount_form(true);
    uint64_t random = 3;
    open_world(&w, &whole);
    for (int i = 0; i < 2000; i++)
        count_line_of(&w, &random);
    rove_buf *first = state_of(w.cell);
    rovei_cell *cell = w.cell;
    w.cell = make(&w, &streamed);
    rove_buf *text;
    rovei_image image = {.head = rovei_cell_head(cell), .state = first};
    assert_ok(rovei_cell_restore_image(w.cell, &image, &text));
    assert_ok(rovei_cell_activate(w.cell));
    rovei_cell_free(cell);

    rovei_state_reader *r[3];
    rove_buf *want[3];
    uint8_t *have[3];
    for (size_t i = 0; i < 3; i++) {
        want[i] = state_of(w.cell);
        assert_ok(rovei_state_open(w.cell, &r[i], &text));
        assert_int_equal(rovei_state_size(r[i]), rovei_buf_size(want[i]));
        have[i] = malloc(rovei_buf_size(want[i]));
        assert_non_null(have[i]);
        count_line_of(&w, &random);
    }
    assert_span(rove_buf_span(want[0]), rove_buf_span(first).data, rovei_buf_size(first));
    size_t at[3] = {0};
    for (bool more = true; more; count_line_of(&w, &random)) {
        more = false;
        for (size_t i = 0; i < 3; i++) {
            size_t left = rovei_buf_size(want[i]) - at[i];
            size_t part = 1 + (size_t)below(&random, 400 * (i + 1));
            part = part < left ? part : left;
            assert_ok(rovei_state_read(r[i], have[i] + at[i], part));
            at[i] += part;
            more |= part < left;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        assert_span(rove_buf_span(want[i]), have[i], at[i]);
        rovei_state_close(r[i]);
        rove_buf_unref(want[i]);
        free(have[i]);
    }
    rove_buf_unref(first);
    close_world(&w);
}

/* In pieces of any size it restores what it would as a whole, or fails as that does. */
static rove_err restore_pieces(world *w, const rove_kind *kind, rove_span state, size_t step,
                               rove_buf **ret)
{
    rovei_cell *cell = make(w, kind);
    rovei_image image = {.head = rovei_cell_head(cell), .state_size = state.size};
    rove_buf *text = NULL;
    rove_err err = rovei_cell_restore_begin(cell, state.size, &text);
    for (size_t i = 0; i < state.size && !err; i += step) {
        size_t part = state.size - i < step ? state.size - i : step;
        err = rovei_cell_restore_write(cell, (rove_span){(const uint8_t *)state.data + i, part});
    }
    if (!err)
        err = rovei_cell_restore_image(cell, &image, &text);
    rove_buf_unref(text);
    if (!err) {
        assert_ok(rovei_cell_activate(cell));
        *ret = state_of(cell);
    }
    rovei_cell_free(cell);
    return err;
}

static void test_wordcount_takes_a_stream(void **state)
{
    (void)state;
    world w;
    rove_kind streamed = wordcount_form(true);
    uint64_t random = 4;
    open_world(&w, &streamed);
    for (int i = 0; i < 100; i++)
        count_line_of(&w, &random);
    rove_buf *want = state_of(w.cell), *got;
    rove_span bytes = rove_buf_span(want);
    for (size_t step = 1; step < 40; step++) {
        assert_ok(restore_pieces(&w, &streamed, bytes, step, &got));
        assert_span(rove_buf_span(got), bytes.data, bytes.size);
        rove_buf_unref(got);
    }
    const uint8_t one[] = {5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'h', 'i'};
    for (size_t step = 1; step <= sizeof one; step++) {
        uint8_t bad[sizeof one];
        for (size_t size = 1; size < sizeof one; size++)
            assert_int_equal(restore_pieces(&w, &streamed, (rove_span){one, size}, step, &got),
                             ROVE_E_RESTORE_FAILED);
        memcpy(bad, one, sizeof bad);
        bad[8] = 0; /* an empty word */
        assert_int_equal(restore_pieces(&w, &streamed, (rove_span){bad, sizeof bad}, step, &got),
                         ROVE_E_RESTORE_FAILED);
        memset(bad + 8, 0xFF, 4);
        assert_int_equal(restore_pieces(&w, &streamed, (rove_span){bad, sizeof bad}, step, &got),
                         ROVE_E_RESTORE_FAILED);
    }
    rove_buf_unref(want);
    close_world(&w);
}

/* A count that cannot be kept aside fails the reader, never the event. */
static void test_wordcount_reader_without_memory(void **state)
{
    (void)state;
    world w;
    rove_kind streamed = wordcount_form(true);
    open_world(&w, &streamed);
    expect_words(&w, span_of("one two"), 2);
    rovei_state_reader *r;
    rove_buf *text;
    uint8_t byte;
    assert_ok(rovei_state_open(w.cell, &r, &text));
    w.t.alloc.calls = 0;
    w.t.alloc.fail_at = 0;
    rovei_cell_event ev = {{1, 0, ++w.sequence, 0}, span_of("two"), NULL};
    rovei_applied a;
    assert_true(rovei_cell_apply(w.cell, 0, &ev, &a));
    w.t.alloc.fail_at = SIZE_MAX;
    assert_int_equal(a.err, ROVE_OK);
    rovei_applied_fini(&a);
    assert_int_equal(rovei_state_read(r, &byte, 1), ROVE_E_SNAPSHOT_FAILED);
    rovei_state_close(r);
    assert_int_equal(count_of(&w, "two"), 2);
    close_world(&w);
}

/* Refuses each allocation in turn; an event that fails for want of memory is an outcome. */
static rove_err count_some(world *w)
{
    rovei_cell_config cfg = {.env = &w->t.env, .kind = wordcount_kind(), .key = w->key};
    rovei_cell *cell;
    rove_err err = rovei_cell_new(&cell, &cfg);
    if (err)
        return err;
    assert_ok(rovei_cell_activate(cell));
    for (uint64_t i = 1; i <= 80 && err == ROVE_OK; i++) {
        char line[32];
        int size = snprintf(line, sizeof line, "%c%c and more", (char)('a' + i % 26),
                            (char)('a' + i / 26));
        rovei_cell_event ev = {{1, 0, i, 0}, {line, (size_t)size}, NULL};
        rovei_applied a;
        assert_true(rovei_cell_apply(cell, 0, &ev, &a));
        err = a.err ? ROVE_E_NOMEM : ROVE_OK;
        rovei_applied_fini(&a);
    }
    rovei_cell_free(cell);
    return err;
}

static void test_wordcount_out_of_memory(void **state)
{
    (void)state;
    world w;
    open_world(&w, wordcount_kind());
    SWEEP_NOMEM(&w.t.alloc, count_some(&w));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_wordcount),
        cmocka_unit_test(test_wordcount_any_bytes),
        cmocka_unit_test(test_wordcount_bad_states),
        cmocka_unit_test(test_wordcount_stream_is_fixed),
        cmocka_unit_test(test_wordcount_takes_a_stream),
        cmocka_unit_test(test_wordcount_reader_without_memory),
        cmocka_unit_test(test_wordcount_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
