/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node knows of permission tokens: those that it holds, and the floors below which an
 * issuer's tokens are revoked. */
#ifndef ROVEI_NODE_TOKENS_H
#define ROVEI_NODE_TOKENS_H

#include <base/now.h>
#include <identity/token_cache.h>
#include <identity/token_floors.h>

typedef struct rovei_tokens {
    rovei_token_cache cache;
    rovei_token_floors floors;
} rovei_tokens;

void rovei_tokens_init(rovei_tokens *t, const rovei_env *env);
void rovei_tokens_fini(rovei_tokens *t);

/* The time as tokens count it. */
static inline uint64_t rovei_token_time(rovei_now now)
{
    return now.wall / ROVE_SECOND;
}

#endif
