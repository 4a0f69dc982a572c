/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake of class net (Noise NKpsk0), in both framings and both roles. A message that does
 * not authenticate leaves a handshake as it was. The initiator proves nothing but the psk: its node
 * id is its own word (routed) or our list's (direct). */
#ifndef ROVEI_NET_HANDSHAKE_H
#define ROVEI_NET_HANDSHAKE_H

#include <mesh/noise.h>
#include <net/session.h>

/* Noise messages and the datagrams around them. */
#define ROVEI_NET_NOISE        48 /* message 1 with the direct framing; message 2 with both */
#define ROVEI_NET_NOISE_ROUTED 56 /* message 1 with the routed framing: a node id more */
#define ROVEI_NET_HANDSHAKE_MAX                                                                    \
    (ROVEI_NET_ROUTE_SIZE + ROVEI_NET_HEADER_SIZE + ROVEI_NET_NOISE_ROUTED)

/* This node, as handshakes need it. Borrowed as long as one runs. */
typedef struct rovei_net_self {
    const rovei_env *env;
    uint64_t node_id;
    const uint8_t *psk;        /* 32 bytes each */
    const uint8_t *secret;     /* X25519 */
    const uint8_t *public_key; /* X25519 */
} rovei_net_self;

typedef struct rovei_net_handshake {
    const rovei_net_self *self;
    rovei_noise noise;
    rovei_noise_trial trial; /* direct message 1, before its sender is known */
    uint64_t peer;           /* node id */
    bool routed;
} rovei_net_handshake;

/* Wipes; harmless on one that is all zero, that was ended before or whose start failed. */
void rovei_net_handshake_fini(rovei_net_handshake *h);

/* ---- initiator ---- */

/* Starts a handshake with a fresh ephemeral key and writes the datagram with message 1. E_NOMEM;
 * E_WEAK_SECRET for a key of the peer with which no handshake is possible. */
ROVE_MUST_USE rove_err rovei_net_dial(rovei_net_handshake *h, const rovei_net_self *self,
                                      uint64_t peer, const uint8_t peer_key[32], bool routed,
                                      uint8_t ret[ROVEI_NET_HANDSHAKE_MAX], size_t *ret_size);
/* Whether a handshake packet can be message 2 to `h` by what is not secret: framing, ids, length.
 */
bool rovei_net_dial_fits(const rovei_net_handshake *h, const rovei_net_packet *p);
/* Reads message 2; the handshake is done then. E_AUTH, E_SHORT, E_BOUND, E_WEAK_SECRET. */
ROVE_MUST_USE rove_err rovei_net_dial_end(rovei_net_handshake *h, const rovei_net_packet *p,
                                          const uint8_t *dgram);

/* ---- responder ---- */

/* The initiator's ephemeral key, readable by anybody: it tells a repeated message 1 from a new one
 * before any work. NULL when the message is too short. */
const uint8_t *rovei_net_ephemeral(const rovei_net_packet *p, const uint8_t *dgram);
/* Reads a routed message 1 that is addressed to this node; h->peer is then who it says it is.
 * E_AUTH, E_SHORT, E_BOUND, E_WEAK_SECRET, E_NOMEM; E_IDENTITY when the id inside and outside
 * differ. */
ROVE_MUST_USE rove_err rovei_net_answer_routed(rovei_net_handshake *h, const rovei_net_self *self,
                                               const rovei_net_packet *p, const uint8_t *dgram);
/* A direct message 1 does not say whose it is. This does the curve work, once; then each node id
 * that may connect is tried, for the price of a few hashes, until one is right. The datagram has to
 * stay meanwhile. E_SHORT, E_BOUND, E_WEAK_SECRET, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_answer_direct(rovei_net_handshake *h, const rovei_net_self *self,
                                               const rovei_net_packet *p, const uint8_t *dgram);
/* E_AUTH: not this one. */
ROVE_MUST_USE rove_err rovei_net_answer_try(rovei_net_handshake *h, uint64_t node_id);
/* Writes the datagram with message 2 in the framing of message 1; the handshake is done then.
 * E_WEAK_SECRET. */
ROVE_MUST_USE rove_err rovei_net_answer_write(rovei_net_handshake *h,
                                              uint8_t ret[ROVEI_NET_HANDSHAKE_MAX],
                                              size_t *ret_size);

/* ---- both ---- */

/* The session of a handshake that is done. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_handshake_session(const rovei_net_handshake *h,
                                                   rovei_net_session *ret);

#endif
