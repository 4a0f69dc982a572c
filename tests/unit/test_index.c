/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of announcements: what replaces what, how entries end, and the bounds. */
#include "caps_kit.h"
#include "support.h"
#include <base/alloc.h>
#include <capability/index.h>

typedef struct fixture {
    rovei_env env;
    rovei_index *index;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->env.alloc = rovei_alloc_libc;
    rove_limits_init(&f->env.limits);
    assert_int_equal(rovei_index_new(&f->index, &f->env), ROVE_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    rovei_index_check(f->index);
    rovei_index_free(f->index);
    free(f);
    caps_kit_clear();
    return 0;
}

static rovei_now at(uint64_t seconds)
{
    return (rovei_now){.mono = seconds * ROVE_SECOND};
}

static rove_err put(fixture *f, uint64_t second, uint64_t node, uint64_t version, uint32_t ttl,
                    const char *tags)
{
    rovei_index_item item = {.node_id = node, .version = version, .ttl_secs = ttl};
    item.caps = caps_of(tags, NULL);
    return rovei_index_put(f->index, at(second), &item);
}

static void test_only_newer_replaces(void **state)
{
    fixture *f = *state;
    assert_int_equal(put(f, 0, 7, 5, 300, "a\nb"), ROVE_OK);
    assert_int_equal(put(f, 10, 7, 5, 300, "c"), ROVE_E_STALE);
    assert_int_equal(put(f, 10, 7, 4, 300, "c"), ROVE_E_STALE);
    const rovei_index_entry *e = rovei_index_get(f->index, 7);
    assert_int_equal(e->caps.tag_count, 2);
    /* A repeated version gives no further life. */
    assert_int_equal(e->expires, 300 * ROVE_SECOND);
    assert_int_equal(put(f, 20, 7, 6, 300, "c"), ROVE_OK);
    e = rovei_index_get(f->index, 7);
    assert_int_equal(e->caps.tag_count, 1);
    assert_true(rovei_caps_has(&e->caps, span_of("c")));
    assert_int_equal(e->expires, 320 * ROVE_SECOND);
    assert_int_equal(rovei_index_stats_get(f->index).stale, 2);
}

static void test_version_zero_counts_as_one(void **state)
{
    fixture *f = *state;
    assert_int_equal(put(f, 0, 7, 0, 300, "a"), ROVE_OK);
    assert_int_equal(rovei_index_get(f->index, 7)->generation, 1);
    assert_int_equal(put(f, 0, 7, 1, 300, "a"), ROVE_E_STALE);
}

static void test_ends_and_forgets(void **state)
{
    fixture *f = *state;
    assert_int_equal(put(f, 0, 7, 50, 1, "a"), ROVE_OK);
    assert_int_equal(put(f, 0, 8, 50, 300, "a"), ROVE_OK);
    assert_int_equal(rovei_index_deadline(f->index), ROVE_SECOND);
    rovei_index_expire(f->index, at(1));
    assert_null(rovei_index_get(f->index, 7));
    assert_int_equal(rovei_index_stats_get(f->index).expired, 1);
    /* Nothing is remembered: an older version is taken again. */
    assert_int_equal(put(f, 2, 7, 3, 300, "a"), ROVE_OK);
    assert_true(rovei_index_evict(f->index, 8));
    assert_false(rovei_index_evict(f->index, 8));
    assert_int_equal(rovei_index_count(f->index), 1);
    assert_int_equal(put(f, 3, 8, 1, 300, "a"), ROVE_OK);
}

static void test_walks_in_order(void **state)
{
    fixture *f = *state;
    static const uint64_t nodes[] = {9, 3, UINT64_MAX, 0, 5};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(put(f, 0, nodes[i], 1, 300, i % 2 ? "a" : "a\ngpu"), ROVE_OK);
    static const uint64_t order[] = {0, 3, 5, 9, UINT64_MAX};
    size_t it = 0;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(rovei_index_next(f->index, &it)->node_id, order[i]);
    assert_null(rovei_index_next(f->index, &it));
    rove_span tag = span_of("gpu");
    rovei_filter filter = {.tags = &tag, .tag_count = 1};
    it = 0;
    assert_int_equal(rovei_index_query(f->index, &filter, &it)->node_id, 5);
    assert_int_equal(rovei_index_query(f->index, &filter, &it)->node_id, 9);
    assert_int_equal(rovei_index_query(f->index, &filter, &it)->node_id, UINT64_MAX);
    assert_null(rovei_index_query(f->index, &filter, &it));
}

static void test_keeps_everything_of_an_announcement(void **state)
{
    fixture *f = *state;
    static const uint64_t nodes[] = {1, 2};
    static const uint8_t subnets[1][16] = {{9}}, groups[1][32] = {{8}};
    rovei_index_item item = {.node_id = 7, .version = 1, .ttl_secs = 300, .hop_count = 2};
    item.caps = caps_of("hardware.gpu.vendor=amd\nhardware.gpu.vram_gb=24\n"
                        "hardware.memory_gb=64\nscope:region:eu\nscope:region:us",
                        "site=lab\nz=1");
    item.allow = (rovei_allow){nodes, 2, subnets, 1, groups, 1};
    item.reflex.size = 3;
    assert_int_equal(rovei_index_put(f->index, at(0), &item), ROVE_OK);
    const rovei_index_entry *e = rovei_index_get(f->index, 7);
    assert_int_equal(e->hop_count, 2);
    assert_true(e->hardware.gpu);
    assert_int_equal(e->hardware.vendor, ROVEI_VENDOR_AMD);
    assert_int_equal(e->hardware.vram_gb, 24);
    assert_int_equal(e->hardware.memory_gb, 64);
    assert_true(rovei_span_is(e->region, "eu"));
    assert_int_equal(e->reflex.size, 3);
    assert_int_equal(e->allow.nodes[1], 2);
    assert_int_equal(e->allow.subnets[0][0], 9);
    assert_int_equal(e->allow.groups[0][0], 8);
    rove_span value;
    assert_true(rovei_caps_meta(&e->caps, span_of("site"), &value));
    assert_true(rovei_span_is(value, "lab"));
    assert_false(rovei_caps_meta(&e->caps, span_of("sit"), &value));
    assert_ptr_not_equal(e->caps.tags, item.caps.tags);
}

static void test_takes_announcements(void **state)
{
    fixture *f = *state;
    static const uint64_t nodes[] = {4};
    rovei_announcement a = {.node_id = 7, .version = 3, .ttl = 9, .hop_count = 1};
    a.set = caps_of("x", "k=v");
    a.allow.nodes = nodes;
    a.allow.node_count = 1;
    assert_ok(rovei_index_apply(f->index, at(1), &a));
    const rovei_index_entry *e = rovei_index_get(f->index, 7);
    assert_int_equal(e->generation, 3);
    assert_int_equal(e->expires, 10 * ROVE_SECOND);
    assert_int_equal(e->allow.nodes[0], 4);
    assert_int_equal(e->hop_count, 1);
    assert_int_equal(e->caps.metadata_count, 1);
    assert_int_equal(rovei_index_apply(f->index, at(1), &a), ROVE_E_STALE);
}

static rove_err put_far(fixture *f, uint64_t second, uint64_t node, uint8_t hops)
{
    rovei_index_item item = {.node_id = node, .version = 1, .ttl_secs = UINT32_MAX};
    item.hop_count = hops;
    return rovei_index_put(f->index, at(second), &item);
}

/* Nodes that are only heard of cannot push out those that speak for themselves, nor each other. */
static void test_bound_of_nodes(void **state)
{
    fixture *f = *state;
    f->env.limits.index_nodes = 3;
    assert_int_equal(put_far(f, 0, 1, 0), ROVE_OK);
    assert_int_equal(put_far(f, 2, 2, 1), ROVE_OK);
    assert_int_equal(put_far(f, 1, 3, 1), ROVE_OK);
    assert_int_equal(put_far(f, 3, 4, 1), ROVE_E_FULL);
    assert_int_equal(put_far(f, 3, 5, 0), ROVE_OK);
    assert_null(rovei_index_get(f->index, 3)); /* came before 2 */
    assert_int_equal(put_far(f, 3, 6, 0), ROVE_OK);
    assert_int_equal(put_far(f, 3, 7, 0), ROVE_E_FULL); /* nobody relayed is left */
    rovei_index_stats s = rovei_index_stats_get(f->index);
    assert_int_equal(s.entries, 3);
    assert_int_equal(s.displaced, 2);
    assert_int_equal(s.full, 2);
}

static void test_bound_of_bytes(void **state)
{
    fixture *f = *state;
    assert_int_equal(put(f, 0, 1, 1, 300, "a"), ROVE_OK);
    f->env.limits.index_bytes = rovei_index_stats_get(f->index).bytes + 8;
    assert_int_equal(put(f, 0, 1, 2, 300, "a\na-much-longer-tag-than-before"), ROVE_E_FULL);
    assert_int_equal(rovei_index_get(f->index, 1)->generation, 1);
    assert_int_equal(put(f, 0, 1, 2, 300, "abc"), ROVE_OK);
    assert_int_equal(put(f, 0, 2, 2, 300, "abc"), ROVE_E_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_newer_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_zero_counts_as_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends_and_forgets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_walks_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_everything_of_an_announcement, setup, teardown),
        cmocka_unit_test_setup_teardown(test_takes_announcements, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound_of_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound_of_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
