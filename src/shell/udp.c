/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams to and from the kernel. What goes out is gathered into one buffer as long as it has the
 * same receiver and the same size, and leaves as one segmented send; what comes in merged is cut
 * again at the size that the kernel names. */
#include <base/alloc.h>
#include <errno.h>
#include <netinet/udp.h>
#include <shell/udp.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH_MESSAGES 16
#define BATCH_BYTES    65536
#define SEGMENTS_MAX   44 /* the kernel takes 64; 44 full datagrams of 1,452 bytes fit the buffer */
#define SOCKET_BUFFER  (8 << 20)

struct rovei_udp {
    const rove_alloc *alloc;
    int fd;
    bool offload;
    rovei_addr bound;
    /* receiving */
    struct mmsghdr in[BATCH_MESSAGES];
    struct iovec in_iov[BATCH_MESSAGES];
    struct sockaddr_storage in_from[BATCH_MESSAGES];
    struct {
        _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } in_control[BATCH_MESSAGES];
    uint8_t *in_bytes; /* BATCH_MESSAGES x BATCH_BYTES */
    /* sending: one gathered run, and one datagram that did not fit into it */
    uint8_t out[BATCH_BYTES];
    size_t out_size, out_segment, out_count;
    rovei_addr out_to;
    uint8_t spare[2048];
    size_t spare_size;
    rovei_addr spare_to;
};

/* ---- addresses of the system ---- */

static socklen_t to_system(const rovei_addr *a, struct sockaddr_storage *ret)
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

static rovei_addr from_system(const struct sockaddr_storage *s)
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

/* ---- life ---- */

static void socket_options(rovei_udp *u)
{
    int size = SOCKET_BUFFER, on = 1;
    if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        (void)setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(u->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size))
        (void)setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    u->offload = setsockopt(u->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
}

rove_err rovei_udp_new(rovei_udp **ret, const rove_alloc *a, const rovei_addr *bind_to)
{
    struct sockaddr_storage addr;
    socklen_t size = to_system(bind_to, &addr);
    int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ROVE_E_IO;
    rovei_udp *u = NULL;
    rove_err err = ROVE_E_ADDRESS;
    if (bind(fd, (struct sockaddr *)&addr, size))
        goto fail;
    size = sizeof addr;
    err = ROVE_E_IO;
    if (getsockname(fd, (struct sockaddr *)&addr, &size))
        goto fail;
    err = ROVE_E_NOMEM;
    u = ROVEI_NEW(a, rovei_udp);
    if (!u)
        goto fail;
    u->in_bytes = rovei_alloc(a, (size_t)BATCH_MESSAGES * BATCH_BYTES);
    if (!u->in_bytes)
        goto fail;
    u->alloc = a;
    u->fd = fd;
    u->bound = from_system(&addr);
    socket_options(u);
    *ret = u;
    return ROVE_OK;
fail:
    if (u)
        ROVEI_DELETE(a, u);
    close(fd);
    return err;
}

void rovei_udp_free(rovei_udp *u)
{
    if (!u)
        return;
    close(u->fd);
    rovei_free(u->alloc, u->in_bytes, (size_t)BATCH_MESSAGES * BATCH_BYTES);
    ROVEI_DELETE(u->alloc, u);
}

int rovei_udp_fd(const rovei_udp *u)
{
    return u->fd;
}
rovei_addr rovei_udp_address(const rovei_udp *u)
{
    return u->bound;
}

void rovei_udp_plain(rovei_udp *u)
{
    int off = 0;
    (void)setsockopt(u->fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off);
    u->offload = false;
}

/* ---- receiving ---- */

/* Size at which the kernel merged datagrams, or 0 for a single one. */
static size_t merged_size(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            return size > 0 ? (size_t)size : 0;
        }
    return 0;
}

