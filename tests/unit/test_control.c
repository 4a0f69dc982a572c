/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket against clients that do what they should not: malformed frames, too much at
 * once, vanishing in the middle, never reading. */
#include "control_kit.h"

/* ---- what clients should not do ---- */

static void test_requests(void **state)
{
    world *w = *state;
    const char *bad[] = {"",
                         "{",
                         "null",
                         "7",
                         "[]",
                         "{}",
                         "{\"command\":7}",
                         "{\"command\":null}",
                         "\xff\xfe",
                         "{\"command\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client c = dial(w);
        put(&c, ROVEI_FRAME_REQUEST, bad[i], strlen(bad[i]));
        assert_int_equal(end_of(&c), ROVE_E_FORMAT);
        rove_span body;
        assert_int_equal(next(&c, &body), 0); /* and hangs up */
        hang_up(&c);
    }
    const char *wrong[] = {"{\"command\":\"dance\"}",
                           "{\"command\":\"stop\"}",
                           "{\"command\":\"stop\",\"daemon\":\"x\"}",
                           "{\"command\":\"send\",\"daemon\":\"0x\"}",
                           "{\"command\":\"migrate\",\"daemon\":\"0x11111111111111111\"}",
                           "{\"command\":\"wait_peer\"}",
                           "{\"command\":\"publish\"}",
                           "{\"command\":\"channel_create\"}",
                           "{\"command\":\"channel_create\",\"channel\":\"a\",\"roots\":[7]}",
                           "{\"command\":\"channel_create\",\"channel\":\"a\",\"roots\":[\"7\"]}",
                           "{\"command\":\"channel_create\",\"channel\":\"a\",\"tags\":\"t\"}",
                           "{\"command\":\"channel_create\",\"channel\":\"a\",\"groups\":\"\"}",
                           "{\"command\":\"channel_remove\",\"channel\":7}",
                           "{\"command\":\"expect\",\"kind\":\"blob\",\"daemon\":\"0xg\"}"};
    client c = dial(w);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ask(&c, "%s", wrong[i]); /* all over one connection, which stays */
        assert_int_equal(end_of(&c), ROVE_E_USAGE);
    }
    ask(&c, "{\"command\":\"state\",\"daemon\":\"0x1\"}");
    assert_int_equal(end_of(&c), ROVE_E_NOT_FOUND);
    ask(&c, "{\"command\":\"spawn\",\"kind\":\"none\"}");
    assert_int_equal(end_of(&c), ROVE_E_KIND_UNKNOWN);
    hang_up(&c);
    is_alive(w);
}

static void test_frames(void **state)
{
    world *w = *state;
    rove_span body;
    const uint8_t zero[5] = {0}, long_frame[5] = {0xff, 0xff, 0xff, 0xff, 'Q'};
    client c = dial(w);
    assert_int_equal(write(c.channel.fd, zero, sizeof zero), sizeof zero);
    assert_int_equal(end_of(&c), ROVE_E_BOUND);
    assert_int_equal(next(&c, &body), 0);
    hang_up(&c);
    c = dial(w);
    assert_int_equal(write(c.channel.fd, long_frame, sizeof long_frame), sizeof long_frame);
    assert_int_equal(end_of(&c), ROVE_E_BOUND);
    hang_up(&c);
    for (unsigned type = 0; type < 256; type++) {
        if (strchr("QKEFDAB", (int)type) && type)
            continue;
        c = dial(w);
        put(&c, (uint8_t)type, "x", 1);
        assert_int_equal(end_of(&c), ROVE_E_FORMAT);
        hang_up(&c);
    }
    /* A seed of another length, and what belongs to a request that is not there. */
    c = dial(w);
    put(&c, ROVEI_FRAME_SEED, "short", 5);
    assert_int_equal(end_of(&c), ROVE_E_FORMAT);
    hang_up(&c);
    c = dial(w);
    put(&c, ROVEI_FRAME_EVENT, "x", 1);
    put(&c, ROVEI_FRAME_ABORT, "", 0);
    ask(&c, "{\"command\":\"status\"}");
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
    /* Half a frame, then nothing. */
    c = dial(w);
    assert_int_equal(write(c.channel.fd, "\x40\0\0\0Q{", 7), 7);
    hang_up(&c);
    is_alive(w);
}

