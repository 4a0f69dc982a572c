/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory itself: whose it is, who uses it, what it says of itself. */
#include <crypto/crypto.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <shell/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/inside.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_FILE "FORMAT"
#define FORMAT_NEW  "FORMAT.new"
#define FORMAT_HEAD "rove-data "
#define LOCK_FILE   "LOCK"

rove_err rovei_store_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ROVE_E_STORE_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return ROVE_E_STORE_READ_ONLY;
    case ENOMEM:
        return ROVE_E_NOMEM;
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        return ROVE_E_FILE;
    default:
        return ROVE_E_STORE_IO;
    }
}

rove_err rovei_store_write_all(int fd, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t left = bytes.size; left;) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rovei_store_errno(errno);
        at += n;
        left -= (size_t)n;
    }
    return ROVE_OK;
}

void rovei_store_what(char ret[ROVEI_STORE_WHAT], const char *text)
{
    snprintf(ret, ROVEI_STORE_WHAT, "%s", text);
}

/* ---- the directory ---- */

static rove_err open_folder(rovei_folder *f)
{
    if (mkdir(f->path, S_IRWXU) == 0) {
        rove_err err = rovei_files_sync_directory(f->path); /* that of its parent */
        if (err)
            return err == ROVE_E_IO ? ROVE_E_STORE_IO : err;
    } else if (errno != EEXIST) {
        return rovei_store_errno(errno);
    }
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0)
        return errno == EACCES ? ROVE_E_STORE_ACCESS : rovei_store_errno(errno);
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return rovei_store_errno(errno);
    bool ours = st.st_uid == geteuid() && !(st.st_mode & (S_IRWXG | S_IRWXO));
    return ours ? ROVE_OK : ROVE_E_STORE_ACCESS;
}

static rove_err lock_folder(rovei_folder *f)
{
    f->lock_fd = openat(f->fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock_fd < 0)
        return rovei_store_errno(errno);
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? ROVE_E_STORE_LOCKED : rovei_store_errno(errno);
    return ROVE_OK;
}

/* What a directory may hold that has no format yet: what an interrupted making of one left. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {".",
                                        "..",
                                        LOCK_FILE,
                                        FORMAT_NEW,
                                        ROVEI_STATES_FOLDER,
                                        ROVEI_RECORDS_FILE,
                                        ROVEI_RECORDS_LOCK};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static rove_err check_empty(const rovei_folder *f)
{
    int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return rovei_store_errno(error);
    }
    bool ours = true;
    for (const struct dirent *e; ours && (e = readdir(dir));)
        ours = is_ours(e->d_name);
    closedir(dir);
    return ours ? ROVE_OK : ROVE_E_STORE_FOREIGN;
}

/* ---- the format ---- */

/* Steps from one format to the next, by the one that they start from. There was none before 1. */
typedef rove_err upgrade_fn(rovei_folder *f);
static upgrade_fn *const upgrades[ROVEI_STORE_FORMAT] = {NULL};

static rove_err upgrade(rovei_folder *f, uint64_t from)
{
    rove_err err = ROVE_OK;
    for (; !err && from < ROVEI_STORE_FORMAT; from++)
        err = upgrades[from] ? upgrades[from](f) : ROVE_E_STORE_CORRUPT;
    return err;
}

static rove_err judge_format(rovei_folder *f, const char *text, const rove_entity *node)
{
    uint64_t format;
    rove_entity owner;
    if (strncmp(text, FORMAT_HEAD, strlen(FORMAT_HEAD)) != 0)
        return ROVE_E_STORE_CORRUPT;
    text += strlen(FORMAT_HEAD);
    if (!rovei_files_parse_u64(&text, ' ', &format))
        return ROVE_E_STORE_CORRUPT;
    if (format > ROVEI_STORE_FORMAT)
        return ROVE_E_STORE_NEWER;
    size_t digits = strcspn(text, "\n");
    if (!rovei_hex_decode(text, digits, owner.bytes, sizeof owner.bytes) ||
        strcmp(text + digits, "\n") != 0)
        return ROVE_E_STORE_CORRUPT;
    if (!rovei_equal(owner.bytes, node->bytes, sizeof owner.bytes))
        return ROVE_E_STORE_FOREIGN;
    return upgrade(f, format);
}

