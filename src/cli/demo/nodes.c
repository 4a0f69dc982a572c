/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo's node processes. */
#include "nodes.h"

#include "../signals.h"

#include <crypto/crypto.h>
#include <errno.h>
#include <fcntl.h>
#include <shell/files.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIME  (20 * ROVE_SECOND)
#define STOP_TIME   (10 * ROVE_SECOND)
#define END_TIME_MS 2000                /* from the end of a process's sockets to its own */
#define EVENT_MAX   (UINT64_C(1) << 20) /* a node's default */

/* ---- a process ---- */

/* In the child: becomes the node. Never returns. */
static void become_node(pid_t parent, char **args, int out_fd, int log_fd)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* an interrupt of the terminal is the demo's to handle */
    int null_fd = open("/dev/null", O_RDONLY);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        dup2(null_fd, STDIN_FILENO) >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0 &&
        dup2(log_fd, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", args);
    _exit(127);
}

/* The arguments of one node: a list that ends with NULL, in one allocation each. */
static bool add(char **args, size_t *count, const char *text)
{
    args[*count] = strdup(text);
    return args[(*count)++] != NULL;
}

static char **arguments(const demo_nodes *all, size_t index, uint64_t longest_line)
{
    size_t count = 0;
    char **args = calloc(2 * index + 16, sizeof *args), text[256];
    if (!args)
        return NULL;
    bool good = add(args, &count, "rove") && add(args, &count, "node") &&
                add(args, &count, "--listen") && add(args, &count, "127.0.0.1:0") &&
                add(args, &count, "--allow-loss") && add(args, &count, "--json") &&
                add(args, &count, "--psk-file");
    snprintf(text, sizeof text, "%s/psk", all->folder);
    good = good && add(args, &count, text) && add(args, &count, "--control");
    snprintf(text, sizeof text, "%s/%zu", all->folder, index + 1);
    good = good && add(args, &count, text);
    if (longest_line > EVENT_MAX) {
        snprintf(text, sizeof text, "event_max=%llu", (unsigned long long)longest_line);
        good = good && add(args, &count, "--set") && add(args, &count, text);
    }
    for (size_t i = 0; good && i < index; i++) {
        snprintf(text, sizeof text, "%s@%s", all->at[i].entity, all->at[i].addr);
        good = add(args, &count, "--peer") && add(args, &count, text);
    }
    return args;
}

static void free_arguments(char **args)
{
    for (size_t i = 0; args && args[i]; i++)
        free(args[i]);
    free(args);
}

/* The line that a node prints once it serves. */
static int read_ready(demo_node *n, int fd)
{
    char line[1024];
    size_t size = 0;
    uint64_t deadline = cli_now() + START_TIME;
    while (size < sizeof line - 1 && !memchr(line, '\n', size)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        rove_err err = cli_poll(&p, 1, deadline);
        if (err == ROVE_E_CANCELLED && !cli_interrupted())
            continue;
        if (err == ROVE_E_CANCELLED)
            return CLI_INTERRUPTED;
        ssize_t got = err ? 0 : read(fd, line + size, sizeof line - 1 - size);
        if (got <= 0)
            return demo_node_lost(n);
        size += (size_t)got;
    }
    json_object *o = cli_client_json((rove_span){line, size});
    const char *entity = cli_text(o, "entity"), *id = cli_text(o, "node_id"),
               *addr = cli_text(o, "addr");
    bool good = entity && id && addr;
    if (good) {
        snprintf(n->entity, sizeof n->entity, "%s", entity);
        snprintf(n->node_id, sizeof n->node_id, "%s", id);
        snprintf(n->addr, sizeof n->addr, "%s", addr);
    }
    json_object_put(o);
    return good ? CLI_DONE : cli_fail("node %zu does not say that it is ready", n->number);
}

static int start_node(demo_nodes *all, size_t index, uint64_t longest_line)
{
    demo_node *n = &all->at[index];
    int out[2];
    char **args = arguments(all, index, longest_line);
    n->log_fd = memfd_create("rove-demo-log", MFD_CLOEXEC);
    if (!args || n->log_fd < 0 || pipe2(out, O_CLOEXEC)) {
        free_arguments(args);
        return cli_fail("node %zu cannot be started: %s", n->number, strerror(errno));
    }
    pid_t self = getpid();
    n->pid = fork();
    if (n->pid == 0)
        become_node(self, args, out[1], n->log_fd);
    int error = errno;
    close(out[1]);
    free_arguments(args);
    n->pid_fd = n->pid > 0 ? pidfd_open(n->pid, 0) : -1;
    int status = n->pid > 0 && n->pid_fd >= 0
                     ? read_ready(n, out[0])
                     : cli_fail("node %zu cannot be started: %s", n->number, strerror(error));
    close(out[0]);
    if (status != CLI_DONE)
        return status;
    char path[sizeof all->folder + 24];
    snprintf(path, sizeof path, "%s/%zu", all->folder, index + 1);
    status = cli_client_open(&n->client, path, false);
    if (status == CLI_DONE && index == 0)
        status = cli_client_open(&all->events, path, false);
    return status;
}

