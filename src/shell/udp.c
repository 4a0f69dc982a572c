/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams to and from the kernel. What goes out is gathered into one buffer as long as it has the
 * same receiver and the same size, and leaves as one segmented send; what comes in merged is cut
 * again at the size that the kernel names. */
#include <errno.h>
#include <netinet/udp.h>
#include <shell/call.h>
#include <shell/udp_inside.h>
#include <string.h>
#include <sys/epoll.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SEGMENTS_MAX     44 /* the kernel takes 64; 44 full datagrams of 1,452 bytes fit the buffer */
#define SEGMENT_SIZE_MAX 1472
#define READY_MAX        16 /* sockets that are looked at in one call */

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

typedef struct batch {
    size_t messages, datagrams, useful;
} batch;

static batch take_batch(rovei_udp *u, const udp_socket *s, rovei_datagram_fn *fn, void *user)
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
    /* An error is one that a datagram of ours met on its way, and is gone with this call. */
    int count = recvmmsg(s->fd, u->in, BATCH_MESSAGES, MSG_DONTWAIT, NULL);
    batch b = {.messages = count > 0 ? (size_t)count : 0};
    for (int i = 0; i < count; i++) {
        rovei_addr from = udp_from_system(&u->in_from[i]);
        uint8_t *at = u->in_iov[i].iov_base;
        size_t left = u->in[i].msg_len;
        size_t cut = merged_size(&u->in[i].msg_hdr);
        if (cut == 0)
            cut = left;
        do {
            size_t size = left < cut ? left : cut;
            bool useful = fn(user, &from, at, size);
            b.useful += useful;
            b.datagrams++;
            at += size;
            left -= size;
            /* During a flood one of a run is enough: who may be let in sends no runs yet. */
            if (!useful && !s->peer.family && u->filtered) {
                u->unread += (left + cut - 1) / (cut ? cut : 1);
                left = 0;
            }
        } while (left);
    }
    return b;
}

/* Everybody's socket: what it costs is watched. */
static bool take_from_strangers(rovei_udp *u, rovei_datagram_fn *fn, void *user)
{
    uint64_t begun = rovei_clock_now().mono;
    batch b = take_batch(u, &u->sockets[0], fn, user);
    udp_judge_flood(u, begun, rovei_clock_now().mono, b.datagrams, b.useful);
    return b.messages == BATCH_MESSAGES && !u->paused;
}

bool rovei_udp_receive(rovei_udp *u, rovei_datagram_fn *fn, void *user)
{
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(u->poll_fd, ready, READY_MAX, 0);
    bool more = count == READY_MAX, strangers = false;
    for (int i = 0; i < count; i++) {
        const void *who = ready[i].data.ptr;
        if (who == &u->timer_fd)
            udp_timer(u);
        else if (who == &u->sockets[0])
            strangers = ready[i].events != EPOLLOUT;
        else
            more |= take_batch(u, who, fn, user).messages == BATCH_MESSAGES;
    }
    if (strangers)
        more |= take_from_strangers(u, fn, user);
    return more;
}

/* ---- sending ---- */

typedef enum sent { SENT, SENT_LATER, SENT_NO_OFFLOAD } sent;

static sent send_message(rovei_udp *u, uint8_t *bytes, size_t size, size_t segment,
                         const rovei_addr *to)
{
    struct sockaddr_storage addr;
    struct iovec iov = {bytes, size};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct msghdr m = {.msg_name = &addr,
                       .msg_namelen = udp_to_system(to, &addr),
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
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
        if (sendmsg(u->sockets[0].fd, &m, MSG_DONTWAIT) >= 0)
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
 * shorter than the others. What is larger than an ordinary link takes goes alone: the system cuts
 * it into fragments, but refuses to cut a run into such pieces. */
static bool gather(rovei_udp *u, const uint8_t *bytes, size_t size, const rovei_addr *to)
{
    bool fits =
        u->out_count == 0 ||
        (rovei_addr_equal(to, &u->out_to) && size <= u->out_segment &&
         u->out_segment <= SEGMENT_SIZE_MAX && u->out_size == u->out_count * u->out_segment &&
         u->out_count < SEGMENTS_MAX && u->out_size + size <= BATCH_BYTES - 64);
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

static bool send_all(rovei_udp *u, rovei_next_fn *next, void *user)
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

bool rovei_udp_send(rovei_udp *u, rovei_next_fn *next, void *user)
{
    bool all = send_all(u, next, user);
    if (all == u->full)
        udp_set_full(u, !all);
    return all;
}
