/* SPDX-License-Identifier: Apache-2.0
 *
 * Meshes that behave: connecting, saying goodbye, sharing a node among peers, and doing without
 * memory.
 */
#include "net.h"

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

static void test_connect(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_assert_one_session(&n);
    rovei_peer_info info;
    assert_ok(rovei_mesh_peer(n.nodes[1].mesh, &n.nodes[0].entity, &info));
    assert_int_equal(info.state, ROVEI_PEER_UP);
    assert_int_equal(info.session_class, ROVEI_CLASS_ROVE);
    assert_int_equal(info.incarnation, n.nodes[0].incarnation);
    assert_int_equal(info.node_id, rovei_entity_node_id(&n.nodes[0].entity));
    rovei_addr addr = net_addr(0);
    assert_true(rovei_addr_equal(&info.addr, &addr));
    assert_int_not_equal(info.association, 0);
    size_t it = 0, peers = 0;
    while (rovei_mesh_peer_next(n.nodes[0].mesh, &it, &info))
        peers++;
    assert_int_equal(peers, 1);
    uint64_t stream[2] = {0}, value[2] = {0};
    net_send(&n, 0, 1, &stream[0], &value[0], 50, 100);
    net_send(&n, 1, 0, &stream[1], &value[1], 50, 20000);
    net_run(&n, 5 * SECOND);
    assert_int_equal(n.nodes[1].messages, 50);
    assert_int_equal(n.nodes[0].messages, 50);
    assert_int_equal(rovei_mesh_queued(n.nodes[0].mesh, net_association(&n, 0, 1), stream[0]), 0);
    for (size_t i = 0; i < 2; i++) {
        rovei_mesh_stats s = rovei_mesh_stats_get(n.nodes[i].mesh);
        assert_int_equal(s.handshakes_completed, 1);
        assert_int_equal(s.rekeys, 0);
        assert_int_equal(net_drops_all(&n, i), 0);
        assert_int_equal(s.datagrams_accepted, s.datagrams_received);
    }
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, 1);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_answered, 1);
    assert_ok(rovei_mesh_peer(n.nodes[0].mesh, &n.nodes[1].entity, &info));
    assert_true(info.rtt >= 10 * MS && info.rtt < 50 * MS);
    net_fini(&n);
}

/* An unanswered handshake is repeated after 1/4, 1/2, 1, 2, 4, 4, ... seconds, for ever. */
static void test_retry(void **state)
{
    (void)state;
    net n;
    net_two(&n);
    net_block(&n, 0, 1, true);
    net_connect(&n, 0, 1);
    net_run(&n, 7800 * MS);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, 6);
    net_run(&n, 400 * SECOND);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, 106);
    net_block(&n, 0, 1, false);
    net_run(&n, 5 * SECOND);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 1);
    net_fini(&n);
}

static void test_connect_arguments(void **state)
{
    (void)state;
    net n;
    net_two(&n);
    rovei_mesh *m = n.nodes[0].mesh;
    rovei_addr addr = net_addr(1);
    rove_entity e = n.nodes[0].entity;
    rovei_peer_info info;
    assert_int_equal(rovei_mesh_connect(m, n.now, &e, &addr), ROVE_E_SAME_NODE);
    memset(&e, 0, sizeof e);
    e.bytes[0] = 1; /* the neutral element */
    assert_int_equal(rovei_mesh_connect(m, n.now, &e, &addr), ROVE_E_NO_IMAGE);
    memset(&e, 0xEE, sizeof e);
    while (rovei_ed25519_image((uint8_t[32]){0}, &e) != ROVE_E_PUBLIC_KEY)
        e.bytes[0]++;
    assert_int_equal(rovei_mesh_connect(m, n.now, &e, &addr), ROVE_E_PUBLIC_KEY);
    assert_int_equal(rovei_mesh_peer(m, &e, &info), ROVE_E_UNKNOWN_PEER);
    assert_int_equal(rovei_mesh_open(m, 1, 1, &(uint64_t){0}), ROVE_E_GONE);
    assert_int_equal(rovei_mesh_send(m, 1, 1, (rove_span){NULL, 0}, NULL), ROVE_E_GONE);
    assert_int_equal(rovei_mesh_queued(m, 1, 1), 0);
    rovei_mesh_finish(m, 1, 1);
    rovei_mesh_reset(m, 1, 1);
    rovei_mesh_disconnect(m, n.now, &e);
    /* Twice the same is no change; another address is. */
    net_block(&n, 0, 1, true);
    rovei_addr wrong = addr;
    wrong.ip[3] = 1;
    assert_ok(rovei_mesh_connect(m, n.now, &n.nodes[1].entity, &wrong));
    net_run(&n, 10 * SECOND);
    net_block(&n, 0, 1, false);
    assert_ok(rovei_mesh_connect(m, n.now, &n.nodes[1].entity, &addr));
    net_run(&n, SECOND);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 1);
    net_fini(&n);
}

