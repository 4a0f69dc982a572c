/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of class net: which kind a datagram is, headers field by field, what the seal covers,
 * event frames and pingwaves. */
#include "support.h"

#include <net/wire.h>

#define NODE UINT64_C(0x1122334455667788)

/* ---- kinds ---- */

static rovei_net_kind kind(const char *start, size_t size)
{
    uint8_t bytes[256] = {0};
    hex_to(bytes, sizeof bytes, start);
    return rovei_net_kind_of((rove_span){bytes, size});
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(rovei_net_kind_of((rove_span){NULL, 0}), ROVEI_NET_KIND_NONE);
    assert_int_equal(kind("45", 1), ROVEI_NET_KIND_NONE);
    assert_int_equal(kind("454e", 2), ROVEI_NET_KIND_DIRECT);
    assert_int_equal(kind("454e", 68), ROVEI_NET_KIND_DIRECT);
    assert_int_equal(kind("5452", 200), ROVEI_NET_KIND_NONE); /* the other way round */
    assert_int_equal(kind("5254", 85), ROVEI_NET_KIND_NONE);
    assert_int_equal(kind("5254", 86), ROVEI_NET_KIND_ROUTED);
    assert_int_equal(kind("4852", 2), ROVEI_NET_KIND_HOP);
    assert_int_equal(kind("5048", 14), ROVEI_NET_KIND_KEEPALIVE);
    assert_int_equal(kind("5048", 15), ROVEI_NET_KIND_NONE);
    assert_int_equal(kind("5048", 13), ROVEI_NET_KIND_NONE);
    assert_int_equal(kind("0000", 71), ROVEI_NET_KIND_NONE);
    /* Of 72 bytes it is a pingwave before it is anything but a direct packet. */
    assert_int_equal(kind("0000", 72), ROVEI_NET_KIND_PINGWAVE);
    assert_int_equal(kind("4852", 72), ROVEI_NET_KIND_PINGWAVE);
    assert_int_equal(kind("5048", 72), ROVEI_NET_KIND_PINGWAVE);
    assert_int_equal(kind("454e", 72), ROVEI_NET_KIND_DIRECT);
    assert_int_equal(kind("0000", 73), ROVEI_NET_KIND_NONE);
    uint8_t wave[ROVEI_NET_PINGWAVE_SIZE] = {0x48, 0x52, [63] = 4};
    assert_int_equal(rovei_net_kind_of((rove_span){wave, sizeof wave}), ROVEI_NET_KIND_HOP);
}

/* ---- headers ---- */

static const rovei_net_header full = {
    .flags = 0xC5,
    .priority = 1,
    .hop_ttl = 2,
    .hop_count = 3,
    .frag_flags = 4,
    .subprotocol = 0x0506,
    .channel = 0x0708,
    .nonce_prefix = 0x090A0B0C,
    .counter = UINT64_C(0x0D0E0F1011121314),
    .session = UINT64_C(0x15161718191A1B1C),
    .stream = UINT64_C(0x1D1E1F2021222324),
    .sequence = UINT64_C(0x25262728292A2B2C),
    .origin = UINT64_C(0x2D2E2F3031323334),
    .subnet = 0x35363738,
    .fragment = 0x393A,
    .fragment_offset = 0x3B3C,
    .plain_size = 0x1D3E,
    .events = 0x073F,
};

static const char full_bytes[] = "454e01c501020304060508070c0b0a0914131211100f0e0d"
                                 "1c1b1a191817161524232221201f1e1d2c2b2a2928272625"
                                 "34333231302f2e2d383736353a393c3b3e1d3f07";

static void test_header(void **state)
{
    (void)state;
    uint8_t bytes[ROVEI_NET_HEADER_SIZE];
    rovei_net_header back;
    rovei_net_header_write(bytes, &full);
    assert_hex(bytes, sizeof bytes, full_bytes);
    memset(&back, 0xEE, sizeof back);
    assert_ok(rovei_net_header_read(&back, (rove_span){bytes, sizeof bytes}));
    uint8_t again[ROVEI_NET_HEADER_SIZE];
    rovei_net_header_write(again, &back);
    assert_memory_equal(again, bytes, sizeof bytes);
    assert_int_equal(back.origin, full.origin);
    assert_int_equal(back.subnet, full.subnet);
    for (size_t cut = 0; cut < sizeof bytes; cut++)
        assert_int_equal(rovei_net_header_read(&back, (rove_span){bytes, cut}), ROVE_E_SHORT);
}

