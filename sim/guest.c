/* SPDX-License-Identifier: Apache-2.0
 *
 * The guest's instances, and the reference that they are compared with. */
#include "guest.h"
#include <base/alloc.h>
#include <crypto/crypto.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- events ---- */
static bool split(sim_guest *g, size_t size, char *ret_why, size_t why_size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += g->text[i] == '\n';
    g->lines = calloc(count + 1, sizeof *g->lines);
    if (!g->lines)
        abort();
    for (size_t from = 0; from < size;) {
        const char *end = memchr(g->text + from, '\n', size - from);
        size_t to = end ? (size_t)(end - g->text) : size;
        if (to - from > SIM_GUEST_LINE_MAX) {
            snprintf(ret_why, why_size, "line %zu is longer than %d bytes", g->line_count + 1,
                     SIM_GUEST_LINE_MAX);
            return false;
        }
        g->lines[g->line_count++] = (rove_span){g->text + from, to - from};
        from = to + 1;
    }
    if (!g->line_count)
        snprintf(ret_why, why_size, "it holds no event");
    return g->line_count > 0;
}

bool sim_guest_events(sim_guest *g, const char *path, char *ret_why, size_t size)
{
    static const char few[] = "one\ntwo\nthree\n\nthe same again\nthe same again\n";
    if (!path) {
        g->text = strdup(few);
        if (!g->text)
            abort();
        return split(g, sizeof few - 1, ret_why, size);
    }
    FILE *f = fopen(path, "rb");
    if (!f) {
        snprintf(ret_why, size, "%s", strerror(errno));
        return false;
    }
    size_t used = 0, room = 0;
    for (size_t got = 1; got; used += got) {
        if (room - used < 65536) {
            room = 2 * room + 65536;
            g->text = realloc(g->text, room);
            if (!g->text)
                abort();
        }
        got = fread(g->text + used, 1, room - used, f);
    }
    bool good = !ferror(f);
    if (!good)
        snprintf(ret_why, size, "%s", strerror(errno));
    fclose(f);
    return good && split(g, used, ret_why, size);
}

void sim_guest_fini(sim_guest *g)
{
    free(g->text);
    free(g->lines);
    *g = (sim_guest){0};
}

rove_span sim_guest_line(const sim_guest *g, uint64_t seed, uint64_t event)
{
    uint64_t key[2] = {seed, event};
    return g->lines[rovei_xxh3(key, sizeof key) % g->line_count];
}

/* ---- contexts that listen ---- */

/* What one call of the guest gave. `inner` hears it too; the reference has none. */
typedef struct listener {
    rove_ctx ctx;
    rove_ctx *inner;
    sim_world *world;
    sim_daemon *daemon;
    uint32_t outputs;
    uint64_t digest; /* over the outputs */
    uint8_t *bytes;  /* written */
    size_t used, room;
    char text[1024];  /* of rove_fail */
    rove_err refused; /* by the inner context: no fault of the guest */
} listener;

static rove_err hear_emit(rove_ctx *ctx, rove_span payload)
{
    listener *l = (listener *)ctx;
    rove_err err = l->inner ? rove_emit(l->inner, payload) : ROVE_OK;
    if (err)
        l->refused = err;
    l->outputs++;
    uint64_t h = rovei_xxh3(payload.size ? payload.data : "", payload.size);
    l->digest = sim_digest_add(l->digest, h ^ payload.size);
    return err;
}

static rove_err hear_write(rove_ctx *ctx, rove_span bytes)
{
    listener *l = (listener *)ctx;
    if (bytes.size > l->world->limits.state_max - l->used)
        return ROVE_E_TOO_LARGE;
    if (l->room - l->used < bytes.size) {
        l->room = 2 * l->room + bytes.size + 256;
        l->bytes = realloc(l->bytes, l->room);
        if (!l->bytes)
            abort();
    }
    if (bytes.size)
        memcpy(l->bytes + l->used, bytes.data, bytes.size);
    l->used += bytes.size;
    return ROVE_OK;
}

static rove_err hear_reserve(rove_ctx *ctx, uint64_t size)
{
    (void)ctx, (void)size;
    return ROVE_OK;
}

__attribute__((format(printf, 2, 0))) static void hear_refuse(rove_ctx *ctx, const char *format,
                                                              va_list args)
{
    listener *l = (listener *)ctx;
    vsnprintf(l->text, sizeof l->text, format, args);
}

static const rove_entity *hear_entity(rove_ctx *ctx)
{
    return &((listener *)ctx)->daemon->entity;
}

