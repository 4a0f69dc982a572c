/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread-local. */
#include <host/thread.h>

static _Thread_local struct {
    unsigned inside;
    bool worker;
} rovei_thread_state;

void rovei_thread_enter(void)
{
    rovei_thread_state.inside++;
}

void rovei_thread_leave(void)
{
    rovei_thread_state.inside--;
}

bool rovei_thread_is_inside(void)
{
    return rovei_thread_state.inside > 0;
}

void rovei_thread_set_worker(void)
{
    rovei_thread_state.worker = true;
}

bool rovei_thread_is_worker(void)
{
    return rovei_thread_state.worker;
}
