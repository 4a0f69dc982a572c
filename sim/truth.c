/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of what really happened. */
#include "truth.h"
#include "check.h"
#include "guest.h"
#include "history.h"
#include "publishing.h"
#include <crypto/crypto.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 64;
    items = realloc(items, *room * size);
    if (!items)
        abort();
    return items;
}

uint64_t sim_digest_add(uint64_t digest, uint64_t id)
{
    return (digest ^ id) * UINT64_C(0x9e3779b97f4a7c15) + (digest >> 17);
}

sim_daemon *sim_daemon_new(sim_world *w)
{
    if (w->daemon_count == SIM_DAEMONS_MAX)
        return NULL;
    sim_daemon *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->index = w->daemon_count;
    snprintf(d->name, sizeof d->name, "d%u", d->index + 1);
    sim_rng *r = &w->rng[SIM_FOR_KEYS];
    for (size_t i = 0; i < sizeof d->seed; i++)
        d->seed[i] = (uint8_t)sim_rng_u64(r);
    struct rovei_env env = {.alloc = w->alloc, .slab = w->slab, .limits = w->limits};
    rovei_keypair *k;
    if (rovei_keypair_from_seed(&k, &env, d->seed))
        abort();
    d->entity = *rovei_keypair_entity(k);
    d->origin = rovei_keypair_origin(k);
    rovei_keypair_unref(k);
    if (!w->scripted && sim_rng_chance(r, 4000) && !w->guest)
        d->filler = (size_t)sim_rng_below(r, sim_rng_chance(r, 500) ? 2500000 : 40000);
    w->daemons[w->daemon_count++] = d;
    return d;
}

sim_daemon *sim_daemon_of(sim_world *w, const rove_entity *entity)
{
    for (unsigned i = 0; i < w->daemon_count; i++)
        if (rovei_entity_equal(&w->daemons[i]->entity, entity))
            return w->daemons[i];
    return NULL;
}

sim_event *sim_event_new(sim_world *w, sim_daemon *d, uint64_t source, uint64_t number, bool local)
{
    w->events = grow(w->events, w->event_count, &w->event_room, sizeof *w->events);
    sim_event *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    *e = (sim_event){
        .id = w->event_count + 1, .source = source, .number = number, .daemon = d, .local = local};
    if (w->guest)
        e->text = sim_guest_line(w->guest, w->seed, e->id);
    else
        e->fails = e->id % 23 == 0;
    w->events[w->event_count++] = e;
    return e;
}

sim_event *sim_event_by_id(sim_world *w, uint64_t id)
{
    return id && id <= w->event_count ? w->events[id - 1] : NULL;
}

/* Most are small; some fill a packet, a few need several. */
size_t sim_event_size(const sim_event *e)
{
    if (e->text.data)
        return 8 + e->text.size;
    uint64_t h = e->id * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = 8 + (size_t)(h >> 58);
    if (h % 13 == 0)
        size += 1100 + (size_t)((h >> 20) % 300);
    if (h % 97 == 0)
        size += 6000;
    return size;
}

void sim_event_payload(const sim_event *e, uint8_t *ret)
{
    size_t size = sim_event_size(e);
    if (e->text.size)
        memcpy(ret + 8, e->text.data, e->text.size);
    else
        memset(ret, (int)(e->id & 0xff), size);
    rovei_store64(ret, e->id);
}

void sim_truth_continue(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                        uint64_t id)
{
    if (d->stopped)
        sim_fail(w, "%s applies event %" PRIu64 " to %s after it was stopped", where->name, id,
                 d->name);
    if (b->count != d->applied_count || b->digest != d->digest)
        sim_fail(w,
                 "TWO LINES: %s applies event %" PRIu64 " to a copy of %s with %" PRIu64
                 " events; the line has %zu",
                 where->name, id, d->name, b->count, d->applied_count);
    size_t room = d->applied_room;
    d->applied = grow(d->applied, d->applied_count, &d->applied_room, sizeof *d->applied);
    if (room != d->applied_room) {
        d->outputs_then = realloc(d->outputs_then, d->applied_room * sizeof *d->outputs_then);
        if (!d->outputs_then)
            abort();
    }
    d->applied[d->applied_count++] = id;
    d->outputs_then[d->applied_count - 1] = (uint32_t)d->output_count;
    d->digest = sim_digest_add(d->digest, id);
}

