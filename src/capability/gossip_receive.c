/* SPDX-License-Identifier: Apache-2.0
 *
 * What is believed of what comes, in the order of the reference, and sent on. */
#include <base/buf.h>
#include <capability/gossip_inside.h>

/* As many at once as in four seconds. */
static bool within_rate(const rovei_gossip *g, gossip_peer *p, rovei_now now)
{
    uint64_t step = ROVE_SECOND / g->env->limits.capability_rate;
    if (p->next_look > rovei_time_add(now.mono, 4 * ROVE_SECOND))
        return false;
    p->next_look = (p->next_look > now.mono ? p->next_look : now.mono) + step;
    return true;
}

/* As it is sent on; NULL: it is not. */
static rove_buf *with_one_more_hop(const rovei_gossip *g, const rovei_announcement *a)
{
    uint8_t text[ROVEI_ANNOUNCEMENT_MAX];
    if (a->hop_count >= ROVEI_CAPABILITY_HOPS - 1)
        return NULL;
    size_t size = rovei_announcement_write(a, (uint8_t)(a->hop_count + 1), text, sizeof text);
    return size ? rovei_buf_copy(g->alloc, text, size) : NULL;
}

/* Whether it is to be believed at all; COUNT: it is. */
static rovei_gossip_drop judge(const rovei_gossip *g, gossip_peer *p, rovei_now now,
                               const rovei_announcement *a, const gossip_seen_key *key)
{
    if (!a->hop_count && a->node_id != p->id)
        return ROVEI_GOSSIP_DROP_NOT_DIRECT;
    if (a->node_id == g->self)
        return ROVEI_GOSSIP_DROP_OWN;
    if (rovei_gossip_was_seen(g, key))
        return ROVEI_GOSSIP_DROP_REPEATED;
    if (!within_rate(g, p, now))
        return ROVEI_GOSSIP_DROP_RATE;
    if (!a->has_signature && !g->take_unsigned)
        return ROVEI_GOSSIP_DROP_UNSIGNED;
    if (a->has_signature && rovei_announcement_verify(a))
        return ROVEI_GOSSIP_DROP_SIGNATURE;
    if (rovei_entity_node_id(&a->entity) != a->node_id)
        return ROVEI_GOSSIP_DROP_NODE_ID;
    if (a->has_signature && !a->hop_count && p->pinned &&
        !rovei_entity_equal(&p->entity, &a->entity))
        return ROVEI_GOSSIP_DROP_PIN;
    return ROVEI_GOSSIP_DROP_COUNT;
}

/* For this node's own use: what was sent on is what was signed. */
static void make_own(rovei_gossip *g, rovei_announcement *a)
{
    uint64_t longest = g->env->limits.capability_life / ROVE_SECOND;
    rovei_announcement_strip(a);
    if (a->ttl > longest) {
        a->ttl = (uint32_t)longest;
        g->stats.shortened++;
    }
}

static rovei_gossip_drop take(rovei_gossip *g, gossip_peer *p, rovei_now now, rovei_announcement *a)
{
    gossip_seen_key key = {a->node_id, a->version, !a->hop_count};
    rovei_gossip_drop drop = judge(g, p, now, a, &key);
    if (drop != ROVEI_GOSSIP_DROP_COUNT)
        return drop;
    if (a->has_signature && !a->hop_count && !p->pinned) {
        p->pinned = true;
        p->entity = a->entity;
    }
    const gossip_node *known = rovei_map_get(&g->nodes, &a->node_id);
    if (!known && !rovei_gossip_make_room(g, &p->from))
        return ROVEI_GOSSIP_DROP_FULL; /* not remembered: another peer may bring it */
    if (rovei_gossip_note_seen(g, now, &p->from, &key))
        return ROVEI_GOSSIP_DROP_MEMORY;
    if (!a->hop_count) {
        p->heard = true;
        p->heard_version = a->version;
    }
    if (known && a->version <= known->version)
        return ROVEI_GOSSIP_DROP_STALE;
    rove_buf *onward = with_one_more_hop(g, a);
    if (onward)
        rovei_gossip_spread(g, onward, true, p->id, a->node_id);
    make_own(g, a);
    rove_err err = rovei_gossip_keep_node(g, now, &p->from, a, onward);
    rove_buf_unref(onward);
    if (err == ROVE_E_NOMEM)
        return ROVEI_GOSSIP_DROP_MEMORY;
    if (err)
        return err == ROVE_E_FULL ? ROVEI_GOSSIP_DROP_FULL : ROVEI_GOSSIP_DROP_STALE;
    return ROVEI_GOSSIP_DROP_COUNT;
}

void rovei_gossip_receive(rovei_gossip *g, rovei_now now, uint64_t from, rove_span text)
{
    gossip_peer *p = rovei_map_get(&g->peer_map, &from);
    rovei_announcement *a = NULL;
    rovei_gossip_drop drop = ROVEI_GOSSIP_DROP_NO_PEER;
    g->stats.received++;
    if (p) {
        rove_err err = rovei_announcement_read(&a, g->alloc, text);
        if (err)
            drop = err == ROVE_E_NOMEM ? ROVEI_GOSSIP_DROP_MEMORY : ROVEI_GOSSIP_DROP_MALFORMED;
        else
            drop = take(g, p, now, a);
    }
    if (drop == ROVEI_GOSSIP_DROP_COUNT)
        g->stats.accepted++;
    else
        g->stats.drops[drop]++;
    rovei_announcement_unref(a);
}
