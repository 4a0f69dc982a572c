/* SPDX-License-Identifier: Apache-2.0
 *
 * The small types that the whole interface shares: times, identities, borrowed bytes, counted
 * bytes, the causal link and event, and the allocator.
 *
 * NULL, in the whole interface: a pointer may be NULL only where its comment says so; a `user` that
 * is only handed on may always. A call that returns rove_err answers ROVE_E_USAGE to any other
 * NULL, before it looks at anything else, and does nothing. _free, _fini, _unref and _close ignore
 * NULL, and _ref gives it back. Calls that return something else and all _init and _get_info take
 * no NULL but where their comment says what it means. */
#ifndef ROVE_TYPES_H
#define ROVE_TYPES_H

#include <rove/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

ROVE_BEGIN_DECLS

/* Times are nanoseconds. Durations and monotonic times are unsigned; "never" is the largest. */
#define ROVE_TIME_NEVER  UINT64_MAX
#define ROVE_SECOND      UINT64_C(1000000000)
#define ROVE_MILLISECOND UINT64_C(1000000)

/* A 32-byte ed25519 public key: the whole name of a node or of a daemon. */
typedef struct rove_entity {
    uint8_t bytes[32];
} rove_entity;

/* Borrowed bytes: valid as long as their owner says, during the call where nothing is said. Of an
 * empty span (size 0) `data` means nothing and may be NULL, whoever made it. A call that is given
 * NULL with another size answers ROVE_E_USAGE. */
typedef struct rove_span {
    const void *data;
    size_t size;
} rove_span;

/* Where memory comes from. Sizes are passed back on free, so an allocator needs no headers. Every
 * function may be called from any thread of the node that it was given to. `alloc` and `realloc`
 * return NULL when they refuse; the caller then returns ROVE_E_NOMEM and changes nothing. */
typedef struct rove_alloc {
    void *(*alloc)(void *user, size_t size);
    void *(*realloc)(void *user, void *block, size_t old_size, size_t size);
    void (*free)(void *user, void *block, size_t size);
    void *user;
} rove_alloc;

/* Immutable counted bytes. A payload is copied once, then shared by reference. */
typedef struct rove_buf rove_buf;

/* Makes a buf with a copy of `bytes`. Ownership: the caller holds one reference. `alloc` NULL: the
 * C library's. Errors: ROVE_E_USAGE, ROVE_E_NOMEM. Threads: any. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_buf_new(rove_buf **ret, rove_span bytes,
                                             const rove_alloc *alloc);

/* Takes one more reference and returns `buf`. NULL is passed through. Threads: any. */
ROVE_API rove_buf *rove_buf_ref(rove_buf *buf);

/* Gives one reference back; the last one frees. NULL is ignored. Threads: any. */
ROVE_API void rove_buf_unref(rove_buf *buf);

/* The bytes, valid while the caller holds a reference. NULL gives an empty span. Threads: any. */
ROVE_API rove_span rove_buf_span(const rove_buf *buf);

/* Where an event stands in its origin's causal chain (docs/protocol.md, "Causal links"). */
typedef struct rove_link {
    uint64_t origin;   /* origin hash of the entity that produced the event */
    uint64_t horizon;  /* 64-bit sketch of the origins it had observed */
    uint64_t sequence; /* +1 per event of that origin, from 1 */
    uint64_t parent;   /* forward hash of the event before it */
} rove_link;

/* One event as a daemon sees it. The payload is borrowed for the call. */
typedef struct rove_event {
    rove_link link;
    rove_span payload;
    uint64_t received_at; /* wall clock, nanoseconds since 1970, at the node that applies it; some
                             milliseconds behind, as far apart as the system's clock ticks are */
} rove_event;

ROVE_END_DECLS

#endif
