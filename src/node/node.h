/* SPDX-License-Identifier: Apache-2.0
 *
 * The core of one node: the mesh, the daemons' records, their locations, lanes and moves, as one
 * pure object. Datagrams, commands, completions and the time go in; datagrams, effects, notes and
 * one deadline come out. It calls nobody: what only the outside can do (run a daemon, ask policy,
 * remember a commit) leaves as an effect, in order, and comes back as a completion. One thread at a
 * time; the shell's loop in production, the simulator's in tests.
 *
 * Vocabulary: a *cell* is the outside's container of one daemon instance, named by a number that
 * the outside chose (never 0, never used twice). The core keeps who may run; the cell does the
 * running: it applies events one at a time, in the order in which it was told.
 *
 * Order: effects are to be carried out in the order in which they are polled, per cell; completions
 * of one cell are to be given back in the order in which the cell did the work. FREEZE, THAW,
 * COMMIT and FORGET are points in that same order. */
#ifndef ROVEI_NODE_NODE_H
#define ROVEI_NODE_NODE_H

#include <capability/look.h>
#include <compute/ids.h>
#include <mesh/mesh.h>
#include <net/net.h>
#include <state/chain.h>

typedef struct rovei_node rovei_node;

#define ROVEI_KIND_ROOM 64 /* of the name of a kind, its end counted in */

typedef struct rovei_node_config {
    const rovei_env *env; /* outlives the node */
    rovei_keypair *identity;
    uint8_t psk[32];
    uint64_t incarnation;
    uint64_t handshake_time;
    rovei_addr addrs[4]; /* where this node can be reached; goes into location records */
    size_t addr_count;
    bool ask_policy; /* emit ASK also for what the defaults allow or refuse */
    bool net;        /* serve class net: those that are listed then (rovei_net_list) */
    bool journal;    /* there is a store that takes batches of records (STORE) */
} rovei_node_config;

ROVE_MUST_USE rove_err rovei_node_new(rovei_node **ret, const rovei_node_config *cfg,
                                      rovei_now now);
void rovei_node_free(rovei_node *n);
rovei_mesh *rovei_node_mesh(rovei_node *n);            /* for statistics */
struct rovei_tokens *rovei_node_tokens(rovei_node *n); /* node/tokens.h */
rovei_net *rovei_node_net(rovei_node *n); /* for statistics and listing; NULL: not served */
/* durable/journal.h; NULL: this node keeps nothing. */
struct rovei_journal *rovei_node_journal(const rovei_node *n);
/* rovei_mesh_connect; the peer's node id is of class rove from then on. */
ROVE_MUST_USE rove_err rovei_node_connect(rovei_node *n, rovei_now now, const rove_entity *peer,
                                          const rovei_addr *addr);
/* Peers of both classes; those of class net as rovei_entity_of_net. E_UNKNOWN_PEER. */
ROVE_MUST_USE rove_err rovei_node_peer(const rovei_node *n, const rove_entity *peer,
                                       rovei_peer_info *ret);
bool rovei_node_peer_next(const rovei_node *n, size_t *it, rovei_peer_info *ret);
const rove_entity *rovei_node_entity(const rovei_node *n);
/* The addresses under which others reach this node, once the socket is bound. */
void rovei_node_set_addrs(rovei_node *n, const rovei_addr *addrs, size_t count);

/* Whether ASK is to be emitted from now on, as the configuration's field said until now. */
void rovei_node_ask_policy(rovei_node *n, bool ask);

/* ---- capabilities ---- */
struct rovei_index;
struct rovei_gossip;
/* What this node announces from now on, besides what it adds by itself; without a first call it
 * announces nothing, and still hears and passes on what others announce. E_FORMAT, E_TOO_LARGE,
 * E_NOMEM: as before. */
ROVE_MUST_USE rove_err rovei_node_announce(rovei_node *n, rovei_now now, const rovei_caps *caps);
/* All that the node adds by itself from now on, besides that it speaks of moves: what its runtime
 * is ready for. Errors as above. */
ROVE_MUST_USE rove_err rovei_node_announce_own(rovei_node *n, rovei_now now, const rovei_caps *own);
struct rovei_index *rovei_gossip_index(const rovei_node *n);
struct rovei_gossip *rovei_node_gossip(rovei_node *n);
/* The entity behind the node id of a peer that is there: proved by its session, or, in class net,
 * by its own announcement. False when it is not known. */
