/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that subscribe daemons of this node to channels, and the list of what they are
 * subscribed to. */
#include <channel/feeds.h>
#include <rove/channel.h>
#include <shell/control_job.h>
#include <shell/token_text.h>
#include <string.h>

/* The fields that both have. */
static const char *channel_of(const job *j)
{
    return control_field(j->request, "channel");
}

static uint64_t publisher_of(const job *j)
{
    uint64_t id = 0;
    (void)control_parse_id(control_field(j->request, "publisher"), &id);
    return id;
}

static void subscribe_work(job *j)
{
    const char *text = control_field(j->request, "token");
    rove_token_chain chain;
    uint8_t token[ROVE_TOKEN_CHAIN_MAX];
    size_t size = 0;
    if (text) {
        j->err = rovei_token_read(&chain, (rove_span){text, strlen(text)});
        if (j->err)
            return;
        size = rovei_token_chain_encode(&chain, token);
    }
    j->err = rove_runtime_subscribe_channel(j->runtime, j->daemon, publisher_of(j), channel_of(j),
                                            (rove_span){token, size});
}

static void unsubscribe_work(job *j)
{
    j->err =
        rove_runtime_unsubscribe_channel(j->runtime, j->daemon, publisher_of(j), channel_of(j));
}

static void finish(job *j, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    control_end_err(j->connection, j->err);
}

static void drop(job *j)
{
    json_object_put(j->request);
}

static void begin(connection *c, rovei_node *core, json_object *request, void (*work)(job *j))
{
    const char *publisher = control_field(request, "publisher");
    rove_entity daemon;
    uint64_t id;
    if (!control_field(request, "channel") || !publisher || !control_parse_id(publisher, &id)) {
        control_end(c, ROVE_E_USAGE, "the request lacks the channel or its publisher's node id");
        return;
    }
    if (!control_daemon(c, core, request, &daemon))
        return;
    job *j = control_job_new(c);
    if (!j)
        return;
    j->daemon.origin = rovei_entity_origin(&daemon);
    j->request = json_object_get(request);
    j->work = work;
    j->finish = finish;
    j->drop = drop;
    control_job_start(j);
}

void control_subscribe(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    begin(c, core, request, subscribe_work);
}

void control_unsubscribe(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    begin(c, core, request, unsubscribe_work);
}

json_object *control_feeds(const rovei_node *core, const rove_entity *daemon)
{
    static const char *const states[] = {"", "asking", "bound", "behind", "unbound"};
    json_object *all = json_object_new_array();
    rovei_feed_info i;
    for (size_t it = 0; all && rovei_feeds_next(core, daemon, &it, &i);) {
        json_object *o = json_object_new_object();
        control_add(o, "publisher", control_id(i.publisher));
        control_add(o, "channel", json_object_new_string_len(i.channel.data, (int)i.channel.size));
        control_add(o, "token", json_object_new_boolean(i.has_token));
        control_add(o, "state", control_text(states[i.state]));
        control_add(o, "reason", control_reason(i.state == ROVEI_FEED_UNBOUND ? i.err : ROVE_OK));
        control_add(o, "position", control_u64(i.position));
        control_add(o, "lost", control_u64(i.lost));
        json_object_array_add(all, o);
    }
    return all;
}
