/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of a core without any disk: what leaves as a batch and when, who is told what, a
 * store that is full for a while, and one that fails for good. */
#include "support.h"

#include <durable/batch.h>
#include <durable/journal.h>
#include <node/node.h>

typedef struct waiter {
    rovei_journal_wait wait;
    struct bed *bed;
    rove_err err;
    unsigned order; /* 0: not told yet */
    bool puts;      /* another record when it is told */
} waiter;

typedef struct bed {
    test_env t;
    rovei_keypair *id;
    rovei_node *node;
    rovei_journal *j;
    rovei_now now;
    unsigned told;
} bed;

static void told(rovei_journal_wait *w, rovei_now now, rove_err err)
{
    waiter *me = ROVEI_CONTAINER(w, waiter, wait);
    assert_int_equal(now.mono, me->bed->now.mono);
    me->err = err;
    me->order = ++me->bed->told;
    if (me->puts)
        assert_ok(rovei_journal_put(me->bed->j, span_of("again"), span_of("")));
}

static void await(bed *b, waiter *w, uint64_t number)
{
    *w = (waiter){.bed = b};
    assert_true(rovei_journal_await(b->j, &w->wait, number, told));
}

static int open_bed(void **state)
{
    bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    test_env_init(&b->t, 11);
    b->now = (rovei_now){.mono = 1000 * ROVE_SECOND, .wall = 1700000000 * ROVE_SECOND};
    assert_ok(rovei_keypair_generate(&b->id, &b->t.env));
    rovei_node_config cfg = {
        .env = &b->t.env, .identity = b->id, .incarnation = 1, .journal = true};
    assert_ok(rovei_node_new(&b->node, &cfg, b->now));
    b->j = rovei_node_journal(b->node);
    assert_non_null(b->j);
    *state = b;
    return 0;
}

static int close_bed(void **state)
{
    bed *b = *state;
    rovei_node_check(b->node);
    rovei_node_free(b->node);
    rovei_keypair_unref(b->id);
    test_env_fini(&b->t);
    free(b);
    return 0;
}

static void put(bed *b, const char *key)
{
    assert_ok(rovei_journal_put(b->j, span_of(key), span_of("value")));
}

/* A turn; false: no batch left. Else its number, and its first keys one after the other. */
static bool turn(bed *b, uint64_t *ret_number, char ret_keys[64])
{
    rovei_effect e;
    rovei_node_turn(b->node, b->now);
    rovei_node_check(b->node);
    if (!rovei_node_poll_effect(b->node, &e))
        return false;
    assert_int_equal(e.kind, ROVEI_EFFECT_STORE);
    *ret_number = e.number;
    size_t size = 0;
    rovei_reader r = rovei_batch_reader(rove_buf_span(e.owner));
    for (rovei_batch_op op; rovei_batch_read_op(&r, &op);)
        if (size + op.key.size < 64) {
            memcpy(ret_keys + size, op.key.data, op.key.size);
            size += op.key.size;
        }
    assert_ok(rovei_reader_end(&r));
    ret_keys[size] = '\0';
    rovei_effect_fini(&e);
    assert_false(rovei_node_poll_effect(b->node, &e));
    return true;
}

static void assert_batch(bed *b, uint64_t number, const char *keys)
{
    uint64_t got;
    char text[64];
    assert_true(turn(b, &got, text));
    assert_int_equal(got, number);
    assert_string_equal(text, keys);
}

static void assert_none(bed *b)
{
    uint64_t number;
    char text[64];
    assert_false(turn(b, &number, text));
}

static void stored(bed *b, uint64_t number, rove_err err)
{
    rovei_completion c = {.kind = ROVEI_DONE_STORED, .number = number, .err = err};
    rovei_node_complete(b->node, b->now, &c);
    rovei_node_check(b->node);
}

static void pass(bed *b, uint64_t time)
{
    b->now.mono += time;
    rovei_node_expire(b->node, b->now);
}

/* ---- groups ---- */

static void test_group(void **state)
{
    bed *b = *state;
    assert_int_equal(rovei_journal_mark(b->j), 0);
    assert_none(b);
    put(b, "a");
    assert_int_equal(rovei_journal_mark(b->j), 1);
    put(b, "b");
    assert_int_equal(rovei_journal_mark(b->j), 1);
    assert_batch(b, 1, "ab");
    /* While it is written the next one grows, over turns. */
    put(b, "c");
    assert_int_equal(rovei_journal_mark(b->j), 2);
    assert_none(b);
    assert_ok(rovei_journal_delete(b->j, span_of("d")));
    assert_ok(rovei_journal_delete_prefix(b->j, span_of("e")));
    assert_none(b);
    assert_int_equal(rovei_journal_durable(b->j), 0);
    stored(b, 1, ROVE_OK);
    assert_int_equal(rovei_journal_durable(b->j), 1);
    assert_batch(b, 2, "cde");
    assert_int_equal(rovei_journal_mark(b->j), 2);
    stored(b, 2, ROVE_OK);
    assert_none(b);
    rovei_journal_stats s = rovei_journal_stats_get(b->j);
    assert_int_equal(s.batches, 2);
    assert_int_equal(s.records, 5);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.err, ROVE_OK);
}

