/* SPDX-License-Identifier: Apache-2.0
 *
 * A program beside the benchmark. It ends with it. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct bench_child {
    pid_t pid; /* 0: none */
    FILE *in, *out;
} bench_child;

/* False: there is no such program. Its words to standard error are dropped. */
bool bench_child_start(bench_child *c, const char *const *argv);
/* Ends it and waits for it. */
void bench_child_end(bench_child *c);

#endif
