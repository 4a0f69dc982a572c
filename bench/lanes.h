/* SPDX-License-Identifier: Apache-2.0
 *
 * Events over lanes, also for measures that stand beside them. */
#ifndef BENCH_LANES_H
#define BENCH_LANES_H

#include "mesh.h"

#define BENCH_LANE_SENDERS 8

typedef struct bench_lane_set {
    rove_sender **senders; /* at most BENCH_LANE_SENDERS */
    size_t count, size;
    uint64_t events; /* of one round, all senders together */
} bench_lane_set;

/* Events a second, each acknowledged as applied. */
bool bench_lanes_round(void *arg, double *ret);

#endif
