/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive: all daemons of a node as one file, format ROVEBKUP version 1
 * (docs/protocol/container.md, "Archive"): a head, containers one behind the other, each behind its
 * size, and a digest over all of it. It is read where it lies, and never as a whole. */
#ifndef ROVEI_STATE_ARCHIVE_H
#define ROVEI_STATE_ARCHIVE_H

#include <state/container.h>

#define ROVEI_ARCHIVE_MAGIC      "ROVEBKUP"
#define ROVEI_ARCHIVE_MAGIC_SIZE 8
#define ROVEI_ARCHIVE_HEAD       56 /* bytes before the first size */
#define ROVEI_ARCHIVE_END        48 /* a size of 0, the number of containers, the digest */

typedef struct rovei_archive_head {
    rove_entity node;    /* of which it is */
    uint64_t created_at; /* wall clock, nanoseconds */
} rovei_archive_head;

void rovei_archive_write_head(const rovei_archive_head *h, rovei_writer *w);
/* E_SHORT, E_MAGIC, E_VERSION, E_FLAG, E_TRAILING. */
ROVE_MUST_USE rove_err rovei_archive_read_head(rovei_archive_head *ret, rove_span bytes);

/* Gives `size` bytes from `at` on, which lie inside of the file; any error ends the reading and is
 * its result. */
typedef rove_err rovei_archive_read(void *user, uint64_t at, void *room, size_t size);

typedef struct rovei_archive {
    rovei_archive_head head;
    uint64_t count; /* of its containers */
    rovei_archive_read *read;
    void *user;
    uint64_t end, next;
} rovei_archive;

typedef struct rovei_archive_entry {
    uint64_t at, size;         /* of the container, in the file */
    rovei_container container; /* its fixed part */
    char kind[ROVEI_CONTAINER_KIND_MAX + 1];
} rovei_archive_entry;

/* Looks over the whole of a file of `size` bytes: its digest, and that it is containers from
 * beginning to end. The containers themselves are checked by who takes them in. E_SHORT, E_MAGIC,
 * E_VERSION, E_FLAG, E_BOUND, E_FORMAT, E_SNAPSHOT_ORIGIN, E_SNAPSHOT_DIGEST, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_archive_open(rovei_archive *ret, const rove_alloc *alloc,
                                          rovei_archive_read *read, void *user, uint64_t size);
/* The next one; false at the end, and at an error, which *ret_err says. */
bool rovei_archive_next(rovei_archive *a, rovei_archive_entry *ret, rove_err *ret_err);

#endif
