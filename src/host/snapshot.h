/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rove_snapshot, and its two forms as bytes for those who move them themselves. */
#ifndef ROVEI_HOST_SNAPSHOT_H
#define ROVEI_HOST_SNAPSHOT_H

#include <identity/envelope.h>
#include <node/node.h>
#include <rove/snapshot.h>
#include <state/container.h>
#include <state/snapshot.h>
#include <stdatomic.h>

struct rove_snapshot {
    rove_alloc alloc;
    atomic_uint refs;
    rove_entity entity;
    rovei_image image;
    rovei_backup positions; /* epoch 0: it is no backup */
    bool stateless;         /* a backup of a daemon without a state */
    bool sealed;            /* `envelope` has the daemon's key */
    uint8_t envelope[ROVEI_ENVELOPE_SIZE];
    bool from_bytes; /* head payload, horizon and statistics are not known */
    rove_buf *bytes; /* from_bytes: what the state and the bindings lie in */
    rovei_snapshot parsed;
};

/* What the core knows of the daemon's subscriptions takes the place of what the cell has. */
static inline void rovei_snapshot_put_ledger(rove_snapshot *s)
{
    rove_buf_unref(s->image.ledger);
    s->image.ledger = s->positions.ledger;
    s->positions.ledger = NULL;
}

/* Puts the daemon's key into it, for the node whose X25519 key is `target`. E_READ_ONLY (the key is
 * only a public half), E_WEAK_SECRET, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_snapshot_put_key(rove_snapshot *s, const rovei_env *env,
                                              const rovei_keypair *key, const uint8_t target[32]);

/* Empty, one reference; NULL: out of memory. */
rove_snapshot *rovei_snapshot_new(const rove_alloc *a);
/* As rove_snapshot_decode, of bytes that are shared, not copied. */
ROVE_MUST_USE rove_err rovei_snapshot_of_buf(rove_snapshot **ret, rove_buf *bytes,
                                             const rove_alloc *alloc);
/* What a whole container said. The state is shared with it. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_snapshot_of_intake(rove_snapshot **ret, const rovei_intake *in);

/* The head of a backup's container; of a state that is not in it only the size counts. E_NOMEM,
 * E_SNAPSHOT_SIZE. */
ROVE_MUST_USE rove_err rovei_snapshot_container_head(const rove_snapshot *s, rove_buf **ret);

/* A snapshot as the bytes of a file, piece by piece: two counted blocks and the state between. */
#define ROVEI_SNAPSHOT_PIECE ((size_t)256 << 10)
typedef struct rovei_outflow {
    rove_buf *head, *tail;
    rove_span parts[3];
    size_t part, at;
    uint64_t size; /* of all of it */
} rovei_outflow;
/* Of the container, E_USAGE when it is no backup, or of the common format (`raw`). Reads all of the
 * state once. The snapshot outlives it. E_SNAPSHOT_SIZE, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_outflow_init(rovei_outflow *o, const rove_snapshot *snapshot,
                                          bool raw);
/* The bare state, nothing around it. */
void rovei_outflow_of_state(rovei_outflow *o, const rove_snapshot *snapshot);
/* False at the end. The piece is borrowed until _fini. */
bool rovei_outflow_next(rovei_outflow *o, size_t most, rove_span *ret);
void rovei_outflow_fini(rovei_outflow *o);

#endif