bool rovei_gossip_pin(const rovei_node *n, uint64_t node_id, rove_entity *ret);

/* ---- data path ---- */
/* Whether it was of any use. */
bool rovei_node_receive(rovei_node *n, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                        size_t size);
/* With class net `room` is at least ROVEI_NET_DATAGRAM_MAX. */
size_t rovei_node_transmit(rovei_node *n, rovei_now now, uint8_t *ret, size_t room,
                           rovei_addr *ret_to);
uint64_t rovei_node_deadline(const rovei_node *n);
void rovei_node_expire(rovei_node *n, rovei_now now);
/* To be called once after a batch of the calls above and of commands and completions: handles what
 * the mesh delivered, feeds mailboxes, writes frames. */
void rovei_node_turn(rovei_node *n, rovei_now now);

/* ---- effects: what the outside must do ---- */
typedef enum rovei_effect_kind {
    /* Apply events to a cell, in their order and with nothing else between them. -> APPLIED. A cell
     * that is frozen, departed or unknown answers nothing: the core has forgotten them as well. */
    ROVEI_EFFECT_APPLY = 1,
    /* Snapshot the cell and from that point in its order divert local delivers. -> FROZEN, then
     * one DIVERTED for each local deliver. On an error the cell goes on as if nothing had been.
     * With `quiesce` local delivers are refused instead, with E_MOVING, and the image has all of
     * the state; E_TOO_LARGE above `size` bytes of it. */
    ROVEI_EFFECT_FREEZE,
    /* End the freeze: apply the diverted events here, in order, and go on. */
    ROVEI_EFFECT_THAW,
    /* The commit point. Close the cell for good (later local delivers get E_MOVED) and remember.
     * -> COMMITTED with the number of diverted events. */
    ROVEI_EFFECT_COMMIT,
    /* The outcome of diverted event `number` from the new host, for its waiter. */
    ROVEI_EFFECT_RESULT,
    /* Drop the cell and its instance; waiters of diverted events without a result get `err`. */
    ROVEI_EFFECT_FORGET,
    /* Stop serving but keep the cell aside for the operator. Local delivers get `err`. */
    ROVEI_EFFECT_ASIDE,
    /* May a daemon come here? Runtime ready, expected here, kind known, policy. With no kind the
     * one that is expected. Whether its origin is expected at all is asked without an entity: then
     * policy comes later. -> ANSWER. */
    ROVEI_EFFECT_ASK_PLACE,
    /* Policy: may `peer` do `question` to `daemon`? -> ANSWER. */
    ROVEI_EFFECT_ASK,
    /* Make a cell from `image`, not yet serving. -> RESTORED. With `cell`, the one that its state
     * was written to: `image` holds the rest. */
    ROVEI_EFFECT_RESTORE,
    /* The restored cell serves from now on. -> ACTIVATED. */
    ROVEI_EFFECT_ACTIVATE,
    /* Read `size` bytes at `number` of the frozen state, in order; 0 starts again. -> STATE_READ,
     * until the thaw. Only for an image with a state_size and no state. */
    ROVEI_EFFECT_READ_STATE,
    /* Make a cell that takes a state of `size` bytes in pieces, not yet serving; it is provisional
     * until RESTORE, and ends by FORGET. -> STATE_OPENED. */
    ROVEI_EFFECT_OPEN_STATE,
    /* The next bytes of that state. -> STATE_WRITTEN. */
    ROVEI_EFFECT_WRITE_STATE,
    /* Another node wants a daemon of a kind to be spawned here: with `key`, or with a drawn one.
     * -> rovei_node_spawned_here. */
    ROVEI_EFFECT_SPAWN,
    /* Make the batch `number` in `owner` (durable/batch.h) durable. -> STORED. The next one comes
     * after that, or this one again. Only of a node with a journal. */
    ROVEI_EFFECT_STORE,
} rovei_effect_kind;

typedef enum rovei_question {
    ROVEI_ASK_ORDER = 1, /* order the daemon to another node */
    ROVEI_ASK_PLACE,     /* bring a daemon here */
    ROVEI_ASK_SEND,      /* open a lane to the daemon */
    ROVEI_ASK_READ,      /* read the outputs of one's own lane */
    ROVEI_ASK_SNAPSHOT,  /* take its snapshot from afar */
} rovei_question;

