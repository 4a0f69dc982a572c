/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rovei_net, shared by its files: what is kept of each listed peer, of each of its
 * sessions and of each handshake. */
#ifndef ROVEI_NET_PEER_H
#define ROVEI_NET_PEER_H

#include <base/list.h>
#include <base/map.h>
#include <base/timer.h>
#include <net/flow.h>
#include <net/handshake.h>
#include <net/net.h>

#define ROVEI_NET_ANSWERS 4 /* messages 2 kept, to be said again to a repeated message 1 */
/* Messages 1 of a peer that are known again: one that is older than the answers kept is dropped. */
#define ROVEI_NET_SEEN   1024
#define ROVEI_NET_OTHERS 3 /* sessions kept beside the one that is sent under */
/* Messages that wait to be polled; more are dropped, as datagrams are. */
#define ROVEI_NET_INBOX 4096
/* Of them, those of one peer: it cannot shut out the others. */
#define ROVEI_NET_INBOX_SHARE (ROVEI_NET_INBOX / 4)

/* One session. The newest is sent under; those before it still receive for a while. */
typedef struct rovei_net_held {
    rovei_net_session session;
    struct rovei_net_link *link;
    rovei_list list; /* of the link, the newest first */
    uint64_t serial; /* grows with each session of this node */
    uint64_t since;  /* monotonic, like the others */
    uint64_t heard;  /* the last authentic packet; 0: none yet */
    uint64_t until;  /* when it ends, unless it is the one that is sent under */
    bool doubtful;   /* answered while this node dialled: perhaps nobody took the answer */
    rovei_addr addr; /* where to send to */
    uint64_t sequences[ROVEI_NET_SUBPROTOCOL_COUNT];
    rovei_flow flow; /* its streams */
    rovei_timer flow_timer;
} rovei_net_held;

/* A handshake that this node began and that is not answered yet. */
typedef struct rovei_net_attempt {
    rovei_net_handshake handshake;
    bool running;
    uint64_t until; /* when it is given up, unless another one follows before */
    rovei_addr to;
} rovei_net_attempt;

/* A message 1 that was answered. */
typedef struct rovei_net_answer {
    uint8_t ephemeral[32]; /* of the one who asked */
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size; /* 0: a free place */
} rovei_net_answer;

/* A message of a subprotocol on its way out. */
typedef struct rovei_net_outgoing {
    rovei_list list;
    uint16_t subprotocol;
    uint64_t again; /* serial of the session under which it goes out a second time; 0: none */
    size_t size;
    uint8_t bytes[];
} rovei_net_outgoing;

/* A listed peer. */
typedef struct rovei_net_link {
    rovei_net *net;
    uint64_t node_id;
    bool fenced; /* of class rove: not served any more */
    bool has_key, has_addr;
    uint8_t key[32];
    rovei_addr addr; /* where it is dialled */

    rovei_list sessions;     /* rovei_net_held */
    rovei_net_held *current; /* of them: what is sent goes under this one */
    rovei_peer_state state;  /* CONNECTING: no session */
    uint64_t heard;
    rovei_net_answer answers[ROVEI_NET_ANSWERS];
    size_t next_answer;
    uint64_t seen[ROVEI_NET_SEEN]; /* the first bytes of the ephemeral keys that were answered */
    size_t next_seen;

    /* dialling */
    rovei_net_attempt attempts[2]; /* routed, direct */
    rovei_timer dial;
    uint64_t dialled_since; /* 0: not dialling */
    uint64_t interval;
    unsigned tries;
    bool second_due; /* the direct framing is to follow the routed one */

    /* what is to be sent */
    rovei_list ready; /* in net->ready when there is something */
    rovei_list outgoing;
    size_t outgoing_count;
    bool beat_due, wave_due;
    uint64_t beat_again; /* as in rovei_net_outgoing */
    rovei_timer beat, wave;

    rovei_timer live; /* silence, and sessions that end */

    size_t inbox_count; /* of net->inbox, what it said */

    /* what is to be told */
    rovei_list untold; /* in net->untold when there is something */
    bool up_untold, silence_untold;
    rovei_peer_state told;
} rovei_net_link;

/* A datagram that is ready as it is: a handshake message. */
typedef struct rovei_net_parcel {
    rovei_list list;
    rovei_addr to;
    size_t size;
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
} rovei_net_parcel;

/* A message, or a packet of a stream, that waits to be polled. */
typedef struct rovei_net_incoming {
    rovei_list list;
    rovei_net_link *link; /* outlives it */
    rovei_net_event event;
} rovei_net_incoming;

struct rovei_net {
    const rovei_env *env;
    rovei_keypair *identity;
    uint64_t origin;  /* its origin hash */
    uint8_t *secrets; /* slot: static secret, psk */
    uint8_t public_key[32];
    rovei_net_self self;
    rovei_now now; /* of the call that is under way */

