/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as announcements need it: a strict scanner over a bounded text, without memory of its own,
 * and a writer of the compact form. What a text means is as in the reference's reader: integers are
 * exact, a float is never one, and of what is passed over only the grammar is looked at. Both are
 * sticky: after the first fault nothing more happens. */
#ifndef ROVEI_CAPABILITY_JSON_H
#define ROVEI_CAPABILITY_JSON_H

#include <rove/types.h>

/* The longest text: it bounds how deep a value that is passed over can be nested. */
#define ROVEI_JSON_MAX 8192

typedef struct rovei_json {
    const uint8_t *at, *end;
    /* Where decoded strings go: at least as many bytes as the text has. */
    char *chars, *chars_end;
    bool bad;
} rovei_json;

void rovei_json_init(rovei_json *j, rove_span text, char *chars, size_t room);
/* The next thing, spaces skipped; 0 at the end. */
uint8_t rovei_json_peek(rovei_json *j);
/* Takes this character, or fails. */
void rovei_json_take(rovei_json *j, char c);
/* Walks an object or an array: takes what opens it, a comma or what closes it (then false). `count`
 * starts at 0. */
bool rovei_json_next(rovei_json *j, char open, char close, size_t *count);
/* A string, decoded into `chars`; empty after a fault. */
rove_span rovei_json_string(rovei_json *j);
/* A string and the colon behind it. */
rove_span rovei_json_key(rovei_json *j);
/* An integer of 0..most. */
uint64_t rovei_json_u64(rovei_json *j, uint64_t most);
/* Takes `null` when it is there. */
bool rovei_json_null(rovei_json *j);
/* Passes over a value of any kind. */
void rovei_json_skip(rovei_json *j);
/* Only spaces are left, and nothing was wrong. */
bool rovei_json_end(rovei_json *j);

typedef struct rovei_json_out {
    uint8_t *start, *at, *end;
    bool full;
} rovei_json_out;

void rovei_json_put(rovei_json_out *o, const char *text); /* as it is */
void rovei_json_put_string(rovei_json_out *o, rove_span s);
void rovei_json_put_u64(rovei_json_out *o, uint64_t v);
void rovei_json_put_hex(rovei_json_out *o, const uint8_t *bytes, size_t size); /* with quotes */

#endif
