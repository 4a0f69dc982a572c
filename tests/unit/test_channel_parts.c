/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts that the publisher's half is made of, each alone: registry, visibility, guard,
 * throttle, roster and history. */
#include "support.h"

#include <base/buf.h>
#include <channel/config.h>
#include <channel/guard.h>
#include <channel/history.h>
#include <channel/roster.h>
#include <channel/throttle.h>
#include <stdio.h>

static test_env t;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 11);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_env_fini(&t);
    return 0;
}

/* ---- registry ---- */

static rove_err put(rovei_channel_registry *r, const char *name, bool prefix, uint8_t mark)
{
    rovei_channel_config c = {.name = span_of(name), .prefix = prefix, .priority = mark};
    return rovei_channel_registry_put(r, &c, false);
}

static int found(const rovei_channel_registry *r, const char *name)
{
    const rovei_channel_config *c = rovei_channel_registry_find(r, span_of(name), NULL);
    return c ? c->priority : -1;
}

static void test_resolution(void **state)
{
    (void)state;
    rovei_channel_registry *r;
    assert_ok(rovei_channel_registry_new(&r, &t.env, 16));
    assert_ok(put(r, "a", true, 1));
    assert_ok(put(r, "a/b", true, 2));
    assert_ok(put(r, "a/bc", false, 3));
    assert_int_equal(found(r, "a/bc"), 3);  /* exact beats prefix */
    assert_int_equal(found(r, "a/bcd"), 2); /* the longest, no slash needed */
    assert_int_equal(found(r, "ax"), 1);
    assert_int_equal(found(r, "b"), -1);
    rove_span prefix;
    assert_non_null(rovei_channel_registry_find(r, span_of("a/bcd"), &prefix));
    assert_span(prefix, "a/b", 3);
    assert_non_null(rovei_channel_registry_find(r, span_of("a/bc"), &prefix));
    assert_int_equal(prefix.size, 0);
    assert_ok(put(r, "a/bc", false, 4)); /* replaced, not doubled */
    assert_int_equal(rovei_channel_registry_count(r), 3);
    assert_non_null(rovei_channel_registry_by_hash(r, rovei_channel_hash(span_of("a/bc"))));
    rovei_channel_config strict = {.name = span_of("a/bc"), .require_token = true};
    assert_int_equal(rovei_channel_registry_put(r, &strict, true), ROVE_E_CHANNEL_EXISTS);
    assert_int_equal(found(r, "a/bc"), 4);
    assert_ok(rovei_channel_registry_remove(r, span_of("a/bc"), false));
    assert_int_equal(rovei_channel_registry_remove(r, span_of("a/bc"), false), ROVE_E_NOT_FOUND);
    assert_int_equal(found(r, "a/bc"), 2);
    assert_int_equal(put(r, "A", false, 0), ROVE_E_CHANNEL_FORMAT);
    assert_int_equal(put(r, "", true, 0), ROVE_E_CHANNEL_EMPTY);
    assert_ok(put(r, "dir/", true, 7));
    assert_int_equal(found(r, "dir/x"), 7);
    rovei_channel_registry_free(r);
}

