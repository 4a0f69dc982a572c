/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets about a path (docs/protocol/sessions.md): a challenge that is sent to an address, and the
 * answer that proves that the peer receives there. They are sealed like all data, but carry packet
 * number 0, so that they are the session's own and no transport counts or repeats them. */
#ifndef ROVEI_MESH_PATH_H
#define ROVEI_MESH_PATH_H

#include <mesh/address.h>
#include <mesh/frames.h>

typedef enum rovei_path_type {
    ROVEI_PATH_CHALLENGE = 10,
    ROVEI_PATH_ANSWER = 11,
} rovei_path_type;

#define ROVEI_PATH_TOKEN 8
#define ROVEI_PATH_SIZE  (ROVEI_PACKET_HEADER + 1 + ROVEI_PATH_TOKEN)

typedef struct rovei_path_packet {
    rovei_path_type type;
    uint8_t token[ROVEI_PATH_TOKEN];
} rovei_path_packet;

/* Whether a packet is about a path, right or wrong. */
bool rovei_path_is(const uint8_t *plain, size_t size);
/* E_FORMAT, E_SHORT, E_TRAILING. */
ROVE_MUST_USE rove_err rovei_path_read(const uint8_t *plain, size_t size, rovei_path_packet *ret);
void rovei_path_write(uint8_t ret[ROVEI_PATH_SIZE], const rovei_path_packet *p);

/* An address from which a peer was heard and which has not answered yet. Nothing but challenges is
 * sent there, and of those no more than three times the bytes that came. */
typedef struct rovei_path {
    rovei_addr addr; /* family 0: there is none */
    uint8_t token[ROVEI_PATH_TOKEN];
    uint64_t received, sent; /* bytes, from and to there */
    uint64_t interval;       /* until the challenge is repeated */
    unsigned tries;
    bool due; /* a challenge is to be sent */
} rovei_path;

#endif
