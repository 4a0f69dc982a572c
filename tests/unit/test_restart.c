/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers that restart, come back with an older incarnation or another clock, fall silent and are
 * heard again.
 */
#include "net.h"

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

/* ---- restarts ---- */

static void test_restart(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        net n;
        net_up(&n);
        uint64_t stream = 0, value = 0, old = net_association(&n, 1 - who, who);
        net_send(&n, 1 - who, who, &stream, &value, 10, 1000);
        net_run(&n, 100 * MS);
        net_stop(&n, who);
        net_run(&n, 500 * MS);
        n.nodes[who].next_value = 0;
        net_start(&n, who);
        if (who == 0)
            net_connect(&n, 0, 1);
        /* The one that was dialled waits until the dialling one has noticed. */
        net_run(&n, 20 * SECOND);
        net_assert_gone(&n, 1 - who, 1, ROVE_E_INCARNATION);
        assert_int_equal(net_events(&n, 1 - who, ROVEI_MESH_UP, NULL), 2);
        assert_int_not_equal(net_association(&n, 1 - who, who), old);
        assert_int_equal(
            rovei_mesh_send(n.nodes[1 - who].mesh, old, stream, (rove_span){"x", 1}, NULL),
            ROVE_E_GONE);
        /* GONE of the old one is reported before UP of the new one. */
        const net_node *node = &n.nodes[1 - who];
        for (size_t k = 0; k + 1 < node->event_count; k++)
            if (node->events[k].kind == ROVEI_MESH_GONE)
                assert_int_equal(node->events[k + 1].kind, ROVEI_MESH_UP);
        n.nodes[0].next_value = n.nodes[1].next_value = 0;
        net_exchange(&n);
        net_fini(&n);
    }
}

/* A node whose disk was rolled back, or a second one with the same identity, is not listened to. */
static void test_lower_incarnation(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        net n;
        net_up(&n);
        net_stop(&n, who);
        uint64_t good = n.nodes[who].incarnation;
        rovei_mesh_config cfg = {
            .env = &n.nodes[who].t.env,
            .identity = n.nodes[who].id,
            .incarnation = good - 1,
            .handshake_time = n.nodes[who].time,
        };
        memcpy(cfg.psk, n.nodes[who].psk, sizeof cfg.psk);
        assert_ok(rovei_mesh_new(&n.nodes[who].mesh, &cfg, n.now));
        if (who == 0)
            net_connect(&n, 0, 1);
        net_run(&n, 60 * SECOND);
        assert_true(net_drops(&n, 1 - who, ROVEI_DROP_INCARNATION) > 5);
        assert_int_equal(net_events(&n, 1 - who, ROVEI_MESH_UP, NULL), 1);
        assert_int_equal(net_events(&n, 1 - who, ROVEI_MESH_GONE, NULL), 0);
        net_stop(&n, who);
        net_start(&n, who);
        if (who == 0)
            net_connect(&n, 0, 1);
        net_run(&n, 10 * SECOND);
        net_assert_gone(&n, 1 - who, 1, ROVE_E_INCARNATION);
        net_fini(&n);
    }
}

/* The incarnation is remembered when the record of the peer is gone. */
static void test_lower_incarnation_of_forgotten(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    net_run(&n, SECOND);
    assert_null(net_peer(&n, 1, 0));
    net_stop(&n, 0);
    n.nodes[0].incarnation -= 2 * SECOND; /* the same, for the next start */
    rovei_mesh_config cfg = {
        .env = &n.nodes[0].t.env,
        .identity = n.nodes[0].id,
        .incarnation = n.nodes[0].incarnation,
        .handshake_time = n.nodes[0].time,
    };
    memcpy(cfg.psk, n.nodes[0].psk, sizeof cfg.psk);
    assert_ok(rovei_mesh_new(&n.nodes[0].mesh, &cfg, n.now));
    net_connect(&n, 0, 1);
    net_run(&n, 5 * SECOND);
    assert_true(net_drops(&n, 1, ROVEI_DROP_INCARNATION) > 2);
    assert_null(net_peer(&n, 1, 0));
    net_fini(&n);
}

