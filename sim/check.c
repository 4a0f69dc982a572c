/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants after every step. */
#include "check.h"
#include "bridge.h"
#include "cells.h"
#include "publishing.h"
#include "words.h"
#include "workload.h"
#include <inttypes.h>
#include <migration/move_codec.h>
#include <migration/net_machine.h>
#include <node/core.h>
#include <stdlib.h>
#include <string.h>

/* ---- orders to move ---- */
void sim_attempt_add(sim_world *w, const sim_attempt *a)
{
    if (w->attempt_count == w->attempt_room) {
        w->attempt_room = w->attempt_room ? w->attempt_room * 2 : 16;
        w->attempts = realloc(w->attempts, w->attempt_room * sizeof *w->attempts);
        if (!w->attempts)
            abort();
    }
    w->attempts[w->attempt_count++] = *a;
}

sim_attempt *sim_attempt_find(sim_world *w, const rovei_attempt_id *id)
{
    for (size_t i = w->attempt_count; i-- > 0;)
        if (!memcmp(&w->attempts[i].id, id, sizeof *id))
            return &w->attempts[i];
    return NULL;
}

sim_attempt *sim_attempt_towards(sim_world *w, const sim_daemon *d, const sim_node *target)
{
    for (size_t i = w->attempt_count; i-- > 0;)
        if (w->attempts[i].daemon == d && w->attempts[i].target == target)
            return &w->attempts[i];
    return NULL;
}

void sim_check_veto(sim_world *w, const rovei_attempt_id *id)
{
    sim_attempt *a = sim_attempt_find(w, id);
    if (a)
        a->vetoed = true;
}

void sim_check_forget(sim_cell *c, rove_err err)
{
    if (err == ROVE_E_STOPPED)
        c->daemon->stopped = true;
}

/* ---- roles ---- */
static const rovei_daemon *record_of(const sim_node *n, const sim_daemon *d)
{
    return n->up ? rovei_daemon_find(n->core, &d->entity) : NULL;
}

static bool core_serves(const sim_node *n, const sim_daemon *d)
{
    const rovei_daemon *r = record_of(n, d);
    return r && rovei_daemon_serves(r);
}

static bool cell_serves(const sim_node *n, const sim_daemon *d)
{
    for (const sim_cell *c = n->cells; n->up && c; c = c->next)
        if (c->daemon == d && sim_cell_serves(c))
            return true;
    return false;
}

sim_node *sim_check_host(sim_world *w, const sim_daemon *d)
{
    for (unsigned i = 0; i < w->node_count; i++)
        if (core_serves(&w->nodes[i], d))
            return &w->nodes[i];
    return NULL;
}

/* The source of an attempt has taken the daemon back: what the target prepared is worth nothing. */
static bool was_aborted(sim_world *w, const sim_node *n, const sim_daemon *d)
{
    const rovei_daemon *r = rovei_daemon_find(n->core, &d->entity);
    if (r && r->net_target) {
        const sim_attempt *last = sim_attempt_towards(w, d, n);
        return r->net_target->step < ROVEI_NET_TARGET_REPLAYED ||
               (last && last->outcome && !last->committed);
    }
    rovei_daemon_info info;
    if (rovei_node_daemon_get(n->core, &d->entity, &info) || !info.in_move)
        return false;
    const sim_attempt *a = sim_attempt_find(w, &info.attempt);
    return a && a->outcome && !a->committed;
}

/* This node could still give the daemon back to the world. */
static bool has_copy(sim_world *w, const sim_node *n, const sim_daemon *d)
{
    const rovei_daemon *r = record_of(n, d);
    if (!r)
        return false;
    switch (r->role) {
    case ROVEI_ROLE_SERVING:
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
    case ROVEI_ROLE_COMMITTED:
    case ROVEI_ROLE_ACTIVATING:
    case ROVEI_ROLE_ASIDE:
        return true;
    case ROVEI_ROLE_PREPARED:
        return !was_aborted(w, n, d);
    case ROVEI_ROLE_CLAIMING:
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
        return false;
    }
    return false;
}

static bool any_copy(sim_world *w, const sim_daemon *d)
{
    for (unsigned i = 0; i < w->node_count; i++)
        if (has_copy(w, &w->nodes[i], d))
            return true;
    return false;
}

static void lose(sim_world *w, sim_daemon *d, const char *how)
{
    d->gone = true;
    w->totals.daemons_gone++;
    sim_say(w, NULL, "the only copy of %s is lost %s", d->name, how);
}

