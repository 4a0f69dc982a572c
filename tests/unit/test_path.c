/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers that change their address, and others who pretend that they did. */
#include "net.h"

#include <mesh/path.h>

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

static rovei_addr elsewhere(uint8_t last, uint16_t port)
{
    return (rovei_addr){.family = 4, .ip = {10, 9, 0, last}, .port = port};
}

static void assert_sent_to(net *n, size_t i, size_t other, rovei_addr addr)
{
    assert_true(rovei_addr_equal(&net_peer(n, i, other)->addr, &addr));
}

static uint64_t paths(const net *n, size_t i)
{
    return rovei_mesh_stats_get(n->nodes[i].mesh).paths;
}

/* ---- the bytes ---- */

static void test_golden(void **state)
{
    (void)state;
    rovei_path_packet p = {ROVEI_PATH_CHALLENGE, {1, 2, 3, 4, 5, 6, 7, 8}}, back;
    uint8_t bytes[ROVEI_PATH_SIZE + 1] = {0};
    rovei_path_write(bytes, &p);
    assert_hex(bytes, 17, "00000000000000000a0102030405060708");
    assert_true(rovei_path_is(bytes, 17));
    assert_ok(rovei_path_read(bytes, 17, &back));
    assert_int_equal(back.type, ROVEI_PATH_CHALLENGE);
    assert_memory_equal(back.token, p.token, 8);
    p.type = ROVEI_PATH_ANSWER;
    rovei_path_write(bytes, &p);
    assert_hex(bytes, 17, "00000000000000000b0102030405060708");
    for (size_t size = 0; size < 17; size++)
        assert_int_equal(rovei_path_read(bytes, size, &back), ROVE_E_SHORT);
    assert_int_equal(rovei_path_read(bytes, 18, &back), ROVE_E_TRAILING);
    bytes[8] = 9;
    assert_int_equal(rovei_path_read(bytes, 17, &back), ROVE_E_FORMAT);
    bytes[8] = 12;
    assert_int_equal(rovei_path_read(bytes, 17, &back), ROVE_E_FORMAT);
    bytes[8] = 10;
    bytes[0] = 1;
    assert_false(rovei_path_is(bytes, 17));
    assert_int_equal(rovei_path_read(bytes, 17, &back), ROVE_E_FORMAT);
    assert_false(rovei_path_is(bytes, 7));
}

/* ---- a peer moves ---- */

/* Same session, same association, everything arrives once; also when it goes back, when only its
 * port changes, and when it has nothing to say but its heartbeat. */
static void test_moves(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint32_t index = net_peer(&n, 1, 0)->current->index;
    rovei_addr to[] = {elsewhere(1, 4000), elsewhere(1, 4001), net_addr(0), elsewhere(2, 9)};
    for (size_t i = 0; i < 4; i++) {
        uint64_t stream[2] = {0}, value[2] = {n.nodes[1].next_value, n.nodes[0].next_value};
        net_send(&n, 1, 0, &stream[1], &value[1], 40, 3000);
        if (i < 3)
            net_send(&n, 0, 1, &stream[0], &value[0], 40, 3000);
        net_run(&n, 7 * MS);
        net_move(&n, 0, &to[i]);
        net_run(&n, 10 * SECOND);
        assert_sent_to(&n, 1, 0, to[i]);
        assert_int_equal(paths(&n, 1), i + 1);
        assert_int_equal(net_peer(&n, 1, 0)->path.addr.family, 0);
    }
    assert_int_equal(n.nodes[0].messages, 160);
    assert_int_equal(n.nodes[1].messages, 120);
    assert_int_equal(net_peer(&n, 1, 0)->current->index, index);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[1].mesh).handshakes_completed, 1);
    assert_int_equal(paths(&n, 0), 0);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* Nobody speaks first but the heartbeat: the other side learns within one. */
static void test_moves_in_silence(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 5 * SECOND);
    rovei_addr to = elsewhere(3, 4000);
    net_move(&n, 0, &to);
    net_run(&n, n.nodes[0].t.env.limits.heartbeat + 100 * MS);
    assert_sent_to(&n, 1, 0, to);
    net_assert_one_association(&n);
    net_fini(&n);
}

static bool answers_lost(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)bytes;
    return !(from == 0 && to == 1 && size == ROVEI_PATH_SIZE + ROVEI_DATA_OVERHEAD);
}

/* Until the answer has come, everything but challenges goes to the old address, and of those no
 * more than three times of what came; then the address is forgotten. */
