/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of both classes side by side: what is of class net goes to the object of that class, and
 * what that tells goes to the moves. */
#include <channel/membership_codec.h>
#include <channel/publisher.h>
#include <migration/net_moves.h>
#include <node/announce.h>
#include <node/core.h>

/* In the position of a walk: the mesh's peers are through. */
#define PAST_MESH (SIZE_MAX - SIZE_MAX / 2)

rovei_net *rovei_node_net(rovei_node *n)
{
    return n->net;
}

rove_err rovei_node_connect(rovei_node *n, rovei_now now, const rove_entity *peer,
                            const rovei_addr *addr)
{
    rove_err err = rovei_mesh_connect(n->mesh, now, peer, addr);
    if (!err && n->net)
        rovei_net_fence(n->net, now, rovei_entity_node_id(peer));
    return err;
}

static rovei_peer_info info_of(const rovei_net_info *from)
{
    return (rovei_peer_info){
        .entity = rovei_entity_of_net(from->node_id),
        .node_id = from->node_id,
        .session_class = ROVEI_CLASS_NET,
        .state = from->state,
        .association = from->session,
        .addr = from->addr,
        .unanswered = from->unanswered,
    };
}

rove_err rovei_node_peer(const rovei_node *n, const rove_entity *peer, rovei_peer_info *ret)
{
    if (!rovei_entity_is_net(peer))
        return rovei_mesh_peer(n->mesh, peer, ret);
    rovei_net_info info;
    rove_err err =
        n->net ? rovei_net_peer(n->net, rovei_entity_node_id(peer), &info) : ROVE_E_UNKNOWN_PEER;
    if (!err)
        *ret = info_of(&info);
    return err;
}

bool rovei_node_peer_next(const rovei_node *n, size_t *it, rovei_peer_info *ret)
{
    if (*it < PAST_MESH) {
        if (rovei_mesh_peer_next(n->mesh, it, ret))
            return true;
        *it = PAST_MESH;
    }
    rovei_net_info info;
    size_t at = *it - PAST_MESH;
    if (!n->net || !rovei_net_peer_next(n->net, &at, &info))
        return false;
    *it = at + PAST_MESH;
    *ret = info_of(&info);
    return true;
}

/* An answer to a request of this node; requests are for the publisher's half. */
static void net_membership(rovei_node *n, rovei_now now, const rovei_net_event *e)
{
    const rove_entity from = rovei_entity_of_net(e->node_id);
    rovei_membership m;
    if (rovei_membership_read(rove_buf_span(e->message), &m) || m.type != ROVEI_MEMBERSHIP_ACK)
        n->stats.net_messages_dropped++;
    else
        rovei_feeds_ack(n, now, &from, m.nonce, m.accepted, (uint8_t)m.reason);
}

/* A message of a subprotocol; its reference stays the caller's. */
static void net_message(rovei_node *n, rovei_now now, const rovei_net_event *e)
{
    const rove_entity peer = rovei_entity_of_net(e->node_id);
    if (e->subprotocol == ROVEI_NET_MIGRATION)
        rovei_net_moves_receive(n, now, e->node_id, e->stamp, e->message);
    else if (e->subprotocol == ROVEI_NET_MEMBERSHIP &&
             rovei_membership_is_request(rove_buf_span(e->message)))
        rovei_channels_receive_net(n, now, e->node_id, rove_buf_span(e->message));
    else if (e->subprotocol == ROVEI_NET_MEMBERSHIP)
        net_membership(n, now, e);
    else if (e->subprotocol == ROVEI_NET_CAPABILITY)
        rovei_announcer_receive(n, now, &peer, e->message);
    else
        n->stats.net_messages_dropped++;
}

/* A packet of a stream; its reference stays the caller's. */
static void net_data(rovei_node *n, rovei_now now, const rovei_net_event *e)
{
    if (!rovei_feeds_net_data(n, now, e->node_id, e->stream.id, e->sequence, e->events,
                              rove_buf_span(e->message), e->message))
        n->stats.net_data_dropped++;
}

static void net_event(rovei_node *n, rovei_now now, rovei_net_event *e)
{
    const rove_entity peer = rovei_entity_of_net(e->node_id);
    switch (e->kind) {
    case ROVEI_NET_UP:
    case ROVEI_NET_ALIVE:
        rovei_net_moves_peer_up(n, now, e->node_id);
        rovei_feeds_peer_up(n, now, &peer);
        rovei_channels_net_room(n, now); /* what waited went with the former session */
        rovei_announcer_peer_up(n, now, &peer);
        break;
    case ROVEI_NET_FAILED:
        rovei_net_moves_peer_failed(n, now, e->node_id);
        rovei_channels_peer_gone(n, now, &peer);
        rovei_feeds_peer_failed(n, now, &peer);
        rovei_announcer_peer_gone(n, now, &peer);
        break;
    case ROVEI_NET_SUSPECT:
    case ROVEI_NET_UNANSWERED:
        break;
    case ROVEI_NET_MESSAGE:
        net_message(n, now, e);
        rove_buf_unref(e->message);
        return;
    case ROVEI_NET_DATA:
        net_data(n, now, e);
        rove_buf_unref(e->message);
        return;
    case ROVEI_NET_STREAM:
        rovei_channels_net_room(n, now);
        return;
    }
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_PEER);
    if (note)
        note->peer = peer;
}

void rovei_node_drain_net(rovei_node *n, rovei_now now)
{
    rovei_net_event e;
    while (n->net && rovei_net_poll(n->net, &e))
        net_event(n, now, &e);
}
