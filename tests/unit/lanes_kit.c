/* SPDX-License-Identifier: Apache-2.0
 *
 * The hand in the frames, and the questions to what senders were told. */
#include "lanes_kit.h"

#include <limits.h>
#include <stdio.h>

static bool see(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    kit_tap *t = user;
    (void)to;
    if (tag == ROVEI_TAG_LOCATE)
        t->asked++;
    if (tag != ROVEI_TAG_LANE && tag != ROVEI_TAG_OUTCOME)
        return false;
    uint8_t type = *(const uint8_t *)head.data;
    assert_true(type < KIT_TYPES);
    rove_span tail = rove_buf_span(body);
    rove_buf *all = rovei_buf_alloc(NULL, head.size + tail.size);
    assert_non_null(all);
    memcpy(rovei_buf_data(all), head.data, head.size);
    if (tail.size)
        memcpy(rovei_buf_data(all) + head.size, tail.data, tail.size);
    rovei_lane_frame f;
    assert_ok(rovei_lane_frame_read(rove_buf_span(all), &f));
    assert_int_equal(rovei_lane_is_to_host(f.type), tag == ROVEI_TAG_LANE);
    t->seen[type]++;
    if (!t->kept[type])
        t->kept[type] = rove_buf_ref(all);
    rove_buf_unref(all);
    if (!t->swallow[type])
        return false;
    if (t->swallow[type] != UINT_MAX)
        t->swallow[type]--;
    return true;
}

void kit_tap_on(kit *k, size_t node)
{
    kit_tap *t = &k->taps[node];
    t->w = &k->w;
    t->from = node;
    t->tap = (rovei_node_tap){see, t};
    rovei_node_set_tap(k->w.nodes[node].node, &t->tap);
}

kit *kit_new(size_t nodes)
{
    kit *k = calloc(1, sizeof *k);
    assert_non_null(k);
    world_init(&k->w, nodes);
    for (size_t i = 0; i < nodes; i++)
        kit_tap_on(k, i);
    return k;
}

void kit_forget(kit *k)
{
    for (size_t i = 0; i < WORLD_NODES; i++)
        for (size_t j = 0; j < KIT_TYPES; j++) {
            rove_buf_unref(k->taps[i].kept[j]);
            k->taps[i].kept[j] = NULL;
            k->taps[i].seen[j] = 0;
            k->taps[i].asked = 0;
        }
}

void kit_free(kit *k)
{
    kit_forget(k);
    world_fini(&k->w);
    free(k);
}

static uint16_t tag_of(rovei_lane_type type)
{
    return rovei_lane_is_to_host(type) ? ROVEI_TAG_LANE : ROVEI_TAG_OUTCOME;
}

void kit_replay(kit *k, size_t from, size_t to, rovei_lane_type type)
{
    assert_non_null(k->taps[from].kept[type]);
    rovei_node_inject(k->w.nodes[to].node, k->w.now, &k->w.nodes[from].entity, tag_of(type),
                      k->taps[from].kept[type]);
}

void kit_inject(kit *k, size_t from, size_t to, const rovei_lane_frame *f)
{
    uint8_t bytes[4096];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_lane_frame_write(&w, f);
    assert_int_equal(w.err, ROVE_OK);
    rove_buf *message = rovei_buf_copy(NULL, bytes, rovei_writer_size(&w));
    rovei_node_inject(k->w.nodes[to].node, k->w.now, &k->w.nodes[from].entity, tag_of(f->type),
                      message);
    rove_buf_unref(message);
}

uint64_t kit_open(kit *k, size_t node, const rove_entity *daemon)
{
    uint64_t sender;
    assert_ok(rovei_node_sender_open(k->w.nodes[node].node, k->w.now, daemon, &sender));
    return sender;
}

rove_err kit_try(kit *k, size_t node, uint64_t sender, const char *text, uint64_t *ret_number)
{
    rove_buf *payload = rovei_buf_copy(&k->w.nodes[node].t.env.alloc, text, strlen(text));
    assert_non_null(payload);
    rove_err err =
        rovei_node_sender_send(k->w.nodes[node].node, k->w.now, sender, payload, ret_number);
    rove_buf_unref(payload);
    return err;
}

uint64_t kit_send(kit *k, size_t node, uint64_t sender, const char *text)
{
    uint64_t number = 0;
    assert_ok(kit_try(k, node, sender, text, &number));
    return number;
}

