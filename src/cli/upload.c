/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot file on its way into a node. */
#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <state/container.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_FLAGS 12                 /* their lowest byte, in a container */
#define PIECE    ((size_t)32 << 10) /* below what a frame may have */
#define QUEUED   ((size_t)1 << 20)  /* more is not read from the file before it is written */

static ssize_t read_file(int fd, void *room, size_t size)
{
    ssize_t n;
    do
        n = read(fd, room, size);
    while (n < 0 && errno == EINTR);
    return n;
}

int cli_upload_open(cli_upload *u, const char *path)
{
    uint8_t start[AT_FLAGS + 1];
    struct stat st;
    *u = (cli_upload){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (u->fd < 0)
        return cli_fail("the snapshot %s cannot be read: %s", path, strerror(errno));
    if (fstat(u->fd, &st) || !S_ISREG(st.st_mode))
        return cli_fail("%s is not a file with a snapshot", path);
    u->size = u->left = (uint64_t)st.st_size;
    ssize_t n = read_file(u->fd, start, sizeof start);
    if (n < 0 || lseek(u->fd, 0, SEEK_SET) < 0)
        return cli_fail("the snapshot %s cannot be read: %s", path, strerror(errno));
    u->raw = n >= 4 && memcmp(start, "CDS1", 4) == 0;
    bool container =
        n == sizeof start && memcmp(start, ROVEI_CONTAINER_MAGIC, ROVEI_CONTAINER_MAGIC_SIZE) == 0;
    u->sealed = container && (start[AT_FLAGS] & ROVEI_CONTAINER_SEALED);
    if (!u->raw && !container)
        return cli_fail("%s is not a snapshot that rove snapshot wrote, or is damaged", path);
    return CLI_DONE;
}

int cli_upload_part(cli_upload *u, const char *path, int fd, uint64_t at, uint64_t size)
{
    *u = (cli_upload){.path = path, .fd = fd, .size = size, .left = size};
    if (lseek(fd, (off_t)at, SEEK_SET) < 0)
        return cli_fail("%s cannot be read: %s", path, strerror(errno));
    return CLI_DONE;
}

void cli_upload_close(cli_upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
}

void cli_upload_announce(const cli_upload *u, json_object *request)
{
    cli_add_text(request, "from", u->raw ? "raw" : "container");
    json_object_object_add(request, "size", json_object_new_uint64(u->size));
}

/* Queues what may be queued. */
static int feed(cli_upload *u, cli_client *c)
{
    uint8_t piece[PIECE];
    while (!u->ended && rovei_channel_queued(&c->channel) < QUEUED) {
        size_t most = u->left < sizeof piece ? (size_t)u->left : sizeof piece;
        ssize_t n = read_file(u->fd, piece, most);
        if (n < 0)
            return cli_fail("the snapshot %s cannot be read: %s", u->path, strerror(errno));
        u->left -= (uint64_t)n;
        u->ended = n == 0;
        uint8_t type = n ? ROVEI_FRAME_BYTES : ROVEI_FRAME_FINISH;
        if (!cli_client_put(c, type, (rove_span){piece, (size_t)n}))
            return cli_fail("out of memory");
    }
    return CLI_DONE;
}

typedef struct upload_run {
    cli_printing printing;
    cli_upload *upload;
} upload_run;

static int take(void *user, uint8_t type, rove_span body)
{
    upload_run *r = user;
    return cli_printing_take(&r->printing, type, body);
}

static int idle(void *user, cli_client *c, bool *ret_again)
{
    cli_upload *u = ((upload_run *)user)->upload;
    int status = feed(u, c);
    if (status != CLI_DONE)
        return status;
    /* A node that takes all of it at once says nothing that could be waited for. */
    *ret_again = rovei_channel_flush(&c->channel) == ROVE_OK && !u->ended &&
                 rovei_channel_queued(&c->channel) < QUEUED;
    return CLI_DONE;
}

int cli_upload_run(cli_upload *u, cli_client *c, const cli_printing *printing, const char *what)
{
    upload_run run = {*printing, u};
    return cli_client_follow(c, take, idle, &run, what);
}
