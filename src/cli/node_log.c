/* SPDX-License-Identifier: Apache-2.0
 *
 * Sentences about peers and about daemons that others took, on the standard error of `rove node`.
 */
#include "node_log.h"

#include <fcntl.h>
#include <identity/entity.h>
#include <inttypes.h>
#include <limits.h>
#include <shell/files.h>
#include <shell/udp.h>
#include <unistd.h>

/* What goes through the pipe. */
typedef struct report {
    enum { REPORT_PEER, REPORT_FORCED, REPORT_ASIDE } about;
    rovei_peer_info peer;
    rove_entity daemon, holder;
    uint64_t epoch;
} report;
_Static_assert(sizeof(report) <= PIPE_BUF, "a report goes through the pipe in one piece");

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

static void put(const node_log *l, const report *r)
{
    if (write(l->write_fd, r, sizeof *r) < 0)
        return;
}

void node_log_peer(void *user, const rovei_peer_info *peer)
{
    report r = {.peer = *peer};
    bool worth_it = peer->state == ROVEI_PEER_UP || peer->state == ROVEI_PEER_FAILED ||
                    (peer->state == ROVEI_PEER_CONNECTING && peer->unanswered);
    if (worth_it)
        put(user, &r);
}

void node_log_forced(void *user, const rove_entity *daemon, const rove_entity *holder,
                     uint64_t epoch)
{
    report r = {.about = REPORT_FORCED, .daemon = *daemon, .holder = *holder, .epoch = epoch};
    put(user, &r);
}

void node_log_aside(void *user, const rove_entity *daemon, const rove_entity *holder,
                    uint64_t epoch)
{
    report r = {.about = REPORT_ASIDE, .daemon = *daemon, .holder = *holder, .epoch = epoch};
    put(user, &r);
}

static void say_daemon(const report *r)
{
    const char *what =
        r->about == REPORT_FORCED
            ? "took the right to run it by force, or got it from a peer of class net"
            : "has the right to run it; the copy here is kept aside and serves nobody";
    char entity[65];
    rovei_hex_encode(r->daemon.bytes, sizeof r->daemon.bytes, entity);
    fprintf(stderr, "daemon 0x%" PRIx64 " (%s): node 0x%" PRIx64 " %s, epoch %" PRIu64 "\n",
            rovei_entity_origin(&r->daemon), entity, rovei_entity_node_id(&r->holder), what,
            r->epoch);
}

static void say_peer(const rovei_peer_info *peer)
{
    char address[64] = "an unknown address", entity[65], id[19];
    if (peer->addr.family)
        rovei_address_format(&peer->addr, address, sizeof address);
    rovei_hex_encode(peer->entity.bytes, sizeof peer->entity.bytes, entity);
    (void)snprintf(id, sizeof id, "0x%" PRIx64, peer->node_id);
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
                address, peer->session_class == ROVEI_CLASS_NET ? id : entity);
        break;
    case ROVEI_PEER_SUSPECT:
        break;
    }
}

void node_log_write(node_log *l)
{
    report r;
    while (read(l->read_fd, &r, sizeof r) == (ssize_t)sizeof r) {
        if (r.about == REPORT_PEER)
            say_peer(&r.peer);
        else
            say_daemon(&r);
    }
}
