/* SPDX-License-Identifier: Apache-2.0
 *
 * The mesh as its owner sees it: construction, the data path, commands and events. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/slab.h>
#include <mesh/peer.h>
#include <string.h>

/* Datagrams to one peer in a row before the next one has its turn. */
#define BURST_MAX 64

/* ---- construction ---- */

static void init_tables(rovei_mesh *m)
{
    const rove_alloc *a = &m->env->alloc;
    rovei_map_init(&m->peers, a, sizeof(rove_entity), rovei_rng_u64(&m->env->rng));
    rovei_map_init(&m->sessions, a, sizeof(uint32_t), rovei_rng_u64(&m->env->rng));
    rovei_map_init(&m->openings, a, sizeof(uint32_t), rovei_rng_u64(&m->env->rng));
    rovei_map_init(&m->associations, a, sizeof(uint64_t), rovei_rng_u64(&m->env->rng));
    rovei_map_init(&m->seen, a, sizeof(rove_entity), rovei_rng_u64(&m->env->rng));
    rovei_timers_init(&m->timers, a);
    rovei_list_init(&m->seen_order);
    rovei_list_init(&m->parcels);
    rovei_list_init(&m->urgent);
    rovei_list_init(&m->ready);
    rovei_list_init(&m->pending);
}

/* Static key and psk into guarded memory. E_NOMEM, E_READ_ONLY. */
static rove_err take_secrets(rovei_mesh *m, const uint8_t psk[32])
{
    m->secrets = rovei_slab_get(m->env->slab);
    m->mac_key = rovei_slab_get(m->env->slab);
    if (!m->secrets || !m->mac_key)
        return ROVE_E_NOMEM;
    rove_err err = rovei_keypair_x25519(m->identity, m->secrets);
    if (err)
        return err;
    rovei_x25519_public(m->static_public, m->secrets);
    memcpy(m->secrets + 32, psk, 32);
    rovei_mac_key(m->mac_key, psk, &m->entity);
    return rovei_gate_init(&m->gate, m->env, psk, &m->entity);
}

rove_err rovei_mesh_new(rovei_mesh **ret, const rovei_mesh_config *cfg, rovei_now now)
{
    if (rovei_node_id_is_reserved(rovei_keypair_node_id(cfg->identity)))
        return ROVE_E_RESERVED_ID;
    rovei_mesh *m = ROVEI_NEW(&cfg->env->alloc, rovei_mesh);
    if (!m)
        return ROVE_E_NOMEM;
    m->env = cfg->env;
    m->identity = rovei_keypair_ref(cfg->identity);
    m->entity = *rovei_keypair_entity(cfg->identity);
    m->incarnation = cfg->incarnation;
    m->time = cfg->handshake_time;
    m->now = now;
    init_tables(m);
    rove_err err = take_secrets(m, cfg->psk);
    if (err) {
        rovei_mesh_free(m);
        return err;
    }
    *ret = m;
    return ROVE_OK;
}

static void free_lists(rovei_mesh *m)
{
    const rove_alloc *a = &m->env->alloc;
    ROVEI_LIST_EACH (it, next, &m->pending)
        rovei_association_free(ROVEI_CONTAINER(it, rovei_association, pending), m->env);
    ROVEI_LIST_EACH (it, next, &m->parcels) {
        rovei_parcel *parcel = ROVEI_CONTAINER(it, rovei_parcel, list);
        ROVEI_DELETE(a, parcel);
    }
    ROVEI_LIST_EACH (it, next, &m->seen_order) {
        rovei_seen *seen = ROVEI_CONTAINER(it, rovei_seen, order);
        ROVEI_DELETE(a, seen);
    }
}

void rovei_mesh_free(rovei_mesh *m)
{
    if (!m)
        return;
    size_t it = 0;
    for (rovei_peer *p; (p = rovei_map_next(&m->peers, &it));)
        rovei_peer_destroy(p);
    free_lists(m);
    rovei_map_fini(&m->peers);
    rovei_map_fini(&m->sessions);
    rovei_map_fini(&m->openings);
    rovei_map_fini(&m->associations);
    rovei_map_fini(&m->seen);
    rovei_timers_fini(&m->timers);
    rovei_gate_fini(&m->gate);
    rovei_slab_put(m->env->slab, m->secrets);
    rovei_slab_put(m->env->slab, m->mac_key);
    rovei_keypair_unref(m->identity);
    ROVEI_DELETE(&m->env->alloc, m);
}

/* ---- receiving ---- */

