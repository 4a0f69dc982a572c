/* SPDX-License-Identifier: Apache-2.0
 *
 * What a store is made of, for the files that implement it. */
#ifndef ROVEI_STORE_INSIDE_H
#define ROVEI_STORE_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <store/store.h>

#define ROVEI_STATES_FOLDER "states"
#define ROVEI_RECORDS_FILE  "records"
#define ROVEI_RECORDS_LOCK  "records-lock"

/* folder.c: the directory, its lock and its format. */
typedef struct rovei_folder {
    char *path;
    int fd, lock_fd, states_fd; /* -1: not open */
    bool fresh;                 /* it has no format yet, rovei_folder_name gives it one */
} rovei_folder;
ROVE_MUST_USE rove_err rovei_folder_open(rovei_folder *f, const char *path, const rove_entity *node,
                                         char what[ROVEI_STORE_WHAT]);
/* The last step of making one: from here on it is a data directory of this node. */
ROVE_MUST_USE rove_err rovei_folder_name(rovei_folder *f, const rove_entity *node);
void rovei_folder_close(rovei_folder *f);
/* The error for a number in errno. */
rove_err rovei_store_errno(int number);
ROVE_MUST_USE rove_err rovei_store_write_all(int fd, rove_span bytes);
void rovei_store_what(char ret[ROVEI_STORE_WHAT], const char *text);

/* records.c: LMDB. */
typedef struct rovei_records {
    MDB_env *env;
    MDB_dbi dbi, seal; /* the records; one value, over all of them */
} rovei_records;
ROVE_MUST_USE rove_err rovei_records_open(rovei_records *r, const char *folder, bool fresh,
                                          uint64_t map, char what[ROVEI_STORE_WHAT]);
/* Every record is what was written, and none is missing. E_STORE_CORRUPT (`what`), E_STORE_IO. */
ROVE_MUST_USE rove_err rovei_records_check(rovei_records *r, char what[ROVEI_STORE_WHAT]);
void rovei_records_close(rovei_records *r);
/* All of them in one transaction, on the disk when this returns; none on an error. */
ROVE_MUST_USE rove_err rovei_records_write(rovei_records *r, const rove_span *batches,
                                           size_t count);

struct rovei_store {
    rovei_folder folder;
    rovei_records records;
    pthread_t thread;
    bool has_thread;
    /* of all threads, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    rovei_list posted;
    bool stop;
    rove_err failed;
};

#endif
