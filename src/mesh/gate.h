/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may make this node do curve work. Up to `handshake_load` messages 1 a second, whose first mac
 * is right, are let in as they come. Above that each gets a cookie, and only those that come again
 * with its proof are let in, at most `handshake_source` a second of one source. An address is
 * believed only with a proof, so sources are told apart only then.
 *
 * Everything here has its size from the start: the flood that this is for allocates nothing. */
#ifndef ROVEI_MESH_GATE_H
#define ROVEI_MESH_GATE_H

#include <base/env.h>
#include <base/now.h>
#include <mesh/cookie.h>
#include <mesh/mesh.h>

#define ROVEI_GATE_SETS    128u
#define ROVEI_GATE_WAYS    4u  /* sources that share a place */
#define ROVEI_GATE_REPLIES 32u /* cookies that wait to be sent */

/* A source: an IPv4 address or the first 64 bits of an IPv6 one. */
typedef struct rovei_source {
    uint64_t prefix;
    uint8_t family; /* 0: a free place */
    uint64_t full;  /* when all that it was let in for is worked off */
} rovei_source;

typedef struct rovei_cookie_reply {
    rovei_addr to;
    uint8_t bytes[ROVEI_COOKIE_SIZE];
} rovei_cookie_reply;

typedef struct rovei_gate {
    const rovei_env *env;
    uint8_t *keys;         /* slot: the secret behind cookies, the key that seals them */
    uint64_t secret_until; /* monotonic; 0: none is drawn yet */
    uint64_t seed;         /* of the places of sources */
    uint64_t busy_until;   /* when the messages 1 that came are worked off at `handshake_load` */
    rovei_source sources[ROVEI_GATE_SETS][ROVEI_GATE_WAYS];
    rovei_cookie_reply replies[ROVEI_GATE_REPLIES];
    size_t reply_first, reply_count;
} rovei_gate;

/* E_NOMEM. */
ROVE_MUST_USE rove_err rovei_gate_init(rovei_gate *g, const rovei_env *env, const uint8_t psk[32],
                                       const rove_entity *self);
void rovei_gate_fini(rovei_gate *g); /* zeroed is fine */

/* Judges a message 1 whose first mac is right. DROP_COUNT: let in. DROP_UNPROVED: a cookie was made
 * for it. DROP_RATE: its source has had its share, or as many cookies wait as can. */
rovei_drop rovei_gate_judge(rovei_gate *g, rovei_now now, const rovei_addr *from,
                            const rovei_packet *p);
bool rovei_gate_has_reply(const rovei_gate *g);
/* The next cookie to send; there is one. */
size_t rovei_gate_reply(rovei_gate *g, uint8_t *ret, rovei_addr *ret_to);

#endif
