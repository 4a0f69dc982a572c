/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core wants done goes to the runtime on the node, and what it has to say to whoever
 * listens: the runtime, the owner of a sender, those who wait for a peer, the identity's file. */
#include <base/alloc.h>
#include <compute/spawn_remote.h>
#include <shell/channels.h>
#include <shell/data.h>
#include <shell/files.h>
#include <shell/listener.h>
#include <shell/node_inside.h>

typedef struct route {
    rovei_sender_fn *fn;
    void *user;
} route;

rove_err rovei_node_claim(rove_node *node)
{
    return atomic_exchange(&node->claimed, true) ? ROVE_E_RUNTIME_EXISTS : ROVE_OK;
}

void rovei_node_disclaim(rove_node *node)
{
    atomic_store(&node->claimed, false);
}

void rovei_node_attach(rove_node *node, struct rovei_host *host, const rovei_host_ops *ops)
{
    node->host = host;
    node->ops = ops;
}

rove_err rovei_node_route_sender(rove_node *node, uint64_t sender, rovei_sender_fn *fn, void *user)
{
    route *r = ROVEI_NEW(&node->env.alloc, route);
    if (!r)
        return ROVE_E_NOMEM;
    *r = (route){fn, user};
    rove_err err = rovei_map_put(&node->routes, &sender, r);
    if (err)
        ROVEI_DELETE(&node->env.alloc, r);
    return err;
}

void rovei_node_unroute_sender(rove_node *node, uint64_t sender)
{
    route *r = rovei_map_remove(&node->routes, &sender);
    if (r)
        ROVEI_DELETE(&node->env.alloc, r);
}

void rovei_node_listen(rove_node *node, rovei_sender_fn *fn, void *user)
{
    node->listener = fn;
    node->listener_user = user;
}

/* What a node without a runtime answers; false when there is nothing to say. */
static bool refuse_effect(rove_node *node, rovei_now now, const rovei_effect *e)
{
    rovei_completion c = {.ticket = e->ticket, .attempt = e->attempt, .cell = e->cell};
    if (e->kind == ROVEI_EFFECT_SPAWN) {
        rovei_node_spawned_here(node->core, now, e->ticket, ROVE_E_TARGET_NO_RUNTIME, NULL, 0);
        return true;
    }
    if (e->kind == ROVEI_EFFECT_ASK_PLACE || e->kind == ROVEI_EFFECT_ASK) {
        bool allowed = e->question == ROVEI_ASK_SEND || e->question == ROVEI_ASK_READ;
        c.kind = ROVEI_DONE_ANSWER;
        c.err = e->kind == ROVEI_EFFECT_ASK_PLACE ? ROVE_E_TARGET_NO_RUNTIME
                : allowed                         ? ROVE_OK
                                                  : ROVE_E_REFUSED;
    } else if (e->kind == ROVEI_EFFECT_RESTORE || e->kind == ROVEI_EFFECT_OPEN_STATE) {
        c.kind = e->kind == ROVEI_EFFECT_RESTORE ? ROVEI_DONE_RESTORED : ROVEI_DONE_STATE_OPENED;
        c.err = ROVE_E_TARGET_NO_RUNTIME;
    } else {
        return false;
    }
    rovei_node_complete(node->core, now, &c);
    return true;
}

bool rovei_node_drain_effects(rove_node *node, rovei_now now)
{
    rovei_effect e;
    bool answered = false;
    while (rovei_node_poll_effect(node->core, &e)) {
        if (e.kind == ROVEI_EFFECT_STORE)
            rovei_data_write(node->data, &e);
        else if (node->host)
            node->ops->effect(node->host, node->core, now, &e);
        else
            answered |= refuse_effect(node, now, &e);
        rovei_effect_fini(&e);
    }
    return answered;
}

static void keep_handshake_time(rove_node *node, uint64_t value)
{
    if (!node->identity_file || rovei_time_add(value, TIME_RESERVE / 10) < node->time_reserved)
        return;
    uint64_t reserve = rovei_time_add(value, TIME_RESERVE);
    if (rovei_identity_state_store(node->identity_file, node->incarnation, reserve) == ROVE_OK)
        node->time_reserved = reserve;
}

bool rovei_node_drain_notes(rove_node *node, rovei_now now)
{
    rovei_note note;
    bool told = false; /* whoever is told may give the core orders */
    while (rovei_node_poll_note(node->core, &note)) {
        uint64_t number = note.sender ? note.sender : rovei_listener_of(&note);
        route *r = number ? rovei_map_get(&node->routes, &number) : NULL;
        if (note.kind == ROVEI_NOTE_PEER)
            rovei_node_wake_waiters(node, &note.peer);
        else if (note.kind == ROVEI_NOTE_HANDSHAKE_TIME)
            keep_handshake_time(node, note.value);
        else if (note.kind == ROVEI_NOTE_CHANNEL_ROOM)
            rovei_node_channel_room(node, now, note.text);
        if (node->listener && !number)
            node->listener(node->listener_user, node->core, now, &note);
        if (r)
            r->fn(r->user, node->core, now, &note);
        else if (node->host && !number)
            node->ops->note(node->host, node->core, now, &note);
        rovei_note_fini(&note);
        told = true;
    }
    return told;
}

void rovei_node_free_routes(rove_node *node)
{
    size_t it = 0;
    for (route *r; (r = rovei_map_next(&node->routes, &it));)
        ROVEI_DELETE(&node->env.alloc, r);
    rovei_map_fini(&node->routes);
}
