/* SPDX-License-Identifier: Apache-2.0
 *
 * How other threads reach the loop thread that owns a node's core: tasks in the order in which they
 * were posted, with one coalesced wake per burst. Posting never blocks and never fails; what bounds
 * the number of tasks is their owner (one for each waiting caller, one for each cell). */
#ifndef ROVEI_SHELL_POSTBOX_H
#define ROVEI_SHELL_POSTBOX_H

#include <node/node.h>
#include <stdatomic.h>

typedef struct rovei_task {
    struct rovei_task *next;
    /* Called on the loop thread. The task belongs to its poster again as soon as this begins. */
    void (*run)(struct rovei_task *task, rovei_node *node, rovei_now now);
} rovei_task;

typedef struct rovei_postbox {
    _Atomic(rovei_task *) head; /* newest first; reversed when taken */
    atomic_bool awake;          /* a wake is on its way or the loop is running */
    int wake_fd;                /* eventfd, watched for edges */
    /* The loop's. */
    bool armed;      /* it may sleep: whoever posts first wakes it */
    uint64_t unread; /* wakes that were, or are about to be, written */
} rovei_postbox;

ROVE_MUST_USE rove_err rovei_postbox_init(rovei_postbox *p);
void rovei_postbox_fini(rovei_postbox *p);
/* Threads: any. */
void rovei_postbox_post(rovei_postbox *p, rovei_task *task);
/* The loop has something to do, if it sleeps or is about to. Threads: any. */
void rovei_postbox_wake(rovei_postbox *p);
/* Runs all that is there, on the loop thread. True when there was something. */
bool rovei_postbox_run(rovei_postbox *p, rovei_node *node, rovei_now now);
/* Before the loop sleeps: false when something came meanwhile and it must not. From here on the
 * first to post wakes it. */
bool rovei_postbox_may_sleep(rovei_postbox *p);
/* The loop runs again: nobody need wake it. */
void rovei_postbox_woken(rovei_postbox *p);
/* Takes the wakes off the descriptor, for a loop that does not see its edges. */
void rovei_postbox_read(rovei_postbox *p);

#endif
