/* SPDX-License-Identifier: Apache-2.0
 *
 * rove demo: a wordcount daemon works on a real file while it is moved round several nodes, and
 * loses nothing. */
#include "demo/check.h"
#include "demo/input.h"
#include "demo/mover.h"
#include "demo/table.h"
#include "feed.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <state/chain.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES_MAX  64
#define EVENT_CEIL (UINT64_C(16) << 20)
#define HEAD_LINES 10

typedef struct demo {
    const char *input_path, *output_path;
    uint64_t node_count, ring, moves;
    bool json;

    demo_input input;
    demo_nodes nodes;
    char origin[24];
    uint64_t origin_hash;
    demo_progress progress;
    demo_mover mover;
    demo_check check;
    cli_feed feed;
    cli_totals totals;
    bool open, ended;
    uint64_t shown;
} demo;

/* ---- the stream ---- */

static rove_err take_outcome(demo *d, rove_span body)
{
    rovei_outcome_head head;
    rove_span rest, payload;
    rove_link link;
    rove_err err = rovei_outcome_decode(&head, body, &rest);
    if (err)
        return err;
    cli_totals_add(&d->totals, &head);
    rovei_reader r = rovei_reader_of(rest);
    bool outputs = head.kind == ROVEI_EVENT_APPLIED && !head.err;
    for (uint32_t i = 0; outputs && !err && i < head.outputs; i++)
        err = rovei_event_frame_read(&r, &link, &payload)
                  ? demo_check_output(&d->check, &link, payload)
                  : ROVE_E_FORMAT;
    return err;
}

static rove_err take_frames(demo *d)
{
    cli_client *client = &d->nodes.events;
    for (;;) {
        uint8_t type;
        rove_span body;
        rove_err err = cli_client_next(client, &type, &body);
        if (err)
            return err == ROVE_E_SHORT ? ROVE_OK : err;
        if (type == ROVEI_FRAME_END) {
            d->ended = true;
            return client->end;
        }
        if (type == ROVEI_FRAME_JSON)
            d->open = true;
        else if (type == ROVEI_FRAME_TAKEN && !cli_feed_taken(&d->feed, body))
            return ROVE_E_FORMAT;
        else if (type == ROVEI_FRAME_OUTCOME)
            err = take_outcome(d, body);
        if (err)
            return err;
    }
}

/* Tells the mover how far the stream is. */
static void publish(demo *d)
{
    demo_progress *p = &d->progress;
    const cli_totals *t = &d->totals;
    pthread_mutex_lock(&p->lock);
    p->handed = d->feed.taken.count;
    p->outcomes = t->applied + t->refused + t->unknown + t->lost;
    p->stalled = d->feed.stalled > p->stalled ? d->feed.stalled : p->stalled;
    d->feed.stalled = 0;
    p->streamed = d->feed.finished && p->handed == d->feed.put;
    p->settled = p->streamed && p->outcomes >= d->feed.put;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void show_progress(demo *d)
{
    uint64_t now = cli_now();
    if (d->json || !isatty(STDERR_FILENO) || now - d->shown < ROVE_SECOND / 5)
        return;
    d->shown = now;
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " lines\033[K\r", d->totals.applied, d->input.lines);
}

/* Waits for the sending socket, for nodes of the ring that end (E_PEER_LOST), and for the mover to
 * fail (E_GONE). */
static rove_err wait_stream(demo *d, demo_node **ret_lost)
{
    struct pollfd p[NODES_MAX + 2];
    rovei_channel *channel = &d->nodes.events.channel;
    rove_err err = rovei_channel_flush(channel);
    if (err)
        return err;
    p[0] = (struct pollfd){.fd = channel->fd, .events = POLLIN};
    if (rovei_channel_queued(channel))
        p[0].events |= POLLOUT;
    for (size_t i = 0; i < d->ring; i++)
        p[i + 1] = (struct pollfd){.fd = d->nodes.at[i].pid_fd, .events = POLLIN};
    p[d->ring + 1] = (struct pollfd){.fd = d->progress.wake_fd, .events = POLLIN};
    err = cli_poll(p, d->ring + 2, ROVE_TIME_NEVER);
    for (size_t i = 0; !err && i < d->ring; i++)
        if (p[i + 1].revents) {
            *ret_lost = &d->nodes.at[i];
            return ROVE_E_PEER_LOST;
        }
    if (!err && p[d->ring + 1].revents)
        return cli_interrupted() ? ROVE_E_CANCELLED : ROVE_E_GONE;
    if (!err && p[0].revents & (POLLIN | POLLHUP | POLLERR))
        err = rovei_channel_fill(channel);
    return err;
}

