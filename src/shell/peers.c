/* SPDX-License-Identifier: Apache-2.0
 *
 * Dialling peers, and waiting for them. */
#include <shell/call.h>
#include <shell/node_inside.h>
#include <time.h>

/* Somebody waits for a session with `peer`; lives on the waiter's stack. */
typedef struct peer_waiter {
    rovei_list all;
    rove_entity peer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool up;
} peer_waiter;

void rovei_node_wake_waiters(rove_node *node, const rove_entity *peer)
{
    rovei_peer_info info;
    if (rovei_mesh_peer(rovei_node_mesh(node->core), peer, &info) || info.state != ROVEI_PEER_UP)
        return;
    ROVEI_LIST_EACH (it, next, &node->peer_waiters) {
        peer_waiter *w = ROVEI_CONTAINER(it, peer_waiter, all);
        if (!rovei_entity_equal(&w->peer, peer))
            continue;
        pthread_mutex_lock(&w->lock);
        w->up = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
    }
}

typedef struct connect_call {
    const rove_entity *peer;
    rovei_addr addr;
    rove_err err;
} connect_call;

static void connect_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    connect_call *c = arg;
    c->err = rovei_mesh_connect(rovei_node_mesh(core), now, c->peer, &c->addr);
}

rove_err rove_node_connect(rove_node *node, const rove_entity *peer, const char *address)
{
    connect_call c = {.peer = peer};
    rove_err err = rovei_address_parse(address, true, &c.addr);
    if (err)
        return err;
    rovei_node_call(node, connect_on_loop, &c);
    return c.err;
}

typedef struct wait_call {
    rove_node *node;
    peer_waiter *waiter;
    bool end;
} wait_call;

static void wait_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    wait_call *c = arg;
    (void)core;
    (void)now;
    if (c->end) {
        rovei_list_remove(&c->waiter->all);
        return;
    }
    rovei_list_add_tail(&c->node->peer_waiters, &c->waiter->all);
    rovei_node_wake_waiters(c->node, &c->waiter->peer);
}

rove_err rove_node_wait_peer(rove_node *node, const rove_entity *peer, uint64_t timeout_ns)
{
    if (rovei_node_on_loop(node))
        return ROVE_E_WOULD_BLOCK;
    peer_waiter w = {.peer = *peer};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.changed, &monotonic);
    rovei_list_init(&w.all);
    wait_call c = {.node = node, .waiter = &w};
    uint64_t until = rovei_time_add(rovei_clock_now().mono, timeout_ns);
    if (until / ROVE_SECOND > INT32_MAX)
        until = (uint64_t)INT32_MAX * ROVE_SECOND;
    struct timespec t = {.tv_sec = (time_t)(until / ROVE_SECOND),
                         .tv_nsec = (long)(until % ROVE_SECOND)};
    rovei_node_call(node, wait_on_loop, &c);
    pthread_mutex_lock(&w.lock);
    int waited = 0;
    while (!w.up && waited == 0)
        waited = pthread_cond_timedwait(&w.changed, &w.lock, &t);
    rove_err err = w.up ? ROVE_OK : ROVE_E_TIMED_OUT;
    pthread_mutex_unlock(&w.lock);
    c.end = true;
    rovei_node_call(node, wait_on_loop, &c);
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.lock);
    pthread_condattr_destroy(&monotonic);
    return err;
}
