/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a transport, shared by the files that make it up: transport.c (life, streams, the
 * owner's commands), transport_in.c (packets that came, events), transport_out.c (packets to send,
 * timers). */
#ifndef ROVEI_MESH_TRANSPORT_INNER_H
#define ROVEI_MESH_TRANSPORT_INNER_H

#include <base/map.h>
#include <mesh/congestion.h>
#include <mesh/recvstream.h>
#include <mesh/sendstream.h>

/* Streams that a peer may be assumed to take before its LIMITS are known; also the least number of
 * ids that each side keeps track of as not seen yet. */
#define ROVEI_STREAMS_ASSUMED 16384u

struct rovei_transport {
    const rovei_env *env;
    const rove_alloc *alloc;
    uint64_t seen_now; /* the latest time that was handed in */

    /* sending */
    rovei_sent sent;
    rovei_rtt rtt;
    rovei_congestion congestion;
    rovei_pacer pacer;
    uint64_t largest_acked;
    uint64_t loss_time;  /* when the oldest packet below an acknowledged one counts as lost */
    uint64_t probe_time; /* when silence makes a probe due */
    uint64_t retry_time; /* after a refused allocation */
    uint64_t last_sent;
    uint32_t probe_tries;
    uint32_t probes; /* packets that may leave regardless of window and pacing */
    bool ping;

    /* outgoing streams */
    rovei_sendshare send;
    rovei_map out;              /* by id */
    rovei_sendstream *out_last; /* looked up last */
    rovei_list active, blocked, resets;
    uint64_t next_id;
    uint64_t peer_streams; /* how many may be open */

    /* packets that came */
    rovei_ranges received;
    uint64_t received_floor; /* numbers up to it count as seen */
    uint64_t largest_at;     /* when the largest number came */
    uint64_t ack_time;       /* when an acknowledgement is due */
    uint64_t ack_asked;      /* when one was last asked for without other need */
    uint32_t ack_count;      /* packets that wait for one */
    bool ack_now;

    /* incoming streams */
    rovei_recvshare recv;
    rovei_map in; /* by id */
    rovei_recvstream *in_last;
    rovei_list controls; /* streams with a REFUSED or MAX_STREAM_DATA to be said */
    rovei_spans unseen;  /* ids below in_next that were never seen */
    uint64_t in_next;    /* above every id that was seen */
    uint64_t in_live, in_refused;
    bool say_limits, say_max_data;
    rove_err deferred; /* the peer's error that was found while polling */

    uint64_t packets_sent, packets_received, packets_lost, packets_duplicate;
};

rovei_sendstream *rovei_transport_out(rovei_transport *t, uint64_t id);
rovei_recvstream *rovei_transport_in(rovei_transport *t, uint64_t id);
void rovei_transport_place(rovei_transport *t, rovei_sendstream *s, rovei_send_place where);
/* Puts a stream that has something to send where _build finds it. */
void rovei_transport_schedule(rovei_transport *t, rovei_sendstream *s);
/* Those that waited for the peer's credit may try again. */
void rovei_transport_unblock(rovei_transport *t);
/* Ends a stream of ours on this side and queues its RESET. */
void rovei_transport_drop(rovei_transport *t, rovei_sendstream *s);
/* Gives back the reference of a settled record, and frees the stream when all is done. */
void rovei_transport_settled(rovei_transport *t, rovei_sendstream *s);
/* Has the limits told to the peer once they moved far enough. */
void rovei_transport_credit(rovei_transport *t, rovei_recvstream *s);

/* What an ACK frame says. E_BOUND: a packet that was never sent. */
ROVE_MUST_USE rove_err rovei_transport_acknowledged(rovei_transport *t, uint64_t now,
                                                    const rovei_frame_ack *ack);
static inline void rovei_transport_seen(rovei_transport *t, uint64_t now)
{
    if (now > t->seen_now)
        t->seen_now = now;
}

#endif
