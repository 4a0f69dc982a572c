/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the move machine, shared by its files: the attempt that both halves keep, the
 * source half, the target half, and the transfer between them (docs/protocol/moves.md has the state
 * tables). */
#ifndef ROVEI_MIGRATION_MACHINE_H
#define ROVEI_MIGRATION_MACHINE_H

#include <crypto/crypto.h>
#include <migration/move_codec.h>
#include <node/core.h>
#include <rove/migration.h>

/* Bytes of a transfer or of results that may wait in a pipe. */
#define ROVEI_MOVE_QUEUED_MAX (UINT64_C(8) << 20)
/* Diverted events given to the new cell and not yet applied. */
#define ROVEI_MOVE_APPLYING_MAX 256
/* Offers that wait for the outside's answer. */
#define ROVEI_MOVE_QUESTIONS_MAX 1024

/* ---- an attempt: running, or its kept outcome ---- */
typedef struct rovei_attempt {
    rovei_node *node;
    rovei_move_info info;
    rove_buf *text; /* of info.text */
    rovei_level level;
    rovei_sinc sinc;
    struct rovei_source *source; /* while this node gives the daemon away */
    struct rovei_target *target; /* from the acceptance until Closed */
    struct rovei_order *order;   /* while another node was ordered to give it away */
    /* The same with a peer of class net (migration/net_machine.h). */
    struct rovei_net_source *net_source;
    struct rovei_net_target *net_target;
    struct rovei_net_order *net_order;
    bool committed;  /* source: COMMIT was asked for, so this outcome proves no abort */
    bool served;     /* target: it has served under this attempt */
    bool unanswered; /* source: Abort was said and not answered */
    bool owes_note;  /* MOVE_ENDED could not be queued yet */
    bool refused;    /* source: the target said no */
    /* Source in class net. */
    bool net_leftover;     /* chunks of this attempt may lie half put together at the other side */
    uint64_t net_sequence; /* of those chunks */
    uint8_t farewells;     /* how often MigrationFailed is still to be said */
    uint64_t net_told;     /* to whom; an orchestrator, when one ordered the snapshot */
    rovei_pipe pipe;
    rovei_pipe last_pipe; /* the same, once it was finished: what was said last goes by it */
    rovei_list running;
    rovei_timer repeat; /* says the present step again */
    rovei_timer
        limit;       /* while running: ends a phase without progress; later: forgets the outcome */
    rovei_timer due; /* the order's own deadline */
    uint64_t pause;  /* until the next repetition */
} rovei_attempt;

struct rovei_moves {
    rovei_node *node;
    rovei_attempt **all; /* in the order in which they began */
    size_t count, room;
    rovei_map by_id;
    rovei_map orders; /* the same, of what this node ordered elsewhere: it may be its target too */
    rovei_list running;
    struct rovei_place *places; /* Offers that wait for an answer */
    size_t place_count, place_room;
    struct rovei_order_asked *asked; /* orders of other nodes that wait for policy */
    size_t asked_count, asked_room;
};

/* One that this node gives away or takes in. */
rovei_attempt *rovei_attempt_find(const rovei_node *n, const rovei_attempt_id *id);
/* A new one, running; makes room among the daemon's kept outcomes first. `info` says who ordered
 * it. E_EXISTS, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_attempt_new(rovei_attempt **ret, rovei_node *n, rovei_now now,
                                         const rovei_move_info *info);
/* Takes back one that began nothing. */
void rovei_attempt_drop(rovei_attempt *a);
/* The one outcome, from now on. At the source the waiters are told. */
void rovei_attempt_conclude(rovei_attempt *a, rovei_now now, rovei_move_outcome outcome,
                            rove_err err);
/* Keeps what a peer of class net said of the reason, cut to ROVE_MIGRATION_TEXT_MAX and without
 * control characters. Without memory nothing is kept. */
