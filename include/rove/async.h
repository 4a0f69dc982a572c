/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with a completion. A call that may wait has a form that never does: rove_X_async, with the
 * same arguments but for the results, and with `done` and `user` at the end. Those without one:
 *
 *   - rove_node_new reads files and opens a socket: no other thread of the node is there yet.
 *   - rove_node_free ends the thread on which it would have to be told. A driven node does it in
 *     place; for another one it is a call for the end of a program, or for a thread of its own.
 *   - rove_sender_send has rove_sender_room_async: send without `wait` when it tells.
 *   - rove_migration_phase has rove_migration_get_async.
 *   - rove_runtime_drain has its form beside it, in rove/drain.h; rove_runtime_cordon waits for one
 *     turn of the node only.
 *   - rove_snapshot_write and _read wait only for what the caller's functions or descriptor do.
 *
 * What holds for all of them:
 *
 *   - ROVE_OK: the call has begun, and `done` is called exactly once, later. Any other value: it
 *     has not begun, nothing is changed, and `done` is never called.
 *   - `done` runs on the node's own thread (a driven node's: inside of rove_node_process, or of a
 *     call that drives it), never inside of the call that began it, and never two at once. It must
 *     be short. It may begin other calls with a completion; a call that would wait is
 *     ROVE_E_WOULD_BLOCK there.
 *   - `err` is what the waiting form would have returned. When it is not ROVE_OK, a result is
 *     there only where that is said.
 *   - Results are borrowed during `done`: counted ones can be kept with their _ref. An object that
 *     the call makes (a sender) is the user's from then on.
 *   - Arguments are copied, or referred to by a count, before the call returns. What an argument
 *     names (a node, a runtime, a sender, a kind) outlives the call as always.
 *   - The end: rove_runtime_shutdown ends what waits for daemons or moves, with
 *     ROVE_E_SHUTTING_DOWN where it has no other outcome. The last rove_runtime_unref and
 *     rove_sender_free return, and their forms here tell, when each call that belongs to the object
 *     has been told; rove_node_free returns then. None comes afterwards. While a node is freed
 *     nothing new begins: ROVE_E_SHUTTING_DOWN.
 *
 * Errors that every such call may return: ROVE_E_USAGE (NULL), ROVE_E_REENTRANT (inside of a
 * daemon), ROVE_E_FULL (the limits pending_calls, or of events pending_events and pending_bytes),
 * ROVE_E_NOMEM, ROVE_E_SHUTTING_DOWN. Further ones are said at the
 * call. Threads: any. Blocking: never. */
#ifndef ROVE_ASYNC_H
#define ROVE_ASYNC_H

#include <rove/dump.h>
#include <rove/observer.h>
#include <rove/runtime.h>
#include <rove/sender.h>

ROVE_BEGIN_DECLS

/* A call without a result. */
typedef void rove_done_fn(void *user, rove_err err);

/* ---- a node (rove/node.h) ---- */

/* Tells when the order stands; HOST is resolved meanwhile, on a thread of the node's own, whose end
 * rove_node_free waits for. Also returns ROVE_E_ADDRESS (empty, too long), ROVE_E_IO (no thread).
 */
ROVE_API ROVE_MUST_USE rove_err rove_node_connect_async(rove_node *node, const rove_entity *peer,
                                                        const char *address, rove_done_fn *done,
                                                        void *user);
/* Tells when the session stands, or when the time is up. */
ROVE_API ROVE_MUST_USE rove_err rove_node_wait_peer_async(rove_node *node, const rove_entity *peer,
                                                          uint64_t timeout_ns, rove_done_fn *done,
                                                          void *user);

/* `text` is NULL after an error; keep it with rove_buf_ref. */
typedef void rove_dump_fn(void *user, rove_err err, rove_buf *text);
/* rove/dump.h */
ROVE_API ROVE_MUST_USE rove_err rove_node_dump_async(rove_node *node, rove_dump_fn *done,
                                                     void *user);

/* ---- the life of a runtime (rove/runtime.h) ---- */

