/* SPDX-License-Identifier: Apache-2.0
 *
 * ZeroMQ over TCP on loopback: PUSH to PULL, each side with a context and a thread of its own. */
#ifndef BENCH_ZEROMQ_H
#define BENCH_ZEROMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench_zeromq {
    size_t senders, size;
    uint64_t messages;
} bench_zeromq;

/* A round for bench_case, of a bench_zeromq: messages a second, from the first sent to the last
 * received. False when it was built without libzmq. */
bool bench_zeromq_round(void *arg, double *ret);

#endif
