/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawns on other nodes: the bytes, and the two machines while messages are lost, come twice or
 * come too late, while nodes start again, and at each bound. */
#include "moves_world.h"

#include <compute/spawn_codec.h>
#include <compute/spawn_remote.h>

/* ---- the bytes ---- */

static size_t encode(const rovei_spawn_message *m, uint8_t ret[ROVEI_SPAWN_SIZE_MAX])
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_SPAWN_SIZE_MAX);
    rovei_spawn_encode(&w, m);
    assert_ok(w.err);
    return rovei_writer_size(&w);
}

static rovei_spawn_message a_request(void)
{
    rovei_spawn_message m = {.type = ROVEI_SPAWN_REQUEST, .id = 0x0807060504030201, .kind = "kv"};
    return m;
}

static rovei_spawn_message an_answer(void)
{
    rovei_spawn_message m = {.type = ROVEI_SPAWN_ANSWER, .id = 9, .epoch = 1};
    memset(m.daemon.bytes, 5, sizeof m.daemon.bytes);
    return m;
}

static void test_bytes(void **state)
{
    static const uint8_t want[] = {1, 0, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 'k', 'v'};
    uint8_t bytes[ROVEI_SPAWN_SIZE_MAX], again[ROVEI_SPAWN_SIZE_MAX];
    rovei_spawn_message ms[4] = {a_request(), a_request(), an_answer(), an_answer()}, back;
    (void)state;
    assert_int_equal(encode(&ms[0], bytes), sizeof want);
    assert_memory_equal(bytes, want, sizeof want);
    memset(ms[1].kind, 'x', ROVE_KIND_NAME_MAX);
    ms[1].flags = ROVEI_SPAWN_IDENTITY | ROVEI_SPAWN_FORCE | ROVEI_SPAWN_CHANNEL;
    memset(ms[1].channel, 'c', ROVEI_CHANNEL_NAME_MAX);
    memset(ms[1].identity, 7, sizeof ms[1].identity);
    assert_int_equal(encode(&ms[1], bytes), ROVEI_SPAWN_SIZE_MAX);
    memset(&ms[3].daemon, 0, sizeof ms[3].daemon);
    ms[3].epoch = 0;
    ms[3].err = ROVE_E_CORDONED;
    for (size_t i = 0; i < 4; i++) {
        size_t size = encode(&ms[i], bytes);
        assert_ok(rovei_spawn_decode(&back, (rove_span){bytes, size}));
        assert_int_equal(encode(&back, again), size);
        assert_memory_equal(again, bytes, size);
        assert_string_equal(back.kind, ms[i].kind);
        assert_string_equal(back.channel, ms[i].channel);
        assert_int_equal(back.err, ms[i].err);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(rovei_spawn_decode(&back, (rove_span){bytes, cut}), ROVE_E_SHORT);
    }
}

/* One byte, or the length, is not as it should be. */
static void refused(const rovei_spawn_message *m, size_t at, uint8_t value, rove_err want)
{
    uint8_t bytes[ROVEI_SPAWN_SIZE_MAX + 1] = {0};
    rovei_spawn_message back;
    size_t size = encode(m, bytes);
    if (at < size)
        bytes[at] = value;
    else
        size++;
    assert_int_equal(rovei_spawn_decode(&back, (rove_span){bytes, size}), want);
}

