/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of moves have in common. */
#include "moves_world.h"

#include <stdio.h>

rovei_role world_role_of(world *w, size_t i, const rove_entity *daemon)
{
    const rovei_daemon *d = world_daemon(w, i, daemon);
    assert_non_null(d);
    return d->role;
}

bool world_completed(world *w, size_t i, const rovei_attempt_id *a)
{
    const rovei_note *note = world_ended(w, i, a);
    return note && note->outcome == ROVEI_OUTCOME_COMPLETED;
}

/* It lives on node `at` alone, is closed there, and is gone from node `from`. */
void world_assert_moved(world *w, size_t from, size_t at, const rove_entity *daemon)
{
    world_until(w, WORLD_LONG,
                world_daemon(w, at, daemon) && !world_daemon(w, from, daemon) &&
                    !world_daemon(w, at, daemon)->target);
    assert_int_equal(world_serving(w, daemon), 1);
    assert_int_equal(world_role_of(w, at, daemon), ROVEI_ROLE_SERVING);
}

size_t world_notes_of(const world *w, size_t i, rovei_note_kind kind)
{
    size_t count = 0;
    for (size_t j = 0; j < w->nodes[i].note_count; j++)
        count += w->nodes[i].notes[j].kind == kind;
    return count;
}

void world_send_text(world *w, size_t i, uint64_t sender, const char *text)
{
    rove_buf *payload = rovei_buf_copy(&w->nodes[i].t.env.alloc, text, strlen(text));
    uint64_t number;
    assert_non_null(payload);
    assert_ok(rovei_node_sender_send(w->nodes[i].node, w->now, sender, payload, &number));
    rove_buf_unref(payload);
}

void world_assert_results(const world_cell *c, size_t count)
{
    assert_int_equal(c->diverted_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(c->diverted[i].has_result);
        assert_int_equal(c->diverted[i].err, ROVE_OK);
        rovei_reader r = rovei_reader_of(rove_buf_span(c->diverted[i].outputs));
        rove_link link;
        rove_span payload;
        char text[16];
        snprintf(text, sizeof text, "%zu", i + 2);
        assert_true(rovei_event_frame_read(&r, &link, &payload));
        assert_span(payload, text, strlen(text));
    }
}

/* Up to the freeze of a move of a daemon with one event, with `count` events diverted. */
rovei_attempt_id world_divert_some(world *w, const rove_entity *d, size_t count)
{
    assert_ok(world_deliver(w, 0, d, "first"));
    w->nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    rovei_attempt_id a = world_move(w, 0, 1, d, 0);
    world_until(w, WORLD_LONG, world_cell_of(w, 0, d)->state == CELL_FROZEN);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "diverted %zu", i + 1);
        assert_int_equal(world_deliver(w, 0, d, text), ROVE_E_DIVERTED);
    }
    world_until(w, WORLD_LONG, w->nodes[0].held_count == 1);
    return a;
}

void world_assert_diverted_once(world *w, size_t at, const rove_entity *d, size_t count)
{
    const world_cell *c = world_cell_of(w, at, d);
    assert_int_equal(c->applied, count + 1);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "diverted %zu", i + 1);
        assert_int_equal(world_times(c, text), 1);
    }
}

/* Stops the world where an effect of a node is held. */
rovei_attempt_id world_move_until(world *w, const rove_entity *d, size_t node,
                                  rovei_effect_kind held)
{
    assert_ok(world_deliver(w, 0, d, "one"));
    w->nodes[node].hold = 1u << held;
    rovei_attempt_id a = world_move(w, 0, 1, d, 0);
    world_until(w, WORLD_LONG, w->nodes[node].held_count == 1);
    return a;
}

void world_restart(world *w, size_t i)
{
    world_stop(w, i);
    w->nodes[i].hold = 0;
    world_run(w, ROVE_SECOND);
    world_start(w, i);
}
