/* SPDX-License-Identifier: Apache-2.0
 *
 * rove moves: the moves that a node has a part in, and how the ended ones ended. */
#include "client.h"

static void show(void *user, json_object *o)
{
    bool *titled = user;
    if (!*titled)
        printf("%-18s %-18s %-18s %5s %-9s %-10s %10s %10s  %s\n", "ORIGIN", "FROM", "TO", "EPOCH",
               "PHASE", "OUTCOME", "BYTES", "MS", "REASON");
    *titled = true;
    const char *outcome = cli_text(o, "outcome");
    printf("%-18s %-18s %-18s %5s %-9s %-10s %10s %10s  %s\n", cli_show(o, "origin"),
           cli_show(o, "from"), cli_show(o, "to"), cli_show(o, "epoch"), cli_show(o, "phase"),
           outcome ? outcome : "running", cli_show(o, "bytes"), cli_show(o, "total_ms"),
           cli_show(o, "reason"));
}

int cli_moves(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {
        "moves",
        "",
        "Lists the moves from and to this node: running ones, and ended ones for a\n"
        "while.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    return cli_client_ask(control, cli_request("moves"), json, show, &titled, "no list of moves");
}
