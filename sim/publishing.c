/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels, tokens, subscriptions and publications: what is done. */
#include "publishing.h"
#include "bridge.h"
#include "check.h"
#include <channel/feeds.h>
#include <channel/publisher.h>
#include <identity/token.h>
#include <inttypes.h>
#include <node/tokens.h>
#include <stdlib.h>
#include <string.h>

#define MS   ROVE_MILLISECOND
#define LINE "sim/line"
#define GATE "sim/gate"

typedef struct publishing {
    sim_thing thing;
    uint64_t until, gap;
    sim_rng rng;
} publishing;

rove_span sim_channel_name(unsigned seat)
{
    return seat & 1 ? (rove_span){GATE, strlen(GATE)} : (rove_span){LINE, strlen(LINE)};
}

uint64_t sim_channel_hash(unsigned seat)
{
    return rovei_channel_hash(sim_channel_name(seat));
}

void sim_publishing_limits(sim_world *w)
{
    sim_rng r = sim_rng_of(w->seed, 2000);
    rove_limits *l = &w->limits;
    if (w->scripted)
        return;
    l->rebind_retry = sim_rng_between(&r, 50, 400) * MS;
    l->rebind_wait = sim_rng_between(&r, 0, 600) * MS;
    l->membership_ack_wait = sim_rng_between(&r, 300, 2000) * MS;
    l->auth_throttle = 3 * ROVE_SECOND;
    l->token_sweep_interval = sim_rng_between(&r, 500, 9000) * MS;
    l->channel_keep = sim_rng_between(&r, 2000, 20000) * MS;
    if (sim_rng_chance(&r, 5000)) {
        l->channel_window = sim_rng_between(&r, 1, 40);
        l->channel_window_bytes = sim_rng_between(&r, 64, 8000);
    }
    w->forgets = sim_rng_chance(&r, 2000);
    if (w->forgets)
        l->channel_history = sim_rng_between(&r, 1, 60);
}

/* ---- tokens ---- */

/* Each node is the issuer of its own token, so that they are revoked one by one. */
static rove_token_chain token_of(const sim_node *n, uint32_t generation)
{
    rove_token_chain chain = {.count = 1};
    rovei_token_grant g = {.subject = n->entity,
                           .channel = sim_channel_hash(1),
                           .not_before = sim_now(n).wall / ROVE_SECOND - 3600,
                           .life = 86400,
                           .scope = ROVE_SCOPE_PUBLISH | ROVE_SCOPE_SUBSCRIBE,
                           .generation = generation};
    if (rovei_token_issue(&chain.links[0], &n->env.rng, n->identity, &g))
        abort();
    return chain;
}

static void raise_floor(sim_node *at, const sim_node *of)
{
    if (!at->up || !at->floors[of->index])
        return;
    struct rovei_tokens *t = rovei_node_tokens(at->core);
    if (rovei_token_floors_raise(&t->floors, &of->entity, at->floors[of->index]))
        abort();
    rovei_channels_judge(at->core, sim_now(at));
}

static void hold_token(sim_node *n)
{
    rove_token_chain chain = token_of(n, n->generation);
    if (rovei_token_cache_insert(&rovei_node_tokens(n->core)->cache, &chain))
        abort();
}

static void revoke(publishing *p, sim_world *w)
{
    sim_node *n = &w->nodes[sim_rng_below(&p->rng, w->node_count)];
    const sim_node *of = &w->nodes[sim_rng_below(&p->rng, w->node_count)];
    if (!n->up)
        return;
    n->floors[of->index] = of->generation + 1;
    raise_floor(n, of);
    w->totals.tokens_revoked++;
    sim_say(w, n->name, "revokes the token of %s", of->name);
    sim_pump(n);
}

/* What it had is revoked by itself, which issued it. */
static void renew(publishing *p, sim_world *w)
{
    sim_node *n = &w->nodes[sim_rng_below(&p->rng, w->node_count)];
    n->floors[n->index] = ++n->generation;
    sim_say(w, n->name, "has a new token");
    if (!n->up)
        return;
    raise_floor(n, n);
    hold_token(n);
    sim_pump(n);
}