void rovei_attempt_text(rovei_attempt *a, rove_span text);
/* Its half has been taken off: only the outcome is kept, for its time. */
void rovei_attempt_retire(rovei_attempt *a, rovei_now now);
/* A phase further on: noted at the source; never goes back. */
void rovei_attempt_phase(rovei_attempt *a, rovei_phase phase);
void rovei_attempt_tell_phase(rovei_attempt *a);
/* Starts the repetition anew at its shortest interval; or doubles it, up to ten times that. */
void rovei_attempt_repeat(rovei_attempt *a, rovei_now now);
void rovei_attempt_back_off(rovei_attempt *a, rovei_now now);
void rovei_attempt_stop(rovei_attempt *a); /* neither repeats nor ends by time */
/* The pause before a target that was not ready is asked again; 0: the budget is spent. */
uint64_t rovei_attempt_retry(const rovei_attempt *a, rovei_now now, uint64_t budget);
/* Something went on: the present phase has move_stall again. */
void rovei_attempt_progress(rovei_attempt *a, rovei_now now);

/* ---- the source's cell, in whichever class ---- */
/* Whether a daemon may be given away. E_NOT_FOUND, E_ALREADY_MIGRATING, E_SHUTTING_DOWN, E_BOUND,
 * E_MOVE_LIMIT.
 */
ROVE_MUST_USE rove_err rovei_moves_may_leave(const rovei_daemon *d);
/* Daemons that are on their way here, and not served here yet. */
uint64_t rovei_moves_arriving(const rovei_node *n);
/* The daemon goes on here. False: out of memory, nothing was done. */
bool rovei_attempt_thaw(rovei_attempt *a, rovei_now now, rovei_daemon *d);
/* Asks for the commit point, with the record that names the target. E_NOMEM: nothing was done. */
ROVE_MUST_USE rove_err rovei_attempt_commit(rovei_attempt *a, rovei_now now, rovei_daemon *d,
                                            const rovei_addr *addrs, size_t addr_count,
                                            rovei_record *ret);
/* Tells lanes and all who ask where the daemon went. False: out of memory. */
bool rovei_attempt_publish(rovei_attempt *a, rovei_now now, rovei_daemon *d,
                           const rovei_record *record);

/* ---- messages out ---- */
rovei_move_header rovei_attempt_header(const rovei_attempt *a, rovei_move_type type);
static inline const rove_entity *rovei_attempt_peer(const rovei_attempt *a)
{
    return a->info.local_source ? &a->info.target : &a->info.source;
}
/* Fills in the header and sends. What cannot be sent is said again by a timer or at peer_up. */
rove_err rovei_attempt_send(rovei_attempt *a, rovei_move_message *m, rove_buf *body);
/* An answer from a node that has no running attempt for it: to the other one of source and target.
 * `m` has its type and its fields. */
void rovei_move_answer(rovei_node *n, const rovei_move_header *about, rovei_move_message *m);
void rovei_move_say_unknown(rovei_node *n, const rovei_move_header *about);
void rovei_move_say_abort(rovei_node *n, const rovei_move_header *about, rove_err reason);
void rovei_move_say_active(rovei_node *n, const rovei_move_header *about);
/* Tells a node of the record that is known here: its own right is over. */
void rovei_move_tell_record(rovei_node *n, const rove_entity *peer, const rovei_record *record);

/* ---- transfer: the sections State and Positions, cut into chunks ---- */
typedef struct rovei_outgoing {
    rove_buf *state, *positions; /* the source's; no state: it is read from the cell */
    uint64_t state_size;
    uint64_t offset;             /* over both: sent */
    uint64_t asked, read;        /* of a state that is read: asked for, and here */
    rovei_queue ready;           /* of rove_buf *: read and not sent */
    struct rovei_digest *digest; /* over what was sent; NULL once it is known or not begun */
} rovei_outgoing;
/* Starts at 0. `image` and `positions` stay the caller's. */
ROVE_MUST_USE rove_err rovei_outgoing_begin(rovei_outgoing *o, const rovei_node *n,
                                            const rovei_image *image, rove_buf *positions,
                                            bool digest);