/* What a daemon is made of when it comes from elsewhere, or leaves. All counted bytes; absent ones
 * are NULL. Freed by rovei_image_fini. */
typedef struct rovei_image {
    rove_buf *state; /* may be empty. NULL: a stateless daemon, or, with a state_size, a state that
                        goes in pieces */
    uint64_t state_size;
    rove_link head; /* chain head */
    rove_buf *head_payload;
    rove_buf *horizon; /* rovei_horizon_encode */
    rove_buf *ledger;  /* rovei_ledger_encode; NULL when empty */
    uint64_t events_processed, events_emitted, errors, snapshots_taken;
    uint64_t created_at;
} rovei_image;
void rovei_image_fini(rovei_image *image);

typedef struct rovei_effect {
    rovei_effect_kind kind;
    /* APPLY: also in a cell that does not serve yet, since it is being restored. */
    bool replay;
    uint64_t origin; /* ASK_PLACE: of a daemon whose entity is not known yet, which is zero then */
    uint64_t cell;   /* 0 for ASK, ASK_PLACE, OPEN_STATE; RESTORE: 0 or one that was opened. What is
                        0 and made is chosen by the outside */
    rove_entity daemon;
    rovei_attempt_id attempt; /* FREEZE, THAW, COMMIT, RESULT, RESTORE, ASK_PLACE, ..._STATE */
    uint64_t ticket;          /* repeated in the completion: lane, question, round of a transfer */
    uint64_t number;   /* APPLY: of the first event; RESULT: of the diverted event; READ_STATE */
    uint64_t size;     /* READ_STATE, OPEN_STATE, FREEZE */
    bool quiesce;      /* FREEZE */
    bool publishes;    /* ACTIVATE: its outputs go to a channel, those of local events as EMITTED */
    bool force;        /* SPAWN: whatever is known of the identity */
    uint32_t events;   /* APPLY: how many; rovei_effect_event gives each */
    rove_link link;    /* APPLY: of one event */
    rove_span payload; /* APPLY, WRITE_STATE: inside of `owner`; of many events their frames
                        */
    rove_buf *owner;   /* one reference; APPLY: frame; RESULT: outputs, framed; SPAWN: channel for
                          its outputs, or NULL */
    uint32_t output_count;   /* RESULT */
    rove_err err;            /* RESULT, FORGET, ASIDE */
    rove_buf *text;          /* RESULT: message of process */
    rovei_question question; /* ASK */
    rove_entity peer;        /* ASK, ASK_PLACE, SPAWN: who asks; OPEN_STATE, RESTORE: the source */
    rove_buf *daemon_kind;   /* ASK_PLACE, OPEN_STATE, RESTORE, SPAWN: name of the kind */
    rovei_keypair *key;      /* RESTORE, SPAWN: one reference; NULL: use what the outside has */
    bool public_only_ok;     /* (reserved for RESTORE without any key) */
    rovei_image image;       /* RESTORE: references are passed on */
} rovei_effect;

/* The next effect; its references belong to the caller (rovei_effect_fini gives them back). */
bool rovei_node_poll_effect(rovei_node *n, rovei_effect *ret);
void rovei_effect_fini(rovei_effect *e);
/* The next event of APPLY: start with *it = 0; false at the end. */
bool rovei_effect_event(const rovei_effect *e, size_t *it, rove_link *ret_link,
                        rove_span *ret_payload);

/* ---- completions: what the outside did ---- */
typedef enum rovei_completion_kind {
    ROVEI_DONE_APPLIED = 1,   /* cell, ticket, number; results, or of one event err (OK or
                                 E_PROCESS...), text, outputs */
    ROVEI_DONE_FROZEN,        /* cell, attempt, err, image */
    ROVEI_DONE_DIVERTED,      /* cell, attempt, number from 1, link, payload (owner) */
    ROVEI_DONE_COMMITTED,     /* cell, attempt, number = how many were diverted */
    ROVEI_DONE_ANSWER,        /* ticket, err; text: to ASK_PLACE the kind's name, without its end */
    ROVEI_DONE_RESTORED,      /* attempt, cell, err; key when the outside supplied it */
    ROVEI_DONE_ACTIVATED,     /* cell, attempt */
    ROVEI_DONE_STATE_READ,    /* cell, attempt, ticket, number = where, owner = the bytes, err */
    ROVEI_DONE_STATE_OPENED,  /* attempt, ticket, cell, err */
    ROVEI_DONE_STATE_WRITTEN, /* cell, attempt, number = how many bytes, err */
    ROVEI_DONE_EMITTED,       /* cell, owner = outputs of an event that no APPLY brought */
    ROVEI_DONE_STORED,        /* number; OK: the batch is durable. E_STORE_FULL, E_STORE_MAP,
                                 E_NOMEM: it is to be tried again; any other err: the store has
                                 failed, and takes no further one */
} rovei_completion_kind;

