/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes over real sockets: senders follow a daemon from node to node, meet full windows, outlive
 * hosts and are killed themselves. */
#include "kit.h"
#include <unistd.h>

/* ---- following a daemon ---- */

/* The sender's node has no runtime and hears of the moves from the old hosts alone. */
static void test_redirect(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot a, b, c;
    spot_with(&a, &control);
    spot_with(&b, &control);
    spot_open(&c, &(spot_config){0});
    spot_meet(&a, &b);
    spot_meet(&c, &a); /* and nobody tells it of b */
    subject x;
    subject_spawn(&x, &a);
    subject_expect(&x, &b);
    pump p;
    pump_open(&p, &c, &x.entity, 1, 100, 64);
    pump_run(&p, 100);
    subject_move(&x, &a, &b);
    p.target = 200;
    pump_run(&p, 200);
    assert_true(spot_counters(&c).redirects >= 1);
    assert_int_equal(spot_sessions(&c), 2); /* it went there by the record's address */
    subject_move(&x, &b, &a);
    p.target = 300;
    pump_finish(&p);
    subject_check(&x, &a, 1, 300);
    assert_int_equal(spot_counters(&c).events_unknown, 0);
    subject_fini(&x);
    spot_close(&c);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* The node that gave the daemon away dies hard; nobody needs it any more. */
static void test_old_host_killed(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    control.many = true;
    child old;
    child_start(&old, NULL);
    spot b, c;
    spot_with(&b, &control);
    spot_open(&c, &(spot_config){0});
    rove_identity *id;
    assert_ok(rove_identity_generate(&id, b.node));
    static const uint8_t seed[32] = "an identity that a child spawns";
    rove_identity_free(id);
    assert_ok(rove_identity_from_seed(&id, b.node, seed));
    subject x = {id, rove_identity_entity(id), {rove_identity_origin(id)}};
    assert_int_equal(child_say(&old, "spawn %s", kit_hex(seed, 32)), ROVE_OK);
    subject_expect(&x, &b);
    char hex[65];
    strcpy(hex, kit_hex(b.info.entity.bytes, 32));
    assert_int_equal(child_say(&old, "connect %s %s", hex, b.info.address), ROVE_OK);
    assert_ok(rove_node_connect(c.node, &old.entity, old.address));
    assert_ok(rove_node_wait_peer(c.node, &old.entity, PATIENCE));
    pump p;
    pump_open(&p, &c, &x.entity, 1, 2000, 64);
    pump_run(&p, 500);
    assert_int_equal(child_say(&old, "move %" PRIu64 " %s", x.d.origin, hex), ROVE_OK);
    child_kill(&old); /* the sender may not even have heard of the move */
    spot_meet(&c, &b);
    pump_finish(&p);
    subject_check(&x, &b, 1, 2000);
    subject_fini(&x);
    spot_close(&c);
    spot_close(&b);
    tally_control_fini(&control);
}

/* A sending process dies in the middle. The next one has another lane: what the first had not been
 * told of may or may not be applied, but nothing twice and nothing out of order. */
static void test_sender_killed(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot a, b;
    spot_with(&a, &control);
    spot_with(&b, &control);
    spot_meet(&a, &b);
    subject x;
    subject_spawn(&x, &a);
    subject_expect(&x, &b);
    char file[] = "/tmp/rove-e2e-XXXXXX", other[64];
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, kit_hex(x.entity.bytes, 32), 64), 64);
    close(fd);
    child s;
    long told = 0;
    for (uint32_t who = 1; who <= 2; who++) {
        child_start(&s, file);
        assert_int_equal(
            child_say(&s, "connect %s %s", kit_hex(a.info.entity.bytes, 32), a.info.address),
            ROVE_OK);
        told = child_say(&s, "send %s %u %u", kit_hex(x.entity.bytes, 32), who,
                         who == 1 ? 100000 : 1000);
        if (who == 1) {
            while (told < 500)
                told = child_hear(&s);
            child_kill(&s);
            subject_move(&x, &a, &b); /* while the host still believes in the dead one */
            tally_state t;
            subject_ask(&x, &b, &t);
            assert_int_equal(t.faults, 0);
            assert_true(t.last[1] >= (uint32_t)told);
            subject_move(&x, &b, &a);
        }
    }
    while (told < 1000)
        told = child_hear(&s);
    child_end(&s);
    subject_check(&x, &a, 2, 1000);
    snprintf(other, sizeof other, "%s.state", file);
    unlink(other);
    unlink(file);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* ---- windows ---- */

