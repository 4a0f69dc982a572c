/* SPDX-License-Identifier: Apache-2.0
 *
 * The stranger. It knows of every move that is under way, so that its lies fit. */
#include "stranger.h"
#include "bridge.h"
#include "check.h"
#include <crypto/crypto.h>
#include <migration/net_codec.h>
#include <net/net.h>
#include <stdlib.h>
#include <string.h>

#define MS      ROVE_MILLISECOND
#define TICK    (10 * MS)
#define ENTROPY 2001
#define LIES    2002
#define CLOCK   (100000 * ROVE_SECOND) /* its clock has nothing in common with the others' */

struct sim_stranger {
    rovei_env env;
    sim_rng entropy, lies;
    rovei_keypair *identity;
    rovei_net *net;
    uint64_t until;
};

static void entropy_fill(void *user, void *ret, size_t size)
{
    uint8_t *at = ret;
    while (size--)
        *at++ = (uint8_t)sim_rng_u64(user);
}

static rovei_now now_of(const sim_world *w)
{
    return (rovei_now){.mono = CLOCK + w->now, .wall = CLOCK + w->now};
}

rovei_addr sim_stranger_addr(void)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, 99}, .port = 4000};
}

/* ---- datagrams ---- */

static void pump(sim_world *w)
{
    sim_stranger *s = w->stranger;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr to, from = sim_stranger_addr();
    rovei_net_event e;
    while (rovei_net_poll(s->net, &e))
        rove_buf_unref(e.message);
    for (size_t size; (size = rovei_net_transmit(s->net, now_of(w), bytes, sizeof bytes, &to));)
        sim_net_post(w, SIM_NET_STRANGER, 1, &from, &to, bytes, size);
}

void sim_stranger_receive(sim_world *w, sim_datagram *d)
{
    rovei_net_receive(w->stranger->net, now_of(w), &d->from_addr, d->bytes, d->size);
    pump(w);
}

/* ---- lies ---- */

/* A move across that is under way, or was. */
static const sim_attempt *some_move(sim_world *w)
{
    sim_rng *r = &w->stranger->lies;
    for (unsigned tries = 0; w->attempt_count && tries < 8; tries++) {
        size_t back = sim_rng_below(r, w->attempt_count < 6 ? w->attempt_count : 6);
        const sim_attempt *a = &w->attempts[w->attempt_count - 1 - back];
        if (sim_bridge_between(a->source, a->target))
            return a;
    }
    return NULL;
}

static rovei_netmove_message lie(sim_world *w, const sim_attempt *a)
{
    sim_rng *r = &w->stranger->lies;
    const sim_daemon *d = a->daemon;
    static const uint8_t garbage[100] = {'S', 'T', 'A', 'T'};
    rovei_netmove_message m = {.origin = d->origin};
    const sim_output *last = d->output_count ? &d->outputs[d->output_count - 1] : NULL;
    m.type = (rovei_netmove_type)sim_rng_below(r, ROVEI_NETMOVE_TYPES);
    if (sim_rng_chance(r, 4000)) /* those that would end something */
        m.type =
            sim_rng_chance(r, 5000) ? ROVEI_NETMOVE_CUTOVER_NOTIFY : ROVEI_NETMOVE_MIGRATION_FAILED;
    switch (m.type) {
    case ROVEI_NETMOVE_TAKE_SNAPSHOT:
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        m.node = rovei_entity_node_id(&a->target->entity);
        break;
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        m.chunk = (rovei_netmove_chunk){
            .seq_through = last ? last->link.sequence : 0,
            .total = (uint32_t)sim_rng_between(r, 1, 3),
            .bytes = {garbage, sim_rng_below(r, sizeof garbage)},
        };
        m.chunk.index = (uint32_t)sim_rng_below(r, m.chunk.total);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        m.sequence = last ? last->link.sequence : 0;
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        m.replayed.sequence = last ? last->link.sequence : 0;
        m.replayed.head = last ? last->link : (rove_link){.origin = d->origin};
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
        m.failed.text = (rove_span){SIM_STRANGER_WORDS, strlen(SIM_STRANGER_WORDS)};
        break;
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        break;
    }
    return m;
}

