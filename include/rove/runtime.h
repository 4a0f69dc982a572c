/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime of a node: it makes daemons, hands them events, lets them go and takes them in.
 *
 * Lifecycle: REGISTERING (kinds and expectations can be given) -> READY (rove_runtime_start) ->
 * SHUTTING DOWN (rove_runtime_shutdown), which is final. Where nothing else is said, a call before
 * READY is ROVE_E_NOT_READY and after it ROVE_E_SHUTTING_DOWN, before anything but NULL and
 * re-entry is looked at.
 *
 * Threads: any, for all calls, unless said otherwise; except that a call which would have to wait
 * for the node's own thread or for a worker is ROVE_E_WOULD_BLOCK there (callbacks of policies,
 * senders and completions run on those; rove/node.h says what else the thread that drives a node
 * may do). Calls that may wait have forms with a completion: rove/async.h.
 *
 * Re-entry: from inside of a daemon's functions only the calls marked so are allowed; the others
 * answer ROVE_E_REENTRANT, or 0 where they return no rove_err, and do nothing. */
#ifndef ROVE_RUNTIME_H
#define ROVE_RUNTIME_H

#include <rove/daemon.h>
#include <rove/identity.h>
#include <rove/kind.h>
#include <rove/migration.h>
#include <rove/policy.h>
#include <rove/snapshot.h>

ROVE_BEGIN_DECLS

typedef struct rove_runtime rove_runtime;

/* Numbers and words that belong to an error; which are set is said at each call, the others are 0.
 */
typedef struct rove_detail {
    uint64_t expected, got; /* two things that should agree: origin hashes */
    uint64_t size, most;    /* how large it was, how large it may be */
    uint64_t events, bytes; /* of a full buffer, the refused event counted in */
    rove_buf *text;         /* a kind's message; one reference, the caller's */
} rove_detail;
/* Gives the text back and zeroes. NULL is ignored. */
ROVE_API void rove_detail_fini(rove_detail *detail);

/* ---- life ---- */

#define ROVE_RUNTIME_CONFIG_VERSION 1

typedef struct rove_runtime_config {
    uint32_t struct_version;
    uint32_t workers; /* threads that run daemons; 0: the node's own thread does it. Default 1, at
                         most 256 */
    rove_policy policy;
    /* Told of every move of the node while the runtime is there, away from here and to here; one
     * that comes is told of once this node takes it in. (One that memory is refused for is not.) */
    rove_move_fn *told;
    void *told_user;
} rove_runtime_config;

static inline void rove_runtime_config_init(rove_runtime_config *cfg)
{
    cfg->struct_version = ROVE_RUNTIME_CONFIG_VERSION;
    cfg->workers = 1;
    cfg->policy.allow = 0;
    cfg->policy.user = 0;
    cfg->told = 0;
    cfg->told_user = 0;
}

/* Makes the runtime of a node, in REGISTERING. `cfg` NULL: the defaults. A node has one at a time.
 * Ownership: the caller holds one reference; the node outlives the runtime.
 * Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION, ROVE_E_RUNTIME_EXISTS, ROVE_E_REENTRANT,
 * ROVE_E_NOMEM, ROVE_E_IO (no thread). Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_new(rove_runtime **ret, rove_node *node,
                                                 const rove_runtime_config *cfg);
/* One more reference. Re-entry: allowed. */
ROVE_API rove_runtime *rove_runtime_ref(rove_runtime *rt);
/* Gives one back; the last one shuts down, if that was not done, and frees. NULL is ignored.
 * Blocking: the last one as rove_runtime_shutdown, and until the workers have ended. Threads: the
 * last one not inside of a callback or a daemon, nor on a worker (checked). */
ROVE_API void rove_runtime_unref(rove_runtime *rt);

/* READY from now on; again: nothing. Errors: ROVE_E_SHUTTING_DOWN. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start(rove_runtime *rt);
/* Stops every daemon, ends every waiting call and every move with ROVE_E_SHUTTING_DOWN (the other
 * nodes of running moves are told), forgets kinds and expectations. Final; again: nothing.
 * Errors: ROVE_E_WOULD_BLOCK (inside of a callback, on a worker), ROVE_E_REENTRANT. Blocking: until
 * all daemons are gone, a process call that is running included. docs/guarantees.md, "Levels of
 * acknowledgement". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_shutdown(rove_runtime *rt);
/* True in READY; false for NULL. Re-entry: allowed. Blocking: never. */
ROVE_API bool rove_runtime_is_ready(const rove_runtime *rt);

