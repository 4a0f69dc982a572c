/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch: changes of records that become durable together or not at all. It goes from the core to
 * the store of its node and never leaves the process; the records themselves lie on disk in a form
 * of their own (docs/data-directory.md).
 *
 *   u8 version (1); then operations until the end, each
 *   u8 what (1 put, 2 delete, 3 delete all with a prefix), u16 size and bytes of the key,
 *   and of a put u32 size and bytes of the value.
 *
 * They count in their order: of two for one key the later. */
#ifndef ROVEI_DURABLE_BATCH_H
#define ROVEI_DURABLE_BATCH_H

#include <base/cursor.h>

#define ROVEI_BATCH_VERSION 1
#define ROVEI_BATCH_HEAD    1
/* A key has at least one byte, a prefix too; LMDB takes no longer ones than 511. */
#define ROVEI_RECORD_KEY_MAX 480
/* Above the largest event with its outputs in one frame; a state is a file. */
#define ROVEI_RECORD_VALUE_MAX (UINT32_C(64) << 20)

typedef enum rovei_batch_what {
    ROVEI_BATCH_PUT = 1,
    ROVEI_BATCH_DELETE,        /* a record that is not there: nothing happens */
    ROVEI_BATCH_DELETE_PREFIX, /* every record whose key begins with `key` */
} rovei_batch_what;

typedef struct rovei_batch_op {
    rovei_batch_what what;
    rove_span key, value; /* `value` of a put only */
} rovei_batch_op;

/* E_BOUND (no key, or a longer one than ROVEI_RECORD_KEY_MAX), E_TOO_LARGE (the value). */
ROVE_MUST_USE rove_err rovei_batch_op_check(const rovei_batch_op *op);
size_t rovei_batch_op_size(const rovei_batch_op *op);
void rovei_batch_write_head(rovei_writer *w);
/* Of an operation that rovei_batch_op_check takes. */
void rovei_batch_write_op(rovei_writer *w, const rovei_batch_op *op);

/* The reader of a batch, behind its head; its error is E_VERSION when that is another one. */
rovei_reader rovei_batch_reader(rove_span bytes);
/* The next operation, its spans borrowed. False at the end, or with an error in the reader:
 * E_SHORT, E_FLAG (no such operation), E_BOUND, E_TOO_LARGE. */
bool rovei_batch_read_op(rovei_reader *r, rovei_batch_op *ret);

#endif
