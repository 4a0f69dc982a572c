/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities: the ed25519 key pair of a node or a daemon and the ids derived from its public half
 * (docs/protocol.md, "Identities"). The secret lives in the slab and leaves it only as an explicit
 * export or inside of an identity envelope. */
#ifndef ROVEI_IDENTITY_ENTITY_H
#define ROVEI_IDENTITY_ENTITY_H

#include <base/env.h>

uint64_t rovei_entity_origin(const rove_entity *e);
uint64_t rovei_entity_node_id(const rove_entity *e);
bool rovei_entity_equal(const rove_entity *a, const rove_entity *b);
/* Byte-wise order: <0, 0, >0. */
int rovei_entity_compare(const rove_entity *a, const rove_entity *b);
static inline bool rovei_entity_is_zero(const rove_entity *e)
{
    for (size_t i = 0; i < sizeof e->bytes; i++)
        if (e->bytes[i])
            return false;
    return true;
}

/* A node of class net has no entity that anybody could know: its handshake proves none. Where an
 * entity stands for a node, such a peer is written as its node id and 24 zero bytes. Nobody holds a
 * key for that, and rovei_entity_node_id gives the id back. */
rove_entity rovei_entity_of_net(uint64_t node_id); /* not of 0 */
bool rovei_entity_is_net(const rove_entity *e);

/* True when this node id would make its pingwaves look like packets (low 16 bits 0x4E45). */
bool rovei_node_id_is_reserved(uint64_t node_id);

/* Counted, immutable but for wiping; the count is atomic. */
typedef struct rovei_keypair rovei_keypair;

/* Never one whose node id is reserved. E_NOMEM, and E_RESERVED_ID from a source of randomness that
 * gives nothing else. */
ROVE_MUST_USE rove_err rovei_keypair_generate(rovei_keypair **ret, const rovei_env *env);
/* Any seed and any entity is taken. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_keypair_from_seed(rovei_keypair **ret, const rovei_env *env,
                                               const uint8_t seed[32]);
ROVE_MUST_USE rove_err rovei_keypair_public_only(rovei_keypair **ret, const rovei_env *env,
                                                 const rove_entity *entity);
rovei_keypair *rovei_keypair_ref(rovei_keypair *k);
void rovei_keypair_unref(rovei_keypair *k); /* NULL is fine; the last one wipes */

const rove_entity *rovei_keypair_entity(const rovei_keypair *k);
uint64_t rovei_keypair_origin(const rovei_keypair *k);
uint64_t rovei_keypair_node_id(const rovei_keypair *k);
bool rovei_keypair_is_read_only(const rovei_keypair *k);
/* E_READ_ONLY without a private half; `ret` is untouched then. */
ROVE_MUST_USE rove_err rovei_keypair_sign(const rovei_keypair *k, const void *msg, size_t size,
                                          uint8_t ret[64]);
ROVE_MUST_USE rove_err rovei_keypair_seed(const rovei_keypair *k, uint8_t ret[32]);
/* The X25519 secret that belongs to the key's image. */
ROVE_MUST_USE rove_err rovei_keypair_x25519(const rovei_keypair *k, uint8_t ret_secret[32]);
/* Drops the private half in place, for every holder of a reference; idempotent. The owner makes
 * sure that nobody signs meanwhile. */
void rovei_keypair_wipe(rovei_keypair *k);

#endif
