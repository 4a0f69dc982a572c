/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with a completion. Every call that may wait has a form that never does: rove_X_async, with
 * the same arguments but for the results, and with `done` and `user` at the end. What holds for all
 * of them:
 *
 *   - ROVE_OK: the call has begun, and `done` is called exactly once, later. Any other value: it
 *     has not begun, nothing is changed, and `done` is never called.
 *   - `done` runs on the node's own thread (a driven node's: inside of rove_node_process), never
 *     inside of the call that began it, and never two at once. It must be short. It may begin other
 *     calls with a completion; a call that would wait is ROVE_E_WOULD_BLOCK there.
 *   - `err` is what the waiting form would have returned. When it is not ROVE_OK, a result is
 *     there only where that is said.
 *   - Results are borrowed during `done`: counted ones can be kept with their _ref. An object that
 *     the call makes (a sender) is the user's from then on.
 *   - Arguments are copied, or referred to by a count, before the call returns. What an argument
 *     names (a node, a runtime, a sender, a kind) outlives the call as always.
 *   - The end: rove_runtime_shutdown ends what waits for daemons or moves, with
 *     ROVE_E_SHUTTING_DOWN where it has no other outcome. The last rove_runtime_unref,
 *     rove_sender_free and rove_node_free return, and their forms here tell, when each call that
 *     belongs to the object has been told; none comes afterwards. While a node is freed nothing
 *     new begins: ROVE_E_SHUTTING_DOWN.
 *
 * Errors that every such call may return: ROVE_E_USAGE (NULL), ROVE_E_FULL (the limits
 * pending_calls and pending_bytes), ROVE_E_NOMEM, ROVE_E_SHUTTING_DOWN, and of a runtime's calls
 * ROVE_E_REENTRANT. Further ones are said at the call. Threads: any. Blocking: never. */
#ifndef ROVE_ASYNC_H
#define ROVE_ASYNC_H

#include <rove/runtime.h>
#include <rove/sender.h>

ROVE_BEGIN_DECLS

/* A call without a result. */
typedef void rove_done_fn(void *user, rove_err err);

/* ---- a node (rove/node.h) ---- */

/* Tells when the order stands; HOST is resolved meanwhile, on a thread of the node's own, whose end
 * rove_node_free waits for. Also returns ROVE_E_ADDRESS (NULL, too long), ROVE_E_IO (no thread). */
ROVE_API ROVE_MUST_USE rove_err rove_node_connect_async(rove_node *node, const rove_entity *peer,
                                                        const char *address, rove_done_fn *done,
                                                        void *user);
/* Tells when the session stands, or when the time is up. */
ROVE_API ROVE_MUST_USE rove_err rove_node_wait_peer_async(rove_node *node, const rove_entity *peer,
                                                          uint64_t timeout_ns, rove_done_fn *done,
                                                          void *user);

ROVE_END_DECLS

#endif
