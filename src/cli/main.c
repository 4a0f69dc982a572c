/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: its table of commands. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const cli_command commands[] = {
    {"psk", "make the key that the nodes of a mesh share", cli_psk},
    {"id", "make or show an identity", cli_id},
    {"node", "run a node", cli_node},
    {"status", "how a node is", cli_status},
    {"peers", "the nodes that it talks to", cli_peers},
    {"nodes", "what nodes of the mesh have announced", cli_nodes},
    {"caps", "what a node can do", cli_caps},
    {"connect", "make a node talk to another one", cli_connect},
    {"kinds", "the kinds of daemon that it can run", cli_kinds},
    {"ps", "the daemons on it", cli_ps},
    {"spawn", "start a daemon", cli_spawn},
    {"expect", "let a daemon come to this node", cli_expect},
    {"send", "send events to a daemon, wherever it is", cli_send},
    {"migrate", "move a daemon to another node", cli_migrate},
    {"why", "where a daemon would be moved, and why", cli_why},
    {"drain", "move all daemons away, and take none in", cli_drain},
    {"moves", "moves, running and ended", cli_moves},
    {"cancel", "end a move that is not committed", cli_cancel},
    {"snapshot", "keep a daemon in a file", cli_snapshot},
    {"backup", "keep all daemons of a node in a file", cli_backup},
    {"restore", "bring them back", cli_restore},
    {"stop", "end a daemon", cli_stop},
    {"channel", "the channels that a node publishes on", cli_channel},
    {"subscribe", "feed a daemon from a channel", cli_subscribe},
    {"unsubscribe", "end that", cli_unsubscribe},
    {"pub", "publish events on a channel", cli_pub},
    {"sub", "print what is published on a channel", cli_sub},
    {"token", "make, judge and revoke permission tokens", cli_token},
    {"demo", "three nodes, one daemon, a file, and moves meanwhile", cli_demo},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void help(void)
{
    printf("Usage: rove COMMAND [OPTION]... [OPERAND]...\n"
           "\n"
           "Daemons that move live between the nodes of an encrypted mesh.\n"
           "\n"
           "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-13s%s\n", commands[i].name, commands[i].summary);
    printf("\n"
           "  rove COMMAND --help says more about one of them.\n"
           "  rove --version      prints the version.\n"
           "\n"
           "Most commands talk to a running node over its control socket: --control PATH, else\n"
           "$ROVE_CONTROL, else $XDG_RUNTIME_DIR/rove/control, else /run/rove/control.\n"
           "With --json they print one JSON object a line.\n"
           "\n"
           "Exit status: 0 done; 1 failed; 2 wrong usage; 3 send: some events were refused;\n"
           "4 send: the outcome of some is unknown, or they were lost; 5 migrate: still moving\n"
           "when the time was up; 130 interrupted.\n");
}

/* A descriptor that is opened later must never be taken for one of the standard ones. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(CLI_FAILED);
}

/* What was printed has to have arrived; whoever reads no more knows why. */
static int check_output(int status)
{
    struct pollfd reader = {.fd = STDOUT_FILENO};
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    bool gone = poll(&reader, 1, 0) == 1 && reader.revents & POLLERR;
    if (!gone)
        cli_fail("standard output cannot be written%s%s", errno ? ": " : "",
                 errno ? strerror(errno) : "");
    return status == CLI_DONE ? CLI_FAILED : status;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("a command is missing: see rove --help");
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc == 3) { /* rove help COMMAND */
        char option[] = "--help", *words[] = {argv[0], argv[2], option, NULL};
        return run(3, words);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help();
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        cli_version();
        return CLI_DONE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return cli_usage("there is no command \"%s\": see rove --help", name);
}

int main(int argc, char **argv)
{
    open_standard();
    signal(SIGPIPE, SIG_IGN);
    return check_output(run(argc, argv));
}