static rove_err hear_sign(rove_ctx *ctx, rove_span message, uint8_t ret_signature[64])
{
    listener *l = (listener *)ctx;
    struct rovei_env env = {
        .alloc = rovei_alloc_libc, .slab = l->world->slab, .limits = l->world->limits};
    rovei_keypair *key;
    if (rovei_keypair_from_seed(&key, &env, l->daemon->seed))
        abort();
    rove_err err = rovei_keypair_sign(key, message.data, message.size, ret_signature);
    rovei_keypair_unref(key);
    return err;
}

static const rove_ctx_ops hear = {hear_emit,   hear_write,  hear_reserve,
                                  hear_refuse, hear_entity, hear_sign};

static listener listener_of(sim_world *w, sim_daemon *d, rove_ctx *inner)
{
    return (listener){.ctx.ops = &hear, .inner = inner, .world = w, .daemon = d};
}

/* The guest's error, said on in the words that it chose. */
static rove_err pass_on(listener *l, rove_err err)
{
    if (err && l->inner && l->text[0])
        return rove_fail(l->inner, "%s", l->text);
    return err;
}

/* ---- states as bytes ---- */
static bool has_state(const rove_kind *kind)
{
    return kind->snapshot || kind->snapshot_open;
}

static rove_err write_whole(const rove_kind *kind, void *self, listener *l)
{
    return kind->snapshot(self, &l->ctx);
}

static rove_err write_pieces(const rove_kind *kind, void *self, listener *l)
{
    void *stream = NULL;
    uint64_t size = 0;
    rove_err err = kind->snapshot_open(self, &l->ctx, &size, &stream);
    if (err)
        return err;
    uint8_t room[61]; /* odd and small, so that every place of a state is an edge once */
    for (size_t got = 1; !err && got;) {
        got = 0;
        err = kind->snapshot_read(stream, room, sizeof room, &got);
        if (!err && got > sizeof room) {
            sim_fail(l->world, "GUEST: snapshot_read gives more than it was asked for");
            err = ROVE_E_SNAPSHOT_FAILED;
        }
        if (!err)
            err = hear_write(&l->ctx, (rove_span){room, got});
    }
    kind->snapshot_close(stream);
    if (!err && l->used != size) {
        sim_fail(l->world, "GUEST: snapshot_open says %" PRIu64 " bytes, and %zu are read", size,
                 l->used);
        err = ROVE_E_SNAPSHOT_FAILED;
    }
    return err;
}

/* The state of an instance, in each form that the kind has. */
static rove_err take_state(sim_world *w, sim_daemon *d, void *self, listener *ret)
{
    const rove_kind *kind = w->guest->kind;
    *ret = listener_of(w, d, NULL);
    rove_err err = kind->snapshot ? write_whole(kind, self, ret) : write_pieces(kind, self, ret);
    if (err)
        sim_fail(w, "GUEST: %s gives no snapshot: %s", d->name,
                 ret->text[0] ? ret->text : rove_err_name(err));
    if (err || !kind->snapshot || !kind->snapshot_open)
        return err;
    listener pieces = listener_of(w, d, NULL);
    err = write_pieces(kind, self, &pieces);
    if (err || pieces.used != ret->used ||
        (ret->used && memcmp(pieces.bytes, ret->bytes, ret->used) != 0))
        sim_fail(w, "GUEST: %s has two states: whole and streamed snapshot differ", d->name);
    free(pieces.bytes);
    return err;
}

static rove_err give_pieces(const rove_kind *kind, void *self, listener *l, rove_span state)
{
    void *stream = NULL;
    rove_err err = kind->restore_open(self, &l->ctx, state.size, &stream);
    if (err)
        return err;
    const uint8_t *at = state.data;
    for (size_t left = state.size; left && !err;) {
        size_t part = left < 53 ? left : 53;
        err = kind->restore_write(stream, (rove_span){at, part});
        at += part;
        left -= part;
    }
    rove_err ended = kind->restore_close(stream, &l->ctx, !err);
    return err ? err : ended;
}

/* ---- the reference ---- */
struct sim_reference {
    const rove_kind *kind;
    void *self;
    size_t applied; /* events of the line that it has seen */
    uint64_t cut;   /* of the daemon, when it was made */
};

void sim_guest_forget(sim_daemon *d)
{
    struct sim_reference *r = d->reference;
    if (r && r->self)
        r->kind->destroy(r->self);
    free(r);
    d->reference = NULL;
}

static rove_err reference_process(sim_world *w, sim_daemon *d, const sim_event *e, listener *ret)
{
    const rove_event event = {e->link, e->text, e->received_at};
    *ret = listener_of(w, d, NULL);
    d->reference->applied++;
    return w->guest->kind->process(d->reference->self, &ret->ctx, &event);
}