/* What became of one applied event. */
typedef struct rovei_result {
    rove_err err;
    uint32_t output_count;
    rove_buf *text, *outputs;
    uint64_t at; /* monotonic */
} rovei_result;

typedef struct rovei_completion {
    rovei_completion_kind kind;
    uint64_t cell;
    rovei_attempt_id attempt;
    uint64_t ticket;
    uint64_t number;
    rove_err err;
    rove_buf *text;
    rove_link link;
    rove_span payload;
    rove_buf *owner; /* DIVERTED: holds the payload; APPLIED: outputs in the framing of chain.h */
    uint32_t output_count; /* APPLIED, EMITTED */
    rovei_keypair *key;    /* RESTORED */
    rovei_image image;     /* FROZEN */
    uint64_t at;           /* APPLIED: monotonic time at which the event was applied */
    /* APPLIED: of the events from `number` on; NULL: of that one only, in the fields above. The
     * array stays the caller's, its references do not. */
    rovei_result *results;
    uint32_t events;
} rovei_completion;

/* Takes over the references in `c`. One that no longer fits (its cell is gone) is ignored. */
void rovei_node_complete(rovei_node *n, rovei_now now, rovei_completion *c);

/* ---- backups ---- */
/* What the core adds to an image, so that the whole of a daemon can be kept and brought back. */
typedef struct rovei_backup {
    rove_entity daemon;
    char kind[ROVEI_KIND_ROOM];
    uint64_t epoch; /* 0: not known, it was taken without a core */
    rovei_sinc sinc;
    rove_buf *lanes;  /* as rovei_lanes_export wrote them; NULL: not known */
    rove_buf *ledger; /* its subscriptions, for the image; NULL: none */
} rovei_backup;
/* The outside takes an image of a cell as one more piece of the cell's work, and calls this in the
 * place of that work's completion: after the completions of the work before it, before those of the
 * work after it. Then the lanes' positions count exactly the events that the image knows. The
 * daemon goes on. E_NOT_FOUND (no such cell any more), E_ALREADY_MIGRATING (frozen, or given away),
 * E_SUPERSEDED, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_node_backup(rovei_node *n, rovei_now now, uint64_t cell,
                                         rovei_backup *ret);
void rovei_backup_fini(rovei_backup *b);

/* ---- commands about daemons ---- */
typedef struct rovei_spawn {
    rovei_keypair *key; /* a reference is taken */
    const char *kind;
    uint64_t cell;
    bool given;       /* the identity was given, not drawn: ask around first (W5) */
    bool force;       /* take a forced epoch whatever is known */
    uint64_t request; /* comes back in the note */
    /* The cell was restored from this: the epoch is a forced one above its own, its lanes go on
     * under a new incarnation of the state. Only read during the call. NULL: a new daemon. */
    const rovei_backup *from;
    rove_span ledger; /* its subscriptions; each is asked for as soon as it serves */
    /* Its outputs are published on this channel of the node that hosts it; those of events that no
     * APPLY brought come as EMITTED. Empty: none. */
    rove_span channel;
} rovei_spawn;
/* Claims the right to run a daemon. The note SPAWNED says how it ended; until then the cell must
 * not serve. E_EXISTS, E_ORIGIN_TAKEN, E_FULL, E_NOMEM, errors of the lanes' bytes and of the
 * channel's name at once. */
ROVE_MUST_USE rove_err rovei_node_spawn(rovei_node *n, rovei_now now, const rovei_spawn *s);
/* Ends a daemon for good: its lanes' senders are told, its cell gets FORGET(E_STOPPED).
 * E_NOT_FOUND, E_ALREADY_MIGRATING while it is part of a move. */