static void test_wrong_psk(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    n.nodes[1].psk[31] ^= 1;
    net_start(&n, 0);
    net_start(&n, 1);
    net_connect(&n, 0, 1);
    net_connect(&n, 1, 0);
    net_run(&n, 60 * SECOND);
    for (size_t i = 0; i < 2; i++) {
        /* It says once that nobody answers, and goes on trying. */
        assert_int_equal(n.nodes[i].event_count, 1);
        assert_int_equal(net_events(&n, i, ROVEI_MESH_UNANSWERED, NULL), 1);
        assert_true(net_drops(&n, i, ROVEI_DROP_MAC) > 10);
        assert_int_equal(net_drops(&n, i, ROVEI_DROP_MAC), net_drops_all(&n, i));
        assert_int_equal(rovei_mesh_stats_get(n.nodes[i].mesh).handshakes_answered, 0);
    }
    net_fini(&n);
}

/* The node behind the address has another key: it does not answer. */
static void test_wrong_key(void **state)
{
    (void)state;
    net n;
    net_init(&n, 3);
    net_start(&n, 0);
    net_start(&n, 1);
    rovei_addr addr = net_addr(1);
    assert_ok(rovei_mesh_connect(n.nodes[0].mesh, n.now, &n.nodes[2].entity, &addr));
    net_run(&n, SECOND);
    rovei_peer_info info;
    assert_ok(rovei_mesh_peer(n.nodes[0].mesh, &n.nodes[2].entity, &info));
    assert_false(info.unanswered); /* it may yet come */
    net_run(&n, 29 * SECOND);
    assert_int_equal(n.nodes[0].event_count, 1);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UNANSWERED, NULL), 1);
    assert_ok(rovei_mesh_peer(n.nodes[0].mesh, &n.nodes[2].entity, &info));
    assert_int_equal(info.state, ROVEI_PEER_CONNECTING);
    assert_true(info.unanswered);
    assert_int_equal(n.nodes[1].event_count, 0);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).datagrams_sent, 0);
    assert_true(net_drops(&n, 1, ROVEI_DROP_MAC) > 5);
    assert_null(net_peer(&n, 1, 0));
    net_fini(&n);
}

/* ---- endings ---- */

static void test_goodbye(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_connect(&n, 1, 0);
    rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    net_run(&n, 100 * MS);
    net_assert_gone(&n, 0, 1, ROVE_E_CLOSED);
    net_assert_gone(&n, 1, 1, ROVE_E_CLOSED);
    assert_null(net_peer(&n, 0, 1));
    /* The other side has been told to keep a session: it dials again. */
    net_run(&n, 2 * SECOND);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2);
    rovei_mesh_disconnect(n.nodes[1].mesh, n.now, &n.nodes[0].entity);
    net_run(&n, 100 * MS);
    assert_null(net_peer(&n, 0, 1));
    assert_null(net_peer(&n, 1, 0));
    assert_int_equal(rovei_mesh_deadline(n.nodes[0].mesh), ROVE_TIME_NEVER);
    assert_int_equal(rovei_mesh_deadline(n.nodes[1].mesh), ROVE_TIME_NEVER);
    net_fini(&n);
}

/* A message that has come is delivered before the end of its association is told. */
static void test_messages_before_gone(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint64_t stream = 0, value = 0;
    net_send(&n, 0, 1, &stream, &value, 3, 500);
    uint8_t bytes[NET_DATAGRAM];
    rovei_addr to, from = net_addr(0);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t size;
             (size = rovei_mesh_transmit(n.nodes[0].mesh, n.now, bytes, sizeof bytes, &to)) != 0;)
            rovei_mesh_receive(n.nodes[1].mesh, n.now, &from, bytes, size);
        if (pass == 0)
            rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    }
    net_run(&n, MS);
    assert_int_equal(n.nodes[1].messages, 3);
    net_assert_gone(&n, 1, 1, ROVE_E_CLOSED);
    net_fini(&n);
}