/* A machine whose clock went back is not locked out: the times go on from the last one. */
static void test_clock_back(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint64_t time = n.nodes[0].time;
    assert_true(time >= n.now.wall - SECOND);
    net_stop(&n, 0);
    n.now.wall -= 3600 * SECOND;
    net_start(&n, 0);
    net_connect(&n, 0, 1);
    net_run(&n, SECOND);
    net_assert_gone(&n, 1, 1, ROVE_E_INCARNATION);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2);
    assert_int_equal(n.nodes[0].time, time + 1);
    assert_int_equal(net_drops_all(&n, 1), 0);
    net_fini(&n);
}

static bool hold_response_of_0(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)to, (void)size;
    return !(from == 0 && bytes[3] == ROVEI_PACKET_RESPONSE);
}

/* An answer that comes late, from before its sender forgot the association, does not bring the old
 * one back. */
static void test_late_answer_of_old_number(void **state)
{
    (void)state;
    net n;
    net_two(&n);
    n.filter = hold_response_of_0;
    n.keep = true;
    net_connect(&n, 1, 0);
    net_run(&n, 20 * MS);
    assert_non_null(net_peer(&n, 0, 1)->next);
    rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    net_connect(&n, 0, 1);
    net_run(&n, 20 * MS);
    uint64_t association = net_association(&n, 1, 0);
    assert_int_not_equal(association, 0);
    assert_non_null(net_peer(&n, 1, 0)->opening.noise.pattern);
    const net_packet *old = net_kept(&n, 0, ROVEI_PACKET_RESPONSE, 0);
    assert_non_null(old);
    net_inject(&n, 0, 1, old->bytes, old->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_SESSION), 1);
    assert_int_equal(net_association(&n, 1, 0), association);
    n.filter = NULL;
    net_run(&n, 3 * SECOND);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* ---- silence ---- */

static void test_silence(void **state)
{
    (void)state;
    for (int heal_by = 0; heal_by < 3; heal_by++) {
        net n;
        net_up(&n);
        uint64_t stream = 0, value = 0, old = net_association(&n, 0, 1);
        net_send(&n, 0, 1, &stream, &value, 10, 1000);
        net_run(&n, SECOND);
        net_block(&n, 0, 1, true);
        net_block(&n, 1, 0, true);
        net_send(&n, 0, 1, &stream, &value, 10, 1000);
        net_run(&n, 1900 * MS);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(n.nodes[i].event_count, 1);
        net_run(&n, 1200 * MS);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(net_events(&n, i, ROVEI_MESH_SUSPECT, NULL), 1);
        assert_int_equal(net_peer(&n, 0, 1)->assoc->state, ROVEI_PEER_SUSPECT);
        if (heal_by > 0) {
            net_run(&n, heal_by == 1 ? 7 * SECOND : 90 * SECOND);
            for (size_t i = 0; i < 2; i++)
                assert_int_equal(net_events(&n, i, ROVEI_MESH_FAILED, NULL), 1);
        }
        net_block(&n, 0, 1, false);
        net_block(&n, 1, 0, false);
        uint64_t healed = n.now.mono;
        while (!net_events(&n, 0, ROVEI_MESH_ALIVE, NULL) && n.now.mono < healed + 5 * SECOND)
            net_run(&n, 5 * MS);
        /* What waits does not wait for a timer that grew during the silence. */
        net_run(&n, 50 * MS);
        assert_int_equal(n.nodes[1].messages, 20);
        net_run(&n, 4500 * MS);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(net_events(&n, i, ROVEI_MESH_ALIVE, NULL), 1);
            assert_int_equal(net_events(&n, i, ROVEI_MESH_GONE, NULL), 0);
            assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 1);
        }
        assert_int_equal(net_association(&n, 0, 1), old);
        assert_int_equal(n.nodes[1].messages, 20);
        net_send(&n, 0, 1, &stream, &value, 10, 1000);
        net_run(&n, SECOND);
        assert_int_equal(n.nodes[1].messages, 30);
        net_run(&n, 200 * SECOND);
        net_assert_one_association(&n);
        net_fini(&n);
    }
}