/* Tells when all daemons are gone. From the call on the runtime is SHUTTING DOWN. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_shutdown_async(rove_runtime *rt, rove_done_fn *done,
                                                            void *user);
/* Gives a reference back; tells, for the last one, when the runtime is freed: here also from the
 * node's own thread and from workers. After an error the reference is still the caller's. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_unref_async(rove_runtime *rt, rove_done_fn *done,
                                                         void *user);

/* ---- daemons (rove/runtime.h) ---- */

/* `daemon` names the new one on success; `detail` is as after the waiting form. */
typedef void rove_spawn_fn(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail);

/* As the four that wait. The kind's functions run on a worker, and what they answer is told; the
 * errors that are returned are those of the arguments, the gate and the claim (without a detail).
 * An instance of the caller's is his again when `done` gets an error. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_async(rove_runtime *rt, const char *kind,
                                                         const rove_identity *identity,
                                                         const rove_spawn_options *options,
                                                         rove_spawn_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_with_async(rove_runtime *rt,
                                                              const rove_kind *kind,
                                                              void *kind_user, void *instance,
                                                              const rove_identity *identity,
                                                              const rove_spawn_options *options,
                                                              rove_spawn_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_from_snapshot_async(
    rove_runtime *rt, const char *kind, const rove_identity *identity,
    const rove_snapshot *snapshot, const rove_spawn_options *options, rove_spawn_fn *done,
    void *user);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_spawn_from_snapshot_with_async(
    rove_runtime *rt, const rove_kind *kind, void *kind_user, void *instance,
    const rove_identity *identity, const rove_snapshot *snapshot, const rove_spawn_options *options,
    rove_spawn_fn *done, void *user);

ROVE_API ROVE_MUST_USE rove_err rove_runtime_stop_async(rove_runtime *rt, rove_daemon daemon,
                                                        rove_done_fn *done, void *user);

/* These wait in the daemon's mailbox for the events before them. Returned are also
 * ROVE_E_NOT_FOUND and ROVE_E_MOVED, and of snapshots those of the gate. */
typedef void rove_stats_fn(void *user, rove_err err, const rove_daemon_stats *stats);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_stats_async(rove_runtime *rt, rove_daemon daemon,
                                                         rove_stats_fn *done, void *user);
