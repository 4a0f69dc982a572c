/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net as its owner sees it: construction, who is served, the data path and events. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/slab.h>
#include <net/peer.h>
#include <string.h>

/* Datagrams to one peer in a row before the next one has its turn. */
#define BURST_MAX 64

/* ---- construction ---- */

static void init_tables(rovei_net *t)
{
    const rove_alloc *a = &t->env->alloc;
    rovei_map_init(&t->links, a, sizeof(uint32_t), rovei_rng_u64(&t->env->rng));
    rovei_map_init(&t->sessions, a, sizeof(uint64_t), rovei_rng_u64(&t->env->rng));
    rovei_map_init(&t->fenced, a, sizeof(uint64_t), rovei_rng_u64(&t->env->rng));
    rovei_timers_init(&t->timers, a);
    rovei_list_init(&t->parcels);
    rovei_list_init(&t->ready);
    rovei_list_init(&t->untold);
    rovei_list_init(&t->inbox);
}

static rove_err take_secrets(rovei_net *t, const uint8_t psk[32])
{
    t->secrets = rovei_slab_get(t->env->slab);
    if (!t->secrets)
        return ROVE_E_NOMEM;
    rove_err err = rovei_keypair_x25519(t->identity, t->secrets);
    if (err)
        return err;
    memcpy(t->secrets + 32, psk, 32);
    rovei_x25519_public(t->public_key, t->secrets);
    t->self = (rovei_net_self){.env = t->env,
                               .node_id = rovei_keypair_node_id(t->identity),
                               .psk = t->secrets + 32,
                               .secret = t->secrets,
                               .public_key = t->public_key};
    return ROVE_OK;
}

rove_err rovei_net_new(rovei_net **ret, const rovei_net_config *cfg, rovei_now now)
{
    if (rovei_node_id_is_reserved(rovei_keypair_node_id(cfg->identity)))
        return ROVE_E_RESERVED_ID;
    rovei_net *t = ROVEI_NEW(&cfg->env->alloc, rovei_net);
    if (!t)
        return ROVE_E_NOMEM;
    t->env = cfg->env;
    t->identity = rovei_keypair_ref(cfg->identity);
    t->origin = rovei_keypair_origin(cfg->identity);
    t->now = now;
    init_tables(t);
    rove_err err = take_secrets(t, cfg->psk);
    if (err) {
        rovei_net_free(t);
        return err;
    }
    *ret = t;
    return ROVE_OK;
}

void rovei_net_free(rovei_net *t)
{
    if (!t)
        return;
    const rove_alloc *a = &t->env->alloc;
    ROVEI_LIST_EACH (at, next, &t->inbox)
        rovei_net_unkeep(t, ROVEI_CONTAINER(at, rovei_net_incoming, list));
    size_t it = 0;
    for (rovei_net_link *l; (l = rovei_map_next(&t->links, &it));)
        rovei_net_link_free(l);
    ROVEI_LIST_EACH (at, next, &t->parcels) {
        rovei_net_parcel *parcel = ROVEI_CONTAINER(at, rovei_net_parcel, list);
        ROVEI_DELETE(a, parcel);
    }
    rovei_map_fini(&t->links);
    rovei_map_fini(&t->sessions);
    rovei_map_fini(&t->fenced);
    rovei_timers_fini(&t->timers);
    rovei_slab_put(t->env->slab, t->secrets);
    rovei_keypair_unref(t->identity);
    ROVEI_DELETE(a, t);
}

/* ---- who is served ---- */

static rove_err check_listing(const rovei_net *t, const rovei_net_listing *l)
{
    uint8_t shared[32];
    if (!l->node_id || rovei_node_id_is_reserved(l->node_id))
        return ROVE_E_RESERVED_ID;
    if (rovei_net_low(l->node_id) == rovei_net_low(t->self.node_id))
        return ROVE_E_SAME_NODE;
    if (l->has_addr && !l->has_key)
        return ROVE_E_USAGE;
    rove_err err = l->has_key ? rovei_x25519(shared, t->self.secret, l->key) : ROVE_OK;
    rovei_wipe(shared, sizeof shared);
    return err;
}

/* A link for an id that was not listed before. */
static rove_err add_link(rovei_net_link **ret, rovei_net *t, uint64_t node_id)
{
    if (rovei_net_link_of_low(t, rovei_net_low(node_id)))
        return ROVE_E_EXISTS;
    if (rovei_map_get(&t->fenced, &node_id))
        return ROVE_E_REFUSED;
    if (t->fences_lost || t->links.count >= t->env->limits.net_peers)
        return ROVE_E_FULL;
    return rovei_net_link_new(ret, t, node_id);
}

