/* SPDX-License-Identifier: Apache-2.0
 *
 * The peers of class net beside a world. What they send is there at once. */
#include "outsiders.h"

#define FIRST 100 /* last byte of their addresses */

static rovei_addr node_addr(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 4000};
}

static rovei_addr own_addr(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(FIRST + i)}, .port = 4000};
}

static void pump(outsiders *o, size_t i)
{
    outsider *p = &o->peers[i];
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr to, from = own_addr(i);
    rovei_net_event e;
    if (!p->net)
        return;
    if (rovei_net_deadline(p->net) <= o->w.now.mono)
        rovei_net_expire(p->net, o->w.now);
    while (rovei_net_poll(p->net, &e))
        if (e.kind == ROVEI_NET_MESSAGE && o->heard) {
            o->heard(o, i, rove_buf_span(e.message));
            rove_buf_unref(e.message);
        } else if (e.kind == ROVEI_NET_MESSAGE) {
            assert_true(p->got_count < OUTSIDER_KEPT);
            p->got[p->got_count++] = e.message;
        }
    for (size_t size;
         (size = rovei_net_transmit(p->net, o->w.now, bytes, sizeof bytes, &to)) != 0;) {
        size_t node = to.ip[3] - 1u;
        assert_true(node < o->w.count);
        if (o->w.nodes[node].node)
            rovei_node_receive(o->w.nodes[node].node, o->w.now, &from, bytes, size);
    }
}

static void receive(world *w, size_t from, const rovei_addr *to, const uint8_t *bytes, size_t size)
{
    outsiders *o = (outsiders *)w;
    uint8_t copy[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr sender = node_addr(from);
    size_t i = (size_t)to->ip[3] - FIRST;
    assert_true(i < o->count);
    memcpy(copy, bytes, size);
    if (o->peers[i].net)
        rovei_net_receive(o->peers[i].net, w->now, &sender, copy, size);
}

static void turn(world *w)
{
    outsiders *o = (outsiders *)w;
    for (size_t i = 0; i < o->count; i++)
        pump(o, i);
}

static uint64_t deadline(const world *w)
{
    const outsiders *o = (const outsiders *)w;
    uint64_t at = ROVE_TIME_NEVER;
    for (size_t i = 0; i < o->count; i++)
        if (o->peers[i].net)
            at = rovei_time_min(at, rovei_net_deadline(o->peers[i].net));
    return at;
}

static const world_outside outside = {receive, turn, deadline};

static void make_peer(outsiders *o, size_t i)
{
    outsider *p = &o->peers[i];
    uint8_t secret[32];
    test_env_init(&p->t, 900 + i);
    assert_ok(rovei_keypair_generate(&p->id, &p->t.env));
    p->node_id = rovei_keypair_node_id(p->id);
    assert_ok(rovei_keypair_x25519(p->id, secret));
    rovei_x25519_public(p->public_key, secret);
    rovei_net_config cfg = {.env = &p->t.env, .identity = p->id};
    memset(cfg.psk, 0x42, sizeof cfg.psk);
    assert_ok(rovei_net_new(&p->net, &cfg, o->w.now));
}

static void join(outsiders *o, size_t peer, size_t node)
{
    world_node *n = &o->w.nodes[node];
    outsider *p = &o->peers[peer];
    uint8_t secret[32];
    rovei_net_listing l = {.node_id = p->node_id, .has_key = true};
    memcpy(l.key, p->public_key, sizeof l.key);
    assert_ok(rovei_net_list(rovei_node_net(n->node), o->w.now, &l));
    l = (rovei_net_listing){.node_id = rovei_entity_node_id(&n->entity),
                            .has_key = true,
                            .has_addr = true,
                            .addr = node_addr(node)};
    assert_ok(rovei_keypair_x25519(n->id, secret));
    rovei_x25519_public(l.key, secret);
    assert_ok(rovei_net_list(p->net, o->w.now, &l));
}

void outsiders_init(outsiders *o, size_t nodes, size_t count)
{
    memset(o, 0, sizeof *o);
    o->count = count;
    world_init_net(&o->w, nodes, &outside);
    for (size_t i = 0; i < count; i++)
        make_peer(o, i);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < nodes; j++)
            join(o, i, j);
    world_run(&o->w, ROVE_SECOND);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < nodes; j++)
            assert_true(rovei_net_reaches(rovei_node_net(o->w.nodes[j].node), o->peers[i].node_id));
}

