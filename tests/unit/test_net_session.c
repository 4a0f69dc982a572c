/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes of class net between two of our own sides, with everything about them changed, and the
 * sessions that come from them: the published values, the counter, the replay window. */
#include "class_net.h"

#define INITIATOR UINT64_C(0x1122334455667788)
#define RESPONDER UINT64_C(0x99AABBCCDDEEFF00)

static const uint8_t psk[32] = {[0] = 0x42, 0x42};

/* ---- two sides and the messages between them ---- */

typedef struct pair {
    test_env t;
    party side[2];
    rovei_net_handshake h[2];
    uint8_t dgram[2][ROVEI_NET_HANDSHAKE_MAX];
    size_t size[2];
    rovei_net_packet packet[2];
} pair;

static void pair_init(pair *p)
{
    memset(p, 0, sizeof *p);
    test_env_init(&p->t, 3);
    party_init(&p->side[0], &p->t.env, INITIATOR, psk, NULL);
    party_init(&p->side[1], &p->t.env, RESPONDER, psk, NULL);
}

static void pair_fini(pair *p)
{
    rovei_net_handshake_fini(&p->h[0]);
    rovei_net_handshake_fini(&p->h[1]);
    rovei_net_handshake_fini(&p->h[1]);
    test_env_fini(&p->t);
}

static void dial(pair *p, bool routed)
{
    assert_ok(rovei_net_dial(&p->h[0], &p->side[0].self, RESPONDER, p->side[1].public_key, routed,
                             p->dgram[0], &p->size[0]));
    assert_ok(rovei_net_packet_read(&p->packet[0], (rove_span){p->dgram[0], p->size[0]}));
}

/* Reads message 1 as it lies there; what fails leaves nothing. */
static rove_err read_first(pair *p, bool routed)
{
    rovei_net_handshake *h = &p->h[1];
    rove_err err = rovei_net_packet_read(&p->packet[0], (rove_span){p->dgram[0], p->size[0]});
    if (err)
        return err;
    if (p->packet[0].type != ROVEI_NET_PACKET_HANDSHAKE || p->packet[0].routed != routed)
        return ROVE_E_FORMAT;
    if (routed)
        return rovei_net_answer_routed(h, &p->side[1].self, &p->packet[0], p->dgram[0]);
    err = rovei_net_answer_direct(h, &p->side[1].self, &p->packet[0], p->dgram[0]);
    if (err)
        return err;
    err = rovei_net_answer_try(h, INITIATOR);
    if (err)
        rovei_net_handshake_fini(h);
    return err;
}

static void answer(pair *p)
{
    assert_ok(rovei_net_answer_write(&p->h[1], p->dgram[1], &p->size[1]));
    assert_ok(rovei_net_packet_read(&p->packet[1], (rove_span){p->dgram[1], p->size[1]}));
}

static void sessions(pair *p, rovei_net_session s[2])
{
    assert_ok(rovei_net_handshake_session(&p->h[0], &s[0]));
    assert_ok(rovei_net_handshake_session(&p->h[1], &s[1]));
}

static void connect_pair(pair *p, rovei_net_session s[2])
{
    pair_init(p);
    dial(p, true);
    assert_ok(read_first(p, true));
    answer(p);
    assert_ok(rovei_net_dial_end(&p->h[0], &p->packet[1], p->dgram[1]));
    sessions(p, s);
}

static void disconnect_pair(pair *p, rovei_net_session s[2])
{
    rovei_net_session_fini(&s[0]);
    rovei_net_session_fini(&s[1]);
    rovei_net_session_fini(&s[1]);
    pair_fini(p);
}

/* ---- the handshake ---- */

