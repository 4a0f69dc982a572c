/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo over UDP. */
#include "udp_echo.h"

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE_MOST 2048

/* Two sockets that are connected to each other. */
static void make_pair(int fd[2])
{
    struct sockaddr_in at[2];
    for (int i = 0; i < 2; i++) {
        at[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t room = sizeof at[i];
        fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd[i] < 0 || bind(fd[i], (const struct sockaddr *)&at[i], sizeof at[i]) ||
            getsockname(fd[i], (struct sockaddr *)&at[i], &room))
            bench_fail("no socket");
    }
    for (int i = 0; i < 2; i++)
        if (connect(fd[i], (const struct sockaddr *)&at[!i], sizeof at[i]))
            bench_fail("no socket");
}

static size_t receive(int fd, bool busy, void *room)
{
    for (;;) {
        ssize_t n = recv(fd, room, SIZE_MOST, busy ? MSG_DONTWAIT : 0);
        if (n >= 0)
            return (size_t)n;
        if (errno != EAGAIN && errno != EINTR)
            bench_fail("a datagram did not come");
    }
}

struct echo {
    int fd;
    const bench_udp_echo *of;
};

static void *echo(void *arg)
{
    const struct echo *e = arg;
    char bytes[SIZE_MOST];
    for (size_t i = 0; i < e->of->count; i++) {
        size_t size = receive(e->fd, e->of->busy, bytes);
        if (send(e->fd, bytes, size, 0) < 0)
            bench_fail("a datagram was not sent");
    }
    return NULL;
}

bool bench_udp_echo_round(void *arg, double *ret)
{
    const bench_udp_echo *u = arg;
    int fd[2];
    char bytes[SIZE_MOST] = {0};
    pthread_t thread;
    make_pair(fd);
    struct echo e = {fd[1], u};
    if (pthread_create(&thread, NULL, echo, &e))
        bench_fail("no thread");
    for (size_t i = 0; i < u->count; i++) {
        uint64_t start = bench_now();
        if (send(fd[0], bytes, u->size, 0) < 0)
            bench_fail("a datagram was not sent");
        (void)receive(fd[0], u->busy, bytes);
        u->samples[i] = (double)(bench_now() - start) / 1000.0;
    }
    pthread_join(thread, NULL);
    close(fd[0]);
    close(fd[1]);
    ret[0] = bench_percentile(u->samples, u->count, 0.5);
    ret[1] = bench_percentile(u->samples, u->count, 0.99);
    return true;
}
