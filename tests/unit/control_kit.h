/* SPDX-License-Identifier: Apache-2.0
 *
 * A node with a control socket, a daemon that echoes, and clients of the socket. */
#ifndef ROVE_TESTS_CONTROL_KIT_H
#define ROVE_TESTS_CONTROL_KIT_H

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

static inline rove_err blob_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    uint64_t *size = alloc->alloc(alloc->user, sizeof *size);
    if (!size)
        return ROVE_E_NOMEM;
    *size = 0;
    *ret = size;
    return ROVE_OK;
}

static inline void blob_destroy(void *self)
{
    free(self); /* the node's allocator is the C library's */
}

static inline rove_err blob_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    if (event->payload.size == sizeof(uint64_t))
        memcpy(self, event->payload.data, sizeof(uint64_t));
    return rove_emit(ctx, event->payload);
}

static inline rove_err blob_snapshot(void *self, rove_ctx *ctx)
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

/* Set before `make`: changes the limits of the node. */
static void (*world_limits)(rove_limits *limits);

static inline int make(void **state)
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
    if (world_limits)
        world_limits(&cfg.limits);
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

static inline int clean(void **state)
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

static inline client dial(const world *w)
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

static inline void hang_up(client *c)
{
    rovei_channel_fini(&c->channel);
}

static inline void put(client *c, uint8_t type, const void *bytes, size_t size)
{
    assert_int_equal(
        rovei_channel_put(&c->channel, type, (rove_span){bytes, size}, (rove_span){NULL, 0}),
        ROVE_OK);
}

static inline void ask(client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void ask(client *c, const char *format, ...)
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
static inline rove_err end_of(client *c)
{
    rove_span body;
    uint8_t type;
    while ((type = next(c, &body)) != ROVEI_FRAME_END)
        if (!type)
            return ROVE_E_CLOSED;
    return c->end;
}

static inline void is_alive(const world *w)
{
    client c = dial(w);
    ask(&c, "{\"command\":\"status\"}");
    assert_int_equal(end_of(&c), ROVE_OK);
    hang_up(&c);
}

#endif
