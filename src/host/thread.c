/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting threads, and the thread-local. */
#include <host/thread.h>
#include <signal.h>

_Thread_local rovei_thread_state rovei_this_thread;

bool rovei_thread_start(pthread_t *ret, void *(*main)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(ret, NULL, main, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
