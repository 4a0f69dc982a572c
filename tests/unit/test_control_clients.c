/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that send over the control socket, lose their connection and come back: they get each
 * outcome once, and each event is applied once. */
#include "control_kit.h"

#include <inttypes.h>
#include <shell/outcome_log.h>

#define NAME "00112233445566778899aabbccddeeff"

typedef struct progress {
    uint64_t outcomes, taken; /* outcomes that have come, over all connections; the node's word */
} progress;

static void resume(client *c, const world *w, const char *name, const progress *p, bool known)
{
    ask(c,
        "{\"command\":\"send\",\"daemon\":\"%s\",\"client\":\"%s\",\"have\":%" PRIu64
        ",\"resume\":%s}",
        w->origin, name, p->outcomes, known ? "true" : "false");
}

/* The node's answer to it: how many events it has taken. */
static uint64_t opened(client *c)
{
    rove_span body;
    assert_int_equal(next(c, &body), ROVEI_FRAME_JSON);
    char text[256];
    assert_true(body.size < sizeof text);
    memcpy(text, body.data, body.size);
    text[body.size] = '\0';
    json_object *o = json_tokener_parse(text), *taken;
    assert_true(json_object_object_get_ex(o, "taken", &taken));
    uint64_t count = json_object_get_uint64(taken);
    json_object_put(o);
    return count;
}

/* Takes the next frame in: each outcome is the next one, applied. Gives its type. */
static uint8_t take(client *c, progress *p)
{
    rove_span body, rest;
    uint8_t type = next(c, &body);
    rovei_outcome_head head;
    rovei_taken t;
    if (type == ROVEI_FRAME_TAKEN) {
        assert_int_equal(rovei_taken_decode(&t, body), ROVE_OK);
        p->taken = t.count;
    } else if (type == ROVEI_FRAME_OUTCOME) {
        assert_int_equal(rovei_outcome_decode(&head, body, &rest), ROVE_OK);
        assert_int_equal(head.kind, ROVEI_EVENT_APPLIED);
        assert_int_equal(head.number, ++p->outcomes);
    }
    return type;
}

static void confirm(client *c, uint64_t count)
{
    uint8_t body[8];
    rovei_store64(body, count);
    put(c, ROVEI_FRAME_CONFIRM, body, sizeof body);
    assert_int_equal(rovei_channel_flush(&c->channel), ROVE_OK);
}

static void put_events(client *c, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        put(c, ROVEI_FRAME_EVENT, "ab", 2);
}

/* How many events the daemon has applied, by its own count. */
static uint64_t applied(const world *w)
{
    rove_daemon_stats stats;
    rove_daemon daemon = {strtoull(w->origin, NULL, 16)};
    assert_int_equal(rove_runtime_stats(w->runtime, daemon, &stats), ROVE_OK);
    return stats.events_processed;
}

/* Breaks off again and again, at another place each time, until all is done. */
static void test_come_back(void **state)
{
    world *w = *state;
    progress p = {0};
    const uint64_t all = 3000;
    unsigned round = 0;
    for (bool ended = false; !ended; round++) {
        client c = dial(w);
        resume(&c, w, NAME, &p, round > 0);
        p.taken = opened(&c);
        bool finished = false;
        uint64_t sent = p.taken, stop = p.outcomes + 40 + 13 * round;
        while (!ended && p.outcomes < stop) {
            for (; sent < all && sent - p.taken < ROVEI_CREDIT_EVENTS; sent++)
                put_events(&c, 1);
            if (sent == all && !finished) {
                put(&c, ROVEI_FRAME_FINISH, "", 0);
                finished = true;
            }
            ended = take(&c, &p) == ROVEI_FRAME_END;
            if (p.outcomes % 7 == 0)
                confirm(&c, p.outcomes);
        }
        if (ended)
            confirm(&c, p.outcomes);
        hang_up(&c);
    }
    assert_true(round > 5);
    assert_int_equal(p.outcomes, all);
    assert_int_equal(applied(w), all);
}

/* What came while nobody was there is still had, the end too, until it is confirmed. */
static void test_late(void **state)
{
    world *w = *state;
    progress p = {0};
    client c = dial(w);
    resume(&c, w, NAME, &p, false);
    assert_int_equal(opened(&c), 0);
    put_events(&c, 100);
    put(&c, ROVEI_FRAME_FINISH, "", 0);
    while (p.taken < 100 || p.outcomes < 3)
        take(&c, &p);
    hang_up(&c);
    p.outcomes = 3; /* as if the others had been lost on their way */
    for (int i = 0; i < 2; i++) {
        progress again = p;
        c = dial(w);
        resume(&c, w, NAME, &again, true);
        assert_int_equal(opened(&c), 100);
        while (take(&c, &again) != ROVEI_FRAME_END)
            ;
        assert_int_equal(again.outcomes, 100);
        if (i == 1)
            confirm(&c, 100);
        hang_up(&c);
    }
    assert_int_equal(applied(w), 100);
    /* Now it is forgotten. */
    c = dial(w);
    resume(&c, w, NAME, &p, true);
    assert_int_equal(end_of(&c), ROVE_E_NOT_FOUND);
    hang_up(&c);
}

/* The old connection looks alive to the node: the new one takes its place. */
static void test_take_over(void **state)
{
    world *w = *state;
    progress p = {0};
    client before = dial(w), c;
    rove_span body;
    resume(&before, w, NAME, &p, false);
    assert_int_equal(opened(&before), 0);
    put_events(&before, 10);
    while (p.outcomes < 10)
        take(&before, &p);
    c = dial(w);
    resume(&c, w, NAME, &p, true);
    assert_int_equal(opened(&c), 10);
    while (next(&before, &body)) /* it is hung up on */
        ;
    put_events(&c, 5);
    put(&c, ROVEI_FRAME_FINISH, "", 0);
    while (take(&c, &p) != ROVEI_FRAME_END)
        ;
    assert_int_equal(p.outcomes, 15);
    assert_int_equal(applied(w), 15);
    hang_up(&before);
    hang_up(&c);
}

