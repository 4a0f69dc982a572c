/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets behind one port, and what happens when strangers flood it. */
#include <base/alloc.h>
#include <errno.h>
#include <linux/filter.h>
#include <mesh/packet.h>
#include <netinet/udp.h>
#include <shell/call.h>
#include <shell/udp_inside.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#define MEMINFO_DROPS 8 /* SK_MEMINFO_DROPS */
#define MEMINFO_COUNT 9

#define SOCKET_BUFFER (8 << 20)

/* So much of the time may go into datagrams of no use (one part in so many), and so much of it at
 * once. The filter goes when it has not been too much for FLOOD_OVER. */
#define FLOOD_SHARE 10u
#define FLOOD_BURST ROVE_MILLISECOND
#define FLOOD_OVER  ROVE_SECOND

/* ---- addresses of the system ---- */

socklen_t udp_to_system(const rovei_addr *a, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == 4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(a->port);
        memcpy(&v4->sin_addr, a->ip, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(a->port);
    memcpy(&v6->sin6_addr, a->ip, 16);
    return sizeof *v6;
}

rovei_addr udp_from_system(const struct sockaddr_storage *s)
{
    rovei_addr a = {0};
    if (s->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)s;
        a.family = 4;
        a.port = ntohs(v4->sin_port);
        memcpy(a.ip, &v4->sin_addr, 4);
    } else if (s->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)s;
        a.family = 6;
        a.port = ntohs(v6->sin6_port);
        memcpy(a.ip, &v6->sin6_addr, 16);
    }
    return a;
}

/* ---- one socket ---- */

static void socket_options(rovei_udp *u, int fd)
{
    int size = SOCKET_BUFFER, on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size))
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (u->offload)
        u->offload = setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
}

/* Adds what the kernel has dropped at this socket since it was looked at last. */
static void count_drops(rovei_udp *u, udp_socket *s)
{
    uint32_t info[MEMINFO_COUNT] = {0};
    socklen_t size = sizeof info;
    if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &size) || size < sizeof info)
        return;
    u->unread += info[MEMINFO_DROPS] - s->drops;
    s->drops = info[MEMINFO_DROPS];
}

static bool watch(rovei_udp *u, udp_socket *s)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    return epoll_ctl(u->poll_fd, EPOLL_CTL_ADD, s->fd, &e) == 0;
}

static void shut(rovei_udp *u, udp_socket *s)
{
    count_drops(u, s);
    close(s->fd);
    *s = (udp_socket){.fd = -1};
}

/* ---- peers ---- */

/* Several sockets have one port only while all of them carry a flag, and only for this user. It is
 * set for the moment in which one more is bound, so the port stays taken for everybody else. */