static void test_header_refused(void **state)
{
    (void)state;
    const struct {
        size_t at;
        uint16_t value;
        rove_err err;
    } cases[] = {
        {0, 0x4E46, ROVE_E_MAGIC},          {0, 0x454E, ROVE_E_MAGIC},
        {2, 0xC500, ROVE_E_VERSION},        {2, 0xC502, ROVE_E_VERSION},
        {64, ROVEI_NET_PLAIN_MAX, ROVE_OK}, {64, ROVEI_NET_PLAIN_MAX + 1, ROVE_E_BOUND},
        {64, UINT16_MAX, ROVE_E_BOUND},     {66, 2027, ROVE_OK},
        {66, 2028, ROVE_E_BOUND},           {66, UINT16_MAX, ROVE_E_BOUND},
    };
    assert_int_equal(ROVEI_NET_PLAIN_MAX, 8108);
    assert_int_equal(ROVEI_NET_EVENT_MAX, 8104);
    assert_int_equal(ROVEI_NET_EVENTS_MAX, 2027);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[ROVEI_NET_HEADER_SIZE];
        rovei_net_header h = {.flags = 0x77};
        rovei_net_header_write(bytes, &full);
        rovei_store16(bytes + cases[i].at, cases[i].value);
        assert_int_equal(rovei_net_header_read(&h, (rove_span){bytes, sizeof bytes}), cases[i].err);
        if (cases[i].err)
            assert_int_equal(h.flags, 0x77);
    }
}

/* Each byte of a header is covered but for the hop count and the nonce. */
static void test_aad(void **state)
{
    (void)state;
    uint8_t header[ROVEI_NET_HEADER_SIZE], aad[ROVEI_NET_AAD_SIZE], other[ROVEI_NET_AAD_SIZE];
    rovei_net_header_write(header, &full);
    rovei_net_aad(aad, header);
    assert_hex(aad, sizeof aad,
               "454e01c5010200040605080"
               "71c1b1a191817161524232221201f1e1d2c2b2a2928272625"
               "34333231302f2e2d383736353a393c3b3e1d3f07");
    for (size_t i = 0; i < sizeof header; i++) {
        header[i] ^= 2;
        rovei_net_aad(other, header);
        header[i] ^= 2;
        bool open = i == 6 || (i >= 12 && i < 24);
        assert_int_equal(memcmp(aad, other, sizeof aad) == 0, open);
    }
}

static void test_route(void **state)
{
    (void)state;
    const rovei_net_route route = {.ttl = 16,
                                   .hops = 1,
                                   .flags = 0x0B,
                                   .reserved = 7,
                                   .source = rovei_net_low(NODE),
                                   .dest = UINT64_C(0x99AABBCCDDEEFF00)};
    uint8_t bytes[ROVEI_NET_ROUTE_SIZE];
    rovei_net_route back = {.ttl = 99};
    rovei_net_route_write(bytes, &route);
    assert_hex(bytes, sizeof bytes,
               "525410010b07887766550"
               "0ffeeddccbbaa99");
    for (size_t cut = 0; cut < sizeof bytes; cut++)
        assert_int_equal(rovei_net_route_read(&back, (rove_span){bytes, cut}), ROVE_E_SHORT);
    bytes[0] ^= 1;
    assert_int_equal(rovei_net_route_read(&back, (rove_span){bytes, sizeof bytes}), ROVE_E_MAGIC);
    bytes[0] ^= 1;
    assert_int_equal(back.ttl, 99);
    assert_ok(rovei_net_route_read(&back, (rove_span){bytes, sizeof bytes}));
    assert_int_equal(back.ttl, route.ttl);
    assert_int_equal(back.hops, route.hops);
    assert_int_equal(back.flags, route.flags);
    assert_int_equal(back.reserved, route.reserved);
    assert_int_equal(back.source, route.source);
    assert_int_equal(back.dest, route.dest);
}

