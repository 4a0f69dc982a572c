/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a drain sends daemons: to the node that the operator named, else to the peer of class rove
 * that it has given the least so far. One that refused counts as if it had been given more. */
#include <base/alloc.h>
#include <host/drain.h>

/* More are not told apart by the items' bits. */
#define TARGETS_MAX 64
#define REFUSAL     4

static rove_err place_of(rovei_drain *d, const rove_entity *node, size_t *ret)
{
    for (size_t i = 0; i < d->target_count; i++)
        if (rovei_entity_equal(&d->targets[i].node, node)) {
            *ret = i;
            return ROVE_OK;
        }
    void *items = d->targets;
    rove_err err = rovei_grow(d->host->alloc, &items, &d->target_room, d->target_count,
                              sizeof *d->targets, TARGETS_MAX);
    d->targets = items;
    if (err)
        return err;
    d->targets[d->target_count] = (rovei_drain_target){.node = *node};
    *ret = d->target_count++;
    return ROVE_OK;
}

static uint64_t load(const rovei_drain_target *t)
{
    return t->orders + REFUSAL * t->refusals;
}

rove_err rovei_drain_choose(rovei_drain *d, const rovei_node *core, uint64_t tried, size_t *ret)
{
    rovei_peer_info peer;
    size_t best = 0, at = 0;
    bool found = false;
    rove_err err;
    if (d->options.target) {
        err = place_of(d, d->options.target, &at);
        if (err == ROVE_OK && (tried & (UINT64_C(1) << at)))
            err = ROVE_E_TARGET_UNAVAILABLE;
        if (err == ROVE_OK)
            *ret = at;
        return err;
    }
    for (size_t it = 0; rovei_node_peer_next(core, &it, &peer);) {
        if (peer.session_class == ROVEI_CLASS_NET || peer.state != ROVEI_PEER_UP)
            continue;
        err = place_of(d, &peer.entity, &at);
        if (err == ROVE_E_FULL)
            continue;
        if (err)
            return err;
        if (tried & (UINT64_C(1) << at))
            continue;
        if (!found || load(&d->targets[at]) < load(&d->targets[best]))
            best = at;
        found = true;
    }
    *ret = best;
    return found ? ROVE_OK : ROVE_E_TARGET_UNAVAILABLE;
}
