/* SPDX-License-Identifier: Apache-2.0
 *
 * Meshes under attack: replayed, changed and truncated datagrams, in the hands of strangers and of
 * members. What must hold in every case: nothing changes, and every datagram is counted.
 */
#include "net.h"

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

/* ---- replayed messages ---- */

static void test_initiation_replayed(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    assert_non_null(m1);
    net_picture before = net_picture_of(&n, 1, 0);
    for (int i = 0; i < 10; i++)
        net_inject(&n, 0, 1, m1->bytes, m1->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 10);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    assert_null(net_peer(&n, 1, 0)->next);
    /* Also from elsewhere, and after the record is gone. */
    rovei_mesh_disconnect(n.nodes[0].mesh, n.now, &n.nodes[1].entity);
    net_run(&n, SECOND);
    assert_null(net_peer(&n, 1, 0));
    before = net_picture_of(&n, 1, 0);
    net_inject(&n, 1, 1, m1->bytes, m1->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 11);
    net_run(&n, 10 * SECOND);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    net_fini(&n);
}

/* The responder restarted and remembers no time: an unconfirmed session comes and goes, beside
 * whatever stands, and nothing else. */
static void test_initiation_replayed_after_restart(void **state)
{
    (void)state;
    for (int again_up = 0; again_up < 2; again_up++) {
        net n;
        net_up(&n);
        const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
        net_stop(&n, 1);
        net_run(&n, 10 * MS);
        net_start(&n, 1);
        if (again_up) {
            /* Both have a new association before the replay. The old time is lower. */
            net_run(&n, 20 * SECOND);
            assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 2);
        }
        net_block(&n, 0, 1, !again_up);
        net_picture a = net_picture_of(&n, 0, 1), b = net_picture_of(&n, 1, 0);
        uint64_t answered = rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_answered;
        net_inject(&n, 0, 1, m1->bytes, m1->size);
        if (again_up) {
            assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 1);
        } else {
            assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_answered,
                             answered + 1);
            const rovei_peer *p = net_peer(&n, 1, 0);
            assert_non_null(p->next);
            assert_null(p->current);
            assert_null(p->assoc);
            /* The second time it is known. */
            net_inject(&n, 0, 1, m1->bytes, m1->size);
            assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 1);
        }
        ASSERT_SAME(b, net_picture_of(&n, 1, 0));
        net_run(&n, 500 * MS);
        /* The answer tells the other side nothing. */
        if (!again_up)
            assert_int_equal(net_drops(&n, 0, ROVEI_DROP_SESSION), 1);
        a.sent = net_picture_of(&n, 0, 1).sent;
        ASSERT_SAME(a, net_picture_of(&n, 0, 1));
        net_run(&n, 6 * SECOND);
        if (!again_up)
            assert_null(net_peer(&n, 1, 0));
        net_block(&n, 0, 1, false);
        net_run(&n, 15 * SECOND);
        assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2);
        assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 2);
        net_fini(&n);
    }
}

/* A message 1 of a life that has ended, replayed when the present one has no session: it gives an
 * unconfirmed session at most, and the real peer connects meanwhile. */
static void test_replay_does_not_block(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    net_stop(&n, 1);
    net_start(&n, 1);
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    assert_non_null(net_peer(&n, 1, 0)->next);
    net_stop(&n, 0);
    net_start(&n, 0);
    net_connect(&n, 0, 1);
    net_run(&n, 100 * MS);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2);
    assert_null(net_peer(&n, 1, 0)->next);
    net_fini(&n);
}

static void test_response_replayed(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    const net_packet *m2 = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
    assert_non_null(m2);
    net_picture before = net_picture_of(&n, 0, 1);
    for (int i = 0; i < 5; i++)
        net_inject(&n, 1, 0, m2->bytes, m2->size);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_SESSION), 5);
    ASSERT_SAME(before, net_picture_of(&n, 0, 1));
    /* Also while another handshake is under way. */
    net_block(&n, 0, 1, true);
    net_block(&n, 1, 0, true);
    net_run(&n, 11 * SECOND);
    assert_non_null(net_peer(&n, 0, 1)->opening.noise.pattern);
    before = net_picture_of(&n, 0, 1);
    net_inject(&n, 1, 0, m2->bytes, m2->size);
    ASSERT_SAME(before, net_picture_of(&n, 0, 1));
    assert_non_null(net_peer(&n, 0, 1)->opening.noise.pattern);
    net_fini(&n);
}

