/* SPDX-License-Identifier: Apache-2.0
 *
 * Sentences about peers on the standard error of `rove node`. */
#include "node_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <shell/files.h>
#include <shell/udp.h>
#include <unistd.h>

_Static_assert(sizeof(rovei_peer_info) <= PIPE_BUF, "a report goes through the pipe in one piece");

bool node_log_init(node_log *l)
{
    int fds[2];
    *l = (node_log){-1, -1};
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
        return false;
    *l = (node_log){fds[0], fds[1]};
    return true;
}

void node_log_fini(node_log *l)
{
    if (l->read_fd >= 0)
        close(l->read_fd);
    if (l->write_fd >= 0)
        close(l->write_fd);
    *l = (node_log){-1, -1};
}

void node_log_peer(void *user, const rovei_peer_info *peer)
{
    const node_log *l = user;
    bool worth_it = peer->state == ROVEI_PEER_UP || peer->state == ROVEI_PEER_FAILED ||
                    (peer->state == ROVEI_PEER_CONNECTING && peer->unanswered);
    if (worth_it && write(l->write_fd, peer, sizeof *peer) < 0)
        return;
}

static void say(const rovei_peer_info *peer)
{
    char address[64] = "an unknown address", entity[65];
    if (peer->addr.family)
        rovei_address_format(&peer->addr, address, sizeof address);
    rovei_hex_encode(peer->entity.bytes, sizeof peer->entity.bytes, entity);
    switch (peer->state) {
    case ROVEI_PEER_UP:
        fprintf(stderr, "peer 0x%" PRIx64 " at %s: up\n", peer->node_id, address);
        break;
    case ROVEI_PEER_FAILED:
        fprintf(stderr, "peer 0x%" PRIx64 " at %s: silent, counts as failed\n", peer->node_id,
                address);
        break;
    case ROVEI_PEER_CONNECTING:
        fprintf(stderr,
                "no answer from %s: it cannot be reached, has another psk, or is not %s; it is "
                "tried again\n",
                address, entity);
        break;
    case ROVEI_PEER_SUSPECT:
        break;
    }
}

void node_log_write(node_log *l)
{
    rovei_peer_info peer;
    while (read(l->read_fd, &peer, sizeof peer) == (ssize_t)sizeof peer)
        say(&peer);
}
