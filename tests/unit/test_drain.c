/* SPDX-License-Identifier: Apache-2.0
 *
 * Cordons and drains, between real nodes over loopback; what the daemons are told of it. */
#include "caps_kit.h"
#include "driven.h"
#include <node/placing.h>
#include <rove/drain.h>
#include <shell/call.h>

#define DAEMONS 40

/* ---- a kind that keeps what it was told ---- */

static atomic_int told[8]; /* by rove_control_kind */
static atomic_uint last_grace;

static void note_control(void *self, const rove_control *control)
{
    (void)self;
    if (control->kind > 0 && control->kind < 8)
        atomic_fetch_add(&told[control->kind], 1);
    if (control->kind == ROVE_CONTROL_DRAIN_START)
        atomic_store(&last_grace, control->grace_ms);
}

static rove_kind told_kind;

static void forget_told(void)
{
    for (int i = 0; i < 8; i++)
        atomic_store(&told[i], 0);
}

/* ---- three places ---- */

struct lookup {
    uint64_t node_id;
    bool found;
};

static void look_up(void *arg, rovei_node *core, rovei_now now)
{
    struct lookup *l = arg;
    (void)now;
    l->found = rovei_index_get(rovei_node_index(core), l->node_id) != NULL;
}

/* Until `at` has what `of` announces of itself: a drain gives most to those who are in the index,
 * so one whose announcement is still under way would get less. */
static void await_announcement(place *at, const place *of)
{
    for (struct lookup l = {of->info.node_id, false}; !l.found; sched_yield())
        rovei_node_call(at->node, look_up, &l);
}

typedef struct trio {
    place a, b, c;
    rove_daemon d[DAEMONS];
} trio;

static void ready(place *p)
{
    place_open(p, 1);
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &told_kind, &p->control));
    assert_ok(rove_runtime_start(p->rt));
}

static void trio_open(trio *t, size_t count)
{
    told_kind = probe_kind;
    told_kind.name = "told";
    told_kind.control = note_control;
    forget_told();
    ready(&t->a);
    ready(&t->b);
    ready(&t->c);
    connect_places(&t->a, &t->b);
    connect_places(&t->a, &t->c);
    await_announcement(&t->a, &t->b);
    await_announcement(&t->a, &t->c);
    for (size_t i = 0; i < count; i++) {
        assert_ok(rove_runtime_spawn(t->a.rt, "told", NULL, NULL, &t->d[i]));
        deliver_expecting(&t->a, t->d[i], "1");
    }
}

static void trio_close(trio *t)
{
    place_close(&t->a);
    place_close(&t->b);
    place_close(&t->c);
}

typedef struct seen {
    atomic_int of[8]; /* by rove_drain_event */
    rove_err reason;
    rove_drain_report last;
} seen;

static void see(void *user, rove_drain_event event, const rove_drain_progress *p)
{
    seen *s = user;
    atomic_fetch_add(&s->of[event], 1);
    if (event == ROVE_DRAIN_FAILED)
        s->reason = p->reason;
    s->last = p->so_far;
}

static void test_all_move_to_those_that_take_them(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, DAEMONS);
    assert_ok(rove_runtime_accept_kind(t.b.rt, NULL, true));
    assert_ok(rove_runtime_accept_kind(t.c.rt, NULL, true));
    seen s = {0};
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.told = see;
    options.told_user = &s;
    options.grace_ms = 77;
    options.timeout = 60 * ROVE_SECOND;
    rove_drain_report report;
    assert_ok(rove_runtime_drain(t.a.rt, &options, &report));
    assert_int_equal(report.daemons, DAEMONS);
    assert_int_equal(report.moved, DAEMONS);
    assert_int_equal(report.failed + report.still_moving, 0);
    assert_true(report.elapsed > 0);
    assert_int_equal(s.of[ROVE_DRAIN_ORDERED], DAEMONS);
    assert_int_equal(s.of[ROVE_DRAIN_MOVED], DAEMONS);
    assert_int_equal(s.last.moved, DAEMONS);
    assert_int_equal(rove_runtime_daemon_count(t.a.rt), 0);
    /* They are spread, and each goes on where it left off. */
    assert_int_equal(rove_runtime_daemon_count(t.b.rt), DAEMONS / 2);
    assert_int_equal(rove_runtime_daemon_count(t.c.rt), DAEMONS / 2);
    for (int i = 0; i < DAEMONS; i++) {
        rove_entity e;
        bool at_b = rove_runtime_entity(t.b.rt, t.d[i], &e) == ROVE_OK;
        deliver_expecting(at_b ? &t.b : &t.c, t.d[i], "2");
    }
    /* Each was told once that it is about to leave; none that it stays. */
    assert_int_equal(told[ROVE_CONTROL_DRAIN_START], DAEMONS);
    assert_int_equal(told[ROVE_CONTROL_DRAIN_FINISH], 0);
    assert_int_equal(last_grace, 77);
    assert_true(rove_runtime_is_cordoned(t.a.rt));
    trio_close(&t);
    assert_int_equal(told[ROVE_CONTROL_SHUTDOWN], DAEMONS);
}

