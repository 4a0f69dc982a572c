/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that dial a peer or wait for one. */
#include <shell/control_job.h>
#include <shell/files.h>
#include <string.h>

/* The node and the time that a request names; ends the request when there is none. */
static job *peer_job(connection *c, json_object *request)
{
    rove_entity peer;
    json_object *timeout = NULL;
    const char *name = control_field(request, "peer");
    if (!name || !rovei_hex_decode(name, strlen(name), peer.bytes, sizeof peer.bytes) ||
        !json_object_object_get_ex(request, "timeout_ns", &timeout)) {
        control_end(c, ROVE_E_USAGE, "the request lacks the peer's entity or timeout_ns");
        return NULL;
    }
    job *j = control_job_new(c);
    if (!j)
        return NULL;
    j->entity = peer;
    j->timeout = json_object_get_uint64(timeout);
    return j;
}

/* ---- waiting ---- */

static void wait_work(job *j)
{
    j->err = rove_node_wait_peer(j->node, &j->entity, j->timeout);
}

static void wait_finish(job *j, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    control_end_err(j->connection, j->err);
}

void control_wait_peer(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    job *j = peer_job(c, request);
    if (!j)
        return;
    j->work = wait_work;
    j->finish = wait_finish;
    control_job_start(j);
}

/* ---- dialling: finding the address of a name may take its time ---- */

static void drop_request(job *j)
{
    json_object_put(j->request);
}

static void connect_work(job *j)
{
    j->err = rove_node_connect(j->node, &j->entity, control_field(j->request, "addr"));
    if (!j->err && j->timeout)
        j->err = rove_node_wait_peer(j->node, &j->entity, j->timeout);
}

static void connect_finish(job *j, rovei_node *core, rovei_now now)
{
    (void)now;
    connection *c = j->connection;
    rovei_peer_info peer;
    if (!j->err && rovei_node_peer(core, &j->entity, &peer) == ROVE_OK)
        control_say(c, control_peer(&peer));
    if (c->closing)
        return;
    if (j->err == ROVE_E_ADDRESS)
        control_end(c, j->err, "the address cannot be resolved: it is HOST:PORT or [IPv6]:PORT");
    else if (j->err == ROVE_E_SAME_NODE)
        control_end(c, j->err, "that entity is this node itself");
    else if (j->err == ROVE_E_PUBLIC_KEY || j->err == ROVE_E_NO_IMAGE ||
             j->err == ROVE_E_RESERVED_ID)
        control_end(c, j->err, "that entity is no key of a node: see that it was copied whole");
    else if (j->err == ROVE_E_TIMED_OUT)
        control_end(c, j->err,
                    "no answer yet, and the node goes on trying: see that a node runs at that "
                    "address, with this psk, and that this is its entity");
    else
        control_end_err(c, j->err);
}

void control_connect(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    job *j = peer_job(c, request);
    if (!j)
        return;
    j->request = json_object_get(request);
    j->work = connect_work;
    j->finish = connect_finish;
    j->drop = drop_request;
    control_job_start(j);
}
