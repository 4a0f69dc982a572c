/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of a host's lanes against senders that do not play along: outputs, mailbox, table. */
#include "lanes_kit.h"

#include <limits.h>

#define SOON (5 * ROVE_SECOND)

static struct rovei_lanes *lanes_of(kit *k, size_t at, const rove_entity *d)
{
    rovei_daemon *daemon = world_daemon(&k->w, at, d);
    assert_ok(rovei_lanes_make(k->w.nodes[at].node, daemon));
    return daemon->lanes;
}

/* Events made by the test: one to a frame, payloads of `size` zeros. */
static void feed_lane(kit *k, size_t from, size_t to, const rove_entity *d, uint64_t lane,
                      uint64_t first, size_t count, size_t size)
{
    static const uint8_t zeros[2048];
    uint8_t run[4000];
    assert_true(size <= sizeof zeros);
    for (uint64_t i = first; i < first + count; i++) {
        rovei_writer w = rovei_writer_of(run, sizeof run);
        rove_link link = {.origin = rovei_entity_origin(&k->w.nodes[from].entity), .sequence = i};
        rovei_event_frame_write(&w, &link, (rove_span){zeros, size});
        rovei_lane_frame f;
        rovei_lane_head(lanes_of(k, to, d), &f, ROVEI_LANE_EVENTS, lane);
        f.first = i;
        f.count = 1;
        f.run = (rove_span){run, rovei_writer_size(&w)};
        kit_inject(k, from, to, &f);
    }
}

static void say_to_lane(kit *k, size_t from, size_t to, const rove_entity *d, rovei_lane_type type,
                        uint64_t lane)
{
    rovei_lane_frame f;
    rovei_lane_head(lanes_of(k, to, d), &f, type, lane);
    if (type == ROVEI_LANE_OPEN)
        f.sinc = (rovei_sinc){0};
    kit_inject(k, from, to, &f);
}

/* Senders that never confirm reach the bound of outputs, and then fill the mailbox. Others get
 * through, no sender has all of the mailbox, and the silent lanes expire. */
static void silent_senders_starve_nobody(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_limits *limits = &k->w.nodes[0].t.env.limits;
    limits->outputs_max = 4096;
    limits->mailbox_bytes = 65536;
    rove_entity d = world_spawn(&k->w, 0, 1);
    const struct rovei_lanes *l = lanes_of(k, 0, &d);
    for (uint64_t lane = 1; lane <= 2; lane++) {
        say_to_lane(k, 2, 0, &d, ROVEI_LANE_OPEN, lane);
        world_run(&k->w, ROVE_SECOND);
        feed_lane(k, 2, 0, &d, lane, 1, 60, 1);
        feed_lane(k, 2, 0, &d, lane, 61, 100, 1000);
        world_run(&k->w, ROVE_SECOND);
    }
    assert_true(l->kept_bytes >= 4096);
    assert_true(l->mailbox_bytes <= 65536 / 4);
    char large[1101] = {0};
    memset(large, 'A', sizeof large - 1);
    uint64_t s = kit_open(k, 1, &d);
    for (int i = 0; i < 40; i++)
        kit_send(k, 1, s, large);
    world_until(&k->w, 20 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 40);
    kit_assert_applied(k, 1, s, 1, 40);
    assert_int_equal(rovei_lanes_count(l), 3);
    for (int i = 0; i < 20; i++) {
        world_run(&k->w, limits->lane_expiry / 10);
        kit_send(k, 1, s, "still here");
    }
    world_run(&k->w, ROVE_SECOND);
    assert_int_equal(rovei_lanes_count(l), 1);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_APPLIED), 60);
    assert_int_equal(l->mailbox_bytes, 0);
    kit_free(k);
}

