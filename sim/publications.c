/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to come of publishing: each publication once and in order, over all moves of a daemon,
 * through no closed gate, and to nobody who has left. */
#include "bridge.h"
#include "check.h"
#include "publishing.h"
#include "words.h"
#include <channel/channel_codec.h>
#include <channel/feeds.h>
#include <channel/publisher.h>
#include <inttypes.h>

/* What is in the mailbox of a cell when its daemon leaves a channel is still applied. */
#define LEAVES_WITHIN (2 * ROVE_SECOND)

/* ---- names: a mark, the seat (4 bits), the life (19), the number (40) ---- */

#define MARK    (UINT64_C(1) << 63)
#define NUMBERS UINT64_C(0xffffffffff)

uint64_t sim_publication(const sim_node *n, unsigned seat, uint64_t number)
{
    return MARK | (uint64_t)seat << 59 | (uint64_t)(n->life & 0x7ffff) << 40 | number;
}

bool sim_is_publication(uint64_t id)
{
    return (id & MARK) != 0;
}

unsigned sim_publication_seat(uint64_t id)
{
    return id >> 59 & 15;
}

uint64_t sim_publication_number(uint64_t id)
{
    return id & NUMBERS;
}

size_t sim_publication_size(uint64_t id)
{
    uint64_t h = id * UINT64_C(0x9e3779b97f4a7c15);
    return 8 + (size_t)(h >> 58) + (h % 13 == 0 ? 1100 : 0);
}

static bool same_channel(uint64_t a, uint64_t b)
{
    return (a & ~NUMBERS) == (b & ~NUMBERS);
}

/* ---- what is applied ---- */

/* The number of the last publication of the same channel in the daemon's line, behind its first
 * `since` events; 0: there is none. */
static uint64_t last_of(const sim_daemon *d, uint64_t id, size_t since)
{
    for (size_t i = d->applied_count; i-- > since;)
        if (sim_is_publication(d->applied[i]) && same_channel(d->applied[i], id))
            return sim_publication_number(d->applied[i]);
    return 0;
}

/* What the nodes have counted as lost, in all their lives. */
static uint64_t counted_lost(const sim_world *w)
{
    uint64_t lost = w->lost;
    for (unsigned i = 0; i < w->node_count; i++)
        if (w->nodes[i].up)
            lost += rovei_node_stats_get(w->nodes[i].core).feed_lost;
    return lost;
}

/* It has everything before `id`; what is missing has to be counted. */
static void judge_gap(sim_world *w, const sim_daemon *d, uint64_t id)
{
    const sim_seat *s = &d->seats[sim_publication_seat(id)];
    uint64_t number = sim_publication_number(id), last = last_of(d, id, s->since);
    if (!last && s->due && same_channel(s->due, id))
        last = sim_publication_number(s->due) - 1;
    else if (!last)
        return;
    if (number <= last + 1)
        return;
    w->left_out += number - last - 1;
    uint64_t lost = counted_lost(w);
    if (!w->forgets || w->left_out > lost)
        sim_fail(w,
                 "PUBLICATION LOST: %s misses %" PRIu64 " to %" PRIu64 " of %s; %" PRIu64
                 " of %" PRIu64 " are counted as lost",
                 d->name, last + 1, number - 1, w->nodes[sim_publication_seat(id) / 2].name, lost,
                 w->left_out);
}

