/* SPDX-License-Identifier: Apache-2.0
 *
 * States as files: a head, the bytes, and behind them their number and their digest. They are
 * written under another name, and get their own when they are on the disk. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <store/inside.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD      "ROVESTA\x01" /* the last byte is the format */
#define HEAD_SIZE 8
#define TAIL_SIZE 40 /* u64 size, SHA-256 of the state */
#define FRESH     ".new"

static bool is_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return size && size <= ROVEI_STATE_NAME_MAX && !name[size];
}

static void fresh_name(char ret[ROVEI_STATE_NAME_MAX + sizeof FRESH], const char *name)
{
    snprintf(ret, ROVEI_STATE_NAME_MAX + sizeof FRESH, "%s" FRESH, name);
}

/* ---- writing ---- */

rove_err rovei_stored_begin(rovei_stored_writer *w, rovei_store *s, const char *name)
{
    char fresh[ROVEI_STATE_NAME_MAX + sizeof FRESH];
    *w = (rovei_stored_writer){.fd = -1, .folder = s->folder.states_fd};
    if (!is_name(name))
        return ROVE_E_USAGE;
    memcpy(w->name, name, strlen(name));
    fresh_name(fresh, name);
    w->digest = rovei_digest_new(&rovei_alloc_libc);
    if (!w->digest)
        return ROVE_E_NOMEM;
    w->fd = openat(w->folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    rove_err err = w->fd < 0 ? rovei_store_errno(errno)
                             : rovei_store_write_all(w->fd, (rove_span){HEAD, HEAD_SIZE});
    if (err)
        rovei_stored_drop(w);
    return err;
}

rove_err rovei_stored_write(rovei_stored_writer *w, rove_span bytes)
{
    rovei_digest_add(w->digest, bytes.data, bytes.size);
    w->size += bytes.size;
    return rovei_store_write_all(w->fd, bytes);
}

rove_err rovei_stored_commit(rovei_stored_writer *w)
{
    char fresh[ROVEI_STATE_NAME_MAX + sizeof FRESH];
    uint8_t tail[TAIL_SIZE];
    rovei_store64(tail, w->size);
    rovei_digest_end(w->digest, tail + 8);
    fresh_name(fresh, w->name);
    rove_err err = rovei_store_write_all(w->fd, (rove_span){tail, sizeof tail});
    if (!err && fsync(w->fd) < 0)
        err = rovei_store_errno(errno);
    if (!err && renameat(w->folder, fresh, w->folder, w->name) < 0)
        err = rovei_store_errno(errno);
    if (!err) {
        close(w->fd);
        w->fd = -1;
        if (fsync(w->folder) < 0)
            err = rovei_store_errno(errno);
    }
    rovei_stored_drop(w);
    return err;
}

void rovei_stored_drop(rovei_stored_writer *w)
{
    char fresh[ROVEI_STATE_NAME_MAX + sizeof FRESH];
    if (w->fd >= 0) {
        close(w->fd);
        fresh_name(fresh, w->name);
        (void)unlinkat(w->folder, fresh, 0); /* else when the store is opened again */
    }
    rovei_digest_free(w->digest);
    w->digest = NULL;
    w->fd = -1;
}

/* ---- reading ---- */

static rove_err read_at(int fd, uint8_t *ret, size_t size, uint64_t at)
{
    while (size) {
        ssize_t n = pread(fd, ret, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rovei_store_errno(errno);
        if (n == 0)
            return ROVE_E_STORE_CORRUPT;
        ret += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return ROVE_OK;
}

/* Its ends fit to each other and to the size of the file. */
static rove_err check_ends(rovei_stored_reader *r)
{
    struct stat st;
    uint8_t head[HEAD_SIZE], size[8];
    if (fstat(r->fd, &st) < 0)
        return rovei_store_errno(errno);
    if (!S_ISREG(st.st_mode) || st.st_size < HEAD_SIZE + TAIL_SIZE)
        return ROVE_E_STORE_CORRUPT;
    r->size = r->left = (uint64_t)st.st_size - HEAD_SIZE - TAIL_SIZE;
    rove_err err = read_at(r->fd, head, sizeof head, 0);
    if (!err)
        err = read_at(r->fd, size, sizeof size, HEAD_SIZE + r->size);
    if (!err && (memcmp(head, HEAD, HEAD_SIZE) != 0 || rovei_load64(size) != r->size))
        err = ROVE_E_STORE_CORRUPT;
    return err;
}

rove_err rovei_stored_open(rovei_stored_reader *r, rovei_store *s, const char *name)
{
    *r = (rovei_stored_reader){.fd = -1};
    if (!is_name(name))
        return ROVE_E_USAGE;
    r->fd = openat(s->folder.states_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (r->fd < 0)
        return errno == ENOENT ? ROVE_E_NOT_FOUND : rovei_store_errno(errno);
    rove_err err = check_ends(r);
    if (!err && !(r->digest = rovei_digest_new(&rovei_alloc_libc)))
        err = ROVE_E_NOMEM;
    if (err)
        rovei_stored_close(r);
    return err;
}

/* All was read: it is what was written. */
static rove_err check_digest(rovei_stored_reader *r)
{
    uint8_t got[32], want[32];
    rovei_digest_end(r->digest, got);
    rovei_digest_free(r->digest);
    r->digest = NULL;
    rove_err err = read_at(r->fd, want, sizeof want, HEAD_SIZE + r->size + 8);
    return !err && memcmp(got, want, sizeof got) != 0 ? ROVE_E_STORE_CORRUPT : err;
}

rove_err rovei_stored_read(rovei_stored_reader *r, void *ret, size_t room, size_t *ret_size)
{
    size_t size = r->left < room ? (size_t)r->left : room;
    *ret_size = 0;
    rove_err err = read_at(r->fd, ret, size, HEAD_SIZE + r->size - r->left);
    if (err)
        return err;
    if (r->digest)
        rovei_digest_add(r->digest, ret, size);
    r->left -= size;
    *ret_size = size;
    return !r->left && r->digest ? check_digest(r) : ROVE_OK;
}

void rovei_stored_close(rovei_stored_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    rovei_digest_free(r->digest);
    *r = (rovei_stored_reader){.fd = -1};
}

/* ---- the folder ---- */

rove_err rovei_stored_remove(rovei_store *s, const char *name)
{
    if (!is_name(name))
        return ROVE_E_USAGE;
    if (unlinkat(s->folder.states_fd, name, 0) < 0)
        return errno == ENOENT ? ROVE_OK : rovei_store_errno(errno);
    return fsync(s->folder.states_fd) < 0 ? rovei_store_errno(errno) : ROVE_OK;
}

rove_err rovei_stored_each(rovei_store *s, rovei_stored_fn *fn, void *user)
{
    int fd = openat(s->folder.states_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return rovei_store_errno(error);
    }
    rove_err err = ROVE_OK;
    for (const struct dirent *e; !err && (e = readdir(dir));)
        if (is_name(e->d_name))
            err = fn(user, e->d_name);
    closedir(dir);
    return err;
}
