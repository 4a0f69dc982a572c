/* SPDX-License-Identifier: Apache-2.0
 *
 * A thousand nodes that tell each other what they can do, over links with delays that come and go,
 * while nodes die, come back and change. One process plays all of them, so a signature is looked at
 * once: this program puts a memo in front of the check. */
#include "support.h"
#include <base/alloc.h>
#include <base/map.h>
#include <capability/gossip.h>
#include <capability/index.h>
#include <capability/tag.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef ROVEI_SANITIZED
#define NODES 200 /* what is looked for then is not a matter of size */
#else
#define NODES 1000
#endif
#define CHORDS 1 /* links of each node besides the ring */
#define STEP   (20 * ROVE_MILLISECOND)
#define LINKS  (NODES * (1 + CHORDS))
#define BOUND  (5 * ROVE_SECOND) /* an announcement is everywhere after so long */
/* Who comes late knows all of them after so long: 16 every 100 ms, and the way. */
#define LATE       (100 * ROVE_MILLISECOND * (NODES / 16 + 2) + ROVE_SECOND)
#define LATECOMERS 20

rove_err __real_rovei_ed25519_verify(const rove_entity *key, const uint8_t sig[64], const void *msg,
                                     size_t size);
rove_err __wrap_rovei_ed25519_verify(const rove_entity *key, const uint8_t sig[64], const void *msg,
                                     size_t size);

static rovei_map verified;

rove_err __wrap_rovei_ed25519_verify(const rove_entity *key, const uint8_t sig[64], const void *msg,
                                     size_t size)
{
    uint64_t k[2] = {rovei_xxh3_2(sig, 64, msg, size), rovei_xxh3(key, sizeof *key)};
    static int yes;
    if (rovei_map_get(&verified, k))
        return ROVE_OK;
    rove_err err = __real_rovei_ed25519_verify(key, sig, msg, size);
    if (!err)
        assert_int_equal(rovei_map_put(&verified, k, &yes), ROVE_OK);
    return err;
}

typedef struct node {
    rovei_keypair *key;
    uint64_t id;
    rovei_gossip *gossip; /* NULL: dead */
    rovei_index *index;
    int change;
} node;

typedef struct edge {
    int a, b;
    bool up;
} edge;

typedef struct message {
    uint64_t at;
    int to;
    uint64_t from;
    unsigned life; /* of the receiver when it was sent */
    rove_buf *text;
    struct message *next;
} message;

static rovei_env env;
static node nodes[NODES];
static unsigned life[NODES];
static edge links[LINKS];
static rovei_map by_id;
static message *slots[64]; /* by the step at which they come; delays are shorter than that */
static rovei_now now;
static uint64_t seed = 42, carried;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((seed >> 33) % below);
}

static void set_tags(node *n)
{
    rovei_caps_draft d;
    char tag[32];
    rovei_caps_draft_init(&d, &env.alloc);
    snprintf(tag, sizeof tag, "change:%d", n->change);
    assert_int_equal(rovei_caps_add(&d, rovei_span_of("hardware.memory_gb=64")), ROVE_OK);
    assert_int_equal(rovei_caps_add(&d, rovei_span_of(tag)), ROVE_OK);
    assert_int_equal(rovei_gossip_set(n->gossip, now, &d.set), ROVE_OK);
    rovei_caps_draft_fini(&d);
}

static void start(int i)
{
    node *n = &nodes[i];
    rovei_gossip_config cfg = {.env = &env, .identity = n->key};
    assert_int_equal(rovei_index_new(&n->index, &env), ROVE_OK);
    cfg.index = n->index;
    assert_int_equal(rovei_gossip_new(&n->gossip, &cfg, now), ROVE_OK);
    rovei_gossip_set_ttl(n->gossip, 160);
    n->change++;
    set_tags(n);
}

static void flush(int i)
{
    uint64_t to;
    rove_buf *text;
    while (nodes[i].gossip && rovei_gossip_poll(nodes[i].gossip, &to, &text)) {
        node *peer = rovei_map_get(&by_id, &to);
        message *m = malloc(sizeof *m);
        assert_non_null(m);
        uint64_t at = now.mono + STEP * (1 + draw(5));
        message **slot = &slots[at / STEP % 64];
        int index = (int)(peer - nodes);
        *m = (message){at, index, nodes[i].id, life[index], text, *slot};
        *slot = m;
    }
}