/* ---- kinds ---- */

/* Makes a kind known under `name` (NULL: its own name). `kind` and `user` (for create) outlive the
 * runtime. Allowed in REGISTERING and READY. A kind alone does not make the node take daemons in:
 * see rove_runtime_expect_migration.
 * Errors: ROVE_E_ABI, ROVE_E_USAGE (a function is missing, bad name), ROVE_E_KIND_EXISTS,
 * ROVE_E_SHUTTING_DOWN, ROVE_E_NOMEM. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_register_kind(rove_runtime *rt, const char *name,
                                                           const rove_kind *kind, void *user);

/* ---- daemons ---- */

#define ROVE_SPAWN_OPTIONS_VERSION 1

typedef struct rove_spawn_options {
    uint32_t struct_version;
    /* Take the right to run this identity whatever is known of it elsewhere: it gets an epoch above
     * all that moves can reach. Default false. docs/guarantees.md, "One copy". */
    bool force;
    /* Besides to whoever sent the events, the daemon's outputs go to this channel of the node that
     * hosts it, in the order in which they were made. The channel is made where it is missing, with
     * the defaults; the name goes with the daemon to other Rove nodes. Copied. NULL, the default:
     * nowhere. docs/guarantees.md, "What daemons publish". */
    const char *output_channel;
} rove_spawn_options;

static inline void rove_spawn_options_init(rove_spawn_options *options)
{
    options->struct_version = ROVE_SPAWN_OPTIONS_VERSION;
    options->force = false;
    options->output_channel = 0;
}

/* Makes a daemon of a kind. `identity` is copied; NULL draws one that lives in memory only. Unless
 * the identity is fresh, other nodes are asked first (limit locate_wait); on the thread that drives
 * the node that is ROVE_E_WOULD_BLOCK. `options` NULL: the defaults.
 * Errors: ROVE_E_KIND_UNKNOWN; ROVE_E_EXISTS (this identity, or an expectation for it, is here);
 * ROVE_E_ORIGIN_TAKEN; ROVE_E_LIVES_ELSEWHERE; what the kind's create returned; ROVE_E_FULL
 * (daemons_max); ROVE_E_CORDONED (rove/drain.h); errors of the output channel's name
 * (rove/channel.h); ROVE_E_WOULD_BLOCK; ROVE_E_STRUCT_VERSION; ROVE_E_NOMEM. After an error nothing
 * is left behind and an incumbent is untouched. Blocking: until the question is settled.
 * docs/guarantees.md, "One copy". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn(rove_runtime *rt, const char *kind,
                                                   const rove_identity *identity,
                                                   const rove_spawn_options *options,
                                                   rove_daemon *ret);

/* As rove_runtime_spawn, of an instance that the caller made; `kind` (with `user`) need not be
 * registered and makes later ones, when the daemon comes back from another node. The instance is
 * taken over on success only. Also ROVE_E_ABI, ROVE_E_USAGE. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_with(rove_runtime *rt, const rove_kind *kind,
                                                        void *user, void *instance,
                                                        const rove_identity *identity,
                                                        const rove_spawn_options *options,
                                                        rove_daemon *ret);

/* As rove_runtime_spawn, with the state of a snapshot; `ret_detail` may be NULL. Its epoch is a
 * forced one, whatever is known of it, since the state may have gone back; what is known is asked
 * all the same, and is overruled by `force` only. With a backup its lanes go on, and their senders
 * hear what is lost. Also ROVE_E_SNAPSHOT_IDENTITY (detail: expected = the snapshot's origin, got =
 * the identity's; the whole entities are compared), ROVE_E_SNAPSHOT_KIND (a backup of another
 * kind), errors of a lane's bytes (ROVE_E_SHORT, ROVE_E_BOUND, ROVE_E_FORMAT, ...),
 * ROVE_E_LANE_LIMIT, ROVE_E_RESTORE_FAILED (detail: text), ROVE_E_BINDINGS, ROVE_E_TOO_LARGE
 * (state_max; detail: size, most), ROVE_E_USAGE (no identity). */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_from_snapshot(rove_runtime *rt, const char *kind,
                                                                 const rove_identity *identity,
                                                                 const rove_snapshot *snapshot,
                                                                 const rove_spawn_options *options,
                                                                 rove_daemon *ret,
                                                                 rove_detail *ret_detail);

