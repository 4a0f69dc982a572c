/* SPDX-License-Identifier: Apache-2.0
 *
 * The event plane of one session of class net: its streams in both directions, and the control
 * packets that acknowledge, grant credit, ask for what is missing and end streams
 * (docs/protocol/net.md, "Streams"). The session's owner opens and seals packets; what is opened
 * goes in here, what is to be sealed is asked for. */
#ifndef ROVEI_NET_FLOW_H
#define ROVEI_NET_FLOW_H

#include <base/env.h>
#include <base/map.h>
#include <net/flow_receive.h>
#include <net/flow_send.h>

/* Credit of a stream unless the sender opened it with another. */
#define ROVEI_FLOW_WINDOW 65536u
/* Holes are told again, and what was sent is looked at, in this interval. */
#define ROVEI_FLOW_TICK (25 * ROVE_MILLISECOND)

/* What happened to streams, over all sessions. X(identifier, name shown to people) */
#define ROVEI_FLOW_STATS(X)                                                                        \
    X(received, "received")         /* packets with events that were new */                        \
    X(duplicates, "duplicates")     /* packets that were here before */                            \
    X(refused, "refused")           /* packets too far ahead, or behind too many holes */          \
    X(given_up, "given_up")         /* sequences that nobody repaired */                           \
    X(evicted, "evicted")           /* streams forgotten since there were too many */              \
    X(ended, "ended")               /* streams that their sender has ended */                      \
    X(malformed, "malformed")       /* events of control packets that do not decode */             \
    X(stray, "stray")               /* control of streams that this node does not send on */       \
    X(sent, "sent")                 /* packets with events that left, resends included */          \
    X(resent, "resent")             /* those of them that had left before */                       \
    X(failed, "failed")             /* streams that were given up after too many resends */        \
    X(renewed, "renewed")           /* streams of channels that began anew */                      \
    X(backpressure, "backpressure") /* packets that were not taken: no credit, or too much sent */ \
    X(grants, "grants")             /* grants that left */                                         \
    X(nacks, "nacks")               /* requests for missing packets that left */                   \
    X(contradicted, "contradicted") /* requests for what was acknowledged before */
typedef struct rovei_flow_stats {
#define ROVEI_FLOW_STATS_FIELD(id, name) uint64_t id;
    ROVEI_FLOW_STATS(ROVEI_FLOW_STATS_FIELD)
#undef ROVEI_FLOW_STATS_FIELD
} rovei_flow_stats;

/* Embedded in a session, which stays where it is; the members are flow.c's own. */
typedef struct rovei_flow {
    const rovei_env *env;
    rovei_flow_stats *stats;
    rovei_map streams;      /* by id, in both directions */
    rovei_list heard;       /* those that this node only receives, longest silent first */
    rovei_list due;         /* those with something to tell the peer */
    rovei_list ticking;     /* those with holes, or with packets under way */
    rovei_list told;        /* those with something to tell the owner */
    rovei_list queue;       /* packets that wait to leave */
    uint64_t control;       /* sequence of the next control packet */
    uint64_t tick_at;       /* UINT64_MAX: nothing is ticking */
    uint32_t due_counts[3]; /* of streams with a grant, a NACK, a reset to send */
} rovei_flow;

/* `stats` is shared by the flows of one object and outlives them. Allocates nothing. */
void rovei_flow_init(rovei_flow *f, const rovei_env *env, rovei_flow_stats *stats);
void rovei_flow_fini(rovei_flow *f);

/* ---- receiving ---- */
/* A packet of the event plane that has authenticated, once. ROVEI_FLOW_NEW: its events are for the
 * application, in the order of their arrival, which the sequence tells from the sender's. Also
 * REFUSED: out of memory for a new stream. At net_streams streams the one that was silent for
 * longest is forgotten. */
rovei_flow_verdict rovei_flow_receive_packet(rovei_flow *f, uint64_t now, uint64_t stream,
                                             uint64_t sequence, bool reliable, size_t plain_size);
/* One event of a packet of 0x0B00 to 0x0B03. False: it does not decode, and changed nothing. */
bool rovei_flow_receive_control(rovei_flow *f, uint64_t now, uint16_t id, rove_span event);

