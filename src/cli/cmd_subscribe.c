/* SPDX-License-Identifier: Apache-2.0
 *
 * rove subscribe, rove unsubscribe: the channels that feed a daemon. */
#include "client.h"
#include "cmd_token.h"

#include <crypto/crypto.h>
#include <shell/token_text.h>

static int run(int argc, char **argv, bool leave)
{
    token_command token = {0};
    bool json = false;
    const char *control = NULL;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the daemon's node"},
        {CLI_FLAG, "--json", NULL, &json, "JSON objects"},
        {CLI_TEXT, "--token", "FILE", &token.token, "what allows it; - is standard input"},
    };
    const size_t count = sizeof options / sizeof options[0];
    cli_syntax syntax = {
        leave ? "unsubscribe" : "subscribe",
        "ORIGIN PUBLISHER CHANNEL",
        leave ? "Ends what rove subscribe began; one that is not there is no error."
              : "Feeds a daemon of the node with what the node PUBLISHER (a node id) publishes on\n"
                "CHANNEL from now on: each event is applied, in order. The subscription moves\n"
                "with the daemon. Again with another --token: that takes the old one's place.",
        options,
        leave ? count - 1 : count,
        3,
        3,
        NULL};
    cli_operands operands;
    int status;
    uint64_t id;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_name("ORIGIN", operands.at[0], &status))
        return status;
    if (!cli_parse_id(operands.at[1], &id))
        return cli_usage("PUBLISHER is a node id: 0x and up to 16 hex digits");
    json_object *o = cli_request(leave ? "unsubscribe" : "subscribe");
    cli_add_text(o, "daemon", operands.at[0]);
    cli_add_text(o, "publisher", operands.at[1]);
    cli_add_text(o, "channel", operands.at[2]);
    if (token.token) {
        rove_token_chain chain;
        char text[ROVEI_TOKEN_TEXT_MAX];
        status = token_load(&token, &chain);
        if (status != CLI_DONE) {
            json_object_put(o);
            return status;
        }
        rovei_token_write(&chain, text);
        cli_add_text(o, "token", text);
    }
    return cli_client_ask(control, o, json, NULL, NULL,
                          leave ? "not unsubscribed" : "not subscribed");
}

int cli_subscribe(int argc, char **argv)
{
    return run(argc, argv, false);
}

int cli_unsubscribe(int argc, char **argv)
{
    return run(argc, argv, true);
}
