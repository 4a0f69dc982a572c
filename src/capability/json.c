/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner and the writer. */
#include <base/text.h>
#include <capability/json.h>
#include <string.h>

void rovei_json_init(rovei_json *j, rove_span text, char *chars, size_t room)
{
    *j = (rovei_json){.at = text.data,
                      .end = (const uint8_t *)text.data + text.size,
                      .chars = chars,
                      .chars_end = chars + room,
                      .bad = text.size > ROVEI_JSON_MAX || room < text.size};
}

static void fail(rovei_json *j)
{
    j->bad = true;
    j->at = j->end;
}

uint8_t rovei_json_peek(rovei_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
    return j->at < j->end ? *j->at : 0;
}

void rovei_json_take(rovei_json *j, char c)
{
    if (rovei_json_peek(j) == (uint8_t)c && j->at < j->end)
        j->at++;
    else
        fail(j);
}

bool rovei_json_next(rovei_json *j, char open, char close, size_t *count)
{
    if (j->bad)
        return false;
    if (*count == 0)
        rovei_json_take(j, open);
    if (!j->bad && rovei_json_peek(j) == (uint8_t)close) {
        j->at++;
        return false;
    }
    if (*count > 0)
        rovei_json_take(j, ',');
    ++*count;
    return !j->bad;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static uint32_t four_digits(rovei_json *j)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = j->at < j->end ? hex_digit(*j->at) : -1;
        if (d < 0) {
            fail(j);
            return 0;
        }
        v = v << 4 | (uint32_t)d;
        j->at++;
    }
    return v;
}

static void put_char(rovei_json *j, uint32_t c)
{
    char *p = j->chars;
    if (c < 0x80) {
        *p++ = (char)c;
    } else if (c < 0x800) {
        *p++ = (char)(0xC0 | c >> 6);
        *p++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *p++ = (char)(0xE0 | c >> 12);
        *p++ = (char)(0x80 | (c >> 6 & 63));
        *p++ = (char)(0x80 | (c & 63));
    } else {
        *p++ = (char)(0xF0 | c >> 18);
        *p++ = (char)(0x80 | (c >> 12 & 63));
        *p++ = (char)(0x80 | (c >> 6 & 63));
        *p++ = (char)(0x80 | (c & 63));
    }
    j->chars = p;
}

static void unicode(rovei_json *j)
{
    uint32_t c = four_digits(j);
    if (c >= 0xD800 && c < 0xDC00) { /* the first half of a pair: the other has to follow */
        if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') {
            fail(j);
            return;
        }
        j->at += 2;
        uint32_t low = four_digits(j);
        if (low < 0xDC00 || low > 0xDFFF)
            fail(j);
        else
            put_char(j, 0x10000 + ((c & 0x3FF) << 10 | (low & 0x3FF)));
    } else if (c >= 0xDC00 && c <= 0xDFFF) {
        fail(j);
    } else if (!j->bad) {
        put_char(j, c);
    }
}

/* An escape becomes fewer bytes than it has, so the decoded text always fits. */
static void escape(rovei_json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = j->at < j->end ? *j->at++ : 0;
    const char *known = c ? strchr(from, c) : NULL;
    if (known)
        *j->chars++ = to[known - from];
    else if (c == 'u')
        unicode(j);
    else
        fail(j);
}

rove_span rovei_json_string(rovei_json *j)
{
    char *start = j->chars;
    rovei_json_take(j, '"');
    while (!j->bad) {
        const uint8_t *from = j->at;
        while (j->at < j->end && *j->at != '"' && *j->at != '\\' && *j->at >= 0x20)
            j->at++;
        size_t size = (size_t)(j->at - from);
        if (size) {
            memcpy(j->chars, from, size);
            j->chars += size;
        }
        if (j->at == j->end || *j->at < 0x20)
            fail(j);
        else if (*j->at++ == '"')
            break;
        else
            escape(j);
    }
    rove_span s = {start, (size_t)(j->chars - start)};
    if (!j->bad && !rovei_is_utf8(s))
        fail(j);
    if (j->bad)
        return (rove_span){start, 0};
    *j->chars++ = 0; /* in the room of the quotes: no two strings begin at the same place */
    return s;
}

rove_span rovei_json_key(rovei_json *j)
{
    rove_span key = rovei_json_string(j);
    rovei_json_take(j, ':');
    return key;
}

uint64_t rovei_json_u64(rovei_json *j, uint64_t most)
{
    uint64_t v = 0;
    uint8_t first = rovei_json_peek(j);
    if (j->bad || first < '0' || first > '9') {
        fail(j);
        return 0;
    }
    const uint8_t *start = j->at;
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        uint64_t d = (uint64_t)(*j->at - '0');
        if (v > (most - d) / 10 || d > most || (v == 0 && j->at > start)) {
            fail(j);
            return 0;
        }
        v = v * 10 + d;
    }
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E')) {
        fail(j);
        return 0;
    }
    return v;
}

