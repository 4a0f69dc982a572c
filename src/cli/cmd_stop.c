/* SPDX-License-Identifier: Apache-2.0
 *
 * rove stop: ends a daemon for good. */
#include "client.h"

int cli_stop(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object"},
    };
    cli_syntax syntax = {
        "stop",
        "ORIGIN",
        "Ends a daemon of this node; its state is gone. Those who send to it are told.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_name("ORIGIN", operands.at[0], &status))
        return status;
    json_object *request = cli_request("stop");
    cli_add_text(request, "daemon", operands.at[0]);
    return cli_client_ask(control, request, json, NULL, NULL, "not stopped");
}
