/* SPDX-License-Identifier: Apache-2.0
 *
 * Records in LMDB: one transaction for each group of batches. In front of each value lies the hash
 * of key and value, so that a record which is not what was written is found; and beside them all
 * a seal, their number and the sum of their hashes, so that one which is missing is. */
#include <base/buf.h>
#include <base/cursor.h>
#include <crypto/crypto.h>
#include <durable/batch.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <store/inside.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_SIZE   8
#define SEAL_SIZE   16
#define LEAST_BYTES 8192          /* the two pages that every file of LMDB begins with */
#define SPARE       (1024 * 1024) /* what a transaction may need besides its bytes, twice */

static rove_err error_of(int number)
{
    switch (number) {
    case MDB_SUCCESS:
        return ROVE_OK;
    case MDB_NOTFOUND:
        return ROVE_E_NOT_FOUND;
    case MDB_MAP_FULL:
        return ROVE_E_STORE_MAP;
    case MDB_VERSION_MISMATCH:
        return ROVE_E_STORE_NEWER;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return ROVE_E_STORE_CORRUPT;
    default:
        return number > 0 ? rovei_store_errno(number) : ROVE_E_STORE_IO;
    }
}

static MDB_val val_of(rove_span s)
{
    MDB_val v = {.mv_size = s.size};
    memcpy(&v.mv_data, &s.data, sizeof v.mv_data); /* LMDB does not write there */
    return v;
}

static rove_span span_of(const MDB_val *v)
{
    return (rove_span){v->mv_data, v->mv_size};
}

static uint64_t hash_of(rove_span key, rove_span value)
{
    return rovei_xxh3_2(key.data, key.size, value.data, value.size);
}

static bool has_prefix(const MDB_val *key, rove_span prefix)
{
    return key->mv_size >= prefix.size &&
           (!prefix.size || memcmp(key->mv_data, prefix.data, prefix.size) == 0);
}

/* ---- the seal ---- */

typedef struct seal {
    uint64_t count, sum; /* of the records and of their hashes */
} seal;

static MDB_val seal_key(void)
{
    return val_of((rove_span){"seal", 4});
}

/* All zero when nothing was written yet. */
static int seal_read(const rovei_records *r, MDB_txn *txn, seal *ret)
{
    MDB_val key = seal_key(), data;
    *ret = (seal){0};
    int rc = mdb_get(txn, r->seal, &key, &data);
    if (rc)
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    if (data.mv_size != SEAL_SIZE)
        return MDB_CORRUPTED;
    *ret = (seal){rovei_load64(data.mv_data), rovei_load64((const uint8_t *)data.mv_data + 8)};
    return MDB_SUCCESS;
}

static int seal_write(const rovei_records *r, MDB_txn *txn, const seal *s)
{
    uint8_t bytes[SEAL_SIZE];
    rovei_store64(bytes, s->count);
    rovei_store64(bytes + 8, s->sum);
    MDB_val key = seal_key(), data = {.mv_size = sizeof bytes, .mv_data = bytes};
    return mdb_put(txn, r->seal, &key, &data, 0);
}

/* ---- opening ---- */

/* A file that ends before its last page would end the process when that is read: what is missing
 * reads as zeros then, which are found to be no records. */
static rove_err fill_up(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t fd;
    struct stat st;
    if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat) || mdb_env_get_fd(env, &fd) ||
        fstat(fd, &st) < 0)
        return ROVE_E_STORE_IO;
    off_t whole = (off_t)(info.me_last_pgno + 1) * (off_t)stat.ms_psize;
    return st.st_size >= whole || ftruncate(fd, whole) == 0 ? ROVE_OK : rovei_store_errno(errno);
}

static int open_tables(rovei_records *r)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(r->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "records", MDB_CREATE, &r->dbi);
    if (!rc)
        rc = mdb_dbi_open(txn, "seal", MDB_CREATE, &r->seal);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

rove_err rovei_records_open(rovei_records *r, const char *folder, bool fresh, uint64_t map,
                            char what[ROVEI_STORE_WHAT])
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/" ROVEI_RECORDS_FILE, folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return ROVE_E_FILE;
    rove_err err = ROVE_OK;
    /* LMDB would make a new one, without a word. */
    if (!fresh && (stat(path, &st) < 0 || st.st_size < LEAST_BYTES))
        err = ROVE_E_STORE_CORRUPT;
    if (!err)
        err = error_of(mdb_env_create(&r->env));
    if (!err)
        err = error_of(mdb_env_set_mapsize(r->env, (size_t)map));
    if (!err)
        err = error_of(mdb_env_set_maxdbs(r->env, 2));
    if (!err)
        err = error_of(mdb_env_open(r->env, path, MDB_NOSUBDIR | MDB_NOTLS, S_IRUSR | S_IWUSR));
    if (!err)
        err = fill_up(r->env);
    if (!err)
        err = error_of(open_tables(r));
    if (err == ROVE_E_STORE_CORRUPT)
        rovei_store_what(what, ROVEI_RECORDS_FILE);
    if (err)
        rovei_records_close(r);
    return err;
}