/* What a blocked lane holds makes room when somebody else needs it, and is asked for again. */
static void blocked_lanes_make_room(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_limits *limits = &k->w.nodes[0].t.env.limits;
    limits->outputs_max = 4096;
    limits->mailbox_bytes = 32768;
    rove_entity d = world_spawn(&k->w, 0, 1);
    const struct rovei_lanes *l = lanes_of(k, 0, &d);
    k->taps[1].swallow[ROVEI_LANE_CONFIRM] = UINT_MAX;
    k->taps[1].swallow[ROVEI_LANE_ASK_POSITION] = UINT_MAX;
    uint64_t silent = kit_open(k, 1, &d), good = kit_open(k, 1, &d);
    for (int i = 0; i < 200; i++)
        kit_send(k, 1, silent, "silent");
    world_run(&k->w, 300 * ROVE_MILLISECOND);
    const rovei_lane *lane = kit_lane(k, 0, 1, silent);
    assert_true(lane->blocked && lane->waiting_count > 100);
    char large[1101] = {0};
    memset(large, 'A', sizeof large - 1);
    for (int i = 0; i < 10; i++)
        kit_send(k, 1, good, large);
    k->taps[1].swallow[ROVEI_LANE_CONFIRM] = UINT_MAX;
    world_run(&k->w, 300 * ROVE_MILLISECOND);
    assert_true(kit_count(k, 1, good, ROVEI_NOTE_APPLIED) >= 1);
    assert_int_equal(lane->waiting_count, 0);
    assert_true(l->mailbox_bytes <= 8192);
    k->taps[1].swallow[ROVEI_LANE_CONFIRM] = 0;
    k->taps[1].swallow[ROVEI_LANE_ASK_POSITION] = 0;
    world_until(&k->w, 60 * ROVE_SECOND,
                kit_count(k, 1, silent, ROVEI_NOTE_APPLIED) == 200 &&
                    kit_count(k, 1, good, ROVEI_NOTE_APPLIED) == 10);
    kit_assert_applied(k, 1, silent, 1, 200);
    kit_assert_applied(k, 1, good, 1, 10);
    kit_free(k);
}

/* What is kept stays near the bound, whatever the events with the cell give, and however many
 * lanes there are. */
static void outputs_stay_bounded(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_limits *limits = &k->w.nodes[0].t.env.limits;
    limits->outputs_max = 4096;
    limits->lanes_per_sender = 1000;
    rove_entity d = world_spawn(&k->w, 0, 1);
    const struct rovei_lanes *l = lanes_of(k, 0, &d);
    for (uint64_t lane = 1; lane <= 300; lane++) {
        say_to_lane(k, 1, 0, &d, ROVEI_LANE_OPEN, lane);
        feed_lane(k, 1, 0, &d, lane, 1, 3, 1);
    }
    world_run(&k->w, 10 * ROVE_SECOND);
    assert_true(l->kept_bytes >= 2 * 4096);
    assert_true(l->kept_bytes < 2 * 4096 + 128);
    /* What is confirmed makes room for the next, one at a time. */
    uint64_t before = world_cell_of(&k->w, 0, &d)->applied;
    for (uint64_t lane = 1; lane <= 10; lane++) {
        rovei_lane_frame f;
        rovei_lane_head(l, &f, ROVEI_LANE_CONFIRM, lane);
        f.upto = 1;
        kit_inject(k, 1, 0, &f);
    }
    world_run(&k->w, ROVE_SECOND);
    assert_true(world_cell_of(&k->w, 0, &d)->applied > before);
    assert_true(l->kept_bytes < 2 * 4096 + 128);
    kit_free(k);
}

/* No sender fills the table with closed lanes, by Closes of lanes that never were or by opening and
 * closing; and to close again renews nothing. */
static void closed_lanes_are_bounded(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_limits *limits = &k->w.nodes[0].t.env.limits;
    limits->lanes_per_daemon = 64;
    limits->lane_expiry = 100 * ROVE_SECOND;
    rove_entity d = world_spawn(&k->w, 0, 1);
    const struct rovei_lanes *l = lanes_of(k, 0, &d);
    for (uint64_t lane = 1; lane <= 100; lane++)
        say_to_lane(k, 2, 0, &d, ROVEI_LANE_CLOSE, lane);
    world_run(&k->w, ROVE_MILLISECOND);
    assert_int_equal(rovei_lanes_count(l), 16);
    for (uint64_t lane = 101; lane <= 200; lane++) {
        say_to_lane(k, 2, 0, &d, ROVEI_LANE_OPEN, lane);
        say_to_lane(k, 2, 0, &d, ROVEI_LANE_CLOSE, lane);
    }
    world_run(&k->w, ROVE_MILLISECOND);
    assert_int_equal(rovei_lanes_count(l), 16);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_until(&k->w, SOON, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    const rovei_lane *closed = rovei_lane_find(l, &k->w.nodes[2].entity, 1);
    uint64_t expires = closed->expires;
    world_run(&k->w, 50 * ROVE_SECOND);
    say_to_lane(k, 2, 0, &d, ROVEI_LANE_CLOSE, 1);
    world_run(&k->w, ROVE_MILLISECOND);
    assert_int_equal(closed->expires, expires);
    world_run(&k->w, 80 * ROVE_SECOND);
    assert_null(rovei_lane_find(l, &k->w.nodes[2].entity, 1));
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_senders_starve_nobody),
        cmocka_unit_test(blocked_lanes_make_room),
        cmocka_unit_test(outputs_stay_bounded),
        cmocka_unit_test(closed_lanes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
