/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity envelope: a daemon's seed sealed to one node and bound to one link of the daemon's
 * chain (docs/protocol.md, "Identity envelope"). */
#ifndef ROVEI_IDENTITY_ENVELOPE_H
#define ROVEI_IDENTITY_ENVELOPE_H

#include <identity/entity.h>

#define ROVEI_ENVELOPE_SIZE 209

typedef struct rovei_envelope {
    uint8_t target[32]; /* recipient's X25519 public key */
    uint8_t ephemeral[32];
    uint8_t box[48];    /* sealed seed and tag */
    rove_entity signer; /* the daemon's own key */
    uint8_t signature[64];
} rovei_envelope;

void rovei_envelope_encode(const rovei_envelope *e, uint8_t ret[ROVEI_ENVELOPE_SIZE]);
/* E_SHORT or E_TRAILING for another length, E_VERSION for another version. */
ROVE_MUST_USE rove_err rovei_envelope_decode(rovei_envelope *ret, rove_span bytes);

/* E_READ_ONLY, E_WEAK_SECRET. */
ROVE_MUST_USE rove_err rovei_envelope_seal(rovei_envelope *ret, const rovei_env *env,
                                           const rovei_keypair *daemon, const uint8_t target[32],
                                           const rove_link *link);
/* In this order: E_ENVELOPE_SIGNER, E_ENVELOPE_ATTEST, E_ENVELOPE_OPEN, E_ENVELOPE_ATTEST;
 * and E_NOMEM. `expected` may be NULL. */
ROVE_MUST_USE rove_err rovei_envelope_open(rovei_keypair **ret, const rovei_env *env,
                                           const rovei_envelope *e, const uint8_t secret[32],
                                           const rove_link *link, const rove_entity *expected);

#endif