static void test_keys_cross(void **state)
{
    (void)state;
    for (int routed = 0; routed < 2; routed++) {
        pair p;
        rovei_net_session s[2];
        pair_init(&p);
        dial(&p, routed);
        assert_int_equal(p.size[0], routed ? 142 : 116);
        assert_memory_equal(rovei_net_ephemeral(&p.packet[0], p.dgram[0]),
                            p.h[0].noise.ephemeral_public, 32);
        assert_ok(read_first(&p, routed));
        assert_int_equal(p.h[1].peer, INITIATOR);
        answer(&p);
        assert_int_equal(p.size[1], routed ? 134 : 116);
        if (routed) {
            assert_int_equal(p.packet[1].route.dest, INITIATOR);
            assert_int_equal(p.packet[1].route.source, rovei_net_low(RESPONDER));
            assert_int_equal(p.packet[1].route.ttl, 16);
        }
        assert_true(rovei_net_dial_fits(&p.h[0], &p.packet[1]));
        assert_false(rovei_net_dial_fits(&p.h[0], &p.packet[0]) && routed);
        assert_ok(rovei_net_dial_end(&p.h[0], &p.packet[1], p.dgram[1]));
        sessions(&p, s);
        assert_int_equal(s[0].id, s[1].id);
        assert_memory_equal(s[0].keys, s[1].keys + 32, 32);
        assert_memory_equal(s[0].keys + 32, s[1].keys, 32);
        assert_memory_not_equal(s[0].keys, s[1].keys, 32);
        disconnect_pair(&p, s);
    }
}

/* Of message 1 no byte that Noise covers can be changed, nor its length; of the headers only what
 * nobody looks at. And none of it costs the responder anything that stays. */
static void test_first_forged(void **state)
{
    (void)state;
    for (int routed = 0; routed < 2; routed++) {
        pair p;
        pair_init(&p);
        dial(&p, routed);
        const size_t whole = p.size[0], noise = whole - p.packet[0].body_size;
        const size_t live = p.t.alloc.live;
        for (size_t i = 0; i < whole; i++) {
            p.dgram[0][i] ^= 0x04;
            rove_err err = read_first(&p, routed);
            p.dgram[0][i] ^= 0x04;
            bool covered = i >= noise || (routed && i >= 6 && i < 10);
            if (covered)
                assert_true(err == ROVE_E_AUTH || err == ROVE_E_WEAK_SECRET);
            rovei_net_handshake_fini(&p.h[1]);
        }
        for (p.size[0] = 0; p.size[0] < whole; p.size[0]++)
            assert_int_not_equal(read_first(&p, routed), ROVE_OK);
        assert_int_equal(p.t.alloc.live, live);
        assert_ok(read_first(&p, routed));
        pair_fini(&p);
    }
}

/* Another psk, another static key, another id on either side: all of them look the same. */
static void test_wrong_material(void **state)
{
    (void)state;
    for (int routed = 0; routed < 2; routed++)
        for (int what = 0; what < 4; what++) {
            pair p;
            pair_init(&p);
            if (what == 0)
                p.side[0].psk[31] ^= 1;
            if (what == 1)
                p.side[1].secret[5] ^= 8;
            if (what == 2)
                p.side[0].self.node_id ^= 1;
            if (what == 3)
                p.side[1].self.node_id ^= 1;
            rovei_x25519_public(p.side[1].public_key, p.side[1].secret);
            if (what == 1)
                p.side[1].public_key[0] ^= 1;
            dial(&p, routed);
            rove_err err = read_first(&p, routed);
            /* A routed message 1 brings its sender's id along. */
            assert_int_equal(err, routed && what == 2 ? ROVE_OK : ROVE_E_AUTH);
            pair_fini(&p);
        }
}

/* The id inside of a routed message 1 has to have the low half that stands outside, whoever has the
 * psk; what is behind the id is ignored, and less than an id is too short. */
static void test_routed_payload(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 4; extra++) {
        pair p;
        pair_init(&p);
        uint8_t payload[24] = {0}, prologue[32];
        const size_t size = extra == 3 ? 7 : 8 + 8 * extra;
        rovei_store64(payload, extra == 1 ? INITIATOR ^ 1 : INITIATOR);
        prologue_of_ids(prologue, INITIATOR, RESPONDER);
        rovei_noise n;
        const rovei_noise_keys keys = {.remote_static = p.side[1].public_key, .psk = p.side[0].psk};
        assert_ok(rovei_noise_init(&n, &p.t.env, &rovei_noise_nkpsk0, true,
                                   (rove_span){prologue, 32}, &keys));
        const rovei_net_route route = {
            .ttl = 16, .source = rovei_net_low(INITIATOR), .dest = RESPONDER};
        const rovei_net_header header = {.flags = ROVEI_NET_FLAG_HANDSHAKE};
        uint8_t dgram[256];
        rovei_net_route_write(dgram, &route);
        rovei_net_header_write(dgram + ROVEI_NET_ROUTE_SIZE, &header);
        assert_ok(rovei_noise_write(&n, (rove_span){payload, size}, dgram + 86));
        assert_ok(rovei_net_packet_read(&p.packet[0], (rove_span){dgram, 86 + 48 + size}));
        rove_err err = rovei_net_answer_routed(&p.h[1], &p.side[1].self, &p.packet[0], dgram);
        const rove_err want[] = {ROVE_OK, ROVE_E_IDENTITY, ROVE_OK, ROVE_E_SHORT};
        assert_int_equal(err, want[extra]);
        if (!err)
            assert_int_equal(p.h[1].peer, INITIATOR);
        rovei_noise_fini(&n);
        pair_fini(&p);
    }
}

