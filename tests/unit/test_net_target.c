/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon that comes from a peer of class net: the steps, what is said again, every failure with
 * its code and text, and what hostile peers try. */
#include "outsiders.h"

#include <state/snapshot.h>
#include <stdio.h>

#define REPEAT ROVE_SECOND

/* ---- what an outsider gives away ---- */

typedef struct gift {
    rovei_keypair *key;
    rove_entity entity;
    uint64_t origin, seq;
    uint8_t *bytes;
    size_t size;
} gift;

typedef enum how { SEALED, PLAIN, FOR_ANOTHER } how;

/* A snapshot of `size` bytes of state after `seq` outputs, for node 0. */
static gift make_gift(outsiders *o, uint64_t seed, uint64_t seq, size_t size, how seal)
{
    gift g = {.seq = seq};
    uint8_t bytes[32], secret[32], target[32];
    uint64_t random = seed;
    random_bytes(&random, bytes, sizeof bytes);
    assert_ok(rovei_keypair_from_seed(&g.key, &o->peers[0].t.env, bytes));
    g.entity = *rovei_keypair_entity(g.key);
    g.origin = rovei_keypair_origin(g.key);
    uint8_t *state = malloc(size);
    assert_non_null(state);
    random_bytes(&random, state, size);
    rovei_snapshot s = {.entity = g.entity,
                        .through_seq = seq,
                        .link = {g.origin, 0, seq, 77},
                        .created_at = 42,
                        .state = {state, size}};
    assert_ok(
        rovei_keypair_x25519(seal == FOR_ANOTHER ? o->peers[0].id : o->w.nodes[0].id, secret));
    rovei_x25519_public(target, secret);
    if (seal != PLAIN)
        assert_ok(rovei_snapshot_seal(&s, &o->peers[0].t.env, g.key, target));
    assert_ok(rovei_snapshot_size(&s, &g.size));
    g.bytes = malloc(g.size);
    assert_non_null(g.bytes);
    rovei_writer w = rovei_writer_of(g.bytes, g.size);
    rovei_snapshot_encode(&s, &w);
    assert_ok(w.err);
    free(state);
    return g;
}

static void gift_free(gift *g)
{
    rovei_keypair_unref(g->key);
    free(g->bytes);
}

static void give_chunk(outsiders *o, size_t who, const gift *g, uint32_t index)
{
    rove_span all = {g->bytes, g->size};
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY, .origin = g->origin};
    m.chunk = (rovei_netmove_chunk){g->seq, index, rovei_netmove_chunk_count(g->size),
                                    rovei_netmove_chunk_at(all, index)};
    outsider_say(o, who, 0, &m);
}

static void give(outsiders *o, size_t who, const gift *g)
{
    for (uint32_t i = 0; i < rovei_netmove_chunk_count(g->size); i++)
        give_chunk(o, who, g, i);
    world_run(&o->w, 10 * ROVE_MILLISECOND);
}

static void say(outsiders *o, size_t who, rovei_netmove_type type, uint64_t origin)
{
    rovei_netmove_message m = {.type = type, .origin = origin};
    outsider_say(o, who, 0, &m);
    world_run(&o->w, 10 * ROVE_MILLISECOND);
}

static void say_events(outsiders *o, uint64_t origin, size_t count, const uint64_t *sequences,
                       const char *const *texts)
{
    uint8_t items[1024];
    rovei_writer w = rovei_writer_of(items, sizeof items);
    for (size_t i = 0; i < count; i++) {
        rovei_netmove_event e = {{9, 0, sequences[i], 0}, span_of(texts[i]), 5};
        rovei_netmove_event_write(&w, &e);
    }
    assert_ok(w.err);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_BUFFERED_EVENTS, .origin = origin};
    m.events.count = (uint32_t)count;
    m.events.items = (rove_span){items, rovei_writer_size(&w)};
    outsider_say(o, 0, 0, &m);
    world_run(&o->w, 10 * ROVE_MILLISECOND);
}

static rovei_netmove_message heard(outsiders *o, size_t who, rovei_netmove_type type)
{
    rovei_netmove_message m;
    assert_true(outsider_heard(o, who, type, &m));
    return m;
}

