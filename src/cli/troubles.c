/* SPDX-License-Identifier: Apache-2.0
 *
 * The text is the daemon's, which may be somebody else's: it reaches neither a terminal nor a
 * parser with bytes that mean something to them. */
#include "troubles.h"

#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024

/* Printable ASCII stays as it is, any other byte becomes a question mark. */
static const char *clean(rove_span text, rove_err err, char ret[TEXT_MAX + 1])
{
    const unsigned char *from = text.data;
    size_t size = text.size < TEXT_MAX ? text.size : TEXT_MAX;
    if (!size)
        return rove_strerror(err);
    for (size_t i = 0; i < size; i++)
        ret[i] = from[i] >= ' ' && from[i] < 0x7f ? (char)from[i] : '?';
    ret[size] = '\0';
    return ret;
}

static void print_object(const rovei_outcome_head *h, bool refused, const char *text)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", refused ? "refused" : "error");
    json_object_object_add(o, "seq", json_object_new_uint64(h->number));
    cli_add_text(o, refused ? "reason" : "text", text);
    puts(
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

void cli_troubles_tell(cli_troubles *t, const rovei_outcome_head *h, rove_span rest)
{
    char room[TEXT_MAX + 1];
    bool refused = h->kind == ROVEI_EVENT_REFUSED;
    if (!refused && (h->kind != ROVEI_EVENT_APPLIED || !h->err))
        return;
    const char *text = clean(rest, h->err, room);
    if (t->json) {
        print_object(h, refused, text);
        return;
    }
    if (t->told > CLI_TROUBLES_SHOWN)
        return;
    const char *start = isatty(STDERR_FILENO) ? "\r\033[K" : ""; /* where the progress stands */
    if (t->told++ < CLI_TROUBLES_SHOWN)
        fprintf(stderr, "%sline %llu%s: %s\n", start, (unsigned long long)h->number,
                refused ? " refused" : "", text);
    else
        fprintf(stderr, "%sand more, which --json shows\n", start);
}
