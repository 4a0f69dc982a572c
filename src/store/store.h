/* SPDX-License-Identifier: Apache-2.0
 *
 * The data directory of one node: records in LMDB, states as files, a lock, and a file that says
 * what it is (docs/data-directory.md). A thread of the store's own writes batches of records, all
 * that wait in one transaction, and says when they are on the disk. */
#ifndef ROVEI_STORE_STORE_H
#define ROVEI_STORE_STORE_H

#include <base/list.h>
#include <rove/types.h>

typedef struct rovei_store rovei_store;

#define ROVEI_STORE_FORMAT 1
/* Text about what is damaged: a file, or a record by its key; its end counted in. */
#define ROVEI_STORE_WHAT 160

/* Opens the directory, or makes a new one, and locks it. What is there must be the node's own, and
 * every record is read and checked.
 * `map` bounds the file of the records. E_FILE (what it is to lie in is missing), E_STORE_ACCESS,
 * E_STORE_LOCKED, E_STORE_READ_ONLY, E_STORE_FOREIGN, E_STORE_NEWER, E_STORE_CORRUPT (then `what`
 * says where), E_STORE_FULL, E_STORE_MAP, E_STORE_IO, E_NOMEM. Blocking: for the disk. */
ROVE_MUST_USE rove_err rovei_store_open(rovei_store **ret, const char *dir, const rove_entity *node,
                                        uint64_t map, char what[ROVEI_STORE_WHAT]);
/* Writes what was posted, tells it, and ends the thread: nothing is posted from here on; all the
 * rest goes on. Blocking: for the disk. */
void rovei_store_stop(rovei_store *s);
/* The same, and unlocks. NULL is fine. */
void rovei_store_close(rovei_store *s);

/* ---- records ---- */
/* One batch to be written; it and its bytes stay the caller's and stay as they are until `done`,
 * which is called on the store's thread, and may post again. */
typedef struct rovei_store_task {
    rovei_list all;
    rove_span batch; /* durable/batch.h */
    void (*done)(struct rovei_store_task *task, rove_err err);
} rovei_store_task;
/* Several that wait are written in one transaction; a failed one is as if it had never been. Who
 * needs an order posts the next one when the former is done. OK: it is on the disk. E_STORE_FULL,
 * E_STORE_MAP, E_NOMEM: there may be room later. E_STORE_IO, E_STORE_CORRUPT: the disk failed, and
 * so does every later task; E_FORMAT and its like: no batch. Threads: any. */
void rovei_store_post(rovei_store *s, rovei_store_task *task);
/* One batch at once, with the same errors. Threads: any. Blocking: for the disk. */
ROVE_MUST_USE rove_err rovei_store_write(rovei_store *s, rove_span batch);

/* A copy of one value. E_NOT_FOUND; E_STORE_CORRUPT (`what`), E_STORE_IO, E_NOMEM. Threads: any. */
ROVE_MUST_USE rove_err rovei_store_get(rovei_store *s, rove_span key, const rove_alloc *a,
                                       rove_buf **ret, char what[ROVEI_STORE_WHAT]);
/* Each record whose key begins with `prefix` (which may be empty), by key; the spans are borrowed
 * for the call. What `fn` gives ends it, unless that is OK. Errors as above. Threads: any. */
typedef rove_err rovei_store_fn(void *user, rove_span key, rove_span value);
ROVE_MUST_USE rove_err rovei_store_each(rovei_store *s, rove_span prefix, rovei_store_fn *fn,
                                        void *user, char what[ROVEI_STORE_WHAT]);

/* ---- states: files of any size ---- */
/* Names have 1 to 64 of a-z, 0-9 and '-'; anything else is E_USAGE. Each of these waits for the
 * disk, and is for any thread, one at a time for each name. */
#define ROVEI_STATE_NAME_MAX 64

typedef struct rovei_stored_writer {
    int fd, folder;
    struct rovei_digest *digest;
    uint64_t size;
    char name[ROVEI_STATE_NAME_MAX + 1];
} rovei_stored_writer;
/* Under its name it appears with _commit, whole and on the disk, in the place of an earlier one.
 * E_STORE_FULL, E_STORE_READ_ONLY, E_STORE_IO, E_NOMEM: there is what was there before; the writer
 * can only be dropped then. */
ROVE_MUST_USE rove_err rovei_stored_begin(rovei_stored_writer *w, rovei_store *s, const char *name);
ROVE_MUST_USE rove_err rovei_stored_write(rovei_stored_writer *w, rove_span bytes);
ROVE_MUST_USE rove_err rovei_stored_commit(rovei_stored_writer *w);
void rovei_stored_drop(rovei_stored_writer *w); /* harmless after _commit */

typedef struct rovei_stored_reader {
    int fd;
    struct rovei_digest *digest;
    uint64_t size, left; /* of the state */
} rovei_stored_reader;
/* E_NOT_FOUND, E_STORE_CORRUPT (it is no whole state), E_STORE_IO, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_stored_open(rovei_stored_reader *r, rovei_store *s, const char *name);
/* The next bytes, as many as there are and have room; 0 behind the end. With the last of them
 * E_STORE_CORRUPT when any was not as it was written: nothing that was read is to be used then. */
ROVE_MUST_USE rove_err rovei_stored_read(rovei_stored_reader *r, void *ret, size_t room,
                                         size_t *ret_size);
void rovei_stored_close(rovei_stored_reader *r);
/* One that is not there is fine. */
ROVE_MUST_USE rove_err rovei_stored_remove(rovei_store *s, const char *name);
/* The names that are there, in no order. */
typedef rove_err rovei_stored_fn(void *user, const char *name);
ROVE_MUST_USE rove_err rovei_stored_each(rovei_store *s, rovei_stored_fn *fn, void *user);

#endif
