/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive's bytes, out and in. */
#include <base/alloc.h>
#include <crypto/crypto.h>
#include <identity/entity.h>
#include <state/archive.h>
#include <string.h>

#define VERSION 1
#define PIECE   ((size_t)64 << 10) /* of what is read for the digest */
#define DIGEST  32

void rovei_archive_write_head(const rovei_archive_head *h, rovei_writer *w)
{
    rovei_write_bytes(w, ROVEI_ARCHIVE_MAGIC, ROVEI_ARCHIVE_MAGIC_SIZE);
    rovei_write_u32(w, VERSION);
    rovei_write_u32(w, 0); /* flags */
    rovei_write_entity(w, &h->node);
    rovei_write_u64(w, h->created_at);
}

rove_err rovei_archive_read_head(rovei_archive_head *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    uint8_t magic[ROVEI_ARCHIVE_MAGIC_SIZE];
    rovei_archive_head h;
    rovei_read_bytes(&r, magic, sizeof magic);
    if (rovei_reader_ok(&r) && memcmp(magic, ROVEI_ARCHIVE_MAGIC, sizeof magic) != 0)
        rovei_reader_fail(&r, ROVE_E_MAGIC);
    if (rovei_read_u32(&r) != VERSION)
        rovei_reader_fail(&r, ROVE_E_VERSION);
    if (rovei_read_u32(&r) != 0)
        rovei_reader_fail(&r, ROVE_E_FLAG);
    h.node = rovei_read_entity(&r);
    h.created_at = rovei_read_u64(&r);
    rove_err err = rovei_reader_end(&r);
    if (err == ROVE_OK)
        *ret = h;
    return err;
}

static rove_err read_u64(const rovei_archive *a, uint64_t at, uint64_t *ret)
{
    uint8_t bytes[8];
    rove_err err = a->read(a->user, at, bytes, sizeof bytes);
    if (err == ROVE_OK)
        *ret = rovei_load64(bytes);
    return err;
}

/* The container of `size` bytes at `at`: what can be known of it by its beginning. */
static rove_err look_at(const rovei_archive *a, uint64_t at, uint64_t size,
                        rovei_archive_entry *ret)
{
    uint8_t fixed[ROVEI_CONTAINER_FIXED];
    uint64_t kind = 0, whole = 0;
    if (size < sizeof fixed || size > a->end - at)
        return ROVE_E_FORMAT;
    *ret = (rovei_archive_entry){.at = at, .size = size};
    rove_err err = a->read(a->user, at, fixed, sizeof fixed);
    if (err == ROVE_OK)
        err = rovei_container_read_fixed(&ret->container, &kind, &whole,
                                         (rove_span){fixed, sizeof fixed});
    if (err == ROVE_OK && whole != size)
        err = ROVE_E_FORMAT;
    if (err == ROVE_OK)
        err = a->read(a->user, at + sizeof fixed, ret->kind, (size_t)kind);
    if (err == ROVE_OK && memchr(ret->kind, '\0', (size_t)kind))
        err = ROVE_E_FORMAT;
    return err;
}

bool rovei_archive_next(rovei_archive *a, rovei_archive_entry *ret, rove_err *ret_err)
{
    uint64_t size = 0;
    *ret_err = ROVE_OK;
    if (a->next == a->end)
        return false;
    *ret_err = a->end - a->next < sizeof size ? ROVE_E_FORMAT : read_u64(a, a->next, &size);
    if (*ret_err == ROVE_OK)
        *ret_err = look_at(a, a->next + sizeof size, size, ret);
    if (*ret_err == ROVE_OK)
        a->next = ret->at + ret->size;
    return *ret_err == ROVE_OK;
}

static rove_err check_digest(const rovei_archive *a, const rove_alloc *alloc, uint64_t size)
{
    uint8_t want[DIGEST], have[DIGEST];
    struct rovei_digest *d = rovei_digest_new(alloc);
    uint8_t *room = rovei_alloc(alloc, PIECE);
    rove_err err = d && room ? ROVE_OK : ROVE_E_NOMEM;
    for (uint64_t at = 0, piece; at < size && !err; at += piece) {
        piece = size - at < PIECE ? size - at : PIECE;
        err = a->read(a->user, at, room, (size_t)piece);
        if (err == ROVE_OK)
            rovei_digest_add(d, room, (size_t)piece);
    }
    if (err == ROVE_OK)
        err = a->read(a->user, size, want, sizeof want);
    if (err == ROVE_OK) {
        rovei_digest_end(d, have);
        err = memcmp(have, want, sizeof want) == 0 ? ROVE_OK : ROVE_E_SNAPSHOT_DIGEST;
    }
    rovei_digest_free(d);
    rovei_free(alloc, room, PIECE);
    return err;
}

rove_err rovei_archive_open(rovei_archive *ret, const rove_alloc *alloc, rovei_archive_read *read,
                            void *user, uint64_t size)
{
    rovei_archive a = {.read = read, .user = user, .next = ROVEI_ARCHIVE_HEAD};
    uint8_t head[ROVEI_ARCHIVE_HEAD];
    uint64_t zero = 1, counted = 0;
    if (size < ROVEI_ARCHIVE_HEAD + ROVEI_ARCHIVE_END)
        return ROVE_E_SHORT;
    a.end = size - ROVEI_ARCHIVE_END;
    rove_err err = read(user, 0, head, sizeof head);
    if (err == ROVE_OK)
        err = rovei_archive_read_head(&a.head, (rove_span){head, sizeof head});
    if (err == ROVE_OK)
        err = check_digest(&a, alloc, size - DIGEST);
    if (err == ROVE_OK)
        err = read_u64(&a, a.end, &zero);
    if (err == ROVE_OK)
        err = read_u64(&a, a.end + sizeof zero, &a.count);
    rovei_archive_entry entry;
    while (!err && rovei_archive_next(&a, &entry, &err))
        counted++;
    if (err == ROVE_OK && (zero || counted != a.count))
        err = ROVE_E_FORMAT;
    a.next = ROVEI_ARCHIVE_HEAD;
    if (err == ROVE_OK)
        *ret = a;
    return err;
}