static void open_send(client *c, const world *w)
{
    rove_span body;
    ask(c, "{\"command\":\"send\",\"daemon\":\"%s\"}", w->origin);
    assert_int_equal(next(c, &body), ROVEI_FRAME_JSON);
}

static void test_send(void **state)
{
    world *w = *state;
    client c = dial(w);
    rove_span body, rest;
    uint64_t outcomes = 0, taken = 0;
    open_send(&c, w);
    for (int i = 0; i < ROVEI_CREDIT_EVENTS; i++)
        put(&c, ROVEI_FRAME_EVENT, "ab", 2);
    put(&c, ROVEI_FRAME_FINISH, "", 0);
    for (uint8_t type; (type = next(&c, &body)) != ROVEI_FRAME_END;) {
        rovei_outcome_head head;
        rovei_taken t;
        assert_true(type == ROVEI_FRAME_OUTCOME || type == ROVEI_FRAME_TAKEN);
        if (type == ROVEI_FRAME_TAKEN) {
            assert_int_equal(rovei_taken_decode(&t, body), ROVE_OK);
            assert_true(t.count > taken && t.count <= ROVEI_CREDIT_EVENTS);
            taken = t.count;
            continue;
        }
        assert_int_equal(rovei_outcome_decode(&head, body, &rest), ROVE_OK);
        assert_int_equal(head.kind, ROVEI_EVENT_APPLIED);
        assert_int_equal(head.number, ++outcomes);
        assert_int_equal(head.outputs, 1);
        assert_int_equal(rest.size, 4 + 32 + 2);
    }
    assert_int_equal(c.end, ROVE_OK);
    assert_int_equal(outcomes, ROVEI_CREDIT_EVENTS);
    assert_int_equal(taken, ROVEI_CREDIT_EVENTS);
    /* The connection goes on with another request. */
    ask(&c, "{\"command\":\"ps\"}");
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
}

/* A client that pays no heed to its credit is stopped, however much it sends at once. */
static void test_credit(void **state)
{
    world *w = *state;
    client c = dial(w);
    open_send(&c, w);
    for (int i = 0; i < 20000; i++)
        put(&c, ROVEI_FRAME_EVENT, "ab", 2);
    assert_int_equal(end_of(&c), ROVE_E_FLOW);
    hang_up(&c);
    is_alive(w);
}

static void test_too_large(void **state)
{
    world *w = *state;
    client c = dial(w);
    size_t size = ((size_t)1 << 20) + 1;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    open_send(&c, w);
    put(&c, ROVEI_FRAME_EVENT, bytes, size); /* one byte above event_max */
    assert_int_equal(end_of(&c), ROVE_E_BOUND);
    hang_up(&c);
    c = dial(w);
    open_send(&c, w);
    put(&c, ROVEI_FRAME_EVENT, bytes, size - 1);
    put(&c, ROVEI_FRAME_FINISH, "", 0);
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
    free(bytes);
}

/* Clients that vanish in the middle; what they had handed over is applied. */
static void test_vanish(void **state)
{
    world *w = *state;
    for (int round = 0; round < 20; round++) {
        client c = dial(w);
        rove_span body;
        open_send(&c, w);
        for (int i = 0; i < 100; i++)
            put(&c, ROVEI_FRAME_EVENT, "ab", 2);
        if (round % 2)
            assert_int_equal(next(&c, &body), ROVEI_FRAME_TAKEN);
        hang_up(&c);
        c = dial(w);
        ask(&c, "{\"command\":\"ps\"}");
        assert_int_equal(rovei_channel_flush(&c.channel), ROVE_OK);
        hang_up(&c); /* before its answer */
    }
    is_alive(w);
}