static void test_unanswered(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 5 * SECOND);
    n.filter = answers_lost;
    rovei_addr to = elsewhere(3, 4000);
    net_move(&n, 0, &to);
    uint64_t at_new = 0, most = 0;
    uint64_t stream = 0, value = 0;
    net_send(&n, 1, 0, &stream, &value, 5, 3000);
    for (int i = 0; i < 4000; i++) {
        net_run(&n, MS);
        const rovei_peer *p = net_peer(&n, 1, 0);
        assert_sent_to(&n, 1, 0, net_addr(0));
        assert_true(p->path.sent <= 3 * p->path.received);
        if (p->path.addr.family) {
            assert_true(rovei_addr_equal(&p->path.addr, &to));
            at_new = p->path.sent;
            most = at_new > most ? at_new : most;
        }
    }
    assert_true(most >= 2 * (ROVEI_PATH_SIZE + ROVEI_DATA_OVERHEAD));
    assert_int_equal(n.nodes[0].messages, 0);
    assert_true(n.strays > 10); /* what was sent to the old address */
    n.filter = NULL;
    net_run(&n, 5 * SECOND);
    assert_int_equal(n.nodes[0].messages, 5);
    assert_sent_to(&n, 1, 0, to);
    net_fini(&n);
}

static bool both_old(net *n, size_t from, size_t to, const uint8_t *bytes, size_t size)
{
    (void)n, (void)from, (void)to, (void)bytes, (void)size;
    return true;
}

/* Both move at once. What one of them says still reaches the other at its old address for a while
 * (a mapping that lives on); and when nothing does, the one that dials finds the way. */