typedef void rove_health_fn(void *user, rove_err err, const rove_daemon_health *health);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_health_async(rove_runtime *rt, rove_daemon daemon,
                                                          rove_health_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_control_async(rove_runtime *rt, rove_daemon daemon,
                                                           const rove_control *control,
                                                           rove_done_fn *done, void *user);
/* `snapshot` is NULL after an error; keep it with rove_snapshot_ref. */
typedef void rove_snapshot_fn(void *user, rove_err err, rove_snapshot *snapshot,
                              const rove_detail *detail);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_snapshot_async(rove_runtime *rt, rove_daemon daemon,
                                                            rove_snapshot_fn *done, void *user);

ROVE_API ROVE_MUST_USE rove_err rove_runtime_backup_async(rove_runtime *rt, rove_daemon daemon,
                                                          rove_snapshot_fn *done, void *user);
/* Returned are also ROVE_E_PUBLIC_KEY and ROVE_E_NO_IMAGE. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_backup_for_async(rove_runtime *rt, rove_daemon daemon,
                                                              const rove_entity *recipient,
                                                              rove_snapshot_fn *done, void *user);

/* As rove_runtime_deliver, and never waits: the event is copied and queued, also while another
 * thread has the daemon and while it moves. Events of one thread to one daemon are applied in the
 * order of its calls, these and the waiting ones; `done` comes in the order in which they were
 * applied. `result->number` tells that an event was diverted. Also returned: ROVE_E_NOT_FOUND,
 * ROVE_E_MOVED, ROVE_E_TOO_LARGE (event_max), ROVE_E_NOT_READY. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_deliver_async(rove_runtime *rt, rove_daemon daemon,
                                                           const rove_event *event,
                                                           rove_deliver_fn *done, void *user);

/* Tells when the observer is called no more: here also from inside of observers, from workers and
 * from the node's own thread. No call begins from now on. Also returned: ROVE_E_NOT_FOUND. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_unobserve_async(rove_runtime *rt,
                                                             rove_observer observer,
                                                             rove_done_fn *done, void *user);

/* ---- daemons on channels (rove/channel.h) ---- */

ROVE_API ROVE_MUST_USE rove_err rove_runtime_subscribe_channel_async(
    rove_runtime *rt, rove_daemon daemon, uint64_t publisher, const char *channel, rove_span token,
    rove_done_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err
rove_runtime_unsubscribe_channel_async(rove_runtime *rt, rove_daemon daemon, uint64_t publisher,
                                       const char *channel, rove_done_fn *done, void *user);

/* ---- moves (rove/runtime.h) ---- */

typedef void rove_migration_fn(void *user, rove_err err, rove_migration migration);
/* As rove_runtime_start_migration_with; `options` may be NULL. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start_migration_async(
    rove_runtime *rt, rove_daemon daemon, const rove_entity *target,
    const rove_migration_options *options, rove_migration_fn *done, void *user);

/* As rove_runtime_start_migration_from; `options` may be NULL. */
ROVE_API ROVE_MUST_USE rove_err rove_runtime_start_migration_from_async(
    rove_runtime *rt, rove_daemon daemon, const rove_entity *source, const rove_entity *target,
    const rove_migration_options *options, rove_migration_fn *done, void *user);

/* `info` is all that is known, whatever the error, but for ROVE_E_GONE. */
typedef void rove_migration_info_fn(void *user, rove_err err, const rove_migration_info *info);
ROVE_API ROVE_MUST_USE rove_err rove_migration_get_async(rove_runtime *rt, rove_migration migration,
                                                         rove_migration_info_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err rove_migration_wait_async(rove_runtime *rt,
                                                          rove_migration migration,
                                                          rove_migration_info_fn *done, void *user);
ROVE_API ROVE_MUST_USE rove_err rove_migration_wait_with_timeout_async(rove_runtime *rt,
                                                                       rove_migration migration,
                                                                       uint64_t timeout_ns,
                                                                       rove_migration_info_fn *done,
                                                                       void *user);
ROVE_API ROVE_MUST_USE rove_err rove_migration_cancel_async(rove_runtime *rt,
                                                            rove_migration migration,
                                                            rove_done_fn *done, void *user);

/* The running moves of the node, all of them. rove_migration_phase has rove_migration_get_async. */
typedef void rove_moves_fn(void *user, rove_err err, const rove_migration_info *moves,
                           size_t count);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_moves_async(rove_runtime *rt, rove_moves_fn *done,
                                                         void *user);
typedef void rove_phase_fn(void *user, rove_err err, rove_phase phase);
ROVE_API ROVE_MUST_USE rove_err rove_runtime_migration_phase_async(rove_runtime *rt,
                                                                   rove_daemon daemon,
                                                                   rove_phase_fn *done, void *user);

/* ---- senders (rove/sender.h) ---- */

/* `sender` is the user's; NULL after an error. */
typedef void rove_sender_done_fn(void *user, rove_err err, rove_sender *sender);
ROVE_API ROVE_MUST_USE rove_err rove_sender_open_async(rove_node *node, const rove_entity *daemon,
                                                       const rove_sender_config *cfg,
                                                       rove_sender_done_fn *done, void *user);
/* The next outcome, of a sender without a callback; several such calls get one each, in order.
 * `sent` is all zero after an error: ROVE_E_TIMED_OUT, ROVE_E_CLOSED (nothing follows, or it was
 * freed). */
typedef void rove_sent_done_fn(void *user, rove_err err, const rove_sent *sent);
ROVE_API ROVE_MUST_USE rove_err rove_sender_next_async(rove_sender *s, uint64_t timeout_ns,
                                                       rove_sent_done_fn *done, void *user);
/* What rove_sender_send waits for: tells when an event of `size` bytes would be taken. Others may
 * be quicker to use the room. Told: ROVE_E_CLOSED. Also returned: ROVE_E_TOO_LARGE. */
ROVE_API ROVE_MUST_USE rove_err rove_sender_room_async(rove_sender *s, size_t size,
                                                       rove_done_fn *done, void *user);
/* Tells when the sender is freed: here also from the node's own thread, callbacks of the sender
 * included. It is not to be touched from the call on. */
ROVE_API ROVE_MUST_USE rove_err rove_sender_free_async(rove_sender *s, rove_done_fn *done,
                                                       void *user);

ROVE_END_DECLS

#endif
