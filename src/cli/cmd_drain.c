/* SPDX-License-Identifier: Apache-2.0
 *
 * rove drain: moves all daemons of a node to others. */
#include "client.h"

#include <string.h>

typedef struct draining {
    bool json, undone;
    uint64_t failed, still_moving;
} draining;

static void show_progress(const draining *d, const char *event, json_object *o)
{
    (void)d;
    if (strcmp(event, "moved") == 0)
        printf("%s  moved to %s in %.3f ms (%s of %s)\n", cli_show(o, "origin"), cli_show(o, "to"),
               cli_double(o, "ms"), cli_show(o, "moved"), cli_show(o, "daemons"));
    else if (strcmp(event, "retry") == 0)
        printf("%s  %s does not take it: %s\n", cli_show(o, "origin"), cli_show(o, "to"),
               cli_show(o, "reason"));
    else if (strcmp(event, "failed") == 0)
        printf("%s  stays: %s\n", cli_show(o, "origin"), cli_show(o, "reason"));
    else if (strcmp(event, "still_moving") == 0)
        printf("%s  still moving to %s\n", cli_show(o, "origin"), cli_show(o, "to"));
    else if (strcmp(event, "uncordoned") == 0)
        printf("the node takes daemons in again\n");
    else if (strcmp(event, "drained") == 0)
        printf("%s of %s moved, %s stay, %s still moving, in %.3f ms\n", cli_show(o, "moved"),
               cli_show(o, "daemons"), cli_show(o, "failed"), cli_show(o, "still_moving"),
               cli_double(o, "total_ms"));
    fflush(stdout);
}

static void show(void *user, json_object *o)
{
    draining *d = user;
    const char *event = cli_text(o, "event");
    if (!event)
        return;
    if (strcmp(event, "drained") == 0) {
        json_object *value = NULL;
        if (json_object_object_get_ex(o, "failed", &value))
            d->failed = json_object_get_uint64(value);
        if (json_object_object_get_ex(o, "still_moving", &value))
            d->still_moving = json_object_get_uint64(value);
    }
    if (d->json)
        cli_json(json_object_get(o));
    else
        show_progress(d, event, o);
}

int cli_drain(int argc, char **argv)
{
    const char *control = NULL, *to = NULL;
    bool undo = false;
    uint64_t timeout = 60 * ROVE_SECOND, grace = 0;
    draining d = {0};
    cli_option options[] = {
        {CLI_TEXT, "--to", "NODE", &to,
         "all to this node: an entity, or the node id of a peer; else to any that takes them"},
        {CLI_SECONDS, "--timeout", "S", &timeout, "how long it may take (60; 0 = for ever)"},
        {CLI_SECONDS, "--grace", "S", &grace, "what the daemons are told that they have (0)"},
        {CLI_FLAG, "--undo", NULL, &undo, "end a drain, and let daemons come again"},
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &d.json, "progress and the end as JSON"},
    };
    cli_syntax syntax = {
        "drain",
        "",
        "Moves every daemon of a node to others, several at once, and lets none come any more,\n"
        "until rove drain --undo. What cannot move goes on where it is.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        (to && !cli_check_name("NODE", to, &status)))
        return status;
    if (undo && to)
        return cli_usage("--undo takes no --to");
    json_object *request = cli_request(undo ? "undrain" : "drain");
    if (to)
        cli_add_text(request, "to", to);
    if (timeout)
        json_object_object_add(request, "timeout_ns", json_object_new_uint64(timeout));
    json_object_object_add(request, "grace_ns", json_object_new_uint64(grace));
    status = cli_client_ask(control, request, false, show, &d, undo ? "not undone" : "not drained");
    return status == CLI_FAILED && d.still_moving && !d.failed ? CLI_STILL_MOVING : status;
}
