/* SPDX-License-Identifier: Apache-2.0
 *
 * A door that one thread waits at and another opens once: how a call that waits is made of one with
 * a completion. */
#ifndef ROVEI_SHELL_LATCH_H
#define ROVEI_SHELL_LATCH_H

#include <pthread.h>
#include <stdbool.h>

typedef struct rove_node rove_node;

typedef struct rovei_latch {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
} rovei_latch;

void rovei_latch_init(rovei_latch *l);
/* The last touch of whoever opens: the one who waits may be gone when this returns. */
void rovei_latch_open(rovei_latch *l);
/* Waits, and ends the latch. The thread that drives the node goes on driving it meanwhile. */
void rovei_latch_wait(rovei_latch *l, rove_node *node);

#endif
