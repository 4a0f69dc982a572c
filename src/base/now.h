/* SPDX-License-Identifier: Apache-2.0
 *
 * One reading of the clocks, sampled once per turn and handed down: the core never asks for the
 * time. `mono` never goes back and measures intervals; `wall` is what is written into messages. */
#ifndef ROVEI_BASE_NOW_H
#define ROVEI_BASE_NOW_H

#include <rove/types.h>

typedef struct rovei_now {
    uint64_t mono; /* nanoseconds, arbitrary start */
    uint64_t wall; /* nanoseconds since 1970 */
} rovei_now;

/* a + b, held at "never" instead of wrapping. */
static inline uint64_t rovei_time_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t rovei_time_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
