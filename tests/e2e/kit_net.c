/* SPDX-License-Identifier: Apache-2.0
 *
 * A relay of datagrams, and nodes in processes of their own. */
#include "kit.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- the relay ---- */

static struct sockaddr_in loopback_of(const char *address)
{
    char host[16];
    int port;
    struct sockaddr_in a = {.sin_family = AF_INET};
    must(sscanf(address, "%15[0-9.]:%d", host, &port) == 2);
    must(inet_pton(AF_INET, host, &a.sin_addr) == 1 && strncmp(host, "127.", 4) == 0);
    a.sin_port = htons((uint16_t)port);
    return a;
}

int kit_udp(const char *to, char *ret_address, size_t room)
{
    struct sockaddr_in a = loopback_of("127.0.0.1:0");
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int large = 4 << 20;
    must(fd >= 0 && bind(fd, (struct sockaddr *)&a, size) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    must(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    if (ret_address)
        snprintf(ret_address, room, "127.0.0.1:%d", ntohs(a.sin_port));
    if (to) {
        a = loopback_of(to);
        must(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    }
    return fd;
}

void relay_inject(relay *r, int direction, const datagram *d)
{
    /* What does not fit is lost, as on any path. */
    ssize_t sent = send(direction == FORTH ? r->back : r->front, d->bytes, d->size, MSG_DONTWAIT);
    (void)sent;
}

static void pass_on(relay *r, int direction)
{
    datagram d;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(direction == FORTH ? r->front : r->back, d.bytes, sizeof d.bytes,
                           MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0)
        return;
    if (direction == FORTH)
        must(connect(r->front, (struct sockaddr *)&from, size) == 0);
    d.size = (size_t)got;
    if (!r->filter || r->filter(r->user, direction, &d))
        relay_inject(r, direction, &d);
}

static void *relay_main(void *arg)
{
    relay *r = arg;
    struct pollfd fds[] = {
        {.fd = r->front, .events = POLLIN},
        {.fd = r->back, .events = POLLIN},
        {.fd = r->wake[0], .events = POLLIN},
    };
    while (poll(fds, 3, -1) >= 0 && !fds[2].revents) {
        if (fds[0].revents)
            pass_on(r, FORTH);
        if (fds[1].revents)
            pass_on(r, BACK);
    }
    return NULL;
}

void relay_open(relay *r, const spot *to, relay_fn *filter, void *user)
{
    *r = (relay){.filter = filter, .user = user};
    r->front = kit_udp(NULL, r->address, sizeof r->address);
    r->back = kit_udp(to->info.address, NULL, 0);
    must(pipe(r->wake) == 0);
    must(pthread_create(&r->thread, NULL, relay_main, r) == 0);
}

void relay_rebind(relay *r, const spot *to)
{
    int fd = kit_udp(to->info.address, NULL, 0);
    must(dup2(fd, r->back) == r->back);
    close(fd);
}

void relay_close(relay *r)
{
    close(r->wake[1]);
    pthread_join(r->thread, NULL);
    close(r->wake[0]);
    close(r->front);
    close(r->back);
}

/* ---- the parent's side of a process ---- */

const char *kit_hex(const void *bytes, size_t size)
{
    static char text[129];
    must(size <= 64);
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
    return text;
}

void child_start(child *c, const char *identity_file)
{
    int in[2], out[2];
    char hex[80];
    char *argv[] = {(char[]){"child"}, strdup(identity_file ? identity_file : "-"), NULL};
    must(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && argv[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    must(posix_spawn(&c->pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    free(argv[1]);
    close(in[0]);
    close(out[1]);
    c->to = fdopen(in[1], "w");
    c->from = fdopen(out[0], "r");
    must(c->to && c->from && fscanf(c->from, "%79s %63s", hex, c->address) == 2);
    c->entity = entity_of_hex(hex);
}

long child_hear(child *c)
{
    long answer;
    must(fscanf(c->from, "%ld", &answer) == 1);
    return answer;
}

long child_say(child *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(c->to, format, args);
    va_end(args);
    fputc('\n', c->to);
    fflush(c->to);
    return child_hear(c);
}

static void reap(child *c)
{
    int status;
    fclose(c->to);
    must(waitpid(c->pid, &status, 0) == c->pid);
    fclose(c->from);
}

void child_kill(child *c)
{
    must(kill(c->pid, SIGKILL) == 0);
    reap(c);
}

void child_stop(child *c)
{
    int status;
    must(kill(c->pid, SIGSTOP) == 0);
    must(waitpid(c->pid, &status, WUNTRACED) == c->pid && WIFSTOPPED(status));
}

void child_end(child *c)
{
    reap(c);
}

/* ---- the child's side ---- */

static rove_entity read_entity(void)
{
    char hex[80];
    must(scanf("%79s", hex) == 1 && strlen(hex) == 64);
    return entity_of_hex(hex);
}

static uint64_t read_number(void)
{
    uint64_t n;
    must(scanf("%" SCNu64, &n) == 1);
    return n;
}

static void answer(long n)
{
    printf("%ld\n", n);
    fflush(stdout);
}

static void child_send(spot *s)
{
    pump p;
    rove_entity daemon = read_entity();
    uint32_t who = (uint32_t)read_number(), count = (uint32_t)read_number();
    pump_open(&p, s, &daemon, who, count, 0);
    while (p.applied < count) {
        pump_run(&p, p.applied + 100 < count ? p.applied + 100 : count);
        answer((long)p.applied);
    }
    pump_finish(&p);
}

static void child_spawn(spot *s)
{
    rove_entity seed = read_entity();
    rove_identity *id;
    rove_daemon d;
    must_ok(rove_identity_from_seed(&id, s->node, seed.bytes));
    answer(rove_runtime_spawn(s->rt, "tally", id, NULL, &d));
    rove_identity_free(id);
}

static void child_move(spot *s)
{
    rove_daemon d = {read_number()};
    rove_entity target = read_entity();
    rove_migration m;
    rove_err err = rove_runtime_start_migration(s->rt, d, &target, &m);
    answer(err ? err : rove_migration_wait_with_timeout(s->rt, m, PATIENCE, NULL));
}

static void child_connect(spot *s)
{
    char address[64];
    rove_entity peer = read_entity();
    must(scanf("%63s", address) == 1);
    must_ok(rove_node_connect(s->node, &peer, address));
    answer(rove_node_wait_peer(s->node, &peer, PATIENCE));
}

int child_main(int argc, char **argv)
{
    spot s;
    tally_control control;
    char word[32];
    must(argc == 2);
    tally_control_init(&control);
    control.many = true;
    spot_open(&s,
              &(spot_config){.control = &control, .file = strcmp(argv[1], "-") ? argv[1] : NULL});
    printf("%s %s\n", kit_hex(s.info.entity.bytes, 32), s.info.address);
    fflush(stdout);
    while (scanf("%31s", word) == 1) {
        if (!strcmp(word, "connect"))
            child_connect(&s);
        else if (!strcmp(word, "spawn"))
            child_spawn(&s);
        else if (!strcmp(word, "expect"))
            answer(rove_runtime_expect_migration(s.rt, "tally", read_number(), NULL));
        else if (!strcmp(word, "move"))
            child_move(&s);
        else if (!strcmp(word, "send"))
            child_send(&s);
        else
            kit_failed(__FILE__, __LINE__, word);
    }
    spot_close(&s);
    return 0;
}
