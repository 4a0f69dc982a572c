/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files, the identity lock and the identity's state file. */
#include <crypto/crypto.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <shell/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_DIGITS 64

rove_err rovei_files_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ROVE_E_FILE;
    case EACCES:
    case EPERM:
    case EROFS:
        return ROVE_E_PERMISSION;
    case EEXIST:
        return ROVE_E_EXISTS;
    case ENOMEM:
        return ROVE_E_NOMEM;
    default:
        return ROVE_E_IO;
    }
}

void rovei_hex_encode(const void *bytes, size_t size, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
    ret[2 * size] = '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool rovei_hex_decode(const char *text, size_t digits, void *ret, size_t size)
{
    if (size > SIZE_MAX / 2 || digits != 2 * size)
        return false;
    uint8_t *out = ret;
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Reads until the end or until `room` is full. -1 with errno on an error. */
static ssize_t read_all(int fd, char *buf, size_t room)
{
    size_t have = 0;
    while (have < room) {
        ssize_t n = read(fd, buf + have, room - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Opens a regular file that nobody but its owner can read or write. Opening does not block on a
 * fifo that somebody put in its place. */
static rove_err open_private(const char *path, int *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return rovei_files_error(errno);
    struct stat st;
    rove_err err = ROVE_OK;
    if (fstat(fd, &st) < 0)
        err = rovei_files_error(errno);
    else if (!S_ISREG(st.st_mode))
        err = ROVE_E_FILE;
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        err = ROVE_E_PERMISSION;
    if (err) {
        close(fd);
        return err;
    }
    *ret = fd;
    return ROVE_OK;
}

rove_err rovei_files_load_hex32(const char *path, uint8_t ret[32])
{
    int fd = -1;
    rove_err err = open_private(path, &fd);
    if (err)
        return err;
    char text[KEY_DIGITS + 2];
    uint8_t key[32];
    ssize_t size = read_all(fd, text, sizeof text);
    if (size < 0)
        err = rovei_files_error(errno);
    else if (size == KEY_DIGITS + 1 && text[KEY_DIGITS] == '\n')
        size = KEY_DIGITS;
    if (!err && (size < 0 || !rovei_hex_decode(text, (size_t)size, key, sizeof key)))
        err = ROVE_E_FILE;
    if (!err)
        memcpy(ret, key, sizeof key);
    rovei_wipe(text, sizeof text);
    rovei_wipe(key, sizeof key);
    close(fd);
    return err;
}

rove_err rovei_files_sync_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + 1 : 1;
    if (size >= sizeof dir)
        return ROVE_E_FILE;
    memcpy(dir, slash ? path : ".", size);
    dir[size] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rovei_files_error(errno);
    rove_err err = fsync(fd) < 0 ? rovei_files_error(errno) : ROVE_OK;
    close(fd);
    return err;
}

/* A new file with mode 0600 and this content, synced; none is left on an error. */
static rove_err create_private(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return rovei_files_error(errno);
    rove_err err = ROVE_OK;
    if (!write_all(fd, text, size) || fsync(fd) < 0)
        err = rovei_files_error(errno);
    if (close(fd) < 0 && !err)
        err = rovei_files_error(errno);
    if (err)
        unlink(path);
    return err;
}

rove_err rovei_files_replace(const char *path, rove_span bytes)
{
    char fresh[PATH_MAX];
    int n = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return ROVE_E_FILE;
    if (unlink(fresh) < 0 && errno != ENOENT) /* what a crash left behind */
        return rovei_files_error(errno);
    rove_err err = create_private(fresh, bytes.data, bytes.size);
    if (err)
        return err;
    if (rename(fresh, path) < 0) {
        err = rovei_files_error(errno);
        unlink(fresh);
        return err;
    }
    return rovei_files_sync_directory(path);
}

rove_err rovei_files_read_private(const char *path, size_t most, char **ret, size_t *ret_size)
{
    int fd = -1;
    rove_err err = open_private(path, &fd);
    if (err)
        return err;
    struct stat st;
    size_t room = 0;
    char *text = NULL;
    if (fstat(fd, &st) < 0)
        err = rovei_files_error(errno);
    else if (st.st_size < 0 || (uint64_t)st.st_size > most)
        err = ROVE_E_FILE;
    else if (!(text = malloc((room = (size_t)st.st_size) + 1)))
        err = ROVE_E_NOMEM;
    ssize_t size = err ? 0 : read_all(fd, text, room);
    if (size < 0)
        err = rovei_files_error(errno);
    close(fd);
    if (err) {
        free(text);
        return err;
    }
    text[size] = '\0'; /* NOLINT(clang-analyzer-core.NullDereference): set where err is not */
    *ret = text;
    *ret_size = (size_t)size;
    return ROVE_OK;
}

rove_err rovei_files_create_hex32(const char *path, const uint8_t bytes[32])
{
    char text[KEY_DIGITS + 2];
    rovei_hex_encode(bytes, 32, text);
    text[KEY_DIGITS] = '\n';
    rove_err err = create_private(path, text, KEY_DIGITS + 1);
    rovei_wipe(text, sizeof text);
    if (err)
        return err;
    err = rovei_files_sync_directory(path);
    if (err)
        unlink(path);
    return err;
}

rove_err rovei_identity_lock(const char *path, int *ret_fd)
{
    int fd = -1;
    rove_err err = open_private(path, &fd);
    if (err)
        return err;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        err = errno == EWOULDBLOCK ? ROVE_E_LOCKED : rovei_files_error(errno);
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return ROVE_OK;
}

static rove_err state_path(char ret[PATH_MAX], const char *path)
{
    int n = snprintf(ret, PATH_MAX, "%s.state", path);
    return n < 0 || n >= PATH_MAX ? ROVE_E_FILE : ROVE_OK;
}

bool rovei_files_parse_u64(const char **text, char end, uint64_t *ret)
{
    const char *p = *text;
    uint64_t v = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (p == *text || *p != end)
        return false;
    *text = p + 1;
    *ret = v;
    return true;
}

#define STATE_HEAD "rove-identity-state 1 "

rove_err rovei_identity_state_load(const char *path, uint64_t *ret_incarnation,
                                   uint64_t *ret_handshake_time)
{
    char name[PATH_MAX];
    rove_err err = state_path(name, path);
    if (err)
        return err;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        *ret_incarnation = 0;
        *ret_handshake_time = 0;
        return ROVE_OK;
    }
    if (fd < 0)
        return rovei_files_error(errno);
    char text[128];
    ssize_t size = read_all(fd, text, sizeof text - 1);
    int error = errno;
    close(fd);
    if (size < 0)
        return rovei_files_error(error);
    text[size] = '\0';
    const char *p = text;
    uint64_t incarnation, time;
    if (strncmp(p, STATE_HEAD, strlen(STATE_HEAD)) != 0)
        return ROVE_E_FILE;
    p += strlen(STATE_HEAD);
    if (!rovei_files_parse_u64(&p, ' ', &incarnation) || !rovei_files_parse_u64(&p, '\n', &time) ||
        p != text + size)
        return ROVE_E_FILE;
    *ret_incarnation = incarnation;
    *ret_handshake_time = time;
    return ROVE_OK;
}

rove_err rovei_identity_state_store(const char *path, uint64_t incarnation, uint64_t handshake_time)
{
    char name[PATH_MAX], text[128];
    rove_err err = state_path(name, path);
    if (err)
        return err;
    int size = snprintf(text, sizeof text, STATE_HEAD "%" PRIu64 " %" PRIu64 "\n", incarnation,
                        handshake_time);
    if (size < 0 || (size_t)size >= sizeof text)
        return ROVE_E_INTERNAL;
    return rovei_files_replace(name, (rove_span){text, (size_t)size});
}