static void test_malformed(void **state)
{
    rovei_spawn_message request = a_request(), answer = an_answer(), no = an_answer();
    (void)state;
    memset(&no.daemon, 0, sizeof no.daemon);
    no.epoch = 0;
    no.err = ROVE_E_REFUSED;
    refused(&request, 0, 0, ROVE_E_FLAG);
    refused(&request, 0, 3, ROVE_E_FLAG);
    refused(&request, 1, 8, ROVE_E_FLAG);
    refused(&request, 1, ROVEI_SPAWN_FORCE, ROVE_E_FLAG); /* of no identity */
    refused(&request, 1, ROVEI_SPAWN_IDENTITY, ROVE_E_SHORT);
    refused(&request, 2, 0, ROVE_E_BOUND);
    refused(&request, 2, ROVE_KIND_NAME_MAX + 1, ROVE_E_BOUND);
    refused(&request, 2, 1, ROVE_E_TRAILING);
    refused(&request, 13, 0, ROVE_E_FORMAT);
    refused(&request, SIZE_MAX, 0, ROVE_E_TRAILING);
    request.id = 0;
    refused(&request, 0, ROVEI_SPAWN_REQUEST, ROVE_E_FORMAT);
    refused(&answer, 1, 1, ROVE_E_FLAG);
    refused(&answer, 2, -ROVE_E_REFUSED, ROVE_E_FORMAT); /* both */
    refused(&no, 2, 0, ROVE_E_FORMAT);                   /* neither */
    refused(&no, 3, 0x7f, ROVE_E_BOUND);                 /* no error that is known */
    refused(&no, 44, 1, ROVE_E_FORMAT);                  /* an epoch of nothing */
    refused(&answer, 44, 0, ROVE_E_FORMAT);
    refused(&answer, SIZE_MAX, 0, ROVE_E_TRAILING);
}

/* ---- the machines ---- */

static rovei_node_stats stats_of(const world *w, size_t i)
{
    return rovei_node_stats_get(w->nodes[i].node);
}

static rove_err ask_of(world *w, size_t to, const char *kind, rovei_keypair *key, bool force,
                       uint64_t *ret)
{
    rovei_spawn_order o = {w->nodes[to].entity, kind, key, force, NULL};
    return rovei_node_spawn_there(w->nodes[0].node, w->now, &o, ret);
}

static uint64_t ask(world *w)
{
    uint64_t request;
    assert_ok(ask_of(w, 1, "log", NULL, false, &request));
    return request;
}

/* The one note about it, or NULL. */
static const rovei_note *told(const world *w, uint64_t request)
{
    const rovei_note *found = NULL;
    for (size_t i = 0; i < w->nodes[0].note_count; i++) {
        const rovei_note *n = &w->nodes[0].notes[i];
        if (n->kind != ROVEI_NOTE_SPAWNED_THERE || n->request != request)
            continue;
        assert_null(found);
        found = n;
    }
    return found;
}

/* Swallows that many messages of the tag SPAWN, and keeps the last one that was said. */
typedef struct net_tap {
    rovei_node_tap tap;
    unsigned swallow;
    rove_buf *last;
} net_tap;

static bool see(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    net_tap *t = user;
    (void)to;
    (void)body;
    if (tag != ROVEI_TAG_SPAWN)
        return false;
    rove_buf_unref(t->last);
    assert_non_null(t->last = rovei_buf_copy(NULL, head.data, head.size));
    if (!t->swallow)
        return false;
    t->swallow--;
    return true;
}

static void tap(world *w, size_t i, net_tap *t, unsigned swallow)
{
    *t = (net_tap){.tap = {see, t}, .swallow = swallow};
    rovei_node_set_tap(w->nodes[i].node, &t->tap);
}

static void test_spawned(void **state)
{
    world w;
    (void)state;
    world_init(&w, 2);
    uint64_t request = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, request));
    const rovei_note *n = told(&w, request);
    assert_ok(n->err);
    assert_true(rovei_entity_equal(&n->peer, &w.nodes[1].entity));
    assert_int_equal(n->daemon.bytes[0], 2);
    assert_int_equal(n->value, 1);
    assert_int_equal(w.nodes[1].spawn_kind_size, 3);
    assert_false(w.nodes[1].spawn_forced);
    assert_int_equal(stats_of(&w, 1).spawns_served, 1);
    w.nodes[1].spawn = ROVE_E_CORDONED;
    request = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_int_equal(told(&w, request)->err, ROVE_E_CORDONED);
    assert_true(rovei_entity_is_zero(&told(&w, request)->daemon));
    assert_int_equal(stats_of(&w, 1).spawns_refused, 1);
    world_fini(&w);
}

