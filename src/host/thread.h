/* SPDX-License-Identifier: Apache-2.0
 *
 * What the calling thread is doing for us just now. This is the library's one thread-local: without
 * it a daemon that calls the runtime which runs it could not be told from any other caller. */
#ifndef ROVEI_HOST_THREAD_H
#define ROVEI_HOST_THREAD_H

#include <stdbool.h>

/* Around the functions of a kind. */
void rovei_thread_enter(void);
void rovei_thread_leave(void);
/* This thread is inside of a daemon's functions. */
bool rovei_thread_is_inside(void);
/* This thread is a worker: it must not wait for what only a worker can do. */
void rovei_thread_set_worker(void);
bool rovei_thread_is_worker(void);

#endif