void sim_truth_apply(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                     const sim_event *e)
{
    sim_event *ev = sim_event_by_id(w, e->id);
    if (ev->in_line)
        sim_fail(w, "EVENT TWICE: %s applies event %" PRIu64 " to %s again", where->name, e->id,
                 d->name);
    if (ev->fate == SIM_FATE_REFUSED)
        sim_fail(w, "REFUSED AND APPLIED: event %" PRIu64 " of %s at %s", e->id, d->name,
                 where->name);
    if (ev->fate == SIM_FATE_LOST)
        sim_fail(w, "LOST AND APPLIED: event %" PRIu64 " of %s at %s", e->id, d->name, where->name);
    for (size_t i = d->applied_count; i-- > 0;) {
        const sim_event *o = sim_event_by_id(w, d->applied[i]);
        if (!o || o->source != ev->source)
            continue;
        if (o->number > ev->number)
            sim_fail(w,
                     "ORDER: %s applies event %" PRIu64 " (number %" PRIu64 " of its sender) after "
                     "number %" PRIu64,
                     where->name, e->id, ev->number, o->number);
        break;
    }
    sim_truth_continue(w, where, d, b, ev->id);
    ev->in_line = true;
    ev->applied++;
    w->totals.events_applied++;
    sim_say(w, where->name, "%s applies event %" PRIu64 " (the %zuth)", d->name, ev->id,
            d->applied_count);
    sim_history_applied(w, where, d, ev);
}

static uint64_t digest_of(rove_span framed, uint32_t count)
{
    return rovei_xxh3(framed.size ? framed.data : "", framed.size) ^ count;
}

void sim_truth_outputs(sim_world *w, sim_daemon *d, sim_event *e, rove_span framed, uint32_t count)
{
    rovei_reader r = rovei_reader_of(framed);
    rove_link link;
    rove_span payload;
    uint32_t found = 0;
    while (rovei_event_frame_read(&r, &link, &payload)) {
        const sim_output *prev = d->output_count ? &d->outputs[d->output_count - 1] : NULL;
        uint64_t sequence = prev ? prev->link.sequence + 1 : 1;
        if (link.origin != d->origin || link.sequence != sequence ||
            (prev && link.parent != prev->forward))
            sim_fail(w,
                     "CHAIN: output %" PRIu64 " of %s does not follow %" PRIu64 " (event %" PRIu64
                     ")",
                     link.sequence, d->name, sequence - 1, e->id);
        d->outputs = grow(d->outputs, d->output_count, &d->output_room, sizeof *d->outputs);
        d->outputs[d->output_count++] =
            (sim_output){e->id, link, rovei_link_forward(&link, payload)};
        sim_history_output(w, d, e, &link, payload);
        found++;
    }
    if (found != count || rovei_reader_left(&r))
        sim_fail(w, "outputs of event %" PRIu64 " are framed wrongly", e->id);
    if (e->answers < SIM_ANSWERS)
        e->answer[e->answers++] = digest_of(framed, count);
}

/* The line goes back to its first `keep` events. */
static void cut_line(sim_world *w, sim_daemon *d, size_t keep)
{
    for (size_t i = keep; i < d->applied_count; i++) {
        sim_event *e = sim_event_by_id(w, d->applied[i]);
        if (e) /* not a publication */
            e->in_line = false;
    }
    d->output_count = d->outputs_then[keep];
    d->applied_count = keep;
    d->digest = 0;
    for (size_t i = 0; i < keep; i++)
        d->digest = sim_digest_add(d->digest, d->applied[i]);
    d->cut++;
    sim_publishing_cut(d, keep);
    w->totals.restarts_marked++;
}

