/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a node's floors. */
#include <crypto/crypto.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <shell/files.h>
#include <shell/floors_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line with the number of floors, one for each of them, one with the digest of all before. */
#define HEAD        "rove-floors 1 "
#define ISSUER      (2 * sizeof(rove_entity)) /* digits */
#define HEAD_MAX    (sizeof HEAD + 21)
#define FLOOR_LINE  (ISSUER + 1 + 10 + 1)
#define DIGEST_LINE ((size_t)64 + 1)
#define FLOORS_MAX  ((size_t)1048576) /* as many as the limit token_floors can be */
#define SIZE_OF(n)  (HEAD_MAX + (n)*FLOOR_LINE + DIGEST_LINE)

static rove_err floors_path(char ret[PATH_MAX], const char *path)
{
    int n = snprintf(ret, PATH_MAX, "%s.floors", path);
    return n < 0 || n >= PATH_MAX ? ROVE_E_FILE : ROVE_OK;
}

static void digest_line(const char *text, size_t size, char ret[DIGEST_LINE + 1])
{
    uint8_t digest[32];
    rovei_blake2s(digest, text, size);
    rovei_hex_encode(digest, sizeof digest, ret);
    memcpy(ret + DIGEST_LINE - 1, "\n", 2);
}

/* Everything but the digest, which is cut off. */
static bool is_whole(char *text, size_t *size)
{
    char want[DIGEST_LINE + 1];
    if (*size < DIGEST_LINE)
        return false;
    *size -= DIGEST_LINE;
    digest_line(text, *size, want);
    bool same = memcmp(text + *size, want, DIGEST_LINE) == 0;
    text[*size] = '\0';
    return same;
}

static bool read_floor(const char **p, const char *end, rove_entity *ret_issuer,
                       uint32_t *ret_generation)
{
    uint64_t generation;
    if ((size_t)(end - *p) <= ISSUER || (*p)[ISSUER] != ' ' ||
        !rovei_hex_decode(*p, ISSUER, ret_issuer->bytes, sizeof ret_issuer->bytes))
        return false;
    *p += ISSUER + 1;
    if (!rovei_files_parse_u64(p, '\n', &generation) || !generation || generation > UINT32_MAX)
        return false;
    *ret_generation = (uint32_t)generation;
    return true;
}

static rove_err read_all(char *text, size_t size, rovei_token_floors *f)
{
    const char *p = text + strlen(HEAD);
    uint64_t count;
    if (!is_whole(text, &size) || strncmp(text, HEAD, strlen(HEAD)) != 0 ||
        !rovei_files_parse_u64(&p, '\n', &count))
        return ROVE_E_FILE;
    for (; count; count--) {
        rove_entity issuer;
        uint32_t generation;
        if (!read_floor(&p, text + size, &issuer, &generation))
            return ROVE_E_FILE;
        rove_err err = rovei_token_floors_raise(f, &issuer, generation);
        if (err)
            return err;
    }
    return p == text + size ? ROVE_OK : ROVE_E_FILE;
}

rove_err rovei_floors_load(const char *path, rovei_token_floors *f)
{
    char name[PATH_MAX], *text;
    size_t size;
    rove_err err = floors_path(name, path);
    if (err)
        return err;
    if (access(name, F_OK) != 0 && errno == ENOENT)
        return ROVE_OK;
    err = rovei_files_read_private(name, SIZE_OF(FLOORS_MAX), &text, &size);
    if (err)
        return err;
    err = read_all(text, size, f);
    free(text);
    return err;
}

rove_err rovei_floors_store(const char *path, const rovei_token_floors *f)
{
    char name[PATH_MAX];
    size_t count = rovei_token_floors_count(f), it = 0;
    rove_err err = floors_path(name, path);
    if (err)
        return err;
    char *text = malloc(SIZE_OF(count) + 1);
    if (!text)
        return ROVE_E_NOMEM;
    rove_entity issuer;
    uint32_t generation;
    char *p = text + sprintf(text, HEAD "%zu\n", count);
    while (rovei_token_floors_next(f, &it, &issuer, &generation)) {
        rovei_hex_encode(issuer.bytes, sizeof issuer.bytes, p);
        p += ISSUER;
        p += sprintf(p, " %" PRIu32 "\n", generation);
    }
    digest_line(text, (size_t)(p - text), p);
    err = rovei_files_replace(name, (rove_span){text, (size_t)(p - text) + DIGEST_LINE});
    free(text);
    return err;
}
