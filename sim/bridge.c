/* SPDX-License-Identifier: Apache-2.0
 *
 * Two shores. */
#include "bridge.h"
#include "stranger.h"
#include <crypto/crypto.h>

#define SHORES 2000 /* the draw of its own, so that seeds without a shore stay what they are */

void sim_bridge_draw(sim_world *w)
{
    sim_rng r = sim_rng_of(w->seed, SHORES);
    if (w->scripted || !sim_rng_chance(&r, 3500))
        return;
    w->shore = (uint32_t)sim_rng_between(&r, 1, (UINT64_C(1) << w->node_count) - 2);
    w->full_mesh = true;
    if (sim_rng_chance(&r, 5000))
        sim_stranger_new(w);
}

bool sim_bridge_between(const sim_node *a, const sim_node *b)
{
    uint32_t shore = a->world->shore;
    return shore && (shore >> a->index & 1) != (shore >> b->index & 1);
}

void sim_bridge_list(sim_node *n)
{
    sim_world *w = n->world;
    rovei_net *net = rovei_node_net(n->core);
    for (unsigned i = 0; i < w->node_count; i++) {
        const sim_node *to = &w->nodes[i];
        if (to == n || !sim_bridge_between(n, to))
            continue;
        rovei_net_listing l = {.node_id = rovei_entity_node_id(&to->entity),
                               .has_key = true,
                               .has_addr = true,
                               .addr = sim_home_addr(to)};
        rove_err err = rovei_ed25519_image(l.key, &to->entity);
        if (!err)
            err = rovei_net_list(net, sim_now(n), &l);
        if (err)
            sim_fail(w, "%s cannot list %s: %s", n->name, to->name, rove_err_name(err));
    }
    if (w->stranger)
        sim_stranger_list(w->stranger, n);
}

rove_entity sim_bridge_entity(const sim_node *from, const sim_node *to)
{
    return sim_bridge_between(from, to) ? rovei_entity_of_net(rovei_entity_node_id(&to->entity))
                                        : to->entity;
}

bool sim_bridge_rest(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++) {
            const sim_node *a = &w->nodes[i], *b = &w->nodes[j];
            rovei_net_info info;
            if (!a->up || !b->up || !sim_bridge_between(a, b))
                continue;
            if (rovei_net_peer(rovei_node_net(a->core), rovei_entity_node_id(&b->entity), &info) ||
                info.state != ROVEI_PEER_UP)
                return false;
        }
    return true;
}

uint64_t sim_bridge_received(sim_node *n)
{
    if (!rovei_node_net(n->core))
        return 0;
    rovei_net_stats st = rovei_net_stats_get(rovei_node_net(n->core));
    uint64_t drops = 0;
    for (unsigned i = 0; i < ROVEI_NET_DROP_COUNT; i++)
        drops += st.drops[i];
    if (st.datagrams_received != st.datagrams_accepted + drops)
        sim_fail(n->world, "%s: datagrams of class net are neither accepted nor dropped", n->name);
    return st.datagrams_received;
}
