/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults. */
#include "nemesis.h"
#include <mesh/packet.h>
#include <stdlib.h>
#include <string.h>

#define MS ROVE_MILLISECOND

typedef struct nemesis {
    sim_thing thing;
    uint64_t until;
    uint64_t gap;
    uint32_t cuts, crashes, replays; /* of 1,000 */
    uint32_t moves, steals, floods;  /* likewise; the rest changes the quality */
} nemesis;

typedef struct undo_thing {
    sim_thing thing;
    uint32_t pairs; /* bit from x 5 + to */
    sim_node *back; /* a node that returns, or NULL */
} undo_thing;

static void quality(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    uint64_t latency = sim_rng_chance(r, 7000) ? sim_rng_between(r, 20, 2000) * 1000
                                               : sim_rng_between(r, 2, 60) * MS;
    uint32_t loss = sim_rng_chance(r, 4000) ? 0 : (uint32_t)sim_rng_below(r, 2500);
    uint32_t twice = (uint32_t)sim_rng_below(r, 600);
    uint32_t astray = (uint32_t)sim_rng_below(r, 800);
    uint32_t late = (uint32_t)sim_rng_below(r, 150);
    sim_net_quality(w, latency, latency / 2 + 1, loss, twice, astray, late);
    sim_say(w, NULL, "the network: %.3f ms, %.1f %% lost, %.1f %% doubled", (double)latency / 1e6,
            loss / 100.0, twice / 100.0);
}

static void cut_bits(sim_world *w, uint32_t pairs, bool cut)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++)
            if (pairs >> (i * SIM_NODES_MAX + j) & 1)
                sim_net_cut(w, i, j, cut);
}

static void undo_run(sim_world *w, sim_thing *t)
{
    undo_thing *u = (undo_thing *)t;
    if (u->back) {
        if (!u->back->up && !u->back->gone)
            sim_node_start(u->back);
    } else if (!w->calm) {
        cut_bits(w, u->pairs, false);
        sim_say(w, NULL, "a cut is healed");
    }
    free(u);
}

static void undo_later(sim_world *w, uint32_t pairs, sim_node *back)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    undo_thing *u = calloc(1, sizeof *u);
    if (!u)
        abort();
    u->thing.run = undo_run;
    u->pairs = pairs;
    u->back = back;
    uint64_t scale = sim_rng_chance(r, 5000) ? 300 * MS : 5000 * MS;
    sim_plan(w, w->now + 5 * MS + sim_rng_below(r, scale), &u->thing);
}

/* Some nodes on one side, the rest on the other; one direction or both. */
static void cut(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    uint32_t side = (uint32_t)sim_rng_between(r, 1, (UINT64_C(1) << w->node_count) - 2);
    bool there = true, back = true;
    if (sim_rng_chance(r, 3500))
        back = false;
    uint32_t pairs = 0;
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++) {
            bool crosses = (side >> i & 1) != (side >> j & 1);
            if (crosses && ((side >> i & 1) ? there : back))
                pairs |= UINT32_C(1) << (i * SIM_NODES_MAX + j);
        }
    cut_bits(w, pairs, true);
    w->totals.partitions++;
    char names[2 * SIM_NODES_MAX + 1] = "";
    for (unsigned i = 0, at = 0; i < w->node_count; i++)
        if (side >> i & 1) {
            names[at++] = w->nodes[i].name[0];
            names[at] = 0;
        }
    sim_say(w, NULL, "cut: %s %s the rest", names, back ? "from" : "towards");
    undo_later(w, pairs, NULL);
}

static void crash(sim_world *w, sim_node *n)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    if (!n->up)
        return;
    if (sim_rng_chance(r, 2000))
        sim_node_shutdown(n);
    sim_node_crash(n);
    unsigned there = 0;
    for (unsigned i = 0; i < w->node_count; i++)
        there += !w->nodes[i].gone;
    if (there > 2 && sim_rng_chance(r, 800)) {
        n->gone = true;
        sim_say(w, n->name, "is gone for good");
        return;
    }
    undo_later(w, 0, n);
}

typedef struct strike_thing {
    sim_thing thing;
    sim_node *victim; /* crashes; NULL: the two are cut off */
    unsigned from, to;
    bool both, then_crash;
} strike_thing;