static void assert_failed(outsiders *o, size_t who, rovei_netmove_code code, const char *text)
{
    rovei_netmove_message m = heard(o, who, ROVEI_NETMOVE_MIGRATION_FAILED);
    assert_int_equal(outsider_count(o, who, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    assert_int_equal(m.failed.code, code);
    if (text)
        assert_span(m.failed.text, text, strlen(text));
}

static rovei_daemon *daemon_of(outsiders *o, const gift *g)
{
    return rovei_daemon_find(o->w.nodes[0].node, &g->entity);
}

static rovei_net_move_stats stats_of(outsiders *o)
{
    return rovei_net_moves_stats(o->w.nodes[0].node);
}

/* ---- the way it goes ---- */

static void arrives(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    give(&o, 0, &g);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE).sequence, 3);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE).origin, g.origin);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED); /* and does not serve */
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    rovei_netmove_message m = heard(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE);
    rove_link head = {g.origin, 0, 3, 77};
    assert_int_equal(m.replayed.sequence, 3);
    assert_memory_equal(&m.replayed.head, &head, sizeof head);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_ACTIVATE_ACK).sequence, 3);
    const rovei_daemon *d = daemon_of(&o, &g);
    assert_int_equal(d->role, ROVEI_ROLE_SERVING);
    assert_true(d->forced && d->epoch >= ROVEI_EPOCH_FORCED && !d->net_target);
    assert_true(rovei_entity_equal(rovei_keypair_entity(d->key), &g.entity));
    assert_false(rovei_keypair_is_read_only(d->key)); /* the key came with it */
    /* The same answer again; the move is closed and remembered. */
    outsider_clear(&o, 0);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_ACTIVATE_ACK).sequence, 3);
    rovei_move_info info;
    size_t it = 0;
    assert_true(rovei_node_move_next(o.w.nodes[0].node, &it, &info));
    assert_int_equal(info.outcome, ROVEI_OUTCOME_COMPLETED);
    assert_true(info.closed && !info.local_source);
    rove_entity from = rovei_entity_of_net(o.peers[0].node_id);
    assert_true(rovei_entity_equal(&info.source, &from));
    /* The whole set again, once it is over, says nothing and is not answered: the move is not one
     * that failed. */
    give(&o, 0, &g);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 0);
    assert_int_equal(o.w.nodes[0].node->net_moves->place_count, 0);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_SNAPSHOT_READY], 1);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    /* It is remembered for a few minutes only. */
    outsider_clear(&o, 0);
    world_run(&o.w, 301 * ROVE_SECOND);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_ACTIVATE_ACK), 0);
    assert_int_equal(stats_of(&o).refused[ROVEI_NETMOVE_ACTIVATE_TARGET], 1);
    gift_free(&g);
    outsiders_fini(&o);
}

static void finish(outsiders *o, const gift *g)
{
    assert_int_equal(outsider_count(o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE), 1);
    say(o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g->origin);
    say(o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g->origin);
    assert_int_equal(outsider_count(o, 0, ROVEI_NETMOVE_ACTIVATE_ACK), 1);
    assert_int_equal(daemon_of(o, g)->role, ROVEI_ROLE_SERVING);
}

static void in_any_order(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 9, 21500, SEALED);
    for (uint32_t i = rovei_netmove_chunk_count(g.size); i-- > 0;) {
        give_chunk(&o, 0, &g, i);
        give_chunk(&o, 0, &g, i); /* once more, which changes nothing; the last one is too late */
    }
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    world_cell *c = world_cell_of(&o.w, 0, &g.entity);
    assert_int_equal(c->log_size, 21500);
    finish(&o, &g);
    gift_free(&g);
    outsiders_fini(&o);
}

/* One that came is given on, and comes back: with a higher epoch each time. */
static void comes_and_goes(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    uint64_t epoch = 0;
    for (uint64_t round = 1; round <= 3; round++) {
        gift g = make_gift(&o, 1, round, 50, SEALED);
        give(&o, 0, &g);
        finish(&o, &g);
        rovei_daemon *d = daemon_of(&o, &g);
        assert_true(d->epoch >= epoch + ROVEI_EPOCH_FORCED);
        epoch = d->epoch;
        outsider_clear(&o, 0);
        assert_ok(rovei_node_stop(o.w.nodes[0].node, o.w.now, &g.entity)); /* it has left */
        world_run(&o.w, 10 * ROVE_MILLISECOND);
        gift_free(&g);
    }
    outsiders_fini(&o);
}

/* The right that other nodes know is below the one that it gets. */
static void above_what_others_know(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 2, 1);
    world_cut(&o.w, 0, 1, true);
    rove_entity daemon = world_spawn(&o.w, 1, 1);
    uint64_t known = world_daemon(&o.w, 1, &daemon)->epoch;
    assert_ok(rovei_node_stop(o.w.nodes[1].node, o.w.now, &daemon));
    world_cut(&o.w, 0, 1, false);
    world_run(&o.w, 2 * ROVE_SECOND);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    assert_true(rovei_entity_equal(&g.entity, &daemon));
    give(&o, 0, &g);
    finish(&o, &g);
    assert_true(daemon_of(&o, &g)->epoch >= known + ROVEI_EPOCH_FORCED);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    const rovei_location *l = rovei_location_get(o.w.nodes[1].node, &daemon);
    assert_true(l && rovei_entity_equal(&l->record.holder, &o.w.nodes[0].entity));
    gift_free(&g);
    outsiders_fini(&o);
}

/* ---- failures ---- */