static void test_copies(void **state)
{
    (void)state;
    rovei_channel_registry *r;
    assert_ok(rovei_channel_registry_new(&r, &t.env, 2));
    char tag[] = "gpu", name[] = "c";
    rove_span tags[] = {{tag, 3}, {tag, 2}};
    rove_entity roots[2] = {{{1}}, {{2}}};
    uint32_t exports[] = {0x01020000};
    rovei_channel_config c = {.name = {name, 1},
                              .publish_caps = {tags, 1},
                              .subscribe_caps = {tags, 2},
                              .roots = roots,
                              .root_count = 2,
                              .exports = exports,
                              .export_count = 1};
    assert_ok(put(r, "d", false, 0));
    SWEEP_NOMEM(&t.alloc, rovei_channel_registry_put(r, &c, false));
    memset(tag, 0, sizeof tag);
    memset(name, 0, sizeof name);
    memset(roots, 0, sizeof roots);
    const rovei_channel_config *k = rovei_channel_registry_find(r, span_of("c"), NULL);
    assert_non_null(k);
    assert_span(k->subscribe_caps.tags[1], "gp", 2);
    assert_span(k->publish_caps.tags[0], "gpu", 3);
    assert_int_equal(k->roots[1].bytes[0], 2);
    assert_int_equal(k->exports[0], 0x01020000);
    assert_int_equal(put(r, "e", false, 0), ROVE_E_FULL);
    c.name = span_of("c");
    c.root_count = ROVEI_CHANNEL_ROOTS_MAX + 1;
    assert_int_equal(rovei_channel_registry_put(r, &c, false), ROVE_E_BOUND);
    rovei_channel_registry_free(r);
}

/* Two names of one 16-bit hash, found by trying: neither is found, or removed, by it. */
static void test_shared_hash(void **state)
{
    (void)state;
    static uint16_t seen[65536];
    rovei_channel_registry *r;
    char first[16] = "", second[16] = "";
    for (unsigned i = 1; i < 65536 && !*first; i++) {
        snprintf(second, sizeof second, "n%u", i);
        uint16_t hash = rovei_channel_hash16(rovei_channel_hash(span_of(second)));
        if (seen[hash])
            snprintf(first, sizeof first, "n%u", (unsigned)seen[hash]);
        seen[hash] = (uint16_t)i;
    }
    assert_true(*first);
    assert_ok(rovei_channel_registry_new(&r, &t.env, 16));
    assert_ok(put(r, first, false, 1));
    uint64_t hash = rovei_channel_hash(span_of(first));
    assert_non_null(rovei_channel_registry_by_hash16(r, rovei_channel_hash16(hash)));
    assert_ok(put(r, second, false, 2));
    assert_null(rovei_channel_registry_by_hash16(r, rovei_channel_hash16(hash)));
    assert_int_equal(found(r, first), 1);
    assert_int_equal(found(r, second), 2);
    assert_non_null(rovei_channel_registry_by_hash(r, hash));
    assert_ok(rovei_channel_registry_remove_hash(r, hash));
    assert_int_equal(found(r, first), -1);
    assert_int_equal(rovei_channel_registry_remove_hash(r, hash), ROVE_E_NOT_FOUND);
    rovei_channel_registry_free(r);
}

static void test_rpc(void **state)
{
    (void)state;
    rovei_channel_registry *r;
    assert_ok(rovei_channel_registry_new(&r, &t.env, 16));
    assert_ok(put(r, "s.requests", false, 9));
    assert_ok(rovei_channel_registry_rpc(r, span_of("s")));
    assert_int_equal(found(r, "s.requests"), 9); /* what was there stays */
    const rovei_channel_config *c =
        rovei_channel_registry_find(r, span_of("s.replies.0123456789abcdef"), NULL);
    assert_true(c && c->origin_bound && c->prefix);
    assert_int_equal(rovei_channel_registry_rpc(r, span_of("S")), ROVE_E_CHANNEL_FORMAT);
    char name[255];
    memset(name, 'x', sizeof name);
    assert_int_equal(rovei_channel_registry_rpc(r, (rove_span){name, 255 - 24}),
                     ROVE_E_CHANNEL_LONG);
    assert_int_equal(rovei_channel_registry_count(r), 2);
    assert_ok(rovei_channel_registry_rpc(r, (rove_span){name, 255 - 25}));
    assert_int_equal(rovei_channel_registry_count(r), 4);
    memcpy(name + 255 - 25, ".requests", 9);
    c = rovei_channel_registry_find(r, (rove_span){name, 255 - 25 + 9}, NULL);
    assert_true(c && !c->prefix && !c->origin_bound && !c->require_token && !c->root_count);
    rovei_channel_registry_free(r);
}

