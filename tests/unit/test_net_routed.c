/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net: packets behind a routing header, which anybody can write, and handshake messages that
 * come back, come late or come to the wrong node. */
#include "netkit.h"

/* ---- behind a routing header ---- */

/* Sealed by the puppet and sent with that header in front. */
static void route(kit *k, side *d, const rovei_net_route *r, bool heartbeat)
{
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_net_route_write(bytes, r);
    size_t size = ROVEI_NET_OVERHEAD;
    if (heartbeat)
        rovei_net_session_heartbeat(&d->s, bytes + ROVEI_NET_ROUTE_SIZE);
    else
        size = side_seal(d, bytes + ROVEI_NET_ROUTE_SIZE, 0x0500, "by a relay");
    kit_inject(k, 0, &kit_elsewhere, bytes, ROVEI_NET_ROUTE_SIZE + size);
    kit_run(k, 10 * ROVE_MILLISECOND);
}

/* A packet of a session is taken whatever stands in the header, but for the destination; a
 * heartbeat is not, and neither moves the peer. */
static void test_data(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    kit_run(&k, 100 * ROVE_MILLISECOND); /* the second pingwave */
    rovei_net_route r = {.ttl = 8, .dest = k.nodes[0].node_id};
    route(&k, &d, &r, false);
    r = (rovei_net_route){
        .ttl = 0, .hops = 255, .flags = 0xFF, .reserved = 9, .source = 77, .dest = r.dest};
    route(&k, &d, &r, false);
    assert_int_equal(k.nodes[0].messages, 2);
    route(&k, &d, &r, true);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_FORMAT), 1);
    uint64_t sent = k.sent;
    r.dest ^= UINT64_C(1) << 63;
    route(&k, &d, &r, false);
    r.dest = k.nodes[1].node_id;
    route(&k, &d, &r, false);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_TRANSIT), 2);
    assert_int_equal(k.nodes[0].messages, 2);
    assert_int_equal(k.sent, sent); /* nothing is passed on */
    assert_true(kit_is_sent_to(&k, &k.nodes[1].addr));
    d.s.id ^= 1;
    r.dest = k.nodes[0].node_id;
    route(&k, &d, &r, false);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_SESSION), 1);
    side_fini(&d);
    kit_fini(&k);
}

/* Routed heartbeats, which the reference drops, keep nobody alive. */
static void test_heartbeats(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, true);
    const rovei_net_route r = {.ttl = 8, .dest = k.nodes[0].node_id};
    for (unsigned i = 0; i < 20; i++) {
        k.nodes[1].got_count = 0;
        route(&k, &d, &r, true);
        kit_run(&k, 5 * ROVE_SECOND);
    }
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_FAILED);
    side_fini(&d);
    kit_fini(&k);
}

/* ---- handshakes on wrong ways ---- */

/* A message 1 to another node, or with a source that is changed on the way, is not answered. */
static void test_first_elsewhere(void **state)
{
    (void)state;
    static kit k;
    side d;
    kit_init(&k, 3);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, false);
    kit_list(&k, 0, 2, false);
    side_dial(&k, &d, 1, 2, true);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    kit_inject(&k, 0, &k.nodes[1].addr, d.first, d.first_size);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_TRANSIT), 1);
    rovei_store64(d.first + 10, k.nodes[0].node_id);
    kit_inject(&k, 0, &k.nodes[1].addr, d.first, d.first_size);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_HANDSHAKE), 1);
    side_fini(&d);
    assert_int_equal(k.sent, 0);
    kit_fini(&k);
}

/* What a node sent itself comes back to it, from its peer's address: no session, and the attempt
 * goes on to take the true answer. */
static void test_reflected(void **state)
{
    (void)state;
    for (size_t nth = 0; nth < 2; nth++) {
        static kit k;
        side d;
        rovei_net_packet p;
        kit_init(&k, 2);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, true);
        kit_run(&k, 2 * ROVE_SECOND);
        kit_packet *own = kit_got(&k, 1, HANDSHAKE, nth, &p);
        assert_non_null(own);
        assert_int_equal(p.routed, nth == 0);
        kit_inject(&k, 0, &k.nodes[1].addr, own->bytes, own->size);
        if (p.routed) {
            /* the destination made right, and both ids turned round */
            kit_packet turned = *own;
            rovei_store64(turned.bytes + 10, k.nodes[0].node_id);
            kit_inject(&k, 0, &k.nodes[1].addr, turned.bytes, turned.size);
            rovei_store32(turned.bytes + 6, rovei_net_low(k.nodes[1].node_id));
            kit_inject(&k, 0, &k.nodes[1].addr, turned.bytes, turned.size);
        }
        uint64_t sent = k.sent;
        kit_run(&k, 10 * ROVE_MILLISECOND);
        assert_int_equal(k.sent, sent);
        assert_int_equal(kit_info(&k, 0, 1).session, 0);
        side_answer(&k, &d, 1, 0, nth);
        kit_run(&k, 10 * ROVE_MILLISECOND);
        assert_int_equal(kit_info(&k, 0, 1).session, d.s.id);
        side_fini(&d);
        kit_fini(&k);
    }
}

/* A message 2 makes one session, however often it comes; that of an attempt given up makes none and
 * does not disturb the next. */
static void test_second_late(void **state)
{
    (void)state;
    static kit k;
    side late, good;
    kit_init(&k, 2);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, true);
    kit_run(&k, 7 * ROVE_SECOND); /* routed, direct, routed, direct */
    side_answer(&k, &late, 1, 0, 0);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).session, 0);
    side_answer(&k, &good, 1, 0, 2);
    kit_packet again = *ROVEI_CONTAINER(k.packets.prev, kit_packet, list);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).session, good.s.id);
    rovei_net_stats before = rovei_net_stats_get(k.nodes[0].net);
    kit_inject(&k, 0, &k.nodes[1].addr, again.bytes, again.size);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    rovei_net_stats after = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(after.handshakes_completed, before.handshakes_completed);
    assert_int_equal(after.handshakes_answered, before.handshakes_answered);
    assert_int_equal(kit_info(&k, 0, 1).session, good.s.id);
    side_fini(&late);
    side_fini(&good);
    kit_fini(&k);
}

/* After a new handshake counters begin anew, and no packet of the old session opens under the new
 * one. */
static void test_windows_restart(void **state)
{
    (void)state;
    static kit k;
    side old, new;
    side_begin(&k, &old, true);
    for (unsigned i = 0; i < 50; i++)
        side_say(&k, &old, 0x0500, "old");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    uint8_t kept[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(&old, kept, 0x0500, "kept back");
    side_dial(&k, &new, 1, 0, true);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    side_finish(&k, &new);
    assert_int_equal(new.s.sent, 0);
    side_say(&k, &new, 0x0500, "first again");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 51);
    rovei_store64(kept + 24, new.s.id);
    kit_inject(&k, 0, &k.nodes[1].addr, kept, size);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_AUTH), 1);
    assert_int_equal(k.nodes[0].messages, 51);
    side_fini(&old);
    side_fini(&new);
    kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_first_elsewhere),
        cmocka_unit_test(test_reflected),
        cmocka_unit_test(test_second_late),
        cmocka_unit_test(test_windows_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
