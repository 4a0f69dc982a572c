/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities of daemons: an ed25519 key pair, or only its public half. The secret lies in the
 * guarded memory of a node and is wiped on free; nothing here prints or exports it. */
#ifndef ROVE_IDENTITY_H
#define ROVE_IDENTITY_H

#include <rove/node.h>
#include <rove/snapshot.h>

ROVE_BEGIN_DECLS

/* Immutable. A runtime makes its own copy of what it needs, so one identity may be given to several
 * runtimes, and is freed by the caller whenever he likes, before its node. */
typedef struct rove_identity rove_identity;

/* Draws a new key. The first spawn of one that was drawn here asks no other node whether it lives
 * elsewhere. Ownership: the caller frees. Errors: ROVE_E_USAGE (NULL), ROVE_E_NOMEM. Threads: any.
 * Blocking: never. Re-entry: allowed. docs/protocol.md, "Identities". */
ROVE_API ROVE_MUST_USE rove_err rove_identity_generate(rove_identity **ret, rove_node *node);

/* From the 32-byte seed. Errors, threads, blocking, re-entry as above. */
ROVE_API ROVE_MUST_USE rove_err rove_identity_from_seed(rove_identity **ret, rove_node *node,
                                                        const uint8_t seed[32]);

/* From the content of an identity file: 64 hex digits, then nothing or one newline. Also
 * ROVE_E_FILE (anything else). The caller wipes his bytes. */
ROVE_API ROVE_MUST_USE rove_err rove_identity_from_file_bytes(rove_identity **ret, rove_node *node,
                                                              rove_span bytes);

/* Only the public half: signing fails with ROVE_E_READ_ONLY. Also ROVE_E_PUBLIC_KEY (no point of
 * the curve), ROVE_E_NO_IMAGE (a point that no seed gives, as that of 32 zeros). */
ROVE_API ROVE_MUST_USE rove_err rove_identity_public_only(rove_identity **ret, rove_node *node,
                                                          const rove_entity *entity);

/* The key in a backup that was sealed for this node (rove_runtime_backup_for). Errors:
 * ROVE_E_IDENTITY_MISSING (it holds none), ROVE_E_ENVELOPE_OPEN (sealed for another node),
 * ROVE_E_VERSION, ROVE_E_ENVELOPE_SIGNER, ROVE_E_ENVELOPE_ATTEST (damaged, or forged),
 * ROVE_E_USAGE, ROVE_E_NOMEM. Else as rove_identity_from_seed. docs/protocol/container.md. */
ROVE_API ROVE_MUST_USE rove_err rove_identity_unseal(rove_identity **ret, rove_node *node,
                                                     const rove_snapshot *snapshot);

/* The public half. Never fails, never blocks. Threads: any. Re-entry: allowed. */
ROVE_API rove_entity rove_identity_entity(const rove_identity *identity);
/* The origin hash: how the causal links of this entity name it. As above. */
ROVE_API uint64_t rove_identity_origin(const rove_identity *identity);
/* The origin hash of any entity. As above. */
ROVE_API uint64_t rove_entity_origin(const rove_entity *entity);
/* How a peer of class net is written where an entity stands for a node: it has a node id (not 0)
 * and no entity. As above. */
ROVE_API rove_entity rove_entity_of_net(uint64_t node_id);

/* Signs. Errors: ROVE_E_READ_ONLY, ROVE_E_USAGE; `ret_signature` is untouched then. Threads: any.
 * Re-entry: allowed. */
ROVE_API ROVE_MUST_USE rove_err rove_identity_sign(const rove_identity *identity, rove_span message,
                                                   uint8_t ret_signature[64]);

/* Wipes and frees; NULL is ignored. Threads: any. Re-entry: allowed. */
ROVE_API void rove_identity_free(rove_identity *identity);

ROVE_END_DECLS

#endif
