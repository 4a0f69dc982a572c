/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients and orders. */
#include "workload.h"
#include "bridge.h"
#include "cells.h"
#include "check.h"
#include "history.h"
#include "nemesis.h"
#include "publishing.h"
#include "stranger.h"
#include <base/check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MS ROVE_MILLISECOND

void sim_limits(sim_world *w)
{
    rove_limits *l = &w->limits;
    sim_rng *r = &w->rng[SIM_FOR_SHAPE];
    rove_limits_init(l);
    l->rekey_time = sim_rng_between(r, 1500, 6000) * MS;
    l->reject_time = l->rekey_time * 2;
    l->rekey_packets = sim_rng_chance(r, 3000) ? sim_rng_between(r, 64, 400) : l->rekey_packets;
    l->handshake_retry = 60 * MS;
    l->unconfirmed_life = 800 * MS;
    l->heartbeat = 250 * MS;
    l->suspect_after = 600 * MS;
    l->fail_after = 1500 * MS;
    l->lane_events = sim_rng_between(r, 1, 24);
    l->lane_bytes = sim_rng_between(r, 64, 16384);
    l->lanes_per_sender = sim_rng_between(r, 3, 16);
    l->lanes_per_daemon = sim_rng_between(r, 6, 64);
    l->send_giveup = sim_rng_between(r, 3000, 8000) * MS;
    l->lane_expiry = l->send_giveup + 2 * l->reject_time + sim_rng_between(r, 100, 9000) * MS;
    l->record_life = sim_rng_between(r, 8000, 60000) * MS; /* above the skew of the clocks */
    l->locate_wait = 300 * MS;
    l->locate_backoff = 2000 * MS;
    l->move_stall = sim_rng_between(r, 1600, 3500) * MS;
    l->move_repeat = sim_rng_between(r, 60, 250) * MS;
    l->divert_events = sim_rng_chance(r, 2000) ? sim_rng_between(r, 2, 20) : l->divert_events;
    l->outcome_life = sim_rng_between(r, 1000, 20000) * MS;
    l->retry_not_ready = 2000 * MS;
    l->net_heartbeat = 250 * MS;
    l->net_suspect = 600 * MS;
    l->net_fail = 1500 * MS;
    l->net_retry = 60 * MS;
    l->net_move_stall = l->move_stall;
    l->net_reassembly_age = 5 * ROVE_SECOND;
    l->mailbox_bytes = sim_rng_chance(r, 2000) ? sim_rng_between(r, 4096, 30000) : l->mailbox_bytes;
    l->state_whole = sim_rng_between(r, 0, 3000);
    l->handshake_load = sim_rng_between(r, 4, 40);
    l->handshake_source = sim_rng_between(r, 2, 20);
    l->cookie_life = sim_rng_between(r, 1000, 20000) * MS;
    w->tight = !w->scripted && sim_rng_chance(r, 1500);
    /* A guest may answer with more. */
    l->outputs_max = sim_rng_chance(r, 2000) && !w->guest ? 4096 : l->outputs_max;
    if (w->scripted) {
        l->rekey_time = 20 * ROVE_SECOND;
        l->reject_time = 40 * ROVE_SECOND;
        l->lane_events = 32;
        l->lane_bytes = 65536;
        l->lanes_per_sender = 16;
        l->rekey_packets = UINT64_C(1) << 48;
        l->divert_events = 1000;
        l->mailbox_bytes = UINT64_C(1) << 20;
        l->outputs_max = UINT64_C(1) << 20;
        l->lanes_per_daemon = 64;
        l->send_giveup = 8 * ROVE_SECOND;
        l->lane_expiry = l->send_giveup + 2 * l->reject_time + ROVE_SECOND;
        l->record_life = 3600 * ROVE_SECOND;
        l->move_stall = 3 * ROVE_SECOND;
        l->move_repeat = 100 * MS;
    }
    sim_publishing_limits(w);
    const char *misfit = NULL;
    if (rove_limits_check(l, &misfit, NULL))
        sim_fail(w, "the limit %s does not fit", misfit);
}

void sim_limits_of_node(sim_node *n)
{
    sim_rng r = sim_rng_of(n->world->seed, 1000 + n->index);
    rove_limits *l = &n->env.limits;
    if (sim_rng_chance(&r, 4000))
        l->event_max = sim_rng_between(&r, 64, 4000);
    if (sim_rng_chance(&r, 3000))
        l->state_max = sim_rng_between(&r, 1024, 20000);
    if (sim_rng_chance(&r, 3000))
        l->horizon_origins = sim_rng_between(&r, 1, 3);
    if (sim_rng_chance(&r, 3000))
        l->lanes_per_daemon = sim_rng_between(&r, 2, 6);
}

