/* SPDX-License-Identifier: Apache-2.0
 *
 * The story of one world. */
#include "story.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void sim_story_init(sim_story *s)
{
    *s = (sim_story){.digest = UINT64_C(0xcbf29ce484222325)};
    s->lines = calloc(SIM_STORY_LINES, sizeof *s->lines);
    if (!s->lines)
        abort();
}

void sim_story_fini(sim_story *s)
{
    free(s->lines);
    s->lines = NULL;
}

void sim_story_stir(sim_story *s, uint64_t v)
{
    s->digest = (s->digest ^ v) * UINT64_C(0x100000001b3);
    s->digest ^= s->digest >> 29;
}

void sim_story_say(sim_story *s, uint64_t at, const char *who, const char *format, ...)
{
    char *line = s->lines[s->said++ % SIM_STORY_LINES];
    int used = snprintf(line, SIM_STORY_WIDTH, "%10.6f %-4s ", (double)at / 1e9, who ? who : "");
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, SIM_STORY_WIDTH - (size_t)used, format, args);
    va_end(args);
    for (const char *p = line; *p; p++)
        s->digest = (s->digest ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    if (s->echo)
        fprintf(s->echo, "%s\n", line);
}

void sim_story_print(const sim_story *s, FILE *to)
{
    uint64_t from = s->said > SIM_STORY_LINES ? s->said - SIM_STORY_LINES : 0;
    if (from)
        fprintf(to, "(%" PRIu64 " earlier lines are not shown)\n", from);
    for (uint64_t i = from; i < s->said; i++)
        fprintf(to, "%s\n", s->lines[i % SIM_STORY_LINES]);
}
