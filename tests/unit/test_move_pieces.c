/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves of states that travel in pieces: read while they are sent, written while they come, and
 * what becomes of both halves when something goes wrong on the way. */
#include "moves_world.h"

/* A daemon on node 0 with a state of a little more than `size` bytes; all states go in pieces. */
static rove_entity begin(world *w, size_t size)
{
    world_init(w, 2);
    for (size_t i = 0; i < 2; i++)
        w->nodes[i].t.env.limits.state_whole = 0;
    rove_entity d = world_spawn(w, 0, 1);
    char *text = malloc((1 << 20) + 1);
    assert_non_null(text);
    for (size_t at = 0, i = 0; at < size; at += 1 << 20, i++) {
        size_t part = size - at < 1 << 20 ? size - at : 1 << 20;
        memset(text, (int)('a' + i % 26), part);
        text[part] = 0;
        assert_ok(world_deliver(w, 0, &d, text));
    }
    free(text);
    return d;
}

static void assert_same_state(world *w, const rove_entity *d)
{
    const world_cell *from = &w->nodes[0].cells[0], *to = world_cell_of(w, 1, d);
    assert_true(to->in_pieces);
    assert_int_equal(from->log_size, to->log_size);
    assert_memory_equal(from->log, to->log, to->log_size);
}

static void assert_stays(world *w, const rove_entity *d, const rovei_attempt_id *a, rove_err err)
{
    world_until(w, WORLD_LONG, world_ended(w, 0, a));
    assert_int_equal(world_ended(w, 0, a)->err, err);
    assert_int_equal(world_role_of(w, 0, d), ROVEI_ROLE_SERVING);
    assert_ok(world_deliver(w, 0, d, "goes on"));
    world_until(w, WORLD_LONG, !world_daemon(w, 1, d));
    for (size_t i = 0; i < WORLD_CELLS; i++) /* no copy is left at the target */
        assert_true(w->nodes[1].cells[i].state == CELL_NONE ||
                    w->nodes[1].cells[i].state == CELL_FORGOTTEN);
}

/* Starts a move and stands where an effect of a node is held, and what comes behind it with it. */
static rovei_attempt_id move_until(world *w, const rove_entity *d, size_t node,
                                   rovei_effect_kind held)
{
    w->nodes[node].hold = 1u << held;
    if (held == ROVEI_EFFECT_WRITE_STATE)
        w->nodes[node].hold |= 1u << ROVEI_EFFECT_RESTORE;
    rovei_attempt_id a = world_move(w, 0, 1, d, 0);
    world_until(w, WORLD_LONG, w->nodes[node].held_count > 0);
    return a;
}

static void goes_in_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 65536 - 4, 65536, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world w;
        rove_entity d = begin(&w, sizes[i]);
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        world_assert_moved(&w, 0, 1, &d);
        assert_same_state(&w, &d);
        assert_int_equal(w.nodes[1].opened, 1);
        rovei_move_info info = world_info(&w, 0, &a);
        assert_int_equal(info.bytes, w.nodes[0].cells[0].log_size);
        world_fini(&w);
    }
}

/* One side holds the state in a buffer, the other does not. */
static void forms_mix(void **state)
{
    (void)state;
    for (size_t side = 0; side < 2; side++) {
        world w;
        rove_entity d = begin(&w, 500000);
        w.nodes[side].t.env.limits.state_whole = 1 << 20;
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        const world_cell *from = &w.nodes[0].cells[0], *to = world_cell_of(&w, 1, &d);
        assert_int_equal(to->in_pieces, side == 0);
        assert_int_equal(from->log_size, to->log_size);
        assert_memory_equal(from->log, to->log, to->log_size);
        world_fini(&w);
    }
}

/* ---- the slower side sets the pace ---- */

static void a_slow_cell_holds_the_source_back(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 30 << 20);
    uint64_t window = w.nodes[1].t.env.limits.stream_window;
    rovei_attempt_id a = move_until(&w, &d, 1, ROVEI_EFFECT_WRITE_STATE);
    world_until(&w, WORLD_LONG, w.nodes[1].held_count * 65536 >= window - 65536);
    world_run(&w, 5 * ROVE_SECOND);
    uint64_t got = 0;
    for (size_t i = 0; i < w.nodes[1].held_count; i++)
        got += w.nodes[1].held[i].payload.size;
    assert_true(got <= window); /* it waits there, and nothing more comes */
    /* What the source has read beyond that is bounded too. */
    assert_true(world_info(&w, 0, &a).bytes <= window + (UINT64_C(9) << 20));
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_same_state(&w, &d);
    assert_int_equal(w.nodes[1].opened, 1);
    world_fini(&w);
}

