/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of ours, and what the calling thread is doing for us just now. That is the library's one
 * thread-local: without it a daemon that calls the runtime which runs it could not be told from any
 * other caller. */
#ifndef ROVEI_HOST_THREAD_H
#define ROVEI_HOST_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread that takes no signals: those are the application's. False: there can be no more.
 */
bool rovei_thread_start(pthread_t *ret, void *(*main)(void *), void *arg);

typedef struct rovei_thread_state {
    unsigned inside;    /* functions of kinds that it is in */
    unsigned observing; /* functions of observers that it is in */
    bool worker;
} rovei_thread_state;

extern _Thread_local rovei_thread_state rovei_this_thread;

/* Around the functions of a kind. */
static inline void rovei_thread_enter(void)
{
    rovei_this_thread.inside++;
}
static inline void rovei_thread_leave(void)
{
    rovei_this_thread.inside--;
}
/* This thread is inside of a daemon's functions. */
static inline bool rovei_thread_is_inside(void)
{
    return rovei_this_thread.inside > 0;
}
/* Around the functions of observers. */
static inline void rovei_thread_observe(void)
{
    rovei_this_thread.observing++;
}
static inline void rovei_thread_unobserve(void)
{
    rovei_this_thread.observing--;
}
static inline bool rovei_thread_is_observing(void)
{
    return rovei_this_thread.observing > 0;
}
/* Names this thread among those that live; never 0. */
static inline uintptr_t rovei_thread_self(void)
{
    return (uintptr_t)&rovei_this_thread;
}
/* This thread is a worker: it must not wait for what only a worker can do. */
static inline void rovei_thread_set_worker(void)
{
    rovei_this_thread.worker = true;
}
static inline bool rovei_thread_is_worker(void)
{
    return rovei_this_thread.worker;
}

#endif