/* ---- channels ---- */

void sim_publishing_start(sim_node *n)
{
    sim_world *w = n->world;
    rove_entity roots[SIM_NODES_MAX];
    if (!w->publishes)
        return;
    for (unsigned i = 0; i < w->node_count; i++)
        roots[i] = w->nodes[i].entity;
    for (unsigned seat = 0; seat < 2; seat++) {
        rovei_channel_config c = {
            .name = sim_channel_name(seat), .roots = roots, .root_count = seat ? w->node_count : 0};
        rove_err err = rovei_channels_create(n->core, sim_now(n), &c, false);
        if (err)
            sim_fail(w, "%s cannot make its channel: %s", n->name, rove_err_name(err));
    }
    hold_token(n);
    for (unsigned i = 0; i < w->node_count; i++)
        raise_floor(n, &w->nodes[i]);
}

void sim_publishing_drop(sim_node *n)
{
    n->world->lost += rovei_node_stats_get(n->core).feed_lost;
}

static void publish_one(sim_node *n, unsigned seat, uint64_t number)
{
    sim_world *w = n->world;
    uint64_t id = sim_publication(n, seat, number);
    size_t size = sim_publication_size(id);
    rove_buf *payload = rovei_buf_alloc(&w->alloc, size);
    if (!payload)
        abort();
    memset(rovei_buf_data(payload), (int)(id & 0xff), size);
    rovei_store64(rovei_buf_data(payload), id);
    rove_span event = rove_buf_span(payload);
    rovei_publish p = {
        .channel = sim_channel_name(seat), .events = &event, .count = 1, .owner = payload};
    rovei_publish_report report = {0};
    rove_err err = rovei_channels_publish(n->core, sim_now(n), &p, &report);
    rove_buf_unref(payload);
    if (report.first && report.first != number)
        sim_fail(w, "%s publishes %" PRIu64 " as %" PRIu64, n->name, number, report.first);
    if (report.first && (seat & 1) && n->floors[n->index] > n->generation)
        sim_fail(w, "GATE: %s publishes without a token that holds", n->name);
    sim_say(w, n->name, "publishes %" PRIu64 " on %s: %s", number,
            (const char *)sim_channel_name(seat).data, rove_err_name(err));
    w->totals.published += report.first != 0;
}

static void publish(sim_node *n, unsigned seat, unsigned count)
{
    rovei_channel_info info;
    if (rovei_channels_get(n->core, sim_channel_name(seat), &info)) {
        sim_fail(n->world, "%s has lost its channel", n->name);
        return;
    }
    for (uint64_t number = info.next; count--; number++)
        publish_one(n, seat, number);
}

/* ---- orders ---- */

/* An order carries the seat; what it asked for without a right is not to be given. */
static void order(publishing *p, sim_world *w, bool join)
{
    if (!w->daemon_count)
        return;
    sim_daemon *d = w->daemons[sim_rng_below(&p->rng, w->daemon_count)];
    unsigned seat = (unsigned)sim_rng_below(&p->rng, 2 * w->node_count);
    const sim_node *to = &w->nodes[seat / 2];
    sim_node *host = sim_check_host(w, d);
    sim_seat *s = &d->seats[seat];
    if (!host || d->stopping)
        return;
    rovei_feed_order o = {.daemon = &d->entity,
                          .publisher = rovei_entity_node_id(&to->entity),
                          .channel = sim_channel_name(seat),
                          .request = seat + 1};
    bool hopeless = false;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    if (join && (seat & 1)) {
        const sim_node *of = &w->nodes[sim_rng_below(&p->rng, w->node_count)];
        if (!of->up || sim_rng_chance(&p->rng, 9000))
            of = host;
        rove_token_chain chain = token_of(of, of->generation);
        if (sim_rng_chance(&p->rng, 9500))
            o.token = (rove_span){bytes, rovei_token_chain_encode(&chain, bytes)};
        hopeless = !o.token.size || of != host || to->floors[host->index] > host->generation;
    }
    rove_err err = join ? rovei_feeds_subscribe(host->core, sim_now(host), &o)
                        : rovei_feeds_unsubscribe(host->core, sim_now(host), &o);
    sim_say(w, host->name, "%s %s %s of %s: %s", d->name, join ? "subscribes to" : "leaves",
            (const char *)o.channel.data, to->name, rove_err_name(err));
    if (!err && join) {
        s->hopeless = hopeless;
        s->left = 0;
    }
    sim_pump(host);
}

