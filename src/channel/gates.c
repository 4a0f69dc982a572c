/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may subscribe and publish: the gates in their order, and whether a right that was given still
 * stands (docs/protocol/channels.md, "Gates"). */
#include <base/mutant.h>
#include <capability/index.h>
#include <channel/inside.h>

const rovei_channel_config *rovei_gates_config(const struct rovei_channels *c, rove_span name)
{
    return rovei_channel_registry_find(c->registry, name, NULL);
}

/* ---- what is known of a node ---- */

/* The entity behind a node id, as far as it is proved: by the session in class rove, and by what it
 * announced itself in class net. */
static bool pinned(const struct rovei_channels *c, const rovei_channel_peer *p, rove_entity *ret)
{
    if (rovei_entity_is_net(&p->entity))
        return rovei_gossip_pin(c->node, p->node_id, ret);
    *ret = p->entity;
    return true;
}

/* Whether the node announces all of these tags. */
static bool meets(const struct rovei_channels *c, uint64_t node_id, const rovei_need *need)
{
    if (!need->count)
        return true;
    const rovei_index *index = c->options.index ? c->options.index : rovei_gossip_index(c->node);
    const rovei_index_entry *e = rovei_index_get(index, node_id);
    for (size_t i = 0; i < need->count; i++)
        if (!e || !rovei_caps_has_alike(&e->caps, need->tags[i]))
            return false;
    return true;
}

/* The subnet of a node; false: not known, which it is without a policy of subnets. */
static bool subnet_of(const struct rovei_channels *c, const rovei_channel_peer *p, uint32_t *ret)
{
    bool own = rovei_entity_equal(&p->entity, &c->node->self);
    if (own)
        *ret = c->options.subnet;
    return own;
}

static bool visible(const struct rovei_channels *c, const rovei_channel_config *config,
                    const rovei_channel_peer *p)
{
    uint32_t subnet;
    bool known = subnet_of(c, p, &subnet);
    return rovei_channel_visible(config, c->options.subnet, known ? &subnet : NULL);
}

/* ---- tokens ---- */

static bool chain_holds(const struct rovei_channels *c, rovei_now now,
                        const rovei_channel_config *config, const rove_token_chain *chain,
                        const rove_entity *presenter, uint32_t action, uint64_t hash,
                        bool presigned)
{
    return rovei_token_chain_verify(chain, &(rovei_token_demand){
                                               .action = action,
                                               .channel = hash,
                                               .presenter = presenter,
                                               .roots = config->roots,
                                               .root_count = config->root_count,
                                               .floors = &c->node->tokens.floors,
                                               .now = rovei_channel_seconds(now),
                                               .skew = c->node->tokens.cache.skew,
                                               .presigned = presigned,
                                           }) == ROVE_OK;
}

/* What follows from the name that was asked for, not from the configuration's own. */
static bool origin_fits(const rovei_channel_config *config, rove_span name, const rove_entity *pin)
{
    if (!config->origin_bound)
        return true;
    if (!config->prefix || !pin)
        return false;
    rove_span rest = {(const char *)name.data + config->name.size, name.size - config->name.size};
    return rovei_origin_bound(rest, rovei_entity_origin(pin));
}

static rovei_membership_reason judge_group(struct rovei_channels *c, rovei_now now,
                                           const rovei_channel_config *config,
                                           rovei_channel_peer *p, const rovei_membership *m,
                                           const rove_entity *pin, bool chained,
                                           rovei_channel_grant *ret)
{
    ret->hash = rovei_channel_group_hash(m->channel, m->group);
    bool fine =
        chained && config->root_count &&
        chain_holds(c, now, config, &ret->chain, pin, ROVE_SCOPE_SUBSCRIBE, ret->hash, false) &&
        meets(c, p->node_id, &config->subscribe_caps);
    ret->gated = fine;
    return fine ? ROVEI_REASON_NONE : ROVEI_REASON_UNAUTHORIZED;
}

static rovei_membership_reason judge(struct rovei_channels *c, rovei_now now,
                                     const rovei_channel_config *config, rovei_channel_peer *p,
                                     const rovei_membership *m, rovei_channel_grant *ret)
{
    rove_entity entity;
    const rove_entity *pin = pinned(c, p, &entity) ? &entity : NULL;
    bool token = rovei_channel_token_required(config);
    bool restricted = m->group.size && config->groups != ROVEI_GROUPS_ANY;
    if (!visible(c, config, p) || !origin_fits(config, m->channel, pin))
        return ROVEI_REASON_UNAUTHORIZED;
    bool chained = m->token.size && rovei_token_chain_decode(&ret->chain, m->token) == ROVE_OK;
    if (!config->publish_caps.count && !config->subscribe_caps.count && !token && !restricted)
        return ROVEI_REASON_NONE;
    if (!pin && (token || restricted))
        return ROVEI_REASON_UNAUTHORIZED;
    if (restricted && config->groups == ROVEI_GROUPS_DENY)
        return ROVEI_REASON_UNAUTHORIZED;
    if (restricted)
        return judge_group(c, now, config, p, m, pin, chained, ret);
    if (!meets(c, p->node_id, &config->subscribe_caps))
        return ROVEI_REASON_UNAUTHORIZED;
    if (!token)
        return ROVEI_REASON_NONE;
    ret->hash = rovei_channel_hash(m->channel);
    ret->gated =
        chained && config->root_count &&
        chain_holds(c, now, config, &ret->chain, pin, ROVE_SCOPE_SUBSCRIBE, ret->hash, false);
    return ret->gated ? ROVEI_REASON_NONE : ROVEI_REASON_UNAUTHORIZED;
}