static void link_up(edge *l)
{
    if (l->up || !nodes[l->a].gossip || !nodes[l->b].gossip)
        return;
    l->up = true;
    for (int side = 0; side < 2; side++) {
        int at = side ? l->a : l->b, peer = side ? l->b : l->a;
        assert_int_equal(rovei_gossip_peer_up(nodes[at].gossip, now, nodes[peer].id,
                                              rovei_keypair_entity(nodes[peer].key)),
                         ROVE_OK);
        flush(at);
    }
}

static void link_down(edge *l)
{
    if (!l->up)
        return;
    l->up = false;
    if (nodes[l->a].gossip)
        rovei_gossip_peer_gone(nodes[l->a].gossip, now, nodes[l->b].id);
    if (nodes[l->b].gossip)
        rovei_gossip_peer_gone(nodes[l->b].gossip, now, nodes[l->a].id);
}

static void stop(int i)
{
    for (size_t k = 0; k < LINKS; k++)
        if (links[k].a == i || links[k].b == i)
            link_down(&links[k]);
    rovei_gossip_check(nodes[i].gossip);
    rovei_gossip_free(nodes[i].gossip);
    rovei_index_free(nodes[i].index);
    nodes[i].gossip = NULL;
    nodes[i].index = NULL;
    life[i]++;
}

static void run(uint64_t duration)
{
    for (uint64_t end = now.mono + duration; now.mono < end;) {
        now.mono += STEP;
        now.wall += STEP;
        message *m = slots[now.mono / STEP % 64];
        slots[now.mono / STEP % 64] = NULL;
        while (m) {
            message *next = m->next;
            if (nodes[m->to].gossip && m->life == life[m->to]) {
                rovei_gossip_receive(nodes[m->to].gossip, now, m->from, rove_buf_span(m->text));
                carried++;
                flush(m->to);
            }
            rove_buf_unref(m->text);
            free(m);
            m = next;
        }
        for (int i = 0; i < NODES; i++) {
            if (nodes[i].gossip && rovei_gossip_deadline(nodes[i].gossip) <= now.mono) {
                rovei_gossip_expire(nodes[i].gossip, now);
                flush(i);
            }
        }
    }
}

/* The part of the net that a node is in: those who have died may have parted it. */
static int part[NODES];

/* Returns how many nodes the largest part has. */
static int find_parts(void)
{
    int sizes[NODES] = {0}, most = 0;
    for (int i = 0; i < NODES; i++)
        part[i] = i;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t k = 0; k < LINKS; k++) {
            int *a = &part[links[k].a], *b = &part[links[k].b];
            if (links[k].up && *a != *b) {
                *a = *b = *a < *b ? *a : *b;
                changed = true;
            }
        }
    }
    for (int i = 0; i < NODES; i++)
        if (nodes[i].gossip && ++sizes[part[i]] > most)
            most = sizes[part[i]];
    return most;
}

/* How many entries are missing or old, over all nodes. *ret_more: those of the dead, and of another
 * part of the net. */
static size_t missing(size_t *ret_more)
{
    size_t bad = 0;
    *ret_more = 0;
    for (int i = 0; i < NODES; i++) {
        if (!nodes[i].gossip)
            continue;
        size_t good = 0, wanted = 0;
        for (int k = 0; k < NODES; k++) {
            if (!nodes[k].gossip || part[k] != part[i])
                continue;
            const rovei_index_entry *e = rovei_index_get(nodes[i].index, nodes[k].id);
            char tag[32];
            snprintf(tag, sizeof tag, "change:%d", nodes[k].change);
            good += e && rovei_caps_has(&e->caps, rovei_span_of(tag));
            wanted++;
        }
        bad += wanted - good;
        *ret_more += rovei_index_count(nodes[i].index) - good;
        rovei_gossip_check(nodes[i].gossip);
    }
    return bad;
}