rove_err rovei_net_list(rovei_net *t, rovei_now now, const rovei_net_listing *listing)
{
    t->now = now;
    rove_err err = check_listing(t, listing);
    if (err)
        return err;
    rovei_net_link *l = rovei_net_link_of(t, listing->node_id);
    if (!l)
        err = add_link(&l, t, listing->node_id);
    else if (l->fenced)
        err = ROVE_E_REFUSED;
    if (err)
        return err;
    l->has_key = listing->has_key;
    memcpy(l->key, listing->key, sizeof l->key);
    l->has_addr = listing->has_addr;
    l->addr = listing->addr;
    rovei_net_dial_stop(l); /* with the former key and address */
    rovei_net_dial_consider(l);
    return ROVE_OK;
}

/* What a peer said and nobody has polled yet. */
static void drop_incoming(rovei_net *t, uint64_t node_id)
{
    ROVEI_LIST_EACH (it, next, &t->inbox) {
        rovei_net_incoming *in = ROVEI_CONTAINER(it, rovei_net_incoming, list);
        if (in->event.node_id == node_id)
            rovei_net_unkeep(t, in);
    }
}

void rovei_net_fence(rovei_net *t, rovei_now now, uint64_t node_id)
{
    t->now = now;
    rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l) {
        /* Any value but NULL: the table is a set. Those that do not fit shut the list. */
        t->fences_lost =
            t->fences_lost ||
            (t->fenced.count >= t->env->limits.peers_max && !rovei_map_get(&t->fenced, &node_id)) ||
            rovei_map_put(&t->fenced, &node_id, t);
        return;
    }
    if (l->fenced)
        return;
    l->fenced = true;
    rovei_net_link_end(l);
    drop_incoming(t, node_id);
    l->state = l->state == ROVEI_PEER_CONNECTING ? ROVEI_PEER_CONNECTING : ROVEI_PEER_FAILED;
    rovei_net_tell(l);
}

rove_err rovei_net_peer_key(const rovei_net *t, uint64_t node_id, uint8_t ret[32])
{
    const rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l || l->fenced || !l->has_key)
        return ROVE_E_NOT_FOUND;
    memcpy(ret, l->key, 32);
    return ROVE_OK;
}

const uint8_t *rovei_net_secret(const rovei_net *t)
{
    return t->self.secret;
}

bool rovei_net_reaches(const rovei_net *t, uint64_t node_id)
{
    const rovei_net_link *l = rovei_net_link_of(t, node_id);
    return l && l->current && l->state != ROVEI_PEER_FAILED;
}

uint64_t rovei_net_places(const rovei_net *t)
{
    return t->places;
}

static void describe(const rovei_net_link *l, rovei_net_info *ret)
{
    const rovei_net_held *s = l->current;
    *ret = (rovei_net_info){
        .node_id = l->node_id,
        .state = s ? l->state : ROVEI_PEER_CONNECTING,
        .session = s ? s->session.id : 0,
        .dialled = l->has_addr,
        .initiator = s && s->session.initiator,
        .unanswered = !s && l->tries >= ROVEI_TRIES_UNANSWERED,
        .addr = s ? s->addr : l->addr,
    };
}

rove_err rovei_net_peer(const rovei_net *t, uint64_t node_id, rovei_net_info *ret)
{
    const rovei_net_link *l = rovei_net_link_of(t, node_id);
    if (!l || l->fenced)
        return ROVE_E_UNKNOWN_PEER;
    describe(l, ret);
    return ROVE_OK;
}

bool rovei_net_peer_next(const rovei_net *t, size_t *it, rovei_net_info *ret)
{
    const rovei_net_link *l;
    do {
        l = rovei_map_next(&t->links, it);
    } while (l && l->fenced);
    if (l)
        describe(l, ret);
    return l != NULL;
}

rovei_net_stamp rovei_net_last_heard(const rovei_net *t, uint64_t node_id)
{
    const rovei_net_link *l = rovei_net_link_of(t, node_id);
    const rovei_net_held *last = NULL;
    if (!l)
        return (rovei_net_stamp){0};
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        const rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        if (s->session.window.next && (!last || s->heard > last->heard))
            last = s;
    }
    return last ? (rovei_net_stamp){last->serial, last->session.window.next - 1}
                : (rovei_net_stamp){0};
}

/* ---- receiving ---- */

/* A packet under a session: from any address, since a peer may send from several. What it proves
 * of the peer's address a heartbeat alone can say. */
