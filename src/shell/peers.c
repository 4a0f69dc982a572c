/* SPDX-License-Identifier: Apache-2.0
 *
 * Dialling peers, and waiting for them. */
#include <host/thread.h>
#include <rove/async.h>
#include <shell/call.h>
#include <shell/latch.h>
#include <shell/node_inside.h>
#include <string.h>

/* ---- dialling ---- */

typedef struct connect_call {
    rove_entity peer;
    rovei_addr addr;
    rove_err err;
} connect_call;

static void connect_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    connect_call *c = arg;
    c->err = rovei_node_connect(core, now, &c->peer, &c->addr);
}

rove_err rove_node_connect(rove_node *node, const rove_entity *peer, const char *address)
{
    if (!node || !peer || !address)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    connect_call c = {.peer = *peer};
    rove_err err = rovei_address_parse(address, true, &c.addr);
    if (err || !c.addr.port)
        return ROVE_E_ADDRESS;
    rovei_node_call(node, connect_on_loop, &c);
    return c.err;
}

typedef struct listing {
    rovei_net_listing what;
    rove_err err;
} listing;

static void list_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    listing *l = arg;
    rovei_net *net = rovei_node_net(core);
    l->err = net ? rovei_net_list(net, now, &l->what) : ROVE_E_USAGE;
}

rove_err rove_node_list_net(rove_node *node, uint64_t node_id, const uint8_t *x25519,
                            const char *address)
{
    if (!node)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    listing l = {.what = {.node_id = node_id, .has_key = x25519, .has_addr = address}};
    if (x25519)
        memcpy(l.what.key, x25519, sizeof l.what.key);
    if (address && (rovei_address_parse(address, true, &l.what.addr) || !l.what.addr.port))
        return ROVE_E_ADDRESS;
    rovei_node_call(node, list_on_loop, &l);
    return l.err;
}

typedef struct connecting {
    rovei_pending pending;
    rovei_lookup lookup;
    connect_call call;
    rove_done_fn *done;
    void *user;
} connecting;

static void connect_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    connecting *c = ROVEI_CONTAINER(task, connecting, pending.task);
    if (c->call.err == ROVE_OK)
        connect_on_loop(&c->call, core, now);
    c->done(c->user, c->call.err);
    rovei_pending_end(&c->pending);
}

static void connect_found(rovei_lookup *lookup)
{
    connecting *c = ROVEI_CONTAINER(lookup, connecting, lookup);
    c->call.err = lookup->err;
    c->call.addr = lookup->found;
    rovei_pending_post(&c->pending, connect_run);
}

