/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement through the runtime: where a daemon would go, what rejected the others, and a move
 * without a target. What nodes announce is put into the index by hand. */
#include "caps_kit.h"
#include "nodes.h"
#include <node/placing.h>
#include <rove/placement.h>
#include <shell/call.h>

#define TAKES "subprotocol:0x0500"

static const char *const needs[] = {"hardware.gpu", "hardware.memory_gb>=16", NULL};
static const char *const likes[] = {"zone=near", NULL};

struct announce {
    rovei_index_item item;
    rove_err err;
};

static void apply(void *arg, rovei_node *core, rovei_now now)
{
    struct announce *a = arg;
    a->err = rovei_index_put(rovei_node_index(core), now, &a->item);
}

/* Above those of the nodes, which announce themselves too. */
static uint64_t versions = UINT64_MAX / 2;

/* `entity` announces itself to the node `p`. */
static uint64_t announce_with(place *p, const rove_entity *entity, const char *tags,
                              const char *metadata)
{
    struct announce a = {.item = {.node_id = rovei_entity_node_id(entity),
                                  .entity = *entity,
                                  .version = ++versions,
                                  .ttl_secs = 300,
                                  .caps = caps_of(tags, metadata)}};
    rovei_node_call(p->node, apply, &a);
    assert_ok(a.err);
    return a.item.node_id;
}

static uint64_t announce(place *p, const rove_entity *entity, const char *tags)
{
    return announce_with(p, entity, tags, NULL);
}

static rove_entity entity_like(uint8_t byte)
{
    rove_entity e;
    memset(e.bytes, byte, sizeof e.bytes);
    return e;
}

typedef struct trio {
    place a, b;
    rove_daemon plain, picky;
    rove_identity *ids[2];
} trio;

static rove_kind picky_kind;

static int setup(void **state)
{
    trio *t = calloc(1, sizeof *t);
    picky_kind = probe_kind;
    picky_kind.name = "picky";
    picky_kind.requirements = needs;
    picky_kind.preferences = likes;
    place_ready(&t->a, 1);
    place_ready(&t->b, 1);
    connect_places(&t->a, &t->b);
    assert_ok(rove_runtime_register_kind(t->a.rt, NULL, &picky_kind, &t->a.control));
    assert_ok(rove_runtime_register_kind(t->b.rt, NULL, &picky_kind, &t->b.control));
    assert_ok(rove_identity_generate(&t->ids[0], t->a.node));
    assert_ok(rove_identity_generate(&t->ids[1], t->a.node));
    assert_ok(rove_runtime_spawn(t->a.rt, "probe", t->ids[0], NULL, &t->plain));
    assert_ok(rove_runtime_spawn(t->a.rt, "picky", t->ids[1], NULL, &t->picky));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    trio *t = *state;
    rove_identity_free(t->ids[0]);
    rove_identity_free(t->ids[1]);
    place_close(&t->a);
    place_close(&t->b);
    free(t);
    caps_kit_clear();
    return 0;
}

static void test_no_target(void **state)
{
    trio *t = *state;
    rove_migration m;
    rove_placement p;
    rove_candidate none[1];
    size_t count = 9;
    assert_int_equal(rove_runtime_start_migration_auto(t->a.rt, t->plain, NULL, &m),
                     ROVE_E_NO_TARGET);
    assert_int_equal(rove_runtime_place(t->a.rt, "probe", &p), ROVE_E_NO_CANDIDATE);
    assert_int_equal(rove_runtime_place(t->a.rt, "unheard", &p), ROVE_E_NO_CANDIDATE);
    assert_ok(rove_runtime_find_migration_targets(t->a.rt, t->plain, none, 1, &count));
    assert_int_equal(count, 0);
    assert_int_equal(rove_runtime_select_migration_target(t->a.rt, (rove_daemon){1}, &p),
                     ROVE_E_NOT_FOUND);
    p = rove_pin(&t->b.info.entity);
    assert_string_equal(rove_place_reason_name(p.reason), "Pinned");
}