/* Both at once. After an error of the restore the instance is the caller's all the same. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_from_snapshot_with(
    rove_runtime *rt, const rove_kind *kind, void *user, void *instance,
    const rove_identity *identity, const rove_snapshot *snapshot, const rove_spawn_options *options,
    rove_daemon *ret, rove_detail *ret_detail);

/* Ends a daemon for good; queued events get ROVE_E_STOPPED or ROVE_E_STALE. Its instance is
 * destroyed when nobody runs it any more, maybe after this call. Other nodes still know where it
 * lived, and that it may live: whoever spawns the same identity elsewhere needs `force`. In
 * SHUTTING DOWN a daemon that is not there any more is no error. Errors: ROVE_E_NOT_READY,
 * ROVE_E_NOT_FOUND, ROVE_E_MOVED (it lives elsewhere), ROVE_E_ALREADY_MIGRATING,
 * ROVE_E_MOVE_NOT_CLOSED (it has just come; again in a moment). Blocking: for a turn of the node's
 * thread. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_stop(rove_runtime *rt, rove_daemon daemon);

/* The daemon of an entity or an origin hash: ROVE_E_NOT_FOUND when none is here. In any state.
 * Re-entry: allowed. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_find(const rove_runtime *rt, const rove_entity *entity,
                                                  rove_daemon *ret);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_entity(const rove_runtime *rt, rove_daemon daemon,
                                                    rove_entity *ret);
/* How many daemons are here; 0 for NULL. In any state. Re-entry: allowed. Blocking: never. */
ROVE_API size_t rove_runtime_daemon_count(const rove_runtime *rt);
/* The first `room` of them; gives how many there are. `ret` may be NULL: none. As above. */
ROVE_API size_t rove_runtime_daemons(const rove_runtime *rt, rove_daemon *ret, size_t room);

/* In any state. Errors: ROVE_E_NOT_FOUND, ROVE_E_STALE, ROVE_E_MOVED, ROVE_E_WOULD_BLOCK. Blocking:
 * for events before it. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_stats(rove_runtime *rt, rove_daemon daemon,
                                                   rove_daemon_stats *ret);

typedef struct rove_daemon_health {
    rove_health health;
    const char *reason; /* static, may be NULL */
    double saturation;  /* 0 to 1 */
} rove_daemon_health;
/* What the kind says of it. As rove_runtime_stats. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_health(rove_runtime *rt, rove_daemon daemon,
                                                    rove_daemon_health *ret);
/* Tells the kind that something happens around the daemon. As rove_runtime_stats. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_control(rove_runtime *rt, rove_daemon daemon,
                                                     const rove_control *control);

/* Takes a snapshot between two events. Ownership: one reference, the caller's. Errors:
 * ROVE_E_STATELESS, ROVE_E_NOT_FOUND, ROVE_E_STALE, ROVE_E_MOVED, ROVE_E_SNAPSHOT_FAILED (detail:
 * text), ROVE_E_TOO_LARGE (state_max; detail: most), ROVE_E_WOULD_BLOCK, ROVE_E_NOMEM. Blocking:
 * for events before it. `ret_detail` may be NULL. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_snapshot(rove_runtime *rt, rove_daemon daemon,
                                                      rove_snapshot **ret, rove_detail *ret_detail);

/* Takes a backup between two events: a snapshot and what the node knows of the daemon, of one point
 * of its order, so that each event of a lane is in the state and in the lane's position, or in
 * neither. The daemon goes on. As rove_runtime_snapshot but that a stateless daemon has a backup as
 * well, and that a daemon which is being moved is refused: also ROVE_E_ALREADY_MIGRATING (it is
 * frozen: again when the move has ended), ROVE_E_SUPERSEDED, ROVE_E_NOT_READY,
 * ROVE_E_SHUTTING_DOWN, ROVE_E_REENTRANT, ROVE_E_USAGE. `ret_detail` may be NULL. Blocking: for
 * events before it, and for turns of the node's thread. docs/protocol/container.md. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_backup(rove_runtime *rt, rove_daemon daemon,
                                                    rove_snapshot **ret, rove_detail *ret_detail);

/* The same with the daemon's key in it, sealed for the node `recipient`, which alone can take it
 * out (rove_identity_unseal) and so bring the daemon back without an identity file. NULL: without
 * it. Also ROVE_E_PUBLIC_KEY, ROVE_E_NO_IMAGE (nothing can be sealed for that entity),
 * ROVE_E_READ_ONLY (the key itself is not on this node). */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_backup_for(rove_runtime *rt, rove_daemon daemon,
                                                        const rove_entity *recipient,
                                                        rove_snapshot **ret,
                                                        rove_detail *ret_detail);

