/* SPDX-License-Identifier: Apache-2.0
 *
 * What an association carries, without keys or sockets: packets of frames with numbers of their
 * own, acknowledgements, loss recovery, round-trip times, congestion control with pacing, and
 * reliable ordered streams of messages (docs/protocol.md, "Streams").
 *
 * A stream goes one way: its opener sends messages, the other side receives them in order. Both
 * sides open as many as they need. A message is any bytes up to `message_max`; it is cut into
 * stream frames and put together again, so it may be larger than a packet. Packet numbers are the
 * association's, not the key's: keys rotate underneath without a stream noticing.
 *
 * Pull interface: the owner gives opened packets to _receive, asks _build for the plaintext of the
 * next packet until it gives 0, calls _expire at _deadline, and drains _poll. */
#ifndef ROVEI_MESH_TRANSPORT_H
#define ROVEI_MESH_TRANSPORT_H

#include <base/buf.h>
#include <base/env.h>
#include <base/now.h>

typedef struct rovei_transport rovei_transport;

/* Largest message on a stream: the ceiling of event_max and room for its frame. */
#define ROVEI_MESSAGE_MAX ((UINT64_C(16) << 20) + 65536)

typedef struct rovei_transport_stats {
    uint64_t packets_sent, packets_received, packets_lost, packets_duplicate;
    uint64_t bytes_in_flight, congestion_window;
    uint64_t rtt_smoothed, rtt_min; /* nanoseconds, 0 before the first measurement */
    uint64_t streams_out, streams_in, bytes_queued;
} rovei_transport_stats;

ROVE_MUST_USE rove_err rovei_transport_new(rovei_transport **ret, const rovei_env *env,
                                           rovei_now now);
void rovei_transport_free(rovei_transport *t);

/* One opened packet. An error of class PEER means that the peer broke the protocol: the owner ends
 * the association. E_NOMEM, E_FULL (too many pieces wait behind gaps): treated as if the packet had
 * been lost. A packet seen before is no error. */
ROVE_MUST_USE rove_err rovei_transport_receive(rovei_transport *t, rovei_now now,
                                               const uint8_t *plain, size_t size);
/* Writes the plaintext of the next packet and gives its size, at most `room` (at least 256); 0 when
 * nothing may be sent now (nothing to say, window full, or pacing: _deadline tells when). */
size_t rovei_transport_build(rovei_transport *t, rovei_now now, uint8_t *ret, size_t room);
/* When _expire or _build wants to be called next; ROVE_TIME_NEVER when nothing is pending. 0 when
 * something can be built at once. */
uint64_t rovei_transport_deadline(const rovei_transport *t);
void rovei_transport_expire(rovei_transport *t, rovei_now now);
/* Makes the next _build produce a packet that asks for an acknowledgement (heartbeat, first packet
 * under new keys). */
void rovei_transport_ping(rovei_transport *t);
/* Time at which the last packet that asked for an acknowledgement was built. */
uint64_t rovei_transport_last_sent(const rovei_transport *t);
/* The peer was silent and is heard again, or has moved: starts slow again, sends what waits at
 * once. Streams stay. */
void rovei_transport_wake(rovei_transport *t, rovei_now now);
/* The handshake took `round_trip`: better than the assumption, as long as nothing is measured. */
void rovei_transport_first_guess(rovei_transport *t, uint64_t round_trip);

/* ---- outgoing streams; ids are ours, from 1, never used again ---- */
/* `tag` names the subprotocol and travels with the stream. E_STREAM_LIMIT at the peer's limit. */
ROVE_MUST_USE rove_err rovei_transport_open(rovei_transport *t, uint16_t tag, uint64_t *ret_id);
/* Queues one message, made of `head` (copied) followed by `body` (shared, may be NULL). E_GONE (no
 * such stream, or reset), E_CLOSED (finished), E_TOO_LARGE, E_FULL (send_buffer), E_NOMEM: nothing
 * is queued then. */
ROVE_MUST_USE rove_err rovei_transport_send(rovei_transport *t, uint64_t id, rove_span head,
                                            rove_buf *body);
/* No message follows; the stream ends when all is acknowledged. */
void rovei_transport_finish(rovei_transport *t, uint64_t id);
/* Drops what is queued and tells the peer; after this no message of the stream is delivered that
 * was not delivered before the reset arrived. */
void rovei_transport_reset(rovei_transport *t, uint64_t id);
/* Bytes of a stream that are queued or not yet acknowledged. 0 for an unknown one. */
uint64_t rovei_transport_queued(const rovei_transport *t, uint64_t id);

/* ---- what came ---- */
typedef enum rovei_transport_event_kind {
    ROVEI_TRANSPORT_MESSAGE,  /* a whole message of an incoming stream, in the stream's order */
    ROVEI_TRANSPORT_FINISHED, /* the peer finished an incoming stream; all of it was delivered */
    ROVEI_TRANSPORT_RESET,    /* the peer reset an incoming stream */
    ROVEI_TRANSPORT_REFUSED,  /* the peer refused a stream of ours: its limit is reached */
} rovei_transport_event_kind;

typedef struct rovei_transport_event {
    rovei_transport_event_kind kind;
    uint16_t tag;
    uint64_t stream;   /* incoming and outgoing ids are separate spaces */
    rove_buf *message; /* one reference, passed to the caller of _poll; MESSAGE only */
} rovei_transport_event;

/* Flow credit for a message is given back to the peer when it is polled. */
bool rovei_transport_poll(rovei_transport *t, rovei_transport_event *ret);
/* For a reader that is slower than the network: takes credit back that the last _poll gave for
 * `size` bytes of that stream, until _release. What an ended stream held is released with it. */
void rovei_transport_hold(rovei_transport *t, uint64_t stream, uint64_t size);
void rovei_transport_release(rovei_transport *t, uint64_t stream, uint64_t size);

rovei_transport_stats rovei_transport_stats_get(const rovei_transport *t);
/* Invariants over all of it, for tests and the simulator: aborts when one is broken. */
void rovei_transport_check(const rovei_transport *t);

#endif
