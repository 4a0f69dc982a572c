/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of daemons: what a daemon is made of at one point of its order. In memory a snapshot
 * holds all of it; the bytes of the common format (docs/protocol.md, "State snapshot") hold state,
 * chain link and subscriptions, but not the payload of the chain's head, the horizon and the
 * statistics: a daemon made from bytes begins those anew. */
#ifndef ROVE_SNAPSHOT_H
#define ROVE_SNAPSHOT_H

#include <rove/types.h>

ROVE_BEGIN_DECLS

/* Immutable, counted. */
typedef struct rove_snapshot rove_snapshot;

ROVE_API rove_snapshot *rove_snapshot_ref(rove_snapshot *snapshot);
/* NULL is ignored. Threads: any. */
ROVE_API void rove_snapshot_unref(rove_snapshot *snapshot);

typedef struct rove_snapshot_info {
    rove_entity entity;
    rove_link head;       /* of the daemon's chain */
    uint64_t through_seq; /* its sequence: how many outputs there have been */
    uint64_t created_at;  /* wall clock, nanoseconds since 1970 */
    rove_span state;      /* valid while the snapshot is held */
} rove_snapshot_info;
/* Never fails, never blocks. Threads: any. Re-entry: allowed. */
ROVE_API rove_snapshot_info rove_snapshot_get_info(const rove_snapshot *snapshot);

/* The bytes of format CDS1, version 2, without an envelope. Ownership: the caller holds one
 * reference. Errors: ROVE_E_SNAPSHOT_SIZE (a part above 4 GiB), ROVE_E_NOMEM. Threads: any.
 * Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_encode(const rove_snapshot *snapshot, rove_buf **ret);

/* From such bytes, copied. `alloc` NULL: the C library's. Errors: ROVE_E_MAGIC, ROVE_E_VERSION,
 * ROVE_E_SHORT, ROVE_E_FLAG, ROVE_E_SNAPSHOT_ENVELOPE, ROVE_E_TRAILING, ROVE_E_SNAPSHOT_SEQUENCE,
 * ROVE_E_SNAPSHOT_ORIGIN, ROVE_E_NOMEM. Threads: any. Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_snapshot_decode(rove_snapshot **ret, rove_span bytes,
                                                     const rove_alloc *alloc);

ROVE_END_DECLS

#endif
