/* SPDX-License-Identifier: Apache-2.0
 *
 * Location records, the table of the highest ones, questions about places, and spawning. */
#include "lanes_kit.h"

#include <stdio.h>

#define SOON (5 * ROVE_SECOND)

static rovei_keypair *key_of(test_env *t, uint64_t seed)
{
    uint8_t bytes[32];
    rovei_keypair *key;
    random_bytes(&seed, bytes, sizeof bytes);
    assert_ok(rovei_keypair_from_seed(&key, &t->env, bytes));
    return key;
}

static rovei_node *node_of(kit *k, size_t i)
{
    return k->w.nodes[i].node;
}

/* ---- records ---- */

static size_t write(const rovei_record *r, uint8_t ret[ROVEI_RECORD_SIZE_MAX])
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_RECORD_SIZE_MAX);
    rovei_record_write(&w, r);
    assert_int_equal(w.err, ROVE_OK);
    return rovei_writer_size(&w);
}

static rove_err read(const uint8_t *bytes, size_t size, rovei_record *ret)
{
    rovei_reader r = rovei_reader_of((rove_span){bytes, size});
    rovei_record_read(&r, ret);
    return rovei_reader_end(&r);
}

static void records(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 9);
    rovei_record own, given, back;
    uint8_t bytes[ROVEI_RECORD_SIZE_MAX];
    assert_ok(rovei_record_own(node_of(k, 0), k->w.now, key, 1, false, &own));
    assert_ok(rovei_record_verify(&own));
    assert_int_equal(own.addr_count, 1);
    assert_true(rovei_entity_is_zero(&own.giver));
    assert_int_equal(own.not_after, k->w.now.wall + k->w.nodes[0].t.env.limits.record_life);
    rovei_addr addrs[5] = {{4, {1, 2, 3, 4}, 5}, {0}, {6, {1}, 6}, {4, {9}, 7}, {4, {8}, 8}};
    assert_ok(rovei_record_give(node_of(k, 0), k->w.now, key, 2, &k->w.nodes[1].entity, addrs, 5,
                                &given));
    assert_ok(rovei_record_verify(&given));
    assert_int_equal(given.addr_count, 4);
    assert_true(rovei_entity_equal(&given.giver, &k->w.nodes[0].entity));
    /* Bytes: a round trip, every cut refused, every changed bit found. */
    size_t size = write(&given, bytes);
    assert_ok(read(bytes, size, &back));
    assert_memory_equal(&back.signature, &given.signature, 64);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(read(bytes, cut, &back), ROVE_E_SHORT);
    for (size_t i = 0; i < size; i += 3) {
        bytes[i] ^= 1;
        assert_true(read(bytes, size, &back) || rovei_record_verify(&back));
        bytes[i] ^= 1;
    }
    bytes[32 + 8 + 32] = 4;
    assert_int_equal(read(bytes, size, &back), ROVE_E_FLAG);
    bytes[32 + 8 + 32] = 0;
    bytes[32 + 8 + 32 + 1] = 5;
    assert_int_equal(read(bytes, size, &back), ROVE_E_BOUND);
    /* Shapes. */
    rovei_record bad = own;
    bad.epoch = 0;
    assert_int_equal(rovei_record_verify(&bad), ROVE_E_BOUND);
    bad = own;
    bad.epoch = 2; /* a later epoch without a giver */
    assert_int_equal(rovei_record_verify(&bad), ROVE_E_FORMAT);
    bad = given;
    bad.epoch = 1;
    assert_int_equal(rovei_record_verify(&bad), ROVE_E_FORMAT);
    bad = own;
    bad.flags = ROVEI_RECORD_FORCED; /* but not high enough */
    assert_int_equal(rovei_record_verify(&bad), ROVE_E_FORMAT);
    bad = given;
    memset(bad.giver.bytes, 0xff, 32);
    assert_true(rovei_record_verify(&bad) < 0);
    /* Order: by epoch, then the lower holder is the higher record. */
    assert_true(rovei_record_compare(&own, &given) < 0);
    rovei_record other = given;
    other.holder.bytes[0] = 0;
    given.holder.bytes[0] = 1;
    assert_true(rovei_record_compare(&other, &given) > 0);
    assert_int_equal(rovei_record_compare(&own, &own), 0);
    rovei_keypair_unref(key);
    kit_free(k);
}

