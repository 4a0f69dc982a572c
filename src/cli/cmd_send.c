/* SPDX-License-Identifier: Apache-2.0
 *
 * rove send: lines of standard input to a daemon, and what became of each. */
#include "feed.h"
#include "signals.h"
#include "troubles.h"

#include <crypto/crypto.h>
#include <poll.h>
#include <shell/files.h>
#include <state/chain.h>
#include <string.h>
#include <unistd.h>

/* How long the lines are counted that were not sent when the time was up. */
#define COUNT_TIME ROVE_SECOND

/* How long a connection that broke is tried to be made again. */
#define RECONNECT_TIME  (5 * ROVE_SECOND)
#define RECONNECT_PAUSE (ROVE_SECOND / 20)
/* The node is told what has come after so many outcomes, or bytes of them. */
#define CONFIRM_COUNT 64
#define CONFIRM_BYTES 65536

typedef struct sending {
    const char *path, *daemon;
    char name[2 * ROVEI_CLIENT_SIZE + 1]; /* by which the node knows this sending again */
    cli_client client;
    cli_feed feed;
    cli_totals totals;
    cli_troubles troubles;
    bool json, outputs, dropped, unreachable, ended;
    bool open;                    /* the node has answered on this connection */
    bool begun;                   /* on any */
    uint64_t lost;                /* when the last one broke that was answered; 0: it is there */
    uint64_t outcomes, confirmed; /* frames that have come, and of how many the node knows that */
    size_t unconfirmed_bytes;
    uint64_t shown;  /* when progress was last shown */
    uint64_t unsent; /* lines that the node had no room for when the time was up */
    bool cut;        /* more of standard input was still to come then */
} sending;

static void print_outputs(const sending *s, const rovei_outcome_head *h, rove_span rest)
{
    rovei_reader r = rovei_reader_of(rest);
    rove_link link;
    rove_span payload;
    for (uint32_t i = 0; i < h->outputs && rovei_event_frame_read(&r, &link, &payload); i++) {
        if (!s->json) {
            fwrite(payload.data, 1, payload.size, stdout);
            putchar('\n');
            continue;
        }
        json_object *o = json_object_new_object();
        cli_add_text(o, "event", "output");
        json_object_object_add(o, "seq", json_object_new_uint64(h->number));
        json_object_object_add(o, "index", json_object_new_uint64(i));
        json_object_object_add(o, "output", cli_json_hex(payload.data, payload.size));
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        json_object_put(o);
    }
}

/* False: what the node says cannot be. */
static bool take_object(sending *s, rove_span body)
{
    bool good = true;
    json_object *o = cli_client_json(body);
    const char *event = o ? cli_text(o, "event") : NULL;
    if (event && strcmp(event, "open") == 0) {
        s->feed.lines.line_max = (size_t)cli_u64(o, "event_max");
        good = !s->begun || s->dropped || cli_feed_again(&s->feed, cli_u64(o, "taken"));
        s->open = s->begun = true;
        s->lost = 0;
    }
    s->unreachable = event && strcmp(event, "unreachable") == 0;
    json_object_put(o);
    return good;
}

/* Tells the node which outcomes it need not keep any more. */
static void confirm(sending *s)
{
    uint64_t fresh = s->outcomes - s->confirmed;
    uint8_t body[8];
    if (!fresh || (!s->ended && fresh < CONFIRM_COUNT && s->unconfirmed_bytes < CONFIRM_BYTES))
        return;
    rovei_store64(body, s->outcomes);
    if (!cli_client_put(&s->client, ROVEI_FRAME_CONFIRM, (rove_span){body, sizeof body}))
        return;
    s->confirmed = s->outcomes;
    s->unconfirmed_bytes = 0;
}

/* Handles the frames that have come. */
static rove_err take_frames(sending *s)
{
    for (;;) {
        uint8_t type;
        rove_span body, rest;
        rovei_outcome_head head;
        rove_err err = cli_client_next(&s->client, &type, &body);
        if (err)
            return err == ROVE_E_SHORT ? ROVE_OK : err;
        if (type == ROVEI_FRAME_END) {
            s->ended = true;
            return ROVE_OK;
        }
        if (type == ROVEI_FRAME_JSON && !take_object(s, body))
            return ROVE_E_FORMAT;
        if (type == ROVEI_FRAME_TAKEN && !cli_feed_taken(&s->feed, body))
            return ROVE_E_FORMAT;
        if (type != ROVEI_FRAME_OUTCOME)
            continue;
        err = rovei_outcome_decode(&head, body, &rest);
        if (err)
            return err;
        s->outcomes++;
        s->unconfirmed_bytes += body.size;
        cli_totals_add(&s->totals, &head);
        cli_troubles_tell(&s->troubles, &head, rest);
        if (s->outputs && head.kind == ROVEI_EVENT_APPLIED && !head.err)
            print_outputs(s, &head, rest);
    }
}