/* ---- clients ---- */
sim_client *sim_client_open(sim_node *n, sim_daemon *d)
{
    sim_world *w = n->world;
    uint64_t sender;
    rove_err err = rovei_node_sender_open(n->core, sim_now(n), &d->entity, &sender);
    if (err) {
        sim_say(w, n->name, "cannot open a sender to %s: %s", d->name, rove_err_name(err));
        return NULL;
    }
    sim_client *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->node = n;
    c->life = n->life;
    c->sender = sender;
    c->daemon = d;
    c->source = ++w->next_client;
    snprintf(c->name, sizeof c->name, "s%u%s", w->next_client % 100000, n->name);
    c->next = w->clients;
    w->clients = c;
    sim_say(w, n->name, "opens %s to %s", c->name, d->name);
    return c;
}

rove_err sim_client_send(sim_client *c, sim_event **ret)
{
    sim_world *w = c->node->world;
    sim_event *e = sim_event_new(w, c->daemon, c->source, c->count + 1, false);
    rove_buf *payload = rovei_buf_alloc(&w->alloc, sim_event_size(e));
    if (!payload)
        abort();
    sim_event_payload(e, rovei_buf_data(payload));
    uint64_t number = 0;
    rove_err err =
        rovei_node_sender_send(c->node->core, sim_now(c->node), c->sender, payload, &number);
    rove_buf_unref(payload);
    if (err) {
        c->wants_room = c->wants_room || err == ROVE_E_WINDOW;
        if (err != ROVE_E_WINDOW)
            sim_say(w, c->name, "cannot send: %s", rove_err_name(err));
        w->event_count--;
        free(e);
        return err;
    }
    if (number != e->number)
        sim_fail(w, "%s: event %" PRIu64 " got the number %" PRIu64, c->name, e->number, number);
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 16;
        c->events = realloc(c->events, c->room * sizeof(sim_event *));
        if (!c->events)
            abort();
    }
    c->events[c->count++] = e;
    w->totals.events_sent++;
    sim_say(w, c->name, "sends event %" PRIu64 " (its %" PRIu64 "th) to %s", e->id, number,
            c->daemon->name);
    sim_history_invoke(w, c->name, e);
    if (ret)
        *ret = e;
    return ROVE_OK;
}

void sim_client_close(sim_client *c, bool drop)
{
    sim_say(c->node->world, c->name, "closes%s", drop ? ", giving up what is open" : "");
    c->closed = true;
    c->dropped = drop;
    rovei_node_sender_close(c->node->core, sim_now(c->node), c->sender, drop);
}

static sim_client *client_of(sim_node *n, uint64_t sender)
{
    for (sim_client *c = n->world->clients; c; c = c->next)
        if (c->node == n && c->life == n->life && c->sender == sender && !c->dead)
            return c;
    return NULL;
}

static void orphan(sim_client *c)
{
    c->dead = true;
    for (size_t i = 0; i < c->count; i++)
        if (c->events[i]->fate == SIM_FATE_OPEN)
            sim_truth_fate(c->node->world, c->name, c->events[i], SIM_FATE_ORPHANED, ROVE_OK,
                           (rove_span){0}, 0);
}

void sim_clients_node_gone(sim_node *n)
{
    for (sim_client *c = n->world->clients; c; c = c->next)
        if (c->node == n && c->life == n->life && !c->dead)
            orphan(c);
}

bool sim_clients_rest(sim_world *w)
{
    for (sim_client *c = w->clients; c; c = c->next)
        for (size_t i = c->count; !c->dead && i-- > 0;)
            if (c->events[i]->fate == SIM_FATE_OPEN)
                return false;
    return true;
}

void sim_clients_close_all(sim_world *w)
{
    for (sim_client *c = w->clients; c; c = c->next)
        if (!c->dead && !c->closed) {
            sim_client_close(c, false);
            sim_pump(c->node);
        }
}

bool sim_clients_ended(sim_world *w)
{
    for (sim_client *c = w->clients; c; c = c->next)
        if (!c->dead && !c->ended && !c->dropped)
            return false;
    return true;
}

void sim_clients_free(sim_world *w)
{
    while (w->clients) {
        sim_client *c = w->clients;
        w->clients = c->next;
        free(c->events);
        free(c);
    }
}

/* ---- notes ---- */
static sim_event *event_of(sim_client *c, uint64_t number)
{
    if (number && number <= c->count)
        return c->events[number - 1];
    sim_fail(c->node->world, "%s hears of event number %" PRIu64 " and has sent %zu", c->name,
             number, c->count);
    return NULL;
}

