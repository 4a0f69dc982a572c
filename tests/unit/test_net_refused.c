/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net: who is not served, and what is dropped. */
#include "netkit.h"

/* ---- who is not served ---- */

static void test_wrong_secrets(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 6; what++) {
        static kit k;
        kit_init(&k, 3);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, false);
        if (what < 2)
            k.nodes[1].psk[0] ^= 1;
        else if (what < 4)
            memcpy(k.nodes[0].public_key, k.nodes[2].public_key, 32);
        else
            k.nodes[1].self.node_id = k.nodes[2].node_id; /* which is not listed */
        side d;
        side_dial(&k, &d, 1, 0, what % 2);
        kit_run(&k, 10 * ROVE_SECOND);
        assert_int_equal(k.sent, 0); /* silence */
        assert_int_equal(k.nodes[0].event_count, 0);
        rovei_net_drop why = what == 5 ? ROVEI_NET_DROP_UNLISTED : ROVEI_NET_DROP_HANDSHAKE;
        assert_int_equal(kit_drops(&k, 0, why), 1);
        side_fini(&d);
        kit_fini(&k);
    }
}

/* The low half is listed, the whole id is another one. */
static void test_id_with_listed_half(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 2);
    kit_make_puppet(&k, 1);
    kit_list(&k, 0, 1, false);
    k.nodes[1].self.node_id ^= UINT64_C(1) << 63;
    side d;
    side_dial(&k, &d, 1, 0, true);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.sent, 0);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_UNLISTED), 1);
    side_fini(&d);
    kit_fini(&k);
}

static void test_listing(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 3);
    rovei_net *t = k.nodes[0].net;
    rovei_net_listing l = {.node_id = k.nodes[0].node_id ^ UINT64_C(1) << 40};
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_SAME_NODE);
    l.node_id = 0;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_RESERVED_ID);
    l.node_id = 0x1234567800004E45;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_RESERVED_ID);
    l.node_id = k.nodes[1].node_id;
    l.has_addr = true;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_USAGE);
    l.has_key = true; /* of small order */
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_WEAK_SECRET);
    l.has_key = l.has_addr = false;
    for (size_t at = 0, done = 0; !done; at++) {
        k.nodes[0].t.alloc.calls = 0;
        k.nodes[0].t.alloc.fail_at = at;
        rove_err err = rovei_net_list(t, k.now, &l);
        k.nodes[0].t.alloc.fail_at = SIZE_MAX;
        done = err == ROVE_OK;
        assert_true(done || err == ROVE_E_NOMEM);
        assert_true(!done || at >= 3);
    }
    assert_ok(rovei_net_list(t, k.now, &l)); /* again */
    l.node_id ^= UINT64_C(1) << 40;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_EXISTS);
    k.nodes[0].t.env.limits.net_peers = 1;
    l.node_id = k.nodes[2].node_id;
    assert_int_equal(rovei_net_list(t, k.now, &l), ROVE_E_FULL);
    rovei_net_info info;
    size_t it = 0;
    assert_true(rovei_net_peer_next(t, &it, &info));
    assert_int_equal(info.node_id, k.nodes[1].node_id);
    assert_int_equal(info.state, ROVEI_PEER_CONNECTING);
    assert_false(rovei_net_peer_next(t, &it, &info));
    assert_int_equal(rovei_net_peer(t, k.nodes[2].node_id, &info), ROVE_E_UNKNOWN_PEER);
    kit_fini(&k);
}

static void test_fence(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, true);
    kit_run(&k, ROVE_SECOND);
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[1].node_id);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_FAILED), 1);
    assert_false(rovei_net_reaches(k.nodes[0].net, k.nodes[1].node_id));
    rovei_net_listing l = {.node_id = k.nodes[1].node_id};
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_REFUSED);
    /* One that is not listed yet, and more than are kept: then nobody is listed any more. */
    k.nodes[0].t.env.limits.peers_max = 2;
    l.node_id = 77;
    for (uint64_t id = 77; id < 80; id++)
        rovei_net_fence(k.nodes[0].net, k.now, id);
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_REFUSED);
    l.node_id = 1000;
    assert_int_equal(rovei_net_list(k.nodes[0].net, k.now, &l), ROVE_E_FULL);
    uint64_t sent = k.sent;
    side_say(&k, &d, 0x0500, "anyone?");
    side again[2];
    for (unsigned routed = 0; routed < 2; routed++)
        side_dial(&k, &again[routed], 1, 0, routed);
    kit_run(&k, 10 * ROVE_SECOND);
    assert_int_equal(k.sent, sent);
    assert_int_equal(k.nodes[0].messages, 0);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_FENCED), 2);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_SESSION), 1);
    side_fini(&again[0]);
    side_fini(&again[1]);
    side_fini(&d);
    kit_fini(&k);
}

