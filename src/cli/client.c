/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's end of the control socket. */
#include "client.h"
#include "signals.h"

#include <crypto/crypto.h>
#include <errno.h>
#include <shell/files.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *cli_control_path(const char *given, char *room, size_t size)
{
    if (given)
        return given;
    const char *control = getenv("ROVE_CONTROL");
    if (control && *control)
        return control;
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || !*runtime)
        return "/run/rove/control";
    int n = snprintf(room, size, "%s/rove/control", runtime);
    return n > 0 && (size_t)n < size ? room : "/run/rove/control";
}

int cli_client_open(cli_client *c, const char *path, bool quiet)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *c = (cli_client){0};
    if (!*path)
        return cli_usage("the path of the control socket is empty: name it with --control PATH");
    if (strlen(path) >= sizeof address.sun_path)
        return cli_usage("the path of a control socket has at most %zu bytes",
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cli_fail("no socket can be made: %s", strerror(errno));
    int result;
    do
        result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (result < 0 && errno == EINTR);
    if (result < 0) {
        int error = errno;
        struct stat st;
        close(fd);
        if (quiet)
            return CLI_FAILED;
        if (error == ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
            return cli_fail("%s is not a socket: name a node's control socket with --control PATH",
                            path);
        if (error == ENOENT || error == ECONNREFUSED)
            return cli_fail("no node listens at %s: start one with rove node, or say which with "
                            "--control PATH",
                            path);
        if (error == EACCES || error == EPERM)
            return cli_fail("%s is not yours to use: run this as the node's user", path);
        return cli_fail("%s cannot be reached: %s", path, strerror(error));
    }
    rovei_channel_init(&c->channel, fd, &rovei_alloc_libc, ROVEI_OUTCOME_MAX);
    return CLI_DONE;
}

void cli_client_close(cli_client *c)
{
    if (c->channel.alloc)
        rovei_channel_fini(&c->channel);
}

bool cli_client_put(cli_client *c, uint8_t type, rove_span body)
{
    return rovei_channel_put(&c->channel, type, body, (rove_span){NULL, 0}) == ROVE_OK;
}

bool cli_client_request(cli_client *c, json_object *request)
{
    size_t size;
    const char *text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &size);
    bool done = text && cli_client_put(c, ROVEI_FRAME_REQUEST, (rove_span){text, size});
    json_object_put(request);
    return done;
}

int cli_client_put_seed(cli_client *c, const char *identity_file)
{
    uint8_t seed[32];
    rove_err err = rovei_files_load_hex32(identity_file, seed);
    if (err)
        return cli_fail_file("identity file", identity_file, err);
    bool put = cli_client_put(c, ROVEI_FRAME_SEED, (rove_span){seed, sizeof seed});
    rovei_wipe(seed, sizeof seed);
    return put ? CLI_DONE : cli_fail("out of memory");
}

rove_err cli_client_pump(cli_client *c, uint64_t deadline)
{
    rove_err err = rovei_channel_flush(&c->channel);
    /* What the node said before it closed is still to be read. */
    if (err && err != ROVE_E_CLOSED)
        return err;
    bool writing = !err && rovei_channel_queued(&c->channel);
    struct pollfd p = {.fd = c->channel.fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))};
    rove_err polled = cli_poll(&p, 1, deadline);
    if (polled)
        return polled;
    if (p.revents & POLLOUT)
        err = rovei_channel_flush(&c->channel);
    if (p.revents & (POLLIN | POLLHUP | POLLERR))
        err = rovei_channel_fill(&c->channel);
    return err;
}

rove_err cli_client_await(cli_client *c)
{
    return cli_client_pump(c, c->patience ? cli_now() + c->patience : ROVE_TIME_NEVER);
}

