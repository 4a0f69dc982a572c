/* SPDX-License-Identifier: Apache-2.0
 *
 * The orchestrator's half in class net, message by message: outsider 0 is the source, 1 the target,
 * 2 has no part in it; node 0 orders, and is the target itself where a test says so. */
#include "outsiders.h"

#include <state/chain.h>
#include <state/snapshot.h>

typedef struct game {
    outsiders o;
    rovei_keypair *key;
    rove_entity daemon;
    uint64_t origin, seq;
    rove_link head;
    uint8_t *bytes; /* the source's snapshot */
    size_t size;
    rovei_attempt_id a;
} game;

#define SOURCE 0
#define TARGET 1
#define OTHER  2

static void make_snapshot(game *g, size_t state_size)
{
    uint8_t *state = calloc(1, state_size);
    assert_non_null(state);
    free(g->bytes);
    rovei_snapshot s = {.entity = g->daemon,
                        .through_seq = g->seq,
                        .link = g->head,
                        .created_at = 42,
                        .state = {state, state_size}};
    assert_ok(rovei_snapshot_size(&s, &g->size));
    g->bytes = malloc(g->size);
    assert_non_null(g->bytes);
    rovei_writer w = rovei_writer_of(g->bytes, g->size);
    rovei_snapshot_encode(&s, &w);
    assert_ok(w.err);
    free(state);
}

static rovei_node *node_of(game *g)
{
    return g->o.w.nodes[0].node;
}

static rovei_move_order order_of(game *g, bool pull)
{
    rovei_move_order o = {.origin = g->origin,
                          .source = rovei_entity_of_net(g->o.peers[SOURCE].node_id),
                          .target = rovei_entity_of_net(g->o.peers[TARGET].node_id)};
    if (pull)
        o.target = g->o.w.nodes[0].entity;
    return o;
}

static void order(game *g, bool pull)
{
    rovei_move_order o = order_of(g, pull);
    assert_ok(rovei_node_move(node_of(g), g->o.w.now, &o, &g->a));
    world_run(&g->o.w, 10 * ROVE_MILLISECOND);
}

static game *game_new(size_t state_size, bool pull)
{
    game *g = calloc(1, sizeof *g);
    assert_non_null(g);
    outsiders_init(&g->o, 1, 3);
    uint8_t seed[32] = {9};
    assert_ok(rovei_keypair_from_seed(&g->key, &g->o.peers[0].t.env, seed));
    g->daemon = *rovei_keypair_entity(g->key);
    g->origin = rovei_keypair_origin(g->key);
    g->seq = 3;
    g->head = (rove_link){g->origin, 0, 3, 77};
    make_snapshot(g, state_size);
    order(g, pull);
    return g;
}

static void game_free(game *g)
{
    rovei_keypair_unref(g->key);
    outsiders_fini(&g->o);
    free(g->bytes);
    free(g);
}

static void tell(game *g, size_t who, rovei_netmove_message *m)
{
    m->origin = g->origin;
    outsider_say(&g->o, who, 0, m);
    world_run(&g->o.w, 10 * ROVE_MILLISECOND);
}

static void chunk(game *g, size_t who, uint32_t index)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY};
    rove_span all = {g->bytes, g->size};
    m.chunk = (rovei_netmove_chunk){g->seq, index, rovei_netmove_chunk_count(g->size),
                                    rovei_netmove_chunk_at(all, index)};
    tell(g, who, &m);
}

static void simply(game *g, size_t who, rovei_netmove_type type)
{
    rovei_netmove_message m = {.type = type};
    if (type == ROVEI_NETMOVE_RESTORE_COMPLETE || type == ROVEI_NETMOVE_ACTIVATE_ACK)
        m.sequence = g->seq;
    if (type == ROVEI_NETMOVE_REPLAY_COMPLETE) {
        m.replayed.sequence = g->seq;
        m.replayed.head = g->head;
    }
    tell(g, who, &m);
}

