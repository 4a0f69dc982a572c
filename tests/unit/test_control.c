/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket against clients that do what they should not: malformed frames, too much at
 * once, vanishing in the middle, never reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <crypto/crypto.h>
#include <errno.h>
#include <identity/entity.h>
#include <json-c/json.h>
#include <poll.h>
#include <shell/control.h>
#include <shell/control_frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- a kind whose state is as large as its events said, and that echoes ---- */

static rove_err blob_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    uint64_t *size = alloc->alloc(alloc->user, sizeof *size);
    if (!size)
        return ROVE_E_NOMEM;
    *size = 0;
    *ret = size;
    return ROVE_OK;
}

static void blob_destroy(void *self)
{
    free(self); /* the node's allocator is the C library's */
}

static rove_err blob_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    if (event->payload.size == sizeof(uint64_t))
        memcpy(self, event->payload.data, sizeof(uint64_t));
    return rove_emit(ctx, event->payload);
}

static rove_err blob_snapshot(void *self, rove_ctx *ctx)
{
    static const char piece[65536];
    rove_err err = ROVE_OK;
    for (uint64_t left = *(uint64_t *)self; left && !err;) {
        uint64_t size = left < sizeof piece ? left : sizeof piece;
        err = rove_write(ctx, (rove_span){piece, (size_t)size});
        left -= size;
    }
    return err;
}

static const rove_kind blob = {.abi = ROVE_ABI,
                               .size = sizeof(rove_kind),
                               .name = "blob",
                               .create = blob_create,
                               .destroy = blob_destroy,
                               .process = blob_process,
                               .snapshot = blob_snapshot,
                               .is_stateful = true};

/* ---- a node with a control socket, and clients ---- */

typedef struct world {
    char folder[64], path[80];
    rove_node *node;
    rove_runtime *runtime;
    rovei_control *control;
    char origin[24];
} world;

static int make(void **state)
{
    world *w = calloc(1, sizeof *w);
    rove_node_config cfg;
    uint8_t psk[32] = {1};
    rove_daemon daemon;
    if (!w)
        return -1;
    snprintf(w->folder, sizeof w->folder, "/tmp/rove-control-XXXXXX");
    if (!mkdtemp(w->folder))
        return -1;
    snprintf(w->path, sizeof w->path, "%s/sock", w->folder);
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    rovei_control_config control = {.path = w->path};
    if (rove_node_new(&w->node, &cfg) || rove_runtime_new(&w->runtime, w->node, NULL) ||
        rove_runtime_register_kind(w->runtime, NULL, &blob, NULL) ||
        rove_runtime_start(w->runtime) ||
        rove_runtime_spawn(w->runtime, "blob", NULL, NULL, &daemon))
        return -1;
    snprintf(w->origin, sizeof w->origin, "0x%llx", (unsigned long long)daemon.origin);
    control.node = w->node;
    control.runtime = w->runtime;
    *state = w;
    return rovei_control_new(&w->control, &control);
}

static int clean(void **state)
{
    world *w = *state;
    rovei_control_free(w->control);
    rove_runtime_unref(w->runtime);
    rove_node_free(w->node);
    int result = rmdir(w->folder); /* the socket is gone */
    free(w);
    return result;
}

typedef struct client {
    rovei_channel channel;
    rove_err end; /* of the last request */
} client;

static client dial(const world *w)
{
    client c = {.end = ROVE_E_INTERNAL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, w->path, strlen(w->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    while (connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        assert_int_equal(errno, EAGAIN); /* the backlog is full for now */
        poll(NULL, 0, 1);
    }
    rovei_channel_init(&c.channel, fd, &rovei_alloc_libc, 1 << 24);
    return c;
}

static void hang_up(client *c)
{
    rovei_channel_fini(&c->channel);
}

static void put(client *c, uint8_t type, const void *bytes, size_t size)
{
    assert_int_equal(
        rovei_channel_put(&c->channel, type, (rove_span){bytes, size}, (rove_span){NULL, 0}),
        ROVE_OK);
}

static void ask(client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void ask(client *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(c, ROVEI_FRAME_REQUEST, text, (size_t)size);
}

/* The next frame, writing meanwhile; 0 when the node has hung up. Fails after 20 s. */
static uint8_t next(client *c, rove_span *ret)
{
    uint8_t type;
    rove_err err;
    while ((err = rovei_channel_next(&c->channel, &type, ret)) == ROVE_E_SHORT) {
        bool gone = rovei_channel_flush(&c->channel) != ROVE_OK;
        struct pollfd p = {.fd = c->channel.fd, .events = POLLIN};
        if (!gone && rovei_channel_queued(&c->channel))
            p.events |= POLLOUT;
        assert_int_equal(poll(&p, 1, 20000), 1);
        if (p.revents & (POLLIN | POLLHUP | POLLERR) && rovei_channel_fill(&c->channel))
            return 0;
    }
    assert_int_equal(err, ROVE_OK);
    if (type == ROVEI_FRAME_END) {
        assert_true(ret->size >= 4);
        c->end = (rove_err)(int32_t)rovei_load32(ret->data);
    }
    return type;
}

/* Reads to the end of the request: its error, or E_CLOSED when the node hung up before. */
static rove_err end_of(client *c)
{
    rove_span body;
    uint8_t type;
    while ((type = next(c, &body)) != ROVEI_FRAME_END)
        if (!type)
            return ROVE_E_CLOSED;
    return c->end;
}

static void is_alive(const world *w)
{
    client c = dial(w);
    ask(&c, "{\"command\":\"status\"}");
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
}

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
        cmocka_unit_test_setup_teardown(test_many, make, clean),
        cmocka_unit_test_setup_teardown(test_end_in_the_middle, make, clean),
        cmocka_unit_test_setup_teardown(test_spawn_with_seed, make, clean),
        cmocka_unit_test_setup_teardown(test_taken_path, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
