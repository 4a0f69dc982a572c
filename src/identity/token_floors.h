/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation: for each issuer the least generation whose tokens still hold. A floor only rises.
 * Nothing on the wire tells of it: it is this node's own judgement. */
#ifndef ROVEI_IDENTITY_TOKEN_FLOORS_H
#define ROVEI_IDENTITY_TOKEN_FLOORS_H

#include <base/map.h>
#include <identity/token.h>

typedef struct rovei_token_floors {
    const rove_alloc *alloc;
    rovei_map issuers; /* entity -> floor, which is above 0 */
    size_t most;
} rovei_token_floors;

/* `most`: issuers with a floor. */
void rovei_token_floors_init(rovei_token_floors *f, const rovei_env *env, size_t most);
void rovei_token_floors_fini(rovei_token_floors *f);
/* A generation that is not above the floor changes nothing and is fine. E_FULL (an issuer more than
 * there may be), E_NOMEM; the floors stand as before then. */
ROVE_MUST_USE rove_err rovei_token_floors_raise(rovei_token_floors *f, const rove_entity *issuer,
                                                uint32_t generation);
uint32_t rovei_token_floors_get(const rovei_token_floors *f, const rove_entity *issuer);
bool rovei_token_floors_revoked(const rovei_token_floors *f, const rove_token *t);
size_t rovei_token_floors_count(const rovei_token_floors *f);
/* Walks all: start with *it = 0; false at the end. Nothing is raised meanwhile. */
bool rovei_token_floors_next(const rovei_token_floors *f, size_t *it, rove_entity *ret_issuer,
                             uint32_t *ret_generation);

#endif