static void test_local_before_others(void **state)
{
    trio *t = *state;
    rove_placement p;
    announce(&t->b, &t->b.info.entity, TAKES);
    announce(&t->a, &t->b.info.entity,
             TAKES "\nhardware.gpu\nhardware.memory_gb=64"
                   "\nrove:kind:picky\nrove:kind:probe");
    announce(&t->a, &t->a.info.entity, TAKES);
    assert_ok(rove_runtime_place(t->a.rt, "probe", &p));
    assert_int_equal(p.reason, ROVE_PLACE_LOCAL_PREFERRED);
    assert_true(rovei_entity_equal(&p.node, &t->a.info.entity));
    assert_ok(rove_runtime_place(t->a.rt, "picky", &p)); /* this node has no GPU */
    assert_int_equal(p.reason, ROVE_PLACE_BEST_SCORE);
    assert_true(rovei_entity_equal(&p.node, &t->b.info.entity));
    announce(&t->a, &t->a.info.entity, TAKES "\nrove:cordoned");
    assert_ok(rove_runtime_place(t->a.rt, "probe", &p));
    assert_true(rovei_entity_equal(&p.node, &t->b.info.entity));
}

static const rove_candidate *of(const rove_candidate *list, size_t count, uint64_t node)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].node_id == node)
            return &list[i];
    fail_msg("not in the list");
    return NULL;
}

static void test_why(void **state)
{
    trio *t = *state;
    rove_candidate list[8];
    size_t count;
    rove_entity far = entity_like(7), bare = entity_like(8), small = entity_like(9);
    rove_entity shut = entity_like(10);
    const char *good = TAKES "\nhardware.gpu\nhardware.memory_gb=64";
    uint64_t a = announce(&t->a, &t->a.info.entity, good);
    uint64_t b = announce(&t->a, &t->b.info.entity, good);
    uint64_t n_far = announce(&t->a, &far, good), n_bare = announce(&t->a, &bare, "hardware.gpu");
    uint64_t n_small = announce(&t->a, &small, TAKES "\nhardware.gpu\nhardware.memory_gb=8");
    uint64_t n_shut = announce(&t->a, &shut, TAKES "\nrove:cordoned");
    assert_ok(rove_runtime_find_migration_targets(t->a.rt, t->picky, list, 8, &count));
    assert_int_equal(count, 6);
    assert_string_equal(of(list, count, a)->why, "has the daemon");
    assert_string_equal(of(list, count, n_far)->why, "no session");
    assert_string_equal(of(list, count, n_small)->why, "the condition does not hold");
    assert_string_equal(of(list, count, n_bare)->why,
                        "takes no daemons: lacks the tag subprotocol:0x0500");
    assert_string_equal(of(list, count, n_shut)->why, "is cordoned");
    const rove_candidate *best = of(list, count, b);
    assert_true(best->eligible && best->chosen);
    assert_string_equal(best->why, "resources 80%, preferences 0%, saturation 0%");
    assert_true(best->score > 0.399 && best->score < 0.401);
    for (size_t i = 1; i < count; i++)
        assert_true(list[i - 1].node_id < list[i].node_id);
    announce(&t->a, &t->b.info.entity, TAKES "\nhardware.gpu\nhardware.memory_gb=64\nzone=near");
    assert_ok(rove_runtime_find_migration_targets(t->a.rt, t->picky, list, 8, &count));
    assert_true(of(list, count, b)->score > 0.799);
}

static void test_move_without_a_target(void **state)
{
    trio *t = *state;
    rove_migration m;
    rove_migration_info info;
    announce(&t->a, &t->a.info.entity, TAKES);
    announce(&t->a, &t->b.info.entity, TAKES);
    assert_int_equal(rove_runtime_start_migration_auto(t->a.rt, t->picky, NULL, &m),
                     ROVE_E_NO_TARGET); /* nobody has what it requires */
    assert_ok(rove_runtime_accept_kind(t->b.rt, "probe", true));
    assert_ok(rove_runtime_start_migration_auto(t->a.rt, t->plain, NULL, &m));
    assert_ok(rove_migration_wait_with_timeout(t->a.rt, m, 20 * ROVE_SECOND, &info));
    assert_true(rovei_entity_equal(&info.target, &t->b.info.entity));
    assert_int_equal(rove_runtime_daemon_count(t->b.rt), 1);
}

static void assert_target(trio *t, const rove_entity *want, rove_place_reason first)
{
    rove_placement p;
    assert_ok(rove_runtime_select_migration_target(t->a.rt, t->picky, &p));
    assert_int_equal(p.reason, ROVE_PLACE_BEST_SCORE);
    assert_true(rovei_entity_equal(&p.node, want));
    assert_ok(rove_runtime_place_migration(t->a.rt, t->picky, &p));
    assert_int_equal(p.reason, first);
}

