/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of class net through the object: data between two objects, what a peer hears whose every
 * packet the test makes, and what becomes of streams when their session ends. */
#include "netkit.h"

#include <net/wire.h>
#include <stdio.h>

#define MS ROVE_MILLISECOND

static rove_err send_event(kit *k, const rovei_net_stream *s, size_t size)
{
    static const uint8_t bytes[ROVEI_NET_MESSAGE_MAX + 1];
    return rovei_net_stream_send(k->nodes[0].net, k->now, s, (rove_span){bytes, size});
}

static rove_err open_stream(kit *k, uint64_t id, bool reliable, rovei_net_stream *ret)
{
    return rovei_net_stream_open(k->nodes[0].net, k->now, k->nodes[1].node_id, id, reliable, ret);
}

static const rovei_flow_stats *counters(kit *k, size_t i)
{
    static rovei_net_stats st;
    st = rovei_net_stats_get(k->nodes[i].net);
    return &st.streams;
}

static void pair_up(kit *k)
{
    kit_init(k, 2);
    kit_list(k, 0, 1, true);
    kit_list(k, 1, 0, false);
    kit_run(k, ROVE_SECOND);
}

/* Every fifth datagram of what is long is lost. */
static bool lossy(kit *k, const kit_packet *p)
{
    return p->size < 500 || k->sent % 5 != 0;
}

static bool never(kit *k, const kit_packet *p)
{
    (void)k;
    (void)p;
    return false;
}

static void test_reliable(void **state)
{
    (void)state;
    static kit k;
    rovei_net_stream s;
    pair_up(&k);
    assert_ok(open_stream(&k, 7, true, &s));
    assert_int_equal(open_stream(&k, 7, true, &s), ROVE_E_EXISTS);
    assert_int_equal(send_event(&k, &s, ROVEI_NET_MESSAGE_MAX + 1), ROVE_E_TOO_LARGE);
    k.filter = lossy;
    size_t sent = 0;
    for (unsigned i = 0; i < 20000 && sent < 500; i++) {
        rove_err err;
        while (sent < 500 && !(err = send_event(&k, &s, 1000)))
            sent++;
        kit_run(&k, MS);
    }
    kit_run(&k, 20 * ROVE_SECOND);
    assert_int_equal(sent, 500);
    assert_int_equal(k.nodes[1].data_count, 500);
    bool had[500] = {false};
    for (size_t i = 0; i < 500; i++) {
        assert_true(k.nodes[1].data[i] < 500 && !had[k.nodes[1].data[i]]);
        had[k.nodes[1].data[i]] = true;
    }
    assert_true(counters(&k, 0)->resent > 0);
    assert_int_equal(counters(&k, 0)->failed, 0);
    assert_true(kit_told(&k, 0, ROVEI_NET_STREAM) > 0); /* there is room again */
    kit_fini(&k);
}

/* Nobody answers: the stream fails once, and the session has nothing to do with it. */
static void test_failed(void **state)
{
    (void)state;
    static kit k;
    rovei_net_stream s;
    pair_up(&k);
    assert_ok(open_stream(&k, 7, true, &s));
    assert_ok(send_event(&k, &s, 10));
    k.filter = never;
    kit_run(&k, 20 * ROVE_SECOND);
    k.filter = NULL;
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_STREAM), 1);
    assert_int_equal(k.nodes[0].events[k.nodes[0].event_count - 1].happened, ROVEI_FLOW_FAILED);
    assert_int_equal(send_event(&k, &s, 10), ROVE_E_CLOSED);
    assert_ok(open_stream(&k, 8, true, &s));
    assert_ok(send_event(&k, &s, 10));
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[1].data_count, 1);
    kit_fini(&k);
}

/* A stream ends with its session: the handle says so, and the next session has its own. */
static void test_session_ends(void **state)
{
    (void)state;
    static kit k;
    rovei_net_stream s;
    pair_up(&k);
    assert_ok(open_stream(&k, 7, true, &s));
    assert_ok(send_event(&k, &s, 10));
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[1].node_id);
    assert_int_equal(send_event(&k, &s, 10), ROVE_E_GONE);
    assert_int_equal(open_stream(&k, 8, true, &s), ROVE_E_UNREACHABLE);
    kit_run(&k, ROVE_SECOND);
    kit_fini(&k);
}

