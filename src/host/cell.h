/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell: one instance of a daemon with its key, chain, horizon, statistics and subscriptions, and
 * what becomes of local events while it moves. It is a plain state machine: no lock, no clock, no
 * thread; whoever owns it calls it from one thread at a time, in the order of the daemon's mailbox.
 *
 *      NEW --activate--> SERVING --freeze--> FROZEN --commit--> DEPARTED
 *                         ^  |                 |                   ^
 *                         |  +--quiesce--> QUIET ---- commit ------+
 *                         |                  | |
 *                         +------ thaw ------+-+        any --aside--> ASIDE, any --close--> GONE
 *
 * Only SERVING applies. QUIET refuses local events. FROZEN diverts local events: it numbers them
 * from 1, keeps them, and their waiters, until THAW applies them here or RESULT and COMMIT say what
 * the next host made of them. A waiter is any pointer of the caller's; each comes back exactly
 * once. */
#ifndef ROVEI_HOST_CELL_H
#define ROVEI_HOST_CELL_H

#include <node/node.h>
#include <rove/daemon.h>
#include <rove/kind.h>
#include <state/ledger.h>
#include <state/snapshot.h>

typedef struct rovei_cell rovei_cell;

typedef enum rovei_cell_state {
    ROVEI_CELL_NEW = 1,  /* made or restored, not yet serving */
    ROVEI_CELL_SERVING,  /* applies */
    ROVEI_CELL_FROZEN,   /* snapshot taken; local events are diverted */
    ROVEI_CELL_QUIET,    /* snapshot taken; local events are refused: E_MOVING */
    ROVEI_CELL_THAWING,  /* diverted events are being applied here (rovei_cell_thaw_next) */
    ROVEI_CELL_DEPARTED, /* given away: local events get E_MOVED */
    ROVEI_CELL_ASIDE,    /* kept for the operator: local events get the error of `aside` */
    ROVEI_CELL_GONE,     /* the instance is destroyed */
} rovei_cell_state;

typedef struct rovei_cell_config {
    const rovei_env *env;  /* outlives the cell; limits: event_max, state_max, state_whole,
                              outputs_max, horizon_origins, divert_events, divert_bytes */
    const rove_kind *kind; /* outlives the cell */
    void *kind_user;       /* for kind->create */
    rovei_keypair *key;    /* a reference is taken */
    void *instance;        /* taken over on success; NULL: kind->create makes one */
    const rove_link *fork; /* the link that a fork's chain begins with; NULL: the usual one */
} rovei_cell_config;

/* E_NOMEM, E_ORIGIN_MISMATCH (`fork` is of another origin than the key: nothing was made), or what
 * kind->create returned. The chain stands at its beginning, the state is NEW. */
ROVE_MUST_USE rove_err rovei_cell_new(rovei_cell **ret, const rovei_cell_config *cfg);
/* The instance goes back to whoever gave it: the cell is to be freed then. */
void rovei_cell_disown(rovei_cell *c);
/* Destroys the instance too. Every waiter must have been taken (checked). NULL is fine. */
void rovei_cell_free(rovei_cell *c);

/* ---- restore: once, in NEW, before anything else ---- */
/* From what another host (or freeze) made. E_RESTORE_FAILED (*ret_text: the kind's message, may
 * stay NULL), E_ORIGIN_MISMATCH (head of another origin), E_BINDINGS, E_HORIZON_FULL, E_FORMAT
 * (horizon), E_TOO_LARGE (state_max), E_NOMEM, E_USAGE (not NEW). After an error only
 * rovei_cell_free. Image references stay the caller's. */
ROVE_MUST_USE rove_err rovei_cell_restore_image(rovei_cell *c, const rovei_image *image,
                                                rove_buf **ret_text);
/* From a snapshot in the v2 format, whose state bytes stand in for the unknown head payload. Also
 * E_SNAPSHOT_IDENTITY (another entity). Horizon and statistics begin anew. */
ROVE_MUST_USE rove_err rovei_cell_restore_snapshot(rovei_cell *c, const rovei_snapshot *s,
                                                   rove_buf **ret_text);

/* For a state that comes in pieces: says its size, gives each piece in order, and then ends with
 * rovei_cell_restore_image, whose image has that state_size and no state. A kind that knows only
 * whole states gets it in one buffer at the end. E_RESTORE_FAILED (*ret_text as above),
 * E_TOO_LARGE (state_max), E_NOMEM, E_USAGE (not NEW, begun before). */
ROVE_MUST_USE rove_err rovei_cell_restore_begin(rovei_cell *c, uint64_t size, rove_buf **ret_text);
/* E_RESTORE_FAILED, E_USAGE (not begun, more than was said). After an error only rovei_cell_free,
 * which tells the kind that the state is not complete. */
