/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage of scenarios: messages put aside and handed in again, waits with a bound. */
#include "scenario.h"
#include "truth.h"
#include "words.h"
#include <stdlib.h>
#include <string.h>

#define RULES 32
#define KEPT  4096

typedef struct rule {
    sim_node *from, *to;
    uint16_t tag;
    unsigned type;
    sim_deed deed;
} rule;

typedef struct kept {
    sim_node *from, *to;
    uint16_t tag;
    unsigned type;
    size_t size;
    uint8_t *bytes;
} kept;

static rule rules[RULES];
static size_t rule_count;
static kept store[KEPT];
static size_t kept_count;

static bool see(sim_node *n, const rove_entity *to, const sim_message *m, rove_span bytes)
{
    const sim_node *target = sim_node_of(n->world, to);
    for (size_t i = 0; i < rule_count; i++) {
        const rule *r = &rules[i];
        if (r->from != n || r->to != target || r->tag != m->tag || (r->type && r->type != m->type))
            continue;
        if (kept_count < KEPT) {
            kept *k = &store[kept_count++];
            *k = (kept){.from = n,
                        .to = r->to,
                        .tag = m->tag,
                        .type = m->type,
                        .size = bytes.size,
                        .bytes = malloc(bytes.size + 1)};
            if (!k->bytes)
                abort();
            memcpy(k->bytes, bytes.data, bytes.size);
        }
        if (r->deed == SIM_SWALLOW)
            return true;
    }
    return false;
}

void sim_rule(sim_world *w, sim_node *from, sim_node *to, uint16_t tag, unsigned type,
              sim_deed deed)
{
    w->tap = see;
    if (rule_count == RULES)
        abort();
    rules[rule_count++] = (rule){from, to, tag, type, deed};
}

void sim_rules_clear(sim_world *w)
{
    w->tap = NULL;
    rule_count = 0;
}

void sim_stage_clear(void)
{
    for (size_t i = 0; i < kept_count; i++)
        free(store[i].bytes);
    kept_count = 0;
    rule_count = 0;
}

static bool is_one(const kept *k, const sim_node *from, const sim_node *to, uint16_t tag,
                   unsigned type)
{
    return k->from == from && k->to == to && k->tag == tag && (!type || k->type == type);
}

unsigned sim_kept(sim_world *w, const sim_node *from, const sim_node *to, uint16_t tag,
                  unsigned type)
{
    (void)w;
    unsigned n = 0;
    for (size_t i = 0; i < kept_count; i++)
        n += is_one(&store[i], from, to, tag, type);
    return n;
}

unsigned sim_inject(sim_world *w, sim_node *from, sim_node *to, uint16_t tag, unsigned type)
{
    unsigned n = 0;
    size_t count = kept_count; /* what is said meanwhile is not for now */
    for (size_t i = 0; i < count && to->up; i++) {
        const kept *k = &store[i];
        if (!is_one(k, from, to, tag, type))
            continue;
        rove_buf *message = rovei_buf_copy(&w->alloc, k->bytes, k->size);
        if (!message)
            abort();
        sim_message m;
        if (sim_message_read(w, tag, rove_buf_span(message), &m))
            sim_say(w, to->name, "<- %s: an old %s comes again", from->name, m.name);
        rovei_node_inject(to->core, sim_now(to), &from->entity, tag, message);
        rove_buf_unref(message);
        sim_pump(to);
        /* Time for the cells to do what follows from it. */
        sim_pass(w, ROVE_MILLISECOND);
        n++;
    }
    return n;
}

bool sim_until(sim_world *w, uint64_t bound, bool (*holds)(sim_world *w), const char *what)
{
    uint64_t until = w->now + bound;
    while (!w->failed && !holds(w)) {
        if (w->now >= until) {
            sim_fail(w, "the scenario does not get to: %s", what);
            return false;
        }
        sim_run(w, w->now + ROVE_MILLISECOND / 10);
    }
    return !w->failed;
}

void sim_pass(sim_world *w, uint64_t time)
{
    sim_run(w, w->now + time);
}

void sim_cut_pair(sim_world *w, sim_node *a, sim_node *b, bool cut)
{
    sim_say(w, NULL, "%s and %s are %s", a->name, b->name, cut ? "cut off" : "connected again");
    sim_net_cut(w, a->index, b->index, cut);
    sim_net_cut(w, b->index, a->index, cut);
}

static bool all_up(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++) {
            rovei_peer_info info;
            if (i != j &&
                (rovei_mesh_peer(rovei_node_mesh(w->nodes[i].core), &w->nodes[j].entity, &info) ||
                 info.state != ROVEI_PEER_UP))
                return false;
        }
    return true;
}

void sim_mesh_up(sim_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++)
        for (unsigned j = 0; j < w->node_count; j++)
            if (i != j)
                sim_node_connect(&w->nodes[i], &w->nodes[j]);
    sim_until(w, 5 * ROVE_SECOND, all_up, "sessions between all nodes");
}

void sim_return(sim_node *n)
{
    sim_world *w = n->world;
    sim_node_start(n);
    for (unsigned j = 0; j < w->node_count; j++)
        if (j != n->index)
            sim_node_connect(n, &w->nodes[j]);
}