/* ---- packets ---- */

static void test_forged_packets(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(&d, bytes, 0x0500, "one");
    uint64_t tried = 0;
    for (size_t i = 0; i < size; i++) {
        if (i == 6 || (i >= 12 && i < 16))
            continue; /* the hop count and the prefix of the nonce are not covered */
        bytes[i] ^= 0x80;
        kit_inject(&k, 0, &k.nodes[1].addr, bytes, size);
        bytes[i] ^= 0x80;
        tried++;
    }
    kit_inject(&k, 0, &k.nodes[1].addr, bytes, size - 1);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 0);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(st.datagrams_received - st.datagrams_accepted, tried + 1);
    assert_true(st.drops[ROVEI_NET_DROP_AUTH] > 40 && st.drops[ROVEI_NET_DROP_SESSION] >= 8 &&
                st.drops[ROVEI_NET_DROP_FORMAT] >= 3);
    /* From anywhere, and once. */
    kit_inject(&k, 0, &kit_elsewhere, bytes, size);
    kit_inject(&k, 0, &kit_elsewhere, bytes, size);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_REPLAY), 1);
    assert_true(kit_is_sent_to(&k, &k.nodes[1].addr));
    /* Only a heartbeat, and no old one, moves the peer. */
    uint8_t beat[ROVEI_NET_OVERHEAD];
    rovei_net_session_heartbeat(&d.s, beat);
    side_beat_from(&k, &d, &kit_elsewhere);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_true(kit_is_sent_to(&k, &kit_elsewhere));
    kit_inject(&k, 0, &k.nodes[1].addr, beat, sizeof beat);
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_true(kit_is_sent_to(&k, &kit_elsewhere));
    side_fini(&d);
    kit_fini(&k);
}

/* A loss of any length in the peer's counter is no reason to refuse. */
static void test_counter_jump(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    d.s.sent = UINT64_C(1) << 63;
    side_say(&k, &d, 0x0500, "far ahead");
    d.s.sent = UINT64_MAX - 1;
    side_say(&k, &d, 0x0500, "the last but one");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 2);
    side_fini(&d);
    kit_fini(&k);
}

static void test_subprotocols(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    static const uint16_t ids[] = {0x0400, 0x0C01, 0x0C04, 0x0D01, 0x1100, 0xFFFF, 0x1234};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        side_say(&k, &d, ids[i], "x");
    side_say(&k, &d, 0x0D00, "a reply to nothing");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(k.nodes[0].messages, 0);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_OTHER], 2);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_WITHDRAWAL], 1);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_REFLEX], 1);
    assert_string_equal(rovei_net_subprotocol_name(rovei_net_subprotocol_of(0x0C04)),
                        "scoped_capability");
    /* A reflex request: where it is seen. */
    rovei_net_packet p;
    assert_null(kit_got(&k, 1, 0, 0, &p));
    side_say(&k, &d, 0x0D00, "");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    kit_packet *got = kit_got(&k, 1, 0, 0, &p);
    assert_non_null(got);
    assert_int_equal(p.header.subprotocol, 0x0D00);
    rove_span text, event;
    assert_ok(rovei_net_session_open(&d.s, &p, got->bytes, &text));
    rovei_net_frames f = rovei_net_frames_of(text, p.header.events);
    assert_true(rovei_net_frames_next(&f, &event));
    const rovei_addr *a = &k.nodes[1].addr;
    const uint8_t want[19] = {4,        a->ip[0],         a->ip[1],         a->ip[2],
                              a->ip[3], [17] = 7000 >> 8, [18] = 7000 & 255};
    assert_span(event, want, sizeof want);
    side_fini(&d);
    kit_fini(&k);
}