/* A message 2 that is not one leaves the initiator waiting for the one that is. */
static void test_second_forged(void **state)
{
    (void)state;
    for (int routed = 0; routed < 2; routed++) {
        pair p;
        pair_init(&p);
        dial(&p, routed);
        assert_ok(read_first(&p, routed));
        answer(&p);
        const size_t noise = p.size[1] - p.packet[1].body_size;
        for (size_t i = noise; i < p.size[1]; i++) {
            p.dgram[1][i] ^= 0x10;
            rove_err err = rovei_net_dial_end(&p.h[0], &p.packet[1], p.dgram[1]);
            p.dgram[1][i] ^= 0x10;
            assert_true(err == ROVE_E_AUTH || err == ROVE_E_WEAK_SECRET);
        }
        rovei_net_packet cut = p.packet[1];
        for (cut.body_size = 0; cut.body_size < p.packet[1].body_size; cut.body_size++) {
            assert_false(rovei_net_dial_fits(&p.h[0], &cut));
            assert_int_not_equal(rovei_net_dial_end(&p.h[0], &cut, p.dgram[1]), ROVE_OK);
        }
        assert_ok(rovei_net_dial_end(&p.h[0], &p.packet[1], p.dgram[1]));
        pair_fini(&p);
    }
}

/* What is for somebody else, or of the other framing, is not even tried. */
static void test_fits(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    dial(&p, true);
    assert_ok(read_first(&p, true));
    answer(&p);
    rovei_net_packet q = p.packet[1];
    q.route.dest ^= UINT64_C(1) << 40;
    assert_false(rovei_net_dial_fits(&p.h[0], &q));
    q = p.packet[1];
    q.route.source ^= 1;
    assert_false(rovei_net_dial_fits(&p.h[0], &q));
    q = p.packet[1];
    q.routed = false;
    assert_false(rovei_net_dial_fits(&p.h[0], &q));
    q = p.packet[1];
    q.type = ROVEI_NET_PACKET_DATA;
    assert_false(rovei_net_dial_fits(&p.h[0], &q));
    assert_true(rovei_net_dial_fits(&p.h[0], &p.packet[1]));
    pair_fini(&p);
}

/* A direct message 1 among many that may connect: each wrong one is tried and leaves the next its
 * chance; equal low halves are the same to it. */
static void test_direct_candidates(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    dial(&p, false);
    assert_ok(rovei_net_answer_direct(&p.h[1], &p.side[1].self, &p.packet[0], p.dgram[0]));
    for (uint64_t i = 1; i < 500; i++)
        assert_int_equal(rovei_net_answer_try(&p.h[1], INITIATOR + i), ROVE_E_AUTH);
    assert_ok(rovei_net_answer_try(&p.h[1], INITIATOR ^ UINT64_C(1) << 50));
    assert_int_equal(p.h[1].peer, INITIATOR ^ UINT64_C(1) << 50);
    answer(&p);
    assert_ok(rovei_net_dial_end(&p.h[0], &p.packet[1], p.dgram[1]));
    assert_memory_equal(p.h[0].noise.hash, p.h[1].noise.hash, 32);
    pair_fini(&p);
}

static void test_weak_keys(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    const uint8_t zero[32] = {0};
    assert_int_equal(
        rovei_net_dial(&p.h[0], &p.side[0].self, RESPONDER, zero, true, p.dgram[0], &p.size[0]),
        ROVE_E_WEAK_SECRET);
    for (int routed = 0; routed < 2; routed++) {
        dial(&p, routed);
        memset(p.dgram[0] + p.size[0] - p.packet[0].body_size, 0, 32);
        assert_int_equal(read_first(&p, routed), ROVE_E_WEAK_SECRET);
        rovei_net_handshake_fini(&p.h[0]);
    }
    pair_fini(&p);
}

