/* SPDX-License-Identifier: Apache-2.0
 *
 * Rove inside of an event loop: two nodes, a daemon and standard input, all in one thread around
 * poll(). Each line is an event for the daemon, and its output is printed; the line "move" moves
 * the daemon to the other node while lines go on. Nothing here waits but poll(). */
#include <errno.h>
#include <poll.h>
#include <rove/rove.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES 2

const rove_kind *lines_kind(void);

struct app {
    rove_node *nodes[NODES];
    rove_runtime *runtimes[NODES];
    rove_node_info infos[NODES];
    rove_daemon daemon;
    int at; /* the node where the daemon is */
    bool moving;
    rove_sender *sender;
    char input[4096];
    size_t held;     /* bytes of it */
    bool full;       /* the sender's window: the first line of the input has to wait */
    bool input_over; /* nothing more can be read */
    bool over;       /* everything has its outcome */
};

static void check(rove_err err, const char *what)
{
    if (err == ROVE_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, rove_strerror(err));
    exit(1);
}

/* ---- callbacks: they run inside of rove_node_process ---- */

static void on_outcome(void *user, const rove_sent *sent)
{
    struct app *app = user;
    app->full = false; /* an outcome makes room */
    if (sent->kind == ROVE_SENT_ENDED)
        app->over = true;
    else if (sent->kind != ROVE_SENT_APPLIED)
        fprintf(stderr, "line %llu: %s\n", (unsigned long long)sent->number,
                rove_strerror(sent->err));
    rove_link link;
    rove_span output;
    for (size_t it = 0; rove_sent_next(sent, &it, &link, &output);)
        printf("%.*s\n", (int)output.size, (const char *)output.data);
}

static void on_session(void *user, rove_err err)
{
    struct app *app = user;
    check(err, "the session between the nodes");
    rove_entity entity;
    check(rove_runtime_entity(app->runtimes[0], app->daemon, &entity), "the daemon's entity");
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = on_outcome;
    cfg.user = app;
    check(rove_sender_open(&app->sender, app->nodes[1], &entity, &cfg), "the sender");
}

static void on_moved(void *user, rove_err err, const rove_migration_info *info)
{
    struct app *app = user;
    (void)info;
    check(err, "the move");
    app->moving = false;
    app->at = !app->at;
    printf("(moved to node %d)\n", app->at);
}

/* ---- input ---- */

static void begin_move(struct app *app)
{
    rove_runtime *from = app->runtimes[app->at];
    rove_migration move;
    check(rove_runtime_start_migration(from, app->daemon, &app->infos[!app->at].entity, &move),
          "the move");
    check(rove_migration_wait_async(from, move, on_moved, app), "the move");
    app->moving = true;
}

/* Takes one line; false when it has to wait. */
static bool take_line(struct app *app, const char *line, size_t size)
{
    if (size == 4 && memcmp(line, "move", size) == 0) {
        if (app->moving)
            return false;
        begin_move(app);
        return true;
    }
    rove_err err = rove_sender_send(app->sender, (rove_span){line, size}, false, NULL);
    app->full = err == ROVE_E_WINDOW;
    if (!app->full)
        check(err, "a line");
    return !app->full;
}

static void take_lines(struct app *app)
{
    char *end;
    while (app->held && (end = memchr(app->input, '\n', app->held))) {
        if (!take_line(app, app->input, (size_t)(end - app->input)))
            return;
        app->held -= (size_t)(end + 1 - app->input);
        memmove(app->input, end + 1, app->held);
    }
    if (app->held == sizeof app->input)
        app->held = 0; /* nobody writes such lines by hand: dropped */
    if (app->input_over)
        rove_sender_close(app->sender); /* its end comes as an outcome */
}

static void read_input(struct app *app)
{
    ssize_t got = read(STDIN_FILENO, app->input + app->held, sizeof app->input - app->held);
    if (got > 0)
        app->held += (size_t)got;
    else if (got == 0 || errno != EINTR)
        app->input_over = true;
    if (app->input_over && app->held && app->held < sizeof app->input)
        app->input[app->held++] = '\n'; /* the last line may lack it */
}

/* ---- the loop ---- */

/* What poll() waits at most, for a deadline on the monotonic clock. Rounded up: a deadline that is
 * just missed would be asked for again at once. */
static int milliseconds_until(uint64_t deadline)
{
    if (deadline == ROVE_TIME_NEVER)
        return -1;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now = (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
    uint64_t left = deadline > now ? deadline - now : 0;
    return left > 1000 * ROVE_SECOND ? 1000000 : (int)((left + 999999) / 1000000);
}

static void turn(struct app *app)
{
    struct pollfd fds[NODES + 1];
    uint64_t first = ROVE_TIME_NEVER;
    for (int i = 0; i < NODES; i++) {
        uint64_t deadline = rove_node_deadline(app->nodes[i]);
        if (deadline < first)
            first = deadline;
        fds[i] = (struct pollfd){.fd = rove_node_fd(app->nodes[i]), .events = POLLIN};
    }
    bool reads = app->sender && !app->full && !app->moving && !app->input_over;
    fds[NODES] = (struct pollfd){.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
    poll(fds, NODES + 1, milliseconds_until(first));
    if (reads && fds[NODES].revents)
        read_input(app);
    for (int i = 0; i < NODES; i++)
        check(rove_node_process(app->nodes[i]), "the loop");
    if (app->sender && !app->full)
        take_lines(app);
}

static void open_node(struct app *app, int i)
{
    static const uint8_t psk[32] = "two nodes that share one thread.";
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.driven = true; /* no thread: turn() drives it */
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    check(rove_node_new(&app->nodes[i], &cfg), "a node");
    rove_node_get_info(app->nodes[i], &app->infos[i]);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = 0; /* nor threads for daemons */
    check(rove_runtime_new(&app->runtimes[i], app->nodes[i], &rc), "a runtime");
    check(rove_runtime_register_kind(app->runtimes[i], NULL, lines_kind(), NULL), "the kind");
    check(rove_runtime_start(app->runtimes[i]), "the start");
}

int main(void)
{
    static struct app app;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < NODES; i++)
        open_node(&app, i);
    check(rove_runtime_spawn(app.runtimes[0], "lines", NULL, NULL, &app.daemon), "the daemon");
    check(rove_runtime_expect_migration(app.runtimes[1], "lines", app.daemon.origin, NULL),
          "the expectation");
    check(rove_node_connect(app.nodes[1], &app.infos[0].entity, app.infos[0].address),
          "the connection");
    check(rove_node_wait_peer_async(app.nodes[1], &app.infos[0].entity, 10 * ROVE_SECOND,
                                    on_session, &app),
          "the session");
    while (!app.over || app.moving)
        turn(&app);
    rove_sender_free(app.sender);
    for (int i = 0; i < NODES; i++) {
        rove_runtime_unref(app.runtimes[i]); /* stops the daemon where it is */
        rove_node_free(app.nodes[i]);
    }
    return 0;
}