/* Says goodbye under the current keys. Out of memory: as if it were lost. */
static void say_goodbye(rovei_peer *p)
{
    rovei_mesh *m = p->mesh;
    if (!rovei_keys_can_send(p))
        return;
    rovei_parcel *parcel = ROVEI_NEW(&m->env->alloc, rovei_parcel);
    if (!parcel)
        return;
    parcel->to = p->addr;
    parcel->size = rovei_session_seal(p->current, parcel->bytes, 0);
    rovei_list_add_tail(&m->parcels, &parcel->list);
}

/* The association is over; a peer that is to be dialled is dialled again. */
static void give_up(rovei_peer *p, rove_err reason)
{
    rovei_association_end(p, reason, true);
    if (p->dial)
        rovei_opening_start(p, p->mesh->env->limits.handshake_retry);
    rovei_peer_settle(p);
}

/* The peer broke the protocol. */
static void break_off(rovei_peer *p, rove_err reason)
{
    say_goodbye(p);
    give_up(p, reason);
}

/* An authentic packet of the peer's association: `text` is its plaintext. */
static rovei_drop receive_text(rovei_peer *p, const uint8_t *text, size_t size)
{
    rovei_association *a = p->assoc;
    if (size == 0) {
        give_up(p, ROVE_E_CLOSED);
        return ROVEI_DROP_COUNT;
    }
    rove_err err = rovei_transport_receive(a->transport, p->mesh->now, text, size);
    if (err == ROVE_E_NOMEM)
        return ROVEI_DROP_MEMORY;
    if (err) {
        break_off(p, err);
        return ROVEI_DROP_PROTOCOL;
    }
    rovei_association_tell(a);
    rovei_opening_consider(p);
    rovei_peer_touch(p);
    return ROVEI_DROP_COUNT;
}

static rovei_drop receive_data(rovei_mesh *m, const rovei_addr *from, const rovei_packet *packet,
                               uint8_t *text)
{
    rovei_session *s = rovei_map_get(&m->sessions, &packet->receiver);
    if (!s)
        return ROVEI_DROP_SESSION;
    if (m->now.mono >= rovei_time_add(s->created, m->env->limits.reject_time))
        return ROVEI_DROP_EXPIRED;
    size_t size;
    rove_err err = rovei_session_open(s, packet, text, &size);
    if (err)
        return err == ROVE_E_REPLAY ? ROVEI_DROP_REPLAY : ROVEI_DROP_AUTH;
    rovei_peer *p = s->peer;
    bool newest = packet->counter + 1 == s->window.next;
    s->heard = true;
    if (s == p->next) {
        err = rovei_keys_install(p, s);
        if (err) {
            rovei_peer_settle(p);
            return rovei_drop_of(err);
        }
    }
    rovei_liveness_heard(p);
    rovei_path_heard(p, from, size + ROVEI_DATA_OVERHEAD, newest && s == p->current);
    if (!rovei_path_is(text, size))
        return receive_text(p, text, size);
    rovei_drop drop = rovei_path_receive(p, from, text, size);
    if (drop == ROVEI_DROP_PROTOCOL)
        break_off(p, ROVE_E_FORMAT);
    return drop;
}

static rovei_drop drop_of_packet(rove_err err)
{
    if (err == ROVE_E_SHORT)
        return ROVEI_DROP_SHORT;
    if (err == ROVE_E_MAGIC)
        return ROVEI_DROP_MAGIC;
    if (err == ROVE_E_VERSION)
        return ROVEI_DROP_VERSION;
    return err == ROVE_E_FLAG ? ROVEI_DROP_TYPE : ROVEI_DROP_HANDSHAKE;
}

static rovei_drop receive(rovei_mesh *m, const rovei_addr *from, uint8_t *dgram, size_t size)
{
    rovei_packet packet;
    rove_err err = rovei_packet_read(&packet, (rove_span){dgram, size});
    if (err)
        return drop_of_packet(err);
    switch (packet.type) {
    case ROVEI_PACKET_INITIATION:
        return rovei_answer_initiation(m, from, &packet);
    case ROVEI_PACKET_RESPONSE:
        return rovei_opening_answered(m, &packet);
    case ROVEI_PACKET_DATA:
        return receive_data(m, from, &packet, dgram + ROVEI_DATA_HEADER);
    case ROVEI_PACKET_COOKIE:
        return rovei_opening_cookie(m, &packet);
    }
    return ROVEI_DROP_TYPE;
}

bool rovei_mesh_receive(rovei_mesh *m, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                        size_t size)
{
    m->now = now;
    m->stats.datagrams_received++;
    rovei_drop drop = receive(m, from, dgram, size);
    if (drop == ROVEI_DROP_COUNT)
        m->stats.datagrams_accepted++;
    else
        m->stats.drops[drop]++;
    return drop == ROVEI_DROP_COUNT;
}

