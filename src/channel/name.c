/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule for channel names, and the hashes. The rule's checks come in a fixed order, since the
 * first that fails decides the error. */
#include <channel/name.h>
#include <crypto/crypto.h>
#include <string.h>

static bool slashes_in_order(const char *p, size_t size)
{
    if (p[0] == '/' || p[size - 1] == '/')
        return false;
    for (size_t i = 1; i < size; i++)
        if (p[i] == '/' && p[i - 1] == '/')
            return false;
    return true;
}

static rove_err check_char(char c)
{
    if (c >= 'A' && c <= 'Z')
        return ROVE_E_CHANNEL_FORMAT;
    bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                c == '.' || c == '/';
    return fine ? ROVE_OK : ROVE_E_CHANNEL_CHAR;
}

/* A segment of one or two dots and nothing else would climb a tree of files. */
static bool has_dot_segment(const char *p, size_t size)
{
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && p[i] != '/')
            continue;
        size_t length = i - start;
        if ((length == 1 && p[start] == '.') ||
            (length == 2 && p[start] == '.' && p[start + 1] == '.'))
            return true;
        start = i + 1;
    }
    return false;
}

rove_err rovei_channel_name_check(rove_span name)
{
    const char *p = name.data;
    if (!name.size)
        return ROVE_E_CHANNEL_EMPTY;
    if (name.size > ROVEI_CHANNEL_NAME_MAX)
        return ROVE_E_CHANNEL_LONG;
    if (!slashes_in_order(p, name.size))
        return ROVE_E_CHANNEL_FORMAT;
    for (size_t i = 0; i < name.size; i++) {
        rove_err err = check_char(p[i]);
        if (err)
            return err;
    }
    return has_dot_segment(p, name.size) ? ROVE_E_CHANNEL_FORMAT : ROVE_OK;
}

size_t rovei_channel_name_depth(rove_span name)
{
    const char *p = name.data;
    size_t depth = 1;
    for (size_t i = 0; i < name.size; i++)
        depth += p[i] == '/';
    return depth;
}

bool rovei_channel_name_under(rove_span above, rove_span name)
{
    if (above.size > name.size || (above.size && memcmp(above.data, name.data, above.size) != 0))
        return false;
    return above.size == name.size || ((const char *)name.data)[above.size] == '/';
}

uint64_t rovei_channel_hash(rove_span name)
{
    return rovei_xxh3(name.data, name.size);
}

uint64_t rovei_channel_group_hash(rove_span channel, rove_span group)
{
    uint8_t text[ROVEI_CHANNEL_NAME_MAX * 2 + 1];
    if (channel.size > ROVEI_CHANNEL_NAME_MAX || group.size > ROVEI_CHANNEL_NAME_MAX)
        return 0; /* neither is a name */
    memcpy(text, channel.data, channel.size);
    text[channel.size] = '#';
    if (group.size)
        memcpy(text + channel.size + 1, group.data, group.size);
    return rovei_xxh3(text, channel.size + 1 + group.size);
}