bool sim_publishing_apply(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                          rove_span payload)
{
    uint64_t id = rovei_load64(payload.data), number = sim_publication_number(id);
    unsigned seat = sim_publication_seat(id);
    if (payload.size != sim_publication_size(id) || seat >= 2 * w->node_count) {
        sim_fail(w, "%s is given a publication that nobody published", d->name);
        return false;
    }
    const char *publisher = w->nodes[seat / 2].name;
    if (number <= last_of(d, id, 0))
        sim_fail(w, "PUBLICATION TWICE: %s applies %" PRIu64 " of %s to %s again", where->name,
                 number, publisher, d->name);
    if (d->seats[seat].left && w->now > d->seats[seat].left + LEAVES_WITHIN)
        sim_fail(w, "%s is fed with %" PRIu64 " of %s, which it has left", d->name, number,
                 publisher);
    judge_gap(w, d, id);
    sim_truth_continue(w, where, d, b, id);
    sim_say(w, where->name, "%s applies publication %" PRIu64 " on %s of %s", d->name, number,
            (const char *)sim_channel_name(seat).data, publisher);
    w->totals.publications_applied++;
    return number % 23 == 0;
}

void sim_publishing_cut(sim_daemon *d, size_t keep)
{
    /* What happened later than the state is of may be undone, and may not. */
    for (unsigned i = 0; i < SIM_SEATS; i++)
        if (d->seats[i].since >= keep)
            d->seats[i] = (sim_seat){.since = SIZE_MAX};
}

void sim_publishing_tap(const sim_node *n, const rove_entity *to, const sim_message *m)
{
    const sim_node *x = sim_node_of(n->world, to);
    if (m->tag != ROVEI_TAG_CHANNEL || m->type != ROVEI_CHANNEL_EVENTS || !x ||
        m->channel != sim_channel_hash(1))
        return;
    if (n->floors[x->index] > x->generation)
        sim_fail(n->world, "GATE: %s feeds %s, whose token it has revoked", n->name, x->name);
}

/* ---- when the faults are over ---- */

static bool linked(const sim_node *a, const sim_node *b)
{
    return a == b || sim_node_dials(a, b) || sim_node_dials(b, a);
}

static sim_node *node_of(sim_world *w, uint64_t node_id)
{
    for (unsigned i = 0; i < w->node_count; i++)
        if (rovei_entity_node_id(&w->nodes[i].entity) == node_id)
            return &w->nodes[i];
    return NULL;
}

static unsigned seat_of(const sim_node *publisher, const rovei_feed_info *f)
{
    return 2 * publisher->index +
           (f->channel.size && rovei_channel_hash(f->channel) == sim_channel_hash(1));
}

static bool is_settled(sim_world *w, const sim_node *host, const rovei_feed_info *f)
{
    const sim_node *n = node_of(w, f->publisher);
    rovei_channel_info info;
    if (!n || !n->up || !linked(host, n))
        return true; /* its publisher does not return, or was never met */
    if ((seat_of(n, f) & 1) && n->floors[host->index] > host->generation)
        return f->state == ROVEI_FEED_UNBOUND;
    if ((seat_of(n, f) & 1) && host->floors[host->index] > host->generation &&
        f->state == ROVEI_FEED_UNBOUND)
        return true; /* it does not offer what it has revoked itself */
    return !rovei_channels_get(n->core, f->channel, &info) && f->state == ROVEI_FEED_BOUND &&
           f->incarnation == info.incarnation && f->position == info.next - 1;
}

/* Whether a daemon on `n` has a subscription there. */
static bool has_use(sim_world *w, const sim_node *n, const sim_node *publisher, unsigned seat)
{
    for (unsigned i = 0; i < w->daemon_count; i++) {
        rovei_feed_info f;
        size_t it = 0;
        while (rovei_feeds_next(n->core, &w->daemons[i]->entity, &it, &f))
            if (node_of(w, f.publisher) == publisher && seat_of(publisher, &f) == seat)
                return true;
    }
    return false;
}

