/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting snapshots into chunks, and putting them together against loss of order, repetition and
 * hostile numbers. */
#include "support.h"

#include <base/buf.h>
#include <migration/net_chunks.h>

typedef struct kit {
    test_alloc alloc;
    rovei_chunks chunks;
    rovei_now now;
    rovei_text why;
} kit;

static void setup(kit *k)
{
    test_alloc_init(&k->alloc);
    rovei_chunks_init(&k->chunks, &k->alloc.alloc, 7);
    k->now = (rovei_now){1000 * ROVE_SECOND, 0};
}

static void teardown(kit *k)
{
    rovei_chunks_check(&k->chunks);
    rovei_chunks_fini(&k->chunks);
    assert_int_equal(k->alloc.live, 0);
}

static uint8_t block[ROVEI_NETMOVE_CHUNK_MAX + 1];

static rove_err feed(kit *k, uint64_t origin, uint64_t seq, uint32_t index, uint32_t total,
                     size_t size, rove_buf **ret)
{
    memset(block, (int)(seq * 16 + index), sizeof block);
    rovei_netmove_chunk c = {seq, index, total, {block, size}};
    rove_buf *whole = NULL;
    rovei_text_set(&k->why, "");
    rove_err err = rovei_chunks_feed(&k->chunks, k->now, origin, &c, &whole, &k->why);
    rovei_chunks_check(&k->chunks);
    assert_true(!err || !whole);
    if (ret)
        *ret = whole;
    else
        rove_buf_unref(whole);
    return err;
}

static void assert_whole(rove_buf *whole, uint64_t seq, uint32_t total, size_t last)
{
    assert_non_null(whole);
    rove_span bytes = rove_buf_span(whole);
    assert_int_equal(bytes.size, (total - 1) * (size_t)ROVEI_NETMOVE_CHUNK_MAX + last);
    for (size_t i = 0; i < bytes.size; i++)
        assert_int_equal(((const uint8_t *)bytes.data)[i],
                         (uint8_t)(seq * 16 + i / ROVEI_NETMOVE_CHUNK_MAX));
    rove_buf_unref(whole);
}

static void cutting(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        uint32_t count;
    } cases[] = {{0, 1}, {3, 1}, {7000, 1}, {7001, 2}, {21100, 4}, {700000, 100}};
    static uint8_t bytes[700000];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rove_span all = {bytes, (size_t)cases[i].size};
        assert_int_equal(rovei_netmove_chunk_count(cases[i].size), cases[i].count);
        size_t sum = 0;
        for (uint32_t c = 0; c < cases[i].count; c++) {
            rove_span piece = rovei_netmove_chunk_at(all, c);
            assert_ptr_equal(piece.data, bytes + sum);
            assert_true(c + 1 == cases[i].count || piece.size == ROVEI_NETMOVE_CHUNK_MAX);
            sum += piece.size;
        }
        assert_int_equal(sum, cases[i].size);
    }
}

static void any_order(void **state)
{
    (void)state;
    static const uint32_t orders[][5] = {{0, 1, 2, 2, 2}, {2, 1, 0, 0, 0}, {1, 1, 0, 1, 2}};
    kit k;
    setup(&k);
    for (size_t i = 0; i < 3; i++) {
        rove_buf *whole = NULL;
        for (size_t j = 0; j < 5 && !whole; j++)
            assert_ok(feed(&k, i, 3, orders[i][j], 3, orders[i][j] == 2 ? 5 : 7000, &whole));
        assert_whole(whole, 3, 3, 5);
    }
    assert_int_equal(rovei_chunks_pending(&k.chunks), 0);
    assert_int_equal(k.chunks.bytes, 0);
    rove_buf *whole;
    assert_ok(feed(&k, 9, 0, 0, 1, 12, &whole)); /* one chunk is whole at once */
    assert_whole(whole, 0, 1, 12);
    teardown(&k);
}

