/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net against what was on the wire with the reference: every value of the recorded handshakes
 * in both roles and framings, and every packet sealed and opened. And a recorded session between
 * two of its nodes, opened by a bystander. */
#include "class_net.h"

/* ---- the handshakes ---- */

typedef struct message {
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size;
    rovei_net_packet packet;
} message;

static void message_of(message *ret, const char *hex, rovei_net_kind kind)
{
    ret->size = hex_to(ret->bytes, sizeof ret->bytes, hex);
    const rove_span dgram = {ret->bytes, ret->size};
    assert_int_equal(rovei_net_kind_of(dgram), kind);
    assert_ok(rovei_net_packet_read(&ret->packet, dgram));
}

typedef struct handshake_case {
    json_object *json, *noise, *keys;
    uint64_t id[2]; /* initiator, responder */
    uint8_t psk[32], responder_key[32];
    bool routed;
    message m1, m2;
} handshake_case;

static void case_of(handshake_case *c, json_object *json)
{
    c->json = json;
    c->noise = field(json, "noise");
    c->keys = field(json, "keys");
    c->id[0] = number(json, "initiator_node_id");
    c->id[1] = number(json, "responder_node_id");
    assert_true(key_of(json, "psk", c->psk));
    assert_true(key_of(json, "responder_static_public", c->responder_key));
    c->routed = strstr(text(json, "name"), "routed") != NULL;
    rovei_net_kind kind = c->routed ? ROVEI_NET_KIND_ROUTED : ROVEI_NET_KIND_DIRECT;
    message_of(&c->m1, text(json, "msg1_datagram"), kind);
    message_of(&c->m2, text(json, "msg2_datagram"), kind);
}

/* The hashes need no private key, so all of them can be checked in every case. */
static void check_transcript(const handshake_case *c)
{
    uint8_t prologue[32];
    transcript t;
    prologue_of_ids(prologue, c->id[0], c->id[1]);
    assert_hex(prologue, 32, text(c->json, "prologue"));
    rove_span m1 = rovei_net_packet_body(&c->m1.packet, c->m1.bytes);
    rove_span m2 = rovei_net_packet_body(&c->m2.packet, c->m2.bytes);
    assert_hex(m1.data, m1.size, text(c->noise, "msg1"));
    assert_hex(m2.data, m2.size, text(c->noise, "msg2"));
    assert_hex(m1.data, 32, text(c->json, "initiator_ephemeral_public"));
    assert_hex(m2.data, 32, text(c->json, "responder_ephemeral_public"));
    transcript_of(&t, c->psk, (rove_span){prologue, 32}, c->responder_key, m1, m2);
    assert_hex(t.start, 32, text(c->noise, "h0"));
    assert_hex(t.keyed, 32, text(c->noise, "h_after_prologue_and_responder_static"));
    assert_hex(t.before1, 32, text(c->noise, "h_before_msg1_payload"));
    assert_hex(t.after1, 32, text(c->noise, "h_after_msg1"));
    assert_hex(t.before2, 32, text(c->noise, "h_before_msg2_payload"));
    assert_hex(t.end, 32, text(c->noise, "handshake_hash"));
}

/* Both X25519 results, from the one side's private keys. */
static void check_curves(const handshake_case *c, const uint8_t es_secret[32],
                         const char *es_public, const uint8_t ee_secret[32], const char *ee_public)
{
    uint8_t remote[32], shared[32];
    assert_true(key_of(c->json, es_public, remote));
    assert_ok(rovei_x25519(shared, es_secret, remote));
    assert_hex(shared, 32, text(c->noise, "dh_es"));
    assert_true(key_of(c->json, ee_public, remote));
    assert_ok(rovei_x25519(shared, ee_secret, remote));
    assert_hex(shared, 32, text(c->noise, "dh_ee"));
}

static void check_keys(const handshake_case *c, const rovei_net_session *s)
{
    uint8_t hash[32], prk[32], key[32], prefix[4];
    assert_true(key_of(c->keys, "handshake_hash", hash));
    assert_int_equal(s->id, number(c->keys, "session_id"));
    rovei_store32(prefix, s->nonce_prefix);
    assert_hex(prefix, 4, text(c->keys, "nonce_prefix"));
    assert_hex(s->keys, 32, text(c->keys, s->initiator ? "initiator_tx" : "initiator_rx"));
    assert_hex(s->keys + 32, 32, text(c->keys, s->initiator ? "initiator_rx" : "initiator_tx"));
    rovei_blake2s_mac(prk, hash, 32, "net-kdf-v1", 10);
    assert_hex(prk, 32, text(c->keys, "prk"));
    rovei_net_derive(key, hash, "route-hop-tx-v1");
    assert_hex(key, 32, text(c->keys, "route_hop_tx"));
    rovei_net_derive(key, hash, "route-hop-rx-v1");
    assert_hex(key, 32, text(c->keys, "route_hop_rx"));
}

