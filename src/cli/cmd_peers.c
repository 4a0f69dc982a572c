/* SPDX-License-Identifier: Apache-2.0
 *
 * rove peers: the nodes that a node talks to. */
#include "client.h"

static void show(void *user, json_object *o)
{
    bool *titled = user;
    if (!*titled)
        printf("%-18s %-6s %-11s %-22s %10s  %s\n", "NODE", "CLASS", "STATE", "ADDRESS", "RTT (us)",
               "ENTITY");
    *titled = true;
    printf("%-18s %-6s %-11s %-22s %10s  %s\n", cli_show(o, "node_id"), cli_show(o, "class"),
           cli_show(o, "state"), cli_show(o, "addr"), cli_show(o, "rtt_us"), cli_show(o, "entity"));
}

int cli_peers(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {"peers",
                         "",
                         "Lists the nodes that this one has, or wants, a session with.",
                         options,
                         sizeof options / sizeof options[0],
                         0,
                         0,
                         NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    return cli_client_ask(control, cli_request("peers"), json, show, &titled, "no peers");
}