static void test_data_replayed(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    n.keep = true;
    uint64_t stream = 0, value = 0;
    net_send(&n, 0, 1, &stream, &value, 10, 500);
    net_run(&n, SECOND);
    n.keep = false;
    net_picture before = net_picture_of(&n, 1, 0);
    uint64_t drops = net_drops_all(&n, 1);
    for (size_t i = 0; i < n.kept_count; i++)
        if (n.kept[i]->from == 0 && n.kept[i]->bytes[3] == ROVEI_PACKET_DATA)
            net_inject(&n, 0, 1, n.kept[i]->bytes, n.kept[i]->size);
    assert_true(net_drops(&n, 1, ROVEI_DROP_REPLAY) > 5);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAY), net_drops_all(&n, 1) - drops);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    assert_int_equal(n.nodes[1].messages, 10);
    /* After a rekey too, when the session is the previous one; and when it is gone. */
    for (int round = 0; round < 2; round++) {
        rovei_opening_start(net_peer(&n, 0, 1), 0);
        net_peer(&n, 0, 1)->current->created -= 121 * SECOND;
        net_run(&n, SECOND);
    }
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).rekeys, 2);
    before = net_picture_of(&n, 1, 0);
    for (size_t i = 0; i < n.kept_count; i++)
        net_inject(&n, 0, 1, n.kept[i]->bytes, n.kept[i]->size);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    net_fini(&n);
}

/* ---- changed and truncated datagrams ---- */

/* Every byte of every kind of datagram changed in turn, and every shorter length: dropped, counted,
 * answered with nothing. */
static void damage(net *n, size_t from, size_t to, const net_packet *p)
{
    net_picture before = net_picture_of(n, to, from);
    uint64_t drops = net_drops_all(n, to), count = 0;
    uint8_t bytes[NET_DATAGRAM];
    /* The second mac of a handshake message says nothing while nobody asks for cookies. */
    bool data = p->bytes[3] == ROVEI_PACKET_DATA;
    for (size_t i = 0; i < p->size - (data ? 0 : ROVEI_MAC_SIZE); i++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            memcpy(bytes, p->bytes, p->size);
            bytes[i] ^= (uint8_t)(1u << bit);
            net_inject(n, from, to, bytes, p->size);
            count++;
        }
    }
    for (size_t size = 0; size < p->size; size++, count++)
        net_inject(n, from, to, p->bytes, size);
    memcpy(bytes, p->bytes, p->size);
    bytes[p->size] = 0;
    net_inject(n, from, to, bytes, p->size + 1);
    count++;
    assert_int_equal(net_drops_all(n, to), drops + count);
    ASSERT_SAME(before, net_picture_of(n, to, from));
    rovei_mesh_check(n->nodes[to].mesh);
}

static void test_damaged(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 0);
    net_start(&n, 1);
    n.keep = true;
    n.filter = net_nothing;
    /* Each is given damaged before the real one, which must still work afterwards. */
    net_connect(&n, 0, 1);
    net_run(&n, MS);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    damage(&n, 0, 1, m1);
    assert_null(net_peer(&n, 1, 0));
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    net_run(&n, MS);
    const net_packet *m2 = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
    damage(&n, 1, 0, m2);
    assert_null(net_peer(&n, 0, 1)->current);
    net_inject(&n, 1, 0, m2->bytes, m2->size);
    assert_non_null(net_peer(&n, 0, 1)->current);
    net_run(&n, MS);
    const net_packet *data = net_kept(&n, 0, ROVEI_PACKET_DATA, 0);
    assert_non_null(data);
    damage(&n, 0, 1, data);
    assert_null(net_peer(&n, 1, 0)->current);
    net_inject(&n, 0, 1, data->bytes, data->size);
    assert_non_null(net_peer(&n, 1, 0)->current);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 1);
    /* And again, now that the session stands. */
    damage(&n, 0, 1, data);
    damage(&n, 0, 1, m1);
    damage(&n, 1, 0, m2);
    net_fini(&n);
}

/* Somebody with the psk can make the mac right, and still change nothing in what Noise covers. */
static void test_changed_by_member(void **state)
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
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    uint8_t bytes[NET_DATAGRAM], key[32], digest[32];
    for (int message = 0; message < 2; message++) {
        const net_packet *p = m1;
        size_t to = 1;
        if (message) {
            net_inject(&n, 0, 1, m1->bytes, m1->size);
            net_run(&n, MS);
            p = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
            to = 0;
        }
        rovei_mac_key(key, n.nodes[0].psk, &n.nodes[to].entity);
        net_picture before = net_picture_of(&n, to, 1 - to);
        size_t covered = p->size - 2 * ROVEI_MAC_SIZE;
        uint64_t handshake = net_drops(&n, to, ROVEI_DROP_HANDSHAKE);
        for (size_t i = 4; i < covered; i++) {
            memcpy(bytes, p->bytes, p->size);
            bytes[i] ^= 1;
            rovei_blake2s_mac(digest, key, 32, bytes, covered);
            memcpy(bytes + covered, digest, ROVEI_MAC_SIZE);
            net_inject(&n, 1 - to, to, bytes, p->size);
        }
        size_t elsewhere = message ? 4 : 0; /* another receiver's index: no such handshake */
        assert_int_equal(net_drops(&n, to, ROVEI_DROP_SESSION), elsewhere);
        assert_int_equal(net_drops(&n, to, ROVEI_DROP_HANDSHAKE) - handshake,
                         covered - 4 - elsewhere);
        ASSERT_SAME(before, net_picture_of(&n, to, 1 - to));
        assert_int_equal(net_drops(&n, to, ROVEI_DROP_MAC), 0);
    }
    const net_packet *m2 = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
    net_inject(&n, 1, 0, m2->bytes, m2->size);
    assert_non_null(net_peer(&n, 0, 1)->current);
    net_fini(&n);
}

