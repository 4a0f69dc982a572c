/* SPDX-License-Identifier: Apache-2.0
 *
 * One seed: a stormy time, then a calm one in which everything must come to rest, then questions to
 * every daemon and every client. */
#include "seed.h"
#include "bridge.h"
#include "cells.h"
#include "check.h"
#include "history.h"
#include "nemesis.h"
#include "publishing.h"
#include "stranger.h"
#include "workload.h"
#include <inttypes.h>
#include <string.h>

#define MS ROVE_MILLISECOND

static sim_world *running; /* for sim_seed_tell */

void sim_seed_tell(FILE *to)
{
    if (!running)
        return;
    fprintf(to, "seed %" PRIu64 ":\n", running->seed);
    sim_story_print(&running->story, to);
}

/* Runs until all is at rest; a failure when it is not within `bound`. */
static void run_to_rest(sim_world *w, uint64_t bound, bool (*rest)(sim_world *w), const char *what)
{
    uint64_t until = w->now + bound;
    do {
        if (!sim_run(w, w->now + 50 * MS))
            return;
        if (rest(w))
            return;
    } while (w->now < until);
    sim_check_unrest(w);
    sim_fail(w, "%s within %.1f s of calm", what, (double)bound / 1e9);
}

/* Everything here doubles or ends by a limit; this is later than all of them. */
static uint64_t bound_of(const sim_world *w)
{
    const rove_limits *l = &w->limits;
    return 2 * l->send_giveup + 4 * l->reject_time + 4 * l->move_stall + 20 * l->move_repeat +
           2 * l->locate_backoff + l->auth_throttle + 30 * l->rebind_retry + 10 * ROVE_SECOND;
}

/* In a ring with a hole a node may have nobody to ask. */
static bool all_in_reach(const sim_world *w)
{
    for (unsigned i = 0; i < w->node_count && !w->full_mesh; i++)
        if (w->nodes[i].gone)
            return false;
    return true;
}

/* An event of a new client to every daemon that is served, and one of every client that is open:
 * the daemons answer, and whoever lost something hears of it. */
static void ask_everybody(sim_world *w)
{
    for (sim_client *c = w->clients; c; c = c->next)
        if (!c->dead && !c->closed && !c->daemon->gone) {
            (void)sim_client_send(c, NULL);
            sim_pump(c->node);
        }
    sim_client *asked[SIM_DAEMONS_MAX] = {NULL};
    sim_event *events[SIM_DAEMONS_MAX] = {NULL};
    for (unsigned i = 0; i < w->daemon_count; i++) {
        sim_daemon *d = w->daemons[i];
        if (d->gone || !d->spawned)
            continue;
        sim_node *n = &w->nodes[sim_rng_below(&w->rng[SIM_FOR_WORK], w->node_count)];
        sim_node *host = sim_check_host(w, d);
        if (!n->up || !all_in_reach(w) || (host && sim_bridge_between(n, host)))
            n = host;
        asked[i] = sim_client_open(n, d);
        if (!asked[i])
            continue;
        rove_err err = sim_client_send(asked[i], &events[i]);
        if (err && !(w->tight && err == ROVE_E_TOO_LARGE))
            sim_fail(w, "%s cannot send: %s", asked[i]->name, rove_err_name(err));
        sim_pump(n);
    }
    run_to_rest(w, bound_of(w), sim_clients_rest, "a question to a daemon has no outcome");
    for (unsigned i = 0; i < w->daemon_count && !w->failed; i++) {
        if (!events[i] || events[i]->fate == SIM_FATE_APPLIED)
            continue;
        if (events[i]->fate != SIM_FATE_REFUSED)
            sim_fail(w, "%s does not answer: its event %" PRIu64 " has fate %d",
                     w->daemons[i]->name, events[i]->id, (int)events[i]->fate);
    }
}

/* Nobody may spawn what lives elsewhere: every node that can be reached is asked first. */
static void spawn_again(sim_world *w)
{
    for (unsigned i = 0; i < w->daemon_count && !w->failed; i++) {
        sim_daemon *d = w->daemons[i];
        sim_node *n = &w->nodes[sim_rng_below(&w->rng[SIM_FOR_WORK], w->node_count)];
        const sim_node *host = sim_check_host(w, d);
        if (!d->spawned || d->gone || !n->up || !all_in_reach(w) ||
            (host && sim_bridge_between(n, host)) || !sim_rng_chance(&w->rng[SIM_FOR_WORK], 2000))
            continue;
        if (sim_cell_spawn_given(n, d))
            sim_pump(n);
    }
    sim_run(w, w->now + 4 * w->limits.locate_wait);
    sim_check_places(w);
}

static void totals_of(sim_world *w)
{
    sim_totals *t = &w->totals;
    t->packets_sent = w->net.sent;
    t->packets_lost = w->net.lost;
    t->packets_doubled = w->net.doubled;
    t->packets_reordered = w->net.reordered;
    t->packets_late = w->net.late + w->net.replayed;
    t->packets_stolen = w->net.stolen;
    t->packets_flooded = w->net.flooded;
    t->addresses = w->net.moved;
    t->steps = w->steps;
    t->memory_refused = w->memory.refused;
    t->publications_lost = w->left_out;
}

void sim_seed_run(const sim_seed_options *o, sim_seed_result *ret)
{
    *ret = (sim_seed_result){0};
    sim_history_seed(o->history, o->seed);
    sim_shape shape = {
        .seed = o->seed, .echo = o->echo ? stdout : NULL, .history = o->history, .guest = o->guest};
    sim_world *w = sim_world_new(&shape);
    running = w;
    uint64_t storm = sim_rng_between(&w->rng[SIM_FOR_SHAPE], 2500, 9000) * MS;
    sim_nemesis_begin(w, w->now + storm);
    sim_run(w, w->now + 300 * MS);
    sim_work_begin(w, w->now + storm);
    sim_stranger_begin(w, w->now + storm);
    sim_publishing_begin(w, w->now + storm);
    if (sim_run(w, w->now + storm + 50 * MS))
        sim_nemesis_end(w);
    if (!w->failed)
        run_to_rest(w, bound_of(w), sim_check_rest, "not everything has come to rest");
    if (!w->failed)
        sim_check_places(w);
    if (!w->failed)
        sim_publishing_check(w);
    if (!w->failed)
        spawn_again(w);
    /* Long enough for hosts to forget what is idle. */
    if (!w->failed && sim_rng_chance(&w->rng[SIM_FOR_SHAPE], 1000))
        sim_run(w, w->now + w->limits.lane_expiry + w->limits.lane_expiry / 4);
    if (!w->failed)
        ask_everybody(w);
    if (!w->failed)
        sim_check_fates(w);
    if (!w->failed) {
        sim_clients_close_all(w);
        run_to_rest(w, bound_of(w), sim_clients_ended, "a client that was closed has not ended");
    }
    totals_of(w);
    sim_world_close(w);
    ret->good = !w->failed;
    ret->digest = w->story.digest;
    ret->until = w->now;
    ret->totals = w->totals;
    memcpy(ret->failure, w->failure, sizeof ret->failure);
    if (w->failed && o->story) {
        sim_seed_tell(o->story);
        fprintf(o->story, "seed %" PRIu64 " fails: %s\n", o->seed, w->failure);
    }
    running = NULL;
    sim_world_free(w);
}
