/* SPDX-License-Identifier: Apache-2.0
 *
 * One session: a pair of keys made by one handshake, with its indices, counters and replay window.
 * It belongs to one association and is replaced by the next long before it wears out. */
#ifndef ROVEI_MESH_SESSION_H
#define ROVEI_MESH_SESSION_H

#include <mesh/handshake.h>
#include <mesh/mesh.h>
#include <mesh/replay.h>

/* A counter from here on is never used. */
#define ROVEI_COUNTER_END (UINT64_C(1) << 62)

struct rovei_peer;

typedef struct rovei_session {
    struct rovei_peer *peer;
    rovei_session_class session_class;
    uint32_t index;                  /* ours: what the peer writes into its packets */
    uint32_t remote_index;           /* the peer's */
    bool own;                        /* this node began the handshake */
    bool heard;                      /* something authentic came under these keys */
    bool answer_due;                 /* `answer` is to be sent to `addr` */
    uint64_t created;                /* monotonic */
    uint64_t asked;                  /* monotonic: this side's handshake message was written */
    uint64_t init_time, answer_time; /* the times of message 1 and of message 2 */
    uint64_t number, incarnation;    /* the peer's, as it said in this handshake */
    uint64_t sent;                   /* packets sealed: the next counter */
    struct rovei_aead *seal, *open;
    rovei_addr addr; /* where this side's handshake message was sent */
    rovei_replay window;
    uint8_t answer[ROVEI_RESPONSE_SIZE];
} rovei_session;

/* Keys from a handshake that is done. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_session_new(rovei_session **ret, const rovei_env *env,
                                         const rovei_noise *n, const rovei_hello *peer,
                                         uint64_t own_time, uint64_t now);
void rovei_session_free(rovei_session *s, const rovei_env *env); /* NULL is fine */

/* The time that the peer's clock gave to this handshake. */
uint64_t rovei_session_peer_time(const rovei_session *s);
/* Which of two sessions of one association is to be used for sending: the one whose handshake
 * began after the other was answered; of two that crossed, the one begun by the lower entity. Both
 * sides get the same result, as they compare the same numbers. */
bool rovei_session_beats(const rovei_session *a, const rovei_session *b, bool this_node_is_lower);

/* Header, ciphertext and tag into `ret`, where the plaintext already lies behind the header. Gives
 * the size of the datagram. */
size_t rovei_session_seal(rovei_session *s, uint8_t *ret, size_t plain_size);
/* Opens in place. E_REPLAY, E_AUTH. */
ROVE_MUST_USE rove_err rovei_session_open(rovei_session *s, const rovei_packet *p, uint8_t *text,
                                          size_t *ret_size);

#endif