static void check_initiator(fixed_env *f, handshake_case *c)
{
    party us;
    rovei_net_handshake h;
    rovei_net_session s;
    uint8_t dgram[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    memset(f->next, 9, sizeof f->next);
    party_init(&us, &f->env, c->id[0], c->psk, NULL);
    assert_true(key_of(c->json, "initiator_ephemeral_private", f->next));
    check_curves(c, f->next, "responder_static_public", f->next, "responder_ephemeral_public");
    assert_ok(rovei_net_dial(&h, &us.self, c->id[1], c->responder_key, c->routed, dgram, &size));
    assert_hex(dgram, size, text(c->json, "msg1_datagram"));
    assert_hex(h.noise.chain + 32, 32, text(c->noise, "k_msg1"));
    assert_hex(h.noise.hash, 32, text(c->noise, "h_after_msg1"));
    assert_true(rovei_net_dial_fits(&h, &c->m2.packet));
    assert_ok(rovei_net_dial_end(&h, &c->m2.packet, c->m2.bytes));
    assert_hex(h.noise.chain + 32, 32, text(c->noise, "k_msg2"));
    assert_hex(h.noise.hash, 32, text(c->noise, "handshake_hash"));
    assert_ok(rovei_net_handshake_session(&h, &s));
    assert_true(s.initiator);
    check_keys(c, &s);
    rovei_net_session_fini(&s);
    rovei_net_handshake_fini(&h);
}

static void check_responder(fixed_env *f, handshake_case *c)
{
    party us;
    rovei_net_handshake h;
    rovei_net_session s;
    uint8_t secret[32], dgram[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    assert_true(key_of(c->json, "responder_static_private", secret));
    party_init(&us, &f->env, c->id[1], c->psk, secret);
    assert_memory_equal(us.public_key, c->responder_key, 32);
    assert_true(key_of(c->json, "responder_ephemeral_private", f->next));
    check_curves(c, secret, "initiator_ephemeral_public", f->next, "initiator_ephemeral_public");
    if (c->routed) {
        assert_ok(rovei_net_answer_routed(&h, &us.self, &c->m1.packet, c->m1.bytes));
    } else {
        assert_ok(rovei_net_answer_direct(&h, &us.self, &c->m1.packet, c->m1.bytes));
        assert_int_equal(rovei_net_answer_try(&h, c->id[0] + 1), ROVE_E_AUTH);
        assert_int_equal(rovei_net_answer_try(&h, c->id[0] ^ 0x80), ROVE_E_AUTH);
        assert_ok(rovei_net_answer_try(&h, c->id[0]));
    }
    assert_int_equal(h.peer, c->id[0]);
    assert_hex(h.noise.chain + 32, 32, text(c->noise, "k_msg1"));
    assert_hex(h.noise.hash, 32, text(c->noise, "h_after_msg1"));
    assert_ok(rovei_net_answer_write(&h, dgram, &size));
    assert_hex(dgram, size, text(c->json, "msg2_datagram"));
    assert_hex(h.noise.chain + 32, 32, text(c->noise, "k_msg2"));
    assert_ok(rovei_net_handshake_session(&h, &s));
    assert_false(s.initiator);
    check_keys(c, &s);
    rovei_net_session_fini(&s);
    rovei_net_handshake_fini(&h);
}

/* ---- their packets ---- */

static void check_header(const rovei_net_packet *p, json_object *packet)
{
    const rovei_net_header *h = &p->header;
    assert_int_equal(h->counter, number(packet, "counter"));
    assert_int_equal(h->flags, number(packet, "flags"));
    assert_int_equal(h->subprotocol, number(packet, "subprotocol_id"));
    assert_int_equal(h->stream, number(packet, "stream_id"));
    assert_int_equal(h->sequence, number(packet, "sequence"));
    assert_int_equal(h->plain_size, number(packet, "payload_len"));
    assert_int_equal(h->events, number(packet, "event_count"));
    assert_int_equal(h->channel | h->origin | h->subnet | h->fragment | h->priority, 0);
}

static void check_events(rove_span plain, json_object *packet)
{
    rovei_net_frames frames = rovei_net_frames_of(plain, (uint16_t)number(packet, "event_count"));
    uint8_t again[ROVEI_NET_PLAIN_MAX];
    rovei_writer w = rovei_writer_of(again, sizeof again);
    rove_span event;
    size_t count = 0;
    for (; rovei_net_frames_next(&frames, &event); count++) {
        assert_hex(event.data, event.size, json_object_get_string(item(packet, "events", count)));
        assert_true(rovei_net_frame_write(&w, event));
    }
    assert_int_equal(count, items(packet, "events"));
    assert_span(plain, again, rovei_writer_size(&w));
}

/* Sealed again from its plaintext it is the same datagram; opened it is that plaintext. */
static void check_packet(rovei_net_session *from, rovei_net_session *to, json_object *packet)
{
    uint8_t ours[ROVEI_NET_DATAGRAM_MAX], aad[ROVEI_NET_AAD_SIZE], nonce[12];
    const char *route = text(packet, "routing_header");
    message m;
    message_of(&m, text(packet, "datagram"), route ? ROVEI_NET_KIND_ROUTED : ROVEI_NET_KIND_DIRECT);
    check_header(&m.packet, packet);
    assert_hex(from->keys, 32, text(packet, "key"));

    uint8_t *inner = ours;
    if (route) {
        rovei_net_route_write(ours, &m.packet.route);
        assert_hex(ours, ROVEI_NET_ROUTE_SIZE, route);
        inner += ROVEI_NET_ROUTE_SIZE;
    }
    size_t size =
        hex_to(inner + ROVEI_NET_HEADER_SIZE, ROVEI_NET_PLAIN_MAX, text(packet, "plaintext"));
    from->sent = m.packet.header.counter;
    if (m.packet.type == ROVEI_NET_PACKET_HEARTBEAT) {
        rovei_net_session_heartbeat(from, inner);
    } else {
        const rovei_net_header h = {
            .flags = m.packet.header.flags,
            .subprotocol = m.packet.header.subprotocol,
            .stream = m.packet.header.stream,
            .sequence = m.packet.header.sequence,
            .events = m.packet.header.events,
        };
        assert_int_equal(rovei_net_session_seal(from, &h, inner, size), size + ROVEI_NET_OVERHEAD);
    }
    assert_hex(ours, m.size, text(packet, "datagram"));
    assert_hex(inner, ROVEI_NET_HEADER_SIZE, text(packet, "header"));
    rovei_net_aad(aad, inner);
    assert_hex(aad, sizeof aad, text(packet, "aad"));
    memcpy(nonce, inner + 12, sizeof nonce);
    assert_hex(nonce, sizeof nonce, text(packet, "nonce"));
    assert_hex(inner + ROVEI_NET_HEADER_SIZE, size, text(packet, "ciphertext"));
    assert_hex(inner + ROVEI_NET_HEADER_SIZE + size, ROVEI_TAG_SIZE, text(packet, "tag"));

    rove_span plain;
    assert_ok(rovei_net_session_open(to, &m.packet, m.bytes, &plain));
    assert_hex(plain.data, plain.size, text(packet, "plaintext"));
    check_events(plain, packet);
}

static size_t check_packets(const test_env *t, const handshake_case *c)
{
    uint8_t hash[32];
    rovei_net_session initiator, responder;
    assert_true(key_of(c->keys, "handshake_hash", hash));
    assert_ok(rovei_net_session_init(&initiator, &t->env, hash, true));
    assert_ok(rovei_net_session_init(&responder, &t->env, hash, false));
    const char *key = text(c->keys, "initiator_tx");
    size_t count = items(c->json, "packets");
    for (size_t i = 0; i < count; i++) {
        json_object *packet = item(c->json, "packets", i);
        bool ours = strcmp(text(packet, "key"), key) == 0;
        check_packet(ours ? &initiator : &responder, ours ? &responder : &initiator, packet);
    }
    rovei_net_session_fini(&initiator);
    rovei_net_session_fini(&responder);
    return count;
}

static void test_handshakes(void **state)
{
    (void)state;
    json_object *root = vectors("handshake-0.36.0.json");
    size_t count = items(root, "handshakes"), initiators = 0, responders = 0, packets = 0;
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        fixed_env f;
        handshake_case c;
        fixed_env_init(&f);
        case_of(&c, item(root, "handshakes", i));
        check_transcript(&c);
        if (text(c.json, "initiator_ephemeral_private")) {
            check_initiator(&f, &c);
            initiators++;
        }
        if (text(c.json, "responder_ephemeral_private")) {
            check_responder(&f, &c);
            responders++;
        }
        packets += check_packets(&f.base, &c);
        fixed_env_fini(&f);
    }
    assert_int_equal(initiators, 4);
    assert_int_equal(responders, 3);
    assert_int_equal(packets, 29);
    json_object_put(root);
}

/* ---- a session between two nodes of the reference, seen by a third ---- */

typedef struct bystander {
    rovei_net_session opens[2]; /* what the initiator sends, what the responder sends */
    size_t moves, heartbeats, waves;
} bystander;

/* The psk, the responder's public key and the first two datagrams are all that there is. */
static void overhear(bystander *b, const test_env *t, json_object *root)
{
    message m1, m2;
    transcript h;
    uint8_t psk[32], key[32], prologue[32];
    assert_true(key_of(root, "psk", psk));
    assert_true(key_of(field(root, "responder"), "x25519_public", key));
    message_of(&m1, text(item(root, "datagrams", 0), "hex"), ROVEI_NET_KIND_DIRECT);
    message_of(&m2, text(item(root, "datagrams", 1), "hex"), ROVEI_NET_KIND_DIRECT);
    assert_int_equal(m1.packet.type, ROVEI_NET_PACKET_HANDSHAKE);
    assert_int_equal(m2.packet.type, ROVEI_NET_PACKET_HANDSHAKE);
    prologue_of_ids(prologue, number(field(root, "initiator"), "node_id"),
                    number(field(root, "responder"), "node_id"));
    transcript_of(&h, psk, (rove_span){prologue, 32}, key,
                  rovei_net_packet_body(&m1.packet, m1.bytes),
                  rovei_net_packet_body(&m2.packet, m2.bytes));
    assert_ok(rovei_net_session_init(&b->opens[0], &t->env, h.end, false));
    assert_ok(rovei_net_session_init(&b->opens[1], &t->env, h.end, true));
}

static void look_at(bystander *b, json_object *root, json_object *datagram)
{
    const char *dir = text(datagram, "dir");
    bool responder = dir[0] == 'B';
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = hex_to(bytes, sizeof bytes, text(datagram, "hex"));
    if (rovei_net_kind_of((rove_span){bytes, size}) == ROVEI_NET_KIND_PINGWAVE) {
        rovei_net_pingwave wave;
        assert_ok(rovei_net_pingwave_read(&wave, (rove_span){bytes, size}));
        assert_int_equal(wave.node_id,
                         number(field(root, responder ? "responder" : "initiator"), "node_id"));
        assert_int_equal(wave.ttl, ROVEI_NET_PINGWAVE_TTL);
        b->waves++;
        return;
    }
    message m;
    rove_span plain;
    message_of(&m, text(datagram, "hex"), ROVEI_NET_KIND_DIRECT);
    assert_int_equal(m.packet.header.session, b->opens[0].id);
    assert_ok(rovei_net_session_open(&b->opens[responder], &m.packet, m.bytes, &plain));
    if (m.packet.type == ROVEI_NET_PACKET_HEARTBEAT) {
        b->heartbeats++;
        return;
    }
    assert_int_equal(m.packet.header.subprotocol, 0x0500);
    json_object *want = item(root, "plaintexts_of_migration_packets_in_order", b->moves++);
    assert_string_equal(dir, text(want, "dir"));
    assert_hex(plain.data, plain.size, text(want, "plaintext"));
}

/* What class net does not protect: whoever has the psk reads a recorded session, and has its keys,
 * with no private key of anybody. The whole of a move lies open but for the envelope's inside. */
static void test_bystander_reads_all(void **state)
{
    (void)state;
    test_env t;
    bystander b = {.moves = 0};
    test_env_init(&t, 1);
    json_object *root = vectors("recorded-session-0.36.0.json");
    overhear(&b, &t, root);
    json_object *derived = field(root, "derived_without_any_private_key");
    assert_int_equal(b.opens[0].id, number(derived, "session_id"));
    assert_hex(b.opens[0].keys + 32, 32, text(derived, "initiator_tx"));
    assert_hex(b.opens[1].keys + 32, 32, text(derived, "initiator_rx"));
    for (size_t i = 2; i < items(root, "datagrams"); i++)
        look_at(&b, root, item(root, "datagrams", i));
    assert_int_equal(b.moves, 6);
    assert_int_equal(b.heartbeats, 2);
    assert_int_equal(b.waves, 6);

    /* Nor does it protect what is to come: the keys seal as well as they open. */
    uint8_t forged[ROVEI_NET_OVERHEAD];
    rovei_net_packet p;
    rove_span plain;
    rovei_net_session *as_responder = &b.opens[0], *initiator = &b.opens[1];
    as_responder->sent = initiator->window.next;
    rovei_net_session_heartbeat(as_responder, forged);
    assert_ok(rovei_net_packet_read(&p, (rove_span){forged, sizeof forged}));
    assert_ok(rovei_net_session_open(initiator, &p, forged, &plain));
    rovei_net_session_fini(&b.opens[0]);
    rovei_net_session_fini(&b.opens[1]);
    json_object_put(root);
    test_env_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_bystander_reads_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