/* Two targets: what each of them announces decides, and nothing of a node that cannot be reached.
 */
static void test_reasons_and_ranks(void **state)
{
    trio *t = *state;
    place c;
    rove_placement p;
    rove_candidate list[4];
    rove_entity far = entity_like(7);
    size_t count;
    const char *good = TAKES "\nhardware.gpu\nhardware.memory_gb=64";
    const char *near = TAKES "\nhardware.gpu\nhardware.memory_gb=64\nzone=near";
    place_ready(&c, 1);
    connect_places(&t->a, &c);
    announce(&t->a, &t->a.info.entity, good);
    assert_int_equal(rove_runtime_place_migration(t->a.rt, t->picky, &p), ROVE_E_NO_TARGET);
    announce(&t->a, &far, near);
    announce(&t->a, &t->b.info.entity, good);
    announce(&t->a, &c.info.entity, TAKES); /* lacks what is required */
    assert_target(t, &t->b.info.entity, ROVE_PLACE_ONLY_CANDIDATE);
    announce(&t->a, &c.info.entity, near); /* has what is preferred */
    assert_target(t, &c.info.entity, ROVE_PLACE_FIRST_MATCH);
    announce(&t->a, &t->b.info.entity, near);
    announce_with(&t->a, &c.info.entity, near, "rove.saturation=0.5");
    assert_target(t, &t->b.info.entity, ROVE_PLACE_FIRST_MATCH);
    announce_with(&t->a, &t->b.info.entity, near, "rove.saturation=1");
    assert_target(t, &c.info.entity, ROVE_PLACE_FIRST_MATCH);
    announce_with(&t->a, &c.info.entity, near, "rove.saturation=7"); /* as much as 1 */
    assert_ok(rove_runtime_find_migration_targets(t->a.rt, t->picky, list, 4, &count));
    assert_true(of(list, count, t->b.info.node_id)->score ==
                of(list, count, c.info.node_id)->score);
    assert_string_equal(of(list, count, c.info.node_id)->why,
                        "resources 80%, preferences 100%, saturation 100%");
    announce_with(&t->a, &c.info.entity, near, "rove.saturation=nan"); /* as if it said nothing */
    assert_target(t, &c.info.entity, ROVE_PLACE_FIRST_MATCH);
    place_close(&c);
}

/* What a daemon says of itself is read at each call, here and where it has moved to. */
static rove_health poorly(void *self, const char **ret_reason)
{
    (void)self;
    *ret_reason = "short of breath";
    return ROVE_DEGRADED;
}

static double busy(void *self)
{
    (void)self;
    return 0.25;
}

static void test_what_a_daemon_says_of_itself(void **state)
{
    trio *t = *state;
    static rove_kind kind; /* it outlives the test */
    kind = probe_kind;
    rove_daemon d;
    rove_daemon_health h;
    rove_migration m;
    kind.name = "poorly";
    kind.health = poorly;
    kind.saturation = busy;
    assert_null(probe_kind.requirements); /* nothing by default */
    assert_null(probe_kind.preferences);
    assert_ok(rove_runtime_health(t->a.rt, t->plain, &h));
    assert_int_equal(h.health, ROVE_HEALTHY);
    assert_null(h.reason);
    assert_true(h.saturation == 0.0);
    assert_ok(rove_runtime_register_kind(t->a.rt, NULL, &kind, &t->a.control));
    assert_ok(rove_runtime_register_kind(t->b.rt, NULL, &kind, &t->b.control));
    assert_ok(rove_runtime_accept_kind(t->b.rt, "poorly", true));
    assert_ok(rove_runtime_spawn(t->a.rt, "poorly", NULL, NULL, &d));
    for (int moved = 0; moved < 2; moved++) {
        assert_ok(rove_runtime_health(moved ? t->b.rt : t->a.rt, d, &h));
        assert_int_equal(h.health, ROVE_DEGRADED);
        assert_string_equal(h.reason, "short of breath");
        assert_true(h.saturation == 0.25);
        if (!moved) {
            assert_ok(rove_runtime_start_migration(t->a.rt, d, &t->b.info.entity, &m));
            assert_ok(rove_migration_wait(t->a.rt, m, NULL));
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_target),
        TEST(test_local_before_others),
        TEST(test_why),
        TEST(test_move_without_a_target),
        TEST(test_reasons_and_ranks),
        TEST(test_what_a_daemon_says_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