/* A state of 64 MiB to a client that reads slowly: the node keeps a bounded piece of it and serves
 * others meanwhile. */
static void test_slow_reader(void **state)
{
    world *w = *state;
    uint64_t size = UINT64_C(64) << 20, got = 0;
    client c = dial(w);
    rove_span body;
    open_send(&c, w);
    put(&c, ROVEI_FRAME_EVENT, &size, sizeof size);
    put(&c, ROVEI_FRAME_FINISH, "", 0);
    assert_int_equal(end_of(&c), ROVE_OK);
    ask(&c, "{\"command\":\"state\",\"daemon\":\"%s\"}", w->origin);
    for (uint8_t type; (type = next(&c, &body)) != ROVEI_FRAME_END;) {
        assert_int_equal(type, ROVEI_FRAME_BYTES);
        got += body.size;
        if (got < (UINT64_C(2) << 20))
            is_alive(w);
    }
    assert_int_equal(c.end, ROVE_OK);
    assert_int_equal(got, size);
    ask(&c, "{\"command\":\"state\",\"daemon\":\"%s\"}", w->origin);
    assert_int_equal(next(&c, &body), ROVEI_FRAME_BYTES);
    hang_up(&c); /* in the middle */
    is_alive(w);
}

/* So many states at a time and no more, whoever reads them; then there is room again. */
static void test_many_states(void **state)
{
    world *w = *state;
    enum { MANY = 16 };
    client c[MANY], more = dial(w);
    uint64_t size = UINT64_C(8) << 20;
    rove_span body;
    open_send(&more, w);
    put(&more, ROVEI_FRAME_EVENT, &size, sizeof size);
    put(&more, ROVEI_FRAME_FINISH, "", 0);
    assert_int_equal(end_of(&more), ROVE_OK);
    for (int i = 0; i < MANY; i++) {
        c[i] = dial(w);
        ask(&c[i], "{\"command\":\"%s\",\"daemon\":\"%s\"}", i % 2 ? "state" : "snapshot",
            w->origin);
        assert_int_equal(next(&c[i], &body), i % 2 ? ROVEI_FRAME_BYTES : ROVEI_FRAME_JSON);
    }
    ask(&more, "{\"command\":\"snapshot\",\"daemon\":\"%s\"}", w->origin);
    assert_int_equal(end_of(&more), ROVE_E_FULL);
    ask(&more, "{\"command\":\"spawn\",\"kind\":\"blob\",\"from\":\"container\"}");
    assert_int_equal(end_of(&more), ROVE_E_FULL);
    assert_int_equal(end_of(&c[0]), ROVE_OK);
    ask(&more, "{\"command\":\"state\",\"daemon\":\"%s\"}", w->origin);
    assert_int_equal(end_of(&more), ROVE_OK);
    for (int i = 0; i < MANY; i++)
        hang_up(&c[i]);
    hang_up(&more);
    is_alive(w);
}

/* At the limit of connections further ones are hung up on, and the first ones go on. */
static void test_many(void **state)
{
    world *w = *state;
    enum { MANY = 300 };
    client *c = calloc(MANY, sizeof *c);
    assert_non_null(c);
    size_t served = 0;
    for (int i = 0; i < MANY; i++) {
        c[i] = dial(w);
        ask(&c[i], "{\"command\":\"peers\"}");
        (void)!rovei_channel_flush(&c[i].channel);
    }
    for (int i = 0; i < MANY; i++)
        served += end_of(&c[i]) == ROVE_OK;
    assert_int_equal(served, 256);
    for (int i = 0; i < MANY; i++)
        hang_up(&c[i]);
    free(c);
    /* Their places are free again, as soon as the node has noticed. */
    for (int i = 0; i < 1000; i++) {
        client again = dial(w);
        ask(&again, "{\"command\":\"peers\"}");
        rove_err err = end_of(&again);
        hang_up(&again);
        if (err == ROVE_OK)
            return;
    }
    fail();
}

