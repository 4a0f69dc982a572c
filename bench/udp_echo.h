/* SPDX-License-Identifier: Apache-2.0
 *
 * What a round trip costs without Rove: a datagram to a thread that sends it back. */
#ifndef BENCH_UDP_ECHO_H
#define BENCH_UDP_ECHO_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bench_udp_echo {
    bool busy; /* both ends ask again and again instead of sleeping in the kernel */
    size_t size, count;
    double *samples; /* room for count */
} bench_udp_echo;

/* A round for bench_case, of a bench_udp_echo: median and 99th percentile in microseconds. */
bool bench_udp_echo_round(void *arg, double *ret);

#endif