static void test_nonsense(void **state)
{
    world *w = *state;
    const progress none = {0}, many = {.outcomes = 1};
    client c = dial(w);
    resume(&c, w, "0011", &none, false);
    assert_int_equal(end_of(&c), ROVE_E_USAGE);
    resume(&c, w, NAME, &none, true); /* not known */
    assert_int_equal(end_of(&c), ROVE_E_NOT_FOUND);
    resume(&c, w, NAME, &none, false);
    assert_int_equal(opened(&c), 0);
    client other = dial(w);
    resume(&other, w, NAME, &many, true); /* more than there were */
    assert_int_equal(end_of(&other), ROVE_E_USAGE);
    hang_up(&other);
    other = dial(w);
    ask(&other, "{\"command\":\"send\",\"daemon\":\"0x123\",\"client\":\"" NAME "\"}");
    assert_int_equal(end_of(&other), ROVE_E_USAGE);
    hang_up(&other);
    uint8_t body[8] = {9};
    put(&c, ROVEI_FRAME_CONFIRM, body, sizeof body);
    assert_int_equal(end_of(&c), ROVE_E_FORMAT);
    hang_up(&c);
    is_alive(w);
}

static void one_client(rove_limits *limits)
{
    limits->clients_kept = 1;
}

static int make_one(void **state)
{
    world_limits = one_client;
    int result = make(state);
    world_limits = NULL;
    return result;
}

/* Above the bound the one that left first is forgotten; what it handed over is applied. */
static void test_bound(void **state)
{
    world *w = *state;
    const char *names[] = {NAME, "ff112233445566778899aabbccddeeff"};
    for (int i = 0; i < 2; i++) {
        progress p = {0};
        client c = dial(w);
        resume(&c, w, names[i], &p, false);
        assert_int_equal(opened(&c), 0);
        put_events(&c, 10);
        while (p.taken < 10)
            take(&c, &p);
        hang_up(&c);
    }
    client c = dial(w);
    progress p = {0};
    resume(&c, w, names[1], &p, true);
    assert_int_equal(opened(&c), 10);
    while (p.outcomes < 10)
        take(&c, &p);
    hang_up(&c);
    c = dial(w);
    resume(&c, w, names[0], &p, true);
    assert_int_equal(end_of(&c), ROVE_E_NOT_FOUND);
    hang_up(&c);
    assert_int_equal(applied(w), 20);
}

static void short_memory(rove_limits *limits)
{
    limits->client_keep = ROVE_MILLISECOND;
}

static int make_short(void **state)
{
    world_limits = short_memory;
    int result = make(state);
    world_limits = NULL;
    return result;
}

/* After client_keep it is forgotten. */
static void test_expiry(void **state)
{
    world *w = *state;
    progress p = {0};
    rove_err err;
    client c = dial(w);
    resume(&c, w, NAME, &p, false);
    assert_int_equal(opened(&c), 0);
    put_events(&c, 10);
    while (p.outcomes < 10)
        take(&c, &p);
    hang_up(&c);
    do {
        rove_span body;
        poll(NULL, 0, 2);
        c = dial(w);
        resume(&c, w, NAME, &p, true);
        err = next(&c, &body) == ROVEI_FRAME_END ? c.end : ROVE_OK;
        hang_up(&c);
    } while (!err);
    assert_int_equal(err, ROVE_E_NOT_FOUND);
}

/* ---- the log alone ---- */

static void test_log(void **state)
{
    (void)state;
    rovei_outcome_log l;
    rovei_outcome_log_init(&l, &rovei_alloc_libc);
    rove_span got;
    char text[32];
    size_t it = 0;
    assert_false(rovei_outcome_log_next(&l, &it, &got));
    assert_int_equal(rovei_outcome_log_drop(&l, 1), ROVE_E_BOUND);
    for (int i = 1; i <= 5000; i++) {
        int size = snprintf(text, sizeof text, "%d", i);
        assert_int_equal(rovei_outcome_log_add(&l, (rove_span){text, (size_t)size},
                                               (rove_span){"tail", i % 5 ? 4 : 0}),
                         ROVE_OK);
        if (i % 3 == 0)
            assert_int_equal(rovei_outcome_log_drop(&l, (uint64_t)(i - i / 10)), ROVE_OK);
    }
    assert_int_equal(rovei_outcome_log_drop(&l, 4990), ROVE_OK);
    it = 0;
    for (int i = 4991; i <= 5000; i++) {
        int size = snprintf(text, sizeof text, "%d%s", i, i % 5 ? "tail" : "");
        assert_true(rovei_outcome_log_next(&l, &it, &got));
        assert_int_equal(got.size, size);
        assert_memory_equal(got.data, text, got.size);
    }
    assert_false(rovei_outcome_log_next(&l, &it, &got));
    assert_int_equal(rovei_outcome_log_drop(&l, 5000), ROVE_OK);
    assert_int_equal(rovei_outcome_log_bytes(&l), 0);
    assert_true(l.room < 65536); /* what was dropped has made room */
    rovei_outcome_log_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_come_back, make, clean),
        cmocka_unit_test_setup_teardown(test_late, make, clean),
        cmocka_unit_test_setup_teardown(test_take_over, make, clean),
        cmocka_unit_test_setup_teardown(test_nonsense, make, clean),
        cmocka_unit_test_setup_teardown(test_bound, make_one, clean),
        cmocka_unit_test_setup_teardown(test_expiry, make_short, clean),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