/* One target takes none, the other all: each daemon is tried again elsewhere. */
static void test_another_target(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 10);
    assert_ok(rove_runtime_accept_kind(t.c.rt, NULL, true));
    seen s = {0};
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.told = see;
    options.told_user = &s;
    rove_drain_report report;
    assert_ok(rove_runtime_drain(t.a.rt, &options, &report));
    assert_int_equal(report.moved, 10);
    assert_true(s.of[ROVE_DRAIN_RETRY] > 0);
    assert_int_equal(s.of[ROVE_DRAIN_FAILED], 0);
    assert_int_equal(rove_runtime_daemon_count(t.c.rt), 10);
    trio_close(&t);
}

struct announcement {
    rovei_index_item item;
    rove_err err;
};

static void announce(void *arg, rovei_node *core, rovei_now now)
{
    struct announcement *a = arg;
    a->err = rovei_index_put(rovei_node_index(core), now, &a->item);
}

/* What a node has announced decides before it is asked: a cordoned one gets nothing. The versions
 * are the last there are, so that what the nodes say themselves does not replace them. */
static void test_placement_decides(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 6);
    assert_ok(rove_runtime_accept_kind(t.b.rt, NULL, true));
    assert_ok(rove_runtime_accept_kind(t.c.rt, NULL, true));
    static const char *const tags[] = {"rove:cordoned\nsubprotocol:0x0500", "subprotocol:0x0500"};
    const place *who[] = {&t.b, &t.c};
    for (int i = 0; i < 2; i++) {
        struct announcement a = {.item = {.node_id = who[i]->info.node_id,
                                          .entity = who[i]->info.entity,
                                          .version = UINT64_MAX,
                                          .ttl_secs = 300,
                                          .caps = caps_of(tags[i], NULL)}};
        rovei_node_call(t.a.node, announce, &a);
        assert_ok(a.err);
    }
    seen s = {0};
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.told = see;
    options.told_user = &s;
    assert_ok(rove_runtime_drain(t.a.rt, &options, NULL));
    assert_int_equal(s.of[ROVE_DRAIN_ORDERED], 6);
    assert_int_equal(s.of[ROVE_DRAIN_RETRY], 0);
    assert_int_equal(rove_runtime_daemon_count(t.b.rt), 0);
    assert_int_equal(rove_runtime_daemon_count(t.c.rt), 6);
    caps_kit_clear();
    trio_close(&t);
}

static void test_to_one_node(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 5);
    assert_ok(rove_runtime_accept_kind(t.b.rt, "told", true));
    assert_ok(rove_runtime_accept_kind(t.c.rt, "told", true));
    rove_drain_options options;
    rove_drain_options_init(&options);
    rove_entity to = t.a.info.entity;
    options.target = &to;
    assert_int_equal(rove_runtime_drain(t.a.rt, &options, NULL), ROVE_E_SAME_NODE);
    assert_false(rove_runtime_is_cordoned(t.a.rt));
    to = t.c.info.entity;
    assert_ok(rove_runtime_drain(t.a.rt, &options, NULL));
    assert_int_equal(rove_runtime_daemon_count(t.c.rt), 5);
    trio_close(&t);
}