static void failed(game *g, size_t who, rovei_netmove_code code, const char *text)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED};
    m.failed.code = code;
    if (text)
        m.failed.text = span_of(text);
    tell(g, who, &m);
}

/* How often `who` has heard a message of that type since the last time. */
static size_t heard(game *g, size_t who, rovei_netmove_type type)
{
    return outsider_count(&g->o, who, type);
}

static void forget_heard(game *g)
{
    for (size_t i = 0; i < 3; i++)
        outsider_clear(&g->o, i);
}

static size_t heard_anything(const game *g)
{
    return g->o.peers[0].got_count + g->o.peers[1].got_count + g->o.peers[2].got_count;
}

static rovei_move_info info_of(game *g)
{
    return world_info(&g->o.w, 0, &g->a);
}

static rovei_net_move_stats stats_of(game *g)
{
    return rovei_net_moves_stats(node_of(g));
}

static void assert_ended(game *g, rovei_move_outcome outcome, rove_err err)
{
    assert_int_equal(info_of(g).outcome, outcome);
    assert_int_equal(info_of(g).reason, err);
    assert_null(rovei_net_order_find(node_of(g), g->origin));
}

/* ---- step by step ---- */

static void drives_each_step(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    rovei_netmove_message m;
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT), 1);
    assert_true(outsider_heard(&g->o, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT, &m));
    assert_int_equal(m.origin, g->origin);
    assert_int_equal(m.node, g->o.peers[TARGET].node_id);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_SNAPSHOT);
    chunk(g, SOURCE, 0);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_TRANSFER);
    assert_true(outsider_heard(&g->o, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY, &m));
    assert_span(m.chunk.bytes, g->bytes, g->size);
    assert_int_equal(m.chunk.seq_through, 3);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_RESTORE);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_BUFFERED_EVENTS), 1);
    assert_true(outsider_heard(&g->o, TARGET, ROVEI_NETMOVE_BUFFERED_EVENTS, &m));
    assert_int_equal(m.events.count, 0);
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_CUTOVER);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY), 1);
    assert_true(outsider_heard(&g->o, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY, &m));
    assert_int_equal(m.node, g->o.peers[TARGET].node_id);
    /* A batch of the source's own is told to it by one more. */
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY), 2);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_ACTIVATE_TARGET), 1);
    assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_COMPLETE);
    forget_heard(g);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK); /* of nobody's any more */
    assert_int_equal(heard_anything(g), 0);
    assert_int_equal(stats_of(g).refused[ROVEI_NETMOVE_ACTIVATE_ACK], 1);
    game_free(g);
}

static void says_each_step_again(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    static const struct {
        size_t who, to;
        rovei_netmove_type answer, step;
    } steps[] = {{SOURCE, SOURCE, ROVEI_NETMOVE_SNAPSHOT_READY, ROVEI_NETMOVE_TAKE_SNAPSHOT},
                 {TARGET, SOURCE, ROVEI_NETMOVE_RESTORE_COMPLETE, ROVEI_NETMOVE_TAKE_SNAPSHOT},
                 {TARGET, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE, ROVEI_NETMOVE_BUFFERED_EVENTS},
                 {SOURCE, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE, ROVEI_NETMOVE_CUTOVER_NOTIFY},
                 {TARGET, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK, ROVEI_NETMOVE_ACTIVATE_TARGET}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        forget_heard(g);
        world_until(&g->o.w, 10 * ROVE_SECOND, heard(g, steps[i].to, steps[i].step) >= 2);
        if (steps[i].answer == ROVEI_NETMOVE_SNAPSHOT_READY)
            chunk(g, SOURCE, 0);
        else
            simply(g, steps[i].who, steps[i].answer);
    }
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    game_free(g);
}

/* Of an earlier order, and kept back by the network: the source has not let go, the target does not
 * serve. */