void rovei_outgoing_stop(rovei_outgoing *o);
static inline bool rovei_outgoing_done(const rovei_outgoing *o)
{
    return o->offset == o->state_size + rovei_buf_size(o->positions);
}
/* STATE_READ of this round; takes the bytes. An error: the state cannot be had. */
ROVE_MUST_USE rove_err rovei_outgoing_read(rovei_outgoing *o, rovei_completion *c);
/* Sends chunks while the pipe has room. E_UNREACHABLE and the like leave it where it is. */
rove_err rovei_outgoing_pump(rovei_outgoing *o, rovei_attempt *a, uint32_t round);

typedef struct rovei_incoming {
    rove_buf *state, *positions;
    uint64_t state_size, positions_size; /* as promised by the first chunk */
    uint64_t state_have, positions_have;
    bool has_envelope;
    uint8_t envelope[ROVEI_ENVELOPE_SIZE];
    struct rovei_digest *digest;
    /* A state above state_whole. */
    bool in_pieces;
    bool opening;       /* OPEN_STATE is under way */
    rovei_queue pieces; /* not given to the cell yet */
    rovei_pipe via;     /* the stream on which it comes */
    uint64_t held;      /* bytes that the cell does not have yet: their credit is kept back */
    bool sealed_waits;  /* Sealed came before the cell had been given everything */
    rovei_move_sealed sealed;
} rovei_incoming;
ROVE_MUST_USE rove_err rovei_incoming_begin(rovei_incoming *i, rovei_node *n);
void rovei_incoming_stop(rovei_incoming *i, rovei_node *n); /* frees and wipes */
/* `a` is the target's attempt, `message` holds the chunk and came through `via`. E_SEQUENCE_GAP:
 * something before it is missing; E_TOO_LARGE, E_FORMAT: it can never be taken; E_NOMEM: as if
 * lost. */
ROVE_MUST_USE rove_err rovei_incoming_state(rovei_incoming *i, const rovei_attempt *a,
                                            const rovei_move_chunk *c, const rovei_pipe *via,
                                            rove_buf *message);
ROVE_MUST_USE rove_err rovei_incoming_positions(rovei_incoming *i, const rovei_node *n,
                                                const rovei_move_chunk *c);
ROVE_MUST_USE rove_err rovei_incoming_envelope(rovei_incoming *i, const uint8_t *bytes);
/* All is here and the digest agrees; else E_SEQUENCE_GAP, E_FORMAT. The digest is used up. */
ROVE_MUST_USE rove_err rovei_incoming_sealed(rovei_incoming *i, const rovei_move_sealed *s);
/* Gives the cell the pieces that wait for it. */
void rovei_incoming_write(rovei_incoming *i, const rovei_attempt *a);
static inline bool rovei_incoming_given(const rovei_incoming *i)
{
    return !i->opening && !i->pieces.count;
}
/* STATE_WRITTEN: the cell has so many bytes more. */
void rovei_incoming_written(rovei_incoming *i, rovei_node *n, uint64_t size);

/* The ledger of an image is what the core knows of the daemon's subscriptions, not the cell. */
ROVE_MUST_USE rove_err rovei_attempt_ledger(rovei_daemon *d, rovei_now now, rovei_image *image);