/* ---- unconfirmed sessions ---- */

/* One per identity; a later message 1 replaces it, an earlier one does not. */
static void test_unconfirmed(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 1);
    net_forgery f;
    net_forge_init(&f, &n, 0x51);
    uint32_t last = 0;
    for (int i = 0; i < 5; i++) {
        f.hello.time += 2;
        net_inject_forged(&f, &n, 0, 1);
        rovei_peer *p = rovei_peer_find(n.nodes[1].mesh, &f.entity);
        assert_non_null(p->next);
        assert_int_not_equal(p->next->index, last);
        last = p->next->index;
        f.hello.time -= 1;
        net_inject_forged(&f, &n, 0, 1);
        assert_int_equal(p->next->index, last);
        f.hello.time += 1;
        net_run(&n, 800 * MS);
    }
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 5);
    net_run(&n, 4 * SECOND);
    assert_non_null(rovei_peer_find(n.nodes[1].mesh, &f.entity));
    net_run(&n, 300 * MS);
    assert_null(rovei_peer_find(n.nodes[1].mesh, &f.entity));
    assert_int_equal(n.nodes[1].event_count, 0);
    /* Its time is still known. */
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 6);
    net_fini(&n);
}

/* Members without end: records and remembered times stay within their bound. */
static void test_many_identities(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    n.nodes[1].t.env.limits.peers_max = 4;
    net_start(&n, 1);
    for (unsigned i = 0; i < 30; i++) {
        net_forgery f;
        net_forge_init(&f, &n, (uint8_t)(i + 1));
        net_inject_forged(&f, &n, 0, 1);
        rovei_mesh_check(n.nodes[1].mesh);
        if (i % 10 == 9)
            net_run(&n, 6 * SECOND);
    }
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_PEERS), 18);
    assert_int_equal(n.nodes[1].mesh->seen.count, 4);
    assert_int_equal(n.nodes[1].mesh->peers.count, 0);
    net_fini(&n);
}

/* ---- noise ---- */

/* Random datagrams of every length with the right first bytes, and everything that was seen on the
 * wire at random with random changes, while two nodes talk. */
static void test_storm(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint64_t random = 5, stream[2] = {0}, value[2] = {0};
    n.keep = true;
    for (int round = 0; round < 60; round++) {
        net_send(&n, 0, 1, &stream[0], &value[0], 3, 700);
        net_send(&n, 1, 0, &stream[1], &value[1], 3, 700);
        net_run(&n, 20 * MS);
        for (int i = 0; i < 60; i++) {
            uint8_t bytes[NET_DATAGRAM];
            size_t size = below(&random, 1300), to = below(&random, 2);
            random_bytes(&random, bytes, size);
            if (below(&random, 2) && n.kept_count) {
                const net_packet *p = n.kept[below(&random, n.kept_count)];
                to = below(&random, 4) ? p->to : to;
                size = p->size;
                memcpy(bytes, p->bytes, size);
                if (below(&random, 3))
                    bytes[below(&random, size)] ^= (uint8_t)(1 + below(&random, 255));
                if (below(&random, 5) == 0)
                    size = below(&random, size + 1);
            } else if (size >= 4) {
                memcpy(bytes, "\x45\x4E\x02", 3);
                bytes[3] = (uint8_t)below(&random, 6);
            }
            net_inject(&n, 1 - to, to, bytes, size);
        }
    }
    net_run(&n, 10 * SECOND);
    assert_int_equal(n.nodes[0].messages, 180);
    assert_int_equal(n.nodes[1].messages, 180);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(net_events(&n, i, ROVEI_MESH_UP, NULL), 1);
        assert_int_equal(n.nodes[i].event_count, 1);
        rovei_mesh_stats s = rovei_mesh_stats_get(n.nodes[i].mesh);
        uint64_t sum = s.datagrams_accepted;
        for (unsigned d = 0; d < ROVEI_DROP_COUNT; d++) {
            sum += s.drops[d];
            assert_string_not_equal(rovei_drop_name((rovei_drop)d), "?");
        }
        assert_int_equal(sum, s.datagrams_received);
        rovei_mesh_drop_message(n.nodes[i].mesh);
        assert_int_equal(net_drops(&n, i, ROVEI_DROP_SUBPROTOCOL), 1);
        rovei_mesh_check(n.nodes[i].mesh);
    }
    assert_string_equal(rovei_drop_name(ROVEI_DROP_COUNT), "?");
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initiation_replayed),
        cmocka_unit_test(test_initiation_replayed_after_restart),
        cmocka_unit_test(test_replay_does_not_block),
        cmocka_unit_test(test_response_replayed),
        cmocka_unit_test(test_data_replayed),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_changed_by_member),
        cmocka_unit_test(test_unconfirmed),
        cmocka_unit_test(test_many_identities),
        cmocka_unit_test(test_storm),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