/* A peer that breaks the inner protocol loses the association, and hears of it. */
static void test_protocol_error(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint8_t bytes[64];
    memset(bytes, 0xFF, sizeof bytes);
    size_t size = rovei_session_seal(net_peer(&n, 0, 1)->current, bytes, 24);
    net_inject(&n, 0, 1, bytes, size);
    rovei_mesh_event e;
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_PROTOCOL), 1);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_GONE, &e), 1);
    assert_int_equal(rove_err_class_of(e.reason), ROVE_CLASS_PEER);
    net_run(&n, 3 * SECOND);
    net_assert_gone(&n, 0, 1, ROVE_E_CLOSED);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 2);
    net_exchange(&n);
    net_fini(&n);
}

/* ---- more than two ---- */

static void test_three(void **state)
{
    (void)state;
    net n;
    net_init(&n, 3);
    for (size_t i = 0; i < 3; i++)
        net_start(&n, i);
    for (size_t i = 0; i < 3; i++)
        net_connect(&n, i, (i + 1) % 3);
    net_run(&n, SECOND);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 2);
        n.nodes[i].count_only = true;
    }
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            uint64_t stream = 0, value = 0;
            if (k != i)
                net_send(&n, i, k, &stream, &value, 100, 5000);
        }
    net_run(&n, 5 * SECOND);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(n.nodes[i].messages, 200);
        assert_int_equal(n.nodes[i].bytes, 200 * 5000);
    }
    /* One that falls silent disturbs nobody. */
    net_block(&n, 0, 1, true);
    net_block(&n, 1, 0, true);
    net_run(&n, 11 * SECOND);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_FAILED, NULL), 1);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_FAILED, NULL), 1);
    assert_int_equal(net_events(&n, 2, ROVEI_MESH_SUSPECT, NULL), 0);
    net_fini(&n);
}

/* A peer with much to send does not hold the others up. */
static void test_turns(void **state)
{
    (void)state;
    net n;
    net_init(&n, 3);
    for (size_t i = 0; i < 3; i++) {
        net_start(&n, i);
        n.nodes[i].count_only = true;
    }
    net_connect(&n, 0, 1);
    net_connect(&n, 0, 2);
    net_run(&n, 100 * MS);
    uint64_t stream[3] = {0}, value = 0;
    /* Opens the congestion windows far beyond a turn. */
    for (size_t to = 1; to < 3; to++)
        net_send(&n, 0, to, &stream[to], &value, 40, 100000);
    net_run(&n, 10 * SECOND);
    for (size_t to = 1; to < 3; to++)
        net_send(&n, 0, to, &stream[to], &value, 40, 100000);
    uint8_t bytes[NET_DATAGRAM];
    rovei_addr addr;
    size_t row = 0, longest = 0, count[4] = {0}, last = 0;
    for (; rovei_mesh_transmit(n.nodes[0].mesh, n.now, bytes, sizeof bytes, &addr);
         last = addr.ip[3]) {
        row = addr.ip[3] == last ? row + 1 : 1;
        longest = row > longest ? row : longest;
        count[addr.ip[3]]++;
        n.now.mono += MS / 10;
        n.now.wall += MS / 10;
    }
    assert_true(count[2] > 64 && count[3] > 64);
    assert_true(longest <= 64);
    net_fini(&n);
}

static void test_peers_max(void **state)
{
    (void)state;
    net n;
    net_init(&n, 4);
    n.nodes[1].t.env.limits.peers_max = 2;
    for (size_t i = 0; i < 4; i++)
        net_start(&n, i);
    net_connect(&n, 0, 1);
    net_connect(&n, 2, 1);
    net_run(&n, SECOND);
    net_connect(&n, 3, 1);
    net_run(&n, 3 * SECOND);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2);
    assert_true(net_drops(&n, 1, ROVEI_DROP_PEERS) > 1);
    rovei_addr addr = net_addr(3);
    assert_int_equal(rovei_mesh_connect(n.nodes[1].mesh, n.now, &n.nodes[3].entity, &addr),
                     ROVE_E_FULL);
    /* A place that becomes free is taken. */
    rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    net_run(&n, 5 * SECOND);
    assert_int_not_equal(net_association(&n, 1, 3), 0);
    net_fini(&n);
}

/* ---- memory ---- */

/* Each allocation of each step refused in turn: the datagram counts as dropped for memory, and the
 * same one works afterwards. */
