/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of moves while they go on, and dumps. */
#include "nodes.h"
#include "told.h"
#include <json-c/json.h>

#define MOST 64

/* All that was told of one move, in order. */
typedef struct story {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    rove_move_event events[MOST];
    rove_migration_info infos[MOST];
    bool ended;
} story;

#define STORY_INIT                                                                                 \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void on_move(void *user, rove_move_event event, const rove_migration_info *info)
{
    story *s = user;
    pthread_mutex_lock(&s->lock);
    assert_true(s->count < MOST);
    s->events[s->count] = event;
    s->infos[s->count++] = *info;
    s->ended |= event == ROVE_MOVE_ENDED;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void story_await_end(story *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->ended)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static size_t story_count(const story *s, rove_move_event event)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->events[i] == event;
    return count;
}

/* The phases up to `last`, once each and in order; one end, which is the last; one outcome. */
static void assert_story(const story *s, rove_phase last, rove_outcome outcome)
{
    rove_phase phase = ROVE_PHASE_NONE;
    for (size_t i = 0; i < s->count; i++) {
        if (s->events[i] == ROVE_MOVE_PHASE)
            assert_int_equal(s->infos[i].phase, ++phase);
        else if (s->events[i] == ROVE_MOVE_CLOSED)
            assert_int_equal(i, s->count - 2);
        else if (s->events[i] == ROVE_MOVE_ENDED)
            assert_int_equal(i, s->count - 1);
    }
    assert_int_equal(phase, last);
    assert_int_equal(story_count(s, ROVE_MOVE_ENDED), 1);
    assert_int_equal(story_count(s, ROVE_MOVE_CLOSED), outcome == ROVE_OUTCOME_COMPLETED);
    assert_int_equal(s->infos[s->count - 1].outcome, outcome);
}

static void place_told(place *p, story *s, const rove_limits *limits)
{
    place_open_with(p, 1, limits);
    rove_runtime_unref(p->rt);
    rove_runtime_config cfg;
    rove_runtime_config_init(&cfg);
    cfg.told = on_move;
    cfg.told_user = s;
    assert_ok(rove_runtime_new(&p->rt, p->node, &cfg));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
}

static void test_completed(void **state)
{
    (void)state;
    place a, b;
    story here = STORY_INIT, all = STORY_INIT, there = STORY_INIT;
    place_told(&a, &all, NULL);
    place_told(&b, &there, NULL);
    assert_ok(rove_runtime_start(a.rt));
    assert_ok(rove_runtime_start(b.rt));
    connect_places(&a, &b);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_expect_migration(b.rt, "probe", d.origin, NULL));
    rove_migration_options options;
    rove_migration_options_init(&options);
    options.told = on_move;
    options.told_user = &here;
    rove_migration m;
    assert_ok(rove_runtime_start_migration_with(a.rt, d, &b.info.entity, &options, &m));
    story *stories[] = {&here, &all, &there};
    for (int i = 0; i < 3; i++) {
        story_await_end(stories[i]);
        assert_story(stories[i], ROVE_PHASE_COMPLETE, ROVE_OUTCOME_COMPLETED);
        const rove_migration_info *last = &stories[i]->infos[stories[i]->count - 1];
        assert_memory_equal(&last->migration, &m, sizeof m);
        assert_int_equal(last->bytes, sizeof(uint64_t));
        assert_int_equal(story_count(stories[i], ROVE_MOVE_BYTES), 1);
        assert_int_equal(last->outgoing, i < 2);
    }
    size_t count = here.count;
    place_close(&a);
    place_close(&b);
    assert_int_equal(here.count, count);
}

