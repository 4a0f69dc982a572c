/* SPDX-License-Identifier: Apache-2.0
 *
 * The world: its clock, its heap of plans, its nodes. */
#include "world.h"
#include "bridge.h"
#include "cells.h"
#include "check.h"
#include "publishing.h"
#include "stranger.h"
#include "truth.h"
#include "workload.h"
#include <base/alloc.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_WALL   (UINT64_C(1700000000) * ROVE_SECOND)
#define STEPS_AT_ONE 200000 /* at one moment; more means that time stands still */

/* ---- memory that is counted ---- */
static bool refused(sim_memory *m)
{
    if (!m->inside || !m->refusal || sim_rng_below(&m->rng, 100000) >= m->refusal)
        return false;
    m->refused++;
    return true;
}

void sim_core_enter(sim_world *w)
{
    w->memory.inside = true;
}

void sim_core_leave(sim_world *w)
{
    w->memory.inside = false;
}

static void *counted_alloc(void *user, size_t size)
{
    sim_memory *m = user;
    if (refused(m))
        return NULL;
    void *p = malloc(size);
    if (!p)
        abort();
    m->blocks++;
    m->bytes += size;
    if (m->bytes > m->peak)
        m->peak = m->bytes;
    return p;
}

static void *counted_realloc(void *user, void *block, size_t old_size, size_t size)
{
    sim_memory *m = user;
    if (size > old_size && refused(m))
        return NULL;
    void *p = realloc(block, size);
    if (!p)
        abort();
    m->bytes += size - old_size;
    if (m->bytes > m->peak)
        m->peak = m->bytes;
    return p;
}

static void counted_free(void *user, void *block, size_t size)
{
    sim_memory *m = user;
    free(block);
    m->blocks--;
    m->bytes -= size;
}

static void entropy_fill(void *user, void *ret, size_t size)
{
    sim_rng *r = user;
    uint8_t *at = ret;
    while (size) {
        uint64_t v = sim_rng_u64(r);
        size_t part = size < sizeof v ? size : sizeof v;
        memcpy(at, &v, part);
        at += part;
        size -= part;
    }
}

/* ---- verdicts ---- */
void sim_fail(sim_world *w, const char *format, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(w->failure, sizeof w->failure, format, args);
    va_end(args);
    sim_say(w, "!!!", "%s", w->failure);
}

sim_node *sim_node_of(sim_world *w, const rove_entity *entity)
{
    for (unsigned i = 0; i < w->node_count; i++)
        if (rovei_entity_equal(&w->nodes[i].entity, entity))
            return &w->nodes[i];
    return NULL;
}

const char *sim_name_of(sim_world *w, const rove_entity *entity)
{
    const sim_node *n = sim_node_of(w, entity);
    return n ? n->name : "?";
}

