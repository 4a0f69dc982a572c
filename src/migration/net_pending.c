/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffered events at a target of class net: they are told apart by the sequence of their own links,
 * applied one after the other from the one behind the snapshot, whatever the order in which they
 * came, and a gap waits. */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/net_machine.h>
#include <string.h>

struct pending {
    rove_link link;
    rove_buf *payload;
};

#define PENDING_COST (sizeof(struct pending) + sizeof(rove_buf) + 32)

void rovei_net_pending_init(struct rovei_net_target *t, rovei_node *n)
{
    rovei_map_init(&t->pending, n->alloc, sizeof(uint64_t), rovei_rng_u64(&n->env->rng));
}

static void forget(struct rovei_net_target *t, uint64_t sequence)
{
    struct pending *p = rovei_map_remove(&t->pending, &sequence);
    if (!p)
        return;
    t->pending_bytes -= rovei_buf_size(p->payload) + PENDING_COST;
    rove_buf_unref(p->payload);
    ROVEI_DELETE(t->pending.alloc, p);
}

void rovei_net_pending_free(struct rovei_net_target *t)
{
    size_t it = 0;
    for (struct pending *p; (p = rovei_map_next(&t->pending, &it)); it = 0)
        forget(t, p->link.sequence);
    rovei_map_fini(&t->pending);
}

static rove_err add_one(struct rovei_net_target *t, const rovei_netmove_event *e)
{
    const rovei_node *n = t->a->node;
    const rove_limits *limits = &n->env->limits;
    uint64_t cost = e->payload.size + PENDING_COST, sequence = e->link.sequence;
    if (sequence <= t->replayed || rovei_map_get(&t->pending, &sequence))
        return ROVE_OK; /* it is here, or has been applied */
    if (t->pending.count >= limits->divert_events || cost > limits->divert_bytes ||
        t->pending_bytes > limits->divert_bytes - cost)
        return ROVE_E_BUFFER_FULL;
    struct pending *p = ROVEI_NEW(n->alloc, struct pending);
    if (!p)
        return ROVE_E_NOMEM;
    p->link = e->link;
    p->payload = rovei_buf_copy(n->alloc, e->payload.data, e->payload.size);
    if (!p->payload || rovei_map_put(&t->pending, &sequence, p)) {
        rove_buf_unref(p->payload);
        ROVEI_DELETE(n->alloc, p);
        return ROVE_E_NOMEM;
    }
    t->pending_bytes += cost;
    return ROVE_OK;
}

rove_err rovei_net_pending_add(struct rovei_net_target *t, rove_span items)
{
    rovei_reader r = rovei_reader_of(items);
    rovei_netmove_event e;
    rove_err err = ROVE_OK;
    while (!err && rovei_netmove_event_read(&r, &e))
        err = add_one(t, &e);
    return err;
}

rove_err rovei_net_pending_apply(struct rovei_net_target *t)
{
    uint64_t next = t->replayed + 1; /* 0 after the last one, which is never there */
    const struct pending *p = rovei_map_get(&t->pending, &next);
    if (!p)
        return ROVE_E_NOT_FOUND;
    rovei_effect *e = rovei_node_effect(t->a->node, ROVEI_EFFECT_APPLY);
    if (!e)
        return ROVE_E_NOMEM; /* at a later turn */
    e->cell = t->d->cell;
    e->daemon = t->d->entity;
    e->attempt = t->a->info.attempt;
    e->number = next;
    e->events = 1;
    e->link = p->link;
    e->payload = rove_buf_span(p->payload);
    e->owner = rove_buf_ref(p->payload);
    e->replay = true;
    t->applying = true;
    return ROVE_OK;
}

/* The chain's head is the link of the last output. */
void rovei_net_pending_applied(struct rovei_net_target *t, const rovei_result *result)
{
    rovei_reader r = rovei_reader_of(rove_buf_span(result->outputs));
    rove_link link;
    rove_span payload;
    for (uint32_t i = 0; i < result->output_count && rovei_event_frame_read(&r, &link, &payload);
         i++)
        t->head = link;
    forget(t, ++t->replayed);
}
