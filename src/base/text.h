/* SPDX-License-Identifier: Apache-2.0
 *
 * Short texts put together without stdio, and the test for UTF-8. What does not fit is cut off,
 * never in the middle of a character. */
#ifndef ROVEI_BASE_TEXT_H
#define ROVEI_BASE_TEXT_H

#include <rove/types.h>

#define ROVEI_TEXT_ROOM 1024 /* its end counted in */

typedef struct rovei_text {
    size_t size; /* without the end */
    char chars[ROVEI_TEXT_ROOM];
} rovei_text;

/* All of them do nothing when `t` is NULL, for a caller who does not want the text. */
void rovei_text_set(rovei_text *t, const char *s); /* starts anew */
void rovei_text_add(rovei_text *t, const char *s);
/* Bytes from outside: replaces what is not UTF-8 or a zero by '?'. */
void rovei_text_add_span(rovei_text *t, rove_span s);
/* As above, inside of double quotes, with a backslash before what would end them or stand out. */
void rovei_text_add_quoted(rovei_text *t, rove_span s);
void rovei_text_add_number(rovei_text *t, uint64_t v); /* decimal */
void rovei_text_add_hex(rovei_text *t, uint64_t v);    /* 0x and digits without padding */
static inline rove_span rovei_text_span(const rovei_text *t)
{
    return (rove_span){t->chars, t->size};
}

/* The bytes of a string, without its end. */
rove_span rovei_span_of(const char *s);

/* The number of bytes of the UTF-8 sequence at `p`, 0 when it is none. `left` is not 0. */
size_t rovei_utf8_step(const uint8_t *p, size_t left);
bool rovei_is_utf8(rove_span text);
/* The longest beginning of at most `most` bytes that cuts no character. */
rove_span rovei_utf8_cut(rove_span text, size_t most);

#endif