/* ---- sending ---- */

static size_t send_parcel(rovei_mesh *m, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_parcel *parcel = ROVEI_CONTAINER(m->parcels.next, rovei_parcel, list);
    size_t size = parcel->size;
    memcpy(ret, parcel->bytes, size);
    *ret_to = parcel->to;
    rovei_list_remove(&parcel->list);
    ROVEI_DELETE(&m->env->alloc, parcel);
    return size;
}

/* The next message 2, packet about a path, or message 1 of this peer; 0 and out of the list when it
 * has none. */
static size_t send_urgent(rovei_peer *p, uint8_t *ret, rovei_addr *ret_to)
{
    rovei_session *next = p->next;
    if (next && next->answer_due) {
        next->answer_due = false;
        memcpy(ret, next->answer, sizeof next->answer);
        *ret_to = next->addr;
        return sizeof next->answer;
    }
    size_t size = rovei_path_send(p, ret, ret_to);
    if (size)
        return size;
    rovei_list_remove(&p->urgent);
    return p->opening.due ? rovei_opening_write(p, ret, ret_to) : 0;
}

static size_t send_data(rovei_peer *p, uint8_t *ret, size_t room, rovei_addr *ret_to)
{
    rovei_mesh *m = p->mesh;
    if (!p->assoc || !rovei_keys_can_send(p))
        return 0;
    if (room > m->env->limits.datagram_max)
        room = (size_t)m->env->limits.datagram_max;
    size_t size = rovei_transport_build(p->assoc->transport, m->now, ret + ROVEI_DATA_HEADER,
                                        room - ROVEI_DATA_OVERHEAD);
    if (!size)
        return 0;
    *ret_to = p->addr;
    size = rovei_session_seal(p->current, ret, size);
    rovei_opening_consider(p);
    return size;
}

static void rotate(rovei_mesh *m, rovei_list *first)
{
    rovei_list_remove(first);
    rovei_list_add_tail(&m->ready, first);
    m->burst = 0;
}

static size_t transmit(rovei_mesh *m, uint8_t *ret, size_t room, rovei_addr *ret_to)
{
    if (!rovei_list_empty(&m->parcels))
        return send_parcel(m, ret, ret_to);
    if (rovei_gate_has_reply(&m->gate))
        return rovei_gate_reply(&m->gate, ret, ret_to);
    while (!rovei_list_empty(&m->urgent)) {
        rovei_peer *p = ROVEI_CONTAINER(m->urgent.next, rovei_peer, urgent);
        size_t size = send_urgent(p, ret, ret_to);
        if (size)
            return size;
    }
    while (!rovei_list_empty(&m->ready)) {
        rovei_peer *p = ROVEI_CONTAINER(m->ready.next, rovei_peer, ready);
        size_t size = send_data(p, ret, room, ret_to);
        if (size) {
            if (++m->burst >= BURST_MAX)
                rotate(m, &p->ready);
            return size;
        }
        rovei_peer_rest(p);
        m->burst = 0;
    }
    return 0;
}

size_t rovei_mesh_transmit(rovei_mesh *m, rovei_now now, uint8_t *ret, size_t room,
                           rovei_addr *ret_to)
{
    ROVEI_CHECK(room >= m->env->limits.datagram_max);
    m->now = now;
    size_t size = transmit(m, ret, room, ret_to);
    if (size)
        m->stats.datagrams_sent++;
    return size;
}

uint64_t rovei_mesh_deadline(const rovei_mesh *m)
{
    if (!rovei_list_empty(&m->parcels) || rovei_gate_has_reply(&m->gate) ||
        !rovei_list_empty(&m->urgent) || !rovei_list_empty(&m->ready))
        return 0;
    return rovei_timers_deadline(&m->timers);
}

void rovei_mesh_expire(rovei_mesh *m, rovei_now now)
{
    m->now = now;
    rovei_timers_expire(&m->timers, now);
}

/* ---- peers ---- */

rove_err rovei_mesh_connect(rovei_mesh *m, rovei_now now, const rove_entity *peer,
                            const rovei_addr *addr)
{
    m->now = now;
    if (rovei_entity_equal(peer, &m->entity))
        return ROVE_E_SAME_NODE;
    if (rovei_entity_is_net(peer))
        return ROVE_E_NO_IMAGE; /* whether or not the bytes are a point: nobody has the key */
    uint8_t image[32];
    rove_err err = rovei_ed25519_image(image, peer);
    if (err)
        return err;
    if (rovei_node_id_is_reserved(rovei_entity_node_id(peer)))
        return ROVE_E_RESERVED_ID;
    rovei_peer *p = rovei_peer_find(m, peer);
    if (!p) {
        err = rovei_peer_new(&p, m, peer, image);
        if (err)
            return err;
    }
    bool moved = !p->dial || !rovei_addr_equal(&p->dial_addr, addr);
    p->dial = true;
    p->dial_addr = *addr;
    if (moved && (!p->assoc || p->assoc->state == ROVEI_PEER_FAILED))
        rovei_opening_stop(p);
    rovei_opening_consider(p);
    return ROVE_OK;
}

