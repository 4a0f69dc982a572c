/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of a session by themselves: addresses, the outer packets, the handshake's payloads and
 * messages, and which of two sessions is the one to use. */
#include "support.h"

#include <mesh/session.h>

/* ---- addresses ---- */

static void test_address(void **state)
{
    (void)state;
    const rovei_addr cases[] = {
        {.family = 0},
        {.family = 4, .ip = {192, 0, 2, 1}, .port = 4433},
        {.family = 6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 9}, .port = 65535},
    };
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[ROVEI_ADDR_SIZE];
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_addr_write(&w, &cases[i]);
        assert_int_equal(rovei_writer_size(&w), ROVEI_ADDR_SIZE);
        rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
        rovei_addr back = rovei_addr_read(&r);
        assert_ok(rovei_reader_end(&r));
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(rovei_addr_equal(&back, &cases[k]), i == k);
        for (size_t cut = 0; cut < sizeof bytes; cut++) {
            r = rovei_reader_of((rove_span){bytes, cut});
            back = rovei_addr_read(&r);
            assert_int_equal(r.err, ROVE_E_SHORT);
            assert_int_equal(back.family, 0);
        }
    }
    rovei_addr a = cases[1];
    a.port++;
    assert_false(rovei_addr_equal(&a, &cases[1]));
}

static void test_address_refused(void **state)
{
    (void)state;
    const struct {
        uint8_t family;
        size_t at;
    } cases[] = {{1, 1}, {5, 1}, {255, 1}, {4, 5}, {4, 16}, {0, 1}, {0, 17}, {0, 18}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[ROVEI_ADDR_SIZE] = {cases[i].family};
        bytes[cases[i].at] = 1;
        rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
        (void)rovei_addr_read(&r);
        assert_int_equal(r.err, ROVE_E_FLAG);
    }
}

/* ---- packets ---- */

static void test_packet_layout(void **state)
{
    (void)state;
    uint8_t bytes[16];
    rovei_packet p;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_packet_write_initiation(&w, 0x04030201);
    assert_int_equal(rovei_writer_size(&w), ROVEI_INITIATION_HEADER);
    assert_hex(bytes, 8, "454e020101020304");
    w = rovei_writer_of(bytes, sizeof bytes);
    rovei_packet_write_response(&w, 0x04030201, 0x08070605);
    assert_int_equal(rovei_writer_size(&w), ROVEI_RESPONSE_HEADER);
    assert_hex(bytes, 12, "454e02020102030405060708");
    w = rovei_writer_of(bytes, sizeof bytes);
    rovei_packet_write_data(&w, 0x04030201, UINT64_C(0x0c0b0a0908070605));
    assert_int_equal(rovei_writer_size(&w), ROVEI_DATA_HEADER);
    assert_hex(bytes, 16, "454e02040102030405060708090a0b0c");
    assert_int_equal(ROVEI_INITIATION_SIZE, 196);
    assert_int_equal(ROVEI_RESPONSE_SIZE, 154);

    uint8_t dgram[64] = {0};
    memcpy(dgram, bytes, sizeof bytes);
    assert_ok(rovei_packet_read(&p, (rove_span){dgram, sizeof dgram}));
    assert_int_equal(p.type, ROVEI_PACKET_DATA);
    assert_int_equal(p.receiver, 0x04030201);
    assert_int_equal(p.counter, UINT64_C(0x0c0b0a0908070605));
    assert_span(p.header, bytes, 16);
    assert_span(p.sealed, dgram + 16, 48);
}