/* Lines from the file, as many as are wanted now. */
static rove_err feed(demo *d)
{
    rove_err err = ROVE_OK;
    if (!d->open)
        return ROVE_OK;
    do {
        cli_feed_step(&d->feed);
        if (d->feed.want_lines)
            err = cli_lines_fill(&d->feed.lines);
    } while (!err && d->feed.want_lines);
    return err ? err : d->feed.err;
}

/* Streams the file until each line has its outcome: an exit status. */
static int stream(demo *d)
{
    demo_node *lost = NULL;
    rove_err err = ROVE_OK;
    while (!err && !d->ended) {
        err = take_frames(d);
        if (!err && !d->ended)
            err = feed(d);
        publish(d);
        show_progress(d);
        if (!err && !d->ended)
            err = wait_stream(d, &lost);
        if (err == ROVE_E_CANCELLED && !cli_interrupted())
            err = ROVE_OK;
    }
    publish(d);
    if (!err)
        return CLI_DONE;
    if (err == ROVE_E_CANCELLED)
        return CLI_INTERRUPTED;
    if (err == ROVE_E_GONE || !demo_progress_tell(&d->progress))
        return CLI_FAILED; /* the mover has said why */
    if (!lost && demo_node_ended(&d->nodes.at[0], err == ROVE_E_CLOSED))
        lost = &d->nodes.at[0];
    if (lost)
        return demo_node_lost(lost);
    return cli_fail("the stream broke off after %" PRIu64 " lines: %s", d->feed.taken.count,
                    rove_strerror(err));
}

/* ---- the course of it ---- */

static void show_nodes(const demo *d)
{
    for (size_t i = 0; i < d->nodes.count; i++) {
        const demo_node *n = &d->nodes.at[i];
        if (!d->json) {
            printf("node %zu: %s, process %d, %s\n", n->number, n->node_id, (int)n->pid, n->addr);
            continue;
        }
        json_object *o = json_object_new_object();
        cli_add_text(o, "event", "node");
        cli_add_text(o, "node_id", n->node_id);
        json_object_object_add(o, "pid", json_object_new_int((int)n->pid));
        cli_add_text(o, "addr", n->addr);
        cli_json(o);
    }
    fflush(stdout);
}

static int spawn(demo *d)
{
    rove_err err;
    json_object *request = cli_request("spawn");
    cli_add_text(request, "kind", "wordcount");
    json_object *o = demo_node_ask(&d->nodes.at[0], request, NULL, &err);
    const char *origin = cli_text(o, "origin");
    bool good = !err && origin && cli_parse_id(origin, &d->origin_hash);
    if (good)
        snprintf(d->origin, sizeof d->origin, "%s", origin);
    json_object_put(o);
    if (err == ROVE_E_CANCELLED)
        return CLI_INTERRUPTED;
    return good ? CLI_DONE
                : cli_fail("the daemon cannot be spawned: %s",
                           rove_strerror(err ? err : ROVE_E_INTERNAL));
}