/* Memberships and announcements: each event of a packet is one message, in the packet's order. */
static void test_messages_of_a_packet(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    static const uint16_t ids[] = {ROVEI_NET_MEMBERSHIP, ROVEI_NET_CAPABILITY};
    static const char *const texts[] = {"first", "", "third"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
        rovei_writer w = rovei_writer_of(bytes + ROVEI_NET_HEADER_SIZE, ROVEI_NET_PLAIN_MAX);
        for (size_t t = 0; t < 3; t++)
            assert_true(rovei_net_frame_write(&w, span_of(texts[t])));
        const rovei_net_header h = {.subprotocol = ids[i], .stream = ids[i], .events = 3};
        size_t size = rovei_net_session_seal(&d.s, &h, bytes, rovei_writer_size(&w));
        assert_true(rovei_net_receive(k.nodes[0].net, k.now, &kit_elsewhere, bytes, size));
        rovei_net_event e;
        for (size_t t = 0; t < 3; t++) {
            assert_true(rovei_net_poll(k.nodes[0].net, &e));
            assert_int_equal(e.kind, ROVEI_NET_MESSAGE);
            assert_int_equal(e.subprotocol, ids[i]);
            assert_int_equal(e.node_id, k.nodes[1].node_id);
            assert_span(rove_buf_span(e.message), texts[t], strlen(texts[t]));
            rove_buf_unref(e.message);
        }
        assert_false(rovei_net_poll(k.nodes[0].net, &e));
    }
    assert_int_equal(rovei_net_stats_get(k.nodes[0].net).messages_taken, 6);
    side_fini(&d);
    kit_fini(&k);
}

static size_t poll_messages(rovei_net *t)
{
    size_t count = 0;
    for (rovei_net_event e; rovei_net_poll(t, &e); count++) {
        assert_int_equal(e.kind, ROVEI_NET_MESSAGE);
        rove_buf_unref(e.message);
    }
    return count;
}

/* What is authentic and no events, and more messages than wait for the owner at once. */
static void test_text(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    const rovei_net_header h = {.subprotocol = 0x0500, .stream = 0x0500, .events = 3};
    memset(bytes + ROVEI_NET_HEADER_SIZE, 0xFF, 7);
    size_t size = rovei_net_session_seal(&d.s, &h, bytes, 7);
    kit_inject(&k, 0, &k.nodes[1].addr, bytes, size);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_EVENTS), 1);
    assert_int_equal(k.nodes[0].messages, 0);
    for (unsigned i = 0; i < ROVEI_NET_INBOX_SHARE + 10; i++) {
        size = side_seal(&d, bytes, 0x0500, "m");
        (void)rovei_net_receive(k.nodes[0].net, k.now, &kit_elsewhere, bytes, size);
    }
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_MEMORY), 10);
    assert_int_equal(poll_messages(k.nodes[0].net), ROVEI_NET_INBOX_SHARE);
    side_fini(&d);
    kit_fini(&k);
}

/* A flood of messages 1 costs no more than the budget, and shuts out nobody whose address is
 * known. */
static void test_flood(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 3);
    kit_make_puppet(&k, 1);
    kit_make_puppet(&k, 2);
    kit_list(&k, 0, 1, true);
    kit_list(&k, 0, 2, false);
    k.nodes[2].psk[0] ^= 1;
    for (unsigned i = 0; i < 1000; i++) {
        side d;
        side_dial(&k, &d, 2, 0, i % 2);
        side_fini(&d);
    }
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_in_range(kit_drops(&k, 0, ROVEI_NET_DROP_HANDSHAKE), 100, 101);
    assert_in_range(kit_drops(&k, 0, ROVEI_NET_DROP_RATE), 899, 900);
    side good;
    side_dial(&k, &good, 1, 0, true);
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    side_fini(&good);
    kit_fini(&k);
}

/* One peer that says more than the node takes leaves room for the others. */
static void test_share_of_inbox(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 3);
    side d[2];
    for (size_t i = 0; i < 2; i++) {
        kit_make_puppet(&k, i + 1);
        kit_list(&k, 0, i + 1, false);
        side_dial(&k, &d[i], i + 1, 0, true);
        kit_run(&k, ROVE_SECOND);
        side_finish(&k, &d[i]);
    }
    rovei_net *t = k.nodes[0].net;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    for (unsigned i = 0; i < ROVEI_NET_INBOX_SHARE + 10; i++) {
        size_t size = side_seal(&d[0], bytes, 0x0500, "much");
        (void)rovei_net_receive(t, k.now, &k.nodes[1].addr, bytes, size);
    }
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_MEMORY), 10);
    size_t size = side_seal(&d[1], bytes, 0x0500, "little");
    (void)rovei_net_receive(t, k.now, &k.nodes[2].addr, bytes, size);
    assert_int_equal(poll_messages(t), ROVEI_NET_INBOX_SHARE + 1);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_MEMORY), 10);
    size = side_seal(&d[0], bytes, 0x0500, "more"); /* once there is room */
    (void)rovei_net_receive(t, k.now, &k.nodes[1].addr, bytes, size);
    assert_int_equal(poll_messages(t), 1);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_MEMORY), 10);
    side_fini(&d[0]);
    side_fini(&d[1]);
    kit_fini(&k);
}

