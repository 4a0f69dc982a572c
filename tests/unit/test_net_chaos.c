/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net under seeded trouble: datagrams are lost, late, doubled and changed, nodes restart, and
 * somebody who has recorded everything plays it again from anywhere. Nothing that is not genuine is
 * taken; and when the path is good again all nodes reach each other, though the recordings go on.
 */
#include "netkit.h"

#define NODES    3
#define RECORDED 512

typedef struct recording {
    rovei_addr from, to;
    bool lost; /* it never came */
    size_t size;
    uint8_t bytes[256];
} recording;

typedef struct trouble {
    uint64_t random;
    bool on;
    recording kept[RECORDED]; /* handshakes and whatever else is short */
    size_t count;
    uint64_t said[NODES], replayed;
} trouble;

static trouble world;

static rovei_addr anywhere(void)
{
    return (rovei_addr){.family = 4,
                        .ip = {10, 7, 7, (uint8_t)below(&world.random, 4)},
                        .port = (uint16_t)(1 + below(&world.random, 3))};
}

static void record(const kit_packet *p, bool lost)
{
    if (p->size > sizeof world.kept[0].bytes)
        return;
    size_t at = world.count < RECORDED ? world.count : below(&world.random, RECORDED);
    recording *r = &world.kept[at];
    *r = (recording){.from = p->from, .to = p->to, .lost = lost, .size = p->size};
    memcpy(r->bytes, p->bytes, p->size);
    world.count += world.count < RECORDED;
}

static bool pass(kit *k, const kit_packet *p)
{
    bool lost = world.on && below(&world.random, 100) < 30;
    record(p, lost);
    k->delay = ROVE_MILLISECOND;
    if (world.on && below(&world.random, 3) == 0)
        k->delay = below(&world.random, 400) * ROVE_MILLISECOND;
    return !lost;
}

static size_t node_at(const kit *k, const rovei_addr *addr)
{
    for (size_t i = 0; i < k->count; i++)
        if (rovei_addr_equal(&k->nodes[i].addr, addr))
            return i;
    return k->count;
}

/* Plays something again that was recorded: as it was or changed, and from anywhere. */
static void replay(kit *k)
{
    if (!world.count)
        return;
    recording r = world.kept[below(&world.random, world.count)];
    /* A packet that was kept back is as good as a late one, and gives a session life that its peer
     * has forgotten: not on a good path. */
    if (r.lost && !world.on)
        return;
    if (below(&world.random, 4) == 0)
        r.bytes[below(&world.random, r.size)] ^= (uint8_t)(1 + below(&world.random, 255));
    if (below(&world.random, 2))
        r.from = anywhere();
    size_t to = node_at(k, &r.to);
    if (to == k->count)
        return;
    /* Past the filter, which would record it as one more. */
    kit_filter *filter = k->filter;
    k->filter = NULL;
    kit_inject(k, to, &r.from, r.bytes, r.size);
    k->filter = filter;
    world.replayed++;
}

static void list_all(kit *k, size_t at, bool dials[NODES][NODES])
{
    for (size_t i = 0; i < NODES; i++)
        if (i != at)
            kit_list(k, at, i, dials[at][i]);
}

static void restart(kit *k, size_t i, bool dials[NODES][NODES])
{
    kit_node *n = &k->nodes[i];
    rovei_net_config cfg = {.env = &n->t.env, .identity = n->id};
    memcpy(cfg.psk, n->psk, sizeof cfg.psk);
    rovei_net_free(n->net);
    assert_ok(rovei_net_new(&n->net, &cfg, k->now));
    list_all(k, i, dials);
}

static void forget_events(kit *k)
{
    for (size_t i = 0; i < NODES; i++)
        k->nodes[i].event_count = 0;
}

static void say_all(kit *k)
{
    for (size_t i = 0; i < NODES; i++)
        for (size_t to = 0; to < NODES; to++) {
            rove_err err = to == i ? ROVE_E_UNREACHABLE
                                   : rovei_net_send(k->nodes[i].net, k->now, k->nodes[to].node_id,
                                                    0x0500, span_of("a message"));
            assert_true(err == ROVE_OK || err == ROVE_E_UNREACHABLE || err == ROVE_E_FULL);
            world.said[to] += err == ROVE_OK;
        }
}

static void run_trouble(kit *k, bool dials[NODES][NODES])
{
    world.on = true;
    for (unsigned i = 0; i < 300; i++) {
        kit_run(k, below(&world.random, 1000) * ROVE_MILLISECOND);
        forget_events(k);
        if (below(&world.random, 3) == 0)
            say_all(k);
        if (below(&world.random, 25) == 0)
            restart(k, below(&world.random, NODES), dials);
        if (below(&world.random, 40) == 0)
            kit_run(k, below(&world.random, 120) * ROVE_SECOND);
        forget_events(k);
        for (uint64_t n = below(&world.random, 6); n; n--)
            replay(k);
    }
}

/* The path is good, the recordings go on: all reach each other before long, and stay. */
static void check_calm(kit *k)
{
    world.on = false;
    for (unsigned i = 0; i < 400; i++) {
        kit_run(k, 500 * ROVE_MILLISECOND);
        forget_events(k);
        replay(k);
    }
    for (unsigned round = 0; round < 20; round++) {
        uint64_t before[NODES];
        for (size_t i = 0; i < NODES; i++) {
            before[i] = k->nodes[i].messages;
            world.said[i] = 0;
        }
        say_all(k);
        kit_run(k, ROVE_SECOND);
        forget_events(k);
        replay(k);
        for (size_t i = 0; i < NODES; i++) {
            uint64_t got = k->nodes[i].messages - before[i];
            /* Twice at most: under the session that stands and under the one before it. */
            assert_int_equal(world.said[i], NODES - 1);
            assert_in_range(got, NODES - 1, 2 * (NODES - 1));
        }
    }
}

static void run_seed(uint64_t seed)
{
    static kit k;
    bool dials[NODES][NODES] = {{false}};
    world = (trouble){.random = seed};
    kit_init(&k, NODES);
    k.filter = pass;
    for (size_t i = 0; i < NODES; i++)
        for (size_t j = 0; j < i; j++) {
            /* One side dials, or the other, or both. */
            uint64_t who = below(&world.random, 3);
            dials[i][j] = who != 0;
            dials[j][i] = who != 1;
        }
    for (size_t i = 0; i < NODES; i++)
        list_all(&k, i, dials);
    run_trouble(&k, dials);
    uint64_t taken = 0, said = 0;
    for (size_t i = 0; i < NODES; i++) {
        taken += k.nodes[i].messages;
        said += world.said[i];
    }
    assert_true(said > 100 && taken > 50 && taken <= 2 * said);
    assert_true(world.replayed > 300);
    check_calm(&k);
    kit_fini(&k);
}

static void test_trouble(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