static void fails(rove_err place, rove_err restore, how seal, bool key, rovei_netmove_code code,
                  const char *text)
{
    static const size_t sizes[] = {100, 30000};
    for (size_t i = 0; i < 2; i++) {
        outsiders o;
        outsiders_init(&o, 1, 1);
        gift g = make_gift(&o, 1, 3, sizes[i], seal);
        o.w.nodes[0].place = place;
        o.w.nodes[0].restore = restore;
        if (key)
            o.w.nodes[0].has_key = rovei_keypair_ref(g.key);
        give(&o, 0, &g);
        assert_failed(&o, 0, code, text); /* one answer for a set, however many chunks it has */
        assert_null(daemon_of(&o, &g));
        /* It may be tried again once the cause is gone. */
        outsider_clear(&o, 0);
        world_run(&o.w, ROVE_SECOND);
        o.w.nodes[0].place = o.w.nodes[0].restore = ROVE_OK;
        gift again = make_gift(&o, 1, 3, sizes[i], SEALED);
        give(&o, 0, &again);
        finish(&o, &again);
        gift_free(&again);
        gift_free(&g);
        if (key)
            rovei_keypair_unref(o.w.nodes[0].has_key), o.w.nodes[0].has_key = NULL;
        outsiders_fini(&o);
    }
}

static void failures(void **state)
{
    (void)state;
    fails(ROVE_E_TARGET_NOT_READY, 0, SEALED, false, ROVEI_NETMOVE_NOT_READY, NULL);
    fails(ROVE_E_TARGET_NO_FACTORY, 0, SEALED, false, ROVEI_NETMOVE_NO_FACTORY, NULL);
    fails(ROVE_E_TARGET_NO_RUNTIME, 0, SEALED, false, ROVEI_NETMOVE_NO_RUNTIME, NULL);
    fails(
        0, ROVE_E_RESTORE_FAILED, SEALED, false, ROVEI_NETMOVE_STATE_FAILED,
        "restore_snapshot failed: StateFailed(\"restore failed: the daemon cannot be restored from "
        "this state\")");
    fails(0, 0, PLAIN, false, ROVEI_NETMOVE_STATE_FAILED,
          "identity envelope open failed: placeholder factory registered but snapshot has no "
          "identity envelope (and no local fallback keypair available)");
    /* A key that is registered here does not stand in for an envelope that does not open. */
    fails(0, 0, FOR_ANOTHER, true, ROVEI_NETMOVE_STATE_FAILED,
          "identity envelope open failed: identity envelope: seal_open failed (wrong target key or "
          "tampered ciphertext)");
}

static void key_of_the_target(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 100, PLAIN);
    o.w.nodes[0].has_key = rovei_keypair_ref(g.key);
    give(&o, 0, &g);
    finish(&o, &g);
    gift_free(&g);
    outsiders_fini(&o);
}

static void not_a_snapshot(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 21500, SEALED);
    uint8_t junk[32];
    memset(junk, 0xFF, sizeof junk);
    gift bad = {.origin = g.origin, .seq = 3, .bytes = junk, .size = sizeof junk};
    give(&o, 0, &bad);
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED, "failed to parse snapshot bytes on target");
    /* Of several chunks the first one tells already. */
    outsider_clear(&o, 0);
    gift wrong = g;
    wrong.origin = 0x1234;
    give(&o, 0, &wrong);
    rovei_text text;
    rovei_text_set(&text, "SnapshotReady chunk 0 entity_id origin ");
    rovei_text_add_hex(&text, g.origin);
    rovei_text_add(&text, " does not match daemon_origin 0x1234");
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED, text.chars);
    /* Another byte at its end. */
    outsider_clear(&o, 0);
    world_run(&o.w, ROVE_SECOND);
    gift longer = g;
    longer.bytes = malloc(g.size + 1);
    assert_non_null(longer.bytes);
    memcpy(longer.bytes, g.bytes, g.size);
    longer.bytes[longer.size++] = 0;
    give(&o, 0, &longer);
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED, "failed to parse snapshot bytes on target");
    outsider_clear(&o, 0);
    give(&o, 0, &g);
    finish(&o, &g);
    free(longer.bytes);
    gift_free(&g);
    outsiders_fini(&o);
}

static void lives_here(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    rove_entity daemon = world_spawn(&o.w, 0, 1);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    give(&o, 0, &g);
    char text[200];
    snprintf(text, sizeof text,
             "restore_snapshot failed: StateFailed(\"daemon process failed: daemon 0x%llx already "
             "registered\")",
             (unsigned long long)g.origin);
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED, text);
    assert_int_equal(world_daemon(&o.w, 0, &daemon)->role, ROVEI_ROLE_SERVING);
    gift_free(&g);
    outsiders_fini(&o);
}

/* ---- what is said again, and what comes again ---- */

