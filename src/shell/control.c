/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket: listening, connections, and whom each frame goes to. */
#include <crypto/crypto.h>
#include <errno.h>
#include <shell/call.h>
#include <shell/control_load.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

static const struct {
    const char *name;
    control_fn *fn;
} requests[] = {
    {"status", control_status},
    {"peers", control_peers},
    {"ps", control_ps},
    {"moves", control_moves},
    {"send", control_send_begin},
    {"migrate", control_migrate},
    {"cancel", control_cancel},
    {"spawn", control_spawn},
    {"stop", control_stop},
    {"expect", control_expect},
    {"unexpect", control_unexpect},
    {"state", control_state},
    {"snapshot", control_snapshot},
    {"where", control_where},
    {"wait_peer", control_wait_peer},
    {"connect", control_connect},
    {"kinds", control_kinds},
    {"token_add", control_token_add},
    {"tokens", control_tokens},
    {"revoke", control_revoke},
    {"drain", control_drain},
    {"undrain", control_undrain},
    {"nodes", control_nodes},
    {"caps", control_caps},
    {"why", control_why},
    {"channel_create", control_channel_create},
    {"channel_remove", control_channel_remove},
    {"channels", control_channels},
    {"publish", control_publish_begin},
    {"listen", control_listen_begin},
    {"subscribe", control_subscribe},
    {"unsubscribe", control_unsubscribe},
};

/* ---- a connection's life ---- */

void control_leave(connection *c)
{
    control_flush(c);
    if (!c->closing || c->job || c->resuming)
        return;
    rovei_wipe(c->seed, sizeof c->seed);
    ROVEI_DELETE(c->control->alloc, c);
}

static void resume(rovei_task *task, rovei_node *core, rovei_now now)
{
    connection *c = ROVEI_CONTAINER(task, connection, resume);
    c->resuming = false;
    if (!c->closing && c->mode == MODE_SEND)
        control_send_room(c, core, now);
    control_leave(c);
}

void control_resume_later(connection *c)
{
    if (c->resuming)
        return;
    c->resuming = true;
    c->resume.run = resume;
    rovei_postbox_post(rovei_node_postbox(c->control->node), &c->resume);
}

void control_close(connection *c)
{
    if (c->closing)
        return;
    rovei_control *control = c->control;
    c->closing = true;
    control_sending_leave(c, rovei_node_core(control->node), rovei_clock_now());
    control_publish_leave(c);
    control_listen_leave(c, rovei_clock_now());
    control_state_drop(c);
    control_load_drop(c);
    rovei_loop_unwatch(control->node, c->channel.fd);
    rovei_channel_fini(&c->channel);
    rovei_list_remove(&c->all);
    control->count--;
}

bool control_is_clogged(const connection *c)
{
    return rovei_channel_queued(&c->channel) > OUT_HIGH;
}

/* Whoever writes may take the clog away; that it was there, and that things wait behind it, stays
 * known until they are looked at. */
static rove_err write_out(connection *c)
{
    c->clogged |= control_is_clogged(c);
    return rovei_channel_flush(&c->channel);
}

void control_flush(connection *c)
{
    if (c->closing)
        return;
    rove_err err = write_out(c);
    bool left = rovei_channel_queued(&c->channel) > 0;
    if (err || (c->eof && !left && c->mode == MODE_IDLE)) {
        control_close(c);
        return;
    }
    /* A reader that is quick enough to take all of it wants the rest of a state all the same, and
     * what waited behind the clog. */
    bool more = left || c->clogged || (c->mode == MODE_STATE && !c->awaits);
    uint32_t wanted =
        (more ? (uint32_t)EPOLLOUT : 0u) |
        (c->eof || control_is_clogged(c) || control_publish_stalled(c) ? 0u : (uint32_t)EPOLLIN);
    if (wanted != c->watched) {
        c->watched = wanted;
        if (rovei_loop_modify(c->control->node, c->channel.fd, wanted))
            control_close(c);
    }
}

