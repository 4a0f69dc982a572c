/* SPDX-License-Identifier: Apache-2.0
 *
 * rove kinds: the kinds of daemon that a node can run. */
#include "client.h"

static void show(void *user, json_object *o)
{
    bool *titled = user;
    const char *file = cli_text(o, "file");
    if (!*titled)
        printf("%-16s %4s  %s\n", "KIND", "ABI", "FILE");
    *titled = true;
    printf("%-16s %4s  %s\n", cli_show(o, "kind"), cli_show(o, "abi"), file ? file : "(built in)");
}

int cli_kinds(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {
        "kinds",
        "",
        "Lists the kinds of daemon that the node can run and where each came from. A\n"
        "node loads kinds when it starts: rove node --load KIND.so.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    return cli_client_ask(control, cli_request("kinds"), json, show, &titled, "no list of kinds");
}