static void said_again(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 9000, SEALED);
    give(&o, 0, &g);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE), 1);
    give(&o, 0, &g); /* the answer was lost */
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE), 2);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 0);
    world_run(&o.w, REPEAT + 50 * ROVE_MILLISECOND); /* and by itself */
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE), 3);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE), 2);
    /* From here on only the orchestrator ends it: it is said again for ever. Half of a set that
     * came again does not count as one that failed. */
    give_chunk(&o, 0, &g, 0);
    world_run(&o.w, 3600 * ROVE_SECOND);
    assert_true(outsider_count(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE) > 100);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 0);
    assert_int_equal(o.w.nodes[0].node->net_moves->place_count, 0);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    gift_free(&g);
    outsiders_fini(&o);
}

/* A later snapshot of the same sender takes the place of one that has not served. */
static void another_takes_its_place(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 9000, SEALED), later = make_gift(&o, 1, 5, 12000, SEALED);
    give(&o, 0, &g);
    outsider_clear(&o, 0);
    give(&o, 0, &later);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_RESTORE_COMPLETE).sequence, 5);
    finish(&o, &later);
    assert_int_equal(world_cell_of(&o.w, 0, &g.entity)->log_size, 12000);
    gift_free(&g);
    gift_free(&later);
    outsiders_fini(&o);
}

static void given_up(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 9000, SEALED);
    /* In the middle of the chunks. */
    give_chunk(&o, 0, &g, 0);
    say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
    give_chunk(&o, 0, &g, 1); /* alone it makes nothing */
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_null(daemon_of(&o, &g));
    say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
    /* After the restore, and after the replay. */
    for (int replay = 0; replay < 2; replay++) {
        give(&o, 0, &g);
        if (replay)
            say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
        assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
        say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
        assert_null(daemon_of(&o, &g));
        assert_null(world_cell_of(&o.w, 0, &g.entity));
    }
    /* Not once it serves. */
    outsider_clear(&o, 0);
    give(&o, 0, &g);
    finish(&o, &g);
    say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    assert_int_equal(stats_of(&o).refused[ROVEI_NETMOVE_MIGRATION_FAILED], 1);
    gift_free(&g);
    outsiders_fini(&o);
}

/* Of an earlier move, and kept back by the network: neither the word to serve, which its source
 * said when another snapshot was the one, nor a snapshot itself. */
static void late_words(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 500, SEALED), before = make_gift(&o, 1, 3, 400, SEALED);
    outsider_packet *late = calloc(2, sizeof *late);
    assert_non_null(late);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_ACTIVATE_TARGET, .origin = g.origin};
    outsider_say_late(&o, 0, 0, &m, &late[0]);
    m.type = ROVEI_NETMOVE_SNAPSHOT_READY;
    m.chunk = (rovei_netmove_chunk){before.seq, 0, 1, {before.bytes, before.size}};
    outsider_say_late(&o, 0, 0, &m, &late[1]);
    give(&o, 0, &g);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    uint64_t digest = daemon_of(&o, &g)->net_target->digest;
    outsider_let_go(&o, &late[0]);
    outsider_let_go(&o, &late[1]);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
    assert_int_equal(daemon_of(&o, &g)->net_target->digest, digest);
    assert_int_equal(daemon_of(&o, &g)->net_target->step, ROVEI_NET_TARGET_REPLAYED);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_ACTIVATE_TARGET], 1);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_SNAPSHOT_READY], 1);
    finish(&o, &g);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    free(late);
    gift_free(&g);
    gift_free(&before);
    outsiders_fini(&o);
}

/* Another peer's snapshot is let in after the first one was restored: it does not take its place.
 */
static void let_in_too_late(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 2);
    gift g = make_gift(&o, 1, 3, 500, SEALED), other = make_gift(&o, 1, 3, 400, SEALED);
    o.w.nodes[0].hold |= 1u << ROVEI_EFFECT_ASK_PLACE;
    give(&o, 1, &other);
    o.w.nodes[0].hold = 0;
    give(&o, 0, &g);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
    uint64_t digest = daemon_of(&o, &g)->net_target->digest;
    world_release(&o.w, 0);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_int_equal(daemon_of(&o, &g)->net_target->digest, digest);
    assert_failed(&o, 1, ROVEI_NETMOVE_NOT_READY, NULL);
    finish(&o, &g);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    gift_free(&g);
    gift_free(&other);
    outsiders_fini(&o);
}