/* ---- diverted events ---- */
typedef struct rovei_diverted {
    rove_link link;
    rove_span payload; /* inside of owner */
    rove_buf *owner;
} rovei_diverted;
typedef struct rovei_diverted_list {
    rovei_diverted *items; /* items[i] has number i + 1 */
    size_t count, room;
} rovei_diverted_list;
void rovei_diverted_free(rovei_diverted_list *l, const rove_alloc *a);
/* A reference to `owner` is taken. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_diverted_add(rovei_diverted_list *l, const rove_alloc *a,
                                          const rove_link *link, rove_span payload,
                                          rove_buf *owner);

/* ---- orders: a third node, or the target itself, drives the move ---- */
/* The orchestrator's half: what it asked for, said again until the source has answered. */
struct rovei_order {
    rovei_attempt *a;
    bool keep_identity;
    uint64_t retry_not_ready, deadline;
    bool known;      /* the source has answered */
    rove_err cancel; /* what it was asked to end by; OK: nothing */
};
/* An order of another node, until policy has answered. */
typedef struct rovei_order_asked {
    uint64_t ticket;
    rovei_move_header head;
    rovei_move_order_body order;
} rovei_order_asked;
ROVE_MUST_USE rove_err rovei_order_start(rovei_node *n, rovei_now now, const rovei_move_order *o,
                                         rovei_attempt_id *ret);
rovei_attempt *rovei_order_find(const rovei_node *n, const rovei_attempt_id *id);
/* Order, Cancel and Outcome. */
void rovei_order_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_move_message *m);
/* False: the ticket is of no question about an order. */
bool rovei_order_answered(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict);
/* At the source: tells the orchestrator of an attempt that it ordered. Lost, it asks again. */
void rovei_order_report(rovei_attempt *a);
rove_err rovei_order_cancel(rovei_attempt *a, rovei_now now, rove_err why);
void rovei_order_repeat(rovei_attempt *a, rovei_now now);
void rovei_order_limit(rovei_attempt *a, rovei_now now);
void rovei_order_peer_up(rovei_attempt *a, rovei_now now);
void rovei_order_peer_failed(rovei_attempt *a, rovei_now now);
void rovei_order_check(const rovei_attempt *a);
/* Moves of this node's daemons that go on, which other nodes ordered. */
static inline bool rovei_attempt_is_foreign(const rovei_attempt *a)
{
    const rove_entity *by = &a->info.orchestrator;
    return a->info.local_source && !rovei_entity_is_zero(by) && !rovei_entity_is_net(by) &&
           !rovei_entity_equal(by, &a->info.source);
}

/* What is known of a move that this node is about to begin; without `attempt` a number is drawn. */
rovei_move_info rovei_moves_info(const rovei_daemon *d, const rove_entity *target,
                                 const rove_entity *orchestrator, const rovei_attempt_id *attempt);
/* A move of a daemon of this node, on whose order and under which number (NULL: one is drawn). */
ROVE_MUST_USE rove_err rovei_moves_begin(rovei_node *n, rovei_now now, const rovei_move_order *o,
                                         const rove_entity *orchestrator,
                                         const rovei_attempt_id *attempt, rovei_attempt_id *ret);

/* ---- the source half ---- */
typedef enum rovei_source_step {
    ROVEI_SOURCE_WAIT,   /* the former move is not closed yet */
    ROVEI_SOURCE_OFFER,  /* offered, before the freeze */
    ROVEI_SOURCE_PAUSE,  /* the target was not ready: offers again later */
    ROVEI_SOURCE_FREEZE, /* accepted; FREEZE is under way */
    ROVEI_SOURCE_REJOIN, /* frozen or committed: offers again, since the target has to start anew */
    ROVEI_SOURCE_SEND,   /* frozen or committed: chunks are leaving */
    ROVEI_SOURCE_SEALED, /* frozen or committed: all was sent; waits for Prepared */
    ROVEI_SOURCE_COMMITTING, /* COMMIT is under way */
    ROVEI_SOURCE_COMMITTED,  /* waits for Active */
    ROVEI_SOURCE_CLOSING,    /* Active has come; waits for results */
} rovei_source_step;

struct rovei_source {
    rovei_attempt *a;
    rovei_daemon *d;
    rovei_source_step step;
    bool committed; /* the commit point has passed */
    bool published; /* the record is learned and pushed */
    bool keep_identity;
    uint64_t retry_not_ready;
    rovei_record right; /* the one that is given away, shown with every Offer */
    uint32_t round;
    rovei_move_outcome ending; /* asked to end, by what, while the freeze is under way */
    rove_err ending_reason;