static void client_note(sim_client *c, const rovei_note *note)
{
    sim_world *w = c->node->world;
    sim_event *e;
    switch (note->kind) {
    case ROVEI_NOTE_APPLIED:
        for (uint64_t n = note->number; n <= note->value && (e = event_of(c, n)); n++)
            sim_truth_fate(w, c->name, e, SIM_FATE_APPLIED, note->err, note->outputs,
                           note->output_count);
        break;
    case ROVEI_NOTE_REFUSED:
        e = event_of(c, note->number);
        if (e)
            sim_truth_fate(w, c->name, e, SIM_FATE_REFUSED, note->err, (rove_span){0}, 0);
        break;
    case ROVEI_NOTE_UNKNOWN:
        e = event_of(c, note->number);
        if (e)
            sim_truth_fate(w, c->name, e, SIM_FATE_UNKNOWN, note->err, (rove_span){0}, 0);
        break;
    case ROVEI_NOTE_LOST:
        for (uint64_t n = note->number; n <= note->value; n++)
            if ((e = event_of(c, n)))
                sim_truth_fate(w, c->name, e, SIM_FATE_LOST, note->err, (rove_span){0}, 0);
        break;
    case ROVEI_NOTE_ROOM:
        c->wants_room = false;
        break;
    case ROVEI_NOTE_UNREACHABLE:
    case ROVEI_NOTE_REACHED:
        sim_say(w, c->name, "%s %s", c->daemon->name,
                note->kind == ROVEI_NOTE_REACHED ? "is reached again" : "cannot be reached");
        c->unreachable = note->kind == ROVEI_NOTE_UNREACHABLE;
        break;
    case ROVEI_NOTE_SENDER_ENDED:
        sim_say(w, c->name, "has ended");
        c->ended = true;
        for (size_t i = 0; i < c->count; i++)
            if (c->events[i]->fate == SIM_FATE_OPEN)
                sim_fail(w, "%s ends and event %" PRIu64 " has no outcome", c->name,
                         c->events[i]->id);
        break;
    case ROVEI_NOTE_SPAWNED:
    case ROVEI_NOTE_MOVE:
    case ROVEI_NOTE_MOVE_ENDED:
    case ROVEI_NOTE_PEER:
    case ROVEI_NOTE_HANDSHAKE_TIME:
    case ROVEI_NOTE_FORCED:
    case ROVEI_NOTE_ASIDE:
    case ROVEI_NOTE_CHANNEL_ROOM:
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
    case ROVEI_NOTE_SPAWNED_THERE:
        break;
    }
}

static const char *const phase_words[] = {"nothing", "Snapshot", "Transfer", "Restore",
                                          "Replay",  "Cutover",  "Complete"};
static const char *const outcome_words[] = {"runs", "completed", "failed", "cancelled",
                                            "timed out"};

/* Whoever has no part in a move has no say in it. */
static void believed(sim_node *n, const rovei_attempt_id *id)
{
    rovei_move_info info;
    static const char words[] = SIM_STRANGER_WORDS;
    if (!rovei_node_move_get(n->core, id, &info) && info.text.size >= sizeof words - 1 &&
        !memcmp(info.text.data, words, sizeof words - 1))
        sim_fail(n->world, "FORGED: a move of %s has failed because a stranger said so", n->name);
}

static void move_ended(sim_node *n, const rovei_note *note)
{
    sim_world *w = n->world;
    sim_attempt *a = sim_attempt_find(w, &note->attempt);
    sim_say(w, n->name, "move %02x%02x: %s%s%s", note->attempt.bytes[0], note->attempt.bytes[1],
            outcome_words[note->outcome], note->err ? ": " : "",
            note->err ? rove_err_name(note->err) : "");
    if (!a || a->source != n || a->source_life != n->life)
        return;
    if (a->outcome)
        sim_fail(w, "a move ends twice");
    a->outcome = note->outcome;
    a->reason = note->err;
    bool across = sim_bridge_between(a->source, a->target);
    w->totals.net_completed += across && note->outcome == ROVEI_OUTCOME_COMPLETED;
    w->totals.net_aborted += across && note->outcome == ROVEI_OUTCOME_FAILED;
    if (across)
        believed(n, &note->attempt);
    switch (note->outcome) {
    case ROVEI_OUTCOME_COMPLETED:
        w->totals.moves_completed++;
        break;
    case ROVEI_OUTCOME_CANCELLED:
        w->totals.moves_cancelled++;
        break;
    case ROVEI_OUTCOME_FAILED:
    case ROVEI_OUTCOME_TIMED_OUT:
        if (note->err == ROVE_E_REFUSED || note->err == ROVE_E_TARGET_NO_FACTORY ||
            note->err == ROVE_E_NOT_READY_TIMEOUT || note->err == ROVE_E_TARGET_NOT_READY)
            w->totals.moves_refused++;
        else
            w->totals.moves_aborted++;
        break;
    case ROVEI_OUTCOME_RUNNING:
        sim_fail(w, "a move ends as running");
        break;
    }
}