/* The network has kept a word of an earlier move back: it does not end this one. */
static void an_end_from_before(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    rovei_node *n = o.w.nodes[0].node;
    gift g = make_gift(&o, 1, 3, 9000, SEALED);
    give(&o, 0, &g);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    rovei_net_stamp last = daemon_of(&o, &g)->net_target->stamp, early = last;
    assert_true(last.counter > 0);
    early.counter--; /* sent before the last chunk was */
    uint8_t bytes[64];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    const rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = g.origin};
    rovei_netmove_encode(&m, &w);
    rove_buf *b = rovei_buf_copy(&o.w.nodes[0].t.alloc.alloc, bytes, rovei_writer_size(&w));
    assert_non_null(b);
    rovei_net_moves_receive(n, o.w.now, o.peers[0].node_id, early, b);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_MIGRATION_FAILED], 1);
    rove_buf_unref(b);
    /* One that was sent afterwards does. */
    say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
    assert_null(daemon_of(&o, &g));
    gift_free(&g);
    outsiders_fini(&o);
}

/* Its source may have committed by now: what was known of the daemon before is no reason to throw
 * it away. It takes an epoch above that. */
static void an_older_record(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 2, 1);
    rovei_node *n = o.w.nodes[0].node;
    gift g = make_gift(&o, 1, 3, 9000, SEALED);
    give(&o, 0, &g);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    const uint64_t epoch = 7 * ROVEI_EPOCH_FORCED;
    rovei_record r;
    assert_ok(rovei_record_own(o.w.nodes[1].node, o.w.now, g.key, epoch, true, &r));
    assert_ok(rovei_location_learn(n, o.w.now, &r, &o.w.nodes[1].entity));
    assert_non_null(daemon_of(&o, &g));
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
    finish(&o, &g);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    assert_true(daemon_of(&o, &g)->epoch > epoch);
    gift_free(&g);
    outsiders_fini(&o);
}

/* A higher right that was given to this very node, in class net: the copy here is the one, so it
 * takes a right above that instead of stepping aside for nobody. */
static void its_own_right(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 2, 1);
    rovei_node *n = o.w.nodes[0].node;
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    give(&o, 0, &g);
    finish(&o, &g);
    const uint64_t epoch = 7 * ROVEI_EPOCH_FORCED;
    rove_entity here = rovei_entity_of_net(rovei_entity_node_id(&o.w.nodes[0].entity));
    rove_entity elsewhere = rovei_entity_of_net(1);
    rovei_record r;
    assert_ok(rovei_record_give(o.w.nodes[1].node, o.w.now, g.key, epoch, &here, NULL, 0, &r));
    assert_ok(rovei_location_learn(n, o.w.now, &r, &o.w.nodes[1].entity));
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    assert_true(daemon_of(&o, &g)->epoch > epoch);
    const rovei_location *at = rovei_location_get(n, &g.entity);
    assert_true(rovei_entity_equal(&at->record.holder, &o.w.nodes[0].entity));
    assert_int_equal(at->record.epoch, daemon_of(&o, &g)->epoch);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    /* Given to anybody else it is over here. */
    assert_ok(
        rovei_record_give(o.w.nodes[1].node, o.w.now, g.key, 2 * epoch, &elsewhere, NULL, 0, &r));
    assert_ok(rovei_location_learn(n, o.w.now, &r, &o.w.nodes[1].entity));
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_ASIDE);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    gift_free(&g);
    outsiders_fini(&o);
}

static void nobody_goes_on(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 9000, SEALED);
    give(&o, 0, &g);
    world_run(&o.w, 20 * ROVE_SECOND); /* move_stall */
    assert_null(daemon_of(&o, &g));
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    /* The same of half a set. */
    outsider_clear(&o, 0);
    give_chunk(&o, 0, &g, 1);
    world_run(&o.w, 301 * ROVE_SECOND);
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED,
                  "snapshot reassembly failed: some of its chunks did not come");
    assert_int_equal(o.w.nodes[0].node->net_moves->place_count, 0);
    gift_free(&g);
    outsiders_fini(&o);
}

static void peer_dies(void **state)
{
    (void)state;
    for (int replay = 0; replay < 2; replay++) {
        outsiders o;
        outsiders_init(&o, 1, 1);
        o.w.nodes[0].t.env.limits.move_stall = 1000 * ROVE_SECOND;
        gift g = make_gift(&o, 1, 3, 9000, SEALED);
        give(&o, 0, &g);
        if (replay)
            say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
        outsider_leave(&o, 0);
        world_run(&o.w, 200 * ROVE_SECOND);
        /* Who may have given the daemon up already is waited for. */
        assert_int_equal(daemon_of(&o, &g) != NULL, replay);
        if (replay)
            assert_non_null(daemon_of(&o, &g)->note);
        gift_free(&g);
        outsiders_fini(&o);
    }
}

/* ---- buffered events ---- */

