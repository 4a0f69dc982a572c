/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that appear under their name when they are complete, and never in the place of another. */
#include <errno.h>
#include <fcntl.h>
#include <shell/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

rove_err rovei_fresh_file_open(rovei_fresh_file *f, const char *path)
{
    struct stat st;
    f->fd = -1;
    size_t size = strlen(path);
    int n = snprintf(f->temporary, sizeof f->temporary, "%s.XXXXXX", path);
    if (!size || size >= sizeof f->path || n < 0 || (size_t)n >= sizeof f->temporary)
        return ROVE_E_FILE;
    memcpy(f->path, path, size + 1);
    if (lstat(path, &st) == 0)
        return ROVE_E_EXISTS;
    f->fd = mkostemp(f->temporary, O_CLOEXEC); /* makes it with mode 0600 */
    return f->fd < 0 ? rovei_files_error(errno) : ROVE_OK;
}

rove_err rovei_fresh_file_write(rovei_fresh_file *f, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t left = bytes.size; left;) {
        ssize_t n = write(f->fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rovei_files_error(errno);
        at += n;
        left -= (size_t)n;
    }
    return ROVE_OK;
}

rove_err rovei_fresh_file_cut(rovei_fresh_file *f, uint64_t size)
{
    if (ftruncate(f->fd, (off_t)size) || lseek(f->fd, (off_t)size, SEEK_SET) < 0)
        return rovei_files_error(errno);
    return ROVE_OK;
}

/* Renames without replacing; by a second name where the file system knows no other way. */
static rove_err settle(const rovei_fresh_file *f)
{
    if (renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
        return ROVE_OK;
    if (errno != EINVAL && errno != ENOSYS)
        return rovei_files_error(errno);
    if (link(f->temporary, f->path))
        return rovei_files_error(errno);
    return unlink(f->temporary) ? rovei_files_error(errno) : ROVE_OK;
}

rove_err rovei_fresh_file_keep(rovei_fresh_file *f)
{
    rove_err err = fsync(f->fd) ? rovei_files_error(errno) : ROVE_OK;
    if (close(f->fd) && !err)
        err = rovei_files_error(errno);
    f->fd = -1;
    if (!err)
        err = settle(f);
    if (err) {
        unlink(f->temporary);
        return err;
    }
    err = rovei_files_sync_directory(f->path);
    if (err)
        unlink(f->path);
    return err;
}

void rovei_fresh_file_drop(rovei_fresh_file *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    unlink(f->temporary);
    f->fd = -1;
}
