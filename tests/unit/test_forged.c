/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes of members who say of themselves what is not so.
 */
#include "net.h"

#define SECOND ROVE_SECOND
#define MS     ROVE_MILLISECOND

/* ---- identities ---- */

static void test_false_identities(void **state)
{
    (void)state;
    net n;
    net_up(&n);
    net_picture before = net_picture_of(&n, 1, 0);
    net_forgery f, other;
    net_forge_init(&f, &n, 0x51);
    net_forge_init(&other, &n, 0x52);
    /* Another's entity: the victim's, a third one's, the responder's own. */
    f.hello.entity = n.nodes[0].entity;
    net_inject_forged(&f, &n, 0, 1);
    f.hello.entity = other.entity;
    net_inject_forged(&f, &n, 0, 1);
    f.hello.entity = n.nodes[1].entity;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_IDENTITY), 3);
    /* No point at all, and a point without an image. */
    memset(&f.hello.entity, 0xEE, sizeof f.hello.entity);
    while (rovei_ed25519_image((uint8_t[32]){0}, &f.hello.entity) != ROVE_E_PUBLIC_KEY)
        f.hello.entity.bytes[0]++;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_IDENTITY), 4);
    memset(&f.hello.entity, 0, sizeof f.hello.entity);
    f.hello.entity.bytes[0] = 1;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_NO_IMAGE), 1);
    /* A version range without ours, and one that makes no sense. */
    f.hello.entity = f.entity;
    f.hello.version_min = 2;
    f.hello.version_max = 9;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_PROTOCOL_VERSION), 1);
    f.hello.version_min = 0;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_HANDSHAKE), 1);
    /* The psk is wrong. */
    f.hello.version_min = 1;
    f.psk[0] ^= 1;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_MAC), 1);
    ASSERT_SAME(before, net_picture_of(&n, 1, 0));
    assert_int_equal(net_drops_all(&n, 1), 8);
    net_fini(&n);
}

/* A second holder of this node's own key. */
static void test_own_identity(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 1);
    net_forgery f;
    uint8_t seed[32];
    net_forge_init(&f, &n, 0x51);
    assert_ok(rovei_keypair_seed(n.nodes[1].id, seed));
    rovei_ed25519_from_seed(seed, f.secret, &f.entity);
    f.hello.entity = f.entity;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_IDENTITY), 1);
    assert_int_equal(n.nodes[1].mesh->peers.count, 0);
    net_fini(&n);
}

/* -A has the same X25519 image as A. Whoever has A's key may also call himself -A, which is another
 * peer; it touches nothing of A. */
static void test_negated_initiator(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 1);
    net_forgery f;
    net_forge_init(&f, &n, 0x51);
    net_inject_forged(&f, &n, 0, 1);
    rovei_peer *plain = rovei_peer_find(n.nodes[1].mesh, &f.entity);
    assert_non_null(plain);
    assert_non_null(plain->next);
    uint32_t index = plain->next->index;
    f.hello.entity.bytes[31] ^= 0x80;
    uint8_t image[2][32];
    assert_ok(rovei_ed25519_image(image[0], &f.entity));
    assert_ok(rovei_ed25519_image(image[1], &f.hello.entity));
    assert_memory_equal(image[0], image[1], 32);
    net_inject_forged(&f, &n, 0, 1);
    rovei_peer *negated = rovei_peer_find(n.nodes[1].mesh, &f.hello.entity);
    assert_non_null(negated);
    assert_ptr_not_equal(negated, plain);
    assert_int_equal(plain->next->index, index);
    /* Each has its own time: A's message 1 with the same time is a replay for A only. */
    f.hello.entity.bytes[31] ^= 0x80;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_REPLAYED_HANDSHAKE), 1);
    net_fini(&n);
}