static void check_daemon(sim_world *w, sim_daemon *d)
{
    const sim_node *first = NULL;
    for (unsigned i = 0; i < w->node_count; i++) {
        const sim_node *n = &w->nodes[i];
        if (!core_serves(n, d) && !cell_serves(n, d))
            continue;
        if (first && !w->forced)
            sim_fail(w, "TWO COPIES: %s and %s both serve %s", first->name, n->name, d->name);
        first = n;
    }
    if (!d->spawned || d->stopping)
        return;
    bool copy = first || any_copy(w, d);
    if (first)
        d->host_crashed = false;
    if (!copy && d->had_copy && d->host_crashed)
        lose(w, d, "with its host, and the former host has heard Active");
    else if (!copy && d->had_copy)
        sim_fail(w, "LAST COPY of %s is thrown away and nobody crashed", d->name);
    d->had_copy = copy;
}

static void check_net(sim_world *w)
{
    const sim_net *n = &w->net;
    for (unsigned i = 0; i < SIM_THIEVES; i++)
        if (n->thieves[i].received > 3 * n->thieves[i].sent)
            sim_fail(w, "AMPLIFIED: a stranger has sent %" PRIu64 " bytes and got %" PRIu64,
                     n->thieves[i].sent, n->thieves[i].received);
    if (n->sent + n->doubled + n->late + n->replayed + n->stolen + n->flooded !=
        n->arrived + n->to_nobody + n->lost + n->in_flight)
        sim_fail(w, "the simulated network does not add up");
}

/* Whoever has heard of a later holder never looks at an earlier one again. */
static void check_epochs(sim_node *n)
{
    for (unsigned i = 0; i < n->world->daemon_count; i++) {
        const rovei_location *at = rovei_location_get(n->core, &n->world->daemons[i]->entity);
        if (!at)
            continue;
        if (at->record.epoch < n->epochs[i])
            sim_fail(n->world, "%s goes by epoch %" PRIu64 " of %s and has known %" PRIu64, n->name,
                     at->record.epoch, n->world->daemons[i]->name, n->epochs[i]);
        n->epochs[i] = at->record.epoch;
    }
}

void sim_check_node(sim_node *n)
{
    rovei_node_check(n->core);
    check_epochs(n);
}

void sim_check_world(sim_world *w)
{
    for (unsigned i = 0; i < w->daemon_count && !w->failed; i++)
        check_daemon(w, w->daemons[i]);
    check_net(w);
}

/* In class net a host may give the daemon on before its former host has heard that it serves, and
 * the word may still be under way: what is left then goes when it comes. */
static bool former_hosts_only(sim_world *w, const sim_node *host, const sim_daemon *d)
{
    const rovei_daemon *held = record_of(host, d);
    if (!held || (held->role != ROVEI_ROLE_FREEZING && held->role != ROVEI_ROLE_FROZEN &&
                  held->role != ROVEI_ROLE_COMMITTING))
        return false;
    for (unsigned i = 0; i < w->node_count; i++) {
        const sim_node *n = &w->nodes[i];
        const rovei_daemon *r = n == host || !has_copy(w, n, d) ? NULL : record_of(n, d);
        if (r && (r->role != ROVEI_ROLE_COMMITTED || !r->net_source))
            return false;
    }
    return true;
}

void sim_check_crash(sim_node *n, bool in_order)
{
    sim_world *w = n->world;
    for (unsigned i = 0; i < w->daemon_count; i++) {
        sim_daemon *d = w->daemons[i];
        if (!record_of(n, d))
            continue;
        d->crashed = true;
        if (!d->had_copy)
            continue;
        /* One that ends in order takes what it holds with it, and says so to its targets. */
        d->host_crashed =
            d->host_crashed || in_order || core_serves(n, d) || former_hosts_only(w, n, d);
        d->had_copy = false;
        for (unsigned k = 0; k < w->node_count; k++)
            if (k != n->index && has_copy(w, &w->nodes[k], d))
                d->had_copy = true;
        if (!d->had_copy && d->spawned && !d->stopping)
            lose(w, d, "with it");
    }
}

/* ---- datagrams ---- */
void sim_check_packets(sim_node *n)
{
    if (!n->core)
        return;
    rovei_mesh_stats st = rovei_mesh_stats_get(rovei_node_mesh(n->core));
    uint64_t drops = 0;
    for (size_t i = 0; i < ROVEI_DROP_COUNT; i++)
        if (i != ROVEI_DROP_SUBPROTOCOL)
            drops += st.drops[i];
    uint64_t received = st.datagrams_received + sim_bridge_received(n);
    if (received != n->datagrams_given)
        sim_fail(n->world, "%s was given %" PRIu64 " datagrams and counts %" PRIu64, n->name,
                 n->datagrams_given, received);
    if (st.datagrams_received != st.datagrams_accepted + drops)
        sim_fail(n->world, "%s: %" PRIu64 " datagrams are neither accepted nor dropped", n->name,
                 st.datagrams_received - st.datagrams_accepted - drops);
}

static bool taken(const sim_link *l, uint64_t number)
{
    return number / 8 < l->taken_size && (l->taken[number / 8] >> (number % 8) & 1);
}