/* A destination whose low bits look like a packet does not make a routed packet a direct one. */
static void test_routed_packet(void **state)
{
    (void)state;
    uint8_t bytes[ROVEI_NET_ROUTE_SIZE + ROVEI_NET_OVERHEAD] = {0};
    rovei_net_packet p;
    const rovei_net_route route = {.ttl = 8, .source = 0x4E45, .dest = 0x4E45};
    const rovei_net_header heartbeat = {.flags = ROVEI_NET_FLAG_HEARTBEAT, .session = 5};
    rovei_net_route_write(bytes, &route);
    rovei_net_header_write(bytes + ROVEI_NET_ROUTE_SIZE, &heartbeat);
    assert_ok(rovei_net_packet_read(&p, (rove_span){bytes, sizeof bytes}));
    assert_true(p.routed);
    assert_int_equal(p.type, ROVEI_NET_PACKET_HEARTBEAT);
    assert_int_equal(p.start, ROVEI_NET_ROUTE_SIZE);
    assert_int_equal(p.body_size, ROVEI_TAG_SIZE);
    assert_int_equal(p.route.dest, 0x4E45);
    assert_int_equal(p.header.session, 5);
    assert_ptr_equal(rovei_net_packet_body(&p, bytes).data, bytes + 86);
    bytes[ROVEI_NET_ROUTE_SIZE] ^= 1;
    assert_int_equal(rovei_net_packet_read(&p, (rove_span){bytes, sizeof bytes}), ROVE_E_MAGIC);
}