/* Somebody who dials -B reaches B's key, and must not take B for -B. */
static void test_negated_responder(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 0);
    net_start(&n, 1);
    rove_entity negated = n.nodes[1].entity;
    negated.bytes[31] ^= 0x80;
    rovei_addr addr = net_addr(1);
    assert_ok(rovei_mesh_connect(n.nodes[0].mesh, n.now, &negated, &addr));
    net_run(&n, 5 * SECOND);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 0);
    assert_true(net_drops(&n, 1, ROVEI_DROP_MAC) > 3);
    /* An answer that gets everything else right. */
    n.keep = true;
    n.filter = net_nothing;
    net_forget(&n);
    net_run(&n, 5 * SECOND);
    const net_packet *m1 = net_kept(&n, 0, ROVEI_PACKET_INITIATION, n.kept_count - 1);
    assert_non_null(m1);
    rovei_packet p;
    assert_ok(rovei_packet_read(&p, (rove_span){m1->bytes, m1->size}));
    uint8_t secret[32], public_key[32], key[32], bytes[ROVEI_RESPONSE_SIZE];
    assert_ok(rovei_keypair_x25519(n.nodes[1].id, secret));
    rovei_x25519_public(public_key, secret);
    const rovei_noise_keys keys = {secret, public_key, NULL, n.nodes[1].psk};
    rovei_noise noise;
    assert_ok(rovei_handshake_init(&noise, &n.nodes[1].t.env, false, &keys));
    rovei_hello hello;
    assert_ok(rovei_initiation_read(&noise, &p, &hello));
    hello = (rovei_hello){.entity = n.nodes[1].entity,
                          .incarnation = 1,
                          .time = 1,
                          .version_min = 1,
                          .version_max = 1,
                          .version = 1};
    rovei_mac_key(key, n.nodes[1].psk, &n.nodes[0].entity);
    assert_ok(rovei_response_write(&noise, 5, p.sender, &hello, key, bytes));
    rovei_noise_fini(&noise);
    net_inject(&n, 1, 0, bytes, sizeof bytes);
    assert_int_equal(net_drops(&n, 0, ROVEI_DROP_IDENTITY), 1);
    assert_int_equal(net_events(&n, 0, ROVEI_MESH_UP, NULL), 0);
    net_run(&n, 10 * SECOND);
    net_fini(&n);
}

/* The seed of an identity whose node id would look like a packet. */
static void reserved_seed(uint8_t seed[32])
{
    memset(seed, 0, 32);
    rovei_store32(seed, 1791);
}

static void test_reserved_id(void **state)
{
    (void)state;
    net n;
    net_init(&n, 2);
    net_start(&n, 1);
    net_forgery f;
    net_forge_init(&f, &n, 0x51);
    uint8_t seed[32];
    reserved_seed(seed);
    rovei_ed25519_from_seed(seed, f.secret, &f.entity);
    assert_true(rovei_node_id_is_reserved(rovei_entity_node_id(&f.entity)));
    f.hello.entity = f.entity;
    net_inject_forged(&f, &n, 0, 1);
    assert_int_equal(net_drops(&n, 1, ROVEI_DROP_IDENTITY), 1);
    rovei_addr addr = net_addr(0);
    assert_int_equal(rovei_mesh_connect(n.nodes[1].mesh, n.now, &f.entity, &addr),
                     ROVE_E_RESERVED_ID);
    rovei_keypair *id;
    rove_err err = rovei_keypair_from_seed(&id, &n.nodes[0].t.env, seed);
    if (!err) {
        rovei_mesh_config cfg = {.env = &n.nodes[0].t.env, .identity = id};
        rovei_mesh *m;
        err = rovei_mesh_new(&m, &cfg, n.now);
        rovei_keypair_unref(id);
    }
    assert_int_equal(err, ROVE_E_RESERVED_ID);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_identities),  cmocka_unit_test(test_own_identity),
        cmocka_unit_test(test_negated_initiator), cmocka_unit_test(test_negated_responder),
        cmocka_unit_test(test_reserved_id),
    };
    return cmocka_run_group_tests_name("forged", tests, NULL, NULL);
}