static void events_in_their_order(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 10, 100, SEALED);
    give(&o, 0, &g);
    say_events(&o, g.origin, 2, (const uint64_t[]){13, 11}, (const char *const[]){"c", "a"});
    rovei_netmove_message m = heard(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE);
    assert_int_equal(m.replayed.sequence, 11);
    assert_int_equal(m.replayed.head.sequence, 11);
    say_events(&o, g.origin, 4, (const uint64_t[]){4, 12, 11, 13},
               (const char *const[]){"old", "b", "again", "again"});
    m = heard(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE);
    assert_int_equal(m.replayed.sequence, 13);
    assert_int_equal(m.replayed.head.sequence, 13); /* its outputs are in the chain */
    assert_int_equal(m.replayed.head.origin, g.origin);
    const world_cell *c = world_cell_of(&o.w, 0, &g.entity);
    assert_int_equal(c->log_size, 100 + 3 * 5);
    assert_memory_equal(c->log + 100, "\1\0\0\0a\1\0\0\0b\1\0\0\0c", 15);
    /* What waits behind a gap stays there, and the daemon serves without it. */
    say_events(&o, g.origin, 1, (const uint64_t[]){20}, (const char *const[]){"z"});
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_ACTIVATE_ACK).sequence, 13);
    assert_int_equal(c->log_size, 100 + 3 * 5);
    gift_free(&g);
    outsiders_fini(&o);
}

static void events_are_bounded(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    o.w.nodes[0].t.env.limits.divert_bytes = 1000;
    gift g = make_gift(&o, 1, 0, 100, SEALED);
    give(&o, 0, &g);
    for (uint64_t i = 2; i < 30; i++) /* 1 is missing */
        say_events(&o, g.origin, 1, &i, (const char *const[]){"0123456789"});
    /* The source may be gone: what does not fit is not answered, and nothing else changes. */
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 0);
    assert_true(stats_of(&o).out_of_phase[ROVEI_NETMOVE_BUFFERED_EVENTS] > 10);
    assert_true(daemon_of(&o, &g)->net_target->pending_bytes <= 1000);
    say(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED, g.origin);
    /* With the first batch the move ends. */
    outsider_clear(&o, 0);
    o.w.nodes[0].t.env.limits.divert_bytes = 200;
    give(&o, 0, &g);
    say_events(&o, g.origin, 3, (const uint64_t[]){2, 3, 4}, (const char *const[]){"x", "y", "z"});
    rovei_netmove_message m = heard(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED);
    assert_int_equal(m.failed.code, ROVEI_NETMOVE_STATE_FAILED);
    assert_memory_equal(m.failed.text.data, "migration buffer full: ", 23);
    assert_null(daemon_of(&o, &g));
    gift_free(&g);
    outsiders_fini(&o);
}

/* An event that process refuses: the move ends while the source has the daemon still, and goes on
 * without the event once it may have given it up. */
static void poison(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 10, 100, SEALED);
    give(&o, 0, &g);
    say_events(&o, g.origin, 2, (const uint64_t[]){11, 12}, (const char *const[]){"a", "!"});
    assert_failed(&o, 0, ROVEI_NETMOVE_STATE_FAILED, NULL);
    assert_null(daemon_of(&o, &g));
    outsider_clear(&o, 0);
    give(&o, 0, &g);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    say_events(&o, g.origin, 3, (const uint64_t[]){11, 12, 13},
               (const char *const[]){"a", "!", "c"});
    assert_int_equal(heard(&o, 0, ROVEI_NETMOVE_REPLAY_COMPLETE).replayed.sequence, 13);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    assert_non_null(daemon_of(&o, &g)->note);
    gift_free(&g);
    outsiders_fini(&o);
}

/* ---- hostile peers ---- */

/* One that the expectation is not bound to is not even told. */
static void bound_to_another(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 2);
    gift g = make_gift(&o, 1, 3, 21500, SEALED);
    o.w.nodes[0].place = ROVE_E_WRONG_PEER;
    give(&o, 1, &g);
    assert_int_equal(o.peers[1].got_count, 0);
    assert_true(stats_of(&o).refused[ROVEI_NETMOVE_SNAPSHOT_READY] > 0);
    o.w.nodes[0].place = ROVE_OK;
    give(&o, 0, &g);
    finish(&o, &g);
    gift_free(&g);
    outsiders_fini(&o);
}

/* Two peers give the same daemon: their chunks do not mix, and the first that is whole counts. */
static void of_two_peers(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 2);
    gift g = make_gift(&o, 1, 3, 21500, SEALED), other = make_gift(&o, 1, 3, 22000, SEALED);
    for (uint32_t i = 0; i < 3; i++) {
        give_chunk(&o, 1, &other, i);
        give_chunk(&o, 0, &g, i);
    }
    give_chunk(&o, 0, &g, 3);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_int_equal(world_cell_of(&o.w, 0, &g.entity)->log_size, 21500);
    give_chunk(&o, 1, &other, 3);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_int_equal(o.peers[1].got_count, 0);
    finish(&o, &g);
    gift_free(&g);
    gift_free(&other);
    outsiders_fini(&o);
}