static void test_both_move(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    n.filter = both_old;
    rovei_addr a = elsewhere(1, 1), b = elsewhere(2, 2);
    net_move(&n, 0, &a);
    net_run(&n, 3 * SECOND);
    net_move(&n, 1, &b);
    net_run(&n, 3 * SECOND);
    assert_sent_to(&n, 0, 1, b);
    assert_sent_to(&n, 1, 0, a);
    net_assert_one_association(&n);
    /* At the very same time: neither reaches the other, until one of them is dialled anew. */
    rovei_addr c = elsewhere(3, 3), d = elsewhere(4, 4);
    net_move(&n, 0, &c);
    net_move(&n, 1, &d);
    net_run(&n, 20 * SECOND);
    assert_int_equal(net_peer(&n, 0, 1)->assoc->state, ROVEI_PEER_FAILED);
    assert_ok(rovei_mesh_connect(n.nodes[0].mesh, n.now, &n.nodes[1].entity, &d));
    net_run(&n, 10 * SECOND);
    assert_sent_to(&n, 0, 1, d);
    assert_sent_to(&n, 1, 0, c);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* A peer that is dialled, moved, and fell silent on both sides is asked where it was last too. */
static void test_lost_after_move(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    rovei_addr b = elsewhere(2, 2);
    net_move(&n, 1, &b);
    net_run(&n, 3 * SECOND);
    assert_sent_to(&n, 0, 1, b);
    n.filter = net_nothing;
    net_run(&n, 20 * SECOND);
    assert_int_equal(net_peer(&n, 0, 1)->assoc->state, ROVEI_PEER_FAILED);
    n.filter = NULL;
    net_block(&n, 1, 0, true); /* it has nothing to say by itself */
    net_run(&n, 100 * MS);
    net_block(&n, 1, 0, false);
    net_run(&n, 10 * SECOND);
    assert_sent_to(&n, 0, 1, b);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* ---- somebody on the path ---- */

static net_packet *stolen(net *n, size_t from)
{
    for (size_t i = n->kept_count; i-- > 0;)
        if (n->kept[i]->from == from && n->kept[i]->bytes[3] == ROVEI_PACKET_DATA)
            return n->kept[i];
    return NULL;
}

/* A packet is taken from the path and comes from another address first: that address is asked,
 * gets nothing else, and the real packet's copies and the traffic go on where they were. */
static void test_stolen_packet(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 5 * SECOND);
    n.strays_allowed = true;
    rovei_addr thief = elsewhere(66, 666);
    uint64_t stream = 0, value = 0, back = 0, back_value = 0;
    for (int i = 0; i < 20; i++) {
        n.keep = true;
        n.filter = net_nothing;
        net_send(&n, 0, 1, &stream, &value, 1, 1000);
        net_run(&n, MS);
        n.keep = false;
        n.filter = NULL;
        net_packet *p = stolen(&n, 0);
        assert_non_null(p);
        n.strays = n.stray_bytes = 0;
        net_inject_from(&n, &thief, 1, p->bytes, p->size);
        assert_true(rovei_addr_equal(&net_peer(&n, 1, 0)->path.addr, &thief));
        net_inject(&n, 0, 1, p->bytes, p->size); /* the real one comes second: seen before */
        net_send(&n, 1, 0, &back, &back_value, 10, 5000);
        net_run(&n, 3 * SECOND);
        assert_sent_to(&n, 1, 0, net_addr(0));
        assert_in_range(n.strays, 1, 5);
        assert_true(n.stray_bytes <= 3 * p->size);
        net_forget(&n);
    }
    assert_int_equal(n.nodes[1].messages, 20);
    assert_int_equal(n.nodes[0].messages, 200);
    assert_int_equal(paths(&n, 1), 0);
    assert_true(net_drops(&n, 1, ROVEI_DROP_REPLAY) >= 20);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* Old packets from elsewhere are seen before, or overtaken: nobody is even asked. */
static void test_replayed_elsewhere(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    n.keep = true;
    uint64_t stream = 0, value = 0;
    net_send(&n, 0, 1, &stream, &value, 10, 1000);
    net_run(&n, SECOND);
    n.keep = false;
    net_run(&n, 50 * MS); /* all that was kept has arrived */
    n.keep = true;
    rovei_addr thief = elsewhere(66, 666);
    net_picture before = net_picture_of(&n, 1, 0);
    for (size_t i = 0; i < n.kept_count; i++)
        if (n.kept[i]->from == 0)
            net_inject_from(&n, &thief, 1, n.kept[i]->bytes, n.kept[i]->size);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    assert_int_equal(net_peer(&n, 1, 0)->path.addr.family, 0);
    /* One that was held back while a later one went through. */
    net_forget(&n);
    n.filter = net_nothing;
    net_send(&n, 0, 1, &stream, &value, 1, 100);
    net_run(&n, MS);
    n.filter = NULL;
    net_packet late = *stolen(&n, 0);
    net_run(&n, 2 * SECOND);
    net_inject_from(&n, &thief, 1, late.bytes, late.size);
    assert_int_equal(net_peer(&n, 1, 0)->path.addr.family, 0);
    assert_int_equal(paths(&n, 1), 0);
    net_fini(&n);
}

/* The answer has to come from the address itself and with its own token. */
static void test_wrong_answer(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_run(&n, 5 * SECOND);
    rovei_peer *p = net_peer(&n, 1, 0);
    rovei_addr thief = elsewhere(66, 666);
    rovei_path_heard(p, &thief, 100, true);
    uint8_t bytes[ROVEI_PATH_SIZE];
    rovei_path_packet answer = {.type = ROVEI_PATH_ANSWER};
    memcpy(answer.token, p->path.token, 8);
    rovei_path_write(bytes, &answer);
    rovei_addr other = elsewhere(66, 667);
    assert_int_equal(rovei_path_receive(p, &other, bytes, sizeof bytes), ROVEI_DROP_COUNT);
    assert_sent_to(&n, 1, 0, net_addr(0));
    bytes[16] ^= 1;
    assert_int_equal(rovei_path_receive(p, &thief, bytes, sizeof bytes), ROVEI_DROP_COUNT);
    assert_sent_to(&n, 1, 0, net_addr(0));
    bytes[16] ^= 1;
    assert_int_equal(rovei_path_receive(p, &thief, bytes, 16), ROVEI_DROP_PROTOCOL);
    assert_int_equal(rovei_path_receive(p, &thief, bytes, sizeof bytes), ROVEI_DROP_COUNT);
    assert_sent_to(&n, 1, 0, thief);
    /* An answer that nobody asked for. */
    assert_int_equal(rovei_path_receive(p, &other, bytes, sizeof bytes), ROVEI_DROP_COUNT);
    assert_sent_to(&n, 1, 0, thief);
    n.strays_allowed = true;
    net_run(&n, 5 * SECOND); /* the real one speaks, and has it back */
    assert_sent_to(&n, 1, 0, net_addr(0));
    net_assert_one_association(&n);
    net_fini(&n);
}

/* Message 2 from another address than the one message 1 went to is believed, its sender is not. */
static void test_answer_from_elsewhere(void **state)
{
    (void)state;
    net n;
    net_two(&n);
    n.filter = net_nothing;
    n.keep = true;
    net_connect(&n, 0, 1);
    net_run(&n, MS);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    net_run(&n, MS);
    const net_packet *m2 = net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
    rovei_addr thief = elsewhere(66, 666);
    net_inject_from(&n, &thief, 0, m2->bytes, m2->size);
    assert_sent_to(&n, 0, 1, net_addr(1));
    n.filter = NULL;
    net_run(&n, 3 * SECOND);
    assert_sent_to(&n, 0, 1, net_addr(1));
    net_assert_one_association(&n);
    net_fini(&n);
}

/* Number 0 with anything else in it ends the association: its sender is the peer itself. */
static void test_broken(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    uint8_t bytes[64] = {0};
    rovei_peer *p = net_peer(&n, 0, 1);
    bytes[ROVEI_DATA_HEADER + 8] = ROVEI_PATH_CHALLENGE;
    size_t size = rovei_session_seal(p->current, bytes, 16);
    net_inject(&n, 0, 1, bytes, size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_PROTOCOL), 1);
    net_assert_gone(&n, 1, 1, ROVE_E_FORMAT);
    net_run(&n, 3 * SECOND);
    assert_int_equal(net_events(&n, 1, ROVEI_MESH_UP, NULL), 2); /* and it begins again */
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),           cmocka_unit_test(test_moves),
        cmocka_unit_test(test_moves_in_silence), cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_both_move),        cmocka_unit_test(test_lost_after_move),
        cmocka_unit_test(test_stolen_packet),    cmocka_unit_test(test_replayed_elsewhere),
        cmocka_unit_test(test_wrong_answer),     cmocka_unit_test(test_answer_from_elsewhere),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
