/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a node. */
#include <node/tokens.h>

void rovei_tokens_init(rovei_tokens *t, const rovei_env *env)
{
    rovei_token_cache_init(&t->cache, env, env->limits.token_slots,
                           env->limits.token_skew / ROVE_SECOND);
    rovei_token_floors_init(&t->floors, env, env->limits.token_floors);
}

void rovei_tokens_fini(rovei_tokens *t)
{
    rovei_token_cache_fini(&t->cache);
    rovei_token_floors_fini(&t->floors);
}
