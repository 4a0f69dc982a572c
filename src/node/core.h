/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rovei_node, shared by the machines that it is made of (node, compute, migration)
 * and by nobody else. */
#ifndef ROVEI_NODE_CORE_H
#define ROVEI_NODE_CORE_H

#include <base/list.h>
#include <base/map.h>
#include <base/timer.h>
#include <capability/index.h>
#include <channel/feeds.h>
#include <compute/lanes.h>
#include <migration/moves.h>
#include <migration/net_moves.h>
#include <node/node.h>
#include <node/tokens.h>

/* A queue of structs, first in first out; grows. Its length follows from bounded things: windows,
 * mailboxes, running attempts. */
typedef struct rovei_queue {
    const rove_alloc *alloc;
    uint8_t *items;
    size_t item_size, room, first, count;
} rovei_queue;
void rovei_queue_init(rovei_queue *q, const rove_alloc *a, size_t item_size);
void rovei_queue_fini(rovei_queue *q);
/* Room for one more at the end, zeroed; NULL: out of memory. */
void *rovei_queue_push(rovei_queue *q);
bool rovei_queue_pop(rovei_queue *q, void *ret);
/* The one that _push gave last; there must be one. */
static inline void *rovei_queue_last(const rovei_queue *q)
{
    return q->items + ((q->first + q->count - 1) & (q->room - 1)) * q->item_size;
}
/* The one that _pop would give; there must be one. */
static inline void *rovei_queue_first(const rovei_queue *q)
{
    return q->items + q->first * q->item_size;
}

struct rovei_node {
    const rovei_env *env;
    const rove_alloc *alloc; /* = &env->alloc */
    rovei_keypair *identity;
    rove_entity self;
    uint64_t incarnation;
    rovei_addr addrs[ROVEI_RECORD_ADDRS];
    size_t addr_count;
    bool ask_policy;

    rovei_mesh *mesh;
    rovei_net *net; /* NULL: this node does not serve class net */
    rovei_timers timers;
    rovei_map associations; /* peer's entity -> its association (node/pipe.c) */
    bool peer_missed;       /* one is not in it, since memory was out */
    rovei_queue loopback;   /* messages of this node to itself */
    rovei_index *index;     /* what nodes announce */
    struct rovei_locations *locations;
    rovei_map daemons; /* entity -> rovei_daemon */
    rovei_map cells;   /* cell -> rovei_daemon */
    rovei_map origins; /* origin hash -> rovei_daemon */
    rovei_map senders; /* number -> rovei_sender */
    struct rovei_moves *moves;
    struct rovei_announcer *announcer; /* node/announce.h */
    bool announces;                    /* it was told what to announce */
    struct rovei_channels *channels;   /* those that this node publishes on */
    struct rovei_feeds *feeds;         /* those that it is subscribed to */
    bool feeds_room;                   /* a feed lane that was full has room again */
    struct rovei_spawns *spawns;       /* on other nodes, and for them */
    rovei_tokens tokens;
    struct rovei_net_moves *net_moves; /* those with peers of class net */
    struct rovei_journal *journal;     /* NULL: there is no store */
    rovei_queue effects, notes;
    rovei_map questions;     /* ticket -> what was asked (node/effects.c) */
    rovei_list busy_lanes;   /* lanes that want _turn (member `busy` of rovei_lanes) */
    rovei_list busy_senders; /* senders that want to write */
    uint64_t next_number;    /* tickets and sender numbers */
    rovei_node_stats stats;
    struct rovei_node_tap *tap; /* tests: node/node_test.h */
};

/* ---- out ---- */
/* A zeroed effect at the end of the queue; NULL: out of memory, then the caller's step does not
 * happen and is tried again by its timer. References put into it pass to the queue. */
rovei_effect *rovei_node_effect(rovei_node *n, rovei_effect_kind kind);
rovei_note *rovei_node_note(rovei_node *n, rovei_note_kind kind);
void rovei_questions_free(rovei_node *n);

/* Asks the outside (ASK_PLACE for ROVEI_ASK_PLACE, else ASK) and gives the ticket with which the
 * answer comes: to rovei_moves_complete for ORDER and PLACE, to rovei_lanes_answer of the daemon
 * for SEND and READ. 0 when nobody is to be asked (only with ask_policy are others than PLACE
 * asked: the caller applies the default), UINT64_MAX when memory is out. `attempt` and `kind` may
 * be NULL. */
uint64_t rovei_node_ask(rovei_node *n, rovei_question question, const rove_entity *daemon,
                        const rove_entity *peer, const rovei_attempt_id *attempt, const char *kind);

/* ASK_PLACE for a daemon of which the kind is not known, nor the entity when that is NULL. */
uint64_t rovei_node_ask_place(rovei_node *n, uint64_t origin, const rove_entity *daemon,
                              const rove_entity *peer, const rovei_attempt_id *attempt);

/* ---- pipes: streams to a node, this one included ---- */
/* One direction, one tag. Zeroed = not open. It opens by itself at the first send, and again when
 * the association it was opened in has ended; what was sent into an ended association may be lost,
 * so its owner says things again at peer_up. */
typedef struct rovei_pipe {
    uint64_t association;
    uint64_t stream;
} rovei_pipe;
/* True when something sent now can reach the peer: it has an association that has not failed, or it
 * is this node. */
bool rovei_node_reaches(const rovei_node *n, const rove_entity *peer);
/* Sends one message, head copied, body shared (may be NULL). E_UNREACHABLE, E_FULL, E_TOO_LARGE,
 * E_STREAM_LIMIT, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_pipe_send(rovei_node *n, rovei_pipe *pipe, const rove_entity *peer,
                                       uint16_t tag, rove_span head, rove_buf *body);
/* Bytes not yet acknowledged. */
uint64_t rovei_pipe_queued(const rovei_node *n, const rovei_pipe *pipe);
/* Throws away what was not delivered; the next send opens a new stream. */
void rovei_pipe_reset(rovei_node *n, rovei_pipe *pipe);
/* Ends the stream when all is delivered. */
void rovei_pipe_finish(rovei_node *n, rovei_pipe *pipe);
/* Where a message came from, for a reader that is slower than the network: the peer's credit for
 * `size` bytes of that stream comes back with _release only. Nothing happens for a message of this
 * node's own, or when the stream has ended. */
void rovei_pipe_hold(rovei_node *n, const rovei_pipe *from, uint64_t size);
void rovei_pipe_release(rovei_node *n, const rovei_pipe *from, uint64_t size);
/* Dials a node at an address from a location record, if there is no session; at most a few. */
void rovei_node_dial(rovei_node *n, rovei_now now, const rove_entity *peer, const rovei_addr *addr);

/* net_peers.c: hands on what came from peers of class net. */
void rovei_node_drain_net(rovei_node *n, rovei_now now);

static inline uint64_t rovei_node_number(rovei_node *n)
{
    return ++n->next_number;
}

#endif
