/* SPDX-License-Identifier: Apache-2.0
 *
 * The state snapshot, format CDS1 version 2 (docs/protocol.md, "State snapshot"). */
#ifndef ROVEI_STATE_SNAPSHOT_H
#define ROVEI_STATE_SNAPSHOT_H

#include <identity/envelope.h>
#include <state/chain.h>

typedef struct rovei_snapshot {
    rove_entity entity;
    uint64_t through_seq;
    rove_link link;
    uint64_t created_at; /* wall clock, nanoseconds */
    rove_span state;     /* borrowed */
    rove_span bindings;  /* borrowed; an encoded ledger, empty when there is none */
    bool has_envelope;
    rovei_envelope envelope;
} rovei_snapshot;

/* Size of the encoding; E_SNAPSHOT_SIZE when a part exceeds 2^32-1 bytes. */
ROVE_MUST_USE rove_err rovei_snapshot_size(const rovei_snapshot *s, size_t *ret);
void rovei_snapshot_encode(const rovei_snapshot *s, rovei_writer *w);
/* What stands before the state, and after it. For a size that was found good. */
#define ROVEI_SNAPSHOT_HEAD 89
void rovei_snapshot_encode_head(const rovei_snapshot *s, rovei_writer *w);
void rovei_snapshot_encode_tail(const rovei_snapshot *s, rovei_writer *w);
/* Borrows from `bytes`. E_MAGIC, E_VERSION, E_SHORT, E_FLAG, E_SNAPSHOT_ENVELOPE, E_TRAILING,
 * E_SNAPSHOT_SEQUENCE, E_SNAPSHOT_ORIGIN. */
ROVE_MUST_USE rove_err rovei_snapshot_decode(rovei_snapshot *ret, rove_span bytes);

/* Puts an envelope sealed to `target` at the snapshot's link. Errors of rovei_envelope_seal. */
ROVE_MUST_USE rove_err rovei_snapshot_seal(rovei_snapshot *s, const rovei_env *env,
                                           const rovei_keypair *daemon, const uint8_t target[32]);
/* *ret is NULL when there is no envelope. Errors of rovei_envelope_open, E_ENVELOPE_ORIGIN. */
ROVE_MUST_USE rove_err rovei_snapshot_open(rovei_keypair **ret, const rovei_env *env,
                                           const rovei_snapshot *s, const uint8_t secret[32]);

#endif
