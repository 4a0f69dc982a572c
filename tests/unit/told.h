/* SPDX-License-Identifier: Apache-2.0
 *
 * What a completion said, and waiting for it. */
#ifndef ROVE_TESTS_TOLD_H
#define ROVE_TESTS_TOLD_H

#include "support.h"
#include <pthread.h>
#include <rove/async.h>

typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned times;
    rove_err err;
    pthread_t thread;
} told;

#define TOLD_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static inline void tell(void *user, rove_err err)
{
    told *t = user;
    pthread_mutex_lock(&t->lock);
    t->times++;
    t->err = err;
    t->thread = pthread_self();
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static inline unsigned told_times(told *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned times = t->times;
    pthread_mutex_unlock(&t->lock);
    return times;
}

/* The error of the so-manieth time, from 1. */
static inline rove_err told_await(told *t, unsigned times)
{
    pthread_mutex_lock(&t->lock);
    while (t->times < times)
        pthread_cond_wait(&t->changed, &t->lock);
    rove_err err = t->err;
    pthread_mutex_unlock(&t->lock);
    return err;
}

/* Once, and by another thread than this one. */
static inline void assert_told(told *t, rove_err want)
{
    assert_int_equal(told_await(t, 1), want);
    assert_int_equal(told_times(t), 1);
    assert_false(pthread_equal(t->thread, pthread_self()));
}

#endif