static void test_waiters(void **state)
{
    bed *b = *state;
    waiter w[5];
    put(b, "a");
    await(b, &w[0], 1);
    assert_batch(b, 1, "a");
    put(b, "b");
    await(b, &w[1], 2);
    await(b, &w[2], 1); /* for an earlier one, later */
    await(b, &w[3], 2);
    await(b, &w[4], 2);
    rovei_journal_stop(&w[3].wait);
    w[0].puts = true;
    stored(b, 1, ROVE_OK);
    assert_int_equal(w[0].order, 1);
    assert_int_equal(w[2].order, 2);
    assert_int_equal(b->told, 2);
    assert_false(rovei_journal_await(b->j, &w[0].wait, 1, told)); /* it is there */
    assert_batch(b, 2, "bagain");
    stored(b, 2, ROVE_OK);
    assert_int_equal(w[1].order, 3);
    assert_int_equal(w[4].order, 4);
    assert_int_equal(w[3].order, 0);
    assert_int_equal(w[1].err | w[4].err, ROVE_OK);
}

/* Completions that fit nothing change nothing. */
static void test_stray(void **state)
{
    bed *b = *state;
    stored(b, 0, ROVE_OK);
    stored(b, 1, ROVE_OK);
    put(b, "a");
    stored(b, 1, ROVE_OK); /* it has not left yet */
    assert_int_equal(rovei_journal_durable(b->j), 0);
    assert_batch(b, 1, "a");
    stored(b, 2, ROVE_OK);
    assert_int_equal(rovei_journal_durable(b->j), 0);
    stored(b, 1, ROVE_OK);
    stored(b, 1, ROVE_E_IO);
    assert_int_equal(rovei_journal_durable(b->j), 1);
    put(b, "b");
    assert_batch(b, 2, "b");
}

static void test_undo(void **state)
{
    bed *b = *state;
    rovei_journal_point none = rovei_journal_here(b->j);
    put(b, "a");
    rovei_journal_undo(b->j, none);
    assert_int_equal(rovei_journal_mark(b->j), 0);
    assert_none(b);
    put(b, "a");
    rovei_journal_point one = rovei_journal_here(b->j);
    put(b, "b");
    put(b, "c");
    rovei_journal_undo(b->j, one);
    put(b, "d");
    assert_batch(b, 1, "ad");
    stored(b, 1, ROVE_OK);
    assert_int_equal(rovei_journal_stats_get(b->j).records, 2);
}

/* ---- a store that does not take it ---- */

static void test_full_for_a_while(void **state)
{
    static const rove_err why[] = {ROVE_E_STORE_FULL, ROVE_E_STORE_MAP, ROVE_E_NOMEM};
    bed *b = *state;
    uint64_t retry = b->t.env.limits.store_retry;
    waiter w;
    put(b, "a");
    await(b, &w, 1);
    assert_batch(b, 1, "a");
    for (size_t i = 0; i < 3; i++) {
        stored(b, 1, why[i]);
        put(b, "b");
        assert_int_equal(rovei_journal_stats_get(b->j).err, why[i]);
        assert_none(b);
        pass(b, retry - 1);
        assert_none(b);
        assert_true(rovei_node_deadline(b->node) <= b->now.mono + 1);
        pass(b, 1);
        assert_batch(b, 1, "a"); /* the same again, and not what came later */
        assert_int_equal(w.order, 0);
        assert_int_equal(rovei_journal_durable(b->j), 0);
    }
    stored(b, 1, ROVE_OK);
    assert_int_equal(w.order, 1);
    assert_int_equal(w.err, ROVE_OK);
    assert_batch(b, 2, "bbb");
    assert_int_equal(rovei_journal_stats_get(b->j).refused, 3);
    stored(b, 2, ROVE_OK);
    assert_int_equal(rovei_journal_stats_get(b->j).err, ROVE_OK);
}

/* Puts until the bound refuses; gives the error. */
static rove_err fill(bed *b, rove_span value)
{
    for (;;) {
        uint64_t mark = rovei_journal_mark(b->j);
        rovei_journal_stats before = rovei_journal_stats_get(b->j);
        rove_err err = rovei_journal_put(b->j, span_of("k"), value);
        rovei_journal_stats after = rovei_journal_stats_get(b->j);
        assert_true(after.waiting <= b->t.env.limits.journal_bytes);
        if (!err)
            continue;
        assert_int_equal(after.waiting, before.waiting);
        assert_int_equal(rovei_journal_mark(b->j), mark);
        return err;
    }
}

