/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies and rates: what a node does with more handshakes than it wants to work for. */
#include "net.h"

#include <mesh/gate.h>

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

/* ---- the bytes ---- */

static void count_up(uint8_t *ret, size_t size, unsigned modulus)
{
    for (size_t i = 0; i < size; i++)
        ret[i] = (uint8_t)(i % modulus);
}

/* The first three from another implementation of keyed BLAKE2s. */
static void test_golden(void **state)
{
    (void)state;
    uint8_t psk[32], key[32], secret[32], nonce[24], cookie[16], mac1[16];
    rove_entity giver;
    memset(psk, 0x42, sizeof psk);
    memset(secret, 7, sizeof secret);
    memset(mac1, 9, sizeof mac1);
    count_up(giver.bytes, sizeof giver.bytes, 256);
    count_up(nonce, sizeof nonce, 256);
    rovei_cookie_key(key, psk, &giver);
    assert_hex(key, 32, "a371b8034af4cbea8aacf837613e4c96667f752ed435fa79edc76a957fc12879");
    rovei_addr addr = net_addr(0);
    rovei_cookie_of(cookie, secret, &addr);
    assert_hex(cookie, 16, "e129bc5e6738addc6241ce4e18707df3");
    uint8_t message[ROVEI_INITIATION_SIZE];
    count_up(message, sizeof message, 251);
    rovei_cookie_prove(message, cookie);
    assert_hex(message + 180, 16, "ecc4fe82ec7e4a9b0d79a101e929f230");
    assert_int_equal(message[179], 179);

    uint8_t reply[ROVEI_COOKIE_SIZE];
    rovei_cookie_write(reply, 0x04030201, key, nonce, mac1, cookie);
    assert_hex(reply, 32, "454e020301020304000102030405060708090a0b0c0d0e0f1011121314151617");
    rovei_packet p;
    uint8_t back[16] = {0};
    assert_ok(rovei_packet_read(&p, (rove_span){reply, sizeof reply}));
    assert_int_equal(p.type, ROVEI_PACKET_COOKIE);
    assert_int_equal(p.receiver, 0x04030201);
    assert_ok(rovei_cookie_read(&p, key, mac1, back));
    assert_memory_equal(back, cookie, 16);
    /* Not for another message, not under another key, not when changed. */
    memset(back, 0, sizeof back);
    mac1[15] ^= 1;
    assert_int_equal(rovei_cookie_read(&p, key, mac1, back), ROVE_E_AUTH);
    mac1[15] ^= 1;
    assert_int_equal(rovei_cookie_read(&p, secret, mac1, back), ROVE_E_AUTH);
    for (size_t i = 8; i < sizeof reply; i++) {
        reply[i] ^= 0x20;
        assert_ok(rovei_packet_read(&p, (rove_span){reply, sizeof reply}));
        assert_int_equal(rovei_cookie_read(&p, key, mac1, back), ROVE_E_AUTH);
        reply[i] ^= 0x20;
    }
    static const uint8_t zero[16];
    assert_memory_equal(back, zero, 16);
}

/* A cookie is of one address: family, bytes and port. */
static void test_bound_to_address(void **state)
{
    (void)state;
    uint8_t secret[32] = {1}, first[16], other[16];
    rovei_addr a = net_addr(0);
    rovei_cookie_of(first, secret, &a);
    for (int i = 0; i < 3; i++) {
        rovei_addr b = a;
        if (i == 0)
            b.port++;
        else if (i == 1)
            b.ip[3]++;
        else
            b.family = 6;
        rovei_cookie_of(other, secret, &b);
        assert_memory_not_equal(first, other, 16);
    }
    secret[31] = 1;
    rovei_cookie_of(other, secret, &a);
    assert_memory_not_equal(first, other, 16);
}

/* ---- under load ---- */