static void daemons_and_sequences_do_not_mix(void **state)
{
    (void)state;
    kit k;
    rove_buf *whole;
    setup(&k);
    assert_ok(feed(&k, 1, 5, 0, 2, 7000, NULL));
    assert_ok(feed(&k, 2, 5, 1, 2, 10, &whole));
    assert_null(whole);
    /* A newer one pushes out, an older one comes too late. */
    assert_ok(feed(&k, 1, 6, 1, 2, 10, &whole));
    assert_null(whole);
    assert_int_equal(rovei_chunks_have(&k.chunks, 1), 10);
    assert_int_equal(feed(&k, 1, 5, 1, 2, 10, NULL), ROVE_E_STALE);
    assert_string_equal(k.why.chars,
                        "seq_through 5 is older than latest accepted 6 for this daemon");
    assert_ok(feed(&k, 1, 6, 0, 2, 7000, &whole));
    assert_whole(whole, 6, 2, 10);
    assert_ok(feed(&k, 2, 5, 0, 2, 7000, &whole));
    assert_whole(whole, 5, 2, 10);
    teardown(&k);
}

static void junk_changes_nothing(void **state)
{
    (void)state;
    kit k;
    rove_buf *whole;
    setup(&k);
    size_t live = k.alloc.live;
    assert_int_equal(feed(&k, 8, 0, 0, 0, 1, NULL), ROVE_E_BOUND);
    assert_string_equal(k.why.chars, "total_chunks == 0");
    assert_int_equal(feed(&k, 8, 0, 0, UINT32_MAX, 1, NULL), ROVE_E_BOUND);
    assert_string_equal(k.why.chars, "total_chunks 4294967295 exceeds MAX_TOTAL_CHUNKS (700000)");
    assert_int_equal(feed(&k, 8, 0, 5, 3, 1, NULL), ROVE_E_BOUND);
    assert_string_equal(k.why.chars, "chunk_index 5 out of range for total_chunks 3");
    assert_int_equal(k.alloc.live, live);
    assert_ok(feed(&k, 1, 2, 0, 3, 7000, NULL));
    assert_int_equal(feed(&k, 1, 2, 3, 3, 1, NULL), ROVE_E_BOUND);
    assert_int_equal(feed(&k, 1, 2, 1, 3, 7001, NULL), ROVE_E_BOUND);
    assert_string_equal(k.why.chars, "chunk length 7001 exceeds MAX_SNAPSHOT_CHUNK_SIZE (7000)");
    assert_int_equal(feed(&k, 1, 2, 1, 3, 0, NULL), ROVE_E_BOUND);
    assert_int_equal(feed(&k, 1, 2, 1, 4, 7000, NULL), ROVE_E_FORMAT);
    assert_string_equal(k.why.chars, "total_chunks 4 does not match first chunk's declared 3");
    /* A whole one does not take the place of one that is half there. */
    assert_int_equal(feed(&k, 1, 2, 0, 1, 50, &whole), ROVE_E_FORMAT);
    assert_string_equal(k.why.chars, "total_chunks 1 does not match first chunk's declared 3");
    assert_ok(feed(&k, 1, 2, 1, 3, 7000, &whole));
    assert_null(whole);
    assert_ok(feed(&k, 1, 2, 2, 3, 9, &whole));
    assert_whole(whole, 2, 3, 9);
    teardown(&k);
}

static void bytes_of_one(void **state)
{
    (void)state;
    kit k;
    setup(&k);
    uint32_t full = (uint32_t)(ROVEI_NETMOVE_SNAPSHOT_MAX / ROVEI_NETMOVE_CHUNK_MAX);
    for (uint32_t i = 0; i < full; i++) {
        rovei_netmove_chunk c = {1, i, full + 9, {block, ROVEI_NETMOVE_CHUNK_MAX}};
        rove_buf *whole;
        assert_ok(rovei_chunks_feed(&k.chunks, k.now, 4, &c, &whole, NULL));
    }
    assert_int_equal(feed(&k, 4, 1, full, full + 9, 7000, NULL), ROVE_E_TOO_LARGE);
    assert_string_equal(k.why.chars,
                        "buffered 67102000 + incoming 7000 would exceed per-entry cap 67108864");
    assert_ok(feed(&k, 4, 1, 3, full + 9, 7000, NULL)); /* in the place of the same */
    teardown(&k);
}