static void assert_kept_whole(const rovei_node *n, rovei_packed_record **packed,
                              const rovei_record *r)
{
    uint8_t before[ROVEI_RECORD_SIZE_MAX], after[ROVEI_RECORD_SIZE_MAX];
    rovei_record got;
    assert_ok(rovei_record_pack(packed, n, r));
    rovei_record_unpack(*packed, n, &r->daemon, &got);
    size_t size = write(r, before);
    assert_int_equal(write(&got, after), size);
    assert_memory_equal(before, after, size);
}

/* What the table keeps of a record is all of it, and a record for which room was made needs no
 * memory. */
static void packed_records(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    test_alloc *a = &k->w.nodes[0].t.alloc;
    const rovei_node *n = node_of(k, 0);
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 21);
    rovei_record own, given;
    const rovei_addr addrs[] = {{.family = 4, .ip = {10, 0, 0, 1}, .port = 7},
                                {.family = 6, .ip = {0xfe, 0x80, [15] = 9}, .port = 65535}};
    assert_ok(rovei_record_own(n, k->w.now, key, 1, true, &own));
    assert_ok(rovei_record_give(n, k->w.now, key, 2, &k->w.nodes[1].entity, addrs, 2, &given));
    rovei_packed_record *packed = NULL;
    size_t live = a->live;
    assert_kept_whole(n, &packed, &own);
    assert_kept_whole(n, &packed, &given);
    assert_kept_whole(node_of(k, 1), &packed, &given); /* to whose own node it is short */
    assert_ok(rovei_record_make_room(&packed, n));
    const rovei_packed_record *roomy = packed;
    assert_kept_whole(n, &packed, &own);
    assert_kept_whole(n, &packed, &given);
    assert_ptr_equal(packed, roomy);
    rovei_packed_record_free(n->alloc, packed);
    assert_int_equal(a->live, live);
    rovei_keypair_unref(key);
    kit_free(k);
}

/* ---- the table ---- */

static void the_higher_one_wins(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 9);
    const rove_entity *d = rovei_keypair_entity(key), *from = &k->w.nodes[0].entity;
    rovei_record first, second, renewed;
    assert_ok(rovei_record_own(node_of(k, 0), k->w.now, key, 1, false, &first));
    assert_ok(rovei_record_give(node_of(k, 0), k->w.now, key, 2, &k->w.nodes[2].entity, NULL, 0,
                                &second));
    assert_ok(rovei_location_learn(node_of(k, 1), k->w.now, &second, from));
    assert_ok(rovei_location_learn(node_of(k, 1), k->w.now, &first, from));
    assert_int_equal(rovei_location_get(node_of(k, 1), d)->record.epoch, 2);
    /* A signature of later date of the same right is taken, an earlier one is not. */
    rovei_now later = k->w.now;
    later.wall += ROVE_SECOND;
    assert_ok(
        rovei_record_give(node_of(k, 0), later, key, 2, &k->w.nodes[2].entity, NULL, 0, &renewed));
    assert_ok(rovei_location_learn(node_of(k, 1), k->w.now, &renewed, from));
    assert_ok(rovei_location_learn(node_of(k, 1), k->w.now, &second, from));
    assert_int_equal(rovei_location_get(node_of(k, 1), d)->record.not_after, renewed.not_after);
    /* A forged one is not. */
    rovei_record forged = renewed;
    forged.epoch = 3;
    assert_int_equal(rovei_location_learn(node_of(k, 1), k->w.now, &forged, from),
                     ROVE_E_SIGNATURE);
    assert_int_equal(rovei_location_get(node_of(k, 1), d)->record.epoch, 2);
    rove_entity found;
    assert_ok(rovei_node_find_origin(node_of(k, 1), rovei_entity_origin(d), &found));
    assert_true(rovei_entity_equal(&found, d));
    assert_int_equal(rovei_node_find_origin(node_of(k, 1), 1, &found), ROVE_E_NOT_FOUND);
    rovei_keypair_unref(key);
    kit_free(k);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rovei_node *n = node_of(k, 1);
    k->w.nodes[1].t.env.limits.records_max = 16;
    rove_entity mine = world_spawn(&k->w, 1, 1), sought, first = {{0}};
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 50);
    sought = *rovei_keypair_entity(key);
    (void)kit_open(k, 1, &sought);
    for (uint64_t i = 50; i < 90; i++) {
        rovei_record r;
        if (i > 50)
            key = key_of(&k->w.nodes[0].t, i);
        if (i == 51)
            first = *rovei_keypair_entity(key);
        assert_ok(rovei_record_own(node_of(k, 0), k->w.now, key, 1, false, &r));
        assert_ok(rovei_location_learn(n, k->w.now, &r, &k->w.nodes[0].entity));
        rovei_keypair_unref(key);
    }
    assert_int_equal(rovei_node_stats_get(n).records, 16);
    assert_non_null(rovei_location_get(n, &mine));
    assert_non_null(rovei_location_get(n, &sought));
    assert_null(rovei_location_get(n, &first));
    kit_free(k);
}