typedef struct blocked {
    rove_sender *sender;
    tally_control *control;
    bool gate_was_open;
    rove_err err;
    meter began;
} blocked;

static void *send_and_wait(void *arg)
{
    blocked *b = arg;
    const uint32_t event[2] = {1, 9};
    meter_add(&b->began, 1);
    b->err = rove_sender_send(b->sender, (rove_span){event, sizeof event}, true, NULL);
    pthread_mutex_lock(&b->control->lock);
    b->gate_was_open = !b->control->shut;
    pthread_mutex_unlock(&b->control->lock);
    return NULL;
}

static void pull_applied(rove_sender *s, uint64_t number)
{
    rove_sent sent;
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
    assert_int_equal(sent.number, number);
    rove_sent_fini(&sent);
}

static void test_window(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rove_limits limits;
    kit_limits(&limits);
    limits.lane_events = 8;
    spot a, b;
    spot_open(&a, &(spot_config){.control = &control, .limits = &limits});
    spot_open(&b, &(spot_config){.limits = &limits});
    spot_meet(&b, &a);
    subject x;
    subject_spawn(&x, &a);
    tally_shut(&control);
    blocked w = {.control = &control};
    meter_init(&w.began);
    assert_ok(rove_sender_open(&w.sender, b.node, &x.entity, NULL));
    for (uint32_t i = 1; i <= 8; i++) {
        const uint32_t event[2] = {1, i};
        assert_ok(rove_sender_send(w.sender, (rove_span){event, 8}, i % 2, NULL));
    }
    tally_await(&control);
    uint64_t number = 77;
    assert_int_equal(rove_sender_send(w.sender, (rove_span){"", 0}, false, &number), ROVE_E_WINDOW);
    assert_int_equal(number, 77);
    rove_sent sent;
    assert_int_equal(rove_sender_next(w.sender, 0, &sent), ROVE_E_TIMED_OUT);
    assert_int_equal(rove_sender_next(w.sender, ROVE_MILLISECOND, &sent), ROVE_E_TIMED_OUT);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_and_wait, &w), 0);
    meter_await(&w.began, 1);
    tally_open(&control);
    /* Room comes when an outcome is pulled, not before. */
    pull_applied(w.sender, 1);
    pthread_join(thread, NULL);
    assert_ok(w.err);
    assert_true(w.gate_was_open);
    for (uint64_t i = 2; i <= 9; i++)
        pull_applied(w.sender, i);
    rove_sender_free(w.sender);
    subject_check(&x, &a, 1, 9);
    meter_fini(&w.began);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

static void test_window_of_bytes(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rove_limits limits;
    kit_limits(&limits);
    limits.lane_bytes = 1000;
    spot a, b;
    spot_open(&a, &(spot_config){.control = &control, .limits = &limits});
    spot_open(&b, &(spot_config){.limits = &limits});
    spot_meet(&b, &a);
    subject x;
    subject_spawn(&x, &a);
    tally_shut(&control);
    rove_sender *s;
    assert_ok(rove_sender_open(&s, b.node, &x.entity, NULL));
    uint8_t event[3000] = {1, 0, 0, 0, 1};
    assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, false, NULL)); /* always one */
    assert_int_equal(rove_sender_send(s, (rove_span){event, 0}, false, NULL), ROVE_E_WINDOW);
    tally_open(&control);
    pull_applied(s, 1);
    tally_shut(&control);
    event[4] = 2;
    assert_ok(rove_sender_send(s, (rove_span){event, 600}, false, NULL));
    assert_int_equal(rove_sender_send(s, (rove_span){event, 401}, false, NULL), ROVE_E_WINDOW);
    event[4] = 3;
    assert_ok(rove_sender_send(s, (rove_span){event, 400}, false, NULL));
    tally_open(&control);
    pull_applied(s, 2);
    pull_applied(s, 3);
    rove_sender_free(s);
    subject_check(&x, &a, 1, 3);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* ---- much ---- */

