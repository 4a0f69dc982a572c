/* SPDX-License-Identifier: Apache-2.0
 *
 * What the demo streams. */
#include "input.h"

#include "../cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXTS     "/usr/share/common-licenses"
#define LINES_MIN 100000

static bool copy(int from, int to)
{
    char bytes[65536];
    for (;;) {
        ssize_t n = read(from, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        for (ssize_t at = 0; at < n;) {
            ssize_t written = write(to, bytes + at, (size_t)(n - at));
            if (written < 0 && errno != EINTR)
                return false;
            at += written > 0 ? written : 0;
        }
    }
}

/* Counts the lines from the beginning and goes back there. */
static bool measure(demo_input *in)
{
    char bytes[65536];
    uint64_t line = 0;
    ssize_t n;
    in->lines = in->longest = 0;
    if (lseek(in->fd, 0, SEEK_SET) < 0)
        return false;
    while ((n = read(in->fd, bytes, sizeof bytes)) > 0)
        for (const char *p = bytes, *end = bytes + n; p < end;) {
            const char *newline = memchr(p, '\n', (size_t)(end - p));
            line += (uint64_t)((newline ? newline : end) - p);
            if (line > in->longest) {
                in->longest = line;
                in->longest_line = in->lines + 1;
            }
            in->lines += newline != NULL;
            line = newline ? 0 : line;
            p = newline ? newline + 1 : end;
        }
    in->lines += line > 0;
    return n == 0 && lseek(in->fd, 0, SEEK_SET) == 0;
}

static int only_files(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* All texts of the folder once, in the order of their names. */
static bool append_texts(int to)
{
    struct dirent **names = NULL;
    int count = scandir(TEXTS, &names, only_files, alphasort);
    bool any = false;
    for (int i = 0; i < count; i++) {
        char path[sizeof TEXTS + 258];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", TEXTS, names[i]->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            any = (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && copy(fd, to)) || any;
            close(fd);
        }
        free(names[i]);
    }
    free(names);
    return any;
}

static int open_default(demo_input *in)
{
    in->fd = memfd_create("rove-demo-input", MFD_CLOEXEC);
    if (in->fd < 0)
        return cli_fail("no memory for the input: %s", strerror(errno));
    do {
        if (lseek(in->fd, 0, SEEK_END) < 0 || !append_texts(in->fd) || !measure(in) || !in->lines) {
            close(in->fd);
            return cli_fail("%s has no texts to stream: name a file with --input FILE", TEXTS);
        }
    } while (in->lines < LINES_MIN);
    return CLI_DONE;
}

int demo_input_open(demo_input *ret, const char *path)
{
    demo_input in = {.fd = -1};
    struct stat st;
    if (!path) {
        int status = open_default(&in);
        if (status == CLI_DONE)
            *ret = in;
        return status;
    }
    in.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in.fd < 0)
        return cli_fail("%s cannot be read: %s", path, strerror(errno));
    if (fstat(in.fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(in.fd);
        return cli_fail("%s is a folder: name a file with --input FILE", path);
    }
    if (lseek(in.fd, 0, SEEK_CUR) < 0) { /* a pipe: it is read twice, so keep it */
        int kept = memfd_create("rove-demo-input", MFD_CLOEXEC);
        bool good = kept >= 0 && copy(in.fd, kept);
        close(in.fd);
        in.fd = kept;
        if (!good) {
            if (kept >= 0)
                close(kept);
            return cli_fail("%s cannot be read to its end: %s", path, strerror(errno));
        }
    }
    if (!measure(&in)) {
        close(in.fd);
        return cli_fail("%s cannot be read to its end: %s", path, strerror(errno));
    }
    *ret = in;
    return CLI_DONE;
}

void demo_input_close(demo_input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
}
