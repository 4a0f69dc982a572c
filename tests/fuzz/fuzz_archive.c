/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive: reading never leaves the file, and the containers of what is taken fill it from head
 * to end. Since chance finds no digest, the input is also tried with it put right. */
#include "support.h"

#include <crypto/crypto.h>
#include <state/archive.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct file {
    const uint8_t *bytes;
    size_t size;
} file;

static rove_err read_file(void *user, uint64_t at, void *room, size_t size)
{
    const file *f = user;
    ROVEI_CHECK(at <= f->size && size <= f->size - at);
    if (size)
        memcpy(room, f->bytes + at, size);
    return ROVE_OK;
}

static void look(const uint8_t *data, size_t size)
{
    file f = {data, size};
    rovei_archive a;
    if (rovei_archive_open(&a, &rovei_alloc_libc, read_file, &f, size))
        return;
    rovei_archive_entry e;
    rove_err err;
    uint64_t at = ROVEI_ARCHIVE_HEAD, count = 0;
    while (rovei_archive_next(&a, &e, &err)) {
        ROVEI_CHECK(e.at == at + 8 && e.kind[0]);
        at = e.at + e.size;
        count++;
    }
    ROVEI_CHECK(err == ROVE_OK && count == a.count && at == size - ROVEI_ARCHIVE_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    look(data, size);
    if (size < ROVEI_ARCHIVE_HEAD + ROVEI_ARCHIVE_END)
        return 0;
    uint8_t *fixed = malloc(size);
    struct rovei_digest *d = rovei_digest_new(&rovei_alloc_libc);
    ROVEI_CHECK(fixed && d);
    memcpy(fixed, data, size);
    memcpy(fixed, ROVEI_ARCHIVE_MAGIC "\1\0\0\0\0\0\0\0", 16);
    rovei_digest_add(d, fixed, size - 32);
    rovei_digest_end(d, fixed + size - 32);
    rovei_digest_free(d);
    look(fixed, size);
    free(fixed);
    return 0;
}