static rove_err read_format(rovei_folder *f, const rove_entity *node)
{
    int fd = openat(f->fd, FORMAT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        f->fresh = true;
        return check_empty(f);
    }
    if (fd < 0)
        return rovei_store_errno(errno);
    char text[128];
    ssize_t size = read(fd, text, sizeof text - 1);
    int error = errno;
    close(fd);
    if (size < 0)
        return rovei_store_errno(error);
    text[size] = '\0';
    return judge_format(f, text, node);
}

rove_err rovei_folder_name(rovei_folder *f, const rove_entity *node)
{
    char hex[2 * sizeof node->bytes + 1], text[128];
    rovei_hex_encode(node->bytes, sizeof node->bytes, hex);
    int size = snprintf(text, sizeof text, FORMAT_HEAD "%d %s\n", ROVEI_STORE_FORMAT, hex);
    int fd = openat(f->fd, FORMAT_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return rovei_store_errno(errno);
    rove_err err = rovei_store_write_all(fd, (rove_span){text, (size_t)size});
    if (!err && fsync(fd) < 0)
        err = rovei_store_errno(errno);
    close(fd);
    /* What the directory holds so far has to be there before its name is. */
    if (!err && (fsync(f->fd) < 0 || renameat(f->fd, FORMAT_NEW, f->fd, FORMAT_FILE) < 0 ||
                 fsync(f->fd) < 0))
        err = rovei_store_errno(errno);
    f->fresh = err != ROVE_OK;
    return err;
}

/* ---- the folder of states ---- */

/* What a crash left of states that were being written. */
static rove_err sweep_states(const rovei_folder *f)
{
    int fd = openat(f->states_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return rovei_store_errno(error);
    }
    rove_err err = ROVE_OK;
    for (const struct dirent *e; !err && (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot && strcmp(dot, ".new") == 0 && unlinkat(f->states_fd, e->d_name, 0) < 0)
            err = rovei_store_errno(errno);
    }
    closedir(dir);
    return err;
}

static rove_err open_states(rovei_folder *f)
{
    if (f->fresh && mkdirat(f->fd, ROVEI_STATES_FOLDER, S_IRWXU) < 0 && errno != EEXIST)
        return rovei_store_errno(errno);
    f->states_fd =
        openat(f->fd, ROVEI_STATES_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (f->states_fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ROVE_E_STORE_CORRUPT
                                                   : rovei_store_errno(errno);
    return sweep_states(f);
}

rove_err rovei_folder_open(rovei_folder *f, const char *path, const rove_entity *node,
                           char what[ROVEI_STORE_WHAT])
{
    *f = (rovei_folder){.fd = -1, .lock_fd = -1, .states_fd = -1};
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    f->path = strndup(path, size);
    if (!f->path)
        return ROVE_E_NOMEM;
    rove_err err = open_folder(f);
    if (!err)
        err = lock_folder(f);
    if (!err && (err = read_format(f, node)) == ROVE_E_STORE_CORRUPT)
        rovei_store_what(what, FORMAT_FILE);
    if (!err && (err = open_states(f)) == ROVE_E_STORE_CORRUPT)
        rovei_store_what(what, ROVEI_STATES_FOLDER);
    if (err)
        rovei_folder_close(f);
    return err;
}

void rovei_folder_close(rovei_folder *f)
{
    if (f->states_fd >= 0)
        close(f->states_fd);
    if (f->fd >= 0)
        close(f->fd);
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    free(f->path);
    *f = (rovei_folder){.fd = -1, .lock_fd = -1, .states_fd = -1};
}