static void late_words(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    outsider_packet *late = calloc(2, sizeof *late);
    assert_non_null(late);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_CLEANUP_COMPLETE, .origin = g->origin};
    outsider_say_late(&g->o, SOURCE, 0, &m, &late[0]);
    m = (rovei_netmove_message){.type = ROVEI_NETMOVE_ACTIVATE_ACK, .origin = g->origin};
    m.sequence = g->seq;
    outsider_say_late(&g->o, TARGET, 0, &m, &late[1]);
    assert_ok(rovei_node_cancel(node_of(g), g->o.w.now, &g->a, ROVE_E_CANCELLED));
    order(g, false);
    chunk(g, SOURCE, 0);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    outsider_let_go(&g->o, &late[0]);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_ACTIVATE_TARGET), 0);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_ACTIVATE_TARGET), 1);
    outsider_let_go(&g->o, &late[1]);
    assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    free(late);
    game_free(g);
}

/* One of the reference hears no order twice: it is told to give up, then ordered anew. */
static void a_silent_source_is_asked_anew(void **state)
{
    (void)state;
    game *g = game_new(20000, false);
    chunk(g, SOURCE, 0);
    forget_heard(g);
    world_until(&g->o.w, 60 * ROVE_SECOND, heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED));
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    assert_true(heard(g, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT) >= 2);
    for (uint32_t i = 0; i < 3; i++)
        chunk(g, SOURCE, i);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_RESTORE);
    game_free(g);
}

static void many_chunks_pass_in_any_order(void **state)
{
    (void)state;
    game *g = game_new(21500, false);
    uint32_t total = rovei_netmove_chunk_count(g->size);
    assert_int_equal(total, 4);
    for (uint32_t i = total; i-- > 0;) {
        chunk(g, SOURCE, i);
        if (i)
            simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE); /* too early to be true */
    }
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_TRANSFER);
    assert_int_equal(stats_of(g).out_of_phase[ROVEI_NETMOVE_RESTORE_COMPLETE], 3);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 4);
    chunk(g, SOURCE, 2); /* again: passed on, counted once */
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 5);
    assert_int_equal(info_of(g).bytes, g->size);
    rovei_move_info info = info_of(g);
    assert_true(rovei_entity_equal(&info.daemon, &g->daemon));
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_RESTORE);
    game_free(g);
}

/* ---- chunk 0 ---- */

static void chunk_0_is_looked_at(void **state)
{
    (void)state;
    static const struct {
        size_t at, size;
        uint8_t value;
        const char *text;
    } bad[] = {{0, 0, 'X', "wrong magic"},
               {4, 0, 0xFE, "version"},
               {5, 0, 0x55, "origin"},
               {0, 12, 0, "too short"}};
    for (int large = 0; large < 2; large++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            game *g = game_new(large ? 20000 : 100, false);
            rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY};
            uint8_t first[ROVEI_NETMOVE_CHUNK_MAX];
            size_t size = large ? sizeof first : g->size;
            memcpy(first, g->bytes, size);
            if (bad[i].size)
                size = bad[i].size;
            else
                first[bad[i].at] = bad[i].value;
            m.chunk = (rovei_netmove_chunk){g->seq, 0, large ? 3 : 1, {first, size}};
            tell(g, SOURCE, &m);
            assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
            rove_span text = info_of(g).text;
            assert_non_null(memmem(text.data, text.size, bad[i].text, strlen(bad[i].text)));
            assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
            assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 0);
            game_free(g);
        }
    /* A single one is read whole: its numbers have to agree. */
    game *g = game_new(100, false);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY};
    m.chunk = (rovei_netmove_chunk){g->seq + 1, 0, 1, {g->bytes, g->size}};
    tell(g, SOURCE, &m);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
    static const char text[] =
        "SnapshotReady: wire seq_through 4 disagrees with snapshot.through_seq 3";
    assert_span(info_of(g).text, text, sizeof text - 1);
    game_free(g);
}

static void later_chunks_are_opaque(void **state)
{
    (void)state;
    game *g = game_new(20000, false);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY};
    m.chunk = (rovei_netmove_chunk){g->seq, 1, 3, span_of("anything")};
    tell(g, SOURCE, &m);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 1);
    assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
    game_free(g);
}