static void test_identity_travels_sealed(void **state)
{
    world w;
    uint64_t request;
    uint8_t seed[32];
    rovei_keypair *key;
    net_tap t;
    (void)state;
    world_init(&w, 3);
    memset(seed, 0x5a, sizeof seed);
    assert_ok(rovei_keypair_from_seed(&key, &w.nodes[0].t.env, seed));
    tap(&w, 0, &t, 0);
    assert_ok(ask_of(&w, 1, "log", key, true, &request));
    for (size_t i = 0; i + sizeof seed <= rovei_buf_size(t.last); i++)
        assert_memory_not_equal((const uint8_t *)rove_buf_span(t.last).data + i, seed, sizeof seed);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_ok(told(&w, request)->err);
    assert_true(rovei_entity_equal(&told(&w, request)->daemon, rovei_keypair_entity(key)));
    assert_true(w.nodes[1].spawn_forced);
    /* The same bytes to somebody else: the envelope is not for him. */
    rovei_node_inject(w.nodes[2].node, w.now, &w.nodes[0].entity, ROVEI_TAG_SPAWN, t.last);
    world_until(&w, WORLD_LONG, stats_of(&w, 2).spawns_refused == 1);
    assert_int_equal(w.nodes[2].spawns, 0);
    /* And under another number: it was sealed for one request. */
    rove_buf *other = rovei_buf_copy(NULL, rove_buf_span(t.last).data, rovei_buf_size(t.last));
    rovei_buf_data(other)[5] ^= 1;
    rovei_node_inject(w.nodes[1].node, w.now, &w.nodes[0].entity, ROVEI_TAG_SPAWN, other);
    world_until(&w, WORLD_LONG, stats_of(&w, 1).spawns_refused == 1);
    assert_int_equal(w.nodes[1].spawns, 1);
    rove_buf_unref(other);
    rove_buf_unref(t.last);
    rovei_keypair_unref(key);
    world_fini(&w);
}

/* The first requests and the first answers are lost: it is said again, and spawned once. */
static void test_lost(void **state)
{
    world w;
    net_tap asks, answers;
    (void)state;
    world_init(&w, 2);
    tap(&w, 0, &asks, 2);
    tap(&w, 1, &answers, 1);
    uint64_t request = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_ok(told(&w, request)->err);
    assert_int_equal(told(&w, request)->value, 1);
    assert_int_equal(w.nodes[1].spawns, 1);
    assert_int_equal(stats_of(&w, 1).spawns_repeated, 1);
    rove_buf_unref(asks.last);
    rove_buf_unref(answers.last);
    world_fini(&w);
}

/* What comes twice is answered twice and done once, as long as it can come. */
static void test_twice(void **state)
{
    world w;
    net_tap asks, answers;
    (void)state;
    world_init(&w, 2);
    tap(&w, 0, &asks, 0);
    tap(&w, 1, &answers, 0);
    uint64_t request = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, request));
    for (int i = 0; i < 5; i++)
        rovei_node_inject(w.nodes[1].node, w.now, &w.nodes[0].entity, ROVEI_TAG_SPAWN, asks.last);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(w.nodes[1].spawns, 1);
    assert_int_equal(stats_of(&w, 1).spawns_repeated, 5);
    assert_int_equal(stats_of(&w, 0).frames_refused, 5); /* answers that nobody waits for */
    assert_ok(told(&w, request)->err);                   /* one note */
    /* Another node's request of the same number is another request. */
    rovei_node_inject(w.nodes[1].node, w.now, &w.nodes[1].entity, ROVEI_TAG_SPAWN, asks.last);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(w.nodes[1].spawns, 2);
    /* What was refused stays refused. */
    w.nodes[1].spawn = ROVE_E_REFUSED;
    request = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, request));
    w.nodes[1].spawn = ROVE_OK;
    rovei_node_inject(w.nodes[1].node, w.now, &w.nodes[0].entity, ROVEI_TAG_SPAWN, asks.last);
    world_run(&w, ROVE_SECOND);
    assert_int_equal(w.nodes[1].spawns, 3);
    assert_int_equal(stats_of(&w, 1).spawns_served, 2);
    rove_buf_unref(asks.last);
    rove_buf_unref(answers.last);
    world_fini(&w);
}

