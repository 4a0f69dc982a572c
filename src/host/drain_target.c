/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a drain sends daemons: to the node that the operator named, else to a peer of class rove.
 * Of these, placement leaves out those whose announcement says that the daemon cannot be there
 * (what its kind requires, a cordon); those that announce nothing come last. Among the rest the one
 * that was given the least so far, then the one with the better score; so a node that goes away
 * does not pour all that it has into one other. One that refused counts as if it had been given
 * more. */
#include <base/alloc.h>
#include <host/drain.h>
#include <host/placing.h>

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

typedef struct choice {
    size_t at;
    bool found, announced;
    uint64_t load;
    double score;
} choice;

static bool is_better(const choice *a, const choice *b)
{
    if (!b->found || a->announced != b->announced)
        return !b->found || a->announced;
    if (a->load != b->load)
        return a->load < b->load;
    return a->score > b->score;
}

/* What placement says of a node. False: the daemon cannot be there. `wishes` NULL: the kind is not
 * known by name here, so nothing is known of what it requires. */
static bool judge(const rovei_node *core, const rovei_wishes *wishes, const rovei_peer_info *peer,
                  choice *ret)
{
    const rovei_index *index = rovei_node_index((rovei_node *)(uintptr_t)core);
    const rovei_index_entry *e = rovei_index_get(index, peer->node_id);
    rovei_candidate candidate;
    if (!e || !wishes)
        return true;
    rovei_node_judge(core, &wishes->placing, e, &candidate);
    ret->announced = true;
    ret->score = candidate.score;
    return candidate.eligible;
}

static rove_err choose(rovei_drain *d, const rovei_node *core, const rovei_wishes *wishes,
                       uint64_t tried, size_t *ret)
{
    rovei_peer_info peer;
    choice best = {0};
    for (size_t it = 0; rovei_node_peer_next(core, &it, &peer);) {
        choice c = {.found = true};
        if (peer.session_class == ROVEI_CLASS_NET || peer.state != ROVEI_PEER_UP)
            continue;
        rove_err err = place_of(d, &peer.entity, &c.at);
        if (err == ROVE_E_FULL)
            continue;
        if (err)
            return err;
        c.load = load(&d->targets[c.at]);
        if (!(tried & (UINT64_C(1) << c.at)) && judge(core, wishes, &peer, &c) &&
            is_better(&c, &best))
            best = c;
    }
    *ret = best.at;
    return best.found ? ROVE_OK : ROVE_E_TARGET_UNAVAILABLE;
}

static rove_err named(rovei_drain *d, uint64_t tried, size_t *ret)
{
    size_t at;
    rove_err err = place_of(d, d->options.target, &at);
    if (err == ROVE_OK && (tried & (UINT64_C(1) << at)))
        err = ROVE_E_TARGET_UNAVAILABLE;
    if (err == ROVE_OK)
        *ret = at;
    return err;
}

rove_err rovei_drain_choose(rovei_drain *d, const rovei_node *core, const rove_entity *daemon,
                            uint64_t tried, size_t *ret)
{
    rovei_daemon_info info;
    rovei_wishes wishes;
    if (d->options.target)
        return named(d, tried, ret);
    rove_err err = rovei_node_daemon_get(core, daemon, &info);
    if (err == ROVE_OK)
        err = rovei_wishes_init(&wishes, d->host, info.kind, true);
    if (err == ROVE_E_NOMEM)
        return err;
    bool known = err == ROVE_OK;
    err = choose(d, core, known ? &wishes : NULL, tried, ret);
    if (known)
        rovei_wishes_fini(&wishes);
    return err;
}