/* What nobody takes stays, goes on, and is told so. */
static void test_nobody_takes_them(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 3);
    seen s = {0};
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.told = see;
    options.told_user = &s;
    rove_drain_report report;
    assert_int_equal(rove_runtime_drain(t.a.rt, &options, &report), ROVE_E_TARGET_NO_FACTORY);
    assert_int_equal(report.daemons, 3);
    assert_int_equal(report.failed, 3);
    assert_int_equal(s.of[ROVE_DRAIN_FAILED], 3);
    assert_int_equal(s.reason, ROVE_E_TARGET_NO_FACTORY);
    for (int i = 0; i < 3; i++)
        deliver_expecting(&t.a, t.d[i], "2");
    assert_int_equal(told[ROVE_CONTROL_DRAIN_START], 3);
    assert_int_equal(told[ROVE_CONTROL_DRAIN_FINISH], 3);
    /* Cordoned until it is taken back. */
    rove_daemon d;
    assert_true(rove_runtime_is_cordoned(t.a.rt));
    assert_int_equal(rove_runtime_spawn(t.a.rt, "told", NULL, NULL, &d), ROVE_E_CORDONED);
    assert_ok(rove_runtime_cordon(t.a.rt, false));
    assert_ok(rove_runtime_spawn(t.a.rt, "told", NULL, NULL, &d));
    trio_close(&t);
}

static void test_cordon(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 1);
    assert_ok(rove_runtime_accept_kind(t.b.rt, NULL, true));
    assert_ok(rove_runtime_cordon(t.b.rt, true));
    rove_migration m;
    rove_migration_info info;
    assert_ok(rove_runtime_start_migration(t.a.rt, t.d[0], &t.b.info.entity, &m));
    assert_int_equal(rove_migration_wait_with_timeout(t.a.rt, m, 20 * ROVE_SECOND, &info),
                     ROVE_E_CORDONED);
    /* Its own go on, and an expected one is refused like any other. */
    assert_ok(rove_runtime_expect_migration(t.b.rt, "told", t.d[0].origin, NULL));
    assert_ok(rove_runtime_start_migration(t.a.rt, t.d[0], &t.b.info.entity, &m));
    assert_int_equal(rove_migration_wait_with_timeout(t.a.rt, m, 20 * ROVE_SECOND, &info),
                     ROVE_E_CORDONED);
    deliver_expecting(&t.a, t.d[0], "2");
    assert_ok(rove_runtime_cordon(t.b.rt, false));
    assert_ok(rove_runtime_start_migration(t.a.rt, t.d[0], &t.b.info.entity, &m));
    assert_ok(rove_migration_wait_with_timeout(t.a.rt, m, 20 * ROVE_SECOND, &info));
    trio_close(&t);
}

/* ---- the form with a completion, its end by others ---- */

typedef struct ending {
    atomic_bool ended;
    rove_err err;
    rove_drain_report report;
} ending;

static void on_end(void *user, rove_err err, const rove_drain_report *report)
{
    ending *e = user;
    e->err = err;
    e->report = *report;
    atomic_store(&e->ended, true);
}

static void await(ending *e)
{
    while (!atomic_load(&e->ended))
        sched_yield();
}

/* A target whose runtime is not ready holds the drain up for as long as it is asked again. */
static void test_ended_from_outside(void **state)
{
    (void)state;
    for (int by = 0; by < 3; by++) {
        trio t;
        trio_open(&t, 3);
        place slow;
        place_open(&slow, 1); /* never started */
        connect_places(&t.a, &slow);
        rove_drain_options options;
        rove_drain_options_init(&options);
        rove_entity to = slow.info.entity;
        options.target = &to;
        options.timeout = by == 0 ? ROVE_SECOND / 5 : ROVE_TIME_NEVER;
        ending e = {0}, second = {0};
        assert_ok(rove_runtime_drain_async(t.a.rt, &options, on_end, &e));
        assert_ok(rove_runtime_drain_async(t.a.rt, &options, on_end, &second));
        await(&second);
        assert_int_equal(second.err, ROVE_E_BUSY);
        while (by == 1 && told[ROVE_CONTROL_DRAIN_START] < 3)
            sched_yield();
        if (by == 1)
            assert_ok(rove_runtime_cordon(t.a.rt, false));
        if (by == 2)
            assert_ok(rove_runtime_shutdown(t.a.rt));
        await(&e);
        static const rove_err wanted[] = {ROVE_E_TIMED_OUT, ROVE_E_CANCELLED, ROVE_E_SHUTTING_DOWN};
        assert_int_equal(e.err, wanted[by]);
        for (int i = 0; by < 2 && i < 3; i++) /* behind what they are told */
            deliver_expecting(&t.a, t.d[i], "2");
        if (by < 2)
            assert_int_equal(told[ROVE_CONTROL_DRAIN_FINISH], told[ROVE_CONTROL_DRAIN_START]);
        if (by == 0)
            assert_int_equal(e.report.failed, 3);
        trio_close(&t);
        place_close(&slow);
    }
}