ROVE_MUST_USE rove_err rovei_cell_restore_write(rovei_cell *c, rove_span bytes);
/* Another key for the same entity: one that was restored under its public half alone. E_USAGE (not
 * NEW), E_ORIGIN_MISMATCH (another entity). A reference is taken. */
ROVE_MUST_USE rove_err rovei_cell_set_key(rovei_cell *c, rovei_keypair *key);

/* ---- events ---- */
typedef struct rovei_cell_event {
    rove_link link;
    rove_span payload;
    rove_buf *owner; /* holds the payload; NULL: it is copied where it has to be kept */
} rovei_cell_event;

typedef struct rovei_applied {
    rove_err err;      /* OK; E_PROCESS; E_HORIZON_FULL, E_NOMEM: process was not called;
                          E_TOO_LARGE, E_SEQUENCE_END: of the outputs, which are dropped */
    rove_buf *text;    /* message of process, or NULL */
    rove_buf *outputs; /* in the framing of chain.h, or NULL when there are none */
    uint32_t output_count;
    uint64_t index; /* OK: the how-manieth event of this daemon it was */
} rovei_applied;
void rovei_applied_fini(rovei_applied *a);

/* An event of a lane. False, and nothing done, unless the cell serves. */
bool rovei_cell_apply(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, rovei_applied *ret);
/* An event that came with a move, for a cell that is restored and does not serve yet. False, and
 * nothing done, for any other. */
bool rovei_cell_replay(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev,
                       rovei_applied *ret);
/* A local event. OK: applied, see *ret. E_DIVERTED: kept under *ret_number, and `waiter` with it.
 * Everything else: not accepted, nothing done: E_BUFFER_FULL, E_NOMEM, E_NOT_READY (NEW), E_MOVED,
 * E_MOVING (QUIET), E_BUSY (THAWING: finish that first), the error of `aside`, E_STALE (GONE). */
ROVE_MUST_USE rove_err rovei_cell_deliver(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev,
                                          void *waiter, rovei_applied *ret, uint64_t *ret_number);

/* ---- the moves of a cell's life; each is refused with E_WRONG_PHASE from a wrong state ---- */
ROVE_MUST_USE rove_err rovei_cell_activate(rovei_cell *c);
/* Takes the image and diverts from here on. E_SNAPSHOT_FAILED (*ret_text as above), E_TOO_LARGE
 * (state_max), E_NOMEM: goes on serving. The image's state is NULL for a stateless kind, and for a
 * kind with the streamed form whose state is above state_whole: that is read from the cell. */
ROVE_MUST_USE rove_err rovei_cell_freeze(rovei_cell *c, uint64_t wall,
                                         const rovei_attempt_id *attempt, rovei_image *ret,
                                         rove_buf **ret_text);
/* The same for a next host that takes no diverted events: local ones are refused until the thaw.
 * The image has all of the state, also of a kind with the streamed form. Also E_TOO_LARGE: more
 * than `most` bytes of it. */
ROVE_MUST_USE rove_err rovei_cell_quiesce(rovei_cell *c, uint64_t wall,
                                          const rovei_attempt_id *attempt, uint64_t most,
                                          rovei_image *ret, rove_buf **ret_text);
/* The next bytes of the frozen state, before and after the commit: pieces from 0 on, in order; a
 * piece at 0 starts again, with the same bytes. E_WRONG_PHASE (not frozen by this attempt),
 * E_SNAPSHOT_FAILED, E_USAGE (not the next bytes, or beyond the end), E_NOMEM, E_TOO_LARGE. */
ROVE_MUST_USE rove_err rovei_cell_read_frozen(rovei_cell *c, const rovei_attempt_id *attempt,
                                              uint64_t offset, void *room, size_t size);
/* Ends the freeze of this attempt: then call thaw_next until it gives false. */
ROVE_MUST_USE rove_err rovei_cell_thaw(rovei_cell *c, const rovei_attempt_id *attempt);
/* Applies the next diverted event: its waiter (may be NULL), the event (its references stay the
 * cell's, until the next call on the cell) and the outcome. False: none is left, serving again. */
bool rovei_cell_thaw_next(rovei_cell *c, uint64_t wall, void **ret_waiter,
                          rovei_cell_event *ret_event, rovei_applied *ret);
/* Closes the cell for good: how many events were diverted. */
ROVE_MUST_USE rove_err rovei_cell_commit(rovei_cell *c, const rovei_attempt_id *attempt,
                                         uint64_t *ret_diverted);
/* Keeps the cell but never serves again; local events get `err`. Waiters of diverted events are to
 * be taken and told. */