/* Everything has come before the cell stands. */
static void sealed_waits_for_the_cell(void **state)
{
    (void)state;
    static const rovei_effect_kind kinds[] = {ROVEI_EFFECT_OPEN_STATE, ROVEI_EFFECT_WRITE_STATE};
    for (size_t i = 0; i < 2; i++) {
        world w;
        rove_entity d = begin(&w, 200000);
        rovei_attempt_id a = move_until(&w, &d, 1, kinds[i]);
        world_until(&w, WORLD_LONG, w.nodes[0].seen[ROVEI_MOVE_SEALED] > 0);
        world_run(&w, 100 * ROVE_MILLISECOND);
        unsigned sealed = w.nodes[0].seen[ROVEI_MOVE_SEALED];
        world_release(&w, 1);
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        assert_int_equal(w.nodes[0].seen[ROVEI_MOVE_SEALED], sealed); /* not asked for again */
        assert_same_state(&w, &d);
        world_fini(&w);
    }
}

/* ---- it cannot be read, or not be taken ---- */

static void the_state_cannot_be_read(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 200000);
    w.nodes[0].read = ROVE_E_SNAPSHOT_FAILED;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    assert_stays(&w, &d, &a, ROVE_E_SNAPSHOT_FAILED);
    w.nodes[0].read = ROVE_OK;
    a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_same_state(&w, &d);
    world_fini(&w);
}

static void the_state_is_not_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        world w;
        rove_entity d = begin(&w, 200000);
        rove_err want = ROVE_E_RESTORE_FAILED;
        if (i == 0)
            w.nodes[1].restore = want;
        else if (i == 1)
            w.nodes[1].write = want;
        else
            w.nodes[1].t.env.limits.state_max = 200000, want = ROVE_E_TOO_LARGE;
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
        assert_stays(&w, &d, &a, want);
        assert_int_equal(w.nodes[1].opened, i == 1);
        world_fini(&w);
    }
}

/* A copy whose bytes do not agree with the digest is given up, never served. */
static void a_wrong_byte_is_noticed(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 200000);
    w.nodes[1].hold = 1u << ROVEI_EFFECT_OPEN_STATE;
    w.nodes[0].swallow = ROVEI_MOVE_SEALED;
    w.nodes[0].swallow_count = 1;
    rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
    world_until(&w, WORLD_LONG, w.nodes[0].kept[ROVEI_MOVE_SEALED] != NULL);
    rove_buf *sealed = w.nodes[0].kept[ROVEI_MOVE_SEALED];
    rovei_buf_data(sealed)[rovei_buf_size(sealed) - 1] ^= 1; /* of the digest */
    world_run(&w, 10 * ROVE_MILLISECOND);
    world_replay(&w, 0, 1, ROVEI_MOVE_SEALED);
    world_run(&w, 10 * ROVE_MILLISECOND);
    world_release(&w, 1);
    assert_stays(&w, &d, &a, ROVE_E_STATE_FAILED);
    assert_int_equal(w.nodes[1].opened, 1);
    world_fini(&w);
}

/* The Offer names one size, the first piece another. */
static void a_wrong_size_is_noticed(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 200000);
    rovei_attempt_id a = move_until(&w, &d, 0, ROVEI_EFFECT_FREEZE);
    uint8_t *offer = rovei_buf_data(w.nodes[0].kept[ROVEI_MOVE_OFFER]);
    rovei_store64(offer + ROVEI_MOVE_HEADER_SIZE + 8, 200005); /* behind round and flags */
    world_replay(&w, 0, 1, ROVEI_MOVE_OFFER);
    world_run(&w, 10 * ROVE_MILLISECOND);
    world_release(&w, 0);
    assert_stays(&w, &d, &a, ROVE_E_STATE_FAILED);
    assert_int_equal(w.nodes[1].opened, 0);
    world_fini(&w);
}

/* ---- again from the start ---- */