/* ---- frames ---- */

static json_object *parse(rove_span body)
{
    struct json_tokener *parser = json_tokener_new_ex(8);
    if (!parser)
        return NULL;
    json_object *o = json_tokener_parse_ex(parser, body.data, (int)body.size);
    bool good = json_tokener_get_error(parser) == json_tokener_success &&
                json_object_is_type(o, json_type_object);
    json_tokener_free(parser);
    if (good)
        return o;
    json_object_put(o);
    return NULL;
}

static void take_request(connection *c, rovei_node *core, rovei_now now, rove_span body)
{
    json_object *request = body.size <= ROVEI_REQUEST_MAX ? parse(body) : NULL;
    const char *name = request ? control_field(request, "command") : NULL;
    control_sending_leave(c, core, now);
    if (!name) {
        control_end(c, ROVE_E_FORMAT, "the request is not a JSON object with a command");
        c->eof = true;
    } else {
        size_t i = 0;
        while (i < sizeof requests / sizeof requests[0] && strcmp(requests[i].name, name) != 0)
            i++;
        if (i < sizeof requests / sizeof requests[0])
            requests[i].fn(c, core, now, request);
        else
            control_end(c, ROVE_E_USAGE, "this node does not know that command");
    }
    json_object_put(request);
}

static void take_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type, rove_span body)
{
    if (type == ROVEI_FRAME_REQUEST && c->mode == MODE_IDLE) {
        take_request(c, core, now, body);
    } else if (type == ROVEI_FRAME_CONFIRM) {
        control_send_confirm(c, core, now, body);
    } else if (type == ROVEI_FRAME_SEED && c->mode == MODE_IDLE && body.size == sizeof c->seed) {
        memcpy(c->seed, body.data, sizeof c->seed);
        c->has_seed = true;
    } else if (c->mode == MODE_SEND && (type == ROVEI_FRAME_EVENT || type == ROVEI_FRAME_FINISH ||
                                        type == ROVEI_FRAME_DROP)) {
        control_send_frame(c, core, now, type, body);
    } else if (c->mode == MODE_PUBLISH &&
               (type == ROVEI_FRAME_EVENT || type == ROVEI_FRAME_FINISH ||
                type == ROVEI_FRAME_DROP)) {
        control_publish_frame(c, core, now, type, body);
    } else if (c->mode == MODE_LISTEN && type == ROVEI_FRAME_FINISH) {
        control_listen_finish(c, now);
    } else if (c->mode == MODE_LOAD && (type == ROVEI_FRAME_BYTES || type == ROVEI_FRAME_FINISH)) {
        control_load_frame(c, type, body);
    } else if ((c->mode == MODE_MOVE || c->mode == MODE_JOB) && type == ROVEI_FRAME_ABORT) {
        control_move_abort(c, core, now);
    } else if (type != ROVEI_FRAME_EVENT && type != ROVEI_FRAME_FINISH &&
               type != ROVEI_FRAME_DROP && type != ROVEI_FRAME_ABORT && type != ROVEI_FRAME_BYTES) {
        control_end(c, ROVE_E_FORMAT, "that frame has no place here");
        c->eof = true;
    }
    /* Else: it crossed the end of the request that it belongs to. */
}

static void take_in(connection *c, rovei_node *core, rovei_now now)
{
    rove_err err = rovei_channel_fill(&c->channel);
    while (!c->closing && !c->eof && !control_is_clogged(c) && !control_publish_stalled(c)) {
        uint8_t type;
        rove_span body;
        rove_err parsed = rovei_channel_next(&c->channel, &type, &body);
        if (parsed == ROVE_E_SHORT)
            break;
        if (parsed) {
            control_end(c, ROVE_E_BOUND, "a frame is too long");
            c->eof = true;
            break;
        }
        take_frame(c, core, now, type, body);
    }
    if (c->closing)
        return;
    c->clogged = control_is_clogged(c);
    if (err == ROVE_E_CLOSED && c->mode != MODE_IDLE) {
        control_close(c); /* nobody is there to hear the rest */
        return;
    }
    c->eof = c->eof || err;
    if (c->mode == MODE_SEND)
        control_send_room(c, core, now);
    else if (c->mode == MODE_PUBLISH)
        control_publish_go_on(c, core, now);
    else if (c->mode == MODE_LISTEN)
        control_listen_room(c, now);
}

