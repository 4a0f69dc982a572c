/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of moves in class net, shared by its files. A message names a daemon by its origin
 * hash and nothing else, so each node keeps, for a daemon, at most one record in each role: source,
 * target, orchestrator. Who is entitled to say what is decided in net_moves.c, by those records and
 * before any of them is touched; the halves get only what passed (docs/protocol/net-moves.md). */
#ifndef ROVEI_MIGRATION_NET_MACHINE_H
#define ROVEI_MIGRATION_NET_MACHINE_H

#include <migration/machine.h>
#include <migration/net_chunks.h>
#include <migration/net_moves.h>
#include <state/snapshot.h>

/* The three of a move, as node ids; this node's own among them. */
typedef struct rovei_net_roles {
    uint64_t source, target, orchestrator;
} rovei_net_roles;

/* Most messages to itself that one message, or one turn, may cause. */
#define ROVEI_NETMOVE_SELF_MAX 32

/* One message to itself. */
typedef struct rovei_net_note_to_self {
    size_t size;
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
} rovei_net_note_to_self;

struct rovei_net_place; /* net_place.c: a snapshot that comes, before it is whole and accepted */

/* Chunks that are still to come of a set that was refused. */
typedef struct rovei_net_refused_set {
    uint64_t from, origin;
    uint32_t total, left;
    uint64_t until; /* monotonic */
} rovei_net_refused_set;
#define ROVEI_NET_REFUSED_MAX 16

/* What a target remembers of a move that it has completed: for a repeated ActivateTarget, and for
 * chunks that came late. */
typedef struct rovei_net_done {
    uint64_t origin, source, orchestrator, replayed;
    uint64_t seq_through; /* of its snapshot */
    uint64_t until;       /* monotonic */
} rovei_net_done;
#define ROVEI_NET_DONE_MAX 1024
/* E_NOMEM: a lost ActivateAck could not be said again. */
ROVE_MUST_USE rove_err rovei_net_done_add(rovei_node *n, rovei_now now, const rovei_net_done *done);
const rovei_net_done *rovei_net_done_find(rovei_node *n, rovei_now now, uint64_t origin);
void rovei_net_done_forget(rovei_node *n, uint64_t origin);

struct rovei_net_moves {
    rovei_node *node;
    uint64_t self; /* this node's id */
    rovei_chunks chunks;
    struct rovei_net_place **places;
    size_t place_count, place_room;
    rovei_timer sweep; /* of places without progress */
    rovei_net_refused_set refused[ROVEI_NET_REFUSED_MAX];
    size_t refused_next;
    rovei_net_done *done; /* the oldest first */
    size_t done_count, done_room;
    struct rovei_net_asked *asked; /* net_ordered.c: orders of others that policy looks at */
    size_t asked_count, asked_room;
    rovei_queue to_self;   /* of rovei_net_note_to_self */
    rovei_net_stamp stamp; /* of the message that is being looked at */
    unsigned self_sent;    /* since the last message or turn */
    bool draining;
    rovei_net_move_stats stats;
};

/* Sends one message; to this node itself through its queue. E_UNREACHABLE, E_FULL, E_NOMEM: as if
 * lost, a timer says it again. */
rove_err rovei_netmove_send(rovei_node *n, rovei_now now, uint64_t to,
                            const rovei_netmove_message *m);
/* MIGRATION_FAILED with the code of `err`; `text` (may be NULL) goes with the codes that have one,
 * cut to what fits. */
void rovei_netmove_say_failed(rovei_node *n, rovei_now now, uint64_t to, uint64_t origin,
                              rove_err err, const char *text);
/* A message that came from somebody who is not entitled, or in a phase that it does not fit. */
void rovei_netmove_refused(rovei_node *n, rovei_netmove_type type);
void rovei_netmove_out_of_phase(rovei_node *n, rovei_netmove_type type);

/* Nothing names an attempt, but packets are counted: what a peer sent before the present attempt
 * began is of an earlier one, however late it comes. What came last of a peer: */