rovei_membership_reason rovei_gates_subscribe(struct rovei_channels *c, rovei_now now,
                                              rovei_channel_peer *p, const rovei_membership *m,
                                              bool known, rovei_channel_grant *ret)
{
    ret->gated = false;
    /* This node's own daemons and listeners are no strangers to be slowed down or counted. */
    bool own = rovei_entity_equal(&p->entity, &c->node->self);
    if (!own && rovei_throttle_refuses(&p->throttle, now.mono))
        return ROVEI_REASON_RATE_LIMITED;
    if (!own && !known && p->count >= c->node->env->limits.channels_per_peer)
        return ROVEI_REASON_TOO_MANY_CHANNELS;
    const rovei_channel_config *config = rovei_gates_config(c, m->channel);
    if (!config)
        return c->options.open ? ROVEI_REASON_NONE : ROVEI_REASON_UNKNOWN_CHANNEL;
    return judge(c, now, config, p, m, ret);
}

/* ---- later ---- */

/* The chain is what it was, and so is what it is judged by: only the clock can have ended it. */
static bool chain_stands(const struct rovei_channels *c, rovei_now now, const rovei_member *m)
{
    uint64_t seconds = rovei_channel_seconds(now);
    return m->judged == c->judgement && seconds >= m->from && seconds < m->until;
}

static bool token_holds(struct rovei_channels *c, rovei_now now, const rovei_channel_config *config,
                        rovei_member *m, bool full)
{
    rove_entity pin;
    if (!m->chain || !config->root_count || !pinned(c, m->peer, &pin))
        return false;
    if (!full && chain_stands(c, now, m))
        return true;
    if (!chain_holds(c, now, config, m->chain, &pin, ROVE_SCOPE_SUBSCRIBE, m->grant, !full))
        return false;
    uint64_t skew = c->node->tokens.cache.skew;
    m->from = 0;
    for (uint32_t i = 0; i < m->chain->count; i++)
        if (m->chain->links[i].not_before > m->from)
            m->from = m->chain->links[i].not_before;
    m->from -= m->from < skew ? m->from : skew;
    m->until = rovei_time_add(rovei_token_chain_expiry(m->chain), skew);
    m->judged = c->judgement;
    return true;
}

bool rovei_gates_hold(struct rovei_channels *c, rovei_now now, const rovei_channel_config *config,
                      rovei_member *m, bool full)
{
    rovei_channel_config open = {.visibility = c->options.visibility};
    const rovei_channel_config *by = config ? config : &open;
    rovei_principal who = {ROVEI_PRINCIPAL_NODE, m->seat.node_id};
    if (!visible(c, by, m->peer))
        return false;
    /* The exact pair is in the guard as long as the member exists: its bits are all that is asked
     * unless everything is. */
    if (full ? !rovei_guard_admits(&c->guard, who, m->channel->hash,
                                   rovei_channel_name_of(m->channel))
             : !rovei_guard_may(&c->guard, who, m->channel->hash))
        return false;
    return !rovei_channel_token_required(by) || token_holds(c, now, by, m, full) ||
           ROVEI_MUTANT(REVOKED_LEG_GOES_ON);
}

bool rovei_gates_publish(struct rovei_channels *c, rovei_now now,
                         const rovei_channel_config *config, rove_span name)
{
    if (!config)
        return true;
    if (!meets(c, rovei_entity_node_id(&c->node->self), &config->publish_caps))
        return false;
    if (!rovei_channel_token_required(config))
        return true;
    rove_token_chain chain;
    uint64_t hash = rovei_channel_hash(name);
    const rovei_tokens *own = &c->node->tokens;
    if (!config->root_count ||
        rovei_token_cache_find(&own->cache, &c->node->self, ROVE_SCOPE_PUBLISH, hash,
                               rovei_channel_seconds(now), &own->floors, &chain))
        return false;
    return chain_holds(c, now, config, &chain, &c->node->self, ROVE_SCOPE_PUBLISH, hash, true);
}
