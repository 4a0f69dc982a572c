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
    BENCH_BLOB_RESIZE,
};

const rove_kind *bench_blob_kind(void);

#endif
