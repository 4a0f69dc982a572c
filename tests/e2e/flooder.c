/* SPDX-License-Identifier: Apache-2.0
 *
 * The flood. */
#include "flooder.h"
#include <fcntl.h>
#include <mesh/packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEGMENTS 40

/* As many datagrams of one size as fit a send. */
typedef struct volley {
    size_t size, count;
    uint8_t bytes[SEGMENTS * 1400];
} volley;

static void fire(int fd, const volley *v, bool merged)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct iovec iov = {(void *)(uintptr_t)v->bytes, v->size * (merged ? v->count : 1)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (merged) {
        uint16_t size = (uint16_t)v->size;
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    ssize_t sent = sendmsg(fd, &m, 0);
    (void)sent;
}

/* What is in the volley of this number: 0 to 3 made up, then the samples. */
static void load(volley *v, unsigned what, const datagram *samples, uint64_t *random)
{
    static const size_t sizes[] = {300, ROVEI_INITIATION_SIZE, 600, 40};
    v->size = what < 4 ? sizes[what] : samples[what - 4].size;
    v->count = SEGMENTS;
    for (size_t i = 0; i < v->count; i++) {
        uint8_t *at = v->bytes + i * v->size;
        if (what >= 4) {
            memcpy(at, samples[what - 4].bytes, v->size);
            continue;
        }
        random_bytes(random, at, v->size);
        if (what == 0)
            continue;
        at[0] = ROVEI_PACKET_MAGIC0;
        at[1] = ROVEI_PACKET_MAGIC1;
        at[2] = ROVEI_PACKET_VERSION;
        at[3] = what == 1 ? ROVEI_PACKET_INITIATION : ROVEI_PACKET_DATA;
    }
}

int flooder_main(char **argv)
{
    static volley volleys[4 + FLOODER_SAMPLES];
    static datagram samples[FLOODER_SAMPLES];
    uint64_t random = 1;
    unsigned count = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (count < FLOODER_SAMPLES && fread(&samples[count], sizeof samples[0], 1, stdin) == 1)
        count++;
    for (unsigned i = 0; i < 4 + count; i++)
        load(&volleys[i], i, samples, &random);
    int fd = kit_udp(argv[2], NULL, 0);
    for (unsigned i = 0;; i++)
        fire(fd, &volleys[i % (4 + count)], i & 64);
}

pid_t flooder_start(const char *address, const datagram *samples, size_t count)
{
    pid_t pid;
    int in[2];
    char *argv[] = {(char[]){"flooder"}, (char[]){"flood"}, strdup(address), NULL};
    must(pipe2(in, O_CLOEXEC) == 0 && argv[2] && count <= FLOODER_SAMPLES);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    must(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    free(argv[2]);
    close(in[0]);
    FILE *to = fdopen(in[1], "w");
    must(to && fwrite(samples, sizeof *samples, count, to) == count && fclose(to) == 0);
    return pid;
}

void flooder_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    must(waitpid(pid, NULL, 0) == pid);
}
