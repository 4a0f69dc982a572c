/* SPDX-License-Identifier: Apache-2.0
 *
 * What senders are told when not all goes well, over real sockets: errors of the daemon, nobody
 * there, hosts that die or stand still, policy. */
#include "kit.h"
#include <signal.h>

static void expect_outcome(rove_sender *s, rove_outcome_kind kind, uint64_t number, uint64_t last,
                           rove_err err)
{
    rove_sent sent = {0};
    do {
        rove_sent_fini(&sent);
        assert_ok(rove_sender_next(s, PATIENCE, &sent));
    } while (kind != ROVE_SENT_UNREACHABLE &&
             (sent.kind == ROVE_SENT_UNREACHABLE || sent.kind == ROVE_SENT_REACHED));
    assert_int_equal(sent.kind, kind);
    assert_int_equal(sent.number, number);
    assert_int_equal(sent.last, last);
    assert_int_equal(sent.err, err);
    rove_sent_fini(&sent);
}

typedef struct told {
    meter count;
    rove_sent sent[8];
    char text[8][32];
} told;

static void on_sent(void *user, const rove_sent *sent)
{
    told *t = user;
    uint64_t at = meter_get(&t->count);
    must(at < 8);
    t->sent[at] = *sent;
    snprintf(t->text[at], sizeof t->text[at], "%.*s", (int)sent->text.size,
             sent->text.size ? (const char *)sent->text.data : "");
    meter_add(&t->count, 1);
}

/* Errors of process are outcomes in order, told to the callback; what a stopped daemon had is
 * said too. */
static void test_outcomes(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    spot a, b;
    spot_with(&a, &control);
    spot_open(&b, &(spot_config){0});
    spot_meet(&b, &a);
    subject x;
    subject_spawn(&x, &a);
    told t = {0};
    meter_init(&t.count);
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = on_sent;
    cfg.user = &t;
    rove_sender *s;
    assert_ok(rove_sender_open(&s, b.node, &x.entity, &cfg));
    const uint32_t events[3][2] = {{1, 1}, {TALLY_FAIL, 0}, {1, 2}};
    for (int i = 0; i < 3; i++)
        assert_ok(rove_sender_send(s, (rove_span){events[i], 8}, true, NULL));
    meter_await(&t.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.sent[i].kind, ROVE_SENT_APPLIED);
        assert_int_equal(t.sent[i].number, i + 1);
        assert_int_equal(t.sent[i].err, i == 1 ? ROVE_E_PROCESS : ROVE_OK);
        assert_int_equal(t.sent[i].output_count, i == 1 ? 0 : 1);
    }
    assert_string_equal(t.text[1], "not 4294967293");
    rove_sent none;
    assert_int_equal(rove_sender_next(s, 0, &none), ROVE_E_USAGE);
    subject_check(&x, &a, 1, 2);
    assert_ok(rove_runtime_stop(a.rt, x.d));
    assert_ok(rove_sender_send(s, (rove_span){events[0], 8}, true, NULL));
    meter_await(&t.count, 4);
    if (t.sent[3].kind == ROVE_SENT_UNKNOWN) /* on its way when the word came */
        assert_int_equal(t.sent[3].err, ROVE_E_UNKNOWN_OUTCOME);
    else
        assert_int_equal(t.sent[3].err, ROVE_E_STOPPED);
    assert_ok(rove_sender_send(s, (rove_span){events[0], 8}, true, NULL));
    meter_await(&t.count, 5);
    assert_int_equal(t.sent[4].kind, ROVE_SENT_REFUSED);
    assert_int_equal(t.sent[4].err, ROVE_E_STOPPED);
    rove_sender_close(s);
    meter_await(&t.count, 6);
    assert_int_equal(t.sent[5].kind, ROVE_SENT_ENDED);
    rove_sender_free(s);
    meter_fini(&t.count);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* Nobody knows the daemon: said so, and tried again until somebody does. */
static void test_unreachable(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rove_limits limits;
    kit_limits(&limits);
    limits.locate_wait = 50 * ROVE_MILLISECOND;
    limits.locate_backoff = 100 * ROVE_MILLISECOND;
    spot a, b;
    spot_with(&a, &control);
    spot_open(&b, &(spot_config){.limits = &limits});
    spot_meet(&b, &a);
    subject x;
    assert_ok(rove_identity_generate(&x.id, a.node));
    x.entity = rove_identity_entity(x.id);
    rove_sender *s;
    const uint32_t event[2] = {1, 1};
    rove_sent sent;
    assert_ok(rove_sender_open(&s, b.node, &x.entity, NULL));
    assert_ok(rove_sender_send(s, (rove_span){event, 8}, true, NULL));
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_UNREACHABLE);
    rove_sent_fini(&sent);
    assert_ok(rove_runtime_spawn(a.rt, "tally", x.id, NULL, &x.d));
    assert_ok(rove_sender_next(s, PATIENCE, &sent));
    assert_int_equal(sent.kind, ROVE_SENT_REACHED);
    rove_sent_fini(&sent);
    expect_outcome(s, ROVE_SENT_APPLIED, 1, 0, ROVE_OK);
    rove_sender_free(s);
    subject_check(&x, &a, 1, 1);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* A process with the daemon of `seed`, known to `at`. */
static void child_host(child *host, spot *at, const uint8_t seed[32], subject *x)
{
    child_start(host, NULL);
    assert_ok(rove_identity_from_seed(&x->id, at->node, seed));
    x->entity = rove_identity_entity(x->id);
    x->d.origin = rove_identity_origin(x->id);
    assert_int_equal(child_say(host, "spawn %s", kit_hex(seed, 32)), ROVE_OK);
    assert_ok(rove_node_connect(at->node, &host->entity, host->address));
    assert_ok(rove_node_wait_peer(at->node, &host->entity, PATIENCE));
}