static void show_progress(sending *s)
{
    uint64_t now = cli_now();
    if (!isatty(STDERR_FILENO) || now - s->shown < ROVE_SECOND / 5)
        return;
    s->shown = now;
    fprintf(stderr, "\r%llu sent, %llu applied%s\033[K", (unsigned long long)s->feed.put,
            (unsigned long long)s->totals.applied,
            s->unreachable ? ", nobody who knows the daemon can be reached" : "");
}

/* Waits for the socket, and for standard input when a line is wanted. */
static rove_err wait_for_more(sending *s, uint64_t deadline)
{
    rovei_channel *channel = &s->client.channel;
    rove_err err = rovei_channel_flush(channel);
    if (err && err != ROVE_E_CLOSED)
        return err;
    bool writing = !err && rovei_channel_queued(channel);
    struct pollfd p[2] = {
        {.fd = channel->fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
        {.fd = s->open && s->feed.want_lines ? s->feed.lines.fd : -1, .events = POLLIN},
    };
    /* What was printed must not wait for more to come. */
    if ((s->outputs || s->json) && cli_poll(p, 2, 0) == ROVE_E_TIMED_OUT)
        fflush(stdout);
    err = cli_poll(p, 2, deadline);
    if (err)
        return err;
    if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
        err = rovei_channel_fill(channel);
    if (!err && p[1].revents) {
        rove_err read = cli_lines_fill(&s->feed.lines);
        if (read == ROVE_E_CANCELLED)
            return read;
        if (read)
            cli_feed_fail(&s->feed, read);
    }
    return err;
}

/* ---- the connection ---- */

static bool request(sending *s)
{
    json_object *o = cli_request("send");
    cli_add_text(o, "daemon", s->daemon);
    cli_add_text(o, "client", s->name);
    json_object_object_add(o, "have", json_object_new_uint64(s->outcomes));
    json_object_object_add(o, "resume", json_object_new_boolean(s->begun));
    return cli_client_request(&s->client, o);
}

/* Before another try: E_CLOSED when there were enough. */
static rove_err pause_before_retry(const sending *s, uint64_t deadline)
{
    uint64_t now = cli_now();
    if (now >= s->lost + RECONNECT_TIME || now >= deadline)
        return ROVE_E_CLOSED;
    (void)cli_poll(NULL, 0, now + RECONNECT_PAUSE);
    return cli_interrupted() ? ROVE_E_CANCELLED : ROVE_OK;
}

/* The connection broke: makes another one and goes on with what the node has kept. E_CLOSED when
 * nobody listens there any more, or nobody who answers. */
static rove_err reconnect(sending *s, uint64_t deadline)
{
    bool retry = s->lost != 0;
    cli_client_close(&s->client);
    s->client = (cli_client){0};
    s->open = false;
    if (!retry)
        s->lost = cli_now();
    do {
        rove_err err = retry ? pause_before_retry(s, deadline) : ROVE_OK;
        if (err)
            return err;
        retry = true;
    } while (cli_client_open(&s->client, s->path, true) != CLI_DONE);
    if (!request(s))
        return ROVE_E_NOMEM;
    if (s->dropped && !cli_client_put(&s->client, ROVEI_FRAME_DROP, (rove_span){NULL, 0}))
        return ROVE_E_NOMEM;
    s->confirmed = s->outcomes;
    s->unconfirmed_bytes = 0;
    return ROVE_OK;
}

static void drop(sending *s)
{
    s->dropped = true;
    if (!s->feed.finished) {
        s->unsent = cli_lines_skip(&s->feed.lines, cli_now() + COUNT_TIME);
        s->cut = !s->feed.lines.ended;
    }
    s->feed.finished = true;
    s->feed.want_lines = false;
    (void)cli_client_put(&s->client, ROVEI_FRAME_DROP, (rove_span){NULL, 0});
}

/* Until everything has its outcome, or the time is up. OK, E_CANCELLED when interrupted. */
static rove_err run(sending *s, uint64_t timeout)
{
    uint64_t deadline = timeout ? cli_now() + timeout : ROVE_TIME_NEVER;
    while (!s->ended) {
        rove_err err = take_frames(s);
        confirm(s);
        if (err)
            return err;
        if (s->ended)
            break;
        if (s->open && !s->feed.finished)
            cli_feed_step(&s->feed);
        show_progress(s);
        err = wait_for_more(s, s->dropped ? cli_now() + 5 * ROVE_SECOND : deadline);
        if (err == ROVE_E_TIMED_OUT && !s->dropped)
            drop(s);
        else if (err == ROVE_E_TIMED_OUT)
            return ROVE_OK;
        else if (err == ROVE_E_CANCELLED && cli_interrupted())
            return err;
        else if (err && err != ROVE_E_CANCELLED) {
            err = take_frames(s); /* what the node said last */
            if (!err && !s->ended)
                err = reconnect(s, deadline);
            if (err)
                return err;
        }
    }
    (void)!rovei_channel_flush(&s->client.channel);
    return ROVE_OK;
}

static void print_summary(const sending *s)
{
    const cli_totals *t = &s->totals;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    if (!s->json) {
        fprintf(s->outputs ? stderr : stdout,
                "%llu sent, %llu applied (%llu with an error), %llu refused, %llu unknown, "
                "%llu lost\n",
                (unsigned long long)t->sent, (unsigned long long)t->applied,
                (unsigned long long)t->errors, (unsigned long long)t->refused,
                (unsigned long long)t->unknown, (unsigned long long)t->lost);
        return;
    }
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", "summary");
    json_object_object_add(o, "sent", json_object_new_uint64(t->sent));
    json_object_object_add(o, "applied", json_object_new_uint64(t->applied));
    json_object_object_add(o, "errors", json_object_new_uint64(t->errors));
    json_object_object_add(o, "refused", json_object_new_uint64(t->refused));
    json_object_object_add(o, "unknown", json_object_new_uint64(t->unknown));
    json_object_object_add(o, "lost", json_object_new_uint64(t->lost));
    cli_json(o);
}

static int conclude(sending *s, rove_err err)
{
    s->totals.sent = s->feed.put + s->unsent;
    cli_totals_close(&s->totals);
    if (!s->begun && s->ended)
        return cli_client_fail(&s->client, "not sent");
    if (!s->begun && !s->dropped && err && err != ROVE_E_CANCELLED)
        return cli_fail("not sent: the node closes each connection: see whether it has too many, "
                        "or does not run any more");
    print_summary(s);
    if (err == ROVE_E_CANCELLED)
        return CLI_INTERRUPTED;
    int status = s->totals.unknown || s->totals.lost || s->cut ? CLI_UNKNOWN
                 : s->totals.refused                           ? CLI_REFUSED
                                                               : CLI_DONE;
    if (s->feed.err == ROVE_E_TOO_LARGE)
        cli_fail("line %llu is longer than an event may be (%zu bytes, limit event_max): it and "
                 "what follows it was not sent",
                 (unsigned long long)s->feed.put + 1, s->feed.lines.line_max);
    else if (s->feed.err)
        cli_fail("standard input cannot be read to its end: %s", rove_strerror(s->feed.err));
    else if (s->cut)
        cli_fail("the time was up before standard input had ended: %llu lines were read, and what "
                 "comes behind them was not sent",
                 (unsigned long long)s->totals.sent);
    else if (err)
        cli_fail("the node closed the connection: see whether it still runs");
    else if (s->ended && s->client.end)
        cli_client_fail(&s->client, "the sending ended early");
    else
        return status;
    return status == CLI_DONE ? CLI_FAILED : status;
}

int cli_send(int argc, char **argv)
{
    sending *s = &(sending){0};
    const char *control = NULL;
    uint64_t timeout = 0;
    cli_option options[] = {
        {CLI_FLAG, "--outputs", NULL, &s->outputs, "print the daemon's outputs, in order"},
        {CLI_SECONDS, "--timeout", "S", &timeout,
         "counted from the start; what has no outcome then is unknown (default: send_giveup)"},
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node that sends"},
        {CLI_FLAG, "--json", NULL, &s->json,
         "outputs, errors and summary as JSON, payloads in hex"},
    };
    cli_syntax syntax = {
        "send",
        "ORIGIN",
        "Sends standard input to a daemon, wherever it lives: one line is one event,\n"
        "without its newline. A node knows the origin hash of daemons that live there, lived\n"
        "there or were sent to from there; on any other node name the daemon by its entity.\n"
        "Ends when each line has its outcome. When the connection to the node breaks it is\n"
        "made again and goes on where it was. Exit status 3 when some were refused, 4 when\n"
        "the outcome of some is unknown, they were lost, or the time was up too early.",
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
    s->daemon = operands.at[0];
    s->path = cli_control_path(control, room, sizeof room);
    if (rovei_crypto_init())
        return cli_fail("the crypto library cannot be started");
    status = cli_client_open(&s->client, s->path, false);
    if (status != CLI_DONE)
        return status;
    uint8_t name[ROVEI_CLIENT_SIZE];
    rovei_rng_fill(&rovei_rng_system, name, sizeof name);
    rovei_hex_encode(name, sizeof name, s->name);
    s->troubles.json = s->json;
    cli_signals_hold();
    cli_feed_init(&s->feed, &s->client, STDIN_FILENO, SIZE_MAX);
    s->feed.keep = true;
    rove_err err = request(s) ? run(s, timeout) : ROVE_E_NOMEM;
    status = conclude(s, err);
    cli_feed_free(&s->feed);
    cli_client_close(&s->client);
    return status;
}
