/* SPDX-License-Identifier: Apache-2.0
 *
 * The floors of issuers. */
#include <base/alloc.h>
#include <identity/token_floors.h>

struct floor {
    rove_entity issuer;
    uint32_t generation;
};

void rovei_token_floors_init(rovei_token_floors *f, const rovei_env *env, size_t most)
{
    *f = (rovei_token_floors){.alloc = &env->alloc, .most = most};
    rovei_map_init_inside(&f->issuers, f->alloc, sizeof(rove_entity),
                          offsetof(struct floor, issuer), rovei_rng_u64(&env->rng));
}

void rovei_token_floors_fini(rovei_token_floors *f)
{
    size_t it = 0;
    for (struct floor *at; (at = rovei_map_next(&f->issuers, &it));)
        ROVEI_DELETE(f->alloc, at);
    rovei_map_fini(&f->issuers);
}

static rove_err add(rovei_token_floors *f, const rove_entity *issuer, uint32_t generation)
{
    if (f->issuers.count >= f->most)
        return ROVE_E_FULL;
    struct floor *at = ROVEI_NEW(f->alloc, struct floor);
    if (!at)
        return ROVE_E_NOMEM;
    *at = (struct floor){*issuer, generation};
    rove_err err = rovei_map_put(&f->issuers, &at->issuer, at);
    if (err)
        ROVEI_DELETE(f->alloc, at);
    return err;
}

rove_err rovei_token_floors_raise(rovei_token_floors *f, const rove_entity *issuer,
                                  uint32_t generation)
{
    struct floor *at = rovei_map_get(&f->issuers, issuer);
    if (!at)
        return generation ? add(f, issuer, generation) : ROVE_OK;
    if (generation > at->generation)
        at->generation = generation;
    return ROVE_OK;
}

uint32_t rovei_token_floors_get(const rovei_token_floors *f, const rove_entity *issuer)
{
    const struct floor *at = rovei_map_get(&f->issuers, issuer);
    return at ? at->generation : 0;
}

bool rovei_token_floors_revoked(const rovei_token_floors *f, const rove_token *t)
{
    return t->generation < rovei_token_floors_get(f, &t->issuer);
}

size_t rovei_token_floors_count(const rovei_token_floors *f)
{
    return f->issuers.count;
}

bool rovei_token_floors_next(const rovei_token_floors *f, size_t *it, rove_entity *ret_issuer,
                             uint32_t *ret_generation)
{
    const struct floor *at = rovei_map_next(&f->issuers, it);
    if (!at)
        return false;
    *ret_issuer = at->issuer;
    *ret_generation = at->generation;
    return true;
}