/* Streams and moves at once. */
static int run_stream(demo *d)
{
    json_object *request = cli_request("send");
    cli_add_text(request, "daemon", d->origin);
    if (!cli_client_request(&d->nodes.events, request))
        return cli_fail("out of memory");
    cli_feed_init(&d->feed, &d->nodes.events, d->input.fd, EVENT_CEIL);
    demo_check_init(&d->check, d->origin_hash);
    d->mover = (demo_mover){.progress = &d->progress,
                            .nodes = &d->nodes,
                            .ring = (size_t)d->ring,
                            .moves = d->moves,
                            .origin = d->origin,
                            .json = d->json};
    if (!demo_progress_init(&d->progress, d->input.lines) || !demo_mover_start(&d->mover))
        return cli_fail("no thread can be started");
    int status = stream(d);
    demo_progress *p = &d->progress;
    pthread_mutex_lock(&p->lock);
    p->stop = status != CLI_DONE;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    /* Whatever it waits for from a node is cut off. */
    for (size_t i = 0; p->stop && i < d->nodes.count; i++)
        shutdown(d->nodes.at[i].client.channel.fd, SHUT_RDWR);
    demo_mover_join(&d->mover);
    demo_progress_fini(&d->progress);
    d->totals.sent = d->feed.put;
    cli_totals_close(&d->totals);
    if (status == CLI_DONE && cli_interrupted())
        status = CLI_INTERRUPTED;
    return status == CLI_DONE && d->mover.failed ? CLI_FAILED : status;
}

/* ---- results ---- */

static int write_table(demo *d)
{
    void *state = NULL;
    size_t size = 0;
    demo_node *holder = &d->nodes.at[d->mover.place];
    if (d->json && !d->output_path)
        return CLI_DONE;
    rove_err err = demo_node_state(holder, d->origin, &state, &size);
    if (err)
        return cli_fail("the table cannot be had from node %zu: %s", holder->number,
                        rove_strerror(err));
    bool standard = !d->output_path || strcmp(d->output_path, "-") == 0;
    FILE *to = standard ? stdout : fopen(d->output_path, "we");
    if (!to) {
        free(state);
        return cli_fail("%s cannot be written: %s", d->output_path, strerror(errno));
    }
    err = demo_table_write((rove_span){state, size}, to, d->output_path ? 0 : HEAD_LINES);
    free(state);
    if (!standard && fclose(to) && !err)
        err = ROVE_E_IO;
    return err ? cli_fail("the table cannot be written: %s", rove_strerror(err)) : CLI_DONE;
}

static void print_summary(const demo *d)
{
    const demo_check *c = &d->check;
    uint64_t sent = d->totals.sent, lost = demo_check_lost(c, sent);
    bool verified = !c->broken;
    if (!d->json) {
        printf("%" PRIu64 " lines sent, %" PRIu64 " processed, %" PRIu64 " lost, %" PRIu64
               " duplicated, %" PRIu64 " out of order; %" PRIu64 " moves; chain of %" PRIu64
               " links %s\n",
               sent, c->processed, lost, c->duplicated, c->out_of_order, d->mover.made, c->links,
               verified ? "verified" : "BROKEN");
        fflush(stdout);
        return;
    }
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", "summary");
    json_object_object_add(o, "sent", json_object_new_uint64(sent));
    json_object_object_add(o, "processed", json_object_new_uint64(c->processed));
    json_object_object_add(o, "lost", json_object_new_uint64(lost));
    json_object_object_add(o, "duplicated", json_object_new_uint64(c->duplicated));
    json_object_object_add(o, "out_of_order", json_object_new_uint64(c->out_of_order));
    json_object_object_add(o, "moves", json_object_new_uint64(d->mover.made));
    json_object_object_add(o, "links", json_object_new_uint64(c->links));
    json_object_object_add(o, "chain_verified", json_object_new_boolean(verified));
    cli_json(o);
}

/* Whether everything is as promised. */
static int judge(const demo *d)
{
    const demo_check *c = &d->check;
    uint64_t sent = d->totals.sent;
    if (demo_check_lost(c, sent) || c->duplicated || c->out_of_order || c->broken ||
        c->processed != sent || c->links != sent || sent != d->input.lines)
        return cli_fail("the outputs are not what they should be: this is an error in rove");
    if (d->totals.applied != sent || d->totals.errors)
        return cli_fail("%" PRIu64 " of %" PRIu64 " lines were not reported as applied",
                        sent - d->totals.applied, sent);
    return CLI_DONE;
}