static rovei_net_drop receive_sealed(rovei_net *t, const rovei_addr *from,
                                     const rovei_net_packet *p, uint8_t *dgram)
{
    rovei_net_held *s = rovei_map_get(&t->sessions, &p->header.session);
    if (!s || t->now.mono >= s->until)
        return ROVEI_NET_DROP_SESSION;
    rove_span text;
    rove_err err = rovei_net_session_open(&s->session, p, dgram, &text);
    if (err)
        return err == ROVE_E_REPLAY ? ROVEI_NET_DROP_REPLAY : ROVEI_NET_DROP_AUTH;
    bool newest = p->header.counter + 1 == s->session.window.next;
    rovei_net_heard(s);
    if (p->type == ROVEI_NET_PACKET_DATA)
        return rovei_net_receive_text(s, p, text);
    if (newest && !rovei_addr_equal(&s->addr, from)) {
        s->addr = *from;
        t->places++;
    }
    return ROVEI_NET_DROP_COUNT;
}

static rovei_net_drop receive_packet(rovei_net *t, const rovei_addr *from, uint8_t *dgram,
                                     size_t size)
{
    rovei_net_packet p;
    if (rovei_net_packet_read(&p, (rove_span){dgram, size}))
        return ROVEI_NET_DROP_FORMAT;
    if (p.routed && p.route.dest != t->self.node_id)
        return ROVEI_NET_DROP_TRANSIT;
    switch (p.type) {
    case ROVEI_NET_PACKET_HANDSHAKE:
        return rovei_net_receive_handshake(t, from, &p, dgram);
    case ROVEI_NET_PACKET_HEARTBEAT:
        /* It is between neighbours. */
        return p.routed ? ROVEI_NET_DROP_FORMAT : receive_sealed(t, from, &p, dgram);
    case ROVEI_NET_PACKET_DATA:
        return receive_sealed(t, from, &p, dgram);
    }
    return ROVEI_NET_DROP_FORMAT;
}

static rovei_net_drop receive(rovei_net *t, const rovei_addr *from, uint8_t *dgram, size_t size)
{
    switch (rovei_net_kind_of((rove_span){dgram, size})) {
    case ROVEI_NET_KIND_NONE:
        return ROVEI_NET_DROP_KIND;
    case ROVEI_NET_KIND_KEEPALIVE:
        return ROVEI_NET_DROP_KEEPALIVE;
    case ROVEI_NET_KIND_PINGWAVE:
        return ROVEI_NET_DROP_PINGWAVE;
    case ROVEI_NET_KIND_HOP:
        return ROVEI_NET_DROP_ROUTE_HOP;
    case ROVEI_NET_KIND_ROUTED:
    case ROVEI_NET_KIND_DIRECT:
        return size > ROVEI_NET_DATAGRAM_MAX ? ROVEI_NET_DROP_FORMAT
                                             : receive_packet(t, from, dgram, size);
    }
    return ROVEI_NET_DROP_KIND;
}

bool rovei_net_receive(rovei_net *t, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                       size_t size)
{
    t->now = now;
    t->stats.datagrams_received++;
    rovei_net_drop drop = receive(t, from, dgram, size);
    if (drop == ROVEI_NET_DROP_COUNT)
        t->stats.datagrams_accepted++;
    else
        t->stats.drops[drop]++;
    return drop == ROVEI_NET_DROP_COUNT;
}

/* ---- sending ---- */

static size_t send_parcel(rovei_net *t, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_net_parcel *parcel = ROVEI_CONTAINER(t->parcels.next, rovei_net_parcel, list);
    size_t size = parcel->size;
    memcpy(ret, parcel->bytes, size);
    *ret_to = parcel->to;
    rovei_list_remove(&parcel->list);
    t->parcel_count--;
    ROVEI_DELETE(&t->env->alloc, parcel);
    return size;
}

static size_t transmit(rovei_net *t, uint8_t *ret, rovei_addr *ret_to)
{
    if (!rovei_list_empty(&t->parcels))
        return send_parcel(t, ret, ret_to);
    while (!rovei_list_empty(&t->ready)) {
        rovei_net_link *l = ROVEI_CONTAINER(t->ready.next, rovei_net_link, ready);
        size_t size = rovei_net_write_next(l, ret, ret_to);
        bool whole = size && ++t->burst < BURST_MAX;
        if (whole)
            return size;
        rovei_list_remove(&l->ready);
        t->burst = 0;
        if (size) {
            rovei_net_touch(l);
            return size;
        }
    }
    return 0;
}

size_t rovei_net_transmit(rovei_net *t, rovei_now now, uint8_t *ret, size_t room,
                          rovei_addr *ret_to)
{
    ROVEI_CHECK(room >= ROVEI_NET_DATAGRAM_MAX);
    t->now = now;
    size_t size = transmit(t, ret, ret_to);
    if (size)
        t->stats.datagrams_sent++;
    return size;
}

uint64_t rovei_net_deadline(const rovei_net *t)
{
    if (!rovei_list_empty(&t->parcels) || !rovei_list_empty(&t->ready))
        return 0;
    return rovei_timers_deadline(&t->timers);
}

void rovei_net_expire(rovei_net *t, rovei_now now)
{
    t->now = now;
    rovei_timers_expire(&t->timers, now);
}
