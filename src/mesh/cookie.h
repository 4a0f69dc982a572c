/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies (docs/protocol/sessions.md): what a busy node answers to a message 1 instead of doing
 * curve work, and the proof with which the message then comes again. A cookie is a mac over an
 * address, so only who receives at that address can have it; it travels sealed, so only who knows
 * the psk can read it. */
#ifndef ROVEI_MESH_COOKIE_H
#define ROVEI_MESH_COOKIE_H

#include <mesh/address.h>
#include <mesh/packet.h>

#define ROVEI_COOKIE_BYTES 16

/* The key under which `giver` seals its cookies. */
void rovei_cookie_key(uint8_t ret[32], const uint8_t psk[32], const rove_entity *giver);
/* The cookie of an address under a secret of the node that gives it. */
void rovei_cookie_of(uint8_t ret[ROVEI_COOKIE_BYTES], const uint8_t secret[32],
                     const rovei_addr *addr);

/* The answer to the message 1 of index `receiver` and with the first mac `mac1`. */
void rovei_cookie_write(uint8_t ret[ROVEI_COOKIE_SIZE], uint32_t receiver, const uint8_t key[32],
                        const uint8_t nonce[ROVEI_COOKIE_NONCE], const uint8_t mac1[ROVEI_MAC_SIZE],
                        const uint8_t cookie[ROVEI_COOKIE_BYTES]);
/* E_AUTH: not made for this message, or by somebody else. */
ROVE_MUST_USE rove_err rovei_cookie_read(const rovei_packet *p, const uint8_t key[32],
                                         const uint8_t mac1[ROVEI_MAC_SIZE],
                                         uint8_t ret[ROVEI_COOKIE_BYTES]);

/* Puts the proof, the second mac, into a finished message 1. */
void rovei_cookie_prove(uint8_t message[ROVEI_INITIATION_SIZE],
                        const uint8_t cookie[ROVEI_COOKIE_BYTES]);
/* Whether a message carries the proof. */
bool rovei_cookie_is_proved(const rovei_packet *p, const uint8_t cookie[ROVEI_COOKIE_BYTES]);

#endif
