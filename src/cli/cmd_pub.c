/* SPDX-License-Identifier: Apache-2.0
 *
 * rove pub: lines of a file as events on a channel of the node. */
#include "feed.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_HIGH ((size_t)1 << 20) /* no more lines are read above it */

typedef struct publishing {
    cli_client client;
    cli_lines lines;
    const char *channel;
    bool json, reliable;
    bool open;     /* the node takes events */
    bool want;     /* more has to be read for a line */
    bool finished; /* all is queued, and the end behind it */
    bool ended;    /* the node has answered */
    uint64_t put;  /* lines */
    rove_err err;  /* why the lines ended early */
} publishing;

static void show(const publishing *p, json_object *o)
{
    json_object *errors = NULL;
    printf("%" PRIu64 " published on %s for %" PRIu64 " subscribers", cli_u64(o, "published"),
           p->channel, cli_u64(o, "subscribers"));
    if (cli_u64(o, "failed"))
        printf(", %" PRIu64 " not delivered", cli_u64(o, "failed"));
    putchar('\n');
    json_object_object_get_ex(o, "errors", &errors);
    for (size_t i = 0; errors && i < json_object_array_length(errors); i++) {
        json_object *e = json_object_array_get_idx(errors, i);
        printf("  %s  %s\n", cli_show(e, "node_id"), cli_show(e, "reason"));
    }
}

static void take_object(publishing *p, rove_span body)
{
    json_object *o = cli_client_json(body);
    const char *event = o ? cli_text(o, "event") : NULL;
    if (event && strcmp(event, "open") == 0) {
        p->lines.line_max = (size_t)cli_u64(o, "event_max");
        p->open = true;
    } else if (event && p->json) {
        cli_json_line(body);
    } else if (event) {
        show(p, o);
    }
    json_object_put(o);
}

static rove_err take_frames(publishing *p)
{
    for (;;) {
        uint8_t type;
        rove_span body;
        rove_err err = cli_client_next(&p->client, &type, &body);
        if (err)
            return err == ROVE_E_SHORT ? ROVE_OK : err;
        p->ended = type == ROVEI_FRAME_END;
        if (p->ended)
            return ROVE_OK;
        if (type == ROVEI_FRAME_JSON)
            take_object(p, body);
    }
}

/* Queues the lines that there are. */
static void put_lines(publishing *p)
{
    rovei_channel *channel = &p->client.channel;
    p->want = false;
    while (!p->finished && !p->want && rovei_channel_queued(channel) < QUEUE_HIGH) {
        rove_span line;
        rove_err err = p->err ? p->err : cli_lines_next(&p->lines, &line);
        p->want = err == ROVE_E_SHORT;
        if (!err && cli_client_put(&p->client, ROVEI_FRAME_EVENT, line)) {
            p->put++;
        } else if (!p->want) {
            p->err = err == ROVE_E_CLOSED ? ROVE_OK : err ? err : ROVE_E_NOMEM;
            p->finished = true;
            (void)cli_client_put(&p->client, ROVEI_FRAME_FINISH, (rove_span){NULL, 0});
        }
    }
}

/* Waits for the socket, and for the input when a line is wanted. */
static rove_err wait_for_more(publishing *p)
{
    rovei_channel *channel = &p->client.channel;
    rove_err err = rovei_channel_flush(channel);
    if (err && err != ROVE_E_CLOSED)
        return err;
    bool writing = !err && rovei_channel_queued(channel);
    struct pollfd fds[2] = {
        {.fd = channel->fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
        {.fd = p->want && !p->finished ? p->lines.fd : -1, .events = POLLIN},
    };
    err = cli_poll(fds, 2, ROVE_TIME_NEVER);
    if (!err && fds[0].revents & (POLLIN | POLLHUP | POLLERR))
        err = rovei_channel_fill(channel);
    if (!err && fds[1].revents) {
        rove_err read = cli_lines_fill(&p->lines);
        if (read == ROVE_E_CANCELLED)
            return read;
        p->err = read;
    }
    return err;
}

static rove_err run(publishing *p)
{
    json_object *o = cli_request("publish");
    cli_add_text(o, "channel", p->channel);
    json_object_object_add(o, "reliable", json_object_new_boolean(p->reliable));
    rove_err err = cli_client_request(&p->client, o) ? ROVE_OK : ROVE_E_NOMEM;
    while (!err && !p->ended) {
        err = take_frames(p);
        if (!err && p->open)
            put_lines(p);
        if (!err && !p->ended)
            err = wait_for_more(p);
        if (err == ROVE_E_CANCELLED && !cli_interrupted())
            err = ROVE_OK;
        else if (err && err != ROVE_E_CANCELLED && !take_frames(p) && p->ended)
            err = ROVE_OK; /* the node said why before it closed */
    }
    return err;
}

static int conclude(const publishing *p, rove_err err)
{
    if (err == ROVE_E_CANCELLED)
        return CLI_INTERRUPTED;
    if (err)
        return cli_fail("the node closed the connection: see whether it still runs");
    if (p->client.end)
        return cli_client_fail(&p->client, "not published");
    if (p->err == ROVE_E_TOO_LARGE)
        return cli_fail("line %" PRIu64 " is longer than an event may be (%zu bytes, limit "
                        "event_max): it and what follows it was not published",
                        p->put + 1, p->lines.line_max);
    if (p->err)
        return cli_fail("the input cannot be read to its end: %s", rove_strerror(p->err));
    return CLI_DONE;
}

int cli_pub(int argc, char **argv)
{
    publishing *p = &(publishing){0};
    const char *control = NULL;
    cli_option options[] = {
        {CLI_FLAG, "--reliable", NULL, &p->reliable,
         "to nodes of class net: sent again when it is lost"},
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node that publishes"},
        {CLI_FLAG, "--json", NULL, &p->json, "the report as a JSON object"},
    };
    cli_syntax syntax = {
        "pub",
        "CHANNEL [FILE]",
        "Publishes the lines of FILE, or of standard input, on a channel of the node: one\n"
        "line is one event, without its newline. What a Rove node that subscribes has not\n"
        "taken is not pushed out: while there is no room, no more is read.",
        options,
        sizeof options / sizeof options[0],
        1,
        2,
        NULL};
    cli_operands operands;
    int status, fd = STDIN_FILENO;
    char room[256];
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    p->channel = operands.at[0];
    const char *file =
        operands.count > 1 && strcmp(operands.at[1], "-") != 0 ? operands.at[1] : NULL;
    if (file)
        fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail("%s cannot be opened: %s", file, strerror(errno));
    status = cli_client_open(&p->client, cli_control_path(control, room, sizeof room), false);
    if (status == CLI_DONE) {
        cli_signals_hold();
        cli_lines_init(&p->lines, fd, SIZE_MAX);
        status = conclude(p, run(p));
        cli_lines_free(&p->lines);
        cli_client_close(&p->client);
    }
    if (file)
        close(fd);
    return status;
}