static void strike_run(sim_world *w, sim_thing *t)
{
    strike_thing *s = (strike_thing *)t;
    if (w->calm) {
        free(s);
        return;
    }
    if (s->victim) {
        crash(w, s->victim);
    } else {
        uint32_t pairs = UINT32_C(1) << (s->from * SIM_NODES_MAX + s->to);
        if (s->both)
            pairs |= UINT32_C(1) << (s->to * SIM_NODES_MAX + s->from);
        cut_bits(w, pairs, true);
        w->totals.partitions++;
        sim_say(w, NULL, "cut: %s %s %s", w->nodes[s->from].name, s->both ? "from" : "towards",
                w->nodes[s->to].name);
        undo_later(w, pairs, NULL);
    }
    if (!s->then_crash) {
        free(s);
        return;
    }
    /* The other side may have served meanwhile, and the one that is cut off cannot know. */
    s->then_crash = false;
    s->victim = &w->nodes[s->from];
    sim_plan(w, w->now + sim_rng_below(&w->rng[SIM_FOR_NEMESIS], 600 * MS), &s->thing);
}

void sim_nemesis_phase(sim_world *w, sim_node *from, sim_node *to)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    if (!w->strikes || !sim_rng_chance(r, 500))
        return;
    strike_thing *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->thing.run = strike_run;
    bool crashes = sim_rng_chance(r, 3000);
    s->then_crash = !crashes && sim_rng_chance(r, 5000);
    bool swap = s->then_crash || sim_rng_chance(r, 5000);
    s->from = swap ? to->index : from->index;
    s->to = swap ? from->index : to->index;
    s->both = !s->then_crash && sim_rng_chance(r, 5000);
    s->victim = crashes ? &w->nodes[s->from] : NULL;
    uint64_t trip = w->net.links[from->index][to->index].latency + MS / 10;
    sim_plan(w, w->now + (sim_rng_chance(r, 5000) ? 0 : sim_rng_below(r, 2 * trip)), &s->thing);
}

static void replay(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    for (uint64_t n = sim_rng_between(r, 1, 12); n--;)
        (void)sim_net_replay(w, sim_rng_u64(r), sim_rng_chance(r, 3000));
}

/* A node comes to another address, or back; now and then two at the same time. */
static void change_address(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    for (int i = sim_rng_chance(r, 2000) ? 2 : 1; i--;) {
        sim_node *n = &w->nodes[sim_rng_below(r, w->node_count)];
        if (sim_rng_chance(r, 3000))
            sim_net_home(n);
        else
            sim_net_move(n);
    }
}

/* A thief is quicker with the next datagrams of one direction than they are themselves; then they
 * may not arrive at all for a while. */
static void steal(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    unsigned from = (unsigned)sim_rng_below(r, w->node_count);
    unsigned to = (unsigned)sim_rng_below(r, w->node_count);
    if (from == to)
        return;
    sim_net_steal(w, from, to, (unsigned)sim_rng_below(r, SIM_THIEVES),
                  (unsigned)sim_rng_between(r, 1, 20));
    sim_say(w, NULL, "a thief is on the path from %s to %s", w->nodes[from].name,
            w->nodes[to].name);
    if (sim_rng_chance(r, 3000)) {
        uint32_t pairs = UINT32_C(1) << (from * SIM_NODES_MAX + to);
        cut_bits(w, pairs, true);
        w->totals.partitions++;
        undo_later(w, pairs, NULL);
    }
}

/* Datagrams that begin like ours, and copies of messages 1, from where nobody is. */
static void flood(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    unsigned to = (unsigned)sim_rng_below(r, w->node_count);
    unsigned thief = (unsigned)sim_rng_below(r, SIM_THIEVES);
    unsigned first = 0; /* a message 1 to this node that passed lately */
    for (unsigned i = 0; i < SIM_NET_ARCHIVE; i++)
        if (w->net.archive[i] && w->net.archive[i]->to == to &&
            w->net.archive[i]->bytes[3] == ROVEI_PACKET_INITIATION)
            first = i;
    sim_say(w, w->nodes[to].name, "is flooded");
    for (uint64_t n = sim_rng_between(r, 20, 200); n--;) {
        uint8_t bytes[256];
        size_t size = sim_rng_chance(r, 5000) ? ROVEI_INITIATION_SIZE : sim_rng_below(r, 256);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)sim_rng_u64(r);
        static const uint8_t start[] = {ROVEI_PACKET_MAGIC0, ROVEI_PACKET_MAGIC1,
                                        ROVEI_PACKET_VERSION};
        if (size > 4 && sim_rng_chance(r, 9000)) {
            memcpy(bytes, start, sizeof start);
            bytes[3] = (uint8_t)sim_rng_between(r, 1, 4);
        }
        sim_net_flood(w, to, thief, bytes, size);
        (void)sim_net_replay(w, first + thief * SIM_NET_ARCHIVE, true);
    }
}

