/* SPDX-License-Identifier: Apache-2.0
 *
 * Draining at a signal. */
#include "node_drain.h"

#include <identity/entity.h>
#include <mesh/mesh.h>
#include <node/node.h>
#include <shell/call.h>
#include <shell/files.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool node_drain_init(node_drain *d)
{
    d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return d->fd >= 0;
}

void node_drain_fini(node_drain *d)
{
    if (d->fd >= 0)
        close(d->fd);
}

static bool is_any(const node_drain *d)
{
    return strcmp(d->to, "any") == 0;
}

static bool is_none(const node_drain *d)
{
    return strcmp(d->to, "none") == 0;
}

bool node_drain_check(const node_drain *d, int *ret_status)
{
    return is_any(d) || is_none(d) || cli_check_name("--drain-to", d->to, ret_status);
}

/* ---- whom the operator means ---- */

struct search {
    const char *name;
    rove_entity entity;
    bool found;
};

static void search_peers(void *arg, rovei_node *core, rovei_now now)
{
    struct search *s = arg;
    rovei_peer_info peer;
    char id[24];
    (void)now;
    for (size_t it = 0; !s->found && rovei_node_peer_next(core, &it, &peer);) {
        snprintf(id, sizeof id, "0x%llx", (unsigned long long)peer.node_id);
        if (strcmp(id, s->name) == 0) {
            s->entity = peer.entity;
            s->found = true;
        }
    }
}

static void count_peers(void *arg, rovei_node *core, rovei_now now)
{
    rovei_peer_info peer;
    size_t *count = arg;
    (void)now;
    for (size_t it = 0; rovei_node_peer_next(core, &it, &peer);)
        *count += peer.session_class == ROVEI_CLASS_ROVE && peer.state == ROVEI_PEER_UP;
}

static bool find(const char *name, rove_node *node, rove_entity *ret)
{
    struct search s = {.name = name};
    if (rovei_hex_decode(name, strlen(name), ret->bytes, sizeof ret->bytes))
        return true;
    rovei_node_call(node, search_peers, &s);
    *ret = s.entity;
    return s.found;
}

/* ---- the drain ---- */

/* On the node's own thread. */
static void on_end(void *user, rove_err err, const rove_drain_report *report)
{
    node_drain *d = user;
    uint64_t one = 1;
    d->err = err;
    d->report = *report;
    if (write(d->fd, &one, sizeof one) < 0)
        return; /* it can be read already */
}

bool node_drain_begin(node_drain *d, rove_node *node, rove_runtime *rt)
{
    rove_drain_options options;
    rove_entity to;
    rove_drain_options_init(&options);
    size_t peers = 0;
    if (is_none(d))
        return false;
    if (is_any(d)) {
        rovei_node_call(node, count_peers, &peers);
        if (!peers)
            return false;
    }
    options.timeout = d->timeout ? d->timeout : ROVE_TIME_NEVER;
    if (!is_any(d)) {
        if (!find(d->to, node, &to)) {
            cli_fail("this node has no peer %s to drain to", d->to);
            return false;
        }
        options.target = &to;
    }
    rove_err err = rove_runtime_drain_async(rt, &options, on_end, d);
    if (err) {
        cli_fail("the node cannot be drained: %s", rove_strerror(err));
        return false;
    }
    d->running = true;
    fprintf(stderr, "rove: the daemons move away to %s; signal again to stop at once\n",
            is_any(d) ? "whoever takes them" : d->to);
    return true;
}

bool node_drain_take(node_drain *d)
{
    uint64_t count;
    if (read(d->fd, &count, sizeof count) < 0)
        return false; /* not yet */
    d->running = false;
    fprintf(stderr, "rove: %llu of %llu daemons have moved away in %.3f s%s%s\n",
            (unsigned long long)d->report.moved, (unsigned long long)d->report.daemons,
            (double)d->report.elapsed / 1e9, d->err ? ": " : "",
            d->err ? rove_strerror(d->err) : "");
    return d->err == ROVE_OK;
}
