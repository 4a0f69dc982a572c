/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler's choices, their reasons and tie-breaks, and the axes of the standard scorer. */
#include "caps_kit.h"
#include "support.h"
#include <capability/placement.h>
#include <math.h>

#define TAKES "subprotocol:0x0500"

typedef struct fixture {
    rovei_env env;
    rovei_index *index;
    rovei_scheduler s;
    rovei_caps local;
    uint64_t version;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->env.alloc = rovei_alloc_libc;
    rove_limits_init(&f->env.limits);
    assert_ok(rovei_index_new(&f->index, &f->env));
    f->s = (rovei_scheduler){f->index, 50, NULL};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    rovei_index_free(f->index);
    free(f);
    caps_kit_clear();
    return 0;
}

static void put(fixture *f, uint64_t node, const char *tags)
{
    rovei_index_item item = {.node_id = node, .version = ++f->version, .ttl_secs = 300};
    item.caps = caps_of(tags, NULL);
    assert_ok(rovei_index_put(f->index, (rovei_now){0}, &item));
    if (node == f->s.local) {
        f->local = item.caps;
        f->s.local_caps = &f->local;
    }
}

#define assert_placed(call, want_node, want_reason)                                                \
    do {                                                                                           \
        assert_ok(call);                                                                           \
        assert_int_equal(p.node, (want_node));                                                     \
        assert_int_equal(p.reason, ROVEI_PLACE_##want_reason);                                     \
    } while (0)

static const rovei_filter any, gpu = {.gpu = true};

static void test_place(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    assert_placed(rovei_place(&f->s, &any, &p), 50, LOCAL_PREFERRED);
    assert_int_equal(rovei_place(&f->s, &gpu, &p), ROVE_E_NO_CANDIDATE);
    put(f, 50, "x");
    put(f, 90, "hardware.gpu");
    assert_placed(rovei_place(&f->s, &gpu, &p), 90, ONLY_CANDIDATE);
    put(f, 10, "hardware.gpu");
    assert_placed(rovei_place(&f->s, &gpu, &p), 10, FIRST_MATCH);
    p = rovei_pin(77);
    assert_int_equal(p.node, 77);
    assert_int_equal(p.reason, ROVEI_PLACE_PINNED);
    assert_string_equal(rovei_place_reason_name(p.reason), "Pinned");
    assert_true(rovei_can_run_locally(&f->s, &any));
    assert_false(rovei_can_run_locally(&f->s, &gpu));
}

static void test_drained(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    put(f, 50, "x");
    assert_int_equal(rovei_place_with_locality(&f->s, &any, true, &p), ROVE_E_NO_CANDIDATE);
    put(f, 90, "x");
    assert_placed(rovei_place_with_locality(&f->s, &any, true, &p), 90, ONLY_CANDIDATE);
    put(f, 95, "x");
    assert_placed(rovei_place_with_locality(&f->s, &any, true, &p), 90, FIRST_MATCH);
    assert_placed(rovei_place_with_locality(&f->s, &any, false, &p), 50, LOCAL_PREFERRED);
}

static void test_targets_need_the_exact_tag(void **state)
{
    fixture *f = *state;
    put(f, 1, "subprotocol:0X0500");
    put(f, 2, "subprotocol=0x0500");
    put(f, 3, "subprotocol:0x500");
    put(f, 4, TAKES "\nhardware.gpu");
    put(f, 5, TAKES);
    put(f, 6, "subprotocol:0x0400");
    size_t it = 0;
    assert_int_equal(rovei_next_migration_target(&f->s, &any, 9, &it)->node_id, 4);
    assert_int_equal(rovei_next_migration_target(&f->s, &any, 9, &it)->node_id, 5);
    assert_null(rovei_next_migration_target(&f->s, &any, 9, &it));
    it = 0; /* never the source */
    assert_int_equal(rovei_next_migration_target(&f->s, &any, 4, &it)->node_id, 5);
    it = 0;
    assert_int_equal(rovei_next_migration_target(&f->s, &gpu, 9, &it)->node_id, 4);
    assert_null(rovei_next_migration_target(&f->s, &gpu, 9, &it));
    it = 0;
    assert_int_equal(rovei_next_subprotocol_node(&f->s, 0x0400, &it)->node_id, 6);
    assert_null(rovei_next_subprotocol_node(&f->s, 0x0400, &it));
}

static void test_place_migration(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    assert_int_equal(rovei_place_migration(&f->s, &any, 9, &p), ROVE_E_NO_CANDIDATE);
    put(f, 90, TAKES "\nhardware.gpu");
    assert_placed(rovei_place_migration(&f->s, &any, 9, &p), 90, ONLY_CANDIDATE);
    put(f, 80, TAKES);
    assert_placed(rovei_place_migration(&f->s, &any, 9, &p), 80, FIRST_MATCH);
    put(f, 50, TAKES);
    assert_placed(rovei_place_migration(&f->s, &any, 9, &p), 50, LOCAL_PREFERRED);
    put(f, 7, TAKES);
    assert_placed(rovei_place_migration(&f->s, &any, 9, &p), 50, LOCAL_PREFERRED);
    assert_placed(rovei_place_migration(&f->s, &any, 50, &p), 7, FIRST_MATCH);
    assert_placed(rovei_place_migration(&f->s, &gpu, 9, &p), 90, ONLY_CANDIDATE);
}

static void test_place_migration_v2(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    assert_int_equal(rovei_place_migration_v2(&f->s, &any, 9, &p), ROVE_E_NO_CANDIDATE);
    put(f, 90, TAKES "\nhardware.gpu");
    assert_placed(rovei_place_migration_v2(&f->s, &any, 9, &p), 90, BEST_SCORE);
    assert_int_equal(rovei_place_migration_v2(&f->s, &any, 90, &p), ROVE_E_NO_CANDIDATE);
    put(f, 7, TAKES);
    assert_placed(rovei_place_migration_v2(&f->s, &any, 9, &p), 7, BEST_SCORE);
    put(f, 50, TAKES); /* a higher id, and yet preferred */
    assert_placed(rovei_place_migration_v2(&f->s, &any, 9, &p), 50, LOCAL_PREFERRED);
    assert_placed(rovei_place_migration_v2(&f->s, &any, 50, &p), 7, BEST_SCORE);
    assert_placed(rovei_place_migration_v2(&f->s, &gpu, 9, &p), 90, BEST_SCORE);
}

/* ---- scores ---- */
typedef struct table {
    struct {
        uint64_t node;
        double score;
        bool veto;
    } row[4];
} table;

static bool from_table(const void *user, const rovei_index_entry *e, double *ret)
{
    const table *t = user;
    for (size_t i = 0; i < 4; i++)
        if (t->row[i].node == e->node_id) {
            *ret = t->row[i].score;
            return !t->row[i].veto;
        }
    return false;
}

static bool rtt_of(const void *user, uint64_t node, uint64_t *ret)
{
    (void)user;
    *ret = 1000 - node; /* the higher the nearer */
    return node != 1;   /* of which nothing was measured */
}

static double free_of(const void *user, uint64_t node)
{
    (void)user;
    return (double)node;
}

static void test_select_by_score(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    table t = {{{1, 0.5, false}, {2, 0.9, false}, {3, 0.9, false}, {50, 0.1, false}}};
    rovei_scorer scorer = {from_table, &t};
#define SELECT(source) rovei_select_migration_target(&f->s, &any, (source), &scorer, NULL, &p)
    assert_int_equal(SELECT(9), ROVE_E_NO_CANDIDATE);
    put(f, 1, TAKES);
    assert_placed(SELECT(9), 1, BEST_SCORE);
    put(f, 2, TAKES);
    put(f, 3, TAKES);
    assert_placed(SELECT(9), 2, BEST_SCORE); /* the lower of equals */
    assert_placed(SELECT(2), 3, BEST_SCORE);
    put(f, 50, TAKES);
    assert_placed(SELECT(9), 50, LOCAL_PREFERRED); /* whatever the scores */
    assert_placed(SELECT(50), 2, BEST_SCORE);
    t.row[3].veto = true; /* a veto holds for this node too */
    assert_placed(SELECT(9), 2, BEST_SCORE);
    t.row[1].score = NAN;
    t.row[2].score = INFINITY;
    assert_placed(SELECT(9), 1, BEST_SCORE);
    t.row[0].veto = true;
    assert_int_equal(SELECT(9), ROVE_E_NO_CANDIDATE);
    t.row[0].veto = false;
    t.row[1].score = 0.9;
    assert_placed(SELECT(9), 2, BEST_SCORE);
    put(f, 1, TAKES "\nhardware.gpu"); /* a filter comes before the scores */
    assert_placed(rovei_select_migration_target(&f->s, &gpu, 9, &scorer, NULL, &p), 1, BEST_SCORE);
    assert_int_equal(rovei_select_migration_target(&f->s, &gpu, 1, &scorer, NULL, &p),
                     ROVE_E_NO_CANDIDATE);
#undef SELECT
}

static void test_tie_breaks(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    rovei_tie_break rtt = {.rtt = rtt_of}, room = {.free_resource = free_of};
    put(f, 1, TAKES);
    put(f, 2, TAKES);
    put(f, 3, TAKES);
#define SELECT(tie) rovei_select_migration_target(&f->s, &any, 9, NULL, (tie), &p)
    assert_placed(SELECT(NULL), 1, BEST_SCORE);
    assert_placed(SELECT(&rtt), 3, BEST_SCORE); /* nearest; 1 is not known at all */
    assert_placed(SELECT(&room), 3, BEST_SCORE);
#undef SELECT
}

static void test_members_and_promotion(void **state)
{
    fixture *f = *state;
    rovei_placement p;
    table t = {{{1, 0.5, false}, {2, NAN, false}, {3, 0.4, false}, {50, 0.1, true}}};
    rovei_scorer scorer = {from_table, &t};
    static const uint64_t first[] = {1}, roster[] = {3, 2, 77};
    for (uint64_t node = 1; node <= 3; node++)
        put(f, node, "x");
    put(f, 50, "x");
    for (size_t i = 0; i < 64; i++) /* what is no number never wins */
        assert_placed(rovei_select_member_node(&f->s, &any, (rovei_node_set){0}, &scorer, NULL, &p),
                      1, BEST_SCORE);
    assert_placed(
        rovei_select_member_node(&f->s, &any, (rovei_node_set){first, 1}, &scorer, NULL, &p), 3,
        BEST_SCORE);
    assert_int_equal(rovei_select_member_node(&f->s, &gpu, (rovei_node_set){0}, &scorer, NULL, &p),
                     ROVE_E_NO_CANDIDATE);
    assert_placed(
        rovei_select_promotion_target(&f->s, (rovei_node_set){roster, 3}, &scorer, NULL, &p), 3,
        BEST_SCORE);
    assert_int_equal(
        rovei_select_promotion_target(&f->s, (rovei_node_set){&roster[2], 1}, NULL, NULL, &p),
        ROVE_E_NO_CANDIDATE);
}

/* As recorded from the reference: tests/vectors/groups-0.36.0.json, "placement". */
static void test_recorded_order(void **state)
{
    fixture *f = *state;
    static const uint64_t nodes[] = {0x1207eddb984be7f0, 0x2199586daf8408bf, 0x271adab61af63583,
                                     0x60269137ebfedc42, 0x8edf34ef4ac5d453};
    static const uint64_t order[] = {0x8edf34ef4ac5d453, 0x1207eddb984be7f0, 0x2199586daf8408bf,
                                     0x271adab61af63583};
    f->s.local = nodes[4];
    for (size_t i = 0; i < 5; i++)
        put(f, nodes[i], "x");
    uint64_t taken[5];
    rovei_placement p;
    for (size_t i = 0; i < 4; i++) {
        assert_ok(rovei_place_with_spread(&f->s, &any, (rovei_node_set){taken, i}, &p));
        assert_int_equal(p.node, order[i]);
        taken[i] = p.node;
    }
    assert_ok(rovei_place_with_spread(&f->s, &any, (rovei_node_set){taken, 4}, &p));
    taken[4] = p.node;
    assert_int_equal(rovei_place_with_spread(&f->s, &any, (rovei_node_set){taken, 5}, &p),
                     ROVE_E_NO_CANDIDATE);
}

/* Of three nodes the replacements of a member whose node failed, again as recorded. */
static void test_recorded_replacements(void **state)
{
    fixture *f = *state;
    static const uint64_t n[] = {0x2199586daf8408bf, 0x60269137ebfedc42, 0x8edf34ef4ac5d453};
    rovei_placement p;
    f->s.local = n[2];
    for (size_t i = 0; i < 3; i++)
        put(f, n[i], "x");
    assert_ok(rovei_place_with_spread(&f->s, &any, (rovei_node_set){&n[2], 1}, &p));
    assert_int_equal(p.node, n[0]);
    uint64_t failed[2] = {n[0], n[2]};
    assert_ok(rovei_place_with_spread(&f->s, &any, (rovei_node_set){failed, 1}, &p));
    assert_int_equal(p.node, n[2]);
    assert_ok(rovei_place_with_spread(&f->s, &any, (rovei_node_set){failed, 2}, &p));
    assert_int_equal(p.node, n[1]);
}

/* ---- the standard scorer ---- */
static rovei_axes axes_of(rovei_standard s, const char *tags)
{
    rovei_index_entry e = {.node_id = 5, .caps = caps_of(tags, NULL)};
    return rovei_standard_axes(&s, &e);
}

static bool about(double value, double wanted)
{
    return fabs(value - wanted) < 1e-9;
}

static void test_standard_defaults(void **state)
{
    (void)state;
    rovei_standard s = {0};
    double score = 9;
    assert_true(about(axes_of(s, "x").score, 1));
    assert_true(about(axes_of(s, "hardware.cpu_cores=8").score, 0.5));
    assert_true(about(axes_of(s, "hardware.cpu_cores=8\nhardware.memory_gb=48").score, 0.625));
    assert_true(about(axes_of(s, "hardware.cpu_cores=0").score, 0)); /* announced: data */
    assert_true(about(axes_of(s, "hardware.cpu_cores=-1").score, 1));
    assert_true(about(axes_of(s, "hardware.cpu_cores=1e16").score, 1));
    assert_true(about(axes_of(s, "hardware.cpu_cores=many").score, 1));
    assert_string_equal(rovei_standard_axes(&s, NULL).veto, "is not in the index");
    assert_false(rovei_standard_score(&s, NULL, &score));
    assert_true(about(score, 9));
    s.resource = ROVEI_RESOURCE_BOTH;
    assert_true(about(axes_of(s, "hardware.cpu_cores=8\ndataforts.capacity_gb=3000").score, 0.625));
    assert_true(about(axes_of(s, "dataforts.capacity_gb=3000").score, 0.75));
    s.resource = ROVEI_RESOURCE_NONE;
    assert_true(about(axes_of(s, "hardware.cpu_cores=8").score, 1));
}

static void test_hard_checks(void **state)
{
    (void)state;
    rovei_standard s = {.artifact = {.required = caps_of("zone=a", NULL)}};
    assert_null(axes_of(s, "zone=a").veto);
    assert_non_null(axes_of(s, "zone:a").veto);
    s = (rovei_standard){.artifact = {.kind = ROVEI_ARTIFACT_BLOB, .size = (3 << 29)}};
    assert_null(axes_of(s, "dataforts.blob.storage\ndataforts.blob.disk_free_gb=2").veto);
    assert_non_null(axes_of(s, "dataforts.blob.storage\ndataforts.blob.disk_free_gb=1").veto);
    assert_non_null(axes_of(s, "dataforts.blob.storage").veto);
    assert_non_null(axes_of(s, "dataforts.blob.disk_free_gb=2").veto);
    assert_non_null(axes_of(s, "dataforts.blob.storage\ndataforts.blob.disk_free_gb=2\n"
                               "dataforts:blob-storage-unhealthy")
                        .veto);
    s.artifact = (rovei_artifact){.kind = ROVEI_ARTIFACT_CHAIN, .required = caps_of("q", NULL)};
    assert_null(axes_of(s, "x").veto);
}

static bool rtt_500(const void *user, uint64_t node, uint64_t *ret)
{
    (void)node;
    *ret = 500;
    return *(const bool *)user;
}

static bool concentration_of(const void *user, uint64_t node, double *ret)
{
    (void)node;
    *ret = *(const double *)user;
    return true;
}

static void test_scope_and_proximity(void **state)
{
    (void)state;
    rove_span labels[] = {span_of("region:eu"), span_of("scope:tenant:a")};
    rovei_standard s = {.scopes = labels, .scope_count = 2};
    assert_true(about(axes_of(s, "scope:region:eu").scope, 1));
    assert_true(about(axes_of(s, "scope:tenant:a").scope, 1));
    assert_true(about(axes_of(s, "scope:tenant:b").score, 0));
    assert_true(about(axes_of(s, "x").score, 0));
    bool known = true;
    s = (rovei_standard){.max_rtt = 500, .rtt = rtt_500, .user = &known};
    assert_true(about(axes_of(s, "x").proximity, 1)); /* equal is near enough */
    s.max_rtt = 499;
    assert_true(about(axes_of(s, "x").score, 0));
    known = false;
    assert_true(about(axes_of(s, "x").score, 1));
}

static void test_intents(void **state)
{
    (void)state;
    rovei_standard s = {.intent = ROVEI_INTENT_STRICT};
    s.artifact.required = caps_of("", "intent=ml-training");
    assert_true(about(axes_of(s, "x").intent, 1)); /* no intent is known at all */
    s.intents = rovei_intents;
    s.intent_count = 4;
    assert_true(about(axes_of(s, "x").score, 0));
    assert_true(about(axes_of(s, "hardware.gpu\nhardware.gpu.vram_gb=24").intent, 1));
    assert_true(about(axes_of(s, "hardware.gpu\nhardware.gpu.vram_gb=23").intent, 0));
    s.artifact.required = caps_of("", "intent=poetry");
    assert_true(about(axes_of(s, "x").intent, 1));
    s.artifact.required = caps_of("", "intent=inference");
    assert_true(about(axes_of(s, "hardware.gpu\nsoftware.model").intent, 1));
    assert_true(about(axes_of(s, "hardware.gpu\nsoftware.model.0.id=x").intent, 0));
    s.artifact =
        (rovei_artifact){.kind = ROVEI_ARTIFACT_CHAIN, .optional = caps_of("", "intent=cpu-bound")};
    assert_true(about(axes_of(s, "hardware.cpu_cores=3").intent, 0));
    assert_true(about(axes_of(s, "hardware.cpu_cores=4").intent, 1));
    s.intent = ROVEI_INTENT_ANY_OF_LOCAL;
    assert_true(about(axes_of(s, "x").intent, 0));
    assert_true(about(axes_of(s, "devices.lidar").intent, 1));
    s.intent_count = 0;
    assert_true(about(axes_of(s, "x").intent, 1));
}

static void test_colocation(void **state)
{
    (void)state;
    rovei_standard s = {.artifact.optional = caps_of("", "colocate-with=ab12")};
    assert_true(about(axes_of(s, "x").colocation, 1));
    s.colocation = ROVEI_COLOCATION_SOFT;
    assert_true(about(axes_of(s, "x").colocation, 0.7));
    assert_true(about(axes_of(s, "causal:ab12").colocation, 1));
    assert_true(about(axes_of(s, "causal:ab12:tip").colocation, 1));
    assert_true(about(axes_of(s, "causal:ab12[0..5]").colocation, 1));
    assert_true(about(axes_of(s, "causal:ab123").colocation, 0.7));
    s.colocation = ROVEI_COLOCATION_STRICT;
    assert_true(about(axes_of(s, "x").colocation, 0));
    s.artifact.optional = caps_of("", "colocate-with-strict=ab12");
    assert_true(about(axes_of(s, "causal:ab12").colocation, 1));
    s.colocation = ROVEI_COLOCATION_SOFT;
    assert_true(about(axes_of(s, "x").colocation, 0));
    s.colocation = ROVEI_COLOCATION_IGNORE;
    assert_true(about(axes_of(s, "x").colocation, 1));
}

static void test_anti_affinity_and_custom(void **state)
{
    (void)state;
    double share = 0.30;
    rovei_standard s = {.concentration = concentration_of, .user = &share};
    assert_true(about(axes_of(s, "x").score, 1)); /* at the boundary it is fine */
    share = 0.31;
    assert_true(about(axes_of(s, "x").score, 0.4));
    share = NAN;
    assert_true(about(axes_of(s, "x").score, 1));
    table t = {{{5, 0.5, false}}};
    s = (rovei_standard){.custom_wanted = true};
    assert_non_null(axes_of(s, "x").veto);
    s.custom = (rovei_scorer){from_table, &t};
    assert_true(about(axes_of(s, "x").score, 0.5));
    t.row[0].score = 7;
    assert_true(about(axes_of(s, "x").score, 1));
    t.row[0].score = NAN;
    assert_true(about(axes_of(s, "x").score, 0));
    t.row[0].veto = true;
    assert_non_null(axes_of(s, "x").veto);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_place),
        TEST(test_drained),
        TEST(test_targets_need_the_exact_tag),
        TEST(test_place_migration),
        TEST(test_place_migration_v2),
        TEST(test_select_by_score),
        TEST(test_tie_breaks),
        TEST(test_members_and_promotion),
        TEST(test_recorded_order),
        TEST(test_recorded_replacements),
        TEST(test_standard_defaults),
        TEST(test_hard_checks),
        TEST(test_scope_and_proximity),
        TEST(test_intents),
        TEST(test_colocation),
        TEST(test_anti_affinity_and_custom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
