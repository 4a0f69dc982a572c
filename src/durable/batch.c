/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of batches. */
#include <durable/batch.h>

#define OP_HEAD    3 /* what, size of the key */
#define VALUE_SIZE 4

rove_err rovei_batch_op_check(const rovei_batch_op *op)
{
    if (!op->key.size || op->key.size > ROVEI_RECORD_KEY_MAX)
        return ROVE_E_BOUND;
    if (op->what == ROVEI_BATCH_PUT && op->value.size > ROVEI_RECORD_VALUE_MAX)
        return ROVE_E_TOO_LARGE;
    return ROVE_OK;
}

size_t rovei_batch_op_size(const rovei_batch_op *op)
{
    size_t size = OP_HEAD + op->key.size;
    return op->what == ROVEI_BATCH_PUT ? size + VALUE_SIZE + op->value.size : size;
}

void rovei_batch_write_head(rovei_writer *w)
{
    rovei_write_u8(w, ROVEI_BATCH_VERSION);
}

void rovei_batch_write_op(rovei_writer *w, const rovei_batch_op *op)
{
    rovei_write_u8(w, (uint8_t)op->what);
    rovei_write_u16(w, (uint16_t)op->key.size);
    rovei_write_span(w, op->key);
    if (op->what != ROVEI_BATCH_PUT)
        return;
    rovei_write_u32(w, (uint32_t)op->value.size);
    rovei_write_span(w, op->value);
}

rovei_reader rovei_batch_reader(rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    if (rovei_read_u8(&r) != ROVEI_BATCH_VERSION)
        rovei_reader_fail(&r, ROVE_E_VERSION);
    return r;
}

bool rovei_batch_read_op(rovei_reader *r, rovei_batch_op *ret)
{
    if (!rovei_reader_ok(r) || !rovei_reader_left(r))
        return false;
    uint8_t what = rovei_read_u8(r);
    if (what < ROVEI_BATCH_PUT || what > ROVEI_BATCH_DELETE_PREFIX)
        rovei_reader_fail(r, ROVE_E_FLAG);
    *ret = (rovei_batch_op){.what = (rovei_batch_what)what};
    ret->key = rovei_read_span(r, rovei_read_u16(r));
    if (what == ROVEI_BATCH_PUT)
        ret->value = rovei_read_span(r, rovei_read_u32(r));
    if (rovei_reader_ok(r))
        rovei_reader_fail(r, rovei_batch_op_check(ret));
    return rovei_reader_ok(r);
}