void outsiders_fini(outsiders *o)
{
    world_fini(&o->w);
    for (size_t i = 0; i < o->count; i++) {
        outsider_clear(o, i);
        rovei_net_free(o->peers[i].net);
        rovei_keypair_unref(o->peers[i].id);
        test_env_fini(&o->peers[i].t);
    }
}

void outsider_say_bytes(outsiders *o, size_t who, size_t node, rove_span bytes)
{
    rove_err err = ROVE_E_FULL;
    while (err == ROVE_E_FULL) {
        err = rovei_net_send(o->peers[who].net, o->w.now,
                             rovei_entity_node_id(&o->w.nodes[node].entity),
                             ROVEI_NETMOVE_SUBPROTOCOL, bytes);
        pump(o, who);
        rovei_node_turn(o->w.nodes[node].node, o->w.now);
    }
    assert_ok(err);
}

void outsider_say(outsiders *o, size_t who, size_t node, const rovei_netmove_message *m)
{
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_netmove_encode(m, &w);
    assert_ok(w.err);
    outsider_say_bytes(o, who, node, (rove_span){bytes, rovei_writer_size(&w)});
}

void outsider_say_late(outsiders *o, size_t who, size_t node, const rovei_netmove_message *m,
                       outsider_packet *ret)
{
    uint8_t bytes[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_addr to;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_netmove_encode(m, &w);
    assert_ok(w.err);
    pump(o, who);
    assert_ok(rovei_net_send(o->peers[who].net, o->w.now,
                             rovei_entity_node_id(&o->w.nodes[node].entity),
                             ROVEI_NETMOVE_SUBPROTOCOL, (rove_span){bytes, rovei_writer_size(&w)}));
    *ret = (outsider_packet){.who = who, .node = node};
    ret->size = rovei_net_transmit(o->peers[who].net, o->w.now, ret->bytes, sizeof ret->bytes, &to);
    assert_true(ret->size > rovei_writer_size(&w));
    /* So that something later is there. */
    rovei_netmove_message other = {.type = ROVEI_NETMOVE_ACTIVATE_TARGET, .origin = 1};
    outsider_say(o, who, node, &other);
}

void outsider_let_go(outsiders *o, const outsider_packet *p)
{
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr from = own_addr(p->who);
    memcpy(bytes, p->bytes, p->size);
    assert_true(rovei_node_receive(o->w.nodes[p->node].node, o->w.now, &from, bytes, p->size));
    world_run(&o->w, 10 * ROVE_MILLISECOND);
}

bool outsider_heard(const outsiders *o, size_t who, rovei_netmove_type type,
                    rovei_netmove_message *ret)
{
    const outsider *p = &o->peers[who];
    for (size_t i = p->got_count; i-- > 0;) {
        assert_ok(rovei_netmove_decode(ret, rove_buf_span(p->got[i]), NULL));
        if (ret->type == type)
            return true;
    }
    return false;
}

size_t outsider_count(const outsiders *o, size_t who, rovei_netmove_type type)
{
    const outsider *p = &o->peers[who];
    size_t count = 0;
    for (size_t i = 0; i < p->got_count; i++)
        count += *(const uint8_t *)rove_buf_span(p->got[i]).data == type;
    return count;
}

void outsider_clear(outsiders *o, size_t who)
{
    outsider *p = &o->peers[who];
    while (p->got_count)
        rove_buf_unref(p->got[--p->got_count]);
}

void outsider_leave(outsiders *o, size_t who)
{
    rovei_net_free(o->peers[who].net);
    o->peers[who].net = NULL;
}