    rovei_map links;    /* low half of the node id (u32) -> rovei_net_link */
    rovei_map sessions; /* session id -> rovei_net_held */
    rovei_map fenced;   /* node ids of class rove that are not listed */
    bool fences_lost;   /* there were more than are kept: nobody else is listed any more */
    rovei_timers timers;
    rovei_list parcels;
    size_t parcel_count;
    rovei_list ready; /* links with something to send */
    unsigned burst;   /* datagrams to the first of them in a row */
    rovei_list untold, inbox;
    size_t inbox_count;
    uint64_t budget[2]; /* when the handshakes of strangers, of known addresses are worked off */
    uint64_t next_serial;
    uint64_t places;
    uint64_t wave_seq;
    rovei_net_stats stats;
};

/* ---- peer.c: links and their sessions ---- */
rovei_net_link *rovei_net_link_of(const rovei_net *t, uint64_t node_id);
rovei_net_link *rovei_net_link_of_low(const rovei_net *t, uint32_t low);
/* E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_link_new(rovei_net_link **ret, rovei_net *t, uint64_t node_id);
/* Frees it; the caller has it out of the table, or frees that as well. */
void rovei_net_link_free(rovei_net_link *l);
/* Ends all that there is between the two. */
void rovei_net_link_end(rovei_net_link *l);
/* Takes the session of a handshake that is done; what is sent goes under it from now on. E_NOMEM,
 * E_EXISTS (a session of that id is here). */
ROVE_MUST_USE rove_err rovei_net_take_session(rovei_net_link *l, const rovei_net_handshake *h,
                                              const rovei_addr *to, bool doubtful);
/* Ends the replaced sessions whose time is over. */
void rovei_net_retire(rovei_net_link *l);
/* An authentic packet came under it. */
void rovei_net_heard(rovei_net_held *s);
/* The second session under which what is sent goes as well, while it is not known that the peer has
 * the current one; or NULL. */
rovei_net_held *rovei_net_elder(const rovei_net_link *l);
/* There is something to send to it. */
void rovei_net_touch(rovei_net_link *l);
void rovei_net_tell(rovei_net_link *l);
/* Throws away what waits to be sent to it. */
void rovei_net_drop_outgoing(rovei_net_link *l);

/* ---- liveness.c ---- */
void rovei_net_live_start(rovei_net_link *l);
void rovei_net_live_fire(rovei_timer *timer, void *user, rovei_now now);
void rovei_net_beat_fire(rovei_timer *timer, void *user, rovei_now now);
void rovei_net_wave_fire(rovei_timer *timer, void *user, rovei_now now);

/* ---- dial.c ---- */
/* Dials if the peer is to be dialled and is not yet. */
void rovei_net_dial_consider(rovei_net_link *l);
/* Forgets the attempts that are under way, and those to come. */
void rovei_net_dial_stop(rovei_net_link *l);
void rovei_net_dial_drop(rovei_net_attempt *a);
bool rovei_net_dial_is_open(const rovei_net_link *l);
void rovei_net_dial_fire(rovei_timer *timer, void *user, rovei_now now);
/* Queues a datagram. E_FULL, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_post(rovei_net *t, const rovei_addr *to, const uint8_t *bytes,
                                      size_t size);

/* ---- answer.c ---- */
/* A packet of a handshake, whichever. DROP_COUNT: it was of use. */
rovei_net_drop rovei_net_receive_handshake(rovei_net *t, const rovei_addr *from,
                                           const rovei_net_packet *p, const uint8_t *dgram);

/* ---- message.c ---- */
/* The events of an authentic packet. */
rovei_net_drop rovei_net_receive_text(rovei_net_held *s, const rovei_net_packet *p, rove_span text);
/* Keeps a message (subprotocol not 0) or a stream's packet for the owner. False: out of memory, or
 * as many wait as can. */
bool rovei_net_keep(rovei_net_link *l, const rovei_net_event *e, rove_span bytes);
void rovei_net_unkeep(rovei_net *t, rovei_net_incoming *in);
/* Writes the next packet for the peer; 0 when it has none. */
size_t rovei_net_write_next(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to);

/* ---- streams.c ---- */
/* E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_streams_init(rovei_net_held *s);
/* Also after an _init that failed. */
void rovei_net_streams_fini(rovei_net_held *s);
/* An authentic packet of the event plane. */
rovei_net_drop rovei_net_receive_data(rovei_net_held *s, const rovei_net_packet *p, rove_span text);
/* One event of an authentic packet about streams. False: it does not decode. */
bool rovei_net_receive_control(rovei_net_held *s, uint16_t subprotocol, rove_span event);
/* The next packet of one of the sessions with the peer; 0 when there is none. */
size_t rovei_net_write_streams(rovei_net_link *l, uint8_t *ret, rovei_addr *ret_to);
bool rovei_net_poll_streams(rovei_net_link *l, rovei_net_event *ret);

#endif