/* Replays a message 1 from an address that may be anybody's until the node has had enough. */
static void press(net *n, size_t to, const net_packet *m1)
{
    rovei_addr forged = {.family = 4, .ip = {203, 0, 113, 9}, .port = 9};
    uint64_t asked = net_drops(n, to, ROVEI_DROP_UNPROVED);
    for (unsigned i = 0; i < 1000 && net_drops(n, to, ROVEI_DROP_UNPROVED) == asked; i++)
        net_inject_from(n, &forged, to, m1->bytes, m1->size);
    assert_true(net_drops(n, to, ROVEI_DROP_UNPROVED) > asked);
}

static void pressed_up(net *n)
{
    net_two(n);
    n->nodes[1].t.env.limits.handshake_load = 20;
    n->strays_allowed = true;
    n->keep = true;
    net_connect(n, 0, 1);
    net_run(n, SECOND);
    assert_int_equal(net_events(n, 1, ROVEI_MESH_UP, NULL), 1);
}

/* Above the load every message 1 is answered with something smaller, and no curve work is done; a
 * peer that can receive at its address gets through after one more round trip. */
static void test_cookie_exchange(void **state)
{
    (void)state;
    net n;
    pressed_up(&n);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    net_picture before = net_picture_of(&n, 1, 0);
    press(&n, 1, m1);
    uint64_t replayed = net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE);
    assert_int_equal(replayed, 20); /* one second's worth was looked into */
    rovei_addr forged = {.family = 4, .ip = {203, 0, 113, 9}, .port = 9};
    for (int i = 0; i < 100; i++)
        net_inject_from(&n, &forged, 1, m1->bytes, m1->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), replayed);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_UNPROVED), ROVEI_GATE_REPLIES);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_RATE), 101 - ROVEI_GATE_REPLIES);
    n.strays = n.stray_bytes = 0;
    net_run(&n, MS);
    assert_int_equal(n.strays, ROVEI_GATE_REPLIES);
    assert_int_equal(n.stray_bytes, ROVEI_GATE_REPLIES * ROVEI_COOKIE_SIZE);
    assert_true(ROVEI_COOKIE_SIZE <= ROVEI_INITIATION_SIZE);
    before.sent += ROVEI_GATE_REPLIES;
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));

    net_forget(&n);
    net_wear_out(&n, 0, 1);
    net_run(&n, 100 * MS);
    assert_non_null(net_kept(&n, 1, ROVEI_PACKET_COOKIE, 0));
    assert_null(net_kept(&n, 1, ROVEI_PACKET_COOKIE, 1));
    assert_non_null(net_kept(&n, 0, ROVEI_PACKET_INITIATION, 1)); /* the same again, with proof */
    assert_null(net_kept(&n, 0, ROVEI_PACKET_INITIATION, 2));
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).rekeys, 1);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* Whoever copies a message with its proof cannot use it from elsewhere; from the same address it
 * is one of a few, and the secret does not last. */
static void test_proof_replayed(void **state)
{
    (void)state;
    net n;
    pressed_up(&n);
    const net_packet *plain = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    press(&n, 1, plain);
    net_wear_out(&n, 0, 1);
    net_run(&n, 100 * MS);
    const net_packet *proved = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 2);
    assert_non_null(proved);
    press(&n, 1, plain);
    uint64_t replayed = net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE);
    rovei_addr other = net_addr(0);
    other.port++;
    for (int i = 0; i < 20; i++)
        net_inject_from(&n, &other, 1, proved->bytes, proved->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), replayed);
    uint64_t rate = net_drops(&n, 1, ROVEI_DROP_RATE);
    for (int i = 0; i < 20; i++)
        net_inject(&n, 0, 1, proved->bytes, proved->size);
    assert_in_range(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), replayed + 1, replayed + 5);
    assert_in_range(net_drops(&n, 1, ROVEI_DROP_RATE) - rate, 15, 19);
    /* Another source is not held up by that, however many share its place. */
    net_run(&n, 121 * SECOND);
    press(&n, 1, plain);
    uint64_t asked = net_drops(&n, 1, ROVEI_DROP_UNPROVED);
    net_inject(&n, 0, 1, proved->bytes, proved->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_UNPROVED), asked + 1);
    net_fini(&n);
}

