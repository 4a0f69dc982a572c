/* SPDX-License-Identifier: Apache-2.0
 *
 * New keys for a standing association: by age and by count, under load and idle, from one side and
 * from both at once; and opens from both sides at once.
 */
#include "net.h"

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

/* ---- rekeying ---- */

static void rekey_under_load(uint64_t rekey_time, uint64_t reject_time, uint64_t rekey_packets,
                             uint64_t reject_packets)
{
    net n;
    net_init(&n, 2);
    for (size_t i = 0; i < 2; i++) {
        rove_limits *l = &n.nodes[i].t.env.limits;
        l->rekey_time = rekey_time;
        l->reject_time = reject_time;
        l->rekey_packets = rekey_packets;
        l->reject_packets = reject_packets;
    }
    net_start(&n, 0);
    net_start(&n, 1);
    net_connect(&n, 0, 1);
    net_run(&n, SECOND);
    uint64_t stream[2] = {0}, value[2] = {0};
    for (int round = 0; round < 100; round++) {
        net_send(&n, 0, 1, &stream[0], &value[0], 40, 400);
        net_send(&n, 1, 0, &stream[1], &value[1], 25, 900);
        net_run(&n, 100 * MS);
    }
    net_run(&n, 5 * SECOND);
    assert_int_equal(n.nodes[1].messages, 4000);
    assert_int_equal(n.nodes[0].messages, 2500);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(net_events(&n, i, ROVEI_MESH_GONE, NULL), 0);
        assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 1);
        assert_true(rovei_mesh_stats_get(n.nodes[i].mesh).rekeys >= 8);
    }
    net_fini(&n);
}

static void test_rekey_by_time(void **state)
{
    (void)state;
    rekey_under_load(SECOND, 3 * SECOND / 2, UINT64_C(1) << 48, UINT64_C(1) << 60);
}

static void test_rekey_by_packets(void **state)
{
    (void)state;
    rekey_under_load(120 * SECOND, 180 * SECOND, 16, 32);
}

/* An idle association rekeys too, and only the side that began it does. */
static void test_rekey_idle(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 1000 * SECOND);
    net_assert_one_session(&n);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rovei_mesh_stats_get(n.nodes[i].mesh).rekeys, 8);
        assert_int_equal(n.nodes[i].event_count, 1);
        assert_int_equal(net_drops_all(&n, i), 0);
    }
    assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_started, 0);
    net_fini(&n);
}

/* The initiator of a rekey confirms it at once, also when nothing else is to be sent. */
static void test_rekey_confirmed_at_once(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    for (int i = 0; i < 5; i++) {
        net_run(&n, 330 * MS);
        net_wear_out(&n, 0, 1);
        net_run(&n, 20 * MS);
        net_assert_one_session(&n);
        assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).rekeys, i + 1);
    }
    net_fini(&n);
}

/* A rekey goes where the session is, not where the peer was to be dialled. */
static void test_rekey_stays_on_path(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    rovei_addr nowhere = net_addr(0);
    assert_ok(rovei_mesh_connect(n.nodes[0].mesh, n.now, &n.nodes[1].entity, &nowhere));
    net_wear_out(&n, 0, 1);
    net_run(&n, SECOND);
    net_assert_one_session(&n);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).rekeys, 1);
    net_fini(&n);
}

static bool only_data(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)from, (void)to, (void)size;
    return bytes[3] == ROVEI_PACKET_DATA;
}

/* At the limit of packets a key seals nothing more; what waits goes under the next one. */
static void test_reject_packets(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    for (size_t i = 0; i < 2; i++) {
        n.nodes[i].t.env.limits.rekey_packets = 40;
        n.nodes[i].t.env.limits.reject_packets = 60;
    }
    net_start(&n, 0);
    net_start(&n, 1);
    net_connect(&n, 0, 1);
    net_run(&n, 100 * MS);
    n.filter = only_data;
    uint64_t stream = 0, value = 0;
    net_send(&n, 0, 1, &stream, &value, 200, 1000);
    net_run(&n, 4 * SECOND);
    assert_int_equal(net_peer(&n, 0, 1)->current->sent, 60);
    assert_true(n.nodes[1].messages < 80);
    n.filter = NULL;
    net_run(&n, 10 * SECOND);
    assert_int_equal(n.nodes[1].messages, 200);
    assert_int_equal(n.nodes[0].event_count, net_events(&n, 0, ROVEI_MESH_SUSPECT, NULL) +
                                                 net_events(&n, 0, ROVEI_MESH_ALIVE, NULL) + 1);
    net_fini(&n);
}

static bool no_initiation_from_0(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)to, (void)size;
    return !(from == 0 && bytes[3] == ROVEI_PACKET_INITIATION);
}

