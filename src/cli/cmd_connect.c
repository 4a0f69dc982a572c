/* SPDX-License-Identifier: Apache-2.0
 *
 * rove connect: makes a node keep a session with another one. */
#include "client.h"

#include <shell/files.h>

static void show(void *user, json_object *o)
{
    (void)user;
    printf("%s at %s: %s\n", cli_show(o, "node_id"), cli_show(o, "addr"), cli_show(o, "state"));
}

int cli_connect(int argc, char **argv)
{
    const char *control = NULL, *address = NULL;
    bool json = false;
    uint64_t timeout = 5 * ROVE_SECOND;
    cli_option options[] = {
        {CLI_SECONDS, "--timeout", "S", &timeout,
         "how long to wait for the session (5; 0 = not at all)"},
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "the peer as one JSON object"},
    };
    cli_syntax syntax = {
        "connect",
        "ENTITY@HOST:PORT",
        "Makes the node keep a session with another node from now on: it dials the\n"
        "address, and again whenever the session is lost. Waits until the session stands\n"
        "and prints the peer; exit status 1 when there is none in time, and then the node\n"
        "goes on trying.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    rove_entity peer;
    char entity[65];
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_peer("connect", operands.at[0], &peer, &address, &status))
        return status;
    rovei_hex_encode(peer.bytes, sizeof peer.bytes, entity);
    json_object *request = cli_request("connect");
    cli_add_text(request, "peer", entity);
    cli_add_text(request, "addr", address);
    json_object_object_add(request, "timeout_ns", json_object_new_uint64(timeout));
    return cli_client_ask(control, request, json, show, NULL, "not connected");
}
