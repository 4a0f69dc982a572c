/* SPDX-License-Identifier: Apache-2.0
 *
 * NATS: a publisher and a subscriber of one subject, through a nats-server on loopback. */
#ifndef BENCH_NATS_H
#define BENCH_NATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench_nats {
    size_t size;
    uint64_t messages;
} bench_nats;

/* A round for bench_case, of a bench_nats: messages a second. Starts the server when it does not
 * run. */
bool bench_nats_round(void *arg, double *ret);
void bench_nats_close(void);

#endif
