/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of hosts to addresses, on a thread of its own: the system's lookup waits for as long as it
 * likes. The thread begins with the first lookup and does one at a time, in order. */
#ifndef ROVEI_SHELL_RESOLVER_H
#define ROVEI_SHELL_RESOLVER_H

#include <pthread.h>
#include <shell/udp.h>

#define ROVEI_ADDRESS_TEXT_MAX 272 /* a name of 255 bytes, brackets, colon, port */

typedef struct rovei_lookup {
    struct rovei_lookup *next;
    char address[ROVEI_ADDRESS_TEXT_MAX]; /* "HOST:PORT" */
    rovei_addr found;
    rove_err err; /* E_ADDRESS, E_SHUTTING_DOWN */
    /* On the resolver's thread, or on the one that stops it; the lookup is its owner's again. */
    void (*done)(struct rovei_lookup *lookup);
} rovei_lookup;

typedef struct rovei_resolver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rovei_lookup *first, **end;
    pthread_t thread;
    bool running, stop;
} rovei_resolver;

void rovei_resolver_init(rovei_resolver *r);
/* E_SHUTTING_DOWN, E_IO (no thread); `done` is not called then. Threads: any. */
ROVE_MUST_USE rove_err rovei_resolver_ask(rovei_resolver *r, rovei_lookup *lookup);
/* Ends the thread; waits for a lookup that is under way, and ends the others. */
void rovei_resolver_stop(rovei_resolver *r);
void rovei_resolver_fini(rovei_resolver *r);

#endif
