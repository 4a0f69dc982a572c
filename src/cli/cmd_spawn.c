/* SPDX-License-Identifier: Apache-2.0
 *
 * rove spawn: starts a daemon. */
#include "upload.h"

static void show(void *user, json_object *o)
{
    (void)user;
    printf("%s\n", cli_show(o, "origin"));
}

/* What is to be spawned. */
typedef struct order {
    const char *kind, *identity, *from, *publish, *control;
    uint64_t timeout;
    bool force, anywhere, json;
    cli_upload upload;
} order;

static int give(order *o, cli_client *c)
{
    json_object *request = cli_request("spawn");
    cli_add_text(request, "kind", o->kind);
    json_object_object_add(request, "force", json_object_new_boolean(o->force));
    if (o->anywhere)
        json_object_object_add(request, "anywhere", json_object_new_boolean(true));
    if (o->publish)
        cli_add_text(request, "publish", o->publish);
    if (!o->from)
        return cli_client_converse(c, request, o->json, show, NULL, "not spawned");
    cli_upload_announce(&o->upload, request);
    if (!cli_client_request(c, request))
        return cli_fail("out of memory");
    return cli_upload_run(&o->upload, c, &(cli_printing){o->json, show, NULL}, "not spawned");
}

static int spawn(order *o)
{
    char room[256];
    cli_client client;
    int status = cli_client_open(&client, cli_control_path(o->control, room, sizeof room), false);
    if (status != CLI_DONE)
        return status;
    client.patience = o->timeout;
    if (o->identity)
        status = cli_client_put_seed(&client, o->identity);
    if (status == CLI_DONE)
        status = give(o, &client);
    cli_client_close(&client);
    return status;
}

int cli_spawn(int argc, char **argv)
{
    order o = {.upload.fd = -1, .timeout = 120 * ROVE_SECOND};
    cli_option options[] = {
        {CLI_TEXT, "--identity", "FILE", &o.identity,
         "the daemon's identity; else a fresh one that lives in memory only"},
        {CLI_TEXT, "--from", "FILE", &o.from,
         "bring it back from what rove snapshot kept; with --identity, unless its key is in it"},
        {CLI_FLAG, "--anywhere", NULL, &o.anywhere,
         "on this node or on another that takes the kind in, by placement"},
        {CLI_TEXT, "--publish", "CHANNEL", &o.publish,
         "what it puts out goes to this channel too, of the node that hosts it"},
        {CLI_FLAG, "--force", NULL, &o.force,
         "also when the identity is known to live, or to have lived, somewhere"},
        {CLI_SECONDS, "--timeout", "S", &o.timeout,
         "for how long the node may be silent (120; 0 = for ever)"},
        {CLI_TEXT, "--control", "PATH", &o.control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &o.json,
         "one JSON object: origin, entity, kind, epoch; --anywhere: node_id, reason"},
    };
    cli_syntax syntax = {
        "spawn",
        "KIND",
        "Starts a daemon of this kind on the node and prints its origin hash.\n"
        "With --identity the node first asks all that it can reach whether the daemon\n"
        "lives somewhere, and then refuses; --force overrides that: be sure that the other\n"
        "copy is gone. With --from its state is the one of the snapshot, which must be of this\n"
        "kind and identity; those who sent to it are told which of their events are lost.\n"
        "With --anywhere this node goes before others when it has the kind and what the kind\n"
        "requires; else the best of the nodes that were started with --accept for it is asked.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    o.kind = operands.at[0];
    if (o.from && o.anywhere)
        return cli_usage("a snapshot is brought back on the node itself: leave --anywhere away");
    status = o.from ? cli_upload_open(&o.upload, o.from) : CLI_DONE;
    if (status == CLI_DONE && o.from && !o.identity && !o.upload.sealed)
        status =
            cli_usage("the snapshot holds no key: say the daemon's identity with --identity FILE");
    if (status == CLI_DONE)
        status = spawn(&o);
    cli_upload_close(&o.upload);
    return status;
}