/* Ids that are not served use up nobody's share: their packets say so before any work. */
static void test_flood_of_unserved(void **state)
{
    (void)state;
    static kit k;
    kit_init(&k, 4);
    for (size_t i = 1; i < 4; i++)
        kit_make_puppet(&k, i);
    kit_list(&k, 0, 1, false);
    kit_list(&k, 0, 3, false);
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[3].node_id);
    for (unsigned i = 0; i < 500; i++) {
        side d;
        side_dial(&k, &d, i % 2 ? 2 : 3, 0, true);
        side_fini(&d);
    }
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_UNLISTED), 250);
    assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_FENCED), 250);
    side good; /* from an address that nobody knows yet */
    side_dial(&k, &good, 1, 0, true);
    kit_run(&k, 5 * ROVE_MILLISECOND);
    assert_int_equal(kit_info(&k, 0, 1).state, ROVEI_PEER_UP);
    side_fini(&good);
    kit_fini(&k);
}

/* What a peer said before it was known as a node of class rove, and nobody has read yet. */
static void test_fence_forgets(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, true);
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(&d, bytes, 0x0500, "unread");
    assert_true(
        rovei_net_receive(k.nodes[0].net, k.now, &k.nodes[1].addr, bytes, size)); /* not polled */
    rovei_net_fence(k.nodes[0].net, k.now, k.nodes[1].node_id);
    kit_run(&k, ROVE_SECOND);
    assert_int_equal(k.nodes[0].messages, 0);
    assert_int_equal(kit_told(&k, 0, ROVEI_NET_FAILED), 1);
    side_fini(&d);
    kit_fini(&k);
}

/* A packet full of requests for the address under which the peer is seen: one reply. */
static void test_one_reflex_a_packet(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, true);
    side_opened(&k, &d, 0);
    k.nodes[1].got_count = 0;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX] = {0};
    const size_t count = 2000;
    const rovei_net_header h = {.subprotocol = 0x0D00, .stream = 0x0D00, .events = (uint16_t)count};
    size_t size = rovei_net_session_seal(&d.s, &h, bytes, count * ROVEI_NET_FRAME_HEAD);
    kit_inject(&k, 0, &k.nodes[1].addr, bytes, size);
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_int_equal(side_opened(&k, &d, 0), 1);
    rovei_net_stats st = rovei_net_stats_get(k.nodes[0].net);
    assert_int_equal(st.dropped_messages[ROVEI_NET_SUBPROTOCOL_REFLEX], count - 1);
    side_fini(&d);
    kit_fini(&k);
}

/* A reply to a reflex request over IPv6, where the peer has moved to. */
static void test_reflex_ipv6(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, true);
    const rovei_addr six = {.family = 6, .ip = {0x20, 1, 0xD, 0xB8, [15] = 7}, .port = 0x1234};
    k.nodes[1].addr = six;
    side_beat_from(&k, &d, &six);
    side_say(&k, &d, 0x0D00, "");
    kit_run(&k, 10 * ROVE_MILLISECOND);
    assert_true(kit_is_sent_to(&k, &six));
    rovei_net_packet p;
    rove_span text, event = {NULL, 0};
    kit_packet *got = NULL;
    for (size_t i = 0; (got = kit_got(&k, 1, 0, i, &p)) && p.header.subprotocol != 0x0D00; i++)
        continue;
    assert_non_null(got);
    assert_ok(rovei_net_session_open(&d.s, &p, got->bytes, &text));
    rovei_net_frames f = rovei_net_frames_of(text, p.header.events);
    assert_true(rovei_net_frames_next(&f, &event));
    const uint8_t want[19] = {6, 0x20, 1, 0xD, 0xB8, [16] = 7, [17] = 0x12, [18] = 0x34};
    assert_span(event, want, sizeof want);
    side_fini(&d);
    kit_fini(&k);
}

/* Message 2 comes while there is no memory for a session: it is as if it were lost, and the next
 * attempt comes at its time, not at once. */