void rovei_records_close(rovei_records *r)
{
    if (r->env)
        mdb_env_close(r->env);
    *r = (rovei_records){0};
}

/* ---- writing ---- */

typedef struct change {
    MDB_txn *txn;
    MDB_dbi dbi;
    seal seal;
} change;

/* What a record in the table counts for no longer. */
static int leave(change *c, const MDB_val *data)
{
    if (data->mv_size < HASH_SIZE)
        return MDB_CORRUPTED;
    c->seal.count--;
    c->seal.sum -= rovei_load64(data->mv_data);
    return MDB_SUCCESS;
}

static int leave_key(change *c, rove_span key)
{
    MDB_val k = val_of(key), data;
    int rc = mdb_get(c->txn, c->dbi, &k, &data);
    return rc ? rc : leave(c, &data);
}

static int put(change *c, const rovei_batch_op *op)
{
    MDB_val key = val_of(op->key), data = {.mv_size = HASH_SIZE + op->value.size};
    int rc = leave_key(c, op->key);
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    rc = mdb_put(c->txn, c->dbi, &key, &data, MDB_RESERVE);
    if (rc)
        return rc;
    uint8_t *at = data.mv_data;
    uint64_t hash = hash_of(op->key, op->value);
    rovei_store64(at, hash);
    if (op->value.size)
        memcpy(at + HASH_SIZE, op->value.data, op->value.size);
    c->seal.count++;
    c->seal.sum += hash;
    return MDB_SUCCESS;
}