ROVE_MUST_USE rove_err rovei_node_stop(rovei_node *n, rovei_now now, const rove_entity *daemon);
/* All daemons and moves end (shutdown): peers of running moves are told, waiters get
 * E_SHUTTING_DOWN. */
void rovei_node_shutdown(rovei_node *n, rovei_now now);

typedef struct rovei_move_order {
    rove_entity daemon, target;
    rove_entity source;       /* who has the daemon; zero: this node */
    uint64_t origin;          /* of the daemon, where its entity is not known (zero) */
    bool keep_identity;       /* do not transport the key */
    uint64_t retry_not_ready; /* budget in nanoseconds, 0 = off */
    uint64_t deadline;        /* nanoseconds from now to the commit, 0 = none */
} rovei_move_order;
/* Starts a move of a daemon of this node. E_NOT_FOUND, E_ALREADY_MIGRATING, E_SAME_NODE,
 * E_TARGET_UNAVAILABLE (no session), E_REFUSED. The phases come as notes. When the former move is
 * not closed yet the order waits for that within its deadline.
 * With another source the order is sent there, and what it says of it comes as notes of an attempt
 * of this node: E_ALREADY_MIGRATING (ordered already), E_SAME_NODE, E_UNREACHABLE (no session with
 * the source), E_FULL (orders_max). */
ROVE_MUST_USE rove_err rovei_node_move(rovei_node *n, rovei_now now, const rovei_move_order *o,
                                       rovei_attempt_id *ret);
/* Asks a running move to end: OK (it will end as aborted with `why`: E_CANCELLED or E_TIMED_OUT),
 * E_TOO_LATE, E_NOT_FOUND. One that another node gives away is only asked for by OK: either it
 * ends, or it comes to the phase CUTOVER. */
ROVE_MUST_USE rove_err rovei_node_cancel(rovei_node *n, rovei_now now,
                                         const rovei_attempt_id *attempt, rove_err why);

typedef enum rovei_phase { /* the six that users see */
                           ROVEI_PHASE_NONE = 0,
                           ROVEI_PHASE_SNAPSHOT,
                           ROVEI_PHASE_TRANSFER,
                           ROVEI_PHASE_RESTORE,
                           ROVEI_PHASE_REPLAY,
                           ROVEI_PHASE_CUTOVER,
                           ROVEI_PHASE_COMPLETE,
} rovei_phase;

typedef enum rovei_move_outcome {
    ROVEI_OUTCOME_RUNNING = 0,
    ROVEI_OUTCOME_COMPLETED,
    ROVEI_OUTCOME_FAILED,
    ROVEI_OUTCOME_CANCELLED,
    ROVEI_OUTCOME_TIMED_OUT,
} rovei_move_outcome;

typedef struct rovei_move_info {
    rovei_attempt_id attempt;
    rove_entity daemon, source, target;
    rove_entity orchestrator; /* who ordered it; of one that comes here: as the source says */
    uint64_t origin;          /* of the daemon, whose entity an ordered one may not know: zero */
    uint64_t epoch;           /* that the target gets */
    rovei_phase phase;
    rovei_move_outcome outcome;
    rove_err reason;
    rove_span text;        /* what a peer of class net said of it, UTF-8 without control characters;
                              borrowed until the next call on the node */
    uint64_t bytes;        /* of state sent or received */
    uint64_t begun, ended; /* monotonic */
    uint64_t frozen_at,
        active_at; /* monotonic: blackout without traffic = difference; 0 = not yet */
    uint64_t committed_at;
    uint64_t last_applied;   /* at the source, before the freeze; 0 = none */
    uint64_t widest_gap;     /* at the source, between two applied events, order to freeze */
    uint64_t held_back;      /* events that came between freeze and commit: held or diverted */
    uint64_t applied_frozen; /* events applied in that time: always 0 */
    uint32_t attempts;       /* Offers made, NotReady retries included */
    uint32_t unbound;        /* subscriptions that the target could not take over before the commit,
                                or whose missed events nobody repeats: ReplayPartial; it goes on
                                trying */
    bool local_source;       /* this node gives the daemon away; else it receives it, */
    bool ordered;            /* or has ordered another node to give it away */
    bool closed;             /* it has ended, and nothing more is said about it between the two */
    bool heard;              /* and what was said last has been received */
} rovei_move_info;
/* Running attempts and kept outcomes: start with *it = 0. */
bool rovei_node_move_next(const rovei_node *n, size_t *it, rovei_move_info *ret);
ROVE_MUST_USE rove_err rovei_node_move_get(const rovei_node *n, const rovei_attempt_id *attempt,
                                           rovei_move_info *ret);