rove_err rove_node_connect_async(rove_node *node, const rove_entity *peer, const char *address,
                                 rove_done_fn *done, void *user)
{
    if (!node || !peer || !address || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    size_t size = strlen(address) + 1;
    if (size == 1 || size > ROVEI_ADDRESS_TEXT_MAX)
        return ROVE_E_ADDRESS;
    connecting *c;
    rove_err err = ROVEI_PENDING_NEW(&c, &node->pendings);
    if (err)
        return err;
    c->call.peer = *peer;
    c->done = done;
    c->user = user;
    if (rovei_address_parse(address, false, &c->call.addr) == ROVE_OK) {
        rovei_pending_post(&c->pending, connect_run);
        return ROVE_OK;
    }
    memcpy(c->lookup.address, address, size);
    c->lookup.done = connect_found;
    err = rovei_resolver_ask(&node->resolver, &c->lookup);
    if (err)
        rovei_pending_drop(&c->pending);
    return err;
}

/* ---- waiting for a session ---- */

/* Somebody waits for a session with `peer`; the loop thread's from its begin to its end. */
typedef struct peer_wait {
    rovei_list all;
    rovei_timer timer;
    rove_node *node;
    rove_entity peer;
    uint64_t timeout;
    void (*end)(struct peer_wait *w, rove_err err); /* the wait is its owner's again */
} peer_wait;

static void end_wait(peer_wait *w, rove_err err)
{
    rovei_list_remove(&w->all);
    rovei_timers_release(&w->node->timers, &w->timer);
    w->end(w, err);
}

static void time_out(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    end_wait(user, ROVE_E_TIMED_OUT);
}

static bool is_up(rove_node *node, const rove_entity *peer)
{
    rovei_peer_info info;
    return !rovei_node_peer(node->core, peer, &info) && info.state == ROVEI_PEER_UP;
}

void rovei_node_wake_waiters(rove_node *node, const rove_entity *peer)
{
    if (rovei_list_empty(&node->peer_waits) || !is_up(node, peer))
        return;
    ROVEI_LIST_EACH (it, next, &node->peer_waits) {
        peer_wait *w = ROVEI_CONTAINER(it, peer_wait, all);
        if (rovei_entity_equal(&w->peer, peer))
            end_wait(w, ROVE_OK);
    }
}

void rovei_node_end_waiters(rove_node *node)
{
    while (!rovei_list_empty(&node->peer_waits))
        end_wait(ROVEI_CONTAINER(node->peer_waits.next, peer_wait, all), ROVE_E_SHUTTING_DOWN);
}

static void begin_wait(void *arg, rovei_node *core, rovei_now now)
{
    peer_wait *w = arg;
    (void)core;
    rovei_list_add_tail(&w->node->peer_waits, &w->all);
    rove_err err = rovei_timers_reserve(&w->node->timers, &w->timer, time_out, w);
    if (err) {
        end_wait(w, err);
        return;
    }
    if (w->node->ending)
        end_wait(w, ROVE_E_SHUTTING_DOWN);
    else if (is_up(w->node, &w->peer))
        end_wait(w, ROVE_OK);
    else
        rovei_timer_set(&w->node->timers, &w->timer, rovei_time_add(now.mono, w->timeout));
}

/* A caller who waits. */
typedef struct peer_waiter {
    peer_wait wait;
    rovei_latch latch;
    rove_err err;
} peer_waiter;

static void wake_waiter(peer_wait *wait, rove_err err)
{
    peer_waiter *w = ROVEI_CONTAINER(wait, peer_waiter, wait);
    w->err = err;
    rovei_latch_open(&w->latch);
}

typedef struct look_call {
    rove_node *node;
    const rove_entity *peer;
    bool up;
} look_call;

static void look_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    look_call *c = arg;
    (void)core;
    (void)now;
    c->up = is_up(c->node, c->peer);
}

rove_err rove_node_wait_peer(rove_node *node, const rove_entity *peer, uint64_t timeout_ns)
{
    if (!node || !peer)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (!timeout_ns || rovei_node_on_loop(node)) {
        look_call look = {.node = node, .peer = peer};
        rovei_node_call(node, look_on_loop, &look);
        return look.up ? ROVE_OK : timeout_ns ? ROVE_E_WOULD_BLOCK : ROVE_E_TIMED_OUT;
    }
    peer_waiter w = {
        .wait = {.node = node, .peer = *peer, .timeout = timeout_ns, .end = wake_waiter}};
    rovei_latch_init(&w.latch);
    rovei_node_call(node, begin_wait, &w.wait);
    rovei_latch_wait(&w.latch, node);
    return w.err;
}

typedef struct peer_waiting {
    rovei_pending pending;
    peer_wait wait;
    rove_done_fn *done;
    void *user;
} peer_waiting;

static void tell_waiting(peer_wait *wait, rove_err err)
{
    peer_waiting *w = ROVEI_CONTAINER(wait, peer_waiting, wait);
    w->done(w->user, err);
    rovei_pending_end(&w->pending);
}

static void wait_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    begin_wait(&ROVEI_CONTAINER(task, peer_waiting, pending.task)->wait, core, now);
}

rove_err rove_node_wait_peer_async(rove_node *node, const rove_entity *peer, uint64_t timeout_ns,
                                   rove_done_fn *done, void *user)
{
    if (!node || !peer || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    peer_waiting *w;
    rove_err err = ROVEI_PENDING_NEW(&w, &node->pendings);
    if (err)
        return err;
    w->wait = (peer_wait){.node = node, .peer = *peer, .timeout = timeout_ns, .end = tell_waiting};
    w->done = done;
    w->user = user;
    rovei_pending_post(&w->pending, wait_run);
    return ROVE_OK;
}