/* ---- events ---- */

/* What an applied event gave. The outputs stand one behind the other in one counted block. */
typedef struct rove_result {
    rove_buf *outputs; /* framed: see rove_result_next; NULL when there are none */
    uint32_t output_count;
    uint64_t index;     /* the how-manieth event of the daemon it was; 0 when process failed */
    uint64_t number;    /* diverted: its number within the move; else 0 */
    rove_detail detail; /* PROCESS: text; BUFFER_FULL: events, bytes */
} rove_result;
/* The next output: start with *it = 0; false at the end. The payload is borrowed from the result.
 * Threads: any. Re-entry: allowed. */
ROVE_API bool rove_result_next(const rove_result *result, size_t *it, rove_link *ret_link,
                               rove_span *ret_payload);
/* Gives back what the result holds; harmless for one that is all zero. NULL is ignored. */
ROVE_API void rove_result_fini(rove_result *result);

/* What became of an event. Called exactly once, on the node's own thread; `result` is borrowed
 * (rove/async.h says what else holds for completions). */
typedef void rove_deliver_fn(void *user, rove_err err, const rove_result *result);

typedef enum rove_deliver_flags {
    /* Do not wait for a move: an event that comes while the daemon is frozen is diverted, the call
     * returns ROVE_E_DIVERTED, and `done` is told how it ended. It still waits for the events
     * before it, which is short; rove_runtime_deliver_async waits for nothing. */
    ROVE_DELIVER_NOWAIT = 1,
} rove_deliver_flags;

/* Hands a daemon of this runtime one event and gives its outputs. They are the caller's, and are
 * published only when the daemon has an output channel. Events of one thread to one daemon are
 * applied in order. `event->received_at` is set here. While the daemon moves the call waits and
 * returns what came of the event, wherever it was applied in the end. A target of class net takes
 * no events: while the daemon moves to one the event is refused.
 * Ownership: `ret` is set on every return and is to be given back with rove_result_fini; the
 * payload is only read during the call. `done` and `user` are used with NOWAIT only.
 * Errors: ROVE_E_PROCESS (an outcome: the daemon refused the event); ROVE_E_HORIZON_FULL;
 * ROVE_E_DIVERTED (NOWAIT: accepted); ROVE_E_NOT_FOUND; ROVE_E_STALE, ROVE_E_STOPPED (nothing was
 * done); ROVE_E_MOVED (the daemon lives elsewhere now); ROVE_E_SUPERSEDED (another holder has the
 * right; the copy here is kept aside); ROVE_E_MOVING (to a node of class net; not accepted);
 * ROVE_E_BUFFER_FULL (moving; not accepted); ROVE_E_TOO_LARGE (event_max; detail: size, most, not
 * accepted); ROVE_E_SHUTTING_DOWN; ROVE_E_WOULD_BLOCK; ROVE_E_REENTRANT; ROVE_E_USAGE; ROVE_E_FULL
 * (NOWAIT: pending_events; with an output channel: as many events whose outputs the node's thread
 * has not published yet; not accepted); ROVE_E_NOMEM.
 * After a diverted event: also ROVE_E_UNKNOWN_OUTCOME and what ended the move's other side.
 * Blocking: for events before it, and as said for moves. docs/guarantees.md, "Events" and "Moves".
 */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_deliver(rove_runtime *rt, rove_daemon daemon,
                                                     const rove_event *event, unsigned flags,
                                                     rove_result *ret, rove_deliver_fn *done,
                                                     void *user);

/* ---- taking daemons in ---- */

#define ROVE_EXPECT_OPTIONS_VERSION 1