/* Every type of another peer at every step: nothing changes, and each is counted. */
static void of_another_peer(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 2);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    give(&o, 0, &g);
    for (int step = 0; step < 2; step++) {
        rovei_net_move_stats before = stats_of(&o);
        for (unsigned type = 1; type < ROVEI_NETMOVE_TYPES; type++) {
            if (type == ROVEI_NETMOVE_SNAPSHOT_READY)
                give(&o, 1, &g);
            else
                say(&o, 1, (rovei_netmove_type)type, g.origin);
            assert_int_equal(stats_of(&o).refused[type], before.refused[type] + 1);
        }
        assert_int_equal(o.peers[1].got_count, 0);
        assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_PREPARED);
        say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    }
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
    say(&o, 1, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
    assert_int_equal(o.peers[1].got_count, 0);
    gift_free(&g);
    outsiders_fini(&o);
}

/* One that is entitled, at times where its word means nothing. */
static void out_of_phase(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    o.w.nodes[0].hold = 1u << ROVEI_EFFECT_RESTORE;
    give(&o, 0, &g);
    say(&o, 0, ROVEI_NETMOVE_BUFFERED_EVENTS, g.origin);
    say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin); /* one that has restored nothing */
    assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_RESTORING);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_BUFFERED_EVENTS], 1);
    assert_int_equal(stats_of(&o).out_of_phase[ROVEI_NETMOVE_ACTIVATE_TARGET], 1);
    o.w.nodes[0].hold = 0;
    world_release(&o.w, 0);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    finish(&o, &g);
    gift_free(&g);
    outsiders_fini(&o);
}

static void garbage(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    gift g = make_gift(&o, 1, 3, 100, SEALED);
    give(&o, 0, &g);
    rovei_net_move_stats before = stats_of(&o);
    uint64_t random = 5;
    uint64_t bad = 0;
    for (unsigned type = 0; type < ROVEI_NETMOVE_TYPES + 2; type++)
        for (size_t size = 1; size < 9; size++) {
            uint8_t bytes[9];
            random_bytes(&random, bytes, sizeof bytes);
            bytes[0] = (uint8_t)type;
            outsider_say_bytes(&o, 0, 0, (rove_span){bytes, size});
            bad++;
        }
    outsider_say_bytes(&o, 0, 0, (rove_span){"", 0});
    bad++;
    uint8_t huge[13] = {ROVEI_NETMOVE_BUFFERED_EVENTS};
    rovei_store64(huge + 1, g.origin);
    memset(huge + 9, 0xFF, 4);
    outsider_say_bytes(&o, 0, 0, (rove_span){huge, sizeof huge});
    bad++;
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    rovei_net_move_stats after = stats_of(&o);
    uint64_t counted = 0;
    for (unsigned type = 0; type <= ROVEI_NETMOVE_TYPES; type++)
        counted += after.malformed[type] - before.malformed[type];
    assert_int_equal(counted, bad);
    finish(&o, &g);
    gift_free(&g);
    outsiders_fini(&o);
}

/* For daemons that nobody knows. */
static void unknown_daemons(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    for (unsigned type = 2; type < ROVEI_NETMOVE_TYPES; type++) {
        say(&o, 0, (rovei_netmove_type)type, 0xABCDEF);
        assert_int_equal(stats_of(&o).refused[type], 1);
    }
    assert_int_equal(o.peers[0].got_count, 0);
    assert_int_equal(o.w.nodes[0].node->daemons.count, 0);
    outsiders_fini(&o);
}

/* Half of many snapshots: what is kept is bounded, for one peer and for all, and goes with time. */
static void unfinished(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 2);
    struct rovei_net_moves *m = o.w.nodes[0].node->net_moves;
    const rove_limits *limits = &o.w.nodes[0].t.env.limits;
    gift mine = make_gift(&o, 1, 3, 21500, SEALED);
    give_chunk(&o, 1, &mine, 1);
    for (uint64_t i = 0; i < 200; i++) {
        gift g = make_gift(&o, 100 + i, 3, 21500, SEALED);
        give_chunk(&o, 0, &g, 0);
        give_chunk(&o, 0, &g, 2);
        world_run(&o.w, ROVE_MILLISECOND);
        gift_free(&g);
    }
    assert_true(m->place_count <= limits->net_reassemblies / 4 + 1);
    assert_true(m->chunks.bytes <= limits->net_reassembly_bytes);
    assert_true(stats_of(&o).refused[ROVEI_NETMOVE_SNAPSHOT_READY] > 100);
    /* Those for which there was no room may be tried again: one answer for each set. */
    size_t not_ready = outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED);
    assert_true(not_ready > 100 && not_ready <= 200);
    /* That of the other peer is not disturbed. */
    give_chunk(&o, 1, &mine, 0);
    give_chunk(&o, 1, &mine, 2);
    give_chunk(&o, 1, &mine, 3);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_int_equal(outsider_count(&o, 1, ROVEI_NETMOVE_RESTORE_COMPLETE), 1);
    world_run(&o.w, limits->net_reassembly_age + ROVE_SECOND);
    assert_int_equal(m->place_count, 0);
    assert_int_equal(m->chunks.bytes, 0);
    assert_int_equal(o.w.nodes[0].node->daemons.count, 0);
    gift_free(&mine);
    outsiders_fini(&o);
}