static void larger_than_a_target_takes(void **state)
{
    (void)state;
    game *g = game_new(20000, false);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_SNAPSHOT_READY};
    m.chunk = (rovei_netmove_chunk){g->seq, 1, 9588, span_of("anything")};
    tell(g, SOURCE, &m);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_TOO_LARGE);
    game_free(g);
}

/* ---- who may say what, and when ---- */

static void others_are_not_heard(void **state)
{
    (void)state;
    static const rovei_netmove_type types[] = {
        ROVEI_NETMOVE_RESTORE_COMPLETE, ROVEI_NETMOVE_REPLAY_COMPLETE, ROVEI_NETMOVE_ACTIVATE_ACK,
        ROVEI_NETMOVE_CLEANUP_COMPLETE, ROVEI_NETMOVE_MIGRATION_FAILED};
    game *g = game_new(100, false);
    for (int step = 0; step < 5; step++) {
        rovei_phase phase = info_of(g).phase;
        forget_heard(g);
        chunk(g, OTHER, 0);
        chunk(g, TARGET, 0);
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            size_t before = (size_t)stats_of(g).refused[types[i]];
            simply(g, OTHER, types[i]);
            assert_int_equal(stats_of(g).refused[types[i]], before + 1);
        }
        simply(g, TARGET, ROVEI_NETMOVE_CLEANUP_COMPLETE); /* the right ones in a wrong role */
        simply(g, SOURCE, ROVEI_NETMOVE_RESTORE_COMPLETE);
        simply(g, SOURCE, ROVEI_NETMOVE_REPLAY_COMPLETE);
        simply(g, SOURCE, ROVEI_NETMOVE_ACTIVATE_ACK);
        assert_int_equal(info_of(g).phase, phase);
        assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
        assert_int_equal(heard_anything(g), 0);
        if (step == 0)
            chunk(g, SOURCE, 0);
        else if (step == 1)
            simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
        else if (step == 2)
            simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
        else if (step == 3)
            simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    }
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    game_free(g);
}

/* Said by the right one at the wrong time, it moves nothing. */
static void out_of_phase(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    forget_heard(g);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_SNAPSHOT);
    chunk(g, SOURCE, 0);
    forget_heard(g);
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_RESTORE_COMPLETE, .sequence = 2};
    tell(g, TARGET, &m); /* of another snapshot */
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_TRANSFER);
    assert_int_equal(heard_anything(g), 0);
    rovei_net_move_stats s = stats_of(g);
    assert_int_equal(s.out_of_phase[ROVEI_NETMOVE_RESTORE_COMPLETE], 2);
    assert_int_equal(s.out_of_phase[ROVEI_NETMOVE_REPLAY_COMPLETE], 2);
    assert_int_equal(s.out_of_phase[ROVEI_NETMOVE_ACTIVATE_ACK], 2);
    assert_int_equal(s.out_of_phase[ROVEI_NETMOVE_CLEANUP_COMPLETE], 2);
    game_free(g);
}

/* A target that restored something else does not get the daemon. */
static void the_head_has_to_agree(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    chunk(g, SOURCE, 0);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_REPLAY_COMPLETE};
    m.replayed.sequence = g->seq;
    m.replayed.head = g->head;
    m.replayed.head.parent++;
    tell(g, TARGET, &m);
    tell(g, TARGET, &m);
    assert_int_equal(info_of(g).phase, ROVEI_PHASE_RESTORE);
    tell(g, TARGET, &m);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY), 0);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    game_free(g);
}

/* ---- failures ---- */

static void a_failure_goes_on_to_the_other(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        game *g = game_new(100, false);
        chunk(g, SOURCE, 0);
        forget_heard(g);
        failed(g, who, ROVEI_NETMOVE_STATE_FAILED, "boom");
        assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
        assert_span(info_of(g).text, "boom", 4);
        rovei_netmove_message m;
        assert_int_equal(heard(g, who, ROVEI_NETMOVE_MIGRATION_FAILED), 0);
        assert_true(outsider_heard(&g->o, 1 - who, ROVEI_NETMOVE_MIGRATION_FAILED, &m));
        assert_span(m.failed.text, "boom", 4);
        order(g, false); /* another begins at once */
        assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT), 1);
        game_free(g);
    }
}

