/* SPDX-License-Identifier: Apache-2.0
 *
 * rove expect: lets a daemon come to this node. */
#include "client.h"

int cli_expect(int argc, char **argv)
{
    const char *control = NULL, *identity = NULL;
    bool json = false, cancel = false;
    cli_option options[] = {
        {CLI_FLAG, "--cancel", NULL, &cancel, "take it back: rove expect --cancel ORIGIN"},
        {CLI_TEXT, "--identity", "FILE", &identity,
         "the daemon's identity, for one that moves without it (migrate --no-identity)"},
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object: origin, kind"},
    };
    cli_syntax syntax = {
        "expect",
        "KIND ORIGIN",
        "Tells a node that a daemon of this kind may move to it. A node where the\n"
        "daemon has been before expects it without that.",
        options,
        sizeof options / sizeof options[0],
        1,
        2,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (operands.count != (cancel ? 1u : 2u))
        return cli_usage("say it as rove expect KIND ORIGIN, or rove expect --cancel ORIGIN");
    const char *origin = operands.at[cancel ? 0 : 1];
    if (!cli_check_name("ORIGIN", origin, &status))
        return status;
    if (cancel && identity)
        return cli_usage("--cancel takes no --identity");
    char room[256];
    cli_client client;
    const char *what = cancel ? "not taken back" : "not expected";
    status = cli_client_open(&client, cli_control_path(control, room, sizeof room), false);
    if (status == CLI_DONE && identity)
        status = cli_client_put_seed(&client, identity);
    if (status == CLI_DONE) {
        json_object *request = cli_request(cancel ? "unexpect" : "expect");
        cli_add_text(request, "daemon", origin);
        if (!cancel)
            cli_add_text(request, "kind", operands.at[0]);
        status = cli_client_converse(&client, request, json, NULL, NULL, what);
    }
    cli_client_close(&client);
    return status;
}