static void share(const rovei_udp *u, int fd, int on)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    for (size_t i = 0; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0)
            (void)setsockopt(u->sockets[i].fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

/* One more socket on our own port, connected to `peer`: the kernel prefers it for what comes from
 * there. What it may have got before it was connected is read all the same. */
static int connect_to(rovei_udp *u, const rovei_addr *peer)
{
    struct sockaddr_storage addr;
    socklen_t size = udp_to_system(&u->bound, &addr);
    int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    share(u, fd, 1);
    bool ok = bind(fd, (struct sockaddr *)&addr, size) == 0;
    size = udp_to_system(peer, &addr);
    ok = ok && connect(fd, (struct sockaddr *)&addr, size) == 0;
    share(u, fd, 0);
    if (!ok) {
        close(fd);
        return -1;
    }
    socket_options(u, fd);
    return fd;
}

static bool has(const rovei_addr *addrs, size_t count, const rovei_addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (rovei_addr_equal(&addrs[i], a))
            return true;
    return false;
}

static udp_socket *socket_of(rovei_udp *u, const rovei_addr *peer)
{
    for (size_t i = 1; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0 && rovei_addr_equal(&u->sockets[i].peer, peer))
            return &u->sockets[i];
    return NULL;
}

void rovei_udp_favour(rovei_udp *u, const rovei_addr *addrs, size_t count)
{
    for (size_t i = 1; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0 && !has(addrs, count, &u->sockets[i].peer))
            shut(u, &u->sockets[i]);
    udp_socket *free_place = &u->sockets[1], *end = u->sockets + 1 + ROVEI_UDP_PEERS;
    for (size_t i = 0; i < count; i++) {
        if (addrs[i].family != u->bound.family || socket_of(u, &addrs[i]))
            continue;
        while (free_place < end && free_place->fd >= 0)
            free_place++;
        if (free_place == end)
            return;
        int fd = connect_to(u, &addrs[i]);
        if (fd < 0)
            continue;
        *free_place = (udp_socket){.fd = fd, .peer = addrs[i]};
        if (!watch(u, free_place))
            shut(u, free_place);
    }
}

uint64_t rovei_udp_unread(rovei_udp *u)
{
    for (size_t i = 0; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0)
            count_drops(u, &u->sockets[i]);
    return u->unread;
}

/* ---- floods ---- */

static void watch_strangers(rovei_udp *u)
{
    struct epoll_event e = {.events = (u->paused ? 0u : (uint32_t)EPOLLIN) |
                                      (u->full ? (uint32_t)EPOLLOUT : 0u),
                            .data.ptr = &u->sockets[0]};
    (void)epoll_ctl(u->poll_fd, EPOLL_CTL_MOD, u->sockets[0].fd, &e);
}

void udp_set_full(rovei_udp *u, bool full)
{
    u->full = full;
    watch_strangers(u);
}

/* Lets pass what begins like a datagram of ours and is long enough to be one. The kernel runs it
 * before the queue, on the time of who sends. Several datagrams may come merged: then it sees the
 * first one, and the length of all. */
static void set_filter(rovei_udp *u, bool on)
{
    enum {
        UDP_HEADER = 8,
        START = ROVEI_PACKET_MAGIC0 << 24 | ROVEI_PACKET_MAGIC1 << 16,
        NET_START = START | ROVEI_NET_VERSION << 8,
        NET_ROUTED = (ROVEI_NET_ROUTE_MAGIC & 0xFF) << 8 | ROVEI_NET_ROUTE_MAGIC >> 8,
        NET_CODE = 9, /* instructions for class net in front of the others */
        REST = 13,    /* and those between them and the two at the end */
    };
#define LEAST(type, size)                                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, START | ROVEI_PACKET_VERSION << 8 | (type), 0, 2),         \
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),                                                     \
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, UDP_HEADER + (size), PASS_FROM(type), DROP_FROM(type))
    /* Jumps count instructions between here and the two at the end; three for each type. */
#define DROP_FROM(type) (3 * (ROVEI_PACKET_DATA - (type)))
#define PASS_FROM(type) (DROP_FROM(type) + 1)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UDP_HEADER),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xFFFFFF00),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NET_START, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, UDP_HEADER + ROVEI_NET_OVERHEAD, 4 + REST + 1,
                 4 + REST),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, UDP_HEADER),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NET_ROUTED, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, UDP_HEADER + ROVEI_NET_ROUTE_SIZE + ROVEI_NET_OVERHEAD,
                 REST + 1, REST),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UDP_HEADER),
        LEAST(ROVEI_PACKET_INITIATION, ROVEI_INITIATION_SIZE),
        LEAST(ROVEI_PACKET_RESPONSE, ROVEI_RESPONSE_SIZE),
        LEAST(ROVEI_PACKET_COOKIE, ROVEI_COOKIE_SIZE),
        LEAST(ROVEI_PACKET_DATA, ROVEI_DATA_OVERHEAD),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