rovei_net_stamp rovei_net_moves_heard(const rovei_node *n, uint64_t node_id);
/* The message that is being looked at was sent before the mark; it is counted then. */
bool rovei_net_moves_late(rovei_node *n, rovei_net_stamp mark, rovei_netmove_type type);

/* A completion of a move in class net: false when it is none. `a` is the attempt that it names, or
 * NULL. */
bool rovei_net_moves_complete(rovei_node *n, rovei_now now, rovei_attempt *a, rovei_completion *c);

/* ---- the source half (net_source.c), for a target in class net ---- */
/* What every source record begins with. */
struct rovei_net_source;
const rovei_net_roles *rovei_net_source_roles(const struct rovei_net_source *s);
/* What was heard last of the other side before the snapshot left. */
rovei_net_stamp rovei_net_source_mark(const struct rovei_net_source *s);
void rovei_net_source_free(struct rovei_net_source *s);
/* TAKE_SNAPSHOT of `from`, for a daemon that may not be here; nothing was looked at but the bytes:
 * policy comes first, and the answer to a refusal. */
void rovei_net_source_ordered(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin,
                              uint64_t target);
void rovei_net_asked_free(struct rovei_net_moves *m);
/* The answer to a question of _ordered. False: not one of them. */
bool rovei_net_source_answered(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict);
/* RESTORE_COMPLETE, REPLAY_COMPLETE, ACTIVATE_ACK of the target, when this node drives its own
 * move; CUTOVER_NOTIFY of the orchestrator that names the recorded target; MIGRATION_FAILED of
 * either. */
void rovei_net_source_receive(struct rovei_net_source *s, rovei_now now,
                              const rovei_netmove_message *m);
/* The target has shown that it serves: as if its ACTIVATE_ACK had come, once committed. */
void rovei_net_source_proved(struct rovei_net_source *s, rovei_now now);
void rovei_net_source_frozen(struct rovei_net_source *s, rovei_now now, rovei_completion *c);
void rovei_net_source_committed(struct rovei_net_source *s, rovei_now now,
                                const rovei_completion *c);
/* Comes only under a broken rule: a quiesced daemon diverts nothing. */
void rovei_net_source_diverted(struct rovei_net_source *s, const rovei_completion *c);
void rovei_net_source_repeat(struct rovei_net_source *s, rovei_now now); /* its attempt's timers */
void rovei_net_source_limit(struct rovei_net_source *s, rovei_now now);
void rovei_net_source_peer_up(struct rovei_net_source *s, rovei_now now, uint64_t node_id);
void rovei_net_source_peer_failed(struct rovei_net_source *s, rovei_now now, uint64_t node_id);
/* A record says that this node holds the daemon, by a right above the one that was given away. When
 * the daemon was given to that very node the move is complete, and gone with the daemon: true. */
bool rovei_net_source_held_by(struct rovei_net_source *s, rovei_now now, const rove_entity *holder);
/* Ends it without touching the daemon (rovei_moves_detach). */
void rovei_net_source_detach(struct rovei_net_source *s, rovei_now now, rove_err err);
void rovei_net_source_check(const struct rovei_net_source *s);
/* This node's own order for a daemon that may leave, to a peer of class net. E_TARGET_KEY; E_NOMEM.
 */
ROVE_MUST_USE rove_err rovei_net_source_order(rovei_node *n, rovei_now now, rovei_daemon *d,
                                              const rovei_move_order *o,
                                              const rovei_move_info *info, rovei_attempt_id *ret);
/* Before the commit. */
void rovei_net_source_cancel(struct rovei_net_source *s, rovei_now now, rovei_move_outcome outcome,
                             rove_err why);
/* The former move of its daemon is closed. */
void rovei_net_source_begin(struct rovei_net_source *s, rovei_now now);
/* Says MIGRATION_FAILED of an attempt that has ended. */
void rovei_net_source_farewell(rovei_attempt *a, rovei_now now);
/* CUTOVER_NOTIFY for a move that is over here: false, the sender did not order one. */
bool rovei_net_source_cutover_again(rovei_node *n, rovei_now now, uint64_t from,
                                    const rovei_netmove_message *m);