/* One node hangs up on another, and dials again a little later. */
static void hang_up(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    sim_node *n = &w->nodes[sim_rng_below(r, w->node_count)];
    sim_node *to = &w->nodes[sim_rng_below(r, w->node_count)];
    rovei_peer_info info;
    if (!n->up || n == to || rovei_mesh_peer(rovei_node_mesh(n->core), &to->entity, &info))
        return;
    sim_say(w, n->name, "hangs up on %s", to->name);
    rovei_mesh_disconnect(rovei_node_mesh(n->core), sim_now(n), &to->entity);
    sim_pump(n);
    sim_node_connect(n, to);
}

/* For a while memory runs out now and then, in all cores. */
static void shortage(sim_world *w)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    w->memory.refusal = w->memory.refusal ? 0 : (uint32_t)sim_rng_between(r, 100, 10000);
    sim_say(w, NULL, "of 100,000 allocations %u are refused", w->memory.refusal);
}

static void nemesis_run(sim_world *w, sim_thing *t)
{
    nemesis *m = (nemesis *)t;
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    if (w->now >= m->until) {
        free(m);
        return;
    }
    uint64_t pick = sim_rng_below(r, 1000), upto = m->cuts;
    if (pick < upto)
        cut(w);
    else if (pick < (upto += m->crashes))
        crash(w, &w->nodes[sim_rng_below(r, w->node_count)]);
    else if (pick < (upto += m->replays))
        replay(w);
    else if (pick < (upto += m->moves))
        change_address(w);
    else if (pick < (upto += m->steals))
        steal(w);
    else if (pick < upto + m->floods)
        flood(w);
    else if (w->shortages && sim_rng_chance(r, 6000))
        shortage(w);
    else if (sim_rng_chance(r, 1000))
        hang_up(w);
    else
        quality(w);
    sim_plan(w, w->now + 1 + sim_rng_below(r, 2 * m->gap), &m->thing);
}

void sim_nemesis_begin(sim_world *w, uint64_t until)
{
    sim_rng *r = &w->rng[SIM_FOR_NEMESIS];
    nemesis *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->thing.run = nemesis_run;
    m->until = until;
    m->gap = sim_rng_between(r, 150, 1500) * MS;
    m->cuts = (uint32_t)sim_rng_between(r, 100, 400);
    w->shortages = sim_rng_chance(r, 1500);
    w->strikes = sim_rng_chance(r, 5000);
    m->crashes = sim_rng_chance(r, 6000) ? (uint32_t)sim_rng_between(r, 30, 250) : 0;
    m->replays = (uint32_t)sim_rng_between(r, 50, 200);
    m->moves = sim_rng_chance(r, 4000) ? (uint32_t)sim_rng_between(r, 30, 150) : 0;
    m->steals = sim_rng_chance(r, 4000) ? (uint32_t)sim_rng_between(r, 30, 150) : 0;
    m->floods = sim_rng_chance(r, 3000) ? (uint32_t)sim_rng_between(r, 10, 80) : 0;
    sim_net_quality(w, 200000, 100000, 0, 0, 0, 0);
    if (sim_rng_chance(r, 7000))
        quality(w);
    sim_plan(w, w->now + sim_rng_below(r, 2 * m->gap), &m->thing);
}

void sim_nemesis_end(sim_world *w)
{
    w->calm = true;
    w->memory.refusal = 0;
    sim_say(w, NULL, "the faults are over");
    for (unsigned i = 0; i < SIM_NET_NODES; i++)
        for (unsigned j = 0; j < SIM_NET_NODES; j++)
            w->net.links[i][j].cut = 0;
    for (unsigned i = 0; i < w->node_count; i++)
        sim_net_home(&w->nodes[i]);
    sim_net_quality(w, 500000, 200000, 0, 0, 0, 0);
    for (unsigned i = 0; i < w->node_count; i++)
        if (!w->nodes[i].up && !w->nodes[i].gone)
            sim_node_start(&w->nodes[i]);
}
