/* SPDX-License-Identifier: Apache-2.0
 *
 * Permission tokens as applications make and judge them. */
#include <base/alloc.h>
#include <channel/name.h>
#include <crypto/crypto.h>
#include <host/runtime.h>
#include <identity/token_floors.h>
#include <time.h>

static uint64_t time_or_clock(uint64_t given)
{
    if (given)
        return given;
    time_t now = time(NULL);
    return now > 0 ? (uint64_t)now : 0;
}

static bool is_broken(rove_span s)
{
    return s.size && !s.data;
}

static bool has_links(const rove_token_chain *c)
{
    return c->count >= 1 && c->count <= ROVE_TOKEN_LINKS;
}

rove_err rove_token_chain_encode(const rove_token_chain *chain, uint8_t ret[ROVE_TOKEN_CHAIN_MAX],
                                 size_t *ret_size)
{
    if (!chain || !ret)
        return ROVE_E_USAGE;
    if (!has_links(chain))
        return ROVE_E_TOKEN_FORMAT;
    size_t size = rovei_token_chain_encode(chain, ret);
    if (ret_size)
        *ret_size = size;
    return ROVE_OK;
}

rove_err rove_token_chain_decode(rove_token_chain *ret, rove_span bytes)
{
    if (!ret || is_broken(bytes))
        return ROVE_E_USAGE;
    if (bytes.size != ROVE_TOKEN_SIZE)
        return rovei_token_chain_decode(ret, bytes);
    rove_token_chain c = {.count = 1};
    rove_err err = rovei_token_decode(&c.links[0], bytes);
    if (err == ROVE_OK)
        *ret = c;
    return err;
}

rove_err rove_token_channel(rove_span channel, rove_span group, uint64_t *ret)
{
    if (!ret || is_broken(channel) || is_broken(group))
        return ROVE_E_USAGE;
    rove_err err = rovei_channel_name_check(channel);
    if (!err && group.size > ROVEI_CHANNEL_NAME_MAX)
        err = ROVE_E_CHANNEL_LONG;
    if (err)
        return err;
    *ret = group.size ? rovei_channel_group_hash(channel, group) : rovei_channel_hash(channel);
    return ROVE_OK;
}

void rove_token_options_init(rove_token_options *options)
{
    *options = (rove_token_options){.struct_version = ROVE_TOKEN_OPTIONS_VERSION, .life = 3600};
}

rove_err rove_token_issue(rove_token_chain *ret, const rove_identity *issuer,
                          const rove_token_options *options)
{
    if (!ret || !issuer || !options)
        return ROVE_E_USAGE;
    if (options->struct_version != ROVE_TOKEN_OPTIONS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    rovei_token_grant g = {.subject = options->subject,
                           .channel = options->channel,
                           .not_before = time_or_clock(options->not_before),
                           .life = options->life,
                           .scope = options->scope,
                           .generation = options->generation,
                           .depth = options->depth};
    rove_token_chain c = {.count = 1};
    rove_err err = rovei_token_issue(&c.links[0], &issuer->env->rng, issuer->key, &g);
    if (err == ROVE_OK)
        *ret = c;
    return err;
}

rove_err rove_token_delegate(rove_token_chain *chain, const rove_identity *signer,
                             const rove_entity *subject, uint32_t scope, uint64_t now)
{
    if (!chain || !signer || !subject)
        return ROVE_E_USAGE;
    return rovei_token_chain_extend(chain, &signer->env->rng, signer->key, subject, scope,
                                    time_or_clock(now));
}

void rove_token_demand_init(rove_token_demand *demand)
{
    *demand = (rove_token_demand){.struct_version = ROVE_TOKEN_DEMAND_VERSION};
}

static rove_err fill_floors(rovei_token_floors *f, const rove_token_demand *d)
{
    rove_err err = ROVE_OK;
    for (size_t i = 0; !err && i < d->floor_count; i++)
        err = rovei_token_floors_raise(f, &d->floors[i].issuer, d->floors[i].generation);
    return err;
}

rove_err rove_token_chain_verify(const rove_token_chain *chain, const rove_token_demand *demand)
{
    if (!chain || !demand || (demand->root_count && !demand->roots) ||
        (demand->floor_count && !demand->floors))
        return ROVE_E_USAGE;
    if (demand->struct_version != ROVE_TOKEN_DEMAND_VERSION)
        return ROVE_E_STRUCT_VERSION;
    rovei_env env = {.alloc = rovei_alloc_libc, .rng = rovei_rng_system};
    rovei_token_floors floors;
    rovei_token_floors_init(&floors, &env, SIZE_MAX);
    rove_err err = fill_floors(&floors, demand);
    rovei_token_demand d = {.action = demand->action,
                            .channel = demand->channel,
                            .presenter = &demand->presenter,
                            .roots = demand->roots,
                            .root_count = demand->root_count,
                            .floors = &floors,
                            .now = time_or_clock(demand->now),
                            .skew = demand->skew < ROVE_TOKEN_SKEW_MAX ? demand->skew
                                                                       : ROVE_TOKEN_SKEW_MAX};
    if (err == ROVE_OK)
        err = rovei_token_chain_verify(chain, &d);
    rovei_token_floors_fini(&floors);
    return err;
}