/* One that moves already, by somebody else's order, is waited for and drained when it stays. */
static void test_one_that_moves_already(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 2);
    assert_ok(rove_runtime_accept_kind(t.b.rt, NULL, true));
    assert_ok(rove_runtime_accept_kind(t.c.rt, NULL, true));
    place slow;
    place_open(&slow, 1); /* never started: it says "later" */
    connect_places(&t.a, &slow);
    rove_migration m;
    assert_ok(rove_runtime_start_migration(t.a.rt, t.d[0], &slow.info.entity, &m));
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.target = &t.b.info.entity;
    ending e = {0};
    assert_ok(rove_runtime_drain_async(t.a.rt, &options, on_end, &e));
    rove_entity entity;
    while (rove_runtime_entity(t.b.rt, t.d[1], &entity) != ROVE_OK)
        sched_yield(); /* the other one is through */
    assert_false(atomic_load(&e.ended));
    assert_ok(rove_migration_cancel(t.a.rt, m));
    await(&e);
    assert_ok(e.err);
    assert_int_equal(e.report.moved, 2);
    assert_int_equal(rove_runtime_daemon_count(t.b.rt), 2);
    trio_close(&t);
    place_close(&slow);
}

/* A target that was named and is gone: tried again while there is hope, then it stays. */
static void test_a_target_that_is_gone(void **state)
{
    (void)state;
    trio t;
    trio_open(&t, 2);
    rove_entity nobody = t.b.info.entity;
    nobody.bytes[3] ^= 1;
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.target = &nobody;
    rove_drain_report report;
    assert_int_equal(rove_runtime_drain(t.a.rt, &options, &report), ROVE_E_TARGET_UNAVAILABLE);
    assert_int_equal(report.failed, 2);
    for (int i = 0; i < 2; i++)
        deliver_expecting(&t.a, t.d[i], "2");
    trio_close(&t);
}

/* Nodes that sleep exactly as long as they say: every step of a drain wakes them. */
static void test_driven(void **state)
{
    (void)state;
    place p[2];
    rove_daemon d[20];
    driven_open(&p[0], 0);
    driven_open(&p[1], 0);
    loop l = {.places = p, .count = 2};
    assert_ok(rove_node_connect(p[0].node, &p[1].info.entity, p[1].info.address));
    LOOP_UNTIL(&l, knows(&p[0], &p[1]) && knows(&p[1], &p[0]));
    for (int i = 0; i < 20; i++)
        assert_ok(rove_runtime_spawn(p[0].rt, "probe", NULL, NULL, &d[i]));
    assert_ok(rove_runtime_accept_kind(p[1].rt, NULL, true));
    ending e = {0};
    assert_ok(rove_runtime_drain_async(p[0].rt, NULL, on_end, &e));
    LOOP_UNTIL(&l, atomic_load(&e.ended));
    assert_ok(e.err);
    assert_int_equal(e.report.moved, 20);
    assert_int_equal(rove_runtime_daemon_count(p[1].rt), 20);
    /* A pause wakes it too: nobody is left who would take it. */
    rove_entity nobody = p[0].info.entity;
    nobody.bytes[3] ^= 1;
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.target = &nobody;
    ending gone = {0};
    assert_ok(rove_runtime_drain_async(p[1].rt, &options, on_end, &gone));
    LOOP_UNTIL(&l, atomic_load(&gone.ended));
    assert_int_equal(gone.report.failed, 20);
    place_close(&p[0]);
    place_close(&p[1]);
}

