/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages, lines of JSON, and names as people write them. */
#include "cli.h"

#include <inttypes.h>
#include <shell/files.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    fflush(stdout);
    fputs("rove: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return CLI_USAGE;
}

int cli_fail_file(const char *what, const char *path, rove_err err)
{
    struct stat st;
    if (err == ROVE_E_FILE && stat(path, &st) != 0)
        return cli_fail("%s %s is missing: make one with rove %s new -o FILE", what, path,
                        strcmp(what, "psk file") == 0 ? "psk" : "id");
    if (err == ROVE_E_FILE && S_ISDIR(st.st_mode))
        return cli_fail("%s %s is a folder: name the file itself", what, path);
    if (err == ROVE_E_FILE)
        return cli_fail("%s %s is not one line of 64 hex digits: name the right file, or make one "
                        "with rove %s new -o FILE",
                        what, path, strcmp(what, "psk file") == 0 ? "psk" : "id");
    if (err == ROVE_E_PERMISSION)
        return cli_fail("%s %s must be yours and nobody else's to read: chmod 600 it", what, path);
    if (err == ROVE_E_LOCKED)
        return cli_fail("%s %s is in use by another node: stop that one first", what, path);
    return cli_fail("%s %s cannot be used: %s", what, path, rove_strerror(err));
}

void cli_json(json_object *object)
{
    puts(json_object_to_json_string_ext(object,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
    json_object_put(object);
}

void cli_json_line(rove_span text)
{
    fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
    fflush(stdout);
}

json_object *cli_json_hex(const void *bytes, size_t size)
{
    char *text = size < SIZE_MAX / 2 ? malloc(2 * size + 1) : NULL;
    if (!text)
        return NULL;
    rovei_hex_encode(bytes, size, text);
    json_object *o = json_object_new_string_len(text, (int)(2 * size));
    free(text);
    return o;
}

json_object *cli_json_id(uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "0x%" PRIx64, id);
    return json_object_new_string(text);
}

json_object *cli_json_ms(double milliseconds)
{
    char text[40];
    snprintf(text, sizeof text, "%.3f", milliseconds);
    return json_object_new_double_s(milliseconds, text);
}

static json_object *field(json_object *o, const char *name)
{
    json_object *value = NULL;
    return o && json_object_object_get_ex(o, name, &value) ? value : NULL;
}

const char *cli_text(json_object *o, const char *name)
{
    json_object *value = field(o, name);
    return value && json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                 : NULL;
}

uint64_t cli_u64(json_object *o, const char *name)
{
    json_object *value = field(o, name);
    return value ? json_object_get_uint64(value) : 0;
}

double cli_double(json_object *o, const char *name)
{
    json_object *value = field(o, name);
    return value ? json_object_get_double(value) : 0;
}

const char *cli_show(json_object *o, const char *name)
{
    json_object *value = field(o, name);
    return value ? json_object_get_string(value) : "-";
}

bool cli_parse_entity(const char *text, rove_entity *ret)
{
    return rovei_hex_decode(text, strlen(text), ret->bytes, sizeof ret->bytes);
}

bool cli_parse_id(const char *text, uint64_t *ret)
{
    size_t size = strlen(text);
    if (size < 3 || size > 18 || text[0] != '0' || text[1] != 'x' ||
        strspn(text + 2, "0123456789abcdefABCDEF") != size - 2)
        return false;
    *ret = strtoull(text + 2, NULL, 16);
    return true;
}

bool cli_parse_u64(const char *text, uint64_t *ret)
{
    uint64_t v = 0;
    if (!*text)
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (*text)
        return false;
    *ret = v;
    return true;
}

bool cli_parse_seconds(const char *text, uint64_t *ret)
{
    char whole[24];
    size_t size = strspn(text, "0123456789");
    const char *rest = text + size;
    uint64_t seconds = 0, nanoseconds = 0, unit = ROVE_SECOND / 10;
    if (size >= sizeof whole || (size == 0 && *rest != '.'))
        return false;
    memcpy(whole, text, size);
    whole[size] = '\0';
    if (size && !cli_parse_u64(whole, &seconds))
        return false;
    if (*rest == '.') {
        size_t decimals = strspn(++rest, "0123456789");
        if (size == 0 && decimals == 0)
            return false;
        for (size_t i = 0; i < decimals; i++, unit /= 10)
            nanoseconds += (uint64_t)(rest[i] - '0') * unit;
        rest += decimals;
    }
    if (*rest || seconds > UINT64_MAX / ROVE_SECOND - 1)
        return false;
    *ret = seconds * ROVE_SECOND + nanoseconds;
    return true;
}

bool cli_check_name(const char *what, const char *text, int *ret_status)
{
    rove_entity entity;
    uint64_t id;
    if (cli_parse_entity(text, &entity) || cli_parse_id(text, &id))
        return true;
    *ret_status =
        cli_usage("%s must be an entity (64 hex digits) or an id (0x...), not \"%s\"", what, text);
    return false;
}

bool cli_check_peer(const char *option, const char *text, rove_entity *ret,
                    const char **ret_address, int *ret_status)
{
    char entity[65];
    const char *at = strchr(text, '@');
    if (at && at - text == 64) {
        memcpy(entity, text, 64);
        entity[64] = '\0';
        *ret_address = at + 1;
        if (cli_parse_entity(entity, ret))
            return true;
    }
    *ret_status = cli_usage("%s takes ENTITY@HOST:PORT with 64 hex digits, not \"%s\": the peer's "
                            "rove status prints its entity and address",
                            option, text);
    return false;
}

uint64_t cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}
