/* SPDX-License-Identifier: Apache-2.0
 *
 * The link in memory. */
#include "net.h"

#include <base/buf.h>

void net_init(net *n, size_t count)
{
    memset(n, 0, sizeof *n);
    n->count = count;
    n->now = (rovei_now){.mono = 1000 * ROVE_SECOND, .wall = 1700000000 * ROVE_SECOND};
    n->delay = 5 * ROVE_MILLISECOND;
    rovei_list_init(&n->packets);
    for (size_t i = 0; i < count; i++) {
        net_node *node = &n->nodes[i];
        test_env_init(&node->t, 100 + i);
        memset(node->psk, 0x42, sizeof node->psk);
        node->addr = net_addr(i);
        assert_ok(rovei_keypair_generate(&node->id, &node->t.env));
        node->entity = *rovei_keypair_entity(node->id);
    }
}

void net_start(net *n, size_t i)
{
    net_node *node = &n->nodes[i];
    assert_null(node->mesh);
    node->incarnation = n->now.wall > node->incarnation ? n->now.wall : node->incarnation + 1;
    rovei_mesh_config cfg = {
        .env = &node->t.env,
        .identity = node->id,
        .incarnation = node->incarnation,
        .handshake_time = node->time,
    };
    memcpy(cfg.psk, node->psk, sizeof cfg.psk);
    assert_ok(rovei_mesh_new(&node->mesh, &cfg, n->now));
}

void net_stop(net *n, size_t i)
{
    rovei_mesh_free(n->nodes[i].mesh);
    n->nodes[i].mesh = NULL;
}

void net_forget(net *n)
{
    while (n->kept_count)
        free(n->kept[--n->kept_count]);
}

void net_fini(net *n)
{
    ROVEI_LIST_EACH (it, next, &n->packets)
        free(ROVEI_CONTAINER(it, net_packet, list));
    net_forget(n);
    for (size_t i = 0; i < n->count; i++) {
        net_stop(n, i);
        rovei_keypair_unref(n->nodes[i].id);
        test_env_fini(&n->nodes[i].t);
    }
}

rovei_addr net_addr(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 4000};
}

void net_connect(net *n, size_t from, size_t to)
{
    rovei_addr addr = net_addr(to);
    assert_ok(rovei_mesh_connect(n->nodes[from].mesh, n->now, &n->nodes[to].entity, &addr));
}

void net_block(net *n, size_t from, size_t to, bool block)
{
    unsigned bit = 1u << (4 * from + to);
    n->blocked = block ? n->blocked | bit : n->blocked & ~bit;
}

void net_move(net *n, size_t i, const rovei_addr *addr)
{
    n->strays_allowed = true;
    n->nodes[i].addr = *addr;
}

static net_packet *packet_new(const net *n, size_t from, size_t to, const uint8_t *bytes,
                              size_t size)
{
    net_packet *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_true(size <= sizeof p->bytes);
    p->from = from;
    p->from_addr = n->nodes[from].addr;
    p->to = to;
    p->size = size;
    memcpy(p->bytes, bytes, size);
    return p;
}

/* Into the list by time of arrival. */
static void send_off(net *n, net_packet *p)
{
    p->at = n->now.mono + n->delay + (n->jitter ? below(&n->random, n->jitter) : 0);
    rovei_list *after = n->packets.prev;
    while (after != &n->packets && ROVEI_CONTAINER(after, net_packet, list)->at > p->at)
        after = after->prev;
    rovei_list_add_head(after, &p->list);
}

static void carry(net *n, size_t from, const rovei_addr *to_addr, const uint8_t *bytes, size_t size)
{
    size_t to = 0;
    while (to < n->count && !rovei_addr_equal(&n->nodes[to].addr, to_addr))
        to++;
    if (to == n->count) {
        assert_true(n->strays_allowed);
        n->strays++;
        n->stray_bytes += size;
        return;
    }
    if (n->keep && n->kept_count < sizeof n->kept / sizeof *n->kept)
        n->kept[n->kept_count++] = packet_new(n, from, to, bytes, size);
    if (n->blocked >> (4 * from + to) & 1)
        return;
    if (n->filter && !n->filter(n, from, to, bytes, size))
        return;
    if (n->loss && below(&n->random, 1000) < n->loss)
        return;
    send_off(n, packet_new(n, from, to, bytes, size));
    if (n->twice && below(&n->random, 1000) < n->twice)
        send_off(n, packet_new(n, from, to, bytes, size));
}