/* Where only the holder signs, its word counts about what is known: as a renewal, and when it has
 * given the daemon to another. */
static void records_signed_by_holders(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rovei_keypair *key, *full = key_of(&k->w.nodes[0].t, 9);
    assert_ok(rovei_keypair_public_only(&key, &k->w.nodes[0].t.env, rovei_keypair_entity(full)));
    rovei_node *n = node_of(k, 1);
    const rove_entity *a = &k->w.nodes[0].entity, *c = &k->w.nodes[2].entity;
    rovei_record first, own, given, claim;
    assert_ok(rovei_record_own(node_of(k, 0), k->w.now, full, 1, false, &first));
    rovei_keypair_unref(full);
    k->w.now.wall += ROVE_SECOND;
    assert_ok(rovei_record_own(node_of(k, 0), k->w.now, key, 1, false, &own));
    assert_int_equal(own.flags, ROVEI_RECORD_BY_HOLDER);
    assert_ok(rovei_record_verify(&own));
    assert_int_equal(rovei_location_learn(n, k->w.now, &own, c), ROVE_E_REFUSED);
    assert_int_equal(rovei_location_learn(n, k->w.now, &own, a), ROVE_E_REFUSED);
    assert_ok(rovei_location_learn(n, k->w.now, &first, c));
    assert_ok(rovei_location_learn(n, k->w.now, &own, c));
    assert_int_equal(rovei_location_get(n, rovei_keypair_entity(key))->record.flags,
                     ROVEI_RECORD_BY_HOLDER);
    /* Somebody else's claim for itself, however high. */
    assert_ok(rovei_record_own(node_of(k, 2), k->w.now, key, 7, false, &claim));
    assert_ok(rovei_record_verify(&claim));
    assert_int_equal(rovei_location_learn(n, k->w.now, &claim, c), ROVE_E_REFUSED);
    assert_ok(rovei_record_give(node_of(k, 0), k->w.now, key, 2, c, NULL, 0, &given));
    assert_ok(rovei_record_verify(&given));
    assert_ok(rovei_location_learn(n, k->w.now, &given, c));
    assert_true(
        rovei_entity_equal(&rovei_location_get(n, rovei_keypair_entity(key))->record.holder, c));
    rovei_keypair_unref(key);
    kit_free(k);
}

static void renewal(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    for (size_t i = 0; i < 2; i++)
        k->w.nodes[i].t.env.limits.record_life = 100 * ROVE_SECOND;
    rove_entity d = world_spawn(&k->w, 0, 1);
    rovei_attempt_id id = world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, SOON, world_ended(&k->w, 0, &id) != NULL);
    rovei_record before = rovei_location_get(node_of(k, 1), &d)->record;
    world_run(&k->w, 60 * ROVE_SECOND);
    rovei_record after = rovei_location_get(node_of(k, 1), &d)->record;
    assert_true(after.not_after > before.not_after);
    assert_int_equal(after.epoch, 2);
    assert_true(rovei_entity_equal(&after.giver, &k->w.nodes[0].entity));
    assert_ok(rovei_record_verify(&after));
    kit_free(k);
}

/* ---- questions ---- */

/* 1 knows 0 alone; 0 knows 2, where the daemon lives: the question is passed on once. */
static void two_hops(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    world_cut(&k->w, 1, 2, true);
    world_run(&k->w, 15 * ROVE_SECOND);
    rove_entity d = world_spawn(&k->w, 2, 1);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    world_run(&k->w, 3 * ROVE_SECOND);
    const rovei_location *at = rovei_location_get(node_of(k, 1), &d);
    assert_non_null(at);
    assert_true(rovei_entity_equal(&at->record.holder, &k->w.nodes[2].entity));
    assert_ok(rovei_record_verify(&at->record));
    assert_non_null(rovei_location_get(node_of(k, 0), &d)); /* learned on the way */
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 1);
    world_cut(&k->w, 1, 2, false);
    world_until(&k->w, 60 * ROVE_SECOND, kit_count(k, 1, s, ROVEI_NOTE_APPLIED) == 1);
    kit_free(k);
}