/* ---- plans: a binary heap by (at, order) ---- */
static bool before(const sim_thing *a, const sim_thing *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_plan(sim_world *w, uint64_t at, sim_thing *t)
{
    t->at = at < w->now ? w->now : at;
    t->order = w->next_order++;
    if (w->heap_count == w->heap_room) {
        w->heap_room = w->heap_room ? w->heap_room * 2 : 256;
        w->heap = realloc(w->heap, w->heap_room * sizeof(sim_thing *));
        if (!w->heap)
            abort();
    }
    size_t i = w->heap_count++;
    while (i && before(t, w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = t;
}

static sim_thing *take_first(sim_world *w)
{
    sim_thing *first = w->heap[0];
    sim_thing *last = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && before(w->heap[child + 1], w->heap[child]))
            child++;
        if (!before(w->heap[child], last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->heap_count)
        w->heap[i] = last;
    return first;
}

typedef struct call_thing {
    sim_thing thing;
    void (*call)(sim_world *w, void *user);
    void *user;
} call_thing;

static void run_call(sim_world *w, sim_thing *t)
{
    call_thing *c = (call_thing *)t;
    c->call(w, c->user);
    free(c);
}

void sim_plan_call(sim_world *w, uint64_t at, void (*call)(sim_world *w, void *user), void *user)
{
    call_thing *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->thing.run = run_call;
    c->call = call;
    c->user = user;
    sim_plan(w, at, &c->thing);
}

/* ---- nodes ---- */
rovei_now sim_now(const sim_node *n)
{
    const sim_world *w = n->world;
    /* Clocks of different nodes have nothing in common but their speed. */
    rovei_now now = {.mono = w->now + (n->index + 1) * 1000 * ROVE_SECOND + n->life};
    now.wall = EPOCH_WALL + w->now + (uint64_t)n->wall_skew;
    return now;
}

bool sim_node_dials(const sim_node *n, const sim_node *to)
{
    const sim_world *w = n->world;
    return !w->scripted && to != n && !sim_bridge_between(n, to) &&
           (w->full_mesh || (to->index + 1) % w->node_count == n->index);
}

void sim_node_connect(sim_node *n, sim_node *to)
{
    const rovei_addr addr = sim_home_addr(to);
    rove_err err = rovei_mesh_connect(rovei_node_mesh(n->core), sim_now(n), &to->entity, &addr);
    if (err)
        sim_fail(n->world, "%s cannot dial %s: %s", n->name, to->name, rove_err_name(err));
    sim_pump(n);
}

void sim_node_start(sim_node *n)
{
    sim_world *w = n->world;
    n->life++;
    n->up = true;
    n->datagrams_given = 0;
    memset(n->epochs, 0, sizeof n->epochs);
    int64_t skew = (int64_t)sim_rng_below(&w->rng[SIM_FOR_CLOCKS], 3 * ROVE_SECOND);
    n->wall_skew = w->scripted ? 0 : skew - (int64_t)(3 * ROVE_SECOND / 2);
    rovei_now now = sim_now(n);
    n->incarnation = now.wall > n->incarnation ? now.wall : n->incarnation + 1;
    n->entropy = sim_rng_of(w->seed, SIM_FOR_ENTROPY + 16 * n->index + n->life * 256);
    n->env = (rovei_env){.alloc = w->alloc, .slab = w->slab, .limits = w->limits};
    n->env.rng = (rovei_rng){entropy_fill, &n->entropy};
    if (w->tight)
        sim_limits_of_node(n);
    if (rovei_keypair_from_seed(&n->identity, &n->env, n->seed))
        abort();
    n->entity = *rovei_keypair_entity(n->identity);
    rovei_node_config cfg = {.env = &n->env,
                             .identity = n->identity,
                             .incarnation = n->incarnation,
                             .handshake_time = n->handshake_time,
                             .addrs = {sim_home_addr(n)},
                             .addr_count = 1,
                             .ask_policy = true,
                             .net = sim_bridged(w)};
    memcpy(cfg.psk, w->psk, sizeof cfg.psk);
    rove_err err = rovei_node_new(&n->core, &cfg, now);
    if (err) {
        n->up = false;
        sim_fail(w, "%s does not start: %s", n->name, rove_err_name(err));
        return;
    }
    rovei_node_set_tap(n->core, &n->tap);
    sim_publishing_start(n);
    sim_say(w, n->name, "starts, life %u", n->life);
    if (sim_bridged(w))
        sim_bridge_list(n);
    for (unsigned i = 0; i < w->node_count; i++)
        if (sim_node_dials(n, &w->nodes[i]))
            sim_node_connect(n, &w->nodes[i]);
    sim_pump(n);
}

/* Takes the node's core and cells down without a word to anybody. */
static void node_drop(sim_node *n)
{
    sim_check_packets(n);
    sim_clients_node_gone(n);
    sim_cells_drop(n);
    if (n->core) {
        rovei_node_stats st = rovei_node_stats_get(n->core);
        sim_totals *t = &n->world->totals;
        t->events_resent += st.events_resent;
        t->redirects += st.redirects;
        sim_publishing_drop(n);
        rovei_mesh_stats mesh = rovei_mesh_stats_get(rovei_node_mesh(n->core));
        t->rekeys += mesh.rekeys;
        t->paths += mesh.paths;
        t->cookies += mesh.drops[ROVEI_DROP_UNPROVED];
        rovei_node_set_tap(n->core, NULL);
    }
    rovei_node_free(n->core);
    n->core = NULL;
    rovei_keypair_unref(n->identity);
    n->identity = NULL;
    n->up = false;
}

void sim_node_crash(sim_node *n)
{
    sim_world *w = n->world;
    sim_say(w, n->name, "crashes");
    w->totals.crashes++;
    sim_check_crash(n, false);
    node_drop(n);
}

void sim_node_shutdown(sim_node *n)
{
    sim_say(n->world, n->name, "shuts down");
    sim_check_crash(n, true);
    rovei_node_shutdown(n->core, sim_now(n));
    sim_pump(n);
}

static void note(sim_node *n, rovei_note *note)
{
    switch (note->kind) {
    case ROVEI_NOTE_HANDSHAKE_TIME:
        if (note->value < n->handshake_time)
            sim_fail(n->world, "%s: the time of message 1 went back", n->name);
        n->handshake_time = note->value;
        break;
    case ROVEI_NOTE_PEER:
        break;
    case ROVEI_NOTE_SPAWNED:
    case ROVEI_NOTE_MOVE:
    case ROVEI_NOTE_MOVE_ENDED:
    case ROVEI_NOTE_FORCED:
    case ROVEI_NOTE_ASIDE:
    case ROVEI_NOTE_CHANNEL_ROOM:
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
    case ROVEI_NOTE_SPAWNED_THERE:
    case ROVEI_NOTE_APPLIED:
    case ROVEI_NOTE_REFUSED:
    case ROVEI_NOTE_UNKNOWN:
    case ROVEI_NOTE_LOST:
    case ROVEI_NOTE_ROOM:
    case ROVEI_NOTE_UNREACHABLE:
    case ROVEI_NOTE_REACHED:
    case ROVEI_NOTE_SENDER_ENDED:
        sim_work_note(n, note);
        break;
    }
    rovei_note_fini(note);
}

void sim_pump(sim_node *n)
{
    sim_world *w = n->world;
    if (!n->up)
        return;
    rovei_now now = sim_now(n);
    sim_core_enter(w);
    rovei_node_turn(n->core, now);
    sim_core_leave(w);
    rovei_effect e;
    while (rovei_node_poll_effect(n->core, &e))
        sim_cells_effect(n, &e);
    rovei_note said;
    while (rovei_node_poll_note(n->core, &said))
        note(n, &said);
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr to;
    size_t size;
    for (;;) {
        sim_core_enter(w);
        size = rovei_node_transmit(n->core, now, bytes, sizeof bytes, &to);
        sim_core_leave(w);
        if (!size)
            break;
        sim_net_send(w, n, &to, bytes, size);
    }
    sim_check_node(n);
}

/* ---- steps ---- */
static sim_node *first_deadline(sim_world *w, uint64_t *ret_at)
{
    sim_node *first = NULL;
    uint64_t least = ROVE_TIME_NEVER;
    for (unsigned i = 0; i < w->node_count; i++) {
        sim_node *n = &w->nodes[i];
        if (!n->up)
            continue;
        uint64_t mono = rovei_node_deadline(n->core);
        if (mono == ROVE_TIME_NEVER)
            continue;
        uint64_t offset = sim_now(n).mono - w->now;
        uint64_t at = mono > offset ? mono - offset : 0;
        if (at < least) {
            least = at;
            first = n;
        }
    }
    *ret_at = least < w->now ? w->now : least;
    return first;
}

static void advance(sim_world *w, uint64_t at)
{
    if (at > w->now) {
        w->now = at;
        w->steps_at_now = 0;
    } else if (++w->steps_at_now > STEPS_AT_ONE) {
        sim_fail(w, "time stands still: %d steps at one moment", STEPS_AT_ONE);
    }
}

/* One step that is due until `until`. */
static bool step_until(sim_world *w, uint64_t until)
{
    if (w->failed)
        return false;
    uint64_t timer_at;
    sim_node *n = first_deadline(w, &timer_at);
    uint64_t thing_at = w->heap_count ? w->heap[0]->at : ROVE_TIME_NEVER;
    if (!n && !w->heap_count)
        return false;
    if ((n && timer_at < thing_at ? timer_at : thing_at) > until)
        return false;
    w->steps++;
    if (n && timer_at < thing_at) {
        advance(w, timer_at);
        sim_core_enter(w);
        rovei_node_expire(n->core, sim_now(n));
        sim_core_leave(w);
        sim_pump(n);
    } else {
        sim_thing *t = take_first(w);
        advance(w, t->at);
        t->run(w, t);
    }
    sim_check_world(w);
    return !w->failed;
}

bool sim_step(sim_world *w)
{
    return step_until(w, ROVE_TIME_NEVER - 1);
}

bool sim_run(sim_world *w, uint64_t until)
{
    while (step_until(w, until))
        ;
    if (!w->failed && w->now < until)
        w->now = until;
    return !w->failed;
}

/* ---- birth and end ---- */
sim_world *sim_world_new(const sim_shape *shape)
{
    sim_world *w = calloc(1, sizeof *w);
    if (!w || rovei_crypto_init())
        abort();
    w->seed = shape->seed;
    w->scripted = shape->scripted;
    w->guest = shape->guest;
    w->now = ROVE_SECOND;
    w->totals.seeds = 1;
    sim_story_init(&w->story);
    w->story.echo = shape->echo;
    w->story.history = shape->history;
    w->alloc = (rove_alloc){counted_alloc, counted_realloc, counted_free, &w->memory};
    if (rovei_slab_new(&w->slab, &w->alloc))
        abort();
    for (unsigned i = 1; i < SIM_FOR_ENTROPY; i++)
        w->rng[i] = sim_rng_of(w->seed, i);
    w->memory.rng = w->rng[SIM_FOR_MEMORY];
    sim_net_init(w);
    sim_limits(w);
    w->node_count = shape->nodes;
    if (!w->node_count)
        w->node_count = (unsigned)sim_rng_between(&w->rng[SIM_FOR_SHAPE], 2, SIM_NODES_MAX);
    w->full_mesh = sim_rng_chance(&w->rng[SIM_FOR_SHAPE], 8000);
    entropy_fill(&w->rng[SIM_FOR_KEYS], w->psk, sizeof w->psk);
    for (unsigned i = 0; i < w->node_count; i++) {
        sim_node *n = &w->nodes[i];
        n->world = w;
        n->index = i;
        n->name[0] = (char)('A' + i);
        n->addr = sim_home_addr(n);
        n->tap = (rovei_node_tap){sim_check_tap, n};
        struct rovei_env env = {.alloc = w->alloc, .slab = w->slab, .limits = w->limits};
        bool reserved = true;
        while (reserved) { /* as `rove id new` does: not every key may be a node's */
            entropy_fill(&w->rng[SIM_FOR_KEYS], n->seed, sizeof n->seed);
            rovei_keypair *k;
            if (rovei_keypair_from_seed(&k, &env, n->seed))
                abort();
            n->entity = *rovei_keypair_entity(k);
            reserved = rovei_node_id_is_reserved(rovei_keypair_node_id(k));
            rovei_keypair_unref(k);
        }
    }
    sim_bridge_draw(w);
    w->publishes = !w->scripted && !w->tight && !w->guest && !sim_bridged(w);
    for (unsigned i = 0; i < w->node_count; i++)
        sim_node_start(&w->nodes[i]);
    return w;
}

bool sim_world_close(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        if (w->nodes[i].up)
            node_drop(&w->nodes[i]);
    while (w->heap_count) {
        sim_thing *t = w->heap[--w->heap_count];
        if (t->drop)
            t->drop(w, t);
        else
            free(t);
    }
    sim_net_fini(w);
    sim_stranger_free(w);
    sim_clients_free(w);
    sim_truth_free(w);
    if (rovei_slab_used(w->slab))
        sim_fail(w, "%zu secrets are left when everything is freed", rovei_slab_used(w->slab));
    else
        rovei_slab_free(w->slab);
    if (w->memory.blocks)
        sim_fail(w, "%llu blocks (%llu bytes) are left when everything is freed",
                 (unsigned long long)w->memory.blocks, (unsigned long long)w->memory.bytes);
    return !w->failed;
}

void sim_world_free(sim_world *w)
{
    free(w->heap);
    free(w->attempts);
    sim_story_fini(&w->story);
    free(w);
}
