/* SPDX-License-Identifier: Apache-2.0
 *
 * rove status: how a node is, or whether it is there at all. */
#include "client.h"

#include <poll.h>

static void show(void *user, json_object *o)
{
    (void)user;
    printf("entity       %s\n", cli_show(o, "entity"));
    printf("node id      %s\n", cli_show(o, "node_id"));
    printf("x25519       %s\n", cli_show(o, "x25519"));
    printf("address      %s\n", cli_show(o, "addr"));
    printf("process      %s\n", cli_show(o, "pid"));
    printf("incarnation  %s\n", cli_show(o, "incarnation"));
    printf("daemons      %s\n", cli_show(o, "daemons"));
    printf("peers        %s\n", cli_show(o, "peers"));
    printf("handshakes   %s\n", cli_show(o, "handshakes"));
    printf("paths        %s\n", cli_show(o, "paths"));
    printf("tokens       %s\n", cli_show(o, "tokens"));
    printf("floors       %s\n", cli_show(o, "floors"));
    json_object *data = json_object_object_get(o, "data");
    if (data) {
        printf("data         %s\n", cli_show(data, "dir"));
        if (json_object_object_get(data, "error"))
            printf("data error   %s\n", cli_show(data, "error"));
    }
    json_object *drops = json_object_object_get(o, "drops");
    json_object_object_foreach(drops, reason, count)
    {
        if (json_object_get_uint64(count))
            printf("dropped      %s: %s\n", reason, json_object_get_string(count));
    }
}

/* Until something listens there: it is tried again as long as the time allows. */
static int wait_ready(const char *control, uint64_t timeout)
{
    char room[256];
    const char *path = cli_control_path(control, room, sizeof room);
    uint64_t begun = cli_now();
    cli_client client;
    while (cli_client_open(&client, path, true) != CLI_DONE) {
        if (cli_now() - begun >= timeout)
            return cli_fail("no node is ready at %s: see what rove node says", path);
        poll(NULL, 0, 20);
    }
    cli_client_close(&client);
    return CLI_DONE;
}

int cli_status(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, ready = false;
    uint64_t timeout = 10 * ROVE_SECOND;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--ready", NULL, &ready, "wait until the node serves; exit 1 when it does not"},
        {CLI_SECONDS, "--timeout", "S", &timeout, "how long to wait (10)"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object"},
    };
    cli_syntax syntax = {"status",
                         "",
                         "Prints who a node is, how many daemons and peers it has, and what it\n"
                         "dropped and why.",
                         options,
                         sizeof options / sizeof options[0],
                         0,
                         0,
                         NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (ready && (status = wait_ready(control, timeout)) != CLI_DONE)
        return status;
    return cli_client_ask(control, cli_request("status"), json, show, NULL, "no status");
}