static void on_connection(void *user, rovei_node *core, rovei_now now, uint32_t events)
{
    connection *c = user;
    if (c->closing)
        return;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) && write_out(c)) {
        control_close(c);
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || (c->clogged && !control_is_clogged(c))) {
        take_in(c, core, now);
    }
    if (!c->closing && c->mode == MODE_STATE)
        control_state_more(c);
    control_leave(c);
}

/* ---- listening ---- */

static bool is_owner(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || size != sizeof peer)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static void on_listener(void *user, rovei_node *core, rovei_now now, uint32_t events)
{
    (void)core;
    (void)now;
    (void)events;
    rovei_control *control = user;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    connection *c = is_owner(fd) && control->count < CONNECTIONS_MAX
                        ? ROVEI_NEW(control->alloc, connection)
                        : NULL;
    if (!c) {
        close(fd);
        return;
    }
    const rovei_env *env = rovei_node_env(control->node);
    size_t frame_max = env->limits.event_max > ROVEI_REQUEST_MAX ? (size_t)env->limits.event_max
                                                                 : ROVEI_REQUEST_MAX;
    c->control = control;
    c->watched = EPOLLIN;
    rovei_channel_init(&c->channel, fd, control->alloc, frame_max);
    if (rovei_loop_watch(control->node, fd, EPOLLIN, on_connection, c)) {
        rovei_channel_fini(&c->channel);
        ROVEI_DELETE(control->alloc, c);
        return;
    }
    rovei_list_add_tail(&control->connections, &c->all);
    control->count++;
}

/* Whether a process listens at the address; a socket that nobody listens on is left over. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    bool alive = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                 errno != ECONNREFUSED;
    close(fd);
    return alive;
}

static rove_err bind_socket(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* The mode of the name to be: set before it exists, so that there is no moment without it. */
    if (fchmod(fd, S_IRUSR | S_IWUSR))
        return ROVE_E_IO;
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return ROVE_E_EXISTS;
        if (is_alive(&address))
            return ROVE_E_ADDRESS;
        if (unlink(path))
            return ROVE_E_PERMISSION;
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof address)) {
        if (errno == EADDRINUSE)
            return ROVE_E_ADDRESS;
        return errno == ENOENT || errno == ENOTDIR ? ROVE_E_FILE
               : errno == EACCES || errno == EROFS ? ROVE_E_PERMISSION
                                                   : ROVE_E_IO;
    }
    return ROVE_OK;
}

/* ---- construction and end ---- */

static void on_note(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    rovei_control *control = user;
    rovei_peer_info peer;
    if (note->kind == ROVEI_NOTE_PEER && control->peer_changed &&
        rovei_node_peer(core, &note->peer, &peer) == ROVE_OK)
        control->peer_changed(control->user, &peer);
    if (note->kind == ROVEI_NOTE_FORCED && control->forced)
        control->forced(control->user, &note->daemon, &note->peer, note->value);
    if (note->kind == ROVEI_NOTE_ASIDE && control->aside)
        control->aside(control->user, &note->daemon, &note->peer, note->value);
    if (note->kind == ROVEI_NOTE_CHANNEL_ROOM)
        control_publish_room(control, core, now, note->text);
    if (note->kind != ROVEI_NOTE_MOVE && note->kind != ROVEI_NOTE_MOVE_ENDED)
        return;
    pthread_mutex_lock(&control->lock);
    control->moves++;
    pthread_cond_broadcast(&control->moved);
    pthread_mutex_unlock(&control->lock);
    control_move_note(control, core, now, note);
}