static void questions_are_bytes(void **state)
{
    (void)state;
    kit *k = kit_new(1);
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 9);
    rovei_locate m = {.type = ROVEI_LOCATE_ANSWER,
                      .flags = ROVEI_LOCATE_RECORD | ROVEI_LOCATE_STOPPED,
                      .nonce = 7,
                      .daemon = *rovei_keypair_entity(key)};
    rovei_locate back;
    uint8_t bytes[ROVEI_LOCATE_SIZE_MAX + 1], again[ROVEI_LOCATE_SIZE_MAX];
    assert_ok(rovei_record_own(node_of(k, 0), k->w.now, key, 1, false, &m.record));
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_locate_write(&w, &m);
    size_t size = rovei_writer_size(&w);
    assert_ok(rovei_locate_read((rove_span){bytes, size}, &back));
    rovei_writer v = rovei_writer_of(again, sizeof again);
    rovei_locate_write(&v, &back);
    assert_span((rove_span){again, rovei_writer_size(&v)}, bytes, size);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(rovei_locate_read((rove_span){bytes, cut}, &back), ROVE_E_SHORT);
    assert_int_equal(rovei_locate_read((rove_span){bytes, size + 1}, &back), ROVE_E_TRAILING);
    static const struct {
        size_t at;
        uint8_t value;
        rove_err err;
    } bad[] = {{0, 0, ROVE_E_FLAG}, {0, 4, ROVE_E_FLAG}, {1, 16, ROVE_E_FLAG},  {1, 2, ROVE_E_FLAG},
               {2, 1, ROVE_E_FLAG}, {0, 3, ROVE_E_FLAG}, {12, 1, ROVE_E_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t was = bytes[bad[i].at];
        bytes[bad[i].at] = bad[i].at == 12 ? (uint8_t)(was ^ 1) : bad[i].value;
        assert_int_equal(rovei_locate_read((rove_span){bytes, size}, &back), bad[i].err);
        bytes[bad[i].at] = was;
    }
    m = (rovei_locate){.type = ROVEI_LOCATE_ASK, .hops = 2, .nonce = 7};
    w = rovei_writer_of(bytes, sizeof bytes);
    rovei_locate_write(&w, &m);
    assert_int_equal(rovei_locate_read((rove_span){bytes, rovei_writer_size(&w)}, &back),
                     ROVE_E_BOUND);
    rovei_keypair_unref(key);
    kit_free(k);
}

/* ---- spawning ---- */

static rove_err spawn(kit *k, size_t node, uint64_t seed, bool given, bool force, uint64_t *request)
{
    static uint64_t next = 1000;
    rovei_keypair *key = key_of(&k->w.nodes[node].t, seed);
    rovei_spawn s = {
        .key = key, .kind = "log", .cell = next, .given = given, .force = force, .request = next};
    *request = next++;
    rove_err err = rovei_node_spawn(node_of(k, node), k->w.now, &s);
    rovei_keypair_unref(key);
    return err;
}

static const rovei_note *spawned(kit *k, size_t node, uint64_t request)
{
    const world_node *n = &k->w.nodes[node];
    for (size_t i = 0; i < n->note_count; i++)
        if (n->notes[i].kind == ROVEI_NOTE_SPAWNED && n->notes[i].request == request)
            return &n->notes[i];
    return NULL;
}

static size_t forced_notes(kit *k, size_t node)
{
    size_t count = 0;
    for (size_t i = 0; i < k->w.nodes[node].note_count; i++)
        count += k->w.nodes[node].notes[i].kind == ROVEI_NOTE_FORCED;
    return count;
}