    rovei_image image;
    rove_buf *positions;
    rove_buf *early; /* lanes as they stood before the freeze: a broken rule of the simulator's */
    bool has_envelope;
    uint8_t envelope[ROVEI_ENVELOPE_SIZE];
    rovei_outgoing out;
    bool digest_known;
    uint8_t digest[32];

    rovei_phase seen_phase; /* last Progress of the target */
    uint64_t seen_bytes;
    uint64_t restoring_since; /* monotonic: first heard that the target restores; 0 = not yet */

    uint64_t ticket; /* of the preparation that was committed to last */
    rovei_record record;
    rovei_diverted_list diverted;
    bool divert_failed; /* out of memory: later ones are not taken either */
    uint64_t in_cell;   /* diverted events of which the cell knows */
    uint64_t events_sent;
    uint64_t results;  /* numbers up to this have their result */
    rove_buf *partial; /* outputs of the next result, as far as they have come */
    uint64_t partial_have;
};
void rovei_source_free(struct rovei_source *s);
void rovei_source_set_step(struct rovei_source *s, rovei_source_step step);
void rovei_source_start(struct rovei_source *s, rovei_now now); /* first Offer, or the wait */
/* Ends an attempt that is not committed: thaws, serves, says Abort. */
void rovei_source_abort(struct rovei_source *s, rovei_now now, rovei_move_outcome outcome,
                        rove_err err);
void rovei_source_receive(struct rovei_source *s, rovei_now now, const rovei_move_message *m);
void rovei_source_frozen(struct rovei_source *s, rovei_now now, rovei_completion *c);
void rovei_source_state_read(struct rovei_source *s, rovei_now now, rovei_completion *c);
void rovei_source_committed(struct rovei_source *s, rovei_now now, const rovei_completion *c);
void rovei_source_peer_up(struct rovei_source *s, rovei_now now);
void rovei_source_peer_lost(struct rovei_source *s, rovei_now now);
void rovei_source_heard(struct rovei_source *s); /* any word of the target */
void rovei_source_turn(struct rovei_source *s, rovei_now now);
void rovei_source_repeat(struct rovei_source *s, rovei_now now); /* the timers of its attempt */
void rovei_source_limit(struct rovei_source *s, rovei_now now);
/* Offers again to the same target, for a transfer from its start. */
void rovei_source_rejoin(struct rovei_source *s, rovei_now now);
/* Nothing of the frozen daemon is needed any more. */
void rovei_source_drop_image(struct rovei_source *s);
void rovei_source_check(const struct rovei_source *s);

/* source_commit.c: the commit and all that follows from it */
void rovei_source_prepared(struct rovei_source *s, rovei_now now, const rovei_move_prepared *p);
void rovei_source_active(struct rovei_source *s, rovei_now now, bool serves, uint64_t have);
void rovei_source_unknown(struct rovei_source *s, rovei_now now, rovei_move_type answers);
void rovei_source_refused(struct rovei_source *s, rovei_now now, rove_err reason);
void rovei_source_commit_again(struct rovei_source *s, rovei_now now);
/* The daemon is elsewhere for good: forgets it here, says Closed. `err` for diverted events without
 * a result. */
void rovei_source_close(struct rovei_source *s, rovei_now now, rove_err err);

/* divert.c */
void rovei_source_diverted(struct rovei_source *s, rovei_now now, rovei_completion *c);
void rovei_source_pump_events(struct rovei_source *s);
void rovei_source_say_events(struct rovei_source *s); /* one message, also without events */
void rovei_source_results(struct rovei_source *s, rovei_now now, const rovei_move_results *r);

/* ---- the target half ---- */
typedef enum rovei_target_step {
    ROVEI_TARGET_RECEIVING,
    ROVEI_TARGET_RESTORING,
    ROVEI_TARGET_PREPARED,
    ROVEI_TARGET_ACTIVATING,
    ROVEI_TARGET_ACTIVE, /* serves; not closed yet */
} rovei_target_step;

