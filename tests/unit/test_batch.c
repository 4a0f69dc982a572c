/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of records: their bytes, their bounds, and every way in which they can be cut. */
#include "support.h"

#include <durable/batch.h>

static const rovei_batch_op three[] = {
    {ROVEI_BATCH_PUT, {"ab", 2}, {"xyz", 3}},
    {ROVEI_BATCH_DELETE, {"c", 1}, {NULL, 0}},
    {ROVEI_BATCH_DELETE_PREFIX, {"de", 2}, {NULL, 0}},
};
static const char bytes_of_three[] = "01"
                                     "01"
                                     "0200"
                                     "6162"
                                     "03000000"
                                     "78797a"
                                     "02"
                                     "0100"
                                     "63"
                                     "03"
                                     "0200"
                                     "6465";

static size_t write_three(uint8_t *ret, size_t room)
{
    rovei_writer w = rovei_writer_of(ret, room);
    rovei_batch_write_head(&w);
    for (size_t i = 0; i < 3; i++) {
        size_t before = rovei_writer_size(&w);
        assert_ok(rovei_batch_op_check(&three[i]));
        rovei_batch_write_op(&w, &three[i]);
        assert_int_equal(rovei_writer_size(&w) - before, rovei_batch_op_size(&three[i]));
    }
    assert_ok(w.err);
    return rovei_writer_size(&w);
}

static void test_bytes(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t size = write_three(bytes, sizeof bytes);
    assert_hex(bytes, size, bytes_of_three);
    rovei_reader r = rovei_batch_reader((rove_span){bytes, size});
    rovei_batch_op op;
    for (size_t i = 0; i < 3; i++) {
        assert_true(rovei_batch_read_op(&r, &op));
        assert_int_equal(op.what, three[i].what);
        assert_span(op.key, three[i].key.data, three[i].key.size);
        assert_span(op.value, three[i].value.data, three[i].value.size);
    }
    assert_false(rovei_batch_read_op(&r, &op));
    assert_ok(rovei_reader_end(&r));
}

/* Reads to the end; gives the number of operations. */
static size_t read_all(const void *bytes, size_t size, rove_err *ret)
{
    rovei_reader r = rovei_batch_reader((rove_span){bytes, size});
    rovei_batch_op op;
    size_t count = 0;
    while (rovei_batch_read_op(&r, &op))
        count++;
    *ret = rovei_reader_end(&r);
    return count;
}

static void test_cut(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t size = write_three(bytes, sizeof bytes), whole = 0;
    rove_err err;
    for (size_t cut = 0; cut < size; cut++) {
        size_t count = read_all(bytes, cut, &err);
        assert_true(count < 3 && (err == ROVE_OK || err == ROVE_E_SHORT));
        whole += err == ROVE_OK;
    }
    assert_int_equal(whole, 3); /* behind the head and between operations */
}

static void test_malformed(void **state)
{
    (void)state;
    rove_err err;
    assert_int_equal(read_all("\x02", 1, &err), 0);
    assert_int_equal(err, ROVE_E_VERSION);
    assert_int_equal(read_all("\x01\x00\x01\x00k", 5, &err), 0);
    assert_int_equal(err, ROVE_E_FLAG);
    assert_int_equal(read_all("\x01\x04\x01\x00k", 5, &err), 0);
    assert_int_equal(err, ROVE_E_FLAG);
    assert_int_equal(read_all("\x01\x02\x00\x00", 4, &err), 0);
    assert_int_equal(err, ROVE_E_BOUND);
    assert_int_equal(read_all("\x01\x01\x01\x00k\xff\xff\xff\xff", 9, &err), 0);
    assert_int_equal(err, ROVE_E_SHORT);
}

static void test_bounds(void **state)
{
    (void)state;
    static char key[ROVEI_RECORD_KEY_MAX + 1];
    rovei_batch_op op = {ROVEI_BATCH_PUT, {key, ROVEI_RECORD_KEY_MAX}, {"", 0}};
    assert_ok(rovei_batch_op_check(&op));
    op.key.size++;
    assert_int_equal(rovei_batch_op_check(&op), ROVE_E_BOUND);
    op.key.size = 0;
    assert_int_equal(rovei_batch_op_check(&op), ROVE_E_BOUND);
    op.key.size = 1;
    op.value = (rove_span){key, ROVEI_RECORD_VALUE_MAX};
    assert_ok(rovei_batch_op_check(&op));
    op.value.size++;
    assert_int_equal(rovei_batch_op_check(&op), ROVE_E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
