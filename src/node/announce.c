/* SPDX-License-Identifier: Apache-2.0
 *
 * Announcements of this node, and those that pass through it, over the sessions of both classes. A
 * peer that does not keep up misses some: each node announces itself again in time. */
#include <base/alloc.h>
#include <capability/index.h>
#include <capability/tag.h>
#include <node/announce.h>
#include <node/core.h>

#define QUEUED_MAX      (UINT64_C(1) << 20) /* bytes that may wait for a peer */
#define SPEAKS_OF_MOVES "subprotocol:0x0500"

typedef struct route {
    uint64_t id;
    rove_entity entity; /* rovei_entity_of_net for class net */
    rovei_pipe pipe;
} route;

struct rovei_announcer {
    const rove_alloc *alloc;
    rovei_gossip *gossip;
    rovei_map routes;            /* node id -> route */
    rovei_caps_draft given, own; /* what the outside says; what the node adds */
    uint64_t unsent;
};

rove_err rovei_announcer_new(struct rovei_announcer **ret, rovei_node *n, rovei_now now)
{
    struct rovei_announcer *a = ROVEI_NEW(n->alloc, struct rovei_announcer);
    if (!a)
        return ROVE_E_NOMEM;
    a->alloc = n->alloc;
    rovei_map_init(&a->routes, n->alloc, sizeof(uint64_t), rovei_rng_u64(&n->env->rng));
    rovei_caps_draft_init(&a->given, n->alloc);
    rovei_caps_draft_init(&a->own, n->alloc);
    rove_err err =
        rovei_gossip_new(&a->gossip,
                         &(rovei_gossip_config){.env = n->env,
                                                .identity = n->identity,
                                                .index = n->index,
                                                .last_version = n->incarnation / ROVE_MILLISECOND},
                         now);
    if (!err)
        err = rovei_caps_add(&a->own, rovei_span_of(SPEAKS_OF_MOVES));
    if (err) {
        rovei_announcer_free(a);
        return err;
    }
    *ret = a;
    return ROVE_OK;
}

void rovei_announcer_free(struct rovei_announcer *a)
{
    if (!a)
        return;
    size_t it = 0;
    for (route *r; (r = rovei_map_next(&a->routes, &it));)
        ROVEI_DELETE(a->alloc, r);
    rovei_map_fini(&a->routes);
    rovei_gossip_free(a->gossip);
    rovei_caps_draft_fini(&a->given);
    rovei_caps_draft_fini(&a->own);
    ROVEI_DELETE(a->alloc, a);
}

/* ---- what this node is ---- */

static rove_err set(rovei_node *n, rovei_now now)
{
    rovei_caps_draft all;
    rovei_caps_draft_init(&all, n->alloc);
    rove_err err = rovei_caps_merge(&all, &n->announcer->given.set);
    if (!err)
        err = rovei_caps_merge(&all, &n->announcer->own.set);
    if (!err)
        err = rovei_gossip_set(n->announcer->gossip, now, &all.set);
    rovei_caps_draft_fini(&all);
    return err == ROVE_E_FULL ? ROVE_E_TOO_LARGE : err;
}

/* Puts `with` and `also` in the place of `which`, and back when that cannot be announced. */
static rove_err replace(rovei_node *n, rovei_now now, rovei_caps_draft *which,
                        const rovei_caps *with, const char *also)
{
    rovei_caps_draft copy, before = *which;
    rovei_caps_draft_init(&copy, n->alloc);
    rove_err err = rovei_caps_merge(&copy, with);
    if (!err && also)
        err = rovei_caps_add(&copy, rovei_span_of(also));
    if (err) {
        rovei_caps_draft_fini(&copy);
        return err == ROVE_E_FULL ? ROVE_E_TOO_LARGE : err;
    }
    *which = copy;
    err = n->announces ? set(n, now) : ROVE_OK;
    if (err)
        *which = before;
    rovei_caps_draft_fini(err ? &copy : &before);
    return err;
}

rove_err rovei_node_announce(rovei_node *n, rovei_now now, const rovei_caps *caps)
{
    n->announces = true;
    return replace(n, now, &n->announcer->given, caps, NULL);
}

rove_err rovei_node_announce_own(rovei_node *n, rovei_now now, const rovei_caps *own)
{
    return replace(n, now, &n->announcer->own, own, SPEAKS_OF_MOVES);
}

rovei_index *rovei_gossip_index(const rovei_node *n)
{
    return n->index;
}

rovei_gossip *rovei_node_gossip(rovei_node *n)
{
    return n->announcer->gossip;
}

bool rovei_gossip_pin(const rovei_node *n, uint64_t node_id, rove_entity *ret)
{
    return rovei_gossip_pinned(n->announcer->gossip, node_id, ret);
}

/* ---- peers ---- */

void rovei_announcer_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_announcer *a = n->announcer;
    uint64_t id = rovei_entity_node_id(peer);
    route *r = rovei_map_get(&a->routes, &id);
    if (!r) {
        r = ROVEI_NEW(a->alloc, route);
        if (!r)
            return;
        r->id = id;
        if (rovei_map_put(&a->routes, &id, r)) {
            ROVEI_DELETE(a->alloc, r);
            return;
        }
    }
    r->entity = *peer;
    /* Without memory for it the peer is not served until its session stands anew. */
    (void)!rovei_gossip_peer_up(a->gossip, now, id, rovei_entity_is_net(peer) ? NULL : peer);
}

void rovei_announcer_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    uint64_t id = rovei_entity_node_id(peer);
    route *r = rovei_map_remove(&n->announcer->routes, &id);
    rovei_gossip_peer_gone(n->announcer->gossip, now, id);
    if (r)
        ROVEI_DELETE(n->alloc, r);
}

void rovei_announcer_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                             rove_buf *message)
{
    rovei_gossip_receive(n->announcer->gossip, now, rovei_entity_node_id(from),
                         rove_buf_span(message));
}

static rove_err send(rovei_node *n, rovei_now now, route *r, rove_buf *text)
{
    if (rovei_entity_is_net(&r->entity))
        return n->net
                   ? rovei_net_send(n->net, now, r->id, ROVEI_NET_CAPABILITY, rove_buf_span(text))
                   : ROVE_E_UNREACHABLE;
    if (rovei_pipe_queued(n, &r->pipe) > QUEUED_MAX)
        return ROVE_E_FULL;
    return rovei_pipe_send(n, &r->pipe, &r->entity, ROVEI_TAG_CAPABILITY, (rove_span){NULL, 0},
                           text);
}

void rovei_announcer_turn(rovei_node *n, rovei_now now)
{
    struct rovei_announcer *a = n->announcer;
    uint64_t to;
    rove_buf *text;
    while (rovei_gossip_poll(a->gossip, &to, &text)) {
        route *r = rovei_map_get(&a->routes, &to);
        if (!r || send(n, now, r, text))
            a->unsent++;
        rove_buf_unref(text);
    }
}

uint64_t rovei_announcer_deadline(const rovei_node *n)
{
    return rovei_gossip_deadline(n->announcer->gossip);
}

void rovei_announcer_expire(rovei_node *n, rovei_now now)
{
    rovei_gossip_expire(n->announcer->gossip, now);
}
