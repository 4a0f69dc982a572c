/* SPDX-License-Identifier: Apache-2.0
 *
 * The kind of daemon that all cells run: its state is the list of the events that it has applied,
 * its outputs name the event and its place in that list. */
#include "cells.h"
#include "guest.h"
#include <base/alloc.h>
#include <inttypes.h>

typedef struct instance {
    const rove_alloc *alloc;
    sim_cell *cell;
    uint64_t *ids;
    size_t room;
    sim_belief belief;
    sim_lodger lodger; /* a guest's instance, where there is a guest */
} instance;

static rove_err kind_create(void **ret, const rove_alloc *alloc, void *user)
{
    instance *in = ROVEI_NEW(alloc, instance);
    if (!in)
        return ROVE_E_NOMEM;
    in->alloc = alloc;
    in->cell = user;
    rove_err err = sim_lodger_create(&in->lodger, in->cell->node->world, in->cell->daemon, alloc);
    if (err) {
        ROVEI_DELETE(alloc, in);
        return err;
    }
    *ret = in;
    return ROVE_OK;
}

static void kind_destroy(void *self)
{
    instance *in = self;
    sim_lodger_destroy(&in->lodger);
    rovei_free(in->alloc, in->ids, in->room * sizeof *in->ids);
    ROVEI_DELETE(in->alloc, in);
}

static rove_err keep_id(instance *in, uint64_t id)
{
    rove_err err = rovei_grow(in->alloc, (void **)&in->ids, &in->room, in->belief.count,
                              sizeof *in->ids, SIZE_MAX / 64);
    if (err)
        return err;
    in->ids[in->belief.count++] = id;
    in->belief.digest = sim_digest_add(in->belief.digest, id);
    return ROVE_OK;
}

static rove_err kind_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    instance *in = self;
    sim_world *w = in->cell->node->world;
    uint64_t id = event->payload.size >= 8 ? rovei_load64(event->payload.data) : 0;
    sim_event *e = sim_event_by_id(w, id);
    if (!e || e->daemon != in->cell->daemon || event->payload.size != sim_event_size(e)) {
        sim_fail(w, "%s is given an event that nobody sent to it", in->cell->daemon->name);
        return rove_fail(ctx, "no such event");
    }
    sim_truth_apply(w, in->cell->node, e->daemon, &in->belief, e);
    rove_err err = keep_id(in, id);
    if (err)
        return err;
    if (w->guest)
        return sim_lodger_process(&in->lodger, ctx, e, event);
    if (e->fails)
        return rove_fail(ctx, "event %" PRIu64 " fails on purpose", id);
    uint8_t out[32] = {0};
    for (unsigned i = 0; i < id % 3; i++) {
        rovei_store64(out, id);
        rovei_store64(out + 8, in->belief.count);
        out[16] = (uint8_t)i;
        err = rove_emit(ctx, (rove_span){out, 17 + (size_t)(id % 15)});
        if (err)
            return err;
    }
    return ROVE_OK;
}

static rove_err kind_snapshot(void *self, rove_ctx *ctx)
{
    instance *in = self;
    uint8_t head[8];
    rovei_store64(head, in->belief.count);
    rove_err err = rove_write(ctx, (rove_span){head, sizeof head});
    for (size_t i = 0; !err && i < in->belief.count; i++) {
        uint8_t id[8];
        rovei_store64(id, in->ids[i]);
        err = rove_write(ctx, (rove_span){id, sizeof id});
    }
    static const uint8_t filler[512];
    for (size_t left = in->cell->daemon->filler; !err && left;) {
        size_t part = left < sizeof filler ? left : sizeof filler;
        err = rove_write(ctx, (rove_span){filler, part});
        left -= part;
    }
    return err ? err : sim_lodger_snapshot(&in->lodger, ctx, in->belief.count);
}

static rove_err kind_restore(void *self, rove_ctx *ctx, rove_span state)
{
    instance *in = self;
    rovei_reader r = rovei_reader_of(state);
    uint64_t count = rovei_read_u64(&r);
    if (count > rovei_reader_left(&r) / 8)
        return rove_fail(ctx, "the state is cut off");
    for (uint64_t i = 0; i < count; i++) {
        rove_err err = keep_id(in, rovei_read_u64(&r));
        if (err)
            return err;
    }
    size_t filler = in->cell->daemon->filler;
    if (rovei_reader_left(&r) < filler)
        return rove_fail(ctx, "the state has another size");
    (void)rovei_read_span(&r, filler);
    return sim_lodger_restore(&in->lodger, ctx, rovei_read_span(&r, rovei_reader_left(&r)));
}

const rove_kind sim_kind = {.abi = ROVE_ABI,
                            .size = sizeof(rove_kind),
                            .name = "line",
                            .create = kind_create,
                            .destroy = kind_destroy,
                            .process = kind_process,
                            .snapshot = kind_snapshot,
                            .restore = kind_restore,
                            .is_stateful = true};

sim_belief sim_cell_belief(const sim_cell *c)
{
    const instance *in = rovei_cell_instance(c->cell);
    return in->belief;
}