static void given_identities(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    uint64_t r;
    assert_ok(spawn(k, 0, 7, true, false, &r));
    assert_null(spawned(k, 0, r));
    assert_int_equal(spawn(k, 0, 7, true, false, &r), ROVE_E_EXISTS);
    world_run(&k->w, 2 * ROVE_SECOND);
    rovei_daemon_info info;
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 7);
    rove_entity d = *rovei_keypair_entity(key);
    rovei_keypair_unref(key);
    assert_ok(rovei_node_daemon_get(node_of(k, 0), &d, &info));
    assert_int_equal(info.epoch, 1);
    assert_int_equal(info.sinc.number, 1);
    /* Elsewhere: somebody knows it. Again here: this node itself knows it. */
    assert_ok(spawn(k, 1, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_int_equal(spawned(k, 1, r)->err, ROVE_E_LIVES_ELSEWHERE);
    assert_null(rovei_daemon_find(node_of(k, 1), &d));
    /* Its holder is gone, but the others have heard of it. */
    assert_ok(spawn(k, 2, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 2, r) != NULL);
    world_stop(&k->w, 0);
    world_run(&k->w, 20 * ROVE_SECOND);
    world_start(&k->w, 0);
    kit_tap_on(k, 0);
    world_run(&k->w, 5 * ROVE_SECOND);
    assert_ok(spawn(k, 0, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 0, r) != NULL);
    assert_int_equal(spawned(k, 0, r)->err, ROVE_E_LIVES_ELSEWHERE);
    kit_free(k);
}

static void stopped_here_and_spawned_again(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    uint64_t r;
    assert_ok(spawn(k, 0, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 0, r) != NULL);
    rove_entity d = spawned(k, 0, r)->daemon;
    assert_ok(spawn(k, 1, 7, true, false, &r)); /* so that the other knows the record */
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_ok(rovei_node_stop(node_of(k, 0), k->w.now, &d));
    assert_int_equal(rovei_node_stop(node_of(k, 0), k->w.now, &d), ROVE_E_NOT_FOUND);
    assert_ok(spawn(k, 0, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 0, r) != NULL);
    assert_ok(spawned(k, 0, r)->err);
    rovei_daemon_info info;
    assert_ok(rovei_node_daemon_get(node_of(k, 0), &d, &info));
    assert_int_equal(info.epoch, 2);
    assert_int_equal(info.sinc.number, 2);
    assert_ok(rovei_record_verify(&rovei_location_get(node_of(k, 0), &d)->record));
    /* But not on another node. */
    assert_ok(spawn(k, 1, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_int_equal(spawned(k, 1, r)->err, ROVE_E_LIVES_ELSEWHERE);
    kit_free(k);
}

/* Two nodes that claim at the same time do not both get it. */
static void claims_at_the_same_time(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    uint64_t a, b;
    assert_ok(spawn(k, 0, 7, true, false, &a));
    assert_ok(spawn(k, 1, 7, true, false, &b));
    world_until(&k->w, SOON, spawned(k, 0, a) && spawned(k, 1, b));
    assert_false(spawned(k, 0, a)->err == ROVE_OK && spawned(k, 1, b)->err == ROVE_OK);
    kit_free(k);
}

/* A node that has just started has nobody to ask yet: it waits for its peers. */
static void claims_wait_for_peers(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    uint64_t r;
    (void)world_spawn(&k->w, 0, 7);
    world_stop(&k->w, 1);
    world_start(&k->w, 1);
    kit_tap_on(k, 1);
    assert_ok(spawn(k, 1, 7, true, false, &r));
    assert_null(spawned(k, 1, r));
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_int_equal(spawned(k, 1, r)->err, ROVE_E_LIVES_ELSEWHERE);
    /* Nobody comes: after its time it is served. */
    world_stop(&k->w, 0);
    assert_ok(spawn(k, 1, 8, true, false, &r));
    world_run(&k->w, 500 * ROVE_MILLISECOND);
    assert_null(spawned(k, 1, r));
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_ok(spawned(k, 1, r)->err);
    kit_free(k);
}

static void force(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 7);
    uint64_t s = kit_open(k, 2, &d), r;
    kit_stream(k, 2, s, "x", 1, 10);
    world_run(&k->w, ROVE_SECOND);
    assert_ok(spawn(k, 1, 7, true, true, &r));
    world_until(&k->w, SOON, spawned(k, 1, r) != NULL);
    assert_ok(spawned(k, 1, r)->err);
    assert_int_equal(spawned(k, 1, r)->value, 1 + ROVEI_EPOCH_FORCED);
    world_run(&k->w, ROVE_SECOND);
    /* The former holder stops at once, keeps its copy aside, and everybody has said so. */
    rovei_daemon_info info;
    assert_ok(rovei_node_daemon_get(node_of(k, 0), &d, &info));
    assert_int_equal(info.state, ROVEI_DAEMON_ASIDE);
    assert_non_null(info.note);
    assert_true(rovei_entity_equal(&info.holder, &k->w.nodes[1].entity));
    assert_int_equal(world_cell_of(&k->w, 0, &d)->state, CELL_ASIDE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(forced_notes(k, i), 1);
    assert_ok(rovei_node_daemon_get(node_of(k, 1), &d, &info));
    assert_int_equal(info.sinc.number, 1 + ROVEI_EPOCH_FORCED);
    /* The idle sender is led to the new one and told what was lost. */
    world_run(&k->w, 2 * ROVE_SECOND);
    assert_int_equal(kit_lost(k, 2, s), 10);
    /* A late word of the former right changes nothing. */
    assert_ok(rovei_node_stop(node_of(k, 0), k->w.now, &d)); /* drops the copy kept aside */
    assert_null(rovei_daemon_find(node_of(k, 0), &d));
    assert_ok(rovei_node_daemon_get(node_of(k, 1), &d, &info));
    assert_int_equal(info.state, ROVEI_DAEMON_RUNNING);
    kit_free(k);
}

static void shutdown_ends_claims(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    uint64_t r;
    assert_ok(spawn(k, 0, 7, true, false, &r));
    assert_null(spawned(k, 0, r));
    rovei_node_shutdown(node_of(k, 0), k->w.now);
    world_run(&k->w, ROVE_SECOND);
    assert_non_null(spawned(k, 0, r));
    assert_int_equal(spawned(k, 0, r)->err, ROVE_E_SHUTTING_DOWN);
    kit_free(k);
}

/* A sender follows eight redirects; without an answer of any holder it then waits between them. */
static void redirects_are_bounded(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 9);
    rove_entity d = *rovei_keypair_entity(key);
    uint64_t s = kit_open(k, 1, &d);
    kit_send(k, 1, s, "a");
    for (uint64_t epoch = 2; epoch < 14; epoch++) {
        const rove_entity *to = &k->w.nodes[epoch % 2 ? 2 : 0].entity;
        rovei_record r;
        assert_ok(rovei_record_give(node_of(k, 0), k->w.now, key, epoch, to, NULL, 0, &r));
        assert_ok(rovei_location_learn(node_of(k, 1), k->w.now, &r, to));
        const rovei_sender *sender = kit_sender(k, 1, s);
        assert_int_equal(sender->route->hops, epoch - 2);
        assert_true(rovei_entity_equal(&sender->route->holder, to));
        assert_int_equal(sender->hold_until > k->w.now.mono, epoch - 2 > 8);
    }
    assert_int_equal(rovei_node_stats_get(node_of(k, 1)).redirects, 11);
    world_run(&k->w, 5 * ROVE_SECOND);
    assert_int_equal(kit_count(k, 1, s, ROVEI_NOTE_UNREACHABLE), 1);
    rovei_keypair_unref(key);
    kit_free(k);
}

/* A copy that is only prepared is discarded at a higher record. */
static void prepared_copies_yield(void **state)
{
    (void)state;
    kit *k = kit_new(3);
    rove_entity d = world_spawn(&k->w, 0, 7);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    (void)world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, SOON,
                world_daemon(&k->w, 1, &d) &&
                    world_daemon(&k->w, 1, &d)->role == ROVEI_ROLE_PREPARED);
    world_until(&k->w, SOON, world_daemon(&k->w, 0, &d)->role == ROVEI_ROLE_COMMITTING);
    uint64_t r;
    assert_ok(spawn(k, 2, 7, true, true, &r));
    world_run(&k->w, 3 * ROVE_SECOND);
    assert_null(rovei_daemon_find(node_of(k, 1), &d));
    assert_int_equal(rovei_daemon_find(node_of(k, 0), &d)->role, ROVEI_ROLE_ASIDE);
    assert_int_equal(rovei_daemon_find(node_of(k, 2), &d)->role, ROVEI_ROLE_SERVING);
    assert_int_equal(world_cell_of(&k->w, 0, &d)->state, CELL_ASIDE);
    assert_int_equal(world_serving(&k->w, &d), 1);
    kit_free(k);
}

static void origins(void **state)
{
    (void)state;
    kit *k = kit_new(1);
    rovei_node *n = node_of(k, 0);
    rove_entity d = world_spawn(&k->w, 0, 7);
    /* Another entity of the same origin cannot be made, so its index is taken by hand. */
    rovei_keypair *key = key_of(&k->w.nodes[0].t, 8);
    uint64_t origin = rovei_keypair_origin(key);
    assert_ok(rovei_map_put(&n->origins, &origin, rovei_daemon_find(n, &d)));
    rovei_spawn s = {.key = key, .kind = "log", .cell = 99};
    assert_int_equal(rovei_node_spawn(n, k->w.now, &s), ROVE_E_ORIGIN_TAKEN);
    rovei_map_remove(&n->origins, &origin);
    k->w.nodes[0].t.env.limits.daemons_max = 1;
    assert_int_equal(rovei_node_spawn(n, k->w.now, &s), ROVE_E_FULL);
    k->w.nodes[0].t.env.limits.daemons_max = 2;
    assert_ok(rovei_node_spawn(n, k->w.now, &s));
    size_t it = 0, count = 0;
    rovei_daemon_info info;
    while (rovei_node_daemon_next(n, &it, &info))
        count++;
    assert_int_equal(count, 2);
    rovei_keypair_unref(key);
    kit_free(k);
}

/* A daemon that left is still shown, with where it went. */
static void tombstones(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    rove_entity d = world_spawn(&k->w, 0, 7);
    rovei_attempt_id id = world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, SOON, world_ended(&k->w, 0, &id) != NULL);
    world_until(&k->w, SOON, !rovei_daemon_find(node_of(k, 0), &d));
    rovei_daemon_info info;
    size_t it = 0;
    assert_true(rovei_node_daemon_next(node_of(k, 0), &it, &info));
    assert_int_equal(info.state, ROVEI_DAEMON_MOVED);
    assert_true(rovei_entity_equal(&info.holder, &k->w.nodes[1].entity));
    assert_string_equal(info.kind, "log");
    assert_int_equal(info.epoch, 2);
    assert_false(rovei_node_daemon_next(node_of(k, 0), &it, &info));
    rove_entity found;
    assert_ok(rovei_node_find_origin(node_of(k, 0), rovei_entity_origin(&d), &found));
    kit_free(k);
}