static void bounds_of_all(void **state)
{
    (void)state;
    kit k;
    setup(&k);
    k.chunks.entries_max = 3;
    for (uint64_t origin = 1; origin <= 3; origin++)
        assert_ok(feed(&k, origin, 1, 0, 2, 7000, NULL));
    assert_int_equal(feed(&k, 4, 1, 0, 2, 7000, NULL), ROVE_E_FULL);
    rovei_chunks_forget(&k.chunks, 2);
    assert_ok(feed(&k, 4, 1, 0, 2, 7000, NULL));
    k.chunks.bytes_max = k.chunks.bytes;
    assert_int_equal(feed(&k, 4, 1, 1, 3, 1, NULL), ROVE_E_FORMAT);
    assert_int_equal(feed(&k, 4, 1, 1, 2, 1, NULL), ROVE_E_FULL);
    assert_ok(feed(&k, 4, 1, 0, 2, 7000, NULL)); /* in the place of the same */
    /* Tiny chunks count for what they take. */
    k.chunks.bytes_max = 100000;
    uint32_t i = 0;
    while (feed(&k, 1, 2, i, 700000, 1, NULL) == ROVE_OK)
        i++;
    assert_true(i < 2000);
    teardown(&k);
}

static void time_passes(void **state)
{
    (void)state;
    kit k;
    setup(&k);
    assert_int_equal(rovei_chunks_deadline(&k.chunks), ROVE_TIME_NEVER);
    assert_ok(feed(&k, 1, 5, 0, 3, 7000, NULL));
    uint64_t first = rovei_chunks_deadline(&k.chunks);
    assert_int_equal(first, k.now.mono + 300 * ROVE_SECOND);
    k.now.mono += 200 * ROVE_SECOND;
    assert_ok(feed(&k, 2, 5, 0, 3, 7000, NULL));
    assert_int_equal(rovei_chunks_sweep(&k.chunks, k.now, 300 * ROVE_SECOND), 0);
    k.now.mono += 100 * ROVE_SECOND;
    /* One that comes for another daemon sweeps too. */
    assert_ok(feed(&k, 2, 5, 1, 3, 7000, NULL));
    assert_int_equal(rovei_chunks_pending(&k.chunks), 1);
    assert_int_equal(rovei_chunks_have(&k.chunks, 1), 0);
    assert_int_equal(feed(&k, 1, 4, 0, 3, 7000, NULL), ROVE_E_STALE); /* the sequence is kept */
    teardown(&k);
}

static void cancelling(void **state)
{
    (void)state;
    kit k;
    rove_buf *whole;
    setup(&k);
    assert_ok(feed(&k, 1, 5, 0, 2, 7000, NULL));
    rovei_chunks_cancel(&k.chunks, 1);
    rovei_chunks_cancel(&k.chunks, 1);
    rovei_chunks_cancel(&k.chunks, 77);
    assert_int_equal(feed(&k, 1, 4, 0, 1, 10, NULL), ROVE_E_STALE);
    assert_ok(feed(&k, 1, 5, 1, 2, 10, &whole)); /* a straggler alone makes nothing */
    assert_null(whole);
    rovei_chunks_forget(&k.chunks, 1);
    assert_ok(feed(&k, 1, 4, 0, 1, 10, &whole));
    assert_whole(whole, 4, 1, 10);
    teardown(&k);
}

static rove_err put_together(kit *k)
{
    rove_err err = ROVE_OK;
    rove_buf *whole = NULL;
    for (uint32_t i = 0; i < 3 && !err; i++)
        err = feed(k, 1, 1, i, 3, i == 2 ? 4 : 7000, &whole);
    rove_buf_unref(whole);
    rovei_chunks_forget(&k->chunks, 1);
    rovei_map_fini(&k->chunks.entries); /* its slots are no leak */
    rovei_chunks_init(&k->chunks, &k->alloc.alloc, 7);
    return err;
}

static void out_of_memory(void **state)
{
    (void)state;
    kit k;
    setup(&k);
    SWEEP_NOMEM(&k.alloc, put_together(&k));
    teardown(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting),
        cmocka_unit_test(any_order),
        cmocka_unit_test(daemons_and_sequences_do_not_mix),
        cmocka_unit_test(junk_changes_nothing),
        cmocka_unit_test(bytes_of_one),
        cmocka_unit_test(bounds_of_all),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