/* The end comes while requests wait, lanes are open and states go out. */
static void test_end_in_the_middle(void **state)
{
    world *w = *state;
    client wait = dial(w), send = dial(w), spawn = dial(w);
    rove_span body;
    char peer[65];
    memset(peer, 'a', 64);
    peer[64] = '\0';
    ask(&wait, "{\"command\":\"wait_peer\",\"peer\":\"%s\",\"timeout_ns\":300000000}", peer);
    assert_int_equal(rovei_channel_flush(&wait.channel), ROVE_OK);
    open_send(&send, w);
    put(&send, ROVEI_FRAME_EVENT, "ab", 2);
    assert_int_equal(next(&send, &body), ROVEI_FRAME_TAKEN);
    uint8_t seed[32] = {7};
    put(&spawn, ROVEI_FRAME_SEED, seed, sizeof seed);
    ask(&spawn, "{\"command\":\"spawn\",\"kind\":\"blob\"}");
    assert_int_equal(rovei_channel_flush(&spawn.channel), ROVE_OK);
    rovei_control_free(w->control);
    w->control = NULL;
    hang_up(&wait);
    hang_up(&send);
    hang_up(&spawn);
}

static void test_spawn_with_seed(void **state)
{
    world *w = *state;
    client c = dial(w);
    rove_span body;
    uint8_t seed[32] = {9};
    put(&c, ROVEI_FRAME_SEED, seed, sizeof seed);
    ask(&c, "{\"command\":\"spawn\",\"kind\":\"blob\"}");
    assert_int_equal(next(&c, &body), ROVEI_FRAME_JSON);
    char text[512];
    assert_true(body.size < sizeof text);
    memcpy(text, body.data, body.size);
    text[body.size] = '\0';
    rove_entity entity;
    uint8_t secret[64];
    rovei_ed25519_from_seed(seed, secret, &entity);
    json_object *o = json_tokener_parse(text);
    char hex[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", entity.bytes[i]);
    assert_string_equal(json_object_get_string(json_object_object_get(o, "entity")), hex);
    json_object_put(o);
    assert_int_equal(end_of(&c), ROVE_OK);
    /* The seed was for that request only: the next one draws its own. */
    ask(&c, "{\"command\":\"spawn\",\"kind\":\"blob\"}");
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
}

static void test_taken_path(void **state)
{
    world *w = *state;
    rovei_control *second;
    rovei_control_config cfg = {.node = w->node, .runtime = w->runtime, .path = w->path};
    assert_int_equal(rovei_control_new(&second, &cfg), ROVE_E_ADDRESS);
    is_alive(w);
    cfg.path = w->folder;
    assert_int_equal(rovei_control_new(&second, &cfg), ROVE_E_EXISTS);
    cfg.path =
        "/tmp/a path that is longer than what the address of a unix socket can hold, which is "
        "one hundred and seven bytes";
    assert_int_equal(rovei_control_new(&second, &cfg), ROVE_E_TOO_LARGE);
    cfg.path = "/nonexistent/rove/control";
    assert_int_equal(rovei_control_new(&second, &cfg), ROVE_E_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, make, clean),
        cmocka_unit_test_setup_teardown(test_frames, make, clean),
        cmocka_unit_test_setup_teardown(test_send, make, clean),
        cmocka_unit_test_setup_teardown(test_credit, make, clean),
        cmocka_unit_test_setup_teardown(test_too_large, make, clean),
        cmocka_unit_test_setup_teardown(test_vanish, make, clean),
        cmocka_unit_test_setup_teardown(test_slow_reader, make, clean),
        cmocka_unit_test_setup_teardown(test_many_states, make, clean),
        cmocka_unit_test_setup_teardown(test_many, make, clean),
        cmocka_unit_test_setup_teardown(test_end_in_the_middle, make, clean),
        cmocka_unit_test_setup_teardown(test_spawn_with_seed, make, clean),
        cmocka_unit_test_setup_teardown(test_taken_path, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
