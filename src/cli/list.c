/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that list things of a node. */
#include "list.h"

typedef struct listing {
    const cli_listing *l;
    bool titled;
} listing;

static void show(void *user, json_object *o)
{
    listing *s = user;
    if (!s->titled)
        s->l->titles();
    s->titled = true;
    s->l->show(o);
}

int cli_list_things(const cli_listing *l, int argc, char **argv)
{
    const char *control = NULL;
    bool json = false;
    listing s = {.l = l};
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {l->command, "", l->about, options, sizeof options / sizeof options[0],
                         0,          0,  NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    return cli_client_ask(control, cli_request(l->command), json, show, &s, l->failure);
}