/* Silence until the keys run out ends the association on both sides; the dialling side goes on. */
static void test_keys_run_out(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_block(&n, 0, 1, true);
    net_block(&n, 1, 0, true);
    net_run(&n, 178 * SECOND);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(net_events(&n, i, ROVEI_MESH_GONE, NULL), 0);
    net_run(&n, 3 * SECOND);
    for (size_t i = 0; i < 2; i++)
        net_assert_gone(&n, i, 1, ROVE_E_PEER_LOST);
    assert_null(net_peer(&n, 1, 0));
    rovei_peer_info info;
    assert_ok(rovei_mesh_peer(n.nodes[0].mesh, &n.nodes[1].entity, &info));
    assert_int_equal(info.state, ROVEI_PEER_CONNECTING);
    assert_int_equal(info.association, 0);
    net_block(&n, 0, 1, false);
    net_block(&n, 1, 0, false);
    net_run(&n, 5 * SECOND);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 2);
    n.nodes[0].next_value = n.nodes[1].next_value = 0;
    net_exchange(&n);
    net_fini(&n);
}

/* One side runs out of keys and forgets the association, the other has it still: its number tells.
 */
static void test_forgotten_on_one_side(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        net n;
        net_init(&n, 2);
        n.nodes[who].t.env.limits.reject_time = 20 * SECOND;
        n.nodes[who].t.env.limits.rekey_time = 18 * SECOND;
        net_start(&n, 0);
        net_start(&n, 1);
        net_connect(&n, 0, 1);
        net_run(&n, SECOND);
        net_block(&n, 0, 1, true);
        net_block(&n, 1, 0, true);
        net_run(&n, 30 * SECOND);
        net_assert_gone(&n, who, 1, ROVE_E_PEER_LOST);
        assert_int_equal(net_events(&n, 1 - who, ROVEI_MESH_GONE, NULL), 0);
        net_block(&n, 0, 1, false);
        net_block(&n, 1, 0, false);
        net_run(&n, 10 * SECOND);
        net_assert_gone(&n, 1 - who, 1, ROVE_E_PEER_LOST);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 2);
        net_exchange(&n);
        net_fini(&n);
    }
}

/* A failed peer is looked for: always by the side that dials, by the other when traffic waits. */
static void test_failed_is_dialled(void **state)
{
    (void)state;
    for (int queued = 0; queued < 2; queued++) {
        net n;
        net_up(&n);
        uint64_t stream = 0, value = 0;
        net_block(&n, 0, 1, true);
        net_block(&n, 1, 0, true);
        if (queued)
            net_send(&n, 1, 0, &stream, &value, 1, 100);
        net_run(&n, 9 * SECOND);
        assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, 1);
        net_run(&n, 21 * SECOND);
        assert_true(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started >= 6);
        uint64_t started = rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_started;
        assert_true(queued ? started >= 6 : started == 0);
        net_fini(&n);
    }
}

/* The answering side looks for a failed peer when traffic waits for it. */
static void test_answering_side_looks(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_block(&n, 0, 1, true);
    net_run(&n, 12 * SECOND);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_FAILED, NULL), 1);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_started, 0);
    uint64_t stream = 0, value = 0;
    net_send(&n, 1, 0, &stream, &value, 1, 100);
    net_run(&n, SECOND);
    assert_true(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_started > 0);
    net_block(&n, 0, 1, false);
    net_run(&n, 6 * SECOND);
    assert_int_equal(n.nodes[0].messages, 1);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_ALIVE, NULL), 1);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_lower_incarnation),
        cmocka_unit_test(test_lower_incarnation_of_forgotten),
        cmocka_unit_test(test_clock_back),
        cmocka_unit_test(test_late_answer_of_old_number),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_keys_run_out),
        cmocka_unit_test(test_forgotten_on_one_side),
        cmocka_unit_test(test_failed_is_dialled),
        cmocka_unit_test(test_answering_side_looks),
    };
    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