void sim_work_note(sim_node *n, const rovei_note *note)
{
    sim_client *c;
    sim_attempt *attempt;
    switch (note->kind) {
    case ROVEI_NOTE_SPAWNED:
        for (sim_cell *cell = n->cells; cell; cell = cell->next)
            if (cell->id == note->request) {
                sim_cell_spawned(cell, note->err);
                break;
            }
        break;
    case ROVEI_NOTE_MOVE:
        sim_say(n->world, n->name, "move %02x%02x: %s", note->attempt.bytes[0],
                note->attempt.bytes[1], phase_words[note->phase]);
        attempt = sim_attempt_find(n->world, &note->attempt);
        if (attempt && note->phase >= ROVEI_PHASE_CUTOVER)
            attempt->committed = true;
        if (attempt && !n->world->scripted && !n->world->calm)
            sim_nemesis_phase(n->world, attempt->source, attempt->target);
        break;
    case ROVEI_NOTE_MOVE_ENDED:
        move_ended(n, note);
        break;
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
        sim_publishing_note(n, note);
        break;
    case ROVEI_NOTE_FORCED:
        if (!n->world->forced && !sim_bridged(n->world))
            sim_fail(n->world, "%s hears of a forced epoch that nobody took", n->name);
        sim_say(n->world, n->name, "hears of a forced epoch");
        break;
    case ROVEI_NOTE_ASIDE:
        sim_say(n->world, n->name, "has a copy aside");
        break;
    case ROVEI_NOTE_APPLIED:
    case ROVEI_NOTE_REFUSED:
    case ROVEI_NOTE_UNKNOWN:
    case ROVEI_NOTE_LOST:
    case ROVEI_NOTE_ROOM:
    case ROVEI_NOTE_UNREACHABLE:
    case ROVEI_NOTE_REACHED:
    case ROVEI_NOTE_SENDER_ENDED:
        c = client_of(n, note->sender);
        if (c)
            client_note(c, note);
        break;
    case ROVEI_NOTE_PEER:
    case ROVEI_NOTE_HANDSHAKE_TIME:
    case ROVEI_NOTE_CHANNEL_ROOM:
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
    case ROVEI_NOTE_SPAWNED_THERE:
        break;
    }
}

/* ---- deeds ---- */
bool sim_deliver(sim_node *n, sim_daemon *d, sim_event **ret)
{
    sim_cell *c = sim_cell_find(n, d);
    if (!c || c->spawning)
        return false;
    sim_world *w = n->world;
    uint64_t source = UINT64_C(1000000) + (uint64_t)n->index * 1000 + d->index * 100 + n->life;
    uint64_t number = 1;
    for (size_t i = w->event_count; i-- > 0;)
        if (w->events[i]->source == source) {
            number = w->events[i]->number + 1;
            break;
        }
    sim_event *e = sim_event_new(w, d, source, number, true);
    w->totals.local_delivers++;
    sim_say(w, n->name, "delivers event %" PRIu64 " to %s", e->id, d->name);
    sim_history_invoke(w, n->name, e);
    sim_cell_deliver(c, e);
    if (ret)
        *ret = e;
    return true;
}

rove_err sim_move(sim_node *from, sim_daemon *d, sim_node *to, rovei_attempt_id *ret)
{
    sim_world *w = from->world;
    rovei_move_order o = {.daemon = d->entity, .target = sim_bridge_entity(from, to)};
    if (!w->scripted) {
        o.retry_not_ready = sim_rng_chance(&w->rng[SIM_FOR_WORK], 5000) ? 0 : 1500 * MS;
        o.keep_identity = sim_rng_chance(&w->rng[SIM_FOR_WORK], 500);
    }
    rovei_attempt_id id;
    rove_err err = rovei_node_move(from->core, sim_now(from), &o, &id);
    if (err) {
        sim_say(w, from->name, "cannot move %s to %s: %s", d->name, to->name, rove_err_name(err));
        return err;
    }
    sim_say(w, from->name, "begins to move %s to %s (%02x%02x)", d->name, to->name, id.bytes[0],
            id.bytes[1]);
    sim_attempt_add(w, &(sim_attempt){.id = id,
                                      .daemon = d,
                                      .source = from,
                                      .target = to,
                                      .source_life = from->life,
                                      .target_life = to->life});
    if (ret)
        *ret = id;
    return ROVE_OK;
}