/* Nobody stays a member whose daemons have left, or have never come. */
static bool members_settled(sim_world *w, bool tell)
{
    bool fine = true;
    for (unsigned seat = 0; seat < 2 * w->node_count; seat++) {
        const sim_node *n = &w->nodes[seat / 2];
        rovei_member_info m;
        size_t it = 0;
        while (n->up && rovei_channels_member_next(n->core, sim_channel_name(seat), &it, &m)) {
            const sim_node *x = sim_node_of(w, &m.peer);
            if (!x || !x->up || !linked(n, x) || has_use(w, x, n, seat))
                continue;
            if (w->memory.refused) /* for want of it what ends a membership may be unsaid */
                continue;
            fine = false;
            if (tell)
                sim_say(w, n->name, "feeds %s on %s for nobody", x->name,
                        (const char *)sim_channel_name(seat).data);
        }
    }
    return fine;
}

static void tell_member(sim_world *w, const sim_node *host, const rovei_feed_info *f)
{
    const sim_node *n = node_of(w, f->publisher);
    rovei_channel_info info;
    rovei_member_info m;
    size_t it = 0;
    if (!n || !n->up || rovei_channels_get(n->core, f->channel, &info))
        return;
    sim_say(w, n->name, "publishes %" PRIu64 " next, %s life", info.next,
            info.incarnation == f->incarnation ? "of that" : "of another");
    while (rovei_channels_member_next(n->core, f->channel, &it, &m))
        if (rovei_entity_equal(&m.peer, &host->entity))
            sim_say(w, n->name, "has sent %s up to %" PRIu64 ", it took %" PRIu64, host->name,
                    m.next - 1, m.took);
}

/* All subscriptions of daemons that are served. */
static bool feeds_settled(sim_world *w, bool tell)
{
    bool fine = true;
    for (unsigned i = 0; i < w->daemon_count; i++) {
        const sim_node *host = sim_check_host(w, w->daemons[i]);
        rovei_feed_info f;
        size_t it = 0;
        while (host && rovei_feeds_next(host->core, &w->daemons[i]->entity, &it, &f)) {
            if (is_settled(w, host, &f))
                continue;
            fine = false;
            if (!tell)
                continue;
            sim_say(w, host->name, "%s stands badly: state %d, %s, position %" PRIu64 " on %.*s",
                    w->daemons[i]->name, (int)f.state, rove_err_name(f.err), f.position,
                    (int)f.channel.size, (const char *)f.channel.data);
            tell_member(w, host, &f);
        }
    }
    return fine;
}

bool sim_publishing_rest(sim_world *w)
{
    return !w->publishes || (feeds_settled(w, false) && members_settled(w, false));
}

void sim_publishing_unrest(sim_world *w)
{
    if (!w->publishes)
        return;
    (void)feeds_settled(w, true);
    (void)members_settled(w, true);
}

/* What a subscription that stands well has given to its daemon. */
static void check_end(sim_world *w, const sim_daemon *d, const sim_node *publisher,
                      const rovei_feed_info *f)
{
    unsigned seat = seat_of(publisher, f);
    if (f->state == ROVEI_FEED_BOUND && d->seats[seat].member && publisher->up)
        judge_gap(w, d, sim_publication(publisher, seat, f->position + 1));
}

void sim_publishing_check(sim_world *w)
{
    for (unsigned i = 0; i < w->daemon_count && w->publishes && !w->failed; i++) {
        const sim_daemon *d = w->daemons[i];
        const sim_node *host = sim_check_host(w, d);
        uint32_t found = 0;
        rovei_feed_info f;
        size_t it = 0;
        while (host && rovei_feeds_next(host->core, &d->entity, &it, &f)) {
            const sim_node *n = node_of(w, f.publisher);
            if (!n)
                continue;
            found |= 1u << seat_of(n, &f);
            check_end(w, d, n, &f);
        }
        /* A state that goes back may be from before it subscribed. */
        for (unsigned seat = 0; host && !d->cut && !d->crashed && seat < SIM_SEATS; seat++)
            if (d->seats[seat].member && !(found >> seat & 1))
                sim_fail(w, "%s has lost a subscription on its way", d->name);
    }
    if (w->publishes && !w->forgets && counted_lost(w))
        sim_fail(w, "publications that are kept are counted as lost");
}