static void test_packet_refused(void **state)
{
    (void)state;
    rovei_packet p = {.sender = 77};
    static const size_t least[] = {[1] = 196, [2] = 154, [3] = 64, [4] = 32};
    for (uint8_t type = 1; type <= 4; type++) {
        uint8_t dgram[256] = {0x45, 0x4E, 2, type};
        for (size_t size = 0; size < least[type]; size++)
            assert_int_equal(rovei_packet_read(&p, (rove_span){dgram, size}), ROVE_E_SHORT);
        assert_int_equal(p.sender, 77);
        rovei_packet whole;
        assert_ok(rovei_packet_read(&whole, (rove_span){dgram, least[type]}));
        if (type != ROVEI_PACKET_DATA)
            assert_int_equal(rovei_packet_read(&p, (rove_span){dgram, least[type] + 1}),
                             ROVE_E_TRAILING);
        for (size_t i = 0; i < 4; i++) {
            static const rove_err want[] = {ROVE_E_MAGIC, ROVE_E_MAGIC, ROVE_E_VERSION};
            dgram[i] ^= 0x80;
            assert_int_equal(rovei_packet_read(&p, (rove_span){dgram, least[type]}),
                             i < 3 ? want[i] : ROVE_E_FLAG);
            dgram[i] ^= 0x80;
        }
    }
    /* The class net's own first bytes. */
    uint8_t dgram[256] = {0x45, 0x4E, 1, ROVEI_PACKET_COOKIE};
    assert_int_equal(rovei_packet_read(&p, (rove_span){dgram, 64}), ROVE_E_VERSION);
}

/* ---- payloads ---- */

static const rovei_hello sample = {
    .entity = {{1, 2, 3, 4}},
    .incarnation = 5,
    .time = 6,
    .association = UINT64_C(0x0706050403020100),
    .version_min = 1,
    .version_max = 3,
    .version = 2,
};

static void test_hello(void **state)
{
    (void)state;
    for (int answer = 0; answer < 2; answer++) {
        uint8_t bytes[ROVEI_ANSWER_SIZE + 1];
        size_t size = answer ? ROVEI_ANSWER_SIZE : ROVEI_HELLO_SIZE;
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        rovei_hello_write(&w, &sample, answer);
        assert_int_equal(rovei_writer_size(&w), size);
        rovei_hello back;
        assert_ok(rovei_hello_read(&back, (rove_span){bytes, size}, answer));
        assert_memory_equal(&back.entity, &sample.entity, 32);
        assert_int_equal(back.incarnation, sample.incarnation);
        assert_int_equal(back.time, sample.time);
        assert_int_equal(back.association, sample.association);
        assert_int_equal(back.version_min, 1);
        assert_int_equal(back.version_max, 3);
        assert_int_equal(back.version, answer ? 2 : 0);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(rovei_hello_read(&back, (rove_span){bytes, cut}, answer),
                             ROVE_E_SHORT);
        assert_int_equal(rovei_hello_read(&back, (rove_span){bytes, size + 1}, answer),
                         ROVE_E_TRAILING);
    }
}