/* The publication that comes next in the life of the publisher that it is a member of; 0 when that
 * has ended meanwhile. */
static uint64_t due_of(const sim_node *host, const sim_daemon *d, unsigned seat, const sim_node *to)
{
    rovei_channel_info info;
    rovei_feed_info f;
    size_t it = 0;
    if (!to->up || rovei_channels_get(to->core, sim_channel_name(seat), &info))
        return 0;
    while (rovei_feeds_next(host->core, &d->entity, &it, &f)) {
        if (f.publisher != rovei_entity_node_id(&to->entity) ||
            rovei_channel_hash(f.channel) != sim_channel_hash(seat))
            continue;
        if (!f.incarnation)
            sim_fail(to->world, "%s hears that it is a member at %s, and has no place", d->name,
                     to->name);
        return f.incarnation == info.incarnation ? sim_publication(to, seat, info.next) : 0;
    }
    return 0;
}

static void subscribed(const sim_node *host, sim_daemon *d, unsigned seat, const sim_node *to)
{
    sim_seat *s = &d->seats[seat];
    if (s->hopeless)
        sim_fail(to->world, "GATE: %s is a member at %s without a right", d->name, to->name);
    to->world->totals.subscribed++;
    if (!s->member) {
        s->since = d->applied_count;
        s->due = due_of(host, d, seat, to);
    }
    s->member = true;
}

void sim_publishing_note(sim_node *n, const rovei_note *note)
{
    sim_world *w = n->world;
    sim_daemon *d = sim_daemon_of(w, &note->daemon);
    unsigned seat = (unsigned)note->request - 1;
    if (!d || !note->request || note->request > 2 * w->node_count)
        return;
    const sim_node *to = &w->nodes[seat / 2];
    bool join = note->kind == ROVEI_NOTE_SUBSCRIBED;
    sim_say(w, n->name, "%s %s %s of %s: %s", d->name, join ? "is a member of" : "has left",
            (const char *)sim_channel_name(seat).data, to->name, rove_err_name(note->err));
    if (note->err)
        return;
    if (join) {
        subscribed(n, d, seat, to);
        return;
    }
    w->totals.unsubscribed++;
    d->seats[seat] = (sim_seat){.since = d->applied_count, .left = w->now};
}

/* ---- what goes on ---- */

static void deed(publishing *p, sim_world *w)
{
    uint64_t pick = sim_rng_below(&p->rng, 10000);
    sim_node *n = &w->nodes[sim_rng_below(&p->rng, w->node_count)];
    if (pick < 1500) {
        order(p, w, true);
    } else if (pick < 1750) {
        order(p, w, false);
    } else if (pick < 1850) {
        revoke(p, w);
    } else if (pick < 2000) {
        renew(p, w);
    } else if (n->up) {
        unsigned count = (unsigned)sim_rng_between(&p->rng, 1, pick < 2400 ? 30 : 3);
        publish(n, 2 * n->index + (pick & 1), count);
        sim_pump(n);
    }
}

static void run(sim_world *w, sim_thing *t)
{
    publishing *p = (publishing *)t;
    if (w->now >= p->until) {
        free(p);
        return;
    }
    deed(p, w);
    sim_plan(w, w->now + 1 + sim_rng_below(&p->rng, 2 * p->gap), &p->thing);
}

void sim_publishing_begin(sim_world *w, uint64_t until)
{
    if (!w->publishes)
        return;
    publishing *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->thing.run = run;
    p->until = until;
    p->rng = w->rng[SIM_FOR_PUBLISHING];
    p->gap = sim_rng_between(&p->rng, 5, 60) * MS;
    sim_plan(w, w->now + 100 * MS, &p->thing);
}