static void take_message(net_node *node, const rovei_mesh_event *e)
{
    rove_span s = rove_buf_span(e->message);
    node->messages++;
    node->bytes += s.size;
    if (!node->count_only) {
        assert_true(s.size >= 8);
        assert_int_equal(rovei_load64(s.data), node->next_value);
        node->next_value++;
    }
    rove_buf_unref(e->message);
}

static void poll(net *n, net_node *node)
{
    rovei_mesh_event e;
    while (rovei_mesh_poll(node->mesh, &e)) {
        if (e.kind == ROVEI_MESH_MESSAGE) {
            take_message(node, &e);
            continue;
        }
        if (e.kind == ROVEI_MESH_TIME) {
            assert_true(e.value > node->time);
            node->time = e.value;
            continue;
        }
        n->told++;
        if (n->forget_events)
            continue;
        assert_true(node->event_count < NET_EVENTS);
        node->events[node->event_count++] = e;
    }
}

/* Everything that node `i` has to do at this instant. */
static void turn(net *n, size_t i)
{
    net_node *node = &n->nodes[i];
    uint8_t bytes[NET_DATAGRAM];
    rovei_addr to;
    if (!node->mesh)
        return;
    if (rovei_mesh_deadline(node->mesh) <= n->now.mono)
        rovei_mesh_expire(node->mesh, n->now);
    poll(n, node);
    size_t sent = 0;
    for (size_t size;
         (size = rovei_mesh_transmit(node->mesh, n->now, bytes, sizeof bytes, &to)) != 0;) {
        assert_true(size <= node->t.env.limits.datagram_max);
        assert_true(++sent < 100000);
        carry(n, i, &to, bytes, size);
    }
    poll(n, node);
    /* Nothing to send at this instant means that the next deadline lies in the future. */
    if (rovei_mesh_deadline(node->mesh) == 0)
        return;
    assert_true(rovei_mesh_deadline(node->mesh) > n->now.mono);
    if (n->checks++ % 16 == 0)
        rovei_mesh_check(node->mesh);
}

static void deliver(net *n)
{
    ROVEI_LIST_EACH (it, next, &n->packets) {
        net_packet *p = ROVEI_CONTAINER(it, net_packet, list);
        if (p->at > n->now.mono)
            break;
        rovei_list_remove(it);
        net_node *node = &n->nodes[p->to];
        if (node->mesh)
            rovei_mesh_receive(node->mesh, n->now, &p->from_addr, p->bytes, p->size);
        free(p);
    }
}

static uint64_t next_time(const net *n, uint64_t end)
{
    uint64_t at = end;
    if (!rovei_list_empty(&n->packets))
        at = rovei_time_min(at, ROVEI_CONTAINER(n->packets.next, net_packet, list)->at);
    for (size_t i = 0; i < n->count; i++)
        if (n->nodes[i].mesh)
            at = rovei_time_min(at, rovei_mesh_deadline(n->nodes[i].mesh));
    return at;
}

void net_run(net *n, uint64_t time)
{
    uint64_t end = n->now.mono + time;
    for (size_t still = 0;;) {
        deliver(n);
        for (size_t i = 0; i < n->count; i++)
            turn(n, i);
        uint64_t at = next_time(n, end);
        if (at <= n->now.mono) {
            /* A turn may wake another one at the same instant, but not for ever. */
            if (n->now.mono >= end)
                break;
            assert_true(++still < 1000);
            continue;
        }
        still = 0;
        n->now.wall += at - n->now.mono;
        n->now.mono = at;
    }
    for (size_t i = 0; i < n->count; i++)
        if (n->nodes[i].mesh)
            rovei_mesh_check(n->nodes[i].mesh);
}

