/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts and UTF-8. */
#include <base/text.h>
#include <string.h>

rove_span rovei_span_of(const char *s)
{
    return (rove_span){s, strlen(s)};
}

size_t rovei_utf8_step(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t size = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies above U+10FFFF. */
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return size;
}

bool rovei_is_utf8(rove_span text)
{
    const uint8_t *p = text.data;
    for (size_t i = 0, step; i < text.size; i += step) {
        step = rovei_utf8_step(p + i, text.size - i);
        if (!step)
            return false;
    }
    return true;
}

rove_span rovei_utf8_cut(rove_span text, size_t most)
{
    const uint8_t *p = text.data;
    if (text.size <= most)
        return text;
    while (most && (p[most] & 0xC0) == 0x80)
        most--;
    return (rove_span){p, most};
}

static void append(rovei_text *t, const void *bytes, size_t size)
{
    rove_span fits = rovei_utf8_cut((rove_span){bytes, size}, ROVEI_TEXT_ROOM - 1 - t->size);
    if (fits.size)
        memcpy(t->chars + t->size, fits.data, fits.size);
    t->size += fits.size;
    t->chars[t->size] = '\0';
}

void rovei_text_set(rovei_text *t, const char *s)
{
    if (!t)
        return;
    t->size = 0;
    append(t, s, strlen(s));
}

void rovei_text_add(rovei_text *t, const char *s)
{
    if (t)
        append(t, s, strlen(s));
}

void rovei_text_add_span(rovei_text *t, rove_span s)
{
    const uint8_t *p = s.data;
    for (size_t i = 0, step; t && i < s.size; i += step) {
        step = p[i] ? rovei_utf8_step(p + i, s.size - i) : 0;
        if (step)
            append(t, p + i, step);
        else
            append(t, "?", step = 1);
    }
}

static const char *escape_of(uint8_t byte)
{
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

void rovei_text_add_quoted(rovei_text *t, rove_span s)
{
    const uint8_t *p = s.data;
    size_t plain = 0; /* the beginning of what is not yet added */
    rovei_text_add(t, "\"");
    for (size_t i = 0; i < s.size; i++) {
        const char *escape = escape_of(p[i]);
        if (!escape)
            continue;
        rovei_text_add_span(t, (rove_span){p + plain, i - plain});
        rovei_text_add(t, escape);
        plain = i + 1;
    }
    if (plain < s.size)
        rovei_text_add_span(t, (rove_span){p + plain, s.size - plain});
    rovei_text_add(t, "\"");
}

static void add_digits(rovei_text *t, uint64_t v, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = "0123456789abcdef"[v % base];
    while (v /= base);
    append(t, digits + at, sizeof digits - at);
}

void rovei_text_add_number(rovei_text *t, uint64_t v)
{
    if (t)
        add_digits(t, v, 10);
}

void rovei_text_add_hex(rovei_text *t, uint64_t v)
{
    if (!t)
        return;
    append(t, "0x", 2);
    add_digits(t, v, 16);
}