/* ---- a peer made by hand ---- */

typedef struct hand {
    rovei_net_handshake h;
    rovei_net_session s;
    size_t seen; /* of what it got */
} hand;

static void hand_up(kit *k, hand *d)
{
    uint8_t first[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    *d = (hand){0};
    kit_init(k, 2);
    kit_make_puppet(k, 1);
    kit_list(k, 0, 1, false);
    assert_ok(rovei_net_dial(&d->h, &k->nodes[1].self, k->nodes[0].node_id, k->nodes[0].public_key,
                             false, first, &size));
    kit_inject(k, 0, &k->nodes[1].addr, first, size);
    kit_run(k, 10 * MS);
    rovei_net_packet p;
    kit_packet *got = kit_got(k, 1, ROVEI_NET_FLAG_HANDSHAKE, 0, &p);
    assert_non_null(got);
    assert_ok(rovei_net_dial_end(&d->h, &p, got->bytes));
    assert_ok(rovei_net_handshake_session(&d->h, &d->s));
}

static void hand_down(kit *k, hand *d)
{
    rovei_net_session_fini(&d->s);
    rovei_net_handshake_fini(&d->h);
    kit_fini(k);
}

static void hand_send(kit *k, hand *d, uint16_t subprotocol, uint64_t sequence, rove_span plain)
{
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    memcpy(bytes + ROVEI_NET_HEADER_SIZE, plain.data, plain.size);
    const rovei_net_header h = {.flags = subprotocol ? 0 : ROVEI_NET_FLAG_RELIABLE,
                                .subprotocol = subprotocol,
                                .stream = subprotocol ? ROVEI_NET_CONTROL_STREAM : 5,
                                .sequence = sequence,
                                .events = 1};
    size_t size = rovei_net_session_seal(&d->s, &h, bytes, plain.size);
    kit_inject(k, 0, &k->nodes[1].addr, bytes, size);
}

/* The next packet about streams that it got since the last look, as hex; NULL: none. */
static const char *hand_hears(kit *k, hand *d, uint16_t *ret_id)
{
    static char hex[512];
    rovei_net_packet p;
    kit_packet *got;
    while ((got = kit_got(k, 1, 0, d->seen, &p)) != NULL) {
        d->seen++;
        rove_span text;
        assert_ok(rovei_net_session_open(&d->s, &p, got->bytes, &text));
        if (!rovei_flow_is_control(p.header.subprotocol))
            continue;
        assert_true(p.header.stream == ROVEI_NET_CONTROL_STREAM && p.header.flags == 0);
        *ret_id = p.header.subprotocol;
        for (size_t i = 0; i < text.size && 2 * i + 2 < sizeof hex; i++)
            snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)text.data)[i]);
        return hex;
    }
    return NULL;
}

static void test_grants(void **state)
{
    (void)state;
    static kit k;
    hand d;
    uint16_t id = 0;
    const uint8_t event[20] = {16};
    hand_up(&k, &d);
    hand_send(&k, &d, 0, 0, (rove_span){event, 20});
    kit_run(&k, 2 * MS);
    assert_string_equal(hand_hears(&k, &d, &id), "180000000500000000000000"
                                                 "6800000000000000"
                                                 "0100000000000000");
    assert_int_equal(id, ROVEI_FLOW_WINDOW_ID);
    hand_send(&k, &d, 0, 2, (rove_span){event, 20});
    kit_run(&k, 2 * MS);
    assert_non_null(hand_hears(&k, &d, &id));
    assert_string_equal(hand_hears(&k, &d, &id), "180000000500000000000000"
                                                 "0100000000000000"
                                                 "0000000000000000");
    assert_int_equal(id, ROVEI_FLOW_NACK_ID);
    assert_null(hand_hears(&k, &d, &id));
    kit_run(&k, 25 * MS); /* again, while the hole stands */
    assert_non_null(hand_hears(&k, &d, &id));
    assert_int_equal(id, ROVEI_FLOW_NACK_ID);
    kit_run(&k, 2 * ROVE_SECOND);
    while (hand_hears(&k, &d, &id))
        ;
    assert_int_equal(id, ROVEI_FLOW_WINDOW_ID); /* in the end it is given up */
    hand_send(&k, &d, 0, 2, (rove_span){event, 20});
    kit_run(&k, 2 * MS);
    assert_string_equal(hand_hears(&k, &d, &id), "180000000500000000000000"
                                                 "3801000000000000"
                                                 "0300000000000000");
    assert_int_equal(k.nodes[0].data_count, 2);
    /* The end of the stream is told, and what comes later begins anew. */
    static const uint8_t reset[] = {8, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0};
    hand_send(&k, &d, ROVEI_FLOW_RESET_ID, 0, (rove_span){reset, sizeof reset});
    hand_send(&k, &d, 0, 0, (rove_span){event, 20});
    kit_run(&k, 2 * MS);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_STREAM), 1);
    assert_int_equal(k.nodes[0].data_count, 3);
    assert_string_equal(hand_hears(&k, &d, &id), "180000000500000000000000"
                                                 "6800000000000000"
                                                 "0100000000000000");
    hand_down(&k, &d);
}

