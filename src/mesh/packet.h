/* SPDX-License-Identifier: Apache-2.0
 *
 * The outside of datagrams between Rove nodes (docs/protocol.md, "Sessions"): magic, version, type
 * and session indices. Nothing in it names a node. */
#ifndef ROVEI_MESH_PACKET_H
#define ROVEI_MESH_PACKET_H

#include <base/cursor.h>
#include <crypto/crypto.h>

#define ROVEI_PACKET_MAGIC0  0x45
#define ROVEI_PACKET_MAGIC1  0x4E
#define ROVEI_PACKET_VERSION 2

typedef enum rovei_packet_type {
    ROVEI_PACKET_INITIATION = 1,
    ROVEI_PACKET_RESPONSE = 2,
    ROVEI_PACKET_COOKIE = 3,
    ROVEI_PACKET_DATA = 4,
} rovei_packet_type;

#define ROVEI_MAC_SIZE          16
#define ROVEI_DATA_HEADER       16
#define ROVEI_DATA_OVERHEAD     (ROVEI_DATA_HEADER + ROVEI_TAG_SIZE)
#define ROVEI_INITIATION_HEADER 8
#define ROVEI_RESPONSE_HEADER   12
#define ROVEI_INITIATION_NOISE  156
#define ROVEI_RESPONSE_NOISE    110
#define ROVEI_COOKIE_HEADER     8
#define ROVEI_COOKIE_NONCE      24
#define ROVEI_INITIATION_SIZE                                                                      \
    (ROVEI_INITIATION_HEADER + ROVEI_INITIATION_NOISE + 2 * ROVEI_MAC_SIZE)
#define ROVEI_RESPONSE_SIZE (ROVEI_RESPONSE_HEADER + ROVEI_RESPONSE_NOISE + 2 * ROVEI_MAC_SIZE)
#define ROVEI_COOKIE_SIZE   (ROVEI_COOKIE_HEADER + ROVEI_COOKIE_NONCE + 16 + ROVEI_TAG_SIZE)

/* A datagram in its parts; the spans are views of it. */
typedef struct rovei_packet {
    rovei_packet_type type;
    uint32_t sender;   /* sender's index; initiation, response */
    uint32_t receiver; /* receiver's index; response, cookie, data */
    uint64_t counter;  /* data */
    rove_span header;  /* the bytes before noise or sealed: bound to them */
    rove_span noise;   /* initiation, response */
    rove_span maced;   /* what the first mac covers; initiation, response */
    uint8_t mac1[ROVEI_MAC_SIZE], mac2[ROVEI_MAC_SIZE];
    uint8_t nonce[ROVEI_COOKIE_NONCE]; /* cookie */
    rove_span sealed;                  /* cookie, data: ciphertext and tag */
} rovei_packet;

/* Whether it begins as datagrams of this class do; all else is for class net to judge. */
static inline bool rovei_packet_is(const uint8_t *dgram, size_t size)
{
    return size >= 3 && dgram[0] == ROVEI_PACKET_MAGIC0 && dgram[1] == ROVEI_PACKET_MAGIC1 &&
           dgram[2] == ROVEI_PACKET_VERSION;
}

/* E_SHORT, E_MAGIC, E_VERSION, E_FLAG (no such type), E_TRAILING. */
ROVE_MUST_USE rove_err rovei_packet_read(rovei_packet *ret, rove_span dgram);

/* Write the header of one type; the writer is at the start of the datagram. */
void rovei_packet_write_initiation(rovei_writer *w, uint32_t sender);
void rovei_packet_write_response(rovei_writer *w, uint32_t sender, uint32_t receiver);
void rovei_packet_write_cookie(rovei_writer *w, uint32_t receiver);
void rovei_packet_write_data(rovei_writer *w, uint32_t receiver, uint64_t counter);

#endif