static void test_ten_thousand_over_five_moves(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot s[3];
    for (int i = 0; i < 3; i++)
        spot_with(&s[i], &control);
    for (int i = 0; i < 3; i++)
        spot_meet(&s[i], &s[(i + 1) % 3]);
    subject x;
    subject_spawn(&x, &s[0]);
    subject_expect(&x, &s[1]);
    subject_expect(&x, &s[2]);
    pump p;
    pump_open(&p, &s[1], &x.entity, 3, 10000, 16);
    for (int i = 0; i < 5; i++) {
        rove_migration m;
        rove_migration_info info;
        spot *from = &s[i % 3];
        pump_run(&p, (uint32_t)(1500 * (i + 1)));
        assert_ok(subject_order(&x, from, &s[(i + 1) % 3], &m));
        pump_run(&p, (uint32_t)(1500 * (i + 1) + 700)); /* while it moves */
        assert_ok(rove_migration_wait_with_timeout(from->rt, m, PATIENCE, &info));
        assert_int_equal(info.outcome, ROVE_OUTCOME_COMPLETED);
        assert_int_equal(info.phase, ROVE_PHASE_COMPLETE);
        assert_true(info.blackout > 0 && info.blackout <= info.elapsed);
    }
    pump_finish(&p);
    subject_check(&x, &s[2], 3, 10000);
    assert_int_equal(p.count, 10000);
    subject_fini(&x);
    for (int i = 0; i < 3; i++)
        spot_close(&s[i]);
    tally_control_fini(&control);
}

/* Twelve senders on three nodes, each with its own window, and none of them starves. */
static void test_several_senders(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot s[3];
    for (int i = 0; i < 3; i++)
        spot_with(&s[i], &control);
    for (int i = 0; i < 3; i++)
        spot_meet(&s[i], &s[(i + 1) % 3]);
    subject x;
    subject_spawn(&x, &s[0]);
    subject_expect(&x, &s[1]);
    subject_expect(&x, &s[2]);
    enum { SENDERS = 12, EVENTS = 600 };
    pump pumps[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        pump_open(&pumps[i], &s[i % 3], &x.entity, i, EVENTS, 8 + 100 * i);
        pump_start(&pumps[i]);
    }
    for (int i = 0; i < 6; i++)
        subject_move(&x, &s[i % 3], &s[(i + 1) % 3]);
    for (uint32_t i = 0; i < SENDERS; i++)
        pump_join(&pumps[i]);
    tally_state t;
    subject_ask(&x, &s[0], &t);
    assert_int_equal(t.faults, 0);
    assert_int_equal(t.count, SENDERS * EVENTS);
    subject_fini(&x);
    for (int i = 0; i < 3; i++)
        spot_close(&s[i]);
    tally_control_fini(&control);
}

static void test_large_events(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot a, b, c;
    spot_with(&a, &control);
    spot_with(&b, &control);
    spot_open(&c, &(spot_config){0});
    spot_meet(&a, &b);
    spot_meet(&c, &a);
    subject x;
    subject_spawn(&x, &a);
    subject_expect(&x, &b);
    pump p;
    pump_open(&p, &c, &x.entity, 5, 24, 1 << 20);
    rove_span over = {calloc(1, (1 << 20) + 1), (1 << 20) + 1};
    assert_int_equal(rove_sender_send(p.sender, over, true, NULL), ROVE_E_TOO_LARGE);
    free((void *)(uintptr_t)over.data);
    pump_run(&p, 8);
    rove_migration m;
    assert_ok(subject_order(&x, &a, &b, &m));
    pump_run(&p, 16);
    assert_ok(rove_migration_wait_with_timeout(a.rt, m, PATIENCE, NULL));
    pump_finish(&p);
    subject_check(&x, &b, 5, 24);
    subject_fini(&x);
    spot_close(&c);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redirect),        cmocka_unit_test(test_old_host_killed),
        cmocka_unit_test(test_sender_killed),   cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_of_bytes), cmocka_unit_test(test_ten_thousand_over_five_moves),
        cmocka_unit_test(test_several_senders), cmocka_unit_test(test_large_events),
    };
    return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