/* At this level a crash of the host takes the state along. Only an operator's word brings the
 * identity back, and then the sender is told what was lost and goes on. */
static void test_host_killed(void **state)
{
    (void)state;
    static const uint8_t seed[32] = "an identity whose host will die";
    tally_control control;
    tally_control_init(&control);
    spot b;
    child host;
    subject x;
    rove_daemon d;
    spot_with(&b, &control);
    child_host(&host, &b, seed, &x);
    pump p;
    pump_open(&p, &b, &x.entity, 1, 100, 8);
    pump_run(&p, 100);
    child_kill(&host);
    assert_int_equal(rove_runtime_spawn(b.rt, "tally", x.id, NULL, &d), ROVE_E_LIVES_ELSEWHERE);
    rove_spawn_options force;
    rove_spawn_options_init(&force);
    force.force = true;
    assert_ok(rove_runtime_spawn(b.rt, "tally", x.id, &force, &d));
    expect_outcome(p.sender, ROVE_SENT_LOST, 1, 100, ROVE_E_LOST);
    const uint32_t event[2] = {1, 1};
    assert_ok(rove_sender_send(p.sender, (rove_span){event, sizeof event}, true, NULL));
    expect_outcome(p.sender, ROVE_SENT_APPLIED, 101, 0, ROVE_OK);
    pump_drop(&p);
    subject_check(&x, &b, 1, 1);
    subject_fini(&x);
    spot_close(&b);
    tally_control_fini(&control);
}

/* Sends events of `who`, one at a time, until one is applied; before that they may be given up.
 * Gives its number. */
static uint64_t send_until_applied(rove_sender *s, uint32_t who)
{
    rove_sent sent;
    uint64_t number;
    for (uint32_t i = 1;; i++) {
        const uint32_t event[2] = {who, i};
        assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, true, &number));
        do
            assert_ok(rove_sender_next(s, PATIENCE, &sent));
        while (sent.kind == ROVE_SENT_UNREACHABLE || sent.kind == ROVE_SENT_REACHED);
        assert_int_equal(sent.number, number);
        rove_outcome_kind kind = sent.kind;
        assert_true(kind == ROVE_SENT_APPLIED || kind == ROVE_SENT_UNKNOWN);
        rove_sent_fini(&sent);
        if (kind == ROVE_SENT_APPLIED)
            return number;
    }
}

/* A host that stands still for longer than a sender's patience: the events are given up, and the
 * lane goes on with later ones. */
static void test_given_up(void **state)
{
    (void)state;
    static const uint8_t seed[32] = "an identity whose host stops for";
    spot b;
    child host;
    subject x;
    rove_limits limits;
    kit_limits(&limits);
    limits.send_giveup = 300 * ROVE_MILLISECOND;
    spot_open(&b, &(spot_config){.limits = &limits});
    child_host(&host, &b, seed, &x);
    rove_sender *s;
    const uint32_t event[2] = {2, 1};
    assert_ok(rove_sender_open(&s, b.node, &x.entity, NULL));
    uint64_t first = send_until_applied(s, 1);
    child_stop(&host);
    for (uint64_t i = 1; i <= 3; i++)
        assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, true, NULL));
    for (uint64_t i = 1; i <= 3; i++)
        expect_outcome(s, ROVE_SENT_UNKNOWN, first + i, 0, ROVE_E_UNKNOWN_OUTCOME);
    assert_int_equal(kill(host.pid, SIGCONT), 0);
    (void)send_until_applied(s, 3); /* once it is awake */
    rove_sender_free(s);
    child_end(&host);
    subject_fini(&x);
    spot_close(&b);
}

static bool allow(void *user, const rove_policy_request *request)
{
    atomic_int *refused = user;
    bool yes = request->question != (rove_question)atomic_load(refused);
    must(request->preset ==
         (request->question == ROVE_ASK_PLACE || request->question == ROVE_ASK_SEND ||
          request->question == ROVE_ASK_READ));
    return yes && request->preset;
}

static void test_policy(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    atomic_int refused = ROVE_ASK_SEND;
    spot a, b;
    spot_open(&a, &(spot_config){.control = &control, .policy = {allow, &refused}});
    spot_with(&b, &control);
    spot_meet(&b, &a);
    subject x;
    subject_spawn(&x, &a);
    rove_sender *s;
    const uint32_t event[2] = {1, 1};
    assert_ok(rove_sender_open(&s, b.node, &x.entity, NULL));
    assert_ok(rove_sender_send(s, (rove_span){event, sizeof event}, true, NULL));
    expect_outcome(s, ROVE_SENT_REFUSED, 1, 0, ROVE_E_REFUSED);
    rove_sender_free(s);
    subject_check(&x, &a, 1, 0);
    refused = ROVE_ASK_PLACE;
    pump p;
    pump_open(&p, &b, &x.entity, 1, 10, 8);
    pump_finish(&p);
    subject y;
    rove_migration m;
    subject_spawn(&y, &b);
    control.many = true;
    subject_expect(&y, &a);
    assert_ok(subject_order(&y, &b, &a, &m));
    assert_int_equal(rove_migration_wait_with_timeout(b.rt, m, PATIENCE, NULL), ROVE_E_REFUSED);
    assert_ok(subject_deliver(&y, &b, 1, 1, NULL));
    refused = 0;
    subject_move(&y, &b, &a);
    subject_fini(&y);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),    cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_host_killed), cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests_name("outcomes", tests, NULL, NULL);
}