static void test_no_memory(void **state)
{
    (void)state;
    pair p;
    rovei_net_session s = {.keys = NULL};
    pair_init(&p);
    /* The slab takes its memory in regions: use up what it has. */
    void *slots[4096];
    size_t used = 0;
    slots[used++] = rovei_slab_get(p.t.env.slab);
    p.t.alloc.fail_at = 0;
    p.t.alloc.calls = 0;
    while (used < 4096 && (slots[used] = rovei_slab_get(p.t.env.slab)) != NULL)
        used++;
    assert_true(used < 4096);
    p.t.alloc.calls = 0;
    assert_int_equal(rovei_net_session_init(&s, &p.t.env, psk, true), ROVE_E_NOMEM);
    assert_null(s.keys);
    for (int left = 1; left >= 0; left--) {
        if (left)
            rovei_slab_put(p.t.env.slab, slots[--used]);
        else
            slots[used++] = rovei_slab_get(p.t.env.slab);
        p.t.alloc.calls = 0;
        assert_int_equal(rovei_net_dial(&p.h[0], &p.side[0].self, RESPONDER, p.side[1].public_key,
                                        true, p.dgram[0], &p.size[0]),
                         ROVE_E_NOMEM);
        assert_int_equal(rovei_slab_used(p.t.env.slab), used);
    }
    while (used)
        rovei_slab_put(p.t.env.slab, slots[--used]);
    p.t.alloc.fail_at = SIZE_MAX;
    pair_fini(&p);
}

/* ---- sessions ---- */

static size_t seal(rovei_net_session *s, const rovei_net_header *h, const void *plain, size_t size,
                   uint8_t *ret)
{
    if (size)
        memcpy(ret + ROVEI_NET_HEADER_SIZE, plain, size);
    return rovei_net_session_seal(s, h, ret, size);
}

static rove_err open_copy(rovei_net_session *s, const uint8_t *dgram, size_t size, rove_span *ret)
{
    static uint8_t copy[ROVEI_NET_DATAGRAM_MAX];
    rovei_net_packet p;
    memcpy(copy, dgram, size);
    rove_err err = rovei_net_packet_read(&p, (rove_span){copy, size});
    return err ? err : rovei_net_session_open(s, &p, copy, ret);
}

/* The published packets of one session, byte by byte. */
static void test_published(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 1);
    rovei_net_session i, r;
    uint8_t hash[32], dgram[128];
    rove_span plain;
    hex_to(hash, 32, "a641688ecb24316d904526846315ef351a3f9c1056fd0b245516f00e72f13db9");
    assert_ok(rovei_net_session_init(&i, &t.env, hash, true));
    assert_ok(rovei_net_session_init(&r, &t.env, hash, false));
    rovei_net_session_heartbeat(&i, dgram);
    assert_hex(dgram, 84,
               "454e012000000000000000006d6559e30000000000000000a641688ecb24316d"
               "000000000000000000000000000000000000000000000000000000000000000000000000"
               "5d2b0dd6a7d94021801cef906e58d4a8");
    assert_ok(open_copy(&r, dgram, 84, &plain));
    assert_int_equal(plain.size, 0);
    uint8_t window[28];
    hex_to(window, sizeof window, "180000000700000000000000d2040000000000000300000000000000");
    const rovei_net_header h = {
        .subprotocol = 0x0B00, .stream = ROVEI_NET_CONTROL_STREAM, .events = 1};
    assert_int_equal(seal(&r, &h, window, sizeof window, dgram), 112);
    assert_hex(dgram, 112,
               "454e010000000000000b00006d6559e30000000000000000a641688ecb24316d"
               "ffffffffffffffff0000000000000000000000000000000000000000000000001c000100"
               "28f286fc8585dbb8cc08d941eae39abcf3d8a2e487b65ab90d324e18"
               "dcb4f449c02c46504061632f30cdd0f4");
    assert_ok(open_copy(&i, dgram, 112, &plain));
    assert_span(plain, window, sizeof window);
    rovei_net_session_fini(&i);
    rovei_net_session_fini(&r);
    test_env_fini(&t);
}