typedef struct rove_expect_options {
    uint32_t struct_version;
    /* When neither the move brings the key nor this node has it: take the daemon in with a key that
     * cannot sign, instead of failing with ROVE_E_IDENTITY_MISSING. Default false. */
    bool public_only_ok;
    /* Only this node may bring it; NULL: any that policy allows. Copied. */
    const rove_entity *source;
} rove_expect_options;

static inline void rove_expect_options_init(rove_expect_options *options)
{
    options->struct_version = ROVE_EXPECT_OPTIONS_VERSION;
    options->public_only_ok = false;
    options->source = 0;
}

/* A daemon with this origin hash may be moved here and is then of this kind; its key comes with it.
 * A node where the daemon ran before needs no new expectation. Allowed in REGISTERING and READY.
 * `options` NULL: the defaults. Errors: ROVE_E_KIND_UNKNOWN, ROVE_E_EXISTS (an incumbent is never
 * replaced), ROVE_E_SHUTTING_DOWN, ROVE_E_STRUCT_VERSION, ROVE_E_NOMEM. Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_expect_migration(rove_runtime *rt, const char *kind,
                                                              uint64_t origin,
                                                              const rove_expect_options *options);
/* As above, for a daemon whose key this node has: `identity` is copied. Also ROVE_E_ORIGIN_TAKEN.
 */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_register_migration_target_identity(
    rove_runtime *rt, const char *kind, const rove_identity *identity);
/* Takes an expectation back; also the memory of a daemon that has left. Errors: ROVE_E_NOT_FOUND,
 * ROVE_E_EXISTS (the daemon is here: stop it instead). Blocking: never. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_withdraw_expectation(rove_runtime *rt,
                                                                  uint64_t origin);

/* Daemons of a kind may be moved here by other Rove nodes without an expectation for each: the key
 * comes with the daemon, and policy is asked as always. With `accept` false: not any more; those
 * that are here, or on their way and prepared, stay. `kind` NULL: all kinds that are registered by
 * now. Default: none is accepted. What comes from class net has to be expected, since that class
 * does not name the kind. Of such daemons that have left, `guests_kept` are remembered. Allowed in
 * REGISTERING and READY. Errors: ROVE_E_KIND_UNKNOWN, ROVE_E_SHUTTING_DOWN, ROVE_E_REENTRANT,
 * ROVE_E_USAGE. Blocking: never. docs/protocol/moves.md, "Offer". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_accept_kind(rove_runtime *rt, const char *kind,
                                                         bool accept);

/* ---- moving daemons away ---- */

/* Orders a daemon of this runtime to another node, with default options. Returns when the move has
 * begun; it goes on by itself. A peer of class net is named by rove_entity_of_net; its key has to
 * be known, or the identity has to stay here. Errors: ROVE_E_NOT_FOUND, ROVE_E_MOVED,
 * ROVE_E_ALREADY_MIGRATING, ROVE_E_SAME_NODE, ROVE_E_TARGET_UNAVAILABLE (no session),
 * ROVE_E_TARGET_KEY, ROVE_E_MOVE_NOT_CLOSED, ROVE_E_STRUCT_VERSION, ROVE_E_NOMEM. After an error
 * nothing has begun. Blocking: for a turn of the node's thread. docs/guarantees.md, "Moves" and "To
 * a node of class net, and back". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start_migration(rove_runtime *rt, rove_daemon daemon,
                                                             const rove_entity *target,
                                                             rove_migration *ret);
ROVE_API ROVE_MUST_USE rove_err
rove_runtime_start_migration_with(rove_runtime *rt, rove_daemon daemon, const rove_entity *target,
                                  const rove_migration_options *options, rove_migration *ret);

/* Orders a daemon away from the node where it is, `source`, to `target`; either may be this node
 * (source: as above; target: this node pulls the daemon, which it has to expect). The source asks
 * its own policy (rove/policy.h), by default it refuses. This node decides nothing: once the source
 * has the order the move goes on there, whatever becomes of this node. What the source says of it
 * is seen here: phases, bytes and its one outcome. `daemon` needs no copy and no record here.
 * Returns when the order is under way. Errors: ROVE_E_ALREADY_MIGRATING (ordered from here
 * already), ROVE_E_SAME_NODE, ROVE_E_UNREACHABLE (no session with the source), ROVE_E_FULL
 * (orders_max), ROVE_E_STRUCT_VERSION, ROVE_E_NOMEM. All else comes as the outcome of the move:
 * ROVE_E_REFUSED, ROVE_E_NOT_FOUND, ROVE_E_MOVED, ROVE_E_TARGET_UNAVAILABLE (no session between the
 * two), ROVE_E_FULL (orders_max of the source), and as of any move. A source that is lost, or that
 * has lost the order in a crash, is ROVE_E_PEER_LOST, at the verdict of the failure detector; one
 * that is there and says nothing for move_stall is ROVE_E_TIMED_OUT. What became of the daemon is
 * then not known here. With a source in class net (rove_entity_of_net) this node drives the move,
 * and the target is of that class too, or this node; ROVE_E_TARGET_UNAVAILABLE comes at once.
 * Blocking: for a turn of the node's thread. docs/protocol/moves.md, "Orders";
 * docs/protocol/net-moves.md, "The orchestrator". */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start_migration_from(
    rove_runtime *rt, rove_daemon daemon, const rove_entity *source, const rove_entity *target,
    const rove_migration_options *options, rove_migration *ret);

