/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold when the faults are over: everything comes to rest, every daemon has its place,
 * and nobody was told what is not so. */
#include "bridge.h"
#include "cells.h"
#include "check.h"
#include "publishing.h"
#include "workload.h"
#include <inttypes.h>
#include <node/core.h>

typedef enum place {
    PLACE_UNSETTLED,
    PLACE_SERVED,
    PLACE_OPERATOR, /* a copy whose other side is gone or forgot: an operator's word is needed */
    PLACE_GONE,     /* no copy is left, or it was stopped */
} place;

/* An attempt whose counterpart cannot play its part any more. */
static bool excused(sim_world *w, const sim_node *n, const sim_daemon *d)
{
    rovei_daemon_info info;
    if (rovei_node_daemon_get(n->core, &d->entity, &info) || !info.in_move)
        return false;
    const sim_attempt *a = sim_attempt_find(w, &info.attempt);
    if (!a) /* a target in class net knows only its own number of the move */
        a = sim_attempt_towards(w, d, n);
    if (!a)
        return false;
    bool forgets = sim_bridge_between(a->source, a->target) && a->target->life != a->target_life;
    if (info.state == ROVEI_DAEMON_COMMITTED)
        return a->target->gone || a->vetoed || forgets;
    return a->source->life != a->source_life || a->source->gone;
}

static place place_of(sim_world *w, const sim_daemon *d)
{
    unsigned serving = 0, waiting = 0, hopeless = 0;
    for (unsigned i = 0; i < w->node_count; i++) {
        const sim_node *n = &w->nodes[i];
        const rovei_daemon *r = n->up ? rovei_daemon_find(n->core, &d->entity) : NULL;
        if (!r)
            continue;
        switch (r->role) {
        case ROVEI_ROLE_SERVING:
            serving++;
            if (r->target) { /* not closed yet */
                rovei_daemon_info info;
                if (!rovei_node_daemon_get(n->core, &d->entity, &info) && info.in_move) {
                    const sim_attempt *a = sim_attempt_find(w, &info.attempt);
                    waiting += a && !a->source->gone;
                } else {
                    waiting++;
                }
            }
            break;
        case ROVEI_ROLE_PREPARED:
        case ROVEI_ROLE_COMMITTED:
            if (excused(w, n, d))
                hopeless++;
            else
                waiting++;
            break;
        case ROVEI_ROLE_CLAIMING:
        case ROVEI_ROLE_FREEZING:
        case ROVEI_ROLE_FROZEN:
        case ROVEI_ROLE_COMMITTING:
        case ROVEI_ROLE_RECEIVING:
        case ROVEI_ROLE_RESTORING:
        case ROVEI_ROLE_ACTIVATING:
            waiting++;
            break;
        case ROVEI_ROLE_ASIDE:
            /* A hop in class net takes a forced epoch. Who had committed, and hears of that before
             * the target's word, cannot tell it from an operator's. */
            if (sim_bridged(w))
                hopeless++;
            else
                waiting++;
            break;
        }
    }
    if (waiting || serving > 1)
        return PLACE_UNSETTLED;
    if (serving)
        return PLACE_SERVED;
    return hopeless ? PLACE_OPERATOR : PLACE_GONE;
}

static bool moves_rest(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++) {
        sim_node *n = &w->nodes[i];
        if (!n->up)
            continue;
        size_t it = 0;
        rovei_move_info info;
        while (rovei_node_move_next(n->core, &it, &info)) {
            sim_daemon *d = sim_daemon_of(w, &info.daemon);
            if (info.applied_frozen)
                sim_fail(w, "%s has applied %" PRIu64 " events to a frozen daemon", n->name,
                         info.applied_frozen);
            if (info.outcome == ROVEI_OUTCOME_RUNNING && info.local_source && d &&
                place_of(w, d) != PLACE_OPERATOR)
                return false;
        }
    }
    return true;
}

static bool local_open(const sim_event *e)
{
    return e->local && e->fate == SIM_FATE_OPEN;
}

static bool cells_rest(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (sim_cell *c = w->nodes[i].cells; c; c = c->next)
            if (c->first || c->busy)
                return false;
    for (size_t i = 0; i < w->event_count; i++)
        if (local_open(w->events[i]) && place_of(w, w->events[i]->daemon) != PLACE_OPERATOR)
            return false;
    return true;
}

/* Whoever dials somebody has a session with him. */
static bool sessions_rest(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++) {
            const sim_node *a = &w->nodes[i], *b = &w->nodes[j];
            rovei_peer_info info;
            if (sim_node_dials(a, b) && a->up && b->up &&
                (rovei_mesh_peer(rovei_node_mesh(a->core), &b->entity, &info) ||
                 info.state != ROVEI_PEER_UP))
                return false;
        }
    return !sim_bridged(w) || sim_bridge_rest(w);
}