rove_err cli_client_next(cli_client *c, uint8_t *ret_type, rove_span *ret_body)
{
    rove_err err = rovei_channel_next(&c->channel, ret_type, ret_body);
    if (err || *ret_type != ROVEI_FRAME_END)
        return err;
    if (ret_body->size < 4)
        return ROVE_E_FORMAT;
    uint8_t number[4];
    memcpy(number, ret_body->data, sizeof number);
    size_t size = ret_body->size - 4;
    if (size >= sizeof c->end_text)
        size = sizeof c->end_text - 1;
    memcpy(c->end_text, (const char *)ret_body->data + 4, size);
    c->end_text[size] = '\0';
    c->end = (rove_err)(int32_t)(number[0] | (uint32_t)number[1] << 8 | (uint32_t)number[2] << 16 |
                                 (uint32_t)number[3] << 24);
    return ROVE_OK;
}

json_object *cli_client_json(rove_span body)
{
    if (body.size > 1 << 24)
        return NULL;
    struct json_tokener *parser = json_tokener_new();
    if (!parser)
        return NULL;
    json_object *o = json_tokener_parse_ex(parser, body.data, (int)body.size);
    bool good = json_tokener_get_error(parser) == json_tokener_success;
    json_tokener_free(parser);
    if (good && json_object_is_type(o, json_type_object))
        return o;
    json_object_put(o);
    return NULL;
}

int cli_client_lost(const cli_client *c, rove_err err, const char *what)
{
    if (err == ROVE_E_TIMED_OUT)
        return cli_fail("%s: the node has said nothing for %.9g s: see whether it still works, and "
                        "with rove ps what became of it",
                        what, (double)c->patience / 1e9);
    return cli_fail("%s: the node closed the connection", what);
}

int cli_client_fail(const cli_client *c, const char *what)
{
    if (c->end == ROVE_E_USAGE || c->end == ROVE_E_KIND_UNKNOWN)
        return cli_usage("%s: %s", what, c->end_text);
    return cli_fail("%s: %s", what, c->end_text);
}

int cli_client_follow(cli_client *c, cli_take_fn *take, cli_idle_fn *idle, void *user,
                      const char *what)
{
    for (;;) {
        uint8_t type;
        rove_span body;
        int status = CLI_DONE;
        rove_err err = cli_client_next(c, &type, &body);
        if (err == ROVE_OK && type == ROVEI_FRAME_END)
            return c->end ? cli_client_fail(c, what) : CLI_DONE;
        if (err == ROVE_OK) {
            status = take(user, type, body);
        } else if (err == ROVE_E_SHORT) {
            bool again = false;
            if (idle)
                status = idle(user, c, &again);
            err = status == CLI_DONE && !again ? cli_client_await(c) : ROVE_OK;
        }
        if (status != CLI_DONE)
            return status;
        if (err == ROVE_E_CANCELLED && cli_interrupted())
            return CLI_INTERRUPTED;
        if (err && err != ROVE_E_CANCELLED)
            return cli_client_lost(c, err, what);
    }
}

int cli_printing_take(void *user, uint8_t type, rove_span body)
{
    const cli_printing *p = user;
    if (type == ROVEI_FRAME_JSON && p->json) {
        cli_json_line(body);
        return CLI_DONE;
    }
    json_object *o = type == ROVEI_FRAME_JSON ? cli_client_json(body) : NULL;
    if (o && p->show)
        p->show(p->user, o);
    json_object_put(o);
    return CLI_DONE;
}

int cli_client_converse(cli_client *c, json_object *request, bool json, cli_show_fn *show,
                        void *user, const char *what)
{
    cli_printing printing = {json, show, user};
    if (!cli_client_request(c, request))
        return cli_fail("out of memory");
    return cli_client_follow(c, cli_printing_take, NULL, &printing, what);
}

int cli_client_ask(const char *control, json_object *request, bool json, cli_show_fn *show,
                   void *user, const char *what)
{
    char room[256];
    cli_client client;
    int status = cli_client_open(&client, cli_control_path(control, room, sizeof room), false);
    if (status != CLI_DONE) {
        json_object_put(request);
        return status;
    }
    status = cli_client_converse(&client, request, json, show, user, what);
    cli_client_close(&client);
    return status;
}

json_object *cli_request(const char *command)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "command", command);
    return o;
}

void cli_add_text(json_object *o, const char *name, const char *value)
{
    json_object_object_add(o, name, json_object_new_string(value));
}