/* ---- sending ---- */
/* Makes a stream ready to be sent on. Its id must not be in use (E_EXISTS) and is used up for the
 * session's life: the peer counts its sequences for as long. Below 2^48 (E_USAGE), above which are
 * those of channels, and such that some peers take for streams of their own purposes. `window` 0:
 * without a limit. E_STREAM_LIMIT (net_streams), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_flow_open(rovei_flow *f, uint64_t stream, bool reliable,
                                       uint64_t window);
/* One event, one packet. E_NOT_FOUND (not open), E_FULL (ROOM is told when to try again),
 * E_TOO_LARGE, E_CLOSED (the stream has failed), E_NOMEM; nothing is taken then. */
ROVE_MUST_USE rove_err rovei_flow_put(rovei_flow *f, uint64_t now, uint64_t stream,
                                      rove_span event);

/* What is published on a channel goes on a stream of its own. */
#define ROVEI_FLOW_PUBLISH_BIT (UINT64_C(1) << 48)
static inline bool rovei_flow_is_publish(uint64_t stream)
{
    return (stream & ROVEI_FLOW_PUBLISH_BIT) && stream != UINT64_MAX;
}
/* All events of one publish, in one packet. The stream opens by itself, reliable if the first
 * publish on it is: then packets are repaired; a later one decides about the flag of its packet
 * alone. One that has failed, or has got no credit for ROVEI_FLOW_NEW_LIFE (on a stream that is not
 * reliable each loss costs some), is ended and begins anew. E_USAGE (not a channel's stream), else
 * as _put; E_STREAM_LIMIT. */
ROVE_MUST_USE rove_err rovei_flow_publish(rovei_flow *f, uint64_t now, uint64_t stream,
                                          bool reliable, const rovei_flow_frames *frames);
/* The same, but what there is no credit for waits here, up to ROVEI_FLOW_WAITING bytes and the
 * packet that passes them. E_FULL, as above; never E_CLOSED. While something waits, _publish gets
 * E_FULL. */
#define ROVEI_FLOW_WAITING ((size_t)1 << 20)
ROVE_MUST_USE rove_err rovei_flow_publish_waiting(rovei_flow *f, uint64_t now, uint64_t stream,
                                                  bool reliable, const rovei_flow_frames *frames);
/* Half of it is taken, so that a publish of several packets may not find room any more: ROOM is
 * told when there is. */
bool rovei_flow_publish_is_full(rovei_flow *f, uint64_t stream);

/* ---- packets to seal ---- */
typedef struct rovei_flow_out {
    uint16_t subprotocol; /* 0: events */
    bool reliable;
    uint64_t stream, sequence;
    uint16_t events;
    size_t size;
} rovei_flow_out;
static inline bool rovei_flow_ready(const rovei_flow *f)
{
    return !rovei_list_empty(&f->due) || !rovei_list_empty(&f->queue);
}
/* The next packet's plaintext, into ROVEI_NET_PLAIN_MAX bytes; false when there is none. */
bool rovei_flow_transmit(rovei_flow *f, uint64_t now, uint8_t *ret, rovei_flow_out *ret_out);
/* When _expire is to be called; what is ready to be sent does not count. */
static inline uint64_t rovei_flow_deadline(const rovei_flow *f)
{
    return f->tick_at;
}
void rovei_flow_expire(rovei_flow *f, uint64_t now);

/* ---- what happened ---- */
typedef enum rovei_flow_event_kind {
    ROVEI_FLOW_ENDED = 1, /* the peer will not repair what is missing; what comes now begins anew */
    ROVEI_FLOW_FAILED,    /* what was sent was not acknowledged; use another stream */
    ROVEI_FLOW_ROOM,      /* after E_FULL: something may be sent again */
} rovei_flow_event_kind;
typedef struct rovei_flow_event {
    rovei_flow_event_kind kind;
    uint64_t stream;
} rovei_flow_event;
static inline bool rovei_flow_has_news(const rovei_flow *f)
{
    return !rovei_list_empty(&f->told);
}
bool rovei_flow_poll(rovei_flow *f, rovei_flow_event *ret);

void rovei_flow_check(const rovei_flow *f);

#endif