static void tell_a_lie(sim_world *w)
{
    sim_stranger *s = w->stranger;
    const sim_attempt *a = some_move(w);
    if (!a)
        return;
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    rovei_netmove_message m = lie(w, a);
    rovei_netmove_encode(&m, &out);
    const sim_node *to = sim_rng_chance(&s->lies, 6000) ? a->source : a->target;
    if (out.err ||
        rovei_net_send(s->net, now_of(w), rovei_entity_node_id(&to->entity),
                       ROVEI_NETMOVE_SUBPROTOCOL, (rove_span){bytes, rovei_writer_size(&out)}))
        return;
    w->totals.net_forged++;
    sim_say(w, "?", "-> %s: %s of %s", to->name, rovei_netmove_type_name(m.type), a->daemon->name);
}

static void tick(sim_world *w, void *user)
{
    (void)user;
    sim_stranger *s = w->stranger;
    if (rovei_net_deadline(s->net) <= now_of(w).mono)
        rovei_net_expire(s->net, now_of(w));
    if (w->now < s->until)
        for (uint64_t n = sim_rng_below(&s->lies, 4); n--;)
            tell_a_lie(w);
    pump(w);
    sim_plan_call(w, w->now + TICK, tick, NULL);
}

/* ---- life ---- */

void sim_stranger_new(sim_world *w)
{
    sim_stranger *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    uint8_t seed[32];
    s->entropy = sim_rng_of(w->seed, ENTROPY);
    s->lies = sim_rng_of(w->seed, LIES);
    s->env = (rovei_env){.alloc = w->alloc, .slab = w->slab, .limits = w->limits};
    s->env.rng = (rovei_rng){entropy_fill, &s->entropy};
    rovei_net_config cfg = {.env = &s->env};
    do {
        rovei_keypair_unref(s->identity);
        entropy_fill(&s->entropy, seed, sizeof seed);
        if (rovei_keypair_from_seed(&s->identity, &s->env, seed))
            abort();
    } while (rovei_node_id_is_reserved(rovei_keypair_node_id(s->identity)));
    cfg.identity = s->identity;
    memcpy(cfg.psk, w->psk, sizeof cfg.psk);
    if (rovei_net_new(&s->net, &cfg, now_of(w)))
        abort();
    w->stranger = s;
    sim_plan_call(w, w->now + TICK, tick, NULL);
}

void sim_stranger_free(sim_world *w)
{
    sim_stranger *s = w->stranger;
    if (!s)
        return;
    rovei_net_free(s->net);
    rovei_keypair_unref(s->identity);
    free(s);
    w->stranger = NULL;
}

void sim_stranger_list(sim_stranger *s, sim_node *n)
{
    rovei_net_listing it = {.node_id = rovei_keypair_node_id(s->identity)};
    rovei_net_listing me = {.node_id = rovei_entity_node_id(&n->entity),
                            .has_key = true,
                            .has_addr = true,
                            .addr = sim_home_addr(n)};
    if (rovei_net_list(rovei_node_net(n->core), sim_now(n), &it) ||
        rovei_ed25519_image(me.key, &n->entity) || rovei_net_list(s->net, now_of(n->world), &me))
        sim_fail(n->world, "%s and the stranger cannot list each other", n->name);
}

bool sim_stranger_is(const sim_world *w, const rove_entity *peer)
{
    if (!w->stranger)
        return false;
    rove_entity it = rovei_entity_of_net(rovei_keypair_node_id(w->stranger->identity));
    return rovei_entity_equal(peer, &it);
}

void sim_stranger_begin(sim_world *w, uint64_t until)
{
    if (w->stranger)
        w->stranger->until = until;
}