static void a_lost_piece_starts_anew(void **state)
{
    (void)state;
    for (unsigned lost = 1; lost <= 3; lost++) {
        world w;
        rove_entity d = begin(&w, 900000);
        w.nodes[0].swallow = ROVEI_MOVE_STATE;
        w.nodes[0].swallow_count = lost;
        rovei_attempt_id a = world_move(&w, 0, 1, &d, 0);
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        assert_same_state(&w, &d);
        world_fini(&w);
    }
}

static void the_target_crashes_under_way(void **state)
{
    (void)state;
    static const rovei_effect_kind places[] = {ROVEI_EFFECT_OPEN_STATE, ROVEI_EFFECT_WRITE_STATE,
                                               ROVEI_EFFECT_RESTORE};
    for (size_t i = 0; i < 3; i++) {
        world w;
        rove_entity d = begin(&w, 900000);
        rovei_attempt_id a = move_until(&w, &d, 1, places[i]);
        world_restart(&w, 1);
        w.nodes[1].t.env.limits.state_whole = 0;
        world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
        world_assert_moved(&w, 0, 1, &d);
        assert_same_state(&w, &d);
        world_fini(&w);
    }
}

/* The target has lost all after the commit: the same bytes are read from the frozen cell again. */
static void the_target_crashes_after_the_commit(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 900000);
    rovei_attempt_id a = move_until(&w, &d, 1, ROVEI_EFFECT_ACTIVATE);
    assert_int_equal(world_role_of(&w, 0, &d), ROVEI_ROLE_COMMITTED);
    w.nodes[0].read = ROVE_E_NOMEM; /* for a while it cannot */
    world_restart(&w, 1);
    world_until(&w, WORLD_LONG, world_daemon(&w, 0, &d)->note != NULL);
    assert_int_equal(world_info(&w, 0, &a).reason, ROVE_E_NOMEM);
    w.nodes[0].read = ROVE_OK;
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    world_assert_moved(&w, 0, 1, &d);
    assert_same_state(&w, &d);
    assert_int_equal(world_daemon(&w, 1, &d)->sinc.number, 2);
    world_fini(&w);
}

static void the_link_is_cut_under_way(void **state)
{
    (void)state;
    world w;
    rove_entity d = begin(&w, 900000);
    rovei_attempt_id a = move_until(&w, &d, 1, ROVEI_EFFECT_WRITE_STATE);
    world_cut(&w, 0, 1, true);
    world_run(&w, 5 * ROVE_SECOND);
    world_cut(&w, 0, 1, false);
    world_release(&w, 1);
    world_until(&w, WORLD_LONG, world_completed(&w, 0, &a));
    assert_same_state(&w, &d);
    world_fini(&w);
}

/* ---- cancelled ---- */

static void cancelled_under_way(void **state)
{
    (void)state;
    static const struct {
        size_t node;
        rovei_effect_kind held;
    } places[] = {
        {0, ROVEI_EFFECT_READ_STATE}, {1, ROVEI_EFFECT_OPEN_STATE}, {1, ROVEI_EFFECT_WRITE_STATE}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        world w;
        rove_entity d = begin(&w, 900000);
        rovei_attempt_id a = move_until(&w, &d, places[i].node, places[i].held);
        assert_ok(rovei_node_cancel(w.nodes[0].node, w.now, &a, ROVE_E_CANCELLED));
        world_run(&w, ROVE_SECOND);
        for (size_t j = 0; j < 2; j++)
            world_release(&w, j);
        world_run(&w, ROVE_SECOND);
        assert_stays(&w, &d, &a, ROVE_E_CANCELLED);
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_in_pieces),
        cmocka_unit_test(forms_mix),
        cmocka_unit_test(a_slow_cell_holds_the_source_back),
        cmocka_unit_test(sealed_waits_for_the_cell),
        cmocka_unit_test(the_state_cannot_be_read),
        cmocka_unit_test(the_state_is_not_taken),
        cmocka_unit_test(a_wrong_byte_is_noticed),
        cmocka_unit_test(a_wrong_size_is_noticed),
        cmocka_unit_test(a_lost_piece_starts_anew),
        cmocka_unit_test(the_target_crashes_under_way),
        cmocka_unit_test(the_target_crashes_after_the_commit),
        cmocka_unit_test(the_link_is_cut_under_way),
        cmocka_unit_test(cancelled_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
