/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories, batches and damage for the tests of the data directory. */
#include "store_kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int store_bed_make(void **state)
{
    store_bed *b = calloc(1, sizeof *b);
    if (!b || rovei_crypto_init())
        return -1;
    snprintf(b->parent, sizeof b->parent, "/tmp/rove-store-XXXXXX");
    if (!mkdtemp(b->parent))
        return -1;
    snprintf(b->dir, sizeof b->dir, "%s/data", b->parent);
    memset(b->node.bytes, 0x5a, sizeof b->node.bytes);
    *state = b;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int store_bed_remove(void **state)
{
    store_bed *b = *state;
    store_close(b);
    int result = nftw(b->parent, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(b);
    return result;
}

rove_err store_open(store_bed *b, uint64_t map)
{
    assert_null(b->store);
    rove_err err = rovei_store_open(&b->store, b->dir, &b->node, map, b->what);
    assert_true((err == ROVE_OK) == (b->store != NULL));
    return err;
}

void store_close(store_bed *b)
{
    rovei_store_close(b->store);
    b->store = NULL;
}

void store_reopen(store_bed *b)
{
    store_close(b);
    assert_ok(store_open(b, STORE_MAP));
}

const char *store_path(const store_bed *b, const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    return path;
}

/* ---- records ---- */

size_t store_batch(const rovei_batch_op *op, uint8_t *ret, size_t room)
{
    rovei_writer w = rovei_writer_of(ret, room);
    rovei_batch_write_head(&w);
    rovei_batch_write_op(&w, op);
    assert_ok(w.err);
    return rovei_writer_size(&w);
}

static rove_err write_op(store_bed *b, const rovei_batch_op *op)
{
    size_t room = ROVEI_BATCH_HEAD + rovei_batch_op_size(op);
    uint8_t *bytes = malloc(room);
    assert_non_null(bytes);
    rove_err err = rovei_store_write(b->store, (rove_span){bytes, store_batch(op, bytes, room)});
    free(bytes);
    return err;
}

rove_err store_put(store_bed *b, const char *key, const void *value, size_t size)
{
    rovei_batch_op op = {value ? ROVEI_BATCH_PUT : ROVEI_BATCH_DELETE, span_of(key), {value, size}};
    return write_op(b, &op);
}

rove_err store_delete_prefix(store_bed *b, const char *prefix)
{
    rovei_batch_op op = {.what = ROVEI_BATCH_DELETE_PREFIX, .key = span_of(prefix)};
    return write_op(b, &op);
}

void assert_value(store_bed *b, const char *key, const void *value, size_t size)
{
    rove_buf *got;
    assert_ok(rovei_store_get(b->store, span_of(key), NULL, &got, b->what));
    assert_span(rove_buf_span(got), value, size);
    rove_buf_unref(got);
}

rove_err store_get(store_bed *b, const char *key)
{
    rove_buf *got = NULL;
    rove_err err = rovei_store_get(b->store, span_of(key), NULL, &got, b->what);
    assert_true((err == ROVE_OK) == (got != NULL));
    rove_buf_unref(got);
    return err;
}

static rove_err add_key(void *user, rove_span key, rove_span value)
{
    (void)value;
    char *keys = user;
    size_t size = strlen(keys);
    assert_true(size + key.size + 2 < 4096);
    memcpy(keys + size, key.data, key.size);
    memcpy(keys + size + key.size, " ", 2);
    return ROVE_OK;
}

const char *store_keys(store_bed *b, const char *prefix)
{
    static char keys[4096];
    keys[0] = '\0';
    assert_ok(rovei_store_each(b->store, span_of(prefix), add_key, keys, b->what));
    return keys;
}

/* ---- files ---- */

void file_write(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

size_t file_read(const char *path, uint8_t **ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *ret = malloc((size_t)st.st_size + 1);
    assert_non_null(*ret);
    assert_int_equal(read(fd, *ret, (size_t)st.st_size), st.st_size);
    close(fd);
    return (size_t)st.st_size;
}

int in_a_child(int (*fn)(store_bed *b), store_bed *b)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(fn(b));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