/* ---- copies that must not be two ---- */

/* A spawn of a cell that can stand aside. */
static rove_entity spawn_cell(kit *k, size_t node, uint64_t seed, bool forced)
{
    world_node *n = &k->w.nodes[node];
    world_cell *c = world_cell_new(n);
    c->key = key_of(&n->t, seed);
    c->daemon = *rovei_keypair_entity(c->key);
    c->state = CELL_SERVING;
    rovei_chain_init(&c->chain, rovei_keypair_origin(c->key));
    rovei_spawn s = {
        .key = c->key, .kind = "log", .cell = c->number, .given = true, .force = forced};
    assert_ok(rovei_node_spawn(n->node, k->w.now, &s));
    return c->daemon;
}

/* Node 1 sees both others, who do not see each other. */
static kit *in_a_line(void)
{
    kit *k = kit_new(3);
    world_cut(&k->w, 0, 2, true);
    world_run(&k->w, 15 * ROVE_SECOND);
    return k;
}

static void claims_over_a_relay(void **state)
{
    (void)state;
    kit *k = in_a_line();
    uint64_t a, b;
    assert_ok(spawn(k, 0, 7, true, false, &a));
    assert_ok(spawn(k, 2, 7, true, false, &b));
    world_until(&k->w, SOON, spawned(k, 0, a) && spawned(k, 2, b));
    assert_false(spawned(k, 0, a)->err == ROVE_OK && spawned(k, 2, b)->err == ROVE_OK);
    /* Nobody else claims it now. */
    assert_ok(spawn(k, 0, 8, true, false, &a));
    world_until(&k->w, SOON, spawned(k, 0, a) != NULL);
    assert_ok(spawned(k, 0, a)->err);
    kit_free(k);
}

