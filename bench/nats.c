/* SPDX-License-Identifier: Apache-2.0
 *
 * The text protocol of NATS over two sockets: one publishes in large writes, a thread of its own
 * reads what the other one is sent. */
#include "nats.h"

#include "bench.h"
#include "child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u << 10)
#define UNDER_WAY                                                                                  \
    (8u << 20) /* bytes not received yet: a server drops a subscriber that is slow                 \
                */
#define HEAD_MAX  64
#define START_MAX (5 * ROVE_SECOND)

static bench_child server;
static bool absent;
static struct sockaddr_in address;

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        bench_fail("no socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* A port that is free now. */
static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t room = sizeof address;
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) ||
        getsockname(fd, (struct sockaddr *)&address, &room))
        bench_fail("no port");
    close(fd);
    return ntohs(address.sin_port);
}

static bool start(void)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", free_port());
    const char *const argv[] = {"nats-server", "-a", "127.0.0.1", "-p", port, NULL};
    if (!bench_child_start(&server, argv))
        return false;
    uint64_t until = bench_now() + START_MAX;
    int fd;
    while ((fd = dial()) < 0) {
        if (bench_now() > until)
            bench_fail("nats-server does not answer");
        usleep(1000);
    }
    close(fd);
    return true;
}

static void put(int fd, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            bench_fail("nats-server hung up");
        at += n;
        size -= (size_t)n;
    }
}

static size_t get(int fd, void *room, size_t size)
{
    for (;;) {
        ssize_t n = recv(fd, room, size, 0);
        if (n > 0)
            return (size_t)n;
        if (n == 0 || errno != EINTR)
            bench_fail("nats-server hung up");
    }
}

/* Greets, and waits until the server has taken in what was said. */
static void greet(int fd, const char *words)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
    put(fd, hello, sizeof hello - 1);
    put(fd, words, strlen(words));
    put(fd, "PING\r\n", 6);
    char text[8192];
    size_t used = 0;
    do {
        if (used == sizeof text - 1)
            bench_fail("nats-server talks too much");
        used += get(fd, text + used, sizeof text - 1 - used);
        text[used] = 0;
    } while (!strstr(text, "PONG\r\n"));
}

struct subscriber {
    int fd;
    uint64_t bytes; /* that will come: each message has the same size on the wire */
    _Atomic uint64_t got;
};

static void *subscribe(void *arg)
{
    struct subscriber *s = arg;
    char *room = malloc(BUFFER);
    if (!room)
        bench_fail("no memory");
    while (atomic_load(&s->got) < s->bytes)
        atomic_fetch_add(&s->got, get(s->fd, room, BUFFER));
    free(room);
    return NULL;
}

/* As many whole messages as fit, again and again. */
static void publish(int fd, const bench_nats *n, const struct subscriber *s, uint64_t on_wire)
{
    char head[HEAD_MAX];
    size_t head_size = (size_t)snprintf(head, sizeof head, "PUB x %zu\r\n", n->size);
    size_t each = head_size + n->size + 2, batch = BUFFER / each ? BUFFER / each : 1;
    char *block = calloc(batch, each);
    if (!block)
        bench_fail("no memory");
    for (size_t i = 0; i < batch; i++) {
        memcpy(block + i * each, head, head_size);
        block[(i + 1) * each - 2] = '\r';
        block[(i + 1) * each - 1] = '\n';
    }
    for (uint64_t sent = 0; sent < n->messages;) {
        uint64_t left = n->messages - sent, count = left < batch ? left : batch;
        while (sent * on_wire > atomic_load(&s->got) + UNDER_WAY)
            usleep(50);
        put(fd, block, count * each);
        sent += count;
    }
    free(block);
}

bool bench_nats_round(void *arg, double *ret)
{
    const bench_nats *n = arg;
    if (!absent && !server.pid)
        absent = !start();
    if (absent)
        return false;
    char head[HEAD_MAX];
    uint64_t on_wire =
        (uint64_t)snprintf(head, sizeof head, "MSG x 1 %zu\r\n", n->size) + n->size + 2;
    struct subscriber s = {dial(), n->messages * on_wire, 0};
    int fd = dial();
    if (fd < 0 || s.fd < 0)
        bench_fail("nats-server does not answer");
    greet(s.fd, "SUB x 1\r\n");
    greet(fd, "");
    pthread_t thread;
    uint64_t begin = bench_now();
    if (pthread_create(&thread, NULL, subscribe, &s))
        bench_fail("no thread");
    publish(fd, n, &s, on_wire);
    pthread_join(thread, NULL);
    *ret = (double)n->messages * 1e9 / (double)(bench_now() - begin);
    close(fd);
    close(s.fd);
    return true;
}

void bench_nats_close(void)
{
    bench_child_end(&server);
}