static void test_an_empty_node_and_bad_calls(void **state)
{
    (void)state;
    place p;
    place_open(&p, 0);
    rove_drain_report report;
    assert_int_equal(rove_runtime_drain(p.rt, NULL, &report), ROVE_E_NOT_READY);
    assert_int_equal(rove_runtime_cordon(p.rt, true), ROVE_E_NOT_READY);
    assert_ok(rove_runtime_start(p.rt));
    assert_ok(rove_runtime_drain(p.rt, NULL, &report));
    assert_int_equal(report.daemons, 0);
    assert_true(rove_runtime_is_cordoned(p.rt));
    assert_false(rove_runtime_is_cordoned(NULL));
    rove_drain_options options;
    rove_drain_options_init(&options);
    options.struct_version = 0;
    assert_int_equal(rove_runtime_drain(p.rt, &options, NULL), ROVE_E_STRUCT_VERSION);
    assert_int_equal(rove_runtime_drain_async(p.rt, &options, on_end, NULL), ROVE_E_STRUCT_VERSION);
    assert_int_equal(rove_runtime_drain(NULL, NULL, NULL), ROVE_E_USAGE);
    assert_int_equal(rove_runtime_drain_async(p.rt, NULL, NULL, NULL), ROVE_E_USAGE);
    assert_int_equal(rove_runtime_cordon(NULL, true), ROVE_E_USAGE);
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_int_equal(rove_runtime_drain(p.rt, NULL, NULL), ROVE_E_SHUTTING_DOWN);
    place_close(&p);
}

/* ---- control events in the daemon's own order ---- */

static char order[64];

static rove_err note_event(probe_control *p, rove_ctx *ctx, const rove_event *event)
{
    (void)p;
    (void)ctx;
    (void)event;
    strcat(order, "e");
    return ROVE_OK;
}

static void note_order(void *self, const rove_control *control)
{
    char text[24];
    (void)self;
    snprintf(text, sizeof text, "[%d/%u/%g]", control->kind, control->grace_ms, control->level);
    strcat(order, text);
}

static void test_control_in_order(void **state)
{
    (void)state;
    place p;
    rove_kind kind = probe_kind;
    kind.name = "ordered";
    kind.control = note_order;
    order[0] = '\0';
    place_open(&p, 0);
    p.control.during = note_event;
    assert_ok(rove_runtime_register_kind(p.rt, NULL, &kind, &p.control));
    assert_ok(rove_runtime_start(p.rt));
    rove_daemon d;
    assert_ok(rove_runtime_spawn(p.rt, "ordered", NULL, NULL, &d));
    deliver_and_forget(&p, d);
    rove_control control = {.kind = ROVE_CONTROL_SHUTDOWN, .grace_ms = 5000};
    assert_ok(rove_runtime_control(p.rt, d, &control));
    deliver_and_forget(&p, d);
    control = (rove_control){.kind = ROVE_CONTROL_BACKPRESSURE_ON, .level = 0.5};
    assert_ok(rove_runtime_control(p.rt, d, &control));
    deliver_and_forget(&p, d);
    assert_ok(rove_runtime_stop(p.rt, d));
    place_close(&p);
    assert_string_equal(order, "e[1/5000/0]e[4/0/0.5]e[1/0/0]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_move_to_those_that_take_them),
        cmocka_unit_test(test_another_target),
        cmocka_unit_test(test_placement_decides),
        cmocka_unit_test(test_to_one_node),
        cmocka_unit_test(test_nobody_takes_them),
        cmocka_unit_test(test_cordon),
        cmocka_unit_test(test_ended_from_outside),
        cmocka_unit_test(test_one_that_moves_already),
        cmocka_unit_test(test_a_target_that_is_gone),
        cmocka_unit_test(test_driven),
        cmocka_unit_test(test_an_empty_node_and_bad_calls),
        cmocka_unit_test(test_control_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
