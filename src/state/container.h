/* SPDX-License-Identifier: Apache-2.0
 *
 * The container: a whole daemon as one file, format ROVESNAP version 1
 * (docs/protocol/container.md). It is a head (fixed fields and the small parts), the state, and a
 * digest over both. Head and digest are made beside the state, never around it, so a state of any
 * size is written and read without a second copy of it. */
#ifndef ROVEI_STATE_CONTAINER_H
#define ROVEI_STATE_CONTAINER_H

#include <base/buf.h>
#include <base/cursor.h>
#include <identity/envelope.h>
#include <rove/limits.h>

#define ROVEI_CONTAINER_MAGIC      "ROVESNAP"
#define ROVEI_CONTAINER_MAGIC_SIZE 8
#define ROVEI_CONTAINER_FIXED      192 /* bytes before the parts */
#define ROVEI_CONTAINER_DIGEST     32
#define ROVEI_CONTAINER_KIND_MAX   64
#define ROVEI_CONTAINER_SEALED     1 /* flags: the daemon's key is in it, in an envelope */
#define ROVEI_CONTAINER_STATELESS  2 /* the daemon has no state, which an empty one would be */
/* No epoch and no state incarnation above this: a forced one can still be taken over it. */
#define ROVEI_CONTAINER_EPOCH_MAX (UINT64_C(1) << 62)

typedef struct rovei_container {
    rove_entity entity;
    uint64_t created_at; /* wall clock, nanoseconds */
    uint64_t epoch;      /* that the holder had */
    uint64_t sinc_number, sinc_random;
    rove_link head;
    uint64_t events_processed, events_emitted, errors, snapshots_taken;
    /* Borrowed; each may be empty, but for the kind. */
    rove_span kind, head_payload, horizon, ledger, lanes;
    rove_span envelope; /* ROVEI_ENVELOPE_SIZE bytes, or none */
    bool stateless;
    uint64_t state_size;
} rovei_container;

/* Bytes of the head; E_SNAPSHOT_SIZE when they do not fit into memory. */
ROVE_MUST_USE rove_err rovei_container_head_size(const rovei_container *c, size_t *ret);
void rovei_container_write_head(const rovei_container *c, rovei_writer *w);
/* The digest that ends the file. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_container_digest(const rove_alloc *a, rove_span head, rove_span state,
                                              uint8_t ret[ROVEI_CONTAINER_DIGEST]);
/* A whole head; borrows from `bytes`. E_MAGIC, E_VERSION, E_SHORT, E_FLAG, E_BOUND, E_FORMAT,
 * E_SNAPSHOT_ORIGIN, E_TRAILING. */
ROVE_MUST_USE rove_err rovei_container_read_head(rovei_container *ret, rove_span bytes);

/* The fixed part alone, without the parts behind it; how long the kind's name is, which comes next,
 * and all of the container. Errors as above but E_SHORT for less than ROVEI_CONTAINER_FIXED bytes.
 */
ROVE_MUST_USE rove_err rovei_container_read_fixed(rovei_container *ret, uint64_t *ret_kind,
                                                  uint64_t *ret_whole, rove_span bytes);

/* Takes a container in, in pieces of any size, and holds no more than it says it has, within the
 * limits. */
typedef struct rovei_intake {
    const rove_alloc *alloc;
    uint64_t parts_max, state_max;
    uint8_t fixed[ROVEI_CONTAINER_FIXED];
    uint8_t digest[ROVEI_CONTAINER_DIGEST];
    size_t fixed_have, head_have, state_have, digest_have;
    rove_buf *head, *state;    /* once the fixed part has come */
    rovei_container container; /* once the head has come: borrows from `head` */
    rove_err err;
} rovei_intake;

/* `alloc` outlives it. */
void rovei_intake_init(rovei_intake *in, const rove_alloc *alloc, const rove_limits *limits);
void rovei_intake_fini(rovei_intake *in);
/* The next bytes. Errors of read_head, E_TOO_LARGE (state_max), E_TRAILING, E_NOMEM; the first one
 * stays. */
ROVE_MUST_USE rove_err rovei_intake_add(rovei_intake *in, rove_span bytes);
/* Nothing more comes: `in->container` and `in->state` are good. E_SHORT, E_SNAPSHOT_DIGEST,
 * E_NOMEM, or the error of add. */
ROVE_MUST_USE rove_err rovei_intake_end(rovei_intake *in);

#endif