static void test_second_without_memory(void **state)
{
    (void)state;
    for (size_t nth = 0; nth < 2; nth++) {
        static kit k;
        kit_init(&k, 2);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, true);
        kit_run(&k, 2 * ROVE_SECOND);
        uint64_t started = rovei_net_stats_get(k.nodes[0].net).handshakes_started;
        side d;
        side_answer(&k, &d, 1, 0, nth);
        k.nodes[0].t.alloc.calls = 0;
        k.nodes[0].t.alloc.fail_at = 0;
        kit_run(&k, 100 * ROVE_MILLISECOND);
        k.nodes[0].t.alloc.fail_at = SIZE_MAX;
        assert_int_equal(kit_drops(&k, 0, ROVEI_NET_DROP_MEMORY), 1);
        assert_int_equal(rovei_net_stats_get(k.nodes[0].net).handshakes_started, started);
        k.nodes[1].got_count = 0;
        kit_run(&k, k.nodes[0].t.env.limits.net_retry);
        side_fini(&d);
        side_answer(&k, &d, 1, 0, 0);
        kit_run(&k, 100 * ROVE_MILLISECOND);
        assert_int_equal(kit_info(&k, 0, 1).session, d.s.id);
        side_fini(&d);
        kit_fini(&k);
    }
}

static void test_garbage(void **state)
{
    (void)state;
    static kit k;
    side d;
    side_begin(&k, &d, false);
    uint64_t random = 5, sent = k.sent;
    static const uint8_t heads[][3] = {
        {0x45, 0x4E, 1}, {0x52, 0x54, 8}, {0x48, 0x50, 0}, {0x50, 0x48, 0}, {0x48, 0x52, 1}};
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[300];
        size_t size = below(&random, 5) ? below(&random, sizeof bytes + 1)
                                        : (size_t[]){14, 72, 84, 86, 116, 134}[below(&random, 6)];
        random_bytes(&random, bytes, size);
        if (size > 2 && below(&random, 8))
            memcpy(bytes, heads[below(&random, 5)], 3);
        if (size > 64 && below(&random, 2)) {
            rovei_store64(bytes + 24, d.s.id);
            bytes[65] = bytes[67] = 0;
        }
        if (size > 18 && below(&random, 2) && bytes[1] == 0x54)
            rovei_store64(bytes + 10, k.nodes[0].node_id);
        (void)rovei_net_receive(k.nodes[0].net, k.now, &kit_elsewhere, bytes, size);
        rovei_net_check(k.nodes[0].net);
    }
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_in_range(k.sent - sent, 0, 1); /* the second pingwave of the session */
    side_say(&k, &d, 0x0500, "good");
    kit_run(&k, 100 * ROVE_MILLISECOND);
    assert_int_equal(k.nodes[0].messages, 1);
    side_fini(&d);
    kit_fini(&k);
}

/* Memory is refused somewhere in the middle: a datagram is as if it were lost. */
static void test_shortage(void **state)
{
    (void)state;
    for (size_t at = 0; at < 12; at++) {
        static kit k;
        kit_init(&k, 2);
        kit_make_puppet(&k, 1);
        kit_list(&k, 0, 1, false);
        side d;
        side_dial(&k, &d, 1, 0, true);
        k.nodes[0].t.alloc.calls = 0;
        k.nodes[0].t.alloc.fail_at = at;
        kit_run(&k, 100 * ROVE_MILLISECOND);
        k.nodes[0].t.alloc.fail_at = SIZE_MAX;
        kit_inject(&k, 0, &k.nodes[1].addr, d.first, d.first_size); /* it repeats */
        kit_run(&k, 100 * ROVE_MILLISECOND);
        side_finish(&k, &d);
        side_say(&k, &d, 0x0500, "once");
        kit_run(&k, 100 * ROVE_MILLISECOND);
        assert_int_equal(k.nodes[0].messages, 1);
        side_fini(&d);
        kit_fini(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_of_inbox),
        cmocka_unit_test(test_wrong_secrets),
        cmocka_unit_test(test_id_with_listed_half),
        cmocka_unit_test(test_listing),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_forged_packets),
        cmocka_unit_test(test_counter_jump),
        cmocka_unit_test(test_subprotocols),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_messages_of_a_packet),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_shortage),
        cmocka_unit_test(test_flood_of_unserved),
        cmocka_unit_test(test_fence_forgets),
        cmocka_unit_test(test_one_reflex_a_packet),
        cmocka_unit_test(test_reflex_ipv6),
        cmocka_unit_test(test_second_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
