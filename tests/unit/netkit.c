/* SPDX-License-Identifier: Apache-2.0
 *
 * The link in memory, and the nodes on it. */
#include "netkit.h"

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const kit_node *)a)->node_id, y = ((const kit_node *)b)->node_id;
    return x < y ? -1 : x > y;
}

static void make_node(kit_node *n, uint8_t number)
{
    memset(n->seed, number, sizeof n->seed);
    test_env_init(&n->t, number);
    assert_ok(rovei_keypair_from_seed(&n->id, &n->t.env, n->seed));
    n->node_id = rovei_keypair_node_id(n->id);
    memset(n->psk, 0x42, sizeof n->psk);
    assert_ok(rovei_keypair_x25519(n->id, n->secret));
    rovei_x25519_public(n->public_key, n->secret);
    rovei_keypair_unref(n->id);
    test_env_fini(&n->t);
}

void kit_init(kit *k, size_t count)
{
    *k = (kit){.count = count,
               .now = {100 * ROVE_SECOND, UINT64_C(1700000000) * ROVE_SECOND},
               .delay = ROVE_MILLISECOND};
    rovei_list_init(&k->packets);
    for (size_t i = 0; i < count; i++)
        make_node(&k->nodes[i], (uint8_t)(i + 1));
    qsort(k->nodes, count, sizeof k->nodes[0], by_id);
    for (size_t i = 0; i < count; i++) {
        kit_node *n = &k->nodes[i];
        test_env_init(&n->t, 77 + i);
        assert_ok(rovei_keypair_from_seed(&n->id, &n->t.env, n->seed));
        n->addr = (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 7000};
        n->self = (rovei_net_self){&n->t.env, n->node_id, n->psk, n->secret, n->public_key};
        rovei_net_config cfg = {.env = &n->t.env, .identity = n->id};
        memcpy(cfg.psk, n->psk, sizeof cfg.psk);
        assert_ok(rovei_net_new(&n->net, &cfg, k->now));
    }
}

void kit_fini(kit *k)
{
    ROVEI_LIST_EACH (it, next, &k->packets)
        free(ROVEI_CONTAINER(it, kit_packet, list));
    for (size_t i = 0; i < k->count; i++) {
        kit_node *n = &k->nodes[i];
        rovei_net_free(n->net);
        rovei_keypair_unref(n->id);
        test_env_fini(&n->t);
    }
}

void kit_make_puppet(kit *k, size_t i)
{
    rovei_net_free(k->nodes[i].net);
    k->nodes[i].net = NULL;
}

void kit_list(kit *k, size_t at, size_t who, bool dial)
{
    const kit_node *n = &k->nodes[who];
    rovei_net_listing l = {.node_id = n->node_id, .has_key = dial, .has_addr = dial};
    if (dial) {
        memcpy(l.key, n->public_key, sizeof l.key);
        l.addr = n->addr;
    }
    assert_ok(rovei_net_list(k->nodes[at].net, k->now, &l));
}

static void post(kit *k, const rovei_addr *from, const rovei_addr *to, const uint8_t *bytes,
                 size_t size)
{
    kit_packet *p = malloc(sizeof *p);
    assert_non_null(p);
    *p = (kit_packet){.at = k->now.mono + k->delay, .from = *from, .to = *to, .size = size};
    memcpy(p->bytes, bytes, size);
    if (k->filter && !k->filter(k, p)) {
        free(p);
        return;
    }
    rovei_list_add_tail(&k->packets, &p->list);
}

void kit_inject(kit *k, size_t to, const rovei_addr *from, const uint8_t *bytes, size_t size)
{
    post(k, from, &k->nodes[to].addr, bytes, size);
}

static void deliver(kit *k, kit_packet *p)
{
    for (size_t i = 0; i < k->count; i++) {
        kit_node *n = &k->nodes[i];
        if (!rovei_addr_equal(&n->addr, &p->to))
            continue;
        if (n->net)
            (void)rovei_net_receive(n->net, k->now, &p->from, p->bytes, p->size);
        else if (n->got_count < KIT_KEPT)
            n->got[n->got_count++] = *p;
    }
}