/* Garbage in control packets is counted and changes nothing; the events beside it count. */
static void test_control_garbage(void **state)
{
    (void)state;
    static kit k;
    hand d;
    hand_up(&k, &d);
    static const uint8_t bytes[24];
    for (uint16_t id = ROVEI_FLOW_WINDOW_ID; id <= ROVEI_FLOW_RANGES_ID; id++) {
        uint8_t plain[28] = {5};
        memcpy(plain + 4, bytes, 5);
        hand_send(&k, &d, id, id, (rove_span){plain, 9});
    }
    kit_run(&k, 2 * MS);
    assert_int_equal(counters(&k, 0)->malformed, 4);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_STREAM], 4);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_STREAM), 0);
    hand_down(&k, &d);
}

/* ---- publishing ---- */

#define LIDAR        UINT64_C(0xec20e8ac7fa5e5d8) /* sensors/lidar */
#define LIDAR_STREAM UINT64_C(0xec21e8ac7fa5e5d8)

/* Two events, `hello` and an empty one. */
static const uint8_t two_events[] = {5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o', 0, 0, 0, 0};

static rove_err publish(kit *k, bool reliable, size_t size)
{
    static const uint8_t zeros[ROVEI_NET_PLAIN_MAX + 1];
    const rovei_flow_frames frames = {
        size ? (rove_span){zeros, size} : (rove_span){two_events, sizeof two_events}, size ? 1 : 2};
    return rovei_net_publish(k->nodes[0].net, k->now, k->nodes[1].node_id, LIDAR, reliable,
                             &frames);
}

/* The packet of a leg, byte for byte: header as the contract has it, events as they were given. */
static void test_publish_bytes(void **state)
{
    (void)state;
    static kit k;
    hand d;
    hand_up(&k, &d);
    for (unsigned n = 0; n < 2; n++) {
        assert_ok(publish(&k, n > 0, 0));
        kit_run(&k, 2 * MS);
        rovei_net_packet p;
        rove_span text;
        kit_packet *got;
        do {
            got = kit_got(&k, 1, 0, d.seen++, &p);
            assert_non_null(got);
        } while (p.header.stream != LIDAR_STREAM);
        const rovei_net_header *h = &p.header;
        assert_ok(rovei_net_session_open(&d.s, &p, got->bytes, &text));
        assert_span(text, two_events, sizeof two_events);
        assert_false(p.routed);
        assert_int_equal(h->flags, n ? ROVEI_NET_FLAG_RELIABLE : 0);
        assert_int_equal(h->subprotocol, 0);
        assert_int_equal(h->channel, 0xe5d8);
        assert_true(h->origin == rovei_keypair_origin(k.nodes[0].id));
        assert_int_equal(h->sequence, n);
        assert_int_equal(h->events, 2);
        assert_int_equal(h->priority | h->hop_ttl | h->hop_count | h->frag_flags | h->subnet, 0);
    }
    hand_down(&k, &d);
}

/* What is beyond the credit is refused at once; where none comes, the stream begins anew later. */
static void test_publish_credit(void **state)
{
    (void)state;
    static kit k;
    hand d;
    hand_up(&k, &d);
    assert_int_equal(publish(&k, false, ROVEI_NET_PLAIN_MAX + 1), ROVE_E_TOO_LARGE);
    for (unsigned n = 0; n < ROVEI_FLOW_WINDOW / ROVEI_NET_DATAGRAM_MAX; n++) {
        assert_ok(publish(&k, false, ROVEI_NET_PLAIN_MAX));
        kit_run(&k, MS);
    }
    assert_int_equal(publish(&k, false, 4), ROVE_E_FULL);
    kit_run(&k, ROVEI_FLOW_NEW_LIFE - 20 * MS);
    assert_int_equal(publish(&k, false, 4), ROVE_E_FULL);
    kit_run(&k, 20 * MS);
    k.nodes[1].got_count = 0;
    assert_ok(publish(&k, false, 0));
    kit_run(&k, MS);
    rovei_net_packet p;
    assert_non_null(kit_got(&k, 1, 0, 0, &p));
    assert_int_equal(p.header.subprotocol, ROVEI_FLOW_RESET_ID);
    assert_non_null(kit_got(&k, 1, 0, 1, &p));
    assert_true(p.header.stream == LIDAR_STREAM);
    assert_int_equal(p.header.sequence, 0);
    assert_int_equal(counters(&k, 0)->renewed, 1);
    hand_down(&k, &d);
}

/* What there is no credit for waits, in its order, up to its bound. */
static void test_publish_waiting(void **state)
{
    (void)state;
    static kit k;
    static const uint8_t zeros[1004];
    const rovei_flow_frames frames = {{zeros, sizeof zeros}, 1};
    pair_up(&k);
    for (int reliable = 0; reliable < 2; reliable++) {
        uint64_t channel = LIDAR + (uint64_t)reliable, peer = k.nodes[1].node_id;
        rovei_net *net = k.nodes[0].net;
        unsigned put = 0;
        size_t before = k.nodes[1].data_count, rooms = kit_told(&k, 0, ROVEI_NET_STREAM);
        while (!rovei_net_publish_is_full(net, peer, channel) && ++put)
            assert_ok(rovei_net_publish_waiting(net, k.now, peer, channel, reliable, &frames));
        assert_in_range(put, 500, 700);
        assert_int_equal(rovei_net_publish(net, k.now, peer, channel, reliable, &frames),
                         ROVE_E_FULL);
        rove_err err;
        while (!(err = rovei_net_publish_waiting(net, k.now, peer, channel, reliable, &frames)))
            put++;
        assert_int_equal(err, ROVE_E_FULL);
        assert_in_range(put, 1045, 1200);
        kit_run(&k, 10 * ROVE_SECOND);
        assert_int_equal(k.nodes[1].data_count, before + put);
        for (size_t i = before; i < before + put && i < KIT_DATA; i++)
            assert_int_equal(k.nodes[1].data[i], i - before);
        assert_true(kit_told(&k, 0, ROVEI_NET_STREAM) > rooms);
        assert_false(rovei_net_publish_is_full(net, peer, channel));
    }
    kit_fini(&k);
}

/* A reliable publish is repaired, and each packet is handed on once; a path that is dead for long
 * ends the stream, and it works again when the path does. */
static void test_publish_repaired(void **state)
{
    (void)state;
    static kit k;
    pair_up(&k);
    k.filter = lossy;
    for (unsigned sent = 0; sent < 200;) {
        rove_err err = publish(&k, true, 1000);
        assert_true(err == ROVE_OK || err == ROVE_E_FULL);
        sent += !err;
        kit_run(&k, MS);
    }
    kit_run(&k, 5 * ROVE_SECOND);
    assert_int_equal(k.nodes[1].data_count, 200);
    assert_true(counters(&k, 0)->resent > 0);
    k.filter = never;
    assert_ok(publish(&k, true, 1000));
    kit_run(&k, 15 * ROVE_SECOND);
    assert_int_equal(counters(&k, 0)->failed, 1);
    k.filter = NULL;
    rove_err err = publish(&k, true, 1000);
    for (unsigned n = 0; err == ROVE_E_CLOSED && n < 20; n++) {
        kit_run(&k, ROVE_SECOND);
        err = publish(&k, true, 1000);
    }
    assert_ok(err);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[1].data_count, 201);
    assert_int_equal(k.nodes[1].data[200], 0);
    kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reliable),        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_session_ends),    cmocka_unit_test(test_grants),
        cmocka_unit_test(test_control_garbage), cmocka_unit_test(test_publish_bytes),
        cmocka_unit_test(test_publish_credit),  cmocka_unit_test(test_publish_repaired),
        cmocka_unit_test(test_publish_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
