/* SPDX-License-Identifier: Apache-2.0
 *
 * rove ps: the daemons of a node, and those that left it. */
#include "client.h"

static void show(void *user, json_object *o)
{
    bool *titled = user;
    if (!*titled)
        printf("%-18s %-12s %-9s %-18s %6s %10s %6s  %s\n", "ORIGIN", "KIND", "STATE", "NODE",
               "EPOCH", "EVENTS", "LANES", "NOTE");
    *titled = true;
    printf("%-18s %-12s %-9s %-18s %6s %10s %6s  %s\n", cli_show(o, "origin"), cli_show(o, "kind"),
           cli_show(o, "state"), cli_show(o, "node_id"), cli_show(o, "epoch"),
           cli_show(o, "events"), cli_show(o, "lanes"), cli_show(o, "note"));
    if (cli_text(o, "attempt"))
        printf("    move %s with %s, %s s in this state, at byte %s\n", cli_show(o, "attempt"),
               cli_show(o, "counterpart"), cli_show(o, "age_s"), cli_show(o, "position"));
}

int cli_ps(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {
        "ps",
        "",
        "Lists each copy of a daemon that this node holds, whatever its state, and\n"
        "the daemons that left, with where they went.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    return cli_client_ask(control, cli_request("ps"), json, show, &titled, "no list of daemons");
}