void kit_stream(kit *k, size_t node, uint64_t sender, const char *prefix, unsigned first,
                unsigned last)
{
    char text[64];
    for (unsigned i = first; i <= last;) {
        uint64_t number;
        snprintf(text, sizeof text, "%s%u", prefix, i);
        rove_err err = kit_try(k, node, sender, text, &number);
        if (err == ROVE_E_WINDOW) {
            world_run(&k->w, ROVE_MILLISECOND);
            continue;
        }
        assert_ok(err);
        i++;
    }
}

rovei_sender *kit_sender(kit *k, size_t node, uint64_t sender)
{
    return rovei_map_get(&k->w.nodes[node].node->senders, &sender);
}

rovei_lane *kit_lane(kit *k, size_t host, size_t node, uint64_t sender)
{
    const rovei_sender *s = kit_sender(k, node, sender);
    assert_non_null(s);
    const rovei_daemon *d = rovei_daemon_find(k->w.nodes[host].node, &s->route->daemon);
    assert_non_null(d);
    return rovei_lane_find(d->lanes, &k->w.nodes[node].entity, s->lane);
}

/* ---- what a sender was told ---- */

size_t kit_count(kit *k, size_t node, uint64_t sender, rovei_note_kind kind)
{
    const world_node *n = &k->w.nodes[node];
    size_t count = 0;
    for (size_t i = 0; i < n->note_count; i++)
        count += n->notes[i].kind == kind && n->notes[i].sender == sender;
    return count;
}

const rovei_note *kit_note(kit *k, size_t node, uint64_t sender, rovei_note_kind kind,
                           uint64_t number)
{
    const world_node *n = &k->w.nodes[node];
    const rovei_note *found = NULL;
    for (size_t i = 0; i < n->note_count; i++) {
        const rovei_note *note = &n->notes[i];
        if (note->kind != kind || note->sender != sender || note->number != number)
            continue;
        assert_null(found);
        found = note;
    }
    return found;
}

void kit_assert_applied(kit *k, size_t node, uint64_t sender, uint64_t first, uint64_t last)
{
    const world_node *n = &k->w.nodes[node];
    uint64_t next = first;
    for (size_t i = 0; i < n->note_count; i++) {
        const rovei_note *note = &n->notes[i];
        if (note->kind != ROVEI_NOTE_APPLIED || note->sender != sender || note->number < first ||
            note->number > last)
            continue;
        assert_int_equal(note->number, next);
        assert_int_equal(note->err, ROVE_OK);
        next++;
    }
    assert_int_equal(next, last + 1);
}

uint64_t kit_lost(kit *k, size_t node, uint64_t sender)
{
    const world_node *n = &k->w.nodes[node];
    uint64_t lost = 0;
    for (size_t i = 0; i < n->note_count; i++)
        if (n->notes[i].kind == ROVEI_NOTE_LOST && n->notes[i].sender == sender)
            lost += n->notes[i].value - n->notes[i].number + 1;
    return lost;
}

void kit_assert_output(const rovei_note *note, const char *text)
{
    rovei_reader r = rovei_reader_of(note->outputs);
    rove_link link;
    rove_span payload;
    assert_int_equal(note->output_count, 1);
    assert_true(rovei_event_frame_read(&r, &link, &payload));
    assert_span(payload, text, strlen(text));
    assert_int_equal(rovei_reader_left(&r), 0);
}

void kit_assert_log(const world_cell *c, const char *prefix, unsigned first, unsigned last)
{
    size_t length = strlen(prefix);
    unsigned next = first;
    for (size_t at = 0; at < c->log_size;) {
        char text[64] = {0};
        uint32_t size;
        memcpy(&size, c->log + at, sizeof size);
        at += sizeof size;
        assert_true(size < sizeof text);
        memcpy(text, c->log + at, size);
        at += size;
        if (strncmp(text, prefix, length) == 0)
            assert_int_equal(strtoul(text + length, NULL, 10), next++);
    }
    assert_int_equal(next, last + 1);
}

/* ---- a state that goes back ---- */

rove_buf *kit_save(kit *k, size_t host, const rove_entity *daemon)
{
    rove_buf *image = NULL;
    assert_ok(rovei_lanes_export(rovei_daemon_find(k->w.nodes[host].node, daemon)->lanes, k->w.now,
                                 &image));
    return image;
}

void kit_go_back(kit *k, size_t host, const rove_entity *daemon, rove_buf *image)
{
    rovei_node *n = k->w.nodes[host].node;
    rovei_daemon *d = rovei_daemon_find(n, daemon);
    rovei_lanes_free(d->lanes);
    assert_ok(rovei_lanes_new(&d->lanes, n, d));
    if (image)
        assert_ok(rovei_lanes_import(d->lanes, k->w.now, rove_buf_span(image)));
    rovei_daemon_raise_sinc(n, d, 0);
    rove_buf_unref(image);
}