typedef struct begin {
    rovei_control *control;
    rove_err err;
} begin;

static void begin_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    begin *b = arg;
    b->err = rovei_loop_watch(b->control->node, b->control->fd, EPOLLIN, on_listener, b->control);
    if (!b->err)
        b->err = rovei_loop_watch(b->control->node, b->control->timer_fd, EPOLLIN,
                                  control_clients_expire, b->control);
    if (!b->err)
        rovei_node_listen(b->control->node, on_note, b->control);
}

rove_err rovei_control_new(rovei_control **ret, const rovei_control_config *cfg)
{
    const rove_alloc *alloc = &rovei_node_env(cfg->node)->alloc;
    rovei_control *control = ROVEI_NEW(alloc, rovei_control);
    if (!control)
        return ROVE_E_NOMEM;
    *control = (rovei_control){.node = cfg->node,
                               .runtime = cfg->runtime,
                               .alloc = alloc,
                               .kinds = cfg->kinds,
                               .kind_count = cfg->kind_count,
                               .peer_changed = cfg->peer_changed,
                               .forced = cfg->forced,
                               .aside = cfg->aside,
                               .user = cfg->user};
    rovei_list_init(&control->connections);
    rovei_list_init(&control->sendings);
    rovei_list_init(&control->left);
    control->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->idle, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&control->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rove_err err = ROVE_OK;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0 || control->timer_fd < 0)
        err = ROVE_E_IO;
    else if (strlen(cfg->path) >= sizeof control->path)
        err = ROVE_E_TOO_LARGE;
    else
        err = bind_socket(control->fd, cfg->path);
    if (!err) {
        memcpy(control->path, cfg->path, strlen(cfg->path) + 1);
        err = listen(control->fd, 64) ? ROVE_E_IO : ROVE_OK;
    }
    if (!err) {
        begin b = {.control = control};
        rovei_node_call(cfg->node, begin_on_loop, &b);
        err = b.err;
    }
    if (err) {
        rovei_control_free(control);
        return err;
    }
    *ret = control;
    return ROVE_OK;
}

static void end_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    rovei_control *control = arg;
    rovei_node_listen(control->node, NULL, NULL);
    rovei_loop_unwatch(control->node, control->fd);
    rovei_loop_unwatch(control->node, control->timer_fd);
    control->closed = true;
    control_sendings_free(control, core, now);
    ROVEI_LIST_EACH (it, next, &control->connections) {
        connection *c = ROVEI_CONTAINER(it, connection, all);
        if (c->mode == MODE_SEND) /* so that nobody tries to come back */
            control_end_err(c, ROVE_E_SHUTTING_DOWN);
        control_flush(c);
        control_close(c);
        control_leave(c);
    }
}

static void nothing_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    (void)arg;
    (void)core;
    (void)now;
}

void rovei_control_free(rovei_control *control)
{
    if (!control)
        return;
    if (control->path[0]) {
        rovei_node_call(control->node, end_on_loop, control);
        pthread_mutex_lock(&control->lock);
        control->ending = true;
        pthread_cond_broadcast(&control->moved);
        while (control->jobs)
            pthread_cond_wait(&control->idle, &control->lock);
        pthread_mutex_unlock(&control->lock);
        /* Tasks of connections that were posted before have run when this one has. */
        rovei_node_call(control->node, nothing_on_loop, NULL);
        unlink(control->path);
    }
    if (control->fd >= 0)
        close(control->fd);
    if (control->timer_fd >= 0)
        close(control->timer_fd);
    pthread_mutex_destroy(&control->lock);
    pthread_cond_destroy(&control->idle);
    pthread_cond_destroy(&control->moved);
    const rove_alloc *alloc = control->alloc;
    ROVEI_DELETE(alloc, control);
}