/* The side that began cannot rekey: the other one does, before the keys run out. */
static void test_rekey_fallback(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    n.filter = no_initiation_from_0;
    net_run(&n, 400 * SECOND);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(net_events(&n, i, ROVEI_MESH_GONE, NULL), 0);
        assert_true(rovei_mesh_stats_get(n.nodes[i].mesh).rekeys >= 2);
    }
    assert_true(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_started >= 1);
    net_fini(&n);
}

static uint64_t data_blocked_until;

static bool data_from_0_late(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)to, (void)size;
    return !(from == 0 && bytes[3] == ROVEI_PACKET_DATA && n->now.mono < data_blocked_until);
}

/* All of the initiator's first packets are lost for longer than the responder keeps the session
 * unconfirmed: the initiator notices that nothing comes under the new keys and begins again. */
static void test_confirmation_lost(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 118 * SECOND);
    n.filter = data_from_0_late;
    data_blocked_until = n.now.mono + 8 * SECOND;
    uint64_t stream = 0, value = 0;
    net_send(&n, 0, 1, &stream, &value, 10, 100);
    net_run(&n, 14 * SECOND);
    assert_int_equal(n.nodes[1].messages, 10);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_GONE, NULL), 0);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_GONE, NULL), 0);
    /* the first one, the rekey whose session was lost, and the one in its place */
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, 3);
    net_run(&n, 10 * SECOND);
    net_assert_one_session(&n);
    net_fini(&n);
}

/* ---- simultaneous opens ---- */

static size_t blocked_opener;
static uint64_t blocked_until;

static bool one_direction(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)to, (void)size;
    return !(bytes[3] == ROVEI_PACKET_INITIATION && from == blocked_opener &&
             n->now.mono < blocked_until);
}

static void test_simultaneous(void **state)
{
    (void)state;
    for (uint64_t later = 0; later < 24; later += 2) {
        net n;
        net_two(&n);
        net_connect(&n, 0, 1);
        net_run(&n, later * MS);
        net_connect(&n, 1, 0);
        net_run(&n, 6 * SECOND);
        net_assert_one_association(&n);
        size_t low = net_lower(&n);
        if (later < 5) /* both were under way: that of the lower entity is used */
            assert_true(net_peer(&n, low, 1 - low)->current->own);
        net_run(&n, 130 * SECOND);
        net_assert_one_association(&n);
        net_fini(&n);
    }
}

/* Both dial, and the messages 1 of one side do not get through, for a while or for ever. */
static void test_simultaneous_one_direction(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        for (uint64_t pause = 0; pause <= 400; pause += 40) {
            net n;
            net_two(&n);
            n.filter = one_direction;
            blocked_opener = who;
            blocked_until = pause == 400 ? ROVE_TIME_NEVER : n.now.mono + pause * MS;
            net_connect(&n, 0, 1);
            net_connect(&n, 1, 0);
            net_run(&n, 7 * SECOND);
            net_assert_one_association(&n);
            net_fini(&n);
        }
    }
}

/* Every pair of rekeys that cross under load ends in one session without a loss. */
static void test_simultaneous_rekey(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    for (int round = 0; round < 10; round++) {
        net_run(&n, 300 * MS);
        for (size_t i = 0; i < 2; i++) {
            uint64_t stream = 0, value = n.nodes[1 - i].next_value;
            net_send(&n, i, 1 - i, &stream, &value, 200, 3000);
            rovei_session *s = net_peer(&n, i, 1 - i)->current;
            s->created = n.now.mono - n.nodes[i].t.env.limits.rekey_time * 9 / 8 - SECOND;
            rovei_keys_schedule(net_peer(&n, i, 1 - i));
        }
        net_run(&n, 6 * SECOND);
        net_assert_one_session(&n);
        size_t low = net_lower(&n);
        assert_true(net_peer(&n, low, 1 - low)->current->own);
    }
    assert_int_equal(n.nodes[0].messages, 2000);
    assert_int_equal(n.nodes[1].messages, 2000);
    assert_int_equal(n.nodes[0].event_count, 1);
    assert_int_equal(n.nodes[1].event_count, 1);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rekey_by_time),
        cmocka_unit_test(test_rekey_by_packets),
        cmocka_unit_test(test_rekey_idle),
        cmocka_unit_test(test_rekey_confirmed_at_once),
        cmocka_unit_test(test_rekey_stays_on_path),
        cmocka_unit_test(test_reject_packets),
        cmocka_unit_test(test_rekey_fallback),
        cmocka_unit_test(test_confirmation_lost),
        cmocka_unit_test(test_simultaneous),
        cmocka_unit_test(test_simultaneous_one_direction),
        cmocka_unit_test(test_simultaneous_rekey),
    };
    return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