static void test_prefix(void **state)
{
    (void)state;
    assert_int_equal(rovei_net_nonce_prefix(UINT64_C(0x2cce39e994dddde0)), 0xb813e409);
    assert_int_equal(rovei_net_nonce_prefix(UINT64_C(0x0000000194dddde0)), 0x94dddde1);
    assert_int_equal(rovei_net_nonce_prefix(0), 0);
}

/* A counter that is changed can be one that was seen. */
static void assert_refused(rove_err err, bool in_counter)
{
    assert_true(err == ROVE_E_AUTH || (in_counter && err == ROVE_E_REPLAY));
}

/* Every changed byte is noticed but for the hop count and the nonce's prefix; a refused packet
 * leaves the window, so the right one still opens, once. */
static void test_forged_packets(void **state)
{
    (void)state;
    pair p;
    rovei_net_session s[2];
    connect_pair(&p, s);
    uint8_t dgram[256];
    rove_span plain;
    const rovei_net_header h = {.flags = 1, .stream = 7, .events = 1, .origin = UINT64_C(9) << 33};
    for (int heartbeat = 0; heartbeat < 2; heartbeat++) {
        size_t size = ROVEI_NET_OVERHEAD;
        if (heartbeat)
            rovei_net_session_heartbeat(&s[0], dgram);
        else
            size = seal(&s[0], &h, "\5\0\0\0hello", 9, dgram);
        const rovei_replay before = s[1].window;
        for (size_t i = 0; i < size; i++) {
            if (i == 6 || (i >= 12 && i < 16))
                continue;
            for (unsigned bit = 0; bit < 8; bit++) {
                dgram[i] ^= (uint8_t)(1 << bit);
                rovei_net_packet q;
                /* a flag can make it a packet of another type, which has no key */
                if (rovei_net_packet_read(&q, (rove_span){dgram, size}) == ROVE_OK &&
                    q.type != ROVEI_NET_PACKET_HANDSHAKE)
                    assert_refused(open_copy(&s[1], dgram, size, &plain), i >= 16 && i < 24);
                dgram[i] ^= (uint8_t)(1 << bit);
            }
        }
        assert_memory_equal(&before, &s[1].window, sizeof before);
        assert_int_equal(open_copy(&s[0], dgram, size, &plain), ROVE_E_AUTH); /* not one's own */
        dgram[6] = 9;
        dgram[13] ^= 0xFF;
        assert_ok(open_copy(&s[1], dgram, size, &plain));
        assert_int_equal(open_copy(&s[1], dgram, size, &plain), ROVE_E_REPLAY);
    }
    disconnect_pair(&p, s);
}

/* All that is sealed draws from one counter, whatever it is. */
static void test_one_counter(void **state)
{
    (void)state;
    pair p;
    rovei_net_session s[2];
    connect_pair(&p, s);
    uint8_t dgram[256];
    rove_span plain;
    const rovei_net_header data = {.stream = 1, .events = 1};
    const rovei_net_header control = {
        .subprotocol = 0x0B00, .stream = ROVEI_NET_CONTROL_STREAM, .events = 1};
    for (uint64_t i = 0; i < 30; i++) {
        size_t size = ROVEI_NET_OVERHEAD;
        if (i % 3 == 0)
            rovei_net_session_heartbeat(&s[0], dgram);
        else
            size = seal(&s[0], i % 3 == 1 ? &data : &control, "\1\0\0\0x", 5, dgram);
        assert_int_equal(rovei_load64(dgram + 16), i);
        assert_ok(open_copy(&s[1], dgram, size, &plain));
        assert_int_equal(plain.size, i % 3 ? 5 : 0);
    }
    disconnect_pair(&p, s);
}

static rove_err receive_counter(rovei_net_session s[2], uint64_t counter)
{
    uint8_t dgram[ROVEI_NET_OVERHEAD];
    rove_span plain;
    s[0].sent = counter;
    rovei_net_session_heartbeat(&s[0], dgram);
    return open_copy(&s[1], dgram, sizeof dgram, &plain);
}

/* The window: the last 1,024 counters are told apart, older ones are refused, no jump forward is
 * too far, and the last counter of all is refused even when it authenticates. */
