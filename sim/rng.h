/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers of the simulator: one small generator (splitmix64) per purpose, all derived from
 * the seed, so that a draw added for one purpose does not shift the others. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sim_rng {
    uint64_t state;
} sim_rng;

static inline uint64_t sim_rng_u64(sim_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
/* A generator for one purpose of one seed. */
static inline sim_rng sim_rng_of(uint64_t seed, uint64_t purpose)
{
    sim_rng r = {seed ^ (purpose * UINT64_C(0xd1342543de82ef95))};
    (void)sim_rng_u64(&r);
    r.state ^= sim_rng_u64(&r);
    return r;
}
/* Below `bound`, which is not 0. */
static inline uint64_t sim_rng_below(sim_rng *r, uint64_t bound)
{
    return sim_rng_u64(r) % bound;
}
/* Both ends included. */
static inline uint64_t sim_rng_between(sim_rng *r, uint64_t low, uint64_t high)
{
    return low + sim_rng_below(r, high - low + 1);
}
/* True in `n` of 10,000 cases. */
static inline bool sim_rng_chance(sim_rng *r, uint64_t n)
{
    return sim_rng_below(r, 10000) < n;
}

#endif