/* ---- the orchestrator's half (net_orders.c), for a source in class net ---- */
struct rovei_net_order;
/* Beside what every order needs. E_TARGET_UNAVAILABLE, E_ALREADY_MIGRATING. */
rove_err rovei_net_order_may(const rovei_node *n, const rovei_move_order *o, uint64_t origin);
/* For an attempt that has been made for it. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_order_begin(rovei_attempt *a, rovei_now now,
                                             const rovei_move_order *o);
/* Asks it to end: E_TOO_LATE once CutoverNotify was said. */
rove_err rovei_net_order_cancel(struct rovei_net_order *o, rovei_now now, rove_err why);
/* Its end once more, to those who may not have heard it. */
void rovei_net_order_farewell(rovei_attempt *a, rovei_now now);
void rovei_net_order_shutdown(struct rovei_net_order *o, rovei_now now);
struct rovei_net_order *rovei_net_order_find(const rovei_node *n, uint64_t origin);
const rovei_net_roles *rovei_net_order_roles(const struct rovei_net_order *o);
void rovei_net_order_free(struct rovei_net_order *o);
/* SNAPSHOT_READY and CLEANUP_COMPLETE of the source; RESTORE_COMPLETE, REPLAY_COMPLETE,
 * ACTIVATE_ACK of the target; MIGRATION_FAILED of either. A chunk of a pull goes on to the target
 * half here. */
void rovei_net_order_receive(struct rovei_net_order *o, rovei_now now, uint64_t from,
                             const rovei_netmove_message *m);
void rovei_net_order_repeat(struct rovei_net_order *o, rovei_now now);
void rovei_net_order_limit(struct rovei_net_order *o, rovei_now now);
void rovei_net_order_peer_up(struct rovei_net_order *o, rovei_now now, uint64_t node_id);
void rovei_net_order_peer_failed(struct rovei_net_order *o, rovei_now now, uint64_t node_id);
void rovei_net_order_check(const struct rovei_net_order *o);

/* ---- the target half: net_place.c until the snapshot is whole, net_restore.c until it is a
 * daemon, then net_target.c ---- */
/* What comes. */
typedef struct rovei_net_arrival {
    uint64_t from, orchestrator, origin;
    rovei_attempt_id attempt;
    rove_entity entity;
    char kind[ROVEI_KIND_ROOM];
    rove_buf *whole;
    rovei_snapshot snapshot; /* inside of whole */
    uint64_t seq_through;    /* as the chunks said */
    rovei_net_stamp stamp;   /* of the chunk that was sent last */
} rovei_net_arrival;
/* What is half here of that peer, or by its order, is of no use any more. False: nothing is. */
bool rovei_net_place_drop(rovei_node *n, uint64_t from, uint64_t origin);
/* The answer to the question whether it may come. False: not one of them. */
bool rovei_net_place_answered(rovei_node *n, rovei_now now, uint64_t ticket, rovei_completion *c);
void rovei_net_places_watch(rovei_node *n); /* sets their timer */
void rovei_net_places_sweep(rovei_node *n, rovei_now now);
void rovei_net_places_free(struct rovei_net_moves *m);
void rovei_net_places_check(const rovei_node *n);
/* Puts why a daemon was not restored into the words around it that the reference has, which shows
 * its own error as its language would print it for programmers. */
void rovei_net_not_restored(rovei_text *text);

/* The steps of a record; the daemon's roles follow them. */
typedef enum rovei_net_target_step {
    ROVEI_NET_TARGET_RESTORING,
    ROVEI_NET_TARGET_RESTORED,   /* RESTORE_COMPLETE was said */
    ROVEI_NET_TARGET_REPLAYED,   /* so was REPLAY_COMPLETE: the source may be gone from now on */
    ROVEI_NET_TARGET_ACTIVATING, /* ACTIVATE is under way */
} rovei_net_target_step;

