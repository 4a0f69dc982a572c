/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of daemons: what a daemon is made of at one point of its order. In memory a snapshot
 * holds all of it. A *backup* (rove_runtime_backup) holds besides what the node knows: the kind,
 * the right under which the daemon ran, and its lanes, so that it can be brought back and its
 * senders learn what is lost. Two formats:
 *
 *   - the container (docs/protocol/container.md) is a whole backup as a file;
 *   - the bytes of the common format (docs/protocol.md, "State snapshot") hold state, chain link
 * and subscriptions only: a daemon made from them begins the rest anew.
 *
 * The second never holds a key, the first only when it was asked to be sealed for a node
 * (rove_runtime_backup_for): then that node alone can take the key out. */
#ifndef ROVE_SNAPSHOT_H
#define ROVE_SNAPSHOT_H

#include <rove/limits.h>
#include <rove/types.h>

ROVE_BEGIN_DECLS

/* Immutable, counted. */
typedef struct rove_snapshot rove_snapshot;

/* One more reference. Threads: any. Re-entry: allowed. */
ROVE_API rove_snapshot *rove_snapshot_ref(rove_snapshot *snapshot);
/* Gives one back; the last one frees. NULL is ignored. Threads: any. Re-entry: allowed. */
ROVE_API void rove_snapshot_unref(rove_snapshot *snapshot);

typedef struct rove_snapshot_info {
    rove_entity entity;
    rove_link head;       /* of the daemon's chain */
    uint64_t through_seq; /* its sequence: how many outputs there have been */
    uint64_t created_at;  /* wall clock, nanoseconds since 1970 */
    rove_span state;      /* valid while the snapshot is held */
    bool backup;          /* it has what follows, and can be written as a container */
    const char *kind;     /* valid while the snapshot is held; "" when not known */
    uint64_t epoch;       /* 0 when not known */
    bool sealed;          /* the daemon's key is in it, for one node: rove_identity_unseal */
    bool stateless;       /* a backup of a daemon that has no state */
} rove_snapshot_info;
/* Never fails, never blocks. Threads: any. Re-entry: allowed. */
ROVE_API rove_snapshot_info rove_snapshot_get_info(const rove_snapshot *snapshot);

/* ---- the container ---- */

/* Takes the next bytes; any error ends the writing and is its result. */
typedef rove_err rove_snapshot_sink(void *user, rove_span bytes);
/* Gives the next 1 to `size` bytes, *ret_size = 0 at the end; any error ends the reading and is its
 * result. */
typedef rove_err rove_snapshot_source(void *user, void *room, size_t size, size_t *ret_size);

/* Writes a backup as a container, in pieces of at most 256 KiB; the state is not copied. Errors:
 * ROVE_E_USAGE (no backup, NULL), ROVE_E_SNAPSHOT_SIZE, ROVE_E_NOMEM, what the sink returns.
 * Threads: any. Re-entry: allowed. Blocking: for the sink. docs/protocol/container.md. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_write(const rove_snapshot *snapshot,
                                                    rove_snapshot_sink *sink, void *user);
/* Reads a container to its end, all of it checked. `limits` NULL: the defaults; `alloc` NULL: the C
 * library's. Errors: ROVE_E_MAGIC, ROVE_E_VERSION, ROVE_E_FLAG, ROVE_E_BOUND, ROVE_E_FORMAT,
 * ROVE_E_SNAPSHOT_ORIGIN, ROVE_E_TOO_LARGE (state_max), ROVE_E_SHORT, ROVE_E_TRAILING,
 * ROVE_E_SNAPSHOT_DIGEST, ROVE_E_STRUCT_VERSION, ROVE_E_USAGE, ROVE_E_NOMEM, what the source
 * returns. Ownership: one reference, the caller's. Threads: any. Re-entry: allowed. Blocking: for
 * the source. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_read(rove_snapshot **ret,
                                                   rove_snapshot_source *source, void *user,
                                                   const rove_limits *limits,
                                                   const rove_alloc *alloc);
/* The same to and from a file descriptor, at its present place. Also ROVE_E_IO (errno says more).
 * Blocking: as the descriptor does; one that does not block is ROVE_E_IO. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_write_fd(const rove_snapshot *snapshot, int fd);
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_read_fd(rove_snapshot **ret, int fd,
                                                      const rove_limits *limits,
                                                      const rove_alloc *alloc);

/* ---- the common format ---- */

/* The bytes of format CDS1, version 2, without an envelope. Ownership: the caller holds one
 * reference. Errors: ROVE_E_USAGE, ROVE_E_SNAPSHOT_SIZE (a part above 4 GiB), ROVE_E_NOMEM.
 * Threads: any. Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_encode(const rove_snapshot *snapshot, rove_buf **ret);

/* From such bytes, copied. `alloc` NULL: the C library's. Errors: ROVE_E_MAGIC, ROVE_E_VERSION,
 * ROVE_E_SHORT, ROVE_E_FLAG, ROVE_E_SNAPSHOT_ENVELOPE, ROVE_E_TRAILING, ROVE_E_SNAPSHOT_SEQUENCE,
 * ROVE_E_SNAPSHOT_ORIGIN, ROVE_E_USAGE, ROVE_E_NOMEM. Threads: any. Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_decode(rove_snapshot **ret, rove_span bytes,
                                                     const rove_alloc *alloc);

ROVE_END_DECLS

#endif