/* Cookies that nobody asked for, or that are changed, do nothing. */
static void test_cookie_forged(void **state)
{
    (void)state;
    net n;
    pressed_up(&n);
    press(&n, 1, net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0));
    net_wear_out(&n, 0, 1);
    n.filter = net_nothing;
    net_run(&n, MS);
    n.filter = NULL;
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 1);
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    net_run(&n, 0);
    const net_packet *cookie = net_kept(&n, 1, ROVEI_PACKET_COOKIE, 0);
    assert_non_null(cookie);
    uint8_t bytes[ROVEI_COOKIE_SIZE];
    uint64_t started = rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started;
    for (size_t i = 4; i < sizeof bytes; i++) {
        memcpy(bytes, cookie->bytes, sizeof bytes);
        bytes[i] ^= 4;
        net_inject(&n, 1, 0, bytes, sizeof bytes);
    }
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_SESSION), 4);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_AUTH), sizeof bytes - 8);
    net_inject(&n, 1, 0, cookie->bytes, cookie->size);
    net_inject(&n, 1, 0, cookie->bytes, cookie->size); /* twice changes nothing */
    net_run(&n, 0);
    assert_int_equal(rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started, started + 1);
    /* The attempt that was answered is over: the cookie belongs to nothing any more. */
    uint64_t session = net_drops(&n, 0, ROVEI_DROP_SESSION);
    net_inject(&n, 1, 0, cookie->bytes, cookie->size);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_SESSION), session + 1);
    net_run(&n, SECOND);
    net_assert_one_association(&n);
    net_fini(&n);
}

/* A node that asks for a cookie every time is asked at intervals, not in a circle. */
static void test_no_circle(void **state)
{
    (void)state;
    net n;
    pressed_up(&n);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    net_wear_out(&n, 0, 1);
    uint64_t started = rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started;
    for (int i = 0; i < 1000; i++) {
        press(&n, 1, m1);
        n.nodes[1].mesh->gate.secret_until = 0; /* no proof is ever right */
        net_run(&n, MS);
    }
    uint64_t more = rovei_mesh_stats_get(n.nodes[0].mesh).handshakes_started - started;
    assert_in_range(more, 3, 5); /* at 0, again with proof, 250, 750 ms */
    net_fini(&n);
}

/* The flood is over: within a second or two no cookie is asked for. */
static void test_calm_again(void **state)
{
    (void)state;
    net n;
    pressed_up(&n);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    for (int i = 0; i < 10000; i++)
        net_inject(&n, 0, 1, m1->bytes, m1->size);
    net_run(&n, 2 * SECOND);
    uint64_t replayed = net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE);
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), replayed + 1);
    net_fini(&n);
}

/* ---- sources ---- */

typedef struct gate_kit {
    test_env t;
    rovei_gate gate;
    rovei_now now;
    uint8_t message[ROVEI_INITIATION_SIZE];
} gate_kit;

static void kit_init(gate_kit *k)
{
    memset(k, 0, sizeof *k);
    test_env_init(&k->t, 9);
    k->t.env.limits.handshake_load = 1;
    k->t.env.limits.handshake_source = 10;
    uint8_t psk[32] = {1};
    rove_entity self = {{2}};
    assert_ok(rovei_gate_init(&k->gate, &k->t.env, psk, &self));
    k->now.mono = 5 * SECOND;
    memcpy(k->message, "\x45\x4E\x02\x01", 4);
}

static void kit_fini(gate_kit *k)
{
    rovei_gate_fini(&k->gate);
    test_env_fini(&k->t);
}

/* With the proof that the gate itself would ask for. */
static rovei_drop knock(gate_kit *k, rovei_addr from)
{
    uint8_t cookie[16];
    rovei_packet p;
    rovei_cookie_of(cookie, k->gate.keys, &from);
    rovei_cookie_prove(k->message, cookie);
    assert_ok(rovei_packet_read(&p, (rove_span){k->message, sizeof k->message}));
    return rovei_gate_judge(&k->gate, k->now, &from, &p);
}