static bool take_word(rovei_json *j, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0)
        return false;
    j->at += size;
    return true;
}

bool rovei_json_null(rovei_json *j)
{
    return rovei_json_peek(j) == 'n' && take_word(j, "null");
}

/* ---- passing over ---- */

static void skip_string(rovei_json *j)
{
    j->at++;
    while (j->at < j->end && *j->at != '"' && *j->at >= 0x20) {
        if (*j->at++ != '\\')
            continue;
        uint8_t c = j->at < j->end ? *j->at++ : 0;
        if (c == 'u')
            four_digits(j);
        else if (!c || !strchr("\"\\/bfnrt", c))
            fail(j);
    }
    if (j->at < j->end && *j->at == '"')
        j->at++;
    else
        fail(j);
}

static bool skip_digits(rovei_json *j)
{
    const uint8_t *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return j->at > from;
}

static void skip_number(rovei_json *j)
{
    if (*j->at == '-')
        j->at++;
    const uint8_t *from = j->at;
    bool good = skip_digits(j) && (*from != '0' || j->at == from + 1);
    if (good && j->at < j->end && *j->at == '.') {
        j->at++;
        good = skip_digits(j);
    }
    if (good && j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        good = skip_digits(j);
    }
    if (!good)
        fail(j);
}

static void skip_scalar(rovei_json *j, uint8_t c)
{
    if (c == '"')
        skip_string(j);
    else if (c == '-' || (c >= '0' && c <= '9'))
        skip_number(j);
    else if (!take_word(j, "null") && !take_word(j, "true") && !take_word(j, "false"))
        fail(j);
}

/* The key of a member of what is passed over, and its colon. */
static void skip_key(rovei_json *j)
{
    if (rovei_json_peek(j) == '"')
        skip_string(j);
    else
        fail(j);
    rovei_json_take(j, ':');
}

void rovei_json_skip(rovei_json *j)
{
    uint8_t is_object[ROVEI_JSON_MAX / 8] = {0}; /* one bit for each level that is open */
    size_t depth = 0;
    do {
        uint8_t c = rovei_json_peek(j);
        if (c == '{' || c == '[') {
            j->at++;
            uint8_t bit = (uint8_t)(1U << (depth & 7));
            is_object[depth >> 3] =
                (uint8_t)(c == '{' ? is_object[depth >> 3] | bit : is_object[depth >> 3] & ~bit);
            depth++;
            if (rovei_json_peek(j) != (c == '{' ? '}' : ']')) {
                if (c == '{')
                    skip_key(j);
                continue;
            }
        } else {
            skip_scalar(j, c);
        }
        /* A value has ended: close what ends with it, up to the next member. */
        while (!j->bad && depth) {
            bool object = is_object[(depth - 1) >> 3] >> ((depth - 1) & 7) & 1;
            if (rovei_json_peek(j) == ',') {
                j->at++;
                if (object)
                    skip_key(j);
                break;
            }
            rovei_json_take(j, object ? '}' : ']');
            depth--;
        }
    } while (!j->bad && depth);
}

bool rovei_json_end(rovei_json *j)
{
    return rovei_json_peek(j) == 0 && j->at == j->end && !j->bad;
}

/* ---- writing ---- */

static void put(rovei_json_out *o, const void *bytes, size_t size)
{
    if (o->full || (size_t)(o->end - o->at) < size) {
        o->full = true;
        return;
    }
    if (size)
        memcpy(o->at, bytes, size);
    o->at += size;
}

void rovei_json_put(rovei_json_out *o, const char *text)
{
    put(o, text, strlen(text));
}

static void put_escape(rovei_json_out *o, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    const char *known = c ? strchr(from, c) : NULL;
    if (known)
        text[1] = to[known - from];
    put(o, text, known ? 2 : 6);
}

void rovei_json_put_string(rovei_json_out *o, rove_span s)
{
    const uint8_t *at = s.data, *end = at + s.size;
    put(o, "\"", 1);
    while (at < end) {
        const uint8_t *from = at;
        while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
            at++;
        put(o, from, (size_t)(at - from));
        if (at < end)
            put_escape(o, *at++);
    }
    put(o, "\"", 1);
}

void rovei_json_put_u64(rovei_json_out *o, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put(o, text + at, sizeof text - at);
}

void rovei_json_put_hex(rovei_json_out *o, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    put(o, "\"", 1);
    for (size_t i = 0; i < size; i++)
        put(o, (char[]){digits[bytes[i] >> 4], digits[bytes[i] & 15]}, 2);
    put(o, "\"", 1);
}
