/* SPDX-License-Identifier: Apache-2.0
 *
 * Erlang beside Rove: one virtual machine runs erlang.escript and is told a round at a time. */
#ifndef BENCH_ERLANG_H
#define BENCH_ERLANG_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ERLANG_ONE_WAY    "one_way"
#define BENCH_ERLANG_ROUND_TRIP "round_trip"

typedef struct bench_erlang {
    const char *what;
    uint64_t size, messages;
} bench_erlang;

/* A round for bench_case, of a bench_erlang: messages a second. Starts the machine when it does not
 * run. */
bool bench_erlang_round(void *arg, double *ret);
void bench_erlang_close(void);

#endif
