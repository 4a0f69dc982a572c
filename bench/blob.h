/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's daemon: a state of any size, and events that cost nothing. The first byte of an
 * event of one byte sets what later events do; RESIZE is followed by a size, u32 little-endian. */
#ifndef BENCH_BLOB_H
#define BENCH_BLOB_H

#include <rove/kind.h>

enum {
    BENCH_BLOB_SINK = 1, /* no output */
    BENCH_BLOB_ECHO,     /* the event itself */
    BENCH_BLOB_CLOCK,    /* no output, and the time of each is taken: bench_blob_gap */
    BENCH_BLOB_RESIZE,
};

const rove_kind *bench_blob_kind(void);

/* Over all blobs of this process: the longest time in nanoseconds between two events in a row since
 * the reset, and the wait until so many more have been applied. */
void bench_blob_gap_reset(void);
uint64_t bench_blob_gap(void);
void bench_blob_wait_applied(uint64_t more);

#endif
