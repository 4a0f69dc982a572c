/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rove_node: the loop thread, its socket, and the core that it owns. */
#ifndef ROVEI_SHELL_NODE_H
#define ROVEI_SHELL_NODE_H

#include <base/timer.h>
#include <rove/node.h>
#include <shell/pending.h>

struct rovei_host; /* host/host.h: the runtime on this node, if there is one */

/* What a runtime on the node hooks into the loop; all are called on the loop thread. */
typedef struct rovei_host_ops {
    void (*effect)(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_effect *e);
    void (*note)(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_note *note);
    /* After all effects and notes: flush wakes to workers, hand in completions. True when the core
     * got some, or more of them are there to be made: call again after its turn. */
    bool (*turn)(struct rovei_host *h, rovei_node *core, rovei_now now);
} rovei_host_ops;

rovei_postbox *rovei_node_postbox(rove_node *node);
/* Loop thread only: datagrams that the kernel dropped before the node read them. */
uint64_t rovei_node_unread(rove_node *node);
rovei_node *rovei_node_core(rove_node *node); /* to be touched on the loop thread only */
const rovei_env *rovei_node_env(const rove_node *node);
/* The node's own identity; borrowed. */
const rovei_keypair *rovei_node_key(const rove_node *node);
/* Timers outside of the core, fired by the loop; to be touched on the loop thread only. */
rovei_timers *rovei_node_timers(rove_node *node);
/* The calls with a completion that belong to the node itself. */
rovei_pendings *rovei_node_pendings(rove_node *node);
rovei_keypair *rovei_node_keypair(const rove_node *node);
/* True on the node's own thread: its loop thread, or the one that drives it. A call that would wait
 * for it must not. */
bool rovei_node_on_loop(const rove_node *node);
/* True when this thread has the core just now: it is inside of a turn, or of a call in place. On a
 * loop thread always. */
bool rovei_node_in_turn(const rove_node *node);
/* Claims the place of the one host: E_RUNTIME_EXISTS; and gives it back. Threads: any. */
ROVE_MUST_USE rove_err rovei_node_claim(rove_node *node);
void rovei_node_disclaim(rove_node *node);
/* Attaches the host that has the place, or detaches it (NULL). On the loop thread. Effects that ask
 * a runtime are answered with E_TARGET_NO_RUNTIME while there is none. */
void rovei_node_attach(rove_node *node, struct rovei_host *host, const rovei_host_ops *ops);
/* Notes of a sender or a listener (shell/listener.h) go to the one who opened it, on the loop
 * thread, by its number; the control socket, rove_sender and rove_listener use this. */
typedef void rovei_sender_fn(void *user, rovei_node *core, rovei_now now, const rovei_note *note);
ROVE_MUST_USE rove_err rovei_node_route_sender(rove_node *node, uint64_t sender,
                                               rovei_sender_fn *fn, void *user);
void rovei_node_unroute_sender(rove_node *node, uint64_t sender);
/* Notes that belong to no sender go to one further listener, the control socket: on the loop
 * thread. `fn` NULL ends it. */
void rovei_node_listen(rove_node *node, rovei_sender_fn *fn, void *user);
rovei_now rovei_clock_now(void);
/* The wall clock as of the system's last tick, some milliseconds ago: a fifth of the time. */
uint64_t rovei_clock_tick(void);

#endif