static int run(demo *d)
{
    int status = demo_nodes_start(&d->nodes, (size_t)d->node_count, d->input.longest);
    if (status == CLI_DONE)
        show_nodes(d);
    if (status == CLI_DONE)
        status = spawn(d);
    if (status == CLI_DONE)
        status = run_stream(d);
    /* People read the table last; scripts the summary. */
    if (status == CLI_DONE && !d->json)
        print_summary(d);
    if (status == CLI_DONE)
        status = write_table(d);
    if (status == CLI_DONE && d->json)
        print_summary(d);
    if (status == CLI_DONE)
        status = judge(d);
    if (status == CLI_DONE) {
        rove_err err;
        json_object *request = cli_request("stop");
        cli_add_text(request, "daemon", d->origin);
        json_object_put(demo_node_ask(&d->nodes.at[d->mover.place], request, NULL, &err));
        if (err)
            status = cli_fail("the daemon cannot be stopped: %s", rove_strerror(err));
    }
    if (!demo_nodes_stop(&d->nodes, status == CLI_DONE) && status == CLI_DONE)
        status = cli_fail("a node did not end as it should");
    return status;
}

/* Whether the table can be written at the end, found out at the start. */
static int check_output(const char *path)
{
    char folder[PATH_MAX];
    struct stat st;
    if (!path || strcmp(path, "-") == 0)
        return CLI_DONE;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            errno = EISDIR;
        else if (access(path, W_OK) == 0)
            return CLI_DONE;
        return cli_fail("%s cannot be written: %s", path, strerror(errno));
    }
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + (slash == path) : 1;
    if (size < sizeof folder) {
        memcpy(folder, slash ? path : ".", size);
        folder[size] = '\0';
        if (access(folder, W_OK | X_OK) == 0)
            return CLI_DONE;
    }
    return cli_fail("%s cannot be made: name a file in a folder that is there and yours to write",
                    path);
}

static int check_options(demo *d, bool ring_given)
{
    if (d->node_count < 1 || d->node_count > NODES_MAX)
        return cli_usage("--nodes takes 1 to %d", NODES_MAX);
    if (!ring_given)
        d->ring = d->node_count;
    if (d->ring < 1 || d->ring > d->node_count)
        return cli_usage("--ring takes 1 to the number of nodes (%" PRIu64 ")", d->node_count);
    if (d->ring == 1 && d->moves)
        return cli_usage("a ring of one node has no moves: say --moves 0");
    if (d->moves > 1000000)
        return cli_usage("--moves takes at most 1000000");
    return CLI_DONE;
}

int cli_demo(int argc, char **argv)
{
    demo *d = &(demo){.node_count = 3, .ring = UINT64_MAX, .moves = 6};
    cli_option options[] = {
        {CLI_TEXT, "--input", "FILE", &d->input_path,
         "what to stream (default: the texts of /usr/share/common-licenses)"},
        {CLI_NUMBER, "--nodes", "N", &d->node_count, "node processes to start (3)"},
        {CLI_NUMBER, "--ring", "K", &d->ring, "the first K of them take part in the moves (all)"},
        {CLI_NUMBER, "--moves", "M", &d->moves, "moves to make meanwhile (6)"},
        {CLI_TEXT, "--output", "FILE", &d->output_path,
         "where the table goes; - = standard output"},
        {CLI_FLAG, "--json", NULL, &d->json, "nodes, moves and the summary as JSON"},
    };
    cli_syntax syntax = {
        "demo",
        "",
        "Starts several nodes on this machine, spawns a daemon that counts words on the first,\n"
        "streams a file to it line by line, and moves it from node to node meanwhile. Checks that\n"
        "no line was lost, done twice or out of order, and that the daemon's chain of outputs is\n"
        "one, and shows the table of words.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    status = check_options(d, d->ring != UINT64_MAX);
    if (status == CLI_DONE)
        status = check_output(d->output_path);
    if (status == CLI_DONE)
        status = demo_input_open(&d->input, d->input_path);
    if (status != CLI_DONE)
        return status;
    if (d->input.longest > EVENT_CEIL) {
        demo_input_close(&d->input);
        return cli_fail("line %" PRIu64 " of the input has %" PRIu64
                        " bytes; an event has at most %" PRIu64,
                        d->input.longest_line, d->input.longest, EVENT_CEIL);
    }
    cli_signals_hold();
    status = run(d);
    cli_feed_free(&d->feed);
    demo_check_free(&d->check);
    demo_input_close(&d->input);
    return status;
}