void net_inject_from(net *n, const rovei_addr *from, size_t to, const uint8_t *bytes, size_t size)
{
    /* Of exactly this size on the heap, so that reading past the end is noticed. */
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    rovei_mesh_receive(n->nodes[to].mesh, n->now, from, copy, size);
    free(copy);
    poll(n, &n->nodes[to]);
}

void net_inject(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    net_inject_from(n, &n->nodes[from].addr, to, bytes, size);
}

const net_packet *net_kept(const net *n, size_t from, uint8_t type, size_t index)
{
    for (size_t i = 0; i < n->kept_count; i++)
        if (n->kept[i]->from == from && n->kept[i]->bytes[3] == type && index-- == 0)
            return n->kept[i];
    return NULL;
}

size_t net_events(const net *n, size_t i, rovei_mesh_event_kind kind, rovei_mesh_event *ret)
{
    const net_node *node = &n->nodes[i];
    size_t count = 0;
    for (size_t k = 0; k < node->event_count; k++) {
        if (node->events[k].kind != kind)
            continue;
        count++;
        if (ret)
            *ret = node->events[k];
    }
    return count;
}

rovei_peer *net_peer(net *n, size_t i, size_t other)
{
    return rovei_peer_find(n->nodes[i].mesh, &n->nodes[other].entity);
}

uint64_t net_association(net *n, size_t i, size_t other)
{
    rovei_peer_info info;
    if (rovei_mesh_peer(n->nodes[i].mesh, &n->nodes[other].entity, &info))
        return 0;
    return info.association;
}

uint64_t net_drops(const net *n, size_t i, rovei_drop reason)
{
    return rovei_mesh_stats_get(n->nodes[i].mesh).drops[reason];
}

uint64_t net_drops_all(const net *n, size_t i)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < ROVEI_DROP_COUNT; d++)
        sum += net_drops(n, i, (rovei_drop)d);
    return sum;
}

void net_send(net *n, size_t from, size_t to, uint64_t *stream, uint64_t *value, size_t count,
              size_t size)
{
    rovei_mesh *m = n->nodes[from].mesh;
    uint64_t association = net_association(n, from, to);
    assert_int_not_equal(association, 0);
    if (!*stream)
        assert_ok(rovei_mesh_open(m, association, 7, stream));
    for (size_t i = 0; i < count; i++) {
        rove_buf *body = rovei_buf_alloc(&n->nodes[from].t.env.alloc, size);
        assert_non_null(body);
        memset(rovei_buf_data(body), (int)(*value & 0xFF), size);
        rovei_store64(rovei_buf_data(body), (*value)++);
        assert_ok(rovei_mesh_send(m, association, *stream, (rove_span){NULL, 0}, body));
        rove_buf_unref(body);
    }
}

/* ---- what the tests say often ---- */

void net_two(net *n)
{
    net_init(n, 2);
    net_start(n, 0);
    net_start(n, 1);
}

void net_up(net *n)
{
    net_two(n);
    n->keep = true;
    net_connect(n, 0, 1);
    net_run(n, ROVE_SECOND);
    n->keep = false;
    assert_int_equal(net_events(n, 0, ROVEI_MESH_UP, NULL), 1);
    assert_int_equal(net_events(n, 1, ROVEI_MESH_UP, NULL), 1);
}

/* Both sides use the same session for sending, and nothing is half done. */
void net_assert_one_session(net *n)
{
    rovei_peer *a = net_peer(n, 0, 1), *b = net_peer(n, 1, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(a->current);
    assert_non_null(b->current);
    assert_int_equal(a->current->index, b->current->remote_index);
    assert_int_equal(b->current->index, a->current->remote_index);
    assert_null(a->next);
    assert_null(b->next);
    assert_null(a->opening.noise.pattern);
    assert_null(b->opening.noise.pattern);
}

/* Twenty messages each way on a stream of their own. */
void net_exchange(net *n)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t stream = 0, value = n->nodes[1 - i].next_value;
        net_send(n, i, 1 - i, &stream, &value, 20, 3000);
    }
    uint64_t before[2] = {n->nodes[0].messages, n->nodes[1].messages};
    net_run(n, 3 * ROVE_SECOND);
    assert_int_equal(n->nodes[0].messages, before[0] + 20);
    assert_int_equal(n->nodes[1].messages, before[1] + 20);
}