void rovei_mesh_disconnect(rovei_mesh *m, rovei_now now, const rove_entity *peer)
{
    m->now = now;
    rovei_peer *p = rovei_peer_find(m, peer);
    if (!p)
        return;
    if (p->assoc)
        say_goodbye(p);
    rovei_peer_forget(p);
}

uint64_t rovei_mesh_places(const rovei_mesh *m)
{
    return m->places;
}

static void describe(const rovei_peer *p, rovei_peer_info *ret)
{
    *ret = (rovei_peer_info){
        .entity = p->entity,
        .node_id = rovei_entity_node_id(&p->entity),
        .session_class = p->session_class,
        .state = p->assoc ? p->assoc->state : ROVEI_PEER_CONNECTING,
        .incarnation = p->incarnation,
        .addr = p->assoc ? p->addr : p->dial_addr,
        .unanswered = !p->assoc && p->opening.tries >= ROVEI_TRIES_UNANSWERED,
    };
    if (p->assoc) {
        ret->association = p->assoc->id;
        ret->incarnation = p->assoc->incarnation;
        ret->rtt = rovei_transport_stats_get(p->assoc->transport).rtt_smoothed;
    }
}

rove_err rovei_mesh_peer(const rovei_mesh *m, const rove_entity *peer, rovei_peer_info *ret)
{
    const rovei_peer *p = rovei_peer_find(m, peer);
    if (!p)
        return ROVE_E_UNKNOWN_PEER;
    describe(p, ret);
    return ROVE_OK;
}

bool rovei_mesh_peer_next(const rovei_mesh *m, size_t *it, rovei_peer_info *ret)
{
    const rovei_peer *p = rovei_map_next(&m->peers, it);
    if (p)
        describe(p, ret);
    return p != NULL;
}

/* ---- streams ---- */

static rovei_association *find(const rovei_mesh *m, uint64_t id)
{
    return rovei_map_get(&m->associations, &id);
}

rove_err rovei_mesh_open(rovei_mesh *m, uint64_t association, uint16_t tag, uint64_t *ret_stream)
{
    rovei_association *a = find(m, association);
    if (!a)
        return ROVE_E_GONE;
    rove_err err = rovei_transport_open(a->transport, tag, ret_stream);
    rovei_peer_touch(a->peer);
    return err;
}

rove_err rovei_mesh_send(rovei_mesh *m, uint64_t association, uint64_t stream, rove_span head,
                         rove_buf *body)
{
    rovei_association *a = find(m, association);
    if (!a)
        return ROVE_E_GONE;
    rove_err err = rovei_transport_send(a->transport, stream, head, body);
    if (a->state == ROVEI_PEER_FAILED)
        rovei_opening_consider(a->peer);
    rovei_peer_touch(a->peer);
    return err;
}

void rovei_mesh_finish(rovei_mesh *m, uint64_t association, uint64_t stream)
{
    rovei_association *a = find(m, association);
    if (!a)
        return;
    rovei_transport_finish(a->transport, stream);
    rovei_peer_touch(a->peer);
}

void rovei_mesh_reset(rovei_mesh *m, uint64_t association, uint64_t stream)
{
    rovei_association *a = find(m, association);
    if (!a)
        return;
    rovei_transport_reset(a->transport, stream);
    rovei_peer_touch(a->peer);
}

uint64_t rovei_mesh_queued(const rovei_mesh *m, uint64_t association, uint64_t stream)
{
    const rovei_association *a = find(m, association);
    return a ? rovei_transport_queued(a->transport, stream) : 0;
}

void rovei_mesh_hold(rovei_mesh *m, uint64_t association, uint64_t stream, uint64_t size)
{
    rovei_association *a = find(m, association);
    if (a)
        rovei_transport_hold(a->transport, stream, size);
}

void rovei_mesh_release(rovei_mesh *m, uint64_t association, uint64_t stream, uint64_t size)
{
    rovei_association *a = find(m, association);
    if (!a)
        return;
    rovei_transport_release(a->transport, stream, size);
    rovei_peer_touch(a->peer);
}