typedef enum rovei_daemon_state {
    ROVEI_DAEMON_RUNNING = 1,
    ROVEI_DAEMON_MOVING,
    ROVEI_DAEMON_RECEIVING,
    ROVEI_DAEMON_PREPARED,
    ROVEI_DAEMON_COMMITTED,
    ROVEI_DAEMON_ASIDE,
    ROVEI_DAEMON_MOVED, /* it left; `holder` says where to */
} rovei_daemon_state;

typedef struct rovei_daemon_info {
    rove_entity entity;
    const char *kind; /* valid until the next call on the node */
    rovei_daemon_state state;
    rove_entity holder;
    uint64_t cell; /* 0 when there is none */
    uint64_t epoch;
    rovei_sinc sinc;
    uint64_t lanes;
    bool in_move;
    rovei_attempt_id attempt; /* where in_move */
    rove_entity counterpart;
    uint64_t since;         /* monotonic: in this state */
    uint64_t position;      /* bytes received or sent so far, where in_move */
    const char *note;       /* static: what an operator should know, or NULL */
    uint64_t first_applied; /* monotonic: first event applied here under this epoch; 0 = none */
    uint64_t widest_gap;    /* between two applied events, since it came or was ordered away */
} rovei_daemon_info;
bool rovei_node_daemon_next(const rovei_node *n, size_t *it, rovei_daemon_info *ret);
/* Where the outputs of a daemon here are published. False: nowhere. */
typedef struct rovei_outlet_info {
    const char *channel;             /* valid until the next call on the node */
    uint64_t published, unpublished; /* outputs, since it came here */
    rove_err reason;                 /* why the last ones were not published, or OK */
} rovei_outlet_info;
bool rovei_node_outlet(const rovei_node *n, const rove_entity *daemon, rovei_outlet_info *ret);
ROVE_MUST_USE rove_err rovei_node_daemon_get(const rovei_node *n, const rove_entity *daemon,
                                             rovei_daemon_info *ret);
/* By origin hash, among daemons here, those that left, and known records. E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_node_find_origin(const rovei_node *n, uint64_t origin,
                                              rove_entity *ret);

/* ---- commands about lanes: this node as a sender ---- */
/* Opens a sender towards a daemon wherever it lives. Its events are numbered from 1 by the core;
 * when the host forgets the lane the sender goes on with a new one by itself. E_NOMEM, E_FULL. */
ROVE_MUST_USE rove_err rovei_node_sender_open(rovei_node *n, rovei_now now,
                                              const rove_entity *daemon, uint64_t *ret_sender);
/* Queues one event; its number is given back. E_WINDOW (a ROOM note follows), E_TOO_LARGE
 * (event_max), E_GONE, E_CLOSED. A reference is taken. */
ROVE_MUST_USE rove_err rovei_node_sender_send(rovei_node *n, rovei_now now, uint64_t sender,
                                              rove_buf *payload, uint64_t *ret_number);
/* The same for many: `run` is inside of `owner` and holds events, each its length (u32, at most
 * ROVEI_LANE_ALONE) and its bytes; what was taken is cut off from its front. The number is that of
 * the last event taken so far. The first error, at the event that `run` then begins with. */
ROVE_MUST_USE rove_err rovei_node_sender_send_run(rovei_node *n, rovei_now now, uint64_t sender,
                                                  rove_buf *owner, rove_span *run,
                                                  uint64_t *ret_number);
/* No more events. With `drop`, what has no outcome is given up as unknown at once; else the note
 * SENDER_ENDED comes when everything has its outcome and the lane is closed at the host. */
void rovei_node_sender_close(rovei_node *n, rovei_now now, uint64_t sender, bool drop);