static void test_hello_versions(void **state)
{
    (void)state;
    const struct {
        uint16_t min, max, chosen;
        rove_err plain, answer;
        uint16_t choice;
    } cases[] = {
        {1, 1, 1, ROVE_OK, ROVE_OK, 1},
        {1, 9, 9, ROVE_OK, ROVE_OK, 1},
        {2, 9, 2, ROVE_OK, ROVE_OK, 0},
        {0, 1, 1, ROVE_E_FORMAT, ROVE_E_FORMAT, 0},
        {2, 1, 1, ROVE_E_FORMAT, ROVE_E_FORMAT, 0},
        {1, 2, 3, ROVE_OK, ROVE_E_FORMAT, 1},
        {2, 3, 1, ROVE_OK, ROVE_E_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rovei_hello h = sample, back;
        h.version_min = cases[i].min;
        h.version_max = cases[i].max;
        h.version = cases[i].chosen;
        uint8_t bytes[ROVEI_ANSWER_SIZE];
        for (int answer = 0; answer < 2; answer++) {
            rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
            rovei_hello_write(&w, &h, answer);
            rove_err want = answer ? cases[i].answer : cases[i].plain;
            assert_int_equal(
                rovei_hello_read(&back, (rove_span){bytes, rovei_writer_size(&w)}, answer), want);
        }
        if (!cases[i].plain)
            assert_int_equal(rovei_hello_choose(&h), cases[i].choice);
    }
}

/* ---- which session is the one to use ---- */

/* Two nodes with clocks of their own begin and answer handshakes in every order that can happen;
 * both must come to the same result, and it must be the later one unless they crossed. */
static void compare(uint64_t x_init, uint64_t x_answer, uint64_t y_init, uint64_t y_answer,
                    bool low_begins_x, int expect)
{
    /* Seen by the node that began x, then by the one that began y. */
    for (int side = 0; side < 2; side++) {
        rovei_session x = {.own = side == 0, .init_time = x_init, .answer_time = x_answer};
        rovei_session y = {.own = side == 1, .init_time = y_init, .answer_time = y_answer};
        bool lower = low_begins_x == (side == 0);
        assert_int_equal(rovei_session_beats(&x, &y, lower), expect > 0);
        assert_int_equal(rovei_session_beats(&y, &x, lower), expect < 0);
    }
}

static void test_beats(void **state)
{
    (void)state;
    /* Clock of X's beginner: x_init, y_answer. Clock of Y's beginner: y_init, x_answer. */
    for (int low = 0; low < 2; low++) {
        compare(10, 1010, 1005, 5, low, 1);             /* x began after y was answered */
        compare(10, 1000, 1005, 15, low, -1);           /* y began after x was answered */
        compare(10, 1010, 1005, 15, low, low ? 1 : -1); /* each began before it answered */
    }
    /* Of two that one side began, the later. */
    rovei_session a = {.own = true, .init_time = 5, .answer_time = 9};
    rovei_session b = {.own = true, .init_time = 6, .answer_time = 8};
    for (int low = 0; low < 2; low++) {
        assert_true(rovei_session_beats(&b, &a, low));
        assert_false(rovei_session_beats(&a, &b, low));
    }
    assert_int_equal(rovei_session_peer_time(&a), 9);
    a.own = false;
    assert_int_equal(rovei_session_peer_time(&a), 5);
}

/* ---- macs ---- */

static void test_mac(void **state)
{
    (void)state;
    uint8_t psk[32] = {1}, key[32], other[32];
    rove_entity e = {{9}};
    rovei_mac_key(key, psk, &e);
    e.bytes[31] ^= 0x80;
    rovei_mac_key(other, psk, &e);
    assert_memory_not_equal(key, other, 32);
    e.bytes[31] ^= 0x80;
    psk[31] = 1;
    rovei_mac_key(other, psk, &e);
    assert_memory_not_equal(key, other, 32);

    uint8_t dgram[ROVEI_INITIATION_SIZE] = {0x45, 0x4E, 2, 1}, digest[32];
    const size_t covered = sizeof dgram - 2 * ROVEI_MAC_SIZE;
    rovei_blake2s_mac(digest, key, 32, dgram, covered);
    memcpy(dgram + covered, digest, ROVEI_MAC_SIZE);
    rovei_packet p;
    assert_ok(rovei_packet_read(&p, (rove_span){dgram, sizeof dgram}));
    assert_ok(rovei_mac_check(&p, key));
    assert_int_equal(rovei_mac_check(&p, other), ROVE_E_AUTH);
    for (size_t i = 4; i < sizeof dgram - ROVEI_MAC_SIZE; i++) {
        dgram[i] ^= 0x10;
        assert_ok(rovei_packet_read(&p, (rove_span){dgram, sizeof dgram}));
        assert_int_equal(rovei_mac_check(&p, key), ROVE_E_AUTH);
        dgram[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),       cmocka_unit_test(test_address_refused),
        cmocka_unit_test(test_packet_layout), cmocka_unit_test(test_packet_refused),
        cmocka_unit_test(test_hello),         cmocka_unit_test(test_hello_versions),
        cmocka_unit_test(test_beats),         cmocka_unit_test(test_mac),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