static void test_visibility(void **state)
{
    (void)state;
    const uint32_t own = 0x01020000, same = own, above = 0x01000000, beside = 0x01030000,
                   below = 0x01020300, global = 0, exports[] = {0x02000000};
    rovei_channel_config c = {.visibility = ROVEI_VISIBLE_SUBNET};
    assert_true(rovei_channel_visible(&c, own, &same));
    assert_false(rovei_channel_visible(&c, own, &beside));
    assert_false(rovei_channel_visible(&c, own, &global));
    assert_false(rovei_channel_visible(&c, own, NULL));
    assert_true(rovei_channel_visible(&c, 0, NULL));
    c.visibility = ROVEI_VISIBLE_PARENT;
    assert_true(rovei_channel_visible(&c, own, &same));
    assert_true(rovei_channel_visible(&c, own, &above));
    assert_true(rovei_channel_visible(&c, own, &global));
    assert_false(rovei_channel_visible(&c, own, &beside));
    assert_false(rovei_channel_visible(&c, own, &below));
    assert_false(rovei_channel_visible(&c, own, NULL)); /* unknown is not global */
    c.visibility = ROVEI_VISIBLE_EXPORTED;
    const uint32_t inside = 0x02010000;
    assert_false(rovei_channel_visible(&c, own, &inside));
    c.exports = exports;
    c.export_count = 1;
    assert_true(rovei_channel_visible(&c, own, &inside));
    assert_false(rovei_channel_visible(&c, own, &beside));
    assert_false(rovei_channel_visible(&c, 0, NULL));
    c.visibility = ROVEI_VISIBLE_GLOBAL;
    assert_true(rovei_channel_visible(&c, own, NULL));
}

static void test_origin(void **state)
{
    (void)state;
    assert_true(rovei_origin_bound(span_of("00000000deadbeef"), 0xdeadbeef));
    assert_false(rovei_origin_bound(span_of("00000000DEADBEEF"), 0xdeadbeef));
    assert_false(rovei_origin_bound(span_of("0000000deadbeef"), 0xdeadbeef));
    assert_false(rovei_origin_bound(span_of("00000000deadbeef0"), 0xdeadbeef));
    assert_false(rovei_origin_bound(span_of("00000000deadbeef"), 0xdeadbeee));
    assert_false(rovei_origin_bound(span_of(""), 0));
}

/* ---- guard ---- */

static bool admits(const rovei_guard *g, rovei_principal who, const char *name)
{
    return rovei_guard_admits(g, who, rovei_channel_hash(span_of(name)), span_of(name));
}

static void test_guard(void **state)
{
    (void)state;
    rovei_guard g;
    rovei_principal node = {ROVEI_PRINCIPAL_NODE, 7}, origin = {ROVEI_PRINCIPAL_ORIGIN, 7};
    rovei_guard_init(&g, &t.env);
    assert_false(admits(&g, node, "a"));
    assert_ok(rovei_guard_admit(&g, node, span_of("a")));
    assert_ok(rovei_guard_admit(&g, node, span_of("a")));
    assert_true(admits(&g, node, "a"));
    assert_false(admits(&g, node, "b"));
    assert_false(admits(&g, origin, "a"));
    /* Another name of the same hash, as if there were one. */
    assert_false(rovei_guard_admits(&g, node, rovei_channel_hash(span_of("a")), span_of("b")));
    assert_ok(rovei_guard_admit(&g, origin, span_of("a")));
    /* One whose number is the same in its low 32 bits. */
    assert_false(admits(&g, (rovei_principal){ROVEI_PRINCIPAL_ORIGIN, UINT64_C(0x100000007)}, "a"));
    rovei_guard_revoke(&g, node, span_of("a"));
    assert_false(admits(&g, node, "a"));
    assert_true(admits(&g, origin, "a"));
    assert_true(rovei_guard_may(&g, node, rovei_channel_hash(span_of("a")))); /* stale bits */
    rovei_guard_rebuild(&g);
    assert_false(rovei_guard_may(&g, node, rovei_channel_hash(span_of("a"))));
    assert_true(admits(&g, origin, "a"));
    rovei_guard_fini(&g);
}

