/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rovei_udp is made of, for its two files: udp_sockets.c (the sockets, who may fill them)
 * and udp.c (datagrams in and out). */
#ifndef ROVEI_SHELL_UDP_INSIDE_H
#define ROVEI_SHELL_UDP_INSIDE_H

#include <net/wire.h>
#include <shell/udp.h>

#define BATCH_MESSAGES 16
#define BATCH_BYTES    65536

typedef struct udp_socket {
    int fd;          /* -1: none */
    rovei_addr peer; /* to whom it is connected; family 0: everybody's */
    uint32_t drops;  /* as the kernel counted when it was looked at last */
} udp_socket;

struct rovei_udp {
    const rove_alloc *alloc;
    int poll_fd, timer_fd;
    udp_socket sockets[1 + ROVEI_UDP_PEERS]; /* the first is everybody's */
    bool offload, net;
    rovei_addr bound;
    uint64_t unread; /* dropped by the kernel, of all sockets that ever were */
    /* a flood at everybody's socket */
    uint64_t flood_cost, flood_at; /* time spent on datagrams of no use, which wears off; when */
    uint64_t flood_last;           /* when it was too much last */
    bool paused, filtered, full;   /* not read now; filter attached; send buffer full */
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
    uint8_t spare[ROVEI_NET_DATAGRAM_MAX];
    size_t spare_size;
    rovei_addr spare_to;
};

/* ---- udp_sockets.c ---- */
socklen_t udp_to_system(const rovei_addr *a, struct sockaddr_storage *ret);
rovei_addr udp_from_system(const struct sockaddr_storage *s);
/* The send buffer has become full, or is not any longer. */
void udp_set_full(rovei_udp *u, bool full);
/* So long was spent on everybody's socket, and so many of its datagrams were of use. */
void udp_judge_flood(rovei_udp *u, uint64_t begun, uint64_t ended, size_t count, size_t useful);
/* The timer has fired. */
void udp_timer(rovei_udp *u);

#endif