/* The reference, with the first `applied` events of the line. */
static bool reference_at(sim_world *w, sim_daemon *d, size_t applied)
{
    struct sim_reference *r = d->reference;
    if (r && r->cut == d->cut && r->applied == applied)
        return true;
    sim_guest_forget(d);
    d->reference = r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->kind = w->guest->kind;
    r->cut = d->cut;
    if (r->kind->create(&r->self, &rovei_alloc_libc, NULL)) {
        r->self = NULL;
        sim_fail(w, "GUEST: it cannot be created");
        return false;
    }
    for (size_t i = 0; i < applied; i++) {
        listener heard;
        (void)reference_process(w, d, sim_event_by_id(w, d->applied[i]), &heard);
    }
    return true;
}

/* ---- instances ---- */
rove_err sim_lodger_create(sim_lodger *l, sim_world *w, sim_daemon *d, const rove_alloc *alloc)
{
    *l = (sim_lodger){.world = w, .daemon = d};
    if (!w->guest)
        return ROVE_OK;
    return w->guest->kind->create(&l->self, alloc, NULL);
}

void sim_lodger_destroy(sim_lodger *l)
{
    if (l->world->guest)
        l->world->guest->kind->destroy(l->self);
}

rove_err sim_lodger_process(sim_lodger *l, rove_ctx *ctx, sim_event *e, const rove_event *event)
{
    sim_world *w = l->world;
    sim_daemon *d = l->daemon;
    e->link = event->link;
    e->received_at = event->received_at;
    if (w->failed || !reference_at(w, d, d->applied_count - 1))
        return ROVE_OK;
    listener wanted, got = listener_of(w, d, ctx);
    rove_err right = reference_process(w, d, e, &wanted);
    const rove_event own = {event->link, e->text, event->received_at};
    rove_err err = w->guest->kind->process(l->self, &got.ctx, &own);
    if (!got.refused &&
        (!err != !right || got.outputs != wanted.outputs || (!err && got.digest != wanted.digest)))
        sim_fail(w,
                 "GUEST: %s answers event %" PRIu64 " (\"%.*s\") with %u outputs (%s), and a copy "
                 "that never moved with %s%u (%s)",
                 d->name, e->id, e->text.size > 40 ? 40 : (int)e->text.size,
                 (const char *)e->text.data, got.outputs, rove_err_name(err),
                 got.outputs == wanted.outputs ? "other " : "", wanted.outputs,
                 rove_err_name(right));
    e->fails = err != ROVE_OK;
    return pass_on(&got, err);
}

rove_err sim_lodger_snapshot(sim_lodger *l, rove_ctx *ctx, uint64_t applied)
{
    sim_world *w = l->world;
    sim_daemon *d = l->daemon;
    if (!w->guest || !has_state(w->guest->kind))
        return ROVE_OK;
    listener own, right;
    rove_err err = take_state(w, d, l->self, &own);
    if (!err && applied == d->applied_count && reference_at(w, d, d->applied_count) &&
        !take_state(w, d, d->reference->self, &right)) {
        if (own.used != right.used || (own.used && memcmp(own.bytes, right.bytes, own.used) != 0))
            sim_fail(w,
                     "GUEST: the snapshot of %s has other bytes than that of a copy that never "
                     "moved and has applied the same %zu events",
                     d->name, d->applied_count);
        free(right.bytes);
    }
    if (!err)
        err = rove_write(ctx, (rove_span){own.bytes, own.used});
    free(own.bytes);
    return err;
}

rove_err sim_lodger_restore(sim_lodger *l, rove_ctx *ctx, rove_span state)
{
    sim_world *w = l->world;
    sim_daemon *d = l->daemon;
    if (!w->guest || !has_state(w->guest->kind))
        return state.size ? rove_fail(ctx, "the state has another size") : ROVE_OK;
    const rove_kind *kind = w->guest->kind;
    listener heard = listener_of(w, d, ctx);
    bool whole = kind->restore && (!kind->restore_open || w->steps % 2);
    rove_err err = ROVE_OK;
    if (whole)
        err = kind->restore(l->self, &heard.ctx, state);
    else if (kind->restore_open)
        err = give_pieces(kind, l->self, &heard, state);
    if (err) {
        sim_fail(w, "GUEST: %s does not take the state that it gave: %s", d->name,
                 heard.text[0] ? heard.text : rove_err_name(err));
        return pass_on(&heard, err);
    }
    listener again;
    if (!take_state(w, d, l->self, &again)) {
        if (again.used != state.size ||
            (state.size && memcmp(again.bytes, state.data, state.size) != 0))
            sim_fail(w, "GUEST: %s, just restored, gives another snapshot than it was given",
                     d->name);
        free(again.bytes);
    }
    return ROVE_OK;
}
