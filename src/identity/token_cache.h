/* SPDX-License-Identifier: Apache-2.0
 *
 * The credentials that a node holds, to be presented or to be asked by. A slot is the last link's
 * subject and channel; tokens with WILDCARD share the slot of channel 0. A slot holds one chain for
 * each scope: a newer one of the same scope takes the place of the older. Nothing that a peer has
 * presented is ever put here. */
#ifndef ROVEI_IDENTITY_TOKEN_CACHE_H
#define ROVEI_IDENTITY_TOKEN_CACHE_H

#include <base/map.h>
#include <identity/token.h>

#define ROVEI_TOKENS_PER_SLOT 32

typedef struct rovei_token_cache {
    const rove_alloc *alloc;
    rovei_map slots; /* subject and channel -> slot */
    size_t most;     /* slots */
    size_t count;    /* chains over all slots */
    uint64_t skew;   /* seconds, at most ROVE_TOKEN_SKEW_MAX */
    bool wildcards;  /* one was put in at any time */
} rovei_token_cache;

void rovei_token_cache_init(rovei_token_cache *c, const rovei_env *env, size_t most, uint64_t skew);
void rovei_token_cache_fini(rovei_token_cache *c);
/* A larger one counts as the largest. */
void rovei_token_cache_set_skew(rovei_token_cache *c, uint64_t skew);

/* Keeps a chain whose signatures are valid and whose links are connected; neither its time nor a
 * floor is asked. E_TOKEN_FORMAT, E_TOKEN_SIGNATURE, the errors of _chain_connected, E_FULL (a
 * slot, or a scope in a slot, more than there may be), E_NOMEM; nothing changes then. */
ROVE_MUST_USE rove_err rovei_token_cache_insert(rovei_token_cache *c,
                                                const rove_token_chain *chain);
/* The first chain with which `subject` may do `action` on the channel now: of the channel's slot,
 * else of the wildcards'. Every link has to be in its window, not revoked and to allow it.
 * `floors` may be NULL. E_TOKEN_NOT_AUTHORIZED is the only error: a chain that does not do is
 * passed over. `ret` may be NULL. */
ROVE_MUST_USE rove_err rovei_token_cache_find(const rovei_token_cache *c,
                                              const rove_entity *subject, uint32_t action,
                                              uint64_t channel, uint64_t now,
                                              const struct rovei_token_floors *floors,
                                              rove_token_chain *ret);
/* For looking: of this slot and no other the first chain whose last link is valid without skew,
 * else the first; false when it has none. */
bool rovei_token_cache_get(const rovei_token_cache *c, const rove_entity *subject, uint64_t channel,
                           uint64_t now, rove_token_chain *ret);
/* Throws away what has expired, without skew; gives how many. */
size_t rovei_token_cache_sweep(rovei_token_cache *c, uint64_t now);
/* Walks all chains; start with a zeroed place; false at the end. Nothing changes meanwhile. */
typedef struct rovei_token_cache_place {
    size_t slot, chain;
    const void *at;
} rovei_token_cache_place;
bool rovei_token_cache_next(const rovei_token_cache *c, rovei_token_cache_place *place,
                            rove_token_chain *ret);

#endif
