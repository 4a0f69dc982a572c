/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread-local. */
#include <host/thread.h>

_Thread_local rovei_thread_state rovei_this_thread;