static void refused_by_the_source(void **state)
{
    (void)state;
    static const char text[] =
        "migration refused: node 0x1 is not an authorized orchestrator for this node";
    game *g = game_new(100, false);
    failed(g, SOURCE, ROVEI_NETMOVE_STATE_FAILED, text);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_REFUSED);
    assert_span(info_of(g).text, text, sizeof text - 1);
    game_free(g);
}

static void not_ready_is_retried(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    chunk(g, SOURCE, 0);
    failed(g, TARGET, ROVEI_NETMOVE_NOT_READY, NULL);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_TARGET_NOT_READY);
    rovei_move_order o = order_of(g, false);
    o.retry_not_ready = 10 * ROVE_SECOND;
    assert_ok(rovei_node_move(node_of(g), g->o.w.now, &o, &g->a));
    world_run(&g->o.w, 10 * ROVE_MILLISECOND);
    chunk(g, SOURCE, 0);
    forget_heard(g);
    failed(g, TARGET, ROVEI_NETMOVE_NOT_READY, NULL);
    assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED), 1); /* it goes on there */
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT), 0);
    chunk(g, SOURCE, 0); /* left over */
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 0);
    world_run(&g->o.w, 500 * ROVE_MILLISECOND);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT), 1);
    assert_int_equal(info_of(g).attempts, 2);
    chunk(g, SOURCE, 0);
    assert_int_equal(heard(g, TARGET, ROVEI_NETMOVE_SNAPSHOT_READY), 1);
    game_free(g);
}

/* From CutoverNotify on a failure only says why it stands. */
static void nothing_undoes_the_cutover(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    chunk(g, SOURCE, 0);
    simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_REPLAY_COMPLETE);
    failed(g, TARGET, ROVEI_NETMOVE_STATE_FAILED, "boom");
    failed(g, SOURCE, ROVEI_NETMOVE_NO_FACTORY, NULL);
    assert_int_equal(info_of(g).outcome, ROVEI_OUTCOME_RUNNING);
    assert_int_equal(info_of(g).reason, ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(rovei_node_cancel(node_of(g), g->o.w.now, &g->a, ROVE_E_CANCELLED),
                     ROVE_E_TOO_LATE);
    world_run(&g->o.w, 60 * ROVE_SECOND);
    forget_heard(g);
    world_run(&g->o.w, 30 * ROVE_SECOND);
    assert_true(heard(g, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY) > 1);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    simply(g, TARGET, ROVEI_NETMOVE_ACTIVATE_ACK);
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    game_free(g);
}

static void cancelled(void **state)
{
    (void)state;
    for (int step = 0; step < 3; step++) {
        game *g = game_new(100, false);
        if (step > 0)
            chunk(g, SOURCE, 0);
        if (step > 1)
            simply(g, TARGET, ROVEI_NETMOVE_RESTORE_COMPLETE);
        assert_ok(rovei_node_cancel(node_of(g), g->o.w.now, &g->a, ROVE_E_CANCELLED));
        world_run(&g->o.w, 10 * ROVE_MILLISECOND);
        assert_ended(g, ROVEI_OUTCOME_CANCELLED, ROVE_E_CANCELLED);
        for (size_t who = 0; who < 2; who++) {
            rovei_netmove_message m;
            assert_true(outsider_heard(&g->o, who, ROVEI_NETMOVE_MIGRATION_FAILED, &m));
            assert_span(m.failed.text, "cancel requested", 16);
        }
        /* It is said three times, and no more once there is another order. */
        world_run(&g->o.w, step == 2 ? 500 * ROVE_MILLISECOND : 30 * ROVE_SECOND);
        size_t times = heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED);
        assert_int_equal(times, step == 2 ? 1 : 3);
        order(g, false);
        world_run(&g->o.w, 5 * ROVE_SECOND);
        assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED), times);
        game_free(g);
    }
}