/* The phase of the move that this node drives for a daemon: ROVE_PHASE_NONE when there is none, or
 * `rt` is NULL. In any state. Blocking: for a turn of the node's thread. */
ROVE_API rove_phase rove_runtime_migration_phase(rove_runtime *rt, rove_daemon daemon);
/* All that is known of a move, running or ended. Errors: ROVE_E_GONE (never known, or forgotten).
 * In any state. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_migration_get(rove_runtime *rt, rove_migration migration,
                                                   rove_migration_info *ret);
/* The phase of one move; ROVE_PHASE_NONE when it is forgotten. As above. */
ROVE_API rove_phase rove_migration_phase(rove_runtime *rt, rove_migration migration);
/* The first `room` running moves of this node, out or in; gives how many there are. `ret` may be
 * NULL: none. As above. */
ROVE_API size_t rove_runtime_moves(rove_runtime *rt, rove_migration_info *ret, size_t room);

/* Waits for the end of a move, without a deadline of its own. ROVE_OK: completed; ROVE_E_CANCELLED;
 * ROVE_E_TIMED_OUT; else the reason of its failure: ROVE_E_TARGET_NOT_READY (retries off),
 * ROVE_E_NOT_READY_TIMEOUT, ROVE_E_TARGET_NO_FACTORY, ROVE_E_TARGET_NO_RUNTIME,
 * ROVE_E_STATE_FAILED, ROVE_E_IDENTITY_MISSING, ROVE_E_IDENTITY_TRANSPORT, ROVE_E_REFUSED,
 * ROVE_E_PEER_LOST, ROVE_E_SHUTTING_DOWN, ... Also ROVE_E_GONE, ROVE_E_WOULD_BLOCK,
 * ROVE_E_REENTRANT. `ret` may be NULL. */
ROVE_API ROVE_MUST_USE rove_err rove_migration_wait(rove_runtime *rt, rove_migration migration,
                                                    rove_migration_info *ret);
/* As above, for at most so many nanoseconds. Past them: before the commit the move is aborted and
 * ends as ROVE_E_TIMED_OUT; after it ROVE_E_STILL_MOVING, and the move goes on. Of a move that
 * this node ordered from another one: which of the two it is, that node says, so it may take a
 * little longer; ROVE_E_PEER_LOST when it cannot be reached. */
ROVE_API ROVE_MUST_USE rove_err rove_migration_wait_with_timeout(rove_runtime *rt,
                                                                 rove_migration migration,
                                                                 uint64_t timeout_ns,
                                                                 rove_migration_info *ret);
/* Asks a move to end. ROVE_OK: it ends as cancelled, and the daemon goes on here; ROVE_E_TOO_LATE:
 * it is committed; ROVE_E_GONE: unknown, or ended. Blocking: for a turn of the node's thread; of a
 * move that this node ordered from another one until that node has answered or is lost (then the
 * reason with which the move ended). Where a call may not wait that is ROVE_E_WOULD_BLOCK, and the
 * move was asked to end all the same. */
ROVE_API ROVE_MUST_USE rove_err rove_migration_cancel(rove_runtime *rt, rove_migration migration);

ROVE_END_DECLS

#endif