struct rovei_net_target {
    rove_buf *ledger; /* until it is restored */
    rovei_attempt *a;
    rovei_daemon *d;
    rovei_net_roles roles;
    rovei_net_target_step step;
    uint64_t seq_through;  /* as the chunks said: it is what RESTORE_COMPLETE repeats */
    uint64_t digest;       /* of the snapshot's bytes, to know it again */
    rovei_net_stamp stamp; /* of its last chunk: a failure from before is of an earlier move */
    rove_link head;        /* of the restored chain */
    /* Buffered events by the sequences of their links, from `replayed` + 1. */
    uint64_t replayed;
    rovei_map pending;
    uint64_t pending_bytes;
    bool applying;
    unsigned owed;    /* REPLAY_COMPLETEs, once nothing is being applied */
    bool wanted;      /* ACTIVATE_TARGET has come */
    uint64_t inquiry; /* who else knows of the daemon; 0 when that is over */
    bool activated;   /* the cell serves; the record waits for memory only */
    uint64_t skipped; /* events that process refused when there was no way back */
};
const rovei_net_roles *rovei_net_target_roles(const struct rovei_net_target *t);
void rovei_net_target_free(struct rovei_net_target *t);
/* A chunk of `from`, who was found entitled. `orchestrator` hears of what becomes of it: `from`, or
 * this node where it ordered the move itself. */
void rovei_net_target_chunk(rovei_node *n, rovei_now now, uint64_t from, uint64_t orchestrator,
                            uint64_t origin, const rovei_netmove_chunk *c);
/* Begins with what is whole and may come: takes a reference of its bytes. The same bytes again are
 * answered as before; others replace what was not active yet. E_IDENTITY_TRANSPORT: `why` has its
 * text. The sender has not been told. */
ROVE_MUST_USE rove_err rovei_net_target_begin(rovei_node *n, rovei_now now,
                                              const rovei_net_arrival *arrival, rovei_text *why);
void rovei_net_target_set_step(struct rovei_net_target *t, rovei_now now,
                               rovei_net_target_step step);
void rovei_net_target_say_restored(struct rovei_net_target *t, rovei_now now);
/* Ends what has not served, with its cell. `text`: the orchestrator hears it; NULL: it need not. */
void rovei_net_target_discard(struct rovei_net_target *t, rovei_now now, rove_err err,
                              const char *text);
/* A forced epoch above the highest that is known of the daemon. */
uint64_t rovei_net_target_epoch(const rovei_node *n, const rove_entity *daemon);
/* Serves, as soon as nothing stands in the way. */
void rovei_net_target_activate(struct rovei_net_target *t, rovei_now now);
/* net_pending.c: buffered events */
void rovei_net_pending_init(struct rovei_net_target *t, rovei_node *n);
void rovei_net_pending_free(struct rovei_net_target *t);
/* E_BUFFER_FULL, E_NOMEM: those before are kept. */
ROVE_MUST_USE rove_err rovei_net_pending_add(struct rovei_net_target *t, rove_span items);
/* Has the next one applied. E_NOT_FOUND: it is not here; E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_pending_apply(struct rovei_net_target *t);
void rovei_net_pending_applied(struct rovei_net_target *t, const rovei_result *result);
/* BUFFERED_EVENTS, ACTIVATE_TARGET, MIGRATION_FAILED. */
void rovei_net_target_receive(struct rovei_net_target *t, rovei_now now, uint64_t from,
                              const rovei_netmove_message *m);
/* Without a record: answers the orchestrator of a completed move. False: there is none. */
bool rovei_net_target_activate_again(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin);
void rovei_net_target_restored(struct rovei_net_target *t, rovei_now now, rovei_completion *c);
void rovei_net_target_activated(struct rovei_net_target *t, rovei_now now);
void rovei_net_target_applied(struct rovei_net_target *t, rovei_now now, rovei_completion *c);
void rovei_net_target_repeat(struct rovei_net_target *t, rovei_now now);
void rovei_net_target_limit(struct rovei_net_target *t, rovei_now now);
void rovei_net_target_turn(struct rovei_net_target *t, rovei_now now);
void rovei_net_target_detach(struct rovei_net_target *t, rovei_now now, rove_err err);
void rovei_net_target_check(const struct rovei_net_target *t);
void rovei_net_target_peer_up(struct rovei_net_target *t, rovei_now now, uint64_t node_id);
void rovei_net_target_peer_failed(struct rovei_net_target *t, rovei_now now, uint64_t node_id);

#endif
