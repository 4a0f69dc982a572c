/* SPDX-License-Identifier: Apache-2.0
 *
 * The network of a world. */
#include "check.h"
#include "stranger.h"
#include "world.h"
#include <limits.h>
#include <mesh/packet.h>
#include <stdlib.h>
#include <string.h>

typedef struct arrival {
    sim_thing thing;
    sim_datagram *d;
} arrival;

static void arrival_drop(sim_world *w, sim_thing *t)
{
    (void)w;
    arrival *a = (arrival *)t;
    free(a->d);
    free(a);
}

void sim_net_init(sim_world *w)
{
    for (unsigned i = 0; i < SIM_NET_NODES; i++)
        for (unsigned j = 0; j < SIM_NET_NODES; j++)
            w->net.links[i][j].waiting_end = &w->net.links[i][j].waiting;
}

static void free_waiting(sim_world *w, sim_link *l)
{
    while (l->waiting) {
        sim_datagram *d = l->waiting;
        l->waiting = d->next;
        w->net.in_flight--;
        free(d);
    }
    l->waiting_end = &l->waiting;
}

void sim_net_fini(sim_world *w)
{
    for (unsigned i = 0; i < SIM_NET_NODES; i++)
        for (unsigned j = 0; j < SIM_NET_NODES; j++) {
            free_waiting(w, &w->net.links[i][j]);
            free(w->net.links[i][j].taken);
        }
    for (size_t i = 0; i < SIM_NET_ARCHIVE; i++)
        free(w->net.archive[i]);
}

static sim_datagram *copy_of(const sim_datagram *d)
{
    sim_datagram *c = malloc(sizeof *c + d->size);
    if (!c)
        abort();
    memcpy(c, d, sizeof *c + d->size);
    c->next = NULL;
    c->again = true;
    return c;
}

static void arrive_at_node(sim_world *w, sim_datagram *d)
{
    sim_node *to = &w->nodes[d->to];
    sim_link *l = &w->net.links[d->from][d->to];
    if (!to->up || d->place != to->place) {
        w->net.to_nobody++;
    } else {
        w->net.arrived++;
        if (!d->again) {
            if (d->number < l->highest_arrived)
                w->net.reordered++;
            else
                l->highest_arrived = d->number;
        }
        to->datagrams_given++;
        sim_check_before_datagram(to, d);
        sim_core_enter(w);
        rovei_node_receive(to->core, sim_now(to), &d->from_addr, d->bytes, d->size);
        sim_core_leave(w);
        sim_pump(to);
        sim_check_after_datagram(to, d);
    }
}

static void arrive(sim_world *w, sim_thing *t)
{
    sim_datagram *d = ((arrival *)t)->d;
    w->net.in_flight--;
    if (d->to == SIM_NET_STRANGER) {
        w->net.arrived++;
        sim_stranger_receive(w, d);
    } else {
        arrive_at_node(w, d);
    }
    arrival_drop(w, t);
}

static void plan_arrival(sim_world *w, sim_datagram *d, uint64_t at)
{
    arrival *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    a->thing.run = arrive;
    a->thing.drop = arrival_drop;
    a->d = d;
    for (unsigned i = 0; i < SIM_THIEVES; i++) {
        rovei_addr thief = sim_thief_addr(i);
        if (rovei_addr_equal(&d->from_addr, &thief))
            w->net.thieves[i].sent += d->size;
    }
    w->net.in_flight++;
    sim_plan(w, at, &a->thing);
}

static uint64_t travel(sim_world *w, const sim_link *l)
{
    sim_rng *r = &w->rng[SIM_FOR_NET];
    uint64_t t = l->latency;
    if (l->jitter)
        t += sim_rng_below(r, l->jitter);
    if (l->astray && sim_rng_chance(r, l->astray))
        t += sim_rng_below(r, 20 * ROVE_MILLISECOND);
    return t;
}

static void archive(sim_world *w, const sim_datagram *d)
{
    sim_datagram **slot = &w->net.archive[w->net.archived++ % SIM_NET_ARCHIVE];
    free(*slot);
    *slot = copy_of(d);
}

static void depart(sim_world *w, sim_datagram *d)
{
    sim_link *l = &w->net.links[d->from][d->to];
    sim_rng *r = &w->rng[SIM_FOR_NET];
    if (l->cut || (l->loss && sim_rng_chance(r, l->loss))) {
        w->net.lost++;
        free(d);
        return;
    }
    if (l->twice && sim_rng_chance(r, l->twice)) {
        w->net.doubled++;
        plan_arrival(w, copy_of(d), w->now + travel(w, l));
    }
    if (l->late && sim_rng_chance(r, l->late)) {
        w->net.late++;
        plan_arrival(w, copy_of(d), w->now + sim_rng_below(r, 12 * ROVE_SECOND));
    }
    plan_arrival(w, d, w->now + travel(w, l));
}

/* Where nobody is, or a thief. Class net sends to where a peer's last heartbeat came from, and
 * promises nothing else. */
static void send_to_nobody(sim_world *w, const rovei_addr *to, const uint8_t *bytes, size_t size)
{
    for (unsigned i = 0; i < SIM_THIEVES; i++) {
        rovei_addr thief = sim_thief_addr(i);
        if (rovei_addr_equal(to, &thief) && rovei_packet_is(bytes, size))
            w->net.thieves[i].received += size;
    }
    w->net.lost++;
}

