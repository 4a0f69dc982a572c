/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose the core is just now. A node with a loop thread belongs to that thread for good. A driven
 * one belongs to the thread that drove it last, and that thread has it to itself only while it is
 * inside: in rove_node_process, or in a call that it makes between two of those. */
#include <host/thread.h>
#include <shell/node_inside.h>

bool rovei_node_on_loop(const rove_node *node)
{
    return atomic_load_explicit(&node->driver, memory_order_acquire) == rovei_thread_self();
}

bool rovei_node_in_turn(const rove_node *node)
{
    return atomic_load_explicit(&node->inside, memory_order_acquire) == rovei_thread_self();
}

static bool enter(rove_node *node)
{
    uintptr_t nobody = 0;
    return atomic_compare_exchange_strong_explicit(&node->inside, &nobody, rovei_thread_self(),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* Enters, and makes this thread the one that the node belongs to. */
static bool enter_as_driver(rove_node *node)
{
    if (!enter(node))
        return false;
    atomic_store_explicit(&node->driver, rovei_thread_self(), memory_order_release);
    return true;
}

static void leave(rove_node *node)
{
    atomic_store_explicit(&node->inside, 0, memory_order_release);
}

void rovei_node_own(rove_node *node, bool inside)
{
    uintptr_t self = rovei_thread_self();
    atomic_store_explicit(&node->driver, self, memory_order_release);
    atomic_store_explicit(&node->inside, inside ? self : 0, memory_order_release);
}

bool rovei_node_call_in_place(rove_node *node, rovei_call_fn *fn, void *arg)
{
    if (rovei_node_in_turn(node)) {
        fn(arg, node->core, rovei_clock_now());
        node->more = true;
        return true;
    }
    if (!node->driven || !rovei_node_on_loop(node) || !enter(node))
        return false;
    if (!rovei_node_on_loop(node)) { /* another thread drives it since a moment ago */
        leave(node);
        return false;
    }
    fn(arg, node->core, rovei_clock_now());
    node->more = true;
    leave(node);
    rovei_postbox_wake(&node->postbox); /* when the deadline was asked for already */
    return true;
}

bool rovei_node_drive(rove_node *node, rovei_done_fn *done, void *arg)
{
    if (!node->driven || !enter_as_driver(node))
        return false;
    while (!done(arg))
        rovei_loop_turn(node, true);
    node->more = true;
    leave(node);
    rovei_postbox_wake(&node->postbox);
    return true;
}

/* ---- public ---- */

int rove_node_fd(const rove_node *node)
{
    return node && node->driven ? node->epoll_fd : -1;
}

uint64_t rove_node_deadline(rove_node *node)
{
    if (!node || !node->driven)
        return ROVE_TIME_NEVER;
    if (rovei_thread_is_inside() || !enter_as_driver(node))
        return 0;
    uint64_t deadline = rovei_loop_next_turn(node, rovei_clock_now().mono);
    leave(node);
    return deadline;
}

rove_err rove_node_process(rove_node *node)
{
    if (!node)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (!node->driven)
        return ROVE_E_USAGE;
    if (rovei_node_in_turn(node))
        return ROVE_E_REENTRANT;
    if (!enter_as_driver(node))
        return ROVE_E_BUSY;
    rovei_loop_turn(node, false);
    leave(node);
    return ROVE_OK;
}
