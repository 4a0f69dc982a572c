/* SPDX-License-Identifier: Apache-2.0
 *
 * rove migrate: moves a daemon to another node and shows how it goes. */
#include "client.h"
#include "signals.h"

#include <inttypes.h>
#include <string.h>

typedef struct migration {
    cli_client client;
    bool json, aborted;
    char last[16]; /* the last event that ends a move */
} migration;

static void show_moved(json_object *o)
{
    printf("moved from %s to %s: %s bytes in %.3f ms, %.3f ms of them dark\n", cli_show(o, "from"),
           cli_show(o, "to"), cli_show(o, "bytes"), cli_double(o, "total_ms"),
           cli_double(o, "blackout_ms"));
    if (cli_double(o, "unbound") > 0)
        printf(
            "ReplayPartial: %s subscriptions were not taken over, or not wholly; the target goes "
            "on asking\n",
            cli_show(o, "unbound"));
}

static void show(migration *m, rove_span line, json_object *o)
{
    const char *event = cli_text(o, "event");
    if (!event)
        return;
    if (strcmp(event, "phase") != 0)
        snprintf(m->last, sizeof m->last, "%s", event);
    if (m->json) {
        cli_json_line(line);
        return;
    }
    if (strcmp(event, "phase") == 0)
        printf("%10.3f ms  %s\n", cli_double(o, "at_ms"), cli_show(o, "phase"));
    else if (strcmp(event, "started") == 0)
        printf("started, attempt %s\n", cli_show(o, "attempt"));
    else if (strcmp(event, "moved") == 0)
        show_moved(o);
    fflush(stdout);
}

/* Handles the frames that have come: OK with *ret_ended, or an error. */
static rove_err take_frames(migration *m, bool *ret_ended)
{
    for (;;) {
        uint8_t type;
        rove_span body;
        rove_err err = cli_client_next(&m->client, &type, &body);
        if (err)
            return err == ROVE_E_SHORT ? ROVE_OK : err;
        if (type == ROVEI_FRAME_END) {
            *ret_ended = true;
            return ROVE_OK;
        }
        json_object *o = type == ROVEI_FRAME_JSON ? cli_client_json(body) : NULL;
        if (o)
            show(m, body, o);
        json_object_put(o);
    }
}

static int follow(migration *m, uint64_t timeout)
{
    uint64_t deadline = timeout ? cli_now() + timeout : ROVE_TIME_NEVER;
    for (bool ended = false; !ended;) {
        rove_err err = take_frames(m, &ended);
        if (!err && !ended)
            err = cli_client_pump(&m->client, deadline);
        if (err == ROVE_E_TIMED_OUT) {
            /* The node answers: aborted, or too late, and then it says that it goes on. */
            deadline = ROVE_TIME_NEVER;
            if (!m->aborted && !cli_client_put(&m->client, ROVEI_FRAME_ABORT, (rove_span){0}))
                return cli_fail("out of memory");
            m->aborted = true;
        } else if (err == ROVE_E_CANCELLED && cli_interrupted()) {
            cli_fail("interrupted; the move goes on: rove moves shows it, rove cancel ends it");
            return CLI_INTERRUPTED;
        } else if (err && err != ROVE_E_CANCELLED) {
            return cli_fail("the node closed the connection before the move ended");
        }
    }
    if (strcmp(m->last, "still_moving") == 0) {
        cli_fail("the move is committed and has not ended yet: rove moves shows how it goes on");
        return CLI_STILL_MOVING;
    }
    return m->client.end ? cli_client_fail(&m->client, "not moved") : CLI_DONE;
}

int cli_migrate(int argc, char **argv)
{
    migration *m = &(migration){0};
    const char *control = NULL, *to = NULL;
    bool no_identity = false, detach = false, choose = false;
    uint64_t timeout = 60 * ROVE_SECOND, retry = 30 * ROVE_SECOND;
    cli_option options[] = {
        {CLI_TEXT, "--to", "NODE", &to, "where to: an entity, or the node id of a peer"},
        {CLI_FLAG, "--auto", NULL, &choose, "to the best node: rove why shows which"},
        {CLI_SECONDS, "--timeout", "S", &timeout, "how long it may take (60; 0 = for ever)"},
        {CLI_SECONDS, "--retry", "S", &retry,
         "how long a target that is not ready is asked again (30; 0 = not)"},
        {CLI_FLAG, "--no-identity", NULL, &no_identity, "leave the daemon's key here"},
        {CLI_FLAG, "--detach", NULL, &detach, "return as soon as it has begun"},
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node it leaves"},
        {CLI_FLAG, "--json", NULL, &m->json, "phases and the end as JSON"},
    };
    cli_syntax syntax = {
        "migrate",
        "ORIGIN (--to NODE | --auto)",
        "Moves a daemon of this node to another node and shows the phases. When the time is up\n"
        "before the commit the move is aborted; after it the move goes on, and the exit status\n"
        "is 5.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    char room[256];
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_name("ORIGIN", operands.at[0], &status))
        return status;
    if (!to == !choose)
        return cli_usage("say where to: rove migrate ORIGIN --to NODE, or --auto");
    if (to && !cli_check_name("NODE", to, &status))
        return status;
    status = cli_client_open(&m->client, cli_control_path(control, room, sizeof room), false);
    if (status != CLI_DONE)
        return status;
    json_object *request = cli_request("migrate");
    cli_add_text(request, "daemon", operands.at[0]);
    if (to)
        cli_add_text(request, "to", to);
    json_object_object_add(request, "auto", json_object_new_boolean(choose));
    json_object_object_add(request, "retry_ns", json_object_new_uint64(retry));
    if (timeout)
        json_object_object_add(request, "timeout_ns", json_object_new_uint64(timeout));
    json_object_object_add(request, "keep_identity", json_object_new_boolean(no_identity));
    json_object_object_add(request, "detach", json_object_new_boolean(detach));
    cli_signals_hold();
    status =
        cli_client_request(&m->client, request) ? follow(m, timeout) : cli_fail("out of memory");
    cli_client_close(&m->client);
    return status;
}