static rovei_addr v6(uint64_t prefix, uint64_t rest)
{
    rovei_addr a = {.family = 6, .port = 1};
    rovei_store64(a.ip, prefix);
    rovei_store64(a.ip + 8, rest);
    return a;
}

static size_t let_in(gate_kit *k, rovei_addr from, bool vary)
{
    size_t in = 0;
    for (unsigned i = 0; i < 100; i++) {
        if (vary)
            from.ip[15] = (uint8_t)i;
        in += knock(k, from) == ROVEI_DROP_COUNT;
    }
    return in;
}

static void test_sources(void **state)
{
    (void)state;
    gate_kit k;
    kit_init(&k);
    assert_int_equal(knock(&k, net_addr(0)), ROVEI_DROP_COUNT);    /* no load yet */
    assert_int_equal(knock(&k, net_addr(0)), ROVEI_DROP_UNPROVED); /* no secret was drawn yet */
    assert_int_equal(let_in(&k, net_addr(0), false), 5);
    rovei_addr port = net_addr(0);
    port.port = 77;
    assert_int_equal(knock(&k, port), ROVEI_DROP_RATE); /* the same source */
    assert_int_equal(let_in(&k, net_addr(1), false), 5);
    /* Of IPv6 the first half is one source. */
    assert_int_equal(let_in(&k, v6(7, 0), true), 5);
    assert_int_equal(let_in(&k, v6(8, 0), true), 5);
    /* It comes back at the rate, ten a second; the flood itself does not push that back for long.
     */
    k.now.mono += 1500 * MS;
    assert_int_equal(let_in(&k, net_addr(0), false), 5);
    kit_fini(&k);
}

/* A crowd of sources larger than the table does not shut out one more. */
static void test_crowd(void **state)
{
    (void)state;
    gate_kit k;
    kit_init(&k);
    (void)knock(&k, net_addr(0));
    (void)knock(&k, net_addr(0));
    for (uint64_t i = 1; i <= 20000; i++)
        for (int again = 0; again < 7; again++)
            (void)knock(&k, v6(i, 0));
    for (size_t i = 0; i < 50; i++) {
        rovei_addr one = {.family = 4, .ip = {192, 0, 2, (uint8_t)i}, .port = 1};
        assert_int_equal(knock(&k, one), ROVEI_DROP_COUNT);
    }
    kit_fini(&k);
}

/* ---- answers ---- */

/* A member that sees a message 1 can answer it wrongly, but not for ever. */
static void test_wrong_answers(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    n.nodes[0].t.env.limits.handshake_load = 10;
    net_start(&n, 0);
    net_start(&n, 1);
    n.filter = net_nothing;
    n.keep = true;
    net_connect(&n, 0, 1);
    net_run(&n, MS);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, 0);
    net_inject(&n, 0, 1, m1->bytes, m1->size);
    net_run(&n, MS);
    net_packet m2 = *net_kept(&n, 1, ROVEI_PACKET_RESPONSE, 0);
    uint8_t key[32], digest[32];
    rovei_mac_key(key, n.nodes[0].psk, &n.nodes[0].entity);
    size_t covered = m2.size - 2 * ROVEI_MAC_SIZE;
    m2.bytes[50] ^= 1;
    rovei_blake2s_mac(digest, key, 32, m2.bytes, covered);
    memcpy(m2.bytes + covered, digest, ROVEI_MAC_SIZE);
    for (int i = 0; i < 30; i++)
        net_inject(&n, 1, 0, m2.bytes, m2.size);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_HANDSHAKE), 10);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_RATE), 20);
    n.filter = NULL;
    net_run(&n, SECOND); /* the next attempt is one of its own */
    net_assert_one_association(&n);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_bound_to_address),
        cmocka_unit_test(test_cookie_exchange), cmocka_unit_test(test_proof_replayed),
        cmocka_unit_test(test_cookie_forged),   cmocka_unit_test(test_no_circle),
        cmocka_unit_test(test_calm_again),      cmocka_unit_test(test_sources),
        cmocka_unit_test(test_crowd),           cmocka_unit_test(test_wrong_answers),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