bool rovei_udp_receive(rovei_udp *u, rovei_datagram_fn *fn, void *user)
{
    for (size_t i = 0; i < BATCH_MESSAGES; i++) {
        u->in_iov[i] = (struct iovec){u->in_bytes + i * BATCH_BYTES, BATCH_BYTES};
        u->in[i].msg_hdr = (struct msghdr){.msg_name = &u->in_from[i],
                                           .msg_namelen = sizeof u->in_from[i],
                                           .msg_iov = &u->in_iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &u->in_control[i],
                                           .msg_controllen = sizeof u->in_control[i]};
    }
    int count = recvmmsg(u->fd, u->in, BATCH_MESSAGES, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        rovei_addr from = from_system(&u->in_from[i]);
        uint8_t *at = u->in_iov[i].iov_base;
        size_t left = u->in[i].msg_len;
        size_t cut = merged_size(&u->in[i].msg_hdr);
        if (cut == 0)
            cut = left;
        while (left) {
            size_t size = left < cut ? left : cut;
            fn(user, &from, at, size);
            at += size;
            left -= size;
        }
    }
    return count == BATCH_MESSAGES;
}

/* ---- sending ---- */

typedef enum sent { SENT, SENT_LATER, SENT_NO_OFFLOAD } sent;

static sent send_message(rovei_udp *u, uint8_t *bytes, size_t size, size_t segment,
                         const rovei_addr *to)
{
    struct sockaddr_storage addr;
    struct iovec iov = {bytes, size};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct msghdr m = {
        .msg_name = &addr, .msg_namelen = to_system(to, &addr), .msg_iov = &iov, .msg_iovlen = 1};
    if (segment < size) {
        uint16_t value = (uint16_t)segment;
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof value);
        memcpy(CMSG_DATA(c), &value, sizeof value);
    }
    for (;;) {
        if (sendmsg(u->fd, &m, MSG_DONTWAIT) >= 0)
            return SENT;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return SENT_LATER;
        if (segment < size && (errno == EIO || errno == EINVAL || errno == EMSGSIZE ||
                               errno == EOPNOTSUPP || errno == ENOPROTOOPT))
            return SENT_NO_OFFLOAD;
        return SENT; /* a filter, no route, a closed port: lost, and recovered like any loss */
    }
}

/* False when the socket is full; what was not sent stays at the front of the run. */
static bool flush(rovei_udp *u)
{
    if (u->offload && u->out_count > 1) {
        sent s = send_message(u, u->out, u->out_size, u->out_segment, &u->out_to);
        if (s == SENT_LATER)
            return false;
        if (s == SENT)
            u->out_size = u->out_count = 0;
        else
            u->offload = false;
    }
    size_t done = 0;
    while (done < u->out_size) {
        size_t left = u->out_size - done;
        size_t size = left < u->out_segment ? left : u->out_segment;
        if (send_message(u, u->out + done, size, size, &u->out_to) == SENT_LATER)
            break;
        done += size;
        u->out_count--;
    }
    if (done && done < u->out_size)
        memmove(u->out, u->out + done, u->out_size - done);
    u->out_size -= done < u->out_size ? done : u->out_size;
    return u->out_size == 0;
}

/* Adds one datagram to the run: false when it does not belong there. Only the last of a run may be
 * shorter than the others. */
static bool gather(rovei_udp *u, const uint8_t *bytes, size_t size, const rovei_addr *to)
{
    bool fits = u->out_count == 0 ||
                (rovei_addr_equal(to, &u->out_to) && size <= u->out_segment &&
                 u->out_size == u->out_count * u->out_segment && u->out_count < SEGMENTS_MAX &&
                 u->out_size + size <= BATCH_BYTES - 64);
    if (!fits)
        return false;
    if (u->out_count == 0) {
        u->out_to = *to;
        u->out_segment = size;
    }
    memcpy(u->out + u->out_size, bytes, size);
    u->out_size += size;
    u->out_count++;
    return true;
}

bool rovei_udp_send(rovei_udp *u, rovei_next_fn *next, void *user)
{
    for (;;) {
        if (!u->spare_size) {
            u->spare_size = next(user, u->spare, sizeof u->spare, &u->spare_to);
            if (!u->spare_size)
                return flush(u);
        }
        if (gather(u, u->spare, u->spare_size, &u->spare_to))
            u->spare_size = 0;
        else if (!flush(u))
            return false;
    }
}