static void poll(kit_node *n)
{
    rovei_net_event e;
    while (rovei_net_poll(n->net, &e)) {
        n->messages += e.kind == ROVEI_NET_MESSAGE;
        rove_buf_unref(e.message);
        e.message = NULL;
        if (e.kind == ROVEI_NET_DATA && n->data_count < KIT_DATA)
            n->data[n->data_count] = e.sequence;
        n->data_count += e.kind == ROVEI_NET_DATA;
        if (e.kind == ROVEI_NET_DATA)
            continue;
        assert_true(n->event_count < KIT_EVENTS);
        n->events[n->event_count++] = e;
    }
    rovei_net_check(n->net);
}

/* What is due now; true when something was. */
static bool step(kit *k)
{
    bool any = false;
    ROVEI_LIST_EACH (it, next, &k->packets) {
        kit_packet *p = ROVEI_CONTAINER(it, kit_packet, list);
        if (p->at > k->now.mono)
            continue;
        rovei_list_remove(it);
        deliver(k, p);
        free(p); // NOLINT(clang-analyzer-unix.Malloc): it is in no list any more
        any = true;
    }
    for (size_t i = 0; i < k->count; i++) {
        kit_node *n = &k->nodes[i];
        uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
        rovei_addr to;
        if (!n->net)
            continue;
        if (rovei_net_deadline(n->net) <= k->now.mono)
            rovei_net_expire(n->net, k->now);
        poll(n);
        for (size_t size;
             (size = rovei_net_transmit(n->net, k->now, bytes, sizeof bytes, &to)) != 0;) {
            post(k, &n->addr, &to, bytes, size);
            k->sent++;
            any = true;
        }
    }
    return any;
}

static uint64_t next_time(const kit *k)
{
    uint64_t at = ROVE_TIME_NEVER;
    ROVEI_LIST_EACH (it, next, &k->packets)
        at = rovei_time_min(at, ROVEI_CONTAINER(it, kit_packet, list)->at);
    for (size_t i = 0; i < k->count; i++)
        if (k->nodes[i].net)
            at = rovei_time_min(at, rovei_net_deadline(k->nodes[i].net));
    return at;
}

void kit_run(kit *k, uint64_t time)
{
    uint64_t end = k->now.mono + time;
    for (;;) {
        while (step(k))
            ;
        uint64_t at = next_time(k);
        if (at > end)
            break;
        uint64_t by = at > k->now.mono ? at - k->now.mono : 0;
        k->now.mono += by;
        k->now.wall += by;
    }
    k->now.wall += end - k->now.mono;
    k->now.mono = end;
}

size_t kit_told(const kit *k, size_t i, rovei_net_event_kind kind)
{
    size_t count = 0;
    for (size_t e = 0; e < k->nodes[i].event_count; e++)
        count += k->nodes[i].events[e].kind == kind;
    return count;
}

rovei_net_info kit_info(const kit *k, size_t at, size_t of)
{
    rovei_net_info info;
    assert_ok(rovei_net_peer(k->nodes[at].net, k->nodes[of].node_id, &info));
    return info;
}

kit_packet *kit_got(kit *k, size_t i, uint8_t flag, size_t nth, rovei_net_packet *ret)
{
    const uint8_t kinds = ROVEI_NET_FLAG_HANDSHAKE | ROVEI_NET_FLAG_HEARTBEAT;
    for (size_t g = 0; g < k->nodes[i].got_count; g++) {
        kit_packet *p = &k->nodes[i].got[g];
        if (rovei_net_packet_read(ret, (rove_span){p->bytes, p->size}))
            continue; /* a pingwave */
        if ((ret->header.flags & kinds) == flag && nth-- == 0)
            return p;
    }
    return NULL;
}