bool demo_node_ended(const demo_node *n, bool closed)
{
    struct pollfd p = {.fd = n->pid_fd, .events = POLLIN};
    return n->pid_fd < 0 || (poll(&p, 1, closed ? END_TIME_MS : 0) == 1 && p.revents);
}

int demo_node_lost(const demo_node *n)
{
    char log[512];
    off_t end = lseek(n->log_fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof log - 1 ? end - (off_t)sizeof log + 1 : 0;
    ssize_t size = end > 0 ? pread(n->log_fd, log, sizeof log - 1, from) : 0;
    size = size > 0 ? size : 0;
    while (size && log[size - 1] == '\n')
        size--;
    log[size] = '\0';
    const char *line = strrchr(log, '\n');
    return cli_fail("node %zu (process %d) has ended%s%s", n->number, (int)n->pid,
                    size ? ", and said last: " : "", line ? line + 1 : log);
}

/* ---- all of them ---- */

static int make_folder(demo_nodes *n)
{
    const char *temporary = getenv("TMPDIR");
    char path[sizeof n->folder + 8];
    uint8_t psk[32];
    int size = snprintf(n->folder, sizeof n->folder, "%s/rove-demo-XXXXXX",
                        temporary && *temporary ? temporary : "/tmp");
    if (size < 0 || (size_t)size >= sizeof n->folder)
        snprintf(n->folder, sizeof n->folder, "/tmp/rove-demo-XXXXXX");
    if (!mkdtemp(n->folder)) {
        int status = cli_fail("%s cannot be made: %s", n->folder, strerror(errno));
        n->folder[0] = '\0';
        return status;
    }
    snprintf(path, sizeof path, "%s/psk", n->folder);
    if (rovei_crypto_init())
        return cli_fail("the crypto library cannot be started");
    rovei_rng_fill(&rovei_rng_system, psk, sizeof psk);
    rove_err err = rovei_files_create_hex32(path, psk);
    rovei_wipe(psk, sizeof psk);
    return err ? cli_fail("%s cannot be written: %s", path, rove_strerror(err)) : CLI_DONE;
}

static void remove_folder(demo_nodes *n)
{
    char path[sizeof n->folder + 24];
    if (!n->folder[0])
        return;
    snprintf(path, sizeof path, "%s/psk", n->folder);
    unlink(path);
    for (size_t i = 1; i <= n->count; i++) {
        snprintf(path, sizeof path, "%s/%zu", n->folder, i);
        unlink(path);
    }
    rmdir(n->folder);
    n->folder[0] = '\0';
}

/* Each node waits for its session with each other one. */
static int connect_all(demo_nodes *n)
{
    for (size_t i = 0; i < n->count; i++)
        for (size_t j = 0; j < n->count; j++) {
            rove_err err = ROVE_OK;
            if (i == j)
                continue;
            json_object *request = cli_request("wait_peer");
            cli_add_text(request, "peer", n->at[j].entity);
            json_object_object_add(request, "timeout_ns", json_object_new_uint64(START_TIME));
            json_object_put(demo_node_ask(&n->at[i], request, NULL, &err));
            if (err == ROVE_E_CANCELLED)
                return CLI_INTERRUPTED;
            if (err)
                return cli_fail("node %zu does not reach node %zu: %s", n->at[i].number,
                                n->at[j].number, rove_strerror(err));
        }
    return CLI_DONE;
}

int demo_nodes_start(demo_nodes *ret, size_t count, uint64_t longest_line)
{
    *ret = (demo_nodes){.at = calloc(count, sizeof *ret->at)};
    if (!ret->at)
        return cli_fail("out of memory");
    int status = make_folder(ret);
    for (size_t i = 0; status == CLI_DONE && i < count; i++) {
        ret->at[i] = (demo_node){.number = i + 1, .pid_fd = -1, .log_fd = -1};
        ret->count = i + 1;
        status = start_node(ret, i, longest_line);
    }
    if (status == CLI_DONE)
        status = connect_all(ret);
    /* All that has to be opened is open: nothing is left behind whatever comes now. */
    remove_folder(ret);
    return status;
}

static bool wait_end(demo_node *n, uint64_t deadline)
{
    struct pollfd p = {.fd = n->pid_fd, .events = POLLIN};
    while (n->pid_fd >= 0) {
        uint64_t now = cli_now();
        int n_ready =
            now < deadline ? poll(&p, 1, (int)((deadline - now) / ROVE_MILLISECOND) + 1) : 0;
        if (n_ready > 0 || (n_ready == 0 && cli_now() >= deadline))
            return n_ready > 0;
    }
    return false;
}

static bool end_node(demo_node *n, uint64_t deadline)
{
    int result = 0;
    bool good = wait_end(n, deadline);
    if (!good)
        kill(n->pid, SIGKILL);
    while (waitpid(n->pid, &result, 0) < 0 && errno == EINTR)
        ;
    return good && WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

bool demo_nodes_stop(demo_nodes *n, bool kindly)
{
    bool good = true;
    cli_client_close(&n->events);
    for (size_t i = 0; i < n->count; i++) {
        cli_client_close(&n->at[i].client);
        n->at[i].killed = demo_node_ended(&n->at[i], false); /* by somebody else, before */
        if (n->at[i].pid > 0 && !n->at[i].killed)
            kill(n->at[i].pid, kindly ? SIGTERM : SIGKILL);
    }
    uint64_t deadline = cli_now() + STOP_TIME;
    for (size_t i = 0; i < n->count; i++) {
        demo_node *node = &n->at[i];
        if (node->pid > 0)
            good = (end_node(node, deadline) || node->killed) && good;
        if (node->pid_fd >= 0)
            close(node->pid_fd);
        if (node->log_fd >= 0)
            close(node->log_fd);
    }
    remove_folder(n);
    free(n->at);
    *n = (demo_nodes){0};
    return good;
}

/* ---- requests ---- */

/* The next frame, waiting for it. */
static rove_err wait_frame(demo_node *n, uint8_t *ret_type, rove_span *ret_body)
{
    for (;;) {
        rove_err err = cli_client_next(&n->client, ret_type, ret_body);
        if (err != ROVE_E_SHORT)
            return err;
        err = cli_client_pump(&n->client, ROVE_TIME_NEVER);
        if (err && (err != ROVE_E_CANCELLED || cli_interrupted()))
            return err;
    }
}

json_object *demo_node_ask(demo_node *n, json_object *request, const char *wanted,
                           rove_err *ret_err)
{
    json_object *answer = NULL;
    *ret_err = cli_client_request(&n->client, request) ? ROVE_OK : ROVE_E_NOMEM;
    while (!*ret_err) {
        uint8_t type;
        rove_span body;
        *ret_err = wait_frame(n, &type, &body);
        if (*ret_err || type == ROVEI_FRAME_END)
            break;
        json_object *o = type == ROVEI_FRAME_JSON ? cli_client_json(body) : NULL;
        const char *event = cli_text(o, "event");
        if (wanted && (!event || strcmp(event, wanted) != 0)) {
            json_object_put(o);
            continue;
        }
        json_object_put(answer);
        answer = o;
    }
    if (!*ret_err)
        *ret_err = n->client.end;
    return answer;
}

rove_err demo_node_state(demo_node *n, const char *origin, void **ret, size_t *ret_size)
{
    json_object *request = cli_request("state");
    cli_add_text(request, "daemon", origin);
    char *state = NULL;
    size_t size = 0, room = 0;
    rove_err err = cli_client_request(&n->client, request) ? ROVE_OK : ROVE_E_NOMEM;
    while (!err) {
        uint8_t type;
        rove_span body;
        err = wait_frame(n, &type, &body);
        if (err || type == ROVEI_FRAME_END)
            break;
        if (type != ROVEI_FRAME_BYTES || !body.size)
            continue;
        if (body.size > room - size) {
            size_t fresh = 2 * room + body.size;
            char *moved = realloc(state, fresh);
            if (!moved) {
                err = ROVE_E_NOMEM;
                break;
            }
            state = moved;
            room = fresh;
        }
        memcpy(state + size, body.data, body.size);
        size += body.size;
    }
    if (!err)
        err = n->client.end;
    if (err) {
        free(state);
        return err;
    }
    *ret = state;
    *ret_size = size;
    return ROVE_OK;
}
