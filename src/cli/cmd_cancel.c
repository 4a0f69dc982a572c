/* SPDX-License-Identifier: Apache-2.0
 *
 * rove cancel: ends a move that is not committed yet. */
#include "client.h"

#include <string.h>

typedef struct answer {
    bool json, too_late;
} answer;

static void show(void *user, json_object *o)
{
    answer *a = user;
    const char *result = cli_text(o, "result");
    a->too_late = result && strcmp(result, "too_late") == 0;
    if (a->json)
        cli_json(json_object_get(o));
    else if (a->too_late)
        printf("%s: too late, the move is committed and goes on\n", cli_show(o, "origin"));
    else
        printf("%s: the move is aborted, the daemon goes on where it was\n", cli_show(o, "origin"));
}

int cli_cancel(int argc, char **argv)
{
    const char *control = NULL;
    answer a = {false, false};
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node it leaves"},
        {CLI_FLAG, "--json", NULL, &a.json, "one JSON object"},
    };
    cli_syntax syntax = {
        "cancel",
        "ORIGIN",
        "Asks the node that gives a daemon away to end the move. After the commit it\n"
        "is too late: the move goes on, and the exit status is 1.",
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
    json_object *request = cli_request("cancel");
    cli_add_text(request, "daemon", operands.at[0]);
    status = cli_client_ask(control, request, false, show, &a, "not cancelled");
    return status == CLI_DONE && a.too_late ? CLI_FAILED : status;
}
