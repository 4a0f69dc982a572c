/* SPDX-License-Identifier: Apache-2.0
 *
 * The kind of daemon that all cells run: its state is the list of the events that it has applied,
 * its outputs name the event and its place in that list. */
#include "cells.h"
#include "guest.h"
#include "publishing.h"
#include <base/alloc.h>
#include <inttypes.h>
#include <string.h>

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
    if (sim_is_publication(id)) {
        bool fails =
            sim_publishing_apply(w, in->cell->node, in->cell->daemon, &in->belief, event->payload);
        rove_err err = keep_id(in, id);
        return !err && fails ? rove_fail(ctx, "a publication fails on purpose") : err;
    }
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

/* ---- the same state as a stream ---- */

typedef struct reading {
    const instance *in; /* its list only grows */
    uint64_t count, filler, at;
} reading;

static rove_err stream_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    instance *in = self;
    reading *r = ROVEI_NEW(in->alloc, reading);
    (void)ctx;
    if (!r)
        return ROVE_E_NOMEM;
    *r = (reading){.in = in, .count = in->belief.count, .filler = in->cell->daemon->filler};
    *ret_size = 8 + 8 * r->count + r->filler;
    *ret = r;
    return ROVE_OK;
}

/* At most one number, or a run of the filler, at a time. */
static rove_err stream_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    reading *r = stream;
    uint64_t numbers = 8 + 8 * r->count, all = numbers + r->filler;
    size_t part = 0;
    if (r->at < numbers) {
        uint8_t number[8];
        uint64_t index = r->at / 8;
        rovei_store64(number, index ? r->in->ids[index - 1] : r->count);
        part = 8 - r->at % 8 < size ? (size_t)(8 - r->at % 8) : size;
        memcpy(room, number + r->at % 8, part);
    } else if (r->at < all) {
        part = all - r->at < size ? (size_t)(all - r->at) : size;
        memset(room, 0, part);
    }
    r->at += part;
    *ret_size = part;
    return ROVE_OK;
}

static void stream_close(void *stream)
{
    reading *r = stream;
    ROVEI_DELETE(r->in->alloc, r);
}

typedef struct writing {
    instance *in;
    uint64_t size, at;
    uint64_t count;
    uint8_t number[8]; /* as far as it has come */
} writing;

static rove_err take_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    instance *in = self;
    if (size < 8 + in->cell->daemon->filler)
        return rove_fail(ctx, "the state is cut off");
    writing *w = ROVEI_NEW(in->alloc, writing);
    if (!w)
        return ROVE_E_NOMEM;
    *w = (writing){.in = in, .size = size};
    *ret = w;
    return ROVE_OK;
}

static rove_err take_write(void *stream, rove_span bytes)
{
    writing *w = stream;
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++, w->at++) {
        uint64_t numbers = 8 + 8 * w->count;
        if (w->at >= numbers)
            continue;
        w->number[w->at % 8] = at[i];
        if (w->at == 7) {
            w->count = rovei_load64(w->number);
            if (w->count > w->size / 8)
                return ROVE_E_RESTORE_FAILED;
        } else if (w->at % 8 == 7) {
            rove_err err = keep_id(w->in, rovei_load64(w->number));
            if (err)
                return err;
        }
    }
    return ROVE_OK;
}

static rove_err take_close(void *stream, rove_ctx *ctx, bool complete)
{
    writing *w = stream;
    instance *in = w->in;
    bool fits = w->size == 8 + 8 * w->count + in->cell->daemon->filler;
    ROVEI_DELETE(in->alloc, w);
    return complete && !fits ? rove_fail(ctx, "the state has another size") : ROVE_OK;
}

#define LINE                                                                                       \
    .abi = ROVE_ABI, .size = sizeof(rove_kind), .name = SIM_KIND_NAME, .create = kind_create,      \
    .destroy = kind_destroy, .process = kind_process, .is_stateful = true
#define WHOLE .snapshot = kind_snapshot, .restore = kind_restore
#define STREAMED                                                                                   \
    .snapshot_open = stream_open, .snapshot_read = stream_read, .snapshot_close = stream_close,    \
    .restore_open = take_open, .restore_write = take_write, .restore_close = take_close

const rove_kind *sim_kind_draw(sim_world *w)
{
    static const rove_kind kinds[] = {{LINE, WHOLE}, {LINE, STREAMED}, {LINE, WHOLE, STREAMED}};
    if (w->guest) /* whose own forms are compared inside of each whole snapshot */
        return &kinds[0];
    return &kinds[sim_rng_below(&w->rng[SIM_FOR_CELLS], 3)];
}

sim_belief sim_cell_belief(const sim_cell *c)
{
    const instance *in = rovei_cell_instance(c->cell);
    return in->belief;
}
