/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that reads the clocks. */
#include <shell/node.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) || t.tv_sec < 0)
        return 0;
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}

rovei_now rovei_clock_now(void)
{
    return (rovei_now){.mono = read_clock(CLOCK_MONOTONIC), .wall = read_clock(CLOCK_REALTIME)};
}

uint64_t rovei_clock_tick(void)
{
    return read_clock(CLOCK_REALTIME_COARSE);
}
