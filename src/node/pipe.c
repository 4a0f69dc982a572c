/* SPDX-License-Identifier: Apache-2.0
 *
 * How the machines of the core talk to the machines of other nodes: streams that open themselves,
 * with this node reachable in the same way as any other. */
#include <base/buf.h>
#include <node/core.h>
#include <node/node_test.h>
#include <node/peers.h>
#include <string.h>

#define LOOPBACK UINT64_MAX /* the association of a pipe that leads to this node itself */

static const rovei_peer_entry *peer_of(const rovei_node *n, const rove_entity *peer)
{
    return rovei_map_get(&n->associations, peer->bytes);
}

bool rovei_node_reaches(const rovei_node *n, const rove_entity *peer)
{
    if (rovei_entity_equal(peer, &n->self))
        return true;
    if (rovei_entity_is_net(peer))
        return n->net && rovei_net_reaches(n->net, rovei_entity_node_id(peer));
    const rovei_peer_entry *p = peer_of(n, peer);
    return p && p->association && !p->failed;
}

/* A message to oneself is put together in one buffer, as the mesh would deliver it. */
static rove_err send_loopback(rovei_node *n, uint16_t tag, rove_span head, rove_buf *body)
{
    rove_buf *message;
    if (!head.size && body) {
        message = rove_buf_ref(body);
    } else {
        size_t tail = rovei_buf_size(body);
        message = rovei_buf_alloc(n->alloc, head.size + tail);
        if (!message)
            return ROVE_E_NOMEM;
        if (head.size)
            memcpy(rovei_buf_data(message), head.data, head.size);
        if (tail)
            memcpy(rovei_buf_data(message) + head.size, rove_buf_span(body).data, tail);
    }
    rovei_loopback *item = rovei_queue_push(&n->loopback);
    if (!item) {
        rove_buf_unref(message);
        return ROVE_E_NOMEM;
    }
    item->tag = tag;
    item->message = message;
    return ROVE_OK;
}

rove_err rovei_pipe_send(rovei_node *n, rovei_pipe *pipe, const rove_entity *peer, uint16_t tag,
                         rove_span head, rove_buf *body)
{
    if (head.size > ROVEI_MESSAGE_MAX || rovei_buf_size(body) > ROVEI_MESSAGE_MAX - head.size)
        return ROVE_E_TOO_LARGE;
    if (n->tap && n->tap->see(n->tap->user, peer, tag, head, body))
        return ROVE_OK;
    if (rovei_entity_equal(peer, &n->self)) {
        pipe->association = LOOPBACK;
        return send_loopback(n, tag, head, body);
    }
    const rovei_peer_entry *p = peer_of(n, peer);
    if (!p || !p->association)
        return ROVE_E_UNREACHABLE;
    if (pipe->association != p->association || !pipe->stream) {
        uint64_t stream;
        rove_err err = rovei_mesh_open(n->mesh, p->association, tag, &stream);
        if (err)
            return err;
        pipe->association = p->association;
        pipe->stream = stream;
    }
    rove_err err = rovei_mesh_send(n->mesh, pipe->association, pipe->stream, head, body);
    if (err == ROVE_E_GONE)
        pipe->stream = 0; /* the peer refused the stream: the next send opens another */
    return err;
}

uint64_t rovei_pipe_queued(const rovei_node *n, const rovei_pipe *pipe)
{
    if (!pipe->stream || pipe->association == LOOPBACK)
        return 0;
    return rovei_mesh_queued(n->mesh, pipe->association, pipe->stream);
}

void rovei_pipe_reset(rovei_node *n, rovei_pipe *pipe)
{
    if (pipe->stream && pipe->association != LOOPBACK)
        rovei_mesh_reset(n->mesh, pipe->association, pipe->stream);
    *pipe = (rovei_pipe){0};
}

void rovei_pipe_finish(rovei_node *n, rovei_pipe *pipe)
{
    if (pipe->stream && pipe->association != LOOPBACK)
        rovei_mesh_finish(n->mesh, pipe->association, pipe->stream);
    *pipe = (rovei_pipe){0};
}

void rovei_pipe_hold(rovei_node *n, const rovei_pipe *from, uint64_t size)
{
    if (from->stream && from->association != LOOPBACK)
        rovei_mesh_hold(n->mesh, from->association, from->stream, size);
}

void rovei_pipe_release(rovei_node *n, const rovei_pipe *from, uint64_t size)
{
    if (size && from->stream && from->association != LOOPBACK)
        rovei_mesh_release(n->mesh, from->association, from->stream, size);
}

void rovei_node_dial(rovei_node *n, rovei_now now, const rove_entity *peer, const rovei_addr *addr)
{
    rovei_peer_info info;
    if (rovei_entity_equal(peer, &n->self) || !addr->family ||
        rovei_mesh_peer(n->mesh, peer, &info) == ROVE_OK)
        return;
    /* Nothing depends on its success: whoever wants the peer asks again. */
    (void)!rovei_mesh_connect(n->mesh, now, peer, addr);
}