#undef LEAST
#undef DROP_FROM
#undef PASS_FROM
    _Static_assert(sizeof code / sizeof code[0] == NET_CODE + REST + 2, "jumps end in the end");
    struct sock_filter *begin = u->net ? code : code + NET_CODE;
    struct sock_fprog program = {(unsigned short)(code + NET_CODE + REST + 2 - begin), begin};
    int none = 0;
    if (on)
        (void)setsockopt(u->sockets[0].fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    else
        (void)setsockopt(u->sockets[0].fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
    u->filtered = on;
}

static void set_timer(rovei_udp *u, uint64_t delay)
{
    const struct itimerspec t = {.it_value = {.tv_sec = (time_t)(delay / ROVE_SECOND),
                                              .tv_nsec = (long)(delay % ROVE_SECOND)}};
    (void)timerfd_settime(u->timer_fd, 0, &t, NULL);
}

void udp_judge_flood(rovei_udp *u, uint64_t begun, uint64_t ended, size_t count, size_t useful)
{
    uint64_t worn_off = (begun - u->flood_at) / FLOOD_SHARE;
    u->flood_cost -= rovei_time_min(u->flood_cost, worn_off);
    u->flood_at = begun;
    if (count)
        u->flood_cost += (ended - begun) * (count - useful) / count;
    if (u->flood_cost <= FLOOD_BURST)
        return;
    u->flood_last = ended;
    u->paused = true;
    watch_strangers(u);
    if (!u->filtered)
        set_filter(u, true);
    set_timer(u, u->flood_cost * FLOOD_SHARE);
}

void udp_timer(rovei_udp *u)
{
    uint64_t times;
    if (read(u->timer_fd, &times, sizeof times) != (ssize_t)sizeof times)
        return;
    if (u->paused) {
        u->paused = false;
        watch_strangers(u);
        set_timer(u, FLOOD_OVER);
    } else if (u->filtered) {
        set_filter(u, false);
    }
}

/* ---- life ---- */

static rove_err open_first(rovei_udp *u, const rovei_addr *bind_to)
{
    struct sockaddr_storage addr;
    socklen_t size = udp_to_system(bind_to, &addr);
    int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ROVE_E_IO;
    u->sockets[0].fd = fd;
    if (bind(fd, (struct sockaddr *)&addr, size))
        return ROVE_E_ADDRESS;
    size = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &size))
        return ROVE_E_IO;
    u->bound = udp_from_system(&addr);
    socket_options(u, fd);
    return ROVE_OK;
}

static rove_err open_watch(rovei_udp *u)
{
    u->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (u->poll_fd < 0 || u->timer_fd < 0)
        return ROVE_E_IO;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &u->timer_fd};
    if (epoll_ctl(u->poll_fd, EPOLL_CTL_ADD, u->timer_fd, &e) || !watch(u, &u->sockets[0]))
        return ROVE_E_IO;
    return ROVE_OK;
}

rove_err rovei_udp_new(rovei_udp **ret, const rove_alloc *a, const rovei_addr *bind_to, bool net)
{
    rovei_udp *u = ROVEI_NEW(a, rovei_udp);
    if (!u)
        return ROVE_E_NOMEM;
    u->alloc = a;
    u->offload = true;
    u->net = net;
    u->poll_fd = u->timer_fd = -1;
    for (size_t i = 0; i <= ROVEI_UDP_PEERS; i++)
        u->sockets[i].fd = -1;
    u->in_bytes = rovei_alloc(a, (size_t)BATCH_MESSAGES * BATCH_BYTES);
    rove_err err = u->in_bytes ? open_first(u, bind_to) : ROVE_E_NOMEM;
    if (!err)
        err = open_watch(u);
    if (err) {
        rovei_udp_free(u);
        return err;
    }
    *ret = u;
    return ROVE_OK;
}

void rovei_udp_free(rovei_udp *u)
{
    if (!u)
        return;
    for (size_t i = 0; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0)
            close(u->sockets[i].fd);
    if (u->timer_fd >= 0)
        close(u->timer_fd);
    if (u->poll_fd >= 0)
        close(u->poll_fd);
    if (u->in_bytes)
        rovei_free(u->alloc, u->in_bytes, (size_t)BATCH_MESSAGES * BATCH_BYTES);
    ROVEI_DELETE(u->alloc, u);
}

int rovei_udp_fd(const rovei_udp *u)
{
    return u->poll_fd;
}
rovei_addr rovei_udp_address(const rovei_udp *u)
{
    return u->bound;
}

void rovei_udp_plain(rovei_udp *u)
{
    int off = 0;
    for (size_t i = 0; i <= ROVEI_UDP_PEERS; i++)
        if (u->sockets[i].fd >= 0)
            (void)setsockopt(u->sockets[i].fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off);
    u->offload = false;
}
