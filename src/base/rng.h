/* SPDX-License-Identifier: Apache-2.0
 *
 * Where random bytes come from: a function handed in by the owner of the core. It always fills;
 * a source that cannot has to end the process itself (a guessable key is worse than a crash). */
#ifndef ROVEI_BASE_RNG_H
#define ROVEI_BASE_RNG_H

#include <rove/types.h>

typedef struct rovei_rng {
    void (*fill)(void *user, void *ret, size_t size);
    void *user;
} rovei_rng;

static inline void rovei_rng_fill(const rovei_rng *g, void *ret, size_t size)
{
    g->fill(g->user, ret, size);
}
static inline uint64_t rovei_rng_u64(const rovei_rng *g)
{
    uint64_t v;
    g->fill(g->user, &v, sizeof v);
    return v;
}
static inline uint32_t rovei_rng_u32(const rovei_rng *g)
{
    return (uint32_t)rovei_rng_u64(g);
}

#endif
