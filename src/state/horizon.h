/* SPDX-License-Identifier: Apache-2.0
 *
 * What a daemon has observed: per origin the highest sequence, and its 64-bit sketch
 * (docs/protocol.md, "Horizon"). */
#ifndef ROVEI_STATE_HORIZON_H
#define ROVEI_STATE_HORIZON_H

#include <base/cursor.h>

typedef struct rovei_horizon rovei_horizon;

/* `a` outlives it; `seed` keys what is hashed, since origins come from outside. */
ROVE_MUST_USE rove_err rovei_horizon_new(rovei_horizon **ret, const rove_alloc *a, uint64_t seed,
                                         uint64_t origins_max);
void rovei_horizon_free(rovei_horizon *h);
/* E_HORIZON_FULL for a novel origin at the bound, E_NOMEM; nothing changes then. */
ROVE_MUST_USE rove_err rovei_horizon_observe(rovei_horizon *h, uint64_t origin, uint64_t sequence);
bool rovei_horizon_get(const rovei_horizon *h, uint64_t origin, uint64_t *ret_sequence);
uint64_t rovei_horizon_logical(const rovei_horizon *h);
size_t rovei_horizon_count(const rovei_horizon *h);
/* Takes the highest sequence of each origin; logical time: one above the later of the two.
 * E_HORIZON_FULL, E_NOMEM; nothing changes then. */
ROVE_MUST_USE rove_err rovei_horizon_merge(rovei_horizon *h, const rovei_horizon *other);
/* Kept up to date by observe: reading it costs nothing. */
uint64_t rovei_horizon_sketch(const rovei_horizon *h);
/* The three bits of one origin. */
uint64_t rovei_sketch_of(uint64_t origin);
bool rovei_sketch_might_contain(uint64_t sketch, uint64_t origin);

/* Full form, for moves between Rove nodes: u64 logical, u32 count, count x (origin, sequence),
 * strictly ascending by origin. NULL is written as one that has observed nothing. */
size_t rovei_horizon_size(const rovei_horizon *h);
void rovei_horizon_encode(const rovei_horizon *h, rovei_writer *w);
/* Reads one horizon from a longer message. E_SHORT, E_BOUND (above origins_max), E_FORMAT (not
 * ascending), E_NOMEM; also kept by the reader. */
ROVE_MUST_USE rove_err rovei_horizon_decode(rovei_horizon **ret, const rove_alloc *a, uint64_t seed,
                                            uint64_t origins_max, rovei_reader *r);

#endif
