/* SPDX-License-Identifier: Apache-2.0
 *
 * The random workload: what to do next, and to whom. */
#include "cells.h"
#include "check.h"
#include "workload.h"
#include <stdlib.h>

#define MS ROVE_MILLISECOND

typedef struct mix {
    sim_thing thing;
    uint64_t until;
    uint64_t gap; /* mean, between two deeds */
    uint32_t moves, locals, closes;
} mix;

static sim_node *some_node(sim_world *w)
{
    sim_node *n = &w->nodes[sim_rng_below(&w->rng[SIM_FOR_WORK], w->node_count)];
    return n->up ? n : NULL;
}

static sim_daemon *some_daemon(sim_world *w)
{
    if (!w->daemon_count)
        return NULL;
    return w->daemons[sim_rng_below(&w->rng[SIM_FOR_WORK], w->daemon_count)];
}

static void spawn_one(sim_world *w)
{
    sim_node *n = some_node(w);
    if (!n)
        return;
    sim_daemon *d = sim_daemon_new(w);
    if (!d)
        return;
    if (!sim_cell_spawn(n, d))
        d->gone = true;
    sim_pump(n);
}

static sim_client *some_client(sim_world *w)
{
    size_t live = 0;
    for (sim_client *c = w->clients; c; c = c->next)
        live += !c->dead && !c->closed;
    if (!live)
        return NULL;
    size_t pick = sim_rng_below(&w->rng[SIM_FOR_WORK], live);
    for (sim_client *c = w->clients; c; c = c->next)
        if (!c->dead && !c->closed && pick-- == 0)
            return c;
    return NULL;
}

static void open_one(sim_world *w)
{
    sim_node *n = some_node(w);
    sim_daemon *d = some_daemon(w);
    if (n && d && !d->gone && sim_client_open(n, d))
        sim_pump(n);
}

static void send_some(sim_world *w)
{
    sim_client *c = some_client(w);
    if (!c) {
        open_one(w);
        return;
    }
    uint64_t burst = sim_rng_chance(&w->rng[SIM_FOR_WORK], 1500)
                         ? sim_rng_between(&w->rng[SIM_FOR_WORK], 4, 30)
                         : sim_rng_between(&w->rng[SIM_FOR_WORK], 1, 3);
    while (burst-- && !sim_client_send(c, NULL))
        ;
    sim_pump(c->node);
}

static void deliver_some(sim_world *w)
{
    sim_daemon *d = some_daemon(w);
    if (!d)
        return;
    sim_node *host = sim_check_host(w, d);
    if (!host || sim_rng_chance(&w->rng[SIM_FOR_WORK], 2000))
        host = some_node(w);
    uint64_t burst = sim_rng_between(&w->rng[SIM_FOR_WORK], 1, 3);
    while (host && burst--)
        (void)sim_deliver(host, d, NULL);
}

typedef struct cancel_thing {
    sim_thing thing;
    sim_node *node;
    uint32_t life;
    rovei_attempt_id id;
} cancel_thing;

static void cancel_run(sim_world *w, sim_thing *t)
{
    cancel_thing *c = (cancel_thing *)t;
    sim_node *n = c->node;
    if (n->up && n->life == c->life) {
        rove_err why =
            sim_rng_chance(&w->rng[SIM_FOR_WORK], 5000) ? ROVE_E_CANCELLED : ROVE_E_TIMED_OUT;
        rove_err err = rovei_node_cancel(n->core, sim_now(n), &c->id, why);
        sim_say(w, n->name, "is told to end move %02x%02x (%s): %s", c->id.bytes[0], c->id.bytes[1],
                rove_err_name(why), rove_err_name(err));
        sim_pump(n);
    }
    free(c);
}

static void move_one(sim_world *w)
{
    sim_daemon *d = some_daemon(w);
    if (!d)
        return;
    sim_node *from = sim_check_host(w, d);
    sim_node *to = some_node(w);
    if (!from || sim_rng_chance(&w->rng[SIM_FOR_WORK], 300))
        from = some_node(w);
    if (!from || !to)
        return;
    rovei_attempt_id id;
    rove_err err = sim_move(from, d, to, &id);
    sim_pump(from);
    if (err || !sim_rng_chance(&w->rng[SIM_FOR_WORK], 2500))
        return;
    cancel_thing *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->thing.run = cancel_run;
    c->node = from;
    c->life = from->life;
    c->id = id;
    uint64_t scale = sim_rng_chance(&w->rng[SIM_FOR_WORK], 7000) ? 12 * MS : 800 * MS;
    sim_plan(w, w->now + sim_rng_below(&w->rng[SIM_FOR_WORK], scale), &c->thing);
}

static void close_one(sim_world *w)
{
    sim_client *c = some_client(w);
    if (!c)
        return;
    sim_client_close(c, sim_rng_chance(&w->rng[SIM_FOR_WORK], 3000));
    sim_pump(c->node);
}

static void stop_one(sim_world *w)
{
    sim_daemon *d = some_daemon(w);
    sim_node *n = d ? sim_check_host(w, d) : NULL;
    if (!n)
        return;
    rove_err err = rovei_node_stop(n->core, sim_now(n), &d->entity);
    sim_say(w, n->name, "stops %s: %s", d->name, rove_err_name(err));
    if (!err) {
        d->stopping = true;
        w->totals.stops++;
    }
    sim_pump(n);
}

static void mix_run(sim_world *w, sim_thing *t)
{
    mix *m = (mix *)t;
    sim_rng *r = &w->rng[SIM_FOR_WORK];
    if (w->now >= m->until) {
        free(m);
        return;
    }
    uint64_t pick = sim_rng_below(r, 1000);
    if (pick < m->moves)
        move_one(w);
    else if (pick < m->moves + m->locals)
        deliver_some(w);
    else if (pick < m->moves + m->locals + m->closes)
        close_one(w);
    else if (pick < m->moves + m->locals + m->closes + 25)
        open_one(w);
    else if (pick < m->moves + m->locals + m->closes + 30)
        spawn_one(w);
    else if (pick == 999)
        stop_one(w);
    else
        send_some(w);
    sim_plan(w, w->now + 1 + sim_rng_below(r, 2 * m->gap), &m->thing);
}

void sim_work_begin(sim_world *w, uint64_t until)
{
    sim_rng *r = &w->rng[SIM_FOR_WORK];
    mix *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->thing.run = mix_run;
    m->until = until;
    m->gap = sim_rng_between(r, 5, 40) * MS;
    m->moves = (uint32_t)sim_rng_between(r, 20, 120);
    m->locals = (uint32_t)sim_rng_between(r, 50, 250);
    m->closes = (uint32_t)sim_rng_between(r, 2, 20);
    for (uint64_t n = sim_rng_between(r, 1, 3); n--;)
        spawn_one(w);
    sim_plan(w, w->now + 50 * MS, &m->thing);
}
