/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon that is fed by a publisher of class net, which numbers nothing and repeats nothing, and
 * moves between two nodes of class rove. */
#include "feeds_kit.h"

static world w;
static rove_entity d;

static bool member(size_t node)
{
    uint64_t id = rovei_entity_node_id(&w.nodes[node].entity);
    rovei_member_info m;
    size_t it = 0;
    while (rovei_channels_member_next(w.nodes[2].node, channel(), &it, &m))
        if (rovei_entity_node_id(&m.peer) == id)
            return rovei_entity_is_net(&m.peer);
    return false;
}

static int setup(void **state)
{
    (void)state;
    world_init_one_apart(&w, 3);
    world_run(&w, 12 * ROVE_SECOND);
    d = world_spawn(&w, 0, 1);
    open_channel(&w, 2);
    assert_ok(subscribe(&w, 0, &d, 2, 1));
    assert_true(member(0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        if (w.nodes[i].node)
            rovei_node_check(w.nodes[i].node);
    world_fini(&w);
    return 0;
}

/* All that is published while it is subscribed somewhere comes once and in order; nobody can say
 * what was published between the freeze and the answer, so the entry always counts as unbound. */
static void it_moves(void **state)
{
    (void)state;
    publish(&w, 2, 1, 10);
    world_until(&w, SOON, applied(&w, 0, &d) == 10);
    for (size_t move = 0; move < 4; move++) {
        size_t from = move % 2, to = 1 - from;
        unsigned sent = 10 * (unsigned)(move + 1);
        rovei_attempt_id id = world_move(&w, from, to, &d, 0);
        finish_move(&w, from, &id);
        assert_int_equal(world_info(&w, from, &id).unbound, 1);
        world_until(&w, SOON, member(to) && !member(from));
        assert_int_equal(feed_of(&w, to, &d)->bound, true);
        publish(&w, 2, sent + 1, sent + 10);
        world_until(&w, SOON, applied(&w, to, &d) == sent + 10);
        kit_assert_log(world_cell_of(&w, to, &d), "e", 1, sent + 10);
    }
}

/* A publisher that goes on meanwhile: what was missed is missed for good, what comes is once each
 * and in order. */
static void it_moves_while_it_is_fed(void **state)
{
    (void)state;
    unsigned sent = 0, next = 1;
    rovei_attempt_id id = world_move(&w, 0, 1, &d, 0);
    while (!world_ended(&w, 0, &id)) {
        publish(&w, 2, sent + 1, sent + 3);
        sent += 3;
        world_run(&w, 5 * ROVE_MILLISECOND);
    }
    finish_move(&w, 0, &id);
    world_until(&w, SOON, member(1));
    world_run(&w, ROVE_SECOND);
    publish(&w, 2, sent + 1, sent + 3);
    sent += 3;
    char last[16];
    snprintf(last, sizeof last, "e%u", sent);
    world_until(&w, SOON, world_times(world_cell_of(&w, 1, &d), last) == 1);
    const world_cell *c = world_cell_of(&w, 1, &d);
    for (size_t at = 0; at < c->log_size;) {
        char text[16] = {0};
        uint32_t size;
        memcpy(&size, c->log + at, sizeof size);
        assert_in_range(size, 2, sizeof text - 1);
        memcpy(text, c->log + at + sizeof size, size);
        at += sizeof size + size;
        assert_in_range(strtoul(text + 1, NULL, 10), next, sent);
        next = (unsigned)strtoul(text + 1, NULL, 10) + 1;
    }
}

static void an_abort_leaves_nothing(void **state)
{
    (void)state;
    never_prepared(&w, 1);
    rovei_attempt_id id = world_move(&w, 0, 1, &d, 0);
    world_until(&w, SOON, member(1) && world_role_of(&w, 1, &d) == ROVEI_ROLE_PREPARED);
    assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &id, ROVE_E_CANCELLED));
    world_until(&w, SOON, world_ended(&w, 0, &id));
    world_until(&w, SOON, !member(1));
    assert_true(member(0));
    publish(&w, 2, 1, 10);
    world_until(&w, SOON, applied(&w, 0, &d) == 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_moves),
        TEST(it_moves_while_it_is_fed),
        TEST(an_abort_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
