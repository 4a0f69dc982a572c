/* SPDX-License-Identifier: Apache-2.0
 *
 * The two handshake messages: what their payloads say, the mac in front of the curve work, and the
 * check that an entity belongs to the static key that was proved. */
#ifndef ROVEI_MESH_HANDSHAKE_H
#define ROVEI_MESH_HANDSHAKE_H

#include <mesh/noise.h>
#include <mesh/packet.h>

/* Versions of the inner protocol that this node speaks. */
#define ROVEI_PROTOCOL_MIN 1
#define ROVEI_PROTOCOL_MAX 1

typedef struct rovei_hello {
    rove_entity entity;
    uint64_t incarnation;
    uint64_t time;        /* strictly growing per entity, over restarts */
    uint64_t association; /* the sender's number for its association with the receiver */
    uint16_t version_min, version_max;
    uint16_t version; /* the one chosen; in message 2 only, else 0 */
} rovei_hello;

#define ROVEI_HELLO_SIZE  60
#define ROVEI_ANSWER_SIZE 62

void rovei_hello_write(rovei_writer *w, const rovei_hello *hello, bool answer);
/* E_SHORT, E_TRAILING; E_FORMAT for a version range or choice that makes no sense. */
ROVE_MUST_USE rove_err rovei_hello_read(rovei_hello *ret, rove_span bytes, bool answer);
/* The greatest version that both speak, 0 when there is none. */
uint16_t rovei_hello_choose(const rovei_hello *peer);

/* The key of the macs of messages to `receiver`. */
void rovei_mac_key(uint8_t ret[32], const uint8_t psk[32], const rove_entity *receiver);
/* Whether a handshake message was made by somebody who knows the psk and the receiver. E_AUTH. The
 * second mac is cookie.h's. */
ROVE_MUST_USE rove_err rovei_mac_check(const rovei_packet *p, const uint8_t key[32]);

/* What both messages need of Noise, for one side. */
ROVE_MUST_USE rove_err rovei_handshake_init(rovei_noise *n, const rovei_env *env, bool initiator,
                                            const rovei_noise_keys *keys);

ROVE_MUST_USE rove_err rovei_initiation_write(rovei_noise *n, uint32_t sender,
                                              const rovei_hello *hello, const uint8_t mac_key[32],
                                              uint8_t ret[ROVEI_INITIATION_SIZE]);
ROVE_MUST_USE rove_err rovei_response_write(rovei_noise *n, uint32_t sender, uint32_t receiver,
                                            const rovei_hello *hello, const uint8_t mac_key[32],
                                            uint8_t ret[ROVEI_RESPONSE_SIZE]);
/* After the mac was checked. E_AUTH, E_WEAK_SECRET, E_FORMAT; E_NO_IMAGE or E_IDENTITY when the
 * entity does not belong to the proved static key. */
ROVE_MUST_USE rove_err rovei_initiation_read(rovei_noise *n, const rovei_packet *p,
                                             rovei_hello *ret);
/* Also E_IDENTITY when the answer comes from another entity than `expected`, though it has the same
 * image. */
ROVE_MUST_USE rove_err rovei_response_read(rovei_noise *n, const rovei_packet *p,
                                           const rove_entity *expected, rovei_hello *ret);

#endif