struct rovei_target {
    rovei_attempt *a;
    rovei_daemon *d;
    rovei_target_step step;
    uint32_t round;
    rovei_incoming in;
    uint64_t promised; /* size of the state that the Offer named; 0 = it is not known yet */
    uint64_t reported; /* bytes at the last Progress */
    uint8_t digest[32];
    uint64_t ticket;
    bool restored;         /* RESTORED has come; PREPARED waits for memory, or for what follows */
    bool imported;         /* the lanes are here */
    uint64_t rebind_until; /* monotonic: publishers' answers are waited for; 0: not asked yet */
    bool activated;
    uint64_t events_total; /* as the Commit said */
    rovei_diverted_list diverted;
    uint64_t diverted_bytes; /* memory of those that the cell does not have yet */
    uint64_t applying;       /* given to the cell */
    rovei_result *results;
    size_t result_count, result_room;
    uint64_t results_sent;
    uint64_t part; /* bytes of the next result's outputs that are sent */
};
void rovei_target_free(struct rovei_target *t);
void rovei_target_set_step(struct rovei_target *t, rovei_target_step step);
/* Drops what was received or prepared, with its cell; the attempt ends as failed with `err`, which
 * the source is told when it does not know. */
void rovei_target_discard(struct rovei_target *t, rovei_now now, rove_err err, bool tell);
/* `message` holds `m`, and came through `via`. */
void rovei_target_receive(struct rovei_target *t, rovei_now now, const rovei_move_message *m,
                          const rovei_pipe *via, rove_buf *message);
void rovei_target_sealed(struct rovei_target *t, rovei_now now, const rovei_move_sealed *s);
/* Gives the provisional cell what waits; when that was all and Sealed is here, it is restored. */
void rovei_target_write(struct rovei_target *t, rovei_now now);
/* Drops the provisional cell of an earlier round. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_target_forget_cell(struct rovei_target *t);
void rovei_target_opened(struct rovei_target *t, rovei_now now, const rovei_completion *c);
void rovei_target_written(struct rovei_target *t, rovei_now now, const rovei_completion *c);
void rovei_target_restored(struct rovei_target *t, rovei_now now, rovei_completion *c);
void rovei_target_activated(struct rovei_target *t, rovei_now now);
void rovei_target_peer_up(struct rovei_target *t, rovei_now now);
void rovei_target_turn(struct rovei_target *t, rovei_now now);
void rovei_target_repeat(struct rovei_target *t, rovei_now now);
void rovei_target_limit(struct rovei_target *t, rovei_now now);
/* Takes the transfer from its start, under this round, and says so. */
void rovei_target_accept(struct rovei_target *t, rovei_now now, uint32_t round);
void rovei_target_say_accept(struct rovei_target *t);
void rovei_target_say_prepared(struct rovei_target *t);
void rovei_target_say_active(struct rovei_target *t);
void rovei_target_check(const struct rovei_target *t);

/* target_offer.c: Offers, and the outside's answers to them */
typedef struct rovei_place {
    uint64_t ticket;
    rovei_move_header head;
    rovei_move_offer offer;
    bool proven; /* the source holds the daemon; else its word alone says so */
} rovei_place;
void rovei_target_offered(rovei_node *n, rovei_now now, const rovei_move_message *m);
void rovei_target_placed(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict);
void rovei_target_unplace(rovei_node *n, const rovei_attempt_id *attempt);

/* divert.c */
void rovei_target_events(struct rovei_target *t, rovei_now now, const rovei_move_events *e,
                         rove_buf *message);
void rovei_target_applied(struct rovei_target *t, rovei_now now, rovei_completion *c);
void rovei_target_pump(struct rovei_target *t);
/* The source asks for what it lacks from this number on. */
void rovei_target_rewind(struct rovei_target *t, uint64_t done);

#endif