/* Refused ones are let go of at once. */
static void nothing_is_kept_of_the_unexpected(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    o.w.nodes[0].place = ROVE_E_TARGET_NO_FACTORY;
    for (uint64_t i = 0; i < 50; i++) {
        gift g = make_gift(&o, 100 + i, 3, 21500, SEALED);
        give_chunk(&o, 0, &g, (uint32_t)(i % 4));
        world_run(&o.w, ROVE_MILLISECOND);
        gift_free(&g);
    }
    assert_int_equal(o.w.nodes[0].node->net_moves->place_count, 0);
    assert_int_equal(o.w.nodes[0].node->net_moves->chunks.bytes, 0);
    assert_int_equal(outsider_count(&o, 0, ROVEI_NETMOVE_MIGRATION_FAILED), 50);
    assert_int_equal(stats_of(&o).refused[ROVEI_NETMOVE_SNAPSHOT_READY], 50);
    outsiders_fini(&o);
}

/* ---- memory ---- */

/* One call for memory is refused, each in turn: the peer that goes on brings its daemon in all the
 * same, with a new snapshot where it heard of a failure. */
static void without_memory(void **state)
{
    (void)state;
    bool refused = true;
    for (size_t at = 0; refused; at++) {
        outsiders o;
        outsiders_init(&o, 1, 1);
        gift g = make_gift(&o, 1, 10, 9000, SEALED);
        test_alloc *memory = &o.w.nodes[0].t.alloc;
        memory->calls = 0;
        memory->fail_at = at;
        for (int try = 0; try < 20; try++) {
            rovei_daemon *d = daemon_of(&o, &g);
            if (d && d->role == ROVEI_ROLE_SERVING)
                break;
            if (!d)
                give(&o, 0, &g);
            say_events(&o, g.origin, 1, (const uint64_t[]){11}, (const char *const[]){"a"});
            say(&o, 0, ROVEI_NETMOVE_ACTIVATE_TARGET, g.origin);
            world_run(&o.w, ROVE_SECOND);
        }
        refused = memory->calls > at;
        memory->fail_at = SIZE_MAX;
        assert_non_null(daemon_of(&o, &g));
        assert_int_equal(daemon_of(&o, &g)->role, ROVEI_ROLE_SERVING);
        assert_int_equal(o.w.nodes[0].node->net_moves->place_count, 0);
        gift_free(&g);
        outsiders_fini(&o);
    }
}

/* ---- messages of a node to itself ---- */

static void to_itself(void **state)
{
    (void)state;
    outsiders o;
    outsiders_init(&o, 1, 1);
    rovei_node *n = o.w.nodes[0].node;
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_ACTIVATE_ACK, .origin = 5};
    for (int i = 0; i < 40; i++)
        (void)!rovei_netmove_send(n, o.w.now, n->net_moves->self, &m);
    world_run(&o.w, 10 * ROVE_MILLISECOND);
    assert_int_equal(stats_of(&o).received[ROVEI_NETMOVE_ACTIVATE_ACK], ROVEI_NETMOVE_SELF_MAX);
    assert_int_equal(stats_of(&o).to_self_dropped, 40 - ROVEI_NETMOVE_SELF_MAX);
    outsiders_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives),
        cmocka_unit_test(in_any_order),
        cmocka_unit_test(comes_and_goes),
        cmocka_unit_test(above_what_others_know),
        cmocka_unit_test(failures),
        cmocka_unit_test(key_of_the_target),
        cmocka_unit_test(not_a_snapshot),
        cmocka_unit_test(lives_here),
        cmocka_unit_test(said_again),
        cmocka_unit_test(another_takes_its_place),
        cmocka_unit_test(given_up),
        cmocka_unit_test(late_words),
        cmocka_unit_test(let_in_too_late),
        cmocka_unit_test(an_end_from_before),
        cmocka_unit_test(an_older_record),
        cmocka_unit_test(its_own_right),
        cmocka_unit_test(nobody_goes_on),
        cmocka_unit_test(peer_dies),
        cmocka_unit_test(events_in_their_order),
        cmocka_unit_test(events_are_bounded),
        cmocka_unit_test(poison),
        cmocka_unit_test(bound_to_another),
        cmocka_unit_test(of_two_peers),
        cmocka_unit_test(of_another_peer),
        cmocka_unit_test(out_of_phase),
        cmocka_unit_test(garbage),
        cmocka_unit_test(unknown_daemons),
        cmocka_unit_test(unfinished),
        cmocka_unit_test(nothing_is_kept_of_the_unexpected),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
