/* SPDX-License-Identifier: Apache-2.0
 *
 * One session of class net: the keys that come from a handshake's hash, one counter for everything
 * that is sealed, and the replay window. Neither sealing nor opening allocates. */
#ifndef ROVEI_NET_SESSION_H
#define ROVEI_NET_SESSION_H

#include <base/env.h>
#include <mesh/replay.h>
#include <net/wire.h>

/* A counter of this age, the highest one being of age 0, counts as seen; jumps forward have no
 * bound. */
#define ROVEI_NET_WINDOW 1024

typedef struct rovei_net_session {
    const rovei_env *env;
    uint64_t id;           /* equal on both sides; the packets say it */
    uint32_t nonce_prefix; /* follows from the id */
    bool initiator;
    uint8_t *keys; /* slot: the key that seals, the key that opens; NULL when not in use */
    uint64_t sent; /* packets sealed: the next counter */
    rovei_replay window;
} rovei_net_session;

/* A key of this session class: whoever has the hash of a handshake has them all. */
void rovei_net_derive(uint8_t ret[32], const uint8_t hash[32], const char *label);
uint32_t rovei_net_nonce_prefix(uint64_t session_id);

/* E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_session_init(rovei_net_session *s, const rovei_env *env,
                                              const uint8_t hash[32], bool initiator);
/* Wipes; harmless on one that is all zero or was ended before. */
void rovei_net_session_fini(rovei_net_session *s);

/* Header, ciphertext and tag into `ret`, where the plaintext lies behind the header's place. Of `h`
 * the session, nonce and plain size are filled in here. Gives plain_size + ROVEI_NET_OVERHEAD. */
size_t rovei_net_session_seal(rovei_net_session *s, const rovei_net_header *h, uint8_t *ret,
                              size_t plain_size);
/* A heartbeat: all of a header that can be zero is. */
void rovei_net_session_heartbeat(rovei_net_session *s, uint8_t ret[ROVEI_NET_OVERHEAD]);
/* Opens a heartbeat or data packet in place; `ret` is the plaintext, in the datagram. The caller
 * has found the session by its id. E_REPLAY, E_AUTH: the window is as it was. */
ROVE_MUST_USE rove_err rovei_net_session_open(rovei_net_session *s, const rovei_net_packet *p,
                                              uint8_t *dgram, rove_span *ret);

#endif