void rovei_cell_aside(rovei_cell *c, rove_err err);
/* Destroys the instance; local events get E_STALE. Waiters are to be taken and told. */
void rovei_cell_close(rovei_cell *c);

/* ---- diverted events ---- */
/* By number, from 1 to the count; NULL when there is none. Borrowed until the next call. */
const rovei_cell_event *rovei_cell_diverted(const rovei_cell *c, uint64_t number);
void rovei_cell_diverted_totals(const rovei_cell *c, uint64_t *ret_events, uint64_t *ret_bytes);
/* Takes the waiter of one number: false when it was taken before, or there is no such number. */
bool rovei_cell_take_result(rovei_cell *c, uint64_t number, void **ret_waiter);
/* Takes any waiter that is left, lowest number first. */
bool rovei_cell_take_waiter(rovei_cell *c, void **ret_waiter);

/* ---- the state in pieces ---- */
/* The state as it is when the reader is opened: later events do not change what is read. A reader
 * is used in the order of the cell's other work, by one thread at a time; it may outlive its cell,
 * and is stale then. Kinds that know only whole states are read from a buffer that the reader has.
 */
typedef struct rovei_state_reader rovei_state_reader;
/* In SERVING, FROZEN, DEPARTED or ASIDE, else E_WRONG_PHASE. *ret is NULL for a stateless kind.
 * Errors of freeze. */
ROVE_MUST_USE rove_err rovei_state_open(rovei_cell *c, rovei_state_reader **ret,
                                        rove_buf **ret_text);
uint64_t rovei_state_size(const rovei_state_reader *r); /* of all of it; 0 for NULL */
/* The next `size` bytes, exactly. E_SNAPSHOT_FAILED (the kind fails, or gives more or less than it
 * said), E_STALE (the cell is gone): no more is to be had. E_USAGE: beyond the end. */
ROVE_MUST_USE rove_err rovei_state_read(rovei_state_reader *r, void *room, size_t size);
void rovei_state_close(rovei_state_reader *r); /* NULL is fine */
/* The image with its state still to be read: `state` is NULL, `state_size` and the reader tell
 * of it. Errors of freeze. */
ROVE_MUST_USE rove_err rovei_cell_image_open(rovei_cell *c, uint64_t wall, rovei_image *ret,
                                             rovei_state_reader **ret_reader, rove_buf **ret_text);

/* ---- looking at it ---- */
/* The image as freeze takes it, without freezing and with all of the state: SERVING, FROZEN,
 * DEPARTED or ASIDE. Errors of freeze. */
ROVE_MUST_USE rove_err rovei_cell_image(rovei_cell *c, uint64_t wall, rovei_image *ret,
                                        rove_buf **ret_text);
/* What the daemon is subscribed to, as the core knows it, encoded; images have it from now on. The
 * errors of the ledger's format as E_BINDINGS, E_NOMEM: it is as before. */
ROVE_MUST_USE rove_err rovei_cell_set_ledger(rovei_cell *c, rove_span ledger);
/* True for a kind without snapshot: its images have no state. */
bool rovei_cell_is_stateless(const rovei_cell *c);
rovei_cell_state rovei_cell_state_of(const rovei_cell *c);
rove_daemon_stats rovei_cell_stats(const rovei_cell *c);
rove_link rovei_cell_head(const rovei_cell *c);
rovei_keypair *rovei_cell_key(const rovei_cell *c); /* borrowed */
const rove_entity *rovei_cell_entity(const rovei_cell *c);
const rove_kind *rovei_cell_kind(const rovei_cell *c);
void *rovei_cell_instance(const rovei_cell *c); /* NULL once GONE */
/* The attempt of the freeze; all zero when there was none. */
rovei_attempt_id rovei_cell_attempt(const rovei_cell *c);
rove_health rovei_cell_health(rovei_cell *c, const char **ret_reason);
double rovei_cell_saturation(rovei_cell *c); /* held to 0..1 */
void rovei_cell_control(rovei_cell *c, const rove_control *control);

/* Whether a table of functions is a kind that can be run: E_ABI (another number or size, NULL), or
 * E_USAGE (a function that must be there is missing, half of the streamed form, a bad name). */
ROVE_MUST_USE rove_err rovei_kind_check(const rove_kind *kind);
/* The tags that a node must, or should, have for daemons of the kind: never NULL, with a NULL at
 * the end. */
const char *const *rovei_kind_requirements(const rove_kind *kind);
const char *const *rovei_kind_preferences(const rove_kind *kind);
bool rovei_kind_name_check(const char *name);

/* Invariants: aborts when one is broken. */
void rovei_cell_check(const rovei_cell *c);

#endif