static void test_bound(void **state)
{
    static const uint8_t value[1000];
    bed *b = *state;
    b->t.env.limits.journal_bytes = 65536;
    rove_span v = {value, sizeof value};
    assert_int_equal(fill(b, v), ROVE_E_FULL);
    char keys[64];
    uint64_t number;
    assert_true(turn(b, &number, keys));
    assert_int_equal(fill(b, v), ROVE_E_FULL); /* what is under way counts */
    stored(b, 1, ROVE_E_STORE_FULL);
    assert_int_equal(fill(b, v), ROVE_E_STORE_FULL);
    pass(b, b->t.env.limits.store_retry);
    assert_true(turn(b, &number, keys));
    stored(b, 1, ROVE_E_STORE_MAP);
    assert_int_equal(fill(b, v), ROVE_E_STORE_MAP);
    pass(b, b->t.env.limits.store_retry);
    assert_true(turn(b, &number, keys));
    stored(b, 1, ROVE_OK);
    assert_int_equal(fill(b, v), ROVE_E_FULL);
    assert_true(turn(b, &number, keys));
    assert_int_equal(number, 2);
    stored(b, 2, ROVE_OK);
}

/* One record may be larger than the bound, when nothing else waits. */
static void test_one_always_may(void **state)
{
    static const uint8_t value[100000];
    bed *b = *state;
    b->t.env.limits.journal_bytes = 65536;
    assert_ok(rovei_journal_put(b->j, span_of("k"), (rove_span){value, sizeof value}));
    assert_int_equal(rovei_journal_put(b->j, span_of("k"), span_of("")), ROVE_E_FULL);
    assert_int_equal(rovei_journal_put(b->j, span_of(""), span_of("")), ROVE_E_BOUND);
    assert_batch(b, 1, "k");
    stored(b, 1, ROVE_OK);
}

static void test_failed_for_good(void **state)
{
    bed *b = *state;
    waiter w[3];
    put(b, "a");
    await(b, &w[0], 1);
    assert_batch(b, 1, "a");
    put(b, "b");
    await(b, &w[1], 2);
    stored(b, 1, ROVE_E_IO);
    assert_int_equal(w[0].err, ROVE_E_IO);
    assert_int_equal(w[1].err, ROVE_E_IO);
    assert_int_equal(b->told, 2);
    assert_int_equal(rovei_journal_durable(b->j), 0);
    assert_int_equal(rovei_journal_put(b->j, span_of("c"), span_of("")), ROVE_E_IO);
    await(b, &w[2], 2); /* of one that was put before, by somebody who waits only now */
    assert_none(b);
    assert_int_equal(w[2].err, ROVE_E_IO);
    pass(b, 3600 * ROVE_SECOND);
    assert_none(b);
    stored(b, 1, ROVE_OK);
    assert_int_equal(rovei_journal_durable(b->j), 0);
    assert_int_equal(rovei_journal_stats_get(b->j).err, ROVE_E_IO);
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    static const uint8_t value[10000];
    bed *b = *state;
    SWEEP_NOMEM(&b->t.alloc, rovei_journal_put(b->j, span_of("a"), span_of("v")));
    put(b, "b");
    b->t.alloc.calls = b->t.alloc.fail_at = 0; /* the batch has to grow */
    assert_int_equal(rovei_journal_put(b->j, span_of("c"), (rove_span){value, sizeof value}),
                     ROVE_E_NOMEM);
    b->t.alloc.fail_at = SIZE_MAX;
    assert_ok(rovei_journal_put(b->j, span_of("d"), (rove_span){value, sizeof value}));
    b->t.alloc.calls = b->t.alloc.fail_at = 0; /* no room for the effect: later */
    assert_none(b);
    b->t.alloc.fail_at = SIZE_MAX;
    assert_none(b);
    pass(b, b->t.env.limits.store_retry);
    assert_batch(b, 1, "abd");
    stored(b, 1, ROVE_OK);
}

static void test_without(void **state)
{
    bed *b = *state;
    rovei_node_config cfg = {.env = &b->t.env, .identity = b->id, .incarnation = 1};
    rovei_node *other;
    assert_ok(rovei_node_new(&other, &cfg, b->now));
    assert_null(rovei_node_journal(other));
    rovei_completion c = {.kind = ROVEI_DONE_STORED, .number = 1};
    rovei_node_complete(other, b->now, &c);
    rovei_node_turn(other, b->now);
    rovei_node_check(other);
    rovei_node_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_group),          TEST(test_waiters),          TEST(test_stray),
        TEST(test_undo),           TEST(test_full_for_a_while), TEST(test_bound),
        TEST(test_one_always_may), TEST(test_failed_for_good),  TEST(test_no_memory),
        TEST(test_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
