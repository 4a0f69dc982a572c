/* SPDX-License-Identifier: Apache-2.0
 *
 * rove sub: what a node publishes on a channel, a line for each event. */
#include "client.h"
#include "cmd_token.h"
#include "signals.h"

#include <crypto/crypto.h>
#include <inttypes.h>
#include <shell/token_text.h>
#include <string.h>

typedef struct listening {
    bool json;
    uint64_t wanted, heard; /* events; wanted 0: all */
} listening;

static int take_event(listening *l, rove_span body)
{
    if (body.size < 8)
        return cli_fail("the node says what this program does not understand");
    uint64_t number = rovei_load64(body.data);
    rove_span event = {(const uint8_t *)body.data + 8, body.size - 8};
    if (l->json) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "event", json_object_new_string("published"));
        json_object_object_add(o, "number", json_object_new_uint64(number));
        json_object_object_add(o, "payload", cli_json_hex(event.data, event.size));
        cli_json(o);
    } else {
        fwrite(event.data, 1, event.size, stdout);
        putchar('\n');
    }
    l->heard++;
    return ferror(stdout) ? cli_fail("the output cannot be written") : CLI_DONE;
}

static void take_object(const listening *l, rove_span body)
{
    json_object *o = cli_client_json(body);
    const char *event = o ? cli_text(o, "event") : NULL;
    if (l->json) {
        cli_json_line(body);
    } else if (event && strcmp(event, "gap") == 0) {
        fprintf(stderr, "rove: the events %" PRIu64 " to %" PRIu64 " are lost\n",
                cli_u64(o, "first"), cli_u64(o, "last"));
    } else if (event && strcmp(event, "ended") == 0) {
        fprintf(stderr, "rove: not subscribed any more (%s): it is asked for again\n",
                cli_show(o, "reason"));
    }
    json_object_put(o);
}

static int take(void *user, uint8_t type, rove_span body)
{
    listening *l = user;
    if (l->wanted && l->heard == l->wanted)
        return CLI_DONE; /* came while the end was asked for */
    if (type == ROVEI_FRAME_HEARD)
        return take_event(l, body);
    if (type == ROVEI_FRAME_JSON)
        take_object(l, body);
    return CLI_DONE;
}

/* What was heard is shown before more is waited for; after the last, the end is asked for. */
static int idle(void *user, cli_client *c, bool *ret_again)
{
    listening *l = user;
    (void)ret_again;
    if (fflush(stdout))
        return cli_fail("the output cannot be written");
    if (!l->wanted || l->heard < l->wanted)
        return CLI_DONE;
    l->wanted = l->heard = UINT64_MAX; /* once */
    return cli_client_put(c, ROVEI_FRAME_FINISH, (rove_span){NULL, 0}) ? CLI_DONE
                                                                       : cli_fail("out of memory");
}

static int follow(json_object *request, const char *control, listening *l)
{
    cli_client client;
    char room[256];
    int status = cli_client_open(&client, cli_control_path(control, room, sizeof room), false);
    if (status != CLI_DONE) {
        json_object_put(request);
        return status;
    }
    cli_signals_hold();
    status = cli_client_request(&client, request)
                 ? cli_client_follow(&client, take, idle, l, "not subscribed")
                 : cli_fail("out of memory");
    cli_client_close(&client);
    return fflush(stdout) && status == CLI_DONE ? cli_fail("the output cannot be written") : status;
}

int cli_sub(int argc, char **argv)
{
    token_command token = {0};
    listening l = {0};
    const char *control = NULL, *publisher = NULL, *group = NULL;
    cli_option options[] = {
        {CLI_TEXT, "--publisher", "NODE", &publisher,
         "who publishes, a node id; else the node itself"},
        {CLI_TEXT, "--group", "NAME", &group,
         "a queue group: its members share the events among them"},
        {CLI_TEXT, "--token", "FILE", &token.token, "what allows it; - is standard input"},
        {CLI_NUMBER, "--count", "N", &l.wanted, "end after so many events"},
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node that listens"},
        {CLI_FLAG, "--json", NULL, &l.json, "JSON objects, payloads in hex"},
    };
    cli_syntax syntax = {
        "sub",
        "CHANNEL",
        "Prints what is published on a channel from now on: one event is one line. A\n"
        "publisher on a Rove node waits for a reader that is slow; what is lost all the\n"
        "same is said on standard error.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    uint64_t id;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (publisher && !cli_parse_id(publisher, &id))
        return cli_usage("--publisher takes a node id: 0x and up to 16 hex digits");
    json_object *o = cli_request("listen");
    cli_add_text(o, "channel", operands.at[0]);
    if (publisher)
        cli_add_text(o, "publisher", publisher);
    if (group)
        cli_add_text(o, "group", group);
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
    return follow(o, control, &l);
}