bool sim_check_rest(sim_world *w)
{
    if (!sessions_rest(w) || !sim_clients_rest(w) || !cells_rest(w) || !moves_rest(w) ||
        !sim_publishing_rest(w))
        return false;
    for (unsigned i = 0; i < w->daemon_count; i++)
        if (place_of(w, w->daemons[i]) == PLACE_UNSETTLED)
            return false;
    return true;
}

static const char *const role_words[] = {"claiming",   "serving",    "freezing",  "frozen",
                                         "committing", "committed",  "receiving", "restoring",
                                         "prepared",   "activating", "aside"};

void sim_check_unrest(sim_world *w)
{
    sim_publishing_unrest(w);
    for (unsigned i = 0; i < w->daemon_count; i++) {
        sim_daemon *d = w->daemons[i];
        for (unsigned k = 0; k < w->node_count; k++) {
            sim_node *n = &w->nodes[k];
            const rovei_daemon *r = n->up ? rovei_daemon_find(n->core, &d->entity) : NULL;
            if (r)
                sim_say(w, n->name, "%s: %s, epoch %" PRIu64 "%s%s%s", d->name, role_words[r->role],
                        r->epoch, r->target ? ", not closed" : "", r->note ? ", " : "",
                        r->note ? r->note : "");
        }
    }
    for (sim_client *c = w->clients; c; c = c->next) {
        size_t open = 0;
        for (size_t i = 0; i < c->count && !c->dead; i++)
            open += c->events[i]->fate == SIM_FATE_OPEN;
        if (open)
            sim_say(w, c->name, "waits for %zu outcomes of %s", open, c->daemon->name);
    }
    for (size_t i = 0; i < w->event_count; i++)
        if (local_open(w->events[i]))
            sim_say(w, NULL, "local event %" PRIu64 " of %s has no outcome", w->events[i]->id,
                    w->events[i]->daemon->name);
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count && w->nodes[i].up; j++) {
            rovei_peer_info info;
            if (i != j && w->nodes[j].up &&
                !rovei_mesh_peer(rovei_node_mesh(w->nodes[i].core), &w->nodes[j].entity, &info) &&
                info.state != ROVEI_PEER_UP)
                sim_say(w, w->nodes[i].name, "has no session with %s (state %d)", w->nodes[j].name,
                        (int)info.state);
        }
    for (unsigned k = 0; k < w->node_count; k++) {
        size_t it = 0;
        rovei_move_info info;
        while (w->nodes[k].up && rovei_node_move_next(w->nodes[k].core, &it, &info))
            if (info.outcome == ROVEI_OUTCOME_RUNNING)
                sim_say(w, w->nodes[k].name, "move %02x%02x (%s) still runs, phase %d",
                        info.attempt.bytes[0], info.attempt.bytes[1],
                        info.local_source ? "source" : "target", (int)info.phase);
    }
}

void sim_check_places(sim_world *w)
{
    for (unsigned i = 0; i < w->daemon_count && !w->failed; i++) {
        sim_daemon *d = w->daemons[i];
        switch (place_of(w, d)) {
        case PLACE_UNSETTLED:
            sim_fail(w, "%s has no place", d->name);
            break;
        case PLACE_SERVED:
            if (!d->spawned)
                sim_fail(w, "%s is served and was never spawned", d->name);
            break;
        case PLACE_OPERATOR:
            w->totals.operator_cells++;
            d->gone = true;
            break;
        case PLACE_GONE:
            if (d->spawned && !d->stopping && !d->crashed)
                sim_fail(w, "%s is gone and nobody crashed", d->name);
            d->gone = true;
            break;
        }
    }
    /* Nothing may be left of what the cores have forgotten. */
    for (unsigned k = 0; k < w->node_count; k++)
        for (sim_cell *c = w->nodes[k].cells; c; c = c->next) {
            const rovei_daemon *r = rovei_daemon_find(w->nodes[k].core, &c->daemon->entity);
            if (!r || r->cell != c->id)
                sim_fail(w, "%s keeps a cell of %s that the core has forgotten", w->nodes[k].name,
                         c->daemon->name);
        }
}

void sim_check_fates(sim_world *w)
{
    for (sim_client *c = w->clients; c; c = c->next) {
        if (c->wants_room && !c->dead && !c->closed)
            sim_fail(w, "%s waits for room that nobody keeps from it", c->name);
        if (c->dead || c->closed || c->daemon->gone)
            continue;
        for (size_t i = 0; i < c->count; i++) {
            const sim_event *e = c->events[i];
            if (e->fate == SIM_FATE_APPLIED && !e->in_line && !e->outside)
                sim_fail(w,
                         "LOST IN SILENCE: event %" PRIu64 " of %s was acknowledged to %s, is not "
                         "in the state, and was not reported lost",
                         e->id, c->daemon->name, c->name);
        }
    }
}