static void refuse_each(net *n, size_t from, size_t to, const net_packet *p)
{
    test_alloc *a = &n->nodes[to].t.alloc;
    for (size_t at = 0;; at++) {
        net_picture before = net_picture_of(n, to, from);
        uint64_t drops = net_drops(n, to, ROVEI_DROP_MEMORY);
        uint64_t accepted = rovei_mesh_stats_get(n->nodes[to].mesh).datagrams_accepted;
        a->calls = 0;
        a->fail_at = at;
        net_inject(n, from, to, p->bytes, p->size);
        a->fail_at = SIZE_MAX;
        rovei_mesh_check(n->nodes[to].mesh);
        if (rovei_mesh_stats_get(n->nodes[to].mesh).datagrams_accepted > accepted)
            return;
        assert_int_equal(net_drops(n, to, ROVEI_DROP_MEMORY), drops + 1);
        ASSERT_SAME(before, net_picture_of(n, to, from));
        assert_true(at < 100);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 0);
    net_start(&n, 1);
    n.keep = true;
    n.filter = net_nothing;
    net_connect(&n, 0, 1);
    net_run(&n, MS);
    refuse_each(&n, 0, 1, net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0));
    assert_non_null(net_peer(&n, 1, 0)->next);
    /* A refused answer uses its handshake up: the next attempt is another one. */
    test_alloc *a = &n.nodes[0].t.alloc;
    for (size_t at = 0;; at++) {
        net_run(&n, 4 * SECOND);
        const net_packet *m1 = NULL;
        for (size_t i = 0; net_kept(&n, 0, ROVEI_PACKET_INITIATION, i); i++)
            m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, i);
        net_inject(&n, 0, 1, m1->bytes, m1->size);
        net_run(&n, MS);
        const net_packet *m2 = NULL;
        for (size_t i = 0; net_kept(&n, 1, ROVEI_PACKET_RESPONSE, i); i++)
            m2 = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, i);
        uint64_t drops = net_drops(&n, 0, ROVEI_DROP_MEMORY);
        a->calls = 0;
        a->fail_at = at;
        net_inject(&n, 1, 0, m2->bytes, m2->size);
        a->fail_at = SIZE_MAX;
        rovei_mesh_check(n.nodes[0].mesh);
        if (net_peer(&n, 0, 1)->current)
            break;
        assert_int_equal(net_drops(&n, 0, ROVEI_DROP_MEMORY), drops + 1);
        assert_true(at < 50);
    }
    /* The confirmation: lost when refused, so another packet of the same session confirms. */
    test_alloc *b = &n.nodes[1].t.alloc;
    b->calls = 0;
    b->fail_at = 0;
    net_forget(&n);
    net_run(&n, MS);
    const net_packet *data = net_kept(&n, 0, ROVEI_PACKET_DATA, 0);
    assert_non_null(data);
    net_inject(&n, 0, 1, data->bytes, data->size);
    b->fail_at = SIZE_MAX;
    assert_int_equal(n.nodes[1].event_count, 0);
    assert_true(net_drops(&n, 1, ROVEI_DROP_MEMORY) > 0);
    n.filter = NULL;
    net_run(&n, 30 * SECOND);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 1);
    assert_int_not_equal(net_association(&n, 0, 1), 0);
    net_fini(&n);
}

static rove_err new_and_free(net *n)
{
    rovei_mesh_config cfg = {.env = &n->nodes[0].t.env, .identity = n->nodes[0].id};
    rovei_mesh *m;
    rove_err err = rovei_mesh_new(&m, &cfg, n->now);
    if (!err)
        rovei_mesh_free(m);
    return err;
}

static rove_err connect_1(net *n)
{
    rovei_addr addr = net_addr(1);
    return rovei_mesh_connect(n->nodes[0].mesh, n->now, &n->nodes[1].entity, &addr);
}

static void test_calls_out_of_memory(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    SWEEP_NOMEM(&n.nodes[0].t.alloc, new_and_free(&n));
    net_start(&n, 0);
    net_start(&n, 1);
    test_alloc *a = &n.nodes[0].t.alloc;
    rove_err err = ROVE_E_NOMEM;
    for (size_t at = 0; err; at++) {
        a->calls = 0;
        a->fail_at = at;
        err = connect_1(&n);
        a->fail_at = SIZE_MAX;
        assert_true(err == ROVE_OK || err == ROVE_E_NOMEM);
        rovei_mesh_check(n.nodes[0].mesh);
    }
    /* Every allocation of the first message refused in turn: the next attempt comes by itself. */
    for (size_t at = 0; at < 20; at++) {
        a->calls = 0;
        a->fail_at = at;
        net_run(&n, 200 * MS);
        a->fail_at = SIZE_MAX;
    }
    net_run(&n, 10 * SECOND);
    assert_int_not_equal(net_association(&n, 0, 1), 0);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_connect_arguments),
        cmocka_unit_test(test_wrong_psk),
        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_messages_before_gone),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_three),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_peers_max),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_calls_out_of_memory),
    };
    return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}