static void test_window(void **state)
{
    (void)state;
    pair p;
    rovei_net_session s[2];
    connect_pair(&p, s);
    assert_ok(receive_counter(s, 0));
    assert_int_equal(receive_counter(s, 0), ROVE_E_REPLAY);
    assert_ok(receive_counter(s, 5000));
    assert_ok(receive_counter(s, 5000 - 1023));
    assert_int_equal(receive_counter(s, 5000 - 1023), ROVE_E_REPLAY);
    assert_int_equal(receive_counter(s, 5000 - 1024), ROVE_E_REPLAY);
    assert_int_equal(receive_counter(s, 1), ROVE_E_REPLAY);
    assert_ok(receive_counter(s, 1000 * 1000));
    assert_int_equal(receive_counter(s, 5001), ROVE_E_REPLAY);
    assert_ok(receive_counter(s, UINT64_C(1) << 63));
    assert_ok(receive_counter(s, (UINT64_C(1) << 63) - 1023));
    /* somebody with the key may seal under the last counter: no honest session gets there */
    uint8_t dgram[ROVEI_NET_OVERHEAD] = {0}, aad[ROVEI_NET_AAD_SIZE], nonce[12];
    const rovei_net_header h = {
        .flags = ROVEI_NET_FLAG_HEARTBEAT, .session = s[0].id, .counter = UINT64_MAX};
    rove_span plain;
    rovei_net_header_write(dgram, &h);
    rovei_net_aad(aad, dgram);
    rovei_store32(nonce, s[0].nonce_prefix);
    rovei_store64(nonce + 4, UINT64_MAX);
    rovei_chachapoly_seal_nonce(s[0].keys, nonce, (rove_span){aad, sizeof aad}, NULL, 0,
                                dgram + ROVEI_NET_HEADER_SIZE);
    assert_int_equal(open_copy(&s[1], dgram, sizeof dgram, &plain), ROVE_E_REPLAY);
    assert_ok(receive_counter(s, (UINT64_C(1) << 63) + 1));
    assert_ok(receive_counter(s, UINT64_MAX - 1));
    disconnect_pair(&p, s);
}

/* Packets of every size, in place, without any memory. */
static void test_sizes(void **state)
{
    (void)state;
    static uint8_t plain[ROVEI_NET_PLAIN_MAX], dgram[ROVEI_NET_DATAGRAM_MAX];
    pair p;
    rovei_net_session s[2];
    connect_pair(&p, s);
    rove_span back;
    random_bytes(&p.t.random, plain, sizeof plain);
    const rovei_net_header h = {.subprotocol = 0x0500, .stream = 0x0500, .events = 1};
    p.t.alloc.calls = 0;
    p.t.alloc.fail_at = 0;
    for (size_t size = 0; size <= sizeof plain; size += size < 64 ? 1 : 1109 - size % 7) {
        size_t whole = seal(&s[0], &h, plain, size, dgram);
        assert_int_equal(whole, size + ROVEI_NET_OVERHEAD);
        assert_ok(open_copy(&s[1], dgram, whole, &back));
        assert_span(back, plain, size);
    }
    assert_int_equal(seal(&s[0], &h, plain, sizeof plain, dgram), ROVEI_NET_DATAGRAM_MAX);
    assert_ok(open_copy(&s[1], dgram, sizeof dgram, &back));
    assert_span(back, plain, sizeof plain);
    assert_int_equal(p.t.alloc.calls, 0);
    p.t.alloc.fail_at = SIZE_MAX;
    disconnect_pair(&p, s);
}

/* A key depends on all of the hash and of the label. */
static void test_derive(void **state)
{
    (void)state;
    uint8_t hash[32] = {0}, first[32], other[32];
    rovei_net_derive(first, hash, "initiator-tx");
    rovei_net_derive(other, hash, "initiator-rx");
    assert_memory_not_equal(first, other, 32);
    for (size_t i = 0; i < 32; i++) {
        hash[i] ^= 0x80;
        rovei_net_derive(other, hash, "initiator-tx");
        assert_memory_not_equal(first, other, 32);
        hash[i] ^= 0x80;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_cross),
        cmocka_unit_test(test_first_forged),
        cmocka_unit_test(test_wrong_material),
        cmocka_unit_test(test_routed_payload),
        cmocka_unit_test(test_second_forged),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_direct_candidates),
        cmocka_unit_test(test_weak_keys),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_forged_packets),
        cmocka_unit_test(test_one_counter),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_derive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
