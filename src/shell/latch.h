/* SPDX-License-Identifier: Apache-2.0
 *
 * A door that one thread waits at and another opens once: how a call that waits is made of one with
 * a completion. */
#ifndef ROVEI_SHELL_LATCH_H
#define ROVEI_SHELL_LATCH_H

#include <pthread.h>
#include <stdbool.h>

typedef struct rovei_latch {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
} rovei_latch;

static inline void rovei_latch_init(rovei_latch *l)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->opened, NULL);
    l->open = false;
}

/* The last touch of whoever opens: the one who waits may be gone when this returns. */
static inline void rovei_latch_open(rovei_latch *l)
{
    pthread_mutex_lock(&l->lock);
    l->open = true;
    pthread_cond_signal(&l->opened);
    pthread_mutex_unlock(&l->lock);
}

/* Waits, and ends the latch. */
static inline void rovei_latch_wait(rovei_latch *l)
{
    pthread_mutex_lock(&l->lock);
    while (!l->open)
        pthread_cond_wait(&l->opened, &l->lock);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->opened);
    pthread_mutex_destroy(&l->lock);
}

#endif