/* A target that is not ready is asked again, until the move is cancelled. */
static void test_retried(void **state)
{
    (void)state;
    place a, b;
    story s = STORY_INIT;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.move_repeat = ROVE_MILLISECOND;
    place_told(&a, &s, &limits);
    assert_ok(rove_runtime_start(a.rt));
    place_open(&b, 1);
    connect_places(&a, &b);
    rove_daemon d;
    rove_migration m;
    assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_start_migration(a.rt, d, &b.info.entity, &m));
    pthread_mutex_lock(&s.lock);
    while (!story_count(&s, ROVE_MOVE_RETRY))
        pthread_cond_wait(&s.changed, &s.lock);
    pthread_mutex_unlock(&s.lock);
    assert_ok(rove_migration_cancel(a.rt, m));
    story_await_end(&s);
    assert_story(&s, ROVE_PHASE_SNAPSHOT, ROVE_OUTCOME_CANCELLED);
    place_close(&a);
    place_close(&b);
}

static void test_shut_down(void **state)
{
    (void)state;
    place a, b;
    story s = STORY_INIT;
    place_told(&a, &s, NULL);
    assert_ok(rove_runtime_start(a.rt));
    place_open(&b, 1);
    connect_places(&a, &b);
    rove_daemon d;
    rove_migration m;
    assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_start_migration(a.rt, d, &b.info.entity, &m));
    assert_ok(rove_runtime_shutdown(a.rt));
    assert_true(s.ended);
    assert_story(&s, ROVE_PHASE_SNAPSHOT, ROVE_OUTCOME_FAILED);
    assert_int_equal(s.infos[s.count - 1].reason, ROVE_E_SHUTTING_DOWN);
    place_close(&a);
    place_close(&b);
}

/* ---- dumps ---- */

static json_object *parse(const rove_buf *text)
{
    rove_span span = rove_buf_span(text);
    json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    json_object *o = json_tokener_parse_ex(tokener, span.data, (int)span.size);
    assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
    json_tokener_free(tokener);
    return o;
}

static json_object *member(json_object *o, const char *name)
{
    json_object *ret = NULL;
    assert_true(json_object_object_get_ex(o, name, &ret));
    return ret;
}

static void test_dump(void **state)
{
    (void)state;
    place a, b;
    place_ready(&a, 1);
    place_ready(&b, 1);
    connect_places(&a, &b);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    rove_buf *text;
    assert_ok(rove_node_dump(a.node, &text));
    json_object *o = parse(text);
    assert_int_equal(json_object_array_length(member(o, "peers")), 1);
    assert_int_equal(json_object_array_length(member(o, "daemons")), 1);
    json_object *daemon = json_object_array_get_idx(member(o, "daemons"), 0);
    assert_string_equal(json_object_get_string(member(daemon, "kind")), "probe");
    assert_string_equal(json_object_get_string(member(daemon, "state")), "running");
    assert_string_equal(json_object_get_string(member(member(o, "runtime"), "life")), "ready");
    assert_int_equal(json_object_get_int(member(member(o, "limits"), "dump_bytes")), 1 << 20);
    assert_true(json_object_object_length(member(o, "drops")) > 10);
    json_object_put(o);
    rove_buf_unref(text);
    place_close(&a);
    place_close(&b);
}

/* The bound holds, what is left out is counted, and it is still JSON. */
static void test_dump_bound(void **state)
{
    (void)state;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.dump_bytes = 16384;
    place a;
    place_open_with(&a, 1, &limits);
    assert_ok(rove_runtime_start(a.rt));
    rove_daemon d;
    for (int i = 0; i < 100; i++)
        assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    rove_buf *text;
    assert_ok(rove_node_dump(a.node, &text));
    assert_true(rove_buf_span(text).size < 16384);
    json_object *o = parse(text);
    size_t shown = json_object_array_length(member(o, "daemons"));
    assert_true(shown > 0);
    assert_int_equal(shown + (size_t)json_object_get_int(member(o, "daemons_left_out")), 100);
    assert_true(json_object_object_length(member(o, "limits")) > 40);
    json_object_put(o);
    rove_buf_unref(text);
    place_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed),  cmocka_unit_test(test_retried),
        cmocka_unit_test(test_shut_down),  cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
