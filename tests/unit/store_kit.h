/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the data directory share: a directory of their own, batches, damage. */
#ifndef ROVE_TESTS_STORE_KIT_H
#define ROVE_TESTS_STORE_KIT_H

#include "support.h"

#include <durable/batch.h>
#include <store/store.h>
#include <sys/types.h>

#define STORE_MAP (UINT64_C(64) << 20)

typedef struct store_bed {
    char parent[64], dir[80];
    rove_entity node;
    rovei_store *store;
    char what[ROVEI_STORE_WHAT];
} store_bed;

int store_bed_make(void **state);
int store_bed_remove(void **state);

/* With the bed's own node; the error of opening. */
rove_err store_open(store_bed *b, uint64_t map);
void store_close(store_bed *b);
void store_reopen(store_bed *b);
/* A path in the directory; static. */
const char *store_path(const store_bed *b, const char *name);

/* One put, or with `value` NULL one delete; the error of writing. */
rove_err store_put(store_bed *b, const char *key, const void *value, size_t size);
rove_err store_delete_prefix(store_bed *b, const char *prefix);
/* Room for a batch of one operation; gives its size. */
size_t store_batch(const rovei_batch_op *op, uint8_t *ret, size_t room);
/* The value of a key is this. */
void assert_value(store_bed *b, const char *key, const void *value, size_t size);
rove_err store_get(store_bed *b, const char *key);
/* Keys with the prefix, one after the other with a space behind each; static. */
const char *store_keys(store_bed *b, const char *prefix);

void file_write(const char *path, const void *bytes, size_t size);
size_t file_read(const char *path, uint8_t **ret); /* to be freed */

/* Runs `fn` in a process of its own: what changes a process for good. Its exit status. */
int in_a_child(int (*fn)(store_bed *b), store_bed *b);

#endif
