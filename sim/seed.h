/* SPDX-License-Identifier: Apache-2.0
 *
 * One seed from its first node to its last verdict. */
#ifndef SIM_SEED_H
#define SIM_SEED_H

#include "world.h"

typedef struct sim_seed_options {
    uint64_t seed;
    FILE *history;                 /* or NULL */
    FILE *story;                   /* where a failure is told; NULL: nowhere */
    const struct sim_guest *guest; /* or NULL */
    bool echo;                     /* tell everything, as it happens */
} sim_seed_options;

typedef struct sim_seed_result {
    bool good;
    char failure[512];
    uint64_t digest; /* of all that happened: equal for equal seeds */
    uint64_t until;  /* virtual time at the end */
    sim_totals totals;
} sim_seed_result;

void sim_seed_run(const sim_seed_options *o, sim_seed_result *ret);
/* Tells the story of the seed that runs at this moment; for a failed assertion. */
void sim_seed_tell(FILE *to);

#endif