/* The body has the length that the header says: for each kind of packet every length around it. */
static void test_lengths(void **state)
{
    (void)state;
    const struct {
        uint8_t flags;
        size_t size; /* what the body has to have; 0: anything */
        rovei_net_packet_type type;
    } cases[] = {
        {0, 30 + 16, ROVEI_NET_PACKET_DATA},
        {ROVEI_NET_FLAG_RELIABLE | 0xC0, 30 + 16, ROVEI_NET_PACKET_DATA},
        {ROVEI_NET_FLAG_HEARTBEAT, 16, ROVEI_NET_PACKET_HEARTBEAT},
        {ROVEI_NET_FLAG_HANDSHAKE, 0, ROVEI_NET_PACKET_HANDSHAKE},
        {ROVEI_NET_FLAG_HANDSHAKE | ROVEI_NET_FLAG_HEARTBEAT, 0, ROVEI_NET_PACKET_HANDSHAKE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rovei_net_header h = {.flags = cases[i].flags, .plain_size = 30, .events = 1};
        for (size_t size = 0; size < 80; size++) {
            uint8_t bytes[ROVEI_NET_HEADER_SIZE + 80] = {0};
            rovei_net_packet p;
            rovei_net_header_write(bytes, &h);
            rove_err err =
                rovei_net_packet_read(&p, (rove_span){bytes, ROVEI_NET_HEADER_SIZE + size});
            if (cases[i].size && size < cases[i].size)
                assert_int_equal(err, ROVE_E_SHORT);
            else if (cases[i].size && size > cases[i].size)
                assert_int_equal(err, ROVE_E_TRAILING);
            else
                assert_ok(err);
            if (err)
                continue;
            assert_int_equal(p.type, cases[i].type);
            assert_int_equal(p.body_size, size);
            assert_false(p.routed);
        }
    }
}

/* ---- frames ---- */

static void test_frames(void **state)
{
    (void)state;
    uint8_t bytes[64];
    rove_span event;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    assert_true(rovei_net_frame_write(&w, span_of("hello")));
    assert_true(rovei_net_frame_write(&w, span_of("")));
    assert_true(rovei_net_frame_write(&w, span_of("world!")));
    assert_hex(bytes, rovei_writer_size(&w),
               "0500000068656c6c6f"
               "00000000"
               "06000000776f726c6421");
    const rove_span plain = {bytes, rovei_writer_size(&w)};
    rovei_net_frames f = rovei_net_frames_of(plain, 3);
    assert_true(rovei_net_frames_next(&f, &event));
    assert_span(event, "hello", 5);
    assert_true(rovei_net_frames_next(&f, &event));
    assert_int_equal(event.size, 0);
    assert_true(rovei_net_frames_next(&f, &event));
    assert_span(event, "world!", 6);
    assert_false(rovei_net_frames_next(&f, &event));
    assert_span(event, "world!", 6);
    /* fewer are counted than there are: the rest is nobody's */
    f = rovei_net_frames_of(plain, 1);
    assert_true(rovei_net_frames_next(&f, &event));
    assert_false(rovei_net_frames_next(&f, &event));
    /* more are counted: what fits is given */
    f = rovei_net_frames_of(plain, UINT16_MAX);
    size_t count = 0;
    while (rovei_net_frames_next(&f, &event))
        count++;
    assert_int_equal(count, 3);
    f = rovei_net_frames_of((rove_span){NULL, 0}, UINT16_MAX);
    assert_false(rovei_net_frames_next(&f, &event));
}

static void test_frames_cut(void **state)
{
    (void)state;
    uint8_t bytes[32];
    rove_span event;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    assert_true(rovei_net_frame_write(&w, span_of("one")));
    assert_true(rovei_net_frame_write(&w, span_of("two")));
    for (size_t cut = 0; cut <= 14; cut++) {
        rovei_net_frames f = rovei_net_frames_of((rove_span){bytes, cut}, 2);
        assert_int_equal(rovei_net_frames_next(&f, &event), cut >= 7);
        assert_int_equal(rovei_net_frames_next(&f, &event), cut >= 14);
        assert_false(rovei_net_frames_next(&f, &event));
    }
    rovei_store32(bytes, UINT32_MAX);
    rovei_net_frames f = rovei_net_frames_of((rove_span){bytes, 14}, 2);
    assert_false(rovei_net_frames_next(&f, &event));
    assert_false(rovei_net_frames_next(&f, &event));
}

static void test_frames_full(void **state)
{
    (void)state;
    static uint8_t bytes[ROVEI_NET_PLAIN_MAX], large[ROVEI_NET_EVENT_MAX + 1];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    assert_false(rovei_net_frame_write(&w, (rove_span){large, sizeof large}));
    assert_int_equal(rovei_writer_size(&w), 0);
    assert_ok(w.err);
    assert_true(rovei_net_frame_write(&w, (rove_span){large, ROVEI_NET_EVENT_MAX}));
    assert_int_equal(rovei_writer_room(&w), 0);
    assert_false(rovei_net_frame_write(&w, span_of("")));
    w = rovei_writer_of(bytes, sizeof bytes);
    size_t count = 0;
    while (rovei_net_frame_write(&w, span_of("")))
        count++;
    assert_int_equal(count, ROVEI_NET_EVENTS_MAX);
    w = rovei_writer_of(bytes, 3);
    assert_false(rovei_net_frame_write(&w, span_of("")));
}

/* ---- pingwaves ---- */

static void test_pingwave(void **state)
{
    (void)state;
    rovei_net_pingwave p = {
        .node_id = NODE, .seq = 1, .ttl = 3, .time = UINT64_C(1700000000000000)};
    uint8_t bytes[ROVEI_NET_PINGWAVE_SIZE];
    rovei_net_pingwave_write(bytes, &p);
    assert_hex(bytes, sizeof bytes,
               "8877665544332211000000000000000000000000000000000000000000000000"
               "0100000000000000"
               "0300"
               "00401e18240a0600"
               "0000000000000000"
               "00000000"
               "0000"
               "0000000000000000");
    p = (rovei_net_pingwave){NODE, 2, 1, 2, 3, 4, 5, 6, ROVEI_NET_HEALTH_UNKNOWN, 1, 7, 5, 9, 10};
    rovei_net_pingwave_write(bytes, &p);
    assert_hex(bytes + 32, 40,
               "0200000000000000"
               "0102"
               "0300000000000000"
               "0400000000000000"
               "05000000"
               "0603"
               "010705090a000000");
    rovei_net_pingwave back;
    uint8_t again[ROVEI_NET_PINGWAVE_SIZE];
    assert_ok(rovei_net_pingwave_read(&back, (rove_span){bytes, sizeof bytes}));
    rovei_net_pingwave_write(again, &back);
    assert_memory_equal(again, bytes, sizeof bytes);
    bytes[63] = 4;
    assert_int_equal(rovei_net_pingwave_read(&back, (rove_span){bytes, sizeof bytes}), ROVE_E_FLAG);
    bytes[63] = 3;
    assert_int_equal(rovei_net_pingwave_read(&back, (rove_span){bytes, sizeof bytes - 1}),
                     ROVE_E_SHORT);
    uint8_t longer[ROVEI_NET_PINGWAVE_SIZE + 1] = {0};
    assert_int_equal(rovei_net_pingwave_read(&back, (rove_span){longer, sizeof longer}),
                     ROVE_E_TRAILING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_refused), cmocka_unit_test(test_aad),
        cmocka_unit_test(test_route),          cmocka_unit_test(test_routed_packet),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_cut),     cmocka_unit_test(test_frames_full),
        cmocka_unit_test(test_pingwave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