static void test_packets_lost(void **state)
{
    world w;
    uint64_t requests[20];
    (void)state;
    world_init(&w, 2);
    w.lose = 30;
    for (size_t i = 0; i < 20; i++)
        requests[i] = ask(&w);
    for (size_t i = 0; i < 20; i++) {
        world_until(&w, WORLD_LONG, told(&w, requests[i]));
        assert_ok(told(&w, requests[i])->err);
    }
    assert_int_equal(w.nodes[1].spawns, 20);
    world_fini(&w);
}

/* Cut for a while: the answer comes after all. Cut for longer: it is not known, and what is still
 * on its way then begins nothing. */
static void test_cut(void **state)
{
    world w;
    (void)state;
    world_init(&w, 2);
    uint64_t request = ask(&w);
    world_cut(&w, 0, 1, true);
    world_run(&w, 5 * ROVE_SECOND);
    assert_null(told(&w, request));
    world_cut(&w, 0, 1, false);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_ok(told(&w, request)->err);
    world_cut(&w, 0, 1, true);
    request = ask(&w);
    uint64_t begun = w.now.mono;
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_int_equal(told(&w, request)->err, ROVE_E_SPAWN_UNKNOWN);
    assert_true(w.now.mono - begun >= 15 * ROVE_SECOND && w.now.mono - begun < 16 * ROVE_SECOND);
    world_cut(&w, 0, 1, false);
    world_run(&w, WORLD_LONG);
    assert_int_equal(w.nodes[1].spawns, 1);
    world_fini(&w);
}

/* The peer starts again while it is asked: it remembers nothing and is not asked again. */
static void test_peer_starts_again(void **state)
{
    world w;
    (void)state;
    world_init(&w, 2);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_SPAWN;
    uint64_t request = ask(&w);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count);
    w.nodes[1].hold = 0;
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_int_equal(told(&w, request)->err, ROVE_E_SPAWN_UNKNOWN);
    world_run(&w, WORLD_LONG);
    assert_int_equal(w.nodes[1].spawns, 0);
    world_fini(&w);
}

static void test_refused_at_once(void **state)
{
    world w;
    uint64_t request;
    char kind[ROVE_KIND_NAME_MAX + 2];
    (void)state;
    world_init(&w, 2);
    memset(kind, 'x', sizeof kind - 1);
    kind[sizeof kind - 1] = '\0';
    assert_int_equal(ask_of(&w, 1, kind, NULL, false, &request), ROVE_E_USAGE);
    assert_int_equal(ask_of(&w, 1, "", NULL, false, &request), ROVE_E_USAGE);
    assert_int_equal(ask_of(&w, 0, "log", NULL, false, &request), ROVE_E_SAME_NODE);
    rovei_keypair *public_only;
    assert_ok(rovei_keypair_public_only(&public_only, &w.nodes[0].t.env, &w.nodes[1].entity));
    assert_int_equal(ask_of(&w, 1, "log", public_only, false, &request), ROVE_E_IDENTITY_TRANSPORT);
    rovei_keypair_unref(public_only);
    world_stop(&w, 1);
    world_run(&w, 30 * ROVE_SECOND);
    assert_int_equal(ask_of(&w, 1, "log", NULL, false, &request), ROVE_E_UNREACHABLE);
    world_fini(&w);
}