static void silence_ends_it(void **state)
{
    (void)state;
    game *g = game_new(100, false);
    uint64_t begun = g->o.w.now.mono;
    world_until(&g->o.w, 3 * WORLD_LONG, info_of(g).outcome != ROVEI_OUTCOME_RUNNING);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_TIMED_OUT);
    assert_true(g->o.w.now.mono - begun >= 99 * ROVE_SECOND);
    game_free(g);
}

/* ---- this node is the target ---- */

/* What an order names as its target is this node: the half here tells the order, not the source. */
static void pulled(void **state)
{
    (void)state;
    game *g = game_new(20000, true);
    rovei_netmove_message m;
    assert_true(outsider_heard(&g->o, SOURCE, ROVEI_NETMOVE_TAKE_SNAPSHOT, &m));
    assert_int_equal(m.node, rovei_entity_node_id(&g->o.w.nodes[0].entity));
    assert_int_equal(rovei_keypair_seed(g->key, (uint8_t[32]){0}), ROVE_OK);
    g->o.w.nodes[0].has_key = rovei_keypair_ref(g->key);
    for (uint32_t i = 0; i < 3; i++)
        chunk(g, SOURCE, i);
    world_run(&g->o.w, 100 * ROVE_MILLISECOND);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_RESTORE_COMPLETE), 0);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_REPLAY_COMPLETE), 0);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_CUTOVER_NOTIFY), 1);
    simply(g, SOURCE, ROVEI_NETMOVE_CLEANUP_COMPLETE);
    world_until(&g->o.w, 10 * ROVE_SECOND, info_of(g).outcome != ROVEI_OUTCOME_RUNNING);
    assert_ended(g, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    assert_int_equal(world_serving(&g->o.w, &g->daemon), 1);
    game_free(g);
}

/* Failures of the half here end the order, and the source hears of them. */
static void pulled_and_failed(void **state)
{
    (void)state;
    game *g = game_new(100, true);
    g->o.w.nodes[0].place = ROVE_E_TARGET_NO_FACTORY;
    chunk(g, SOURCE, 0);
    assert_ended(g, ROVEI_OUTCOME_FAILED, ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(heard(g, SOURCE, ROVEI_NETMOVE_MIGRATION_FAILED), 1);
    /* Cancelled while half of it is here: nothing stays. */
    g->o.w.nodes[0].place = ROVE_OK;
    make_snapshot(g, 20000);
    world_run(&g->o.w, ROVE_SECOND);
    order(g, true);
    chunk(g, SOURCE, 0);
    assert_true(rovei_net_moves_stats(node_of(g)).received[ROVEI_NETMOVE_SNAPSHOT_READY] >= 2);
    assert_ok(rovei_node_cancel(node_of(g), g->o.w.now, &g->a, ROVE_E_CANCELLED));
    assert_int_equal(node_of(g)->net_moves->place_count, 0);
    game_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drives_each_step),
        cmocka_unit_test(says_each_step_again),
        cmocka_unit_test(late_words),
        cmocka_unit_test(a_silent_source_is_asked_anew),
        cmocka_unit_test(many_chunks_pass_in_any_order),
        cmocka_unit_test(chunk_0_is_looked_at),
        cmocka_unit_test(later_chunks_are_opaque),
        cmocka_unit_test(larger_than_a_target_takes),
        cmocka_unit_test(others_are_not_heard),
        cmocka_unit_test(out_of_phase),
        cmocka_unit_test(the_head_has_to_agree),
        cmocka_unit_test(a_failure_goes_on_to_the_other),
        cmocka_unit_test(refused_by_the_source),
        cmocka_unit_test(not_ready_is_retried),
        cmocka_unit_test(nothing_undoes_the_cutover),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(pulled),
        cmocka_unit_test(pulled_and_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