static unsigned who_is_at(const sim_world *w, const rovei_addr *addr)
{
    const rovei_addr stranger = sim_stranger_addr();
    if (w->stranger && rovei_addr_equal(addr, &stranger))
        return SIM_NET_STRANGER;
    unsigned i = 0;
    while (i < w->node_count && !rovei_addr_equal(&w->nodes[i].addr, addr))
        i++;
    return i == w->node_count ? UINT_MAX : i;
}

void sim_net_send(sim_world *w, sim_node *from, const rovei_addr *to, const uint8_t *bytes,
                  size_t size)
{
    sim_net_post(w, from->index, from->life, &from->addr, to, bytes, size);
}

void sim_net_post(sim_world *w, unsigned from, uint32_t life, const rovei_addr *from_addr,
                  const rovei_addr *to, const uint8_t *bytes, size_t size)
{
    unsigned target = who_is_at(w, to);
    w->net.sent++;
    if (target == UINT_MAX) {
        send_to_nobody(w, to, bytes, size);
        return;
    }
    sim_datagram *d = malloc(sizeof *d + size);
    if (!d)
        abort();
    sim_link *l = &w->net.links[from][target];
    *d = (sim_datagram){.from = from, .to = target, .from_life = life, .size = size};
    d->from_addr = *from_addr;
    d->place = target < w->node_count ? w->nodes[target].place : 0;
    d->number = ++l->sent;
    memcpy(d->bytes, bytes, size);
    if (!w->scripted && target < w->node_count && (size < 400 || w->net.sent % 16 == 0))
        archive(w, d);
    if (l->steal && bytes[3] == ROVEI_PACKET_DATA) {
        sim_datagram *copy = copy_of(d);
        copy->from_addr = sim_thief_addr(l->thief);
        l->steal--;
        w->net.stolen++;
        plan_arrival(w, copy, w->now + 1);
    }
    if (l->held) {
        w->net.in_flight++;
        *l->waiting_end = d;
        l->waiting_end = &d->next;
        return;
    }
    depart(w, d);
}

void sim_net_quality(sim_world *w, uint64_t latency, uint64_t jitter, uint32_t loss, uint32_t twice,
                     uint32_t astray, uint32_t late)
{
    for (unsigned i = 0; i < SIM_NET_NODES; i++)
        for (unsigned j = 0; j < SIM_NET_NODES; j++) {
            sim_link *l = &w->net.links[i][j];
            l->latency = latency;
            l->jitter = jitter;
            l->loss = loss;
            l->twice = twice;
            l->astray = astray;
            l->late = late;
        }
}

void sim_net_cut(sim_world *w, unsigned from, unsigned to, bool cut)
{
    if (cut)
        w->net.links[from][to].cut++;
    else if (w->net.links[from][to].cut)
        w->net.links[from][to].cut--;
}

void sim_net_hold(sim_world *w, unsigned from, unsigned to)
{
    w->net.links[from][to].held = true;
}

void sim_net_release(sim_world *w, unsigned from, unsigned to, bool drop)
{
    sim_link *l = &w->net.links[from][to];
    l->held = false;
    if (drop) {
        for (sim_datagram *d = l->waiting; d; d = d->next)
            w->net.lost++;
        free_waiting(w, l);
        return;
    }
    sim_datagram *d = l->waiting;
    l->waiting = NULL;
    l->waiting_end = &l->waiting;
    while (d) {
        sim_datagram *next = d->next;
        d->next = NULL;
        w->net.in_flight--;
        depart(w, d);
        d = next;
    }
}

bool sim_net_replay(sim_world *w, uint64_t pick, bool from_thief)
{
    sim_datagram *d = w->net.archive[pick % SIM_NET_ARCHIVE];
    if (!d)
        return false;
    w->net.replayed++;
    sim_datagram *c = copy_of(d);
    c->place = w->nodes[c->to].place; /* what goes to the stranger is not kept */
    if (from_thief)
        c->from_addr = sim_thief_addr((unsigned)(pick / SIM_NET_ARCHIVE % SIM_THIEVES));
    plan_arrival(w, c, w->now);
    return true;
}

/* ---- addresses, thieves ---- */

void sim_net_move(sim_node *n)
{
    n->place++;
    n->addr.ip[2]++;
    n->world->net.moved++;
    sim_say(n->world, n->name, "has another address");
}

void sim_net_home(sim_node *n)
{
    if (!n->addr.ip[2])
        return;
    n->place++;
    n->addr = sim_home_addr(n);
}

rovei_addr sim_home_addr(const sim_node *n)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(n->index + 1)}, .port = 4000};
}

rovei_addr sim_thief_addr(unsigned thief)
{
    return (rovei_addr){.family = 4, .ip = {203, 0, 113, (uint8_t)(thief + 1)}, .port = 66};
}

void sim_net_steal(sim_world *w, unsigned from, unsigned to, unsigned thief, unsigned count)
{
    w->net.links[from][to].steal = count;
    w->net.links[from][to].thief = thief;
}

void sim_net_flood(sim_world *w, unsigned to, unsigned thief, const uint8_t *bytes, size_t size)
{
    sim_datagram *d = malloc(sizeof *d + size);
    if (!d)
        abort();
    /* Number 0 belongs to no datagram of a node. */
    *d = (sim_datagram){.from = to, .to = to, .size = size, .again = true};
    d->from_addr = sim_thief_addr(thief);
    d->place = w->nodes[to].place;
    memcpy(d->bytes, bytes, size);
    w->net.flooded++;
    plan_arrival(w, d, w->now);
}