/* A quarter of all for one peer, on both sides; what found no room there is done later. */
static void test_bounds(void **state)
{
    world w;
    uint64_t requests[4];
    (void)state;
    world_init(&w, 2);
    w.nodes[0].t.env.limits.spawns_max = 16;
    w.nodes[1].t.env.limits.spawns_max = 8;
    w.nodes[1].t.env.limits.spawns_remembered = 12;
    w.nodes[1].hold = 1u << ROVEI_EFFECT_SPAWN;
    for (size_t i = 0; i < 4; i++)
        requests[i] = ask(&w);
    uint64_t more;
    assert_int_equal(ask_of(&w, 1, "log", NULL, false, &more), ROVE_E_FULL);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count == 2 && stats_of(&w, 1).spawns_dropped);
    w.nodes[1].hold = 0;
    world_release(&w, 1);
    world_run(&w, 20 * ROVE_SECOND);
    /* Three are remembered; the fourth was never begun, and nobody knows. */
    assert_int_equal(w.nodes[1].spawns, 3);
    size_t unknown = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(told(&w, requests[i]));
        unknown += told(&w, requests[i])->err == ROVE_E_SPAWN_UNKNOWN;
    }
    assert_int_equal(unknown, 1);
    world_run(&w, 180 * ROVE_SECOND); /* forgotten: there is room again */
    requests[0] = ask(&w);
    world_until(&w, WORLD_LONG, told(&w, requests[0]));
    assert_ok(told(&w, requests[0])->err);
    world_fini(&w);
}

static void test_hostile(void **state)
{
    static const uint8_t noise[] = {9, 9, 9};
    world w;
    uint8_t bytes[ROVEI_SPAWN_SIZE_MAX];
    (void)state;
    world_init(&w, 3);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_SPAWN;
    uint64_t request = ask(&w), malformed = stats_of(&w, 0).frames_malformed;
    /* An answer of the right number by another node. */
    rovei_spawn_message m = an_answer();
    m.id = request;
    rove_buf *forged = rovei_buf_copy(NULL, bytes, encode(&m, bytes));
    rove_buf *junk = rovei_buf_copy(NULL, noise, sizeof noise);
    rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[2].entity, ROVEI_TAG_SPAWN, forged);
    rovei_node_inject(w.nodes[0].node, w.now, &w.nodes[2].entity, ROVEI_TAG_SPAWN, junk);
    world_run(&w, 100 * ROVE_MILLISECOND);
    assert_null(told(&w, request));
    assert_int_equal(stats_of(&w, 0).frames_refused, 1);
    assert_int_equal(stats_of(&w, 0).frames_malformed, malformed + 1);
    w.nodes[1].hold = 0;
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, told(&w, request));
    assert_int_equal(told(&w, request)->daemon.bytes[0], 2);
    rove_buf_unref(forged);
    rove_buf_unref(junk);
    world_fini(&w);
}

static void test_out_of_memory(void **state)
{
    world w;
    uint64_t request = 0;
    (void)state;
    world_init(&w, 2);
    test_alloc *alloc = &w.nodes[0].t.alloc;
    for (size_t at = 0; !request; at++) {
        alloc->calls = 0;
        alloc->fail_at = at;
        rove_err err = ask_of(&w, 1, "log", NULL, false, &request);
        alloc->fail_at = SIZE_MAX;
        rovei_node_check(w.nodes[0].node);
        assert_true(err == ROVE_OK || err == ROVE_E_NOMEM);
    }
    world_until(&w, WORLD_LONG, told(&w, request));
    /* At the other side as if it was lost. */
    alloc = &w.nodes[1].t.alloc;
    for (size_t at = 0; at < 6; at++) {
        request = ask(&w);
        alloc->calls = 0;
        alloc->fail_at = at;
        world_run(&w, 100 * ROVE_MILLISECOND);
        alloc->fail_at = SIZE_MAX;
        rovei_node_check(w.nodes[1].node);
        world_until(&w, WORLD_LONG, told(&w, request));
        assert_ok(told(&w, request)->err);
    }
    assert_int_equal(w.nodes[1].spawns, 7);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_spawned),
        cmocka_unit_test(test_identity_travels_sealed),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_packets_lost),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_peer_starts_again),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