void net_assert_one_association(net *n)
{
    net_assert_one_session(n);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(net_events(n, i, ROVEI_MESH_UP, NULL), 1);
        assert_int_equal(net_events(n, i, ROVEI_MESH_GONE, NULL), 0);
    }
    net_exchange(n);
}

size_t net_lower(const net *n)
{
    return rovei_entity_compare(&n->nodes[0].entity, &n->nodes[1].entity) < 0 ? 0 : 1;
}

void net_assert_gone(const net *n, size_t i, size_t count, rove_err reason)
{
    rovei_mesh_event e;
    assert_int_equal(net_events(n, i, ROVEI_MESH_GONE, &e), count);
    assert_int_equal(e.reason, reason);
}

/* The peer's clock says that the session is old: it is replaced. */
void net_wear_out(net *n, size_t i, size_t other)
{
    rovei_peer *p = net_peer(n, i, other);
    p->current->created = n->now.mono - n->nodes[i].t.env.limits.rekey_time;
    rovei_keys_schedule(p);
}

net_picture net_picture_of(net *n, size_t i, size_t other)
{
    net_picture p = {.events = n->nodes[i].event_count};
    rovei_mesh_stats s = rovei_mesh_stats_get(n->nodes[i].mesh);
    p.completed = s.handshakes_completed;
    p.sent = s.datagrams_sent;
    const rovei_peer *peer = net_peer(n, i, other);
    if (peer && peer->assoc) {
        p.association = peer->assoc->id;
        p.state = peer->assoc->state;
    }
    if (peer && peer->current)
        p.current = peer->current->index;
    if (peer && peer->previous)
        p.previous = peer->previous->index;
    return p;
}

bool net_nothing(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)from, (void)to, (void)bytes, (void)size;
    return false;
}

void net_forge_init(net_forgery *f, net *n, uint8_t seed_byte)
{
    uint8_t seed[32];
    memset(seed, seed_byte, sizeof seed);
    *f = (net_forgery){.index = 0x1234};
    rovei_ed25519_from_seed(seed, f->secret, &f->entity);
    memcpy(f->psk, n->nodes[0].psk, sizeof f->psk);
    f->hello = (rovei_hello){.entity = f->entity,
                             .incarnation = n->now.wall,
                             .time = n->now.wall,
                             .association = 99,
                             .version_min = 1,
                             .version_max = 1};
}

void net_forge(const net_forgery *f, net *n, size_t to, uint8_t ret[ROVEI_INITIATION_SIZE])
{
    uint8_t secret[32], public_key[32], image[32], mac_key[32];
    rovei_ed25519_image_secret(secret, f->secret);
    rovei_x25519_public(public_key, secret);
    assert_ok(rovei_ed25519_image(image, &n->nodes[to].entity));
    const rovei_noise_keys keys = {secret, public_key, image, f->psk};
    rovei_noise noise;
    rovei_env *env = &n->nodes[0].t.env;
    assert_ok(rovei_handshake_init(&noise, env, true, &keys));
    rovei_mac_key(mac_key, f->psk, &n->nodes[to].entity);
    assert_ok(rovei_initiation_write(&noise, f->index, &f->hello, mac_key, ret));
    rovei_noise_fini(&noise);
}

void net_inject_forged(const net_forgery *f, net *n, size_t from, size_t to)
{
    uint8_t bytes[ROVEI_INITIATION_SIZE];
    net_forge(f, n, to, bytes);
    net_inject(n, from, to, bytes, sizeof bytes);
}