static void take(sim_link *l, uint64_t number)
{
    if (number / 8 >= l->taken_size) {
        size_t size = number / 8 * 2 + 64;
        l->taken = realloc(l->taken, size);
        if (!l->taken)
            abort();
        memset(l->taken + l->taken_size, 0, size - l->taken_size);
        l->taken_size = size;
    }
    l->taken[number / 8] |= (uint8_t)(1u << (number % 8));
}

static rovei_peer_info peer_now(const sim_node *n, const sim_datagram *d)
{
    rovei_peer_info info = {.state = ROVEI_PEER_CONNECTING};
    rovei_peer_info got;
    if (d->from < n->world->node_count &&
        !rovei_mesh_peer(rovei_node_mesh(n->core), &n->world->nodes[d->from].entity, &got))
        info = got;
    return info;
}

static uint64_t accepted_now(const sim_node *n)
{
    return rovei_mesh_stats_get(rovei_node_mesh(n->core)).datagrams_accepted;
}

void sim_check_before_datagram(sim_node *n, const sim_datagram *d)
{
    n->accepted_before = accepted_now(n);
    if (d->again)
        n->peer_before = peer_now(n, d);
}

void sim_check_after_datagram(sim_node *n, const sim_datagram *d)
{
    sim_world *w = n->world;
    sim_link *l = &w->net.links[d->from][d->to];
    if (d->again && taken(l, d->number)) {
        rovei_peer_info now = peer_now(n, d);
        const rovei_peer_info *was = &n->peer_before;
        bool moved = was->association && (now.incarnation != was->incarnation ||
                                          !rovei_addr_equal(&now.addr, &was->addr));
        if (now.association != was->association || now.state != was->state || moved)
            sim_fail(w,
                     "REPLAY: an old datagram from %s changes the session of %s "
                     "(association %" PRIu64 " to %" PRIu64 ", state %d to %d)",
                     w->nodes[d->from].name, n->name, was->association, now.association,
                     (int)was->state, (int)now.state);
    }
    if (accepted_now(n) != n->accepted_before)
        take(l, d->number);
}

/* ---- the core's messages ---- */
static void tell(sim_node *n, const rove_entity *to, const sim_message *m)
{
    sim_world *w = n->world;
    const char *d = m->daemon ? m->daemon->name : "?", *peer = sim_name_of(w, to);
    if (m->tag == ROVEI_TAG_MOVE && m->type != ROVEI_MOVE_STATE && m->type != ROVEI_MOVE_PROGRESS)
        sim_say(w, n->name, "-> %s: %s of %s (%02x%02x) ticket %04x", peer, m->name, d,
                m->attempt.bytes[0], m->attempt.bytes[1], (unsigned)(m->number & 0xffff));
    else if (m->tag == ROVEI_TAG_LOCATE)
        sim_say(w, n->name, "-> %s: %s of %s, epoch %" PRIu64, peer, m->name, d, m->number);
    else if (m->tag == ROVEI_TAG_CHANNEL)
        sim_say(w, n->name, "-> %s: %s, %u from %" PRIu64, peer, m->name, m->count, m->number);
    else if (m->count)
        sim_say(w, n->name, "-> %s: %s %" PRIu64 "..%" PRIu64 " of %s, i%" PRIu64, peer, m->name,
                m->number, m->number + m->count - 1, d, m->sinc);
    else if (m->tag == ROVEI_TAG_LANE || m->tag == ROVEI_TAG_OUTCOME)
        sim_say(w, n->name, "-> %s: %s of %s, lane %04x, i%" PRIu64, peer, m->name, d,
                (unsigned)(m->number & 0xffff), m->sinc);
}

/* Who has given the daemon away in class net, where its lanes end, still says what it had applied.
 */
static bool may_answer(const sim_node *n, const sim_daemon *d)
{
    const rovei_daemon *r = record_of(n, d);
    return core_serves(n, d) || (r && r->net_source && r->role == ROVEI_ROLE_COMMITTED);
}

bool sim_check_tap(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    sim_node *n = user;
    sim_world *w = n->world;
    size_t size = head.size + rovei_buf_size(body);
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        abort();
    memcpy(bytes, head.data, head.size);
    if (body)
        memcpy(bytes + head.size, rovei_buf_data(body), rovei_buf_size(body));
    sim_message m;
    bool good = sim_message_read(w, tag, (rove_span){bytes, size}, &m);
    bool swallow = false;
    if (!good) {
        sim_fail(w, "%s sends a message with tag %04x that cannot be read", n->name, tag);
    } else {
        tell(n, to, &m);
        sim_publishing_tap(n, to, &m);
        if (m.answer_of_holder && m.daemon && !may_answer(n, m.daemon))
            sim_fail(w, "%s says %s for %s and does not serve it", n->name, m.name, m.daemon->name);
        swallow = w->tap && w->tap(n, to, &m, (rove_span){bytes, size});
        if (swallow)
            sim_say(w, n->name, "   (kept back)");
    }
    free(bytes);
    return swallow;
}
