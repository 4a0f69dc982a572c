/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net through real sockets: two driven nodes of the library that list each other, and
 * messages as large as the class has them. */
#include "nodes.h"

#include <net/net.h>
#include <poll.h>
#include <rove/identity.h>
#include <shell/call.h>

#define BATCH 12

typedef struct meeting {
    rove_node *nodes[2];
    rove_node_info infos[2];
} meeting;

static void open_node(meeting *m, size_t i, bool compat)
{
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.driven = true;
    cfg.compat_net = compat;
    assert_ok(rove_node_new(&m->nodes[i], &cfg));
    rove_node_get_info(m->nodes[i], &m->infos[i]);
}

static void list(meeting *m, size_t at, bool dial)
{
    const rove_node_info *who = &m->infos[1 - at];
    assert_ok(rove_node_list_net(m->nodes[at], who->node_id, dial ? who->x25519 : NULL,
                                 dial ? who->address : NULL));
}

static void close_nodes(meeting *m)
{
    rove_node_free(m->nodes[0]);
    rove_node_free(m->nodes[1]);
}

/* One turn of each, as soon as one has something to do. */
static void turn(meeting *m)
{
    struct pollfd p[2];
    int wait = 20;
    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct pollfd){.fd = rove_node_fd(m->nodes[i]), .events = POLLIN};
        if (rove_node_deadline(m->nodes[i]) == 0)
            wait = 0;
    }
    (void)poll(p, 2, wait);
    assert_ok(rove_node_process(m->nodes[0]));
    assert_ok(rove_node_process(m->nodes[1]));
}

static bool is_up(const meeting *m, size_t at)
{
    rove_entity peer = rove_entity_of_net(m->infos[1 - at].node_id);
    return rove_node_wait_peer(m->nodes[at], &peer, 0) == ROVE_OK;
}

typedef struct sending {
    uint64_t to;
    size_t size;
    rovei_net_stats stats;
} sending;

static void send_some(void *arg, rovei_node *core, rovei_now now)
{
    uint8_t bytes[ROVEI_NET_MESSAGE_MAX];
    const sending *s = arg;
    memset(bytes, 0xFF, sizeof bytes); /* of no type: nobody answers */
    for (unsigned i = 0; i < BATCH; i++)
        assert_ok(
            rovei_net_send(rovei_node_net(core), now, s->to, 0x0500, (rove_span){bytes, s->size}));
}

static void look(void *arg, rovei_node *core, rovei_now now)
{
    (void)now;
    ((sending *)arg)->stats = rovei_net_stats_get(rovei_node_net(core));
}

/* Datagrams of 8,192 bytes and small ones in between, back and forth; what the receiver makes of
 * them does not matter here. */
static void test_large_messages(void **state)
{
    (void)state;
    meeting m;
    open_node(&m, 0, true);
    open_node(&m, 1, true);
    list(&m, 0, true);
    list(&m, 1, false);
    while (!is_up(&m, 0) || !is_up(&m, 1))
        turn(&m);
    uint64_t sent[2] = {0};
    for (unsigned round = 0; round < 40; round++) {
        size_t from = round % 2;
        static const size_t sizes[] = {ROVEI_NET_MESSAGE_MAX, 1, 1384, 1385, 7000};
        sending s = {.to = m.infos[1 - from].node_id, .size = sizes[round % 5]};
        rovei_node_call(m.nodes[from], send_some, &s);
        sent[from] += BATCH;
        do {
            turn(&m);
            rovei_node_call(m.nodes[1 - from], look, &s);
        } while (s.stats.messages_taken < sent[from]);
        assert_int_equal(s.stats.messages_taken, sent[from]);
        assert_int_equal(s.stats.drops[ROVEI_NET_DROP_FORMAT] + s.stats.drops[ROVEI_NET_DROP_AUTH],
                         0);
    }
    close_nodes(&m);
}

/* A node that had a session of class rove is not served by class net, whoever listed it before. */
static void test_both_classes(void **state)
{
    (void)state;
    meeting m;
    open_node(&m, 0, true);
    open_node(&m, 1, true);
    list(&m, 0, true);
    list(&m, 1, false);
    while (!is_up(&m, 0) || !is_up(&m, 1))
        turn(&m);
    assert_ok(rove_node_connect(m.nodes[1], &m.infos[0].entity, m.infos[0].address));
    assert_false(is_up(&m, 1)); /* configured */
    while (rove_node_wait_peer(m.nodes[0], &m.infos[1].entity, 0) != ROVE_OK)
        turn(&m);
    assert_false(is_up(&m, 0)); /* seen */
    assert_int_equal(rove_node_list_net(m.nodes[0], m.infos[1].node_id, NULL, NULL),
                     ROVE_E_REFUSED);
    close_nodes(&m);
}

static void test_arguments(void **state)
{
    (void)state;
    meeting m;
    open_node(&m, 0, true);
    open_node(&m, 1, false);
    rove_node *node = m.nodes[0];
    const rove_node_info *other = &m.infos[1];
    assert_int_equal(rove_node_list_net(m.nodes[1], 1, NULL, NULL), ROVE_E_USAGE);
    assert_int_equal(rove_node_list_net(node, 0, NULL, NULL), ROVE_E_RESERVED_ID);
    assert_int_equal(rove_node_list_net(node, m.infos[0].node_id, NULL, NULL), ROVE_E_SAME_NODE);
    assert_int_equal(rove_node_list_net(node, 1, NULL, other->address), ROVE_E_USAGE);
    assert_int_equal(rove_node_list_net(node, 1, other->x25519, "127.0.0.1"), ROVE_E_ADDRESS);
    assert_int_equal(rove_node_list_net(node, 1, other->x25519, "127.0.0.1:0"), ROVE_E_ADDRESS);
    assert_int_equal(rove_node_list_net(node, 1, (const uint8_t[32]){0}, NULL), ROVE_E_WEAK_SECRET);
    assert_ok(rove_node_list_net(node, 1, other->x25519, "[::1]:7"));
    assert_int_equal(rove_node_list_net(node, UINT64_C(1) << 32 | 1, NULL, NULL), ROVE_E_EXISTS);
    /* What stands for a net peer is no entity that could be dialled in class rove. */
    rove_entity e = rove_entity_of_net(1);
    assert_int_equal(rove_node_connect(node, &e, other->address), ROVE_E_NO_IMAGE);
    close_nodes(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_messages),
        cmocka_unit_test(test_both_classes),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