static int delete_key(change *c, rove_span key)
{
    MDB_val k = val_of(key);
    int rc = leave_key(c, key);
    if (!rc)
        rc = mdb_del(c->txn, c->dbi, &k, NULL);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int delete_prefix(change *c, rove_span prefix)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(c->txn, c->dbi, &cursor);
    while (!rc) {
        MDB_val key = val_of(prefix), data;
        rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (!rc && !has_prefix(&key, prefix))
            rc = MDB_NOTFOUND;
        if (!rc)
            rc = leave(c, &data);
        if (!rc)
            rc = mdb_cursor_del(cursor, 0);
        if (rc)
            mdb_cursor_close(cursor);
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static rove_err apply(change *c, rove_span batch)
{
    rovei_reader r = rovei_batch_reader(batch);
    int rc = MDB_SUCCESS;
    for (rovei_batch_op op; !rc && rovei_batch_read_op(&r, &op);)
        switch (op.what) {
        case ROVEI_BATCH_PUT:
            rc = put(c, &op);
            break;
        case ROVEI_BATCH_DELETE:
            rc = delete_key(c, op.key);
            break;
        case ROVEI_BATCH_DELETE_PREFIX:
            rc = delete_prefix(c, op.key);
            break;
        }
    return rc ? error_of(rc) : rovei_reader_end(&r);
}

/* LMDB says EIO also of a write that the disk had only room for in part. The file system knows. */
static rove_err judge_io(const rovei_records *r, size_t size)
{
    mdb_filehandle_t fd;
    struct stat st;
    if (mdb_env_get_fd(r->env, &fd) || fstat(fd, &st) < 0)
        return ROVE_E_STORE_IO;
    int error = posix_fallocate(fd, st.st_size, (off_t)(2 * size + SPARE));
    return error ? rovei_store_errno(error) : ROVE_E_STORE_IO;
}

static rove_err apply_all(rovei_records *r, MDB_txn *txn, const rove_span *batches, size_t count,
                          size_t *ret_size)
{
    change c = {.txn = txn, .dbi = r->dbi};
    rove_err err = error_of(seal_read(r, txn, &c.seal));
    for (size_t i = 0; !err && i < count; i++) {
        err = apply(&c, batches[i]);
        *ret_size += batches[i].size;
    }
    return err ? err : error_of(seal_write(r, txn, &c.seal));
}

rove_err rovei_records_write(rovei_records *r, const rove_span *batches, size_t count)
{
    MDB_txn *txn;
    size_t size = 0;
    rove_err err = error_of(mdb_txn_begin(r->env, NULL, 0, &txn));
    if (err)
        return err;
    err = apply_all(r, txn, batches, count, &size);
    if (err)
        mdb_txn_abort(txn);
    else
        err = error_of(mdb_txn_commit(txn));
    return err == ROVE_E_STORE_IO ? judge_io(r, size) : err;
}

/* ---- reading ---- */

/* A key as text: what is no plain character as hex digits behind a backslash. */
static void name_record(char ret[ROVEI_STORE_WHAT], rove_span key)
{
    const uint8_t *k = key.data;
    int at = snprintf(ret, ROVEI_STORE_WHAT, "the record ");
    for (size_t i = 0; i < key.size && at + 4 < ROVEI_STORE_WHAT; i++) {
        bool plain = k[i] > ' ' && k[i] < 0x7f && k[i] != '\\';
        at += snprintf(ret + at, (size_t)(ROVEI_STORE_WHAT - at), plain ? "%c" : "\\%02x", k[i]);
    }
}

static rove_err check(rove_span key, const MDB_val *data, rove_span *ret,
                      char what[ROVEI_STORE_WHAT])
{
    rove_span all = span_of(data);
    if (all.size >= HASH_SIZE) {
        *ret = (rove_span){(const uint8_t *)all.data + HASH_SIZE, all.size - HASH_SIZE};
        if (rovei_load64(all.data) == hash_of(key, *ret))
            return ROVE_OK;
    }
    name_record(what, key);
    return ROVE_E_STORE_CORRUPT;
}

static rove_err read_error(int rc, char what[ROVEI_STORE_WHAT])
{
    rove_err err = error_of(rc);
    if (err == ROVE_E_STORE_CORRUPT)
        rovei_store_what(what, ROVEI_RECORDS_FILE);
    return err;
}

static rove_err each(rovei_records *r, MDB_txn *txn, rove_span prefix, rovei_store_fn *fn,
                     void *user, char what[ROVEI_STORE_WHAT])
{
    MDB_cursor *cursor;
    rove_err err = read_error(mdb_cursor_open(txn, r->dbi, &cursor), what);
    if (err)
        return err;
    MDB_val key = val_of(prefix), data;
    MDB_cursor_op next = prefix.size ? MDB_SET_RANGE : MDB_FIRST;
    while (!err) {
        err = read_error(mdb_cursor_get(cursor, &key, &data, next), what);
        if (err || !has_prefix(&key, prefix))
            break;
        rove_span value;
        err = check(span_of(&key), &data, &value, what);
        if (!err)
            err = fn(user, span_of(&key), value);
        next = MDB_NEXT;
    }
    mdb_cursor_close(cursor);
    return err == ROVE_E_NOT_FOUND ? ROVE_OK : err;
}

static rove_err add_to_seal(void *user, rove_span key, rove_span value)
{
    seal *s = user;
    s->count++;
    s->sum += hash_of(key, value);
    return ROVE_OK;
}

rove_err rovei_records_check(rovei_records *r, char what[ROVEI_STORE_WHAT])
{
    MDB_txn *txn;
    seal want, got = {0};
    rove_err err = error_of(mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn));
    if (err)
        return err;
    err = each(r, txn, (rove_span){NULL, 0}, add_to_seal, &got, what);
    if (!err)
        err = read_error(seal_read(r, txn, &want), what);
    if (!err && (got.count != want.count || got.sum != want.sum)) {
        rovei_store_what(what, ROVEI_RECORDS_FILE);
        err = ROVE_E_STORE_CORRUPT;
    }
    mdb_txn_abort(txn);
    return err;
}

rove_err rovei_store_get(rovei_store *s, rove_span key, const rove_alloc *a, rove_buf **ret,
                         char what[ROVEI_STORE_WHAT])
{
    MDB_txn *txn;
    MDB_val k = val_of(key), data;
    rove_span value;
    rove_err err = error_of(mdb_txn_begin(s->records.env, NULL, MDB_RDONLY, &txn));
    if (err)
        return err;
    err = read_error(mdb_get(txn, s->records.dbi, &k, &data), what);
    if (!err)
        err = check(key, &data, &value, what);
    if (!err) {
        rove_buf *copy = rovei_buf_copy(a, value.data, value.size);
        if (copy)
            *ret = copy;
        else
            err = ROVE_E_NOMEM;
    }
    mdb_txn_abort(txn);
    return err;
}

rove_err rovei_store_each(rovei_store *s, rove_span prefix, rovei_store_fn *fn, void *user,
                          char what[ROVEI_STORE_WHAT])
{
    MDB_txn *txn;
    rove_err err = error_of(mdb_txn_begin(s->records.env, NULL, MDB_RDONLY, &txn));
    if (err)
        return err;
    err = each(&s->records, txn, prefix, fn, user, what);
    mdb_txn_abort(txn);
    return err;
}