void sim_truth_serve(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                     uint64_t sinc)
{
    if (b->count > d->applied_count) {
        sim_fail(w, "%s serves %s with %" PRIu64 " events; only %zu were applied", where->name,
                 d->name, b->count, d->applied_count);
        return;
    }
    uint64_t digest = 0;
    for (size_t i = 0; i < b->count; i++)
        digest = sim_digest_add(digest, d->applied[i]);
    if (digest != b->digest)
        sim_fail(w, "%s serves %s with a state that never was", where->name, d->name);
    if (sinc < d->sinc)
        sim_fail(w, "%s serves %s under state incarnation %" PRIu64 " after %" PRIu64, where->name,
                 d->name, sinc, d->sinc);
    if (b->count < d->applied_count) {
        if (sinc == d->sinc)
            sim_fail(w,
                     "UNMARKED RESTART: %s serves %s with %" PRIu64 " events of %zu, state "
                     "incarnation still %" PRIu64,
                     where->name, d->name, b->count, d->applied_count, sinc);
        if (!d->crashed)
            sim_fail(w, "%s serves an older state of %s and nobody crashed", where->name, d->name);
        sim_say(w, where->name, "%s goes back from %zu to %" PRIu64 " events (a marked restart)",
                d->name, d->applied_count, b->count);
        sim_history_restart(w, where, d, b->count);
        cut_line(w, d, (size_t)b->count);
    }
    d->sinc = sinc;
}

void sim_truth_hop(sim_daemon *d, uint64_t forward)
{
    if (d->output_count)
        d->outputs[d->output_count - 1].forward = forward;
    d->hopped = true;
    d->sinc = 0;
}

static const char *const fate_words[] = {"open",    "applied", "refused",
                                         "unknown", "lost",    "orphaned"};

void sim_truth_fate(sim_world *w, const char *who, sim_event *e, sim_fate fate, rove_err err,
                    rove_span framed, uint32_t count)
{
    bool follows = fate == SIM_FATE_LOST ? e->fate == SIM_FATE_APPLIED : e->fate == SIM_FATE_OPEN;
    if (!follows)
        sim_fail(w, "event %" PRIu64 " is reported %s to %s after %s", e->id, fate_words[fate], who,
                 fate_words[e->fate]);
    if (fate != SIM_FATE_ORPHANED)
        sim_say(w, who, "event %" PRIu64 " is %s%s%s", e->id, fate_words[fate], err ? ": " : "",
                err ? rove_err_name(err) : "");
    if (fate == SIM_FATE_REFUSED && e->applied)
        sim_fail(w, "APPLIED AND REFUSED: event %" PRIu64 " of %s", e->id, e->daemon->name);
    /* Who was away while its lane ended in class net meets a state that does not know the lane. */
    if (fate == SIM_FATE_LOST && e->in_line && !e->daemon->hopped)
        sim_fail(w, "event %" PRIu64 " is reported lost and is in the state of %s", e->id,
                 e->daemon->name);
    if (fate == SIM_FATE_APPLIED && !e->applied && !e->outside)
        sim_fail(w, "ACKNOWLEDGED, NOT APPLIED: event %" PRIu64 " of %s", e->id, e->daemon->name);
    if (fate == SIM_FATE_APPLIED && !w->failed) {
        uint64_t digest = digest_of(framed, count);
        bool known = false;
        for (unsigned i = 0; i < e->answers && i < SIM_ANSWERS; i++)
            known = known || e->answer[i] == digest;
        if (!known && e->answers < SIM_ANSWERS)
            sim_fail(w, "event %" PRIu64 " comes back with outputs that it never had", e->id);
        if (err == ROVE_E_HORIZON_FULL ? !e->outside : (err != ROVE_OK) != e->fails)
            sim_fail(w, "event %" PRIu64 " comes back with %s", e->id, rove_err_name(err));
    }
    e->fate = fate;
    sim_history_fate(w, who, e, fate_words[fate], err);
    w->totals.events_refused += fate == SIM_FATE_REFUSED;
    w->totals.events_unknown += fate == SIM_FATE_UNKNOWN;
    w->totals.events_lost += fate == SIM_FATE_LOST;
}

void sim_truth_free(sim_world *w)
{
    for (unsigned i = 0; i < w->daemon_count; i++) {
        sim_daemon *d = w->daemons[i];
        sim_guest_forget(d);
        free(d->applied);
        free(d->outputs_then);
        free(d->outputs);
        free(d);
    }
    w->daemon_count = 0;
    for (size_t i = 0; i < w->event_count; i++)
        free(w->events[i]);
    free(w->events);
    w->events = NULL;
    w->event_count = 0;
}