static void test_guard_bits(void **state)
{
    (void)state;
    rovei_guard g;
    rovei_guard_init(&g, &t.env);
    for (uint64_t i = 0; i < 1000; i++)
        assert_ok(rovei_guard_admit(&g, (rovei_principal){ROVEI_PRINCIPAL_NODE, i}, span_of("a")));
    unsigned wrong = 0;
    for (uint64_t i = 1000; i < 11000; i++)
        wrong += rovei_guard_may(&g, (rovei_principal){ROVEI_PRINCIPAL_NODE, i},
                                 rovei_channel_hash(span_of("a")));
    assert_true(wrong < 100);
    /* With ten times as many the bits are of less use; the pairs decide as before. */
    for (uint64_t i = 1000; i < 10000; i++)
        assert_ok(rovei_guard_admit(&g, (rovei_principal){ROVEI_PRINCIPAL_NODE, i}, span_of("a")));
    wrong = 0;
    for (uint64_t i = 10000; i < 20000; i++) {
        rovei_principal who = {ROVEI_PRINCIPAL_NODE, i};
        wrong += rovei_guard_may(&g, who, rovei_channel_hash(span_of("a")));
        assert_false(admits(&g, who, "a"));
    }
    assert_true(wrong < 3000);
    rovei_guard_fini(&g);
}

/* ---- throttle ---- */

static void test_throttle(void **state)
{
    (void)state;
    rove_limits l;
    rove_limits_init(&l);
    rovei_throttle h = {0};
    uint64_t now = 5;
    for (int i = 0; i < 15; i++)
        rovei_throttle_fail(&h, &l, now);
    assert_false(rovei_throttle_refuses(&h, now));
    rovei_throttle_fail(&h, &l, now);
    assert_true(rovei_throttle_refuses(&h, now));
    assert_true(rovei_throttle_refuses(&h, now + l.auth_throttle - 1));
    assert_false(rovei_throttle_refuses(&h, now + l.auth_throttle));
    assert_int_equal(h.failures, 0);
    for (int i = 0; i < 15; i++)
        rovei_throttle_fail(&h, &l, now);
    rovei_throttle_fail(&h, &l, now + l.auth_window); /* another window */
    assert_int_equal(h.failures, 1);
    assert_false(rovei_throttle_idle(&h, &l, now + l.auth_window));
    assert_true(rovei_throttle_idle(&h, &l, now + 2 * l.auth_window));
    l.auth_failures = ROVEI_AUTH_FAILURES_ANY;
    for (int i = 0; i < 100; i++)
        rovei_throttle_fail(&h, &l, now);
    assert_false(rovei_throttle_refuses(&h, now));
}

/* ---- roster ---- */

static rovei_seat seats[40];

static void seat(rovei_roster *r, uint64_t id, const char *group)
{
    seats[id].node_id = id;
    assert_ok(rovei_roster_seat(r, &seats[id], span_of(group), 4));
}

static size_t pick(rovei_roster *r, unsigned counts[40])
{
    rovei_seat *picked[64];
    bool had[40] = {false};
    size_t count = rovei_roster_recipients(r);
    rovei_roster_pick(r, picked);
    for (size_t i = 0; i < count; i++) {
        assert_false(had[picked[i]->node_id]); /* each at most once */
        had[picked[i]->node_id] = true;
        counts[picked[i]->node_id]++;
    }
    return count;
}

