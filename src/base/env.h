/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core is given from outside at construction, once: memory, randomness, the slab for
 * secrets, and the limits. Time is given with each call. */
#ifndef ROVEI_BASE_ENV_H
#define ROVEI_BASE_ENV_H

#include <base/rng.h>
#include <rove/limits.h>

struct rovei_slab; /* crypto/slab.h */

typedef struct rovei_env {
    rove_alloc alloc;
    rovei_rng rng;
    struct rovei_slab *slab;
    rove_limits limits;
} rovei_env;

#endif