static void assert_all_correct(void)
{
    size_t more;
    assert_int_equal(missing(&more), 0);
    assert_int_equal(more, 0);
}

/* Nodes that come when all have spoken know the others long before these speak again. */
static void come_late(void)
{
    run(10 * ROVE_SECOND); /* all is quiet: what they learn they are told for their sake */
    uint64_t before = carried;
    run(10 * ROVE_SECOND);
    assert_int_equal(carried, before);
    for (int k = 0; k < LATECOMERS; k++)
        stop(k * (NODES / LATECOMERS));
    run(ROVE_SECOND);
    for (int k = 0; k < LATECOMERS; k++)
        start(k * (NODES / LATECOMERS));
    for (size_t k = 0; k < LINKS; k++)
        link_up(&links[k]);
    run(LATE);
    assert_int_equal(find_parts(), NODES);
    assert_all_correct();
}

static void build(void)
{
    for (int i = 0; i < NODES; i++) {
        uint8_t bytes[32] = {0};
        memcpy(bytes, &i, sizeof i);
        assert_int_equal(rovei_keypair_from_seed(&nodes[i].key, &env, bytes), ROVE_OK);
        nodes[i].id = rovei_keypair_node_id(nodes[i].key);
        assert_int_equal(rovei_map_put(&by_id, &nodes[i].id, &nodes[i]), ROVE_OK);
        for (int k = 0; k <= CHORDS; k++) {
            int other = k ? (int)draw(NODES) : (i + 1) % NODES;
            links[i * (1 + CHORDS) + k] = (edge){i, other == i ? (i + 2) % NODES : other, false};
        }
    }
}

static void test_a_thousand_nodes(void **state)
{
    (void)state;
    build();
    for (int i = 0; i < NODES; i++)
        start(i);
    for (size_t k = 0; k < LINKS; k++)
        link_up(&links[k]);
    run(BOUND);
    assert_int_equal(find_parts(), NODES);
    assert_all_correct();
    come_late();

    /* Churn: links are lost and come back, nodes die, some return, some change. */
    for (int round = 0; round < 5; round++) {
        for (int k = 0; k < NODES / 20; k++)
            link_down(&links[draw(LINKS)]);
        for (int k = 0; k < 10; k++) {
            int i = (int)draw(NODES);
            if (nodes[i].gossip)
                stop(i);
        }
        run(ROVE_SECOND);
        for (int k = 0; k < 5; k++) {
            int i = (int)draw(NODES);
            if (!nodes[i].gossip)
                start(i);
            else {
                nodes[i].change++;
                set_tags(&nodes[i]);
            }
        }
        run(ROVE_SECOND);
        for (size_t k = 0; k < LINKS; k++)
            link_up(&links[k]);
    }
    /* What a node missed it is told when it has its links again. */
    size_t more;
    run(LATE + BOUND);
    assert_true(find_parts() > NODES / 2);
    assert_int_equal(missing(&more), 0);
    /* The dead are gone when the life of what they said is over. */
    run(170 * ROVE_SECOND);
    assert_all_correct();
    assert_true(carried > 2 * (uint64_t)NODES * LINKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_thousand_nodes)};
    env = (rovei_env){.alloc = rovei_alloc_libc, .rng = rovei_rng_system};
    rove_limits_init(&env.limits);
    now = (rovei_now){ROVE_SECOND, UINT64_C(1700000000) * ROVE_SECOND};
    if (rovei_crypto_init() || rovei_slab_new(&env.slab, &env.alloc))
        return 1;
    rovei_map_init(&verified, &env.alloc, 16, 1);
    rovei_map_init(&by_id, &env.alloc, 8, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].gossip)
            stop(i);
        rovei_keypair_unref(nodes[i].key);
    }
    for (size_t i = 0; i < 64; i++)
        for (message *m = slots[i], *next; m; m = next) {
            next = m->next;
            rove_buf_unref(m->text);
            free(m);
        }
    rovei_map_fini(&verified);
    rovei_map_fini(&by_id);
    rovei_slab_free(env.slab);
    return failed;
}