static void test_roster(void **state)
{
    (void)state;
    rovei_roster r;
    unsigned counts[40] = {0};
    memset(seats, 0, sizeof seats);
    rovei_roster_init(&r, &t.env);
    for (uint64_t id = 0; id < 33; id++)
        seat(&r, id, "");
    assert_int_equal(pick(&r, counts), 33);
    for (uint64_t id = 3; id < 33; id++)
        rovei_roster_remove(&r, &seats[id]);
    seat(&r, 1, "g");
    seat(&r, 2, "g");
    seat(&r, 2, "g");
    seat(&r, 5, "h");
    assert_int_equal(r.group_count, 2);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pick(&r, counts), 3);
    assert_int_equal(counts[0], 100);
    assert_int_equal(counts[1], 50);
    assert_int_equal(counts[2], 50);
    assert_int_equal(counts[5], 100);
    seat(&r, 5, "g"); /* its group is gone with it */
    assert_int_equal(r.group_count, 1);
    pick(&r, counts);
    rovei_roster_remove(&r, &seats[1]); /* while its turn is not over */
    rovei_roster_remove(&r, &seats[1]);
    pick(&r, counts);
    seat(&r, 2, "");
    assert_int_equal(rovei_roster_count(&r), 3);
    rovei_roster_remove(&r, &seats[5]);
    assert_int_equal(r.group_count, 0);
    assert_int_equal(pick(&r, counts), 2);
    rovei_roster_remove(&r, &seats[0]);
    rovei_roster_remove(&r, &seats[2]);
    rovei_roster_fini(&r);
}

static void test_roster_bounds(void **state)
{
    (void)state;
    rovei_roster r;
    memset(seats, 0, sizeof seats);
    rovei_roster_init(&r, &t.env);
    seat(&r, 1, "a");
    seats[2].node_id = 2;
    assert_int_equal(rovei_roster_seat(&r, &seats[2], span_of("b"), 1), ROVE_E_FULL);
    assert_null(rovei_roster_find(&r, 2));
    t.alloc.calls = 0;
    t.alloc.fail_at = 0;
    assert_int_equal(rovei_roster_seat(&r, &seats[2], span_of("b"), 4), ROVE_E_NOMEM);
    t.alloc.fail_at = SIZE_MAX;
    assert_int_equal(rovei_roster_count(&r), 1);
    assert_int_equal(r.group_count, 1);
    rovei_roster_remove(&r, &seats[1]);
    rovei_roster_fini(&r);
}

/* ---- history ---- */

static void test_history(void **state)
{
    (void)state;
    rovei_history h;
    rovei_history_init(&h, &t.env.alloc);
    assert_int_equal(rovei_history_next(&h), 1);
    for (unsigned i = 1; i <= 100; i++) {
        rove_buf *b = rovei_buf_copy(&t.env.alloc, &i, sizeof i);
        assert_ok(rovei_history_reserve(&h, 1));
        if (h.count == 20)
            rovei_history_drop(&h);
        rovei_history_push(&h, b, rove_buf_span(b));
        rove_buf_unref(b);
        for (uint64_t n = h.first; n < rovei_history_next(&h); n++) {
            unsigned is;
            memcpy(&is, rovei_history_get(&h, n).data, sizeof is);
            assert_int_equal(is, n);
        }
    }
    assert_int_equal(h.count, 20);
    assert_int_equal(h.first, 81);
    assert_int_equal(h.bytes, 20 * (ROVEI_HISTORY_ITEM + 4));
    assert_int_equal(rovei_history_displaced(&h, 1, 36, 21, 1 << 20), 0);
    assert_int_equal(rovei_history_displaced(&h, 1, 36, 20, 1 << 20), 1);
    assert_int_equal(rovei_history_displaced(&h, 3, 108, 100, 20 * 36), 3);
    assert_int_equal(rovei_history_displaced(&h, 1, 1 << 30, 100, 20 * 36), 20);
    rovei_history_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resolution, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rpc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_visibility, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origin, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roster, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roster_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