/* The question is answered also while the relay asks the same for others, and when it asks no more
 * questions for this peer. */
static void claims_beside_other_questions(void **state)
{
    (void)state;
    kit *k = in_a_line();
    k->w.delay = 20 * ROVE_MILLISECOND;
    rove_entity d = world_spawn(&k->w, 2, 7);
    uint64_t s = kit_open(k, 0, &d), r;
    kit_send(k, 0, s, "a");
    world_run(&k->w, 5 * ROVE_MILLISECOND);
    assert_ok(spawn(k, 0, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 0, r) != NULL);
    assert_int_equal(spawned(k, 0, r)->err, ROVE_E_LIVES_ELSEWHERE);
    d = world_spawn(&k->w, 2, 99);
    for (uint64_t i = 0; i < 40; i++)
        assert_ok(spawn(k, 0, 200 + i, true, false, &r));
    assert_ok(spawn(k, 0, 99, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 0, r) != NULL);
    assert_int_equal(spawned(k, 0, r)->err, ROVE_E_LIVES_ELSEWHERE);
    kit_free(k);
}

/* A node at which a copy is only prepared asks on for its holder. */
static void prepared_copies_hide_nobody(void **state)
{
    (void)state;
    kit *k = in_a_line();
    rove_entity d = world_spawn(&k->w, 0, 7);
    k->w.nodes[0].hold = 1u << ROVEI_EFFECT_COMMIT;
    world_move(&k->w, 0, 1, &d, 0);
    world_until(&k->w, SOON, k->w.nodes[0].held_count > 0);
    uint64_t r;
    assert_ok(spawn(k, 2, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 2, r) != NULL);
    assert_int_equal(spawned(k, 2, r)->err, ROVE_E_LIVES_ELSEWHERE);
    /* Also when the holder cannot be asked. */
    world_stop(&k->w, 0);
    world_run(&k->w, ROVE_SECOND);
    assert_ok(spawn(k, 2, 7, true, false, &r));
    world_until(&k->w, SOON, spawned(k, 2, r) != NULL);
    assert_int_equal(spawned(k, 2, r)->err, ROVE_E_LIVES_ELSEWHERE);
    kit_free(k);
}