/* ---- notes: what the outside may want to know ---- */
typedef enum rovei_note_kind {
    ROVEI_NOTE_SPAWNED = 1, /* request, daemon, err, epoch in `value` */
    ROVEI_NOTE_MOVE,        /* attempt, daemon, phase: it changed; at the target once, when Closed
                               has come */
    ROVEI_NOTE_MOVE_ENDED,  /* attempt, daemon, outcome, err = reason */
    ROVEI_NOTE_APPLIED,     /* sender, number..value: applied; outputs (owner, count), or err and
                               text when process reported an error: then of one event only */
    ROVEI_NOTE_REFUSED,     /* sender, number, err: certainly not applied */
    ROVEI_NOTE_UNKNOWN,     /* sender, number, err: whether it was applied is not known */
    ROVEI_NOTE_LOST,        /* sender, number..value: were applied, and lost in a crash */
    ROVEI_NOTE_ROOM,        /* sender: the window has room again */
    ROVEI_NOTE_UNREACHABLE, /* sender: nobody who knows the daemon can be reached; goes on trying */
    ROVEI_NOTE_REACHED,     /* sender: after UNREACHABLE */
    ROVEI_NOTE_SENDER_ENDED,   /* sender: all has its outcome */
    ROVEI_NOTE_PEER,           /* peer: its state changed; ask the mesh */
    ROVEI_NOTE_HANDSHAKE_TIME, /* value: to be kept in the identity's state file */
    ROVEI_NOTE_FORCED,         /* daemon, value = epoch: a forced epoch was taken or heard of */
    ROVEI_NOTE_ASIDE,          /* daemon, peer = who has the right, value = its epoch: the copy
                                  here is kept aside */
    ROVEI_NOTE_CHANNEL_ROOM,   /* text: name of a channel of this node that can be published on
                                  again, after E_WINDOW */
    ROVEI_NOTE_SUBSCRIBED,     /* request, daemon (zero: a listener), err */
    ROVEI_NOTE_UNSUBSCRIBED,   /* request, daemon, err */
    ROVEI_NOTE_PUBLISHED,      /* request (a listener), number, text = payload, peer = publisher */
    ROVEI_NOTE_FEED_GAP,       /* request (a listener), number..value: the publisher lost these */
    ROVEI_NOTE_FEED_ENDED,     /* request (a listener), err: no member any more; tried again */
    ROVEI_NOTE_SPAWNED_THERE,  /* request, peer, err; daemon and its epoch in `value` */
} rovei_note_kind;

typedef struct rovei_note {
    rovei_note_kind kind;
    uint64_t request;
    rove_entity daemon;
    rove_entity peer;
    rovei_attempt_id attempt;
    rovei_phase phase;
    rovei_move_outcome outcome;
    rove_err err;
    uint64_t sender, number, value;
    rove_span outputs; /* APPLIED: framed outputs, inside of `owner` */
    uint32_t output_count;
    rove_span text;  /* APPLIED with an error, REFUSED, CHANNEL_ROOM, PUBLISHED: inside of
                        `owner` */
    rove_buf *owner; /* one reference, belongs to the caller */
} rovei_note;
bool rovei_node_poll_note(rovei_node *n, rovei_note *ret);
void rovei_note_fini(rovei_note *note);

/* Counters of the compute part. */
typedef struct rovei_node_stats {
    uint64_t daemons, senders, records;
    uint64_t events_applied, events_repeated, events_refused, events_resent, events_unknown,
        events_lost;
    uint64_t redirects, moves_completed, moves_aborted, moves_refused, moves_cancelled;
    uint64_t frames_malformed,
        frames_refused; /* message dropped: bytes wrong; sender not entitled */
    /* of other nodes: that a move was begun for; refused; come again */
    uint64_t orders_taken, orders_refused, orders_repeated;
    /* Daemons that other nodes wanted here: spawned; refused; asked for again; dropped for want of
     * room or memory, as if the request was lost. */
    uint64_t spawns_served, spawns_refused, spawns_repeated, spawns_dropped;
    /* Of channels: not applied for an error of the daemon, or too large; not kept by the publisher
     * any more; of a channel that nothing here is subscribed to. */
    uint64_t feed_errors, feed_lost, feed_dropped;
    /* Of peers of class net: messages of a subprotocol, and packets of streams, that nobody here
     * listens to. */
    uint64_t net_messages_dropped, net_data_dropped;
} rovei_node_stats;
rovei_node_stats rovei_node_stats_get(const rovei_node *n);

/* Invariants over all of it: aborts when one is broken. For tests and the simulator. */
void rovei_node_check(const rovei_node *n);

#endif