/* After a partition the lower copy yields: to a forced epoch, and to the lower entity of two first
 * ones; also when the holders meet only by way of a third. */
static void partitions_heal(void **state)
{
    (void)state;
    for (int forced = 0; forced < 2; forced++)
        for (int direct = 0; direct < 2; direct++) {
            kit *k = kit_new(3);
            for (size_t i = 0; i < 3; i++)
                for (size_t j = i + 1; j < 3; j++)
                    world_cut(&k->w, i, j, true);
            world_run(&k->w, 30 * ROVE_SECOND);
            rove_entity d = spawn_cell(k, 0, 7, false);
            (void)spawn_cell(k, 2, 7, forced);
            world_run(&k->w, 5 * ROVE_SECOND);
            assert_int_equal(world_serving(&k->w, &d), 2);
            world_cut(&k->w, 0, 1, false);
            if (direct)
                world_cut(&k->w, 0, 2, false);
            world_run(&k->w, 60 * ROVE_SECOND);
            world_cut(&k->w, 1, 2, false);
            world_run(&k->w, 60 * ROVE_SECOND);
            assert_int_equal(world_serving(&k->w, &d), 1);
            if (forced)
                assert_true(rovei_daemon_serves(world_daemon(&k->w, 2, &d)));
            kit_free(k);
        }
}

/* A peer that comes up hears of many, some at a time. */
static void tells_are_paced(void **state)
{
    (void)state;
    kit *k = kit_new(2);
    uint64_t r;
    world_cut(&k->w, 0, 1, true);
    world_run(&k->w, 30 * ROVE_SECOND);
    for (uint64_t i = 0; i < WORLD_CELLS - 1; i++)
        assert_ok(spawn(k, 0, 300 + i, true, false, &r));
    world_run(&k->w, 5 * ROVE_SECOND);
    assert_int_equal(node_of(k, 0)->locations->tellable_count, WORLD_CELLS - 1);
    world_cut(&k->w, 0, 1, false);
    world_run(&k->w, 30 * ROVE_SECOND);
    assert_int_equal(rovei_node_stats_get(node_of(k, 1)).records, WORLD_CELLS - 1);
    assert_false(rovei_timer_is_set(&node_of(k, 0)->locations->tell));
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(packed_records),
        cmocka_unit_test(the_higher_one_wins),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(records_signed_by_holders),
        cmocka_unit_test(renewal),
        cmocka_unit_test(two_hops),
        cmocka_unit_test(questions_are_bytes),
        cmocka_unit_test(given_identities),
        cmocka_unit_test(stopped_here_and_spawned_again),
        cmocka_unit_test(claims_at_the_same_time),
        cmocka_unit_test(claims_wait_for_peers),
        cmocka_unit_test(force),
        cmocka_unit_test(shutdown_ends_claims),
        cmocka_unit_test(redirects_are_bounded),
        cmocka_unit_test(prepared_copies_yield),
        cmocka_unit_test(origins),
        cmocka_unit_test(tombstones),
        cmocka_unit_test(claims_over_a_relay),
        cmocka_unit_test(claims_beside_other_questions),
        cmocka_unit_test(prepared_copies_hide_nobody),
        cmocka_unit_test(partitions_heal),
        cmocka_unit_test(tells_are_paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
